//! What is in a directory that is to become solid, where its bytes are, and whether all may stay.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::attrs::now;
use super::super::disk::{self, Access, Dir, File, Kind, Meta};
use super::super::locate::{self, Found};
use super::super::node::{Identity, Node};
use super::super::object::Object;
use super::super::policy::{CodecChoice, Reason};
use super::super::tree::Store;
use super::super::{Error, names};
use super::same;
use crate::codec::{self, Medium};
use crate::format::bundle::{Entry, MAX_ENTRIES, What};
use crate::format::{ObjectKind, SetId, Time};

/// Times of change this young may not move with the next change: clocks of filesystems tick.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// Why a directory does not become solid.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something in it is in use, or changed a moment ago.
    Busy(String),
    /// It changed less than a quiet time ago: wait so long.
    Young(Duration),
    /// It is nothing that is kept as one.
    Unsuited(String),
    /// It could not be read.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(e: E) -> Self {
        Self::Failed(e.into())
    }
}

/// What a directory must be like to be made solid unasked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Regular files at least.
    files: u64,
    /// Bytes of all files at most.
    total: u64,
    /// Bytes of a file on average, below.
    mean: u64,
    /// Names at most: all are looked at once more while everybody waits.
    names: usize,
    /// Unchanged for so long.
    quiet: Duration,
}

impl Limits {
    /// Many small files that nobody changed for `quiet`.
    pub(super) fn unasked(quiet: Duration) -> Self {
        Self {
            files: 16,
            total: 1 << 30,
            mean: 64 << 10,
            names: 1 << 16,
            quiet,
        }
    }
}

/// Where an entry is now, and what it was when it was looked at.
#[derive(Debug)]
pub(super) struct Source {
    /// The directory that it is in.
    pub(super) parent: Arc<Node>,
    /// Its name on disk there.
    pub(super) disk: OsString,
    /// What the medium said of that name.
    meta: Meta,
    /// Of an encoded file the set that holds it, and the meta of its carrier. The object is opened when it is read: there
    /// may be more of them than files can be open.
    encoded: Option<(SetId, Meta)>,
    /// What its node is known by.
    pub(super) carrier: Identity,
}

impl Source {
    /// Whether it is still what it was, and nobody can change it.
    pub(super) fn is_as_it_was(&self, dir: &dyn Dir) -> Result<bool, Error> {
        if let Some((_, carrier)) = &self.encoded {
            // The manifest of a spread set carries what the entry of its directory does not tell.
            let manifest = OsStr::new(names::MANIFEST);
            if self.meta.kind == Kind::Dir && !same(&dir.dir(&self.disk)?.meta(manifest)?, carrier)
            {
                return Ok(false);
            }
        } else if self.meta.kind == Kind::File {
            let file = dir.open(&self.disk, Access::Read)?;
            match file.lease() {
                Ok(lease) => drop(lease),
                Err(e) if e.kind() == std::io::ErrorKind::Unsupported => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e.into()),
            }
        }
        // Only now is it certain that nobody writes: look again.
        Ok(same(&dir.meta(&self.disk)?, &self.meta))
    }

    /// Its content; `None` where that has another form now. `name` is its logical name.
    pub(super) fn open(&self, store: &Store, name: &OsStr) -> Result<Option<Bytes>, Error> {
        let dir = store.dir(&self.parent)?;
        let Some((set, _)) = &self.encoded else {
            return Ok(Some(Bytes::File(dir.open(&self.disk, Access::Read)?)));
        };
        let (_names, found) = store.found(&self.parent, &dir, name)?;
        Ok(match found {
            Some(Found::Encoded { object, .. }) if object.set() == *set => {
                Some(Bytes::Object(object))
            }
            _ => None,
        })
    }

    /// Whether an open file is what was looked at.
    pub(super) fn is(&self, bytes: &Bytes) -> Result<bool, Error> {
        match bytes {
            Bytes::File(file) => Ok(same(&file.meta()?, &self.meta)),
            Bytes::Object(_) => Ok(true),
        }
    }
}

/// Where bytes of a file are read.
pub(super) enum Bytes {
    File(Arc<dyn File>),
    Object(Arc<Object>),
}

impl Bytes {
    /// Fills `buf` from byte `offset`, with what is proved exact.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::File(file) => Ok(disk::read_exact_at(file.as_ref(), buf, offset)?),
            Self::Object(object) if object.read_at(offset, buf)? == buf.len() => Ok(()),
            Self::Object(_) => Err(Error::Invalid),
        }
    }
}

/// A directory with all that is in it.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) entries: Vec<Entry>,
    /// One for each entry.
    pub(super) sources: Vec<Source>,
    /// The last change of anything that can change.
    newest: Time,
    files: u64,
    total: u64,
    /// Hard links met: which entry, how many more names there must be.
    linked: HashMap<Identity, (u32, u32)>,
}

impl Survey {
    /// Looks at the directory `top` and everything below it, none of which may be open. `go_on` is asked at every
    /// directory. With `limits` it must be worth keeping as one.
    pub(super) fn of(
        store: &Store,
        top: &Arc<Node>,
        limits: Option<Limits>,
        go_on: &mut dyn FnMut(&Path) -> bool,
    ) -> Result<Self, Stop> {
        let unsuited = |what: &str| Err(Stop::Unsuited(what.to_owned()));
        let begun = now();
        let link = top.link().ok_or(Error::NotFound)?;
        if names::encoded(&link.name).is_none() {
            return unsuited("its name is too long");
        }
        let mut survey = Self {
            entries: Vec::new(),
            sources: Vec::new(),
            newest: Time::default(),
            files: 0,
            total: 0,
            linked: HashMap::new(),
        };
        {
            let dir = store.dir(&link.parent)?;
            let (_names, found) = store.found(&link.parent, &dir, &link.name)?;
            let Some(found @ Found::Native { .. }) = found else {
                return Err(Stop::Busy("it has another form now".to_owned()));
            };
            survey.add(store, top, &link.parent, &dir, (0, &[]), &found)?;
        }
        let mut left = VecDeque::from([(Arc::clone(top), 0)]);
        while let Some((node, index)) = left.pop_front() {
            let path = node.path().unwrap_or_default();
            if !go_on(&path) || store.queue.is_stopped() {
                return Err(Stop::Failed(
                    std::io::Error::from(std::io::ErrorKind::Interrupted).into(),
                ));
            }
            let dir = store.dir(&node)?;
            let mut children = Vec::new();
            {
                let _names = node.names.read();
                locate::list(&dir, false, store.seen(), &mut |name, _| {
                    children.push(name);
                })?;
            }
            children.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
            for name in children {
                let (names, found) = store.found(&node, &dir, &name)?;
                let found = found.ok_or_else(|| busy(&path.join(&name)))?;
                let child = store.node_of(&node, dir.as_ref(), &name, &found);
                drop(names); // it is looked at once more before the switch
                if child.is_open() {
                    return Err(busy(&path.join(&name)));
                }
                let at = survey.entries.len();
                let entry = (index, name.as_bytes());
                survey.add(store, &child, &node, &dir, entry, &found)?;
                if limits.is_some() {
                    suits(store, &path.join(&name), &dir, &found)?;
                }
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                if child.kind == Kind::Dir {
                    left.push_back((child, at));
                }
            }
            if let Some(limits) = limits {
                if survey.total > limits.total {
                    return unsuited("its files are too large together");
                }
                if survey.entries.len() > limits.names {
                    return unsuited("there are too many names in it");
                }
            }
        }
        if survey.linked.values().any(|(_, missing)| *missing > 0) {
            return unsuited("a file in it has another name elsewhere");
        }
        if let Some(limits) = limits {
            survey.is_worth(limits)?;
        }
        let quiet = limits.map_or(TICK, |limits| limits.quiet.max(TICK));
        let age = age(begun, survey.newest);
        match quiet.checked_sub(age) {
            Some(wait) if !wait.is_zero() => Err(Stop::Young(wait)),
            _ => Ok(survey),
        }
    }

    fn is_worth(&self, limits: Limits) -> Result<(), Stop> {
        let unsuited = |what: &str| Err(Stop::Unsuited(what.to_owned()));
        if self.files < limits.files {
            return unsuited("there are few files in it");
        }
        if self.total >= limits.mean.saturating_mul(self.files) {
            return unsuited("its files are not small");
        }
        Ok(())
    }

    /// Adds one name. Of an entry that is there already under another one, a hard link.
    fn add(
        &mut self,
        store: &Store,
        node: &Arc<Node>,
        parent: &Arc<Node>,
        dir: &Arc<dyn Dir>,
        (index, name): (u32, &[u8]),
        found: &Found,
    ) -> Result<(), Stop> {
        let at = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if self.entries.len() >= MAX_ENTRIES {
            return Err(Stop::Unsuited(format!(
                "there are over {MAX_ENTRIES} names in it"
            )));
        }
        let shown = || node.path().unwrap_or_default();
        let (disk, object) = match found {
            Found::Native { disk, .. }
            | Found::Pair { plain: disk, .. }
            | Found::Solid { disk, .. } => (disk, None),
            Found::Encoded { object, disk } if object.descriptor().kind == ObjectKind::File => {
                (disk, Some(Arc::clone(object)))
            }
            Found::Encoded { .. } => {
                return Err(Stop::Unsuited(format!(
                    "{} has variants",
                    shown().display()
                )));
            }
            Found::Broken { .. } => {
                return Err(Stop::Unsuited(format!("{} is damaged", shown().display())));
            }
            Found::Foreign { .. } => {
                let what = "is in another program's format";
                return Err(Stop::Unsuited(format!("{} {what}", shown().display())));
            }
        };
        let on_disk = dir.meta(disk)?;
        let carrier = found.carrier();
        let mut entry = match &object {
            Some(object) => of_object(object)?,
            None if matches!(found, Found::Solid { .. }) => {
                let solid = store.dir(node)?;
                of_native(&solid.self_meta()?, &**solid, OsStr::new("."))?
            }
            None => of_native(&on_disk, dir.as_ref(), disk)?,
        };
        entry.parent = index;
        entry.name = name.to_vec();
        entry.ino = node.ino;
        let links = if object.is_none() && entry.what != What::Dir {
            on_disk.nlink
        } else {
            1
        };
        let mut first = true;
        if links > 1 {
            let known = self.linked.entry(carrier).or_insert((at, links));
            known.1 = known.1.saturating_sub(1);
            if known.0 != at {
                first = false;
                entry = Entry {
                    parent: index,
                    name: name.to_vec(),
                    ..Entry::link(known.0)
                };
            }
        }
        if on_disk.dev != super::DEVICE {
            self.newest = self.newest.max(on_disk.ctime);
        }
        let encoded = object.map(|object| (object.set(), *object.carrier_meta()));
        if let Some((_, carrier)) = &encoded {
            self.newest = self.newest.max(carrier.ctime);
        }
        if first && matches!(entry.what, What::File { .. }) {
            self.files += 1;
            self.total = self.total.saturating_add(entry.size());
        }
        self.entries.push(entry);
        self.sources.push(Source {
            parent: Arc::clone(parent),
            disk: disk.clone(),
            meta: on_disk,
            encoded,
            carrier,
        });
        Ok(())
    }

    /// The files in the order in which their bytes are best kept: those that are alike beside each other.
    pub(super) fn by_likeness(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0_u32..)
            .zip(&self.entries)
            .filter(|(_, entry)| matches!(entry.what, What::File { .. }))
            .map(|(index, _)| index)
            .collect();
        let key = |index: &u32| {
            let name = self.entries.get(*index as usize).map(|entry| &entry.name);
            let name = Path::new(OsStr::from_bytes(name.map_or(&[], Vec::as_slice)));
            let ending = name.extension().map(OsStr::to_ascii_lowercase);
            (ending, name.to_owned())
        };
        order.sort_by_cached_key(key);
        order
    }
}

/// How long `then` is past at `now`; what lies in the future is as old as can be, since nothing moves it.
fn age(now: Time, then: Time) -> Duration {
    let nanos = |time: Time| i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    match u64::try_from(nanos(now) - nanos(then)) {
        Ok(nanos) => Duration::from_nanos(nanos),
        Err(_) if then > now => Duration::ZERO,
        Err(_) => Duration::MAX,
    }
}

fn busy(path: &Path) -> Stop {
    Stop::Busy(format!("{} is in use", path.display()))
}

/// An entry by what the medium says.
fn of_native(meta: &Meta, dir: &dyn Dir, disk: &OsStr) -> Result<Entry, Stop> {
    let mut xattrs = Vec::new();
    match dir.xattrs(disk) {
        Ok(listed) => {
            for attr in listed {
                xattrs.push((attr.as_bytes().to_vec(), dir.xattr(disk, &attr)?));
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => {}
        Err(e) => return Err(e.into()),
    }
    xattrs.sort();
    let what = match meta.kind {
        Kind::Dir => What::Dir,
        Kind::File => file(meta.size),
        Kind::Symlink => What::Symlink(dir.read_link(disk)?.as_bytes().to_vec()),
        Kind::Fifo => What::Fifo,
        Kind::Socket => What::Socket,
        Kind::Char => What::Char(meta.rdev),
        Kind::Block => What::Block(meta.rdev),
    };
    Ok(Entry {
        what,
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        atime: meta.atime,
        mtime: meta.mtime,
        ctime: meta.ctime,
        xattrs,
        ..Entry::link(0)
    })
}

fn file(size: u64) -> What {
    What::File {
        size,
        offset: 0,
        hash: None,
    }
}

/// An entry by what an encoded file's object says.
fn of_object(object: &Object) -> Result<Entry, Stop> {
    let carrier = object.carrier(Access::Read)?;
    let mut xattrs = Vec::new();
    for attr in carrier.xattrs().unwrap_or_default() {
        xattrs.push((attr.as_bytes().to_vec(), carrier.xattr(&attr)?));
    }
    xattrs.sort();
    let (meta, attributes) = (object.carrier_meta(), object.attributes());
    Ok(Entry {
        what: file(object.descriptor().size),
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        atime: meta.atime,
        mtime: attributes.mtime,
        ctime: attributes.ctime,
        xattrs,
        ..Entry::link(0)
    })
}

/// Refuses what has a better form of its own, and what the policy wants plain.
fn suits(store: &Store, path: &Path, dir: &Arc<dyn Dir>, found: &Found) -> Result<(), Stop> {
    let what = |what: &str| Err(Stop::Unsuited(format!("{} {what}", path.display())));
    let (size, medium) = match found {
        Found::Encoded { object, .. } => (object.descriptor().size, object.medium()),
        Found::Native { meta, disk }
        | Found::Pair {
            meta, plain: disk, ..
        } if meta.kind == Kind::File => {
            let length = usize::try_from(meta.size)
                .unwrap_or(codec::HEAD)
                .min(codec::HEAD);
            let mut head = vec![0; length];
            let file = dir.open(disk, Access::Read)?;
            disk::read_exact_at(file.as_ref(), &mut head, 0)?;
            let suited = codec::suited(&head);
            (
                meta.size,
                suited.map_or(Medium::Other, codec::Codec::medium),
            )
        }
        Found::Native { meta, .. } if matches!(meta.kind, Kind::Fifo | Kind::Socket) => {
            return what("is where programs meet");
        }
        _ => return Ok(()),
    };
    if medium != Medium::Other {
        return what("is kept better by itself");
    }
    let decision = store.policy.decide(path, size);
    let small = matches!(decision.reason, Reason::Small(_));
    if decision.codec == CodecChoice::Plain && !small {
        return what("stays plain by the policy");
    }
    Ok(())
}
