//! Bits, the highest of each byte first.

use crate::media::error::Error;

/// What is met when bits are asked for past the end.
const END: Error = Error::Format("the bits end early");

/// Reads bits from the front of bytes.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bytes that are in `held` or have left it.
    at: usize,
    /// Bits taken out of `bytes` but not yet read, at the upper end.
    held: u64,
    /// How many they are.
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

    /// Whole bytes read; only at a byte's end does it say anything.
    pub(super) fn position(&self) -> usize {
        self.at - (self.count / 8) as usize
    }

    /// The bits up to a byte's end.
    pub(super) fn padding(&mut self) -> Result<u32, Error> {
        self.bits(self.count % 8)
    }

    /// Holds as many bits as there is room for.
    fn fill(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if let Some(word) = rest.first_chunk::<8>() {
            let taken = (64 - self.count) / 8;
            if taken > 0 {
                let word = u64::from_le_bytes(*word).swap_bytes();
                let kept = if taken == 8 {
                    word
                } else {
                    word >> (64 - 8 * taken) << (64 - 8 * taken)
                };
                self.held |= kept >> self.count;
                self.at += taken as usize;
                self.count += 8 * taken;
            }
        } else {
            for byte in rest {
                if self.count > 56 {
                    break;
                }
                self.held |= u64::from(*byte) << (56 - self.count);
                self.at += 1;
                self.count += 8;
            }
        }
    }

    fn skip(&mut self, bits: u32) {
        self.held <<= bits;
        self.count -= bits;
    }

    /// The next `bits` (0..=32) as a number.
    pub(super) fn bits(&mut self, bits: u32) -> Result<u32, Error> {
        if bits == 0 {
            return Ok(0);
        }
        if self.count < bits {
            self.fill();
            if self.count < bits {
                return Err(END);
            }
        }
        let value = self.held >> (64 - bits);
        self.skip(bits);
        u32::try_from(value).map_err(|_| END)
    }

    /// The next `bits` (0..=33) as a number in two's complement.
    pub(super) fn signed(&mut self, bits: u32) -> Result<i64, Error> {
        if bits == 0 {
            return Ok(0);
        }
        let high = self.bits(1)?;
        let low = self.bits(bits - 1)?;
        Ok(i64::from(low) - (i64::from(high) << (bits - 1)))
    }

    /// How many zeros there are before the next one, which is read, too.
    pub(super) fn unary(&mut self) -> Result<u32, Error> {
        let mut zeros = 0;
        loop {
            let here = self.held.leading_zeros();
            if here < self.count {
                self.skip(here);
                self.skip(1);
                return Ok(zeros + here);
            }
            zeros += self.count;
            (self.held, self.count) = (0, 0);
            self.fill();
            if self.count == 0 {
                return Err(END);
            }
        }
    }
}

/// Writes bits.
#[derive(Debug, Clone, Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    /// Bits not yet in `out`, at the lower end; fewer than 8 between calls.
    held: u64,
    count: u32,
}

impl BitWriter {
    /// Writes the low `bits` (0..=33) of a number.
    pub(super) fn bits(&mut self, value: u64, bits: u32) {
        let mask = (1_u64 << bits) - 1;
        self.held = self.held << bits | (value & mask);
        self.count += bits;
        while self.count >= 8 {
            self.count -= 8;
            self.out.push((self.held >> self.count).to_le_bytes()[0]);
        }
        self.held &= 0xff;
    }

    /// Writes the low `bits` (0..=33) of a number in two's complement.
    pub(super) fn signed(&mut self, value: i64, bits: u32) {
        self.bits(value.cast_unsigned(), bits);
    }

    /// Writes zeros, then a one.
    pub(super) fn unary(&mut self, mut zeros: u32) {
        while zeros >= 32 {
            self.bits(0, 32);
            zeros -= 32;
        }
        self.bits(1, zeros + 1);
    }

    /// Whole bytes written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Zeros up to a byte's end.
    pub(super) fn align(&mut self) {
        self.bits(0, (8 - self.count) % 8);
    }

    /// What was written, with zeros up to a byte's end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.align();
        self.out
    }
}
