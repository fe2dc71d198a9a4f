//! The quality of previews: wanted, estimated, measured.

use crate::codec::{coarse, psnr};
use crate::coding::bands::{Band, Error, Layout, Measure, Survey};
use crate::media::jpeg::{Block, Jpeg, colour_weights};

use super::sample::{Errors, Sample};
use super::strip::Strip;
use super::ways::Cut;

/// What is asked for, so that the wanted is there in spite of measuring samples only.
const MARGIN: f64 = 0.98;
/// The largest difference of two samples.
const PEAK: f64 = 255.0;

/// Pixels of the longer side of a picture of which a coarse view shows nearly all.
const SMALL: u16 = 80;

/// The mean squared error that each of `previews` layers may have. `coarse`: that of a coarse view.
fn wanted(previews: usize, coarse: Option<f64>) -> impl Iterator<Item = f64> {
    let coarse = coarse.filter(|error| *error > 0.0);
    let coarse = coarse.map(|error| PEAK * PEAK / error);
    let targets = psnr::targets(previews, coarse).into_iter();
    targets.map(|ratio| psnr::error(PEAK, MARGIN, ratio))
}

/// The mean squared error of a coarse view of a picture of so many pixels; `None` where it is hardly larger.
///
/// The view is taken of the means of blocks, which is 0.1 to 0.7 dB too good as long as what it may show of the two
/// lowest frequencies is taken for all of them.
pub(super) fn coarse(jpeg: &Jpeg, estimate: &Estimate, pixels: f64) -> Option<f64> {
    if jpeg.frame.width.max(jpeg.frame.height) < 2 * SMALL {
        return None;
    }
    let each = estimate.coefficients.iter().skip(3);
    let above: f64 = each.map(|measure| measure.error(i16::MAX)).sum();
    let mut error = above / pixels;
    let weights = colour_weights(&jpeg.frame);
    let components = jpeg.planes.iter().zip(&jpeg.frame.components);
    for ((blocks, component), weight) in components.zip(weights) {
        let step = component
            .quantiser
            .first()
            .map_or(1, |step| i32::from(*step));
        // An eighth of DC is the mean of a block, from -128 to 127; here in 256ths from 0.
        let mean = |block: &Block| {
            let dc = block.first().map_or(0, |dc| i32::from(*dc));
            u16::try_from((dc * step * 32 + (128 << 8)).clamp(0, 0xffff)).unwrap_or(0)
        };
        let means: Vec<u16> = blocks.iter().map(mean).collect();
        // No larger than a view, the means are one.
        let view = coarse::error(&means, component.stride, component.rows).unwrap_or(0.0);
        let count = as_float(means.len()) * 65_536.0;
        error += view / count * f64::from(weight) / 1024.0;
    }
    Some(error)
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
/// picture, `coarse` the mean squared error of a coarse view of it.
pub(super) fn cuts(
    estimate: &Estimate,
    samples: &[Sample],
    pixels: f64,
    previews: usize,
    coarse: Option<f64>,
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
    for wanted in wanted(previews, coarse) {
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
                _ => (cut, decibels(error)),
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
fn decibels(error: f64) -> u16 {
    psnr::centi_db(PEAK, 1.0, error).min(9900)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_pictures_are_to_be_shown_better() {
        let wanted = |coarse| wanted(4, coarse).map(decibels).collect::<Vec<_>>();
        let near = |all: &[u16], dbs: [u16; 4]| {
            let pairs = all.iter().zip(dbs);
            assert!(
                pairs.clone().all(|(a, b)| (b..b + 12).contains(a)),
                "{all:?}"
            );
        };
        near(&wanted(None), [2200, 2700, 3300, 3700]);
        // 20 dB and 30 dB.
        near(&wanted(Some(650.25)), [2200, 2700, 3300, 3700]);
        near(&wanted(Some(65.025)), [3090, 3249, 3505, 3726]);
        near(&wanted(Some(0.0)), [2200, 2700, 3300, 3700]);
        near(&wanted(Some(0.01)), [4600; 4]);
        assert_eq!(super::wanted(6, None).count(), 6);
    }
}
