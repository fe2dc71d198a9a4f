//! What a file is, by its first bytes and never by its name.

/// Kinds of files that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// PNG or APNG.
    Png,
    /// JPEG, any process.
    Jpeg,
    /// Windows or OS/2 bitmap.
    Bmp,
    /// PBM, PGM or PPM, plain or raw (P1-P6).
    Pnm,
    /// PAM (P7).
    Pam,
    /// TIFF, either byte order.
    Tiff,
    /// GIF 87a or 89a.
    Gif,
    /// YUV4MPEG2 video.
    Y4m,
    /// WAVE sound: RIFF, RIFX, RF64 or BW64.
    Wav,
    /// AIFF or AIFF-C sound.
    Aiff,
    /// FLAC sound.
    Flac,
    /// An `ID3v2` tag; what follows it, mostly MPEG audio and sometimes FLAC, is further than [`sniff`] looks.
    Id3,
    /// WebP.
    Webp,
    /// ISO base media: MP4, MOV, HEIC, AVIF.
    IsoMedia,
    /// Matroska or `WebM`.
    Matroska,
    /// Ogg.
    Ogg,
}

/// Bytes that [`sniff`] looks at, at most.
pub const LOOK: usize = 16;

/// The kind of a file that begins with these bytes ([`LOOK`] or more, fewer if the file is shorter).
#[must_use]
pub fn sniff(head: &[u8]) -> Option<Kind> {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    let kind = match head {
        _ if at(0, b"\x89PNG\r\n\x1a\n") => Kind::Png,
        _ if at(0, b"\xff\xd8\xff") => Kind::Jpeg,
        // The reserved fields are zero in all that write them.
        _ if at(0, b"BM") && at(6, &[0; 4]) => Kind::Bmp,
        [b'P', b'1'..=b'6', b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] => Kind::Pnm,
        _ if at(0, b"P7\n") => Kind::Pam,
        _ if at(0, b"II*\0") || at(0, b"MM\0*") => Kind::Tiff,
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => Kind::Gif,
        _ if at(0, b"YUV4MPEG2 ") => Kind::Y4m,
        [b'R', b'I', b'F', b'F' | b'X', ..]
        | [b'R', b'F', b'6', b'4', ..]
        | [b'B', b'W', b'6', b'4', ..]
            if at(8, b"WAVE") =>
        {
            Kind::Wav
        }
        _ if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) => Kind::Aiff,
        _ if at(0, b"fLaC") => Kind::Flac,
        [b'I', b'D', b'3', 2..=4, ..] => Kind::Id3,
        _ if at(0, b"RIFF") && at(8, b"WEBP") => Kind::Webp,
        _ if at(4, b"ftyp") => Kind::IsoMedia,
        _ if at(0, b"\x1aE\xdf\xa3") => Kind::Matroska,
        _ if at(0, b"OggS") => Kind::Ogg,
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_their_first_bytes() {
        let cases: &[(&[u8], Option<Kind>)] = &[
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some(Kind::Png)),
            (b"\x89PNG\r\n\x1a", None),
            (b"\xff\xd8\xff\xe0", Some(Kind::Jpeg)),
            (b"\xff\xd8", None),
            (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0", Some(Kind::Bmp)),
            (b"BMW is a car", None),
            (b"P6\n1 1\n255\n", Some(Kind::Pnm)),
            (b"P1#c", Some(Kind::Pnm)),
            (b"P3x", None),
            (b"P7\nWIDTH 1", Some(Kind::Pam)),
            (b"II*\0\x08\0\0\0", Some(Kind::Tiff)),
            (b"MM\0*\0\0\0\x08", Some(Kind::Tiff)),
            (b"GIF89a", Some(Kind::Gif)),
            (b"YUV4MPEG2 W1", Some(Kind::Y4m)),
            (b"RIFF\0\0\0\0WAVE", Some(Kind::Wav)),
            (b"RF64\xff\xff\xff\xffWAVE", Some(Kind::Wav)),
            (b"BW64\xff\xff\xff\xffWAVE", Some(Kind::Wav)),
            (b"RIFX\0\0\0\0WAVE", Some(Kind::Wav)),
            (b"FORM\0\0\0\0AIFC", Some(Kind::Aiff)),
            (b"fLaC", Some(Kind::Flac)),
            (b"ID3\x04\0\0\0\0\0\0", Some(Kind::Id3)),
            (b"ID3 is a tag", None),
            (b"RIFF\0\0\0\0WEBP", Some(Kind::Webp)),
            (b"\0\0\0\x18ftypheic", Some(Kind::IsoMedia)),
            (b"\x1aE\xdf\xa3", Some(Kind::Matroska)),
            (b"OggS", Some(Kind::Ogg)),
            (b"", None),
            (b"P", None),
        ];
        for (head, kind) in cases {
            assert_eq!(sniff(head), *kind, "{head:?}");
        }
    }
}
