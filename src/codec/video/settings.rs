//! The settings of an object of the video codec; their layout is in the documentation of the codec.

use super::bad;
use super::group::{MOST, PREVIEWS, Shape};
use crate::codec::CodecError;
use crate::codec::segments::SETTINGS;
use crate::coding::motion::Size;
use crate::media::y4m::{Chroma, Header};

/// Samples of a group, unless one frame has more.
const GROUP: usize = 16_000_000;
/// Most samples of a frame.
const FRAME: u64 = 1 << 26;
/// Bytes before those of the previews.
const FIXED: usize = SETTINGS + 12;

/// Ways of chroma by their numbers.
const CHROMAS: [Chroma; 6] = [
    Chroma::Mono,
    Chroma::Half,
    Chroma::Quarter,
    Chroma::Columns,
    Chroma::Full,
    Chroma::Opacity,
];

/// What must be known to read the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// What the segments need.
    pub(super) segments: [u8; SETTINGS],
    pub(super) header: Header,
    /// PSNR of each preview in 1/100 dB.
    pub(super) centi_db: Vec<u16>,
}

impl Settings {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let small = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
        let chroma = CHROMAS.iter().position(|c| *c == self.header.chroma);
        let mut bytes = self.segments.to_vec();
        bytes.extend(self.header.width.to_le_bytes());
        bytes.extend(self.header.height.to_le_bytes());
        let previews = small(self.centi_db.len());
        bytes.extend([self.header.bits, small(chroma.unwrap_or(0)), previews, 0]);
        bytes.extend(self.centi_db.iter().flat_map(|db| db.to_le_bytes()));
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CodecError> {
        let wrong = || bad("settings of a newer program");
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>().ok_or_else(wrong)?;
        let [
            s0,
            s1,
            s2,
            s3,
            w0,
            w1,
            w2,
            w3,
            h0,
            h1,
            h2,
            h3,
            bits,
            chroma,
            previews,
            0,
        ] = *fixed
        else {
            return Err(wrong());
        };
        let (pairs, beyond) = rest.as_chunks::<2>();
        let settings = Self {
            segments: [s0, s1, s2, s3],
            header: Header {
                width: u32::from_le_bytes([w0, w1, w2, w3]),
                height: u32::from_le_bytes([h0, h1, h2, h3]),
                bits,
                chroma: CHROMAS
                    .get(usize::from(chroma))
                    .copied()
                    .ok_or_else(wrong)?,
            },
            centi_db: pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect(),
        };
        let fits = beyond.is_empty()
            && pairs.len() == usize::from(previews)
            && pairs.len() <= PREVIEWS
            && (8..=16).contains(&bits)
            && can_be_coded(&settings.header);
        if fits { Ok(settings) } else { Err(wrong()) }
    }
}

/// Whether frames are no larger than the limit.
pub(super) fn can_be_coded(header: &Header) -> bool {
    let area = u64::from(header.width) * u64::from(header.height);
    // No overflow while planes are counted: four at the most.
    area > 0 && area <= FRAME && shape(header).samples() as u64 <= FRAME
}

/// The shape of frames.
pub(super) fn shape(header: &Header) -> Shape {
    let (columns, rows) = match header.chroma {
        Chroma::Mono | Chroma::Full | Chroma::Opacity => (1, 1),
        Chroma::Half => (2, 2),
        Chroma::Quarter => (4, 1),
        Chroma::Columns => (2, 1),
    };
    let planes = header.planes().into_iter().enumerate();
    let size = |(plane, shape): (usize, crate::media::y4m::Shape)| Size {
        width: shape.width,
        height: shape.height,
        columns: if plane == 0 { 1 } else { columns },
        rows: if plane == 0 { 1 } else { rows },
    };
    Shape {
        planes: planes.map(size).collect(),
        max: header.max(),
    }
}

/// Frames of a group.
pub(super) fn frames(shape: &Shape) -> usize {
    (GROUP / shape.samples().max(1)).clamp(1, MOST)
}
