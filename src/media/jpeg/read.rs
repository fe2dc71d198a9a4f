//! Taking a file apart: the walk through its scans, and sequential blocks.

use super::bits::{BitReader, Interval};
use super::huffman::Huffman;
use super::progressive::{AcFirst, AcRefine, DcFirst, DcRefine};
use super::scan::{Layout, Notes, Scan};
use super::segments::{State, Stop};
use super::{Block, Frame, Jpeg, JpegError, MAX_SCANS, MAX_SPARSITY, Plane, Recipe, code};

/// The data are not what an encoder writes.
#[derive(Debug)]
pub(super) struct Bad;

/// Reads the blocks of one kind of scan.
pub(super) trait BlockReader {
    /// Whether files are known whose scans of this kind lack the restart markers they should have.
    const MAY_LACK_MARKERS: bool = false;
    /// Reads a block: `part` is the index of its component in the scan, `count` that of the block.
    fn block(
        &mut self,
        bits: &mut BitReader<'_>,
        part: usize,
        count: u32,
        block: &mut Block,
    ) -> Result<(), Bad>;
    /// Whether nothing is known of the next block: no run of ended blocks reaches it.
    fn idle(&self) -> bool {
        true
    }
    /// An interval ends.
    fn restart(&mut self);
    /// Adds what was seen.
    fn note(&self, _notes: &mut Notes) {}
}

/// Takes a file apart.
///
/// Whether [`super::write()`] gives the same bytes again is for the caller to find out: see the module.
///
/// # Errors
/// [`JpegError`]: not a JPEG, one of an unsupported kind, over a limit, or damaged before its first coefficient.
pub fn parse(file: &[u8]) -> Result<Jpeg, JpegError> {
    let mut state = State::default();
    let mut progress = Progress::default();
    let mut planes: Vec<Plane> = Vec::new();
    let mut recipe = Recipe::default();
    let mut at = 0;
    loop {
        let (scan, begin) = match state.walk(file, at) {
            Ok(Stop::Scan(scan, begin)) => (scan, begin),
            Ok(Stop::End) => break,
            // What follows the first scan is kept as it is, whatever it is.
            Err(_) if !recipe.notes.is_empty() => break,
            Err(error) => return Err(error),
        };
        if recipe.notes.len() == MAX_SCANS {
            return Err(JpegError::Limit {
                what: "the number of scans",
                value: MAX_SCANS as u64 + 1,
                limit: MAX_SCANS as u64,
            });
        }
        let Some(frame) = &mut state.frame else { break };
        if planes.is_empty() {
            planes = grids(frame, file.len())?;
        }
        match progress.begin(&scan, frame, &state.quantisers) {
            Ok(()) => {}
            Err(_) if !recipe.notes.is_empty() => break,
            Err(error) => return Err(error),
        }
        let mut notes = Notes::default();
        let Some(end) = read_scan(file, begin, &scan, &state, &mut planes, &mut notes) else {
            if recipe.notes.is_empty() {
                return Err(JpegError::Format {
                    what: "a scan without its Huffman tables",
                    offset: begin,
                });
            }
            break;
        };
        let piece = file.get(at..begin).unwrap_or_default();
        recipe.pieces.push(piece.to_vec());
        at = end;
        let stopped = notes.stop.is_some();
        recipe.notes.push(notes);
        if stopped {
            break;
        }
    }
    let last = file.get(at..).unwrap_or_default();
    recipe.pieces.push(last.to_vec());
    let mut frame = state.frame.ok_or(JpegError::Format {
        what: "no picture",
        offset: at,
    })?;
    if recipe.notes.is_empty() {
        return Err(JpegError::Format {
            what: "no scan",
            offset: at,
        });
    }
    progress.finish(&mut frame, &state.quantisers)?;
    Ok(Jpeg {
        frame,
        planes,
        recipe,
    })
}

/// Zero coefficients for all grids, if a file of this size can hold so many.
fn grids(frame: &Frame, size: usize) -> Result<Vec<Plane>, JpegError> {
    let limit = size.saturating_mul(MAX_SPARSITY);
    if frame.blocks() > limit {
        return Err(JpegError::Limit {
            what: "the number of blocks",
            value: frame.blocks() as u64,
            limit: limit as u64,
        });
    }
    let grid = |c: &super::Component| vec![[0; 64]; c.blocks()];
    Ok(frame.components.iter().map(grid).collect())
}

/// What the scans so far hold: nothing may be coded twice, since the first of the two could not be written again.
#[derive(Debug, Default)]
struct Progress {
    /// For each component and coefficient the lowest bit that was coded.
    low: Vec<[Option<u8>; 64]>,
    /// Whether the step sizes are set.
    quantised: Vec<bool>,
}

type Quantisers = [Option<super::Quantiser>; 4];

impl Progress {
    fn begin(
        &mut self,
        scan: &Scan,
        frame: &mut Frame,
        quantisers: &Quantisers,
    ) -> Result<(), JpegError> {
        self.low.resize(frame.components.len(), [None; 64]);
        self.quantised.resize(frame.components.len(), false);
        let band = usize::from(scan.first)..=usize::from(scan.last);
        let wanted = (scan.high > 0).then_some(scan.high);
        for part in &scan.parts {
            let low = self.low.get(part.component);
            let known = low.and_then(|low| low.get(band.clone()));
            if !known.is_some_and(|known| known.iter().all(|low| *low == wanted)) {
                return Err(JpegError::Unsupported("coding coefficients twice"));
            }
        }
        for part in &scan.parts {
            let low = self.low.get_mut(part.component);
            if let Some(low) = low.and_then(|low| low.get_mut(band.clone())) {
                low.fill(Some(scan.low));
            }
            // The table that counts is the one that is there at the component's first scan.
            let done = self.quantised.get_mut(part.component);
            if let Some(done) = done
                && !*done
                && let Some(component) = frame.components.get_mut(part.component)
                && let Some(steps) = quantisers.get(usize::from(component.table))
            {
                component.quantiser = steps.ok_or(NO_TABLE)?;
                *done = true;
            }
        }
        Ok(())
    }

    /// Step sizes for components that no scan has reached.
    fn finish(&self, frame: &mut Frame, quantisers: &Quantisers) -> Result<(), JpegError> {
        for (component, done) in frame.components.iter_mut().zip(&self.quantised) {
            if !done && let Some(steps) = quantisers.get(usize::from(component.table)) {
                component.quantiser = steps.ok_or(NO_TABLE)?;
            }
        }
        Ok(())
    }
}

const NO_TABLE: JpegError = JpegError::Format {
    what: "a missing quantisation table",
    offset: 0,
};

/// Reads a scan; gives the offset behind what was understood, or nothing where a table is missing.
fn read_scan(
    file: &[u8],
    begin: usize,
    scan: &Scan,
    state: &State,
    planes: &mut [Plane],
    notes: &mut Notes,
) -> Option<usize> {
    let frame = state.frame.as_ref()?;
    let dc = |part: &super::scan::Part| state.dc.get(usize::from(part.dc))?.as_ref();
    let ac = |part: &super::scan::Part| state.ac.get(usize::from(part.ac))?.as_ref();
    let mut run = Run {
        file,
        begin,
        layout: Layout::new(scan, frame),
        restart: state.restart,
        planes,
        notes,
    };
    if !frame.progressive {
        let tables = scan.parts.iter().map(|part| Some((dc(part)?, ac(part)?)));
        let tables: Vec<(&Huffman, &Huffman)> = tables.collect::<Option<_>>()?;
        let mut reader = Sequential {
            tables,
            previous: [0; 4],
        };
        let end = run.read(&mut reader);
        if let Some(end) = end {
            return Some(end);
        }
        // The restart interval is a lie: there are no markers.
        run.restart = 0;
        *run.notes = Notes {
            restarts: false,
            ..Notes::default()
        };
        reader.restart();
        return run.read(&mut reader);
    }
    match (scan.first, scan.high) {
        (0, 0) => {
            let tables = scan.parts.iter().map(dc).collect::<Option<_>>()?;
            run.read(&mut DcFirst::new(tables, scan.low))
        }
        (0, _) => run.read(&mut DcRefine::new(scan.low)),
        (_, 0) => run.read(&mut AcFirst::new(ac(scan.parts.first()?)?, scan)),
        _ => run.read(&mut AcRefine::new(ac(scan.parts.first()?)?, scan)),
    }
}

/// The reading of one scan.
struct Run<'a> {
    file: &'a [u8],
    begin: usize,
    layout: Layout,
    restart: usize,
    planes: &'a mut [Plane],
    notes: &'a mut Notes,
}

impl Run<'_> {
    /// Reads all blocks, as far as the data can be understood; gives the offset behind them. Nothing if there are no
    /// restart markers where they should be, and everything else looks as if there were none at all.
    fn read<R: BlockReader>(&mut self, reader: &mut R) -> Option<usize> {
        let mut interval = Interval::default();
        interval.fill(self.file, self.begin);
        let mut bits = interval.reader();
        let mut pads = Pads::default();
        let mut count = 0u32;
        // Up to where everything can be written again: blocks, and bits of the interval (none: its beginning).
        let mut safe = (0u32, None);
        let mut interval_begin = self.begin;
        let mut left = self.restart;
        let mut good = true;
        'scan: for y in 0..self.layout.mcus_down {
            for x in 0..self.layout.mcus_across {
                if self.restart > 0 {
                    if left == 0 {
                        safe = (count, Some(bits.position()));
                        let used = bits.position().div_ceil(8);
                        let end = interval.offset(used);
                        let marker = code::RST0 + (pads.index & 7) as u8;
                        let found = self.file.get(end..end + 2) == Some(&[0xff, marker]);
                        if !reader.idle() || used != interval.len() || !found {
                            if pads.index == 0 && used < interval.len() && R::MAY_LACK_MARKERS {
                                return None;
                            }
                            good = false;
                            break 'scan;
                        }
                        pads.note(bits.rest_of_byte(bits.position()), self.notes);
                        reader.restart();
                        interval_begin = end;
                        safe = (count, None);
                        interval.fill(self.file, end + 2);
                        bits = interval.reader();
                        left = self.restart;
                    }
                    left -= 1;
                }
                for unit in &self.layout.units {
                    if bits.position() > 0 && reader.idle() {
                        safe = (count, Some(bits.position()));
                    }
                    let plane = self.planes.get_mut(unit.component);
                    let block = plane.and_then(|plane| plane.get_mut(unit.block(x, y)));
                    let read = block.map(|block| reader.block(&mut bits, unit.part, count, block));
                    if !matches!(read, Some(Ok(()))) || bits.overrun() {
                        good = false;
                        break 'scan;
                    }
                    count += 1;
                }
            }
        }
        if good && reader.idle() {
            safe = (count, Some(bits.position()));
        } else {
            self.notes.stop = Some(safe.0);
        }
        reader.note(self.notes);
        let Some(position) = safe.1 else {
            return Some(interval_begin);
        };
        pads.note(bits.rest_of_byte(position), self.notes);
        Some(interval.offset(position.div_ceil(8)))
    }
}

/// Watches what bytes are filled up with.
#[derive(Debug, Default)]
struct Pads {
    index: u32,
    decided: bool,
}

impl Pads {
    fn note(&mut self, (count, value): (u32, u8), notes: &mut Notes) {
        let ones = u8::try_from((1u32 << count) - 1).unwrap_or(u8::MAX);
        if count > 0 {
            if !self.decided {
                self.decided = true;
                notes.pad_ones = value != 0;
            }
            if value != if notes.pad_ones { ones } else { 0 } {
                notes.pads.push((self.index, value));
            }
        }
        self.index += 1;
    }
}

/// The first `size` (0..=32) bits of `bits`.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most 32 bits are left after the shift"
)]
pub(super) fn first_bits(bits: u64, size: u32) -> u32 {
    (bits >> 1 >> (63 - size)) as u32
}

/// The value of the `size` (0..=15) bits that `bits` begins with (T.81 F.2.2.1, EXTEND).
#[inline]
pub(super) fn extend(bits: u64, size: u32) -> i32 {
    let value = first_bits(bits, size).cast_signed();
    let negative = first_bits(!bits, 1).cast_signed();
    // A first bit of 0 means a negative number: less 2^size - 1.
    value - (((1 << size) - 1) & -negative)
}

/// Blocks of sequential scans.
struct Sequential<'a> {
    tables: Vec<(&'a Huffman, &'a Huffman)>,
    previous: [i32; 4],
}

impl BlockReader for Sequential<'_> {
    const MAY_LACK_MARKERS: bool = true;

    #[inline]
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "k <= 63 is checked; 15 bits and a sign are an i16"
    )]
    fn block(
        &mut self,
        bits: &mut BitReader<'_>,
        part: usize,
        _count: u32,
        block: &mut Block,
    ) -> Result<(), Bad> {
        let (Some((dc, ac)), Some(previous)) = (self.tables.get(part), self.previous.get_mut(part))
        else {
            return Err(Bad);
        };
        block[0] = read_dc(bits, dc, previous)?;
        let mut k = 1;
        while k < 64 {
            let window = bits.window();
            let (length, symbol) = ac.decode(window);
            if length == 0 {
                return Err(Bad);
            }
            let size = u32::from(symbol & 15);
            let zeros = usize::from(symbol >> 4);
            bits.skip(length + size);
            if size == 0 {
                match zeros {
                    0 => break,
                    15 => k += 16,
                    _ => return Err(Bad),
                }
                continue;
            }
            k += zeros;
            if k > 63 {
                return Err(Bad);
            }
            block[k] = extend(window << length, size) as i16;
            k += 1;
        }
        if k > 64 { Err(Bad) } else { Ok(()) }
    }

    fn restart(&mut self) {
        self.previous = [0; 4];
    }
}

/// Reads a DC coefficient, which is coded as the difference to the previous one.
#[inline]
pub(super) fn read_dc(
    bits: &mut BitReader<'_>,
    table: &Huffman,
    previous: &mut i32,
) -> Result<i16, Bad> {
    let window = bits.window();
    let (length, size) = table.decode(window);
    if length == 0 || size > 15 {
        return Err(Bad);
    }
    let size = u32::from(size);
    bits.skip(length + size);
    *previous += extend(window << length, size);
    i16::try_from(*previous).map_err(|_| Bad)
}
