//! Learning: rules by Re-Pair, phrases that are worth their place, classes, and the units' bits.

use std::ops::ControlFlow;

use super::buckets::{self, DISTANCES};
use super::cluster::{self, Classes};
use super::log::price;
use super::model::{DISTANCE_TOTAL, LONGEST, MOST_BYTES, MOST_PHRASES, Model, NO_TOKEN, TOTAL};
use super::pairs::{self, Limits, PHRASE_COST, Rules};
use super::parse::{self, NEVER, PHRASES, Parser, Prices, Steps, Symbol};
use super::stream::Writer;
use super::text::{Strings, at, small};
use super::trie::Trie;
use super::{Dictionary, Effort, Learned, UNIT};

/// Content at most.
const MOST: usize = 64 << 20;
/// Content below this is never sampled.
const SMALL: usize = 1 << 20;
/// Content from this size on has rules enough in fewer of its units.
const LARGE: usize = 16 << 20;
/// Rounds of parsing and pruning.
const ROUNDS: usize = 2;
/// A phrase of more bytes is kept where it is used.
const LONG_PHRASE: usize = 64;

/// What an effort means.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Rules are taken from one unit in so many.
    rules: usize,
    /// Prices of phrases as well.
    prices: usize,
    /// Fall of the threshold of rules in a round, in percent.
    fall: i64,
    /// Rounds of classes, first and second time.
    classes: [usize; 2],
}

impl Plan {
    fn new(effort: Effort, size: usize) -> Self {
        let of = |part| if size < SMALL { 1 } else { part };
        match effort {
            Effort::Full => Self {
                rules: 1,
                prices: 1,
                fall: 170,
                classes: [5, 5],
            },
            Effort::Fast => Self {
                rules: of(if size < LARGE { 2 } else { 3 }),
                prices: of(4),
                fall: 200,
                classes: [3, 2],
            },
        }
    }
}

/// One unit of `content` in `part`.
fn sampled(content: &[u8], part: usize) -> impl Iterator<Item = &[u8]> {
    content.chunks(UNIT).step_by(part)
}

/// The symbols so far: how often each comes.
#[derive(Debug)]
struct Symbols {
    phrases: Strings,
    /// Bytes, matches, phrases.
    counts: Vec<u32>,
}

/// See [`super::learn`].
pub(super) fn learn(
    content: &[u8],
    effort: Effort,
    cancelled: &dyn Fn() -> bool,
) -> Option<Learned> {
    if content.len() > MOST || !is_promising(content) {
        return None;
    }
    let plan = Plan::new(effort, content.len());
    let limits = Limits {
        longest: small(LONGEST),
        rules: MOST_PHRASES,
        bytes: MOST_BYTES,
        fall: plan.fall,
    };
    let sample = sampled(content, plan.rules).flatten().copied();
    let mut symbols = expand(&pairs::rules(sample, limits, cancelled)?);
    let mut steps = Steps::default();
    let mut distances = [5 * 256; DISTANCES];
    for round in 1..=ROUNDS {
        let prices = symbols.prices(distances);
        let trie = prices.trie(&symbols.phrases);
        let units = sampled(content, plan.prices);
        let bits = parse(units, &trie, &prices, &mut steps, cancelled)?;
        let size: usize = sampled(content, plan.prices).map(<[u8]>::len).sum();
        if bits / 8 >= size as u64 {
            return None;
        }
        distances = distance_prices(&steps);
        symbols.recount(&steps, plan.prices);
        if round < ROUNDS {
            symbols.prune(&trie);
        }
    }
    let most_pairs = content.len() / 4;
    let mut classes = Classes::start(&symbols.phrases, &symbols.counts);
    let [first, second] = plan.classes;
    classes.improve(&steps, first, most_pairs, cancelled)?;
    let prices = prices(&symbols, &classes, &steps, distances);
    let trie = prices.trie(&symbols.phrases);
    parse(content.chunks(UNIT), &trie, &prices, &mut steps, cancelled)?;
    drop((trie, prices));
    symbols.recount(&steps, 1);
    symbols.drop_unused(&mut steps, &mut classes);
    classes.improve(&steps, second, most_pairs, cancelled)?;
    let model = model(symbols, classes, &steps);
    let units = write(content, &model, &steps);
    drop(steps);
    let dictionary = Dictionary::new(&model).ok()?;
    let size = dictionary.bytes.len() + units.iter().map(Vec::len).sum::<usize>();
    (size < content.len()).then_some(Learned { dictionary, units })
}

/// Whether a few windows of `content` hold anything to gain by: bytes that are not all alike, or strings that repeat.
fn is_promising(content: &[u8]) -> bool {
    const WINDOW: usize = 4 << 10;
    const WINDOWS: usize = 64;
    let stride = (content.len() / WINDOWS).max(WINDOW);
    let mut counts = [0_u32; 256];
    let mut seen = vec![0_u32; 1 << 16];
    let (mut repeats, mut size) = (0_u64, 0_u64);
    for window in content.chunks(stride) {
        let window = window.get(..WINDOW).unwrap_or(window);
        size += window.len() as u64;
        for &byte in window {
            if let Some(count) = counts.get_mut(usize::from(byte)) {
                *count += 1;
            }
        }
        for four in window.windows(4) {
            let four = four
                .first_chunk()
                .map_or(0, |four| u32::from_le_bytes(*four));
            let slot = (four.wrapping_mul(0x9e37_79b1) >> 16) as usize;
            if let Some(seen) = seen.get_mut(slot) {
                repeats += u64::from(*seen == four);
                *seen = four;
            }
        }
    }
    let bits: u64 = counts
        .iter()
        .map(|&count| u64::from(count) * u64::from(price(count.into(), size)))
        .sum();
    // 1/32 to gain by bytes alone, or one place in 64 as before.
    bits < size * 256 * 8 / 32 * 31 || repeats > size / 64
}

/// Phrases of all rules, each once.
fn expand(rules: &Rules) -> Symbols {
    let mut all = Strings::default();
    for byte in 0..=255 {
        all.push(&[byte]);
    }
    let mut whole = Vec::new();
    for rule in &rules.rules {
        whole.clear();
        whole.extend_from_slice(all.get(rule.left as usize));
        whole.extend_from_slice(all.get(rule.right as usize));
        all.push(&whole);
    }
    let mut order: Vec<usize> = (256..all.len())
        .filter(|&symbol| at(&rules.counts, symbol) > 0)
        .collect();
    order.sort_unstable_by(|&a, &b| all.get(a).cmp(all.get(b)));
    let mut counts: Vec<u32> = rules.counts.iter().copied().take(256).collect();
    let of_match = (rules.counts.iter().sum::<u32>() / 2000).max(1);
    counts.resize(PHRASES, of_match);
    let mut phrases = Strings::default();
    for same in order.chunk_by(|&a, &b| all.get(a) == all.get(b)) {
        phrases.push(all.get(at(same, 0)));
        counts.push(same.iter().map(|&symbol| at(&rules.counts, symbol)).sum());
    }
    Symbols { phrases, counts }
}

impl Symbols {
    /// Prices of symbols by their counts alone: all have one token.
    fn prices(&self, distances: [u32; DISTANCES]) -> Prices {
        let each = |price| Symbol {
            token: 0,
            bits: u16::try_from(price).unwrap_or(u16::MAX),
        };
        Prices {
            symbols: count_prices(&self.counts).into_iter().map(each).collect(),
            contexts: Vec::new(),
            tokens: vec![0],
            width: 1,
            escapes: Vec::new(),
            distances,
        }
    }

    /// Counts the symbols of `steps`, which are one unit in `part`.
    fn recount(&mut self, steps: &Steps, part: usize) {
        let mut counts = vec![0; self.counts.len()];
        for &symbol in &steps.symbols {
            if let Some(count) = counts.get_mut(symbol as usize) {
                *count += small(part);
            }
        }
        if part > 1 {
            // What the sample does not have may come elsewhere.
            for (count, old) in counts.iter_mut().zip(&self.counts) {
                if *count == 0 {
                    *count = old / 2;
                }
            }
        }
        self.counts = counts;
    }

    /// Keeps the phrases that save more than they cost, beside what their bytes would cost without them.
    fn prune(&mut self, trie: &Trie) {
        let prices = count_prices(&self.counts);
        let mut best = Vec::new();
        let kept: Vec<bool> = (0..self.phrases.len())
            .map(|i| {
                let phrase = self.phrases.get(i);
                let count = at(&self.counts, PHRASES + i);
                if count < 2 || phrase.len() > LONG_PHRASE {
                    return count >= 2;
                }
                best.clear();
                best.resize(phrase.len() + 1, NEVER);
                best.splice(..1, [0]);
                for (from, byte) in phrase.iter().enumerate() {
                    let base = at(&best, from);
                    let mut reach = |to: usize, price: u32| {
                        if let Some(best) = best.get_mut(to) {
                            *best = (*best).min(base + price);
                        }
                    };
                    reach(from + 1, at(&prices, usize::from(*byte)));
                    let rest = phrase.get(from..).unwrap_or_default();
                    trie.walk(rest, |other, length, _| {
                        if other != i {
                            reach(from + length, at(&prices, PHRASES + other));
                        }
                    });
                }
                let without = i64::from(at(&best, phrase.len()));
                let gain = without - i64::from(at(&prices, PHRASES + i));
                gain * i64::from(count) >= i64::from(PHRASE_COST * 256)
            })
            .collect();
        self.keep(&kept);
    }

    fn keep(&mut self, kept: &[bool]) {
        let mut phrases = Strings::default();
        for (phrase, _) in self.phrases.iter().zip(kept).filter(|(_, kept)| **kept) {
            phrases.push(phrase);
        }
        self.phrases = phrases;
        keep(&mut self.counts, kept);
    }

    /// Forgets phrases that `steps` do not have, and renumbers all others.
    fn drop_unused(&mut self, steps: &mut Steps, classes: &mut Classes) {
        let counts = self.counts.iter().skip(PHRASES);
        let kept: Vec<bool> = counts.map(|&count| count > 0).collect();
        let mut next = small(PHRASES);
        let renumbered: Vec<u32> = kept
            .iter()
            .map(|&kept| {
                let number = next;
                next += u32::from(kept);
                number
            })
            .collect();
        for symbol in &mut steps.symbols {
            if let Some(number) = (*symbol as usize).checked_sub(PHRASES) {
                *symbol = at(&renumbered, number);
            }
        }
        self.keep(&kept);
        keep(&mut classes.contexts, &kept);
        keep(&mut classes.classes, &kept);
    }
}

/// Keeps of what belongs to phrases that of the `kept` ones.
fn keep<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = std::iter::repeat_n(&true, PHRASES).chain(kept);
    values.retain(|_| kept.next().copied().unwrap_or(false));
}

/// Prices by counts, as if what never came had come once.
fn count_prices(counts: &[u32]) -> Vec<u32> {
    let total = counts.iter().map(|&count| u64::from(count.max(1))).sum();
    let price = |&count: &u32| price(u64::from(count.max(1)), total);
    counts.iter().map(price).collect()
}

/// How often each bucket of distances comes.
fn count_distances(steps: &Steps) -> [u32; DISTANCES] {
    let mut counts = [0; DISTANCES];
    for &(distance, _) in &steps.matches {
        let bucket = buckets::distance(distance).bucket as usize;
        if let Some(count) = counts.get_mut(bucket) {
            *count += 1;
        }
    }
    counts
}

fn distance_prices(steps: &Steps) -> [u32; DISTANCES] {
    let counts = count_distances(steps);
    let total = counts.iter().map(|&count| u64::from(count) + 1).sum();
    counts.map(|count| price(u64::from(count) + 1, total))
}

/// Prices by what stands before.
fn prices(
    symbols: &Symbols,
    classes: &Classes,
    steps: &Steps,
    distances: [u32; DISTANCES],
) -> Prices {
    let counts: Vec<u32> = symbols.counts.iter().map(|&count| count.max(1)).collect();
    let (tokens, of_class) = cluster::tokens(&classes.classes, &counts);
    let width = of_class.iter().map(|&count| usize::from(count)).sum();
    let counts = cluster::count_tokens(steps, &tokens, &classes.contexts, width);
    Prices {
        symbols: parse::symbols(&tokens, width),
        contexts: classes.contexts.clone(),
        tokens: cluster::token_prices(&counts, width),
        width,
        escapes: Vec::new(),
        distances,
    }
}

/// Parses units; gives the sum of their prices in whole bits.
fn parse<'a>(
    mut units: impl Iterator<Item = &'a [u8]>,
    trie: &Trie,
    prices: &Prices,
    steps: &mut Steps,
    cancelled: &dyn Fn() -> bool,
) -> Option<u64> {
    steps.clear();
    let mut parser = Parser::new(trie, prices);
    let mut number = 0_u32;
    let sum = units.try_fold(0, |sum, unit| {
        number += 1;
        if number.is_multiple_of(16) && cancelled() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(sum + u64::from(parser.parse(unit, steps)) / 256)
    });
    sum.continue_value()
}

/// All that the dictionary will state.
fn model(symbols: Symbols, mut classes: Classes, steps: &Steps) -> Model {
    let (tokens, of_class) = cluster::tokens(&classes.classes, &symbols.counts);
    for (context, token) in classes.contexts.iter_mut().zip(&tokens) {
        if *token == NO_TOKEN {
            *context = 0;
        }
    }
    let width = of_class.iter().map(|&n| usize::from(n)).sum::<usize>() + 1;
    let counts = cluster::count_tokens(steps, &tokens, &classes.contexts, width);
    let rows = counts.chunks(width);
    let frequencies = rows.flat_map(|row| cluster::frequencies(row, TOTAL, true));
    let distances = cluster::frequencies(&count_distances(steps), DISTANCE_TOTAL, false);
    Model {
        frequencies: frequencies.collect(),
        distances,
        phrases: symbols.phrases,
        of_class,
        tokens,
        contexts: classes.contexts,
    }
}

/// The bits of all units.
fn write(content: &[u8], model: &Model, steps: &Steps) -> Vec<Vec<u8>> {
    let writer = Writer::new(model);
    content
        .chunks(UNIT)
        .zip(steps.units())
        .map(|(unit, (symbols, matches))| writer.unit(unit, symbols, matches))
        .collect()
}
