//! Holo.Codec chunk directories that hold sound: magic `HOAU`, versions 1 and 2.
//!
//! # Terms
//! Sound of `f` frames of `c` channels in 16 bits is kept as a *coarse* sound of `m` frames (which every chunk holds)
//! and the *residual*: the `n = cf` differences, as i16, between the samples and the coarse sound with lines drawn
//! between its frames. The residual is dealt out to `B` *slices*, one per chunk ([`super::holo`]).
//!
//! # A chunk
//! | bytes | field |
//! |---|---|
//! | `0 .. 4` | `HOAU` |
//! | `4` | u8 version, 1 or 2 |
//! | `5` | u8 `c`, at least 1 |
//! | `6` | u8 bytes of a sample, 2 |
//! | `7` | u8 of no meaning |
//! | `8 .. 12` | u32 frames a second |
//! | `12 .. 16` | u32 `f` |
//! | `16 .. 20` | u32 `B`, at least 1 |
//! | `20 .. 24` | u32 number `b` of this chunk, below `B` |
//! | `24 .. 28` | u32 `m`, at least 1 unless `f` is 0 |
//! | `28 .. 32` | u32 length of the coarse sound as stored |
//! | `32 .. 36` | u32 length of the slice as stored |
//! | `36 ..` | the coarse sound, then the slice, zlib streams of little-endian i16 |
//!
//! # What follows
//! A sample whose chunk is missing or damaged is that of the coarse sound: any one chunk gives sound, all of them give
//! the exact one. Differences that do not fit 16 bits were wrapped by the encoder, so that adding them wraps, too; the
//! original clips instead, and so loses loud samples ([`Sums`]). What is shown is a WAVE file with the shortest header, not the
//! file that was encoded; its size depends on `c` and `f` alone.

use super::holo::{self, Set, byte, usize_of, word};
use super::kept::Kept;
use super::{Chunks, ForeignError, Parts, Quality, Reader, Sums};

/// First bytes of a chunk.
pub const MAGIC: &[u8; 4] = b"HOAU";
/// Most samples of a sound, in all channels, and of its coarse sound. While it is decoded, memory holds the file and the
/// coarse sound or one slice, which have two bytes for each.
pub const LIMIT: u64 = 1 << 28;
/// Bytes before the samples of a WAVE file.
const HEADER: u32 = 44;

/// What all chunks of a set must agree on besides `B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    channels: u8,
    bytes: u8,
    rate: u32,
    frames: u32,
    coarse: u32,
}

impl Geometry {
    /// `n`.
    fn samples(&self) -> u64 {
        u64::from(self.frames) * u64::from(self.channels)
    }

    /// Samples of the coarse sound.
    fn coarse_samples(&self) -> u64 {
        u64::from(self.coarse) * u64::from(self.channels)
    }
}

impl holo::Geometry for Geometry {
    const MAGIC: &'static [u8; 4] = MAGIC;
    const COARSE: &'static str = "coarse sound";
    const HEADER: usize = 36;
    const BLOCKS: usize = 16;

    fn read(header: &[u8]) -> Self {
        Self {
            channels: byte(header, 5),
            bytes: byte(header, 6),
            rate: word(header, 8),
            frames: word(header, 12),
            coarse: word(header, 24),
        }
    }

    fn wrong(&self) -> Option<(u64, String)> {
        match self {
            Self { channels: 0, .. } => Some((5, "sound without channels".to_owned())),
            Self { bytes: 2, .. } if self.coarse > 0 || self.frames == 0 => None,
            Self { bytes: 2, .. } => Some((24, "a coarse sound without frames".to_owned())),
            Self { bytes, .. } => Some((6, format!("{bytes} bytes a sample, not 2"))),
        }
    }
}

/// A chunk directory, open for reading.
#[derive(Debug)]
pub struct Sound {
    set: Set<Geometry>,
    sums: Sums,
    kept: Kept,
}

impl Sound {
    /// Reads the headers of all parts that are chunks and finds the set among them.
    ///
    /// # Errors
    /// [`ForeignError::Format`] or [`ForeignError::Unsupported`] where there is no usable chunk,
    /// [`ForeignError::Mixed`] where it cannot be told which ones belong together.
    pub fn open(parts: Box<dyn Parts>, sums: Sums) -> Result<Self, ForeignError> {
        Ok(Self {
            set: Set::open(parts)?,
            sums,
            kept: Kept::default(),
        })
    }

    fn decode(&self) -> Result<(Vec<u8>, Quality), ForeignError> {
        self.check()?;
        let geometry = self.set.geometry;
        let samples = geometry.samples();
        let mut file = holo::zeros(self.size())?;
        let header = header(&geometry);
        let (head, data) = file.split_at_mut(header.len());
        head.copy_from_slice(&header);
        let data = data.as_chunks_mut::<2>().0;
        draw(&self.coarse()?, &geometry, data);
        let quality = self.set.slices(samples, 2, &mut |block, slice| {
            let residual = slice.as_chunks::<2>().0.iter();
            for (place, residual) in self.set.places(samples, block).zip(residual) {
                if let Some(sample) = data.get_mut(place) {
                    let (drawn, residual) =
                        (i16::from_le_bytes(*sample), i16::from_le_bytes(*residual));
                    let sum = match self.sums {
                        Sums::Wrapped => drawn.wrapping_add(residual),
                        Sums::Clipped => drawn.saturating_add(residual),
                    };
                    *sample = sum.to_le_bytes();
                }
            }
        })?;
        Ok((file, quality))
    }

    /// The samples of the coarse sound.
    fn coarse(&self) -> Result<Vec<i16>, ForeignError> {
        let length = 2 * self.set.geometry.coarse_samples();
        self.set.coarse(holo::longest(length), |blob| {
            if length > (blob.len() as u64).saturating_mul(holo::EXPANSION) {
                return None;
            }
            let bytes = holo::inflate(blob, usize_of(length))?;
            let samples = bytes.as_chunks::<2>().0.iter();
            Some(samples.map(|bytes| i16::from_le_bytes(*bytes)).collect())
        })
    }
}

/// Draws lines between the frames of the coarse sound: the first and the last frame stay what they are.
fn draw(coarse: &[i16], geometry: &Geometry, out: &mut [[u8; 2]]) {
    let channels = usize::from(geometry.channels);
    let last = geometry.coarse.saturating_sub(1);
    // In doubles and in this order, since the residual was taken from just these numbers.
    let end = f64::from(last);
    let step = end / f64::from(geometry.frames.saturating_sub(1).max(1));
    for (i, frame) in (0_u32..).zip(out.chunks_mut(channels)) {
        let at = if i > 0 && i + 1 == geometry.frames {
            end
        } else {
            f64::from(i) * step
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a frame's number, which is what the whole part of it is"
        )]
        let before = (at as u32).min(last);
        let part = at - f64::from(before);
        let row = |frame: u32| {
            let from = usize_of(u64::from(frame)) * channels;
            coarse.get(from..from + channels).unwrap_or_default()
        };
        let pairs = row(before).iter().zip(row((before + 1).min(last)));
        for (sample, (a, b)) in frame.iter_mut().zip(pairs) {
            let value = f64::from(*a) * (1.0 - part) + f64::from(*b) * part;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "between two samples, rounded"
            )]
            let value = value.round_ties_even() as i16;
            *sample = value.to_le_bytes();
        }
    }
}

/// What a WAVE file has before its samples.
fn header(geometry: &Geometry) -> Vec<u8> {
    let length = u32::try_from(2 * geometry.samples()).unwrap_or(u32::MAX);
    let frame = u32::from(geometry.channels) * 2;
    let [low, high, ..] = frame.to_le_bytes();
    let mut out = Vec::new();
    out.extend(b"RIFF");
    out.extend(length.saturating_add(HEADER - 8).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    out.extend([geometry.channels, 0]);
    out.extend(geometry.rate.to_le_bytes());
    out.extend(geometry.rate.wrapping_mul(frame).to_le_bytes());
    out.extend([low, high, 16, 0]);
    out.extend(b"data");
    out.extend(length.to_le_bytes());
    out
}

impl Reader for Sound {
    fn size(&self) -> u64 {
        u64::from(HEADER) + 2 * self.set.geometry.samples()
    }

    fn suffix(&self) -> &'static str {
        ".wav"
    }

    fn chunks(&self) -> Option<Chunks> {
        Some(self.set.count())
    }

    fn check(&self) -> Result<Quality, ForeignError> {
        let geometry = self.set.geometry;
        let value = geometry.samples().max(geometry.coarse_samples());
        if value > LIMIT {
            return Err(ForeignError::Limit {
                what: "the number of samples of the sound in the chunks",
                value,
                limit: LIMIT,
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
