//! The stream of a template, expanded piece by piece and no further than the limit.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use super::TEXT;
use crate::foreign::Parts;

/// Bytes read and expanded at a time.
const PIECE: usize = 64 << 10;

/// Whether a file that begins so is a template: a zlib stream of an object that begins with one of the keys.
pub(in crate::foreign) fn is_template(head: &[u8]) -> bool {
    let mut text = [0; 128];
    let mut inflate = Decompress::new(true);
    // Damage further on is found when the template is opened.
    let damaged = inflate.decompress(head, &mut text, FlushDecompress::None);
    let length = usize::try_from(inflate.total_out()).unwrap_or_default();
    let (Ok(_), Some(text)) = (damaged, text.get(..length)) else {
        return false;
    };
    let begins = |text: &[u8], words: &[&str]| {
        let rest = words.iter().try_fold(text, |text, word| {
            text.trim_ascii_start().strip_prefix(word.as_bytes())
        });
        rest.is_some()
    };
    let meta = ["\"chunk_size\"", "\"orig_file\"", "\"total_chunks\""];
    meta.iter()
        .any(|key| begins(text, &["{", "\"meta\"", ":", "{", key]))
        || begins(text, &["{", "\"dictionary\"", ":", "{"])
        || begins(text, &["{", "\"rules\"", ":", "{"])
        || begins(text, &["{", "\"sequence\"", ":", "\""])
}

/// How far the text was read, for errors.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes of the text that were taken.
    pub(super) taken: Cell<u64>,
    /// Bytes of the stream that were expanded.
    pub(super) stored: Cell<u64>,
    /// Whether the text is longer than the limit.
    pub(super) over: Cell<bool>,
}

/// The text, expanded piece by piece.
pub(super) struct Expanding<'a> {
    parts: &'a dyn Parts,
    progress: &'a Progress,
    inflate: Decompress,
    input: Box<[u8]>,
    /// What of the input is still to be expanded.
    left: Range<usize>,
    output: Box<[u8]>,
    /// What of the output is still to be taken.
    ready: Range<usize>,
    ended: bool,
}

impl<'a> Expanding<'a> {
    pub(super) fn new(parts: &'a dyn Parts, progress: &'a Progress) -> Self {
        Self {
            parts,
            progress,
            inflate: Decompress::new(true),
            input: vec![0; PIECE].into(),
            left: 0..0,
            output: vec![0; PIECE].into(),
            ready: 0..0,
            ended: false,
        }
    }

    /// Makes more output, or none where the stream has ended.
    fn fill(&mut self) -> io::Result<()> {
        self.ready = 0..0;
        while self.ready.is_empty() && !self.ended {
            let at = self.inflate.total_in();
            self.progress.stored.set(at);
            if self.left.is_empty() {
                let there = self.parts.size(0).saturating_sub(at);
                let length = usize::try_from(there).map_or(PIECE, |there| there.min(PIECE));
                let piece = self.input.get_mut(..length).unwrap_or_default();
                self.parts.read_at(0, at, piece)?;
                self.left = 0..length;
            }
            let made = self.inflate.total_out();
            let input = self.input.get(self.left.clone()).unwrap_or_default();
            let status = self
                .inflate
                .decompress(input, &mut self.output, FlushDecompress::None);
            self.ended = match status {
                Ok(status) => status == Status::StreamEnd,
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            };
            let read = usize::try_from(self.inflate.total_in() - at).unwrap_or(usize::MAX);
            let length = usize::try_from(self.inflate.total_out() - made).unwrap_or(usize::MAX);
            // There may be output left when there is no input any more.
            if read == 0 && length == 0 && !self.ended {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.left.start += read;
            self.ready = 0..length;
        }
        if self.inflate.total_out() > TEXT {
            self.progress.over.set(true);
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }
}

impl Read for Expanding<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        let ready = self.output.get(self.ready.clone()).unwrap_or_default();
        let n = buf.len().min(ready.len());
        // The parser asks for single bytes.
        for (to, from) in buf.iter_mut().zip(ready) {
            *to = *from;
        }
        self.ready.start += n;
        self.progress
            .taken
            .set(self.progress.taken.get() + n as u64);
        Ok(n)
    }
}
