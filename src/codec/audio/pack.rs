//! Byte strings inside of layers: as they are, or a zstd frame.

use super::bad;
use crate::codec::CodecError;

/// Level of zstd.
const LEVEL: i32 = 9;

/// 0 and the bytes, or 1 and a shorter zstd frame of them.
pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut packed = vec![1];
    packed.extend(zstd::bulk::compress(bytes, LEVEL)?);
    if packed.len() > bytes.len() {
        packed = vec![0];
        packed.extend(bytes);
    }
    Ok(packed)
}

/// What was packed, at most `most` bytes.
///
/// # Errors
/// [`CodecError::Format`] for what [`pack`] does not write.
pub(super) fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, CodecError> {
    match packed.split_first() {
        Some((0, bytes)) if bytes.len() <= most => Ok(bytes.to_vec()),
        Some((1, frame)) => {
            zstd::bulk::decompress(frame, most).map_err(|_| bad("bytes that do not unpack"))
        }
        _ => Err(bad("packed bytes")),
    }
}

/// Appends the length of packed bytes (u32) and them.
pub(super) fn put(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), CodecError> {
    let packed = pack(bytes)?;
    let length = u32::try_from(packed.len()).map_err(|_| bad("packed bytes"))?;
    to.extend(length.to_le_bytes());
    to.extend(packed);
    Ok(())
}

/// Takes off what [`put`] appended.
///
/// # Errors
/// [`CodecError::Format`] for what [`put`] does not write.
pub(super) fn take(from: &mut &[u8], most: usize) -> Result<Vec<u8>, CodecError> {
    let (length, rest) = from
        .split_first_chunk()
        .ok_or_else(|| bad("packed bytes"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (packed, rest) = rest
        .split_at_checked(length)
        .ok_or_else(|| bad("packed bytes"))?;
    *from = rest;
    unpack(packed, most)
}
