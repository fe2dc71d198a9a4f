//! Which lines of two files differ, in memory that does not grow with them.
//!
//! What both begin and end with is left out first. The rest of both is cut into pieces at lines that a checksum of their
//! own chooses, so that equal stretches are cut alike wherever they lie; a common subsequence of the pieces' hashes
//! leaves regions that are small, or are cut anew into smaller pieces, down to single lines. Regions of more lines
//! than there is room for, without a stretch in common, are gone through in windows, each from where the last agreed.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};
use memchr::{memchr, memchr_iter, memrchr};

use crate::cli::source::{Source, fill, piece_end, pieces};
use crate::store::Result;

/// A region is cut into about so many pieces.
const PIECES: u64 = 1 << 12;
/// Each cut of what is still large is so many times finer.
const FINER: u64 = 16;
/// Pieces on average not longer than this are lines.
const LINES: u64 = 256;
/// Most pieces of a region.
const MOST: usize = 1 << 16;
/// Lines of a window.
const WINDOW: usize = 1 << 14;
/// Bytes compared at a time from the end.
const BACK: u64 = 1 << 20;

/// Lines of a file, numbered from 0, and the bytes that they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) bytes: Range<u64>,
    pub(super) lines: Range<u64>,
}

impl Span {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn length(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }
}

/// Lines of one file in place of lines of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) a: Span,
    pub(super) b: Span,
}

/// Some whole lines.
#[derive(Debug)]
struct Piece {
    /// Of their bytes.
    hash: [u8; 16],
    /// Where they end.
    end: u64,
    /// The number of the line after them.
    lines: u64,
}

/// Where two files differ first; `None` where they do not.
pub(super) fn first_difference(a: &dyn Source, b: &dyn Source) -> Result<Option<u64>> {
    let prefix = prefix(a, b)?;
    let same = prefix.bytes == a.size() && prefix.bytes == b.size();
    Ok((!same).then_some(prefix.bytes))
}

/// What two files begin with.
struct Prefix {
    /// Bytes that are the same.
    bytes: u64,
    /// Whole lines of them, and where those end.
    lines: u64,
    lines_end: u64,
}

fn prefix(a: &dyn Source, b: &dyn Source) -> Result<Prefix> {
    let most = a.size().min(b.size());
    let mut found = Prefix {
        bytes: 0,
        lines: 0,
        lines_end: 0,
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    while found.bytes < most {
        let end = piece_end(a, found.bytes, most);
        fill(a, found.bytes, end, &mut ours)?;
        fill(b, found.bytes, end, &mut theirs)?;
        let equal = if ours == theirs {
            ours.len()
        } else {
            let pairs = ours.iter().zip(&theirs);
            pairs.take_while(|(x, y)| x == y).count()
        };
        let same = ours.get(..equal).unwrap_or_default();
        found.lines += memchr_iter(b'\n', same).count() as u64;
        if let Some(last) = memrchr(b'\n', same) {
            found.lines_end = found.bytes + last as u64 + 1;
        }
        found.bytes += equal as u64;
        if equal < ours.len() {
            break;
        }
    }
    Ok(found)
}

/// Bytes of whole lines that two files end with, at most `most`.
fn suffix(a: &dyn Source, b: &dyn Source, most: u64) -> Result<u64> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut same, mut whole) = (0, 0);
    while same < most {
        let length = BACK.min(most - same);
        let (a_end, b_end) = (a.size() - same, b.size() - same);
        fill(a, a_end - length, a_end, &mut ours)?;
        fill(b, b_end - length, b_end, &mut theirs)?;
        let pairs = ours.iter().rev().zip(theirs.iter().rev());
        let equal = pairs.take_while(|(x, y)| x == y).count();
        let tail = ours.get(ours.len() - equal..).unwrap_or_default();
        if let Some(first) = memchr(b'\n', tail) {
            whole = same + (tail.len() - first - 1) as u64;
        }
        same += equal as u64;
        if equal < ours.len() {
            break;
        }
    }
    Ok(whole)
}

/// Cuts lines into pieces of `average` bytes, or into single lines where that is 0: the first `most`, and whether those
/// are all.
fn cut(source: &dyn Source, span: &Span, average: u64, most: usize) -> Result<(Vec<Piece>, bool)> {
    let mut found = Vec::new();
    let mut piece = blake3::Hasher::new();
    let mut line = crc32fast::Hasher::new();
    let (mut begin, mut line_begin, mut lines) =
        (span.bytes.start, span.bytes.start, span.lines.start);
    let mut end_piece = |piece: &mut blake3::Hasher, end, lines| {
        let mut hash = [0; 16];
        piece.finalize_xof().fill(&mut hash);
        piece.reset();
        found.push(Piece { hash, end, lines });
        found.len() < most
    };
    let mut room = true;
    pieces(source, span.bytes.clone(), &mut |offset, bytes| {
        let mut done = 0; // bytes that are in `piece`
        let mut line_done = 0; // bytes that are in `line`
        for end in memchr_iter(b'\n', bytes) {
            let after = end + 1;
            let at = offset + after as u64;
            lines += 1;
            let ends = average == 0 || {
                line.update(bytes.get(line_done..after).unwrap_or_default());
                let length = at - line_begin;
                let chosen = u64::from(line.clone().finalize());
                line.reset();
                // One line of `average` bytes ends a piece for certain, shorter ones in proportion.
                u128::from(chosen) * u128::from(average) < u128::from(length) << 32
            };
            line_done = after;
            line_begin = at;
            if ends {
                piece.update(bytes.get(done..after).unwrap_or_default());
                done = after;
                begin = at;
                room = end_piece(&mut piece, at, lines);
                if !room {
                    return false;
                }
            }
        }
        piece.update(bytes.get(done..).unwrap_or_default());
        line.update(bytes.get(line_done..).unwrap_or_default());
        true
    })?;
    if room && begin < span.bytes.end {
        begin = span.bytes.end;
        end_piece(&mut piece, begin, span.lines.end);
    }
    Ok((found, begin == span.bytes.end))
}

/// The span of some of the pieces of `whole`.
fn span_of(whole: &Span, pieces: &[Piece], range: &Range<u32>) -> Span {
    let place = |index: u32| {
        let before = usize::try_from(index).ok().and_then(|i| i.checked_sub(1));
        let piece = before.and_then(|i| pieces.get(i));
        piece.map_or((whole.bytes.start, whole.lines.start), |piece| {
            (piece.end, piece.lines)
        })
    };
    let (begin, first) = place(range.start);
    let (end, last) = place(range.end);
    Span {
        bytes: begin..end,
        lines: first..last,
    }
}

/// Takes each change; fails where it cannot be shown.
type Out<'o> = &'o mut dyn FnMut(Change) -> Result<()>;

/// How two sequences of pieces of a region differ.
fn hunks(region: &Change, ours: &[Piece], theirs: &[Piece]) -> Vec<Change> {
    let mut input = InternedInput::default();
    input.update_before(ours.iter().map(|piece| piece.hash));
    input.update_after(theirs.iter().map(|piece| piece.hash));
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let hunks = diff.hunks().map(|hunk| Change {
        a: span_of(&region.a, ours, &hunk.before),
        b: span_of(&region.b, theirs, &hunk.after),
    });
    hunks.collect()
}

/// Hands on in order what has to be changed in one region. `coarser`: bytes of the pieces that it was found with.
fn region(
    a: &dyn Source,
    b: &dyn Source,
    change: Change,
    coarser: u64,
    out: Out<'_>,
) -> Result<()> {
    if change.a.is_empty() && change.b.is_empty() {
        return Ok(());
    }
    if change.a.is_empty() || change.b.is_empty() || coarser == 0 {
        return out(change);
    }
    let longer = change.a.length().max(change.b.length());
    let average = (longer / PIECES).min(coarser / FINER);
    let average = if average < LINES { 0 } else { average };
    let (ours, all_ours) = cut(a, &change.a, average, MOST)?;
    let (theirs, all_theirs) = cut(b, &change.b, average, MOST)?;
    if !(all_ours && all_theirs) {
        drop((ours, theirs));
        return windows(a, b, change, out);
    }
    let found = hunks(&change, &ours, &theirs);
    drop((ours, theirs));
    for change in found {
        region(a, b, change, average, out)?;
    }
    Ok(())
}

/// The same for a region of too many lines.
fn windows(a: &dyn Source, b: &dyn Source, mut rest: Change, out: Out<'_>) -> Result<()> {
    while !(rest.a.is_empty() || rest.b.is_empty()) {
        let (ours, all_ours) = cut(a, &rest.a, 0, WINDOW)?;
        let (theirs, all_theirs) = cut(b, &rest.b, 0, WINDOW)?;
        let mut found = hunks(&rest, &ours, &theirs);
        let end = |span: &Span, pieces: &[Piece]| {
            let last = pieces.last();
            last.map_or((span.bytes.end, span.lines.end), |last| {
                (last.end, last.lines)
            })
        };
        let mut next = [end(&rest.a, &ours), end(&rest.b, &theirs)];
        let half = WINDOW as u64 / 2;
        // What the windows end with may be the same as what follows, but then they have to get on.
        let again = |last: &mut Change| {
            let far = last.a.lines.start - rest.a.lines.start >= half
                || last.b.lines.start - rest.b.lines.start >= half;
            far && !(all_ours && all_theirs)
                && [last.a.bytes.end, last.b.bytes.end] == next.map(|n| n.0)
        };
        if let Some(last) = found.pop_if(again) {
            next = [last.a, last.b].map(|span| (span.bytes.start, span.lines.start));
        }
        for change in found {
            out(change)?;
        }
        let [(a_at, a_line), (b_at, b_line)] = next;
        (rest.a.bytes.start, rest.a.lines.start) = (a_at, a_line);
        (rest.b.bytes.start, rest.b.lines.start) = (b_at, b_line);
    }
    if rest.a.is_empty() && rest.b.is_empty() {
        return Ok(());
    }
    out(rest)
}

/// Hands on in order what has to be changed in `a` to get `b`. Between two changes there is at least one line.
pub(super) fn changes(a: &dyn Source, b: &dyn Source, out: Out<'_>) -> Result<()> {
    let prefix = prefix(a, b)?;
    let begin = prefix.lines_end;
    let suffix = suffix(a, b, a.size().min(b.size()) - begin)?;
    let span = |source: &dyn Source| -> Result<Span> {
        let bytes = begin..source.size() - suffix;
        let (mut count, mut last) = (0, b'\n');
        pieces(source, bytes.clone(), &mut |_, piece| {
            count += memchr_iter(b'\n', piece).count() as u64;
            last = piece.last().copied().unwrap_or(last);
            true
        })?;
        let lines = prefix.lines..prefix.lines + count + u64::from(last != b'\n');
        Ok(Span { bytes, lines })
    };
    let (a_span, b_span) = (span(a)?, span(b)?);
    let whole = Change {
        a: a_span,
        b: b_span,
    };
    // Windows may end with one change and begin with the next.
    let mut waiting: Option<Change> = None;
    region(a, b, whole, u64::MAX, &mut |next| {
        let touches = |before: &mut Change| {
            [before.a.bytes.end, before.b.bytes.end] == [next.a.bytes.start, next.b.bytes.start]
        };
        let next = match waiting.take_if(touches) {
            Some(before) => Change {
                a: join(&before.a, &next.a),
                b: join(&before.b, &next.b),
            },
            None => next,
        };
        waiting.replace(next).map_or(Ok(()), &mut *out)
    })?;
    waiting.map_or(Ok(()), out)
}

/// All from the beginning of one to the end of the other.
pub(super) fn join(first: &Span, last: &Span) -> Span {
    Span {
        bytes: first.bytes.start..last.bytes.end,
        lines: first.lines.start..last.lines.end,
    }
}

/// Where the lines begin that are the last `most`, or all, before the line that begins at `end`.
pub(super) fn lines_before(source: &dyn Source, end: u64, most: u64) -> Result<u64> {
    let (mut at, mut buf, mut left) = (end, Vec::new(), most);
    while at > 0 && left > 0 {
        let begin = at.saturating_sub(4096);
        fill(source, begin, at, &mut buf)?;
        let mut rest = buf.as_slice();
        // The last line's own end is not another line's.
        if at == end
            && let Some((_, before)) = rest.split_last()
        {
            rest = before;
        }
        while let Some(newline) = memrchr(b'\n', rest) {
            left -= 1;
            if left == 0 {
                return Ok(begin + newline as u64 + 1);
            }
            rest = rest.get(..newline).unwrap_or_default();
        }
        at = begin;
    }
    Ok(if left == 0 { end } else { 0 })
}

/// Where the lines end that are the next `most`, or all, from `begin` on, and how many there are.
pub(super) fn lines_after(source: &dyn Source, begin: u64, most: u64) -> Result<(u64, u64)> {
    let (mut at, mut buf, mut found) = (begin, Vec::new(), 0);
    let size = source.size();
    while at < size && found < most {
        let end = size.min(at.saturating_add(4096));
        fill(source, at, end, &mut buf)?;
        for newline in memchr_iter(b'\n', &buf) {
            found += 1;
            if found == most {
                return Ok((at + newline as u64 + 1, found));
            }
        }
        at = end;
        if at == size && buf.last() != Some(&b'\n') {
            found += 1;
        }
    }
    Ok((at, found))
}

#[cfg(test)]
mod tests;
