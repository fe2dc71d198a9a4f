//! Pairs of symbols that are worth a rule, found greedily and in few rounds.
//!
//! Each round counts the pairs of neighbours, walks through the sequence and puts a new symbol in the place of every
//! pair that saves more bytes of text than its rule costs; of two pairs that overlap the one that is more frequent
//! goes first. A round takes time in proportion to the sequence, which only becomes shorter, and there are few of
//! them: rules are nested at most as deep.

use std::collections::HashMap;

/// Most rounds.
const ROUNDS: usize = 32;

/// Rules in the order of their making, and what is left of a sequence.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    /// Pairs of chunks and rules made before; the first rule's number follows that of the last chunk.
    pub(super) rules: Vec<(u32, u32)>,
    /// Numbers of chunks and rules.
    pub(super) sequence: Vec<u32>,
}

/// Makes rules for a sequence of the chunks below `chunks`, at most so many that there are `most` numbers.
pub(super) fn pair(sequence: Vec<u32>, chunks: u32, most: u32) -> Grammar {
    let mut grammar = Grammar {
        rules: Vec::new(),
        sequence,
    };
    for _ in 0..ROUNDS {
        if !round(&mut grammar, chunks, most) {
            break;
        }
    }
    grammar
}

/// Does one round; `false` where no rule was worth it.
fn round(grammar: &mut Grammar, chunks: u32, most: u32) -> bool {
    let made = u32::try_from(grammar.rules.len()).unwrap_or(u32::MAX);
    let mut counts: HashMap<(u32, u32), u32> = HashMap::new();
    for pair in pairs(&grammar.sequence) {
        *counts.entry(pair).or_default() += 1;
    }
    let worth = |pair: (u32, u32), uses: u32| {
        let lengths = [pair.0, pair.1, chunks.saturating_add(made)].map(|n| length(n, chunks));
        let [left, right, rule] = lengths;
        // `"R7": ["Labcdefabcdef", "R3"], ` against `Labcdefabcdef,R3` each time.
        let cost = left + right + rule + 14;
        u64::from(uses) * (left + right + 1).saturating_sub(rule) > cost
    };
    counts.retain(|pair, count| worth(*pair, *count));
    // Pairs overlap each other and themselves: what counts is how often each is used.
    let mut uses: HashMap<(u32, u32), u32> = HashMap::new();
    walk(&grammar.sequence, &counts, &mut |pair, _| {
        if let Some(pair) = pair {
            *uses.entry(pair).or_default() += 1;
        }
    });
    uses.retain(|pair, count| worth(*pair, *count));
    let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
    let mut left = Vec::with_capacity(grammar.sequence.len());
    let rules = &mut grammar.rules;
    walk(&grammar.sequence, &uses, &mut |pair, first| {
        let Some(pair) = pair else {
            left.push(first);
            return;
        };
        let next = u32::try_from(rules.len()).unwrap_or(u32::MAX);
        let next = chunks.saturating_add(next);
        if let Some(number) = numbers.get(&pair) {
            left.push(*number);
        } else if next < most {
            numbers.insert(pair, next);
            rules.push(pair);
            left.push(next);
        } else {
            left.extend([pair.0, pair.1]);
        }
    });
    grammar.sequence = left;
    !numbers.is_empty()
}

/// All neighbours.
fn pairs(sequence: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    sequence
        .iter()
        .copied()
        .zip(sequence.iter().copied().skip(1))
}

/// Goes through a sequence and hands on each pair that is taken, or else a single symbol.
fn walk(
    sequence: &[u32],
    counts: &HashMap<(u32, u32), u32>,
    take: &mut dyn FnMut(Option<(u32, u32)>, u32),
) {
    let count = |pair: Option<(u32, u32)>| pair.and_then(|pair| counts.get(&pair)).copied();
    let mut rest = sequence;
    while let [first, after @ ..] = rest {
        let pair = after.first().map(|second| (*first, *second));
        let next = pairs(after).next();
        let taken = match (count(pair), count(next)) {
            (Some(here), Some(there)) => here >= there,
            (here, _) => here.is_some(),
        };
        if taken {
            take(pair, *first);
            rest = after.get(1..).unwrap_or_default();
        } else {
            take(None, *first);
            rest = after;
        }
    }
}

/// Characters of a symbol's name.
fn length(number: u32, chunks: u32) -> u64 {
    match number.checked_sub(chunks) {
        None => 13,
        Some(rule) => 2 + u64::from(rule.checked_ilog10().unwrap_or_default()),
    }
}
