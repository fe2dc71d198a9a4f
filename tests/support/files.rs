//! A store by paths, as programs use it; the tests of the store are written in these words.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use holofs::format::{Digest, Time};
use holofs::store::disk::{self, Access, Dir, File};
use holofs::store::{
    Aspect, Attr, Caller, Context, FileStatus, Kind, OpenHow, Opened, Options, Rename, Result,
    SetAttr, Settled, Store, XattrMode, init_on,
};

/// A policy under which every file with a byte in it is encoded as soon as it may be, three chunks a set, of which
/// any two are enough.
pub(crate) const EAGER: &str = r#"
version = 1
[defaults]
min_size = "1B"
profile = { n = 3, k = 2 }
[encode]
quiet = "0s"
linger = "0s"
"#;

pub(crate) fn os(name: &str) -> &OsStr {
    OsStr::new(name)
}

/// Makes a store with this policy.
pub(crate) fn make_store(root: &Arc<dyn Dir>, policy: &str) {
    init_on(root).unwrap();
    let own = root.dir(os(".holofs")).unwrap();
    let file = own.open(os("store.toml"), Access::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_at(policy.as_bytes(), 0).unwrap();
}

/// Makes everything below `dir` durable.
pub(crate) fn sync_all(dir: &dyn Dir) {
    for entry in dir.list().unwrap() {
        match entry.kind {
            Kind::File => {
                let file = dir.open(&entry.name, Access::Read).unwrap();
                file.sync(false).unwrap();
            }
            Kind::Dir => sync_all(&*dir.dir(&entry.name).unwrap()),
            _ => {}
        }
    }
    dir.sync().unwrap();
}

/// The content of a file of the medium.
pub(crate) fn content(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut all = vec![0; file.meta()?.size as usize];
    disk::read_exact_at(file, &mut all, 0)?;
    Ok(all)
}

/// Copies everything below `from` over what is in `to`, as `rsync -a` without `--delete` does: files that are there
/// are replaced, times are kept, nothing is removed.
pub(crate) fn copy_tree(from: &dyn Dir, to: &dyn Dir) {
    for entry in from.list().unwrap() {
        let name = &entry.name;
        let meta = from.meta(name).unwrap();
        match entry.kind {
            Kind::Dir => {
                if to.dir(name).is_err() {
                    to.make_dir(name, meta.mode, 0).unwrap();
                }
                copy_tree(&*from.dir(name).unwrap(), &*to.dir(name).unwrap());
            }
            Kind::File => {
                let source = from.open(name, Access::Read).unwrap();
                let partial = os(".partial");
                let copy = to.create(partial, meta.mode, 0).unwrap();
                copy.write_at(&content(&*source).unwrap(), 0).unwrap();
                let times = disk::SetTimes {
                    atime: Some(meta.atime),
                    mtime: Some(meta.mtime),
                };
                copy.set_times(times).unwrap();
                to.rename(partial, to, name, Rename::Replace).unwrap();
            }
            other => panic!("{}: {other:?} is not copied", name.display()),
        }
    }
}

/// A directory of the medium by its path on disk.
pub(crate) fn dir_at(root: &Arc<dyn Dir>, path: &str) -> Arc<dyn Dir> {
    let mut dir = Arc::clone(root);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        dir = dir.dir(os(part)).unwrap();
    }
    dir
}

/// Names on disk in a directory of the medium.
pub(crate) fn disk_names(root: &Arc<dyn Dir>, path: &str) -> Vec<String> {
    let listed = dir_at(root, path).list().unwrap();
    let mut names: Vec<_> = listed
        .into_iter()
        .map(|entry| entry.name.into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What a path shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) kind: Kind,
    /// Content of a file, target of a link; what an attempt to read it said.
    pub(crate) content: std::result::Result<Vec<u8>, String>,
    pub(crate) mode: u32,
    pub(crate) nlink: u32,
    pub(crate) ino: u64,
    pub(crate) mtime: Time,
    pub(crate) xattrs: BTreeMap<OsString, Vec<u8>>,
    /// Content in the contexts that it has variants for.
    pub(crate) variants: BTreeMap<String, std::result::Result<Vec<u8>, String>>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = |bytes: &Vec<u8>| {
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).into_owned();
            format!("{} bytes {head:?}", bytes.len())
        };
        write!(
            f,
            "{:?} {:?} mode {:o} links {} ino {} mtime {}.{:09} {:?}",
            self.kind,
            self.content.as_ref().map(head),
            self.mode,
            self.nlink,
            self.ino,
            self.mtime.secs,
            self.mtime.nanos,
            self.xattrs,
        )
    }
}

/// Everything that a store shows, by path.
pub(crate) type Snapshot = BTreeMap<String, Shown>;

/// An open store, by paths: names separated by `/`, from the root.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) store: Arc<Store>,
}

/// A looked-up inode, given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    store: Arc<Store>,
    pub(crate) attr: Attr,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.forget(self.attr.ino, 1);
    }
}

/// An open file, closed when dropped.
#[derive(Debug)]
pub(crate) struct Handle {
    held: Held,
    write: bool,
    /// What a kernel passes reads through to.
    opened: Opened,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.held.store.release(self.held.attr.ino, self.write);
    }
}

impl Handle {
    pub(crate) fn ino(&self) -> u64 {
        self.held.attr.ino
    }

    pub(crate) fn attr(&self) -> Result<Attr> {
        self.held.store.attr(self.ino())
    }

    /// All that it holds, by the store and by the file that reads are passed through to, which must agree.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let size = self.attr()?.size as usize;
        let mut all = vec![0; size + 1];
        let got = self.held.store.read(self.ino(), 0, &mut all)?;
        assert_eq!(got, size, "a read ends where the size says");
        all.truncate(got);
        if let Some(file) = &self.opened.file {
            assert!(
                content(&**file)? == all,
                "passed through, it reads otherwise"
            );
        }
        Ok(all)
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.held.store.write(self.ino(), offset, bytes, false)
    }

    pub(crate) fn append(&self, bytes: &[u8]) -> Result<()> {
        self.held.store.write(self.ino(), 0, bytes, true)
    }

    pub(crate) fn allocate(&self, mode: u32, offset: u64, length: u64) -> Result<()> {
        self.held.store.allocate(self.ino(), mode, offset, length)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.held.store.sync(self.ino(), false)
    }
}

/// Directory and last name of a path.
pub(crate) fn split(path: &str) -> (&str, &OsStr) {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    (dir, OsStr::new(name))
}

impl Files {
    /// Opens the store on this medium, without background work.
    pub(crate) fn open(root: &Arc<dyn Dir>) -> Result<Self> {
        let store = Store::on_disk(Arc::clone(root), Options::default())?;
        Ok(Self { store })
    }

    /// Opens it without the right to change anything, beside whoever has it open.
    pub(crate) fn open_read_only(root: &Arc<dyn Dir>) -> Result<Self> {
        let options = Options {
            read_only: true,
            ..Options::default()
        };
        let store = Store::on_disk(Arc::clone(root), options)?;
        Ok(Self { store })
    }

    pub(crate) fn at(&self, path: &str) -> Result<Held> {
        let attr = self.store.lookup_path(Path::new(path))?;
        let store = Arc::clone(&self.store);
        Ok(Held { store, attr })
    }

    pub(crate) fn attr(&self, path: &str) -> Result<Attr> {
        Ok(self.at(path)?.attr)
    }

    /// Opens what `path` names.
    pub(crate) fn open_file(&self, path: &str, how: OpenHow) -> Result<Handle> {
        let held = self.at(path)?;
        let opened = self.store.open_file(held.attr.ino, how)?;
        Ok(Handle {
            held,
            write: how.write,
            opened,
        })
    }

    pub(crate) fn reader(&self, path: &str) -> Result<Handle> {
        self.open_file(path, OpenHow::default())
    }

    pub(crate) fn writer(&self, path: &str) -> Result<Handle> {
        let how = OpenHow {
            write: true,
            ..OpenHow::default()
        };
        self.open_file(path, how)
    }

    /// open(2) with `O_CREAT | O_TRUNC | O_WRONLY`.
    pub(crate) fn create(&self, path: &str) -> Result<Handle> {
        let (dir, name) = split(path);
        let dir = self.at(dir)?;
        let how = OpenHow {
            write: true,
            truncate: true,
            ..OpenHow::default()
        };
        let caller = Caller::default();
        let made = self
            .store
            .create(dir.attr.ino, name, 0o644, false, how, caller);
        let (attr, opened) = made?;
        let store = Arc::clone(&self.store);
        Ok(Handle {
            held: Held { store, attr },
            write: true,
            opened,
        })
    }

    /// Creates or replaces a file with this content.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.create(path)?.write(0, bytes)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.reader(path)?.read()
    }

    pub(crate) fn truncate(&self, path: &str, size: u64) -> Result<()> {
        let held = self.at(path)?;
        let set = SetAttr {
            size: Some(size),
            ..SetAttr::default()
        };
        self.store.set_attr(held.attr.ino, set).map(drop)
    }

    pub(crate) fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        let held = self.at(path)?;
        let set = SetAttr {
            mode: Some(mode),
            ..SetAttr::default()
        };
        self.store.set_attr(held.attr.ino, set).map(drop)
    }

    /// Sets the modification time, in seconds.
    pub(crate) fn set_mtime(&self, path: &str, secs: i64) -> Result<()> {
        let held = self.at(path)?;
        let mut set = SetAttr::default();
        set.times.mtime = Some(Time { secs, nanos: 5 });
        self.store.set_attr(held.attr.ino, set).map(drop)
    }

    pub(crate) fn set_xattr(&self, path: &str, name: &str, value: &[u8]) -> Result<()> {
        let held = self.at(path)?;
        let ino = held.attr.ino;
        self.store.set_xattr(ino, os(name), value, XattrMode::Any)
    }

    pub(crate) fn rename(&self, from: &str, to: &str, how: Rename) -> Result<()> {
        let (from_dir, from_name) = split(from);
        let (to_dir, to_name) = split(to);
        let (from_dir, to_dir) = (self.at(from_dir)?, self.at(to_dir)?);
        let (from, to) = (from_dir.attr.ino, to_dir.attr.ino);
        self.store.rename(from, from_name, to, to_name, how)
    }

    pub(crate) fn replace(&self, from: &str, to: &str) -> Result<()> {
        self.rename(from, to, Rename::Replace)
    }

    pub(crate) fn link(&self, path: &str, to: &str) -> Result<()> {
        let held = self.at(path)?;
        let (dir, name) = split(to);
        let dir = self.at(dir)?;
        let attr = self.store.link(held.attr.ino, dir.attr.ino, name)?;
        self.store.forget(attr.ino, 1);
        Ok(())
    }

    pub(crate) fn symlink(&self, path: &str, target: &str) -> Result<()> {
        let (dir, name) = split(path);
        let dir = self.at(dir)?;
        let caller = Caller::default();
        let made = self
            .store
            .make_symlink(dir.attr.ino, name, os(target), caller)?;
        self.store.forget(made.ino, 1);
        Ok(())
    }

    pub(crate) fn make_dir(&self, path: &str) -> Result<()> {
        let (dir, name) = split(path);
        let dir = self.at(dir)?;
        let made = self
            .store
            .make_dir(dir.attr.ino, name, 0o755, Caller::default())?;
        self.store.forget(made.ino, 1);
        Ok(())
    }

    pub(crate) fn remove_dir(&self, path: &str) -> Result<()> {
        let (dir, name) = split(path);
        let dir = self.at(dir)?;
        self.store.remove_dir(dir.attr.ino, name)
    }

    pub(crate) fn unlink(&self, path: &str) -> Result<()> {
        let (dir, name) = split(path);
        let dir = self.at(dir)?;
        self.store.unlink(dir.attr.ino, name)
    }

    pub(crate) fn sync_dir(&self, path: &str) -> Result<()> {
        let dir = self.at(path)?;
        self.store.sync_dir(dir.attr.ino)
    }

    /// Encodes one file now, in this layout; its plain copy lingers.
    pub(crate) fn convert(&self, path: &str, layout: &str) -> Result<FileStatus> {
        let held = self.at(path)?;
        self.store.convert(held.attr.ino, None, None, Some(layout))
    }

    /// Makes a directory solid now.
    pub(crate) fn freeze(&self, path: &str) -> Result<()> {
        let held = self.at(path)?;
        self.store.freeze(held.attr.ino, &mut |_| true)
    }

    pub(crate) fn status(&self, path: &str) -> Result<FileStatus> {
        self.store.status(self.at(path)?.attr.ino)
    }

    pub(crate) fn settle(&self) -> Result<Settled> {
        self.store.settle(&mut |_| true)
    }

    /// Names in a directory, sorted.
    pub(crate) fn names(&self, path: &str) -> Result<Vec<String>> {
        let dir = self.at(path)?;
        let items = self.store.read_dir(dir.attr.ino)?;
        let names = items.into_iter().map(|item| item.name.into_string());
        let mut names: Vec<_> = names.map(std::result::Result::unwrap).collect();
        names.sort();
        Ok(names)
    }

    /// What a path shows.
    pub(crate) fn show(&self, path: &str) -> Result<Shown> {
        let held = self.at(path)?;
        let Attr { ino, kind, .. } = held.attr;
        let content = match kind {
            Kind::File => self.get(path).map_err(|e| e.to_string()),
            Kind::Symlink => Ok(self.store.read_link(ino)?.into_encoded_bytes()),
            _ => Ok(Vec::new()),
        };
        let mut xattrs = BTreeMap::new();
        if matches!(kind, Kind::File | Kind::Dir) {
            for name in self.store.xattrs(ino)? {
                let value = self.store.xattr(ino, &name)?;
                xattrs.insert(name, value);
            }
        }
        Ok(Shown {
            kind,
            content,
            mode: held.attr.mode,
            nlink: held.attr.nlink,
            ino,
            mtime: held.attr.mtime,
            xattrs,
            variants: self.variants(path)?,
        })
    }

    /// What a file shows in the contexts that it has variants for.
    pub(crate) fn variants(
        &self,
        path: &str,
    ) -> Result<BTreeMap<String, std::result::Result<Vec<u8>, String>>> {
        let held = self.at(path)?;
        let mut all = BTreeMap::new();
        if held.attr.kind == Kind::File {
            for variant in self.store.variants(held.attr.ino).unwrap_or_default() {
                if let Some(name) = variant.context.named() {
                    let content = self.seen_in(name)?.get(path).map_err(|e| e.to_string());
                    all.insert(name.to_owned(), content);
                }
            }
        }
        Ok(all)
    }

    /// The same store as a context shows it.
    pub(crate) fn seen_in(&self, context: &str) -> Result<Self> {
        let context = Context::new(context).unwrap();
        let store = self.store.seen_as(&Aspect::Context(context))?;
        Ok(Self { store })
    }

    /// Gives a file a variant.
    pub(crate) fn add_variant(&self, path: &str, context: &str, content: &[u8]) -> Result<()> {
        let held = self.at(path)?;
        let hash = Digest::of(content).to_string();
        self.store.receive(&hash, 0, content)?;
        let context = Context::new(context).unwrap();
        let mtime = Time::default();
        self.store
            .add_variant(held.attr.ino, &context, &hash, mtime)
    }

    /// Everything it shows; listings, lookups and attributes must agree.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        let mut all = Snapshot::new();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            let listed = {
                let held = self.at(&dir)?;
                self.store.read_dir(held.attr.ino)?
            };
            for item in listed {
                let name = item.name.to_str().unwrap();
                let path = match dir.as_str() {
                    "" => name.to_owned(),
                    dir => format!("{dir}/{name}"),
                };
                let shown = self.show(&path)?;
                assert_eq!(shown.kind, item.kind, "{path}: listed as another kind");
                let same = item.ino.is_none_or(|ino| ino == shown.ino);
                assert!(same, "{path}: listed with another number");
                if shown.kind == Kind::Dir {
                    dirs.push(path.clone());
                }
                let before = all.insert(path.clone(), shown);
                assert!(before.is_none(), "{path}: listed twice");
            }
        }
        Ok(all)
    }
}
