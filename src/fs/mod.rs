//! The mounted view: the kernel's requests, answered by the store.
//!
//! [`mount`] attaches a [`Store`] to a directory and [`Mounted::run`] serves it until somebody unmounts it. The
//! layers, from the kernel down: `kernel` translates requests, `view` decides what the kernel may cache and who does
//! the I/O of an open file, `handles` remembers that for as long as the file is open, and the store does the rest.
//! `views` does the same for the trees in `.holofs/view` and `.holofs/context`, each with a store of its own.
//!
//! What holds here: one mode of I/O per inode while it is open; nothing that unprivileged users' writes must clear
//! (set-id bits, capabilities) is ever passed through; no lock is held while an answer is sent; names and attributes
//! may be cached because every change of a writable store comes through its mount.

mod attr;
mod errno;
mod files;
mod handles;
mod init;
mod invalidate;
mod kernel;
mod listings;
mod lookers;
mod mount;
mod names;
mod options;
mod own;
mod reply;
mod signals;
mod view;
mod views;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fuser::Session;

use crate::store::Store;
use invalidate::Invalidator;
use kernel::Kernel;
pub use mount::Unmounter;
pub use options::{Atime, MountOptions, OptionError};
pub use signals::Signals;
use view::View;

/// Why a store cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mount point cannot be used.
    #[error("{}: {what}", path.display())]
    MountPoint {
        /// The mount point as given.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// The kernel's FUSE device cannot be opened.
    #[error(
        "{path}: {source}\nhint: is the fuse module loaded (modprobe fuse), and may you use the device?"
    )]
    Device {
        /// The device.
        path: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Mounting failed.
    #[error("cannot mount at {}: {source}", path.display())]
    Mount {
        /// The mount point.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A mount that is there, and waits to be served.
#[derive(Debug)]
pub struct Mounted {
    store: Arc<Store>,
    session: Session<Kernel>,
    unmounter: Unmounter,
}

/// Mounts `store`, which lies at `source` (a real, absolute path, shown as the mount's device).
///
/// # Errors
/// [`Error`]; nothing is mounted then, and the store stays open.
pub fn mount(
    store: Arc<Store>,
    source: &Path,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<Mounted, Error> {
    let notifier = Arc::new(OnceLock::new());
    let view = View::new(Arc::clone(&store), options.read_only, Arc::clone(&notifier));
    let kernel = Kernel::new(view);
    let (session, unmounter) = mount::attach(kernel, source, mountpoint, options, &notifier)?;
    let invalidator = Invalidator::start(session.notifier()).map_err(|e| {
        unmounter.unmount().ok();
        Error::Mount {
            path: mountpoint.to_owned(),
            source: e,
        }
    })?;
    store.on_change(move |ino| invalidator.inode(ino));
    Ok(Mounted {
        store,
        session,
        unmounter,
    })
}

impl Mounted {
    /// Ends the mount from another thread.
    #[must_use]
    pub fn unmounter(&self) -> Unmounter {
        self.unmounter.clone()
    }

    /// Serves the mount until it has been unmounted and nobody uses it any more, then calls `ended` and closes the
    /// store.
    ///
    /// # Errors
    /// When the connection to the kernel fails, or closing the store does.
    pub fn run(self, ended: impl FnOnce()) -> Result<(), crate::store::Error> {
        let served = self.session.run();
        if served.is_err() {
            self.unmounter.unmount().ok(); // programs should not wait for a session that is gone
        }
        self.unmounter.set_ended();
        self.store.stop(); // `ended` may wait for somebody who waits for the store
        ended();
        let closed = self.store.close();
        served?;
        closed
    }
}
