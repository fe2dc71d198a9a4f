//! Whatever form a file has, it shows the same.

use holofs::store::{OpenHow, State};

use super::support::files::{Files, os};
use super::{LAYOUTS, in_memory, sample};

/// Invariant 1: "What was written and closed reads back byte for byte, whatever representation it has, for as long as
/// enough chunks exist."
#[test]
fn what_was_written_reads_back_in_every_representation() {
    let sizes = [0, 1, 4095, 4096, 70_000, (1 << 20) + 3, (5 << 20) + 1];
    for size in sizes {
        let (root, files) = in_memory();
        files.put("x", &sample(1, size)).unwrap();
        files.set_mtime("x", 1_111_111_111).unwrap();
        let before = files.show("x").unwrap();
        for layout in LAYOUTS.into_iter().chain(LAYOUTS) {
            let status = files.convert("x", layout).unwrap();
            assert!(
                size == 0 || status.reason.contains(layout),
                "{}",
                status.reason
            );
            assert_eq!(
                files.show("x").unwrap(),
                before,
                "{size} bytes lingering, {layout}"
            );
            files.settle().unwrap();
            assert_eq!(files.show("x").unwrap(), before, "{size} bytes, {layout}");
            let other = Files::open_read_only(&root).unwrap();
            assert_eq!(other.show("x").unwrap(), before, "{size} bytes, read-only");
        }
        let writer = files.writer("x").unwrap();
        assert_eq!(files.show("x").unwrap(), before, "{size} bytes, promoted");
        drop(writer);
        assert_eq!(
            files.show("x").unwrap(),
            before,
            "{size} bytes, closed again"
        );
    }
}

/// Invariant 2: "No read of an encoded file returns bytes that were neither proved exact nor declared degraded; plain
/// files are reported as unprotected."
#[test]
fn plain_files_are_reported_as_unprotected() {
    let (_root, files) = in_memory();
    files.put("x", &sample(1, 9000)).unwrap();
    let health = |files: &Files| {
        let held = files.at("x").unwrap();
        let value = files.store.xattr(held.attr.ino, os("user.holofs.health"));
        String::from_utf8(value.unwrap()).unwrap()
    };
    assert_eq!(health(&files), "unprotected");
    assert_eq!(files.status("x").unwrap().state, State::Pending);
    files.settle().unwrap();
    assert_eq!(health(&files), "ok");
    assert_eq!(files.status("x").unwrap().state, State::Exact);
}

#[test]
fn a_file_that_is_opened_and_not_changed_stays_encoded() {
    for layout in LAYOUTS {
        let (_root, files) = in_memory();
        files.put("x", &sample(1, 9000)).unwrap();
        files.set_mtime("x", 1_111_111_111).unwrap();
        files.convert("x", layout).unwrap();
        files.settle().unwrap();
        drop(files.writer("x").unwrap());
        let counters = files.store.counters();
        let restored = counters.restored.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(restored, 1, "the set was taken back");
        assert_eq!(files.status("x").unwrap().state, State::Exact);
        assert_eq!(files.get("x").unwrap(), sample(1, 9000));
    }
}

#[test]
fn truncating_an_encoded_file_to_nothing_needs_none_of_its_chunks() {
    for layout in LAYOUTS {
        let (root, files) = in_memory();
        files.put("x", &sample(1, 9000)).unwrap();
        files.convert("x", layout).unwrap();
        files.settle().unwrap();
        super::damage::destroy(&root, "x");
        let files = Files::open(&root).unwrap();
        assert!(files.get("x").is_err());
        let how = OpenHow {
            write: true,
            truncate: true,
            ..OpenHow::default()
        };
        let handle = files.open_file("x", how).unwrap();
        handle.write(0, b"new").unwrap();
        assert_eq!(handle.read().unwrap(), b"new");
        drop(handle);
        assert_eq!(files.get("x").unwrap(), b"new");
    }
}
