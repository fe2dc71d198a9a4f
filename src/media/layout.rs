//! Files whose pixels lie in them as they are: where each row is, and everything around the rows.
//!
//! A parser says which bytes of a file are needed to find the pixels (*essential* ranges) and where they lie (a
//! [`Layout`]). The essential bytes are the head of the taken-apart file: a file of zeros with only them in place has
//! the same layout. All other bytes that are no pixels (padding, metadata, further pages) are the recipe. A file with
//! degraded pixels is thus as valid as the original was.

use std::ops::Range;

use super::bytes::{Fields, put_length, put_packed};
use super::error::Error;
use super::picture::Parts;
use super::raster::{Colour, Raster, samples};

/// Most bytes of essential ranges.
const MAX_HEAD: usize = 4 << 20;

/// How a sample lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// `1`, `2` or `4` bits, the first pixel in the highest; one channel.
    Bits(u8),
    /// One byte.
    Byte,
    /// Two bytes, the lower first.
    Little,
    /// Two bytes, the higher first.
    Big,
}

/// Some pixels of one row that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// First byte in the file.
    pub(super) at: usize,
    /// First column.
    pub(super) x: usize,
    pub(super) y: usize,
    /// Pixels.
    pub(super) width: usize,
    /// The only channel that is here; all of them where `None`.
    pub(super) channel: Option<usize>,
}

/// Where the pixels of a file lie.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The picture, with all samples 0.
    pub(super) raster: Raster,
    pub(super) sample: Sample,
    /// For each sample of a pixel in the file the channel that it belongs to.
    pub(super) order: Vec<usize>,
    pub(super) pieces: Vec<Piece>,
    /// What must be known to find all this, in any order.
    pub(super) essential: Vec<Range<usize>>,
}

impl Sample {
    /// Bits that it takes.
    fn bits(self) -> u8 {
        match self {
            Self::Bits(bits) => bits,
            Self::Byte => 8,
            Self::Little | Self::Big => 16,
        }
    }
}

/// An empty picture for the pixels of a file, all of which lie in it: one that claims more of them than it has bytes for
/// is refused before there is memory for it, or for where its rows are.
///
/// # Errors
/// Those of [`Raster::new`], and [`Error::Format`].
pub(super) fn raster(
    file: &[u8],
    (width, height): (u32, u32),
    sample: Sample,
    max: u16,
    colour: Colour,
) -> Result<Raster, Error> {
    samples(width, height, colour.channels())?; // too large for any file
    let bits = u64::from(sample.bits()) * colour.channels() as u64;
    let row = (u64::from(width) * bits).div_ceil(8);
    if row.saturating_mul(height.into()) > file.len() as u64 {
        return Err(Error::Format("pixels past the end"));
    }
    Raster::new(width, height, max, colour)
}

/// Finds the layout of a file.
pub(super) type Parser = fn(&[u8]) -> Result<Layout, Error>;

impl Layout {
    /// Bytes of a piece.
    fn length(&self, piece: &Piece) -> usize {
        let samples = match piece.channel {
            Some(_) => piece.width,
            None => piece.width * self.order.len(),
        };
        match self.sample {
            Sample::Bits(bits) => (samples * usize::from(bits)).div_ceil(8),
            Sample::Byte => samples,
            Sample::Little | Sample::Big => samples * 2,
        }
    }

    /// Checks that no two pieces share bytes, with each other or with essential ones, and that all lie in a file of
    /// `size` bytes; returns the ranges that are neither, in order.
    fn others(&self, size: usize) -> Result<Vec<Range<usize>>, Error> {
        let mut ranges: Vec<Range<usize>> = merged(&self.essential, size)?;
        for piece in &self.pieces {
            let end = piece.at.checked_add(self.length(piece));
            let end = end.filter(|end| *end <= size);
            ranges.push(piece.at..end.ok_or(Error::Format("pixels past the end"))?);
        }
        ranges.sort_by_key(|range| range.start);
        let mut others = Vec::new();
        let mut at = 0;
        for range in ranges {
            if range.start < at {
                return Err(Error::Unsupported("pixels that share bytes"));
            }
            if range.start > at {
                others.push(at..range.start);
            }
            at = range.end;
        }
        if at < size {
            others.push(at..size);
        }
        Ok(others)
    }

    /// Reads the samples of all pieces.
    fn read(&mut self, file: &[u8]) -> Result<(), Error> {
        let stride = self.raster.stride();
        let max = self.raster.max;
        for piece in &self.pieces {
            let bytes = piece_bytes(file, piece.at, self.length(piece))?;
            let every = if piece.channel.is_some() {
                1
            } else {
                self.order.len()
            };
            for (number, channel) in self.order.iter().enumerate() {
                let first = match piece.channel {
                    Some(only) if only != *channel => continue,
                    Some(_) => 0,
                    None => number,
                };
                let start = piece.y * stride + piece.x;
                let plane = self.raster.planes.get_mut(*channel);
                let out = plane
                    .and_then(|plane| plane.get_mut(start..start + piece.width))
                    .ok_or(Error::Format("pixels outside the picture"))?;
                match self.sample {
                    Sample::Bits(bits) => {
                        for (o, s) in out.iter_mut().zip(unpacked(bytes, bits)) {
                            *o = s;
                        }
                    }
                    Sample::Byte => {
                        for (o, s) in out.iter_mut().zip(bytes.iter().skip(first).step_by(every)) {
                            *o = u16::from(*s);
                        }
                    }
                    Sample::Little | Sample::Big => {
                        let pairs = bytes.as_chunks::<2>().0.iter().skip(first);
                        for (o, s) in out.iter_mut().zip(pairs.step_by(every)) {
                            let sample = u16::from_le_bytes(*s);
                            *o = if self.sample == Sample::Big {
                                sample.swap_bytes()
                            } else {
                                sample
                            };
                        }
                    }
                }
                if out.iter().any(|sample| *sample > max) {
                    return Err(Error::Unsupported("a sample above the greatest one"));
                }
            }
        }
        Ok(())
    }

    /// Writes the samples of all pieces.
    fn write(&self, raster: &Raster, file: &mut [u8]) -> Result<(), Error> {
        let stride = raster.stride();
        for piece in &self.pieces {
            let end = piece.at + self.length(piece);
            let bytes = file.get_mut(piece.at..end);
            let bytes = bytes.ok_or(Error::Format("pixels past the end"))?;
            let every = if piece.channel.is_some() {
                1
            } else {
                self.order.len()
            };
            for (number, channel) in self.order.iter().enumerate() {
                let first = match piece.channel {
                    Some(only) if only != *channel => continue,
                    Some(_) => 0,
                    None => number,
                };
                let start = piece.y * stride + piece.x;
                let plane = raster.planes.get(*channel);
                let samples = plane
                    .and_then(|plane| plane.get(start..start + piece.width))
                    .ok_or(Error::Format("pixels outside the picture"))?;
                match self.sample {
                    Sample::Bits(bits) => pack(samples, bits, bytes),
                    Sample::Byte => {
                        let out = bytes.iter_mut().skip(first).step_by(every);
                        for (o, s) in out.zip(samples) {
                            *o = s.to_le_bytes()[0];
                        }
                    }
                    Sample::Little | Sample::Big => {
                        let pairs = bytes.as_chunks_mut::<2>().0.iter_mut().skip(first);
                        for (o, s) in pairs.step_by(every).zip(samples) {
                            let sample = if self.sample == Sample::Big {
                                s.swap_bytes()
                            } else {
                                *s
                            };
                            *o = sample.to_le_bytes();
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The bits of each piece's last byte that no pixel uses; empty where all are 0.
    fn beside(&self, file: &[u8]) -> Vec<u8> {
        let Sample::Bits(bits) = self.sample else {
            return Vec::new();
        };
        let beside = self.pieces.iter().map(|piece| {
            let last = (piece.at + self.length(piece)).checked_sub(1);
            let byte = last.and_then(|at| file.get(at)).copied().unwrap_or(0);
            byte & unused(piece.width, bits)
        });
        let beside: Vec<u8> = beside.collect();
        if beside.iter().all(|byte| *byte == 0) {
            return Vec::new();
        }
        beside
    }
}

/// Mask of the bits of a row's last byte that no pixel uses.
fn unused(width: usize, bits: u8) -> u8 {
    let used = width * usize::from(bits) % 8;
    if used == 0 { 0 } else { 0xff >> used }
}

fn piece_bytes(file: &[u8], at: usize, length: usize) -> Result<&[u8], Error> {
    file.get(at..)
        .and_then(|rest| rest.get(..length))
        .ok_or(Error::Format("pixels past the end"))
}

fn unpacked(bytes: &[u8], bits: u8) -> impl Iterator<Item = u16> {
    let mask = (1_u16 << bits) - 1;
    bytes.iter().flat_map(move |byte| {
        let shifts = (0..8 / bits).rev();
        shifts.map(move |i| u16::from(*byte) >> (i * bits) & mask)
    })
}

fn pack(samples: &[u16], bits: u8, out: &mut [u8]) {
    let mask = (1_u16 << bits) - 1;
    let mut samples = samples.iter();
    for byte in out {
        let mut packed = 0;
        for _ in 0..8 / bits {
            packed = packed << bits | samples.next().map_or(0, |s| s & mask);
        }
        *byte = packed.to_le_bytes()[0];
    }
}

/// Ranges in order, those that touch or overlap as one.
fn merged(ranges: &[Range<usize>], size: usize) -> Result<Vec<Range<usize>>, Error> {
    let mut sorted: Vec<_> = ranges.iter().filter(|r| !r.is_empty()).cloned().collect();
    sorted.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in sorted {
        if range.end > size {
            return Err(Error::Format("a header past the end"));
        }
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    Ok(merged)
}

/// Takes a file apart.
pub(super) fn parse(file: &[u8], parser: Parser) -> Result<Parts, Error> {
    let mut layout = parser(file)?;
    let others = layout.others(file.len())?;
    layout.read(file)?;
    let mut head = Vec::new();
    let essential = merged(&layout.essential, file.len())?;
    if essential.iter().map(Range::len).sum::<usize>() > MAX_HEAD {
        return Err(Error::Limit("a header"));
    }
    put_length(&mut head, essential.len());
    let mut at = 0;
    for range in &essential {
        put_length(&mut head, range.start - at);
        put_length(&mut head, range.len());
        at = range.end;
    }
    for range in essential {
        head.extend_from_slice(file.get(range).unwrap_or_default());
    }
    let mut rest = Vec::new();
    for range in others {
        rest.extend_from_slice(file.get(range).unwrap_or_default());
    }
    let mut recipe = Vec::new();
    if rest.iter().all(|byte| *byte == 0) {
        rest.clear();
    }
    put_packed(&mut recipe, &rest);
    put_packed(&mut recipe, &layout.beside(file));
    Ok(Parts {
        raster: layout.raster,
        head,
        colour: Vec::new(),
        recipe,
    })
}

/// A file of `size` bytes with only the essential ones in place, and its layout.
fn skeleton(head: &[u8], size: usize, parser: Parser) -> Result<(Vec<u8>, Layout), Error> {
    let mut fields = Fields::new(head);
    let count = fields.length()?;
    if count > head.len() {
        return Err(Error::Format("a head with too many parts"));
    }
    let mut ranges = Vec::new();
    let mut at = 0_usize;
    for _ in 0..count {
        let (gap, length) = (fields.length()?, fields.length()?);
        let start = at.checked_add(gap).filter(|start| *start <= size);
        let start = start.ok_or(Error::Format("a header past the end"))?;
        let end = start.checked_add(length).filter(|end| *end <= size);
        at = end.ok_or(Error::Format("a header past the end"))?;
        ranges.push(start..at);
    }
    let mut file = vec![0; size];
    for range in ranges {
        let bytes = fields.take(range.len())?;
        if let Some(slot) = file.get_mut(range) {
            slot.copy_from_slice(bytes);
        }
    }
    let layout = parser(&file)?;
    Ok((file, layout))
}

/// An empty picture of the geometry that a head tells.
pub(super) fn geometry(head: &[u8], size: usize, parser: Parser) -> Result<Raster, Error> {
    skeleton(head, size, parser).map(|(_, layout)| layout.raster)
}

/// Writes the file that was taken apart into these parts.
pub(super) fn write(parts: &Parts, size: usize, parser: Parser) -> Result<Vec<u8>, Error> {
    let (mut file, layout) = skeleton(&parts.head, size, parser)?;
    let others = layout.others(size)?;
    if !fits(&parts.raster, &layout.raster) {
        return Err(Error::Format("pixels of another geometry"));
    }
    layout.write(&parts.raster, &mut file)?;
    let mut recipe = Fields::new(&parts.recipe);
    let rest = recipe.packed(size)?;
    let beside = recipe.packed(layout.pieces.len())?;
    let mut rest = Fields::new(&rest);
    for range in others {
        if rest.is_empty() {
            break;
        }
        let bytes = rest.take(range.len())?;
        if let Some(slot) = file.get_mut(range) {
            slot.copy_from_slice(bytes);
        }
    }
    if let Sample::Bits(bits) = layout.sample {
        for (piece, byte) in layout.pieces.iter().zip(&beside) {
            let last = (piece.at + layout.length(piece)).checked_sub(1);
            if let Some(slot) = last.and_then(|at| file.get_mut(at)) {
                *slot |= byte & unused(piece.width, bits);
            }
        }
    }
    if rest.is_empty() && recipe.is_empty() {
        Ok(file)
    } else {
        Err(Error::Format("a recipe for another file"))
    }
}

/// A file of `size` bytes that shows `raster`: all other bytes than the essential ones are 0.
pub(super) fn render(
    raster: &Raster,
    head: &[u8],
    size: usize,
    parser: Parser,
) -> Result<Vec<u8>, Error> {
    let (mut file, layout) = skeleton(head, size, parser)?;
    layout.others(size)?;
    let shown = raster.in_colours_of(&layout.raster)?;
    layout.write(&shown, &mut file)?;
    Ok(file)
}

fn fits(raster: &Raster, model: &Raster) -> bool {
    let palette = |colour: &Colour| matches!(colour, Colour::Palette(_));
    raster.width == model.width
        && raster.height == model.height
        && raster.planes.len() == model.planes.len()
        && palette(&raster.colour) == palette(&model.colour)
        && raster
            .planes
            .iter()
            .zip(&model.planes)
            .all(|(a, b)| a.len() == b.len() && a.iter().all(|sample| *sample <= model.max))
}
