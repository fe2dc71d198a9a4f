//! Long media in segments: each coded for itself, so that any range is read without the rest.
//!
//! A medium with a time axis is cut into *segments* of content, one after the other; each gives a *part* to every
//! layer. The layers grow segment by segment, so that an encoder keeps one segment in memory and a small table.
//!
//! # Layers
//!
//! ```text
//! every layer     part of segment 0, of segment 1, ...
//! first layer     then the table: for each segment, u32 each, its bytes of content and those of its part of every layer
//! last layer      then the proofs: for each segment the first 16 bytes of the BLAKE3 of its content
//! ```
//!
//! With one layer, that is first and last. Settings of a codec begin with the number of segments (u32). The table and
//! the sizes of the layers must agree to the byte.
//!
//! # Reading
//!
//! A read decodes the segments it touches. A segment of which all layers are there is proved; of one that lacks some,
//! what the first ones give is declared as such. Layers that nothing can be left out of are those of the same number:
//! a segment is never decoded from layer 2 without layer 1. Memory: 4 bytes per segment and layer, and one segment.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use super::{CodecError, Decoder, LayerSink, Quality};
use crate::coding::hash::Digest;
use crate::format::{LayerError, Layers};

/// Bytes of settings.
pub(super) const SETTINGS: usize = 4;
/// Bytes of a proof.
const PROOF: usize = 16;
/// Most bytes of a segment's content or part.
const MOST: u32 = 1 << 30;

/// Writes segments into layers.
#[derive(Debug)]
pub(super) struct Writer {
    layers: usize,
    count: u32,
    table: Vec<u8>,
    proofs: Vec<u8>,
}

impl Writer {
    /// For so many layers, at least one.
    pub(super) fn new(layers: usize) -> Self {
        Self {
            layers: layers.max(1),
            count: 0,
            table: Vec::new(),
            proofs: Vec::new(),
        }
    }

    /// Appends a segment: its content and its part of each layer.
    ///
    /// # Errors
    /// [`CodecError::Cancelled`], [`CodecError::Declined`] for a segment too large or with other than all parts, and
    /// what the sink says.
    pub(super) fn segment(
        &mut self,
        sink: &mut dyn LayerSink,
        content: &[u8],
        parts: &[Vec<u8>],
    ) -> Result<(), CodecError> {
        if sink.cancelled() {
            return Err(CodecError::Cancelled);
        }
        let declined = || CodecError::Declined("a segment that is too large".to_owned());
        if parts.len() != self.layers {
            return Err(declined());
        }
        for length in std::iter::once(content.len()).chain(parts.iter().map(Vec::len)) {
            let length = u32::try_from(length).ok().filter(|length| *length <= MOST);
            let length = length.ok_or_else(declined)?;
            self.table.extend_from_slice(&length.to_le_bytes());
        }
        self.proofs.extend_from_slice(&proof(content));
        self.count = self.count.checked_add(1).ok_or_else(declined)?;
        for (layer, part) in parts.iter().enumerate() {
            sink.write(layer, part)?;
        }
        Ok(())
    }

    /// Ends the layers; returns what the settings begin with.
    ///
    /// # Errors
    /// What the sink says.
    pub(super) fn finish(self, sink: &mut dyn LayerSink) -> Result<[u8; SETTINGS], CodecError> {
        sink.write(0, &self.table)?;
        sink.write(self.layers - 1, &self.proofs)?;
        Ok(self.count.to_le_bytes())
    }
}

/// Turns the parts of one segment into its content.
pub(super) trait Segment: fmt::Debug + Send + Sync {
    /// Fills `out`, which has the length of the segment, from its parts of the first layers, at least one; with all of
    /// them exactly. `index` is the number of the segment.
    ///
    /// # Errors
    /// [`CodecError::Format`] for parts that no encoder writes.
    fn decode(&self, index: usize, parts: &[Vec<u8>], out: &mut [u8]) -> Result<(), CodecError>;

    /// Most bytes that an encoder writes as all parts of a segment of so many bytes of content.
    fn most(&self, length: usize) -> usize;
}

/// Reads segments.
pub(super) struct Reader<'a, S> {
    layers: Box<dyn Layers + 'a>,
    size: u64,
    count: usize,
    /// Layers with parts.
    used: usize,
    table: OnceLock<Table>,
    segment: S,
}

/// Where segments lie.
#[derive(Debug)]
struct Table {
    /// Where each ends in the content.
    ends: Vec<u64>,
    /// Lengths of parts, segment by segment.
    lengths: Vec<u32>,
    /// For every so many segments, where they begin in each layer.
    starts: Vec<u64>,
}

/// Segments from one note of where they begin to the next.
const STRIDE: usize = 64;
/// Entries of the table that are read at a time.
const BATCH: usize = 1 << 14;

impl<'a, S: Segment> Reader<'a, S> {
    /// Opens the first `used` of the layers; `settings` is what [`Writer::finish`] returned.
    ///
    /// # Errors
    /// [`CodecError::Format`] for layers that cannot hold so many segments.
    pub(super) fn open(
        settings: [u8; SETTINGS],
        used: usize,
        size: u64,
        layers: Box<dyn Layers + 'a>,
        segment: S,
    ) -> Result<Self, CodecError> {
        let count = usize::try_from(u32::from_le_bytes(settings)).unwrap_or(usize::MAX);
        if used == 0 || layers.count() < used {
            return Err(bad(format_args!("{} layers", layers.count())));
        }
        let table = (used as u64 + 1) * 4 * count as u64;
        let proofs = PROOF as u64 * count as u64;
        if layers.len(0) < table || layers.len(used - 1) < proofs {
            return Err(bad(format_args!("too few bytes for {count} segments")));
        }
        Ok(Self {
            layers,
            size,
            count,
            used,
            table: OnceLock::new(),
            segment,
        })
    }

    fn table(&self) -> Result<&Table, CodecError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let width = (self.used + 1) * 4;
        let length = (width * self.count) as u64;
        let proofs = (PROOF * self.count) as u64;
        let after = if self.used == 1 { proofs } else { 0 };
        let start = (self.layers.len(0) - after).checked_sub(length);
        let mut at = start.ok_or_else(|| bad(format_args!("no room for the table")))?;
        let mut table = Table {
            ends: Vec::new(),
            lengths: Vec::new(),
            starts: Vec::new(),
        };
        let mut sums = vec![0_u64; self.used];
        let mut content = 0_u64;
        // Memory grows with what is there, not with what a header says.
        let mut bytes = vec![0; width * BATCH.min(self.count)];
        while table.ends.len() < self.count {
            bytes.truncate(width * (self.count - table.ends.len()));
            self.layers.read_at(0, at, &mut bytes)?;
            at += bytes.len() as u64;
            for entry in bytes.chunks_exact(width) {
                let index = table.ends.len();
                if index.is_multiple_of(STRIDE) {
                    table.starts.extend(&sums);
                }
                let fields = entry.as_chunks::<4>().0.iter();
                let mut fields = fields.map(|f| u32::from_le_bytes(*f));
                let length = fields.next().filter(|length| (1..=MOST).contains(length));
                content += u64::from(length.ok_or_else(|| bad(format_args!("segment {index}")))?);
                table.ends.push(content);
                for (sum, length) in sums.iter_mut().zip(fields) {
                    *sum += u64::from(length);
                    table.lengths.push(length);
                }
            }
        }
        let extra = |layer: usize| {
            let table = if layer == 0 { length } else { 0 };
            let proofs = if layer + 1 == self.used { proofs } else { 0 };
            table + proofs
        };
        let mut lengths = sums.iter().enumerate();
        if content != self.size || !lengths.all(|(l, sum)| sum + extra(l) == self.layers.len(l)) {
            return Err(bad(format_args!("the table and the layers disagree")));
        }
        Ok(self.table.get_or_init(|| table))
    }

    /// The segment with byte `offset`, and its range of content.
    fn find(&self, offset: u64) -> Result<(usize, Range<u64>), CodecError> {
        let ends = &self.table()?.ends;
        let index = ends.partition_point(|end| *end <= offset);
        let start = index.checked_sub(1).and_then(|before| ends.get(before));
        match ends.get(index) {
            Some(end) => Ok((index, start.copied().unwrap_or(0)..*end)),
            None => Err(bad(format_args!("no byte {offset}"))),
        }
    }

    /// The parts of a segment that are there, and what the first one missing is missing.
    fn parts(
        &self,
        index: usize,
        most: usize,
    ) -> Result<(Vec<Vec<u8>>, Option<LayerError>), CodecError> {
        let table = self.table()?;
        let block = index / STRIDE;
        let sums = table.starts.get(block * self.used..(block + 1) * self.used);
        let mut sums = sums.unwrap_or_default().to_vec();
        let lengths = table.lengths.get(block * STRIDE * self.used..);
        let mut rows = lengths.unwrap_or_default().chunks_exact(self.used);
        for row in rows.by_ref().take(index % STRIDE) {
            for (sum, length) in sums.iter_mut().zip(row) {
                *sum += u64::from(*length);
            }
        }
        let row = rows.next().unwrap_or_default();
        let total: u64 = row.iter().map(|length| u64::from(*length)).sum();
        if total > most as u64 {
            return Err(bad(format_args!("segment {index} is too long")));
        }
        let mut parts = Vec::with_capacity(self.used);
        for (layer, (start, length)) in sums.iter().zip(row).enumerate() {
            let mut part = vec![0; usize::try_from(*length).unwrap_or(0)];
            match self.layers.read_at(layer, *start, &mut part) {
                Ok(()) => parts.push(part),
                Err(e @ LayerError::Missing { .. }) => return Ok((parts, Some(e))),
                Err(e) => return Err(e.into()),
            }
        }
        Ok((parts, None))
    }

    /// Decodes a segment into `out`; returns the number of layers used where it is not exact.
    fn decode(&self, index: usize, start: u64, out: &mut [u8]) -> Result<Quality, CodecError> {
        let (mut parts, mut missing) = self.parts(index, self.segment.most(out.len()))?;
        let mut wanted = [0; PROOF];
        if missing.is_none() {
            let last = self.used - 1;
            let at = self.layers.len(last) - (PROOF * (self.count - index)) as u64;
            match self.layers.read_at(last, at, &mut wanted) {
                Ok(()) => {}
                // What cannot be proved is not the last layer.
                Err(e @ LayerError::Missing { .. }) => {
                    parts.pop();
                    missing = Some(e);
                }
                Err(e) => return Err(e.into()),
            }
        }
        match missing {
            Some(missing) if parts.is_empty() => Err(missing.into()),
            Some(_) => {
                self.segment.decode(index, &parts, out)?;
                Ok(Quality::Degraded(parts.len()))
            }
            None => {
                self.segment.decode(index, &parts, out)?;
                if proof(out) == wanted {
                    Ok(Quality::Exact)
                } else {
                    Err(CodecError::Mismatch {
                        offset: start,
                        length: out.len() as u64,
                    })
                }
            }
        }
    }

    /// The content of the first segment from the first layer alone.
    ///
    /// # Errors
    /// Those of [`Decoder::read_at`].
    pub(super) fn first(&self) -> Result<Vec<u8>, CodecError> {
        let (index, range) = self.find(0)?;
        let length = usize::try_from(range.end).unwrap_or(0);
        let (mut parts, missing) = self.parts(index, self.segment.most(length))?;
        match missing {
            Some(missing) if parts.is_empty() => return Err(missing.into()),
            _ => parts.truncate(1),
        }
        let mut content = vec![0; length];
        self.segment.decode(index, &parts, &mut content)?;
        Ok(content)
    }
}

impl<S: Segment> Decoder for Reader<'_, S> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, CodecError> {
        let mut quality = Quality::Exact;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (index, range) = self.find(at)?;
            let length = usize::try_from(range.end - range.start).unwrap_or(0);
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let (piece, after) = rest.split_at_mut(left.min(rest.len()));
            let here = if piece.len() == length {
                self.decode(index, range.start, piece)?
            } else {
                let mut whole = vec![0; length];
                let here = self.decode(index, range.start, &mut whole)?;
                let skip = usize::try_from(at - range.start).unwrap_or(0);
                let part = whole.get(skip..).and_then(|rest| rest.get(..piece.len()));
                piece.copy_from_slice(part.unwrap_or_default());
                here
            };
            quality = quality.worse(here);
            at += piece.len() as u64;
            rest = after;
        }
        Ok(quality)
    }

    fn segment(&self, offset: u64) -> Range<u64> {
        // Without a table a read says why, and nobody makes room for more than that.
        let nothing = offset..offset.saturating_add(1).min(self.size);
        self.find(offset).map_or(nothing, |(_, range)| range)
    }
}

impl<S: Segment> fmt::Debug for Reader<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("size", &self.size)
            .field("segments", &self.count)
            .field("layers", &self.used)
            .field("segment", &self.segment)
            .finish_non_exhaustive()
    }
}

/// The hash of a segment as the last layer keeps it.
fn proof(content: &[u8]) -> [u8; PROOF] {
    let [proof @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = Digest::of(content).0;
    proof
}

fn bad(what: fmt::Arguments<'_>) -> CodecError {
    CodecError::Format(format!("segments: {what}"))
}

#[cfg(test)]
mod tests;
