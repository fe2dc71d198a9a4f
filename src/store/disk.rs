//! The disk seam: all that the store asks of a medium, by directory handle and one name component.
//!
//! Crash and fault tests are other implementations of these traits. What holofs assumes of the medium:
//!
//! * A single directory operation (create, link, unlink, rename, exchange) is atomic, also between two directories.
//! * Operations on one directory become durable in their order; [`Dir::sync`] makes all earlier ones durable.
//!   Removing a directory counts as an operation on it too, and moves of directories between directories keep their
//!   order among each other.
//! * File data and size may be lost or reordered in any way until [`File::sync`] returns.
//! * A new inode comes with the mode it was made with. Later changes of attributes become durable in their order;
//!   [`File::sync`] makes a file's durable, [`Dir::sync`] the directory's own and those of its links and nodes.
//! * Nothing is promised about data written before a crash and not synced, nor about the order of two directories.
//!
//! No operation follows a symbolic link, leaves the store's filesystem, or takes more than one path component.

mod real;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::format::Time;

pub use real::{RealDir, nameless, open_root};

/// What kind of thing a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Dir,
    /// Symbolic link.
    Symlink,
    /// Named pipe.
    Fifo,
    /// Unix socket.
    Socket,
    /// Character device.
    Char,
    /// Block device.
    Block,
}

/// What the medium says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Kind of inode.
    pub kind: Kind,
    /// Permission bits, 0..0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub nlink: u32,
    /// Size in bytes.
    pub size: u64,
    /// Allocated 512-byte blocks.
    pub blocks: u64,
    /// Last access.
    pub atime: Time,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Birth; zero where the medium does not know it.
    pub btime: Time,
    /// Device number of the filesystem.
    pub dev: u64,
    /// Inode number on the medium.
    pub ino: u64,
    /// Device number of a device node.
    pub rdev: u64,
}

/// One name of a directory listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name, neither `.` nor `..`.
    pub name: OsString,
    /// Its kind.
    pub kind: Kind,
}

/// How a rename treats an existing target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// As rename(2): an existing target of the same sort is replaced.
    Replace,
    /// Fails with `AlreadyExists` (`RENAME_NOREPLACE`).
    NoReplace,
    /// The two names swap what they hold, of whatever kinds (`RENAME_EXCHANGE`).
    Exchange,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only, without moving the access time where the medium lets us.
    Read,
    /// Reading and writing.
    Write,
}

/// What to set of an inode's times: `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetTimes {
    /// Last access.
    pub atime: Option<Time>,
    /// Last change of content.
    pub mtime: Option<Time>,
}

/// How an extended attribute is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrMode {
    /// Create or replace.
    Any,
    /// `AlreadyExists` if it is there.
    Create,
    /// "No data" if it is not.
    Replace,
}

/// Whence of [`File::seek`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// The next data at or after the offset.
    Data,
    /// The next hole (or the end) at or after the offset.
    Hole,
}

/// Sizes of the filesystem, in units of `frsize` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Preferred block size.
    pub bsize: u32,
    /// Fragment size.
    pub frsize: u32,
    /// Total blocks.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free blocks for everybody.
    pub bavail: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
    /// Longest name.
    pub namelen: u32,
}

/// A lease: while it lives, nobody has the file open for writing, nor mapped shared and writable.
pub trait Lease: fmt::Debug + Send {}

/// An open file.
pub trait File: fmt::Debug + Send + Sync {
    /// Reads at `offset`; returns the bytes read, 0 at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `buf` at `offset`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Writes all of `buf` at the end, wherever that is at that moment; returns where it began.
    fn append(&self, buf: &[u8]) -> io::Result<u64>;
    /// Sets the size.
    fn set_len(&self, size: u64) -> io::Result<()>;
    /// Makes data and size durable, and the attributes unless `data_only` (fdatasync, else fsync).
    fn sync(&self, data_only: bool) -> io::Result<()>;
    /// What the medium says of it.
    fn meta(&self) -> io::Result<Meta>;
    /// fallocate(2) with its mode bits.
    fn allocate(&self, mode: u32, offset: u64, length: u64) -> io::Result<()>;
    /// lseek(2) for data and holes; fails with ENXIO past the last data or the end.
    fn seek(&self, offset: u64, whence: Seek) -> io::Result<u64>;
    /// `copy_file_range(2)` from `self` to `to`; returns the bytes copied.
    fn copy_range(
        &self,
        offset: u64,
        to: &dyn File,
        to_offset: u64,
        length: u64,
    ) -> io::Result<u64>;
    /// Sets times.
    fn set_times(&self, times: SetTimes) -> io::Result<()>;
    /// Sets permission bits.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Sets owner and group; `None` leaves one.
    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()>;
    /// An extended attribute's value.
    fn xattr(&self, name: &OsStr) -> io::Result<Vec<u8>>;
    /// Names of the extended attributes.
    fn xattrs(&self) -> io::Result<Vec<OsString>>;
    /// Sets an extended attribute.
    fn set_xattr(&self, name: &OsStr, value: &[u8], mode: XattrMode) -> io::Result<()>;
    /// Removes an extended attribute.
    fn remove_xattr(&self, name: &OsStr) -> io::Result<()>;
    /// `F_SETLEASE` with `F_RDLCK`: `WouldBlock` exactly while some writer or shared writable map lives. The file must
    /// be open for [`Access::Read`], and holds one lease at a time. Media without leases refuse with `Unsupported`;
    /// who neither owns the file nor has `CAP_LEASE` is refused with `PermissionDenied`.
    fn lease(&self) -> io::Result<Box<dyn Lease>>;
    /// Opens the same inode again, whether it still has a name or not; fails as [`Dir::open`].
    fn reopen(&self, access: Access) -> io::Result<Arc<dyn File>>;
    /// For [`File::copy_range`] to reach its own kind.
    fn as_any(&self) -> &dyn std::any::Any;
    /// The descriptor, where there is one (passthrough, sendfile).
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// A directory handle. Names are single components; what reads or sets attributes of a name (meta, mode, owner,
/// times, extended attributes) also takes `.`, the directory itself, which the root of a store needs.
pub trait Dir: fmt::Debug + Send + Sync {
    /// Opens a subdirectory.
    fn dir(&self, name: &OsStr) -> io::Result<Arc<dyn Dir>>;
    /// Opens an existing regular file; anything else is an error, and nothing blocks (a fifo put in its place, or a
    /// lease in the way, which is `WouldBlock`).
    fn open(&self, name: &OsStr, access: Access) -> io::Result<Arc<dyn File>>;
    /// Creates a file that is not there, open for reading and writing. `mode` goes through `umask` as open(2) says
    /// (a default ACL of the directory takes the umask's place).
    fn create(&self, name: &OsStr, mode: u32, umask: u32) -> io::Result<Arc<dyn File>>;
    /// Meta of a name; EXDEV for a mount point.
    fn meta(&self, name: &OsStr) -> io::Result<Meta>;
    /// Meta of the directory itself.
    fn self_meta(&self) -> io::Result<Meta>;
    /// All names.
    fn list(&self) -> io::Result<Vec<Listed>>;
    /// Makes a directory.
    fn make_dir(&self, name: &OsStr, mode: u32, umask: u32) -> io::Result<()>;
    /// Makes a fifo, socket, device or empty file; `mode` holds permission bits only.
    fn make_node(
        &self,
        name: &OsStr,
        kind: Kind,
        mode: u32,
        umask: u32,
        rdev: u64,
    ) -> io::Result<()>;
    /// Makes a symbolic link.
    fn make_symlink(&self, name: &OsStr, target: &OsStr) -> io::Result<()>;
    /// Reads a symbolic link.
    fn read_link(&self, name: &OsStr) -> io::Result<OsString>;
    /// Makes `to_name` in `to` another name of the file `name`.
    fn link(&self, name: &OsStr, to: &dyn Dir, to_name: &OsStr) -> io::Result<()>;
    /// Removes a name that is not a directory.
    fn unlink(&self, name: &OsStr) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, name: &OsStr) -> io::Result<()>;
    /// Renames `name` to `to_name` in `to`.
    fn rename(&self, name: &OsStr, to: &dyn Dir, to_name: &OsStr, how: Rename) -> io::Result<()>;
    /// Sets permission bits of a name (not of a symlink).
    fn set_mode(&self, name: &OsStr, mode: u32) -> io::Result<()>;
    /// Sets owner and group of a name, a symlink's own included.
    fn set_owner(&self, name: &OsStr, uid: Option<u32>, gid: Option<u32>) -> io::Result<()>;
    /// Sets times of a name, a symlink's own included.
    fn set_times(&self, name: &OsStr, times: SetTimes) -> io::Result<()>;
    /// An extended attribute of a name.
    fn xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<Vec<u8>>;
    /// Names of the extended attributes of a name.
    fn xattrs(&self, name: &OsStr) -> io::Result<Vec<OsString>>;
    /// Sets an extended attribute of a name.
    fn set_xattr(
        &self,
        name: &OsStr,
        attr: &OsStr,
        value: &[u8],
        mode: XattrMode,
    ) -> io::Result<()>;
    /// Removes an extended attribute of a name.
    fn remove_xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<()>;
    /// Makes all earlier changes of names in this directory durable, and its own attributes.
    fn sync(&self) -> io::Result<()>;
    /// Makes everything on the medium durable: of a whole tree sooner done than file by file.
    fn sync_all(&self) -> io::Result<()>;
    /// Sizes of the filesystem.
    fn space(&self) -> io::Result<Space>;
    /// For [`Dir::rename`] and [`Dir::link`] to reach their own kind.
    fn as_any(&self) -> &dyn std::any::Any;
    /// The descriptor, where there is one: a place (`O_PATH`) to name things in, such as sockets.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// Fills `buf` from `offset`, or fails with `UnexpectedEof`.
///
/// # Errors
/// Those of [`File::read_at`].
pub fn read_exact_at(file: &dyn File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        let got = file.read_at(buf, offset)?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buf = buf.get_mut(got..).unwrap_or_default();
        offset += got as u64;
    }
    Ok(())
}

/// Like [`Dir::meta`], with `None` for a name that is not there.
///
/// # Errors
/// Those of [`Dir::meta`].
pub fn meta_if_there(dir: &dyn Dir, name: &OsStr) -> io::Result<Option<Meta>> {
    match dir.meta(name) {
        Ok(meta) => Ok(Some(meta)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
