//! The coarse picture of a chunk: a PNG file, read as RGB with 8 bits a sample.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::{LIMIT, Raster, SIDE};
use crate::foreign::holo::{EXPANSION, usize_of};

/// Decodes it; `None` where it is damaged or too large. Grey and palettes become RGB and alpha is left out, as
/// Pillow's `convert("RGB")` does; the original writes nothing but RGB, and 16 bits a sample are not read.
pub(super) fn decode(stored: &[u8]) -> Option<Raster> {
    let bytes = usize_of(2 * LIMIT);
    let mut decoder = Decoder::new_with_limits(Cursor::new(stored), Limits { bytes });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().ok()?;
    let info = reader.info();
    let (width, height) = (info.width, info.height);
    let samples = 3 * u64::from(width) * u64::from(height);
    // What no deflate stream of this length holds is not allocated.
    let longest = (stored.len() as u64).saturating_mul(EXPANSION);
    if width.max(height) > SIDE
        || samples > LIMIT
        || info.bit_depth == BitDepth::Sixteen
        || info.raw_bytes() as u64 > longest
    {
        return None;
    }
    let mut buf = Vec::new();
    let size = reader.output_buffer_size()?;
    buf.try_reserve_exact(size).ok()?;
    buf.resize(size, 0);
    let frame = reader.next_frame(&mut buf).ok()?;
    let samples = match frame.color_type {
        ColorType::Rgb => buf,
        ColorType::Rgba => {
            let pixels = buf.as_chunks::<4>().0.iter();
            pixels.flat_map(|[r, g, b, _]| [*r, *g, *b]).collect()
        }
        ColorType::Grayscale => buf.iter().flat_map(|grey| [*grey; 3]).collect(),
        ColorType::GrayscaleAlpha => {
            let pixels = buf.as_chunks::<2>().0.iter();
            pixels.flat_map(|[grey, _]| [*grey; 3]).collect()
        }
        ColorType::Indexed => return None, // expanded above
    };
    Some(Raster {
        width,
        height,
        samples,
    })
}
