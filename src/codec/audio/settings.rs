//! Settings of the codec: what belongs to the whole file.

use crate::codec::{CodecError, segments};
use crate::media::sound::flac::Info;
use crate::media::sound::{Encoding, Format, MAX_CHANNELS, Number, Order};

/// The most previews.
pub(super) const PREVIEWS: usize = 4;
/// Bytes without the previews' quality.
const FIXED: usize = segments::SETTINGS + 20;
/// Bytes of a piece of what lies around the samples.
pub(super) const PIECE: u64 = 1 << 20;

/// How samples lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// As they are.
    Plain(Format),
    /// In FLAC frames. How many there are is not known here.
    Flac(Info),
}

impl Container {
    pub(super) fn channels(&self) -> usize {
        usize::from(match self {
            Self::Plain(format) => format.channels,
            Self::Flac(info) => info.channels,
        })
    }
}

/// Number of FLAC frames where others have the number of plain samples.
const FLAC: u8 = 3;

/// Everything that is not in the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Settings of the segments.
    pub(super) segments: [u8; segments::SETTINGS],
    pub(super) container: Container,
    /// Bytes before the samples.
    pub(super) head: u64,
    /// Bytes after them.
    pub(super) tail: u64,
    /// SNR with the first layers, in 1/100 dB; 65535 for no error.
    pub(super) centi_db: Vec<u16>,
}

impl Settings {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.segments.to_vec();
        bytes.push(u8::try_from(self.centi_db.len()).unwrap_or(0));
        bytes.push(u8::try_from(self.container.channels()).unwrap_or(0));
        let (width, number, rate, longest) = match self.container {
            Container::Flac(info) => (info.bits, FLAC, info.rate, info.longest),
            Container::Plain(Format { encoding, rate, .. }) => {
                let number = match encoding.number {
                    Number::Unsigned => 0,
                    Number::Signed => 1,
                    Number::Float => 2,
                };
                let order = u8::from(encoding.order == Order::Big) << 4;
                (encoding.bytes, number | order, rate, 0)
            }
        };
        bytes.extend([width, number]);
        bytes.extend(rate.to_le_bytes());
        for length in [self.head, self.tail] {
            // Pieces of an encoder are below 2^32 bytes together.
            bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend(longest.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(self.centi_db.iter().flat_map(|db| db.to_le_bytes()));
        bytes
    }

    /// Reads settings.
    ///
    /// # Errors
    /// [`CodecError::Format`] for what [`Settings::to_bytes`] does not write.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CodecError> {
        let bad = || CodecError::Format("audio: settings".to_owned());
        let (fixed, previews) = bytes.split_first_chunk::<FIXED>().ok_or_else(bad)?;
        let [s0, s1, s2, s3, count, channels, width, number, rest @ ..] = *fixed;
        let [r0, r1, r2, r3, h0, h1, h2, h3, t0, t1, t2, t3, l0, l1, 0, 0] = rest else {
            return Err(bad());
        };
        let rate = u32::from_le_bytes([r0, r1, r2, r3]);
        let channels = u16::from(channels);
        let (previews, odd) = previews.as_chunks::<2>();
        if !(1..=MAX_CHANNELS).contains(&channels)
            || usize::from(count) != previews.len()
            || previews.len() > PREVIEWS
            || !odd.is_empty()
            || number >> 4 > 1
        {
            return Err(bad());
        }
        let order = if number >> 4 == 0 {
            Order::Little
        } else {
            Order::Big
        };
        let plain = |number| {
            let encoding = Encoding {
                number,
                bytes: width,
                order,
            };
            Container::Plain(Format {
                channels,
                rate,
                encoding,
            })
        };
        let container = match (number & 15, width) {
            (0, 1..=4) => plain(Number::Unsigned),
            (1, 1..=4) => plain(Number::Signed),
            (2, 4) => plain(Number::Float),
            (FLAC, 4..=32) => Container::Flac(Info {
                channels,
                bits: width,
                rate,
                total: 0,
                longest: u16::from_le_bytes([l0, l1]),
            }),
            _ => return Err(bad()),
        };
        Ok(Self {
            segments: [s0, s1, s2, s3],
            container,
            head: u64::from(u32::from_le_bytes([h0, h1, h2, h3])),
            tail: u64::from(u32::from_le_bytes([t0, t1, t2, t3])),
            centi_db: previews.iter().map(|db| u16::from_le_bytes(*db)).collect(),
        })
    }

    /// Layers with bytes.
    pub(super) fn layers(&self) -> usize {
        self.centi_db.len() + 1
    }
}
