//! Tests of bundles: round trips, every bit flipped, every cut, and what hostile tables try.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use proptest::prelude::*;

use super::*;

const TREE: ObjectKind = ObjectKind::Tree;

fn entry(parent: u32, name: &str, what: What) -> Entry {
    Entry {
        parent,
        name: name.as_bytes().to_vec(),
        what,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        mtime: Time {
            secs: -5,
            nanos: 999_999_999,
        },
        ino: 77,
        ..Entry::link(0)
    }
}

fn dir(parent: u32, name: &str) -> Entry {
    entry(parent, name, What::Dir)
}

fn file(parent: u32, name: &str, size: u64) -> Entry {
    let offset = 0;
    let hash = None;
    entry(parent, name, What::File { size, offset, hash })
}

fn link(parent: u32, name: &str, to: u32) -> Entry {
    Entry {
        parent,
        name: name.as_bytes().to_vec(),
        ..Entry::link(to)
    }
}

/// One of each kind.
fn sample() -> Vec<Entry> {
    vec![
        dir(0, ""),
        file(0, "a", 5),
        dir(0, "b"),
        entry(0, "c", What::Symlink(b"../where".to_vec())),
        entry(0, "d", What::Fifo),
        entry(0, "e", What::Socket),
        entry(0, "f", What::Char(0x103)),
        entry(0, "g", What::Block(0x800)),
        Entry {
            xattrs: vec![
                (b"user.one".to_vec(), Vec::new()),
                (b"user.two".to_vec(), b"value".to_vec()),
            ],
            ..file(2, "a", 7)
        },
        file(2, "empty", 0),
        link(2, "z", 1),
    ]
}

fn bundle(entries: Vec<Entry>, order: &[u32]) -> Result<Bundle, FormatError> {
    Bundle::new(TREE, entries, order)
}

fn sample_bytes() -> (Bundle, Vec<u8>) {
    let bundle = bundle(sample(), &[8, 1, 9]).unwrap();
    let bytes = bundle.encode().unwrap();
    (bundle, bytes)
}

#[test]
fn tables_come_back_as_they_were() {
    let (bundle, bytes) = sample_bytes();
    let size = bundle.content_size();
    assert_eq!(Bundle::table_length(&bytes[..HEAD]).unwrap(), bytes.len());
    assert_eq!(Bundle::decode(TREE, &bytes, size).unwrap(), bundle);
    assert_eq!(size, bytes.len() as u64 + 12);
    // The one that was to come first lies right behind the table.
    let place = |index| match bundle.entry(index).unwrap().what {
        What::File { offset, .. } => offset,
        _ => u64::MAX,
    };
    assert_eq!(place(8), bytes.len() as u64);
    assert_eq!((place(1), place(9)), (place(8) + 7, 0));
}

#[test]
fn the_worked_size_is_true() {
    let small = bundle(vec![dir(0, ""), file(0, "hello", 5)], &[1]).unwrap();
    assert_eq!(small.content_size(), 226);
}

#[test]
fn names_are_found_in_their_directories() {
    let (bundle, _) = sample_bytes();
    assert_eq!(bundle.children(0), 1..8);
    assert_eq!(bundle.children(2), 8..11);
    assert_eq!(bundle.children(1), 8..8);
    assert!(bundle.children(10).is_empty());
    assert_eq!(bundle.find(0, b"b"), Some(2));
    assert_eq!(bundle.find(2, b"a"), Some(8));
    assert_eq!(bundle.find(2, b"z"), Some(10));
    assert_eq!(bundle.find(2, b"b"), None);
    assert_eq!(bundle.target(10), 1);
    assert_eq!(bundle.target(8), 8);
}

#[test]
fn variants_have_a_default_that_comes_first() {
    let variant = |name: &str| {
        let hash = Some(Digest([3; 32]));
        let (size, offset) = (4, 0);
        entry(0, name, What::File { size, offset, hash })
    };
    let make = |names: &[&str]| {
        let mut entries = vec![dir(0, "")];
        entries.extend(names.iter().map(|name| variant(name)));
        let order: Vec<u32> = (1..entries.len() as u32).collect();
        Bundle::new(ObjectKind::Variants, entries, &order)
    };
    let made = make(&["DEFAULT", "BRIEF", "en"]).unwrap();
    let bytes = made.encode().unwrap();
    let read = Bundle::decode(ObjectKind::Variants, &bytes, made.content_size()).unwrap();
    assert_eq!(read, made);
    assert!(Bundle::decode(TREE, &bytes, made.content_size()).is_err());
    for wrong in [
        &["BRIEF", "DEFAULT"][..],
        &["BRIEF"],
        &[],
        &["DEFAULT", "en", "BRIEF"],
    ] {
        assert!(make(wrong).is_err(), "{wrong:?}");
    }
    let unhashed = vec![dir(0, ""), file(0, "DEFAULT", 1)];
    assert!(Bundle::new(ObjectKind::Variants, unhashed, &[1]).is_err());
}

#[test]
fn what_no_directory_can_hold_is_refused() {
    let with = |more: Vec<Entry>| {
        let mut entries = vec![dir(0, ""), file(0, "a", 0), dir(0, "b")];
        entries.extend(more);
        bundle(entries, &[])
    };
    assert!(with(vec![]).is_ok());
    assert!(with(vec![link(0, "c", 1)]).is_ok());
    for (what, more) in [
        ("a name twice", file(0, "b", 0)),
        ("names out of order", file(0, "aa", 0)),
        ("a name with a slash", file(0, "c/d", 0)),
        ("a name with a NUL", file(0, "c\0", 0)),
        ("an empty name", file(2, "", 0)),
        ("the directory", file(2, ".", 0)),
        ("its parent", file(2, "..", 0)),
        ("a long name", file(2, &"n".repeat(256), 0)),
        ("a file as parent", file(1, "c", 0)),
        ("itself as parent", dir(3, "c")),
        ("a parent to come", dir(9, "c")),
        ("a link to itself", link(0, "c", 3)),
        ("a link to what comes", link(0, "c", 4)),
        ("a link to a directory", link(0, "c", 2)),
        ("a link to the directory", link(0, "c", 0)),
        (
            "a link without a target",
            entry(0, "c", What::Symlink(Vec::new())),
        ),
        ("a target with a NUL", entry(0, "c", What::Symlink(vec![0]))),
        ("a link with attributes", entry(0, "c", What::Link(1))),
        (
            "mode bits",
            Entry {
                mode: 0o10_000,
                ..dir(0, "c")
            },
        ),
        ("attributes twice", {
            let twice = vec![(b"user.a".to_vec(), Vec::new()); 2];
            Entry {
                xattrs: twice,
                ..dir(0, "c")
            }
        }),
    ] {
        assert!(with(vec![more]).is_err(), "{what}");
    }
    assert!(
        with(vec![link(0, "c", 1), link(0, "d", 3)]).is_err(),
        "a link to a link"
    );
    assert!(bundle(vec![], &[]).is_err(), "nothing");
    assert!(
        bundle(vec![file(0, "", 0)], &[]).is_err(),
        "a file as the directory"
    );
}

#[test]
fn bodies_lie_end_to_end() {
    let entries = || vec![dir(0, ""), file(0, "a", 5), file(0, "b", 5)];
    let good = bundle(entries(), &[2, 1]).unwrap();
    let bytes = good.encode().unwrap();
    let size = good.content_size();
    assert!(
        Bundle::decode(TREE, &bytes, size + 1).is_err(),
        "bytes of nobody"
    );
    assert!(
        Bundle::decode(TREE, &bytes, size - 1).is_err(),
        "bytes outside"
    );
    assert!(bundle(entries(), &[1]).is_err(), "a file without a place");
    assert!(
        bundle(entries(), &[1, 1]).is_err(),
        "a file with two places"
    );
    // Two files at one place, a hole, and one that wraps around.
    let at = HEAD + FIXED + 72;
    for offset in [size - 5 - 5, size, 3, u64::MAX] {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        let read = Bundle::decode(TREE, &bytes, size);
        assert_eq!(read.is_ok(), offset == size - 5, "{offset}");
    }
}

#[test]
fn damage_never_panics_and_is_mostly_seen() {
    let (bundle, bytes) = sample_bytes();
    let size = bundle.content_size();
    for cut in 0..bytes.len() {
        assert!(Bundle::decode(TREE, &bytes[..cut], size).is_err(), "{cut}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Bundle::decode(TREE, &bytes, size) {
            assert_ne!(other, bundle, "bit {bit} means nothing");
            assert_eq!(other.encode().unwrap(), bytes, "bit {bit}");
        }
    }
}

#[test]
fn numbers_beyond_reason_allocate_nothing() {
    let (bundle, bytes) = sample_bytes();
    for (at, value) in [
        (12, u32::MAX),
        (12, MAX_ENTRIES as u32),
        (16, u32::MAX),
        (88 + 24, 4097),
    ] {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(
            Bundle::decode(TREE, &bytes, bundle.content_size()).is_err(),
            "{at}"
        );
    }
    let mut newer = bytes;
    newer[8] = 9;
    assert!(matches!(
        Bundle::decode(TREE, &newer, bundle.content_size()),
        Err(FormatError::Newer(9))
    ));
}

/// A tree of any shape: each entry's parent is a directory before it, names are numbers.
fn trees() -> impl Strategy<Value = (Vec<Entry>, Vec<u32>)> {
    let what = (0..8_u8, 0..50_u64, any::<u32>());
    let nodes = prop::collection::vec((any::<prop::sample::Index>(), what), 0..40);
    (nodes, any::<u64>()).prop_map(|(nodes, seed)| {
        let mut entries = vec![dir(0, "")];
        let mut parents: Vec<u32> = nodes.iter().map(|_| 0).collect();
        let mut dirs = vec![0_u32];
        for (n, (parent, (kind, ..))) in nodes.iter().enumerate() {
            parents[n] = dirs[parent.index(dirs.len())];
            if *kind == 0 {
                dirs.push(n as u32 + 1);
            }
        }
        // Parents must ascend: a directory's number may not fall behind one that was met later.
        parents.sort_unstable();
        let mut files = Vec::new();
        for (n, (_, (kind, size, more))) in nodes.iter().enumerate() {
            let (index, name) = (n as u32 + 1, format!("{n:03}"));
            let (size, offset, hash) = (*size, 0, (*more % 2 == 0).then_some(Digest([9; 32])));
            let parent = parents[n];
            entries.push(match kind {
                0 => dir(parent, &name),
                2 => entry(
                    parent,
                    &name,
                    What::Symlink(vec![b't'; *more as usize % 300 + 1]),
                ),
                3 => entry(parent, &name, What::Char(u64::from(*more))),
                4 if !files.is_empty() => link(parent, &name, files[*more as usize % files.len()]),
                5 => entry(parent, &name, What::Fifo),
                _ => {
                    files.push(index);
                    let xattrs = vec![(b"user.x".to_vec(), vec![1; *more as usize % 20])];
                    let what = What::File { size, offset, hash };
                    Entry {
                        xattrs,
                        ..entry(parent, &name, what)
                    }
                }
            });
        }
        files.sort_by_key(|index| u64::from(*index).wrapping_mul(seed | 1));
        (entries, files)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back((entries, order) in trees()) {
        // The directories drawn may come to lie behind their children; such trees are refused, not misread.
        if let Ok(made) = bundle(entries.clone(), &order) {
            let bytes = made.encode().unwrap();
            let read = Bundle::decode(TREE, &bytes, made.content_size()).unwrap();
            prop_assert_eq!(&read, &made);
            for (index, entry) in entries.iter().enumerate().skip(1) {
                prop_assert_eq!(read.find(entry.parent, &entry.name), Some(index as u32));
                prop_assert!(read.children(entry.parent).contains(&(index as u32)));
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut table = MAGIC.to_vec();
        table.extend([0; 4]);
        table.extend(&bytes);
        for table in [&bytes, &table] {
            drop(Bundle::decode(TREE, table, 1000));
            drop(Bundle::table_length(table));
        }
    }
}
