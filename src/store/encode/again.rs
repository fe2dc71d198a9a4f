//! Coding an encoded file anew: its set is replaced by another one of the same content.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::content::{Cancelling, WhileWanted};
use super::{Plan, Wish, layout_for};
use crate::codec::template::{Base, Template};
use crate::codec::{Codec, CodecError, Content, Dictionary, Request};
use crate::format::descriptor::DEFAULT_UNIT;
use crate::format::{Attributes, Descriptor, Digest, LayerSpec, Layers, ObjectKind, SetId};
use crate::store::attrs::{copy_native, now};
use crate::store::build::{self, Spool};
use crate::store::dictionaries::Class;
use crate::store::disk::{Access, SetTimes};
use crate::store::locate::Found;
use crate::store::names;
use crate::store::node::Node;
use crate::store::object::{Layout, Object};
use crate::store::tree::Store;
use crate::store::{Error, Result, switch};

/// What it takes now, at most, of what it took: so many tenths.
const GAIN: u64 = 9;

/// What became of it.
#[derive(Debug)]
pub(crate) enum Again {
    /// This is its set now.
    Encoded(Arc<Object>),
    /// It is in use, or not what it was.
    Busy,
    /// It would not take less.
    NoSmaller,
}

/// What a file is coded against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Against<'a> {
    /// What other files hold, too.
    Bases(&'a [Arc<Base>]),
    /// What files like it say.
    Dictionary(&'a Dictionary),
}

/// What an object holds, as the content of an encoder.
#[derive(Debug)]
pub(crate) struct Of<'a>(pub(crate) &'a Object);

impl Content for Of<'_> {
    fn size(&self) -> u64 {
        self.0.descriptor().size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        match self.0.read_at(offset, buf) {
            Ok(read) if read == buf.len() => Ok(()),
            Ok(_) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Err(e) => Err(std::io::Error::other(e)),
        }
    }
}

impl Store {
    /// Codes the content of an encoded file anew, against what is shared; mode, owner, times and all else stay as they are.
    ///
    /// # Errors
    /// What the medium says; the file is as it was then.
    pub(crate) fn encode_again(&self, node: &Arc<Node>, against: Against<'_>) -> Result<Again> {
        let own = self.own()?;
        let _using = self.dictionaries.using.read();
        let path = node.path().ok_or(Error::NotFound)?;
        let was = self.encoded(node.ino)?;
        // The table of a bundle is read before anybody can supply bases.
        let was = was.filter(|was| was.descriptor().kind == ObjectKind::File);
        let Some(was) = was.filter(|_| !node.is_open()) else {
            return Ok(Again::Busy);
        };
        let decision = self.policy.decide(&path, was.descriptor().size);
        let Plan::Encode(how) = Plan::of(&decision, Wish::default()) else {
            return Ok(Again::NoSmaller);
        };
        if how.codec.is_some_and(|codec| codec.id() != Template.id()) {
            return Ok(Again::NoSmaller);
        }
        let (bases, dictionaries) = match against {
            Against::Bases(bases) => (bases, [].as_slice()),
            Against::Dictionary(dictionary) => ([].as_slice(), std::slice::from_ref(dictionary)),
        };
        let request = Request {
            effort: how.effort,
            bases,
            dictionaries,
            ..Request::default()
        };
        let mut spool = Spool::new(Arc::clone(&own.staging));
        let encoded = {
            let mut sink = Cancelling {
                spool: &mut spool,
                store: self,
                node,
            };
            match Template.encode(&Of(&was), request, &mut sink) {
                Err(CodecError::Cancelled) => return Ok(Again::Busy),
                Err(CodecError::Declined(_)) => return Ok(Again::NoSmaller),
                encoded => encoded?,
            }
        };
        spool.finish(encoded.layers)?;
        let before = was.descriptor();
        // It is protected as it was.
        let Some(k) = before.layers.last().map(|layer| layer.k) else {
            return Ok(Again::NoSmaller);
        };
        let length = spool.len(0);
        let descriptor = Descriptor {
            version: crate::format::VERSION,
            codec: Template.id().0,
            settings: encoded.settings,
            layers: vec![LayerSpec { k, length }],
            unit: DEFAULT_UNIT,
            ..before.clone()
        };
        let layout = layout_for(how.layout, length, descriptor.chunks);
        let set = own.fresh(own.staging.as_ref(), "set");
        let made = self.replace(node, &was, &spool, &descriptor, layout, &set, &path);
        if !matches!(made, Ok(Again::Encoded(_)))
            && let Err(e) = crate::store::own::remove_entry(own.staging.as_ref(), &set)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!(".holofs/staging/{}: {e}", set.display());
        }
        made
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step of one function, with its own end"
    )]
    fn replace(
        &self,
        node: &Arc<Node>,
        was: &Arc<Object>,
        spool: &Spool,
        descriptor: &Descriptor,
        layout: Layout,
        set: &OsStr,
        path: &Path,
    ) -> Result<Again> {
        let own = self.own()?;
        let name = path.file_name().unwrap_or_default();
        let set_id = descriptor.set_id().map_err(|source| Error::Format {
            name: name.display().to_string(),
            source,
        })?;
        let attributes = Attributes {
            ino: node.ino,
            generation: next_generation(was.attributes().generation, set_id),
            ..was.attributes()
        };
        let layers = WhileWanted {
            layers: spool,
            store: self,
            node,
        };
        let staging = own.staging.as_ref();
        build::build(staging, set, &layers, descriptor, name, &attributes, layout)?;
        let object = self.staged(set)?;
        if object.stored_bytes() > was.stored_bytes() / 10 * GAIN {
            return Ok(Again::NoSmaller);
        }
        let carrier = object.carrier(Access::Write)?;
        let old = was.carrier(Access::Read)?;
        copy_native(old.as_ref(), was.carrier_meta(), carrier.as_ref())?;
        carrier.set_times(SetTimes {
            atime: Some(was.carrier_meta().atime),
            mtime: None,
        })?;
        carrier.sync(false)?;
        let object = self.staged(set)?;
        if !self.same_content(node, &object, &Of(was))? {
            return Ok(Again::Busy);
        }
        self.put_in_place(node, was, set)
    }

    /// Puts a verified set in the place of the one before, provided that nothing touched the file meanwhile.
    fn put_in_place(&self, node: &Arc<Node>, was: &Object, set: &OsStr) -> Result<Again> {
        let own = self.own()?;
        let _turn = node.turn.lock();
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let _names = link.parent.names.write();
        let (true, Some(disk)) = (node.is_at(&link), names::encoded(&link.name)) else {
            return Ok(Again::Busy);
        };
        let Some(Found::Encoded {
            object: now,
            disk: there,
        }) = self.found_locked(&dir, &link.name)?
        else {
            return Ok(Again::Busy);
        };
        // Whatever changes an attribute changes the carrier.
        let (a, b) = (now.carrier_meta(), was.carrier_meta());
        let same = now.set() == was.set() && (a.dev, a.ino, a.ctime) == (b.dev, b.ino, b.ctime);
        let class = Class::of_object(&now);
        if !same || disk != there || node.is_open() || class != Class::of_object(was) {
            return Ok(Again::Busy);
        }
        switch::replace_set(own, set, dir.as_ref(), &disk)?;
        let Some(Found::Encoded { object, .. }) = self.found_locked(&dir, &link.name)? else {
            return Ok(Again::Busy);
        };
        let mut inner = node.inner.lock();
        inner.carrier = object.carrier_meta().into();
        // The kernel may have pages of the one: the other has the same content.
        if inner.shown == Some(was.set()) {
            inner.shown = Some(object.set());
        }
        drop(inner);
        self.damaged.lock().remove(&was.set().0);
        Ok(Again::Encoded(object))
    }
}

/// The generation after `last` for a set of this id. The high half orders the sets of a name: it is one more than the
/// last one's, and at least the day (since 1970), so that it grows even where nobody remembers the last. The low half
/// is the set's own, so that chunk files of different sets have different names whatever directory they end up in.
pub(crate) fn next_generation(last: u32, set: SetId) -> u32 {
    let day = u32::try_from(now().secs / 86_400).unwrap_or(0);
    let order = ((last >> 16) + 1).max(day).min(u32::from(u16::MAX));
    let Digest([a, b, ..]) = set.0;
    (order << 16) | u32::from(u16::from_le_bytes([a, b]))
}
