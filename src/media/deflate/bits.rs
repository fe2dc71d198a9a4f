//! Bits of a deflate stream, from the lowest bit of each byte up (RFC 1951, section 3.1.1).

/// Reads bits.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Next byte to load.
    at: usize,
    /// Bits loaded; above the first `count` of them there may be others of the stream already.
    held: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            held: 0,
            count: 0,
        }
    }

    /// Loads until 56 bits or more are held; zeros stand for what is after the end.
    #[inline]
    pub(super) fn refill(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if let Some(word) = rest.first_chunk() {
            // What of the word does not fit is loaded again later: the same bits in the same places.
            self.held |= u64::from_le_bytes(*word) << self.count;
            let bytes = (63 - self.count) / 8;
            self.at += bytes as usize;
            self.count += 8 * bytes;
            return;
        }
        while self.count <= 56 {
            let byte = self.bytes.get(self.at).copied().unwrap_or(0);
            self.held |= u64::from(byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
    }

    /// The next `bits` (0..=16) bits; they must have been loaded.
    #[inline]
    pub(super) fn peek(&self, bits: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "masked to 16 bits")]
        let low = (self.held & ((1 << bits) - 1)) as u32;
        low
    }

    #[inline]
    pub(super) fn skip(&mut self, bits: u32) {
        self.held >>= bits;
        self.count -= bits.min(self.count);
    }

    /// Reads `bits` (0..=16) bits; `None` after the end.
    pub(super) fn read(&mut self, bits: u32) -> Option<u32> {
        self.refill();
        let value = self.peek(bits);
        self.skip(bits);
        (!self.is_past_end()).then_some(value)
    }

    /// Whether more bits were taken than there are.
    pub(super) fn is_past_end(&self) -> bool {
        self.at * 8 > self.bytes.len() * 8 + self.count as usize
    }

    /// Takes the bits up to the next byte boundary: their value, and the first byte after them.
    pub(super) fn align(&mut self) -> Option<(u8, usize)> {
        let pad = self.count % 8;
        let value = self.peek(pad);
        self.skip(pad);
        let at = self.at.checked_sub(self.count as usize / 8)?;
        (at <= self.bytes.len()).then_some((u8::try_from(value).ok()?, at))
    }

    /// Goes on at byte `at`.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
        self.held = 0;
        self.count = 0;
    }
}

/// Writes bits.
#[derive(Debug, Clone, Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the low `bits` (0..=32) bits of `value`, which has no others.
    pub(super) fn write(&mut self, value: u32, bits: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        if self.count >= 32 {
            #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
            let low = self.held as u32;
            self.bytes.extend_from_slice(&low.to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Fills up to the next byte boundary with the low bits of `pad`.
    pub(super) fn align(&mut self, pad: u8) {
        let bits = self.count.wrapping_neg() % 8;
        self.write(u32::from(pad) & ((1 << bits) - 1), bits);
        while self.count > 0 {
            #[expect(clippy::cast_possible_truncation, reason = "the low byte is meant")]
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }
}
