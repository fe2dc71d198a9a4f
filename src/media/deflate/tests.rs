//! Tests of taking deflate streams apart: against zlib, with any tokens, and with damage.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "tests may panic"
)]

use super::params::{Method, Params};
use super::trees::Op;
use super::write::Writer;
use super::*;

/// Content with runs, near and far repetitions and noise; the same in the program that made [`ZLIB`].
fn content(length: usize) -> Vec<u8> {
    let (mut x, mut v) = (1_u32, 0_u8);
    let mut out: Vec<u8> = Vec::with_capacity(length);
    for i in 0..length {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let r = x >> 24;
        if r < 8 && i > 40000 {
            v = v.wrapping_add(out[i - 1 - (x >> 9) as usize % 32768]);
        } else if r < 200 {
            v = if i >= 90 { out[i - 90] } else { 0 };
        } else {
            v = v.wrapping_add((r % 5) as u8).wrapping_sub(2);
        }
        out.push(v);
    }
    out
}

/// Bytes drawn at random.
struct Draw(u64);

impl Draw {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }
}

/// What zlib 1.2.13 makes of 300,000 bytes of [`content`]: level, strategy, memory level, window bits; length and CRC
/// of the raw stream.
const ZLIB: [(usize, u8, u32, u32, usize, u32); 15] = [
    (1, 0, 8, 15, 155_065, 0x4298_2ac3),
    (2, 0, 8, 15, 151_967, 0xb0dd_4a7f),
    (3, 0, 8, 10, 148_254, 0x06f4_f9fc),
    (4, 0, 8, 15, 138_504, 0x246b_188a),
    (5, 1, 8, 15, 175_351, 0x40b3_6f1d),
    (6, 0, 8, 15, 137_965, 0x1409_6ee4),
    (6, 0, 1, 15, 160_276, 0xfd7a_eec6),
    (6, 1, 9, 15, 177_746, 0x65dd_0cb6),
    (6, 2, 8, 15, 278_041, 0x7dec_aa62),
    (6, 3, 1, 15, 300_441, 0xc0a1_1fe1),
    (7, 0, 8, 15, 137_965, 0x668e_444a),
    (8, 1, 8, 15, 175_340, 0xe1b9_65c6),
    (9, 0, 8, 10, 137_736, 0xcbc3_f8be),
    (9, 0, 9, 15, 138_744, 0x66ca_20fe),
    (9, 1, 8, 15, 175_340, 0xe1b9_65c6),
];

#[test]
fn streams_are_those_of_zlib() {
    let plain = content(300_000);
    assert_eq!(crc32fast::hash(&plain), 0x9a35_3393);
    for (level, strategy, memory, window, length, crc) in ZLIB {
        let mut params = Params {
            max_dist: (1 << window) - params::AHEAD,
            hash_bits: memory + 7,
            shortest: if strategy == 1 { 6 } else { 3 },
            block: (1 << (memory + 6)) - 1,
            ..Params::level(level)
        };
        match strategy {
            2 => params.method = Method::Huffman,
            3 => params.method = Method::Runs,
            _ => {}
        }
        let what = format!("level {level} strategy {strategy} memory {memory} window {window}");
        let stream = recipe::compress(&plain, &params);
        assert_eq!(
            (stream.len(), crc32fast::hash(&stream)),
            (length, crc),
            "{what}"
        );
        let analysis = analyse(&stream, plain.len(), 1 << window).unwrap();
        assert_eq!(analysis.plain, plain, "{what}");
        assert_eq!(analysis.used, stream.len());
        let blocks = length / 1000;
        assert!(
            analysis.recipe.len() < 60 + blocks,
            "{what}: {} bytes",
            analysis.recipe.len()
        );
        let again = recreate(&plain, &analysis.recipe, stream.len()).unwrap();
        assert_eq!(again, stream, "{what}");
    }
}

#[test]
fn a_usual_stream_costs_few_bytes() {
    let plain = content(300_000);
    for (level, limit) in [(1, 45), (6, 45), (9, 45)] {
        let stream = recipe::compress(&plain, &Params::level(level));
        let recipe = analyse(&stream, plain.len(), 1 << 15).unwrap().recipe;
        assert!(
            recipe.len() < limit,
            "level {level}: {} bytes",
            recipe.len()
        );
    }
}

#[test]
fn a_long_stream_is_taken_apart_in_parts() {
    let plain = content(1_500_000);
    // Wrong settings, so that the parts have something to say.
    for params in [
        Params::level(6),
        Params {
            nice: 20,
            too_far: 1000,
            ..Params::level(9)
        },
    ] {
        let stream = recipe::compress(&plain, &params);
        let analysis = analyse(&stream, plain.len(), 1 << 15).unwrap();
        // The length of the main stream is there where parts follow it.
        let recipe = analysis.recipe;
        assert!(recipe.len() < 60 || recipe[0] > 0, "{}", recipe.len());
        assert!(recreate(&plain, &recipe, stream.len()).unwrap() == stream);
        // Each part alone, and all of them cut short.
        for end in [0, 1, recipe.len() / 2, recipe.len() - 1] {
            let cut = recreate(&plain, &recipe[..end], stream.len());
            assert!(cut.is_err() || cut.is_ok_and(|cut| cut.len() <= stream.len()));
        }
    }
}

#[test]
fn short_contents() {
    for length in 0..300 {
        let plain = content(length);
        for level in [1, 6] {
            let stream = recipe::compress(&plain, &Params::level(level));
            let analysis = analyse(&stream, length, 1 << 15).unwrap();
            assert_eq!(analysis.plain, plain);
            assert_eq!(recreate(&plain, &analysis.recipe, stream.len()), Ok(stream));
        }
    }
}

/// A stream of random blocks with random tokens, of all that the format allows.
fn any_stream(draw: &mut Draw) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::new();
    let mut writer = Writer::default();
    let blocks = draw.next(6) + 1;
    for number in 0..blocks {
        let mut tokens = Vec::new();
        let start = plain.len();
        let kind = draw.next(3);
        for _ in 0..draw.next(400) {
            let token = if plain.is_empty() || draw.next(2) == 0 || kind == 0 {
                Token::literal(draw.next(5) as u8 * 50)
            } else {
                let length = [3, 4, 9, 258, draw.next(256) + 3][draw.next(5)] as u16;
                let dist = (draw.next(plain.len().min(32768)) + 1) as u16;
                Token::matching(length, dist, length == 258 && draw.next(2) == 0)
            };
            for _ in 0..token.length() {
                let byte = if token.is_match() {
                    plain[plain.len() - usize::from(token.dist())]
                } else {
                    token.byte()
                };
                plain.push(byte);
            }
            tokens.push(token);
        }
        let kind = match kind {
            0 => Kind::Stored {
                length: (plain.len() - start) as u16,
                pad: draw.next(2) as u8 * 3,
            },
            1 => Kind::Fixed,
            _ => {
                let mut header = header::Counts::of(&tokens).header();
                match draw.next(4) {
                    // Each length on its own, all in a code of five bits.
                    0 => {
                        let single = |symbol: &u8| Op {
                            symbol: *symbol,
                            extra: 0,
                        };
                        header.ops = header.lengths.iter().map(single).collect();
                        header.code_lengths = [5; 19];
                        header.sent = 19;
                    }
                    // Lengths that nobody needs.
                    1 => {
                        header.lengths = [vec![9; 286], vec![5; 30]].concat();
                        header.litlens = 286;
                        header.ops.clear();
                        trees::scan(&header.lengths, &mut header.ops);
                        header.code_lengths = [5; 19];
                        header.sent = 19;
                    }
                    _ => {}
                }
                Kind::Dynamic(Box::new(header))
            }
        };
        let tokens = match kind {
            Kind::Stored { .. } => Vec::new(),
            _ => tokens,
        };
        let last = number + 1 == blocks;
        let block = Block { kind, last, tokens };
        writer.block(&block, &plain, plain.len()).unwrap();
    }
    writer.finish(draw.next(2) as u8 * 0xff)
}

#[test]
fn any_stream_comes_back() {
    for seed in 1..150 {
        let mut draw = Draw(seed * 0x1234_5677);
        let stream = any_stream(&mut draw);
        let analysis = analyse(&stream, 1 << 20, 1 << 15).unwrap_or_else(|e| panic!("{seed}: {e}"));
        let again = recreate(&analysis.plain, &analysis.recipe, stream.len());
        assert_eq!(again, Ok(stream), "seed {seed}");
    }
}

#[test]
fn damaged_streams_come_back_or_are_refused() {
    let (mut taken, mut refused) = (0, 0);
    for seed in 1..400 {
        let mut draw = Draw(seed * 0x9e37_79b9);
        let mut stream = any_stream(&mut draw);
        for _ in 0..=draw.next(3) {
            let at = draw.next(stream.len());
            stream[at] ^= 1 << draw.next(8);
        }
        if draw.next(4) == 0 {
            stream.truncate(draw.next(stream.len()));
        }
        match analyse(&stream, 1 << 20, 1 << 15) {
            Ok(analysis) => {
                taken += 1;
                let again = recreate(&analysis.plain, &analysis.recipe, stream.len()).unwrap();
                assert_eq!(again, stream[..analysis.used], "seed {seed}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 20 && refused > 20, "{taken} {refused}");
}

#[test]
fn foreign_recipes_are_refused_or_make_no_more_than_the_limit() {
    let plain = content(5000);
    let mut made = 0;
    for seed in 1..600 {
        let mut draw = Draw(seed * 0x51_7cc1);
        let recipe: Vec<u8> = (0..draw.next(60)).map(|_| draw.next(256) as u8).collect();
        if let Ok(stream) = recreate(&plain, &recipe, 8000) {
            made += 1;
            assert!(stream.len() <= 8000, "seed {seed}");
            // Its codes may be none, but what can be read is the content.
            if let Ok((read, _)) = inflate(&stream, plain.len()) {
                assert_eq!(read, plain, "seed {seed}");
            }
        }
    }
    assert!(made > 0);
}

#[test]
fn limits_are_kept() {
    let zeros = vec![0; 1 << 20];
    let stream = compress(&zeros, 1);
    assert!(stream.len() < 8000);
    assert_eq!(
        inflate(&stream, (1 << 20) - 1).unwrap_err(),
        Error::Limit("content")
    );
    let analysis = analyse(&stream, 1 << 20, 1 << 15).unwrap();
    assert_eq!(
        recreate(&zeros, &analysis.recipe, stream.len() - 1),
        Err(Error::Limit("output"))
    );
    assert_eq!(inflate(&[], 10).unwrap_err(), Error::End);
    // A block of type 3.
    assert!(matches!(inflate(&[7], 10), Err(Error::Format(_))));
}
