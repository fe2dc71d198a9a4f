//! The search beside a plain one: line by line, with the `regex` crate's own engine.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use regex_automata::hybrid::regex::Regex;
use regex_automata::util::syntax;

use super::*;
use crate::cli::repeats::pass;
use crate::cli::repeats::testing::{Built, Rng};

/// Number, offset and text of the lines that were found.
type Found = Vec<(u64, u64, Vec<u8>)>;

fn found(source: &Built, pattern: &str, any_case: bool, wanted: Wanted) -> (Found, u64) {
    let mut found = Vec::new();
    let mut pattern = Pattern::new(pattern, any_case).unwrap();
    let mut show = |line: &Line<'_>| {
        found.push((line.number, line.offset, line.text.to_vec()));
        true
    };
    let mut search = Search::new(&mut pattern, wanted, true, &mut show);
    pass(source, &mut search).unwrap();
    search.finish().unwrap();
    let matched = search.matched;
    (found, matched)
}

fn plainly(bytes: &[u8], pattern: &str, any_case: bool) -> Found {
    let syntax = syntax::Config::new().utf8(false).case_insensitive(any_case);
    let regex = Regex::builder()
        .syntax(syntax)
        .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
        .build(pattern)
        .unwrap();
    let mut cache = regex.create_cache();
    let (mut number, mut offset, mut found) = (0, 0, Vec::new());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        number += 1;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if regex.is_match(&mut cache, text) {
            found.push((number, offset, text[..text.len().min(SHOWN)].to_vec()));
        }
        offset += line.len() as u64;
    }
    found
}

/// A random expression of letters that the content has, so that it is found now and then.
fn expression(rng: &mut Rng, depth: u64) -> String {
    if depth == 0 || rng.below(3) == 0 {
        let atoms = [
            "a",
            "ab",
            "cab",
            "\u{e9}",
            ".",
            "[a-c]",
            "[^a]",
            r"\d",
            r"\w+",
            r"\s",
            "^",
            "$",
            "x{2,3}",
            r"(?-u:\b)",
            "[[:upper:]]",
            "aaaa",
        ];
        return atoms[rng.below(atoms.len() as u64) as usize].to_owned();
    }
    let one = expression(rng, depth - 1);
    let other = expression(rng, depth - 1);
    match rng.below(5) {
        0 => format!("(?:{one}|{other})"),
        1 => format!("(?:{one})*{other}"),
        2 => format!("({one}){{1,3}}"),
        _ => format!("{one}{other}"),
    }
}

fn lines(rng: &mut Rng, length: u64) -> Vec<u8> {
    let signs: [&[u8]; 12] = [
        b"a",
        b"b",
        b"c",
        b"x",
        b"A",
        b" ",
        b"7",
        "\u{e9}".as_bytes(),
        b"\xff",
        b"\0",
        b"aaa",
        b"\n",
    ];
    // Lines of any length, most of them short.
    let rare = 1 + rng.below(60);
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        let sign = match rng.below(12) {
            11 if rng.below(rare) > 3 => 0,
            sign => sign,
        };
        bytes.extend_from_slice(signs[sign as usize]);
    }
    bytes
}

#[test]
fn finds_what_a_plain_search_finds() {
    let mut rng = Rng::printed();
    for round in 0..300 {
        let length = rng.below(3000);
        let piece = lines(&mut rng, length);
        let source = Built::new(&[piece], &[0], 1 + rng.below(500));
        let depth = rng.below(5);
        let pattern = expression(&mut rng, depth);
        let any_case = rng.below(2) == 0;
        let wanted = plainly(&source.bytes, &pattern, any_case);
        let (got, _) = found(&source, &pattern, any_case, Wanted::Lines);
        assert_eq!(got, wanted, "round {round}: {pattern:?}");
        let (_, count) = found(&source, &pattern, any_case, Wanted::Count);
        assert_eq!(count, wanted.len() as u64, "round {round}: {pattern:?}");
    }
}

#[test]
fn what_repeats_is_searched_once_and_found_again() {
    let mut rng = Rng::printed();
    for round in 0..30 {
        let pieces: Vec<Vec<u8>> = (0..4)
            .map(|_| {
                let length = rng.below(120_000);
                lines(&mut rng, length)
            })
            .collect();
        let order: Vec<usize> = (0..14).map(|_| rng.below(4) as usize).collect();
        let source = Built::new(&pieces, &order, 1 + rng.below(100_000));
        let pattern = match rng.below(3) {
            0 => "xcab7".to_owned(),
            1 => expression(&mut rng, 3),
            _ => "^[abc ]{7,}7$".to_owned(),
        };
        let wanted = plainly(&source.bytes, &pattern, false);
        let (got, _) = found(&source, &pattern, false, Wanted::Lines);
        assert_eq!(got, wanted, "round {round}: {pattern:?}");
        let (_, count) = found(&source, &pattern, false, Wanted::Count);
        assert_eq!(count, wanted.len() as u64, "round {round}: {pattern:?}");
    }
}

#[test]
fn what_repeats_is_not_read_again() {
    let mut piece = Vec::new();
    for number in 0..50_000 {
        piece.extend_from_slice(format!("line {number} of a log\n").as_bytes());
    }
    // Off the lines' starts, as a repeat may begin anywhere.
    piece.drain(..7);
    let source = Built::new(
        &[piece.clone(), b"needle".to_vec()],
        &[0, 0, 1, 0, 0, 0, 0, 0],
        1 << 16,
    );
    let (_, count) = found(&source, "needle|log$", false, Wanted::Count);
    let all = plainly(&source.bytes, "needle|log$", false);
    assert_eq!(count, all.len() as u64);
    let (got, _) = found(&source, "needle", false, Wanted::Lines);
    assert_eq!(got, plainly(&source.bytes, "needle", false));
    let read = *source.read.lock().unwrap();
    assert!(read < 2 * 2 * piece.len() as u64, "{read} bytes read");
}

#[test]
fn long_lines_are_cut_where_shown_and_matched_whole() {
    let mut bytes = vec![b'.'; 3 << 20];
    bytes.extend_from_slice(b"needle\nneedle\n");
    let source = Built::new(&[bytes], &[0], 1 << 16);
    let (got, _) = found(&source, "needle$", false, Wanted::Lines);
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].2.len(), SHOWN);
    assert_eq!(got[1], (2, (3 << 20) + 7, b"needle".to_vec()));
}

#[test]
fn too_large_expressions_are_refused() {
    assert!(Pattern::new(r"(?:\w{1000}){1000}", false).is_err());
    assert!(Pattern::new("(", false).is_err());
}
