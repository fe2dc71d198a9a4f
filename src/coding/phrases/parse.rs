//! The cheapest way to write a unit as bytes, phrases and matches, by dynamic programming.

use super::UNIT;
use super::buckets::{self, DISTANCES, LENGTHS, SHORTEST};
use super::model::NO_TOKEN;
use super::text::{Strings, at, common, small};
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
const LENGTHS_TRIED: usize = 5;
/// No other way through a match of this length is looked for.
const LONG: usize = 2000;
/// Bits of a hash of four bytes.
const HASH_BITS: u32 = 15;
/// No place.
const NOWHERE: u16 = u16::MAX;
/// No symbol.
const NOTHING: u32 = u32::MAX;

/// What a symbol costs: a token by context, and bits that tell which of the token's symbols it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Symbol {
    pub(super) token: u16,
    /// The price of the bits.
    pub(super) bits: u16,
}

/// Symbols by their tokens, with that of an escape, `escape`, where they have none.
pub(super) fn symbols(tokens: &[u16], escape: usize) -> Vec<Symbol> {
    let mut sizes = vec![0_u32; escape];
    for &token in tokens {
        if let Some(size) = sizes.get_mut(usize::from(token)) {
            *size += 1;
        }
    }
    let symbol = |&token: &u16| Symbol {
        token: if token == NO_TOKEN {
            short(escape)
        } else {
            token
        },
        bits: short(at(&sizes, usize::from(token)).max(1).ilog2() as usize * 256),
    };
    tokens.iter().map(symbol).collect()
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

/// The best way to a place. Places and distances are below 2^15.
#[derive(Debug, Clone, Copy)]
struct Place {
    price: u32,
    symbol: u32,
    from: u16,
    /// Of the match that ends here; 0: the last one again.
    distance: u16,
    /// Of the last match on the way.
    last: u16,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            price: NEVER,
            symbol: NOTHING,
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
    /// In each context, of matches by bucket of their lengths, with raw bits.
    lengths: Vec<[u32; LENGTHS]>,
    places: Vec<Place>,
    /// The last place of each hash, and of each place the one before it.
    heads: Vec<u16>,
    before: Vec<u16>,
    way: Vec<(u32, u16, u32)>,
}

/// Prices of symbols behind a place.
#[derive(Clone, Copy)]
struct Row<'a> {
    tokens: &'a [u32],
    base: u32,
}

impl Row<'_> {
    #[inline]
    fn price(&self, symbol: Symbol) -> u32 {
        let token = self.tokens.get(usize::from(symbol.token)).copied();
        self.base + token.unwrap_or(NEVER) + u32::from(symbol.bits)
    }
}

impl Prices {
    /// A trie of phrases that have these prices.
    pub(super) fn trie(&self, phrases: &Strings) -> Trie {
        let symbols = self.symbols.get(PHRASES..).unwrap_or_default();
        Trie::new(phrases, symbols)
    }

    /// Prices in a context, from `base` on.
    #[inline]
    fn row(&self, context: usize, base: u32) -> Row<'_> {
        let start = context * self.width;
        let tokens = self.tokens.get(start..start + self.width);
        Row {
            tokens: tokens.unwrap_or_default(),
            base,
        }
    }

    /// Of matches by bucket of their lengths, with raw bits.
    fn lengths(&self, context: usize) -> [u32; LENGTHS] {
        let row = self.row(context, 0);
        std::array::from_fn(|bucket| {
            let (_, bits) = buckets::length_of(small(bucket));
            row.price(at(&self.symbols, MATCHES + bucket)) + bits * 256
        })
    }
}

/// A place as it is kept.
#[inline]
fn short(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(NOWHERE)
}

impl<'a> Parser<'a> {
    pub(super) fn new(trie: &'a Trie, prices: &'a Prices) -> Self {
        let contexts = prices.tokens.len() / prices.width.max(1);
        Self {
            trie,
            prices,
            lengths: (0..contexts).map(|c| prices.lengths(c)).collect(),
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
                let from = at_place(&self.places, i);
                // The first context is that of a unit's beginning, too.
                let context = usize::from(at(&self.prices.contexts, from.symbol as usize));
                self.phrases(i, rest, from, context);
                if let Some(hash) = hash {
                    let head = self.heads.get(hash).copied().unwrap_or(NOWHERE);
                    skip = skip.max(self.matches(i, unit, head, from, context));
                }
            }
            if let Some(hash) = hash
                && let Some(head) = self.heads.get_mut(hash)
                && let Some(before) = self.before.get_mut(i)
            {
                *before = std::mem::replace(head, short(i));
            }
        }
        self.write(unit.len(), steps);
        at_place(&self.places, unit.len()).price
    }

    /// The ways from `i` by its byte and by phrases.
    #[inline]
    fn phrases(&mut self, i: usize, rest: &[u8], from: Place, context: usize) {
        let behind = self.places.get_mut(i + 1..).unwrap_or_default();
        let prices = self.prices;
        let row = prices.row(context, from.price);
        let mut reach = |length: usize, symbol: usize, price: u32| {
            if let Some(place) = behind.get_mut(length - 1)
                && price < place.price
            {
                *place = Place {
                    price,
                    symbol: small(symbol),
                    from: short(i),
                    distance: 0,
                    last: from.last,
                };
            }
        };
        if let Some(&byte) = rest.first() {
            let mut price = row.price(at(&prices.symbols, usize::from(byte)));
            if price >= NEVER {
                price = from.price + prices.escapes.get(context).copied().unwrap_or(NEVER);
            }
            reach(1, usize::from(byte), price);
        }
        self.trie.walk(rest, |phrase, length, symbol| {
            reach(length, PHRASES + phrase, row.price(symbol));
        });
    }

    /// The ways from `i` by matches; the end of one so long that no other way is looked for.
    #[inline]
    fn matches(&mut self, i: usize, unit: &[u8], head: u16, from: Place, context: usize) -> usize {
        let Some(lengths) = self.lengths.get(context) else {
            return 0;
        };
        let rest = unit.get(i..).unwrap_or_default();
        let behind = self.places.get_mut(i..).unwrap_or_default();
        let mut ways = Ways {
            i,
            behind,
            lengths,
            last: from.last,
            skip: 0,
        };
        let last = usize::from(from.last);
        if let Some(source) = i.checked_sub(last).and_then(|at| unit.get(at..)) {
            let length = common(source, rest);
            if length >= SHORTEST as usize {
                let price = from.price + at(&self.prices.distances, 0);
                ways.reach(SHORTEST as usize, length, 0, price);
            }
        }
        let mut best = SHORTEST as usize;
        let mut candidate = head;
        for _ in 0..DEPTH {
            if candidate == NOWHERE || best >= rest.len() {
                break;
            }
            let place = usize::from(candidate);
            let source = unit.get(place..).unwrap_or_default();
            if source.get(best) == rest.get(best) {
                let length = common(source, rest);
                if length > best {
                    let distance = small(i - place);
                    let bucket = buckets::distance(distance);
                    let price =
                        at(&self.prices.distances, bucket.bucket as usize) + bucket.bits * 256;
                    ways.reach(best + 1, length, short(i - place), from.price + price);
                    best = length;
                }
            }
            candidate = self.before.get(place).copied().unwrap_or(NOWHERE);
        }
        ways.skip
    }

    /// Adds the way to the end.
    fn write(&mut self, end: usize, steps: &mut Steps) {
        self.way.clear();
        let mut place = end;
        while place > 0 {
            let here = at_place(&self.places, place);
            let from = usize::from(here.from);
            self.way
                .push((here.symbol, here.distance, small(place - from)));
            place = from;
        }
        for &(symbol, distance, length) in self.way.iter().rev() {
            steps.symbols.push(symbol);
            if (MATCHES..PHRASES).contains(&(symbol as usize)) {
                steps.matches.push((distance.into(), length));
            }
        }
        steps
            .ends
            .push((small(steps.symbols.len()), small(steps.matches.len())));
    }
}

/// Ways by matches from one place.
struct Ways<'a> {
    i: usize,
    /// Places from that one on.
    behind: &'a mut [Place],
    lengths: &'a [u32; LENGTHS],
    /// The last distance on the way to the place.
    last: u16,
    /// The end of a match so long that no other way is looked for.
    skip: usize,
}

impl Ways<'_> {
    /// Those by a match of `from..=to` bytes, but the shortest of many.
    #[inline]
    fn reach(&mut self, from: usize, to: usize, distance: u16, price: u32) {
        let last = if distance == 0 { self.last } else { distance };
        for length in (from..=to).rev().take(LENGTHS_TRIED) {
            let bucket = buckets::length(small(length)).bucket as usize;
            let price = price + at(self.lengths, bucket);
            if let Some(place) = self.behind.get_mut(length)
                && price < place.price
            {
                *place = Place {
                    price,
                    symbol: small(MATCHES + bucket),
                    from: short(self.i),
                    distance,
                    last,
                };
            }
        }
        if to >= LONG && at_place(self.behind, to).price < NEVER {
            self.skip = self.skip.max(self.i + to);
        }
    }
}

#[inline]
fn at_place(places: &[Place], i: usize) -> Place {
    places.get(i).copied().unwrap_or_default()
}
