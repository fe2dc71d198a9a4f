//! Adaptive distributions over 16 symbols, of which each symbol is coded with two.
//!
//! A table holds the cumulative frequencies of its symbols, total 2^15, as in Oodle LZNA (F. Giesen, "Mixing discrete
//! probability distributions", 2015): each coded symbol moves every entry by `(target - entry) >> rate`, where the
//! target gives all but one part per symbol to the symbol coded. The rate falls with the number of visits.
//! The targets of neighbouring entries differ by 1 or more, therefore no frequency ever falls below 1, nor does that of
//! an average. Symbol 15 can come closest to certainty: make the most frequent symbol the last one.

use super::rans::{self, TOTAL};

/// Symbols of a table.
pub(super) const SYMBOLS: usize = 16;

/// Entry i: the frequency of all symbols below i; entry 0 is 0.
type Cumulative = [u16; SYMBOLS];

/// Rate by number of visits; the last one stays.
const RATES: [u8; 256] = rates();

#[expect(clippy::indexing_slicing, reason = "constants, by an index below 256")]
const fn rates() -> [u8; 256] {
    let mut rates = [0; 256];
    let mut i = 0;
    while i < 256 {
        rates[i] = match i {
            0 => 1,
            1 | 2 => 2,
            3..=6 => 3,
            7..=15 => 4,
            16..=34 => 5,
            35..=80 => 6,
            81..=254 => 7,
            _ => 8,
        };
        i += 1;
    }
    rates
}

/// Where the entries go when a symbol was coded, aligned for vector loads.
#[derive(Debug)]
#[repr(C, align(16))]
struct Targets([Cumulative; SYMBOLS]);

static TARGETS: Targets = Targets(targets());

#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "constants: values stay below 2^15, indices below 16"
)]
const fn targets() -> [Cumulative; SYMBOLS] {
    let mut targets = [[0; SYMBOLS]; SYMBOLS];
    let mut symbol = 0;
    while symbol < SYMBOLS {
        let mut i = 0;
        while i < SYMBOLS {
            targets[symbol][i] = if i <= symbol {
                i as u16
            } else {
                (TOTAL as usize - (SYMBOLS - i)) as u16
            };
            i += 1;
        }
        symbol += 1;
    }
    targets
}

/// One adaptive distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(16))]
pub(super) struct Table {
    cumulative: Cumulative,
    visits: u16,
}

impl Default for Table {
    fn default() -> Self {
        Self::from_weights(&[1; SYMBOLS], 0)
    }
}

impl Table {
    /// Whether so little was coded with the table that it knows next to nothing.
    pub(super) fn is_new(&self) -> bool {
        self.visits < 2
    }

    /// Lets the table adapt faster again: what comes next is alike, but not the same.
    pub(super) fn loosen(&mut self) {
        self.visits = self.visits.min(16);
    }

    /// A table whose frequencies are close to the proportions of `weights`, as if `visits` symbols had been coded
    /// with it. The sum of the weights must stay below 2^32.
    #[must_use]
    pub(super) fn from_weights(weights: &[u32; SYMBOLS], visits: u16) -> Self {
        let sum = weights.iter().map(|&w| u64::from(w)).sum::<u64>().max(1);
        let mut cumulative = [0; SYMBOLS];
        let mut below = 0;
        for (i, (entry, weight)) in (0_u64..).zip(cumulative.iter_mut().zip(weights)) {
            let share = below * (u64::from(TOTAL) - 16) / sum;
            *entry = u16::try_from(share + i).unwrap_or_default();
            below += u64::from(*weight);
        }
        Self { cumulative, visits }
    }
}

/// Codes symbols in one direction, so that one walk over the data serves encoder and decoder.
pub(super) trait Coder {
    /// Whether symbols go in (the encoder) or come out.
    const ENCODES: bool;

    /// Codes `symbol` (below 16; ignored by a decoder) with two tables, mostly the first, adapts both, and returns it.
    fn symbol(&mut self, a: &mut Table, b: &mut Table, symbol: u32) -> u32;

    /// Codes the low `bits` bits of `value` (ignored by a decoder), at most 32, and returns them.
    fn raw(&mut self, bits: u32, value: u32) -> u32;

    /// Whether the stream has ended too early; never for an encoder.
    fn is_overrun(&self) -> bool;
}

impl Coder for rans::Encoder {
    const ENCODES: bool = true;

    #[inline]
    fn symbol(&mut self, a: &mut Table, b: &mut Table, symbol: u32) -> u32 {
        let (start, end) = kernel::span(a, b, symbol);
        self.push(start, end - start);
        symbol
    }

    #[inline]
    fn raw(&mut self, bits: u32, value: u32) -> u32 {
        rans::Encoder::raw(self, bits, value);
        value
    }

    fn is_overrun(&self) -> bool {
        false
    }
}

impl Coder for rans::Decoder<'_> {
    const ENCODES: bool = false;

    #[inline]
    fn symbol(&mut self, a: &mut Table, b: &mut Table, _: u32) -> u32 {
        let (symbol, start, end) = kernel::find(a, b, self.slot());
        self.take(start, end - start);
        symbol
    }

    #[inline]
    fn raw(&mut self, bits: u32, _: u32) -> u32 {
        rans::Decoder::raw(self, bits)
    }

    fn is_overrun(&self) -> bool {
        rans::Decoder::is_overrun(self)
    }
}

/// Rate of the next update of a table, and the count of it.
#[inline]
fn next_rate(visits: &mut u16) -> u8 {
    let at = usize::from(*visits).min(RATES.len() - 1);
    *visits += u16::from(at + 1 < RATES.len());
    RATES.get(at).copied().unwrap_or(7)
}

#[cfg(not(target_arch = "x86_64"))]
use scalar as kernel;
#[cfg(target_arch = "x86_64")]
use sse2 as kernel;

/// The kernels in plain Rust: what all others must agree with.
#[cfg_attr(
    target_arch = "x86_64",
    allow(dead_code, reason = "the judge of the tests")
)]
mod scalar {
    use super::{Cumulative, SYMBOLS, TARGETS, TOTAL, Table, next_rate};

    fn average(a: &Table, b: &Table) -> Cumulative {
        let mut average = a.cumulative;
        for (a, b) in average.iter_mut().zip(b.cumulative) {
            *a = (*a + (*a + b).div_ceil(2)).div_ceil(2);
        }
        average
    }

    fn adapt(table: &mut Table, symbol: u32) {
        let rate = next_rate(&mut table.visits);
        let target = TARGETS
            .0
            .get(symbol as usize)
            .unwrap_or(&TARGETS.0[SYMBOLS - 1]);
        for (entry, target) in table.cumulative.iter_mut().zip(target) {
            // Both lie below 2^15.
            let step = (target.cast_signed() - entry.cast_signed()) >> rate;
            *entry = entry.wrapping_add_signed(step);
        }
    }

    fn adapt_both(a: &mut Table, b: &mut Table, average: &Cumulative, symbol: u32) -> (u32, u32) {
        adapt(a, symbol);
        adapt(b, symbol);
        let at = |i: u32| average.get(i as usize).copied().map_or(TOTAL, u32::from);
        (at(symbol), at(symbol + 1))
    }

    /// Start and end of the span of `symbol`, below 16; both tables are adapted.
    #[inline]
    pub(super) fn span(a: &mut Table, b: &mut Table, symbol: u32) -> (u32, u32) {
        let average = average(a, b);
        adapt_both(a, b, &average, symbol)
    }

    /// The symbol whose span `slot` lies in, the span's start and end; both tables are adapted.
    #[inline]
    pub(super) fn find(a: &mut Table, b: &mut Table, slot: u32) -> (u32, u32, u32) {
        let average = average(a, b);
        let not_above = average.iter().take_while(|&&c| u32::from(c) <= slot);
        let symbol = not_above.zip(0..).last().map_or(0, |(_, i)| i);
        let (start, end) = adapt_both(a, b, &average, symbol);
        (symbol, start, end)
    }
}

/// The kernels for x86-64, which always has SSE2.
#[cfg(target_arch = "x86_64")]
#[expect(
    clippy::cast_ptr_alignment,
    reason = "what is loaded and stored is aligned by its type"
)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi16, _mm_avg_epu16, _mm_cmpgt_epi16, _mm_cvtsi32_si128, _mm_load_si128,
        _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16, _mm_sra_epi16, _mm_store_si128,
        _mm_sub_epi16,
    };

    use super::{SYMBOLS, TARGETS, TOTAL, Table, next_rate};

    /// Entries of an average and the total behind them.
    #[repr(C, align(16))]
    struct Bounds([u16; 24]);

    type Entries = (__m128i, __m128i);

    #[target_feature(enable = "sse2")]
    #[inline]
    fn load(table: &Table) -> Entries {
        let at = table.cumulative.as_ptr().cast::<__m128i>();
        // SAFETY: a table begins with 32 bytes of entries and is aligned to 16.
        #[expect(unsafe_code, reason = "loads through pointers")]
        unsafe {
            (_mm_load_si128(at), _mm_load_si128(at.add(1)))
        }
    }

    /// Three parts of a and one of b.
    #[target_feature(enable = "sse2")]
    #[inline]
    fn average(a: Entries, b: Entries) -> Entries {
        (
            _mm_avg_epu16(a.0, _mm_avg_epu16(a.0, b.0)),
            _mm_avg_epu16(a.1, _mm_avg_epu16(a.1, b.1)),
        )
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn adapt(table: &mut Table, entries: Entries, target: Entries) {
        let rate = _mm_cvtsi32_si128(i32::from(next_rate(&mut table.visits)));
        let step =
            |entry, target| _mm_add_epi16(entry, _mm_sra_epi16(_mm_sub_epi16(target, entry), rate));
        let low = step(entries.0, target.0);
        let high = step(entries.1, target.1);
        let at = table.cumulative.as_mut_ptr().cast::<__m128i>();
        // SAFETY: as for the loads.
        #[expect(unsafe_code, reason = "stores through pointers")]
        unsafe {
            _mm_store_si128(at, low);
            _mm_store_si128(at.add(1), high);
        }
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn adapt_both(
        a: &mut Table,
        b: &mut Table,
        from: (Entries, Entries),
        average: Entries,
        symbol: u32,
    ) -> (u32, u32) {
        let symbol = symbol as usize % SYMBOLS;
        let target = TARGETS.0.as_ptr().cast::<__m128i>();
        // SAFETY: `symbol` is below 16, and there are 16 targets of two pieces each, aligned to 16.
        #[expect(unsafe_code, reason = "loads through pointers")]
        let target = unsafe {
            let target = target.add(symbol * 2);
            (_mm_load_si128(target), _mm_load_si128(target.add(1)))
        };
        adapt(a, from.0, target);
        adapt(b, from.1, target);
        let mut bounds = Bounds([0; 24]);
        let at = bounds.0.as_mut_ptr().cast::<__m128i>();
        // SAFETY: the bounds are 48 bytes, aligned to 16.
        #[expect(unsafe_code, reason = "stores through pointers")]
        unsafe {
            _mm_store_si128(at, average.0);
            _mm_store_si128(at.add(1), average.1);
        }
        bounds.0[SYMBOLS] = 1 << 15;
        let at = |i: usize| bounds.0.get(i).copied().map_or(TOTAL, u32::from);
        (at(symbol), at(symbol + 1))
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    fn span_sse2(a: &mut Table, b: &mut Table, symbol: u32) -> (u32, u32) {
        let (from_a, from_b) = (load(a), load(b));
        let (low, high) = average(from_a, from_b);
        adapt_both(a, b, (from_a, from_b), (low, high), symbol)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a slot is below 2^15")]
    #[target_feature(enable = "sse2")]
    #[inline]
    fn find_sse2(a: &mut Table, b: &mut Table, slot: u32) -> (u32, u32, u32) {
        let (from_a, from_b) = (load(a), load(b));
        let (low, high) = average(from_a, from_b);
        let slot = _mm_set1_epi16(slot as i16);
        let above = _mm_packs_epi16(_mm_cmpgt_epi16(low, slot), _mm_cmpgt_epi16(high, slot));
        // Entry 0 is 0 and never above: at least one trailing zero.
        let above = _mm_movemask_epi8(above) | 1 << 16;
        let symbol = above.trailing_zeros().wrapping_sub(1);
        let (start, end) = adapt_both(a, b, (from_a, from_b), (low, high), symbol);
        (symbol, start, end)
    }

    #[inline]
    pub(super) fn span(a: &mut Table, b: &mut Table, symbol: u32) -> (u32, u32) {
        // SAFETY: x86-64 has SSE2.
        #[expect(unsafe_code, reason = "a function of an instruction set")]
        unsafe {
            span_sse2(a, b, symbol)
        }
    }

    #[inline]
    pub(super) fn find(a: &mut Table, b: &mut Table, slot: u32) -> (u32, u32, u32) {
        // SAFETY: x86-64 has SSE2.
        #[expect(unsafe_code, reason = "a function of an instruction set")]
        unsafe {
            find_sse2(a, b, slot)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    /// Symbols that look random: from few to all of them.
    fn symbols(count: u32) -> impl Iterator<Item = u32> {
        (0..count).map(|i| {
            let z = i.wrapping_mul(0x9e37_79b9) ^ (i >> 7).wrapping_mul(0x85eb_ca6b);
            let z = (z ^ z >> 15).wrapping_mul(0x2c1b_3c6d) >> 12;
            (((z % 16) & ((i >> 9) % 16)) | ((i >> 12) % 3)) % 16
        })
    }

    #[test]
    fn every_instruction_set_gives_the_same_spans() {
        let mut one = [Table::default(); 4];
        let mut two = one;
        for (i, symbol) in symbols(200_000).enumerate() {
            let [a, b] = one.get_disjoint_mut([i % 2, 2 + i / 3 % 2]).unwrap();
            let mut before = [*a, *b];
            let span = kernel::span(a, b, symbol);
            let [c, d] = two.get_disjoint_mut([i % 2, 2 + i / 3 % 2]).unwrap();
            assert_eq!(span, scalar::span(c, d, symbol));
            assert_eq!((&*a, &*b), (&*c, &*d));
            assert!(span.0 < span.1 && span.1 <= TOTAL, "{span:?}");
            let [mut c, mut d] = before;
            let found = scalar::find(&mut c, &mut d, span.1 - 1);
            assert_eq!(found, (symbol, span.0, span.1));
            let [c, d] = &mut before;
            assert_eq!(kernel::find(c, d, span.0), found);
            assert_eq!((&*c, &*d), (&*a, &*b));
        }
    }

    #[test]
    fn symbols_come_back() {
        let mut encoder = rans::Encoder::default();
        let mut tables = [Table::from_weights(&[3; 16], 5); 2];
        let [a, b] = &mut tables;
        for symbol in symbols(50_000) {
            encoder.symbol(a, b, symbol);
        }
        let stream = encoder.finish();
        let mut decoder = rans::Decoder::new(&stream);
        let mut tables = [Table::from_weights(&[3; 16], 5); 2];
        let [a, b] = &mut tables;
        for symbol in symbols(50_000) {
            assert_eq!(decoder.symbol(a, b, 0), symbol);
        }
        assert!(decoder.is_done());
    }

    #[test]
    fn the_last_symbol_becomes_nearly_free() {
        let mut tables = [Table::default(); 2];
        let [a, b] = &mut tables;
        for _ in 0..5000 {
            kernel::span(a, b, 15);
        }
        assert_eq!(kernel::span(a, b, 15), (15, TOTAL));
    }
}
