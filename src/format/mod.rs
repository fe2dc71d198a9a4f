//! The formats of holofs on disk: descriptors, attributes, manifests, chunks and packed objects.
//!
//! # Terms
//!
//! An *object* is an encoded file: a [descriptor] and *layers*, byte sequences in order of importance. A layer is cut
//! into *rows* of K *units*; each row gets N - K parity units, and unit i of every row goes to *chunk* i, so that any
//! K of the N chunks hold the layer. A unit on disk has a hash before it: a *record*. The chunks of one object are a
//! *set*; the *set id* is the hash of the descriptor. The [manifest] holds descriptor and live [attributes].
//!
//! # Picture
//!
//! ```text
//! spread: the directory x.holo/            packed: the file x.holo
//!
//! manifest                                 +----------------------------+ 0
//! +----------------------------+           | manifest                   |
//! | manifest                   |           +----------------------------+ M = 176 + D
//! +----------------------------+           | body of chunk 0            |
//!                                          +----------------------------+ M + B
//! chunk_0000.9f2c41aa.holo                 | body of chunk 1            |
//! +----------------------------+           +----------------------------+ M + 2 B
//! | chunk header               |           | ...                        |
//! +----------------------------+ 36 + D + F+----------------------------+ M + N B
//! | body of chunk 0            |           | tail                       |
//! +----------------------------+           +----------------------------+ M + N B + 32 + D + F
//!
//! body, B bytes: the records of layer 0, row by row, then those of layer 1, ...
//! record: hash (16 bytes), unit; in full rows a unit has `unit` bytes, in the last one ceil(rest / K)
//! ```
//!
//! The fields are in the modules: [descriptor], [attributes], [manifest], [chunk], [tail], [geometry]; the content of
//! an object may be a [bundle] of many files. The erasure code is that of [`crate::coding::erasure`], all hashes are
//! BLAKE3 ([`crate::coding::hash`]).
//!
//! # Rules
//!
//! * All numbers are little-endian. Reserved bytes are zero, and a reader refuses others.
//! * The version is the first thing looked at after the magic bytes. Version 1 is written, and version 0,
//!   which had files only ([`ObjectKind`]), is read for ever; a higher one is refused as [`FormatError::Newer`].
//!   All parts of an object carry the version of its descriptor.
//! * Every length has a limit that is checked before anything is allocated for it.
//!
//! # Worked sizes
//!
//! D is the length of the descriptor: 69 bytes for one layer without holes and settings. F is that of the frozen
//! copy: 55 for a name of 5 bytes. Thus a manifest takes 245 bytes, a tail 156, a chunk header 160. Bytes stored for
//! one layer as long as the file (a codec may make it shorter, and adds its settings and segment table):
//!
//! | layer | none, packed | light, packed | light, spread | standard, packed | standard, spread |
//! |---|---|---|---|---|---|
//! | 1 KB | 1417 | 1729 | 4133 | 1809 | 4213 |
//! | 1 MB | 1000657 | 1067585 | 1069989 | 1143777 | 1146181 |
//! | 1 GB | 1000244545 | 1066927681 | 1066930085 | 1143136593 | 1143138997 |
//!
//! # What follows for recovery
//!
//! * Every chunk file of a spread set says what it belongs to: without the manifest, the directory or its name, any
//!   K of them give the content, its name, times and owner ([attributes] as they were when the set was made).
//! * A packed object with its head destroyed is read by its tail, one with its tail cut off by its head. Both know
//!   where all bodies are, since they have equal lengths, and what lies where a hash does not hold is an erasure.
//! * A unit's hash is bound to its set, layer, row and chunk: a unit of another set, or one that a misdirected write
//!   put elsewhere, is never taken for the right one.
//! * A bad unit costs its row one of N - K spare units and other rows nothing. Repair of a unit reads one row.

pub mod attributes;
pub mod bundle;
mod bytes;
pub mod chunk;
pub mod descriptor;
pub mod geometry;
pub mod manifest;
pub mod tail;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;

pub use crate::coding::hash::Digest;
pub use attributes::{Attributes, Frozen};
pub use bundle::Bundle;
pub use descriptor::{Descriptor, Extent, LayerSpec, ObjectKind, SetId};
pub use geometry::Geometry;
pub use manifest::Manifest;

/// The version that is written, and the highest that is read; all lower ones are read, too.
pub const VERSION: u16 = 1;
/// Most layers of an object.
pub const MAX_LAYERS: usize = 64;
/// Most holes of a content; whoever finds more keeps the longest.
pub const MAX_HOLES: usize = 4096;
/// Most bytes of codec settings.
pub const MAX_SETTINGS: usize = 64 << 10;
/// Most bytes of a name.
pub const MAX_NAME: usize = 255;

/// The length of an encoded descriptor as headers keep it.
fn length_field(descriptor: &[u8]) -> Result<u32, FormatError> {
    u32::try_from(descriptor.len()).map_err(|_| FormatError::Limit {
        what: "length of the descriptor",
        value: descriptor.len() as u64,
        limit: descriptor::MAX_DESCRIPTOR as u64,
    })
}

/// A point in time as filesystems keep it: seconds since 1970 (may be negative) and nanoseconds 0..10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Time {
    /// Whole seconds, rounded towards minus infinity.
    pub secs: i64,
    /// Nanoseconds after `secs`.
    pub nanos: u32,
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.secs, self.nanos).cmp(&(other.secs, other.nanos))
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What can be wrong with bytes that claim to be in one of our formats.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The bytes are not in this format, or are damaged.
    #[error("{what} at byte {offset}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Where, from the beginning of the structure.
        offset: usize,
    },
    /// Written by a newer holofs.
    #[error("format version {0} is newer than this program reads")]
    Newer(u16),
    /// A number in the bytes exceeds a limit of this program.
    #[error("{what} is {value}, more than the limit {limit}")]
    Limit {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The limit.
        limit: u64,
    },
}

/// Why bytes of a layer cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Too few intact units are left for the asked range.
    #[error("layer {layer}: {have} of {need} units intact in the row at byte {offset}")]
    Missing {
        /// Index of the layer.
        layer: usize,
        /// First byte of the row inside the layer.
        offset: u64,
        /// Intact units.
        have: usize,
        /// Units needed.
        need: usize,
    },
    /// The range lies outside the layer, or the layer does not exist.
    #[error("layer {layer} has no bytes {offset}..+{length}")]
    Outside {
        /// Index of the layer.
        layer: usize,
        /// First byte asked for.
        offset: u64,
        /// Bytes asked for.
        length: usize,
    },
    /// A dictionary that the content was coded with is not there, or is not what it was.
    #[error("the dictionary {id} is missing")]
    Dictionary {
        /// Its id: the BLAKE3 of its bytes.
        id: Digest,
    },
    /// The medium failed in a way that is not a missing share (out of memory, interrupted, ...).
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The layers of one object, readable at any offset: what codecs decode from and holograms protect.
pub trait Layers: Send + Sync {
    /// How many layers there are.
    fn count(&self) -> usize;
    /// Length of a layer in bytes; 0 for one that does not exist.
    fn len(&self, layer: usize) -> u64;
    /// Fills `buf` from byte `offset` of `layer`.
    ///
    /// # Errors
    /// [`LayerError`]; `buf` holds no promised bytes then.
    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError>;
    /// A dictionary that files share, by the BLAKE3 of its bytes.
    ///
    /// # Errors
    /// [`LayerError::Dictionary`] where there is none, and [`LayerError::Io`].
    fn dictionary(&self, id: &Digest) -> Result<Arc<[u8]>, LayerError> {
        Err(LayerError::Dictionary { id: *id })
    }
    /// Fills `buf` from byte `offset` of a base that files share, by the BLAKE3 of all of it.
    ///
    /// # Errors
    /// [`LayerError::Dictionary`] where that cannot be read.
    fn base(&self, id: &Digest, _offset: u64, _buf: &mut [u8]) -> Result<(), LayerError> {
        Err(LayerError::Dictionary { id: *id })
    }
}

impl<T: Layers + ?Sized> Layers for Arc<T> {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn len(&self, layer: usize) -> u64 {
        (**self).len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        (**self).read_at(layer, offset, buf)
    }

    fn dictionary(&self, id: &Digest) -> Result<Arc<[u8]>, LayerError> {
        (**self).dictionary(id)
    }

    fn base(&self, id: &Digest, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        (**self).base(id, offset, buf)
    }
}
