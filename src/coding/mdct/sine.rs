//! Sines by integer arithmetic, and rotations in three lifting steps.

/// Bits of fraction of an angle, as a part of a quarter turn, and of what comes of it.
const FRACTION: u32 = 60;
/// A quarter turn, and 1.
const ONE: i128 = 1 << FRACTION;
/// Half pi with so many bits of fraction.
const HALF_PI: i128 = 1_811_004_864_519_280_711;
/// Bits of fraction of table entries.
pub(super) const BITS: u32 = 30;

/// An angle between 0 and a quarter turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Angle(i128);

impl Angle {
    /// `part / whole` of a quarter turn; 0 <= part <= whole.
    pub(super) fn part(part: usize, whole: usize) -> Self {
        let [part, whole] = [part, whole].map(|n| i128::try_from(n).unwrap_or(0));
        Self((part * ONE).checked_div(whole).unwrap_or(0))
    }

    /// What lacks to a quarter turn.
    pub(super) fn rest(self) -> Self {
        Self(ONE - self.0)
    }

    /// The angle that is the square of the sine of this one, in quarter turns: the slope of the Vorbis window.
    pub(super) fn squared(self) -> Self {
        let sine = self.sine();
        Self((sine * sine) >> FRACTION)
    }

    /// The sine: its series up to the 23rd power, below 2^-55 off.
    fn sine(self) -> i128 {
        let x = (self.0 * HALF_PI) >> FRACTION;
        let square = (x * x) >> FRACTION;
        let (mut sum, mut term) = (0, x);
        for n in 1..=12 {
            sum += term;
            term = -((term * square) >> FRACTION) / (2 * n * (2 * n + 1));
        }
        sum
    }

    /// The sine in 2^-30.
    pub(super) fn sine_entry(self) -> i32 {
        entry(self.sine())
    }

    /// The cosine in 2^-30.
    pub(super) fn cosine_entry(self) -> i32 {
        entry(self.rest().sine())
    }

    /// The tangent of half the angle in 2^-30.
    fn half_tangent_entry(self) -> i32 {
        let cosine = self.rest().sine();
        let tangent = (self.sine() << FRACTION).checked_div(ONE + cosine);
        entry(tangent.unwrap_or(0))
    }
}

fn entry(value: i128) -> i32 {
    let rounded = (value + (1 << (FRACTION - BITS - 1))) >> (FRACTION - BITS);
    i32::try_from(rounded).unwrap_or(0)
}

/// The same divided by the square root of two.
pub(super) fn over_root_two(entry: i32) -> i32 {
    // 2^62 / sqrt(2), rounded.
    let scaled = i128::from(entry) * 3_260_954_456_333_195_553;
    i32::try_from((scaled + (1 << 61)) >> 62).unwrap_or(0)
}

/// A rotation of integers that can be undone exactly.
///
/// (a, b) becomes close to (a cos - b sin, a sin + b cos), by three additions of rounded products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation {
    tangent: i32,
    sine: i32,
}

impl Rotation {
    pub(super) fn new(angle: Angle) -> Self {
        Self {
            tangent: angle.half_tangent_entry(),
            sine: angle.sine_entry(),
        }
    }

    #[inline]
    pub(super) fn forward(self, a: &mut i32, b: &mut i32) {
        *a = a.wrapping_sub(scaled(*b, self.tangent));
        *b = b.wrapping_add(scaled(*a, self.sine));
        *a = a.wrapping_sub(scaled(*b, self.tangent));
    }

    #[inline]
    pub(super) fn inverse(self, a: &mut i32, b: &mut i32) {
        *a = a.wrapping_add(scaled(*b, self.tangent));
        *b = b.wrapping_sub(scaled(*a, self.sine));
        *a = a.wrapping_add(scaled(*b, self.tangent));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a factor below 1 in 2^-30 leaves 32 bits"
)]
#[inline]
fn scaled(value: i32, factor: i32) -> i32 {
    ((i64::from(value) * i64::from(factor) + (1 << (BITS - 1))) >> BITS) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_sines() {
        for part in 0..=1000_u32 {
            let angle = Angle::part(part as usize, 1000);
            let exact = f64::from(part) / 1000.0 * std::f64::consts::FRAC_PI_2;
            let scale = f64::from(1 << BITS);
            for (entry, exact) in [
                (angle.sine_entry(), exact.sin()),
                (angle.cosine_entry(), exact.cos()),
                (angle.half_tangent_entry(), (exact / 2.0).tan()),
                (
                    over_root_two(angle.sine_entry()),
                    exact.sin() * 0.5_f64.sqrt(),
                ),
            ] {
                assert!((f64::from(entry) - exact * scale).abs() <= 1.01, "{part}");
            }
        }
    }

    #[test]
    fn rotations_come_back() {
        for part in 0..=64 {
            let rotation = Rotation::new(Angle::part(part, 64));
            for (x, y) in [
                (0, 0),
                (1, -1),
                (1000, 77),
                (-32768, 32767),
                (i32::MAX, i32::MIN),
            ] {
                let (mut a, mut b) = (x, y);
                rotation.forward(&mut a, &mut b);
                rotation.inverse(&mut a, &mut b);
                assert_eq!((a, b), (x, y));
            }
        }
    }
}
