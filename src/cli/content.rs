//! Reading a file's content out of a store, piece by piece.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

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

    /// Hands on the bytes `from..to` in order. While one piece is taken the next one is read.
    pub(super) fn read<E: From<Error>>(
        &self,
        from: u64,
        to: u64,
        take: Take<'_, E>,
    ) -> std::result::Result<(), E> {
        if to.saturating_sub(from) <= PIECE as u64 {
            let (mut at, mut piece) = (from, Vec::new());
            while at < to {
                self.piece(at, to, &mut piece)?;
                if piece.is_empty() || !take(at, &piece)? {
                    break;
                }
                at += piece.len() as u64;
            }
            return Ok(());
        }
        thread::scope(|scope| {
            // One piece is taken, one waits and one is read.
            let (full, pieces) = mpsc::sync_channel(1);
            let (taken, empty) = mpsc::channel();
            scope.spawn(move || self.read_ahead(from, to, &full, &empty));
            for read in pieces {
                let (at, piece): (u64, Vec<u8>) = read?;
                if piece.is_empty() || !take(at, &piece)? {
                    break;
                }
                // It is of no use to a reader that has come to the end.
                drop(taken.send(piece));
            }
            Ok(())
        })
    }

    /// Reads pieces for [`OpenFile::read`], until it takes no more.
    fn read_ahead(
        &self,
        from: u64,
        to: u64,
        full: &SyncSender<Result<(u64, Vec<u8>)>>,
        empty: &Receiver<Vec<u8>>,
    ) {
        let mut at = from;
        while at < to {
            let mut piece = empty.try_recv().unwrap_or_default();
            let read = self.piece(at, to, &mut piece);
            let got = piece.len() as u64;
            if full.send(read.map(|()| (at, piece))).is_err() || got == 0 {
                break;
            }
            at += got;
        }
    }

    /// Reads up to [`PIECE`] bytes of `at..to`; none at the end of the file.
    fn piece(&self, at: u64, to: u64, piece: &mut Vec<u8>) -> Result<()> {
        let left = to.saturating_sub(at);
        piece.resize(
            usize::try_from(left).map_or(PIECE, |left| left.min(PIECE)),
            0,
        );
        let read = self.store.read(self.ino, at, piece);
        piece.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|_| ())
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
