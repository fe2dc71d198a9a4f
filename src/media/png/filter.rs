//! Row filters (PNG, clause 9) and how a recipe keeps which row has which.

use crate::coding::binary::{Coder, Decoder, Encoder, Symbol};
use crate::media::error::Error;

/// Undoes the filter of a row in place; `above` is the unfiltered row before it, `step` the bytes of a pixel, at
/// least 1.
pub(super) fn undo(kind: u8, step: usize, above: &[u8], row: &mut [u8]) -> Result<(), Error> {
    match step {
        1 => undo_by::<1>(kind, above, row),
        2 => undo_by::<2>(kind, above, row),
        3 => undo_by::<3>(kind, above, row),
        4 => undo_by::<4>(kind, above, row),
        6 => undo_by::<6>(kind, above, row),
        8 => undo_by::<8>(kind, above, row),
        _ => Err(Error::Format("a pixel of odd size")),
    }
}

fn undo_by<const STEP: usize>(kind: u8, above: &[u8], row: &mut [u8]) -> Result<(), Error> {
    let mut left = [0_u8; STEP];
    match kind {
        0 => {}
        1 => {
            for pixel in row.as_chunks_mut::<STEP>().0 {
                for (x, a) in pixel.iter_mut().zip(&mut left) {
                    *x = x.wrapping_add(*a);
                    *a = *x;
                }
            }
        }
        2 => {
            for (x, b) in row.iter_mut().zip(above) {
                *x = x.wrapping_add(*b);
            }
        }
        3 => {
            let above = above.as_chunks::<STEP>().0;
            for (pixel, up) in row.as_chunks_mut::<STEP>().0.iter_mut().zip(above) {
                for ((x, a), b) in pixel.iter_mut().zip(&mut left).zip(up) {
                    *x = x.wrapping_add(mean(*a, *b));
                    *a = *x;
                }
            }
        }
        4 => {
            let mut corner = [0_u8; STEP];
            let above = above.as_chunks::<STEP>().0;
            for (pixel, up) in row.as_chunks_mut::<STEP>().0.iter_mut().zip(above) {
                for (((x, a), b), c) in pixel.iter_mut().zip(&mut left).zip(up).zip(&corner) {
                    *x = x.wrapping_add(paeth(*a, *b, *c));
                    *a = *x;
                }
                corner = *up;
            }
        }
        _ => return Err(Error::Format("a row filter above 4")),
    }
    Ok(())
}

/// Filters a row into `out`, which has its length.
pub(super) fn apply(kind: u8, step: usize, above: &[u8], row: &[u8], out: &mut [u8]) {
    let step = step.min(row.len());
    // The first pixel has zeros to its left.
    let (first, rest) = row.split_at(step);
    let (first_above, rest_above) = above.split_at(step.min(above.len()));
    let (first_out, rest_out) = out.split_at_mut(step.min(out.len()));
    match kind {
        1 => {
            first_out.copy_from_slice(first);
            for (o, (x, a)) in rest_out.iter_mut().zip(rest.iter().zip(row)) {
                *o = x.wrapping_sub(*a);
            }
        }
        2 => {
            for (o, (x, b)) in out.iter_mut().zip(row.iter().zip(above)) {
                *o = x.wrapping_sub(*b);
            }
        }
        3 => {
            for (o, (x, b)) in first_out.iter_mut().zip(first.iter().zip(first_above)) {
                *o = x.wrapping_sub(b >> 1);
            }
            let around = row.iter().zip(rest_above);
            for (o, (x, (a, b))) in rest_out.iter_mut().zip(rest.iter().zip(around)) {
                *o = x.wrapping_sub(mean(*a, *b));
            }
        }
        4 => {
            for (o, (x, b)) in first_out.iter_mut().zip(first.iter().zip(first_above)) {
                *o = x.wrapping_sub(*b);
            }
            let around = row.iter().zip(rest_above).zip(above);
            for (o, (x, ((a, b), c))) in rest_out.iter_mut().zip(rest.iter().zip(around)) {
                *o = x.wrapping_sub(paeth(*a, *b, *c));
            }
        }
        _ => out.copy_from_slice(row),
    }
}

/// The mean rounded down, without a ninth bit.
fn mean(a: u8, b: u8) -> u8 {
    (a & b) + ((a ^ b) >> 1)
}

/// The neighbour nearest to left + above - corner (PNG, 9.4).
#[expect(
    clippy::many_single_char_names,
    reason = "the names of the specification"
)]
fn paeth(a: u8, b: u8, c: u8) -> u8 {
    let (x, y, z) = (i16::from(a), i16::from(b), i16::from(c));
    let (p, q) = (y - z, x - z);
    let (da, db, dc) = (p.abs(), q.abs(), (p + q).abs());
    let second = if db <= dc { b } else { c };
    if da <= db && da <= dc { a } else { second }
}

/// The filter with the least sum of absolute values, which is what most encoders take; `out` holds its row then.
pub(super) fn best(step: usize, above: &[u8], row: &[u8], trial: &mut [u8], out: &mut [u8]) -> u8 {
    let mut least = u64::MAX;
    let mut chosen = 0;
    for kind in [4, 1, 2] {
        apply(kind, step, above, row, trial);
        let cost = |byte: &u8| u32::from(byte.cast_signed().unsigned_abs());
        let sum = trial
            .chunks(1 << 16)
            .map(|part| u64::from(part.iter().map(cost).sum::<u32>()))
            .sum();
        if sum < least {
            (least, chosen) = (sum, kind);
            out.copy_from_slice(trial);
        }
    }
    chosen
}

/// Codes the filters of rows (0..=4 each), about a bit each or nothing where they do not change.
pub(super) fn pack(kinds: &[u8]) -> Vec<u8> {
    let mut coder = Encoder::new();
    code(&mut coder, kinds.len(), |at| {
        kinds.get(at).copied().unwrap_or(0)
    });
    coder.finish()
}

/// The filters of `count` rows.
pub(super) fn unpack(bytes: &[u8], count: usize) -> Vec<u8> {
    code(&mut Decoder::new(bytes), count, |_| 0)
}

fn code(coder: &mut impl Coder, count: usize, given: impl Fn(usize) -> u8) -> Vec<u8> {
    // By the two rows before.
    let mut models = vec![Symbol::<3>::new(); 64];
    let (mut context, mut kinds) = (0, Vec::with_capacity(count));
    for at in 0..count {
        let mut spare = Symbol::new();
        let model = models.get_mut(context).unwrap_or(&mut spare);
        let kind = model.code(coder, given(at));
        context = (context << 3 | usize::from(kind)) & 63;
        kinds.push(kind);
    }
    kinds
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_is_undone() {
        let mut state = 12345_u32;
        let mut noise = |n: usize| -> Vec<u8> {
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_le_bytes()[3]
            };
            (0..n).map(next).collect()
        };
        for step in [1, 2, 3, 4, 6, 8] {
            for pixels in [1, 2, 5, 64] {
                let (above, row) = (noise(step * pixels), noise(step * pixels));
                for kind in 0..=4 {
                    let mut filtered = vec![0; row.len()];
                    apply(kind, step, &above, &row, &mut filtered);
                    undo(kind, step, &above, &mut filtered).unwrap();
                    assert_eq!(filtered, row, "filter {kind}, step {step}, {pixels} pixels");
                }
            }
        }
        assert!(undo(5, 3, &[0; 3], &mut [0; 3]).is_err());
    }

    #[test]
    fn kinds_of_rows_are_kept() {
        let kinds: Vec<u8> = (0..1000_u32)
            .map(|i| u8::try_from(i * i % 5).unwrap())
            .collect();
        assert_eq!(unpack(&pack(&kinds), 1000), kinds);
        let same = vec![4; 100_000];
        assert!(pack(&same).len() < 20);
        assert_eq!(unpack(&pack(&same), 100_000), same);
        assert_eq!(unpack(&[], 3).len(), 3);
    }
}
