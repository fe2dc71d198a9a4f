//! A small picture of a sound from the first layer: its waveform.

use std::io;
use std::ops::Range;

use super::bad;
use crate::codec::{CodecError, Decoder};
use crate::media::sound::ParseError;
use crate::media::sound::survey::{Ranges, Survey, Worth};
use crate::media::sound::waveform::Waveform;

/// Most columns, and rows of the bands.
const SIZE: (usize, usize) = (512, 118);
/// Most segments that are decoded, in a few tenths of a second: of what is longer than a minute or two, parts stand for
/// the whole.
const SEGMENTS: u64 = 16;

/// The waveform that a decoder of the first layer of `size` bytes of content gives, as a PNG. It looks the same
/// however much more is left, but for what cannot be decoded even from that layer.
///
/// # Errors
/// Those of the decoder where its first byte cannot be had; [`CodecError::Format`] for headers that are none.
pub(super) fn waveform(decoder: &dyn Decoder, size: u64) -> Result<Vec<u8>, CodecError> {
    if size > 0 {
        decoder.read_at(0, &mut [0])?;
    }
    let mut soft = Soft { decoder, size };
    let survey = Survey::of(&mut soft, SIZE.0, SEGMENTS).map_err(|e| match e {
        ParseError::Io(e) => CodecError::Io(e),
        ParseError::Media(e) => bad(&e.to_string()),
    })?;
    let picture = Waveform {
        survey: &survey,
        width: SIZE.0,
        height: SIZE.1,
        centi_db: None,
    };
    picture.png().map_err(|e| bad(&e.to_string()))
}

/// A file as the first layer shows it.
struct Soft<'a> {
    decoder: &'a dyn Decoder,
    size: u64,
}

impl Ranges for Soft<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn segment(&self, offset: u64) -> Option<Range<u64>> {
        Some(self.decoder.segment(offset))
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<Worth> {
        match self.decoder.read_at(offset, buf) {
            Ok(_) => Ok(Worth::Exact),
            Err(CodecError::Io(e)) => Err(e),
            Err(_) => Ok(Worth::Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::*;
    use crate::codec::audio::Audio;
    use crate::codec::testing::{MemoryLayers, encode_for, random};
    use crate::codec::{Codec, Request, thumbnail};

    /// A WAVE file of noise in one channel, loud in its second half.
    fn file(frames: usize) -> Vec<u8> {
        let mut file = b"RIFF".to_vec();
        let length = u32::try_from(2 * frames).unwrap();
        file.extend((length + 36).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
        file.extend(length.to_le_bytes());
        for (i, byte) in random(3, frames).into_iter().enumerate() {
            let shift = if i < frames / 2 { 3 } else { 7 };
            file.extend(((i16::from(byte) - 128) << shift).to_le_bytes());
        }
        file
    }

    fn encoded(file: &[u8]) -> (Vec<u8>, MemoryLayers) {
        let request = Request {
            previews: 4,
            ..Request::default()
        };
        encode_for(&Audio, file, request).unwrap()
    }

    fn preview(settings: &[u8], file: &[u8], layers: &MemoryLayers) -> Result<Vec<u8>, CodecError> {
        let layers = Box::new(layers.clone());
        let png = Audio.preview(settings, file.len() as u64, layers)?;
        Ok(png.unwrap())
    }

    #[test]
    fn the_first_layer_is_enough_for_a_waveform() {
        let file = file(50_000);
        let (settings, layers) = encoded(&file);
        let whole = preview(&settings, &file, &layers).unwrap();
        let mut first = layers.clone();
        for layer in first.layers.iter_mut().skip(1) {
            layer.fill(0); // it is not needed
        }
        assert!(preview(&settings, &file, &first).unwrap() == whole);
        assert!(whole.len() <= thumbnail::MOST);
        let picture = image::load_from_memory(&whole).unwrap().to_rgb8();
        let (width, height) = picture.dimensions();
        assert!((256..=512).contains(&width) && height == 128);
        // Ink of the upper half of the band in a column: blue, and no paper.
        let ink = |x: u32| {
            let column = (0..59).map(|y| picture.get_pixel(x, y).0);
            column.filter(|[r, _, b]| b > r).count()
        };
        let mean = |columns: std::ops::Range<u32>| {
            let count = columns.len();
            columns.map(ink).sum::<usize>() / count
        };
        let (quiet, loud) = (mean(0..width / 2 - 5), mean(width / 2 + 5..width));
        assert!(quiet > 0 && loud > 4 * quiet, "{quiet} {loud}");
    }

    #[test]
    fn long_sounds_are_shown_in_parts() {
        let file = file(40 << 19);
        let (settings, layers) = encoded(&file);
        let png = preview(&settings, &file, &layers).unwrap();
        assert!(png.len() <= thumbnail::MOST);
    }

    #[test]
    fn without_the_first_layer_there_is_none() {
        let file = file(5000);
        let (settings, mut layers) = encoded(&file);
        layers.layers[0].clear();
        assert!(preview(&settings, &file, &layers).is_err());
    }
}
