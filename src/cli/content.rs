//! Reading a file's content out of a store, piece by piece.

use crate::store::{Error, OpenHow, Result, Seek, Store};

/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// Takes a piece of content and its offset, and says whether to go on.
pub(super) type Take<'t, E> = &'t mut dyn FnMut(u64, &[u8]) -> std::result::Result<bool, E>;

/// An open file, released when dropped.
#[derive(Debug)]
pub(super) struct OpenFile<'a> {
    store: &'a Store,
    ino: u64,
    write: bool,
}

impl<'a> OpenFile<'a> {
    /// Opens a regular file for reading.
    pub(super) fn reading(store: &'a Store, ino: u64) -> Result<Self> {
        store.open_file(ino, OpenHow::default())?;
        let write = false;
        Ok(Self { store, ino, write })
    }

    /// Takes over the open count that came with [`Store::create`].
    pub(super) fn created(store: &'a Store, ino: u64) -> Self {
        let write = true;
        Self { store, ino, write }
    }

    /// Hands on the bytes `from..to` in order.
    pub(super) fn read<E: From<Error>>(
        &self,
        from: u64,
        to: u64,
        take: Take<'_, E>,
    ) -> std::result::Result<(), E> {
        let mut buf = vec![0; PIECE];
        let mut at = from;
        while at < to {
            let want = usize::try_from(to - at).map_or(PIECE, |left| left.min(PIECE));
            let piece = buf.get_mut(..want).unwrap_or_default();
            let got = self.store.read(self.ino, at, piece)?;
            let piece = piece.get(..got).unwrap_or_default();
            if got == 0 || !take(at, piece)? {
                break;
            }
            at += got as u64;
        }
        Ok(())
    }

    /// The next stretch of data at or after `at`, as `(begin, end)`; `None` when only a hole is left.
    pub(super) fn data(&self, at: u64, size: u64) -> Result<Option<(u64, u64)>> {
        let begin = match self.store.seek(self.ino, at, Seek::Data) {
            Ok(begin) if begin < size => begin,
            Ok(_) | Err(Error::NoOffset) => return Ok(None),
            Err(e) => return Err(e),
        };
        let end = match self.store.seek(self.ino, begin, Seek::Hole) {
            Ok(end) => end.min(size),
            Err(Error::NoOffset) => size,
            Err(e) => return Err(e),
        };
        Ok(Some((begin, end)))
    }
}

impl Drop for OpenFile<'_> {
    fn drop(&mut self) {
        self.store.release(self.ino, self.write);
    }
}
