//! The one switch: every change of what a name holds, other than plain writes in place.
//!
//! A predecessor (plain file or set) leaves its directory only after its successor's data and attributes are
//! durable, the successor's name is in place and that name is durable too. Applications need not call fsync.
//!
//! The steps, with what a crash after each leaves for recovery:
//!
//! | switch | steps | a crash in between leaves |
//! |---|---|---|
//! | encode | set into place; sync dir | plain file and set with equal content: a pair, resolved by comparing |
//! | encode anew | exchange set in staging and in place; sync dir; the old one goes | the old set or the new one, of one content |
//! | end of linger | lease; unlink plain | the same pair |
//! | promote | plain copy into place; sync; set to trash; sync | the same pair |
//! | replace beside | sync data; intent; successor into place; sync; predecessor to trash; sync | a pair with an intent |
//! | replace by exchange | intent; exchange; sync; predecessor (now at the old name) to trash; sync | an intent |
//! | replace natively | sync data; rename(2) | old or new |
//! | freeze | as replace beside: the object of a directory takes the directory's place | both with an intent |
//! | thaw | as replace beside: the directory, written and synced whole, its object's | both with an intent |
//!
//! The callers hold the `names` locks of the directories for writing; of the last two the `shape` lock of the store, which
//! stands for those of all directories.

use std::ffi::{OsStr, OsString};

use super::disk::{Access, Dir, Kind, Meta, Rename, SetTimes};
use super::intent::{self, Entry, Intent};
use super::own::Own;
use super::{Error, Result};

/// A directory of the tree, with its logical path for intents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The open directory.
    pub(crate) dir: &'a dyn Dir,
    /// Logical names from the root to it.
    pub(crate) path: &'a [OsString],
}

/// Makes data and attributes of a plain file durable, before it takes another's place.
pub(crate) fn sync_data(dir: &dyn Dir, disk: &OsStr, meta: &Meta) -> Result<()> {
    if meta.kind == Kind::File {
        dir.open(disk, Access::Read)?.sync(false)?;
    }
    Ok(())
}

/// Runs a change of representation: no name appears or goes, so the directory's modification time stays as it is.
pub(crate) fn unnoticed<T>(dir: &dyn Dir, change: impl FnOnce() -> Result<T>) -> Result<T> {
    let mtime = Some(dir.self_meta()?.mtime);
    let changed = change()?;
    if let Err(e) = dir.set_times(OsStr::new("."), SetTimes { atime: None, mtime }) {
        log::debug!("the time of a directory moved: {e}");
    }
    Ok(changed)
}

/// A finished set from `staging` takes its name in `dir`, beside the plain file it was made of.
pub(crate) fn encode(staging: &dyn Dir, set: &OsStr, dir: &dyn Dir, disk: &OsStr) -> Result<()> {
    unnoticed(dir, || {
        staging.rename(set, dir, disk, Rename::NoReplace)?;
        Ok(dir.sync()?)
    })
}

/// A finished set from `staging` takes the place of a set of the same content, which is removed.
pub(crate) fn replace_set(own: &Own, set: &OsStr, dir: &dyn Dir, disk: &OsStr) -> Result<()> {
    let staging = own.staging.as_ref();
    unnoticed(dir, || {
        staging.rename(set, dir, disk, Rename::Exchange)?;
        if let Err(e) = dir.sync() {
            undo(dir, disk, staging, set, Rename::Exchange);
            return Err(e.into());
        }
        Ok(())
    })?;
    // Through the trash: what has parts is taken apart only once it cannot come back.
    let trash = own.discard(staging, set)?;
    own.purge(&trash);
    Ok(())
}

/// A plain file leaves, whose content is in a set beside it. Refused with `WouldBlock` while a writer or a shared
/// writable map of it lives, also one that outlived a killed daemon.
pub(crate) fn end_linger(dir: &dyn Dir, plain: &OsStr, expected: &Meta) -> Result<()> {
    let file = dir.open(plain, Access::Read)?;
    let lease = match file.lease() {
        Ok(lease) => Some(lease),
        // A medium without leases has no way for others to write either, or the store must trust its lock.
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => None,
        Err(e) => return Err(e.into()),
    };
    // Only now is it certain that nobody writes: look again.
    let now = file.meta()?;
    if (now.ino, now.size, now.ctime) != (expected.ino, expected.size, expected.ctime) {
        return Err(std::io::Error::from(std::io::ErrorKind::WouldBlock).into());
    }
    unnoticed(dir, || Ok(dir.unlink(plain)?))?;
    drop(lease);
    Ok(())
}

/// A decoded copy (its data and attributes durable) takes the plain name, and the set it was decoded from goes to
/// the trash. Returns the set's name there. Durable on return: whatever is written to the copy from now on, the set
/// cannot come back.
pub(crate) fn promote(
    own: &Own,
    (from, copy): (&dyn Dir, &OsStr),
    dir: &dyn Dir,
    plain: &OsStr,
    set: &OsStr,
) -> Result<OsString> {
    unnoticed(dir, || {
        from.rename(copy, dir, plain, Rename::NoReplace)?;
        sync_and_retire(own, dir, set).inspect_err(|_| {
            undo(dir, plain, from, copy, Rename::NoReplace);
        })
    })
}

/// A set whose content is also in the plain file beside it goes to the trash, durably. Where that fails it stays.
pub(crate) fn retire(own: &Own, dir: &dyn Dir, set: &OsStr) -> Result<OsString> {
    let trash = own.discard(dir, set)?;
    if let Err(e) = dir.sync() {
        undo(own.trash.as_ref(), &trash, dir, set, Rename::NoReplace);
        return Err(e.into());
    }
    Ok(trash)
}

/// Makes the successor's name durable, and only then lets the predecessor go.
fn sync_and_retire(own: &Own, dir: &dyn Dir, loser: &OsStr) -> Result<OsString> {
    dir.sync()?;
    retire(own, dir, loser)
}

/// Takes a step back, durably, when the next one failed; `false` if that fails too.
fn undo(dir: &dyn Dir, name: &OsStr, to: &dyn Dir, to_name: &OsStr, how: Rename) -> bool {
    let undone = dir.rename(name, to, to_name, how).and_then(|()| dir.sync());
    if let Err(e) = &undone {
        log::error!("{}: left half changed: {e}", name.display());
    }
    undone.is_ok()
}

/// A promoted file was not changed: its set comes back beside it.
pub(crate) fn restore(own: &Own, trash: &OsStr, dir: &dyn Dir, set: &OsStr) -> Result<()> {
    unnoticed(dir, || {
        own.trash.rename(trash, dir, set, Rename::NoReplace)?;
        Ok(dir.sync()?)
    })
}

/// `from/name` becomes `to/disk`; the predecessor `loser`, which has another name on disk, goes to the trash.
/// Returns its name there.
pub(crate) fn replace_beside(
    own: &Own,
    (from, name): (&dyn Dir, &OsStr),
    to: Place<'_>,
    disk: &OsStr,
    loser: &OsStr,
) -> Result<OsString> {
    let winner = from.meta(name)?;
    let intent = Intent::new(
        to.path,
        Some(Entry::new(disk, &winner)),
        Entry::new(loser, &to.dir.meta(loser)?),
    )
    .write(own)?;
    let moved = from.rename(name, to.dir, disk, Rename::NoReplace);
    let retired = match moved {
        Ok(()) => sync_and_retire(own, to.dir, loser)
            .map_err(|e| (e, undo(to.dir, disk, from, name, Rename::NoReplace))),
        Err(e) => Err((e.into(), true)),
    };
    concluded(own, &intent, retired)
}

/// Ends an intent: its change is complete, or undone. One left half way keeps it for the next mount.
fn concluded(
    own: &Own,
    intent: &OsStr,
    change: std::result::Result<OsString, (Error, bool)>,
) -> Result<OsString> {
    match change {
        Ok(trash) => {
            intent::done(own, intent);
            Ok(trash)
        }
        Err((e, undone)) => {
            if undone {
                intent::withdraw(own, intent);
            }
            Err(e)
        }
    }
}

/// `from/name` becomes `to/to_name`, which names an entry that rename(2) cannot replace (a directory by a file, a
/// directory that is not empty). The predecessor goes to the trash; returns its name there.
pub(crate) fn replace_by_exchange(
    own: &Own,
    from: Place<'_>,
    name: &OsStr,
    to: &dyn Dir,
    to_name: &OsStr,
) -> Result<OsString> {
    let loser = to.meta(to_name)?;
    let intent = Intent::new(from.path, None, Entry::new(name, &loser)).write(own)?;
    let moved = from.dir.rename(name, to, to_name, Rename::Exchange);
    let retired = match moved {
        Ok(()) => to
            .sync()
            .map_err(Error::from)
            .and_then(|()| retire(own, from.dir, name))
            .map_err(|e| (e, undo(from.dir, name, to, to_name, Rename::Exchange))),
        Err(e) => Err((e.into(), true)),
    };
    concluded(own, &intent, retired)
}
