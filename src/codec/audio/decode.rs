//! Decoding: pieces of bytes, and segments of samples.

use super::settings::{Container, PIECE, Settings};
use super::{SEGMENT, bad, pack, segment};
use crate::codec::CodecError;
use crate::codec::segments::Segment;
use crate::media::sound::Format;
use crate::media::sound::flac::Info;

/// What decodes the segments of a file.
#[derive(Debug)]
pub(super) struct Pieces {
    settings: Settings,
    /// Segments before those of samples, and of these.
    head: usize,
    sound: usize,
}

/// Pieces of so many bytes around the samples.
pub(super) fn pieces(length: u64) -> usize {
    usize::try_from(length.div_ceil(PIECE)).unwrap_or(usize::MAX)
}

impl Pieces {
    /// For a file of `size` bytes.
    ///
    /// # Errors
    /// [`CodecError::Format`] for settings that do not fit it.
    pub(super) fn new(settings: Settings, size: u64) -> Result<Self, CodecError> {
        let count = usize::try_from(u32::from_le_bytes(settings.segments)).unwrap_or(usize::MAX);
        let (head, tail) = (pieces(settings.head), pieces(settings.tail));
        let sound = count.checked_sub(head + tail);
        let sound = sound.filter(|_| settings.head + settings.tail <= size);
        Ok(Self {
            settings,
            head,
            sound: sound.ok_or_else(|| bad("a number of segments that cannot be"))?,
        })
    }
}

impl Pieces {
    /// Samples as they are.
    fn plain(
        &self,
        format: &Format,
        parts: &[Vec<u8>],
        length: usize,
    ) -> Result<Vec<u8>, CodecError> {
        let channels = usize::from(format.channels);
        let frames = length / format.frame_bytes().max(1);
        if frames * format.frame_bytes() != length || frames * channels > SEGMENT {
            return Err(bad("a segment of no whole frames"));
        }
        let previews = self.settings.centi_db.len();
        let piece = segment::decode(parts, previews, channels, frames)?;
        format.write(&piece).map_err(|e| bad(&e.to_string()))
    }

    /// FLAC frames: those of the file from all parts, others of the same length from fewer.
    fn flac(&self, info: &Info, parts: &[Vec<u8>], length: usize) -> Result<Vec<u8>, CodecError> {
        let mut parts = parts.to_vec();
        let first = parts.first_mut().ok_or_else(|| bad("no layers"))?;
        let start = Start::take(first)?;
        let frames = usize::try_from(start.frames).unwrap_or(usize::MAX);
        let channels = usize::from(info.channels);
        if frames == 0 || frames.saturating_mul(channels) > 2 * SEGMENT {
            return Err(bad("a segment of no frames"));
        }
        let previews = self.settings.centi_db.len();
        let mut piece = segment::decode(&parts, previews, channels, frames)?;
        let scale = u32::from(piece.scale).min(31);
        for sample in piece.samples.iter_mut().flatten() {
            *sample <<= scale;
        }
        let bytes = if parts.len() > previews {
            info.write(&piece.rest, &piece.samples)
        } else {
            info.render(start.first, &piece.samples, length)
        };
        bytes.map_err(|e| bad(&e.to_string()))
    }
}

/// What a segment of FLAC frames begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Samples of each channel.
    pub(super) frames: u32,
    /// The number of the first one.
    pub(super) first: u64,
}

impl Start {
    pub(super) fn to_bytes(self) -> [u8; 12] {
        let ([f0, f1, f2, f3], [n0, n1, n2, n3, n4, n5, n6, n7]) =
            (self.frames.to_le_bytes(), self.first.to_le_bytes());
        [f0, f1, f2, f3, n0, n1, n2, n3, n4, n5, n6, n7]
    }

    fn take(part: &mut Vec<u8>) -> Result<Self, CodecError> {
        let (start, rest) = part
            .split_first_chunk::<12>()
            .ok_or_else(|| bad("a segment that ends"))?;
        let [f0, f1, f2, f3, first @ ..] = *start;
        let start = Self {
            frames: u32::from_le_bytes([f0, f1, f2, f3]),
            first: u64::from_le_bytes(first),
        };
        *part = rest.to_vec();
        Ok(start)
    }
}

impl Segment for Pieces {
    fn decode(&self, index: usize, parts: &[Vec<u8>], out: &mut [u8]) -> Result<(), CodecError> {
        let length = out.len();
        if !(self.head..self.head + self.sound).contains(&index) {
            if length as u64 > PIECE {
                return Err(bad("a piece too long"));
            }
            let last = parts.last().filter(|last| !last.is_empty());
            let last = last.filter(|_| parts.len() == self.settings.layers());
            let part = last.or(parts.first()).map_or(&[][..], Vec::as_slice);
            let bytes = pack::unpack(part, length)?;
            if bytes.len() != length {
                return Err(bad("a piece of another length"));
            }
            out.copy_from_slice(&bytes);
            return Ok(());
        }
        let bytes = match &self.settings.container {
            Container::Plain(format) => self.plain(format, parts, length)?,
            Container::Flac(info) => self.flac(info, parts, length)?,
        };
        if bytes.len() != length {
            return Err(bad("a segment of another length"));
        }
        out.copy_from_slice(&bytes);
        Ok(())
    }

    fn most(&self, length: usize) -> usize {
        // Eight layers' worth of models astray, and headers, for the shortest.
        8 * length + (1 << 16)
    }
}
