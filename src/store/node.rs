//! The inode table: what the kernel and the worker hold on to, and the locks that order changes.
//!
//! Locks, in the order in which they are taken: a node's `turn`, then the tree lock, then the `names` locks of
//! directories (two of them in the order of inode numbers), then a node's `inner`, then the table.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use super::disk::{Dir, File, Kind, Meta};
use super::foreign::Foreign;
use super::locate::Seen;
use super::object::Object;
use super::solid::{self, Member, Solids};
use super::{Error, Options, ROOT, Result};
use crate::coding::hash::Hasher;
use crate::format::{Digest, SetId};

/// Directory handles kept open; well below any descriptor limit.
const OPEN_DIRS: usize = 512;
/// The same where there may be one such store for each number of chunks and each context.
const OPEN_DIRS_OF_VIEW: usize = 16;
/// Beside a writer directories may seem to lie in each other: nothing lies deeper than this.
const DEEPEST: usize = 10_000;
/// Names of one file remembered beside a writer.
const MOST_SEEN: usize = 16;

/// A native inode: what tells two things on the medium apart even when a number is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Identity {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) born: (i64, u32),
}

impl From<&Meta> for Identity {
    fn from(meta: &Meta) -> Self {
        Self {
            dev: meta.dev,
            ino: meta.ino,
            born: (meta.btime.secs, meta.btime.nanos),
        }
    }
}

impl Identity {
    /// The logical inode number of something that does not remember another: 63 bits, neither 0 nor the root's.
    pub(crate) fn logical(&self) -> u64 {
        if self.dev == solid::DEVICE {
            return self.ino.max(ROOT + 1); // it came with the bundle
        }
        self.hashed()
    }

    /// A number that is this inode's alone, as far as anybody knows.
    fn hashed(&self) -> u64 {
        let mut hasher = Hasher::default();
        hasher.update(&self.ino.to_le_bytes());
        hasher.update(&self.born.0.to_le_bytes());
        hasher.update(&self.born.1.to_le_bytes());
        let Digest(hash) = hasher.finish();
        let low = hash.first_chunk().copied().unwrap_or_default();
        (u64::from_le_bytes(low) >> 1).max(ROOT + 1)
    }
}

/// One name of a node.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// The directory.
    pub(crate) parent: Arc<Node>,
    /// The logical name in it.
    pub(crate) name: OsString,
}

impl Link {
    /// Whether two are one name.
    fn is(&self, other: &Self) -> bool {
        self.parent.ino == other.parent.ino && self.name == other.name
    }
}

/// Where the bytes of an open file come from.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// The plain file of the inode.
    Plain {
        /// The file.
        file: Arc<dyn File>,
        /// Whether it is open for writing.
        writable: bool,
    },
    /// The overlay that it shows in the store's context.
    Overlay {
        /// The overlay.
        file: Arc<dyn File>,
        /// Whether it is open for writing.
        writable: bool,
    },
    /// The decoded copy of an object.
    Cached(Arc<dyn File>, Arc<Object>),
    /// What is left of an object, at reduced quality.
    Reduced(Arc<dyn File>, Arc<Object>),
    /// Decoded as it is read.
    Stream(Arc<Object>),
    /// Another program's format.
    Foreign(Arc<Foreign>),
    /// A file of a solid directory, decoded as it is read.
    Member(Arc<Member>),
}

/// A set that left its name when the file was promoted, and how the plain file looked then.
#[derive(Debug, Clone)]
pub(crate) struct Parked {
    /// Its name in the trash.
    pub(crate) trash: OsString,
    /// The plain file right after promotion.
    pub(crate) plain: Meta,
}

/// What is known of a file while it is open.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) readers: u32,
    pub(crate) writers: u32,
    pub(crate) body: Body,
    /// Something was written through the daemon.
    pub(crate) changed: bool,
    /// Entries of the trash that live as long as these handles.
    pub(crate) trash: Vec<OsString>,
}

impl Open {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            readers: 0,
            writers: 0,
            body,
            changed: false,
            trash: Vec::new(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// Names, as far as looked up; empty when unlinked.
    pub(crate) links: Vec<Link>,
    /// The native inode that carries the attributes: plain file, packed object or manifest.
    pub(crate) carrier: Identity,
    pub(crate) open: Option<Open>,
    /// The set that a promotion put aside, until the last handle is gone.
    pub(crate) parked: Option<Parked>,
    /// The set whose content was read last: what the kernel may have pages of.
    pub(crate) shown: Option<SetId>,
    /// What the last read of something from elsewhere found missing, where it gave less than all.
    pub(crate) reduced: Option<String>,
}

/// A logical inode.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) ino: u64,
    pub(crate) kind: Kind,
    /// See [`Node::file`].
    file: AtomicU64,
    /// Held while the representation of a file is chosen or changed.
    pub(crate) turn: Mutex<()>,
    /// Names of a directory: written while what a name holds changes.
    pub(crate) names: RwLock<()>,
    pub(crate) inner: Mutex<Inner>,
}

impl Node {
    fn new(ino: u64, kind: Kind) -> Self {
        Self {
            ino,
            kind,
            file: AtomicU64::new(ino),
            turn: Mutex::new(()),
            names: RwLock::new(()),
            inner: Mutex::default(),
        }
    }

    /// The number that overlays of its variants go by. Beside a writer a file whose representation changed is taken for
    /// another one and gets another number here, while it keeps its own there.
    pub(crate) fn file(&self) -> u64 {
        self.file.load(Ordering::Relaxed)
    }

    /// Its first known name.
    pub(crate) fn link(&self) -> Option<Link> {
        self.inner.lock().links.first().cloned()
    }

    /// Notes a name.
    pub(crate) fn add_link(&self, link: Link) {
        let mut inner = self.inner.lock();
        if !inner.links.iter().any(|l| l.is(&link)) {
            inner.links.push(link);
        }
    }

    /// Notes a name that was just seen, beside a writer: what was seen before may be gone.
    fn saw_link(&self, link: Link) {
        let mut inner = self.inner.lock();
        if inner.links.first().is_some_and(|first| first.is(&link)) {
            return;
        }
        inner.links.retain(|l| !l.is(&link));
        inner.links.insert(0, link);
        inner.links.truncate(MOST_SEEN);
    }

    /// Forgets a name.
    pub(crate) fn drop_link(&self, parent: u64, name: &std::ffi::OsStr) {
        self.inner
            .lock()
            .links
            .retain(|l| !(l.parent.ino == parent && l.name == name));
    }

    /// Whether `link` is still its first name.
    pub(crate) fn is_at(&self, link: &Link) -> bool {
        self.link().is_some_and(|now| now.is(link))
    }

    /// Whether some handle has it open.
    pub(crate) fn is_open(&self) -> bool {
        self.inner.lock().open.is_some()
    }

    /// Whether some handle has it open for writing.
    pub(crate) fn is_written(&self) -> bool {
        self.inner
            .lock()
            .open
            .as_ref()
            .is_some_and(|o| o.writers > 0)
    }

    /// Logical path from the root; `None` for what is unlinked.
    pub(crate) fn path(self: &Arc<Self>) -> Option<std::path::PathBuf> {
        let mut parts = Vec::new();
        let mut node = Arc::clone(self);
        while node.ino != ROOT {
            let link = node.link().filter(|_| parts.len() < DEEPEST)?;
            parts.push(link.name);
            node = link.parent;
        }
        Some(parts.iter().rev().collect())
    }
}

#[derive(Debug, Default)]
struct Table {
    /// Every node that somebody holds: the kernel, a child, a handle, the worker.
    known: HashMap<u64, Weak<Node>>,
    /// References of the kernel (or of whoever calls lookup).
    held: HashMap<u64, (Arc<Node>, u64)>,
    /// Size of `known` at which dead entries are swept.
    sweep_at: usize,
}

/// All nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    root: Arc<Node>,
    table: Mutex<Table>,
    dirs: Mutex<LruCache<u64, Arc<dyn Dir>>>,
    pub(crate) solids: Solids,
    /// Somebody else may change names.
    beside: bool,
}

impl Nodes {
    /// Of a store opened like this.
    pub(crate) fn new(options: &Options) -> Self {
        let beside = options.read_only;
        let viewed = options.chunks.is_some() || options.context.named().is_some();
        let open = if beside && viewed {
            OPEN_DIRS_OF_VIEW
        } else {
            OPEN_DIRS
        };
        Self {
            root: Arc::new(Node::new(ROOT, Kind::Dir)),
            table: Mutex::new(Table {
                sweep_at: 1024,
                ..Table::default()
            }),
            dirs: Mutex::new(LruCache::new(
                NonZeroUsize::new(open).unwrap_or(NonZeroUsize::MIN),
            )),
            solids: Solids::default(),
            beside,
        }
    }

    pub(crate) fn root(&self) -> Arc<Node> {
        Arc::clone(&self.root)
    }

    /// The node with this number.
    pub(crate) fn get(&self, ino: u64) -> Result<Arc<Node>> {
        if ino == ROOT {
            return Ok(self.root());
        }
        let table = self.table.lock();
        let node = table.known.get(&ino).and_then(Weak::upgrade);
        node.ok_or(Error::NotFound)
    }

    /// The node of what `link` names, known or new. `wanted` is the logical number by its attributes; another one
    /// is derived from `carrier` where a different live file has it already (a set copied inside the store).
    /// The caller holds a `names` lock of the parent, so that no carrier changes meanwhile.
    pub(crate) fn intern(
        &self,
        wanted: u64,
        kind: Kind,
        carrier: Identity,
        link: Link,
    ) -> Arc<Node> {
        let mut ino = wanted.max(ROOT + 1);
        let mut salt = carrier;
        loop {
            let node = {
                let mut table = self.table.lock();
                if let Some(node) = table.known.get(&ino).and_then(Weak::upgrade) {
                    node
                } else {
                    let node = Arc::new(Node::new(ino, kind));
                    node.inner.lock().carrier = carrier;
                    table.known.insert(ino, Arc::downgrade(&node));
                    table.sweep();
                    node
                }
            };
            let same = {
                let inner = node.inner.lock();
                node.kind == kind && inner.carrier == carrier
            };
            if same {
                if self.beside {
                    node.file.store(wanted, Ordering::Relaxed);
                    node.saw_link(link);
                } else {
                    node.add_link(link);
                }
                return node;
            }
            ino = salt.hashed();
            salt.born.0 = salt.born.0.wrapping_add(1);
        }
    }

    /// Takes a reference for the caller.
    pub(crate) fn hold(&self, node: &Arc<Node>) {
        if node.ino != ROOT {
            let mut table = self.table.lock();
            let held = table.held.entry(node.ino);
            held.or_insert_with(|| (Arc::clone(node), 0)).1 += 1;
        }
    }

    /// Gives references back.
    pub(crate) fn forget(&self, ino: u64, count: u64) {
        let gone = {
            let mut table = self.table.lock();
            let Some((_, held)) = table.held.get_mut(&ino) else {
                return;
            };
            *held = held.saturating_sub(count);
            if *held > 0 {
                return;
            }
            table.held.remove(&ino)
        };
        drop(gone); // outside the table's lock: it may be the last reference to a chain of parents
        let mut table = self.table.lock();
        if table.known.get(&ino).is_some_and(|n| n.strong_count() == 0) {
            table.known.remove(&ino);
        }
    }

    /// The open directory of a node, from the cache or through its parents. The caller holds the tree lock.
    pub(crate) fn dir(
        &self,
        node: &Arc<Node>,
        root: &Arc<dyn Dir>,
        seen: Seen<'_>,
    ) -> Result<Arc<dyn Dir>> {
        let mut chain = Vec::new();
        let mut at = Arc::clone(node);
        let mut dir = loop {
            if at.ino == ROOT {
                break Arc::clone(root);
            }
            if at.kind != Kind::Dir {
                return Err(Error::NotDirectory);
            }
            if let Some(dir) = self.dirs.lock().get(&at.ino) {
                break Arc::clone(dir);
            }
            let link = at.link().filter(|_| chain.len() < DEEPEST);
            let link = link.ok_or(Error::NotFound)?;
            chain.push((at.ino, link.name));
            at = link.parent;
        };
        for (ino, name) in chain.into_iter().rev() {
            dir = super::locate::open_subdir(&dir, &name, seen, &self.solids)?;
            self.dirs.lock().put(ino, Arc::clone(&dir));
        }
        Ok(dir)
    }

    /// Closes all cached handles of directories.
    pub(crate) fn close_dirs(&self) {
        self.dirs.lock().clear();
        self.solids.clear();
    }

    /// The nodes that somebody holds.
    fn all(&self) -> Vec<Arc<Node>> {
        let table = self.table.lock();
        table.known.values().filter_map(Weak::upgrade).collect()
    }

    /// Gives nodes another inode that carries their attributes, where `to` says so of the one they have.
    pub(crate) fn carry(&self, to: &dyn Fn(&Identity) -> Option<Identity>) {
        for node in self.all() {
            let mut inner = node.inner.lock();
            if let Some(new) = to(&inner.carrier) {
                inner.carrier = new;
            }
        }
    }

    /// Some node that is open and of whose carrier `of` says yes.
    pub(crate) fn open_one(&self, of: &dyn Fn(&Identity) -> bool) -> Option<Arc<Node>> {
        let all = self.all().into_iter();
        let mut open = all.filter(|node| {
            let inner = node.inner.lock();
            inner.open.is_some() && of(&inner.carrier)
        });
        open.next()
    }

    /// Closes the cached handle of a directory that was removed.
    pub(crate) fn close_dir(&self, ino: u64) {
        self.dirs.lock().pop(&ino);
    }
}

impl Table {
    /// Removes entries of dead nodes when there may be many: amortised constant work.
    fn sweep(&mut self) {
        if self.known.len() > self.sweep_at {
            self.known.retain(|_, node| node.strong_count() > 0);
            self.sweep_at = (self.known.len() * 2).max(1024);
        }
    }
}
