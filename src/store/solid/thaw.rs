//! Thawing: a solid directory becomes native again, as a whole, before something in it is changed.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use lru::LruCache;

use super::super::attrs::CAPABILITY;
use super::super::disk::{Dir, File, Kind, Seek, SetTimes, XattrMode};
use super::super::locate::{self, Found};
use super::super::names;
use super::super::node::{Identity, Link, Node};
use super::super::own::{Own, remove_entry};
use super::super::state::{OURS, XATTR};
use super::super::switch::{self, Place};
use super::super::tree::{Counters, Store};
use super::super::{Error, Result};
use super::{DEVICE, Solid, state_of};
use crate::format::bundle::{Entry, What};

/// Directories open while a tree is written.
const OPEN: usize = 64;
/// Bytes copied at a time.
const PIECE: usize = 1 << 20;
/// Space that a name may take beside its bytes.
const PER_ENTRY: u64 = 4096;

impl Store {
    /// Makes the solid directory that `node`, a directory, lies in native again; nothing where there is none. What is
    /// open in it goes on. The caller holds no turn and no open directory.
    ///
    /// # Errors
    /// [`Error::Damaged`] where not all of it can be read, "no space" where it does not fit; it stays as it is then.
    pub(crate) fn thaw(&self, node: &Arc<Node>) -> Result<()> {
        let own = self.own()?;
        let _one = self.thawing.lock();
        let Some((top, solid)) = self.top_of(node)? else {
            return Ok(());
        };
        let link = top.link().ok_or(Error::NotFound)?;
        self.note_promotion()?;
        self.reserve(&solid)?;
        let name = own.fresh(own.staging.as_ref(), "tree");
        let thawed = self
            .unpack(own, &name, &solid, &top)
            .and_then(|inodes| self.commit_thaw(own, &top, &link, &solid, &name, &inodes));
        match thawed {
            Ok(Some(trash)) => {
                Counters::add(&self.counters.thawed);
                own.purge(&trash);
                self.queue.thawed(&top);
                Ok(())
            }
            other => {
                if let Err(e) = remove_entry(own.staging.as_ref(), &name)
                    && e.kind() != std::io::ErrorKind::NotFound
                {
                    log::warn!(".holofs/staging/{}: {e}", name.display());
                }
                // Renamed or removed meanwhile: whoever asked looks again.
                other.map(|_| ())
            }
        }
    }

    /// Refuses what the medium has no room for, before anything is written.
    fn reserve(&self, solid: &Solid) -> Result<()> {
        let space = self.root.space()?;
        let free = space.bavail.saturating_mul(space.frsize.into());
        let object = solid.object().descriptor();
        let holes: u64 = object.holes.iter().map(|hole| hole.length).sum();
        let names = solid.bundle().entries().len() as u64 * PER_ENTRY;
        if free < (object.size - holes).saturating_add(names) {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
        }
        Ok(())
    }

    /// Writes the whole tree to `name` in staging, durably; returns the inodes of its entries.
    fn unpack(
        &self,
        own: &Own,
        name: &OsStr,
        solid: &Solid,
        top: &Arc<Node>,
    ) -> Result<Vec<Identity>> {
        let staging = own.staging.as_ref();
        staging.make_dir(name, 0o700, 0)?;
        let most = NonZeroUsize::new(OPEN).unwrap_or(NonZeroUsize::MIN);
        let mut tree = Unpacking {
            solid,
            top: staging.dir(name)?,
            dirs: LruCache::new(most),
            number: top.ino,
        };
        let mut inodes = vec![Identity::default(); solid.bundle().entries().len()];
        for (index, entry) in (0_u32..).zip(solid.bundle().entries()).skip(1) {
            if self.queue.is_stopped() {
                return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
            }
            tree.make(index, entry)?;
        }
        // A directory's times move with what is made in it, and its mode may keep us out: inner ones first.
        let mut dirs: Vec<_> = (0_u32..).zip(solid.bundle().entries()).collect();
        dirs.retain(|(_, entry)| entry.what == What::Dir);
        for (index, entry) in dirs.into_iter().rev() {
            tree.finish_dir(index, entry)?;
        }
        for (index, inode) in (0_u32..).zip(&mut inodes) {
            let (dir, name) = tree.place(index)?;
            *inode = (&dir.meta(&name)?).into();
        }
        tree.top.sync_all()?;
        staging.sync()?;
        Ok(inodes)
    }

    /// Puts the tree in the place of its object, provided that this is still there. Returns its name in the trash.
    fn commit_thaw(
        &self,
        own: &Own,
        top: &Arc<Node>,
        link: &Link,
        solid: &Solid,
        name: &OsStr,
        inodes: &[Identity],
    ) -> Result<Option<OsString>> {
        // From here on nobody has a directory open.
        let _shape = self.shape.write();
        let _tree = self.tree.read();
        let dir = self.nodes.dir(&link.parent, &self.root, self.seen())?;
        let found = locate::locate(&dir, &link.name, self.seen())?;
        let Some(Found::Solid { object, disk }) = found.filter(|_| top.is_at(link)) else {
            return Ok(None);
        };
        let was = solid.object();
        let same = object.set() == was.set() && object.carrier_meta().ino == was.carrier_meta().ino;
        if !same || object.attributes() != was.attributes() {
            return Ok(None);
        }
        let plain = names::plain(&link.name).ok_or(Error::NameTooLong)?;
        let path = Self::path_of(&link.parent)?;
        let place = Place {
            dir: dir.as_ref(),
            path: &path,
        };
        let from = (own.staging.as_ref(), name);
        let trash = switch::unnoticed(dir.as_ref(), || {
            switch::replace_beside(own, from, place, &plain, &disk)
        })?;
        let (itself, carrier) = (solid.identity(0), was.carrier_meta().ino.cast_signed());
        self.reshaped(&|old| {
            if *old == itself {
                return inodes.first().copied();
            }
            let (of, index) = old.born;
            let ours = old.dev == DEVICE && of == carrier;
            inodes.get(index as usize).filter(|_| ours).copied()
        });
        Ok(Some(trash))
    }
}

/// A tree being written.
struct Unpacking<'a> {
    solid: &'a Solid,
    top: Arc<dyn Dir>,
    dirs: LruCache<u32, Arc<dyn Dir>>,
    /// Logical number of the directory itself.
    number: u64,
}

impl Unpacking<'_> {
    /// The open directory with this index.
    fn dir(&mut self, index: u32) -> Result<Arc<dyn Dir>> {
        let mut chain = Vec::new();
        let mut at = index;
        let mut dir = loop {
            if at == 0 {
                break Arc::clone(&self.top);
            }
            if let Some(dir) = self.dirs.get(&at) {
                break Arc::clone(dir);
            }
            chain.push(at);
            // Parents come before what is in them, so this ends.
            at = self.solid.bundle().entry(at).ok_or(Error::Invalid)?.parent;
        };
        while let Some(next) = chain.pop() {
            let entry = self.solid.bundle().entry(next).ok_or(Error::Invalid)?;
            dir = dir.dir(&disk_name(entry)?)?;
            self.dirs.put(next, Arc::clone(&dir));
        }
        Ok(dir)
    }

    /// Directory and name on disk of an entry.
    fn place(&mut self, index: u32) -> Result<(Arc<dyn Dir>, OsString)> {
        if index == 0 {
            return Ok((Arc::clone(&self.top), OsString::from(".")));
        }
        let entry = self.solid.bundle().entry(index).ok_or(Error::Invalid)?;
        let (parent, name) = (entry.parent, disk_name(entry)?);
        Ok((self.dir(parent)?, name))
    }

    /// Makes one entry; of a directory only the name.
    fn make(&mut self, index: u32, entry: &Entry) -> Result<()> {
        let (dir, name) = self.place(index)?;
        let node = |kind, rdev| dir.make_node(&name, kind, entry.mode, 0, rdev);
        match &entry.what {
            What::Dir => return Ok(dir.make_dir(&name, 0o700, 0)?),
            What::File { offset, size, .. } => {
                let file = dir.create(&name, 0o600, 0)?;
                self.copy(file.as_ref(), *offset, *size)?;
                return finish_file(file.as_ref(), entry);
            }
            What::Link(to) => {
                let (from, from_name) = self.place(*to)?;
                return Ok(from.link(&from_name, dir.as_ref(), &name)?);
            }
            What::Symlink(target) => {
                dir.make_symlink(&name, &OsString::from_vec(target.clone()))?;
            }
            What::Fifo => node(Kind::Fifo, 0)?,
            What::Socket => node(Kind::Socket, 0)?,
            What::Char(rdev) => node(Kind::Char, *rdev)?,
            What::Block(rdev) => node(Kind::Block, *rdev)?,
        }
        attributes(dir.as_ref(), &name, entry)
    }

    /// Attributes of a directory in which everything is made.
    fn finish_dir(&mut self, index: u32, entry: &Entry) -> Result<()> {
        let (dir, name) = self.place(index)?;
        if index > 0 {
            remember(dir.as_ref(), &name, entry, entry.ino, 0);
            return attributes(dir.as_ref(), &name, entry);
        }
        remember(dir.as_ref(), &name, entry, self.number, 1);
        attributes(dir.as_ref(), &name, entry)
    }

    /// The bytes of a file, holes left out.
    fn copy(&self, to: &dyn File, offset: u64, size: u64) -> Result<()> {
        let object = self.solid.object();
        let mut buf = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE))];
        let (mut at, end) = (offset, offset + size);
        while at < end {
            let data = object.seek(at, Seek::Data).unwrap_or(end);
            if data > at {
                at = data;
                continue;
            }
            let hole = object.seek(at, Seek::Hole).unwrap_or(end).min(end);
            let length = usize::try_from(hole - at).unwrap_or(PIECE).min(PIECE);
            let piece = buf.get_mut(..length).unwrap_or_default();
            if object.read_at(at, piece)? != length || length == 0 {
                return Err(Error::Invalid);
            }
            to.write_at(piece, at - offset)?;
            at += length as u64;
        }
        Ok(to.set_len(size)?)
    }
}

fn disk_name(entry: &Entry) -> Result<OsString> {
    names::plain(OsStr::from_bytes(&entry.name)).ok_or(Error::NameTooLong)
}

/// What a plain file or a directory is to remember: its logical number, and that it was thawed so often.
fn new_state(entry: &Entry, ino: u64, thawed: u32) -> Option<Vec<u8>> {
    let mut state = state_of(entry);
    state.ino = Some(ino);
    state.promotions = state.promotions.saturating_add(thawed);
    serde_json::to_vec(&state).ok()
}

fn remember(dir: &dyn Dir, name: &OsStr, entry: &Entry, ino: u64, thawed: u32) {
    let Some(state) = new_state(entry, ino, thawed) else {
        return;
    };
    if let Err(e) = dir.set_xattr(name, OsStr::new(XATTR), &state, XattrMode::Any) {
        log::debug!("number of a directory not kept: {e}");
    }
}

/// Extended attributes as they are to be set: those of ours are made anew, `security.capability` comes last.
fn xattrs(entry: &Entry) -> Vec<(&OsStr, &[u8])> {
    let all = entry.xattrs.iter();
    let others = all.filter(|(name, _)| !name.starts_with(OURS));
    let mut others: Vec<_> = others
        .map(|(name, value)| (OsStr::from_bytes(name), value.as_slice()))
        .collect();
    others.sort_by_key(|(name, _)| *name == CAPABILITY);
    others
}

/// Owner, mode, extended attributes and times of a file. Owner before mode: changing it clears set-id bits.
fn finish_file(file: &dyn File, entry: &Entry) -> Result<()> {
    let now = file.meta()?;
    if (now.uid, now.gid) != (entry.uid, entry.gid) {
        file.set_owner(Some(entry.uid), Some(entry.gid))?;
    }
    if let Some(state) = new_state(entry, entry.ino, 0)
        && let Err(e) = file.set_xattr(OsStr::new(XATTR), &state, XattrMode::Any)
    {
        log::debug!("number of a plain file not kept: {e}");
    }
    file.set_mode(entry.mode)?;
    for (name, value) in xattrs(entry) {
        file.set_xattr(name, value, XattrMode::Any)?;
    }
    Ok(file.set_times(times(entry))?)
}

/// The same of anything else, by name.
fn attributes(dir: &dyn Dir, name: &OsStr, entry: &Entry) -> Result<()> {
    let now = dir.meta(name)?;
    if (now.uid, now.gid) != (entry.uid, entry.gid) {
        dir.set_owner(name, Some(entry.uid), Some(entry.gid))?;
    }
    for (attr, value) in xattrs(entry) {
        dir.set_xattr(name, attr, value, XattrMode::Any)?;
    }
    if !matches!(entry.what, What::Symlink(_)) {
        dir.set_mode(name, entry.mode)?;
    }
    Ok(dir.set_times(name, times(entry))?)
}

fn times(entry: &Entry) -> SetTimes {
    SetTimes {
        atime: Some(entry.atime),
        mtime: Some(entry.mtime),
    }
}
