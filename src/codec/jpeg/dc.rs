//! Predicting DC from the AC coefficients of a block, its neighbours and earlier layers.
//!
//! The samples on both sides of an edge between blocks are much alike, and so are their means, to which only DC and the
//! seven coefficients of one column or row contribute. Solved for DC, the edge above and the edge to the left give a
//! prediction each; the layers before give a third. They are averaged by how well they did in the blocks around.

use crate::media::jpeg::{Block, Component};

use super::strip::zigzag;

/// sqrt(2) * cos(i * pi / 16) in 1/1024: what frequency i adds to the outermost sample, relative to frequency 0.
pub(super) const SHARES: [i32; 8] = [1024, 1420, 1338, 1204, 1024, 805, 554, 283];
/// Fraction bits of predictions.
const BITS: u32 = 4;
/// Predictions of a block: from above, from the left, from the layers before.
const WAYS: usize = 3;

/// Coefficients at an edge, and what one unit of each adds to the mean of the samples there, in 1/1024 of a unit of DC.
type Taps = [(usize, i32); 7];

/// What is remembered of a block: DC and what the others add at its lower and right edge, and by how much each
/// prediction was off, all in 1/16.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    lower: i32,
    right: i32,
    off: [i32; WAYS],
}

/// Predicts the DC coefficients of a strip of one component, block by block in raster order.
#[derive(Debug)]
pub(super) struct Predictor {
    down: Taps,
    across: Taps,
    /// The row above; from the current column on to the left, this row.
    seen: Vec<Seen>,
    x: usize,
    first_row: bool,
    left: Seen,
    above_left: Seen,
}

impl Predictor {
    /// For a strip of this component.
    pub(super) fn new(component: &Component) -> Self {
        let step = |k: usize| i32::from(component.quantiser.get(k).copied().unwrap_or(1));
        let taps = |place: fn(u8) -> usize| {
            let mut taps = [(0, 0); 7];
            for ((i, share), tap) in (1..).zip(SHARES.iter().skip(1)).zip(&mut taps) {
                let k = place(i);
                // Beyond 64 units of DC nothing can be said.
                *tap = (k, (share * step(k) / step(0).max(1)).min(1 << 16));
            }
            taps
        };
        Self {
            down: taps(|i| zigzag(i, 0)),
            across: taps(|i| zigzag(0, i)),
            seen: vec![Seen::default(); component.stride],
            x: 0,
            first_row: true,
            left: Seen::default(),
            above_left: Seen::default(),
        }
    }

    /// Predicts the DC of the next block, given its other coefficients and what DC is thought to be, and hands the
    /// prediction to `code`, which returns the true DC.
    pub(super) fn next(
        &mut self,
        block: &Block,
        thought: Option<i32>,
        code: impl FnOnce(i32) -> i32,
    ) -> i32 {
        let (top, bottom) = edge(block, &self.down);
        let (start, end) = edge(block, &self.across);
        let above = self.seen.get(self.x).copied().unwrap_or_default();
        let right = self.seen.get(self.x + 1).copied().unwrap_or(above);
        let ways = [
            (!self.first_row).then(|| above.lower.wrapping_sub(top)),
            (self.x > 0).then(|| self.left.right.wrapping_sub(start)),
            thought.map(|dc| dc.wrapping_shl(BITS)),
        ];
        let around = [&above, &self.left, &right, &self.above_left];
        let prediction = average(&ways, &around);
        let dc = code(prediction.saturating_add(1 << (BITS - 1)) >> BITS);
        let exact = dc.wrapping_shl(BITS);
        let mut seen = Seen {
            lower: exact.wrapping_add(bottom),
            right: exact.wrapping_add(end),
            off: [0; WAYS],
        };
        for (off, way) in seen.off.iter_mut().zip(ways) {
            let away = way.map_or(0, |way| exact.wrapping_sub(way));
            *off = away.saturating_abs().min(1 << 20);
        }
        self.above_left = above;
        self.left = seen;
        if let Some(entry) = self.seen.get_mut(self.x) {
            *entry = seen;
        }
        self.x += 1;
        if self.x == self.seen.len() {
            self.x = 0;
            self.first_row = false;
            self.left = Seen::default();
            self.above_left = Seen::default();
        }
        dc
    }
}

/// What the coefficients add at the first and at the last edge, in 1/16.
#[inline]
fn edge(block: &Block, taps: &Taps) -> (i32, i32) {
    let (mut even, mut odd) = (0i32, 0i32);
    for (i, (k, share)) in taps.iter().enumerate() {
        let value = i32::from(block.get(*k).copied().unwrap_or(0)).wrapping_mul(*share);
        let sum = if i % 2 == 0 { &mut odd } else { &mut even };
        *sum = sum.wrapping_add(value);
    }
    // At the first sample all cosines are positive, at the last one those of odd frequencies are negative.
    (even.wrapping_add(odd) >> 6, even.wrapping_sub(odd) >> 6)
}

/// The predictions that there are, weighted by the inverse square of how far each was off in the blocks around.
fn average(ways: &[Option<i32>; WAYS], around: &[&Seen; 4]) -> i32 {
    let (mut sum, mut weights) = (0i64, 0i64);
    for (index, way) in ways.iter().enumerate() {
        let Some(way) = way else { continue };
        let off = around.iter().filter_map(|seen| seen.off.get(index));
        let off = off.map(|off| i64::from(*off)).sum::<i64>() + 2;
        let weight = (1 << 40) / (off * off).min(1 << 40);
        sum += i64::from(*way) * weight;
        weights += weight;
    }
    i32::try_from(sum.checked_div(weights).unwrap_or(0)).unwrap_or(0)
}
