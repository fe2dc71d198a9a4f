//! What a view of 64 samples a side shows of a plane: the least that anybody should be shown of it.
//!
//! Holo.Codec puts such a view into every chunk and shares out the rest, so that a soft picture is shown well from one
//! chunk. Its view is enlarged by cubics; means and lines between them from [`SIDE`] samples come as near, by 0.1 to
//! 0.5 dB nearer in photographs.

/// Samples of the longer side of a view.
const SIDE: usize = 80;
/// Bits after the point of means and places.
const POINT: u32 = 8;

/// The squared error of such a view of a plane, row-major; `None` for a plane that is no larger.
#[expect(clippy::cast_precision_loss, reason = "2^53 is more than any plane's")]
pub(super) fn error(plane: &[u16], width: usize, height: usize) -> Option<f64> {
    let longer = width.max(height);
    if longer <= SIDE || plane.len() != width * height {
        return None;
    }
    let side = |length: usize| ((length * SIDE + longer / 2) / longer).max(1);
    let (columns, rows) = (side(width), side(height));
    let view = means(plane, (width, height), (columns, rows));
    let across = places(width, columns);
    let mut error = 0.0;
    let mut line = vec![0_i32; columns];
    for (row, place) in plane.chunks_exact(width).zip(places(height, rows)) {
        let at = |row: usize| view.get(row * columns..).unwrap_or_default();
        for ((line, a), b) in line.iter_mut().zip(at(place.first)).zip(at(place.second)) {
            *line = place.between(*a, *b);
        }
        let squares = row.iter().zip(&across).map(|(sample, place)| {
            let at = |column: usize| line.get(column).copied().unwrap_or(0);
            let shown = place.between(at(place.first), at(place.second));
            u64::from(((i32::from(*sample) << POINT) - shown).unsigned_abs()).pow(2)
        });
        let row: u64 = squares.map(|square| square >> POINT).sum();
        error += row as f64 / f64::from(1_u32 << POINT);
    }
    Some(error)
}

/// Between which two of the samples of a view a place lies, and how far from the first.
struct Place {
    first: usize,
    second: usize,
    part: i32,
}

impl Place {
    fn between(&self, first: i32, second: i32) -> i32 {
        let step = i64::from(second - first) * i64::from(self.part);
        first + i32::try_from(step >> POINT).unwrap_or(0)
    }
}

/// For each of `length` samples its place in a view of `count`.
fn places(length: usize, count: usize) -> Vec<Place> {
    let each = (0..length).map(|i| {
        // The middle of sample i, from the middle of the first of the view, in 256ths.
        let middle = (((2 * i + 1) * count) << POINT) / (2 * length);
        let at = middle.saturating_sub(1 << (POINT - 1));
        let first = (at >> POINT).min(count - 1);
        Place {
            first,
            second: (first + 1).min(count - 1),
            part: i32::try_from(at & ((1 << POINT) - 1)).unwrap_or(0),
        }
    });
    each.collect()
}

/// The means of the pieces of a plane, in 256ths.
fn means(
    plane: &[u16],
    (width, height): (usize, usize),
    (columns, rows): (usize, usize),
) -> Vec<i32> {
    let edges =
        |length: usize, count: usize, i: usize| i * length / count..(i + 1) * length / count;
    let mut view = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let mut sums = vec![0_u64; columns];
        let piece = edges(height, rows, row);
        for line in plane
            .chunks_exact(width)
            .skip(piece.start)
            .take(piece.len())
        {
            for (column, sum) in sums.iter_mut().enumerate() {
                let part = line.get(edges(width, columns, column)).unwrap_or_default();
                *sum += part.iter().map(|sample| u64::from(*sample)).sum::<u64>();
            }
        }
        for (column, sum) in sums.into_iter().enumerate() {
            let count = (edges(width, columns, column).len() * piece.len()).max(1);
            view.push(i32::try_from((sum << POINT) / count as u64).unwrap_or(0));
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_pictures_are_shown_well() {
        let plane = |f: &dyn Fn(usize, usize) -> usize| -> Vec<u16> {
            let all = (0..300 * 200).map(|i| u16::try_from(f(i % 300, i / 300)).unwrap_or(0));
            all.collect()
        };
        let mean = |plane: &[u16]| error(plane, 300, 200).map(|error| error / 60_000.0);
        assert_eq!(mean(&plane(&|_, _| 77)), Some(0.0));
        let slope = mean(&plane(&|x, y| x / 2 + y / 2)).unwrap_or(f64::MAX);
        assert!(slope < 0.5, "{slope}"); // samples are rounded down
        // What is finer than the view is lost: half of 200 squared.
        let lines = mean(&plane(&|x, _| x % 2 * 200)).unwrap_or(0.0);
        assert!((9_900.0..10_800.0).contains(&lines), "{lines}");
        assert_eq!(error(&[0; 80 * 80], 80, 80), None);
        assert_eq!(error(&[0; 3], 300, 200), None);
    }

    #[test]
    fn samples_of_16_bits_do_not_overflow() {
        let plane: Vec<u16> = (0..90 * 90)
            .map(|i| if i % 2 == 0 { u16::MAX } else { 0 })
            .collect();
        let mean = error(&plane, 90, 90).unwrap_or(0.0) / 8_100.0;
        assert!(mean > 1e9 && mean < 4.3e9, "{mean}");
    }
}
