//! `SealGate` templates: a file as a dictionary of chunks, rules that pair them, and a sequence.
//!
//! # Terms
//! A *symbol* is a name. The *dictionary* gives each *chunk*'s symbol one value or several, one for each *context*; a
//! *rule* gives a symbol a pair of others, chunks or rules; the file is the *expansion* of all symbols of the
//! *sequence*, one after the other.
//!
//! # A template
//! A zlib stream (RFC 1950) of a JSON text in UTF-8, an object of
//!
//! | key | value |
//! |---|---|
//! | `meta` | object: `chunk_size` in bytes, `orig_file`, `total_chunks`; nothing of it is needed |
//! | `dictionary` | object: `{symbol: {context: bytes in hexadecimal}}`; what is no string is no context (`freq`) |
//! | `rules` | object: `{symbol: [symbol, symbol]}` |
//! | `sequence` | string: symbols with commas between them, empty for an empty file |
//!
//! The original calls chunks `S` (known to a dictionary shared by files) or `L` (of this file) and 12 hexadecimal
//! digits, the first 48 bits of the chunk's SHA-256, and rules `R0`, `R1` and so on.
//!
//! # What follows
//! In a context a symbol stands for its value there, else for its value in `DEFAULT`, else for the first one, in the
//! order of the text, that is hexadecimal. The original leaves out what it does not know, and follows rules in circles
//! until it dies; here a symbol that is nowhere defined, that has no value, that is defined twice or that contains
//! itself is an error. Rules may stand before those that they use.
//!
//! The only checksum is zlib's Adler-32, which misses some changes of neighbouring bytes (one of 3,987 tried). Hashes
//! in symbols cannot stand in for it: values of other contexts and made-up symbols do not agree with them.
//!
//! A few bytes can stand for any number: nothing is ever expanded but the range that is read. The lengths of all
//! rules are computed when the template is opened; a read finds the symbol of the sequence that its first byte lies
//! in and walks down the rules from there.

mod expand;
mod pairs;
mod parse;
mod write;

use std::io;

use super::holo::usize_of;
use super::{Chunks, ForeignError, Parts, Quality, Reader};

pub(super) use expand::is_template;
pub use write::{MOST, encode};

/// Most bytes of the JSON text. Memory takes three times as many at the worst.
pub const TEXT: u64 = 64 << 20;
/// Most symbols, of dictionary and rules together.
pub const SYMBOLS: usize = 1 << 20;
/// Most symbols of the sequence.
pub const SEQUENCE: usize = 1 << 24;
/// Most contexts; a symbol's are bits of a word.
pub const CONTEXTS: usize = 64;
/// How deep rules may be nested: a read that begins anywhere takes so many steps. The original fails beyond 1,000.
pub const DEPTH: usize = 1024;
/// The largest file that is shown, as large as ext4's.
pub const LIMIT: u64 = 1 << 44;
/// The context that counts where no other is asked for.
pub const DEFAULT: &str = "DEFAULT";
/// For every so many symbols of the sequence it is kept where they begin.
const STRIDE: usize = 64;

/// What a symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    /// Bytes of the values from here on.
    Value(u32),
    /// The expansions of two symbols, neither of them empty.
    Pair(u32, u32),
}

/// Symbols that are of use, by number: what they stand for, and how many bytes that is.
#[derive(Debug)]
struct Nodes(Vec<(Node, u64)>);

impl Nodes {
    fn get(&self, symbol: u32) -> (Node, u64) {
        let node = self.0.get(symbol as usize);
        node.copied().unwrap_or((Node::Value(0), 0))
    }
}

/// A template, open for reading in one context.
#[derive(Debug)]
pub struct Template {
    nodes: Nodes,
    values: Vec<u8>,
    /// Without symbols that stand for nothing.
    sequence: Vec<u32>,
    /// Where every [`STRIDE`]th symbol begins.
    starts: Vec<u64>,
    size: u64,
    contexts: Vec<String>,
}

impl Template {
    /// Reads the only part, in the context [`DEFAULT`].
    ///
    /// # Errors
    /// [`ForeignError::Format`] with a place in the JSON text, [`ForeignError::Limit`], [`ForeignError::Io`].
    pub fn open(parts: &dyn Parts) -> Result<Self, ForeignError> {
        Self::open_in(parts, DEFAULT)
    }

    /// Like [`Template::open`], in the context of this name; what has no value there has its value in [`DEFAULT`].
    ///
    /// # Errors
    /// Those of [`Template::open`].
    pub fn open_in(parts: &dyn Parts, context: &str) -> Result<Self, ForeignError> {
        let text = parse::read(parts, context)?;
        let nodes = text.nodes(&parts.name(0))?;
        let mut sequence = text.sequence;
        sequence.retain(|symbol| nodes.get(*symbol).1 > 0);
        sequence.shrink_to_fit();
        let mut starts = Vec::with_capacity(sequence.len() / STRIDE + 1);
        let mut size = 0;
        for (i, symbol) in sequence.iter().enumerate() {
            if i % STRIDE == 0 {
                starts.push(size);
            }
            size = sum(size, nodes.get(*symbol).1)?;
        }
        Ok(Self {
            nodes,
            values: text.values,
            sequence,
            starts,
            size,
            contexts: text.contexts,
        })
    }

    /// The symbols of the sequence from the one on that byte `offset` lies in, and how far into that.
    fn from(&self, offset: u64) -> (impl Iterator<Item = u32>, u64) {
        let stride = self.starts.partition_point(|start| *start <= offset);
        let stride = stride.saturating_sub(1);
        let mut skip = offset - self.starts.get(stride).copied().unwrap_or(offset);
        let mut at = stride * STRIDE;
        while let Some(symbol) = self.sequence.get(at) {
            let length = self.nodes.get(*symbol).1;
            if skip < length {
                break;
            }
            skip -= length;
            at += 1;
        }
        let rest = self.sequence.get(at..).unwrap_or_default();
        (rest.iter().copied(), skip)
    }
}

/// The length of two things together, within the limit.
fn sum(a: u64, b: u64) -> Result<u64, ForeignError> {
    let value = a.saturating_add(b);
    if value > LIMIT {
        return Err(ForeignError::Limit {
            what: "the size in bytes of the file that the template stands for",
            value,
            limit: LIMIT,
        });
    }
    Ok(value)
}

impl Reader for Template {
    fn size(&self) -> u64 {
        self.size
    }

    fn suffix(&self) -> &'static str {
        ""
    }

    fn chunks(&self) -> Option<Chunks> {
        None
    }

    fn contexts(&self) -> &[String] {
        &self.contexts
    }

    fn worth_keeping(&self) -> Option<usize> {
        let contexts = self
            .contexts
            .iter()
            .map(|name| size_of::<String>() + name.len());
        let vectors = [
            self.nodes.0.capacity() * size_of::<(Node, u64)>(),
            self.values.capacity(),
            self.sequence.capacity() * size_of::<u32>(),
            self.starts.capacity() * size_of::<u64>(),
        ];
        Some(size_of::<Self>() + vectors.into_iter().chain(contexts).sum::<usize>())
    }

    fn check(&self) -> Result<Quality, ForeignError> {
        Ok(Quality::Exact)
    }

    fn verify(&self) -> Result<Quality, ForeignError> {
        // All that is stored was read and checked, with zlib's checksum, when it was opened.
        Ok(Quality::Exact)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, ForeignError> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let (mut sequence, mut skip) = self.from(offset);
        // What is to be expanded next, last first: at most one symbol for each level of rules.
        let mut stack = Vec::new();
        let mut rest = buf;
        while !rest.is_empty() {
            let next = stack.pop().or_else(|| sequence.next());
            let symbol = next.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?;
            let (node, length) = self.nodes.get(symbol);
            if skip >= length {
                skip -= length;
                continue;
            }
            match node {
                Node::Pair(left, right) => stack.extend([right, left]),
                Node::Value(start) => {
                    let start = u64::from(start);
                    let value = usize_of(start + skip)..usize_of(start + length);
                    let value = self.values.get(value).unwrap_or_default();
                    let (to, after) = rest.split_at_mut(rest.len().min(value.len()));
                    to.copy_from_slice(value.get(..to.len()).unwrap_or_default());
                    rest = after;
                    skip = 0;
                }
            }
        }
        Ok(Quality::Exact)
    }
}

#[cfg(test)]
mod tests;
