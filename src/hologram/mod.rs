//! Layers to chunks and back: protection, gathering from what is left, verification.
//!
//! Nothing here knows files: chunk bodies come from a [`ShareSource`] and go to a [`ShareSink`]. Memory is bounded by
//! one row, which is N units of at most 64 KiB: 1 MiB for the profiles, 16 MiB for the widest code there can be.

mod gather;
mod profile;
mod protect;
#[cfg(test)]
mod tests;
mod verify;

use std::io;

pub use gather::{BadUnit, Damage, Gather};
pub use profile::Profile;
pub use protect::protect;
pub use verify::{ChunkReport, LayerReport, Report};

/// Why bytes of a chunk cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The chunk is not there, or ends before these bytes: an erasure.
    #[error("missing")]
    Missing,
    /// The medium fails in a way that says nothing about the chunk (out of memory, too many open files).
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The bodies of the chunks of one set, as far as they are there.
pub trait ShareSource: Send + Sync {
    /// Fills `buf` from byte `offset` of the body of chunk `chunk`.
    ///
    /// # Errors
    /// [`ShareError`]. A medium that fails to read these bytes (EIO) has lost them: [`ShareError::Missing`].
    fn get(&self, chunk: usize, offset: u64, buf: &mut [u8]) -> Result<(), ShareError>;

    /// Says that bytes of this chunk were not the right ones: whatever is remembered of it may be outdated.
    fn doubt(&self, _chunk: usize) {}
}

/// Takes the bodies of chunks.
pub trait ShareSink {
    /// Puts `bytes` at byte `offset` of the body of chunk `chunk`. Each body is put without gaps, front to back.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn put(&mut self, chunk: usize, offset: u64, bytes: &[u8]) -> io::Result<()>;
}
