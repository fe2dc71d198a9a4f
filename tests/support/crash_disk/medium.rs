//! Inodes and names in memory, the journal of name changes, and what a power cut makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;

use holofs::format::Time;
use holofs::store::disk::{Kind, Meta, Rename};
use rustix::io::Errno;

use super::data::{Data, Fate, PAGE};
use crate::support::Rng;

/// Inode number of the root.
pub(crate) const ROOT: u64 = 2;
/// Stands for the shape of the tree among the directories that a change touches.
const TREE: u64 = 0;
/// Device number of every simulated medium.
const DEV: u64 = 0x4d;
/// Longest name in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// What chmod, chown, utimes and setxattr change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attrs {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) atime: Time,
    pub(crate) mtime: Time,
    pub(crate) ctime: Time,
    pub(crate) xattrs: BTreeMap<OsString, Vec<u8>>,
}

type Names = BTreeMap<OsString, u64>;

/// What an inode holds.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    File(Data),
    Dir { names: Names, durable: Names },
    Symlink(OsString),
    Node(Kind, u64),
}

#[derive(Debug, Clone)]
pub(crate) struct Inode {
    pub(crate) body: Body,
    attrs: Attrs,
    /// States of the attributes, the durable one first, before this one.
    past: Vec<Attrs>,
    btime: Time,
    /// Names of a file; 1 for a directory that is there, 0 for a removed one.
    links: u32,
    /// Of a directory.
    parent: u64,
    /// Open files that may write.
    pub(crate) writers: u32,
    /// Leases held.
    pub(crate) leases: u32,
}

/// One atomic change of names.
#[derive(Debug, Clone)]
struct Change {
    /// Directories whose order it keeps (and perhaps [`TREE`]).
    touches: Vec<u64>,
    /// (directory, name, what it names afterwards).
    entries: Vec<(u64, OsString, Option<u64>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Medium {
    inodes: BTreeMap<u64, Inode>,
    next: u64,
    clock: u64,
    /// Changes of names that are not durable, oldest first.
    pending: Vec<Change>,
    /// Pages that may be allocated.
    pub(crate) limit: Option<u64>,
}

impl Medium {
    pub(crate) fn new() -> Self {
        let mut medium = Self {
            inodes: BTreeMap::new(),
            next: ROOT,
            clock: 0,
            pending: Vec::new(),
            limit: None,
        };
        medium.add(empty_dir(), 0o755);
        medium
    }

    /// The time, which no two calls agree on.
    pub(crate) fn now(&mut self) -> Time {
        self.clock += 1;
        Time {
            secs: 1_700_000_000 + (self.clock / 1000).cast_signed(),
            nanos: (self.clock % 1000) as u32 * 1_000_000,
        }
    }

    pub(crate) fn inode(&self, ino: u64) -> &Inode {
        &self.inodes[&ino]
    }

    pub(crate) fn inode_mut(&mut self, ino: u64) -> &mut Inode {
        self.inodes.get_mut(&ino).unwrap()
    }

    /// The bytes of a file; `write`: about to be changed.
    pub(crate) fn data(&self, ino: u64) -> &Data {
        match &self.inode(ino).body {
            Body::File(data) => data,
            other => panic!("inode {ino} is open as a file, and is {other:?}"),
        }
    }

    /// The bytes of a file, about to be changed: its times move.
    pub(crate) fn data_mut(&mut self, ino: u64) -> &mut Data {
        let now = self.now();
        let inode = self.inode_mut(ino);
        (inode.attrs.mtime, inode.attrs.ctime) = (now, now);
        match &mut inode.body {
            Body::File(data) => data,
            other => panic!("inode {ino} is open as a file, and is {other:?}"),
        }
    }

    pub(crate) fn attrs(&self, ino: u64) -> &Attrs {
        &self.inode(ino).attrs
    }

    /// Attributes, about to be changed.
    pub(crate) fn attrs_mut(&mut self, ino: u64) -> &mut Attrs {
        let now = self.now();
        let inode = self.inode_mut(ino);
        inode.past.push(inode.attrs.clone());
        inode.attrs.ctime = now;
        &mut inode.attrs
    }

    /// Names of a directory.
    pub(crate) fn names(&self, dir: u64) -> &Names {
        match &self.inode(dir).body {
            Body::Dir { names, .. } => names,
            other => panic!("inode {dir} is open as a directory, and is {other:?}"),
        }
    }

    /// Finds a name; `.` is the directory itself.
    pub(crate) fn find(&self, dir: u64, name: &OsStr) -> io::Result<u64> {
        if name == "." {
            return Ok(dir);
        }
        let found = self.names(dir).get(name);
        Ok(found.copied().ok_or(Errno::NOENT)?)
    }

    pub(crate) fn kind(&self, ino: u64) -> Kind {
        match &self.inode(ino).body {
            Body::File(_) => Kind::File,
            Body::Dir { .. } => Kind::Dir,
            Body::Symlink(_) => Kind::Symlink,
            Body::Node(kind, _) => *kind,
        }
    }

    pub(crate) fn meta(&self, ino: u64) -> Meta {
        let inode = self.inode(ino);
        let Attrs {
            mode,
            uid,
            gid,
            atime,
            mtime,
            ctime,
            ..
        } = inode.attrs;
        let (size, blocks, nlink) = match &inode.body {
            Body::File(data) => (data.size(), data.allocated() * PAGE / 512, inode.links),
            Body::Dir { names, .. } => {
                let dirs = names.values().filter(|&&ino| self.kind(ino) == Kind::Dir);
                let own = 2 * inode.links;
                (PAGE, PAGE / 512, own + dirs.count() as u32)
            }
            Body::Symlink(target) => (target.len() as u64, 0, inode.links),
            Body::Node(..) => (0, 0, inode.links),
        };
        Meta {
            kind: self.kind(ino),
            mode,
            uid,
            gid,
            nlink,
            size,
            blocks,
            atime,
            mtime,
            ctime,
            btime: inode.btime,
            dev: DEV,
            ino,
            rdev: match inode.body {
                Body::Node(_, rdev) => rdev,
                _ => 0,
            },
        }
    }

    /// Pages in use.
    pub(crate) fn used(&self) -> u64 {
        let pages = |inode: &Inode| match &inode.body {
            Body::File(data) if inode.links > 0 => data.allocated(),
            _ => 0,
        };
        self.inodes.values().map(pages).sum()
    }

    /// Pages that may still be allocated.
    pub(crate) fn room(&self) -> u64 {
        match self.limit {
            Some(limit) => limit.saturating_sub(self.used()),
            None => u64::MAX,
        }
    }

    /// Makes an inode with a name; returns its number.
    pub(crate) fn make(
        &mut self,
        dir: u64,
        name: &OsStr,
        body: Body,
        mode: u32,
    ) -> io::Result<u64> {
        self.check_free(dir, name)?;
        let ino = self.add(body, mode);
        self.inode_mut(ino).parent = dir;
        self.commit(vec![dir], vec![(dir, name.to_owned(), Some(ino))]);
        Ok(ino)
    }

    pub(crate) fn link(
        &mut self,
        dir: u64,
        name: &OsStr,
        to: u64,
        to_name: &OsStr,
    ) -> io::Result<()> {
        let ino = self.find(dir, name)?;
        self.check_free(to, to_name)?;
        if self.kind(ino) == Kind::Dir {
            return Err(Errno::PERM.into());
        }
        self.inode_mut(ino).links += 1;
        self.commit(vec![to], vec![(to, to_name.to_owned(), Some(ino))]);
        self.touch(ino);
        Ok(())
    }

    /// unlink(2), or rmdir(2) for `directory`.
    pub(crate) fn remove(&mut self, dir: u64, name: &OsStr, directory: bool) -> io::Result<()> {
        let ino = self.find(dir, name)?;
        let mut touches = vec![dir];
        match (self.kind(ino) == Kind::Dir, directory) {
            (true, false) => return Err(Errno::ISDIR.into()),
            (false, true) => return Err(Errno::NOTDIR.into()),
            (false, false) => {}
            (true, true) => {
                self.check_empty(ino)?;
                touches.push(ino); // it is empty because of what happened in it before
            }
        }
        self.inode_mut(ino).links -= 1;
        self.commit(touches, vec![(dir, name.to_owned(), None)]);
        self.touch(ino);
        Ok(())
    }

    pub(crate) fn rename(
        &mut self,
        dir: u64,
        name: &OsStr,
        to: u64,
        to_name: &OsStr,
        how: Rename,
    ) -> io::Result<()> {
        let moved = self.find(dir, name)?;
        self.check_there(to)?;
        let other = self.names(to).get(to_name).copied();
        if how == Rename::NoReplace && other.is_some() {
            return Err(Errno::EXIST.into());
        }
        if how == Rename::Exchange && other.is_none() {
            return Err(Errno::NOENT.into());
        }
        let other_enters = other.filter(|_| how == Rename::Exchange);
        if self.is_within(to, moved) {
            return Err(Errno::INVAL.into());
        }
        if other.is_some_and(|other| self.is_within(dir, other)) {
            return Err(match how {
                Rename::Exchange => Errno::INVAL.into(),
                _ => Errno::NOTEMPTY.into(),
            });
        }
        if other == Some(moved) {
            return Ok(());
        }
        let mut touches = vec![dir, to];
        if dir != to
            && [Some(moved), other_enters]
                .iter()
                .flatten()
                .any(|&ino| self.kind(ino) == Kind::Dir)
        {
            touches.push(TREE);
        }
        if let (Some(victim), None) = (other, other_enters) {
            match (
                self.kind(moved) == Kind::Dir,
                self.kind(victim) == Kind::Dir,
            ) {
                (true, false) => return Err(Errno::NOTDIR.into()),
                (false, true) => return Err(Errno::ISDIR.into()),
                (false, false) => {}
                (true, true) => {
                    self.check_empty(victim)?;
                    touches.push(victim);
                }
            }
            self.inode_mut(victim).links -= 1;
            self.touch(victim);
        }
        let entries = vec![
            (dir, name.to_owned(), other_enters),
            (to, to_name.to_owned(), Some(moved)),
        ];
        self.commit(touches, entries);
        self.inode_mut(moved).parent = to;
        self.touch(moved);
        if let Some(other) = other_enters {
            self.inode_mut(other).parent = dir;
            self.touch(other);
        }
        Ok(())
    }

    /// fsync(2), fdatasync(2) for `data_only`.
    pub(crate) fn sync_file(&mut self, ino: u64, data_only: bool) {
        let inode = self.inode_mut(ino);
        if let Body::File(data) = &mut inode.body {
            data.sync();
        }
        if !data_only {
            inode.past.clear();
        }
    }

    /// Makes all earlier changes of names in `dir` durable, with those before them in the directories they share; and
    /// the attributes of the directory and of what in it cannot be opened.
    pub(crate) fn sync_dir(&mut self, dir: u64) {
        let mut wanted = BTreeSet::from([dir]);
        let mut taken = Vec::new();
        for at in (0..self.pending.len()).rev() {
            if self.pending[at]
                .touches
                .iter()
                .any(|dir| wanted.contains(dir))
            {
                let change = self.pending.remove(at);
                wanted.extend(&change.touches);
                taken.push(change);
            }
        }
        for change in taken.iter().rev() {
            self.apply(change, true);
        }
        let inside: Vec<_> = self.names(dir).values().copied().collect();
        for ino in inside.into_iter().chain([dir]) {
            if ino == dir || !matches!(self.kind(ino), Kind::File | Kind::Dir) {
                self.inode_mut(ino).past.clear();
            }
        }
    }

    /// Makes everything durable.
    pub(crate) fn sync_all(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            self.apply(&change, true);
        }
        let all: Vec<_> = self.inodes.keys().copied().collect();
        for ino in all {
            self.sync_file(ino, false);
        }
    }

    /// The medium after the end of all processes.
    pub(crate) fn without_processes(&self) -> Self {
        let mut left = self.clone();
        for inode in left.inodes.values_mut() {
            (inode.writers, inode.leases) = (0, 0);
        }
        left
    }

    /// The medium after a power cut.
    pub(crate) fn crash(&self, rng: &mut Rng) -> Self {
        let mut left = self.without_processes();
        for change in self.survivors(rng) {
            left.apply(change, true);
        }
        left.pending.clear();
        let mut reached: BTreeMap<u64, Inode> = BTreeMap::new();
        let mut queue = vec![(ROOT, 0)];
        while let Some((ino, parent)) = queue.pop() {
            if let Some(again) = reached.get_mut(&ino) {
                let is_dir = matches!(again.body, Body::Dir { .. });
                assert!(!is_dir, "the model gave directory {ino} two places");
                again.links += 1;
                continue;
            }
            let mut inode = left.inodes[&ino].clone();
            let states: Vec<_> = inode.past.iter().chain([&inode.attrs]).collect();
            inode.attrs = Fate::draw(rng).of(&states, rng).clone();
            inode.past.clear();
            (inode.links, inode.parent) = (1, parent);
            match &mut inode.body {
                Body::File(data) => *data = data.crash(rng),
                Body::Dir { names, durable } => {
                    *names = durable.clone();
                    queue.extend(names.values().map(|&child| (child, ino)));
                }
                Body::Symlink(_) | Body::Node(..) => {}
            }
            reached.insert(ino, inode);
        }
        left.inodes = reached;
        left
    }

    /// Changes of names that a power cut now may leave, in their order: of each directory the first few, and of those
    /// that touch several directories only what each of them has.
    fn survivors(&self, rng: &mut Rng) -> Vec<&Change> {
        let mut budget: BTreeMap<u64, usize> = BTreeMap::new();
        for dir in self.pending.iter().flat_map(|change| &change.touches) {
            *budget.entry(*dir).or_default() += 1;
        }
        let fate = Fate::draw(rng);
        for changes in budget.values_mut() {
            let some = rng.below(*changes as u64 + 1) as usize;
            *changes = fate.of(&[0, some, *changes], rng);
        }
        let mut kept = Vec::new();
        for change in &self.pending {
            let lasts = change.touches.iter().all(|dir| budget[dir] > 0);
            for dir in &change.touches {
                let left = budget.get_mut(dir).unwrap();
                *left = if lasts { left.saturating_sub(1) } else { 0 };
            }
            if lasts {
                kept.push(change);
            }
        }
        kept
    }

    fn add(&mut self, body: Body, mode: u32) -> u64 {
        let ino = self.next;
        self.next += 1;
        let now = self.now();
        let attrs = Attrs {
            mode,
            atime: now,
            mtime: now,
            ctime: now,
            ..Attrs::default()
        };
        let inode = Inode {
            body,
            attrs,
            past: Vec::new(),
            btime: now,
            links: 1,
            parent: ROOT,
            writers: 0,
            leases: 0,
        };
        self.inodes.insert(ino, inode);
        ino
    }

    fn commit(&mut self, mut touches: Vec<u64>, entries: Vec<(u64, OsString, Option<u64>)>) {
        touches.sort_unstable();
        touches.dedup();
        let now = self.now();
        for (dir, ..) in &entries {
            let attrs = &mut self.inode_mut(*dir).attrs;
            (attrs.mtime, attrs.ctime) = (now, now);
        }
        let change = Change { touches, entries };
        self.apply(&change, false);
        self.pending.push(change);
    }

    fn apply(&mut self, change: &Change, to_durable: bool) {
        for (dir, name, ino) in &change.entries {
            let Body::Dir { names, durable } = &mut self.inode_mut(*dir).body else {
                panic!("names change in directories only");
            };
            let names = if to_durable { durable } else { names };
            match ino {
                Some(ino) => names.insert(name.clone(), *ino),
                None => names.remove(name),
            };
        }
    }

    fn touch(&mut self, ino: u64) {
        let now = self.now();
        self.inode_mut(ino).attrs.ctime = now;
    }

    fn check_there(&self, dir: u64) -> io::Result<()> {
        if self.inode(dir).links == 0 {
            return Err(Errno::NOENT.into());
        }
        Ok(())
    }

    fn check_free(&self, dir: u64, name: &OsStr) -> io::Result<()> {
        self.check_there(dir)?;
        if self.names(dir).contains_key(name) {
            return Err(Errno::EXIST.into());
        }
        Ok(())
    }

    fn check_empty(&self, dir: u64) -> io::Result<()> {
        if !self.names(dir).is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        Ok(())
    }

    /// Whether the directory `dir` is `above` or below it.
    fn is_within(&self, mut dir: u64, above: u64) -> bool {
        while dir != above {
            if dir == ROOT {
                return false;
            }
            dir = self.inode(dir).parent;
        }
        true
    }
}

pub(crate) fn empty_dir() -> Body {
    Body::Dir {
        names: Names::new(),
        durable: Names::new(),
    }
}
