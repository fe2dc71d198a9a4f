//! Chunks (PNG, clause 5) and how a recipe keeps their order, sizes and checks.

use super::SIGNATURE;
use crate::media::bytes::{Fields, put_length, put_packed, put_string};
use crate::media::error::Error;

/// What rendering a picture needs besides its pixels, in this order; small.
const HEAD: [&[u8; 4]; 10] = [
    b"IHDR", b"cICP", b"sRGB", b"gAMA", b"cHRM", b"sBIT", b"PLTE", b"tRNS", b"bKGD", b"pHYs",
];
/// What a viewer would like to have too; may be large.
const COLOUR: [&[u8; 4]; 2] = [b"iCCP", b"eXIf"];
/// Most bytes of a chunk (PNG, 5.3).
const MAX_CHUNK: usize = (1 << 31) - 1;

/// A chunk as it lies in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) data: &'a [u8],
    /// The check in the file, where it is wrong.
    wrong: Option<u32>,
}

/// The chunks of a file and what follows the last whole one, or `IEND`.
pub(super) fn split(file: &[u8]) -> Result<(Vec<Chunk<'_>>, &[u8]), Error> {
    let mut rest = file
        .strip_prefix(SIGNATURE)
        .ok_or(Error::Format("not a PNG"))?;
    let mut chunks = Vec::new();
    while let Some((chunk, after)) = one(rest) {
        rest = after;
        chunks.push(chunk);
        if chunk.kind == *b"IEND" {
            break;
        }
    }
    Ok((chunks, rest))
}

fn one(bytes: &[u8]) -> Option<(Chunk<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let kind = *rest.first_chunk::<4>()?;
    let (checked, rest) = rest.split_at_checked(length.checked_add(4)?)?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let crc = u32::from_be_bytes(*crc);
    let chunk = Chunk {
        kind,
        data: checked.get(4..)?,
        wrong: (crc != crc32fast::hash(checked)).then_some(crc),
    };
    (length <= MAX_CHUNK).then_some((chunk, rest))
}

/// Appends a chunk.
pub(super) fn put(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8], wrong: Option<u32>) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    let start = out.len();
    out.extend_from_slice(&kind);
    out.extend_from_slice(data);
    let checked = out.get(start..).unwrap_or_default();
    let crc = wrong.unwrap_or_else(|| crc32fast::hash(checked));
    out.extend_from_slice(&crc.to_be_bytes());
}

/// A file's chunks in three parts; see [`crate::media::picture::Parts`].
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) head: Vec<u8>,
    pub(super) colour: Vec<u8>,
    /// Everything else, with references to the other two.
    pub(super) order: Vec<u8>,
}

const END: u8 = 0;
const HEAD_CHUNK: u8 = 1;
const COLOUR_CHUNK: u8 = 2;
const IEND: u8 = 3;
const OTHER: u8 = 4;
const DATA: u8 = 5;
/// Added to [`OTHER`] and [`DATA`] where a wrong check follows.
const WRONG: u8 = 8;

impl Frame {
    /// Takes the chunks of a file apart; the data of `IDAT` chunks is not kept.
    pub(super) fn new(chunks: &[Chunk<'_>], trailing: &[u8]) -> Self {
        let mut frame = Self::default();
        let mut order = Vec::new();
        // Each kind once, so that they can be told apart when rendering.
        let mut seen: Vec<[u8; 4]> = Vec::new();
        let mut data = false;
        let mut rest = chunks;
        while let Some(chunk) = rest.first() {
            let usual = chunk.wrong.is_none() && !data && !seen.contains(&chunk.kind);
            if chunk.kind == *b"IDAT" && chunk.wrong.is_none() {
                data = true;
                let run = rest
                    .iter()
                    .take_while(|c| c.kind == *b"IDAT" && c.wrong.is_none());
                let run = run.count();
                put_sizes(&mut order, rest.get(..run).unwrap_or_default());
                rest = rest.get(run..).unwrap_or_default();
                continue;
            }
            if chunk.kind == *b"IDAT" {
                data = true;
                order.push(DATA + WRONG);
                put_length(&mut order, chunk.data.len());
            } else if usual && HEAD.contains(&&chunk.kind) && chunk.data.len() <= 1024 {
                order.push(HEAD_CHUNK);
                frame.head.extend_from_slice(&chunk.kind);
                put_string(&mut frame.head, chunk.data);
            } else if usual && COLOUR.contains(&&chunk.kind) {
                order.push(COLOUR_CHUNK);
                frame.colour.extend_from_slice(&chunk.kind);
                put_string(&mut frame.colour, chunk.data);
            } else if chunk.kind == *b"IEND" && chunk.data.is_empty() && chunk.wrong.is_none() {
                order.push(IEND);
            } else {
                order.push(OTHER + if chunk.wrong.is_some() { WRONG } else { 0 });
                order.extend_from_slice(&chunk.kind);
                put_string(&mut order, chunk.data);
            }
            if let Some(crc) = chunk.wrong {
                order.extend_from_slice(&crc.to_le_bytes());
            }
            seen.push(chunk.kind);
            rest = rest.get(1..).unwrap_or_default();
        }
        order.push(END);
        order.extend_from_slice(trailing);
        put_packed(&mut frame.order, &order);
        frame
    }

    /// Writes the file of `size` bytes that has `data` in its `IDAT` chunks.
    pub(super) fn write(
        head: &[u8],
        colour: &[u8],
        order: &[u8],
        data: &[u8],
        size: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut order = Fields::new(order);
        let (mut head, mut colour, mut data) =
            (Fields::new(head), Fields::new(colour), Fields::new(data));
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(SIGNATURE);
        loop {
            // Every turn adds a chunk, so that this bounds the work as well.
            if out.len() > size {
                return Err(Error::Format("a recipe for a longer file"));
            }
            let tag = order.byte()?;
            match tag {
                END => break,
                HEAD_CHUNK => {
                    let kind = head.array()?;
                    put(&mut out, kind, head.string()?, None);
                }
                COLOUR_CHUNK => {
                    let kind = colour.array()?;
                    put(&mut out, kind, colour.string()?, None);
                }
                IEND => put(&mut out, *b"IEND", &[], None),
                DATA => {
                    for size in take_sizes(&mut order, size, data.rest().len())? {
                        put(&mut out, *b"IDAT", data.take(size)?, None);
                    }
                }
                _ if tag == DATA + WRONG => {
                    let part = data.take(order.length()?)?;
                    let crc = u32::from_le_bytes(order.array()?);
                    put(&mut out, *b"IDAT", part, Some(crc));
                }
                _ if tag & !WRONG == OTHER => {
                    let kind = order.array()?;
                    let part = order.string()?;
                    let crc = if tag & WRONG == 0 {
                        None
                    } else {
                        Some(u32::from_le_bytes(order.array()?))
                    };
                    put(&mut out, kind, part, crc);
                }
                _ => return Err(Error::Format("a recipe with an unknown chunk")),
            }
        }
        out.extend_from_slice(order.rest());
        if data.is_empty() && out.len() == size {
            Ok(out)
        } else {
            Err(Error::Format("a recipe for a file of another size"))
        }
    }
}

/// Sizes of a run of chunks: their number, and one size where all but the last have it, else 0 and all of them.
fn put_sizes(order: &mut Vec<u8>, run: &[Chunk<'_>]) {
    order.push(DATA);
    put_length(order, run.len());
    let first = run.first().map_or(0, |chunk| chunk.data.len());
    let (last, others) = run
        .split_last()
        .map_or((0, run), |(last, others)| (last.data.len(), others));
    if first > 0 && last <= first && others.iter().all(|chunk| chunk.data.len() == first) {
        put_length(order, first);
        put_length(order, first - last);
    } else {
        put_length(order, 0);
        for chunk in run {
            put_length(order, chunk.data.len());
        }
    }
}

fn take_sizes(order: &mut Fields<'_>, file: usize, left: usize) -> Result<Vec<usize>, Error> {
    let count = order.length()?;
    if count == 0 || count > file / 12 {
        return Err(Error::Format("a recipe with too many chunks"));
    }
    let size = order.length()?;
    if size > left {
        return Err(Error::Format("a recipe with too large chunks"));
    }
    if size == 0 {
        return (0..count).map(|_| order.length()).collect();
    }
    let missing = order.length()?;
    let mut sizes = vec![size; count];
    if let Some(last) = sizes.last_mut() {
        *last = size
            .checked_sub(missing)
            .ok_or(Error::Format("a chunk of less than nothing"))?;
    }
    Ok(sizes)
}

/// Kind and data of a chunk.
pub(super) type Listed<'a> = ([u8; 4], &'a [u8]);

/// The chunks of [`Frame::head`] or [`Frame::colour`].
pub(super) fn listed(part: &[u8]) -> Result<Vec<Listed<'_>>, Error> {
    let mut fields = Fields::new(part);
    let mut chunks = Vec::new();
    while !fields.is_empty() {
        chunks.push((fields.array()?, fields.string()?));
    }
    Ok(chunks)
}
