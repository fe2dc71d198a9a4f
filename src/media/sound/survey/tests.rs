//! Tests of surveys: the same sound in any container, with gaps, in parts; files that lie.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use super::*;
use crate::media::sound::testing::{random, vectors};
use crate::media::sound::{Encoding, Order, Piece};

/// A file in memory: where segments begin, and what they are worth.
struct File {
    bytes: Vec<u8>,
    cuts: Vec<(u64, Worth)>,
    read: u64,
}

impl File {
    fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            cuts: Vec::new(),
            read: 0,
        }
    }

    fn cut(bytes: &[u8], every: usize) -> Self {
        let starts = (0..bytes.len()).step_by(every);
        Self {
            cuts: starts.map(|at| (at as u64, Worth::Exact)).collect(),
            ..Self::new(bytes)
        }
    }
}

impl Ranges for File {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn segment(&self, offset: u64) -> Option<Range<u64>> {
        let after = self.cuts.partition_point(|(at, _)| *at <= offset);
        let end = self.cuts.get(after).map_or(self.size(), |(at, _)| *at);
        Some(self.cuts.get(after.checked_sub(1)?)?.0..end)
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<Worth> {
        let start = usize::try_from(offset).unwrap();
        buf.copy_from_slice(&self.bytes[start..start + buf.len()]);
        self.read += buf.len() as u64;
        let end = offset + buf.len() as u64;
        let touched = self.cuts.iter().enumerate().filter(|(i, (at, _))| {
            let next = self.cuts.get(i + 1).map_or(u64::MAX, |(at, _)| *at);
            *at < end && next > offset
        });
        Ok(touched.map(|(_, (_, w))| *w).max().unwrap_or_default())
    }
}

fn of(bytes: &[u8], bins: usize) -> Survey {
    Survey::of(&mut File::new(bytes), bins, 1000).unwrap()
}

/// A WAVE file with these samples, of 8 bits, in an encoding with at least as many.
fn wav(number: Number, bytes: u8, channels: &[Vec<i32>]) -> Vec<u8> {
    let format = Format {
        channels: u16::try_from(channels.len()).unwrap(),
        rate: 1000,
        encoding: Encoding {
            number,
            bytes,
            order: Order::Little,
        },
    };
    let scale = if number == Number::Float {
        7
    } else {
        8 * bytes - 8
    };
    let piece = Piece {
        samples: channels.to_vec(),
        scale,
        rest: Vec::new(),
    };
    let data = format.write(&piece).unwrap();
    let frame = u32::try_from(format.frame_bytes()).unwrap();
    let length = u32::try_from(data.len()).unwrap();
    let tag = if number == Number::Float { 3_u16 } else { 1 };
    let mut file = b"RIFF".to_vec();
    file.extend((length + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(tag.to_le_bytes());
    file.extend(format.channels.to_le_bytes());
    file.extend(format.rate.to_le_bytes());
    file.extend((format.rate * frame).to_le_bytes());
    file.extend(u16::try_from(frame).unwrap().to_le_bytes());
    file.extend((u16::from(bytes) * 8).to_le_bytes());
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

fn sound(frames: usize, channels: u64) -> Vec<Vec<i32>> {
    let channel = |seed| {
        let mut next = random(seed);
        let sample = |_| i32::try_from(next() % 256).unwrap() - 128;
        (0..frames).map(sample).collect()
    };
    (1..=channels).map(channel).collect()
}

/// What bins of `span` frames of samples in 16 bits must be.
fn bins(channels: &[Vec<i32>], span: usize) -> Vec<Bin> {
    let frames = channels[0].len();
    let starts = (0..frames).step_by(span);
    let bin = |start: usize| {
        let end = (start + span).min(frames);
        let mut bin = Bin {
            frames: (end - start) as u64,
            ..Bin::default()
        };
        for (level, channel) in bin.levels.iter_mut().zip(channels) {
            let part = &channel[start..end];
            let squares = part.iter().map(|s| u64::from(s.unsigned_abs()).pow(2));
            *level = Level {
                least: i16::try_from(*part.iter().min().unwrap()).unwrap(),
                greatest: i16::try_from(*part.iter().max().unwrap()).unwrap(),
                squares: squares.sum(),
            };
        }
        bin
    };
    starts.map(bin).collect()
}

fn up(channels: &[Vec<i32>]) -> Vec<Vec<i32>> {
    let up = |c: &Vec<i32>| c.iter().map(|s| s * 256).collect();
    channels.iter().map(up).collect()
}

#[test]
fn every_encoding_of_a_sound_looks_the_same() {
    for channels in [1, 2, 8] {
        let sound = sound(1000, channels);
        let wanted = bins(&up(&sound), 16);
        for (number, bytes) in [
            (Number::Unsigned, 1),
            (Number::Signed, 2),
            (Number::Signed, 3),
            (Number::Signed, 4),
            (Number::Float, 4),
        ] {
            let survey = of(&wav(number, bytes, &sound), 64);
            assert_eq!((survey.frames, survey.seen, survey.span), (1000, 1000, 16));
            assert_eq!((survey.channels as u64, survey.rate), (channels, 1000));
            assert!(survey.bins == wanted, "{number:?} {bytes} {channels}");
            assert_eq!(survey.worth(), Worth::Exact);
        }
    }
}

#[test]
fn bins_grow_with_the_sound() {
    for (frames, span, count) in [
        (0, 1, 0),
        (1, 1, 1),
        (64, 1, 64),
        (65, 2, 33),
        (4096, 64, 64),
        (4097, 128, 33),
    ] {
        let sound = sound(frames, 1);
        let survey = of(&wav(Number::Signed, 2, &sound), 64);
        assert_eq!((survey.span, survey.bins.len()), (span, count), "{frames}");
        assert_eq!(survey.frames, frames as u64);
    }
}

#[test]
fn all_files_are_surveyed_alike_whatever_their_segments() {
    let mut count = 0;
    for ending in ["flac", "wav", "aiff", "aifc"] {
        for (name, bytes) in vectors(ending) {
            let Ok(whole) = Survey::of(&mut File::new(&bytes), 256, 1000) else {
                assert!(["alaw.wav", "tagged.flac"].contains(&name.as_str()));
                continue;
            };
            count += 1;
            assert!(whole.seen > 0 && whole.worth() == Worth::Exact, "{name}");
            if ending != "flac" {
                continue; // a frame on a border is left out
            }
            for every in [97, 1000, 5000] {
                let mut cut = File::cut(&bytes, every);
                let most = bytes.len() as u64;
                assert!(Survey::of(&mut cut, 256, most).unwrap() == whole, "{name}");
            }
        }
    }
    assert!(count > 15);
}

/// FLAC files that begin as such.
fn flacs() -> impl Iterator<Item = (String, Vec<u8>)> {
    let all = vectors("flac").into_iter();
    all.filter(|(_, bytes)| bytes.starts_with(b"fLaC"))
}

fn head_of(bytes: &[u8]) -> Head {
    let mut source = |offset: u64, buf: &mut [u8]| {
        let at = usize::try_from(offset).unwrap();
        buf.copy_from_slice(&bytes[at..at + buf.len()]);
        Ok(())
    };
    Head::parse(bytes.len() as u64, &mut source).unwrap()
}

/// Full scale is full scale, whatever the container.
#[test]
fn a_flac_file_has_the_levels_of_its_samples() {
    for (name, bytes) in flacs() {
        let head = head_of(&bytes);
        let mut all = vec![Vec::new(); usize::from(head.info.channels)];
        let at = usize::try_from(head.frames).unwrap();
        batches(head.info, &bytes[at..], &mut |samples| {
            for (all, samples) in all.iter_mut().zip(samples) {
                let bits = u32::from(head.info.bits);
                let level = |s: &i32| i32::try_from(i64::from(*s) << 16 >> bits).unwrap();
                all.extend(samples.iter().map(level));
            }
        });
        let survey = of(&bytes, 512);
        let span = usize::try_from(survey.span).unwrap();
        assert!(survey.bins == bins(&all, span), "{name}");
    }
}

#[test]
fn what_is_lost_takes_its_time() {
    let sound = sound(8000, 2);
    let file = wav(Number::Signed, 2, &sound);
    let mut cut = File::cut(&file, 4000);
    for (at, worth) in [(2, Worth::Lost), (3, Worth::Lost), (5, Worth::Soft)] {
        cut.cuts[at].1 = worth;
    }
    let survey = Survey::of(&mut cut, 64, 1000).unwrap();
    assert_eq!((survey.frames, survey.span), (8000, 128));
    assert_eq!(survey.worth(), Worth::Lost);
    let wanted = bins(&up(&sound), 128);
    for (index, bin) in survey.bins.iter().enumerate() {
        // Segments have 1000 frames of four bytes, but the header is in the first one.
        let near = |segment: usize| {
            let (start, end) = (index * 128, (index + 1) * 128);
            start + 11 < (segment + 1) * 1000 && end + 11 > segment * 1000
        };
        let inside = |segment: usize| {
            let (start, end) = (index * 128, (index + 1) * 128);
            start + 11 >= segment * 1000 && end + 11 <= (segment + 1) * 1000
        };
        if inside(2) || inside(3) {
            assert_eq!((bin.worth, bin.frames), (Worth::Lost, 0), "{index}");
        } else if inside(5) {
            assert_eq!(bin.worth, Worth::Soft, "{index}");
        } else if !near(2) && !near(3) && !near(5) {
            assert_eq!(
                (bin.worth, bin.frames),
                (Worth::Exact, wanted[index].frames)
            );
        }
    }
}

#[test]
fn lost_frames_of_flac_count_as_many_as_others() {
    for (name, bytes) in flacs() {
        let whole = of(&bytes, 256);
        let mut head = File::new(&bytes);
        let frames = head_of(&bytes).frames;
        let middle = frames + (bytes.len() as u64 - frames) / 2;
        head.cuts = vec![(0, Worth::Exact), (middle, Worth::Lost)];
        let survey = Survey::of(&mut head, 256, 1000).unwrap();
        assert_eq!(survey.frames, whole.frames, "{name}");
        assert_eq!(survey.worth(), Worth::Lost, "{name}");
    }
}

#[test]
fn of_very_long_sounds_parts_are_read() {
    let sound = sound(100_000, 1);
    let file = wav(Number::Signed, 2, &sound);
    let mut cut = File::cut(&file, 2000);
    let survey = Survey::of(&mut cut, 64, 10).unwrap();
    assert_eq!(survey.frames, 100_000);
    assert!((9_900..=10_000).contains(&survey.seen), "{}", survey.seen);
    assert!(cut.read < 40_000, "{}", cut.read);
}

#[test]
fn what_is_no_sound_is_refused() {
    for bytes in [&b""[..], b"RIFF", b"fLaC", &[7; 100]] {
        assert!(Survey::of(&mut File::new(bytes), 16, 16).is_err());
    }
    let mut lost = File::cut(&wav(Number::Signed, 2, &sound(10, 1)), 1000);
    lost.cuts[0].1 = Worth::Lost;
    let refused = Survey::of(&mut lost, 16, 16);
    assert!(matches!(refused, Err(ParseError::Io(e)) if e.kind() == io::ErrorKind::InvalidData));
}

#[test]
fn damaged_files_never_panic() {
    let mut next = random(7);
    for ending in ["flac", "wav", "aiff"] {
        for (_, bytes) in vectors(ending) {
            for _ in 0..20 {
                let mut bytes = bytes.clone();
                for _ in 0..=next() % 3 {
                    let at = next() as usize % bytes.len().min(200);
                    bytes[at] ^= 1 << (next() % 8);
                }
                let mut file = File::cut(&bytes, 1 + next() as usize % 5000);
                let worth = [Worth::Exact, Worth::Soft, Worth::Lost];
                for (_, cut) in file.cuts.iter_mut().skip(1) {
                    *cut = worth[next() as usize % 3];
                }
                drop(Survey::of(&mut file, 64, u64::from(next() % 100)));
            }
        }
    }
}
