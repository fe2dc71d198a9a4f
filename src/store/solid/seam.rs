//! A bundle as the disk seam shows it: directories and files that can be read and never changed.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use rustix::io::Errno;

use super::super::disk::{
    Access, Dir, File, Kind, Lease, Listed, Meta, Rename, Seek, SetTimes, Space, XattrMode,
};
use super::super::names;
use super::super::{Error, Result};
use super::{Solid, frozen, logical};
use crate::format::bundle::{Entry, What};

/// A directory of a bundle.
#[derive(Debug)]
pub(crate) struct SolidDir {
    solid: Arc<Solid>,
    index: u32,
}

/// The directory of a bundle that a handle is, if it is one.
pub(crate) fn inside(dir: &dyn Dir) -> Option<&SolidDir> {
    dir.as_any().downcast_ref()
}

impl SolidDir {
    pub(crate) fn new(solid: Arc<Solid>, index: u32) -> Self {
        Self { solid, index }
    }

    /// The bundle.
    pub(crate) fn solid(&self) -> &Arc<Solid> {
        &self.solid
    }

    /// Which of its entries.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The entry with this name on disk; `.` is the directory itself.
    pub(crate) fn find(&self, disk: &OsStr) -> io::Result<u32> {
        if disk == "." {
            return Ok(self.index);
        }
        let name = logical(disk);
        let found = name.and_then(|name| self.solid.bundle().find(self.index, &name));
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Opens a regular file by its name on disk.
    pub(crate) fn member(&self, disk: &OsStr) -> io::Result<Member> {
        let (index, entry) = self.entry(disk)?;
        match entry.what {
            What::File { size, offset, .. } => Ok(Member {
                solid: Arc::clone(&self.solid),
                index,
                offset,
                size,
            }),
            What::Dir => Err(io::ErrorKind::IsADirectory.into()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// What the name is, which is another entry for hard links.
    fn entry(&self, disk: &OsStr) -> io::Result<(u32, &Entry)> {
        let bundle = self.solid.bundle();
        let target = bundle.target(self.find(disk)?);
        let entry = bundle.entry(target).ok_or(io::ErrorKind::NotFound)?;
        Ok((target, entry))
    }
}

fn xattr_of(entry: &Entry, attr: &OsStr) -> io::Result<Vec<u8>> {
    let attr = attr.as_bytes();
    let at = entry
        .xattrs
        .binary_search_by(|(name, _)| name.as_slice().cmp(attr));
    let value = at.ok().and_then(|at| entry.xattrs.get(at));
    Ok(value.map(|(_, value)| value.clone()).ok_or(Errno::NODATA)?)
}

fn xattrs_of(entry: &Entry) -> Vec<OsString> {
    let names = entry.xattrs.iter().map(|(name, _)| name.clone());
    names.map(OsString::from_vec).collect()
}

fn kind_of(what: &What) -> Kind {
    match what {
        What::Dir => Kind::Dir,
        What::File { .. } | What::Link(_) => Kind::File,
        What::Symlink(_) => Kind::Symlink,
        What::Fifo => Kind::Fifo,
        What::Socket => Kind::Socket,
        What::Char(_) => Kind::Char,
        What::Block(_) => Kind::Block,
    }
}

impl Dir for SolidDir {
    fn dir(&self, name: &OsStr) -> io::Result<Arc<dyn Dir>> {
        match self.entry(name)? {
            (index, entry) if entry.what == What::Dir => {
                Ok(Arc::new(Self::new(Arc::clone(&self.solid), index)))
            }
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn open(&self, name: &OsStr, access: Access) -> io::Result<Arc<dyn File>> {
        if access == Access::Write {
            return Err(frozen());
        }
        Ok(Arc::new(self.member(name)?))
    }

    fn create(&self, _: &OsStr, _: u32, _: u32) -> io::Result<Arc<dyn File>> {
        Err(frozen())
    }

    fn meta(&self, name: &OsStr) -> io::Result<Meta> {
        let meta = self.solid.meta(self.find(name)?);
        meta.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn self_meta(&self) -> io::Result<Meta> {
        self.meta(OsStr::new("."))
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        let bundle = self.solid.bundle();
        let children = bundle.children(self.index);
        let listed = children.filter_map(|index| {
            let name = OsString::from_vec(bundle.entry(index)?.name.clone());
            Some(Listed {
                name: names::plain(&name)?,
                kind: kind_of(&bundle.entry(bundle.target(index))?.what),
            })
        });
        Ok(listed.collect())
    }

    fn make_dir(&self, _: &OsStr, _: u32, _: u32) -> io::Result<()> {
        Err(frozen())
    }

    fn make_node(&self, _: &OsStr, _: Kind, _: u32, _: u32, _: u64) -> io::Result<()> {
        Err(frozen())
    }

    fn make_symlink(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(frozen())
    }

    fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        match &self.entry(name)?.1.what {
            What::Symlink(target) => Ok(OsString::from_vec(target.clone())),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn link(&self, _: &OsStr, _: &dyn Dir, _: &OsStr) -> io::Result<()> {
        Err(frozen())
    }

    fn unlink(&self, _: &OsStr) -> io::Result<()> {
        Err(frozen())
    }

    fn remove_dir(&self, _: &OsStr) -> io::Result<()> {
        Err(frozen())
    }

    fn rename(&self, _: &OsStr, _: &dyn Dir, _: &OsStr, _: Rename) -> io::Result<()> {
        Err(frozen())
    }

    fn set_mode(&self, _: &OsStr, _: u32) -> io::Result<()> {
        Err(frozen())
    }

    fn set_owner(&self, _: &OsStr, _: Option<u32>, _: Option<u32>) -> io::Result<()> {
        Err(frozen())
    }

    fn set_times(&self, _: &OsStr, _: SetTimes) -> io::Result<()> {
        Err(frozen())
    }

    fn xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<Vec<u8>> {
        xattr_of(self.entry(name)?.1, attr)
    }

    fn xattrs(&self, name: &OsStr) -> io::Result<Vec<OsString>> {
        Ok(xattrs_of(self.entry(name)?.1))
    }

    fn set_xattr(&self, _: &OsStr, _: &OsStr, _: &[u8], _: XattrMode) -> io::Result<()> {
        Err(frozen())
    }

    fn remove_xattr(&self, _: &OsStr, _: &OsStr) -> io::Result<()> {
        Err(frozen())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(()) // what is in a bundle is as durable as its object, which was synced before it got its name
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space::default())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// A file of a bundle, open for reading.
#[derive(Debug)]
pub(crate) struct Member {
    solid: Arc<Solid>,
    /// Which entry, never a hard link.
    index: u32,
    offset: u64,
    size: u64,
}

impl Member {
    /// The bundle.
    pub(crate) fn solid(&self) -> &Arc<Solid> {
        &self.solid
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes stored for it: its share of the object.
    pub(crate) fn stored(&self) -> u64 {
        self.solid.share_of_file(self.size)
    }

    /// What the medium would say of it.
    pub(crate) fn meta(&self) -> Option<Meta> {
        self.solid.meta(self.index)
    }

    /// Fills `buf` from byte `offset` as far as the file reaches; returns the bytes read, all of them proved exact.
    ///
    /// # Errors
    /// [`Error::Damaged`] when too little of the object is left for that.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..length).filter(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        let read = self.solid.object().read_at(self.offset + offset, buf)?;
        if read < length {
            return Err(Error::Invalid);
        }
        Ok(read)
    }

    /// As [`File::seek`]; `None` past the end, and for data after the last.
    pub(crate) fn find(&self, offset: u64, whence: Seek) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let end = self.offset + self.size;
        let found = self.solid.object().seek(self.offset + offset, whence);
        match whence {
            Seek::Data => found.filter(|at| *at < end).map(|at| at - self.offset),
            Seek::Hole => Some(found.map_or(end, |at| at.min(end)) - self.offset),
        }
    }

    fn entry(&self) -> io::Result<&Entry> {
        let entry = self.solid.bundle().entry(self.index);
        entry.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl File for Member {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(offset, buf).map_err(|e| match e {
            Error::Io(e) => e,
            other => io::Error::other(other),
        })
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(frozen())
    }

    fn append(&self, _: &[u8]) -> io::Result<u64> {
        Err(frozen())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(frozen())
    }

    fn sync(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn meta(&self) -> io::Result<Meta> {
        Self::meta(self).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn allocate(&self, _: u32, _: u64, _: u64) -> io::Result<()> {
        Err(frozen())
    }

    fn seek(&self, offset: u64, whence: Seek) -> io::Result<u64> {
        Ok(self.find(offset, whence).ok_or(Errno::NXIO)?)
    }

    fn copy_range(&self, _: u64, _: &dyn File, _: u64, _: u64) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_times(&self, _: SetTimes) -> io::Result<()> {
        Err(frozen())
    }

    fn set_mode(&self, _: u32) -> io::Result<()> {
        Err(frozen())
    }

    fn set_owner(&self, _: Option<u32>, _: Option<u32>) -> io::Result<()> {
        Err(frozen())
    }

    fn xattr(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        xattr_of(self.entry()?, name)
    }

    fn xattrs(&self) -> io::Result<Vec<OsString>> {
        Ok(xattrs_of(self.entry()?))
    }

    fn set_xattr(&self, _: &OsStr, _: &[u8], _: XattrMode) -> io::Result<()> {
        Err(frozen())
    }

    fn remove_xattr(&self, _: &OsStr) -> io::Result<()> {
        Err(frozen())
    }

    fn lease(&self) -> io::Result<Box<dyn Lease>> {
        Err(io::ErrorKind::Unsupported.into()) // nobody can have it open for writing
    }

    fn reopen(&self, access: Access) -> io::Result<Arc<dyn File>> {
        if access == Access::Write {
            return Err(frozen());
        }
        Ok(Arc::new(Self {
            solid: Arc::clone(&self.solid),
            index: self.index,
            offset: self.offset,
            size: self.size,
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
