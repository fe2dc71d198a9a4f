//! Where to cut the order of significance so that each preview has the quality wanted.

use super::header::Header;
use super::tiles::Source;
use crate::coding::bands::{Layout, Measure, Survey, shifts_at};

/// Peak squared over mean squared error of the previews: 22, 27, 33 and 37 dB.
const RATIOS: [f64; 4] = [158.489_319, 501.187_234, 1_995.262_31, 5_011.872_34];
/// Tiles that are reconstructed to find the cuts; all of them in most pictures.
const SAMPLED: usize = 4;
/// Tries for each cut.
const TRIES: usize = 5;

/// A tile with all that measuring needs.
struct Sample {
    index: usize,
    layout: Layout,
    survey: Survey,
    coefficients: Vec<Vec<i32>>,
}

/// Cuts found, and the squared error at each where the whole picture was measured for it.
pub(super) struct Cuts {
    pub(super) cuts: Vec<i16>,
    pub(super) errors: Option<Vec<f64>>,
}

/// Finds the highest cut for each preview that reaches its PSNR.
///
/// Significance by norms foretells the error up to 15 %: the reconstruction of some tiles says by how much it misses.
pub(super) fn find(source: &Source<'_>, header: &Header, previews: usize) -> Cuts {
    let tiles = header.tiles();
    let mut whole = Measure::default();
    let mut part = Measure::default();
    let mut samples = Vec::new();
    let step = tiles.div_ceil(SAMPLED);
    for index in 0..tiles {
        let Ok(layout) = header.wave(header.tile(index)).layout() else {
            continue;
        };
        let coefficients = header
            .wave(header.tile(index))
            .forward(source.tile(header, index));
        let survey = Survey::new(&coefficients);
        whole.add(&layout, &survey);
        if index % step == step / 2 {
            part.add(&layout, &survey);
            samples.push(Sample {
                index,
                layout,
                survey,
                coefficients,
            });
        }
    }
    let peak = f64::from(header.max) * f64::from(header.max);
    let count = source.colour_samples();
    let mut found = Cuts {
        cuts: Vec::new(),
        errors: (samples.len() == tiles).then(Vec::new),
    };
    // What is measured over what is foretold; errors of a previous preview are alike.
    let mut ratio = 1.1;
    for wanted in RATIOS.iter().take(previews) {
        let wanted = peak * count / wanted;
        let mut best: Option<(i16, f64)> = None;
        let mut aim = wanted;
        for _ in 0..TRIES {
            let cut = whole.cut(aim / ratio);
            if best.is_some_and(|(best, _)| cut <= best) {
                break;
            }
            let mut real = 0.0;
            for sample in &samples {
                let wave = header.wave(header.tile(sample.index));
                let shifts = shifts_at(&sample.layout, cut);
                let bands = sample.survey.reconstruct(&shifts, &sample.coefficients);
                real += source.error(header, sample.index, &wave.inverse(bands));
            }
            let foretold = part.error(cut);
            if foretold > 0.0 && real > 0.0 {
                ratio = real / foretold;
            }
            let error = whole.error(cut) * ratio;
            if error <= wanted {
                best = Some((cut, real));
                // Within 1 %: the next plane would be too much.
                if error > wanted * 0.99 {
                    break;
                }
                aim = wanted;
            } else {
                aim = aim.min(wanted) * 0.995;
            }
        }
        let (cut, error) = best.unwrap_or((i16::MIN, 0.0));
        found.cuts.push(cut);
        if let Some(errors) = &mut found.errors {
            errors.push(error);
        }
    }
    found
}

/// PSNR in 1/100 dB, rounded down; 65535 for no error.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range"
)]
pub(super) fn centi_db(header: &Header, samples: f64, error: f64) -> u16 {
    if error <= 0.0 {
        return u16::MAX;
    }
    let peak = f64::from(header.max) * f64::from(header.max);
    // 1000 * log10(2) = 301.0299957
    let db = log2(peak * samples / error) * 301.029_995_7;
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
