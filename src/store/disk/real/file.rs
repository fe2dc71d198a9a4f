//! Open files of the real medium, and leases on them.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{self, FallocateFlags, Mode, SeekFrom};
use rustix::io::{Errno, IoSlice, ReadWriteFlags, pread, pwrite, pwritev2, retry_on_intr};

use super::super::{Access, File, Lease, Meta, Seek, SetTimes, XattrMode};
use super::sys;

/// `F_SETSIG` of Linux (asm-generic/fcntl.h), which the libc crate leaves out.
const F_SETSIG: libc::c_int = 10;

/// An open regular file.
#[derive(Debug)]
pub(super) struct RealFile {
    /// Shared with the lease, which must be able to outlive us.
    fd: Arc<OwnedFd>,
    /// The kernel keeps one position per open file; whoever moves it and looks at it holds this.
    position: Mutex<()>,
}

impl RealFile {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            fd: Arc::new(fd),
            position: Mutex::new(()),
        }
    }
}

/// A read lease by `F_SETLEASE`; it belongs to the open file, so one at a time.
#[derive(Debug)]
struct RealLease {
    fd: Arc<OwnedFd>,
}

impl Lease for RealLease {}

impl Drop for RealLease {
    fn drop(&mut self) {
        // It cannot fail on an open descriptor, and closing it would end the lease as well.
        let _ended = fcntl(&self.fd, libc::F_SETLEASE, libc::F_UNLCK);
    }
}

/// fcntl(2) with an integer as argument, for what rustix does not have.
#[expect(unsafe_code, reason = "leases are in no safe interface")]
fn fcntl(fd: &OwnedFd, command: libc::c_int, argument: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open; F_SETLEASE and F_SETSIG take an int and touch no memory of ours.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| pread(&self.fd, &mut *buf, offset))?)
    }

    fn write_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            let written = retry_on_intr(|| pwrite(&self.fd, buf, offset))?;
            buf = rest(buf, written)?;
            offset += written as u64;
        }
        Ok(())
    }

    fn append(&self, mut buf: &[u8]) -> io::Result<u64> {
        let _alone = self.position.lock();
        let mut start = None;
        while !buf.is_empty() {
            // Offset -1 means the file's position, which RWF_APPEND moves to the end first: so the kernel tells
            // where the bytes went, whoever else appends.
            let slices = [IoSlice::new(buf)];
            let flags = ReadWriteFlags::APPEND;
            let written = retry_on_intr(|| pwritev2(&self.fd, &slices, u64::MAX, flags))?;
            buf = rest(buf, written)?;
            if start.is_none() {
                let end = fs::seek(&self.fd, SeekFrom::Current(0))?;
                start = Some(end.saturating_sub(written as u64));
            }
        }
        match start {
            Some(start) => Ok(start),
            None => Ok(self.meta()?.size),
        }
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| fs::ftruncate(&self.fd, size))?)
    }

    fn sync(&self, data_only: bool) -> io::Result<()> {
        Ok(retry_on_intr(|| {
            if data_only {
                fs::fdatasync(&self.fd)
            } else {
                fs::fsync(&self.fd)
            }
        })?)
    }

    fn meta(&self) -> io::Result<Meta> {
        sys::meta_of(self.fd.as_fd())
    }

    fn allocate(&self, mode: u32, offset: u64, length: u64) -> io::Result<()> {
        let mode = FallocateFlags::from_bits_retain(mode);
        Ok(retry_on_intr(|| {
            fs::fallocate(&self.fd, mode, offset, length)
        })?)
    }

    fn seek(&self, offset: u64, whence: Seek) -> io::Result<u64> {
        let _alone = self.position.lock();
        let to = match whence {
            Seek::Data => SeekFrom::Data(offset),
            Seek::Hole => SeekFrom::Hole(offset),
        };
        Ok(fs::seek(&self.fd, to)?)
    }

    fn copy_range(
        &self,
        mut offset: u64,
        to: &dyn File,
        mut to_offset: u64,
        length: u64,
    ) -> io::Result<u64> {
        let to: &Self = to.as_any().downcast_ref().ok_or(Errno::XDEV)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let copied = retry_on_intr(|| {
            fs::copy_file_range(
                &self.fd,
                Some(&mut offset),
                &to.fd,
                Some(&mut to_offset),
                length,
            )
        })?;
        Ok(copied as u64)
    }

    fn set_times(&self, times: SetTimes) -> io::Result<()> {
        Ok(fs::futimens(&self.fd, &sys::timestamps(times)?)?)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fs::fchmod(&self.fd, Mode::from_bits_truncate(mode))?)
    }

    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = sys::owner(uid, gid)?;
        Ok(fs::fchown(&self.fd, uid, gid)?)
    }

    fn xattr(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        sys::read_attribute(|buffer| fs::fgetxattr(&self.fd, name, buffer))
    }

    fn xattrs(&self) -> io::Result<Vec<OsString>> {
        let names = sys::read_attribute(|buffer| fs::flistxattr(&self.fd, buffer))?;
        Ok(sys::split_names(&names))
    }

    fn set_xattr(&self, name: &OsStr, value: &[u8], mode: XattrMode) -> io::Result<()> {
        let flags = sys::xattr_flags(mode);
        Ok(fs::fsetxattr(&self.fd, name, value, flags)?)
    }

    fn remove_xattr(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::fremovexattr(&self.fd, name)?)
    }

    fn lease(&self) -> io::Result<Box<dyn Lease>> {
        // Who wants to write makes the kernel signal us. SIGIO, the usual choice, ends a process that has not
        // prepared for it; SIGURG is ignored unless somebody asks for it. Writers wait until the lease ends.
        fcntl(&self.fd, F_SETSIG, libc::SIGURG)?;
        match fcntl(&self.fd, libc::F_SETLEASE, libc::F_RDLCK) {
            // What filesystems without leases answer.
            Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                Err(Errno::OPNOTSUPP.into())
            }
            Err(e) => Err(e),
            Ok(()) => Ok(Box::new(RealLease {
                fd: Arc::clone(&self.fd),
            })),
        }
    }

    fn reopen(&self, access: Access) -> io::Result<Arc<dyn File>> {
        let path = sys::proc_path(self.fd.as_fd(), None);
        let fd = sys::open_as(access, |flags| {
            retry_on_intr(|| fs::open(&path, flags, Mode::empty()))
        })?;
        Ok(Arc::new(Self::new(fd)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }
}

/// What is left of `buf` after `written` bytes of it.
fn rest(buf: &[u8], written: usize) -> io::Result<&[u8]> {
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(buf.get(written..).unwrap_or_default())
}
