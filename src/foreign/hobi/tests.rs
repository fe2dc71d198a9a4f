//! Tests of the `HOBI` reader over sets made here: what is read, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::big_endian_bytes,
    reason = "tests may panic; the format is big-endian"
)]

use super::*;
use crate::foreign::holo::step;
use crate::foreign::testing::{Files, zlib};
use crate::foreign::{Form, Kind, recognise};

const KIND: Kind = Kind::HoloBinary;

fn chunk(version: u8, length: u64, words: [u32; 3], prefix: &[u8], slice: &[u8]) -> Vec<u8> {
    let mut chunk = b"HOBI".to_vec();
    chunk.push(version);
    chunk.extend(length.to_be_bytes());
    let sizes = [prefix.len() as u32, slice.len() as u32];
    for word in words.into_iter().chain(sizes) {
        chunk.extend(word.to_be_bytes());
    }
    chunk.extend_from_slice(prefix);
    chunk.extend_from_slice(slice);
    chunk
}

/// The chunks of a file, written as the specification says.
fn chunks(version: u8, content: &[u8], blocks: u32, coarse: usize) -> Files {
    let (prefix, rest) = content.split_at(coarse.min(content.len()));
    let n = rest.len();
    let place = |i: usize| match (version, blocks) {
        (1, _) | (_, 1) => i,
        _ => i * step(n as u64) as usize % n,
    };
    let files = (0..blocks).map(|b| {
        let indices = (b as usize..n).step_by(blocks as usize);
        let slice: Vec<u8> = indices.map(|i| rest[place(i)]).collect();
        let words = [blocks, b, prefix.len() as u32];
        chunk(
            version,
            content.len() as u64,
            words,
            &zlib(prefix),
            &zlib(&slice),
        )
    });
    Files(files.collect())
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * i / 7 % 251) as u8).collect()
}

#[test]
fn steps_of_the_specification() {
    for (n, expected) in [
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 3),
        (5, 3),
        (6, 5),
        (7, 4),
        (8, 5),
        (10, 7),
        (12, 7),
        (100, 61),
        (786_432, 486_041),
        (1_112_478, 687_551),
        (1_607_472, 993_473),
        (4_320_000, 2_669_909),
    ] {
        assert_eq!(step(n), expected, "{n}");
    }
}

#[test]
fn both_versions_of_any_size_are_read() {
    for version in [1, 2] {
        for length in [0, 1, 5, 1023, 1024, 1025, 1026, 1031, 5000, 70_000] {
            for blocks in [1, 2, 3, 7, 16] {
                let whole = content(length);
                let files = chunks(version, &whole, blocks, 1024);
                assert_eq!(files.kind(), Some(KIND));
                let read = files.read(KIND).unwrap();
                assert!(
                    read == whole,
                    "version {version}, {length} bytes, {blocks} chunks"
                );
            }
        }
    }
}

#[test]
fn ranges_are_those_of_the_file() {
    let whole = content(3000);
    let reader = chunks(2, &whole, 4, 256).open(KIND).unwrap();
    assert_eq!((reader.size(), reader.suffix()), (3000, ""));
    assert!(reader.check().is_ok());
    let mut buf = [0; 100];
    for at in [0, 200, 1000, 2900] {
        reader.read_at(at as u64, &mut buf).unwrap();
        assert_eq!(buf, whole[at..at + 100]);
    }
    assert!(reader.read_at(2901, &mut buf).is_err());
    assert!(reader.read_at(u64::MAX, &mut buf).is_err());
}

#[test]
fn names_strangers_copies_and_stale_chunks_do_not_matter() {
    let whole = content(4000);
    let mut files = chunks(2, &whole, 4, 256);
    files.0.reverse();
    let copy = files.0[1].clone();
    files.0.push(copy);
    files
        .0
        .extend([b"".to_vec(), b"HOB".to_vec(), b"thumbnails".to_vec()]);
    let stale = chunks(2, &content(9000), 8, 256);
    files.0.extend_from_slice(&stale.0[4..]);
    assert!(files.read(KIND).unwrap() == whole);

    // A damaged copy beside a good one does not matter either.
    let last = files.0[0].len() - 1;
    let mut damaged = files.0[0].clone();
    damaged[last] ^= 1;
    files.0.push(damaged);
    assert!(files.read(KIND).unwrap() == whole);
}

#[test]
fn a_missing_or_damaged_chunk_is_told_by_number() {
    let whole = content(4000);
    let files = chunks(2, &whole, 4, 256);
    for gone in 0..4 {
        let mut some = files.clone();
        some.0.remove(gone);
        let reader = some.open(KIND).unwrap();
        assert_eq!(reader.size(), 4000, "the size is still known");
        let told = reader.check().unwrap_err().to_string();
        assert_eq!(told, some.error(KIND));
        assert_eq!(some.error(KIND), format!("3 of 4 chunks: without {gone}"));

        let mut cut = files.clone();
        cut.0[gone].pop();
        let said = cut.error(KIND);
        assert!(said.contains(&format!("without {gone}")), "{said}");
        assert!(
            said.contains(&format!("chunk_{gone:04}.holo: the data end")),
            "{said}"
        );
    }
    let huge = Files(vec![chunk(2, 10, [u32::MAX, 7, 0], b"", b"")]);
    assert_eq!(
        huge.error(KIND),
        "1 of 4294967295 chunks: without 0, 1, 2, 3, 4, 5, 6, 8, ..."
    );
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let whole = content(4000);
    let set = chunks(2, &whole, 4, 256);
    for other in [
        chunks(1, &whole, 4, 256),
        chunks(2, &whole, 4, 128),
        chunks(2, &content(4001), 4, 256),
        chunks(2, &whole.iter().map(|b| b ^ 1).collect::<Vec<_>>(), 4, 256),
    ] {
        let mut mixed = set.clone();
        mixed.0[2] = other.0[2].clone();
        let said = mixed.error(KIND);
        assert!(
            said.contains("chunk_0000.holo and chunk_0002.holo"),
            "{said}"
        );
    }
    let mut two = set.clone();
    two.0.extend(chunks(2, &whole, 3, 256).0);
    assert!(matches!(two.open(KIND), Err(ForeignError::Mixed(_))));

    // The same beginning, another rest.
    let mut other = whole.clone();
    other[3000] ^= 1;
    let mut copies = set;
    copies.0.extend(chunks(2, &other, 4, 256).0);
    assert!(copies.error(KIND).contains("two different chunks"));
}

#[test]
fn hostile_headers_are_errors_that_name_file_and_place() {
    let good = chunk(2, 600, [1, 0, 100], &zlib(&[1; 100]), &zlib(&[2; 500]));
    assert!(Files(vec![good.clone()]).read(KIND).is_ok());
    for (at, value, words) in [
        (4, 0, "version 0 at byte 4"),
        (4, 3, "version 3 of Holo.Codec is not supported"),
        (5, 1, "more than the limit 1073741824"),
        (10, 1, "stored bytes for"),
        (16, 0, "chunk number beyond the number of chunks at byte 17"),
        (20, 1, "chunk number beyond the number of chunks at byte 17"),
        (13, 1, "of 16777217 chunks"),
        (23, 4, "beginning longer than the file at byte 21"),
        (25, 1, "the data end"),
        (29, 255, "the data end"),
        (33, 0, "no chunk has a good beginning"),
    ] {
        let mut bad = good.clone();
        bad[at] = value;
        let said = Files(vec![bad]).error(KIND);
        assert!(said.contains(words), "{said:?} without {words:?}");
    }
    for length in 4..good.len() {
        assert!(Files(vec![good[..length].to_vec()]).read(KIND).is_err());
    }
    assert!(Files(Vec::new()).read(KIND).is_err());
    assert!(Files(vec![b"nothing".to_vec()]).read(KIND).is_err());
}

/// A stream that decodes to more than the header says stops there.
#[test]
fn a_bomb_is_an_error() {
    let bomb = zlib(&vec![0; 10 << 20]);
    let files = Files(vec![chunk(2, 1 << 20, [1, 0, 0], &zlib(b""), &bomb)]);
    assert!(files.error(KIND).contains("damaged data of chunk 0"));
    let liar = Files(vec![chunk(2, 1 << 30, [1, 0, 0], &zlib(b""), &bomb)]);
    assert!(
        liar.error(KIND)
            .contains("stored bytes for 1073741824 at byte 29")
    );
}

/// Each byte of a set, changed: an error or the true file, never another one.
#[test]
fn no_changed_byte_gives_another_file() {
    for version in [1, 2] {
        // Without repetition, so that zlib stores the bytes and each of them counts.
        let whole: Vec<u8> = (0..300u32).map(|i| (i * 167 % 256) as u8).collect();
        let files = chunks(version, &whole, 3, 100);
        for part in 0..3 {
            for at in 0..files.0[part].len() {
                for change in [1, 0x80, 0xff] {
                    let mut damaged = files.clone();
                    damaged.0[part][at] ^= change;
                    if let Ok(read) = damaged.read(KIND) {
                        assert!(read == whole, "byte {at} of {part} ^ {change}");
                    }
                }
            }
        }
    }
}

#[test]
fn other_things_are_not_recognised() {
    assert_eq!(recognise(Form::Directory, &[b"HOB", b"HOC"]), None);
    assert_eq!(recognise(Form::File, &[b"HOBI\x02"]), None);
    assert_eq!(recognise(Form::Directory, &[] as &[&[u8]]), None);
}
