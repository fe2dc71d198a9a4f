//! What an encoder reads and writes, until it is not wanted any more.

use crate::codec::{Content, LayerSink};
use crate::format::{LayerError, Layers};
use crate::store::build::Spool;
use crate::store::disk::{self, File};
use crate::store::node::Node;
use crate::store::tree::Store;

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
