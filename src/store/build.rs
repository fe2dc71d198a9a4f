//! Making objects in a staging directory: layers are spooled, then protected and synced.
//!
//! Two phases on purpose: a descriptor has the lengths of all layers in it, and they are known only when the encoder
//! is done. Protection alone also turns the layers of an existing object into another profile or layout.
//!
//! Memory: 8 MiB of spool, then one row of units ([`crate::hologram`]), whatever the size of the content.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::io::Errno;

use super::disk::{Dir, File, Seek, read_exact_at};
use super::names::MANIFEST;
use super::object::Layout;
use super::{Error, Result};
use crate::codec::LayerSink;
use crate::format::{
    Attributes, Descriptor, Extent, Frozen, Geometry, LayerError, Layers, MAX_HOLES, MAX_LAYERS,
    chunk, manifest, tail,
};
use crate::hologram::{ShareSink, protect};

/// Bytes of layers kept in memory before they go to a file.
const IN_MEMORY: usize = 8 << 20;

/// Takes the layers that an encoder writes and is afterwards where they are read from.
#[derive(Debug)]
pub(crate) struct Spool {
    staging: Arc<dyn Dir>,
    layers: Vec<Spooled>,
    /// What memory was not enough for. It has no name and needs no cleaning up.
    file: Option<Arc<dyn File>>,
    /// Bytes in `file`.
    in_file: u64,
    /// Bytes of all layers in memory.
    in_memory: usize,
}

/// A layer of a spool.
#[derive(Debug, Clone, Default)]
struct Spooled {
    /// Pieces in the file, in the order of the layer: where they end in the layer and begin in the file.
    pieces: Vec<(u64, u64)>,
    /// What follows them.
    memory: Vec<u8>,
}

impl Spooled {
    /// Bytes of it in the file.
    fn in_file(&self) -> u64 {
        self.pieces.last().map_or(0, |(end, _)| *end)
    }
}

impl Spool {
    /// An empty spool; what does not fit into memory goes to `staging`.
    pub(crate) fn new(staging: Arc<dyn Dir>) -> Self {
        Self {
            staging,
            layers: Vec::new(),
            file: None,
            in_file: 0,
            in_memory: 0,
        }
    }

    /// Has `count` layers from now on; those that nothing was written to are empty.
    ///
    /// # Errors
    /// `InvalidInput` when more were written or there cannot be so many.
    pub(crate) fn finish(&mut self, count: usize) -> io::Result<()> {
        if self.layers.len() > count || count > MAX_LAYERS {
            return Err(wrong_number(count));
        }
        self.layers.resize_with(count, Spooled::default);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = if let Some(file) = &self.file {
            file
        } else {
            self.file.insert(nameless(self.staging.as_ref())?)
        };
        for layer in self.layers.iter_mut().filter(|l| !l.memory.is_empty()) {
            file.write_at(&layer.memory, self.in_file)?;
            let length = layer.memory.len() as u64;
            layer.pieces.push((layer.in_file() + length, self.in_file));
            self.in_file += length;
            layer.memory.clear();
        }
        self.in_memory = 0;
        Ok(())
    }
}

fn wrong_number(layers: usize) -> io::Error {
    let what = format!("an object cannot have {layers} layers");
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// A new file whose name is gone already.
pub(crate) fn nameless(dir: &dyn Dir) -> io::Result<Arc<dyn File>> {
    let mut number = 0u32;
    loop {
        let name = format!("spool.{number}");
        match dir.create(OsStr::new(&name), 0o600, 0) {
            Ok(file) => {
                dir.unlink(OsStr::new(&name))?;
                return Ok(file);
            }
            // Another worker between the two calls above, or what a crash left there.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e),
        }
    }
}

impl LayerSink for Spool {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> io::Result<()> {
        if layer >= MAX_LAYERS {
            return Err(wrong_number(layer + 1));
        }
        if self.layers.len() <= layer {
            self.layers.resize_with(layer + 1, Spooled::default);
        }
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.memory.extend_from_slice(bytes);
        }
        self.in_memory += bytes.len();
        if self.in_memory > IN_MEMORY {
            self.spill()
        } else {
            Ok(())
        }
    }
}

impl Layers for Spool {
    fn count(&self) -> usize {
        self.layers.len()
    }

    fn len(&self, layer: usize) -> u64 {
        let layer = self.layers.get(layer);
        layer.map_or(0, |layer| layer.in_file() + layer.memory.len() as u64)
    }

    fn read_at(
        &self,
        layer: usize,
        offset: u64,
        buf: &mut [u8],
    ) -> std::result::Result<(), LayerError> {
        let outside = LayerError::Outside {
            layer,
            offset,
            length: buf.len(),
        };
        let Some(spooled) = self.layers.get(layer) else {
            return Err(outside);
        };
        let past = offset.checked_add(buf.len() as u64);
        if past.is_none_or(|past| past > self.len(layer)) {
            return Err(outside);
        }
        let (mut at, mut rest) = (offset, buf);
        // What lies in the file comes first, the rest from memory.
        let next = spooled.pieces.partition_point(|(end, _)| *end <= at);
        let mut start = match next.checked_sub(1) {
            None => 0,
            Some(before) => spooled.pieces.get(before).map_or(0, |(end, _)| *end),
        };
        for (end, place) in spooled.pieces.iter().skip(next) {
            let here = usize::try_from(end - at).map_or(rest.len(), |n| n.min(rest.len()));
            let (piece, after) = rest.split_at_mut(here);
            if let Some(file) = self.file.as_ref().filter(|_| !piece.is_empty()) {
                read_exact_at(file.as_ref(), piece, place + (at - start))?;
            }
            at += here as u64;
            rest = after;
            start = *end;
            if rest.is_empty() {
                return Ok(());
            }
        }
        let skip = usize::try_from(at.saturating_sub(spooled.in_file())).unwrap_or(usize::MAX);
        let bytes = spooled.memory.get(skip..);
        let bytes = bytes.and_then(|bytes| bytes.get(..rest.len()));
        rest.copy_from_slice(bytes.ok_or(outside)?);
        Ok(())
    }
}

/// Makes the object that `descriptor` describes as `name` in `staging` and syncs every file and directory it makes,
/// but `staging` itself. Files are for the owner of the process only: mode, owner and extended attributes of the
/// carrier (the packed file, or `manifest` in the directory) are the caller's to set. `logical` is the file's name
/// for the frozen copies. After an error the caller removes `name`, as far as it is there.
///
/// # Errors
/// Whatever the medium reports; [`Error::Invalid`] for layers that are not as the descriptor says.
pub(crate) fn build(
    staging: &dyn Dir,
    name: &OsStr,
    layers: &dyn Layers,
    descriptor: &Descriptor,
    logical: &OsStr,
    attributes: &Attributes,
    layout: Layout,
) -> Result<()> {
    let frozen = Frozen::new(logical.as_bytes(), attributes).map_err(|_| Error::Invalid)?;
    match layout {
        Layout::Packed => build_packed(staging, name, layers, descriptor, &frozen, attributes),
        Layout::Spread => build_spread(staging, name, layers, descriptor, &frozen, attributes),
    }
}

fn build_packed(
    staging: &dyn Dir,
    name: &OsStr,
    layers: &dyn Layers,
    descriptor: &Descriptor,
    frozen: &Frozen,
    attributes: &Attributes,
) -> Result<()> {
    let head = manifest::encode(descriptor, attributes).map_err(|_| Error::Invalid)?;
    let tail = tail::encode(descriptor, frozen).map_err(|_| Error::Invalid)?;
    let (start, stride) = (head.len() as u64, Geometry::new(descriptor).body);
    let end = start + u64::from(descriptor.chunks) * stride;
    let file = staging.create(name, 0o600, 0)?;
    reserve(file.as_ref(), end + tail.len() as u64)?;
    file.write_at(&head, 0)?;
    let mut sink = PackedSink {
        file: file.as_ref(),
        start,
        stride,
    };
    protect(descriptor, layers, &mut sink).map_err(failed)?;
    file.write_at(&tail, end)?;
    file.sync(true)?;
    Ok(())
}

fn build_spread(
    staging: &dyn Dir,
    name: &OsStr,
    layers: &dyn Layers,
    descriptor: &Descriptor,
    frozen: &Frozen,
    attributes: &Attributes,
) -> Result<()> {
    let head = manifest::encode(descriptor, attributes).map_err(|_| Error::Invalid)?;
    let body = Geometry::new(descriptor).body;
    staging.make_dir(name, 0o700, 0)?;
    let dir = staging.dir(name)?;
    let mut files = Vec::with_capacity(descriptor.chunks.into());
    for index in 0..descriptor.chunks {
        let header = chunk::encode(index, descriptor, frozen).map_err(|_| Error::Invalid)?;
        let name = chunk::file_name(index, attributes.generation);
        let file = dir.create(OsStr::new(&name), 0o600, 0)?;
        reserve(file.as_ref(), header.len() as u64 + body)?;
        file.write_at(&header, 0)?;
        files.push((file, header.len() as u64));
    }
    let mut sink = SpreadSink { files };
    protect(descriptor, layers, &mut sink).map_err(failed)?;
    let file = dir.create(OsStr::new(MANIFEST), 0o600, 0)?;
    file.write_at(&head, 0)?;
    for (chunk, _) in &sink.files {
        chunk.sync(true)?;
    }
    file.sync(true)?;
    dir.sync()?;
    Ok(())
}

/// Reserves space for a file that is written at several places at once: it lies together, and a full disk is noticed
/// before work is spent. Small files and media that cannot are left alone.
fn reserve(file: &dyn File, size: u64) -> io::Result<()> {
    if size < 1 << 20 {
        return Ok(());
    }
    match file.allocate(0, 0, size) {
        Err(e) if e.kind() == io::ErrorKind::StorageFull => Err(e),
        _ => Ok(()),
    }
}

fn failed(e: LayerError) -> Error {
    match e {
        LayerError::Io(e) => Error::Io(e),
        LayerError::Outside { .. } => Error::Invalid,
        missing @ (LayerError::Missing { .. } | LayerError::Dictionary { .. }) => Error::Damaged {
            name: String::new(),
            what: missing.to_string(),
        },
    }
}

struct PackedSink<'a> {
    file: &'a dyn File,
    start: u64,
    stride: u64,
}

impl ShareSink for PackedSink<'_> {
    fn put(&mut self, chunk: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file
            .write_at(bytes, self.start + chunk as u64 * self.stride + offset)
    }
}

struct SpreadSink {
    /// Each chunk's file, and where its body begins.
    files: Vec<(Arc<dyn File>, u64)>,
}

impl ShareSink for SpreadSink {
    fn put(&mut self, chunk: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (file, start) = self.files.get(chunk).ok_or(io::ErrorKind::InvalidInput)?;
        file.write_at(bytes, start + offset)
    }
}

/// The holes of a file of `size` bytes: ascending, apart, the longest [`MAX_HOLES`] of them. A medium that does not
/// tell has none. They hold for as long as nobody writes to the file.
///
/// # Errors
/// Whatever the medium reports.
pub(crate) fn holes(file: &dyn File, size: u64) -> Result<Vec<Extent>> {
    let seek = |offset, whence| match file.seek(offset, whence) {
        Ok(found) => Ok(Some(found.min(size))),
        Err(e) => match Errno::from_io_error(&e) {
            // Nothing after this offset; or a medium that cannot tell.
            Some(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => Ok(None),
            _ => Err(e),
        },
    };
    let mut holes = Vec::new();
    let mut at = 0;
    while let Some(offset) = seek(at, Seek::Hole)?.filter(|offset| *offset < size) {
        // No data after the hole: it reaches to the end.
        let end = seek(offset, Seek::Data)?.unwrap_or(size);
        if end <= offset {
            break; // written to meanwhile
        }
        holes.push(Extent {
            offset,
            length: end - offset,
        });
        if holes.len() == 2 * MAX_HOLES {
            keep_longest(&mut holes);
        }
        at = end;
    }
    keep_longest(&mut holes);
    Ok(holes)
}

fn keep_longest(holes: &mut Vec<Extent>) {
    if holes.len() > MAX_HOLES {
        holes.sort_by_key(|hole| std::cmp::Reverse(hole.length));
        holes.truncate(MAX_HOLES);
        holes.sort_by_key(|hole| hole.offset);
    }
}
