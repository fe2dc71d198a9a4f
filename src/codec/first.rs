//! The first layer alone, as if no chunk had more.

use std::fmt;
use std::sync::Arc;

use crate::coding::hash::Digest;
use crate::format::{LayerError, Layers};

/// Layers of which only the first can be read.
pub struct First<'a>(pub Box<dyn Layers + 'a>);

impl Layers for First<'_> {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.0.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        if layer == 0 {
            return self.0.read_at(layer, offset, buf);
        }
        let (have, need) = (0, 1);
        Err(LayerError::Missing {
            layer,
            offset,
            have,
            need,
        })
    }

    fn dictionary(&self, id: &Digest) -> Result<Arc<[u8]>, LayerError> {
        self.0.dictionary(id)
    }

    fn base(&self, id: &Digest, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        self.0.base(id, offset, buf)
    }
}

impl fmt::Debug for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("First");
        out.field("layers", &self.0.count()).finish_non_exhaustive()
    }
}
