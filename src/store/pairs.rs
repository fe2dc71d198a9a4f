//! Pairs: a plain file and a set under one logical name.
//!
//! A pair is either one file in two forms (it lingers after encoding, or a crash came between the steps of a
//! switch) or two different contents (an old backup was restored over a newer store). The first is proved by
//! comparing size and content hash; of the second the newer is shown and the other kept in `lost+found`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::disk::{self, Access, Dir, Meta};
use super::locate::{Found, found_object, is_newer};
use super::node::{Identity, Node};
use super::object::Object;
use super::tree::{Counters, Store};
use super::{Error, Result, switch};
use crate::coding::hash::Hasher;
use crate::format::{Digest, ObjectKind};

/// A plain file whose content is proved to be in the set beside it; both are durable.
#[derive(Debug, Clone)]
pub(crate) struct Linger {
    /// Which set.
    pub(crate) set: Digest,
    /// The plain file as it was when that was proved.
    pub(crate) plain: Meta,
    /// When it may go.
    pub(crate) until: Instant,
    /// Its node, once somebody looked it up.
    pub(crate) node: Option<Arc<Node>>,
    /// Whether its end was tried before.
    pub(crate) tried: bool,
}

/// How long the end of lingering is put off when something has the file or its directory open.
const POSTPONE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Pairs {
    all: HashMap<Identity, Linger>,
    /// Bytes of the plain halves.
    bytes: u64,
    /// Nothing is due before; `None`: nothing at all.
    next: Option<Instant>,
}

impl Pairs {
    fn earliest(&mut self, until: Instant) {
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }
}

/// All pairs known to be one file.
#[derive(Debug, Default)]
pub(crate) struct Lingering(Mutex<Pairs>);

impl Lingering {
    /// Whether a pair is known to be one file.
    pub(crate) fn knows(&self, pair: &Found) -> bool {
        let Found::Pair { meta, object, .. } = pair else {
            return false;
        };
        self.0.lock().all.get(&meta.into()).is_some_and(|known| {
            known.set == object.set().0
                && (known.plain.size, known.plain.ctime) == (meta.size, meta.ctime)
        })
    }

    pub(crate) fn insert(&self, linger: Linger) {
        let mut pairs = self.0.lock();
        pairs.bytes += linger.plain.size;
        pairs.earliest(linger.until);
        if let Some(before) = pairs.all.insert((&linger.plain).into(), linger) {
            pairs.bytes -= before.plain.size;
        }
    }

    pub(crate) fn remove(&self, plain: &Meta) {
        let mut pairs = self.0.lock();
        if let Some(gone) = pairs.all.remove(&plain.into()) {
            pairs.bytes -= gone.plain.size;
        }
    }

    /// Notes the node of a pair, which from then on lives as long as the pair.
    pub(crate) fn adopt(&self, plain: &Meta, node: &Arc<Node>) {
        let mut pairs = self.0.lock();
        let Some(linger) = pairs.all.get_mut(&plain.into()) else {
            return;
        };
        if linger.node.is_none() {
            linger.node = Some(Arc::clone(node));
            let until = linger.until;
            pairs.earliest(until);
        }
    }

    /// Takes note of those that may go now (they are put off, in case they cannot), and says when the next may.
    /// Looks at all of them only when one is due.
    pub(crate) fn due(&self, now: Instant) -> (Vec<Linger>, Option<Instant>) {
        let mut pairs = self.0.lock();
        let mut due = Vec::new();
        if pairs.next.is_some_and(|next| next <= now) {
            let with_node = |l: &&mut Linger| l.node.is_some();
            let mut next: Option<Instant> = None;
            for linger in pairs.all.values_mut().filter(with_node) {
                if linger.until <= now {
                    linger.until = now + POSTPONE;
                    linger.tried = true;
                    due.push(linger.clone());
                }
                next = Some(next.map_or(linger.until, |next| next.min(linger.until)));
            }
            pairs.next = next;
        }
        (due, pairs.next)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Linger> {
        self.0.lock().all.values().cloned().collect()
    }

    /// Makes those that have lingered longest due, until the bytes of the others are within `budget`.
    pub(crate) fn shorten(&self, budget: u64) {
        let mut pairs = self.0.lock();
        if pairs.bytes <= budget {
            return;
        }
        let mut total = pairs.bytes;
        let now = Instant::now();
        let mut oldest: Vec<&mut Linger> = pairs.all.values_mut().collect();
        oldest.sort_by_key(|l| l.until);
        let mut shortened = false;
        for linger in oldest {
            if total <= budget {
                break;
            }
            total -= linger.plain.size;
            // One that could not go a moment ago is not asked again at once.
            if !linger.tried && linger.until > now {
                linger.until = now;
                shortened = true;
            }
        }
        if shortened {
            pairs.next = Some(now);
        }
    }
}

/// Of a pair that may not be resolved (read-only): the newer one.
pub(crate) fn newer(pair: Found) -> Found {
    match pair {
        Found::Pair {
            meta,
            plain,
            object,
            encoded,
        } => {
            if is_newer(&object, &meta) {
                found_object(object, encoded)
            } else {
                Found::Native { meta, disk: plain }
            }
        }
        other => other,
    }
}

/// Whether the plain file has the content of the set: same size and hash.
fn one_file(dir: &dyn Dir, plain: &OsStr, meta: &Meta, object: &Object) -> Result<bool> {
    if meta.size != object.size() {
        return Ok(false);
    }
    let file = dir.open(plain, Access::Read)?;
    Ok(hash_file(file.as_ref(), meta.size, &|| true)? == object.hash())
}

/// Whether every byte of a set can be read, all variants of the file included.
fn is_whole(object: &Object) -> bool {
    let object = object.whole();
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    while at < object.size() {
        match object.read_at(at, &mut buf) {
            Ok(got) if got > 0 => at += got as u64,
            _ => return false,
        }
    }
    true
}

/// BLAKE3 of the first `size` bytes of a file; `Interrupted` when `go_on` says no.
pub(crate) fn hash_file(
    file: &dyn disk::File,
    size: u64,
    go_on: &dyn Fn() -> bool,
) -> Result<Digest> {
    let mut hasher = Hasher::default();
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    while at < size {
        let want = usize::try_from(size - at)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let piece = buf.get_mut(..want).unwrap_or_default();
        if !go_on() {
            return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
        }
        disk::read_exact_at(file, piece, at)?;
        hasher.update(piece);
        at += want as u64;
    }
    Ok(hasher.finish())
}

impl Store {
    /// Resolves a pair; the caller holds the directory's `names` for writing.
    pub(crate) fn resolve_pair(&self, dir: &dyn Dir, name: &OsStr, pair: &Found) -> Result<()> {
        let Found::Pair {
            meta,
            plain,
            object,
            encoded,
        } = pair
        else {
            return Ok(());
        };
        let own = self.own()?;
        if object.descriptor().kind == ObjectKind::Tree {
            return self.resolve_tree(dir, name, pair);
        }
        // The one that stays must be as durable as the one that goes.
        switch::sync_data(dir, plain, meta)?;
        dir.sync()?;
        if one_file(dir, plain, meta, object)? {
            if !is_whole(object) {
                // The plain file, with overlays of what other variants there were, is all that the set was.
                if let Err(e) = self.unfold(self.wanted_ino(dir, pair), object) {
                    log::warn!("{}: {e}", name.display());
                    return self.set_aside(dir, name, encoded, "a set with damaged variants");
                }
                own.purge(&switch::retire(own, dir, encoded)?);
                return Ok(());
            }
            self.lingering.insert(Linger {
                set: object.set().0,
                plain: *meta,
                until: Instant::now() + self.policy.encode.linger,
                node: None,
                tried: false,
            });
            return Ok(());
        }
        // Of one age, a set is proved by its hashes, and a plain file may have been torn by a crash.
        let older = if is_newer(object, meta) {
            plain
        } else {
            encoded
        };
        self.set_aside(dir, name, older, "the older of two contents")
    }

    /// Keeps an entry that has no place under its name any more in `lost+found`.
    pub(crate) fn set_aside(
        &self,
        dir: &dyn Dir,
        name: &OsStr,
        disk: &OsStr,
        what: &str,
    ) -> Result<()> {
        let kept = self.own()?.keep_lost(dir, disk)?;
        dir.sync()?;
        Counters::add(&self.counters.lost_found);
        log::warn!(
            "{}: {what} is kept as .holofs/lost+found/{}",
            name.display(),
            kept.display()
        );
        Ok(())
    }

    /// Makes a pair plain: the set goes to the trash. The caller holds `names` for writing.
    pub(crate) fn collapse(&self, dir: &dyn Dir, found: &Found) -> Result<()> {
        if let Found::Pair {
            meta,
            encoded,
            object,
            ..
        } = found
        {
            let own = self.own()?;
            self.unfold(self.wanted_ino(dir, found), object)?;
            self.lingering.remove(meta);
            let trash = switch::unnoticed(dir, || switch::retire(own, dir, encoded))?;
            own.purge(&trash);
        }
        Ok(())
    }

    /// Removes the plain half of a pair that has lingered; `false` when it must go on.
    pub(crate) fn end_linger(&self, linger: &Linger) -> Result<bool> {
        let Some(node) = &linger.node else {
            return Ok(false);
        };
        let _turn = node.turn.lock();
        let Some(link) = node.link() else {
            self.lingering.remove(&linger.plain);
            return Ok(false);
        };
        let dir = self.dir(&link.parent)?;
        let _names = link.parent.names.write();
        if node.is_open() {
            return Ok(false);
        }
        let found = self.found_locked(&dir, &link.name)?;
        let Some(Found::Pair {
            meta,
            plain,
            object,
            ..
        }) = found
        else {
            self.lingering.remove(&linger.plain);
            return Ok(false);
        };
        match switch::end_linger(dir.as_ref(), &plain, &meta) {
            Ok(()) => {}
            Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e),
        }
        self.lingering.remove(&meta);
        node.inner.lock().carrier = object.carrier_meta().into();
        Ok(true)
    }
}
