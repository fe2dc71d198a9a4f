//! Windows and OS/2 bitmaps without compression (`BITMAPINFOHEADER` of wingdi.h).

use super::bytes::Fields;
use super::error::Error;
use super::layout::{self, Layout, Piece, Sample};
use super::raster::{Colour, Palette};

/// Bytes of the file header.
const FILE_HEADER: usize = 14;
/// Pixels as they are, and pixels with masks for their channels.
const PLAIN: u32 = 0;
const MASKED: u32 = 3;

/// Finds the pixels of a bitmap.
pub(super) fn layout(file: &[u8]) -> Result<Layout, Error> {
    let mut fields = Fields::new(file);
    let number = |bytes: [u8; 4]| u32::from_le_bytes(bytes) as usize;
    fields.take(10)?;
    let data = number(fields.array()?);
    let header = number(fields.array()?);
    let (width, height, bits, compression, colours) = match header {
        12 => {
            let (width, height) = (u16::from_le_bytes(fields.array()?), fields.array()?);
            fields.take(2)?;
            let bits = u16::from_le_bytes(fields.array()?);
            let height = i32::from(u16::from_le_bytes(height));
            (u32::from(width), height, bits, PLAIN, 0)
        }
        40 | 52 | 56 | 64 | 108 | 124 => {
            let (width, height) = (fields.array()?, i32::from_le_bytes(fields.array()?));
            fields.take(2)?;
            let bits = u16::from_le_bytes(fields.array()?);
            let compression = u32::from_le_bytes(fields.array()?);
            fields.take(12)?;
            let colours = number(fields.array()?);
            (
                u32::from_le_bytes(width),
                height,
                bits,
                compression,
                colours,
            )
        }
        _ => return Err(Error::Unsupported("a bitmap header of unknown size")),
    };
    // Masks follow a header of 40 bytes and are part of the longer ones.
    let masks = FILE_HEADER + 40;
    let mut end = FILE_HEADER + header;
    let (sample, colour, order) = match (bits, compression) {
        (1 | 4 | 8, PLAIN) => {
            let entry = if header == 12 { 3 } else { 4 };
            let count = if colours == 0 { 1 << bits } else { colours };
            if count > 256 {
                return Err(Error::Format("a palette of more than 256 colours"));
            }
            let entries = file.get(end..end + count * entry);
            let entries = entries.ok_or(Error::Format("a palette past the end"))?;
            let palette = Palette {
                colours: entries
                    .chunks_exact(entry)
                    .map(|e| match e {
                        [b, g, r, ..] => [*r, *g, *b],
                        _ => [0; 3],
                    })
                    .collect(),
                alpha: Vec::new(),
            };
            end += count * entry;
            let sample = match bits {
                1 => Sample::Bits(1),
                4 => Sample::Bits(4),
                _ => Sample::Byte,
            };
            (sample, Colour::Palette(palette), vec![0])
        }
        (24, PLAIN) => (Sample::Byte, Colour::Rgb, vec![2, 1, 0]),
        (32, PLAIN) => (Sample::Byte, Colour::Rgba, vec![2, 1, 0, 3]),
        (32, MASKED) => {
            let masks = file.get(masks..masks + 12).unwrap_or_default();
            let order = match masks.as_chunks::<4>().0 {
                [r, g, b] => masked(&[*r, *g, *b])?,
                _ => return Err(Error::Format("masks past the end")),
            };
            end = end.max(FILE_HEADER + 52);
            (Sample::Byte, Colour::Rgba, order)
        }
        _ => return Err(Error::Unsupported("a bitmap with compression or 16 bits")),
    };
    let rows = height.unsigned_abs();
    let max = match sample {
        Sample::Bits(bits) => (1 << bits) - 1,
        _ => 255,
    };
    let raster = layout::raster(file, (width, rows), sample, max, colour)?;
    // Rows are filled up to four bytes.
    let stride = (width as usize * usize::from(bits)).div_ceil(32) * 4;
    let rows = rows as usize;
    let pieces = (0..rows).map(|y| Piece {
        at: data + stride * if height < 0 { y } else { rows - 1 - y },
        x: 0,
        y,
        width: width as usize,
        channel: None,
    });
    Ok(Layout {
        pieces: pieces.collect(),
        raster,
        sample,
        order,
        essential: std::iter::once(0..end.min(data.max(FILE_HEADER + header))).collect(),
    })
}

/// The channel of each byte of a pixel, from the masks of red, green and blue.
fn masked(masks: &[[u8; 4]; 3]) -> Result<Vec<usize>, Error> {
    let mut order = vec![3; 4];
    for (channel, mask) in masks.iter().enumerate() {
        let byte = match mask {
            [255, 0, 0, 0] => 0,
            [0, 255, 0, 0] => 1,
            [0, 0, 255, 0] => 2,
            [0, 0, 0, 255] => 3,
            _ => return Err(Error::Unsupported("a channel that is not a byte")),
        };
        if let Some(slot) = order.get_mut(byte) {
            *slot = channel;
        }
    }
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted == [0, 1, 2, 3] {
        Ok(order)
    } else {
        Err(Error::Unsupported("two channels in one byte"))
    }
}
