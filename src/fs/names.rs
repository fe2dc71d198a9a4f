//! Names of the view: lookup, creation, removal, and the listings of directories.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use fuser::{Errno, FileAttr, FileType, RenameFlags};

use super::attr::{bare_attr, file_type, kind_of_mode};
use super::listings::Listing;
use super::own::{self, Own};
use super::view::{Seen, View};
use super::views::is_shown;
use crate::store::{Caller, Item, Kind, ROOT, Rename};

impl View {
    /// What a name is; takes a reference on it.
    pub(super) fn lookup(&self, parent: u64, name: &OsStr, pid: u32) -> Result<Seen, Errno> {
        if is_shown(parent) || own::Views::of(parent).is_some() {
            return self.views.lookup(parent, name);
        }
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
        if is_shown(ino) {
            return self.views.read_link(ino);
        }
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

    /// Whether the kernel should open directories at all. It need not where it may keep what it read, until the
    /// directory's modification time moves; beside a writer that we do not know it may not.
    pub(super) fn opens_dirs(&self) -> bool {
        self.read_only
    }

    fn listing(&self, ino: u64, position: u64) -> Result<Arc<Listing>, Errno> {
        let listing = self.listings.get(ino, position, || {
            if is_shown(ino) {
                return self.views.listing(ino);
            }
            if let Some(views) = own::Views::of(ino) {
                return Ok(Listing::new(ino, own::DIR, self.views.names(views)));
            }
            if own::is_own(ino) {
                return Ok(Listing::new(ino, ROOT, Vec::new()));
            }
            let names = self.store.read_dir(ino)?;
            Ok(Listing::new(ino, self.store.parent(ino)?, names))
        })?;
        let changes = is_shown(ino) || own::Views::of(ino).is_some();
        if changes && listing.after(position).is_empty() {
            self.expire_listing(ino);
        }
        Ok(listing)
    }

    /// The names of a directory, for a process that wants the ones after `position` without attributes.
    pub(super) fn names(&self, ino: u64, position: u64, pid: u32) -> Result<Arc<Listing>, Errno> {
        let listing = self.listing(ino, position)?;
        self.lookers.listed(pid, ino);
        Ok(listing)
    }

    /// The names of a directory, and whether all of them are worth their attributes or directories only: a walk
    /// looks those up anyway. For what is not in the answer the kernel asks again, for names only.
    pub(super) fn entries(
        &self,
        ino: u64,
        position: u64,
        pid: u32,
    ) -> Result<(Arc<Listing>, bool), Errno> {
        let listing = self.listing(ino, position)?;
        let all = position > 0 || self.lookers.wants_attributes(pid, listing.len());
        Ok((listing, all))
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
        if is_shown(dir) || own::Views::of(dir).is_some() {
            return self.views.listed(dir, item);
        }
        match self.store.lookup(dir, &item.name).map_err(Errno::from) {
            Ok(attr) => Some(self.seen(&attr)),
            Err(Errno::ENOENT) => None,
            Err(_) => Some(bare(0, file_type(item.kind))),
        }
    }

    /// Inode number of an entry of a listing; one that nothing has for an entry that has gone.
    pub(super) fn ino_of(&self, dir: u64, item: &Item) -> u64 {
        if is_shown(dir) {
            return self.views.ino_of(dir, item).unwrap_or(u64::MAX);
        }
        self.store.item_ino(dir, item).unwrap_or(u64::MAX)
    }

    /// Gives back the reference that [`View::listed`] took on an entry which the kernel is not told of.
    pub(super) fn forget_listed(&self, item: &Item, attr: &FileAttr) {
        if item.name != "." && item.name != ".." && attr.ino.0 != 0 {
            self.forget(attr.ino.0, 1);
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
