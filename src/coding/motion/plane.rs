//! Reference pictures: planes with a margin, and what lies half way between their samples.

use super::{BEYOND, Size};

/// Samples around a plane: as far as a cell may lie outside, with a block and what interpolation needs beyond.
pub(super) const MARGIN: usize = 40;

/// A plane with a margin in which its edges go on.
#[derive(Debug, Clone, Default)]
pub(super) struct Padded {
    pub(super) width: usize,
    pub(super) height: usize,
    stride: usize,
    cells: Vec<u16>,
}

impl Padded {
    /// Missing samples count as 0.
    pub(super) fn new(samples: &[u16], width: usize, height: usize) -> Self {
        let stride = width + 2 * MARGIN;
        let mut cells = Vec::with_capacity(stride * (height + 2 * MARGIN));
        let blank = vec![0; width];
        let mut rows = samples.chunks_exact(width.max(1));
        let mut last = blank.as_slice();
        for y in 0..height {
            last = rows.next().unwrap_or(&blank);
            let copies = if y == 0 { 1 + MARGIN } else { 1 };
            for _ in 0..copies {
                push(&mut cells, last);
            }
        }
        for _ in 0..MARGIN {
            push(&mut cells, last);
        }
        Self {
            width,
            height,
            stride,
            cells,
        }
    }

    /// What begins at a place, which may lie up to the margin outside; nothing beyond it.
    #[inline]
    fn from(&self, x: i32, y: i32) -> &[u16] {
        let place = |at: i32| usize::try_from(at).ok()?.checked_add(MARGIN);
        let inside = |at: i32| match at {
            0.. => place(at),
            _ => MARGIN.checked_sub(usize::try_from(at.unsigned_abs()).ok()?),
        };
        let start = inside(x)
            .filter(|x| *x < self.stride)
            .zip(inside(y))
            .and_then(|(x, y)| y.checked_mul(self.stride)?.checked_add(x));
        start
            .and_then(|start| self.cells.get(start..))
            .unwrap_or_default()
    }

    /// `length` samples from a place on, which may lie up to the margin outside; nothing beyond it.
    #[inline]
    pub(super) fn row(&self, x: i32, y: i32, length: usize) -> &[u16] {
        self.from(x, y).get(..length).unwrap_or_default()
    }

    /// Rows of `N` samples downwards from a place on.
    #[inline]
    pub(super) fn rows<const N: usize>(&self, x: i32, y: i32) -> impl Iterator<Item = &[u16; N]> {
        let rows = self.from(x, y).chunks(self.stride.max(1));
        rows.map_while(|row| row.first_chunk::<N>())
    }

    /// The plane itself, and what lies half a sample to the right, downwards, and both.
    fn halves(self, max: u16) -> [Self; 4] {
        let mut sums = vec![0; self.cells.len()];
        six(&self.cells, 1, &mut sums, |sum| sum);
        let (width, height, stride) = (self.width, self.height, self.stride);
        let plane = |cells| Self {
            width,
            height,
            stride,
            cells,
        };
        let blank = || vec![0; self.cells.len()];
        let (mut right, mut down, mut both) = (blank(), blank(), blank());
        for (out, sum) in right.iter_mut().zip(&sums) {
            *out = rounded(*sum, 5, max);
        }
        six(&self.cells, self.stride, &mut down, |sum| {
            rounded(sum, 5, max)
        });
        six(&sums, self.stride, &mut both, |sum| rounded(sum, 10, max));
        let [right, down, both] = [right, down, both].map(plane);
        [self, right, down, both]
    }
}

/// Appends a row with its margins.
fn push(cells: &mut Vec<u16>, row: &[u16]) {
    let ends = [row.first(), row.last()];
    let [first, last] = ends.map(|sample| [sample.copied().unwrap_or(0); MARGIN]);
    cells.extend_from_slice(&first);
    cells.extend_from_slice(row);
    cells.extend_from_slice(&last);
}

/// Fills `out` with what `finish` makes of 32 times what lies half way from each cell to that `step` on; cells without
/// six around them are left alone.
#[inline]
fn six<T: Copy + Into<i32>, U>(cells: &[T], step: usize, out: &mut [U], finish: impl Fn(i32) -> U) {
    let inner = cells.len().saturating_sub(5 * step);
    let from = |i: usize| cells.get(i * step..i * step + inner).unwrap_or_default();
    let outer = from(0).iter().zip(from(5)).zip(from(1).iter().zip(from(4)));
    let all = outer.zip(from(2).iter().zip(from(3)));
    for (out, (((a, f), (b, e)), (c, d))) in out.iter_mut().skip(2 * step).zip(all) {
        let sum = |a: &T, b: &T| -> i32 { (*a).into() + (*b).into() };
        *out = finish(sum(a, f) - 5 * sum(b, e) + 20 * sum(c, d));
    }
}

/// A sum shifted back to a sample.
#[inline]
fn rounded(sum: i32, shift: u32, max: u16) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of samples"
    )]
    {
        ((sum + (1 << shift >> 1)) >> shift).clamp(0, i32::from(max)) as u16
    }
}

/// One plane of a reference.
#[derive(Debug, Clone)]
pub(super) enum Plane {
    /// With as many samples as luma: itself, and halves to the right, downwards, both.
    Halves(Box<[Padded; 4]>),
    /// With fewer.
    Coarse(Padded),
}

impl Plane {
    /// The plane itself.
    #[inline]
    pub(super) fn plain(&self) -> &Padded {
        match self {
            Self::Halves(halves) => {
                let [plain, ..] = halves.as_ref();
                plain
            }
            Self::Coarse(plain) => plain,
        }
    }
}

/// A picture to predict others from.
#[derive(Debug, Clone)]
pub struct Reference {
    pub(super) planes: Vec<Plane>,
}

impl Reference {
    /// A reference from the planes of a picture; the first one is luma, `max` the greatest sample, below 2^16.
    /// Samples that are missing count as 0.
    #[must_use]
    pub fn new(planes: &[Vec<u16>], sizes: &[Size], max: u16) -> Self {
        let plane = |(samples, size): (&Vec<u16>, &Size)| {
            let plain = Padded::new(samples, size.width, size.height);
            if (size.columns, size.rows) == (1, 1) {
                Plane::Halves(Box::new(plain.halves(max)))
            } else {
                Plane::Coarse(plain)
            }
        };
        Self {
            planes: planes.iter().zip(sizes).map(plane).collect(),
        }
    }

    /// Luma, and halves.
    pub(super) fn luma(&self) -> Option<&[Padded; 4]> {
        match self.planes.first() {
            Some(Plane::Halves(halves)) => Some(halves),
            _ => None,
        }
    }
}

/// A place near a plane, kept where its margin can serve it.
#[inline]
pub(super) fn near(at: i32, size: usize) -> i32 {
    let size = i32::try_from(size).unwrap_or(i32::MAX - BEYOND);
    at.clamp(-BEYOND, size + BEYOND - 1)
}

/// The two places whose mean lies at a quarter (rows of four downwards): for each the plane and the samples to the
/// right and down. ITU-T H.264, table 8-12.
pub(super) const QUARTERS: [[(usize, i32, i32); 2]; 16] = [
    [(0, 0, 0), (0, 0, 0)],
    [(0, 0, 0), (1, 0, 0)],
    [(1, 0, 0), (1, 0, 0)],
    [(1, 0, 0), (0, 1, 0)],
    [(0, 0, 0), (2, 0, 0)],
    [(1, 0, 0), (2, 0, 0)],
    [(1, 0, 0), (3, 0, 0)],
    [(1, 0, 0), (2, 1, 0)],
    [(2, 0, 0), (2, 0, 0)],
    [(2, 0, 0), (3, 0, 0)],
    [(3, 0, 0), (3, 0, 0)],
    [(3, 0, 0), (2, 1, 0)],
    [(2, 0, 0), (0, 0, 1)],
    [(1, 0, 1), (2, 0, 0)],
    [(3, 0, 0), (1, 0, 1)],
    [(1, 0, 1), (2, 1, 0)],
];
