//! Files at reduced quality: who may read them, what is remembered of them, and who is told.
//!
//! Such content is never taken for the file: it is kept apart from the decoded cache, is not promoted, encoded or
//! linked, and the change time moves when a file loses quality and when it has it back.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::attrs::now;
use super::disk::{self, File};
use super::node::{Body, Node};
use super::object::Object;
use super::tree::{Counters, Store};
use super::{Degraded, Result};
use crate::codec::Quality;
use crate::format::{Digest, SetId, Time};

/// Files remembered; one beyond keeps its change time.
const MOST_REMEMBERED: usize = 100_000;

/// Told of the inodes whose content changed without a request.
type Listener = Box<dyn Fn(u64) + Send + Sync>;

#[derive(Debug, Clone, Copy)]
struct Moved {
    /// Layers it was last decoded from; `None`: all.
    layers: Option<usize>,
    /// Chunks that it had then.
    chunks: u16,
    at: Time,
}

/// What is known of files that were read at reduced quality.
#[derive(Default)]
pub(crate) struct Reduced {
    known: Mutex<HashMap<Digest, Moved>>,
    listener: OnceLock<Listener>,
}

impl fmt::Debug for Reduced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known.lock().fmt(f)
    }
}

impl Reduced {
    /// Layers that a set was last decoded from, unless it was all of them.
    pub(crate) fn layers(&self, set: SetId) -> Option<usize> {
        self.known.lock().get(&set.0)?.layers
    }

    /// Chunks that a set had when it was last decoded from too few.
    fn chunks(&self, set: SetId) -> Option<u16> {
        let known = self.known.lock();
        let moved = known.get(&set.0)?;
        moved.layers.map(|_| moved.chunks)
    }

    /// The change time of a file, `native` by its attributes: later where its quality changed later.
    pub(crate) fn ctime(&self, set: SetId, native: Time) -> Time {
        let known = self.known.lock();
        known
            .get(&set.0)
            .map_or(native, |moved| native.max(moved.at))
    }
}

impl Store {
    /// Has `listener` told of inodes whose content and attributes changed by themselves. Only the first one counts.
    pub fn on_change(&self, listener: impl Fn(u64) + Send + Sync + 'static) {
        self.reduced.listener.set(Box::new(listener)).ok();
    }

    /// Whether a file of this kind is shown at reduced quality where it has no better.
    pub(crate) fn serves_reduced(&self, node: &Arc<Node>, object: &Object) -> bool {
        let Some(medium) = object.codec().map(crate::codec::Codec::medium) else {
            return false;
        };
        let by_policy = || {
            let path = node.path().unwrap_or_default();
            let decision = self.policy.decide(&path, object.size());
            decision.degraded.of(medium)
        };
        self.options.degraded.unwrap_or_else(by_policy) == Degraded::Serve
    }

    /// What is left of a file that does not decode exactly, where one may see it: content of its size, at the best
    /// quality there is, the same for all who have the file open.
    pub(crate) fn reduced(&self, node: &Arc<Node>, object: &Arc<Object>) -> Result<Option<Body>> {
        if object.quality(1).is_none() || !self.serves_reduced(node, object) {
            return Ok(None);
        }
        let (content, quality) = object.best()?;
        let file: Arc<dyn File> = disk::nameless()?;
        file.write_at(&content, 0)?;
        let layers = match quality {
            Quality::Exact => None, // healed just now
            Quality::Degraded(layers) => Some(layers),
        };
        self.note_quality(node, object, layers);
        Ok(Some(Body::Reduced(file, Arc::clone(object))))
    }

    /// Notes that a range was shown from so many layers; a file counts as the worst that was seen of it.
    pub(crate) fn note_range(&self, node: &Arc<Node>, object: &Object, layers: usize) {
        let known = self.reduced.layers(object.set());
        if known.is_none_or(|known| layers < known) {
            self.note_quality(node, object, Some(layers));
        }
    }

    /// Notes that a file is opened to be read by ranges: with more chunks than when it was softer it counts as exact
    /// until a read says otherwise.
    pub(crate) fn note_opened(&self, node: &Arc<Node>, object: &Object) {
        let before = self.reduced.chunks(object.set());
        if before.is_some_and(|before| chunks(object) > before) {
            self.note_quality(node, object, None);
        }
    }

    /// Notes how many layers a file was decoded from (`None`: all), and tells whom it concerns if that is new.
    pub(crate) fn note_quality(&self, node: &Arc<Node>, object: &Object, layers: Option<usize>) {
        let moved = Moved {
            layers,
            chunks: layers.map_or(0, |_| chunks(object)),
            at: now(),
        };
        {
            let mut known = self.reduced.known.lock();
            let room = known.len() < MOST_REMEMBERED;
            match known.get_mut(&object.set().0) {
                Some(before) if before.layers == layers => return,
                Some(before) => *before = moved,
                None if layers.is_some() && room => {
                    known.insert(object.set().0, moved);
                }
                None if layers.is_none() => return,
                None => {}
            }
        }
        let path = node.path().unwrap_or_default();
        if let Some(layers) = layers {
            Counters::add(&self.counters.degraded);
            let quality = object.quality(layers).unwrap_or_default();
            // Nothing to worry about where chunks are left out on purpose.
            let level = match self.options.chunks {
                None => log::Level::Warn,
                Some(_) => log::Level::Debug,
            };
            log::log!(
                level,
                "{}: too few chunks for the file itself, shown at {quality:.1} dB",
                path.display()
            );
        } else {
            self.damaged.lock().remove(&object.set().0); // what is damaged still was met by the read, and told soon
            log::info!("{}: exact again", path.display());
        }
        self.tell_changed(node);
    }

    /// Tells whom it concerns that content and attributes of a file changed by other means than its handles.
    pub(crate) fn tell_changed(&self, node: &Node) {
        if let Some(tell) = self.reduced.listener.get() {
            tell(node.ino);
        }
    }
}

/// Chunks of an object that are there.
fn chunks(object: &Object) -> u16 {
    object.chunk_count().map_or(0, |count| count.have)
}

#[cfg(test)]
mod tests;
