//! GIF: the first picture as another decoder sees it, rendered files, damage.

use holofs::media::picture::Container;

use crate::support::{Draw, degraded, vectors};

/// Pixels as red, green, blue and alpha, as another decoder sees them.
fn decoded(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let picture = image::load_from_memory_with_format(file, image::ImageFormat::Gif).unwrap();
    let rgba = picture.to_rgba8();
    (rgba.width(), rgba.height(), rgba.into_raw())
}

#[test]
fn the_first_picture_is_seen_and_rendered() {
    let files = vectors("gif");
    assert!(files.len() > 7);
    for (name, file) in files {
        assert!(Container::Gif.parse(&file).is_err());
        let parts = Container::Gif.preview(&file).unwrap();
        let shown = parts.raster.expanded();
        let (width, height, pixels) = decoded(&file);
        assert_eq!((shown.width, shown.height), (width, height), "{name}");
        let colours = pixels.chunks_exact(4).filter(|rgba| rgba[3] > 0);
        for (at, rgba) in colours
            .enumerate()
            .filter(|_| !name.starts_with("transparent"))
        {
            for (plane, sample) in shown.planes.iter().zip(rgba) {
                assert_eq!(plane[at], u16::from(*sample), "{name}, pixel {at}");
            }
        }
        for raster in [parts.raster.clone(), degraded(&parts.raster)] {
            let rendered = Container::Gif.render(&raster, &parts.head, None, file.len());
            let rendered = rendered.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(rendered.len(), file.len(), "{name}");
            let (w, h, _) = decoded(&rendered);
            assert_eq!((w, h), (width, height), "{name}");
        }
    }
}

#[test]
fn a_rendered_file_shows_all_where_there_is_room() {
    for (name, file) in vectors("gif") {
        let parts = Container::Gif.preview(&file).unwrap();
        let rendered = Container::Gif
            .render(&parts.raster, &parts.head, None, 2 * file.len() + 2000)
            .unwrap();
        let again = Container::Gif.preview(&rendered).unwrap();
        assert_eq!(again.raster.expanded(), parts.raster.expanded(), "{name}");
    }
}

#[test]
fn damaged_files_are_seen_or_refused() {
    let files = vectors("gif");
    let (mut seen, mut refused) = (0, 0);
    for seed in 1..1500_u64 {
        let mut draw = Draw(seed * 0x9e37_79b9);
        let (name, file) = &files[draw.next(files.len())];
        let mut file = draw.mutate(file);
        if draw.next(2) == 0 && file.len() > 13 {
            let at = draw.next(13);
            file[at] = draw.next(256) as u8;
        }
        match Container::Gif.preview(&file) {
            Ok(parts) => {
                seen += 1;
                let shown = degraded(&parts.raster);
                if let Ok(rendered) = Container::Gif.render(&shown, &parts.head, None, file.len()) {
                    assert_eq!(rendered.len(), file.len(), "seed {seed}, {name}");
                }
            }
            Err(_) => refused += 1,
        }
        let mut head = Container::Gif.preview(&files[0].1).unwrap().head;
        head = draw.mutate(&head);
        let _geometry = Container::Gif.geometry(&head, 1000);
    }
    assert!(seen > 200 && refused > 80, "{seen} {refused}");
}
