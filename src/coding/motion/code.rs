//! Fields as bits: the splits of blocks, modes, and what vectors differ from likely ones by.

use super::{Cell, FARTHEST, Field, Mode, SPLIT, Vector};
use crate::coding::binary::{Bit, Coder, Number};

/// What the blocks of a field are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// 16x16 samples, or split into cells, with vectors in quarters.
    Fine,
    /// So many cells along a side, never split, with vectors in this unit.
    Coarse(usize, i16),
}

/// Adaptive models of fields; several fields may be coded with the same, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Models {
    /// By whether the block before was split.
    split: (Bit, Bit),
    /// Flat, both, second; by the modes to the left and above.
    modes: [[Bit; 3]; 16],
    /// Whether a vector is the likely one; by the size of the piece and whether that of the other reference was.
    same: [Bit; 6],
    parts: [Part; 2],
}

/// Models of one direction of vectors.
#[derive(Debug, Clone, Default)]
struct Part {
    /// Nothing between it and the likely one, by reference.
    zero: [Bit; 2],
    negative: [Bit; 2],
    length: [Number; 2],
}

/// What a field may hold.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    references: usize,
    planes: usize,
    unit: i16,
}

impl Models {
    /// Codes a field: the one passed in when encoding; when decoding its size counts, and it is filled. `references`: 1
    /// where there is but the first one, else 2; `planes`: those of a picture, at most 4. Any bits give some field.
    pub fn code(
        &mut self,
        coder: &mut impl Coder,
        field: &mut Field,
        blocks: Blocks,
        references: usize,
        planes: usize,
    ) {
        let (side, unit) = match blocks {
            Blocks::Fine => (SPLIT, 1),
            Blocks::Coarse(side, unit) => (side.max(1), unit.max(1)),
        };
        let bounds = Bounds {
            references,
            planes,
            unit,
        };
        let mut before = false;
        for y in (0..field.rows).step_by(side) {
            for x in (0..field.columns).step_by(side) {
                let places = field.block(x, y, side);
                let first = field.at(x, y);
                let mut split = blocks == Blocks::Fine;
                if split {
                    let differ = places.iter().any(|&(x, y)| field.at(x, y) != first);
                    let (joined, divided) = &mut self.split;
                    let model = if before { divided } else { joined };
                    split = coder.bit(model, differ);
                    before = split;
                }
                if split {
                    for (x, y) in places {
                        let cell = self.cell(coder, field, (x, y), 1, bounds);
                        field.set(x, y, cell);
                    }
                } else {
                    let cell = self.cell(coder, field, (x, y), side, bounds);
                    for (x, y) in places {
                        field.set(x, y, cell);
                    }
                }
            }
        }
    }

    /// Codes a piece of `size` cells with its first one at `place`.
    fn cell(
        &mut self,
        coder: &mut impl Coder,
        field: &Field,
        place: (usize, usize),
        size: usize,
        bounds: Bounds,
    ) -> Cell {
        let (x, y) = place;
        let wanted = field.at(x, y);
        let around = field.at(x.wrapping_sub(1), y).mode as usize * 4
            + field.at(x, y.wrapping_sub(1)).mode as usize;
        let mut spare = [Bit::new(); 3];
        let [flat, both, second] = self.modes.get_mut(around).unwrap_or(&mut spare);
        let mode = if coder.bit(flat, wanted.mode == Mode::Flat) {
            Mode::Flat
        } else if bounds.references < 2 {
            Mode::First
        } else if coder.bit(both, wanted.mode == Mode::Both) {
            Mode::Both
        } else if coder.bit(second, wanted.mode == Mode::Second) {
            Mode::Second
        } else {
            Mode::First
        };
        let mut cell = Cell {
            mode,
            ..Cell::default()
        };
        if mode == Mode::Flat {
            let levels = cell.levels.iter_mut().zip(wanted.levels);
            for (level, wanted) in levels.take(bounds.planes) {
                *level = u8::try_from(coder.raw(u32::from(wanted), 8) & 0xff).unwrap_or(0);
            }
            return cell;
        }
        let mut other = 0;
        for (which, used) in mode.uses().into_iter().enumerate() {
            let wanted = wanted.vectors.get(which).copied().unwrap_or_default();
            let Some(vector) = cell.vectors.get_mut(which).filter(|_| used) else {
                continue;
            };
            let likely = field.likely(place, size, which);
            let mut spare = Bit::new();
            let context = usize::from(size == 1) * 3 + other;
            let model = self.same.get_mut(context).unwrap_or(&mut spare);
            let same = coder.bit(model, wanted == likely);
            other = 1 + usize::from(same);
            *vector = if same {
                likely
            } else {
                let [across, down] = &mut self.parts;
                let x = across.code(coder, (wanted.x, likely.x), which, bounds.unit, false);
                // One of both differs.
                let y = down.code(
                    coder,
                    (wanted.y, likely.y),
                    which,
                    bounds.unit,
                    x == likely.x,
                );
                Vector { x, y }
            };
        }
        cell
    }
}

impl Part {
    /// Codes one part of a vector against the likely one; `differs`: it is known to differ.
    fn code(
        &mut self,
        coder: &mut impl Coder,
        (wanted, likely): (i16, i16),
        which: usize,
        unit: i16,
        differs: bool,
    ) -> i16 {
        let [mut spare, mut spare_negative] = [Bit::new(); 2];
        let mut spare_length = Number::new();
        let zero = self.zero.get_mut(which).unwrap_or(&mut spare);
        let negative = self.negative.get_mut(which).unwrap_or(&mut spare_negative);
        let length = self.length.get_mut(which).unwrap_or(&mut spare_length);
        let difference = (i32::from(wanted) - i32::from(likely)) / i32::from(unit);
        if !differs && coder.bit(zero, difference == 0) {
            return likely;
        }
        let negative = coder.bit(negative, difference < 0);
        let rest = difference.unsigned_abs().wrapping_sub(1);
        let rest = length.code(coder, rest);
        let far = i32::from(FARTHEST);
        let step = i32::try_from(rest).unwrap_or(far).min(far) + 1;
        let step = if negative { -step } else { step } * i32::from(unit);
        i16::try_from((i32::from(likely) + step).clamp(-far, far)).unwrap_or(0)
    }
}
