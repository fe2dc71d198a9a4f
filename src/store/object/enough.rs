//! Layers as decoders see them: of media while chunks are enough, of others with dictionaries.

use std::sync::Arc;

use super::shares::Shares;
use crate::format::{Descriptor, Digest, Geometry, LayerError, Layers};
use crate::hologram::Gather;
use crate::store::dictionaries::Dictionaries;

/// The layers of a medium, each only while there are as many chunks as it needs.
///
/// Of a layer that too few are left of, those ranges could be read whose units happen to lie in one of them. The file would
/// be exact here and soft there by the choice of chunks, and its parts would not fit together: the head of a FLAC file
/// says how long its frames are and what the hash of its samples is.
#[derive(Debug)]
pub(super) struct Enough {
    gather: Arc<Gather<Shares>>,
    /// Chunks that each layer needs.
    needs: Vec<usize>,
    chunks: usize,
    /// Bytes of a whole chunk body.
    body: u64,
}

impl Enough {
    pub(super) fn new(descriptor: &Descriptor, gather: Arc<Gather<Shares>>) -> Self {
        let needs = descriptor.layers.iter();
        Self {
            gather,
            needs: needs.map(|layer| layer.k.into()).collect(),
            chunks: descriptor.chunks.into(),
            body: Geometry::new(descriptor).body,
        }
    }
}

/// Layers with the dictionaries of the store they lie in.
pub(super) struct Supplied {
    pub(super) layers: Arc<dyn Layers>,
    pub(super) dictionaries: Option<Arc<Dictionaries>>,
}

impl Layers for Supplied {
    fn count(&self) -> usize {
        self.layers.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.layers.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        self.layers.read_at(layer, offset, buf)
    }

    fn dictionary(&self, id: &Digest) -> Result<Arc<[u8]>, LayerError> {
        let Some(dictionaries) = &self.dictionaries else {
            return Err(LayerError::Dictionary { id: *id });
        };
        dictionaries.get(id)
    }

    fn base(&self, id: &Digest, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let Some(dictionaries) = &self.dictionaries else {
            return Err(LayerError::Dictionary { id: *id });
        };
        dictionaries.read_base(id, offset, buf)
    }
}

impl Layers for Enough {
    fn count(&self) -> usize {
        self.gather.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.gather.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let need = self.needs.get(layer).copied().unwrap_or(0);
        let mut have = 0;
        for chunk in 0..self.chunks {
            if have == need {
                break;
            }
            if self.gather.source().has(chunk, self.body)? {
                have += 1;
            } else {
                self.gather.note_missing(chunk);
            }
        }
        if have < need {
            return Err(LayerError::Missing {
                layer,
                offset,
                have,
                need,
            });
        }
        self.gather.read_at(layer, offset, buf)
    }
}
