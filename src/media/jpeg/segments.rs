//! Marker segments: the walk from one scan to the next, and the tables met on the way (T.81 B).

use super::frame::{Frame, Quantiser};
use super::huffman::Huffman;
use super::scan::Scan;
use super::{JpegError, code};

/// A marker segment inside bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Second byte of the marker.
    pub marker: u8,
    /// What follows the length field.
    pub payload: &'a [u8],
    /// Offset of the marker's first byte (fill bytes before it belong to nobody).
    pub start: usize,
    /// Offset of the byte behind the segment.
    pub end: usize,
}

/// What was found at an offset.
#[derive(Debug)]
enum Found<'a> {
    /// A marker without a payload.
    Alone(u8, usize),
    Segment(Segment<'a>),
}

/// The next marker from byte `at` on. Bytes that are no marker are passed over as decoders do.
fn next(bytes: &[u8], at: usize) -> Result<Found<'_>, JpegError> {
    let missing = |offset| JpegError::Format {
        what: "the file ends where a marker should be",
        offset,
    };
    let mut start = at;
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        start += rest
            .iter()
            .position(|b| *b == 0xff)
            .ok_or(missing(bytes.len()))?;
        match bytes.get(start + 1) {
            None => return Err(missing(bytes.len())),
            Some(0xff) => start += 1,
            Some(0) => start += 2,
            Some(_) => break,
        }
    }
    let marker = bytes.get(start + 1).copied().unwrap_or(0);
    if matches!(marker, code::TEM | code::RST0..=code::EOI) {
        return Ok(Found::Alone(marker, start + 2));
    }
    let bad = |what| JpegError::Format {
        what,
        offset: start,
    };
    let rest = bytes.get(start + 2..).unwrap_or_default();
    let length = rest
        .first_chunk()
        .map(|length| usize::from(u16::from_be_bytes(*length)));
    let payload = length.and_then(|length| rest.get(2..length));
    let payload = payload.ok_or(bad("a marker segment with a wrong length"))?;
    Ok(Found::Segment(Segment {
        marker,
        payload,
        start,
        end: start + 4 + payload.len(),
    }))
}

/// The marker segments of a piece of a recipe in order, as far as they can be told.
pub fn segments(piece: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            match next(piece, at) {
                Ok(Found::Alone(code::EOI, _)) | Err(_) => return None,
                Ok(Found::Alone(_, end)) => at = end,
                Ok(Found::Segment(segment)) => {
                    at = segment.end;
                    return Some(segment);
                }
            }
        }
    })
}

/// What the segments so far have defined.
#[derive(Debug, Default)]
pub(super) struct State {
    begun: bool,
    pub(super) frame: Option<Frame>,
    pub(super) quantisers: [Option<Quantiser>; 4],
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    /// MCUs between restart markers; 0: none.
    pub(super) restart: usize,
    adobe: Option<u8>,
    jfif: bool,
}

/// Where a walk ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// Behind the header of a scan, which is at this offset.
    Scan(Scan, usize),
    /// At the end of the image.
    End,
}

impl State {
    /// Goes through the segments of `bytes` from byte `at` to the header of the next scan or the end of the image.
    pub(super) fn walk(&mut self, bytes: &[u8], mut at: usize) -> Result<Stop, JpegError> {
        if !self.begun {
            if bytes.get(at..at + 2) != Some(&[0xff, code::SOI]) {
                return Err(JpegError::Format {
                    what: "no JPEG begins",
                    offset: at,
                });
            }
            self.begun = true;
            at += 2;
        }
        loop {
            match next(bytes, at)? {
                Found::Alone(code::EOI, _) => return Ok(Stop::End),
                Found::Alone(code::SOI, offset) => {
                    return Err(JpegError::Format {
                        what: "an image inside the image",
                        offset,
                    });
                }
                Found::Alone(_, end) => at = end,
                Found::Segment(segment) => {
                    at = segment.end;
                    let scan = self.segment(segment).map_err(|error| match error {
                        JpegError::Format { what, .. } => JpegError::Format {
                            what,
                            offset: segment.start,
                        },
                        other => other,
                    })?;
                    if let Some(scan) = scan {
                        return Ok(Stop::Scan(scan, at));
                    }
                }
            }
        }
    }

    fn segment(&mut self, segment: Segment<'_>) -> Result<Option<Scan>, JpegError> {
        let payload = segment.payload;
        match segment.marker {
            code::SOF0..=code::SOF2 => {
                if self.frame.is_some() {
                    return Err(JpegError::Format {
                        what: "a second frame",
                        offset: 0,
                    });
                }
                let mut frame = Frame::read(payload, segment.marker == code::SOF2)?;
                (frame.jfif, frame.adobe) = (self.jfif, self.adobe);
                self.frame = Some(frame);
            }
            code::SOF3 | code::SOF7 | code::SOF11 | code::SOF15 => {
                return Err(JpegError::Unsupported("lossless coding"));
            }
            code::SOF5 | code::SOF6 | code::DHP | code::EXP => {
                return Err(JpegError::Unsupported("hierarchical coding"));
            }
            code::JPG..=code::SOF15 => {
                return Err(JpegError::Unsupported("arithmetic coding"));
            }
            code::DNL => return Err(JpegError::Unsupported("a height that follows the scan")),
            code::DHT => self.huffman_tables(payload)?,
            code::DQT => self.quantisers(payload)?,
            code::DRI => {
                let interval = payload.first_chunk().map(|n| u16::from_be_bytes(*n));
                self.restart = usize::from(interval.unwrap_or(0));
            }
            code::SOS => {
                let frame = self.frame.as_mut().ok_or(JpegError::Format {
                    what: "a scan without a frame",
                    offset: 0,
                })?;
                (frame.jfif, frame.adobe) = (self.jfif, self.adobe);
                return Scan::read(payload, frame).map(Some);
            }
            code::APP0 if payload.starts_with(b"JFIF\0") => self.jfif = true,
            code::APP14 => {
                if let [
                    b'A',
                    b'd',
                    b'o',
                    b'b',
                    b'e',
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    transform,
                    ..,
                ] = payload
                {
                    self.adobe = Some(*transform);
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn huffman_tables(&mut self, mut payload: &[u8]) -> Result<(), JpegError> {
        let bad = JpegError::Format {
            what: "a wrong definition of a Huffman table",
            offset: 0,
        };
        while let Some((target, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(bad.clone())?;
            let total: usize = counts.iter().map(|n| usize::from(*n)).sum();
            let symbols = rest.get(..total).filter(|_| total <= 256);
            let table = Huffman::new(counts, symbols.ok_or(bad.clone())?)?;
            let tables = match target >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(bad),
            };
            let entry = tables.get_mut(usize::from(target & 15));
            *entry.ok_or(bad.clone())? = Some(table);
            payload = rest.get(total..).unwrap_or_default();
        }
        Ok(())
    }

    fn quantisers(&mut self, mut payload: &[u8]) -> Result<(), JpegError> {
        let bad = JpegError::Format {
            what: "a wrong quantisation table",
            offset: 0,
        };
        while let Some((target, rest)) = payload.split_first() {
            let (steps, rest): (Quantiser, &[u8]) = match target >> 4 {
                0 => {
                    let (steps, rest) = rest.split_first_chunk::<64>().ok_or(bad.clone())?;
                    (steps.map(u16::from), rest)
                }
                1 => {
                    let (steps, rest) = rest.split_first_chunk::<128>().ok_or(bad.clone())?;
                    let (pairs, _) = steps.as_chunks::<2>();
                    let mut wide = [0; 64];
                    for (step, pair) in wide.iter_mut().zip(pairs) {
                        *step = u16::from_be_bytes(*pair);
                    }
                    (wide, rest)
                }
                _ => return Err(bad),
            };
            if steps.contains(&0) {
                return Err(bad);
            }
            let entry = self.quantisers.get_mut(usize::from(target & 15));
            *entry.ok_or(bad.clone())? = Some(steps);
            payload = rest;
        }
        Ok(())
    }
}
