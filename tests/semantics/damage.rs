//! Losing parts of a store.

use std::sync::Arc;

use holofs::store::disk::{Access, Dir, Kind};
use holofs::store::{Error, State};

use super::support::files::{Files, content, os};
use super::{LAYOUTS, in_memory, sample};

/// Leaves nothing readable of an encoded file.
pub(super) fn destroy(root: &Arc<dyn Dir>, name: &str) {
    let disk = format!("{name}.holo");
    if root.meta(os(&disk)).unwrap().kind == Kind::Dir {
        let set = root.dir(os(&disk)).unwrap();
        for entry in set.list().unwrap() {
            if entry.name != "manifest" {
                set.unlink(&entry.name).unwrap();
            }
        }
        return;
    }
    let file = root.open(os(&disk), Access::Write).unwrap();
    let size = file.meta().unwrap().size as usize;
    file.write_at(&vec![0x55; size - 600], 300).unwrap();
}

/// An encoded file `x` with two small neighbours, `y` and `z`.
fn store(layout: &str, profile: &str, size: usize) -> (Arc<dyn Dir>, Files) {
    let (root, files) = in_memory();
    for (name, size) in [("x", size), ("y", 5000), ("z", 100)] {
        files.put(name, &sample(1, size)).unwrap();
        let held = files.at(name).unwrap();
        let ino = held.attr.ino;
        let done = files.store.convert(ino, None, Some(profile), Some(layout));
        assert_eq!(done.unwrap().state, State::Exact);
    }
    files.settle().unwrap();
    (root, files)
}

/// Chunk files of the spread set `x`.
fn chunks(root: &Arc<dyn Dir>) -> (Arc<dyn Dir>, Vec<std::ffi::OsString>) {
    let set = root.dir(os("x.holo")).unwrap();
    let mut names: Vec<_> = set.list().unwrap().into_iter().map(|e| e.name).collect();
    names.retain(|name| name != "manifest");
    names.sort();
    (set, names)
}

/// Invariant 4: "Losing any N - K chunks loses nothing; ..."
#[test]
fn losing_any_chunks_within_the_protection_loses_nothing() {
    for lost in 0..1_u32 << 5 {
        let (root, files) = store("spread", "3/5", 30_000);
        let (set, names) = chunks(&root);
        assert_eq!(names.len(), 5);
        for (index, name) in names.iter().enumerate() {
            if lost >> index & 1 == 1 {
                set.unlink(name).unwrap();
            }
        }
        let (few, enough) = (files.get("x"), lost.count_ones() <= 2);
        match few {
            Ok(bytes) => assert!(enough && bytes == sample(1, 30_000), "{lost:05b}"),
            Err(Error::Damaged { .. }) => assert!(!enough, "{lost:05b}"),
            Err(e) => panic!("{lost:05b}: {e}"),
        }
        let state = Files::open(&root).unwrap().status("x").unwrap().state;
        let expected = if enough { State::Exact } else { State::Lost };
        assert_eq!(state, expected, "{lost:05b}");
    }
}

/// Invariant 2: "No read of an encoded file returns bytes that were neither proved exact nor declared degraded; ..."
/// and invariant 6: "A damaged, truncated, hostile or future file gives an error that names it; never a panic, hang,
/// or unbounded allocation."
#[test]
fn truncated_and_changed_objects_are_exact_or_an_error() {
    let (root, _files) = store("packed", "2/3", 3000);
    let whole = content(&*root.open(os("x.holo"), Access::Read).unwrap()).unwrap();
    let tries = |bytes: &[u8], what: &str| {
        let file = root.open(os("x.holo"), Access::Write).unwrap();
        file.set_len(0).unwrap();
        file.write_at(bytes, 0).unwrap();
        let files = Files::open(&root).unwrap();
        match files.get("x") {
            Ok(read) => assert!(read == sample(1, 3000), "{what}: other bytes"),
            Err(Error::Damaged { .. } | Error::Format { .. } | Error::NotFound) => {}
            Err(e) => panic!("{what}: {e}"),
        }
        assert_eq!(
            files.get("y").unwrap(),
            sample(1, 5000),
            "{what}: a neighbour"
        );
        let names = files.names("").unwrap();
        let shown = names == ["x", "y", "z"] || names == ["x.holo", "y", "z"];
        assert!(shown, "{what}: {names:?}");
    };
    for length in (0..whole.len()).step_by(13) {
        tries(&whole[..length], &format!("cut to {length}"));
    }
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        tries(&bytes, &format!("bit of byte {at}"));
    }
    tries(&whole.repeat(2), "twice");
}

/// Invariant 7: "One damaged file never affects another."
#[test]
fn a_file_that_is_lost_can_be_listed_removed_and_replaced_and_nothing_else_changes() {
    for layout in LAYOUTS {
        let (root, _files) = store(layout, "2/3", 30_000);
        destroy(&root, "x");
        let files = Files::open(&root).unwrap();
        assert_eq!(files.names("").unwrap(), ["x", "y", "z"]);
        match files.get("x") {
            Err(Error::Damaged { .. }) => {}
            other => panic!("{:?}", other.map(|bytes| bytes.len())),
        }
        assert_eq!(files.get("y").unwrap(), sample(1, 5000));
        assert_eq!(files.status("x").unwrap().state, State::Lost);
        files.settle().unwrap();
        files.replace("z", "x").unwrap();
        assert_eq!(files.get("x").unwrap(), sample(1, 100));
        destroy(&root, "y");
        let files = Files::open(&root).unwrap();
        files.unlink("y").unwrap();
        assert_eq!(files.names("").unwrap(), ["x"]);
    }
}

/// A file with too few chunks is an error; the same handle reads right when they are back.
#[test]
fn what_is_healed_under_an_open_reader_reads_again() {
    for size in [30_000, 5 << 20] {
        let (root, _files) = store("spread", "2/3", size);
        let (set, names) = chunks(&root);
        for name in &names[1..] {
            set.rename(name, &*root, name, holofs::store::Rename::NoReplace)
                .unwrap();
        }
        let files = Files::open(&root).unwrap();
        let reader = files.reader("x").unwrap();
        let mut some = vec![0; 1000];
        let early = files.store.read(reader.ino(), 20_000, &mut some);
        assert!(early.is_err() || some == sample(1, size)[20_000..21_000]);
        assert!(reader.read().is_err(), "one chunk of three");
        for name in &names[1..] {
            root.rename(name, &*set, name, holofs::store::Rename::NoReplace)
                .unwrap();
        }
        assert!(reader.read().unwrap() == sample(1, size), "healed");
        assert!(files.get("x").unwrap() == sample(1, size));
    }
}
