//! Re-Pair in batches: the pairs of symbols that save most become symbols, until none saves.
//!
//! Source: N. J. Larsson and A. Moffat, "Offline dictionary-based compression", DCC 1999. Taking one pair at a time needs
//! lists of all occurrences, 20 bytes and more per byte; here each round counts all pairs in a hash table and
//! replaces those whose gain is above a threshold that falls from round to round, so that 20 to 25 rounds do.

use super::log::{ONE, log2};
use super::text::{at, small};

/// Symbols below this are bytes.
const BYTES: u32 = 256;
/// Bits of a symbol in the key of a pair.
const SYMBOL_BITS: u32 = 20;
/// Bits of a count in a slot.
const COUNT_BITS: u32 = 24;
/// A round that takes everything that gains is the last one.
const LAST: i64 = 8 * ONE as i64;
/// Rounds at most.
const ROUNDS: usize = 60;
/// What a phrase costs in a dictionary, in bits.
pub(super) const PHRASE_COST: u32 = 35;

/// Counts of pairs by open addressing; a slot is `left 20 | right 20 | count 24`, 0 where empty.
#[derive(Debug)]
struct Pairs {
    slots: Vec<u64>,
    used: usize,
    most: usize,
}

impl Pairs {
    /// A table of `slots` slots, rounded up to a power of two, that grows up to `most`.
    fn new(slots: usize, most: usize) -> Self {
        let most = most.max(1 << 12).next_power_of_two();
        Self {
            slots: vec![0; slots.max(16).next_power_of_two().min(most)],
            used: 0,
            most,
        }
    }

    fn key(left: u32, right: u32) -> u64 {
        u64::from(left) << SYMBOL_BITS | u64::from(right)
    }

    #[inline]
    fn first(&self, key: u64) -> usize {
        let high = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        usize::try_from(high & (self.slots.len() as u64 - 1)).unwrap_or(0)
    }

    #[inline]
    fn add(&mut self, key: u64, count: u64) {
        let mask = self.slots.len() - 1;
        let mut i = self.first(key);
        while let Some(slot) = self.slots.get_mut(i & mask) {
            if *slot == 0 {
                *slot = key << COUNT_BITS | count;
                self.used += 1;
                if self.used * 10 > self.slots.len() * 7 {
                    self.make_room();
                }
                return;
            }
            if *slot >> COUNT_BITS == key {
                if *slot & 0xff_ffff < 0xff_fff0 {
                    *slot += count;
                }
                return;
            }
            i += 1;
        }
    }

    #[inline]
    fn get(&self, key: u64) -> Option<u64> {
        let mask = self.slots.len() - 1;
        let mut i = self.first(key);
        loop {
            let slot = at(&self.slots, i & mask);
            if slot == 0 {
                return None;
            }
            if slot >> COUNT_BITS == key {
                return Some(slot & 0xff_ffff);
            }
            i += 1;
        }
    }

    /// Twice the slots; or, where there are as many as may be, the rarest pairs are forgotten.
    fn make_room(&mut self) {
        let size = self.slots.len();
        if size < self.most {
            let old = std::mem::replace(&mut self.slots, vec![0; size * 2]);
            self.refill(old.iter().copied().filter(|&slot| slot != 0));
            return;
        }
        let mut rare = 1;
        let mut left: Vec<u64> = Vec::new();
        while left.is_empty() || left.len() * 2 > size {
            let kept = |slot: &u64| slot & 0xff_ffff > rare;
            if self.slots.iter().filter(|slot| kept(slot)).count() * 2 <= size {
                left = self.slots.iter().copied().filter(kept).collect();
                break;
            }
            rare *= 2;
        }
        self.slots.fill(0);
        self.refill(left.into_iter());
    }

    fn refill(&mut self, pairs: impl Iterator<Item = u64>) {
        let mask = self.slots.len() - 1;
        self.used = 0;
        for pair in pairs {
            let mut i = self.first(pair >> COUNT_BITS);
            while at(&self.slots, i & mask) != 0 {
                i += 1;
            }
            if let Some(slot) = self.slots.get_mut(i & mask) {
                *slot = pair;
                self.used += 1;
            }
        }
    }
}

/// A symbol that stands for two others, and how many bytes it stands for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rule {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) bytes: u32,
}

/// Rules, and how often each symbol is left in what they were taken from.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) counts: Vec<u32>,
}

/// What limits the rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of one rule.
    pub(super) longest: u32,
    /// Rules.
    pub(super) rules: usize,
    /// Bytes of all rules.
    pub(super) bytes: usize,
    /// The threshold falls by this in a round, in percent.
    pub(super) fall: i64,
}

/// Rules for what `sample` gives. The sequence takes 4 bytes a byte, the table at most 4 and, while it grows or
/// forgets, no more than that. `None` where cancelled.
pub(super) fn rules(
    sample: impl Iterator<Item = u8>,
    limits: Limits,
    cancelled: &dyn Fn() -> bool,
) -> Option<Rules> {
    let mut sequence: Vec<u32> = sample.map(u32::from).collect();
    let most_slots = (sequence.len() / 4).max(1 << 16);
    let most_slots = 1 << most_slots.ilog2();
    let mut rules: Vec<Rule> = Vec::new();
    let mut bytes = 0;
    let mut threshold = i64::MAX;
    for _ in 0..ROUNDS {
        if cancelled() {
            return None;
        }
        let counts = count(&sequence, 256 + rules.len());
        let slots = if rules.is_empty() {
            1 << 16
        } else {
            sequence.len() / 8
        };
        let mut pairs = Pairs::new(slots, most_slots);
        count_pairs(&sequence, &mut pairs);
        let mut found = candidates(&pairs, &counts, &rules, sequence.len(), limits.longest);
        drop(pairs);
        let Some(best) = found.iter().map(|found| found.0).max() else {
            break;
        };
        threshold = (best * 100 / limits.fall).min(threshold / limits.fall * 100);
        if threshold < LAST {
            threshold = 0;
        }
        found.retain(|found| found.0 >= threshold);
        found.sort_unstable_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let base = BYTES + small(rules.len());
        let mut chosen = Pairs::new(found.len() * 2, usize::MAX >> 1);
        for (&(_, left, right), rank) in found.iter().zip(1..) {
            let size = size_of(&rules, left) + size_of(&rules, right);
            if rules.len() >= limits.rules || bytes + size as usize > limits.bytes {
                threshold = 0;
                break;
            }
            bytes += size as usize;
            chosen.add(Pairs::key(left, right), rank);
            rules.push(Rule {
                left,
                right,
                bytes: size,
            });
        }
        replace(&mut sequence, &chosen, base);
        if threshold == 0 {
            break;
        }
    }
    let counts = count(&sequence, 256 + rules.len());
    Some(Rules { rules, counts })
}

fn size_of(rules: &[Rule], symbol: u32) -> u32 {
    match symbol.checked_sub(BYTES) {
        Some(rule) => at(rules, rule as usize).bytes,
        None => 1,
    }
}

fn count(sequence: &[u32], symbols: usize) -> Vec<u32> {
    let mut counts = vec![0; symbols];
    for &symbol in sequence {
        if let Some(count) = counts.get_mut(symbol as usize) {
            *count += 1;
        }
    }
    counts
}

/// Counts pairs; in a run of one symbol each occurrence counts once in two.
fn count_pairs(sequence: &[u32], pairs: &mut Pairs) {
    let mut skip = false;
    for (&left, rest) in sequence.iter().zip((1..).map(|i| sequence.get(i..))) {
        let Some([right, rest @ ..]) = rest else {
            break;
        };
        if std::mem::take(&mut skip) {
            continue;
        }
        pairs.add(Pairs::key(left, *right), 1);
        skip = left == *right && rest.first() == Some(&left);
    }
}

/// Pairs that gain, in 2^-16 bits: what they save by coming together more often than by chance, less what a rule costs.
fn candidates(
    pairs: &Pairs,
    counts: &[u32],
    rules: &[Rule],
    length: usize,
    longest: u32,
) -> Vec<(i64, u32, u32)> {
    let all = log2(length as u64);
    let mut found = Vec::new();
    for &slot in &pairs.slots {
        let count = slot & 0xff_ffff;
        if count < 2 {
            continue;
        }
        let symbol = |shift: u32| u32::try_from(slot >> shift & 0xf_ffff).unwrap_or(0);
        let (left, right) = (symbol(COUNT_BITS + SYMBOL_BITS), symbol(COUNT_BITS));
        if size_of(rules, left) + size_of(rules, right) > longest {
            continue;
        }
        let alone = |symbol: u32| i64::from(log2(u64::from(at(counts, symbol as usize))));
        let each = i64::from(log2(count)) + i64::from(all) - alone(left) - alone(right);
        let gain = count.cast_signed() * each - i64::from(PHRASE_COST) * i64::from(ONE);
        if gain > 0 {
            found.push((gain, left, right));
        }
    }
    found
}

/// A symbol is the left one of a chosen pair.
const LEFT: u8 = 1;
/// A symbol is the right one of a chosen pair.
const RIGHT: u8 = 2;

/// Replaces the pairs in `chosen`; of two that overlap the one that gains more.
fn replace(sequence: &mut Vec<u32>, chosen: &Pairs, base: u32) {
    // Most symbols are in no chosen pair.
    let mut sides = vec![0_u8; base as usize];
    for pair in chosen.slots.iter().filter(|&&slot| slot != 0) {
        let symbol = |shift: u32| usize::try_from(pair >> shift & 0xf_ffff).unwrap_or(0);
        for (symbol, side) in [
            (symbol(COUNT_BITS + SYMBOL_BITS), LEFT),
            (symbol(COUNT_BITS), RIGHT),
        ] {
            if let Some(sides) = sides.get_mut(symbol) {
                *sides |= side;
            }
        }
    }
    let rank = |sequence: &[u32], i: usize| match sequence.get(i..i + 2) {
        Some(&[left, right])
            if at(&sides, left as usize) & LEFT != 0 && at(&sides, right as usize) & RIGHT != 0 =>
        {
            chosen.get(Pairs::key(left, right))
        }
        _ => None,
    };
    let (mut from, mut to) = (0, 0);
    let mut here = rank(sequence, 0);
    while let Some(&symbol) = sequence.get(from) {
        let next = rank(sequence, from + 1);
        let taken = here.filter(|here| next.is_none_or(|next| *here <= next));
        let written = match taken {
            Some(rank) => base + u32::try_from(rank - 1).unwrap_or(0),
            None => symbol,
        };
        if let Some(place) = sequence.get_mut(to) {
            *place = written;
        }
        to += 1;
        if taken.is_some() {
            from += 2;
            here = rank(sequence, from);
        } else {
            from += 1;
            here = next;
        }
    }
    sequence.truncate(to);
}
