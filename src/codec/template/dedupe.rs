//! What repeats in a content: where each chunk was before, proved byte by byte.

use std::io;

use super::chunks::{Chunks, MOST, hash};
use crate::codec::{CodecError, Content, LayerSink};

/// The most slots of a table: 64 MiB.
const SLOTS: u64 = 4 << 20;
/// Slots that are looked at for one chunk, so that no content makes looking slow.
const PROBES: usize = 32;
/// Of 64 bits, those of an offset; above them lie 16 bits of something else.
const OFFSET: u64 = (1 << 48) - 1;
/// Bytes that are read of what was before when it goes on to repeat.
const AHEAD: usize = 64 << 10;
/// Bytes of content after which is asked whether to go on.
pub(super) const STRIDE: u64 = 1 << 20;

/// The largest content whose offsets fit into a table.
pub(super) const LARGEST: u64 = OFFSET;

/// Chunks that were seen: for each where it began in the content, and where it lies in the notes.
#[derive(Debug)]
pub(super) struct Table {
    /// Offset in the content with 16 bits of the hash, offset in the notes with the length; length 0: nothing.
    slots: Vec<[u64; 2]>,
    /// Chunks that may still be added.
    room: usize,
}

impl Table {
    pub(super) fn new(size: u64) -> Self {
        let slots = (size / 512).clamp(64, SLOTS).next_power_of_two();
        let slots = usize::try_from(slots.min(SLOTS)).unwrap_or(64);
        Self {
            slots: vec![[0; 2]; slots],
            room: slots / 4 * 3,
        }
    }

    /// The slots where a chunk with this hash may be.
    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        let first = usize::try_from(hash & OFFSET).unwrap_or(0);
        (0..PROBES).map(move |i| (first + i) & mask)
    }

    /// Where a chunk like this lies in the notes; `same` is asked whether that at an offset of the content is the same.
    ///
    /// # Errors
    /// Those of `same`.
    pub(super) fn find(
        &self,
        hash: u64,
        length: usize,
        mut same: impl FnMut(u64) -> io::Result<bool>,
    ) -> io::Result<Option<u64>> {
        for slot in self.probes(hash) {
            let [content, notes] = self.slots.get(slot).copied().unwrap_or_default();
            match notes >> 48 {
                0 => break,
                l if l == length as u64
                    && content >> 48 == hash >> 48
                    && same(content & OFFSET)? =>
                {
                    return Ok(Some(notes & OFFSET));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Notes a chunk, as long as there is room.
    pub(super) fn add(&mut self, hash: u64, length: usize, content: u64, notes: u64) {
        if self.room == 0 {
            return;
        }
        for slot in self.probes(hash) {
            if let Some(slot @ [_, 0]) = self.slots.get_mut(slot) {
                *slot = [
                    content | hash & !OFFSET,
                    notes | (length.min(MOST) as u64) << 48,
                ];
                self.room -= 1;
                return;
            }
        }
    }
}

/// Compares with what was before in the content.
pub(super) struct Earlier<'a> {
    content: &'a dyn Content,
    bytes: Vec<u8>,
    /// Where `bytes` begin.
    start: u64,
    /// Where the last comparison ended.
    end: u64,
}

impl<'a> Earlier<'a> {
    pub(super) fn new(content: &'a dyn Content) -> Self {
        Self {
            content,
            bytes: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    /// Whether the content from `offset` on begins with `chunk`.
    ///
    /// # Errors
    /// What the content says.
    pub(super) fn is(&mut self, offset: u64, chunk: &[u8]) -> io::Result<bool> {
        let skip = offset.checked_sub(self.start);
        let skip = skip.and_then(|skip| usize::try_from(skip).ok());
        let kept = skip.and_then(|skip| self.bytes.get(skip..)?.get(..chunk.len()));
        let same = if let Some(kept) = kept {
            kept == chunk
        } else {
            let goes_on = offset == self.end;
            let wanted = if goes_on { AHEAD } else { chunk.len() };
            let left = self.content.size().saturating_sub(offset);
            let length = usize::try_from(left).map_or(wanted, |left| left.min(wanted));
            self.bytes.resize(length, 0);
            self.start = u64::MAX; // nothing, should reading fail
            self.content.read_at(offset, &mut self.bytes)?;
            self.start = offset;
            self.bytes.starts_with(chunk)
        };
        self.end = offset + chunk.len() as u64;
        Ok(same)
    }
}

/// Bytes of content that were there before, chunk by chunk; an estimate, since only hashes are compared.
///
/// # Errors
/// [`CodecError::Cancelled`], and what the content says.
pub(super) fn survey(content: &dyn Content, sink: &dyn LayerSink) -> Result<u64, CodecError> {
    let mut table = Table::new(content.size());
    let mut chunks = Chunks::new(content);
    let (mut repeated, mut asked) = (0, 0);
    while let Some((offset, chunk)) = chunks.next()? {
        if offset >= asked {
            if sink.cancelled() {
                return Err(CodecError::Cancelled);
            }
            asked = offset + STRIDE;
        }
        let hash = hash(chunk);
        if table.find(hash, chunk.len(), |_| Ok(true))?.is_some() {
            repeated += chunk.len() as u64;
        } else {
            table.add(hash, chunk.len(), offset, 0);
        }
    }
    Ok(repeated)
}
