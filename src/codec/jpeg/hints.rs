//! Predicting bands from others: samples are much alike on both sides of an edge between blocks.
//!
//! Along the edge between a block and the one above it the samples of both are sums over horizontal frequencies. For
//! each of them the vertical frequencies of a block add up to its share at the edge, and the shares of both blocks
//! should be equal. Solved for the coefficient in the first row, that predicts it from those below it and from the
//! block above; the first column likewise. (The idea is lepton's: D. Horn et al., "The Design, Implementation, and
//! Deployment of a System to Transparently Compress Hundreds of Petabytes of Image Files for a File-Storage Service",
//! NSDI 2017.) Solved for DC it predicts the difference between neighbours, and with it the finest details of DC's
//! wavelet, each a difference of two such differences.

use crate::coding::bands::{Hints, Known, sum_of_four};
use crate::media::jpeg::Component;

use super::dc::SHARES;
use super::strip::{place, zigzag};

/// Bands of seven frequencies, and what one unit of each adds at an edge, in 1/16 of a unit of what is predicted: at
/// most 2^12.
type Taps = [(usize, i16); 7];

/// Where a prediction comes from.
#[derive(Debug, Clone, Copy, Default)]
enum Source {
    /// There is none.
    #[default]
    None,
    /// The block above.
    Above(Taps),
    /// The block to the left.
    Left(Taps),
    /// Details along rows, of the component with this number.
    Horizontal(usize),
    /// Details along columns.
    Vertical(usize),
    /// Details along both.
    Diagonal(usize),
}

/// What differences of DC are predicted from.
#[derive(Debug)]
struct Slopes {
    across: Taps,
    down: Taps,
    width: usize,
    height: usize,
}

/// Predictions of all bands that have one.
#[derive(Debug, Default)]
pub(super) struct Edges {
    sources: Vec<Source>,
    widths: Vec<usize>,
    slopes: Vec<Slopes>,
}

impl Edges {
    /// Adds a component with `height` rows of blocks, these bands of AC coefficients in zigzag order, and these of the
    /// finest details of DC (along rows, along columns, along both), if there are any.
    pub(super) fn add(
        &mut self,
        component: &Component,
        height: usize,
        ac: &[usize; 64],
        details: Option<[usize; 3]>,
    ) {
        let step = |k: usize| i32::from(component.quantiser.get(k).copied().unwrap_or(1));
        let taps = |own: usize, frequency: &dyn Fn(u8) -> usize| {
            let mut taps = [(usize::MAX, 0); 7];
            for ((i, share), tap) in (1..).zip(SHARES.iter().skip(1)).zip(&mut taps) {
                let k = frequency(i);
                let share = share * step(k) / step(own).max(1) / 64;
                // Beyond 256 units nothing can be said.
                let share = i16::try_from(share.min(1 << 12)).unwrap_or(0);
                *tap = (ac.get(k).copied().unwrap_or(usize::MAX), share);
            }
            taps
        };
        let width = component.stride;
        for k in 1..64 {
            let own = zigzag(place(k).0, place(k).1);
            let source = match place(k) {
                (0, column) => Source::Above(taps(own, &|i| zigzag(i, column))),
                (row, 0) => Source::Left(taps(own, &|i| zigzag(row, i))),
                _ => continue,
            };
            self.set(ac.get(own).copied(), source, width);
        }
        let number = self.slopes.len();
        self.slopes.push(Slopes {
            across: taps(0, &|i| zigzag(0, i)),
            down: taps(0, &|i| zigzag(i, 0)),
            width,
            height,
        });
        if let Some([along_rows, along_columns, both]) = details {
            let (half, rounded) = (width / 2, width.div_ceil(2));
            self.set(Some(along_rows), Source::Horizontal(number), half);
            self.set(Some(along_columns), Source::Vertical(number), rounded);
            self.set(Some(both), Source::Diagonal(number), half);
        }
    }

    fn set(&mut self, band: Option<usize>, source: Source, width: usize) {
        let Some(band) = band else { return };
        if self.sources.len() <= band {
            self.sources.resize(band + 1, Source::None);
            self.widths.resize(band + 1, 0);
        }
        if let (Some(s), Some(w)) = (self.sources.get_mut(band), self.widths.get_mut(band)) {
            (*s, *w) = (source, width);
        }
    }
}

impl Hints for Edges {
    fn predicts(&self, band: usize) -> bool {
        !matches!(self.sources.get(band), None | Some(Source::None))
    }

    fn predict(&self, known: &Known<'_>, band: usize, plane: &mut [i16]) {
        let (Some(source), Some(width)) = (self.sources.get(band), self.widths.get(band)) else {
            return;
        };
        let mut rows = plane.chunks_mut((*width).max(1));
        match source {
            Source::None => {}
            Source::Above(taps) => above(known, taps, *width, &mut rows),
            Source::Left(taps) => left(known, taps, *width, &mut rows),
            Source::Horizontal(number) => {
                if let Some(slopes) = self.slopes.get(*number) {
                    slopes.horizontal(known, &mut rows);
                }
            }
            Source::Vertical(number) => {
                if let Some(slopes) = self.slopes.get(*number) {
                    slopes.vertical(known, &mut rows);
                }
            }
            Source::Diagonal(number) => {
                if let Some(slopes) = self.slopes.get(*number) {
                    slopes.diagonal(known, &mut rows);
                }
            }
        }
    }
}

/// The rows of a plane of predictions.
type Rows<'a> = std::slice::ChunksMut<'a, i16>;

/// What a row of blocks adds at its first and at its last edge, in 1/16.
#[derive(Debug, Clone)]
struct Ends {
    first: Vec<i32>,
    last: Vec<i32>,
}

impl Ends {
    fn new(width: usize) -> Self {
        Self {
            first: vec![0; width],
            last: vec![0; width],
        }
    }

    fn fill(&mut self, known: &Known<'_>, taps: &Taps, y: usize) {
        let [one, two, three, four, five, six, seven] =
            taps.map(|(band, share)| (known.row(band, y), share));
        sum_of_four([one, three, five, seven], &mut self.first);
        sum_of_four([two, four, six, (&[], 0)], &mut self.last);
        // At the last sample the cosines of odd frequencies are negative.
        for (first, last) in self.first.iter_mut().zip(&mut self.last) {
            let (odd, even) = (*first, *last);
            *first = even + odd;
            *last = even - odd;
        }
    }
}

fn narrow(value: i32) -> i16 {
    i16::try_from(value.clamp(-32_767, 32_767)).unwrap_or(0)
}

fn above(known: &Known<'_>, taps: &Taps, width: usize, rows: &mut Rows<'_>) {
    let (mut now, mut before) = (Ends::new(width), Ends::new(width));
    for (y, row) in rows.enumerate() {
        std::mem::swap(&mut now, &mut before);
        now.fill(known, taps, y);
        if y > 0 {
            for (out, (last, first)) in row.iter_mut().zip(before.last.iter().zip(&now.first)) {
                *out = narrow(last - first);
            }
        }
    }
}

fn left(known: &Known<'_>, taps: &Taps, width: usize, rows: &mut Rows<'_>) {
    let mut now = Ends::new(width);
    for (y, row) in rows.enumerate() {
        now.fill(known, taps, y);
        let pairs = now.last.iter().zip(now.first.iter().skip(1));
        for (out, (last, first)) in row.iter_mut().skip(1).zip(pairs) {
            *out = narrow(last - first);
        }
    }
}

impl Slopes {
    /// For each row, what every second block differs from the mean of its neighbours.
    fn along_rows(&self, known: &Known<'_>) -> Vec<i32> {
        let half = self.width / 2;
        let mut plane = vec![0; half * self.height];
        let mut ends = Ends::new(self.width);
        for (y, row) in plane.chunks_mut(half.max(1)).enumerate() {
            ends.fill(known, &self.across, y);
            let pairs = ends.last.iter().zip(ends.first.iter().skip(1));
            let slopes: Vec<i32> = pairs.map(|(last, first)| slope(*last, *first)).collect();
            for (out, slopes) in row.iter_mut().zip(slopes.chunks(2)) {
                *out = bend(slopes.first(), slopes.get(1));
            }
        }
        plane
    }

    /// For every second row, what its blocks differ from the mean of those above and below.
    fn along_columns(&self, known: &Known<'_>) -> Vec<i32> {
        let mut plane = vec![0; self.width * (self.height / 2)];
        let ends = [(); 3].map(|()| Ends::new(self.width));
        let [mut a, mut b, mut c] = ends;
        c.fill(known, &self.down, 0);
        for (half, row) in plane.chunks_mut(self.width.max(1)).enumerate() {
            let y = 2 * half + 1;
            std::mem::swap(&mut a, &mut c);
            b.fill(known, &self.down, y);
            let more = y + 1 < self.height;
            if more {
                c.fill(known, &self.down, y + 1);
            }
            for (x, out) in row.iter_mut().enumerate() {
                let slope = |from: &Ends, to: &Ends| {
                    let (last, first) = (from.last.get(x)?, to.first.get(x)?);
                    Some(slope(*last, *first))
                };
                let next = slope(&b, &c).filter(|_| more);
                *out = bend(slope(&a, &b).as_ref(), next.as_ref());
            }
        }
        plane
    }

    fn horizontal(&self, known: &Known<'_>, rows: &mut Rows<'_>) {
        let plane = self.along_rows(known);
        let width = self.width / 2;
        for (y, row) in rows.enumerate() {
            for (x, out) in row.iter_mut().enumerate() {
                let at = |y: usize| plane.get(y * width + x).copied().unwrap_or(0);
                *out = narrow(low(at, 2 * y, self.height));
            }
        }
    }

    fn vertical(&self, known: &Known<'_>, rows: &mut Rows<'_>) {
        let plane = self.along_columns(known);
        for (row, values) in rows.zip(plane.chunks(self.width.max(1))) {
            for (x, out) in row.iter_mut().enumerate() {
                let at = |x: usize| values.get(x).copied().unwrap_or(0);
                *out = narrow(low(at, 2 * x, self.width));
            }
        }
    }

    fn diagonal(&self, known: &Known<'_>, rows: &mut Rows<'_>) {
        let (by_rows, by_columns) = (self.along_rows(known), self.along_columns(known));
        let (half, width) = (self.width / 2, self.width);
        for (y, row) in rows.enumerate() {
            for (x, out) in row.iter_mut().enumerate() {
                let down = |y: usize| by_rows.get(y * half + x).copied().unwrap_or(0);
                let across = |x: usize| by_columns.get(y * width + x).copied().unwrap_or(0);
                let sum = high(down, 2 * y + 1, self.height) + high(across, 2 * x + 1, width);
                *out = narrow(sum / 2);
            }
        }
    }
}

/// The difference between neighbours, no larger than what sums of several can hold.
fn slope(last: i32, first: i32) -> i32 {
    (last - first).clamp(-(1 << 24), 1 << 24)
}

/// What the middle of three differs from the mean of the others, by the differences of neighbours; where there is no
/// third, from the first.
fn bend(before: Option<&i32>, after: Option<&i32>) -> i32 {
    match (before, after) {
        (Some(before), Some(after)) => (before - after) / 2,
        (Some(before), None) => *before,
        _ => 0,
    }
}

/// The 5/3 wavelet's mean at an even place `i` of `length`, mirrored at the ends.
fn low(at: impl Fn(usize) -> i32, i: usize, length: usize) -> i32 {
    let pair = |by: usize| {
        let (before, after) = (i.checked_sub(by), Some(i + by).filter(|i| *i < length));
        let (before, after) = (before.or(after), after.or(before));
        at(before.unwrap_or(i)) + at(after.unwrap_or(i))
    };
    (6 * at(i) + 2 * pair(1) - pair(2)) / 8
}

/// The 5/3 wavelet's detail at an odd place `i` of `length`.
fn high(at: impl Fn(usize) -> i32, i: usize, length: usize) -> i32 {
    let after = if i + 1 < length { i + 1 } else { i - 1 };
    at(i) - i32::midpoint(at(i - 1), at(after))
}
