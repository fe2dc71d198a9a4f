//! Decoding: any range of the content, each segment proved by its hash.

use std::fmt;
use std::io;
use std::ops::Range;

use parking_lot::Mutex;
use zstd::bulk::Decompressor;

use super::{ENTRY, SEGMENT, STEP, proof};
use crate::codec::{CodecError, Decoder, Quality};
use crate::format::Layers;

/// Segments whose index entries are read together; with the entry before them 4,104 bytes.
const PAGE: u64 = 170;
/// Scratches kept for later reads; more threads than this at a time allocate anew.
const SPARE: usize = 4;

/// A `stored` object, open for reading.
pub(super) struct Reader<'a> {
    layers: Box<dyn Layers + 'a>,
    /// Bytes of content.
    size: u64,
    /// Segments of content.
    count: u64,
    /// Where the index begins in the layer.
    index: u64,
    spare: Mutex<Vec<Scratch>>,
}

/// What one thread needs for reading, and what it read last.
struct Scratch {
    zstd: Decompressor<'static>,
    stored: Vec<u8>,
    plain: Vec<u8>,
    /// The segment in `plain`.
    held: Option<u64>,
    /// Index entries as stored, from the one before segment `first` (none for segment 0).
    page: Vec<u8>,
    first: Option<u64>,
}

/// Where a segment lies in the layer, and what it must decode to.
struct Extent {
    start: u64,
    length: usize,
    proof: [u8; 16],
}

impl<'a> Reader<'a> {
    pub(super) fn open(
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Self, CodecError> {
        if !settings.is_empty() {
            return Err(bad(format_args!("settings of a newer program")));
        }
        if layers.count() != 1 {
            return Err(bad(format_args!("{} layers instead of 1", layers.count())));
        }
        let length = layers.len(0);
        let count = size.div_ceil(STEP);
        // No segment takes more than its own length.
        let index = length.checked_sub(count * ENTRY as u64);
        let Some(index) = index.filter(|index| *index <= size) else {
            return Err(bad(format_args!(
                "a layer of {length} bytes for {size} bytes of content"
            )));
        };
        Ok(Self {
            layers,
            size,
            count,
            index,
            spare: Mutex::new(Vec::new()),
        })
    }

    /// Length of a segment of the content.
    fn length(&self, segment: u64) -> usize {
        let rest = self.size.saturating_sub(segment * STEP);
        usize::try_from(rest).map_or(SEGMENT, |rest| rest.min(SEGMENT))
    }

    /// A scratch, best the one that holds `segment`.
    fn scratch(&self, segment: u64) -> io::Result<Scratch> {
        let mut spare = self.spare.lock();
        match spare.iter().position(|s| s.held == Some(segment)) {
            Some(at) => Ok(spare.swap_remove(at)),
            None => spare.pop().map_or_else(Scratch::new, Ok),
        }
    }

    fn extent(&self, segment: u64, scratch: &mut Scratch) -> Result<Extent, CodecError> {
        let first = segment - segment % PAGE;
        let before = first.saturating_sub(1);
        if scratch.first != Some(first) {
            scratch.first = None;
            let last = (first + PAGE).min(self.count);
            let entries = usize::try_from(last - before).unwrap_or(0);
            scratch.page.resize(entries * ENTRY, 0);
            let at = self.index + before * ENTRY as u64;
            self.layers.read_at(0, at, &mut scratch.page)?;
            scratch.first = Some(first);
        }
        let entry = |segment: u64| {
            let at = usize::try_from(segment.checked_sub(before)?).ok()?;
            let entry = scratch.page.as_chunks::<ENTRY>().0.get(at)?;
            let (end, proof) = entry.split_first_chunk::<8>()?;
            Some((
                u64::from_le_bytes(*end),
                proof.first_chunk::<16>().copied()?,
            ))
        };
        let start = match segment.checked_sub(1) {
            None => Some(0),
            Some(previous) => entry(previous).map(|(end, _)| end),
        };
        let (Some(start), Some((end, proof))) = (start, entry(segment)) else {
            return Err(bad(format_args!("no index entry of segment {segment}")));
        };
        let length = end.checked_sub(start).and_then(|l| usize::try_from(l).ok());
        let last = segment + 1 == self.count;
        match length.filter(|length| *length <= self.length(segment)) {
            Some(length) if end == self.index || (end < self.index && !last) => Ok(Extent {
                start,
                length,
                proof,
            }),
            _ => Err(bad(format_args!(
                "segment {segment} at {start}..{end} of {} bytes",
                self.index
            ))),
        }
    }

    /// Decodes a segment into `plain`, which has its length.
    fn decode(
        &self,
        segment: u64,
        plain: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), CodecError> {
        let extent = self.extent(segment, scratch)?;
        if extent.length == 0 {
            plain.fill(0);
        } else if extent.length == plain.len() {
            self.layers.read_at(0, extent.start, plain)?;
        } else {
            scratch.stored.resize(extent.length, 0);
            self.layers.read_at(0, extent.start, &mut scratch.stored)?;
            // The slice bounds what zstd writes, whatever the frame says.
            let written = scratch.zstd.decompress_to_buffer(&scratch.stored, plain);
            let written = written.map_err(|e| bad(format_args!("segment {segment}: {e}")))?;
            if written != plain.len() {
                return Err(bad(format_args!(
                    "segment {segment} decodes to {written} of {} bytes",
                    plain.len()
                )));
            }
        }
        if proof(plain) == extent.proof {
            Ok(())
        } else {
            Err(CodecError::Mismatch {
                offset: segment * STEP,
                length: plain.len() as u64,
            })
        }
    }

    /// Fills `out` with the bytes of a segment from byte `skip` on.
    fn part(&self, segment: u64, skip: usize, out: &mut [u8]) -> Result<(), CodecError> {
        let mut scratch = self.scratch(segment)?;
        let length = self.length(segment);
        if out.len() == length && scratch.held != Some(segment) {
            self.decode(segment, out, &mut scratch)?;
        } else {
            if scratch.held != Some(segment) {
                let mut plain = std::mem::take(&mut scratch.plain);
                plain.resize(length, 0);
                self.decode(segment, &mut plain, &mut scratch)?;
                scratch.plain = plain;
                scratch.held = Some(segment);
            }
            let part = scratch.plain.get(skip..).and_then(|p| p.get(..out.len()));
            out.copy_from_slice(part.ok_or_else(|| bad(format_args!("range past its segment")))?);
        }
        let mut spare = self.spare.lock();
        if spare.len() < SPARE {
            spare.push(scratch);
        }
        Ok(())
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
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let segment = at / STEP;
            let skip = usize::try_from(at % STEP).unwrap_or(0);
            let (out, after) = rest.split_at_mut(rest.len().min(SEGMENT - skip));
            self.part(segment, skip, out)?;
            at += out.len() as u64;
            rest = after;
        }
        Ok(Quality::Exact)
    }

    fn segment(&self, offset: u64) -> Range<u64> {
        let start = offset - offset % STEP;
        start..start.saturating_add(STEP).min(self.size)
    }
}

impl Scratch {
    fn new() -> io::Result<Self> {
        Ok(Self {
            zstd: Decompressor::new()?,
            stored: Vec::new(),
            plain: Vec::new(),
            held: None,
            page: Vec::new(),
            first: None,
        })
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("size", &self.size)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

fn bad(what: fmt::Arguments<'_>) -> CodecError {
    CodecError::Format(format!("stored: {what}"))
}
