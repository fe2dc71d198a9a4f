//! Enlarging and reducing pictures bit for bit as Pillow's `resize((w, h), BICUBIC)` does for RGB.
//!
//! Two passes, first along rows, then along columns; a pass that changes nothing is left out, and between them
//! samples are clipped to 8 bits. (Pillow 13 takes columns first where a picture becomes wider and lower at once; a
//! coarse picture never does.) A sample is a sum of weighted samples in 32-bit integers: weights have
//! [`PRECISION`] bits after the point, and half a unit is added before the shift. The weights come from the cubic
//! convolution kernel (Keys, *Cubic Convolution Interpolation for Digital Image Processing*, 1981) with `a = -0.5`,
//! stretched where the picture becomes smaller, in doubles by `+ - * /` alone: the same on every machine.

/// Bits after the point of a weight: 32 less 8 of a sample and 2 for sums beyond 1.
const PRECISION: u32 = 32 - 8 - 2;
/// What is added before the shift, to round.
const HALF: i32 = 1 << (PRECISION - 1);
/// The kernel's reach to each side, in samples.
const SUPPORT: f64 = 2.0;

/// A picture: rows from the top, samples R, G, B of each pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raster {
    /// Pixels of a row.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
    /// `3 * width * height` samples.
    pub(super) samples: Vec<u8>,
}

/// Which samples make one, and with what weights.
#[derive(Debug)]
struct Tap {
    /// The first of them.
    start: usize,
    weights: Vec<i32>,
}

/// Resizes a picture; no side is 0, and the longest has at most 2^20 pixels.
pub(super) fn resize(from: Raster, width: u32, height: u32) -> Raster {
    let mut samples = from.samples;
    if width != from.width {
        samples = along_rows(&samples, from.width, width);
    }
    if height != from.height {
        samples = along_columns(&samples, width, &taps(from.height, height));
    }
    Raster {
        width,
        height,
        samples,
    }
}

/// Changes the length of each row.
fn along_rows(samples: &[u8], from: u32, to: u32) -> Vec<u8> {
    let taps = taps(from, to);
    let mut out = Vec::new();
    for row in samples.chunks_exact(bytes(from)) {
        let pixels = row.as_chunks::<3>().0;
        for tap in &taps {
            let mut sums = [HALF; 3];
            for (pixel, weight) in pixels.iter().skip(tap.start).zip(&tap.weights) {
                for (sum, sample) in sums.iter_mut().zip(pixel) {
                    *sum = weighted(*sum, *sample, *weight);
                }
            }
            out.extend(sums.map(clipped));
        }
    }
    out
}

/// Changes the number of rows.
fn along_columns(samples: &[u8], width: u32, taps: &[Tap]) -> Vec<u8> {
    let row = bytes(width);
    let mut out = Vec::with_capacity(row.saturating_mul(taps.len()));
    let mut sums = vec![HALF; row];
    for tap in taps {
        sums.fill(HALF);
        let rows = samples.chunks_exact(row).skip(tap.start);
        for (samples, weight) in rows.zip(&tap.weights) {
            for (sum, sample) in sums.iter_mut().zip(samples) {
                *sum = weighted(*sum, *sample, *weight);
            }
        }
        out.extend(sums.iter().map(|sum| clipped(*sum)));
    }
    out
}

/// Weights sum to 1 and their magnitudes to less than 2, so that sums stay below 2^31.
fn weighted(sum: i32, sample: u8, weight: i32) -> i32 {
    sum.wrapping_add(i32::from(sample).wrapping_mul(weight))
}

fn clipped(sum: i32) -> u8 {
    u8::try_from((sum >> PRECISION).clamp(0, 255)).unwrap_or(u8::MAX)
}

/// Bytes of a row.
fn bytes(width: u32) -> usize {
    usize::try_from(width).map_or(usize::MAX, |width| width.saturating_mul(3))
}

/// The taps of all `to` samples of a line that is made of one of `from` samples.
fn taps(from: u32, to: u32) -> Vec<Tap> {
    let scale = f64::from(from) / f64::from(to);
    let stretch = if scale < 1.0 { 1.0 } else { scale };
    let support = SUPPORT * stretch;
    let inverse = 1.0 / stretch;
    let tap = |at: u32| {
        let centre = (f64::from(at) + 0.5) * scale;
        let start = truncated(centre - support + 0.5).max(0);
        let end = truncated(centre + support + 0.5).min(i64::from(from));
        let values: Vec<f64> = (start..end)
            .map(|x| kernel((float(x) - centre + 0.5) * inverse))
            .collect();
        let sum = values.iter().fold(0.0, |sum, value| sum + value);
        let weight = |value: &f64| fixed(if sum == 0.0 { *value } else { value / sum });
        Tap {
            start: usize::try_from(start).unwrap_or(usize::MAX),
            weights: values.iter().map(weight).collect(),
        }
    };
    (0..to).map(tap).collect()
}

/// The kernel at distance `x`.
fn kernel(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A weight in fixed point, rounded half away from zero.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    let rounded = truncated(if weight < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    });
    i32::try_from(rounded).unwrap_or_default()
}

/// A sample's place as a double: exact, since sides have at most 2^20 pixels.
#[expect(clippy::cast_precision_loss, reason = "at most 2^20")]
fn float(at: i64) -> f64 {
    at as f64
}

/// Towards zero, as a cast in C.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is wanted; `as` saturates"
)]
fn truncated(value: f64) -> i64 {
    value as i64
}
