//! Tests of the `HOAU` reader over sets made here: what is read, what is left, what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::big_endian_bytes,
    clippy::cast_possible_truncation,
    reason = "tests may panic; the format is big-endian"
)]

use super::*;
use crate::foreign::Kind;
use crate::foreign::holo::step;
use crate::foreign::testing::{Files, zlib};

const KIND: Kind = Kind::HoloSound;

fn words(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// Chunks of sound: a coarse sound, and the differences of the others to the lines between its frames.
fn encode(version: u8, channels: u8, blocks: u32, coarse: &[i16], sound: &[i16]) -> Files {
    let frames = (sound.len() / usize::from(channels)) as u32;
    let geometry = Geometry {
        channels,
        bytes: 2,
        rate: 8000,
        frames,
        coarse: (coarse.len() / usize::from(channels)) as u32,
    };
    let mut drawn = vec![[0; 2]; sound.len()];
    draw(coarse, &geometry, &mut drawn);
    let drawn = drawn.iter().map(|bytes| i16::from_le_bytes(*bytes));
    let residual: Vec<i16> = sound
        .iter()
        .zip(drawn)
        .map(|(s, d)| s.wrapping_sub(d))
        .collect();
    let n = sound.len() as u64;
    let stride = if version > 1 && blocks > 1 {
        step(n)
    } else {
        1
    };
    let chunk = |block: u32| {
        let places = (u64::from(block)..n).step_by(blocks as usize);
        let slice = places.map(|i| residual[(i * stride % n) as usize]);
        let slice = zlib(&words(&slice.collect::<Vec<_>>()));
        let coarse = zlib(&words(coarse));
        let mut chunk = b"HOAU".to_vec();
        chunk.extend([version, channels, 2, 0]);
        let (stored, size) = (coarse.len() as u32, slice.len() as u32);
        for word in [8000, frames, blocks, block, geometry.coarse, stored, size] {
            chunk.extend(word.to_be_bytes());
        }
        [chunk, coarse, slice].concat()
    };
    Files((0..blocks).map(chunk).collect())
}

fn sound(length: i32) -> Vec<i16> {
    (0..length)
        .map(|i| (i * i % 997 * 7919 % 65536 - 32768) as i16)
        .collect()
}

/// The samples of a WAVE file.
fn samples(file: &[u8]) -> Vec<i16> {
    let pairs = file[44..].as_chunks::<2>().0.iter();
    pairs.map(|bytes| i16::from_le_bytes(*bytes)).collect()
}

#[test]
fn what_was_encoded_comes_back() {
    for version in [1, 2] {
        for (channels, blocks, length) in [
            (1, 1, 100),
            (1, 5, 1),
            (2, 4, 1000),
            (3, 7, 999),
            (255, 2, 510),
        ] {
            let sound = sound(length);
            let coarse = &sound[..usize::from(channels) * (1 + usize::from(length > 600))];
            let files = encode(version, channels, blocks, coarse, &sound);
            assert_eq!(files.kind(), Some(KIND));
            let file = files.read(KIND).unwrap();
            assert_eq!(samples(&file), sound);
            assert_eq!(&file[..4], b"RIFF");
            assert_eq!(file[22], channels);
            assert_eq!(files.open(KIND).unwrap().verify().unwrap(), Quality::Exact);
        }
    }
}

#[test]
fn samples_of_missing_chunks_lie_on_lines() {
    let sound: Vec<i16> = (0..9).map(|i| i * 100 + i % 2).collect();
    let mut files = encode(1, 1, 2, &[0, 800], &sound);
    files.0.pop();
    let reader = files.open(KIND).unwrap();
    assert_eq!(reader.suffix(), ".wav");
    assert!(matches!(reader.check().unwrap(), Quality::Degraded(_)));
    let file = files.read(KIND).unwrap();
    // The even ones are there, and so is what the odd ones are about.
    assert_eq!(samples(&file), [0, 100, 200, 300, 400, 500, 600, 700, 800]);
    assert_eq!(file.len() as u64, reader.size());
}

#[test]
fn sound_without_frames_is_a_file() {
    let files = encode(2, 2, 1, &[], &[]);
    let file = files.read(KIND).unwrap();
    assert_eq!((file.len(), &file[40..]), (44, &[0; 4][..]));
}

#[test]
fn headers_that_lie_are_refused() {
    let files = encode(2, 2, 2, &[1, 2, 3, 4], &sound(40));
    let with = |at: usize, bytes: &[u8]| {
        let mut files = files.clone();
        for file in &mut files.0 {
            file[at..at + bytes.len()].copy_from_slice(bytes);
        }
        files
    };
    for (at, bytes, what) in [
        (5, &[0][..], "without channels"),
        (6, &[3], "3 bytes a sample, not 2"),
        (24, &[0; 4], "without frames"),
        (12, &[0xff; 4], "number of samples"),
        (24, &[0xff; 4], "number of samples"),
        (24, &[0, 0, 1, 0], "no chunk has a good coarse sound"),
        (32, &[0xff; 4], "the data end"),
        (20, &[0, 0, 0, 2], "beyond the number of chunks"),
    ] {
        let error = with(at, bytes).error(KIND);
        assert!(error.contains(what), "{error}");
    }
    let transform = with(4, &[3]);
    assert_eq!(transform.kind(), Some(Kind::HoloTransform));
    assert!(transform.error(Kind::HoloTransform).contains("version 3"));
}

#[test]
fn damaged_chunks_never_panic() {
    let files = encode(2, 1, 3, &[5, -5], &sound(300));
    let mut state = 1_u32;
    for _ in 0..3000 {
        let mut files = files.clone();
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let file = &mut files.0[(state >> 8) as usize % 3];
        let at = (state >> 12) as usize % file.len();
        file[at] ^= 1 << (state >> 29);
        if let Ok(reader) = files.open(KIND)
            && reader.check().is_ok()
        {
            let mut content = vec![0; usize::try_from(reader.size()).unwrap().min(10_000)];
            drop(reader.read_at(0, &mut content));
        }
    }
}
