//! The checksums of frames (RFC 9639, sections 9.1.8 and 9.3).

/// Remainders of bytes by x^16 + x^15 + x^2 + 1.
const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u16;
    while byte < 256 {
        let mut value = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            value = value << 1 ^ if value >> 15 == 1 { 0x8005 } else { 0 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "a constant, checked when compiled")]
        {
            table[byte as usize] = value;
        }
        byte += 1;
    }
    table
}

/// CRC-16 of a frame without its last two bytes.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let [low, high] = crc.to_le_bytes();
        let next = TABLE.get(usize::from(high ^ byte)).copied().unwrap_or(0);
        next ^ u16::from(low) << 8
    })
}

/// CRC-8 of a frame's header without its last byte.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            crc << 1 ^ if crc >> 7 == 1 { 7 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_known_bytes() {
        // CRC-16/UMTS and CRC-8/SMBUS of the usual string.
        assert_eq!(crc16(b"123456789"), 0xfee8);
        assert_eq!(crc8(b"123456789"), 0xf4);
    }
}
