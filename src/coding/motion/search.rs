//! The search for motion: a coarse one in wide windows, then ever finer steps from what is likely.

use std::sync::LazyLock;

use super::plane::{Padded, Reference};
use super::predict::{kept, luma_places, mean};
use super::{CELL, Cell, FARTHEST, Field, Mode, SPLIT, Size, Vector};

/// Side of the samples that one coarse sample is the mean of.
const COARSE: usize = 4;
/// Coarse samples searched in each direction.
const WINDOW: i32 = 8;
/// Side of what is compared around the middle of a block, in coarse samples.
const AROUND: usize = 8;
/// Most steps of one length.
const STEPS: usize = 16;
/// Bits that the levels of a flat cell take.
const FLAT: u32 = 24;
/// Penalties up to which a block is not looked for far away: a quarter of a grey level per sample, of 256.
const NEAR: u32 = 32;
/// Side of a block.
const BLOCK: usize = CELL * SPLIT;

/// A picture prepared for searching: it may be looked for, and in.
#[derive(Debug, Clone)]
pub struct Sight {
    reference: Reference,
    sizes: Vec<Size>,
    coarse: Padded,
}

impl Sight {
    /// Prepares a picture; as [`Reference::new`].
    #[must_use]
    pub fn new(planes: &[Vec<u16>], sizes: &[Size], max: u16) -> Self {
        let reference = Reference::new(planes, sizes, max);
        let coarse = reference.luma().map(|[plain, ..]| coarse(plain));
        Self {
            reference,
            sizes: sizes.to_vec(),
            coarse: coarse.unwrap_or_default(),
        }
    }

    /// The picture as a reference.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    fn luma(&self) -> Option<(&[Padded; 4], Size)> {
        self.reference.luma().zip(self.sizes.first().copied())
    }

    /// How different another picture is after coarse motion, and how different this one is from the means of its
    /// blocks: sums over the same samples.
    #[must_use]
    pub fn difference(&self, other: &Self) -> (u64, u64) {
        let (mut moved, mut flat) = (0, 0);
        for y in (0..self.coarse.height).step_by(BLOCK / COARSE) {
            for x in (0..self.coarse.width).step_by(BLOCK / COARSE) {
                let place = (x * COARSE / CELL, y * COARSE / CELL);
                moved += u64::from(self.coarse_vector(other, place, 0).0);
                let (x, y) = coarse_place(place);
                let samples: Vec<u16> = self
                    .coarse
                    .rows::<AROUND>(x, y)
                    .take(AROUND)
                    .flatten()
                    .copied()
                    .collect();
                let count = u32::try_from(samples.len()).unwrap_or(1).max(1);
                let mean = samples.iter().map(|s| u32::from(*s)).sum::<u32>() / count;
                flat += samples
                    .iter()
                    .map(|s| u64::from(u32::from(*s).abs_diff(mean)))
                    .sum::<u64>();
            }
        }
        (moved, flat)
    }

    /// The best vector among coarse ones for a block with its first cell at a place, and the sum of differences.
    fn coarse_vector(&self, other: &Self, place: (usize, usize), penalty: u32) -> (u32, Vector) {
        let (x, y) = coarse_place(place);
        let mut own = [[0; AROUND]; AROUND];
        for (own, row) in own.iter_mut().zip(self.coarse.rows::<AROUND>(x, y)) {
            *own = *row;
        }
        let mut best = (u32::MAX, Vector::default());
        for (right, down) in window() {
            let rows = other.coarse.rows::<AROUND>(x + right, y + down);
            let mut sum = penalty * (down.unsigned_abs() + right.unsigned_abs());
            let mut left = AROUND;
            for (a, b) in own.iter().zip(rows) {
                sum += differences(a, b, b);
                left -= 1;
                if sum >= best.0 {
                    break;
                }
            }
            if left == 0 && sum < best.0 {
                let quarters = |at: i32| i16::try_from(at * 16).unwrap_or(0);
                let vector = Vector {
                    x: quarters(right),
                    y: quarters(down),
                };
                best = (sum, vector);
            }
        }
        best
    }
}

/// Places in the window, the nearest first: so the first ones tell early that others are worse.
fn window() -> impl Iterator<Item = (i32, i32)> {
    static PLACES: LazyLock<Vec<(i32, i32)>> = LazyLock::new(|| {
        let rows = -WINDOW..=WINDOW;
        let places = rows.flat_map(|down| (-WINDOW..=WINDOW).map(move |right| (right, down)));
        let mut places: Vec<(i32, i32)> = places.collect();
        places.sort_by_key(|(right, down)| right.abs() + down.abs());
        places
    });
    PLACES.iter().copied()
}

/// Where the coarse samples that are compared for a block begin.
fn coarse_place((x, y): (usize, usize)) -> (i32, i32) {
    let place = |at: usize| {
        let at = i32::try_from(at * CELL / COARSE).unwrap_or(0);
        let beyond = AROUND - BLOCK / COARSE;
        at - i32::try_from(beyond / 2).unwrap_or(0)
    };
    (place(x), place(y))
}

/// A plane of means.
fn coarse(plain: &Padded) -> Padded {
    let (width, height) = (plain.width.div_ceil(COARSE), plain.height.div_ceil(COARSE));
    let mut means = Vec::with_capacity(width * height);
    let mut sums = vec![0_u32; width];
    for y in 0..height {
        sums.fill(0);
        for row in y * COARSE..(y + 1) * COARSE {
            let row = plain.row(0, i32::try_from(row).unwrap_or(0), width * COARSE);
            for (sum, four) in sums.iter_mut().zip(row.as_chunks::<COARSE>().0) {
                *sum += four.iter().map(|s| u32::from(*s)).sum::<u32>();
            }
        }
        means.extend(sums.iter().map(|sum| u16::try_from(sum / 16).unwrap_or(0)));
    }
    Padded::new(&means, width, height)
}

/// Looks for the cells of `picture` in one or two references. `penalty`: what a bit costs in sums of differences;
/// `max`: the greatest sample.
#[must_use]
pub fn search(picture: &Sight, references: [Option<&Sight>; 2], penalty: u32, max: u16) -> Field {
    let luma = picture.sizes.first().copied().unwrap_or(Size {
        width: 0,
        height: 0,
        columns: 1,
        rows: 1,
    });
    let mut search = Search {
        picture,
        references,
        penalty,
        max,
        field: Field::still(luma),
    };
    for y in (0..search.field.rows).step_by(SPLIT) {
        for x in (0..search.field.columns).step_by(SPLIT) {
            search.block(x, y);
        }
    }
    search.field
}

struct Search<'a> {
    picture: &'a Sight,
    references: [Option<&'a Sight>; 2],
    penalty: u32,
    max: u16,
    field: Field,
}

/// What was found for a piece: its cost and what it is predicted from.
type Found = (u32, Cell);

/// What was found in one reference: its cost, the vector, where, and the likely vector.
type Single<'a> = (u32, Vector, &'a [Padded; 4], Vector);

/// Bits of what a vector differs from the likely one by.
fn bits(vector: Vector, likely: Vector) -> u32 {
    let part = |a: i16, b: i16| match a.abs_diff(b) {
        0 => 1,
        d => 3 + 2 * u32::from(d).ilog2(),
    };
    part(vector.x, likely.x) + part(vector.y, likely.y)
}

impl Search<'_> {
    fn block(&mut self, x: usize, y: usize) {
        let (whole, cell) = self.piece::<BLOCK>((x, y), None);
        let places = self.field.block(x, y, SPLIT);
        let mut parts = self.penalty * 2;
        // A block that costs next to nothing is not split.
        if whole > self.penalty * 8 {
            for place in &places {
                let (cost, cell) = self.piece::<CELL>(*place, Some(cell.vectors));
                parts += cost;
                self.field.set(place.0, place.1, cell);
            }
            if parts < whole {
                return;
            }
        }
        let cell = self.leveled(cell, (x, y), SPLIT);
        for (x, y) in places {
            self.field.set(x, y, cell);
        }
    }

    /// The best for a piece of `N` samples with its first cell at `place`; `hints`: the vectors of its block.
    fn piece<const N: usize>(&self, place: (usize, usize), hints: Option<[Vector; 2]>) -> Found {
        let (x, y) = place;
        let at = [x, y].map(|at| i32::try_from(at * CELL).unwrap_or(0));
        let at = (at[0], at[1]);
        let size = N / CELL;
        let own: [[u16; N]; N] = self.own(at);
        let mut best = self.flat(&own);
        let mut singles: [Option<Single<'_>>; 2] = [None; 2];
        let around = [
            self.field.at(x.wrapping_sub(1), y).vectors,
            self.field.at(x, y.wrapping_sub(1)).vectors,
        ];
        for (which, single) in singles.iter_mut().enumerate() {
            let sight = self.references.get(which).copied().flatten();
            let Some((sight, (halves, _))) = sight.and_then(|s| Some((s, s.luma()?))) else {
                continue;
            };
            let likely = self.field.likely(place, size, which);
            let of = |vectors: [Vector; 2]| vectors.get(which).copied().unwrap_or_default();
            let look = Look {
                own: &own,
                other: None,
                halves,
                at,
                likely,
                penalty: self.penalty,
            };
            let near = [likely, Vector::default(), of(around[0]), of(around[1])];
            let start = look.start((u32::MAX, likely), &near);
            let found = match hints {
                Some(hints) => {
                    let start = look.start(start, &[of(hints)]);
                    look.walk(start, &[2, 1])
                }
                // A copy needs no look around, and what is nearly one none far away.
                None if start.0 <= self.penalty * 4 => start,
                None if start.0 <= self.penalty * NEAR => look.walk(start, &[4, 2, 1]),
                None => {
                    let coarse = self.picture.coarse_vector(sight, place, self.penalty / 2);
                    let start = look.start(start, &[coarse.1]);
                    look.walk(start, &[4, 2, 1])
                }
            };
            *single = Some((found.0, found.1, halves, likely));
            let mode = [Mode::First, Mode::Second].get(which).copied();
            let mut cell = Cell {
                mode: mode.unwrap_or_default(),
                ..Cell::default()
            };
            if let Some(vector) = cell.vectors.get_mut(which) {
                *vector = found.1;
            }
            let cost = found.0 + self.penalty * 2;
            if cost < best.0 {
                best = (cost, cell);
            }
        }
        if let [Some(first), Some(second)] = singles
            && best.0 > self.penalty * 4
        {
            let (cost, vectors) = self.both(&own, at, first, second);
            if cost < best.0 {
                let cell = Cell {
                    mode: Mode::Both,
                    vectors,
                    ..Cell::default()
                };
                best = (cost, cell);
            }
        }
        best.1 = self.leveled(best.1, place, size);
        best
    }

    /// The best pair of vectors around those that are best alone.
    fn both<const N: usize>(
        &self,
        own: &[[u16; N]; N],
        at: (i32, i32),
        first: Single<'_>,
        second: Single<'_>,
    ) -> (u32, [Vector; 2]) {
        let refine = |fixed: Vector, from: Single<'_>, free: Single<'_>| {
            let look = Look {
                own,
                other: Some(predicted(from.2, fixed, at)),
                halves: free.2,
                at,
                likely: free.3,
                penalty: self.penalty,
            };
            let start = look.start((u32::MAX, free.1), &[free.1]);
            let found = look.walk(start, &[2, 1]);
            let rest = self.penalty * (1 + bits(fixed, from.3));
            (found.0.saturating_add(rest), found.1)
        };
        let (_, b) = refine(first.1, first, second);
        let (cost, a) = refine(b, second, first);
        (cost, [a, b])
    }

    fn own<const N: usize>(&self, (x, y): (i32, i32)) -> [[u16; N]; N] {
        let mut own = [[0; N]; N];
        if let Some(([plain, ..], _)) = self.picture.luma() {
            for (own, row) in own.iter_mut().zip(plain.rows::<N>(x, y)) {
                *own = *row;
            }
        }
        own
    }

    /// One value for all of a piece.
    fn flat<const N: usize>(&self, own: &[[u16; N]; N]) -> Found {
        let count = u32::try_from(N * N).unwrap_or(1).max(1);
        let mean = own.iter().flatten().map(|s| u32::from(*s)).sum::<u32>() / count;
        let mean = [u16::try_from(mean).unwrap_or(0); N];
        let cost: u32 = own.iter().map(|row| differences(row, &mean, &mean)).sum();
        let cell = Cell {
            mode: Mode::Flat,
            ..Cell::default()
        };
        // Rather something like it than nothing.
        (cost + cost / 4 + FLAT * self.penalty, cell)
    }

    /// The cell, with levels if it is flat.
    fn leveled(&self, mut cell: Cell, (x, y): (usize, usize), size: usize) -> Cell {
        if cell.mode != Mode::Flat {
            return cell;
        }
        let planes = self
            .picture
            .reference
            .planes
            .iter()
            .zip(&self.picture.sizes);
        for (level, (plane, scale)) in cell.levels.iter_mut().zip(planes) {
            let part = |at: usize, factor: usize| at * CELL / factor.max(1);
            let place = |at: usize, factor: usize| i32::try_from(part(at, factor)).unwrap_or(0);
            let (left, top) = (place(x, scale.columns), place(y, scale.rows));
            let (width, height) = (part(size, scale.columns), part(size, scale.rows));
            let plain = plane.plain();
            let rows = (top..).take(height).map(|y| plain.row(left, y, width));
            let (mut sum, mut count) = (0_u64, 0_u64);
            for sample in rows.flatten() {
                sum += u64::from(*sample);
                count += 1;
            }
            let scaled = sum * 256 / (count.max(1) * (u64::from(self.max) + 1));
            *level = u8::try_from(scaled).unwrap_or(u8::MAX);
        }
        cell
    }
}

/// What is at a vector's place.
fn predicted<const N: usize>(
    halves: &[Padded; 4],
    vector: Vector,
    at: (i32, i32),
) -> [[u16; N]; N] {
    let mut out = [[0; N]; N];
    let vector = kept(vector, at, &halves[0]);
    let [a, b] = luma_places(halves, vector, at).map(|(plane, x, y)| plane.rows::<N>(x, y));
    for (out, (a, b)) in out.iter_mut().zip(a.zip(b)) {
        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = mean(*a, *b);
        }
    }
    out
}

/// A search for one vector.
struct Look<'a, const N: usize> {
    own: &'a [[u16; N]; N],
    /// What the other reference predicts.
    other: Option<[[u16; N]; N]>,
    halves: &'a [Padded; 4],
    at: (i32, i32),
    likely: Vector,
    penalty: u32,
}

impl<const N: usize> Look<'_, N> {
    /// The cost of a vector, or anything from `most` on.
    fn cost(&self, vector: Vector, most: u32) -> u32 {
        let far = vector.x.abs().max(vector.y.abs()) > FARTHEST;
        if far || kept(vector, self.at, &self.halves[0]) != vector {
            return u32::MAX;
        }
        let mut sum = self.penalty * bits(vector, self.likely);
        let places = luma_places(self.halves, vector, self.at);
        let [a, b] = places.map(|(plane, x, y)| plane.rows::<N>(x, y));
        match &self.other {
            None => {
                for (own, (a, b)) in self.own.iter().zip(a.zip(b)) {
                    sum += differences(own, a, b);
                    if sum >= most {
                        return sum;
                    }
                }
            }
            Some(other) => {
                let rows = self.own.iter().zip(other);
                for ((own, other), (a, b)) in rows.zip(a.zip(b)) {
                    let mut both = *other;
                    for (both, (a, b)) in both.iter_mut().zip(a.iter().zip(b)) {
                        *both = mean(*both, mean(*a, *b));
                    }
                    sum += differences(own, &both, &both);
                    if sum >= most {
                        return sum;
                    }
                }
            }
        }
        sum
    }

    /// The best of what was found and of some vectors more.
    fn start(&self, mut best: (u32, Vector), starts: &[Vector]) -> (u32, Vector) {
        for (i, start) in starts.iter().enumerate() {
            if best.1 == *start && best.0 < u32::MAX || starts.iter().take(i).any(|s| s == start) {
                continue;
            }
            let cost = self.cost(*start, best.0);
            if cost < best.0 {
                best = (cost, *start);
            }
        }
        best
    }

    /// Walks downhill in steps of these lengths.
    fn walk(&self, mut best: (u32, Vector), steps: &[i16]) -> (u32, Vector) {
        for step in steps {
            let mut from = (0, 0);
            for _ in 0..STEPS {
                let centre = best.1;
                let mut way = (0, 0);
                for (right, down) in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
                    // Not back to where it came from.
                    if (-right, -down) != from && self.step(&mut best, centre, (right, down), *step)
                    {
                        way = (right, down);
                    }
                }
                if way == (0, 0) {
                    break;
                }
                from = way;
            }
            if *step < 4 {
                let centre = best.1;
                for way in [(1, 1), (-1, 1), (1, -1), (-1, -1)] {
                    self.step(&mut best, centre, way, *step);
                }
            }
        }
        best
    }

    /// Tries one step; whether it led downhill.
    fn step(&self, best: &mut (u32, Vector), from: Vector, way: (i16, i16), step: i16) -> bool {
        let vector = Vector {
            x: from.x + way.0 * step,
            y: from.y + way.1 * step,
        };
        let cost = self.cost(vector, best.0);
        if cost < best.0 {
            *best = (cost, vector);
        }
        best.1 == vector
    }
}

/// The sum of differences between a row and the mean of two.
#[inline]
fn differences<const N: usize>(own: &[u16; N], a: &[u16; N], b: &[u16; N]) -> u32 {
    let mut sum = 0;
    for (own, (a, b)) in own.iter().zip(a.iter().zip(b)) {
        sum += u32::from(own.abs_diff(mean(*a, *b)));
    }
    sum
}
