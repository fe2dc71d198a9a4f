//! Small fields of recipes, read and written: numbers, byte strings, packed blobs.

use super::error::Error;

/// Most bytes of anything inside a recipe that is packed: what is larger is stored as it is.
const MAX_PACKED: usize = 64 << 20;

/// Reads fields from the front of a byte string.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Error::Format("a recipe that ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| Error::Format("a recipe that ends early"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    /// A number: seven bits a byte, the lowest first, the highest bit set but in the last byte.
    pub(super) fn number(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Format("a number of more than 63 bits"))
    }

    /// A number that is a length of something in memory.
    pub(super) fn length(&mut self) -> Result<usize, Error> {
        usize::try_from(self.number()?).map_err(|_| Error::Limit("a length"))
    }

    /// A byte string with its length before it.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.length()?;
        self.take(length)
    }

    /// What [`put_packed`] wrote, of at most `limit` bytes.
    pub(super) fn packed(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let length = self.length()?;
        if length & 1 == 0 {
            return Ok(self.take(length >> 1)?.to_vec());
        }
        let plain = self.length()?;
        if plain > limit.min(MAX_PACKED) {
            return Err(Error::Limit("a packed part of a recipe"));
        }
        let frame = self.take(length >> 1)?;
        let unpacked = zstd::bulk::decompress(frame, plain)
            .map_err(|_| Error::Format("a packed part of a recipe"))?;
        if unpacked.len() == plain {
            Ok(unpacked)
        } else {
            Err(Error::Format("a packed part of another length"))
        }
    }
}

pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

pub(super) fn put_length(out: &mut Vec<u8>, value: usize) {
    put_number(out, value as u64);
}

pub(super) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends bytes as they are or as a zstd frame, whichever is shorter; their length carries the choice in bit 0.
pub(super) fn put_packed(out: &mut Vec<u8>, bytes: &[u8]) {
    let packed = if bytes.len() > 16 && bytes.len() <= MAX_PACKED {
        frame(bytes)
    } else {
        None
    };
    if let Some(frame) = packed.filter(|frame| frame.len() + 4 < bytes.len()) {
        put_length(out, frame.len() << 1 | 1);
        put_length(out, bytes.len());
        out.extend_from_slice(&frame);
    } else {
        put_length(out, bytes.len() << 1);
        out.extend_from_slice(bytes);
    }
}

/// A zstd frame without what the reader knows anyway.
fn frame(bytes: &[u8]) -> Option<Vec<u8>> {
    let level = if bytes.len() > 1 << 20 { 12 } else { 19 };
    let mut compressor = zstd::bulk::Compressor::new(level).ok()?;
    compressor.include_contentsize(false).ok()?;
    compressor.include_checksum(false).ok()?;
    compressor.compress(bytes).ok()
}

/// Adler-32 (RFC 1950, section 8.2).
pub(super) fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    // After 5552 bytes of 255 `b` still fits.
    for chunk in bytes.chunks(5552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    b << 16 | a
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_written() {
        let mut out = Vec::new();
        for number in [0, 1, 127, 128, 300, 1 << 40, (1 << 62) + 5] {
            put_number(&mut out, number);
        }
        put_string(&mut out, b"string");
        put_packed(&mut out, &[7; 5000]);
        put_packed(&mut out, b"as it is");
        let mut fields = Fields::new(&out);
        for number in [0, 1, 127, 128, 300, 1 << 40, (1 << 62) + 5] {
            assert_eq!(fields.number().unwrap(), number);
        }
        assert_eq!(fields.string().unwrap(), b"string");
        assert_eq!(fields.packed(5000).unwrap(), [7; 5000]);
        assert_eq!(fields.packed(5000).unwrap(), b"as it is");
        assert!(fields.is_empty());
        assert!(fields.byte().is_err());
        assert!(Fields::new(&[0xff; 20]).number().is_err());
    }

    #[test]
    fn checksums_of_known_strings() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&vec![0xff; 1 << 20]), {
            let (mut a, mut b) = (1_u64, 0_u64);
            for _ in 0..1 << 20 {
                a = (a + 255) % 65521;
                b = (b + a) % 65521;
            }
            u32::try_from(b << 16 | a).unwrap()
        });
    }
}
