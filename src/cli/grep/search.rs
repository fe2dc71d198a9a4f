//! Goes through a file's lines and finds those that match.

use memchr::{memchr, memchr_iter, memrchr};

use super::pattern::{At, Pattern};
use crate::cli::repeats::{Pass, Sums};
use crate::store::{Error, Result};

/// Most bytes of a line that are kept to be shown.
pub(super) const SHOWN: usize = 64 << 10;

/// A line that matches.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// Its first bytes, at most [`SHOWN`], without its end.
    pub(super) text: &'a [u8],
    /// Bytes that are not shown.
    pub(super) more: u64,
    /// Whether there is a NUL in the file up to its end.
    pub(super) binary: bool,
}

/// What is wanted of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whether a line matches.
    Any,
    /// How many lines match.
    Count,
    /// The lines that match.
    Lines,
}

/// Called with each line; says whether to go on.
pub(super) type Show<'s> = &'s mut dyn FnMut(&Line<'_>) -> bool;

/// A search through one file.
pub(super) struct Search<'s> {
    pattern: &'s mut Pattern,
    wanted: Wanted,
    show: Show<'s>,
    /// Lines that have ended.
    lines: u64,
    /// Those of them that match.
    pub(super) matched: u64,
    /// The line that has begun; `None` at a line's start.
    begun: Option<Begun>,
    binary: bool,
}

/// A line that has begun.
struct Begun {
    at: At,
    offset: u64,
    text: Vec<u8>,
    length: u64,
}

impl<'s> Search<'s> {
    /// `binary`: the file is known to be no text.
    pub(super) fn new(
        pattern: &'s mut Pattern,
        wanted: Wanted,
        binary: bool,
        show: Show<'s>,
    ) -> Self {
        Self {
            pattern,
            wanted,
            show,
            lines: 0,
            matched: 0,
            begun: None,
            binary,
        }
    }

    /// After the file's last byte.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.begun.is_some() {
            self.line_ends()?;
        }
        Ok(())
    }

    /// Bytes that are all of one kind: without a NUL, or in a file that is no text.
    fn search(&mut self, mut at: u64, mut bytes: &[u8]) -> Result<bool> {
        while !bytes.is_empty() {
            if self.begun.is_none() {
                let hopeless = self.pattern.hopeless(bytes);
                let (passed, rest) = bytes.split_at_checked(hopeless).unwrap_or((&[], bytes));
                self.lines += memchr_iter(b'\n', passed).count() as u64;
                at += passed.len() as u64;
                bytes = rest;
                if bytes.is_empty() {
                    break;
                }
            }
            let end = memchr(b'\n', bytes);
            let (line, rest) = bytes
                .split_at_checked(end.unwrap_or(bytes.len()))
                .unwrap_or((bytes, &[]));
            self.line_goes_on(at, line)?;
            at += line.len() as u64;
            bytes = rest;
            if let Some((_, rest)) = bytes.split_first() {
                at += 1;
                bytes = rest;
                if !self.line_ends()? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn line_goes_on(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => Begun {
                at: self.pattern.start().map_err(too_much)?,
                offset: at,
                text: Vec::new(),
                length: 0,
            },
        };
        begun.at = self.pattern.on(begun.at, bytes).map_err(too_much)?;
        begun.length += bytes.len() as u64;
        if self.wanted == Wanted::Lines && begun.at != At::Dead {
            let room = SHOWN.saturating_sub(begun.text.len()).min(bytes.len());
            begun
                .text
                .extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
        self.begun = Some(begun);
        Ok(())
    }

    /// Says whether to go on.
    fn line_ends(&mut self) -> Result<bool> {
        self.lines += 1;
        let Some(begun) = self.begun.take() else {
            return Ok(true);
        };
        if !self.pattern.ends(begun.at).map_err(too_much)? {
            return Ok(true);
        }
        self.matched += 1;
        match self.wanted {
            Wanted::Any => Ok(false),
            Wanted::Count => Ok(true),
            Wanted::Lines => Ok((self.show)(&Line {
                number: self.lines,
                offset: begun.offset,
                more: begun.length.saturating_sub(begun.text.len() as u64),
                text: &begun.text,
                binary: self.binary,
            })),
        }
    }
}

impl Pass for Search<'_> {
    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<bool> {
        if self.binary || self.wanted != Wanted::Lines {
            return self.search(offset, bytes);
        }
        let Some(nul) = memchr(0, bytes) else {
            return self.search(offset, bytes);
        };
        // The lines before that of the first NUL are text.
        let (before, _) = bytes.split_at_checked(nul).unwrap_or((bytes, &[]));
        let text = memrchr(b'\n', before).map_or(0, |end| end + 1);
        let (text, rest) = bytes.split_at_checked(text).unwrap_or((&[], bytes));
        if !self.search(offset, text)? {
            return Ok(false);
        }
        self.binary = true;
        self.search(offset + text.len() as u64, rest)
    }

    fn sums(&self) -> Sums {
        [self.lines, self.matched, 0]
    }

    fn again(&mut self, [lines, matched, _]: Sums) -> bool {
        let wanted = matched == 0 || self.wanted != Wanted::Lines;
        if wanted {
            self.lines += lines;
            self.matched += matched;
        }
        wanted
    }
}

/// The automaton has no room; its limits make that a matter of the expression, not of the file.
fn too_much(what: String) -> Error {
    Error::Io(std::io::Error::other(what))
}

#[cfg(test)]
mod tests;
