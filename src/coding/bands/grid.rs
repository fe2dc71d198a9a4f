//! What is known of the bands while they are coded: values with a border of zeros, and counters.

use super::Layout;

/// Columns of zeros on either side of a grid.
pub(super) const PAD: usize = 8;
/// Rows of zeros above a grid; one more follows below.
const ABOVE: usize = 2;
/// Magnitudes above it count as it: they serve as context only.
const TOP: u32 = i16::MAX.unsigned_abs() as u32;

/// Values of a band as known now: 0, or the middle of the interval the value lies in, at most 2^15 - 1 high.
#[derive(Debug)]
pub(super) struct Grid {
    width: usize,
    height: usize,
    stride: usize,
    cells: Vec<i16>,
}

impl Grid {
    fn new(width: usize, height: usize) -> Self {
        let stride = width.next_multiple_of(8) + 2 * PAD;
        let rows = if width == 0 { 0 } else { height + ABOVE + 1 };
        Self {
            width,
            height,
            stride,
            cells: vec![0; stride * rows],
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Row `y - up` (`up` <= 2, `y - up` <= height), moved by `right` columns (-8..=8): `length` cells of it, or
    /// nothing where it ends before.
    pub(super) fn row(&self, y: usize, up: usize, right: isize, length: usize) -> &[i16] {
        let first = PAD.wrapping_add_signed(right);
        let row = (y + ABOVE).wrapping_sub(up);
        let start = row.wrapping_mul(self.stride).wrapping_add(first);
        if row > self.height + ABOVE || first + length > self.stride {
            return &[];
        }
        self.cells.get(start..start + length).unwrap_or_default()
    }

    /// The row above row `y`, and row `y`, both without their borders.
    pub(super) fn two_rows(&mut self, y: usize) -> (&[i16], &mut [i16]) {
        let split = (y + ABOVE) * self.stride;
        let Some((before, from)) = self.cells.split_at_mut_checked(split) else {
            return (&[], &mut []);
        };
        let above = before.get((split - self.stride + PAD).min(split)..);
        (
            above.and_then(|a| a.get(..self.width)).unwrap_or_default(),
            from.get_mut(PAD..PAD + self.width).unwrap_or_default(),
        )
    }

    /// One cell, 0 outside of the grid.
    pub(super) fn cell(&self, x: usize, y: usize) -> i16 {
        if x >= self.width || y >= self.height {
            return 0;
        }
        let at = (y + ABOVE) * self.stride + PAD + x;
        self.cells.get(at).copied().unwrap_or(0)
    }
}

/// The value that stands for all with the same sign and `magnitude >> shift`; `shift` < 31.
#[inline]
pub(super) fn middle(magnitude: u32, negative: bool, shift: u32) -> i16 {
    let known = magnitude >> shift;
    let middle = if known == 0 {
        0
    } else {
        (known << shift) + ((1 << shift) >> 1)
    };
    let middle = i16::try_from(middle.min(TOP)).unwrap_or(i16::MAX);
    if negative { -middle } else { middle }
}

/// What is known of all bands at some point of coding.
#[derive(Debug)]
pub(super) struct State {
    pub(super) grids: Vec<Grid>,
    pub(super) tallies: Vec<Vec<u8>>,
}

impl State {
    pub(super) fn new(layout: &Layout) -> Self {
        let grids = layout.bands().iter().map(|b| Grid::new(b.width, b.height));
        let tallies = layout.tallies().iter().map(|(w, h)| vec![0; w * h]);
        Self {
            grids: grids.collect(),
            tallies: tallies.collect(),
        }
    }
}

/// What a [`super::Hints`] may look at: values as known now, in the middle of their interval, at most 2^15 - 1 high.
#[derive(Debug)]
pub struct Known<'a> {
    pub(super) layer: usize,
    pub(super) grids: &'a [Grid],
}

impl Known<'_> {
    /// Number of the layer being coded, from 0.
    #[must_use]
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// The known value of one coefficient; 0 when it is unknown, insignificant or outside of the band.
    #[must_use]
    pub fn value(&self, band: usize, x: usize, y: usize) -> i16 {
        self.grids.get(band).map_or(0, |grid| grid.cell(x, y))
    }

    /// The known values of row `y` of a band; nothing outside of the band.
    #[must_use]
    pub fn row(&self, band: usize, y: usize) -> &[i16] {
        match self.grids.get(band) {
            Some(grid) if y < grid.height => grid.row(y, 0, 0, grid.width),
            _ => &[],
        }
    }
}
