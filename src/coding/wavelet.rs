//! The reversible 5/3 wavelet (Le Gall) in two dimensions, for planes of any size from 1x1 on.
//!
//! Source: ITU-T T.800 annex F.3.8 (reversible filtering) with symmetric extension. One level splits rows and columns
//! into means (rounded up in number) and details. Bands come as one list, the coarsest first: the means of the last
//! level, then for each level from the coarsest to the finest HL (details along rows), LH (along columns), HH. Bands
//! of planes one sample wide or high may be empty.

/// Columns and rows of a band.
pub type Size = (usize, usize);

/// 64 * log2 of the L2 norm of one unit's synthesis, by level (1 is the finest): means, HL and LH, HH.
const NORMS: [(i16, i16, i16); 10] = [
    (37, 3, -31),
    (93, 43, -8),
    (155, 99, 43),
    (219, 161, 103),
    (283, 224, 166),
    (347, 288, 229),
    (411, 352, 293),
    (475, 416, 357),
    (539, 480, 421),
    (603, 544, 485),
];

/// The most levels.
pub const MAX_LEVELS: usize = NORMS.len();

/// Kind of a band of a decomposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Means of the last level.
    Mean,
    /// Details along rows.
    Horizontal,
    /// Details along columns.
    Vertical,
    /// Details along both.
    Diagonal,
}

/// One band of a decomposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its kind.
    pub kind: Kind,
    /// Its level, 1 for the finest, 0 when nothing was split.
    pub level: usize,
    /// Columns and rows.
    pub size: Size,
    /// 64 * log2 of the L2 norm of one unit's synthesis.
    pub norm: i16,
}

/// Levels that leave means of 8 samples or fewer along the longer side, as far as [`MAX_LEVELS`] goes.
#[must_use]
pub fn levels(width: usize, height: usize) -> usize {
    let side = |level: usize| width.max(height).div_ceil(1 << level);
    (0..MAX_LEVELS)
        .find(|&l| side(l) <= 8)
        .unwrap_or(MAX_LEVELS)
}

/// The bands of a plane split `levels` times, in the order in which [`forward`] gives them.
#[must_use]
pub fn parts(width: usize, height: usize, levels: usize) -> Vec<Part> {
    let levels = levels.min(MAX_LEVELS);
    let size = |level: usize| (width.div_ceil(1 << level), height.div_ceil(1 << level));
    let norms = |level: usize| {
        NORMS
            .get(level.wrapping_sub(1))
            .copied()
            .unwrap_or_default()
    };
    let mut parts = vec![Part {
        kind: Kind::Mean,
        level: levels,
        size: size(levels),
        norm: norms(levels).0,
    }];
    for level in (1..=levels).rev() {
        let (whole, mean) = (size(level - 1), size(level));
        let detail = (whole.0 - mean.0, whole.1 - mean.1);
        let (_, side, diagonal) = norms(level);
        let mut add = |kind, size, norm| {
            parts.push(Part {
                kind,
                level,
                size,
                norm,
            });
        };
        add(Kind::Horizontal, (detail.0, mean.1), side);
        add(Kind::Vertical, (mean.0, detail.1), side);
        add(Kind::Diagonal, detail, diagonal);
    }
    parts
}

/// Splits a plane (`width * height` samples, row-major) `levels` times. Samples must lie within +-2^24.
#[must_use]
pub fn forward(mut plane: Vec<i32>, width: usize, height: usize, levels: usize) -> Vec<Vec<i32>> {
    let mut bands = Vec::new();
    let mut size = (width, height);
    for _ in 0..levels.min(MAX_LEVELS) {
        let (mean, details) = split(plane, size);
        plane = mean;
        bands.extend(details.into_iter().rev());
        size = (size.0.div_ceil(2), size.1.div_ceil(2));
    }
    bands.push(plane);
    bands.reverse();
    bands
}

/// Joins the bands of [`forward`] again. Bands of wrong length count as filled up with zeros; sums wrap.
#[must_use]
pub fn inverse(bands: Vec<Vec<i32>>, width: usize, height: usize, levels: usize) -> Vec<i32> {
    let mut bands = bands.into_iter();
    let mut plane = bands.next().unwrap_or_default();
    for level in (0..levels.min(MAX_LEVELS)).rev() {
        let size = (width.div_ceil(1 << level), height.div_ceil(1 << level));
        let details = [bands.next(), bands.next(), bands.next()].map(Option::unwrap_or_default);
        plane = join(&plane, &details, size);
    }
    plane.resize(width * height, 0);
    plane
}

/// One level: the means, and HL, LH, HH.
fn split(mut plane: Vec<i32>, (width, height): Size) -> (Vec<i32>, [Vec<i32>; 3]) {
    if width == 0 || height == 0 {
        return Default::default();
    }
    columns(&mut plane, width, 1, |x, sum| x.wrapping_sub(sum >> 1));
    columns(&mut plane, width, 0, |x, sum| {
        x.wrapping_add(sum.wrapping_add(2) >> 2)
    });
    let (wide, narrow) = (width.div_ceil(2), width / 2);
    let (tall, flat) = (height.div_ceil(2), height / 2);
    let mut mean = Vec::with_capacity(wide * tall);
    let [mut hl, mut lh, mut hh] = [(narrow, tall), (wide, flat), (narrow, flat)]
        .map(|(width, height)| Vec::with_capacity(width * height));
    let (mut even, mut odd) = (vec![0; wide], vec![0; narrow]);
    for (y, row) in plane.chunks_exact(width).enumerate() {
        let (pairs, last) = row.as_chunks::<2>();
        for ((even, odd), pair) in even.iter_mut().zip(&mut odd).zip(pairs) {
            [*even, *odd] = *pair;
        }
        if let (Some(even), Some(last)) = (even.last_mut(), last.first()) {
            *even = *last;
        }
        between(&mut odd, &even, 0, |x, sum| x.wrapping_sub(sum >> 1));
        between(&mut even, &odd, 1, |x, sum| {
            x.wrapping_add(sum.wrapping_add(2) >> 2)
        });
        let (low, high) = if y % 2 == 0 {
            (&mut mean, &mut hl)
        } else {
            (&mut lh, &mut hh)
        };
        low.extend_from_slice(&even);
        high.extend_from_slice(&odd);
    }
    (mean, [hl, lh, hh])
}

/// One level back: the plane of `size` from its means and HL, LH, HH. Bands count as in [`inverse`].
#[must_use]
pub fn join(mean: &[i32], details: &[Vec<i32>; 3], (width, height): Size) -> Vec<i32> {
    let mut plane = vec![0; width * height];
    if plane.is_empty() {
        return plane;
    }
    let [hl, lh, hh] = details;
    let (wide, narrow) = (width.div_ceil(2), width / 2);
    let (mut even, mut odd) = (vec![0; wide], vec![0; narrow]);
    for (y, row) in plane.chunks_exact_mut(width).enumerate() {
        let (low, high) = if y % 2 == 0 {
            (mean, hl)
        } else {
            (lh.as_slice(), hh)
        };
        fill(&mut even, low, y / 2);
        fill(&mut odd, high, y / 2);
        between(&mut even, &odd, 1, |x, sum| {
            x.wrapping_sub(sum.wrapping_add(2) >> 2)
        });
        between(&mut odd, &even, 0, |x, sum| x.wrapping_add(sum >> 1));
        let (pairs, last) = row.as_chunks_mut::<2>();
        for ((even, odd), pair) in even.iter().zip(&odd).zip(pairs) {
            *pair = [*even, *odd];
        }
        if let (Some(even), Some(last)) = (even.last(), last.first_mut()) {
            *last = *even;
        }
    }
    columns(&mut plane, width, 0, |x, sum| {
        x.wrapping_sub(sum.wrapping_add(2) >> 2)
    });
    columns(&mut plane, width, 1, |x, sum| x.wrapping_add(sum >> 1));
    plane
}

/// Row `y` of a band, zeros where it is too short.
fn fill(out: &mut [i32], band: &[i32], y: usize) {
    let from = band.get(y * out.len()..).unwrap_or_default();
    let have = from.len().min(out.len());
    let (known, rest) = out.split_at_mut(have);
    known.copy_from_slice(from.get(..have).unwrap_or_default());
    rest.fill(0);
}

/// Changes every second row, from row `first` on, by the sum of its upper and lower neighbours, mirrored at the edges.
#[inline]
fn columns(plane: &mut [i32], width: usize, first: usize, change: impl Fn(i32, i32) -> i32) {
    let height = plane.len() / width;
    for y in (first..height).step_by(2) {
        let (before, rest) = plane.split_at_mut(y * width);
        let (row, after) = rest.split_at_mut(width);
        let above = before.rchunks_exact(width).next();
        let below = after.chunks_exact(width).next();
        let Some((above, below)) = above.or(below).zip(below.or(above)) else {
            continue;
        };
        for (x, (a, b)) in row.iter_mut().zip(above.iter().zip(below)) {
            *x = change(*x, a.wrapping_add(*b));
        }
    }
}

/// Changes each sample by the sum of its two neighbours of the other half, mirrored at the edges: sample i lies between
/// neighbours `i - back` and `i + 1 - back`.
#[inline]
fn between(row: &mut [i32], other: &[i32], back: usize, change: impl Fn(i32, i32) -> i32) {
    let (Some(first), Some(last)) = (other.first(), other.last()) else {
        return;
    };
    let (head, row) = row.split_at_mut(back.min(row.len()));
    for x in head {
        *x = change(*x, first.wrapping_add(*first));
    }
    let inner = row.len().min(other.len() - 1);
    let (inner, edge) = row.split_at_mut(inner);
    let sums = other.iter().zip(other.iter().skip(1));
    for (x, (a, b)) in inner.iter_mut().zip(sums) {
        *x = change(*x, a.wrapping_add(*b));
    }
    for x in edge {
        *x = change(*x, last.wrapping_add(*last));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]

    use super::*;

    fn noise(count: usize) -> Vec<i32> {
        let mut state = 0x1234_5678_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state.cast_signed()) >> 8
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn planes_of_any_size_come_back() {
        for width in 0..20 {
            for height in 0..20 {
                let plane = noise(width * height);
                for levels in [0, 1, 3, 10] {
                    let bands = forward(plane.clone(), width, height, levels);
                    let sizes = parts(width, height, levels);
                    let sizes = sizes.iter().map(|p| p.size.0 * p.size.1);
                    assert!(sizes.eq(bands.iter().map(Vec::len)), "{width}x{height}");
                    assert_eq!(inverse(bands, width, height, levels), plane);
                }
            }
        }
    }

    #[test]
    fn a_flat_plane_has_no_details() {
        let bands = forward(vec![77; 33 * 18], 33, 18, 3);
        assert!(bands[0].iter().all(|&v| v == 77));
        assert!(bands[1..].iter().flatten().all(|&v| v == 0));
    }

    #[test]
    fn norms_are_those_of_the_synthesis() {
        for part in parts(256, 256, 4) {
            let index = parts(256, 256, 4)
                .iter()
                .position(|p| *p == part)
                .unwrap_or(0);
            let mut bands = forward(vec![0; 256 * 256], 256, 256, 4);
            let middle = part.size.1 / 2 * part.size.0 + part.size.0 / 2;
            bands[index][middle] = 1 << 12;
            let plane = inverse(bands, 256, 256, 4);
            let energy: f64 = plane.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            let norm = energy.sqrt() / 4096.0;
            let stated = (f64::from(part.norm) / 64.0).exp2();
            assert!(
                (norm / stated - 1.0).abs() < 0.03,
                "{part:?} {norm} {stated}"
            );
        }
    }
}
