//! FLAC (RFC 9639): samples, and recipes that make the very bytes of the frames of them again.
//!
//! A file is `fLaC`, blocks of metadata, and frames, perhaps with tags before and after. [`Head::parse`] says where the
//! frames begin; all before them is kept as bytes, and so is all after them. A [`PieceReader`] takes frames one after
//! the other and gives the samples and the recipe of the piece that they make; [`Info::write`] turns these into the same
//! bytes. A degraded file has frames of its own that fill the same bytes ([`Info::render`]).

mod crc;
mod fit;
mod frame;
mod recipe;
mod render;
mod subframe;

use self::frame::Frame;
use self::recipe::Models;
use super::bits::BitWriter;
use super::{MAX_CHANNELS, ParseError, Source};
use crate::coding::binary::{Decoder, Encoder};
use crate::media::error::Error;

/// Most bytes of a frame: 8 channels of 65536 samples of 33 bits take little more than half.
pub const MAX_FRAME: usize = 4 << 20;
/// Most samples of a piece in all its channels.
const MAX_SAMPLES: usize = 1 << 26;
/// Most bytes of a piece.
const MAX_PIECE: usize = 1 << 28;
/// Bytes before the frames at the least: the magic bytes and the block that each file has.
const LEAST: usize = 42;
/// Most blocks of metadata.
const MAX_BLOCKS: usize = 1024;

/// What a file says of its sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Channels, 1..=8.
    pub channels: u16,
    /// Bits of a sample, 4..=32.
    pub bits: u8,
    /// Samples of a channel each second; 0 where it is not sound.
    pub rate: u32,
    /// Samples of a channel; 0 where it is not known.
    pub total: u64,
    /// Samples of a channel in the longest frame; 0 where it is not known.
    pub longest: u16,
}

/// The beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// What it says.
    pub info: Info,
    /// Where the first frame begins.
    pub frames: u64,
}

impl Head {
    /// Reads the metadata of a file of `size` bytes, as far as it counts.
    ///
    /// # Errors
    /// [`Error::Format`] for other files, [`Error::Limit`] for more blocks than any file needs; errors of the source.
    pub fn parse(size: u64, source: &mut Source<'_>) -> Result<Self, ParseError> {
        let mut read = |at: u64, buffer: &mut [u8]| -> Result<(), ParseError> {
            if at
                .checked_add(buffer.len() as u64)
                .is_none_or(|end| end > size)
            {
                return Err(Error::Format("metadata that end early").into());
            }
            source(at, buffer)?;
            Ok(())
        };
        let mut at = 0;
        let mut tag = [0; 10];
        read(at, &mut tag)?;
        if let [b'I', b'D', b'3', _, _, flags, a, b, c, d] = tag {
            // Seven bits a byte; a footer has as many bytes as the header.
            let length = [a, b, c, d]
                .iter()
                .fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
            at = 10 + length + if flags & 0x10 == 0 { 0 } else { 10 };
        }
        let mut first = [0; LEAST];
        read(at, &mut first)?;
        let info = Info::parse(&first)?;
        let [_, _, _, _, kind, ..] = first;
        let mut last = kind >> 7 == 1;
        at += LEAST as u64;
        for _ in 0..MAX_BLOCKS {
            if last {
                // The block that was only skipped may say that it reaches past the end.
                read(at, &mut [])?;
                return Ok(Self { info, frames: at });
            }
            let mut head = [0; 4];
            read(at, &mut head)?;
            let [kind, a, b, c] = head;
            last = kind >> 7 == 1;
            at += 4 + u64::from(u32::from_le_bytes([c, b, a, 0]));
        }
        Err(Error::Limit("metadata").into())
    }
}

impl Info {
    /// Reads the first block (RFC 9639, section 8.2) with what is before it.
    fn parse(bytes: &[u8; LEAST]) -> Result<Self, Error> {
        let mut bits = super::bits::BitReader::new(bytes);
        let magic = bits.bits(32)?;
        let (kind, length) = (bits.bits(8)? & 0x7f, bits.bits(24)?);
        if magic != 0x664c_6143 || kind != 0 || length != 34 {
            return Err(Error::Format("not a FLAC file"));
        }
        // A claim, which only degraded frames keep to; the other sizes are of no use.
        let [_, longest, ..] = [
            bits.bits(16)?,
            bits.bits(16)?,
            bits.bits(24)?,
            bits.bits(24)?,
        ];
        let rate = bits.bits(20)?;
        let channels = bits.bits(3)? + 1;
        let depth = bits.bits(5)? + 1;
        let total = u64::from(bits.bits(4)?) << 32 | u64::from(bits.bits(32)?);
        if depth < 4 {
            return Err(Error::Format("samples of less than four bits"));
        }
        Ok(Self {
            channels: u16::try_from(channels).unwrap_or(MAX_CHANNELS),
            bits: depth.to_le_bytes()[0],
            rate,
            total,
            longest: u16::try_from(longest).unwrap_or(0),
        })
    }

    /// The frames that a recipe makes of samples.
    ///
    /// # Errors
    /// [`Error::Format`] for a recipe of other samples, [`Error::Limit`] for more bytes than a piece has.
    pub fn write(&self, recipe: &[u8], samples: &[Vec<i32>]) -> Result<Vec<u8>, Error> {
        let mut models = Models::new(self.channels);
        let mut coder = Decoder::new(recipe);
        let mut out = Vec::new();
        let length = samples.first().map_or(0, Vec::len);
        if samples.len() != usize::from(self.channels)
            || samples.iter().any(|channel| channel.len() != length)
        {
            return Err(Error::Format("samples of other channels"));
        }
        let mut at = 0;
        while models.more(&mut coder, false) {
            let header = models.header(&mut coder, &frame::Header::default(), self)?;
            let end = at + header.block as usize;
            let here = samples.iter().map(|channel| channel.get(at..end));
            let here: Option<Vec<&[i32]>> = here.collect();
            let here = here.ok_or(Error::Format("a recipe for more samples"))?;
            at = end;
            let mut bits = BitWriter::default();
            header.write(&mut bits);
            for (channel, coded) in frame::split(header.assignment, &here).iter().enumerate() {
                let empty = subframe::Subframe::default();
                let (how, plain, missed) = models.subframe(&mut coder, channel, &empty, coded)?;
                let depth = u32::from(self.bits) + u32::from(header.is_side(channel));
                how.write(&mut bits, &plain, &missed, depth)?;
            }
            out.extend(frame::finish(bits));
            if out.len() > MAX_PIECE {
                return Err(Error::Limit("bytes of a piece"));
            }
        }
        if at == length {
            Ok(out)
        } else {
            Err(Error::Format("a recipe for fewer samples"))
        }
    }
}

/// Takes the frames of a piece.
#[derive(Debug, Clone)]
pub struct PieceReader {
    info: Info,
    models: Models,
    coder: Encoder,
    samples: Vec<Vec<i32>>,
    length: usize,
}

impl PieceReader {
    /// A piece without frames.
    #[must_use]
    pub fn new(info: Info) -> Self {
        Self {
            info,
            models: Models::new(info.channels),
            coder: Encoder::new(),
            samples: vec![Vec::new(); usize::from(info.channels)],
            length: 0,
        }
    }

    /// Samples of each channel so far.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.samples.first().map_or(0, Vec::len)
    }

    /// Takes the frame at the front of bytes and returns its length. Bytes may end early: with [`MAX_FRAME`] of them, or
    /// all that there are, an error means that no frame is there. After an error the piece is what it was.
    ///
    /// # Errors
    /// [`Error::Format`] where no whole frame is there, [`Error::Unsupported`] for frames that could not be written
    /// again or are unlike the first block, [`Error::Limit`] for too many samples.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let bytes = bytes.get(..MAX_FRAME).unwrap_or(bytes);
        let (Frame { header, subframes }, coded, length) = Frame::read(bytes, &self.info)?;
        let samples = frame::join(&header, &coded, self.info.bits)?;
        if (self.frames() + header.block as usize) * samples.len() > MAX_SAMPLES {
            return Err(Error::Limit("samples of a piece"));
        }
        if self.length + length > MAX_PIECE {
            return Err(Error::Limit("bytes of a piece"));
        }
        self.length += length;
        self.models.more(&mut self.coder, true);
        self.models.header(&mut self.coder, &header, &self.info)?;
        for (channel, (how, coded)) in subframes.iter().zip(&coded).enumerate() {
            self.models.subframe(&mut self.coder, channel, how, coded)?;
        }
        for (all, here) in self.samples.iter_mut().zip(samples) {
            all.extend(here);
        }
        Ok(length)
    }

    /// The samples of each channel, and the recipe.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Vec<i32>>, Vec<u8>) {
        self.models.more(&mut self.coder, false);
        (self.samples, self.coder.finish())
    }
}

#[cfg(test)]
mod tests;
