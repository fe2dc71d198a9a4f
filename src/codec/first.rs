//! The first layer alone, as if no chunk had more.

use crate::format::{LayerError, Layers};

/// Layers of which only the first can be read.
pub(super) struct First<'a>(pub(super) Box<dyn Layers + 'a>);

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
}
