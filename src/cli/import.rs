//! `import`: copies files with their attributes into a store that is not mounted, and encodes them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;

use super::args;
use super::attrs::Attributes;
use super::content::OpenFile;
use super::exit::{Code, Failure, Outcome, plain};
use super::interrupt;
use super::place::Place;
use super::session::{self, Session};
use super::settle;
use super::ui::{Ui, quoted};
use crate::foreign::{Choice, Quality, Sums};
use crate::store::disk::{Access, Dir, File, Meta, Seek, meta_if_there};
use crate::store::foreign::{self, Foreign, Recognised};
use crate::store::outside;
use crate::store::walk::Held;
use crate::store::{Caller, Error, Kind, OpenHow, Options, Rename, Result, SetAttr, Store};

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;

/// Runs the verb.
pub(super) fn run(args: &args::Import, ui: &mut Ui) -> Outcome {
    let place = Place::of(&args.to)?;
    if let Some(mount) = &place.mount {
        let what = format!("is mounted at {}", quoted(&mount.point));
        let failure = Failure::new(Code::Locked, &place.store, what);
        return Err(failure.hint("copy into the mount point instead: cp -a"));
    }
    let store =
        session::open(&place, Options::default()).map_err(|failure| match failure.code {
            Code::Locked => failure.hint("copy into the mount point instead: cp -a"),
            _ => failure,
        })?;
    interrupt::tidy();
    let mut import = Import {
        store: &store,
        args,
        ui,
        code: Code::Ok,
        links: HashMap::new(),
        caller: Caller {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            umask: 0o077,
        },
        count: 0,
    };
    let done = import.all(&place);
    let code = import.code;
    drop(import);
    done?;
    if args.no_settle || args.dry_run {
        session::close(&place, &store)?;
        return Ok(code);
    }
    let mut session = Session::Here(store);
    let settled = settle::settle(&mut session, &place, ui)?;
    session.close(&place)?;
    Ok(code.and(settle::report(settled, ui)))
}

/// What waits to be done, last first.
enum Step<'a> {
    /// Copy this name of `from`, which lies at `path`, into the directory `to`, as `name`.
    Copy {
        from: Arc<dyn Dir>,
        path: PathBuf,
        to: Rc<Held<'a>>,
    },
    /// All that is in this directory has been copied.
    Leave {
        attributes: Attributes,
        dir: Rc<Held<'a>>,
        path: PathBuf,
    },
}

struct Import<'a, 'u> {
    store: &'a Store,
    args: &'a args::Import,
    ui: &'u mut Ui,
    code: Code,
    /// What became of files with several names, by device and inode.
    links: HashMap<(u64, u64), Held<'a>>,
    caller: Caller,
    /// For temporary names.
    count: u64,
}

impl<'a> Import<'a, '_> {
    /// Copies all sources.
    fn all(&mut self, place: &Place) -> std::result::Result<(), Failure> {
        let to = if self.args.dry_run {
            Held::root(self.store)
        } else {
            self.make_path(&place.path)
        };
        let to = Rc::new(to.map_err(|e| Failure::store(&place.given, &e))?);
        for source in &self.args.sources {
            let mut steps = Vec::new();
            match outside::argument(source) {
                Ok((from, Some(_))) => steps.push(Step::Copy {
                    from,
                    path: source.clone(),
                    to: Rc::clone(&to),
                }),
                Ok((from, None)) => self.enter(&from, source, &to, &mut steps),
                Err(e) => self.skip(source, &e.into()),
            }
            while let Some(step) = steps.pop() {
                if interrupt::seen() {
                    return Err(Failure::interrupted());
                }
                self.step(step, &mut steps)?;
            }
        }
        Ok(())
    }

    /// The directory at a path of the store, made where it is not there.
    fn make_path(&self, path: &Path) -> Result<Held<'a>> {
        let mut at = Held::root(self.store)?;
        for name in path {
            at = match Held::lookup(self.store, at.ino(), name) {
                Err(Error::NotFound) => {
                    let caller = Caller {
                        umask: 0o022,
                        ..self.caller
                    };
                    let made = self.store.make_dir(at.ino(), name, 0o777, caller)?;
                    Held::adopt(self.store, made)
                }
                other => other?,
            };
        }
        if at.attr.kind != Kind::Dir {
            return Err(Error::NotDirectory);
        }
        Ok(at)
    }

    /// Does one step; a failure that stops everything is a full disk.
    fn step(
        &mut self,
        step: Step<'a>,
        steps: &mut Vec<Step<'a>>,
    ) -> std::result::Result<(), Failure> {
        let (path, done) = match step {
            Step::Copy { from, path, to } => {
                self.ui.at(&path);
                let done = self.copy(&from, &path, &to, steps);
                (path, done)
            }
            Step::Leave {
                attributes,
                dir,
                path,
            } => (path, attributes.give_inode(self.store, dir.ino())),
        };
        match done {
            Ok(()) => self.ui.detail(&quoted(&path)),
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::StorageFull => {
                return Err(Failure::io(&self.args.to, &e));
            }
            Err(e) => self.skip(&path, &e),
        }
        Ok(())
    }

    /// Notes all names of a directory as steps.
    fn enter(
        &mut self,
        from: &Arc<dyn Dir>,
        path: &Path,
        to: &Rc<Held<'a>>,
        steps: &mut Vec<Step<'a>>,
    ) {
        match from.list() {
            Ok(mut names) => {
                names.sort_by(|a, b| b.name.cmp(&a.name));
                steps.extend(names.into_iter().map(|listed| Step::Copy {
                    from: Arc::clone(from),
                    path: path.join(listed.name),
                    to: Rc::clone(to),
                }));
            }
            Err(e) => self.skip(path, &e.into()),
        }
    }

    /// Copies the last component of `path`, a name in `from`.
    fn copy(
        &mut self,
        from: &Arc<dyn Dir>,
        path: &Path,
        to: &Rc<Held<'a>>,
        steps: &mut Vec<Step<'a>>,
    ) -> Result<()> {
        let name = path.file_name().unwrap_or_default();
        let meta = meta_if_there(&**from, name)?.ok_or(Error::NotFound)?;
        if let Some(inner) = name.as_bytes().strip_suffix(b".holo")
            && !inner.is_empty()
        {
            match foreign::recognise(&**from, name, &meta, self.choice(), None)? {
                Recognised::Foreign(held) => {
                    let target = held.shown(OsStr::from_bytes(inner));
                    return self.copy_file(&**from, path, &meta, to, &target, Some(&held));
                }
                Recognised::Broken(what) => return Err(Error::Io(io::Error::other(what))),
                Recognised::Unknown => {}
            }
        }
        if meta.kind == Kind::Dir {
            let inner = outside::subdir(&**from, name, path)?;
            if self.args.dry_run {
                self.enter(&inner, path, to, steps);
                return Ok(());
            }
            let attributes = Attributes::of_name(&**from, name, &meta)?;
            let dir = Rc::new(self.make_dir(to, name)?);
            steps.push(Step::Leave {
                attributes,
                dir: Rc::clone(&dir),
                path: path.to_owned(),
            });
            self.enter(&inner, path, &dir, steps);
            return Ok(());
        }
        self.copy_file(&**from, path, &meta, to, name, None)
    }

    /// What becomes of samples of another program's sound that lie beyond their range.
    fn choice(&self) -> Choice<'static> {
        let sums = if self.args.compat_clip {
            Sums::Clipped
        } else {
            Sums::Wrapped
        };
        Choice {
            sums,
            context: None,
        }
    }

    /// Copies one file of any kind but a directory as `target`, or the file that something `foreign` holds.
    fn copy_file(
        &mut self,
        from: &dyn Dir,
        path: &Path,
        meta: &Meta,
        to: &Held<'a>,
        target: &OsStr,
        foreign: Option<&Foreign>,
    ) -> Result<()> {
        if self.args.dry_run {
            self.ui.line(&quoted(path));
            return Ok(());
        }
        match Held::lookup(self.store, to.ino(), target) {
            Err(Error::NotFound) => {}
            Ok(_) if self.args.overwrite => {}
            Ok(_) => return Err(Error::Exists),
            Err(e) => return Err(e),
        }
        // Under the final name there is all of a file or nothing.
        self.count += 1;
        let temporary = format!(".holofs-import-{}-{}", std::process::id(), self.count);
        let temporary = OsString::from(temporary);
        let at = to.ino();
        let name = path.file_name().unwrap_or_default();
        let made = match foreign {
            Some(held) => self.write_foreign(from, name, meta, held, at, &temporary),
            None => self
                .write(from, name, meta, at, &temporary)
                .map(|held| (held, Quality::Exact)),
        };
        let renamed = made.and_then(|made| {
            self.store
                .rename(at, &temporary, at, target, Rename::Replace)?;
            Ok(made)
        });
        match renamed {
            Ok((held, quality)) => {
                if let Quality::Degraded(what) = quality {
                    let what = format!("imported at reduced quality: {what}");
                    self.ui.warn(path, &what);
                    self.code = self.code.and(Code::Reduced);
                }
                if meta.nlink > 1 && meta.kind != Kind::Dir {
                    self.links.entry((meta.dev, meta.ino)).or_insert(held);
                }
                Ok(())
            }
            Err(e) => {
                self.store.unlink(at, &temporary).ok(); // it may never have been made
                Err(e)
            }
        }
    }

    /// Makes a directory, or uses the one that is there. Its attributes come when it is full.
    fn make_dir(&self, to: &Held<'a>, name: &OsStr) -> Result<Held<'a>> {
        match self.store.make_dir(to.ino(), name, 0o700, self.caller) {
            Ok(attr) => Ok(Held::adopt(self.store, attr)),
            Err(Error::Exists) => {
                let there = Held::lookup(self.store, to.ino(), name)?;
                if there.attr.kind == Kind::Dir {
                    Ok(there)
                } else {
                    Err(Error::Exists)
                }
            }
            Err(e) => Err(e),
        }
    }

    /// Makes one file of any kind but a directory, with all its attributes.
    fn write(
        &self,
        from: &dyn Dir,
        name: &OsStr,
        meta: &Meta,
        at: u64,
        temporary: &OsStr,
    ) -> Result<Held<'a>> {
        let (store, caller) = (self.store, self.caller);
        if let Some(first) = self.links.get(&(meta.dev, meta.ino)) {
            return Ok(Held::adopt(store, store.link(first.ino(), at, temporary)?));
        }
        let held = match meta.kind {
            Kind::File => {
                let source = from.open(name, Access::Read)?;
                self.create(at, temporary, &mut |ino| {
                    self.content(&*source, meta.size, ino)
                })?
            }
            Kind::Symlink => {
                let target = from.read_link(name)?;
                let made = store.make_symlink(at, temporary, &target, caller)?;
                Held::adopt(store, made)
            }
            Kind::Dir => return Err(Error::IsDirectory),
            kind => {
                let made = store.make_node(at, temporary, kind, 0o600, meta.rdev, caller)?;
                Held::adopt(store, made)
            }
        };
        Attributes::of_name(from, name, meta)?.give_inode(store, held.ino())?;
        Ok(held)
    }

    /// Makes the file that a foreign file or directory holds, and tells what it is worth.
    fn write_foreign(
        &self,
        from: &dyn Dir,
        name: &OsStr,
        meta: &Meta,
        foreign: &Foreign,
        at: u64,
        temporary: &OsStr,
    ) -> Result<(Held<'a>, Quality)> {
        // What is not all of it must not pass for the file from now on, unless that is asked for.
        if !self.args.allow_degraded
            && let Quality::Degraded(what) = foreign.quality(true)?
        {
            let what = format!("only at reduced quality, with --allow-degraded: {what}");
            return Err(Error::Io(io::Error::other(what)));
        }
        let mut worth = Quality::Exact;
        let held = self.create(at, temporary, &mut |ino| {
            let mut buf = vec![0; PIECE];
            let mut offset = 0;
            while offset < foreign.size() {
                if interrupt::seen() {
                    return Err(Error::Io(io::ErrorKind::Interrupted.into()));
                }
                let (got, quality) = foreign.read_at(offset, &mut buf)?;
                worth = quality;
                let piece = buf.get(..got).filter(|piece| !piece.is_empty());
                let piece = piece.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                self.store.write(ino, offset, piece, false)?;
                offset += got as u64;
            }
            Ok(())
        })?;
        let mut attributes = Attributes::of_name(from, name, meta)?;
        if meta.kind == Kind::Dir {
            attributes = attributes.of_file();
        }
        attributes.give_inode(self.store, held.ino())?;
        Ok((held, worth))
    }

    /// Makes a regular file and has it filled.
    fn create(
        &self,
        at: u64,
        name: &OsStr,
        fill: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Held<'a>> {
        let how = OpenHow {
            write: true,
            ..OpenHow::default()
        };
        let (attr, _) = self.store.create(at, name, 0o600, true, how, self.caller)?;
        let held = Held::adopt(self.store, attr);
        let file = OpenFile::created(self.store, attr.ino);
        fill(attr.ino)?;
        drop(file);
        Ok(held)
    }

    /// Copies a regular file's bytes; holes stay holes.
    fn content(&self, source: &dyn File, size: u64, ino: u64) -> Result<()> {
        let mut buf = vec![0; PIECE];
        let mut at = 0;
        while let Some((begin, end)) = data(source, at, size)? {
            at = begin;
            while at < end {
                if interrupt::seen() {
                    return Err(Error::Io(io::ErrorKind::Interrupted.into()));
                }
                let want = usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE));
                let got = source.read_at(buf.get_mut(..want).unwrap_or_default(), at)?;
                if got == 0 {
                    let what = "the file became shorter while it was copied";
                    return Err(Error::Io(io::Error::other(what)));
                }
                self.store
                    .write(ino, at, buf.get(..got).unwrap_or_default(), false)?;
                at += got as u64;
            }
        }
        let size = Some(size);
        self.store.set_attr(
            ino,
            SetAttr {
                size,
                ..SetAttr::default()
            },
        )?;
        Ok(())
    }

    /// Names what was not copied.
    fn skip(&mut self, path: &Path, e: &Error) {
        let what = match e {
            Error::Io(e) => plain(e),
            e => e.to_string(),
        };
        self.ui.warn(path, &format!("skipped: {what}"));
        self.code = self.code.and(Code::Skipped);
    }
}

/// The next stretch of data at or after `at`, as `(begin, end)`; `None` when only a hole is left.
fn data(source: &dyn File, at: u64, size: u64) -> Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    match source.seek(at, Seek::Data) {
        Ok(begin) if begin < size => {
            let end = source.seek(begin, Seek::Hole)?;
            Ok(Some((begin, end.min(size))))
        }
        Ok(_) => Ok(None),
        Err(e) if e.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
        // A filesystem that does not know holes has none.
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(Some((at, size))),
        Err(e) => Err(e.into()),
    }
}
