//! The virtual directory `.holofs` at the root: resolved by name, never listed or changed.
//!
//! What is in `.holofs/view` and `.holofs/context` is the business of [`super::views`].

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::{Errno, FileAttr, FileType};
use serde::Serialize;

use super::attr::{bare_attr, now, system_time};
use super::views::is_shown;
use crate::format::Time;
use crate::store::{self, ROOT};

/// Inode number of the directory. Inode numbers of the store are 63 bits wide; ours have the top bit.
pub(super) const DIR: u64 = 1 << 63;
/// Inode number of `stats.json`.
const STATS: u64 = DIR | 1;
/// Inode number of `view`.
const VIEWS: u64 = DIR | 2;
/// Inode number of `context`.
const CONTEXTS: u64 = DIR | 3;
/// Name of the directory.
const DIR_NAME: &str = ".holofs";
/// Name of the statistics.
const STATS_NAME: &str = "stats.json";
/// Name of the directory of views with fewer chunks.
const VIEWS_NAME: &str = "view";
/// Name of the directory of views in other contexts.
const CONTEXTS_NAME: &str = "context";

/// Counters since the mount, as `stats.json` shows them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counters {
    /// Files opened.
    pub(super) opens: AtomicU64,
    /// Of these, files whose I/O the kernel does on the backing file.
    pub(super) passthrough: AtomicU64,
    /// Read requests answered.
    pub(super) reads: AtomicU64,
    /// Bytes read by them.
    pub(super) read_bytes: AtomicU64,
    /// Write requests answered.
    pub(super) writes: AtomicU64,
    /// Bytes written by them.
    pub(super) written_bytes: AtomicU64,
    /// Handlers that panicked; each is a bug.
    pub(super) panics: AtomicU64,
}

impl Counters {
    /// Counts one request of `bytes`.
    pub(super) fn count(requests: &AtomicU64, bytes: &AtomicU64, length: usize) {
        requests.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Which views a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Views {
    /// `view`: with fewer chunks.
    Chunks,
    /// `context`: in other contexts.
    Contexts,
}

impl Views {
    /// Those that the directory of this inode number holds.
    pub(super) fn of(ino: u64) -> Option<Self> {
        match ino {
            VIEWS => Some(Self::Chunks),
            CONTEXTS => Some(Self::Contexts),
            _ => None,
        }
    }

    /// The inode number of the directory.
    pub(super) fn dir(self) -> u64 {
        match self {
            Self::Chunks => VIEWS,
            Self::Contexts => CONTEXTS,
        }
    }
}

/// Whether an inode number is one of ours.
pub(super) fn is_own(ino: u64) -> bool {
    ino & DIR != 0
}

/// Whether a name lies in our directory or is the directory.
pub(super) fn is_own_name(parent: u64, name: &OsStr) -> bool {
    is_own(parent) || (parent == ROOT && name == DIR_NAME)
}

/// Refuses to create, change, replace or remove a name of ours.
pub(super) fn refuse_name(parent: u64, name: &OsStr) -> Result<(), Errno> {
    refuse(parent)?;
    if is_own_name(parent, name) {
        Err(Errno::EACCES)
    } else {
        Ok(())
    }
}

/// Refuses to change an inode of ours.
pub(super) fn refuse(ino: u64) -> Result<(), Errno> {
    if is_shown(ino) {
        Err(Errno::EROFS)
    } else if is_own(ino) {
        Err(Errno::EACCES)
    } else {
        Ok(())
    }
}

/// The virtual directory of one mount.
#[derive(Debug)]
pub(super) struct Own {
    /// What `stats.json` shows.
    pub(super) counters: Counters,
    since: Time,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            counters: Counters::default(),
            since: now(),
        }
    }
}

impl Own {
    /// The inode of a name for which [`is_own_name`] holds.
    pub(super) fn lookup(parent: u64, name: &OsStr) -> Result<u64, Errno> {
        match parent {
            ROOT => Ok(DIR),
            DIR if name == STATS_NAME => Ok(STATS),
            DIR if name == VIEWS_NAME => Ok(VIEWS),
            DIR if name == CONTEXTS_NAME => Ok(CONTEXTS),
            DIR => Err(Errno::ENOENT),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Attributes of an inode of ours.
    pub(super) fn attr(&self, ino: u64, store: &store::Counters) -> Result<FileAttr, Errno> {
        let (kind, perm, size) = match ino {
            DIR | VIEWS | CONTEXTS => (FileType::Directory, 0o555, 0),
            STATS => (FileType::RegularFile, 0o444, self.stats(store).len() as u64),
            _ => return Err(Errno::ENOENT),
        };
        let since = system_time(self.since);
        Ok(FileAttr {
            perm,
            size,
            blocks: u64::from(size > 0),
            atime: since,
            mtime: since,
            ctime: since,
            nlink: if ino == STATS { 1 } else { 2 },
            ..bare_attr(ino, kind)
        })
    }

    /// The statistics now, ours and the store's, as one line of JSON.
    pub(super) fn stats(&self, store: &store::Counters) -> Vec<u8> {
        #[derive(Serialize)]
        struct Stats<'a> {
            #[serde(flatten)]
            mount: &'a Counters,
            #[serde(flatten)]
            store: &'a store::Counters,
        }
        let stats = Stats {
            mount: &self.counters,
            store,
        };
        let mut json = serde_json::to_vec(&stats).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::*;

    #[test]
    fn only_statistics_and_views_resolve() {
        assert!(is_own_name(ROOT, OsStr::new(".holofs")));
        assert!(!is_own_name(ROOT, OsStr::new("holofs")));
        assert!(!is_own_name(17, OsStr::new(".holofs")));
        let (own, store) = (Own::default(), store::Counters::default());
        let dir = Own::lookup(ROOT, OsStr::new(".holofs")).unwrap();
        let attr = own.attr(dir, &store).unwrap();
        assert_eq!((attr.kind, attr.perm), (FileType::Directory, 0o555));
        let stats = Own::lookup(dir, OsStr::new("stats.json")).unwrap();
        let attr = own.attr(stats, &store).unwrap();
        assert_eq!(attr.size, own.stats(&store).len() as u64);
        for (name, views) in [("view", Views::Chunks), ("context", Views::Contexts)] {
            let ino = Own::lookup(dir, OsStr::new(name)).unwrap();
            assert_eq!(Views::of(ino), Some(views));
            assert_eq!(views.dir(), ino);
            assert_eq!(own.attr(ino, &store).unwrap().kind, FileType::Directory);
        }
        assert_eq!(Views::of(dir), None);
        let absent = Own::lookup(dir, OsStr::new("lock"));
        assert_eq!(absent.unwrap_err(), Errno::ENOENT);
        let refused = refuse_name(dir, OsStr::new("new"));
        assert_eq!(refused.unwrap_err(), Errno::EACCES);
    }

    #[test]
    fn the_statistics_are_json() {
        let (own, store) = (Own::default(), store::Counters::default());
        Counters::count(&own.counters.reads, &own.counters.read_bytes, 512);
        let json: serde_json::Value = serde_json::from_slice(&own.stats(&store)).unwrap();
        assert_eq!(json["reads"], 1);
        assert_eq!(json["read_bytes"], 512);
        assert_eq!(json["encoded"], 0);
    }
}
