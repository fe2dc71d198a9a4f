//! Paths and trees over inode numbers: finding a path, and visiting everything below it.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::{Attr, Error, Kind, ROOT, Result, Store};

/// A reference on an inode, given back when dropped.
#[derive(Debug)]
pub struct Held<'a> {
    store: &'a Store,
    /// Its attributes when it was looked up.
    pub attr: Attr,
}

impl<'a> Held<'a> {
    /// The root directory.
    ///
    /// # Errors
    /// Those of [`Store::attr`].
    pub fn root(store: &'a Store) -> Result<Self> {
        let attr = store.attr(ROOT)?;
        Ok(Self { store, attr })
    }

    /// Looks a name up in a directory.
    ///
    /// # Errors
    /// Those of [`Store::lookup`].
    pub fn lookup(store: &'a Store, parent: u64, name: &OsStr) -> Result<Self> {
        let attr = store.lookup(parent, name)?;
        Ok(Self { store, attr })
    }

    /// Takes over the reference that came with `attr` from a creation or a lookup.
    #[must_use]
    pub fn adopt(store: &'a Store, attr: Attr) -> Self {
        Self { store, attr }
    }

    /// The store that it is in.
    #[must_use]
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// The inode number.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.attr.ino
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.attr.ino != ROOT {
            self.store.forget(self.attr.ino, 1);
        }
    }
}

/// Finds a path below the root of the store; the empty path is the root. Symbolic links are not followed.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotDirectory`], and [`Error::Invalid`] for a path with `..` in it.
pub fn find<'a>(store: &'a Store, path: &Path) -> Result<Held<'a>> {
    let mut at = Held::root(store)?;
    for component in path.components() {
        at = match component {
            Component::Normal(name) => Held::lookup(store, at.ino(), name)?,
            Component::CurDir | Component::RootDir => continue,
            Component::ParentDir | Component::Prefix(_) => return Err(Error::Invalid),
        };
    }
    Ok(at)
}

/// Visits `path` and, when it is a directory, all below it: directories before what is in them, names in byte order.
/// What cannot be looked up or listed is visited with its error; what went meanwhile is not. `visit` says whether to
/// go on.
///
/// # Errors
/// Those of [`find`] for `path` itself.
pub fn walk(
    store: &Store,
    path: &Path,
    visit: &mut dyn FnMut(&Path, Result<Attr>) -> bool,
) -> Result<()> {
    // Names wait with a reference on their directory, and are looked up when their turn comes.
    let mut waiting: Vec<(Rc<Held<'_>>, PathBuf)> = Vec::new();
    let mut next = Some((find(store, path)?, path.to_owned()));
    loop {
        if let Some((held, path)) = next.take() {
            if !visit(&path, Ok(held.attr)) {
                return Ok(());
            }
            if held.attr.kind == Kind::Dir {
                match store.read_dir(held.ino()) {
                    Ok(mut items) => {
                        items.sort_by(|a, b| b.name.cmp(&a.name));
                        let dir = Rc::new(held);
                        let names = items.iter().map(|item| path.join(&item.name));
                        waiting.extend(names.map(|child| (Rc::clone(&dir), child)));
                    }
                    Err(e) => {
                        if !visit(&path, Err(e)) {
                            return Ok(());
                        }
                    }
                }
            }
        }
        let Some((dir, path)) = waiting.pop() else {
            return Ok(());
        };
        let name = path.file_name().unwrap_or_default();
        match Held::lookup(store, dir.ino(), name) {
            Ok(held) => next = Some((held, path)),
            Err(Error::NotFound) => {}
            Err(e) => {
                if !visit(&path, Err(e)) {
                    return Ok(());
                }
            }
        }
    }
}
