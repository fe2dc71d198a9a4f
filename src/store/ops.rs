//! Operations on names: create, link, unlink, over plain and encoded files alike.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use parking_lot::RwLockWriteGuard;

use super::disk::{Dir, Kind};
use super::locate::Found;
use super::names;
use super::node::{Body, Link, Node, Open};
use super::tree::Store;
use super::{Attr, Caller, Error, OpenHow, Opened, Result};

/// The `names` locks of two directories, taken in the order of inode numbers.
pub(crate) fn lock_both<'a>(
    a: &'a Node,
    b: &'a Node,
) -> (RwLockWriteGuard<'a, ()>, Option<RwLockWriteGuard<'a, ()>>) {
    match a.ino.cmp(&b.ino) {
        Ordering::Equal => (a.names.write(), None),
        Ordering::Less => (a.names.write(), Some(b.names.write())),
        Ordering::Greater => (b.names.write(), Some(a.names.write())),
    }
}

impl Store {
    /// Gives what was just made its owner, as the kernel would: the caller, or the group of a set-group-id directory.
    fn own_new(dir: &dyn Dir, disk: &OsStr, kind: Kind, mode: u32, caller: Caller) -> Result<()> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if !uid.is_root() || (caller.uid, caller.gid) == (uid.as_raw(), gid.as_raw()) {
            return Ok(()); // it has the only owner it can have, or the right one
        }
        let inherits = dir.self_meta()?.mode & 0o2000 != 0;
        let gid = (!inherits).then_some(caller.gid);
        if caller.uid != 0 || gid.is_some_and(|gid| gid != 0) {
            dir.set_owner(disk, Some(caller.uid), gid)?;
            if mode & 0o6000 != 0 && kind != Kind::Symlink {
                let now = dir.meta(disk)?.mode;
                dir.set_mode(disk, now | mode & 0o6000)?;
            }
        }
        Ok(())
    }

    /// Makes something under a name that must be free.
    fn make(
        &self,
        parent: u64,
        name: &OsStr,
        kind: Kind,
        mode: u32,
        caller: Caller,
        make: impl FnOnce(&dyn Dir, &OsStr) -> Result<()>,
    ) -> Result<Attr> {
        self.own()?;
        let _shape = self.native_ino(parent)?;
        let (parent, dir) = self.dir_node(parent)?;
        Self::check_name(&parent, name)?;
        let disk = names::plain(name).ok_or(Error::NameTooLong)?;
        let _names = parent.names.write();
        if self.found_locked(&dir, name)?.is_some() {
            return Err(Error::Exists);
        }
        make(dir.as_ref(), &disk)?;
        Self::own_new(dir.as_ref(), &disk, kind, mode, caller)?;
        self.hold_new(&parent, dir.as_ref(), name, disk)
    }

    /// Takes the caller's reference on something new.
    fn hold_new(
        &self,
        parent: &Arc<Node>,
        dir: &dyn Dir,
        name: &OsStr,
        disk: OsString,
    ) -> Result<Attr> {
        let found = Found::Native {
            meta: dir.meta(&disk)?,
            disk,
        };
        let node = self.node_of(parent, dir, name, &found);
        self.nodes.hold(&node);
        Ok(self.attr_of(&node, &found))
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NameTooLong`], [`Error::ReadOnly`], and what the medium says.
    pub fn make_dir(&self, parent: u64, name: &OsStr, mode: u32, caller: Caller) -> Result<Attr> {
        self.make(parent, name, Kind::Dir, mode, caller, |dir, disk| {
            Ok(dir.make_dir(disk, mode, caller.umask)?)
        })
    }

    /// Makes a regular file, fifo, socket or device.
    ///
    /// # Errors
    /// Those of [`Store::make_dir`].
    pub fn make_node(
        &self,
        parent: u64,
        name: &OsStr,
        kind: Kind,
        mode: u32,
        rdev: u64,
        caller: Caller,
    ) -> Result<Attr> {
        self.make(parent, name, kind, mode, caller, |dir, disk| {
            Ok(dir.make_node(disk, kind, mode, caller.umask, rdev)?)
        })
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// Those of [`Store::make_dir`].
    pub fn make_symlink(
        &self,
        parent: u64,
        name: &OsStr,
        target: &OsStr,
        caller: Caller,
    ) -> Result<Attr> {
        self.make(parent, name, Kind::Symlink, 0o777, caller, |dir, disk| {
            Ok(dir.make_symlink(disk, target)?)
        })
    }

    /// Target of a symbolic link.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    pub fn read_link(&self, ino: u64) -> Result<OsString> {
        let node = self.nodes.get(ino)?;
        if node.kind != Kind::Symlink {
            return Err(Error::Invalid);
        }
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let _names = link.parent.names.read();
        let disk = names::plain(&link.name).ok_or(Error::NameTooLong)?;
        match dir.read_link(&disk) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && disk != link.name => {
                Ok(dir.read_link(&link.name)?)
            }
            target => Ok(target?),
        }
    }

    /// Creates a regular file (or opens the one there is, unless `exclusive`) and opens it for writing.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NameTooLong`], [`Error::ReadOnly`], and what the medium says.
    pub fn create(
        &self,
        parent: u64,
        name: &OsStr,
        mode: u32,
        exclusive: bool,
        how: OpenHow,
        caller: Caller,
    ) -> Result<(Attr, Opened)> {
        self.own()?;
        let _shape = self.native_ino(parent)?;
        let (parent, dir) = self.dir_node(parent)?;
        Self::check_name(&parent, name)?;
        let disk = names::plain(name).ok_or(Error::NameTooLong)?;
        let names = parent.names.write();
        if self.found_locked(&dir, name)?.is_some() {
            drop(names);
            if exclusive {
                return Err(Error::Exists);
            }
            let attr = self.lookup(parent.ino, name)?;
            return match self.open_file(attr.ino, how) {
                Ok(opened) => Ok((self.attr(attr.ino)?, opened)),
                Err(e) => {
                    self.forget(attr.ino, 1);
                    Err(e)
                }
            };
        }
        let file = dir.create(&disk, mode, caller.umask)?;
        Self::own_new(dir.as_ref(), &disk, Kind::File, mode, caller)?;
        let meta = file.meta()?;
        let found = Found::Native { meta, disk };
        let node = self.nodes.intern(
            found.carrier().logical(),
            Kind::File,
            found.carrier(),
            Link {
                parent: Arc::clone(&parent),
                name: name.to_owned(),
            },
        );
        self.nodes.hold(&node);
        let mut attr = self.attr_of(&node, &found);
        attr.writing = true;
        let mut open = Open::new(Body::Plain {
            file: Arc::clone(&file),
            writable: true,
        });
        open.writers = 1;
        node.inner.lock().open = Some(open);
        let below = !self.is_in_context(); // as for all opens
        let opened = Opened {
            file: Some(file).filter(|_| below),
            through: below && meta.mode & 0o6000 == 0,
            keep_cache: false,
        };
        Ok((attr, opened))
    }

    /// Gives a file another name. Encoded files become plain first: a file with several links stays plain.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Denied`] for directories, and what the medium says.
    pub fn link(&self, ino: u64, parent: u64, name: &OsStr) -> Result<Attr> {
        self.own()?;
        let node = self.nodes.get(ino)?;
        let _shape = self.native(&[&node, &self.nodes.get(parent)?])?;
        let (to, to_dir) = self.dir_node(parent)?;
        Self::check_name(&to, name)?;
        let to_disk = names::plain(name).ok_or(Error::NameTooLong)?;
        if node.kind == Kind::Dir {
            return Err(Error::Denied);
        }
        let _turn = node.turn.lock();
        loop {
            if node.kind == Kind::File {
                self.make_plain(&node)?;
            }
            // Which of its names a variant would be one of, nothing says.
            if !self.overlays_of(node.file())?.is_empty() {
                return Err(Error::Denied);
            }
            let link = node.link().ok_or(Error::NotFound)?;
            let disk = names::plain(&link.name).ok_or(Error::NameTooLong)?;
            let dir = self.dir(&link.parent)?;
            let _names = lock_both(&link.parent, &to);
            if !node.is_at(&link) {
                continue; // renamed meanwhile
            }
            if self.found_locked(&to_dir, name)?.is_some() {
                return Err(Error::Exists);
            }
            dir.link(&disk, to_dir.as_ref(), &to_disk)?;
            self.drop_parked(&node);
            return self.hold_new(&to, to_dir.as_ref(), name, to_disk);
        }
    }

    /// Removes a name that is not a directory.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::IsDirectory`], and what the medium says.
    pub fn unlink(&self, parent: u64, name: &OsStr) -> Result<()> {
        self.own()?;
        let _shape = self.native_ino(parent)?;
        let (parent, dir) = self.dir_node(parent)?;
        Self::check_name(&parent, name)?;
        let _names = parent.names.write();
        let found = self.found_locked(&dir, name)?.ok_or(Error::NotFound)?;
        if found.kind() == Kind::Dir {
            return Err(Error::IsDirectory);
        }
        let node = self.node_of(&parent, dir.as_ref(), name, &found);
        self.collapse(dir.as_ref(), &found)?;
        match &found {
            Found::Native { disk, .. } | Found::Pair { plain: disk, .. } => dir.unlink(disk)?,
            Found::Encoded { disk, .. }
            | Found::Solid { disk, .. }
            | Found::Broken { disk, .. }
            | Found::Foreign { disk, .. } => {
                self.discard(&node, dir.as_ref(), disk)?;
            }
        }
        self.drop_overlays(node.file(), dir.as_ref());
        node.drop_link(parent.ino, name);
        self.drop_predecessor(node.ino);
        Ok(())
    }

    /// Moves a set to the trash, where it stays for as long as its file is open.
    fn discard(&self, node: &Arc<Node>, dir: &dyn Dir, disk: &OsStr) -> Result<()> {
        let own = self.own()?;
        let trash = own.discard(dir, disk)?;
        self.keep_or_purge(node, trash)
    }

    pub(crate) fn keep_or_purge(&self, node: &Arc<Node>, trash: OsString) -> Result<()> {
        let own = self.own()?;
        if let Some(open) = node.inner.lock().open.as_mut() {
            open.trash.push(trash);
            return Ok(());
        }
        own.purge(&trash);
        Ok(())
    }

    /// A set put aside by a promotion is not wanted any more.
    pub(crate) fn drop_parked(&self, node: &Node) {
        let parked = node.inner.lock().parked.take();
        if let (Some(parked), Ok(own)) = (parked, self.own()) {
            own.purge(&parked.trash);
        }
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotDirectory`], and what the medium says.
    pub fn remove_dir(&self, parent: u64, name: &OsStr) -> Result<()> {
        self.own()?;
        let _shape = self.native_ino(parent)?;
        let (parent, dir) = self.dir_node(parent)?;
        Self::check_name(&parent, name)?;
        let _names = parent.names.write();
        let found = self.found_locked(&dir, name)?.ok_or(Error::NotFound)?;
        if found.kind() != Kind::Dir {
            return Err(Error::NotDirectory);
        }
        let node = self.node_of(&parent, dir.as_ref(), name, &found);
        if let Found::Solid { object, disk } = &found {
            // Of what cannot be read nobody can say what is in it; it goes as a damaged file does.
            let solid = self.nodes.solids.of(object);
            if solid.is_ok_and(|solid| solid.bundle().entries().len() > 1) {
                return Err(Error::NotEmpty);
            }
            self.discard(&node, dir.as_ref(), disk)?;
        } else {
            dir.remove_dir(found.disk())?;
        }
        self.nodes.close_dir(node.ino);
        node.drop_link(parent.ino, name);
        Ok(())
    }
}
