//! Variants of files: what a file shows in a context, and changing that alone.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use super::context::Context;
use super::disk::{Access, File, SetTimes};
use super::locate::{Found, open_plain};
use super::node::{Body, Node};
use super::object::Object;
use super::pairs::hash_file;
use super::state::State;
use super::tree::Store;
use super::{Attr, Error, Kind, Result};
use crate::coding::hash::Hasher;
use crate::format::Time;

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;

/// What a new overlay is made of.
enum Source {
    Plain(Arc<dyn File>),
    Object(Arc<Object>),
}

impl Store {
    /// A set as it is shown in this store's context.
    pub(crate) fn shown(&self, object: &Arc<Object>) -> Arc<Object> {
        self.variant_in(object)
            .unwrap_or_else(|| Arc::clone(object))
    }

    /// A set as it is shown in this store's context, where it has an entry for that.
    pub(crate) fn variant_in(&self, object: &Object) -> Option<Arc<Object>> {
        object.in_context(&self.options.context).map(Arc::new)
    }

    /// The attributes of a file with what is its variant's own, where an overlay is shown.
    pub(crate) fn overlaid(&self, node: &Node, attr: Attr) -> Attr {
        if !self.is_in_context() || attr.kind != Kind::File {
            return attr;
        }
        match self.overlay(node.file(), &self.options.context) {
            Ok(Some(overlay)) => Attr {
                size: overlay.meta.size,
                blocks: overlay.meta.blocks,
                atime: overlay.meta.atime,
                mtime: overlay.meta.mtime,
                ctime: overlay.meta.ctime.max(attr.ctime),
                ..attr
            },
            Ok(None) => attr,
            Err(e) => {
                log::warn!(
                    "inode {:#x}: its variant cannot be looked at: {e}",
                    node.ino
                );
                attr
            }
        }
    }

    /// The variant of a file in this store's context, open for writing: what is shown now is copied first, or with
    /// `empty` is not. What the file shows elsewhere stays. The caller holds the turn.
    pub(crate) fn copy_up(&self, node: &Arc<Node>, empty: bool) -> Result<Arc<dyn File>> {
        let own = self.own()?;
        let context = &self.options.context;
        if let Some(overlay) = self.overlay(node.file(), context)? {
            return overlay.open(Access::Write);
        }
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (names, found) = self.found(&link.parent, &dir, &link.name)?;
        let plain = |disk| open_plain(dir.as_ref(), disk, false).map(Source::Plain);
        let source = match &found.ok_or(Error::NotFound)? {
            Found::Native { meta, .. } if meta.nlink > 1 => return Err(Error::Denied),
            Found::Native { disk, .. } => plain(disk)?,
            Found::Pair {
                plain: disk,
                object,
                ..
            } => match self.variant_in(object) {
                Some(variant) => Source::Object(variant),
                None => plain(disk)?,
            },
            Found::Encoded { object, .. } => Source::Object(self.shown(object)),
            Found::Solid { .. } => return Err(Error::IsDirectory),
            Found::Broken { ours: false, .. } | Found::Foreign { .. } => {
                return Err(Error::ReadOnly);
            }
            Found::Broken { what, .. } => {
                return Err(Error::Damaged {
                    name: link.name.display().to_string(),
                    what: what.clone(),
                });
            }
        };
        drop(names);
        self.keep_number(node)?;
        let (staged, file) = self.stage(&mut |file| match &source {
            _ if empty => Ok(()),
            Source::Plain(from) => {
                let meta = from.meta()?;
                copy(file, meta.size, &mut |at, piece| {
                    Ok(super::disk::read_exact_at(from.as_ref(), piece, at)?)
                })?;
                set_times(file, meta.atime, meta.mtime)
            }
            Source::Object(object) => copy_object(object, file),
        })?;
        let placed = self.place_overlay(&staged, node.file(), context);
        if placed.is_err() {
            own.staging.unlink(&staged).ok(); // it may have its name already
        }
        placed?;
        Ok(file)
    }

    /// Notes the number of a plain file with it, so that it stays the same in a copy of the store that keeps extended
    /// attributes: it is what overlays are found by. Those of sets are in their manifests.
    fn keep_number(&self, node: &Arc<Node>) -> Result<()> {
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        let Some(Found::Native { disk, .. }) = found else {
            return Ok(());
        };
        self.note_promotion()?;
        let file = open_plain(dir.as_ref(), &disk, false)?;
        let state = State::of_file(file.as_ref());
        if state.ino.is_none() {
            State {
                ino: Some(node.file()),
                ..state
            }
            .save(file.as_ref());
            file.sync(false)?;
        }
        Ok(())
    }

    /// A new file in staging, filled and durable, and its name.
    fn stage(
        &self,
        fill: &mut dyn FnMut(&dyn File) -> Result<()>,
    ) -> Result<(OsString, Arc<dyn File>)> {
        let own = self.own()?;
        let staged = own.fresh(own.staging.as_ref(), "variant");
        let file = own.staging.create(&staged, 0o600, 0)?;
        let filled = fill(file.as_ref()).and_then(|()| Ok(file.sync(false)?));
        if let Err(e) = filled {
            if let Err(left) = own.staging.unlink(&staged) {
                log::warn!(".holofs/staging/{}: {left}", staged.display());
            }
            return Err(e);
        }
        Ok((staged, file))
    }

    /// Makes overlays of all variants of a set but the default one, durably, before the set goes. Overlays that are
    /// there are newer.
    pub(crate) fn unfold(&self, ino: u64, object: &Arc<Object>) -> Result<()> {
        for variant in object.variants().iter().skip(1) {
            if self.overlay(ino, &variant.context)?.is_some() {
                continue;
            }
            let variant = object.in_context(&variant.context).ok_or(Error::Invalid)?;
            let (staged, _) = self.stage(&mut |file| copy_object(&variant, file))?;
            let context = variant.shown_in();
            self.place_overlay(&staged, ino, &context)?;
        }
        Ok(())
    }

    /// Gives the variants of a file that is about to be replaced to its successor, durably: a program that saves by
    /// renaming means to change what it has read, not what other contexts show. Those that the successor has are newer.
    pub(crate) fn hand_on(&self, (from, found): (u64, &Found), to: u64) -> Result<()> {
        for context in self.contexts_in(from, found)? {
            if context.named().is_none() || self.overlay(to, &context)?.is_some() {
                continue;
            }
            let (staged, _) = match (self.overlay(from, &context)?, found) {
                (Some(overlay), _) => {
                    let source = overlay.open(Access::Read)?;
                    self.stage(&mut |file| {
                        copy(file, overlay.meta.size, &mut |at, piece| {
                            Ok(super::disk::read_exact_at(source.as_ref(), piece, at)?)
                        })?;
                        set_times(file, overlay.meta.atime, overlay.meta.mtime)
                    })?
                }
                (None, Found::Encoded { object, .. } | Found::Pair { object, .. }) => {
                    let variant = object.in_context(&context).ok_or(Error::Invalid)?;
                    self.stage(&mut |file| copy_object(&variant, file))?
                }
                _ => continue,
            };
            self.place_overlay(&staged, to, &context)?;
        }
        Ok(())
    }

    /// Whether a file has variants beside its default one.
    pub(crate) fn has_variants(&self, ino: u64, found: &Found) -> Result<bool> {
        let in_set = match found {
            Found::Encoded { object, .. } | Found::Pair { object, .. } => {
                object.variants().len() > 1
            }
            _ => false,
        };
        Ok(in_set || !self.overlays_of(ino)?.is_empty())
    }

    /// The contexts of all variants of a file, the default one first; none where there is only that.
    pub(crate) fn contexts_in(&self, ino: u64, found: &Found) -> Result<BTreeSet<Context>> {
        let mut contexts = self.overlays_of(ino)?;
        if let Found::Encoded { object, .. } | Found::Pair { object, .. } = found {
            contexts.extend(object.variants().iter().map(|v| v.context.clone()));
        }
        if !contexts.is_empty() {
            contexts.insert(Context::default());
        }
        Ok(contexts)
    }

    /// Takes bytes of a file that is to become a variant, whose BLAKE3 in hexadecimal is `content`: pieces in order, at least
    /// one. They are kept until [`Store::add_variant`] asks for them or the store closes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what cannot be a hash, [`Error::ReadOnly`], and what the medium says.
    pub fn receive(&self, content: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let staging = &self.own()?.staging;
        let name = incoming(content)?;
        let file = match staging.open(&name, Access::Write) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && offset == 0 => {
                staging.create(&name, 0o600, 0)?
            }
            opened => opened?,
        };
        if offset == 0 {
            file.set_len(0)?;
        }
        Ok(file.write_at(bytes, offset)?)
    }

    /// Gives a file the variant of this context: what [`Store::receive`] was given. It is encoded with the others at once,
    /// where it can be, or later.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the default context and for what is no regular file, [`Error::Denied`] for a file with
    /// several links, [`Error::ReadOnly`], [`Error::Damaged`] where other bytes came than the hash says, and what the
    /// medium says.
    pub fn add_variant(
        &self,
        ino: u64,
        context: &Context,
        content: &str,
        mtime: Time,
    ) -> Result<()> {
        let own = self.own()?;
        let node = self.may_vary(ino)?;
        if context.named().is_none() {
            return Err(Error::Invalid);
        }
        let name = incoming(content)?;
        let file = own.staging.open(&name, Access::Write)?;
        let hash = hash_file(file.as_ref(), file.meta()?.size, &|| true)?;
        if hash.to_string() != content {
            return Err(Error::Damaged {
                name: String::new(),
                what: "it changed while it was read".to_owned(),
            });
        }
        set_times(file.as_ref(), mtime, mtime)?;
        file.sync(false)?;
        self.change_variant(&node, context, &mut || {
            self.keep_number(&node)?;
            self.place_overlay(&name, node.file(), context)
        })?;
        let folded = self.encode_node(&node, None);
        if let Err(e) = folded {
            log::warn!("a variant stays beside its file for now: {e}");
        }
        self.queue.closed(&node);
        Ok(())
    }

    /// Takes the variant of a context from a file, which shows the default one there from then on.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, and those of [`Store::add_variant`].
    pub fn remove_variant(&self, ino: u64, context: &Context) -> Result<()> {
        let node = self.may_vary(ino)?;
        let there = self.variants(ino)?.iter().any(|v| v.context == *context);
        if context.named().is_none() || !there {
            return Err(Error::NotFound);
        }
        self.change_variant(&node, context, &mut || {
            self.make_plain(&node)?; // an object's other variants become overlays
            let reads_set = matches!(
                node.inner.lock().open.as_ref().map(|open| &open.body),
                Some(Body::Cached(..) | Body::Stream(_))
            );
            if !reads_set {
                self.drop_parked(&node); // else the last close drops it
            }
            self.remove_overlay(node.file(), context)?;
            self.sync_overlays()
        })?;
        let encoded = self.encode_node(&node, None);
        if let Err(e) = encoded {
            log::warn!("a file stays plain for now: {e}");
        }
        self.queue.closed(&node);
        Ok(())
    }

    /// Changes what a file shows in a context behind the back of its handles: only where none of them shows that.
    fn change_variant(
        &self,
        node: &Arc<Node>,
        context: &Context,
        change: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let _shape = self.native(&[node])?;
        let _turn = node.turn.lock();
        if node.is_open() && *context == self.options.context {
            return Err(io::Error::from(io::ErrorKind::ResourceBusy).into());
        }
        change()?;
        self.tell_changed(node);
        Ok(())
    }

    /// The variants of a file, the default one first; of a file without others that one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no regular file, and what the medium says.
    pub fn variants(&self, ino: u64) -> Result<Vec<VariantStatus>> {
        let node = self.nodes.get(ino)?;
        if node.kind != Kind::File {
            return Err(Error::Invalid);
        }
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (names, found) = self.found(&link.parent, &dir, &link.name)?;
        drop(names);
        let found = found.ok_or(Error::NotFound)?;
        let mut contexts = self.contexts_in(node.file(), &found)?;
        contexts.insert(Context::default());
        let mut all = Vec::new();
        for context in contexts {
            let overlay = self.overlay(node.file(), &context)?;
            let (size, hash) = match (&overlay, &found) {
                (Some(overlay), _) => (overlay.meta.size, None),
                (None, Found::Encoded { object, .. } | Found::Pair { object, .. }) => {
                    let variant = object.in_context(&context);
                    let shown = variant.as_ref().unwrap_or(object);
                    (shown.size(), Some(shown.hash().to_string()))
                }
                (None, Found::Native { meta, .. }) => (meta.size, None),
                (None, Found::Foreign { content, .. }) => (content.size(), None),
                (None, Found::Solid { .. }) => return Err(Error::IsDirectory),
                (None, Found::Broken { what, .. }) => {
                    return Err(Error::Damaged {
                        name: link.name.display().to_string(),
                        what: what.clone(),
                    });
                }
            };
            all.push(VariantStatus {
                context,
                size,
                hash,
            });
        }
        Ok(all)
    }

    /// A file that may have variants: regular, and of one name.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Denied`] for several links, [`Error::ReadOnly`] for what other programs made.
    fn may_vary(&self, ino: u64) -> Result<Arc<Node>> {
        self.own()?;
        let node = self.nodes.get(ino)?;
        if node.kind != Kind::File {
            return Err(Error::Invalid);
        }
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        match found.ok_or(Error::NotFound)? {
            Found::Native { meta, .. } if meta.nlink > 1 => Err(Error::Denied),
            Found::Foreign { .. } => Err(Error::ReadOnly),
            Found::Broken { what, .. } => Err(Error::Damaged {
                name: link.name.display().to_string(),
                what,
            }),
            _ => Ok(Arc::clone(&node)),
        }
    }
}

/// One variant of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantStatus {
    /// Where it is shown.
    pub context: Context,
    /// Bytes of it.
    pub size: u64,
    /// BLAKE3 of it in hexadecimal, once it is encoded.
    pub hash: Option<String>,
}

/// The name in staging of what has this hash.
fn incoming(content: &str) -> Result<OsString> {
    let hash = content.len() == 64 && content.bytes().all(|b| b.is_ascii_hexdigit());
    let name = || OsString::from(format!("incoming-{content}"));
    hash.then(name).ok_or(Error::Invalid)
}

fn set_times(file: &dyn File, atime: Time, mtime: Time) -> Result<()> {
    Ok(file.set_times(SetTimes {
        atime: Some(atime),
        mtime: Some(mtime),
    })?)
}

/// Fills a new file with `size` bytes.
fn copy(
    file: &dyn File,
    size: u64,
    read: &mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
) -> Result<()> {
    let mut buf = vec![0; usize::try_from(size).unwrap_or(PIECE).min(PIECE)];
    let mut at = 0;
    while at < size {
        let n = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
        let piece = buf.get_mut(..n).unwrap_or_default();
        read(at, piece)?;
        file.write_at(piece, at)?;
        at += n as u64;
    }
    Ok(())
}

/// Fills a new file with what a set shows, proved against its hash.
fn copy_object(object: &Object, file: &dyn File) -> Result<()> {
    let mut hasher = Hasher::default();
    let cut = || Error::Damaged {
        name: object.set().to_string(),
        what: "a variant does not match its hash".to_owned(),
    };
    copy(file, object.size(), &mut |at, piece| {
        if object.read_at(at, piece)? != piece.len() {
            return Err(cut());
        }
        hasher.update(piece);
        Ok(())
    })?;
    if hasher.finish() != object.hash() {
        return Err(cut());
    }
    set_times(file, object.atime(), object.mtime())
}
