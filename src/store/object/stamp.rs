//! What the medium says of an object's files: when it says the same again, none was written to.

use std::io;

use super::Object;
use super::shares::Place;
use crate::store::disk::Meta;

impl Object {
    /// Meta of every file of the object as it is now.
    pub(crate) fn stamp(&self) -> io::Result<Vec<Meta>> {
        match &self.gather.source().place {
            Place::Packed { file, .. } => Ok(vec![file.meta()?]),
            Place::Spread { dir, .. } => {
                let mut names = dir.list()?;
                names.sort_by(|a, b| a.name.cmp(&b.name));
                names.iter().map(|entry| dir.meta(&entry.name)).collect()
            }
        }
    }
}
