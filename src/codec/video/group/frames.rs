//! Frames to bands and back.

use super::head::{Motion, ONE, Step};
use super::layout::parts;
use super::{Planes, Shape};
use crate::coding::motion::{Reference, predict};
use crate::coding::wavelet;

/// The bands of a still frame.
pub(super) fn still(shape: &Shape, planes: &Planes) -> Vec<Vec<i32>> {
    let middle = shape.middle();
    let mut bands = Vec::new();
    for (plane, size) in planes.iter().zip(&shape.planes) {
        let samples = plane.iter().map(|s| i32::from(*s) - middle).collect();
        let levels = wavelet::levels(size.width, size.height);
        bands.extend(wavelet::forward(samples, size.width, size.height, levels));
    }
    bands
}

/// What the motion and its references say a plane looks like.
pub(super) fn predicted(
    shape: &Shape,
    motion: &Motion,
    references: [Option<&Reference>; 2],
    plane: usize,
) -> Vec<u16> {
    let size = shape.planes.get(plane).copied();
    size.map(|size| predict(&motion.field, references, plane, size, shape.max))
        .unwrap_or_default()
}

/// A predicted sample times a gain in 16ths, around the middle of the range.
#[inline]
pub(super) fn gained(sample: u16, gain: u8, middle: i32) -> i32 {
    // ONE is 2^4.
    middle + (((i32::from(sample) - middle) * i32::from(gain) + i32::from(ONE / 2)) >> 4)
}

/// All frames in their order, from the bands of all steps.
pub(super) fn restore(shape: &Shape, steps: &[Step], bands: Vec<Vec<i32>>) -> Vec<Planes> {
    let mut bands = bands.into_iter();
    let mut frames: Vec<Planes> = vec![Vec::new(); steps.len()];
    let mut references: Vec<Option<Reference>> = vec![None; steps.len()];
    for (number, step) in steps.iter().enumerate() {
        let mut planes = Planes::new();
        for (plane, size) in shape.planes.iter().enumerate() {
            let count = parts(shape, plane, step.motion.is_some()).len();
            let own = bands.by_ref().take(count).collect::<Vec<_>>();
            planes.push(match &step.motion {
                None => {
                    let levels = wavelet::levels(size.width, size.height);
                    let samples = wavelet::inverse(own, size.width, size.height, levels);
                    let middle = shape.middle();
                    let samples = samples.iter().map(|s| s.wrapping_add(middle));
                    samples.map(|s| sample(s, shape.max)).collect()
                }
                Some(motion) => {
                    let known = step
                        .turn
                        .references
                        .map(|r| r.and_then(|r| references.get(r)?.as_ref()));
                    let gain = motion.gains.get(plane).copied().unwrap_or(ONE);
                    let predicted = predicted(shape, motion, known, plane);
                    let rest = own.first().map(Vec::as_slice).unwrap_or_default();
                    added(&predicted, rest, gain, shape)
                }
            });
        }
        let rest = steps.get(number + 1..).unwrap_or_default();
        let needed = |frame: usize| rest.iter().any(|s| s.references().contains(&Some(frame)));
        for (frame, reference) in references.iter_mut().enumerate() {
            if !needed(frame) {
                *reference = None;
            }
        }
        let frame = step.turn.frame;
        if let Some(reference) = references.get_mut(frame).filter(|_| needed(frame)) {
            *reference = Some(Reference::new(&planes, &shape.planes, shape.max));
        }
        if let Some(place) = frames.get_mut(frame) {
            *place = planes;
        }
    }
    frames
}

/// A prediction and what remained.
fn added(predicted: &[u16], rest: &[i32], gain: u8, shape: &Shape) -> Vec<u16> {
    let pairs = predicted.iter().zip(rest);
    if gain == ONE {
        let add = |(p, rest): (&u16, &i32)| sample(rest.wrapping_add(i32::from(*p)), shape.max);
        return pairs.map(add).collect();
    }
    let middle = shape.middle();
    let add = |(p, rest): (&u16, &i32)| {
        let predicted = gained(*p, gain, middle);
        sample(rest.wrapping_add(predicted), shape.max)
    };
    pairs.map(add).collect()
}

#[inline]
fn sample(value: i32, max: u16) -> u16 {
    u16::try_from(value.clamp(0, i32::from(max))).unwrap_or(0)
}
