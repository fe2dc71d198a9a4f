//! Tests of JPEG files: they come apart and together; what is rendered is valid.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use super::huffman::{Huffman, optimal};
use super::testing::{Random, mutated, vector, vectors};
use super::*;

fn written(jpeg: &Jpeg) -> Result<Vec<u8>, JpegError> {
    let mut out = Vec::new();
    write(&jpeg.planes, &jpeg.recipe, &mut out, usize::MAX)?;
    Ok(out)
}

/// Takes apart, puts together, and checks that notes survive being bytes.
fn round_trip(file: &[u8]) -> Jpeg {
    let jpeg = parse(file).unwrap();
    assert!(written(&jpeg).unwrap() == file);
    let notes = notes_to_bytes(&jpeg.recipe.notes);
    let (back, rest) = notes_from_bytes(&notes, jpeg.recipe.notes.len()).unwrap();
    assert!(back == jpeg.recipe.notes && rest.is_empty());
    jpeg
}

#[test]
fn vectors_come_apart_and_together() {
    // Width, height, components, scans, colour.
    let expected = [
        ("baseline", 75, 50, 3, 1, Colour::YCbCr),
        ("progressive", 80, 64, 3, 10, Colour::YCbCr),
        ("progressive_script", 60, 60, 3, 14, Colour::YCbCr),
        ("incomplete", 64, 40, 3, 3, Colour::YCbCr),
        ("not_interleaved", 50, 37, 3, 3, Colour::YCbCr),
        ("grey_2x2", 41, 23, 1, 1, Colour::Grey),
        ("cmyk", 48, 40, 4, 1, Colour::Cmyk),
        ("rgb", 48, 40, 3, 1, Colour::Rgb),
        ("one_pixel", 1, 1, 3, 1, Colour::YCbCr),
    ];
    for (name, file) in vectors() {
        println!("{name}");
        let jpeg = round_trip(&file);
        assert!(
            jpeg.recipe.notes.iter().all(|n| *n == Notes::default()),
            "{name}"
        );
        assert_eq!(jpeg.recipe.pieces.last().unwrap(), &[0xff, 0xd9]);
        if let Some((_, width, height, components, scans, colour)) =
            expected.iter().find(|e| e.0 == name)
        {
            let frame = &jpeg.frame;
            assert_eq!((frame.width, frame.height), (*width, *height));
            assert_eq!(frame.components.len(), *components);
            assert_eq!(jpeg.recipe.notes.len(), *scans, "{name}");
            assert_eq!(frame.colour(), *colour);
        }
    }
}

#[test]
fn what_follows_the_image_is_kept() {
    let file = vector("baseline");
    for tail in [&b"\0\0\0"[..], b"\xff\xd8\xff\xe0 another image", &file] {
        let jpeg = round_trip(&[&file, tail].concat());
        assert_eq!(jpeg.recipe.pieces.last().unwrap().len(), 2 + tail.len());
    }
    // Bytes between a scan and the next marker, and no end of the image.
    let body = &file[..file.len() - 2];
    for tail in [
        &b""[..],
        b"garbage",
        b"\xff\xff\xff\xd9",
        b"\xff\xd3\xff\xd9",
        b"\xff",
    ] {
        round_trip(&[body, tail].concat());
    }
}

/// Padding, restart markers and runs of ended blocks as other encoders write them.
#[test]
fn choices_of_encoders_are_recorded() {
    let change = |name: &str, change: fn(&mut Vec<Notes>)| {
        let mut jpeg = parse(&vector(name)).unwrap();
        change(&mut jpeg.recipe.notes);
        let file = written(&jpeg).unwrap();
        let again = round_trip(&file);
        assert!(again.planes == jpeg.planes, "{name}");
        assert_eq!(again.recipe.notes, jpeg.recipe.notes, "{name}");
    };
    change("restarts_422", |notes| notes[0].pad_ones = false);
    change("restarts_422", |notes| notes[0].pads = vec![(2, 0), (3, 0)]);
    change("restarts_422", |notes| notes[0].restarts = false);
    // Every block ends alone, or runs are short, or end for no reason.
    for name in ["progressive", "progressive_script", "lowest"] {
        for run in [1, 3] {
            let mut jpeg = parse(&vector(name)).unwrap();
            jpeg.recipe.notes.iter_mut().for_each(|n| n.max_run = run);
            // Not all tables have codes for short runs.
            let Ok(file) = written(&jpeg) else { continue };
            assert!(round_trip(&file).planes == jpeg.planes);
        }
        let mut jpeg = parse(&vector(name)).unwrap();
        for notes in &mut jpeg.recipe.notes {
            notes.cuts = vec![3, 9, 17];
        }
        if let Ok(file) = written(&jpeg) {
            assert!(round_trip(&file).planes == jpeg.planes);
        }
    }
}

/// A file that ends anywhere is written again from what was there.
#[test]
fn cut_files_come_together() {
    for (name, file) in vectors() {
        let whole = parse(&file).unwrap();
        let begin = whole.recipe.pieces[0].len();
        for end in 0..file.len() {
            let cut = &file[..end];
            match parse(cut) {
                Ok(jpeg) => {
                    assert!(end >= begin, "{name} {end}");
                    assert!(written(&jpeg).unwrap() == cut, "{name} {end}");
                }
                Err(_) => assert!(end < begin, "{name} {end}"),
            }
        }
        // Cut in the first scan, everything but its end is taken apart.
        if whole.recipe.notes.len() == 1 && file.len() > 1200 {
            let jpeg = parse(&file[..file.len() - 50]).unwrap();
            assert!(jpeg.recipe.notes[0].stop.is_some());
            assert!(jpeg.recipe.pieces[1].len() < 60, "{name}");
        }
    }
}

#[test]
fn changed_files_are_written_again_or_refused() {
    let (mut same, mut refused) = (0, 0);
    for (name, file) in vectors() {
        for seed in 0..150 {
            println!("{name}, seed {seed}");
            let changed = mutated(&file, &mut Random(seed));
            let Ok(mut jpeg) = parse(&changed) else {
                refused += 1;
                continue;
            };
            same += u32::from(written(&jpeg).is_ok_and(|again| again == changed));
            let size = changed.len();
            if let Ok(shown) = render(&jpeg.frame, &mut jpeg.planes, &Metadata::default(), size) {
                assert_eq!(shown.len(), size);
                assert!(parse(&shown).unwrap().planes == jpeg.planes);
            }
        }
    }
    assert!(same > 500 && refused > 500, "{same} {refused}");
}

#[test]
fn what_is_not_supported_is_named() {
    let file = vector("baseline");
    let sof = segments(&file)
        .find(|s| s.marker == code::SOF0)
        .unwrap()
        .start;
    let with = |at: usize, value: u8| {
        let mut file = file.clone();
        file[sof + at] = value;
        parse(&file).unwrap_err().to_string()
    };
    assert_eq!(with(1, 0xc9), "arithmetic coding is not supported");
    assert_eq!(with(1, 0xc3), "lossless coding is not supported");
    assert_eq!(with(1, 0xc5), "hierarchical coding is not supported");
    assert!(with(4, 12).contains("precision"));
    assert!(with(9, 7).contains("number of components"));
    assert!(parse(b"").unwrap_err().to_string().contains("no JPEG"));
    assert!(parse(b"\x89PNG\r\n\x1a\n").is_err());
    assert!(parse(&[0xff, 0xd8]).is_err());
    let mut no_height = file.clone();
    no_height[sof + 5..sof + 7].fill(0);
    let said = parse(&no_height).unwrap_err().to_string();
    assert_eq!(said, "a height that follows the scan is not supported");
}

#[test]
fn limits_hold_before_anything_is_allocated() {
    let mut file = vector("baseline");
    let sof = segments(&file)
        .find(|s| s.marker == code::SOF0)
        .unwrap()
        .start;
    file[sof + 5..sof + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    let said = parse(&file).unwrap_err().to_string();
    assert!(said.contains("number of coefficients"), "{said}");
    file[sof + 5..sof + 9].copy_from_slice(&[0x10, 0, 0x10, 0]);
    let said = parse(&file).unwrap_err().to_string();
    assert!(said.contains("number of blocks"), "{said}");

    // A scan of one bit per block, over and over.
    let file = vector("progressive");
    let jpeg = parse(&file).unwrap();
    let mut many = file[..file.len() - 2].to_vec();
    for _ in 0..MAX_SCANS {
        many.extend_from_slice(&jpeg.recipe.pieces[1]);
    }
    // Coefficients that were coded already end the parsing; the rest is kept as it is.
    round_trip(&many);
}

/// Whatever is rendered has the wanted size and holds the very coefficients.
#[test]
fn rendered_files_hold_the_coefficients() {
    for (name, file) in vectors() {
        for keep in [0, 1, 3, 10, 64] {
            let mut jpeg = parse(&file).unwrap();
            for value in jpeg
                .planes
                .iter_mut()
                .flatten()
                .flat_map(|b| &mut b[keep..])
            {
                *value = 0;
            }
            let metadata = Metadata {
                orientation: Some(6),
                segments: Vec::new(),
            };
            for extra in [0, 1, 2, 3, 4, 5, 70_000] {
                let size = file.len() + 60 + extra;
                let shown = render(&jpeg.frame, &mut jpeg.planes, &metadata, size).unwrap();
                assert_eq!(shown.len(), size);
                let back = parse(&shown).unwrap();
                assert!(back.planes == jpeg.planes, "{name} {keep}");
                assert_eq!(back.frame.colour(), jpeg.frame.colour());
                let steps = |frame: &Frame| -> Vec<Quantiser> {
                    frame.components.iter().map(|c| c.quantiser).collect()
                };
                assert_eq!(steps(&back.frame), steps(&jpeg.frame));
                let turned = segments(&shown).find_map(|s| orientation(s.payload));
                assert_eq!(turned, Some(6), "{name}");
            }
        }
    }
}

#[test]
fn the_smallest_size_is_enough_and_no_less_is() {
    for (name, file) in vectors() {
        let jpeg = parse(&file).unwrap();
        let size = smallest(&jpeg.frame);
        let shown = render(
            &jpeg.frame,
            &mut jpeg.planes.clone(),
            &Metadata::default(),
            size,
        );
        assert_eq!(shown.unwrap().len(), size, "{name}");
        let less = render(
            &jpeg.frame,
            &mut jpeg.planes.clone(),
            &Metadata::default(),
            size - 1,
        );
        assert!(less.is_err(), "{name}");
    }
}

#[test]
fn best_tables_have_codes_of_16_bits_at_most() {
    // Fibonacci numbers give the longest codes.
    let mut counts = [0u32; 256];
    let (mut a, mut b) = (1, 1);
    for count in counts.iter_mut().take(40) {
        *count = a;
        (a, b) = (b, a + b);
    }
    let definition = optimal(&counts);
    assert_eq!(definition.symbols.len(), 40);
    let table = Huffman::new(&definition.counts, &definition.symbols).unwrap();
    for symbol in 0..256u32 {
        let code = table.code(symbol);
        assert_eq!(code != 0, symbol < 40);
        if code != 0 {
            let window = u64::from(code & 0xffff) << (64 - (code >> 16));
            assert_eq!(table.decode(window), (code >> 16, symbol as u8));
            assert_eq!(table.decode(window | (1 << 40)), (code >> 16, symbol as u8));
        }
    }
    // The code of ones only belongs to nobody.
    assert_eq!(table.decode(u64::MAX).0, 0);
    let mut one = [0; 256];
    one[7] = 1000;
    assert_eq!(optimal(&one).symbols, [7]);
}

/// The tables of annex K are those that a usual encoder writes.
#[test]
fn the_usual_head_is_what_a_usual_encoder_writes() {
    let file = vector("baseline");
    let jpeg = parse(&file).unwrap();
    let head = usual_head(&jpeg.frame);
    let mut found = 0;
    for segment in segments(&file).filter(|s| [code::DHT, code::DQT].contains(&s.marker)) {
        let bytes = &file[segment.start..segment.end];
        assert!(
            head.windows(bytes.len()).any(|w| w == bytes),
            "{:x}",
            segment.marker
        );
        found += 1;
    }
    assert_eq!(found, 6);
    assert_eq!(
        jpeg.frame.components[0].quantiser,
        standard_quantiser(false, 80)
    );
    assert_eq!(
        jpeg.frame.components[1].quantiser,
        standard_quantiser(true, 80)
    );
}

#[test]
fn orientation_is_found_in_both_byte_orders() {
    let file = vector("metadata");
    let exif = segments(&file).find(|s| s.marker == 0xe1).unwrap().payload;
    assert_eq!(orientation(exif), Some(6));
    let big = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0";
    assert_eq!(orientation(big), Some(3));
    for end in 0..big.len() - 6 {
        assert_eq!(orientation(&big[..end]), None);
    }
    assert_eq!(orientation(b"http://ns.adobe.com/xap/1.0/\0"), None);
}

#[test]
fn any_rows_are_written_without_those_before() {
    let mut cut = 0;
    for (name, file) in vectors() {
        let changed = (0..12).map(|seed| mutated(&file, &mut Random(seed)));
        for (seed, file) in std::iter::once(file.clone()).chain(changed).enumerate() {
            let Ok(jpeg) = parse(&file) else { continue };
            let mut whole = Vec::new();
            if write(&jpeg.planes, &jpeg.recipe, &mut whole, file.len()).is_err() {
                continue;
            }
            let Some(rows) = Rows::new(&jpeg.recipe).unwrap() else {
                continue;
            };
            let component = &jpeg.frame.components[0];
            let all = component.rows / usize::from(component.v);
            let mut random = Random(seed as u64);
            let mut again = jpeg.recipe.pieces[0].clone();
            let (mut from, mut start) = (0, Start::default());
            while from < all {
                let to = (from + 1 + random.below(4)).min(all);
                println!("{name}, change {seed}, rows {from}..{to} of {all}");
                let blocks = jpeg.planes.iter().zip(&jpeg.frame.components);
                let blocks = blocks.map(|(plane, c)| {
                    let row = usize::from(c.v) * c.stride;
                    &plane[from * row..to * row]
                });
                let blocks: Vec<&[Block]> = blocks.collect();
                let limit = file.len();
                start = rows
                    .write(&blocks, from..to, start, &mut again, limit)
                    .unwrap();
                (from, cut) = (to, cut + 1);
            }
            again.extend_from_slice(&jpeg.recipe.pieces[1]);
            assert!(again == whole);
        }
    }
    assert!(cut > 100, "{cut}");
}
