//! Contexts: expected magnitudes of coefficients, their classes, and the models they choose.

use std::sync::LazyLock;

use super::fit::WEIGHTS;
use crate::coding::model::{SYMBOLS, Table};

/// Classes of expected magnitude.
pub(super) const EXPECTED: usize = 32;
/// Classes of the ratio between predicted and expected value.
pub(super) const RATIOS: usize = 5;
/// Values of the second context.
pub(super) const NEAR: usize = 64;

/// Models of one kind of symbol: by expected magnitude and by what is near.
#[derive(Debug, Clone)]
pub(super) struct Kind<const RATIO: usize = 1> {
    pub(super) expected: [[Table; EXPECTED]; RATIO],
    pub(super) near: [Table; NEAR],
}

impl<const RATIO: usize> Kind<RATIO> {
    fn loosen(&mut self) {
        self.tables().for_each(Table::loosen);
    }

    fn tables(&mut self) -> impl Iterator<Item = &mut Table> {
        self.expected.iter_mut().flatten().chain(&mut self.near)
    }

    /// The two models of a symbol.
    #[expect(
        clippy::indexing_slicing,
        reason = "remainders; the compiler drops the checks"
    )]
    #[inline]
    pub(super) fn pair(
        &mut self,
        ratio: usize,
        expected: usize,
        near: usize,
    ) -> (&mut Table, &mut Table) {
        (
            &mut self.expected[ratio % RATIO][expected % EXPECTED],
            &mut self.near[near % NEAR],
        )
    }
}

/// All models of a class of bands.
#[derive(Debug, Clone)]
pub(super) struct Models {
    /// Signed values of coefficients that were insignificant, in a band with none significant and in others.
    pub(super) values: [Kind<RATIOS>; 2],
    /// Further planes of significant ones, by number of planes.
    pub(super) planes: [Kind; 4],
    /// Whether a group of eight is all zeros.
    pub(super) groups: Kind,
    /// Length of what a symbol could not hold.
    pub(super) escape: [Table; 2],
    /// Codes of weights, of each neighbour's two.
    pub(super) weights: [[Table; 2]; WEIGHTS],
    /// Whether a band is all zeros, by whether it was until now.
    pub(super) empty: [Table; 2],
}

impl Default for Models {
    fn default() -> Self {
        static FRESH: LazyLock<Models> = LazyLock::new(fresh);
        FRESH.clone()
    }
}

impl Models {
    /// All tables, in the order of priors.
    pub(super) fn tables(&mut self) -> impl Iterator<Item = &mut Table> {
        let values = self.values.iter_mut().flat_map(Kind::tables);
        let planes = self.planes.iter_mut().flat_map(Kind::tables);
        let weights = self.weights.iter_mut().flatten();
        let kinds = values.chain(planes).chain(self.groups.tables());
        kinds
            .chain(&mut self.escape)
            .chain(&mut self.empty)
            .chain(weights)
    }

    /// Lets the models of coefficients adapt faster again, for a new layer.
    pub(super) fn loosen(&mut self) {
        self.values.iter_mut().for_each(Kind::loosen);
        self.planes.iter_mut().for_each(Kind::loosen);
    }
}

/// Visits that a model made of a formula counts for.
const TRUST: u16 = 3;

#[expect(clippy::large_stack_arrays, reason = "once per process")]
/// Models before anything was coded: two-sided geometric distributions with the expected magnitude as their mean.
fn fresh() -> Models {
    let expected = [std::array::from_fn(|class| geometric(typical(class))); RATIOS];
    let near = std::array::from_fn(|near| {
        let (west, north) = (bucket_middle(near >> 3), bucket_middle(near & 7));
        geometric((west + north) * 128)
    });
    let plain = Kind {
        expected: [[Table::default(); EXPECTED]],
        near: [Table::default(); NEAR],
    };
    let planes = |count: u32| Kind {
        expected: [[first_symbols(1 << count); EXPECTED]],
        near: [first_symbols(1 << count); NEAR],
    };
    let values = Kind { expected, near };
    Models {
        values: [values.clone(), values],
        planes: [planes(1), planes(2), planes(3), planes(4)],
        groups: Kind {
            expected: [[first_symbols(2); EXPECTED]],
            near: [first_symbols(2); NEAR],
        },
        escape: [escapes(), plain.expected[0][0]],
        weights: [[Table::default(); 2]; WEIGHTS],
        empty: [first_symbols(2); 2],
    }
}

/// The last `count` symbols alike.
fn first_symbols(count: usize) -> Table {
    let weights = std::array::from_fn(|i| u32::from(i + count >= SYMBOLS) * 4096 + 1);
    Table::from_weights(&weights, 0)
}

/// Lengths: short ones are likelier.
fn escapes() -> Table {
    let weights = std::array::from_fn(|i| 65_536 >> i);
    Table::from_weights(&weights, 0)
}

/// The mean, in 256ths, that class `class` of expected magnitude stands for (after its raw bits).
fn typical(class: usize) -> u32 {
    let class = u32::try_from(class).unwrap_or(0);
    match class {
        0 => 8,
        // Quarters of octaves from 1/16.
        1..=24 => ((4 + (class - 1) % 4) * 2 + 1) << ((class - 1) / 4 + 4) >> 3,
        // 4 to 8, of which one bit is raw, and so on.
        _ => ((4 + (class - 25) % 4) * 2 + 1) << 6,
    }
}

/// Signed values with the given mean magnitude, in 256ths; what is beyond 7 goes to the escape.
fn geometric(mean: u32) -> Table {
    let mean = u64::from(mean.max(4));
    let mut weights = [0_u32; SYMBOLS];
    // P(|v| >= k + 1) / P(|v| >= k) of a geometric distribution with this mean.
    let mut tail = 1_u64 << 24;
    for magnitude in 0..8 {
        let below = tail * mean / (mean + 256);
        let here = u32::try_from(tail - below).unwrap_or(0).max(2);
        tail = below;
        for negative in [false, true] {
            if let Some(weight) = weights.get_mut(symbol_of(magnitude, negative) as usize) {
                *weight = if magnitude == 0 { here } else { here / 2 };
            }
        }
    }
    weights[0] = u32::try_from(tail).unwrap_or(0).max(2);
    Table::from_weights(&weights, TRUST)
}

/// The symbol of a signed value below 8: 15 for 0, 14 for 1, 13 for -1, ...
#[inline]
pub(super) fn symbol_of(magnitude: u32, negative: bool) -> u32 {
    let up = magnitude * 2 - u32::from(magnitude > 0 && !negative);
    15 - up.min(15)
}

/// Class of an expected magnitude and the number of low bits that are better sent raw.
///
/// `expected` has 8 bits of fraction. Class 0 is below 1/16, then come quarters of octaves up to 4; from there on the
/// low bits go raw, as many as leave a mean between 2 and 4.
#[inline]
pub(super) fn expected_class(expected: u32) -> (usize, u32) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounding to 24 bits is exact and the same everywhere"
    )]
    let scale = ((expected | 1) as f32).to_bits() >> 21;
    // 127 * 4 for 1; 16, the lowest of class 1, has an exponent of 4.
    let quarters = scale.saturating_sub(131 * 4 - 1);
    let class = quarters.min(24) as usize;
    if quarters <= 24 {
        return (class, 0);
    }
    let octaves = (quarters - 25) >> 2;
    let quarter = (quarters - 25) & 3;
    let high = match octaves {
        0 => quarter,
        1 => 4 + (quarter >> 1),
        _ => 6,
    };
    (25 + high as usize, octaves + 1)
}

/// Class of the ratio between a predicted value and the expected magnitude: below 1/8, 1/4, 1/2, 1, and above.
#[inline]
pub(super) fn ratio_class(predicted: u32, expected: u32) -> usize {
    let above = |shift: u32| usize::from(predicted > expected >> shift);
    above(3) + above(2) + above(1) + above(0)
}

/// A magnitude in eight steps: 0, 1, 2-3, 4-7, ...
#[inline]
pub(super) fn bucket(magnitude: u32) -> usize {
    ((32 - magnitude.leading_zeros()) as usize).min(7)
}

/// The middle of a bucket, doubled.
fn bucket_middle(bucket: usize) -> u32 {
    if bucket == 0 { 0 } else { 3 << (bucket - 1) }
}

/// A count of non-zeros in eight steps.
#[inline]
pub(super) fn tally_bucket(count: u8) -> usize {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3..=4 => 3,
        5..=7 => 4,
        8..=12 => 5,
        13..=20 => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "tests may panic"
    )]

    use super::*;

    #[test]
    fn classes_rise_with_the_expectation() {
        let mut before = (0, 0);
        for expected in 0..100_000 {
            let now = expected_class(expected);
            assert!(now.0 < EXPECTED);
            assert!(now.1 >= before.1 && (now.1 > before.1 || now.0 >= before.0));
            before = now;
        }
        assert_eq!(expected_class(15), (0, 0));
        assert_eq!(expected_class(16), (1, 0));
        assert_eq!(expected_class(1023), (24, 0));
        assert_eq!(expected_class(1024), (25, 1));
        assert_eq!(expected_class(2048).1, 2);
        assert!(expected_class(u32::MAX).1 <= 23);
    }
}
