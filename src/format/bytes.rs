//! A cursor over bytes that may be anything: each read says what it wants, errors say where.

use super::FormatError;

/// Reads little-endian fields from the front.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(super) fn bytes(
        &mut self,
        length: usize,
        what: &'static str,
    ) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.wrong(what))?;
        self.rest = rest;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], FormatError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.wrong(what))?;
        self.rest = rest;
        self.at += N;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, FormatError> {
        self.array(what).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, FormatError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self, what: &'static str) -> Result<i64, FormatError> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// Bytes that must be what they are: magic numbers and reserved zeros.
    pub(super) fn expect(
        &mut self,
        expected: &[u8],
        what: &'static str,
    ) -> Result<(), FormatError> {
        let at = self.at;
        if self.bytes(expected.len(), what)? == expected {
            Ok(())
        } else {
            Err(FormatError::Malformed { what, offset: at })
        }
    }

    /// The version, which every structure has before all that depends on it.
    pub(super) fn version(&mut self) -> Result<u16, FormatError> {
        match self.u16("truncated version")? {
            version @ 0..=super::VERSION => Ok(version),
            newer => Err(FormatError::Newer(newer)),
        }
    }

    /// A length or count, with its limit.
    pub(super) fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, FormatError> {
        let value = self.u32(what)?;
        usize::try_from(value)
            .ok()
            .filter(|&v| v <= limit)
            .ok_or(FormatError::Limit {
                what,
                value: value.into(),
                limit: limit as u64,
            })
    }

    /// An error at the place reached.
    pub(super) fn wrong(&self, what: &'static str) -> FormatError {
        FormatError::Malformed {
            what,
            offset: self.at,
        }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Fails unless all has been read.
    pub(super) fn end(&self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.wrong("bytes after the end"))
        }
    }
}
