//! Pictures made for these tests, in the formats that cameras and programs write.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};

/// Numbers that look random (xorshift64).
pub(crate) struct Draw(pub u64);

impl Draw {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// Something like a photograph: soft colours, edges, and noise.
pub(crate) fn photograph(width: u32, height: u32) -> RgbImage {
    let mut draw = Draw(0x5eed);
    RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (x.abs_diff(width / 2), y.abs_diff(height / 3));
        let inside = dx * dx + dy * dy < (height / 4).pow(2);
        let soft = [
            x * 180 / width,
            y * 180 / height,
            (x + y) * 160 / (width + height),
        ];
        image::Rgb(soft.map(|level| {
            let level = if inside { 220 - level } else { level + 20 };
            (level + draw.next(9) as u32) as u8
        }))
    })
}

/// The picture as a file of this format.
pub(crate) fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// The colours of a file, as the crate `image` decodes it.
pub(crate) fn colours(file: &[u8]) -> RgbImage {
    image::load_from_memory(file).unwrap().to_rgb8()
}

/// PSNR in dB; 99 for the same picture.
pub(crate) fn psnr(one: &RgbImage, other: &RgbImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let pairs = one.iter().zip(other.iter());
    let error: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    if error == 0 {
        return 99.0;
    }
    let samples = f64::from(one.width() * one.height() * 3);
    let error = f64::from(u32::try_from(error).unwrap());
    10.0 * (255.0 * 255.0 * samples / error).log10()
}
