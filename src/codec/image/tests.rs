//! Tests of the image codec: kept files of all containers, with layers missing, and damage.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

use std::fs;
use std::path::Path;

use super::settings::Exact;
use super::*;
use crate::codec::testing::{MemoryLayers, decode, encode_for, preview_error, random};
use crate::codec::{Effort, Quality};
use crate::format::LayerError;
use crate::media::raster::Raster;

/// The kept files of some containers, by name.
fn vectors(folders: &[&str]) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

fn request(previews: usize) -> Request<'static> {
    Request {
        effort: Effort::Normal,
        previews,
        dictionaries: &[],
        bases: &[],
        previous: None,
    }
}

/// Layers of which only the first are there.
struct First(MemoryLayers, usize);

impl Layers for First {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.0.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        if layer < self.1 {
            return self.0.read_at(layer, offset, buf);
        }
        Err(LayerError::Missing {
            layer,
            offset,
            have: 0,
            need: 1,
        })
    }
}

/// What is read with only the first layers there.
fn degraded(
    settings: &[u8],
    size: usize,
    layers: &MemoryLayers,
    first: usize,
) -> Result<(Vec<u8>, Quality), CodecError> {
    let layers = Box::new(First(layers.clone(), first));
    let decoder = Image.open(settings, size as u64, layers)?;
    let mut file = vec![0; size];
    let quality = decoder.read_at(0, &mut file)?;
    Ok((file, quality))
}

/// The picture that a file shows.
fn shown(file: &[u8]) -> Raster {
    let container = container(file).unwrap();
    let parts = container.parse(file).or_else(|_| container.preview(file));
    parts.unwrap().raster.expanded()
}

/// Mean squared error of colour samples.
fn error(a: &Raster, b: &Raster) -> f64 {
    let colours = a.planes.len() - usize::from(matches!(a.planes.len(), 2 | 4));
    let pairs = a.planes[..colours]
        .iter()
        .flatten()
        .zip(b.planes.iter().flatten());
    let sum: f64 = pairs
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    sum / (a.planes[0].len() * colours) as f64
}

#[test]
fn every_kept_file_comes_back() {
    for (name, file) in vectors(&["png", "plain", "gif"]) {
        let (settings, layers) =
            encode_for(&Image, &file, request(4)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(layers.layers.len(), 5, "{name}");
        assert!(settings.len() <= 44, "{name}");
        assert_eq!(
            decode(&Image, &settings, file.len(), &layers).unwrap(),
            file,
            "{name}"
        );
        // Without previews only what gains is taken.
        match encode_for(&Image, &file, request(0)) {
            Ok((settings, layers)) => {
                assert_eq!(layers.layers.len(), 1, "{name}");
                assert!(layers.layers[0].len() < file.len(), "{name}");
                let back = decode(&Image, &settings, file.len(), &layers).unwrap();
                assert_eq!(back, file, "{name}");
            }
            Err(CodecError::Declined(_)) => {}
            Err(e) => panic!("{name}: {e}"),
        }
    }
}

#[test]
fn fewer_layers_show_the_same_picture_less_sharply() {
    let mut rendered = 0;
    for (name, file) in vectors(&["png", "plain", "gif"]) {
        let (settings, layers) = encode_for(&Image, &file, request(4)).unwrap();
        let original = shown(&file);
        let mut before = f64::INFINITY;
        for first in 1..5 {
            let result = degraded(&settings, file.len(), &layers, first);
            let (seen, quality) = match result {
                Ok(seen) => seen,
                // Some are too small to show anything else.
                Err(CodecError::Layer(LayerError::Missing { .. })) if file.len() < 200 => continue,
                Err(e) => panic!("{name}, {first} layers: {e}"),
            };
            rendered += 1;
            assert_eq!(quality, Quality::Degraded(first), "{name}");
            let seen = shown(&seen);
            assert_eq!(
                (seen.width, seen.height, seen.max),
                (original.width, original.height, original.max)
            );
            let error = error(&original, &seen);
            // Room and palette may cost more than layers give, in files of few bytes.
            if file.len() > 5000 {
                assert!(
                    error <= before * 1.01 + 0.01,
                    "{name}, {first} layers: {error} after {before}"
                );
            }
            before = error;
        }
        assert!(
            degraded(&settings, file.len(), &layers, 0).is_err(),
            "{name}"
        );
    }
    assert!(rendered > 400, "{rendered}");
}

#[test]
fn what_is_said_of_quality_is_true() {
    // Plain containers show what is decoded as it is.
    let files = vectors(&["plain"]);
    for (name, file) in files.iter().filter(|(name, _)| name.starts_with("rgb.")) {
        let (settings, layers) = encode_for(&Image, file, request(4)).unwrap();
        let original = shown(file);
        for first in 1..5 {
            let Some(decibels) = Image.quality(&settings, first) else {
                continue;
            };
            let (seen, _) = degraded(&settings, file.len(), &layers, first).unwrap();
            let measured = 10.0 * (65025.0 / error(&original, &shown(&seen))).log10();
            assert!(
                (measured - decibels).abs() < 0.3,
                "{name}: {measured} for {decibels}"
            );
        }
        assert_eq!(Image.quality(&settings, 0), None);
        assert_eq!(Image.quality(&settings, 5), None);
    }
}

#[test]
fn palettes_and_odd_files_are_kept_in_the_right_way() {
    let exact = |name: &str, folder: &str| {
        let files = vectors(&[folder]);
        let file = &files.iter().find(|(n, _)| n == name).unwrap().1;
        let (settings, _) = encode_for(&Image, file, request(4)).unwrap();
        Settings::parse(&settings).unwrap().exact
    };
    assert_eq!(exact("level-0.png", "png"), Exact::Apart);
    assert_eq!(exact("level-6.png", "png"), Exact::Apart);
    assert_eq!(exact("rgb.ppm", "plain"), Exact::Apart);
    assert_eq!(exact("moving.gif", "gif"), Exact::File);
}

#[test]
fn ranges_are_those_of_the_file() {
    let files = vectors(&["png"]);
    let file = &files
        .iter()
        .find(|(name, _)| name == "level-6.png")
        .unwrap()
        .1;
    let (settings, layers) = encode_for(&Image, file, request(4)).unwrap();
    let decoder = Image
        .open(&settings, file.len() as u64, Box::new(layers))
        .unwrap();
    assert_eq!(decoder.segment(0), 0..file.len() as u64);
    for (offset, length) in [(0, 1), (7, 100), (file.len() - 1, 1), (file.len(), 0)] {
        let mut buf = vec![0; length];
        decoder.read_at(offset as u64, &mut buf).unwrap();
        assert_eq!(buf, file[offset..offset + length]);
    }
    assert!(decoder.read_at(file.len() as u64, &mut [0]).is_err());
    assert!(decoder.read_at(u64::MAX, &mut [0]).is_err());
}

#[test]
fn what_is_not_a_picture_is_declined() {
    for content in [
        &b""[..],
        b"text",
        b"P5",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        &random(3, 5000),
    ] {
        for previews in [0, 4] {
            let result = encode_for(&Image, content, request(previews));
            assert!(
                matches!(result, Err(CodecError::Declined(_))),
                "{content:?}"
            );
        }
    }
    // Noise does not shrink.
    let mut noise = b"P5 100 100 255 ".to_vec();
    noise.extend(random(1, 10_000));
    assert!(matches!(
        encode_for(&Image, &noise, request(0)),
        Err(CodecError::Declined(_))
    ));
}

#[test]
fn damage_is_found_and_never_shown_as_exact() {
    let files = vectors(&["png", "plain", "gif"]);
    let draws = random(77, 24_000);
    let mut wrong = 0;
    for (round, draw) in draws.chunks_exact(12).enumerate() {
        let number = |at: usize| usize::from(draw[at]) << 8 | usize::from(draw[at + 1]);
        let (name, file) = &files[number(0) % files.len()];
        if file.len() > 3000 {
            continue;
        }
        let (mut settings, mut layers) = encode_for(&Image, file, request(4)).unwrap();
        let target = number(2) % 6;
        let bytes = layers.layers.get_mut(target).unwrap_or(&mut settings);
        if bytes.is_empty() {
            continue;
        }
        let at = number(4) % bytes.len();
        match draw[6] % 4 {
            0 => bytes.truncate(at),
            1 => bytes[at] = draw[7],
            _ => bytes[at] ^= 1 << (draw[7] % 8),
        }
        let first = usize::from(draw[8]) % 6;
        match degraded(&settings, file.len(), &layers, first) {
            Ok((seen, Quality::Exact)) => assert_eq!(&seen, file, "round {round}, {name}"),
            Ok((seen, Quality::Degraded(_))) => assert_eq!(seen.len(), file.len()),
            Err(_) => wrong += 1,
        }
    }
    assert!(wrong > 100, "{wrong}");
}

#[test]
fn a_cancelled_encoding_stops() {
    struct Stop;
    impl LayerSink for Stop {
        fn write(&mut self, _: usize, _: &[u8]) -> std::io::Result<()> {
            panic!("nothing is written")
        }
        fn cancelled(&self) -> bool {
            true
        }
    }
    let (_, file) = &vectors(&["plain"])[0];
    let content = crate::codec::testing::Bytes(file.clone());
    let stopped = Image.encode(&content, request(4), &mut Stop);
    assert!(matches!(stopped, Err(CodecError::Cancelled)));
}

#[test]
fn the_first_layer_is_enough_for_a_thumbnail() {
    let (width, height) = (200, 120);
    let mut file = format!("P6 {width} {height} 255\n").into_bytes();
    for y in 0..height {
        for x in 0..width {
            // Grain, as photographs have.
            let grain = ((x * 7919) ^ (y * 104_729) ^ (x * y)) % 11;
            let wave = (x * x / 90 + y * 2 + grain) % 256;
            file.extend(
                [wave, x + grain, y * 2].map(|sample: usize| u8::try_from(sample % 256).unwrap()),
            );
        }
    }
    let (error, size) = preview_error(&Image, &file);
    assert!(error < 13.0, "{error}");
    assert_eq!(size, (128, 76));
}
