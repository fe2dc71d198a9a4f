//! Objects as they were once written, read for ever: exact and degraded, the same bytes on every machine.
//!
//! `tests/vectors/objects` holds packed sets with any 3 of 4 chunks, as the store made them, and `contents`: for each
//! name its codec, and the hash of what is read from 4, 2 and 1 chunks (`-` where that is an error). Objects are never
//! made anew: what a later version writes is added under other names. What is shown of damaged files may get better;
//! then the last two hashes change. `HOLOFS_PRINT_KEPT=1` writes that file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use holofs::coding::hash::Digest;
use holofs::store::{OpenHow, Options, ROOT, Store, init};

/// What a store shows with so many chunks: for each name the codec and the hash of its content.
fn seen(dir: &Path, chunks: u16) -> Vec<(String, String, String)> {
    let options = Options {
        read_only: true,
        chunks: Some(chunks),
        ..Options::default()
    };
    let store = Store::open(dir, options).unwrap();
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter_map(|name| name.strip_suffix(".holo").map(str::to_owned))
        .collect();
    names.sort();
    let row = |name: String| {
        let attr = store.lookup(ROOT, name.as_ref()).unwrap();
        let codec = store.status(attr.ino).unwrap().codec;
        store.open_file(attr.ino, OpenHow::default()).unwrap();
        let mut content = vec![0; attr.size as usize];
        let read = store.read(attr.ino, 0, &mut content);
        store.release(attr.ino, false);
        let hash = match read {
            Ok(read) if read == content.len() => Digest::of(&content).to_string(),
            Ok(read) => panic!("{name}: {read} bytes"),
            Err(_) => "-".to_owned(),
        };
        (name, codec, hash)
    };
    names.into_iter().map(row).collect()
}

#[test]
fn what_was_once_written_is_read_for_ever() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/objects");
    let dir = tempfile::tempdir().unwrap();
    init(dir.path()).unwrap();
    for entry in fs::read_dir(&kept).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "holo") {
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let [whole, half, one] = [4, 2, 1].map(|chunks| seen(dir.path(), chunks));
    let mut lines = String::new();
    for ((name, codec, exact), ((.., half), (.., one))) in whole.iter().zip(half.iter().zip(&one)) {
        writeln!(lines, "{name} {codec} {exact} {half} {one}").unwrap();
    }
    if std::env::var_os("HOLOFS_PRINT_KEPT").is_some() {
        fs::write(kept.join("contents"), &lines).unwrap();
    }
    let wanted = fs::read_to_string(kept.join("contents")).unwrap();
    for (line, wanted) in lines.lines().zip(wanted.lines()) {
        assert_eq!(line, wanted);
    }
    assert_eq!(lines.lines().count(), wanted.lines().count());
}
