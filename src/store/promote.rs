//! Promotion: an encoded file becomes plain to be written, and takes its set back when it was not.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::attrs::copy_native;
use super::disk::{Access, Meta, Rename, SetTimes};
use super::locate::{Found, Seen};
use super::names;
use super::node::{Body, Inner, Link, Node, Open, Parked};
use super::object::Object;
use super::solid::OpenDir;
use super::tree::{Counters, Store};
use super::{Error, Result, switch};

impl Store {
    /// Makes what `node` is named a plain file and nothing else; returns its directory and its name on disk there.
    /// The caller holds the turn.
    pub(crate) fn make_plain(&self, node: &Arc<Node>) -> Result<(OpenDir<'_>, OsString)> {
        loop {
            let link = node.link().ok_or(Error::NotFound)?;
            let dir = self.dir(&link.parent)?;
            let plain = names::plain(&link.name).ok_or(Error::NameTooLong)?;
            let object = {
                let _names = link.parent.names.write();
                if !node.is_at(&link) {
                    continue;
                }
                match self
                    .found_locked(&dir, &link.name)?
                    .ok_or(Error::NotFound)?
                {
                    Found::Native { disk, .. } => {
                        // Put there by somebody else under a name that only encoded files have.
                        if disk != plain {
                            dir.rename(&disk, dir.as_ref(), &plain, Rename::NoReplace)?;
                        }
                        return Ok((dir, plain));
                    }
                    pair @ Found::Pair { .. } => {
                        self.collapse(dir.as_ref(), &pair)?;
                        return Ok((dir, plain));
                    }
                    Found::Encoded { object, .. } => object,
                    Found::Solid { .. } => return Err(Error::IsDirectory),
                    Found::Broken { ours: false, .. } | Found::Foreign { .. } => {
                        return Err(Error::ReadOnly);
                    }
                    Found::Broken { what, .. } => {
                        return Err(Error::Damaged {
                            name: link.name.display().to_string(),
                            what,
                        });
                    }
                }
            };
            if self.promote(node, &link, &object)? {
                return Ok((dir, plain));
            }
        }
    }

    /// Replaces the set of a file by its decoded copy. The caller holds the turn, so the set cannot change
    /// meanwhile; its name can: then the result is `false`.
    fn promote(&self, node: &Arc<Node>, link: &Link, object: &Arc<Object>) -> Result<bool> {
        let own = self.own()?;
        self.note_promotion()?;
        self.unfold(node.file(), object)?;
        object.restore_manifest()?; // it carries the attributes, which are copied below
        let (copy, file) = self.cache.take(own, node, object)?;
        let attributes = object.attributes();
        let prepared = (|| -> Result<()> {
            copy_native(
                object.carrier(Access::Read)?.as_ref(),
                object.carrier_meta(),
                file.as_ref(),
            )?;
            let mut state = Self::state_of_object(object);
            state.promotions = state.promotions.saturating_add(1);
            state.ino = Some(node.ino);
            state.save(file.as_ref());
            file.set_times(SetTimes {
                atime: Some(object.carrier_meta().atime),
                mtime: Some(attributes.mtime),
            })?;
            Ok(file.sync(false)?)
        })();
        let committed = prepared.and_then(|()| self.commit_promotion(node, link, object, &copy));
        let (trash, plain) = match committed {
            Ok(Some(done)) => done,
            other => {
                if let Err(e) = own.cache.unlink(&copy) {
                    log::warn!(".holofs/cache/{}: {e}", copy.display());
                }
                return other.map(|_| false);
            }
        };
        Counters::add(&self.counters.promoted);
        let mut inner = node.inner.lock();
        let parked = Parked { trash, plain };
        let Inner {
            open, parked: at, ..
        } = &mut *inner;
        // Who reads another variant goes on reading what it was opened as.
        let other = |body: &Body| match body {
            Body::Overlay { .. } => true,
            Body::Cached(_, shown) | Body::Stream(shown) => shown.is_variant(),
            _ => false,
        };
        if let Some(open) = open.as_mut().filter(|open| !other(&open.body)) {
            open.body = Body::Plain {
                file,
                writable: !self.is_in_context(), // there a write is for an overlay
            };
        }
        *at = Some(parked);
        Ok(true)
    }

    fn commit_promotion(
        &self,
        node: &Arc<Node>,
        link: &Link,
        object: &Arc<Object>,
        copy: &OsStr,
    ) -> Result<Option<(OsString, Meta)>> {
        let own = self.own()?;
        let dir = self.dir(&link.parent)?;
        let _names = link.parent.names.write();
        // It may have been renamed or removed while it was decoded.
        let disk = match self.found_locked(&dir, &link.name)? {
            Some(Found::Encoded { object: now, disk })
                if node.is_at(link) && now.set() == object.set() =>
            {
                disk
            }
            _ => return Ok(None),
        };
        let plain = names::plain(&link.name).ok_or(Error::NameTooLong)?;
        let from = (own.cache.as_ref(), copy);
        let trash = switch::promote(own, from, dir.as_ref(), &plain, &disk)?;
        let meta = dir.meta(&plain)?;
        // Before the names are free again: whoever looks the file up now must find this node, not make another.
        node.inner.lock().carrier = (&meta).into();
        Ok(Some((trash, meta)))
    }

    /// A file whose name is gone, opened for writing through its descriptor: its bytes go to a nameless file.
    pub(crate) fn writable_unlinked(&self, node: &Arc<Node>) -> Result<Body> {
        let own = self.own()?;
        let body = node.inner.lock().open.as_ref().map(|o| o.body.clone());
        let Some(Body::Cached(_, object) | Body::Stream(object) | Body::Reduced(_, object)) = body
        else {
            return Err(Error::NotFound);
        };
        let (copy, file) = self.cache.take(own, node, &object)?;
        copy_native(
            object.carrier(Access::Read)?.as_ref(),
            object.carrier_meta(),
            file.as_ref(),
        )?;
        own.cache.unlink(&copy)?;
        Ok(Body::Plain {
            file,
            writable: true,
        })
    }

    /// Puts the set of a promoted file back if nothing about the file changed; `false` if something did.
    pub(crate) fn take_back(&self, node: &Arc<Node>, open: &Open, parked: &Parked) -> Result<bool> {
        let Body::Plain { file, .. } = &open.body else {
            return Ok(false);
        };
        let was = &parked.plain;
        let now = file.meta()?;
        // Writes passed through by the kernel are known by the times only. A clock tick may hide one that came
        // within it, so a file whose time of change is as recent as its promotion does not qualify.
        let fresh = was.mtime.secs + 1 >= was.ctime.secs;
        if open.changed
            || fresh
            || (now.size, now.mtime, now.ctime) != (was.size, was.mtime, was.ctime)
        {
            return Ok(false);
        }
        let Some(link) = node.link() else {
            return Ok(false);
        };
        let (Some(plain), Some(set)) = (names::plain(&link.name), names::encoded(&link.name))
        else {
            return Ok(false);
        };
        let dir = self.dir(&link.parent)?;
        let _names = link.parent.names.write();
        let there = dir.meta(&plain)?;
        if (there.ino, there.ctime) != (was.ino, was.ctime) {
            return Ok(false);
        }
        let own = self.own()?;
        switch::restore(own, &parked.trash, dir.as_ref(), &set)?;
        let pair = super::locate::locate(&dir, &link.name, Seen::default())?;
        let Some(Found::Pair { meta, object, .. }) = pair else {
            return Ok(true);
        };
        self.lingering.insert(super::pairs::Linger {
            set: object.set().0,
            plain: meta,
            until: std::time::Instant::now() + self.policy.encode.linger,
            node: Some(Arc::clone(node)),
            tried: false,
        });
        self.queue.wake();
        Ok(true)
    }

    /// An encoded file is cut to nothing: an empty plain file takes its place. `false` if it is not encoded.
    pub(crate) fn replace_by_empty(&self, node: &Arc<Node>, link: &Link) -> Result<bool> {
        let own = self.own()?;
        let dir = self.dir(&link.parent)?;
        let tree = self.tree.read();
        let _names = link.parent.names.write();
        let Some(plain) = names::plain(&link.name) else {
            return Ok(false);
        };
        let (disk, carrier, generation) = match self.found_locked(&dir, &link.name)? {
            Some(Found::Encoded { object, disk }) => {
                self.unfold(node.file(), &object)?;
                (
                    disk,
                    object.carrier(Access::Read).ok(),
                    object.attributes().generation,
                )
            }
            Some(Found::Broken {
                disk, ours: true, ..
            }) => (disk, None, 0),
            _ => return Ok(false),
        };
        self.note_promotion()?;
        let copy = own.fresh(own.staging.as_ref(), "empty");
        let file = own.staging.create(&copy, 0o600, 0)?;
        let placed = (|| -> Result<OsString> {
            if let Some(carrier) = carrier {
                copy_native(carrier.as_ref(), &carrier.meta()?, file.as_ref())?;
            }
            super::state::State {
                ino: Some(node.ino),
                generation,
                promotions: 1,
                kept: None,
            }
            .save(file.as_ref());
            file.sync(false)?;
            let path = Self::path_of(&link.parent)?;
            let to = switch::Place {
                dir: dir.as_ref(),
                path: &path,
            };
            let from = (own.staging.as_ref(), copy.as_os_str());
            switch::unnoticed(dir.as_ref(), || {
                switch::replace_beside(own, from, to, &plain, &disk)
            })
        })();
        let trash = placed.inspect_err(|_| {
            if let Err(e) = own.staging.unlink(&copy) {
                log::warn!(".holofs/staging/{}: {e}", copy.display());
            }
        })?;
        drop(tree);
        let meta = dir.meta(&plain)?;
        let mut inner = node.inner.lock();
        inner.carrier = (&meta).into();
        if let Some(open) = inner.open.as_mut() {
            open.trash.push(trash);
            open.changed = true;
            open.body = Body::Plain {
                file,
                writable: true,
            };
        } else {
            drop(inner);
            own.purge(&trash);
        }
        Ok(true)
    }
}
