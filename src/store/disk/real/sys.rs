//! System calls of the real medium, in the shapes that its files and directories share.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use parking_lot::Mutex;
use rustix::buffer::{SpareCapacity, spare_capacity};
use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags,
    StatxTimestamp, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::umask;
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::super::{Access, Kind, Meta, SetTimes, XattrMode};
use crate::format::Time;

/// The most bytes of a value, or of all names, of extended attributes (`XATTR_SIZE_MAX` and `XATTR_LIST_MAX`).
const XATTR_MAX: usize = 64 * 1024;
/// Room for extended attributes that is tried first.
const XATTR_USUAL: usize = 512;

/// Refuses what is not the name of a directory entry.
pub(super) fn check_name(name: &OsStr) -> io::Result<()> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(Errno::INVAL.into());
    }
    Ok(())
}

/// As [`check_name`], with `.` allowed: the directory itself.
pub(super) fn check_attribute_name(name: &OsStr) -> io::Result<()> {
    if name == "." {
        return Ok(());
    }
    check_name(name)
}

/// Opens `name` in `dir` and nowhere else: no link is followed, no mount point crossed.
pub(super) fn open_beneath(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match retry_on_intr(|| fs::openat2(dir, name, flags, mode, resolve)) {
        // In some sandboxes. One component without following links stays beneath anyway.
        Err(Errno::NOSYS) => {
            let fd = retry_on_intr(|| fs::openat(dir, name, flags, mode))?;
            let found = statx(fd.as_fd(), OsStr::new(""), AtFlags::EMPTY_PATH)?;
            check_mount(&found, name)?;
            Ok(fd)
        }
        other => other,
    }
}

/// Opens a file by `open`, which is given the flags.
pub(super) fn open_as(
    access: Access,
    open: impl Fn(OFlags) -> rustix::io::Result<OwnedFd>,
) -> rustix::io::Result<OwnedFd> {
    // NONBLOCK: neither a fifo nor a lease may hold us up; what is read and written later ignores it.
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    match access {
        Access::Write => open(flags | OFlags::RDWR),
        // NOATIME is for the owner and CAP_FOWNER only.
        Access::Read => match open(flags | OFlags::RDONLY | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags | OFlags::RDONLY),
            other => other,
        },
    }
}

/// `/proc/self/fd/<fd>`, or `name` below it: what takes a path acts on the very descriptor.
pub(super) fn proc_path(fd: BorrowedFd<'_>, name: Option<&OsStr>) -> OsString {
    let mut path = OsString::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    if let Some(name) = name {
        path.push("/");
        path.push(name);
    }
    path
}

thread_local! {
    /// Whether this thread has a umask of its own; asked of the kernel once.
    static OWN_UMASK: OnceCell<bool> = const { OnceCell::new() };
}

/// Held by threads that must share the process's umask.
static SHARED_UMASK: Mutex<()> = Mutex::new(());

/// Runs `op` under the umask `mask`.
///
/// The kernel alone knows whether a default ACL takes the umask's place, so it must see the caller's umask. A
/// thread gets one of its own by unsharing its filesystem attributes (its working directory goes with them; nobody
/// here changes that). Where a sandbox refuses, threads take turns with the umask of the process.
pub(super) fn with_umask<T>(mask: u32, op: impl FnOnce() -> T) -> T {
    let own = OWN_UMASK.with(|own| *own.get_or_init(unshare_umask));
    let turn = (!own).then(|| SHARED_UMASK.lock());
    let before = umask(Mode::from_bits_truncate(mask & 0o777));
    let result = op();
    umask(before);
    drop(turn);
    result
}

#[expect(unsafe_code, reason = "unshare(2) is unsafe for descriptor tables")]
fn unshare_umask() -> bool {
    // SAFETY: only CLONE_FS (umask, root, working directory) is unshared, never the table of descriptors.
    unsafe { unshare_unsafe(UnshareFlags::FS) }.is_ok()
}

/// Meta of a name; a mount point is another filesystem and refused.
pub(super) fn meta_at(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Meta> {
    let found = statx(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    check_mount(&found, name)?;
    meta(&found)
}

/// Refuses a mount point, unless it is the directory itself.
fn check_mount(found: &Statx, name: &OsStr) -> rustix::io::Result<()> {
    let mounted = found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    if mounted && name != "." {
        return Err(Errno::XDEV);
    }
    Ok(())
}

/// Meta of an open inode.
pub(super) fn meta_of(fd: BorrowedFd<'_>) -> io::Result<Meta> {
    meta(&statx(fd, OsStr::new(""), AtFlags::EMPTY_PATH)?)
}

fn statx(dir: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> rustix::io::Result<Statx> {
    let flags = flags | AtFlags::NO_AUTOMOUNT;
    fs::statx(
        dir,
        name,
        flags,
        StatxFlags::BASIC_STATS | StatxFlags::BTIME,
    )
}

fn meta(found: &Statx) -> io::Result<Meta> {
    let time = |t: &StatxTimestamp| Time {
        secs: t.tv_sec,
        nanos: t.tv_nsec,
    };
    let mode = u32::from(found.stx_mode);
    let has_btime = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    Ok(Meta {
        kind: kind(FileType::from_raw_mode(mode))
            .ok_or_else(|| io::Error::other("an inode of unknown kind"))?,
        mode: mode & 0o7777,
        uid: found.stx_uid,
        gid: found.stx_gid,
        nlink: found.stx_nlink,
        size: found.stx_size,
        blocks: found.stx_blocks,
        atime: time(&found.stx_atime),
        mtime: time(&found.stx_mtime),
        ctime: time(&found.stx_ctime),
        btime: if has_btime {
            time(&found.stx_btime)
        } else {
            Time::default()
        },
        dev: fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        rdev: fs::makedev(found.stx_rdev_major, found.stx_rdev_minor),
    })
}

/// Our word for a kind; `None` where the kernel does not say.
pub(super) fn kind(of: FileType) -> Option<Kind> {
    Some(match of {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::Char,
        FileType::BlockDevice => Kind::Block,
        FileType::Unknown => return None,
    })
}

/// The kernel's word for a kind that mknod(2) makes; `None` for the others.
pub(super) fn node_type(kind: Kind) -> Option<FileType> {
    Some(match kind {
        Kind::File => FileType::RegularFile,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
        Kind::Char => FileType::CharacterDevice,
        Kind::Block => FileType::BlockDevice,
        Kind::Dir | Kind::Symlink => return None,
    })
}

/// Owner and group for chown(2), where `u32::MAX` would mean "leave".
pub(super) fn owner(uid: Option<u32>, gid: Option<u32>) -> io::Result<(Option<Uid>, Option<Gid>)> {
    if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
        return Err(Errno::INVAL.into());
    }
    Ok((uid.map(Uid::from_raw), gid.map(Gid::from_raw)))
}

/// Times for utimensat(2), where some nanoseconds past a second would mean "now" and "leave".
pub(super) fn timestamps(times: SetTimes) -> io::Result<Timestamps> {
    let one = |time: Option<Time>| match time {
        None => Ok(Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        }),
        Some(time) if time.nanos < 1_000_000_000 => Ok(Timespec {
            tv_sec: time.secs,
            tv_nsec: time.nanos.into(),
        }),
        Some(_) => Err(Errno::INVAL),
    };
    Ok(Timestamps {
        last_access: one(times.atime)?,
        last_modification: one(times.mtime)?,
    })
}

pub(super) fn xattr_flags(mode: XattrMode) -> XattrFlags {
    match mode {
        XattrMode::Any => XattrFlags::empty(),
        XattrMode::Create => XattrFlags::CREATE,
        XattrMode::Replace => XattrFlags::REPLACE,
    }
}

/// What `read` puts into a buffer: a value, or the list of names, of extended attributes.
pub(super) fn read_attribute(
    read: impl Fn(SpareCapacity<'_, u8>) -> rustix::io::Result<usize>,
) -> io::Result<Vec<u8>> {
    let mut value = Vec::with_capacity(XATTR_USUAL);
    match read(spare_capacity(&mut value)) {
        Err(Errno::RANGE) => {
            value = Vec::with_capacity(XATTR_MAX);
            read(spare_capacity(&mut value))?;
            value.shrink_to_fit();
        }
        other => {
            other?;
        }
    }
    Ok(value)
}

/// The names in the list that listxattr(2) gives: each ends in a zero byte.
pub(super) fn split_names(list: &[u8]) -> Vec<OsString> {
    list.split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect()
}
