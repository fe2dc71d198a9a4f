//! Exact coding of drawn pictures: few colours, flat areas, repeated neighbours.
//!
//! Pixels go row by row. One symbol says what the pixel equals: what last followed the same 38 pixels around, the same
//! eleven, the same five (where the encoder found that this memory pays), or one of the neighbours W, N, NE, NW, WW,
//! NN, in this order; or that it is new. It is coded with a mean of two adaptive tables, chosen by how often the memory was right
//! and by which neighbours equal each other.
//! A new pixel is a palette index, chosen by the indices at W and N, where the picture has at most 256 colours, else
//! per channel the residual of the median predictor (ITU-T T.87, LOCO-I).

mod around;

use super::model::{Coder, Table};
use super::rans;
use around::{LEFT, Line, Memory, RIGHT, ROWS, surroundings};

/// The most channels of a picture.
pub const MAX_CHANNELS: usize = 4;
/// The most colours of a palette.
const MAX_PALETTE: usize = 256;

/// Pixels that a choice is tried with.
const TRIED: usize = 1 << 18;

/// Why bytes are not a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("drawn picture is damaged: {0}")]
pub struct Damaged(&'static str);

/// Shape of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Channels, 1 to [`MAX_CHANNELS`]; with 2 or 4 the last one is opacity.
    pub channels: usize,
    /// The greatest sample, at least 1.
    pub max: u16,
}

/// A pixel: its samples from the lowest 16 bits on.
type Pixel = u64;

/// Encodes channels of `width * height` samples each, row-major.
///
/// Samples must not exceed the maximum, and channels not differ in size; what is beyond is cut off.
#[must_use]
pub fn encode(shape: Shape, channels: &[&[u16]]) -> Vec<u8> {
    let mut pixels: Vec<Pixel> = vec![0; shape.width * shape.height];
    for (i, channel) in channels
        .iter()
        .take(shape.channels.min(MAX_CHANNELS))
        .enumerate()
    {
        for (pixel, sample) in pixels.iter_mut().zip(*channel) {
            *pixel |= Pixel::from((*sample).min(shape.max)) << (16 * i);
        }
    }
    let palette = palette_of(&pixels, shape);
    let coded = |remembers: bool, rows: &mut [Pixel]| {
        let mut coder = rans::Encoder::default();
        let mut walk = Walk::new(shape);
        walk.head(&mut coder, remembers, &palette);
        for row in rows.chunks_mut(shape.width.max(1)) {
            walk.row(&mut coder, row);
        }
        coder.finish()
    };
    // Memory finds letters and patterns again, but only blurs the contexts of dithered pictures: the middle tells.
    let sampled = TRIED.div_ceil(shape.width.max(1)).min(shape.height);
    let start = (shape.height - sampled) / 2 * shape.width;
    let mut middle = pixels
        .get(start..start + sampled * shape.width)
        .unwrap_or_default()
        .to_vec();
    let [with, without] = [true, false].map(|remembers| coded(remembers, &mut middle));
    let remembers = with.len() < without.len();
    if sampled < shape.height {
        coded(remembers, &mut pixels)
    } else if remembers {
        with
    } else {
        without
    }
}

/// Decodes what [`encode`] gave for a shape: the channels.
///
/// # Errors
/// [`Damaged`] for other bytes; memory and time are bounded by the shape.
pub fn decode(shape: Shape, bytes: &[u8]) -> Result<Vec<Vec<u16>>, Damaged> {
    let count = shape.width * shape.height;
    let mut channels = vec![Vec::with_capacity(count); shape.channels.min(MAX_CHANNELS)];
    let mut coder = rans::Decoder::new(bytes);
    let mut walk = Walk::new(shape);
    walk.head(&mut coder, false, &[]);
    let mut row = vec![0; shape.width];
    for _ in 0..shape.height {
        walk.row(&mut coder, &mut row);
        if Coder::is_overrun(&coder) {
            return Err(Damaged("it ends too early"));
        }
        for (i, channel) in channels.iter_mut().enumerate() {
            channel.extend(row.iter().map(|&pixel| sample(pixel, i).min(shape.max)));
        }
    }
    if coder.is_done() {
        Ok(channels)
    } else {
        Err(Damaged("its end is not where the pixels end"))
    }
}

/// Sample of a channel.
#[expect(clippy::cast_possible_truncation, reason = "16 bits are wanted")]
#[inline]
fn sample(pixel: Pixel, channel: usize) -> u16 {
    (pixel >> (16 * channel)) as u16
}

/// The colours in rising order, or nothing when there are too many to pay.
fn palette_of(pixels: &[Pixel], shape: Shape) -> Vec<Pixel> {
    let mut colours: Vec<Pixel> = Vec::new();
    let mut last = None;
    for pixel in pixels {
        if last == Some(pixel) {
            continue;
        }
        last = Some(pixel);
        if let Err(at) = colours.binary_search(pixel) {
            if colours.len() == MAX_PALETTE {
                return Vec::new();
            }
            colours.insert(at, *pixel);
        }
    }
    // Listing the colours must stay small beside what naming them saves.
    if colours.len() * shape.channels * 8 > pixels.len() {
        return Vec::new();
    }
    colours
}

/// Symbol of a new pixel; 15 to 13 are what followed the far, the wide and the narrow surroundings last, 12 is W, and so
/// on.
const NEW: u32 = 0;
/// The least symbols of what is remembered, and of W and N.
const RECALLED: u32 = 13;
const BESIDE: u32 = 11;
/// State of the walk over the rows.
struct Walk {
    shape: Shape,
    bits: u32,
    palette: Vec<Pixel>,
    /// This row and those above.
    lines: [Line; ROWS],
    /// Kind of symbol in this row and the one above, 0 for what was recalled, 1 for W or N, 2 for others, 3 for new.
    said: [Vec<u8>; 2],
    /// Of far, wide and narrow surroundings.
    memory: Option<[Memory; 3]>,
    recalled: Vec<Table>,
    equal: Vec<Table>,
    index: Indices,
    residual: Residuals,
}

impl Walk {
    fn new(shape: Shape) -> Self {
        let line = || Line::new(shape.width);
        let said = || vec![0; shape.width + 2];
        Self {
            shape,
            bits: shape.max.checked_ilog2().unwrap_or(0) + 1,
            palette: Vec::new(),
            lines: std::array::from_fn(|_| line()),
            said: [said(), said()],
            memory: None,
            recalled: vec![Table::default(); 1 << 12],
            equal: vec![Table::default(); 1024],
            index: Indices::default(),
            residual: Residuals::default(),
        }
    }

    /// Codes whether there is memory (1 bit), then the palette: its size (9 bits), then its colours.
    fn head<C: Coder>(&mut self, coder: &mut C, remembers: bool, palette: &[Pixel]) {
        if coder.raw(1, u32::from(remembers)) == 1 {
            self.memory = Some(std::array::from_fn(|_| Memory::new(self.shape)));
        }
        let count = coder.raw(9, u32::try_from(palette.len()).unwrap_or(0)) as usize;
        for i in 0..count.min(MAX_PALETTE) {
            let mut colour = 0;
            for channel in 0..self.shape.channels {
                let own = palette.get(i).map_or(0, |&pixel| sample(pixel, channel));
                let own = coder.raw(self.bits, u32::from(own));
                colour |= Pixel::from(own) << (16 * channel);
            }
            self.palette.push(colour);
        }
        if self.palette.is_empty() {
            self.residual.prepare();
        } else {
            self.index.prepare(self.palette.len());
        }
    }

    fn row<C: Coder>(&mut self, coder: &mut C, pixels: &mut [Pixel]) {
        self.lines.rotate_right(1);
        self.said.rotate_right(1);
        let [line, above, far, third, fourth] = &mut self.lines;
        // Beyond the edges the nearest known pixel goes on.
        let first = above.pixels.get(LEFT).copied().unwrap_or(0);
        (0..LEFT).for_each(|at| line.set(at, first));
        let width = pixels.len();
        let [said, said_above] = &mut self.said;
        for (x, pixel) in pixels.iter_mut().enumerate() {
            let (Some(&[ww, w]), Some(&[nw, n, ne]), Some(&nn)) = (
                line.pixels.get(x + 4..).and_then(|l| l.first_chunk()),
                above.pixels.get(x + 5..).and_then(|l| l.first_chunk()),
                far.pixels.get(x + 6),
            ) else {
                continue;
            };
            let mut places = [0; 3];
            let mut guesses = [w; 3];
            let at = |row: &[u8], x: usize| row.get(x).map_or(0, |&kind| usize::from(kind));
            let before = at(said, x);
            let mut recalled = (at(said_above, x + 2) << 2 | at(said_above, x + 1)) << 2 | before;
            if let Some(memory) = &self.memory {
                places = surroundings(x, [line, above, far, third, fourth]);
                let [of_all, of_wide, of_narrow] = memory;
                let mut all = of_all.recall(places[0]);
                let [wide, narrow] = [of_wide.recall(places[1]), of_narrow.recall(places[2])];
                if all.times == 0 {
                    all.pixel = wide.pixel;
                }
                guesses = [all, wide, narrow].map(|recalled| recalled.pixel);
                let trust = [all, wide, narrow].map(|recalled| usize::from(recalled.times));
                let trust = (trust[0] << 2 | trust[1]) << 2 | trust[2];
                let [all, wide, narrow] = guesses;
                let alike = [all == wide, wide == narrow, narrow == w, narrow == n];
                let alike = alike
                    .into_iter()
                    .fold(0, |bits, bit| bits << 1 | usize::from(bit));
                recalled = (trust << 4 | alike) << 2 | before;
            }
            let [all, wide, narrow] = guesses;
            let around = [all, wide, narrow, w, n, ne, nw, ww, nn];
            let bits = [
                w == n,
                w == nw,
                n == nw,
                n == ne,
                w == ne,
                w == ww,
                n == nn,
                nw == ne,
            ];
            let equal = bits
                .into_iter()
                .fold(0, |all, bit| all << 1 | usize::from(bit));
            let equal = equal << 2 | at(said_above, x + 1);
            let (Some(a), Some(b)) = (self.recalled.get_mut(recalled), self.equal.get_mut(equal))
            else {
                continue;
            };
            let (a, b) = if self.memory.is_some() {
                (a, b)
            } else {
                (b, a)
            };
            let symbol = if C::ENCODES {
                let same = (0..15).zip(around).find(|(_, known)| known == pixel);
                same.map_or(NEW, |(i, _)| 15 - i)
            } else {
                0
            };
            let symbol = coder.symbol(a, b, symbol);
            let copied = around.get(15 - symbol.min(15) as usize);
            let kind = match copied {
                Some(_) if symbol >= RECALLED => 0,
                Some(_) if symbol >= BESIDE => 1,
                Some(_) => 2,
                None => 3,
            };
            *pixel = match copied {
                Some(copied) => *copied,
                None if self.palette.is_empty() => {
                    self.residual.pixel(coder, self.shape, [w, n, nw], *pixel)
                }
                None => self.index.pixel(coder, &self.palette, [w, n], *pixel),
            };
            if let Some(memory) = &mut self.memory {
                for (memory, place) in memory.iter_mut().zip(places) {
                    memory.learn(place, *pixel);
                }
            }
            line.set(x + LEFT, *pixel);
            if let Some(said) = said.get_mut(x + 1) {
                *said = kind;
            }
        }
        let last = pixels.last().copied().unwrap_or(0);
        (0..RIGHT).for_each(|at| line.set(width + LEFT + at, last));
    }
}

/// Models of palette indices: upper and lower four bits, each by W and by N.
#[derive(Default)]
struct Indices {
    wide: bool,
    upper: [Vec<Table>; 2],
    lower: [Vec<Table>; 2],
}

impl Indices {
    fn prepare(&mut self, colours: usize) {
        self.wide = colours > 16;
        let tables = |count: usize| vec![Table::default(); count];
        let upper = if self.wide { 256 } else { 0 };
        self.upper = [tables(upper), tables(upper)];
        let lower = if self.wide { 4096 } else { 16 };
        self.lower = [tables(lower), tables(lower)];
    }

    fn pixel<C: Coder>(
        &mut self,
        coder: &mut C,
        palette: &[Pixel],
        around: [Pixel; 2],
        pixel: Pixel,
    ) -> Pixel {
        let index = |pixel: Pixel| palette.binary_search(&pixel).unwrap_or(0);
        let around = around.map(index);
        let wanted = if C::ENCODES {
            u32::try_from(index(pixel)).unwrap_or(0)
        } else {
            0
        };
        let mut found = 0;
        let mut places = around;
        if self.wide {
            found = code_at(coder, &mut self.upper, around, wanted >> 4) << 4;
            places = around.map(|index| index << 4 | (found >> 4) as usize);
        }
        found |= code_at(coder, &mut self.lower, places, wanted & 15);
        palette.get(found as usize).copied().unwrap_or(0)
    }
}

/// Codes one symbol with the tables at two places.
fn code_at<C: Coder>(
    coder: &mut C,
    tables: &mut [Vec<Table>; 2],
    places: [usize; 2],
    symbol: u32,
) -> u32 {
    let [a, b] = tables;
    match (a.get_mut(places[0]), b.get_mut(places[1])) {
        (Some(a), Some(b)) => coder.symbol(a, b, symbol),
        _ => 0,
    }
}

/// Models of residuals: the length of the magnitude, by the gradient around and by the channel before.
#[derive(Default)]
struct Residuals {
    lengths: [Vec<Table>; 2],
    /// Length of the last residual of each channel.
    last: [usize; MAX_CHANNELS],
}

impl Residuals {
    fn prepare(&mut self) {
        self.lengths = [vec![Table::default(); 64], vec![Table::default(); 64 * 16]];
    }

    fn pixel<C: Coder>(
        &mut self,
        coder: &mut C,
        shape: Shape,
        around: [Pixel; 3],
        pixel: Pixel,
    ) -> Pixel {
        let mut found = 0;
        let mut green = 0;
        let mut length_before = 0;
        // Green foretells the other colours, opacity stands alone.
        let order: &[usize] = match shape.channels {
            1 => &[0],
            2 => &[0, 1],
            3 => &[1, 0, 2],
            _ => &[1, 0, 2, 3],
        };
        for (place, &channel) in order.iter().enumerate() {
            let [w, n, nw] = around.map(|pixel| i32::from(sample(pixel, channel)));
            let coloured = shape.channels >= 3 && place > 0 && channel < 3;
            let shift = if coloured { green } else { 0 };
            let expected = (median(w, n, nw) + shift).clamp(0, i32::from(shape.max));
            let gradient = ((w - nw).unsigned_abs() + (n - nw).unsigned_abs()).min(0xffff);
            let gradient = (32 - gradient.leading_zeros()).min(15) as usize;
            let residual = i32::from(sample(pixel, channel)) - expected;
            let last = self.last.get(channel).copied().unwrap_or(0);
            let places = [
                channel << 4 | gradient,
                (channel << 4 | length_before) << 4 | last,
            ];
            let residual = self.residual(coder, places, residual);
            if let Some(last) = self.last.get_mut(channel) {
                *last = length_of(residual).min(15) as usize;
                length_before = *last;
            }
            if place == 0 {
                green = residual;
            }
            let value = (expected + residual).clamp(0, i32::from(shape.max));
            found |= Pixel::from(value.unsigned_abs()) << (16 * channel);
        }
        found
    }

    /// Codes a residual: length of the magnitude, sign, and the bits below the highest one.
    fn residual<C: Coder>(&mut self, coder: &mut C, places: [usize; 2], residual: i32) -> i32 {
        let wanted = residual.unsigned_abs();
        let length = length_of(residual);
        let mut coded = 15 - code_at(coder, &mut self.lengths, places, 15 - length.min(15)).min(15);
        if coded == 0 {
            return 0;
        }
        if coded == 15 {
            coded += coder.raw(1, length.wrapping_sub(15));
        }
        let negative = coder.raw(1, u32::from(residual < 0)) == 1;
        let low = coder.raw(coded - 1, wanted) & ((1 << (coded - 1)) - 1);
        let magnitude = (1 << (coded - 1) | low).cast_signed();
        if negative { -magnitude } else { magnitude }
    }
}

/// Bits of a magnitude.
fn length_of(residual: i32) -> u32 {
    32 - residual.unsigned_abs().leading_zeros()
}

/// The median of W, N and W + N - NW.
fn median(w: i32, n: i32, nw: i32) -> i32 {
    (w + n - nw).clamp(w.min(n), w.max(n))
}

#[cfg(test)]
mod tests;
