//! Phrases: a dictionary learned from content, with which each of its units is decoded alone.
//!
//! Rules of Re-Pair become a flat set of phrases of 2 to 128 bytes. A unit of up to 16 KiB is parsed into single bytes,
//! phrases, and matches within itself; how a symbol is coded depends on the one before. Units are found by nothing but
//! their place, so that any part of the content costs one unit to read.
//!
//! # Symbols
//!
//! | symbol | what |
//! |---|---|
//! | 0 to 255 | a byte |
//! | 256 to 291 | a match, by bucket of its length |
//! | from 292 on | the phrases in the order of their bytes |
//!
//! A symbol has a *token* and leaves one of 24 *contexts* behind; a unit begins in context 0. Tokens belong to 32
//! classes and count from class to class. The symbols of a token are 2^k, k at most 11, in the order above; k raw bits
//! tell which one. Bytes and matches may have no token, then their context is 0. Each context has a frequency for each
//! token, and one that is never 0 for the *escape*; their sum is 2^12. Behind an escape comes a byte in 8 raw bits.
//!
//! Buckets: of distances 0 to 3 the numbers themselves, then two to a power of two: bucket `b` begins at `(2 + b % 2)
//! << (b / 2 - 1)` and has `b / 2 - 1` raw bits. There are 28, up to 16383. Distance 0 is the last one again, in the
//! beginning of a unit 1. Of lengths, less 3: 0 to 15 the numbers themselves, then as bucket `b - 8` of distances.
//!
//! # A unit
//!
//! As many bytes as the unit has: the unit itself. Fewer: a state and words, all little-endian. More are never written.
//!
//! | bytes | what |
//! |---|---|
//! | 5 to 8 | the state, such that whole words follow; where there are fewer than 5 bytes, all of them |
//! | 4 each | words |
//!
//! The state, below 2^63, is that of a range asymmetric numeral system (J. Duda, arXiv:1311.2540). To take a token,
//! find the one in whose span `state % 2^12` lies in the context at hand (tokens in order, the escape last); the state
//! becomes `frequency * (state / 2^12) + state % 2^12 - start`. Raw bits are its lowest ones. Whenever it is then below
//! 2^31 and a word is left, it is shifted up by 32 bits and takes the word in:
//!
//! 1. token and its k raw bits; take a word;
//! 2. behind an escape 8 raw bits; take a word;
//! 3. behind a match a bucket of distances, by frequencies whose sum is 2^10; take a word; the raw bits of the length, above them those of the distance; take a word.
//!
//! A whole unit leaves state 1 and no word.
//!
//! # A dictionary
//!
//! A stream of the adaptive coder that layers have, too: tables of 16 symbols, two at a time, of which the second one
//! has three parts of four as long as fewer than two symbols were coded with the first. Below, a *byte* is two symbols,
//! the high half first, the low one with tables for each high one. A *number* is one symbol below 15, else 15 and a
//! byte of what is above, each half with one table of its own. Tables are named "narrow, wide".
//!
//! | what | how |
//! |---|---|
//! | n, the number of phrases, at most 2^17 - 292 | 17 raw bits |
//! | tokens of each of 32 classes | 8 raw bits each |
//! | for each symbol in order: its phrase, where it is one | below |
//! | its class, 32 where it has no token | a byte; by hash of the first two bytes and, if more than one is shared, the class before (else 63), by first byte (256: a match) |
//! | which token of its class | a number; by class and length up to 15, by class |
//! | its context | a byte; by hash of the last two bytes and 1, by last byte (256: a match) |
//! | for each context, for each token and the escape: bits of the frequency | a symbol; by `e` and the bits before in this context, by `e` |
//! | the frequency's bits below the first one | raw bits |
//! | frequencies of the 28 buckets of distances | 11 raw bits each |
//!
//! `e` is 0 for each token in the beginning, and becomes `(2 e + bits + 1) / 3`. The hash of bytes a, b, c is the high
//! h bits of `(a + 256 b + 65536 c) * 0x9e3779b1 mod 2^32`, where h is the whole part of `log2 n`, but from 8 to 10 (0
//! for no phrase), less 2. A phrase is as follows; its hashes have h from 6 to 10, and nothing less.
//!
//! | what | how |
//! |---|---|
//! | bytes shared with the phrase before | a number; by the length of that one, alone |
//! | bytes that follow | a number; by the bytes shared, alone |
//! | the first of them, above that of the phrase before | a byte; by that one (0: none), by the byte before |
//! | for each other: if the four bytes before it have followed each other in a phrase (the last time is looked at), how many of the next ones are as they were there, 15 at most | a symbol; by what came of the last such place in this phrase (0: none, 1: up to 3, 2: more) and how many there may be |
//! | unless there are as many as there may be: the next byte | a byte; by hash of the two before (last first) and 0, by the one before |
//!
//! Places are kept by a hash of 14 bits, those of a phrase from its first own byte on once it is whole; what follows
//! may lead into the next phrase.
//!
//! # Limits
//!
//! Phrases have 4 MiB at most, symbols 2^17, a dictionary 2 MiB of bytes. To read one takes 4 MiB of phrases as they
//! are read, as many once more as they are used, 2^17 times 4 + 2 + 1 bytes for their ends, tokens and contexts and 8
//! for their entries, and 24 * 2^12 * (2 + 4) bytes of places and spans. Before those are made, tables take at most
//! (2^10 + 2 * 2^8 + 2 * 129 + 3 * 256 + 2 * 257 + 512 + 34) of 17 times 48 bytes, 2.9 MiB. The sum is less than 16 MiB
//! at any time; to encode takes up to 14 MiB more. Tables are as many as they are, whatever the bytes say. What is read is checked for
//! the end of the stream after each phrase, so that nothing is read far beyond it.
//!
//! Each step of a unit gives a byte or more, so there are 2^14 at most.

mod buckets;
mod cluster;
mod learn;
mod log;
mod model;
mod pairs;
mod parse;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod trie;
mod x86;

use std::sync::OnceLock;

use model::{Model, TOTAL};
use parse::{NEVER, Parser, Prices, Steps};
use stream::{Reader, Writer};
use trie::Trie;

pub use x86::x86;

/// Bytes of a unit at most.
pub const UNIT: usize = 16 << 10;

/// How much time learning takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Half the time of [`Effort::Full`], for 3 to 8 % more bytes: a dictionary from parts of the content.
    Fast,
    /// A dictionary from all of the content.
    Full,
}

/// What cannot be read, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(&'static str);

/// A dictionary and the content that it was learned from.
#[derive(Debug)]
pub struct Learned {
    /// What all units are read with.
    pub dictionary: Dictionary,
    /// The content's units of [`UNIT`] bytes, coded; the last one may be shorter.
    pub units: Vec<Vec<u8>>,
}

/// Phrases with the frequencies of what follows what. Never changes.
#[derive(Debug)]
pub struct Dictionary {
    reader: Reader,
    bytes: Vec<u8>,
    /// Made by the first unit that is encoded.
    writer: OnceLock<Option<Box<Encoder>>>,
}

/// What encoding needs beside what decoding does.
#[derive(Debug)]
struct Encoder {
    trie: Trie,
    prices: Prices,
    writer: Writer,
}

/// Learns a dictionary from `content`, at most 64 MiB. `None` where nothing is gained, or where `cancelled` said so.
///
/// Takes up to 8 bytes of memory for each byte of `content`, and 4 MiB. The same content gives the same bytes everywhere.
#[must_use]
pub fn learn(content: &[u8], effort: Effort, cancelled: &dyn Fn() -> bool) -> Option<Learned> {
    learn::learn(content, effort, cancelled)
}

impl Dictionary {
    fn new(model: &Model) -> Result<Self, Damaged> {
        Ok(Self {
            reader: Reader::new(model),
            bytes: model.to_bytes()?,
            writer: OnceLock::new(),
        })
    }

    /// What [`Dictionary::parse`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Reads a dictionary. Whatever the bytes say, it and reading it take at most 16 MiB.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damaged> {
        if bytes.len() > MOST_DICTIONARY {
            return Err(Damaged("a dictionary is too long"));
        }
        let model = Model::parse(bytes)?;
        Ok(Self {
            reader: Reader::new(&model),
            bytes: bytes.to_vec(),
            writer: OnceLock::new(),
        })
    }

    /// Bytes in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        let encoder = self.writer.get().and_then(Option::as_deref);
        self.reader.memory() + self.bytes.len() + encoder.map_or(0, Encoder::memory)
    }

    /// Codes a unit of at most [`UNIT`] bytes, which need not be of the content that was learned from: never more bytes
    /// than it has.
    #[must_use]
    pub fn encode(&self, unit: &[u8]) -> Vec<u8> {
        let encoder = self.writer.get_or_init(|| {
            let model = Model::parse(&self.bytes).ok()?;
            Some(Box::new(Encoder::new(&model)))
        });
        match encoder {
            Some(encoder) if unit.len() <= UNIT => encoder.encode(unit),
            _ => unit.to_vec(),
        }
    }

    /// Fills `unit`, which is as long as what was coded, exactly.
    pub fn decode(&self, coded: &[u8], unit: &mut [u8]) -> Result<(), Damaged> {
        self.reader.read(coded, unit)
    }

    /// Fills the first `end` bytes of `unit`, which is as long as what was coded; those behind them are left undefined,
    /// and damage there is not noticed.
    pub fn decode_until(&self, coded: &[u8], unit: &mut [u8], end: usize) -> Result<(), Damaged> {
        self.reader.read_until(coded, unit, end)
    }

    /// Fills many units, each as [`Dictionary::decode`] would, four at a time: up to half as fast again.
    pub fn decode_all(&self, units: &mut [(&[u8], &mut [u8])]) -> Result<(), Damaged> {
        let (fours, rest) = units.as_chunks_mut::<4>();
        for four in fours {
            self.reader.read_four(four)?;
        }
        rest.iter_mut()
            .try_for_each(|(coded, unit)| self.reader.read(coded, unit))
    }
}

/// Bytes of a dictionary at most.
const MOST_DICTIONARY: usize = 2 << 20;

impl Encoder {
    fn new(model: &Model) -> Self {
        let width = model.width();
        let escape = width - 1;
        let price = |frequency: &u16, total: u32| match frequency {
            0 => NEVER,
            frequency => log::price(u64::from(*frequency), u64::from(total)),
        };
        let row = |row: &[u16]| {
            let tokens = row.iter().take(escape);
            let mut prices: Vec<u32> = tokens.map(|frequency| price(frequency, TOTAL)).collect();
            prices.push(NEVER);
            prices
        };
        let rows = model.frequencies.chunks(width);
        let escapes = rows.clone().map(|row| {
            let frequency = row.last().copied().unwrap_or(0);
            price(&frequency, TOTAL) + 8 * 256
        });
        let mut distances = [NEVER; buckets::DISTANCES];
        for (place, frequency) in distances.iter_mut().zip(&model.distances) {
            *place = price(frequency, model::DISTANCE_TOTAL);
        }
        let prices = Prices {
            symbols: parse::symbols(&model.tokens, escape),
            contexts: model.contexts.clone(),
            escapes: escapes.collect(),
            tokens: rows.flat_map(row).collect(),
            width,
            distances,
        };
        Self {
            trie: prices.trie(&model.phrases),
            prices,
            writer: Writer::new(model),
        }
    }

    fn memory(&self) -> usize {
        let prices = &self.prices;
        let words = prices.symbols.len() + prices.tokens.len() + prices.escapes.len();
        self.trie.memory() + self.writer.memory() + words * 4 + prices.contexts.len()
    }

    fn encode(&self, unit: &[u8]) -> Vec<u8> {
        let mut steps = Steps::default();
        Parser::new(&self.trie, &self.prices).parse(unit, &mut steps);
        self.writer.unit(unit, &steps.symbols, &steps.matches)
    }
}
