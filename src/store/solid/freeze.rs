//! Freezing: a directory becomes solid, where nothing in it is open and nothing changes meanwhile.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::build::{self, Spool};
use super::super::disk::{Dir, File, Kind};
use super::super::encode::{Plainly, Plan, Wish, layout_for, next_generation};
use super::super::locate::{self, Found};
use super::super::names;
use super::super::node::{Identity, Link, Node};
use super::super::object::Object;
use super::super::own::{Own, remove_entry};
use super::super::pairs::hash_file;
use super::super::switch::{self, Place};
use super::super::tree::{Counters, Store};
use super::super::{Error, ROOT, Result};
use super::survey::{Limits, Stop, Survey};
use super::{Solid, state_of};
use crate::codec::{CodecError, LayerSink, Request};
use crate::format::bundle::Bundle;
use crate::format::descriptor::DEFAULT_UNIT;
use crate::format::{Attributes, Descriptor, FormatError, Layers, ObjectKind, VERSION};

/// Bytes copied at a time; a piece of zeros on end becomes a hole.
const PIECE: usize = 64 << 10;
/// Looks at a directory before it counts as busy.
const LOOKS: u32 = 5;

/// What became of a directory.
#[derive(Debug)]
pub(crate) enum Frozen {
    /// It is solid now, with so many files.
    Done {
        /// Regular files in it.
        files: u64,
    },
    /// Something in it is in use; another time.
    Busy(String),
    /// It changed too short a time ago; look again after so long.
    Young(Duration),
    /// It stays as it is, and why.
    Declined(String),
}

impl Store {
    /// Makes a directory solid: it and all that is in it are kept as one object. `go_on` is told where the work is,
    /// and says whether to go on.
    ///
    /// # Errors
    /// [`Error::Io`] that says why where something in it is open, or it is nothing that can be kept as one;
    /// [`Error::Damaged`] where a file in it can only be read at reduced quality; what the medium says.
    pub fn freeze(&self, ino: u64, go_on: &mut dyn FnMut(&Path) -> bool) -> Result<()> {
        let node = self.nodes.get(ino)?;
        if node.kind != Kind::Dir {
            return Err(Error::NotDirectory);
        }
        if self.top_of(&node)?.is_some() {
            return Ok(());
        }
        let refused = |what: String| Err(Error::Io(std::io::Error::other(what)));
        for _ in 0..LOOKS {
            match self.freeze_node(&node, None, go_on)? {
                Frozen::Done { .. } => return Ok(()),
                Frozen::Young(wait) => std::thread::sleep(wait), // a tick of the clock
                Frozen::Busy(what) => return refused(what),
                Frozen::Declined(what) => return refused(format!("cannot be kept as one: {what}")),
            }
        }
        refused("it changes all the time".to_owned())
    }

    /// The same unasked, for a directory of many small files that was quiet for so long.
    pub(crate) fn freeze_unasked(&self, node: &Arc<Node>, quiet: Duration) -> Result<Frozen> {
        self.freeze_node(node, Some(Limits::unasked(quiet)), &mut |_| true)
    }

    fn freeze_node(
        &self,
        node: &Arc<Node>,
        limits: Option<Limits>,
        go_on: &mut dyn FnMut(&Path) -> bool,
    ) -> Result<Frozen> {
        let own = self.own()?;
        let _one = self.freezing.lock();
        let set = own.fresh(own.staging.as_ref(), "solid");
        let frozen = self.freeze_into(own, &set, node, limits, go_on);
        let outcome = match frozen {
            Ok((trash, files)) => {
                Counters::add(&self.counters.frozen);
                own.purge(&trash);
                return Ok(Frozen::Done { files });
            }
            Err(Stop::Busy(what)) => Ok(Frozen::Busy(what)),
            Err(Stop::Young(wait)) => Ok(Frozen::Young(wait)),
            Err(Stop::Unsuited(what)) => Ok(Frozen::Declined(what)),
            Err(Stop::Failed(e)) => Err(e),
        };
        if let Err(e) = remove_entry(own.staging.as_ref(), &set)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!(".holofs/staging/{}: {e}", set.display());
        }
        outcome
    }

    /// All of it; returns the name that the native directory got in the trash, and the number of files.
    fn freeze_into(
        &self,
        own: &Own,
        set: &OsStr,
        node: &Arc<Node>,
        limits: Option<Limits>,
        go_on: &mut dyn FnMut(&Path) -> bool,
    ) -> std::result::Result<(OsString, u64), Stop> {
        if node.ino == ROOT {
            return Err(Stop::Unsuited("it is the root of the store".to_owned()));
        }
        let link = node.link().ok_or(Error::NotFound)?;
        let mut survey = Survey::of(self, node, limits, go_on)?;
        let order = survey.by_likeness();
        let entries = std::mem::take(&mut survey.entries);
        let name = link.name.display().to_string();
        let format = |source: FormatError| Error::Format {
            name: name.clone(),
            source,
        };
        let bundle = Bundle::new(ObjectKind::Tree, entries, &order).map_err(format)?;
        let content = self.gathered(own, &bundle, &order, &survey, go_on)?;
        let plainly = Plainly {
            file: content.as_ref(),
            size: bundle.content_size(),
        };
        let object = self.pack_tree(own, set, &link, node, &bundle, content.as_ref())?;
        let same = self.same_content(node, &object, &plainly)?;
        let again = Solid::read(&object)?;
        if !same || *again.bundle() != bundle {
            return Err(Stop::Busy("the work was interrupted".to_owned()));
        }
        let trash = self.commit_freeze(own, set, &link, node, &again, &survey)?;
        Ok((trash, order.len() as u64))
    }

    /// The content of the object in a nameless file: the table, and the files in order.
    fn gathered(
        &self,
        own: &Own,
        bundle: &Bundle,
        order: &[u32],
        survey: &Survey,
        go_on: &mut dyn FnMut(&Path) -> bool,
    ) -> std::result::Result<Arc<dyn File>, Stop> {
        let changed = |path: &Path| Stop::Busy(format!("{} changed meanwhile", path.display()));
        let interrupted = || std::io::Error::from(std::io::ErrorKind::Interrupted);
        let spool = build::nameless(own.staging.as_ref())?;
        spool.write_at(&bundle.encode().map_err(std::io::Error::other)?, 0)?;
        let mut at = bundle.length();
        let mut buf = vec![0; PIECE];
        for index in order {
            let (Some(entry), Some(source)) =
                (bundle.entry(*index), survey.sources.get(*index as usize))
            else {
                continue;
            };
            let path = || {
                let parent = source.parent.path().unwrap_or_default();
                parent.join(OsStr::from_bytes(&entry.name))
            };
            if self.queue.is_stopped() || !go_on(&path()) {
                return Err(interrupted().into());
            }
            let bytes = source.open(self, OsStr::from_bytes(&entry.name))?;
            let bytes = bytes.ok_or_else(|| changed(&path()))?;
            let (mut from, size) = (0, entry.size());
            while from < size {
                let length = usize::try_from(size - from).unwrap_or(PIECE).min(PIECE);
                let piece = buf.get_mut(..length).unwrap_or_default();
                match bytes.read(from, piece) {
                    Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                        return Err(changed(&path()));
                    }
                    Err(Error::Damaged { what, .. }) => {
                        let name = path().display().to_string();
                        return Err(Stop::Failed(Error::Damaged { name, what }));
                    }
                    read => read?,
                }
                if length < PIECE || piece.iter().any(|byte| *byte != 0) {
                    spool.write_at(piece, at)?;
                }
                from += length as u64;
                at += length as u64;
            }
            if !source.is(&bytes)? {
                return Err(changed(&path()));
            }
        }
        spool.set_len(at)?;
        Ok(spool)
    }

    /// Encodes and protects the content. The set stays for the owner of the store alone, whatever the directory's mode:
    /// there are files in it that others may not read.
    fn pack_tree(
        &self,
        own: &Own,
        set: &OsStr,
        link: &Link,
        node: &Arc<Node>,
        bundle: &Bundle,
        content: &dyn File,
    ) -> Result<Arc<Object>> {
        let path = node.path().ok_or(Error::NotFound)?;
        let size = bundle.content_size();
        let wish = Wish {
            codec: Some("template"),
            ..Wish::default()
        };
        let Plan::Encode(how) = Plan::of(&self.policy.decide(&path, size), wish) else {
            return Err(Error::Invalid);
        };
        let (codecs, profile) = how.resolve(&[]);
        let mut encoded = None;
        for codec in codecs {
            let mut spool = Spool::new(Arc::clone(&own.staging));
            let attempt = || {
                let mut sink = Stoppable {
                    spool: &mut spool,
                    store: self,
                };
                let content = Plainly {
                    file: content,
                    size,
                };
                let request = Request {
                    effort: how.effort,
                    // No dictionaries: a copy of the object must be all that it needs.
                    ..Request::default()
                };
                codec.encode(&content, request, &mut sink)
            };
            match catch_unwind(AssertUnwindSafe(attempt)) {
                Ok(Ok(done)) => {
                    spool.finish(done.layers)?;
                    encoded = Some((codec.id(), done.settings, spool));
                    break;
                }
                Ok(Err(CodecError::Declined(what))) => {
                    log::debug!("{}: not {}: {what}", path.display(), codec.name());
                }
                Ok(Err(e)) => return Err(e.into()),
                Err(_) => log::error!("{}: the codec {} failed", path.display(), codec.name()),
            }
        }
        let (codec, settings, spool) = encoded.ok_or(Error::Unsupported)?;
        let lengths: Vec<u64> = (0..spool.count()).map(|layer| spool.len(layer)).collect();
        let descriptor = Descriptor {
            version: VERSION,
            size,
            hash: hash_file(content, size, &|| !self.queue.is_stopped())?,
            holes: build::holes(content, size)?,
            kind: ObjectKind::Tree,
            codec: codec.0,
            settings,
            chunks: profile.chunks(),
            layers: profile.layers(&lengths),
            unit: DEFAULT_UNIT,
        };
        let set_id = descriptor.set_id().map_err(std::io::Error::other)?;
        let entry = bundle.entry(0).ok_or(Error::Invalid)?;
        let last = state_of(entry).generation;
        let attributes = Attributes {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            ctime: entry.ctime,
            ino: node.ino,
            generation: next_generation(last, set_id),
        };
        let layout = layout_for(how.layout, lengths.iter().sum(), profile.chunks());
        let staging = own.staging.as_ref();
        build::build(
            staging,
            set,
            &spool,
            &descriptor,
            &link.name,
            &attributes,
            layout,
        )?;
        self.staged(set)
    }

    /// Puts the object in the place of the directory, provided that nothing in that changed and nothing is open.
    fn commit_freeze(
        &self,
        own: &Own,
        set: &OsStr,
        link: &Link,
        node: &Arc<Node>,
        solid: &Solid,
        survey: &Survey,
    ) -> std::result::Result<OsString, Stop> {
        let changed = || Stop::Busy("it changed meanwhile".to_owned());
        // From here on nobody has a directory open.
        let _shape = self.shape.write();
        let _tree = self.tree.read();
        let dir = self.nodes.dir(&link.parent, &self.root, self.seen())?;
        let found = locate::locate(&dir, &link.name, self.seen())?;
        let Some(Found::Native { disk, .. }) = found.filter(|_| node.is_at(link)) else {
            return Err(changed());
        };
        let encoded = names::encoded(&link.name).ok_or(Error::NameTooLong)?;
        let mut at: Option<(&Arc<Node>, Arc<dyn Dir>)> = None;
        for source in &survey.sources {
            let dir = match &at {
                Some((parent, dir)) if Arc::ptr_eq(parent, &source.parent) => Arc::clone(dir),
                _ => self.nodes.dir(&source.parent, &self.root, self.seen())?,
            };
            match source.is_as_it_was(dir.as_ref()) {
                Ok(true) => {}
                Ok(false) => return Err(changed()),
                Err(e) if e.is_not_found() => return Err(changed()),
                Err(e) => return Err(e.into()),
            }
            at = Some((&source.parent, dir));
        }
        let indices: HashMap<Identity, u32> = survey
            .sources
            .iter()
            .map(|source| source.carrier)
            .zip(0..)
            .collect();
        let open = self
            .nodes
            .open_one(&|carrier| indices.contains_key(carrier));
        if let Some(open) = open {
            let path = open.path().unwrap_or_default();
            return Err(Stop::Busy(format!("{} is in use", path.display())));
        }
        let path = Self::path_of(&link.parent)?;
        let place = Place {
            dir: dir.as_ref(),
            path: &path,
        };
        let from = (own.staging.as_ref(), set);
        let trash = switch::unnoticed(dir.as_ref(), || {
            switch::replace_beside(own, from, place, &encoded, &disk)
        })?;
        self.reshaped(&|old| indices.get(old).map(|index| solid.identity(*index)));
        Ok(trash)
    }
}

/// A spool that is dropped when the store closes.
struct Stoppable<'a> {
    spool: &'a mut Spool,
    store: &'a Store,
}

impl LayerSink for Stoppable<'_> {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> std::io::Result<()> {
        self.spool.write(layer, bytes)
    }

    fn cancelled(&self) -> bool {
        self.store.queue.is_stopped()
    }
}
