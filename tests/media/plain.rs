//! BMP, PNM, PAM and TIFF: kept files, damage, and what another decoder says of rendered files.

use std::collections::HashMap;

use holofs::media::error::Error;
use holofs::media::picture::Container;
use holofs::media::raster::{Colour, Raster};

use crate::support::{Draw, degraded, vectors};

fn container(name: &str) -> Container {
    match name.rsplit('.').next().unwrap() {
        "bmp" => Container::Bmp,
        "tiff" => Container::Tiff,
        _ => Container::Pnm,
    }
}

/// What another decoder sees.
fn decoded(file: &[u8]) -> Option<image::DynamicImage> {
    image::load_from_memory(file).ok()
}

/// The samples of a picture of 8 bits, pixel by pixel.
fn interleaved(raster: &Raster) -> Vec<u8> {
    let shown = raster.expanded();
    (0..shown.planes[0].len())
        .flat_map(|at| {
            shown
                .planes
                .iter()
                .map(move |plane| plane[at] as u8)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_kept_file_comes_back_and_is_rendered() {
    let files = vectors("plain");
    assert!(files.len() > 25);
    let mut compared = 0;
    for (name, file) in files {
        let container = container(&name);
        let parts = container
            .parse(&file)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            container.write(&parts, file.len()).as_ref(),
            Ok(&file),
            "{name}"
        );
        let geometry = container.geometry(&parts.head, file.len()).unwrap();
        assert_eq!(
            (geometry.width, geometry.height),
            (parts.raster.width, parts.raster.height)
        );
        let shown = container
            .render(&degraded(&parts.raster), &parts.head, None, file.len())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(shown.len(), file.len(), "{name}");
        let again = container.parse(&shown).unwrap();
        assert_eq!(again.raster.colour, parts.raster.colour, "{name}");
        assert_ne!(again.raster, parts.raster, "{name}");
        let Some(original) = decoded(&file) else {
            continue;
        };
        let rendered = decoded(&shown).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(rendered.color(), original.color(), "{name}");
        assert_eq!(
            (rendered.width(), rendered.height()),
            (original.width(), original.height())
        );
        let comparable = parts.raster.max == 255 && original.color().bits_per_pixel() <= 32;
        let pixels = interleaved(&parts.raster);
        if comparable && pixels.len() == original.as_bytes().len() {
            assert_eq!(original.as_bytes(), pixels, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 12, "{compared}");
}

#[test]
fn kinds_of_pictures_are_told_apart() {
    let files: HashMap<_, _> = vectors("plain").into_iter().collect();
    for (name, max, channels) in [
        ("bilevel.bmp", 1, 1),
        ("os2.bmp", 15, 1),
        ("rgb.bmp", 255, 3),
        ("masks.bmp", 255, 4),
        ("bilevel.pbm", 1, 1),
        ("comments.ppm", 200, 3),
        ("deep.pgm", 4095, 1),
        ("greya.pam", 65535, 2),
        ("deep-big.tiff", 65535, 3),
        ("planar.tiff", 255, 3),
        ("palette.tiff", 255, 1),
    ] {
        let raster = container(name).parse(&files[name]).unwrap().raster;
        assert_eq!((raster.max, raster.planes.len()), (max, channels), "{name}");
    }
    // The same picture in all of these.
    let same = [
        "rgb.bmp",
        "rgb.ppm",
        "rgb.tiff",
        "big.tiff",
        "tiled.tiff",
        "planar.tiff",
        "strips.tiff",
    ];
    let rasters = same.map(|name| container(name).parse(&files[name]).unwrap().raster);
    for (name, raster) in same.iter().zip(&rasters) {
        assert_eq!(raster, &rasters[0], "{name}");
        assert_eq!(raster.colour, Colour::Rgb);
    }
}

#[test]
fn what_is_not_taken_apart_is_refused() {
    let files: HashMap<_, _> = vectors("plain").into_iter().collect();
    let tiff = &files["rgb.tiff"];
    for cut in [0, 1, 8, 60, tiff.len() - 1] {
        assert!(Container::Tiff.parse(&tiff[..cut]).is_err(), "{cut}");
    }
    for text in [
        "P3 1 1 255 0 0 0 ",
        "P6 1 1 70000 ",
        "P6 1",
        "P5 5 5 0 ",
        "P6#",
    ] {
        assert!(Container::Pnm.parse(text.as_bytes()).is_err(), "{text}");
    }
    // A sample above the greatest one.
    let parsed = Container::Pnm.parse(b"P5 2 1 100 \x64\x65");
    assert!(matches!(parsed, Err(Error::Unsupported(_))));
    // 60,000 x 60,000.
    let bomb = Container::Pnm.parse(b"P5 60000 60000 255 \0");
    assert!(matches!(bomb, Err(Error::Limit(_))));
    let mut bmp = files["rgb.bmp"].clone();
    bmp[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    assert!(Container::Bmp.parse(&bmp).is_err());
    // Compressed.
    bmp = files["palette.bmp"].clone();
    bmp[30] = 1;
    assert!(matches!(
        Container::Bmp.parse(&bmp),
        Err(Error::Unsupported(_))
    ));
}

/// Where each row of a picture lies was written down, 48 bytes for each, before anything asked whether the file goes
/// that far: 19 bytes that claim 2^28 rows of one pixel took 13 GB, and so did a head of as many in an object.
#[test]
fn more_pixels_than_a_file_has_bytes_for_are_refused_at_once() {
    let mut bitmap = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bitmap.extend(1_u32.to_le_bytes());
    bitmap.extend((1_u32 << 26).to_le_bytes());
    bitmap.extend([1, 0, 32, 0]);
    bitmap.extend([0; 24]);
    let files = [
        (Container::Pnm, b"P5 1 268435456 255\n".to_vec()),
        (Container::Pnm, b"P4 1 268435456\n".to_vec()),
        (Container::Bmp, bitmap),
    ];
    for (container, file) in files {
        let refused = Err(Error::Format("pixels past the end"));
        assert_eq!(container.parse(&file), refused, "{container:?}");
        // The same file as the head of an object: its essential bytes, all of them at the beginning.
        let length = u8::try_from(file.len()).unwrap();
        let head = [&[1, 0, length], &*file].concat();
        let refused = refused.map(|parts| parts.raster);
        assert_eq!(
            container.geometry(&head, file.len()),
            refused,
            "{container:?}"
        );
    }
}

#[test]
fn damaged_files_come_back_or_are_refused() {
    let files = vectors("plain");
    let (mut taken, mut refused) = (0, 0);
    for seed in 1..2500_u64 {
        let mut draw = Draw(seed * 0x9e37_79b9);
        let (name, file) = &files[draw.next(files.len())];
        let container = container(name);
        let mut file = draw.mutate(file);
        if draw.next(2) == 0 {
            // Headers are where harm is done.
            let at = draw.next(64.min(file.len().max(1)));
            if at < file.len() {
                file[at] = draw.next(256) as u8;
            }
        }
        let Ok(parts) = container.parse(&file) else {
            refused += 1;
            continue;
        };
        taken += 1;
        let written = container.write(&parts, file.len());
        assert_eq!(written.as_ref(), Ok(&file), "seed {seed}, {name}");
        let shown = container.render(&degraded(&parts.raster), &parts.head, None, file.len());
        assert_eq!(shown.unwrap().len(), file.len(), "seed {seed}, {name}");
    }
    assert!(taken > 400 && refused > 100, "{taken} {refused}");
}

#[test]
fn damaged_parts_never_make_more_than_the_file() {
    let files = vectors("plain");
    for seed in 1..2500_u64 {
        let mut draw = Draw(seed * 0x1234_5671);
        let (name, file) = &files[draw.next(files.len())];
        let container = container(name);
        let mut parts = container.parse(file).unwrap();
        if draw.next(3) > 0 {
            parts.head = draw.mutate(&parts.head);
        } else {
            parts.recipe = draw.mutate(&parts.recipe);
        }
        if let Ok(written) = container.write(&parts, file.len()) {
            assert_eq!(written.len(), file.len(), "seed {seed}");
        }
        if let Ok(shown) = container.render(&parts.raster, &parts.head, None, file.len()) {
            assert_eq!(shown.len(), file.len(), "seed {seed}");
        }
    }
}
