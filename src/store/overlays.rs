//! Overlays: variants that are plain files of their own, until they are folded into an object.
//!
//! ```text
//! .holofs/variants/0123456789abcdef.TEXT
//!                  |                the context
//!                  logical inode number of the file
//! ```
//!
//! What a file with the inode number I shows in the context C: the overlay of I and C, else the entry C of its object,
//! else what it is without a context. An overlay has the bytes and the times of its variant; mode, owner and extended
//! attributes are those of the file, for all its variants. The number stays with the file when it is renamed, encoded
//! or made plain, so that nothing here moves when that happens. An overlay and an entry of the same content are the same
//! as either: a crash may leave both.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Result;
use super::context::Context;
use super::disk::{self, Access, Dir, File, Kind, Meta, Rename};
use super::names;
use super::own::Own;
use super::tree::Store;

/// Which overlays there are: kept by the writer, who makes and removes all of them.
#[derive(Debug, Default)]
pub(crate) struct Overlays {
    known: Mutex<BTreeMap<u64, BTreeSet<Context>>>,
    /// Whether the room is sure to be there after a crash.
    durable: AtomicBool,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Overlay {
    dir: Arc<dyn Dir>,
    name: OsString,
    /// What the medium says of it.
    pub(crate) meta: Meta,
}

impl Overlay {
    /// Opens it.
    pub(crate) fn open(&self, access: Access) -> Result<Arc<dyn File>> {
        Ok(self.dir.open(&self.name, access)?)
    }
}

fn file_name(ino: u64, context: &Context) -> OsString {
    format!("{ino:016x}.{context}").into()
}

/// What a name in the room is that of.
fn parse(name: &OsStr) -> Option<(u64, Context)> {
    let (ino, context) = name.to_str()?.split_once('.')?;
    let number = u64::from_str_radix(ino, 16).ok()?;
    let context = Context::new(context).filter(|context| context.named().is_some())?;
    (ino.len() == 16).then_some((number, context))
}

/// The room, where it is there.
fn room(base: &dyn Dir) -> Result<Option<Arc<dyn Dir>>> {
    match base.dir(OsStr::new(names::VARIANTS)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// All that the room of a store holds.
fn all(base: &dyn Dir) -> Result<BTreeMap<u64, BTreeSet<Context>>> {
    let mut all: BTreeMap<u64, BTreeSet<Context>> = BTreeMap::new();
    if let Some(room) = room(base)? {
        for entry in room.list()?.iter().filter(|e| e.kind == Kind::File) {
            if let Some((ino, context)) = parse(&entry.name) {
                all.entry(ino).or_default().insert(context);
            }
        }
    }
    Ok(all)
}

impl Overlays {
    /// Those of a store that is opened for writing.
    pub(crate) fn of(own: Option<&Own>) -> Result<Self> {
        let known = own.map(|own| all(own.base.as_ref())).transpose()?;
        Ok(Self {
            known: Mutex::new(known.unwrap_or_default()),
            durable: AtomicBool::new(false),
        })
    }

    fn has(&self, ino: u64, context: &Context) -> bool {
        let known = self.known.lock();
        known.get(&ino).is_some_and(|all| all.contains(context))
    }

    fn forget(&self, ino: u64, context: &Context) {
        let mut known = self.known.lock();
        if let Some(contexts) = known.get_mut(&ino) {
            contexts.remove(context);
            if contexts.is_empty() {
                known.remove(&ino);
            }
        }
    }
}

impl Store {
    /// Whether files are shown in a context that is not the default one.
    pub(crate) fn is_in_context(&self) -> bool {
        self.options.context.named().is_some()
    }

    /// The contexts that a file has overlays for.
    pub(crate) fn overlays_of(&self, ino: u64) -> Result<BTreeSet<Context>> {
        if self.own.is_some() {
            let known = self.overlays.known.lock();
            return Ok(known.get(&ino).cloned().unwrap_or_default());
        }
        let base = self.root.dir(OsStr::new(names::OWN))?;
        Ok(all(base.as_ref())?.remove(&ino).unwrap_or_default())
    }

    /// What a file shows in a context, where that is an overlay.
    pub(crate) fn overlay(&self, ino: u64, context: &Context) -> Result<Option<Overlay>> {
        if context.named().is_none() || self.own.is_some() && !self.overlays.has(ino, context) {
            return Ok(None);
        }
        let base = match &self.own {
            Some(own) => Arc::clone(&own.base),
            None => self.root.dir(OsStr::new(names::OWN))?,
        };
        let Some(dir) = room(base.as_ref())? else {
            return Ok(None);
        };
        let name = file_name(ino, context);
        let meta = disk::meta_if_there(dir.as_ref(), &name)?;
        let meta = meta.filter(|meta| meta.kind == Kind::File);
        Ok(meta.map(|meta| Overlay { dir, name, meta }))
    }

    /// A file from staging, complete and durable, becomes an overlay, durably; one that is there is replaced.
    pub(crate) fn place_overlay(&self, staged: &OsStr, ino: u64, context: &Context) -> Result<()> {
        let own = self.own()?;
        let dir = if let Some(dir) = room(own.base.as_ref())? {
            dir
        } else {
            own.base.make_dir(OsStr::new(names::VARIANTS), 0o700, 0)?;
            own.base.dir(OsStr::new(names::VARIANTS))?
        };
        if !self.overlays.durable.load(Ordering::Relaxed) {
            own.base.sync()?;
            self.overlays.durable.store(true, Ordering::Relaxed);
        }
        let name = file_name(ino, context);
        own.staging
            .rename(staged, dir.as_ref(), &name, Rename::Replace)?;
        let mut known = self.overlays.known.lock();
        known.entry(ino).or_default().insert(context.clone());
        drop(known);
        self.contexts.note(context.named());
        Ok(dir.sync()?)
    }

    /// Removes one overlay.
    pub(crate) fn remove_overlay(&self, ino: u64, context: &Context) -> Result<()> {
        let Some(dir) = room(self.own()?.base.as_ref())? else {
            return Ok(());
        };
        match dir.unlink(&file_name(ino, context)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
        self.overlays.forget(ino, context);
        Ok(())
    }

    /// Makes it durable that overlays were removed.
    pub(crate) fn sync_overlays(&self) -> Result<()> {
        match room(self.own()?.base.as_ref())? {
            Some(dir) => Ok(dir.sync()?),
            None => Ok(()),
        }
    }

    /// Removes all overlays of a file that has left `dir`, and with that the tree: nothing will ever ask for its number
    /// again.
    pub(crate) fn drop_overlays(&self, ino: u64, dir: &dyn Dir) {
        let known = self.overlays.known.lock().get(&ino).cloned();
        let Some(contexts) = known else { return };
        // A power cut must not bring the file back without its variants.
        if let Err(e) = dir.sync() {
            log::warn!("the variants of {ino:016x} stay in .holofs/variants: {e}");
            return;
        }
        for context in contexts {
            if let Err(e) = self.remove_overlay(ino, &context) {
                log::warn!(".holofs/variants/{ino:016x}.{context}: {e}");
            }
        }
    }

    /// The contexts, other than the default one, that files are known to have variants for: those met so far, and those
    /// of overlays.
    #[must_use]
    pub fn contexts(&self) -> BTreeSet<Context> {
        let mut contexts = self.contexts.all();
        let known = self.overlays.known.lock();
        contexts.extend(known.values().flatten().cloned());
        contexts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_variants_they_are() {
        for name in ["TEXT", "a.b", "0123456789abcdef.x"] {
            let Some(context) = Context::new(name) else {
                unreachable!("{name}");
            };
            for ino in [2, 0x0123_4567_89ab_cdef, u64::MAX >> 1] {
                let file = file_name(ino, &context);
                assert_eq!(parse(&file), Some((ino, context.clone())));
            }
        }
        for name in [
            "0123456789abcdef.DEFAULT",
            "0123456789abcdef.",
            "0123456789abcdef",
            "123.TEXT",
            "0123456789abcdeg.TEXT",
        ] {
            assert_eq!(parse(OsStr::new(name)), None, "{name}");
        }
    }
}
