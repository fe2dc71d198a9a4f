//! Pictures of other programs in a store: shown, taken out whole or degraded, imported.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::{Bench, complaint, expect, holofs};

/// Copies the chunks with these numbers of the picture set of the originals to `to`.
fn copy_set(to: &Path, keep: &[usize]) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    fs::create_dir(to).unwrap();
    for i in keep {
        let chunk = format!("chunk_{i:04}.holo");
        fs::copy(vectors.join("a.png.holo").join(&chunk), to.join(&chunk)).unwrap();
    }
}

/// Pixels of a PNG.
fn pixels(bytes: &[u8]) -> Vec<u8> {
    image::load_from_memory(bytes).unwrap().to_rgb8().to_vec()
}

fn vector(name: &str) -> Vec<u8> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    pixels(&fs::read(vectors.join(name)).unwrap())
}

fn verb<'a>(words: &[&'a str], paths: &[&'a Path]) -> Vec<&'a OsStr> {
    let words = words.iter().copied().map(OsStr::new);
    words.chain(paths.iter().map(|p| p.as_os_str())).collect()
}

#[test]
fn a_picture_with_all_its_chunks_is_an_exact_file() {
    let bench = Bench::new();
    let store = bench.store();
    copy_set(&store.join("photo.jpg.holo"), &[0, 1, 2, 3]);
    assert_eq!(expect(0, &verb(&["ls"], &[&store])), "photo.jpg.png\n");
    let file = store.join("photo.jpg.png");
    let cat = holofs(&verb(&["cat"], &[&file]));
    assert_eq!(cat.status.code(), Some(0));
    assert_eq!(pixels(&cat.stdout), vector("a.png.k0_1_2_3.png"));
    let rows = bench.status(0, &store);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0, "photo.jpg.png");
    assert_eq!(rows[0].1["state"], "exact");
    assert_eq!(rows[0].1["codec"], "Holo.Codec picture");
    assert_eq!(rows[0].1["size"], cat.stdout.len());
    expect(0, &verb(&["scrub"], &[&store]));
    expect(10, &verb(&["cat"], &[&store.join("photo.jpg")]));
}

/// Exit code 5 and a word whenever less than all was given out; nothing without being asked.
#[test]
fn a_degraded_picture_is_taken_out_only_where_that_is_asked_for() {
    let bench = Bench::new();
    let store = bench.store();
    copy_set(&store.join("a.png.holo"), &[0, 2]);
    let file = store.join("a.png");
    let row = bench.status(5, &file)[0].1.clone();
    assert_eq!(row["state"], "degraded");
    assert_eq!(
        row["chunks"],
        serde_json::json!({"have": 2, "need": 4, "total": 4})
    );
    assert_eq!(row["damage"][0], "2 of 4 chunks: without 1, 3");
    let shown = expect(0, &verb(&["show"], &[&file]));
    assert!(shown.contains("2 of 4, any 4 are enough"), "{shown}");
    expect(5, &verb(&["scrub"], &[&store]));

    assert_eq!(expect(5, &verb(&["cat"], &[&file])), "");
    let said = complaint(&verb(&["cat"], &[&file]));
    assert!(
        said.contains("2 of 4 chunks: without 1, 3\nhint: --allow-degraded"),
        "{said}"
    );
    let cat = holofs(&verb(&["cat", "--allow-degraded"], &[&file]));
    assert_eq!(cat.status.code(), Some(5));
    assert_eq!(pixels(&cat.stdout), vector("a.png.k0_2.png"));
    assert_eq!(row["size"], cat.stdout.len());

    let out = bench.path("out");
    expect(5, &verb(&["export"], &[&store, &out]));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    expect(5, &verb(&["export", "--allow-degraded"], &[&store, &out]));
    assert_eq!(fs::read(out.join("a.png")).unwrap(), cat.stdout);
}

#[test]
fn a_picture_is_imported_whole_or_where_less_is_asked_for() {
    let bench = Bench::new();
    let (whole, cut) = (bench.path("whole.jpg.holo"), bench.path("cut.png.holo"));
    copy_set(&whole, &[0, 1, 2, 3]);
    copy_set(&cut, &[1]);
    let store = bench.store();
    expect(0, &verb(&["import"], &[&whole, &store]));
    expect(3, &verb(&["import"], &[&cut, &store]));
    assert_eq!(expect(0, &verb(&["ls"], &[&store])), "whole.jpg.png\n");
    let said = complaint(&verb(&["import"], &[&cut, &store]));
    assert!(said.contains("reduced quality"), "{said}");
    expect(5, &verb(&["import", "--allow-degraded"], &[&cut, &store]));
    assert_eq!(
        expect(0, &verb(&["ls"], &[&store])),
        "cut.png\nwhole.jpg.png\n"
    );
    let read = |name: &str| holofs(&verb(&["cat"], &[&store.join(name)])).stdout;
    assert_eq!(pixels(&read("whole.jpg.png")), vector("a.png.k0_1_2_3.png"));
    assert_eq!(read("cut.png").len(), read("whole.jpg.png").len());
}

#[test]
fn version_3_is_refused_by_name() {
    let bench = Bench::new();
    let set: PathBuf = bench.path("new.png.holo");
    fs::create_dir(&set).unwrap();
    fs::write(set.join("chunk_0000.holo"), b"HOCH\x03...").unwrap();
    let store = bench.store();
    expect(3, &verb(&["import"], &[&set, &store]));
    let said = complaint(&verb(&["import"], &[&set, &store]));
    assert!(
        said.contains("version 3 of Holo.Codec is not supported"),
        "{said}"
    );
    assert_eq!(expect(0, &verb(&["ls"], &[&store])), "");
}

/// Whatever was put before a GIF to be seen of it made it larger than the file, and was thrown away for that.
#[test]
fn of_a_gif_there_is_something_to_see() {
    let bench = Bench::new();
    let mut gif = Vec::new();
    let frame = image::RgbaImage::from_fn(200, 150, |x, y| {
        let grain = (x * 7919 + y * 104_729) % 23;
        let levels = [x + grain, y + grain, (x ^ y) % 200 + grain, 255];
        image::Rgba(levels.map(|level| u8::try_from(level).unwrap()))
    });
    image::codecs::gif::GifEncoder::new(&mut gif)
        .encode_frame(image::Frame::new(frame))
        .unwrap();
    let store = bench.store();
    fs::write(store.join("moving.gif"), &gif).unwrap();
    expect(0, &verb(&["settle"], &[&store]));
    let row = bench.status(0, &store)[0].1.clone();
    assert_eq!(
        (&row["codec"], &row["state"]),
        (&"image".into(), &"exact".into())
    );
    let show = expect(0, &verb(&["show"], &[&store.join("moving.gif")]));
    assert!(show.contains("from any 1 chunks"), "{show}");
    let cat = holofs(&verb(&["cat"], &[&store.join("moving.gif")]));
    assert!(cat.stdout == gif);
}
