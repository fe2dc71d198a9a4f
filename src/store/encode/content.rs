//! What is encoded, and what of the work ends when it is not wanted any more.

use std::sync::Arc;

use super::super::build::Spool;
use super::super::disk::{self, File};
use super::super::node::Node;
use super::super::object::Object;
use super::super::tree::Store;
use super::super::{Error, Result};
use crate::codec::{Content, LayerSink};
use crate::coding::hash::Hasher;
use crate::format::{Digest, Extent, LayerError, Layers, ObjectKind};

/// Bytes compared at a time.
const PIECE: usize = 1 << 20;

/// A plain file as the content of an encoder.
#[derive(Debug)]
pub(crate) struct Plainly<'a> {
    pub(crate) file: &'a dyn File,
    pub(crate) size: u64,
}

impl Content for Plainly<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        disk::read_exact_at(self.file, buf, offset)
    }
}

/// What goes into an object.
pub(super) struct Subject<'a> {
    pub(super) kind: ObjectKind,
    pub(super) content: &'a dyn Content,
    pub(super) holes: Vec<Extent>,
}

/// A spool that is dropped when the store closes or somebody opens the file for writing.
pub(super) struct Cancelling<'a> {
    pub(super) spool: &'a mut Spool,
    pub(super) store: &'a Store,
    pub(super) node: &'a Node,
}

impl LayerSink for Cancelling<'_> {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> std::io::Result<()> {
        self.spool.write(layer, bytes)
    }

    fn cancelled(&self) -> bool {
        !self.store.may_go_on(self.node)
    }
}

/// Layers that cannot be read any more once the work is to be dropped: so protecting gigabytes ends at once.
pub(super) struct WhileWanted<'a> {
    pub(super) layers: &'a Spool,
    pub(super) store: &'a Store,
    pub(super) node: &'a Node,
}

impl Layers for WhileWanted<'_> {
    fn count(&self) -> usize {
        self.layers.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.layers.len(layer)
    }

    fn read_at(
        &self,
        layer: usize,
        offset: u64,
        buf: &mut [u8],
    ) -> std::result::Result<(), LayerError> {
        if !self.store.may_go_on(self.node) {
            return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
        }
        self.layers.read_at(layer, offset, buf)
    }
}

impl Store {
    /// BLAKE3 of what is encoded.
    pub(super) fn hash_content(&self, node: &Node, content: &dyn Content) -> Result<Digest> {
        let mut hasher = Hasher::default();
        let mut buf = vec![0; PIECE];
        let (mut at, size) = (0, content.size());
        while at < size {
            if !self.may_go_on(node) {
                return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
            }
            let n = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            let piece = buf.get_mut(..n).unwrap_or_default();
            content.read_at(at, piece)?;
            hasher.update(piece);
            at += n as u64;
        }
        Ok(hasher.finish())
    }

    /// Decodes a set and compares it with what was encoded byte for byte. `false`: cancelled.
    pub(crate) fn same_content(
        &self,
        node: &Arc<Node>,
        object: &Object,
        content: &dyn Content,
    ) -> Result<bool> {
        let size = content.size();
        let mut wanted = vec![0; PIECE];
        let mut decoded = vec![0; PIECE];
        let mut at = 0;
        while at < size {
            if !self.may_go_on(node) {
                return Ok(false);
            }
            let n = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            let wanted = wanted.get_mut(..n).unwrap_or_default();
            let decoded = decoded.get_mut(..n).unwrap_or_default();
            content.read_at(at, wanted)?;
            if object.read_at(at, decoded)? != n || wanted != decoded {
                return Err(Error::Damaged {
                    name: node.path().unwrap_or_default().display().to_string(),
                    what: format!("the encoded content differs in bytes {at}..+{n}"),
                });
            }
            at += n as u64;
        }
        Ok(true)
    }
}
