//! Choices of the encoder for a segment: turn of channels, block length, window.
//!
//! They are made on some of the samples by the sum of log2(1 + 2|c|) over their coefficients, to about 1/10 of a bit.

use super::{LONGEST, SHORTEST};
use crate::coding::linear::{self, cost};
use crate::coding::mdct::{Mdct, QUARTER, Window, fraction, rotate};

/// Samples in a row that are looked at: pairs of the longest blocks, of which the first and the last do not count, since
/// the sound breaks off there.
const STRETCH: usize = 8 << LONGEST;
/// What does not count at either end.
const END: usize = 2 << LONGEST;
/// How many such rows.
const STRETCHES: usize = 4;

/// What was chosen.
#[derive(Debug)]
pub(super) struct Choice {
    /// Turn of each pair of channels.
    pub(super) turns: Vec<i8>,
    pub(super) transform: Mdct,
    /// Whether prediction in time may be as good.
    pub(super) predictable: bool,
}

/// Bits of the greatest magnitude.
pub(super) fn bits(channels: &[Vec<i32>]) -> u32 {
    let all = channels.iter().flatten();
    let set = all.fold(0, |set, sample| set | sample.unsigned_abs());
    32 - set.leading_zeros()
}

/// Chooses for samples by channels.
pub(super) fn choose(channels: &[Vec<i32>]) -> Choice {
    let mut some: Vec<Vec<i32>> = channels.iter().map(|channel| stretches(channel)).collect();
    let inner: Vec<Vec<i32>> = some.iter().map(|channel| inner(channel)).collect();
    let predicted = linear::estimate(&inner);
    let turns = some.chunks_exact_mut(2).map(|pair| {
        let [a, b] = pair else { return 0 };
        let turn = best_turn(a, b);
        rotate(turn, a, b);
        turn
    });
    let turns = turns.collect();
    let bits = bits(&some);
    let with = |log, window| Mdct {
        log,
        window,
        fraction: fraction(bits, log),
    };
    let price = |transform: &Mdct| price(transform, &some);
    let lengths = (SHORTEST..=LONGEST).map(|log| with(log, Window::Sine));
    let sine = lengths
        .min_by_key(price)
        .unwrap_or(with(LONGEST, Window::Sine));
    let steep = [-1, 0, 1].map(|by| {
        let log = sine.log.saturating_add_signed(by).clamp(SHORTEST, LONGEST);
        with(log, Window::Steep)
    });
    let all = [sine].into_iter().chain(steep);
    let priced = all.map(|transform| (price(&transform), transform));
    let (least, transform) = priced.min_by_key(|(price, _)| *price).unwrap_or((0, sine));
    Choice {
        turns,
        transform,
        predictable: predicted <= least + least / 16,
    }
}

/// What samples cost, those at the ends of stretches aside.
fn price(transform: &Mdct, channels: &[Vec<i32>]) -> u64 {
    let transformed = |stretch: &[i32]| cost(counted(&transform.forward(stretch.to_vec())));
    let all = channels.iter().flat_map(|signal| apart(signal));
    all.map(transformed).sum()
}

/// The samples that count.
fn inner(channel: &[i32]) -> Vec<i32> {
    apart(channel).flat_map(counted).copied().collect()
}

/// The stretches of a channel.
fn apart(signal: &[i32]) -> impl Iterator<Item = &[i32]> {
    match signal.len() {
        length if length == STRETCH * STRETCHES => signal.chunks(STRETCH),
        length => signal.chunks(length.max(1)),
    }
}

/// What counts of a stretch.
fn counted(stretch: &[i32]) -> &[i32] {
    let inner = stretch.get(END..STRETCH - END);
    inner
        .filter(|_| stretch.len() == STRETCH)
        .unwrap_or(stretch)
}

/// Some of the samples, or all of few.
fn stretches(channel: &[i32]) -> Vec<i32> {
    if channel.len() <= STRETCH * STRETCHES {
        return channel.to_vec();
    }
    let step = (channel.len() - STRETCH) / (STRETCHES - 1);
    let starts = (0..STRETCHES).map(|i| i * step);
    let stretches = starts.filter_map(|start| channel.get(start..start + STRETCH));
    stretches.flatten().copied().collect()
}

/// The turn of two channels that makes them shortest.
fn best_turn(a: &[i32], b: &[i32]) -> i8 {
    let transform = Mdct {
        log: 10,
        window: Window::Sine,
        fraction: 2,
    };
    let every = a.len() / 16_384 + 1;
    let some = |signal: &[i32]| -> Vec<i32> {
        let all = transform.forward(signal.to_vec());
        all.into_iter().step_by(every).collect()
    };
    let (a, b) = (some(a), some(b));
    let price = |turn: i8| {
        let (mut a, mut b) = (a.clone(), b.clone());
        rotate(turn, &mut a, &mut b);
        cost(&a) + cost(&b)
    };
    // A turn must pay for itself: near ties are left as they are.
    let still = price(0);
    let coarse = (-QUARTER..=QUARTER)
        .step_by(4)
        .min_by_key(|turn| price(*turn));
    let coarse = coarse.unwrap_or(0);
    let near = (coarse - 3).max(-QUARTER)..=(coarse + 3).min(QUARTER);
    let best = near.min_by_key(|turn| price(*turn)).unwrap_or(0);
    if price(best) + still / 1000 < still {
        best
    } else {
        0
    }
}

/// Whether samples as ranks of values take at least `margin` bytes less than as they are.
pub(super) fn ranks_pay(values: &[Vec<i32>], ranks: &[Vec<i32>], margin: usize) -> bool {
    let bytes = |channels: &[Vec<i32>]| -> u64 {
        let some: Vec<Vec<i32>> = channels.iter().map(|channel| stretches(channel)).collect();
        let transform = Mdct {
            log: 10,
            window: Window::Steep,
            fraction: fraction(bits(&some), 10),
        };
        let length = |channels: &[Vec<i32>]| channels.iter().map(Vec::len).sum::<usize>() as u64;
        price(&transform, &some) / 512 * length(channels) / length(&some).max(1)
    };
    bytes(ranks) + margin as u64 <= bytes(values)
}
