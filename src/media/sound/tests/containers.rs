//! Containers with every oddity, and headers that were damaged.

use super::*;

/// Bytes of a number, in the order of a file.
fn ordered<const N: usize>(mut bytes: [u8; N], big: bool) -> [u8; N] {
    if big {
        bytes.reverse();
    }
    bytes
}

fn chunk(id: [u8; 4], content: &[u8], big: bool) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let mut out = id.to_vec();
    out.extend(ordered(length.to_le_bytes(), big));
    out.extend(content);
    if content.len() % 2 == 1 {
        out.push(0);
    }
    out
}

fn fmt(tag: u16, channels: u16, bytes: u16, big: bool) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(ordered(tag.to_le_bytes(), big));
    out.extend(ordered(channels.to_le_bytes(), big));
    out.extend(ordered(44100_u32.to_le_bytes(), big));
    out.extend([0; 4]);
    out.extend(ordered((bytes * channels).to_le_bytes(), big));
    out.extend(ordered((bytes * 8).to_le_bytes(), big));
    out
}

fn form(magic: [u8; 4], kind: [u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
    let big = magic == *b"RIFX" || magic == *b"FORM";
    let mut out = magic.to_vec();
    let size = chunks.iter().map(Vec::len).sum::<usize>() + 4;
    out.extend(ordered(u32::try_from(size).unwrap().to_le_bytes(), big));
    out.extend(kind);
    out.extend(chunks.concat());
    out
}

fn wave(chunks: &[Vec<u8>]) -> Vec<u8> {
    form(*b"RIFF", *b"WAVE", chunks)
}

fn find(file: &[u8]) -> Result<Pcm, ParseError> {
    let size = file.len() as u64;
    Pcm::find(size, &mut |at, buf| {
        let at = usize::try_from(at).unwrap();
        buf.copy_from_slice(&file[at..at + buf.len()]);
        Ok(())
    })
}

/// Finds, reads and writes the samples; returns them as bytes.
fn samples(file: &[u8]) -> Vec<u8> {
    let pcm = find(file).unwrap();
    let at = |at| usize::try_from(at).unwrap();
    let bytes = &file[at(pcm.data.start)..at(pcm.data.end)];
    let piece = pcm.format.read(bytes).unwrap();
    assert_eq!(pcm.format.write(&piece).unwrap(), bytes);
    bytes.to_vec()
}

fn unsupported(file: &[u8]) -> bool {
    matches!(find(file), Err(ParseError::Media(Error::Unsupported(_))))
}

const SOUND: &[u8] = &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0];

#[test]
fn waves_of_each_form() {
    for (tag, bytes, number) in [
        (1, 1, Number::Unsigned),
        (1, 2, Number::Signed),
        (1, 3, Number::Signed),
        (1, 4, Number::Signed),
        (3, 4, Number::Float),
    ] {
        for (magic, order) in [
            (b"RIFF", Order::Little),
            (b"RIFX", Order::Big),
            (b"BW64", Order::Little),
        ] {
            let big = order == Order::Big;
            let plain = fmt(tag, 2, bytes, big);
            // 20 bits in 32, perhaps: what counts is the room that a sample takes.
            let mut extensible = fmt(0xfffe, 2, bytes, big);
            extensible.extend(ordered([22, 0], big));
            extensible.extend(ordered([bytes.to_le_bytes()[0] * 8 - 4, 0], big));
            extensible.extend([0; 4]);
            extensible.extend(ordered(u32::from(tag).to_le_bytes(), big));
            extensible.extend(b"\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71");
            for fmt in [plain, extensible] {
                let chunks = [chunk(*b"fmt ", &fmt, big), chunk(*b"data", &[7; 24], big)];
                let file = form(*magic, *b"WAVE", &chunks);
                let pcm = find(&file).unwrap();
                let encoding = Encoding {
                    number,
                    bytes: u8::try_from(bytes).unwrap(),
                    order,
                };
                assert_eq!((pcm.format.encoding, pcm.format.rate), (encoding, 44100));
                assert_eq!(pcm.format.channels, 2);
                assert_eq!(samples(&file), [7; 24]);
            }
        }
    }
}

#[test]
fn chunks_before_and_after_and_between() {
    let fmt = chunk(*b"fmt ", &fmt(1, 1, 2, false), false);
    let data = chunk(*b"data", SOUND, false);
    let odd = chunk(*b"abcd", b"odd", false);
    let mut unpadded = odd.clone();
    unpadded.pop();
    let other = chunk(*b"data", b"more", false);
    for chunks in [
        vec![
            odd.clone(),
            fmt.clone(),
            odd.clone(),
            data.clone(),
            odd.clone(),
        ],
        vec![
            unpadded.clone(),
            fmt.clone(),
            unpadded.clone(),
            data.clone(),
        ],
        vec![
            fmt.clone(),
            data.clone(),
            other.clone(),
            b"trailing".to_vec(),
        ],
        vec![data.clone(), odd, fmt.clone(), other],
        vec![fmt.clone(), data.clone(), fmt.clone(), b"x".to_vec()],
    ] {
        assert_eq!(samples(&wave(&chunks)), SOUND, "{chunks:?}");
    }
    assert!(unsupported(&wave(std::slice::from_ref(&data))));
    assert!(unsupported(&wave(&[fmt, unpadded])));
    assert!(unsupported(&wave(&[])));
}

#[test]
fn lengths_that_are_wrong() {
    let file = wave(&[
        chunk(*b"fmt ", &fmt(1, 1, 2, false), false),
        chunk(*b"data", SOUND, false),
    ]);
    let at = 12 + 24 + 4;
    let claim = |length: u32, all: Option<u32>| {
        let mut file = file.clone();
        file[at..at + 4].copy_from_slice(&length.to_le_bytes());
        if let Some(all) = all {
            file[4..8].copy_from_slice(&all.to_le_bytes());
        }
        samples(&file)
    };
    // Longer than the file, never filled in, shorter, and with a frame cut in two.
    assert_eq!(claim(4000, None), SOUND);
    assert_eq!(claim(u32::MAX, None), SOUND);
    assert_eq!(claim(0, Some(0)), SOUND);
    assert_eq!(claim(0, Some(36)), SOUND);
    assert!(claim(0, None).is_empty());
    assert_eq!(claim(6, None), SOUND[..6]);
    assert_eq!(claim(7, None), SOUND[..6]);
    let mut cut = file.clone();
    cut.pop();
    assert_eq!(samples(&cut), SOUND[..10]);
    assert!(samples(&file[..at + 4]).is_empty());
    assert!(unsupported(&file[..at + 3]));
}

#[test]
fn lengths_of_64_bits() {
    let mut ds64 = vec![0; 28];
    ds64[8..16].copy_from_slice(&8_u64.to_le_bytes());
    let mut data = chunk(*b"data", SOUND, false);
    data[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let fmt = chunk(*b"fmt ", &fmt(1, 1, 2, false), false);
    let file = |ds64: &[u8]| {
        let chunks = [chunk(*b"ds64", ds64, false), fmt.clone(), data.clone()];
        form(*b"RF64", *b"WAVE", &chunks)
    };
    assert_eq!(samples(&file(&ds64)), SOUND[..8]);
    ds64[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(samples(&file(&ds64)), SOUND);
}

#[test]
fn waves_that_hold_no_samples_as_they_are() {
    let of = |fmt: &[u8]| wave(&[chunk(*b"fmt ", fmt, false), chunk(*b"data", SOUND, false)]);
    assert!(unsupported(&of(&fmt(0x55, 2, 1, false))));
    assert!(unsupported(&of(&fmt(1, 0, 2, false))));
    assert!(unsupported(&of(&fmt(1, 9, 2, false))));
    assert!(unsupported(&of(&fmt(3, 1, 8, false))));
    assert!(unsupported(&of(&fmt(1, 1, 5, false))));
}

fn comm(channels: u16, frames: u32, bits: u16, kind: Option<&[u8; 4]>) -> Vec<u8> {
    let mut out = ordered(channels.to_le_bytes(), true).to_vec();
    out.extend(ordered(frames.to_le_bytes(), true));
    out.extend(ordered(bits.to_le_bytes(), true));
    out.extend(b"\x40\x0e\xac\x44\0\0\0\0\0\0");
    if let Some(kind) = kind {
        out.extend(kind);
        out.extend(b"\x04name\0");
    }
    chunk(*b"COMM", &out, true)
}

fn ssnd(offset: u8, sound: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 0, offset, 0, 0, 0, 0];
    out.extend(vec![9; usize::from(offset)]);
    out.extend(sound);
    chunk(*b"SSND", &out, true)
}

#[test]
fn aiffs_of_each_form() {
    let cases = [
        (None::<&[u8; 4]>, 8, Number::Signed, 1, Order::Big),
        (None, 12, Number::Signed, 2, Order::Big),
        (None, 24, Number::Signed, 3, Order::Big),
        (None, 32, Number::Signed, 4, Order::Big),
        (Some(b"NONE"), 16, Number::Signed, 2, Order::Big),
        (Some(b"twos"), 16, Number::Signed, 2, Order::Big),
        (Some(b"sowt"), 16, Number::Signed, 2, Order::Little),
        (Some(b"in24"), 24, Number::Signed, 3, Order::Big),
        (Some(b"in32"), 32, Number::Signed, 4, Order::Big),
        (Some(b"raw "), 8, Number::Unsigned, 1, Order::Big),
        (Some(b"fl32"), 32, Number::Float, 4, Order::Big),
    ];
    for (kind, bits, number, bytes, order) in cases {
        let frames = u32::try_from(SOUND.len()).unwrap() / u32::from(bytes);
        let comm = comm(1, frames, bits, kind);
        let magic = if kind.is_some() { b"AIFC" } else { b"AIFF" };
        let fver = chunk(*b"FVER", &[1], true);
        for chunks in [
            vec![fver.clone(), comm.clone(), ssnd(0, SOUND)],
            vec![ssnd(0, SOUND), fver, comm.clone()],
            vec![comm.clone(), ssnd(4, SOUND), chunk(*b"ANNO", b"note", true)],
        ] {
            let file = form(*b"FORM", *magic, &chunks);
            let pcm = find(&file).unwrap();
            let encoding = Encoding {
                number,
                bytes,
                order,
            };
            assert_eq!((pcm.format.encoding, pcm.format.rate), (encoding, 44100));
            assert_eq!(samples(&file), SOUND);
        }
    }
    let odd = form(
        *b"FORM",
        *b"AIFC",
        &[comm(1, 1, 16, Some(b"ulaw")), ssnd(0, SOUND)],
    );
    assert!(unsupported(&odd));
    assert!(unsupported(&form(*b"FORM", *b"AIFF", &[ssnd(0, SOUND)])));
}

#[test]
fn aiffs_with_wrong_counts() {
    let of = |frames, sound: &[u8]| {
        samples(&form(
            *b"FORM",
            *b"AIFF",
            &[comm(1, frames, 16, None), ssnd(0, sound)],
        ))
    };
    assert_eq!(of(2, SOUND), SOUND[..4]);
    assert_eq!(of(600, SOUND), SOUND);
    assert_eq!(of(0, SOUND), SOUND);
    assert!(of(6, &[]).is_empty());
}

/// Damaged headers give an error or samples that are written again as they were; nothing panics.
#[test]
fn damaged_headers() {
    let mut files = Vec::new();
    let fmt = fmt(1, 2, 2, false);
    let riff = [
        chunk(*b"JUNK", &[0; 28], false),
        chunk(*b"fmt ", &fmt, false),
        chunk(*b"LIST", b"odd", false),
        chunk(*b"data", &SOUND.repeat(4), false),
        chunk(*b"id3 ", b"tag", false),
    ];
    files.push(form(*b"RIFF", *b"WAVE", &riff));
    files.push(form(
        *b"RF64",
        *b"WAVE",
        &[
            chunk(*b"ds64", &[2; 28], false),
            chunk(*b"fmt ", &fmt, false),
            chunk(*b"data", SOUND, false),
        ],
    ));
    files.push(form(
        *b"FORM",
        *b"AIFC",
        &[comm(2, 3, 16, Some(b"sowt")), ssnd(2, SOUND)],
    ));
    let mut next = random(77);
    let mut found = 0;
    for round in 0..20_000 {
        let mut file = files[round % files.len()].clone();
        let length = u32::try_from(file.len()).unwrap();
        for _ in 0..=next() % 4 {
            let at = usize::try_from(next() % length).unwrap();
            file[at] = match next() % 4 {
                0 => 0,
                1 => 0xff,
                2 => file[at] ^ 1 << (next() % 8),
                _ => next().to_le_bytes()[0],
            };
        }
        if next().is_multiple_of(4) {
            file.truncate(usize::try_from(next() % length).unwrap());
        }
        if find(&file).is_ok() {
            samples(&file);
            found += 1;
        }
    }
    assert!(found > 5_000, "{found}");
}

#[test]
fn files_of_other_programs() {
    let cases = [
        (
            "byte.wav",
            1,
            48000,
            Number::Unsigned,
            1,
            Order::Little,
            1440,
        ),
        ("big.wav", 2, 44100, Number::Signed, 2, Order::Big, 441),
        (
            "extensible24.wav",
            2,
            48000,
            Number::Signed,
            3,
            Order::Little,
            240,
        ),
        ("float.wav", 1, 48000, Number::Float, 4, Order::Little, 480),
        ("long.wav", 1, 48000, Number::Signed, 2, Order::Little, 480),
        ("piped.wav", 1, 48000, Number::Signed, 2, Order::Little, 480),
        ("plain.aiff", 2, 44100, Number::Signed, 2, Order::Big, 441),
        ("sowt.aifc", 2, 44100, Number::Signed, 2, Order::Little, 441),
        ("float.aifc", 2, 44100, Number::Float, 4, Order::Big, 441),
    ];
    for (name, channels, rate, number, bytes, order, frames) in cases {
        let file = vector(name);
        let encoding = Encoding {
            number,
            bytes,
            order,
        };
        let format = Format {
            channels,
            rate,
            encoding,
        };
        assert_eq!(find(&file).unwrap().format, format, "{name}");
        assert_eq!(
            samples(&file).len(),
            frames * format.frame_bytes(),
            "{name}"
        );
    }
    assert!(unsupported(&vector("alaw.wav")));
    // What was 16 or 24 bits is integers again.
    for name in ["float.wav", "float.aifc"] {
        let file = vector(name);
        let Pcm { format, data } = find(&file).unwrap();
        let at = |at| usize::try_from(at).unwrap();
        let piece = format.read(&file[at(data.start)..at(data.end)]).unwrap();
        assert!(piece.rest.is_empty() && piece.scale <= 23, "{name}");
    }
}
