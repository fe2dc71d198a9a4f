//! Weights of the neighbours: places, 4-bit codes, and the encoder's least squares.

use super::grid::{Grid, middle};
use super::layout::{Band, Reference};

/// Neighbours within the band: two in the row itself, then four known at the new shift, four at the old.
pub(super) const NEAR_TAPS: usize = 10;
/// All neighbours.
pub(super) const TAPS: usize = NEAR_TAPS + super::layout::MAX_REFERENCES;

/// Rows up and columns to the right of the neighbours after the two serial ones (W and WW).
pub(super) const PLACES: [(i8, i8); NEAR_TAPS - 2] = [
    (1, 0),
    (1, -1),
    (1, 1),
    (2, 0),
    (0, 1),
    (-1, 0),
    (-1, 1),
    (-1, -1),
];
/// The first place that is known at the old shift only.
pub(super) const FIRST_OLD: usize = 6;

/// Codes of the weights of one neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Code {
    /// Of its magnitude, 0 to 15: nothing, then half octaves up to 1.
    pub(super) expect: u8,
    /// Of its value, 0 to 15: nothing, then steps of 1/16 from -7/16 on.
    pub(super) predict: u8,
}

/// Place of the caller's prediction among the weights.
pub(super) const HINT: usize = TAPS;
/// Place of a neighbour that always is one step of the new shift: rounding gives most wavelet details a mean above 0.
pub(super) const BIAS: usize = TAPS + 1;
/// All weights, a multiple of 4.
pub(super) const WEIGHTS: usize = TAPS + 2;

/// Codes of the weights of all neighbours, of the caller's prediction, and of the bias.
pub(super) type Codes = [Code; WEIGHTS];

impl Code {
    /// The weight of the magnitude, in 256ths.
    pub(super) fn expect(self) -> i16 {
        const WEIGHTS: [i16; 16] = [0, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256];
        WEIGHTS.get(usize::from(self.expect)).copied().unwrap_or(0)
    }

    /// The weight of the value, in 256ths.
    pub(super) fn predict(self) -> i16 {
        const WEIGHTS: [i16; 16] = [
            0, 12, -12, 24, -24, 36, -36, 52, -52, 72, -72, 96, -96, 128, -128, 192,
        ];
        WEIGHTS.get(usize::from(self.predict)).copied().unwrap_or(0)
    }

    /// The codes next to these weights.
    fn next_to(expect: f64, predict: f64) -> Self {
        let mut best = Self::default();
        for code in 1..16 {
            // Half way between two weights in half octaves.
            let expects = Self {
                expect: code,
                ..best
            };
            if expect * 256.0 >= f64::from(expects.expect()) * 0.84 {
                best = expects;
            }
        }
        for code in 1..16 {
            let predicts = Self {
                predict: code,
                ..best
            };
            let miss = |code: Self| (predict * 256.0 - f64::from(code.predict())).abs();
            if miss(predicts) < miss(best) {
                best = predicts;
            }
        }
        best
    }
}

/// The place a reference leads to.
pub(super) fn scaled(at: usize, shift: i8) -> usize {
    match shift {
        1 => at >> 1,
        -1 => at << 1,
        _ => at,
    }
}

/// Samples of a visit that the fit looks at.
const SAMPLES: usize = 2048;
/// Significant values from which on values are predicted.
const PREDICTED: u64 = 512;
/// Significant values from which on weights are fitted.
const FITTED: u64 = 512;
/// Rounds of the solver.
const ROUNDS: usize = 24;

/// What the encoder knows before a visit.
pub(super) struct Before<'a> {
    pub(super) grids: &'a [Grid],
    pub(super) index: usize,
    pub(super) band: &'a Band,
    pub(super) values: &'a [i32],
    pub(super) old: u8,
    pub(super) new: u8,
    /// Whether nothing of the band is significant yet.
    pub(super) fresh: bool,
    /// How many values are significant after it.
    pub(super) significant: u64,
    /// The caller's predictions in 16ths, or nothing.
    pub(super) hints: &'a [i16],
}

impl Before<'_> {
    fn fresh_value(&self, x: usize, y: usize) -> f32 {
        if x >= self.band.width || y >= self.band.height {
            return 0.0;
        }
        let value = self.values.get(y * self.band.width + x).copied();
        self.middle(value.unwrap_or(0))
    }

    fn middle(&self, value: i32) -> f32 {
        let magnitude = value.unsigned_abs();
        f32::from(middle(magnitude, value < 0, u32::from(self.new)))
    }

    fn neighbours(&self, x: usize, y: usize) -> [f32; WEIGHTS] {
        let mut found = [0.0; WEIGHTS];
        let up = |value: usize, by: i8| value.wrapping_add_signed(-isize::from(by));
        found[0] = self.fresh_value(x.wrapping_sub(1), y);
        found[1] = self.fresh_value(x.wrapping_sub(2), y);
        let grid = self.grids.get(self.index);
        for (i, (out, place)) in (2..).zip(found.iter_mut().skip(2).zip(PLACES)) {
            let (x, y) = (up(x, -place.1), up(y, place.0));
            *out = if i < FIRST_OLD {
                self.fresh_value(x, y)
            } else {
                grid.map_or(0.0, |g| f32::from(g.cell(x, y)))
            };
        }
        let references = self.band.references.iter();
        for (out, r) in found.iter_mut().skip(NEAR_TAPS).zip(references) {
            *out = self.reference(r, x, y);
        }
        let hint = self.hints.get(y * self.band.width + x).copied();
        found[HINT] = f32::from(hint.unwrap_or(0)) / 8.0;
        found
    }

    fn reference(&self, r: &Reference, x: usize, y: usize) -> f32 {
        let x = scaled(x, r.shift_x).wrapping_add_signed(isize::from(r.right));
        let y = scaled(y, r.shift_y).wrapping_add_signed(isize::from(r.down));
        let grid = self.grids.get(r.band);
        grid.map_or(0.0, |grid| f32::from(grid.cell(x, y)))
    }

    /// The weights that foretell the magnitudes of this visit best, or nothing for a band too small to tell.
    ///
    /// Samples count by the inverse square of the magnitude around them, as the cost of a symbol depends on the ratio
    /// between what is expected and what comes.
    pub(super) fn fit(&self) -> Option<Codes> {
        if self.significant < FITTED {
            return None;
        }
        let unit = unit(self.new);
        let predicts = self.significant >= PREDICTED;
        let mut expect = System::default();
        let mut predict = System::default();
        // Steps that are no divisor of the width, so that columns mix.
        let mut step = self.values.len() / SAMPLES + 1;
        if step > 1 && self.band.width.is_multiple_of(step) {
            step += 1;
        }
        for at in (step / 2..self.values.len()).step_by(step) {
            let value = self.values.get(at).copied().unwrap_or(0);
            if !self.fresh && value.unsigned_abs() >> self.old != 0 {
                continue;
            }
            let mut around = self.neighbours(at % self.band.width, at / self.band.width);
            let magnitudes = around.map(f32::abs);
            let mean = magnitudes.iter().sum::<f32>() / 8.0 + unit * 0.5;
            let importance = 1.0 / (mean * mean);
            let target = self.middle(value);
            expect.add(&magnitudes, target.abs(), importance);
            if predicts {
                around[BIAS] = unit;
                predict.add(&around, target, importance);
            }
        }
        let expect = expect.solve(0.0);
        let predict = predict.solve(-1.0);
        let mut codes = Codes::default();
        for (code, (expect, predict)) in codes.iter_mut().zip(expect.into_iter().zip(predict)) {
            *code = Code::next_to(expect, predict);
        }
        Some(codes)
    }
}

/// One step of a shift.
fn unit(shift: u8) -> f32 {
    (0..shift).fold(1.0, |unit, _| unit * 2.0)
}

/// The normal equations of a least squares problem.
#[derive(Debug, Default)]
struct System {
    products: [[f32; WEIGHTS]; WEIGHTS],
    wanted: [f32; WEIGHTS],
}

impl System {
    fn add(&mut self, around: &[f32; WEIGHTS], target: f32, importance: f32) {
        let rows = self.products.iter_mut().zip(&mut self.wanted).zip(around);
        for (i, ((row, wanted), value)) in rows.enumerate() {
            if *value != 0.0 {
                let scaled = value * importance;
                *wanted += scaled * target;
                // Up to the diagonal in whole vectors; the rest is the same.
                let (fours, _) = row.as_chunks_mut::<4>();
                let (values, _) = around.as_chunks::<4>();
                for (products, values) in fours.iter_mut().zip(values).take(i / 4 + 1) {
                    for (product, value) in products.iter_mut().zip(values) {
                        *product += scaled * value;
                    }
                }
            }
        }
    }

    /// What lies above the diagonal, from what lies below.
    fn complete(&mut self) {
        for i in 0..WEIGHTS {
            for j in 0..i {
                let below = self.products.get(i).and_then(|row| row.get(j)).copied();
                let above = self.products.get_mut(j).and_then(|row| row.get_mut(i));
                if let (Some(above), Some(below)) = (above, below) {
                    *above = below;
                }
            }
        }
    }

    /// The solution with no weight below `least`, by coordinate descent.
    fn solve(mut self, least: f64) -> [f64; WEIGHTS] {
        self.complete();
        let mut solution = [0.0; WEIGHTS];
        for _ in 0..ROUNDS {
            for (i, (row, wanted)) in self.products.iter().zip(&self.wanted).enumerate() {
                let own = row.get(i).map_or(0.0, |own| f64::from(*own));
                let (Some(&old), true) = (solution.get(i), own > 0.0) else {
                    continue;
                };
                let sum = row.iter().zip(&solution).map(|(p, s)| f64::from(*p) * s);
                let best = (old + (f64::from(*wanted) - sum.sum::<f64>()) / (own * 1.001))
                    .clamp(least, 1.5);
                if let Some(entry) = solution.get_mut(i) {
                    *entry = best;
                }
            }
        }
        solution
    }
}

/// The weights where nothing was fitted: what the fits of many photographs come to.
pub(super) fn usual(band: &Band, fresh: bool) -> Codes {
    let (near, reference) = if fresh {
        ([9, 7, 10, 6, 6, 6, 0, 0, 0, 0], 7)
    } else {
        ([8, 6, 8, 5, 5, 5, 5, 5, 2, 2], 6)
    };
    let references = band.references.iter().map(|_| reference);
    let mut codes = Codes::default();
    for (code, expect) in codes.iter_mut().zip(near.into_iter().chain(references)) {
        code.expect = expect;
    }
    codes[HINT] = Code {
        expect: 10,
        predict: 3,
    };
    codes
}
