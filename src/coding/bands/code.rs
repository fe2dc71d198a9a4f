//! The coder's two ends: bands to layers, layers to bands.

use super::layout::Layout;
use super::plan::Plan;
use super::recon::{Survey, Tail};
use super::visit::{Stop, Walk};
use super::{Error, Hints, LIMIT};
use crate::coding::rans;

/// Encodes the bands, row-major in the order of the layout, into one byte string per layer of the plan.
///
/// # Errors
/// [`Error::Layout`] when sizes do not fit the layout or a coefficient reaches [`LIMIT`].
pub fn encode(
    layout: &Layout,
    plan: &Plan,
    coefficients: &mut [Vec<i32>],
    hints: Option<&dyn Hints>,
) -> Result<Vec<Vec<u8>>, Error> {
    check_sizes(layout, coefficients)?;
    let survey = Survey::new(coefficients);
    let too_large = Error::Layout("a coefficient is too large");
    let mut greatest = survey.tails().iter().map(Tail::greatest);
    if greatest.any(|magnitude| magnitude >= LIMIT.unsigned_abs()) {
        return Err(too_large);
    }
    let mut walk = Walk::new(layout, hints);
    walk.survey = Some(survey);
    let mut coder = rans::Encoder::default();
    let mut layers = Vec::with_capacity(plan.layers());
    for layer in 0..plan.layers() {
        walk.begin_layer(layer);
        for (index, shift) in plan
            .shifts(layer + 1)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            // An encoder leaves the values alone and has no reason to stop.
            walk.visit(&mut coder, index, *shift, coefficients)
                .map_err(|_| too_large)?;
        }
        layers.push(coder.finish());
    }
    Ok(layers)
}

/// Decodes the first `layers.len()` layers of the plan: exact values from all of them, else values within the
/// interval that is known of each. Memory is 6 bytes per coefficient.
///
/// # Errors
/// [`Error::Damaged`] for bytes that the encoder did not write (most damage shows; it is no checksum),
/// [`Error::Layout`] for more layers than the plan has.
pub fn decode(
    layout: &Layout,
    plan: &Plan,
    layers: &[&[u8]],
    hints: Option<&dyn Hints>,
) -> Result<Vec<Vec<i32>>, Error> {
    if layers.len() > plan.layers() {
        return Err(Error::Layout("more layers than the plan has"));
    }
    let bands = layout.bands().iter();
    let mut values: Vec<Vec<i32>> = bands.map(|b| vec![0; b.width * b.height]).collect();
    let mut walk = Walk::new(layout, hints);
    for (layer, bytes) in layers.iter().enumerate() {
        let damaged = |what| Error::Damaged { layer, what };
        walk.begin_layer(layer);
        let mut coder = rans::Decoder::new(bytes);
        for (index, shift) in plan
            .shifts(layer + 1)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            walk.visit(&mut coder, index, *shift, &mut values)
                .map_err(|stop| match stop {
                    Stop::Short => damaged("it ends too early"),
                    Stop::Range => damaged("a value is out of range"),
                })?;
        }
        if !coder.is_done() {
            return Err(damaged("its end is not where the values end"));
        }
    }
    for (values, progress) in values.iter_mut().zip(&walk.progress) {
        if progress.shift > 0 {
            progress.centres.place_all(values, progress.shift);
        }
    }
    Ok(values)
}

fn check_sizes(layout: &Layout, coefficients: &[Vec<i32>]) -> Result<(), Error> {
    let sizes = layout.bands().iter().map(|b| b.width * b.height);
    if sizes.eq(coefficients.iter().map(Vec::len)) {
        Ok(())
    } else {
        Err(Error::Layout("bands have other sizes than the layout says"))
    }
}
