//! The header of coded pixels, and the geometry of its tiles.

use std::ops::Range;

use super::Error;
use super::wave::Wave;
use crate::coding::colour::Transform;

/// The most pixels along a side.
const MAX_SIDE: usize = 1 << 24;
/// The most pixels.
const MAX_PIXELS: usize = 1 << 32;
/// Tiles are no larger than this along a side, and those of the drawn method than that: what they remember is worth
/// more than threads and random access.
const MAX_TILE: usize = 1152;
const MAX_DRAWN: usize = 4096;
/// Bytes before those of the previews.
const FIXED: usize = 16;
/// The most previews.
pub(super) const MAX_PREVIEWS: usize = 8;

/// How the exact samples are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Wavelet bands in every layer.
    Wave,
    /// Wavelet previews, then one exact layer of copies and palettes.
    Drawn,
}

/// What a decoder must know of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How the exact samples are coded.
    pub method: Method,
    /// Channels, 1 to 4.
    pub channels: usize,
    /// The greatest sample.
    pub max: u16,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    pub(super) colour: Transform,
    pub(super) cuts: Vec<i16>,
    /// PSNR in 1/100 dB after each layer but the last, over all colour samples; 65535 for exact.
    pub centi_db: Vec<u16>,
}

/// How a layer is cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Columns and rows of the picture.
    picture: (usize, usize),
    columns: usize,
    rows: usize,
}

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Header {
    /// Number of layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.cuts.len() + 1
    }

    /// The bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let side = |side: usize| u32::try_from(side).unwrap_or(0).to_le_bytes();
        let small = |value: usize| u8::try_from(value).unwrap_or(0);
        let mut bytes = vec![u8::from(self.method == Method::Drawn), small(self.channels)];
        bytes.extend(self.max.to_le_bytes());
        bytes.extend(side(self.width));
        bytes.extend(side(self.height));
        bytes.extend([self.colour.number(), 0, small(self.layers()), 0]);
        for (cut, db) in self.cuts.iter().zip(&self.centi_db) {
            bytes.extend(cut.to_le_bytes());
            bytes.extend(db.to_le_bytes());
        }
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`Error::Format`] for bytes that are none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = Error::Format("the header is not one");
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>().ok_or(wrong)?;
        let [
            method,
            channels,
            m0,
            m1,
            w0,
            w1,
            w2,
            w3,
            h0,
            h1,
            h2,
            h3,
            colour,
            0,
            layers,
            0,
        ] = *fixed
        else {
            return Err(wrong);
        };
        let (previews, beyond) = rest.as_chunks::<4>();
        let side = |bytes| usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| wrong);
        let mut header = Self {
            method: match method {
                0 => Method::Wave,
                1 => Method::Drawn,
                _ => return Err(wrong),
            },
            channels: usize::from(channels),
            max: u16::from_le_bytes([m0, m1]),
            width: side([w0, w1, w2, w3])?,
            height: side([h0, h1, h2, h3])?,
            colour: Transform::from_number(colour).ok_or(wrong)?,
            cuts: Vec::new(),
            centi_db: Vec::new(),
        };
        for [c0, c1, d0, d1] in previews {
            header.cuts.push(i16::from_le_bytes([*c0, *c1]));
            header.centi_db.push(u16::from_le_bytes([*d0, *d1]));
        }
        let fits = beyond.is_empty()
            && header.layers() == usize::from(layers)
            && header.cuts.len() <= MAX_PREVIEWS
            && (1..=4).contains(&header.channels)
            && (1..=MAX_SIDE).contains(&header.width)
            && (1..=MAX_SIDE).contains(&header.height)
            && header.width * header.height <= MAX_PIXELS
            && header.max > 0;
        if fits { Ok(header) } else { Err(wrong) }
    }

    /// Samples of all channels.
    #[must_use]
    pub fn samples(&self) -> u64 {
        let product = |a: u64, b: usize| a.saturating_mul(u64::try_from(b).unwrap_or(u64::MAX));
        product(product(product(1, self.width), self.height), self.channels)
    }

    /// The same with drawn tiles in the last layer.
    pub(super) fn drawn(self) -> Self {
        let method = Method::Drawn;
        Self { method, ..self }
    }

    /// The tiles of a layer.
    #[must_use]
    pub fn grid(&self, layer: usize) -> Grid {
        let drawn = self.method == Method::Drawn && layer + 1 == self.layers();
        let most = if drawn { MAX_DRAWN } else { MAX_TILE };
        Grid {
            picture: (self.width, self.height),
            columns: self.width.div_ceil(most),
            rows: self.height.div_ceil(most),
        }
    }

    /// A tile under the layered coder.
    pub(super) fn wave(&self, tile: Tile) -> Wave {
        Wave {
            width: tile.width,
            height: tile.height,
            channels: self.channels,
            colour: self.colour,
            middle: i32::from(self.max / 2) + 1,
        }
    }
}

impl Grid {
    /// Number of tiles.
    #[must_use]
    pub fn tiles(&self) -> usize {
        self.columns * self.rows
    }

    /// The rectangle of a tile; tiles go row by row, and all but the last ones are alike.
    #[must_use]
    pub fn tile(&self, index: usize) -> Tile {
        let (columns, rows) = (self.columns.max(1), self.rows.max(1));
        let (width, height) = (
            self.picture.0.div_ceil(columns),
            self.picture.1.div_ceil(rows),
        );
        let (x, y) = (index % columns * width, index / columns * height);
        Tile {
            x,
            y,
            width: width.min(self.picture.0.saturating_sub(x)),
            height: height.min(self.picture.1.saturating_sub(y)),
        }
    }

    /// Bytes of the table of tiles at the start of the layer.
    #[must_use]
    pub fn table_length(&self) -> usize {
        if self.tiles() == 1 {
            0
        } else {
            self.tiles() * 4
        }
    }

    /// Where in the layer each tile lies, given the table at its start and its length. Nothing lies in an empty layer.
    ///
    /// # Errors
    /// [`Error::Format`] when the table is too short or does not add up to the length.
    pub fn ranges(&self, table: &[u8], length: u64) -> Result<Vec<Range<u64>>, Error> {
        let tiles = self.tiles();
        if length == 0 {
            return Ok(vec![0..0; tiles]);
        }
        if tiles == 1 {
            return Ok(std::iter::once(0..length).collect());
        }
        let wrong = Error::Format("the table of tiles does not fit the layer");
        let (lengths, _) = table.as_chunks::<4>();
        let mut at = u64::try_from(self.table_length()).map_err(|_| wrong)?;
        let mut ranges = Vec::with_capacity(tiles.min(lengths.len()));
        for bytes in lengths.iter().take(tiles) {
            let end = at + u64::from(u32::from_le_bytes(*bytes));
            ranges.push(at..end);
            at = end;
        }
        if ranges.len() == tiles && at == length {
            Ok(ranges)
        } else {
            Err(wrong)
        }
    }
}
