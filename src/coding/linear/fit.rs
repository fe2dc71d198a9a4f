//! Predictions of a signal from its own past, and how the encoder finds them.

use super::{ORDERS, OWN, cost};

/// The fixed polynomials (RFC 9639, section 9.2.5), by order.
const FIXED: [&[i32]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
/// Bits of coefficients of a block's own, with their sign.
const PRECISION: u32 = 14;
/// Greatest shift.
const SHIFT: u32 = 15;
/// About 64 times the bits that a coefficient takes.
const COEFFICIENT: u64 = 8 * 64;

/// A prediction: the sum of products with the samples before, the last one first, shifted to the right.
#[derive(Debug, Clone, Default)]
pub(super) struct Predictor {
    pub(super) coefficients: Vec<i32>,
    pub(super) shift: u32,
    own: bool,
}

impl Predictor {
    /// A fixed one.
    pub(super) fn fixed(order: u32) -> Self {
        let order = usize::try_from(order).unwrap_or(0);
        Self {
            coefficients: FIXED.get(order).map_or(Vec::new(), |c| c.to_vec()),
            shift: 0,
            own: false,
        }
    }

    /// Its symbol.
    pub(super) fn order(&self) -> u32 {
        if self.own {
            return OWN;
        }
        u32::try_from(self.coefficients.len()).unwrap_or(0)
    }

    /// The coefficients, that of the last sample last.
    pub(super) fn backwards(&self) -> Vec<i64> {
        self.coefficients
            .iter()
            .rev()
            .copied()
            .map(i64::from)
            .collect()
    }

    /// What it misses of a signal behind its history.
    pub(super) fn missed(&self, signal: &[i32]) -> Vec<i32> {
        let backwards = self.backwards();
        let order = backwards.len();
        let windows = signal.get(ORDERS - order..).unwrap_or_default();
        let windows = windows.windows(order + 1);
        let missed = windows.map(|window| match window.split_last() {
            Some((sample, before)) => sample.wrapping_sub(predict(&backwards, before, self.shift)),
            None => 0,
        });
        missed.collect()
    }

    /// The best for a signal that lies behind its history, and about 64 times the bits that it takes.
    pub(super) fn fit(signal: &[i32]) -> (Self, u64) {
        let fixed = (0..).take(FIXED.len()).map(Self::fixed);
        let own = Self::own(signal.get(ORDERS..).unwrap_or_default());
        let all = fixed.chain(own);
        let priced = all.map(|predictor| {
            let own = if predictor.own {
                predictor.coefficients.len()
            } else {
                0
            };
            let price = cost(&predictor.missed(signal)) + own as u64 * COEFFICIENT;
            (predictor, price)
        });
        let best = priced.min_by_key(|(_, price)| *price);
        best.unwrap_or_default()
    }

    /// One with coefficients for these samples, by their autocorrelation.
    fn own(samples: &[i32]) -> Option<Self> {
        let most = ORDERS.min(samples.len() / 16);
        let correlation = autocorrelation(samples, most);
        let coefficients = levinson(&correlation, samples.len())?;
        quantised(&coefficients)
    }
}

/// A prediction by coefficients, the last one for the last sample.
#[inline]
pub(super) fn predict(backwards: &[i64], before: &[i32], shift: u32) -> i32 {
    let products = backwards.iter().zip(before);
    let sum = products.fold(0_i64, |sum, (c, s)| {
        sum.wrapping_add(c.wrapping_mul(i64::from(*s)))
    });
    #[expect(clippy::cast_possible_truncation, reason = "predictions wrap")]
    {
        (sum >> shift) as i32
    }
}

/// The autocorrelation of samples for lags up to `most`, under a window that rises and falls smoothly over a quarter.
fn autocorrelation(samples: &[i32], most: usize) -> Vec<f64> {
    let slope = (samples.len() / 4).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let rise = |i: usize| {
        let t = (i.min(slope) as f64 + 0.5) / (slope as f64 + 0.5);
        t * t * (3.0 - 2.0 * t)
    };
    let last = samples.len().saturating_sub(1);
    let window = |(i, sample): (usize, &i32)| f64::from(*sample) * rise(i) * rise(last - i);
    let windowed: Vec<f64> = samples.iter().enumerate().map(window).collect();
    (0..=most)
        .map(|lag| {
            let behind = windowed.get(lag..).unwrap_or_default();
            // Eight sums, so that they can be made at once.
            let mut sums = [0.0; 8];
            let (left, left_rest) = windowed.as_chunks::<8>();
            let (right, right_rest) = behind.as_chunks::<8>();
            for (left, right) in left.iter().zip(right) {
                for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
                    *sum += a * b;
                }
            }
            let start = right.len() * 8;
            let left = windowed.get(start..).unwrap_or(left_rest);
            let rest = left.iter().zip(right_rest).map(|(a, b)| a * b);
            sums.iter().sum::<f64>() + rest.sum::<f64>()
        })
        .collect()
}

/// Coefficients by the recursion of Levinson and Durbin, as many as pay.
fn levinson(correlation: &[f64], samples: usize) -> Option<Vec<f64>> {
    let first = *correlation.first()?;
    if first <= 0.0 {
        return None;
    }
    // A little noise keeps the recursion stable.
    let mut error = first * (1.0 + 1e-9);
    let mut coefficients: Vec<f64> = Vec::new();
    let mut best: Option<(f64, Vec<f64>)> = None;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let samples = samples as f64;
    for (order, lag) in correlation.iter().skip(1).enumerate() {
        let products = coefficients
            .iter()
            .zip(correlation.iter().take(order + 1).rev());
        let sum: f64 = products.map(|(c, r)| c * r).sum();
        let reflection = (lag - sum) / error;
        let mirrored: Vec<f64> = coefficients.iter().rev().copied().collect();
        for (c, m) in coefficients.iter_mut().zip(mirrored) {
            *c -= reflection * m;
        }
        coefficients.push(reflection);
        error *= 1.0 - reflection * reflection;
        if error <= 0.0 || !error.is_finite() {
            break;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let price = samples * 32.0 * log2(error / first) + COEFFICIENT as f64 * (order + 1) as f64;
        if best.as_ref().is_none_or(|(least, _)| price < *least) {
            best = Some((price, coefficients.clone()));
        }
    }
    best.map(|(_, coefficients)| coefficients)
}

/// About the binary logarithm: the exponent, and a line between the powers of two.
fn log2(value: f64) -> f64 {
    let bits = value.to_bits() >> 32;
    #[expect(clippy::cast_precision_loss, reason = "32 bits")]
    let shown = bits as f64 / f64::from(1 << 20);
    shown - 1023.0
}

/// Coefficients as whole numbers; each takes over what rounding left of those before it.
fn quantised(coefficients: &[f64]) -> Option<Predictor> {
    let greatest = coefficients.iter().fold(0.0, |m: f64, c| m.max(c.abs()));
    let limit = f64::from(1_u32 << (PRECISION - 1));
    let shift = (0..=SHIFT)
        .rev()
        .find(|shift| greatest * f64::from(1_u32 << shift) < limit - 1.0)?;
    let mut left = 0.0;
    let whole = coefficients.iter().map(|c| {
        left += c * f64::from(1_u32 << shift);
        let rounded = left.round().clamp(1.0 - limit, limit - 1.0);
        left -= rounded;
        #[expect(clippy::cast_possible_truncation, reason = "clamped")]
        {
            rounded as i32
        }
    });
    let coefficients: Vec<i32> = whole.collect();
    Some(Predictor {
        coefficients,
        shift,
        own: true,
    })
}
