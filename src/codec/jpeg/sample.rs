//! Measuring previews: some MCUs of a strip, seen as a decoder would show them.

use std::ops::Range;

use crate::coding::bands::Survey;
use crate::media::jpeg::{Block, Colour, Component, Frame, Plane, ZIGZAG, colour_weights};

use super::strip::Strip;
use super::ways::Cut;

/// cos(i * pi / 16) / 2 for i = 0..8; the first is 1 / sqrt(8).
const BASE: [f32; 8] = [
    0.353_553_4,
    0.490_392_63,
    0.461_939_75,
    0.415_734_8,
    0.353_553_4,
    0.277_785_1,
    0.191_341_71,
    0.097_545_16,
];

/// Some MCUs of a strip.
#[derive(Debug)]
pub(super) struct Sample {
    strip: Strip,
    surveys: Vec<Survey>,
    /// Of AC bands the values at the MCUs, of the wavelet's all.
    values: Vec<Vec<i32>>,
    /// Blocks of each component that the MCUs have: their places in the strip.
    places: Vec<Vec<usize>>,
    /// Of the original: DC, the blocks at the places, and what they show.
    dc: Vec<Vec<i32>>,
    blocks: Vec<Plane>,
    shown: Vec<f32>,
    picture: Picture,
}

/// Squared errors of a preview.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Errors {
    /// Of the colours shown, in all sampled MCUs; the number of colour samples.
    pub(super) shown: f64,
    pub(super) samples: usize,
    /// Of the coefficients of the sampled MCUs, weighted as in the whole; the number of pixels.
    pub(super) coefficients: f64,
    pub(super) pixels: usize,
    /// Of all DC coefficients.
    pub(super) dc: f64,
}

impl Errors {
    pub(super) fn add(self, other: Self) -> Self {
        Self {
            shown: self.shown + other.shown,
            samples: self.samples + other.samples,
            coefficients: self.coefficients + other.coefficients,
            pixels: self.pixels + other.pixels,
            dc: self.dc + other.dc,
        }
    }
}

impl Sample {
    /// Takes one of `step` of a strip's MCUs, given its bands and what was seen of each.
    pub(super) fn new(
        frame: &Frame,
        mcus: &Range<usize>,
        strip: Strip,
        bands: &[Vec<i32>],
        surveys: Vec<Survey>,
        step: usize,
    ) -> Self {
        let picture = Picture::new(frame);
        // MCUs at the edges of the picture hold blocks that nobody sees.
        let (width, height) = picture.size;
        let inner = (usize::from(frame.width) / width).max(1);
        let end = mcus.end.min(usize::from(frame.height) / height);
        let rows = end.saturating_sub(mcus.start).max(1);
        // One of each `step`, not always the same, so that columns mix.
        let step = step.max(1);
        let chosen = (0..inner * rows / step).map(|i| i * step + i * 40_503 % 65_536 % step);
        let chosen: Vec<(usize, usize)> = chosen.map(|at| (at % inner, at / inner)).collect();
        let places: Vec<Vec<usize>> = frame
            .components
            .iter()
            .map(|c| {
                let (h, v) = (usize::from(c.h), usize::from(c.v));
                let block = |(x, y): &(usize, usize)| {
                    let first = y * v * c.stride + x * h;
                    let rows = (0..v).map(move |row| first + row * c.stride);
                    rows.flat_map(move |row| row..row + h).collect::<Vec<_>>()
                };
                chosen.iter().flat_map(block).collect()
            })
            .collect();
        let values = strip.gather(bands, &places);
        let dc = strip.dc(&values);
        let blocks = strip.blocks_at(&values, &dc, &places);
        let shown = picture.show(&blocks);
        Self {
            strip,
            surveys,
            values,
            places,
            dc,
            blocks,
            shown,
            picture,
        }
    }

    /// The squared errors of what a preview shows.
    pub(super) fn errors(&self, cut: Cut) -> Errors {
        let shifts = self.strip.shifts(cut);
        let each = self
            .values
            .chunks(1)
            .zip(shifts.chunks(1))
            .zip(&self.surveys);
        let known = each.flat_map(|((values, shift), survey)| survey.reconstruct(shift, values));
        let known: Vec<Vec<i32>> = known.collect();
        let dc = self.strip.dc(&known);
        let blocks = self.strip.blocks_at(&known, &dc, &self.places);
        let shown = self.picture.show(&blocks);
        let pairs = shown.iter().zip(&self.shown);
        let mut errors = Errors {
            shown: pairs
                .map(|(a, b)| f64::from(a - b) * f64::from(a - b))
                .sum(),
            samples: shown.len(),
            pixels: shown.len() / self.picture.colours,
            ..Errors::default()
        };
        for (index, component) in self.picture.components.iter().enumerate() {
            let (Some(a), Some(b)) = (blocks.get(index), self.blocks.get(index)) else {
                continue;
            };
            let mut sums = [0.0; 64];
            for (a, b) in a.iter().zip(b) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    let difference = f32::from(*a) - f32::from(*b);
                    *sum += difference * difference;
                }
            }
            let squares = sums.iter().zip(component.steps);
            let sum: f64 = squares
                .map(|(sum, step)| f64::from(sum * step * step))
                .sum();
            errors.coefficients += sum * component.weight;
            let (Some(a), Some(b)) = (dc.get(index), self.dc.get(index)) else {
                continue;
            };
            let [step, ..] = component.steps.map(f64::from);
            let differences = a.iter().zip(b).map(|(a, b)| f64::from(a - b));
            let sum: f64 = differences.map(|difference| difference * difference).sum();
            errors.dc += sum * step * step * component.weight;
        }
        errors
    }
}

/// How blocks become colours.
#[derive(Debug)]
struct Picture {
    colour: Colour,
    components: Vec<Part>,
    /// Samples of an MCU across and down.
    size: (usize, usize),
    /// Colours of a pixel.
    colours: usize,
}

/// A component.
#[derive(Debug)]
struct Part {
    /// Blocks of an MCU across and down.
    h: usize,
    v: usize,
    /// Step sizes in zigzag order.
    steps: [f32; 64],
    /// How much the squared error of a coefficient counts: its weight in the colours times the pixels of a sample.
    weight: f64,
}

impl Picture {
    fn new(frame: &Frame) -> Self {
        let largest = |f: fn(&Component) -> u8| frame.components.iter().map(f).max().unwrap_or(1);
        let (across, down) = (largest(|c| c.h), largest(|c| c.v));
        let part = |(c, weight): (&Component, u32)| {
            let pixels = f64::from(across) * f64::from(down) / f64::from(c.h) / f64::from(c.v);
            Part {
                h: usize::from(c.h),
                v: usize::from(c.v),
                steps: c.quantiser.map(f32::from),
                weight: f64::from(weight) / 1024.0 * pixels,
            }
        };
        let components = frame.components.iter().zip(colour_weights(frame));
        Self {
            colour: frame.colour(),
            components: components.map(part).collect(),
            size: (8 * usize::from(across), 8 * usize::from(down)),
            colours: frame.components.len().min(3),
        }
    }

    /// The colours of MCUs, given the blocks of each component, MCU by MCU.
    fn show(&self, blocks: &[Plane]) -> Vec<f32> {
        let (width, height) = self.size;
        let mut mcus: Vec<_> = blocks
            .iter()
            .zip(&self.components)
            .map(|(blocks, part)| blocks.chunks(part.h * part.v))
            .collect();
        let mut out = Vec::new();
        let mut planes = vec![vec![0.0; width * height]; self.components.len()];
        loop {
            for ((mcus, component), plane) in mcus.iter_mut().zip(&self.components).zip(&mut planes)
            {
                let Some(blocks) = mcus.next() else {
                    return out;
                };
                self.samples(blocks, component, plane);
            }
            self.colours(&planes, &mut out);
        }
    }

    /// The samples of a component in an MCU, as many as the finest component has.
    fn samples(&self, blocks: &[Block], part: &Part, out: &mut [f32]) {
        let Part { h, v, steps, .. } = part;
        let (width, height) = self.size;
        let mut plane = vec![0.0; 64 * h * v];
        let stride = 8 * h;
        for (index, block) in blocks.iter().enumerate() {
            let origin = (index / h) * 8 * stride + (index % h) * 8;
            let samples = inverse(block, steps);
            for (y, row) in samples.iter().enumerate() {
                let start = origin + y * stride;
                if let Some(to) = plane.get_mut(start..start + 8) {
                    for (to, sample) in to.iter_mut().zip(row) {
                        *to = rounded(sample + 128.0);
                    }
                }
            }
        }
        if (stride, 8 * v) == (width, height) {
            out.copy_from_slice(&plane);
            return;
        }
        // Between samples decoders interpolate; the nearest but one counts a quarter in each direction.
        for (y, row) in out.chunks_mut(width).enumerate() {
            let (y0, y1) = between(y, 8 * v, height);
            for (x, out) in row.iter_mut().enumerate() {
                let (x0, x1) = between(x, stride, width);
                let at = |x: usize, y: usize| plane.get(y * stride + x).copied().unwrap_or(0.0);
                let (near, far) = (3.0 * at(x0, y0) + at(x1, y0), 3.0 * at(x0, y1) + at(x1, y1));
                *out = rounded((3.0 * near + far) / 16.0);
            }
        }
    }

    /// The colours that the samples make, rounded as decoders do at each step.
    fn colours(&self, planes: &[Vec<f32>], out: &mut Vec<f32>) {
        let converted = matches!(self.colour, Colour::YCbCr | Colour::Ycck);
        let [first, second, third, rest @ ..] = planes else {
            out.extend(planes.iter().flatten().copied());
            return;
        };
        let black = rest.first().map(Vec::as_slice).unwrap_or_default();
        for (i, ((a, b), c)) in first.iter().zip(second).zip(third).enumerate() {
            let mut colours = [*a, *b, *c];
            if converted {
                let (cb, cr) = (b - 128.0, c - 128.0);
                colours = [
                    a + 1.402 * cr,
                    a - 0.344_136 * cb - 0.714_136 * cr,
                    a + 1.772 * cb,
                ];
            }
            for colour in colours {
                let colour = rounded(colour);
                // Inks, kept as what they let through; converted ones are the other way round.
                let ink = if converted { 255.0 - colour } else { colour };
                let shown = |black: &f32| ink * black / 255.0;
                out.push(black.get(i).map_or(colour, shown));
            }
        }
    }
}

/// To the nearest of 0..=255.
fn rounded(sample: f32) -> f32 {
    // So large that what is behind the point does not fit.
    const LARGE: f32 = 12_582_912.0;
    (sample.clamp(0.0, 255.0) + LARGE) - LARGE
}

/// The nearest sample of `length` to place `at` of `wanted`, and the nearest but one.
fn between(at: usize, length: usize, wanted: usize) -> (usize, usize) {
    let near = at * length / wanted.max(1);
    if length == wanted {
        return (near, near);
    }
    let middle = (2 * near + 1) * wanted;
    let far = if (2 * at + 1) * length < middle {
        near.saturating_sub(1)
    } else {
        (near + 1).min(length - 1)
    };
    (near, far)
}

/// The inverse DCT of a block (T.81 A.3.3), row by row.
fn inverse(block: &Block, steps: &[f32; 64]) -> [[f32; 8]; 8] {
    let mut values = [0.0; 64];
    for ((value, at), step) in block.iter().zip(ZIGZAG).zip(steps) {
        if let Some(out) = values.get_mut(usize::from(at)) {
            *out = f32::from(*value) * step;
        }
    }
    let (values, _) = values.as_chunks::<8>();
    let mut columns = [[0.0; 8]; 8];
    for (frequency, values) in values.iter().enumerate() {
        if values.iter().all(|value| *value == 0.0) {
            continue;
        }
        for (row, bases) in columns.iter_mut().zip(&MATRIX) {
            let base = bases.get(frequency).copied().unwrap_or(0.0);
            add(row, base, values);
        }
    }
    let mut out = [[0.0; 8]; 8];
    for (out, row) in out.iter_mut().zip(&columns) {
        for (value, bases) in row.iter().zip(&TURNED) {
            add(out, *value, bases);
        }
    }
    out
}

#[inline]
fn add(out: &mut [f32; 8], factor: f32, values: &[f32; 8]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out += factor * value;
    }
}

/// What frequency u adds to sample x: `MATRIX[x][u]`.
static MATRIX: [[f32; 8]; 8] = matrix(false);
/// What it adds to all samples: `TURNED[u][x]`.
static TURNED: [[f32; 8]; 8] = matrix(true);

#[expect(clippy::indexing_slicing, reason = "constants, by indices below 8")]
const fn matrix(turned: bool) -> [[f32; 8]; 8] {
    let mut matrix = [[BASE[0]; 8]; 8];
    let mut x = 0;
    while x < 8 {
        let mut u = 1;
        while u < 8 {
            // cos(i pi / 16) / 2 by its value in the first quarter; i is no multiple of 8 unless u is 0.
            let i = (2 * x + 1) * u % 32;
            let i = if i > 16 { 32 - i } else { i };
            let value = if i > 8 { -BASE[16 - i] } else { BASE[i % 8] };
            if turned {
                matrix[u][x] = value;
            } else {
                matrix[x][u] = value;
            }
            u += 1;
        }
        x += 1;
    }
    matrix
}
