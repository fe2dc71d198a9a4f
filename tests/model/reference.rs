//! What a filesystem is, in memory and without any store: names, inodes, and what each operation makes of them.

use std::collections::BTreeMap;

use holofs::format::Time;
use holofs::store::{Kind, Rename};

/// An inode.
#[derive(Debug, Clone)]
pub(crate) struct Inode {
    pub(crate) kind: Kind,
    /// Bytes of a file, target of a symbolic link.
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// `None` while the medium has not said.
    pub(crate) mtime: Option<Time>,
    pub(crate) ino: Option<u64>,
}

/// The tree; paths are from the root, which is the empty path.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) inodes: BTreeMap<usize, Inode>,
    pub(crate) names: BTreeMap<String, usize>,
    next: usize,
}

impl Reference {
    pub(crate) fn id(&self, path: &str) -> Option<usize> {
        self.names.get(path).copied()
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Inode> {
        self.inodes.get(self.names.get(path)?)
    }

    pub(crate) fn get_mut(&mut self, path: &str) -> Option<&mut Inode> {
        self.inodes.get_mut(self.names.get(path)?)
    }

    pub(crate) fn kind(&self, path: &str) -> Option<Kind> {
        self.get(path).map(|inode| inode.kind)
    }

    /// Paths of all directories.
    pub(crate) fn dirs(&self) -> Vec<String> {
        let dirs = self
            .names
            .keys()
            .filter(|p| self.kind(p) == Some(Kind::Dir));
        [String::new()].into_iter().chain(dirs.cloned()).collect()
    }

    /// Paths of all regular files.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = self.names.keys();
        files
            .filter(|path| self.kind(path) == Some(Kind::File))
            .cloned()
            .collect()
    }

    pub(crate) fn links(&self, id: usize) -> u32 {
        self.names.values().filter(|&&other| other == id).count() as u32
    }

    fn is_empty(&self, dir: &str) -> bool {
        !self.names.keys().any(|path| is_below(path, dir))
    }

    /// Makes something new under a free name.
    pub(crate) fn make(&mut self, path: &str, kind: Kind, mode: u32, content: Vec<u8>) -> bool {
        if self.names.contains_key(path) {
            return false;
        }
        let inode = Inode {
            kind,
            content,
            mode,
            xattrs: BTreeMap::new(),
            mtime: None,
            ino: None,
        };
        self.inodes.insert(self.next, inode);
        self.names.insert(path.to_owned(), self.next);
        self.next += 1;
        true
    }

    pub(crate) fn link(&mut self, path: &str, to: &str) -> bool {
        let may = self.kind(path).is_some_and(|kind| kind != Kind::Dir);
        if !may || self.names.contains_key(to) {
            return false;
        }
        self.names.insert(to.to_owned(), self.names[path]);
        true
    }

    pub(crate) fn unlink(&mut self, path: &str) -> bool {
        let may = self.kind(path).is_some_and(|kind| kind != Kind::Dir);
        may && self.names.remove(path).is_some()
    }

    pub(crate) fn remove_dir(&mut self, path: &str) -> bool {
        let may = self.kind(path) == Some(Kind::Dir) && self.is_empty(path);
        may && self.names.remove(path).is_some()
    }

    /// rename(2); whether it succeeds.
    pub(crate) fn rename(&mut self, from: &str, to: &str, how: Rename) -> bool {
        let (Some(source), target) = (self.id(from), self.id(to)) else {
            return false;
        };
        match (how, target) {
            (Rename::NoReplace, Some(_)) | (Rename::Exchange, None) => return false,
            (_, Some(target)) if target == source => return true,
            _ => {}
        }
        if is_below(to, from) || is_below(from, to) {
            return false; // into itself, or over what is not empty
        }
        if how == Rename::Exchange {
            let moved = self.take(from);
            let other = self.take(to);
            self.put(to, moved);
            self.put(from, other);
            return true;
        }
        let is_dir = |path: &str| self.kind(path) == Some(Kind::Dir);
        if target.is_some() && (is_dir(from) != is_dir(to) || is_dir(to) && !self.is_empty(to)) {
            return false;
        }
        let moved = self.take(from);
        self.names.remove(to);
        self.put(to, moved);
        true
    }

    /// Removes a name and all below it; returns what they name, by the rest of their paths.
    fn take(&mut self, path: &str) -> Vec<(String, usize)> {
        let all: Vec<String> = self.names.keys().cloned().collect();
        let all = all.into_iter().filter(|p| p == path || is_below(p, path));
        all.map(|p| (p[path.len()..].to_owned(), self.names.remove(&p).unwrap()))
            .collect()
    }

    fn put(&mut self, path: &str, moved: Vec<(String, usize)>) {
        for (rest, id) in moved {
            self.names.insert(format!("{path}{rest}"), id);
        }
    }

    /// Forgets what has neither a name nor a handle.
    pub(crate) fn sweep(&mut self, open: &[usize]) {
        let named: Vec<usize> = self.names.values().copied().collect();
        self.inodes
            .retain(|id, _| named.contains(id) || open.contains(id));
    }
}

fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| dir.is_empty() || rest.starts_with('/'))
}
