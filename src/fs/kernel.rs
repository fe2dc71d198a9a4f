//! The kernel's requests, translated: arguments in, answers and error numbers out, nothing else.
//!
//! Every answer is sent last, after everything that the request borrowed has been let go.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, FileType, Filesystem, FopenFlags, INodeNo,
    KernelConfig, LockOwner, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::attr::{bare_attr, file_type, requested_time};
use super::files::{OpenFlags, OpenReply};
use super::handles::Mode;
use super::own;
use super::reply::{GENERATION, caller, reply_attr, reply_empty, reply_xattr};
use super::view::{Seen, View};
use crate::store::disk::Kind;
use crate::store::{SetAttr, SetTimes};

thread_local! {
    /// Read buffer of a session thread; grows to the largest request and stays.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What fuser calls.
#[derive(Debug)]
pub(super) struct Kernel {
    view: View,
}

impl Kernel {
    pub(super) fn new(view: View) -> Self {
        Self { view }
    }
}

impl Filesystem for Kernel {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        self.view.negotiate(config)
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.view.gate("lookup", parent, || {
            self.view.lookup(parent.0, name, req.pid())
        }) {
            // Inode number 0 says "not there", and lets the kernel remember it.
            Err(Errno::ENOENT) if !own::is_own_name(parent.0, name) => {
                let absent = bare_attr(0, FileType::RegularFile);
                reply.entry(&self.view.ttl.entry, &absent, GENERATION);
            }
            answer => self.view.reply_entry(reply, answer),
        }
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        let forget = || {
            self.view.forget(ino.0, nlookup);
            Ok(())
        };
        self.view.gate("forget", ino, forget).ok();
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply_attr(
            reply,
            self.view.gate("getattr", ino, || self.view.attr(ino.0)),
        );
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = SetAttr {
            mode: mode.map(|mode| mode & 0o7777),
            uid,
            gid,
            size,
            times: SetTimes {
                atime: atime.map(requested_time),
                mtime: mtime.map(requested_time),
            },
            // The kernel's own flag does not come through fuser 0.18: any user but root stands for CAP_FSETID.
            kill_privileges: size.is_some() && req.uid() != 0,
        };
        reply_attr(
            reply,
            self.view
                .gate("setattr", ino, || self.view.set_attr(ino.0, set)),
        );
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        match self
            .view
            .gate("readlink", ino, || self.view.read_link(ino.0))
        {
            Ok(target) => reply.data(target.as_encoded_bytes()),
            Err(e) => reply.error(e),
        }
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let answer = self.view.gate("mknod", parent, || {
            let caller = caller(req, umask);
            self.view.make_node(parent.0, name, mode, rdev, caller)
        });
        self.view.reply_entry(reply, answer);
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let answer = self.view.gate("mkdir", parent, || {
            let caller = caller(req, umask);
            self.view.make_dir(parent.0, name, mode, caller)
        });
        self.view.reply_entry(reply, answer);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        link_name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let answer = self.view.gate("symlink", parent, || {
            let (target, caller) = (target.as_os_str(), caller(req, 0));
            self.view.make_symlink(parent.0, link_name, target, caller)
        });
        self.view.reply_entry(reply, answer);
    }

    fn link(
        &self,
        _req: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let answer = self
            .view
            .gate("link", ino, || self.view.link(ino.0, newparent.0, newname));
        self.view.reply_entry(reply, answer);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self
            .view
            .gate("unlink", parent, || self.view.unlink(parent.0, name));
        reply_empty(reply, answer);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self
            .view
            .gate("rmdir", parent, || self.view.remove_dir(parent.0, name));
        reply_empty(reply, answer);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let answer = self.view.gate("rename", parent, || {
            self.view
                .rename((parent.0, name), (newparent.0, newname), flags)
        });
        reply_empty(reply, answer);
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: fuser::OpenFlags, reply: ReplyOpen) {
        let answer = self.view.gate("open", ino, || {
            let flags = OpenFlags::new(flags.0, req.uid());
            self.view.open(ino.0, flags, |fd| reply.open_backing(fd))
        });
        match answer {
            Ok(OpenReply {
                handle,
                flags,
                inode,
            }) => match inode.as_ref().map(|inode| &inode.mode) {
                Some(Mode::Passthrough(backing)) => {
                    reply.opened_passthrough(FileHandle(handle), flags, backing);
                }
                _ => reply.opened(FileHandle(handle), flags),
            },
            Err(e) => reply.error(e),
        }
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let answer = self.view.gate("create", parent, || {
            let (flags, caller) = (OpenFlags::new(flags, req.uid()), caller(req, umask));
            let back = |fd: std::os::fd::BorrowedFd<'_>| reply.open_backing(fd);
            self.view
                .create((parent.0, name), mode, flags, caller, back)
        });
        match answer {
            Ok((Seen { attr, ttl }, open)) => {
                let handle = FileHandle(open.handle);
                match open.inode.as_ref().map(|inode| &inode.mode) {
                    Some(Mode::Passthrough(backing)) => reply
                        .created_passthrough(&ttl, &attr, GENERATION, handle, open.flags, backing),
                    _ => reply.created(&ttl, &attr, GENERATION, handle, open.flags),
                }
            }
            Err(e) => reply.error(e),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: fuser::OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        BUFFER.with_borrow_mut(|buffer| {
            let answer = self.view.gate("read", ino, || {
                let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
                if buffer.len() < size {
                    buffer.resize(size, 0);
                }
                let buffer = buffer.get_mut(..size).unwrap_or_default();
                let length = self.view.read(ino.0, fh.0, offset, buffer)?;
                Ok(buffer.get(..length).unwrap_or_default())
            });
            match answer {
                Ok(data) => reply.data(data),
                Err(e) => reply.error(e),
            }
        });
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: fuser::OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let answer = self.view.gate("write", ino, || {
            let append = flags.0 & libc::O_APPEND != 0
                && !write_flags.contains(WriteFlags::FUSE_WRITE_CACHE); // pages have their place
            let kill = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
            self.view.write(ino.0, offset, data, append, kill)?;
            u32::try_from(data.len()).map_err(|_| Errno::EINVAL)
        });
        match answer {
            Ok(length) => reply.written(length),
            Err(e) => reply.error(e),
        }
    }

    /// Writes reach the file as they come, so that a close has nothing to add: the kernel stops asking.
    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: fuser::OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let release = || {
            self.view.release(ino.0, fh.0);
            Ok(())
        };
        reply_empty(reply, self.view.gate("release", ino, release));
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        let answer = self
            .view
            .gate("fsync", ino, || self.view.sync(ino.0, datasync));
        reply_empty(reply, answer);
    }

    /// Without an answer the kernel stops opening and closing directories, and keeps what it read of them.
    fn opendir(&self, _req: &Request, _ino: INodeNo, _flags: fuser::OpenFlags, reply: ReplyOpen) {
        if self.view.opens_dirs() {
            reply.opened(FileHandle(0), FopenFlags::empty());
        } else {
            reply.error(Errno::ENOSYS);
        }
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let answer = self.view.gate("readdir", ino, || {
            let listing = self.view.names(ino.0, offset, req.pid())?;
            for (position, item) in listing.after(offset) {
                let ino = INodeNo(self.view.ino_of(ino.0, item));
                if reply.add(ino, *position, file_type(item.kind), &item.name) {
                    break;
                }
            }
            Ok(())
        });
        match answer {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(e),
        }
    }

    fn readdirplus(
        &self,
        req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let answer = self.view.gate("readdirplus", ino, || {
            let (listing, all) = self.view.entries(ino.0, offset, req.pid())?;
            let items = listing.after(offset);
            let mut empty = true;
            for (position, item) in items.iter().take_while(|(_, i)| all || i.kind == Kind::Dir) {
                let Some(Seen { attr, ttl }) = self.view.listed(ino.0, item) else {
                    continue;
                };
                // A name without an inode would be skipped by those who read it: the kernel asks for it again, without
                // attributes. Only as the first of an answer it must be in it, or the listing would end here.
                if attr.ino.0 == 0 && !empty {
                    break;
                }
                empty = false;
                if reply.add(attr.ino, *position, &item.name, &ttl, &attr, GENERATION) {
                    self.view.forget_listed(item, &attr);
                    break;
                }
            }
            Ok(())
        });
        match answer {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(e),
        }
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: fuser::OpenFlags,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let answer = self
            .view
            .gate("fsyncdir", ino, || self.view.sync_dir(ino.0));
        reply_empty(reply, answer);
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        match self.view.gate("statfs", ino, || self.view.space()) {
            Ok(s) => reply.statfs(
                s.blocks, s.bfree, s.bavail, s.files, s.ffree, s.bsize, s.namelen, s.frsize,
            ),
            Err(e) => reply.error(e),
        }
    }

    fn setxattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let answer = self.view.gate("setxattr", ino, || {
            self.view.set_xattr(ino.0, name, value, flags)
        });
        reply_empty(reply, answer);
    }

    fn getxattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let answer = self
            .view
            .gate("getxattr", ino, || self.view.xattr(ino.0, name));
        reply_xattr(reply, size, answer);
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        reply_xattr(
            reply,
            size,
            self.view.gate("listxattr", ino, || self.view.xattrs(ino.0)),
        );
    }

    fn removexattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let answer = self
            .view
            .gate("removexattr", ino, || self.view.remove_xattr(ino.0, name));
        reply_empty(reply, answer);
    }

    fn fallocate(
        &self,
        req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let answer = self.view.gate("fallocate", ino, || {
            self.view
                .allocate(ino.0, mode, offset, length, req.uid() != 0)
        });
        reply_empty(reply, answer);
    }

    fn lseek(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        match self
            .view
            .gate("lseek", ino, || self.view.seek(ino.0, offset, whence))
        {
            Ok(offset) => reply.offset(offset),
            Err(e) => reply.error(e),
        }
    }

    fn copy_file_range(
        &self,
        req: &Request,
        ino_in: INodeNo,
        _fh_in: FileHandle,
        offset_in: u64,
        ino_out: INodeNo,
        _fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let (from, to) = ((ino_in.0, offset_in), (ino_out.0, offset_out));
        let answer = self.view.gate("copy_file_range", ino_out, || {
            self.view.copy(from, to, len, req.uid() != 0)
        });
        match answer {
            Ok(copied) => reply.written(copied),
            Err(e) => reply.error(e),
        }
    }
}
