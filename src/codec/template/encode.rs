//! Encoding: what repeats becomes extents, what is left becomes packs.

use std::io;

use super::base::Base;
use super::based::Based;
use super::chunks::{Chunks, hash};
use super::dedupe::{Earlier, LARGEST, STRIDE, Table, survey};
use super::extents::{Block, Builder, Extent};
use super::index::{self, Group, Index, Pack};
use super::pack::pack;
use super::previous::{Copied, Previous};
use super::shared::{self, Shared};
use super::{FILTERED, GROUP, PACK, UNIT, proof};
use crate::codec::{CodecError, Content, Effort, Encoded, LayerSink, Request};

/// Shorter contents are declined.
const SHORTEST: u64 = 32 << 10;
/// Those that a shared dictionary may suit are declined below this.
const SHORTEST_SHARED: u64 = 512;
/// Longer ones learn by themselves what a shared dictionary would say.
const LONGEST_SHARED: u64 = PACK / 2;
/// Chunks are looked for where one byte in so many repeats.
const REPEATED: u64 = 64;
/// The layer must be shorter than the content by one byte in so many.
const GAIN: u64 = 50;
/// What repeats is shown from where it was if it has so many bytes on end; less is not worth another place to read.
const LEAST_RUN: usize = 1 << 10;
/// Contents up to this size are compared with segments of zstd.
const COMPARED: u64 = 2 << 20;
/// Bytes of such a segment.
const SEGMENT: usize = 128 << 10;
/// Pieces of a sample.
const PIECES: u64 = 64;
/// Bytes of a piece of a sample.
const PIECE: u64 = 16 << 10;

/// See [`crate::codec::Codec::encode`].
pub(super) fn encode(
    content: &dyn Content,
    request: Request<'_>,
    sink: &mut dyn LayerSink,
) -> Result<Encoded, CodecError> {
    let size = content.size();
    // A pack as long as they come learns more by itself.
    let shared = match size {
        ..=LONGEST_SHARED => shared::of(request.dictionaries),
        _ => Vec::new(),
    };
    let based = match size {
        ..SHORTEST_SHARED => None,
        _ => Based::new(content, request.bases)?,
    };
    let alone = shared.is_empty() && based.is_none();
    if size < SHORTEST && (alone || size < SHORTEST_SHARED) {
        return Err(CodecError::Declined(format!("only {size} bytes")));
    }
    if size > LARGEST {
        return Err(CodecError::Declined(format!("{size} bytes")));
    }
    let repeats = based.is_none() && survey(content, sink)? >= size / REPEATED;
    if based.is_none() && !repeats && !sample_gains(content)? {
        return Err(CodecError::Declined(
            "a sample does not compress".to_owned(),
        ));
    }
    let mut writer = Writer::new(request.effort, size, &shared, sink);
    // What dictionaries there are may have changed since.
    let previous = request.previous.filter(|_| shared.is_empty());
    writer.previous = previous.and_then(Previous::open);
    if let Some(based) = based {
        based.write(&mut writer)?;
    } else if repeats {
        by_chunks(content, &mut writer)?;
    } else {
        let mut buffer = vec![0; usize::try_from(STRIDE).unwrap_or(0)];
        let mut offset = 0;
        while offset < size {
            writer.go_on()?;
            let length = usize::try_from((size - offset).min(STRIDE)).unwrap_or(0);
            let piece = buffer.get_mut(..length).unwrap_or_default();
            content.read_at(offset, piece)?;
            writer.notes(piece)?;
            offset += STRIDE;
        }
    }
    let (settings, length) = writer.finish()?;
    let wanted = segments(content, request.effort)?.min(size - size / GAIN);
    if length > wanted {
        return Err(CodecError::Declined(format!(
            "{length} bytes instead of {wanted}"
        )));
    }
    Ok(Encoded {
        settings,
        layers: 1,
    })
}

/// Whether pieces of the content, spread evenly, compress together.
fn sample_gains(content: &dyn Content) -> Result<bool, CodecError> {
    let step = (content.size() / PIECES).max(PIECE);
    let mut sample = Vec::new();
    let mut offset = 0;
    while offset < content.size() {
        let length = usize::try_from((content.size() - offset).min(PIECE)).unwrap_or(0);
        let kept = sample.len();
        sample.resize(kept + length, 0);
        content.read_at(offset, sample.get_mut(kept..).unwrap_or_default())?;
        offset += step;
    }
    let frame = zstd::bulk::compress(&sample, 3)?;
    Ok((frame.len() as u64) < sample.len() as u64 - sample.len() as u64 / GAIN)
}

/// Bytes that are enough of a gain over segments of zstd, which find what is near better than units do: they matter for
/// content with little to learn from.
fn segments(content: &dyn Content, effort: Effort) -> Result<u64, CodecError> {
    let level = match effort {
        Effort::Fast => 1,
        Effort::Normal => 9,
        Effort::Archive => 19,
    };
    let size = content.size();
    if size > COMPARED {
        return Ok(u64::MAX);
    }
    let mut plain = vec![0; usize::try_from(size).unwrap_or(0)];
    content.read_at(0, &mut plain)?;
    let mut total = 0;
    for segment in plain.chunks(SEGMENT) {
        let frame = zstd::bulk::compress(segment, level)?;
        total += frame.len() as u64;
    }
    // Shorter reads are worth something, and nothing is gained below a block of a disk.
    Ok((total + total / 32).max(4096))
}

/// Writes the content as extents of what does not repeat.
fn by_chunks(content: &dyn Content, writer: &mut Writer<'_>) -> Result<(), CodecError> {
    let mut table = Table::new(content.size());
    let mut chunks = Chunks::new(content);
    let mut earlier = Earlier::new(content);
    let mut run = Run::default();
    let mut asked = 0;
    while let Some((offset, chunk)) = chunks.next()? {
        if offset >= asked {
            writer.go_on()?;
            asked = offset + STRIDE;
        }
        run.add(
            &mut table,
            offset,
            chunk,
            |at| earlier.is(at, chunk),
            writer,
        )?;
    }
    run.end(writer)?;
    writer.end_extents()
}

/// Chunks on end that were there before, on end too.
pub(super) struct Run {
    extent: Extent,
    /// What it holds, while it is too short.
    bytes: Vec<u8>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            extent: Extent {
                notes: 0,
                length: 0,
            },
            bytes: Vec::new(),
        }
    }
}

impl Run {
    /// Writes the next chunk, which begins at `offset` of the content, unless it was there before: `same` is asked whether
    /// the content at an offset begins with it.
    ///
    /// # Errors
    /// Those of `same` and of the writer.
    pub(super) fn add(
        &mut self,
        table: &mut Table,
        offset: u64,
        chunk: &[u8],
        same: impl FnMut(u64) -> io::Result<bool>,
        writer: &mut Writer<'_>,
    ) -> Result<(), CodecError> {
        let hash = hash(chunk);
        if let Some(notes) = table.find(hash, chunk.len(), same)? {
            if self.extent.length > 0 && notes != self.extent.notes + self.extent.length {
                self.end(writer)?;
            }
            self.extend(notes, chunk);
            return Ok(());
        }
        self.end(writer)?;
        table.add(hash, chunk.len(), offset, writer.length);
        writer.new_notes(chunk)
    }

    fn extend(&mut self, notes: u64, chunk: &[u8]) {
        if self.extent.length == 0 {
            self.extent.notes = notes;
        }
        if self.bytes.len() < LEAST_RUN {
            self.bytes.extend_from_slice(chunk);
        }
        self.extent.length += chunk.len() as u64;
    }

    /// Writes what was there before, up to here.
    ///
    /// # Errors
    /// Those of the writer.
    pub(super) fn end(&mut self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        if self.bytes.len() >= LEAST_RUN {
            writer.show(self.extent)?;
        } else if !self.bytes.is_empty() {
            writer.new_notes(&self.bytes)?;
        }
        self.extent.length = 0;
        self.bytes.clear();
        Ok(())
    }
}

/// Writes the layer.
pub(super) struct Writer<'a> {
    effort: Effort,
    shared: &'a [Shared],
    previous: Option<Previous<'a>>,
    sink: &'a mut dyn LayerSink,
    /// Bytes of the layer.
    at: u64,
    /// Bytes of notes.
    length: u64,
    /// Notes of the pack that is not full.
    pack: Vec<u8>,
    /// Bytes of a full pack.
    full: usize,
    /// Packs that an earlier version had, too.
    taken: u32,
    extents: Builder,
    index: Index,
}

impl<'a> Writer<'a> {
    fn new(effort: Effort, size: u64, shared: &'a [Shared], sink: &'a mut dyn LayerSink) -> Self {
        let full = match effort {
            Effort::Fast => PACK / 2,
            Effort::Normal | Effort::Archive => PACK,
        };
        let full = usize::try_from(full).unwrap_or(UNIT);
        let size = usize::try_from(size).unwrap_or(full);
        Self {
            effort,
            shared,
            previous: None,
            sink,
            at: 0,
            length: 0,
            pack: Vec::with_capacity(full.min(size)),
            full,
            taken: 0,
            extents: Builder::default(),
            index: Index::default(),
        }
    }

    /// Begins the notes with what a base holds; returns where that is in the notes.
    pub(super) fn begin_with(&mut self, base: &Base) -> u64 {
        let place = self.length;
        self.index.add_base(base.id(), base.bytes().len() as u64);
        self.length = self.index.bases();
        self.extents = Builder::after(self.length);
        place
    }

    pub(super) fn go_on(&self) -> Result<(), CodecError> {
        if self.sink.cancelled() {
            Err(CodecError::Cancelled)
        } else {
            Ok(())
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.sink.write(0, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Appends notes that the content shows here for the first time.
    fn new_notes(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.show(Extent {
            notes: self.length,
            length: bytes.len() as u64,
        })?;
        self.notes(bytes)
    }

    /// Writes the extents that are left.
    pub(super) fn end_extents(&mut self) -> Result<(), CodecError> {
        match self.extents.finish()? {
            Some(block) => self.block(&block),
            None => Ok(()),
        }
    }

    /// Notes what the content shows next.
    pub(super) fn show(&mut self, extent: Extent) -> Result<(), CodecError> {
        match self.extents.push(extent)? {
            Some(block) => self.block(&block),
            None => Ok(()),
        }
    }

    fn block(&mut self, block: &Block) -> Result<(), CodecError> {
        self.index.blocks.push(index::Block {
            content: block.content,
            water: block.water,
            start: self.at,
            length: u32::try_from(block.frame.len()).unwrap_or(u32::MAX),
            proof: proof(&block.frame),
        });
        self.write(&block.frame)
    }

    /// Appends notes.
    fn notes(&mut self, mut bytes: &[u8]) -> Result<(), CodecError> {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.full - self.pack.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pack.extend_from_slice(now);
            bytes = later;
            if self.pack.len() == self.full {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes the pack.
    fn flush(&mut self) -> Result<(), CodecError> {
        if self.pack.is_empty() {
            return Ok(());
        }
        if self.taken_over()? {
            return Ok(());
        }
        let sink = &*self.sink;
        let packed = pack(&mut self.pack, self.effort, self.shared, &|| {
            sink.cancelled()
        })?;
        let dictionary = match packed.shared {
            Some(id) => {
                let ids = &mut self.index.shared;
                let known = ids.iter().position(|known| *known == id);
                known.unwrap_or_else(|| {
                    ids.push(id);
                    ids.len() - 1
                }) as u64
            }
            None => self.at,
        };
        self.index.packs.push(Pack {
            notes: self.index.notes(),
            length: self.pack.len() as u64,
            kind: packed.kind,
            dictionary,
            dictionary_length: u32::try_from(packed.dictionary.len()).unwrap_or(u32::MAX),
            first_group: self.index.groups.len(),
        });
        self.pack.clear();
        self.write(&packed.dictionary)?;
        for units in packed.units.chunks(GROUP) {
            let start = self.at;
            let mut table = Vec::new();
            for unit in units {
                self.write(&unit.coded)?;
                let length = u16::try_from(unit.coded.len()).unwrap_or(u16::MAX);
                let length = length | if unit.filtered { FILTERED } else { 0 };
                table.extend(length.to_le_bytes());
                table.extend(unit.proof);
            }
            self.index.groups.push(Group {
                start,
                length: u32::try_from(self.at - start).unwrap_or(u32::MAX),
                proof: proof(&table),
            });
            self.write(&table)?;
        }
        Ok(())
    }

    /// Writes a full pack as it was written for an earlier version; `false` where that had another one there.
    fn taken_over(&mut self) -> Result<bool, CodecError> {
        let full = self.pack.len() == self.full;
        let Some(previous) = self.previous.as_ref().filter(|_| full) else {
            return Ok(false);
        };
        let there = previous.pack(self.index.notes(), &self.pack, &|| self.go_on())?;
        let Some(Copied {
            kind,
            dictionary,
            groups,
        }) = there
        else {
            return Ok(false);
        };
        self.index.packs.push(Pack {
            notes: self.index.notes(),
            length: self.pack.len() as u64,
            kind,
            dictionary: self.at,
            dictionary_length: u32::try_from(dictionary.len()).unwrap_or(u32::MAX),
            first_group: self.index.groups.len(),
        });
        self.pack.clear();
        self.taken += 1;
        self.write(&dictionary)?;
        for group in groups {
            self.index.groups.push(Group {
                start: self.at,
                length: u32::try_from(group.units.len()).unwrap_or(u32::MAX),
                proof: group.proof,
            });
            self.write(&group.units)?;
            self.write(&group.table)?;
        }
        Ok(true)
    }

    /// Writes what is left; returns the settings and the length of the layer.
    fn finish(mut self) -> Result<(Vec<u8>, u64), CodecError> {
        self.flush()?;
        if self.taken > 0 {
            log::debug!(
                "template: {} of {} packs as before",
                self.taken,
                self.index.packs.len()
            );
        }
        let (index, settings) = self.index.to_bytes(self.at);
        self.write(&index)?;
        Ok((settings, self.at))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::codec::testing::{Bytes, MemoryLayers, random, text};

    /// The layer of a content in packs of 16 units, in extents or not.
    fn layer(content: &[u8], chunked: bool) -> MemoryLayers {
        let mut layers = MemoryLayers::default();
        let size = content.len() as u64;
        let mut writer = Writer::new(Effort::Fast, size, &[], &mut layers);
        writer.full = 16 * UNIT;
        if chunked {
            by_chunks(&Bytes(content.to_vec()), &mut writer).unwrap();
        } else {
            writer.notes(content).unwrap();
        }
        let (settings, length) = writer.finish().unwrap();
        assert_eq!(length, layers.layers[0].len() as u64);
        let open = super::super::Template.open(&settings, size, Box::new(layers.clone()));
        let mut back = vec![0; content.len()];
        open.unwrap().read_at(0, &mut back).unwrap();
        assert!(back == content);
        layers
    }

    fn same(a: &MemoryLayers, b: &MemoryLayers) -> usize {
        let pairs = a.layers[0].iter().zip(&b.layers[0]);
        pairs.take_while(|(a, b)| a == b).count()
    }

    #[test]
    fn an_append_leaves_full_packs_as_they_were() {
        let content = text(1, 1_000_000);
        let longer = text(1, 1_050_000);
        let (before, after) = (layer(&content, false), layer(&longer, false));
        let length = before.layers[0].len();
        assert!(same(&before, &after) > length * 2 / 3);
    }

    #[test]
    fn what_an_append_leaves_alone_is_taken_over_and_gives_the_same_bytes() {
        let content = text(1, 1_300_000);
        let longer = [content.as_slice(), &random(4, 20_000)].concat();
        let mut changed = longer.clone();
        changed[600_000] ^= 1;
        for chunked in [false, true] {
            // Settings and layers, and packs that were taken over.
            let written = |content: &[u8], given: Option<&crate::codec::Previous>| {
                let mut layers = MemoryLayers::default();
                let mut writer = Writer::new(Effort::Normal, 1 << 20, &[], &mut layers);
                writer.full = 16 * UNIT;
                writer.previous = given.and_then(Previous::open);
                if chunked {
                    by_chunks(&Bytes(content.to_vec()), &mut writer).unwrap();
                } else {
                    writer.notes(content).unwrap();
                }
                let taken = writer.taken;
                (writer.finish().unwrap().0, layers, taken)
            };
            let (settings, layers, taken) = written(&content, None);
            assert_eq!(taken, 0);
            let mut damaged = layers.clone();
            damaged.layers[0][5000] ^= 1;
            // What is not as it was, or cannot be read, is coded anew.
            for (layers, now, wanted) in [
                (&layers, &longer, 4),
                (&layers, &changed, 3),
                (&damaged, &longer, 3),
            ] {
                let given = crate::codec::Previous {
                    settings: settings.clone(),
                    size: content.len() as u64,
                    layers: std::sync::Arc::new(layers.clone()),
                };
                let (again, anew) = (written(now, Some(&given)), written(now, None));
                assert!((&again.0, &again.1) == (&anew.0, &anew.1));
                assert!(
                    again.2 >= wanted - 1 && again.2 <= wanted,
                    "{} packs of {wanted}",
                    again.2
                );
            }
        }
    }

    #[test]
    fn an_append_leaves_full_blocks_of_extents_as_they_were() {
        let noise = random(2, 600_000);
        let mut content = noise.clone();
        for (i, new) in random(3, 300_000).chunks(300).enumerate() {
            content.extend_from_slice(&noise[i * 500..][..4000]);
            content.extend_from_slice(new);
        }
        let longer = [content.as_slice(), &noise].concat();
        let (before, after) = (layer(&content, true), layer(&longer, true));
        let length = before.layers[0].len();
        assert!(
            same(&before, &after) > length * 4 / 5,
            "{}",
            same(&before, &after)
        );
    }
}
