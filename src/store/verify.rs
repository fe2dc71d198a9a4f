//! Checking what is stored of one file, unit by unit.

use std::sync::Arc;

use super::locate::Found;
use super::object::Object;
use super::status::{state_with, status_of_foreign};
use super::{Error, FileStatus, Result, Store};

impl Store {
    /// Reads and checks every stored unit of a regular file (nothing of a plain one, which has no hashes) and returns
    /// its state after that. `go_on` is asked now and then; after a no the state is the one known without checking.
    ///
    /// # Errors
    /// As [`Store::status`].
    pub fn verify(&self, ino: u64, go_on: &mut dyn FnMut() -> bool) -> Result<FileStatus> {
        let mut status = self.status(ino)?;
        let object = match self.found_of(ino)? {
            Some(Found::Encoded { object, .. } | Found::Pair { object, .. }) => object,
            Some(Found::Foreign { content, .. }) => {
                let node = self.nodes.get(ino)?;
                return Ok(status_of_foreign(&node, &content, true));
            }
            _ => return Ok(status),
        };
        // No lock is held meanwhile: the object holds open what it reads, wherever its name goes.
        if let Some(report) = object.verify(&mut |_| go_on())? {
            self.damaged.lock().remove(&object.set().0);
            self.note_damage(&object);
            status.damage = object.damage();
            let missing = self.missing_dictionaries(&object);
            let layers = if missing.is_empty() {
                report.readable_layers()
            } else {
                0
            };
            status.damage.extend(missing);
            (status.state, status.quality_db) = state_with(&object, layers);
        }
        Ok(status)
    }

    /// The set of a file, `None` for one that is kept as itself or came from elsewhere.
    pub(crate) fn encoded(&self, ino: u64) -> Result<Option<Arc<Object>>> {
        Ok(match self.found_of(ino)? {
            Some(Found::Encoded { object, .. } | Found::Pair { object, .. }) => Some(object),
            _ => None,
        })
    }

    /// What the name of an inode is now.
    fn found_of(&self, ino: u64) -> Result<Option<Found>> {
        let node = self.nodes.get(ino)?;
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        Ok(found)
    }
}
