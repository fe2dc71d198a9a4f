//! Help for the tests of JPEG files: vectors, changed files, numbers that look random.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

// No part of the program: it reads files outside of the store.
#[cfg(test)]
use std::path::Path;

/// All vectors, by name.
pub(crate) fn vectors() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jpeg");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<(String, Vec<u8>)> = files
        .filter(|path| path.extension().is_some_and(|e| e == "jpg"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    assert!(all.len() > 15, "{} vectors", all.len());
    all.sort();
    all
}

/// One vector.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let found = vectors().into_iter().find(|(n, _)| n == name);
    found.unwrap_or_else(|| panic!("no vector {name}")).1
}

/// Numbers that look random (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 8) as usize % limit.max(1)
    }
}

/// The bytes with a few of them changed, inserted, removed or cut off; half of the time near the beginning.
pub(crate) fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let near = random.below(2) == 0;
    for _ in 0..=random.below(4) {
        let range = if near {
            bytes.len().min(700)
        } else {
            bytes.len()
        };
        let at = random.below(range);
        match random.below(6) {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at.max(20)),
            3 => bytes.insert(at, random.next() as u8),
            4 => drop(bytes.remove(at)),
            _ => drop(bytes.drain(at..(at + random.below(20)).min(bytes.len()))),
        }
    }
    bytes
}
