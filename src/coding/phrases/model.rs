//! What a dictionary states, and its bytes: phrases, where each symbol belongs, and frequencies.

use super::Damaged;
use super::buckets::DISTANCES;
use super::parse::{MATCHES, PHRASES};
use super::text::{self, Strings, at, common};
use crate::coding::model::{Coder, Table};
use crate::coding::rans;

/// Contexts: what a symbol says about the next one.
pub(super) const CONTEXTS: usize = 24;
/// Classes of tokens.
pub(super) const CLASSES: usize = 32;
/// Bits of the sum of a context's frequencies.
pub(super) const TOTAL_BITS: u32 = 12;
/// The sum of a context's frequencies.
pub(super) const TOTAL: u32 = 1 << TOTAL_BITS;
/// The sum of the frequencies of distances.
pub(super) const DISTANCE_TOTAL: u32 = 1 << 10;
/// Bytes of a phrase at most.
pub(super) const LONGEST: usize = 128;
/// Bytes of all phrases at most.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// Phrases at most.
pub(super) const MOST_PHRASES: usize = (1 << 17) - PHRASES;
/// Symbols of a token are 2^11 at most.
pub(super) const GROUP_BITS: u32 = 11;
/// The token of a byte or match that has none.
pub(super) const NO_TOKEN: u16 = u16::MAX;
/// Bits of the hash of the bytes before a byte: fewer where there are few phrases, so that those are read at once.
fn bits_of_bytes(phrases: usize) -> u32 {
    phrases.max(1).ilog2().clamp(6, 10)
}

/// Bits of the hash of the bytes that a symbol's place depends on.
fn bits_of_places(phrases: usize) -> u32 {
    phrases.max(1).ilog2().clamp(8, 10) - 2
}

/// All that a dictionary states.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// Sorted, no two the same, of 2 to [`LONGEST`] bytes.
    pub(super) phrases: Strings,
    /// Tokens of each class, one class behind the other.
    pub(super) of_class: Vec<u8>,
    /// Of each symbol (bytes, matches, phrases); the symbols of a token are a power of two.
    pub(super) tokens: Vec<u16>,
    /// Of each symbol, the context for the next one.
    pub(super) contexts: Vec<u8>,
    /// Of each token in each context, behind them that of the escape, which is never 0; each context's sum is [`TOTAL`].
    pub(super) frequencies: Vec<u16>,
    /// Of each bucket of distances; the sum is [`DISTANCE_TOTAL`].
    pub(super) distances: Vec<u16>,
}

/// Tables of numbers below 256: one for the high half, and one for the low half behind each high one.
#[derive(Debug)]
struct Tables(Vec<[Table; 17]>);

impl Tables {
    fn new(contexts: usize) -> Self {
        Self(vec![[Table::default(); 17]; contexts])
    }

    fn get(&mut self, context: usize) -> Result<&mut [Table; 17], Damaged> {
        self.0.get_mut(context).ok_or(BROKEN)
    }
}

/// Never seen: a context out of range would be a mistake of ours.
const BROKEN: Damaged = Damaged("a dictionary's context is out of range");

/// Codes with the table of the narrow context `a`, as long as that is new with that of `b`.
fn symbol<C: Coder>(coder: &mut C, a: &mut Table, b: &mut Table, value: u32) -> u32 {
    if a.is_new() {
        coder.symbol(b, a, value)
    } else {
        coder.symbol(a, b, value)
    }
}

fn byte<C: Coder>(
    coder: &mut C,
    a: &mut [Table; 17],
    b: &mut [Table; 17],
    value: u8,
) -> Result<u8, Damaged> {
    let [a_high, a_low @ ..] = a;
    let [b_high, b_low @ ..] = b;
    let high = symbol(coder, a_high, b_high, u32::from(value >> 4));
    let a = a_low.get_mut(high as usize).ok_or(BROKEN)?;
    let b = b_low.get_mut(high as usize).ok_or(BROKEN)?;
    let low = symbol(coder, a, b, u32::from(value & 15));
    u8::try_from(high << 4 | low).map_err(|_| BROKEN)
}

/// A number up to 255, mostly below 15.
fn number<C: Coder>(
    coder: &mut C,
    a: &mut [Table; 17],
    b: &mut [Table; 17],
    value: u8,
) -> Result<u8, Damaged> {
    let [a_first, a_rest @ ..] = a;
    let [b_first, b_rest @ ..] = b;
    let first = symbol(coder, a_first, b_first, u32::from(value.min(15)));
    if first < 15 {
        return u8::try_from(first).map_err(|_| BROKEN);
    }
    let over = u32::from(value.saturating_sub(15));
    let [a, a_low, ..] = a_rest;
    let [b, b_low, ..] = b_rest;
    let high = symbol(coder, a, b, over >> 4);
    let low = symbol(coder, a_low, b_low, over & 15);
    u8::try_from((high << 4 | low) + 15).map_err(|_| Damaged("a dictionary's number is too large"))
}

fn hash([a, b, c]: [u8; 3], bits: u32) -> usize {
    let all = u32::from_le_bytes([a, b, c, 0]);
    (all.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

fn tail(phrase: &[u8]) -> (u8, u8) {
    match phrase {
        [.., before, last] => (*before, *last),
        [last] => (0, *last),
        [] => (0, 0),
    }
}

impl Model {
    /// The first token of each class, and the number of all tokens.
    fn first_tokens(&self) -> (Vec<usize>, usize) {
        let mut sum = 0;
        let first = self
            .of_class
            .iter()
            .map(|&tokens| {
                let first = sum;
                sum += usize::from(tokens);
                first
            })
            .collect();
        (first, sum)
    }

    /// Places in a row of frequencies: one for each token, and the escape.
    pub(super) fn width(&self) -> usize {
        self.first_tokens().1 + 1
    }

    /// The bytes of the dictionary.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Damaged> {
        let mut coder = rans::Encoder::default();
        Self::code(&mut coder, self)?;
        Ok(coder.finish())
    }

    /// Reads what [`Model::to_bytes`] gave. Takes at most [`MOST_BYTES`] for phrases, 11 bytes a symbol, 4 MiB of tables
    /// while it reads, and as many steps as there are bytes of phrases and symbols.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut coder = rans::Decoder::new(bytes);
        let model = Self::code(&mut coder, &Self::default())?;
        if coder.is_done() {
            Ok(model)
        } else {
            Err(Damaged("a dictionary does not end where its bytes do"))
        }
    }

    /// Codes `known` in either direction; gives what was coded.
    fn code<C: Coder>(coder: &mut C, known: &Self) -> Result<Self, Damaged> {
        let mut model = Self::default();
        let count = coder.raw(17, u32::try_from(known.phrases.len()).unwrap_or(u32::MAX));
        let count = count as usize;
        if count > MOST_PHRASES {
            return Err(Damaged("a dictionary has too many phrases"));
        }
        for class in 0..CLASSES {
            let tokens = coder.raw(8, u32::from(at(&known.of_class, class)));
            model.of_class.push(u8::try_from(tokens).unwrap_or(0));
        }
        model.code_symbols(coder, known, count)?;
        model.check_groups()?;
        model.code_frequencies(coder, known)?;
        let mut sum = 0;
        for bucket in 0..DISTANCES {
            let frequency = coder.raw(11, u32::from(at(&known.distances, bucket)));
            sum += frequency;
            model
                .distances
                .push(u16::try_from(frequency).unwrap_or(u16::MAX));
        }
        if sum != DISTANCE_TOTAL {
            return Err(Damaged("a dictionary's distances do not add up"));
        }
        Ok(model)
    }

    /// Phrases, tokens and contexts.
    fn code_symbols<C: Coder>(
        &mut self,
        coder: &mut C,
        known: &Self,
        count: usize,
    ) -> Result<(), Damaged> {
        let mut phrases = PhraseTables::new(count);
        let mut places = PlaceTables::new(count);
        let (first_tokens, _) = self.first_tokens();
        let mut before = CLASSES;
        for symbol in 0..PHRASES + count {
            let single = [u8::try_from(symbol).unwrap_or(0)];
            let number = symbol.checked_sub(PHRASES);
            let mut shared = 0;
            if let Some(number) = number {
                shared = phrases.code(coder, &mut self.phrases, known.phrases.get(number))?;
                if coder.is_overrun() || self.phrases.size() > MOST_BYTES {
                    return Err(Damaged("a dictionary has fewer phrases than it says"));
                }
            }
            let string = match number {
                Some(number) => self.phrases.get(number),
                None if symbol < MATCHES => single.as_slice(),
                None => &[],
            };
            let token = usize::from(known.tokens.get(symbol).copied().unwrap_or(NO_TOKEN));
            let class = first_tokens
                .iter()
                .zip(&self.of_class)
                .position(|(first, count)| (*first..first + usize::from(*count)).contains(&token))
                .unwrap_or(CLASSES);
            let class = places.class(coder, string, (before, shared), class)?;
            before = class;
            let Some(&first) = first_tokens.get(class) else {
                if class > CLASSES || number.is_some() {
                    return Err(Damaged("a dictionary's phrase has no class"));
                }
                self.tokens.push(NO_TOKEN);
                self.contexts.push(0);
                continue;
            };
            let index = token.saturating_sub(first);
            let index = places.index(coder, string.len(), class, index)?;
            if index >= at(&self.of_class, class) {
                return Err(Damaged("a dictionary's symbol has no token"));
            }
            let token = u16::try_from(first + usize::from(index)).unwrap_or(NO_TOKEN);
            let context = places.context(coder, string, at(&known.contexts, symbol))?;
            if usize::from(context) >= CONTEXTS {
                return Err(Damaged("a dictionary's symbol has no context"));
            }
            self.tokens.push(token);
            self.contexts.push(context);
        }
        Ok(())
    }

    /// Whether the symbols of each token are a power of two.
    fn check_groups(&self) -> Result<(), Damaged> {
        let mut sizes = vec![0_u32; self.first_tokens().1];
        for &token in &self.tokens {
            if let Some(size) = sizes.get_mut(usize::from(token)) {
                *size += 1;
            }
        }
        let good = |size: &u32| size.is_power_of_two() && *size <= 1 << GROUP_BITS;
        if sizes.iter().all(good) {
            Ok(())
        } else {
            Err(Damaged("a dictionary's token has a wrong size"))
        }
    }

    /// Frequencies of all contexts: lengths by those of the same token in earlier contexts and of the token before.
    fn code_frequencies<C: Coder>(&mut self, coder: &mut C, known: &Self) -> Result<(), Damaged> {
        let width = self.width();
        let mut narrow = vec![Table::default(); 16 * 16];
        let mut wide = vec![Table::default(); 16];
        let mut earlier = vec![0_u32; width];
        for context in 0..CONTEXTS {
            let (mut sum, mut before) = (0, 0);
            for (token, earlier) in earlier.iter_mut().enumerate() {
                let frequency = u32::from(at(&known.frequencies, context * width + token));
                let length = u32::BITS - frequency.leading_zeros();
                let a = narrow.get_mut((*earlier << 4 | before) as usize);
                let b = wide.get_mut(*earlier as usize);
                let length = symbol(coder, a.ok_or(BROKEN)?, b.ok_or(BROKEN)?, length);
                let frequency = match length.checked_sub(1) {
                    Some(bits) => 1 << bits | coder.raw(bits, frequency & ((1 << bits) - 1)),
                    None => 0,
                };
                sum += frequency;
                before = length;
                *earlier = (*earlier * 2 + length + 1) / 3;
                self.frequencies
                    .push(u16::try_from(frequency).unwrap_or(u16::MAX));
            }
            if sum != TOTAL || self.frequencies.last() == Some(&0) {
                return Err(Damaged("a dictionary's frequencies do not add up"));
            }
        }
        Ok(())
    }
}

/// Tables for phrases: what they share with the one before, their lengths, and the rest of their bytes.
#[derive(Debug)]
struct PhraseTables {
    /// Of the hash of bytes.
    bits: u32,
    shared: [Tables; 2],
    rest: [Tables; 2],
    first: [Tables; 2],
    bytes: [Tables; 2],
    recent: Recent,
    /// How many bytes are as they were, by how it went before in this phrase and how many there may be.
    same: Vec<Table>,
    spare: Table,
}

/// Where four bytes were last.
#[derive(Debug)]
struct Recent(Vec<u32>);

impl Recent {
    fn slot(four: [u8; 4]) -> usize {
        (u32::from_le_bytes(four).wrapping_mul(0x9e37_79b1) >> 18) as usize
    }

    /// What followed `four` in `bytes`.
    fn after<'a>(&self, bytes: &'a [u8], four: [u8; 4]) -> Option<&'a [u8]> {
        let next = at(&self.0, Self::slot(four)) as usize;
        let (before, after) = bytes.split_at_checked(next)?;
        (before.ends_with(&four) && !after.is_empty()).then_some(after)
    }

    fn add(&mut self, four: [u8; 4], next: usize) {
        if let Some(slot) = self.0.get_mut(Self::slot(four)) {
            *slot = text::small(next);
        }
    }
}

const WRONG_COPY: Damaged = Damaged("a dictionary's phrase copies too much");

impl PhraseTables {
    fn new(count: usize) -> Self {
        let bits = bits_of_bytes(count);
        Self {
            bits,
            shared: [Tables::new(LONGEST + 1), Tables::new(1)],
            rest: [Tables::new(LONGEST + 1), Tables::new(1)],
            first: [Tables::new(256), Tables::new(256)],
            bytes: [Tables::new(1 << bits), Tables::new(256)],
            recent: Recent(vec![0; 1 << 14]),
            same: vec![Table::default(); 3 * 16],
            spare: Table::default(),
        }
    }

    /// Codes a phrase and adds it; gives how many bytes it shares with the one before.
    fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        phrases: &mut Strings,
        phrase: &[u8],
    ) -> Result<usize, Damaged> {
        let before = phrases.get(phrases.len().wrapping_sub(1));
        let shared = u8::try_from(common(before, phrase)).unwrap_or(0);
        let [a, b] = &mut self.shared;
        let shared = usize::from(number(coder, a.get(before.len())?, b.get(0)?, shared)?);
        if shared > before.len() {
            return Err(Damaged("a dictionary's phrase shares too much"));
        }
        let [a, b] = &mut self.rest;
        let rest = u8::try_from(phrase.len().saturating_sub(shared)).unwrap_or(0);
        let rest = usize::from(number(coder, a.get(shared)?, b.get(0)?, rest)?);
        if rest == 0 || !(2..=LONGEST).contains(&(shared + rest)) {
            return Err(Damaged("a dictionary's phrase has a wrong length"));
        }
        let mut read = [0; LONGEST];
        let place = read.get_mut(..shared).ok_or(BROKEN)?;
        place.copy_from_slice(before.get(..shared).ok_or(BROKEN)?);
        let parted = before.get(shared).copied();
        let end = shared + rest;
        let mut place = shared;
        let mut luck = 0;
        while place < end {
            let done = read.get(..place).ok_or(BROKEN)?;
            if place > shared
                && let Some(four) = done.last_chunk()
                && let Some(likely) = self.recent.after(phrases.all(), *four)
            {
                // As many bytes as go on like there, 15 at most.
                let most = (end - place).min(15);
                let likely = likely.get(..most).unwrap_or(likely);
                let behind = phrase.get(place..).unwrap_or_default();
                let same = text::small(common(behind, likely));
                let table = self.same.get_mut(luck * 16 + most).ok_or(BROKEN)?;
                let same = coder.symbol(table, &mut self.spare, same) as usize;
                let copied = likely.get(..same).ok_or(WRONG_COPY)?;
                let to = read.get_mut(place..place + same).ok_or(WRONG_COPY)?;
                to.copy_from_slice(copied);
                place += same;
                luck = 1 + usize::from(same > 3);
                if same == most {
                    continue;
                }
            }
            let (two, one) = tail(read.get(..place).ok_or(BROKEN)?);
            let value = at(phrase, place);
            let value = if place == shared {
                let [a, b] = &mut self.first;
                let narrow = a.get(usize::from(parted.unwrap_or(0)))?;
                let value = byte(coder, narrow, b.get(usize::from(one))?, value)?;
                if parted.is_some_and(|parted| value <= parted) {
                    return Err(Damaged("a dictionary's phrases are not in order"));
                }
                value
            } else {
                let [a, b] = &mut self.bytes;
                let narrow = a.get(hash([one, two, 0], self.bits))?;
                byte(coder, narrow, b.get(usize::from(one))?, value)?
            };
            *read.get_mut(place).ok_or(BROKEN)? = value;
            place += 1;
        }
        phrases.push_onto(shared, read.get(shared..end).ok_or(BROKEN)?);
        let start = phrases.size() - end;
        let fours = read
            .get(..end)
            .unwrap_or_default()
            .windows(4)
            .zip(start + 4..);
        for (four, next) in fours.skip((shared + 1).saturating_sub(4)) {
            self.recent.add(*four.first_chunk().ok_or(BROKEN)?, next);
        }
        Ok(shared)
    }
}

/// Tables for where symbols belong.
#[derive(Debug)]
struct PlaceTables {
    /// Of the hashes of bytes.
    bits: u32,
    class: [Tables; 2],
    index: [Tables; 2],
    context: [Tables; 2],
}

impl PlaceTables {
    fn new(count: usize) -> Self {
        let bits = bits_of_places(count);
        Self {
            bits,
            class: [Tables::new(1 << bits), Tables::new(257)],
            index: [Tables::new(CLASSES * 16), Tables::new(CLASSES)],
            context: [Tables::new(1 << bits), Tables::new(257)],
        }
    }

    /// The class of `string`, by its first bytes and, where it shares some with the one before, by that one's class.
    fn class<C: Coder>(
        &mut self,
        coder: &mut C,
        string: &[u8],
        (before, shared): (usize, usize),
        class: usize,
    ) -> Result<usize, Damaged> {
        let first = string.first().map_or(256, |&first| usize::from(first));
        let second = at(string, 1);
        let of_before = u8::try_from(if shared > 1 { before } else { 63 }).unwrap_or(0);
        let [a, b] = &mut self.class;
        let narrow = a.get(hash([at(string, 0), second, of_before], self.bits))?;
        let class = u8::try_from(class).unwrap_or(0);
        byte(coder, narrow, b.get(first)?, class).map(usize::from)
    }

    /// Which token of its class a symbol has, by how long it is.
    fn index<C: Coder>(
        &mut self,
        coder: &mut C,
        length: usize,
        class: usize,
        index: usize,
    ) -> Result<u8, Damaged> {
        let [a, b] = &mut self.index;
        let narrow = a.get(class * 16 + length.min(15))?;
        let index = u8::try_from(index).unwrap_or(0);
        number(coder, narrow, b.get(class)?, index)
    }

    /// The context that `string` leaves behind, by its last bytes.
    fn context<C: Coder>(
        &mut self,
        coder: &mut C,
        string: &[u8],
        context: u8,
    ) -> Result<u8, Damaged> {
        let last = string.last().map_or(256, |&last| usize::from(last));
        let (two, one) = tail(string);
        let [a, b] = &mut self.context;
        byte(
            coder,
            a.get(hash([one, two, 1], self.bits))?,
            b.get(last)?,
            context,
        )
    }
}
