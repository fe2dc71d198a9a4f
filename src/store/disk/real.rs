//! The seam on a real kernel: directory handles whose lookups cannot leave the directory.
//!
//! A [`RealDir`] holds an `O_PATH` descriptor, so that search permission is enough to go through a directory; what
//! needs more (listing, sync) opens the directory anew for as long as it takes.

mod file;
mod sys;

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, Mode, OFlags, RawDir, RenameFlags};
use rustix::io::Errno;

use super::{Access, Dir, File, Kind, Listed, Meta, Rename, SetTimes, Space, XattrMode};
use file::RealFile;

/// A directory of a filesystem of this machine.
#[derive(Debug)]
pub struct RealDir {
    fd: OwnedFd,
}

/// Opens the directory at `path`, symbolic links followed, as the root of a store.
///
/// # Errors
/// Those of open(2); `NotADirectory` for anything else.
pub fn open_root(path: &Path) -> io::Result<Arc<dyn Dir>> {
    let fd = fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    Ok(Arc::new(RealDir { fd }))
}

/// A file without a name or a place on a medium, gone with its last handle.
///
/// # Errors
/// Those of `memfd_create`(2).
pub fn nameless() -> io::Result<Arc<dyn File>> {
    let fd = fs::memfd_create("holofs", fs::MemfdFlags::CLOEXEC)?;
    Ok(Arc::new(RealFile::new(fd)))
}

/// Bytes of names read by one getdents64(2).
const LIST_BUFFER: usize = 32 * 1024;

impl RealDir {
    /// The directory again, open for reading its names or syncing it.
    fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Ok(sys::open_beneath(
            self.fd.as_fd(),
            OsStr::new("."),
            flags,
            Mode::empty(),
        )?)
    }

    /// Runs `op` on `name` and its target in `to`, which must be a real directory too.
    fn with_target(
        &self,
        name: &OsStr,
        to: &dyn Dir,
        to_name: &OsStr,
        op: impl FnOnce(BorrowedFd<'_>, BorrowedFd<'_>) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        sys::check_name(name)?;
        sys::check_name(to_name)?;
        let to: &Self = to.as_any().downcast_ref().ok_or(Errno::XDEV)?;
        Ok(op(self.fd.as_fd(), to.fd.as_fd())?)
    }
}

impl Dir for RealDir {
    fn dir(&self, name: &OsStr) -> io::Result<Arc<dyn Dir>> {
        sys::check_name(name)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = sys::open_beneath(self.fd.as_fd(), name, flags, Mode::empty())?;
        Ok(Arc::new(Self { fd }))
    }

    fn open(&self, name: &OsStr, access: Access) -> io::Result<Arc<dyn File>> {
        sys::check_name(name)?;
        let fd = sys::open_as(access, |flags| {
            sys::open_beneath(self.fd.as_fd(), name, flags, Mode::empty())
        })?;
        match sys::meta_of(fd.as_fd())?.kind {
            Kind::File => Ok(Arc::new(RealFile::new(fd))),
            Kind::Dir => Err(Errno::ISDIR.into()),
            // As open(2) says of sockets, and of devices without a driver.
            _ => Err(Errno::NXIO.into()),
        }
    }

    fn create(&self, name: &OsStr, mode: u32, umask: u32) -> io::Result<Arc<dyn File>> {
        sys::check_name(name)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        let mode = Mode::from_bits_truncate(mode);
        let fd = sys::with_umask(umask, || {
            sys::open_beneath(self.fd.as_fd(), name, flags, mode)
        })?;
        Ok(Arc::new(RealFile::new(fd)))
    }

    fn meta(&self, name: &OsStr) -> io::Result<Meta> {
        sys::check_attribute_name(name)?;
        sys::meta_at(self.fd.as_fd(), name)
    }

    fn self_meta(&self) -> io::Result<Meta> {
        sys::meta_of(self.fd.as_fd())
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        let fd = self.readable()?;
        let mut buffer = Vec::with_capacity(LIST_BUFFER);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        let mut found = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match sys::kind(entry.file_type()) {
                Some(kind) => kind,
                // Some filesystems do not keep kinds in directories.
                None => match sys::meta_at(self.fd.as_fd(), name) {
                    Ok(meta) => meta.kind,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                },
            };
            found.push(Listed {
                name: name.to_owned(),
                kind,
            });
        }
        Ok(found)
    }

    fn make_dir(&self, name: &OsStr, mode: u32, umask: u32) -> io::Result<()> {
        sys::check_name(name)?;
        let mode = Mode::from_bits_truncate(mode);
        Ok(sys::with_umask(umask, || {
            fs::mkdirat(&self.fd, name, mode)
        })?)
    }

    fn make_node(
        &self,
        name: &OsStr,
        kind: Kind,
        mode: u32,
        umask: u32,
        rdev: u64,
    ) -> io::Result<()> {
        sys::check_name(name)?;
        let kind = sys::node_type(kind).ok_or(Errno::INVAL)?;
        let mode = Mode::from_bits_truncate(mode);
        Ok(sys::with_umask(umask, || {
            fs::mknodat(&self.fd, name, kind, mode, rdev)
        })?)
    }

    fn make_symlink(&self, name: &OsStr, target: &OsStr) -> io::Result<()> {
        sys::check_name(name)?;
        Ok(fs::symlinkat(target, &self.fd, name)?)
    }

    fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        sys::check_name(name)?;
        let target = fs::readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    fn link(&self, name: &OsStr, to: &dyn Dir, to_name: &OsStr) -> io::Result<()> {
        self.with_target(name, to, to_name, |from, to| {
            fs::linkat(from, name, to, to_name, AtFlags::empty())
        })
    }

    fn unlink(&self, name: &OsStr) -> io::Result<()> {
        sys::check_name(name)?;
        Ok(fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        sys::check_name(name)?;
        Ok(fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    fn rename(&self, name: &OsStr, to: &dyn Dir, to_name: &OsStr, how: Rename) -> io::Result<()> {
        let flags = match how {
            Rename::Replace => RenameFlags::empty(),
            Rename::NoReplace => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        self.with_target(name, to, to_name, |from, to| {
            fs::renameat_with(from, name, to, to_name, flags)
        })
    }

    fn set_mode(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        sys::check_attribute_name(name)?;
        // chmod(2) follows links and fchmodat(2) has no flag against it: pin the inode, then go by its descriptor.
        let flags = OFlags::PATH;
        let fd = sys::open_beneath(self.fd.as_fd(), name, flags, Mode::empty())?;
        if sys::meta_of(fd.as_fd())?.kind == Kind::Symlink {
            return Err(Errno::OPNOTSUPP.into());
        }
        Ok(fs::chmod(
            sys::proc_path(fd.as_fd(), None),
            Mode::from_bits_truncate(mode),
        )?)
    }

    fn set_owner(&self, name: &OsStr, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        sys::check_attribute_name(name)?;
        let (uid, gid) = sys::owner(uid, gid)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(fs::chownat(&self.fd, name, uid, gid, flags)?)
    }

    fn set_times(&self, name: &OsStr, times: SetTimes) -> io::Result<()> {
        sys::check_attribute_name(name)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(fs::utimensat(
            &self.fd,
            name,
            &sys::timestamps(times)?,
            flags,
        )?)
    }

    fn xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<Vec<u8>> {
        sys::check_attribute_name(name)?;
        let path = sys::proc_path(self.fd.as_fd(), Some(name));
        sys::read_attribute(|buffer| fs::lgetxattr(&path, attr, buffer))
    }

    fn xattrs(&self, name: &OsStr) -> io::Result<Vec<OsString>> {
        sys::check_attribute_name(name)?;
        let path = sys::proc_path(self.fd.as_fd(), Some(name));
        let names = sys::read_attribute(|buffer| fs::llistxattr(&path, buffer))?;
        Ok(sys::split_names(&names))
    }

    fn set_xattr(
        &self,
        name: &OsStr,
        attr: &OsStr,
        value: &[u8],
        mode: XattrMode,
    ) -> io::Result<()> {
        sys::check_attribute_name(name)?;
        let path = sys::proc_path(self.fd.as_fd(), Some(name));
        Ok(fs::lsetxattr(path, attr, value, sys::xattr_flags(mode))?)
    }

    fn remove_xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<()> {
        sys::check_attribute_name(name)?;
        let path = sys::proc_path(self.fd.as_fd(), Some(name));
        Ok(fs::lremovexattr(path, attr)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(self.readable()?)?)
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(fs::syncfs(self.readable()?)?)
    }

    fn space(&self) -> io::Result<Space> {
        let all = fs::fstatvfs(&self.fd)?;
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Space {
            bsize: narrow(all.f_bsize),
            frsize: narrow(all.f_frsize),
            blocks: all.f_blocks,
            bfree: all.f_bfree,
            bavail: all.f_bavail,
            files: all.f_files,
            ffree: all.f_ffree,
            namelen: narrow(all.f_namemax),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }
}
