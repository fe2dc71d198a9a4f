//! Content cut into chunks where the content itself says so: equal stretches give equal chunks.

use std::io;

use crate::codec::Content;

/// Bytes of the shortest chunk but the last.
pub(super) const LEAST: usize = 256;
/// Bytes of the longest chunk.
pub(super) const MOST: usize = 8 << 10;
/// Chunks end after a byte at which the hash of the last [`WINDOW`] bytes is below this: one byte in 768, which makes
/// 1 KiB on average together with [`LEAST`].
const BOUND: u64 = u64::MAX / 768;
/// Bytes that the rolling hash sees.
const WINDOW: usize = 64;
/// Bytes that are read at a time.
const BUFFER: usize = 1 << 20;

/// A number for each byte value (splitmix64).
const GEAR: [u64; 256] = gear();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated when compiled; the index is below 256"
)]
const fn gear() -> [u64; 256] {
    let mut table = [0; 256];
    let mut state = 0_u64;
    let mut i = 0;
    while i < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[i] = z ^ (z >> 31);
        i += 1;
    }
    table
}

/// The hash of the last [`WINDOW`] bytes when another follows.
pub(super) fn step(hash: u64, byte: u8) -> u64 {
    let number = GEAR.get(usize::from(byte)).copied().unwrap_or(0);
    (hash << 1).wrapping_add(number)
}

/// Length of the chunk that `bytes` begin with; fewer than [`MOST`] of them only at the end of the content.
fn cut(bytes: &[u8]) -> usize {
    let skip = LEAST - WINDOW;
    let Some((_, rest)) = bytes.split_at_checked(skip) else {
        return bytes.len();
    };
    let mut hash = rest
        .iter()
        .take(WINDOW)
        .fold(0, |hash, byte| step(hash, *byte));
    for (i, byte) in rest.iter().enumerate().take(MOST - skip).skip(WINDOW) {
        if hash < BOUND {
            return skip + i;
        }
        hash = step(hash, *byte);
    }
    bytes.len().min(MOST)
}

/// A hash of a chunk, to find others like it; nothing relies on its being different for different chunks.
pub(super) fn hash(chunk: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        product ^ (product >> 32)
    };
    let (words, rest) = chunk.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let hash = words.fold(chunk.len() as u64, mix);
    mix(
        rest.iter()
            .fold(hash, |hash, byte| mix(hash, (*byte).into())),
        0,
    )
}

/// The chunks of a content, one after the other.
pub(super) struct Chunks<'a> {
    content: &'a dyn Content,
    /// Content from the chunk that comes next on.
    buffer: Vec<u8>,
    /// Bytes of it that were given out.
    used: usize,
    /// Where the next bytes to be read are.
    ahead: u64,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(content: &'a dyn Content) -> Self {
        Self {
            content,
            buffer: Vec::new(),
            used: 0,
            ahead: 0,
        }
    }

    /// The next chunk and where it begins; `None` at the end.
    ///
    /// # Errors
    /// What the content says.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        if self.buffer.len() - self.used < MOST && self.ahead < self.content.size() {
            self.buffer.drain(..self.used);
            self.used = 0;
            let kept = self.buffer.len();
            let left = self.content.size() - self.ahead;
            let more = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            self.buffer.resize(kept + more, 0);
            let room = self.buffer.get_mut(kept..).unwrap_or_default();
            self.content.read_at(self.ahead, room)?;
            self.ahead += more as u64;
        }
        let rest = self.buffer.get(self.used..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let offset = self.ahead - rest.len() as u64;
        let length = cut(rest);
        self.used += length;
        Ok(rest.get(..length).map(|chunk| (offset, chunk)))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;
    use crate::codec::testing::{Bytes, random};

    fn ends(content: &[u8]) -> Vec<u64> {
        let content = Bytes(content.to_vec());
        let mut chunks = Chunks::new(&content);
        let mut ends = Vec::new();
        while let Some((offset, chunk)) = chunks.next().unwrap() {
            assert_eq!(
                chunk,
                &content.0[usize::try_from(offset).unwrap()..][..chunk.len()]
            );
            ends.push(offset + chunk.len() as u64);
        }
        ends
    }

    #[test]
    fn chunks_are_the_content_and_have_their_lengths() {
        for length in [0, 1, 100, 255, 256, 257, 8192, 8193, 3_000_000] {
            for content in [random(1, length), vec![7; length]] {
                let ends = ends(&content);
                assert_eq!(ends.last().copied().unwrap_or(0), length as u64);
                let starts = std::iter::once(&0).chain(&ends);
                let lengths: Vec<u64> = starts.zip(&ends).map(|(a, b)| b - a).collect();
                let (last, others) = lengths.split_last().unwrap_or((&1, &[]));
                assert!(others.iter().all(|l| (256..=8192).contains(l)));
                assert!((1..=8192).contains(last) || length == 0);
                if length > 1_000_000 && content[0] != 7 {
                    let average = length / lengths.len();
                    assert!((900..1150).contains(&average), "{average}");
                }
            }
        }
    }

    #[test]
    fn what_follows_an_insertion_is_cut_as_before() {
        let content = random(2, 500_000);
        let changed = [&content[..100_000], b"something new", &content[100_000..]].concat();
        let (before, after) = (ends(&content), ends(&changed));
        let moved = before.iter().map(|end| end + 13);
        let same = moved.filter(|end| after.contains(end)).count();
        assert!(same > before.len() * 3 / 4, "{same} of {}", before.len());
    }
}
