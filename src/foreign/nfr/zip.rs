//! Entries of a zip archive that are stored as they are, as torch writes them.
//!
//! From the end (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16; little-endian):
//!
//! | record | fields that are read, by offset |
//! |---|---|
//! | end `PK\5\6`, in the last 22 + 65535 bytes | 10: u16 entries; 12: u32 length, 16: u32 offset of the directory |
//! | directory `PK\1\2`, 46 bytes | 8: u16 flags (bit 0: encrypted); 10: u16 method; 20, 24: u32 sizes, packed and not; 28, 30, 32: u16 lengths of name, extra field, comment; 42: u32 offset of the entry |
//! | entry `PK\3\4`, 30 bytes | 26, 28: u16 lengths of name and extra field, after which come the bytes |

use std::collections::HashMap;

use super::{Place, part};
use crate::foreign::{ForeignError, Parts};

/// Bytes of the end record without its comment, of a record of the directory, and of an entry's head.
const END: usize = 22;
const RECORD: usize = 46;
const HEAD: usize = 30;
/// The longest comment.
const COMMENT: usize = 0xffff;
/// The longest directory.
const DIRECTORY: u64 = 1 << 20;

/// Where entries lie, by name.
#[derive(Debug)]
pub(super) struct Zip<'a> {
    parts: &'a dyn Parts,
    entries: HashMap<String, Entry>,
}

/// An entry of the directory.
#[derive(Debug, Clone, Copy)]
struct Entry {
    head: u64,
    size: u64,
    stored: bool,
}

/// The field at `at`, where there is one.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    field(bytes, at).map(u16::from_le_bytes).map(usize::from)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u32::from_le_bytes).map(u64::from)
}

impl<'a> Zip<'a> {
    /// Reads the directory of the only part.
    pub(super) fn read(parts: &'a dyn Parts) -> Result<Self, ForeignError> {
        let place = Place(parts);
        let size = parts.size(0);
        let wanted = size.min((END + COMMENT) as u64);
        let tail = part(parts, size - wanted, wanted)?;
        let end = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
        let end = end
            .and_then(|at| tail.get(at..at + END))
            .unwrap_or_default();
        let (Some(length), Some(offset)) = (long(end, 12), long(end, 16)) else {
            return Err(place.wrong(size, "a zip archive without its end"));
        };
        if length > DIRECTORY {
            return Err(ForeignError::Limit {
                what: "the length in bytes of the archive's directory",
                value: length,
                limit: DIRECTORY,
            });
        }
        let directory = part(parts, offset, length)?;
        let mut entries = HashMap::new();
        let mut rest = directory.as_slice();
        while !rest.is_empty() {
            let at = offset + (directory.len() - rest.len()) as u64;
            let (name, entry, after) = record(rest)
                .ok_or_else(|| place.wrong(at, "a record of an archive that is none"))?;
            if entries.insert(name, entry).is_some() {
                return Err(place.wrong(at, "a name that is in the archive twice"));
            }
            rest = after;
        }
        Ok(Self { parts, entries })
    }

    /// The name that ends like this, where there is just one.
    pub(super) fn ending(&self, ending: &str) -> Option<&str> {
        let mut names = self.entries.keys().filter(|name| name.ends_with(ending));
        let name = names.next()?;
        names.next().is_none().then_some(name)
    }

    /// The bytes of an entry, at most `most`.
    pub(super) fn entry(&self, name: &str, most: u64) -> Result<Vec<u8>, ForeignError> {
        let place = Place(self.parts);
        let missing = || ForeignError::Damaged(format!("{}: no '{name}' in it", place.name()));
        let entry = self.entries.get(name).ok_or_else(missing)?;
        if !entry.stored {
            return Err(ForeignError::Unsupported {
                name: place.name(),
                what: format!("'{name}' is compressed or encrypted, which torch does not do"),
            });
        }
        if entry.size > most {
            return Err(ForeignError::Limit {
                what: "the size in bytes of a file in the archive",
                value: entry.size,
                limit: most,
            });
        }
        let head = part(self.parts, entry.head, HEAD as u64)?;
        let lengths = short(&head, 26).zip(short(&head, 28));
        let (name, extra) = lengths
            .filter(|_| head.starts_with(b"PK\x03\x04"))
            .ok_or_else(|| place.wrong(entry.head, "an entry of an archive that is none"))?;
        part(
            self.parts,
            entry.head + (HEAD + name + extra) as u64,
            entry.size,
        )
    }
}

/// A record of the directory: its name, what it says, and what comes after it.
fn record(bytes: &[u8]) -> Option<(String, Entry, &[u8])> {
    if !bytes.starts_with(b"PK\x01\x02") {
        return None;
    }
    let (packed, size) = (long(bytes, 20)?, long(bytes, 24)?);
    let encrypted = short(bytes, 8)? & 1 != 0;
    let entry = Entry {
        head: long(bytes, 42)?,
        size,
        stored: short(bytes, 10)? == 0 && !encrypted && packed == size,
    };
    let name = short(bytes, 28)?;
    let rest = RECORD + name + short(bytes, 30)? + short(bytes, 32)?;
    let name = bytes.get(RECORD..RECORD + name)?;
    Some((
        String::from_utf8_lossy(name).into_owned(),
        entry,
        bytes.get(rest..)?,
    ))
}
