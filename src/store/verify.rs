//! Checking what is stored of one file, unit by unit.

use std::path::Path;
use std::sync::Arc;

use super::locate::Found;
use super::names;
use super::node::Node;
use super::object::Object;
use super::solid::{Member, inside};
use super::status::{state_with, status_of_foreign};
use super::{Error, FileStatus, Result, Store};

impl Store {
    /// Reads and checks every stored unit of a regular file (nothing of a plain one, which has no hashes) and returns
    /// its state after that. `go_on` is asked now and then; after a no the state is the one known without checking.
    ///
    /// # Errors
    /// As [`Store::status`].
    pub fn verify(&self, ino: u64, go_on: &mut dyn FnMut() -> bool) -> Result<FileStatus> {
        if let Some((parent, member)) = self.member_of(ino)? {
            return self.status_of_member(&parent, &member, true, go_on);
        }
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
            let missing = self.missing_dictionaries(&object, true);
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

    /// Reads and checks every unit of all dictionaries, also of those that no file needs; `each` gets where one lies in
    /// the store and its state, and says whether to go on.
    ///
    /// # Errors
    /// What the medium says.
    pub fn verify_dictionaries(
        &self,
        each: &mut dyn FnMut(&Path, FileStatus) -> bool,
    ) -> Result<()> {
        for known in self.dictionaries.all()? {
            let object = &known.object;
            let mut layers = 0;
            if let Some(report) = object.verify(&mut |_| true)? {
                layers = report.readable_layers();
            }
            let (state, quality_db) = state_with(object, layers);
            let status = FileStatus {
                state,
                codec: object
                    .codec()
                    .map_or("unknown", |codec| codec.name())
                    .to_owned(),
                size: object.descriptor().size,
                stored: object.stored_bytes(),
                chunks: object.chunk_count()?,
                quality_db,
                reason: "files share it".to_owned(),
                damage: object.damage(),
            };
            let path = Path::new(names::OWN).join(names::DICT).join(&known.name);
            if !each(&path, status) {
                break;
            }
        }
        Ok(())
    }

    /// The set of a file, `None` for one that is kept as itself or came from elsewhere.
    pub(crate) fn encoded(&self, ino: u64) -> Result<Option<Arc<Object>>> {
        Ok(match self.found_of(ino)? {
            Some(Found::Encoded { object, .. } | Found::Pair { object, .. }) => Some(object),
            _ => None,
        })
    }

    /// A file of a solid directory, and the directory that it is in.
    fn member_of(&self, ino: u64) -> Result<Option<(Arc<Node>, Member)>> {
        let node = self.nodes.get(ino)?;
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let Some(solid) = inside(dir.as_ref()) else {
            return Ok(None);
        };
        let disk = names::plain(&link.name).ok_or(Error::NameTooLong)?;
        let member = solid.member(&disk)?;
        Ok(Some((link.parent, member)))
    }

    /// What the name of an inode is now.
    pub(crate) fn found_of(&self, ino: u64) -> Result<Option<Found>> {
        let node = self.nodes.get(ino)?;
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        Ok(found)
    }
}
