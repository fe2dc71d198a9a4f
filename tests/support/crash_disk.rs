//! A medium in memory that can lose power, run full, fail and die.
//!
//! It promises what `holofs::store::disk` says that a medium promises, and nothing more. After [`CrashDisk::crash`]:
//!
//! * *Names.* Each change of names (create, link, unlink, rename, exchange, ...) is there as a whole or not at all,
//!   also between two directories. Of each directory the first few changes are there, at least those before its last
//!   sync. Removing a directory counts as a change in it too (it is empty for a reason), and moves of directories
//!   between directories keep their order (else they could form a ring that hangs on nothing). Different directories
//!   are otherwise independent: a file can be gone from one before it has come to another only where these were two
//!   changes.
//! * *Content.* What was not synced is, file by file, as at the last sync, as it was last, or mixed: each page, or each
//!   sector of a torn page, from any time since the last sync, and any size that the file had or passed through. Thus a
//!   file may have its size and zeros in it.
//! * *Attributes* (mode, owner, times, extended attributes) are as at the last sync or as at any later moment; those
//!   of a new inode come with its name. A file's sync makes its content and attributes durable (`data_only`: the
//!   content), a directory's sync its names, its own attributes, and those of the links and nodes in it.
//!
//! Not simulated: permissions, default ACLs, limits of extended attributes, the reuse of inode numbers, coarse clocks
//! (each change moves the clock by a millisecond, from November 2023 on).

mod data;
mod handles;
mod medium;

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use holofs::store::disk::Dir;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use rustix::io::Errno;

use super::Rng;
use handles::CrashDir;
use medium::Medium;

/// What is asked of the medium, in the groups in which it can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Opening a directory, listing, meta, link targets, extended attributes, holes, space.
    Look,
    /// Opening a file.
    Open,
    /// Reading.
    Read,
    /// Taking a lease.
    Lease,
    /// Creating and opening a file.
    Create,
    /// Writing, appending, allocating, copying.
    Write,
    /// Setting the size.
    SetLen,
    /// Setting mode, owner, times or an extended attribute.
    Attributes,
    /// Making a directory.
    MakeDir,
    /// Making a node or a symbolic link.
    MakeNode,
    /// Giving another name.
    Link,
    /// Removing a name of a file.
    Unlink,
    /// Removing a directory.
    RemoveDir,
    /// Renaming.
    Rename,
    /// Making a file durable.
    Sync,
    /// Making a directory durable.
    SyncDir,
}

impl Op {
    /// Whether the medium may differ after it, in what programs see or in what a power cut leaves.
    fn changes(self) -> bool {
        !matches!(self, Self::Look | Self::Open | Self::Read | Self::Lease)
    }
}

/// A failure that waits for its operation.
#[derive(Debug, Clone, Copy)]
struct Fault {
    op: Op,
    /// Operations of this sort that succeed before.
    skip: u64,
    /// Whether all later ones fail too.
    lasting: bool,
    error: Errno,
}

#[derive(Debug)]
struct State {
    medium: Medium,
    /// What changed the medium, in words.
    history: Vec<String>,
    /// So many changes happen before the process dies.
    die_after: Option<u64>,
    /// Whether it died.
    dead: bool,
    faults: Vec<Fault>,
}

/// The medium; see the top of this file for what it promises.
#[derive(Debug)]
pub(crate) struct CrashDisk {
    state: Mutex<State>,
}

impl CrashDisk {
    /// An empty medium without limits.
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Medium::new())
    }

    fn with(medium: Medium) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                medium,
                history: Vec::new(),
                die_after: None,
                dead: false,
                faults: Vec::new(),
            }),
        })
    }

    /// Its root directory.
    pub(crate) fn root(self: &Arc<Self>) -> Arc<dyn Dir> {
        Arc::new(CrashDir::new(Arc::clone(self), medium::ROOT))
    }

    /// What a power cut at this moment leaves, one of the possible states; this medium goes on unharmed.
    pub(crate) fn crash(&self, seed: u64) -> Arc<Self> {
        Self::with(self.state.lock().medium.crash(&mut Rng::new(seed)))
    }

    /// What the end of the process at this moment leaves: everything, yet no more of it durable than before. This
    /// medium goes on unharmed.
    pub(crate) fn kill(&self) -> Arc<Self> {
        Self::with(self.state.lock().medium.without_processes())
    }

    /// How many operations have changed the medium.
    pub(crate) fn operations(&self) -> u64 {
        self.state.lock().history.len() as u64
    }

    /// What these operations were, to say where a test stopped.
    pub(crate) fn history(&self) -> Vec<String> {
        self.state.lock().history.clone()
    }

    /// Lets `operations` of them happen in all; the next one and everything after it fails, reads too: the process
    /// has died between the two.
    pub(crate) fn kill_after(&self, operations: u64) {
        self.state.lock().die_after = Some(operations);
    }

    /// Whether that has happened.
    pub(crate) fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// Makes one operation of this sort fail, after `skip` more that succeed.
    pub(crate) fn fail(&self, op: Op, skip: u64, error: Errno) {
        self.add_fault(op, skip, error, false);
    }

    /// Makes all operations of this sort fail, after `skip` more that succeed.
    pub(crate) fn fail_always(&self, op: Op, skip: u64, error: Errno) {
        self.add_fault(op, skip, error, true);
    }

    fn add_fault(&self, op: Op, skip: u64, error: Errno, lasting: bool) {
        self.state.lock().faults.push(Fault {
            op,
            skip,
            lasting,
            error,
        });
    }

    /// How many failures still wait for their operation; a lasting one always does.
    pub(crate) fn failures_left(&self) -> usize {
        self.state.lock().faults.len()
    }

    /// Takes back all failures to come, and the death.
    pub(crate) fn heal(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        state.die_after = None;
        state.dead = false;
    }

    /// Limits the space of all files to so many bytes (whole pages of 4 KiB); `None`: no limit.
    pub(crate) fn limit(&self, bytes: Option<u64>) {
        self.state.lock().medium.limit = bytes.map(|bytes| bytes / data::PAGE);
    }

    /// Begins an operation, unless it is to fail.
    fn begin(&self, op: Op, on: &OsStr) -> io::Result<MappedMutexGuard<'_, Medium>> {
        let mut state = self.state.lock();
        let done = state.history.len() as u64;
        state.dead |= op.changes() && state.die_after.is_some_and(|last| done >= last);
        if state.dead {
            return Err(Errno::IO.into());
        }
        if let Some(at) = state.faults.iter().position(|fault| fault.op == op) {
            let fault = state.faults[at];
            if fault.skip > 0 {
                state.faults[at].skip -= 1;
            } else {
                if !fault.lasting {
                    state.faults.remove(at);
                }
                return Err(fault.error.into());
            }
        }
        if op.changes() {
            state.history.push(format!("{op:?} {}", on.display()));
        }
        Ok(MutexGuard::map(state, |state| &mut state.medium))
    }
}
