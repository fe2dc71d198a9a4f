//! Making a store of a directory: an empty one, or one with files, adopted as they are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use super::disk::{self, Access, Dir, Kind, Rename};
use super::names::{self, DiskName};
use super::own::{ROOMS, tag_cache};
use super::policy::Policy;
use super::{Error, Result};

/// The list of renames under way, in `.holofs/`.
const ADOPTION: &str = "adoption";
/// Longest such list that is read back.
const LIMIT: u64 = 1 << 30;

/// What `init` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adopted {
    /// Names that were escaped.
    pub escaped: u64,
}

/// One name to be escaped: the directory (names on disk before any rename, from the root) and the name.
type Found = (Vec<Vec<u8>>, Vec<u8>);

/// Makes a store of the directory at `path`. Files that are there are adopted: names ending in `.holo` and any
/// number of `~` get one `~` more, nothing is opened. An interrupted adoption is finished when it is called again.
///
/// # Errors
/// [`Error::Exists`] for a store, [`Error::NoStore`] where there is no directory, [`Error::CrossDevice`] where
/// another filesystem is mounted inside, [`Error::NameTooLong`] with the name.
pub fn init(path: &Path) -> Result<Adopted> {
    let root = disk::open_root(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Error::NoStore {
            path: path.to_owned(),
            what: e.to_string(),
        },
        _ => Error::Io(e),
    })?;
    init_on(&root)
}

/// As [`init`], on any medium.
///
/// # Errors
/// Those of [`init`].
pub fn init_on(root: &Arc<dyn Dir>) -> Result<Adopted> {
    let own = OsStr::new(names::OWN);
    let base = match root.dir(own) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            root.make_dir(own, 0o700, 0)?;
            root.dir(own)?
        }
        opened => opened?,
    };
    let policy = OsStr::new(names::POLICY);
    if disk::meta_if_there(base.as_ref(), policy)?.is_some() {
        return Err(Error::Exists);
    }
    let renames = if let Some(renames) = read_list(base.as_ref())? {
        renames
    } else if base.list()?.iter().any(|entry| entry.name != ADOPTION) {
        // A store that lost its policy file: its sets are not names to be escaped.
        return Err(Error::Exists);
    } else {
        let renames = find(root)?;
        write_new(base.as_ref(), OsStr::new(ADOPTION), &to_json(&renames)?)?;
        renames
    };
    root.sync()?; // no new name may outlast the list
    for rename in &renames {
        escape(root, rename)?;
    }
    for room in ROOMS {
        match base.make_dir(OsStr::new(room), 0o700, 0) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
    }
    tag_cache(base.dir(OsStr::new(names::CACHE))?.as_ref())?;
    // The policy file is what makes it a store: it comes last.
    write_new(base.as_ref(), policy, Policy::default_text().as_bytes())?;
    base.unlink(OsStr::new(ADOPTION))?;
    base.sync()?;
    root.sync()?;
    Ok(Adopted {
        escaped: renames.len() as u64,
    })
}

/// Whether making a store of the directory at `path` was interrupted, so that [`init`] has to finish it.
#[must_use]
pub fn is_interrupted(path: &Path) -> bool {
    let base = disk::open_root(path).and_then(|root| root.dir(OsStr::new(names::OWN)));
    base.is_ok_and(|base| is_unfinished(base.as_ref()).unwrap_or(false))
}

/// Whether an adoption was interrupted: some names are escaped and some are not, so nothing can be told by names.
pub(crate) fn is_unfinished(base: &dyn Dir) -> Result<bool> {
    let list = disk::meta_if_there(base, OsStr::new(ADOPTION))?;
    Ok(list.is_some() && disk::meta_if_there(base, OsStr::new(names::POLICY))?.is_none())
}

fn to_json(renames: &[Found]) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(renames).map_err(std::io::Error::from)?)
}

fn read_list(base: &dyn Dir) -> Result<Option<Vec<Found>>> {
    let file = match base.open(OsStr::new(ADOPTION), Access::Read) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = vec![0; usize::try_from(file.meta()?.size.min(LIMIT)).unwrap_or_default()];
    disk::read_exact_at(file.as_ref(), &mut text, 0)?;
    // A list torn by a crash was not synced, so no rename had begun.
    Ok(serde_json::from_slice(&text).ok())
}

fn write_new(dir: &dyn Dir, name: &OsStr, bytes: &[u8]) -> Result<()> {
    let file = match dir.create(name, 0o600, 0) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && name == ADOPTION => {
            dir.open(name, Access::Write)?
        }
        created => created?,
    };
    file.set_len(0)?;
    file.write_at(bytes, 0)?;
    file.sync(true)?;
    Ok(dir.sync()?)
}

/// All names to escape: in each directory the longest first, so that its successor is free; inner directories
/// before their own name changes.
fn find(root: &Arc<dyn Dir>) -> Result<Vec<Found>> {
    let device = root.self_meta()?.dev;
    let mut renames = Vec::new();
    let mut left: Vec<(Vec<Vec<u8>>, bool)> = vec![(Vec::new(), false)];
    while let Some((path, visited)) = left.pop() {
        let dir = walk(root, &path)?;
        let mut entries = dir.list()?;
        entries.retain(|e| !(path.is_empty() && e.name == names::OWN));
        if !visited {
            if dir.self_meta()?.dev != device {
                return Err(Error::CrossDevice);
            }
            left.push((path.clone(), true));
            for entry in entries.iter().filter(|e| e.kind == Kind::Dir) {
                let mut inner = path.clone();
                inner.push(entry.name.as_bytes().to_vec());
                left.push((inner, false));
            }
            continue;
        }
        let mut here: Vec<OsString> = entries
            .into_iter()
            .map(|e| e.name)
            .filter(|name| names::logical(name) != DiskName::Plain(name.clone()))
            .collect();
        here.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in here {
            if names::plain(&name).is_none() {
                let name = name.display();
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidFilename,
                    format!("{name}: the name is too long to be escaped"),
                )
                .into());
            }
            renames.push((path.clone(), name.into_vec()));
        }
    }
    Ok(renames)
}

fn walk(root: &Arc<dyn Dir>, path: &[Vec<u8>]) -> Result<Arc<dyn Dir>> {
    let mut dir = Arc::clone(root);
    for part in path {
        dir = dir.dir(OsStr::from_bytes(part))?;
    }
    Ok(dir)
}

/// Escapes one name, unless that is done already. Names of a directory come before the directory's own, so the
/// path is still the one that was found.
fn escape(root: &Arc<dyn Dir>, (path, name): &Found) -> Result<()> {
    let dir = match walk(root, path) {
        Ok(dir) => dir,
        // The directory has its own new name already: then all in it is done.
        Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let name = OsStr::from_bytes(name);
    let escaped = names::plain(name).ok_or(Error::NameTooLong)?;
    match dir.rename(name, dir.as_ref(), &escaped, Rename::NoReplace) {
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::AlreadyExists
            ) => {}
        renamed => renamed?,
    }
    // Under half of the new names, when the policy file is there, one file would hide another.
    Ok(dir.sync()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

    use super::*;
    use crate::store::{Options, Store};

    /// A half adopted directory was mounted as a store: names that were not escaped yet were taken for sets.
    #[test]
    fn an_interrupted_adoption_is_no_store_until_init_finishes_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = disk::open_root(dir.path()).unwrap();
        root.create(OsStr::new("a.holo"), 0o644, 0).unwrap();
        root.make_dir(OsStr::new(names::OWN), 0o700, 0).unwrap();
        let base = root.dir(OsStr::new(names::OWN)).unwrap();
        let list = to_json(&find(&root).unwrap()).unwrap();
        write_new(base.as_ref(), OsStr::new(ADOPTION), &list).unwrap();
        match Store::open(dir.path(), Options::default()) {
            Err(Error::NoStore { what, .. }) => assert!(what.contains("interrupted")),
            other => panic!("{other:?}"),
        }
        assert_eq!(init(dir.path()).unwrap().escaped, 1);
        let store = Store::open(dir.path(), Options::default()).unwrap();
        assert_eq!(store.read_dir(crate::store::ROOT).unwrap().len(), 1);
        store.close().unwrap();
    }
}
