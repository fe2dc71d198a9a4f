//! A valid JPEG of a given size from whatever coefficients are there.

use super::bits::BitWriter;
use super::encode::{BlockWriter, Sequential, Symbols, sequential};
use super::huffman::{Definition, Huffman, optimal};
use super::scan::{Layout, Part, Scan};
use super::{Block, Frame, JpegError, Plane, Quantiser, code};

/// Segments that are shown with a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// How the picture is turned (EXIF tag 0x0112, 2..=8), where no EXIF segment says it.
    pub orientation: Option<u8>,
    /// Whole segments: marker, length, payload.
    pub segments: Vec<u8>,
}

/// The longest segment: marker, length field and what it counts.
const SEGMENT_MAX: usize = 2 + 0xffff;
/// Where coefficients are cut off, in zigzag order, if the file becomes too long.
const CUTS: [usize; 6] = [64, 28, 15, 6, 3, 1];
/// Blocks in an MCU, at most (T.81 B.2.3).
const MCU_MAX: usize = 10;

/// A baseline JPEG of exactly `size` bytes that shows the coefficients, with the metadata.
///
/// Where `size` is too small coefficients are dropped, higher frequencies first, then the metadata, then all.
///
/// # Errors
/// [`JpegError`]: the dimensions of the planes are not those of the frame, or nothing fits.
pub fn render(
    frame: &Frame,
    planes: &mut [Plane],
    metadata: &Metadata,
    size: usize,
) -> Result<Vec<u8>, JpegError> {
    let fits = |(plane, component): (&Plane, &super::Component)| plane.len() == component.blocks();
    if planes.len() != frame.components.len() || !planes.iter().zip(&frame.components).all(fits) {
        return Err(JpegError::Mismatch("other dimensions"));
    }
    let mut dc_limit = 1024;
    for (metadata, cuts) in [(metadata, CUTS.as_slice()), (&Metadata::default(), &[1, 0])] {
        for cut in cuts {
            if *cut == 0 {
                dc_limit = 0;
            }
            clamp(planes, *cut, dc_limit);
            if let Some(file) = attempt(frame, planes, metadata, size)? {
                return Ok(file);
            }
        }
    }
    Err(JpegError::Limit {
        what: "the smallest size of a picture of these dimensions",
        value: size as u64 + 1,
        limit: size as u64,
    })
}

/// The bytes that [`render`] needs to show anything at all with this frame.
#[must_use]
pub fn smallest(frame: &Frame) -> usize {
    let scans = scans(frame);
    let tables = 2 * frame.components.len().min(2);
    let head =
        first_segments(frame, &Metadata::default()).len() + frame_segments(frame, false).len();
    let data = |scan: &Scan| {
        let layout = Layout::new(scan, frame);
        let blocks = layout.units.len() * layout.mcus_across * layout.mcus_down;
        // Marker, length, number, parts, three more; then a bit each for no difference and for the end of the block.
        2 + 2 + 1 + 2 * scan.parts.len() + 3 + (2 * blocks).div_ceil(8)
    };
    // Marker, length, number, sixteen counts, one symbol.
    2 + head + tables * (2 + 2 + 1 + 16 + 1) + scans.iter().map(data).sum::<usize>() + 2
}

/// Limits coefficients to what baseline JPEG has codes for (11 bits for differences of DC, 10 for AC), and drops those
/// from `cut` on.
fn clamp(planes: &mut [Plane], cut: usize, dc_limit: i16) {
    for block in planes.iter_mut().flatten() {
        for value in block.iter_mut().skip(cut) {
            *value = 0;
        }
        for value in block.iter_mut().take(cut) {
            *value = (*value).clamp(-1023, 1023);
        }
        let [dc, ..] = block;
        *dc = (*dc).clamp(-dc_limit, dc_limit.min(1023));
    }
}

fn attempt(
    frame: &Frame,
    planes: &[Plane],
    metadata: &Metadata,
    size: usize,
) -> Result<Option<Vec<u8>>, JpegError> {
    let scans = scans(frame);
    let tables = tables(frame, planes, &scans);
    let mut head = frame_segments(frame, false);
    for (number, (dc, ac)) in (0..).zip(&tables) {
        for (class, table) in [(0, dc), (0x10, ac)] {
            if !table.symbols.is_empty() {
                let payload = [&[class | number], &table.counts[..], &table.symbols].concat();
                segment(&mut head, code::DHT, &payload);
            }
        }
    }
    let ready = |definition: &Definition| Huffman::new(&definition.counts, &definition.symbols);
    let ready: Vec<(Huffman, Huffman)> = tables
        .iter()
        .map(|(dc, ac)| Ok((ready(dc)?, ready(ac)?)))
        .collect::<Result<_, JpegError>>()?;
    let mut body = Vec::new();
    for scan in &scans {
        write_scan(frame, planes, scan, &ready, size, &mut body);
        if body.len() > size {
            return Ok(None);
        }
    }

    let mut file = vec![0xff, code::SOI];
    file.extend_from_slice(&first_segments(frame, metadata));
    file.extend_from_slice(&metadata.segments);
    let used = file.len() + head.len() + body.len() + 2;
    let Some(mut left) = size.checked_sub(used) else {
        return Ok(None);
    };
    while left >= 4 {
        let mut length = left.min(SEGMENT_MAX);
        if (1..4).contains(&(left - length)) {
            length -= 4;
        }
        segment(&mut file, code::COM, &vec![0; length - 4]);
        left -= length;
    }
    file.extend_from_slice(&head);
    file.extend_from_slice(&body);
    // Any marker may have fill bytes before it (T.81 B.1.1.2).
    file.extend(std::iter::repeat_n(0xff, left));
    file.extend_from_slice(&[0xff, code::EOI]);
    Ok(Some(file))
}

/// The segments with the step sizes and the frame.
pub(super) fn frame_segments(frame: &Frame, progressive: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let (numbers, quantisers) = quantisers(frame);
    for (number, steps) in (0..).zip(&quantisers) {
        segment(&mut out, code::DQT, &quantiser_payload(number, steps));
    }
    let wide = quantisers.iter().flatten().any(|step| *step > 255);
    let marker = match (progressive, wide) {
        (true, _) => code::SOF2,
        (false, true) => code::SOF1,
        (false, false) => code::SOF0,
    };
    segment(&mut out, marker, &frame_payload(frame, &numbers));
    out
}

/// Appends a segment; payloads are shorter than 65,534 bytes.
pub(super) fn segment(out: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The segments that say what the colours are and how the picture is turned, where the metadata do not.
fn first_segments(frame: &Frame, metadata: &Metadata) -> Vec<u8> {
    let mut out = Vec::new();
    let has = |marker, prefix: &[u8]| {
        super::segments(&metadata.segments)
            .any(|s| s.marker == marker && s.payload.starts_with(prefix))
    };
    if frame.jfif && !has(code::APP0, b"JFIF\0") {
        segment(&mut out, code::APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    }
    if let Some(transform) = frame.adobe
        && !has(code::APP14, b"Adobe")
    {
        let payload = [b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat();
        segment(&mut out, code::APP14, &payload);
    }
    if let Some(orientation) = metadata.orientation
        && !has(code::APP0 + 1, b"Exif\0\0")
    {
        // A TIFF header, one entry (tag 0x0112, type SHORT, one value), and no further directory.
        let head = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
        let payload = [head.as_slice(), &[orientation], &[0; 7]].concat();
        segment(&mut out, code::APP0 + 1, &payload);
    }
    out
}

/// The distinct tables, and for each component the number of its own.
fn quantisers(frame: &Frame) -> (Vec<u8>, Vec<Quantiser>) {
    let mut all: Vec<Quantiser> = Vec::new();
    let mut numbers = Vec::new();
    for component in &frame.components {
        let known = all.iter().position(|steps| *steps == component.quantiser);
        let number = known.unwrap_or(all.len());
        if number == all.len() {
            all.push(component.quantiser);
        }
        numbers.push(u8::try_from(number).unwrap_or(0));
    }
    (numbers, all)
}

fn quantiser_payload(number: u8, steps: &Quantiser) -> Vec<u8> {
    let narrow: Result<Vec<u8>, _> = steps.iter().map(|step| u8::try_from(*step)).collect();
    if let Ok(steps) = narrow {
        return [&[number], steps.as_slice()].concat();
    }
    let wide = steps.iter().flat_map(|step| step.to_be_bytes());
    std::iter::once(0x10 | number).chain(wide).collect()
}

fn frame_payload(frame: &Frame, numbers: &[u8]) -> Vec<u8> {
    let mut out = vec![8];
    out.extend_from_slice(&frame.height.to_be_bytes());
    out.extend_from_slice(&frame.width.to_be_bytes());
    out.push(u8::try_from(frame.components.len()).unwrap_or(0));
    for (component, number) in frame.components.iter().zip(numbers) {
        out.extend_from_slice(&[component.id, component.h << 4 | component.v, *number]);
    }
    out
}

/// Baseline has two pairs of Huffman tables: one for luma and black, one for chroma.
fn table_number(component: usize) -> u8 {
    u8::from(component == 1 || component == 2)
}

/// One scan for all components, or where an MCU would have too many blocks, one for each.
fn scans(frame: &Frame) -> Vec<Scan> {
    let part = |component| Part {
        component,
        dc: table_number(component),
        ac: table_number(component),
    };
    let all: Vec<Part> = (0..frame.components.len()).map(part).collect();
    let of = |parts| Scan {
        parts,
        first: 0,
        last: 63,
        high: 0,
        low: 0,
    };
    let blocks = |c: &super::Component| usize::from(c.h) * usize::from(c.v);
    if frame.components.iter().map(blocks).sum::<usize>() <= MCU_MAX {
        return vec![of(all)];
    }
    all.into_iter().map(|part| of(vec![part])).collect()
}

/// Counts symbols, for the pair of tables of each component of a scan.
struct Counts {
    numbers: Vec<u8>,
    counts: [[[u32; 256]; 2]; 2],
}

impl Counts {
    #[inline]
    fn count(&mut self, class: usize, part: usize, symbol: u32) {
        let number = self.numbers.get(part).copied().unwrap_or(0);
        let counts = self.counts.get_mut(usize::from(number));
        let counts = counts.and_then(|pair| pair.get_mut(class));
        if let Some(count) = counts.and_then(|counts| counts.get_mut(symbol as usize)) {
            *count = count.saturating_add(1);
        }
    }
}

impl Symbols for Counts {
    #[inline]
    fn dc(&mut self, part: usize, symbol: u32, _more: u32, _size: u32) {
        self.count(0, part, symbol);
    }

    #[inline]
    fn ac(&mut self, part: usize, symbol: u32, _more: u32, _size: u32) {
        self.count(1, part, symbol);
    }
}

/// The best tables for the coefficients: up to two pairs, DC and AC.
fn tables(frame: &Frame, planes: &[Plane], scans: &[Scan]) -> Vec<(Definition, Definition)> {
    let mut counts = Counts {
        numbers: Vec::new(),
        counts: [[[0; 256]; 2]; 2],
    };
    for scan in scans {
        counts.numbers = scan.parts.iter().map(|part| part.dc).collect();
        let mut previous = [0; 4];
        for_each_block(frame, planes, scan, |part, block| {
            if let Some(previous) = previous.get_mut(part) {
                sequential(&mut counts, part, previous, block);
            }
            true
        });
    }
    let two = frame.components.len() > 1;
    let pairs = counts.counts.iter().take(1 + usize::from(two));
    pairs.map(|[dc, ac]| (optimal(dc), optimal(ac))).collect()
}

fn for_each_block(
    frame: &Frame,
    planes: &[Plane],
    scan: &Scan,
    mut f: impl FnMut(usize, &Block) -> bool,
) {
    let layout = Layout::new(scan, frame);
    for y in 0..layout.mcus_down {
        for x in 0..layout.mcus_across {
            for unit in &layout.units {
                let plane = planes.get(unit.component);
                let block = plane.and_then(|plane| plane.get(unit.block(x, y)));
                if !block.is_none_or(|block| f(unit.part, block)) {
                    return;
                }
            }
        }
    }
}

/// Appends the header and the data of a scan; stops early where they exceed `limit` bytes.
fn write_scan(
    frame: &Frame,
    planes: &[Plane],
    scan: &Scan,
    tables: &[(Huffman, Huffman)],
    limit: usize,
    out: &mut Vec<u8>,
) {
    let mut payload = vec![u8::try_from(scan.parts.len()).unwrap_or(0)];
    let mut of_parts = Vec::new();
    for part in &scan.parts {
        let id = frame.components.get(part.component).map_or(0, |c| c.id);
        payload.extend_from_slice(&[id, part.dc << 4 | part.ac]);
        if let Some((dc, ac)) = tables.get(usize::from(part.dc)) {
            of_parts.push((dc, ac));
        }
    }
    payload.extend_from_slice(&[0, 63, 0]);
    segment(out, code::SOS, &payload);
    let mut writer = Sequential::new(of_parts, [0; 4]);
    let mut bits = BitWriter::new(out);
    for_each_block(frame, planes, scan, |part, block| {
        writer.block(&mut bits, part, 0, block);
        bits.written() <= limit
    });
    bits.align(0xff);
}
