//! The tail of a packed object: descriptor and frozen copy again, found from the end of the file.
//!
//! ```text
//! offset  bytes
//!      0      D  descriptor
//!      D      F  frozen copy of name and attributes
//!    D+F      4  D
//!  D+F+4      2  F
//!  D+F+6     16  check: tag of all bytes before it, place "packtail", keyed with the set id
//! D+F+22      2  version
//! D+F+24      8  "holofs" 00 54 ("T")
//! ```
//!
//! The tail has 32 + D + F bytes; its last [`TRAILER`] bytes tell the rest.

use super::attributes::Frozen;
use super::bytes::Reader;
use super::descriptor::{Descriptor, MAX_DESCRIPTOR, SetId};
use super::{FormatError, MAX_NAME};
use crate::coding::hash::{Digest, tag};

/// Last bytes of a packed object.
pub const MAGIC: &[u8; 8] = b"holofs\0T";
/// Bytes that [`length`] needs.
pub const TRAILER: usize = 32;
/// Bytes of the trailer that the check does not cover: itself, version, magic.
const UNCHECKED: usize = 26;
/// Where in the trailer the version stands.
const VERSION_AT: usize = 22;

/// A decoded tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// What the object is.
    pub descriptor: Descriptor,
    /// Its set id.
    pub set: SetId,
    /// Name and attributes when the object was made.
    pub frozen: Frozen,
    /// Bytes of the tail.
    pub length: usize,
}

/// A new tail.
///
/// # Errors
/// As [`Descriptor::encode`], and when the frozen name is none.
pub fn encode(descriptor: &Descriptor, frozen: &Frozen) -> Result<Vec<u8>, FormatError> {
    let mut out = descriptor.encode()?;
    let set = SetId(Digest::of(&out));
    let descriptor_length = super::length_field(&out)?;
    let before = out.len();
    frozen.encode(&mut out)?;
    let frozen_length = u16::try_from(out.len() - before).map_err(|_| FormatError::Malformed {
        what: "frozen copy",
        offset: before,
    })?;
    out.extend(descriptor_length.to_le_bytes());
    out.extend(frozen_length.to_le_bytes());
    let check = tag(&set.0, &out, b"packtail");
    out.extend(check);
    out.extend(descriptor.version.to_le_bytes());
    out.extend(MAGIC);
    Ok(out)
}

/// Bytes of the tail that `end` is the end of; at least [`TRAILER`] bytes are needed.
///
/// # Errors
/// [`FormatError`]: not a tail, a newer one, or longer than any can be.
pub fn length(end: &[u8]) -> Result<usize, FormatError> {
    let found = lengths(end)?;
    Ok(found.descriptor + found.frozen + TRAILER)
}

/// Reads the tail at the end of `bytes`, which may begin before it.
///
/// # Errors
/// [`FormatError`]; offsets in it count from the beginning of the tail.
pub fn decode(bytes: &[u8]) -> Result<Tail, FormatError> {
    let found = lengths(bytes)?;
    let length = found.descriptor + found.frozen + TRAILER;
    let truncated = FormatError::Malformed {
        what: "truncated tail",
        offset: 0,
    };
    let start = bytes.len().checked_sub(length).ok_or(truncated)?;
    let tail = bytes.get(start..).unwrap_or_default();
    let mut r = Reader::new(tail);
    let descriptor = r.bytes(found.descriptor, "truncated descriptor")?;
    let frozen = r.bytes(found.frozen, "truncated frozen copy")?;
    let set = SetId(Digest::of(descriptor));
    let checked = tail.get(..length - UNCHECKED).unwrap_or_default();
    if tag(&set.0, checked, b"packtail") != found.check {
        return Err(FormatError::Malformed {
            what: "check of the tail",
            offset: checked.len(),
        });
    }
    let descriptor = Descriptor::decode(descriptor)?;
    // The check does not cover it.
    if descriptor.version != found.version {
        return Err(FormatError::Malformed {
            what: "version of the tail",
            offset: length - TRAILER + VERSION_AT,
        });
    }
    let mut copy = Reader::new(frozen);
    let frozen = Frozen::decode(&mut copy)?;
    copy.end()?;
    Ok(Tail {
        descriptor,
        set,
        frozen,
        length,
    })
}

/// What the trailer says.
struct Found {
    /// Bytes of the descriptor.
    descriptor: usize,
    /// Bytes of the frozen copy.
    frozen: usize,
    check: [u8; 16],
    version: u16,
}

fn lengths(end: &[u8]) -> Result<Found, FormatError> {
    let trailer = end.last_chunk::<TRAILER>().ok_or(FormatError::Malformed {
        what: "truncated tail",
        offset: 0,
    })?;
    // Magic and version stand last in the file and are looked at first.
    let mut last = Reader::new(trailer.get(VERSION_AT..).unwrap_or_default());
    let version = last.array::<2>("truncated tail")?;
    last.expect(MAGIC, "not the tail of a packed object")?;
    let version = Reader::new(&version).version()?;
    let mut r = Reader::new(trailer);
    let descriptor = r.count(MAX_DESCRIPTOR, "length of the descriptor")?;
    let frozen = usize::from(r.u16("truncated tail")?);
    if frozen > 50 + MAX_NAME {
        return Err(r.wrong("length of the frozen copy"));
    }
    Ok(Found {
        descriptor,
        frozen,
        check: r.array("truncated tail")?,
        version,
    })
}
