//! RIFF WAVE and its kin: RF64, BW64 (EBU Tech 3306, ITU-R BS.2088) and RIFX.
//!
//! What headers claim need not be true: samples that would reach beyond the end of the file end with it, a length that
//! was never filled in means the rest of the file. No claim can make bytes ambiguous, since all that is not taken for a
//! sample is kept as it is.

use super::chunks::{Chunk, Headers, MAX_CHUNKS, frames};
use super::{Encoding, Format, MAX_CHANNELS, Number, Order, ParseError, Pcm, Source};
use crate::media::error::Error;

/// Length that stands for one in `ds64`, or for one that is not known.
const UNKNOWN: u32 = u32::MAX;
/// Integers (`WAVE_FORMAT_PCM`).
const TAG_PCM: u32 = 1;
/// Floats (`WAVE_FORMAT_IEEE_FLOAT`).
const TAG_FLOAT: u32 = 3;
/// A tag that is longer (`WAVE_FORMAT_EXTENSIBLE`).
const TAG_EXTENSIBLE: u32 = 0xfffe;

/// Finds the samples of a file.
///
/// # Errors
/// [`Error::Format`] for other files, [`Error::Unsupported`] for packed samples, more than [`MAX_CHANNELS`] channels
/// and files without a chunk of samples or of their format.
pub(super) fn parse(size: u64, source: &mut Source<'_>) -> Result<Pcm, ParseError> {
    let mut magic = [0; 12];
    if size < 12 {
        return Err(Error::Format("not a WAVE file").into());
    }
    source(0, &mut magic)?;
    let order = match &magic {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E']
        | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E']
        | [b'B', b'W', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E'] => Order::Little,
        [b'R', b'I', b'F', b'X', _, _, _, _, b'W', b'A', b'V', b'E'] => Order::Big,
        _ => return Err(Error::Format("not a WAVE file").into()),
    };
    let mut headers = Headers::new(size, source, order);
    let claimed = headers.long(4)?;
    let (mut format, mut data, mut long) = (None, None, None);
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let Some(chunk) = headers.chunk(at)? else {
            break;
        };
        match &chunk.id {
            b"ds64" if long.is_none() => long = Some(headers.double(chunk.at + 8)?),
            b"fmt " if format.is_none() => {
                format = Some(parse_format(&mut headers, &chunk, order)?);
            }
            b"data" if data.is_none() => {
                let end = end(&chunk, claimed, long, size);
                data = Some((chunk.at, end));
                // Chunks may follow a length in `ds64`.
                at = end.saturating_add(end % 2);
                if format.is_some() {
                    break;
                }
                continue;
            }
            _ => {}
        }
        if data.is_some() && format.is_some() {
            break;
        }
        at = headers.after(&chunk)?;
    }
    let format: Format = format.ok_or(Error::Unsupported("no format of the samples"))?;
    let (start, end) = data.ok_or(Error::Unsupported("no samples"))?;
    Ok(Pcm {
        data: frames(start, end, size, format.frame_bytes()),
        format,
    })
}

/// Where the samples end.
fn end(chunk: &Chunk, claimed: u32, long: Option<u64>, size: u64) -> u64 {
    // The file claims to end before its samples: both lengths were to be filled in later.
    let unfinished = u64::from(claimed) + 8 <= chunk.at;
    match (chunk.length, long) {
        (UNKNOWN, Some(length)) => chunk.at.saturating_add(length),
        (UNKNOWN, None) => size,
        (0, _) if unfinished => size,
        _ => chunk.content().end,
    }
}

fn parse_format(
    headers: &mut Headers<'_, '_>,
    chunk: &Chunk,
    order: Order,
) -> Result<Format, ParseError> {
    let at = chunk.at;
    let mut tag = u32::from(headers.short(at)?);
    let channels = headers.short(at + 2)?;
    let rate = headers.long(at + 4)?;
    let frame_bytes = headers.short(at + 12)?;
    let bits = headers.short(at + 14)?;
    if tag == TAG_EXTENSIBLE && chunk.length >= 28 {
        // The first field of the subformat's GUID.
        tag = headers.long(at + 24)?;
    }
    if channels == 0 || channels > MAX_CHANNELS {
        return Err(Error::Unsupported("a number of channels").into());
    }
    // Samples of fewer bits than their bytes hold are in the upper ones, so that the bytes are all that counts.
    let claimed = frame_bytes / channels;
    let bytes = if frame_bytes.is_multiple_of(channels) && (1..=4).contains(&claimed) {
        claimed
    } else {
        bits.div_ceil(8)
    };
    let number = match (tag, bytes) {
        (TAG_PCM, 1) => Number::Unsigned,
        (TAG_PCM, 2..=4) => Number::Signed,
        (TAG_FLOAT, 4) => Number::Float,
        _ => return Err(Error::Unsupported("samples of a form that is not known").into()),
    };
    Ok(Format {
        channels,
        rate: rate.max(1),
        encoding: Encoding {
            number,
            bytes: u8::try_from(bytes).unwrap_or(0),
            order,
        },
    })
}
