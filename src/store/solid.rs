//! Solid directories: a whole tree kept as one object, shown and read as the directory it was.
//!
//! The object of a directory `x` is `x.holo`, of kind [`ObjectKind::Tree`]; its content is a [bundle](Bundle). What
//! is in it is reached through the disk seam ([`SolidDir`], [`Member`]), so that lookups, listings and reads go the
//! ways they always go; whatever would change something there *thaws* the whole directory first (`thaw.rs`), and
//! [`Store::freeze`] makes it solid (`freeze.rs`). A tree in a bundle has no objects in it, so none is inside another.
//!
//! # Whoever holds an open directory holds the shape
//!
//! Freezing and thawing put another directory in the place of one that somebody may have open. So the handle that
//! [`Store::dir`] gives is a guard: while one lives no directory changes its form, and the switch waits. Guards nest.
//! Whoever wants to change something in a directory takes one by [`Store::native`], which thaws it before.

mod freeze;
mod health;
mod pair;
mod seam;
mod survey;
mod thaw;
mod work;

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::disk::{Dir, Kind, Meta};
use super::locate::{self, Found, Seen};
use super::names;
use super::node::{Identity, Node};
use super::object::Object;
use super::state::{State, XATTR};
use super::tree::Store;
use super::{Error, Result};
use crate::format::bundle::{Bundle, Entry, HEAD, What};
use crate::format::{Digest, ObjectKind};
pub(crate) use seam::{Member, SolidDir, inside};
pub(crate) use work::Next;

/// Device number of what lies in bundles: no medium has it.
pub(crate) const DEVICE: u64 = u64::MAX;
/// Bundles kept open for directories that are looked up again and again.
const OPEN_BUNDLES: usize = 16;

/// An object of kind tree, with its table read.
pub(crate) struct Solid {
    object: Arc<Object>,
    bundle: Bundle,
    /// Hard links by index of the entry.
    links: Vec<u32>,
}

impl fmt::Debug for Solid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Solid");
        out.field("object", &self.object).finish_non_exhaustive()
    }
}

impl Solid {
    /// Reads the table of an object of kind tree.
    ///
    /// # Errors
    /// [`Error::Damaged`] where too little is left of it, [`Error::Format`] where it is no table.
    pub(crate) fn read(object: &Arc<Object>) -> Result<Arc<Self>> {
        let size = object.descriptor().size;
        let format = |source| Error::Format {
            name: object.set().to_string(),
            source,
        };
        let mut head = [0; HEAD];
        object.read_at(0, &mut head)?;
        let length = Bundle::table_length(&head).map_err(format)?;
        if length as u64 > size {
            return Err(cut_off(object));
        }
        let mut table = vec![0; length];
        if object.read_at(0, &mut table)? != length {
            return Err(cut_off(object));
        }
        let bundle = Bundle::decode(ObjectKind::Tree, &table, size).map_err(format)?;
        let mut links = vec![1; bundle.entries().len()];
        for entry in bundle.entries() {
            if let What::Link(to) = entry.what
                && let Some(count) = links.get_mut(to as usize)
            {
                *count += 1;
            }
        }
        for entry in bundle.entries().iter().skip(1) {
            if entry.what == What::Dir
                && let Some(count) = links.get_mut(entry.parent as usize)
            {
                *count += 1;
            }
        }
        Ok(Arc::new(Self {
            object: Arc::clone(object),
            bundle,
            links,
        }))
    }

    /// The object.
    pub(crate) fn object(&self) -> &Arc<Object> {
        &self.object
    }

    /// Its table.
    pub(crate) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// What tells an entry from all others, of this object and of its copies elsewhere in the store.
    pub(crate) fn identity(&self, index: u32) -> Identity {
        let target = self.bundle.target(index);
        if target == 0 {
            return self.object.carrier_meta().into();
        }
        let ino = self.bundle.entry(target).map_or(0, |entry| entry.ino);
        Identity {
            dev: DEVICE,
            ino: ino & (u64::MAX >> 1),
            born: (self.object.carrier_meta().ino.cast_signed(), target),
        }
    }

    /// Bytes stored for so many bytes of the content: the same share of all that is stored.
    pub(crate) fn share(&self, bytes: u64) -> u64 {
        let all = u128::from(self.object.descriptor().size.max(1));
        let share = u128::from(self.object.stored_bytes()) * u128::from(bytes) / all;
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// The same of a file, where what is stored of the table is shared among the files too.
    pub(crate) fn share_of_file(&self, bytes: u64) -> u64 {
        let files = u128::from(self.bundle.content_size() - self.bundle.length());
        let share = u128::from(self.object.stored_bytes()) * u128::from(bytes) / files.max(1);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// What the medium would say of an entry.
    pub(crate) fn meta(&self, index: u32) -> Option<Meta> {
        let target = self.bundle.target(index);
        let entry = self.bundle.entry(target)?;
        let Identity { dev, ino, born } = self.identity(target);
        let (kind, size, rdev) = match &entry.what {
            What::Dir => (Kind::Dir, DIRECTORY, 0),
            What::File { size, .. } => (Kind::File, *size, 0),
            What::Symlink(to) => (Kind::Symlink, to.len() as u64, 0),
            What::Fifo => (Kind::Fifo, 0, 0),
            What::Socket => (Kind::Socket, 0, 0),
            What::Char(rdev) => (Kind::Char, 0, *rdev),
            What::Block(rdev) => (Kind::Block, 0, *rdev),
            What::Link(_) => return None,
        };
        let nlink = self.links.get(target as usize).copied().unwrap_or(1);
        let stored = match target {
            0 => self.share(self.bundle.length()),
            _ => self.share(entry.size()),
        };
        Some(Meta {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            nlink: if kind == Kind::Dir { nlink + 1 } else { nlink },
            size,
            blocks: stored.div_ceil(512).max(u64::from(entry.size() > 0)),
            atime: entry.atime,
            mtime: entry.mtime,
            ctime: entry.ctime,
            btime: crate::format::Time {
                secs: born.0,
                nanos: born.1,
            },
            dev,
            ino,
            rdev,
        })
    }
}

/// What a file or directory remembered when it was put into the bundle.
fn state_of(entry: &Entry) -> State {
    let mut known = entry.xattrs.iter();
    let known = known.find(|(name, _)| name == XATTR.as_bytes());
    known.map_or_else(State::default, |(_, raw)| State::parse(raw))
}

/// What directories in bundles show as their size: nothing of it is stored.
const DIRECTORY: u64 = 4096;

fn cut_off(object: &Object) -> Error {
    Error::Damaged {
        name: object.set().to_string(),
        what: "the table of the directory is longer than its content".to_owned(),
    }
}

/// An object and the inode that carries it.
type Key = (Identity, Digest);

fn key(object: &Object) -> Key {
    (object.carrier_meta().into(), object.set().0)
}

/// Solid directories that were looked at last.
pub(crate) struct Solids {
    open: Mutex<LruCache<Key, Arc<Solid>>>,
    checked: Mutex<LruCache<Key, health::Checked>>,
}

impl Default for Solids {
    fn default() -> Self {
        let most = NonZeroUsize::new(OPEN_BUNDLES).unwrap_or(NonZeroUsize::MIN);
        Self {
            open: Mutex::new(LruCache::new(most)),
            checked: Mutex::new(LruCache::new(most)),
        }
    }
}

impl fmt::Debug for Solids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Solids")
    }
}

impl Solids {
    /// The table of an object, read or remembered. What was damaged when it was read may be healed: such are read
    /// again.
    pub(crate) fn of(&self, object: &Arc<Object>) -> Result<Arc<Solid>> {
        let key = key(object);
        if let Some(solid) = self.open.lock().get(&key)
            && is_as_it_was(solid.object(), object)
        {
            return Ok(Arc::clone(solid));
        }
        let solid = Solid::read(object)?;
        self.open.lock().put(key, Arc::clone(&solid));
        Ok(solid)
    }

    /// Closes them all.
    pub(crate) fn clear(&self) {
        self.open.lock().clear();
    }
}

/// Whether two looks at one object found the same.
fn is_as_it_was(before: &Object, now: &Object) -> bool {
    same(before.carrier_meta(), now.carrier_meta()) && before.attributes() == now.attributes()
}

/// Whether nothing but the access time differs.
fn same(a: &Meta, b: &Meta) -> bool {
    let atime = a.atime;
    *a == Meta { atime, ..*b }
}

/// Opens the directory kept as `name` in `dir`, if that is a solid one.
pub(crate) fn open(
    dir: &Arc<dyn Dir>,
    name: &OsStr,
    seen: Seen<'_>,
    solids: &Solids,
) -> Result<Option<Arc<dyn Dir>>> {
    let Some(Found::Solid { object, .. }) = locate::encoded(dir, name, seen)? else {
        return Ok(None);
    };
    Ok(Some(Arc::new(SolidDir::new(solids.of(&object)?, 0))))
}

/// Held by whoever has a directory open: no directory becomes solid or stops being so meanwhile.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    _held: RwLockReadGuard<'a, ()>,
}

impl<'a> Shape<'a> {
    /// Waits only for a switch under way, also where the caller has one already.
    pub(crate) fn of(lock: &'a RwLock<()>) -> Self {
        Self {
            _held: lock.read_recursive(),
        }
    }
}

/// An open directory, which keeps its form for as long as this lives.
#[derive(Debug)]
pub(crate) struct OpenDir<'a> {
    dir: Arc<dyn Dir>,
    _shape: Shape<'a>,
}

impl<'a> OpenDir<'a> {
    pub(crate) fn new(dir: Arc<dyn Dir>, shape: Shape<'a>) -> Self {
        Self { dir, _shape: shape }
    }
}

impl Deref for OpenDir<'_> {
    type Target = Arc<dyn Dir>;

    fn deref(&self) -> &Arc<dyn Dir> {
        &self.dir
    }
}

impl Store {
    /// The directory that holds `node`, or that it is.
    fn holder(node: &Arc<Node>) -> Option<Arc<Node>> {
        match node.kind {
            Kind::Dir => Some(Arc::clone(node)),
            _ => node.link().map(|link| link.parent),
        }
    }

    /// Sees to it that `nodes`, and of directories what is in them, can be changed: thaws what they lie in. They stay so
    /// while the result lives. The caller holds no turn and no open directory.
    ///
    /// # Errors
    /// [`Error::Damaged`] where not all of a solid directory can be read, "no space" where it does not fit.
    pub(crate) fn native(&self, nodes: &[&Arc<Node>]) -> Result<Shape<'_>> {
        loop {
            let shape = Shape::of(&self.shape);
            // What cannot be opened is told by whoever tries next.
            let is_solid = |holder: &Arc<Node>| {
                let dir = self.dir(holder);
                dir.is_ok_and(|dir| inside(dir.as_ref()).is_some())
            };
            let mut holders = nodes.iter().filter_map(|node| Self::holder(node));
            let Some(holder) = holders.find(is_solid) else {
                return Ok(shape);
            };
            drop(shape);
            self.thaw(&holder)?;
        }
    }

    /// As [`Store::native`], by inode number.
    pub(crate) fn native_ino(&self, ino: u64) -> Result<Shape<'_>> {
        self.native(&[&self.nodes.get(ino)?])
    }

    /// The uppermost solid directory that `node`, a directory, lies in; it may be itself.
    fn top_of(&self, node: &Arc<Node>) -> Result<Option<(Arc<Node>, Arc<Solid>)>> {
        let mut at = Arc::clone(node);
        loop {
            let dir = self.dir(&at)?;
            match inside(dir.as_ref()) {
                None => return Ok(None),
                Some(solid) if solid.index() == 0 => {
                    let solid = Arc::clone(solid.solid());
                    return Ok(Some((at, solid)));
                }
                Some(_) => {}
            }
            at = at.link().ok_or(Error::NotFound)?.parent;
        }
    }

    /// Renames in bulk what nodes are known by, after a directory got another form: `to` says the new identity of an
    /// old one. No directory opened before is used again.
    fn reshaped(&self, to: &dyn Fn(&Identity) -> Option<Identity>) {
        self.nodes.carry(to);
        self.nodes.close_dirs();
    }
}

/// The error of whatever would change something in a solid directory that was not thawed.
fn frozen() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

/// A logical name's bytes by its name on disk.
fn logical(disk: &OsStr) -> Option<Vec<u8>> {
    match names::logical(disk) {
        names::DiskName::Plain(name) => Some(name.as_bytes().to_vec()),
        _ => None,
    }
}
