//! The bands of a group.

use std::sync::LazyLock;

use super::head::Step;
use super::schedule::{Turn, influence};
use super::{Error, Shape};
use crate::coding::bands::{Band, Layout, Prior, Reference};
use crate::coding::wavelet::{self, Kind, Part};

/// What the models begin with: luma, chroma and opacity of still frames, then of moved ones.
static PRIOR: LazyLock<Prior> = LazyLock::new(|| {
    let photographs = include_bytes!("../../image/pixels/photographs.prior").as_slice();
    Prior::new(&[photographs, photographs].concat())
});

/// The bands of a plane of a still or a moved frame.
pub(super) fn parts(shape: &Shape, plane: usize, moved: bool) -> Vec<Part> {
    let Some(size) = shape.planes.get(plane) else {
        return Vec::new();
    };
    let levels = if moved {
        0
    } else {
        wavelet::levels(size.width, size.height)
    };
    wavelet::parts(size.width, size.height, levels)
}

/// Bands of all steps, those of a frame plane by plane.
pub(super) fn layout(shape: &Shape, steps: &[Step]) -> Result<Layout, Error> {
    let turns = steps.iter().map(|step| Turn {
        frame: step.turn.frame,
        references: step.references(),
    });
    let influence = influence(turns);
    let mut bands: Vec<Band> = Vec::new();
    // Where the bands of the moved frames begin.
    let mut starts = vec![None; steps.len()];
    for (number, step) in (0_i16..).zip(steps) {
        let moved = step.motion.is_some();
        if let Some(start) = starts.get_mut(step.turn.frame).filter(|_| moved) {
            *start = Some(bands.len());
        }
        let weight = influence.get(step.turn.frame).copied().unwrap_or(0);
        let mut luma: Vec<Part> = Vec::new();
        let first = bands.len();
        for plane in 0..shape.planes.len() {
            let start = bands.len();
            let parts = parts(shape, plane, moved);
            for (i, part) in parts.iter().enumerate() {
                let mut references = within(bands.len(), i, *part);
                if plane > 1 {
                    references.push(Reference::same(start - parts.len() + i));
                }
                // Luma of the same size: of the next coarser level where chroma is subsampled.
                let alike = luma
                    .iter()
                    .position(|l| l.kind == part.kind && l.size == part.size);
                references.extend(alike.map(|alike| Reference::same(first + alike)));
                let others = step.references().into_iter().flatten();
                let others = others.filter_map(|frame| *starts.get(frame)?);
                if moved {
                    references.extend(others.map(|other| Reference::same(other + plane)));
                }
                let kind = match plane {
                    0 => 0,
                    3 => 2,
                    _ => 1,
                };
                // Bands of one weight would fall on one side of every cut together.
                let tie = i16::from(part.kind == Kind::Vertical) + number % 8 * 3 + kind;
                bands.push(Band {
                    width: part.size.0,
                    height: part.size.1,
                    class: u8::try_from(kind).unwrap_or(0) + if moved { 3 } else { 0 },
                    weight: part.norm + weight + tie,
                    references,
                    tally: None,
                });
            }
            if plane == 0 {
                luma = parts;
            }
        }
    }
    Ok(Layout::new(bands)?.with_prior(&PRIOR))
}

/// References of the band at `at`, number `i` of its plane, to those before it: other orientations around the place of
/// a detail, as far as they are known, and the parent.
fn within(at: usize, i: usize, part: Part) -> Vec<Reference> {
    let places: &[(usize, i8, i8)] = match part.kind {
        Kind::Mean | Kind::Horizontal => &[],
        Kind::Vertical => &[(1, 0, 0), (1, -1, 0), (1, 0, 1), (1, -1, 1)],
        Kind::Diagonal => &[(1, 0, 0), (2, 0, 0), (1, 1, 0), (2, 0, 1)],
    };
    let places = places.iter();
    let mut references: Vec<Reference> = places
        .map(|(back, right, down)| Reference::same(at - back).moved(*right, *down))
        .collect();
    if i > 3 {
        references.push(Reference::parent(at - 3));
    }
    references
}
