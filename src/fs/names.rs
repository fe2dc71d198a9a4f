//! Names of the view: lookup, creation, removal, and the listings of directories.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use fuser::{Errno, FileAttr, FileType, FopenFlags, RenameFlags};
use parking_lot::Mutex;

use super::attr::{bare_attr, file_type, kind_of_mode};
use super::handles::OpenDir;
use super::own::{self, Own};
use super::view::{Seen, View};
use crate::store::{Caller, Item, Kind, ROOT, Rename};

/// `.` and `..`, the first two names of every listing.
const DOTS: usize = 2;

impl View {
    /// What a name is; takes a reference on it.
    pub(super) fn lookup(&self, parent: u64, name: &OsStr, pid: u32) -> Result<Seen, Errno> {
        if own::is_own_name(parent, name) {
            return self.own_seen(Own::lookup(parent, name)?);
        }
        let attr = self.store.lookup(parent, name)?;
        if attr.kind != Kind::Dir {
            self.lookers.looked_up(pid, parent);
        }
        Ok(self.seen(&attr))
    }

    /// Makes a regular file, fifo, socket or device; `mode` with its type bits.
    pub(super) fn make_node(
        &self,
        parent: u64,
        name: &OsStr,
        mode: u32,
        rdev: u32,
        caller: Caller,
    ) -> Result<Seen, Errno> {
        own::refuse_name(parent, name)?;
        let kind = kind_of_mode(mode).ok_or(Errno::EINVAL)?;
        let (mode, rdev) = (mode & 0o7777, u64::from(rdev));
        let attr = self
            .store
            .make_node(parent, name, kind, mode, rdev, caller)?;
        Ok(self.seen(&attr))
    }

    /// Makes a directory.
    pub(super) fn make_dir(
        &self,
        parent: u64,
        name: &OsStr,
        mode: u32,
        caller: Caller,
    ) -> Result<Seen, Errno> {
        own::refuse_name(parent, name)?;
        let attr = self.store.make_dir(parent, name, mode & 0o7777, caller)?;
        Ok(self.seen(&attr))
    }

    /// Makes a symbolic link.
    pub(super) fn make_symlink(
        &self,
        parent: u64,
        name: &OsStr,
        target: &OsStr,
        caller: Caller,
    ) -> Result<Seen, Errno> {
        own::refuse_name(parent, name)?;
        let attr = self.store.make_symlink(parent, name, target, caller)?;
        Ok(self.seen(&attr))
    }

    /// Target of a symbolic link.
    pub(super) fn read_link(&self, ino: u64) -> Result<OsString, Errno> {
        Ok(self.store.read_link(ino)?)
    }

    /// Gives a file another name.
    pub(super) fn link(&self, ino: u64, parent: u64, name: &OsStr) -> Result<Seen, Errno> {
        own::refuse(ino)?;
        own::refuse_name(parent, name)?;
        Ok(self.seen(&self.store.link(ino, parent, name)?))
    }

    /// Removes a name that is not a directory.
    pub(super) fn unlink(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        own::refuse_name(parent, name)?;
        Ok(self.store.unlink(parent, name)?)
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        own::refuse_name(parent, name)?;
        Ok(self.store.remove_dir(parent, name)?)
    }

    /// Renames; whiteouts are for overlays only.
    pub(super) fn rename(
        &self,
        (parent, name): (u64, &OsStr),
        (to_parent, to_name): (u64, &OsStr),
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        own::refuse_name(parent, name)?;
        own::refuse_name(to_parent, to_name)?;
        let how = if flags.is_empty() {
            Rename::Replace
        } else if flags == RenameFlags::RENAME_NOREPLACE {
            Rename::NoReplace
        } else if flags == RenameFlags::RENAME_EXCHANGE {
            Rename::Exchange
        } else {
            return Err(Errno::EINVAL);
        };
        Ok(self.store.rename(parent, name, to_parent, to_name, how)?)
    }

    /// Opens a directory.
    pub(super) fn open_dir(&self, ino: u64) -> Result<(u64, FopenFlags), Errno> {
        let flags = if own::is_own(ino) {
            FopenFlags::empty()
        } else {
            self.store.open_dir(ino)?;
            if self.read_only {
                FopenFlags::empty() // a writer may be at work beside us
            } else {
                FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE
            }
        };
        let handle = self.dirs.insert(OpenDir {
            ino,
            listing: Mutex::default(),
        });
        Ok((handle, flags))
    }

    /// Closes a directory.
    pub(super) fn close_dir(&self, handle: u64) {
        if let Some(dir) = self.dirs.remove(handle)
            && !own::is_own(dir.ino)
        {
            self.store.close_dir(dir.ino);
        }
    }

    /// The names of an open directory, `.` and `..` first; reading from the start again takes a new list.
    fn listing(&self, handle: u64, offset: u64) -> Result<Arc<[Item]>, Errno> {
        let dir = self.dirs.get(handle).ok_or(Errno::EBADF)?;
        let mut listing = dir.listing.lock();
        if offset > 0
            && let Some(items) = &*listing
        {
            return Ok(Arc::clone(items));
        }
        let items = if own::is_own(dir.ino) {
            Own::list()
        } else {
            let dot = |name: &str, ino| Item {
                name: name.into(),
                ino: Some(ino),
                kind: Kind::Dir,
            };
            let mut items = vec![dot(".", dir.ino), dot("..", self.store.parent(dir.ino)?)];
            items.extend(self.store.read_dir(dir.ino)?);
            items
        };
        let items: Arc<[Item]> = items.into();
        *listing = Some(Arc::clone(&items));
        Ok(items)
    }

    /// The names of an open directory from `offset` on, for a process that gets no attributes with them.
    pub(super) fn names(&self, handle: u64, offset: u64, pid: u32) -> Result<Arc<[Item]>, Errno> {
        let items = self.listing(handle, offset)?;
        if let Some(dir) = self.dirs.get(handle) {
            self.lookers.listed(pid, dir.ino);
        }
        Ok(items)
    }

    /// The names of an open directory, and how many of them are worth their attributes. Where none is, `.` and `..`
    /// are enough of an answer: the kernel then asks for names only.
    pub(super) fn entries(
        &self,
        handle: u64,
        offset: u64,
        pid: u32,
    ) -> Result<(Arc<[Item]>, usize), Errno> {
        let items = self.listing(handle, offset)?;
        let all = offset > 0 || self.lookers.wants_attributes(pid, items.len());
        Ok((items, if all { usize::MAX } else { DOTS }))
    }

    /// An entry of a listing with its attributes. `.`, `..` and names that cannot be looked up come without a
    /// reference on them; names that have gone come not at all.
    pub(super) fn listed(&self, dir: u64, item: &Item) -> Option<Seen> {
        let bare = |ino, kind| Seen {
            attr: bare_attr(ino, kind),
            ttl: Duration::ZERO,
        };
        if item.name == "." || item.name == ".." {
            return Some(bare(item.ino.unwrap_or(ROOT), FileType::Directory));
        }
        match self.store.lookup(dir, &item.name).map_err(Errno::from) {
            Ok(attr) => Some(self.seen(&attr)),
            Err(Errno::ENOENT) => None,
            Err(_) => Some(bare(0, file_type(item.kind))),
        }
    }

    /// Inode number of an entry of a listing; one that nothing has for an entry that has gone.
    pub(super) fn ino_of(&self, dir: u64, item: &Item) -> u64 {
        self.store.item_ino(dir, item).unwrap_or(u64::MAX)
    }

    /// Gives back the reference that [`View::listed`] took on an entry which the kernel is not told of.
    pub(super) fn forget_listed(&self, item: &Item, attr: &FileAttr) {
        if item.name != "." && item.name != ".." && attr.ino.0 != 0 {
            self.store.forget(attr.ino.0, 1);
        }
    }

    /// Makes a directory durable.
    pub(super) fn sync_dir(&self, ino: u64) -> Result<(), Errno> {
        if own::is_own(ino) {
            return Ok(());
        }
        Ok(self.store.sync_dir(ino)?)
    }
}
