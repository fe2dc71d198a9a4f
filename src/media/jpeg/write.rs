//! Writing a file from coefficients and recipe.

use super::bits::BitWriter;
use super::encode::{Ac, BlockWriter, DcFirst, DcRefine, NO_CODE, Sequential};
use super::scan::{Layout, Notes, Part, Scan};
use super::segments::{State, Stop};
use super::{JpegError, Plane, Recipe, code};

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
    let dc = |part: &Part| state.dc.get(usize::from(part.dc))?.as_ref();
    let ac = |part: &Part| state.ac.get(usize::from(part.ac))?.as_ref();
    let mut run = Run {
        layout: Layout::new(scan, frame),
        restart: if notes.restarts { state.restart } else { 0 },
        planes,
        notes,
        limit,
        bits: BitWriter::new(out),
    };
    let part = scan.parts.first().ok_or(none.clone())?;
    if !frame.progressive {
        let tables = scan.parts.iter().map(|part| Some((dc(part)?, ac(part)?)));
        let tables = tables.collect::<Option<_>>().ok_or(none)?;
        return run.write(&mut Sequential::new(tables));
    }
    match (scan.first, scan.high) {
        (0, 0) => {
            let tables = scan.parts.iter().map(dc).collect::<Option<_>>();
            run.write(&mut DcFirst::new(tables.ok_or(none)?, scan.low))
        }
        (0, _) => run.write(&mut DcRefine { low: scan.low }),
        _ => run.write(&mut Ac::new(ac(part).ok_or(none)?, scan, notes)),
    }
}

/// The writing of one scan.
struct Run<'a> {
    layout: Layout,
    restart: usize,
    planes: &'a [Plane],
    notes: &'a Notes,
    limit: usize,
    bits: BitWriter<'a>,
}

impl Run<'_> {
    fn write<W: BlockWriter>(&mut self, writer: &mut W) -> Result<(), JpegError> {
        let mut pads = self.notes.pads.iter().peekable();
        let mut interval = 0u32;
        let mut pad = || {
            let usual = if self.notes.pad_ones { 0xff } else { 0 };
            let noted = pads.next_if(|(index, _)| *index <= interval);
            interval = interval.wrapping_add(1);
            noted.map_or(usual, |(_, bits)| *bits)
        };
        let stop = self.notes.stop.unwrap_or(u32::MAX);
        let mut count = 0u32;
        let mut marker = 0u8;
        let mut left = self.restart;
        'scan: for y in 0..self.layout.mcus_down {
            for x in 0..self.layout.mcus_across {
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
                    let block = plane.and_then(|plane| plane.get(unit.block(x, y)));
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
        writer.flush(&mut self.bits);
        self.bits.align(pad());
        if writer.failed() {
            return Err(NO_CODE);
        }
        Ok(())
    }
}
