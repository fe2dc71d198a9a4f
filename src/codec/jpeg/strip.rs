//! Strips: some rows of MCUs of all components, as bands of the layered coder.
//!
//! Each of the 63 AC coefficients of a component is a band with one sample per block: first those inside of the block
//! in zigzag order, then those of the first row and column, which are predicted from them ([`super::hints`]). DC is a
//! plane of its own, which goes through the 5/3 wavelet for the previews. For the exact layer it may be cheaper to
//! forget what the wavelet's planes still lack and to code the difference to a prediction that knows all of AC
//! ([`super::dc`]): the *rest*, one more band.

use std::ops::Range;
use std::sync::LazyLock;

use crate::coding::bands::{Band, Error, Layout, Plan, Prior, Reference, Survey, UNKNOWN};
use crate::coding::bands::{log2_64, shifts_at};
use crate::coding::wavelet::{self, Kind};
use crate::media::jpeg::{Component, Frame, Plane, ZIGZAG, colour_weights};

use super::dc::Predictor;
use super::hints::Edges;
use super::turn;
use super::ways::{Cut, Dc};

/// One component of a strip.
#[derive(Debug, Clone)]
struct Part {
    /// Blocks in a row.
    width: usize,
    /// Rows of blocks: where they are in the component's grid.
    rows: Range<usize>,
    /// Levels of the wavelet of DC.
    levels: usize,
    /// Bands of the wavelet; none for [`Dc::Rest`].
    wavelet: Range<usize>,
    /// Band of the rest; none for [`Dc::Wavelet`].
    rest: Option<usize>,
    /// Band of each coefficient in zigzag order; the first is not used.
    ac: [usize; 64],
    component: Component,
}

/// How the coefficients of a strip become bands.
#[derive(Debug)]
pub(super) struct Strip {
    parts: Vec<Part>,
    /// The bands.
    pub(super) layout: Layout,
    /// Predictions of bands.
    pub(super) edges: Edges,
}

/// What the models begin with; see `training.rs`.
static PHOTOGRAPHS: LazyLock<Prior> =
    LazyLock::new(|| Prior::new(include_bytes!("photographs.prior")));

/// No band.
const NONE: usize = usize::MAX;
/// Classes of bands: coefficients inside of a block, those of its first row and column, the wavelet of DC, the rest of
/// DC; for chroma the same once more.
const INSIDE: u8 = 0;
const EDGE: u8 = 1;
const WAVELET: u8 = 2;
const REST: u8 = 3;
const CHROMA: u8 = 4;

impl Strip {
    /// The strip of MCU rows `mcus` of a frame; `dc` says how DC of each component is coded.
    pub(super) fn new(frame: &Frame, mcus: &Range<usize>, dc: &[Dc]) -> Result<Self, Error> {
        let weights = weights(frame);
        let mut bands: Vec<Band> = Vec::new();
        let mut parts: Vec<Part> = Vec::new();
        for (index, component) in frame.components.iter().enumerate() {
            let v = usize::from(component.v);
            let rows = mcus.start * v..(mcus.end * v).min(component.rows);
            let own = Part {
                width: component.stride,
                levels: wavelet::levels(component.stride, rows.len()),
                rows,
                wavelet: 0..0,
                rest: None,
                ac: [NONE; 64],
                component: component.clone(),
            };
            let mut adding = Adding {
                bands: &mut bands,
                own,
                other: match index {
                    1 => parts.first(),
                    2 => parts.get(1),
                    _ => None,
                },
                index,
                weight: weights.get(index).copied().unwrap_or(0),
            };
            let dc = dc.get(index).copied().unwrap_or(Dc::Wavelet);
            // DC comes last, because it is predicted from the others.
            adding.ac();
            if dc != Dc::Rest {
                adding.wavelet();
            }
            if dc != Dc::Wavelet {
                adding.rest();
            }
            let own = adding.own;
            parts.push(own);
        }
        let mut edges = Edges::default();
        for part in &parts {
            let finest = match part.wavelet.end {
                end if part.levels > 0 && !part.wavelet.is_empty() => {
                    Some([end - 3, end - 2, end - 1])
                }
                _ => None,
            };
            edges.add(&part.component, part.rows.len(), &part.ac, finest);
        }
        let layout = Layout::new(bands)?.with_prior(&PHOTOGRAPHS);
        Ok(Self {
            parts,
            layout,
            edges,
        })
    }

    /// The shift of each band at a cut.
    pub(super) fn shifts(&self, cut: Cut) -> Vec<u8> {
        let (cut, upto) = cut.parts();
        let mut shifts = shifts_at(&self.layout, cut);
        let above = shifts_at(&self.layout, cut.saturating_add(1));
        let mut set = |band: usize, shift: u8| {
            if let Some(entry) = shifts.get_mut(band) {
                *entry = shift;
            }
        };
        for part in &self.parts {
            for band in part.ac.iter().skip(upto + 1) {
                set(*band, above.get(*band).copied().unwrap_or(UNKNOWN));
            }
            if let Some(rest) = part.rest {
                set(rest, UNKNOWN);
            }
        }
        shifts
    }

    /// The coefficient (in zigzag order) that each band holds; 0 for the wavelet's, none for rests.
    pub(super) fn coefficients(&self) -> Vec<Option<usize>> {
        let mut all = vec![None; self.layout.bands().len()];
        for part in &self.parts {
            let ac = part.ac.iter().enumerate().skip(1);
            let wavelet = part.wavelet.clone().map(|band| (0, band));
            for (k, band) in ac.map(|(k, band)| (k, *band)).chain(wavelet) {
                if let Some(entry) = all.get_mut(band) {
                    *entry = Some(k);
                }
            }
        }
        all
    }

    /// The plan with a preview for each cut and an exact layer.
    pub(super) fn plan(&self, cuts: &[Cut]) -> Result<Plan, Error> {
        let mut shifts: Vec<Vec<u8>> = Vec::with_capacity(cuts.len() + 1);
        for cut in cuts {
            let mut now = self.shifts(*cut);
            if let Some(before) = shifts.last() {
                for (now, before) in now.iter_mut().zip(before) {
                    *now = (*now).min(*before);
                }
            }
            shifts.push(now);
        }
        let mut exact = vec![0; self.layout.bands().len()];
        if let Some(last) = shifts.last() {
            for part in self.parts.iter().filter(|part| part.rest.is_some()) {
                let range = part.wavelet.clone();
                if let (Some(to), Some(from)) = (exact.get_mut(range.clone()), last.get(range)) {
                    to.copy_from_slice(from);
                }
            }
        }
        shifts.push(exact);
        Plan::new(&self.layout, shifts)
    }

    /// The bands of the strip; those of rests are all zeros.
    pub(super) fn split(&self, planes: &[Plane]) -> Vec<Vec<i32>> {
        let bands = self.layout.bands().iter();
        let mut all: Vec<Vec<i32>> = bands
            .map(|band| Vec::with_capacity(band.width * band.height))
            .collect();
        for (part, plane) in self.parts.iter().zip(planes) {
            let blocks = plane.get(part.blocks()).unwrap_or_default();
            if !part.wavelet.is_empty() {
                let dc: Vec<i32> = blocks.iter().map(|[dc, ..]| i32::from(*dc)).collect();
                let split = wavelet::forward(dc, part.width, part.rows.len(), part.levels);
                for (band, values) in all.iter_mut().skip(part.wavelet.start).zip(split) {
                    *band = values;
                }
            }
            turn::take(blocks, &part.ac, &mut all);
            if let Some(band) = part.rest.and_then(|rest| all.get_mut(rest)) {
                band.resize(blocks.len(), 0);
            }
        }
        all
    }

    /// Fills in the rests, which depend on what the last preview shows.
    pub(super) fn rests(&self, planes: &[Plane], plan: &Plan, bands: &mut [Vec<i32>]) {
        // The shifts of the wavelet stay after the last preview.
        let shifts = plan.shifts(plan.layers()).unwrap_or_default();
        for (part, plane) in self.parts.iter().zip(planes) {
            let Some(rest) = part.rest else { continue };
            let blocks = plane.get(part.blocks()).unwrap_or_default();
            let range = part.wavelet.clone();
            let shifts = shifts.get(range.clone()).unwrap_or_default();
            let exact = bands.get(range).unwrap_or_default();
            let thought = part.thought(Survey::new(exact).reconstruct(shifts, exact));
            let mut predictor = Predictor::new(&part.component);
            let mut thought = thought.into_iter();
            if let Some(band) = bands.get_mut(rest) {
                for (block, value) in blocks.iter().zip(band) {
                    let [dc, ..] = *block;
                    predictor.next(block, thought.next(), |prediction| {
                        *value = i32::from(dc) - prediction;
                        i32::from(dc)
                    });
                }
            }
        }
    }

    /// The better way for DC of each component of a strip that was made for [`Dc::Both`], by estimated bits.
    pub(super) fn choose(&self, plan: &Plan, bands: &[Vec<i32>]) -> Vec<Dc> {
        let shifts = plan.shifts(plan.layers()).unwrap_or_default();
        let choose = |part: &Part| {
            let rest = part.rest.and_then(|rest| bands.get(rest));
            let Some(rest) = rest.filter(|_| !part.wavelet.is_empty()) else {
                return Dc::Rest;
            };
            let wavelet = bands.iter().zip(shifts);
            let wavelet = wavelet.take(part.wavelet.end).skip(part.wavelet.start);
            let wavelet: u64 = wavelet.map(|(values, shift)| bits(values, *shift)).sum();
            if bits(rest, UNKNOWN) < wavelet {
                Dc::Both
            } else {
                Dc::Wavelet
            }
        };
        self.parts.iter().map(choose).collect()
    }

    /// The bands of the strip for another way for DC, from those of a strip made for [`Dc::Both`].
    pub(super) fn without_rests(&self, bands: &mut Vec<Vec<i32>>, dc: &[Dc]) {
        for (part, dc) in self.parts.iter().zip(dc).rev() {
            if let Some(rest) = part.rest.filter(|rest| *rest < bands.len())
                && *dc == Dc::Wavelet
            {
                bands.remove(rest);
            }
        }
    }

    /// The blocks of the strip from its bands; `exact`: the rests are there. Values beyond what a coefficient can be are
    /// cut off.
    pub(super) fn join(&self, mut bands: Vec<Vec<i32>>, exact: bool) -> Vec<Plane> {
        let join = |part: &Part| {
            let mut blocks: Plane = vec![[0; 64]; part.width * part.rows.len()];
            turn::put(&bands, &part.ac, &mut blocks);
            let take = |index: usize| bands.get_mut(index).map(std::mem::take);
            let dc = part.thought(part.wavelet.clone().filter_map(take).collect());
            let mut dc = dc.into_iter();
            let rest = part.rest.filter(|_| exact);
            if let Some(rest) = rest.and_then(|rest| bands.get(rest)) {
                let mut predictor = Predictor::new(&part.component);
                for (block, rest) in blocks.iter_mut().zip(rest) {
                    let value = predictor.next(block, dc.next(), |prediction| {
                        i32::from(narrow(prediction.wrapping_add(*rest)))
                    });
                    let [dc, ..] = block;
                    *dc = narrow(value);
                }
            } else {
                for (block, value) in blocks.iter_mut().zip(dc) {
                    let [dc, ..] = block;
                    *dc = narrow(value);
                }
            }
            blocks
        };
        self.parts.iter().map(join).collect()
    }
}

/// For measuring: some blocks of a strip.
impl Strip {
    /// Of AC bands the values at these blocks of each component, of the wavelet's all.
    pub(super) fn gather(&self, bands: &[Vec<i32>], places: &[Vec<usize>]) -> Vec<Vec<i32>> {
        let mut some = vec![Vec::new(); bands.len()];
        for (part, places) in self.parts.iter().zip(places) {
            for band in part.ac.iter().skip(1) {
                if let (Some(some), Some(all)) = (some.get_mut(*band), bands.get(*band)) {
                    let value = |place: &usize| all.get(*place).copied().unwrap_or(0);
                    *some = places.iter().map(value).collect();
                }
            }
            for band in part.wavelet.clone() {
                if let (Some(some), Some(all)) = (some.get_mut(band), bands.get(band)) {
                    some.clone_from(all);
                }
            }
        }
        some
    }

    /// DC of each component, from the bands of the wavelet.
    pub(super) fn dc(&self, bands: &[Vec<i32>]) -> Vec<Vec<i32>> {
        let dc = |part: &Part| {
            let wavelet = bands.get(part.wavelet.clone()).unwrap_or_default();
            part.thought(wavelet.to_vec())
        };
        self.parts.iter().map(dc).collect()
    }

    /// The blocks at these places, from what [`Strip::gather`] and [`Strip::dc`] give.
    pub(super) fn blocks_at(
        &self,
        bands: &[Vec<i32>],
        dc: &[Vec<i32>],
        places: &[Vec<usize>],
    ) -> Vec<Plane> {
        let blocks = |((part, dc), places): ((&Part, &Vec<i32>), &Vec<usize>)| {
            let mut blocks: Plane = vec![[0; 64]; places.len()];
            turn::put(bands, &part.ac, &mut blocks);
            for (block, place) in blocks.iter_mut().zip(places) {
                let [first, ..] = block;
                *first = narrow(dc.get(*place).copied().unwrap_or(0));
            }
            blocks
        };
        let parts = self.parts.iter().zip(dc).zip(places);
        parts.map(blocks).collect()
    }
}

impl Part {
    /// The blocks of the strip in the component's grid.
    fn blocks(&self) -> Range<usize> {
        self.rows.start * self.width..self.rows.end * self.width
    }

    /// DC from the bands of the wavelet; nothing where there are none.
    fn thought(&self, bands: Vec<Vec<i32>>) -> Vec<i32> {
        if bands.is_empty() {
            return Vec::new();
        }
        wavelet::inverse(bands, self.width, self.rows.len(), self.levels)
    }
}

/// An estimate of the bits (in 1/64) that values cost when all below `shift` is unknown.
fn bits(values: &[i32], shift: u8) -> u64 {
    let known = |value: &&i32| shift < UNKNOWN && value.unsigned_abs() >> shift != 0;
    let mut bits = 0;
    for window in values.chunks(64) {
        let refined = window.iter().filter(known).count() as u64;
        bits += refined * 64 * u64::from(shift);
        let fresh = window.len() as u64 - refined;
        let sum = window.iter().filter(|value| !known(value));
        let sum: u64 = sum.map(|value| u64::from(value.unsigned_abs())).sum();
        // The entropy of a geometric distribution with this mean on both sides of zero: log2(2 e mean), about.
        let spread = 256 + (sum * 1392).checked_div(fresh).unwrap_or(0);
        let each = log2_64(u32::try_from(spread).unwrap_or(u32::MAX)) - 8 * 64;
        let most = 64 * (i16::from(shift) + 1);
        bits += fresh * u64::try_from(each.min(most)).unwrap_or(0);
    }
    bits
}

pub(super) fn narrow(value: i32) -> i16 {
    i16::try_from(value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or(0)
}

/// 64 * log2 of the weight of an error in a sample of each component, relative to one in all colour samples of a pixel:
/// the root of its weight in the colours times the pixels that the sample covers.
fn weights(frame: &Frame) -> Vec<i16> {
    let largest = |f: fn(&Component) -> u8| frame.components.iter().map(f).max().unwrap_or(1);
    let pixels = u32::from(largest(|c| c.h)) * u32::from(largest(|c| c.v));
    let colours = colour_weights(frame);
    let weight = |(component, colour): (&Component, u32)| {
        let share = u32::from(component.h) * u32::from(component.v);
        log2_64(colour * pixels * 16 / share) / 2 - 64 * 7
    };
    frame.components.iter().zip(colours).map(weight).collect()
}

/// Adds the bands of a component.
struct Adding<'a> {
    bands: &'a mut Vec<Band>,
    own: Part,
    /// The component whose bands foretell those of this one.
    other: Option<&'a Part>,
    index: usize,
    weight: i16,
}

impl Adding<'_> {
    fn class(&self, kind: u8) -> u8 {
        let chroma = self.index == 1 || self.index == 2;
        if chroma { CHROMA + kind } else { kind }
    }

    /// The same place in a band of the other component, which may have more samples.
    fn elsewhere(&self, band: impl Fn(&Part) -> Option<usize>) -> Option<Reference> {
        let other = self.other?;
        let (theirs, ours) = (&other.component, &self.own.component);
        let scale = |theirs: u8, ours: u8| if theirs > ours { -1 } else { 0 };
        Some(Reference {
            shift_x: scale(theirs.h, ours.h),
            shift_y: scale(theirs.v, ours.v),
            ..Reference::same(band(other)?)
        })
    }

    /// 64 * log2 of the weight of one unit of coefficient `k`.
    fn weight(&self, k: u8) -> i16 {
        let step = self.own.component.quantiser.get(usize::from(k));
        self.weight + log2_64(u32::from(step.copied().unwrap_or(1)))
    }

    fn wavelet(&mut self) {
        let first = self.bands.len();
        let parts = wavelet::parts(self.own.width, self.own.rows.len(), self.own.levels);
        for (index, band) in parts.iter().enumerate() {
            let here = first + index;
            let mut references = Vec::new();
            if index > 3 {
                references.push(Reference::parent(here - 3));
            }
            match band.kind {
                Kind::Mean | Kind::Horizontal => {}
                Kind::Vertical => references.push(Reference::same(here - 1)),
                Kind::Diagonal => {
                    references.push(Reference::same(here - 1));
                    references.push(Reference::same(here - 2));
                }
            }
            let elsewhere = self.elsewhere(|other| other.wavelet.clone().nth(index));
            references.extend(elsewhere.filter(|r| (r.shift_x, r.shift_y) == (0, 0)));
            self.bands.push(Band {
                width: band.size.0,
                height: band.size.1,
                class: self.class(WAVELET),
                weight: self.weight(0) + band.norm,
                references,
                tally: None,
            });
        }
        self.own.wavelet = first..self.bands.len();
    }

    fn ac(&mut self) {
        for k in ac_order() {
            let (row, column) = place(k);
            let inside = row > 0 && column > 0;
            let class = self.class(if inside { INSIDE } else { EDGE });
            let places: &[(u8, u8)] = match (row, column) {
                // Inwards, and before along the edge.
                (0, c) => &[(1, c), (2, c), (0, c - 1), (1, c - 1)],
                (r, 0) => &[(r, 1), (r, 2), (r - 1, 0), (r - 1, 1)],
                (r, c) => &[
                    (r - 1, c),
                    (r, c - 1),
                    (r - 1, c - 1),
                    (r.wrapping_sub(2), c),
                    (r, c.wrapping_sub(2)),
                ],
            };
            let mut references = self.references(places);
            references.extend(self.elsewhere(|other| other.ac.get(usize::from(k)).copied()));
            references.truncate(8);
            if let Some(entry) = self.own.ac.get_mut(usize::from(k)) {
                *entry = self.bands.len();
            }
            let band = self.plane(class, self.weight(k), references);
            self.bands.push(band);
        }
    }

    fn rest(&mut self) {
        let class = self.class(REST);
        let mut references = self.references(&[(0, 1), (1, 0), (1, 1), (0, 2), (2, 0)]);
        references.extend(self.elsewhere(|other| other.rest));
        self.own.rest = Some(self.bands.len());
        let band = self.plane(class, 0, references);
        self.bands.push(band);
    }

    /// The bands of those coefficients that are before this one.
    fn references(&self, places: &[(u8, u8)]) -> Vec<Reference> {
        let band = |(row, column): &(u8, u8)| {
            let k = Some(zigzag(*row, *column)).filter(|k| *k > 0)?;
            self.own.ac.get(k).copied().filter(|band| *band != NONE)
        };
        places
            .iter()
            .filter_map(band)
            .map(Reference::same)
            .collect()
    }

    /// A band with a sample per block.
    fn plane(&self, class: u8, weight: i16, references: Vec<Reference>) -> Band {
        Band {
            width: self.own.width,
            height: self.own.rows.len(),
            class,
            weight,
            references,
            tally: Some(self.index),
        }
    }
}

/// Row and column of a coefficient.
pub(super) fn place(k: u8) -> (u8, u8) {
    let at = ZIGZAG.get(usize::from(k)).copied().unwrap_or(0);
    (at >> 3, at & 7)
}

/// The coefficient in a row and a column; 0 for none.
pub(super) fn zigzag(row: u8, column: u8) -> usize {
    let at = ZIGZAG
        .iter()
        .position(|at| (at >> 3, at & 7) == (row, column));
    at.unwrap_or(0)
}

/// The order of coding: those inside of the block, then those of its first row and column.
fn ac_order() -> impl Iterator<Item = u8> {
    let edge = |k: &u8| {
        let (row, column) = place(*k);
        row == 0 || column == 0
    };
    let inside = (1..64).filter(move |k| !edge(k));
    inside.chain((1..64).filter(edge))
}
