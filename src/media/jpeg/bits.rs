//! Bits of entropy-coded data, with and without stuffed zero bytes (T.81 F.1.2.3).

/// Zero bytes behind the data of an interval: a block takes at most 64 codes of 16 + 15 bits, so that a reader needs
/// to look at the end of the data once per block only.
const SLACK: usize = 64 * 4 + 8;

/// The data between two markers with the stuffed zero bytes removed.
#[derive(Debug, Default)]
pub(super) struct Interval {
    /// The data, then [`SLACK`] zeros.
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Interval {
    /// Takes the data of `file` from byte `start` to the next marker or the end of the file.
    pub(super) fn fill(&mut self, file: &[u8], start: usize) {
        self.data.clear();
        self.start = start;
        let mut rest = file.get(start..).unwrap_or_default();
        loop {
            let plain = rest.iter().position(|b| *b == 0xff).unwrap_or(rest.len());
            let (before, from) = rest.split_at(plain);
            self.data.extend_from_slice(before);
            rest = from;
            match rest {
                [0xff, 0, after @ ..] => {
                    self.data.push(0xff);
                    rest = after;
                }
                _ => break,
            }
        }
        self.end = file.len() - rest.len();
        self.data.resize(self.data.len() + SLACK, 0);
    }

    /// Bytes of data, stuffed ones not counted.
    pub(super) fn len(&self) -> usize {
        self.data.len() - SLACK
    }

    /// Where in the file the byte behind the first `length` bytes of data is.
    pub(super) fn offset(&self, length: usize) -> usize {
        if length >= self.len() {
            return self.end;
        }
        let stuffed = self.data.iter().take(length).filter(|b| **b == 0xff);
        self.start + length + stuffed.count()
    }

    pub(super) fn reader(&self) -> BitReader<'_> {
        BitReader {
            data: &self.data,
            position: 0,
            end: self.len() * 8,
        }
    }
}

/// Reads the bits of an [`Interval`], most significant first.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
    end: usize,
}

impl BitReader<'_> {
    /// The next bits, in the upper part of the word; at least 57 of them are bits of the data or zeros behind it.
    #[inline]
    pub(super) fn window(&self) -> u64 {
        let bytes = self.data.get(self.position >> 3..);
        let word = bytes.and_then(|bytes| bytes.first_chunk::<8>());
        word.map_or(0, |word| u64::from_be_bytes(*word)) << (self.position & 7)
    }

    /// Goes on by `bits`.
    #[inline]
    pub(super) fn skip(&mut self, bits: u32) {
        self.position += bits as usize;
    }

    /// One bit.
    #[inline]
    pub(super) fn bit(&mut self) -> bool {
        let bit = self.window() >> 63 != 0;
        self.position += 1;
        bit
    }

    /// Whether more was read than is there.
    #[inline]
    pub(super) fn overrun(&self) -> bool {
        self.position > self.end
    }

    /// Bits read so far.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The bits of the byte that holds bit `position` from there on (none where a byte begins): number and value.
    pub(super) fn rest_of_byte(&self, position: usize) -> (u32, u8) {
        let used = position & 7;
        if used == 0 {
            return (0, 0);
        }
        let byte = self.data.get(position >> 3).copied().unwrap_or(0);
        let bits = [0, 7, 6, 5, 4, 3, 2, 1].get(used).copied().unwrap_or(0);
        (bits, byte & (0xff >> used))
    }
}

/// Writes bits, most significant first, and a zero byte after each 0xff.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// The bits that are not in `out` yet, the last one lowest; what is above them is garbage.
    held: u64,
    /// 64 less the number of bits in `held`.
    free: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            held: 0,
            free: 64,
        }
    }

    /// Goes on where [`BitWriter::suspend`] stopped: with so many bits (0..=7) that fill no byte yet.
    pub(super) fn resume(out: &'a mut Vec<u8>, count: u8, bits: u8) -> Self {
        let mut writer = Self::new(out);
        writer.put(
            u32::from(bits) & ((1 << (count & 7)) - 1),
            u32::from(count & 7),
        );
        writer
    }

    /// Hands over all whole bytes; returns how many bits are left, and these.
    pub(super) fn suspend(mut self) -> (u8, u8) {
        let left = (64 - self.free) % 8;
        let [.., bits] = self.held.to_be_bytes();
        self.held >>= left;
        self.free += left;
        self.bytes();
        (u8::try_from(left).unwrap_or(0), bits & ((1 << left) - 1))
    }

    /// Writes the lowest `count` (0..=32) bits of `bits`; those above are zero.
    #[inline]
    pub(super) fn put(&mut self, bits: u32, count: u32) {
        let bits = u64::from(bits);
        if self.free >= count {
            self.held = (self.held << count) | bits;
            self.free -= count;
        } else {
            let over = count - self.free;
            let word = (self.held << self.free) | (bits >> over);
            self.word(word);
            self.held = bits;
            self.free = 64 - over;
        }
    }

    #[inline]
    fn word(&mut self, word: u64) {
        let high = 0x8080_8080_8080_8080;
        let bytes = word.to_be_bytes();
        // Whether a byte may be 0xff: its high bit is set and is not after adding one to each byte.
        if word & high & !word.wrapping_add(0x0101_0101_0101_0101) == 0 {
            self.out.extend_from_slice(&bytes);
        } else {
            for byte in bytes {
                self.byte(byte);
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
        if byte == 0xff {
            self.out.push(0);
        }
    }

    /// Bits missing to the end of the current byte (0..=7).
    pub(super) fn missing(&self) -> u32 {
        self.free % 8
    }

    /// Fills the current byte with the lowest bits of `pad` and hands over all bytes.
    pub(super) fn align(&mut self, pad: u8) {
        let missing = self.missing();
        self.put(u32::from(pad) & ((1 << missing) - 1), missing);
        self.bytes();
    }

    /// Hands over the bytes held, which are whole.
    fn bytes(&mut self) {
        let bytes = (64 - self.free) / 8;
        for byte in self.held.to_be_bytes().into_iter().skip(8 - bytes as usize) {
            self.byte(byte);
        }
        self.held = 0;
        self.free = 64;
    }

    /// Bytes in the output so far.
    #[inline]
    pub(super) fn written(&self) -> usize {
        self.out.len()
    }

    /// Writes bytes as they are; only where a byte begins, after [`BitWriter::align`].
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}
