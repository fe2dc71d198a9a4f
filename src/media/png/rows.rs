//! Between samples and the rows of bytes that PNG filters (PNG, clauses 7 and 8).

use super::Header;
use crate::media::error::Error;
use crate::media::raster::Raster;

/// One pass of an interlaced picture, or all of another: every `dx`-th pixel of every `dy`-th row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    x: usize,
    y: usize,
    dx: usize,
    dy: usize,
    /// Pixels in a row.
    width: usize,
    pub(super) height: usize,
    /// Bytes in a row, without the filter's.
    pub(super) bytes: usize,
}

/// First column and row of the passes of Adam7, and their steps.
const ADAM7: [(usize, usize, usize, usize); 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

/// The passes that have pixels.
pub(super) fn passes(header: &Header) -> Vec<Pass> {
    let all: &[_] = if header.interlaced {
        &ADAM7
    } else {
        &[(0, 0, 1, 1)]
    };
    let (width, height) = (header.width as usize, header.height as usize);
    let pass = |&(x, y, dx, dy): &(usize, usize, usize, usize)| {
        let columns = width.saturating_sub(x).div_ceil(dx);
        Pass {
            x,
            y,
            dx,
            dy,
            width: columns,
            height: height.saturating_sub(y).div_ceil(dy),
            bytes: (columns * header.pixel_bits()).div_ceil(8),
        }
    };
    let passes = all.iter().map(pass);
    passes.filter(|p| p.width > 0 && p.height > 0).collect()
}

impl Pass {
    /// Bits of a row's last byte that no pixel uses.
    pub(super) fn padding(&self, header: &Header) -> u32 {
        let used = self.width * header.pixel_bits();
        u32::try_from(self.bytes * 8 - used).unwrap_or(0)
    }

    /// Puts a row of the pass into the picture.
    pub(super) fn read(&self, row: usize, bytes: &[u8], raster: &mut Raster) -> Result<(), Error> {
        let start = (self.y + row * self.dy) * raster.stride();
        let (bits, channels) = (raster.bits(), raster.planes.len());
        let end = start + raster.stride();
        for (channel, plane) in raster.planes.iter_mut().enumerate() {
            let line = plane
                .get_mut(start..end)
                .and_then(|line| line.get_mut(self.x..))
                .ok_or(Error::Format("a row outside the picture"))?;
            let out = line.iter_mut().step_by(self.dx);
            match bits {
                16 => {
                    let samples = bytes.as_chunks::<2>().0.iter().skip(channel);
                    for (o, s) in out.zip(samples.step_by(channels)) {
                        *o = u16::from_be_bytes(*s);
                    }
                }
                8 => {
                    let samples = bytes.iter().skip(channel).step_by(channels);
                    for (o, s) in out.zip(samples) {
                        *o = u16::from(*s);
                    }
                }
                _ => {
                    let mask = (1_u16 << bits) - 1;
                    let unpacked = bytes.iter().flat_map(|byte| {
                        (0..8 / bits)
                            .rev()
                            .map(move |i| u16::from(*byte) >> (i * bits) & mask)
                    });
                    for (o, s) in out.zip(unpacked) {
                        *o = s;
                    }
                }
            }
        }
        Ok(())
    }

    /// The bytes of a row of the pass; unused bits are 0.
    pub(super) fn write(&self, row: usize, raster: &Raster, out: &mut [u8]) -> Result<(), Error> {
        let start = (self.y + row * self.dy) * raster.stride();
        let (bits, channels) = (raster.bits(), raster.planes.len());
        let end = start + raster.stride();
        for (channel, plane) in raster.planes.iter().enumerate() {
            let line = plane
                .get(start..end)
                .and_then(|line| line.get(self.x..))
                .ok_or(Error::Format("a row outside the picture"))?;
            let samples = line.iter().step_by(self.dx);
            match bits {
                16 => {
                    let out = out.as_chunks_mut::<2>().0.iter_mut().skip(channel);
                    for (o, s) in out.step_by(channels).zip(samples) {
                        *o = s.to_be_bytes();
                    }
                }
                8 => {
                    let out = out.iter_mut().skip(channel).step_by(channels);
                    for (o, s) in out.zip(samples) {
                        *o = s.to_le_bytes()[0];
                    }
                }
                _ => {
                    let mut samples = samples;
                    let mask = (1_u16 << bits) - 1;
                    for byte in out.iter_mut() {
                        let mut packed = 0;
                        for _ in 0..8 / bits {
                            packed = packed << bits | samples.next().map_or(0, |s| s & mask);
                        }
                        *byte = packed.to_le_bytes()[0];
                    }
                }
            }
        }
        Ok(())
    }
}
