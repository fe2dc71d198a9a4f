//! What is stored besides coefficients: the frame, metadata for the previews, the recipe.
//!
//! **Notes.** Layer 0 and each further preview have a *note*, a packed string:
//!
//! | in the note of layers | what |
//! |---|---|
//! | 0 | the frame; orientation (a byte, 0: none) |
//! | all | marker segments that are shown from this layer on, each after its length |
//!
//! **The frame** is width, height, flags (bit 0: progressive, 1: JFIF, 2: Adobe, 3..: number of components), the Adobe
//! transform if there is one, and for each component its identifier, its sampling factors (`h << 4 | v`), the number
//! of its table, and its step sizes: the number of an earlier component that has the same, or 4 + kind, where kind 0
//! and 1 are the usual step sizes for luma and chroma at a quality (a byte), 2 and 3 those and 64 differences to them
//! (a byte each), 4 any 64 numbers.
//!
//! **The recipe** is two packed strings. The first holds the number of scans; the lengths of the pieces; how many
//! segments were taken out of the first piece, and for each the bytes since the last one and the layer it is in; the
//! notes of the scans ([`crate::media::jpeg::notes_to_bytes`]); the pieces but for the last. The second is the last one.
//!
//! **A packed string** begins with a byte: 0: the bytes themselves follow; 1: their number and a zstd frame follow;
//! 2: likewise, with [`crate::media::jpeg::usual_head`] as dictionary.

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use crate::codec::{CodecError, Effort};
use crate::media::jpeg::{
    self, Frame, Quantiser, Recipe, Segment, notes_from_bytes, notes_to_bytes, standard_quantiser,
    usual_head,
};

use super::bytes::{Take, bad, number, piece};

/// Chunks of 16 from which the layers are readable by default: what the choice of a layer for metadata reckons with.
const READABLE: [usize; 5] = [1, 4, 8, 12, 14];
/// Profiles and EXIF segments that are larger than this when compressed wait for a later layer.
const LARGE: usize = 4096;
/// The part of the file that metadata may cost in a layer.
const SHARE: usize = 50;
/// The level for what is small.
const BEST: i32 = 19;

/// A segment of the first piece, and the layer it is in.
type Shown<'a> = (Segment<'a>, usize);

/// Whole segments.
pub(super) type Segments = Vec<Vec<u8>>;

/// The segments of a piece that previews show.
pub(super) fn shown(
    first: &[u8],
    previews: usize,
    size: usize,
) -> Result<Vec<Shown<'_>>, CodecError> {
    let profile: Vec<Segment<'_>> = jpeg::segments(first)
        .filter(|s| s.marker == 0xe2 && s.payload.starts_with(b"ICC_PROFILE\0"))
        .collect();
    let exif =
        jpeg::segments(first).find(|s| s.marker == 0xe1 && s.payload.starts_with(b"Exif\0\0"));
    let layer = |segments: &[Segment<'_>], first: usize| {
        let bytes: Vec<&[u8]> = segments.iter().map(|s| s.payload).collect();
        let packed = pack(&bytes.concat(), BEST, None)?.len();
        let fits = |readable: &usize| packed * 16 / readable * SHARE <= size;
        let affordable = READABLE.iter().skip(first).position(fits);
        let affordable = affordable.map_or(previews, |layer| first + layer);
        Ok::<_, CodecError>((packed, affordable))
    };
    let mut shown = Vec::new();
    if !profile.is_empty() {
        let (packed, affordable) = layer(&profile, 0)?;
        // Without a profile pictures are shown as sRGB; with others colours are wrong until it is there.
        let usual = profile.iter().any(|s| is_srgb(s.payload));
        let layer = if packed <= LARGE && !usual {
            0
        } else {
            affordable
        };
        shown.extend(profile.iter().map(|s| (*s, layer)));
    }
    if let Some(exif) = exif {
        // Orientation is known from layer 0 on; the rest is not seen.
        let (packed, affordable) = layer(&[exif], 2)?;
        let layer = if packed <= LARGE {
            affordable
        } else {
            previews
        };
        shown.push((exif, layer));
    }
    shown.retain(|(_, layer)| *layer < previews);
    shown.sort_by_key(|(segment, _)| segment.start);
    Ok(shown)
}

/// Whether a profile calls itself sRGB, in ASCII or UTF-16.
fn is_srgb(profile: &[u8]) -> bool {
    let has = |name: &[u8]| profile.windows(name.len()).any(|bytes| bytes == name);
    has(b"sRGB") || has(b"s\0R\0G\0B")
}

/// The note of a layer.
pub(super) fn write_note(
    layer: usize,
    frame: &Frame,
    first: &[u8],
    shown: &[Shown<'_>],
) -> Result<Vec<u8>, CodecError> {
    let mut note = Vec::new();
    if layer == 0 {
        write_frame(&mut note, frame);
        let turned = jpeg::segments(first).find_map(|s| {
            Some(s.payload)
                .filter(|_| s.marker == 0xe1)
                .and_then(jpeg::orientation)
        });
        note.push(turned.unwrap_or(0));
    }
    for (segment, _) in shown.iter().filter(|(_, own)| *own == layer) {
        piece(
            &mut note,
            first.get(segment.start..segment.end).unwrap_or_default(),
        );
    }
    if note.is_empty() {
        return Ok(note);
    }
    pack(&note, BEST, None)
}

/// What the first note says: the frame, the orientation, the segments.
pub(super) fn read_first(
    note: &[u8],
    size: usize,
) -> Result<(Frame, Option<u8>, Segments), CodecError> {
    let plain = unpack(&mut Take(note), size, None)?;
    let mut take = Take(&plain);
    let frame = read_frame(&mut take)?;
    let turned = take.byte()?;
    let turned = Some(turned).filter(|turned| (1..=8).contains(turned));
    Ok((frame, turned, read_segments(&mut take)?))
}

/// The segments in the note of a later layer.
pub(super) fn read_note(note: &[u8], size: usize) -> Result<Segments, CodecError> {
    if note.is_empty() {
        return Ok(Vec::new());
    }
    let plain = unpack(&mut Take(note), size, None)?;
    read_segments(&mut Take(&plain))
}

fn read_segments(take: &mut Take<'_>) -> Result<Segments, CodecError> {
    let mut segments = Vec::new();
    while !take.0.is_empty() {
        segments.push(take.piece()?.to_vec());
    }
    Ok(segments)
}

fn write_frame(out: &mut Vec<u8>, frame: &Frame) {
    number(out, usize::from(frame.width));
    number(out, usize::from(frame.height));
    let flags = usize::from(frame.progressive)
        | usize::from(frame.jfif) << 1
        | usize::from(frame.adobe.is_some()) << 2
        | frame.components.len() << 3;
    number(out, flags);
    out.extend(frame.adobe);
    let mut before: Vec<&Quantiser> = Vec::new();
    for component in &frame.components {
        out.extend_from_slice(&[
            component.id,
            component.h << 4 | component.v,
            component.table,
        ]);
        let steps = &component.quantiser;
        let known = before.iter().position(|other| *other == steps);
        before.push(steps);
        if let Some(known) = known {
            number(out, known);
        } else {
            write_steps(out, steps);
        }
    }
}

/// 4 + kind, and what the kind needs.
fn write_steps(out: &mut Vec<u8>, steps: &Quantiser) {
    let candidates = [false, true]
        .into_iter()
        .flat_map(|chroma| (1..=100).map(move |q| (chroma, q)));
    let distance = |(chroma, quality): &(bool, u8)| {
        let usual = standard_quantiser(*chroma, *quality);
        let pairs = usual.iter().zip(steps);
        pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>()
    };
    let (chroma, quality) = candidates.min_by_key(distance).unwrap_or_default();
    let usual = standard_quantiser(chroma, quality);
    let differences: Result<Vec<i8>, _> = usual
        .iter()
        .zip(steps)
        .map(|(a, b)| i8::try_from(i32::from(*b) - i32::from(*a)))
        .collect();
    let kind = u8::from(chroma);
    match differences {
        Ok(differences) if differences.iter().all(|d| *d == 0) => {
            out.extend_from_slice(&[4 + kind, quality]);
        }
        Ok(differences) => {
            out.extend_from_slice(&[6 + kind, quality]);
            out.extend(differences.iter().map(|d| d.cast_unsigned()));
        }
        Err(_) => {
            out.push(8);
            for step in steps {
                number(out, usize::from(*step));
            }
        }
    }
}

fn read_frame(take: &mut Take<'_>) -> Result<Frame, CodecError> {
    let mut side = || {
        let side = take.number()?;
        u16::try_from(side).map_err(|_| bad("a picture too large"))
    };
    let (width, height) = (side()?, side()?);
    let flags = take.number()?;
    let adobe = match flags & 4 {
        0 => None,
        _ => Some(take.byte()?),
    };
    let mut described = Vec::new();
    let mut all: Vec<Quantiser> = Vec::new();
    for _ in 0..(flags >> 3).min(5) {
        let [id, factors, table] = take.array()?;
        described.push((id, factors >> 4, factors & 15, table));
        let kind = take.byte()?;
        let steps = match all.get(usize::from(kind)) {
            Some(steps) if kind < 4 => *steps,
            _ => read_steps(take, kind)?,
        };
        all.push(steps);
    }
    let mut frame = Frame::new(width, height, flags & 1 != 0, &described).map_err(bad)?;
    frame.jfif = flags & 2 != 0;
    frame.adobe = adobe;
    for (component, steps) in frame.components.iter_mut().zip(all) {
        component.quantiser = steps;
    }
    Ok(frame)
}

fn read_steps(take: &mut Take<'_>, kind: u8) -> Result<Quantiser, CodecError> {
    let wrong = || bad("step sizes out of range");
    let mut steps = match kind {
        4..=7 => standard_quantiser(kind % 2 == 1, take.byte()?),
        8 => [0; 64],
        _ => return Err(wrong()),
    };
    for step in &mut steps {
        *step = match kind {
            4 | 5 => *step,
            8 => u16::try_from(take.number()?).map_err(|_| wrong())?,
            _ => {
                let difference = i16::from(take.byte()?.cast_signed());
                step.checked_add_signed(difference).ok_or_else(wrong)?
            }
        };
        if *step == 0 {
            return Err(wrong());
        }
    }
    Ok(steps)
}

/// The recipe without the segments that are in notes.
pub(super) fn write_recipe(
    recipe: &Recipe,
    frame: &Frame,
    shown: &[Shown<'_>],
    effort: Effort,
) -> Result<Vec<u8>, CodecError> {
    let mut plain = Vec::new();
    number(&mut plain, recipe.notes.len());
    for piece in &recipe.pieces {
        number(&mut plain, piece.len());
    }
    number(&mut plain, shown.len());
    let mut last = 0;
    for (segment, layer) in shown {
        number(&mut plain, segment.start - last);
        number(&mut plain, *layer);
        last = segment.end;
    }
    plain.extend_from_slice(&notes_to_bytes(&recipe.notes));
    let Some((tail, pieces)) = recipe.pieces.split_last() else {
        return Err(bad("no pieces"));
    };
    for (index, piece) in pieces.iter().enumerate() {
        let mut at = 0;
        for (segment, _) in shown.iter().filter(|_| index == 0) {
            plain.extend_from_slice(piece.get(at..segment.start).unwrap_or_default());
            at = segment.end;
        }
        plain.extend_from_slice(piece.get(at..).unwrap_or_default());
    }
    let level = match effort {
        Effort::Fast => 3,
        Effort::Normal => 12,
        Effort::Archive => BEST,
    };
    let small = |bytes: &[u8]| if bytes.len() < 1 << 17 { BEST } else { level };
    let mut out = Vec::new();
    piece(&mut out, &pack(&plain, small(&plain), Some(frame))?);
    piece(&mut out, &pack(tail, small(tail), None)?);
    Ok(out)
}

/// The recipe, from what the functions above have written; `shown` holds the segments of the notes by layer.
pub(super) fn read_recipe(
    take: &mut Take<'_>,
    frame: &Frame,
    shown: &[Segments],
    size: usize,
) -> Result<Recipe, CodecError> {
    let plain = unpack(&mut Take(take.piece()?), size, Some(frame))?;
    let tail = unpack(&mut Take(take.piece()?), size, None)?;
    let mut take = Take(&plain);
    let scans = take.number()?;
    if scans > jpeg::MAX_SCANS {
        return Err(bad("too many scans"));
    }
    let lengths: Vec<usize> = (0..=scans)
        .map(|_| take.number())
        .collect::<Result<_, _>>()?;
    let taken = take.number()?;
    let mut inserted: Vec<(usize, &[u8])> = Vec::new();
    let mut next: Vec<std::slice::Iter<'_, Vec<u8>>> = shown.iter().map(|s| s.iter()).collect();
    for _ in 0..taken {
        let before = take.number()?;
        let layer = take.number()?;
        let segment = next.get_mut(layer).and_then(Iterator::next);
        inserted.push((before, segment.ok_or_else(|| bad("a segment is missing"))?));
    }
    let (notes, rest) = notes_from_bytes(take.0, scans).ok_or_else(|| bad("wrong notes"))?;
    take.0 = rest;
    let mut pieces = Vec::with_capacity(scans + 1);
    for length in lengths.iter().take(scans) {
        let mut piece = Vec::new();
        for (before, segment) in inserted.drain(..) {
            piece.extend_from_slice(take.bytes(before)?);
            piece.extend_from_slice(segment);
        }
        let rest = length.checked_sub(piece.len());
        piece.extend_from_slice(take.bytes(rest.ok_or_else(|| bad("wrong lengths"))?)?);
        pieces.push(piece);
    }
    pieces.push(tail);
    Ok(Recipe { pieces, notes })
}

/// Packs bytes, if that makes them shorter; `like`: they begin like a file with this frame.
fn pack(bytes: &[u8], level: i32, like: Option<&Frame>) -> Result<Vec<u8>, CodecError> {
    let dictionary = like.map(usual_head).unwrap_or_default();
    let mut compressor = Compressor::with_dictionary(level, &dictionary)?;
    for quiet in [
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        compressor.set_parameter(quiet)?;
    }
    let frame = compressor.compress(bytes)?;
    let mut out = vec![if like.is_some() { 2 } else { 1 }];
    number(&mut out, bytes.len());
    out.extend_from_slice(&frame);
    if out.len() > bytes.len() {
        out = [&[0], bytes].concat();
    }
    Ok(out)
}

/// Unpacks a string of at most `size` bytes and a little more.
fn unpack(take: &mut Take<'_>, size: usize, like: Option<&Frame>) -> Result<Vec<u8>, CodecError> {
    let kind = take.byte()?;
    if kind == 0 {
        return Ok(take.0.to_vec());
    }
    let dictionary = match (kind, like) {
        (1, _) => Vec::new(),
        (2, Some(frame)) => usual_head(frame),
        _ => return Err(bad("a packed string of another kind")),
    };
    let length = take.number()?;
    // The frame and the notes of scans are not part of the file.
    if length > size.saturating_mul(2).saturating_add(4096) {
        return Err(bad("a packed string is too long"));
    }
    let mut decompressor = Decompressor::with_dictionary(&dictionary)?;
    let plain = decompressor.decompress(take.0, length);
    let plain = plain.map_err(bad)?;
    if plain.len() != length {
        return Err(bad("a packed string is too short"));
    }
    Ok(plain)
}
