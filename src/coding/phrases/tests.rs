//! Tests of phrases: round trips, foreign content, damage, gains, and bytes that never change.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use std::cell::Cell;
use std::fmt::Write;

use super::*;
use crate::coding::hash::Digest;

/// Numbers that look random (xorshift).
fn draws(mut state: u32) -> impl FnMut() -> u32 {
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    }
}

fn random(size: usize, seed: u32) -> Vec<u8> {
    let mut draw = draws(seed);
    (0..size).map(|_| draw().to_le_bytes()[1]).collect()
}

/// Words of an invented language, frequent ones shorter.
fn text(size: usize, seed: u32) -> Vec<u8> {
    let mut draw = draws(seed);
    let letters = b"etaoinshrdlucmfw";
    let words: Vec<Vec<u8>> = (1..=2000)
        .map(|i: u32| {
            let length = 2 + i.ilog2().min(8) as usize;
            (0..length)
                .map(|_| letters[(draw() % 16).min(draw() % 16) as usize])
                .collect()
        })
        .collect();
    let mut text = Vec::new();
    while text.len() < size {
        let rank = (draw() % 2000).min(draw() % 2000).min(draw() % 2000);
        text.extend_from_slice(&words[rank as usize]);
        text.extend_from_slice(if draw().is_multiple_of(9) {
            b".\n"
        } else {
            b" "
        });
    }
    text.truncate(size);
    text
}

fn logs(lines: u32, seed: u32) -> Vec<u8> {
    let mut draw = draws(seed);
    let mut text = String::new();
    for line in 0..lines {
        let (user, size) = (draw() % 50, draw() % 5000);
        let verb = ["GET", "GET", "GET", "POST"][draw() as usize % 4];
        let path = ["/index.html", "/static/main.css", "/api/v1/items", "/login"];
        let path = path[draw() as usize % 4];
        let (minute, second) = (line / 60 % 60, line % 60);
        writeln!(
            text,
            "2026-03-01T12:{minute:02}:{second:02} host{user} nginx: {verb} {path} 200 {size}"
        )
        .unwrap();
    }
    text.into_bytes()
}

fn source() -> Vec<u8> {
    let files = [
        include_str!("parse.rs"),
        include_str!("learn.rs"),
        include_str!("cluster.rs"),
        include_str!("model.rs"),
    ];
    files.concat().into_bytes()
}

/// Little-endian records with fields that hardly change.
fn records(size: usize, seed: u32) -> Vec<u8> {
    let mut draw = draws(seed);
    let mut bytes = Vec::new();
    while bytes.len() < size {
        bytes.extend_from_slice(&[0x7f, 0x45, 0, 0, 1]);
        bytes.extend_from_slice(&(draw() % 300).to_le_bytes());
        bytes.extend_from_slice(&(0x0040_0000 + draw() % 0x8000).to_le_bytes());
        bytes.extend_from_slice(&[0; 7]);
    }
    bytes.truncate(size);
    bytes
}

fn decoded(dictionary: &Dictionary, coded: &[u8], size: usize) -> Result<Vec<u8>, Damaged> {
    let mut unit = vec![0xa5; size];
    dictionary.decode(coded, &mut unit)?;
    Ok(unit)
}

/// Learns, and reads everything back by the dictionary's bytes; the coded size, where there was a gain.
fn round_trip(content: &[u8], effort: Effort) -> Option<usize> {
    let learned = learn(content, effort, &|| false)?;
    let bytes = learned.dictionary.to_bytes();
    let dictionary = Dictionary::parse(&bytes).unwrap();
    assert_eq!(dictionary.to_bytes(), bytes);
    assert_eq!(learned.units.len(), content.len().div_ceil(UNIT));
    for (coded, unit) in learned.units.iter().zip(content.chunks(UNIT)) {
        assert_eq!(decoded(&dictionary, coded, unit.len()).unwrap(), unit);
    }
    for (coded, unit) in learned.units.iter().zip(content.chunks(UNIT)).take(5) {
        for end in [0, 1, unit.len() / 3, unit.len() - 1, unit.len(), UNIT + 1] {
            let mut read = vec![0; unit.len()];
            dictionary.decode_until(coded, &mut read, end).unwrap();
            assert!(read.iter().zip(unit).take(end).all(|(a, b)| a == b));
        }
    }
    let mut all = vec![0; content.len()];
    let coded = learned.units.iter().map(Vec::as_slice);
    let mut units: Vec<_> = coded.zip(all.chunks_mut(UNIT)).collect();
    dictionary.decode_all(&mut units).unwrap();
    assert!(all == content);
    for unit in content.chunks(UNIT).take(3) {
        let coded = dictionary.encode(unit);
        assert!(coded.len() <= unit.len());
        assert_eq!(decoded(&dictionary, &coded, unit.len()).unwrap(), unit);
    }
    Some(bytes.len() + learned.units.iter().map(Vec::len).sum::<usize>())
}

fn fibonacci(size: usize) -> Vec<u8> {
    let (mut a, mut b) = (b"a".to_vec(), b"ab".to_vec());
    while b.len() < size {
        let next = [b.as_slice(), &a].concat();
        a = std::mem::replace(&mut b, next);
    }
    b.truncate(size);
    b
}

#[test]
fn content_of_all_kinds_comes_back() {
    let kinds = [
        text(300_000, 1),
        logs(4000, 2),
        source(),
        records(200_000, 3),
        fibonacci(100_000),
        vec![7; 100_000],
        [text(40_000, 4), random(40_000, 5), logs(500, 6)].concat(),
        (0..=255).cycle().take(70_000).collect(),
    ];
    for (i, content) in kinds.iter().enumerate() {
        for effort in [Effort::Fast, Effort::Full] {
            let size = round_trip(content, effort).unwrap();
            assert!(size < content.len() * 3 / 4, "kind {i}: {size}");
        }
    }
}

#[test]
fn sizes_around_the_limits_of_units_come_back() {
    let sources = [text(50_000, 7), fibonacci(50_000), vec![0; 50_000]];
    let periodic = (0..50_000_u32).map(|i| (i % 37 * 5) as u8).collect();
    for source in sources.into_iter().chain([periodic]) {
        for size in [1, 2, 3, 4, 5, 15, 16, 17, 127, 128, 129, 1000]
            .into_iter()
            .chain([UNIT - 129, UNIT - 128, UNIT - 1, UNIT, UNIT + 1])
            .chain([2 * UNIT - 1, 2 * UNIT, 2 * UNIT + 3])
        {
            round_trip(&source[..size], Effort::Full);
        }
    }
}

#[test]
fn what_gains_nothing_is_refused() {
    for size in [0, 1, 2, 100, UNIT, 1 << 20] {
        assert!(learn(&random(size, 8), Effort::Full, &|| false).is_none());
    }
    assert!(learn(b"a", Effort::Full, &|| false).is_none());
}

#[test]
fn any_bytes_are_coded_with_any_dictionary() {
    let learned = [text(100_000, 9), logs(2000, 10), vec![0; 20_000]]
        .map(|content| learn(&content, Effort::Full, &|| false).unwrap().dictionary);
    let mut foreign = vec![
        Vec::new(),
        vec![1],
        random(UNIT, 11),
        source(),
        vec![255; UNIT],
    ];
    foreign.push(logs(300, 12));
    foreign.push([text(5000, 13), random(50, 14), text(5000, 15)].concat());
    for dictionary in &learned {
        for unit in foreign.iter().flat_map(|content| content.chunks(UNIT)) {
            let coded = dictionary.encode(unit);
            assert!(coded.len() <= unit.len());
            assert_eq!(decoded(dictionary, &coded, unit.len()).unwrap(), unit);
        }
        assert!(dictionary.encode(&vec![0; UNIT + 1]).len() > UNIT);
    }
    let near = learned[1].encode(&logs(300, 12)[..UNIT]);
    assert!(near.len() < UNIT / 4, "{}", near.len());
}

#[test]
fn logs_take_a_sixth() {
    let content = logs(20_000, 16);
    let full = round_trip(&content, Effort::Full).unwrap();
    assert!(full * 6 < content.len(), "{full} of {}", content.len());
    let fast = round_trip(&content, Effort::Fast).unwrap();
    assert!(fast < full * 6 / 5, "{fast} beside {full}");
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let content = [text(150_000, 17), logs(1000, 18), records(30_000, 19)].concat();
    let learned = learn(&content, Effort::Full, &|| false).unwrap();
    let mut all = learned.dictionary.to_bytes();
    all.extend(learned.units.into_iter().flatten());
    all.extend(learned.dictionary.encode(&text(UNIT, 24)));
    assert_eq!(
        Digest::of(&all).to_string(),
        "81bdb245c86fb8c23e9d1ba76e37b659ee7e62fbc5f4b4f318dd6f19f1ec8e53"
    );
}

#[test]
fn learning_stops_where_it_is_told_to() {
    let content = text(600_000, 20);
    let asked = Cell::new(0);
    let never = || {
        asked.set(asked.get() + 1);
        false
    };
    assert!(learn(&content, Effort::Full, &never).is_some());
    let times = asked.get();
    assert!(times > 20, "asked {times} times");
    for stop in [1, 2, times / 3, times / 2, times] {
        asked.set(0);
        let then = || {
            asked.set(asked.get() + 1);
            asked.get() >= stop
        };
        assert!(learn(&content, Effort::Full, &then).is_none());
        assert_eq!(asked.get(), stop);
    }
}

#[test]
fn frequencies_add_up_and_leave_out_nothing() {
    let mut draw = draws(25);
    for round in 0..2000 {
        let size = 1 + draw() as usize % 3300;
        let counts: Vec<u32> = (0..size)
            .map(|_| match round % 3 {
                0 => draw() % 3,
                1 => draw() >> (draw() % 32),
                _ => u32::from(draw().is_multiple_of(100)) * (draw() >> 8),
            })
            .collect();
        let frequencies = cluster::frequencies(&counts, TOTAL, true);
        let sum: u32 = frequencies.iter().copied().map(u32::from).sum();
        assert_eq!(sum, TOTAL, "round {round}");
        assert!(frequencies.last() != Some(&0));
        let pairs = counts.iter().zip(&frequencies).rev().skip(1);
        assert!(pairs.into_iter().all(|(count, f)| (*count > 0) == (*f > 0)));
    }
}

/// `bytes` with a few of them changed, cut off, added or moved.
fn mutated(bytes: &[u8], draw: &mut impl FnMut() -> u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=draw() % 3 {
        let size = bytes.len().max(1);
        let place = draw() as usize % size;
        match draw() % 6 {
            0 => bytes.truncate(place),
            1 => bytes.extend_from_slice(&draw().to_le_bytes()),
            2 if !bytes.is_empty() => bytes.swap(place, draw() as usize % size),
            _ => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << (draw() % 8);
                }
            }
        }
    }
    bytes
}

#[test]
fn damaged_dictionaries_and_units_are_refused_or_read_as_something() {
    let content = [text(40_000, 21), logs(300, 22)].concat();
    let learned = learn(&content, Effort::Fast, &|| false).unwrap();
    let bytes = learned.dictionary.to_bytes();
    let seed = 23;
    let mut draw = draws(seed);
    let mut read = 0;
    for _ in 0..3000 {
        // Near the beginning everything that follows changes; near the end some of it may still be read.
        let hostile = mutated(&bytes, &mut draw);
        if let Ok(dictionary) = Dictionary::parse(&hostile) {
            read += 1;
            assert!(dictionary.memory() <= 16 << 20);
            // Whatever it says, it says the same in both directions.
            let unit = &content[..2000];
            let coded = dictionary.encode(unit);
            assert_eq!(decoded(&dictionary, &coded, unit.len()).unwrap(), unit);
            for coded in &learned.units {
                drop(decoded(&dictionary, coded, UNIT));
            }
        }
    }
    assert!(read < 300, "seed {seed}: {read} of 3000 were read");
    let mut right = 0;
    for i in 0..20_000 {
        let number = i % learned.units.len();
        let coded = mutated(&learned.units[number], &mut draw);
        if i < 1000 {
            let mut units = vec![vec![0; UNIT]; 4];
            let mut four: Vec<_> = units
                .iter_mut()
                .map(|unit| (coded.as_slice(), unit.as_mut_slice()))
                .collect();
            let all = learned.dictionary.decode_all(&mut four);
            assert_eq!(all, decoded(&learned.dictionary, &coded, UNIT).map(|_| ()));
        }
        if coded == learned.units[number] {
            continue;
        }
        let size = content.chunks(UNIT).nth(number).unwrap().len();
        right += u32::from(decoded(&learned.dictionary, &coded, size).is_ok());
    }
    assert!(right < 200, "seed {seed}: {right} of 20000 were read");
    for _ in 0..5000 {
        let coded = random(draw() as usize % 3000, draw() | 1);
        let size = draw() as usize % (UNIT + 1);
        drop(decoded(&learned.dictionary, &coded, size));
        drop(Dictionary::parse(&coded));
    }
}
