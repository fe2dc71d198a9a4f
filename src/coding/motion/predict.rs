//! Prediction: the planes that a field and its references make.

use super::plane::{Padded, Plane, QUARTERS, near};
use super::{CELL, Cell, Field, Reference, Size, Vector};

/// The two planes whose mean is at a vector's place, each with the place where its rows begin.
#[inline]
pub(super) fn luma_places(
    halves: &[Padded; 4],
    vector: Vector,
    (x, y): (i32, i32),
) -> [(&Padded, i32, i32); 2] {
    let (right, down) = (i32::from(vector.x), i32::from(vector.y));
    let quarter = usize::try_from((right & 3) | (down & 3) << 2).unwrap_or(0);
    let (x, y) = (x + (right >> 2), y + (down >> 2));
    let quarters = QUARTERS.get(quarter).copied().unwrap_or_default();
    quarters.map(|(plane, right, down)| {
        let plane = halves.get(plane).unwrap_or(&halves[0]);
        (plane, x + right, y + down)
    })
}

/// A vector that keeps a cell at a place near the plane.
#[inline]
pub(super) fn kept(vector: Vector, (x, y): (i32, i32), plane: &Padded) -> Vector {
    let keep = |v: i16, at: i32, size: usize| {
        let (whole, rest) = (i32::from(v) >> 2, i32::from(v) & 3);
        let kept = near(at + whole, size) - at;
        if kept == whole {
            v
        } else {
            i16::try_from(kept * 4 + rest).unwrap_or(0)
        }
    };
    Vector {
        x: keep(vector.x, x, plane.width),
        y: keep(vector.y, y, plane.height),
    }
}

/// Samples of one plane of a cell, a row of it each; cells of smaller planes fill but a corner.
type Piece = [[u16; CELL]; CELL];

/// One plane of one cell from one reference.
#[inline]
fn found(plane: &Plane, size: Size, vector: Vector, (x, y): (usize, usize), max: u16) -> Piece {
    let place = |at: usize| i32::try_from(at).unwrap_or(0);
    let (x, y) = (place(x), place(y));
    let mut piece = [[0; CELL]; CELL];
    match plane {
        Plane::Halves(halves) => {
            let vector = kept(vector, (x, y), plane.plain());
            let [(a, ax, ay), (b, bx, by)] = luma_places(halves, vector, (x, y));
            let rows = a.rows::<CELL>(ax, ay);
            if vector.x & 1 == 0 && vector.y & 1 == 0 {
                for (out, row) in piece.iter_mut().zip(rows) {
                    *out = *row;
                }
            } else {
                for (out, (a, b)) in piece.iter_mut().zip(rows.zip(b.rows::<CELL>(bx, by))) {
                    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                        *out = mean(*a, *b);
                    }
                }
            }
        }
        Plane::Coarse(padded) => {
            let unit = |factor: usize| 4 * i32::try_from(factor).unwrap_or(1).max(1);
            let (unit_x, unit_y) = (unit(size.columns), unit(size.rows));
            let (right, down) = (i32::from(vector.x), i32::from(vector.y));
            let x = near(x + right.div_euclid(unit_x), padded.width);
            let y = near(y + down.div_euclid(unit_y), padded.height);
            // In 16ths, the finest there is.
            let part = |v: i32, unit: i32| (v.rem_euclid(unit) * 16 / unit).unsigned_abs();
            let parts = (part(right, unit_x), part(down, unit_y));
            // The rows and columns that count.
            let (wide, tall) = (CELL / size.columns.max(1), CELL / size.rows.max(1));
            let upper = padded.rows::<{ CELL + 1 }>(x, y);
            let lower = padded.rows::<{ CELL + 1 }>(x, y + 1);
            for (out, (upper, lower)) in piece.iter_mut().zip(upper.zip(lower)).take(tall) {
                match (parts, wide) {
                    ((0, 0), _) => out.copy_from_slice(&upper[..CELL]),
                    (_, ..=4) if max < 256 => narrow::<4>(upper, lower, parts, out),
                    (_, ..=4) => linear::<4>(upper, lower, parts, out),
                    _ if max < 256 => narrow::<CELL>(upper, lower, parts, out),
                    _ => linear::<CELL>(upper, lower, parts, out),
                }
            }
        }
    }
    piece
}

/// A row of neighbours with one more.
type Row = [u16; CELL + 1];

/// What lies between two rows, so many 16ths to the right and down: the first `N`.
#[inline]
fn linear<const N: usize>(
    upper: &Row,
    lower: &Row,
    (right, down): (u32, u32),
    out: &mut [u16; CELL],
) {
    let (left, up) = (16 - right, 16 - down);
    let pairs = upper.iter().zip(upper.iter().skip(1));
    let pairs = pairs.zip(lower.iter().zip(lower.iter().skip(1)));
    for (out, ((a, b), (c, d))) in out.iter_mut().zip(pairs).take(N) {
        let between = |a: &u16, b: &u16| u32::from(*a) * left + u32::from(*b) * right;
        let sum = between(a, b) * up + between(c, d) * down;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a mean is no greater than the greatest"
        )]
        {
            *out = ((sum + 128) >> 8) as u16;
        }
    }
}

/// The same for samples of 8 bits: 255 * 256 + 128 fits into 16.
#[inline]
fn narrow<const N: usize>(upper: &Row, lower: &Row, parts: (u32, u32), out: &mut [u16; CELL]) {
    let [right, down] = [parts.0, parts.1].map(|part| u16::try_from(part).unwrap_or(0));
    let (left, up) = (16 - right, 16 - down);
    let pairs = upper.iter().zip(upper.iter().skip(1));
    let pairs = pairs.zip(lower.iter().zip(lower.iter().skip(1)));
    for (out, ((a, b), (c, d))) in out.iter_mut().zip(pairs).take(N) {
        let between = |a: &u16, b: &u16| a.wrapping_mul(left).wrapping_add(b.wrapping_mul(right));
        let upper = between(a, b).wrapping_mul(up);
        let sum = upper.wrapping_add(between(c, d).wrapping_mul(down));
        *out = sum.wrapping_add(128) >> 8;
    }
}

/// The mean of two samples, rounded up.
#[inline]
pub(super) fn mean(a: u16, b: u16) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a mean is no greater than the greater one"
    )]
    {
        ((u32::from(a) + u32::from(b) + 1) >> 1) as u16
    }
}

/// Predicts a plane, row by row; `plane` is its number, `max` the greatest sample.
///
/// Vectors that lead too far outside end there; a reference that is missing is black.
#[must_use]
pub fn predict(
    field: &Field,
    references: [Option<&Reference>; 2],
    plane: usize,
    size: Size,
    max: u16,
) -> Vec<u16> {
    let (width, height) = (size.width, size.height);
    let mut out = vec![0; width * height];
    let side = (CELL / size.columns.max(1), CELL / size.rows.max(1));
    let planes = references.map(|r| r.and_then(|r| r.planes.get(plane)));
    let rows = out.chunks_mut((width * side.1).max(1));
    for (row, out) in rows.enumerate() {
        for column in 0..width.div_ceil(side.0.max(1)) {
            let cell = field.at(column, row);
            let place = (column * side.0, row * side.1);
            let piece = piece(&cell, planes, (plane, size), place, max);
            let length = side.0.min(width - place.0);
            for (out, piece) in out.chunks_mut(width).zip(&piece).take(side.1) {
                let out = out.get_mut(place.0..place.0 + length);
                let piece = piece.get(..length);
                if let (Some(out), Some(piece)) = (out, piece) {
                    out.copy_from_slice(piece);
                }
            }
        }
    }
    out
}

/// The samples of one plane of a cell.
#[inline]
fn piece(
    cell: &Cell,
    references: [Option<&Plane>; 2],
    (plane, size): (usize, Size),
    place: (usize, usize),
    max: u16,
) -> Piece {
    let mut pieces = cell
        .mode
        .uses()
        .into_iter()
        .zip(cell.vectors)
        .zip(references);
    let mut next = || {
        let used = pieces.find(|((used, _), _)| *used);
        used.map(|((_, vector), plane)| match plane {
            Some(plane) => found(plane, size, vector, place, max),
            None => [[0; CELL]; CELL],
        })
    };
    match (next(), next()) {
        (None, _) => {
            let level = u32::from(cell.levels.get(plane).copied().unwrap_or(0));
            let level = (level * 2 + 1) * (u32::from(max) + 1) / 512;
            [[u16::try_from(level).unwrap_or(max); CELL]; CELL]
        }
        (Some(piece), None) => piece,
        (Some(mut piece), Some(other)) => {
            for (a, b) in piece.iter_mut().flatten().zip(other.iter().flatten()) {
                *a = mean(*a, *b);
            }
            piece
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]

    use super::*;

    #[test]
    fn samples_of_few_bits_lie_between_their_neighbours_as_others_do() {
        let mut state = 1_u32;
        let mut row = || {
            let mut row = Row::default();
            for sample in &mut row {
                state = state.wrapping_mul(0x9e37_79b9) ^ (state >> 15);
                *sample = [0, 255, u16::try_from(state >> 24).unwrap_or(0)][(state % 3) as usize];
            }
            row
        };
        for parts in (0..16).flat_map(|right| (0..16).map(move |down| (right, down))) {
            let (upper, lower) = (row(), row());
            let (mut one, mut other) = ([0; CELL], [0; CELL]);
            narrow::<CELL>(&upper, &lower, parts, &mut one);
            linear::<CELL>(&upper, &lower, parts, &mut other);
            assert_eq!(one, other, "{upper:?} {lower:?} {parts:?}");
        }
    }
}
