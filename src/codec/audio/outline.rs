//! What of a container's chunks must be there for a file to be valid: headers, not contents.

/// Bytes of each chunk's content that stay: formats and dates fit, pictures and lyrics do not.
const KEPT: usize = 64;

/// The same number of bytes, in which the content of chunks is zeros from a point on. `head` begins with the form's
/// own header of 12 bytes (`RIFF`, `FORM` and their like), anything else with a chunk. What cannot be walked stays.
pub(super) fn outline(bytes: &[u8], head: bool) -> Vec<u8> {
    let mut outline = bytes.to_vec();
    let big = bytes.starts_with(b"FORM");
    let mut at = if head { 12 } else { 0 };
    while let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let [name @ .., s0, s1, s2, s3] = *header;
        if !name.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            break;
        }
        let size = if big {
            u32::from_le_bytes([s3, s2, s1, s0])
        } else {
            u32::from_le_bytes([s0, s1, s2, s3])
        };
        let start = at + 8;
        let end = start.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        let kept = start.saturating_add(KEPT);
        if let Some(content) = outline.get_mut(kept.min(end)..end.min(bytes.len())) {
            content.fill(0);
        }
        at = end.saturating_add(end % 2);
    }
    outline
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]

    use super::*;

    #[test]
    fn headers_of_chunks_stay() {
        for big in [false, true] {
            let size = |n: u8| if big { [0, 0, 0, n] } else { [n, 0, 0, 0] };
            let mut file = if big {
                b"FORM....AIFF"
            } else {
                b"RIFF....WAVE"
            }
            .to_vec();
            file.extend(b"note");
            file.extend(size(201));
            file.extend([7; 202]);
            file.extend(b"fmt ");
            file.extend(size(16));
            file.extend([9; 16]);
            let kept = outline(&file, true);
            assert_eq!(kept.len(), file.len());
            assert_eq!(kept[..20 + KEPT], file[..20 + KEPT]);
            assert!(kept[20 + KEPT..20 + 201].iter().all(|byte| *byte == 0));
            assert_eq!(kept[20 + 202..], file[20 + 202..]);
        }
    }

    #[test]
    fn anything_else_stays() {
        for file in [&b""[..], b"RIFF", b"\0\0\0\0\0\0\0\0more", &[200; 500]] {
            assert_eq!(outline(file, false), file);
            assert_eq!(outline(file, true).len(), file.len());
        }
    }
}
