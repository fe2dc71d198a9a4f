//! Classes of symbols: contexts by what follows, tokens by what they follow, groups by frequency.
//!
//! Alternating assignment: each symbol moves to the class under which the pairs it is in cost least, with the other side
//! held still. Sums are `f32` by additions and multiplications alone, in one order, so that they are the same everywhere.

use super::log::{ONE, log2};
use super::model::{CLASSES, CONTEXTS, GROUP_BITS, NO_TOKEN};
use super::parse::{MATCHES, PHRASES, Steps};
use super::text::{Strings, at, small};

/// From this token of a class on, frequencies do not matter. So 32 classes have at most 32 * (90 + 11) + 2^17 / 2^11
/// tokens, fewer than a context has places, and one class fewer than 256.
const MANY_TOKENS: usize = 90;

/// How often one symbol follows another.
#[derive(Debug, Clone, Copy)]
struct Follows {
    left: u32,
    right: u32,
    count: f32,
}

/// Classes of each symbol.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// What it leaves behind for the next symbol.
    pub(super) contexts: Vec<u8>,
    /// Where its token belongs.
    pub(super) classes: Vec<u8>,
}

/// Pairs of neighbours in `steps`, of all units or of one in so many that they are at most about `most`.
fn follows(steps: &Steps, most: usize) -> Vec<Follows> {
    let stride = (steps.symbols.len() / most.max(1)) + 1;
    let mut pairs: Vec<u64> = Vec::with_capacity(steps.symbols.len() / stride);
    for (symbols, _) in steps.units().step_by(stride) {
        for (left, right) in symbols.iter().zip(symbols.iter().skip(1)) {
            pairs.push(u64::from(*left) << 32 | u64::from(*right));
        }
    }
    pairs.sort_unstable();
    pairs
        .chunk_by(|a, b| a == b)
        .map(|same| {
            let pair = at(same, 0);
            Follows {
                left: u32::try_from(pair >> 32).unwrap_or(0),
                right: u32::try_from(pair & 0xffff_ffff).unwrap_or(0),
                count: float(same.len() as u64),
            }
        })
        .collect()
}

/// A byte's rank by how often symbols with it come, the last rank for all behind it.
fn ranks(bytes: &[u8], counts: &[u32], most: usize) -> Vec<u8> {
    let mut sums: Vec<(u64, u8)> = (0..=255).map(|byte| (0, byte)).collect();
    for (&byte, &count) in bytes.iter().zip(counts) {
        if let Some(sum) = sums.get_mut(usize::from(byte)) {
            sum.0 += u64::from(count);
        }
    }
    sums.sort_unstable_by(|a, b| b.cmp(a));
    let mut rank = vec![0; 256];
    for (i, (_, byte)) in sums.into_iter().enumerate() {
        if let Some(rank) = rank.get_mut(usize::from(byte)) {
            *rank = u8::try_from(i.min(most - 1)).unwrap_or(0);
        }
    }
    bytes
        .iter()
        .map(|&byte| at(&rank, usize::from(byte)))
        .collect()
}

impl Classes {
    /// Classes by the first bytes of symbols, contexts by the last ones.
    pub(super) fn start(phrases: &Strings, counts: &[u32]) -> Self {
        let ends = |of_match: u8, end: fn(&[u8]) -> Option<&u8>| -> Vec<u8> {
            let bytes = (0..=255_u8).chain(std::iter::repeat_n(of_match, PHRASES - MATCHES));
            let phrases = phrases
                .iter()
                .map(|phrase| end(phrase).copied().unwrap_or(0));
            bytes.chain(phrases).collect()
        };
        Self {
            contexts: ranks(&ends(0, <[u8]>::last), counts, CONTEXTS),
            classes: ranks(&ends(1, <[u8]>::first), counts, CLASSES),
        }
    }

    /// Improves them `rounds` times by the pairs in `steps`. `None` where cancelled.
    pub(super) fn improve(
        &mut self,
        steps: &Steps,
        rounds: usize,
        most: usize,
        cancelled: &dyn Fn() -> bool,
    ) -> Option<()> {
        let pairs = follows(steps, most);
        for _ in 0..rounds {
            if cancelled() {
                return None;
            }
            let table = self.table(&pairs);
            let (rows, columns) = sums(&table);
            // Bits of a class behind a context, less those of the class alone: the symbol then costs what is left.
            let gains: Vec<[f32; CLASSES]> = table
                .iter()
                .zip(&rows)
                .map(|(row, sum)| {
                    let mut gain = [0.0; CLASSES];
                    for ((gain, count), column) in gain.iter_mut().zip(row).zip(&columns) {
                        *gain = bits(*count) - bits(*sum) - bits(*column);
                    }
                    gain
                })
                .collect();
            let from = pairs
                .iter()
                .map(|pair| (pair.right, self.context(pair.left), pair.count));
            let scores = scores(from, &gains, self.classes.len());
            choose(&mut self.classes, &scores);

            let table = self.table(&pairs);
            let (rows, _) = sums(&table);
            let mut gains = vec![[0.0; CONTEXTS]; CLASSES];
            for (context, (row, sum)) in table.iter().zip(&rows).enumerate() {
                for (gain, count) in gains.iter_mut().zip(row) {
                    if let Some(gain) = gain.get_mut(context) {
                        *gain = bits(*count) - bits(*sum);
                    }
                }
            }
            let from = pairs
                .iter()
                .map(|pair| (pair.left, self.class(pair.right), pair.count));
            let scores = self::scores(from, &gains, self.contexts.len());
            choose(&mut self.contexts, &scores);
        }
        Some(())
    }

    fn context(&self, symbol: u32) -> usize {
        usize::from(at(&self.contexts, symbol as usize))
    }

    fn class(&self, symbol: u32) -> usize {
        usize::from(at(&self.classes, symbol as usize))
    }

    /// How often each class follows each context.
    fn table(&self, pairs: &[Follows]) -> Vec<[f32; CLASSES]> {
        let mut table = vec![[0.3; CLASSES]; CONTEXTS];
        for pair in pairs {
            if let Some(row) = table.get_mut(self.context(pair.left))
                && let Some(cell) = row.get_mut(self.class(pair.right))
            {
                *cell += pair.count;
            }
        }
        table
    }
}

/// The binary logarithm of a count.
fn bits(count: f32) -> f32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of counts: positive and below 2^40"
    )]
    let whole = (count * 256.0) as u64;
    float(log2(whole.max(1)).into()) / float(ONE.into()) - 8.0
}

#[expect(clippy::cast_precision_loss, reason = "rounded, and everywhere alike")]
fn float(x: u64) -> f32 {
    x as f32
}

fn sums(table: &[[f32; CLASSES]]) -> (Vec<f32>, [f32; CLASSES]) {
    let mut columns = [0.0; CLASSES];
    let rows = table
        .iter()
        .map(|row| {
            let mut sum = 0.0;
            for (column, cell) in columns.iter_mut().zip(row) {
                *column += cell;
                sum += cell;
            }
            sum
        })
        .collect();
    (rows, columns)
}

/// What each symbol gains in each class: the sum over its neighbours.
fn scores<const N: usize>(
    neighbours: impl Iterator<Item = (u32, usize, f32)>,
    gains: &[[f32; N]],
    symbols: usize,
) -> Vec<[f32; N]> {
    let mut scores = vec![[0.0; N]; symbols];
    for (symbol, neighbour, count) in neighbours {
        if let Some(score) = scores.get_mut(symbol as usize)
            && let Some(gain) = gains.get(neighbour)
        {
            for (score, gain) in score.iter_mut().zip(gain) {
                *score += count * gain;
            }
        }
    }
    scores
}

/// The best class of each symbol, where it is better than the old one by half a bit.
fn choose<const N: usize>(classes: &mut [u8], scores: &[[f32; N]]) {
    for (class, score) in classes.iter_mut().zip(scores) {
        let mut best = score.get(usize::from(*class)).copied().unwrap_or(0.0);
        for (other, &score) in (0..).zip(score) {
            if score > best + 0.5 {
                *class = other;
                best = score;
            }
        }
    }
}

/// The token of each symbol with a count, and how many tokens each class has.
///
/// Symbols of a class whose counts differ by less than 2 form groups of a power of two: a token and raw bits.
pub(super) fn tokens(classes: &[u8], counts: &[u32]) -> (Vec<u16>, Vec<u8>) {
    let mut tokens = vec![NO_TOKEN; classes.len()];
    let mut order: Vec<(u8, u32, u32)> = classes
        .iter()
        .zip(counts)
        .zip(0..)
        .filter(|((_, count), _)| **count > 0)
        .map(|((&class, &count), symbol)| (class, u32::MAX - count, symbol))
        .collect();
    order.sort_unstable();
    let mut of_class = vec![0_u8; CLASSES];
    let mut token = 0;
    for class in order.chunk_by(|a, b| a.0 == b.0) {
        let mut rest = class;
        let mut number = 0;
        while let Some(&(_, first, _)) = rest.first() {
            let most = u32::MAX - first;
            let alike = |i: usize| {
                rest.get(i).is_some_and(|other| {
                    number >= MANY_TOKENS || u64::from(u32::MAX - other.1) * 2 >= u64::from(most)
                })
            };
            let bits = (0..GROUP_BITS).take_while(|bits| alike((2 << bits) - 1));
            let (group, behind) = rest.split_at(1 << bits.count());
            for &(_, _, symbol) in group {
                if let Some(place) = tokens.get_mut(symbol as usize) {
                    *place = token;
                }
            }
            rest = behind;
            token += 1;
            number += 1;
        }
        let class = class.first().map_or(0, |first| first.0);
        if let Some(of_class) = of_class.get_mut(usize::from(class)) {
            *of_class = u8::try_from(number).unwrap_or(u8::MAX);
        }
    }
    (tokens, of_class)
}

/// How often each token comes in each context; `width` counts for each context.
pub(super) fn count_tokens(
    steps: &Steps,
    tokens: &[u16],
    contexts: &[u8],
    width: usize,
) -> Vec<u32> {
    let mut counts = vec![0; CONTEXTS * width];
    for (symbols, _) in steps.units() {
        let mut context = 0;
        for &symbol in symbols {
            let token = usize::from(at(tokens, symbol as usize));
            if let Some(count) = counts.get_mut(context * width + token) {
                *count += 1;
            }
            context = usize::from(at(contexts, symbol as usize));
        }
    }
    counts
}

/// Frequencies in proportion to `counts` whose sum is `total`, at least 1 where there is a count and for an escape, which
/// is the last one, or for the first one.
pub(super) fn frequencies(counts: &[u32], total: u32, has_escape: bool) -> Vec<u16> {
    let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let mut shares: Vec<u32> = counts
        .iter()
        .map(|&count| match u64::from(count) {
            0 => 0,
            count => {
                let share = (count * u64::from(total) + sum / 2) / sum.max(1);
                u32::try_from(share).unwrap_or(total).max(1)
            }
        })
        .collect();
    let at_least_one = if has_escape {
        shares.last_mut()
    } else {
        shares.first_mut()
    };
    if let Some(share) = at_least_one {
        *share = (*share).max(1);
    }
    // What is missing or too much goes to the greatest, an eighth of each at most.
    loop {
        let now: u32 = shares.iter().sum();
        if now == total {
            break;
        }
        let mut order: Vec<(u32, u32)> = shares.iter().copied().zip(0..).collect();
        order.retain(|&(share, _)| share > 1 || now < total);
        order.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut left = now.abs_diff(total);
        for (share, i) in order {
            let step = (share / 8).max(1).min(left);
            if let Some(place) = shares.get_mut(i as usize) {
                let changed = if now > total {
                    let step = step.min(share - 1);
                    left -= step;
                    share - step
                } else if share > 0 {
                    left -= step;
                    share + step
                } else {
                    share
                };
                *place = changed;
            }
            if left == 0 {
                break;
            }
        }
    }
    shares
        .into_iter()
        .map(|share| u16::try_from(share).unwrap_or(0))
        .collect()
}

/// Prices of tokens by context, in 1/256 bit, as they will be once their frequencies are known.
pub(super) fn token_prices(counts: &[u32], width: usize) -> Vec<u32> {
    // Fixed point: counts in 1/256. Two more of all are spread over what a context lacks.
    let mut alone = vec![0_u64; width];
    for row in counts.chunks(width) {
        for (sum, &count) in alone.iter_mut().zip(row) {
            *sum += u64::from(count);
        }
    }
    let all: u64 = alone.iter().sum::<u64>().max(1);
    let mut prices = Vec::with_capacity(counts.len());
    for row in counts.chunks(width) {
        let sum: u64 = row.iter().map(|&count| u64::from(count)).sum();
        let sum = log2((sum + 2) << 20);
        for (&count, &alone) in row.iter().zip(&alone) {
            let spread = ((alone << 21) + (1 << 20)) / all;
            let count = (u64::from(count) << 20) + spread;
            prices.push((sum.saturating_sub(log2(count)) >> 8).min(16 * 256));
        }
    }
    debug_assert_eq!(small(prices.len()), small(counts.len()));
    prices
}
