//! Handles hold inodes: what changes under them, and what does not.

use holofs::store::disk::Kind;

use super::support::files::Files;
use super::{LAYOUTS, in_memory, on_disk, sample};

/// A size that is decoded whole when it is opened, and one that is decoded as it is read.
const SIZES: [usize; 2] = [30_000, (5 << 20) + 7];

/// A store with an encoded file `x`.
fn encoded(size: usize, layout: &str) -> Files {
    let (_root, files) = in_memory();
    files.put("x", &sample(1, size)).unwrap();
    files.convert("x", layout).unwrap();
    files.settle().unwrap();
    files
}

#[test]
fn a_reader_sees_what_another_handle_writes() {
    for (size, layout) in SIZES.into_iter().zip(LAYOUTS) {
        let files = encoded(size, layout);
        let reader = files.reader("x").unwrap();
        assert!(reader.read().unwrap() == sample(1, size));
        let writer = files.writer("x").unwrap();
        assert!(
            reader.read().unwrap() == sample(1, size),
            "promoted under it"
        );
        writer.write(10, b"changed").unwrap();
        let mut expected = sample(1, size);
        expected[10..17].copy_from_slice(b"changed");
        assert!(reader.read().unwrap() == expected, "{size} bytes");
        drop(writer);
        assert!(reader.read().unwrap() == expected, "{size} bytes, closed");
        drop(reader);
        files.settle().unwrap();
        assert!(files.get("x").unwrap() == expected, "{size} bytes, settled");
    }
}

/// A reader of a decoded copy was left with that copy when somebody opened the file with `O_TRUNC`: the empty file
/// that took its place was another inode.
#[test]
fn a_reader_sees_another_handle_truncate() {
    for (size, layout) in SIZES.into_iter().zip(LAYOUTS) {
        let files = encoded(size, layout);
        let reader = files.reader("x").unwrap();
        let writer = files.create("x").unwrap();
        assert!(reader.read().unwrap().is_empty(), "{size} bytes");
        writer.write(0, b"new").unwrap();
        assert_eq!(reader.read().unwrap(), b"new");
    }
}

#[test]
fn a_handle_outlives_its_name() {
    for (size, layout) in SIZES.into_iter().zip(LAYOUTS) {
        let files = encoded(size, layout);
        let reader = files.reader("x").unwrap();
        files.unlink("x").unwrap();
        assert!(reader.read().unwrap() == sample(1, size), "{size} bytes");
        assert_eq!(reader.attr().unwrap().nlink, 0);
        files.put("x", b"another").unwrap();
        assert!(reader.read().unwrap() == sample(1, size), "{size} bytes");
    }
}

/// The plain file that an encoded one replaced was kept as a link in the trash while somebody had it open: its other
/// name showed one link too many.
#[test]
fn links_are_counted_right_while_one_is_replaced_under_a_reader() {
    let files = encoded(30_000, "packed");
    files.put("a", b"linked").unwrap();
    files.link("a", "b").unwrap();
    let reader = files.reader("a").unwrap();
    files.replace("x", "a").unwrap();
    assert_eq!(files.attr("b").unwrap().nlink, 1);
    assert_eq!(reader.read().unwrap(), b"linked");
}

#[test]
fn numbers_and_attributes_survive_every_change_of_form() {
    let (root, files) = in_memory();
    files.put("x", &sample(1, 30_000)).unwrap();
    files.set_mode("x", 0o751).unwrap();
    files.set_xattr("x", "user.note", b"kept").unwrap();
    let before = files.show("x").unwrap();
    for layout in LAYOUTS {
        files.convert("x", layout).unwrap();
        files.settle().unwrap();
        assert_eq!(files.show("x").unwrap(), before);
        drop(files.writer("x").unwrap());
        assert_eq!(files.show("x").unwrap(), before, "promoted");
        let other = Files::open_read_only(&root).unwrap();
        assert_eq!(other.show("x").unwrap(), before, "read-only");
    }
}

/// Turning `x` into `x.holo` while others list the directory once made every listing miss names.
#[test]
fn listings_are_complete_while_files_are_encoded() {
    let (_place, root) = on_disk();
    let files = Files::open(&root).unwrap();
    let names: Vec<_> = (0..60).map(|i| format!("file-{i:02}")).collect();
    for name in &names {
        files.put(name, &sample(1, 2000)).unwrap();
    }
    let check = |what: &str| {
        let dir = files.at("").unwrap();
        let items = files.store.read_dir(dir.attr.ino).unwrap();
        let mut listed: Vec<_> = items.iter().map(|i| i.name.to_str().unwrap()).collect();
        listed.sort_unstable();
        assert_eq!(listed, names, "{what}");
        assert!(items.iter().all(|item| item.kind == Kind::File));
    };
    std::thread::scope(|threads| {
        let encoder = threads.spawn(|| {
            for round in 0..3 {
                for name in &names {
                    files.convert(name, LAYOUTS[round % 2]).unwrap();
                }
                files.settle().unwrap();
            }
        });
        while !encoder.is_finished() {
            check("while they are encoded");
        }
    });
    check("afterwards");
    assert_eq!(files.status("file-00").unwrap().codec, "stored");
}
