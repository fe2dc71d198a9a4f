//! Renames, over plain and encoded files, and native and solid directories alike.

use std::ffi::OsStr;
use std::sync::Arc;

use super::disk::{Dir, Kind, Rename};
use super::locate::Found;
use super::names;
use super::node::{Link, Node};
use super::ops::lock_both;
use super::switch::{self, Place};
use super::tree::Store;
use super::{Error, Result};

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
        let (from, to) = (self.nodes.get(parent)?, self.nodes.get(to_parent)?);
        Self::check_name(&from, name)?;
        Self::check_name(&to, to_name)?;
        loop {
            let step = {
                let _shape = self.native(&[&from, &to])?;
                let (from, from_dir) = self.dir_node(parent)?;
                let (to, to_dir) = self.dir_node(to_parent)?;
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
                self.rename_locked(&from, &to, how)?
            };
            match step {
                Step::Done => return Ok(()),
                Step::Again => {}
                Step::MakePlain(node) if node.kind == Kind::Dir => self.thaw(&node)?,
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
            (true, Some(true)) if matches!(target, Some(Found::Solid { .. })) => {
                return Err(Error::NotEmpty);
            }
            _ => {}
        }
        if let (Some(target), Some(other)) = (&target, &other)
            && self.has_variants(other.file(), target)?
        {
            // What replaces the default variant is not what a context shows.
            if self.is_in_context() {
                return Err(Error::Denied);
            }
            if source.kind() == Kind::File {
                self.hand_on((other.file(), target), moved.file())?;
            }
        }
        let new_disk = match &source {
            // What replaces a directory must be one for the medium too.
            Found::Solid { .. } if target.is_some() => return Ok(Step::MakePlain(moved)),
            Found::Encoded { .. }
            | Found::Solid { .. }
            | Found::Broken { .. }
            | Found::Foreign { .. } => {
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
            self.drop_overlays(other.file(), to.dir.as_ref());
            self.drop_predecessor(other.ino);
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
        for (found, node) in [(source, moved), (target, other)] {
            if matches!(found, Found::Solid { .. }) {
                return Ok(Step::MakePlain(Arc::clone(node)));
            }
        }
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
