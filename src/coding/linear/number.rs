//! Numbers that are about as large as those before them.
//!
//! A number has an expectation, from averages over few and over many numbers before it. Its low bits, as many as leave it a mean of
//! 2 to 4, are raw; the rest is a symbol, coded with two tables: one for the expectation in quarters of an octave, one for how
//! far the two averages are apart. Symbol 15 stands for 0, symbols 0 to 13 for 1 to 14, and symbol 14 for 15 and more: then follow
//! the number of bits of what exceeds 14 (a symbol, 15 and five raw bits from 15 on), and these but the first.

use crate::coding::model::{Coder, Table};

/// The rate of the average over few numbers.
const FAST: u32 = 2;
/// The rate of the average over many.
const SLOW: u32 = 5;
/// Bits of fraction of averages.
const FRACTION: u32 = 8;
/// Quarters of octaves: of 2^-8 to 2^32.
const CLASSES: usize = 4 * 41;
/// The class from which on low bits are raw.
const RAW_FROM: usize = 4 * 10;
/// Ratios of averages.
const RATIOS: usize = 9;
/// A number counts as at most so many times what was expected, and 1: one large number says little about the next.
const CAP: u64 = 8;
/// The symbol for what is beyond.
const BEYOND: u32 = 14;
/// What is beyond is at least so much.
const LEAST: u32 = 15;

/// The adaptive state of one kind of numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    by_size: Vec<Table>,
    by_ratio: Vec<Table>,
    bits: [Table; 2],
    fast: u64,
    slow: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            by_size: vec![Table::default(); CLASSES],
            by_ratio: vec![Table::default(); RATIOS * (RAW_FROM / 2 + 4)],
            bits: [Table::default(); 2],
            fast: 0,
            slow: 0,
        }
    }
}

/// Four times the binary logarithm, of at least 1.
fn quarters(value: u64) -> usize {
    let value = value.max(1);
    let octave = value.ilog2();
    let rest = (value << 2 >> octave) & 3;
    usize::try_from(u64::from(octave) * 4 + rest).unwrap_or(0)
}

impl Numbers {
    /// Codes one number; a decoder ignores `value`.
    #[inline]
    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, value: u32) -> u32 {
        let expected = u64::midpoint(self.fast, self.slow);
        let class = quarters(expected).min(CLASSES - 1);
        let low = u32::try_from(class.saturating_sub(RAW_FROM - 4) / 4).unwrap_or(0);
        let ratio = (quarters(self.fast) + 2 * RATIOS).saturating_sub(quarters(self.slow));
        let ratio = (ratio / 4).clamp(0, RATIOS - 1);
        let kind = if class < RAW_FROM {
            class / 2
        } else {
            RAW_FROM / 2 + class % 4
        };
        let high = value >> low;
        let symbol = match high {
            0 => 15,
            1..LEAST => high - 1,
            _ => BEYOND,
        };
        let pair = (
            self.by_size.get_mut(class),
            self.by_ratio.get_mut(ratio * (RAW_FROM / 2 + 4) + kind),
        );
        let (Some(a), Some(b)) = pair else {
            return 0;
        };
        let high = match coder.symbol(a, b, symbol) {
            15 => 0,
            BEYOND => LEAST.wrapping_add(self.beyond(coder, high.wrapping_sub(LEAST))),
            symbol => symbol + 1,
        };
        let value = high << low | coder.raw(low, value);
        let shown = (u64::from(value) << FRACTION).min(CAP * (expected + (1 << FRACTION)));
        self.fast = self.fast - (self.fast >> FAST) + (shown >> FAST);
        self.slow = self.slow - (self.slow >> SLOW) + (shown >> SLOW);
        value
    }

    fn beyond<C: Coder>(&mut self, coder: &mut C, value: u32) -> u32 {
        // One more, so that it has a first bit.
        let value = value.wrapping_add(1);
        let bits = value.max(1).ilog2();
        let [a, b] = &mut self.bits;
        let mut coded = coder.symbol(a, b, bits.min(15));
        if coded == 15 {
            coded = coder.raw(5, bits);
        }
        let rest = coder.raw(coded, value);
        (1 << coded | rest).wrapping_sub(1)
    }
}

/// Signed to unsigned: 0, -1, 1, -2 ...
pub(super) fn fold(value: i32) -> u32 {
    (value << 1 ^ value >> 31).cast_unsigned()
}

/// The reverse of [`fold`].
pub(super) fn unfold(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
