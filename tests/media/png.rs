//! PNG: every kind, odd layouts, damage, and what another decoder says of rendered files.

use holofs::media::error::Error;
use holofs::media::picture::Parts;
use holofs::media::png::{parse, render, write};
use holofs::media::raster::Colour;

use crate::support::{Draw, corpus, degraded, vectors};

/// What another decoder makes of a file: its geometry, or why it refuses.
fn decoded(file: &[u8]) -> Result<(u32, u32, image::ColorType), String> {
    let picture = image::load_from_memory_with_format(file, image::ImageFormat::Png);
    let picture = picture.map_err(|e| e.to_string())?;
    Ok((picture.width(), picture.height(), picture.color()))
}

#[test]
fn every_kept_file_comes_back_and_is_rendered() {
    let files = vectors("png");
    assert!(files.len() > 100);
    for (name, file) in files {
        let parts = parse(&file).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(write(&parts, file.len()).as_ref(), Ok(&file), "{name}");
        for colour in [None, Some(parts.colour.as_slice())] {
            let shown = render(&degraded(&parts.raster), &parts.head, colour, file.len());
            match shown {
                Ok(shown) => {
                    assert_eq!(shown.len(), file.len(), "{name}");
                    // A file that ends in the middle was one nobody should have to read.
                    if let Ok(original) = decoded(&file) {
                        assert_eq!(decoded(&shown), Ok(original), "{name}");
                    }
                    let again = parse(&shown).unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert_eq!(again.raster.planes.len(), parts.raster.planes.len());
                    assert_eq!(again.raster.colour, parts.raster.colour, "{name}");
                }
                Err(e) => {
                    assert_eq!(e, Error::NoRoom(file.len()), "{name}");
                    assert!(file.len() < 100, "{name}: {} bytes", file.len());
                }
            }
        }
    }
}

#[test]
fn pixels_are_those_another_decoder_sees() {
    for (name, file) in vectors("png") {
        let Ok(picture) = image::load_from_memory_with_format(&file, image::ImageFormat::Png)
        else {
            continue;
        };
        let raster = parse(&file).unwrap().raster.expanded();
        if raster.max != 255 || name.starts_with("trns") {
            continue;
        }
        let pixels: Vec<u8> = (0..raster.planes[0].len())
            .flat_map(|at| raster.planes.iter().map(move |plane| plane[at] as u8))
            .collect();
        assert_eq!(picture.as_bytes(), pixels, "{name}");
    }
}

#[test]
fn the_corpus_comes_back_with_small_recipes() {
    let (mut total, mut recipes) = (0, 0);
    for (name, file) in corpus("png") {
        let parts = parse(&file).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(write(&parts, file.len()).as_ref(), Ok(&file), "{name}");
        let shown = render(&degraded(&parts.raster), &parts.head, None, file.len()).unwrap();
        assert_eq!(decoded(&shown), decoded(&file), "{name}");
        total += file.len();
        recipes += parts.recipe.len();
    }
    assert!(recipes * 200 <= total, "{recipes} of {total}");
}

#[test]
fn a_palette_picture_keeps_its_palette_and_finds_its_colours() {
    let files = vectors("png");
    let palettes = |name: &str| name.starts_with("basic-3") || name == "pillow-p.png";
    let mut exact = 0;
    for (name, file) in files.iter().filter(|(name, _)| palettes(name)) {
        let parts = parse(file).unwrap();
        let shown = render(&parts.raster.expanded(), &parts.head, None, file.len()).unwrap();
        let again = parse(&shown).unwrap().raster;
        assert_eq!(again.colour, parts.raster.colour, "{name}");
        exact += usize::from(again == parts.raster);
    }
    // Where a quick compressor finds room for all of it.
    assert!(exact >= 2, "{exact}");
}

#[test]
fn damaged_files_come_back_or_are_refused() {
    let files = vectors("png");
    let (mut taken, mut refused) = (0, 0);
    for seed in 1..1500_u64 {
        let mut draw = Draw(seed * 0x9e37_79b9);
        let (name, file) = &files[draw.next(files.len())];
        if file.len() > 3000 {
            continue;
        }
        let file = draw.mutate(file);
        let Ok(parts) = parse(&file) else {
            refused += 1;
            continue;
        };
        taken += 1;
        assert_eq!(
            write(&parts, file.len()).as_ref(),
            Ok(&file),
            "seed {seed}, {name}"
        );
        if let Ok(shown) = render(&degraded(&parts.raster), &parts.head, None, file.len()) {
            assert_eq!(shown.len(), file.len(), "seed {seed}, {name}");
        }
    }
    assert!(taken > 60 && refused > 60, "{taken} {refused}");
}

#[test]
fn damaged_parts_never_make_more_than_the_file() {
    let files = vectors("png");
    for seed in 1..1500_u64 {
        let mut draw = Draw(seed * 0x1234_5671);
        let (_, file) = &files[draw.next(files.len())];
        if file.len() > 3000 {
            continue;
        }
        let mut parts: Parts = parse(file).unwrap();
        match draw.next(3) {
            0 => parts.head = draw.mutate(&parts.head),
            1 => parts.colour = draw.mutate(&parts.colour),
            _ => parts.recipe = draw.mutate(&parts.recipe),
        }
        if let Ok(written) = write(&parts, file.len()) {
            assert_eq!(written.len(), file.len(), "seed {seed}");
        }
        if let Ok(shown) = render(&parts.raster, &parts.head, Some(&parts.colour), file.len()) {
            assert_eq!(shown.len(), file.len(), "seed {seed}");
        }
    }
}

#[test]
fn a_bomb_is_refused_by_its_geometry() {
    // 60,000 x 60,000 RGB, and a stream of a few bytes.
    let chunk = b"IHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0";
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\r".to_vec();
    file.extend(chunk);
    file.extend(crc32fast::hash(chunk).to_be_bytes());
    assert!(matches!(parse(&file), Err(Error::Limit(_))));
}

#[test]
fn what_cannot_be_shown_in_its_size_is_said_so() {
    let files = vectors("png");
    let (_, file) = files
        .iter()
        .find(|(name, _)| name == "basic-0-08-a.png")
        .unwrap();
    let parts = parse(file).unwrap();
    assert_eq!(parts.raster.colour, Colour::Grey);
    for size in 0..60 {
        assert_eq!(
            render(&parts.raster, &parts.head, None, size),
            Err(Error::NoRoom(size))
        );
    }
}
