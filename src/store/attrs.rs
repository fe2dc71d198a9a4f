//! Attributes and extended attributes, over plain and encoded files alike.
//!
//! Mode, owner, group, access time and extended attributes of an encoded file are those of its carrier (the packed
//! object or the manifest); modification and change time are in the object's attribute slots.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::disk::{self, Access, Dir, File, Kind, Meta, SetTimes, XattrMode};
use super::locate::Found;
use super::node::{Body, Node};
use super::object::Object;
use super::solid::SolidDir;
use super::state::OURS;
use super::tree::Store;
use super::{Attr, Error, Result, SetAttr};
use crate::format::Time;

/// Bits that give their file's owner or group to whoever runs it.
const SET_ID: u32 = 0o6000;
pub(crate) const CAPABILITY: &str = "security.capability";

/// The time now.
pub(crate) fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time {
        secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos(),
    }
}

fn of_meta(node: &Node, meta: &Meta) -> Attr {
    Attr {
        ino: node.ino,
        kind: meta.kind,
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        nlink: meta.nlink,
        size: meta.size,
        blocks: meta.blocks,
        atime: meta.atime,
        mtime: meta.mtime,
        ctime: meta.ctime,
        rdev: meta.rdev,
        writing: node.is_written(),
    }
}

/// Whether writes to this file must clear bits first, so that the kernel may not pass them through.
pub(crate) fn privileged(meta: &Meta, file: &dyn File) -> bool {
    meta.mode & SET_ID != 0 || file.xattr(OsStr::new(CAPABILITY)).is_ok()
}

/// Where the attributes of a name are kept: the directory and the entry in it, or the open manifest.
enum Carrier {
    /// An entry of a directory.
    Entry(Arc<dyn Dir>, OsString),
    /// A file: packed object, manifest, or an unlinked plain file.
    File(Arc<dyn File>, Option<Arc<Object>>),
}

/// Clears set-id bits and capabilities, as a write by somebody unprivileged does.
pub(crate) fn kill_privileges(file: &dyn File) -> Result<()> {
    let mode = file.meta()?.mode;
    // A set-group-id bit without group execution marks mandatory locking, not privilege.
    let kept = if mode & 0o010 == 0 {
        mode & !0o4000
    } else {
        mode & !SET_ID
    };
    if kept != mode {
        file.set_mode(kept)?;
    }
    if file.xattr(OsStr::new(CAPABILITY)).is_ok() {
        file.remove_xattr(OsStr::new(CAPABILITY))?;
    }
    Ok(())
}

impl Store {
    fn of_object(&self, node: &Node, object: &Object, nlink: u32) -> Attr {
        let carrier = object.carrier_meta();
        let attributes = object.attributes();
        Attr {
            nlink,
            size: object.size(),
            blocks: object.stored_bytes().div_ceil(512),
            mtime: object.mtime(),
            ctime: self.reduced.ctime(object.set(), attributes.ctime),
            rdev: 0,
            kind: Kind::File,
            ..of_meta(node, carrier)
        }
    }

    /// Of a solid directory, as far as it can be read.
    fn of_solid(&self, node: &Node, object: &Arc<Object>) -> Attr {
        let solid = self.nodes.solids.of(object).ok();
        if let Some(meta) = solid.and_then(|solid| solid.meta(0)) {
            return of_meta(node, &meta);
        }
        let attributes = object.attributes();
        Attr {
            kind: Kind::Dir,
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
            ..self.of_object(node, object, 2)
        }
    }

    /// Attributes of what was found.
    pub(crate) fn attr_of(&self, node: &Node, found: &Found) -> Attr {
        self.overlaid(node, self.attr_of_file(node, found))
    }

    fn attr_of_file(&self, node: &Node, found: &Found) -> Attr {
        match found {
            Found::Pair { meta, object, .. } => match self.variant_in(object) {
                Some(variant) => self.of_object(node, &variant, 1),
                None => of_meta(node, meta),
            },
            Found::Native { meta, .. } => of_meta(node, meta),
            Found::Encoded { object, .. } => self.of_object(node, &self.shown(object), 1),
            Found::Solid { object, .. } => self.of_solid(node, object),
            Found::Broken { meta, .. } => Attr {
                kind: Kind::File,
                mode: meta.mode & !0o111,
                size: 0,
                nlink: 1,
                ..of_meta(node, meta)
            },
            Found::Foreign { meta, content, .. } => Attr {
                kind: Kind::File,
                mode: shown_mode(meta),
                size: content.size(),
                blocks: content.stored().div_ceil(512),
                nlink: 1,
                ..of_meta(node, meta)
            },
        }
    }

    /// Attributes of an inode.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has no name and is not open, and what the medium says.
    pub fn attr(&self, ino: u64) -> Result<Attr> {
        self.attr_of_node(&self.nodes.get(ino)?)
    }

    pub(crate) fn attr_of_node(&self, node: &Arc<Node>) -> Result<Attr> {
        if node.ino == super::ROOT {
            return Ok(of_meta(node, &self.root.self_meta()?));
        }
        let body = node.inner.lock().open.as_ref().map(|o| o.body.clone());
        if let Some(Body::Plain { file, .. }) = &body {
            return Ok(of_meta(node, &file.meta()?));
        }
        match (node.link(), body) {
            (Some(link), body) => {
                let dir = self.dir(&link.parent)?;
                let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
                Ok(match (found.ok_or(Error::NotFound)?, body) {
                    // Broken since it was opened: its handles still have the size that they read.
                    (
                        Found::Broken { .. },
                        Some(
                            Body::Cached(_, object)
                            | Body::Stream(object)
                            | Body::Reduced(_, object),
                        ),
                    ) => self.of_object(node, &object, 1),
                    (found, _) => self.attr_of(node, &found),
                })
            }
            (None, Some(Body::Member(member))) => {
                let meta = member.meta().ok_or(Error::NotFound)?;
                Ok(of_meta(node, &disk::Meta { nlink: 0, ..meta }))
            }
            (
                None,
                Some(Body::Cached(_, object) | Body::Stream(object) | Body::Reduced(_, object)),
            ) => Ok(self.of_object(node, &object, 0)),
            (None, Some(Body::Overlay { file, .. })) => Ok(Attr {
                nlink: 0,
                ..of_meta(node, &file.meta()?)
            }),
            _ => Err(Error::NotFound),
        }
    }

    /// Runs `change` on what carries the attributes of `node`, and moves the change time of encoded files.
    fn with_carrier<T>(
        &self,
        node: &Arc<Node>,
        access: Access,
        change: impl FnOnce(&Carrier) -> Result<T>,
    ) -> Result<T> {
        if node.ino == super::ROOT {
            return change(&Carrier::Entry(Arc::clone(&self.root), OsString::from(".")));
        }
        let body = node.inner.lock().open.as_ref().map(|o| o.body.clone());
        if let Some(Body::Plain {
            file,
            writable: true,
        }) = body
        {
            self.own()?;
            return change(&Carrier::File(file, None)); // open for writing there is no set beside it
        }
        let Some(link) = node.link() else {
            return match body {
                Some(Body::Plain { file, .. } | Body::Overlay { file, .. }) => {
                    change(&Carrier::File(file, None))
                }
                Some(Body::Member(member)) => change(&Carrier::File(member, None)),
                Some(Body::Cached(_, object) | Body::Stream(object) | Body::Reduced(_, object)) => {
                    change(&Carrier::File(object.carrier(access)?, Some(object)))
                }
                _ => Err(Error::NotFound),
            };
        };
        let dir = self.dir(&link.parent)?;
        let writes = access == Access::Write;
        if !writes {
            let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
            return change(&self.carrier_of(Arc::clone(&dir), found, access)?);
        }
        self.own()?;
        let _names = link.parent.names.write();
        let found = self.found_locked(&dir, &link.name)?;
        // A pair whose plain half gets other attributes than its set is no longer one file.
        if let Some(pair @ Found::Pair { .. }) = &found {
            self.collapse(dir.as_ref(), pair)?;
            self.queue.closed(node);
        }
        change(&self.carrier_of(Arc::clone(&dir), found, access)?)
    }

    fn carrier_of(
        &self,
        dir: Arc<dyn Dir>,
        found: Option<Found>,
        access: Access,
    ) -> Result<Carrier> {
        let solids = &self.nodes.solids;
        match found.ok_or(Error::NotFound)? {
            Found::Native { disk, .. } | Found::Pair { plain: disk, .. } => {
                Ok(Carrier::Entry(dir, disk))
            }
            Found::Encoded { object, .. } => {
                if access == Access::Write {
                    object.restore_manifest()?;
                }
                Ok(Carrier::File(object.carrier(access)?, Some(object)))
            }
            Found::Solid { object, .. } => {
                let itself = SolidDir::new(solids.of(&object)?, 0);
                Ok(Carrier::Entry(Arc::new(itself), OsString::from(".")))
            }
            Found::Broken { .. } | Found::Foreign { .. } if access == Access::Read => {
                Err(Error::NoData)
            }
            Found::Broken { .. } | Found::Foreign { .. } => Err(Error::Denied),
        }
    }

    /// Changes attributes.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::NotFound`], [`Error::IsDirectory`] for a size, and what the medium says.
    pub fn set_attr(&self, ino: u64, set: SetAttr) -> Result<Attr> {
        self.own()?;
        let node = self.nodes.get(ino)?;
        let _shape = self.native(&[&node])?;
        if let Some(size) = set.size {
            if node.kind == Kind::Dir {
                return Err(Error::IsDirectory);
            }
            self.truncate(&node, size, set.kill_privileges)?;
        }
        let mut shared = set;
        if self.is_in_context() && node.kind == Kind::File && set.times != SetTimes::default() {
            let _turn = node.turn.lock();
            let created = matches!(
                node.inner.lock().open.as_ref().map(|open| &open.body),
                Some(Body::Plain { writable: true, .. })
            );
            if !created {
                self.copy_up(&node, false)?.set_times(set.times)?;
                shared.times = SetTimes::default();
            }
        }
        if shared.mode.is_some()
            || shared.uid.is_some()
            || shared.gid.is_some()
            || shared.times != SetTimes::default()
        {
            self.with_carrier(&node, Access::Write, |carrier| apply(carrier, &shared))?;
            if set.mode.is_some() || set.uid.is_some() {
                // Others may be whom it shares with from now on.
                self.families.forget(self.own()?.base.as_ref(), ino);
            }
        }
        if set.times.mtime.is_some() {
            self.note_change(&node);
        }
        self.attr_of_node(&node)
    }

    /// Clears set-id bits and capabilities of a file whose bytes are written to `file`: those of the file itself where
    /// that is an overlay.
    pub(crate) fn kill_privileges(&self, node: &Arc<Node>, file: &dyn File) -> Result<()> {
        let body = node
            .inner
            .lock()
            .open
            .as_ref()
            .map(|open| open.body.clone());
        let plain = matches!(body, Some(Body::Plain { .. }));
        if !self.is_in_context() || plain {
            return kill_privileges(file);
        }
        self.with_carrier(node, Access::Write, |carrier| match carrier {
            Carrier::Entry(dir, disk) => kill_privileges(dir.open(disk, Access::Read)?.as_ref()),
            Carrier::File(file, _) => kill_privileges(file.as_ref()),
        })
    }

    /// An extended attribute; `user.holofs.*` are computed.
    ///
    /// # Errors
    /// [`Error::NoData`] for an unknown computed one, and what the medium says.
    pub fn xattr(&self, ino: u64, name: &OsStr) -> Result<Vec<u8>> {
        let node = self.nodes.get(ino)?;
        if let Some(ours) = name.as_bytes().strip_prefix(OURS) {
            return self.computed_xattr(&node, ours);
        }
        self.with_carrier(&node, Access::Read, |carrier| match carrier {
            Carrier::Entry(dir, disk) => Ok(dir.xattr(disk, name)?),
            Carrier::File(file, _) => Ok(file.xattr(name)?),
        })
    }

    /// Names of the extended attributes, without the computed ones.
    ///
    /// # Errors
    /// What the medium says.
    pub fn xattrs(&self, ino: u64) -> Result<Vec<OsString>> {
        let node = self.nodes.get(ino)?;
        let names = self.with_carrier(&node, Access::Read, |carrier| match carrier {
            Carrier::Entry(dir, disk) => Ok(dir.xattrs(disk)?),
            Carrier::File(file, _) => Ok(file.xattrs()?),
        });
        let mut names = match names {
            Err(Error::NoData) => Vec::new(), // nothing carries any
            names => names?,
        };
        names.retain(|name| !name.as_bytes().starts_with(OURS));
        Ok(names)
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// [`Error::Denied`] for computed ones, [`Error::ReadOnly`], and what the medium says.
    pub fn set_xattr(&self, ino: u64, name: &OsStr, value: &[u8], mode: XattrMode) -> Result<()> {
        self.change_xattr(ino, name, |carrier| match carrier {
            Carrier::Entry(dir, disk) => Ok(dir.set_xattr(disk, name, value, mode)?),
            Carrier::File(file, _) => Ok(file.set_xattr(name, value, mode)?),
        })
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// [`Error::Denied`] for computed ones, [`Error::ReadOnly`], and what the medium says.
    pub fn remove_xattr(&self, ino: u64, name: &OsStr) -> Result<()> {
        self.change_xattr(ino, name, |carrier| match carrier {
            Carrier::Entry(dir, disk) => Ok(dir.remove_xattr(disk, name)?),
            Carrier::File(file, _) => Ok(file.remove_xattr(name)?),
        })
    }

    fn change_xattr(
        &self,
        ino: u64,
        name: &OsStr,
        change: impl FnOnce(&Carrier) -> Result<()>,
    ) -> Result<()> {
        self.own()?;
        if name.as_bytes().starts_with(OURS) {
            return Err(Error::Denied);
        }
        let node = self.nodes.get(ino)?;
        let _shape = self.native(&[&node])?;
        self.with_carrier(&node, Access::Write, |carrier| {
            change(carrier)?;
            touch(carrier)
        })
    }
}

/// Permissions of what another program made: nobody writes it. A directory's say nothing of who executes what it holds.
fn shown_mode(meta: &Meta) -> u32 {
    let executable = if meta.kind == Kind::Dir { 0 } else { 0o111 };
    meta.mode & (0o444 | executable) | 0o400
}

/// Applies mode, owner and times. Owner before mode: changing the owner clears set-id bits.
fn apply(carrier: &Carrier, set: &SetAttr) -> Result<()> {
    match carrier {
        Carrier::Entry(dir, disk) => {
            if set.uid.is_some() || set.gid.is_some() {
                dir.set_owner(disk, set.uid, set.gid)?;
            }
            if let Some(mode) = set.mode {
                dir.set_mode(disk, mode)?;
            }
            if set.times != SetTimes::default() {
                dir.set_times(disk, set.times)?;
            }
            Ok(())
        }
        Carrier::File(file, object) => {
            if set.uid.is_some() || set.gid.is_some() {
                file.set_owner(set.uid, set.gid)?;
            }
            if let Some(mode) = set.mode {
                file.set_mode(mode)?;
            }
            let mtime = match object {
                None => set.times.mtime,
                Some(_) => None, // kept in the object's attributes
            };
            let times = SetTimes {
                atime: set.times.atime,
                mtime,
            };
            if let Some(object) = object {
                let mut attributes = object.attributes();
                attributes.mtime = set.times.mtime.unwrap_or(attributes.mtime);
                attributes.ctime = now();
                object.set_attributes(&attributes)?;
            }
            if times != SetTimes::default() {
                file.set_times(times)?;
            }
            Ok(())
        }
    }
}

/// Moves the change time of an encoded file.
fn touch(carrier: &Carrier) -> Result<()> {
    if let Carrier::File(_, Some(object)) = carrier {
        let mut attributes = object.attributes();
        attributes.ctime = now();
        object.set_attributes(&attributes)?;
    }
    Ok(())
}

/// Copies owner, mode and extended attributes (ACLs included) from one native inode to another. Owner before mode,
/// `security.capability` last: each clears what follows it otherwise.
pub(crate) fn copy_native(from: &dyn File, meta: &Meta, to: &dyn File) -> Result<()> {
    let now = to.meta()?;
    if (now.uid, now.gid) != (meta.uid, meta.gid) {
        to.set_owner(Some(meta.uid), Some(meta.gid))?;
    }
    to.set_mode(meta.mode)?;
    let mut names: Vec<OsString> = match from.xattrs() {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => Vec::new(),
        Err(e) => return Err(e.into()),
    };
    names.retain(|name| !name.as_bytes().starts_with(OURS));
    names.sort_by_key(|name| name == CAPABILITY);
    for name in names {
        to.set_xattr(&name, &from.xattr(&name)?, XattrMode::Any)?;
    }
    Ok(())
}

/// Reads a whole range of an open file, or what there is of it.
pub(crate) fn read_some(file: &dyn disk::File, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}
