//! AIFF and AIFF-C (Audio Interchange File Format 1.3, Apple 1989; AIFF-C, 1991).

use super::chunks::{Chunk, Headers, MAX_CHUNKS, frames};
use super::{Encoding, Format, MAX_CHANNELS, Number, Order, ParseError, Pcm, Source};
use crate::media::error::Error;

/// Finds the samples of a file.
///
/// # Errors
/// [`Error::Format`] for other files, [`Error::Unsupported`] for packed samples, more than [`MAX_CHANNELS`] channels
/// and files without a chunk of samples or of their format.
pub(super) fn parse(size: u64, source: &mut Source<'_>) -> Result<Pcm, ParseError> {
    let mut headers = Headers::new(size, source, Order::Big);
    let packed = match (&headers.bytes(0)?, &headers.bytes(8)?) {
        (b"FORM", b"AIFF") => false,
        (b"FORM", b"AIFC") => true,
        _ => return Err(Error::Format("not an AIFF file").into()),
    };
    let (mut common, mut data) = (None, None);
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let Some(chunk) = headers.chunk(at)? else {
            break;
        };
        match &chunk.id {
            b"COMM" if common.is_none() => {
                common = Some(parse_common(&mut headers, &chunk, packed)?);
            }
            b"SSND" if data.is_none() => {
                let offset = headers.long(chunk.at)?;
                let start = chunk.at + 8 + u64::from(offset);
                data = Some((start, chunk.content().end));
            }
            _ => {}
        }
        if common.is_some() && data.is_some() {
            break;
        }
        at = headers.after(&chunk)?;
    }
    let (format, count): (Format, u32) =
        common.ok_or(Error::Unsupported("no format of the samples"))?;
    let (start, end) = data.ok_or(Error::Unsupported("no samples"))?;
    // What is in the chunk beyond the frames that the file claims is no sample; none claimed means not filled in.
    let claimed = start + u64::from(count) * format.frame_bytes() as u64;
    let end = match (count, end <= start) {
        (0, true) => size,
        (0, false) => end,
        (_, true) => claimed,
        (_, false) => end.min(claimed),
    };
    Ok(Pcm {
        data: frames(start, end, size, format.frame_bytes()),
        format,
    })
}

/// The format and how many frames there are.
fn parse_common(
    headers: &mut Headers<'_, '_>,
    chunk: &Chunk,
    packed: bool,
) -> Result<(Format, u32), ParseError> {
    let at = chunk.at;
    let channels = headers.short(at)?;
    let count = headers.long(at + 2)?;
    let bits = headers.short(at + 6)?;
    let rate = extended(headers.short(at + 8)?, headers.double(at + 10)?);
    let kind = if packed && chunk.length >= 22 {
        headers.bytes(at + 18)?
    } else {
        *b"NONE"
    };
    if channels == 0 || channels > MAX_CHANNELS {
        return Err(Error::Unsupported("a number of channels").into());
    }
    let bytes = u8::try_from(bits.div_ceil(8)).unwrap_or(0);
    let (number, bytes, order) = match &kind {
        b"NONE" | b"none" | b"twos" => (Number::Signed, bytes, Order::Big),
        b"sowt" => (Number::Signed, bytes, Order::Little),
        b"raw " => (Number::Unsigned, bytes, Order::Big),
        b"in24" => (Number::Signed, 3, Order::Big),
        b"42ni" => (Number::Signed, 3, Order::Little),
        b"in32" => (Number::Signed, 4, Order::Big),
        b"23ni" => (Number::Signed, 4, Order::Little),
        b"fl32" | b"FL32" => (Number::Float, 4, Order::Big),
        _ => return Err(Error::Unsupported("samples of a form that is not known").into()),
    };
    if !(1..=4).contains(&bytes) {
        return Err(Error::Unsupported("samples of a form that is not known").into());
    }
    let format = Format {
        channels,
        rate,
        encoding: Encoding {
            number,
            bytes,
            order,
        },
    };
    Ok((format, count))
}

/// The whole part of an extended number (IEEE 754, 80 bits); 1 for what is no rate.
fn extended(exponent: u16, significand: u64) -> u32 {
    // The significand has 63 bits behind its point.
    let shift = (16383 + 63_u32).checked_sub(u32::from(exponent));
    let rate = shift.and_then(|shift| significand.checked_shr(shift));
    let rate = rate.and_then(|rate| u32::try_from(rate).ok());
    rate.unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_80_bits() {
        let cases = [
            (0x400e, 0xac44_0000_0000_0000, 44100),
            (0x400e, 0xbb80_0000_0000_0000, 48000),
            (0x400b, 0xfa00_0000_0000_0000, 8000),
            (0x4010, 0xbb80_0000_0000_0000, 192_000),
            (0, 0, 1),
            (0x7fff, u64::MAX, 1),
            (0x3ffe, 1 << 63, 1),
            (0xffff, u64::MAX, 1),
        ];
        for (exponent, significand, rate) in cases {
            assert_eq!(extended(exponent, significand), rate);
        }
    }
}
