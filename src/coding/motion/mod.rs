//! Motion: where in other pictures the pieces of a picture are found, and what that predicts.
//!
//! **Terms.** A picture is cut into *cells* of 8x8 luma samples, four of which make a *block*. A cell is predicted
//! from the first of two reference pictures, from the second, from the mean of both, or as flat. A *vector* leads from
//! a cell to a place in a reference, in quarters of a luma sample. A *field* is the cells of a picture, row by row.
//!
//! **Interpolation** is that of ITU-T H.264, 8.4.2.2: halves from six neighbours with the weights 1, -5, 20, 20, -5, 1,
//! quarters as means of the two nearest known places, planes with fewer samples than luma linearly. Other filters
//! predict camera pictures as well, but most video was decoded once, and where it was, this finds exact copies.
//! Beyond its edges a picture goes on as its edge. Everything is integer arithmetic, so that all machines agree.
//!
//! **Use.** An encoder makes a [`Sight`] of each picture and asks [`search`] for fields; both sides write and read them
//! with [`Models`], and [`predict`] planes from [`Reference`]s.

mod code;
mod plane;
mod predict;
mod search;

pub use code::{Blocks, Models};
pub use plane::Reference;
pub use predict::predict;
pub use search::{Sight, search};

/// Side of a cell in luma samples.
pub const CELL: usize = 8;
/// Cells along the side of a block.
const SPLIT: usize = 2;
/// How far beyond the edge of a picture a cell may be found, in samples; vectors that lead farther end there.
const BEYOND: i32 = 20;
/// The longest vector in either direction, in quarters.
const FARTHEST: i16 = 1 << 13;

/// Size of a plane, and how it lies over luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Columns of luma for each, 1, 2 or 4.
    pub columns: usize,
    /// Rows of luma for each, 1, 2 or 4.
    pub rows: usize,
}

/// From a cell to a place in a reference, in quarters of a luma sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vector {
    /// To the right.
    pub x: i16,
    /// Downwards.
    pub y: i16,
}

/// What a cell is predicted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The first reference.
    #[default]
    First,
    /// The second one.
    Second,
    /// The mean of both.
    Both,
    /// One value for each plane.
    Flat,
}

impl Mode {
    /// Whether the first and the second reference are used.
    fn uses(self) -> [bool; 2] {
        match self {
            Self::First => [true, false],
            Self::Second => [false, true],
            Self::Both => [true, true],
            Self::Flat => [false, false],
        }
    }
}

/// How one cell is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// From what.
    pub mode: Mode,
    /// Where to in each reference; zero where it is not used.
    pub vectors: [Vector; 2],
    /// The value of a flat cell in each plane, in 256ths of the range; zero for others.
    pub levels: [u8; 4],
}

/// The cells of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

impl Field {
    /// A field that predicts what lies at the same place in the first reference, for luma of this size.
    #[must_use]
    pub fn still(luma: Size) -> Self {
        let (columns, rows) = (luma.width.div_ceil(CELL), luma.height.div_ceil(CELL));
        Self {
            columns,
            rows,
            cells: vec![Cell::default(); columns * rows],
        }
    }

    /// The same in coarse blocks of `side` cells, with vectors that are multiples of `unit`: what most cells of each
    /// block do.
    #[must_use]
    pub fn coarse(&self, side: usize, unit: i16) -> Self {
        let mut coarse = self.clone();
        for y in (0..self.rows).step_by(side.max(1)) {
            for x in (0..self.columns).step_by(side.max(1)) {
                let places = Self::block(self, x, y, side);
                let cells: Vec<Cell> = places.iter().map(|&(x, y)| self.at(x, y)).collect();
                let count = |mode: Mode| cells.iter().filter(|cell| cell.mode == mode).count();
                let modes = [Mode::First, Mode::Second, Mode::Both, Mode::Flat];
                let mode = modes.into_iter().max_by_key(|mode| count(*mode));
                let mut cell = Cell {
                    mode: mode.unwrap_or_default(),
                    ..Cell::default()
                };
                let alike = || cells.iter().filter(|other| other.mode == cell.mode);
                for (which, used) in cell.mode.uses().into_iter().enumerate() {
                    let part = |part: fn(&Vector) -> i16| {
                        let parts = alike().filter_map(|cell| cell.vectors.get(which).map(part));
                        let middle = middle(parts.collect());
                        (middle + unit / 2).div_euclid(unit.max(1)) * unit
                    };
                    if let (true, Some(vector)) = (used, cell.vectors.get_mut(which)) {
                        *vector = Vector {
                            x: part(|v| v.x),
                            y: part(|v| v.y),
                        };
                    }
                }
                for (plane, level) in cell.levels.iter_mut().enumerate() {
                    let levels = alike().filter_map(|cell| cell.levels.get(plane));
                    *level = middle(levels.copied().collect());
                }
                for (x, y) in places {
                    coarse.set(x, y, cell);
                }
            }
        }
        coarse
    }

    /// The places of the cells of a block, row by row.
    fn block(&self, x: usize, y: usize, side: usize) -> Vec<(usize, usize)> {
        let columns = x..(x + side).min(self.columns);
        let rows = y..(y + side).min(self.rows);
        rows.flat_map(|y| columns.clone().map(move |x| (x, y)))
            .collect()
    }

    /// The cell at a place; a default one outside.
    fn at(&self, x: usize, y: usize) -> Cell {
        self.known(x, y).unwrap_or_default()
    }

    fn known(&self, x: usize, y: usize) -> Option<Cell> {
        let cell = self.cells.get(y.wrapping_mul(self.columns).wrapping_add(x));
        cell.filter(|_| x < self.columns && y < self.rows).copied()
    }

    fn set(&mut self, x: usize, y: usize, cell: Cell) {
        if x < self.columns
            && let Some(place) = self.cells.get_mut(y * self.columns + x)
        {
            *place = cell;
        }
    }

    /// The vector that the neighbours of a piece of `size` cells make likely: the middle one of those to the left,
    /// above, and above to the right, or to the left where that is not known yet.
    fn likely(&self, (x, y): (usize, usize), size: usize, which: usize) -> Vector {
        let known = |x: usize, y: usize| {
            let cell = self.known(x, y);
            let cell = cell.filter(|cell| cell.mode.uses().get(which) == Some(&true));
            cell.and_then(|cell| cell.vectors.get(which).copied())
        };
        let (before, above) = (x.wrapping_sub(1), y.wrapping_sub(1));
        // The last cell of a block has the next block there.
        let last = size == 1 && x % SPLIT == 1 && y % SPLIT == 1;
        let right = known(x + size, above).filter(|_| !last);
        let vectors = [
            known(before, y),
            known(x, above),
            right.or(known(before, above)),
        ];
        let mut found = vectors.into_iter().flatten();
        if let (Some(only), None) = (found.next(), found.next()) {
            return only;
        }
        let three = vectors.map(Option::unwrap_or_default);
        let part = |part: fn(Vector) -> i16| {
            let mut parts = three.map(part);
            parts.sort_unstable();
            parts[1]
        };
        Vector {
            x: part(|v| v.x),
            y: part(|v| v.y),
        }
    }
}

/// The middle one of some numbers in their order.
fn middle<T: Ord + Copy + Default>(mut numbers: Vec<T>) -> T {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
