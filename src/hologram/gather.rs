//! Gathering: the layers of an object from whatever is left of its chunks.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{ShareError, ShareSource};
use crate::coding::erasure::Code;
use crate::format::geometry::{Geometry, HASH, LayerGeometry, Row, unit_hash};
use crate::format::{Descriptor, FormatError, LayerError, Layers, SetId};

/// Units kept after they were verified or rebuilt, so that small sequential reads do neither twice: 256 KiB at most.
const RECENT: usize = 4;
/// Bad units remembered by their place; what is beyond shows in the next scrub.
const REMEMBERED: usize = 256;

/// One unit whose bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BadUnit {
    /// Chunk that holds it.
    pub chunk: usize,
    /// Its layer.
    pub layer: usize,
    /// Its row in the layer.
    pub row: u64,
}

/// Damage that reads have met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// Chunks of which bytes were not there.
    pub missing: BTreeSet<usize>,
    /// Units whose hash does not hold.
    pub bad: BTreeSet<BadUnit>,
}

impl Damage {
    /// Whether nothing was met.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.bad.is_empty()
    }
}

/// A unit at its place: layer, row, chunk.
type Place = (usize, u64, usize);

/// The layers of an object, read from the shares that are left. Reads only the units that a range needs and verifies
/// each; for one that is bad or missing, that row is rebuilt from any K others.
#[derive(Debug)]
pub struct Gather<S> {
    source: S,
    set: SetId,
    geometry: Geometry,
    damage: Mutex<Damage>,
    recent: Mutex<VecDeque<(Place, Arc<[u8]>)>>,
}

impl<S: ShareSource> Gather<S> {
    /// The layers of the object that `descriptor` describes.
    ///
    /// # Errors
    /// [`FormatError`] when the descriptor is outside its limits.
    pub fn new(descriptor: &Descriptor, source: S) -> Result<Self, FormatError> {
        Ok(Self {
            source,
            set: descriptor.set_id()?,
            geometry: Geometry::new(descriptor),
            damage: Mutex::default(),
            recent: Mutex::default(),
        })
    }

    /// The set whose units count.
    pub fn set(&self) -> SetId {
        self.set
    }

    /// Where the bytes come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Damage met since the last call of [`Gather::forget_damage`].
    pub fn damage(&self) -> Damage {
        self.damage.lock().clone()
    }

    /// Remembers that a chunk is missing, whoever found that out.
    pub fn note_missing(&self, chunk: usize) {
        self.damage.lock().missing.insert(chunk);
    }

    /// Forgets the damage met so far: chunks may have come back.
    pub fn forget_damage(&self) {
        *self.damage.lock() = Damage::default();
    }

    pub(super) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The unit of `row` in `chunk`, verified; what is bad or missing is remembered.
    ///
    /// # Errors
    /// When the medium fails otherwise.
    pub(super) fn stored_unit(&self, row: &Row, chunk: usize) -> io::Result<Result<Vec<u8>, Lost>> {
        let mut record = vec![0; HASH + row.unit];
        let lost = match self.source.get(chunk, row.record, &mut record) {
            Ok(()) => match record.split_first_chunk::<HASH>() {
                Some((hash, unit)) if unit_hash(self.set, row, chunk, unit) == *hash => {
                    record.drain(..HASH);
                    return Ok(Ok(record));
                }
                _ => {
                    self.source.doubt(chunk);
                    Lost::Bad
                }
            },
            Err(ShareError::Missing) => Lost::Missing,
            Err(ShareError::Io(e)) => return Err(e),
        };
        let mut damage = self.damage.lock();
        match lost {
            Lost::Missing => {
                damage.missing.insert(chunk);
            }
            Lost::Bad if damage.bad.len() < REMEMBERED => {
                damage.bad.insert(BadUnit {
                    chunk,
                    layer: row.layer,
                    row: row.index,
                });
            }
            Lost::Bad => {}
        }
        Ok(Err(lost))
    }

    /// The data unit `index` of `row`, read or rebuilt.
    fn unit(
        &self,
        shape: &LayerGeometry,
        row: &Row,
        index: usize,
    ) -> Result<Arc<[u8]>, LayerError> {
        let place = (row.layer, row.index, index);
        if let Some((_, unit)) = self.recent.lock().iter().find(|(at, _)| *at == place) {
            return Ok(Arc::clone(unit));
        }
        let unit = match self.stored_unit(row, index)? {
            Ok(unit) => unit,
            Err(_) => self.rebuild(shape, row, index)?,
        };
        let unit: Arc<[u8]> = unit.into();
        let mut recent = self.recent.lock();
        recent.push_front((place, Arc::clone(&unit)));
        recent.truncate(RECENT);
        Ok(unit)
    }

    /// Computes the unit of `row` in chunk `lost` from any K others.
    fn rebuild(
        &self,
        shape: &LayerGeometry,
        row: &Row,
        lost: usize,
    ) -> Result<Vec<u8>, LayerError> {
        let mut have = Vec::with_capacity(shape.k);
        for chunk in (0..self.geometry.chunks).filter(|&chunk| chunk != lost) {
            if have.len() == shape.k {
                break;
            }
            if let Ok(unit) = self.stored_unit(row, chunk)? {
                have.push((chunk, unit));
            }
        }
        let shares: Vec<(usize, &[u8])> = have
            .iter()
            .map(|(chunk, unit)| (*chunk, unit.as_slice()))
            .collect();
        let mut unit = vec![0; row.unit];
        let code = Code::new(shape.k, self.geometry.chunks);
        match code {
            Some(code) if code.rebuild(&shares, &mut [(lost, unit.as_mut_slice())]) => Ok(unit),
            _ => Err(LayerError::Missing {
                layer: row.layer,
                offset: row.start,
                have: have.len(),
                need: shape.k,
            }),
        }
    }
}

/// How a unit is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its bytes are not there.
    Missing,
    /// Its bytes are others.
    Bad,
}

impl<S: ShareSource> Layers for Gather<S> {
    fn count(&self) -> usize {
        self.geometry.layers.len()
    }

    fn len(&self, layer: usize) -> u64 {
        self.geometry
            .layers
            .get(layer)
            .map_or(0, |shape| shape.length)
    }

    fn read_at(&self, layer: usize, mut offset: u64, mut buf: &mut [u8]) -> Result<(), LayerError> {
        let outside = LayerError::Outside {
            layer,
            offset,
            length: buf.len(),
        };
        let Some(shape) = self.geometry.layers.get(layer) else {
            return Err(outside);
        };
        if offset
            .checked_add(buf.len() as u64)
            .is_none_or(|end| end > shape.length)
        {
            return Err(outside);
        }
        while !buf.is_empty() {
            let Some(row) = self.geometry.row(layer, shape.row_at(offset)) else {
                return Err(outside);
            };
            let inside = usize::try_from(offset - row.start).unwrap_or(usize::MAX);
            let (index, skip) = (inside / row.unit, inside % row.unit);
            let unit = self.unit(shape, &row, index)?;
            let bytes = unit.get(skip..).unwrap_or_default();
            let (here, rest) = buf.split_at_mut(bytes.len().min(buf.len()));
            here.copy_from_slice(bytes.get(..here.len()).unwrap_or_default());
            offset += here.len() as u64;
            buf = rest;
        }
        Ok(())
    }
}
