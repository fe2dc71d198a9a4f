//! Tests of holograms: any K of N give every byte, fewer give an error, and never a wrong byte.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::format::{Descriptor, Digest, LayerError, LayerSpec, Layers};

/// Layers in memory.
struct Memory(Vec<Vec<u8>>);

impl Layers for Memory {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn len(&self, layer: usize) -> u64 {
        self.0.get(layer).map_or(0, |bytes| bytes.len() as u64)
    }
    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let at = offset as usize;
        buf.copy_from_slice(&self.0[layer][at..at + buf.len()]);
        Ok(())
    }
}

/// Chunk bodies in memory, some of them gone, with a count of the bytes read.
#[derive(Default)]
struct Bodies {
    bytes: Mutex<Vec<Option<Vec<u8>>>>,
    read: AtomicU64,
}

impl ShareSink for Bodies {
    fn put(&mut self, chunk: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let bodies = self.bytes.get_mut();
        bodies.resize(bodies.len().max(chunk + 1), Some(Vec::new()));
        let body = bodies[chunk].as_mut().unwrap();
        assert_eq!(body.len() as u64, offset, "bodies are put front to back");
        body.extend(bytes);
        Ok(())
    }
}

impl ShareSource for Bodies {
    fn get(&self, chunk: usize, offset: u64, buf: &mut [u8]) -> Result<(), ShareError> {
        let bodies = self.bytes.lock();
        let at = offset as usize;
        let body = bodies
            .get(chunk)
            .and_then(Option::as_ref)
            .ok_or(ShareError::Missing)?;
        buf.copy_from_slice(body.get(at..at + buf.len()).ok_or(ShareError::Missing)?);
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A small generator; tests print the seed they began with.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

fn layers(lengths: &[usize]) -> Memory {
    let byte = |layer: usize, i: usize| ((i * 7 + layer * 31) ^ (i >> 8)) as u8;
    Memory(
        lengths
            .iter()
            .enumerate()
            .map(|(l, &n)| (0..n).map(|i| byte(l, i)).collect())
            .collect(),
    )
}

fn made(ks: &[u8], n: u8, unit: u32, memory: &Memory) -> (Descriptor, Gather<Bodies>) {
    let spec = |(&k, bytes): (&u8, &Vec<u8>)| LayerSpec {
        k,
        length: bytes.len() as u64,
    };
    let descriptor = Descriptor {
        version: crate::format::VERSION,
        size: 1,
        hash: Digest([1; 32]),
        holes: Vec::new(),
        kind: crate::format::ObjectKind::File,
        codec: 1,
        settings: Vec::new(),
        chunks: n,
        layers: ks.iter().zip(&memory.0).map(spec).collect(),
        unit,
    };
    let mut bodies = Bodies::default();
    protect(&descriptor, memory, &mut bodies).unwrap();
    bodies.bytes.get_mut().resize(n.into(), Some(Vec::new()));
    let gather = Gather::new(&descriptor, bodies).unwrap();
    (descriptor, gather)
}

/// Whether a layer reads back exactly, wholly and in pieces; otherwise it must be an honest error.
fn readable(gather: &Gather<Bodies>, layer: usize, expected: &[u8]) -> bool {
    let mut whole = vec![0; expected.len()];
    match gather.read_at(layer, 0, &mut whole) {
        Ok(()) => assert!(whole == expected, "wrong bytes in layer {layer}"),
        Err(LayerError::Missing { .. }) => return false,
        Err(e) => panic!("{e}"),
    }
    for start in (0..expected.len()).step_by(37) {
        let end = (start + 50).min(expected.len());
        let mut piece = vec![0; end - start];
        gather.read_at(layer, start as u64, &mut piece).unwrap();
        assert_eq!(piece, expected[start..end]);
    }
    true
}

#[test]
fn every_subset_of_chunks_gives_the_layers_it_is_enough_for_and_no_other() {
    for (ks, n) in [
        (&[1u8][..], 1u8),
        (&[1], 3),
        (&[2], 2),
        (&[2], 5),
        (&[4], 6),
        (&[1, 3, 5], 6),
        (&[2, 2, 4], 7),
    ] {
        for length in [0, 1, 2, 15, 16, 17, 63, 64, 65, 200, 333] {
            let memory = layers(&vec![length; ks.len()]);
            for subset in 0u32..1 << n {
                let (_, gather) = made(ks, n, 16, &memory);
                for (chunk, body) in gather.source().bytes.lock().iter_mut().enumerate() {
                    if subset >> chunk & 1 == 0 {
                        *body = None;
                    }
                }
                for (layer, &k) in ks.iter().enumerate() {
                    // With too few chunks single data units may still be there, the whole layer is not promised.
                    let got = readable(&gather, layer, &memory.0[layer]);
                    let enough = subset.count_ones() >= u32::from(k);
                    assert!(
                        got || !enough,
                        "k {k} of {n}, length {length}, subset {subset:b}"
                    );
                }
                let report = gather.verify(&mut |_| true).unwrap().unwrap();
                let expected = ks
                    .iter()
                    .take_while(|&&k| subset.count_ones() >= u32::from(k))
                    .count();
                let expected = if length == 0 { ks.len() } else { expected };
                assert_eq!(report.readable_layers(), expected);
                assert_eq!(
                    report.intact(),
                    length == 0 || subset.count_ones() == u32::from(n)
                );
            }
        }
    }
}

#[test]
fn unit_and_row_edges_and_the_large_profiles_work() {
    for (k, n) in [(15u8, 16u8), (14, 16), (12, 16), (1, 255), (100, 130)] {
        let row = usize::from(k) * 512;
        for length in [1, row - 1, row, row + 1, 3 * row, 3 * row + 5] {
            let memory = layers(&[length]);
            let (_, gather) = made(&[k], n, 512, &memory);
            for body in gather
                .source()
                .bytes
                .lock()
                .iter_mut()
                .take(usize::from(n - k))
            {
                *body = None;
            }
            assert!(
                readable(&gather, 0, &memory.0[0]),
                "{k}/{n}, {length} bytes"
            );
        }
    }
}

#[test]
fn corrupted_units_never_give_wrong_bytes() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0x5eed);
    let mut random = Random(seed);
    for round in 0..300 {
        let memory = layers(&[40, 1000]);
        let (_, gather) = made(&[2, 4], 6, 16, &memory);
        let mut hit = [false; 6];
        {
            let mut bodies = gather.source().bytes.lock();
            for _ in 0..=random.below(6) {
                let chunk = random.below(6);
                let Some(body) = bodies[chunk].as_mut().filter(|body| !body.is_empty()) else {
                    continue;
                };
                hit[chunk] = true;
                match random.below(5) {
                    0 => body.truncate(random.below(body.len())),
                    1 => bodies[chunk] = None,
                    2 => bodies.swap(chunk, (chunk + 1) % 6), // bodies at the wrong place
                    _ => {
                        let at = random.below(body.len());
                        body[at] ^= 1 << random.below(8);
                    }
                }
            }
        }
        let lost = hit.iter().filter(|&&hit| hit).count();
        for (layer, spare) in [(0, 4), (1, 2)] {
            // A swap harms two chunks.
            let read = readable(&gather, layer, &memory.0[layer]);
            assert!(
                read || 2 * lost > spare,
                "seed {seed}, round {round}, layer {layer}"
            );
        }
    }
}

#[test]
fn damage_is_remembered_until_it_is_forgotten() {
    let memory = layers(&[500]);
    let (_, gather) = made(&[4], 6, 16, &memory);
    assert!(readable(&gather, 0, &memory.0[0]) && gather.damage().is_empty());
    let kept = gather.source().bytes.lock()[0].take();
    gather.source().bytes.lock()[1].as_mut().unwrap()[40] ^= 1;
    let report = gather.verify(&mut |_| true).unwrap().unwrap();
    assert_eq!(
        report.chunks[0],
        ChunkReport {
            good: 0,
            bad: 0,
            missing: 8
        }
    );
    assert_eq!(
        report.chunks[1],
        ChunkReport {
            good: 7,
            bad: 1,
            missing: 0
        }
    );
    assert_eq!(
        report.layers,
        [LayerReport {
            rows: 8,
            damaged: 8,
            lost: 0
        }]
    );
    assert_eq!(gather.damage().missing.into_iter().collect::<Vec<_>>(), [0]);
    let bad = BadUnit {
        chunk: 1,
        layer: 0,
        row: 1,
    };
    assert_eq!(gather.damage().bad.into_iter().collect::<Vec<_>>(), [bad]);
    gather.source().bytes.lock()[0] = kept;
    gather.source().bytes.lock()[1].as_mut().unwrap()[40] ^= 1;
    gather.forget_damage();
    assert!(gather.verify(&mut |_| true).unwrap().unwrap().intact());
    assert!(gather.damage().is_empty());
    assert!(gather.verify(&mut |_| false).unwrap().is_none());
}

#[test]
fn an_intact_short_read_touches_one_unit_of_one_chunk() {
    let memory = layers(&[1_000_000]);
    let (_, gather) = made(&[14], 16, 65536, &memory);
    for chunk in 1..16 {
        gather.source().bytes.lock()[chunk] = None;
    }
    let mut buf = [0; 4096];
    gather.read_at(0, 3 << 12, &mut buf).unwrap();
    assert_eq!(buf, memory.0[0][3 << 12..4 << 12]);
    assert!(gather.source().read.load(Ordering::Relaxed) <= 65536 + 16);
}

#[test]
fn equal_input_gives_equal_bodies_and_another_set_never_fits() {
    let memory = layers(&[3000]);
    let (descriptor, first) = made(&[3], 5, 64, &memory);
    let (_, second) = made(&[3], 5, 64, &memory);
    assert_eq!(*first.source().bytes.lock(), *second.source().bytes.lock());
    // The same bytes under another descriptor: not one unit counts.
    let other = Descriptor {
        size: 2,
        ..descriptor
    };
    let bodies = std::mem::take(&mut *first.source().bytes.lock());
    let gather = Gather::new(
        &other,
        Bodies {
            bytes: Mutex::new(bodies),
            ..Bodies::default()
        },
    )
    .unwrap();
    assert!(!readable(&gather, 0, &memory.0[0]));
    let report = gather.verify(&mut |_| true).unwrap().unwrap();
    assert!(report.chunks.iter().all(|chunk| chunk.good == 0));
}

#[test]
fn ranges_outside_a_layer_and_layers_of_other_lengths_are_refused() {
    let memory = layers(&[100]);
    let (descriptor, gather) = made(&[2], 3, 16, &memory);
    for (layer, offset, length) in [(0, 100, 1), (0, 0, 101), (0, u64::MAX, 1), (1, 0, 1)] {
        let result = gather.read_at(layer, offset, &mut vec![0; length]);
        assert!(matches!(result, Err(LayerError::Outside { .. })));
    }
    assert!(gather.read_at(0, 100, &mut []).is_ok());
    let short = protect(&descriptor, &layers(&[99]), &mut Bodies::default());
    assert!(matches!(short, Err(LayerError::Outside { .. })));
}

/// A medium that is out of memory says nothing about the chunks.
#[test]
fn errors_of_the_medium_are_passed_on() {
    struct Tired;
    impl ShareSource for Tired {
        fn get(&self, _: usize, _: u64, _: &mut [u8]) -> Result<(), ShareError> {
            Err(io::Error::from(io::ErrorKind::OutOfMemory).into())
        }
    }
    let (descriptor, _) = made(&[2], 3, 16, &layers(&[100]));
    let gather = Gather::new(&descriptor, Tired).unwrap();
    assert!(matches!(
        gather.read_at(0, 0, &mut [0]),
        Err(LayerError::Io(_))
    ));
    assert!(gather.damage().is_empty());
}
