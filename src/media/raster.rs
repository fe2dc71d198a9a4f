//! Pictures as planes of samples.

use super::error::Error;

/// Most samples of a picture: 2^28, which is 512 MiB in memory.
pub const MAX_SAMPLES: u64 = 1 << 28;

/// What the planes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Colour {
    /// One plane.
    Grey,
    /// Grey and alpha.
    GreyAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
    /// One plane of numbers in a palette.
    Palette(Palette),
}

/// Colours by number; numbers past the end are allowed in planes and shown as the last colour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Palette {
    /// Red, green and blue, 8 bits each; 1..=256 of them.
    pub colours: Vec<[u8; 3]>,
    /// Alpha of the first colours; the others are opaque.
    pub alpha: Vec<u8>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    /// Samples in a row, 1 or more.
    pub width: u32,
    /// Rows, 1 or more.
    pub height: u32,
    /// Greatest sample, 1 or more: 255 for 8 bits.
    pub max: u16,
    /// What the planes are.
    pub colour: Colour,
    /// As many planes as [`Colour::channels`] says, each `width` x `height` samples, row by row from the top.
    pub planes: Vec<Vec<u16>>,
}

impl Colour {
    /// Planes of a picture.
    #[must_use]
    pub fn channels(&self) -> usize {
        match self {
            Self::Grey | Self::Palette(_) => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

impl Raster {
    /// A picture whose samples are all 0.
    ///
    /// # Errors
    /// [`Error::Format`] for a side or a greatest sample of 0, [`Error::Limit`] above [`MAX_SAMPLES`].
    pub fn new(width: u32, height: u32, max: u16, colour: Colour) -> Result<Self, Error> {
        if width == 0 || height == 0 || max == 0 {
            return Err(Error::Format("a picture without pixels"));
        }
        let area = samples(width, height, colour.channels())?;
        let planes = vec![vec![0; area]; colour.channels()];
        Ok(Self {
            width,
            height,
            max,
            colour,
            planes,
        })
    }

    /// Bits that the greatest sample takes.
    #[must_use]
    pub fn bits(&self) -> u32 {
        u16::BITS - self.max.leading_zeros()
    }

    /// Samples in a row.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.width as usize
    }

    /// A palette picture as red, green and blue of 8 bits, with alpha where the palette has any; others as they are.
    #[must_use]
    pub fn expanded(&self) -> Self {
        let Colour::Palette(palette) = &self.colour else {
            return self.clone();
        };
        let mut colour = Colour::Rgb;
        if palette.alpha.iter().any(|alpha| *alpha < 255) {
            colour = Colour::Rgba;
        }
        let last = palette.colours.last().copied().unwrap_or_default();
        let tables: Vec<Vec<u16>> = (0..colour.channels())
            .map(|channel| {
                (0..256)
                    .map(|number: usize| {
                        let rgb = palette.colours.get(number).copied().unwrap_or(last);
                        let alpha = palette.alpha.get(number).copied().unwrap_or(255);
                        u16::from(rgb.get(channel).copied().unwrap_or(alpha))
                    })
                    .collect()
            })
            .collect();
        let numbers = self.planes.first().map_or(&[][..], Vec::as_slice);
        let planes = tables.iter().map(|table| {
            let shown = |number: &u16| table.get(usize::from(*number)).copied().unwrap_or(0);
            numbers.iter().map(shown).collect()
        });
        Self {
            width: self.width,
            height: self.height,
            max: 255,
            planes: planes.collect(),
            colour,
        }
    }
}

impl Raster {
    /// A picture of the size of this one with other planes: of its own kind, or expanded where this has a palette.
    ///
    /// # Errors
    /// [`Error::Format`] where the planes do not fit.
    pub fn shown_with(&self, planes: Vec<Vec<u16>>, max: u16) -> Result<Self, Error> {
        let colour = match (&self.colour, planes.len()) {
            (Colour::Palette(_), 3) => Colour::Rgb,
            (Colour::Palette(_), 4) => Colour::Rgba,
            (colour, channels) if colour.channels() == channels => colour.clone(),
            _ => return Err(Error::Format("pixels of another kind")),
        };
        let area = self.planes.first().map_or(0, Vec::len);
        if planes.iter().any(|plane| plane.len() != area) {
            return Err(Error::Format("pixels of another geometry"));
        }
        Ok(Self {
            width: self.width,
            height: self.height,
            max,
            colour,
            planes,
        })
    }

    /// This picture in the colours of `model`, a picture of the same size: with the nearest colours of its palette
    /// where that has one and this has none, otherwise as it is.
    ///
    /// # Errors
    /// [`Error::Format`] where the two are otherwise of different kinds.
    pub fn in_colours_of(&self, model: &Self) -> Result<Self, Error> {
        let same = self.planes.len() == model.planes.len() && self.max == model.max;
        let sizes = |raster: &Self| {
            (
                raster.width,
                raster.height,
                raster.planes.first().map(Vec::len),
            )
        };
        if sizes(self) != sizes(model) {
            return Err(Error::Format("pixels of another geometry"));
        }
        let palette = match (&model.colour, &self.colour) {
            (Colour::Palette(palette), Colour::Rgb | Colour::Rgba) if self.max <= 255 => palette,
            _ if same => {
                let (width, height, colour) = (self.width, self.height, model.colour.clone());
                let planes = self.planes.clone();
                let max = self.max;
                return Ok(Self {
                    width,
                    height,
                    max,
                    colour,
                    planes,
                });
            }
            _ => return Err(Error::Format("pixels of another kind")),
        };
        let mut known = std::collections::HashMap::new();
        let channel = |number: usize, at: usize| {
            let sample = self.planes.get(number).and_then(|plane| plane.get(at));
            u8::try_from(sample.copied().unwrap_or(255)).unwrap_or(255)
        };
        let numbers = (0..self.planes.first().map_or(0, Vec::len)).map(|at| {
            let rgba = [
                channel(0, at),
                channel(1, at),
                channel(2, at),
                channel(3, at),
            ];
            *known
                .entry(rgba)
                .or_insert_with(|| palette.nearest(rgba).min(model.max))
        });
        Ok(Self {
            width: self.width,
            height: self.height,
            max: model.max,
            colour: model.colour.clone(),
            planes: vec![numbers.collect()],
        })
    }
}

impl Palette {
    /// The number of the colour nearest to this one, by squared distance, alpha included; the first of equals.
    #[must_use]
    pub fn nearest(&self, rgba: [u8; 4]) -> u16 {
        let distance = |(number, rgb): (usize, &[u8; 3])| {
            let alpha = self.alpha.get(number).copied().unwrap_or(255);
            let [r, g, b] = *rgb;
            let squared = |(a, b): (u8, u8)| u32::from(a.abs_diff(b)).pow(2);
            let sum: u32 = [r, g, b, alpha].into_iter().zip(rgba).map(squared).sum();
            (sum, number)
        };
        let nearest = self.colours.iter().enumerate().map(distance).min();
        nearest.map_or(0, |(_, number)| u16::try_from(number).unwrap_or(0))
    }
}

/// Samples of one plane, where all planes together stay under the limit.
///
/// # Errors
/// [`Error::Limit`].
pub fn samples(width: u32, height: u32, channels: usize) -> Result<usize, Error> {
    let area = u64::from(width) * u64::from(height);
    let all = area.checked_mul(channels.max(1) as u64);
    if all.is_none_or(|all| all > MAX_SAMPLES) {
        return Err(Error::Limit("samples of a picture"));
    }
    usize::try_from(area).map_err(|_| Error::Limit("samples of a picture"))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_before_memory_is_taken() {
        for (width, height) in [(u32::MAX, u32::MAX), (1 << 14, 1 << 15), (0, 5), (5, 0)] {
            assert!(Raster::new(width, height, 255, Colour::Rgb).is_err());
        }
        assert!(Raster::new(1 << 10, 1 << 10, 65535, Colour::Rgba).is_ok());
    }

    #[test]
    fn a_palette_picture_is_expanded_and_found_again() {
        let palette = Palette {
            colours: vec![[0, 0, 0], [255, 0, 0], [250, 250, 250]],
            alpha: vec![0, 255],
        };
        let mut raster = Raster::new(4, 1, 3, Colour::Palette(palette.clone())).unwrap();
        raster.planes[0] = vec![0, 1, 2, 3];
        let shown = raster.expanded();
        assert_eq!(shown.colour, Colour::Rgba);
        assert_eq!(shown.planes[0], [0, 255, 250, 250]);
        assert_eq!(shown.planes[3], [0, 255, 255, 255]);
        assert_eq!(palette.nearest([240, 10, 10, 255]), 1);
        assert_eq!(palette.nearest([1, 1, 1, 3]), 0);
    }
}
