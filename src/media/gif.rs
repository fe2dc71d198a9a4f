//! GIF (version 89a): the first picture, and files of a wanted size that show a picture.
//!
//! A GIF is not taken apart: its LZW streams are kept as they are, by keeping the file. The head is that of the file
//! that is rendered: the screen's size and up to 256 colours.

use super::bytes::{Fields, put_length, put_string};
use super::error::Error;
use super::picture::Parts;
use super::raster::{self, Colour, Palette, Raster};

/// Codes of LZW have up to 12 bits.
const MAX_CODES: usize = 1 << 12;
/// Most bytes of a data block.
const BLOCK: usize = 255;

/// The canvas with the first picture of a file on it.
pub(super) fn preview(file: &[u8]) -> Result<Parts, Error> {
    let mut fields = Fields::new(file);
    let signature = fields.take(6)?;
    if signature != b"GIF87a" && signature != b"GIF89a" {
        return Err(Error::Format("not a GIF"));
    }
    let [w0, w1, h0, h1, flags, background, _] = fields.array()?;
    let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
    let mut colours = table(&mut fields, flags)?;
    let mut transparent = None;
    let image = loop {
        match fields.byte()? {
            0x2c => break fields.array::<9>()?,
            0x21 => {
                let label = fields.byte()?;
                let data = blocks(&mut fields, usize::MAX)?;
                // The graphic control extension: bit 0 of its flags says that a colour is transparent.
                if let (0xf9, [flags, _, _, colour, ..]) = (label, data.as_slice()) {
                    transparent = (flags & 1 == 1).then_some(*colour);
                }
            }
            _ => return Err(Error::Format("a GIF without a picture")),
        }
    };
    let [x0, x1, y0, y1, p0, p1, q0, q1, flags] = image;
    let own = table(&mut fields, flags)?;
    if !own.is_empty() {
        colours = own;
    }
    if colours.is_empty() {
        return Err(Error::Unsupported("a GIF without colours"));
    }
    let mut alpha = Vec::new();
    if let Some(number) = transparent.filter(|n| usize::from(*n) < colours.len()) {
        alpha = vec![255; usize::from(number)];
        alpha.push(0);
    }
    let palette = Palette { colours, alpha };
    let head = head(width, height, &palette);
    let mut canvas = geometry(&head)?;
    let word = |a, b| usize::from(u16::from_le_bytes([a, b]));
    let frame = (word(x0, x1), word(y0, y1), word(p0, p1), word(q0, q1));
    let bits = fields.byte()?;
    let area = raster::samples(
        frame.2.try_into().unwrap_or(0),
        frame.3.try_into().unwrap_or(0),
        1,
    )?;
    let data = blocks(&mut fields, usize::MAX)?;
    let numbers = unpack(&data, bits, area)?;
    let start = transparent.unwrap_or(background);
    if let Some(plane) = canvas.planes.first_mut() {
        plane.fill(u16::from(start));
        draw(
            plane,
            usize::from(width),
            frame,
            flags & 0x40 != 0,
            &numbers,
        );
    }
    canvas.max = 255;
    Ok(Parts {
        raster: canvas,
        head,
        colour: Vec::new(),
        recipe: Vec::new(),
    })
}

/// A colour table, if the flags say that there is one.
fn table(fields: &mut Fields<'_>, flags: u8) -> Result<Vec<[u8; 3]>, Error> {
    if flags & 0x80 == 0 {
        return Ok(Vec::new());
    }
    let bytes = fields.take(3 << ((flags & 7) + 1))?;
    Ok(bytes.as_chunks().0.to_vec())
}

/// The content of data blocks up to the empty one, as far as `most` bytes.
fn blocks(fields: &mut Fields<'_>, most: usize) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    loop {
        let length = usize::from(fields.byte()?);
        if length == 0 {
            return Ok(data);
        }
        data.extend_from_slice(fields.take(length)?);
        if data.len() > most {
            return Err(Error::Limit("a GIF's data"));
        }
    }
}

/// Decodes LZW (appendix F) up to `area` numbers; an early end is allowed.
fn unpack(data: &[u8], bits: u8, area: usize) -> Result<Vec<u8>, Error> {
    if !(2..=8).contains(&bits) {
        return Err(Error::Format("LZW codes of that many bits"));
    }
    let (clear, end) = (1_usize << bits, (1_usize << bits) + 1);
    // For each code the code before its last byte, that byte, and its length.
    let mut strings: Vec<(u16, u8, u16)> = Vec::with_capacity(MAX_CODES);
    let reset = |strings: &mut Vec<(u16, u8, u16)>| {
        strings.clear();
        strings.extend((0..=u8::MAX).take(clear).map(|byte| (0, byte, 1)));
        strings.extend([(0, 0, 0); 2]);
    };
    reset(&mut strings);
    let mut out: Vec<u8> = Vec::new();
    let (mut held, mut count, mut size) = (0_u32, 0, u32::from(bits) + 1);
    let mut previous: Option<usize> = None;
    let mut bytes = data.iter();
    while out.len() < area {
        while count < size {
            let Some(byte) = bytes.next() else {
                return Ok(out);
            };
            held |= u32::from(*byte) << count;
            count += 8;
        }
        let code = (held & ((1 << size) - 1)) as usize;
        held >>= size;
        count -= size;
        if code == clear {
            reset(&mut strings);
            size = u32::from(bits) + 1;
            previous = None;
            continue;
        }
        if code == end {
            break;
        }
        let start = out.len();
        // A code that is just being defined: the string before, and its first byte again.
        let known = if code < strings.len() {
            Some(code)
        } else {
            previous
        };
        let known = known.filter(|_| code <= strings.len());
        let mut at = known.ok_or(Error::Format("an LZW code that is not defined"))?;
        let length = strings.get(at).map_or(0, |s| usize::from(s.2));
        if length == 0 {
            return Err(Error::Format("an LZW code that is not defined"));
        }
        out.resize(start + length, 0);
        for slot in out.iter_mut().skip(start).rev() {
            let (before, byte, _) = strings.get(at).copied().unwrap_or((0, 0, 0));
            *slot = byte;
            at = usize::from(before);
        }
        let first = out.get(start).copied().unwrap_or(0);
        if code == strings.len() {
            out.push(first);
        }
        if let Some(before) = previous
            && strings.len() < MAX_CODES
        {
            let length = strings.get(before).map_or(0, |s| s.2).saturating_add(1);
            strings.push((u16::try_from(before).unwrap_or(0), first, length));
            if strings.len() == 1 << size && size < 12 {
                size += 1;
            }
        }
        previous = Some(code);
    }
    out.truncate(area);
    Ok(out)
}

/// Puts a picture at (x, y, width, height) onto a canvas, row by row or interlaced (appendix E).
fn draw(
    plane: &mut [u16],
    width: usize,
    (x, y, columns, rows): (usize, usize, usize, usize),
    interlaced: bool,
    numbers: &[u8],
) {
    let passes: &[(usize, usize)] = if interlaced {
        &[(0, 8), (4, 8), (2, 4), (1, 2)]
    } else {
        &[(0, 1)]
    };
    let order = passes
        .iter()
        .flat_map(|(first, step)| (*first..rows).step_by(*step));
    for (row, line) in order.zip(numbers.chunks(columns.max(1))) {
        let start = (y + row) * width;
        let out = plane
            .get_mut(start..start + width)
            .and_then(|out| out.get_mut(x..));
        for (o, number) in out.unwrap_or_default().iter_mut().zip(line) {
            *o = u16::from(*number);
        }
    }
}

/// Width, height, the number of the transparent colour and one or 0, and the colours.
fn head(width: u16, height: u16, palette: &Palette) -> Vec<u8> {
    let mut head = Vec::new();
    put_length(&mut head, usize::from(width));
    put_length(&mut head, usize::from(height));
    put_length(&mut head, palette.alpha.len());
    put_string(&mut head, palette.colours.as_flattened());
    head
}

/// An empty picture of the geometry that a head tells.
pub(super) fn geometry(head: &[u8]) -> Result<Raster, Error> {
    let mut fields = Fields::new(head);
    let side = |length: usize| u16::try_from(length).map_err(|_| Error::Format("a side"));
    let (width, height) = (side(fields.length()?)?, side(fields.length()?)?);
    let transparent = fields.length()?;
    let colours: Vec<[u8; 3]> = fields.string()?.as_chunks().0.to_vec();
    if !(1..=256).contains(&colours.len()) || transparent > colours.len() {
        return Err(Error::Format("a palette of another length"));
    }
    let mut alpha = vec![255; transparent];
    if let Some(last) = alpha.last_mut() {
        *last = 0;
    }
    let palette = Palette { colours, alpha };
    Raster::new(width.into(), height.into(), 255, Colour::Palette(palette))
}

/// A GIF of exactly `size` bytes that shows `raster`; what does not fit is made coarser, in the end flat.
pub(super) fn render(raster: &Raster, head: &[u8], size: usize) -> Result<Vec<u8>, Error> {
    let model = geometry(head)?;
    let Colour::Palette(palette) = &model.colour else {
        return Err(Error::Format("a GIF without colours"));
    };
    let shown = raster.in_colours_of(&model)?;
    let (Some(numbers), Ok(width), Ok(height)) = (
        shown.planes.into_iter().next(),
        u16::try_from(model.width),
        u16::try_from(model.height),
    ) else {
        return Err(Error::Format("pixels of another geometry"));
    };
    let numbers: Vec<u8> = numbers
        .into_iter()
        .map(|number| u8::try_from(number).unwrap_or(u8::MAX))
        .collect();
    let bits = palette
        .colours
        .len()
        .next_power_of_two()
        .trailing_zeros()
        .max(2);
    let bits = u8::try_from(bits).unwrap_or(8);
    // Blocks of so many pixels along a side have one colour.
    for block in [1, 2, 4, 8, 16, 32, 64, usize::from(u16::MAX)] {
        let columns = usize::from(width);
        let coarse: Vec<u8> = (0..numbers.len())
            .map(|at| {
                let (x, y) = (at % columns, at / columns);
                let from = y / block * block * columns + x / block * block;
                numbers.get(from).copied().unwrap_or(0)
            })
            .collect();
        let mut out = b"GIF89a".to_vec();
        out.extend(width.to_le_bytes());
        out.extend(height.to_le_bytes());
        out.extend([0xf0 | (bits - 1), 0, 0]);
        let colours = palette
            .colours
            .iter()
            .copied()
            .chain(std::iter::repeat([0; 3]));
        out.extend(colours.take(1 << bits).flatten());
        if let Some(number) = palette.alpha.len().checked_sub(1) {
            let number = u8::try_from(number).unwrap_or(0);
            out.extend([0x21, 0xf9, 4, 1, 0, 0, number, 0]);
        }
        out.extend([0x2c, 0, 0, 0, 0]);
        out.extend(width.to_le_bytes());
        out.extend(height.to_le_bytes());
        out.extend([0, bits]);
        for part in pack(&coarse, bits).chunks(BLOCK) {
            out.push(u8::try_from(part.len()).unwrap_or(0));
            out.extend(part);
        }
        out.push(0);
        let Some(spare) = size.checked_sub(out.len() + 1) else {
            continue;
        };
        // A comment of zeros fills the file up; fewer bytes than an empty one takes follow the end.
        if let Some(mut left) = spare.checked_sub(3) {
            out.extend([0x21, 0xfe]);
            while left > 1 {
                let part = (left - 1).min(BLOCK);
                out.push(u8::try_from(part).unwrap_or(0));
                out.resize(out.len() + part, 0);
                left -= part + 1;
            }
            out.push(0);
        }
        out.push(0x3b);
        out.resize(size, 0);
        return Ok(out);
    }
    Err(Error::NoRoom(size))
}

/// Encodes LZW.
fn pack(numbers: &[u8], bits: u8) -> Vec<u8> {
    let (clear, end) = (1_u32 << bits, (1_u32 << bits) + 1);
    let mut out = Vec::new();
    let (mut held, mut count) = (0_u32, 0_u32);
    let mut size = u32::from(bits) + 1;
    let mut put = |code: u32, size: u32| {
        held |= code << count;
        count += size;
        while count >= 8 {
            out.push(held.to_le_bytes()[0]);
            held >>= 8;
            count -= 8;
        }
    };
    let mut strings = std::collections::HashMap::new();
    let mut next = end + 1;
    put(clear, size);
    let mut current: Option<u32> = None;
    for number in numbers {
        let Some(before) = current else {
            current = Some(u32::from(*number));
            continue;
        };
        if let Some(code) = strings.get(&(before, *number)) {
            current = Some(*code);
            continue;
        }
        put(before, size);
        if next < 1 << 12 {
            strings.insert((before, *number), next);
            if next == 1 << size && size < 12 {
                size += 1;
            }
            next += 1;
        } else {
            put(clear, size);
            strings.clear();
            next = end + 1;
            size = u32::from(bits) + 1;
        }
        current = Some(u32::from(*number));
    }
    if let Some(code) = current {
        put(code, size);
        if next == 1 << size && size < 12 {
            size += 1;
        }
    }
    put(end, size);
    put(0, 7);
    out
}
