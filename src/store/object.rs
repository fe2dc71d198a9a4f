//! An encoded file on disk, packed or spread: attributes, content from what is left, health.
//!
//! An [`Object`] holds open what it reads from (a packed file, or the directory of a spread set and those of its chunk
//! files that were needed), so renaming or trashing the name under it does no harm. It is shared by all handles of a
//! file; locks are held for one operation on the head, or for the opening of one chunk, never while decoding.

mod enough;
mod recognise;
mod shares;
mod stamp;
#[cfg(test)]
mod tests;
mod window;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::disk::{Access, Dir, File, Meta, Seek};
use super::names::MANIFEST;
use super::{ChunkCount, Error, Result};
use crate::codec::{self, Codec, CodecId, Decoder, First, Medium, Quality};
use crate::format::manifest::{self, Slots};
use crate::format::{Attributes, Descriptor, Digest, Extent, FormatError, Geometry, Layers, SetId};
use crate::hologram::{Gather, Report};
use crate::store::dictionaries::Dictionaries;
use enough::{Enough, Supplied};
pub(crate) use recognise::{Recognised, recognise};
use shares::{Place, Shares};
pub(crate) use window::MOST_VARIANTS;
use window::Window;

/// How an object lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// One file.
    Packed,
    /// A directory with a file for each chunk.
    Spread,
}

/// Decoded segments kept for small sequential reads.
const SEGMENTS: usize = 2;

/// An encoded file.
pub(crate) struct Object {
    layout: Layout,
    descriptor: Descriptor,
    gather: Arc<Gather<Shares>>,
    decoder: OnceLock<Box<dyn Decoder>>,
    dictionaries: OnceLock<Arc<Dictionaries>>,
    segments: Mutex<VecDeque<Kept>>,
    head: Mutex<Head>,
    /// Meta of the carrier when the object was opened.
    carrier: Meta,
    /// Sum of the sizes of its files when it was opened.
    stored: u64,
    /// Whether the last [`Object::verify`] found the tail damaged.
    tail_damaged: AtomicBool,
    /// What of the content is the file; `None`: all.
    window: Option<Window>,
}

/// A decoded segment.
struct Kept {
    /// Where it begins in the content.
    start: u64,
    bytes: Arc<[u8]>,
    quality: Quality,
}

/// What recognition finds.
struct Parts {
    layout: Layout,
    descriptor: Descriptor,
    head: Head,
    shares: Shares,
    carrier: Meta,
    stored: u64,
}

/// What can change about an object.
#[derive(Debug)]
struct Head {
    /// The attribute slots; `None` while there is no intact manifest.
    slots: Option<Slots>,
    attributes: Attributes,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Object");
        out.field("layout", &self.layout)
            .field("set", &self.set())
            .finish_non_exhaustive()
    }
}

impl Object {
    fn new(found: Parts) -> std::result::Result<Self, FormatError> {
        Ok(Self {
            layout: found.layout,
            gather: Arc::new(Gather::new(&found.descriptor, found.shares)?),
            descriptor: found.descriptor,
            decoder: OnceLock::new(),
            dictionaries: OnceLock::new(),
            segments: Mutex::default(),
            head: Mutex::new(found.head),
            carrier: found.carrier,
            stored: found.stored,
            tail_damaged: AtomicBool::new(false),
            window: None,
        })
    }

    /// Its set id.
    pub(crate) fn set(&self) -> SetId {
        self.gather.set()
    }

    /// What it is.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// How it lies on disk.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Its attributes: the live ones, or with none left those of the chunk with the highest index. Mode, owner and
    /// group are those of the carrier where there is one.
    pub(crate) fn attributes(&self) -> Attributes {
        self.head.lock().attributes
    }

    /// Lets it read dictionaries from now on.
    pub(crate) fn supply(&self, dictionaries: &Arc<Dictionaries>) {
        self.dictionaries.get_or_init(|| Arc::clone(dictionaries));
    }

    /// The dictionaries that it cannot be read without.
    pub(crate) fn needs(&self) -> Vec<Digest> {
        let codec = self.codec();
        codec.map_or(Vec::new(), |codec| {
            codec.dictionaries(&self.descriptor.settings)
        })
    }

    /// The layers, for protecting them anew.
    pub(crate) fn layers(&self) -> Arc<dyn Layers> {
        Arc::<Gather<Shares>>::clone(&self.gather)
    }

    /// The inode whose mode, owner and extended attributes are the file's own: the packed file or the manifest of a
    /// spread set. `NotFound` where the manifest is missing; [`Object::restore_manifest`] makes it.
    pub(crate) fn carrier(&self, access: Access) -> io::Result<Arc<dyn File>> {
        match (&self.gather.source().place, access) {
            (Place::Packed { file, .. }, Access::Read) => Ok(Arc::clone(file)),
            (Place::Packed { file, .. }, Access::Write) => even_if_closed_to_us(
                || file.reopen(Access::Write),
                || Ok(file.meta()?.mode),
                |mode| file.set_mode(mode),
            ),
            (Place::Spread { dir, .. }, access) => {
                open_even_if_closed_to_us(dir.as_ref(), OsStr::new(MANIFEST), access)
            }
        }
    }

    /// Meta of the carrier when the object was opened. Where the manifest is missing: that of the directory, with
    /// the owner and mode of a frozen copy.
    pub(crate) fn carrier_meta(&self) -> &Meta {
        &self.carrier
    }

    /// Changes the live attributes; durable once the carrier is synced, and after a crash before that either the old
    /// ones or these. Mode and owner of the carrier are the caller's to change.
    pub(crate) fn set_attributes(&self, attributes: &Attributes) -> Result<()> {
        let mut head = self.head.lock();
        let Some(mut slots) = head.slots else {
            return self.write_manifest(&mut head, attributes);
        };
        let carrier = self.carrier(Access::Write)?;
        let (offset, bytes) = slots.change(attributes);
        carrier.write_at(&bytes, offset)?;
        head.slots = Some(slots);
        head.attributes = *attributes;
        Ok(())
    }

    /// Writes a new manifest if the old one is missing or damaged, with the attributes known, and syncs it.
    pub(crate) fn restore_manifest(&self) -> Result<()> {
        let mut head = self.head.lock();
        if head.slots.is_some() {
            return Ok(());
        }
        let attributes = head.attributes;
        self.write_manifest(&mut head, &attributes)
    }

    fn write_manifest(&self, head: &mut Head, attributes: &Attributes) -> Result<()> {
        let bytes = manifest::encode(&self.descriptor, attributes).map_err(io::Error::other)?;
        let carrier = match (self.carrier(Access::Write), &self.gather.source().place) {
            (Err(e), Place::Spread { dir, .. }) if e.kind() == io::ErrorKind::NotFound => {
                dir.create(OsStr::new(MANIFEST), attributes.mode & 0o700, 0)?
            }
            (carrier, _) => carrier?,
        };
        carrier.write_at(&bytes, 0)?;
        if let Place::Spread { dir, .. } = &self.gather.source().place {
            carrier.set_len(bytes.len() as u64)?;
            carrier.sync(true)?;
            dir.sync()?;
        } else {
            carrier.sync(true)?;
        }
        *head = Head {
            slots: Some(Slots::decode(&bytes, self.set())),
            attributes: *attributes,
        };
        Ok(())
    }

    /// Sum of the sizes of its files in bytes when it was opened.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored
    }

    /// Chunks there are, by their headers and lengths: no unit is read. What is missing is damage from then on.
    pub(crate) fn chunk_count(&self) -> io::Result<ChunkCount> {
        let body = Geometry::new(&self.descriptor).body;
        let mut have = 0;
        for index in 0..usize::from(self.descriptor.chunks) {
            if self.gather.source().has(index, body)? {
                have += 1;
            } else {
                self.gather.note_missing(index);
            }
        }
        let (need, total) = (self.descriptor.need().into(), self.descriptor.chunks.into());
        Ok(ChunkCount { have, need, total })
    }

    /// Fills `buf` with content from byte `offset` as far as the file reaches; returns the bytes read, all of them
    /// proved exact.
    ///
    /// # Errors
    /// [`Error::Damaged`] when too little is left for that.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match self.read_best(offset, buf)? {
            (read, Quality::Exact) => Ok(read),
            (_, Quality::Degraded(layers)) => Err(self.lacks_layers(layers)),
        }
    }

    /// That only so many layers are left where all are needed.
    pub(crate) fn lacks_layers(&self, layers: usize) -> Error {
        let all = self.descriptor.layers.len();
        Error::Damaged {
            name: String::new(),
            what: format!("only {layers} of {all} layers are left"),
        }
    }

    /// The same at the best quality that is left, and that quality.
    ///
    /// # Errors
    /// [`Error::Damaged`] when nothing is left.
    pub(crate) fn read_best(&self, offset: u64, buf: &mut [u8]) -> Result<(usize, Quality)> {
        let mut quality = Quality::Exact;
        let reach = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buf.len().min(reach);
        let (mut rest, _) = buf.split_at_mut(length);
        // From here on places are those in the whole content. A bundle has no holes.
        let size = self.descriptor.size;
        let mut at = self.start().saturating_add(offset);
        while !rest.is_empty() {
            let hole = self.hole_from(at);
            let inside = hole.filter(|hole| hole.offset <= at);
            let end = match (inside, hole) {
                (Some(hole), _) => hole.offset + hole.length,
                (None, Some(next)) => next.offset,
                (None, None) => size,
            };
            let (piece, after) = take(rest, end - at);
            if inside.is_some() {
                piece.fill(0);
            } else {
                quality = quality.worse(self.read_data(at, piece)?);
            }
            at += piece.len() as u64;
            rest = after;
        }
        Ok((length, quality))
    }

    /// Reads through the decoder: whole segments straight, parts of them by way of the segments kept.
    fn read_data(&self, offset: u64, buf: &mut [u8]) -> Result<Quality> {
        let mut quality = Quality::Exact;
        let decoder = self.decoder()?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let range = decoder.segment(at);
            let end = range.end.min(self.descriptor.size);
            if !(range.start..end).contains(&at) {
                return Err(Error::Invalid);
            }
            let whole = at == range.start && rest.len() as u64 >= end - at;
            let end = if whole {
                whole_segments(decoder, end, at + rest.len() as u64)
            } else {
                end
            };
            let (piece, after) = take(rest, end - at);
            if whole {
                quality = quality.worse(decoder.read_at(at, piece)?);
            } else {
                let (segment, here) = self.segment(decoder, range.start, end)?;
                let skip = usize::try_from(at - range.start).unwrap_or(usize::MAX);
                let bytes = segment
                    .get(skip..)
                    .and_then(|bytes| bytes.get(..piece.len()));
                piece.copy_from_slice(bytes.ok_or(Error::Invalid)?);
                quality = quality.worse(here);
            }
            at += piece.len() as u64;
            rest = after;
        }
        Ok(quality)
    }

    /// The content from `start` to `end`, one segment.
    fn segment(&self, decoder: &dyn Decoder, start: u64, end: u64) -> Result<(Arc<[u8]>, Quality)> {
        let kept = self.segments.lock();
        if let Some(kept) = kept.iter().find(|kept| kept.start == start) {
            return Ok((Arc::clone(&kept.bytes), kept.quality));
        }
        drop(kept);
        let length = usize::try_from(end - start).map_err(|_| Error::Invalid)?;
        let mut bytes = vec![0; length];
        let quality = decoder.read_at(start, &mut bytes)?;
        let bytes: Arc<[u8]> = bytes.into();
        let mut segments = self.segments.lock();
        segments.push_front(Kept {
            start,
            bytes: Arc::clone(&bytes),
            quality,
        });
        segments.truncate(SEGMENTS);
        Ok((bytes, quality))
    }

    /// Its codec, if this program knows it.
    pub(crate) fn codec(&self) -> Option<&'static dyn Codec> {
        codec::by_id(CodecId(self.descriptor.codec))
    }

    /// What it holds.
    pub(crate) fn medium(&self) -> Medium {
        self.codec().map_or(Medium::Other, Codec::medium)
    }

    /// Whether ranges of it at different quality fit together, as those of sound and video do.
    pub(crate) fn softens_by_ranges(&self) -> bool {
        matches!(self.medium(), Medium::Sound | Medium::Video)
    }

    /// Quality in dB of what the first `layers` layers give; `None` where that is exact, nothing, or unknown.
    pub(crate) fn quality(&self, layers: usize) -> Option<f64> {
        self.codec()?.quality(&self.descriptor.settings, layers)
    }

    /// A small picture of the content, if it is something to see.
    pub(crate) fn preview(&self) -> Result<Option<Vec<u8>>> {
        let Some(codec) = self.codec() else {
            return Ok(None);
        };
        let layers = Box::new(self.layers());
        let (settings, size) = (&self.descriptor.settings, self.descriptor.size);
        Ok(codec::guard::preview(codec, settings, size, layers)?)
    }

    /// Layers that so many chunks are enough for.
    pub(crate) fn layers_of(&self, chunks: u16) -> usize {
        let layers = self.descriptor.layers.iter();
        layers
            .take_while(|layer| u16::from(layer.k) <= chunks)
            .count()
    }

    /// Whether reading anything means decoding everything.
    pub(crate) fn decodes_whole(&self) -> bool {
        let (start, end) = (self.start(), self.start().saturating_add(self.size()));
        self.decoder()
            .is_ok_and(|decoder| decoder.segment(start).end >= end)
    }

    /// The whole content at the best quality that is left. Only media have any but exact.
    pub(crate) fn best(&self) -> Result<(Vec<u8>, Quality)> {
        let size = usize::try_from(self.descriptor.size).map_err(|_| Error::Invalid)?;
        let mut content = vec![0; size];
        let quality = self.decoder()?.read_at(0, &mut content)?;
        Ok((content, quality))
    }

    /// The range that is decoded together with byte `offset`; `None` where nothing can be decoded.
    pub(crate) fn segment_at(&self, offset: u64) -> Option<Range<u64>> {
        let start = self.start();
        let decoder = self.decoder().ok()?;
        let Range {
            start: from,
            end: to,
        } = decoder.segment(start.checked_add(offset)?);
        Some(from.saturating_sub(start)..to.saturating_sub(start).min(self.size()))
    }

    /// Where the bytes from `offset` on already were earlier in the content, and for how many bytes.
    pub(crate) fn earlier(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        let start = self.start();
        let found = self.decoder()?.earlier(start.saturating_add(offset))?;
        let left = self.size().saturating_sub(offset);
        Ok(found
            .and_then(|(at, length)| Some((at.checked_sub(start)?, length)))
            .filter(|(at, length)| *at < offset && *length > 0)
            .map(|(at, length)| (at, length.min(left))))
    }

    /// A decoder of the first layer alone.
    pub(crate) fn coarse(&self) -> Result<Box<dyn Decoder>> {
        self.open(Box::new(First(Box::new(self.layers()))))
    }

    /// Lets go of what is kept for small reads: whoever has a copy of the whole does not come back for it.
    pub(crate) fn forget_segments(&self) {
        self.segments.lock().clear();
    }

    fn decoder(&self) -> Result<&dyn Decoder> {
        if let Some(decoder) = self.decoder.get() {
            return Ok(decoder.as_ref());
        }
        let other = self
            .codec()
            .is_none_or(|codec| codec.medium() == Medium::Other);
        let layers: Box<dyn Layers> = if other {
            Box::new(Supplied {
                layers: self.layers(),
                dictionaries: self.dictionaries.get().cloned(),
            })
        } else {
            let gather = Arc::clone(&self.gather);
            Box::new(Enough::new(&self.descriptor, gather))
        };
        let opened = self.open(layers)?;
        Ok(self.decoder.get_or_init(|| opened).as_ref())
    }

    fn open(&self, layers: Box<dyn Layers>) -> Result<Box<dyn Decoder>> {
        let codec = self.codec().ok_or_else(|| Error::Damaged {
            name: String::new(),
            what: format!(
                "codec {} is not known to this program",
                self.descriptor.codec
            ),
        })?;
        let (settings, size) = (&self.descriptor.settings, self.descriptor.size);
        Ok(codec::guard::open(codec, settings, size, layers)?)
    }

    /// The first hole that ends after `offset`.
    fn hole_from(&self, offset: u64) -> Option<Extent> {
        let holes = &self.descriptor.holes;
        let index = holes.partition_point(|hole| hole.offset + hole.length <= offset);
        holes.get(index).copied()
    }

    /// The next data or hole at or after `offset`; the end of the file is a hole. `None` past the end, and for data
    /// after the last.
    pub(crate) fn seek(&self, offset: u64, whence: Seek) -> Option<u64> {
        let size = self.size();
        if offset >= size {
            return None;
        }
        let hole = self.hole_from(offset); // none in a bundle, so that places in it do not matter
        match whence {
            Seek::Hole => Some(hole.map_or(size, |hole| hole.offset.max(offset))),
            Seek::Data => match hole.filter(|hole| hole.offset <= offset) {
                Some(hole) => Some(hole.offset + hole.length).filter(|end| *end < size),
                None => Some(offset),
            },
        }
    }

    /// Reads and checks every unit, and looks anew at what was damaged before; [`Object::damage`] says the rest.
    /// `go_on` is called with the bytes read after each row and says whether to go on; `None` if it said no.
    pub(crate) fn verify(&self, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Option<Report>> {
        self.gather.forget_damage();
        if let Place::Packed { file, .. } = &self.gather.source().place {
            let tail = recognise::read_tail(file.as_ref(), file.meta()?.size)?;
            self.tail_damaged.store(tail.is_err(), Ordering::Relaxed);
        }
        Ok(self.gather.verify(go_on)?)
    }

    /// Damage met since the object was opened or last verified, in words; empty when none.
    pub(crate) fn damage(&self) -> Vec<String> {
        let mut words = Vec::new();
        match self.head.lock().slots {
            None => words.push("manifest missing or damaged".to_owned()),
            Some(slots) if slots.damaged => words.push("attribute slot damaged".to_owned()),
            Some(_) => {}
        }
        if self.tail_damaged.load(Ordering::Relaxed) {
            words.push("tail damaged".to_owned());
        }
        let damage = self.gather.damage();
        let limit = self.gather.source().limit;
        for chunk in damage.missing.into_iter().filter(|chunk| *chunk < limit) {
            words.push(format!("chunk {chunk} missing or damaged"));
        }
        let mut bad = damage.bad.into_iter().peekable();
        while let Some(first) = bad.next() {
            let mut units = 1;
            while bad.next_if(|next| next.chunk == first.chunk).is_some() {
                units += 1;
            }
            let plural = if units == 1 { "" } else { "s" };
            words.push(format!("chunk {}: {units} bad unit{plural}", first.chunk));
        }
        words
    }
}

/// Where the last whole segment before `limit` ends, given that one ends at `end`: those that are read together may be
/// decoded in parallel.
fn whole_segments(decoder: &dyn Decoder, mut end: u64, limit: u64) -> u64 {
    while end < limit {
        let next = decoder.segment(end);
        if next.start != end || next.end <= end || next.end > limit {
            break;
        }
        end = next.end;
    }
    end
}

/// The first `length` bytes of `buf`, or all, and the rest.
fn take(buf: &mut [u8], length: u64) -> (&mut [u8], &mut [u8]) {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    buf.split_at_mut(length.min(buf.len()))
}

/// Opens a file whose permission bits may keep its owner out.
fn open_even_if_closed_to_us(
    dir: &dyn Dir,
    name: &OsStr,
    access: Access,
) -> io::Result<Arc<dyn File>> {
    even_if_closed_to_us(
        || dir.open(name, access),
        || Ok(dir.meta(name)?.mode),
        |mode| dir.set_mode(name, mode),
    )
}

/// The mode of a carrier is the user's, who may forbid himself to read or write without meaning us. Only a daemon
/// without root meets this; it lends itself the bits for the moment of opening.
fn even_if_closed_to_us(
    open: impl Fn() -> io::Result<Arc<dyn File>>,
    mode: impl Fn() -> io::Result<u32>,
    set_mode: impl Fn(u32) -> io::Result<()>,
) -> io::Result<Arc<dyn File>> {
    let refused = match open() {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => e,
        done => return done,
    };
    let before = mode()?;
    if before & 0o600 == 0o600 || set_mode(before | 0o600).is_err() {
        return Err(refused);
    }
    let opened = open();
    set_mode(before)?;
    opened
}
