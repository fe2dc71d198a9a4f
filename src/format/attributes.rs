//! Attributes: what changes about a file while its content stays, and the frozen copies of them.
//!
//! ```text
//! attributes, 48 bytes          frozen copy, 50 + n bytes
//! offset  bytes                 offset  bytes
//!      0      4  mode                0     48  attributes, mode masked to 0o700
//!      4      4  uid                48      2  n, length of the name, 1..=255
//!      8      4  gid                50      n  name, neither "." nor "..", without "/" and NUL
//!     12     12  mtime
//!     24     12  ctime
//!     36      8  logical inode number
//!     44      4  generation
//! ```
//!
//! A time is 8 bytes of seconds since 1970 (signed) and 4 of nanoseconds below 10^9.

use super::bytes::Reader;
use super::{FormatError, MAX_NAME, Time};

/// Bytes of encoded attributes.
pub(super) const LENGTH: usize = 48;

/// What changes about a file while its content stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Permission bits, 0..=0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Logical inode number, 63 bits.
    pub ino: u64,
    /// Orders the sets of one name: the newer one is higher.
    pub generation: u32,
}

impl Attributes {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.mode, self.uid, self.gid] {
            out.extend(number.to_le_bytes());
        }
        for time in [self.mtime, self.ctime] {
            time.encode(out);
        }
        out.extend(self.ino.to_le_bytes());
        out.extend(self.generation.to_le_bytes());
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, FormatError> {
        const WHAT: &str = "truncated attributes";
        let attributes = Self {
            mode: r.u32(WHAT)?,
            uid: r.u32(WHAT)?,
            gid: r.u32(WHAT)?,
            mtime: Time::decode(r)?,
            ctime: Time::decode(r)?,
            ino: r.u64(WHAT)?,
            generation: r.u32(WHAT)?,
        };
        if attributes.mode > 0o7777 {
            return Err(r.wrong("mode bits"));
        }
        Ok(attributes)
    }
}

impl Time {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.extend(self.secs.to_le_bytes());
        out.extend(self.nanos.to_le_bytes());
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, FormatError> {
        let time = Self {
            secs: r.i64("truncated time")?,
            nanos: r.u32("truncated time")?,
        };
        if time.nanos < 1_000_000_000 {
            Ok(time)
        } else {
            Err(r.wrong("nanoseconds"))
        }
    }
}

/// Name and attributes as they were when a chunk was made, for when nothing else is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Logical name, 1..=255 bytes without `/` and NUL.
    pub name: Vec<u8>,
    /// Attributes; the mode is for the owner only.
    pub attributes: Attributes,
}

impl Frozen {
    /// Freezes attributes: nobody but the owner may use what is rescued, and never with another's rights.
    ///
    /// # Errors
    /// [`FormatError::Malformed`] for what is no file name.
    pub fn new(name: &[u8], attributes: &Attributes) -> Result<Self, FormatError> {
        let reserved = name.is_empty() || name == b"." || name == b"..";
        if reserved || name.len() > MAX_NAME || name.iter().any(|b| matches!(b, 0 | b'/')) {
            return Err(FormatError::Malformed {
                what: "name",
                offset: LENGTH,
            });
        }
        let attributes = Attributes {
            mode: attributes.mode & 0o700,
            ..*attributes
        };
        Ok(Self {
            name: name.to_vec(),
            attributes,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let checked = Self::new(&self.name, &self.attributes)?;
        let length = u16::try_from(checked.name.len()).map_err(|_| FormatError::Malformed {
            what: "name",
            offset: LENGTH,
        })?;
        checked.attributes.encode(out);
        out.extend(length.to_le_bytes());
        out.extend(&checked.name);
        Ok(())
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, FormatError> {
        let attributes = Attributes::decode(r)?;
        let length = r.u16("truncated frozen copy")?;
        Self::new(
            r.bytes(length.into(), "truncated frozen copy")?,
            &attributes,
        )
    }
}
