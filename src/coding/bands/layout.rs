//! Bands, their sizes, classes and references: what both sides agree on beforehand.

use super::context::Models;
use super::prior::Prior;
use super::{Error, MAX_CLASSES};

/// Another band whose magnitudes help to expect those of a band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// Index of the band in the layout. Bands of lower index are already known at the new shift, others at the old.
    pub band: usize,
    /// Scale in x: column `x` looks at `x >> 1` for 1 (parents), `x` for 0, `2 * x` for -1 (finer samples).
    pub shift_x: i8,
    /// Scale in y, likewise.
    pub shift_y: i8,
    /// Columns to the right of that place, -8 to 8.
    pub right: i8,
    /// Rows below that place, -2 to 1.
    pub down: i8,
}

impl Reference {
    /// The same place in a band of the same size.
    #[must_use]
    pub fn same(band: usize) -> Self {
        Self {
            band,
            shift_x: 0,
            shift_y: 0,
            right: 0,
            down: 0,
        }
    }

    /// The place in a band of half the size.
    #[must_use]
    pub fn parent(band: usize) -> Self {
        Self {
            band,
            shift_x: 1,
            shift_y: 1,
            right: 0,
            down: 0,
        }
    }

    /// The same, some columns to the right and rows below.
    #[must_use]
    pub fn moved(self, right: i8, down: i8) -> Self {
        Self {
            right,
            down,
            ..self
        }
    }
}

/// A band.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Band {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bands of one class share their models; below [`MAX_CLASSES`]. Use low numbers without gaps.
    pub class: u8,
    /// Significance of one unit: 64 * log2 of (L2 norm of its synthesis x weight of its colour x quantiser step).
    pub weight: i16,
    /// Up to eight references, the most telling ones first.
    pub references: Vec<Reference>,
    /// A plane of counters, of the band's size, shared by bands: each counts the coefficients of these bands that are
    /// known not to be zero at its place. Takes the place of the predicted value in the second context.
    pub tally: Option<usize>,
}

/// All bands of one segment, in the order of coding.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    bands: Vec<Band>,
    tallies: Vec<(usize, usize)>,
    prior: Option<&'static Prior>,
}

/// The most references of a band.
pub(super) const MAX_REFERENCES: usize = 8;
/// The most columns or rows of a band.
const MAX_SIDE: usize = 1 << 24;

impl Layout {
    /// Checks bands.
    ///
    /// # Errors
    /// [`Error::Layout`] for more than eight references or one out of range, a class too high, a side beyond 2^24,
    /// or two bands of different size with one tally.
    pub fn new(bands: Vec<Band>) -> Result<Self, Error> {
        let mut tallies = Vec::new();
        for band in &bands {
            if band.width.max(band.height) > MAX_SIDE {
                return Err(Error::Layout("a band is too large"));
            }
            if usize::from(band.class) >= MAX_CLASSES {
                return Err(Error::Layout("a class is too high"));
            }
            let known = |r: &Reference| {
                r.band < bands.len()
                    && (-1..=1).contains(&r.shift_x)
                    && (-1..=1).contains(&r.shift_y)
                    && (-8..=8).contains(&r.right)
                    && (-2..=1).contains(&r.down)
            };
            if band.references.len() > MAX_REFERENCES || !band.references.iter().all(known) {
                return Err(Error::Layout("a reference leads nowhere"));
            }
            let Some(tally) = band.tally else { continue };
            if tally >= bands.len() {
                return Err(Error::Layout("a tally is too high"));
            }
            if tallies.len() <= tally {
                tallies.resize(tally + 1, (0, 0));
            }
            match tallies.get_mut(tally) {
                Some(size) if *size == (0, 0) => *size = (band.width, band.height),
                Some(size) if *size == (band.width, band.height) => {}
                _ => return Err(Error::Layout("bands of one tally differ in size")),
            }
        }
        Ok(Self {
            bands,
            tallies,
            prior: None,
        })
    }

    /// The same bands, whose models begin as trained ones.
    #[must_use]
    pub fn with_prior(self, prior: &'static Prior) -> Self {
        let prior = Some(prior);
        Self { prior, ..self }
    }

    /// The bands, in the order of coding.
    #[must_use]
    pub fn bands(&self) -> &[Band] {
        &self.bands
    }

    /// Coefficients of all bands together.
    #[must_use]
    pub fn coefficients(&self) -> usize {
        let sizes = self.bands.iter().map(|b| b.width.saturating_mul(b.height));
        sizes.fold(0, usize::saturating_add)
    }

    pub(super) fn tallies(&self) -> &[(usize, usize)] {
        &self.tallies
    }

    /// The models of each class to begin with.
    pub(super) fn models(&self) -> Vec<Models> {
        let classes = self.bands.iter().map(|b| usize::from(b.class) + 1);
        let models = |class| self.prior.map_or_else(Models::default, |p| p.class(class));
        (0..classes.max().unwrap_or(0)).map(models).collect()
    }
}
