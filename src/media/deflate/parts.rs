//! Tokens in parts that are predicted apart, so that several threads can make a stream again.
//!
//! What zlib's lazy evaluation does next depends on the content and on the place alone, if that comes after a match:
//! all positions before it are in the chains, and nothing is pending. So the tokens of a long content are cut after a
//! match about every [`PART`] bytes, and each part has its own models and its own stream.

use std::collections::VecDeque;
use std::num::NonZero;

use super::params::{Method, Params};
use super::predict::Predictor;
use super::recipe::TokenModels;
use super::{Block, Error, Kind, Stream, Token};
use crate::coding::binary::{Coder, Decoder, Encoder, Number};

/// Bytes of content that are worth a part of their own.
const PART: usize = 1 << 18;
/// Fewest bytes of a part that is followed by another; each has to enter a window before it begins.
const LEAST: usize = 1 << 16;

/// A part of a content: its bytes, from the first to the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    start: usize,
    end: usize,
}

/// Cuts the tokens of a stream; one part where they cannot be cut, or are not worth it.
fn cut(stream: &Stream, params: &Params) -> Vec<Part> {
    let length = stream.plain.len();
    let mut parts = Vec::new();
    let mut start = 0;
    let stored = |block: &Block| matches!(block.kind, Kind::Stored { .. });
    if is_cut(params) && !stream.blocks.iter().any(stored) {
        let step = length / (length / PART).max(1);
        let mut at = 0;
        for token in stream.blocks.iter().flat_map(|block| &block.tokens) {
            at += usize::from(token.length());
            if token.is_match() && at >= start + step && length - at >= LEAST {
                parts.push(Part { start, end: at });
                start = at;
            }
        }
    }
    parts.push(Part { start, end: length });
    parts
}

/// Whether everything before a place enters the chains, whatever the tokens are.
fn is_cut(params: &Params) -> bool {
    matches!(params.method, Method::Lazy | Method::Weighed)
}

/// Writes how the tokens are cut, and their streams apart; none where they are not.
pub(super) fn write(
    coder: &mut impl Coder,
    stream: &Stream,
    params: &Params,
) -> Result<Option<Vec<u8>>, Error> {
    if !is_cut(params) {
        return Ok(None);
    }
    let parts = cut(stream, params);
    let mut streams: Vec<Vec<u8>> = Vec::new();
    if parts.len() > 1 {
        let mut tokens = stream.blocks.iter().flat_map(|block| &block.tokens);
        for part in &parts {
            let mut own = Encoder::new();
            let given = || tokens.next().copied();
            part.code(&mut own, &stream.plain, params, Some(given))?;
            streams.push(own.finish());
        }
    }
    let mut number = Number::new();
    let mut put = |value: usize| {
        let value = u32::try_from(value).map_err(|_| Error::Limit("content"))?;
        Ok(number.code(coder, value))
    };
    put(streams.len())?;
    for (part, stream) in parts.iter().zip(&streams) {
        put(part.end - part.start)?;
        put(stream.len())?;
    }
    Ok(Some(streams.concat()).filter(|_| parts.len() > 1))
}

/// The parts of a content whose tokens are still to be read.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    plain: &'a [u8],
    params: Params,
    rest: VecDeque<(Part, &'a [u8])>,
    ready: VecDeque<Token>,
}

impl<'a> Parts<'a> {
    /// Reads how tokens are cut whose streams are `bytes`; none where they are not cut.
    pub(super) fn read(
        coder: &mut impl Coder,
        plain: &'a [u8],
        params: &Params,
        mut bytes: &'a [u8],
    ) -> Result<Option<Self>, Error> {
        if !is_cut(params) {
            return Ok(None);
        }
        let wrong = Error::Format("parts of another content");
        let mut number = Number::new();
        let mut get = || number.code(coder, 0) as usize;
        let count = get();
        if count == 0 {
            return Ok(None);
        }
        let mut parts = VecDeque::new();
        let mut start = 0;
        for index in 0..count {
            let (length, stream) = (get(), get());
            let end = start + length;
            let last = index + 1 == count;
            if end > plain.len() || (last && end < plain.len()) || (!last && length < LEAST) {
                return Err(wrong);
            }
            let (own, rest) = bytes.split_at_checked(stream).ok_or(wrong)?;
            parts.push_back((Part { start, end }, own));
            (start, bytes) = (end, rest);
        }
        Ok(Some(Self {
            plain,
            params: *params,
            rest: parts,
            ready: VecDeque::new(),
        }))
    }

    /// The next tokens, up to `limit` of them; fewer at the end.
    pub(super) fn take(&mut self, limit: usize) -> Result<Vec<Token>, Error> {
        while self.ready.len() < limit && !self.rest.is_empty() {
            self.round()?;
        }
        let count = limit.min(self.ready.len());
        Ok(self.ready.drain(..count).collect())
    }

    /// Reads as many parts as there are processors.
    fn round(&mut self) -> Result<(), Error> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let count = threads.min(self.rest.len());
        let mut round = self.rest.drain(..count);
        let (plain, params) = (self.plain, &self.params);
        let read = move |(part, bytes): (Part, &[u8])| {
            let none = None::<fn() -> Option<Token>>;
            part.code(&mut Decoder::new(bytes), plain, params, none)
        };
        let own = round.next();
        let done: Vec<Result<Vec<Token>, Error>> = std::thread::scope(|scope| {
            let others: Vec<_> = round.map(|part| scope.spawn(move || read(part))).collect();
            let own = own.map(read);
            let others = others.into_iter().map(|thread| {
                let failed = |_| Err(Error::Format("a part that failed"));
                thread.join().unwrap_or_else(failed)
            });
            own.into_iter().chain(others).collect()
        });
        for tokens in done {
            self.ready.extend(tokens?);
        }
        Ok(())
    }
}

impl Part {
    /// Codes the tokens of a part.
    fn code(
        &self,
        coder: &mut impl Coder,
        plain: &[u8],
        params: &Params,
        mut given: Option<impl FnMut() -> Option<Token>>,
    ) -> Result<Vec<Token>, Error> {
        let mut predictor = Predictor::new(plain, params, self.start);
        let mut models = TokenModels::new();
        let mut tokens = Vec::new();
        while predictor.at() < self.end {
            let token = given.as_mut().and_then(|next| next());
            tokens.push(models.code(coder, &mut predictor, plain, token)?);
        }
        if predictor.at() == self.end {
            Ok(tokens)
        } else {
            Err(Error::Format("a part that is too long"))
        }
    }
}
