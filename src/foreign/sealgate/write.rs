//! Writing templates as the original does: chunks of 64 bytes, rules for pairs of them.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

use super::pairs::{self, Grammar};
use super::{DEFAULT, SYMBOLS, TEXT, Template};
use crate::foreign::{ForeignError, Parts, Reader};

/// The largest file that is written: it is held in memory whole, with a number and counts for each of its chunks. What
/// does not repeat itself is refused long before, since its text has 2.8 times its size (more than [`super::TEXT`]
/// from 23 MiB on).
pub const MOST: u64 = 256 << 20;
/// Bytes of a chunk but the last.
const CHUNK: usize = 64;
/// Bytes compared at a time.
const PIECE: usize = 1 << 20;

/// What a chunk is called after: the first 48 bits of its SHA-256.
type Short = [u8; 6];

/// The template of a file that is called `name`. It has been read back, and is that file.
///
/// # Errors
/// [`ForeignError::Limit`] where the file or its text are too long, [`ForeignError::Unsupported`] where more chunks
/// would have one symbol than there are letters for, [`ForeignError::Damaged`] where it does not read back.
pub fn encode(name: &str, content: &[u8]) -> Result<Vec<u8>, ForeignError> {
    encode_with(name, content, &|chunk| {
        let digest = Sha256::digest(chunk);
        digest.first_chunk().copied().unwrap_or_default()
    })
}

/// Like [`encode`], with this hash.
pub(super) fn encode_with(
    name: &str,
    content: &[u8],
    hash: &dyn Fn(&[u8]) -> Short,
) -> Result<Vec<u8>, ForeignError> {
    if content.len() as u64 > MOST {
        return Err(ForeignError::Limit {
            what: "the size in bytes of a file for a template",
            value: content.len() as u64,
            limit: MOST,
        });
    }
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let mut chunks: Vec<&[u8]> = Vec::new();
    let mut sequence = Vec::with_capacity(content.len().div_ceil(CHUNK));
    for chunk in content.chunks(CHUNK) {
        let next = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let number = *numbers.entry(chunk).or_insert(next);
        if number == next {
            // Of a text too long no more is made than shows it.
            if chunks.len().saturating_mul(2 * CHUNK) as u64 > TEXT {
                return Err(too_long());
            }
            chunks.push(chunk);
        }
        sequence.push(number);
    }
    drop(numbers);
    let names = symbols(name, &chunks, hash)?;
    let total = sequence.len();
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let most = u32::try_from(SYMBOLS).unwrap_or(u32::MAX);
    let grammar = pairs::pair(sequence, count, most);
    let text = Text {
        out: ZlibEncoder::new(Vec::new(), Compression::best()),
        length: 0,
    };
    let written = text.write(name, total, &chunks, &names, &grammar);
    let bytes = written.map_err(|e| match e.kind() {
        io::ErrorKind::FileTooLarge => too_long(),
        _ => e.into(),
    })?;
    compare(&bytes, content)?;
    Ok(bytes)
}

fn too_long() -> ForeignError {
    ForeignError::Limit {
        what: "the length in bytes of the template's text",
        value: TEXT + 1,
        limit: TEXT,
    }
}

/// The symbols of different chunks: with an `L`, since no other file knows them, or with an `S` where the hash of
/// another chunk begins with the same bits.
fn symbols(
    name: &str,
    chunks: &[&[u8]],
    hash: &dyn Fn(&[u8]) -> Short,
) -> Result<Vec<String>, ForeignError> {
    let mut known: HashSet<(char, Short)> = HashSet::new();
    let symbol = |chunk: &&[u8]| {
        let short = hash(chunk);
        let letter = ['L', 'S'].into_iter().find(|l| known.insert((*l, short)));
        let digits = short.iter().fold(String::new(), |digits, byte| {
            digits + &format!("{byte:02x}")
        });
        match letter {
            Some(letter) => Ok(format!("{letter}{digits}")),
            None => Err(ForeignError::Unsupported {
                name: name.to_owned(),
                what: format!("three different chunks would have the symbol {digits}"),
            }),
        }
    };
    chunks.iter().map(symbol).collect()
}

/// The text as it is written, compressed at once.
struct Text {
    out: ZlibEncoder<Vec<u8>>,
    length: u64,
}

impl Text {
    fn put(&mut self, text: &str) -> io::Result<()> {
        self.length += text.len() as u64;
        if self.length > TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.write_all(text.as_bytes())
    }

    /// Writes everything, spaced as Python does.
    fn write(
        mut self,
        name: &str,
        total: usize,
        chunks: &[&[u8]],
        names: &[String],
        grammar: &Grammar,
    ) -> io::Result<Vec<u8>> {
        let symbol = |number: u32| match names.get(number as usize) {
            Some(name) => name.clone(),
            None => format!("R{}", number as usize - names.len()),
        };
        let name = serde_json::to_string(name)?;
        self.put(&format!(
            "{{\"meta\": {{\"chunk_size\": {CHUNK}, \"orig_file\": {name}, \"total_chunks\": {total}}}, \
             \"dictionary\": {{"
        ))?;
        let mut between = "";
        for (name, chunk) in names.iter().zip(chunks) {
            self.put(&format!("{between}\"{name}\": {{\"{DEFAULT}\": \""))?;
            let digits = chunk.iter().flat_map(|byte| {
                [byte >> 4, byte & 15].map(|d| char::from_digit(u32::from(d), 16).unwrap_or('0'))
            });
            self.put(&digits.collect::<String>())?;
            self.put("\"}")?;
            between = ", ";
        }
        self.put("}, \"rules\": {")?;
        between = "";
        for (i, (left, right)) in grammar.rules.iter().enumerate() {
            let (left, right) = (symbol(*left), symbol(*right));
            self.put(&format!("{between}\"R{i}\": [\"{left}\", \"{right}\"]"))?;
            between = ", ";
        }
        self.put("}, \"sequence\": \"")?;
        between = "";
        for number in &grammar.sequence {
            self.put(between)?;
            self.put(&symbol(*number))?;
            between = ",";
        }
        self.put("\"}")?;
        self.out.finish()
    }
}

/// A template in memory.
#[derive(Debug)]
struct Written<'a>(&'a [u8]);

impl Parts for Written<'_> {
    fn count(&self) -> usize {
        1
    }

    fn name(&self, _: usize) -> String {
        "the template written".to_owned()
    }

    fn size(&self, _: usize) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, _: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..));
        let piece = rest.and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(piece.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads a template back.
fn compare(template: &[u8], content: &[u8]) -> Result<(), ForeignError> {
    let template = Template::open(&Written(template))?;
    let mut same = template.size() == content.len() as u64;
    let mut buf = vec![0; PIECE.min(content.len())];
    let mut at = 0;
    for piece in content.chunks(PIECE) {
        let buf = buf.get_mut(..piece.len()).unwrap_or_default();
        if same {
            template.read_at(at, buf)?;
            same = buf == piece;
        }
        at += piece.len() as u64;
    }
    if same {
        Ok(())
    } else {
        let what = "the template that was written reads back as something else";
        Err(ForeignError::Damaged(what.to_owned()))
    }
}
