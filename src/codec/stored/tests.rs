//! Tests of the `stored` codec: what is read back, what it costs, and what damage does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use super::*;
use crate::codec::testing::{Bytes, MemoryLayers, decode, encode, random, text};
use crate::codec::{Effort, Quality};
use std::io;

const FAST: Request<'_> = Request {
    effort: Effort::Fast,
    previews: 0,
    dictionaries: &[],
    bases: &[],
    previous: None,
};

/// Contents of all the kinds that segments can have, alone and beside each other.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let part = SEGMENT / 2;
    let mixed = [
        random(1, SEGMENT),
        text(2, SEGMENT),
        vec![0; SEGMENT],
        text(3, part),
        random(4, part),
        vec![0; 2 * SEGMENT + 5],
    ];
    vec![
        ("random", random(5, 2 * SEGMENT + 777)),
        ("text", text(6, 2 * SEGMENT + 777)),
        ("zeros", vec![0; 2 * SEGMENT + 777]),
        ("one byte over", text(7, SEGMENT + 1)),
        ("mixed, zeros at the end", mixed.concat()),
    ]
}

fn size_of(content: &[u8], effort: Effort) -> usize {
    encode(&Stored, content, effort).unwrap().1.layers[0].len()
}

#[test]
fn any_size_of_anything_comes_back() {
    let edges = [0, 1, 2, 63, 64, 65, 4095, 4096, 4097];
    let sizes = edges
        .into_iter()
        .chain([SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT]);
    for size in sizes {
        for content in [random(8, size), text(9, size), vec![0; size]] {
            let (settings, layers) = encode(&Stored, &content, Effort::Normal).unwrap();
            let back = decode(&Stored, &settings, size, &layers).unwrap();
            assert!(back == content, "{size} bytes");
        }
    }
    for (name, content) in contents() {
        for effort in [Effort::Fast, Effort::Normal, Effort::Archive] {
            let (settings, layers) = encode(&Stored, &content, effort).unwrap();
            let back = decode(&Stored, &settings, content.len(), &layers).unwrap();
            assert!(back == content, "{name} {effort:?}");
        }
    }
}

#[test]
fn any_range_is_the_range_of_the_original() {
    for (name, content) in contents() {
        let (settings, layers) = encode(&Stored, &content, Effort::Fast).unwrap();
        let reader = Stored
            .open(&settings, content.len() as u64, Box::new(layers))
            .unwrap();
        let edges: Vec<usize> = (0..=content.len() / SEGMENT)
            .map(|i| i * SEGMENT)
            .chain([content.len()])
            .flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1, edge + 4096])
            .filter(|edge| *edge <= content.len())
            .collect();
        for &from in &edges {
            for &to in edges.iter().filter(|to| **to >= from) {
                let mut buf = vec![0xa5; to - from];
                let quality = reader.read_at(from as u64, &mut buf).unwrap();
                assert_eq!(quality, Quality::Exact);
                assert!(buf == content[from..to], "{name} {from}..{to}");
            }
        }
        let end = content.len() as u64;
        assert!(reader.read_at(end, &mut [0]).is_err());
        assert!(reader.read_at(u64::MAX, &mut [0]).is_err());
    }
}

/// More segments than one page of the index describes, of all kinds.
#[test]
fn many_segments_and_many_readers() {
    let mut content = vec![0; 400 * SEGMENT + 3];
    for (i, segment) in content.chunks_mut(SEGMENT).enumerate() {
        let length = segment.len().min(100);
        match i % 3 {
            0 => {}
            1 => segment[..length].copy_from_slice(&random(i as u64, 100)[..length]),
            _ => segment.copy_from_slice(&text(i as u64, SEGMENT)[..segment.len()]),
        }
    }
    let (settings, layers) = encode(&Stored, &content, Effort::Fast).unwrap();
    let size = content.len() as u64;
    let reader = Stored.open(&settings, size, Box::new(layers)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8usize {
            let (reader, content) = (&reader, &content);
            scope.spawn(move || {
                for i in 0..98 {
                    let at = (i * 4 + thread) * SEGMENT - thread.min(i);
                    let to = (at + 4096).min(content.len());
                    let mut buf = vec![0; to - at];
                    reader.read_at(at as u64, &mut buf).unwrap();
                    assert!(buf == content[at..to], "{at}");
                }
            });
        }
    });
}

/// The worked sizes of the specification.
#[test]
fn it_costs_what_the_specification_says() {
    assert_eq!(size_of(&[], Effort::Normal), 0);
    assert_eq!(size_of(&random(10, 1000), Effort::Normal), 1024);
    assert_eq!(size_of(&vec![0; 1 << 20], Effort::Normal), 192);
    let random = random(11, 4 << 20);
    for effort in [Effort::Fast, Effort::Normal, Effort::Archive] {
        assert_eq!(size_of(&random, effort), random.len() + 32 * 24);
    }
    assert!(32 * 24 * 10_000 <= 2 * random.len(), "over 100.02 %");
}

#[test]
fn what_compresses_is_found_again_after_what_does_not() {
    let mut content = random(12, 40 * SEGMENT);
    content.extend(text(13, 8 * SEGMENT));
    content.extend(random(14, 3 * SEGMENT));
    content.extend(text(15, SEGMENT));
    let noise = 43 * (SEGMENT + 24);
    let words = size_of(&content, Effort::Normal) - noise;
    assert!(words < 9 * SEGMENT / 3, "text in noise takes {words} bytes");

    // A sample sees only noise in segments that repeat themselves over long distances.
    let block = random(16, SEGMENT / 2);
    let repeating = block.repeat(300);
    let size = size_of(&repeating, Effort::Normal);
    assert!(size < repeating.len() * 55 / 100, "{size}");
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    for (_, content) in contents() {
        let first = encode(&Stored, &content, Effort::Normal).unwrap();
        assert!(encode(&Stored, &content, Effort::Normal).unwrap() == first);
    }
}

/// Each byte of an encoding, changed: an error or the true content, never other bytes.
#[test]
fn no_changed_byte_gives_other_content() {
    let content = [
        text(17, SEGMENT),
        random(18, 60),
        vec![0; SEGMENT - 60],
        text(19, 50),
    ]
    .concat();
    let small = text(20, 700);
    for content in [content, small] {
        let (settings, layers) = encode(&Stored, &content, Effort::Normal).unwrap();
        for at in 0..layers.layers[0].len() {
            // All bytes of the index and of small objects, every 97th one of the rest.
            if at + 96 < layers.layers[0].len() && content.len() > SEGMENT && at % 97 != 0 {
                continue;
            }
            for change in [1, 0x80, 0xff] {
                let mut damaged = layers.clone();
                damaged.layers[0][at] ^= change;
                if let Ok(back) = decode(&Stored, &settings, content.len(), &damaged) {
                    assert!(back == content, "byte {at} ^ {change}");
                }
            }
        }
    }
}

#[test]
fn damage_costs_only_the_segment_it_is_in() {
    let content = text(21, 3 * SEGMENT);
    let (settings, mut layers) = encode(&Stored, &content, Effort::Normal).unwrap();
    let middle = layers.layers[0].len() / 2;
    layers.layers[0][middle] ^= 4;
    let size = content.len() as u64;
    let reader = Stored.open(&settings, size, Box::new(layers)).unwrap();
    let mut buf = vec![0; SEGMENT];
    for segment in [0, 2] {
        reader.read_at(segment * STEP, &mut buf).unwrap();
        let at = segment as usize * SEGMENT;
        assert!(buf == content[at..at + SEGMENT]);
    }
    let error = reader.read_at(STEP + 5, &mut [0; 10]).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("segment 1") || said.contains("131072"),
        "{said}"
    );
}

#[test]
fn truncated_and_foreign_layers_are_errors() {
    let content = [text(22, 3000), random(23, 200)].concat();
    let (settings, layers) = encode(&Stored, &content, Effort::Normal).unwrap();
    for length in 0..layers.layers[0].len() {
        let mut cut = layers.clone();
        cut.layers[0].truncate(length);
        assert!(decode(&Stored, &settings, content.len(), &cut).is_err());
    }
    for size in [0, 1, content.len() - 1, content.len() + 1, SEGMENT + 1] {
        assert!(decode(&Stored, &settings, size, &layers).is_err(), "{size}");
    }
    assert!(decode(&Stored, &[1], content.len(), &layers).is_err());
    let none = MemoryLayers::default();
    assert!(decode(&Stored, &settings, content.len(), &none).is_err());
    assert!(Stored.open(&[], u64::MAX, Box::new(layers)).is_err());
}

/// A frame that would decode to more than its segment stops at the segment's end.
#[test]
fn a_bomb_is_an_error() {
    let frame = zstd::bulk::compress(&vec![7; 64 << 20], 19).unwrap();
    let mut layer = frame.clone();
    layer.extend_from_slice(&(frame.len() as u64).to_le_bytes());
    layer.extend_from_slice(&[0; 16]);
    let mut layers = MemoryLayers::default();
    layers.layers.push(layer);
    let error = decode(&Stored, &[], SEGMENT, &layers).unwrap_err();
    assert!(error.to_string().contains("segment 0"), "{error}");
}

/// A sink that asks to stop after so many writes, and takes no more.
struct Stop(usize);

impl LayerSink for Stop {
    fn write(&mut self, _: usize, _: &[u8]) -> io::Result<()> {
        self.0 -= 1;
        Ok(())
    }

    fn cancelled(&self) -> bool {
        self.0 == 0
    }
}

/// Content that is not there any more.
struct Shrunk;

impl Content for Shrunk {
    fn size(&self) -> u64 {
        10
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[test]
fn a_cancelled_encoding_stops_and_a_failing_medium_is_reported() {
    let content = Bytes(text(24, 5 * SEGMENT));
    let stopped = Stored.encode(&content, FAST, &mut Stop(3));
    assert!(matches!(stopped, Err(CodecError::Cancelled)));

    let failed = Stored.encode(&Shrunk, FAST, &mut MemoryLayers::default());
    assert!(matches!(failed, Err(CodecError::Io(_))));
}
