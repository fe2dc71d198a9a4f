//! Averaging pictures of one scene in linear sums, so that noise goes and the scene stays.
//!
//! Each sample of the result is the mean of that sample in all frames. Sums are exact: one u64 per sample, and nothing
//! is rounded but the result, half up. The mean of `n` frames with independent noise has `1/sqrt(n)` of the noise
//! of one: the signal-to-noise ratio grows by `sqrt(n)`, which is 3 dB whenever the frames double. What moves
//! between frames is averaged too; nothing is aligned.
//!
//! "Linear" is the sum: samples are taken as they are in the files, without undoing gamma, and alpha is averaged like
//! any other sample. Sums are kept at 16 bits a sample (an 8-bit sample times 257, so that 255 becomes 65,535):
//! frames of 8 and of 16 bits mix. Frames with fewer samples a pixel than others get what is missing: grey in all
//! three colours, opaque alpha. PNM samples with another maximum than 255 or 65,535 are stretched as they are read.
//!
//! Memory: the sums and one frame, 8 bytes and 1 or 2 bytes a sample.

use std::borrow::Cow;
use std::io::{self, BufRead, Seek, SeekFrom, Write};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

/// Most samples of a frame: the sums take 2 GiB then.
pub const LIMIT: u64 = 1 << 28;

/// Longest file in bytes: samples in 16 bits, as text.
const LONGEST: u64 = 6 * LIMIT;

/// What an 8-bit sample is multiplied by to have 16.
const WIDER: u64 = 257;
/// Most samples of a pixel.
const MOST: usize = 4;

/// Bits of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// 8.
    Eight,
    /// 16.
    Sixteen,
}

/// Samples of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Red, green and blue instead of one grey.
    pub colour: bool,
    /// Alpha after them.
    pub alpha: bool,
}

impl Layout {
    /// How many samples a pixel has.
    #[must_use]
    pub fn channels(self) -> usize {
        (if self.colour { 3 } else { 1 }) + usize::from(self.alpha)
    }

    /// The least layout that has all of two.
    fn with(self, other: Self) -> Self {
        Self {
            colour: self.colour || other.colour,
            alpha: self.alpha || other.alpha,
        }
    }

    /// A pixel of this layout as one of `to`, which has all of this one; only `to.channels()` of the result count.
    fn spread(self, pixel: &[u64], to: Self, opaque: u64) -> [u64; MOST] {
        let at = |i: usize| pixel.get(i).copied().unwrap_or_default();
        let colours = if self.colour {
            [at(0), at(1), at(2)]
        } else {
            [at(0); 3]
        };
        let alpha = if self.alpha {
            at(self.channels() - 1)
        } else {
            opaque
        };
        let [r, g, b] = colours;
        if to.colour {
            [r, g, b, alpha]
        } else {
            [r, alpha, 0, 0]
        }
    }
}

/// Samples of a frame, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    width: u32,
    height: u32,
    layout: Layout,
    samples: Samples,
    /// Its ICC profile.
    profile: Option<Vec<u8>>,
}

/// Why frames cannot be averaged.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The file is no picture of a format that is read, or damaged.
    #[error("{0}")]
    Format(String),
    /// It has another size than those before it.
    #[error("{width}x{height} pixels, but those before it have {wanted_width}x{wanted_height}")]
    Size {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The width of those before it.
        wanted_width: u32,
        /// The height of those before it.
        wanted_height: u32,
    },
    /// It is larger than any picture that is averaged.
    #[error("{0} samples, more than the limit {LIMIT}")]
    Limit(u64),
    /// There are no frames.
    #[error("no frames")]
    Empty,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StackError {
    fn unknown() -> Self {
        Self::Format("not a picture that can be read: PNG, JPEG or PNM".to_owned())
    }
}

impl From<ImageError> for StackError {
    fn from(e: ImageError) -> Self {
        match e {
            ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Format("the picture ends too early".to_owned())
            }
            ImageError::IoError(e) => Self::Io(e),
            ImageError::Unsupported(_) => Self::unknown(),
            e => Self::Format(format!("damaged picture: {e}")),
        }
    }
}

impl Frame {
    /// Decodes a PNG, JPEG or PNM file, recognised by its content, as it is to be seen (Exif orientation applied).
    ///
    /// # Errors
    /// [`StackError::Format`], [`StackError::Limit`], [`StackError::Io`].
    pub fn read(mut file: impl BufRead + Seek) -> Result<Self, StackError> {
        if file.seek(SeekFrom::End(0))? > LONGEST {
            return Err(StackError::Format(format!("longer than {LONGEST} bytes")));
        }
        file.rewind()?;
        let mut reader = ImageReader::new(file).with_guessed_format()?;
        // The tests of containers build the library with more formats.
        let read = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Pnm];
        if reader.format().is_none_or(|format| !read.contains(&format)) {
            return Err(StackError::unknown());
        }
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(8 * LIMIT); // the frame in 16 bits, and as much again for decoding
        reader.limits(limits.clone());
        if reader.format() == Some(ImageFormat::Jpeg) {
            // The decoder makes up what is missing at the end, which has no place in a mean.
            let mut file = reader.into_inner();
            if !is_whole_jpeg(&mut file)? {
                return Err(StackError::Format("the picture ends too early".to_owned()));
            }
            file.rewind()?;
            reader = ImageReader::with_format(file, ImageFormat::Jpeg);
            reader.limits(limits);
        }
        let mut decoder = reader.into_decoder()?;
        let (width, height) = decoder.dimensions();
        let channels = u64::from(decoder.color_type().channel_count());
        let samples = u64::from(width) * u64::from(height) * channels;
        if samples > LIMIT {
            return Err(StackError::Limit(samples));
        }
        let profile = decoder.icc_profile().unwrap_or_default();
        let orientation = decoder.orientation()?;
        let mut picture = DynamicImage::from_decoder(decoder)?;
        picture.apply_orientation(orientation);
        Self::of(picture, profile)
    }

    /// The samples of a decoded picture.
    fn of(picture: DynamicImage, profile: Option<Vec<u8>>) -> Result<Self, StackError> {
        let (width, height) = (picture.width(), picture.height());
        let colours = picture.color();
        let layout = Layout {
            colour: colours.has_color(),
            alpha: colours.has_alpha(),
        };
        let samples = match picture {
            DynamicImage::ImageLuma8(p) => Samples::Eight(p.into_raw()),
            DynamicImage::ImageLumaA8(p) => Samples::Eight(p.into_raw()),
            DynamicImage::ImageRgb8(p) => Samples::Eight(p.into_raw()),
            DynamicImage::ImageRgba8(p) => Samples::Eight(p.into_raw()),
            DynamicImage::ImageLuma16(p) => Samples::Sixteen(p.into_raw()),
            DynamicImage::ImageLumaA16(p) => Samples::Sixteen(p.into_raw()),
            DynamicImage::ImageRgb16(p) => Samples::Sixteen(p.into_raw()),
            DynamicImage::ImageRgba16(p) => Samples::Sixteen(p.into_raw()),
            _ => {
                return Err(StackError::Format(
                    "samples that are no integers".to_owned(),
                ));
            }
        };
        Ok(Self {
            width,
            height,
            layout,
            samples,
            profile,
        })
    }

    /// Bits of its samples.
    #[must_use]
    pub fn depth(&self) -> Depth {
        match self.samples {
            Samples::Eight(_) => Depth::Eight,
            Samples::Sixteen(_) => Depth::Sixteen,
        }
    }
}

/// Frames added up.
#[derive(Debug, Clone)]
pub struct Stack {
    width: u32,
    height: u32,
    layout: Layout,
    /// The depth of the deepest frame.
    depth: Depth,
    frames: u64,
    /// Sums of samples of 16 bits.
    sums: Vec<u64>,
    profile: Option<Vec<u8>>,
}

impl Stack {
    /// Begins with a first frame.
    ///
    /// # Errors
    /// [`StackError::Io`] where there is no memory for the sums.
    pub fn new(first: &Frame) -> Result<Self, StackError> {
        let mut stack = Self {
            width: first.width,
            height: first.height,
            layout: first.layout,
            depth: first.depth(),
            frames: 0,
            sums: zeros(match &first.samples {
                Samples::Eight(samples) => samples.len(),
                Samples::Sixteen(samples) => samples.len(),
            })?,
            profile: first.profile.clone(),
        };
        stack.add(first)?;
        Ok(stack)
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`StackError::Size`] where it has another size; the stack stays as it was.
    pub fn add(&mut self, frame: &Frame) -> Result<(), StackError> {
        if (frame.width, frame.height) != (self.width, self.height) {
            return Err(StackError::Size {
                width: frame.width,
                height: frame.height,
                wanted_width: self.width,
                wanted_height: self.height,
            });
        }
        let layout = self.layout.with(frame.layout);
        self.widen(layout)?;
        if frame.layout == layout {
            let sums = self.sums.iter_mut();
            match &frame.samples {
                Samples::Eight(samples) => {
                    for (sum, sample) in sums.zip(samples) {
                        *sum += u64::from(*sample) * WIDER;
                    }
                }
                Samples::Sixteen(samples) => {
                    for (sum, sample) in sums.zip(samples) {
                        *sum += u64::from(*sample);
                    }
                }
            }
        } else {
            let (from, to) = (frame.layout.channels(), layout.channels());
            let sums = self.sums.chunks_exact_mut(to);
            let mut pixel = [0; MOST];
            let mut each = |sums: &mut [u64], samples: &mut dyn Iterator<Item = u64>| {
                for (value, sample) in pixel.iter_mut().zip(samples) {
                    *value = sample;
                }
                let pixel = frame.layout.spread(&pixel, layout, u16::MAX.into());
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += value;
                }
            };
            match &frame.samples {
                Samples::Eight(samples) => {
                    for (sums, pixel) in sums.zip(samples.chunks_exact(from)) {
                        each(sums, &mut pixel.iter().map(|s| u64::from(*s) * WIDER));
                    }
                }
                Samples::Sixteen(samples) => {
                    for (sums, pixel) in sums.zip(samples.chunks_exact(from)) {
                        each(sums, &mut pixel.iter().map(|s| u64::from(*s)));
                    }
                }
            }
        }
        self.frames += 1;
        self.depth = self.depth.max(frame.depth());
        // A profile that is not that of every frame would be wrong for the mean.
        if self.profile != frame.profile {
            self.profile = None;
        }
        Ok(())
    }

    /// Gives the sums the samples of `layout`, which has all of theirs.
    fn widen(&mut self, layout: Layout) -> Result<(), StackError> {
        if layout == self.layout {
            return Ok(());
        }
        let (from, to) = (self.layout.channels(), layout.channels());
        let mut sums = zeros(self.sums.len() / from * to)?;
        let opaque = u64::from(u16::MAX) * self.frames;
        for (new, old) in sums.chunks_exact_mut(to).zip(self.sums.chunks_exact(from)) {
            let pixel = self.layout.spread(old, layout, opaque);
            new.iter_mut().zip(pixel).for_each(|(new, sum)| *new = sum);
        }
        self.sums = sums;
        self.layout = layout;
        self.profile = None;
        Ok(())
    }

    /// How many frames were added.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The depth of the deepest frame: what the mean has unless another is asked for.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Writes the mean as a PNG file with samples of this depth, rounded half up.
    ///
    /// # Errors
    /// [`StackError::Io`].
    pub fn write_png(&self, out: impl Write, depth: Depth) -> Result<(), StackError> {
        let mut info = png::Info::with_size(self.width, self.height);
        info.color_type = match (self.layout.colour, self.layout.alpha) {
            (false, false) => png::ColorType::Grayscale,
            (false, true) => png::ColorType::GrayscaleAlpha,
            (true, false) => png::ColorType::Rgb,
            (true, true) => png::ColorType::Rgba,
        };
        info.bit_depth = match depth {
            Depth::Eight => png::BitDepth::Eight,
            Depth::Sixteen => png::BitDepth::Sixteen,
        };
        info.icc_profile = self.profile.as_deref().map(Cow::Borrowed);
        let mut writer = png::Encoder::with_info(out, info)
            .and_then(png::Encoder::write_header)
            .map_err(written)?;
        let mut stream = writer.stream_writer().map_err(written)?;
        let row = self.sums.len() / usize::try_from(self.height).unwrap_or(usize::MAX).max(1);
        let mut bytes = Vec::new();
        for row in self.sums.chunks(row.max(1)) {
            bytes.clear();
            match depth {
                Depth::Eight => bytes.extend(row.iter().map(|sum| self.mean8(*sum))),
                Depth::Sixteen => {
                    bytes.extend(row.iter().flat_map(|sum| big_endian(self.mean16(*sum))));
                }
            }
            stream.write_all(&bytes)?;
        }
        stream.finish().map_err(written)?;
        writer.finish().map_err(written)
    }

    fn mean16(&self, sum: u64) -> u16 {
        u16::try_from(rounded(sum, self.frames)).unwrap_or(u16::MAX)
    }

    fn mean8(&self, sum: u64) -> u8 {
        u8::try_from(rounded(sum, self.frames * WIDER)).unwrap_or(u8::MAX)
    }
}

/// Whether a JPEG file has an end marker (EOI) after the begin of its data (SOS); ISO/IEC 10918-1, B.1.1. In the data
/// no marker's bytes occur, and previews with markers of their own lie in segments before.
fn is_whole_jpeg(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    const SOS: u8 = 0xDA;
    const EOI: u8 = 0xD9;
    let mut pair = [0; 2];
    file.read_exact(&mut pair)?; // SOI
    loop {
        if file.read_exact(&mut pair).is_err() {
            return Ok(false);
        }
        match pair {
            [0xFF, SOS] => break,
            // A byte that fills up.
            [0xFF, 0xFF] => file.seek_relative(-1)?,
            [0xFF, _] => {
                if file.read_exact(&mut pair).is_err() {
                    return Ok(false);
                }
                #[expect(clippy::big_endian_bytes, reason = "JPEG is big-endian")]
                let length = i64::from(u16::from_be_bytes(pair));
                file.seek_relative((length - 2).max(0))?;
            }
            _ => return Ok(false),
        }
    }
    let mut before = 0;
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(false);
        }
        for byte in piece {
            if (before, *byte) == (0xFF, EOI) {
                return Ok(true);
            }
            before = *byte;
        }
        let read = piece.len();
        file.consume(read);
    }
}

/// A quotient, rounded half up; the divisor is not 0.
fn rounded(sum: u64, by: u64) -> u64 {
    (2 * sum + by) / (2 * by).max(1)
}

#[expect(clippy::big_endian_bytes, reason = "PNG is big-endian")]
fn big_endian(sample: u16) -> [u8; 2] {
    sample.to_be_bytes()
}

fn zeros(length: usize) -> Result<Vec<u64>, StackError> {
    let mut sums = Vec::new();
    sums.try_reserve_exact(length)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    sums.resize(length, 0);
    Ok(sums)
}

fn written(e: png::EncodingError) -> StackError {
    match e {
        png::EncodingError::IoError(e) => StackError::Io(e),
        e => StackError::Io(io::Error::other(e)),
    }
}

#[cfg(test)]
mod tests;
