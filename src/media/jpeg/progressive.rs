//! Reading the blocks of progressive scans (T.81 G), and noting how their encoder ended blocks.

use super::Block;
use super::bits::BitReader;
use super::huffman::Huffman;
use super::read::{Bad, BlockReader, extend, first_bits, read_dc};
use super::scan::{MAX_BITS, MAX_RUN, Notes, Scan};

/// The upper bits of DC.
pub(super) struct DcFirst<'a> {
    tables: Vec<&'a Huffman>,
    previous: [i32; 4],
    low: u8,
}

impl<'a> DcFirst<'a> {
    pub(super) fn new(tables: Vec<&'a Huffman>, low: u8) -> Self {
        Self {
            tables,
            previous: [0; 4],
            low,
        }
    }
}

impl BlockReader for DcFirst<'_> {
    #[inline]
    fn block(
        &mut self,
        bits: &mut BitReader<'_>,
        part: usize,
        _count: u32,
        block: &mut Block,
    ) -> Result<(), Bad> {
        let (Some(table), Some(previous)) = (self.tables.get(part), self.previous.get_mut(part))
        else {
            return Err(Bad);
        };
        let value = read_dc(bits, table, previous)?;
        let [dc, ..] = block;
        *dc = i16::try_from(i32::from(value) << self.low).map_err(|_| Bad)?;
        Ok(())
    }

    fn restart(&mut self) {
        self.previous = [0; 4];
    }
}

/// One more bit of DC.
pub(super) struct DcRefine {
    bit: i16,
}

impl DcRefine {
    pub(super) fn new(low: u8) -> Self {
        Self { bit: 1 << low }
    }
}

impl BlockReader for DcRefine {
    #[inline]
    fn block(
        &mut self,
        bits: &mut BitReader<'_>,
        _part: usize,
        _count: u32,
        block: &mut Block,
    ) -> Result<(), Bad> {
        let [dc, ..] = block;
        if bits.bit() {
            *dc |= self.bit;
        }
        Ok(())
    }

    fn restart(&mut self) {}
}

/// A run of ended blocks that stopped although the next block could have been in it.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// The next block, counted in the scan.
    block: u32,
    /// Blocks in the run.
    run: u16,
    /// Whether the run had more than [`MAX_BITS`] correction bits.
    full: bool,
}

/// The runs of ended blocks of a scan.
#[derive(Debug, Default)]
struct Runs {
    /// Blocks of the current run that are left.
    left: u16,
    /// Blocks of the current run, all of them; also of the one that has just ended, else 0.
    run: u16,
    /// Correction bits of the current run so far.
    bits: u32,
    longest: u16,
    /// Whether a run went on with more than [`MAX_BITS`] correction bits.
    over: bool,
    cuts: Vec<Cut>,
}

impl Runs {
    /// A run begins with block `count`; `alone`: nothing of this block was coded before.
    fn begin(&mut self, run: u16, count: u32, alone: bool) {
        if alone && self.run > 0 {
            self.cuts.push(Cut {
                block: count,
                run: self.run,
                full: self.bits > MAX_BITS,
            });
        }
        self.run = run;
        self.left = run;
        self.bits = 0;
        self.longest = self.longest.max(run);
    }

    /// A block of the run, with `bits` correction bits, is done.
    fn step(&mut self, bits: u32) {
        self.bits += bits;
        self.left -= 1;
        self.over |= self.left > 0 && self.bits > MAX_BITS;
    }

    /// A block was coded to its end.
    fn none(&mut self) {
        self.run = 0;
    }

    /// Chooses the rules that explain the runs best; what they do not explain is listed.
    fn note(&self, notes: &mut Notes) {
        notes.limit_bits = !self.over;
        let unexplained = |max_run| {
            let cuts = self.cuts.iter();
            cuts.filter(move |cut| cut.run != max_run && (self.over || !cut.full))
        };
        let shortened = unexplained(self.longest).count() < unexplained(MAX_RUN).count();
        notes.max_run = if shortened { self.longest } else { MAX_RUN };
        notes.cuts = unexplained(notes.max_run).map(|cut| cut.block).collect();
    }
}

/// The length of a run of ended blocks: 2^`size` and as many bits more.
#[inline]
fn run_length(bits: &mut BitReader<'_>, size: u8) -> u16 {
    let size = u32::from(size);
    let more = first_bits(bits.window(), size);
    bits.skip(size);
    u16::try_from((1 << size) + more).unwrap_or(MAX_RUN)
}

/// The upper bits of AC coefficients.
pub(super) struct AcFirst<'a> {
    table: &'a Huffman,
    first: usize,
    last: usize,
    low: u8,
    runs: Runs,
}

impl<'a> AcFirst<'a> {
    pub(super) fn new(table: &'a Huffman, scan: &Scan) -> Self {
        Self {
            table,
            first: usize::from(scan.first),
            last: usize::from(scan.last),
            low: scan.low,
            runs: Runs::default(),
        }
    }
}

impl BlockReader for AcFirst<'_> {
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "k <= last <= 63 is checked, and so is the range of the value"
    )]
    fn block(
        &mut self,
        bits: &mut BitReader<'_>,
        _part: usize,
        count: u32,
        block: &mut Block,
    ) -> Result<(), Bad> {
        if self.runs.left > 0 {
            self.runs.step(0);
            return Ok(());
        }
        let mut k = self.first;
        while k <= self.last {
            let window = bits.window();
            let (length, symbol) = self.table.decode(window);
            if length == 0 {
                return Err(Bad);
            }
            let size = u32::from(symbol & 15);
            let zeros = symbol >> 4;
            bits.skip(length + size);
            if size > 0 {
                k += usize::from(zeros);
                let value = extend(window << length, size) << self.low;
                if k > self.last || value.abs() > i32::from(i16::MAX) {
                    return Err(Bad);
                }
                block[k] = value as i16;
                k += 1;
            } else if zeros == 15 {
                k += 16;
            } else {
                let run = run_length(bits, zeros);
                self.runs.begin(run, count, k == self.first);
                self.runs.step(0);
                return Ok(());
            }
        }
        self.runs.none();
        Ok(())
    }

    fn idle(&self) -> bool {
        self.runs.left == 0
    }

    fn restart(&mut self) {
        self.runs.none();
    }

    fn note(&self, notes: &mut Notes) {
        self.runs.note(notes);
    }
}

/// One more bit of AC coefficients.
pub(super) struct AcRefine<'a> {
    table: &'a Huffman,
    first: usize,
    last: usize,
    low: u8,
    runs: Runs,
}

impl<'a> AcRefine<'a> {
    pub(super) fn new(table: &'a Huffman, scan: &Scan) -> Self {
        Self {
            table,
            first: usize::from(scan.first),
            last: usize::from(scan.last),
            low: scan.low,
            runs: Runs::default(),
        }
    }

    /// Reads the correction bit of a coefficient that is not zero.
    #[inline]
    fn correct(&self, bits: &mut BitReader<'_>, value: &mut i16) {
        if bits.bit() {
            // The lower bits of the magnitude are zero, so this cannot overflow.
            *value = value.wrapping_add(value.signum() << self.low);
        }
    }
}

impl BlockReader for AcRefine<'_> {
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "k <= last <= 63 is checked")]
    fn block(
        &mut self,
        bits: &mut BitReader<'_>,
        _part: usize,
        count: u32,
        block: &mut Block,
    ) -> Result<(), Bad> {
        let mut k = self.first;
        if self.runs.left == 0 {
            loop {
                if k > self.last {
                    self.runs.none();
                    return Ok(());
                }
                let (length, symbol) = self.table.decode(bits.window());
                if length == 0 {
                    return Err(Bad);
                }
                bits.skip(length);
                let size = symbol & 15;
                let mut zeros = symbol >> 4;
                let value = match size {
                    0 if zeros < 15 => {
                        let run = run_length(bits, zeros);
                        self.runs.begin(run, count, k == self.first);
                        break;
                    }
                    0 => 0,
                    1 if bits.bit() => 1i16 << self.low,
                    1 => -(1i16 << self.low),
                    _ => return Err(Bad),
                };
                // Over so many zeros to the next one, correcting what is not zero on the way.
                while k <= self.last {
                    if block[k] != 0 {
                        self.correct(bits, &mut block[k]);
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    k += 1;
                }
                if k > self.last {
                    return Err(Bad);
                }
                block[k] = value;
                k += 1;
            }
        }
        let mut corrections = 0;
        for value in block.iter_mut().take(self.last + 1).skip(k) {
            if *value != 0 {
                self.correct(bits, value);
                corrections += 1;
            }
        }
        self.runs.step(corrections);
        Ok(())
    }

    fn idle(&self) -> bool {
        self.runs.left == 0
    }

    fn restart(&mut self) {
        self.runs.none();
    }

    fn note(&self, notes: &mut Notes) {
        self.runs.note(notes);
    }
}
