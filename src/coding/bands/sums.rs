//! Weighted sums over rows of values: what neighbours and predictions add up to.

/// The most rows of a sum.
const MOST: usize = 20;

/// A row of values, the weight of its magnitudes in 256ths (0 to 256) and that of its values (-256 to 256).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tap<'a> {
    pub(super) row: &'a [i16],
    pub(super) expect: i16,
    pub(super) predict: i16,
}

/// `expected[x]` = the weighted sum over the magnitudes of the taps at x, `predicted[x]` = `bias` + that over their values.
/// Taps have the length of the sums; values lie within +-(2^15 - 1); at most 20 taps.
pub(super) fn weighted_sums(
    taps: &[Tap<'_>],
    bias: i32,
    expected: &mut [u32],
    predicted: &mut [i32],
) {
    let length = expected.len().min(predicted.len());
    let fit = taps.len() <= MOST && taps.iter().all(|tap| tap.row.len() == length);
    let mut from = 0;
    #[cfg(target_arch = "x86_64")]
    if fit && length >= avx2::COLUMNS && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, and all taps have the length of the sums.
        #[expect(unsafe_code, reason = "a function of an instruction set")]
        unsafe {
            from = avx2::sums(taps, bias, expected, predicted);
        }
    }
    let expected = expected.get_mut(from..).unwrap_or_default();
    let predicted = predicted.get_mut(from..).unwrap_or_default();
    expected.fill(0);
    predicted.fill(bias);
    for tap in taps {
        let row = tap.row.get(from..).unwrap_or_default();
        add_scalar(Tap { row, ..*tap }, expected, predicted);
    }
}

/// `sums[x]` = the sum of the values at x of four rows, times their weights. Rows of another length than the sums count
/// as zeros; weights lie within +-2^12.
pub fn sum_of_four(rows: [(&[i16], i16); 4], sums: &mut [i32]) {
    let there = rows.iter().find(|(row, _)| row.len() == sums.len());
    let Some((any, _)) = there.copied() else {
        sums.fill(0);
        return;
    };
    let rows = rows.map(|(row, weight)| {
        if row.len() == sums.len() {
            (row, weight)
        } else {
            (any, 0)
        }
    });
    let mut from = 0;
    #[cfg(target_arch = "x86_64")]
    if sums.len() >= avx2::COLUMNS && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, and all rows have the length of the sums.
        #[expect(unsafe_code, reason = "a function of an instruction set")]
        unsafe {
            from = avx2::four(rows, sums);
        }
    }
    let sums = sums.get_mut(from..).unwrap_or_default();
    four_scalar(
        rows.map(|(row, weight)| (row.get(from..).unwrap_or_default(), weight)),
        sums,
    );
}

fn four_scalar(rows: [(&[i16], i16); 4], sums: &mut [i32]) {
    let [a, b, c, d] = rows.map(|(row, weight)| (row, i32::from(weight)));
    let rows = a.0.iter().zip(b.0).zip(c.0.iter().zip(d.0));
    for (sum, ((va, vb), (vc, vd))) in sums.iter_mut().zip(rows) {
        let [va, vb, vc, vd] = [va, vb, vc, vd].map(|v| i32::from(*v));
        *sum = va * a.1 + vb * b.1 + vc * c.1 + vd * d.1;
    }
}

fn add_scalar(tap: Tap<'_>, expected: &mut [u32], predicted: &mut [i32]) {
    let weight = u32::from(tap.expect.unsigned_abs());
    let sums = expected.iter_mut().zip(predicted);
    for ((e, p), value) in sums.zip(tap.row) {
        *e += u32::from(value.unsigned_abs()) * weight;
        *p += i32::from(*value) * i32::from(tap.predict);
    }
}

/// The kernels for processors with AVX2.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_abs_epi16, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
        _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
        _mm256_unpackhi_epi16, _mm256_unpacklo_epi16,
    };

    use super::{MOST, Tap};

    /// Columns that are summed at once.
    pub(super) const COLUMNS: usize = 16;

    /// Two rows, and the weights of their magnitudes and values, alternating.
    #[derive(Clone, Copy)]
    struct Pair {
        rows: [*const i16; 2],
        expect: __m256i,
        predict: __m256i,
    }

    #[target_feature(enable = "avx2")]
    fn two(low: i16, high: i16) -> __m256i {
        _mm256_set1_epi32((i32::from(low) & 0xffff) | (i32::from(high) << 16))
    }

    /// The sums of 16 columns at a time; returns the number of columns done.
    ///
    /// # Safety
    /// The taps are at most [`MOST`] and have the length of both sums.
    #[expect(unsafe_code, reason = "pointers into rows")]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn sums(
        taps: &[Tap<'_>],
        bias: i32,
        expected: &mut [u32],
        predicted: &mut [i32],
    ) -> usize {
        let none = Pair {
            rows: [expected.as_ptr().cast(); 2],
            expect: _mm256_setzero_si256(),
            predict: _mm256_setzero_si256(),
        };
        let mut pairs = [none; MOST / 2];
        for (pair, taps) in pairs.iter_mut().zip(taps.chunks(2)) {
            let [Some(a), b] = [taps.first(), taps.get(1)] else {
                continue;
            };
            let b = b.copied().unwrap_or(Tap {
                row: a.row,
                ..Tap::default()
            });
            *pair = Pair {
                rows: [a.row.as_ptr(), b.row.as_ptr()],
                expect: two(a.expect, b.expect),
                predict: two(a.predict, b.predict),
            };
        }
        let pairs = pairs.get(..taps.len().div_ceil(2)).unwrap_or_default();
        let signed = taps.iter().any(|tap| tap.predict != 0);
        let done = expected.len().min(predicted.len()) / COLUMNS * COLUMNS;
        let (expected, predicted) = (expected.as_mut_ptr(), predicted.as_mut_ptr());
        for x in (0..done).step_by(COLUMNS) {
            let (mut low_e, mut high_e) = (_mm256_setzero_si256(), _mm256_setzero_si256());
            let (mut low_p, mut high_p) = (_mm256_set1_epi32(bias), _mm256_set1_epi32(bias));
            for pair in pairs {
                // SAFETY: 16 columns from x on lie inside of the rows.
                let [a, b] = pair
                    .rows
                    .map(|row| unsafe { _mm256_loadu_si256(row.add(x).cast()) });
                let (low, high) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
                if signed {
                    low_p = _mm256_add_epi32(low_p, _mm256_madd_epi16(low, pair.predict));
                    high_p = _mm256_add_epi32(high_p, _mm256_madd_epi16(high, pair.predict));
                }
                let (low, high) = (_mm256_abs_epi16(low), _mm256_abs_epi16(high));
                low_e = _mm256_add_epi32(low_e, _mm256_madd_epi16(low, pair.expect));
                high_e = _mm256_add_epi32(high_e, _mm256_madd_epi16(high, pair.expect));
            }
            // SAFETY: 16 columns from x on lie inside of the sums.
            unsafe {
                store(expected.add(x).cast(), low_e, high_e);
                store(predicted.add(x).cast(), low_p, high_p);
            }
        }
        done
    }

    /// Like [`sums`], for [`super::sum_of_four`].
    ///
    /// # Safety
    /// The rows have the length of the sums.
    #[expect(unsafe_code, reason = "pointers into rows")]
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn four(rows: [(&[i16], i16); 4], sums: &mut [i32]) -> usize {
        let [a, b, c, d] = rows;
        let weights = [two(a.1, b.1), two(c.1, d.1)];
        let rows = rows.map(|(row, _)| row.as_ptr());
        let done = sums.len() / COLUMNS * COLUMNS;
        let sums = sums.as_mut_ptr();
        for x in (0..done).step_by(COLUMNS) {
            // SAFETY: 16 columns from x on lie inside of the rows.
            let [a, b, c, d] = rows.map(|row| unsafe { _mm256_loadu_si256(row.add(x).cast()) });
            let low = _mm256_add_epi32(
                _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), weights[0]),
                _mm256_madd_epi16(_mm256_unpacklo_epi16(c, d), weights[1]),
            );
            let high = _mm256_add_epi32(
                _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), weights[0]),
                _mm256_madd_epi16(_mm256_unpackhi_epi16(c, d), weights[1]),
            );
            // SAFETY: 16 columns from x on lie inside of the sums.
            unsafe {
                store(sums.add(x).cast(), low, high);
            }
        }
        done
    }

    /// Stores 16 sums; unpacking has left columns 0..4 and 8..12 in `low`, the others in `high`.
    ///
    /// # Safety
    /// 64 bytes may be written.
    #[expect(unsafe_code, reason = "stores through pointers")]
    #[target_feature(enable = "avx2")]
    unsafe fn store(to: *mut __m256i, low: __m256i, high: __m256i) {
        // SAFETY: as the caller says; the stores need no alignment.
        unsafe {
            _mm256_storeu_si256(to, _mm256_permute2x128_si256::<0x20>(low, high));
            _mm256_storeu_si256(to.add(1), _mm256_permute2x128_si256::<0x31>(low, high));
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

    #[test]
    fn every_instruction_set_gives_the_same_sums() {
        let cells: Vec<i16> = (0..900_i32)
            .map(|i| i16::try_from(i * i * 77 % 65_535 - 32_767).unwrap())
            .collect();
        for length in [0, 1, 7, 8, 9, 100] {
            let taps: Vec<Tap<'_>> = (0..7)
                .map(|i| Tap {
                    row: &cells[i * 100..i * 100 + length],
                    expect: i16::try_from(i * i * 5 + 1).unwrap(),
                    predict: i16::try_from(i * 37).unwrap() - 150,
                })
                .collect();
            let (mut sums, mut signed) = (vec![9; length], vec![7; length]);
            weighted_sums(&taps, -5, &mut sums, &mut signed);
            let (mut expected, mut predicted) = (vec![0; length], vec![-5; length]);
            for tap in taps {
                add_scalar(tap, &mut expected, &mut predicted);
            }
            assert_eq!((sums, signed), (expected, predicted));
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_sums_of_four() {
        let cells: Vec<i16> = (0..900_i32)
            .map(|i| i16::try_from(i * i * 77 % 65_535 - 32_767).unwrap())
            .collect();
        for length in [0, 1, 15, 16, 17, 100] {
            let rows = [(0, 4096), (1, -4096), (2, 77), (3, 0)];
            let mut rows = rows.map(|(i, weight)| (&cells[i * 200..i * 200 + length], weight));
            let (mut sums, mut scalar) = (vec![9; length], vec![7; length]);
            sum_of_four(rows, &mut sums);
            four_scalar(rows, &mut scalar);
            assert_eq!(sums, scalar);
            // A row that is not there counts as zeros.
            rows[1].0 = &[];
            sum_of_four(rows, &mut sums);
            let zeros = vec![0; length];
            rows[1].0 = &zeros;
            four_scalar(rows, &mut scalar);
            assert_eq!(sums, scalar);
        }
    }
}
