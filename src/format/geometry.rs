//! Where the bytes of layers lie in the bodies of chunks.
//!
//! A layer of K data units has `length / (K * unit)` full rows of `K * unit` bytes and, for the rest, one more row
//! whose units have `ceil(rest / K)` bytes, zeros after the end. Data unit i of a row of units of u bytes holds the
//! row's bytes `i * u .. (i + 1) * u` and lies in chunk i: a short read of an intact object touches one chunk.
//!
//! ```text
//! body    | layer 0: row 0 | row 1 | ... | last row | layer 1: row 0 | ...
//! record  | hash, 16 bytes | unit |
//! ```
//!
//! The hash of a unit is the tag, keyed with the set id, of its bytes, with the place
//! layer (2 bytes), chunk (2), zeros (4), row (8).

use super::descriptor::{Descriptor, SetId};
use crate::coding::hash::{Tag, tag};

/// Bytes of the hash before each unit.
pub const HASH: usize = 16;

/// The arithmetic of one descriptor. The limits of descriptors keep every result below 2^63.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    /// N, chunks of the set.
    pub chunks: usize,
    /// The layers.
    pub layers: Vec<LayerGeometry>,
    /// Bytes of each body.
    pub body: u64,
}

/// The arithmetic of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerGeometry {
    /// K, data units of a row.
    pub k: usize,
    /// Bytes of the layer.
    pub length: u64,
    /// Rows, the last one perhaps shorter.
    pub rows: u64,
    /// Bytes of a unit of full rows.
    unit: usize,
    /// Where the layer begins in the body.
    start: u64,
}

/// One row of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Index of the layer.
    pub layer: usize,
    /// Index of the row in its layer.
    pub index: u64,
    /// First byte of the row in the layer.
    pub start: u64,
    /// Bytes of the layer in the row.
    pub length: u64,
    /// Bytes of each of its units, at most 64 KiB.
    pub unit: usize,
    /// Where its records (hash and unit) begin in the bodies.
    pub record: u64,
}

impl Geometry {
    /// The geometry of an object.
    #[must_use]
    pub fn new(descriptor: &Descriptor) -> Self {
        let unit = usize::try_from(descriptor.unit).unwrap_or(usize::MAX);
        let mut start = 0;
        let layers = descriptor
            .layers
            .iter()
            .map(|spec| {
                let k = usize::from(spec.k);
                let rows = spec.length.div_ceil((k * unit) as u64);
                let layer = LayerGeometry {
                    k,
                    length: spec.length,
                    rows,
                    unit,
                    start,
                };
                start += layer.body();
                layer
            })
            .collect();
        Self {
            chunks: usize::from(descriptor.chunks),
            layers,
            body: start,
        }
    }

    /// Row `index` of `layer`, `None` if there is no such row.
    #[must_use]
    pub fn row(&self, layer: usize, index: u64) -> Option<Row> {
        let geometry = self.layers.get(layer)?;
        (index < geometry.rows).then(|| geometry.row(layer, index))
    }

    /// All rows, layer by layer.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.layers
            .iter()
            .enumerate()
            .flat_map(|(layer, geometry)| {
                (0..geometry.rows).map(move |index| geometry.row(layer, index))
            })
    }
}

impl LayerGeometry {
    /// Bytes of the layer in each body.
    fn body(&self) -> u64 {
        let Some(last) = self.rows.checked_sub(1) else {
            return 0;
        };
        let last = self.row(0, last);
        last.record - self.start + (HASH + last.unit) as u64
    }

    /// Index of the row that holds byte `offset` of the layer.
    #[must_use]
    pub fn row_at(&self, offset: u64) -> u64 {
        offset / (self.k * self.unit) as u64
    }

    fn row(&self, layer: usize, index: u64) -> Row {
        let full = (self.k * self.unit) as u64;
        let start = index * full;
        let length = full.min(self.length - start);
        // Not longer than `self.unit`, since `length <= k * unit`.
        let unit = usize::try_from(length.div_ceil(self.k as u64)).unwrap_or(self.unit);
        let record = self.start + index * (HASH + self.unit) as u64;
        Row {
            layer,
            index,
            start,
            length,
            unit,
            record,
        }
    }
}

/// The hash that stands before the unit of `row` in chunk `chunk`.
#[must_use]
pub fn unit_hash(set: SetId, row: &Row, chunk: usize, unit: &[u8]) -> Tag {
    let number = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes();
    let mut place = [0; 16];
    let parts = number(row.layer)
        .into_iter()
        .chain(number(chunk))
        .chain([0; 4]);
    for (to, from) in place.iter_mut().zip(parts.chain(row.index.to_le_bytes())) {
        *to = from;
    }
    tag(&set.0, unit, &place)
}
