//! Containers of pictures: what is taken apart is written back as it was, and rendered in the same size.

#![no_main]

use holofs::media::picture::Container;
use holofs::media::raster::Raster;

/// Pictures beyond this take the memory that the limits allow, and much time.
const SAMPLES: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for container in [
        Container::Png,
        Container::Bmp,
        Container::Pnm,
        Container::Tiff,
        Container::Gif,
    ] {
        let large = |raster: &Raster| u64::from(raster.width) * u64::from(raster.height) > SAMPLES;
        if let Ok(geometry) = container.geometry(file, file.len())
            && large(&geometry)
        {
            continue;
        }
        if let Ok(parts) = container.parse(file) {
            let again = container
                .write(&parts, file.len())
                .expect("was taken apart");
            assert!(again == file, "another file");
            let geometry = container
                .geometry(&parts.head, file.len())
                .expect("was taken apart");
            assert_eq!(
                (geometry.width, geometry.height),
                (parts.raster.width, parts.raster.height)
            );
            let shown = parts.raster.expanded();
            for colour in [None, Some(&*parts.colour)] {
                let rendered = container.render(&shown, &parts.head, colour, file.len());
                assert!(rendered.is_err() || rendered.is_ok_and(|r| r.len() == file.len()));
            }
        }
        if let Ok(parts) = container.preview(file) {
            let _ = container
                .geometry(&parts.head, file.len())
                .expect("was shown");
        }
    }
});
