//! Holo.Codec chunk directories that hold any file: magic `HOBI`, versions 1 and 2.
//!
//! # Terms
//! The file of `L` bytes begins with a *prefix* of `coarse_len` bytes, which every chunk holds whole; the other
//! `n = L - coarse_len` bytes are dealt out to `B` *slices*, one per chunk ([`super::holo`]). Small files, up to
//! 1,024 bytes as the original writes them, are all prefix: valid sets with an empty rest.
//!
//! # A chunk
//! | bytes | field |
//! |---|---|
//! | `0 .. 4` | `HOBI` |
//! | `4` | u8 version, 1 or 2 |
//! | `5 .. 13` | u64 `L` |
//! | `13 .. 17` | u32 `B`, at least 1 |
//! | `17 .. 21` | u32 number `b` of this chunk, below `B` |
//! | `21 .. 25` | u32 `coarse_len`, at most `L` |
//! | `25 .. 29` | u32 length of the prefix as stored |
//! | `29 .. 33` | u32 length of the slice as stored |
//! | `33 ..` | the prefix, then the slice, each a zlib stream (RFC 1950) |
//!
//! # What follows
//! Without all chunks nothing but the prefix is known, so the file is damaged.

use super::holo::{self, Set, usize_of, word};
use super::kept::Kept;
use super::{Chunks, ForeignError, Parts, Quality, Reader};

/// First bytes of a chunk.
pub const MAGIC: &[u8; 4] = b"HOBI";
/// The largest file that is decoded: it is held in memory whole, with one slice beside it.
pub const LIMIT: u64 = 1 << 30;

/// What all chunks of a set must agree on besides `B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    /// `L`.
    length: u64,
    coarse_len: u32,
}

impl holo::Geometry for Geometry {
    const MAGIC: &'static [u8; 4] = MAGIC;
    const COARSE: &'static str = "beginning";
    const HEADER: usize = 33;
    const BLOCKS: usize = 13;

    fn read(header: &[u8]) -> Self {
        Self {
            length: u64::from(word(header, 5)) << 32 | u64::from(word(header, 9)),
            coarse_len: word(header, 21),
        }
    }

    fn wrong(&self) -> Option<(u64, String)> {
        let longer = u64::from(self.coarse_len) > self.length;
        longer.then(|| (21, "a beginning longer than the file".to_owned()))
    }
}

/// A chunk directory, open for reading.
#[derive(Debug)]
pub struct Binary {
    set: Set<Geometry>,
    kept: Kept,
}

impl Binary {
    /// Reads the headers of all parts that are chunks and finds the set among them.
    ///
    /// # Errors
    /// [`ForeignError::Format`] or [`ForeignError::Unsupported`] where there is no usable chunk,
    /// [`ForeignError::Mixed`] where it cannot be told which ones belong together.
    pub fn open(parts: Box<dyn Parts>) -> Result<Self, ForeignError> {
        Ok(Self {
            set: Set::open(parts)?,
            kept: Kept::default(),
        })
    }

    fn decode(&self) -> Result<(Vec<u8>, Quality), ForeignError> {
        self.check()?;
        let Geometry { length, coarse_len } = self.set.geometry;
        let coarse_len = u64::from(coarse_len);
        let rest = length - coarse_len;
        for (block, copies) in &self.set.chunks {
            let slice = self.set.slice_length(rest, *block);
            for chunk in copies {
                self.set
                    .plausible(chunk, chunk.coarse_size, coarse_len, 25)?;
                self.set.plausible(chunk, chunk.slice_size, slice, 29)?;
            }
        }
        let prefix = self.set.coarse(holo::longest(coarse_len), |blob| {
            holo::inflate(blob, usize_of(coarse_len))
        })?;
        let mut content = holo::zeros(length)?;
        let (beginning, out) = content.split_at_mut(prefix.len());
        beginning.copy_from_slice(&prefix);
        for block in self.set.chunks.keys() {
            let length = self.set.slice_length(rest, *block);
            let slice = self.set.slice(*block, length)?;
            for (place, byte) in self.set.places(rest, *block).zip(slice) {
                if let Some(to) = out.get_mut(place) {
                    *to = byte;
                }
            }
        }
        Ok((content, Quality::Exact))
    }
}

impl Reader for Binary {
    fn size(&self) -> u64 {
        self.set.geometry.length
    }

    fn suffix(&self) -> &'static str {
        ""
    }

    fn chunks(&self) -> Option<Chunks> {
        Some(self.set.count())
    }

    fn check(&self) -> Result<Quality, ForeignError> {
        if self.set.geometry.length > LIMIT {
            return Err(ForeignError::Limit {
                what: "the size in bytes of the file in the chunks",
                value: self.set.geometry.length,
                limit: LIMIT,
            });
        }
        if self.set.is_whole() {
            Ok(Quality::Exact)
        } else {
            Err(ForeignError::Damaged(self.set.missing()))
        }
    }

    fn verify(&self) -> Result<Quality, ForeignError> {
        self.kept.file(|| self.decode()).map(|(_, quality)| quality)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, ForeignError> {
        self.kept.read_at(offset, buf, || self.decode())
    }
}

#[cfg(test)]
mod tests;
