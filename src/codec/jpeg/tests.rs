//! Tests of the `jpeg` codec: the very bytes, or with layers missing a valid picture.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests may panic"
)]

use super::*;
use crate::codec::testing::{Bytes, MemoryLayers, decode, encode_for, preview_error};
use crate::codec::{Effort, Quality};
use crate::format::LayerError;
use crate::media::jpeg::testing::{Random, mutated, vector, vectors};
use crate::media::jpeg::{Frame, Metadata, Plane, orientation, parse, render, segments};
use std::ops::Range;

fn request(previews: usize) -> Request<'static> {
    let effort = Effort::Normal;
    Request {
        effort,
        previews,
        dictionaries: &[],
        bases: &[],
        previous: None,
    }
}

/// Layers of which a part cannot be read.
struct Lossy {
    layers: MemoryLayers,
    /// Layer and bytes that are missing.
    missing: Vec<(usize, Range<u64>)>,
}

impl Layers for Lossy {
    fn count(&self) -> usize {
        self.layers.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.layers.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let end = offset + buf.len() as u64;
        for (lost, range) in &self.missing {
            if *lost == layer && range.start < end && offset < range.end {
                let (have, need) = (0, 1);
                return Err(LayerError::Missing {
                    layer,
                    offset,
                    have,
                    need,
                });
            }
        }
        self.layers.read_at(layer, offset, buf)
    }
}

/// What is read with parts missing.
fn read(
    settings: &[u8],
    size: usize,
    layers: &MemoryLayers,
    missing: &[(usize, Range<u64>)],
) -> Result<(Quality, Vec<u8>), CodecError> {
    let (layers, missing) = (layers.clone(), missing.to_vec());
    let reader = JpegCodec.open(settings, size as u64, Box::new(Lossy { layers, missing }))?;
    let mut file = vec![0; size];
    let quality = reader.read_at(0, &mut file)?;
    Ok((quality, file))
}

/// What is read with the first `count` layers.
fn with(settings: &[u8], size: usize, layers: &MemoryLayers, count: usize) -> (Quality, Vec<u8>) {
    let missing: Vec<_> = (count..layers.count()).map(|l| (l, 0..u64::MAX)).collect();
    read(settings, size, layers, &missing).unwrap()
}

/// A picture that needs several strips: smooth shapes and noise.
fn large() -> Vec<u8> {
    let described = [(1, 2, 2, 0), (2, 1, 1, 1), (3, 1, 1, 1)];
    let mut frame = Frame::new(1000, 3000, false, &described).unwrap();
    frame.jfif = true;
    let mut random = Random(5);
    let mut planes: Vec<Plane> = Vec::new();
    for component in &mut frame.components {
        component.quantiser = [2; 64];
        let blocks = (0..component.blocks()).map(|i| {
            let mut block = [0; 64];
            block[0] = (i % component.stride) as i16 + (random.next() % 16) as i16;
            for value in &mut block[1..30] {
                *value = (random.next() % 256) as i16 - 128;
            }
            block
        });
        planes.push(blocks.collect());
    }
    let mut file = Vec::new();
    for size in (2_000_000..).step_by(50_000) {
        if let Ok(rendered) = render(&frame, &mut planes.clone(), &Metadata::default(), size)
            && parse(&rendered).unwrap().planes == planes
        {
            file = rendered;
            break;
        }
    }
    file
}

#[test]
fn every_vector_comes_back() {
    for (name, file) in vectors() {
        for previews in [0, 1, 4, 8] {
            println!("{name} {previews}");
            let encoded = encode_for(&JpegCodec, &file, request(previews));
            let (settings, layers) = match encoded {
                // The previews of a picture of a few blocks are larger than it.
                Err(CodecError::Declined(why)) if previews > 0 && file.len() < 700 => {
                    assert!(why.contains("more bytes"), "{why}");
                    continue;
                }
                other => other.unwrap(),
            };
            assert!(settings.len() < 200);
            assert_eq!(layers.count(), previews + 1);
            let back = decode(&JpegCodec, &settings, file.len(), &layers).unwrap();
            assert!(back == file, "{name}");
            assert!(
                encode_for(&JpegCodec, &file, request(previews)).unwrap() == (settings, layers)
            );
        }
    }
}

#[test]
fn it_is_smaller_than_the_file() {
    for name in ["baseline", "progressive", "metadata", "restarts_422"] {
        let file = vector(name);
        let (_, layers) = encode_for(&JpegCodec, &file, request(0)).unwrap();
        let size = layers.layers[0].len();
        assert!(
            size * 100 < file.len() * 85,
            "{name}: {size} of {}",
            file.len()
        );
    }
}

/// PSNR in the coefficients, all components alike.
fn quality(file: &[u8], shown: &[u8]) -> f64 {
    let (a, b) = (parse(file).unwrap(), parse(shown).unwrap());
    let (mut sum, mut count) = (0.0, 0);
    for ((a, b), component) in a.planes.iter().zip(&b.planes).zip(&a.frame.components) {
        for (a, b) in a.iter().zip(b) {
            for ((a, b), step) in a.iter().zip(b).zip(component.quantiser) {
                let difference = f64::from((i32::from(*a) - i32::from(*b)) * i32::from(step));
                sum += difference * difference;
                count += 1;
            }
        }
    }
    10.0 * (65_025.0 * f64::from(count) / f64::max(sum, 1e-9)).log10()
}

#[test]
fn with_fewer_layers_it_is_a_picture_of_the_same_size() {
    for (name, file) in vectors() {
        let Ok((settings, layers)) = encode_for(&JpegCodec, &file, request(4)) else {
            continue;
        };
        let original = parse(&file).unwrap();
        let mut before = 0.0;
        for count in 1..=4 {
            println!("{name} {count}");
            let (how, shown) = with(&settings, file.len(), &layers, count);
            assert_eq!(how, Quality::Degraded(count));
            assert_eq!(shown.len(), file.len());
            let there = parse(&shown).unwrap();
            let size = |frame: &Frame| (frame.width, frame.height, frame.colour());
            assert_eq!(size(&there.frame), size(&original.frame));
            let now = quality(&file, &shown);
            // Where the file has no room for baseline tables, coefficients are dropped.
            assert!(
                now >= before - 0.2 || file.len() < 1000,
                "{name}: {before} {now}"
            );
            before = now;
            let said = JpegCodec.quality(&settings, count).unwrap();
            let wanted = [22.0, 27.0, 33.0, 37.0][count - 1];
            assert!(said >= wanted - 0.01, "{name}: {said}");
        }
        assert_eq!(JpegCodec.quality(&settings, 5), None);
        assert_eq!(JpegCodec.quality(&settings, 0), None);
        assert_eq!(with(&settings, file.len(), &layers, 5).0, Quality::Exact);
        assert!(read(&settings, file.len(), &layers, &[(0, 0..1)]).is_err());
    }
}

#[test]
fn previews_keep_orientation_and_profile() {
    let file = vector("metadata");
    let (settings, layers) = encode_for(&JpegCodec, &file, request(4)).unwrap();
    let profile = |file: &[u8]| {
        segments(file)
            .find(|s| s.marker == 0xe2)
            .map(|s| s.payload.to_vec())
    };
    assert!(profile(&file).is_some());
    for count in 1..=4 {
        let (_, shown) = with(&settings, file.len(), &layers, count);
        let turned = segments(&shown).find_map(|s| orientation(s.payload));
        assert_eq!(turned, Some(6));
        assert_eq!(profile(&shown), profile(&file), "{count}");
    }
}

#[test]
fn the_first_layer_is_enough_for_a_thumbnail() {
    let (error, (width, height)) = preview_error(&JpegCodec, &large());
    assert!(error < 12.0, "{error} at {width}x{height}");
    assert!(width.max(height) > 64);
}

#[test]
fn a_strip_that_misses_a_layer_is_softer_and_the_others_are_not() {
    let file = large();
    let (settings, layers) = encode_for(&JpegCodec, &file, request(4)).unwrap();
    let size = file.len();
    let rows = Settings::read(&settings).unwrap().rows;
    let original = parse(&file).unwrap();
    let strips = encode::strips(&original.frame, rows);
    assert!(
        strips.len() >= 2,
        "{} bytes in {} strips",
        size,
        strips.len()
    );
    assert!(read(&settings, size, &layers, &[]).unwrap() == (Quality::Exact, file));
    // The last byte of a layer belongs to the last strip.
    let end = layers.len(4);
    let (how, shown) = read(&settings, size, &layers, &[(4, end - 1..end)]).unwrap();
    assert_eq!(how, Quality::Degraded(4));
    let there = parse(&shown).unwrap();
    let same = there.planes[0].iter().zip(&original.planes[0]);
    let same = same.take_while(|(a, b)| a == b).count();
    let first = strips[strips.len() - 1].start * 2 * original.frame.components[0].stride;
    assert!(same >= first, "{same} of {first} blocks");
    assert!(there.planes[0] != original.planes[0]);
    // A strip without its first layer is not shown at all.
    let end = layers.len(0);
    assert!(read(&settings, size, &layers, &[(0, end - 1..end)]).is_err());
}

/// The segments of a file, which must follow each other.
fn cut(settings: &[u8], size: usize, layers: &MemoryLayers) -> Vec<Range<u64>> {
    let reader = JpegCodec.open(settings, size as u64, Box::new(layers.clone()));
    let reader = reader.unwrap();
    let mut segments: Vec<Range<u64>> = Vec::new();
    let mut at = 0;
    while at < size as u64 {
        let segment = reader.segment(at);
        assert_eq!(segment.start, at);
        assert_eq!(reader.segment(segment.end - 1), segment);
        at = segment.end;
        segments.push(segment);
    }
    assert_eq!(at, size as u64);
    segments
}

#[test]
fn every_range_is_that_of_the_file() {
    let mut files = vectors();
    files.push(("large".to_owned(), large()));
    for (name, file) in files {
        for previews in [0, 2] {
            let Ok((settings, layers)) = encode_for(&JpegCodec, &file, request(previews)) else {
                continue;
            };
            let segments = cut(&settings, file.len(), &layers);
            assert!(segments.len() >= if name == "large" { 5 } else { 2 });
            let reader = JpegCodec.open(&settings, file.len() as u64, Box::new(layers.clone()));
            let reader = reader.unwrap();
            let mut random = Random(7);
            let some = (0..20).map(|_| {
                let start = random.below(file.len());
                start as u64..(start + random.below(file.len() - start + 1)) as u64
            });
            for range in some.collect::<Vec<_>>().into_iter().chain(segments) {
                println!("{name}, {previews} previews, {range:?}");
                let mut bytes = vec![0; (range.end - range.start) as usize];
                let quality = reader.read_at(range.start, &mut bytes).unwrap();
                assert_eq!(quality, Quality::Exact);
                assert!(bytes == file[range.start as usize..range.end as usize]);
            }
            assert!(reader.read_at(file.len() as u64, &mut [0]).is_err());
            assert!(reader.read_at(u64::MAX, &mut [0]).is_err());
        }
    }
}

#[test]
fn a_range_needs_no_other_strips() {
    let file = large();
    for previews in [0, 4] {
        let (settings, layers) = encode_for(&JpegCodec, &file, request(previews)).unwrap();
        let segments = cut(&settings, file.len(), &layers);
        let before: usize = segments[segments.len() - 1].start as usize;
        // The last byte of a layer belongs to the last strip, which begins some bytes before the middle of its rows.
        let end = layers.len(previews);
        let missing = vec![(previews, end - 1..end)];
        let lossy = Lossy {
            layers: layers.clone(),
            missing,
        };
        let reader = JpegCodec.open(&settings, file.len() as u64, Box::new(lossy));
        let reader = reader.unwrap();
        let mut bytes = vec![0; before];
        assert_eq!(reader.read_at(0, &mut bytes).unwrap(), Quality::Exact);
        assert!(bytes == file[..before]);
        match reader.read_at(before as u64, &mut [0]) {
            Ok(quality) => assert_eq!(quality, Quality::Degraded(previews)),
            Err(_) => assert_eq!(previews, 0),
        }
    }
}

#[test]
fn changed_files_come_back_or_are_declined() {
    let (mut back, mut declined) = (0, 0);
    for (name, file) in vectors() {
        for seed in 1000..1012 {
            println!("{name}, seed {seed}");
            let changed = mutated(&file, &mut Random(seed));
            match encode_for(&JpegCodec, &changed, request(2)) {
                Err(CodecError::Declined(_)) => declined += 1,
                other => {
                    let (settings, layers) = other.unwrap();
                    let there = decode(&JpegCodec, &settings, changed.len(), &layers).unwrap();
                    assert!(there == changed);
                    back += 1;
                }
            }
        }
    }
    assert!(back > 30 && declined > 30, "{back} {declined}");
}

#[test]
fn damage_never_passes_as_exact() {
    let mut found = 0;
    for name in ["baseline", "progressive_script", "metadata"] {
        let file = vector(name);
        for previews in [0, 4] {
            let (settings, layers) = encode_for(&JpegCodec, &file, request(previews)).unwrap();
            for seed in 0..120 {
                let mut random = Random(seed);
                let mut damaged = layers.clone();
                let which = random.below(layers.count());
                let layer = &mut damaged.layers[which];
                *layer = mutated(layer, &mut random);
                if *layer == layers.layers[which] {
                    continue;
                }
                println!("{name}, {previews} previews, seed {seed}");
                let reader = JpegCodec
                    .open(&settings, file.len() as u64, Box::new(damaged.clone()))
                    .unwrap();
                let start = random.below(file.len());
                let mut part = vec![0; random.below(file.len() - start) + 1];
                if let Ok(Quality::Exact) = reader.read_at(start as u64, &mut part) {
                    assert!(part == file[start..start + part.len()]);
                }
                match read(&settings, file.len(), &damaged, &[]) {
                    Ok((Quality::Exact, there)) => assert!(there == file),
                    Ok((Quality::Degraded(_), there)) => assert_eq!(there.len(), file.len()),
                    Err(_) => found += 1,
                }
            }
            for seed in 0..200 {
                let mut random = Random(seed);
                let settings = mutated(&settings, &mut random);
                if let Ok((Quality::Exact, there)) = read(&settings, file.len(), &layers, &[]) {
                    assert!(there == file);
                }
            }
            for size in [0, 1, file.len() - 1, file.len() + 1, usize::MAX] {
                assert!(
                    JpegCodec
                        .open(&settings, size as u64, Box::new(layers.clone()))
                        .map_or(true, |r| { r.read_at(0, &mut [0]).is_err() })
                );
            }
        }
    }
    assert!(found > 600, "{found}");
}

#[test]
fn others_are_declined() {
    let arithmetic = {
        let mut file = vector("baseline");
        let sof = segments(&file).find(|s| s.marker == 0xc0).unwrap().start;
        file[sof + 1] = 0xc9;
        file
    };
    for (file, why) in [
        (Vec::new(), "no JPEG"),
        (b"GIF89a".to_vec(), "no JPEG"),
        (arithmetic, "arithmetic"),
    ] {
        match encode_for(&JpegCodec, &file, request(4)) {
            Err(CodecError::Declined(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(JpegCodec.suits(&vector("baseline")));
    assert!(!JpegCodec.suits(b"\xff\xd8"));
}

/// A sink that asks to stop.
struct Stop(MemoryLayers);

impl LayerSink for Stop {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write(layer, bytes)
    }

    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_cancelled_encoding_stops() {
    let content = Bytes(vector("baseline"));
    let stopped = JpegCodec.encode(&content, request(4), &mut Stop(MemoryLayers::default()));
    assert!(matches!(stopped, Err(CodecError::Cancelled)));
}
