//! Sound: where the samples of a file lie and how, and the samples themselves.
//!
//! Files may be far larger than memory: a parser reads headers only, through a function that fills a buffer from an
//! offset, and says where the samples lie ([`Pcm`]). Everything before and after them is kept as bytes by whoever calls,
//! so that a file with degraded samples has the same headers and is as valid as the original. Samples are read and
//! written a piece at a time ([`Format::read`], [`Format::write`]).

mod aiff;
mod bits;
mod chunks;
pub mod flac;
mod float;
pub mod survey;
mod wav;
pub mod waveform;

use std::io;
use std::ops::Range;

use super::error::Error;
use super::sniff::{Kind, LOOK, sniff};

/// Most channels of a file.
pub const MAX_CHANNELS: u16 = 8;

/// Fills a buffer from an offset of the file; never asked for bytes past its end.
pub type Source<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'a;

/// Why headers cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// What the bytes say.
    #[error(transparent)]
    Media(#[from] Error),
    /// The source failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where the samples of a file lie, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pcm {
    /// How they lie.
    pub format: Format,
    /// Their bytes in the file: whole frames, perhaps none.
    pub data: Range<u64>,
}

impl Pcm {
    /// Finds the samples of a file of `size` bytes; any container of samples as they are, by its first bytes.
    ///
    /// # Errors
    /// [`Error::Format`] for other files, [`Error::Unsupported`] for packed samples, samples of more than four bytes,
    /// more than [`MAX_CHANNELS`] channels and headers without a place or a format of samples; errors of the source.
    pub fn find(size: u64, source: &mut Source<'_>) -> Result<Self, ParseError> {
        let mut head = [0; LOOK];
        let there = usize::try_from(size).map_or(LOOK, |size| size.min(LOOK));
        let head = head.get_mut(..there).unwrap_or_default();
        source(0, head)?;
        match sniff(head) {
            Some(Kind::Wav) => wav::parse(size, source),
            Some(Kind::Aiff) => aiff::parse(size, source),
            _ => Err(Error::Format("not a container of samples").into()),
        }
    }
}

/// How samples lie in bytes: frame after frame, a frame being one sample of each channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Channels, 1..=8.
    pub channels: u16,
    /// Frames a second, as the file claims; never 0.
    pub rate: u32,
    /// How a sample lies.
    pub encoding: Encoding,
}

/// How a sample lies in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// What the bytes are.
    pub number: Number,
    /// Bytes of a sample, 1..=4; always 4 for [`Number::Float`].
    pub bytes: u8,
    /// Their order.
    pub order: Order,
}

/// What the bytes of a sample are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// An integer without a sign; half of its range is silence.
    Unsigned,
    /// An integer in two's complement. What has fewer bits than its bytes hold is in the upper ones.
    Signed,
    /// An IEEE 754 single.
    Float,
}

/// Order of the bytes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The lowest first.
    Little,
    /// The highest first.
    Big,
}

/// Samples of some frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    /// For each channel its samples, all of one length.
    pub samples: Vec<Vec<i32>>,
    /// Integers: zero bits below each sample that were taken off (0..=31). Floats: a sample is its number times
    /// 2^scale (0..=149).
    pub scale: u8,
    /// What floats are beyond their samples, raw bits that seldom pack; empty where samples and scale tell all, as they
    /// do for integers. To be left empty when the samples are not exact.
    pub rest: Vec<u8>,
}

impl Piece {
    /// Frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.samples.first().map_or(0, Vec::len)
    }
}

impl Format {
    /// Bytes of a frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.channels) * usize::from(self.encoding.bytes)
    }

    /// Bits that a sample has at the most when nothing was taken off.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.encoding.bytes * 8
    }

    /// The samples of whole frames. [`Format::write`] gives the same bytes again.
    ///
    /// # Errors
    /// [`Error::Format`] when the bytes are no whole frames.
    pub fn read(&self, bytes: &[u8]) -> Result<Piece, Error> {
        if !bytes.len().is_multiple_of(self.frame_bytes().max(1)) {
            return Err(Error::Format("samples that are no whole frames"));
        }
        let mut samples = match self.encoding.bytes {
            1 => self.gather::<1>(bytes),
            2 => self.gather::<2>(bytes),
            3 => self.gather::<3>(bytes),
            4 => self.gather::<4>(bytes),
            _ => return Err(Error::Unsupported("samples of more than four bytes")),
        };
        if self.encoding.number == Number::Float {
            let (scale, rest) = float::split(&mut samples);
            return Ok(Piece {
                samples,
                scale,
                rest,
            });
        }
        let set = samples.iter().flatten().fold(0, |set, sample| set | sample);
        // Silence keeps its bits: 0.
        let shift = set.trailing_zeros() % 32;
        if shift > 0 {
            for sample in samples.iter_mut().flatten() {
                *sample >>= shift;
            }
        }
        Ok(Piece {
            samples,
            scale: u8::try_from(shift).unwrap_or(0),
            rest: Vec::new(),
        })
    }

    /// The bytes of the frames of a piece; samples beyond the range of the format are cut off at its ends.
    ///
    /// # Errors
    /// [`Error::Format`] when there are other channels, channels of unlike lengths, or an impossible scale.
    pub fn write(&self, piece: &Piece) -> Result<Vec<u8>, Error> {
        let frames = piece.frames();
        if piece.samples.len() != usize::from(self.channels)
            || piece.samples.iter().any(|channel| channel.len() != frames)
        {
            return Err(Error::Format("samples of other channels"));
        }
        let mut bytes = vec![0; frames * self.frame_bytes()];
        if self.encoding.number == Number::Float {
            let joined = float::join(&piece.samples, piece.scale, &piece.rest)?;
            self.scatter::<4>(&joined, 0, &mut bytes);
            return Ok(bytes);
        }
        let shift = u32::from(piece.scale);
        if shift >= u32::from(self.bits()) && shift > 0 {
            return Err(Error::Format("a scale beyond the samples"));
        }
        match self.encoding.bytes {
            1 => self.scatter::<1>(&piece.samples, shift, &mut bytes),
            2 => self.scatter::<2>(&piece.samples, shift, &mut bytes),
            3 => self.scatter::<3>(&piece.samples, shift, &mut bytes),
            4 => self.scatter::<4>(&piece.samples, shift, &mut bytes),
            _ => return Err(Error::Unsupported("samples of more than four bytes")),
        }
        Ok(bytes)
    }

    /// What silence is as the highest byte of an integer.
    fn middle(&self) -> u8 {
        match self.encoding.number {
            Number::Unsigned => 0x80,
            Number::Signed | Number::Float => 0,
        }
    }

    /// Channels from frames of samples of `N` bytes.
    fn gather<const N: usize>(&self, bytes: &[u8]) -> Vec<Vec<i32>> {
        let channels = usize::from(self.channels);
        let (all, middle, order) = (bytes.as_chunks::<N>().0, self.middle(), self.encoding.order);
        let spare = spare::<N>();
        let sample = |bytes: &[u8; N]| {
            let mut word = [0; 4];
            let places = word.iter_mut().rev();
            match order {
                Order::Little => places.zip(bytes.iter().rev()).for_each(|(p, b)| *p = *b),
                Order::Big => places.zip(bytes).for_each(|(p, b)| *p = *b),
            }
            word[3] ^= middle;
            i32::from_le_bytes(word) >> spare
        };
        let channel = |first| all.iter().skip(first).step_by(channels).map(sample);
        (0..channels).map(|c| channel(c).collect()).collect()
    }

    /// Frames of samples of `N` bytes from channels.
    fn scatter<const N: usize>(&self, samples: &[Vec<i32>], shift: u32, out: &mut [u8]) {
        let (middle, order) = (self.middle(), self.encoding.order);
        let spare = spare::<N>() + shift;
        let (least, greatest) = (i32::MIN >> spare, i32::MAX >> spare);
        let out = out.as_chunks_mut::<N>().0;
        for (first, channel) in samples.iter().enumerate() {
            let places = out.iter_mut().skip(first).step_by(samples.len());
            for (place, sample) in places.zip(channel) {
                let mut word = ((*sample).clamp(least, greatest) << spare).to_le_bytes();
                word[3] ^= middle;
                let bytes = word.iter().rev();
                match order {
                    Order::Little => place.iter_mut().rev().zip(bytes).for_each(|(p, b)| *p = *b),
                    Order::Big => place.iter_mut().zip(bytes).for_each(|(p, b)| *p = *b),
                }
            }
        }
    }
}

/// Bits of a word that samples of `N` bytes leave free.
const fn spare<const N: usize>() -> u32 {
    match N {
        1 => 24,
        2 => 16,
        3 => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
