//! YUV4MPEG2: frames of planes in the clear, with a line of text before each (yuv4mpeg(5)).
//!
//! A file is a line `YUV4MPEG2` with parameters, then for each frame a line `FRAME`, perhaps with parameters, and its
//! planes: luma, two of chroma, perhaps opacity, row by row, samples of 8 bits or of 16 bits with the lower byte first.
//! Files may be far larger than memory: this works on one header or frame at a time, and whoever calls keeps the lines
//! as they are. A degraded file has the same lines, so it is as valid as the original.

use super::error::Error;
use super::raster::MAX_SAMPLES;

/// The first bytes of a file.
const MAGIC: &[u8] = b"YUV4MPEG2";
/// Most bytes of a line, its end included.
pub const MAX_LINE: usize = 4096;

/// What the line of a file says of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Columns of luma.
    pub width: u32,
    /// Rows of luma.
    pub height: u32,
    /// Bits of a sample, 8..=16; more than 8 take two bytes.
    pub bits: u8,
    /// How chroma is sampled.
    pub chroma: Chroma,
}

/// How chroma is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// None at all.
    Mono,
    /// Half the columns and rows (4:2:0, whatever its place).
    Half,
    /// A quarter of the columns (4:1:1).
    Quarter,
    /// Half the columns (4:2:2).
    Columns,
    /// As luma (4:4:4).
    Full,
    /// As luma, with a plane of opacity.
    Opacity,
}

/// Size of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A line at the beginning of `bytes`, its end included, that begins with a word.
fn line<'a>(bytes: &'a [u8], word: &[u8]) -> Result<&'a [u8], Error> {
    let end = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n');
    let line = end.and_then(|end| bytes.get(..=end));
    let line = line.ok_or(Error::Format("a line without end"))?;
    match line.strip_prefix(word) {
        Some([b' ' | b'\n', ..]) => Ok(line),
        _ => Err(Error::Format("not a line of YUV4MPEG2")),
    }
}

/// Bytes of the line before a frame.
///
/// # Errors
/// [`Error::Format`] for anything else.
pub fn frame_line(bytes: &[u8]) -> Result<usize, Error> {
    line(bytes, b"FRAME").map(<[u8]>::len)
}

impl Header {
    /// Reads the line that a file begins with; returns its bytes, too.
    ///
    /// # Errors
    /// [`Error::Format`] for anything else, [`Error::Unsupported`] for a colour space that is not known,
    /// [`Error::Limit`] for frames of more than [`MAX_SAMPLES`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Error> {
        let line = line(bytes, MAGIC)?;
        let text = line.get(MAGIC.len()..line.len() - 1).unwrap_or_default();
        let (mut width, mut height) = (0, 0);
        let mut colours = &b"420jpeg"[..];
        for field in text.split(|byte| *byte == b' ') {
            match field.split_first() {
                Some((b'W', digits)) => width = number(digits)?,
                Some((b'H', digits)) => height = number(digits)?,
                Some((b'C', name)) => colours = name,
                // Rate, interlacing, aspect and comments change no sample.
                _ => {}
            }
        }
        let (bits, chroma) = colour_space(colours)?;
        let header = Self {
            width,
            height,
            bits,
            chroma,
        };
        if width == 0 || height == 0 {
            return Err(Error::Format("frames without pixels"));
        }
        // Four planes at the most.
        let area = u64::from(width) * u64::from(height);
        if area > MAX_SAMPLES / 4 {
            return Err(Error::Limit("samples of a frame"));
        }
        Ok((header, line.len()))
    }

    /// Sizes of the planes, in their order.
    #[must_use]
    pub fn planes(&self) -> Vec<Shape> {
        let (width, height) = (self.width as usize, self.height as usize);
        let luma = Shape { width, height };
        let (columns, rows, chroma) = match self.chroma {
            Chroma::Mono => (1, 1, 0),
            Chroma::Half => (2, 2, 2),
            Chroma::Quarter => (4, 1, 2),
            Chroma::Columns => (2, 1, 2),
            Chroma::Full => (1, 1, 2),
            Chroma::Opacity => (1, 1, 3),
        };
        let other = Shape {
            width: width.div_ceil(columns),
            height: height.div_ceil(rows),
        };
        let mut planes = vec![luma];
        planes.resize(1 + chroma, other);
        planes
    }

    /// Greatest sample.
    #[must_use]
    pub fn max(&self) -> u16 {
        u16::MAX >> 16_u8.saturating_sub(self.bits)
    }

    /// Bytes of the planes of a frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        let samples: usize = self.planes().iter().map(|p| p.width * p.height).sum();
        samples * if self.bits > 8 { 2 } else { 1 }
    }

    /// The planes of a frame.
    ///
    /// # Errors
    /// [`Error::Format`] when there are not [`Header::frame_bytes`] bytes, [`Error::Unsupported`] for samples above the
    /// greatest one.
    pub fn read(&self, frame: &[u8]) -> Result<Vec<Vec<u16>>, Error> {
        if frame.len() != self.frame_bytes() {
            return Err(Error::Format("a frame of another length"));
        }
        let mut samples: Vec<u16> = if self.bits > 8 {
            let pairs = frame.as_chunks::<2>().0.iter();
            pairs.map(|pair| u16::from_le_bytes(*pair)).collect()
        } else {
            frame.iter().map(|byte| u16::from(*byte)).collect()
        };
        let max = self.max();
        if samples.iter().any(|sample| *sample > max) {
            return Err(Error::Unsupported("a sample above the greatest one"));
        }
        let mut planes = Vec::new();
        for shape in self.planes() {
            let rest = samples.split_off((shape.width * shape.height).min(samples.len()));
            planes.push(std::mem::replace(&mut samples, rest));
        }
        Ok(planes)
    }

    /// The bytes of a frame; samples above the greatest one are cut off.
    ///
    /// # Errors
    /// [`Error::Format`] when the planes have other sizes.
    pub fn write(&self, planes: &[Vec<u16>]) -> Result<Vec<u8>, Error> {
        let shapes = self.planes();
        let sizes = shapes.iter().map(|shape| shape.width * shape.height);
        if !planes.iter().map(Vec::len).eq(sizes) {
            return Err(Error::Format("planes of other sizes"));
        }
        let max = self.max();
        let samples = planes.iter().flatten().map(|sample| (*sample).min(max));
        Ok(if self.bits > 8 {
            samples.flat_map(u16::to_le_bytes).collect()
        } else {
            samples.map(|sample| sample.to_le_bytes()[0]).collect()
        })
    }
}

fn number(digits: &[u8]) -> Result<u32, Error> {
    let text = std::str::from_utf8(digits).ok();
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or(Error::Format("a size that is no number"))
}

/// Bits and sampling of a colour space: `420jpeg`, `422p10`, `mono16`, ...
fn colour_space(name: &[u8]) -> Result<(u8, Chroma), Error> {
    let unknown = Error::Unsupported("a colour space that is not known");
    let whole = match name {
        b"420" | b"420jpeg" | b"420mpeg2" | b"420paldv" => Some(Chroma::Half),
        b"411" => Some(Chroma::Quarter),
        b"422" => Some(Chroma::Columns),
        b"444" => Some(Chroma::Full),
        b"444alpha" => Some(Chroma::Opacity),
        b"mono" => Some(Chroma::Mono),
        _ => None,
    };
    if let Some(chroma) = whole {
        return Ok((8, chroma));
    }
    let deep = [
        (&b"420p"[..], Chroma::Half),
        (b"422p", Chroma::Columns),
        (b"444p", Chroma::Full),
        (b"mono", Chroma::Mono),
    ];
    for (start, chroma) in deep {
        let bits = match name.strip_prefix(start) {
            Some(b"9") => 9,
            Some(b"10") => 10,
            Some(b"12") => 12,
            Some(b"14") => 14,
            Some(b"16") => 16,
            _ => continue,
        };
        return Ok((bits, chroma));
    }
    Err(unknown)
}
