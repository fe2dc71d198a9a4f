//! Attaching to a mount point and letting go: mount(2) by root, fusermount3 for others.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use fuser::{Config, MountOption, Notifier, Session, SessionACL, SessionUnmounter};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::Error;
use super::kernel::Kernel;
use super::options::{Atime, MountOptions};

/// Where the kernel hands out connections.
const DEVICE: &str = "/dev/fuse";
/// Filesystem type in mountinfo; mount(8) finds `/sbin/mount.fuse.holofs` by it.
const TYPE: &str = "fuse.holofs";
/// Magic number of FUSE in statfs(2).
const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;
/// More dead mounts on top of each other than this are left alone.
const MAX_DEAD_MOUNTS: usize = 16;
/// Fewest session threads: a request may wait for another one (the daemon must never use its own mount, but
/// programs do), and slow reads should not hold up the rest.
const MIN_THREADS: usize = 4;
/// Most session threads; each can hold a request of 1 MiB.
const MAX_THREADS: usize = 16;

/// How to let go of a mount.
#[derive(Debug)]
enum Way {
    /// umount2(2).
    Direct,
    /// By fusermount3, through fuser.
    Helper(Box<Mutex<SessionUnmounter>>),
}

/// Ends a mount, from any thread.
#[derive(Debug, Clone)]
pub struct Unmounter {
    mountpoint: Arc<Path>,
    way: Arc<Way>,
    ended: Arc<AtomicBool>,
}

impl Unmounter {
    /// Unmounts; a mount in use disappears from the tree now and ends when its last user has gone. Does nothing
    /// when the mount has ended, so that another mount at the same place is safe.
    ///
    /// # Errors
    /// Those of umount2(2) or fusermount3.
    pub fn unmount(&self) -> io::Result<()> {
        if self.ended.load(Ordering::Acquire) {
            return Ok(());
        }
        match &*self.way {
            Way::Direct => {
                let plain = UnmountFlags::NOFOLLOW;
                match rustix::mount::unmount(&*self.mountpoint, plain) {
                    Err(rustix::io::Errno::BUSY) => {
                        log::info!("{} is in use: detaching", self.mountpoint.display());
                        rustix::mount::unmount(&*self.mountpoint, plain | UnmountFlags::DETACH)?;
                    }
                    other => other?,
                }
                Ok(())
            }
            Way::Helper(session) => session.lock().unmount(),
        }
    }

    /// The mount has ended: nothing of ours is at the mount point any more.
    pub(super) fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// Mounts, and answers the kernel's first request. Returns once the mount is there; requests wait until the session
/// runs.
pub(super) fn attach(
    kernel: Kernel,
    source: &Path,
    mountpoint: &Path,
    options: &MountOptions,
    notifier: &OnceLock<Notifier>,
) -> Result<(Session<Kernel>, Unmounter), Error> {
    let mountpoint = check(source, mountpoint, options)?;
    let failed = |e: io::Error| Error::Mount {
        path: mountpoint.clone(),
        source: e,
    };
    let mut config = Config::default();
    config.n_threads = Some(
        std::thread::available_parallelism()
            .map_or(MIN_THREADS, usize::from)
            .clamp(MIN_THREADS, MAX_THREADS),
    );
    config.clone_fd = true;
    let (session, way) = if rustix::process::geteuid().is_root() {
        config.acl = SessionACL::All;
        let device = open_device()?;
        mount_device(&device, source, &mountpoint, options).map_err(failed)?;
        let session = Session::from_fd(kernel, device, config.acl, config).map_err(|e| {
            rustix::mount::unmount(&mountpoint, UnmountFlags::DETACH).ok();
            failed(e)
        })?;
        (session, Way::Direct)
    } else {
        config.acl = if options.allow_other {
            SessionACL::All
        } else {
            SessionACL::Owner
        };
        config.mount_options = helper_options(source, options);
        let mut session = Session::new(kernel, &mountpoint, &config).map_err(failed)?;
        let unmounter = session.unmount_callable();
        (session, Way::Helper(Box::new(Mutex::new(unmounter))))
    };
    notifier.set(session.notifier()).ok(); // the first and only session of this kernel
    let unmounter = Unmounter {
        mountpoint: mountpoint.into(),
        way: Arc::new(way),
        ended: Arc::default(),
    };
    Ok((session, unmounter))
}

/// The mount point's real path, if one can mount there. Dead mounts on it are taken away first.
fn check(source: &Path, mountpoint: &Path, options: &MountOptions) -> Result<PathBuf, Error> {
    let refuse = |what: &str| Error::MountPoint {
        path: mountpoint.to_owned(),
        what: what.to_owned(),
    };
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(mountpoint, flags, Mode::empty())
    };
    let mut dir = open();
    for _ in 0..MAX_DEAD_MOUNTS {
        if !matches!(dir, Err(rustix::io::Errno::NOTCONN)) {
            break;
        }
        log::warn!("{}: removing a dead mount", mountpoint.display());
        detach_dead(mountpoint).map_err(|e| refuse(&format!("a dead mount is there: {e}")))?;
        dir = open();
    }
    let dir = dir.map_err(|e| match e {
        rustix::io::Errno::NOENT => refuse("no such directory"),
        rustix::io::Errno::NOTDIR => refuse("not a directory"),
        e => refuse(&io::Error::from(e).to_string()),
    })?;
    let path = mountpoint
        .canonicalize()
        .map_err(|e| refuse(&e.to_string()))?;
    if path.starts_with(source) {
        return Err(refuse("lies inside the store"));
    }
    let read = |e: rustix::io::Errno| refuse(&io::Error::from(e).to_string());
    let magic = rustix::fs::fstatfs(&dir).map_err(read)?.f_type;
    let meta = rustix::fs::statx(&dir, "", AtFlags::EMPTY_PATH, StatxFlags::MODE).map_err(read)?;
    let is_mount = meta.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    if is_mount && u64::try_from(magic).is_ok_and(|magic| magic == FUSE_SUPER_MAGIC) {
        return Err(refuse("a filesystem is mounted there already"));
    }
    if !options.nonempty {
        for entry in rustix::fs::Dir::read_from(&dir).map_err(read)? {
            let entry = entry.map_err(read)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Err(refuse(
                    "not empty\nhint: -o nonempty mounts over what is there",
                ));
            }
        }
    }
    Ok(path)
}

/// Takes a mount away whose daemon has ended.
fn detach_dead(mountpoint: &Path) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        rustix::mount::unmount(mountpoint, UnmountFlags::DETACH)?;
        return Ok(());
    }
    let output = Command::new("fusermount3")
        .args(["-u", "-z", "-q", "--"])
        .arg(mountpoint)
        .output()?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(text.trim().to_owned()))
    }
}

fn open_device() -> Result<OwnedFd, Error> {
    rustix::fs::open(DEVICE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|e| {
        Error::Device {
            path: DEVICE,
            source: e.into(),
        }
    })
}

/// mount(2) of an open connection, of our own type: fuser would show a root's mount as `fuse`.
fn mount_device(
    device: &OwnedFd,
    source: &Path,
    mountpoint: &Path,
    options: &MountOptions,
) -> io::Result<()> {
    let data = CString::new(format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
        device.as_raw_fd()
    ))?;
    rustix::mount::mount(source, mountpoint, TYPE, flags(options), data.as_c_str())?;
    Ok(())
}

fn flags(options: &MountOptions) -> MountFlags {
    let mut flags = MountFlags::empty();
    for (flag, on) in [
        (MountFlags::RDONLY, options.read_only),
        (MountFlags::NOSUID, !options.suid),
        (MountFlags::NODEV, !options.dev),
        (MountFlags::NOEXEC, options.noexec),
        (MountFlags::NOATIME, options.atime == Atime::Never),
        (MountFlags::STRICTATIME, options.atime == Atime::Strict),
        (MountFlags::NODIRATIME, options.nodiratime),
        (MountFlags::SYNCHRONOUS, options.sync),
        (MountFlags::DIRSYNC, options.dirsync),
    ] {
        flags.set(flag, on);
    }
    flags
}

/// The same for fusermount3, which refuses `suid` and `dev` to all but root.
fn helper_options(source: &Path, options: &MountOptions) -> Vec<MountOption> {
    let mut list = vec![
        MountOption::FSName(escape(source.as_os_str())),
        MountOption::Subtype("holofs".to_owned()),
        MountOption::DefaultPermissions,
        MountOption::NoSuid,
        MountOption::NoDev,
    ];
    for (option, on) in [
        (MountOption::RO, options.read_only),
        (MountOption::NoExec, options.noexec),
        (MountOption::NoAtime, options.atime == Atime::Never),
        (MountOption::Sync, options.sync),
        (MountOption::DirSync, options.dirsync),
    ] {
        if on {
            list.push(option);
        }
    }
    list
}

/// A source as fusermount3 reads it: commas and backslashes are escaped.
fn escape(source: &OsStr) -> String {
    let text = source.to_string_lossy();
    text.replace('\\', r"\\").replace(',', r"\,")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn flags_follow_the_options() {
        let plain = flags(&MountOptions::default());
        assert_eq!(plain, MountFlags::NOSUID | MountFlags::NODEV);
        let options = MountOptions {
            read_only: true,
            suid: true,
            noexec: true,
            atime: Atime::Never,
            ..MountOptions::default()
        };
        let asked = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOEXEC;
        assert_eq!(flags(&options), asked | MountFlags::NOATIME);
    }

    #[test]
    fn a_source_with_commas_stays_one_option() {
        assert_eq!(escape(OsStr::new("/a,b\\c")), "/a\\,b\\\\c");
    }

    #[test]
    fn bad_mount_points_are_named_with_their_reason() {
        let store = Path::new("/nonexistent-store");
        let message = |path: &Path| {
            check(store, path, &MountOptions::default())
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        let dir = tempfile::tempdir().unwrap();
        assert!(message(dir.path()).is_ok());
        let missing = dir.path().join("missing");
        assert!(message(&missing).is_err_and(|m| m.ends_with("missing: no such directory")));
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(message(&file).is_err_and(|m| m.ends_with("file: not a directory")));
        assert!(message(dir.path()).is_err_and(|m| m.contains("not empty")));
        let inside = check(dir.path(), dir.path(), &MountOptions::default());
        assert!(inside.is_err_and(|e| e.to_string().contains("inside the store")));
    }
}
