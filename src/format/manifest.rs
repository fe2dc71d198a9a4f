//! The manifest: descriptor and live attributes; head of a packed object, a file in a spread set.
//!
//! ```text
//! offset  bytes
//!      0      8  "holofs" 00 4d ("M")
//!      8      2  version
//!     10      2  reserved
//!     12      4  D, bytes of the descriptor
//!     16     72  attribute slot 0
//!     88     72  attribute slot 1
//!    160      D  descriptor
//!  160+D     16  check: tag of bytes 0..16, place "manifest"
//!
//! slot:   0      8  sequence number, 0 in a slot never written
//!         8     48  attributes
//!        56     16  tag of bytes 0..56, place "attrslot"
//! ```
//!
//! A manifest has 176 + D bytes. Tags are keyed with the set id, so that the check covers the descriptor too and a
//! slot from elsewhere is not believed. A change of attributes writes the slot with the lower number: whatever
//! happens to that write, the other one still holds what was true before. Both slots lie in the first 512 bytes, so
//! that no two changes can be torn against each other on a medium that writes whole sectors: changes need no sync
//! between them. With one slot damaged the other serves, which may be one change old; with both, the frozen copies
//! do. With the rest damaged the slots still hold, for whoever knows the set id from a chunk or the tail.

use super::FormatError;
use super::attributes::{self, Attributes};
use super::bytes::Reader;
use super::descriptor::{Descriptor, MAX_DESCRIPTOR, SetId};
use crate::coding::hash::{Digest, tag};

/// First bytes of a manifest and thus of a packed object.
pub const MAGIC: &[u8; 8] = b"holofs\0M";
/// Bytes that [`length`] needs.
pub const PREFIX: usize = 16;
const SLOT: usize = 8 + attributes::LENGTH + 16;
const FIXED: usize = PREFIX + 2 * SLOT;

/// A decoded manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What the object is.
    pub descriptor: Descriptor,
    /// Its set id.
    pub set: SetId,
    /// Bytes of the manifest.
    pub length: usize,
    /// Its attribute slots.
    pub slots: Slots,
}

/// The two attribute slots of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    set: SetId,
    /// Live attributes, `None` with both slots damaged.
    pub attributes: Option<Attributes>,
    /// Whether a slot is damaged; the next change writes that one.
    pub damaged: bool,
    /// Number of the slot in force, 0 for none.
    sequence: u64,
    /// Index of the slot in force.
    current: u8,
}

impl Slots {
    /// Reads the slots from the front of a manifest, of which the rest may be damaged, of the object `set`.
    #[must_use]
    pub fn decode(manifest: &[u8], set: SetId) -> Self {
        let slot = |index: usize| {
            let bytes = manifest.get(PREFIX + index * SLOT..)?;
            decode_slot(set, bytes.first_chunk()?)
        };
        let (first, second) = (slot(0), slot(1));
        let damaged = first.is_none() || second.is_none();
        let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
        let current = u8::from(second.0 > first.0);
        let (sequence, attributes) = if current == 1 { second } else { first };
        let attributes = (sequence > 0).then_some(attributes);
        Self {
            set,
            attributes,
            damaged,
            sequence,
            current,
        }
    }

    /// Takes `attributes` for the live ones; what it returns must be written: its place in the file, and the bytes.
    pub fn change(&mut self, attributes: &Attributes) -> (u64, Vec<u8>) {
        self.current = 1 - self.current;
        self.sequence = self.sequence.saturating_add(1);
        self.attributes = Some(*attributes);
        let offset = PREFIX + usize::from(self.current) * SLOT;
        (
            offset as u64,
            encode_slot(self.set, self.sequence, attributes),
        )
    }
}

/// A new manifest.
///
/// # Errors
/// As [`Descriptor::encode`].
pub fn encode(descriptor: &Descriptor, attributes: &Attributes) -> Result<Vec<u8>, FormatError> {
    let version = descriptor.version;
    let descriptor = descriptor.encode()?;
    let set = SetId(Digest::of(&descriptor));
    let length = super::length_field(&descriptor)?;
    let mut out = Vec::with_capacity(FIXED + descriptor.len() + 16);
    out.extend(MAGIC);
    out.extend(version.to_le_bytes());
    out.extend([0; 2]);
    out.extend(length.to_le_bytes());
    let check = tag(&set.0, &out, b"manifest");
    out.extend(encode_slot(set, 1, attributes));
    out.extend(encode_slot(set, 0, &Attributes::default()));
    out.extend(&descriptor);
    out.extend(check);
    Ok(out)
}

/// Bytes of the manifest that begins with `prefix`, of which at least [`PREFIX`] bytes are needed.
///
/// # Errors
/// [`FormatError`]: not a manifest, a newer one, or longer than any can be.
pub fn length(prefix: &[u8]) -> Result<usize, FormatError> {
    let mut r = Reader::new(prefix);
    Ok(FIXED + descriptor_length(&mut r)? + 16)
}

/// Reads a manifest from the front of `bytes`, which may go on after it.
///
/// # Errors
/// [`FormatError`]; damaged attribute slots are none.
pub fn decode(bytes: &[u8]) -> Result<Manifest, FormatError> {
    let mut r = Reader::new(bytes);
    let descriptor_length = descriptor_length(&mut r)?;
    r.bytes(2 * SLOT, "truncated slots")?;
    let descriptor = r.bytes(descriptor_length, "truncated descriptor")?;
    let set = SetId(Digest::of(descriptor));
    let prefix = bytes.get(..PREFIX).unwrap_or_default();
    r.expect(&tag(&set.0, prefix, b"manifest"), "check of the manifest")?;
    Ok(Manifest {
        descriptor: Descriptor::decode(descriptor)?,
        set,
        length: FIXED + descriptor_length + 16,
        slots: Slots::decode(bytes, set),
    })
}

/// Bytes of the manifest of `descriptor`.
#[must_use]
pub fn length_of(descriptor: &Descriptor) -> usize {
    FIXED + descriptor.encoded_length() + 16
}

fn descriptor_length(r: &mut Reader<'_>) -> Result<usize, FormatError> {
    r.expect(MAGIC, "not a manifest")?;
    r.version()?;
    r.expect(&[0; 2], "reserved bytes of the manifest")?;
    r.count(MAX_DESCRIPTOR, "length of the descriptor")
}

fn encode_slot(set: SetId, sequence: u64, attributes: &Attributes) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT);
    out.extend(sequence.to_le_bytes());
    attributes.encode(&mut out);
    let check = tag(&set.0, &out, b"attrslot");
    out.extend(check);
    out
}

/// Number and attributes of a whole slot.
fn decode_slot(set: SetId, slot: &[u8; SLOT]) -> Option<(u64, Attributes)> {
    let (body, check) = slot.split_last_chunk::<16>()?;
    let mut r = Reader::new(body);
    let sequence = r.u64("slot").ok()?;
    let attributes = Attributes::decode(&mut r).ok()?;
    (tag(&set.0, body, b"attrslot") == *check).then_some((sequence, attributes))
}
