//! An adaptive binary range coder for recipes: few bytes where predictions are almost always right.
//!
//! Probabilities have 32 bits inside and 16 in the coder, so that a decision that never fails costs 2^-16 bits. The
//! arithmetic is that of the carry-propagating coder of LZMA (7-zip, `LzmaSpec`): a 64-bit low, a 32-bit range,
//! bytes out whenever the range falls under 2^24. One function, generic over [`Coder`], writes and reads: the value
//! passed in counts when encoding and is ignored when decoding, the value returned counts always.

/// Below this range a byte is shifted out.
const TOP: u32 = 1 << 24;

/// An adaptive probability of one binary decision.
#[derive(Debug, Clone, Copy)]
pub struct Bit {
    /// Probability of `true`, in 2^-32.
    p: u32,
    /// Decisions seen, up to [`Bit::SLOWEST`].
    seen: u32,
}

impl Bit {
    /// The slowest rate of adaptation is 2^-7.
    const SLOWEST: u32 = 7;

    /// One half.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            p: 1 << 31,
            seen: 0,
        }
    }

    /// Probability of `true` in 2^-16, never 0 or 1.
    fn coded(self) -> u32 {
        (self.p >> 16).clamp(1, 0xffff)
    }

    fn update(&mut self, value: bool) {
        let rate = self.seen + 1;
        if self.seen < Self::SLOWEST - 1 {
            self.seen += 1;
        }
        if value {
            self.p += (u32::MAX - self.p) >> rate;
        } else {
            self.p -= self.p >> rate;
        }
    }
}

impl Default for Bit {
    fn default() -> Self {
        Self::new()
    }
}

/// Either direction of the coder.
pub trait Coder {
    /// Codes one decision.
    fn bit(&mut self, model: &mut Bit, value: bool) -> bool;
    /// Codes the low `bits` (0..=32) bits of a number without a model.
    fn raw(&mut self, value: u32, bits: u32) -> u32;
}

/// Writes decisions.
#[derive(Debug, Clone)]
pub struct Encoder {
    low: u64,
    range: u32,
    cache: u8,
    pending: u64,
    out: Vec<u8>,
}

impl Encoder {
    /// An encoder that has written nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            low: 0,
            range: u32::MAX,
            cache: 0,
            pending: 0,
            out: Vec::new(),
        }
    }

    /// Ends the stream; zeros at its end are left off, since a [`Decoder`] reads zeros there.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        // The value inside [low, low + range) with the most zero bits at its end.
        let end = self.low + u64::from(self.range) - 1;
        for zeros in (0..33).rev() {
            let value = end >> zeros << zeros;
            if value >= self.low {
                self.low = value;
                break;
            }
        }
        for _ in 0..5 {
            self.shift();
        }
        // The first byte out is the empty cache.
        let mut out = self.out.split_off(1.min(self.out.len()));
        while out.last() == Some(&0) {
            out.pop();
        }
        out
    }

    fn shift(&mut self) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the carry is bit 32, the cache bits 24..32"
        )]
        let (carry, top) = ((self.low >> 32) as u8, (self.low >> 24) as u8);
        if self.low < 0xff00_0000 || carry != 0 {
            self.out.push(self.cache.wrapping_add(carry));
            for _ in 0..self.pending {
                self.out.push(0xffu8.wrapping_add(carry));
            }
            self.pending = 0;
            self.cache = top;
        } else {
            self.pending += 1;
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    fn normalise(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Coder for Encoder {
    fn bit(&mut self, model: &mut Bit, value: bool) -> bool {
        let bound = (self.range >> 16) * model.coded();
        if value {
            self.range = bound;
        } else {
            self.low += u64::from(bound);
            self.range -= bound;
        }
        self.normalise();
        model.update(value);
        value
    }

    fn raw(&mut self, value: u32, bits: u32) -> u32 {
        for i in (0..bits).rev() {
            self.range >>= 1;
            if value >> i & 1 == 1 {
                self.low += u64::from(self.range);
            }
            self.normalise();
        }
        value
    }
}

/// Reads decisions; after the end of its bytes it reads zeros.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    code: u32,
    range: u32,
    bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A decoder of what [`Encoder::finish`] gave.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self {
            code: 0,
            range: u32::MAX,
            bytes,
        };
        for _ in 0..4 {
            decoder.shift();
        }
        decoder
    }

    fn shift(&mut self) {
        let (byte, rest) = match self.bytes.split_first() {
            Some((byte, rest)) => (*byte, rest),
            None => (0, self.bytes),
        };
        self.bytes = rest;
        self.code = self.code << 8 | u32::from(byte);
    }

    fn normalise(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }
}

impl Coder for Decoder<'_> {
    fn bit(&mut self, model: &mut Bit, _: bool) -> bool {
        let bound = (self.range >> 16) * model.coded();
        let value = self.code < bound;
        if value {
            self.range = bound;
        } else {
            self.code -= bound;
            self.range -= bound;
        }
        self.normalise();
        model.update(value);
        value
    }

    fn raw(&mut self, _: u32, bits: u32) -> u32 {
        let mut value = 0;
        for _ in 0..bits {
            self.range >>= 1;
            let one = self.code >= self.range;
            if one {
                self.code -= self.range;
            }
            value = value << 1 | u32::from(one);
            self.normalise();
        }
        value
    }
}

/// A symbol of `BITS` (1..=8) bits, coded from its highest bit down; each bit has a model for each prefix before it.
#[derive(Debug, Clone)]
pub struct Symbol<const BITS: u32> {
    nodes: Vec<Bit>,
}

impl<const BITS: u32> Symbol<BITS> {
    /// All symbols equally likely.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: vec![Bit::new(); 1 << BITS],
        }
    }

    /// Codes `value`, below 2^BITS.
    pub fn code(&mut self, coder: &mut impl Coder, value: u8) -> u8 {
        let mut node = 1_usize;
        for i in (0..BITS).rev() {
            let mut spare = Bit::new();
            let model = self.nodes.get_mut(node).unwrap_or(&mut spare);
            let bit = coder.bit(model, value >> i & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        u8::try_from(node & ((1 << BITS) - 1)).unwrap_or(0)
    }
}

impl<const BITS: u32> Default for Symbol<BITS> {
    fn default() -> Self {
        Self::new()
    }
}

/// A number of up to 32 bits: its length with a model, its two bits after the first one with a model, the rest raw.
#[derive(Debug, Clone)]
pub struct Number {
    length: Symbol<6>,
    high: Vec<Symbol<2>>,
}

impl Number {
    /// All lengths equally likely.
    #[must_use]
    pub fn new() -> Self {
        Self {
            length: Symbol::new(),
            high: vec![Symbol::new(); 33],
        }
    }

    /// Codes `value`.
    pub fn code(&mut self, coder: &mut impl Coder, value: u32) -> u32 {
        let length = u8::try_from(u32::BITS - value.leading_zeros()).unwrap_or(0);
        let length = u32::from(self.length.code(coder, length)).min(32);
        let rest = length.saturating_sub(1);
        let (top, low) = (rest.min(2), rest.saturating_sub(2));
        let mut spare = Symbol::new();
        let at = usize::try_from(length).unwrap_or(0);
        let model = self.high.get_mut(at).unwrap_or(&mut spare);
        let mut coded = u32::from(length > 0);
        if top > 0 {
            let bits = u8::try_from(value >> low & ((1 << top) - 1)).unwrap_or(0);
            coded = coded << top | u32::from(model.code(coder, bits)) & ((1 << top) - 1);
        }
        if low > 0 {
            coded = coded << low | coder.raw(value & ((1 << low) - 1), low);
        }
        coded
    }
}

impl Default for Number {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decisions of all kinds, drawn by `next`, through either direction.
    fn play(coder: &mut impl Coder, mut next: impl FnMut() -> u32) -> Vec<u32> {
        let (mut rare, mut even) = (Bit::new(), Bit::new());
        let (mut symbol, mut number) = (Symbol::<5>::new(), Number::new());
        let mut seen = Vec::new();
        for _ in 0..20_000 {
            let draw = next();
            seen.push(u32::from(coder.bit(&mut rare, draw.is_multiple_of(1009))));
            seen.push(u32::from(coder.bit(&mut even, draw & 1 == 1)));
            seen.push(u32::from(
                symbol.code(coder, u8::try_from(draw >> 8 & 31).unwrap_or(0)),
            ));
            seen.push(number.code(coder, draw >> (draw & 31)));
            seen.push(coder.raw(draw >> 3 & 0x7f, 7));
        }
        seen
    }

    fn draws(mut state: u32) -> impl FnMut() -> u32 {
        move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for seed in [1, 77, 0xdead_beef] {
            let mut encoder = Encoder::new();
            let written = play(&mut encoder, draws(seed));
            let bytes = encoder.finish();
            let read = play(&mut Decoder::new(&bytes), || 0);
            assert_eq!(written, read, "seed {seed}");
        }
    }

    #[test]
    fn numbers_at_the_edges() {
        let values = [
            0,
            1,
            2,
            3,
            4,
            7,
            8,
            255,
            256,
            1 << 31,
            u32::MAX - 1,
            u32::MAX,
        ];
        let mut encoder = Encoder::new();
        let mut model = Number::new();
        for value in values {
            model.code(&mut encoder, value);
        }
        let bytes = encoder.finish();
        let mut decoder = Decoder::new(&bytes);
        let mut model = Number::new();
        for value in values {
            assert_eq!(model.code(&mut decoder, 0), value);
        }
    }

    #[test]
    fn what_is_always_right_costs_almost_nothing() {
        let mut encoder = Encoder::new();
        let mut model = Bit::new();
        for _ in 0..1_000_000 {
            encoder.bit(&mut model, true);
        }
        assert!(encoder.finish().len() <= 8);
    }

    #[test]
    fn an_empty_stream_is_read_as_zeros() {
        assert!(Encoder::new().finish().len() <= 1);
        let mut decoder = Decoder::new(&[]);
        assert_eq!(play(&mut decoder, || 0).len(), 100_000);
    }
}
