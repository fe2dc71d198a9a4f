//! A solid directory shows and reads as the directory it was, until something in it is changed.

mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use holofs::store::disk::{Access, Dir, SetTimes};
use holofs::store::{Aspect, Caller, Error, Kind, Options, Rename, State, Store};

use super::support::Rng;
use super::support::files::{Files, Shown, Snapshot, disk_names, os};
use super::{in_memory, on_disk, sample};

/// What no codec makes smaller: it takes several rows of units.
fn noise() -> Vec<u8> {
    let mut rng = Rng::new(1);
    (0..100_000)
        .flat_map(|_| (rng.next() as u32).to_le_bytes())
        .collect()
}

/// A tree with everything that a directory can hold: `d`, and a file beside it.
fn tree(files: &Files) {
    files.put("beside", b"beside").unwrap();
    files.make_dir("d").unwrap();
    for n in 0..20 {
        files
            .put(
                &format!("d/{n:02}.txt"),
                &sample(n, 3000 + usize::from(n) * 100),
            )
            .unwrap();
    }
    files.make_dir("d/inner").unwrap();
    files.make_dir("d/inner/deep").unwrap();
    files.put("d/inner/deep/x", &noise()).unwrap();
    files.put("d/inner/empty", b"").unwrap();
    files
        .put("d/inner/name.holo", b"a name that is escaped")
        .unwrap();
    files
        .set_xattr("d/inner/deep/x", "user.note", b"kept")
        .unwrap();
    files
        .set_xattr("d/inner", "user.note", b"kept too")
        .unwrap();
    files
        .set_xattr("d", "user.note", b"of the directory")
        .unwrap();
    files.link("d/00.txt", "d/inner/again").unwrap();
    files.symlink("d/inner/where", "../00.txt").unwrap();
    let dir = files.at("d/inner").unwrap();
    let fifo = files.store.make_node(
        dir.attr.ino,
        os("fifo"),
        Kind::Fifo,
        0o622,
        0,
        Caller::default(),
    );
    files.store.forget(fifo.unwrap().ino, 1);
    files.set_mode("d/01.txt", 0o4751).unwrap();
    files.set_mode("d/inner/deep", 0o2700).unwrap();
    files.set_mode("d", 0o751).unwrap();
    for path in ["d/01.txt", "d/inner/deep", "d/inner", "d"] {
        files.set_mtime(path, 1_111_111_111).unwrap();
    }
}

/// A seed, which a failing test prints.
#[expect(clippy::print_stderr, reason = "it replays what failed")]
fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = u64::from(now.unwrap().subsec_nanos());
    eprintln!("seed {seed}");
    seed
}

fn frozen(root: &Arc<dyn Dir>) -> bool {
    disk_names(root, "").contains(&"d.holo".to_owned())
}

/// Without what changes of form may change: the numbers of what cannot remember them.
fn comparable(all: &Snapshot) -> Vec<(String, Shown)> {
    let of = |(path, shown): (&String, &Shown)| {
        let mut shown = shown.clone();
        if !matches!(shown.kind, Kind::File | Kind::Dir) {
            shown.ino = 0;
        }
        if shown.kind == Kind::Dir {
            shown.nlink = 0; // sets are directories on disk or not
        }
        (path.clone(), shown)
    };
    all.iter().map(of).collect()
}

#[test]
fn it_shows_what_the_directory_showed() {
    let (root, files) = in_memory();
    tree(&files);
    let before = files.snapshot().unwrap();
    files.freeze("d").unwrap();
    assert_eq!(disk_names(&root, ""), [".holofs", "beside", "d.holo"]);
    assert_eq!(files.snapshot().unwrap(), before, "solid");
    let other = Files::open_read_only(&root).unwrap();
    assert_eq!(other.snapshot().unwrap(), before, "solid, read-only");
    drop(files);
    let files = Files::open(&root).unwrap();
    assert_eq!(files.snapshot().unwrap(), before, "solid, mounted again");
    files.freeze("d").unwrap(); // it is already
    files.set_mode("d/inner/deep/x", 0o600).unwrap();
    files.set_mode("d/inner/deep/x", 0o644).unwrap();
    assert_eq!(disk_names(&root, ""), [".holofs", "beside", "d"]);
    assert_eq!(
        comparable(&files.snapshot().unwrap()),
        comparable(&before),
        "thawed"
    );
    drop(files);
    let files = Files::open(&root).unwrap();
    assert_eq!(
        comparable(&files.snapshot().unwrap()),
        comparable(&before),
        "thawed, mounted again"
    );
}

#[test]
fn files_that_were_encoded_are_taken_in() {
    let (root, files) = in_memory();
    tree(&files);
    let before = files.snapshot().unwrap();
    files.convert("d/02.txt", "spread").unwrap();
    files.settle().unwrap();
    assert!(disk_names(&root, "d").contains(&"03.txt.holo".to_owned()));
    files.freeze("d").unwrap();
    assert_eq!(files.snapshot().unwrap(), before);
    // And one that is solid already.
    files.make_dir("outer").unwrap();
    files.rename("d", "outer/d", Rename::Replace).unwrap();
    assert_eq!(disk_names(&root, "outer"), ["d.holo"]);
    files.freeze("outer").unwrap();
    let now = files.snapshot().unwrap();
    for (path, shown) in before.iter().filter(|(path, _)| path.starts_with("d/")) {
        assert_eq!(now.get(&format!("outer/{path}")), Some(shown), "{path}");
    }
}

/// Every operation that changes something thaws, and does what it does to any directory.
#[test]
fn the_first_change_thaws_and_then_happens() {
    type Change = (&'static str, fn(&Files));
    let changes: &[Change] = &[
        ("create", |files| {
            files.put("d/new", b"new").unwrap();
        }),
        ("write", |files| {
            files.writer("d/02.txt").unwrap().write(0, b"!").unwrap();
        }),
        ("cut off", |files| {
            files.put("d/02.txt", b"short").unwrap();
        }),
        ("truncate", |files| {
            files.truncate("d/inner/deep/x", 5).unwrap();
        }),
        ("mkdir", |files| {
            files.make_dir("d/inner/made").unwrap();
        }),
        ("symlink", |files| {
            files.symlink("d/made", "x").unwrap();
        }),
        ("link", |files| {
            files.link("d/03.txt", "d/linked").unwrap();
        }),
        ("link out", |files| {
            files.link("d/03.txt", "linked").unwrap();
        }),
        ("link in", |files| {
            files.link("beside", "d/inner/linked").unwrap();
        }),
        ("unlink", |files| {
            files.unlink("d/04.txt").unwrap();
        }),
        ("rename", |files| {
            files.replace("d/04.txt", "d/inner/05.txt").unwrap();
        }),
        ("rename over", |files| {
            files.replace("d/04.txt", "d/05.txt").unwrap();
        }),
        ("rename in", |files| {
            files.replace("beside", "d/beside").unwrap();
        }),
        ("rename out", |files| {
            files.replace("d/inner", "inner").unwrap();
        }),
        ("chmod", |files| {
            files.set_mode("d/inner", 0o700).unwrap();
        }),
        ("chmod itself", |files| {
            files.set_mode("d", 0o700).unwrap();
        }),
        ("utimes", |files| {
            files.set_mtime("d/05.txt", 5).unwrap();
        }),
        ("setxattr", |files| {
            files.set_xattr("d/05.txt", "user.x", b"y").unwrap();
        }),
        ("setxattr itself", |files| {
            files.set_xattr("d", "user.x", b"y").unwrap();
        }),
        ("exchange", |files| {
            files.rename("d", "beside", Rename::Exchange).unwrap();
        }),
        ("rmdir", |files| {
            files.unlink("d/inner/deep/x").unwrap();
            files.remove_dir("d/inner/deep").unwrap();
        }),
    ];
    for (what, change) in changes {
        let (_, solid) = in_memory();
        let (_, plain) = in_memory();
        for files in [&solid, &plain] {
            tree(files);
        }
        solid.freeze("d").unwrap();
        change(&solid);
        change(&plain);
        let strip = |files: &Files| -> Vec<_> {
            let all = comparable(&files.snapshot().unwrap()).into_iter();
            // Two media have other clocks and numbers.
            all.map(|(path, mut shown)| {
                shown.ino = 0;
                if shown.mtime.secs > 1_600_000_000 {
                    shown.mtime.secs = 0;
                    shown.mtime.nanos = 0;
                }
                (path, shown)
            })
            .collect()
        };
        assert_eq!(strip(&solid), strip(&plain), "{what}");
        assert_eq!(
            solid.store.counters().thawed.load(Ordering::Relaxed),
            1,
            "{what}"
        );
    }
}

#[test]
fn what_does_not_change_it_does_not_thaw() {
    let (root, files) = in_memory();
    tree(&files);
    files.freeze("d").unwrap();
    files.settle().unwrap();
    files.make_dir("to").unwrap();
    files.replace("d", "to/e").unwrap();
    assert_eq!(disk_names(&root, "to"), ["e.holo"]);
    files.replace("to/e", "d").unwrap();
    assert!(matches!(files.remove_dir("d"), Err(Error::NotEmpty)));
    assert!(matches!(files.unlink("d"), Err(Error::IsDirectory)));
    assert!(matches!(files.make_dir("d"), Err(Error::Exists)));
    assert!(matches!(files.make_dir("d/inner"), Err(Error::Exists)) || !frozen(&root));
    let missing = files.replace("beside", "d");
    assert!(matches!(missing, Err(Error::IsDirectory)));
}

#[test]
fn handles_and_directories_go_on_when_it_thaws() {
    let (_root, files) = in_memory();
    tree(&files);
    let inner = files.at("d/inner").unwrap();
    files.freeze("d").unwrap();
    let number = |name: &str| {
        let attr = files.store.lookup(inner.attr.ino, os(name)).unwrap();
        files.store.forget(attr.ino, 1);
        attr.ino
    };
    let empty = number("empty");
    let reader = files.reader("d/inner/deep/x").unwrap();
    let before = reader.read().unwrap();
    files.put("d/new", b"new").unwrap();
    assert_eq!(
        reader.read().unwrap(),
        before,
        "read by a handle from before"
    );
    assert_eq!(number("empty"), empty, "found in a directory from before");
    let writer = files.writer("d/inner/deep/x").unwrap();
    assert_eq!(writer.ino(), reader.ino());
    writer.write(0, b"written").unwrap();
    assert_eq!(
        &reader.read().unwrap()[..7],
        b"written",
        "a handle holds an inode"
    );
    assert!(files.freeze("d").is_err(), "something in it is open");
    drop((reader, writer));
    files.freeze("d").unwrap();
    assert_eq!(number("empty"), empty);
    let reader = files.reader("d/inner/deep/x").unwrap();
    files.unlink("d/inner/deep/x").unwrap();
    assert_eq!(
        &reader.read().unwrap()[..7],
        b"written",
        "unlinked and open"
    );
    assert_eq!(reader.attr().unwrap().nlink, 0);
}

#[test]
fn what_cannot_be_kept_as_one_stays_and_says_why() {
    let (root, files) = in_memory();
    tree(&files);
    let why = |files: &Files, path: &str| files.freeze(path).unwrap_err().to_string();
    assert!(why(&files, "").contains("root"));
    assert!(matches!(files.freeze("beside"), Err(Error::NotDirectory)));
    files.link("d/05.txt", "outside").unwrap();
    assert!(why(&files, "d").contains("another name elsewhere"));
    files.unlink("outside").unwrap();
    let writer = files.writer("d/05.txt").unwrap();
    assert!(why(&files, "d").contains("05.txt"));
    drop(writer);
    // A file of which nothing is left is not taken for its content.
    files.convert("d/inner/deep/x", "spread").unwrap();
    files.settle().unwrap();
    let set = root
        .dir(os("d"))
        .unwrap()
        .dir(os("inner"))
        .unwrap()
        .dir(os("deep"))
        .unwrap();
    let set = set.dir(os("x.holo")).unwrap();
    for entry in set
        .list()
        .unwrap()
        .iter()
        .filter(|entry| entry.name != "manifest")
        .skip(1)
    {
        set.unlink(&entry.name).unwrap();
    }
    assert!(why(&files, "d").contains("deep/x"), "{}", why(&files, "d"));
    assert!(!frozen(&root));
}

/// Invariant 6: "A damaged, truncated, hostile or future file gives an error that names it; never a panic, hang, or
/// unbounded allocation."
#[test]
fn damage_costs_what_it_hits_and_is_named() {
    let (root, files) = in_memory();
    tree(&files);
    let before = files.snapshot().unwrap();
    files.freeze("d").unwrap();
    let object = root.open(os("d.holo"), Access::Write).unwrap();
    let size = object.meta().unwrap().size;
    let status = files.status("d/inner/deep/x").unwrap();
    assert_eq!((status.state, status.chunks.have), (State::Exact, 3));
    assert!(
        status.reason.contains("solid directory d"),
        "{}",
        status.reason
    );
    let sum: u64 = before
        .iter()
        .filter(|(path, shown)| path.starts_with("d/") && shown.kind == Kind::File)
        .filter(|(path, _)| *path != "d/inner/again")
        .map(|(path, _)| files.status(path).unwrap().stored)
        .sum();
    assert!(sum <= size && sum + 100 > size, "{sum} of {size} bytes");
    // The last chunk: the others are enough.
    let third = size / 3;
    let zeros = vec![0; third as usize - 4000];
    object.write_at(&zeros, size - third + 2000).unwrap();
    let scrub = |path: &str| {
        let held = files.at(path).unwrap();
        files.store.verify(held.attr.ino, &mut || true).unwrap()
    };
    assert_eq!(scrub("d/01.txt").state, State::Exact);
    assert!(!scrub("d/01.txt").damage.is_empty());
    assert_eq!(files.snapshot().unwrap(), before);
    // A unit of the second row of another chunk too: what lies there is lost, and nothing else.
    object.write_at(&[0; 1000], third + 70_000).unwrap();
    drop(files);
    let files = Files::open(&root).unwrap();
    let mut lost = Vec::new();
    for (path, shown) in before.iter().filter(|(_, shown)| shown.kind == Kind::File) {
        let status = files.status(path).unwrap();
        match files.get(path) {
            Ok(content) => assert_eq!(Ok(content), shown.content, "{path}"),
            Err(Error::Damaged { .. }) => lost.push((path, status.state)),
            Err(e) => panic!("{path}: {e}"),
        }
    }
    assert!(!lost.is_empty());
    assert!(
        lost.iter().all(|(_, state)| *state == State::Lost),
        "{lost:?}"
    );
    assert!(
        files.put("d/new", b"new").is_err(),
        "what is lost is not thawed away"
    );
    assert!(frozen(&root));
}

#[test]
fn objects_of_any_bytes_are_refused() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let (root, files) = in_memory();
    tree(&files);
    files.freeze("d").unwrap();
    drop(files);
    let object = root.open(os("d.holo"), Access::Write).unwrap();
    let size = object.meta().unwrap().size as usize;
    let mut good = vec![0; size];
    object.read_at(&mut good, 0).unwrap();
    for _ in 0..200 {
        let at = rng.below(size as u64);
        object.write_at(&[rng.below(256) as u8; 3], at).unwrap();
        let files = Files::open_read_only(&root).unwrap();
        let shown = files.at("d").map(|held| held.attr.kind);
        drop(shown);
        drop(files.snapshot());
        if rng.below(10) == 0 {
            object.write_at(&good, 0).unwrap();
            object.set_len(size as u64).unwrap();
        }
    }
}

#[test]
fn with_too_few_chunks_it_says_so() {
    let (root, files) = in_memory();
    tree(&files);
    let before = files.snapshot().unwrap();
    files.freeze("d").unwrap();
    let two = files.store.seen_as(&Aspect::Chunks(2)).unwrap();
    let two = Files { store: two };
    assert_eq!(
        two.get("d/01.txt").unwrap(),
        before["d/01.txt"].content.clone().unwrap()
    );
    let one = Files {
        store: files.store.seen_as(&Aspect::Chunks(1)).unwrap(),
    };
    assert_eq!(one.attr("d").unwrap().kind, Kind::Dir);
    assert!(one.names("d").is_err());
    drop(root);
}

/// What a crash whose intent is lost, or a backup restored over a newer store, leaves.
#[test]
fn a_directory_and_its_object_are_one_or_the_newer_shows() {
    for change in ["nothing", "content", "older"] {
        let (place, root) = on_disk();
        let files = Files::open(&root).unwrap();
        tree(&files);
        let before = files.snapshot().unwrap();
        drop(files);
        let own = |from: &str, to: &str| {
            let (from, to) = (place.path().join(from), place.path().join(to));
            let copied = std::process::Command::new("cp")
                .arg("-a")
                .arg(from)
                .arg(to)
                .status();
            assert!(copied.unwrap().success());
        };
        own("d", "kept");
        let files = Files::open(&root).unwrap();
        files.freeze("d").unwrap();
        drop(files);
        own("kept", "d");
        std::fs::remove_dir_all(place.path().join("kept")).unwrap();
        let file = root
            .dir(os("d"))
            .unwrap()
            .open(os("03.txt"), Access::Write)
            .unwrap();
        if change != "nothing" {
            file.write_at(b"changed", 0).unwrap();
            let secs = if change == "older" { 5 } else { 3_000_000_000 };
            let mtime = Some(holofs::format::Time { secs, nanos: 0 });
            file.set_times(SetTimes { atime: None, mtime }).unwrap();
        }
        let files = Files::open(&root).unwrap();
        let content = files.get("d/03.txt").unwrap();
        let lost = disk_names(&root, ".holofs/lost+found");
        match change {
            "nothing" => assert!(lost.is_empty(), "{lost:?}"),
            _ => assert_eq!(lost.len(), 1),
        }
        assert_eq!(content.starts_with(b"changed"), change == "content");
        assert_eq!(frozen(&root), change == "older");
        assert_eq!(files.snapshot().unwrap().len(), before.len());
    }
}

/// A policy under which directories of small files become solid at once.
const ARCHIVE: &str = r#"
version = 1
[defaults]
profile = { n = 3, k = 2 }
[encode]
quiet = "0s"
linger = "0s"
[[rule]]
glob = "a/**"
effort = "archive"
"#;

#[test]
fn settling_makes_archives_solid() {
    let (root, files) = in_memory();
    drop(files);
    make_store_again(&root);
    let files = Files::open(&root).unwrap();
    for dir in ["a", "a/many", "b"] {
        files.make_dir(dir).unwrap();
    }
    for n in 0..20 {
        for dir in ["a/many", "b"] {
            files.put(&format!("{dir}/{n}"), &sample(n, 5000)).unwrap();
        }
    }
    // One large file: the directory as a whole is not one of small files, the one in it is.
    files.put("a/large", &sample(3, 3 << 20)).unwrap();
    let before = files.snapshot().unwrap();
    let settled = files.settle().unwrap();
    assert_eq!(settled.encoded, 41);
    assert_eq!(disk_names(&root, "a"), ["large.holo", "many.holo"]);
    assert!(disk_names(&root, "b").contains(&"7.holo".to_owned()));
    assert_eq!(comparable(&files.snapshot().unwrap()), comparable(&before));
    files.put("a/many/7", b"changed").unwrap();
    assert_eq!(disk_names(&root, "a"), ["large.holo", "many"]);
    files.settle().unwrap();
    assert_eq!(disk_names(&root, "a"), ["large.holo", "many.holo"]);
    assert_eq!(files.get("a/many/7").unwrap(), b"changed");
}

/// The worker does the same unasked, and again after a change.
/// A directory that was looked at while it was being filled counted as too small for an hour.
#[test]
fn the_background_makes_archives_solid() {
    let (_place, root) = on_disk();
    make_store_again(&root);
    let options = Options {
        worker: true,
        ..Options::default()
    };
    let store = Store::on_disk(Arc::clone(&root), options).unwrap();
    let files = Files { store };
    let frozen = || files.store.counters().frozen.load(Ordering::Relaxed);
    let wait_for = |times| {
        let patience = Instant::now() + Duration::from_mins(2);
        while frozen() < times {
            assert!(Instant::now() < patience, "{times} times");
            std::thread::yield_now();
        }
    };
    files.make_dir("a").unwrap();
    files.make_dir("a/many").unwrap();
    for n in 0..20 {
        files.put(&format!("a/many/{n}"), &sample(n, 5000)).unwrap();
    }
    wait_for(1);
    for n in 0..20 {
        assert_eq!(files.get(&format!("a/many/{n}")).unwrap(), sample(n, 5000));
    }
    let before = frozen();
    files.put("a/many/3", b"changed").unwrap();
    wait_for(before + 1);
    assert_eq!(files.get("a/many/3").unwrap(), b"changed");
    assert_eq!(files.get("a/many/4").unwrap(), sample(4, 5000));
    assert_eq!(files.store.counters().failed.load(Ordering::Relaxed), 0);
    files.store.close().unwrap();
}

fn make_store_again(root: &Arc<dyn Dir>) {
    let own = root.dir(os(".holofs")).unwrap();
    let file = own.open(os("store.toml"), Access::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_at(ARCHIVE.as_bytes(), 0).unwrap();
}
