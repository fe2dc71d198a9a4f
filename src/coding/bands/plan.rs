//! Plans: which shift each band has after each layer, from cuts in the order of significance.

use super::layout::Layout;
use super::recon::Survey;
use super::{Error, MAX_LAYERS, UNKNOWN};

/// The highest shift of a band that is known at all.
const MAX_SHIFT: u8 = 27;

/// 64 * log2 of `value`, rounded down; 0 for 0. The same on every machine.
#[must_use]
pub fn log2_64(value: u32) -> i16 {
    let Some(whole) = value.checked_ilog2() else {
        return 0;
    };
    // The mantissa in [2^31, 2^32): each squaring yields the next bit of the logarithm.
    let mut mantissa = u64::from(value) << (31 - whole);
    let mut log = whole;
    for _ in 0..6 {
        mantissa = (mantissa * mantissa) >> 31;
        let bit = u32::from(mantissa >= 1 << 32);
        mantissa >>= bit;
        log = log << 1 | bit;
    }
    i16::try_from(log).unwrap_or(i16::MAX)
}

/// For each layer and band the shift after that layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    shifts: Vec<Vec<u8>>,
}

impl Plan {
    /// The shifts after each layer, `shifts[layer][band]`: 0 to 27 or [`UNKNOWN`], never rising from layer to layer.
    ///
    /// # Errors
    /// [`Error::Layout`] when they are not that, or for no layers or more than [`MAX_LAYERS`].
    pub fn new(layout: &Layout, shifts: Vec<Vec<u8>>) -> Result<Self, Error> {
        if shifts.is_empty() || shifts.len() > MAX_LAYERS {
            return Err(Error::Layout("too few or too many layers"));
        }
        let mut before = &vec![UNKNOWN; layout.bands().len()];
        for now in &shifts {
            let fits =
                |(now, before): (&u8, &u8)| now <= before && (*now <= MAX_SHIFT || *now == UNKNOWN);
            if now.len() != before.len() || !now.iter().zip(before).all(fits) {
                return Err(Error::Layout("shifts out of range"));
            }
            before = now;
        }
        Ok(Self { shifts })
    }

    /// One layer per cut and an exact one. A cut takes all planes whose significance reaches it: that of plane p of a
    /// band is its weight + 64 p. Cuts that rise count as the one before; those beyond [`MAX_LAYERS`] - 1 are dropped.
    #[must_use]
    pub fn from_cuts(layout: &Layout, cuts: &[i16]) -> Self {
        let mut lowest = i16::MAX;
        let cuts = cuts.iter().take(MAX_LAYERS - 1).map(|cut| {
            lowest = lowest.min(*cut);
            lowest
        });
        let mut shifts: Vec<Vec<u8>> = cuts.map(|cut| shifts_at(layout, cut)).collect();
        shifts.push(vec![0; layout.bands().len()]);
        Self { shifts }
    }

    /// Its first layers alone.
    #[must_use]
    pub fn first(mut self, layers: usize) -> Self {
        self.shifts.truncate(layers);
        self
    }

    /// Number of layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.shifts.len()
    }

    /// The shift of each band after `layers` layers, at least one.
    #[must_use]
    pub fn shifts(&self, layers: usize) -> Option<&[u8]> {
        Some(self.shifts.get(layers.checked_sub(1)?)?.as_slice())
    }
}

/// The shift of each band after a cut.
#[must_use]
pub fn shifts_at(layout: &Layout, cut: i16) -> Vec<u8> {
    let shift = |weight: i16| shift_at(weight, cut);
    layout.bands().iter().map(|b| shift(b.weight)).collect()
}

fn shift_at(weight: i16, cut: i16) -> u8 {
    let planes = (i32::from(cut) - i32::from(weight) + 63).div_euclid(64);
    match u8::try_from(planes.max(0)) {
        Ok(shift) if shift <= MAX_SHIFT => shift,
        _ => UNKNOWN,
    }
}

/// Squared errors of bands by shift, in one pass over their coefficients: for finding cuts.
///
/// The sum over bands, each times its synthesis norm, is what orthogonal bases would give; wavelets and colour
/// transforms miss by up to 15 %. Measure the reconstruction at the cut found and ask again with a corrected target.
#[derive(Debug, Clone, Default)]
pub struct Measure {
    /// Weight and squared error by shift of each band, the last one for all zeros.
    bands: Vec<(i16, Vec<f64>)>,
}

impl Measure {
    /// Adds the bands of a layout; several segments may go into one measure.
    pub fn add(&mut self, layout: &Layout, survey: &Survey) {
        for (band, tail) in layout.bands().iter().zip(survey.tails()) {
            let scale = squared_norm(band.weight);
            let errors = (0..).map_while(|shift| tail.error(shift).map(|e| e * scale));
            self.bands.push((band.weight, errors.collect()));
        }
    }

    /// The estimated squared error at a cut, summed over all samples.
    #[must_use]
    pub fn error(&self, cut: i16) -> f64 {
        let error = |(weight, errors): &(i16, Vec<f64>)| {
            let shift = usize::from(shift_at(*weight, cut));
            errors.get(shift).or(errors.last()).copied().unwrap_or(0.0)
        };
        self.bands.iter().map(error).sum()
    }

    /// The highest cut whose estimated error is at most `error`.
    #[must_use]
    pub fn cut(&self, error: f64) -> i16 {
        let (mut low, mut high) = (-2048_i16, 4096_i16);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.error(middle) <= error {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// 2^(weight / 32), by multiplications and square roots only: the same on every machine.
fn squared_norm(weight: i16) -> f64 {
    let whole = weight.div_euclid(32);
    let mut norm = 1.0;
    let base = if whole < 0 { 0.5 } else { 2.0 };
    for _ in 0..whole.unsigned_abs() {
        norm *= base;
    }
    let mut root = 2.0_f64;
    for bit in [16, 8, 4, 2, 1] {
        root = root.sqrt();
        if weight.rem_euclid(32) & bit != 0 {
            norm *= root;
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms() {
        for value in [1, 2, 3, 5, 255, 256, 1000, 65_535, 1 << 31, u32::MAX] {
            let log = f64::from(log2_64(value)) / 64.0;
            let exact = f64::from(value).log2();
            assert!(log <= exact + 1e-9 && exact < log + 0.017, "{value} {log}");
        }
    }

    #[test]
    fn norms() {
        for weight in [-700, -33, -1, 0, 1, 31, 32, 64, 1000] {
            let exact = 2_f64.powf(f64::from(weight) / 32.0);
            let ratio = squared_norm(weight) / exact;
            assert!((ratio - 1.0).abs() < 1e-9, "{weight} {ratio}");
        }
    }

    #[test]
    fn cuts_take_planes_in_order_of_significance() {
        assert_eq!(shift_at(0, 64), 1);
        assert_eq!(shift_at(0, 65), 2);
        assert_eq!(shift_at(64, 65), 1);
        assert_eq!(shift_at(64, 64), 0);
        assert_eq!(shift_at(-64, 64), 2);
        assert_eq!(shift_at(500, -500), 0);
        assert_eq!(shift_at(0, 64 * 28), UNKNOWN);
    }
}
