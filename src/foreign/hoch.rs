//! Holo.Codec chunk directories that hold a picture: magic `HOCH`, versions 1 and 2.
//!
//! # Terms
//! A picture of `w` times `h` RGB pixels is kept as a *coarse* picture (a small PNG that every chunk holds) and the
//! *residual*: the `n = 3wh` differences, as i16, between the samples and the coarse picture enlarged to `w` times
//! `h` (`hoch/bicubic.rs`). The residual is dealt out to `B` *slices*, one per chunk ([`super::holo`]).
//!
//! # A chunk
//! | bytes | field |
//! |---|---|
//! | `0 .. 4` | `HOCH` |
//! | `4` | u8 version, 1 or 2 |
//! | `5 .. 9` | u32 `h` |
//! | `9 .. 13` | u32 `w` |
//! | `13` | u8 samples of a pixel, 3 |
//! | `14 .. 18` | u32 `B`, at least 1 |
//! | `18 .. 22` | u32 number `b` of this chunk, below `B` |
//! | `22 .. 26` | u32 length of the coarse picture as stored |
//! | `26 .. 30` | u32 length of the slice as stored |
//! | `30 ..` | the coarse picture, a PNG file, then the slice, a zlib stream of little-endian i16 |
//!
//! # What follows
//! A sample whose chunk is missing or damaged is that of the enlarged coarse picture: any one chunk gives a picture,
//! all of them give the exact one. What is shown is pixels in a PNG of our own (`hoch/png.rs`), not the file that was
//! encoded, and its size depends on `w` and `h` alone: it is the same whatever chunks are left.

mod bicubic;
mod coarse;
mod png;

use self::bicubic::Raster;
use super::holo::{self, Set, byte, word};
use super::kept::Kept;
use super::{Chunks, ForeignError, Parts, Quality, Reader};

/// First bytes of a chunk.
pub const MAGIC: &[u8; 4] = b"HOCH";
/// Most samples of a picture (a third as many pixels). While it is decoded, memory holds the samples as bytes, and
/// beside them the coarse picture enlarged in width only, or one slice (at most twice the samples), or the PNG.
pub const LIMIT: u64 = 1 << 29;
/// Longest side in pixels: bounds the tables of weights.
const SIDE: u32 = 1 << 20;
/// Longest coarse picture, as stored; the original's are at most some hundred pixels wide.
const COARSE: u64 = 64 << 20;

/// What all chunks of a set must agree on besides `B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    height: u32,
    width: u32,
    channels: u8,
}

impl Geometry {
    /// `n`; three words cannot overflow 128 bits, and more than 64 are beyond any limit.
    fn samples(&self) -> u64 {
        let samples = 3 * u128::from(self.width) * u128::from(self.height);
        u64::try_from(samples).unwrap_or(u64::MAX)
    }
}

impl holo::Geometry for Geometry {
    const MAGIC: &'static [u8; 4] = MAGIC;
    const COARSE: &'static str = "coarse picture";
    const HEADER: usize = 30;
    const BLOCKS: usize = 14;

    fn read(header: &[u8]) -> Self {
        Self {
            height: word(header, 5),
            width: word(header, 9),
            channels: byte(header, 13),
        }
    }

    fn wrong(&self) -> Option<(u64, String)> {
        match self {
            Self { height: 0, .. } => Some((5, "a picture without rows".to_owned())),
            Self { width: 0, .. } => Some((9, "a picture without columns".to_owned())),
            Self { channels: 3, .. } => None,
            Self { channels, .. } => Some((13, format!("{channels} samples a pixel, not 3"))),
        }
    }
}

/// A chunk directory, open for reading.
#[derive(Debug)]
pub struct Image {
    set: Set<Geometry>,
    kept: Kept,
}

impl Image {
    /// Reads the headers of all parts that are chunks and finds the set among them.
    ///
    /// # Errors
    /// [`ForeignError::Format`] or [`ForeignError::Unsupported`] where there is no usable chunk,
    /// [`ForeignError::Mixed`] where it cannot be told which ones belong together.
    pub fn open(parts: Box<dyn Parts>) -> Result<Self, ForeignError> {
        Ok(Self {
            set: Set::open(parts)?,
            kept: Kept::default(),
        })
    }

    fn decode(&self) -> Result<(Vec<u8>, Quality), ForeignError> {
        self.check()?;
        let Geometry { width, height, .. } = self.set.geometry;
        let samples = self.set.geometry.samples();
        let coarse = self.coarse()?;
        let mut pixels = bicubic::resize(coarse, width, height).samples;
        let quality = self.set.slices(samples, 2, &mut |block, slice| {
            let residual = slice.as_chunks::<2>().0.iter().copied();
            let places = self.set.places(samples, block);
            for (place, residual) in places.zip(residual.map(i16::from_le_bytes)) {
                if let Some(sample) = pixels.get_mut(place) {
                    *sample = added(*sample, residual);
                }
            }
        })?;
        Ok((png::write(width, height, &pixels), quality))
    }

    /// The coarse picture.
    fn coarse(&self) -> Result<Raster, ForeignError> {
        let coarse = self.set.coarse(COARSE, coarse::decode)?;
        // Never so for a coarse picture that is smaller than the picture: its rows, as long as the picture's.
        let between = 3 * u64::from(coarse.height) * u64::from(self.set.geometry.width);
        if between > LIMIT {
            return Err(ForeignError::Limit {
                what: "the number of samples of the coarse picture enlarged in width",
                value: between,
                limit: LIMIT,
            });
        }
        Ok(coarse)
    }
}

/// A sample with its residual, clipped.
fn added(sample: u8, residual: i16) -> u8 {
    let sum = i32::from(sample) + i32::from(residual);
    u8::try_from(sum.clamp(0, 255)).unwrap_or(u8::MAX)
}

impl Reader for Image {
    fn size(&self) -> u64 {
        let Geometry { width, height, .. } = self.set.geometry;
        png::size(width, height)
    }

    fn suffix(&self) -> &'static str {
        ".png"
    }

    fn chunks(&self) -> Option<Chunks> {
        Some(self.set.count())
    }

    fn check(&self) -> Result<Quality, ForeignError> {
        let Geometry { width, height, .. } = self.set.geometry;
        let samples = self.set.geometry.samples();
        if samples > LIMIT {
            return Err(ForeignError::Limit {
                what: "the number of samples of the picture in the chunks",
                value: samples,
                limit: LIMIT,
            });
        }
        if width.max(height) > SIDE {
            return Err(ForeignError::Limit {
                what: "the longer side in pixels of the picture in the chunks",
                value: width.max(height).into(),
                limit: SIDE.into(),
            });
        }
        Ok(if self.set.is_whole() {
            Quality::Exact
        } else {
            Quality::Degraded(self.set.missing())
        })
    }

    fn verify(&self) -> Result<Quality, ForeignError> {
        self.check()?;
        self.coarse()?;
        let samples = self.set.geometry.samples();
        self.set.slices(samples, 2, &mut |_, _| {})
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, ForeignError> {
        self.kept.read_at(offset, buf, || self.decode())
    }
}

#[cfg(test)]
mod tests;
