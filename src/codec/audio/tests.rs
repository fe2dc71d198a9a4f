//! Tests of the audio codec: all widths and channels, layers missing, ranges, and damage.

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

use super::*;
use crate::codec::testing::{Bytes, MemoryLayers, decode, encode_for, random};
use crate::codec::{Effort, Quality};
use crate::format::LayerError;
use crate::media::sound::Pcm;
use crate::media::sound::flac::{Head, PieceReader};

const RATE: u32 = 48_000;

fn request(previews: usize) -> Request<'static> {
    Request {
        effort: Effort::Normal,
        previews,
        dictionaries: &[],
        bases: &[],
        previous: None,
    }
}

/// A WAV file of integers (`tag` 1) or floats (3), with these samples, frame after frame.
fn wav(tag: u16, channels: u16, bytes: u16, samples: &[u8], after: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    let size = 36 + samples.len() + after.len();
    file.extend(u32::try_from(size).unwrap().to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * u32::from(channels * bytes)).to_le_bytes());
    file.extend((channels * bytes).to_le_bytes());
    file.extend((bytes * 8).to_le_bytes());
    file.extend(b"data");
    file.extend(u32::try_from(samples.len()).unwrap().to_le_bytes());
    file.extend(samples);
    file.extend(after);
    file
}

/// Where samples begin in such a file.
const HEAD: usize = 44;

/// A few tones that come and go, and some noise: between -1 and 1.
fn tones(frames: usize, channel: usize) -> Vec<f64> {
    let mut noise = random(channel as u64, frames * 2).into_iter();
    let mut noise = || (f64::from(noise.next().unwrap()) - 127.5) / 127.5;
    let tone = |i: usize, pitch: f64| (i as f64 * pitch).sin() * (i as f64 * 0.0003 * pitch).sin();
    let both = |i: usize| {
        0.4 * tone(i, 0.031) + 0.3 * tone(i, 0.11) + 0.2 * tone(i, 0.05 + 0.02 * channel as f64)
    };
    (0..frames).map(|i| both(i) + 0.002 * noise()).collect()
}

/// The tones of all channels as samples of `bytes` bytes.
fn music(channels: u16, bytes: u16, frames: usize) -> Vec<u8> {
    let all: Vec<Vec<f64>> = (0..channels)
        .map(|c| tones(frames, usize::from(c)))
        .collect();
    let mut samples = Vec::new();
    for i in 0..frames {
        for channel in &all {
            let value = (channel[i] * 0.9 * f64::from(i32::MAX)) as i32;
            let word = (value >> (32 - 8 * u32::from(bytes))).to_le_bytes();
            let mut word = word[..usize::from(bytes)].to_vec();
            if bytes == 1 {
                word[0] ^= 0x80;
            }
            samples.extend(word);
        }
    }
    samples
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
fn degraded(settings: &[u8], size: usize, layers: &MemoryLayers, first: usize) -> Vec<u8> {
    let layers = Box::new(First(layers.clone(), first));
    let decoder = Audio.open(settings, size as u64, layers).unwrap();
    let mut file = vec![0; size];
    let quality = decoder.read_at(0, &mut file).unwrap();
    assert_eq!(quality, Quality::Degraded(first));
    file
}

/// Encodes, decodes, compares; the settings and layers.
fn through(file: &[u8], previews: usize) -> (Vec<u8>, MemoryLayers) {
    let (settings, layers) = encode_for(&Audio, file, request(previews)).unwrap();
    assert_eq!(layers.layers.len(), previews + 1);
    let back = decode(&Audio, &settings, file.len(), &layers).unwrap();
    assert!(back == file, "it comes back otherwise");
    (settings, layers)
}

fn sum(layers: &MemoryLayers) -> usize {
    layers.layers.iter().map(Vec::len).sum()
}

/// SNR of 16-bit samples after the head, in dB.
fn snr(file: &[u8], seen: &[u8]) -> f64 {
    let samples = |bytes: &[u8]| -> Vec<f64> {
        let pairs = bytes[HEAD..].as_chunks().0.iter();
        pairs
            .map(|pair| f64::from(i16::from_le_bytes(*pair)))
            .collect()
    };
    let (file, seen) = (samples(file), samples(seen));
    let energy: f64 = file.iter().map(|s| s * s).sum();
    let noise: f64 = file.iter().zip(&seen).map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (energy / noise).log10()
}

#[test]
fn every_width_and_number_of_channels_comes_back() {
    for bytes in 1..=4 {
        for channels in [1, 2, 3, 6, 8] {
            let samples = music(channels, bytes, 9000);
            let file = wav(1, channels, bytes, &samples, b"");
            for previews in [0, 1, 4] {
                let (settings, layers) = through(&file, previews);
                assert!(
                    sum(&layers) < file.len(),
                    "{bytes} bytes, {channels} channels"
                );
                assert_eq!(settings.len(), 24 + 2 * previews);
            }
        }
    }
}

/// Kept files of sound, by name.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sound");
    let mut files = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        files.push((name, fs::read(path).unwrap()));
    }
    files.sort();
    files
}

#[test]
fn kept_files_come_back_and_stay_valid() {
    let (mut coded, mut flac) = (0, 0);
    for (name, file) in vectors() {
        let (settings, layers) = match encode_for(&Audio, &file, request(4)) {
            Ok(encoded) => encoded,
            Err(CodecError::Declined(_)) => continue,
            Err(e) => panic!("{name}: {e}"),
        };
        coded += 1;
        let back = decode(&Audio, &settings, file.len(), &layers).unwrap();
        assert!(back == file, "{name}");
        for first in 1..5 {
            let layers = Box::new(First(layers.clone(), first));
            let decoder = Audio.open(&settings, file.len() as u64, layers).unwrap();
            let mut seen = vec![0; file.len()];
            match decoder.read_at(0, &mut seen) {
                Ok(quality) => assert_eq!(quality, Quality::Degraded(first), "{name}"),
                // Frames that would have to be of a few bytes.
                Err(CodecError::Format(_)) if name.ends_with("flac") => continue,
                Err(e) => panic!("{name}, {first} layers: {e}"),
            }
            let mut source = |at: u64, buf: &mut [u8]| Bytes(seen.clone()).read_at(at, buf);
            let size = file.len() as u64;
            if name.ends_with("flac") {
                let head = Head::parse(size, &mut source).unwrap();
                let mut reader = PieceReader::new(head.info);
                let mut at = usize::try_from(head.frames).unwrap();
                while at < seen.len() {
                    at += reader.take(&seen[at..]).unwrap();
                }
                flac += 1;
            } else {
                Pcm::find(size, &mut source).unwrap();
            }
        }
    }
    assert!(coded >= 12 && flac >= 12, "{coded} files, {flac} of FLAC");
}

#[test]
fn noise_and_extremes_come_back() {
    for bytes in 1..=4 {
        for channels in [1, 2] {
            let noise = random(u64::from(bytes), 20_000 * usize::from(bytes));
            let square: Vec<u8> = (0..noise.len())
                .map(|i| if i / 400 % 2 == 0 { 0x7f } else { 0x80 })
                .collect();
            let edge: Vec<u8> = (0..noise.len() / usize::from(bytes))
                .flat_map(|i| {
                    let least = i32::MIN >> (32 - 8 * u32::from(bytes));
                    let value = if i % 500 < 250 { least } else { -1 - least };
                    value.to_le_bytes()[..usize::from(bytes)].to_vec()
                })
                .collect();
            for samples in [noise, square, edge] {
                let whole = samples.len() / usize::from(bytes * channels);
                let samples = &samples[..whole * usize::from(bytes * channels)];
                through(&wav(1, channels, bytes, samples, b""), 4);
            }
        }
    }
}

#[test]
fn floats_come_back() {
    let music: Vec<f64> = tones(20_000, 0);
    let exact = music
        .iter()
        .map(|v| ((v * 30_000.0).round() / 32_768.0) as f32);
    let rough = music.iter().map(|v| *v as f32);
    let odd = [f32::NAN, f32::INFINITY, -0.0, 1e-40, 3e38, 0.0, 0.5];
    let odd = odd.into_iter().cycle().take(5000);
    let all: [Vec<f32>; 3] = [exact.collect(), rough.collect(), odd.collect()];
    for samples in all {
        let bytes: Vec<u8> = samples.iter().flat_map(|v| v.to_le_bytes()).collect();
        let file = wav(3, 1, 4, &bytes, b"");
        let (settings, layers) = through(&file, 4);
        for first in 1..5 {
            degraded(&settings, file.len(), &layers, first);
        }
    }
}

#[test]
fn silence_costs_nothing() {
    for samples in [vec![0; 3_000_000], Vec::new()] {
        let file = wav(1, 2, 2, &samples, b"");
        let (settings, layers) = through(&file, 4);
        assert!(sum(&layers) < 600, "{}", sum(&layers));
        for first in 1..5 {
            assert_eq!(degraded(&settings, file.len(), &layers, first), file);
        }
    }
}

#[test]
fn unused_bits_and_values_are_not_paid_for() {
    let plain = music(1, 2, 60_000);
    let size = |file: &[u8]| sum(&through(file, 0).1);
    let wanted = size(&wav(1, 1, 2, &plain, b""));
    // The same in the upper bits of 24.
    let wide: Vec<u8> = plain
        .as_chunks::<2>()
        .0
        .iter()
        .flat_map(|[a, b]| [0, *a, *b])
        .collect();
    assert!(size(&wav(1, 1, 3, &wide, b"")) < wanted + 100);
    // And 12 bits of it, scaled by 13.
    let scaled = |factor: i16| {
        let values = plain.as_chunks().0.iter();
        let values = values.map(|pair| (i16::from_le_bytes(*pair) >> 4) * factor);
        values.flat_map(i16::to_le_bytes).collect::<Vec<u8>>()
    };
    let coarse = size(&wav(1, 1, 2, &scaled(1), b""));
    assert!(size(&wav(1, 1, 2, &scaled(13), b"")) < coarse + coarse / 10);
}

#[test]
fn what_suits_no_transform_is_predicted_in_time() {
    let saw = |i: i32| i * 601 % 40_000 - 20_000;
    let clicks = |i: i32| i32::from(i % 2311 == 0) * 9000 + i32::from(i % 7 == 0);
    let steps = |i: i32| (i / 31 * i / 977) % 3 - 1;
    let sounds: [&dyn Fn(i32) -> i32; 3] = [&saw, &clicks, &steps];
    for (sound, share) in sounds.into_iter().zip([20, 10, 5]) {
        let samples = (0..60_000).flat_map(|i| (sound(i) as i16).to_le_bytes());
        let file = wav(1, 1, 2, &samples.collect::<Vec<u8>>(), b"");
        let alone = sum(&through(&file, 0).1);
        assert!(alone < file.len() / share, "{alone} of {}", file.len());
        let (settings, layers) = through(&file, 4);
        // What makes it exact need not pay for poor previews.
        let exact = layers.layers[4].len();
        assert!(exact < file.len() / share, "{exact}, {alone}");
        for first in 1..5 {
            degraded(&settings, file.len(), &layers, first);
        }
    }
}

#[test]
fn channels_that_are_alike_cost_little_more_than_one() {
    let one = music(1, 2, 60_000);
    let two: Vec<u8> = one
        .as_chunks::<2>()
        .0
        .iter()
        .flat_map(|s| [s[0], s[1], s[0], s[1]])
        .collect();
    let alone = sum(&through(&wav(1, 1, 2, &one, b""), 0).1);
    let both = sum(&through(&wav(1, 2, 2, &two, b""), 0).1);
    assert!(both < alone * 11 / 10, "{both} {alone}");
}

#[test]
fn fewer_layers_are_softer_and_never_worse_than_promised() {
    for channels in [1, 2, 5] {
        let file = wav(
            1,
            channels,
            2,
            &music(channels, 2, 50_000),
            b"LIST\x04\0\0\0abcd",
        );
        let (settings, layers) = through(&file, 4);
        let mut before = 0.0;
        for (first, wanted) in (1..5).zip(WANTED) {
            let seen = degraded(&settings, file.len(), &layers, first);
            assert_eq!(seen[..HEAD], file[..HEAD]);
            let end = file.len() - 12;
            assert_eq!(seen[end..], file[end..]);
            let real = snr(&file[..end], &seen[..end]);
            let stated = Audio.quality(&settings, first).unwrap();
            assert!(
                real >= wanted - 0.1,
                "{channels} channels, {first} layers: {real}"
            );
            assert!((-0.1..0.5).contains(&(real - stated)), "{real} {stated}");
            assert!(real >= before, "{real} after {before}");
            before = real;
        }
        assert_eq!(Audio.quality(&settings, 5), None);
        assert_eq!(Audio.quality(&settings, 0), None);
    }
}

#[test]
fn quiet_and_sparse_sounds_are_heard_in_every_layer() {
    let quiet: Vec<u8> = (0..60_000)
        .flat_map(|i| (((f64::from(i) * 0.05).sin() * 3.0).round() as i16).to_le_bytes())
        .collect();
    let steps: Vec<u8> = (0..60_000)
        .flat_map(|i| (((f64::from(i) * 0.03).sin() * 40.0) as i16 * 700).to_le_bytes())
        .collect();
    for samples in [quiet, steps] {
        let file = wav(1, 1, 2, &samples, b"");
        let (settings, layers) = through(&file, 4);
        for (first, wanted) in (1..5).zip(WANTED) {
            let real = snr(&file, &degraded(&settings, file.len(), &layers, first));
            assert!(real >= wanted - 0.1, "{first} layers: {real}");
        }
    }
}

#[test]
fn loud_sounds_do_not_wrap() {
    // Clipped at both ends: what overshoots in a preview stays at the end of the range.
    let samples: Vec<u8> = (0..100_000)
        .flat_map(|i| {
            let value = (f64::from(i) * 0.02).sin() * 60_000.0;
            (value.clamp(-32_768.0, 32_767.0) as i16).to_le_bytes()
        })
        .collect();
    let file = wav(1, 1, 2, &samples, b"");
    let (settings, layers) = through(&file, 4);
    for first in 1..5 {
        let seen = degraded(&settings, file.len(), &layers, first);
        for (a, b) in file[HEAD..]
            .as_chunks()
            .0
            .iter()
            .zip(seen[HEAD..].as_chunks().0)
        {
            let (a, b) = (i16::from_le_bytes(*a), i16::from_le_bytes(*b));
            assert!(a.abs_diff(b) < 40_000, "{a} became {b}");
        }
    }
}

#[test]
fn ranges_are_read_alone() {
    let samples = music(2, 2, 700_000);
    let file = wav(1, 2, 2, &samples, b"LIST\x04\0\0\0abcd");
    let (settings, layers) = through(&file, 4);
    let decoder = Audio
        .open(&settings, file.len() as u64, Box::new(layers.clone()))
        .unwrap();
    let mut ends = vec![0];
    while *ends.last().unwrap() < file.len() as u64 {
        let range = decoder.segment(*ends.last().unwrap());
        assert_eq!(range.start, *ends.last().unwrap());
        ends.push(range.end);
    }
    // Head, 262,144 frames twice, the rest, tail.
    assert_eq!(ends, [0, 44, 1_048_620, 2_097_196, 2_800_044, 2_800_056]);
    for (start, length) in [
        (0, 10),
        (40, 10),
        (1_048_600, 50),
        (1_500_001, 1),
        (2_800_040, 16),
    ] {
        let mut buf = vec![0; length];
        let quality = decoder.read_at(start as u64, &mut buf).unwrap();
        assert_eq!(quality, Quality::Exact);
        assert_eq!(buf, file[start..start + length]);
    }
    // A first segment that is damaged is nobody else's concern.
    let mut broken = layers;
    broken.layers[4][100] ^= 1;
    let decoder = Audio
        .open(&settings, file.len() as u64, Box::new(broken))
        .unwrap();
    let mut buf = vec![0; 1000];
    assert!(decoder.read_at(1000, &mut buf).is_err());
    assert_eq!(
        decoder.read_at(2_000_000, &mut buf).unwrap(),
        Quality::Exact
    );
}

#[test]
fn long_notes_around_the_samples_wait_for_the_last_layer() {
    let samples = music(1, 2, 30_000);
    let mut after = b"id3 ".to_vec();
    after.extend(2_000_000_u32.to_le_bytes());
    after.extend(random(1, 2_000_000));
    let file = wav(1, 1, 2, &samples, &after);
    let (settings, layers) = through(&file, 4);
    assert!(layers.layers[0].len() < 3000, "{}", layers.layers[0].len());
    let seen = degraded(&settings, file.len(), &layers, 4);
    let end = HEAD + samples.len();
    assert_eq!(seen[end..end + 8 + 64], file[end..end + 8 + 64]);
    assert!(seen[end + 8 + 64..].iter().all(|byte| *byte == 0));
}

#[test]
fn what_is_no_sound_or_gains_nothing_is_declined() {
    let noise = wav(1, 1, 2, &random(1, 50_000), b"");
    for (file, previews) in [
        (&b"RIFF\0\0\0\0WAVE"[..], 4),
        (&b"no sound at all"[..], 4),
        (&b""[..], 0),
        (&noise[..], 0),
    ] {
        let result = encode_for(&Audio, file, request(previews));
        assert!(matches!(result, Err(CodecError::Declined(_))), "{result:?}");
    }
}

#[test]
fn a_cancelled_encoder_stops() {
    #[derive(Debug)]
    struct Stop;
    impl LayerSink for Stop {
        fn write(&mut self, _: usize, _: &[u8]) -> std::io::Result<()> {
            Ok(())
        }
        fn cancelled(&self) -> bool {
            true
        }
    }
    let file = wav(1, 1, 2, &music(1, 2, 3000), b"");
    let result = Audio.encode(&Bytes(file), request(4), &mut Stop);
    assert!(matches!(result, Err(CodecError::Cancelled)));
}

#[test]
fn damaged_layers_and_settings_are_errors() {
    let steps: Vec<u8> = (0..9000)
        .flat_map(|i| (((f64::from(i) * 0.03).sin() * 40.0) as i16 * 700).to_le_bytes())
        .collect();
    let float: Vec<u8> = tones(3000, 0)
        .iter()
        .flat_map(|v| (*v as f32).to_le_bytes())
        .collect();
    let files = [
        wav(1, 2, 2, &music(2, 2, 3000), b""),
        wav(1, 1, 4, &random(1, 12_000), b""),
        wav(1, 1, 2, &steps, b""),
        wav(3, 1, 4, &float, b""),
    ];
    let seed = 77;
    for file in files {
        let (settings, layers) = through(&file, 4);
        for round in 0..300_u64 {
            let dice = random(seed + round, 6);
            let [high, low, part, flip, way, kept] = dice[..] else {
                panic!()
            };
            let (mut settings, mut layers) = (settings.clone(), layers.clone());
            let at = usize::from(high) << 8 | usize::from(low);
            if part % 8 == 0 {
                let at = at % settings.len();
                settings[at] ^= flip | 1;
            } else {
                let layer = usize::from(part % 5);
                let layer = &mut layers.layers[layer];
                let length = layer.len();
                match way % 3 {
                    0 => layer.truncate(at % (length + 1)),
                    // Headers come first, and say most.
                    1 if length > 0 => layer[at % 60 % length] ^= flip | 1,
                    _ if length > 0 => layer[at % length] ^= flip | 1,
                    _ => layer.push(flip),
                }
            }
            let first = 1 + usize::from(kept % 5);
            let layers = Box::new(First(layers, first));
            let Ok(decoder) = Audio.open(&settings, file.len() as u64, layers) else {
                continue;
            };
            let mut back = vec![0; file.len()];
            if let Ok(Quality::Exact) = decoder.read_at(0, &mut back) {
                assert!(back == file, "seed {seed}, round {round}");
            }
        }
    }
}

#[test]
fn the_same_sound_gives_the_same_bytes() {
    let file = wav(1, 2, 3, &music(2, 3, 40_000), b"");
    assert_eq!(through(&file, 4), through(&file, 4));
}
