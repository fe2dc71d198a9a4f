//! A valid PNG of a wanted size from pixels that are not the original ones.

use super::{Header, SIGNATURE, check, chunks, filter, read_head, rows};
use crate::media::bytes::adler32;
use crate::media::deflate;
use crate::media::error::Error;
use crate::media::raster::{Colour, Raster};

/// The chunk that fills a file up: ancillary, private, safe to copy (PNG, 5.4). Its content is zeros.
const FILL: [u8; 4] = *b"hoLo";
/// Bytes of a chunk besides its data.
const CHUNK: usize = 12;

/// A PNG of exactly `size` bytes that shows `raster`, with the geometry of `head` and its colour chunks, and `colour`
/// where that is there and leaves room. A palette picture comes expanded and is shown with the nearest colours of its
/// palette. What does not fit into `size` is made coarser, in the end flat.
///
/// # Errors
/// [`Error::NoRoom`] when not even one colour fits.
pub fn render(
    raster: &Raster,
    head: &[u8],
    colour: Option<&[u8]>,
    size: usize,
) -> Result<Vec<u8>, Error> {
    let (header, palette) = read_head(head)?;
    let mut shown = raster.in_colours_of(&header.raster(palette)?)?;
    check(&header, &shown)?;
    let before = SIGNATURE.len() + CHUNK;
    let head: Vec<_> = chunks::listed(head)?;
    let colour = chunks::listed(colour.unwrap_or_default())?;
    let length = |list: &[chunks::Listed<'_>]| -> usize {
        list.iter().map(|(_, data)| CHUNK + data.len()).sum()
    };
    let mut extra = length(&colour);
    // A profile is worth a tenth of the file.
    if extra > size / 10 {
        extra = 0;
    }
    let fixed = before + length(&head) + extra;
    let room = size
        .checked_sub(fixed + CHUNK)
        .filter(|room| *room > 0)
        .ok_or(Error::NoRoom(size))?;
    // Everything quickly, everything with care, then less and less of it.
    let attempts = [(0, 1), (0, 9)].into_iter();
    for (drop, level) in attempts.chain((1..=u32::from(header.bits)).map(|drop| (drop, 1))) {
        if drop > 0 {
            coarser(&mut shown, drop);
        }
        let data = compressed(&header, &shown, level)?;
        let spare = match room.checked_sub(data.len()) {
            Some(0) => None,
            // Less than a chunk is left: no way to fill it.
            Some(1..CHUNK) | None => continue,
            Some(spare) => Some(vec![0; spare - CHUNK]),
        };
        let mut out = SIGNATURE.to_vec();
        let profile = colour.iter().filter(|_| extra > 0);
        let (first, others) = head.split_at(1.min(head.len()));
        for (kind, data) in first.iter().chain(profile).chain(others) {
            chunks::put(&mut out, *kind, data, None);
        }
        chunks::put(&mut out, *b"IDAT", &data, None);
        if let Some(spare) = spare {
            chunks::put(&mut out, FILL, &spare, None);
        }
        chunks::put(&mut out, *b"IEND", &[], None);
        return Ok(out);
    }
    Err(Error::NoRoom(size))
}

/// Leaves out the lowest `drop` bits of all samples, at the end all: then each plane has its mean (a palette picture
/// its most frequent colour).
fn coarser(raster: &mut Raster, drop: u32) {
    let palette = matches!(raster.colour, Colour::Palette(_));
    let flat = drop >= raster.bits() || palette;
    let (max, bits) = (raster.max, raster.bits());
    for plane in &mut raster.planes {
        if !flat {
            let half = 1_u16 << (drop - 1);
            for sample in plane.iter_mut() {
                *sample = (*sample >> drop << drop | half).min(max);
            }
        } else if palette {
            let mut counts = vec![0_u32; 1 << bits];
            for sample in plane.iter() {
                if let Some(count) = counts.get_mut(usize::from(*sample)) {
                    *count += 1;
                }
            }
            let common = counts.iter().zip(0_u16..).max_by_key(|(count, _)| **count);
            plane.fill(common.map_or(0, |(_, number)| number));
        } else {
            let sum: u64 = plane.iter().map(|sample| u64::from(*sample)).sum();
            let mean = sum / (plane.len() as u64).max(1);
            plane.fill(u16::try_from(mean).unwrap_or(0));
        }
    }
}

/// The zlib stream of a picture.
fn compressed(header: &Header, raster: &Raster, level: usize) -> Result<Vec<u8>, Error> {
    let passes = rows::passes(header);
    let plainly = header.kind == 3 || header.bits < 8;
    let mut plain = Vec::new();
    for pass in &passes {
        let zeros = || vec![0; pass.bytes];
        let (mut above, mut row, mut trial, mut out) = (zeros(), zeros(), zeros(), zeros());
        for y in 0..pass.height {
            pass.write(y, raster, &mut row)?;
            let kind = if plainly {
                out.copy_from_slice(&row);
                0
            } else {
                filter::best(header.step(), &above, &row, &mut trial, &mut out)
            };
            plain.push(kind);
            plain.extend_from_slice(&out);
            std::mem::swap(&mut above, &mut row);
        }
    }
    // A window of 32 KiB.
    let mut data = vec![0x78, 0x01];
    data.extend_from_slice(&deflate::compress(&plain, level));
    data.extend_from_slice(&adler32(&plain).to_be_bytes());
    Ok(data)
}
