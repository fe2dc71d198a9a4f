//! How a picture is turned, from its EXIF segment (CIPA DC-008, TIFF 6.0).

/// The orientation in the payload of an APP1 segment, if it is an EXIF segment with one: 1 (upright) to 8.
#[must_use]
pub fn orientation(payload: &[u8]) -> Option<u8> {
    let tiff = payload.strip_prefix(b"Exif\0\0")?;
    let little = match tiff.first_chunk::<4>()? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk::<2>()?;
        let value = if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        };
        Some(usize::from(value))
    };
    let long = |at: usize| {
        let (first, second) = (short(at)?, short(at + 2)?);
        let (low, high) = if little {
            (first, second)
        } else {
            (second, first)
        };
        Some(high << 16 | low)
    };
    let directory = long(4)?;
    (0..short(directory)?)
        .map_while(|entry| {
            let at = directory + 2 + 12 * entry;
            Some((short(at)?, short(at + 8)?))
        })
        .find(|(tag, _)| *tag == 0x0112)
        .and_then(|(_, value)| u8::try_from(value).ok())
        .filter(|value| (1..=8).contains(value))
}
