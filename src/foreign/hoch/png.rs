//! A PNG writer whose every byte is fixed: 8-bit RGB, no filters, stored deflate, one IDAT chunk.
//!
//! The same pixels give the same bytes for ever, and the size follows from width and height alone:
//! `63 + raw + 5 * ceil(raw / 65535)` with `raw = height * (1 + 3 * width)`. A picture of 61 times 40 pixels takes
//! 7,428 bytes: `raw` is 7,360, in one block.
//!
//! ```text
//! signature 8 | IHDR 12 + 13 | IDAT 12 + zlib | IEND 12
//! zlib: 78 01 | blocks: 00 or, the last, 01; length, its complement (u16 LE); bytes | Adler-32
//! ```
//! (PNG specification, third edition; RFC 1950; RFC 1951, 3.2.4.)

use flate2::Crc;

use crate::foreign::holo::usize_of;

/// Most bytes of a stored block.
const BLOCK: u64 = 65_535;
/// Everything but rows and block headers: signature, three chunks, and zlib's header and checksum.
const FIXED: u64 = 8 + (12 + 13) + 12 + 12 + 6;

/// Bytes of all rows, each with its filter type before it.
fn raw_size(width: u32, height: u32) -> u64 {
    let row = 1 + 3 * u64::from(width);
    row.saturating_mul(height.into())
}

/// Size in bytes of the file for a picture.
pub(super) fn size(width: u32, height: u32) -> u64 {
    let raw = raw_size(width, height);
    let blocks = raw.div_ceil(BLOCK);
    raw.saturating_add(5 * blocks).saturating_add(FIXED)
}

/// The file for a picture of `3 * width * height` samples; neither side is 0, and [`size`] is below 2^31.
pub(super) fn write(width: u32, height: u32, samples: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(usize_of(size(width, height)));
    out.extend_from_slice(b"\x89PNG\r\n\x1a\n");
    let mut header = Vec::with_capacity(13);
    header.extend(big_endian(width));
    header.extend(big_endian(height));
    header.extend([8, 2, 0, 0, 0]); // bits, RGB, deflate, adaptive filters, not interlaced
    begin(&mut out, 13, *b"IHDR");
    out.extend(header);
    end(&mut out, 13);
    let data = size(width, height) - (FIXED - 6);
    let data = u32::try_from(data).unwrap_or(u32::MAX);
    begin(&mut out, data, *b"IDAT");
    out.extend([0x78, 0x01]); // 32 KiB window, no dictionary, fastest
    let mut blocks = Blocks {
        left: raw_size(width, height),
        room: 0,
    };
    let mut adler = Adler::default();
    let row = usize_of(3 * u64::from(width));
    for row in samples.chunks_exact(row) {
        for piece in [&[0][..], row] {
            adler.update(piece);
            blocks.write(&mut out, piece);
        }
    }
    out.extend(big_endian(adler.sum()));
    end(&mut out, data);
    begin(&mut out, 0, *b"IEND");
    end(&mut out, 0);
    out
}

#[expect(clippy::big_endian_bytes, reason = "PNG and zlib are big-endian")]
fn big_endian(word: u32) -> [u8; 4] {
    word.to_be_bytes()
}

/// Begins a chunk of so many bytes.
fn begin(out: &mut Vec<u8>, length: u32, name: [u8; 4]) {
    out.extend(big_endian(length));
    out.extend(name);
}

/// Ends the chunk of so many bytes: the checksum over its name and data.
fn end(out: &mut Vec<u8>, length: u32) {
    let covered = usize_of(u64::from(length) + 4);
    let start = out.len().saturating_sub(covered);
    let mut crc = Crc::new();
    crc.update(out.get(start..).unwrap_or_default());
    out.extend(big_endian(crc.sum()));
}

/// Stored deflate blocks under way.
struct Blocks {
    /// Bytes of the whole stream that are still to come.
    left: u64,
    /// Of these, bytes of the block that is open.
    room: u64,
}

impl Blocks {
    fn write(&mut self, out: &mut Vec<u8>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room == 0 {
                self.room = self.left.min(BLOCK);
                let length = u16::try_from(self.room).unwrap_or(u16::MAX);
                out.push(u8::from(self.left == self.room));
                out.extend(length.to_le_bytes());
                out.extend((!length).to_le_bytes());
            }
            let (now, later) = bytes.split_at(usize_of(self.room).min(bytes.len()));
            out.extend_from_slice(now);
            self.room -= now.len() as u64;
            self.left = self.left.saturating_sub(now.len() as u64);
            bytes = later;
        }
    }
}

/// Adler-32 (RFC 1950, section 8.2).
struct Adler {
    a: u32,
    b: u32,
}

impl Default for Adler {
    fn default() -> Self {
        Self { a: 1, b: 0 }
    }
}

impl Adler {
    fn update(&mut self, bytes: &[u8]) {
        // The most bytes for which neither sum overflows 32 bits.
        for piece in bytes.chunks(5552) {
            for byte in piece {
                self.a += u32::from(*byte);
                self.b += self.a;
            }
            self.a %= 65_521;
            self.b %= 65_521;
        }
    }

    fn sum(&self) -> u32 {
        self.b << 16 | self.a
    }
}
