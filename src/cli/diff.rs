//! `diff`: how two files, or all files of two directories, differ.

mod regions;
mod unified;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::ls;
use super::place::Place;
use super::session;
use super::source::{Source as _, Stored, failure, is_binary};
use super::ui::{JsonPath, Ui, quoted};
use crate::store::walk::{Held, find};
use crate::store::{Attr, Error, Kind, Store};
use regions::{changes, first_difference};
use unified::Unified;

/// One element of the array: two files, or one that is not in both directories.
#[derive(Serialize)]
struct Row<'a> {
    a: Option<JsonPath<'a>>,
    b: Option<JsonPath<'a>>,
    /// Offset of the first byte that differs, where both are regular files.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_difference: Option<u64>,
}

/// One of the two.
struct Side {
    place: Place,
    store: Arc<Store>,
}

impl Side {
    fn open(given: &Path) -> Result<Self, Failure> {
        let place = Place::of(given)?;
        let store = session::open_reading(&place)?;
        Ok(Self { place, store })
    }

    fn find(&self) -> Result<Held<'_>, Failure> {
        let held = find(&self.store, &self.place.path);
        held.map_err(|e| Failure::store(&self.place.given, &e))
    }
}

/// Runs the verb.
pub(super) fn run(args: &args::Diff, ui: &mut Ui) -> Outcome {
    let sides = [Side::open(&args.a)?, Side::open(&args.b)?];
    let [a, b] = &sides;
    let mut diff = Diff {
        stores: [&a.store, &b.store],
        ui,
        differ: false,
        code: Code::Ok,
    };
    let (ours, theirs) = (a.find()?, b.find()?);
    if ours.attr.kind == Kind::Dir && theirs.attr.kind == Kind::Dir {
        diff.directories(ours, theirs, [&args.a, &args.b]);
    } else {
        diff.pair([&ours.attr, &theirs.attr], [&args.a, &args.b], true);
    }
    let (differ, code) = (diff.differ, diff.code);
    if ui.json() {
        ui.end_rows();
    }
    for side in &sides {
        session::close(&side.place, &side.store)?;
    }
    Ok(match (code, differ) {
        (Code::Ok, true) => Code::Error,
        (code, _) => code,
    })
}

/// Names of one or both directories, waiting to be compared.
struct Waiting<'a> {
    dirs: Rc<[Held<'a>; 2]>,
    paths: Rc<[PathBuf; 2]>,
    name: OsString,
    /// Which of them have it.
    has: [bool; 2],
}

struct Diff<'a, 'u> {
    stores: [&'a Store; 2],
    ui: &'u mut Ui,
    differ: bool,
    code: Code,
}

impl<'a> Diff<'a, '_> {
    /// Names what could not be compared; the rest goes on. 1 says that something differs, and nothing else.
    fn failed(&mut self, failure: &Failure) {
        self.ui.flush();
        self.ui.failure(failure);
        let code = match failure.code {
            Code::Error => Code::Skipped,
            code => code,
        };
        self.code = self.code.and(code);
    }

    /// Names two things that differ, or one that is alone.
    fn differ(&mut self, paths: [Option<&Path>; 2], first: Option<u64>, text: &str) {
        self.differ = true;
        if self.ui.json() {
            let [a, b] = paths.map(|path| path.map(JsonPath::from));
            let first_difference = first;
            self.ui.row(&Row {
                a,
                b,
                first_difference,
            });
        } else {
            self.ui.line(text);
            if let Some(offset) = first {
                let text = format!("first difference at byte {offset}");
                self.ui.detail(&text);
            }
        }
    }

    /// All that is in two directories.
    fn directories(&mut self, a: Held<'a>, b: Held<'a>, paths: [&Path; 2]) {
        let mut waiting = Vec::new();
        self.enter([a, b], paths.map(Path::to_owned), &mut waiting);
        while let Some(next) = waiting.pop() {
            let [path_a, path_b] = &*next.paths;
            let paths = [path_a.join(&next.name), path_b.join(&next.name)];
            let [a, b] = &paths;
            self.ui.at(a);
            let [in_a, in_b] = next.has;
            if !(in_a && in_b) {
                let (dir, alone) = if in_a {
                    (path_a, [Some(a.as_path()), None])
                } else {
                    (path_b, [None, Some(b.as_path())])
                };
                let (dir, name) = (quoted(dir), quoted(Path::new(&next.name)));
                let text = format!("Only in {dir}: {name}");
                self.differ(alone, None, &text);
                continue;
            }
            let [dir_a, dir_b] = &*next.dirs;
            let look = |dir: &Held<'a>| Held::lookup(dir.store(), dir.ino(), &next.name);
            match (look(dir_a), look(dir_b)) {
                (Ok(a), Ok(b)) if a.attr.kind == Kind::Dir && b.attr.kind == Kind::Dir => {
                    self.enter([a, b], paths, &mut waiting);
                }
                (Ok(ours), Ok(theirs)) => {
                    self.pair([&ours.attr, &theirs.attr], [a, b], false);
                }
                (ours, theirs) => {
                    for (path, looked) in [(a, ours), (b, theirs)] {
                        if let Err(e) = looked {
                            self.failed(&Failure::store(path, &e));
                        }
                    }
                }
            }
        }
    }

    /// Notes all names of two directories, the first in byte order last.
    fn enter(&mut self, dirs: [Held<'a>; 2], paths: [PathBuf; 2], waiting: &mut Vec<Waiting<'a>>) {
        let mut names: BTreeMap<OsString, [bool; 2]> = BTreeMap::new();
        for ((dir, path), mark) in dirs.iter().zip(&paths).zip([[true, false], [false, true]]) {
            match dir.store().read_dir(dir.ino()) {
                Ok(items) => {
                    for item in items {
                        let has = names.entry(item.name).or_default();
                        for (has, mark) in has.iter_mut().zip(mark) {
                            *has |= mark;
                        }
                    }
                }
                Err(e) => return self.failed(&Failure::store(path, &e)),
            }
        }
        let (dirs, paths) = (Rc::new(dirs), Rc::new(paths));
        waiting.extend(names.into_iter().rev().map(|(name, has)| Waiting {
            dirs: Rc::clone(&dirs),
            paths: Rc::clone(&paths),
            name,
            has,
        }));
    }

    /// Two things that are not both directories. `lines`: tell how text differs.
    fn pair(&mut self, attrs: [&Attr; 2], paths: [&Path; 2], lines: bool) {
        let ([a, b], [path_a, path_b]) = (attrs, paths);
        let both = paths.map(Some);
        if a.kind != b.kind {
            let ((_, ours), (_, theirs)) = (ls::kind(a.kind), ls::kind(b.kind));
            let text = format!(
                "File {} is a {ours} while file {} is a {theirs}",
                quoted(path_a),
                quoted(path_b)
            );
            return self.differ(both, None, &text);
        }
        let [store_a, store_b] = self.stores;
        match a.kind {
            Kind::File => self.files([a, b], paths, lines),
            Kind::Symlink => {
                let targets = (store_a.read_link(a.ino), store_b.read_link(b.ino));
                if !matches!(&targets, (Ok(ours), Ok(theirs)) if ours == theirs) {
                    let text = format!(
                        "Symbolic links {} and {} differ",
                        quoted(path_a),
                        quoted(path_b)
                    );
                    self.differ(both, None, &text);
                }
            }
            _ if a.rdev == b.rdev => {}
            _ => {
                let text = format!("Devices {} and {} differ", quoted(path_a), quoted(path_b));
                self.differ(both, None, &text);
            }
        }
    }

    /// Two regular files.
    fn files(&mut self, [a, b]: [&Attr; 2], paths: [&Path; 2], lines: bool) {
        let [store_a, store_b] = self.stores;
        let [path_a, path_b] = paths;
        let failed_a = |e: Error| failure(store_a, a.ino, path_a, &e);
        let failed_b = |e: Error| failure(store_b, b.ino, path_b, &e);
        let compared = Stored::open(store_a, a.ino)
            .map_err(failed_a)
            .and_then(|ours| {
                let theirs = Stored::open(store_b, b.ino).map_err(failed_b)?;
                let done = self.contents([&ours, &theirs], paths, lines);
                done.map_err(|e| {
                    if ours.failed() {
                        failed_a(e)
                    } else {
                        failed_b(e)
                    }
                })
            });
        if let Err(failure) = compared {
            self.failed(&failure);
        }
    }

    /// The contents of two regular files.
    fn contents(
        &mut self,
        [a, b]: [&Stored; 2],
        paths: [&Path; 2],
        lines: bool,
    ) -> Result<(), Error> {
        let hashes = a.hash().zip(b.hash());
        if hashes.is_some_and(|(ours, theirs)| ours == theirs) {
            return Ok(());
        }
        let differ = hashes.is_some() || a.size() != b.size();
        let binary = lines && (is_binary(a)? || is_binary(b)?);
        let shown = lines && !binary && !self.ui.json();
        let first = if !shown && (self.ui.says_more() || !differ) {
            let Some(first) = first_difference(a, b)? else {
                return Ok(());
            };
            self.ui.says_more().then_some(first)
        } else {
            None
        };
        if shown {
            return self.lines([a, b], paths);
        }
        let [path_a, path_b] = paths.map(quoted);
        let what = if binary { "Binary files" } else { "Files" };
        let text = format!("{what} {path_a} and {path_b} differ");
        self.differ(paths.map(Some), first, &text);
        Ok(())
    }

    /// A unified diff of two text files.
    fn lines(&mut self, [a, b]: [&Stored; 2], paths: [&Path; 2]) -> Result<(), Error> {
        let [path_a, path_b] = paths.map(quoted);
        let mut heading = Some(format!("--- {path_a}\n+++ {path_b}\n"));
        let (ui, differ) = (&mut *self.ui, &mut self.differ);
        let mut print = |bytes: &[u8]| {
            if let Some(heading) = heading.take() {
                *differ = true;
                ui.bytes(heading.as_bytes());
            }
            ui.bytes(bytes);
        };
        let mut unified = Unified::new(a, b, &mut print);
        changes(a, b, &mut |change| unified.change(change))?;
        unified.print_hunk()
    }
}
