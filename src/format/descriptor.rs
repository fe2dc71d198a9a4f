//! The descriptor: what an object is, the same bytes in its manifest, its tail and every chunk.
//!
//! ```text
//! offset  bytes
//!      0      2  version
//!      2      2  codec, a number of `codec::CodecId`
//!      4      1  N, chunks of the set, 1..=255
//!      5      1  L, layers, 1..=64
//!      6      1  what the content is, a number of [`ObjectKind`]; 0 in version 0
//!      7      1  reserved
//!      8      4  unit, most bytes of one unit, 16..=65536
//!     12      4  H, holes, at most 4096
//!     16      4  S, bytes of settings, at most 65536
//!     20      8  size of the content in bytes, below 2^63
//!     28     32  BLAKE3 of the content, holes as zeros
//!     60    9 L  layers: K (1 byte, K_0 <= K_1 <= ... <= N), length in bytes (8, at most 2^48)
//!           16 H  holes: offset, length (8 each), neither empty nor touching, ascending, inside the content
//!              S  settings of the codec
//! ```
//!
//! An object of one layer without holes and settings has a descriptor of 69 bytes. The *set id* is the BLAKE3 of the
//! encoded descriptor: it has no times and no names in it, so that equal content and settings have equal ids.

use std::fmt;

use super::bytes::Reader;
use super::{Digest, FormatError, MAX_HOLES, MAX_LAYERS, MAX_SETTINGS, VERSION};

/// Most bytes of one unit unless something else is asked for.
pub const DEFAULT_UNIT: u32 = 64 << 10;

/// Smallest and largest value of [`Descriptor::unit`]. Below, the hashes would outweigh the data.
const UNITS: std::ops::RangeInclusive<u32> = 16..=64 << 10;
/// Most bytes of a layer (256 TiB): 64 layers * 2 (units of 16 bytes with their hashes) * 255 chunks stay below 2^63.
const MAX_LAYER: u64 = 1 << 48;
const FIXED: usize = 60;
/// Most bytes of a descriptor: 60 + 64 * 9 + 4096 * 16 + 65536.
pub const MAX_DESCRIPTOR: usize = FIXED + 9 * MAX_LAYERS + 16 * MAX_HOLES + MAX_SETTINGS;

/// The identity of a set: only chunks with equal ids are ever combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub Digest);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of the content that was never written and reads as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Bytes, at least 1.
    pub length: u64,
}

/// What the content of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum ObjectKind {
    /// The bytes of a file.
    #[default]
    File = 0,
    /// A bundle of all that is in a directory.
    Tree = 1,
    /// A bundle of the variants of a file.
    Variants = 2,
}

impl ObjectKind {
    fn of(number: u8) -> Option<Self> {
        [Self::File, Self::Tree, Self::Variants]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerSpec {
    /// Chunks that any read of the layer needs at most; data units of a row.
    pub k: u8,
    /// Bytes of the layer.
    pub length: u64,
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The version in which it was written, at most [`VERSION`]: part of the set id.
    pub version: u16,
    /// Bytes of the content.
    pub size: u64,
    /// BLAKE3 of the content, holes as zeros.
    pub hash: Digest,
    /// Holes of the content: ascending, apart, inside it, at most [`MAX_HOLES`].
    pub holes: Vec<Extent>,
    /// What the content is.
    pub kind: ObjectKind,
    /// Number of the codec.
    pub codec: u16,
    /// Settings of the codec, at most [`MAX_SETTINGS`] bytes.
    pub settings: Vec<u8>,
    /// Chunks of the set, 1..=255.
    pub chunks: u8,
    /// Layers in order of importance, 1..=[`MAX_LAYERS`].
    pub layers: Vec<LayerSpec>,
    /// Most bytes of one unit, 16..=65536.
    pub unit: u32,
}

impl Descriptor {
    /// The bytes of the descriptor.
    ///
    /// # Errors
    /// [`FormatError`] when a field is outside its limits, exactly as [`Descriptor::decode`] would say.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let limit = |what, value: usize, limit: usize| match u32::try_from(value) {
            Ok(number) if value <= limit => Ok(number),
            _ => Err(FormatError::Limit {
                what,
                value: value as u64,
                limit: limit as u64,
            }),
        };
        let holes = limit("number of holes", self.holes.len(), MAX_HOLES)?;
        let settings = limit("length of settings", self.settings.len(), MAX_SETTINGS)?;
        let too_many = FormatError::Limit {
            what: "number of layers",
            value: self.layers.len() as u64,
            limit: MAX_LAYERS as u64,
        };
        let layers = u8::try_from(self.layers.len()).map_err(|_| too_many)?;
        self.check()?;
        let mut out = Vec::with_capacity(self.encoded_length());
        out.extend(self.version.to_le_bytes());
        out.extend(self.codec.to_le_bytes());
        out.extend([self.chunks, layers, self.kind as u8, 0]);
        out.extend(self.unit.to_le_bytes());
        out.extend(holes.to_le_bytes());
        out.extend(settings.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.hash.0);
        for layer in &self.layers {
            out.push(layer.k);
            out.extend(layer.length.to_le_bytes());
        }
        for hole in &self.holes {
            out.extend(hole.offset.to_le_bytes());
            out.extend(hole.length.to_le_bytes());
        }
        out.extend(&self.settings);
        Ok(out)
    }

    /// Reads a descriptor that fills `bytes`.
    ///
    /// # Errors
    /// [`FormatError`]; nothing is allocated beyond the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut r = Reader::new(bytes);
        let version = r.version()?;
        let codec = r.u16("truncated descriptor")?;
        let chunks = r.u8("truncated descriptor")?;
        let layers = r.u8("truncated descriptor")?;
        let kind = r.u8("truncated descriptor")?;
        let kind = ObjectKind::of(kind).ok_or_else(|| r.wrong("what the content is"))?;
        r.expect(&[0], "reserved byte of the descriptor")?;
        let unit = r.u32("truncated descriptor")?;
        let holes = r.count(MAX_HOLES, "number of holes")?;
        let settings = r.count(MAX_SETTINGS, "length of settings")?;
        let size = r.u64("truncated descriptor")?;
        let hash = Digest(r.array("truncated descriptor")?);
        // All lengths are known now: what follows must fill the rest, before anything is allocated for it.
        if r.rest().len() != 9 * usize::from(layers) + 16 * holes + settings {
            return Err(r.wrong("descriptor is longer or shorter than its parts"));
        }
        let layers = (0..layers)
            .map(|_| {
                Ok(LayerSpec {
                    k: r.u8("layers")?,
                    length: r.u64("layers")?,
                })
            })
            .collect::<Result<_, FormatError>>()?;
        let holes = (0..holes)
            .map(|_| {
                Ok(Extent {
                    offset: r.u64("holes")?,
                    length: r.u64("holes")?,
                })
            })
            .collect::<Result<_, FormatError>>()?;
        let settings = r.bytes(settings, "settings")?.to_vec();
        r.end()?;
        let descriptor = Self {
            version,
            size,
            hash,
            holes,
            kind,
            codec,
            settings,
            chunks,
            layers,
            unit,
        };
        descriptor.check()?;
        Ok(descriptor)
    }

    /// Bytes of the encoded descriptor.
    #[must_use]
    pub fn encoded_length(&self) -> usize {
        FIXED + 9 * self.layers.len() + 16 * self.holes.len() + self.settings.len()
    }

    /// The set id of the object.
    ///
    /// # Errors
    /// As [`Descriptor::encode`].
    pub fn set_id(&self) -> Result<SetId, FormatError> {
        Ok(SetId(Digest::of(&self.encode()?)))
    }

    /// Chunks that an exact read needs.
    #[must_use]
    pub fn need(&self) -> u8 {
        self.layers.last().map_or(self.chunks, |layer| layer.k)
    }

    /// Checks what holds between fields; `offset` of an error is that of the field.
    fn check(&self) -> Result<(), FormatError> {
        let malformed = |what, offset| Err(FormatError::Malformed { what, offset });
        if self.version > VERSION {
            return Err(FormatError::Newer(self.version));
        }
        if self.version == 0 && self.kind != ObjectKind::File {
            return malformed("what the content is", 6);
        }
        if self.chunks == 0 {
            return malformed("a set without chunks", 4);
        }
        if self.layers.is_empty() {
            return malformed("an object without layers", 5);
        }
        if self.layers.len() > MAX_LAYERS {
            return Err(FormatError::Limit {
                what: "number of layers",
                value: self.layers.len() as u64,
                limit: MAX_LAYERS as u64,
            });
        }
        if !UNITS.contains(&self.unit) {
            return malformed("length of units", 8);
        }
        if i64::try_from(self.size).is_err() {
            return malformed("size of the content", 20);
        }
        let mut before = 1;
        for layer in &self.layers {
            if layer.k < before || layer.k > self.chunks {
                return malformed("chunks needed for a layer", FIXED);
            }
            before = layer.k;
            if layer.length > MAX_LAYER {
                return Err(FormatError::Limit {
                    what: "length of a layer",
                    value: layer.length,
                    limit: MAX_LAYER,
                });
            }
        }
        let mut free = 0;
        for hole in &self.holes {
            let end = hole
                .offset
                .checked_add(hole.length)
                .filter(|&end| end <= self.size);
            match end {
                Some(end) if hole.offset >= free && hole.length > 0 => free = end + 1,
                _ => return malformed("holes", FIXED + 9 * self.layers.len()),
            }
        }
        Ok(())
    }
}
