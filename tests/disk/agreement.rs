//! Random operations on both media at once: the simulated one must answer as the real one does.

use std::io;
use std::sync::Arc;

use holofs::store::disk::{Access, Dir, Kind, Rename, Seek, open_root};

use super::support::Rng;
use super::support::crash_disk::CrashDisk;
use super::{content, os};

/// Few names, so that operations meet.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What an operation shows, or its error number.
type Answer = Result<String, Option<i32>>;

fn answer<T: std::fmt::Debug>(result: io::Result<T>) -> Answer {
    match result {
        Ok(value) => Ok(format!("{value:?}")),
        Err(e) => Err(e.raw_os_error()),
    }
}

/// One random operation; the same choice for the same state of `rng`.
fn step(root: &Arc<dyn Dir>, rng: &mut Rng) -> (String, Answer) {
    let (a, b) = (*rng.pick(&NAMES), *rng.pick(&NAMES));
    let mut place = Vec::new();
    let mut walk = || {
        let mut dir = Arc::clone(root);
        for _ in 0..rng.below(3) {
            let name = *rng.pick(&NAMES);
            // Both media have the same tree, so both walks end in the same place.
            if let Ok(sub) = dir.dir(os(name)) {
                place.push(name);
                dir = sub;
            }
        }
        place.push(":");
        dir
    };
    let (from, to) = (walk(), walk());
    let how = *rng.pick(&[Rename::Replace, Rename::NoReplace, Rename::Exchange]);
    let (offset, length) = (rng.below(20_000), rng.below(9000) as usize);
    let byte = rng.next() as u8;
    let write = |dir: &Arc<dyn Dir>| dir.open(os(a), Access::Write);
    let choice = rng.below(15);
    let (what, result) = match choice {
        0 => ("create", answer(from.create(os(a), 0o644, 0).map(drop))),
        1 | 2 => ("make_dir", answer(from.make_dir(os(a), 0o755, 0))),
        3 => (
            "fifo",
            answer(from.make_node(os(a), Kind::Fifo, 0o600, 0, 0)),
        ),
        4 => ("symlink", answer(from.make_symlink(os(a), os("b")))),
        5 => ("link", answer(from.link(os(a), &*to, os(b)))),
        6 => ("unlink", answer(from.unlink(os(a)))),
        7 => ("remove_dir", answer(from.remove_dir(os(a)))),
        8 | 9 => ("rename", answer(from.rename(os(a), &*to, os(b), how))),
        10 => {
            let data = vec![byte; length];
            let file = write(&from);
            (
                "write",
                answer(file.and_then(|file| file.write_at(&data, offset))),
            )
        }
        11 => {
            let file = write(&from);
            (
                "append",
                answer(file.and_then(|file| file.append(&[byte; 100]))),
            )
        }
        12 => {
            let file = write(&from);
            (
                "set_len",
                answer(file.and_then(|file| file.set_len(offset))),
            )
        }
        13 => {
            let mode = *rng.pick(&[0, 1, 2, 3]);
            let file = write(&from);
            let done = file.and_then(|file| file.allocate(mode, offset, length as u64));
            ("allocate", answer(done))
        }
        _ => {
            let target = to.open(os(b), Access::Write);
            let file = write(&from);
            let done = file.and_then(|file| {
                let target = target?;
                if file.meta()?.ino == target.meta()?.ino {
                    return Ok(0); // overlapping ranges are refused by some kernels
                }
                file.copy_range(offset / 4, &*target, offset, length as u64)
            });
            ("copy", answer(done))
        }
    };
    (
        format!("{what} {a} {b} {how:?} {place:?} {offset} {length}"),
        result,
    )
}

/// All that a directory shows, without what media may differ in.
fn picture(dir: &dyn Dir, path: &str, all: &mut Vec<String>) {
    let mut list = dir.list().unwrap();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    for listed in list {
        let meta = dir.meta(&listed.name).unwrap();
        let path = format!("{path}/{}", listed.name.display());
        let inside = match listed.kind {
            Kind::File => {
                let file = dir.open(&listed.name, Access::Read).unwrap();
                let past_end = file.seek(meta.size, Seek::Hole).is_err();
                format!("{} {past_end}", blake3::hash(&content(&*file)))
            }
            Kind::Symlink => format!("{:?}", dir.read_link(&listed.name)),
            _ => String::new(),
        };
        let size = if listed.kind == Kind::Dir {
            0
        } else {
            meta.size
        };
        let (mode, links) = (meta.mode, meta.nlink);
        all.push(format!(
            "{path} {:?} {mode:o} {links} {size} {inside}",
            listed.kind
        ));
        if listed.kind == Kind::Dir {
            picture(&*dir.dir(&listed.name).unwrap(), &path, all);
        }
    }
}

#[test]
fn both_media_answer_alike() {
    for seed in 0..20 {
        let place = tempfile::tempdir().unwrap();
        let real = open_root(place.path()).unwrap();
        let disk = CrashDisk::new();
        let simulated = disk.root();
        let (mut rng, mut same_rng) = (Rng::new(seed), Rng::new(seed));
        for number in 0..300 {
            let (what, expected) = step(&real, &mut rng);
            let (_, found) = step(&simulated, &mut same_rng);
            assert_eq!(found, expected, "seed {seed}, operation {number}: {what}");
            if number % 10 == 0 {
                let [mut a, mut b] = [vec![], vec![]];
                picture(&*real, "", &mut a);
                picture(&*simulated, "", &mut b);
                assert_eq!(b, a, "seed {seed}, operation {number}: {what}");
            }
        }
        for cut in 0..5 {
            // No power cut leaves a tree that cannot be walked.
            picture(&*disk.crash(cut).root(), "", &mut Vec::new());
        }
    }
}
