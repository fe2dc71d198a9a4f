//! Lines, words, characters and bytes, counted as `wc` counts them.

use crate::cli::repeats::{Pass, Sums};
use crate::store::Result;

/// Whether `isspace` holds in the C locale.
fn is_space(byte: u8) -> bool {
    byte == b' ' || byte.wrapping_sub(b'\t') < 5
}

/// Counts of what has been passed.
#[derive(Debug, Default)]
pub(super) struct Counter {
    pub(super) lines: u64,
    /// Longest runs of bytes that are not white space.
    pub(super) words: u64,
    /// Characters of UTF-8; bytes that belong to none are not counted.
    pub(super) chars: u64,
    in_word: bool,
    /// The beginning of a character whose rest is still to come.
    begun: Vec<u8>,
}

impl Counter {
    fn count_words(&mut self, bytes: &[u8]) {
        let Some((first, last)) = bytes.first().zip(bytes.last()) else {
            return;
        };
        let begins = |before: bool, byte: u8| u64::from(!before & !is_space(byte));
        let after = bytes.get(1..).unwrap_or_default();
        let inside: u64 = bytes
            .iter()
            .zip(after)
            .map(|(before, byte)| begins(!is_space(*before), *byte))
            .sum();
        self.words += begins(self.in_word, *first) + inside;
        self.in_word = !is_space(*last);
    }

    fn count_chars(&mut self, mut bytes: &[u8]) {
        while !self.begun.is_empty() {
            let Some((next, rest)) = bytes.split_first() else {
                return;
            };
            let mut longer = self.begun.clone();
            longer.push(*next);
            match std::str::from_utf8(&longer) {
                Ok(_) => {
                    self.chars += 1;
                    self.begun.clear();
                    bytes = rest;
                }
                Err(e) if e.error_len().is_none() => {
                    self.begun = longer;
                    bytes = rest;
                }
                Err(_) => self.begun.clear(), // the next byte begins anew
            }
        }
        if let Ok(text) = std::str::from_utf8(bytes) {
            self.chars += count_starts(text);
            return;
        }
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.chars += count_starts(chunk.valid());
            let unfinished = |bytes| {
                let cut = std::str::from_utf8(bytes).err();
                cut.is_some_and(|e| e.error_len().is_none())
            };
            if chunks.peek().is_none() && unfinished(chunk.invalid()) {
                self.begun = chunk.invalid().to_vec();
            }
        }
    }
}

/// Characters of a text: bytes that do not continue one.
fn count_starts(text: &str) -> u64 {
    text.bytes()
        .map(|byte| u64::from(byte & 0xC0 != 0x80))
        .sum()
}

/// A [`Counter`] that passes through a file.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) counter: Counter,
    /// Whether words are asked for.
    pub(super) words: bool,
    /// Whether characters are asked for.
    pub(super) chars: bool,
}

impl Pass for Counting {
    fn take(&mut self, _offset: u64, bytes: &[u8]) -> Result<bool> {
        self.counter.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        if self.words {
            self.counter.count_words(bytes);
        }
        if self.chars {
            self.counter.count_chars(bytes);
        }
        Ok(true)
    }

    fn sums(&self) -> Sums {
        [self.counter.lines, self.counter.words, self.counter.chars]
    }

    fn again(&mut self, [lines, words, chars]: Sums) -> bool {
        // At a line's start no word has begun, and of a character that never went on nothing counts.
        self.counter.begun.clear();
        self.counter.in_word = false;
        self.counter.lines += lines;
        self.counter.words += words;
        self.counter.chars += chars;
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::cli::repeats::pass;
    use crate::cli::repeats::testing::{Built, Rng};

    fn index(rng: &mut Rng, n: u64) -> usize {
        usize::try_from(rng.below(n)).unwrap()
    }

    fn count(source: &Built) -> Sums {
        let mut counting = Counting {
            words: true,
            chars: true,
            ..Counting::default()
        };
        pass(source, &mut counting).unwrap();
        counting.sums()
    }

    #[test]
    fn what_repeats_is_counted_like_the_rest() {
        let mut rng = Rng::printed();
        let signs = ["a", "b ", "\n", " \n", "\t", "\u{e9}", "\u{1f600}", "\u{b}"];
        for _ in 0..40 {
            let sign = |rng: &mut Rng| *signs.get(index(rng, 8)).unwrap();
            let pieces: Vec<Vec<u8>> = (0..4)
                .map(|_| {
                    let length = rng.below(100_000);
                    let text: String = (0..length).map(|_| sign(&mut rng)).collect();
                    let mut bytes = text.into_bytes();
                    // Words and characters that are cut.
                    bytes.truncate(bytes.len().saturating_sub(index(&mut rng, 3)));
                    bytes
                })
                .collect();
            let order: Vec<usize> = (0..12).map(|_| index(&mut rng, 4)).collect();
            let mut source = Built::new(&pieces, &order, 1 + rng.below(100_000));
            let counted = count(&source);
            source.tells = false;
            assert_eq!(counted, count(&source));
        }
    }

    #[test]
    fn characters_are_counted_across_pieces() {
        let mut rng = Rng::printed();
        for _ in 0..300 {
            let some = [b'a', 0xC3, 0xA9, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0, b'\n'];
            let bytes: Vec<u8> = (0..rng.below(60))
                .map(|_| *some.get(index(&mut rng, 10)).unwrap())
                .collect();
            let whole: usize = bytes.utf8_chunks().map(|c| c.valid().chars().count()).sum();
            let mut counter = Counter::default();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let cut = 1 + rng.below(rest.len() as u64);
                let (now, later) = rest.split_at(usize::try_from(cut).unwrap());
                counter.count_chars(now);
                rest = later;
            }
            assert_eq!(counter.chars, whole as u64, "{bytes:x?}");
        }
    }
}
