//! FLAC files of several encoders: samples and recipes, damage, and degraded files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use super::*;
use crate::media::sound::testing::{random, vector, vectors};

/// A file's metadata.
fn head(file: &[u8]) -> Result<Head, ParseError> {
    Head::parse(file.len() as u64, &mut |at, buf| {
        let at = usize::try_from(at).unwrap();
        buf.copy_from_slice(&file[at..at + buf.len()]);
        Ok(())
    })
}

/// A piece of about so many samples from the front of bytes, and its length.
fn piece(info: Info, bytes: &[u8], most: usize) -> (PieceReader, usize) {
    let mut piece = PieceReader::new(info);
    let mut length = 0;
    while piece.frames() < most
        && let Ok(more) = piece.take(&bytes[length..])
    {
        length += more;
    }
    (piece, length)
}

fn files() -> Vec<(String, Vec<u8>)> {
    vectors("flac")
}

/// A file cut inside its last metadata block, which is only skipped, began its frames behind its own end: encoding it
/// failed with an error of the medium instead of being declined, and in checked builds with a panic.
#[test]
fn metadata_cut_anywhere_are_told() {
    for (name, file) in files() {
        let frames = usize::try_from(head(&file).unwrap().frames).unwrap();
        assert!(head(&file[..frames]).is_ok(), "{name}");
        for length in 0..frames {
            let cut = head(&file[..length]).unwrap_err();
            assert_eq!(
                cut.to_string(),
                "metadata that end early",
                "{name}, {length}"
            );
        }
    }
}

#[test]
fn frames_are_made_again_byte_for_byte() {
    for (name, file) in files() {
        let Head { info, frames } = head(&file).unwrap();
        let start = usize::try_from(frames).unwrap();
        for most in [1, 600, usize::MAX] {
            let (mut at, mut count) = (start, 0);
            loop {
                let (piece, length) = piece(info, &file[at..], most);
                if length == 0 {
                    break;
                }
                let (samples, recipe) = piece.finish();
                let bytes = info.write(&recipe, &samples).unwrap();
                assert!(bytes == file[at..at + length], "{name} at {at}");
                if most == usize::MAX {
                    assert!(recipe.len() <= length / 40 + 32, "{name}: {}", recipe.len());
                }
                (at, count) = (at + length, count + samples[0].len() as u64);
            }
            assert_eq!(count, info.total, "{name}");
            // One of them has a tag behind its frames.
            let rest = if name == "tagged.flac" { 128 } else { 0 };
            assert_eq!(file.len() - at, rest, "{name}");
        }
    }
}

#[test]
fn samples_are_those_of_the_recording() {
    // Both hold the beginning of one recording in 16 bits, one of them as 24.
    let (plain, wasted) = (vector("stereo8.flac"), vector("wasted.flac"));
    let decoded = [plain, wasted].map(|file| {
        let Head { info, frames } = head(&file).unwrap();
        let at = usize::try_from(frames).unwrap();
        piece(info, &file[at..], usize::MAX).0.finish().0
    });
    for (plain, wasted) in decoded[0].iter().zip(&decoded[1]) {
        assert!(wasted.len() > 400 && wasted.iter().any(|sample| *sample != 0));
        assert!(plain.iter().zip(wasted).all(|(a, b)| a << 8 == *b));
    }
}

#[test]
fn a_frame_that_ends_early_leaves_the_piece_as_it_was() {
    let file = vector("stereo8.flac");
    let Head { info, frames } = head(&file).unwrap();
    let bytes = &file[usize::try_from(frames).unwrap()..];
    let mut whole = PieceReader::new(info);
    let length = whole.take(bytes).unwrap();
    let mut cut = PieceReader::new(info);
    for end in 0..length {
        assert!(cut.take(&bytes[..end]).is_err());
    }
    assert_eq!(cut.take(bytes).unwrap(), length);
    assert_eq!(cut.finish(), whole.finish());
}

#[test]
fn damaged_files_give_errors_or_frames_that_are_made_again() {
    let files = files();
    let mut next = random(2024);
    let mut made = 0;
    for round in 0..4000 {
        let (name, file) = &files[round % files.len()];
        let mut file = file.clone();
        let start = usize::try_from(head(&file).unwrap().frames).unwrap();
        let mut under = |length: usize| usize::try_from(next()).unwrap() % length;
        if round % 3 == 0 {
            let at = under(file.len());
            file[at] ^= 1 << under(8);
        } else {
            // Inside the first frame, with its checksum made right again.
            let length = piece(head(&file).unwrap().info, &file[start..], 1).1;
            let at = start + 8 + under(length - 10);
            file[at] ^= 1 << under(8);
            let crc = crc::crc16(&file[start..start + length - 2]).swap_bytes();
            file[start + length - 2..start + length].copy_from_slice(&crc.to_le_bytes());
        }
        let Ok(Head { info, frames }) = head(&file) else {
            continue;
        };
        let rest = file.get(usize::try_from(frames).unwrap()..).unwrap_or(&[]);
        let (piece, length) = piece(info, rest, 1000);
        let (samples, recipe) = piece.finish();
        let bytes = info.write(&recipe, &samples).unwrap();
        assert!(bytes == rest[..length], "{name}, round {round}");
        made += usize::from(length > 0);
    }
    assert!(made > 1500, "{made}");
}

#[test]
fn damaged_recipes_and_other_samples_give_errors_or_other_frames() {
    let mut next = random(99);
    for (_, file) in files() {
        let Head { info, frames } = head(&file).unwrap();
        let at = usize::try_from(frames).unwrap();
        let (samples, recipe) = piece(info, &file[at..], 1000).0.finish();
        for round in 0..40 {
            let (mut recipe, mut samples) = (recipe.clone(), samples.clone());
            if round % 2 == 0 {
                let at = usize::try_from(next()).unwrap() % recipe.len();
                recipe[at] ^= 1 << (next() % 8);
            } else {
                for sample in samples.iter_mut().flatten() {
                    *sample = next().cast_signed() >> (next() % 32);
                }
            }
            drop(info.write(&recipe, &samples));
        }
        assert!(info.write(&recipe, &samples[1..]).is_err());
        assert!(info.write(&[], &samples).is_err());
    }
}

#[test]
fn degraded_files_take_the_same_bytes() {
    let mut next = random(7);
    for (name, file) in files() {
        let Head { info, frames } = head(&file).unwrap();
        let start = usize::try_from(frames).unwrap();
        let (reader, length) = piece(info, &file[start..], usize::MAX);
        let (exact, _) = reader.finish();
        let noise = |lost: u32| {
            let mut noisy = exact.clone();
            for sample in noisy.iter_mut().flatten() {
                *sample = sample.saturating_add(next().cast_signed() >> lost);
            }
            noisy
        };
        let quiet: Vec<Vec<i32>> = exact.iter().map(|c| vec![0; c.len()]).collect();
        for samples in [exact.clone(), quiet]
            .into_iter()
            .chain([0, 8, 20, 28].map(noise))
        {
            let mut shown = info.render_head(start).unwrap();
            shown.extend(info.render(0, &samples, length).unwrap());
            assert_eq!(shown.len(), start + length, "{name}");
            // Metadata without a tag, the same claims but for frames, the same number of samples.
            let longest = 0xffff;
            let info = Info { longest, ..info };
            assert_eq!(head(&shown).unwrap(), Head { info, frames });
            let (reader, taken) = piece(info, &shown[start..], usize::MAX);
            assert_eq!(
                (reader.frames() as u64, taken),
                (info.total, length),
                "{name}"
            );
        }
    }
}

/// The head of a file may be whole where some of its frames are not: ffmpeg drops frames longer than it says there.
#[test]
fn degraded_frames_are_no_longer_than_the_head_says() {
    // But for silence, whose few bytes no short frames can take.
    for (name, file) in files()
        .into_iter()
        .filter(|(name, _)| name != "silence.flac")
    {
        let Head { info, frames } = head(&file).unwrap();
        let start = usize::try_from(frames).unwrap();
        let (reader, length) = piece(info, &file[start..], usize::MAX);
        let (mut samples, _) = reader.finish();
        for sample in samples.iter_mut().flatten() {
            *sample = *sample >> 3 << 3;
        }
        let shown = info.render(0, &samples, length).unwrap();
        let mut reader = PieceReader::new(info);
        let (mut at, mut before) = (0, 0);
        while at < shown.len() {
            at += reader.take(&shown[at..]).unwrap();
            let block = reader.frames() - before;
            before += block;
            assert!(
                block <= usize::from(info.longest).max(256),
                "{name}: {block}"
            );
        }
    }
}

#[test]
fn degraded_samples_are_kept_where_they_fit() {
    let file = vector("mono0.flac");
    let Head { info, frames } = head(&file).unwrap();
    let (reader, length) = piece(info, &file[usize::try_from(frames).unwrap()..], usize::MAX);
    let (mut samples, _) = reader.finish();
    let show = |samples: &[Vec<i32>]| {
        let bytes = info.render(5000, samples, length).unwrap();
        piece(info, &bytes, usize::MAX).0.finish().0
    };
    // Smoother than the recording, so that there is room for all of it.
    for i in 1..samples[0].len() {
        samples[0][i] = (samples[0][i - 1] * 3 + samples[0][i]) >> 2;
    }
    assert_eq!(show(&samples), samples);
    // Beyond the range of 16 bits: cut off, not wrapped.
    let most = vec![vec![i32::MAX; samples[0].len()]];
    assert_eq!(show(&most), [vec![32767; samples[0].len()]]);
}

#[test]
fn metadata_of_any_length() {
    let info = Info {
        channels: 2,
        bits: 16,
        rate: 44100,
        total: 1 << 33,
        longest: 0xffff,
    };
    for length in (0..42).chain(43..46) {
        assert!(info.render_head(length).is_err());
    }
    let most = 42 + (1 << 24) + 3;
    for length in [
        42,
        46,
        47,
        1000,
        most - 1,
        most,
        most + 1,
        most + 3,
        most + 4,
    ] {
        let shown = info.render_head(length).unwrap();
        let frames = length as u64;
        assert_eq!(shown.len(), length);
        assert_eq!(head(&shown).unwrap(), Head { info, frames });
    }
}

#[test]
fn what_no_frames_can_take_is_an_error() {
    let info = Info {
        channels: 1,
        bits: 16,
        rate: 44100,
        total: 0,
        longest: 0,
    };
    let samples = [vec![0; 4096]];
    assert!(matches!(
        info.render(0, &samples, 20),
        Err(Error::NoRoom(20))
    ));
    assert!(matches!(
        info.render(0, &samples, 1 << 20),
        Err(Error::NoRoom(_))
    ));
    assert!(matches!(
        info.render(0, &samples[1..], 2000),
        Err(Error::Format(_))
    ));
    assert!(info.render(0, &[Vec::new()], 0).unwrap().is_empty());
}
