//! A walk over all regular files, a directory a step, that can be resumed after a restart.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{self, Access, Kind};
use super::node::Node;
use super::tree::Store;
use super::walk::Held;
use super::{Error, Result};

/// Where the crawl keeps its place, in `.holofs/`.
const PLACE: &str = "crawl";
/// Steps between two notes of the place.
const NOTE_EVERY: u32 = 64;
/// Longest place that is read back.
const LIMIT: u64 = 1 << 16;

/// What is done on a walk.
pub(crate) trait Visit {
    /// Whether to go into a directory.
    fn enter(&mut self, dir: &Arc<Node>) -> bool;
    /// A regular file.
    fn file(&mut self, file: &Arc<Node>);
}

/// A walk under way: directories still to visit, in order.
#[derive(Debug)]
pub(crate) struct Crawl {
    /// Directories still to be visited; the last is next.
    left: Vec<PathBuf>,
    /// Directories before this one were visited by an earlier process; they come last.
    resumed: Option<PathBuf>,
    steps: u32,
    /// Whether its place is kept for the next process.
    kept: bool,
}

impl Crawl {
    /// From where the last process stopped, once around.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            left: vec![PathBuf::new()],
            resumed: Self::place(store),
            steps: 0,
            kept: true,
        }
    }

    /// From the root to the end.
    pub(crate) fn from_start(_: &Store) -> Self {
        Self {
            left: vec![PathBuf::new()],
            resumed: None,
            steps: 0,
            kept: false,
        }
    }

    fn place(store: &Store) -> Option<PathBuf> {
        let own = store.own.as_ref()?;
        let file = own.base.open(OsStr::new(PLACE), Access::Read).ok()?;
        let size = file.meta().ok()?.size.min(LIMIT);
        let mut path = vec![0; usize::try_from(size).ok()?];
        disk::read_exact_at(file.as_ref(), &mut path, 0).ok()?;
        Some(PathBuf::from(OsString::from_vec(path)))
    }

    fn note(store: &Store, at: &Path) -> Result<()> {
        let own = store.own()?;
        let name = OsStr::new(PLACE);
        let file = match own.base.open(name, Access::Write) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                own.base.create(name, 0o600, 0)?
            }
            opened => opened?,
        };
        file.set_len(0)?;
        Ok(file.write_at(at.as_os_str().as_bytes(), 0)?)
    }

    /// Visits one directory and its regular files, and notes its subdirectories. `false` at the end.
    pub(crate) fn step(&mut self, store: &Store, visit: &mut dyn Visit) -> bool {
        let Some(path) = self.left.pop() else {
            return false;
        };
        if self.kept {
            self.steps += 1;
            let noted = if self.left.is_empty() {
                Self::note(store, Path::new(""))
            } else if self.steps.is_multiple_of(NOTE_EVERY) {
                Self::note(store, &path)
            } else {
                Ok(())
            };
            if let Err(e) = noted {
                log::debug!("place of the crawl not kept: {e}");
            }
        }
        match Self::visit_dir(store, &path, visit) {
            Ok(mut inner) => {
                inner.sort_unstable_by(|a, b| b.cmp(a));
                if let Some(resumed) = &self.resumed {
                    // Directories before the place go to the bottom of the stack: visited last.
                    let (after, before): (Vec<_>, Vec<_>) = inner
                        .into_iter()
                        .partition(|p| p >= resumed || resumed.starts_with(p));
                    self.left.splice(0..0, before);
                    self.left.extend(after);
                } else {
                    self.left.extend(inner);
                }
            }
            Err(Error::NotFound | Error::NotDirectory) => {}
            Err(e) => log::warn!("{}: not visited: {e}", path.display()),
        }
        !self.left.is_empty()
    }

    fn visit_dir(store: &Store, path: &Path, visit: &mut dyn Visit) -> Result<Vec<PathBuf>> {
        let dir = Held::adopt(store, store.lookup_path(path)?);
        if !visit.enter(&store.nodes.get(dir.ino())?) {
            return Ok(Vec::new());
        }
        let items = store.read_dir(dir.ino())?;
        let mut inner = Vec::new();
        for item in items {
            match item.kind {
                Kind::Dir => inner.push(path.join(&item.name)),
                Kind::File => {
                    let Ok(file) = Held::lookup(store, dir.ino(), &item.name) else {
                        continue;
                    };
                    if let Ok(node) = store.nodes.get(file.ino()) {
                        visit.file(&node);
                    }
                }
                _ => {}
            }
        }
        Ok(inner)
    }
}
