//! Our directory `.holofs/`: its rooms, names nobody else uses, and the trash.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Result;
use super::disk::{Dir, Kind, Rename};
use super::names;

const CACHEDIR_TAG: &str = "CACHEDIR.TAG";
const SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# Decoded copies of files, made again when needed.\n";

/// The directories inside `.holofs/`.
#[derive(Debug)]
pub(crate) struct Own {
    /// `.holofs/` itself.
    pub(crate) base: Arc<dyn Dir>,
    /// Changes under way.
    pub(crate) intent: Arc<dyn Dir>,
    /// Sets being written.
    pub(crate) staging: Arc<dyn Dir>,
    /// What left the tree and may still be open.
    pub(crate) trash: Arc<dyn Dir>,
    /// Decoded copies.
    pub(crate) cache: Arc<dyn Dir>,
    /// What recovery could not place.
    pub(crate) lost: Arc<dyn Dir>,
    serial: AtomicU64,
    /// Entries of the trash that an earlier process left.
    stale: Mutex<Vec<OsString>>,
}

/// All rooms of `.holofs/`, as `init` makes them.
pub(crate) const ROOMS: &[&str] = &[
    names::INTENT,
    names::STAGING,
    names::TRASH,
    names::CACHE,
    names::DICT,
    names::LOST_FOUND,
];

impl Own {
    /// Opens `.holofs/` for writing; rooms that are missing (a copy made by a tool that drops empty directories)
    /// are made.
    pub(crate) fn open(base: Arc<dyn Dir>) -> Result<Self> {
        let room = |name: &str| -> Result<Arc<dyn Dir>> {
            let name = OsStr::new(name);
            match base.dir(name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    base.make_dir(name, 0o700, 0)?;
                    Ok(base.dir(name)?)
                }
                opened => Ok(opened?),
            }
        };
        let trash = room(names::TRASH)?;
        let mut own = Self {
            intent: room(names::INTENT)?,
            staging: room(names::STAGING)?,
            cache: room(names::CACHE)?,
            lost: room(names::LOST_FOUND)?,
            serial: AtomicU64::new(0),
            stale: Mutex::default(),
            trash,
            base,
        };
        // Set aside as a whole, so that opening a store takes no longer when much was left behind.
        own.staging = own.renewed(names::STAGING, &own.staging)?;
        own.cache = own.renewed(names::CACHE, &own.cache)?;
        *own.stale.lock() = own.trash.list()?.into_iter().map(|e| e.name).collect();
        Ok(own)
    }

    /// An empty room in place of one that an earlier process used.
    fn renewed(&self, name: &str, room: &Arc<dyn Dir>) -> Result<Arc<dyn Dir>> {
        if room.list()?.iter().all(|e| e.name == CACHEDIR_TAG) {
            return Ok(Arc::clone(room));
        }
        self.discard(self.base.as_ref(), OsStr::new(name))?;
        self.base.make_dir(OsStr::new(name), 0o700, 0)?;
        let room = self.base.dir(OsStr::new(name))?;
        if name == names::CACHE {
            tag_cache(room.as_ref())?;
        }
        Ok(room)
    }

    /// A name not used before in any of the rooms.
    pub(crate) fn fresh(&self, room: &dyn Dir, what: &str) -> OsString {
        loop {
            let n = self.serial.fetch_add(1, Ordering::Relaxed);
            let name = OsString::from(format!("{what}-{n}"));
            // A medium that does not answer is no reason to ask it for ever: whoever uses the name is told.
            if room.meta(&name).is_err() {
                return name;
            }
        }
    }

    /// Moves an entry of `dir` to the trash and returns its name there.
    pub(crate) fn discard(&self, dir: &dyn Dir, name: &OsStr) -> Result<OsString> {
        let trash = self.fresh(self.trash.as_ref(), "t");
        dir.rename(name, self.trash.as_ref(), &trash, Rename::NoReplace)?;
        Ok(trash)
    }

    /// Removes an entry of the trash for good.
    pub(crate) fn purge(&self, name: &OsStr) {
        // What has parts is taken apart only once it cannot come back to the tree: a power cut would bring it back
        // without them.
        let is_dir = self.trash.dir(name).is_ok();
        let settled = if is_dir { self.trash.sync() } else { Ok(()) };
        if let Err(e) = settled.and_then(|()| remove_entry(self.trash.as_ref(), name)) {
            log::warn!(
                ".holofs/trash/{}: {e}; removed at the next mount",
                name.display()
            );
        }
    }

    /// Keeps an entry that nobody asked for, and could still be wanted, in `lost+found`.
    pub(crate) fn keep_lost(&self, dir: &dyn Dir, name: &OsStr) -> Result<OsString> {
        for n in 0_u64.. {
            let mut kept = OsString::from(format!("{n}-"));
            kept.push(name);
            if kept.len() > 255 {
                kept = OsString::from(format!("{n}-long-name.holo"));
            }
            match dir.rename(name, self.lost.as_ref(), &kept, Rename::NoReplace) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                done => {
                    done?;
                    self.lost.sync()?;
                    return Ok(kept);
                }
            }
        }
        Err(io::Error::from(io::ErrorKind::StorageFull).into())
    }

    /// Removes what an earlier process left in the trash, and its staging and cache.
    pub(crate) fn purge_stale(&self) {
        loop {
            let Some(name) = self.stale.lock().pop() else {
                return;
            };
            self.purge(&name);
        }
    }

    /// Empties staging, trash and cache: nobody uses them any more.
    pub(crate) fn empty(&self) {
        for entry in self.trash.list().unwrap_or_default() {
            self.purge(&entry.name);
        }
        for room in [&self.staging, &self.cache] {
            let Ok(entries) = room.list() else { continue };
            for entry in entries.iter().filter(|e| e.name != CACHEDIR_TAG) {
                if let Err(e) = remove_entry(room.as_ref(), &entry.name) {
                    log::warn!("{}: {e}", entry.name.display());
                }
            }
        }
    }
}

/// Marks the cache as not worth a backup (Cache Directory Tagging Specification).
pub(crate) fn tag_cache(cache: &dyn Dir) -> Result<()> {
    match cache.create(OsStr::new(CACHEDIR_TAG), 0o644, 0) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        tag => Ok(tag?.write_at(SIGNATURE, 0)?),
    }
}

/// Removes a file, or a directory with all it holds (chunk sets are one level deep; strangers may be deeper).
pub(crate) fn remove_entry(dir: &dyn Dir, name: &OsStr) -> io::Result<()> {
    let mut open: Vec<(Arc<dyn Dir>, OsString)> = Vec::new();
    match dir.unlink(name) {
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {}
        done => return done,
    }
    open.push((dir.dir(name)?, name.to_owned()));
    while let Some((inner, _)) = open.last() {
        let mut deeper = None;
        for entry in inner.list()? {
            if entry.kind == Kind::Dir {
                deeper = Some((inner.dir(&entry.name)?, entry.name));
                break;
            }
            inner.unlink(&entry.name)?;
        }
        if let Some(next) = deeper {
            open.push(next);
        } else if let Some((_, name)) = open.pop() {
            match open.last() {
                Some((parent, _)) => parent.remove_dir(&name)?,
                None => return dir.remove_dir(&name),
            }
        }
    }
    Ok(())
}
