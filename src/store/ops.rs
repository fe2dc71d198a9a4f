//! Operations on names: create, link, unlink, rename, over plain and encoded files alike.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use parking_lot::RwLockWriteGuard;

use super::disk::{Dir, Kind, Rename};
use super::locate::Found;
use super::names;
use super::node::{Body, Link, Node, Open};
use super::switch::{self, Place};
use super::tree::Store;
use super::{Attr, Caller, Error, OpenHow, Opened, Result};

/// The `names` locks of two directories, taken in the order of inode numbers.
fn lock_both<'a>(
    a: &'a Node,
    b: &'a Node,
) -> (RwLockWriteGuard<'a, ()>, Option<RwLockWriteGuard<'a, ()>>) {
    match a.ino.cmp(&b.ino) {
        Ordering::Equal => (a.names.write(), None),
        Ordering::Less => (a.names.write(), Some(b.names.write())),
        Ordering::Greater => (b.names.write(), Some(a.names.write())),
    }
}

/// One end of a rename.
struct End<'a> {
    node: &'a Arc<Node>,
    dir: &'a Arc<dyn Dir>,
    name: &'a OsStr,
}

/// What one try of a rename came to.
enum Step {
    /// It is done.
    Done,
    /// The source changed its kind meanwhile: look again.
    Again,
    /// This cannot go in its encoded form: make it plain, without any lock held, and try again.
    MakePlain(Arc<Node>),
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
        let opened = Opened {
            file: Some(file),
            through: meta.mode & 0o6000 == 0,
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
            | Found::Broken { disk, .. }
            | Found::Foreign { disk, .. } => {
                self.discard(&node, dir.as_ref(), disk)?;
            }
        }
        node.drop_link(parent.ino, name);
        Ok(())
    }

    /// Moves a set to the trash, where it stays for as long as its file is open.
    fn discard(&self, node: &Arc<Node>, dir: &dyn Dir, disk: &OsStr) -> Result<()> {
        let own = self.own()?;
        let trash = own.discard(dir, disk)?;
        self.keep_or_purge(node, trash)
    }

    fn keep_or_purge(&self, node: &Arc<Node>, trash: OsString) -> Result<()> {
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
        let (parent, dir) = self.dir_node(parent)?;
        Self::check_name(&parent, name)?;
        let _names = parent.names.write();
        let found = self.found_locked(&dir, name)?.ok_or(Error::NotFound)?;
        if found.kind() != Kind::Dir {
            return Err(Error::NotDirectory);
        }
        let node = self.node_of(&parent, dir.as_ref(), name, &found);
        dir.remove_dir(found.disk())?;
        self.nodes.close_dir(node.ino);
        node.drop_link(parent.ino, name);
        Ok(())
    }

    /// Renames.
    ///
    /// # Errors
    /// As rename(2), and what the medium says.
    pub fn rename(
        &self,
        parent: u64,
        name: &OsStr,
        to_parent: u64,
        to_name: &OsStr,
        how: Rename,
    ) -> Result<()> {
        self.own()?;
        let (from, from_dir) = self.dir_node(parent)?;
        let (to, to_dir) = self.dir_node(to_parent)?;
        Self::check_name(&from, name)?;
        Self::check_name(&to, to_name)?;
        let from = End {
            node: &from,
            dir: &from_dir,
            name,
        };
        let to = End {
            node: &to,
            dir: &to_dir,
            name: to_name,
        };
        loop {
            match self.rename_locked(&from, &to, how)? {
                Step::Done => return Ok(()),
                Step::Again => {}
                Step::MakePlain(node) => {
                    let _turn = node.turn.lock();
                    self.make_plain(&node)?;
                    self.drop_parked(&node);
                    self.queue.closed(&node);
                }
            }
        }
    }

    /// Whether a rename of `found` moves a directory, so that paths change for what is below.
    fn moves_dir(&self, from: &End<'_>, to: &End<'_>, how: Rename) -> Result<bool> {
        let is_dir = |end: &End<'_>| -> Result<bool> {
            let (_names, found) = self.found(end.node, end.dir, end.name)?;
            Ok(found.is_some_and(|f| f.kind() == Kind::Dir))
        };
        Ok(is_dir(from)? || how == Rename::Exchange && is_dir(to)?)
    }

    /// One try.
    fn rename_locked(&self, from: &End<'_>, to: &End<'_>, how: Rename) -> Result<Step> {
        let (_read, _write);
        let moves_dir = self.moves_dir(from, to, how)?;
        if moves_dir {
            _write = self.tree.write();
        } else {
            _read = self.tree.read();
        }
        let _names = lock_both(from.node, to.node);
        let source = self
            .found_locked(from.dir, from.name)?
            .ok_or(Error::NotFound)?;
        let target = self.found_locked(to.dir, to.name)?;
        if (source.kind() == Kind::Dir) && !moves_dir {
            return Ok(Step::Again);
        }
        if how == Rename::NoReplace && target.is_some() {
            return Err(Error::Exists);
        }
        let moved = self.node_of(from.node, from.dir.as_ref(), from.name, &source);
        let other = target
            .as_ref()
            .map(|t| self.node_of(to.node, to.dir.as_ref(), to.name, t));
        if other
            .as_ref()
            .is_some_and(|other| Arc::ptr_eq(other, &moved))
        {
            return Ok(Step::Done); // two names of one file, or one name: nothing to do
        }
        if how == Rename::Exchange {
            let (Some(target), Some(other)) = (target, other) else {
                return Err(Error::NotFound);
            };
            return self.exchange(from, to, (&source, &moved), (&target, &other));
        }
        match (
            source.kind() == Kind::Dir,
            target.as_ref().map(|t| t.kind() == Kind::Dir),
        ) {
            (true, Some(false)) => return Err(Error::NotDirectory),
            (false, Some(true)) => return Err(Error::IsDirectory),
            _ => {}
        }
        let new_disk = match &source {
            Found::Encoded { .. } | Found::Broken { .. } | Found::Foreign { .. } => {
                match names::encoded(to.name).filter(|_| source.fits(to.name)) {
                    Some(disk) => disk,
                    None => return Ok(Step::MakePlain(moved)),
                }
            }
            _ => names::plain(to.name).ok_or(Error::NameTooLong)?,
        };
        self.collapse(from.dir.as_ref(), &source)?;
        if let Some(target) = &target {
            self.collapse(to.dir.as_ref(), target)?;
        }
        self.move_entry(
            from,
            to,
            &source,
            target.as_ref(),
            &new_disk,
            other.as_ref(),
        )?;
        moved.drop_link(from.node.ino, from.name);
        if let Some(other) = &other {
            other.drop_link(to.node.ino, to.name);
            if other.kind == Kind::Dir {
                self.nodes.close_dir(other.ino);
            }
        }
        moved.add_link(Link {
            parent: Arc::clone(to.node),
            name: to.name.to_owned(),
        });
        Ok(Step::Done)
    }

    /// Moves one entry over what the target name holds, by the switch that fits the two forms.
    fn move_entry(
        &self,
        from: &End<'_>,
        to: &End<'_>,
        source: &Found,
        target: Option<&Found>,
        new_disk: &OsStr,
        other: Option<&Arc<Node>>,
    ) -> Result<()> {
        let own = self.own()?;
        let old_disk = source.disk();
        let native =
            |how| -> Result<()> { Ok(from.dir.rename(old_disk, to.dir.as_ref(), new_disk, how)?) };
        let Some(target) = target else {
            return native(Rename::NoReplace);
        };
        if let Found::Native { meta, .. } | Found::Pair { meta, .. } = source {
            switch::sync_data(from.dir.as_ref(), old_disk, meta)?;
        }
        if target.disk() != new_disk {
            let path = Self::path_of(to.node)?;
            let place = Place {
                dir: to.dir.as_ref(),
                path: &path,
            };
            let trash = switch::replace_beside(
                own,
                (from.dir.as_ref(), old_disk),
                place,
                new_disk,
                target.disk(),
            )?;
            return match (other, target) {
                // A plain file lives on for those who have it open, with one link less for all others.
                (_, Found::Native { .. } | Found::Pair { .. }) | (None, _) => {
                    own.purge(&trash);
                    Ok(())
                }
                (Some(other), _) => self.keep_or_purge(other, trash),
            };
        }
        // Both native, or both sets: rename(2) replaces anything but a directory.
        let is_dir =
            |dir: &dyn Dir, disk: &OsStr| -> Result<bool> { Ok(dir.meta(disk)?.kind == Kind::Dir) };
        let logical_dir = source.kind() == Kind::Dir;
        let spread = !logical_dir
            && (is_dir(from.dir.as_ref(), old_disk)? || is_dir(to.dir.as_ref(), new_disk)?);
        let open_set = !matches!(target, Found::Native { .. } | Found::Pair { .. })
            && other.is_some_and(|o| o.is_open());
        if !(spread || open_set) {
            return native(Rename::Replace);
        }
        let path = Self::path_of(from.node)?;
        let place = Place {
            dir: from.dir.as_ref(),
            path: &path,
        };
        let trash = switch::replace_by_exchange(own, place, old_disk, to.dir.as_ref(), new_disk)?;
        match other {
            Some(other) => self.keep_or_purge(other, trash),
            None => Ok(()),
        }
    }

    /// Two names swap what they hold. An encoded file and anything else: the encoded one is made plain first.
    fn exchange(
        &self,
        from: &End<'_>,
        to: &End<'_>,
        (source, moved): (&Found, &Arc<Node>),
        (target, other): (&Found, &Arc<Node>),
    ) -> Result<Step> {
        let is_set = |found: &Found| !matches!(found, Found::Native { .. } | Found::Pair { .. });
        let (a, b) = match (is_set(source), is_set(target)) {
            (true, false) => return Ok(Step::MakePlain(Arc::clone(moved))),
            (false, true) => return Ok(Step::MakePlain(Arc::clone(other))),
            (true, true) => {
                // What is shown with an ending of its own has another name on disk, and may not be shown as wanted.
                for (found, node, was, is) in [(source, moved, from, to), (target, other, to, from)]
                {
                    let named = names::encoded(was.name).is_some_and(|disk| disk == found.disk());
                    if !named || !found.fits(is.name) {
                        return Ok(Step::MakePlain(Arc::clone(node)));
                    }
                }
                (names::encoded(from.name), names::encoded(to.name))
            }
            (false, false) => (names::plain(from.name), names::plain(to.name)),
        };
        let (Some(a), Some(b)) = (a, b) else {
            return Err(Error::NameTooLong);
        };
        self.collapse(from.dir.as_ref(), source)?;
        self.collapse(to.dir.as_ref(), target)?;
        for (dir, found) in [(from.dir, source), (to.dir, target)] {
            if let Found::Native { meta, disk }
            | Found::Pair {
                meta, plain: disk, ..
            } = found
            {
                switch::sync_data(dir.as_ref(), disk, meta)?;
            }
        }
        from.dir.rename(&a, to.dir.as_ref(), &b, Rename::Exchange)?;
        for (node, was, is) in [(moved, from, to), (other, to, from)] {
            node.drop_link(was.node.ino, was.name);
            node.add_link(Link {
                parent: Arc::clone(is.node),
                name: is.name.to_owned(),
            });
        }
        Ok(Step::Done)
    }
}
