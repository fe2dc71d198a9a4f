//! Segments: what of a file is decoded and proved together.
//!
//! The first segment is what lies before the coefficients. Of a file with one sequential scan, each strip makes one
//! more, the last one with what follows the scan; of others the rest is one.

use std::ops::Range;

use crate::codec::CodecError;
use crate::coding::hash::Digest;
use crate::media::jpeg::Start;

use super::bytes::{Take, bad, number};

/// First bytes of the BLAKE3 of a segment.
pub(super) type Proof = [u8; 16];

/// What is stored of the segments of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Segments {
    /// Bytes of the file.
    pub(super) size: usize,
    /// Parts of the scan.
    pub(super) parts: usize,
    /// Where each strip starts, and its bytes of the file; nothing where the file is not cut.
    pub(super) strips: Vec<(Start, usize)>,
    /// A proof of each segment.
    pub(super) proofs: Vec<Proof>,
}

impl Segments {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        number(out, self.size);
        let mut before = None;
        for (start, length) in &self.strips {
            if let Some(length) = before.replace(*length) {
                number(out, length);
                // The bits that there are follow a one.
                out.push(1 << (start.count & 7) | start.bits);
                for dc in start.previous.iter().take(self.parts) {
                    out.extend_from_slice(&dc.to_le_bytes());
                }
            }
        }
        out.extend(self.proofs.iter().flatten());
    }

    /// Reads what was written of a file of `size` bytes, `head` of them before the coefficients, in so many strips;
    /// `parts`: those of the scan, if there is one to be cut.
    pub(super) fn read(
        take: &mut Take<'_>,
        size: usize,
        head: usize,
        strips: usize,
        parts: Option<usize>,
    ) -> Result<Self, CodecError> {
        if take.number()? != size {
            return Err(bad("the size of the file"));
        }
        let mut segments = Self {
            size,
            parts: parts.unwrap_or(0),
            ..Self::default()
        };
        let too_long = || bad("segments are longer than the file");
        let mut left = size.checked_sub(head).ok_or_else(too_long)?;
        let mut start = Start::default();
        if parts.is_some() {
            for _ in 1..strips {
                let length = take.number()?;
                segments.strips.push((start, length));
                left = left.checked_sub(length).ok_or_else(too_long)?;
                start = read_start(take, segments.parts)?;
            }
            segments.strips.push((start, left));
        }
        for _ in 0..=segments.strips.len().max(1) {
            segments.proofs.push(take.array()?);
        }
        Ok(segments)
    }

    /// Where the segments end in the file, given where the first one does.
    pub(super) fn ends(&self, head: usize) -> Vec<usize> {
        let mut ends = vec![head];
        let mut end = head;
        for (_, length) in &self.strips {
            end += length;
            ends.push(end);
        }
        if self.strips.is_empty() {
            ends.push(self.size);
        }
        ends
    }
}

fn read_start(take: &mut Take<'_>, parts: usize) -> Result<Start, CodecError> {
    let bits = take.byte()?;
    let count = bits
        .checked_ilog2()
        .ok_or_else(|| bad("a strip without a start"))?;
    let mut start = Start {
        count: u8::try_from(count).unwrap_or(0),
        bits: bits & !(1 << count),
        ..Start::default()
    };
    for dc in start.previous.iter_mut().take(parts) {
        *dc = i16::from_le_bytes(take.array()?);
    }
    Ok(start)
}

/// The segment with byte `at`, and its range; `ends` rise.
pub(super) fn find(ends: &[usize], at: usize) -> Option<(usize, Range<usize>)> {
    let index = ends.partition_point(|end| *end <= at);
    let end = ends.get(index)?;
    let start = index.checked_sub(1).and_then(|before| ends.get(before));
    Some((index, start.copied().unwrap_or(0)..*end))
}

/// The proof of a segment.
pub(super) fn proof(segment: &[u8]) -> Proof {
    let [proof @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = Digest::of(segment).0;
    proof
}
