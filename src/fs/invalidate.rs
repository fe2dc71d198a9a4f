//! Telling the kernel that something it caches has changed without it: on a thread of its own.
//!
//! The kernel may answer an invalidation only after requests that are with us now, so that a request handler, or
//! anybody who holds a lock that handlers need, must never wait for one.

use std::io;
use std::sync::mpsc;
use std::thread;

use fuser::{INodeNo, Notifier};

/// Takes invalidations from any thread, without waiting.
#[derive(Debug)]
pub(super) struct Invalidator(mpsc::Sender<u64>);

impl Invalidator {
    /// Starts the thread; it ends with the invalidator.
    pub(super) fn start(notifier: Notifier) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("invalidate".to_owned())
            .spawn(move || {
                for ino in receiver {
                    if let Err(e) = notifier.inval_inode(INodeNo(ino), 0, 0) {
                        log::debug!("inode {ino:#x} stays cached: {e}");
                    }
                }
            })?;
        Ok(Self(sender))
    }

    /// Content and attributes of an inode have changed (degraded, healed).
    pub(super) fn inode(&self, ino: u64) {
        self.0.send(ino).ok(); // no thread: no mount, nothing cached
    }
}
