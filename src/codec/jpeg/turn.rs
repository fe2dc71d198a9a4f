//! From blocks to bands and back: coefficients of one block together, or those of one frequency.

use crate::media::jpeg::Block;

use super::strip::narrow;

/// Eight values of eight frequencies or blocks.
type Square = [[i16; 8]; 8];

/// Appends the coefficients of blocks to bands: coefficient k in zigzag order to band `places[k]`, but for the first.
pub(super) fn take(blocks: &[Block], places: &[usize; 64], bands: &mut [Vec<i32>]) {
    let (eights, rest) = blocks.as_chunks::<8>();
    let (places_of, _) = places.as_chunks::<8>();
    for blocks in eights {
        for (group, places) in places_of.iter().enumerate() {
            let mut square = blocks.each_ref().map(|block| {
                let (eights, _) = block.as_chunks::<8>();
                eights.get(group).copied().unwrap_or_default()
            });
            turn(&mut square);
            for (i, (place, values)) in places.iter().zip(&square).enumerate() {
                if let Some(band) = bands.get_mut(*place).filter(|_| group + i > 0) {
                    band.extend_from_slice(&values.map(i32::from));
                }
            }
        }
    }
    for block in rest {
        for (value, place) in block.iter().zip(places).skip(1) {
            if let Some(band) = bands.get_mut(*place) {
                band.push(i32::from(*value));
            }
        }
    }
}

/// Puts the values of bands into blocks, like [`take`]; the first coefficients become 0. Values beyond what a
/// coefficient can be are cut off.
pub(super) fn put(bands: &[Vec<i32>], places: &[usize; 64], blocks: &mut [Block]) {
    let band = |place: &usize| bands.get(*place).map(Vec::as_slice).unwrap_or_default();
    let mut rows = places.each_ref().map(band);
    rows[0] = &[];
    let (eights, rest) = blocks.as_chunks_mut::<8>();
    let done = eights.len() * 8;
    let (rows_of, _) = rows.as_chunks::<8>();
    for (at, blocks) in (0..).step_by(8).zip(eights) {
        for (group, rows) in rows_of.iter().enumerate() {
            let mut square = rows.map(|row| {
                let values = row.get(at..).and_then(|values| values.first_chunk::<8>());
                values.map_or([0; 8], eight)
            });
            turn(&mut square);
            for (block, values) in blocks.iter_mut().zip(square) {
                let (eights, _) = block.as_chunks_mut::<8>();
                if let Some(to) = eights.get_mut(group) {
                    *to = values;
                }
            }
        }
    }
    for (at, block) in (done..).zip(rest) {
        for (value, row) in block.iter_mut().zip(rows) {
            *value = narrow(row.get(at).copied().unwrap_or(0));
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
use scalar as kernel;
#[cfg(target_arch = "x86_64")]
use sse2 as kernel;

use kernel::{eight, turn};

/// The kernels in plain Rust: what all others must agree with.
#[cfg_attr(
    target_arch = "x86_64",
    allow(dead_code, reason = "the judge of the tests")
)]
mod scalar {
    use super::{Square, narrow};

    /// Eight values as coefficients.
    pub(super) fn eight(values: &[i32; 8]) -> [i16; 8] {
        values.map(narrow)
    }

    /// Swaps rows and columns.
    pub(super) fn turn(square: &mut Square) {
        let before = *square;
        for (i, row) in square.iter_mut().enumerate() {
            for (value, column) in row.iter_mut().zip(&before) {
                *value = column.get(i).copied().unwrap_or(0);
            }
        }
    }
}

/// The kernels for x86-64, which always has SSE2.
#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    clippy::cast_ptr_alignment,
    reason = "loads and stores through pointers, which need no alignment"
)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm_packs_epi32, _mm_setzero_si128, _mm_storeu_si128,
        _mm_unpackhi_epi16, _mm_unpacklo_epi16,
    };

    use super::Square;

    /// Eight values as coefficients.
    #[inline]
    pub(super) fn eight(values: &[i32; 8]) -> [i16; 8] {
        let mut narrow = [0; 8];
        let from = values.as_ptr().cast::<__m128i>();
        // SAFETY: x86-64 has SSE2; the values are 32 bytes, the result is 16.
        unsafe {
            let packed = _mm_packs_epi32(_mm_loadu_si128(from), _mm_loadu_si128(from.add(1)));
            _mm_storeu_si128(narrow.as_mut_ptr().cast(), packed);
        }
        narrow
    }

    /// Swaps rows and columns: each of three steps interleaves every row with the one four further on.
    #[inline]
    pub(super) fn turn(square: &mut Square) {
        let at = square.as_mut_ptr().cast::<__m128i>();
        // SAFETY: x86-64 has SSE2; the square is eight rows of 16 bytes.
        unsafe {
            let mut rows = [_mm_setzero_si128(); 8];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm_loadu_si128(at.add(i));
            }
            for _ in 0..3 {
                let before = rows;
                let (low, high) = before.split_at(4);
                let (pairs, _) = rows.as_chunks_mut::<2>();
                for ([even, odd], (low, high)) in pairs.iter_mut().zip(low.iter().zip(high)) {
                    *even = _mm_unpacklo_epi16(*low, *high);
                    *odd = _mm_unpackhi_epi16(*low, *high);
                }
            }
            for (i, row) in rows.iter().enumerate() {
                _mm_storeu_si128(at.add(i), *row);
            }
        }
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

    fn value(i: usize) -> i16 {
        i16::try_from(i * i * 77 % 65_521).unwrap_or(-5)
    }

    #[test]
    fn every_instruction_set_turns_alike() {
        let mut square: Square = std::array::from_fn(|i| std::array::from_fn(|j| value(8 * i + j)));
        let mut scalar = square;
        turn(&mut square);
        scalar::turn(&mut scalar);
        assert_eq!(square, scalar);
        for values in [
            [0, 1, -1, 32_767, -32_768, 32_768, -32_769, i32::MIN],
            [i32::MAX; 8],
        ] {
            assert_eq!(eight(&values), scalar::eight(&values));
        }
        assert_eq!(square[2][5], value(42));
    }

    #[test]
    fn blocks_come_back() {
        // The bands may be in any order, and some may be missing.
        let places: [usize; 64] = std::array::from_fn(|k| if k == 9 { 99 } else { 63 - k });
        for count in [0, 1, 7, 8, 9, 50] {
            let block = |i: usize| std::array::from_fn(|k| value(64 * i + k));
            let blocks: Vec<Block> = (0..count).map(block).collect();
            let mut bands = vec![Vec::new(); 64];
            take(&blocks, &places, &mut bands);
            let mut back = vec![[0; 64]; count];
            put(&bands, &places, &mut back);
            for (mut block, back) in blocks.into_iter().zip(back) {
                (block[0], block[9]) = (0, 0);
                assert_eq!(block, back);
            }
        }
        let bands = vec![vec![40_000; 9], vec![-40_000; 9]];
        let mut places = [usize::MAX; 64];
        (places[1], places[2]) = (0, 1);
        let mut blocks = [[0; 64]; 9];
        put(&bands, &places, &mut blocks);
        assert!(blocks.iter().all(|b| b[..3] == [0, i16::MAX, i16::MIN]));
    }
}
