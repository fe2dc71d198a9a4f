//! Numbers and pieces in byte strings.

use crate::codec::CodecError;

/// Appends a number as LEB128: seven bits a byte, lowest first.
pub(super) fn number(out: &mut Vec<u8>, value: usize) {
    let mut value = value;
    while value >= 0x80 {
        out.push(low(value) | 0x80);
        value >>= 7;
    }
    out.push(low(value));
}

fn low(value: usize) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

/// Appends a piece after its length.
pub(super) fn piece(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads what the functions above have written.
#[derive(Debug)]
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl<'a> Take<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, CodecError> {
        let (byte, rest) = self.0.split_first().ok_or_else(short)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// A number of at most 35 bits.
    pub(super) fn number(&mut self) -> Result<usize, CodecError> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(bad("a number is too long"))
    }

    pub(super) fn piece(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.number()?;
        self.bytes(length)
    }
}

/// What does not fit the format.
pub(super) fn bad(what: impl std::fmt::Display) -> CodecError {
    CodecError::Format(format!("jpeg: {what}"))
}

fn short() -> CodecError {
    bad("a structure ends too early")
}
