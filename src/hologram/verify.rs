//! Verification: every unit of every chunk, and what the losses mean for each layer.

use std::io;

use super::ShareSource;
use super::gather::{Gather, Lost};

/// What was found in one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkReport {
    /// Units whose hash holds.
    pub good: u64,
    /// Units whose hash does not hold.
    pub bad: u64,
    /// Units that are not there.
    pub missing: u64,
}

/// What was found in one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerReport {
    /// Its rows.
    pub rows: u64,
    /// Rows that lack units and can be rebuilt.
    pub damaged: u64,
    /// Rows that lack more units than there is parity for, though their data may be partly there.
    pub lost: u64,
}

/// What [`Gather::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// One for each chunk.
    pub chunks: Vec<ChunkReport>,
    /// One for each layer.
    pub layers: Vec<LayerReport>,
}

impl Report {
    /// Whether every unit is as it was written.
    #[must_use]
    pub fn intact(&self) -> bool {
        self.chunks
            .iter()
            .all(|chunk| chunk.bad == 0 && chunk.missing == 0)
    }

    /// How many layers, from the first on, can be read wholly.
    #[must_use]
    pub fn readable_layers(&self) -> usize {
        self.layers
            .iter()
            .take_while(|layer| layer.lost == 0)
            .count()
    }
}

impl<S: ShareSource> Gather<S> {
    /// Reads and checks every unit of every chunk. `go_on` is called after each row with the bytes read for it and
    /// says whether to go on; `None` if it said no.
    ///
    /// # Errors
    /// When the medium fails in a way that says nothing about the chunks.
    pub fn verify(&self, go_on: &mut dyn FnMut(u64) -> bool) -> io::Result<Option<Report>> {
        let geometry = self.geometry();
        let mut report = Report {
            chunks: vec![ChunkReport::default(); geometry.chunks],
            layers: vec![LayerReport::default(); geometry.layers.len()],
        };
        for row in geometry.rows() {
            let mut good = 0;
            for (chunk, found) in report.chunks.iter_mut().enumerate() {
                match self.stored_unit(&row, chunk)? {
                    Ok(_) => {
                        found.good += 1;
                        good += 1;
                    }
                    Err(Lost::Bad) => found.bad += 1,
                    Err(Lost::Missing) => found.missing += 1,
                }
            }
            let shape = geometry.layers.get(row.layer);
            if let Some((found, shape)) = report.layers.get_mut(row.layer).zip(shape) {
                found.rows += 1;
                found.lost += u64::from(good < shape.k);
                found.damaged += u64::from(good >= shape.k && good < geometry.chunks);
            }
            if !go_on((geometry.chunks * row.unit) as u64) {
                return Ok(None);
            }
        }
        Ok(Some(report))
    }
}
