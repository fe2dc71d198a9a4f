//! Frames: a header, a subframe for each channel, checksums (RFC 9639, section 9).

use super::Info;
use super::crc::{crc8, crc16};
use super::subframe::Subframe;
use crate::media::error::Error;
use crate::media::sound::bits::{BitReader, BitWriter};

/// The first 15 bits of a frame; the 16th tells how frames are numbered.
const SYNC: u32 = 0x7ffc;
/// Left and side, side and right, middle and side.
const LEFT_SIDE: u8 = 8;
const SIDE_RIGHT: u8 = 9;
pub(super) const MID_SIDE: u8 = 10;
/// Block sizes that follow the header in one and in two bytes.
const SIZE_8: u8 = 6;
pub(super) const SIZE_16: u8 = 7;
/// Rates that follow the header in one and in two bytes.
const RATE_8: u8 = 12;
const RATE_16: [u8; 2] = [13, 14];

/// What a header says, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Header {
    /// Whether frames are numbered by their first sample, not one by one.
    pub(super) variable: bool,
    pub(super) size_code: u8,
    /// Samples of each channel, 1..=65536.
    pub(super) block: u32,
    pub(super) rate_code: u8,
    /// A rate that follows the header.
    pub(super) rate: u16,
    pub(super) bits_code: u8,
    /// Channels less one, or one of the three pairs.
    pub(super) assignment: u8,
    /// Up to 36 bits.
    pub(super) number: u64,
}

impl Header {
    /// The number of the frame after this one.
    pub(super) fn next(&self) -> u64 {
        self.number
            + if self.variable {
                u64::from(self.block)
            } else {
                1
            }
    }

    pub(super) fn channels(&self) -> usize {
        if self.assignment < LEFT_SIDE {
            usize::from(self.assignment) + 1
        } else {
            2
        }
    }

    /// Whether a channel is the difference of two, which takes one bit more.
    pub(super) fn is_side(&self, channel: usize) -> bool {
        match self.assignment {
            LEFT_SIDE | MID_SIDE => channel == 1,
            SIDE_RIGHT => channel == 0,
            _ => false,
        }
    }

    /// Checks what a recipe claims; a header read from a frame passes.
    pub(super) fn check(&self, info: &Info) -> Result<(), Error> {
        let block = match self.size_code {
            1 => self.block == 192,
            code @ 2..=5 => self.block == 576 << (code - 2),
            SIZE_8 => (1..=256).contains(&self.block),
            SIZE_16 => (1..=65536).contains(&self.block),
            code @ 8..=15 => self.block == 256 << (code - 8),
            _ => false,
        };
        let bits = match self.bits_code {
            0 => true,
            1 => info.bits == 8,
            2 => info.bits == 12,
            4 => info.bits == 16,
            5 => info.bits == 20,
            6 => info.bits == 24,
            7 => info.bits == 32,
            _ => false,
        };
        if !block || !bits || self.rate_code > 14 || self.assignment > MID_SIDE {
            return Err(Error::Format("a frame with a reserved code"));
        }
        if self.channels() != usize::from(info.channels) {
            return Err(Error::Unsupported("frames of other channels"));
        }
        Ok(())
    }

    fn read(bytes: &[u8], info: &Info) -> Result<(Self, usize), Error> {
        let mut bits = BitReader::new(bytes);
        if bits.bits(15)? != SYNC {
            return Err(Error::Format("not a frame"));
        }
        let mut small = |count| -> Result<u8, Error> {
            let value = bits.bits(count)?;
            Ok(value.to_le_bytes()[0])
        };
        let mut header = Self {
            variable: small(1)? == 1,
            size_code: small(4)?,
            rate_code: small(4)?,
            assignment: small(4)?,
            bits_code: small(3)?,
            ..Self::default()
        };
        if small(1)? != 0 {
            return Err(Error::Format("a frame with a reserved bit"));
        }
        header.number = read_number(&mut bits)?;
        header.block = match header.size_code {
            1 => 192,
            code @ 2..=5 => 576 << (code - 2),
            SIZE_8 => bits.bits(8)? + 1,
            SIZE_16 => bits.bits(16)? + 1,
            code @ 8..=15 => 256 << (code - 8),
            _ => 0,
        };
        let rate = match header.rate_code {
            RATE_8 => bits.bits(8)?,
            code if RATE_16.contains(&code) => bits.bits(16)?,
            _ => 0,
        };
        header.rate = u16::try_from(rate).unwrap_or(0);
        header.check(info)?;
        let length = bits.position();
        let expected = crc8(bytes.get(..length).unwrap_or_default());
        if bits.bits(8)? != u32::from(expected) {
            return Err(Error::Format("a header with a wrong checksum"));
        }
        Ok((header, length + 1))
    }

    pub(super) fn write(&self, bits: &mut BitWriter) {
        bits.bits(u64::from(SYNC), 15);
        bits.bits(u64::from(self.variable), 1);
        bits.bits(u64::from(self.size_code), 4);
        bits.bits(u64::from(self.rate_code), 4);
        bits.bits(u64::from(self.assignment), 4);
        bits.bits(u64::from(self.bits_code), 3);
        bits.bits(0, 1);
        write_number(bits, self.number);
        match self.size_code {
            SIZE_8 => bits.bits(u64::from(self.block - 1), 8),
            SIZE_16 => bits.bits(u64::from(self.block - 1), 16),
            _ => {}
        }
        match self.rate_code {
            RATE_8 => bits.bits(u64::from(self.rate), 8),
            code if RATE_16.contains(&code) => bits.bits(u64::from(self.rate), 16),
            _ => {}
        }
        let crc = crc8(bits.bytes());
        bits.bits(u64::from(crc), 8);
    }
}

/// The number of a frame: as UTF-8 would have it, up to 36 bits in seven bytes; only the shortest form.
fn read_number(bits: &mut BitReader<'_>) -> Result<u64, Error> {
    let first = bits.bits(8)?.to_le_bytes()[0];
    let ones = first.leading_ones();
    let more = match ones {
        0 => return Ok(u64::from(first)),
        2..=7 => ones - 1,
        _ => return Err(Error::Format("a frame without a number")),
    };
    let mut number = u64::from(first & 0x7f >> ones);
    for _ in 0..more {
        let next = bits.bits(8)?;
        if next >> 6 != 2 {
            return Err(Error::Format("a frame without a number"));
        }
        number = number << 6 | u64::from(next & 0x3f);
    }
    if number_bytes(number) == more + 1 {
        Ok(number)
    } else {
        Err(Error::Unsupported("a number that is longer than needed"))
    }
}

/// Bytes of a number.
fn number_bytes(number: u64) -> u32 {
    match u64::BITS - number.leading_zeros() {
        0..=7 => 1,
        bits => (bits - 1).div_ceil(5),
    }
}

fn write_number(bits: &mut BitWriter, number: u64) {
    let bytes = number_bytes(number);
    if bytes == 1 {
        return bits.bits(number, 8);
    }
    // So many ones, a zero, and the highest bits of the number.
    let marks = 0xff00_u64 >> bytes & 0xff;
    bits.bits(marks | number >> (6 * (bytes - 1)), 8);
    for i in (0..bytes - 1).rev() {
        bits.bits(0x80 | number >> (6 * i) & 0x3f, 8);
    }
}

/// A frame without its samples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) subframes: Vec<Subframe>,
}

impl Frame {
    /// Reads a frame from the front of bytes; returns its samples as they are coded, and its length.
    pub(super) fn read(bytes: &[u8], info: &Info) -> Result<(Self, Vec<Vec<i64>>, usize), Error> {
        let (header, start) = Header::read(bytes, info)?;
        let mut bits = BitReader::new(bytes.get(start..).unwrap_or_default());
        let (mut subframes, mut coded) = (Vec::new(), Vec::new());
        for channel in 0..header.channels() {
            let depth = u32::from(info.bits) + u32::from(header.is_side(channel));
            let (subframe, samples) = Subframe::read(&mut bits, header.block as usize, depth)?;
            subframes.push(subframe);
            coded.push(samples);
        }
        if bits.padding()? != 0 {
            return Err(Error::Unsupported("a frame padded with ones"));
        }
        let length = start + bits.position();
        let expected = crc16(bytes.get(..length).unwrap_or_default());
        if bits.bits(16)? != u32::from(expected) {
            return Err(Error::Format("a frame with a wrong checksum"));
        }
        Ok((Self { header, subframes }, coded, length + 2))
    }
}

/// Ends a frame: zeros up to a byte's end, and the checksum.
pub(super) fn finish(mut bits: BitWriter) -> Vec<u8> {
    bits.align();
    let crc = crc16(bits.bytes());
    bits.bits(u64::from(crc), 16);
    bits.finish()
}

/// The samples of the channels from coded ones.
pub(super) fn join(header: &Header, coded: &[Vec<i64>], bits: u8) -> Result<Vec<Vec<i32>>, Error> {
    let pair = |f: fn(i64, i64) -> (i64, i64)| match coded {
        [a, b] => a.iter().zip(b).map(|(a, b)| f(*a, *b)).unzip(),
        _ => (Vec::new(), Vec::new()),
    };
    let (left, right): (Vec<i64>, Vec<i64>) = match header.assignment {
        LEFT_SIDE => pair(|left, side| (left, left - side)),
        SIDE_RIGHT => pair(|side, right| (side + right, right)),
        MID_SIDE => pair(|mid, side| {
            let sum = mid << 1 | (side & 1);
            ((sum + side) >> 1, (sum - side) >> 1)
        }),
        _ => return coded.iter().map(|c| narrow(c, bits)).collect(),
    };
    Ok(vec![narrow(&left, bits)?, narrow(&right, bits)?])
}

/// Samples as 32 bits, checked to be in range.
fn narrow(samples: &[i64], bits: u8) -> Result<Vec<i32>, Error> {
    let spare = 64_u32.saturating_sub(u32::from(bits));
    let range = i64::MIN >> spare..=i64::MAX >> spare;
    let narrowed = samples.iter().map(|sample| {
        let inside = Some(*sample).filter(|sample| range.contains(sample));
        inside.and_then(|sample| i32::try_from(sample).ok())
    });
    let narrowed: Option<Vec<i32>> = narrowed.collect();
    narrowed.ok_or(Error::Unsupported("a sample beyond its range"))
}

/// Samples as they are coded from those of the channels.
pub(super) fn split(assignment: u8, samples: &[&[i32]]) -> Vec<Vec<i64>> {
    let wide = |samples: &[i32]| samples.iter().map(|s| i64::from(*s)).collect::<Vec<_>>();
    let pair = |f: fn(i64, i64) -> i64| match samples {
        [a, b, ..] => {
            let both = a.iter().zip(*b);
            both.map(|(a, b)| f(i64::from(*a), i64::from(*b))).collect()
        }
        _ => Vec::new(),
    };
    let side = || pair(|left, right| left - right);
    match (assignment, samples) {
        (LEFT_SIDE, [left, _]) => vec![wide(left), side()],
        (SIDE_RIGHT, [_, right]) => vec![side(), wide(right)],
        (MID_SIDE, _) => vec![pair(|left, right| (left + right) >> 1), side()],
        _ => samples.iter().map(|channel| wide(channel)).collect(),
    }
}
