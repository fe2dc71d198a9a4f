//! Writing a file from coefficients and recipe.

use std::ops::Range;

use super::bits::BitWriter;
use super::encode::{Ac, BlockWriter, DcFirst, DcRefine, NO_CODE, Sequential};
use super::huffman::Huffman;
use super::scan::{Layout, Notes, Part, Scan};
use super::segments::{State, Stop};
use super::{Block, JpegError, Plane, Recipe, code};

/// Appends to `out` the file that coefficients and recipe make.
///
/// At most `limit` bytes are written, up to the end of an MCU.
///
/// # Errors
/// [`JpegError`] where the pieces are not those of a recipe, or the coefficients do not fit them.
pub fn write(
    planes: &[Plane],
    recipe: &Recipe,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), JpegError> {
    let wrong = |offset| JpegError::Format {
        what: "a recipe that is none",
        offset,
    };
    let Some((last, before)) = recipe.pieces.split_last() else {
        return Err(wrong(0));
    };
    if before.len() != recipe.notes.len() {
        return Err(wrong(0));
    }
    let mut state = State::default();
    for (piece, notes) in before.iter().zip(&recipe.notes) {
        let Stop::Scan(scan, end) = state.walk(piece, 0)? else {
            return Err(wrong(piece.len()));
        };
        if end != piece.len() {
            return Err(wrong(end));
        }
        out.extend_from_slice(piece);
        write_scan(&scan, &state, planes, notes, out, limit)?;
    }
    out.extend_from_slice(last);
    Ok(())
}

fn write_scan(
    scan: &Scan,
    state: &State,
    planes: &[Plane],
    notes: &Notes,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), JpegError> {
    let none = JpegError::Mismatch("a table is missing");
    let frame = state.frame.as_ref().ok_or(none.clone())?;
    let fits = |(plane, component): (&Plane, &super::Component)| plane.len() == component.blocks();
    if planes.len() != frame.components.len() || !planes.iter().zip(&frame.components).all(fits) {
        return Err(JpegError::Mismatch("other dimensions"));
    }
    let planes: Vec<&[Block]> = planes.iter().map(Vec::as_slice).collect();
    let layout = Layout::new(scan, frame);
    let mut run = Run {
        rows: 0..layout.mcus_down,
        layout: &layout,
        restart: if notes.restarts { state.restart } else { 0 },
        planes: &planes,
        notes,
        limit,
        bits: BitWriter::new(out),
    };
    let part = scan.parts.first().ok_or(none.clone())?;
    if !frame.progressive {
        let tables = sequential_tables(scan, state)?;
        run.write(&mut Sequential::new(tables, [0; 4]))?;
        return Ok(());
    }
    let dc = |part: &Part| state.dc.get(usize::from(part.dc))?.as_ref();
    let ac = |part: &Part| state.ac.get(usize::from(part.ac))?.as_ref();
    match (scan.first, scan.high) {
        (0, 0) => {
            let tables = scan.parts.iter().map(dc).collect::<Option<_>>();
            run.write(&mut DcFirst::new(tables.ok_or(none)?, scan.low))
        }
        (0, _) => run.write(&mut DcRefine { low: scan.low }),
        _ => run.write(&mut Ac::new(ac(part).ok_or(none)?, scan, notes)),
    }?;
    Ok(())
}

/// The tables of each part of a sequential scan.
pub(super) fn sequential_tables<'a>(
    scan: &Scan,
    state: &'a State,
) -> Result<Vec<(&'a Huffman, &'a Huffman)>, JpegError> {
    let dc = |part: &Part| state.dc.get(usize::from(part.dc))?.as_ref();
    let ac = |part: &Part| state.ac.get(usize::from(part.ac))?.as_ref();
    let tables = scan.parts.iter().map(|part| Some((dc(part)?, ac(part)?)));
    let tables: Option<_> = tables.collect();
    tables.ok_or(JpegError::Mismatch("a table is missing"))
}

/// The writing of a scan, or of some rows of it.
pub(super) struct Run<'a> {
    /// Rows of MCUs to be written.
    pub(super) rows: Range<usize>,
    pub(super) layout: &'a Layout,
    pub(super) restart: usize,
    /// The blocks of these rows of each component.
    pub(super) planes: &'a [&'a [Block]],
    pub(super) notes: &'a Notes,
    pub(super) limit: usize,
    pub(super) bits: BitWriter<'a>,
}

impl Run<'_> {
    /// Writes the rows; says whether the scan ends with them.
    pub(super) fn write<W: BlockWriter>(&mut self, writer: &mut W) -> Result<bool, JpegError> {
        let (across, units) = (self.layout.mcus_across, self.layout.units.len());
        let before = self.rows.start.saturating_mul(across);
        let blocks = |mcus: usize| u32::try_from(mcus.saturating_mul(units)).unwrap_or(u32::MAX);
        let stop = self.notes.stop.unwrap_or(u32::MAX);
        let mut count = blocks(before);
        if count > 0 && count >= stop {
            return Ok(false);
        }
        // A marker is written before the first MCU of its interval.
        let intervals = before.saturating_sub(1).checked_div(self.restart);
        let intervals = intervals.unwrap_or(0);
        let mut left = match before.checked_rem(self.restart) {
            Some(0) if before > 0 => 0,
            within => self.restart - within.unwrap_or(0),
        };
        let mut interval = u32::try_from(intervals).unwrap_or(u32::MAX);
        let mut pads = self.notes.pads.iter().peekable();
        while pads.next_if(|(index, _)| *index < interval).is_some() {}
        let mut marker = u8::try_from(intervals & 7).unwrap_or(0);
        let mut pad = || {
            let usual = if self.notes.pad_ones { 0xff } else { 0 };
            let noted = pads.next_if(|(index, _)| *index <= interval);
            interval = interval.wrapping_add(1);
            noted.map_or(usual, |(_, bits)| *bits)
        };
        'scan: for y in self.rows.clone() {
            for x in 0..across {
                if count >= stop {
                    break 'scan;
                }
                if self.restart > 0 {
                    if left == 0 {
                        writer.flush(&mut self.bits);
                        self.bits.align(pad());
                        self.bits.raw(&[0xff, code::RST0 + marker]);
                        marker = (marker + 1) & 7;
                        left = self.restart;
                    }
                    left -= 1;
                }
                for unit in &self.layout.units {
                    if count >= stop {
                        break 'scan;
                    }
                    let plane = self.planes.get(unit.component);
                    let block = plane.and_then(|p| p.get(unit.block(x, y - self.rows.start)));
                    if let Some(block) = block {
                        writer.block(&mut self.bits, unit.part, count, block);
                    }
                    count += 1;
                }
                if self.bits.written() > self.limit {
                    return Err(JpegError::Mismatch("the file becomes too long"));
                }
            }
        }
        let ends = self.rows.end >= self.layout.mcus_down || count >= stop;
        if ends {
            writer.flush(&mut self.bits);
            self.bits.align(pad());
        }
        if writer.failed() {
            return Err(NO_CODE);
        }
        Ok(ends)
    }
}
