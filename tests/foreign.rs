//! Sets written by the original programs, read as the originals read them (`tests/vectors/holo`).

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

use holofs::foreign::{Form, HEAD, Parts, open, recognise};
use serde::Deserialize;

/// One line of `cases.json`: with these chunks of the set, the original decodes to this file.
#[derive(Deserialize)]
struct Case {
    set: String,
    keep: Vec<usize>,
    expect: String,
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

#[test]
fn sets_of_the_originals_are_read_as_the_originals_do() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    let cases = fs::read(dir.join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let set = dir.join(&case.set);
        let files = case
            .keep
            .iter()
            .map(|i| set.join(format!("chunk_{i:04}.holo")));
        let files: Vec<_> = files.collect();
        let heads: Vec<_> = files.iter().map(|path| head(path)).collect();
        let kind = recognise(Form::Directory, &heads).unwrap();
        let reader = open(kind, Box::new(Files(files))).unwrap();
        let mut content = vec![0; reader.size() as usize];
        reader.read_at(0, &mut content).unwrap();
        let expected = fs::read(dir.join(&case.expect)).unwrap();
        assert!(content == expected, "{}", case.set);
    }
}
