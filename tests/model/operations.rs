//! One random operation at a time, on the store and on the reference, and the comparison of the two.

use std::collections::BTreeSet;

use holofs::store::{Error, Kind, OpenHow, Rename};

use super::damage::{damage, is_pair};
use super::reference::Reference;
use super::support::Rng;
use super::support::files::{Files, Handle, Shown, disk_names};
use super::{Medium, encoded};

/// Longest file, in bytes, that operations make.
const LONGEST: u64 = 40_000;
/// Most handles that are open at a time.
const MOST_OPEN: usize = 5;
const LAYOUTS: [&str; 3] = ["packed", "spread", "auto"];
const PROFILES: [&str; 4] = ["none", "2/3", "1/2", "standard"];

/// The store, what it should show, and what is open.
pub(crate) struct World {
    medium: Medium,
    files: Files,
    reference: Reference,
    open: Vec<Open>,
    rng: Rng,
    /// Sets that are damaged, by their inode on the medium.
    damaged: BTreeSet<u64>,
    /// Encodings before the last mount.
    encoded: u64,
    /// What was done, for whoever looks for a cause.
    log: Vec<String>,
}

/// An open file.
struct Open {
    handle: Handle,
    id: usize,
    write: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let skip = self.log.len().saturating_sub(60);
            println!("{}", self.log[skip..].join("\n"));
        }
    }
}

impl World {
    pub(crate) fn new(medium: Medium, files: Files, rng: Rng) -> Self {
        Self {
            medium,
            files,
            reference: Reference::default(),
            open: Vec::new(),
            rng,
            damaged: BTreeSet::new(),
            encoded: 0,
            log: Vec::new(),
        }
    }

    pub(crate) fn encoded(&self) -> u64 {
        self.encoded + encoded(&self.files)
    }

    /// A name in some directory, taken or not.
    fn any_path(&mut self) -> String {
        let long = "n".repeat(251);
        let names = ["a", "b", "b", "c.holo", "c.holo~", "d", "e", "long"];
        let name = match *self.rng.pick(&names) {
            "long" => long.as_str(),
            name => name,
        };
        let dirs = self.reference.dirs();
        match self.rng.pick(&dirs).as_str() {
            "" => name.to_owned(),
            dir if dir.matches('/').count() < 2 => format!("{dir}/{name}"),
            _ => name.to_owned(),
        }
    }

    /// A regular file, where there is one.
    fn a_file(&mut self) -> Option<String> {
        let files = self.reference.files();
        (!files.is_empty()).then(|| self.rng.pick(&files).clone())
    }

    fn bytes(&mut self) -> Vec<u8> {
        let most = *self.rng.pick(&[10, 5000, LONGEST / 2]);
        let length = 1 + self.rng.below(most);
        let noise = self.rng.below(3);
        let first = self.rng.next() as u8;
        let mut byte = |i: u64| match noise {
            0 => self.rng.next() as u8,
            1 => first,
            _ => (i % 61) as u8 ^ first,
        };
        (0..length).map(&mut byte).collect()
    }

    fn note(&mut self, what: String) {
        self.log.push(what);
    }

    /// Compares whether an operation succeeded.
    fn agree<T>(&mut self, what: String, done: Result<T, Error>, expected: bool) -> Option<T> {
        let ended = match &done {
            Ok(_) => "done".to_owned(),
            Err(e) => e.to_string(),
        };
        let what = what + ": " + &ended;
        self.note(what.clone());
        assert_eq!(done.is_ok(), expected, "{what}");
        done.ok()
    }

    /// Does one operation and compares what it touched.
    pub(crate) fn step(&mut self) {
        match self.rng.below(100) {
            0..12 => self.put(),
            12..20 => self.open(),
            20..32 => self.use_handle(),
            32..37 => self.close(),
            37..42 => self.truncate(),
            42..55 => self.rename(),
            55..59 => self.link(),
            59..65 => self.remove(),
            65..70 => self.make(),
            70..76 => self.change_attributes(),
            76..87 => self.encode(),
            87..90 => self.damage(),
            90..92 => self.freeze(),
            92..97 => self.settle(),
            _ => self.remount(),
        }
        let open: Vec<usize> = self.open.iter().map(|open| open.id).collect();
        self.reference.sweep(&open);
    }

    /// Writes a whole file, new or with `O_TRUNC`.
    fn put(&mut self) {
        let path = self.any_path();
        if !matches!(self.reference.kind(&path), None | Some(Kind::File)) {
            return;
        }
        let bytes = self.bytes();
        let done = self.files.put(&path, &bytes);
        self.agree(format!("put {path}, {} bytes", bytes.len()), done, true);
        self.reference.make(&path, Kind::File, 0o644, Vec::new());
        let inode = self.reference.get_mut(&path).unwrap();
        (inode.content, inode.mtime) = (bytes, None);
        self.compare(&path);
    }

    fn open(&mut self) {
        let Some(path) = self.a_file().filter(|_| self.open.len() < MOST_OPEN) else {
            return;
        };
        let write = self.rng.below(2) == 0;
        let truncate = write && self.rng.below(5) == 0;
        let how = OpenHow {
            write,
            truncate,
            ..OpenHow::default()
        };
        let done = self.files.open_file(&path, how);
        let what = format!("open {path}, write {write}, truncate {truncate}");
        let handle = self.agree(what, done, true).unwrap();
        let id = self.reference.id(&path).unwrap();
        if truncate {
            let inode = self.reference.get_mut(&path).unwrap();
            (inode.content, inode.mtime) = (Vec::new(), None);
        }
        self.open.push(Open { handle, id, write });
        self.compare(&path);
        self.compare_handles();
    }

    fn use_handle(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = self.rng.below(self.open.len() as u64) as usize;
        let (id, write) = (self.open[at].id, self.open[at].write);
        if !write {
            return self.compare_handles();
        }
        let bytes = self.bytes();
        let offset = self.rng.below(LONGEST);
        let length = bytes.len() as u64;
        let sort = self.rng.below(7);
        let handle = &self.open[at].handle;
        let (what, done) = match sort {
            0 => ("append", handle.append(&bytes)),
            1 => ("allocate", handle.allocate(0, offset, length)),
            2 => ("punch", handle.allocate(3, offset, length)),
            3 => ("sync", handle.sync()),
            _ => ("write", handle.write(offset, &bytes)),
        };
        self.agree(
            format!("{what} #{id} at {offset}, {length} bytes"),
            done,
            true,
        );
        let inode = self.reference.inodes.get_mut(&id).unwrap();
        let (start, end) = (offset as usize, (offset + length) as usize);
        let content = &mut inode.content;
        match sort {
            0 => content.extend(&bytes),
            1 => content.resize(content.len().max(end), 0),
            2 => {
                let end = end.min(content.len());
                content[start.min(end)..end].fill(0);
            }
            3 => return,
            _ => {
                content.resize(content.len().max(end), 0);
                content[start..end].copy_from_slice(&bytes);
            }
        }
        inode.mtime = None;
        self.compare_handles();
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let at = self.rng.below(self.open.len() as u64) as usize;
            let closed = self.open.swap_remove(at);
            self.note(format!("close #{}, write {}", closed.id, closed.write));
            drop(closed);
            self.compare_handles();
        }
    }

    fn truncate(&mut self) {
        let Some(path) = self.a_file() else { return };
        let size = *self.rng.pick(&[0, 1, 4096, 5000, LONGEST]);
        let done = self.files.truncate(&path, size);
        self.agree(format!("truncate {path} to {size}"), done, true);
        let inode = self.reference.get_mut(&path).unwrap();
        inode.content.resize(size as usize, 0);
        inode.mtime = None;
        self.compare(&path);
        self.compare_handles();
    }

    fn rename(&mut self) {
        let (from, to) = (self.any_path(), self.any_path());
        let all = [
            Rename::Replace,
            Rename::Replace,
            Rename::NoReplace,
            Rename::Exchange,
        ];
        let how = *self.rng.pick(&all);
        let done = self.files.rename(&from, &to, how);
        let expected = self.reference.rename(&from, &to, how);
        self.agree(format!("rename {from} to {to}, {how:?}"), done, expected);
        self.compare(&from);
        self.compare(&to);
        self.compare_handles();
    }

    fn link(&mut self) {
        let (path, to) = (self.any_path(), self.any_path());
        let done = self.files.link(&path, &to);
        let expected = self.reference.link(&path, &to);
        self.agree(format!("link {path} as {to}"), done, expected);
        self.compare(&path);
        self.compare(&to);
    }

    fn remove(&mut self) {
        let path = self.any_path();
        if self.rng.below(4) == 0 {
            let done = self.files.remove_dir(&path);
            let expected = self.reference.remove_dir(&path);
            self.agree(format!("rmdir {path}"), done, expected);
        } else {
            let done = self.files.unlink(&path);
            let expected = self.reference.unlink(&path);
            self.agree(format!("unlink {path}"), done, expected);
        }
        self.compare(&path);
        self.compare_handles();
    }

    fn make(&mut self) {
        let path = self.any_path();
        if self.rng.below(2) == 0 {
            let done = self.files.symlink(&path, "target");
            let target = b"target".to_vec();
            let expected = self.reference.make(&path, Kind::Symlink, 0o777, target);
            self.agree(format!("symlink {path}"), done, expected);
        } else {
            let done = self.files.make_dir(&path);
            let expected = self.reference.make(&path, Kind::Dir, 0o755, Vec::new());
            self.agree(format!("mkdir {path}"), done, expected);
        }
        self.compare(&path);
    }

    fn change_attributes(&mut self) {
        let Some(path) = self.a_file() else { return };
        let value = self.rng.below(1000);
        let (what, done) = match value % 3 {
            0 => (
                "chmod",
                self.files.set_mode(&path, 0o600 + value as u32 % 64),
            ),
            1 => {
                let name = ["user.a", "user.b"][value as usize % 2];
                let text = value.to_string();
                (
                    "setxattr",
                    self.files.set_xattr(&path, name, text.as_bytes()),
                )
            }
            _ => (
                "utimes",
                self.files.set_mtime(&path, value.cast_signed() << 20),
            ),
        };
        self.agree(format!("{what} {path}, {value}"), done, true);
        let inode = self.reference.get_mut(&path).unwrap();
        match value % 3 {
            0 => inode.mode = 0o600 + value as u32 % 64,
            1 => {
                let name = ["user.a", "user.b"][value as usize % 2];
                let text = value.to_string();
                inode.xattrs.insert(name.to_owned(), text.into_bytes());
            }
            _ => {
                inode.mtime = Some(holofs::format::Time {
                    secs: value.cast_signed() << 20,
                    nanos: 5,
                });
            }
        }
        self.compare(&path);
    }

    /// Encodes a file now; its plain copy lingers.
    fn encode(&mut self) {
        let Some(path) = self.a_file() else { return };
        let layout = *self.rng.pick(&LAYOUTS);
        let profile = *self.rng.pick(&PROFILES);
        let ino = self.files.attr(&path).unwrap().ino;
        let held = self.files.at(&path).unwrap();
        let store = &self.files.store;
        let done = store.convert(ino, None, Some(profile), Some(layout));
        drop(held);
        let what = format!("convert {path}, {profile}, {layout}");
        let status = self.agree(what, done, true).unwrap();
        self.note(format!("  {}", status.reason));
        self.compare(&path);
        self.compare_handles();
    }

    /// Makes a directory solid, unless something in it is open or has another name elsewhere.
    fn freeze(&mut self) {
        let dirs = self.reference.dirs();
        let dir = self.rng.pick(&dirs).clone();
        let done = self.files.freeze(&dir).map_err(|e| e.to_string());
        self.note(format!("freeze {dir}: {done:?}"));
        self.compare_handles();
        if done.is_ok() {
            self.compare_everything();
        }
    }

    fn damage(&mut self) {
        let Some(path) = self.a_file() else { return };
        if let Some(what) = damage(&self.files, &path, &mut self.damaged, &mut self.rng) {
            self.note(format!("{path}: {what}"));
            self.compare(&path);
            self.compare_handles();
        }
    }

    /// Everything that can be is encoded, and nothing is left under way.
    pub(crate) fn settle(&mut self) {
        self.open.clear();
        let done = self.files.settle();
        let settled = self.agree("settle".to_owned(), done, true).unwrap();
        self.note(format!("  {settled:?}"));
        assert_eq!(settled.failed, 0);
        let root = self.files.store.root();
        for room in ["intent", "staging", "lost+found"] {
            let left = disk_names(root, &format!(".holofs/{room}"));
            assert!(left.is_empty(), "{left:?} in {room}");
        }
        for path in self.reference.files() {
            assert!(!is_pair(&self.files, &path), "{path} lies there twice");
        }
    }

    /// The process ends, in order or not, and another one opens the store.
    fn remount(&mut self) {
        self.encoded += encoded(&self.files);
        let killed = self.rng.below(2) == 0;
        self.note(format!("remount, killed {killed}"));
        if killed && let Medium::Memory(disk) = &self.medium {
            self.medium = Medium::Memory(disk.kill());
            self.open.clear();
        } else {
            self.open.clear();
            if !killed {
                self.files.store.close().unwrap();
            }
        }
        self.files = Files::open(&self.medium.root()).unwrap();
        self.reference.sweep(&[]);
        self.compare_everything();
    }

    /// Compares one path.
    fn compare(&mut self, path: &str) {
        match (self.files.show(path), self.reference.id(path)) {
            (Ok(shown), Some(_)) => self.compare_shown(path, &shown),
            (Err(Error::NotFound | Error::NotDirectory), None) => {}
            (Err(e), None) => panic!("{path}, which is not there: {e}"),
            (shown, id) => panic!("{path}: {shown:?} instead of {id:?}"),
        }
    }

    fn compare_shown(&mut self, path: &str, shown: &Shown) {
        let links = self.reference.links(self.reference.id(path).unwrap());
        let inode = self.reference.get_mut(path).unwrap();
        assert_eq!(shown.kind, inode.kind, "{path}");
        let content = shown
            .content
            .as_ref()
            .unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(content.len(), inode.content.len(), "{path}: size");
        let differs = content.iter().zip(&inode.content).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{path}: content");
        // Links and nodes have no place to remember theirs when a solid directory is thawed.
        if matches!(inode.kind, Kind::File | Kind::Dir) {
            let ino = *inode.ino.get_or_insert(shown.ino);
            assert_eq!(ino, shown.ino, "{path}: number");
        }
        if inode.kind == Kind::File {
            assert_eq!(shown.mode, inode.mode, "{path}: mode");
            assert_eq!(shown.nlink, links, "{path}: links");
            let mtime = *inode.mtime.get_or_insert(shown.mtime);
            assert_eq!(shown.mtime, mtime, "{path}: mtime");
            let xattrs = shown.xattrs.iter();
            let xattrs =
                xattrs.map(|(name, value)| (name.to_str().unwrap().to_owned(), value.clone()));
            assert_eq!(
                xattrs.collect::<std::collections::BTreeMap<_, _>>(),
                inode.xattrs,
                "{path}"
            );
        }
    }

    /// Every handle reads what its inode holds, named or not.
    fn compare_handles(&self) {
        for open in &self.open {
            let content = open.handle.read().unwrap();
            let expected = &self.reference.inodes[&open.id].content;
            assert_eq!(content.len(), expected.len(), "size of open #{}", open.id);
            assert!(content == *expected, "content of open #{}", open.id);
        }
    }

    pub(crate) fn compare_everything(&mut self) {
        let all = self.files.snapshot().unwrap();
        let shown: Vec<_> = all.keys().collect();
        let expected: Vec<_> = self.reference.names.keys().collect();
        assert_eq!(shown, expected);
        for (path, shown) in &all {
            self.compare_shown(path, shown);
        }
        self.compare_handles();
    }
}
