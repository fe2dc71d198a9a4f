//! Checking what is stored of one file, unit by unit.

use std::sync::Arc;

use super::locate::Found;
use super::object::Object;
use super::{Error, FileStatus, Result, State, Store};

impl Store {
    /// Reads and checks every stored unit of a regular file (nothing of a plain one, which has no hashes) and returns
    /// its state after that. `go_on` is asked now and then; after a no the state is the one known without checking.
    ///
    /// # Errors
    /// As [`Store::status`].
    pub fn verify(&self, ino: u64, go_on: &mut dyn FnMut() -> bool) -> Result<FileStatus> {
        let mut status = self.status(ino)?;
        let Some(object) = self.encoded(ino)? else {
            return Ok(status);
        };
        // No lock is held meanwhile: the object holds open what it reads, wherever its name goes.
        if let Some(report) = object.verify(&mut |_| go_on())? {
            self.damaged.lock().remove(&object.set().0);
            self.note_damage(&object);
            status.damage = object.damage();
            if report.readable_layers() < object.descriptor().layers.len() {
                status.state = State::Lost;
            }
        }
        Ok(status)
    }

    /// The set of a file, `None` for one that is kept as itself or came from elsewhere.
    pub(crate) fn encoded(&self, ino: u64) -> Result<Option<Arc<Object>>> {
        let node = self.nodes.get(ino)?;
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        Ok(match found {
            Some(Found::Encoded { object, .. } | Found::Pair { object, .. }) => Some(object),
            _ => None,
        })
    }
}
