//! Open files: a handle holds an inode, never a representation. Opening, reading, writing, closing.

use std::sync::Arc;

use super::attrs::{privileged, read_some};
use super::disk::{Access, File, Kind};
use super::foreign::Foreign;
use super::locate::{Found, open_plain};
use super::node::{Body, Node, Open, Parked};
use super::object::Object;
use super::solid::{Shape, inside};
use super::tree::{Counters, Store};
use super::{Degraded, Error, OpenHow, Opened, Result};
use crate::codec::{self, Medium};
use crate::foreign::Quality;

/// Encoded files up to this size are decoded whole into the cache when they are opened; larger ones are decoded as
/// they are read, so that the first byte does not wait for the last.
const DECODE_WHOLE: u64 = 4 << 20;
/// The same for media, whose decoders are slower.
const DECODE_WHOLE_MEDIA: u64 = 256 << 10;

impl Store {
    /// Opens a regular file.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::IsDirectory`], [`Error::Damaged`] for a file of which nothing is left,
    /// "no space" when it must be decoded to be written and there is none.
    pub fn open_file(&self, ino: u64, how: OpenHow) -> Result<Opened> {
        let node = self.nodes.get(ino)?;
        self.open_node(&node, how)
    }

    pub(crate) fn open_node(&self, node: &Arc<Node>, how: OpenHow) -> Result<Opened> {
        match node.kind {
            Kind::File => {}
            Kind::Dir => return Err(Error::IsDirectory),
            _ => return Err(Error::Invalid),
        }
        if how.write || how.truncate {
            self.own()?;
        }
        let _shape = if how.write || how.truncate {
            self.native(&[node])?
        } else {
            Shape::of(&self.shape)
        };
        let _turn = node.turn.lock();
        if how.truncate {
            self.cut(node, 0, how.kill_privileges)?;
        }
        let body = self.body_for(node, how.write)?;
        // In a context the first write replaces the file below by another: the kernel must not know any.
        let below = !self.is_in_context();
        let mut opened = Opened {
            through: below
                && match &body {
                    Body::Plain { file, .. } => !privileged(&file.meta()?, file.as_ref()),
                    // The copy will get what its object carries when it is promoted to be written.
                    Body::Cached(_, object) | Body::Reduced(_, object) => {
                        let carrier = object.carrier(Access::Read);
                        carrier.is_ok_and(|c| !privileged(object.carrier_meta(), c.as_ref()))
                    }
                    _ => false,
                },
            file: match &body {
                Body::Plain { file, .. } | Body::Cached(file, _) | Body::Reduced(file, _)
                    if below =>
                {
                    Some(Arc::clone(file))
                }
                _ => None,
            },
            keep_cache: false,
        };
        let mut inner = node.inner.lock();
        // Whether streamed or copied: content of one set is the same content.
        let shows = match &body {
            Body::Stream(object) | Body::Cached(_, object) => Some(object.set()),
            Body::Member(member) => Some(member.solid().object().set()),
            _ => None,
        };
        opened.keep_cache = below && shows.is_some() && inner.shown == shows;
        inner.shown = shows;
        if let Body::Stream(object) = &body
            && opened.keep_cache
            && self.cache.takes(object.size())
        {
            self.queue.streamed_again(node);
        }
        let open = inner.open.get_or_insert_with(|| Open::new(body.clone()));
        open.body = body;
        if how.write {
            open.writers += 1;
        } else {
            open.readers += 1;
        }
        open.changed |= how.truncate;
        Ok(opened)
    }

    /// Where the bytes of `node` come from now, writable if asked for. The caller holds the node's turn.
    fn body_for(&self, node: &Arc<Node>, write: bool) -> Result<Body> {
        let body = node.inner.lock().open.as_ref().map(|o| o.body.clone());
        match body {
            Some(
                body @ (Body::Plain { writable: true, .. } | Body::Overlay { writable: true, .. }),
            ) => Ok(body),
            Some(body) if !write => Ok(body),
            Some(Body::Overlay { file, .. }) if node.link().is_none() => Ok(Body::Overlay {
                file: file.reopen(Access::Write)?,
                writable: true,
            }),
            _ if write && self.is_in_context() => Ok(Body::Overlay {
                file: self.copy_up(node, false)?,
                writable: true,
            }),
            Some(Body::Plain { file, .. }) => {
                if node.link().is_some() {
                    self.make_plain(node)?;
                }
                Ok(Body::Plain {
                    file: file.reopen(Access::Write)?,
                    writable: true,
                })
            }
            Some(Body::Foreign(_) | Body::Overlay { .. }) => Err(Error::ReadOnly),
            Some(Body::Cached(..) | Body::Stream(_) | Body::Reduced(..) | Body::Member(_)) => {
                self.writable(node)
            }
            None if write => self.writable(node),
            None => self.readable(node),
        }
    }

    /// Opens a closed file for reading.
    fn readable(&self, node: &Arc<Node>) -> Result<Body> {
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        if let Some(overlay) = self.overlay(node.file(), &self.options.context)? {
            return Ok(Body::Overlay {
                file: overlay.open(Access::Read)?,
                writable: false,
            });
        }
        match found.ok_or(Error::NotFound)? {
            Found::Native { disk, .. } if let Some(solid) = inside(dir.as_ref()) => {
                Ok(Body::Member(Arc::new(solid.member(&disk)?)))
            }
            Found::Pair { object, .. } if self.variant_in(&object).is_some() => {
                Ok(self.decoded(node, self.shown(&object)))
            }
            Found::Native { disk, .. } | Found::Pair { plain: disk, .. } => Ok(Body::Plain {
                file: open_plain(dir.as_ref(), &disk, false)?,
                writable: false,
            }),
            Found::Solid { .. } => Err(Error::IsDirectory),
            Found::Encoded { object, .. } => Ok(self.decoded(node, self.shown(&object))),
            Found::Broken { what, .. } => Err(Error::Damaged {
                name: link.name.display().to_string(),
                what,
            }),
            Found::Foreign { content, .. } => Ok(Body::Foreign(content)),
        }
    }

    /// Makes a decoded copy of a file that is streamed again and again.
    pub(crate) fn fill_cache(&self, node: &Arc<Node>) -> Result<()> {
        let body = node.inner.lock().open.as_ref().map(|o| o.body.clone());
        let object = match (body, node.link()) {
            (Some(Body::Stream(object)), _) => object,
            (None, Some(link)) => {
                let dir = self.dir(&link.parent)?;
                let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
                match found {
                    Some(Found::Encoded { object, .. }) => self.shown(&object),
                    _ => return Ok(()),
                }
            }
            _ => return Ok(()),
        };
        let go_on = || !self.queue.is_stopped();
        self.cache.fill(node, &object, &go_on)
    }

    /// An encoded file for reading: its decoded copy if there is one or making it is quick, else a stream.
    fn decoded(&self, node: &Arc<Node>, object: Arc<Object>) -> Body {
        let whole = object.decodes_whole() || self.is_softer(&object);
        let most = match object.medium() {
            Medium::Other => DECODE_WHOLE,
            _ => DECODE_WHOLE_MEDIA,
        };
        let make = whole || object.size() <= most;
        let made = match self.cache.get(node, &object, make) {
            // Without a place for copies a first byte tells whether the whole can be had.
            Ok(None) if whole => object.read_at(0, &mut [0]).map(|_| None),
            made => made,
        };
        match made {
            Ok(Some(file)) => {
                self.note_quality(node, &object, None);
                Body::Cached(file, object)
            }
            Ok(None) => {
                if whole {
                    self.note_quality(node, &object, None);
                } else {
                    self.note_opened(node, &object);
                }
                Body::Stream(object)
            }
            Err(e) if object.softens_by_ranges() => {
                log::debug!("{}: not decoded whole: {e}", object.set());
                Body::Stream(object)
            }
            Err(e) => {
                match self.reduced(node, &object) {
                    Ok(Some(body)) => return body,
                    Ok(None) => {}
                    Err(e) => log::debug!("{}: not even at reduced quality: {e}", object.set()),
                }
                // Too little space, or too little left of it: a read will say so for the range that it needs.
                log::debug!("{}: not decoded whole: {e}", object.set());
                Body::Stream(object)
            }
        }
    }

    /// Whether a picture that could be streamed has lost too much: it is softer as a whole, not from some row on.
    fn is_softer(&self, object: &Object) -> bool {
        object.medium() == Medium::Image
            && (self.damaged.lock().contains_key(&object.set().0)
                || object
                    .chunk_count()
                    .is_ok_and(|count| count.have < count.need))
    }

    /// Opens a file for writing, as plain. The caller holds the node's turn.
    fn writable(&self, node: &Arc<Node>) -> Result<Body> {
        if node.link().is_none() {
            return self.writable_unlinked(node);
        }
        let (dir, disk) = self.make_plain(node)?;
        Ok(Body::Plain {
            file: open_plain(dir.as_ref(), &disk, true)?,
            writable: true,
        })
    }

    /// Ends one [`Store::open_file`] or [`Store::create`]; `write` as it was opened.
    pub fn release(&self, ino: u64, write: bool) {
        let Ok(node) = self.nodes.get(ino) else {
            return;
        };
        let _turn = node.turn.lock();
        let ended = {
            let mut inner = node.inner.lock();
            let Some(open) = inner.open.as_mut() else {
                return;
            };
            if write {
                open.writers = open.writers.saturating_sub(1);
            } else {
                open.readers = open.readers.saturating_sub(1);
            }
            if open.readers + open.writers > 0 {
                None
            } else {
                let parked = inner.parked.take();
                inner.open.take().map(|open| (open, parked))
            }
        };
        if let Some((open, parked)) = ended {
            self.closed(&node, &open, parked);
        }
        if write {
            self.queue.closed(&node);
        }
    }

    /// After the last handle is gone.
    fn closed(&self, node: &Arc<Node>, open: &Open, parked: Option<Parked>) {
        if let Body::Cached(_, object) | Body::Stream(object) | Body::Reduced(_, object) =
            &open.body
        {
            self.note_damage(object);
        }
        if let Body::Member(member) = &open.body {
            self.note_damage(member.solid().object());
        }
        let Ok(own) = self.own() else { return };
        for trash in &open.trash {
            own.purge(trash);
        }
        if let Some(parked) = parked {
            match self.take_back(node, open, &parked) {
                Ok(true) => Counters::add(&self.counters.restored),
                Ok(false) => self.keep_predecessor(node.ino, &parked.trash),
                Err(e) => {
                    log::warn!("a set was not taken back: {e}; the file is encoded again");
                    own.purge(&parked.trash);
                }
            }
        }
    }

    /// The body of an open file.
    pub(crate) fn body(&self, ino: u64) -> Result<(Arc<Node>, Body)> {
        let node = self.nodes.get(ino)?;
        let body = node.inner.lock().open.as_ref().map(|o| o.body.clone());
        Ok((node, body.ok_or(Error::Invalid)?))
    }

    /// The plain file of an inode that is open for writing.
    pub(crate) fn written(&self, ino: u64) -> Result<(Arc<Node>, Arc<dyn File>)> {
        let (node, body) = self.body(ino)?;
        match body {
            Body::Plain {
                file,
                writable: true,
            }
            | Body::Overlay {
                file,
                writable: true,
            } => {
                if let Some(open) = node.inner.lock().open.as_mut() {
                    open.changed = true;
                }
                Ok((node, file))
            }
            _ => Err(Error::Invalid),
        }
    }

    /// Reads of an open file: fills `buf` as far as the file reaches, returns the bytes read.
    ///
    /// # Errors
    /// [`Error::Damaged`] when too little of the content is left to prove it, and what the medium says.
    pub fn read(&self, ino: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (node, body) = self.body(ino)?;
        let read = match body {
            Body::Plain { file, .. }
            | Body::Overlay { file, .. }
            | Body::Cached(file, _)
            | Body::Reduced(file, _) => {
                return read_some(file.as_ref(), offset, buf);
            }
            Body::Foreign(content) => return self.read_foreign(&node, &content, offset, buf),
            Body::Stream(object) => self.read_stream(&node, &object, offset, buf),
            Body::Member(member) => member.read(offset, buf),
        };
        read.inspect_err(|e| {
            Counters::add(&self.counters.unreadable);
            let path = node.path().unwrap_or_default();
            log::error!("{}: {e}", path.display());
        })
    }

    /// Reads of a file that is decoded as it is read.
    fn read_stream(
        &self,
        node: &Arc<Node>,
        object: &Arc<Object>,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize> {
        let failure = match object.read_best(offset, buf) {
            Ok((read, codec::Quality::Exact)) => return Ok(read),
            Ok((read, codec::Quality::Degraded(layers))) => {
                if object.softens_by_ranges() && self.serves_reduced(node, object) {
                    self.note_range(node, object, layers);
                    node.inner.lock().shown = None; // what the kernel has of it is not the content
                    return Ok(read);
                }
                object.lacks_layers(layers)
            }
            Err(e) if object.softens_by_ranges() => return Err(e),
            Err(e) => e,
        };
        // A picture is softer as a whole, from here on for all who have it open.
        let Some(Body::Reduced(file, object)) = self.reduced(node, object)? else {
            return Err(failure);
        };
        let read = read_some(file.as_ref(), offset, buf);
        if let Some(open) = node.inner.lock().open.as_mut()
            && matches!(open.body, Body::Stream(_))
        {
            open.body = Body::Reduced(file, object);
        }
        read
    }

    /// Reads of another program's format; what is not exact only as the policy says.
    fn read_foreign(
        &self,
        node: &Arc<Node>,
        content: &Foreign,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize> {
        let path = || node.path().unwrap_or_default();
        let read = content.read_at(offset, buf).and_then(|(n, quality)| {
            let reduced = match quality {
                Quality::Exact => None,
                Quality::Degraded(what) => Some(what),
            };
            let before = std::mem::replace(&mut node.inner.lock().reduced, reduced.clone());
            let Some(what) = reduced else { return Ok(n) };
            let chosen = || {
                let decision = self.policy.decide(&path(), content.size());
                decision.degraded.of(content.medium())
            };
            if self.options.degraded.unwrap_or_else(chosen) == Degraded::Refuse {
                buf.fill(0);
                let name = path().display().to_string();
                return Err(Error::Damaged { name, what });
            }
            if before.is_none() {
                log::warn!("{}: read at reduced quality: {what}", path().display());
            }
            Ok(n)
        });
        read.inspect_err(|e| {
            Counters::add(&self.counters.unreadable);
            log::error!("{}: {e}", path().display());
        })
    }

    /// Writes to an open file; `append`: at its end.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not open for writing, and what the medium says.
    pub fn write(&self, ino: u64, offset: u64, data: &[u8], append: bool) -> Result<()> {
        let (_, file) = self.written(ino)?;
        if append {
            file.append(data)?;
        } else {
            file.write_at(data, offset)?;
        }
        Ok(())
    }

    /// Clears set-id bits and capabilities of a file that is open for writing, before somebody unprivileged writes.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not open for writing, and what the medium says.
    pub fn clear_privileges(&self, ino: u64) -> Result<()> {
        let (node, file) = self.written(ino)?;
        self.kill_privileges(&node, file.as_ref())
    }

    /// Sets the size of a file, open or not.
    pub(crate) fn truncate(&self, node: &Arc<Node>, size: u64, kill: bool) -> Result<()> {
        {
            let _turn = node.turn.lock();
            self.cut(node, size, kill)?;
        }
        self.note_change(node);
        Ok(())
    }

    /// Sets the size; the caller holds the turn. To length 0 nothing is decoded.
    fn cut(&self, node: &Arc<Node>, size: u64, kill: bool) -> Result<()> {
        let body = node.inner.lock().open.as_ref().map(|o| o.body.clone());
        let file = match (body, node.link()) {
            (
                Some(
                    Body::Plain {
                        file,
                        writable: true,
                    }
                    | Body::Overlay {
                        file,
                        writable: true,
                    },
                ),
                _,
            ) => file,
            (_, Some(_)) if self.is_in_context() => {
                let file = self.copy_up(node, size == 0)?;
                if let Some(open) = node.inner.lock().open.as_mut() {
                    open.body = Body::Overlay {
                        file: Arc::clone(&file),
                        writable: true,
                    };
                }
                file
            }
            // An open decoded copy must become the plain file: the kernel passes reads and writes through to it.
            (body, Some(link))
                if size == 0
                    && !matches!(body, Some(Body::Cached(..)))
                    && self.replace_by_empty(node, &link)? =>
            {
                return Ok(());
            }
            _ => {
                let body = self.body_for(node, true)?;
                let (Body::Plain { file, .. } | Body::Overlay { file, .. }) = &body else {
                    return Err(Error::Invalid);
                };
                let file = Arc::clone(file);
                if let Some(open) = node.inner.lock().open.as_mut() {
                    open.body = body;
                }
                file
            }
        };
        if kill {
            self.kill_privileges(node, file.as_ref())?;
        }
        Ok(file.set_len(size)?)
    }

    /// Notes that a file changed by other means than an open handle.
    pub(crate) fn note_change(&self, node: &Arc<Node>) {
        let open = {
            let mut inner = node.inner.lock();
            if let Some(open) = inner.open.as_mut() {
                open.changed = true;
            }
            inner.open.is_some()
        };
        if open || node.kind != Kind::File {
            return;
        }
        self.drop_parked(node);
        self.queue.closed(node);
    }

    /// Makes an inode durable.
    ///
    /// # Errors
    /// What the medium says.
    pub fn sync(&self, ino: u64, data_only: bool) -> Result<()> {
        match self.body(ino)?.1 {
            Body::Plain { file, .. } | Body::Overlay { file, .. } => Ok(file.sync(data_only)?),
            Body::Cached(_, object) | Body::Stream(object) | Body::Reduced(_, object) => {
                Ok(object.carrier(Access::Read)?.sync(false)?)
            }
            Body::Foreign(_) | Body::Member(_) => Ok(()),
        }
    }
}
