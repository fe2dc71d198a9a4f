//! Asymmetric numeral system over 15-bit spans: the entropy coder under the adaptive models.
//!
//! Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; the two alternating states follow F. Giesen,
//! "Interleaved entropy coders", arXiv:1402.3392. A state is a `u32` in `[2^16, 2^32)`, renewed by 16 bits at a time.
//!
//! A stream is `state 0 (u32) | state 1 (u32) | words (u16)`, little-endian, or nothing at all when nothing was coded.
//! The n-th step uses state `n % 2`. An encoder collects its steps and codes them backwards. A decoder that has taken
//! all steps finds both states at 2^16 and no word left: whatever else it finds, the stream is damaged.

/// Bits of the sum of all frequencies.
pub(super) const TOTAL_BITS: u32 = 15;
/// The sum of all frequencies.
pub(super) const TOTAL: u32 = 1 << TOTAL_BITS;
/// The most bits that one raw step takes.
pub(super) const RAW_BITS: u32 = 12;
/// The least value of a state, and its first one.
const LOW: u32 = 1 << 16;

/// Collects steps and turns them into a stream.
#[derive(Debug, Default, Clone)]
pub(super) struct Encoder {
    /// `start | frequency << 15` of each step.
    steps: Vec<u32>,
}

impl Encoder {
    /// Takes the span `[start, start + frequency)` of `0..TOTAL`; `0 < frequency < TOTAL`.
    #[inline]
    pub(super) fn push(&mut self, start: u32, frequency: u32) {
        debug_assert!(frequency > 0 && frequency < TOTAL && start + frequency <= TOTAL);
        self.steps.push(start | frequency << TOTAL_BITS);
    }

    /// Takes the low `bits` bits of `value`, at most 32, most significant first.
    #[inline]
    pub(super) fn raw(&mut self, mut bits: u32, value: u32) {
        while bits > 0 {
            let now = bits.min(RAW_BITS);
            bits -= now;
            let part = (value >> bits) & ((1 << now) - 1);
            self.push(part << (TOTAL_BITS - now), 1 << (TOTAL_BITS - now));
        }
    }

    /// The stream of all steps; the encoder is empty after it.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        if self.steps.is_empty() {
            return Vec::new();
        }
        let mut words: Vec<u16> = Vec::with_capacity(self.steps.len() / 4 + 8);
        let (mut now, mut other) = (LOW, LOW);
        if self.steps.len().is_multiple_of(2) {
            std::mem::swap(&mut now, &mut other);
        }
        // `now` is the state of the step at hand: state 0 for the even ones.
        for &step in self.steps.iter().rev() {
            let (start, frequency) = (step & (TOTAL - 1), step >> TOTAL_BITS);
            if now >> (32 - TOTAL_BITS) >= frequency {
                words.push(low_word(now));
                now >>= 16;
            }
            now = ((now / frequency) << TOTAL_BITS) + now % frequency + start;
            std::mem::swap(&mut now, &mut other);
        }
        self.steps.clear();
        // After the step with number 0 the states were swapped once more.
        let mut stream = Vec::with_capacity(words.len() * 2 + 8);
        stream.extend_from_slice(&other.to_le_bytes());
        stream.extend_from_slice(&now.to_le_bytes());
        for word in words.iter().rev() {
            stream.extend_from_slice(&word.to_le_bytes());
        }
        stream
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
#[inline]
fn low_word(state: u32) -> u16 {
    state as u16
}

/// Reads a stream. It never fails while reading: behind the end come zeros, and [`Decoder::is_done`] tells.
#[derive(Debug, Clone)]
pub(super) struct Decoder<'a> {
    words: &'a [[u8; 2]],
    next: usize,
    now: u32,
    other: u32,
    odd: bool,
}

impl<'a> Decoder<'a> {
    /// Begins to read `stream`.
    #[must_use]
    pub(super) fn new(stream: &'a [u8]) -> Self {
        let (words, rest) = stream.as_chunks::<2>();
        let mut decoder = Self {
            words,
            next: 0,
            now: LOW,
            other: LOW,
            odd: !rest.is_empty(),
        };
        if !stream.is_empty() {
            let (low, high) = (decoder.word(), decoder.word());
            decoder.now = low | high << 16;
            let (low, high) = (decoder.word(), decoder.word());
            decoder.other = low | high << 16;
        }
        decoder
    }

    fn word(&mut self) -> u32 {
        let word = self.peek();
        self.next += 1;
        word
    }

    #[inline]
    fn peek(&self) -> u32 {
        let word = self.words.get(self.next).copied().unwrap_or_default();
        u32::from(u16::from_le_bytes(word))
    }

    /// The place in `0..TOTAL` that lies in the span of the next step.
    #[inline]
    #[must_use]
    pub(super) fn slot(&self) -> u32 {
        self.now & (TOTAL - 1)
    }

    /// Takes the span `[start, start + frequency)` that [`Decoder::slot`] lies in.
    #[inline]
    pub(super) fn take(&mut self, start: u32, frequency: u32) {
        let slot = self.slot();
        // At most 2^15 * (2^17 - 1) + 2^15 for spans inside `0..TOTAL`, so that nothing wraps.
        let state = frequency
            .wrapping_mul(self.now >> TOTAL_BITS)
            .wrapping_add(slot)
            .wrapping_sub(start);
        let renewed = (state << 16) | self.peek();
        let low = state < LOW;
        self.next += usize::from(low);
        self.now = self.other;
        self.other = if low { renewed } else { state };
    }

    /// The next `bits` raw bits, at most 32.
    #[inline]
    pub(super) fn raw(&mut self, mut bits: u32) -> u32 {
        let mut value = 0;
        while bits > 0 {
            let now = bits.min(RAW_BITS);
            bits -= now;
            let part = self.slot() >> (TOTAL_BITS - now);
            self.take(part << (TOTAL_BITS - now), 1 << (TOTAL_BITS - now));
            value = value << now | part;
        }
        value
    }

    /// Whether more was read than there is.
    #[must_use]
    pub(super) fn is_overrun(&self) -> bool {
        self.next > self.words.len()
    }

    /// Whether the stream ends here, as it does after the last step of an undamaged one.
    #[must_use]
    pub(super) fn is_done(&self) -> bool {
        !self.odd && self.next == self.words.len() && self.now == LOW && self.other == LOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        for count in 0..300_u32 {
            let mut encoder = Encoder::default();
            let span = |i: u32| {
                let frequency = 1 + i.wrapping_mul(0x9e37_79b9) % (TOTAL - 1);
                (i.wrapping_mul(77) % (TOTAL - frequency + 1), frequency)
            };
            for i in 0..count {
                let (start, frequency) = span(i);
                encoder.push(start, frequency);
                encoder.raw(i % 33, i.wrapping_mul(0x0123_4567));
            }
            let stream = encoder.finish();
            let mut decoder = Decoder::new(&stream);
            for i in 0..count {
                let (start, frequency) = span(i);
                assert!((start..start + frequency).contains(&decoder.slot()));
                decoder.take(start, frequency);
                let bits = i % 33;
                let mask = u32::try_from((1_u64 << bits) - 1).unwrap_or(0);
                assert_eq!(decoder.raw(bits), i.wrapping_mul(0x0123_4567) & mask);
            }
            assert!(decoder.is_done());
        }
    }

    #[test]
    fn nothing_is_an_empty_stream() {
        assert!(Encoder::default().finish().is_empty());
        assert!(Decoder::new(&[]).is_done());
        assert!(!Decoder::new(&[1]).is_done());
        assert!(!Decoder::new(&[0, 0, 1, 0]).is_done());
    }
}
