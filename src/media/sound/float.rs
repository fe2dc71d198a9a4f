//! Samples that are IEEE 754 singles, as integers and what is left of them.
//!
//! A piece has one scale: sample x is the integer k = x * 2^scale, cut off towards zero. Sound that was integers once is
//! integers again, and then nothing else is needed. Otherwise the scale makes the greatest sample an integer of 24 bits,
//! and the rest has for each sample, channel after channel: where k is 0 a bit, followed by all 32 bits of x if it is
//! set (else x is 0); otherwise those bits of the significand that are below k.

use super::bits::{BitReader, BitWriter};
use crate::media::error::Error;

/// Bits of a significand.
const SIGNIFICAND: u32 = 24;
/// Greatest scale: the lowest bit of all is 2^-149.
const MAX_SCALE: i32 = 149;

/// A number other than zero: its significand, whose lowest bit is worth 2^the exponent.
fn parts(word: u32) -> Option<(u32, i32)> {
    let (exponent, fraction) = (word >> 23 & 0xff, word & 0x7f_ffff);
    let (significand, exponent) = match exponent {
        0 => (fraction, 1),
        // Infinities and what is no number.
        255 => return None,
        _ => (fraction | 1 << 23, exponent.cast_signed()),
    };
    (significand != 0).then_some((significand, exponent - 150))
}

/// The scale for some samples.
fn scale(samples: &[Vec<i32>]) -> i32 {
    let (mut low, mut high) = (0, i32::MIN);
    for word in samples.iter().flatten() {
        if let Some((significand, exponent)) = parts(word.cast_unsigned()) {
            low = low.min(exponent + significand.trailing_zeros().cast_signed());
            high = high.max(exponent + significand.ilog2().cast_signed() + 1);
        }
    }
    // With all bits of all samples they are to fit into 31 bits.
    let scale = if high.saturating_sub(low) <= 31 {
        -low
    } else {
        SIGNIFICAND.cast_signed() - 1 - high
    };
    scale.clamp(0, MAX_SCALE)
}

/// The integer of a sample; 0 where it would be too large.
fn integer(word: u32, scale: i32) -> i32 {
    let Some((significand, exponent)) = parts(word) else {
        return 0;
    };
    let shift = exponent + scale;
    let size = i64::from(significand);
    let size = match shift {
        1..=8 => size << shift,
        ..=0 => size >> (-shift).min(31),
        _ => 0,
    };
    let size = i32::try_from(size).unwrap_or(0);
    if word >> 31 == 1 { -size } else { size }
}

/// Bits of a significand that are below an integer other than 0.
fn below(k: i32, scale: u8) -> u32 {
    // Subnormal numbers have fewer.
    let deep = MAX_SCALE.cast_unsigned() - u32::from(scale);
    (SIGNIFICAND - 1)
        .saturating_sub(k.unsigned_abs().ilog2())
        .min(deep)
}

/// The number k * 2^-scale, rounded to a single; its magnitude is `k` followed by `below` bits.
fn single(k: i32, scale: u8) -> u32 {
    // Both steps are exact or correctly rounded by IEEE 754, which gives one result everywhere.
    let value = f64::from(k) * f64::from_bits((1023 - u64::from(scale)) << 52);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to a single is what is wanted"
    )]
    let single = value as f32;
    single.to_bits()
}

/// Puts integers in the place of singles; returns their scale and the rest.
pub(super) fn split(samples: &mut [Vec<i32>]) -> (u8, Vec<u8>) {
    let scale = scale(samples);
    let byte = u8::try_from(scale).unwrap_or(0);
    let mut rest = BitWriter::default();
    let mut whole = true;
    for sample in samples.iter_mut().flatten() {
        let word = sample.cast_unsigned();
        let k = integer(word, scale);
        *sample = k;
        whole &= single(k, byte) == word;
        if k != 0 {
            let bits = below(k, byte);
            let (significand, _) = parts(word).unwrap_or_default();
            rest.bits(u64::from(significand), bits);
        } else if word == 0 {
            rest.bits(0, 1);
        } else {
            rest.bits(1, 1);
            rest.bits(u64::from(word), 32);
        }
    }
    (byte, if whole { Vec::new() } else { rest.finish() })
}

/// The singles of integers.
pub(super) fn join(samples: &[Vec<i32>], scale: u8, rest: &[u8]) -> Result<Vec<Vec<i32>>, Error> {
    if i32::from(scale) > MAX_SCALE {
        return Err(Error::Format("a scale beyond the samples"));
    }
    let mut joined = samples.to_vec();
    if rest.is_empty() {
        for sample in joined.iter_mut().flatten() {
            *sample = single(*sample, scale).cast_signed();
        }
        return Ok(joined);
    }
    let mut rest = BitReader::new(rest);
    for sample in joined.iter_mut().flatten() {
        let k = *sample;
        let word = if k != 0 {
            // The bits follow those of k, which `single` has as they are: k has at most 24 where any bit follows.
            single(k, scale) | rest.bits(below(k, scale))?
        } else if rest.bits(1)? == 1 {
            rest.bits(32)?
        } else {
            0
        };
        *sample = word.cast_signed();
    }
    Ok(joined)
}
