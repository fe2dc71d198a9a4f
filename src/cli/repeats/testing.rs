//! Content that repeats, for tests: what is built of pieces knows where each was before.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may panic"
)]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

use crate::cli::source::Source;
use crate::store::Result;

/// Random numbers (xorshift), from a seed that the test prints.
pub(in crate::cli) struct Rng(pub(in crate::cli) u64);

impl Rng {
    pub(in crate::cli) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `n`.
    pub(in crate::cli) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// A new seed, printed.
    pub(in crate::cli) fn printed() -> Self {
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let seed = u64::try_from(time.as_nanos() & u128::from(u64::MAX)).unwrap() | 1;
        println!("seed {seed}");
        Self(seed)
    }
}

/// Content of pieces, some of them more than once, that counts the bytes read.
pub(in crate::cli) struct Built {
    pub(in crate::cli) bytes: Vec<u8>,
    /// Begin, end and earlier begin of what repeats.
    repeats: Vec<(u64, u64, u64)>,
    /// Whether it tells what repeats.
    pub(in crate::cli) tells: bool,
    segment: u64,
    pub(in crate::cli) read: Mutex<u64>,
}

impl Built {
    /// The pieces with these numbers one after the other, decoded in segments of this length.
    pub(in crate::cli) fn new(pieces: &[Vec<u8>], order: &[usize], segment: u64) -> Self {
        let (mut bytes, mut repeats, mut first) = (Vec::new(), Vec::new(), HashMap::new());
        for &piece in order {
            let at = bytes.len() as u64;
            bytes.extend_from_slice(&pieces[piece]);
            let before = *first.entry(piece).or_insert(at);
            if before < at {
                repeats.push((at, bytes.len() as u64, before));
            }
        }
        Self {
            bytes,
            repeats,
            tells: true,
            segment,
            read: Mutex::new(0),
        }
    }
}

impl Source for Built {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let at = usize::try_from(offset).unwrap();
        buf.copy_from_slice(&self.bytes[at..at + buf.len()]);
        *self.read.lock().unwrap() += buf.len() as u64;
        Ok(())
    }

    fn segment(&self, offset: u64) -> Option<Range<u64>> {
        let start = offset / self.segment * self.segment;
        Some(start..(start + self.segment).min(self.size()))
    }

    fn earlier(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        if !self.tells {
            return Ok(None);
        }
        let found = self
            .repeats
            .iter()
            .find(|(begin, end, _)| (*begin..*end).contains(&offset));
        Ok(found.map(|(begin, end, before)| (before + (offset - begin), end - offset)))
    }
}
