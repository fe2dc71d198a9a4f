//! An open store: what it is made of, how it is opened and closed, and how names are found in it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::cache::Cache;
use super::context::Met;
use super::dictionaries::Dictionaries;
use super::disk::{self, Dir, Kind};
use super::families::Families;
use super::foreign::Templates;
use super::locate::{self, Entry, Found, Seen};
use super::lock::Lock;
use super::names;
use super::node::{Link, Node, Nodes};
use super::overlays::Overlays;
use super::own::Own;
use super::pairs::Lingering;
use super::policy::Policy;
use super::predecessors::Predecessors;
use super::quality::Reduced;
use super::solid::{OpenDir, Shape};
use super::state::State;
use super::worker::Queue;
use super::{Aspect, Attr, Degraded, Error, Item, Options, ROOT, Result, Space, intent};
use crate::foreign::Choice;
use crate::format::Digest;

/// What happened since the store was opened.
#[derive(Debug, Default, serde::Serialize)]
pub struct Counters {
    /// Files encoded.
    pub encoded: AtomicU64,
    /// Files decoded and made plain again, to be written.
    pub promoted: AtomicU64,
    /// Promoted files that were closed unchanged and took their set back.
    pub restored: AtomicU64,
    /// Files that encoding was tried for and that stayed plain.
    pub kept: AtomicU64,
    /// Directories made solid.
    pub frozen: AtomicU64,
    /// Solid directories made native again, to be changed.
    pub thawed: AtomicU64,
    /// Files that could not be encoded.
    pub failed: AtomicU64,
    /// Entries that recovery moved to `lost+found`.
    pub lost_found: AtomicU64,
    /// Reads that failed because too little was left.
    pub unreadable: AtomicU64,
    /// Files that came to be shown at reduced quality.
    pub degraded: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    pub(crate) root: Arc<dyn Dir>,
    /// `None` when the store is open read-only.
    pub(crate) own: Option<Own>,
    pub(crate) policy: Policy,
    pub(crate) options: Options,
    pub(crate) nodes: Nodes,
    /// Held for writing while a directory moves, so that nobody opens directories by paths of yesterday.
    pub(crate) tree: RwLock<()>,
    /// Held for reading by whoever has a directory open ([`OpenDir`]), for writing while one gets another form.
    pub(crate) shape: RwLock<()>,
    /// Held by whoever makes a directory solid, one at a time.
    pub(crate) freezing: Mutex<()>,
    /// Held by whoever makes one native again, so that those who wait for the same do it once.
    pub(crate) thawing: Mutex<()>,
    pub(crate) lingering: Lingering,
    pub(crate) cache: Cache,
    pub(crate) dictionaries: Arc<Dictionaries>,
    /// Shared with the views.
    pub(crate) templates: Arc<Templates>,
    /// Shared with the views.
    pub(crate) contexts: Arc<Met>,
    pub(crate) families: Families,
    pub(crate) overlays: Overlays,
    pub(crate) predecessors: Predecessors,
    pub(crate) queue: Queue,
    pub(crate) counters: Counters,
    /// Damage that reads met, by set, until the set is verified again.
    pub(crate) damaged: Mutex<HashMap<Digest, Vec<String>>>,
    pub(crate) reduced: Reduced,
    pub(crate) worker: Mutex<Vec<std::thread::JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
    promoted: AtomicBool,
}

impl Store {
    /// Opens the store at `path`.
    ///
    /// # Errors
    /// [`Error::NoStore`], [`Error::Locked`], [`Error::Newer`], [`Error::Policy`], and what the medium says.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Self>> {
        let no_store = |what: &str| Error::NoStore {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let root = disk::open_root(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => no_store("no such directory"),
            std::io::ErrorKind::NotADirectory => no_store("not a directory"),
            _ => Error::Io(e),
        })?;
        let own = OsStr::new(names::OWN);
        match disk::meta_if_there(root.as_ref(), own)? {
            Some(meta) if meta.kind == Kind::Dir => {}
            _ => return Err(no_store("not a holofs store")),
        }
        let lock = if options.read_only {
            None
        } else {
            Some(Lock::take(root.dir(own)?.as_ref(), path)?)
        };
        Self::assemble(root, options, lock, path, Default::default())
    }

    /// Opens a store on any medium; `root` is the store's directory. No lock is taken.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn on_disk(root: Arc<dyn Dir>, options: Options) -> Result<Arc<Self>> {
        Self::assemble(root, options, None, Path::new("."), Default::default())
    }

    /// This store as a view shows it: read-only, beside this one, and following what this one writes. It holds no lock
    /// and has no thread.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn seen_as(&self, aspect: &Aspect) -> Result<Arc<Self>> {
        let mut options = Options {
            read_only: true,
            cache_dir: None,
            worker: false,
            ..self.options.clone()
        };
        match aspect {
            Aspect::Chunks(chunks) => {
                let chunks = u16::from(*chunks);
                options.chunks = Some(options.chunks.map_or(chunks, |most| chunks.min(most)));
                options.degraded = Some(Degraded::Serve);
            }
            Aspect::Context(context) => options.context.clone_from(context),
        }
        let shared = (Arc::clone(&self.templates), Arc::clone(&self.contexts));
        let root = Arc::clone(&self.root);
        Self::assemble(root, options, None, Path::new("."), shared)
    }

    /// How sets are read.
    pub(crate) fn seen(&self) -> Seen<'_> {
        Seen {
            chunks: self.options.chunks,
            choice: Choice {
                sums: self.options.sums,
                context: self.options.context.named(),
            },
            templates: Some(&self.templates),
        }
    }

    fn assemble(
        root: Arc<dyn Dir>,
        options: Options,
        lock: Option<Lock>,
        path: &Path,
        (templates, contexts): (Arc<Templates>, Arc<Met>),
    ) -> Result<Arc<Self>> {
        let base = root.dir(OsStr::new(names::OWN))?;
        if super::init::is_unfinished(base.as_ref())? {
            return Err(Error::NoStore {
                path: path.to_owned(),
                what: "making it a store was interrupted, and has to be finished".to_owned(),
            });
        }
        let policy = Policy::load(base.as_ref(), &path.join(names::OWN).join(names::POLICY))?;
        let promoted = disk::meta_if_there(base.as_ref(), OsStr::new(names::PROMOTED))?.is_some();
        let dictionaries = Arc::new(Dictionaries::new(Arc::clone(&base)));
        let own = if options.read_only {
            None
        } else {
            let own = Own::open(base)?;
            intent::replay_all(&root, &own)?;
            Some(own)
        };
        let cache = Cache::new(own.as_ref(), &options, &policy, root.as_ref())?;
        let overlays = Overlays::of(own.as_ref())?;
        let store = Arc::new(Self {
            root,
            own,
            queue: Queue::new(policy.encode),
            policy,
            cache,
            dictionaries,
            templates,
            contexts,
            families: Families::default(),
            overlays,
            predecessors: Predecessors::default(),
            nodes: Nodes::new(&options),
            tree: RwLock::new(()),
            shape: RwLock::new(()),
            freezing: Mutex::new(()),
            thawing: Mutex::new(()),
            lingering: Lingering::default(),
            counters: Counters::default(),
            damaged: Mutex::default(),
            reduced: Reduced::default(),
            worker: Mutex::default(),
            lock: Mutex::new(lock),
            promoted: AtomicBool::new(promoted),
            options,
        });
        if store.own.is_some() && store.options.worker {
            super::worker::start(&store)?;
        } else if let Some(own) = &store.own {
            own.purge_stale();
        }
        Ok(store)
    }

    /// Has background work and settling end as soon as they can, whoever waits for them; [`Store::close`] is next.
    pub fn stop(&self) {
        self.queue.stop();
    }

    /// Ends background work, empties the cache, releases the lock. Running encodings are dropped, not finished.
    ///
    /// # Errors
    /// None at present; a later medium may have some.
    pub fn close(&self) -> Result<()> {
        self.queue.stop();
        for thread in std::mem::take(&mut *self.worker.lock()) {
            if thread.join().is_err() {
                log::error!("a background thread ended by a panic");
            }
        }
        if self.own.is_some() && !self.options.worker {
            // Nobody remembers lingering copies and nobody else ends it: a command leaves none.
            for linger in self.lingering.all() {
                if let Err(e) = self.end_linger(&linger) {
                    log::warn!("a decoded copy stays beside its set: {e}");
                }
            }
        }
        if let Some(own) = &self.own {
            self.families.save(own.base.as_ref());
            own.empty();
        }
        drop(self.lock.lock().take());
        Ok(())
    }

    /// What happened since the store was opened.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The directory of the store itself.
    #[must_use]
    pub fn root(&self) -> &Arc<dyn Dir> {
        &self.root
    }

    /// Whether some plain file may have a logical inode number that is not its native one's. In a store where no
    /// encoded file was ever made plain again none has, and looking up a file asks for no attribute.
    fn remembers(&self) -> bool {
        self.promoted.load(Ordering::Relaxed)
    }

    /// Notes durably that from now on plain files may have logical inode numbers of their own.
    pub(crate) fn note_promotion(&self) -> Result<()> {
        if !self.remembers() {
            let own = self.own()?;
            match own.base.create(OsStr::new(names::PROMOTED), 0o600, 0) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                created => drop(created?),
            }
            own.base.sync()?;
            self.promoted.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(crate) fn own(&self) -> Result<&Own> {
        self.own.as_ref().ok_or(Error::ReadOnly)
    }

    /// The open directory of a node, which keeps its form for as long as the caller has it.
    pub(crate) fn dir(&self, node: &Arc<Node>) -> Result<OpenDir<'_>> {
        let shape = Shape::of(&self.shape);
        let _tree = self.tree.read();
        let dir = self.nodes.dir(node, &self.root, self.seen())?;
        Ok(OpenDir::new(dir, shape))
    }

    /// A node that must be a directory, and its open directory.
    pub(crate) fn dir_node(&self, ino: u64) -> Result<(Arc<Node>, OpenDir<'_>)> {
        let node = self.nodes.get(ino)?;
        if node.kind != Kind::Dir {
            return Err(Error::NotDirectory);
        }
        let dir = self.dir(&node)?;
        Ok((node, dir))
    }

    /// Refuses the reserved name in the root.
    pub(crate) fn check_name(parent: &Node, name: &OsStr) -> Result<()> {
        if parent.ino == ROOT && name == names::OWN {
            return Err(Error::Denied);
        }
        Ok(())
    }

    /// What `name` is, with pairs resolved; the guard keeps it so.
    pub(crate) fn found<'a>(
        &self,
        parent: &'a Arc<Node>,
        dir: &Arc<dyn Dir>,
        name: &OsStr,
    ) -> Result<(RwLockReadGuard<'a, ()>, Option<Found>)> {
        if parent.ino == ROOT && name == names::OWN {
            return Ok((parent.names.read(), None));
        }
        loop {
            let guard = parent.names.read();
            let found = locate::locate(dir, name, self.seen())?;
            self.supply(found.as_ref());
            match found {
                Some(pair @ Found::Pair { .. }) if !self.lingering.knows(&pair) => {
                    if self.own.is_none() {
                        return Ok((guard, Some(super::pairs::newer(pair))));
                    }
                    drop(guard);
                    let _names = parent.names.write();
                    self.found_locked(dir, name)?;
                }
                found => return Ok((guard, found)),
            }
        }
    }

    /// Lets what was found read dictionaries, and notes the contexts that it has variants for.
    fn supply(&self, found: Option<&Found>) {
        match found {
            Some(Found::Encoded { object, .. } | Found::Pair { object, .. }) => {
                object.supply(&self.dictionaries);
                if !object.variants().is_empty() {
                    let variants = object.variants().iter();
                    self.contexts
                        .note(variants.filter_map(|v| v.context.named()));
                }
            }
            Some(Found::Foreign { content, .. }) if !content.contexts().is_empty() => {
                let names = content.contexts().iter();
                self.contexts.note(names.map(String::as_str));
            }
            _ => {}
        }
    }

    /// Like [`Store::found`], for callers that hold the parent's `names` for writing.
    pub(crate) fn found_locked(&self, dir: &Arc<dyn Dir>, name: &OsStr) -> Result<Option<Found>> {
        loop {
            let (found, unreadable) = locate::locate_all(dir, name, self.seen())?;
            self.supply(found.as_ref());
            if let Some(disk) = unreadable
                && self.own.is_some()
            {
                self.set_aside(dir.as_ref(), name, &disk, "a set that nobody can read")?;
            }
            match found {
                Some(pair @ Found::Pair { .. }) if !self.lingering.knows(&pair) => {
                    self.resolve_pair(dir.as_ref(), name, &pair)?;
                }
                found => return Ok(found),
            }
        }
    }

    /// The logical inode number that `found` asks for.
    pub(crate) fn wanted_ino(&self, dir: &dyn Dir, found: &Found) -> u64 {
        match found {
            Found::Native { meta, disk }
            | Found::Pair {
                meta, plain: disk, ..
            } if matches!(meta.kind, Kind::File | Kind::Dir) && self.remembers() => {
                State::of(dir, disk).ino(meta)
            }
            Found::Encoded { object, .. } | Found::Solid { object, .. } => object.attributes().ino,
            other => other.carrier().logical(),
        }
    }

    /// The node of what was found; the caller holds the parent's `names`.
    pub(crate) fn node_of(
        &self,
        parent: &Arc<Node>,
        dir: &dyn Dir,
        name: &OsStr,
        found: &Found,
    ) -> Arc<Node> {
        let link = Link {
            parent: Arc::clone(parent),
            name: name.to_owned(),
        };
        let wanted = self.wanted_ino(dir, found);
        let node = self
            .nodes
            .intern(wanted, found.kind(), found.carrier(), link);
        if let Found::Pair { meta, .. } = found {
            self.lingering.adopt(meta, &node);
        }
        node
    }

    /// Logical names from the root to a directory.
    pub(crate) fn path_of(node: &Arc<Node>) -> Result<Vec<OsString>> {
        let path = node.path().ok_or(Error::NotFound)?;
        Ok(path.iter().map(OsStr::to_owned).collect())
    }

    /// Finds `name` in a directory and takes a reference on what it names.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotDirectory`], [`Error::NameTooLong`], and what the medium says.
    pub fn lookup(&self, parent: u64, name: &OsStr) -> Result<Attr> {
        let (parent, dir) = self.dir_node(parent)?;
        let (_names, found) = self.found(&parent, &dir, name)?;
        let found = found.ok_or(Error::NotFound)?;
        let node = self.node_of(&parent, dir.as_ref(), name, &found);
        self.nodes.hold(&node);
        Ok(self.attr_of(&node, &found))
    }

    /// Follows a path of logical names from the root and takes a reference on what it names.
    ///
    /// # Errors
    /// Those of [`Store::lookup`].
    pub fn lookup_path(&self, path: &Path) -> Result<Attr> {
        let mut attr = self.attr(ROOT)?;
        for part in path {
            if part == "/" || part == "." {
                continue;
            }
            let next = self.lookup(attr.ino, part);
            self.forget(attr.ino, 1);
            attr = next?;
        }
        Ok(attr)
    }

    /// Gives `count` references back.
    pub fn forget(&self, ino: u64, count: u64) {
        self.nodes.forget(ino, count);
    }

    /// A consistent listing of a directory, without `.` and `..`.
    ///
    /// # Errors
    /// [`Error::NotDirectory`], and what the medium says.
    pub fn read_dir(&self, ino: u64) -> Result<Vec<Item>> {
        let (node, dir) = self.dir_node(ino)?;
        let _names = node.names.read();
        let mut items = Vec::new();
        locate::list(&dir, ino == ROOT, self.seen(), &mut |name, entry| {
            let (kind, ino) = match entry {
                Entry::Alone(kind) => (kind, None),
                Entry::Found(found) => (found.kind(), Some(self.wanted_ino(dir.as_ref(), &found))),
            };
            items.push(Item { name, ino, kind });
        })?;
        Ok(items)
    }

    /// Inode number of an item of a listing, without taking a reference.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is gone, and what the medium says.
    pub fn item_ino(&self, dir: u64, item: &Item) -> Result<u64> {
        if let Some(ino) = item.ino {
            return Ok(ino);
        }
        let (node, dir) = self.dir_node(dir)?;
        let _names = node.names.read();
        let disk = names::plain(&item.name).ok_or(Error::NameTooLong)?;
        let found = match dir.meta(&disk) {
            Ok(meta) => Found::Native { meta, disk },
            Err(_) => self
                .found_locked(&dir, &item.name)?
                .ok_or(Error::NotFound)?, // encoded meanwhile
        };
        Ok(self.wanted_ino(dir.as_ref(), &found))
    }

    /// Parent of a directory (the root's is the root).
    ///
    /// # Errors
    /// [`Error::NotFound`] for a directory that was removed.
    pub fn parent(&self, ino: u64) -> Result<u64> {
        let node = self.nodes.get(ino)?;
        if ino == ROOT {
            return Ok(ROOT);
        }
        Ok(node.link().ok_or(Error::NotFound)?.parent.ino)
    }

    /// Makes a directory durable.
    ///
    /// # Errors
    /// What the medium says.
    pub fn sync_dir(&self, ino: u64) -> Result<()> {
        Ok(self.dir_node(ino)?.1.sync()?)
    }

    /// Sizes of the filesystem below.
    ///
    /// # Errors
    /// What the medium says.
    pub fn space(&self) -> Result<Space> {
        Ok(self.root.space()?)
    }
}
