//! `umount`: unmounts and waits until the daemon has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open};

use super::args;
use super::exit::{Code, Failure, Outcome};
use crate::store::outside::{self, There};

/// How often to look whether a process is buried.
const LOOKS: u32 = 150;
/// Time between two looks.
const BETWEEN_LOOKS: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Runs the verb.
pub(super) fn run(args: &args::Umount) -> Outcome {
    let io = |e| Failure::io(&args.mnt, &e);
    let point = outside::canonical_but_last(&args.mnt).map_err(io)?;
    let there = outside::what_is_there(&point).map_err(io)?;
    let mount = outside::mount_at(&point).map_err(io)?;
    let Some(mount) = mount.filter(outside::Mount::is_ours) else {
        let (code, what) = match there {
            There::Nothing => (Code::NoStore, "no such directory"),
            _ => (Code::Error, "no store is mounted here"),
        };
        return Err(Failure::new(code, &args.mnt, what));
    };
    let dead = there == There::DeadMount;
    let daemons = daemons(&mount.source, &point).map_err(io)?;
    detach(&point, args.lazy || dead)?;
    if !args.lazy {
        for (pid, daemon) in &daemons {
            let mut ended = [PollFd::new(daemon, PollFlags::IN)];
            poll(&mut ended, None).map_err(|e| io(e.into()))?;
            wait_until_buried(*pid, daemon);
        }
    }
    Ok(Code::Ok)
}

/// Waits until init has buried a process that has ended, so that scripts do not find it any more. Most do at once;
/// in some containers it takes seconds, and in others nobody does it.
fn wait_until_buried(pid: i32, daemon: &OwnedFd) {
    for _ in 0..LOOKS {
        // The hang-up tells it from Linux 6.9 on.
        let mut buried = [PollFd::new(daemon, PollFlags::empty())];
        let told = poll(&mut buried, Some(&BETWEEN_LOOKS)).unwrap_or(0) > 0;
        if told || outside::arguments(pid).is_none() {
            return;
        }
    }
}

/// Handles on the processes that serve a mount.
fn daemons(store: &Path, point: &Path) -> io::Result<Vec<(i32, OwnedFd)>> {
    let open = |pid: i32| {
        Some((
            pid,
            pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?,
        ))
    };
    let found: Vec<(i32, OwnedFd)> = outside::daemons(store, point)?
        .into_iter()
        .filter_map(open)
        .collect();
    // A process that ended before its handle was opened may have left its number to another.
    let still = outside::daemons(store, point)?;
    let same = found.into_iter().filter(|(pid, _)| still.contains(pid));
    Ok(same.collect())
}

/// Takes a mount out of the tree: `lazy` also while it is used.
fn detach(point: &Path, lazy: bool) -> Result<(), Failure> {
    let busy = || {
        let failure = Failure::new(Code::Error, point, "in use: files or directories are open");
        failure.hint("`fuser -vm` shows by whom; `holofs umount --lazy` does not wait for them")
    };
    if geteuid().is_root() {
        let flags = if lazy {
            UnmountFlags::NOFOLLOW | UnmountFlags::DETACH
        } else {
            UnmountFlags::NOFOLLOW
        };
        return unmount(point, flags).map_err(|e| match e.kind() {
            io::ErrorKind::ResourceBusy => busy(),
            _ => Failure::io(point, &e.into()),
        });
    }
    let run = Command::new("fusermount3")
        .arg(if lazy { "-uz" } else { "-u" })
        .arg("--")
        .arg(point)
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            if text.to_lowercase().contains("busy") {
                return Err(busy());
            }
            Err(Failure::new(Code::Error, point, text.trim()))
        }
        Err(e) => {
            let what = format!("fusermount3: {}", super::exit::plain(&e));
            let failure = Failure::new(Code::Error, point, what);
            Err(failure.hint("the package fuse3 has it; root does without"))
        }
    }
}
