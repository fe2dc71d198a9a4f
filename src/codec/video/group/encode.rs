//! The encoder of groups.

use super::cuts;
use super::frames::{gained, predicted, still};
use super::head::{Head, Motion, ONE, Step};
use super::layout::layout;
use super::schedule::{Order, Scenes, Turn};
use super::{Error, MOST, PREVIEWS, Planes, Shape};
use crate::coding::bands::{self, Plan, log2_64};
use crate::coding::motion::{Field, Sight, search};

/// A coded group.
#[derive(Debug, Clone, PartialEq)]
pub struct Coded {
    /// Its part of each layer.
    pub parts: Vec<Vec<u8>>,
    /// The squared error of each preview, over all samples but opacity.
    pub errors: Vec<f64>,
}

/// Encodes up to [`MOST`] frames into `previews` (at most [`PREVIEWS`]) previews and a layer that makes them exact.
///
/// # Errors
/// [`Error`] for more, or frames that do not have the shape.
pub fn encode(shape: &Shape, frames: &[Planes], previews: usize) -> Result<Coded, Error> {
    let fits = |planes: &Planes| {
        let sizes = shape.planes.iter().map(|p| p.width * p.height);
        sizes.eq(planes.iter().map(Vec::len))
    };
    if frames.len() > MOST || previews > PREVIEWS || !frames.iter().all(fits) {
        return Err(Error::Format("frames of another shape"));
    }
    // A frame alone is compared with nothing.
    let seen = if frames.len() > 1 { frames } else { &[] };
    let sights = seen
        .iter()
        .map(|frame| Sight::new(frame, &shape.planes, shape.max));
    let sights: Vec<Sight> = sights.collect();
    let mut head = Head {
        scenes: scenes(shape, frames, &sights, previews),
        ..Head::default()
    };
    let mut coefficients = Vec::new();
    for turn in head.scenes.turns() {
        let Some(frame) = frames.get(turn.frame) else {
            continue;
        };
        let (motion, bands) = step(shape, frames, &sights, frame, turn);
        coefficients.extend(bands);
        head.steps.push(Step { turn, motion });
    }
    drop(sights);
    let layout = layout(shape, &head.steps)?;
    let errors = cuts::find(shape, &mut head, &layout, &coefficients, frames, previews);
    let plan = Plan::from_cuts(&layout, &head.cuts);
    let layers = bands::encode(&layout, &plan, &mut coefficients, None)?;
    let (bytes, fine) = head.to_bytes(shape);
    let mut parts = Vec::with_capacity(layers.len());
    for (number, layer) in layers.into_iter().enumerate() {
        let mut part = Vec::new();
        if number == 0 {
            count(&mut part, &bytes);
        }
        if number == head.fine && number > 0 {
            count(&mut part, &fine);
        }
        part.extend(layer);
        parts.push(part);
    }
    Ok(Coded { parts, errors })
}

/// Appends bytes with their length before them.
fn count(part: &mut Vec<u8>, bytes: &[u8]) {
    part.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    part.extend(bytes);
}

/// How different two frames are after coarse motion, in 256ths of what there is to see.
fn difference(frames: &[Planes], sights: &[Sight], frame: usize, before: usize) -> u64 {
    if frames.get(frame) == frames.get(before) {
        return 0;
    }
    let (Some(own), Some(other)) = (sights.get(frame), sights.get(before)) else {
        return u64::MAX;
    };
    let (moved, flat) = own.difference(other);
    moved.saturating_mul(256) / flat.max(1)
}

/// Above this two frames show different things.
const OTHER: u64 = 128;
/// Below it they show the same.
const SAME: u64 = 32;

/// Tells scenes apart: a frame belongs to that whose last frame resembles it most. Where the frame before that one does
/// so far better, the last one was another scene, and is taken out.
fn scenes(shape: &Shape, frames: &[Planes], sights: &[Sight], previews: usize) -> Scenes {
    let mut scenes: Vec<Vec<usize>> = Vec::new();
    for frame in 0..frames.len() {
        let difference = |before: Option<&usize>| {
            before.map_or(u64::MAX, |before| {
                difference(frames, sights, frame, *before)
            })
        };
        let lasts = scenes.iter().map(|scene| difference(scene.last()));
        let best = lasts.zip(0..).min();
        let Some((last, scene)) = best.filter(|(last, _)| *last <= OTHER) else {
            scenes.push(vec![frame]);
            continue;
        };
        let mut apart = None;
        if let Some(scene) = scenes.get_mut(scene) {
            let before = scene.iter().rev().nth(1).filter(|_| last > SAME);
            if before.is_some() && difference(before) * 2 < last {
                apart = scene.pop();
            }
            scene.push(frame);
        }
        scenes.extend(apart.map(|frame| vec![frame]));
    }
    scenes.sort_unstable();
    let mut of = vec![0; frames.len()];
    for (number, scene) in scenes.iter().enumerate() {
        for frame in scene {
            if let Some(place) = of.get_mut(*frame) {
                *place = number;
            }
        }
    }
    let order = |scene: &Vec<usize>| {
        if previews == 0 || is_chain(shape, frames, sights, scene) {
            Order::Chain
        } else {
            Order::Between
        }
    };
    Scenes {
        of,
        orders: scenes.iter().map(order).collect(),
    }
}

/// Whether a scene is much shorter as a chain, as one frame in its middle tells. A chain is worse for previews, since
/// errors go on in it: it must gain an eighth.
fn is_chain(shape: &Shape, frames: &[Planes], sights: &[Sight], scene: &[usize]) -> bool {
    let Some([far, before, frame, after, last]) = scene
        .get(scene.len() / 2 - scene.len().min(4) / 2..)
        .and_then(<[usize]>::first_chunk)
    else {
        return false;
    };
    let cost = |frame: &usize, first: &usize, second: &usize| {
        let turn = Turn {
            frame: *frame,
            references: [Some(*first), Some(*second)],
        };
        moved(shape, frames, sights, turn).map_or(0, |moved| moved.cost)
    };
    let chain = cost(frame, before, far);
    let between = cost(frame, before, after).midpoint(cost(last, frame, far));
    chain * 8 < between * 7
}

/// A prediction of a frame, what remains, and about 64 times the bits of that.
struct Moved {
    motion: Motion,
    rest: Vec<Vec<i32>>,
    cost: u64,
}

/// Predicts a frame; nothing where there is nothing to predict it from.
fn moved(shape: &Shape, frames: &[Planes], sights: &[Sight], turn: Turn) -> Option<Moved> {
    let (frame, own) = (frames.get(turn.frame)?, sights.get(turn.frame)?);
    let references = turn.references.map(|r| r.and_then(|r| sights.get(r)));
    references[0]?;
    let copy = turn.references[0].and_then(|r| frames.get(r)) == Some(frame);
    let field = if copy {
        Field::still(*shape.planes.first()?)
    } else {
        search(own, references, penalty(shape), shape.max)
    };
    let mut moved = Moved {
        motion: Motion {
            gains: [ONE; 4],
            field,
        },
        rest: Vec::new(),
        cost: 0,
    };
    let references = references.map(|r| r.map(Sight::reference));
    for (plane, samples) in frame.iter().enumerate() {
        let predicted = predicted(shape, &moved.motion, references, plane);
        let (gain, least) = best_gain(samples, &predicted, shape.middle());
        if let Some(place) = moved.motion.gains.get_mut(plane) {
            *place = gain;
        }
        moved.cost += least;
        let pairs = samples.iter().zip(&predicted);
        let rest = pairs.map(|(s, p)| i32::from(*s) - gained(*p, gain, shape.middle()));
        moved.rest.push(rest.collect());
    }
    Some(moved)
}

/// Predicts a frame, if that is better than coding it as it is, and says what remains.
fn step(
    shape: &Shape,
    frames: &[Planes],
    sights: &[Sight],
    frame: &Planes,
    turn: Turn,
) -> (Option<Motion>, Vec<Vec<i32>>) {
    let Some(moved) = moved(shape, frames, sights, turn) else {
        return (None, still(shape, frame));
    };
    if moved.cost > 0 {
        let bands = still(shape, frame);
        let whole: u64 = bands.iter().flatten().map(|c| length(*c)).sum();
        if whole < moved.cost {
            return (None, bands);
        }
    }
    (Some(moved.motion), moved.rest)
}

/// What a bit costs in sums of differences.
fn penalty(shape: &Shape) -> u32 {
    2 * (u32::from(shape.max) + 1).div_ceil(256)
}

/// About 64 times the bits that a number takes.
#[inline]
fn length(value: i32) -> u64 {
    static LENGTHS: std::sync::LazyLock<Vec<u16>> = std::sync::LazyLock::new(|| {
        let each = (0..4096).map(|i| log2_64(1 + 2 * i).unsigned_abs());
        each.collect()
    });
    let magnitude = value.unsigned_abs();
    let known = LENGTHS.get(usize::try_from(magnitude).unwrap_or(usize::MAX));
    known.map_or_else(
        || u64::from(log2_64(magnitude).unsigned_abs()) + 64,
        |l| u64::from(*l),
    )
}

/// The gain that leaves least, and how much. Every few rows are looked at for it.
fn best_gain(samples: &[u16], predicted: &[u16], middle: i32) -> (u8, u64) {
    let cost = |gain: u8, step: usize| -> u64 {
        let pairs = samples.chunks(64).zip(predicted.chunks(64)).step_by(step);
        pairs
            .flat_map(|(s, p)| s.iter().zip(p))
            .map(|(s, p)| length(i32::from(*s) - gained(*p, gain, middle)))
            .sum()
    };
    let step = samples.len().div_ceil(1 << 14).max(1);
    let mut best = (cost(ONE, step), ONE);
    for gain in (ONE / 2..ONE).rev() {
        let now = cost(gain, step);
        if now >= best.0 {
            break;
        }
        best = (now, gain);
    }
    (best.1, cost(best.1, 1))
}
