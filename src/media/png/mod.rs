//! PNG and APNG: pixels, and a recipe for the very same file (PNG third edition, W3C 2025).
//!
//! A file becomes four parts ([`Parts`]). The *raster* is the default image in its own depth and colour type (a palette picture
//! is a plane of numbers). The *head* has the chunks that are needed to render it, the *colour* part the profile and
//! Exif data, which may be large; both are lists of kind (4 bytes), length (variable), data. The *recipe* makes the file
//! exact:
//!
//! ```text
//! flags          1 byte: 1 Adler-32 is wrong, 2 bytes after it, 4 more rows than the picture has, 8 bits beside pixels
//! zlib header    2 bytes
//! [Adler-32]     4 bytes                                   when flag 1
//! [tail]         packed                                    when flag 2
//! chunks         packed: their order, sizes, checks, all others' data, what follows IEND
//! filters        string: the filter type of each row, range coded
//! [excess]       packed: decompressed bytes after the last row, when flag 4
//! [beside]       packed: unused bits of each row's last byte, when flag 8
//! deflate        the rest: the recipe of the deflate stream
//! ```
//!
//! Extra frames of an APNG stay in the recipe as they are. What cannot be taken apart (a stream cut short, a preset
//! dictionary, chunks that contradict each other) is refused; a file is taken only if [`write()`] gives it back.

#![allow(clippy::big_endian_bytes, reason = "PNG is big-endian")]

mod chunks;
mod filter;
mod render;
mod rows;

use super::bytes::{Fields, adler32, put_packed, put_string};
use super::deflate;
use super::error::Error;
use super::picture::Parts;
use super::raster::{self, Colour, Palette, Raster};
use chunks::Frame;

pub use render::render;

/// The first bytes of a PNG.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Decompressed bytes after the last row that are still kept.
const MAX_EXCESS: usize = 64 << 10;

const WRONG_ADLER: u8 = 1;
const TAIL: u8 = 2;
const EXCESS: u8 = 4;
const BESIDE: u8 = 8;

/// The fields of `IHDR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    width: u32,
    height: u32,
    bits: u8,
    /// 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
    kind: u8,
    interlaced: bool,
}

impl Header {
    /// Reads `IHDR` (PNG, 11.2.1).
    fn read(data: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(data);
        let (width, height) = (fields.array()?, fields.array()?);
        let [bits, kind, method, filter, interlace] = fields.array()?;
        if !fields.is_empty() {
            return Err(Error::Format("IHDR of another length"));
        }
        let header = Self {
            width: u32::from_be_bytes(width),
            height: u32::from_be_bytes(height),
            bits,
            kind,
            interlaced: interlace == 1,
        };
        let allowed: &[u8] = match kind {
            0 => &[1, 2, 4, 8, 16],
            3 => &[1, 2, 4, 8],
            2 | 4 | 6 => &[8, 16],
            _ => &[],
        };
        if !allowed.contains(&bits) || method != 0 || filter != 0 || interlace > 1 {
            return Err(Error::Format("IHDR with an unknown method or depth"));
        }
        if header.width == 0 || header.height == 0 {
            return Err(Error::Format("a picture without pixels"));
        }
        raster::samples(header.width, header.height, header.channels())?;
        Ok(header)
    }

    fn channels(&self) -> usize {
        match self.kind {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        }
    }

    /// Greatest sample.
    fn max(&self) -> u16 {
        u16::MAX >> 16_u8.saturating_sub(self.bits)
    }

    fn pixel_bits(&self) -> usize {
        self.channels() * usize::from(self.bits)
    }

    /// Bytes of a pixel as filters see them.
    fn step(&self) -> usize {
        self.pixel_bits().div_ceil(8)
    }

    /// An empty picture of this geometry.
    fn raster(&self, palette: Option<Palette>) -> Result<Raster, Error> {
        let colour = match (self.kind, palette) {
            (2, _) => Colour::Rgb,
            (3, Some(palette)) => Colour::Palette(palette),
            (3, None) => return Err(Error::Format("a palette picture without its palette")),
            (4, _) => Colour::GreyAlpha,
            (6, _) => Colour::Rgba,
            _ => Colour::Grey,
        };
        Raster::new(self.width, self.height, self.max(), colour)
    }
}

/// Header and palette from the head of a file.
fn read_head(head: &[u8]) -> Result<(Header, Option<Palette>), Error> {
    let listed = chunks::listed(head)?;
    let find = |wanted: &[u8; 4]| {
        let chunk = listed.iter().find(|(kind, _)| kind == wanted);
        chunk.map(|(_, data)| *data)
    };
    let header = match listed.first() {
        Some(([b'I', b'H', b'D', b'R'], data)) => Header::read(data)?,
        _ => return Err(Error::Format("a PNG that does not begin with IHDR")),
    };
    let palette = find(b"PLTE").and_then(|data| {
        let colours = data.as_chunks::<3>().0.to_vec();
        let alpha = find(b"tRNS").unwrap_or_default();
        let alpha = alpha.get(..alpha.len().min(colours.len()))?.to_vec();
        (1..=256)
            .contains(&colours.len())
            .then_some(Palette { colours, alpha })
    });
    Ok((header, palette))
}

/// Takes a PNG apart.
///
/// # Errors
/// [`Error`] for anything that [`write()`] would not give back; whoever calls still compares.
pub fn parse(file: &[u8]) -> Result<Parts, Error> {
    let (chunks, trailing) = chunks::split(file)?;
    let frame = Frame::new(&chunks, trailing);
    let (header, palette) = read_head(&frame.head)?;
    let mut raster = header.raster(palette)?;
    let mut data = Vec::new();
    for chunk in chunks.iter().filter(|chunk| chunk.kind == *b"IDAT") {
        data.extend_from_slice(chunk.data);
    }
    let Some((zlib @ [method, flags], stream)) = data.split_first_chunk::<2>() else {
        return Err(Error::Format("no picture data"));
    };
    if method & 15 != 8 || method >> 4 > 7 || flags & 0x20 != 0 {
        return Err(Error::Unsupported("a zlib header of another kind"));
    }
    let passes = rows::passes(&header);
    let expected: usize = passes.iter().map(|p| p.height * (p.bytes + 1)).sum();
    let window = 1 << (8 + (method >> 4));
    let analysis = deflate::analyse(stream, expected + MAX_EXCESS, window)?;
    let mut plain = analysis.plain;
    let adler = adler32(&plain);
    if plain.len() < expected {
        return Err(Error::Unsupported("a picture that ends early"));
    }
    let excess = plain.split_off(expected);
    let mut kinds = Vec::new();
    let mut beside = Vec::new();
    let mut rest = plain.as_mut_slice();
    for pass in &passes {
        let mask = (1_u8 << pass.padding(&header).min(7)) - 1;
        let zeros = vec![0; pass.bytes];
        let mut above = zeros.as_slice();
        for y in 0..pass.height {
            let taken = rest.split_at_mut_checked(pass.bytes + 1);
            let (line, after) = taken.ok_or(Error::Format("a row that ends early"))?;
            rest = after;
            let Some((kind, row)) = line.split_first_mut() else {
                return Err(Error::Format("a row without a filter"));
            };
            filter::undo(*kind, header.step(), above, row)?;
            kinds.push(*kind);
            pass.read(y, row, &mut raster)?;
            if mask > 0 {
                beside.push(row.last().copied().unwrap_or(0) & mask);
            }
            above = row;
        }
    }
    let after = stream.get(analysis.used..).unwrap_or_default();
    let (check, tail) = match after.split_first_chunk::<4>() {
        Some((check, tail)) => (u32::from_be_bytes(*check), tail),
        None => return Err(Error::Unsupported("a zlib stream without its check")),
    };
    let mut recipe = Vec::new();
    let mut flags = 0;
    for (flag, set) in [
        (WRONG_ADLER, check != adler),
        (TAIL, !tail.is_empty()),
        (EXCESS, !excess.is_empty()),
        (BESIDE, beside.iter().any(|bits| *bits > 0)),
    ] {
        flags |= if set { flag } else { 0 };
    }
    recipe.push(flags);
    recipe.extend_from_slice(zlib);
    if flags & WRONG_ADLER != 0 {
        recipe.extend_from_slice(&check.to_le_bytes());
    }
    if flags & TAIL != 0 {
        put_packed(&mut recipe, tail);
    }
    recipe.extend_from_slice(&frame.order);
    put_string(&mut recipe, &filter::pack(&kinds));
    if flags & EXCESS != 0 {
        put_packed(&mut recipe, &excess);
    }
    if flags & BESIDE != 0 {
        put_packed(&mut recipe, &beside);
    }
    recipe.extend_from_slice(&analysis.recipe);
    Ok(Parts {
        raster,
        head: frame.head,
        colour: frame.colour,
        recipe,
    })
}

/// The picture's geometry from its head: an empty raster to fill.
///
/// # Errors
/// [`Error`] when the head is not one.
pub fn geometry(head: &[u8]) -> Result<Raster, Error> {
    let (header, palette) = read_head(head)?;
    header.raster(palette)
}

/// Writes the file of `size` bytes that was taken apart into these parts.
///
/// # Errors
/// [`Error`] when the parts do not belong together.
pub fn write(parts: &Parts, size: usize) -> Result<Vec<u8>, Error> {
    let (header, _) = read_head(&parts.head)?;
    check(&header, &parts.raster)?;
    let mut recipe = Fields::new(&parts.recipe);
    let [flags] = recipe.array()?;
    let zlib: [u8; 2] = recipe.array()?;
    let wrong = if flags & WRONG_ADLER == 0 {
        None
    } else {
        Some(u32::from_le_bytes(recipe.array()?))
    };
    let optional = |recipe: &mut Fields<'_>, flag, limit| {
        if flags & flag == 0 {
            Ok(Vec::new())
        } else {
            recipe.packed(limit)
        }
    };
    let tail = optional(&mut recipe, TAIL, size)?;
    let order = recipe.packed(size.saturating_mul(2).saturating_add(64))?;
    let kinds = recipe.string()?;
    let passes = rows::passes(&header);
    let rows = passes.iter().map(|pass| pass.height).sum();
    let kinds = filter::unpack(kinds, rows);
    let excess = optional(&mut recipe, EXCESS, MAX_EXCESS)?;
    let beside = optional(&mut recipe, BESIDE, rows)?;
    let mut plain = filtered(&header, &parts.raster, &kinds, &beside)?;
    plain.extend_from_slice(&excess);
    let stream = deflate::recreate(&plain, recipe.rest(), size)?;
    let mut data = zlib.to_vec();
    data.extend_from_slice(&stream);
    let check = wrong.unwrap_or_else(|| adler32(&plain));
    data.extend_from_slice(&check.to_be_bytes());
    data.extend_from_slice(&tail);
    Frame::write(&parts.head, &parts.colour, &order, &data, size)
}

/// The rows of a picture, filtered as `kinds` says, with these bits `beside` the pixels.
fn filtered(
    header: &Header,
    raster: &Raster,
    kinds: &[u8],
    beside: &[u8],
) -> Result<Vec<u8>, Error> {
    let passes = rows::passes(header);
    let total = passes
        .iter()
        .map(|pass| pass.height * (pass.bytes + 1))
        .sum();
    let mut plain = vec![0; total];
    let mut rest = plain.as_mut_slice();
    let mut kinds = kinds.iter();
    let mut beside = beside.iter();
    for pass in &passes {
        let mask = (1_u8 << pass.padding(header).min(7)) - 1;
        let (mut above, mut row) = (vec![0; pass.bytes], vec![0; pass.bytes]);
        for y in 0..pass.height {
            let taken = rest.split_at_mut_checked(pass.bytes + 1);
            let (line, after) = taken.ok_or(Error::Format("a row too many"))?;
            rest = after;
            pass.write(y, raster, &mut row)?;
            if mask > 0
                && let (Some(last), Some(bits)) = (row.last_mut(), beside.next())
            {
                *last |= bits & mask;
            }
            let kind = kinds.next().copied().unwrap_or(0);
            if kind > 4 {
                return Err(Error::Format("a row filter above 4"));
            }
            if let Some((first, out)) = line.split_first_mut() {
                *first = kind;
                filter::apply(kind, header.step(), &above, &row, out);
            }
            std::mem::swap(&mut above, &mut row);
        }
    }
    Ok(plain)
}

/// Whether a raster is one of this header.
fn check(header: &Header, raster: &Raster) -> Result<(), Error> {
    let area = header.width as usize * header.height as usize;
    let fits = raster.width == header.width
        && raster.height == header.height
        && raster.max == header.max()
        && raster.planes.len() == header.channels()
        && raster.planes.iter().all(|plane| plane.len() == area);
    if fits {
        Ok(())
    } else {
        Err(Error::Format("pixels of another geometry"))
    }
}
