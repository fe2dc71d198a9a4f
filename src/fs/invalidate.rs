//! Telling the kernel that something it caches has changed without it: on a thread of its own.
//!
//! The kernel may answer an invalidation only after requests that are with us now, so that a request handler, or
//! anybody who holds a lock that handlers need, must never wait for one.

use std::ffi::OsString;
use std::io;
use std::sync::mpsc;
use std::thread;

use fuser::{INodeNo, Notifier};

#[derive(Debug)]
enum Stale {
    Inode(u64),
    Name(u64, OsString),
}

/// Takes invalidations from any thread, without waiting.
#[derive(Debug, Clone)]
pub struct Invalidator(mpsc::Sender<Stale>);

impl Invalidator {
    /// Starts the thread; it ends with the last clone.
    pub(super) fn start(notifier: Notifier) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("invalidate".to_owned())
            .spawn(move || {
                for stale in receiver {
                    let sent = match &stale {
                        Stale::Inode(ino) => notifier.inval_inode(INodeNo(*ino), 0, 0),
                        Stale::Name(parent, name) => notifier.inval_entry(INodeNo(*parent), name),
                    };
                    if let Err(e) = sent {
                        log::debug!("{stale:?} stays cached: {e}");
                    }
                }
            })?;
        Ok(Self(sender))
    }

    /// Content and attributes of an inode have changed (degraded, healed).
    pub fn inode(&self, ino: u64) {
        self.0.send(Stale::Inode(ino)).ok(); // no thread: no mount, nothing cached
    }

    /// What a name of a directory stands for has changed.
    pub fn name(&self, parent: u64, name: OsString) {
        self.0.send(Stale::Name(parent, name)).ok();
    }
}
