//! What lies around a pixel, and what followed the same surroundings before.

use super::{Pixel, Shape};

/// Known pixels left and right of the picture.
pub(super) const LEFT: usize = 6;
pub(super) const RIGHT: usize = 5;
/// Rows that the far surroundings lie in.
pub(super) const ROWS: usize = 5;
/// Bits of a place in memory, by the size of the picture.
const PLACE_BITS: std::ops::RangeInclusive<u32> = 8..=18;

/// What followed surroundings last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recalled {
    pub(super) pixel: Pixel,
    /// How often in a row, up to 3; 0 where the surroundings are new.
    pub(super) times: u8,
    /// Tells surroundings in one place apart.
    check: u16,
}

/// What followed each surroundings last.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    places: Vec<Recalled>,
    shift: u32,
}

impl Memory {
    pub(super) fn new(shape: Shape) -> Self {
        let pixels = shape.width.saturating_mul(shape.height).max(1);
        let (least, most) = PLACE_BITS.into_inner();
        let bits = pixels.ilog2().clamp(least, most);
        Self {
            places: vec![Recalled::default(); 1 << bits],
            shift: 64 - bits,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 18 bits are left")]
    #[inline]
    fn place(&self, around: u64) -> usize {
        (around >> self.shift) as usize
    }

    #[inline]
    pub(super) fn recall(&self, around: u64) -> Recalled {
        let found = self.places.get(self.place(around));
        let found = found.copied().unwrap_or_default();
        if found.check == low(around) {
            found
        } else {
            Recalled::default()
        }
    }

    #[inline]
    pub(super) fn learn(&mut self, around: u64, pixel: Pixel) {
        let check = low(around);
        let place = self.place(around);
        let Some(known) = self.places.get_mut(place) else {
            return;
        };
        if known.check == check && known.pixel == pixel {
            known.times = (known.times + 1).min(3);
        } else if known.check == check && known.times > 1 {
            // Once wrong is not forgotten, twice is.
            known.times = 1;
        } else {
            *known = Recalled {
                pixel,
                times: 1,
                check,
            };
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
#[inline]
fn low(around: u64) -> u16 {
    around as u16
}

/// A pixel in 64 bits, well mixed.
#[inline]
fn mixed(pixel: Pixel) -> u64 {
    let product = pixel.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product ^ product >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// A row with the pixels known beyond its edges, filled from the left, and polynomials of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    pub(super) pixels: Vec<Pixel>,
    /// At each place the sum of `mixed(pixel) * BASE^distance` over all pixels before it.
    sums: Vec<u64>,
}

const BASE: u64 = 0x2545_f491_4f6c_dd1d;

/// `BASE^n`.
const fn power(n: usize) -> u64 {
    let mut power = 1_u64;
    let mut i = 0;
    while i < n {
        power = power.wrapping_mul(BASE);
        i += 1;
    }
    power
}

impl Line {
    pub(super) fn new(width: usize) -> Self {
        let mut line = Self {
            pixels: vec![0; width + LEFT + RIGHT],
            sums: vec![0; width + LEFT + RIGHT + 1],
        };
        (0..width + LEFT + RIGHT).for_each(|at| line.set(at, 0));
        line
    }

    #[inline]
    pub(super) fn set(&mut self, at: usize, pixel: Pixel) {
        if let (Some(known), Some([sum, next])) = (
            self.pixels.get_mut(at),
            self.sums
                .get_mut(at..)
                .and_then(|sums| sums.first_chunk_mut()),
        ) {
            *known = pixel;
            *next = sum.wrapping_mul(BASE).wrapping_add(mixed(pixel));
        }
    }

    /// The polynomial of `N` pixels from a place on.
    #[inline]
    fn sum<const N: usize>(&self, from: usize) -> u64 {
        let at = |place: usize| self.sums.get(place).copied().unwrap_or(0);
        at(from + N).wrapping_sub(at(from).wrapping_mul(const { power(N) }))
    }
}

/// The far, the wide and the narrow surroundings of a pixel, as numbers: 38, 11 and 5 known pixels.
#[inline]
pub(super) fn surroundings(x: usize, lines: [&Line; ROWS]) -> [u64; 3] {
    let [line, above, far, third, fourth] = lines;
    let times = |sum: u64, factor: u64| sum.wrapping_mul(factor);
    let narrow = line
        .sum::<2>(x + 4)
        .wrapping_add(times(above.sum::<3>(x + 5), 0x9fb2_1c65_1e98_df25));
    let wide = line
        .sum::<3>(x + 3)
        .wrapping_add(times(above.sum::<5>(x + 4), 0x9fb2_1c65_1e98_df25))
        .wrapping_add(times(far.sum::<3>(x + 5), 0xa076_1d64_78bd_642f));
    let all = line
        .sum::<6>(x)
        .wrapping_add(times(above.sum::<11>(x + 1), 0x9fb2_1c65_1e98_df25))
        .wrapping_add(times(far.sum::<9>(x + 2), 0xa076_1d64_78bd_642f))
        .wrapping_add(times(third.sum::<7>(x + 3), 0xe703_7ed1_a0b4_28db))
        .wrapping_add(times(fourth.sum::<5>(x + 4), 0x8ebc_6af0_9c88_c6e3));
    let mix = |sum: u64| times(sum ^ sum >> 29, 0xbf58_476d_1ce4_e5b9);
    [all, wide, narrow].map(mix).map(|sum| sum ^ sum >> 31)
}
