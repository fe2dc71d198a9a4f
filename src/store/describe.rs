//! What is stored of an encoded file, as its descriptor says.

use super::object::Layout;
use super::{Result, Store};

/// One layer of an encoded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct DescribedLayer {
    /// Bytes, before parity.
    pub bytes: u64,
    /// Chunks that are enough to read it.
    pub need: u8,
}

/// An encoded file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Described {
    /// Set id, in hexadecimal.
    pub set: String,
    /// BLAKE3 of the content, in hexadecimal.
    pub hash: String,
    /// One file, or one for each chunk.
    pub layout: &'static str,
    /// Bytes of a unit: what is hashed, and lost or found, as a whole.
    pub unit: u32,
    /// Holes of the content.
    pub holes: usize,
    /// Layers in order of importance.
    pub layers: Vec<DescribedLayer>,
}

impl Store {
    /// What is stored of an encoded file; `None` for one that is kept as itself or came from elsewhere.
    ///
    /// # Errors
    /// As [`Store::status`].
    pub fn describe(&self, ino: u64) -> Result<Option<Described>> {
        let Some(object) = self.encoded(ino)? else {
            return Ok(None);
        };
        let descriptor = object.descriptor();
        let layer = |layer: &crate::format::LayerSpec| DescribedLayer {
            bytes: layer.length,
            need: layer.k,
        };
        Ok(Some(Described {
            set: object.set().0.to_string(),
            hash: self.shown(&object).hash().to_string(),
            layout: match object.layout() {
                Layout::Packed => "packed",
                Layout::Spread => "spread",
            },
            unit: descriptor.unit,
            holes: object.holes().len(),
            layers: descriptor.layers.iter().map(layer).collect(),
        }))
    }
}
