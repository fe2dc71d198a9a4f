//! Sketches: a few numbers of a content, by which those that share long stretches are known.
//!
//! Of the hashes of all windows of 64 bytes the smallest are taken, the same ones wherever a window lies. Two contents
//! have each of them in common as likely as they have any window in common, of all that either has.

use std::io;

use super::chunks::step;
use crate::codec::Content;

/// Numbers in a sketch.
pub const NUMBERS: usize = 8;
/// Bytes that the hash sees.
const WINDOW: usize = 64;
/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;
/// A base is known by the hashes below this: those of one window in 512.
const OF_BASE: u64 = u64::MAX / 512;

/// The numbers of one content, ascending; fewer for a short one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch(pub Vec<u32>);

impl Sketch {
    /// Reads a content.
    ///
    /// # Errors
    /// What the content says.
    pub fn of(content: &dyn Content) -> io::Result<Self> {
        let mut least: Vec<u64> = Vec::with_capacity(NUMBERS + 1);
        let mut bound = u64::MAX;
        hashes(content, &mut |hash| {
            if hash >= bound {
                return;
            }
            if let Err(place) = least.binary_search(&hash) {
                least.insert(place, hash);
                least.truncate(NUMBERS);
                if least.len() == NUMBERS {
                    bound = least.last().copied().unwrap_or(u64::MAX);
                }
            }
        })?;
        let mut numbers: Vec<u32> = least.into_iter().map(mixed).collect();
        numbers.sort_unstable();
        Ok(Self(numbers))
    }

    /// Numbers that two have in common.
    #[must_use]
    pub fn common(&self, other: &Self) -> usize {
        self.0.iter().filter(|n| other.0.contains(n)).count()
    }

    /// Numbers that it has in common with what a base is known by.
    #[must_use]
    pub fn found_in(&self, base: &[u32]) -> usize {
        self.0
            .iter()
            .filter(|n| base.binary_search(n).is_ok())
            .count()
    }
}

/// What a base is known by, ascending.
///
/// # Errors
/// What the content says.
pub fn of_base(content: &dyn Content) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    hashes(content, &mut |hash| {
        if hash < OF_BASE {
            numbers.push(mixed(hash));
        }
    })?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// Shows the hashes of all windows.
fn hashes(content: &dyn Content, each: &mut dyn FnMut(u64)) -> io::Result<()> {
    let size = content.size();
    let mut piece = vec![0; usize::try_from(size).unwrap_or(PIECE).min(PIECE)];
    let (mut at, mut hash, mut seen) = (0, 0, 0_usize);
    while at < size {
        let length = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
        let piece = piece.get_mut(..length).unwrap_or_default();
        content.read_at(at, piece)?;
        for byte in piece.iter() {
            hash = step(hash, *byte);
            seen += 1;
            if seen >= WINDOW {
                each(hash);
            }
        }
        at += length as u64;
    }
    Ok(())
}

/// Small hashes have many zeros in front.
fn mixed(hash: u64) -> u32 {
    let mixed = (hash ^ hash >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    u32::try_from(mixed >> 32).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::codec::testing::random;

    fn sketch(content: &[u8]) -> Sketch {
        Sketch::of(&content).unwrap()
    }

    #[test]
    fn contents_with_much_in_common_know_each_other() {
        let old = random(1, 300_000);
        let mut new = old.clone();
        new.splice(100_000..110_000, random(2, 12_345));
        let (a, b) = (sketch(&old), sketch(&new));
        assert_eq!(a.0.len(), NUMBERS);
        assert!(a.common(&b) >= 5, "{a:?} {b:?}");
        assert_eq!(a.common(&sketch(&random(3, 300_000))), 0);
        let base = of_base(&[random(4, 1 << 20), new].concat().as_slice()).unwrap();
        assert!(a.found_in(&base) >= 5);
        assert_eq!(sketch(&random(5, 9000)).found_in(&base), 0);
    }

    #[test]
    fn short_and_dull_contents_have_short_sketches() {
        assert!(sketch(&[]).0.is_empty());
        assert!(sketch(&random(1, 63)).0.is_empty());
        assert_eq!(sketch(&random(1, 64)).0.len(), 1);
        assert_eq!(sketch(&vec![7; 100_000]).0.len(), 1);
    }
}
