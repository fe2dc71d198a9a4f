//! Deflate streams taken apart so that the very same bytes can be made again: content and a recipe.
//!
//! A deflate stream (RFC 1951) is one of very many encodings of its content. Almost all streams come from zlib, so a
//! *recipe* says: *this is what zlib does at that level*, followed by whatever is different. The predictor is
//! an own implementation of zlib's published algorithm (hash chains of three bytes, lazy evaluation, block limits,
//! tree construction; zlib 1.2 and 1.3 agree in all of it); at each token it says what zlib would do after everything
//! that came before, and an adaptive binary coder writes whether that is right. A stream that zlib wrote
//! with usual settings thus costs about 10 bytes and 6 for every 256 KiB of content; streams of other programs cost
//! 1-10 % of their length. Long contents are predicted in parts, on as many threads as there are processors when a
//! stream is made again, on one when it is taken apart.
//!
//! The same machinery compresses ([`compress`]).
//!
//! Limits: content and stream lengths are passed in by whoever knows the geometry; memory is about six times the
//! content to take it apart; to make it again about its size, and 3 MiB per thread. Work per byte of content is bounded by a
//! few times the longest chain that a recipe may ask for ([`params::MAX_CHAIN`]).

mod bits;
mod chains;
mod estimate;
mod header;
pub mod params;
mod parse;
mod parts;
mod predict;
mod recipe;
#[cfg(test)]
mod tests;
mod trees;
mod write;

use params::Params;

/// Why a stream cannot be taken apart, or a recipe not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes are missing.
    #[error("the deflate stream ends early")]
    End,
    /// Not deflate, or a recipe that does not fit its content; the text says what was met.
    #[error("not deflate: {0}")]
    Format(&'static str),
    /// More than the caller allows.
    #[error("too much {0} in a deflate stream")]
    Limit(&'static str),
}

/// A literal byte or a match, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token(u32);

impl Token {
    const fn literal(byte: u8) -> Self {
        Self(byte as u32)
    }

    /// A match of 3..=258 bytes, 1..=32768 back; `odd` for a length of 258 written as symbol 284 with 31 above it.
    const fn matching(length: u16, dist: u16, odd: bool) -> Self {
        Self(1 << 31 | (odd as u32) << 30 | (length as u32) << 16 | dist as u32)
    }

    const fn is_match(self) -> bool {
        self.0 >> 31 == 1
    }

    const fn is_odd(self) -> bool {
        self.0 >> 30 & 1 == 1
    }

    /// The byte of a literal.
    const fn byte(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// Bytes of content it stands for.
    const fn length(self) -> u16 {
        if self.is_match() {
            (self.0 >> 16 & 0x1ff) as u16
        } else {
            1
        }
    }

    /// Bytes back, of a match.
    const fn dist(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

/// The code lengths of a block and how they were sent (RFC 1951, section 3.2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    /// Literal/length symbols that were given a length; the rest of `lengths` is distances.
    litlens: usize,
    lengths: Vec<u8>,
    code_lengths: [u8; 19],
    /// Lengths of the code length code that were sent.
    sent: usize,
    ops: Vec<trees::Op>,
}

/// How a block is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Stored { length: u16, pad: u8 },
    Fixed,
    Dynamic(Box<Header>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    kind: Kind,
    last: bool,
    tokens: Vec<Token>,
}

/// A stream taken apart.
#[derive(Debug, Clone)]
struct Stream {
    plain: Vec<u8>,
    blocks: Vec<Block>,
    /// The bits after the last block, in its last byte.
    pad: u8,
    /// Bytes of the stream.
    used: usize,
}

/// Most bytes of content.
const MAX_PLAIN: usize = (1 << 31) - 1;

/// A stream as content and recipe.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// What the stream decompresses to.
    pub plain: Vec<u8>,
    /// What [`recreate`] needs besides the content.
    pub recipe: Vec<u8>,
    /// Bytes that the stream takes; others may follow it.
    pub used: usize,
}

/// Takes a raw deflate stream apart. `limit`: most bytes of content, at most 2^31 - 1. `window`: the window size that the container
/// announces, in bytes (1 << 15 if it does not).
///
/// # Errors
/// [`Error`]; also when the recipe would not give the stream back.
pub fn analyse(bytes: &[u8], limit: usize, window: u32) -> Result<Analysis, Error> {
    let stream = parse::parse(bytes, limit.min(MAX_PLAIN))?;
    let params = estimate::estimate(&stream, window);
    let recipe = recipe::write(&stream, &params)?;
    Ok(Analysis {
        plain: stream.plain,
        recipe,
        used: stream.used,
    })
}

/// Decompresses only. `limit`: most bytes of content. Returns the content and the bytes that the stream takes.
///
/// # Errors
/// [`Error`].
pub fn inflate(bytes: &[u8], limit: usize) -> Result<(Vec<u8>, usize), Error> {
    let stream = parse::parse(bytes, limit)?;
    Ok((stream.plain, stream.used))
}

/// The stream that [`analyse`] took apart. `limit`: most bytes of the stream.
///
/// # Errors
/// [`Error`] when the recipe is not one for this content.
pub fn recreate(plain: &[u8], recipe: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    if plain.len() > MAX_PLAIN {
        return Err(Error::Limit("content"));
    }
    recipe::read(plain, recipe, limit)
}

/// Compresses as zlib does at a level 1..=9.
#[must_use]
pub fn compress(plain: &[u8], level: usize) -> Vec<u8> {
    recipe::compress(plain, &Params::level(level))
}
