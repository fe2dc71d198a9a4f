//! Decoding: parts of a segment to the bytes of its frames and lines.

use super::group::{self, Planes, Shape};
use super::settings::{Settings, frames, shape};
use super::{PLAIN, bad};
use crate::codec::CodecError;
use crate::codec::segments::Segment;
use crate::codec::thumbnail::Picture;
use crate::media::y4m::{Chroma, Header, MAX_LINE, frame_line};

/// Most bytes of all parts of a segment of so many bytes.
pub(super) fn most(length: usize) -> usize {
    length.saturating_mul(2).saturating_add(1 << 16)
}

/// Decodes segments of one file.
#[derive(Debug)]
pub(super) struct Frames {
    header: Header,
    shape: Shape,
    previews: usize,
}

impl Frames {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            header: settings.header,
            shape: shape(&settings.header),
            previews: settings.centi_db.len(),
        }
    }

    /// Writes frames and lines; there is room for just these.
    fn write(
        &self,
        frames: &[Planes],
        lines: &[&[u8]],
        file: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let mut rest = put(out, file)?;
        for (planes, line) in frames.iter().zip(lines) {
            let bytes = self.header.write(planes);
            rest = put(rest, line)?;
            rest = put(rest, &bytes.map_err(|e| bad(&e.to_string()))?)?;
        }
        Ok(())
    }
}

/// Writes to the front; returns what is left.
fn put<'a>(out: &'a mut [u8], bytes: &[u8]) -> Result<&'a mut [u8], CodecError> {
    let split = out.split_at_mut_checked(bytes.len());
    let (piece, rest) = split.ok_or_else(|| bad("a segment that is too short"))?;
    piece.copy_from_slice(bytes);
    Ok(rest)
}

impl Segment for Frames {
    fn decode(&self, index: usize, parts: &[Vec<u8>], out: &mut [u8]) -> Result<(), CodecError> {
        let mut parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let exact = parts.len() == self.previews + 1;
        let first = parts.first_mut().ok_or_else(|| bad("no layers"))?;
        let (count, text) = beginning(first)?;
        if count == 0 {
            match parts.last() {
                Some(bytes) if exact && bytes.len() == out.len() => out.copy_from_slice(bytes),
                Some(_) if !exact => out.fill(0),
                _ => return Err(bad("bytes of another length")),
            }
            return Ok(());
        }
        let file = if index == 0 { line_end(&text) } else { 0 };
        let (file, rest) = text.split_at_checked(file).unwrap_or_default();
        let lines = lines(rest, count)?;
        let text: usize = lines.iter().map(|line| line.len()).sum();
        let frames_bytes = count * self.header.frame_bytes();
        // Before anything as large as a frame is made.
        if count > frames(&self.shape) || file.len() + text + frames_bytes != out.len() {
            return Err(bad("frames that do not fit their segment"));
        }
        let decoded = group::decode(&self.shape, count, self.previews, &parts);
        let decoded = decoded.map_err(|e| bad(&e.to_string()))?;
        self.write(&decoded, &lines, file, out)
    }

    fn most(&self, length: usize) -> usize {
        most(length)
    }
}

/// Takes what the first part of a segment begins with off it: the number of frames, and the text.
fn beginning(part: &mut &[u8]) -> Result<(usize, Vec<u8>), CodecError> {
    let early = || bad("a segment ends early");
    let ([count, l0, l1, l2, l3], rest) = part.split_first_chunk::<5>().ok_or_else(early)?;
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
    let length = usize::try_from(length).map_err(|_| early())?;
    let (packed, rest) = rest.split_at_checked(length).ok_or_else(early)?;
    *part = rest;
    let limit = (group::MOST + 1) * MAX_LINE;
    let text = match packed.split_first() {
        None => Vec::new(),
        Some((0, text)) if text.len() <= limit => text.to_vec(),
        Some((1, frame)) => {
            zstd::bulk::decompress(frame, limit).map_err(|e| bad(&e.to_string()))?
        }
        _ => return Err(bad("text of no kind")),
    };
    Ok((usize::from(*count), text))
}

/// Bytes of the line at the front.
fn line_end(text: &[u8]) -> usize {
    let end = text.iter().position(|byte| *byte == b'\n');
    end.map_or(text.len(), |end| end + 1)
}

/// The lines of `count` frames.
fn lines(mut text: &[u8], count: usize) -> Result<Vec<&[u8]>, CodecError> {
    if text.is_empty() {
        return Ok(vec![PLAIN; count]);
    }
    let mut lines = Vec::new();
    while let Some((line, rest)) = text.split_at_checked(line_end(text))
        && !line.is_empty()
    {
        lines.push(line);
        text = rest;
    }
    if lines.len() == count {
        Ok(lines)
    } else {
        Err(bad("lines of other frames"))
    }
}

/// A small picture of the first frame in the bytes of the first segment.
pub(super) fn thumbnail(segment: &[u8]) -> Result<Option<Vec<u8>>, CodecError> {
    let wrong = |e: crate::media::error::Error| bad(&e.to_string());
    let (header, length) = Header::parse(segment).map_err(wrong)?;
    let rest = segment.get(length..).unwrap_or_default();
    let line = frame_line(rest).map_err(wrong)?;
    let frame = rest.get(line..line + header.frame_bytes());
    let planes = header.read(frame.unwrap_or_default()).map_err(wrong)?;
    let shape = shape(&header);
    let eight = |sample: u16| u8::try_from(sample >> (header.bits.max(8) - 8)).unwrap_or(u8::MAX);
    let width = header.width as usize;
    let mut samples = Vec::new();
    let grey = header.chroma == Chroma::Mono;
    for (i, luma) in planes.first().into_iter().flatten().enumerate() {
        let (x, y) = (i % width, i / width);
        let chroma = |plane: usize| {
            let size = shape.planes.get(plane)?;
            let at = y / size.rows * size.width + x / size.columns;
            planes.get(plane)?.get(at).map(|sample| eight(*sample))
        };
        if grey {
            samples.push(colours(eight(*luma), 128, 128)[0]);
            continue;
        }
        let colours = colours(
            eight(*luma),
            chroma(1).unwrap_or(128),
            chroma(2).unwrap_or(128),
        );
        samples.extend(colours);
        samples.extend(chroma(3));
    }
    let picture = Picture {
        width: header.width,
        height: header.height,
        channels: match header.chroma {
            Chroma::Mono => 1,
            Chroma::Opacity => 4,
            _ => 3,
        },
        samples: &samples,
    };
    Ok(picture.thumbnail())
}

/// Red, green and blue. ITU-R BT.601 with black at 16 and white at 235, in 256ths.
fn colours(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let luma = 298 * (i32::from(luma) - 16) + 128;
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    let sums = [
        luma + 409 * red,
        luma - 100 * blue - 208 * red,
        luma + 516 * blue,
    ];
    sums.map(|sum| u8::try_from((sum >> 8).clamp(0, 255)).unwrap_or(0))
}
