//! What is shown of a damaged picture, opened by two decoders that have nothing to do with each other.

use std::path::Path;
use std::process::{Command, Stdio};

use image::{DynamicImage, ImageFormat, RgbImage};

use crate::media::{colours, file, photograph};

/// A file as a Debian tool decodes it: its pixels, and what the tool had to say.
fn decoded_by(tool: &str, file: &Path) -> (RgbImage, String) {
    // netpbm tells what it is doing unless told not to.
    let quiet = (tool != "djpeg").then_some("-quiet");
    let decoded = Command::new(tool)
        .args(quiet)
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{tool}: {e}; scripts/install.sh installs it"));
    let said = String::from_utf8_lossy(&decoded.stderr).into_owned();
    assert!(
        decoded.status.success(),
        "{tool} {}: {said}",
        file.display()
    );
    let picture = image::load_from_memory_with_format(&decoded.stdout, ImageFormat::Pnm).unwrap();
    (picture.to_rgb8(), said)
}

#[test]
fn other_programs_open_what_is_left_of_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    let rgb = photograph(131, 97);
    let picture = DynamicImage::from(rgb);
    let deep = DynamicImage::from(picture.to_rgb16());
    let grey = DynamicImage::from(picture.to_luma8());
    let files = [
        ("rgb.png", file(&picture, ImageFormat::Png), "pngtopnm"),
        ("deep.png", file(&deep, ImageFormat::Png), "pngtopnm"),
        ("grey.png", file(&grey, ImageFormat::Png), "pngtopnm"),
        ("rgb.jpg", file(&picture, ImageFormat::Jpeg), "djpeg"),
        ("grey.jpg", file(&grey, ImageFormat::Jpeg), "djpeg"),
        ("rgb.bmp", file(&picture, ImageFormat::Bmp), "bmptopnm"),
        ("rgb.tif", file(&picture, ImageFormat::Tiff), "tifftopnm"),
        ("rgb.ppm", file(&picture, ImageFormat::Pnm), "pnmtopnm"),
        (
            "progressive.jpg",
            std::fs::read("tests/vectors/jpeg/progressive.jpg").unwrap(),
            "djpeg",
        ),
    ];
    for (name, content, tool) in files {
        let (original, out) = (
            dir.path().join(name),
            dir.path().join(format!("out-{name}")),
        );
        std::fs::write(&original, &content).unwrap();
        let (whole, before) = decoded_by(tool, &original);
        for keep in [1, 4, 8, 12] {
            let degraded = Command::new(env!("CARGO_BIN_EXE_holofs"))
                .args(["degrade", "--overwrite", "--keep", &keep.to_string(), "-o"])
                .args([&out, &original])
                .output()
                .unwrap();
            assert!(degraded.status.success(), "{name}: {degraded:?}");
            let shown = std::fs::read(&out).unwrap();
            assert_eq!(shown.len(), content.len(), "{name}, {keep} chunks");
            let one = colours(&shown);
            let (other, said) = decoded_by(tool, &out);
            assert_eq!(said, before, "{name}, {keep} chunks");
            assert_eq!(other.dimensions(), whole.dimensions());
            assert_eq!(one.dimensions(), whole.dimensions());
            // Decoders of JPEG may round differently, those of everything else not.
            let most = u8::from(tool == "djpeg") * 12;
            let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > most;
            let far = one
                .iter()
                .zip(other.iter())
                .filter(|pair| far(*pair))
                .count();
            assert!(
                far <= one.len() / 200,
                "{name}, {keep} chunks: {far} samples"
            );
        }
    }
}
