//! Decoded copies of encoded files, within a budget, for a second read at full speed.
//!
//! A copy is made only of content that was proved against its hash, is keyed by what it shows and logical
//! inode, and is emptied at mount and unmount. A copy that is open is neither evicted nor made twice: all opens of an inode share
//! one file, and promotion renames that very file into the tree.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::disk::{self, Access, Dir, File};
use super::node::Node;
use super::object::Object;
use super::own::Own;
use super::policy::Policy;
use super::{Error, Options, Result};
use crate::coding::hash::Hasher;
use crate::format::{Digest, Extent};

/// Largest budget that is taken without being asked for.
const DEFAULT_MOST: u64 = 4 << 30;
/// Bytes decoded at a time.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
struct Entry {
    name: OsString,
    size: u64,
    used: u64,
    open: Weak<dyn File>,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: Option<Arc<dyn Dir>>,
    /// Bytes that copies and lingering plain files may each take.
    pub(crate) budget: u64,
    entries: Mutex<HashMap<(Digest, u64), Entry>>,
    clock: AtomicU64,
}

impl Cache {
    /// In `.holofs/cache` of a writable store, in `cache_dir` of a read-only one, else nowhere.
    pub(crate) fn new(
        own: Option<&Own>,
        options: &Options,
        policy: &Policy,
        root: &dyn Dir,
    ) -> Result<Self> {
        let dir = match (own, &options.cache_dir) {
            (Some(own), _) => Some(Arc::clone(&own.cache)),
            (None, Some(path)) => Some(disk::open_root(path)?),
            (None, None) => None,
        };
        let space = root.space()?;
        let free = space.bavail.saturating_mul(u64::from(space.frsize));
        let budget = options
            .cache_size
            .or(policy.cache_size)
            .unwrap_or_else(|| (free / 10).min(DEFAULT_MOST));
        Ok(Self {
            dir,
            budget,
            entries: Mutex::default(),
            clock: AtomicU64::new(0),
        })
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// The decoded copy of an object; made now if `make` and it fits. The caller holds the node's turn.
    pub(crate) fn get(
        &self,
        node: &Node,
        object: &Object,
        make: bool,
    ) -> Result<Option<Arc<dyn File>>> {
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        let key = (object.shows(), node.ino);
        let known = {
            let mut entries = self.entries.lock();
            entries.get_mut(&key).map(|entry| {
                entry.used = self.tick();
                (entry.name.clone(), entry.open.upgrade())
            })
        };
        match known {
            Some((_, Some(file))) => return Ok(Some(file)),
            Some((name, None)) => {
                let file = dir.open(&name, Access::Read)?;
                if let Some(entry) = self.entries.lock().get_mut(&key) {
                    entry.open = Arc::downgrade(&file);
                }
                return Ok(Some(file));
            }
            None => {}
        }
        let size = object.size();
        if !make || size > self.budget {
            return Ok(None);
        }
        self.evict(dir.as_ref(), self.budget - size);
        let name = self.file_name(dir.as_ref());
        let file = decode_into(dir.as_ref(), &name, object, false, &|| true)?;
        let entry = self.entry(name, size, &file);
        self.entries.lock().insert(key, entry);
        Ok(Some(file))
    }

    fn entry(&self, name: OsString, size: u64, file: &Arc<dyn File>) -> Entry {
        Entry {
            name,
            size,
            used: self.tick(),
            open: Arc::downgrade(file),
        }
    }

    /// Whether a copy of a file of this size may be kept.
    pub(crate) fn takes(&self, size: u64) -> bool {
        self.dir.is_some() && size <= self.budget
    }

    /// Makes a copy in the background: nobody waits, and nobody is kept waiting (no turn is held). Stops when
    /// `go_on` says so.
    pub(crate) fn fill(
        &self,
        node: &Node,
        object: &Object,
        go_on: &dyn Fn() -> bool,
    ) -> Result<()> {
        let key = (object.shows(), node.ino);
        let size = object.size();
        let Some(dir) = self.dir.as_ref().filter(|_| self.takes(size)) else {
            return Ok(());
        };
        if self.entries.lock().contains_key(&key) {
            return Ok(());
        }
        self.evict(dir.as_ref(), self.budget - size);
        let name = self.file_name(dir.as_ref());
        let file = decode_into(dir.as_ref(), &name, object, false, go_on)?;
        let mut entries = self.entries.lock();
        if entries.contains_key(&key) {
            return Ok(dir.unlink(&name)?); // an open made one meanwhile
        }
        entries.insert(key, self.entry(name, size, &file));
        Ok(())
    }

    /// A decoded copy that leaves the cache and becomes the caller's: its name in `.holofs/cache` and the file, open
    /// for writing. The space for all of it is reserved before anything is decoded. The caller holds the node's turn.
    pub(crate) fn take(
        &self,
        own: &Own,
        node: &Node,
        object: &Object,
    ) -> Result<(OsString, Arc<dyn File>)> {
        let known = self.entries.lock().remove(&(object.shows(), node.ino));
        if let Some(entry) = known {
            let file = own.cache.open(&entry.name, Access::Write)?;
            return Ok((entry.name, file));
        }
        let name = self.file_name(own.cache.as_ref());
        let file = decode_into(own.cache.as_ref(), &name, object, true, &|| true)?;
        Ok((name, file))
    }

    fn file_name(&self, dir: &dyn Dir) -> OsString {
        loop {
            let name = OsString::from(format!("c-{}", self.tick()));
            if dir.meta(&name).is_err() {
                return name;
            }
        }
    }

    /// Removes the copies used longest ago until the others fit into `room`; open ones stay.
    fn evict(&self, dir: &dyn Dir, room: u64) {
        let mut entries = self.entries.lock();
        let mut total: u64 = entries.values().map(|e| e.size).sum();
        while total > room {
            let closed = entries.iter().filter(|(_, e)| e.open.strong_count() == 0);
            let Some(key) = closed.min_by_key(|(_, e)| e.used).map(|(key, _)| *key) else {
                return;
            };
            if let Some(entry) = entries.remove(&key) {
                total -= entry.size;
                if let Err(e) = dir.unlink(&entry.name) {
                    log::warn!(".holofs/cache/{}: {e}", entry.name.display());
                }
            }
        }
    }
}

/// The parts of `size` bytes that are no holes.
pub(crate) fn data_extents(size: u64, holes: &[Extent]) -> Vec<Extent> {
    let mut data = Vec::with_capacity(holes.len() + 1);
    let mut at = 0;
    for hole in holes {
        if hole.offset > at {
            data.push(Extent {
                offset: at,
                length: hole.offset - at,
            });
        }
        at = hole.offset + hole.length;
    }
    if at < size {
        data.push(Extent {
            offset: at,
            length: size - at,
        });
    }
    data
}

/// Writes the whole content of an object to a new file, proved against the hash of the whole; holes stay holes.
/// `go_on` is asked for every piece.
fn decode_into(
    dir: &dyn Dir,
    name: &OsStr,
    object: &Object,
    reserve: bool,
    go_on: &dyn Fn() -> bool,
) -> Result<Arc<dyn File>> {
    let file = dir.create(name, 0o600, 0)?;
    let written = fill(file.as_ref(), object, reserve, go_on);
    object.forget_segments();
    if let Err(e) = written {
        if let Err(left) = dir.unlink(name) {
            log::warn!(".holofs/cache/{}: {left}", name.display());
        }
        return Err(e);
    }
    Ok(file)
}

fn fill(file: &dyn File, object: &Object, reserve: bool, go_on: &dyn Fn() -> bool) -> Result<()> {
    let size = object.size();
    file.set_len(size)?;
    let data = data_extents(size, object.holes());
    if reserve {
        for extent in &data {
            match file.allocate(0, extent.offset, extent.length) {
                Err(e) if e.kind() == std::io::ErrorKind::Unsupported => break,
                done => done?,
            }
        }
    }
    let mut hasher = Hasher::default();
    let mut buf = vec![0; PIECE];
    let zeros = vec![0; PIECE];
    let mut at = 0;
    let hash_zeros = |hasher: &mut Hasher, mut length: u64| {
        while length > 0 {
            let n = usize::try_from(length).unwrap_or(PIECE).min(PIECE);
            hasher.update(zeros.get(..n).unwrap_or_default());
            length -= n as u64;
        }
    };
    for extent in data {
        hash_zeros(&mut hasher, extent.offset - at);
        let end = extent.offset + extent.length;
        at = extent.offset;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            let piece = buf.get_mut(..want).unwrap_or_default();
            if object.read_at(at, piece)? != want {
                return Err(damaged(object, "content shorter than declared"));
            }
            if !go_on() {
                return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
            }
            hasher.update(piece);
            file.write_at(piece, at)?;
            at += want as u64;
        }
    }
    hash_zeros(&mut hasher, size - at);
    if hasher.finish() != object.hash() {
        return Err(damaged(object, "decoded content does not match its hash"));
    }
    Ok(())
}

fn damaged(object: &Object, what: &str) -> Error {
    Error::Damaged {
        name: object.set().to_string(),
        what: what.to_owned(),
    }
}
