//! The `stored` codec: segments of zstd or raw bytes, whichever is smaller; never declines.
//!
//! # Terms
//! The *content* of `size` bytes is cut into *segments* of [`SEGMENT`] bytes, the last one shorter. Segment `i` is
//! stored in one of three ways, told apart by the length of what is stored:
//!
//! | stored bytes | meaning |
//! |---|---|
//! | 0 | the segment is all zeros |
//! | as many as the segment has | the segment itself |
//! | fewer | one zstd frame (RFC 8878) that decodes to the segment; no dictionary |
//!
//! A frame is used only where it saves at least one byte in 64: reading raw bytes costs nothing.
//!
//! # The layer
//! There is one layer; integers are little-endian. With `n = ceil(size / SEGMENT)`:
//!
//! | bytes | field |
//! |---|---|
//! | `0 .. E` | what is stored of segment 0, of segment 1, ... of segment n-1, without gaps |
//! | `E .. E + 24 n` | the *index*, one entry per segment |
//!
//! | bytes of entry `i` | field |
//! |---|---|
//! | `0 .. 8` | u64: end in the layer of what is stored of segment `i`, which is where segment `i + 1` begins |
//! | `8 .. 24` | first 16 bytes of the BLAKE3 of the decoded segment |
//!
//! The settings in the descriptor are empty. `size` gives `n`, the layer's length and `n` give `E`, and the last
//! entry's end must be `E`: nothing else needs to be stored.
//!
//! # What follows
//! * A read decodes the segments it touches and nothing else, after one read of the index for every 170 segments.
//! * Every segment is proved by its hash. A damaged part of the layer costs the segments stored there, a damaged
//!   part of the index those it describes.
//! * Worked sizes: an empty file takes 0 bytes; 1,000 random bytes take 1,024 (the entry is 24); 1 MiB of zeros takes
//!   192 (8 entries); 1,000,000,000 random bytes take 1,000,183,120 (7,630 entries, 100.0183 %).
//! * Memory: the encoder holds three segments, a few MB of zstd tables, and the index, which
//!   is 24 bytes per segment (3 MiB for 16 GiB of content); a reader at most 0.7 MB for each thread that reads.
//! * The bytes depend on the content, the effort and the version of zstd, on nothing else.

mod decode;
mod encode;

use super::{Codec, CodecError, CodecId, Content, Decoder, Encoded, LayerSink, Request};
use crate::coding::hash::Digest;
use crate::format::Layers;

/// Bytes of content that are coded together.
pub const SEGMENT: usize = 128 << 10;
/// [`SEGMENT`] where offsets are counted.
const STEP: u64 = SEGMENT as u64;
/// Bytes of an index entry: end (8), hash (16).
const ENTRY: usize = 24;

/// The codec.
#[derive(Debug, Clone, Copy)]
pub struct Stored;

impl Codec for Stored {
    fn id(&self) -> CodecId {
        CodecId(1)
    }

    fn name(&self) -> &'static str {
        "stored"
    }

    fn encode(
        &self,
        content: &dyn Content,
        request: Request<'_>,
        sink: &mut dyn LayerSink,
    ) -> Result<Encoded, CodecError> {
        encode::encode(content, request.effort, sink)
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

/// The hash of a decoded segment as the index keeps it.
fn proof(segment: &[u8]) -> [u8; 16] {
    let [proof @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = Digest::of(segment).0;
    proof
}

#[cfg(test)]
mod tests;
