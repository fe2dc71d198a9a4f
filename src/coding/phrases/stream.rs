//! Units as bits: tokens, raw bits and distances through one rANS state of 64 bits.

use super::Damaged;
use super::buckets::{self, DISTANCES, LENGTHS};
use super::model::{CONTEXTS, DISTANCE_TOTAL, LONGEST, Model, NO_TOKEN, TOTAL, TOTAL_BITS};
use super::parse::{MATCHES, PHRASES};
use super::text::{at, small};

/// A state below this takes up a word.
const LOW: u64 = 1 << 31;
/// A state stays below 2^63.
const STATE_BITS: u32 = 63;
const DISTANCE_BITS: u32 = DISTANCE_TOTAL.ilog2();
/// Places of a context.
const PLACES: usize = TOTAL as usize;
const DISTANCE_PLACES: usize = DISTANCE_TOTAL as usize;
/// What is copied at once.
const STEP: usize = 16;

/// Where each symbol lies among those of its token.
#[derive(Debug, Clone, Copy, Default)]
struct Rank {
    token: u16,
    /// In the token.
    place: u16,
    bits: u8,
}

/// Writes units.
#[derive(Debug)]
pub(super) struct Writer {
    ranks: Vec<Rank>,
    contexts: Vec<u8>,
    /// Start and frequency of each token by context.
    spans: Vec<(u16, u16)>,
    width: usize,
    /// Of distances.
    distances: Vec<(u16, u16)>,
}

/// Starts and frequencies.
fn spans(frequencies: &[u16]) -> impl Iterator<Item = (u16, u16)> {
    frequencies.iter().scan(0_u16, |start, &frequency| {
        let span = (*start, frequency);
        *start = start.saturating_add(frequency);
        Some(span)
    })
}

/// A state and the words that it has given off.
#[derive(Debug)]
struct State {
    x: u64,
    words: Vec<u32>,
}

impl State {
    /// Gives off a word where a step that makes the state `2^bits / frequency` times as large would make it too large.
    fn make_room(&mut self, frequency: u64, bits: u32) {
        if self.x >= frequency << (STATE_BITS - bits) {
            self.words
                .push(u32::try_from(self.x & 0xffff_ffff).unwrap_or(0));
            self.x >>= 32;
        }
    }

    fn raw(&mut self, bits: u32, value: u32) {
        self.x = self.x << bits | u64::from(value);
    }

    fn span(&mut self, (start, frequency): (u16, u16), bits: u32) {
        let frequency = u64::from(frequency).max(1);
        self.x = (self.x / frequency) << bits | (self.x % frequency + u64::from(start));
    }
}

impl Writer {
    pub(super) fn new(model: &Model) -> Self {
        let width = model.width();
        let mut sizes = vec![0_u16; width];
        let mut ranks: Vec<Rank> = Vec::with_capacity(model.tokens.len());
        for &token in &model.tokens {
            let mut rank = Rank {
                token,
                ..Rank::default()
            };
            if let Some(size) = sizes.get_mut(usize::from(token)) {
                rank.place = *size;
                *size += 1;
            }
            ranks.push(rank);
        }
        for rank in &mut ranks {
            let size = at(&sizes, usize::from(rank.token)).max(1);
            rank.bits = u8::try_from(size.ilog2()).unwrap_or(0);
        }
        Self {
            ranks,
            contexts: model.contexts.clone(),
            spans: model.frequencies.chunks(width).flat_map(spans).collect(),
            width,
            distances: spans(&model.distances).collect(),
        }
    }

    /// Bytes in memory.
    pub(super) fn memory(&self) -> usize {
        self.ranks.len() * size_of::<Rank>() + self.contexts.len() + self.spans.len() * 4
    }

    /// The bits of `unit` by its symbols and matches, or the unit itself where they are no fewer.
    pub(super) fn unit(&self, unit: &[u8], symbols: &[u32], matches: &[(u32, u32)]) -> Vec<u8> {
        let coded = self.write(symbols, matches);
        if coded.len() < unit.len() {
            coded
        } else {
            unit.to_vec()
        }
    }

    fn write(&self, symbols: &[u32], matches: &[(u32, u32)]) -> Vec<u8> {
        let mut state = State {
            x: 1,
            words: Vec::with_capacity(symbols.len() / 2),
        };
        let mut matches = matches.iter().rev();
        for (i, &symbol) in symbols.iter().enumerate().rev() {
            if (MATCHES..PHRASES).contains(&(symbol as usize))
                && let Some(&(distance, length)) = matches.next()
            {
                let distance = buckets::distance(distance);
                let length = buckets::length(length);
                state.make_room(1, distance.bits + length.bits);
                state.raw(distance.bits, distance.rest);
                state.raw(length.bits, length.rest);
                let span = at(&self.distances, distance.bucket as usize);
                state.make_room(u64::from(span.1), DISTANCE_BITS);
                state.span(span, DISTANCE_BITS);
            }
            let before = i.checked_sub(1).map(|before| at(symbols, before));
            let context = before.map_or(0, |before| at(&self.contexts, before as usize));
            let row = usize::from(context) * self.width;
            let rank = at(&self.ranks, symbol as usize);
            let span = match rank.token {
                NO_TOKEN => (0, 0),
                token => at(&self.spans, row + usize::from(token)),
            };
            if span.1 > 0 {
                state.make_room(u64::from(span.1), TOTAL_BITS + u32::from(rank.bits));
                state.raw(u32::from(rank.bits), u32::from(rank.place));
                state.span(span, TOTAL_BITS);
            } else {
                // Only bytes are ever without a token or a frequency.
                state.make_room(1, 8);
                state.raw(8, symbol & 0xff);
                let escape = at(&self.spans, row + self.width - 1);
                state.make_room(u64::from(escape.1), TOTAL_BITS);
                state.span(escape, TOTAL_BITS);
            }
        }
        let mut coded = Vec::with_capacity(8 + state.words.len() * 4);
        let bytes = state.x.to_le_bytes();
        let least = (u64::BITS - state.x.leading_zeros()).div_ceil(8) as usize;
        let least = if state.words.is_empty() {
            least
        } else {
            least.max(5)
        };
        coded.extend_from_slice(bytes.get(..least).unwrap_or(&bytes));
        for word in state.words.iter().rev() {
            coded.extend_from_slice(&word.to_le_bytes());
        }
        coded
    }
}

/// What some of a context's places stand for.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The token's first symbol.
    symbol: u32,
    /// Its symbols are 2^bits.
    bits: u8,
    /// So many places.
    frequency: u16,
}

impl Slot {
    /// Writes its places: `symbol 24 | bits 8 | frequency 16 | how far in the token 16`, lowest first.
    fn fill<'a>(self, places: &mut impl Iterator<Item = &'a mut u64>) {
        let common =
            u64::from(self.symbol) | u64::from(self.bits) << 24 | u64::from(self.frequency) << 32;
        for (offset, place) in (0..self.frequency).zip(places) {
            *place = common | u64::from(offset) << 48;
        }
    }
}

/// The low 32 bits of `x`, or fewer, as an index.
#[inline]
fn index(x: u64) -> usize {
    usize::try_from(x & 0xffff_ffff).unwrap_or(0)
}

/// Reads units.
#[derive(Debug)]
pub(super) struct Reader {
    /// The token of each place of each context.
    places: Vec<u16>,
    /// Of each token in each context: `start 16 | frequency 16`.
    spans: Vec<u32>,
    /// Of each token: `first symbol 24 | bits 8`.
    tokens: Vec<u32>,
    distances: [u64; DISTANCE_PLACES],
    /// `offset in text 32 | bytes 16 | context 16`; of matches the bucket and no bytes.
    symbols: Vec<u64>,
    /// Phrases, each with [`LONGEST`] bytes behind it.
    text: Vec<u8>,
    /// Contexts of bytes.
    bytes: Vec<u8>,
}

/// A unit's bits and the bytes that they are to fill.
pub(super) type Coded<'a, 'b> = (&'a [u8], &'b mut [u8]);

/// One unit that is being read.
struct Lane<'a> {
    x: u64,
    words: &'a [[u8; 4]],
    next: usize,
    context: usize,
    place: usize,
    last: usize,
}

/// Ends a unit whose bits make no sense.
const WRONG: Damaged = Damaged("a unit's bits make no sense");

impl<'a> Lane<'a> {
    fn new(coded: &'a [u8]) -> Result<Self, Damaged> {
        // 5 to 8 bytes of state in front of whole words; fewer where there are none.
        let state = if coded.len() < 5 {
            coded.len()
        } else {
            5 + (coded.len() - 5) % 4
        };
        let (state, words) = coded.split_at_checked(state).ok_or(WRONG)?;
        let x = state
            .iter()
            .rev()
            .fold(0, |x, &byte| x << 8 | u64::from(byte));
        if x >> STATE_BITS != 0 {
            return Err(WRONG);
        }
        Ok(Self {
            x,
            words: words.as_chunks().0,
            next: 0,
            context: 0,
            place: 0,
            last: 1,
        })
    }

    #[inline]
    fn renew(&mut self, x: u64) {
        // Whether a word is taken cannot be foretold: a choice of values costs less than a branch.
        let word = self.words.get(self.next);
        let takes = (x < LOW) & word.is_some();
        let word = word.map_or(0, |word| u32::from_le_bytes(*word));
        self.x = if takes { x << 32 | u64::from(word) } else { x };
        self.next += usize::from(takes);
    }

    /// Whether any phrase still fits.
    #[inline]
    fn is_far(&self, unit: &[u8]) -> bool {
        self.place + LONGEST <= unit.len()
    }

    fn is_done(&self) -> bool {
        self.x == 1 && self.next == self.words.len()
    }
}

impl Reader {
    pub(super) fn new(model: &Model) -> Self {
        let width = model.width();
        // Symbols in the order of their tokens, among those of one token in their own.
        let mut sizes = vec![0_u32; width];
        for &token in &model.tokens {
            if let Some(size) = sizes.get_mut(usize::from(token)) {
                *size += 1;
            }
        }
        let firsts: Vec<u32> = sizes
            .iter()
            .scan(0, |sum, &size| {
                let first = *sum;
                *sum += size;
                Some(first)
            })
            .collect();
        let used = sizes.iter().sum::<u32>() as usize;
        let mut reader = Self {
            places: Vec::with_capacity(PLACES * CONTEXTS),
            spans: Vec::with_capacity(width * CONTEXTS),
            tokens: Vec::with_capacity(width),
            distances: [0; DISTANCE_PLACES],
            symbols: vec![0; used + 1],
            text: Vec::with_capacity(256 + model.phrases.size() + LONGEST),
            bytes: model.contexts.iter().copied().take(MATCHES).collect(),
        };
        reader.text.extend(0..=255);
        let mut next = firsts.clone();
        let mut before: &[u8] = &[];
        for (symbol, (&token, &context)) in model.tokens.iter().zip(&model.contexts).enumerate() {
            let (low, length) = match symbol.checked_sub(PHRASES) {
                None if symbol < MATCHES => (small(symbol), 1),
                None => (small(symbol - MATCHES), 0),
                Some(number) => {
                    let phrase = model.phrases.get(number);
                    // One that goes on where the one before ends shares its bytes.
                    let rest = phrase.strip_prefix(before).filter(|_| number > 0);
                    reader.text.extend_from_slice(rest.unwrap_or(phrase));
                    before = phrase;
                    (small(reader.text.len() - phrase.len()), phrase.len())
                }
            };
            let entry = u64::from(low) | (length as u64) << 32 | u64::from(context) << 48;
            if let Some(next) = next.get_mut(usize::from(token)) {
                if let Some(place) = reader.symbols.get_mut(*next as usize) {
                    *place = entry;
                }
                *next += 1;
            }
        }
        if let Some(escape) = reader.symbols.last_mut() {
            *escape = LENGTHS as u64;
        }
        reader.text.resize(reader.text.len() + LONGEST, 0);
        for (&first, &size) in firsts.iter().zip(&sizes) {
            reader.tokens.push(first | size.max(1).ilog2() << 24);
        }
        for row in model.frequencies.chunks(width) {
            for ((start, frequency), token) in spans(row).zip(0..) {
                let (start, frequency) = (u32::from(start), u32::from(frequency));
                reader.spans.push(start | frequency << 16);
                let places = std::iter::repeat_n(token, frequency as usize);
                reader.places.extend(places);
            }
        }
        let mut place = reader.distances.iter_mut();
        for (bucket, &frequency) in (0..).zip(model.distances.iter().take(DISTANCES)) {
            let slot = Slot {
                symbol: bucket,
                bits: 0,
                frequency,
            };
            slot.fill(&mut place);
        }
        reader
    }

    /// Bytes in memory.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.places.len() * 2
            + self.spans.len() * 4
            + self.tokens.len() * 4
            + self.symbols.len() * 8
            + self.text.len()
            + self.bytes.len()
    }

    /// Reads a unit; every step gives at least one byte.
    pub(super) fn read(&self, coded: &[u8], unit: &mut [u8]) -> Result<(), Damaged> {
        if coded.len() >= unit.len() {
            return plain(coded, unit);
        }
        self.finish(&mut Lane::new(coded)?, unit)
    }

    /// Reads four units at once: while one waits for its tables, the others go on.
    pub(super) fn read_four(&self, units: &mut [Coded<'_, '_>; 4]) -> Result<(), Damaged> {
        if units.iter().any(|(coded, unit)| coded.len() >= unit.len()) {
            return units
                .iter_mut()
                .try_for_each(|(coded, unit)| self.read(coded, unit));
        }
        let [(coded_a, a), (coded_b, b), (coded_c, c), (coded_d, d)] = units;
        let mut lanes = (
            Lane::new(coded_a)?,
            Lane::new(coded_b)?,
            Lane::new(coded_c)?,
            Lane::new(coded_d)?,
        );
        while lanes.0.is_far(a) && lanes.1.is_far(b) && lanes.2.is_far(c) && lanes.3.is_far(d) {
            self.step::<true>(&mut lanes.0, a)?;
            self.step::<true>(&mut lanes.1, b)?;
            self.step::<true>(&mut lanes.2, c)?;
            self.step::<true>(&mut lanes.3, d)?;
        }
        self.finish(&mut lanes.0, a)?;
        self.finish(&mut lanes.1, b)?;
        self.finish(&mut lanes.2, c)?;
        self.finish(&mut lanes.3, d)
    }

    /// Reads the first `end` bytes of a unit, or some more.
    pub(super) fn read_until(
        &self,
        coded: &[u8],
        unit: &mut [u8],
        end: usize,
    ) -> Result<(), Damaged> {
        if coded.len() >= unit.len() || end >= unit.len() {
            return self.read(coded, unit);
        }
        let mut lane = Lane::new(coded)?;
        while lane.place < end && lane.is_far(unit) {
            self.step::<true>(&mut lane, unit)?;
        }
        while lane.place < end {
            self.step::<false>(&mut lane, unit)?;
        }
        Ok(())
    }

    /// Reads what is left of a unit.
    fn finish(&self, lane: &mut Lane<'_>, unit: &mut [u8]) -> Result<(), Damaged> {
        while lane.is_far(unit) {
            self.step::<true>(lane, unit)?;
        }
        while lane.place < unit.len() {
            self.step::<false>(lane, unit)?;
        }
        if lane.is_done() { Ok(()) } else { Err(WRONG) }
    }

    /// One symbol. `FAR` from the end whole steps are copied, which later symbols write over.
    #[inline]
    fn step<const FAR: bool>(&self, lane: &mut Lane<'_>, unit: &mut [u8]) -> Result<(), Damaged> {
        let place = index(lane.x) % PLACES;
        let token = usize::from(at(&self.places, lane.context * PLACES + place));
        let span = u64::from(at(&self.spans, lane.context * self.tokens.len() + token));
        let token = u64::from(at(&self.tokens, token));
        // Below 2^63 since the frequency times 2^51 and an offset below the frequency are.
        let x = (span >> 16) * (lane.x >> TOTAL_BITS) + (place as u64).wrapping_sub(span & 0xffff);
        let bits = token >> 24;
        let symbol = (token & 0xff_ffff) + (x & ((1 << bits) - 1));
        lane.renew(x >> bits);
        let symbol = at(&self.symbols, index(symbol));
        let from = index(symbol);
        let length = index(symbol >> 32 & 0xffff);
        lane.context = index(symbol >> 48);
        if length == 0 {
            return self.other(lane, unit, from);
        }
        if FAR {
            put(unit, lane.place, &self.text, from);
            if length > STEP {
                for at in (STEP..length).step_by(STEP) {
                    put(unit, lane.place + at, &self.text, from + at);
                }
            }
        } else {
            let to = unit.get_mut(lane.place..lane.place + length).ok_or(WRONG)?;
            to.copy_from_slice(self.text.get(from..from + length).ok_or(WRONG)?);
        }
        lane.place += length;
        Ok(())
    }

    /// A match, or a byte behind an escape.
    #[inline]
    fn other(&self, lane: &mut Lane<'_>, unit: &mut [u8], bucket: usize) -> Result<(), Damaged> {
        if bucket == LENGTHS {
            let byte = lane.x & 0xff;
            lane.renew(lane.x >> 8);
            lane.context = usize::from(at(&self.bytes, index(byte)));
            *unit.get_mut(lane.place).ok_or(WRONG)? = u8::try_from(byte).unwrap_or(0);
            lane.place += 1;
            return Ok(());
        }
        let slot = at(&self.distances, index(lane.x) % DISTANCE_PLACES);
        lane.renew((slot >> 32 & 0xffff) * (lane.x >> DISTANCE_BITS) + (slot >> 48));
        let (distance, distance_bits) = buckets::distance_of(small(index(slot & 0xff)));
        let (length, length_bits) = buckets::length_of(small(bucket));
        let length = index(u64::from(length) + (lane.x & ((1 << length_bits) - 1)));
        let rest = lane.x >> length_bits & ((1 << distance_bits) - 1);
        let distance = index(u64::from(distance) + rest);
        lane.renew(lane.x >> (length_bits + distance_bits));
        if distance != 0 {
            lane.last = distance;
        }
        repeat(unit, lane.place, lane.last, length).ok_or(WRONG)?;
        lane.place += length;
        Ok(())
    }
}

/// A unit that bits would not make smaller.
fn plain(coded: &[u8], unit: &mut [u8]) -> Result<(), Damaged> {
    if coded.len() > unit.len() {
        return Err(Damaged("a unit has more bits than bytes"));
    }
    unit.copy_from_slice(coded);
    Ok(())
}

/// Copies a step of `text` to `unit`.
#[inline]
fn put(unit: &mut [u8], to: usize, text: &[u8], from: usize) {
    if let Some(to) = unit.get_mut(to..to + STEP)
        && let Some(from) = text.get(from..from + STEP)
    {
        to.copy_from_slice(from);
    }
}

/// Writes `length` bytes at `place` that repeat those `distance` before; `None` where either leads out of the unit.
#[inline]
fn repeat(unit: &mut [u8], place: usize, distance: usize, length: usize) -> Option<()> {
    let start = place.checked_sub(distance)?;
    let (done, rest) = unit.split_at_mut_checked(place)?;
    let rest = rest.get_mut(..length)?;
    let source = done.get(start..)?;
    if distance >= length {
        rest.copy_from_slice(source.get(..length)?);
        return Some(());
    }
    // What repeats is written once, then what is written is doubled.
    let (first, _) = rest.split_at_mut_checked(distance)?;
    first.copy_from_slice(source);
    let mut written = distance;
    while written < length {
        let more = written.min(length - written);
        let (done, rest) = rest.split_at_mut_checked(written)?;
        rest.get_mut(..more)?.copy_from_slice(done.get(..more)?);
        written += more;
    }
    Some(())
}
