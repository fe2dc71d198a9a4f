//! Attributes and times, from the store's form to the kernel's and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};

use crate::format::Time;
use crate::store::{Attr, Kind};

/// How long the kernel may keep what it was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ttl {
    /// Names, also absent ones.
    pub(super) entry: Duration,
    /// Attributes.
    pub(super) attr: Duration,
    /// Whether a file being written keeps its attributes too: only where every write passes through us.
    pub(super) while_writing: bool,
}

impl Ttl {
    /// A writable mount sees every change, so that a minute is safe; beside a read-only mount a writer may be at
    /// work. Writes through a passed-through map move size and times without a word to the kernel's cache.
    pub(super) fn new(read_only: bool, passthrough: bool) -> Self {
        let long = Duration::from_secs(if read_only { 1 } else { 60 });
        Self {
            entry: long,
            attr: long,
            while_writing: !passthrough,
        }
    }

    /// How long these attributes hold.
    pub(super) fn of(&self, attr: &Attr) -> Duration {
        if attr.writing && !self.while_writing {
            Duration::ZERO
        } else {
            self.attr
        }
    }
}

/// The kernel's form of attributes.
pub(super) fn file_attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.blocks,
        atime: system_time(attr.atime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: u16::try_from(attr.mode & 0o7777).unwrap_or(0),
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        // Major numbers under 4096 and minor numbers under 2^20 are all the protocol carries.
        rdev: u32::try_from(attr.rdev).unwrap_or(0),
        blksize: 4096,
        flags: 0,
    }
}

/// Attributes of which the kernel uses inode number and kind only: `.` and `..` of a listing, absent names (0).
pub(super) fn bare_attr(ino: u64, kind: FileType) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// The kernel's word for a kind.
pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::Char => FileType::CharDevice,
        Kind::Block => FileType::BlockDevice,
    }
}

/// The kind that the type bits of a mode name; `None` for anything mknod(2) cannot make.
pub(super) fn kind_of_mode(mode: u32) -> Option<Kind> {
    match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Some(Kind::File),
        libc::S_IFIFO => Some(Kind::Fifo),
        libc::S_IFSOCK => Some(Kind::Socket),
        libc::S_IFCHR => Some(Kind::Char),
        libc::S_IFBLK => Some(Kind::Block),
        _ => None,
    }
}

/// A point in time as fuser sends it.
pub(super) fn system_time(time: Time) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let base = if time.secs < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    base.and_then(|t| t.checked_add(Duration::from_nanos(u64::from(time.nanos))))
        .unwrap_or(UNIX_EPOCH)
}

/// A point in time as fuser received it. Before 1970 fuser 0.18 subtracts the nanoseconds where it should add them;
/// taking seconds and nanoseconds apart again gives what the kernel sent.
pub(super) fn requested_time(time: TimeOrNow) -> Time {
    match time {
        TimeOrNow::Now => now(),
        TimeOrNow::SpecificTime(t) => match t.duration_since(UNIX_EPOCH) {
            Ok(d) => Time {
                secs: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
                nanos: d.subsec_nanos(),
            },
            Err(e) => Time {
                secs: 0i64.saturating_sub_unsigned(e.duration().as_secs()),
                nanos: e.duration().subsec_nanos(),
            },
        },
    }
}

/// Now, by the clock that filesystems stamp with: a finer one would run ahead of files written a moment later.
pub(super) fn now() -> Time {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    Time {
        secs: now.tv_sec,
        nanos: u32::try_from(now.tv_nsec).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    /// What fuser 0.18 makes of a time in a request.
    fn received(secs: i64, nanos: u32) -> SystemTime {
        if secs >= 0 {
            UNIX_EPOCH + Duration::new(secs.unsigned_abs(), nanos)
        } else {
            UNIX_EPOCH - Duration::new(secs.unsigned_abs(), nanos)
        }
    }

    #[test]
    fn times_survive_the_way_in() {
        for (secs, nanos) in [
            (0, 0),
            (1, 999_999_999),
            (-1, 0),
            (-1, 500_000_000),
            (-2, 1),
            (i64::from(i32::MIN), 7),
        ] {
            let time = requested_time(TimeOrNow::SpecificTime(received(secs, nanos)));
            assert_eq!((time.secs, time.nanos), (secs, nanos));
        }
    }

    #[test]
    fn times_before_1970_keep_their_fraction_on_the_way_out() {
        let t = system_time(Time {
            secs: -2,
            nanos: 800_000_000,
        });
        let before = UNIX_EPOCH.duration_since(t).unwrap();
        assert_eq!(before, Duration::from_millis(1200));
    }

    #[test]
    fn attributes_of_a_file_open_for_writing_are_not_kept_under_passthrough() {
        let mut attr = Attr {
            ino: 5,
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: 0,
            blocks: 0,
            atime: Time::default(),
            mtime: Time::default(),
            ctime: Time::default(),
            rdev: 0,
            writing: true,
        };
        assert_eq!(Ttl::new(false, true).of(&attr), Duration::ZERO);
        assert!(Ttl::new(false, false).of(&attr) > Duration::ZERO);
        attr.writing = false;
        assert_eq!(Ttl::new(false, true).of(&attr), Duration::from_mins(1));
        assert_eq!(Ttl::new(true, true).of(&attr), Duration::from_secs(1));
    }

    #[test]
    fn kinds_and_modes() {
        assert_eq!(kind_of_mode(libc::S_IFIFO | 0o600), Some(Kind::Fifo));
        assert_eq!(kind_of_mode(0o600), Some(Kind::File));
        assert_eq!(kind_of_mode(libc::S_IFDIR), None);
    }
}
