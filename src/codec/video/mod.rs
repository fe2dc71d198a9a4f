//! The video codec: raw video (YUV4MPEG2) in layers, groups of frames at a time.
//!
//! The lines of text are kept as they are; frames are coded in [`group`]s, each of which is a segment
//! (`segments`) and decodes alone, so that any frame is had at once. With layers missing a file of the same
//! size, lines and geometry shows softer frames; what follows the last whole frame is zeros in it.
//!
//! # Layers
//!
//! With `p` previews there are `p + 1` layers. A segment is the line of the file (the first one only) with a group of
//! frames and their lines, or up to 4 MiB of what follows the last whole frame. Its parts:
//!
//! ```text
//! layer 0      number of frames (u8), length of the text (u32), the text, and the group's part
//! others       the group's part
//! last layer   without frames: the bytes; in one layer after what layer 0 begins with
//! ```
//!
//! The text is nothing, or 0 and bytes, or 1 and a zstd frame of them: the line of the file, then the lines of the
//! frames unless all are `FRAME` and nothing else.
//!
//! # Settings
//!
//! ```text
//! 0..4    number of segments
//! 4..8    columns of luma
//! 8..12   rows of luma
//! 12      bits of a sample, 8 to 16
//! 13      chroma: 0 none, 1 4:2:0, 2 4:1:1, 3 4:2:2, 4 4:4:4, 5 4:4:4 with opacity
//! 14      previews, at most 8
//! 15      reserved: 0
//! 16..    for each preview its PSNR in 1/100 dB (u16); 65535 for exact
//! ```
//!
//! Thus 24 bytes with four previews. PSNR is over all samples of all frames but opacity, with the greatest sample as
//! peak.
//!
//! # Limits
//!
//! A group has as many frames as fit into 16 million samples, 1 to 16; a frame at most 2^26 samples. Memory: about 20
//! bytes per sample of a group when encoding and 15 when decoding. Groups are encoded at once as long as they have 16
//! million samples together.

mod decode;
mod encode;
pub mod group;
mod settings;

use super::segments::Reader;
use super::{Codec, CodecError, CodecId, Content, Decoder, Encoded, LayerSink, Medium, Request};
use crate::format::Layers;
use crate::media::sniff::{Kind, sniff};
use decode::Frames;
use settings::Settings;

/// The line before most frames.
const PLAIN: &[u8] = b"FRAME\n";
/// Most bytes of a segment without frames.
const PIECE: usize = 4 << 20;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Video;

impl Codec for Video {
    fn id(&self) -> CodecId {
        CodecId(4)
    }

    fn name(&self) -> &'static str {
        "video"
    }

    fn medium(&self) -> Medium {
        Medium::Video
    }

    fn suits(&self, head: &[u8]) -> bool {
        sniff(head) == Some(Kind::Y4m)
    }

    fn quality(&self, settings: &[u8], layers: usize) -> Option<f64> {
        let settings = Settings::parse(settings).ok()?;
        let centi_db = settings.centi_db.get(layers.checked_sub(1)?).copied()?;
        (centi_db < u16::MAX).then(|| f64::from(centi_db) / 100.0)
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
        Ok(Box::new(reader(settings, size, layers)?))
    }

    fn preview<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        let reader = reader(settings, size, layers)?;
        decode::thumbnail(&reader.first()?)
    }
}

fn reader<'a>(
    settings: &[u8],
    size: u64,
    layers: Box<dyn Layers + 'a>,
) -> Result<Reader<'a, Frames>, CodecError> {
    let settings = Settings::parse(settings)?;
    let used = settings.centi_db.len() + 1;
    let frames = Frames::new(&settings);
    Reader::open(settings.segments, used, size, layers, frames)
}

fn bad(what: &str) -> CodecError {
    CodecError::Format(format!("video: {what}"))
}

#[cfg(test)]
mod tests;
