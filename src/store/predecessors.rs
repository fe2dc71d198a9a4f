//! Sets of long files that were changed: what the change has left alone need not be coded again.
//!
//! A set that a promotion parked stays in the trash until its file is encoded again, others need the room, or the store
//! is closed. Only short of that it is of use, and nothing relies on it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use parking_lot::Mutex;

use super::object::{self, Object, Recognised};
use super::tree::Store;
use crate::codec::template::Template;
use crate::codec::{Codec, Previous};

/// Sets that are kept at most.
const MOST: usize = 4;
/// Shorter files have no pack that was full.
const LEAST: u64 = 32 << 20;

/// Sets in the trash, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Predecessors(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    ino: u64,
    trash: OsString,
    stored: u64,
}

impl Store {
    /// Keeps the set of a file that was changed, or removes it for good where it is of no use.
    pub(crate) fn keep_predecessor(&self, ino: u64, trash: &OsStr) {
        let Ok(own) = self.own() else { return };
        let useful = self.in_trash(trash).filter(|object| {
            let codec = object.codec().map(Codec::id);
            codec == Some(Template.id()) && object.descriptor().size >= LEAST
        });
        let Some(object) = useful else {
            own.purge(trash);
            return;
        };
        let mut gone = Vec::new();
        {
            let mut kept = self.predecessors.0.lock();
            let before = kept.iter().position(|known| known.ino == ino);
            gone.extend(before.and_then(|at| kept.remove(at)));
            kept.push_back(Kept {
                ino,
                trash: trash.to_owned(),
                stored: object.stored_bytes(),
            });
            let mut total: u64 = kept.iter().map(|kept| kept.stored).sum();
            while kept.len() > MOST || total > self.cache.budget {
                let Some(oldest) = kept.pop_front() else {
                    break;
                };
                total -= oldest.stored;
                gone.push(oldest);
            }
        }
        for kept in gone {
            own.purge(&kept.trash);
        }
    }

    /// What a file was encoded to before it was changed.
    pub(crate) fn predecessor(&self, ino: u64) -> Option<Previous> {
        let trash = {
            let kept = self.predecessors.0.lock();
            let known = kept.iter().find(|known| known.ino == ino);
            known.map(|known| known.trash.clone())
        };
        let object = self.in_trash(&trash?)?;
        let descriptor = object.descriptor();
        Some(Previous {
            settings: descriptor.settings.clone(),
            size: descriptor.size,
            layers: object.layers(),
        })
    }

    /// The file is encoded again.
    pub(crate) fn drop_predecessor(&self, ino: u64) {
        let gone = {
            let mut kept = self.predecessors.0.lock();
            let at = kept.iter().position(|known| known.ino == ino);
            at.and_then(|at| kept.remove(at))
        };
        if let (Some(kept), Ok(own)) = (gone, self.own()) {
            own.purge(&kept.trash);
        }
    }

    fn in_trash(&self, name: &OsStr) -> Option<Arc<Object>> {
        let trash = self.own().ok()?.trash.as_ref();
        let meta = trash.meta(name).ok()?;
        match object::recognise(trash, name, &meta, None).ok()? {
            Recognised::Object(object) => Some(object),
            _ => None,
        }
    }
}
