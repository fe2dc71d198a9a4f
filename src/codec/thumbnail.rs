//! Thumbnails: a picture of any size as a small PNG.

use png::{BitDepth, ColorType, Encoder};

/// Longest side in pixels. A smaller picture keeps its size.
pub const SIDE: u32 = 128;
/// Most bytes of a thumbnail: what an extended attribute may hold.
pub const MOST: usize = 64 << 10;

/// A picture of 8-bit samples, row by row without gaps.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Samples of a pixel: grey, grey and alpha, RGB, RGBA.
    pub channels: usize,
    /// `width * height * channels` samples.
    pub samples: &'a [u8],
}

impl Picture<'_> {
    /// Scaled down to [`SIDE`] pixels, each the mean of those that it stands for, as a PNG of at most [`MOST`] bytes.
    /// `None` where there are no pixels, or the numbers do not fit together.
    #[must_use]
    pub fn thumbnail(&self) -> Option<Vec<u8>> {
        // Noise hardly gets shorter in a PNG: it is shown smaller.
        [SIDE, SIDE / 2]
            .into_iter()
            .find_map(|side| self.png(side).filter(|png| png.len() <= MOST))
    }

    fn png(&self, side: u32) -> Option<Vec<u8>> {
        let colour = match self.channels {
            1 => ColorType::Grayscale,
            2 => ColorType::GrayscaleAlpha,
            3 => ColorType::Rgb,
            4 => ColorType::Rgba,
            _ => return None,
        };
        let longest = self.width.max(self.height);
        let scaled = |length: u32| {
            let shown = u64::from(length) * u64::from(side.min(longest));
            let shown = shown.checked_div(u64::from(longest))?;
            u32::try_from(shown.max(1)).ok()
        };
        let (width, height) = (scaled(self.width)?, scaled(self.height)?);
        let samples = self.scaled(width, height)?;
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, width, height);
        encoder.set_color(colour);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&samples).ok()?;
        writer.finish().ok()?;
        Some(png)
    }

    /// The means of `width` times `height` boxes.
    fn scaled(&self, width: u32, height: u32) -> Option<Vec<u8>> {
        let pitch = usize::try_from(self.width)
            .ok()?
            .checked_mul(self.channels)?;
        let rows = usize::try_from(self.height).ok()?;
        if pitch == 0 || Some(self.samples.len()) != pitch.checked_mul(rows) {
            return None;
        }
        let mut scaled = Vec::new();
        for y in 0..height {
            let (top, end) = part(y, height, self.height)?;
            for x in 0..width {
                let (left, right) = part(x, width, self.width)?;
                let (from, to) = (left * self.channels, right * self.channels);
                for channel in 0..self.channels {
                    let rows = self.samples.chunks_exact(pitch).take(end).skip(top);
                    let inside = rows.filter_map(|row| row.get(from + channel..to));
                    let samples = inside.flat_map(|row| row.iter().step_by(self.channels));
                    let (sum, count) =
                        samples.fold((0, 0), |(sum, count), s| (sum + u64::from(*s), count + 1));
                    let mean = (sum + count / 2).checked_div(count)?;
                    scaled.push(u8::try_from(mean).ok()?);
                }
            }
        }
        Some(scaled)
    }
}

/// The `index`th of `count` parts of a length, none of them empty where there is something for each.
fn part(index: u32, count: u32, length: u32) -> Option<(usize, usize)> {
    let cut = |i: u32| {
        let at = (u64::from(i) * u64::from(length)).checked_div(u64::from(count))?;
        usize::try_from(at).ok()
    };
    Some((cut(index)?, cut(index.checked_add(1)?)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::codec::testing::random;

    fn shown(png: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut samples).unwrap();
        (info.width, info.height, samples)
    }

    #[test]
    fn each_pixel_is_the_mean_of_those_it_stands_for() {
        let (width, height) = (256, 2);
        let samples: Vec<u8> = (0..=255_u8).flat_map(|x| [x, 255 - x, 7]).collect();
        let samples = [samples.clone(), samples].concat();
        let picture = Picture {
            width,
            height,
            channels: 3,
            samples: &samples,
        };
        let (width, height, small) = shown(&picture.thumbnail().unwrap());
        assert_eq!((width, height), (128, 1));
        let wanted: Vec<u8> = (0..128_u8)
            .flat_map(|x| [2 * x + 1, 255 - 2 * x, 7])
            .collect();
        assert_eq!(small, wanted);
    }

    #[test]
    fn small_pictures_stay_and_long_ones_keep_a_pixel() {
        for (width, height, wanted) in [
            (3, 2, (3, 2)),
            (1, 1000, (1, 128)),
            (4000, 3, (128, 1)),
            (129, 128, (128, 127)),
        ] {
            for channels in 1..=4 {
                let length = usize::try_from(width * height).unwrap() * channels;
                let samples = random(u64::from(width), length);
                let picture = Picture {
                    width,
                    height,
                    channels,
                    samples: &samples,
                };
                let png = picture.thumbnail().unwrap();
                let (w, h, small) = shown(&png);
                assert_eq!((w, h), wanted);
                assert!((w, h) != (width, height) || small == samples);
                assert!(png.len() <= MOST);
            }
        }
    }

    #[test]
    fn noise_is_shown_smaller_and_nonsense_not_at_all() {
        let samples = random(5, 128 * 128 * 4);
        let picture = |width, height, channels| Picture {
            width,
            height,
            channels,
            samples: &samples,
        };
        let png = picture(128, 128, 4).thumbnail().unwrap();
        assert!(png.len() <= MOST);
        assert_eq!(shown(&png).0, 64);
        for (width, height, channels) in [
            (0, 0, 1),
            (0, 9, 1),
            (128, 128, 3),
            (128, 128, 5),
            (128, 128, 0),
            (u32::MAX, u32::MAX, 4),
        ] {
            assert!(picture(width, height, channels).thumbnail().is_none());
        }
    }
}
