//! Files of the view: open, read, write, release, and the requests on ranges of them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fuser::{BackingId, Errno, FopenFlags};

use super::attr::file_attr;
use super::handles::{Mode, OpenInode};
use super::own::{self, Counters};
use super::view::{Seen, View};
use super::views::is_shown;
use crate::store::{Caller, OpenHow, Opened, Seek};

/// Handle of a file opened for reading only.
const READING: u64 = 0;
/// Handle of a file opened for writing. That is all a file's handle must say: everything else hangs on the inode.
const WRITING: u64 = 1;
/// Handle of a program that is being run.
const RUNNING: u64 = 2;
/// `__FMODE_EXEC` of Linux (include/linux/fs.h): execve(2) opens with it, and holds the file until the program ends.
const FMODE_EXEC: i32 = 0x20;
/// Most bytes copied by one request: the answer counts in 32 bits, and the caller asks again.
const MAX_COPY: u64 = 1 << 30;

/// An open file, as the kernel is told of it.
#[derive(Debug)]
pub(super) struct OpenReply {
    /// Handle.
    pub(super) handle: u64,
    /// How the kernel treats its cache.
    pub(super) flags: FopenFlags,
    /// Carries the backing file of a passed-through inode; `None` for virtual files.
    pub(super) inode: Option<Arc<OpenInode>>,
}

/// The kernel's flags of one open, in the store's terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFlags {
    /// Open for writing.
    how: OpenHow,
    /// What is created must not be there.
    exclusive: bool,
    /// The caller wants no page cache.
    direct: bool,
    /// The file is opened to be run.
    run: bool,
}

impl OpenFlags {
    /// `O_APPEND` and `O_DIRECT` stay with the kernel: the store's own files are opened without them.
    pub(super) fn new(flags: i32, uid: u32) -> Self {
        let truncate = flags & libc::O_TRUNC != 0;
        Self {
            how: OpenHow {
                write: truncate || flags & libc::O_ACCMODE != libc::O_RDONLY,
                truncate,
                kill_privileges: uid != 0,
            },
            exclusive: flags & libc::O_EXCL != 0,
            direct: flags & libc::O_DIRECT != 0,
            run: flags & FMODE_EXEC != 0,
        }
    }
}

impl View {
    /// Opens a file.
    pub(super) fn open(
        &self,
        ino: u64,
        flags: OpenFlags,
        back: impl FnOnce(BorrowedFd<'_>) -> io::Result<BackingId>,
    ) -> Result<OpenReply, Errno> {
        if own::is_own(ino) {
            return self.open_own(ino, flags);
        }
        // The kernel asks whether the file is a running program only after it was cut to nothing.
        if flags.how.truncate && self.inodes.get(ino).is_some_and(|inode| inode.is_running()) {
            return Err(Errno::ETXTBSY);
        }
        let opened = self.store.open_file(ino, flags.how)?;
        let reply = self.opened(ino, &opened, flags, back);
        // Attributes that the kernel learned before hide what maps and the store change from now on.
        if flags.how.write && (!opened.through || self.passthrough) {
            self.expire_attr(ino);
        }
        Ok(reply)
    }

    /// Creates a file (or finds it) and opens it.
    pub(super) fn create(
        &self,
        (parent, name): (u64, &OsStr),
        mode: u32,
        flags: OpenFlags,
        caller: Caller,
        back: impl FnOnce(BorrowedFd<'_>) -> io::Result<BackingId>,
    ) -> Result<(Seen, OpenReply), Errno> {
        own::refuse_name(parent, name)?;
        let (attr, opened) = self.store.create(
            parent,
            name,
            mode & 0o7777,
            flags.exclusive,
            flags.how,
            caller,
        )?;
        let reply = self.opened(attr.ino, &opened, flags, back);
        let seen = Seen {
            attr: file_attr(&attr),
            // Good for the name too, and only this one time can be sent. An empty file changes by requests that the
            // kernel sees (a map needs a size first), and after those it asks again.
            ttl: if attr.size == 0 {
                self.ttl.entry
            } else {
                self.ttl.of(&attr)
            },
        };
        Ok((seen, reply))
    }

    fn opened(
        &self,
        ino: u64,
        opened: &Opened,
        flags: OpenFlags,
        back: impl FnOnce(BorrowedFd<'_>) -> io::Result<BackingId>,
    ) -> OpenReply {
        let (write, run) = (flags.how.write, flags.run);
        let (inode, keep) = self.inodes.join(ino, opened, write, |file| {
            let fd = file.as_fd().filter(|_| self.passthrough)?;
            back(fd)
                .inspect_err(|e| log::debug!("inode {ino:#x} is not passed through: {e}"))
                .ok()
        });
        self.own.counters.opens.fetch_add(1, Ordering::Relaxed);
        let flags = match inode.mode {
            Mode::Passthrough(_) => {
                self.own
                    .counters
                    .passthrough
                    .fetch_add(1, Ordering::Relaxed);
                FopenFlags::empty()
            }
            Mode::User if flags.direct => FopenFlags::FOPEN_DIRECT_IO,
            Mode::User if keep => FopenFlags::FOPEN_KEEP_CACHE,
            Mode::User => FopenFlags::empty(),
        };
        let handle = match (write, run) {
            (true, _) => WRITING,
            (false, true) => RUNNING,
            (false, false) => READING,
        };
        if handle == RUNNING {
            inode.running.fetch_add(1, Ordering::Relaxed);
        }
        OpenReply {
            handle,
            flags,
            inode: Some(inode),
        }
    }

    fn open_own(&self, ino: u64, flags: OpenFlags) -> Result<OpenReply, Errno> {
        if flags.how.write {
            own::refuse(ino)?;
        }
        let handle = if is_shown(ino) {
            self.views.open(ino)?;
            self.own.counters.opens.fetch_add(1, Ordering::Relaxed);
            READING
        } else {
            self.texts.insert(self.own.stats(self.store.counters()))
        };
        Ok(OpenReply {
            handle,
            flags: FopenFlags::FOPEN_DIRECT_IO, // it changes at any time
            inode: None,
        })
    }

    /// Ends one open.
    pub(super) fn release(&self, ino: u64, handle: u64) {
        if is_shown(ino) {
            self.views.release(ino);
        } else if own::is_own(ino) {
            self.texts.remove(handle);
        } else {
            if handle == RUNNING
                && let Some(inode) = self.inodes.get(ino)
            {
                inode.running.fetch_sub(1, Ordering::Relaxed);
            }
            self.inodes.leave(ino);
            self.store.release(ino, handle == WRITING);
        }
    }

    /// Reads of an open file into `buf`; returns how much.
    pub(super) fn read(
        &self,
        ino: u64,
        handle: u64,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, Errno> {
        if own::is_own(ino) && !is_shown(ino) {
            let text = self.texts.get(handle).ok_or(Errno::EBADF)?;
            let rest = usize::try_from(offset).ok().and_then(|at| text.get(at..));
            let rest = rest.unwrap_or_default();
            let length = rest.len().min(buf.len());
            for (to, from) in buf.iter_mut().zip(rest) {
                *to = *from;
            }
            return Ok(length);
        }
        let length = if is_shown(ino) {
            self.views.read(ino, offset, buf)?
        } else {
            self.store.read(ino, offset, buf)?
        };
        let counters = &self.own.counters;
        Counters::count(&counters.reads, &counters.read_bytes, length);
        Ok(length)
    }

    /// Writes to an open file; `kill`: the caller is one whose writes clear set-id bits.
    pub(super) fn write(
        &self,
        ino: u64,
        offset: u64,
        data: &[u8],
        append: bool,
        kill: bool,
    ) -> Result<(), Errno> {
        if kill {
            self.kill_privileges(ino)?;
        }
        self.store.write(ino, offset, data, append)?;
        let counters = &self.own.counters;
        Counters::count(&counters.writes, &counters.written_bytes, data.len());
        Ok(())
    }

    /// Makes a file durable.
    pub(super) fn sync(&self, ino: u64, data_only: bool) -> Result<(), Errno> {
        if own::is_own(ino) {
            return Ok(());
        }
        Ok(self.store.sync(ino, data_only)?)
    }

    /// fallocate(2); `kill` as for [`View::write`].
    pub(super) fn allocate(
        &self,
        ino: u64,
        mode: i32,
        offset: u64,
        length: u64,
        kill: bool,
    ) -> Result<(), Errno> {
        own::refuse(ino)?;
        let mode = u32::try_from(mode).map_err(|_| Errno::EINVAL)?;
        if kill {
            self.kill_privileges(ino)?;
        }
        Ok(self.store.allocate(ino, mode, offset, length)?)
    }

    /// lseek(2) for data and holes; the kernel answers the rest.
    pub(super) fn seek(&self, ino: u64, offset: i64, whence: i32) -> Result<i64, Errno> {
        let whence = match whence {
            _ if own::is_own(ino) && !is_shown(ino) => return Err(Errno::EINVAL),
            libc::SEEK_DATA => Seek::Data,
            libc::SEEK_HOLE => Seek::Hole,
            _ => return Err(Errno::EINVAL),
        };
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        let found = if is_shown(ino) {
            self.views.seek(ino, offset, whence)?
        } else {
            self.store.seek(ino, offset, whence)?
        };
        i64::try_from(found).map_err(|_| Errno::EOVERFLOW)
    }

    /// `copy_file_range`(2) of as much as one answer can count; `kill` as for [`View::write`].
    pub(super) fn copy(
        &self,
        (from, from_offset): (u64, u64),
        (to, to_offset): (u64, u64),
        length: u64,
        kill: bool,
    ) -> Result<u32, Errno> {
        if own::is_own(from) || own::is_own(to) {
            return Err(Errno::EOPNOTSUPP); // the kernel copies by itself then
        }
        if kill {
            self.kill_privileges(to)?;
        }
        let length = length.min(MAX_COPY);
        let copied = self
            .store
            .copy_range(from, from_offset, to, to_offset, length)?;
        u32::try_from(copied).map_err(|_| Errno::EOVERFLOW)
    }
}
