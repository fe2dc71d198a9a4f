//! An integer modified discrete cosine transform (MDCT): exact both ways, and nearly orthonormal.
//!
//! A signal is cut into blocks of one length. Around each border the samples are folded over the window by rotations in
//! lifting steps; then two blocks at a time go through the DCT-IV by *multidimensional lifting*: with the rounded
//! transform `T`, which is its own inverse but for rounding,
//!
//! ```text
//! b += T(a);  a -= T(b);  b += T(a)          (a, b) becomes (-T(b), T(a))
//! ```
//!
//! Each step adds to one block a function of the other, so that it can be undone whatever `T` is: exactness does not
//! rest on how good `T` is, and one coefficient is off by the rounding of two steps only (R. Geiger, Y. Yokotani,
//! G. Schuller, "Improved integer transforms for lossless audio coding", Asilomar 2003).
//!
//! At both ends of the signal nothing is folded: a signal stands for itself, and what lies around it is not needed.

mod dct;
mod sine;

use std::sync::OnceLock;

use dct::{LANES, Lanes};
use sine::{Angle, Rotation};

/// Shortest block: 2^6 samples.
pub const MIN_LOG: u32 = 6;
/// Longest block: 2^13 samples.
pub const MAX_LOG: u32 = 13;
/// Steps of [`rotate`] in a quarter turn.
pub const QUARTER: i8 = 32;

/// How a block fades into the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A sine: the highest coding gain for most sounds.
    Sine,
    /// The power-complementary window of Vorbis: steep tones leak less far.
    Steep,
}

/// A transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mdct {
    /// Binary logarithm of the block length, [`MIN_LOG`] to [`MAX_LOG`].
    pub log: u32,
    /// The window.
    pub window: Window,
    /// Bits of fraction inside of the DCT, at most 8, see [`fraction`].
    pub fraction: u32,
}

/// Bits of fraction that fit: samples have at most `bits` bits without their sign, blocks `1 << log` samples.
#[must_use]
pub fn fraction(bits: u32, log: u32) -> u32 {
    // A block's norm is at most sqrt(2 N) times the peak; sums of two blocks and within a stage take two bits more.
    28_u32.saturating_sub(bits + log.div_ceil(2)).min(8)
}

/// Turns each pair (a, b) by `steps` of a quarter turn's [`QUARTER`]: (a cos - b sin, a sin + b cos), rounded such that
/// the opposite turn undoes it. Steps beyond a quarter turn count as one.
pub fn rotate(steps: i8, a: &mut [i32], b: &mut [i32]) {
    let part = usize::from(steps.unsigned_abs().min(QUARTER.unsigned_abs()));
    let rotation = Rotation::new(Angle::part(part, usize::from(QUARTER.unsigned_abs())));
    for (a, b) in a.iter_mut().zip(b) {
        if steps < 0 {
            rotation.inverse(a, b);
        } else {
            rotation.forward(a, b);
        }
    }
}

impl Mdct {
    /// Coefficients of a signal: its samples, and zeros up to a whole number of pairs of blocks.
    #[must_use]
    pub fn padded(&self, samples: usize) -> usize {
        samples.next_multiple_of(2 << self.log())
    }

    /// The coefficients of a signal, block by block, from the lowest frequency to the highest.
    #[must_use]
    pub fn forward(&self, mut signal: Vec<i32>) -> Vec<i32> {
        signal.resize(self.padded(signal.len()), 0);
        self.fold(&mut signal, Rotation::forward);
        self.pairs(&mut signal, |lift, a, b| {
            lift.step::<false>(a, b);
            lift.step::<true>(b, a);
            lift.step::<false>(a, b);
            // (-T(b), T(a)) to (T(a), T(b)).
            for (a, b) in a.iter_mut().zip(b) {
                let second = a.map(i32::wrapping_neg);
                *a = std::mem::replace(b, second);
            }
        });
        signal
    }

    /// The signal of coefficients, zeros at its end included.
    #[must_use]
    pub fn inverse(&self, mut signal: Vec<i32>) -> Vec<i32> {
        signal.resize(self.padded(signal.len()), 0);
        self.pairs(&mut signal, |lift, a, b| {
            for (a, b) in a.iter_mut().zip(b.iter_mut()) {
                let first = b.map(i32::wrapping_neg);
                *b = std::mem::replace(a, first);
            }
            lift.step::<true>(a, b);
            lift.step::<false>(b, a);
            lift.step::<true>(a, b);
        });
        self.fold(&mut signal, Rotation::inverse);
        signal
    }

    fn log(&self) -> u32 {
        self.log.clamp(MIN_LOG, MAX_LOG)
    }

    /// Folds the signal around the borders of blocks.
    fn fold(&self, signal: &mut [i32], turn: impl Fn(Rotation, &mut i32, &mut i32)) {
        let length = 1 << self.log();
        let rotations = rotations(self.log(), self.window);
        for border in (length..signal.len()).step_by(length) {
            let (left, right) = signal.split_at_mut(border);
            let pairs = left.iter_mut().rev().zip(right);
            for ((left, right), rotation) in pairs.zip(rotations) {
                turn(*rotation, left, right);
            }
        }
    }

    /// Calls `lift` with all pairs of adjacent blocks, eight side by side; what is missing to eight is zeros.
    fn pairs(&self, signal: &mut [i32], lift: impl Fn(&mut Lift, &mut [Lanes], &mut [Lanes])) {
        let length = 1 << self.log();
        let mut state = Lift {
            dct: dct::of(self.log()),
            fraction: self.fraction.min(8),
            work: Vec::new(),
        };
        let mut blocks = vec![[0; LANES]; 2 * length];
        for eight in signal.chunks_mut(2 * length * LANES) {
            for (lane, pair) in eight.chunks(2 * length).enumerate() {
                for (to, from) in blocks.iter_mut().zip(pair) {
                    if let Some(to) = to.get_mut(lane) {
                        *to = *from;
                    }
                }
            }
            let (a, b) = blocks.split_at_mut(length);
            lift(&mut state, a, b);
            for (lane, pair) in eight.chunks_mut(2 * length).enumerate() {
                for (from, to) in blocks.iter().zip(pair) {
                    *to = from.get(lane).copied().unwrap_or(0);
                }
            }
        }
    }
}

/// What a lifting step needs.
struct Lift {
    dct: &'static dct::Dct,
    fraction: u32,
    work: Vec<[Lanes; 2]>,
}

impl Lift {
    fn step<const SUBTRACT: bool>(&mut self, from: &[Lanes], to: &mut [Lanes]) {
        debug_assert_eq!(from.len(), self.dct.length());
        self.dct
            .add::<SUBTRACT>(from, to, self.fraction, &mut self.work);
    }
}

/// The rotations that fold `1 << log` samples around a border, from the border outwards.
fn rotations(log: u32, window: Window) -> &'static [Rotation] {
    type Tables = [OnceLock<Vec<Rotation>>; (MAX_LOG - MIN_LOG + 1) as usize];
    static SINE: Tables = [const { OnceLock::new() }; (MAX_LOG - MIN_LOG + 1) as usize];
    static STEEP: Tables = [const { OnceLock::new() }; (MAX_LOG - MIN_LOG + 1) as usize];
    let tables = match window {
        Window::Sine => &SINE,
        Window::Steep => &STEEP,
    };
    let [first, ..] = tables;
    let table = tables.get((log - MIN_LOG) as usize).unwrap_or(first);
    table.get_or_init(|| {
        let half = 1 << (log - 1);
        // The window at n samples beyond the border is the sine of this angle.
        let slope = |n: usize| Angle::part(2 * (half + n) + 1, 4 * half);
        let angle = |n: usize| match window {
            Window::Sine => slope(n),
            Window::Steep => slope(n).squared(),
        };
        (0..half).map(|n| Rotation::new(angle(n).rest())).collect()
    })
}

#[cfg(test)]
mod tests;
