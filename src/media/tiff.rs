//! TIFF 6.0 without compression: the first page's strips or tiles, 8 or 16 bits, either byte order.

#![allow(clippy::big_endian_bytes, reason = "TIFF comes in both byte orders")]

use std::ops::Range;

use super::error::Error;
use super::layout::{self, Layout, Piece, Sample};
use super::raster::{Colour, Palette};

/// Most entries of a directory.
const MAX_ENTRIES: usize = 512;
/// Values up to this length are kept with the head, whatever they are: resolutions, names, dates.
const SMALL: usize = 256;
/// Most strips or tiles.
const MAX_PARTS: usize = 1 << 20;

/// Most rows of all strips or tiles together: 80 MiB of [`Piece`]s.
const MAX_PIECES: usize = 1 << 21;

/// One entry of the directory: its type, the number of values, and where they lie.
struct Entry {
    tag: u16,
    /// Bytes of a value: 1, 2 or 4; others are not read.
    size: usize,
    count: usize,
    values: Range<usize>,
}

/// A file and its byte order.
struct Reader<'a> {
    file: &'a [u8],
    big: bool,
}

impl Reader<'_> {
    fn short(&self, at: usize) -> Result<u16, Error> {
        let bytes = self.file.get(at..).and_then(|rest| rest.first_chunk());
        let bytes = *bytes.ok_or(Error::Format("a directory past the end"))?;
        Ok(if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn long(&self, at: usize) -> Result<u32, Error> {
        let bytes = self.file.get(at..).and_then(|rest| rest.first_chunk());
        let bytes = *bytes.ok_or(Error::Format("a directory past the end"))?;
        Ok(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// The directory at `at`, and its range.
    fn directory(&self, at: usize) -> Result<(Vec<Entry>, Range<usize>), Error> {
        let count = usize::from(self.short(at)?);
        if count > MAX_ENTRIES {
            return Err(Error::Limit("entries of a directory"));
        }
        let mut entries = Vec::new();
        for number in 0..count {
            let at = at + 2 + 12 * number;
            let count = self.long(at + 4)? as usize;
            let size = match self.short(at + 2)? {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 => 4,
                5 | 10 | 12 => 8,
                _ => return Err(Error::Unsupported("a field of unknown type")),
            };
            let length = count
                .checked_mul(size)
                .ok_or(Error::Format("a field of too many values"))?;
            let start = if length <= 4 {
                at + 8
            } else {
                self.long(at + 8)? as usize
            };
            let end = start
                .checked_add(length)
                .ok_or(Error::Format("a field past the end"))?;
            entries.push(Entry {
                tag: self.short(at)?,
                size,
                count,
                values: start..end,
            });
        }
        // The offset of the next directory follows.
        Ok((entries, at..at + 2 + 12 * count + 4))
    }

    /// The values of an entry that are numbers of 1, 2 or 4 bytes.
    fn values(&self, entry: &Entry) -> Result<Vec<usize>, Error> {
        if entry.count > MAX_PARTS {
            return Err(Error::Limit("values of a field"));
        }
        let value = |number: usize| {
            let at = entry.values.start + number * entry.size;
            match entry.size {
                1 => self.file.get(at).map(|byte| usize::from(*byte)),
                2 => self.short(at).ok().map(usize::from),
                4 => self.long(at).ok().map(|value| value as usize),
                _ => None,
            }
        };
        (0..entry.count)
            .map(|number| value(number).ok_or(Error::Format("a field past the end")))
            .collect()
    }
}

/// Finds the pixels of the first page.
pub(super) fn layout(file: &[u8]) -> Result<Layout, Error> {
    let big = match file {
        [b'I', b'I', 42, 0, ..] => false,
        [b'M', b'M', 0, 42, ..] => true,
        _ => return Err(Error::Format("not a TIFF")),
    };
    let reader = Reader { file, big };
    let (entries, range) = reader.directory(reader.long(4)? as usize)?;
    let find = |tag: u16| entries.iter().find(|entry| entry.tag == tag);
    let all = |tag: u16| find(tag).map_or(Ok(Vec::new()), |entry| reader.values(entry));
    let one = |tag: u16, default: usize| {
        all(tag).map(|values| values.first().copied().unwrap_or(default))
    };
    // Compression, predictor, fill order, sample format.
    for (tag, plain) in [(259, 1), (317, 1), (266, 1), (339, 1)] {
        let values = all(tag)?;
        if values.iter().any(|value| *value != plain) {
            return Err(Error::Unsupported("a TIFF with compression or fractions"));
        }
    }
    let side = |tag| one(tag, 0).map(|value| u32::try_from(value).unwrap_or(0));
    let (width, height) = (side(256)?, side(257)?);
    let channels = one(277, 1)?;
    let bits = all(258)?;
    let sample = match bits.first() {
        Some(8) => Sample::Byte,
        Some(16) if big => Sample::Big,
        Some(16) => Sample::Little,
        _ => return Err(Error::Unsupported("a TIFF of other than 8 or 16 bits")),
    };
    let same = bits
        .first()
        .is_none_or(|first| bits.iter().all(|b| b == first));
    let colour = match (one(262, 0)?, channels) {
        (0 | 1, 1) => Colour::Grey,
        (0 | 1, 2) => Colour::GreyAlpha,
        (2, 3) => Colour::Rgb,
        (2, 4) => Colour::Rgba,
        (3, 1) if sample == Sample::Byte => Colour::Palette(palette(&all(320)?)?),
        _ => return Err(Error::Unsupported("a TIFF of other colours")),
    };
    if !same || bits.len() > 4 {
        return Err(Error::Unsupported("a TIFF of mixed depths"));
    }
    let max = if sample == Sample::Byte { 255 } else { 65535 };
    let raster = layout::raster(file, (width, height), sample, max, colour)?;
    let planar = match one(284, 1)? {
        1 => false,
        2 => channels > 1,
        _ => return Err(Error::Unsupported("a TIFF of unknown plane order")),
    };
    let tiled = find(322).is_some();
    let (offsets, tile) = if tiled {
        (all(324)?, (one(322, 0)?, one(323, 0)?))
    } else {
        let rows = one(278, usize::MAX)?.min(height as usize);
        (all(273)?, (width as usize, rows))
    };
    let grid = Grid {
        width: width as usize,
        height: height as usize,
        tile,
        // Bytes of a pixel in a part.
        pixel: if planar { 1 } else { channels } * usize::from(max > 255).wrapping_add(1),
        planes: if planar { channels } else { 1 },
    };
    let pieces = grid.pieces(&offsets, planar)?;
    let mut essential = vec![0..8, range];
    for entry in &entries {
        // Where the parts lie, the palette, and what is short.
        if matches!(entry.tag, 258 | 273 | 279 | 320 | 324 | 325) || entry.values.len() <= SMALL {
            essential.push(entry.values.clone());
        }
    }
    Ok(Layout {
        raster,
        sample,
        order: (0..channels).collect(),
        pieces,
        essential,
    })
}

/// How strips or tiles cover a picture.
struct Grid {
    width: usize,
    height: usize,
    /// Columns and rows of a part.
    tile: (usize, usize),
    pixel: usize,
    planes: usize,
}

impl Grid {
    fn pieces(&self, offsets: &[usize], planar: bool) -> Result<Vec<Piece>, Error> {
        let (columns, rows) = self.tile;
        if columns == 0 || rows == 0 || columns > 1 << 24 || rows > 1 << 24 {
            return Err(Error::Format("parts without pixels"));
        }
        let (across, down) = (self.width.div_ceil(columns), self.height.div_ceil(rows));
        if across * down * self.planes != offsets.len() || offsets.len() > MAX_PARTS {
            return Err(Error::Format(
                "another number of parts than the picture needs",
            ));
        }
        if offsets.len().saturating_mul(rows.min(self.height)) > MAX_PIECES {
            return Err(Error::Limit("parts of a picture"));
        }
        let mut pieces = Vec::new();
        for (number, offset) in offsets.iter().enumerate() {
            let (plane, part) = (number / (across * down), number % (across * down));
            let (x, top) = (part % across * columns, part / across * rows);
            for row in 0..rows.min(self.height - top) {
                pieces.push(Piece {
                    at: offset.saturating_add(row * columns * self.pixel),
                    x,
                    y: top + row,
                    width: columns.min(self.width - x),
                    channel: planar.then_some(plane),
                });
            }
        }
        Ok(pieces)
    }
}

/// A palette from a colour map: all reds, all greens, all blues, 16 bits each.
fn palette(map: &[usize]) -> Result<Palette, Error> {
    let count = map.len() / 3;
    if !(1..=256).contains(&count) || !map.len().is_multiple_of(3) {
        return Err(Error::Format("a palette of another length"));
    }
    let high = |at: usize| {
        let value = map.get(at).copied().unwrap_or(0) >> 8;
        u8::try_from(value).unwrap_or(255)
    };
    let colour = |number| [high(number), high(count + number), high(2 * count + number)];
    Ok(Palette {
        colours: (0..count).map(colour).collect(),
        alpha: Vec::new(),
    })
}
