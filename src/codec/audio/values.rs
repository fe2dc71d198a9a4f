//! Sounds that use few of the values in their range: values become ranks, which lie without holes.

use super::pack::{put, take};
use super::{bad, knot};
use crate::codec::CodecError;

/// Largest range of values that is looked at.
const RANGE: i64 = 1 << 20;
/// Samples per value from which on a table of values is worth its bytes.
const REPEATED: usize = 8;
/// Points of the line that stands for the table while it is missing.
const KNOTS: usize = 33;

/// The values that occur, rising.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    values: Vec<i32>,
}

impl Values {
    /// The values of all channels, if at most half of those in their range occur, and often enough.
    pub(super) fn of(channels: &[Vec<i32>]) -> Option<Self> {
        let all = || channels.iter().flatten().copied();
        let (least, greatest) = (all().min()?, all().max()?);
        let range = i64::from(greatest) - i64::from(least) + 1;
        if !(16..=RANGE).contains(&range) {
            return None;
        }
        let mut seen = vec![false; usize::try_from(range).ok()?];
        let mut count = 0_usize;
        let most = (seen.len() / 2).min(channels.iter().map(Vec::len).sum::<usize>() / REPEATED);
        for value in all() {
            if let Some(seen) = seen.get_mut(usize::try_from(value - least).unwrap_or(0)) {
                count += usize::from(!*seen);
                *seen = true;
                if count > most {
                    return None;
                }
            }
        }
        let used = (least..).zip(seen).filter(|(_, seen)| *seen);
        Some(Self {
            values: used.map(|(value, _)| value).collect(),
        })
    }

    /// The rank that stands for 0.
    fn origin(&self) -> usize {
        self.values.partition_point(|value| *value < 0)
    }

    /// Values to ranks, as seen from that of 0.
    pub(super) fn to_ranks(&self, channels: &mut [Vec<i32>]) {
        let origin = knot(self.origin());
        let least = self.values.first().copied().unwrap_or(0);
        let mut ranks = Vec::new();
        for (rank, value) in self.values.iter().enumerate() {
            ranks.resize(usize::try_from(value - least).unwrap_or(0), 0);
            ranks.push(knot(rank) - origin);
        }
        for value in channels.iter_mut().flatten() {
            let at = usize::try_from(*value - least).unwrap_or(0);
            *value = ranks.get(at).copied().unwrap_or(0);
        }
    }

    /// Ranks to values; what is beyond counts as the outermost.
    pub(super) fn to_values(&self, channels: &mut [Vec<i32>]) {
        let origin = knot(self.origin());
        let last = knot(self.values.len().saturating_sub(1));
        for rank in channels.iter_mut().flatten() {
            let at = rank.saturating_add(origin).clamp(0, last);
            let at = usize::try_from(at).unwrap_or(0);
            *rank = self.values.get(at).copied().unwrap_or(0);
        }
    }

    /// The table: the least value (i32), then the difference of each from the one before, in 7-bit groups.
    pub(super) fn put(&self, to: &mut Vec<u8>) -> Result<(), CodecError> {
        let least = self.values.first().copied().unwrap_or(0);
        let mut bytes = least.to_le_bytes().to_vec();
        let pairs = self.values.iter().zip(self.values.iter().skip(1));
        for (before, value) in pairs {
            let mut rest = value.abs_diff(*before);
            while rest >= 128 {
                bytes.push(u8::try_from(rest & 127).unwrap_or(0) | 128);
                rest >>= 7;
            }
            bytes.push(u8::try_from(rest).unwrap_or(0));
        }
        put(to, &bytes)
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`CodecError::Format`] for what [`Values::put`] does not write.
    pub(super) fn take(from: &mut &[u8]) -> Result<Self, CodecError> {
        let most = usize::try_from(RANGE).unwrap_or(0) * 3;
        let bytes = take(from, most)?;
        let (least, steps) = bytes.split_first_chunk().ok_or_else(|| bad("values"))?;
        let mut last = i64::from(i32::from_le_bytes(*least));
        let first = last;
        let mut values = vec![i32::from_le_bytes(*least)];
        let (mut step, mut shift) = (0_i64, 0);
        for byte in steps {
            step |= i64::from(byte & 127) << shift;
            shift += 7;
            if byte & 128 == 0 {
                last += step;
                if step == 0 || last - first >= RANGE {
                    return Err(bad("values"));
                }
                values.push(i32::try_from(last).map_err(|_| bad("values"))?);
                (step, shift) = (0, 0);
            } else if shift > 21 {
                return Err(bad("values"));
            }
        }
        Ok(Self { values })
    }

    /// The number of values, the rank of 0, and values at equal distances: what a [`Line`] is made of.
    pub(super) fn knots(&self) -> [u8; Line::BYTES] {
        let last = self.values.len().saturating_sub(1);
        let at = |i: usize| self.values.get(i * last / (KNOTS - 1)).copied();
        let knots = (0..KNOTS).map(|i| at(i).unwrap_or(0));
        let fields = [knot(self.values.len()), knot(self.origin())]
            .into_iter()
            .chain(knots);
        let mut bytes = [0; Line::BYTES];
        for (place, field) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
            *place = field.to_le_bytes();
        }
        bytes
    }
}

/// The line that stands for a table of values.
#[derive(Debug, Clone)]
pub(super) struct Line {
    count: i64,
    origin: i64,
    knots: Vec<i32>,
}

impl Line {
    /// Bytes of it.
    pub(super) const BYTES: usize = 4 * (KNOTS + 2);

    /// Reads what [`Values::knots`] gave.
    pub(super) fn new(bytes: &[u8; Self::BYTES]) -> Self {
        let mut fields = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|f| i32::from_le_bytes(*f));
        let mut next = || i64::from(fields.next().unwrap_or(0));
        let (count, origin) = (next(), next());
        Self {
            count,
            origin,
            knots: fields.collect(),
        }
    }

    /// Ranks to values close to them.
    pub(super) fn to_values(&self, channels: &mut [Vec<i32>]) {
        let last = (self.count - 1).clamp(1, RANGE);
        let steps = i64::try_from(KNOTS).unwrap_or(1) - 1;
        for rank in channels.iter_mut().flatten() {
            let at = (i64::from(*rank) + self.origin).clamp(0, last) * steps;
            let index = usize::try_from(at / last).unwrap_or(0);
            let value = |index: usize| i64::from(self.knots.get(index).copied().unwrap_or(0));
            let (low, high) = (value(index), value((index + 1).min(KNOTS - 1)));
            let between = low + (high - low) * (at % last) / last;
            *rank = i32::try_from(between).unwrap_or(0);
        }
    }
}
