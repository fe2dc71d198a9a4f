//! The `jpeg` codec: a picture's own coefficients, from a coarse preview to the very file.
//!
//! # Terms
//! A JPEG file is taken apart into quantised DCT coefficients and a recipe ([`crate::media::jpeg`]). The coefficients
//! are cut into *strips*, some rows of MCUs of all components, each coded alone by the layered coder
//! ([`crate::coding::bands`]): parallel, in bounded memory, and a part that is missing costs sharpness in its strip
//! only. Layer `i < p` makes preview `i`; layer `p` makes the file exact. With `p = 0` there is one layer.
//!
//! # The settings
//! Integers are little-endian.
//!
//! | bytes | field |
//! |---|---|
//! | `0` | version, 0 |
//! | `1` | `p`, the number of previews, at most [`MAX_PREVIEWS`] |
//! | `2 .. 4` | u16: rows of MCUs in a strip; the last one may have fewer |
//! | `4 .. 4 + 6 p` | for each preview i32: its cut, u16: its PSNR in 1/100 dB |
//!
//! # A layer
//!
//! | field | in layers |
//! |---|---|
//! | length of the head, which is what follows up to the strips | all |
//! | length of the note, the note | `0`, and all below `p` |
//! | recipe: length and packed string, twice | `p` |
//! | size of the file | `p` |
//! | of a file with one sequential scan, for each strip but the last its bytes of the file, and the start of the next: its bits (a one, then 0 to 7 of them), then i16: the last DC of each part of the scan | `p` |
//! | the proof of each segment, the first 16 bytes of its BLAKE3 | `p` |
//! | for each strip a byte: how DC is coded, two bits for each component (0: wavelet, 1: both, 2: rest) | `0` |
//! | for each strip (after that byte) the length of what is coded of it | all |
//! | what is coded of strip 0, of strip 1, ... | all |
//!
//! Lengths are LEB128 (seven bits a byte, lowest first). Notes, recipe and packed strings: `meta.rs`; bands: `strip.rs`;
//! predictions: `hints.rs`, `dc.rs`.
//!
//! # What follows
//! * *Segments* of the file are decoded and proved each for itself: what lies before the coefficients is the first; of a
//!   file with one sequential scan each strip is one, the last with what follows. Other files have one more segment.
//! * With layers missing, the coefficients that are known are written as a baseline JPEG with tables of its own, filled
//!   up with COM segments to the size of the original: [`crate::media::jpeg::render`].
//! * Declined: what `media::jpeg` does not take apart or write again, and files over [`MAX_SIZE`].
//! * Memory: for each strip in work about 12 bytes per coefficient of it. The encoder, and what has no strips of its own
//!   (previews, files of several scans), take 2 bytes per coefficient besides, and the file.

mod bytes;
mod dc;
mod decode;
mod encode;
mod hints;
mod levels;
mod meta;
mod preview;
mod sample;
mod segments;
mod strip;
mod turn;
mod ways;

use self::bytes::{Take, bad};
use self::ways::Cut;
use super::First;
use super::{Codec, CodecError, CodecId, Content, Decoder, Encoded, LayerSink, Medium, Request};
use crate::format::Layers;

/// Most previews.
pub const MAX_PREVIEWS: usize = 8;
/// Largest file in bytes.
pub const MAX_SIZE: usize = 512 << 20;
/// Bytes of the file that make a strip, about: without previews, and with them, where beginning anew costs more.
const STRIP_BYTES: [usize; 2] = [384 << 10, 512 << 10];
/// Most coefficients of a strip, about.
const STRIP_COEFFICIENTS: usize = 16 << 20;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct JpegCodec;

impl Codec for JpegCodec {
    fn id(&self) -> CodecId {
        CodecId(3)
    }

    fn name(&self) -> &'static str {
        "jpeg"
    }

    fn medium(&self) -> Medium {
        Medium::Image
    }

    fn suits(&self, head: &[u8]) -> bool {
        head.starts_with(&[0xff, 0xd8, 0xff])
    }

    fn quality(&self, settings: &[u8], layers: usize) -> Option<f64> {
        let settings = Settings::read(settings).ok()?;
        let (_, quality) = settings.previews.get(layers.checked_sub(1)?)?;
        Some(f64::from(*quality) / 100.0)
    }

    fn encode(
        &self,
        content: &dyn Content,
        request: Request<'_>,
        sink: &mut dyn LayerSink,
    ) -> Result<Encoded, CodecError> {
        encode::encode(content, request, sink)
    }

    fn open<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Box<dyn Decoder + 'a>, CodecError> {
        Ok(Box::new(decode::Reader::open(settings, size, layers)?))
    }

    fn preview<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        decode::Reader::open(settings, size, Box::new(First(layers)))?.thumbnail()
    }
}

/// The settings in the descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    /// Rows of MCUs in a strip.
    rows: usize,
    /// Cut and PSNR in 1/100 dB of each preview.
    previews: Vec<(Cut, u16)>,
}

impl Settings {
    fn cuts(&self) -> Vec<Cut> {
        self.previews.iter().map(|(cut, _)| *cut).collect()
    }

    fn write(&self) -> Vec<u8> {
        let mut out = vec![0, u8::try_from(self.previews.len()).unwrap_or(0)];
        let rows = u16::try_from(self.rows).unwrap_or(u16::MAX);
        out.extend_from_slice(&rows.to_le_bytes());
        for (cut, quality) in &self.previews {
            out.extend_from_slice(&cut.0.to_le_bytes());
            out.extend_from_slice(&quality.to_le_bytes());
        }
        out
    }

    fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut take = Take(bytes);
        let [version, previews] = take.array()?;
        if version != 0 {
            return Err(bad("settings of a newer program"));
        }
        let rows = u16::from_le_bytes(take.array()?);
        let previews = (0..previews).map(|_| {
            let cut = Cut(i32::from_le_bytes(take.array()?));
            Ok((cut, u16::from_le_bytes(take.array()?)))
        });
        let previews: Vec<(Cut, u16)> = previews.collect::<Result<_, CodecError>>()?;
        if rows == 0 || previews.len() > MAX_PREVIEWS || !take.0.is_empty() {
            return Err(bad("settings out of range"));
        }
        Ok(Self {
            rows: usize::from(rows),
            previews,
        })
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod training;
