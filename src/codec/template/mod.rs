//! The template codec: files with repetition, any range of which is read without the rest.
//!
//! # Terms
//! Content that repeats is written down once: the *notes* are what the content shows for the first time, in its order, and
//! *extents* say which stretch of the notes each stretch of the content shows. Where little repeats there are no extents,
//! and the notes are the content. Notes are cut into *packs* of 64 MiB (effort `fast`: 32), the last one shorter; a pack into
//! *units* of [`UNIT`] bytes, each of which is decoded alone, with what its pack has learned: the *dictionary*. Units are
//! described in *groups* of [`GROUP`], the last of a pack with fewer.
//!
//! # The layer
//! There is one layer; integers are little-endian. *Proofs* are the first 8 bytes of a BLAKE3.
//!
//! ```text
//! pack 0       dictionary
//!              group 0: coded units without gaps, then their table
//!              group 1 ...
//! pack 1 ...   and blocks of extents before, between and after packs, in the order in which they are full
//! index        at the end
//! ```
//!
//! | bytes of entry `i` of a table | field |
//! |---|---|
//! | `0 .. 2` | u16: bytes of the coded unit, plus 2^15 where it was coded with targets of branches instead of distances |
//! | `2 .. 10` | proof of the unit |
//!
//! A coded unit of no bytes is all zeros, one as long as the unit is the unit itself, and others are coded as their pack says:
//!
//! | kind of pack | unit | dictionary |
//! |---|---|---|
//! | 0 raw | as it is | none |
//! | 1 zstd | zstd frame (RFC 8878) without its magic number | none, or a zstd frame of up to 112 KiB that come before each unit |
//! | 2 phrases | [`crate::coding::phrases`] | phrases and what follows what |
//! | 3 shared phrases | the same | none here: one that files share, by its number in the settings |
//! | 4 base | none, and no groups | none: the notes are a base, by its number in the settings, and zeros up to a whole unit |
//!
//! A *base* is what several files hold alike, kept as a content of its own; a reader asks for ranges of it by its id. Bases
//! come before all other packs, and there are extents then. Zeros after the end of a base are never shown.
//!
//! Blocks of extents are described in `extents`, branches with targets instead of distances in [`crate::coding::phrases::x86`],
//! for which a unit's position is that in its pack.
//!
//! | bytes of the index | field |
//! |---|---|
//! | `0 .. 12` | u32 each: packs `p`, groups `g`, blocks of extents `b` (0 where the content is the notes) |
//! | `12 .. 16` | 0 |
//! | 24 each, `p` of them | u64 length in the notes; u64 where the dictionary begins in the layer (kinds 3 and 4: its number), u32 its length (kinds 3 and 4: 0); u8 kind; 3 zeros |
//! | 20 each, `g` of them | u64 where the units begin in the layer; u32 their length, after which comes the table; proof of the table |
//! | 36 each, `b` of them | u64 where the block begins in the content; u64 notes shown before it; u64 where it begins in the layer, u32 its length; its proof |
//!
//! The settings are u64 where the index begins in the layer, which it ends, the first 16 bytes of its BLAKE3, and the ids of
//! shared dictionaries and bases, 32 bytes each and at most 8 of them.
//!
//! # What follows
//! * Opening reads the index: 6 KiB for 1 GiB of notes, 36 bytes more for each 512 extents. Everything else is read when
//!   it is needed.
//! * What is lost costs what it describes: a unit 16 KiB of notes and all content that shows them, a table 4 MiB, a dictionary
//!   its pack, a block of extents its own content, the index everything.
//! * Full packs of an earlier version of the content that hold the same notes are taken over as they are, if it is there;
//!   that they do is proved by reading them. They are what coding them anew would give, unless the effort is another.
//! * After an append, packs that were full before encode to the same bytes at the same places, and so do blocks of extents,
//!   as long as the answer to whether anything repeats is the same. The last pack and the index are new.
//! * What is lost of a base costs what shows it. Contents of up to 32 MiB are coded against bases of up to 32 MiB each, at
//!   most 4 at a time, all of which are in memory meanwhile; a reader of a base needs what a reader of any content does.
//! * Memory: the encoder holds a pack, what coding it takes (at most 8 bytes for each of its own), a table of chunks (32
//!   bytes per KiB of content, at most 64 MiB) and the index; a reader the index, dictionaries of 16 MiB, 1 MiB of blocks of
//!   extents, 0.5 MiB of tables, 256 KiB of units, and 0.5 MiB for each thread that reads.
//! * A few bytes of extents may describe any length of content; it is expanded only as far as it is read.
//! * The bytes depend on the content, the effort, the version of zstd, and on the dictionaries and bases given; on nothing
//!   else.

mod base;
mod based;
mod blocks;
mod chunks;
mod decode;
mod dedupe;
mod encode;
mod extents;
mod index;
mod notes;
mod pack;
mod previous;
mod recent;
mod reuse;
mod shared;
pub mod sketch;
#[cfg(test)]
mod tests;

use std::fmt;

use super::{Codec, CodecError, CodecId, Content, Decoder, Effort, Encoded, LayerSink, Request};
use crate::coding::hash::Digest;
use crate::coding::phrases;
use crate::format::Layers;

/// Bytes of notes that are coded together.
pub const UNIT: usize = phrases::UNIT;
/// Units that one table describes.
pub const GROUP: usize = 256;
/// Bytes of notes in the longest packs.
const PACK: u64 = 64 << 20;
/// Bytes of a table's entry.
const TABLE_ENTRY: usize = 10;
/// In a table: the unit was coded with targets of branches instead of distances.
const FILTERED: u16 = 1 << 15;

pub use base::{Base, Common};

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Template;

impl Codec for Template {
    fn id(&self) -> CodecId {
        CodecId(6)
    }

    fn name(&self) -> &'static str {
        "template"
    }

    fn encode(
        &self,
        content: &dyn Content,
        request: Request<'_>,
        sink: &mut dyn LayerSink,
    ) -> Result<Encoded, CodecError> {
        encode::encode(content, request, sink)
    }

    fn learn(
        &self,
        samples: &[u8],
        effort: Effort,
        cancelled: &dyn Fn() -> bool,
    ) -> Option<Vec<u8>> {
        let how = match effort {
            Effort::Fast | Effort::Normal => phrases::Effort::Fast,
            Effort::Archive => phrases::Effort::Full,
        };
        let learned = phrases::learn(samples, how, cancelled)?;
        Some(learned.dictionary.to_bytes())
    }

    fn dictionaries(&self, settings: &[u8]) -> Vec<Digest> {
        index::shared(settings).unwrap_or_default()
    }

    fn open<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Box<dyn Decoder + 'a>, CodecError> {
        Ok(Box::new(decode::Reader::open(settings, size, layers)?))
    }
}

/// The hash of bytes as it is kept beside them.
type Proof = [u8; 8];

fn proof(bytes: &[u8]) -> Proof {
    let Digest(
        [
            proof @ ..,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
        ],
    ) = Digest::of(bytes);
    proof
}

fn bad(what: fmt::Arguments<'_>) -> CodecError {
    CodecError::Format(format!("template: {what}"))
}
