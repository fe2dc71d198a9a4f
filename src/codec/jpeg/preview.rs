//! A small picture from the first layer: one pixel for each block, its mean.

use super::super::thumbnail::Picture;
use crate::media::jpeg::{Colour, Component, Frame, Plane};

/// A thumbnail from the DC coefficients; `None` for inks and unusual colours.
pub(super) fn thumbnail(frame: &Frame, planes: &[Plane]) -> Option<Vec<u8>> {
    let colour = frame.colour();
    let channels = match colour {
        Colour::Grey => 1,
        Colour::YCbCr | Colour::Rgb => 3,
        Colour::Ycck | Colour::Cmyk | Colour::Other => return None,
    };
    let (h, v) = frame
        .components
        .iter()
        .fold((1, 1), |(h, v), c| (c.h.max(h), c.v.max(v)));
    let (width, height) = (frame.width.div_ceil(8), frame.height.div_ceil(8));
    let mut samples = Vec::with_capacity(usize::from(width) * usize::from(height) * channels);
    for y in 0..height {
        for x in 0..width {
            let mut pixel = [128; 3];
            for ((c, plane), sample) in frame.components.iter().zip(planes).zip(&mut pixel) {
                let across = usize::from(x) * usize::from(c.h) / usize::from(h);
                let down = usize::from(y) * usize::from(c.v) / usize::from(v);
                *sample = mean(c, plane, down * c.stride + across)?;
            }
            let shown = match colour {
                Colour::YCbCr => rgb(pixel),
                _ => pixel,
            };
            let bytes = shown
                .iter()
                .take(channels)
                .map(|sample| sample.clamp(&0, &255));
            samples.extend(bytes.filter_map(|sample| u8::try_from(*sample).ok()));
        }
    }
    let picture = Picture {
        width: width.into(),
        height: height.into(),
        channels,
        samples: &samples,
    };
    picture.thumbnail()
}

/// The mean of a block (T.81 A.3.3: DC is eight times the mean of the samples, which lie around 128).
fn mean(component: &Component, plane: &Plane, block: usize) -> Option<i32> {
    let dc = plane.get(block)?.first()?;
    let step = component.quantiser.first()?;
    Some((i32::from(*dc) * i32::from(*step)) / 8 + 128)
}

/// Red, green and blue (JFIF 1.02, conversion to and from RGB), in 16-bit fixed point.
fn rgb([y, cb, cr]: [i32; 3]) -> [i32; 3] {
    let (cb, cr) = (cb - 128, cr - 128);
    [
        y + ((91_881 * cr) >> 16),
        y - ((22_554 * cb + 46_802 * cr) >> 16),
        y + ((116_130 * cb) >> 16),
    ]
}
