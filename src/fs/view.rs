//! What the kernel is told: answers with the handles, lifetimes and modes that it needs.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fuser::{Errno, FileAttr, INodeNo, Notifier};

use super::attr::{Ttl, file_attr};
use super::handles::{Inodes, Table};
use super::listings::Listings;
use super::lookers::Lookers;
use super::own::{self, Own};
use super::views::{Views, is_shown};
use crate::store::{Attr, SetAttr, Space, Store, XattrMode};

/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;
/// What a program may do beyond its user; a write by somebody unprivileged takes it away.
const CAPABILITY: &str = "security.capability";
/// The label that a security module (`SELinux`) puts on a file.
const LABEL: &str = "security.selinux";

/// Attributes, and for how long the kernel may keep them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// The attributes.
    pub(super) attr: FileAttr,
    /// For how long.
    pub(super) ttl: Duration,
}

/// One mounted view of a store.
#[derive(Debug)]
pub(super) struct View {
    /// The store.
    pub(super) store: Arc<Store>,
    /// The virtual directory.
    pub(super) own: Own,
    /// The tree as fewer chunks or other contexts would show it.
    pub(super) views: Views,
    /// Lifetimes of what the kernel caches; set when the session begins.
    pub(super) ttl: Ttl,
    /// Nothing can be changed.
    pub(super) read_only: bool,
    /// The kernel accepts backing files; set when the session begins.
    pub(super) passthrough: bool,
    /// Open inodes.
    pub(super) inodes: Inodes,
    /// Listings that are being read.
    pub(super) listings: Listings,
    /// Open virtual files: their text when they were opened.
    pub(super) texts: Table<Vec<u8>>,
    /// Who wants attributes with names.
    pub(super) lookers: Lookers,
    notifier: Arc<OnceLock<Notifier>>,
}

impl View {
    /// A view of `store`; `notifier` is filled in when the session exists.
    pub(super) fn new(
        store: Arc<Store>,
        read_only: bool,
        notifier: Arc<OnceLock<Notifier>>,
    ) -> Self {
        Self {
            views: Views::new(Arc::clone(&store)),
            store,
            own: Own::default(),
            ttl: Ttl::new(read_only, false),
            read_only,
            passthrough: false,
            inodes: Inodes::default(),
            listings: Listings::default(),
            texts: Table::default(),
            lookers: Lookers::default(),
            notifier,
        }
    }

    /// The one gate of all requests: a panic becomes an I/O error and a line in the log, not a kernel that waits.
    pub(super) fn gate<T>(
        &self,
        request: &'static str,
        ino: INodeNo,
        answer: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let result = catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
            self.own.counters.panics.fetch_add(1, Ordering::Relaxed);
            log::error!("{request} of inode {:#x} panicked", ino.0);
            Err(Errno::EIO)
        });
        if let Err(e) = &result {
            log::trace!("{request} of inode {:#x}: errno {}", ino.0, e.code());
        }
        result
    }

    /// The store's attributes with their lifetime.
    pub(super) fn seen(&self, attr: &Attr) -> Seen {
        Seen {
            attr: file_attr(attr),
            ttl: self.ttl.of(attr),
        }
    }

    /// Attributes of a virtual inode.
    pub(super) fn own_seen(&self, ino: u64) -> Result<Seen, Errno> {
        Ok(Seen {
            attr: self.own.attr(ino, self.store.counters())?,
            ttl: Duration::ZERO,
        })
    }

    /// The kernel has given `count` references back.
    pub(super) fn forget(&self, ino: u64, count: u64) {
        if is_shown(ino) {
            self.views.forget(ino, count);
        } else if !own::is_own(ino) {
            self.inodes.forget(ino);
            self.store.forget(ino, count);
        }
    }

    /// Attributes of an inode.
    pub(super) fn attr(&self, ino: u64) -> Result<Seen, Errno> {
        if is_shown(ino) {
            return self.views.attr(ino);
        }
        if own::is_own(ino) {
            return self.own_seen(ino);
        }
        Ok(self.seen(&self.store.attr(ino)?))
    }

    /// Changes attributes.
    pub(super) fn set_attr(&self, ino: u64, set: SetAttr) -> Result<Seen, Errno> {
        own::refuse(ino)?;
        let attr = self.store.set_attr(ino, set)?;
        if set.mode.is_some_and(|mode| mode & SET_ID != 0) {
            self.note_privileged(ino);
        }
        Ok(self.seen(&attr))
    }

    /// From now on a write by an unprivileged user has something to clear. Where the kernel already passes writes of
    /// this inode through, they clear nothing until its last handle is closed: modes are never swapped while open.
    pub(super) fn note_privileged(&self, ino: u64) {
        if let Some(inode) = self.inodes.get(ino) {
            inode.privileged.store(true, Ordering::Relaxed);
        }
    }

    /// Clears set-id bits before a change of content by an unprivileged user.
    pub(super) fn kill_privileges(&self, ino: u64) -> Result<(), Errno> {
        let Some(inode) = self.inodes.get(ino) else {
            return Ok(());
        };
        if inode.privileged.swap(false, Ordering::Relaxed) {
            self.store.clear_privileges(ino)?;
            self.expire_attr(ino);
        }
        Ok(())
    }

    /// Makes the kernel ask again for the attributes of an inode that is open now. From a request handler only this
    /// form is safe: without a range the kernel takes no lock that the request itself may hold, and the inode,
    /// being open, is not on its way out.
    pub(super) fn expire_attr(&self, ino: u64) {
        if let Some(notifier) = self.notifier.get()
            && let Err(e) = notifier.inval_inode(INodeNo(ino), -1, 0)
        {
            log::debug!("attributes of inode {ino:#x} stay cached: {e}");
        }
    }

    /// Makes the kernel drop the listing of a directory of a view or of views, which it would keep now that all of it was read. Safe
    /// from the handler of the last request for it: while the kernel waits for that it holds none of the pages.
    pub(super) fn expire_listing(&self, ino: u64) {
        if let Some(notifier) = self.notifier.get()
            && let Err(e) = notifier.inval_inode(INodeNo(ino), 0, 0)
        {
            log::debug!("the listing of inode {ino:#x} stays cached: {e}");
        }
    }

    /// An extended attribute.
    pub(super) fn xattr(&self, ino: u64, name: &OsStr) -> Result<Vec<u8>, Errno> {
        if own::is_own(ino) && !is_shown(ino) {
            return Err(Errno::NO_XATTR);
        }
        // The kernel asks at the first write through every handle, and the open has just told.
        if name == CAPABILITY
            && let Some(inode) = self.inodes.get(ino)
            && !inode.privileged.load(Ordering::Relaxed)
        {
            return Err(Errno::NO_XATTR);
        }
        let answer = if is_shown(ino) {
            self.views.xattr(ino, name)
        } else {
            self.store.xattr(ino, name).map_err(Errno::from)
        };
        match answer {
            // With a security module the kernel knows the label and asks nobody. Without, `ls -l` asks for each file,
            // unless it learns once that there are no labels here. A label that was stored is still given.
            Err(Errno::NO_XATTR) if name == LABEL => Err(Errno::EOPNOTSUPP),
            answer => answer,
        }
    }

    /// Names of the extended attributes, each ended by a zero byte.
    pub(super) fn xattrs(&self, ino: u64) -> Result<Vec<u8>, Errno> {
        let names = if is_shown(ino) {
            self.views.xattrs(ino)?
        } else if own::is_own(ino) {
            Vec::new()
        } else {
            self.store.xattrs(ino)?
        };
        let mut bytes = Vec::new();
        for name in names {
            bytes.extend_from_slice(name.as_encoded_bytes());
            bytes.push(0);
        }
        Ok(bytes)
    }

    /// Sets an extended attribute, with the flags of setxattr(2).
    pub(super) fn set_xattr(
        &self,
        ino: u64,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<(), Errno> {
        own::refuse(ino)?;
        let mode = match flags {
            0 => XattrMode::Any,
            libc::XATTR_CREATE => XattrMode::Create,
            libc::XATTR_REPLACE => XattrMode::Replace,
            _ => return Err(Errno::EINVAL),
        };
        self.store.set_xattr(ino, name, value, mode)?;
        if name == CAPABILITY {
            self.note_privileged(ino);
        }
        Ok(())
    }

    /// Removes an extended attribute.
    pub(super) fn remove_xattr(&self, ino: u64, name: &OsStr) -> Result<(), Errno> {
        own::refuse(ino)?;
        Ok(self.store.remove_xattr(ino, name)?)
    }

    /// Sizes of the filesystem below.
    pub(super) fn space(&self) -> Result<Space, Errno> {
        Ok(self.store.space()?)
    }
}
