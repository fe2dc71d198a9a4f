//! Decoding: extents of the content, and the notes that they show.

use std::num::NonZero;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::thread;

use super::extents::{Run, Runs};
use super::index::Index;
use super::notes::Notes;
use super::recent::Recent;
use super::{UNIT, bad, proof};
use crate::codec::{CodecError, Decoder, Quality};
use crate::format::Layers;

/// Blocks of extents that are kept for later reads, 16 KiB each.
const BLOCKS: usize = 64;
/// Bytes of a read that are worth a thread of their own.
const PART: usize = 256 << 10;
/// Threads for one read at most.
const THREADS: usize = 4;
/// Cores that threads may run on: asking takes a dozen system calls.
static CORES: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));

/// A `template` object, open for reading.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// Bytes of content.
    size: u64,
    notes: Notes<'a>,
    blocks: Recent<Runs>,
}

impl<'a> Reader<'a> {
    pub(super) fn open(
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Self, CodecError> {
        let index = Index::read(settings, size, &*layers)?;
        Ok(Self {
            size,
            notes: Notes::new(index, layers),
            blocks: Recent::new(BLOCKS),
        })
    }

    /// The block of extents with this number.
    fn block(&self, number: usize) -> Result<Arc<Runs>, CodecError> {
        if let Some(runs) = self.blocks.get(number as u64) {
            return Ok(runs);
        }
        let mut blocks = self.notes.index.blocks.iter().skip(number);
        let Some(block) = blocks.next() else {
            return Err(bad(format_args!("no extents {number}")));
        };
        let (end, after) = blocks.next().map_or_else(
            || (self.size, self.notes.index.notes()),
            |next| (next.content, next.water),
        );
        let frame = self.notes.layer(block.start, block.length as usize)?;
        if proof(&frame) != block.proof {
            return Err(bad(format_args!(
                "the extents at {} do not match their hash",
                block.content
            )));
        }
        let based = self.notes.index.bases() > 0;
        let runs = Runs::parse(&frame, block.content, end, block.water, after, based)?;
        Ok(self.blocks.keep(number as u64, runs, 1))
    }

    /// The extent with byte `offset`; `None` where the content is the notes.
    fn run(&self, offset: u64) -> Result<Option<Run>, CodecError> {
        let blocks = &self.notes.index.blocks;
        if blocks.is_empty() {
            return Ok(None);
        }
        let after = blocks.partition_point(|block| block.content <= offset);
        let run = self.block(after.saturating_sub(1))?.at(offset);
        run.map(Some)
            .ok_or_else(|| bad(format_args!("no extent at {offset}")))
    }

    /// Fills `buf` in so many parts at a time.
    fn parts(&self, offset: u64, buf: &mut [u8], parts: usize) -> Result<(), CodecError> {
        if parts < 2 {
            return self.part(offset, buf);
        }
        // Cut between units, so that none is decoded twice.
        let middle = offset + buf.len() as u64 / 2;
        let middle = self.segment(middle).start.max(offset);
        let cut = usize::try_from(middle - offset).unwrap_or(usize::MAX);
        let (first, second) = buf.split_at_mut(cut.min(buf.len()));
        thread::scope(|scope| {
            let second = scope.spawn(move || self.parts(middle, second, parts / 2));
            self.parts(offset, first, parts - parts / 2)?;
            let done = second.join();
            done.unwrap_or_else(|_| Err(bad(format_args!("the decoder failed"))))
        })
    }

    /// Fills `buf` from byte `offset` on.
    fn part(&self, offset: u64, buf: &mut [u8]) -> Result<(), CodecError> {
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (notes, range) = self.stretch(at)?;
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let (piece, after) = rest.split_at_mut(left.min(rest.len()));
            self.notes.read(notes, at, piece)?;
            at += piece.len() as u64;
            rest = after;
        }
        Ok(())
    }

    /// Where byte `offset` lies in the notes, and the range of content around it that is one stretch of them.
    fn stretch(&self, offset: u64) -> Result<(u64, Range<u64>), CodecError> {
        Ok(match self.run(offset)? {
            Some(run) => (
                run.extent.notes + (offset - run.content),
                run.content..run.content + run.extent.length,
            ),
            None => (offset, 0..self.size),
        })
    }
}

impl Decoder for Reader<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, CodecError> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(bad(format_args!(
                "no bytes {offset}..+{} in {} bytes of content",
                buf.len(),
                self.size
            )));
        }
        let parts = match buf.len() / PART {
            0 | 1 => 1,
            parts => parts.min(*CORES),
        };
        self.parts(offset, buf, parts.min(THREADS))?;
        Ok(Quality::Exact)
    }

    /// What lies in one unit, on end.
    fn segment(&self, offset: u64) -> Range<u64> {
        let Ok((notes, range)) = self.stretch(offset) else {
            // A read says why, and nobody makes room for more than that.
            return offset..offset.saturating_add(1).min(self.size);
        };
        let skip = notes % UNIT as u64;
        let start = offset.saturating_sub(skip).max(range.start);
        let end = offset.saturating_add(UNIT as u64 - skip).min(range.end);
        start..end
    }

    fn earlier(&self, offset: u64) -> Result<Option<(u64, u64)>, CodecError> {
        let Some(run) = self.run(offset)?.filter(|run| !run.first) else {
            return Ok(None);
        };
        let skip = offset - run.content;
        let notes = run.extent.notes + skip;
        if notes < self.notes.index.bases() {
            return Ok(None);
        }
        let blocks = &self.notes.index.blocks;
        let after = blocks.partition_point(|block| block.water <= notes);
        let block = self.block(after.saturating_sub(1))?;
        let Some(first) = block.first_with(notes) else {
            return Err(bad(format_args!("notes {notes} are not shown first")));
        };
        let inside = notes - first.extent.notes;
        let left = first.extent.length.saturating_sub(inside);
        let length = left.min(run.extent.length - skip);
        Ok((length > 0).then_some((first.content + inside, length)))
    }
}
