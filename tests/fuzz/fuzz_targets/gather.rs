//! Layers cut into chunks, damaged anywhere, and gathered again: what reads back is right or missing.

#![no_main]

use std::io;

use arbitrary::Arbitrary;
use holofs::format::{Descriptor, Digest, LayerSpec, Layers};
use holofs::hologram::{Gather, ShareError, ShareSink, ShareSource, protect};
use holofs_fuzz::object::Object;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    chunks: u8,
    unit: u8,
    layers: Vec<(u8, &'a [u8])>,
    /// A chunk, a place in its body, what is changed there; 0: the chunk ends there.
    damage: Vec<(u8, u16, u8)>,
    reads: Vec<(u8, u16, u16)>,
}

#[derive(Debug, Default)]
struct Bodies(Vec<Vec<u8>>);

impl ShareSink for Bodies {
    fn put(&mut self, chunk: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert_eq!(self.0[chunk].len() as u64, offset, "a gap");
        self.0[chunk].extend_from_slice(bytes);
        Ok(())
    }
}

impl ShareSource for Bodies {
    fn get(&self, chunk: usize, offset: u64, buf: &mut [u8]) -> Result<(), ShareError> {
        let start = usize::try_from(offset).map_err(|_| ShareError::Missing)?;
        let range = self.0[chunk]
            .get(start..)
            .and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(range.ok_or(ShareError::Missing)?);
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|input: Input<'_>| {
    let object = Object {
        present: input.layers.len(),
        layers: input
            .layers
            .iter()
            .map(|(_, layer)| layer.to_vec())
            .collect(),
        ..Object::default()
    };
    let chunks = input.chunks.max(1);
    let mut k = 1_u8;
    let layers = input.layers.iter().map(|(more, layer)| {
        k = chunks.min(k.saturating_add(more % 8));
        LayerSpec {
            k,
            length: layer.len() as u64,
        }
    });
    let descriptor = Descriptor {
        size: 1,
        hash: Digest::default(),
        holes: Vec::new(),
        kind: holofs::format::ObjectKind::File,
        codec: 0,
        settings: Vec::new(),
        chunks,
        layers: layers.collect(),
        unit: 16 + u32::from(input.unit),
    };
    let mut bodies = Bodies(vec![Vec::new(); chunks.into()]);
    if protect(&descriptor, &object, &mut bodies).is_err() {
        assert!(
            descriptor.encode().is_err(),
            "no chunks of an object that there can be"
        );
        return;
    }
    let mut damaged = std::collections::BTreeSet::new();
    for (chunk, at, change) in &input.damage {
        let body = &mut bodies.0[usize::from(chunk % chunks)];
        let at = usize::from(*at) % body.len().max(1);
        match (change, body.get_mut(at)) {
            (0, _) => body.truncate(at),
            (change, Some(byte)) => *byte ^= change,
            (_, None) => {}
        }
        damaged.insert(chunk % chunks);
    }
    let gather = Gather::new(&descriptor, bodies).expect("was protected");
    for (layer, offset, length) in &input.reads {
        let layer = usize::from(*layer) % object.layers.len().max(1);
        let Some(wanted) = object.layers.get(layer) else {
            continue;
        };
        let start = usize::from(*offset).min(wanted.len());
        let wanted = &wanted[start..][..usize::from(*length).min(wanted.len() - start)];
        let mut found = vec![0; wanted.len()];
        match gather.read_at(layer, start as u64, &mut found) {
            Ok(()) => assert!(found == wanted, "other bytes"),
            Err(e) => {
                let whole = usize::from(chunks) - damaged.len();
                assert!(
                    whole < usize::from(descriptor.layers[layer].k),
                    "{whole} whole chunks: {e}"
                );
            }
        }
    }
});
