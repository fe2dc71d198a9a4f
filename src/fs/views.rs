//! Views, read-only: the tree as fewer chunks would show it, and as it is in other contexts.
//!
//! They are `.holofs/view/K/` for any K chunks of each set and `.holofs/context/NAME/`.
//!
//! A view is a read-only [`Store`] of its own on the same directory, opened when somebody first looks into it and
//! dropped when the kernel has forgotten its last inode: it has no thread, no lock, no decoded cache. Its inodes are
//! its own. The number that the kernel sees has the top bit, as all of ours, and mixes the view with the number in
//! the store, so that it is the same in every mount; a table of those that the kernel holds leads back.
//!
//! The main tree changes without a word to the views, so that the kernel keeps nothing of them: names and attributes
//! have no lifetime, files are read past the page cache. Listings it would keep until it sees another modification
//! time, which a directory that changes twice in one tick of the clock does not have: it is told to drop them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fuser::{Errno, FileAttr, INodeNo};
use parking_lot::Mutex;

use super::attr::{bare_attr, file_attr, file_type};
use super::listings::Listing;
use super::own::{self, DIR};
use super::view::Seen;
use crate::format::Digest;
use crate::store::{Aspect, Attr, Context, Item, Kind, OpenHow, ROOT, Seek, Store};

/// Number of the root of the view of no chunks; the view of K has one that is K higher.
const ROOTS: u64 = DIR | 0x100;
/// Lowest number of an inode below the root of a view.
const FIRST: u64 = DIR | 0x1000;
/// Views that are listed: there are as many chunks in the sets of every named profile.
const LISTED: u8 = 16;
/// Whether an inode number is one of a view.
pub(super) fn is_shown(ino: u64) -> bool {
    ino > ROOTS
}

/// The view that a name in one of the directories of views means.
fn aspect(dir: own::Views, name: &OsStr) -> Option<Aspect> {
    match dir {
        own::Views::Chunks => {
            let chunks: u8 = name.to_str()?.parse().ok()?;
            let written = chunks > 0 && name == chunks.to_string().as_str();
            written.then_some(Aspect::Chunks(chunks))
        }
        own::Views::Contexts => Context::of_dir(name).map(Aspect::Context),
    }
}

/// The directory that a view is in.
fn dir_of(aspect: &Aspect) -> own::Views {
    match aspect {
        Aspect::Chunks(_) => own::Views::Chunks,
        Aspect::Context(_) => own::Views::Contexts,
    }
}

/// What the kernel is told of an inode.
fn seen(number: u64, attr: &Attr) -> Seen {
    Seen {
        attr: FileAttr {
            ino: INodeNo(number),
            ..file_attr(attr)
        },
        ttl: Duration::ZERO,
    }
}

/// The number that an inode of a view should have.
fn number(aspect: &Aspect, ino: u64) -> u64 {
    let salt = match aspect {
        Aspect::Chunks(chunks) if ino == ROOT => return ROOTS + u64::from(*chunks),
        Aspect::Chunks(chunks) => u64::from(*chunks).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        Aspect::Context(context) => {
            let Digest(hash) = Digest::of(context.to_string().as_bytes());
            u64::from_le_bytes(hash.first_chunk().copied().unwrap_or_default())
        }
    };
    (DIR | (ino ^ salt)).max(FIRST)
}

/// One view.
#[derive(Debug)]
struct Shown {
    aspect: Aspect,
    /// `None` while nobody has looked below its root.
    store: Mutex<Option<Arc<Store>>>,
}

/// An inode of a view that the kernel holds.
#[derive(Debug)]
struct Held {
    shown: Arc<Shown>,
    /// Its number in the view's store.
    ino: u64,
    count: u64,
}

/// The views of one mount.
#[derive(Debug)]
pub(super) struct Views {
    /// The store that is mounted.
    main: Arc<Store>,
    held: Mutex<HashMap<u64, Held>>,
    shown: Mutex<HashMap<Aspect, Weak<Shown>>>,
}

impl Views {
    /// The views of a store.
    pub(super) fn new(main: Arc<Store>) -> Self {
        Self {
            main,
            held: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    /// What a directory of views lists. Contexts that nobody has met resolve all the same.
    pub(super) fn names(&self, dir: own::Views) -> Vec<Item> {
        let item = |name: String, aspect: &Aspect| Item {
            name: name.into(),
            ino: Some(number(aspect, ROOT)),
            kind: Kind::Dir,
        };
        match dir {
            own::Views::Chunks => (1..=LISTED)
                .map(|chunks| item(chunks.to_string(), &Aspect::Chunks(chunks)))
                .collect(),
            own::Views::Contexts => {
                let mut contexts = self.main.contexts();
                contexts.insert(Context::default());
                let all = contexts.into_iter();
                all.map(|context| item(context.to_string(), &Aspect::Context(context)))
                    .collect()
            }
        }
    }

    /// The view that differs in this.
    fn shown(&self, aspect: Aspect) -> Arc<Shown> {
        let mut shown = self.shown.lock();
        if let Some(there) = shown.get(&aspect).and_then(Weak::upgrade) {
            return there;
        }
        shown.retain(|_, shown| shown.strong_count() > 0); // names of contexts are many
        let new = Arc::new(Shown {
            aspect: aspect.clone(),
            store: Mutex::default(),
        });
        shown.insert(aspect, Arc::downgrade(&new));
        new
    }

    /// The store of a view.
    fn store(&self, shown: &Shown) -> Result<Arc<Store>, Errno> {
        let mut store = shown.store.lock();
        if let Some(store) = &*store {
            return Ok(Arc::clone(store));
        }
        let opened = self.main.seen_as(&shown.aspect)?;
        *store = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// The view that an inode belongs to, and its number there.
    fn place(&self, ino: u64) -> Result<(Arc<Shown>, u64), Errno> {
        let held = self.held.lock();
        let held = held.get(&ino).ok_or(Errno::ESTALE)?;
        Ok((Arc::clone(&held.shown), held.ino))
    }

    /// The store of an inode's view, and its number there.
    fn inside(&self, ino: u64) -> Result<(Arc<Store>, u64), Errno> {
        let (shown, ino) = self.place(ino)?;
        Ok((self.store(&shown)?, ino))
    }

    /// Counts a reference of the kernel; returns the number that it is to see.
    fn hold(&self, shown: &Arc<Shown>, ino: u64) -> u64 {
        let mut table = self.held.lock();
        let mut number = number(&shown.aspect, ino);
        loop {
            let held = table.entry(number).or_insert_with(|| Held {
                shown: Arc::clone(shown),
                ino,
                count: 0,
            });
            if held.shown.aspect == shown.aspect && held.ino == ino {
                held.count += 1;
                return number;
            }
            // Another inode has it. Not to be met with: numbers are hashes of 63 bits.
            number = number.checked_add(1).unwrap_or(FIRST);
        }
    }

    /// The kernel has given `count` references back.
    pub(super) fn forget(&self, ino: u64, count: u64) {
        let (shown, inside) = {
            let mut table = self.held.lock();
            let Some(held) = table.get_mut(&ino) else {
                return;
            };
            held.count = held.count.saturating_sub(count);
            let place = (Arc::clone(&held.shown), held.ino);
            if held.count == 0 {
                table.remove(&ino);
            }
            place
        };
        let store = shown.store.lock().clone();
        if let Some(store) = store {
            store.forget(inside, count);
        }
    }

    /// What a name is, in a view or in a directory of views; takes a reference on it.
    pub(super) fn lookup(&self, parent: u64, name: &OsStr) -> Result<Seen, Errno> {
        if let Some(dir) = own::Views::of(parent) {
            let aspect = aspect(dir, name).ok_or(Errno::ENOENT)?;
            let attr = self.main.attr(ROOT)?; // the same directory
            return Ok(seen(self.hold(&self.shown(aspect), ROOT), &attr));
        }
        let (shown, parent) = self.place(parent)?;
        let attr = self.store(&shown)?.lookup(parent, name)?;
        Ok(seen(self.hold(&shown, attr.ino), &attr))
    }

    /// Attributes.
    pub(super) fn attr(&self, ino: u64) -> Result<Seen, Errno> {
        let (shown, inside) = self.place(ino)?;
        let attr = match inside {
            ROOT => self.main.attr(ROOT)?,
            _ => self.store(&shown)?.attr(inside)?,
        };
        Ok(seen(ino, &attr))
    }

    /// Target of a symbolic link.
    pub(super) fn read_link(&self, ino: u64) -> Result<OsString, Errno> {
        let (store, ino) = self.inside(ino)?;
        Ok(store.read_link(ino)?)
    }

    /// An extended attribute.
    pub(super) fn xattr(&self, ino: u64, name: &OsStr) -> Result<Vec<u8>, Errno> {
        let (store, ino) = self.inside(ino)?;
        Ok(store.xattr(ino, name)?)
    }

    /// Names of the extended attributes.
    pub(super) fn xattrs(&self, ino: u64) -> Result<Vec<OsString>, Errno> {
        let (store, ino) = self.inside(ino)?;
        Ok(store.xattrs(ino)?)
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, ino: u64) -> Result<(), Errno> {
        let (store, ino) = self.inside(ino)?;
        store.open_file(ino, OpenHow::default())?;
        Ok(())
    }

    /// Ends one open.
    pub(super) fn release(&self, ino: u64) {
        if let Ok((store, ino)) = self.inside(ino) {
            store.release(ino, false);
        }
    }

    /// Reads of an open file into `buf`; returns how much.
    pub(super) fn read(&self, ino: u64, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let (store, ino) = self.inside(ino)?;
        Ok(store.read(ino, offset, buf)?)
    }

    /// lseek(2) for data and holes.
    pub(super) fn seek(&self, ino: u64, offset: u64, whence: Seek) -> Result<u64, Errno> {
        let (store, ino) = self.inside(ino)?;
        Ok(store.seek(ino, offset, whence)?)
    }

    /// The names of a directory.
    pub(super) fn listing(&self, ino: u64) -> Result<Listing, Errno> {
        let (shown, inside) = self.place(ino)?;
        let store = self.store(&shown)?;
        let parent = match inside {
            ROOT => dir_of(&shown.aspect).dir(),
            _ => number(&shown.aspect, store.parent(inside)?),
        };
        Ok(Listing::new(ino, parent, store.read_dir(inside)?))
    }

    /// Inode number of an entry of a listing.
    pub(super) fn ino_of(&self, dir: u64, item: &Item) -> Result<u64, Errno> {
        if item.name == "." || item.name == ".." {
            return item.ino.ok_or(Errno::ENOENT); // as the kernel sees it
        }
        let (shown, dir) = self.place(dir)?;
        let ino = self.store(&shown)?.item_ino(dir, item)?;
        Ok(number(&shown.aspect, ino))
    }

    /// An entry of a listing with its attributes, other than `.` and `..`; `None` if it has gone.
    pub(super) fn listed(&self, dir: u64, item: &Item) -> Option<Seen> {
        match self.lookup(dir, &item.name) {
            Ok(seen) => Some(seen),
            Err(Errno::ENOENT) => None,
            Err(_) => Some(Seen {
                attr: bare_attr(0, file_type(item.kind)),
                ttl: Duration::ZERO,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::store;

    #[test]
    fn views_have_the_names_of_their_chunks() {
        for (name, wanted) in [
            ("1", Some(1)),
            ("16", Some(16)),
            ("255", Some(255)),
            ("256", None),
            ("0", None),
            ("04", None),
            ("+4", None),
            ("-1", None),
            ("", None),
            ("stats.json", None),
        ] {
            let aspect = aspect(own::Views::Chunks, OsStr::new(name));
            assert_eq!(aspect, wanted.map(Aspect::Chunks), "{name}");
        }
        let views = views();
        for (dir, count) in [(own::Views::Chunks, 16), (own::Views::Contexts, 1)] {
            let names = views.1.names(dir);
            assert_eq!(names.len(), count);
            for item in names {
                let aspect = aspect(dir, &item.name).unwrap();
                assert_eq!(dir_of(&aspect), dir);
                assert_eq!(item.ino, Some(number(&aspect, ROOT)));
            }
        }
    }

    #[test]
    fn contexts_have_their_names() {
        let of = |name: &str| aspect(own::Views::Contexts, OsStr::new(name));
        let named = Context::new("4").map(Aspect::Context);
        assert!(named.is_some() && of("4") == named);
        assert_eq!(of("DEFAULT"), Some(Aspect::Context(Context::default())));
        assert_eq!(of(&"n".repeat(65)), None);
    }

    #[test]
    fn an_inode_has_another_number_in_every_view() {
        let mut numbers = std::collections::HashSet::new();
        for ino in [ROOT, 2, 3, 0x1234_5678_9abc_def0, (1 << 63) - 1] {
            let chunks = (1..=255).map(Aspect::Chunks);
            let contexts = ["DEFAULT", "A", "B"].map(|name| Context::new(name).unwrap());
            for aspect in chunks.chain(contexts.map(Aspect::Context)) {
                let number = number(&aspect, ino);
                assert!(is_shown(number) && numbers.insert(number));
            }
        }
        let dirs = [own::Views::Chunks, own::Views::Contexts].map(own::Views::dir);
        for ino in [DIR, ROOT].into_iter().chain(dirs) {
            assert!(!is_shown(ino));
        }
    }

    /// The views of an empty store.
    fn views() -> (tempfile::TempDir, Views) {
        let dir = tempfile::tempdir().unwrap();
        store::init(dir.path()).unwrap();
        let main = Store::open(dir.path(), store::Options::default()).unwrap();
        (dir, Views::new(main))
    }

    #[test]
    fn a_view_is_there_for_as_long_as_the_kernel_holds_something_of_it() {
        let (dir, views) = views();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        let top = own::Views::Chunks.dir();
        let open = || {
            let shown = views.shown.lock();
            let shown = shown.get(&Aspect::Chunks(4)).and_then(Weak::upgrade);
            shown.is_some_and(|shown| shown.store.lock().is_some())
        };
        let root = views.lookup(top, OsStr::new("4")).unwrap().attr.ino.0;
        views.attr(root).unwrap();
        assert!(!open(), "nobody looked into it");
        let sub = views.lookup(root, OsStr::new("sub")).unwrap().attr.ino.0;
        assert!(open() && is_shown(sub));
        let listing = views.listing(sub).unwrap();
        let dots: Vec<_> = listing.after(0).iter().map(|(_, item)| item.ino).collect();
        assert_eq!(dots, [Some(sub), Some(root)]);
        let absent = views.lookup(sub, OsStr::new("none"));
        assert_eq!(absent.unwrap_err(), Errno::ENOENT);
        views.forget(root, 1);
        assert!(open() && views.attr(sub).is_ok());
        views.forget(sub, 1);
        assert!(!open(), "all of it is forgotten");
        assert_eq!(views.attr(sub).unwrap_err(), Errno::ESTALE);
    }
}
