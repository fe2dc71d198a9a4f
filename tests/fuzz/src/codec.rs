//! What must hold of every codec, whatever it is given.

use std::sync::Arc;

use holofs::codec::{
    Codec, CodecError, Decoder, Dictionary, Effort, First, Quality, Request, by_name, thumbnail,
};
use holofs::coding::hash::Digest;

use crate::object::{Bytes, Object};

/// Most bytes of content: whole files are kept in memory by design, up to limits far above this.
const SIZE: u64 = 4 << 20;
/// Most samples of a picture or frame, for the same reason.
const SAMPLES: u64 = 1 << 20;
/// Most reads of one object.
const READS: usize = 64;

/// Reads an object of whatever bytes.
pub fn decode(name: &str, input: &[u8]) {
    let codec = by_name(name).expect("a codec");
    let Some(mut object) = Object::parse(input) else {
        return;
    };
    if object.size > SIZE || large(name, &object.settings) {
        return;
    }
    if name == "template" {
        prove(&mut object);
    }
    let (settings, size) = (object.settings.clone(), object.size);
    let _ = codec.dictionaries(&settings);
    for layers in 0..=object.layers.len() {
        let _ = codec.quality(&settings, layers);
    }
    if let Ok(Some(png)) = codec.preview(&settings, size, Box::new(object.clone())) {
        assert!(
            png.len() <= thumbnail::MOST,
            "a preview of {} bytes",
            png.len()
        );
    }
    if let Ok(decoder) = codec.open(&settings, size, Box::new(object)) {
        read(&*decoder, size);
    }
}

/// Whether settings speak of pictures that are taken for large here. Where they stand: documentation of the codecs.
pub fn large(name: &str, settings: &[u8]) -> bool {
    let field = |at: usize| {
        let bytes = settings.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
    };
    let (width, height) = match name {
        "image" => (field(16), field(20)),
        "video" => (field(4), field(8)),
        _ => return false,
    };
    width.saturating_mul(height) > SAMPLES
}

/// Reads in segments, and again across them: no range gives other bytes than the whole.
fn read(decoder: &dyn Decoder, size: u64) {
    let mut content = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut known = Vec::new();
    let mut at = 0;
    for _ in 0..READS {
        if at >= size {
            break;
        }
        let segment = decoder.segment(at);
        assert!(
            segment.contains(&at) && segment.end <= size,
            "{segment:?} around {at} of {size}"
        );
        let range = at as usize..segment.end as usize;
        let quality = decoder.read_at(at, &mut content[range.clone()]);
        if let Ok(quality) = quality {
            known.push((range, quality));
        }
        at = segment.end;
    }
    for (range, quality) in &known {
        let middle = range.start.midpoint(range.end);
        let mut part = vec![0; (range.end - middle).min(5000)];
        if let Ok(again) = decoder.read_at(middle as u64, &mut part) {
            assert_eq!(again, *quality, "at {middle}");
            assert!(
                content[middle..].starts_with(&part),
                "other bytes at {middle}"
            );
        }
        if let (Quality::Exact, Ok(Some((from, length)))) =
            (quality, decoder.earlier(range.start as u64))
        {
            assert!(
                from < range.start as u64 && length > 0,
                "{from} for {range:?}"
            );
            let length = (length as usize).min(range.len());
            let from = from as usize..from as usize + length;
            let exact = |(r, q): &(std::ops::Range<usize>, Quality)| {
                *q == Quality::Exact && r.start <= from.start && from.end <= r.end
            };
            if known.iter().any(exact) {
                let here = &content[range.start..range.start + length];
                assert!(content[from.clone()] == *here, "{from:?} is not {range:?}");
            }
        }
    }
}

/// Encodes whatever bytes: the codec declines, or what it makes reads back as the same bytes, from fewer layers with
/// the same size, and never as exact where it is not. The first byte of the input chooses how.
pub fn round_trip(name: &str, input: &[u8]) {
    let codec = by_name(name).expect("a codec");
    let Some((how, content)) = input.split_first() else {
        return;
    };
    let Some((object, _)) = encode(codec, *how, content) else {
        return;
    };
    let (settings, size) = (object.settings.clone(), object.size);
    assert!(
        settings.len() <= 64 << 10,
        "{} bytes of settings",
        settings.len()
    );
    for present in (0..=object.layers.len()).rev() {
        let exact = present == object.layers.len();
        let here = Object {
            present,
            ..object.clone()
        };
        let opened = codec.open(&settings, size, Box::new(here));
        let mut out = vec![0; content.len()];
        let found = opened.and_then(|decoder| decoder.read_at(0, &mut out));
        match found {
            Ok(Quality::Exact) => assert!(out == *content, "other bytes with {present} layers"),
            Ok(quality) => assert!(!exact, "{quality:?} from everything"),
            Err(CodecError::Layer(_)) if !exact => {}
            Err(e) => panic!("{present} of {} layers: {e}", object.layers.len()),
        }
    }
    let first = Object {
        present: 1,
        ..object.clone()
    };
    match codec.preview(&settings, size, Box::new(First(Box::new(first)))) {
        Ok(_) | Err(CodecError::Layer(_)) => {}
        Err(e) => panic!("preview: {e}"),
    }
    let decoder = codec
        .open(&settings, size, Box::new(object))
        .expect("opened before");
    read(&*decoder, size);
}

/// What a codec makes of content; `None` where it declines. `how`: three bits of previews, one of effort, one for a
/// dictionary of the content's first half.
pub fn encode(codec: &dyn Codec, how: u8, content: &[u8]) -> Option<(Object, u8)> {
    let previews = usize::from(how & 7).min(4);
    let effort = if how & 8 == 0 {
        Effort::Fast
    } else {
        Effort::Normal
    };
    let samples = &content[..content.len() / 2];
    let learned = (how & 16 != 0).then(|| codec.learn(samples, Effort::Fast, &|| false));
    let dictionaries: Vec<_> = learned
        .flatten()
        .map(|bytes| Dictionary {
            id: Digest::of(&bytes),
            bytes: bytes.into(),
        })
        .into_iter()
        .collect();
    let mut object = Object {
        dictionary: dictionaries
            .first()
            .map_or_else(|| Arc::from([]), |d| Arc::clone(&d.bytes)),
        ..Object::default()
    };
    let request = Request {
        effort,
        previews,
        dictionaries: &dictionaries,
    };
    let encoded = match codec.encode(&Bytes(content.to_vec()), request, &mut object) {
        Ok(encoded) => encoded,
        Err(CodecError::Declined(_)) => return None,
        Err(e) => panic!("encoding: {e}"),
    };
    assert!(
        object.layers.len() <= encoded.layers,
        "more layers than are told"
    );
    object.layers.resize(encoded.layers, Vec::new());
    object.present = object.layers.len();
    object.size = content.len() as u64;
    object.settings = encoded.settings;
    Some((object, how))
}

/// Makes the hashes of a template's index, tables and extents right, without which no changed byte behind them is ever
/// looked at. Where they stand: documentation of the codec.
fn prove(object: &mut Object) {
    const UNIT: u64 = 16 << 10;
    const GROUP: u64 = 256;
    const ENTRY: u64 = 10;
    let dictionary = Digest::of(&object.dictionary);
    let (Some(layer), settings) = (object.layers.first_mut(), &mut object.settings) else {
        return;
    };
    let number = |bytes: &[u8], at: usize, length: usize| {
        let mut number = [0; 8];
        let found = bytes.get(at..).and_then(|bytes| bytes.get(..length));
        number[..length].copy_from_slice(found.unwrap_or(&[0; 8][..length]));
        u64::from_le_bytes(number)
    };
    let start = usize::try_from(number(settings, 0, 8)).unwrap_or(usize::MAX);
    let Some((body, index)) = layer.split_at_mut_checked(start) else {
        return;
    };
    let proof = |start: u64, length: u64| {
        let start = usize::try_from(start).ok()?;
        let bytes = body.get(start..)?.get(..usize::try_from(length).ok()?)?;
        Some(Digest::of(bytes).0[..8].to_vec())
    };
    let [packs, groups, blocks] = [0, 4, 8].map(|at| number(index, at, 4) as usize);
    let entries =
        16 + packs.saturating_mul(24) + groups.saturating_mul(20) + blocks.saturating_mul(36);
    if entries > index.len() {
        return;
    }
    let mut group = 16 + packs * 24;
    for pack in 0..packs {
        let mut units = number(index, 16 + pack * 24, 8).div_ceil(UNIT);
        while units > 0 && group + 20 <= 16 + packs * 24 + groups * 20 {
            let table = number(index, group, 8).saturating_add(number(index, group + 8, 4));
            if let Some(proof) = proof(table, units.min(GROUP) * ENTRY) {
                index[group + 12..group + 20].copy_from_slice(&proof);
            }
            units = units.saturating_sub(GROUP);
            group += 20;
        }
    }
    for block in 0..blocks {
        let at = 16 + packs * 24 + groups * 20 + block * 36;
        let (start, length) = (number(index, at + 16, 8), number(index, at + 24, 4));
        if let Some(proof) = proof(start, length) {
            index[at + 28..at + 36].copy_from_slice(&proof);
        }
    }
    let hash = Digest::of(index);
    if let Some(field) = settings.get_mut(8..24) {
        field.copy_from_slice(&hash.0[..16]);
    }
    if let Some(id) = settings.get_mut(24..56) {
        id.copy_from_slice(&dictionary.0);
    }
}
