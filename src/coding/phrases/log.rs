//! Binary logarithms of integers in integers, so that prices are the same on every machine.

/// One bit, in the unit of [`log2`].
pub(super) const ONE: u32 = 1 << 16;

/// `log2(1 + i / 256)` in 2^-16.
const FRACTIONS: [u32; 257] = fractions();

#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "constants, by an index up to 256"
)]
const fn fractions() -> [u32; 257] {
    let mut fractions = [0; 257];
    let mut i = 0;
    while i < 256 {
        // Squaring a number doubles its logarithm: each time a bit of it comes out.
        let mut square = (256 + i as u64) << 24;
        let mut bits = 0;
        let mut n = 0;
        while n < 17 {
            square = ((square as u128 * square as u128) >> 32) as u64;
            bits <<= 1;
            if square >= 1 << 33 {
                square >>= 1;
                bits |= 1;
            }
            n += 1;
        }
        fractions[i] = (bits + 1) >> 1;
        i += 1;
    }
    fractions[256] = ONE;
    fractions
}

/// The binary logarithm of `x` in 2^-16, off by less than 2^-15; 0 for 0.
pub(super) fn log2(x: u64) -> u32 {
    let Some(whole) = x.checked_ilog2() else {
        return 0;
    };
    // 24 bits behind the first one: 8 choose the interval, 16 the place in it.
    let behind = if whole >= 24 {
        x >> (whole - 24)
    } else {
        x << (24 - whole)
    };
    let place = u32::try_from(behind & 0xff_ffff).unwrap_or(0);
    let at = |i: u32| FRACTIONS.get(i as usize).copied().unwrap_or(ONE);
    let (low, high) = (at(place >> 16), at((place >> 16) + 1));
    let between = (u64::from(high - low) * u64::from(place & 0xffff)) >> 16;
    whole * ONE + low + u32::try_from(between).unwrap_or(0)
}

/// What a symbol costs that comes `count` times in `total`, in 1/256 bit.
pub(super) fn price(count: u64, total: u64) -> u32 {
    log2(total).saturating_sub(log2(count)) >> 8
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::*;

    #[test]
    fn logarithms_are_those_of_the_library() {
        for x in (1..5000_u64).chain((0..50).map(|i| (1 << i) + (1 << i >> 3) + 12345)) {
            let exact = f64::from(u32::try_from(x >> 20).unwrap()) * 1_048_576.0
                + f64::from(u32::try_from(x & 0xf_ffff).unwrap());
            let error = f64::from(log2(x)) / f64::from(ONE) - exact.log2();
            assert!(error.abs() < 4e-5, "{x}: {error}");
        }
        assert_eq!((log2(0), log2(1), log2(1 << 40)), (0, 0, 40 * ONE));
        assert_eq!((price(1, 4), price(4, 1)), (512, 0));
    }
}
