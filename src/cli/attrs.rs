//! Attributes of a file on their way into or out of a store, and the order in which they are given.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::store::disk::{Dir, Meta};
use crate::store::{Attr, Error, Kind, Result, SetAttr, SetTimes, Store, XattrMode};

/// The attribute that must come last: everything else that changes a file takes it away.
const CAPABILITY: &str = "security.capability";

/// What is carried.
#[derive(Debug)]
pub(super) struct Attributes {
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
    times: SetTimes,
    xattrs: Vec<(OsString, Vec<u8>)>,
}

/// What can be given attributes.
trait Target {
    fn set_owner(&self, uid: u32, gid: u32) -> Result<()>;
    fn set_mode(&self, mode: u32) -> Result<()>;
    fn set_times(&self, times: SetTimes) -> Result<()>;
    fn set_xattr(&self, name: &OsStr, value: &[u8]) -> Result<()>;
}

/// A name in a directory outside the store.
struct Outside<'a>(&'a dyn Dir, &'a OsStr);

impl Target for Outside<'_> {
    fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        Ok(self.0.set_owner(self.1, Some(uid), Some(gid))?)
    }
    fn set_mode(&self, mode: u32) -> Result<()> {
        Ok(self.0.set_mode(self.1, mode)?)
    }
    fn set_times(&self, times: SetTimes) -> Result<()> {
        Ok(self.0.set_times(self.1, times)?)
    }
    fn set_xattr(&self, name: &OsStr, value: &[u8]) -> Result<()> {
        Ok(self.0.set_xattr(self.1, name, value, XattrMode::Any)?)
    }
}

/// An inode of a store.
struct Inside<'a>(&'a Store, u64);

impl Inside<'_> {
    fn set(&self, set: SetAttr) -> Result<()> {
        self.0.set_attr(self.1, set).map(drop)
    }
}

impl Target for Inside<'_> {
    fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (Some(uid), Some(gid));
        self.set(SetAttr {
            uid,
            gid,
            ..SetAttr::default()
        })
    }
    fn set_mode(&self, mode: u32) -> Result<()> {
        let mode = Some(mode);
        self.set(SetAttr {
            mode,
            ..SetAttr::default()
        })
    }
    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.set(SetAttr {
            times,
            ..SetAttr::default()
        })
    }
    fn set_xattr(&self, name: &OsStr, value: &[u8]) -> Result<()> {
        self.0.set_xattr(self.1, name, value, XattrMode::Any)
    }
}

/// Whether a copy carries an extended attribute: the user's own, access lists, capabilities.
fn carried(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"user.")
        || name.starts_with(b"system.posix_acl_")
        || name == CAPABILITY.as_bytes()
}

impl Attributes {
    /// Those of an inode in a store.
    pub(super) fn of_inode(store: &Store, attr: &Attr) -> Result<Self> {
        let mut xattrs = Vec::new();
        if attr.kind != Kind::Symlink {
            for name in store.xattrs(attr.ino)?.into_iter().filter(|n| carried(n)) {
                let value = store.xattr(attr.ino, &name)?;
                xattrs.push((name, value));
            }
        }
        Ok(Self {
            kind: attr.kind,
            mode: attr.mode,
            uid: attr.uid,
            gid: attr.gid,
            times: SetTimes {
                atime: Some(attr.atime),
                mtime: Some(attr.mtime),
            },
            xattrs,
        })
    }

    /// Those of a name outside the store.
    pub(super) fn of_name(dir: &dyn Dir, name: &OsStr, meta: &Meta) -> Result<Self> {
        let mut xattrs = Vec::new();
        if meta.kind != Kind::Symlink {
            let names = match dir.xattrs(name) {
                Err(e) if e.kind() == io::ErrorKind::Unsupported => Vec::new(),
                other => other?,
            };
            for attr in names.into_iter().filter(|n| carried(n)) {
                let value = dir.xattr(name, &attr)?;
                xattrs.push((attr, value));
            }
        }
        Ok(Self {
            kind: meta.kind,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            times: SetTimes {
                atime: Some(meta.atime),
                mtime: Some(meta.mtime),
            },
            xattrs,
        })
    }

    /// Those of a directory for the file that it stands for: nobody executes that.
    pub(super) fn of_file(self) -> Self {
        Self {
            kind: Kind::File,
            mode: self.mode & 0o666,
            ..self
        }
    }

    /// Gives them to a name outside the store.
    pub(super) fn give_name(&self, dir: &dyn Dir, name: &OsStr) -> Result<()> {
        self.give(&Outside(dir, name))
    }

    /// Gives them to an inode of a store.
    pub(super) fn give_inode(&self, store: &Store, ino: u64) -> Result<()> {
        self.give(&Inside(store, ino))
    }

    /// Owner before mode, which a change of owner cuts; capabilities after both; times last. Only root can give files
    /// away and set capabilities.
    fn give(&self, to: &dyn Target) -> Result<()> {
        let root = rustix::process::geteuid().is_root();
        if root {
            to.set_owner(self.uid, self.gid)?;
        }
        for (name, value) in self.xattrs.iter().filter(|(name, _)| name != CAPABILITY) {
            match to.set_xattr(name, value) {
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::Unsupported => {
                    log::warn!("{}: not supported there, left out", name.display());
                }
                other => other?,
            }
        }
        if self.kind != Kind::Symlink {
            to.set_mode(self.mode)?;
        }
        for (name, value) in self.xattrs.iter().filter(|(name, _)| name == CAPABILITY) {
            if root {
                to.set_xattr(name, value)?;
            }
        }
        to.set_times(self.times)
    }
}
