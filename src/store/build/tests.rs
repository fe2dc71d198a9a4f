//! Tests of building: the spool, holes of files, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use std::fs;

use super::*;
use crate::format::{Digest, LayerSpec};
use crate::store::disk::open_root;

fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
        .collect()
}

#[test]
fn a_spool_gives_back_what_it_took_in_memory_or_not() {
    let temp = tempfile::tempdir().unwrap();
    for total in [1000, IN_MEMORY, IN_MEMORY + 1, 2 * IN_MEMORY + 12_345] {
        let mut spool = Spool::new(open_root(temp.path()).unwrap());
        let content = bytes(total);
        let (first, second) = content.split_at(total / 3);
        // In turns, as segments of a long content come.
        let (mut one, mut other) = (first.chunks(70_000), second.chunks(140_000));
        loop {
            let (a, b) = (one.next(), other.next());
            spool.write(0, a.unwrap_or_default()).unwrap();
            spool.write(2, b.unwrap_or_default()).unwrap();
            if (a, b) == (None, None) {
                break;
            }
        }
        spool.finish(3).unwrap();
        assert_eq!(spool.count(), 3);
        for (index, layer) in [first, &[], second].into_iter().enumerate() {
            assert_eq!(spool.len(index), layer.len() as u64);
            let mut whole = vec![0; layer.len()];
            spool.read_at(index, 0, &mut whole).unwrap();
            assert!(whole == layer, "layer {index} of {total}");
            for at in (0..layer.len()).step_by(1 << 20) {
                let end = (at + 5000).min(layer.len());
                let mut piece = vec![0; end - at];
                spool.read_at(index, at as u64, &mut piece).unwrap();
                assert_eq!(piece, layer[at..end]);
            }
            let past = spool.read_at(index, layer.len() as u64, &mut [0]);
            assert!(matches!(past, Err(LayerError::Outside { .. })));
        }
        assert!(spool.read_at(3, 0, &mut []).is_err());
        assert_eq!(
            fs::read_dir(temp.path()).unwrap().count(),
            0,
            "no name is left"
        );
    }
}

#[test]
fn holes_of_files_are_found() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open_root(temp.path()).unwrap();
    let file = dir.create(OsStr::new("f"), 0o600, 0).unwrap();
    assert_eq!(holes(file.as_ref(), 0).unwrap(), []);
    file.set_len(3 << 20).unwrap();
    assert_eq!(
        holes(file.as_ref(), 3 << 20).unwrap(),
        [Extent {
            offset: 0,
            length: 3 << 20
        }]
    );
    file.write_at(&bytes(1 << 16), 1 << 20).unwrap();
    let (hole, rest) = (1 << 20, (1 << 20) + (1 << 16));
    assert_eq!(
        holes(file.as_ref(), 3 << 20).unwrap(),
        [
            Extent {
                offset: 0,
                length: hole
            },
            Extent {
                offset: rest,
                length: (3 << 20) - rest
            }
        ]
    );
    let dense = dir.create(OsStr::new("g"), 0o600, 0).unwrap();
    dense.write_at(&bytes(100_000), 0).unwrap();
    assert_eq!(holes(dense.as_ref(), 100_000).unwrap(), []);
}

#[test]
fn the_longest_holes_are_kept_where_there_are_too_many() {
    let mut many: Vec<Extent> = (0..MAX_HOLES as u64 + 10)
        .map(|i| Extent {
            offset: i * 100,
            length: 1 + i % 50,
        })
        .collect();
    let shortest = |holes: &[Extent]| holes.iter().filter(|hole| hole.length == 1).count();
    let before = shortest(&many);
    keep_longest(&mut many);
    assert_eq!((many.len(), shortest(&many)), (MAX_HOLES, before - 10));
    assert!(many.is_sorted_by_key(|hole| hole.offset));
}

#[test]
fn layers_that_are_not_as_described_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let dir = open_root(temp.path()).unwrap();
    let mut spool = Spool::new(Arc::clone(&dir));
    spool.write(0, b"hello").unwrap();
    assert!(spool.finish(0).is_err() && spool.finish(MAX_LAYERS + 1).is_err());
    assert!(spool.write(MAX_LAYERS, b"x").is_err());
    spool.finish(1).unwrap();
    let descriptor = |length, name: &str| {
        let descriptor = Descriptor {
            version: crate::format::VERSION,
            size: 5,
            hash: Digest::of(b"hello"),
            holes: Vec::new(),
            kind: crate::format::ObjectKind::File,
            codec: 1,
            settings: Vec::new(),
            chunks: 3,
            layers: vec![LayerSpec { k: 2, length }],
            unit: 4096,
        };
        [Layout::Packed, Layout::Spread].map(|layout| {
            let (at, logical) = (OsStr::new("x.holo"), OsStr::new(name));
            let attributes = Attributes::default();
            let made = build(
                dir.as_ref(),
                at,
                &spool,
                &descriptor,
                logical,
                &attributes,
                layout,
            );
            drop(fs::remove_file(temp.path().join("x.holo")));
            drop(fs::remove_dir_all(temp.path().join("x.holo")));
            made.is_ok()
        })
    };
    assert_eq!(descriptor(5, "name"), [true; 2]);
    assert_eq!(descriptor(6, "name"), [false; 2]);
    assert_eq!(descriptor(5, "a/b"), [false; 2]);
}
