//! The cheapest way to write a unit as bytes, phrases and matches, by dynamic programming.

use super::UNIT;
use super::buckets::{self, DISTANCES, LENGTHS, SHORTEST};
use super::text::{at, common, small};
use super::trie::Trie;

/// Symbols 0 to 255 are bytes; from here on matches, by bucket of their lengths.
pub(super) const MATCHES: usize = 256;
/// From here on phrases.
pub(super) const PHRASES: usize = MATCHES + LENGTHS;
/// The price of what cannot be coded: more than any unit costs.
pub(super) const NEVER: u32 = 1 << 30;
/// Matches looked at for each place.
const DEPTH: usize = 4;
/// Of a match so many lengths are tried, the longest ones.
const LENGTHS_TRIED: usize = 10;
/// No other way through a match of this length is looked for.
const LONG: usize = 2000;
/// Bits of a hash of four bytes.
const HASH_BITS: u32 = 15;
/// No place.
const NOWHERE: u32 = u32::MAX;

/// What a symbol costs: a token by context, and bits that tell which of the token's symbols it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Symbol {
    pub(super) token: u32,
    /// The price of the bits.
    pub(super) bits: u32,
}

/// Prices in 1/256 bit.
#[derive(Debug)]
pub(super) struct Prices {
    pub(super) symbols: Vec<Symbol>,
    /// The context that each symbol leaves behind.
    pub(super) contexts: Vec<u8>,
    /// Of each token in each context, `width` tokens a context.
    pub(super) tokens: Vec<u32>,
    pub(super) width: usize,
    /// Of a byte that has no token in a context.
    pub(super) escapes: Vec<u32>,
    /// Of each bucket of distances, without its raw bits.
    pub(super) distances: [u32; DISTANCES],
}

impl Prices {
    /// Prices of what follows a place.
    #[inline]
    fn row(&self, from: &Place) -> Row<'_> {
        // The first context is that of a unit's beginning, too.
        let context = usize::from(at(&self.contexts, from.symbol as usize));
        let start = context * self.width;
        let tokens = self.tokens.get(start..start + self.width);
        Row {
            symbols: &self.symbols,
            tokens: tokens.unwrap_or_default(),
            base: from.price,
        }
    }
}

/// Units as symbols.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) symbols: Vec<u32>,
    /// Of each match its distance (0: the last one again) and its length.
    pub(super) matches: Vec<(u32, u32)>,
    /// Where in `symbols` and `matches` each unit ends.
    pub(super) ends: Vec<(u32, u32)>,
}

impl Steps {
    pub(super) fn clear(&mut self) {
        self.symbols.clear();
        self.matches.clear();
        self.ends.clear();
    }

    /// The symbols and matches of each unit.
    pub(super) fn units(&self) -> impl Iterator<Item = (&[u32], &[(u32, u32)])> {
        let mut start = (0, 0);
        self.ends.iter().map(move |&end| {
            let (symbols, matches) = std::mem::replace(&mut start, end);
            (
                self.symbols
                    .get(symbols as usize..end.0 as usize)
                    .unwrap_or_default(),
                self.matches
                    .get(matches as usize..end.1 as usize)
                    .unwrap_or_default(),
            )
        })
    }
}

/// The best way to a place.
#[derive(Debug, Clone, Copy)]
struct Place {
    price: u32,
    symbol: u32,
    from: u32,
    /// Of the match that ends here; 0: the last one again.
    distance: u32,
    /// Of the last match on the way.
    last: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            price: NEVER,
            symbol: NOWHERE,
            from: 0,
            distance: 0,
            last: 1,
        }
    }
}

/// Parses units; keeps its memory between them.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    trie: &'a Trie,
    prices: &'a Prices,
    places: Vec<Place>,
    /// The last place of each hash, and of each place the one before it.
    heads: Vec<u32>,
    before: Vec<u32>,
    way: Vec<(u32, u32, u32)>,
}

/// Prices of symbols behind one symbol.
#[derive(Clone, Copy)]
struct Row<'a> {
    symbols: &'a [Symbol],
    tokens: &'a [u32],
    base: u32,
}

impl Row<'_> {
    #[inline]
    fn price(&self, symbol: usize) -> u32 {
        let symbol = at(self.symbols, symbol);
        let token = self.tokens.get(symbol.token as usize).copied();
        self.base + token.unwrap_or(NEVER) + symbol.bits
    }
}

impl<'a> Parser<'a> {
    pub(super) fn new(trie: &'a Trie, prices: &'a Prices) -> Self {
        Self {
            trie,
            prices,
            places: vec![Place::default(); UNIT + 1],
            heads: vec![NOWHERE; 1 << HASH_BITS],
            before: vec![NOWHERE; UNIT],
            way: Vec::new(),
        }
    }

    /// Adds the cheapest steps for `unit`, at most [`UNIT`] bytes; gives their price.
    pub(super) fn parse(&mut self, unit: &[u8], steps: &mut Steps) -> u32 {
        self.places.clear();
        self.places.resize(unit.len() + 1, Place::default());
        if let Some(first) = self.places.first_mut() {
            first.price = 0;
        }
        self.heads.fill(NOWHERE);
        let mut skip = 0;
        for i in 0..unit.len() {
            let rest = unit.get(i..).unwrap_or_default();
            let hash = rest.first_chunk::<4>().map(|four| {
                let product = u32::from_le_bytes(*four).wrapping_mul(0x9e37_79b1);
                (product >> (32 - HASH_BITS)) as usize
            });
            if i >= skip {
                self.phrases(i, rest);
                if let Some(hash) = hash {
                    skip = skip.max(self.matches(i, unit, at(&self.heads, hash)));
                }
            }
            if let Some(hash) = hash
                && let Some(head) = self.heads.get_mut(hash)
                && let Some(before) = self.before.get_mut(i)
            {
                *before = std::mem::replace(head, small(i));
            }
        }
        self.write(unit.len(), steps);
        at_place(&self.places, unit.len()).price
    }

    /// The ways from `i` by its byte and by phrases.
    #[inline]
    fn phrases(&mut self, i: usize, rest: &[u8]) {
        let Some((from, behind)) = self
            .places
            .get_mut(i..)
            .and_then(<[Place]>::split_first_mut)
        else {
            return;
        };
        let from = *from;
        let prices = self.prices;
        let context = usize::from(at(&prices.contexts, from.symbol as usize));
        let row = prices.row(&from);
        let mut reach = |length: usize, symbol: usize, price: u32| {
            if let Some(place) = behind.get_mut(length - 1)
                && price < place.price
            {
                *place = Place {
                    price,
                    symbol: small(symbol),
                    from: small(i),
                    distance: 0,
                    last: from.last,
                };
            }
        };
        if let Some(&byte) = rest.first() {
            let mut price = row.price(usize::from(byte));
            if price >= NEVER {
                price = from.price + prices.escapes.get(context).copied().unwrap_or(NEVER);
            }
            reach(1, usize::from(byte), price);
        }
        self.trie.walk(rest, |phrase, length| {
            let symbol = PHRASES + phrase;
            reach(length, symbol, row.price(symbol));
        });
    }

    /// The ways from `i` by matches; the end of one so long that no other way is looked for.
    #[inline]
    fn matches(&mut self, i: usize, unit: &[u8], head: u32) -> usize {
        let from = at_place(&self.places, i);
        let row = self.prices.row(&from);
        let rest = unit.get(i..).unwrap_or_default();
        let mut skip = 0;
        let last = from.last as usize;
        if let Some(source) = i.checked_sub(last).and_then(|at| unit.get(at..)) {
            let length = common(source, rest);
            if length >= SHORTEST as usize {
                let price = at(&self.prices.distances, 0);
                skip = self.reach(i, SHORTEST as usize..=length, 0, price, row);
            }
        }
        let mut best = SHORTEST as usize;
        let mut candidate = head;
        for _ in 0..DEPTH {
            if candidate == NOWHERE || best >= rest.len() {
                break;
            }
            let source = unit.get(candidate as usize..).unwrap_or_default();
            if source.get(best) == rest.get(best) {
                let length = common(source, rest);
                if length > best {
                    let distance = small(i) - candidate;
                    let place = buckets::distance(distance);
                    let price =
                        at(&self.prices.distances, place.bucket as usize) + place.bits * 256;
                    let end = self.reach(i, best + 1..=length, distance, price, row);
                    skip = skip.max(end);
                    best = length;
                }
            }
            candidate = self
                .before
                .get(candidate as usize)
                .copied()
                .unwrap_or(NOWHERE);
        }
        skip
    }

    #[inline]
    fn reach(
        &mut self,
        i: usize,
        lengths: std::ops::RangeInclusive<usize>,
        distance: u32,
        price: u32,
        row: Row<'_>,
    ) -> usize {
        let longest = *lengths.end();
        let last = if distance == 0 {
            at_place(&self.places, i).last
        } else {
            distance
        };
        for length in lengths.rev().take(LENGTHS_TRIED) {
            let bucket = buckets::length(small(length));
            let symbol = MATCHES + bucket.bucket as usize;
            let price = row.price(symbol) + bucket.bits * 256 + price;
            if let Some(place) = self.places.get_mut(i + length)
                && price < place.price
            {
                *place = Place {
                    price,
                    symbol: small(symbol),
                    from: small(i),
                    distance,
                    last,
                };
            }
        }
        let end = i + longest;
        if longest >= LONG && at_place(&self.places, end).price < NEVER {
            end
        } else {
            0
        }
    }

    /// Adds the way to the end.
    fn write(&mut self, end: usize, steps: &mut Steps) {
        self.way.clear();
        let mut place = end;
        while place > 0 {
            let here = at_place(&self.places, place);
            let from = here.from as usize;
            self.way
                .push((here.symbol, here.distance, small(place - from)));
            place = from;
        }
        for &(symbol, distance, length) in self.way.iter().rev() {
            steps.symbols.push(symbol);
            if (MATCHES..PHRASES).contains(&(symbol as usize)) {
                steps.matches.push((distance, length));
            }
        }
        steps
            .ends
            .push((small(steps.symbols.len()), small(steps.matches.len())));
    }
}

#[inline]
fn at_place(places: &[Place], i: usize) -> Place {
    places.get(i).copied().unwrap_or_default()
}
