//! Goes through a file once and leaves out what repeats: what was found there before holds again.
//!
//! Whatever counts lines is in one and the same state at every line's start. So it is enough to remember what had been
//! counted at some line starts (*marks*). Where the bytes from `o` on equal those from `e` on, with marks at `p` and `q`
//! among the latter, the bytes between `o + (p - e)` and `o + (q - e)` add what those between `p` and `q` did, and need
//! not be read.
//!
//! ```text
//!        e   p           q              o   o+p-e       o+q-e
//! -------|===|===========|==|-----------|===|-----------|==|----
//!            ^ sums      ^ sums         read  left out   read
//! ```

use super::source::{Source, fill, piece_end};
use crate::store::Result;

/// Bytes between two marks at first.
const EVERY: u64 = 4 << 10;
/// Most marks; when there are more, every second one goes.
const MOST: usize = 1 << 16;
/// Marks that must lie in what is left out: less is read faster than looked up.
const WORTH: u64 = 4;
/// Bytes read at a time where something repeats, so that the next repeat is not read by the way.
const STEP: u64 = 64 << 10;
/// Repeats of repeats that are followed.
const STEPS: usize = 8;

/// What has been counted.
pub(super) type Sums = [u64; 3];

/// What goes through the bytes of a file.
pub(super) trait Pass {
    /// Takes the next bytes, at `offset`. Says whether to go on.
    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<bool>;
    /// What has been counted so far.
    fn sums(&self) -> Sums;
    /// At a line's start: counts as much as bytes before did that added `sums`, if that is all that is wanted of them.
    fn again(&mut self, sums: Sums) -> bool;
}

/// What had been counted at a line's start.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: u64,
    sums: Sums,
}

/// Marks in ascending order.
#[derive(Debug)]
struct Marks {
    every: u64,
    marks: Vec<Mark>,
}

impl Marks {
    fn note(&mut self, at: u64, sums: Sums) {
        if self.marks.last().is_some_and(|last| last.at >= at) {
            return;
        }
        if self.marks.len() >= MOST {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.every *= 2;
        }
        self.marks.push(Mark { at, sums });
    }

    /// The first mark at or after `from` and the last one up to `to`, if they are worth it.
    fn between(&self, from: u64, to: u64) -> Option<(Mark, Mark)> {
        let first = self.marks.partition_point(|mark| mark.at < from);
        let end = self.marks.partition_point(|mark| mark.at <= to);
        let (first, last) = (self.marks.get(first)?, self.marks.get(end.checked_sub(1)?)?);
        (last.at >= first.at.saturating_add(WORTH * self.every)).then_some((*first, *last))
    }
}

/// What can be left out: from where to where, and what it counts.
#[derive(Debug)]
struct Jump {
    from: u64,
    to: u64,
    sums: Sums,
}

/// What can be left out of a repeat that begins at `at`, which is a line's start or not.
fn jump(
    source: &dyn Source,
    marks: &Marks,
    at: u64,
    line_start: bool,
    repeat: (u64, u64),
) -> Result<Option<Jump>> {
    let (mut earlier, mut length) = repeat;
    for _ in 0..STEPS {
        if earlier >= at || length < WORTH * marks.every {
            return Ok(None);
        }
        let after = earlier + u64::from(!line_start);
        // Overlapping itself, as a run does, a repeat reaches into what has not been counted yet.
        let to = earlier.saturating_add(length).min(at);
        if let Some((p, q)) = marks.between(after, to) {
            let [p0, p1, p2] = p.sums;
            let [q0, q1, q2] = q.sums;
            return Ok(Some(Jump {
                from: at + (p.at - earlier),
                to: at + (q.at - earlier),
                sums: [q0 - p0, q1 - p1, q2 - p2],
            }));
        }
        match source.earlier(earlier)? {
            Some((before, known)) if before < earlier => {
                (earlier, length) = (before, length.min(known));
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Goes through a file.
pub(super) fn pass(source: &dyn Source, pass: &mut dyn Pass) -> Result<()> {
    let size = source.size();
    let mut reading = Reading {
        source,
        pass,
        marks: Marks {
            every: EVERY,
            marks: Vec::new(),
        },
        at: 0,
        line_start: true,
        step: u64::MAX,
        buf: Vec::new(),
    };
    while reading.at < size {
        let at = reading.at;
        if reading.line_start {
            reading.marks.note(at, reading.pass.sums());
        }
        let Some(repeat) = source.earlier(at)? else {
            if !reading.read(size)? {
                break;
            }
            continue;
        };
        reading.step = STEP;
        let end = size.min(at.saturating_add(repeat.1.max(1)));
        let Some(jump) = jump(source, &reading.marks, at, reading.line_start, repeat)? else {
            if !reading.read(end)? {
                break;
            }
            continue;
        };
        while reading.at < jump.from {
            if !reading.read(jump.from)? {
                return Ok(());
            }
        }
        reading.marks.note(reading.at, reading.pass.sums());
        let left_out = reading.pass.again(jump.sums);
        // What is to be shown has to be read.
        let rest = if left_out { end } else { jump.to };
        if left_out {
            reading.at = jump.to;
            reading.marks.note(reading.at, reading.pass.sums());
        }
        while reading.at < rest {
            if !reading.read(rest)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A way through a file.
struct Reading<'r> {
    source: &'r dyn Source,
    pass: &'r mut dyn Pass,
    marks: Marks,
    at: u64,
    line_start: bool,
    /// Most bytes read at a time.
    step: u64,
    buf: Vec<u8>,
}

impl Reading<'_> {
    /// Reads and hands on some bytes before `to`. Says whether to go on.
    fn read(&mut self, to: u64) -> Result<bool> {
        let to = to.min(self.at.saturating_add(self.step));
        let end = piece_end(self.source, self.at, to);
        fill(self.source, self.at, end, &mut self.buf)?;
        let (pass, marks) = (&mut *self.pass, &mut self.marks);
        let go_on = slices(&self.buf, self.at, pass, marks)?;
        self.line_start = self.buf.last() == Some(&b'\n');
        self.at = end;
        Ok(go_on)
    }
}

/// Hands on what was read at `at`, and makes marks.
fn slices(mut bytes: &[u8], mut at: u64, pass: &mut dyn Pass, marks: &mut Marks) -> Result<bool> {
    while !bytes.is_empty() {
        let every = usize::try_from(marks.every).unwrap_or(usize::MAX);
        let ended = bytes
            .get(every..)
            .and_then(|rest| memchr::memchr(b'\n', rest));
        let length = ended.map_or(bytes.len(), |end| every + end + 1);
        let (slice, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        if !pass.take(at, slice)? {
            return Ok(false);
        }
        at += slice.len() as u64;
        bytes = rest;
        if ended.is_some() {
            marks.note(at, pass.sums());
        }
    }
    Ok(true)
}

#[cfg(test)]
pub(in crate::cli) mod testing;
