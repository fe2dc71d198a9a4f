//! Chunk files of a spread set: each says by itself what it belongs to.
//!
//! ```text
//! offset  bytes
//!      0      8  "holofs" 00 43 ("C")
//!      8      2  version
//!     10      1  index of the chunk, 0..N
//!     11      1  reserved
//!     12      4  D, bytes of the descriptor
//!     16      2  F, bytes of the frozen copy, 51..=305
//!     18      2  reserved
//!     20      D  descriptor
//!   20+D      F  frozen copy of name and attributes
//! 20+D+F     16  check: tag of all bytes before it, place "chunkhdr", keyed with the set id
//! 36+D+F         body ([`super::geometry`])
//! ```
//!
//! The index in the header counts, the one in the file's name is a hint: `chunk_0003.9f2c41aa.holo` is the name of
//! chunk 3 of generation 0x9f2c41aa, and whoever renames it loses nothing.

use super::attributes::Frozen;
use super::bytes::Reader;
use super::descriptor::{Descriptor, MAX_DESCRIPTOR, SetId};
use super::{FormatError, MAX_NAME};
use crate::coding::hash::{Digest, tag};

/// First bytes of a chunk file.
pub const MAGIC: &[u8; 8] = b"holofs\0C";
/// Bytes that [`length`] needs.
pub const PREFIX: usize = 20;
const MAX_FROZEN: usize = 50 + MAX_NAME;

/// A decoded chunk header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Index of the chunk in its set.
    pub index: u8,
    /// What the object is.
    pub descriptor: Descriptor,
    /// Its set id.
    pub set: SetId,
    /// Name and attributes when the chunk was made.
    pub frozen: Frozen,
    /// Bytes of the header; the body follows.
    pub length: usize,
}

/// A new chunk header.
///
/// # Errors
/// As [`Descriptor::encode`], and when there is no such chunk or the frozen name is none.
pub fn encode(index: u8, descriptor: &Descriptor, frozen: &Frozen) -> Result<Vec<u8>, FormatError> {
    if index >= descriptor.chunks {
        return Err(FormatError::Malformed {
            what: "index of the chunk",
            offset: 10,
        });
    }
    let version = descriptor.version;
    let descriptor = descriptor.encode()?;
    let set = SetId(Digest::of(&descriptor));
    let mut copy = Vec::new();
    frozen.encode(&mut copy)?;
    let frozen_length = u16::try_from(copy.len()).map_err(|_| FormatError::Malformed {
        what: "frozen copy",
        offset: 16,
    })?;
    let mut out = Vec::with_capacity(PREFIX + descriptor.len() + copy.len() + 16);
    out.extend(MAGIC);
    out.extend(version.to_le_bytes());
    out.extend([index, 0]);
    out.extend(super::length_field(&descriptor)?.to_le_bytes());
    out.extend(frozen_length.to_le_bytes());
    out.extend([0; 2]);
    out.extend(&descriptor);
    out.extend(&copy);
    let check = tag(&set.0, &out, b"chunkhdr");
    out.extend(check);
    Ok(out)
}

/// Bytes of the header that begins with `prefix`, of which at least [`PREFIX`] bytes are needed.
///
/// # Errors
/// [`FormatError`]: not a chunk, a newer one, or longer than any can be.
pub fn length(prefix: &[u8]) -> Result<usize, FormatError> {
    let (_, descriptor, frozen) = lengths(&mut Reader::new(prefix))?;
    Ok(PREFIX + descriptor + frozen + 16)
}

/// Reads a header from the front of `bytes`, which may go on after it.
///
/// # Errors
/// [`FormatError`].
pub fn decode(bytes: &[u8]) -> Result<Header, FormatError> {
    let mut r = Reader::new(bytes);
    let (index, descriptor_length, frozen_length) = lengths(&mut r)?;
    let descriptor = r.bytes(descriptor_length, "truncated descriptor")?;
    let frozen = r.bytes(frozen_length, "truncated frozen copy")?;
    let set = SetId(Digest::of(descriptor));
    let body = PREFIX + descriptor_length + frozen_length;
    let checked = bytes.get(..body).unwrap_or_default();
    r.expect(
        &tag(&set.0, checked, b"chunkhdr"),
        "check of the chunk header",
    )?;
    let descriptor = Descriptor::decode(descriptor)?;
    if index >= descriptor.chunks {
        return Err(FormatError::Malformed {
            what: "index of the chunk",
            offset: 10,
        });
    }
    let mut copy = Reader::new(frozen);
    let frozen = Frozen::decode(&mut copy)?;
    copy.end()?;
    Ok(Header {
        index,
        descriptor,
        set,
        frozen,
        length: body + 16,
    })
}

fn lengths(r: &mut Reader<'_>) -> Result<(u8, usize, usize), FormatError> {
    r.expect(MAGIC, "not a chunk")?;
    r.version()?;
    let index = r.u8("truncated chunk header")?;
    r.expect(&[0], "reserved bytes of the chunk header")?;
    let descriptor = r.count(MAX_DESCRIPTOR, "length of the descriptor")?;
    let frozen = usize::from(r.u16("truncated chunk header")?);
    if frozen > MAX_FROZEN {
        return Err(r.wrong("length of the frozen copy"));
    }
    r.expect(&[0; 2], "reserved bytes of the chunk header")?;
    Ok((index, descriptor, frozen))
}

/// The name of a chunk file.
#[must_use]
pub fn file_name(index: u8, generation: u32) -> String {
    format!("chunk_{index:04}.{generation:08x}.holo")
}

/// Index and generation that a chunk file's name tells, `None` for other names.
#[must_use]
pub fn parse_name(name: &[u8]) -> Option<(u16, u32)> {
    let rest = name.strip_prefix(b"chunk_")?.strip_suffix(b".holo")?;
    let (index, generation) = rest.split_at_checked(4)?;
    let generation = generation
        .strip_prefix(b".")
        .filter(|digits| digits.len() == 8)?;
    let index = index.iter().try_fold(0, |sum: u16, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u16::from(digit - b'0'))
    })?;
    let generation = generation.iter().try_fold(0, |sum: u32, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum << 4 | u32::from(value))
    })?;
    Some((index, generation))
}
