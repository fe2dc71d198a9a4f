//! Holo.Codec chunk directories that hold any file: magic `HOBI`, versions 1 and 2.
//!
//! # Terms
//! The file of `L` bytes begins with a *prefix* of `coarse_len` bytes, which every chunk holds whole; the other
//! `n = L - coarse_len` bytes are dealt out to `B` *slices*, one per chunk. Small files, up to 1,024 bytes as the
//! original writes them, are all prefix: valid sets with an empty rest.
//!
//! # A chunk
//! Integers are big-endian (the format is Python's `struct` with `>`); the file's name says nothing.
//!
//! | bytes | field |
//! |---|---|
//! | `0 .. 4` | `HOBI` |
//! | `4` | u8 version, 1 or 2 |
//! | `5 .. 13` | u64 `L` |
//! | `13 .. 17` | u32 `B`, at least 1 |
//! | `17 .. 21` | u32 number `b` of this chunk, below `B` |
//! | `21 .. 25` | u32 `coarse_len`, at most `L` |
//! | `25 .. 29` | u32 length of the prefix as stored |
//! | `29 .. 33` | u32 length of the slice as stored |
//! | `33 ..` | the prefix, then the slice, each a zlib stream (RFC 1950) |
//!
//! Element `j` of slice `b` is byte `i = b + jB` of the rest in version 1, byte `i * step mod n` in version 2
//! (`step` by the golden ratio, see the function); with `B = 1` the order is natural in both.
//!
//! # What follows
//! Slices hold no redundancy: without all chunks nothing but the prefix is known, so the file is damaged. The only
//! checksums are the Adler-32 of the zlib streams. An encoder that wrote fewer chunks than the one before it leaves
//! stale chunks of another `B` behind: the `B` of which all chunks are there counts.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::ZlibDecoder;
use parking_lot::Mutex;

use super::{ForeignError, Parts, Reader};

/// First bytes of a chunk.
pub const MAGIC: &[u8] = b"HOBI";
/// The largest file that is decoded: it is held in memory whole, with one slice beside it.
pub const LIMIT: u64 = 1 << 30;
/// Bytes of a chunk's header.
const HEADER: usize = 33;
/// Deflate makes at most 1,032 bytes of one (RFC 1951: 258 bytes from two bits).
const EXPANSION: u64 = 1032;
/// Different copies of the prefix that are looked at before the set is given up.
const COPIES: usize = 4;
/// Chunks that an error names one by one.
const NAMED: usize = 8;

/// What all chunks of a set must agree on besides `B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    version: u8,
    /// `L`.
    length: u64,
    coarse_len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    geometry: Geometry,
    /// `B`.
    blocks: u32,
    /// `b`.
    block: u32,
    coarse_size: u32,
    slice_size: u32,
}

/// One chunk file.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    part: usize,
    header: Header,
}

/// What decoding gave, so that it is done once: the content, or why there is none.
type Decoded = Result<Arc<Vec<u8>>, String>;

/// A chunk directory, open for reading.
#[derive(Debug)]
pub struct Binary {
    parts: Box<dyn Parts>,
    geometry: Geometry,
    blocks: u32,
    /// The chunk files of each number; more than one where somebody copied a chunk.
    chunks: BTreeMap<u32, Vec<Chunk>>,
    /// What is wrong with chunk files that cannot be used.
    unusable: Vec<String>,
    content: Mutex<Option<Decoded>>,
}

impl Binary {
    /// Reads the headers of all parts that are chunks and finds the set among them.
    ///
    /// # Errors
    /// [`ForeignError::Format`] or [`ForeignError::Unsupported`] where there is no usable chunk,
    /// [`ForeignError::Mixed`] where it cannot be told which ones belong together.
    pub fn open(parts: Box<dyn Parts>) -> Result<Self, ForeignError> {
        let mut sets: BTreeMap<u32, BTreeMap<u32, Vec<Chunk>>> = BTreeMap::new();
        let mut unusable = Vec::new();
        let mut first = None;
        for part in 0..parts.count() {
            match header(&*parts, part) {
                Ok(None) => {}
                Ok(Some(header)) => {
                    let set = sets.entry(header.blocks).or_default();
                    let chunk = Chunk { part, header };
                    set.entry(header.block).or_default().push(chunk);
                }
                Err(ForeignError::Io(e)) => return Err(ForeignError::Io(e)),
                Err(e) => {
                    unusable.push(e.to_string());
                    first.get_or_insert(e);
                }
            }
        }
        let complete = |(blocks, set): &(&u32, &BTreeMap<u32, Vec<Chunk>>)| {
            u32::try_from(set.len()).is_ok_and(|have| have == **blocks)
        };
        let whole: Vec<u32> = sets.iter().filter(complete).map(|(b, _)| *b).collect();
        let blocks = match *whole {
            [blocks] => Some(blocks),
            [one, other, ..] => {
                let what = format!("two complete sets, of {one} and of {other} chunks");
                return Err(ForeignError::Mixed(what));
            }
            // None is complete: the one with the most chunks tells the size.
            [] => sets
                .iter()
                .max_by_key(|(_, set)| set.len())
                .map(|(b, _)| *b),
        };
        let chunks = blocks.and_then(|blocks| sets.remove(&blocks));
        let (Some(blocks), Some(chunks)) = (blocks, chunks) else {
            let none = ForeignError::Damaged("no chunk is there".to_owned());
            return Err(first.unwrap_or(none));
        };
        let geometry = one_geometry(&*parts, chunks.values().flatten())?;
        Ok(Self {
            parts,
            geometry,
            blocks,
            chunks,
            unusable,
            content: Mutex::new(None),
        })
    }

    /// The whole file, decoded by the first that asks.
    fn content(&self) -> Result<Arc<Vec<u8>>, ForeignError> {
        let mut kept = self.content.lock();
        match &*kept {
            Some(Ok(content)) => return Ok(Arc::clone(content)),
            Some(Err(what)) => return Err(ForeignError::Damaged(what.clone())),
            None => {}
        }
        match self.decode() {
            Ok(content) => {
                let content = Arc::new(content);
                *kept = Some(Ok(Arc::clone(&content)));
                Ok(content)
            }
            // The medium may recover.
            Err(ForeignError::Io(e)) => Err(ForeignError::Io(e)),
            Err(e) => {
                *kept = Some(Err(e.to_string()));
                Err(e)
            }
        }
    }

    fn decode(&self) -> Result<Vec<u8>, ForeignError> {
        self.check()?;
        let length = self.geometry.length;
        let prefix = self.prefix()?;
        let rest = length - u64::from(self.geometry.coarse_len);
        let lengths = || (0..self.blocks).map(|b| slice_length(rest, self.blocks, b));
        for (length, copies) in lengths().zip(self.chunks.values()) {
            for chunk in copies {
                self.plausible(chunk, chunk.header.slice_size, length, 29)?;
            }
        }
        let mut content = prefix;
        let total = content.len() + usize_of(rest);
        content
            .try_reserve_exact(usize_of(rest))
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let prefix = content.len();
        content.resize(total, 0);
        let out = content.split_at_mut(prefix).1;
        for ((block, copies), length) in self.chunks.iter().zip(lengths()) {
            let slice = self.slice(*block, copies, length)?;
            self.deal(*block, &slice, out);
        }
        Ok(content)
    }

    /// The error that names the missing chunks.
    fn missing(&self) -> ForeignError {
        let have = self.chunks.len();
        let missing = (0..self.blocks).filter(|b| !self.chunks.contains_key(b));
        let names: Vec<_> = missing.take(NAMED).map(|b| b.to_string()).collect();
        let more = u64::from(self.blocks) - have as u64 > NAMED as u64;
        let unusable: Vec<_> = self.unusable.iter().take(NAMED).cloned().collect();
        ForeignError::Damaged(format!(
            "{have} of {} chunks: without {}{}{}{}",
            self.blocks,
            names.join(", "),
            if more { ", ..." } else { "" },
            if unusable.is_empty() { "" } else { "; " },
            unusable.join("; "),
        ))
    }

    /// The prefix: each chunk holds it, so a damaged copy does not matter, but two good ones must agree.
    fn prefix(&self) -> Result<Vec<u8>, ForeignError> {
        let length = u64::from(self.geometry.coarse_len);
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let mut good: Option<(usize, Vec<u8>)> = None;
        for chunk in self.chunks.values().flatten() {
            let stored = chunk.header.coarse_size;
            self.plausible(chunk, stored, length, 25)?;
            let blob = self.read(chunk, HEADER as u64, stored)?;
            if seen.contains(&blob) {
                continue;
            }
            if seen.len() == COPIES {
                let what = format!("more than {COPIES} different copies of the beginning");
                return Err(ForeignError::Mixed(what));
            }
            let copy = inflate(&blob, usize_of(length));
            seen.push(blob);
            match (&good, copy) {
                (None, Some(copy)) => good = Some((chunk.part, copy)),
                (Some((part, known)), Some(copy)) if copy != *known => {
                    return Err(ForeignError::Mixed(format!(
                        "{} and {} are of different files",
                        self.parts.name(*part),
                        self.parts.name(chunk.part)
                    )));
                }
                _ => {}
            }
        }
        good.map(|(_, prefix)| prefix)
            .ok_or_else(|| ForeignError::Damaged("no chunk has a good beginning".to_owned()))
    }

    /// The slice of `length` bytes with this number, from the copies of its chunk.
    fn slice(&self, block: u32, copies: &[Chunk], length: u64) -> Result<Vec<u8>, ForeignError> {
        let mut good: Option<Vec<u8>> = None;
        for chunk in copies {
            let offset = HEADER as u64 + u64::from(chunk.header.coarse_size);
            let blob = self.read(chunk, offset, chunk.header.slice_size)?;
            match (&good, inflate(&blob, usize_of(length))) {
                (None, Some(slice)) => good = Some(slice),
                (Some(known), Some(slice)) if slice != *known => {
                    return Err(ForeignError::Mixed(format!("two different chunks {block}")));
                }
                _ => {}
            }
        }
        good.ok_or_else(|| {
            let names: Vec<_> = copies.iter().map(|c| self.parts.name(c.part)).collect();
            ForeignError::Damaged(format!(
                "{}: damaged data of chunk {block}",
                names.join(", ")
            ))
        })
    }

    /// Puts the elements of a slice where they belong in the rest of the file.
    fn deal(&self, block: u32, slice: &[u8], rest: &mut [u8]) {
        let n = rest.len() as u64;
        let mixed = self.geometry.version > 1 && self.blocks > 1;
        let stride = if mixed { step(n) } else { 1 };
        let mut at = u64::from(block) * stride % n.max(1);
        let advance = u64::from(self.blocks) * stride % n.max(1);
        for byte in slice {
            if let Some(to) = rest.get_mut(usize_of(at)) {
                *to = *byte;
            }
            at = (at + advance) % n;
        }
    }

    /// Refuses lengths that no zlib stream of `length` bytes has, before anything of that length is allocated.
    fn plausible(
        &self,
        chunk: &Chunk,
        stored: u32,
        length: u64,
        field: u64,
    ) -> Result<(), ForeignError> {
        let stored = u64::from(stored);
        // Stored blocks cost 5 bytes in up to 64 KiB, zlib 6 bytes; encoders with small blocks need more.
        let longest = length + length / 64 + 1024;
        if stored > longest || length > stored.saturating_mul(EXPANSION) {
            return Err(ForeignError::Format {
                name: self.parts.name(chunk.part),
                offset: field,
                what: format!("{stored} stored bytes for {length}"),
            });
        }
        Ok(())
    }

    fn read(&self, chunk: &Chunk, offset: u64, length: u32) -> Result<Vec<u8>, ForeignError> {
        let mut bytes = vec![0; usize_of(u64::from(length))];
        self.parts.read_at(chunk.part, offset, &mut bytes)?;
        Ok(bytes)
    }
}

impl Reader for Binary {
    fn size(&self) -> u64 {
        self.geometry.length
    }

    fn suffix(&self) -> &'static str {
        ""
    }

    fn check(&self) -> Result<(), ForeignError> {
        if self.geometry.length > LIMIT {
            return Err(ForeignError::Limit {
                what: "the file in the chunks",
                value: self.geometry.length,
                limit: LIMIT,
            });
        }
        match usize::try_from(self.blocks) {
            Ok(blocks) if blocks == self.chunks.len() => Ok(()),
            _ => Err(self.missing()),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ForeignError> {
        let content = self.content()?;
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| content.get(start..start.checked_add(buf.len())?));
        buf.copy_from_slice(range.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }
}

/// The header of a part; `None` where it is no chunk.
fn header(parts: &dyn Parts, part: usize) -> Result<Option<Header>, ForeignError> {
    let size = parts.size(part);
    let mut bytes = [0; HEADER];
    let there = usize::try_from(size).map_or(HEADER, |size| size.min(HEADER));
    parts.read_at(part, 0, bytes.split_at_mut(there).0)?;
    if there < MAGIC.len() || !bytes.starts_with(MAGIC) {
        return Ok(None);
    }
    let bad = |offset, what: &str| {
        Err(ForeignError::Format {
            name: parts.name(part),
            offset,
            what: what.to_owned(),
        })
    };
    if there < HEADER {
        return bad(size, "the header ends");
    }
    let header = fields(&bytes);
    let version = header.geometry.version;
    if version > 2 {
        return Err(ForeignError::Unsupported {
            name: parts.name(part),
            what: format!("version {version} of Holo.Codec is not supported"),
        });
    }
    if version == 0 {
        return bad(4, "version 0");
    }
    if header.block >= header.blocks {
        return bad(17, "a chunk number beyond the number of chunks");
    }
    if u64::from(header.geometry.coarse_len) > header.geometry.length {
        return bad(21, "a beginning longer than the file");
    }
    let stored = u64::from(header.coarse_size) + u64::from(header.slice_size);
    if HEADER as u64 + stored > size {
        return bad(size, "the data end");
    }
    Ok(Some(header))
}

/// The fields of a header, in their order.
fn fields(bytes: &[u8; HEADER]) -> Header {
    let [_, _, _, _, version, rest @ ..] = *bytes;
    let [l0, l1, l2, l3, l4, l5, l6, l7, words @ ..] = rest;
    #[expect(clippy::big_endian_bytes, reason = "the format is big-endian")]
    let length = u64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
    #[expect(clippy::big_endian_bytes, reason = "the format is big-endian")]
    let word = |at: usize| {
        let word = words.as_chunks::<4>().0.get(at);
        u32::from_be_bytes(word.copied().unwrap_or_default())
    };
    Header {
        geometry: Geometry {
            version,
            length,
            coarse_len: word(2),
        },
        blocks: word(0),
        block: word(1),
        coarse_size: word(3),
        slice_size: word(4),
    }
}

/// The geometry that all chunks share.
fn one_geometry<'a>(
    parts: &dyn Parts,
    mut chunks: impl Iterator<Item = &'a Chunk>,
) -> Result<Geometry, ForeignError> {
    let Some(first) = chunks.next() else {
        return Err(ForeignError::Damaged("no chunk is there".to_owned()));
    };
    let geometry = first.header.geometry;
    match chunks.find(|chunk| chunk.header.geometry != geometry) {
        None => Ok(geometry),
        Some(other) => Err(ForeignError::Mixed(format!(
            "{} and {} are of different files or versions",
            parts.name(first.part),
            parts.name(other.part)
        ))),
    }
}

/// Elements of slice `block` when `n` elements are dealt out to `blocks` slices.
fn slice_length(n: u64, blocks: u32, block: u32) -> u64 {
    n.saturating_sub(u64::from(block))
        .div_ceil(u64::from(blocks))
}

/// The step of the permutation of `n` elements: about `n` times the golden ratio less one, coprime to `n`.
fn step(n: u64) -> u64 {
    if n <= 1 {
        return 1;
    }
    let golden = f64::from_bits(0x3ff9_e377_9b97_f4a8) - 1.0;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the format truncates this product of doubles; n is at most 2^30"
    )]
    let start = ((golden * n as f64) as u64).max(1);
    (start..=start + 1024)
        .find(|step| gcd(*step, n) == 1)
        .unwrap_or(1)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The content of a zlib stream, where it is good and `length` bytes long.
fn inflate(stream: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    let limit = length as u64 + 1;
    let read = ZlibDecoder::new(stream).take(limit).read_to_end(&mut bytes);
    (read.is_ok() && bytes.len() == length).then_some(bytes)
}

/// A length below [`LIMIT`] for memory; on smaller machines than we know of, more than any allocation gives.
fn usize_of(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
