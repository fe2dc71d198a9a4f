//! One writer per store: an flock(2) on `.holofs/lock`, which says in words who holds it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::disk::{Access, Dir, File};
use super::names::LOCK;
use super::{Error, Result};

/// Longest text kept about the holder, in bytes.
const HOLDER_LIMIT: usize = 2000;

/// The writer's right to a store; given back when dropped, and by the kernel when the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock {
    file: Arc<dyn File>,
}

impl Drop for Lock {
    /// A store that nobody holds names nobody: it is the same bytes wherever it was mounted.
    fn drop(&mut self) {
        if let Err(e) = self.file.set_len(0) {
            log::debug!(".holofs/{LOCK}: {e}");
        }
    }
}

impl Lock {
    /// Takes the lock of the store at `store`, whose `.holofs` is `ours`. Media without descriptors have no other
    /// processes, thus nothing to lock.
    ///
    /// # Errors
    /// [`Error::Locked`] names the holder: its command line (a daemon's names the mount point) and process id.
    pub(super) fn take(ours: &dyn Dir, store: &Path) -> Result<Self> {
        let name = OsStr::new(LOCK);
        let file = match ours.open(name, Access::Write) {
            // Not readable for others: whoever can open it can lock it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => ours.create(name, 0o600, 0o077)?,
            other => other?,
        };
        if let Some(fd) = file.as_fd() {
            match flock(fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Error::Locked {
                        path: store.to_owned(),
                        holder: holder(&*file),
                    });
                }
                Err(e) => return Err(Error::Io(e.into())),
            }
        }
        file.set_len(0)?;
        file.write_at(me().as_bytes(), 0)?;
        Ok(Self { file })
    }
}

/// This process in words.
fn me() -> String {
    let line: Vec<_> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let mut text = line.join(" ");
    text.truncate(text.floor_char_boundary(HOLDER_LIMIT - 100));
    format!("`{text}` (pid {})\n", std::process::id())
}

/// What the lock file says about its holder.
fn holder(file: &dyn File) -> String {
    let mut text = vec![0; HOLDER_LIMIT];
    let read = file.read_at(&mut text, 0).unwrap_or(0);
    text.truncate(read);
    let text = String::from_utf8_lossy(&text).replace(char::is_control, " ");
    match text.trim() {
        "" => "another process".to_owned(), // it is just writing its name
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

    use super::*;
    use crate::store::disk::open_root;

    #[test]
    fn the_second_writer_is_told_who_the_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let ours = open_root(dir.path()).unwrap();
        let first = Lock::take(&*ours, dir.path()).unwrap();
        match Lock::take(&*ours, dir.path()) {
            Err(Error::Locked { path, holder }) => {
                assert_eq!(path, dir.path());
                assert!(
                    holder.contains(&format!("(pid {})", std::process::id())),
                    "{holder}"
                );
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        assert_eq!(std::fs::read(dir.path().join(LOCK)).unwrap(), b"");
        Lock::take(&*ours, dir.path()).unwrap();
    }
}
