//! `export`: copies files out of a store; what cannot be had is named and skipped.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::args;
use super::attrs::Attributes;
use super::cat::judge;
use super::content::OpenFile;
use super::exit::{Code, Failure, Outcome, plain};
use super::interrupt;
use super::place::Place;
use super::session;
use super::ui::{Ui, quoted};
use crate::foreign::{Choice, ForeignError, sealgate};
use crate::store::disk::{Dir, Rename, meta_if_there};
use crate::store::foreign::{self, Recognised};
use crate::store::outside::{self, There};
use crate::store::walk::{Held, find};
use crate::store::{Attr, Error, Kind, Result, Store};

/// What the names of files in another program's format end in.
const SUFFIX: &str = ".holo";
/// Bytes compared at a time.
const PIECE: usize = 1 << 20;

/// Runs the verb.
pub(super) fn run(args: &args::Export, ui: &mut Ui) -> Outcome {
    let place = Place::of(&args.path)?;
    let store = session::open_taking(&place, args.allow_degraded)?;
    let fail = |e: Error| Failure::store(&args.path, &e);
    let held = find(&store, &place.path).map_err(fail)?;
    let (base, name) = target(args, &place, held.attr.kind)?;
    if !args.dry_run {
        outside::make_dirs(&base).map_err(|e| Failure::io(&base, &e))?;
        interrupt::tidy();
    }
    let mut export = Export {
        store: &store,
        args,
        ui,
        code: Code::Ok,
        links: HashMap::new(),
        count: 0,
        base,
    };
    let done = match name {
        Some(name) => export.one(&held, &name),
        None => export.tree(held),
    };
    let code = export.code;
    done?;
    session::close(&place, &store)?;
    Ok(code)
}

/// Directory that takes what is exported, and for anything but a directory the name there.
fn target(
    args: &args::Export,
    place: &Place,
    kind: Kind,
) -> std::result::Result<(PathBuf, Option<OsString>), Failure> {
    let dst = &args.dst;
    let there = outside::what_is_there(dst).map_err(|e| Failure::io(dst, &e))?;
    if outside::store_above(dst).is_some() {
        return Err(Failure::new(Code::Error, dst, "lies in a store"));
    }
    if kind == Kind::Dir {
        return match there {
            There::Dir | There::Nothing => Ok((dst.clone(), None)),
            _ => Err(Failure::new(Code::Error, dst, "not a directory")),
        };
    }
    if there == There::Dir {
        let name = target_name(args, place.path.file_name().unwrap_or_default(), kind);
        return Ok((dst.clone(), Some(name)));
    }
    let name = dst.file_name().map(OsStr::to_owned);
    let name = name.ok_or_else(|| Failure::new(Code::Error, dst, "names no file"))?;
    Ok((dst.parent().unwrap_or(Path::new("")).to_owned(), Some(name)))
}

/// What a file of this name is called where it goes.
fn target_name(args: &args::Export, name: &OsStr, kind: Kind) -> OsString {
    let mut name = name.to_owned();
    if args.format.is_some() && kind == Kind::File {
        name.push(SUFFIX);
    }
    name
}

/// What waits to be done, last first.
enum Step<'a> {
    /// Copy this name of `from` into `to`, which lies at `path` below the target.
    Copy {
        from: Rc<Held<'a>>,
        to: Arc<dyn Dir>,
        path: PathBuf,
    },
    /// All that is in this directory has been copied.
    Leave {
        attributes: Attributes,
        to: Arc<dyn Dir>,
        path: PathBuf,
    },
}

struct Export<'a, 'u> {
    store: &'a Store,
    args: &'a args::Export,
    ui: &'u mut Ui,
    code: Code,
    /// Where the first name of a file with several went.
    links: HashMap<u64, PathBuf>,
    /// For temporary names.
    count: u64,
    base: PathBuf,
}

impl<'a> Export<'a, '_> {
    /// The directory that takes everything. A dry run has none, and looks at none.
    fn open_base(&self) -> std::result::Result<Arc<dyn Dir>, Failure> {
        let base = if self.base.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.base
        };
        crate::store::disk::open_root(base).map_err(|e| Failure::io(base, &e))
    }

    /// Copies one file that is no directory.
    fn one(&mut self, held: &Held<'a>, name: &OsStr) -> std::result::Result<(), Failure> {
        if self.args.dry_run {
            self.ui.line(&quoted(&self.base.join(name)));
            return Ok(());
        }
        let to = self.open_base()?;
        self.copy(&held.attr, &*to, Path::new(name))
    }

    /// Copies all that is in a directory.
    fn tree(&mut self, held: Held<'a>) -> std::result::Result<(), Failure> {
        if self.args.dry_run {
            return self.name_all(&held);
        }
        let to = self.open_base()?;
        let mut steps = Vec::new();
        self.enter(held, &to, Path::new(""), &mut steps);
        while let Some(step) = steps.pop() {
            if interrupt::seen() {
                return Err(Failure::interrupted());
            }
            match step {
                Step::Copy { from, to, path } => {
                    let name = path.file_name().unwrap_or_default();
                    self.ui.at(&path);
                    match Held::lookup(self.store, from.ino(), name) {
                        Ok(held) if held.attr.kind == Kind::Dir => {
                            match self.make_dir(&held, &*to, &path) {
                                Ok((inner, attributes)) => {
                                    steps.push(Step::Leave {
                                        attributes,
                                        to,
                                        path: path.clone(),
                                    });
                                    self.enter(held, &inner, &path, &mut steps);
                                }
                                Err(e) => self.skip(&path, Code::Skipped, &e),
                            }
                        }
                        Ok(held) => {
                            let name = target_name(self.args, name, held.attr.kind);
                            self.copy(&held.attr, &*to, &path.with_file_name(name))?;
                        }
                        Err(Error::NotFound) => {} // gone meanwhile
                        Err(e) => self.skip(&path, Code::Skipped, &e),
                    }
                }
                Step::Leave {
                    attributes,
                    to,
                    path,
                } => {
                    let name = path.file_name().unwrap_or_default();
                    if let Err(e) = attributes.give_name(&*to, name) {
                        self.skip(&path, Code::Skipped, &e);
                    }
                }
            }
        }
        Ok(())
    }

    /// Names what a run would copy.
    fn name_all(&mut self, held: &Held<'a>) -> std::result::Result<(), Failure> {
        let mut dirs = vec![(held.ino(), PathBuf::new(), None)];
        while let Some((ino, path, _held)) = dirs.pop() {
            let mut items = self
                .store
                .read_dir(ino)
                .map_err(|e| Failure::store(&path, &e))?;
            items.sort_by(|a, b| a.name.cmp(&b.name));
            for item in items {
                let child = path.join(&item.name);
                if item.kind != Kind::Dir {
                    let name = target_name(self.args, &item.name, item.kind);
                    self.ui
                        .line(&quoted(&self.base.join(child.with_file_name(name))));
                } else if let Ok(held) = Held::lookup(self.store, ino, &item.name) {
                    dirs.push((held.ino(), child, Some(held)));
                }
            }
        }
        Ok(())
    }

    /// Notes all names of a directory as steps.
    fn enter(&mut self, held: Held<'a>, to: &Arc<dyn Dir>, path: &Path, steps: &mut Vec<Step<'a>>) {
        match self.store.read_dir(held.ino()) {
            Ok(mut items) => {
                items.sort_by(|a, b| b.name.cmp(&a.name));
                let from = Rc::new(held);
                steps.extend(items.into_iter().map(|item| Step::Copy {
                    from: Rc::clone(&from),
                    to: Arc::clone(to),
                    path: path.join(&item.name),
                }));
            }
            Err(e) => self.skip(path, Code::Skipped, &e),
        }
    }

    /// Makes a directory, or uses the one that is there. Its attributes come when it is full.
    fn make_dir(
        &self,
        held: &Held<'a>,
        to: &dyn Dir,
        path: &Path,
    ) -> Result<(Arc<dyn Dir>, Attributes)> {
        let name = path.file_name().unwrap_or_default();
        let attributes = Attributes::of_inode(self.store, &held.attr)?;
        match to.make_dir(name, 0o700, 0) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e.into()),
            _ => {}
        }
        Ok((
            outside::subdir(to, name, &self.base.join(path))?,
            attributes,
        ))
    }

    /// Copies one name; a failure that stops everything is a full disk.
    fn copy(&mut self, attr: &Attr, to: &dyn Dir, path: &Path) -> std::result::Result<(), Failure> {
        let name = path.file_name().unwrap_or_default();
        match self.replace(attr, to, name, path) {
            Ok(Code::Ok) => {
                self.ui.detail(&quoted(&self.base.join(path)));
                Ok(())
            }
            Ok(code) => {
                self.ui.warn(path, "copied at reduced quality");
                self.code = self.code.and(code);
                Ok(())
            }
            Err((_, Error::Io(e))) if e.kind() == io::ErrorKind::StorageFull => {
                Err(Failure::io(&self.base.join(path), &e))
            }
            Err((code, e)) => {
                let code = if code == Code::Error {
                    Code::Skipped
                } else {
                    code
                };
                self.skip(path, code, &e);
                Ok(())
            }
        }
    }

    /// Writes under a temporary name, and renames: under the final name there is all of a file or nothing.
    fn replace(
        &mut self,
        attr: &Attr,
        to: &dyn Dir,
        name: &OsStr,
        path: &Path,
    ) -> std::result::Result<Code, (Code, Error)> {
        let other = |e: Error| (Code::Error, e);
        let there = meta_if_there(to, name).map_err(|e| other(e.into()))?;
        if there.is_some() && !self.args.overwrite {
            return Err(other(Error::Exists));
        }
        self.count += 1;
        let temporary = format!(".holofs-export-{}-{}", std::process::id(), self.count);
        let temporary = OsStr::new(&temporary);
        let made = self.write(attr, to, temporary, path);
        let renamed = made.and_then(|code| {
            let renamed = to.rename(temporary, to, name, Rename::Replace);
            renamed.map(|()| code).map_err(|e| other(e.into()))
        });
        if renamed.is_err() {
            drop(to.unlink(temporary)); // it may never have been made
        } else if attr.nlink > 1 {
            self.links.insert(attr.ino, path.to_owned());
        }
        renamed
    }

    /// Makes one file of any kind but a directory, with all its attributes.
    fn write(
        &self,
        attr: &Attr,
        to: &dyn Dir,
        name: &OsStr,
        path: &Path,
    ) -> std::result::Result<Code, (Code, Error)> {
        let other = |e: Error| (Code::Error, e);
        if let Some(first) = self.links.get(&attr.ino) {
            let linked = self.link(first, to, name);
            return linked.map(|()| Code::Ok).map_err(other);
        }
        let code = match attr.kind {
            Kind::File => {
                let copied = match &self.args.format {
                    None => self.content(attr, to, name),
                    Some(_) => self.template(attr, to, name, path),
                };
                judge(self.store, attr.ino, copied)?
            }
            Kind::Symlink => {
                let target = self.store.read_link(attr.ino).map_err(other)?;
                let made = to.make_symlink(name, &target);
                made.map(|()| Code::Ok).map_err(|e| other(e.into()))?
            }
            Kind::Dir => return Err((Code::Error, Error::IsDirectory)),
            kind => {
                let made = to.make_node(name, kind, 0o600, 0, attr.rdev);
                made.map(|()| Code::Ok).map_err(|e| other(e.into()))?
            }
        };
        log::debug!("{}: written", path.display());
        Attributes::of_inode(self.store, attr)
            .and_then(|attributes| attributes.give_name(to, name))
            .map_err(other)?;
        Ok(code)
    }

    /// Makes another name of a file that was copied before.
    fn link(&self, first: &Path, to: &dyn Dir, name: &OsStr) -> Result<()> {
        let mut dir = crate::store::disk::open_root(&self.base)?;
        for above in first.parent().into_iter().flatten() {
            dir = dir.dir(above)?;
        }
        Ok(dir.link(first.file_name().unwrap_or_default(), to, name)?)
    }

    /// Copies a regular file's bytes; holes stay holes.
    fn content(&self, attr: &Attr, to: &dyn Dir, name: &OsStr) -> Result<()> {
        let out = to.create(name, 0o600, 0)?;
        let file = OpenFile::reading(self.store, attr.ino)?;
        let mut at = 0;
        while let Some((begin, end)) = file.data(at, attr.size)? {
            file.read(begin, end, &mut |offset, piece| {
                out.write_at(piece, offset)?;
                if interrupt::seen() {
                    return Err(Error::Io(io::ErrorKind::Interrupted.into()));
                }
                Ok::<_, Error>(true)
            })?;
            at = end;
        }
        Ok(out.set_len(attr.size)?)
    }

    /// Writes a regular file as a template, and compares what that is read as.
    fn template(&self, attr: &Attr, to: &dyn Dir, name: &OsStr, path: &Path) -> Result<()> {
        let failed = |e: ForeignError| Error::Io(io::Error::other(e.to_string()));
        if attr.size > sealgate::MOST {
            return Err(failed(ForeignError::Limit {
                what: "the size in bytes of a file for a template",
                value: attr.size,
                limit: sealgate::MOST,
            }));
        }
        let mut content = Vec::new();
        let file = OpenFile::reading(self.store, attr.ino)?;
        file.read(0, attr.size, &mut |_, piece| {
            content.extend_from_slice(piece);
            Ok::<_, Error>(!interrupt::seen())
        })?;
        if interrupt::seen() {
            return Err(Error::Io(io::ErrorKind::Interrupted.into()));
        }
        if content.len() as u64 != attr.size {
            let what = "the file became shorter while it was copied";
            return Err(Error::Io(io::Error::other(what)));
        }
        let called = path.file_name().unwrap_or_default().to_string_lossy();
        let called = called.strip_suffix(SUFFIX).unwrap_or(&called);
        let template = sealgate::encode(called, &content).map_err(failed)?;
        let out = to.create(name, 0o600, 0)?;
        out.write_at(&template, 0)?;
        drop(out);
        let different = || {
            let what = "what was written reads back as something else";
            Error::Io(io::Error::other(what))
        };
        let meta = to.meta(name)?;
        let Recognised::Foreign(back) =
            foreign::recognise(to, name, &meta, Choice::default(), None)?
        else {
            return Err(different());
        };
        let mut same = back.size() == content.len() as u64;
        let mut buf = vec![0; PIECE];
        let mut at = 0;
        for piece in content.chunks(PIECE) {
            let buf = buf.get_mut(..piece.len()).unwrap_or_default();
            same = same && back.read_at(at, buf)?.0 == piece.len() && buf == piece;
            at += piece.len() as u64;
        }
        if same { Ok(()) } else { Err(different()) }
    }

    /// Names what was not copied.
    fn skip(&mut self, path: &Path, code: Code, e: &Error) {
        let what = match e {
            Error::Io(e) => plain(e),
            Error::Damaged { what, .. } => what.clone(),
            e => e.to_string(),
        };
        self.ui.warn(path, &format!("skipped: {what}"));
        self.code = self.code.and(code);
    }
}
