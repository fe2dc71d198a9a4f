//! The content as extents of the notes: blocks of them, each readable alone.
//!
//! A block is a zstd frame of numbers, 7 bits to a byte from the lowest on, with the highest bit set on all but a number's
//! last byte: first the length of each extent, then where each begins in the notes. That is 0 for an extent that begins at
//! the *high water*, the end of all notes that earlier extents have shown, and so shows notes for the first time; else one
//! more than the distance from where the extent before ended, sign in the lowest bit. The first extent of a block follows
//! an extent that ended at the high water. Where the notes begin with a base, the high water begins at its end, and distances
//! are from where the last extent ended that was none at the high water: what follows a change follows it in the base, too.

use super::bad;
use crate::codec::CodecError;

/// Extents in a block; the last may have fewer.
pub(super) const BLOCK: usize = 512;
/// Bytes of a block before zstd, at most: two numbers of up to 64 bits for each extent.
const PLAIN: usize = BLOCK * 20;
/// Bytes of a block's frame at most.
pub(super) const FRAME: usize = PLAIN + 512;
/// The level is of no account: blocks are short.
const LEVEL: i32 = 9;

/// A stretch of notes that the content shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where it begins in the notes.
    pub(super) notes: u64,
    pub(super) length: u64,
}

/// Puts extents together, neighbours in one if both show notes for the first time or neither does.
#[derive(Debug, Default)]
pub(super) struct Builder {
    extents: Vec<Extent>,
    /// Where the block begins in the content.
    content: u64,
    /// The high water before the block.
    water: u64,
    /// The high water after all extents.
    now: u64,
    /// Whether the last extent shows its notes for the first time.
    first: bool,
    /// Whether the notes begin with a base.
    based: bool,
}

/// A block, encoded.
#[derive(Debug)]
pub(super) struct Block {
    /// Where it begins in the content.
    pub(super) content: u64,
    /// The high water before it.
    pub(super) water: u64,
    pub(super) frame: Vec<u8>,
}

impl Builder {
    /// For notes that begin with so many bytes of bases.
    pub(super) fn after(bases: u64) -> Self {
        Self {
            water: bases,
            now: bases,
            based: bases > 0,
            ..Self::default()
        }
    }

    /// Adds an extent; returns the block that is full.
    ///
    /// # Errors
    /// What zstd says.
    pub(super) fn push(&mut self, extent: Extent) -> std::io::Result<Option<Block>> {
        let first = extent.notes == self.now;
        let end = extent.notes + extent.length;
        if let Some(last) = self.extents.last_mut()
            && first == self.first
            && last.notes + last.length == extent.notes
        {
            last.length += extent.length;
            self.now = self.now.max(end);
            return Ok(None);
        }
        let full = if self.extents.len() == BLOCK {
            self.finish()?
        } else {
            None
        };
        self.first = first;
        self.now = self.now.max(end);
        self.extents.push(extent);
        Ok(full)
    }

    /// The block of what is left, if anything.
    ///
    /// # Errors
    /// What zstd says.
    pub(super) fn finish(&mut self) -> std::io::Result<Option<Block>> {
        if self.extents.is_empty() {
            return Ok(None);
        }
        let mut plain = Vec::new();
        for extent in &self.extents {
            number(&mut plain, extent.length);
        }
        let mut water = std::mem::replace(&mut self.water, self.now);
        let before = water;
        let mut end = water;
        for extent in &self.extents {
            number(
                &mut plain,
                match extent.notes {
                    notes if notes == water => 0,
                    notes if notes >= end => ((notes - end) << 1) + 1,
                    notes => ((end - notes) << 1) + 2,
                },
            );
            let last = extent.notes + extent.length;
            if !self.based || extent.notes != water {
                end = last;
            }
            water = water.max(last);
        }
        let block = Block {
            content: self.content,
            water: before,
            frame: zstd::bulk::compress(&plain, LEVEL)?,
        };
        self.content += self.extents.iter().map(|extent| extent.length).sum::<u64>();
        self.extents.clear();
        Ok(Some(block))
    }
}

/// A block for reading.
#[derive(Debug)]
pub(super) struct Runs(Vec<Run>);

/// An extent in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where it begins in the content.
    pub(super) content: u64,
    pub(super) extent: Extent,
    /// Whether it shows notes for the first time.
    pub(super) first: bool,
}

impl Runs {
    /// Reads a block that begins at `content` and must end at `end`, where the high water is `water` before it and must be
    /// `after` after it; `based`: the notes begin with a base.
    ///
    /// # Errors
    /// [`CodecError::Format`] for what no [`Builder`] makes.
    pub(super) fn parse(
        frame: &[u8],
        mut content: u64,
        end: u64,
        mut water: u64,
        after: u64,
        based: bool,
    ) -> Result<Self, CodecError> {
        let plain = zstd::bulk::decompress(frame, PLAIN);
        let plain = plain.map_err(|e| bad(format_args!("extents: {e}")))?;
        let wrong = || bad(format_args!("extents at {content}"));
        let mut numbers = Vec::with_capacity(2 * BLOCK);
        let mut rest = plain.as_slice();
        while let Some((value, after)) = next(rest) {
            if numbers.len() == 2 * BLOCK {
                return Err(wrong());
            }
            numbers.push(value);
            rest = after;
        }
        let (lengths, places) = numbers.split_at(numbers.len() / 2);
        if !rest.is_empty() || lengths.len() != places.len() {
            return Err(wrong());
        }
        let mut runs = Vec::with_capacity(lengths.len());
        let mut before = water;
        for (&length, &place) in lengths.iter().zip(places) {
            let notes = match place.checked_sub(1) {
                None => Some(water),
                Some(d) if d & 1 == 0 => before.checked_add(d >> 1),
                Some(d) => before.checked_sub(d >> 1),
            };
            let last = notes.and_then(|notes| notes.checked_add(length));
            let (Some(notes), Some(last)) = (notes, last) else {
                return Err(bad(format_args!("an extent at {content}")));
            };
            let first = notes == water;
            // Notes are shown first in their order.
            if length == 0 || length > end.saturating_sub(content) || !first && last > water {
                return Err(bad(format_args!("an extent at {content}")));
            }
            runs.push(Run {
                content,
                extent: Extent { notes, length },
                first,
            });
            content += length;
            if !based || !first {
                before = last;
            }
            water = water.max(last);
        }
        if content != end || water != after {
            return Err(bad(format_args!(
                "extents end at {content} instead of {end}"
            )));
        }
        Ok(Self(runs))
    }

    /// The extent with byte `offset` of the content.
    pub(super) fn at(&self, offset: u64) -> Option<Run> {
        let after = self.0.partition_point(|run| run.content <= offset);
        self.0.get(after.checked_sub(1)?).copied()
    }

    /// The extent that shows byte `notes` of the notes for the first time.
    pub(super) fn first_with(&self, notes: u64) -> Option<Run> {
        let firsts = self.0.iter().filter(|run| run.first);
        firsts
            .take_while(|run| run.extent.notes <= notes)
            .last()
            .copied()
    }
}

/// Appends a number.
fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

/// The number that `bytes` begin with, and what follows.
fn next(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, byte) in (0..10).zip(bytes) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i)?;
        if byte & 0x80 == 0 {
            let used = usize::try_from(i).ok()? + 1;
            return Some((value, bytes.get(used..)?));
        }
    }
    None
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;
    use crate::codec::testing::random;

    /// Extents as an encoder makes them: what is new follows the high water, the rest lies below it.
    fn extents(seed: u64, count: usize, bases: u64) -> Vec<Extent> {
        let mut water = bases;
        let numbers = random(seed, 24 * count);
        let numbers = numbers.as_chunks::<8>().0.iter();
        let mut numbers = numbers.map(|bytes| u64::from_le_bytes(*bytes));
        let mut take = || numbers.next().unwrap();
        (0..count)
            .map(|_| {
                let length = take() % 5000 + 1;
                let notes = if take() % 2 == 0 || water <= length {
                    water
                } else {
                    take() % (water - length)
                };
                water = water.max(notes + length);
                Extent { notes, length }
            })
            .collect()
    }

    #[test]
    fn blocks_give_back_their_extents() {
        let counts = [(1, 1), (2, 2), (3, 512), (4, 513), (5, 3000)];
        let all = counts
            .iter()
            .flat_map(|(seed, count)| [0, 1 << 14, 9 << 20].map(|bases| (*seed, *count, bases)));
        for (seed, count, bases) in all {
            let extents = extents(seed, count, bases);
            let mut builder = Builder::after(bases);
            let mut blocks = Vec::new();
            for extent in &extents {
                blocks.extend(builder.push(*extent).unwrap());
            }
            blocks.extend(builder.finish().unwrap());
            let size: u64 = extents.iter().map(|e| e.length).sum();
            let water = extents.iter().map(|e| e.notes + e.length).max().unwrap();
            let water = water.max(bases);
            let ends = blocks.iter().skip(1).map(|b| (b.content, b.water));
            let ends: Vec<_> = ends.chain([(size, water)]).collect();
            let mut content = 0;
            let mut all = extents.iter();
            for (block, (end, after)) in blocks.iter().zip(ends) {
                assert!(block.frame.len() <= FRAME);
                let parse = |end, after| {
                    Runs::parse(
                        &block.frame,
                        block.content,
                        end,
                        block.water,
                        after,
                        bases > 0,
                    )
                };
                let runs = parse(end, after).unwrap();
                assert!(parse(end + 1, after).is_err() && parse(end, after + 1).is_err());
                while content < end {
                    let run = runs.at(content).unwrap();
                    // Neighbours are one.
                    let (mut length, mut first) = (0, None);
                    while length < run.extent.length {
                        let extent = all.next().unwrap();
                        first.get_or_insert(extent.notes);
                        length += extent.length;
                    }
                    assert_eq!(
                        (run.extent.notes, run.extent.length),
                        (first.unwrap(), length)
                    );
                    assert_eq!(runs.at(content + length - 1), Some(run));
                    if run.first {
                        assert_eq!(runs.first_with(run.extent.notes), Some(run));
                    }
                    content += length;
                }
            }
            assert!(all.next().is_none());
        }
    }

    #[test]
    fn numbers_of_any_length() {
        let mut bytes = Vec::new();
        let values = [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX];
        for value in values {
            number(&mut bytes, value);
        }
        let mut rest = bytes.as_slice();
        for value in values {
            let (read, after) = next(rest).unwrap();
            assert_eq!(read, value);
            rest = after;
        }
        assert!(next(rest).is_none());
        assert!(next(&[0x80; 20]).is_none());
    }
}
