//! The layered coder: bands of integers, from the most significant planes down to exact.
//!
//! **Terms.** A *band* is a rectangle of signed integers: a sub-band of a wavelet, one frequency of all 8x8 blocks of a
//! JPEG component, a range of frequencies of a sound. A coefficient `c` is known at *shift* `s` when its sign and
//! `|c| >> s` are; at shift [`UNKNOWN`] nothing is known. A *layer* takes every band from its old shift to a new,
//! lower or equal one, all planes between in one *visit* of each coefficient; bands that keep their shift are not
//! visited. After the last layer every shift is 0. The [`Plan`] says which shifts; it comes from one cut in the order
//! of significance per layer, so that a caller stores 2 bytes per layer.
//!
//! **A layer** is one stream of 16-bit words: bands in the order of the layout, for each visit a header (empty?,
//! reconstruction points, weights, flags for groups of zeros?) and then its coefficients row by row. What was coded
//! before serves as context, within the layer and from the layers before; models go on adapting from layer to layer.
//! A layer can be read only after all layers before it, and a layer without news is an empty byte string.
//!
//! **Contexts.** A symbol is the signed value of a coefficient that was 0, or up to four planes of one that was not. It is
//! coded with a mean of two adaptive tables. For each coefficient two sums are made over neighbours in the band, up
//! to eight places of other bands ([`Reference`]) and the caller's prediction ([`Hints`]): the expected magnitude and
//! the predicted value. Their weights are fitted by the encoder for each visit and sent. The sign of a symbol is turned
//! so that the predicted one is plus. The first table is chosen by the expected magnitude and by its ratio to the
//! predicted value, the second by the two nearest magnitudes and by the predicted value or the number of non-zeros
//! at this place ([`Band::tally`]). Models begin as a formula or as trained ones ([`Prior`]).
//!
//! **Use.** Build a [`Layout`], make a [`Plan`] with [`Plan::from_cuts`] (or by hand), then [`encode`]; [`decode`] takes
//! any number of the first layers. [`Measure`] finds cuts for wanted distortions, [`Survey::reconstruct`] shows what
//! they give.
//!
//! ```text
//! let layout = Layout::new(bands)?;                             // the same on both sides
//! let plan = Plan::from_cuts(&layout, &cuts);                   // cuts: one per lossy layer, falling
//! let layers = encode(&layout, &plan, &mut coefficients, None)?;     // a byte string per layer
//! let coefficients = decode(&layout, &plan, &layers[..3], None)?;    // exact from all of them
//! ```
//!
//! Classes are for bands whose magnitudes behave differently at the same expectation; two (luma and chroma) serve a
//! picture best, more only dilute. Order bands from coarse to fine and let references point to what is known then.

mod code;
mod context;
mod fit;
mod grid;
mod layout;
mod plan;
mod prior;
mod recon;
mod rows;
mod sums;
mod visit;

pub use code::{decode, encode};
pub use grid::Known;
pub use layout::{Band, Layout, Reference};
pub use plan::{Measure, Plan, log2_64, shifts_at};
pub use prior::Prior;
pub use recon::Survey;
pub use sums::sum_of_four;

/// The shift of a band of which nothing is known.
pub const UNKNOWN: u8 = 31;
/// Coefficients lie strictly between `-LIMIT` and `LIMIT`.
pub const LIMIT: i32 = 1 << 28;
/// The most classes that bands may have; each takes 44 KiB of models.
pub const MAX_CLASSES: usize = 64;
/// The most layers of a plan.
pub const MAX_LAYERS: usize = 16;

/// Why bands could not be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Layout, plan or coefficients do not fit together: a fault of the caller, or of the header it read.
    #[error("bands do not fit together: {0}")]
    Layout(&'static str),
    /// A layer is not what the encoder wrote.
    #[error("layer {layer} of the bands is damaged: {what}")]
    Damaged {
        /// Number of the layer.
        layer: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Predicts coefficients from what is known of all bands, so that their signs cost less.
pub trait Hints {
    /// Whether coefficients of `band` are predicted at all.
    fn predicts(&self, band: usize) -> bool;

    /// Predicts the values of `band` in units of 1/16 of a coefficient into `plane`, which comes zeroed, row-major in
    /// the band's size. Called once before each visit of the band; bands of lower index are then known at the new
    /// shift, the band itself and those after it at the old one. The encoder fits a weight to the prediction beside
    /// those of the neighbours, so that proportion is enough. Must be a pure function of its arguments.
    fn predict(&self, known: &Known<'_>, band: usize, plane: &mut [i16]);
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod training;
