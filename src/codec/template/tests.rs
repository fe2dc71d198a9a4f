//! Tests of the `template` codec: what is read back, what it costs, and what damage does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::codec::testing::{Bytes, MemoryLayers, decode, encode, random, text};
use crate::codec::{Effort, Quality};
use crate::format::LayerError;

const FAST: Request<'_> = Request {
    dictionaries: &[],
    bases: &[],
    previous: None,
    effort: Effort::Fast,
    previews: 0,
};

/// Numbers that look random.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let words = random(seed, 8 << 12);
    let words = words.as_chunks::<8>().0.to_vec();
    let words = words.into_iter().cycle();
    words.map(|word| (u64::from_le_bytes(word) >> 20) as usize)
}

/// Sentences of made-up words, some of them often.
fn prose(seed: u64, length: usize) -> Vec<u8> {
    let mut numbers = numbers(seed);
    let syllables = b"ba ke lo mi nu tra sel vor in gra th en do pi su".split(|b| *b == b' ');
    let syllables: Vec<&[u8]> = syllables.collect();
    let mut word = || -> Vec<u8> {
        let parts = 1 + numbers.next().unwrap() % 3;
        let parts = (0..parts).map(|_| syllables[numbers.next().unwrap() % syllables.len()]);
        parts.flatten().copied().collect()
    };
    let words: Vec<Vec<u8>> = (0..2000).map(|_| word()).collect();
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(length + 16);
    while out.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (a, b) = ((state >> 33) as usize % 2000, (state >> 44) as usize % 2000);
        out.extend_from_slice(&words[a.min(b)]);
        out.push(if a % 12 == 0 { b'\n' } else { b' ' });
    }
    out.truncate(length);
    out
}

/// Two states of a tree of files: the second with some changed, some moved and some new.
fn versions(seed: u64) -> Vec<u8> {
    let mut numbers = numbers(seed);
    let files: Vec<Vec<u8>> = (0..60)
        .map(|i| prose(seed + i, 500 + numbers.next().unwrap() % 20_000))
        .collect();
    let mut later = files.clone();
    for file in later.iter_mut().step_by(7) {
        let at = numbers.next().unwrap() % file.len();
        file.splice(at..at, *b"a line that was not there before\n");
    }
    later.swap(3, 40);
    later.insert(20, prose(seed + 99, 9000));
    files.into_iter().chain(later).flatten().collect()
}

fn fibonacci(length: usize) -> Vec<u8> {
    let (mut a, mut b) = (b"a".to_vec(), b"ab".to_vec());
    while b.len() < length {
        let next = [b.as_slice(), a.as_slice()].concat();
        a = std::mem::replace(&mut b, next);
    }
    b.truncate(length);
    b
}

/// Machine code, as far as calls of a few functions go.
fn code(seed: u64, length: usize) -> Vec<u8> {
    let mut numbers = numbers(seed);
    let mut out = random(seed, length);
    for byte in &mut out {
        *byte = b"\x48\x89\xc7\x8b\x0f\x85\xff\x74"[usize::from(*byte & 7)];
    }
    let mut at = 0_usize;
    while at + 50 < length {
        let target = 1000 * (numbers.next().unwrap() % 40);
        let distance = (target as u32).wrapping_sub(at as u32);
        out[at] = 0xe8;
        out[at + 1..at + 5].copy_from_slice(&distance.to_le_bytes());
        at += 20 + numbers.next().unwrap() % 30;
    }
    out
}

/// Contents of all the kinds that matter.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let copied = random(1, 150_000);
    let mixed = [
        random(2, 100_000),
        prose(3, 100_000),
        vec![0; 100_000],
        code(4, 100_000),
        prose(3, 100_000),
        vec![0; 40_005],
    ];
    // More extents than a block has.
    let noise = random(30, 60_000);
    let mut pieces = noise.clone();
    for (i, new) in random(31, 500 * 280).chunks(280).enumerate() {
        pieces.extend_from_slice(&noise[i * 100..][..2500]);
        pieces.extend_from_slice(new);
    }
    vec![
        ("pieces", pieces),
        ("prose", prose(5, 300_777)),
        ("logs", text(6, 400_000)),
        ("versions", versions(7)),
        ("mixed", mixed.concat()),
        ("code", code(8, 200_001)),
        ("copied noise", [copied.as_slice(), b"x", &copied].concat()),
        ("one symbol", vec![b'a'; 300_000]),
        ("fibonacci", fibonacci(400_000)),
        ("whole units", prose(9, 4 * UNIT)),
        ("one byte over", prose(10, 4 * UNIT + 1)),
    ]
}

fn open(settings: &[u8], size: usize, layers: &MemoryLayers) -> Box<dyn Decoder> {
    let layers = Box::new(layers.clone());
    Template.open(settings, size as u64, layers).unwrap()
}

#[test]
fn any_content_comes_back() {
    for (name, content) in contents() {
        for effort in [Effort::Fast, Effort::Normal, Effort::Archive] {
            let (settings, layers) = encode(&Template, &content, effort).unwrap();
            let length = layers.layers[0].len();
            assert!(length < content.len() * 98 / 100, "{name}: {length} bytes");
            let back = decode(&Template, &settings, content.len(), &layers).unwrap();
            assert!(back == content, "{name} {effort:?}");
            let again = encode(&Template, &content, effort).unwrap();
            assert!(again == (settings, layers), "{name} {effort:?}");
        }
    }
}

#[test]
fn any_range_is_the_range_of_the_original() {
    for (seed, (name, content)) in (100..).zip(contents()) {
        let (settings, layers) = encode(&Template, &content, Effort::Normal).unwrap();
        let reader = open(&settings, content.len(), &layers);
        let mut numbers = numbers(seed);
        for i in 0..300 {
            let from = numbers.next().unwrap() % content.len();
            let length = numbers.next().unwrap() % [5000, 50_000, 800_000][i % 3];
            let to = (from + length).min(content.len());
            let mut buf = vec![0xa5; to - from];
            let quality = reader.read_at(from as u64, &mut buf).unwrap();
            assert_eq!(quality, Quality::Exact);
            assert!(buf == content[from..to], "{name} {from}..{to}, seed {seed}");
        }
        let end = content.len() as u64;
        reader.read_at(end, &mut []).unwrap();
        assert!(reader.read_at(end, &mut [0]).is_err());
        assert!(reader.read_at(u64::MAX, &mut [0]).is_err());
    }
}

#[test]
fn segments_follow_each_other() {
    for (name, content) in contents() {
        let (settings, layers) = encode(&Template, &content, Effort::Normal).unwrap();
        let reader = open(&settings, content.len(), &layers);
        let mut at = 0;
        while at < content.len() as u64 {
            let range = reader.segment(at);
            assert!(
                range.start == at && range.end > at,
                "{name} {at}: {range:?}"
            );
            assert!(range.end - at <= UNIT as u64 && range.end <= content.len() as u64);
            for inside in [at, u64::midpoint(at, range.end), range.end - 1] {
                assert_eq!(reader.segment(inside), range, "{name}");
            }
            at = range.end;
        }
    }
}

#[test]
fn many_readers_at_once() {
    let content = versions(11);
    let (settings, layers) = encode(&Template, &content, Effort::Fast).unwrap();
    let reader = open(&settings, content.len(), &layers);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (reader, content) = (&reader, &content);
            scope.spawn(move || {
                for from in numbers(200 + thread as u64).take(200) {
                    let from = from % (content.len() - 4096);
                    let mut buf = vec![0; 4096];
                    reader.read_at(from as u64, &mut buf).unwrap();
                    assert!(buf == content[from..from + 4096], "{from}");
                }
            });
        }
    });
}

#[test]
fn what_does_not_gain_is_declined() {
    let packed = zstd::bulk::compress(&prose(12, 2_000_000), 19).unwrap();
    assert!(packed.len() > 100_000);
    let contents = [
        Vec::new(),
        b"x".to_vec(),
        prose(13, 20_000),
        random(14, 3_000_000),
        packed,
    ];
    for content in contents {
        for effort in [Effort::Fast, Effort::Normal] {
            let result = encode(&Template, &content, effort);
            let declined = matches!(result, Err(CodecError::Declined(_)));
            assert!(declined, "{} bytes", content.len());
        }
    }
}

/// A content that is one byte, without its memory.
struct Constant(u64, u8);

impl Content for Constant {
    fn size(&self) -> u64 {
        self.0
    }

    fn read_at(&self, _: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(self.1);
        Ok(())
    }
}

#[test]
fn long_zeros_take_next_to_nothing() {
    let size = 64 << 20;
    let mut layers = MemoryLayers::default();
    let encoded = Template
        .encode(&Constant(size, 0), FAST, &mut layers)
        .unwrap();
    assert!(layers.layers[0].len() < 4096, "{}", layers.layers[0].len());
    let reader = open(&encoded.settings, size as usize, &layers);
    let mut buf = vec![1; 1 << 20];
    for at in (0..size).step_by(1 << 20) {
        reader.read_at(at, &mut buf).unwrap();
        assert!(buf.iter().all(|byte| *byte == 0), "{at}");
    }
}

#[test]
fn repetitions_are_found_over_any_distance() {
    let once = random(18, 2_000_000);
    let between = random(19, 5_000_000);
    let content = [once.as_slice(), &between, &once[1000..]].concat();
    let (settings, layers) = encode(&Template, &content, Effort::Fast).unwrap();
    let length = layers.layers[0].len();
    assert!(length < 7_030_000, "{length}");
    let back = decode(&Template, &settings, content.len(), &layers).unwrap();
    assert!(back == content);
}

#[test]
fn what_was_there_before_is_named() {
    let pieces = contents().swap_remove(0).1;
    for content in [versions(20), pieces, vec![7; 200_000], prose(21, 100_000)] {
        let (settings, layers) = encode(&Template, &content, Effort::Fast).unwrap();
        let reader = open(&settings, content.len(), &layers);
        let (mut at, mut repeated) = (0_u64, 0_u64);
        while at < content.len() as u64 {
            let Some((from, length)) = reader.earlier(at).unwrap() else {
                at += 1;
                continue;
            };
            let range = |at: u64| &content[at as usize..][..length as usize];
            assert!(from < at && length > 0);
            assert!(range(from) == range(at), "{at} was not at {from}");
            // It is where it was first.
            assert_eq!(reader.earlier(from).unwrap(), None);
            at += length;
            repeated += length;
        }
        let wanted = match content[0] {
            7 => content.len() as u64 * 9 / 10,
            _ if content.len() == 100_000 => 0,
            _ => content.len() as u64 / 4,
        };
        assert!(repeated >= wanted, "{repeated} of {}", content.len());
    }
}

/// Changed bytes and cut layers: an error or the true content, never other bytes.
#[test]
fn no_damage_gives_other_content() {
    for (name, content) in contents() {
        let (settings, layers) = encode(&Template, &content, Effort::Normal).unwrap();
        let length = layers.layers[0].len();
        let seed = 300;
        for (i, at) in numbers(seed).take(150).enumerate() {
            let mut damaged = layers.clone();
            let layer = &mut damaged.layers[0];
            // The index and tables lie at the end.
            let at = if i % 2 == 0 {
                at % length
            } else {
                length - 1 - at % length.min(600)
            };
            match i % 5 {
                0 => layer[at] ^= 1 << (i % 8),
                1 => layer[at] = 0xff,
                2 => layer[at..].iter_mut().take(9).for_each(|byte| *byte = 0),
                3 => layer.truncate(at),
                _ => layer[at] = layer[at].wrapping_add(1),
            }
            let Ok(reader) = Template.open(&settings, content.len() as u64, Box::new(damaged))
            else {
                continue;
            };
            let mut buf = vec![0; UNIT];
            for from in (0..content.len()).step_by(UNIT) {
                let to = content.len().min(from + UNIT);
                if reader.read_at(from as u64, &mut buf[..to - from]).is_ok() {
                    assert!(
                        buf[..to - from] == content[from..to],
                        "{name} {i}, seed {seed}"
                    );
                }
                if let Ok(Some((at, length))) = reader.earlier(from as u64) {
                    let range = |at: u64| &content[at as usize..][..length as usize];
                    assert!(range(at) == range(from as u64), "{name} {i}, seed {seed}");
                }
            }
        }
        for at in 0..settings.len() {
            for change in [1, 0x80, 0xff] {
                let mut settings = settings.clone();
                settings[at] ^= change;
                assert!(decode(&Template, &settings, content.len(), &layers).is_err());
            }
        }
        for size in [0, 1, content.len() - 1, content.len() + 1] {
            assert!(
                decode(&Template, &settings, size, &layers).is_err(),
                "{name}"
            );
        }
        let longer = [settings.as_slice(), &[0]].concat();
        assert!(decode(&Template, &longer, content.len(), &layers).is_err());
        let none = MemoryLayers::default();
        assert!(decode(&Template, &settings, content.len(), &none).is_err());
        let reader = Template.open(&settings, u64::MAX, Box::new(layers));
        assert!(reader.is_err() || reader.unwrap().read_at(u64::MAX - 9, &mut [0]).is_err());
    }
}

/// A layer whose index says anything, with a hash that agrees: what a forger can do.
#[test]
fn a_forged_index_is_an_error_or_harmless() {
    let content = versions(25);
    let (settings, layers) = encode(&Template, &content, Effort::Fast).unwrap();
    let start = u64::from_le_bytes(*settings.first_chunk().unwrap()) as usize;
    let seed = 400;
    let mut numbers = numbers(seed);
    for i in 0..3000 {
        let mut forged = layers.clone();
        let index = &mut forged.layers[0][start..];
        for _ in 0..=i % 3 {
            let at = numbers.next().unwrap() % index.len();
            let value = numbers.next().unwrap();
            index[at] = [0, 0xff, 0x7f, 0x80, 1, (value >> 8) as u8][value % 6];
        }
        let hash = Digest::of(index);
        let settings = [&settings[..8], &hash.0[..16]].concat();
        let size = content.len() as u64;
        let Ok(reader) = Template.open(&settings, size, Box::new(forged)) else {
            continue;
        };
        for from in (0..content.len() - 4096).step_by(content.len() / 7) {
            let mut buf = vec![0; 4096];
            drop(reader.read_at(from as u64, &mut buf));
            let range = reader.segment(from as u64);
            assert!(
                range.contains(&(from as u64)) && range.end <= size,
                "seed {seed}"
            );
            drop(reader.earlier(from as u64));
        }
    }
}

/// Layers of which one range cannot be read.
struct Lost(MemoryLayers, std::ops::Range<u64>);

impl Layers for Lost {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.0.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        if offset < self.1.end && self.1.start < offset + buf.len() as u64 {
            return Err(LayerError::Missing {
                layer,
                offset,
                have: 0,
                need: 1,
            });
        }
        self.0.read_at(layer, offset, buf)
    }
}

#[test]
fn what_is_lost_costs_only_its_ranges() {
    let content = prose(26, 2_000_000);
    let (settings, layers) = encode(&Template, &content, Effort::Normal).unwrap();
    let middle = layers.layers[0].len() as u64 / 2;
    let lost = Lost(layers, middle..middle + 1);
    let size = content.len() as u64;
    let reader = Template.open(&settings, size, Box::new(lost)).unwrap();
    let mut unreadable = 0;
    let mut buf = vec![0; UNIT];
    for from in (0..content.len() - UNIT).step_by(UNIT) {
        match reader.read_at(from as u64, &mut buf) {
            Ok(_) => assert!(buf == content[from..from + UNIT]),
            Err(CodecError::Layer(LayerError::Missing { .. })) => unreadable += 1,
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!(unreadable, 1);
}

/// Counts the bytes that are read.
struct Counted<'a>(&'a MemoryLayers, &'a AtomicU64);

impl Layers for Counted<'_> {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.0.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        self.1.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.0.read_at(layer, offset, buf)
    }
}

#[test]
fn little_is_read_to_open_and_for_a_range() {
    let content = prose(27, 4_000_000);
    let (settings, layers) = encode(&Template, &content, Effort::Normal).unwrap();
    let read = AtomicU64::new(0);
    let counted = Box::new(Counted(&layers, &read));
    let reader = Template.open(&settings, 4_000_000, counted).unwrap();
    assert!(read.swap(0, Ordering::Relaxed) < 100);
    reader.read_at(1_000_000, &mut [0; 4096]).unwrap();
    let first = read.swap(0, Ordering::Relaxed);
    assert!(first < layers.layers[0].len() as u64 / 2, "{first}");
    reader.read_at(3_000_000, &mut [0; 4096]).unwrap();
    let next = read.swap(0, Ordering::Relaxed);
    assert!(next < 2 * UNIT as u64, "{next}");
}

/// A sink that asks to stop after it was asked so often.
struct Stop(AtomicU64);

impl LayerSink for Stop {
    fn write(&mut self, _: usize, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn cancelled(&self) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }
}

/// Content that ends before it should.
struct Shrunk(Vec<u8>);

impl Content for Shrunk {
    fn size(&self) -> u64 {
        self.0.len() as u64 * 2
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        Bytes(self.0.clone()).read_at(offset, buf)
    }
}

#[test]
fn a_cancelled_encoding_stops_and_a_failing_medium_is_reported() {
    let content = Bytes(versions(28));
    for asked in 0..5 {
        let stopped = Template.encode(&content, FAST, &mut Stop(asked.into()));
        assert!(matches!(stopped, Err(CodecError::Cancelled)), "{asked}");
    }
    let shrunk = Shrunk(prose(29, 1_500_000));
    let failed = Template.encode(&shrunk, FAST, &mut MemoryLayers::default());
    assert!(matches!(failed, Err(CodecError::Io(_))));
}
