//! Applying what was found to the first file gives the second.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use super::*;
use crate::cli::repeats::testing::{Built, Rng};

fn built(bytes: Vec<u8>) -> Built {
    Built::new(&[bytes], &[0], 10_000)
}

fn all(a: &Built, b: &Built) -> Vec<Change> {
    let mut found = Vec::new();
    changes(a, b, &mut |change| {
        found.push(change);
        Ok(())
    })
    .unwrap();
    found
}

fn bytes<'a>(source: &'a Built, span: &Span) -> &'a [u8] {
    &source.bytes[span.bytes.start as usize..span.bytes.end as usize]
}

/// Checks every change, and returns the lines that are changed.
fn check(a: &Built, b: &Built) -> u64 {
    let (mut at, mut line, mut made, mut changed) = (0, 0, Vec::new(), 0);
    for change in all(a, b) {
        assert!(changed == 0 || change.a.bytes.start > at, "{change:?}");
        let same = &a.bytes[at as usize..change.a.bytes.start as usize];
        made.extend_from_slice(same);
        line += memchr_iter(b'\n', same).count() as u64;
        assert_eq!(change.a.lines.start, line, "{change:?}");
        let lines_made = memchr_iter(b'\n', &made).count() as u64;
        assert_eq!(change.b.lines.start, lines_made, "{change:?}");
        for (source, span) in [(a, &change.a), (b, &change.b)] {
            let count = bytes(source, span)
                .split_inclusive(|byte| *byte == b'\n')
                .count();
            assert_eq!(
                span.lines.end - span.lines.start,
                count as u64,
                "{change:?}"
            );
            changed += count as u64;
        }
        made.extend_from_slice(bytes(b, &change.b));
        line = change.a.lines.end;
        at = change.a.bytes.end;
    }
    made.extend_from_slice(&a.bytes[at as usize..]);
    assert!(made == b.bytes, "not the second file");
    changed
}

#[test]
fn changes_make_the_second_file_of_the_first() {
    let mut rng = Rng::printed();
    for _ in 0..300 {
        let kinds = 1 + rng.below(12);
        let text = |rng: &mut Rng| {
            let mut bytes = Vec::new();
            for _ in 0..rng.below(40) {
                bytes.extend_from_slice(format!("line {}\n", rng.below(kinds)).as_bytes());
            }
            bytes.truncate(bytes.len().saturating_sub(rng.below(3) as usize));
            bytes
        };
        let (a, b) = (built(text(&mut rng)), built(text(&mut rng)));
        check(&a, &b);
        assert_eq!(
            first_difference(&a, &b).unwrap().is_none(),
            a.bytes == b.bytes
        );
    }
}

#[test]
fn few_changes_in_long_files_stay_few() {
    let mut rng = Rng::printed();
    let mut ours = Vec::new();
    for number in 0..200_000_u64 {
        ours.push(format!("{number} {}\n", rng.below(1 << 40)));
    }
    let mut theirs = ours.clone();
    let mut edits = 0;
    for _ in 0..60 {
        let at = rng.below(theirs.len() as u64) as usize;
        match rng.below(3) {
            0 => theirs[at] = "changed\n".to_owned(),
            1 => drop(theirs.remove(at)),
            _ => theirs.insert(at, "new\n".to_owned()),
        }
        edits += 2;
    }
    // A block that moved.
    let block: Vec<String> = theirs.drain(1000..1500).collect();
    theirs.splice(150_000..150_000, block);
    let a = built(ours.concat().into_bytes());
    let b = built(theirs.concat().into_bytes());
    let changed = check(&a, &b);
    assert!(changed <= edits + 1000, "{changed} lines for {edits}");
    let read = *a.read.lock().unwrap();
    assert!(read < 6 * a.bytes.len() as u64, "{read} bytes read");
}

#[test]
fn changes_everywhere_in_long_files_stay_small() {
    let mut rng = Rng::printed();
    for same in [false, true] {
        let (mut ours, mut theirs, mut edits) = (String::new(), String::new(), 0);
        for number in 0..100_000_u64 {
            let line = if same {
                "same\n".to_owned()
            } else {
                format!("{number} {}\n", rng.below(1000))
            };
            ours.push_str(&line);
            match rng.below(20) {
                0 => theirs.push_str("changed\n"),
                1 => theirs.extend(["new\n", &line]),
                2 => {}
                _ => {
                    theirs.push_str(&line);
                    continue;
                }
            }
            edits += 2;
        }
        let (a, b) = (built(ours.into_bytes()), built(theirs.into_bytes()));
        let changed = check(&a, &b);
        assert!(changed <= edits + edits / 10, "{changed} lines for {edits}");
    }
}

#[test]
fn long_lines_and_files_without_any_are_no_trouble() {
    let mut long = vec![b'x'; 3 << 20];
    let a = built(long.clone());
    long[2 << 20] = b'y';
    long.extend_from_slice(b"\nmore\n");
    let b = built(long);
    assert_eq!(check(&a, &b), 3);
    let empty = built(Vec::new());
    assert_eq!(check(&a, &empty), 1);
    assert_eq!(check(&empty, &b), 2);
    assert_eq!(check(&empty, &empty), 0);
}

#[test]
fn context_is_found_at_the_ends_of_files() {
    let source = built(b"1\n2\n3\n4\nend".to_vec());
    assert_eq!(lines_before(&source, 8, 3).unwrap(), 2);
    assert_eq!(lines_before(&source, 8, 0).unwrap(), 8);
    assert_eq!(lines_before(&source, 4, 3).unwrap(), 0);
    assert_eq!(lines_after(&source, 2, 3).unwrap(), (8, 3));
    assert_eq!(lines_after(&source, 6, 3).unwrap(), (11, 2));
    assert_eq!(lines_after(&source, 11, 3).unwrap(), (11, 0));
    let long = built([vec![b'x'; 9000], b"\ny\n".to_vec(), vec![b'z'; 9000]].concat());
    assert_eq!(lines_before(&long, 9003, 2).unwrap(), 0);
    assert_eq!(lines_before(&long, 9003, 1).unwrap(), 9001);
    assert_eq!(lines_after(&long, 9001, 2).unwrap(), (18_003, 2));
}
