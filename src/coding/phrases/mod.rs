//! Phrases: a dictionary learned from content, with which each of its units is decoded alone.

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

use model::{Model, NO_TOKEN, TOTAL};
use parse::{NEVER, PHRASES, Parser, Prices, Steps, Symbol};
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
}

/// Bytes of a dictionary at most.
const MOST_DICTIONARY: usize = 2 << 20;

impl Encoder {
    fn new(model: &Model) -> Self {
        let width = model.width();
        let escape = width - 1;
        let mut sizes = vec![0_u32; width];
        for &token in &model.tokens {
            if let Some(size) = sizes.get_mut(usize::from(token)) {
                *size += 1;
            }
        }
        let symbol = |&token: &u16| Symbol {
            token: if token == NO_TOKEN {
                text::small(escape)
            } else {
                u32::from(token)
            },
            bits: text::at(&sizes, usize::from(token)).max(1).ilog2() * 256,
        };
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
        Self {
            trie: Trie::new(&model.phrases),
            prices: Prices {
                symbols: model.tokens.iter().map(symbol).collect(),
                contexts: model.contexts.clone(),
                escapes: escapes.collect(),
                tokens: rows.flat_map(row).collect(),
                width,
                distances,
            },
            writer: Writer::new(model),
        }
    }

    fn memory(&self) -> usize {
        let prices = &self.prices;
        let words = prices.symbols.len() * 2 + prices.tokens.len() + prices.escapes.len();
        self.trie.memory() + self.writer.memory() + words * 4 + prices.contexts.len()
    }

    fn encode(&self, unit: &[u8]) -> Vec<u8> {
        let mut steps = Steps::default();
        Parser::new(&self.trie, &self.prices).parse(unit, &mut steps);
        self.writer.unit(unit, &steps.symbols, &steps.matches)
    }
}

const _: () = assert!(PHRASES < 1 << 9 && NO_TOKEN as usize >= 1 << 12);
