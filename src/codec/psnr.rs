//! PSNR: what previews of pictures and video should reach, the same numbers on every machine.

/// Peak squared over mean squared error of the previews: 22, 27, 33 and 37 dB.
const RATIOS: [f64; 4] = [158.489_319, 501.187_234, 1_995.262_31, 5_011.872_34];

/// How much better than a coarse view alone a picture is whose residual is shared out to 16 chunks, with the most
/// chunks that each preview is shown for: 16 over what is missing with 3, 7, 11 and 13.
const SHARED: [f64; 4] = [16.0 / 13.0, 16.0 / 9.0, 16.0 / 5.0, 16.0 / 3.0];
/// 46 dB: what is softer still is nearly exact.
const ENOUGH: f64 = 39_810.717;

/// For so many previews the ratios of peak squared to mean squared error that they should reach; what is beyond the
/// last one known is as that. `coarse`: that of a coarse view ([`super::coarse`]); soft pictures are to be shown as
/// well as chunks that share out the rest would show them.
pub(super) fn targets(previews: usize, coarse: Option<f64>) -> Vec<f64> {
    let coarse = coarse.unwrap_or(0.0);
    let each = RATIOS.into_iter().zip(SHARED);
    let mut each: Vec<f64> = each
        .map(|(ratio, shared)| ratio.max((coarse * shared).min(ENOUGH)))
        .collect();
    let last = each.last().copied().unwrap_or(ENOUGH);
    each.resize(previews.max(each.len()), last);
    each.truncate(previews);
    each
}

/// The squared error over `count` samples at a ratio.
pub(super) fn error(peak: f64, count: f64, ratio: f64) -> f64 {
    peak * peak * count / ratio
}

/// PSNR in 1/100 dB, rounded down; 65535 for no error.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range"
)]
pub(super) fn centi_db(peak: f64, count: f64, error: f64) -> u16 {
    if error <= 0.0 {
        return u16::MAX;
    }
    // 1000 * log10(2) = 301.0299957
    let db = log2(peak * peak * count / error) * 301.029_995_7;
    db.clamp(0.0, f64::from(u16::MAX - 1)) as u16
}

/// Binary logarithm by squaring, to 2^-30: the same on every machine. 0 for what is not positive.
fn log2(mut value: f64) -> f64 {
    if value.is_nan() || value <= 0.0 || value.is_infinite() {
        return 0.0;
    }
    let mut log = 0.0;
    while value >= 2.0 {
        value *= 0.5;
        log += 1.0;
    }
    while value < 1.0 {
        value *= 2.0;
        log -= 1.0;
    }
    let mut bit = 1.0;
    for _ in 0..30 {
        value *= value;
        bit *= 0.5;
        if value >= 2.0 {
            value *= 0.5;
            log += bit;
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms() {
        for value in [0.001, 0.7, 1.0, 1.5, 2.0, 158.489_319, 1e12] {
            assert!((log2(value) - value.log2()).abs() < 1e-8, "{value}");
        }
        assert!(log2(0.0) == 0.0 && log2(f64::NAN) == 0.0);
    }
}
