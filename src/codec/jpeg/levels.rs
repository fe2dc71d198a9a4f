//! The quality of previews: wanted, estimated, measured.

use crate::coding::bands::{Band, Error, Layout, Measure, Survey};

use super::sample::{Errors, Sample};
use super::strip::Strip;
use super::ways::Cut;

/// Wanted PSNR of the previews in dB, and 10^(dB/10).
const WANTED: [(u16, f64); 4] = [
    (22, 158.489_319_246_111_35),
    (27, 501.187_233_627_272_24),
    (33, 1_995.262_314_968_879_5),
    (37, 5_011.872_336_272_725),
];
/// What is asked for, so that the wanted is there in spite of measuring samples only.
const MARGIN: f64 = 0.98;
/// The square of the largest difference of two samples.
const PEAK: f64 = 65_025.0;

/// The mean squared error that each of `previews` layers may have. More than four repeat the last.
pub(super) fn wanted(previews: usize) -> impl Iterator<Item = f64> {
    let first = WANTED.len().saturating_sub(previews);
    let last = WANTED.last().copied().unwrap_or((0, 1.0));
    let all = WANTED.into_iter().skip(first);
    all.chain(std::iter::repeat(last))
        .take(previews)
        .map(|(_, ratio)| PEAK / ratio * MARGIN)
}

/// Squared errors of the bands of all strips by cut, as orthogonal transforms make them.
#[derive(Debug)]
pub(super) struct Estimate {
    /// For each coefficient in zigzag order the bands that hold it.
    coefficients: Vec<Measure>,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            coefficients: vec![Measure::default(); 64],
        }
    }
}

impl Estimate {
    /// Adds the bands of a strip; gives what was seen of each.
    pub(super) fn add(&mut self, strip: &Strip, bands: &[Vec<i32>]) -> Result<Vec<Survey>, Error> {
        let mut surveys = Vec::with_capacity(bands.len());
        let all = strip.layout.bands().iter().zip(bands.chunks(1));
        for ((band, values), k) in all.zip(strip.coefficients()) {
            let survey = Survey::new(values);
            if let Some(measure) = k.and_then(|k| self.coefficients.get_mut(k)) {
                let alone = Band {
                    references: Vec::new(),
                    tally: None,
                    ..band.clone()
                };
                measure.add(&Layout::new(vec![alone])?, &survey);
            }
            surveys.push(survey);
        }
        Ok(surveys)
    }

    fn error(&self, cut: Cut) -> f64 {
        let each = self.coefficients.iter().enumerate();
        each.map(|(k, measure)| measure.error(cut.of(k))).sum()
    }

    fn above_dc(&self, cut: Cut) -> f64 {
        let each = self.coefficients.iter().enumerate().skip(1);
        each.map(|(k, measure)| measure.error(cut.of(k))).sum()
    }

    /// The highest cut whose error is at most `error`.
    fn cut(&self, error: f64) -> Cut {
        let (mut low, mut high) = (LOWEST, HIGHEST);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.error(Cut(middle)) <= error {
                low = middle;
            } else {
                high = middle;
            }
        }
        Cut(low)
    }
}

/// The range of cuts: nothing is unknown, everything is.
const LOWEST: i32 = -1024 * 64;
const HIGHEST: i32 = 2048 * 64;
/// Times that a cut is corrected by what was measured there.
const CORRECTIONS: usize = 6;

/// For each preview the cut, and its PSNR as measured in the samples in hundredths of dB. `pixels` are those of the
/// picture.
pub(super) fn cuts(
    estimate: &Estimate,
    samples: &[Sample],
    pixels: f64,
    previews: usize,
) -> Vec<(Cut, u16)> {
    // The samples say how errors of coefficients turn into errors of colours; of the former the sums are known.
    let measured = |cut: Cut| {
        let all = samples.iter().map(|sample| sample.errors(cut));
        let sample = all.fold(Errors::default(), Errors::add);
        let coefficients = sample.coefficients / as_float(sample.pixels.max(1));
        let shown = sample.shown / as_float(sample.samples.max(1));
        let all = (estimate.above_dc(cut) + sample.dc) / pixels;
        if coefficients > 0.0 {
            shown / coefficients * all
        } else {
            all
        }
    };
    let mut cuts: Vec<(Cut, u16)> = Vec::new();
    // What the estimate says of an error of 1: the next preview is likely to be alike.
    let mut ratio = 1.0;
    for wanted in wanted(previews) {
        let mut asked = wanted * ratio;
        let mut best: Option<(Cut, f64)> = None;
        let mut last = None;
        for _ in 0..CORRECTIONS {
            let cut = estimate.cut(asked * pixels);
            if last.replace(cut) == Some(cut) {
                break;
            }
            let error = measured(cut);
            let better = match best {
                None => true,
                // The worst that is good enough; until there is one, the best.
                Some((_, known)) if known <= wanted => error <= wanted && error > known,
                Some((_, known)) => error < known,
            };
            if better {
                best = Some((cut, error));
            }
            if error <= wanted && error > wanted * 0.97 || error <= 0.0 {
                break;
            }
            let estimated = estimate.error(cut) / pixels;
            ratio = estimated / error;
            asked = wanted * ratio * 0.99;
            if error > wanted {
                asked = asked.min(estimated * 0.98);
            }
        }
        if let Some((cut, error)) = best {
            // A later preview is never worse.
            let (cut, quality) = match cuts.last() {
                Some((before, quality)) if *before <= cut => (*before, *quality),
                _ => (cut, psnr(error)),
            };
            cuts.push((cut, quality));
        }
    }
    cuts
}

#[expect(clippy::cast_precision_loss, reason = "a measurement")]
fn as_float(count: usize) -> f64 {
    count as f64
}

/// PSNR in hundredths of dB for a mean squared error; at most 99 dB.
///
/// Only multiplications and divisions, so that every machine has the same result.
pub(super) fn psnr(error: f64) -> u16 {
    const MOST: u16 = 9900;
    if error <= 0.0 {
        return MOST;
    }
    let mut ratio = PEAK / error;
    // log2 by halving and squaring, with twelve bits behind the point.
    let mut log = 0i32;
    while ratio >= 2.0 && log < 64 {
        ratio /= 2.0;
        log += 1;
    }
    if ratio < 1.0 {
        return 0;
    }
    for _ in 0..12 {
        ratio *= ratio;
        log *= 2;
        if ratio >= 2.0 {
            ratio /= 2.0;
            log += 1;
        }
    }
    // 1000 log10(2) = 301.03.
    let hundredths = i64::from(log) * 301_030 / (4096 * 1000);
    u16::try_from(hundredths).map_or(MOST, |hundredths| hundredths.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decibels() {
        for db in [0.5_f64, 3.0, 10.0, 22.0, 37.37, 60.0, 98.0] {
            let error = PEAK / 10f64.powf(db / 10.0);
            let there = f64::from(psnr(error)) / 100.0;
            assert!((there - db).abs() < 0.011, "{db} {there}");
        }
        assert_eq!(psnr(0.0), 9900);
        assert_eq!(psnr(1e9), 0);
        let wanted: Vec<u16> = wanted(4).map(psnr).collect();
        assert!(
            wanted
                .iter()
                .zip([22, 27, 33, 37])
                .all(|(a, b)| (b * 100..b * 100 + 12).contains(a))
        );
        assert_eq!(super::wanted(6).count(), 6);
    }
}
