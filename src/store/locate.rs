//! What a logical name is on the medium: plain, encoded, both, broken, foreign, its own name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use super::disk::{self, Dir, File, Kind, Meta};
use super::foreign::{self, Foreign, Templates};
use super::names::{self, DiskName};
use super::node::Identity;
use super::object::{self, Object, Recognised};
use super::solid::{self, Solids};
use super::{Error, Result};
use crate::foreign::Choice;
use crate::format::ObjectKind;

/// How sets are read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen<'a> {
    /// Use at most so many chunks of each.
    pub(crate) chunks: Option<u16>,
    /// In those of other programs.
    pub(crate) choice: Choice<'a>,
    /// Where templates of other programs are kept.
    pub(crate) templates: Option<&'a Templates>,
}

/// What was found under a logical name.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// Kept as itself: a plain file, or anything that is no regular file.
    Native {
        /// What the medium says of it.
        meta: Meta,
        /// Its name on disk.
        disk: OsString,
    },
    /// An encoded file.
    Encoded {
        /// The set.
        object: Arc<Object>,
        /// Its name on disk.
        disk: OsString,
    },
    /// A directory kept as one object.
    Solid {
        /// The object.
        object: Arc<Object>,
        /// Its name on disk.
        disk: OsString,
    },
    /// A plain file and a set under one logical name, or a directory and an object of kind tree; after a crash or a
    /// restored backup also a file and an object of kind tree.
    Pair {
        /// The plain file.
        meta: Meta,
        /// Its name on disk.
        plain: OsString,
        /// The set.
        object: Arc<Object>,
        /// The set's name on disk.
        encoded: OsString,
    },
    /// A set without a usable chunk.
    Broken {
        /// What the medium says of its manifest or, if that is gone, of the entry itself.
        meta: Meta,
        /// Its name on disk.
        disk: OsString,
        /// What is missing.
        what: String,
        /// Whether we made it; what others made is never moved or replaced unasked.
        ours: bool,
    },
    /// A file in another program's format.
    Foreign {
        /// What the medium says of the entry.
        meta: Meta,
        /// Its name on disk.
        disk: OsString,
        /// Reads it.
        content: Arc<Foreign>,
    },
}

impl Found {
    /// The kind that programs see.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Solid { .. } => Kind::Dir,
            Self::Pair { meta, object, .. } if is_newer(object, meta) => kind_of(object),
            Self::Native { meta, .. } | Self::Pair { meta, .. } => meta.kind,
            _ => Kind::File,
        }
    }

    /// The native inode that carries the attributes.
    pub(crate) fn carrier(&self) -> Identity {
        match self {
            Self::Native { meta, .. }
            | Self::Pair { meta, .. }
            | Self::Broken { meta, .. }
            | Self::Foreign { meta, .. } => meta.into(),
            Self::Encoded { object, .. } | Self::Solid { object, .. } => {
                object.carrier_meta().into()
            }
        }
    }

    /// The entry to move when the name is renamed or removed. For a pair: the plain file.
    pub(crate) fn disk(&self) -> &OsStr {
        match self {
            Self::Native { disk, .. }
            | Self::Encoded { disk, .. }
            | Self::Solid { disk, .. }
            | Self::Broken { disk, .. }
            | Self::Foreign { disk, .. } => disk,
            Self::Pair { plain, .. } => plain,
        }
    }

    /// The logical name it is shown under, where its name on disk stands for `name`.
    fn shown(&self, name: &OsStr) -> OsString {
        match self {
            Self::Foreign { content, .. } => content.shown(name),
            _ => name.to_owned(),
        }
    }

    /// Whether its name on disk can be the one of a set for `name`, and it is shown as `name` then.
    pub(crate) fn fits(&self, name: &OsStr) -> bool {
        self.shown(name) == name
    }
}

/// Whether of an object and a plain entry under one name the object is shown.
pub(crate) fn is_newer(object: &Object, plain: &Meta) -> bool {
    object.attributes().mtime >= plain.mtime
}

/// What an object is seen as.
fn kind_of(object: &Object) -> Kind {
    match object.descriptor().kind {
        ObjectKind::Tree => Kind::Dir,
        ObjectKind::File | ObjectKind::Variants => Kind::File,
    }
}

/// An object that was found under this name on disk.
pub(crate) fn found_object(object: Arc<Object>, disk: OsString) -> Found {
    match kind_of(&object) {
        Kind::Dir => Found::Solid { object, disk },
        _ => Found::Encoded { object, disk },
    }
}

/// What `name` is in `dir`. `seen`: how sets are read.
///
/// # Errors
/// [`Error::NameTooLong`], and what the medium says.
pub(crate) fn locate(dir: &Arc<dyn Dir>, name: &OsStr, seen: Seen<'_>) -> Result<Option<Found>> {
    Ok(locate_all(dir, name, seen)?.0)
}

/// Like [`locate`], and the name on disk of a set beside a plain file that nobody can read: it hides nothing, but
/// would come to light when the plain file goes.
pub(crate) fn locate_all(
    dir: &Arc<dyn Dir>,
    name: &OsStr,
    seen: Seen<'_>,
) -> Result<(Option<Found>, Option<OsString>)> {
    let plain = names::plain(name).ok_or(Error::NameTooLong)?;
    let native = disk::meta_if_there(dir.as_ref(), &plain)?;
    if let Some(meta) = native.filter(|meta| !matches!(meta.kind, Kind::File | Kind::Dir)) {
        return Ok((Some(Found::Native { meta, disk: plain }), None));
    }
    let mut encoded = encoded(dir, name, seen)?;
    if native.is_some_and(|meta| meta.kind == Kind::Dir) {
        // Beside a directory only one kept as an object counts.
        encoded = encoded.filter(|found| matches!(found, Found::Solid { .. }));
    }
    let mut unreadable = None;
    let found = match (native, encoded) {
        (Some(meta), Some(Found::Encoded { object, disk } | Found::Solid { object, disk })) => {
            Some(Found::Pair {
                meta,
                plain,
                object,
                encoded: disk,
            })
        }
        // What cannot be read never hides what can: it stays where it is.
        (Some(meta), other) => {
            if let Some(Found::Broken {
                disk, ours: true, ..
            }) = other
            {
                unreadable = Some(disk);
            }
            Some(Found::Native { meta, disk: plain })
        }
        (None, Some(found)) => Some(found),
        (None, None) => match with_ending(dir, name, seen)? {
            None => own_name(dir, name, seen)?,
            found => found,
        },
    };
    Ok((found, unreadable))
}

/// What is kept under the name of a set for `name`.
pub(crate) fn encoded(dir: &Arc<dyn Dir>, name: &OsStr, seen: Seen<'_>) -> Result<Option<Found>> {
    match names::encoded(name) {
        Some(disk) => Ok(recognise(dir, disk, seen)?.filter(|found| found.fits(name))),
        None => Ok(None),
    }
}

/// Something from elsewhere that is shown as `name` because an ending was appended to the name it stands for.
fn with_ending(dir: &Arc<dyn Dir>, name: &OsStr, seen: Seen<'_>) -> Result<Option<Found>> {
    for stem in foreign::stems(name) {
        if let Some(disk) = names::encoded(stem)
            && let Some(found @ Found::Foreign { .. }) = recognise(dir, disk, seen)?
            && found.shown(stem) == name
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether something that we did not make has the name on disk that a set for `name` would get.
pub(crate) fn is_taken(dir: &Arc<dyn Dir>, name: &OsStr) -> Result<bool> {
    let Some(disk) = names::encoded(name) else {
        return Ok(false);
    };
    if disk::meta_if_there(dir.as_ref(), &disk)?.is_none() {
        return Ok(false);
    }
    Ok(match recognise(dir, disk, Seen::default())? {
        Some(Found::Encoded { .. }) => false,
        Some(Found::Broken { ours, .. }) => !ours,
        _ => true,
    })
}

/// `x.holo` on disk that stands for nothing else is shown under its own name.
fn own_name(dir: &Arc<dyn Dir>, name: &OsStr, seen: Seen<'_>) -> Result<Option<Found>> {
    let stands_for = names::logical(name);
    if matches!(stands_for, DiskName::Plain(_)) {
        return Ok(None);
    }
    let Some(meta) = disk::meta_if_there(dir.as_ref(), name)? else {
        return Ok(None);
    };
    if let DiskName::Encoded(other) = stands_for
        && let Some(found) = recognise(dir, name.to_owned(), seen)?
        && !shadowed(dir, &found, &other)?
    {
        return Ok(None);
    }
    Ok(Some(Found::Native {
        meta,
        disk: name.to_owned(),
    }))
}

/// Whether what stands for `name` cannot be shown, because something that is no regular file has the name that it
/// would be shown under.
fn shadowed(dir: &Arc<dyn Dir>, found: &Found, name: &OsStr) -> Result<bool> {
    let Some(plain) = names::plain(&found.shown(name)) else {
        return Ok(false);
    };
    let meta = disk::meta_if_there(dir.as_ref(), &plain)?;
    let pair = |kind| kind == Kind::Dir && matches!(found, Found::Solid { .. });
    Ok(meta.is_some_and(|m| m.kind != Kind::File && !pair(m.kind)))
}

/// What the entry `disk`, whose name ends in `.holo`, is; `None` for something that is not ours to interpret.
fn recognise(dir: &Arc<dyn Dir>, disk: OsString, seen: Seen<'_>) -> Result<Option<Found>> {
    let Some(meta) = disk::meta_if_there(dir.as_ref(), &disk)? else {
        return Ok(None);
    };
    if !matches!(meta.kind, Kind::File | Kind::Dir) {
        return Ok(None);
    }
    Ok(
        match object::recognise(dir.as_ref(), &disk, &meta, seen.chunks)? {
            Recognised::Object(object) => Some(found_object(object, disk)),
            Recognised::Broken { meta, what } => Some(Found::Broken {
                meta,
                disk,
                what,
                ours: true,
            }),
            Recognised::NotOurs => {
                match foreign::recognise(dir.as_ref(), &disk, &meta, seen.choice, seen.templates)? {
                    foreign::Recognised::Foreign(content) => Some(Found::Foreign {
                        meta,
                        disk,
                        content,
                    }),
                    foreign::Recognised::Broken(what) => Some(Found::Broken {
                        meta,
                        disk,
                        what,
                        ours: false,
                    }),
                    foreign::Recognised::Unknown => None,
                }
            }
        },
    )
}

/// A name of a listing.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A plain entry with no set beside it: what the directory says of it is all there is to say.
    Alone(Kind),
    /// Something that had to be looked at.
    Found(Found),
}

/// Calls `each` with everything in `dir`, each logical name once. `root` hides our own directory. Only sets, and what
/// could be one, are looked at.
pub(crate) fn list(
    dir: &Arc<dyn Dir>,
    root: bool,
    seen: Seen<'_>,
    each: &mut dyn FnMut(OsString, Entry),
) -> Result<()> {
    let mut alone: BTreeMap<OsString, Kind> = BTreeMap::new();
    let mut names: BTreeSet<OsString> = BTreeSet::new();
    let mut sets: BTreeSet<OsString> = BTreeSet::new();
    for entry in dir.list()? {
        if root && entry.name == names::OWN {
            continue;
        }
        match names::logical(&entry.name) {
            DiskName::Plain(name) => {
                alone.insert(name, entry.kind);
            }
            DiskName::Encoded(name) => {
                sets.insert(name.clone());
                names.extend([name, entry.name]);
            }
            DiskName::Stranger => {
                names.insert(entry.name);
            }
        }
    }
    let mut with_ending = BTreeSet::new();
    for name in &names {
        match locate(dir, name, seen) {
            Ok(found) => {
                // What has the name of a set and is not shown under it may be shown with another ending.
                let elsewhere = matches!(found, None | Some(Found::Native { .. }));
                if elsewhere && sets.contains(name) {
                    with_ending.extend(shown_as(dir, name, seen)?);
                }
                if let Some(found) = found {
                    each(name.clone(), Entry::Found(found));
                }
            }
            Err(Error::NameTooLong) => {}
            Err(Error::Io(e)) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    for name in with_ending {
        if !names.contains(&name)
            && !alone.contains_key(&name)
            && let Some(found) = locate(dir, &name, seen)?
        {
            each(name, Entry::Found(found));
        }
    }
    for (name, kind) in alone {
        if !names.contains(&name) {
            each(name, Entry::Alone(kind));
        }
    }
    Ok(())
}

/// The name under which something is shown whose name on disk stands for `name`.
fn shown_as(dir: &Arc<dyn Dir>, name: &OsStr, seen: Seen<'_>) -> Result<Option<OsString>> {
    let Some(disk) = names::encoded(name) else {
        return Ok(None);
    };
    let found = recognise(dir, disk, seen)?;
    Ok(found.map(|found| found.shown(name)))
}

/// Opens the directory with this logical name.
pub(crate) fn open_subdir(
    dir: &Arc<dyn Dir>,
    name: &OsStr,
    seen: Seen<'_>,
    solids: &Solids,
) -> Result<Arc<dyn Dir>> {
    let plain = names::plain(name).ok_or(Error::NameTooLong)?;
    let missing = match dir.dir(&plain) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => e,
        opened => return Ok(opened?),
    };
    match solid::open(dir, name, seen, solids)? {
        Some(solid) => Ok(solid),
        None if plain != name => Ok(dir.dir(name)?),
        None => Err(missing.into()),
    }
}

/// Opens the plain file with this name on disk.
pub(crate) fn open_plain(dir: &dyn Dir, disk: &OsStr, write: bool) -> Result<Arc<dyn File>> {
    let access = if write {
        disk::Access::Write
    } else {
        disk::Access::Read
    };
    Ok(dir.open(disk, access)?)
}
