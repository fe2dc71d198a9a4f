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
    /// All that was written; only what the file does not have yet, once there is one.
    memory: Vec<u8>,
    /// What memory was not enough for. It has no name and needs no cleaning up.
    file: Option<Arc<dyn File>>,
    /// Bytes in `file`.
    in_file: u64,
    /// Where each finished layer ends.
    ends: Vec<u64>,
}

impl Spool {
    /// An empty spool; what does not fit into memory goes to `staging`.
    pub(crate) fn new(staging: Arc<dyn Dir>) -> Self {
        Self {
            staging,
            memory: Vec::new(),
            file: None,
            in_file: 0,
            ends: Vec::new(),
        }
    }

    /// Where a layer begins and ends.
    fn range(&self, layer: usize) -> Option<(u64, u64)> {
        let start = match layer.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        Some((start, *self.ends.get(layer)?))
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = if let Some(file) = &self.file {
            file
        } else {
            self.file.insert(nameless(self.staging.as_ref())?)
        };
        file.write_at(&self.memory, self.in_file)?;
        self.in_file += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

/// A new file whose name is gone already.
fn nameless(dir: &dyn Dir) -> io::Result<Arc<dyn File>> {
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
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY {
            self.spill()
        } else {
            Ok(())
        }
    }

    fn end_layer(&mut self) -> io::Result<()> {
        if self.ends.len() == MAX_LAYERS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "too many layers",
            ));
        }
        self.ends.push(self.in_file + self.memory.len() as u64);
        Ok(())
    }
}

impl Layers for Spool {
    fn count(&self) -> usize {
        self.ends.len()
    }

    fn len(&self, layer: usize) -> u64 {
        self.range(layer).map_or(0, |(start, end)| end - start)
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
        let Some((start, end)) = self.range(layer) else {
            return Err(outside);
        };
        let Some(at) = start.checked_add(offset) else {
            return Err(outside);
        };
        if at
            .checked_add(buf.len() as u64)
            .is_none_or(|last| last > end)
        {
            return Err(outside);
        }
        // What lies in the file comes first, the rest from memory.
        let filed = usize::try_from(self.in_file.saturating_sub(at))
            .map_or(buf.len(), |n| n.min(buf.len()));
        let (filed, held) = buf.split_at_mut(filed);
        if let Some(file) = self.file.as_ref().filter(|_| !filed.is_empty()) {
            read_exact_at(file.as_ref(), filed, at)?;
        }
        let skip = usize::try_from(at.saturating_sub(self.in_file)).unwrap_or(usize::MAX);
        let bytes = self
            .memory
            .get(skip..)
            .and_then(|bytes| bytes.get(..held.len()));
        held.copy_from_slice(bytes.ok_or(outside)?);
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
        missing @ LayerError::Missing { .. } => Error::Damaged {
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
