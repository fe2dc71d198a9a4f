//! Raw PBM, PGM, PPM and PAM (netpbm's manuals); the forms in decimal text are left to others.

use super::error::Error;
use super::layout::{self, Layout, Piece, Sample};
use super::raster::Colour;

/// Most bytes of a header, comments included.
const MAX_HEADER: usize = 64 << 10;

/// Finds the pixels of a file.
pub(super) fn layout(file: &[u8]) -> Result<Layout, Error> {
    let kind = match file {
        [b'P', kind, ..] => *kind,
        _ => return Err(Error::Format("not a PNM")),
    };
    let mut text = Text { file, at: 2 };
    let (width, height, max, colour) = match kind {
        b'4' => (text.number()?, text.number()?, 1, Colour::Grey),
        b'5' => (text.number()?, text.number()?, text.number()?, Colour::Grey),
        b'6' => (text.number()?, text.number()?, text.number()?, Colour::Rgb),
        b'7' => text.pam()?,
        _ => return Err(Error::Unsupported("pixels as decimal text")),
    };
    if kind != b'7' {
        // One white space, and no comment, before the pixels.
        match file.get(text.at) {
            Some(byte) if byte.is_ascii_whitespace() => text.at += 1,
            _ => return Err(Error::Format("pixels right after the header")),
        }
    }
    let max = u16::try_from(max).map_err(|_| Error::Format("a greatest sample over 65535"))?;
    let sample = match (kind, max) {
        (b'4', _) => Sample::Bits(1),
        (_, ..=255) => Sample::Byte,
        _ => Sample::Big,
    };
    let raster = layout::raster(file, (width, height), sample, max, colour)?;
    let columns = width as usize;
    let stride = match sample {
        Sample::Bits(_) => columns.div_ceil(8),
        Sample::Byte => columns * raster.planes.len(),
        _ => columns * raster.planes.len() * 2,
    };
    let pieces = (0..height as usize).map(|y| Piece {
        at: text.at + stride * y,
        x: 0,
        y,
        width: columns,
        channel: None,
    });
    Ok(Layout {
        pieces: pieces.collect(),
        sample,
        order: (0..raster.planes.len()).collect(),
        raster,
        essential: std::iter::once(0..text.at).collect(),
    })
}

/// The header, read word by word.
struct Text<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    /// The next word; comments run from `#` to the end of the line.
    fn word(&mut self) -> Result<&'a [u8], Error> {
        loop {
            if self.at > MAX_HEADER {
                return Err(Error::Limit("a header"));
            }
            match self.file.get(self.at) {
                Some(b'#') => {
                    let rest = self.file.get(self.at..).unwrap_or_default();
                    let line = rest.iter().take(MAX_HEADER).position(|b| *b == b'\n');
                    self.at += line.ok_or(Error::Format("a comment without end"))?;
                }
                Some(byte) if byte.is_ascii_whitespace() => self.at += 1,
                Some(_) => break,
                None => return Err(Error::Format("a header that ends early")),
            }
        }
        let rest = self.file.get(self.at..).unwrap_or_default();
        let end = rest
            .iter()
            .take(MAX_HEADER)
            .position(|b| b.is_ascii_whitespace() || *b == b'#');
        let word = rest.get(..end.ok_or(Error::Format("a header that ends early"))?);
        let word = word.unwrap_or_default();
        self.at += word.len();
        Ok(word)
    }

    /// The next word as a number.
    fn number(&mut self) -> Result<u32, Error> {
        let word = self.word()?;
        let digits = std::str::from_utf8(word).ok();
        let digits = digits.filter(|word| word.bytes().all(|b| b.is_ascii_digit()));
        digits
            .and_then(|word| word.parse().ok())
            .ok_or(Error::Format("a header without its numbers"))
    }

    /// The fields of a PAM.
    fn pam(&mut self) -> Result<(u32, u32, u32, Colour), Error> {
        let (mut width, mut height, mut depth, mut max) = (0, 0, 0, 0);
        loop {
            match self.word()? {
                b"WIDTH" => width = self.number()?,
                b"HEIGHT" => height = self.number()?,
                b"DEPTH" => depth = self.number()?,
                b"MAXVAL" => max = self.number()?,
                b"TUPLTYPE" => {
                    self.word()?;
                }
                b"ENDHDR" => break,
                _ => return Err(Error::Unsupported("a PAM with an unknown field")),
            }
        }
        if self.file.get(self.at) != Some(&b'\n') {
            return Err(Error::Format("pixels right after the header"));
        }
        self.at += 1;
        let colour = match depth {
            1 => Colour::Grey,
            2 => Colour::GreyAlpha,
            3 => Colour::Rgb,
            4 => Colour::Rgba,
            _ => return Err(Error::Unsupported("a PAM of more than four channels")),
        };
        Ok((width, height, max, colour))
    }
}
