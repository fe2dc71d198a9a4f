//! Changes as a unified diff: hunks with three lines of context, which patch(1) takes.

use super::regions::{Change, Span, join, lines_after, lines_before};
use crate::cli::source::{Source, pieces};
use crate::store::Result;

/// Lines of context.
const CONTEXT: u64 = 3;
/// Most changes of a hunk; what comes after them is one change together with the last.
const MOST: usize = 1 << 19;

/// Prints changes as they come.
pub(super) struct Unified<'u> {
    a: &'u dyn Source,
    b: &'u dyn Source,
    print: &'u mut dyn FnMut(&[u8]),
    hunk: Vec<Change>,
}

impl<'u> Unified<'u> {
    /// A diff of these files, after its heading.
    pub(super) fn new(
        a: &'u dyn Source,
        b: &'u dyn Source,
        print: &'u mut dyn FnMut(&[u8]),
    ) -> Self {
        let hunk = Vec::new();
        Self { a, b, print, hunk }
    }

    /// The next change.
    pub(super) fn change(&mut self, next: Change) -> Result<()> {
        let far = self
            .hunk
            .last()
            .is_some_and(|last| next.a.lines.start.saturating_sub(last.a.lines.end) > 2 * CONTEXT);
        if far {
            self.print_hunk()?;
        }
        let full = self.hunk.len() >= MOST;
        match self.hunk.last_mut().filter(|_| full) {
            Some(last) => {
                last.a = join(&last.a, &next.a);
                last.b = join(&last.b, &next.b);
            }
            None => self.hunk.push(next),
        }
        Ok(())
    }

    /// After the last change.
    pub(super) fn print_hunk(&mut self) -> Result<()> {
        let hunk = std::mem::take(&mut self.hunk);
        let Some((first, last)) = hunk.first().zip(hunk.last()) else {
            return Ok(());
        };
        let before = first.a.lines.start.min(CONTEXT);
        let begin = lines_before(self.a, first.a.bytes.start, before)?;
        let (end, after) = lines_after(self.a, last.a.bytes.end, CONTEXT)?;
        let range = |first: &Span, last: &Span| {
            let begin = first.lines.start - before;
            match last.lines.end + after - begin {
                0 => format!("{begin},0"),
                1 => format!("{}", begin + 1),
                count => format!("{},{count}", begin + 1),
            }
        };
        let heading = format!(
            "@@ -{} +{} @@\n",
            range(&first.a, &last.a),
            range(&first.b, &last.b)
        );
        (self.print)(heading.as_bytes());
        let mut at = begin;
        for change in &hunk {
            lines(self.a, at..change.a.bytes.start, b' ', self.print)?;
            lines(self.a, change.a.bytes.clone(), b'-', self.print)?;
            lines(self.b, change.b.bytes.clone(), b'+', self.print)?;
            at = change.a.bytes.end;
        }
        lines(self.a, at..end, b' ', self.print)
    }
}

/// Prints lines with a sign before each.
fn lines(
    source: &dyn Source,
    range: std::ops::Range<u64>,
    sign: u8,
    print: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let mut line_start = true;
    let empty = range.is_empty();
    pieces(source, range, &mut |_, bytes| {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line_start {
                out.push(sign);
            }
            out.extend_from_slice(line);
            line_start = line.last() == Some(&b'\n');
        }
        print(&out);
        true
    })?;
    if !empty && !line_start {
        print(b"\n\\ No newline at end of file\n");
    }
    Ok(())
}
