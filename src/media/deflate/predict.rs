//! What zlib would write next after any tokens: the two evaluations of `deflate.c`.

use super::Token;
use super::chains::{Chains, Match, REACH};
use super::params::{MAX_CHAIN, Method, Params};

/// Predicts the tokens of `plain`.
#[derive(Clone)]
pub(super) struct Predictor<'a> {
    plain: &'a [u8],
    params: Params,
    chains: Chains,
    /// Where the next token begins.
    at: usize,
    /// The match at `at`, when the evaluation of the last token already looked for it.
    known: Option<Match>,
    /// The match at `at` + 1 that the last prediction found, where it found a longer one.
    ahead: Option<Match>,
}

impl<'a> Predictor<'a> {
    /// A predictor of a content of less than 2^31 bytes that goes on at byte `start`: at the beginning, or with a method
    /// that enters all positions after any match, as if it had come there by itself.
    pub(super) fn new(plain: &'a [u8], params: &Params, start: usize) -> Self {
        Self {
            plain,
            params: *params,
            chains: Chains::new(params, start.saturating_sub(REACH)),
            at: start,
            known: None,
            ahead: None,
        }
    }

    /// Goes back to the beginning with other settings.
    pub(super) fn restart(&mut self, params: &Params) {
        self.params = *params;
        self.chains.restart(params, 0);
        self.at = 0;
        self.known = None;
        self.ahead = None;
    }

    /// Becomes a copy of another predictor of the same content and settings, without taking memory.
    pub(super) fn copy(&mut self, other: &Self) {
        self.chains.clone_from(&other.chains);
        self.at = other.at;
        self.known = other.known;
        self.ahead = other.ahead;
    }

    /// Where the next token begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The token that comes next; there must be content left.
    pub(super) fn predict(&mut self) -> Token {
        self.ahead = None;
        let here = match self.params.method {
            Method::Stored | Method::Huffman => Match::default(),
            Method::Runs => self.run(),
            Method::Greedy => self.search(self.at, 2),
            Method::Weighed => {
                let here = match self.known.take() {
                    Some(known) => known,
                    None => self.search(self.at, 2),
                };
                self.known = Some(here);
                if here.length >= 3 && here.length < self.params.nice as usize {
                    let later = self.search(self.at + 1, here.length - 1);
                    if later.length >= here.length && weight(later, here) > 2 {
                        self.ahead = Some(later);
                        return self.literal();
                    }
                }
                here
            }
            Method::Lazy => {
                let here = match self.known.take() {
                    Some(known) => known,
                    None => self.search(self.at, 2),
                };
                // Kept, so that asking twice gives one answer.
                self.known = Some(here);
                if here.length >= 3 && here.length < self.params.lazy as usize {
                    let later = self.search(self.at + 1, here.length);
                    if later.length > here.length {
                        self.ahead = Some(later);
                        return self.literal();
                    }
                }
                here
            }
        };
        if here.length < 3 {
            return self.literal();
        }
        let (length, dist) = (u16::try_from(here.length), u16::try_from(here.dist));
        Token::matching(length.unwrap_or(3), dist.unwrap_or(1), false)
    }

    /// Whether the predicted literal gives way to a longer match at the next byte.
    pub(super) fn sees_longer(&self) -> bool {
        self.ahead.is_some()
    }

    /// Goes on past the token that really comes next.
    pub(super) fn accept(&mut self, token: Token) {
        let length = usize::from(token.length());
        self.known = if token.is_match() {
            None
        } else {
            self.ahead.take()
        };
        let start = self.at;
        self.at += length;
        let rest = self.plain.len().saturating_sub(self.at);
        let whole = match self.params.method {
            Method::Lazy | Method::Weighed => true,
            // zlib leaves the strings inside a long match out of the chains.
            Method::Greedy => length == 1 || (length <= self.params.lazy as usize && rest >= 3),
            _ => return,
        };
        if whole {
            self.chains.enter(self.plain, self.at);
        } else {
            self.chains.enter(self.plain, start + 1);
            self.chains.pass(self.at);
        }
    }

    /// Goes on past `length` bytes of which nothing else is known.
    pub(super) fn skip(&mut self, length: usize) {
        self.known = None;
        self.at += length;
        if self.params.searches() {
            self.chains.enter(self.plain, self.at);
        }
    }

    /// Goes on by as many of its own tokens as make a block, or where there are only stored blocks by as many bytes;
    /// returns the bytes.
    pub(super) fn fill(&mut self, block: usize) -> usize {
        let start = self.at;
        if self.params.method == Method::Stored {
            self.skip(block.min(self.plain.len().saturating_sub(start)));
            return self.at - start;
        }
        for _ in 0..block {
            if self.at >= self.plain.len() || self.at - start > usize::from(u16::MAX) {
                break;
            }
            let token = self.predict();
            self.accept(token);
        }
        self.at - start
    }

    /// The `rank`-th nearest match here that has `length` bytes or more, among the first [`Predictor::RANKS`].
    pub(super) fn ranked(&self, length: usize, rank: u32) -> Option<u16> {
        self.candidates(length).nth(rank as usize)
    }

    /// The rank of a match at this distance.
    pub(super) fn rank(&self, length: usize, dist: u16) -> Option<u32> {
        let at = self.candidates(length).position(|d| d == dist)?;
        u32::try_from(at).ok()
    }

    /// Ranks that are looked at.
    pub(super) const RANKS: usize = 256;

    fn candidates(&self, length: usize) -> impl Iterator<Item = u16> {
        let looks = 4 * MAX_CHAIN;
        let matches = self.chains.matches(self.plain, self.at, length, looks);
        matches.take(Self::RANKS)
    }

    fn literal(&self) -> Token {
        Token::literal(self.plain.get(self.at).copied().unwrap_or(0))
    }

    /// A repetition of the byte before.
    fn run(&self) -> Match {
        let Some(byte) = self.at.checked_sub(1).and_then(|b| self.plain.get(b)) else {
            return Match::default();
        };
        let rest = self.plain.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .take(super::chains::LONGEST)
            .take_while(|next| *next == byte)
            .count();
        Match { length, dist: 1 }
    }

    fn search(&mut self, at: usize, best: usize) -> Match {
        let chain = match self.params.method {
            Method::Weighed if best > 2 || at > self.at => self.params.chain >> 1,
            Method::Lazy if best >= self.params.good as usize => self.params.chain >> 2,
            _ => self.params.chain,
        };
        self.chains.search(self.plain, at, best, chain)
    }
}

/// How much better a match is than one a byte before it, as libdeflate weighs it.
fn weight(later: Match, here: Match) -> i64 {
    let bits = |m: Match| i64::from(m.dist.max(1).ilog2());
    let longer = later.length.saturating_sub(here.length);
    4 * i64::try_from(longer).unwrap_or(0) + bits(here) - bits(later)
}
