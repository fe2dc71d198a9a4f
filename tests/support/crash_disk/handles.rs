//! Open files and directories of the simulated medium.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use holofs::store::disk::{
    Access, Dir, File, Kind, Lease, Listed, Meta, Rename, Seek, SetTimes, Space, XattrMode,
};
use parking_lot::MappedMutexGuard;
use rustix::io::Errno;

use super::data::{Data, PAGE};
use super::medium::{Body, Medium, NAME_MAX, empty_dir};
use super::{CrashDisk, Op};

/// Pages of a medium without limit, as `space` tells it: 1 TiB.
const ENDLESS: u64 = 1 << 28;
/// The longest value of an extended attribute.
const XATTR_MAX: usize = 64 * 1024;

fn check_name(name: &OsStr) -> io::Result<()> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|byte| b"/\0".contains(byte)) {
        return Err(Errno::INVAL.into());
    }
    if bytes.len() > NAME_MAX {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(())
}

fn check_attribute_name(name: &OsStr) -> io::Result<()> {
    if name == "." {
        Ok(())
    } else {
        check_name(name)
    }
}

/// Changes of attributes, the same for open files and for names.
impl Medium {
    fn set_times(&mut self, ino: u64, times: SetTimes) -> io::Result<()> {
        let given = [times.atime, times.mtime];
        if given
            .iter()
            .flatten()
            .any(|time| time.nanos >= 1_000_000_000)
        {
            return Err(Errno::INVAL.into());
        }
        let attrs = self.attrs_mut(ino);
        attrs.atime = times.atime.unwrap_or(attrs.atime);
        attrs.mtime = times.mtime.unwrap_or(attrs.mtime);
        Ok(())
    }

    fn set_mode(&mut self, ino: u64, mode: u32) -> io::Result<()> {
        if self.kind(ino) == Kind::Symlink {
            return Err(Errno::OPNOTSUPP.into());
        }
        self.attrs_mut(ino).mode = mode & 0o7777;
        Ok(())
    }

    fn set_owner(&mut self, ino: u64, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        if [uid, gid].contains(&Some(u32::MAX)) {
            return Err(Errno::INVAL.into());
        }
        let attrs = self.attrs_mut(ino);
        attrs.uid = uid.unwrap_or(attrs.uid);
        attrs.gid = gid.unwrap_or(attrs.gid);
        Ok(())
    }

    /// As the kernel: `user.` attributes belong to files and directories.
    fn check_user_xattr(&self, ino: u64, attr: &OsStr) -> io::Result<()> {
        let suits = matches!(self.kind(ino), Kind::File | Kind::Dir);
        if !suits && attr.as_bytes().starts_with(b"user.") {
            return Err(Errno::PERM.into());
        }
        Ok(())
    }

    fn xattr(&self, ino: u64, attr: &OsStr) -> io::Result<Vec<u8>> {
        let value = self.attrs(ino).xattrs.get(attr);
        Ok(value.cloned().ok_or(Errno::NODATA)?)
    }

    fn xattrs(&self, ino: u64) -> Vec<OsString> {
        self.attrs(ino).xattrs.keys().cloned().collect()
    }

    fn set_xattr(
        &mut self,
        ino: u64,
        attr: &OsStr,
        value: &[u8],
        mode: XattrMode,
    ) -> io::Result<()> {
        self.check_user_xattr(ino, attr)?;
        if value.len() > XATTR_MAX {
            return Err(Errno::TOOBIG.into());
        }
        match (mode, self.attrs(ino).xattrs.contains_key(attr)) {
            (XattrMode::Create, true) => return Err(Errno::EXIST.into()),
            (XattrMode::Replace, false) => return Err(Errno::NODATA.into()),
            _ => {}
        }
        let xattrs = &mut self.attrs_mut(ino).xattrs;
        xattrs.insert(attr.to_owned(), value.to_vec());
        Ok(())
    }

    fn remove_xattr(&mut self, ino: u64, attr: &OsStr) -> io::Result<()> {
        self.check_user_xattr(ino, attr)?;
        self.xattr(ino, attr)?;
        self.attrs_mut(ino).xattrs.remove(attr);
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct CrashDir {
    disk: Arc<CrashDisk>,
    ino: u64,
}

impl CrashDir {
    pub(crate) fn new(disk: Arc<CrashDisk>, ino: u64) -> Self {
        Self { disk, ino }
    }

    fn begin(&self, op: Op, name: &OsStr) -> io::Result<MappedMutexGuard<'_, Medium>> {
        check_name(name)?;
        self.disk.begin(op, name)
    }

    /// Begins an operation on the attributes of a name; returns its inode too.
    fn begin_on(&self, op: Op, name: &OsStr) -> io::Result<(MappedMutexGuard<'_, Medium>, u64)> {
        check_attribute_name(name)?;
        let medium = self.disk.begin(op, name)?;
        let ino = medium.find(self.ino, name)?;
        Ok((medium, ino))
    }

    /// The other directory's inode, if it is on this medium.
    fn target(&self, to: &dyn Dir) -> io::Result<u64> {
        let to: &Self = to.as_any().downcast_ref().ok_or(Errno::XDEV)?;
        if !Arc::ptr_eq(&self.disk, &to.disk) {
            return Err(Errno::XDEV.into());
        }
        Ok(to.ino)
    }
}

impl Dir for CrashDir {
    fn dir(&self, name: &OsStr) -> io::Result<Arc<dyn Dir>> {
        let medium = self.begin(Op::Look, name)?;
        let ino = medium.find(self.ino, name)?;
        if medium.kind(ino) != Kind::Dir {
            return Err(Errno::NOTDIR.into());
        }
        Ok(Arc::new(Self::new(Arc::clone(&self.disk), ino)))
    }

    fn open(&self, name: &OsStr, access: Access) -> io::Result<Arc<dyn File>> {
        let mut medium = self.begin(Op::Open, name)?;
        let ino = medium.find(self.ino, name)?;
        match medium.kind(ino) {
            Kind::File => Ok(CrashFile::open(&self.disk, &mut medium, ino, access)?),
            Kind::Dir => Err(Errno::ISDIR.into()),
            Kind::Symlink => Err(Errno::LOOP.into()),
            _ => Err(Errno::NXIO.into()),
        }
    }

    fn create(&self, name: &OsStr, mode: u32, umask: u32) -> io::Result<Arc<dyn File>> {
        let mut medium = self.begin(Op::Create, name)?;
        let body = Body::File(Data::default());
        let ino = medium.make(self.ino, name, body, mode & 0o7777 & !umask)?;
        Ok(CrashFile::open(
            &self.disk,
            &mut medium,
            ino,
            Access::Write,
        )?)
    }

    fn meta(&self, name: &OsStr) -> io::Result<Meta> {
        let (medium, ino) = self.begin_on(Op::Look, name)?;
        Ok(medium.meta(ino))
    }

    fn self_meta(&self) -> io::Result<Meta> {
        self.meta(OsStr::new("."))
    }

    fn list(&self) -> io::Result<Vec<Listed>> {
        let (medium, ino) = self.begin_on(Op::Look, OsStr::new("."))?;
        let listed = |(name, &ino): (&OsString, &u64)| Listed {
            name: name.clone(),
            kind: medium.kind(ino),
        };
        Ok(medium.names(ino).iter().map(listed).collect())
    }

    fn make_dir(&self, name: &OsStr, mode: u32, umask: u32) -> io::Result<()> {
        let mut medium = self.begin(Op::MakeDir, name)?;
        medium.make(self.ino, name, empty_dir(), mode & 0o1777 & !umask)?;
        Ok(())
    }

    fn make_node(
        &self,
        name: &OsStr,
        kind: Kind,
        mode: u32,
        umask: u32,
        rdev: u64,
    ) -> io::Result<()> {
        let mut medium = self.begin(Op::MakeNode, name)?;
        let body = match kind {
            Kind::File => Body::File(Data::default()),
            Kind::Dir | Kind::Symlink => return Err(Errno::INVAL.into()),
            Kind::Fifo | Kind::Socket => Body::Node(kind, 0),
            Kind::Char | Kind::Block => Body::Node(kind, rdev),
        };
        medium.make(self.ino, name, body, mode & 0o7777 & !umask)?;
        Ok(())
    }

    fn make_symlink(&self, name: &OsStr, target: &OsStr) -> io::Result<()> {
        let mut medium = self.begin(Op::MakeNode, name)?;
        medium.make(self.ino, name, Body::Symlink(target.to_owned()), 0o777)?;
        Ok(())
    }

    fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        let medium = self.begin(Op::Look, name)?;
        let ino = medium.find(self.ino, name)?;
        match &medium.inode(ino).body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn link(&self, name: &OsStr, to: &dyn Dir, to_name: &OsStr) -> io::Result<()> {
        check_name(to_name)?;
        let to = self.target(to)?;
        let mut medium = self.begin(Op::Link, name)?;
        medium.link(self.ino, name, to, to_name)
    }

    fn unlink(&self, name: &OsStr) -> io::Result<()> {
        let mut medium = self.begin(Op::Unlink, name)?;
        medium.remove(self.ino, name, false)
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        let mut medium = self.begin(Op::RemoveDir, name)?;
        medium.remove(self.ino, name, true)
    }

    fn rename(&self, name: &OsStr, to: &dyn Dir, to_name: &OsStr, how: Rename) -> io::Result<()> {
        check_name(to_name)?;
        let to = self.target(to)?;
        let mut medium = self.begin(Op::Rename, name)?;
        medium.rename(self.ino, name, to, to_name, how)
    }

    fn set_mode(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        let (mut medium, ino) = self.begin_on(Op::Attributes, name)?;
        medium.set_mode(ino, mode)
    }

    fn set_owner(&self, name: &OsStr, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (mut medium, ino) = self.begin_on(Op::Attributes, name)?;
        medium.set_owner(ino, uid, gid)
    }

    fn set_times(&self, name: &OsStr, times: SetTimes) -> io::Result<()> {
        let (mut medium, ino) = self.begin_on(Op::Attributes, name)?;
        medium.set_times(ino, times)
    }

    fn xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<Vec<u8>> {
        let (medium, ino) = self.begin_on(Op::Look, name)?;
        medium.xattr(ino, attr)
    }

    fn xattrs(&self, name: &OsStr) -> io::Result<Vec<OsString>> {
        let (medium, ino) = self.begin_on(Op::Look, name)?;
        Ok(medium.xattrs(ino))
    }

    fn set_xattr(
        &self,
        name: &OsStr,
        attr: &OsStr,
        value: &[u8],
        mode: XattrMode,
    ) -> io::Result<()> {
        let (mut medium, ino) = self.begin_on(Op::Attributes, name)?;
        medium.set_xattr(ino, attr, value, mode)
    }

    fn remove_xattr(&self, name: &OsStr, attr: &OsStr) -> io::Result<()> {
        let (mut medium, ino) = self.begin_on(Op::Attributes, name)?;
        medium.remove_xattr(ino, attr)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut medium, ino) = self.begin_on(Op::SyncDir, OsStr::new("."))?;
        medium.sync_dir(ino);
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let (mut medium, _) = self.begin_on(Op::SyncDir, OsStr::new("."))?;
        medium.sync_all();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let (medium, _) = self.begin_on(Op::Look, OsStr::new("."))?;
        let blocks = medium.limit.unwrap_or(ENDLESS);
        let free = blocks.saturating_sub(medium.used());
        Ok(Space {
            bsize: PAGE as u32,
            frsize: PAGE as u32,
            blocks,
            bfree: free,
            bavail: free,
            files: ENDLESS,
            ffree: ENDLESS,
            namelen: NAME_MAX as u32,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[derive(Debug)]
struct CrashFile {
    disk: Arc<CrashDisk>,
    ino: u64,
    access: Access,
}

#[derive(Debug)]
struct CrashLease {
    disk: Arc<CrashDisk>,
    ino: u64,
}

impl Lease for CrashLease {}

impl Drop for CrashLease {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        state.medium.inode_mut(self.ino).leases -= 1;
    }
}

impl Drop for CrashFile {
    fn drop(&mut self) {
        if self.access == Access::Write {
            let mut state = self.disk.state.lock();
            state.medium.inode_mut(self.ino).writers -= 1;
        }
    }
}

impl CrashFile {
    fn open(
        disk: &Arc<CrashDisk>,
        medium: &mut Medium,
        ino: u64,
        access: Access,
    ) -> io::Result<Arc<Self>> {
        if access == Access::Write {
            let inode = medium.inode_mut(ino);
            if inode.leases > 0 {
                return Err(Errno::WOULDBLOCK.into());
            }
            inode.writers += 1;
        }
        let disk = Arc::clone(disk);
        Ok(Arc::new(Self { disk, ino, access }))
    }

    fn begin(&self, op: Op) -> io::Result<MappedMutexGuard<'_, Medium>> {
        let name = OsString::from(format!("#{}", self.ino));
        self.disk.begin(op, &name)
    }

    /// Begins a change of the content; `refusal`: what a file that is open for reading answers.
    fn begin_change(&self, op: Op, refusal: Errno) -> io::Result<MappedMutexGuard<'_, Medium>> {
        if self.access == Access::Read {
            return Err(refusal.into());
        }
        self.begin(op)
    }
}

impl File for CrashFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let medium = self.begin(Op::Read)?;
        Ok(medium.data(self.ino).read(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut medium = self.begin_change(Op::Write, Errno::BADF)?;
        let room = medium.room();
        medium.data_mut(self.ino).write(buf, offset, room)
    }

    fn append(&self, buf: &[u8]) -> io::Result<u64> {
        let mut medium = self.begin_change(Op::Write, Errno::BADF)?;
        let room = medium.room();
        let data = medium.data_mut(self.ino);
        let end = data.size();
        data.write(buf, end, room)?;
        Ok(end)
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        let mut medium = self.begin_change(Op::SetLen, Errno::INVAL)?;
        medium.data_mut(self.ino).set_len(size);
        Ok(())
    }

    fn sync(&self, data_only: bool) -> io::Result<()> {
        let mut medium = self.begin(Op::Sync)?;
        medium.sync_file(self.ino, data_only);
        Ok(())
    }

    fn meta(&self) -> io::Result<Meta> {
        Ok(self.begin(Op::Look)?.meta(self.ino))
    }

    fn allocate(&self, mode: u32, offset: u64, length: u64) -> io::Result<()> {
        let mut medium = self.begin_change(Op::Write, Errno::BADF)?;
        let end = offset.checked_add(length).ok_or(Errno::FBIG)?;
        let room = medium.room();
        medium.data_mut(self.ino).allocate(mode, offset..end, room)
    }

    fn seek(&self, offset: u64, whence: Seek) -> io::Result<u64> {
        let medium = self.begin(Op::Look)?;
        medium.data(self.ino).seek(offset, whence)
    }

    fn copy_range(
        &self,
        offset: u64,
        to: &dyn File,
        to_offset: u64,
        length: u64,
    ) -> io::Result<u64> {
        let to: &Self = to.as_any().downcast_ref().ok_or(Errno::XDEV)?;
        if !Arc::ptr_eq(&self.disk, &to.disk) {
            return Err(Errno::XDEV.into());
        }
        let mut medium = to.begin_change(Op::Write, Errno::BADF)?;
        let left = medium.data(self.ino).size().saturating_sub(offset);
        let mut bytes = vec![0; usize::try_from(length.min(left)).unwrap()];
        let read = medium.data(self.ino).read(&mut bytes, offset);
        let room = medium.room();
        medium.data_mut(to.ino).write(&bytes, to_offset, room)?;
        Ok(read as u64)
    }

    fn set_times(&self, times: SetTimes) -> io::Result<()> {
        self.begin(Op::Attributes)?.set_times(self.ino, times)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.begin(Op::Attributes)?.set_mode(self.ino, mode)
    }

    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        self.begin(Op::Attributes)?.set_owner(self.ino, uid, gid)
    }

    fn xattr(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        self.begin(Op::Look)?.xattr(self.ino, name)
    }

    fn xattrs(&self) -> io::Result<Vec<OsString>> {
        Ok(self.begin(Op::Look)?.xattrs(self.ino))
    }

    fn set_xattr(&self, name: &OsStr, value: &[u8], mode: XattrMode) -> io::Result<()> {
        self.begin(Op::Attributes)?
            .set_xattr(self.ino, name, value, mode)
    }

    fn remove_xattr(&self, name: &OsStr) -> io::Result<()> {
        self.begin(Op::Attributes)?.remove_xattr(self.ino, name)
    }

    fn lease(&self) -> io::Result<Box<dyn Lease>> {
        let mut medium = self.begin(Op::Lease)?;
        let inode = medium.inode_mut(self.ino);
        if inode.writers > 0 {
            return Err(Errno::WOULDBLOCK.into());
        }
        inode.leases += 1;
        Ok(Box::new(CrashLease {
            disk: Arc::clone(&self.disk),
            ino: self.ino,
        }))
    }

    fn reopen(&self, access: Access) -> io::Result<Arc<dyn File>> {
        let mut medium = self.begin(Op::Open)?;
        Ok(Self::open(&self.disk, &mut medium, self.ino, access)?)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
