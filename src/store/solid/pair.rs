//! A directory and an object of kind tree under one name: after a crash, or from an old backup.

use std::ffi::OsStr;

use super::super::disk::{self, Access, Dir, Kind};
use super::super::locate::{Found, is_newer};
use super::super::tree::Store;
use super::super::{Result, switch};
use super::{Solid, SolidDir};
use crate::format::Time;

/// Bytes compared at a time.
const PIECE: usize = 256 << 10;

impl Store {
    /// Resolves a pair with an object of kind tree; the caller holds the directory's `names` for writing. If both are
    /// the same, the native one stays; else the newer one does, and the other is kept in `lost+found`.
    pub(crate) fn resolve_tree(&self, dir: &dyn Dir, name: &OsStr, pair: &Found) -> Result<()> {
        const OLDER: &str = "the older of two contents";
        let Found::Pair {
            meta,
            plain,
            object,
            encoded,
        } = pair
        else {
            return Ok(());
        };
        let own = self.own()?;
        if meta.kind != Kind::Dir {
            let loser = if is_newer(object, meta) {
                plain
            } else {
                encoded
            };
            return self.set_aside(dir, name, loser, OLDER);
        }
        let Ok(solid) = Solid::read(object) else {
            let what = "a solid directory that nobody can read";
            return self.set_aside(dir, name, encoded, what);
        };
        let native = dir.dir(plain)?;
        // The one that stays must be as durable as the one that goes.
        native.sync_all()?;
        let kept = solid.bundle().entries().iter();
        let kept = kept.map(|entry| entry.mtime).max().unwrap_or_default();
        let newest = newest(native.as_ref())?.max(meta.mtime);
        if same_tree(native.as_ref(), &SolidDir::new(solid, 0))? {
            let trash = switch::unnoticed(dir, || switch::retire(own, dir, encoded))?;
            own.purge(&trash);
            return Ok(());
        }
        let loser = if kept >= newest { plain } else { encoded };
        self.set_aside(dir, name, loser, OLDER)
    }
}

/// The last change of content below a directory.
fn newest(dir: &dyn Dir) -> Result<Time> {
    let mut newest = Time::default();
    for entry in dir.list()? {
        newest = newest.max(dir.meta(&entry.name)?.mtime);
        if entry.kind == Kind::Dir {
            newest = newest.max(self::newest(dir.dir(&entry.name)?.as_ref())?);
        }
    }
    Ok(newest)
}

/// Whether two directories hold the same: names, kinds, owners, modes, times of change, contents and targets.
fn same_tree(a: &dyn Dir, b: &dyn Dir) -> Result<bool> {
    let (mut left, mut right) = (a.list()?, b.list()?);
    left.sort_by(|a, b| a.name.cmp(&b.name));
    right.sort_by(|a, b| a.name.cmp(&b.name));
    if left != right {
        return Ok(false);
    }
    for entry in left {
        let name = entry.name.as_os_str();
        let (of_a, of_b) = (a.meta(name)?, b.meta(name)?);
        let told = |meta: &disk::Meta| {
            (
                meta.kind, meta.mode, meta.uid, meta.gid, meta.mtime, meta.rdev,
            )
        };
        let same = told(&of_a) == told(&of_b)
            && match entry.kind {
                Kind::Dir => same_tree(a.dir(name)?.as_ref(), b.dir(name)?.as_ref())?,
                Kind::File => of_a.size == of_b.size && same_bytes(a, b, name, of_a.size)?,
                Kind::Symlink => a.read_link(name)? == b.read_link(name)?,
                _ => true,
            };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_bytes(a: &dyn Dir, b: &dyn Dir, name: &OsStr, size: u64) -> Result<bool> {
    let (a, b) = (a.open(name, Access::Read)?, b.open(name, Access::Read)?);
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0;
    while at < size {
        let length = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
        let left = left.get_mut(..length).unwrap_or_default();
        let right = right.get_mut(..length).unwrap_or_default();
        disk::read_exact_at(a.as_ref(), left, at)?;
        // What cannot be read is not proved to be the same.
        if disk::read_exact_at(b.as_ref(), right, at).is_err() || left != right {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}
