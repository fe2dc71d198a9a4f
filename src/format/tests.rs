//! Tests of the formats: round trips, every bit flipped, every cut, hostile numbers, new versions.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use super::*;

fn descriptor() -> Descriptor {
    Descriptor {
        version: crate::format::VERSION,
        size: 100_000,
        hash: Digest([7; 32]),
        holes: vec![
            Extent {
                offset: 0,
                length: 10,
            },
            Extent {
                offset: 50,
                length: 99_950,
            },
        ],
        kind: ObjectKind::File,
        codec: 1,
        settings: b"settings".to_vec(),
        chunks: 16,
        layers: vec![
            LayerSpec { k: 4, length: 1000 },
            LayerSpec {
                k: 14,
                length: 70_000,
            },
        ],
        unit: 4096,
    }
}

/// One layer, no holes, no settings.
fn plain(length: u64, k: u8, n: u8) -> Descriptor {
    Descriptor {
        version: crate::format::VERSION,
        size: length,
        hash: Digest([7; 32]),
        holes: Vec::new(),
        kind: ObjectKind::File,
        codec: 1,
        settings: Vec::new(),
        chunks: n,
        layers: vec![LayerSpec { k, length }],
        unit: descriptor::DEFAULT_UNIT,
    }
}

fn attributes(ino: u64) -> Attributes {
    Attributes {
        mode: 0o4755,
        uid: 1000,
        gid: 100,
        mtime: Time {
            secs: -5,
            nanos: 999_999_999,
        },
        ctime: Time {
            secs: 1 << 40,
            nanos: 1,
        },
        ino,
        generation: 0x9f2c_41aa,
    }
}

fn frozen() -> Frozen {
    Frozen::new(b"hello", &attributes(1)).unwrap()
}

/// All variants of `bytes` with one bit flipped.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit, flipped)
    })
}

#[test]
fn what_is_encoded_decodes_to_the_same() {
    let mut d = descriptor();
    for kind in [ObjectKind::Variants, ObjectKind::Tree, ObjectKind::File] {
        d.kind = kind;
        assert_eq!(Descriptor::decode(&d.encode().unwrap()).unwrap(), d);
    }
    let mut later = d.encode().unwrap();
    later[6] = 3;
    assert!(Descriptor::decode(&later).is_err());

    let bytes = manifest::encode(&d, &attributes(3)).unwrap();
    assert_eq!(
        manifest::length(&bytes[..manifest::PREFIX]).unwrap(),
        bytes.len()
    );
    let mut longer = bytes.clone();
    longer.extend([1; 100]);
    let read = manifest::decode(&longer).unwrap();
    assert_eq!(
        (&read.descriptor, read.slots.attributes),
        (&d, Some(attributes(3)))
    );
    assert_eq!((read.set, read.length), (d.set_id().unwrap(), bytes.len()));

    let bytes = chunk::encode(15, &d, &frozen()).unwrap();
    assert_eq!(chunk::length(&bytes[..chunk::PREFIX]).unwrap(), bytes.len());
    let read = chunk::decode(&bytes).unwrap();
    assert_eq!(
        (read.index, &read.descriptor, &read.frozen),
        (15, &d, &frozen())
    );
    assert_eq!((read.set, read.length), (d.set_id().unwrap(), bytes.len()));
    assert!(chunk::encode(16, &d, &frozen()).is_err());

    let bytes = tail::encode(&d, &frozen()).unwrap();
    let mut longer = vec![1; 100];
    longer.extend(&bytes);
    assert_eq!(
        tail::length(&longer[longer.len() - tail::TRAILER..]).unwrap(),
        bytes.len()
    );
    let read = tail::decode(&longer).unwrap();
    assert_eq!(
        (read.set, &read.descriptor, &read.frozen),
        (d.set_id().unwrap(), &d, &frozen())
    );
}

#[test]
fn a_flipped_bit_or_a_cut_is_noticed_everywhere() {
    let d = descriptor();
    let bytes = chunk::encode(3, &d, &frozen()).unwrap();
    assert!(flips(&bytes).all(|(_, flipped)| chunk::decode(&flipped).is_err()));
    assert!((0..bytes.len()).all(|cut| chunk::decode(&bytes[..cut]).is_err()));

    let bytes = tail::encode(&d, &frozen()).unwrap();
    assert!(flips(&bytes).all(|(_, flipped)| tail::decode(&flipped).is_err()));
    assert!((1..=bytes.len()).all(|cut| tail::decode(&bytes[cut..]).is_err()));

    let bytes = manifest::encode(&d, &attributes(3)).unwrap();
    assert!((0..bytes.len()).all(|cut| manifest::decode(&bytes[..cut]).is_err()));
    let slots = 16 * 8..160 * 8;
    for (bit, flipped) in flips(&bytes) {
        match manifest::decode(&flipped) {
            // Only one slot has been written: what is left of it is all or nothing.
            Ok(read) if slots.contains(&bit) => {
                assert_eq!(read.descriptor, d);
                assert_eq!(
                    read.slots.attributes,
                    (bit >= 88 * 8).then_some(attributes(3))
                );
            }
            other => assert!(other.is_err() && !slots.contains(&bit), "bit {bit}"),
        }
    }
}

#[test]
fn attributes_survive_a_torn_change() {
    let mut bytes = manifest::encode(&descriptor(), &attributes(1)).unwrap();
    for ino in 2..9 {
        let mut read = manifest::decode(&bytes).unwrap();
        let (offset, slot) = read.slots.change(&attributes(ino));
        assert_eq!(read.slots.attributes, Some(attributes(ino)));
        let place = offset as usize..offset as usize + slot.len();
        for torn in 0..slot.len() {
            let mut half = bytes.clone();
            half[place.clone()][..torn].copy_from_slice(&slot[..torn]);
            let found = manifest::decode(&half)
                .unwrap()
                .slots
                .attributes
                .unwrap()
                .ino;
            assert!(
                found == ino - 1 || half[place.clone()] == slot,
                "{found} after {torn} bytes"
            );
        }
        bytes[place].copy_from_slice(&slot);
        assert_eq!(
            manifest::decode(&bytes).unwrap().slots.attributes,
            Some(attributes(ino))
        );
    }
    // Slot 0 holds change 7, slot 1 change 8: with one destroyed the other serves and is not the next to be written.
    for (slot, left) in [(16, 8), (88, 7)] {
        let mut one = bytes.clone();
        one[slot + 20] ^= 1;
        let mut read = manifest::decode(&one).unwrap();
        assert_eq!(read.slots.attributes, Some(attributes(left)));
        assert!(read.slots.damaged);
        assert_eq!(read.slots.change(&attributes(9)).0, slot as u64);
    }
    bytes[30] ^= 1;
    bytes[100] ^= 1;
    assert_eq!(manifest::decode(&bytes).unwrap().slots.attributes, None);
}

#[test]
fn a_slot_of_another_object_does_not_count() {
    let ours = manifest::encode(&descriptor(), &attributes(1)).unwrap();
    let mut other = Descriptor {
        size: 100_001,
        ..descriptor()
    };
    other.holes.clear();
    let mut theirs = manifest::decode(&manifest::encode(&other, &attributes(1)).unwrap()).unwrap();
    let (offset, slot) = theirs.slots.change(&attributes(66));
    let mut mixed = ours;
    mixed[offset as usize..offset as usize + slot.len()].copy_from_slice(&slot);
    assert_eq!(
        manifest::decode(&mixed).unwrap().slots.attributes,
        Some(attributes(1))
    );
}

#[test]
fn what_a_newer_program_wrote_is_refused_by_name() {
    let d = descriptor();
    let mut future = d.encode().unwrap();
    future[0] = 2;
    assert_eq!(
        Descriptor::decode(&future).unwrap_err().to_string(),
        "format version 2 is newer than this program reads"
    );
    let mut future = manifest::encode(&d, &attributes(1)).unwrap();
    future[9] = 1;
    assert!(matches!(
        manifest::decode(&future),
        Err(FormatError::Newer(257))
    ));
    assert!(matches!(
        manifest::length(&future[..10]),
        Err(FormatError::Newer(257))
    ));
    let mut future = chunk::encode(0, &d, &frozen()).unwrap();
    future[8] = 2;
    assert!(matches!(chunk::decode(&future), Err(FormatError::Newer(2))));
    let mut future = tail::encode(&d, &frozen()).unwrap();
    let at = future.len() - 10;
    future[at] = 3;
    assert!(matches!(tail::decode(&future), Err(FormatError::Newer(3))));
}

/// What the first version wrote is the same object still: its set id, of which every hash is made, does not change.
#[test]
fn an_older_object_keeps_its_identity() {
    let mut d = descriptor();
    d.version = 0;
    let bytes = d.encode().unwrap();
    let read = Descriptor::decode(&bytes).unwrap();
    assert_eq!(
        (read.version, read.set_id().unwrap()),
        (0, SetId(Digest::of(&bytes)))
    );
    let head = manifest::encode(&read, &attributes(1)).unwrap();
    assert_eq!(manifest::decode(&head).unwrap().set, d.set_id().unwrap());
    // It had no bundles, where the byte that tells them was reserved.
    let mut bundle = bytes;
    bundle[6] = 1;
    assert!(Descriptor::decode(&bundle).is_err());
}

#[test]
fn hostile_numbers_are_refused() {
    type Change = fn(&mut Descriptor);
    let changes: &[Change] = &[
        |d| d.chunks = 0,
        |d| d.chunks = 13,
        |d| d.layers.clear(),
        |d| d.layers = vec![LayerSpec { k: 1, length: 1 }; 65],
        |d| d.layers = vec![LayerSpec { k: 1, length: 1 }; 257],
        |d| d.layers[0].k = 0,
        |d| d.layers[0].k = 15,
        |d| d.layers[1].length = u64::MAX,
        |d| d.layers[1].length = (1 << 48) + 1,
        |d| d.unit = 0,
        |d| d.unit = 65537,
        |d| d.size = 1 << 63,
        |d| d.holes[0].length = 0,
        |d| d.holes[0].length = 60,
        |d| d.holes[0].length = 50, // touching
        |d| d.holes[1].length = 99_951,
        |d| d.holes[1].length = u64::MAX,
        |d| {
            d.holes = (0..4097)
                .map(|i| Extent {
                    offset: i * 2,
                    length: 1,
                })
                .collect();
        },
        |d| d.settings = vec![0; 65537],
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut d = descriptor();
        change(&mut d);
        assert!(d.encode().is_err() && d.set_id().is_err(), "change {index}");
    }
    // The same, as bytes that no encoder of ours makes.
    let good = descriptor().encode().unwrap();
    for (offset, bytes) in [
        (4, &[0u8][..]),
        (4, &[13]),
        (5, &[0]),
        (5, &[255]),
        (6, &[3]),
        (7, &[1]),
        (8, &[0, 0, 0, 0]),
        (8, &[1, 0, 1, 0]),
        (12, &[255; 4]),
        (12, &[1, 16, 0, 0]),
        (16, &[255; 4]),
        (20, &[255; 8]),
        (60, &[0]),
        (61, &[255; 8]),
        (78, &[255; 16]),
    ] {
        let mut bad = good.clone();
        bad[offset..offset + bytes.len()].copy_from_slice(bytes);
        assert!(Descriptor::decode(&bad).is_err(), "{bytes:?} at {offset}");
    }
    let mut prefix = manifest::encode(&descriptor(), &attributes(1)).unwrap();
    prefix[12..16].fill(255);
    assert!(matches!(
        manifest::length(&prefix),
        Err(FormatError::Limit { .. })
    ));
}

#[test]
fn the_largest_descriptor_has_an_exact_geometry() {
    let d = Descriptor {
        version: crate::format::VERSION,
        size: (1 << 63) - 1,
        holes: (0..4096)
            .map(|i| Extent {
                offset: i * 3,
                length: 2,
            })
            .collect(),
        settings: vec![1; MAX_SETTINGS],
        chunks: 255,
        layers: vec![
            LayerSpec {
                k: 1,
                length: 1 << 48
            };
            MAX_LAYERS
        ],
        unit: 16,
        ..descriptor()
    };
    let bytes = d.encode().unwrap();
    assert_eq!(bytes.len(), descriptor::MAX_DESCRIPTOR);
    assert_eq!(Descriptor::decode(&bytes).unwrap(), d);
    assert_eq!(Geometry::new(&d).body, 1 << 55);
}

#[test]
fn rows_cover_each_layer_and_records_cover_the_body() {
    let mut random = 1u64;
    for _ in 0..300 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pick = |bits: u32, most: u64| (random >> bits) % most;
        let k = 1 + pick(10, 20) as u8;
        let d = Descriptor {
            layers: vec![
                LayerSpec {
                    k: 1,
                    length: pick(20, 3) * 20,
                },
                LayerSpec {
                    k,
                    length: pick(30, 5000),
                },
            ],
            chunks: k + pick(5, 5) as u8,
            unit: 16 + pick(40, 100) as u32,
            ..plain(1, 1, 1)
        };
        let geometry = Geometry::new(&d);
        let mut record = 0;
        let mut ends = [0, 0];
        for row in geometry.rows() {
            assert_eq!((row.record, row.start), (record, ends[row.layer]), "{d:?}");
            assert_eq!(geometry.row(row.layer, row.index), Some(row));
            assert_eq!(
                geometry.layers[row.layer].row_at(row.start + row.length - 1),
                row.index
            );
            let (k, length) = (geometry.layers[row.layer].k, row.length as usize);
            assert!(
                row.unit <= d.unit as usize
                    && row.unit * k >= length
                    && (row.unit - 1) * k < length
            );
            record += (geometry::HASH + row.unit) as u64;
            ends[row.layer] += row.length;
        }
        assert_eq!(ends, [d.layers[0].length, d.layers[1].length]);
        assert_eq!(geometry.body, record);
    }
}

#[test]
fn chunk_names_say_index_and_generation() {
    assert_eq!(chunk::file_name(3, 0x9f2c_41aa), "chunk_0003.9f2c41aa.holo");
    for (index, generation) in [(0, 0), (255, u32::MAX), (14, 0x0a0b_0c0d)] {
        let name = chunk::file_name(index, generation);
        assert_eq!(
            chunk::parse_name(name.as_bytes()),
            Some((index.into(), generation))
        );
    }
    for other in [
        "",
        "manifest",
        "chunk_0000.holo",
        "chunk_0000.9F2C41AA.holo",
        "chunk_000.9f2c41aa.holo",
        "chunk_00000.9f2c41aa.holo",
        "chunk_0000.9f2c41aa.holo~",
        "chunk_0000-9f2c41aa.holo",
        "chunk_+000.9f2c41aa.holo",
        "chunk_0000.9f2c41a.holo",
    ] {
        assert_eq!(chunk::parse_name(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn frozen_copies_are_for_the_owner_only() {
    assert_eq!(frozen().attributes.mode, 0o700);
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; 256]] {
        assert!(Frozen::new(name, &attributes(1)).is_err());
    }
    assert!(Frozen::new(&[b'x'; 255], &attributes(1)).is_ok());
}

/// The table of worked sizes in the documentation of [`crate::format`], recomputed.
#[test]
fn the_documented_sizes_are_exact() {
    let text = include_str!("mod.rs");
    for (length, shown) in [
        (1_000, "1 KB"),
        (1_000_000, "1 MB"),
        (1_000_000_000, "1 GB"),
    ] {
        let packed = |k, n| {
            let d = plain(length, k, n);
            let head = manifest::encode(&d, &attributes(1)).unwrap().len() as u64;
            let tail = tail::encode(&d, &frozen()).unwrap().len() as u64;
            head + u64::from(n) * Geometry::new(&d).body + tail
        };
        let spread = |k, n| {
            let d = plain(length, k, n);
            let head = manifest::encode(&d, &attributes(1)).unwrap().len() as u64;
            let chunk = chunk::encode(0, &d, &frozen()).unwrap().len() as u64;
            head + u64::from(n) * (chunk + Geometry::new(&d).body)
        };
        let line = format!(
            "//! | {shown} | {} | {} | {} | {} | {} |",
            packed(1, 1),
            packed(15, 16),
            spread(15, 16),
            packed(14, 16),
            spread(14, 16)
        );
        assert!(text.contains(&line), "the table should say\n{line}");
    }
}
