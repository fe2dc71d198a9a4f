//! A survey of a sound as a picture: a band for each channel, marks for time below.
//!
//! A column of a band is light from the least to the greatest sample, dark as far as the root of the mean square; the
//! middle of the band is 0 and its edges are full scale. Columns are blue where the sound is what was stored and amber
//! where it is softer, there with a pale margin of its usual error; what cannot be read is hatched in red. Marks are at
//! round times: long ones a unit of [`Waveform::marks`] apart, short ones the next smaller unit.

use png::{BitDepth, ColorType, Encoder};

use super::survey::{Bin, Level, Survey, Worth};
use crate::media::error::Error;

/// Rows of the marks.
const AXIS: usize = 10;
/// Rows of a short mark.
const SHORT: usize = 4;
/// Columns from one long mark to the next, at least, and from one short one to the next.
const APART: (u64, u64) = (64, 4);
/// Units of time in milliseconds.
const UNITS: [u64; 9] = [
    1, 10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000,
];
/// Least rows of a band.
const LEAST: usize = 8;
/// Most columns and rows.
const MOST: usize = 1 << 14;

/// Red, green and blue of each [`Ink`].
const PALETTE: [[u8; 3]; 11] = [
    [252, 252, 252],
    [205, 205, 205],
    [150, 188, 224],
    [44, 105, 168],
    [251, 229, 196],
    [240, 190, 122],
    [196, 112, 16],
    [248, 205, 203],
    [214, 69, 65],
    [90, 90, 90],
    [232, 232, 232],
];

/// What a pixel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Ink {
    Paper,
    Middle,
    Peak,
    Mean,
    SoftError,
    SoftPeak,
    SoftMean,
    Lost,
    LostHatch,
    Mark,
    Border,
}

/// How to draw a survey.
#[derive(Debug, Clone, Copy)]
pub struct Waveform<'a> {
    /// What to draw.
    pub survey: &'a Survey,
    /// Columns, where there are not more bins: each bin has as many as fit.
    pub width: usize,
    /// Rows of all bands together, about.
    pub height: usize,
    /// SNR of what is softer, in 1/100 dB.
    pub centi_db: Option<u16>,
}

impl Waveform<'_> {
    /// The time from one long mark to the next in milliseconds; `None` without such marks.
    #[must_use]
    pub fn marks(&self) -> Option<u64> {
        self.unit(APART.0)
    }

    /// The picture as a PNG; the same bytes for the same survey.
    ///
    /// # Errors
    /// [`Error::Limit`] for pictures of more columns or rows than anybody looks at.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        let (width, band) = (self.columns(), self.band());
        let height = band * self.survey.channels + AXIS;
        if width > MOST || height > MOST {
            return Err(Error::Limit("columns or rows"));
        }
        let mut pixels = vec![Ink::Paper; width * height];
        let (bands, axis) = pixels.split_at_mut(width * (height - AXIS));
        for (channel, rows) in bands.chunks_exact_mut(width * band).enumerate() {
            self.band_into(channel, rows, width, band);
        }
        self.axis_into(axis, width);
        let packed: Vec<u8> = pixels
            .chunks_exact(width)
            .flat_map(|row| row.chunks(2).map(pair))
            .collect();
        let side = |length: usize| u32::try_from(length).unwrap_or(0);
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, side(width), side(height));
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Four);
        encoder.set_palette(PALETTE.as_flattened());
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&packed)?;
            writer.finish()
        });
        written.map_err(|_| Error::Limit("a PNG"))?;
        Ok(png)
    }

    /// Columns of a bin.
    fn repeat(&self) -> usize {
        let columns = self.width.checked_div(self.survey.bins.len());
        columns.unwrap_or(1).max(1)
    }

    fn columns(&self) -> usize {
        match self.survey.bins.len() {
            0 => self.width.max(1),
            bins => bins * self.repeat(),
        }
    }

    /// Rows of a band.
    fn band(&self) -> usize {
        (self.height / self.survey.channels.max(1)).max(LEAST)
    }

    fn band_into(&self, channel: usize, rows: &mut [Ink], width: usize, band: usize) {
        let middle = row_of(0, band);
        for (y, row) in rows.chunks_exact_mut(width).enumerate() {
            if y + 1 == band {
                row.fill(Ink::Border);
            } else if y == middle {
                row.fill(Ink::Middle);
            }
        }
        for (index, bin) in self.survey.bins.iter().enumerate() {
            for x in index * self.repeat()..(index + 1) * self.repeat() {
                let mut fill = |from: usize, to: usize, ink: &dyn Fn(usize) -> Ink| {
                    let column = rows.iter_mut().skip(x).step_by(width.max(1)).enumerate();
                    for (y, pixel) in column.take(to + 1).skip(from) {
                        *pixel = ink(y);
                    }
                };
                if bin.worth == Worth::Lost {
                    fill(0, band, &|y| match (x + y) % 4 {
                        0 => Ink::LostHatch,
                        _ => Ink::Lost,
                    });
                }
                let Some(level) = bin.levels.get(channel).filter(|_| bin.frames > 0) else {
                    continue;
                };
                let (peak, mean) = match bin.worth {
                    Worth::Exact => (Ink::Peak, Ink::Mean),
                    Worth::Soft | Worth::Lost => (Ink::SoftPeak, Ink::SoftMean),
                };
                let (least, greatest) = (i32::from(level.least), i32::from(level.greatest));
                let rms = rms(bin, level);
                if bin.worth == Worth::Soft {
                    let error = self.error(rms);
                    fill(
                        row_of(greatest + error, band),
                        row_of(least - error, band),
                        &|_| Ink::SoftError,
                    );
                }
                fill(row_of(greatest, band), row_of(least, band), &|_| peak);
                let (high, low) = (rms.min(greatest), (-rms).max(least));
                if low <= high {
                    fill(row_of(high, band), row_of(low, band), &|_| mean);
                }
            }
        }
    }

    /// The usual error of a softer sound with this root of its mean square.
    fn error(&self, rms: i32) -> i32 {
        let Some(centi_db) = self.centi_db else {
            return 0;
        };
        // 10^(-1/20) in 65536ths for each dB, with lines between whole ones.
        let (whole, part) = (centi_db / 100, i64::from(centi_db % 100));
        let mut ratio = 1_i64 << 16;
        for _ in 0..whole.min(120) {
            ratio = (ratio * 58_409) >> 16;
        }
        let next = (ratio * 58_409) >> 16;
        let ratio = ratio - (ratio - next) * part / 100;
        i32::try_from((i64::from(rms) * ratio) >> 16).unwrap_or(0)
    }

    /// The smallest unit of time that takes so many columns.
    fn unit(&self, columns: u64) -> Option<u64> {
        let apart = |unit: &u64| self.column(*unit).is_some_and(|x| x >= columns);
        UNITS.into_iter().find(apart)
    }

    /// The column of a time in milliseconds, whether or not the sound lasts that long.
    fn column(&self, milliseconds: u64) -> Option<u64> {
        let Survey {
            rate,
            frames,
            seen,
            span,
            ..
        } = *self.survey;
        let frame = u128::from(milliseconds) * u128::from(rate) / 1000;
        let shown = (frame * u128::from(seen)).checked_div(frames.into())?;
        let column = (shown * self.repeat() as u128).checked_div(span.into())?;
        u64::try_from(column).ok().filter(|_| rate > 0)
    }

    fn axis_into(&self, axis: &mut [Ink], width: usize) {
        for (apart, rows) in [(APART.1, SHORT), (APART.0, AXIS)] {
            let Some(unit) = self.unit(apart) else {
                continue;
            };
            let columns = (0..).map_while(|i| self.column(unit.checked_mul(i)?));
            let columns = columns.map_while(|x| usize::try_from(x).ok().filter(|x| *x < width));
            for x in columns {
                for row in axis.chunks_exact_mut(width.max(1)).take(rows) {
                    if let Some(pixel) = row.get_mut(x) {
                        *pixel = Ink::Mark;
                    }
                }
            }
        }
    }
}

/// The row of a level in a band, whose last row is a border.
fn row_of(level: i32, band: usize) -> usize {
    let down = i64::from(i16::MAX) - i64::from(level);
    let rows = i64::try_from(band).unwrap_or(i64::MAX) - 1;
    let row = (down * rows / (1 << 16)).clamp(0, (rows - 1).max(0));
    usize::try_from(row).unwrap_or(0)
}

/// The root of the mean square.
fn rms(bin: &Bin, level: &Level) -> i32 {
    let mean = level.squares.checked_div(bin.frames).unwrap_or(0);
    i32::try_from(mean.isqrt()).unwrap_or(i32::MAX)
}

/// Two pixels in a byte.
fn pair(inks: &[Ink]) -> u8 {
    let nibble = |at: usize| inks.get(at).map_or(0, |ink| *ink as u8);
    nibble(0) << 4 | nibble(1)
}

#[cfg(test)]
mod tests;
