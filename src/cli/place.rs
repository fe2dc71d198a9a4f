//! Which store, and what in it, a path on the command line means.

use std::path::{Path, PathBuf};

use super::exit::{Code, Failure};
use crate::store::outside::{self, Mount, There};

/// A path in a store.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// As it was given.
    pub(super) given: PathBuf,
    /// The store's directory.
    pub(super) store: PathBuf,
    /// Logical path below its root; empty: the root.
    pub(super) path: PathBuf,
    /// The mount it was given through.
    pub(super) mount: Option<Mount>,
}

impl Place {
    /// Finds the store that `given` leads into: through a mount, or on disk.
    pub(super) fn of(given: &Path) -> Result<Self, Failure> {
        if let Some(place) = Self::in_mount(given)? {
            return Ok(place);
        }
        if let Some((store, path)) = outside::store_above(given) {
            return Ok(Self {
                given: given.to_owned(),
                store,
                path,
                mount: None,
            });
        }
        let what = match outside::what_is_there(given) {
            Ok(There::Nothing) => "no such file or directory",
            Ok(There::DeadMount) => {
                let failure = Failure::new(Code::Error, given, "its daemon has ended");
                return Err(failure.hint("`holofs umount` clears the mount point"));
            }
            Ok(_) => "no store, nor in one, nor in a mount",
            Err(e) => return Err(Failure::io(given, &e)),
        };
        let failure = Failure::new(Code::NoStore, given, what);
        Err(failure.hint("`holofs init DIR` makes a directory a store"))
    }

    /// The place of a path in a mount of ours.
    fn in_mount(given: &Path) -> Result<Option<Self>, Failure> {
        let Ok(whole) = outside::canonical_but_last(given) else {
            return Ok(None);
        };
        let mount = outside::mount_of(&whole).map_err(|e| Failure::io(given, &e))?;
        let Some(mount) = mount.filter(Mount::is_ours) else {
            return Ok(None);
        };
        let seen = mount.root.strip_prefix("/").unwrap_or(&mount.root);
        let rest = whole.strip_prefix(&mount.point).unwrap_or(Path::new(""));
        Ok(Some(Self {
            given: given.to_owned(),
            store: mount.source.clone(),
            path: seen.iter().chain(rest).collect(),
            mount: Some(mount),
        }))
    }

    /// A logical path below this place, as the user would write it.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.path) {
            Ok(rest) if rest.as_os_str().is_empty() => self.given.clone(),
            Ok(rest) => self.given.join(rest),
            Err(_) => path.to_owned(),
        }
    }
}
