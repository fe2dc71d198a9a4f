//! Which directories the background makes solid by itself, and when.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::attrs::now;
use super::super::node::Node;
use super::super::policy::CodecChoice;
use super::super::tree::{Counters, Store};
use super::super::walk::Held;
use super::super::{Kind, ROOT};
use super::freeze::Frozen;
use super::inside;
use crate::codec::Effort;
use crate::format::Time;

/// The size for which the policy is asked: no rule is about that of a directory.
const ANY_SIZE: u64 = 1 << 20;
/// How long a directory to which a name came is taken for one that is being filled.
const FILLING: Duration = Duration::from_secs(1);
/// Looks at a directory that `settle` waits for.
const LOOKS: u32 = 5;

/// What is to be done about a directory that was due.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing.
    Nothing,
    /// Look again after so long.
    After(Duration),
    /// Something in it is in use.
    Busy,
    /// Its files are encoded one by one.
    OneByOne,
}

impl Store {
    /// Whether the policy wants files in the directory at `path` kept as small as can be.
    fn is_archive(&self, path: &Path) -> bool {
        let decision = self.policy.decide(&path.join("_"), ANY_SIZE);
        decision.effort == Effort::Archive && decision.codec != CodecChoice::Plain
    }

    /// Whether a directory is to become solid, as far as can be said without looking into it.
    pub(crate) fn wants_solid(&self, node: &Arc<Node>) -> bool {
        let archive = || node.path().is_some_and(|path| self.is_archive(&path));
        node.ino != ROOT && archive() && !self.is_unsuited(node)
    }

    /// Whether it was found not long ago that a directory is nothing for one object, and no name came or went since.
    fn is_unsuited(&self, node: &Arc<Node>) -> bool {
        let then = self.queue.unsuited_at(node);
        then.is_some_and(|then| self.named_at(node) == Some(then))
    }

    /// When a name came to a directory or went last.
    fn named_at(&self, node: &Arc<Node>) -> Option<Time> {
        let dir = self.dir(node).ok()?;
        dir.self_meta().ok().map(|meta| meta.mtime)
    }

    /// The uppermost directory around a file that is to become solid.
    pub(crate) fn archive_around(&self, node: &Arc<Node>) -> Option<Arc<Node>> {
        let mut found = None;
        let mut at = Self::holder(node)?;
        while at.ino != ROOT {
            if self.wants_solid(&at) {
                found = Some(Arc::clone(&at));
            }
            at = at.link()?.parent;
        }
        found
    }

    /// Whether a directory can be opened and is not kept as an object: only there is work to do.
    pub(crate) fn is_native(&self, node: &Arc<Node>) -> bool {
        let dir = self.dir(node);
        dir.is_ok_and(|dir| inside(dir.as_ref()).is_none())
    }

    /// Makes a directory solid whose time has come, if it qualifies.
    pub(crate) fn freeze_due(&self, node: &Arc<Node>, quiet: Duration) -> Next {
        let path = node.path().unwrap_or_default();
        let named = self.named_at(node).unwrap_or_default();
        match self.freeze_unasked(node, quiet) {
            Ok(Frozen::Done { .. }) => {
                log::debug!("{}: solid", path.display());
                Next::Nothing
            }
            Ok(Frozen::Young(wait)) => Next::After(wait),
            Ok(Frozen::Busy(what)) => {
                log::debug!("{}: not yet solid: {what}", path.display());
                Next::Busy
            }
            Ok(Frozen::Declined(what)) => {
                log::debug!("{}: not solid: {what}", path.display());
                // More may be on its way: what is said now would hold for long.
                let age = now().secs - named.secs;
                if (0..=FILLING.as_secs().cast_signed()).contains(&age) {
                    return Next::After(FILLING);
                }
                self.queue.unsuited(node, named);
                Next::OneByOne
            }
            Err(e) if e.is_not_found() => Next::Nothing, // removed meanwhile
            Err(e) => {
                Counters::add(&self.counters.failed);
                log::warn!("{}: not made solid: {e}", path.display());
                self.queue.unsuited(node, named);
                Next::OneByOne
            }
        }
    }

    /// Makes a directory solid now, if it qualifies; the number of files in it.
    pub(crate) fn freeze_now(&self, node: &Arc<Node>) -> Option<u64> {
        for _ in 0..LOOKS {
            match self.freeze_unasked(node, Duration::ZERO) {
                Ok(Frozen::Done { files }) => return Some(files),
                Ok(Frozen::Young(wait)) => std::thread::sleep(wait), // a tick of the clock
                Ok(Frozen::Busy(what) | Frozen::Declined(what)) => {
                    let path = node.path().unwrap_or_default();
                    log::debug!("{}: not solid: {what}", path.display());
                    return None;
                }
                Err(e) => {
                    let path = node.path().unwrap_or_default();
                    log::warn!("{}: not made solid: {e}", path.display());
                    return None;
                }
            }
        }
        None
    }

    /// Has what is in a directory, which does not become solid as a whole, looked at piece by piece.
    pub(crate) fn queue_inside(&self, node: &Arc<Node>) {
        let Ok(items) = self.read_dir(node.ino) else {
            return;
        };
        for item in items {
            let Ok(held) = Held::lookup(self, node.ino, &item.name) else {
                continue;
            };
            let Ok(child) = self.nodes.get(held.ino()) else {
                continue;
            };
            match child.kind {
                Kind::Dir if !self.is_native(&child) => {}
                Kind::Dir if !self.wants_solid(&child) => self.queue_inside(&child),
                Kind::Dir | Kind::File if !self.queue.has(&child) => self.queue.closed(&child),
                _ => {}
            }
        }
    }
}
