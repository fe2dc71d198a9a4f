//! Objects as they were once written, read for ever: exact and degraded, the same bytes on every machine.
//!
//! `tests/vectors/objects` holds packed sets with any 3 of 4 chunks, as the store made them, and `contents`: for each
//! name its codec, and the hash of what is read from 4, 2 and 1 chunks (`-` where that is an error); of a directory that of
//! all that is in it, of variants a line for each. Objects are never made anew: what a later version writes is added
//! under other names. What is shown of damaged files may get better; then the last two hashes change.
//! `HOLOFS_PRINT_KEPT=1` writes that file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use holofs::coding::hash::Digest;
use holofs::store::{Context, Kind, OpenHow, Options, ROOT, Store, init};

/// A context that there are variants for.
const CONTEXT: &str = "other";

/// What reading a file gives, or a listing of a directory with what its files give.
fn content(store: &Store, ino: u64) -> Option<Vec<u8>> {
    let attr = store.attr(ino).unwrap();
    match attr.kind {
        Kind::Dir => {
            let mut all = Vec::new();
            let mut items = store.read_dir(ino).ok()?;
            items.sort_by(|a, b| a.name.cmp(&b.name));
            for item in items {
                let inside = store.lookup(ino, &item.name).ok()?;
                let facts = (inside.kind, inside.mode, inside.nlink, inside.mtime);
                all.extend(format!("{} {facts:?}\n", item.name.display()).bytes());
                all.extend(content(store, inside.ino)?);
                store.forget(inside.ino, 1);
            }
            Some(all)
        }
        Kind::File => {
            store.open_file(ino, OpenHow::default()).ok()?;
            let mut content = vec![0; attr.size as usize];
            let read = store.read(ino, 0, &mut content);
            store.release(ino, false);
            assert!(read.as_ref().is_ok_and(|read| *read == content.len()) || read.is_err());
            read.ok().map(|_| content)
        }
        _ => Some(
            store
                .read_link(ino)
                .unwrap_or_default()
                .into_encoded_bytes(),
        ),
    }
}

/// What a store shows with so many chunks: for each name the codec and the hash of its content.
fn seen(dir: &Path, chunks: u16, context: Context) -> Vec<(String, String, String)> {
    let all = context.named().is_none();
    let options = Options {
        read_only: true,
        chunks: Some(chunks),
        context,
        ..Options::default()
    };
    let store = Store::open(dir, options).unwrap();
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter_map(|name| name.strip_suffix(".holo").map(str::to_owned))
        .filter(|name| all || name.starts_with("variants"))
        .collect();
    names.sort();
    let row = |name: String| {
        let attr = store.lookup(ROOT, name.as_ref()).unwrap();
        let codec = match attr.kind {
            Kind::Dir => "directory".to_owned(),
            _ => store.status(attr.ino).unwrap().codec,
        };
        let hash = content(&store, attr.ino);
        let hash = hash.map_or_else(
            || "-".to_owned(),
            |content| Digest::of(&content).to_string(),
        );
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
    let [whole, half, one] = [4, 2, 1].map(|chunks| {
        let mut all = seen(dir.path(), chunks, Context::default());
        all.extend(seen(dir.path(), chunks, Context::new(CONTEXT).unwrap()));
        all
    });
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
