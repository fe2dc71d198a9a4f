//! Protection: layers in, chunk bodies out, row by row.

use std::io;

use super::ShareSink;
use crate::coding::erasure::Code;
use crate::format::geometry::{Geometry, HASH, Row, unit_hash};
use crate::format::{Descriptor, LayerError, Layers, SetId};

/// Writes the bodies of all chunks of an object. The layers must have the lengths that the descriptor says.
///
/// # Errors
/// [`LayerError::Outside`] when they have not, whatever `layers` fails with, and [`LayerError::Io`] from the sink or
/// for a descriptor outside its limits.
pub fn protect(
    descriptor: &Descriptor,
    layers: &dyn Layers,
    sink: &mut dyn ShareSink,
) -> Result<(), LayerError> {
    let invalid = |e| LayerError::Io(io::Error::new(io::ErrorKind::InvalidInput, e));
    let set = descriptor.set_id().map_err(invalid)?;
    let geometry = Geometry::new(descriptor);
    let mut codes = Vec::with_capacity(geometry.layers.len());
    for (layer, shape) in geometry.layers.iter().enumerate() {
        let length = layers.len(layer);
        if length != shape.length {
            return Err(LayerError::Outside {
                layer,
                offset: length,
                length: 0,
            });
        }
        let code = Code::new(shape.k, geometry.chunks);
        codes.push(code.ok_or(LayerError::Outside {
            layer,
            offset: 0,
            length: 0,
        })?);
    }
    let mut records = vec![Vec::new(); geometry.chunks];
    for row in geometry.rows() {
        let Some(code) = codes.get(row.layer) else {
            continue;
        };
        fill_data(&row, code, layers, &mut records)?;
        finish(set, &row, code, &mut records);
        for (chunk, record) in records.iter().enumerate() {
            sink.put(chunk, row.record, record)?;
        }
    }
    Ok(())
}

/// Reads the data units of a row into their records, with zeros after the end of the layer.
fn fill_data(
    row: &Row,
    code: &Code,
    layers: &dyn Layers,
    records: &mut [Vec<u8>],
) -> Result<(), LayerError> {
    let mut offset = row.start;
    let mut left = usize::try_from(row.length).unwrap_or(usize::MAX);
    for record in records.iter_mut() {
        record.clear();
        record.resize(HASH + row.unit, 0);
    }
    for record in records.iter_mut().take(code.k()) {
        let here = left.min(row.unit);
        if let Some(unit) = record
            .get_mut(HASH..HASH + here)
            .filter(|unit| !unit.is_empty())
        {
            layers.read_at(row.layer, offset, unit)?;
        }
        offset += here as u64;
        left -= here;
    }
    Ok(())
}

/// Computes the parity units of a row from its data units, and all hashes.
fn finish(set: SetId, row: &Row, code: &Code, records: &mut [Vec<u8>]) {
    let (data, parity) = records.split_at_mut(code.k().min(records.len()));
    let data: Vec<&[u8]> = data
        .iter()
        .filter_map(|record| record.get(HASH..))
        .collect();
    let mut parity: Vec<&mut [u8]> = parity
        .iter_mut()
        .filter_map(|record| record.get_mut(HASH..))
        .collect();
    code.encode(&data, &mut parity);
    for (chunk, record) in records.iter_mut().enumerate() {
        if let Some((hash, unit)) = record.split_first_chunk_mut() {
            *hash = unit_hash(set, row, chunk, unit);
        }
    }
}
