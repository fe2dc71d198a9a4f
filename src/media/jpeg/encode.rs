//! Coding of blocks: into bits or into counts of symbols.

use super::bits::BitWriter;
use super::huffman::Huffman;
use super::scan::{MAX_BITS, Notes, Scan};
use super::{Block, JpegError};

/// Writes the blocks of one kind of scan.
pub(super) trait BlockWriter {
    /// Writes a block: `part` is the index of its component in the scan, `count` that of the block.
    fn block(&mut self, bits: &mut BitWriter<'_>, part: usize, count: u32, block: &Block);
    /// An interval ends: everything that is held back is written.
    fn flush(&mut self, _bits: &mut BitWriter<'_>) {}
    /// Whether a symbol had no code.
    fn failed(&self) -> bool {
        false
    }
}

/// Takes symbols of sequential blocks.
pub(super) trait Symbols {
    /// A symbol of the DC table of part `part`, and the lowest `size` bits of `more`.
    fn dc(&mut self, part: usize, symbol: u32, more: u32, size: u32);
    /// A symbol of the AC table of part `part`, and the lowest `size` bits of `more`.
    fn ac(&mut self, part: usize, symbol: u32, more: u32, size: u32);
}

/// The number of bits of a value's magnitude, and the bits that tell it from others of that size (T.81 F.1.2.1).
#[inline]
#[expect(
    clippy::cast_sign_loss,
    reason = "bits of a two's complement number are meant"
)]
fn size_and_bits(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = (value + (value >> 31)) as u32;
    (size, bits & ((1 << size) - 1))
}

/// Codes a block of a sequential scan.
#[inline]
#[expect(clippy::indexing_slicing, reason = "k is a bit number of a u64")]
pub(super) fn sequential<S: Symbols>(
    symbols: &mut S,
    part: usize,
    previous: &mut i32,
    block: &Block,
) {
    let dc = i32::from(block[0]);
    let (size, more) = size_and_bits(dc - *previous);
    *previous = dc;
    symbols.dc(part, size, more, size);
    let mut mask = nonzero(block) & !1;
    let mut last = 0;
    while mask != 0 {
        let k = mask.trailing_zeros();
        let mut zeros = k - last - 1;
        while zeros > 15 {
            symbols.ac(part, 0xf0, 0, 0);
            zeros -= 16;
        }
        let (size, more) = size_and_bits(i32::from(block[k as usize]));
        symbols.ac(part, zeros << 4 | size, more, size);
        last = k;
        mask &= mask - 1;
    }
    if last != 63 {
        symbols.ac(part, 0, 0, 0);
    }
}

/// Bit k: coefficient k is not zero.
#[inline]
fn nonzero(block: &Block) -> u64 {
    let mut mask = 0;
    for (eight, values) in block.as_chunks::<8>().0.iter().enumerate() {
        let mut byte = 0u64;
        for (bit, value) in values.iter().enumerate() {
            byte |= u64::from(*value != 0) << bit;
        }
        mask |= byte << (8 * eight);
    }
    mask
}

/// Blocks of sequential scans.
pub(super) struct Sequential<'a> {
    coder: Coder<'a>,
    previous: [i32; 4],
}

struct Coder<'a> {
    tables: Vec<(&'a Huffman, &'a Huffman)>,
    failed: bool,
}

/// [`Coder`] at work.
struct Out<'a, 'b, 'c> {
    coder: &'a mut Coder<'b>,
    bits: &'a mut BitWriter<'c>,
}

impl Symbols for Out<'_, '_, '_> {
    #[inline]
    fn dc(&mut self, part: usize, symbol: u32, more: u32, size: u32) {
        let code = self.coder.tables.get(part).map_or(0, |t| t.0.code(symbol));
        self.coder.failed |= code == 0;
        put(self.bits, code, more, size);
    }

    #[inline]
    fn ac(&mut self, part: usize, symbol: u32, more: u32, size: u32) {
        let code = self.coder.tables.get(part).map_or(0, |t| t.1.code(symbol));
        self.coder.failed |= code == 0;
        put(self.bits, code, more, size);
    }
}

/// Writes a code (its length from bit 16 on) and `size` (at most 16) bits more.
#[inline]
fn put(bits: &mut BitWriter<'_>, code: u32, more: u32, size: u32) {
    bits.put((code & 0xffff) << size | more, (code >> 16) + size);
}

impl<'a> Sequential<'a> {
    /// `previous`: the last DC of each part of the scan.
    pub(super) fn new(tables: Vec<(&'a Huffman, &'a Huffman)>, previous: [i16; 4]) -> Self {
        Self {
            coder: Coder {
                tables,
                failed: false,
            },
            previous: previous.map(i32::from),
        }
    }

    /// The last DC of each part of the scan.
    pub(super) fn previous(&self) -> [i16; 4] {
        self.previous.map(|dc| i16::try_from(dc).unwrap_or(0))
    }
}

impl BlockWriter for Sequential<'_> {
    #[inline]
    fn block(&mut self, bits: &mut BitWriter<'_>, part: usize, _count: u32, block: &Block) {
        if let Some(previous) = self.previous.get_mut(part) {
            let coder = &mut self.coder;
            sequential(&mut Out { coder, bits }, part, previous, block);
        }
    }

    fn flush(&mut self, _bits: &mut BitWriter<'_>) {
        self.previous = [0; 4];
    }

    fn failed(&self) -> bool {
        self.coder.failed
    }
}

/// The upper bits of DC.
pub(super) struct DcFirst<'a> {
    tables: Vec<&'a Huffman>,
    previous: [i32; 4],
    low: u8,
    failed: bool,
}

impl<'a> DcFirst<'a> {
    pub(super) fn new(tables: Vec<&'a Huffman>, low: u8) -> Self {
        Self {
            tables,
            previous: [0; 4],
            low,
            failed: false,
        }
    }
}

impl BlockWriter for DcFirst<'_> {
    #[inline]
    fn block(&mut self, bits: &mut BitWriter<'_>, part: usize, _count: u32, block: &Block) {
        let [dc, ..] = block;
        let (Some(table), Some(previous)) = (self.tables.get(part), self.previous.get_mut(part))
        else {
            return;
        };
        let dc = i32::from(*dc) >> self.low;
        let (size, more) = size_and_bits(dc - *previous);
        *previous = dc;
        let code = table.code(size);
        self.failed |= code == 0;
        put(bits, code, more, size);
    }

    fn flush(&mut self, _bits: &mut BitWriter<'_>) {
        self.previous = [0; 4];
    }

    fn failed(&self) -> bool {
        self.failed
    }
}

/// One more bit of DC.
pub(super) struct DcRefine {
    pub(super) low: u8,
}

impl BlockWriter for DcRefine {
    #[inline]
    fn block(&mut self, bits: &mut BitWriter<'_>, _part: usize, _count: u32, block: &Block) {
        let [dc, ..] = block;
        bits.put(u32::from(dc >> self.low & 1 != 0), 1);
    }
}

/// AC coefficients of progressive scans, first and refining ones, with the blocks that end together.
pub(super) struct Ac<'a> {
    table: &'a Huffman,
    first: usize,
    last: usize,
    low: u8,
    refine: bool,
    max_run: u16,
    limit_bits: bool,
    cuts: std::iter::Peekable<std::slice::Iter<'a, u32>>,
    /// Blocks that have ended and are not written yet.
    run: u16,
    /// Their correction bits.
    pending: Vec<bool>,
    /// Correction bits of the current block.
    current: Vec<bool>,
    failed: bool,
}

impl<'a> Ac<'a> {
    pub(super) fn new(table: &'a Huffman, scan: &Scan, notes: &'a Notes) -> Self {
        Self {
            table,
            first: usize::from(scan.first),
            last: usize::from(scan.last),
            low: scan.low,
            refine: scan.high > 0,
            max_run: notes.max_run,
            limit_bits: notes.limit_bits,
            cuts: notes.cuts.iter().peekable(),
            run: 0,
            pending: Vec::new(),
            current: Vec::new(),
            failed: false,
        }
    }

    #[inline]
    fn symbol(&mut self, bits: &mut BitWriter<'_>, symbol: u32, more: u32, size: u32) {
        let code = self.table.code(symbol);
        self.failed |= code == 0;
        put(bits, code, more, size);
    }

    /// Writes the run of ended blocks and its correction bits.
    fn end_run(&mut self, bits: &mut BitWriter<'_>) {
        if let Some(size) = self.run.checked_ilog2() {
            let more = u32::from(self.run) & ((1 << size) - 1);
            self.symbol(bits, size << 4, more, size);
            self.run = 0;
        }
        for bit in self.pending.drain(..) {
            bits.put(u32::from(bit), 1);
        }
    }

    fn corrections(&mut self, bits: &mut BitWriter<'_>) {
        for bit in self.current.drain(..) {
            bits.put(u32::from(bit), 1);
        }
    }

    /// The block ends before its last coefficient.
    fn end_block(&mut self, bits: &mut BitWriter<'_>) {
        self.run += 1;
        self.pending.append(&mut self.current);
        let full = self.limit_bits && self.pending.len() > MAX_BITS as usize;
        if self.run >= self.max_run || full {
            self.end_run(bits);
        }
    }

    fn first_block(&mut self, bits: &mut BitWriter<'_>, block: &Block) {
        let mut zeros = 0;
        let band = block.iter().take(self.last + 1).skip(self.first);
        for value in band {
            let magnitude = i32::from(*value).abs() >> self.low;
            if magnitude == 0 {
                zeros += 1;
                continue;
            }
            self.end_run(bits);
            while zeros > 15 {
                self.symbol(bits, 0xf0, 0, 0);
                zeros -= 16;
            }
            let (size, more) = size_and_bits(magnitude * i32::from(value.signum()));
            self.symbol(bits, zeros << 4 | size, more, size);
            zeros = 0;
        }
        if zeros > 0 {
            self.end_block(bits);
        }
    }

    fn refine_block(&mut self, bits: &mut BitWriter<'_>, block: &Block) {
        let (first, last, low) = (self.first, self.last, self.low);
        let band = || block.iter().enumerate().take(last + 1).skip(first);
        let magnitude = |value: &i16| i32::from(*value).abs() >> low;
        let mut new = band().filter(|(_, value)| magnitude(value) == 1);
        let last_new = new.next_back().map_or(0, |(k, _)| k);
        let mut zeros = 0u32;
        for (k, value) in band() {
            let magnitude = magnitude(value);
            if magnitude == 0 {
                zeros += 1;
                continue;
            }
            // Long runs of zeros, unless the end of the block says it all.
            while zeros > 15 && k <= last_new {
                self.end_run(bits);
                self.symbol(bits, 0xf0, 0, 0);
                self.corrections(bits);
                zeros -= 16;
            }
            if magnitude > 1 {
                self.current.push(magnitude & 1 != 0);
                continue;
            }
            self.end_run(bits);
            let symbol = zeros << 4 | 1;
            self.symbol(bits, symbol, u32::from(*value > 0), 1);
            self.corrections(bits);
            zeros = 0;
        }
        if zeros > 0 || !self.current.is_empty() {
            self.end_block(bits);
        }
    }
}

impl BlockWriter for Ac<'_> {
    fn block(&mut self, bits: &mut BitWriter<'_>, _part: usize, count: u32, block: &Block) {
        if self.cuts.next_if(|cut| **cut <= count).is_some() {
            self.end_run(bits);
        }
        if self.refine {
            self.refine_block(bits, block);
        } else {
            self.first_block(bits, block);
        }
    }

    fn flush(&mut self, bits: &mut BitWriter<'_>) {
        self.end_run(bits);
    }

    fn failed(&self) -> bool {
        self.failed
    }
}

/// What is said where a symbol has no code.
pub(super) const NO_CODE: JpegError = JpegError::Mismatch("a symbol has no code");
