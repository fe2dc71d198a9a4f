//! Where to cut the order of significance of a group so that each preview has the quality wanted.

use super::frames::restore;
use super::head::Head;
use super::{Planes, Shape};
use crate::codec::psnr;
use crate::coding::bands::{Layout, Measure, Survey, shifts_at};

/// Tries for each cut.
const TRIES: usize = 4;

/// Sets the cuts of a head for so many previews, and the layer of the fine fields; returns the squared error of each.
///
/// Each cut is the highest that was found to reach its PSNR, and the error never grows from one to the next. Errors
/// foretold by norms are off where samples are cut off and where motion is coarse: frames are restored to measure them.
pub(super) fn find(
    shape: &Shape,
    head: &mut Head,
    layout: &Layout,
    coefficients: &[Vec<i32>],
    frames: &[Planes],
    previews: usize,
) -> Vec<f64> {
    if previews == 0 {
        return Vec::new();
    }
    let survey = Survey::new(coefficients);
    let mut measure = Measure::default();
    measure.add(layout, &survey);
    #[expect(clippy::cast_precision_loss, reason = "2^53 is more than any group's")]
    let count = (shape.counted() * frames.len()) as f64;
    let targets = psnr::targets(previews, None);
    let wanted = |layer: usize| {
        let ratio = targets.get(layer).copied().unwrap_or(1.0);
        psnr::error(f64::from(shape.max), count, ratio)
    };
    let coarse = head.coarse();
    let still = coarse == head.steps;
    head.fine = if still { 0 } else { FINE.min(previews) };
    if head.fine > 0 {
        // What coarse motion alone spoils must leave room for the cut.
        let spoilt = error(&restore(shape, &coarse, coefficients.to_vec()), frames);
        while head.fine > 0 && spoilt * 1.4 > wanted(head.fine - 1) {
            head.fine -= 1;
        }
    }
    let mut errors = Vec::new();
    let mut before = f64::INFINITY;
    let mut ratio = 1.2;
    for layer in 0..previews {
        let wanted = wanted(layer).min(before);
        let steps = if layer < head.fine {
            &coarse
        } else {
            &head.steps
        };
        let mut best: Option<(i16, f64)> = None;
        let mut aim = wanted * (1.0 + NEAR) / 2.0;
        let mut worst = i16::MAX;
        for _ in 0..TRIES {
            let cut = measure.cut(aim / ratio).min(worst);
            if best.is_some_and(|(best, _)| cut <= best) {
                break;
            }
            let shifts = shifts_at(layout, cut);
            let restored = restore(shape, steps, survey.reconstruct(&shifts, coefficients));
            let real = error(&restored, frames);
            let foretold = measure.error(cut);
            if foretold > 0.0 && real > 0.0 {
                ratio = real / foretold;
            }
            if real <= wanted {
                best = Some((cut, real));
                if real > wanted * NEAR {
                    break;
                }
                aim = wanted;
            } else {
                worst = cut.saturating_sub(1);
                aim = aim.min(wanted * (1.0 + NEAR) / 2.0) * 0.98;
            }
        }
        let (cut, error) = best.unwrap_or_else(|| {
            let restored = restore(shape, steps, coefficients.to_vec());
            (i16::MIN, error(&restored, frames))
        });
        head.cuts.push(cut);
        errors.push(error);
        before = error.min(before);
    }
    errors
}

/// The layer that the fine fields are in, where there are so many.
const FINE: usize = 2;
/// How near to the error wanted is near enough: 0.36 dB.
const NEAR: f64 = 0.92;

/// The squared error of restored frames.
#[expect(clippy::cast_precision_loss, reason = "2^53 is more than any group's")]
fn error(restored: &[Planes], frames: &[Planes]) -> f64 {
    let mut error = 0_u64;
    for (restored, frame) in restored.iter().zip(frames) {
        for (a, b) in restored.iter().zip(frame).take(super::COLOURS) {
            for (a, b) in a.chunks(1024).zip(b.chunks(1024)) {
                let squares = a.iter().zip(b).map(|(a, b)| {
                    let difference = u32::from(a.abs_diff(*b));
                    u64::from(difference * difference)
                });
                error += squares.sum::<u64>();
            }
        }
    }
    error as f64
}
