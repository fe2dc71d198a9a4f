//! What the original programs wrote, read as they read it (`tests/vectors/holo`, `tests/vectors/sealgate`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use holofs::foreign::hoau::Sound;
use holofs::foreign::sealgate::{Template, encode};
use holofs::foreign::{Choice, Form, HEAD, Parts, Quality, Reader, Sums, open, recognise};
use serde::Deserialize;

/// One line of `cases.json`: with these chunks of the set, the original decodes to this file.
#[derive(Deserialize)]
struct Case {
    set: String,
    keep: Vec<usize>,
    expect: String,
    /// What the sets hold: of an `image` the pixels count, not the file around them; `audio` is as clipped as the
    /// original gives it.
    mode: String,
}

#[derive(Debug)]
struct Files(Vec<PathBuf>);

impl Parts for Files {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, part: usize) -> String {
        self.0[part].display().to_string()
    }

    fn size(&self, part: usize) -> u64 {
        fs::metadata(&self.0[part]).unwrap().len()
    }

    fn read_at(&self, part: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        fs::File::open(&self.0[part])?.read_exact_at(buf, offset)
    }
}

fn head(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(HEAD);
    bytes
}

/// The chunks with these numbers of a set.
fn files(set: &Path, keep: &[usize]) -> Vec<PathBuf> {
    let files = keep.iter().map(|i| set.join(format!("chunk_{i:04}.holo")));
    files.collect()
}

/// Their reader.
fn reader(set: &Path, keep: &[usize]) -> Box<dyn Reader> {
    let files = files(set, keep);
    let heads: Vec<_> = files.iter().map(|path| head(path)).collect();
    let kind = recognise(Form::Directory, &heads).unwrap();
    open(kind, Box::new(Files(files)), Choice::default()).unwrap()
}

/// The whole file, and what it is worth.
fn read(reader: &dyn Reader) -> (Vec<u8>, Quality) {
    let mut content = vec![0; reader.size() as usize];
    let quality = reader.read_at(0, &mut content).unwrap();
    (content, quality)
}

/// Width, height and RGB samples of a PNG.
fn pixels(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let picture = image::load_from_memory_with_format(file, image::ImageFormat::Png).unwrap();
    let picture = picture.as_rgb8().unwrap();
    (picture.width(), picture.height(), picture.to_vec())
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo")
}

#[test]
fn sets_of_the_originals_are_read_as_the_originals_do() {
    let dir = vectors();
    let cases = fs::read(dir.join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    let mut modes = Vec::new();
    for case in cases {
        let set = dir.join(&case.set);
        let reader = match case.mode.as_str() {
            "audio" => {
                let parts = Box::new(Files(files(&set, &case.keep)));
                Box::new(Sound::open(parts, Sums::Clipped).unwrap())
            }
            _ => reader(&set, &case.keep),
        };
        let (content, quality) = read(&*reader);
        let expected = fs::read(dir.join(&case.expect)).unwrap();
        let name = format!("{} {:?}", case.set, case.keep);
        match case.mode.as_str() {
            "image" => assert!(pixels(&content) == pixels(&expected), "{name}"),
            _ => assert!(content == expected, "{name}"),
        }
        let all = fs::read_dir(&set).unwrap().count();
        assert_eq!(quality == Quality::Exact, case.keep.len() == all, "{name}");
        modes.push(case.mode);
    }
    for mode in ["binary", "image", "audio"] {
        assert!(modes.iter().any(|m| m == mode), "no case of {mode}");
    }
}

/// The original clips what it wrapped when encoding, and so loses samples; here the file comes back.
#[test]
fn loud_sound_is_what_was_encoded() {
    let set = vectors().join("loud.wav.holo");
    let (content, quality) = read(&*reader(&set, &[0, 1, 2, 3]));
    let original = fs::read(vectors().join("loud.wav")).unwrap();
    assert!(content == original && quality == Quality::Exact);
    let parts = Box::new(Files(files(&set, &[0, 1, 2, 3])));
    let (clipped, _) = read(&Sound::open(parts, Sums::Clipped).unwrap());
    assert!(clipped != original);
}

/// A degraded picture has the size of the exact one, whatever chunks are left.
#[test]
fn every_part_of_a_picture_has_its_size() {
    for name in ["a.png.holo", "one.png.holo", "tiny.png.holo"] {
        let set = vectors().join(name);
        let all = fs::read_dir(&set).unwrap().count();
        let every: Vec<usize> = (0..all).collect();
        let (whole, _) = read(&*reader(&set, &every));
        for left in 1..1_usize << all {
            let keep: Vec<usize> = (0..all).filter(|b| left >> b & 1 == 1).collect();
            let reader = reader(&set, &keep);
            let (part, quality) = read(&*reader);
            assert_eq!(part.len(), whole.len(), "{name} {keep:?}");
            let (width, height, _) = pixels(&whole);
            assert_eq!(pixels(&part).0, width, "{name} {keep:?}");
            assert_eq!(pixels(&part).1, height, "{name} {keep:?}");
            assert_eq!(quality == Quality::Exact, keep.len() == all);
            assert_eq!(reader.check().unwrap(), quality);
            let chunks = reader.chunks().unwrap();
            assert_eq!(
                (chunks.have as usize, chunks.total as usize),
                (keep.len(), all)
            );
        }
    }
}

fn sealgate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/sealgate")
        .join(name)
}

#[test]
fn templates_are_read_in_every_context_as_the_original_does() {
    for (template, context, expected) in [
        ("contexts", "DEFAULT", "contexts.DEFAULT.txt"),
        ("contexts", "TEXT", "contexts.TEXT.txt"),
        ("contexts", "VIDEO", "contexts.VIDEO.txt"),
        ("blocks", "DEFAULT", "blocks.bin"),
        ("log", "DEFAULT", "log.txt"),
        ("log", "TEXT", "log.txt"),
        ("log", "VIDEO", "log.txt"),
    ] {
        let path = sealgate(&format!("{template}.template"));
        let expected = fs::read(sealgate(expected)).unwrap();
        let parts = Files(vec![path.clone()]);
        let (content, quality) = read(&Template::open_in(&parts, context).unwrap());
        assert!(content == expected, "{template} {context}");
        assert_eq!(quality, Quality::Exact);
        if context == "DEFAULT" {
            let kind = recognise(Form::File, &[head(&path)]).unwrap();
            let reader = open(kind, Box::new(parts), Choice::default()).unwrap();
            assert_eq!(reader.size(), expected.len() as u64);
            assert!(read(&*reader).0 == expected);
            let again = encode(template, &expected).unwrap();
            let before = fs::metadata(&path).unwrap().len();
            // About as long as what the original makes of it, with chunks of 512 bytes for the blocks.
            assert!(
                again.len() as u64 <= before * 5 / 4,
                "{template}: {}",
                again.len()
            );
        }
    }
    let empty = open(
        recognise(Form::File, &[head(&sealgate("empty.template"))]).unwrap(),
        Box::new(Files(vec![sealgate("empty.template")])),
        Choice::default(),
    )
    .unwrap();
    assert_eq!(read(&*empty).0, b"");
    let contexts = Template::open(&Files(vec![sealgate("contexts.template")])).unwrap();
    assert_eq!(contexts.contexts(), ["DEFAULT", "VIDEO", "TEXT"]);
}

#[test]
fn templates_that_the_original_gets_wrong_are_refused() {
    for (name, what) in [
        (
            "missing",
            "symbol \"Ldddddddddddd\" is not defined, in the text at byte 385",
        ),
        (
            "cycle",
            "symbol \"R2\" is a rule that contains itself, in the text at byte ",
        ),
    ] {
        let path = sealgate(&format!("{name}.template"));
        let kind = recognise(Form::File, &[head(&path)]).unwrap();
        let refused = open(kind, Box::new(Files(vec![path])), Choice::default())
            .unwrap_err()
            .to_string();
        assert!(refused.contains(what), "{refused}");
    }
}
