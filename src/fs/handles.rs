//! What is open: handles, and how the kernel does the I/O of each open inode.
//!
//! All opens of an inode share one way of doing I/O, decided by the first and kept until the last is released:
//! the kernel refuses a second backing file, or a cached open beside a passed-through one. An answer to the kernel
//! is sent after the guards of these tables are dropped, because the next request may come on another thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use fuser::BackingId;
use parking_lot::{Mutex, RwLock};

use crate::format::Time;
use crate::store::{Opened, disk};

/// Handles of one sort: numbers that are never used twice, and what they stand for.
#[derive(Debug)]
pub(super) struct Table<T> {
    next: AtomicU64,
    open: RwLock<HashMap<u64, Arc<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(1),
            open: RwLock::default(),
        }
    }
}

impl<T> Table<T> {
    /// A new handle for `value`.
    pub(super) fn insert(&self, value: T) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().insert(handle, Arc::new(value));
        handle
    }

    /// What a handle stands for.
    pub(super) fn get(&self, handle: u64) -> Option<Arc<T>> {
        self.open.read().get(&handle).cloned()
    }

    /// Ends a handle.
    pub(super) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        self.open.write().remove(&handle)
    }
}

/// How the kernel does the I/O of an open inode.
#[derive(Debug)]
pub(super) enum Mode {
    /// On the backing file, without us.
    Passthrough(BackingId),
    /// By requests to us, through the kernel's page cache.
    User,
}

/// An inode for as long as it is open.
#[derive(Debug)]
pub(super) struct OpenInode {
    /// How its I/O is done.
    pub(super) mode: Mode,
    /// The file below, where there was one at the first open.
    file: Option<Arc<dyn disk::File>>,
    /// Set-id bits or a security.capability may be there, for a write by an unprivileged user to clear.
    pub(super) privileged: AtomicBool,
    /// How many handles run it as a program.
    pub(super) running: AtomicU32,
}

impl OpenInode {
    /// Whether it is a program that runs.
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }
}

/// What the kernel's cached pages of a closed inode were made from.
#[derive(Debug, PartialEq, Eq)]
enum Pages {
    /// Content that was decoded: the store knows whether it still holds.
    Decoded,
    /// A file below, in this state.
    File {
        dev: u64,
        ino: u64,
        size: u64,
        mtime: Time,
    },
}

impl Pages {
    fn of(file: Option<&Arc<dyn disk::File>>) -> Option<Self> {
        let Some(file) = file else {
            return Some(Self::Decoded);
        };
        let meta = file.meta().ok()?;
        Some(Self::File {
            dev: meta.dev,
            ino: meta.ino,
            size: meta.size,
            mtime: meta.mtime,
        })
    }
}

/// Device and inode number of a file below.
fn identity(file: Option<&Arc<dyn disk::File>>) -> Option<(u64, u64)> {
    file?.meta().ok().map(|meta| (meta.dev, meta.ino))
}

/// The inodes that are open, and what is known of the kernel's pages of those that were.
#[derive(Debug, Default)]
pub(super) struct Inodes {
    open: Mutex<HashMap<u64, (usize, Arc<OpenInode>)>>,
    pages: Mutex<HashMap<u64, Pages>>,
}

impl Inodes {
    /// Counts one more open of `ino`; the first one decides the mode. `back` registers a backing file, or declines.
    /// Returns the shared state and whether the kernel's pages still hold.
    pub(super) fn join(
        &self,
        ino: u64,
        opened: &Opened,
        write: bool,
        back: impl FnOnce(&dyn disk::File) -> Option<BackingId>,
    ) -> (Arc<OpenInode>, bool) {
        let mut open = self.open.lock();
        if let Some((count, inode)) = open.get_mut(&ino) {
            *count += 1;
            let inode = Arc::clone(inode);
            drop(open);
            debug_assert!(
                matches!(inode.mode, Mode::User)
                    || identity(inode.file.as_ref()) == identity(opened.file.as_ref()),
                "the file below an open inode never changes"
            );
            if !opened.through {
                inode.privileged.store(true, Ordering::Relaxed);
            }
            if write && matches!(inode.mode, Mode::Passthrough(_)) {
                self.pages.lock().remove(&ino);
            }
            return (inode, true);
        }
        let backing = opened
            .file
            .as_deref()
            .filter(|_| opened.through)
            .and_then(back);
        let inode = Arc::new(OpenInode {
            mode: backing.map_or(Mode::User, Mode::Passthrough),
            file: opened.file.clone(),
            privileged: AtomicBool::new(!opened.through),
            running: AtomicU32::new(0),
        });
        open.insert(ino, (1, Arc::clone(&inode)));
        drop(open);
        let keep = if let Mode::Passthrough(_) = inode.mode {
            if write {
                self.pages.lock().remove(&ino); // the file will change under them
            }
            false
        } else {
            let pages = self.pages.lock().remove(&ino);
            pages.is_some_and(|pages| {
                opened.keep_cache
                    || (pages != Pages::Decoded && Some(pages) == Pages::of(inode.file.as_ref()))
            })
        };
        (inode, keep)
    }

    /// Ends one open of `ino`.
    pub(super) fn leave(&self, ino: u64) {
        let mut open = self.open.lock();
        let Some((count, _)) = open.get_mut(&ino) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        let last = open.remove(&ino);
        drop(open);
        if let Some((_, inode)) = last
            && let Mode::User = inode.mode
            && let Some(pages) = Pages::of(inode.file.as_ref())
        {
            self.pages.lock().insert(ino, pages);
        }
    }

    /// The shared state of an inode that is open.
    pub(super) fn get(&self, ino: u64) -> Option<Arc<OpenInode>> {
        self.open
            .lock()
            .get(&ino)
            .map(|(_, inode)| Arc::clone(inode))
    }

    /// The kernel has dropped the inode and its pages.
    pub(super) fn forget(&self, ino: u64) {
        self.pages.lock().remove(&ino);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    fn decoded(keep_cache: bool) -> Opened {
        Opened {
            file: None,
            through: false,
            keep_cache,
        }
    }

    #[test]
    fn handles_are_never_used_twice() {
        let table = Table::default();
        let a = table.insert("a");
        assert_eq!(*table.remove(a).unwrap(), "a");
        let b = table.insert("b");
        assert_ne!(a, b);
        assert!(table.get(a).is_none());
    }

    #[test]
    fn an_open_inode_is_shared_until_its_last_release() {
        let inodes = Inodes::default();
        let (first, _) = inodes.join(7, &decoded(false), false, |_| None);
        let (second, keep) = inodes.join(7, &decoded(false), true, |_| None);
        assert!(Arc::ptr_eq(&first, &second));
        assert!(keep, "the first open's pages are in use");
        inodes.leave(7);
        assert!(inodes.get(7).is_some());
        inodes.leave(7);
        assert!(inodes.get(7).is_none());
    }

    #[test]
    fn pages_outlive_a_close_only_while_kernel_and_store_keep_them() {
        let inodes = Inodes::default();
        let open = |keep_cache| {
            let keep = inodes.join(7, &decoded(keep_cache), false, |_| None).1;
            inodes.leave(7);
            keep
        };
        assert!(!open(true), "nothing was cached before");
        assert!(open(true));
        assert!(!open(false), "the store says that the content changed");
        inodes.forget(7);
        assert!(!open(true), "the kernel dropped them");
    }
}
