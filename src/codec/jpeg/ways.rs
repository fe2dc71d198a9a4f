//! Choices that encoder and decoder share: how DC is coded, and where previews end.

use crate::codec::CodecError;

use super::bytes::bad;

/// How DC becomes bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dc {
    /// The wavelet, down to exact values.
    Wavelet,
    /// The wavelet for the previews, then the rest.
    Both,
    /// Only the rest: there are no previews.
    Rest,
}

impl Dc {
    /// Two bits for each component.
    pub(super) fn pack(all: &[Self]) -> u8 {
        all.iter().rev().fold(0, |byte, dc| {
            byte << 2
                | match dc {
                    Self::Wavelet => 0,
                    Self::Both => 1,
                    Self::Rest => 2,
                }
        })
    }

    pub(super) fn unpack(byte: u8, components: usize) -> Result<Vec<Self>, CodecError> {
        let dc = |index: usize| match byte >> (2 * index) & 3 {
            0 => Ok(Self::Wavelet),
            1 => Ok(Self::Both),
            2 => Ok(Self::Rest),
            _ => Err(bad("another way for DC")),
        };
        (0..components.min(4)).map(dc).collect()
    }
}

/// A place in the order of significance, where a preview ends.
///
/// Bands often have the same weight, and a cut that takes a plane of all of them is coarse: 1 dB and more. Therefore a
/// cut also says up to which coefficient in zigzag order it counts; above, the next higher one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cut(pub(super) i32);

impl Cut {
    /// Cut as the layered coder understands it, and the last coefficient for which it counts.
    pub(super) fn parts(self) -> (i16, usize) {
        let cut = i16::try_from(self.0.div_euclid(64)).unwrap_or(i16::MAX - 1);
        (
            cut,
            usize::try_from(63 - self.0.rem_euclid(64)).unwrap_or(0),
        )
    }

    /// The cut as the layered coder understands it for a coefficient.
    pub(super) fn of(self, k: usize) -> i16 {
        let (cut, upto) = self.parts();
        if k <= upto {
            cut
        } else {
            cut.saturating_add(1)
        }
    }
}
