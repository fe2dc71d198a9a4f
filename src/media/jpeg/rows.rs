//! Writing a file of one sequential scan in parts: from any row of MCUs on, without those before.
//!
//! Bits know no rows, so that a row may begin in the middle of a byte. Such a byte is the first of the row that fills
//! it; what the rows before have left of it, and the DC that differences are taken to, is its [`Start`].

use std::ops::Range;

use super::bits::BitWriter;
use super::encode::Sequential;
use super::scan::{Layout, Notes, Scan};
use super::segments::{State, Stop};
use super::write::{Run, sequential_tables};
use super::{Block, JpegError, Recipe};

/// What a row of MCUs needs to know of those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Start {
    /// Bits (0..=7) that fill no byte yet.
    pub count: u8,
    /// These bits, the last one lowest.
    pub bits: u8,
    /// The last DC of each part of the scan.
    pub previous: [i16; 4],
}

/// The only scan of a file, to be written in parts.
#[derive(Debug)]
pub struct Rows {
    state: State,
    scan: Scan,
    layout: Layout,
    notes: Notes,
}

impl Rows {
    /// The scan of a recipe; `None` where there are several or it is progressive.
    ///
    /// # Errors
    /// [`JpegError`] where the pieces are not those of a recipe.
    pub fn new(recipe: &Recipe) -> Result<Option<Self>, JpegError> {
        let ([head, _], [notes]) = (recipe.pieces.as_slice(), recipe.notes.as_slice()) else {
            return Ok(None);
        };
        let mut state = State::default();
        let wrong = |offset| JpegError::Format {
            what: "a recipe that is none",
            offset,
        };
        let Stop::Scan(scan, end) = state.walk(head, 0)? else {
            return Err(wrong(head.len()));
        };
        if end != head.len() {
            return Err(wrong(end));
        }
        let frame = state.frame.as_ref().filter(|frame| !frame.progressive);
        let layout = frame.map(|frame| Layout::new(&scan, frame));
        Ok(layout.map(|layout| Self {
            layout,
            state,
            scan,
            notes: notes.clone(),
        }))
    }

    /// Parts of the scan: as many entries of [`Start::previous`] are used.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.scan.parts.len()
    }

    /// Appends to `out` the data of rows `mcus` of the frame's MCUs, of which `blocks` are those of each component, and
    /// tells where the next row starts. At most `limit` bytes are written, up to the end of an MCU.
    ///
    /// # Errors
    /// [`JpegError`] where the coefficients do not fit the tables or the limit.
    pub fn write(
        &self,
        blocks: &[&[Block]],
        mcus: Range<usize>,
        start: Start,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<Start, JpegError> {
        // A scan of one component has rows of blocks (T.81 A.2.2).
        let frame = self.state.frame.as_ref();
        let each = match (self.scan.parts.as_slice(), frame) {
            ([part], Some(frame)) => frame.components.get(part.component),
            _ => None,
        };
        let each = each.map_or(1, |component| usize::from(component.v));
        let row = |mcu: usize| mcu.saturating_mul(each).min(self.layout.mcus_down);
        let mut writer =
            Sequential::new(sequential_tables(&self.scan, &self.state)?, start.previous);
        let mut run = Run {
            rows: row(mcus.start)..row(mcus.end),
            layout: &self.layout,
            restart: if self.notes.restarts {
                self.state.restart
            } else {
                0
            },
            planes: blocks,
            notes: &self.notes,
            limit: limit.saturating_add(out.len()),
            bits: BitWriter::resume(out, start.count, start.bits),
        };
        if run.write(&mut writer)? {
            return Ok(Start::default());
        }
        let (count, bits) = run.bits.suspend();
        Ok(Start {
            count,
            bits,
            previous: writer.previous(),
        })
    }
}
