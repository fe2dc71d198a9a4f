//! In which order the frames of a group are coded, and from which others each is predicted.

use super::MOST;
use crate::coding::bands::log2_64;

/// How the frames of a scene depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    /// From the middle outwards every second frame, from the one before; then those between from both sides.
    #[default]
    Between,
    /// Each from the two before it: where frames repeat the one before.
    Chain,
}

/// The scenes of a group: for each frame the number of its scene, for each scene its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Scenes {
    pub(super) of: Vec<usize>,
    pub(super) orders: Vec<Order>,
}

/// Which frame comes next, and the frames it may be predicted from, all of which came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) frame: usize,
    pub(super) references: [Option<usize>; 2],
}

impl Scenes {
    /// The turns of all frames.
    pub(super) fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(self.of.len());
        for (scene, order) in self.orders.iter().enumerate() {
            let frames = self.of.iter().enumerate().filter(|(_, s)| **s == scene);
            let frames: Vec<usize> = frames.map(|(frame, _)| frame).collect();
            let at = |i: usize| frames.get(i).copied();
            let mut turn = |i: usize, first: Option<usize>, second: Option<usize>| {
                turns.extend(at(i).map(|frame| Turn {
                    frame,
                    references: [first.and_then(at), second.and_then(at)],
                }));
            };
            let count = frames.len();
            match order {
                Order::Chain => {
                    for i in 0..count {
                        turn(i, i.checked_sub(1), i.checked_sub(2));
                    }
                }
                Order::Between => {
                    let middle = count / 2 / 2 * 2;
                    turn(middle, None, None);
                    for i in (2..=middle).rev().step_by(2) {
                        turn(i - 2, Some(i), (i < middle).then_some(i + 2));
                        turn(i - 1, Some(i - 2), Some(i));
                    }
                    for i in (middle..count).step_by(2) {
                        if i + 2 < count {
                            turn(i + 2, Some(i), i.checked_sub(2));
                            turn(i + 1, Some(i), Some(i + 2));
                        } else {
                            turn(i + 1, Some(i), i.checked_sub(1));
                        }
                    }
                }
            }
        }
        turns
    }
}

/// For each frame how long an error in it is in all frames together: 64 * log2 of the L2 norm. `steps`: frames in turn,
/// with the references that they use.
pub(super) fn influence(steps: impl Iterator<Item = Turn>) -> [i16; MOST] {
    // Shares of each frame's error, in 256ths, in those that came after it.
    let mut shares = [[0_u32; MOST]; MOST];
    let mut energies = [0_u32; MOST];
    for step in steps {
        let mut row = [0; MOST];
        let used = step.references.into_iter().flatten();
        let count = u32::try_from(used.clone().count()).unwrap_or(1).max(1);
        for reference in used {
            let from = shares.get(reference).copied().unwrap_or_default();
            for (sum, share) in row.iter_mut().zip(from) {
                *sum += share / count;
            }
        }
        if let Some(own) = row.get_mut(step.frame) {
            *own = 256;
        }
        for (energy, share) in energies.iter_mut().zip(row) {
            *energy += share * share;
        }
        if let Some(place) = shares.get_mut(step.frame) {
            *place = row;
        }
    }
    // 2^16 for one frame: 64 * 16 too many.
    energies.map(|energy| (log2_64(energy) - 64 * 16) / 2)
}
