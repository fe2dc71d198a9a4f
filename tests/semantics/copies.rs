//! Copies of stores.

use holofs::store::disk::{Access, Dir, Kind};

use super::support::crash_disk::CrashDisk;
use super::support::files::{Files, content};
use super::{LAYOUTS, in_memory, sample};

/// Names and bytes, and nothing else.
fn copy_bare(from: &dyn Dir, to: &dyn Dir) {
    for entry in from.list().unwrap() {
        if entry.kind == Kind::Dir {
            to.make_dir(&entry.name, 0o755, 0).unwrap();
            copy_bare(
                &*from.dir(&entry.name).unwrap(),
                &*to.dir(&entry.name).unwrap(),
            );
        } else {
            let source = from.open(&entry.name, Access::Read).unwrap();
            let copy = to.create(&entry.name, 0o644, 0).unwrap();
            copy.write_at(&content(&*source).unwrap(), 0).unwrap();
        }
    }
}

/// Invariant 5: "Copying the store with any tool that keeps names and bytes is a backup of everything."
#[test]
fn a_copy_of_names_and_bytes_is_a_backup() {
    let (root, files) = in_memory();
    files.make_dir("d.holo").unwrap();
    let names = ["a", "b.holo", "d.holo/c.holo~", "d.holo/plain"];
    for (of, name) in (0..).zip(names) {
        files.put(name, &sample(of, 20_000)).unwrap();
        files
            .set_mtime(name, 1_000_000_000 + i64::from(of))
            .unwrap();
        if name != "d.holo/plain" {
            files.convert(name, LAYOUTS[usize::from(of) % 2]).unwrap();
        }
    }
    let copy = CrashDisk::new();
    copy_bare(&*root, &*copy.root());
    let copied = Files::open(&copy.root()).unwrap();
    for settled in [false, true] {
        for (of, name) in (0..).zip(names) {
            assert!(copied.get(name).unwrap() == sample(of, 20_000), "{name}");
            if settled && name != "d.holo/plain" {
                let mtime = copied.attr(name).unwrap().mtime.secs;
                assert_eq!(mtime, 1_000_000_000 + i64::from(of), "{name}");
            }
        }
        copied.settle().unwrap();
    }
}
