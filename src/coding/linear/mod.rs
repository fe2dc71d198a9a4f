//! Exact coding of samples by linear prediction in time, for sounds that transforms do not suit.
//!
//! Samples go in blocks of 4096 frames. A block of two channels is coded as they are, or with their difference in the place of
//! one, or as mean and difference. Each sample is predicted from the ones before it, by a fixed polynomial or by coefficients
//! that the block brings with it, as in FLAC (RFC 9639, sections 4.2 and 9.2), and what the prediction misses is coded with
//! adaptive tables chosen by how much it has missed of late. Before the first sample lie zeros.
//!
//! One stream of the entropy coder (`rans`) holds block after block:
//!
//! ```text
//! for each pair of channels, and the last one of an odd number
//!   way         2 raw bits, pairs only: 0 both, 1 left and difference, 2 difference and right, 3 mean and difference
//!   for each of its channels
//!     order     a symbol: 0 to 4 fixed, 5 own coefficients
//!     own       their number - 1 in 5 raw bits, shift in 4 raw bits, then each as a number
//!     missed    one number for each sample
//! ```
//!
//! The mean is rounded down. Numbers are signed, wrap at 32 bits, and are coded folded (0, -1, 1, -2 ...); `number` says how.

mod fit;
mod number;

use super::model::{Coder, Table};
use super::rans;
use fit::Predictor;
use number::{Numbers, fold, unfold};

/// Frames of a block.
const BLOCK: usize = 4096;
/// Most coefficients of a prediction.
const ORDERS: usize = 32;
/// The symbol for coefficients of a block's own.
const OWN: u32 = 5;

/// Bytes that are no samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("predicted samples are damaged")]
pub struct Damaged;

/// About 64 times the bits that numbers take: the sum of log2(1 + 2|n|), to about 1/10 of a bit.
#[must_use]
pub fn cost(numbers: &[i32]) -> u64 {
    let each = numbers.iter().map(|n| {
        let shown = 1 + 2 * n.unsigned_abs().min(1 << 28);
        // 64 times the exponent, and a line between the powers of two. Rounding is the same everywhere.
        #[expect(clippy::cast_precision_loss, reason = "24 bits are enough")]
        let log = (shown as f32).to_bits() >> 17;
        u64::from(log - (127 << 6))
    });
    each.sum()
}

/// About 64 times the bits that [`encode`] would take for channels of equal length.
#[must_use]
pub fn estimate(channels: &[Vec<i32>]) -> u64 {
    let frames = channels.iter().map(Vec::len).min().unwrap_or(0);
    let blocks = (0..frames).step_by(BLOCK);
    let each = blocks.flat_map(|start| {
        let length = BLOCK.min(frames - start);
        let groups = channels.chunks(2);
        groups.map(move |group| Choice::of(group, start, length).cost)
    });
    each.sum()
}

/// Encodes channels of equal length.
#[must_use]
pub fn encode(channels: &[Vec<i32>]) -> Vec<u8> {
    let mut coder = rans::Encoder::default();
    let frames = channels.iter().map(Vec::len).min().unwrap_or(0);
    let mut channels = channels.to_vec();
    walk(&mut coder, &mut channels, frames);
    coder.finish()
}

/// Decodes so many channels of so many frames.
///
/// # Errors
/// [`Damaged`] for bytes that [`encode`] does not give.
pub fn decode(channels: usize, frames: usize, bytes: &[u8]) -> Result<Vec<Vec<i32>>, Damaged> {
    let mut coder = rans::Decoder::new(bytes);
    let mut samples = vec![vec![0; frames]; channels];
    walk(&mut coder, &mut samples, frames);
    if coder.is_done() {
        Ok(samples)
    } else {
        Err(Damaged)
    }
}

/// Codes all blocks; stops where a stream ends too early.
fn walk<C: Coder>(coder: &mut C, channels: &mut [Vec<i32>], frames: usize) {
    let mut states: Vec<State> = channels.iter().map(|_| State::default()).collect();
    for start in (0..frames).step_by(BLOCK) {
        let length = BLOCK.min(frames - start);
        for (group, states) in channels.chunks_mut(2).zip(states.chunks_mut(2)) {
            let choice = C::ENCODES.then(|| Choice::of(group, start, length));
            let mut way = choice.as_ref().map_or(Way::Both, |choice| choice.way);
            if group.len() == 2 {
                way = Way::of(coder.raw(2, way.number()));
            }
            let mut choices = choice.into_iter().flat_map(|choice| choice.channels);
            let mut coded = Vec::new();
            for (index, state) in states.iter_mut().enumerate() {
                let mut signal = choices.next().unwrap_or_else(|| Channel {
                    signal: way.history(group, index, start),
                    predictor: Predictor::default(),
                    cost: 0,
                });
                if C::ENCODES {
                    signal.signal.truncate(ORDERS + length);
                }
                state.code(coder, &mut signal, length);
                coded.push(signal.signal.split_off(ORDERS));
                if coder.is_overrun() {
                    return;
                }
            }
            if !C::ENCODES {
                way.undo(group, start, &coded);
            }
        }
    }
}

/// What of two channels is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Both,
    LeftSide,
    SideRight,
    MidSide,
}

impl Way {
    const ALL: [Self; 4] = [Self::Both, Self::LeftSide, Self::SideRight, Self::MidSide];

    fn number(self) -> u32 {
        match self {
            Self::Both => 0,
            Self::LeftSide => 1,
            Self::SideRight => 2,
            Self::MidSide => 3,
        }
    }

    fn of(number: u32) -> Self {
        let found = Self::ALL.into_iter().find(|way| way.number() == number);
        found.unwrap_or(Self::Both)
    }

    /// Which of left, right, side and mid it codes.
    fn signals(self) -> [usize; 2] {
        match self {
            Self::Both => [0, 1],
            Self::LeftSide => [0, 2],
            Self::SideRight => [2, 1],
            Self::MidSide => [3, 2],
        }
    }

    /// The samples before `start` of the signal that it codes as number `index`: [`ORDERS`] of them.
    fn history(self, group: &[Vec<i32>], index: usize, start: usize) -> Vec<i32> {
        let signal = self.signals().get(index).copied().unwrap_or(0);
        signal_of(group, signal, start, 0)
    }

    /// Puts coded signals back into channels.
    fn undo(self, group: &mut [Vec<i32>], start: usize, coded: &[Vec<i32>]) {
        let put = |channel: Option<&mut Vec<i32>>, values: &mut dyn Iterator<Item = i32>| {
            let places = channel.and_then(|channel| channel.get_mut(start..));
            for (place, value) in places.into_iter().flatten().zip(values) {
                *place = value;
            }
        };
        let (Some(a), b) = (coded.first(), coded.get(1).map_or(&[][..], |b| b)) else {
            return;
        };
        let (first, second) = (a.iter().copied(), b.iter().copied());
        let pairs = a.iter().copied().zip(b.iter().copied());
        let mut channels = group.iter_mut();
        let (left, right) = (channels.next(), channels.next());
        match self {
            Self::Both => {
                put(left, &mut first.into_iter());
                put(right, &mut second.into_iter());
            }
            Self::LeftSide => {
                put(left, &mut first.into_iter());
                put(
                    right,
                    &mut pairs.map(|(left, side)| left.wrapping_sub(side)),
                );
            }
            Self::SideRight => {
                put(
                    left,
                    &mut pairs.map(|(side, right)| right.wrapping_add(side)),
                );
                put(right, &mut second.into_iter());
            }
            Self::MidSide => {
                let of_left =
                    |(mid, side): (i32, i32)| mid.wrapping_add(side.wrapping_add(side & 1) >> 1);
                put(left, &mut pairs.clone().map(of_left));
                put(
                    right,
                    &mut pairs.map(|pair| of_left(pair).wrapping_sub(pair.1)),
                );
            }
        }
    }
}

/// Left, right, side or mid of a group, with [`ORDERS`] samples before `start`, zeros where there are none.
fn signal_of(group: &[Vec<i32>], signal: usize, start: usize, length: usize) -> Vec<i32> {
    let from = start.saturating_sub(ORDERS);
    let channel = |index: usize| {
        let channel = group.get(index).map_or(&[][..], |channel| channel);
        channel.get(from..start + length).unwrap_or_default()
    };
    let mut samples = vec![0; ORDERS + from - start];
    let (left, right) = (channel(0), channel(1));
    let pairs = left.iter().zip(right);
    match signal {
        0 => samples.extend(left),
        1 => samples.extend(right),
        2 => samples.extend(pairs.map(|(l, r)| l.wrapping_sub(*r))),
        _ => samples.extend(pairs.map(|(l, r)| {
            // As wide as a sum is, and back.
            (l & r).wrapping_add((l ^ r) >> 1)
        })),
    }
    samples
}

/// Whether the differences of two channels fit 32 bits in a block.
fn differ(group: &[Vec<i32>], start: usize, length: usize) -> bool {
    let blocks = group
        .iter()
        .filter_map(|channel| channel.get(start..start + length));
    let blocks: Vec<&[i32]> = blocks.collect();
    let [left, right] = blocks[..] else {
        return true;
    };
    let mut pairs = left.iter().zip(right);
    pairs.all(|(l, r)| l.checked_sub(*r).is_some())
}

/// A signal of a block, [`ORDERS`] samples of history before it, and how it is predicted.
#[derive(Debug, Clone)]
struct Channel {
    signal: Vec<i32>,
    predictor: Predictor,
    cost: u64,
}

/// What the encoder chose for a block of a group.
#[derive(Debug)]
struct Choice {
    way: Way,
    channels: Vec<Channel>,
    cost: u64,
}

impl Choice {
    fn of(group: &[Vec<i32>], start: usize, length: usize) -> Self {
        let count = if group.len() == 2 { 4 } else { 1 };
        let signals: Vec<Channel> = (0..count)
            .map(|signal| {
                let signal = signal_of(group, signal, start, length);
                let (predictor, cost) = Predictor::fit(&signal);
                Channel {
                    signal,
                    predictor,
                    cost,
                }
            })
            .collect();
        let take = |way: Way| -> Vec<Channel> {
            let signals = way.signals().into_iter().filter_map(|i| signals.get(i));
            signals.cloned().collect()
        };
        let price = |way: &Way| -> u64 {
            let signals = way.signals().into_iter().filter_map(|i| signals.get(i));
            signals.map(|channel| channel.cost).sum()
        };
        // Mean and difference tell both channels only where the difference does not wrap.
        let within = |way: &Way| *way != Way::MidSide || differ(group, start, length);
        let ways = Way::ALL.into_iter().take(count).filter(within);
        let way = ways.min_by_key(price).unwrap_or(Way::Both);
        Self {
            way,
            channels: take(way),
            cost: price(&way),
        }
    }
}

/// The adaptive state of a channel.
#[derive(Debug, Default)]
struct State {
    orders: [Table; 2],
    coefficients: Numbers,
    missed: Numbers,
}

impl State {
    /// Codes the last `length` samples of a signal, which a decoder appends.
    fn code<C: Coder>(&mut self, coder: &mut C, channel: &mut Channel, length: usize) {
        let predictor = &mut channel.predictor;
        let [a, b] = &mut self.orders;
        let order = coder.symbol(a, b, predictor.order());
        if order < OWN {
            *predictor = Predictor::fixed(order);
        } else {
            let count = u32::try_from(predictor.coefficients.len()).unwrap_or(1);
            let count = coder.raw(5, count.wrapping_sub(1)) + 1;
            predictor.shift = coder.raw(4, predictor.shift);
            predictor
                .coefficients
                .resize(usize::try_from(count).unwrap_or(1), 0);
            for coefficient in &mut predictor.coefficients {
                *coefficient = unfold(self.coefficients.code(coder, fold(*coefficient)));
            }
        }
        if C::ENCODES {
            for missed in predictor.missed(&channel.signal) {
                self.missed.code(coder, fold(missed));
            }
            return;
        }
        let signal = &mut channel.signal;
        signal.reserve(length);
        let backwards: Vec<i64> = predictor.backwards();
        for _ in 0..length {
            let before = signal.get(signal.len() - backwards.len()..);
            let predicted = fit::predict(&backwards, before.unwrap_or_default(), predictor.shift);
            let missed = unfold(self.missed.code(coder, 0));
            signal.push(predicted.wrapping_add(missed));
            if coder.is_overrun() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
