//! The exact content of a file, range by range, for verbs that read without keeping anything.

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;

use super::cat::blame;
use super::exit::{Code, Failure};
use crate::format::Digest;
use crate::store::{Error, Look, Result, Store};

/// Most bytes read at a time.
const PIECE: u64 = 1 << 20;
/// Bytes that are looked at to tell whether a file is text.
const HEAD: u64 = 32 << 10;

/// Content of a file.
pub(super) trait Source {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Fills `buf` from byte `offset`; the range lies in the file.
    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()>;
    /// The range that is decoded together with byte `offset`, which lies in the file; `None` where any is as good.
    fn segment(&self, offset: u64) -> Option<Range<u64>>;
    /// Where the bytes from `offset` on already were earlier, and for how many bytes.
    fn earlier(&self, offset: u64) -> Result<Option<(u64, u64)>>;
}

/// A regular file of a store. What is not exact cannot be read.
#[derive(Debug)]
pub(super) struct Stored {
    look: Look,
    failed: Cell<bool>,
}

impl Stored {
    /// Opens it.
    pub(super) fn open(store: &Store, ino: u64) -> Result<Self> {
        let look = store.look(ino, false)?;
        let failed = Cell::new(false);
        Ok(Self { look, failed })
    }

    /// Whether a read failed.
    pub(super) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// The hash of its content, where that is known without reading.
    pub(super) fn hash(&self) -> Option<Digest> {
        self.look.hash()
    }
}

impl Source for Stored {
    fn size(&self) -> u64 {
        self.look.size()
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let read = self.look.read(offset, buf).and_then(|exact| {
            let (name, what) = (String::new(), "only at reduced quality".to_owned());
            exact.then_some(()).ok_or(Error::Damaged { name, what })
        });
        self.failed.set(self.failed.get() || read.is_err());
        read
    }

    fn segment(&self, offset: u64) -> Option<Range<u64>> {
        self.look.segment(offset)
    }

    fn earlier(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        self.look.earlier(offset)
    }
}

/// The failure of a file of a store that could not be read.
pub(super) fn failure(store: &Store, ino: u64, path: &Path, e: &Error) -> Failure {
    let mut failure = Failure::store(path, e);
    match blame(store, ino, e) {
        Code::Error => {}
        code => failure.code = code,
    }
    failure
}

/// Where a read from `at` that needs nothing after `to` should end: whole segments are not decoded twice.
pub(super) fn piece_end(source: &dyn Source, at: u64, to: u64) -> u64 {
    let end = to.min(at.saturating_add(PIECE));
    if end == to {
        return end;
    }
    match source.segment(end) {
        Some(segment) if segment.start > at && segment.start < end => segment.start,
        _ => end,
    }
}

/// Reads `at..end` into `buf`, which becomes as long as that.
pub(super) fn fill(source: &dyn Source, at: u64, end: u64, buf: &mut Vec<u8>) -> Result<()> {
    let length = usize::try_from(end.saturating_sub(at)).map_err(|_| Error::Invalid)?;
    buf.resize(length, 0);
    source.read(at, buf)
}

/// Hands on the bytes of a range in order, with their offsets. `take` says whether to go on.
pub(super) fn pieces(
    source: &dyn Source,
    range: Range<u64>,
    take: &mut dyn FnMut(u64, &[u8]) -> bool,
) -> Result<()> {
    let (mut at, mut buf) = (range.start, Vec::new());
    while at < range.end {
        let end = piece_end(source, at, range.end);
        fill(source, at, end, &mut buf)?;
        if !take(at, &buf) {
            break;
        }
        at = end;
    }
    Ok(())
}

/// Whether a file is no text: there is a NUL among its first bytes.
pub(super) fn is_binary(source: &dyn Source) -> Result<bool> {
    let mut head = Vec::new();
    fill(source, 0, source.size().min(HEAD), &mut head)?;
    Ok(memchr::memchr(0, &head).is_some())
}
