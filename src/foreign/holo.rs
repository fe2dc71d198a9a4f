//! What all Holo.Codec chunk directories share: headers, finding the set, slices, the permutation.
//!
//! # Terms
//! The content is a *coarse* part, which every chunk holds whole, and `n` further elements, which are dealt out to
//! `B` *slices*, one per chunk. Element `j` of slice `b` is element `i = b + jB` of the content in version 1 and
//! element `i * step mod n` in version 2, see `step`; with `B = 1` the order is natural in both.
//!
//! # A chunk
//! Integers are big-endian (the format is Python's `struct` with `>`); the file's name says nothing.
//!
//! | bytes | field |
//! |---|---|
//! | `0 .. 4` | magic: what is held |
//! | `4` | u8 version |
//! | | `Geometry`: what all chunks of a set agree on; somewhere in it u32 `B`, at least 1, and u32 `b` below `B` |
//! | last 8 | u32 stored bytes of the coarse part, u32 stored bytes of the slice |
//! | after | the coarse part, then the slice, a zlib stream (RFC 1950) |
//!
//! # What follows
//! Slices hold no redundancy, and the only checksums are those of zlib (and of PNG). An encoder that wrote fewer
//! chunks than the one before it overwrote the first ones and left *stale* chunks of another `B` behind, all with
//! numbers from its own `B` on: the `B` of which all chunks are there counts, else the one that the others can be
//! stale to. Two sets of which neither is stale are an error: it cannot be told what was meant.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use flate2::read::ZlibDecoder;

use super::{Chunks, ForeignError, Parts, Quality};
use crate::coding::hash::Digest;

/// Deflate makes at most 1,032 bytes of one (RFC 1951: 258 bytes from two bits).
pub(super) const EXPANSION: u64 = 1032;
/// The newest version that is read; from 3 on the original stores transforms of its own, always with loss.
const NEWEST: u8 = 2;
/// Different copies of the coarse part that are looked at before the set is given up.
const COPIES: usize = 4;
/// Chunks that an error names one by one, missing or damaged.
const NAMED: usize = 8;
/// The magics of all kinds: a file, a picture, sound.
const MAGICS: [&[u8; 4]; 3] = [b"HOBI", b"HOCH", b"HOAU"];
/// The longest header of all kinds.
const LONGEST: usize = 64;

/// What all chunks of a set must agree on besides version and `B`, and where it stands.
pub(super) trait Geometry: Copy + PartialEq + fmt::Debug + Send + Sync {
    /// First bytes of a chunk.
    const MAGIC: &'static [u8; 4];
    /// What their coarse part is called.
    const COARSE: &'static str;
    /// Bytes of a chunk's header, at most 64.
    const HEADER: usize;
    /// Where `B` and after it `b` stand.
    const BLOCKS: usize;

    /// Takes the fields from a whole header.
    fn read(header: &[u8]) -> Self;

    /// What is wrong with them, and where.
    fn wrong(&self) -> Option<(u64, String)>;
}

/// One usable chunk file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// Which part.
    pub(super) part: usize,
    /// Stored bytes of the coarse part.
    pub(super) coarse_size: u32,
    /// Stored bytes of the slice.
    pub(super) slice_size: u32,
}

/// A header with all that it says.
#[derive(Debug)]
struct Header<G> {
    version: u8,
    geometry: G,
    blocks: u32,
    block: u32,
    chunk: Chunk,
}

/// The usable chunks of one `B`, by number; more than one where somebody copied a chunk.
type ByNumber<T> = BTreeMap<u32, Vec<T>>;

/// The chunks that belong together.
#[derive(Debug)]
pub(super) struct Set<G> {
    parts: Box<dyn Parts>,
    version: u8,
    /// What they agree on.
    pub(super) geometry: G,
    /// `B`.
    pub(super) blocks: u32,
    /// The chunks that are there.
    pub(super) chunks: ByNumber<Chunk>,
    /// What is wrong with chunk files that cannot be used.
    unusable: Vec<String>,
}

impl<G: Geometry> Set<G> {
    /// Reads the headers of all parts that are chunks of this kind and finds the set among them.
    ///
    /// # Errors
    /// [`ForeignError::Format`], [`ForeignError::Unsupported`] or [`ForeignError::Io`] where there is no usable
    /// chunk, [`ForeignError::Mixed`] where it cannot be told which ones belong together.
    pub(super) fn open(parts: Box<dyn Parts>) -> Result<Self, ForeignError> {
        let mut sets: BTreeMap<u32, ByNumber<Header<G>>> = BTreeMap::new();
        let mut unusable = Vec::new();
        let mut first = None;
        for part in 0..parts.count() {
            match header::<G>(&*parts, part) {
                Ok(None) => {}
                Err(e @ ForeignError::Mixed(_)) => return Err(e),
                Ok(Some(header)) => {
                    let set = sets.entry(header.blocks).or_default();
                    set.entry(header.block).or_default().push(header);
                }
                // A part that cannot be read is one that is not there.
                Err(e) => {
                    unusable.push(match &e {
                        ForeignError::Io(e) => format!("{}: {e}", parts.name(part)),
                        e => e.to_string(),
                    });
                    match (&first, &e) {
                        (None, _) | (Some(_), ForeignError::Unsupported { .. }) => first = Some(e),
                        _ => {}
                    }
                }
            }
        }
        let chosen = choose(&sets)?;
        let Some((blocks, set)) = chosen.and_then(|blocks| sets.remove_entry(&blocks)) else {
            let none = ForeignError::Damaged("no chunk is there".to_owned());
            return Err(first.unwrap_or(none));
        };
        let (version, geometry) = agreed(&*parts, set.values().flatten())?;
        // Where some are missing because an encoder of another version has written over them, the rest means nothing.
        let whole = u32::try_from(set.len()).is_ok_and(|have| have == blocks);
        if let (false, Some(e @ ForeignError::Unsupported { .. })) = (whole, first) {
            return Err(e);
        }
        let chunks = |headers: Vec<Header<G>>| headers.into_iter().map(|h| h.chunk).collect();
        Ok(Self {
            parts,
            version,
            geometry,
            blocks,
            chunks: set.into_iter().map(|(b, h)| (b, chunks(h))).collect(),
            unusable,
        })
    }

    /// How many chunks there are and should be; `need` of them for every byte.
    pub(super) fn count(&self) -> Chunks {
        Chunks {
            have: u32::try_from(self.chunks.len()).unwrap_or(u32::MAX),
            need: self.blocks,
            total: self.blocks,
        }
    }

    /// Whether every chunk is there.
    pub(super) fn is_whole(&self) -> bool {
        self.count().have == self.blocks
    }

    /// Which chunks are missing, in words.
    pub(super) fn missing(&self) -> String {
        let have = self.chunks.len();
        let missing = (0..self.blocks).filter(|b| !self.chunks.contains_key(b));
        let names: Vec<_> = missing.take(NAMED).map(|b| b.to_string()).collect();
        let more = u64::from(self.blocks) - have as u64 > NAMED as u64;
        let unusable: Vec<_> = self.unusable.iter().take(NAMED).cloned().collect();
        format!(
            "{have} of {} chunks: without {}{}{}{}",
            self.blocks,
            names.join(", "),
            if more { ", ..." } else { "" },
            if unusable.is_empty() { "" } else { "; " },
            unusable.join("; "),
        )
    }

    /// The coarse part: each chunk holds it, so a damaged copy does not matter, but two good ones must agree.
    /// `longest`: stored bytes beyond which a copy is not read. `decode` gives `None` for a damaged copy.
    pub(super) fn coarse<T: PartialEq>(
        &self,
        longest: u64,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, ForeignError> {
        let mut seen: Vec<Digest> = Vec::new();
        let mut good: Option<(usize, T)> = None;
        for chunk in self.chunks.values().flatten() {
            if u64::from(chunk.coarse_size) > longest {
                continue;
            }
            let Ok(blob) = self.blob(chunk, G::HEADER as u64, chunk.coarse_size) else {
                continue;
            };
            let digest = Digest::of(&blob);
            if seen.contains(&digest) {
                continue;
            }
            if seen.len() == COPIES {
                let what = format!("more than {COPIES} different copies of the {}", G::COARSE);
                return Err(ForeignError::Mixed(what));
            }
            seen.push(digest);
            match (&good, decode(&blob)) {
                (None, Some(copy)) => good = Some((chunk.part, copy)),
                (Some((part, known)), Some(copy)) if copy != *known => {
                    return Err(ForeignError::Mixed(format!(
                        "{} and {} are of different files",
                        self.parts.name(*part),
                        self.parts.name(chunk.part)
                    )));
                }
                _ => {}
            }
        }
        good.map(|(_, coarse)| coarse)
            .ok_or_else(|| ForeignError::Damaged(format!("no chunk has a good {}", G::COARSE)))
    }

    /// The slice with this number, `length` bytes, from the copies of its chunk.
    ///
    /// # Errors
    /// [`ForeignError::Damaged`], [`ForeignError::Format`] or [`ForeignError::Io`] where no copy is good,
    /// [`ForeignError::Mixed`] where two good ones differ.
    pub(super) fn slice(&self, block: u32, length: u64) -> Result<Vec<u8>, ForeignError> {
        let copies = self.chunks.get(&block).map_or(&[][..], Vec::as_slice);
        let mut good: Option<Vec<u8>> = None;
        let mut failed = None;
        for chunk in copies {
            let offset = G::HEADER as u64 + u64::from(chunk.coarse_size);
            let blob = self
                .plausible(chunk, chunk.slice_size, length, G::HEADER - 4)
                .and_then(|()| Ok(self.blob(chunk, offset, chunk.slice_size)?));
            let blob = match blob {
                Ok(blob) => blob,
                Err(e) => {
                    failed = Some(e);
                    continue;
                }
            };
            match (&good, inflate(&blob, usize_of(length))) {
                (None, Some(slice)) => good = Some(slice),
                (Some(known), Some(slice)) if slice != *known => {
                    return Err(ForeignError::Mixed(format!("two different chunks {block}")));
                }
                _ => {}
            }
        }
        match (good, failed) {
            (Some(slice), _) => Ok(slice),
            (None, Some(e)) => Err(e),
            (None, None) => {
                let names: Vec<_> = copies.iter().map(|c| self.parts.name(c.part)).collect();
                Err(ForeignError::Damaged(format!(
                    "{}: damaged data of chunk {block}",
                    names.join(", ")
                )))
            }
        }
    }

    /// Hands on all good slices of `n` elements of so many bytes; the result says what is missing.
    ///
    /// # Errors
    /// [`ForeignError::Mixed`] where two good copies of a slice differ.
    pub(super) fn slices(
        &self,
        n: u64,
        bytes: u64,
        each: &mut dyn FnMut(u32, Vec<u8>),
    ) -> Result<Quality, ForeignError> {
        let mut damaged = Vec::new();
        for block in self.chunks.keys() {
            let length = bytes * self.slice_length(n, *block);
            match self.slice(*block, length) {
                Ok(slice) => each(*block, slice),
                Err(e @ ForeignError::Mixed(_)) => return Err(e),
                Err(ForeignError::Io(e)) => damaged.push(format!("chunk {block}: {e}")),
                Err(e) => damaged.push(e.to_string()),
            }
        }
        let missing = (!self.is_whole()).then(|| self.missing());
        let more = damaged.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("{more} more damaged chunks"));
        let notes = damaged.into_iter().take(NAMED);
        let notes: Vec<_> = missing.into_iter().chain(notes).chain(more).collect();
        Ok(if notes.is_empty() {
            Quality::Exact
        } else {
            Quality::Degraded(notes.join("; "))
        })
    }

    /// Elements of slice `block` of `n` elements.
    pub(super) fn slice_length(&self, n: u64, block: u32) -> u64 {
        n.saturating_sub(u64::from(block))
            .div_ceil(u64::from(self.blocks))
    }

    /// Where the elements of slice `block` belong among `n`, in the order of the slice.
    pub(super) fn places(&self, n: u64, block: u32) -> impl Iterator<Item = usize> {
        let mixed = self.version > 1 && self.blocks > 1;
        let stride = if mixed { step(n) } else { 1 };
        let modulus = n.max(1);
        let advance = u64::from(self.blocks) * stride % modulus;
        let mut at = u64::from(block) * stride % modulus;
        std::iter::repeat_with(move || {
            let place = usize_of(at);
            at = (at + advance) % modulus;
            place
        })
        .take(usize_of(self.slice_length(n, block)))
    }

    /// Refuses stored lengths that no zlib stream of `length` bytes has, before anything of that length is allocated.
    /// `field` is where the length stands.
    pub(super) fn plausible(
        &self,
        chunk: &Chunk,
        stored: u32,
        length: u64,
        field: usize,
    ) -> Result<(), ForeignError> {
        let stored = u64::from(stored);
        if stored > longest(length) || length > stored.saturating_mul(EXPANSION) {
            return Err(ForeignError::Format {
                name: self.parts.name(chunk.part),
                offset: field as u64,
                what: format!("{stored} stored bytes for {length}"),
            });
        }
        Ok(())
    }

    /// Bytes of a chunk file; the header was checked, so that they are there.
    fn blob(&self, chunk: &Chunk, offset: u64, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize_of(u64::from(length))];
        self.parts.read_at(chunk.part, offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// The longest zlib stream of `length` bytes: stored blocks cost 5 bytes in up to 64 KiB, zlib 6 bytes; encoders
/// with small blocks need more.
pub(super) fn longest(length: u64) -> u64 {
    length.saturating_add(length / 64 + 1024)
}

/// The `B` of the set that is meant: the complete one, else the smallest, where all other chunks can be stale to it.
fn choose<T>(sets: &BTreeMap<u32, ByNumber<T>>) -> Result<Option<u32>, ForeignError> {
    let complete = |(blocks, set): &(&u32, &ByNumber<T>)| {
        u32::try_from(set.len()).is_ok_and(|have| have == **blocks)
    };
    let whole: Vec<u32> = sets.iter().filter(complete).map(|(b, _)| *b).collect();
    match *whole {
        [blocks] => return Ok(Some(blocks)),
        [one, other, ..] => {
            let what = format!("two complete sets, of {one} and of {other} chunks");
            return Err(ForeignError::Mixed(what));
        }
        [] => {}
    }
    let mut rest = sets.iter();
    let Some((smallest, _)) = rest.next() else {
        return Ok(None);
    };
    for (blocks, set) in rest {
        if set.keys().next().is_some_and(|block| block < smallest) {
            return Err(ForeignError::Mixed(format!(
                "chunks of two sets, of {smallest} and of {blocks} chunks, neither of them complete"
            )));
        }
    }
    Ok(Some(*smallest))
}

/// Version and geometry that all chunks share.
fn agreed<'a, G: Geometry + 'a>(
    parts: &dyn Parts,
    mut chunks: impl Iterator<Item = &'a Header<G>>,
) -> Result<(u8, G), ForeignError> {
    let Some(first) = chunks.next() else {
        return Err(ForeignError::Damaged("no chunk is there".to_owned()));
    };
    let same = |h: &&Header<G>| (h.version, h.geometry) == (first.version, first.geometry);
    match chunks.find(|header| !same(header)) {
        None => Ok((first.version, first.geometry)),
        Some(other) => Err(ForeignError::Mixed(format!(
            "{} and {} are of different files or versions",
            parts.name(first.chunk.part),
            parts.name(other.chunk.part)
        ))),
    }
}

/// The header of a part; `None` where it is no chunk of this kind.
fn header<G: Geometry>(parts: &dyn Parts, part: usize) -> Result<Option<Header<G>>, ForeignError> {
    let size = parts.size(part);
    let mut bytes = [0; LONGEST];
    let bytes = bytes.split_at_mut(G::HEADER.min(LONGEST)).0;
    let there = usize::try_from(size).map_or(bytes.len(), |size| size.min(bytes.len()));
    parts.read_at(part, 0, bytes.split_at_mut(there).0)?;
    let Some(magic) = bytes.split_at(there).0.first_chunk::<4>() else {
        return Ok(None);
    };
    if magic != G::MAGIC {
        let what = || format!("{}: a chunk that holds something else", parts.name(part));
        return if MAGICS.contains(&magic) {
            Err(ForeignError::Mixed(what()))
        } else {
            Ok(None)
        };
    }
    let bad = |offset: usize, what: &str| {
        Err(ForeignError::Format {
            name: parts.name(part),
            offset: offset as u64,
            what: what.to_owned(),
        })
    };
    if there < bytes.len() {
        return bad(there, "the header ends");
    }
    let version = byte(bytes, 4);
    if version > NEWEST {
        return Err(ForeignError::Unsupported {
            name: parts.name(part),
            what: unsupported(*magic, version),
        });
    }
    if version == 0 {
        return bad(4, "version 0");
    }
    let geometry = G::read(bytes);
    let header = Header {
        version,
        geometry,
        blocks: word(bytes, G::BLOCKS),
        block: word(bytes, G::BLOCKS + 4),
        chunk: Chunk {
            part,
            coarse_size: word(bytes, G::HEADER - 8),
            slice_size: word(bytes, G::HEADER - 4),
        },
    };
    if header.block >= header.blocks {
        let what = "a chunk number beyond the number of chunks";
        return bad(G::BLOCKS + 4, what);
    }
    if let Some((offset, what)) = geometry.wrong() {
        let name = parts.name(part);
        return Err(ForeignError::Format { name, offset, what });
    }
    let chunk = &header.chunk;
    let stored = u64::from(chunk.coarse_size) + u64::from(chunk.slice_size);
    if G::HEADER as u64 + stored > size {
        return Err(ForeignError::Format {
            name: parts.name(part),
            offset: size,
            what: "the data end".to_owned(),
        });
    }
    Ok(Some(header))
}

/// Why chunks of a version that is not read are refused.
fn unsupported(magic: [u8; 4], version: u8) -> String {
    let kept = match (&magic, version) {
        (b"HOCH", 3) => ": it keeps a picture's cosine transform (DCT), always with loss",
        (b"HOAU", 3) => ": it keeps the Fourier transform (STFT) of sound, always with loss",
        _ => "",
    };
    format!("version {version} of Holo.Codec is not supported{kept}")
}

/// Whether this is the beginning of a chunk of version 3, which keeps a transform of a picture or of sound.
pub(super) fn is_transform(head: &[u8]) -> bool {
    let version = head.strip_prefix(b"HOCH").or(head.strip_prefix(b"HOAU"));
    version.is_some_and(|rest| rest.first() == Some(&3))
}

/// Why a set of such chunks is not read.
pub(super) fn refuse_transform(parts: &dyn Parts) -> ForeignError {
    for part in 0..parts.count() {
        let mut head = [0; 5];
        if parts.size(part) >= 5
            && parts.read_at(part, 0, &mut head).is_ok()
            && is_transform(&head)
            && let [magic @ .., version] = head
        {
            let (name, what) = (parts.name(part), unsupported(magic, version));
            return ForeignError::Unsupported { name, what };
        }
    }
    ForeignError::Damaged("no chunk is there".to_owned())
}

/// A byte of a header; 0 beyond its end.
pub(super) fn byte(header: &[u8], at: usize) -> u8 {
    header.get(at).copied().unwrap_or_default()
}

/// A big-endian word of a header; 0 beyond its end.
pub(super) fn word(header: &[u8], at: usize) -> u32 {
    let bytes = header.get(at..).and_then(|rest| rest.first_chunk::<4>());
    #[expect(clippy::big_endian_bytes, reason = "the format is big-endian")]
    u32::from_be_bytes(bytes.copied().unwrap_or_default())
}

/// The step of the permutation of `n` elements: about `n` times the golden ratio less one, coprime to `n`.
pub(super) fn step(n: u64) -> u64 {
    if n <= 1 {
        return 1;
    }
    let golden = f64::from_bits(0x3ff9_e377_9b97_f4a8) - 1.0;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the format truncates this product of doubles; n is at most 2^30"
    )]
    let start = ((golden * n as f64) as u64).max(1);
    (start..=start + 1024)
        .find(|step| gcd(*step, n) == 1)
        .unwrap_or(1)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The content of a zlib stream, where it is good and `length` bytes long.
pub(super) fn inflate(stream: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    let limit = length as u64 + 1;
    let read = ZlibDecoder::new(stream).take(limit).read_to_end(&mut bytes);
    (read.is_ok() && bytes.len() == length).then_some(bytes)
}

/// Zeros for content of this length.
pub(super) fn zeros(length: u64) -> Result<Vec<u8>, ForeignError> {
    let length = usize_of(length);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// A length for memory; on smaller machines than we know of, more than any allocation gives.
pub(super) fn usize_of(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
