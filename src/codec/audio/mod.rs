//! The audio codec: samples in layers by an integer MDCT, in segments, and the bytes around them.
//!
//! Containers of samples as they are (WAV and its kin, AIFF) are looked through for where their samples lie
//! ([`crate::media::sound`]); what lies before and after them is kept as bytes. Frames of FLAC are samples and a recipe
//! ([`crate::media::sound::flac`]). Samples become coefficients of an exact
//! transform ([`crate::coding::mdct`]), and these are coded from the most significant planes down to exact
//! ([`crate::coding::bands`]).
//!
//! # Segments
//!
//! The file is cut into segments that know nothing of each other (`segments`): the bytes before the samples in
//! pieces of 1 MiB, the samples, the bytes after them in pieces of 1 MiB. A segment of samples has about 2^19 of them
//! (10 s of one channel at 48 kHz, 5 s of two), a multiple of 8192 frames but for the last one; of FLAC, whole frames. Its transform does not
//! overlap with that of its neighbours.
//!
//! # Layers
//!
//! With `p` previews there are `p + 1` layers, whose parts of a segment are
//!
//! ```text
//! bytes around the samples
//!   part 0        packed: the bytes, or their outline (headers of chunks, the rest zeros) where that is much shorter
//!   last part     packed: the bytes; nothing where part 0 has them
//! samples
//!   part 0        header, then the bands' layer 0
//!   part i        the bands' layer i
//!   part p - 1    before that, where the header says so: the values that occur (u32 length, packed)
//!   last part     before that, where the header says so: low bits, then rests of floats or the recipe of FLAC (each
//!                 u32 length, packed)
//! ```
//!
//! A packed part is 0 and the bytes, or 1 and a zstd frame. With one layer all parts are one, in this order. In FLAC part 0
//! begins with the number of samples of each channel (u32) and that of those before it (u64), and previews have other
//! metadata, without the hash of the samples, and frames of their own that take as many bytes.
//!
//! Header of a segment of samples:
//!
//! ```text
//! 0       flags: 1 steep window, 2 samples are ranks of values, 4 rests or recipe, 8 what previews miss is predicted, 16 samples are
//! 1       binary logarithm of the block length, 6 to 12; 0: no bands follow, and previews are silent
//! 2       bits taken off all samples, or binary scale of floats
//! 3       bits below each sample that are kept raw, since 24 are enough for layers
//! 4       bits of fraction in the transform
//! 5..     turn of each pair of channels in 1/32 of a right angle (i8)
//! ..      cuts in the order of significance (i16), one per preview
//! ..      with ranks: their number, that of 0, and 33 values at equal distances (i32), for as long as the values are missing
//! ```
//!
//! Predicted: in the place of the bands' last layer lies what previews miss of the samples, or all samples anew, coded by
//! prediction in time ([`crate::coding::linear`]); this suits clicks, edges and noise, and sounds too quiet for the
//! transform's own rounding.
//!
//! Bands: the ranges of frequencies of `EDGES`, in each one band per channel with a row per block. A plane of a range
//! weighs a little less than that of the range below it, so that layers are cut finer than by whole planes.
//!
//! # Settings
//!
//! ```text
//! 0..4    number of segments
//! 4       previews
//! 5       channels
//! 6       bytes of a sample, of FLAC bits
//! 7       0 unsigned, 1 signed, 2 float, 3 FLAC; 16 more: the highest byte first
//! 8..12   frames a second
//! 12..16  bytes before the samples
//! 16..20  bytes after them
//! 20..22  of FLAC: samples of the longest frame as the file says, 0 where it does not; else 0
//! 22..24  0
//! 24..    SNR with the first layers in 1/100 dB (u16), one per preview; 65535: no error
//! ```
//!
//! Thus 32 bytes with four previews.
//!
//! # Reading
//!
//! A read decodes the segments it touches: at most 2^19 samples, which take about 30 bytes each, or 1 MiB of bytes. With layers
//! missing the file has the same size and the same headers, and its sound is softer: previews have an SNR of `WANTED` dB
//! in each segment, so that quiet passages do not fall silent, and samples stay in their range. The first previews of what
//! is mostly noise have less, since they would be most of the file.

mod choose;
mod decode;
mod encode;
mod outline;
mod pack;
mod preview;
mod segment;
mod settings;
mod sound;
#[cfg(test)]
mod tests;
mod values;

use super::{
    Codec, CodecError, CodecId, Content, Decoder, Encoded, First, LayerSink, Medium, Request,
    segments,
};
use crate::format::Layers;
use crate::media::sniff::{Kind, sniff};
use settings::Settings;

/// Where ranges of frequencies begin, in 1/4096 of all.
const EDGES: [usize; 7] = [0, 64, 192, 512, 1024, 2048, 4096];
/// SNR of the previews in dB.
const WANTED: [f64; settings::PREVIEWS] = [8.0, 13.0, 20.0, 28.0];
/// Shortest blocks that are chosen.
const SHORTEST: u32 = 6;
/// Longest blocks that are chosen; pairs of them divide segments.
const LONGEST: u32 = 12;
/// Samples of a segment, of all channels together.
const SEGMENT: usize = 1 << 19;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Audio;

impl Codec for Audio {
    fn id(&self) -> CodecId {
        CodecId(5)
    }

    fn name(&self) -> &'static str {
        "audio"
    }

    fn medium(&self) -> Medium {
        Medium::Sound
    }

    fn suits(&self, head: &[u8]) -> bool {
        matches!(sniff(head), Some(Kind::Wav | Kind::Aiff | Kind::Flac))
    }

    fn quality(&self, settings: &[u8], layers: usize) -> Option<f64> {
        let settings = Settings::parse(settings).ok()?;
        let centi_db = settings.centi_db.get(layers.checked_sub(1)?)?;
        (*centi_db < u16::MAX).then(|| f64::from(*centi_db) / 100.0)
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
        let settings = Settings::parse(settings)?;
        let (count, used) = (settings.segments, settings.layers());
        let pieces = decode::Pieces::new(settings, size)?;
        let reader = segments::Reader::open(count, used, size, layers, pieces)?;
        Ok(Box::new(reader))
    }

    fn preview<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        let decoder = self.open(settings, size, Box::new(First(layers)))?;
        preview::waveform(&*decoder, size).map(Some)
    }
}

fn bad(what: &str) -> CodecError {
    CodecError::Format(format!("audio: {what}"))
}

/// A number that is known to be small.
fn knot(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
