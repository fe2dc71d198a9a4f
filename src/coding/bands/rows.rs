//! Sums over the neighbours of a whole row, as far as they do not depend on the row itself.

use super::Reference;
use super::fit::{BIAS, Code, Codes, HINT, PLACES, TAPS, scaled};
use super::grid::{Grid, PAD};
use super::sums::{Tap, weighted_sums};

/// Scratch rows, kept between visits.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) expected: Vec<u32>,
    pub(super) predicted: Vec<i32>,
    /// The caller's predictions for the whole band, or nothing.
    pub(super) hints: Vec<i16>,
    gathered: Vec<Vec<i16>>,
}

/// What one visit works with.
pub(super) struct Visit {
    pub(super) index: usize,
    pub(super) width: usize,
    pub(super) old: u32,
    pub(super) new: u32,
    pub(super) codes: Codes,
    pub(super) sparse: bool,
}

/// The part of the expected magnitudes of a row that does not depend on the row itself.
pub(super) fn sum_row(
    grids: &[Grid],
    visit: &Visit,
    references: &[Reference],
    y: usize,
    rows: &mut Rows,
) {
    let width = visit.width;
    let mut codes = visit.codes.iter().skip(2);
    let mut taps = [Tap::default(); TAPS];
    let mut used = 0;
    let mut add = |row, code: &Code| {
        if let Some(tap) = taps.get_mut(used) {
            *tap = Tap {
                row,
                expect: code.expect(),
                predict: code.predict(),
            };
            used += 1;
        }
    };
    if let Some(grid) = grids.get(visit.index) {
        for ((up, right), code) in PLACES.into_iter().zip(&mut codes) {
            let (from, up) = if up < 0 {
                (y + 1, 0)
            } else {
                (y, usize::from(up.unsigned_abs()))
            };
            let row = grid.row(from, up, isize::from(right), width);
            if *code != Code::default() && row.len() == width {
                add(row, code);
            }
        }
    }
    // Rows of other scale or size are copied first.
    rows.gathered.resize_with(references.len(), Vec::new);
    for ((r, code), gathered) in references.iter().zip(codes.clone()).zip(&mut rows.gathered) {
        gathered.clear();
        let Some(grid) = grids.get(r.band).filter(|_| *code != Code::default()) else {
            continue;
        };
        if r.shift_x == 0 && grid.row(0, 0, isize::from(r.right), width).len() == width {
            continue;
        }
        gathered.resize(width, 0);
        gather(grid, r, y, gathered);
    }
    for ((r, code), gathered) in references.iter().zip(codes).zip(&rows.gathered) {
        let Some(grid) = grids.get(r.band).filter(|_| *code != Code::default()) else {
            continue;
        };
        let row = match gathered.as_slice() {
            [] => referred(grid, r, y, width),
            gathered => gathered,
        };
        if row.len() == width {
            add(row, code);
        }
    }
    weighted_sums(
        taps.get(..used).unwrap_or_default(),
        i32::from(visit.codes[BIAS].predict()) << visit.new,
        &mut rows.expected,
        &mut rows.predicted,
    );
    let hints = rows.hints.get(y * width..).unwrap_or_default();
    let (expect, predict) = (visit.codes[HINT].expect(), visit.codes[HINT].predict());
    if hints.is_empty() || visit.codes[HINT] == Code::default() {
        return;
    }
    let sums = rows.expected.iter_mut().zip(&mut rows.predicted);
    for ((expected, predicted), hint) in sums.zip(hints) {
        *expected += (u32::from(hint.unsigned_abs()) * u32::from(expect.unsigned_abs())) >> 3;
        *predicted += (i32::from(*hint) * i32::from(predict)) >> 3;
    }
}

/// `length` cells of the row that a reference leads to from row `y`.
fn referred<'a>(grid: &'a Grid, r: &Reference, y: usize, length: usize) -> &'a [i16] {
    let y = scaled(y, r.shift_y);
    let down = usize::from(r.down.max(0).unsigned_abs());
    let up = usize::from(r.down.min(0).unsigned_abs());
    grid.row(y + down, up, isize::from(r.right), length)
}

/// A row of another scale or size.
fn gather(grid: &Grid, r: &Reference, y: usize, out: &mut [i16]) {
    // As far as there are cells, with the zeros beyond the edge.
    let length = grid.width() + PAD - usize::from(r.right.max(0).unsigned_abs());
    let cells = referred(grid, r, y, length);
    match r.shift_x {
        1 => {
            let (pairs, last) = out.as_chunks_mut::<2>();
            for (pair, cell) in pairs.iter_mut().zip(cells) {
                *pair = [*cell; 2];
            }
            if let (Some(last), Some(cell)) = (last.first_mut(), cells.get(pairs.len())) {
                *last = *cell;
            }
        }
        -1 => {
            let (pairs, last) = cells.as_chunks::<2>();
            let cells = pairs.iter().map(|[cell, _]| cell).chain(last);
            for (out, cell) in out.iter_mut().zip(cells) {
                *out = *cell;
            }
        }
        _ => {
            for (out, cell) in out.iter_mut().zip(cells) {
                *out = *cell;
            }
        }
    }
}
