//! Tests of the video codec: every format, odd files, any number of layers, damage.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

use super::*;
use crate::codec::testing::{MemoryLayers, decode, encode_for, random};
use crate::codec::{Effort, Quality};
use crate::media::y4m::{Header, frame_line};

const SPACES: [(&str, u8); 13] = [
    ("420jpeg", 8),
    ("420p10", 10),
    ("420p16", 16),
    ("411", 8),
    ("422", 8),
    ("422p12", 12),
    ("444", 8),
    ("444p9", 9),
    ("444alpha", 8),
    ("mono", 8),
    ("mono9", 9),
    ("mono16", 16),
    ("420paldv", 8),
];

/// A file whose pattern moves by a fraction of a sample from frame to frame, with some noise.
fn video(space: &str, bits: u8, (width, height): (usize, usize), frames: usize) -> Vec<u8> {
    let mut file =
        format!("YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C{space} Xtest\n").into_bytes();
    let (header, _) = Header::parse(&file).unwrap();
    for frame in 0..frames {
        file.extend(PLAIN);
        let shift = frame as f64 * 1.3;
        let mut planes = Vec::new();
        for (number, shape) in header.planes().iter().enumerate() {
            let noise = random((frame * 4 + number) as u64, shape.width * shape.height);
            let scale = width as f64 / shape.width as f64;
            let max = f64::from(header.max());
            let sample = |i: usize| {
                let (x, y) = (i % shape.width, i / shape.width);
                let (x, y) = (x as f64 * scale + shift, y as f64 * scale + shift / 2.0);
                let value = (x * 0.21).sin() * (y * 0.17).cos() * 0.4 + (x * y * 0.003).sin() * 0.1;
                let value = (value + 0.5) * max + f64::from(noise[i] % 4) * max / 255.0;
                value.clamp(0.0, max) as u16
            };
            planes.push(
                (0..shape.width * shape.height)
                    .map(sample)
                    .collect::<Vec<u16>>(),
            );
        }
        file.extend(header.write(&planes).unwrap());
    }
    let _ = bits;
    file
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

/// Only the first layers are there.
#[derive(Clone)]
struct First(MemoryLayers, usize);

impl Layers for First {
    fn count(&self) -> usize {
        self.0.count()
    }
    fn len(&self, layer: usize) -> u64 {
        Layers::len(&self.0, layer)
    }
    fn read_at(
        &self,
        layer: usize,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), crate::format::LayerError> {
        if layer >= self.1 {
            return Err(crate::format::LayerError::Missing {
                layer,
                offset,
                have: 0,
                need: 1,
            });
        }
        self.0.read_at(layer, offset, buf)
    }
}

/// The file from the first layers, and what it is said to be.
fn shown(settings: &[u8], layers: &MemoryLayers, size: usize, count: usize) -> (Vec<u8>, Quality) {
    let layers = Box::new(First(layers.clone(), count));
    let decoder = Video.open(settings, size as u64, layers).unwrap();
    let mut file = vec![0; size];
    let quality = decoder.read_at(0, &mut file).unwrap();
    (file, quality)
}

/// PSNR over the frames of two files with the same lines; checks that lines and bytes after the frames are as wanted.
fn psnr(file: &[u8], other: &[u8]) -> f64 {
    let (header, mut at) = Header::parse(file).unwrap();
    assert_eq!(file[..at], other[..at]);
    let (mut error, mut count) = (0.0, 0.0);
    while let Ok(line) = frame_line(&file[at..]) {
        if at + line + header.frame_bytes() > file.len() {
            break;
        }
        assert_eq!(file[at..at + line], other[at..at + line]);
        at += line;
        let read = |file: &[u8]| header.read(&file[at..at + header.frame_bytes()]).unwrap();
        for (a, b) in read(file)
            .iter()
            .flatten()
            .zip(read(other).iter().flatten())
        {
            error += (f64::from(*a) - f64::from(*b)).powi(2);
            count += 1.0;
        }
        at += header.frame_bytes();
    }
    let peak = f64::from(header.max());
    10.0 * (peak * peak * count / error).log10()
}

#[test]
fn every_format_comes_back_and_is_softer_with_fewer_layers() {
    for (space, bits) in SPACES {
        let file = video(space, bits, (45, 37), 5);
        let (settings, layers) = encode_for(&Video, &file, request(4)).unwrap();
        assert!(
            decode(&Video, &settings, file.len(), &layers).unwrap() == file,
            "{space}"
        );
        let mut before = 0.0;
        for count in 1..=4 {
            let (soft, quality) = shown(&settings, &layers, file.len(), count);
            assert_eq!(quality, Quality::Degraded(count));
            let db = psnr(&file, &soft);
            assert!(
                db >= [0.0, 22.0, 27.0, 33.0, 37.0][count] - 0.01,
                "{space} {count}: {db}"
            );
            assert!(db >= before, "{space} {count}: {db} after {before}");
            before = db;
            let told = Video.quality(&settings, count).unwrap_or(f64::INFINITY);
            // Opacity does not count.
            assert!(
                space == "444alpha" || (db - told).abs() < 0.02 || db.is_infinite(),
                "{db} {told}"
            );
        }
        assert_eq!(Video.quality(&settings, 5), None);
        assert_eq!(Video.quality(&settings, 0), None);
    }
}

#[test]
fn one_layer_and_any_number_of_previews() {
    let file = video("420jpeg", 8, (64, 48), 18);
    for previews in [0, 1, 2, 8, 9] {
        let (settings, layers) = encode_for(&Video, &file, request(previews)).unwrap();
        assert!(decode(&Video, &settings, file.len(), &layers).unwrap() == file);
        assert_eq!(layers.count(), previews + 1);
    }
}

#[test]
fn odd_sizes() {
    for size in [(1, 1), (2, 1), (1, 9), (8, 8), (17, 3), (3, 40), (130, 1)] {
        for space in ["420jpeg", "411", "422", "444", "mono"] {
            let file = video(space, 8, size, 3);
            let (settings, layers) = encode_for(&Video, &file, request(4)).unwrap();
            assert!(
                decode(&Video, &settings, file.len(), &layers).unwrap() == file,
                "{space} {size:?}"
            );
            for count in 1..=4 {
                let (soft, _) = shown(&settings, &layers, file.len(), count);
                psnr(&file, &soft);
            }
        }
    }
}

#[test]
fn lines_and_what_follows_the_frames_are_kept() {
    let plain = video("420jpeg", 8, (32, 16), 20);
    let (header, length) = Header::parse(&plain).unwrap();
    let mut file = plain[..length].to_vec();
    for (i, frame) in plain[length..].chunks(6 + header.frame_bytes()).enumerate() {
        file.extend(format!("FRAME Ip Xnumber{i}\n").bytes());
        file.extend(&frame[6..]);
    }
    let frames = file.len();
    let tail = vec![7; 9_000_000];
    for tail in [&b""[..], b"FRAME\nand a part of a frame", b"\n", &tail] {
        file.truncate(frames);
        file.extend(tail);
        let (settings, layers) = encode_for(&Video, &file, request(4)).unwrap();
        assert!(decode(&Video, &settings, file.len(), &layers).unwrap() == file);
        let (soft, _) = shown(&settings, &layers, file.len(), 2);
        assert!(psnr(&file, &soft) > 26.9);
        assert!(soft[frames..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn what_is_not_for_it_is_declined() {
    let declined = |file: &[u8], previews| {
        let result = encode_for(&Video, file, request(previews));
        assert!(matches!(result, Err(CodecError::Declined(_))), "{result:?}");
    };
    declined(b"", 4);
    declined(b"YUV4MPEG2 W4 H4\n", 4);
    declined(b"YUV4MPEG2 W4 H4\nFRAME\nshort", 4);
    declined(b"YUV4MPEG2 W4 H4 Cnonsense\nFRAME\n", 4);
    declined(b"YUV4MPEG2 W65535 H65535\nFRAME\n", 4);
    let mut high = video("mono9", 9, (8, 8), 2);
    *high.last_mut().unwrap() = 2;
    declined(&high, 4);
    // Noise gains nothing in one layer, and is kept with previews.
    let mut noise = b"YUV4MPEG2 W64 H64 Cmono\nFRAME\n".to_vec();
    noise.extend(random(3, 64 * 64));
    declined(&noise, 0);
    let (settings, layers) = encode_for(&Video, &noise, request(4)).unwrap();
    assert!(decode(&Video, &settings, noise.len(), &layers).unwrap() == noise);
}

#[test]
fn any_range_is_what_the_whole_file_has_there() {
    let file = video("420jpeg", 8, (48, 32), 50);
    let (settings, layers) = encode_for(&Video, &file, request(4)).unwrap();
    let decoder = Video
        .open(&settings, file.len() as u64, Box::new(layers))
        .unwrap();
    for (i, draw) in random(11, 40 * 8).as_chunks::<8>().0.iter().enumerate() {
        let draw = u64::from_le_bytes(*draw);
        let start = draw as usize % file.len();
        let length = ((draw >> 32) as usize % 90_000).min(file.len() - start);
        let mut piece = vec![0; length];
        assert_eq!(
            decoder.read_at(start as u64, &mut piece).unwrap(),
            Quality::Exact
        );
        assert!(
            piece == file[start..start + length],
            "number {i}: {start}..+{length}"
        );
        let segment = decoder.segment(start as u64);
        assert!(segment.contains(&(start as u64)));
        assert!(segment.end - segment.start <= 17 * (48 * 32 * 3 / 2 + 6) + 64);
    }
}

/// Frames of tiles that move by two samples a frame, other tiles for each scene.
fn tiles(scene: u64, (width, height): (usize, usize), frame: usize) -> Vec<u8> {
    let shades = random(scene, 64 * 64);
    let noise = random(scene + 100 + frame as u64, width * height * 3 / 2);
    let sample = |i: usize| {
        let (x, y) = (i % width + 2 * frame, i / width + frame);
        shades[y / 7 % 64 * 64 + x / 5 % 64] / 2 + noise[i] % 4
    };
    let mut bytes = PLAIN.to_vec();
    bytes.extend((0..width * height).map(sample));
    bytes.extend(noise[width * height..].iter().map(|byte| 128 + byte % 4));
    bytes
}

#[test]
fn repeated_frames_and_cuts_cost_little() {
    let line = b"YUV4MPEG2 W96 H80 C420jpeg\n".to_vec();
    let bytes = |frames: &[Vec<u8>], previews| {
        let file = [line.clone(), frames.concat()].concat();
        let (settings, layers) = encode_for(&Video, &file, request(previews)).unwrap();
        assert!(decode(&Video, &settings, file.len(), &layers).unwrap() == file);
        layers.layers.iter().map(Vec::len).sum::<usize>()
    };
    let [one, other] = [1, 2].map(|scene| {
        let frames = (0..8).map(|frame| tiles(scene, (96, 80), frame));
        frames.collect::<Vec<_>>()
    });
    for previews in [0, 4] {
        // The same frame, 16 times.
        let once = bytes(&one[..1], previews);
        let often = bytes(&vec![one[0].clone(); 16], previews);
        assert!(often < once + 200, "{often} after {once}");
        // Two scenes in turns cost hardly more than each alone.
        let turns: Vec<Vec<u8>> = one
            .iter()
            .zip(&other)
            .flat_map(|(a, b)| [a.clone(), b.clone()])
            .collect();
        let alone = bytes(&one, previews) + bytes(&other, previews);
        let turns = bytes(&turns, previews);
        assert!(turns * 100 < alone * 103, "{turns} and {alone}");
    }
}

#[test]
fn damage_is_an_error_or_declared() {
    let mut file = video("420jpeg", 8, (40, 24), 20);
    file.extend(b"trailing");
    let (settings, layers) = encode_for(&Video, &file, request(4)).unwrap();
    for (i, draw) in random(5, 300 * 8).as_chunks::<8>().0.iter().enumerate() {
        let draw = u64::from_le_bytes(*draw) as usize;
        let mut hurt = layers.clone();
        let layer = &mut hurt.layers[i % 5];
        match draw % 3 {
            0 => {
                let at = draw / 3 % layer.len();
                layer[at] ^= 1 << (draw % 8);
            }
            1 => layer.truncate(draw / 3 % layer.len()),
            _ => layer.extend(random(i as u64, draw % 100)),
        }
        for count in [1 + draw % 5, 5] {
            let Ok(decoder) = Video.open(
                &settings,
                file.len() as u64,
                Box::new(First(hurt.clone(), count)),
            ) else {
                continue;
            };
            let mut read = vec![0; file.len()];
            if let Ok(Quality::Exact) = decoder.read_at(0, &mut read) {
                assert!(read == file, "number {i}: wrong bytes called exact");
            }
            let _png = Video.preview(
                &settings,
                file.len() as u64,
                Box::new(First(hurt.clone(), count)),
            );
        }
    }
    for (i, byte) in random(9, 200).into_iter().enumerate() {
        let mut settings = settings.clone();
        let at = i % settings.len();
        settings[at] ^= byte;
        if let Ok(decoder) = Video.open(&settings, file.len() as u64, Box::new(layers.clone())) {
            let mut read = vec![0; file.len()];
            if let Ok(Quality::Exact) = decoder.read_at(0, &mut read) {
                assert!(read == file);
            }
        }
    }
}

#[test]
fn a_thumbnail_shows_the_first_frame() {
    for (space, bits) in SPACES {
        // Orange on the left, blue on the right.
        let mut file = format!("YUV4MPEG2 W200 H100 C{space}\n").into_bytes();
        let (header, _) = Header::parse(&file).unwrap();
        let colours = [[168_u16, 44, 187, 255], [41, 240, 110, 255]];
        let mut planes = Vec::new();
        for (number, shape) in header.planes().iter().enumerate() {
            let side = |i: usize| usize::from(i % shape.width * 2 >= shape.width);
            let samples =
                (0..shape.width * shape.height).map(|i| colours[side(i)][number] << (bits - 8));
            planes.push(samples.collect::<Vec<u16>>());
        }
        file.extend(PLAIN);
        file.extend(header.write(&planes).unwrap());
        let (settings, mut layers) = encode_for(&Video, &file, request(4)).unwrap();
        for layer in layers.layers.iter_mut().skip(1) {
            layer.fill(0); // it is not needed
        }
        let png = Video
            .preview(&settings, file.len() as u64, Box::new(layers))
            .unwrap()
            .unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (128, 64));
        let grey = space.starts_with("mono");
        for (x, wanted) in [(20, [255, 165, 0]), (108, [0, 0, 255])] {
            let got = picture.get_pixel(x, 32).0;
            let far = got
                .iter()
                .zip(wanted)
                .map(|(a, b)| a.abs_diff(b))
                .max()
                .unwrap();
            assert!(grey && got[0] == got[1] || far < 40, "{space}: {got:?}");
        }
    }
}

#[test]
fn names_of_codecs_and_of_the_policy_agree() {
    assert!(crate::codec::by_name("video").is_some_and(|codec| codec.id() == CodecId(4)));
    assert!(
        crate::codec::suited(b"YUV4MPEG2 W1 H1\n").is_some_and(|codec| codec.name() == "video")
    );
}
