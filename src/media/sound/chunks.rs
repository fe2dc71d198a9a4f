//! Chunks of IFF and RIFF files: an id, a length, so many bytes, and one more if the length is odd.

use std::ops::Range;

use super::{Order, ParseError, Source};
use crate::media::error::Error;

/// Most chunks of a file that are looked at.
pub(super) const MAX_CHUNKS: usize = 4096;
/// Bytes of an id and a length.
const HEAD: u64 = 8;
/// Chunks that are common: their ids tell whether the byte after an odd chunk is there.
const COMMON: &[&[u8; 4]] = &[
    b"fmt ", b"data", b"fact", b"LIST", b"cue ", b"smpl", b"inst", b"PEAK", b"bext", b"iXML",
    b"JUNK", b"junk", b"PAD ", b"FLLR", b"id3 ", b"ID3 ", b"COMM", b"SSND", b"NAME", b"AUTH",
    b"ANNO", b"MARK", b"INST", b"FVER", b"CHAN", b"(c) ",
];

/// The headers of a file.
pub(super) struct Headers<'a, 'b> {
    size: u64,
    source: &'a mut Source<'b>,
    order: Order,
}

/// A chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) id: [u8; 4],
    /// First byte of its content.
    pub(super) at: u64,
    /// Bytes of its content as it claims; they may reach beyond the end of the file.
    pub(super) length: u32,
}

impl Chunk {
    /// Its content as it claims.
    pub(super) fn content(&self) -> Range<u64> {
        self.at..self.at + u64::from(self.length)
    }
}

impl<'a, 'b> Headers<'a, 'b> {
    pub(super) fn new(size: u64, source: &'a mut Source<'b>, order: Order) -> Self {
        Self {
            size,
            source,
            order,
        }
    }

    pub(super) fn bytes<const N: usize>(&mut self, at: u64) -> Result<[u8; N], ParseError> {
        let mut bytes = [0; N];
        if at.checked_add(N as u64).is_none_or(|end| end > self.size) {
            return Err(Error::Format("a header that ends early").into());
        }
        (self.source)(at, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn short(&mut self, at: u64) -> Result<u16, ParseError> {
        let value = u16::from_le_bytes(self.bytes(at)?);
        Ok(match self.order {
            Order::Little => value,
            Order::Big => value.swap_bytes(),
        })
    }

    pub(super) fn long(&mut self, at: u64) -> Result<u32, ParseError> {
        let value = u32::from_le_bytes(self.bytes(at)?);
        Ok(match self.order {
            Order::Little => value,
            Order::Big => value.swap_bytes(),
        })
    }

    pub(super) fn double(&mut self, at: u64) -> Result<u64, ParseError> {
        let value = u64::from_le_bytes(self.bytes(at)?);
        Ok(match self.order {
            Order::Little => value,
            Order::Big => value.swap_bytes(),
        })
    }

    /// The chunk that begins at `at`; none where no more fits into the file.
    pub(super) fn chunk(&mut self, at: u64) -> Result<Option<Chunk>, ParseError> {
        let content = at.checked_add(HEAD).filter(|content| *content <= self.size);
        let Some(content) = content else {
            return Ok(None);
        };
        Ok(Some(Chunk {
            id: self.bytes(at)?,
            at: content,
            length: self.long(at + 4)?,
        }))
    }

    /// Where the next chunk begins.
    pub(super) fn after(&mut self, chunk: &Chunk) -> Result<u64, ParseError> {
        let end = chunk.content().end;
        if end.saturating_add(HEAD) >= self.size || chunk.length.is_multiple_of(2) {
            return Ok(end);
        }
        // Some writers leave the byte off.
        let [first, rest @ ..] = self.bytes::<5>(end)?;
        let [a, b, c, _] = rest;
        let common = |id: [u8; 4]| COMMON.contains(&&id);
        let left_off = common([first, a, b, c]) && !common(rest);
        Ok(end + u64::from(!left_off))
    }
}

/// As many whole frames as there are between a first byte and an end, or the end of the file.
pub(super) fn frames(start: u64, end: u64, size: u64, frame_bytes: usize) -> Range<u64> {
    let start = start.min(size);
    let length = end.min(size).saturating_sub(start);
    let frame_bytes = (frame_bytes as u64).max(1);
    start..start + length / frame_bytes * frame_bytes
}
