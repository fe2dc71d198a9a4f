//! The image codec: pixels of still pictures in layers, and a recipe for the file they came in.
//!
//! PNG, BMP, PNM, PAM and TIFF are taken apart ([`crate::media::picture`]) and their pixels coded in layers ([`pixels`]).
//! Where that does not pay, or the container cannot be taken apart, the last layer is the file itself, after previews
//! of its pixels. Measured bytes, protection included, decide.
//!
//! # Layers
//!
//! With `p` previews there are `p + 1` layers. Each begins with what belongs to the container, as long as the settings
//! say, followed by the pixels' layer of the same number:
//!
//! ```text
//! layer 0      head of the container, packed
//! layer c      colour profile and Exif data, packed; c is the first layer with eight times as many bytes of pixels
//! last layer   hash of the file (16 bytes), then
//!              taken apart: length of the recipe (u32), the recipe, the pixels' last layer
//!              as a file: 0 and the file, or 1 and a zstd frame of it
//! ```
//!
//! A packed part is 0 and the bytes, or 1 and a zstd frame.
//!
//! # Settings
//!
//! ```text
//! 0       how the last layer holds the file: 0 taken apart, 1 as a file
//! 1       container: 0 PNG, 1 BMP, 2 PNM or PAM, 3 TIFF, 4 GIF
//! 2       layer of the colour part
//! 3       reserved: 0
//! 4..8    bytes of the head in layer 0
//! 8..12   bytes of the colour part in its layer
//! 12..    header of the pixels ([`pixels::Header`]): 16 + 4 bytes per preview
//! ```
//!
//! Thus 44 bytes with four previews. A palette picture is coded in the colours that it shows; that these give the numbers
//! of the palette back is checked when encoding.
//!
//! # Reading
//!
//! A file is decoded whole: its segment is its size. Memory: the layers, two bytes per sample, about three times the
//! decompressed PNG. Exact bytes are proved by their hash. With layers missing a valid file of the same size and
//! geometry is rendered; where that is not possible (a GIF, a PNG too small for any picture) the missing layer is the
//! error.

mod decode;
mod encode;
pub mod pixels;
mod settings;
#[cfg(test)]
mod tests;

use super::{Codec, CodecError, CodecId, Content, Decoder, Encoded, LayerSink, Medium, Request};
use crate::format::Layers;
use crate::media::picture::Container;
use crate::media::sniff::{Kind, sniff};
use settings::Settings;

/// Largest file that is looked at: 1 GiB.
const MAX_FILE: u64 = 1 << 30;
/// Bytes of the hash of a file.
const PROOF: usize = 16;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Image;

impl Codec for Image {
    fn id(&self) -> CodecId {
        CodecId(2)
    }

    fn name(&self) -> &'static str {
        "image"
    }

    fn medium(&self) -> Medium {
        Medium::Image
    }

    fn suits(&self, head: &[u8]) -> bool {
        container(head).is_some()
    }

    fn quality(&self, settings: &[u8], layers: usize) -> Option<f64> {
        let settings = Settings::parse(settings).ok()?;
        if layers >= settings.layers() {
            return None;
        }
        let last = layers.checked_sub(1)?;
        let centi_db = settings.pixels.centi_db.get(last).copied()?;
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
        Ok(Box::new(decode::Reader::open(settings, size, layers)?))
    }

    fn preview<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        decode::Reader::open(settings, size, layers)?.thumbnail()
    }
}

/// The container of a file that begins with these bytes.
fn container(head: &[u8]) -> Option<Container> {
    match sniff(head)? {
        Kind::Png => Some(Container::Png),
        Kind::Bmp => Some(Container::Bmp),
        Kind::Pnm | Kind::Pam => Some(Container::Pnm),
        Kind::Tiff => Some(Container::Tiff),
        Kind::Gif => Some(Container::Gif),
        _ => None,
    }
}

/// The hash of a file as the last layer keeps it.
fn proof(file: &[u8]) -> [u8; PROOF] {
    let [proof @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        crate::coding::hash::Digest::of(file).0;
    proof
}
