//! The DCT-IV of blocks in fixed point, eight side by side: a rounded function, ever the same.
//!
//! A block of N values, orthonormal: `X[k] = sqrt(2 / N) sum x[n] cos(pi / N (n + 1/2) (k + 1/2))`, which is its own
//! inverse. It is computed as a complex Fourier transform of N / 2 values between two rotations (e.g. H. S. Malvar,
//! "Signal processing with lapped transforms", 1992), radix 4, decimation in frequency, halved in every stage so that
//! no stage grows. Values have `fraction` bits more than the samples. All arithmetic wraps: a value too large gives
//! nonsense, but the same nonsense everywhere, and lifting steps undo it.

use std::sync::OnceLock;

use super::sine::{Angle, BITS, over_root_two};
use super::{MAX_LOG, MIN_LOG};

/// Blocks that are transformed together.
pub(super) const LANES: usize = 8;
/// One value of each block.
pub(super) type Lanes = [i32; LANES];
/// A complex value of each block: real and imaginary parts.
type Complex = [Lanes; 2];

/// A rotation as (cosine, sine) in 2^-30.
type Turn = (i32, i32);

/// The tables of one block length.
#[derive(Debug)]
pub(super) struct Dct {
    /// Values of a block.
    length: usize,
    /// The rotation by (8n + 1) / 16N of a turn for each pair of values; before and after.
    before: Vec<Turn>,
    after: Vec<Turn>,
    /// For each stage, quarter length after quarter length: three rotations for each place.
    stages: Vec<Vec<[Turn; 3]>>,
    /// Where each frequency of the complex transform lies.
    places: Vec<u32>,
}

/// The tables for blocks of `1 << log` values, `MIN_LOG..=MAX_LOG`.
pub(super) fn of(log: u32) -> &'static Dct {
    static TABLES: [OnceLock<Dct>; (MAX_LOG - MIN_LOG + 1) as usize] =
        [const { OnceLock::new() }; (MAX_LOG - MIN_LOG + 1) as usize];
    let log = log.clamp(MIN_LOG, MAX_LOG);
    let [first, ..] = &TABLES;
    let table = TABLES.get((log - MIN_LOG) as usize).unwrap_or(first);
    table.get_or_init(|| Dct::new(1 << log))
}

/// A turn by `-part / whole` of a full turn, as the factor of a complex value.
fn turn(part: usize, whole: usize) -> Turn {
    let part = part % whole;
    let quarter = part * 4 / whole;
    let angle = Angle::part(part * 4 - quarter * whole, whole);
    let (c, s) = (angle.cosine_entry(), angle.sine_entry());
    match quarter {
        0 => (c, -s),
        1 => (-s, -c),
        2 => (-c, s),
        _ => (s, c),
    }
}

impl Dct {
    fn new(length: usize) -> Self {
        let half = length / 2;
        let turns = || (0..half).map(|n| turn(8 * n + 1, 16 * length));
        let odd = half.trailing_zeros() % 2 == 1;
        // A radix-2 stage is not halved: what it grows is taken away before.
        let small = |(c, s)| (over_root_two(c), over_root_two(s));
        let before = if odd {
            turns().map(small).collect()
        } else {
            turns().collect()
        };
        let mut stages = Vec::new();
        let mut size = half;
        while size >= 4 {
            let each = (0..size / 4).map(|j| [1, 2, 3].map(|times| turn(j * times, size)));
            stages.push(each.collect());
            size /= 4;
        }
        let mut places = vec![0; half];
        for place in 0..half {
            let (mut size, mut step, mut at, mut frequency) = (half, 1, place, 0);
            while size >= 4 {
                frequency += at / (size / 4) * step;
                at %= size / 4;
                size /= 4;
                step *= 4;
            }
            frequency += at * step;
            if let Some(entry) = places.get_mut(frequency) {
                *entry = u32::try_from(place).unwrap_or(0);
            }
        }
        Self {
            length,
            before,
            after: turns().collect(),
            stages,
            places,
        }
    }

    /// Values of a block.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Adds the transform of the blocks `from` to the blocks `to`, or takes it away. Both have the length of the
    /// tables; `work` is any memory.
    pub(super) fn add<const SUBTRACT: bool>(
        &self,
        from: &[Lanes],
        to: &mut [Lanes],
        fraction: u32,
        work: &mut Vec<Complex>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            #[expect(unsafe_code, reason = "a function of an instruction set")]
            unsafe {
                self.add_avx2::<SUBTRACT>(from, to, fraction, work);
            }
            return;
        }
        self.add_any::<SUBTRACT>(from, to, fraction, work);
    }

    /// [`Dct::add_any`], compiled for AVX2: the same integer arithmetic.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2<const SUBTRACT: bool>(
        &self,
        from: &[Lanes],
        to: &mut [Lanes],
        fraction: u32,
        work: &mut Vec<Complex>,
    ) {
        self.add_any::<SUBTRACT>(from, to, fraction, work);
    }

    #[expect(
        clippy::inline_always,
        reason = "compiled anew for each instruction set"
    )]
    #[inline(always)]
    fn add_any<const SUBTRACT: bool>(
        &self,
        from: &[Lanes],
        to: &mut [Lanes],
        fraction: u32,
        work: &mut Vec<Complex>,
    ) {
        work.clear();
        let ends = from.iter().step_by(2).zip(from.iter().rev().step_by(2));
        work.extend(ends.zip(&self.before).map(|((even, odd), turn)| {
            let value = [even.map(|v| v << fraction), odd.map(|v| v << fraction)];
            turned::<BITS>(value, *turn)
        }));
        let mut size = self.length / 2;
        for stage in &self.stages {
            for part in work.chunks_exact_mut(size) {
                quarter(part, stage);
            }
            size /= 4;
        }
        if size == 2 {
            for pair in work.as_chunks_mut::<2>().0 {
                let [a, b] = *pair;
                *pair = [sum(a, b), difference(a, b)];
            }
        }
        let round = (1 << fraction) >> 1;
        let (first, last) = to.split_at_mut(self.length / 2);
        let (first, last) = (first.as_chunks_mut::<2>().0, last.as_chunks_mut::<2>().0);
        // Frequency 2k goes to the front, N - 1 - 2k to the back.
        let quarter = self.length / 4;
        let low = self.places.iter().zip(&self.after);
        let high = low.clone().skip(quarter);
        let value = |(place, turn): (&u32, &Turn)| {
            let value = work.get(*place as usize).copied().unwrap_or_default();
            let [re, im] = turned::<BITS>(value, *turn);
            [
                re.map(|v| v.wrapping_add(round) >> fraction),
                im.map(|v| 0_i32.wrapping_sub(v).wrapping_add(round) >> fraction),
            ]
        };
        let put = |to: &mut Lanes, value: Lanes| {
            for (to, value) in to.iter_mut().zip(value) {
                *to = if SUBTRACT {
                    to.wrapping_sub(value)
                } else {
                    to.wrapping_add(value)
                };
            }
        };
        for (([even, _], [_, odd]), at) in first.iter_mut().zip(last.iter_mut().rev()).zip(low) {
            let [re, im] = value(at);
            put(even, re);
            put(odd, im);
        }
        for (([even, _], [_, odd]), at) in last.iter_mut().zip(first.iter_mut().rev()).zip(high) {
            let [re, im] = value(at);
            put(even, re);
            put(odd, im);
        }
    }
}

/// A radix-4 stage over one part, halved.
#[expect(
    clippy::inline_always,
    reason = "compiled anew for each instruction set"
)]
#[inline(always)]
fn quarter(part: &mut [Complex], turns: &[[Turn; 3]]) {
    let (front, back) = part.split_at_mut(turns.len() * 2);
    let (a, b) = front.split_at_mut(turns.len());
    let (c, d) = back.split_at_mut(turns.len());
    for (((a, b), (c, d)), turns) in a.iter_mut().zip(b).zip(c.iter_mut().zip(d)).zip(turns) {
        let (even, odd) = (sum(*a, *c), difference(*a, *c));
        let (even2, odd2) = (sum(*b, *d), difference(*b, *d));
        // -i times the difference.
        let [re, im] = odd2;
        let odd2 = [im, re.map(|v| 0_i32.wrapping_sub(v))];
        *a = sum(even, even2).map(|lanes| lanes.map(|v| v.wrapping_add(1) >> 1));
        *b = turned::<{ BITS + 1 }>(sum(odd, odd2), turns[0]);
        *c = turned::<{ BITS + 1 }>(difference(even, even2), turns[1]);
        *d = turned::<{ BITS + 1 }>(difference(odd, odd2), turns[2]);
    }
}

#[expect(clippy::indexing_slicing, reason = "both parts, all lanes")]
#[expect(
    clippy::inline_always,
    reason = "compiled anew for each instruction set"
)]
#[inline(always)]
fn sum(a: Complex, b: Complex) -> Complex {
    [0, 1].map(|part: usize| std::array::from_fn(|i| a[part][i].wrapping_add(b[part][i])))
}

#[expect(clippy::indexing_slicing, reason = "both parts, all lanes")]
#[expect(
    clippy::inline_always,
    reason = "compiled anew for each instruction set"
)]
#[inline(always)]
fn difference(a: Complex, b: Complex) -> Complex {
    [0, 1].map(|part: usize| std::array::from_fn(|i| a[part][i].wrapping_sub(b[part][i])))
}

/// The value times the turn, in `2^-SHIFT`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit wraps, the same everywhere"
)]
#[expect(clippy::indexing_slicing, reason = "both parts, all lanes")]
#[expect(
    clippy::inline_always,
    reason = "compiled anew for each instruction set"
)]
#[inline(always)]
fn turned<const SHIFT: u32>([re, im]: Complex, (c, s): Turn) -> Complex {
    let (c, s) = (i64::from(c), i64::from(s));
    let round = 1_i64 << (SHIFT - 1);
    let mut out = [[0; LANES]; 2];
    for i in 0..LANES {
        let (x, y) = (i64::from(re[i]), i64::from(im[i]));
        out[0][i] = ((x * c - y * s + round) >> SHIFT) as i32;
        out[1][i] = ((x * s + y * c + round) >> SHIFT) as i32;
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::cast_precision_loss,
        reason = "tests may panic"
    )]

    use super::*;

    fn noise(count: usize) -> Vec<Lanes> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16).cast_signed() - 32768
        };
        (0..count)
            .map(|_| std::array::from_fn(|_| next()))
            .collect()
    }

    #[test]
    fn it_is_the_dct_iv() {
        for log in MIN_LOG..=9 {
            let n = 1 << log;
            let from = noise(n);
            let mut to = vec![[0; LANES]; n];
            of(log).add::<false>(&from, &mut to, 6, &mut Vec::new());
            for k in [0, 1, 2, n / 2 - 1, n / 2, n - 2, n - 1] {
                let term = |i: usize| {
                    let angle = (i as f64 + 0.5) * (k as f64 + 0.5) * std::f64::consts::PI;
                    f64::from(from[i][3]) * (angle / n as f64).cos()
                };
                let exact: f64 = (0..n).map(term).sum::<f64>() * (2.0 / n as f64).sqrt();
                assert!(
                    (exact - f64::from(to[k][3])).abs() < 0.6,
                    "{n} {k}: {exact} {}",
                    to[k][3]
                );
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_values() {
        for log in MIN_LOG..=MAX_LOG {
            let from = noise(1 << log);
            let from: Vec<Lanes> = from.iter().map(|l| l.map(|v| v << (log % 3 * 8))).collect();
            let (mut one, mut two) = (from.clone(), from.clone());
            of(log).add::<false>(&from, &mut one, 3, &mut Vec::new());
            of(log).add_any::<false>(&from, &mut two, 3, &mut Vec::new());
            assert_eq!(one, two);
            of(log).add::<true>(&from, &mut one, 3, &mut Vec::new());
            assert_eq!(one, from);
        }
    }
}
