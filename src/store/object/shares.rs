//! Chunk bodies on disk: strides of one file, or a file each that is opened when it is needed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::open_even_if_closed_to_us;
use crate::format::{SetId, chunk};
use crate::hologram::{ShareError, ShareSource};
use crate::store::disk::{Access, Dir, File, read_exact_at};

/// Bytes that a first read of a header asks for: all of most.
pub(super) const FIRST_READ: usize = 4096;

/// The chunk bodies of one object.
#[derive(Debug)]
pub(super) struct Shares {
    /// Chunks from this index on are not looked at.
    pub(super) limit: usize,
    pub(super) place: Place,
}

/// Where bodies are.
#[derive(Debug)]
pub(super) enum Place {
    /// In one file: the body of chunk i from `start + i * stride` on.
    Packed {
        file: Arc<dyn File>,
        start: u64,
        stride: u64,
    },
    /// In files of their own.
    Spread {
        dir: Arc<dyn Dir>,
        set: SetId,
        chunks: Vec<ChunkFile>,
    },
}

/// One chunk file of a spread set.
#[derive(Debug)]
pub(super) struct ChunkFile {
    name: OsString,
    /// The file and where the body begins in it, once it was needed and found right.
    open: Mutex<Option<(Arc<dyn File>, u64)>>,
}

impl ChunkFile {
    pub(super) fn new(name: OsString) -> Self {
        Self {
            name,
            open: Mutex::new(None),
        }
    }
}

impl Shares {
    /// Whether chunk `index` is there in its whole length, as far as its header and its size tell.
    ///
    /// # Errors
    /// When the medium fails in a way that says nothing about the chunk.
    pub(super) fn has(&self, index: usize, body: u64) -> io::Result<bool> {
        if index >= self.limit {
            return Ok(false);
        }
        let (file, end) = match &self.place {
            Place::Packed {
                file,
                start,
                stride,
            } => (Arc::clone(file), start + (index as u64 + 1) * stride),
            Place::Spread { .. } => match self.chunk(index) {
                Ok((file, start)) => (file, start + body),
                Err(ShareError::Missing) => return Ok(false),
                Err(ShareError::Io(e)) => return Err(e),
            },
        };
        match file.meta() {
            Ok(meta) => Ok(meta.size >= end),
            Err(e) => match erasure(e) {
                ShareError::Missing => Ok(false),
                ShareError::Io(e) => Err(e),
            },
        }
    }

    /// The open file of a chunk of a spread set, and where its body begins. What was not there is looked for again
    /// each time, so that chunks that come back heal an open reader.
    fn chunk(&self, index: usize) -> Result<(Arc<dyn File>, u64), ShareError> {
        let Place::Spread { dir, set, chunks } = &self.place else {
            return Err(ShareError::Missing);
        };
        let chunk = chunks.get(index).ok_or(ShareError::Missing)?;
        let mut open = chunk.open.lock();
        if let Some((file, body)) = open.as_ref() {
            return Ok((Arc::clone(file), *body));
        }
        let (file, header) = open_chunk(dir.as_ref(), &chunk.name).map_err(erasure)?;
        match header {
            Some(header) if header.set == *set && usize::from(header.index) == index => {
                let (file, body) = open.insert((file, header.length as u64));
                Ok((Arc::clone(file), *body))
            }
            _ => Err(ShareError::Missing),
        }
    }
}

impl ShareSource for Shares {
    fn get(&self, chunk: usize, offset: u64, buf: &mut [u8]) -> Result<(), ShareError> {
        if chunk >= self.limit {
            return Err(ShareError::Missing);
        }
        let (file, start) = match &self.place {
            Place::Packed {
                file,
                start,
                stride,
            } => (Arc::clone(file), start + chunk as u64 * stride),
            Place::Spread { .. } => self.chunk(chunk)?,
        };
        read_exact_at(file.as_ref(), buf, start + offset).map_err(|e| {
            self.doubt(chunk);
            erasure(e)
        })
    }

    fn doubt(&self, chunk: usize) {
        if let Place::Spread { chunks, .. } = &self.place
            && let Some(chunk) = chunks.get(chunk)
        {
            *chunk.open.lock() = None;
        }
    }
}

/// Opens a chunk file and reads its header; `None` for what is not a whole chunk header.
pub(super) fn open_chunk(
    dir: &dyn Dir,
    name: &OsStr,
) -> io::Result<(Arc<dyn File>, Option<chunk::Header>)> {
    let file = open_even_if_closed_to_us(dir, name, Access::Read)?;
    let mut head = read_up_to(file.as_ref(), 0, FIRST_READ)?;
    let Ok(length) = chunk::length(&head) else {
        return Ok((file, None));
    };
    if length > head.len() && head.len() == FIRST_READ {
        head = read_up_to(file.as_ref(), 0, length)?;
    }
    Ok((file, chunk::decode(&head).ok()))
}

/// Up to `length` bytes from `offset`, fewer at the end of the file.
pub(super) fn read_up_to(file: &dyn File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64)? {
            0 => break,
            got => filled += got,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What a failed operation on a chunk means: the chunk is lost, unless it is this machine that is short of something.
pub(super) fn erasure(e: io::Error) -> ShareError {
    match Errno::from_io_error(&e) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN) => {
            ShareError::Io(e)
        }
        _ => ShareError::Missing,
    }
}
