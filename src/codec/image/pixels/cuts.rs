//! Where to cut the order of significance: for the quality wanted, or the bytes allowed.

use super::Error;
use super::header::Header;
use super::tiles::Source;
use super::wave::Curvature;
use crate::codec::psnr;
use crate::coding::bands::{self, Layout, Measure, Plan, Survey, shifts_at};

/// Tiles that are reconstructed to find the cuts; all of them in most pictures.
const SAMPLED: usize = 4;
/// Tries for each cut by quality and by size.
const TRIES: usize = 5;
const TRIES_BY_SIZE: usize = 5;
/// Cuts that a search by size stays between; at the highest one nothing is known of samples of 16 bits.
const LOWEST: i16 = -1024;
const HIGHEST: i16 = 64 * 28;

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

/// What is measured to find cuts: all tiles by their bands, some of them whole.
pub(super) struct Search<'a> {
    source: &'a Source<'a>,
    header: &'a Header,
    whole: Measure,
    part: Measure,
    samples: Vec<Sample>,
}

impl<'a> Search<'a> {
    /// Measures the tiles of a picture.
    pub(super) fn new(source: &'a Source<'a>, header: &'a Header) -> Self {
        let tiles = header.grid(0).tiles();
        let mut search = Self {
            source,
            header,
            whole: Measure::default(),
            part: Measure::default(),
            samples: Vec::new(),
        };
        let step = tiles.div_ceil(SAMPLED);
        for index in 0..tiles {
            let wave = header.wave(header.grid(0).tile(index));
            let Ok(layout) = wave.layout() else {
                continue;
            };
            let coefficients = wave.forward(source.tile(header, index));
            let survey = Survey::new(&coefficients);
            search.whole.add(&layout, &survey);
            if index % step == step / 2 {
                search.part.add(&layout, &survey);
                search.samples.push(Sample {
                    index,
                    layout,
                    survey,
                    coefficients,
                });
            }
        }
        search
    }

    /// The highest cut for each preview that reaches its PSNR.
    ///
    /// Significance by norms foretells the error up to 15 %: the reconstruction of some tiles says by how much it
    /// misses.
    pub(super) fn by_quality(&self, previews: usize) -> Cuts {
        let header = self.header;
        let peak = f64::from(header.max);
        let count = self.source.colour_samples();
        let mut found = Cuts {
            cuts: Vec::new(),
            errors: (self.samples.len() == header.grid(0).tiles()).then(Vec::new),
        };
        // What is measured over what is foretold; errors of a previous preview are alike.
        let mut ratio = 1.1;
        let coarse = self.source.coarse_error();
        let coarse = coarse.filter(|error| *error > 0.0);
        let coarse = coarse.map(|error| peak * peak * count / error);
        for wanted in psnr::targets(previews, coarse) {
            let wanted = psnr::error(peak, count, wanted);
            let mut best: Option<(i16, f64)> = None;
            let mut aim = wanted;
            for _ in 0..TRIES {
                let cut = self.whole.cut(aim / ratio);
                if best.is_some_and(|(best, _)| cut <= best) {
                    break;
                }
                let real = self.error(cut);
                let foretold = self.part.error(cut);
                if foretold > 0.0 && real > 0.0 {
                    ratio = real / foretold;
                }
                let error = self.whole.error(cut) * ratio;
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

    /// The squared error of the sampled tiles at a cut.
    fn error(&self, cut: i16) -> f64 {
        let mut error = 0.0;
        for sample in &self.samples {
            let wave = self.header.wave(self.header.grid(0).tile(sample.index));
            let shifts = shifts_at(&sample.layout, cut);
            let bands = sample.survey.reconstruct(&shifts, &sample.coefficients);
            let decoded = wave.inverse(bands);
            error += self.source.error(self.header, sample.index, &decoded);
        }
        error
    }

    /// Raises cuts, with which layers have `sizes`, until each takes no more than `bytes` and what those before left.
    ///
    /// Bytes are those of the sampled tiles, as many times as there are tiles for each of them.
    ///
    /// # Errors
    /// Those of [`bands::encode`].
    pub(super) fn within(
        &mut self,
        cuts: &[i16],
        sizes: &[usize],
        bytes: &[usize],
    ) -> Result<Vec<i16>, Error> {
        let mut found: Vec<i16> = Vec::new();
        let (mut left, mut size) = (0, 0_usize);
        for ((&wanted, &whole), &most) in cuts.iter().zip(sizes).zip(bytes) {
            let most = most + left;
            let highest = found.last().copied().unwrap_or(HIGHEST);
            let mut low = wanted.clamp(LOWEST, highest);
            // What earlier layers do not hold comes here.
            size += whole;
            if size <= most {
                found.push(low);
                left = most - size;
                size = 0;
                continue;
            }
            let mut high = highest;
            let mut below = None;
            let mut above = size;
            for _ in 0..TRIES_BY_SIZE {
                if high - low <= 4 || below.is_some_and(|below| below * 8 > most * 7) {
                    break;
                }
                // Bytes double with every 52 or so, more steeply where many bands have the same weight.
                let log = |size: usize| {
                    let size = u32::try_from(size).unwrap_or(u32::MAX);
                    i32::from(bands::log2_64(size.max(1)))
                };
                let span = i32::from(high - low);
                let fall = match below {
                    Some(below) => (log(above) - log(below)).max(1),
                    None => span * 64 / 52,
                };
                let step = span * (log(above) - log(most) + 4) / fall.max(1);
                let step = step.clamp(span / 8 + 1, span - span / 8 - 1);
                let cut = low.saturating_add(i16::try_from(step).unwrap_or(1));
                let now = self.size(&found, cut)?;
                if now <= most {
                    (high, below) = (cut, Some(now));
                } else {
                    (low, above) = (cut, now);
                }
            }
            // What a preview leaves is for the next one.
            left = most - below.unwrap_or(0);
            size = size.saturating_sub(below.unwrap_or(0));
            found.push(high);
        }
        Ok(found)
    }

    /// Bytes of the layer that a cut makes after others.
    fn size(&mut self, before: &[i16], cut: i16) -> Result<usize, Error> {
        let cuts = [before, &[cut]].concat();
        let mut size = 0;
        for sample in &mut self.samples {
            let wave = self.header.wave(self.header.grid(0).tile(sample.index));
            let plan = Plan::from_cuts(&sample.layout, &cuts).first(cuts.len());
            let curvature = Curvature::new(&wave);
            let layers = bands::encode(
                &sample.layout,
                &plan,
                &mut sample.coefficients,
                Some(&curvature),
            )?;
            size += layers.last().map_or(0, Vec::len);
        }
        Ok(size * self.header.grid(0).tiles() / self.samples.len().max(1))
    }
}
