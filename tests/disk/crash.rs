//! What the simulated medium makes of power cuts, ends of the process, failures and limits.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use holofs::store::disk::{Access, Dir, Rename, XattrMode};
use rustix::io::Errno;

use super::support::crash_disk::{CrashDisk, Op};
use super::{content, errno, get, kind, make_dir, names, os, put};

/// Power cuts that are tried.
const SEEDS: u64 = 300;

/// What `look` sees after each of many power cuts.
fn outcomes<T: Ord>(disk: &CrashDisk, look: impl Fn(&dyn Dir) -> T) -> BTreeSet<T> {
    let after = |seed| look(&*disk.crash(seed).root());
    (0..SEEDS).map(after).collect()
}

/// A medium and its root.
fn fresh() -> (Arc<CrashDisk>, Arc<dyn Dir>) {
    let disk = CrashDisk::new();
    let root = disk.root();
    (disk, root)
}

/// A file of which content and name are durable.
fn put_durably(dir: &dyn Dir, name: &str, content: &[u8]) {
    put(dir, name, content).sync(false).unwrap();
    dir.sync().unwrap();
}

#[test]
fn what_was_synced_survives() {
    let (disk, root) = fresh();
    put_durably(&*root, "a", &[7; 10_000]);
    let all = outcomes(&disk, |root| get(root, "a"));
    assert_eq!(all, BTreeSet::from([vec![7; 10_000]]));
}

#[test]
fn what_was_not_synced_is_lost_kept_or_torn() {
    let (disk, root) = fresh();
    put_durably(&*root, "a", &[1; 8192]);
    let file = root.open(os("a"), Access::Write).unwrap();
    file.write_at(&[2; 8192], 0).unwrap();
    let all = outcomes(&disk, |root| get(root, "a"));
    assert!(all.contains(&vec![1; 8192]) && all.contains(&vec![2; 8192]));
    let halves = [[1; 4096], [2; 4096]].concat();
    let other_halves = [[2; 4096], [1; 4096]].concat();
    assert!(all.contains(&halves) && all.contains(&other_halves));
    let torn = |content: &Vec<u8>| content[..4096].windows(2).any(|two| two[0] != two[1]);
    assert!(all.iter().any(torn));
    for content in all {
        let mut sectors = content.chunks(512);
        assert!(sectors.all(|s| s == [1; 512] || s == [2; 512]));
    }
}

#[test]
fn sizes_are_lost_like_data_and_gaps_are_zeros() {
    let (disk, root) = fresh();
    put_durably(&*root, "a", &[1; 100]);
    let file = root.open(os("a"), Access::Write).unwrap();
    file.set_len(0).unwrap();
    file.write_at(&vec![2; 20_000], 0).unwrap();
    let sizes = outcomes(&disk, |root| root.meta(os("a")).unwrap().size);
    assert!([0, 100, 20_000].iter().all(|size| sizes.contains(size)));
    assert!(sizes.iter().any(|&size| size > 100 && size < 20_000));
    for content in outcomes(&disk, |root| get(root, "a")) {
        assert!(content.iter().all(|byte| [0, 1, 2].contains(byte)));
    }
    let grown = outcomes(&disk, |root| {
        let file = root.open(os("a"), Access::Write).unwrap();
        let size = file.meta().unwrap().size as usize;
        file.set_len(40_000).unwrap();
        content(&*file)[size..].iter().all(|&byte| byte == 0)
    });
    assert_eq!(
        grown,
        BTreeSet::from([true]),
        "nothing lurks behind the end"
    );
}

#[test]
fn a_synced_file_may_lose_its_name_but_not_its_content() {
    let (disk, root) = fresh();
    put(&*root, "a", b"whole").sync(false).unwrap();
    let all = outcomes(&disk, |root| names(root).pop().map(|name| get(root, &name)));
    assert_eq!(all, BTreeSet::from([None, Some(b"whole".to_vec())]));
}

#[test]
fn names_of_one_directory_keep_their_order() {
    let (disk, root) = fresh();
    for name in ["a", "b", "c"] {
        put(&*root, name, b"");
    }
    root.unlink(os("a")).unwrap();
    let states = [
        vec![],
        vec!["a"],
        vec!["a", "b"],
        vec!["a", "b", "c"],
        vec!["b", "c"],
    ];
    let states = states.map(|names| names.into_iter().map(String::from).collect::<Vec<_>>());
    assert_eq!(outcomes(&disk, names), BTreeSet::from(states.clone()));
    root.sync().unwrap();
    assert_eq!(outcomes(&disk, names), BTreeSet::from([states[4].clone()]));
}

#[test]
fn directories_are_independent_of_each_other() {
    let (disk, root) = fresh();
    let dirs = ["a", "b"].map(|name| make_dir(&*root, name));
    root.sync().unwrap();
    put(&*dirs[0], "x", b"");
    put(&*dirs[1], "x", b"");
    let all = outcomes(&disk, |root| {
        ["a", "b"].map(|dir| names(&*root.dir(os(dir)).unwrap()).len())
    });
    assert_eq!(all, BTreeSet::from([[0, 0], [0, 1], [1, 0], [1, 1]]));
    dirs[1].sync().unwrap();
    let all = outcomes(&disk, |root| names(&*root.dir(os("a")).unwrap()).len());
    assert_eq!(all, BTreeSet::from([0, 1]));
}

#[test]
fn renames_between_directories_are_atomic() {
    let (disk, root) = fresh();
    let from = make_dir(&*root, "from");
    let to = make_dir(&*root, "to");
    root.sync().unwrap();
    put_durably(&*from, "x", b"new");
    put_durably(&*to, "x", b"old");
    let look = |root: &dyn Dir| {
        let from = root.dir(os("from")).unwrap();
        let to = root.dir(os("to")).unwrap();
        (names(&*from), get(&*to, "x"))
    };
    let before = (vec!["x".to_owned()], b"old".to_vec());
    let after = (vec![], b"new".to_vec());
    from.rename(os("x"), &*to, os("x"), Rename::Replace)
        .unwrap();
    assert_eq!(
        outcomes(&disk, look),
        BTreeSet::from([before, after.clone()])
    );
    from.sync().unwrap();
    assert_eq!(outcomes(&disk, look), BTreeSet::from([after]), "in both");
}

#[test]
fn exchanges_are_atomic() {
    let (disk, root) = fresh();
    let sub = make_dir(&*root, "sub");
    root.sync().unwrap();
    put_durably(&*root, "x", b"1");
    put_durably(&*sub, "x", b"2");
    root.rename(os("x"), &*sub, os("x"), Rename::Exchange)
        .unwrap();
    let all = outcomes(&disk, |root| {
        [get(root, "x"), get(&*root.dir(os("sub")).unwrap(), "x")].concat()
    });
    assert_eq!(all, BTreeSet::from([b"12".to_vec(), b"21".to_vec()]));
}

#[test]
fn a_directory_goes_only_after_what_was_moved_out_of_it() {
    let (disk, root) = fresh();
    let sub = make_dir(&*root, "sub");
    let other = make_dir(&*root, "other");
    put_durably(&*sub, "x", b"keep");
    root.sync().unwrap();
    sub.rename(os("x"), &*other, os("x"), Rename::Replace)
        .unwrap();
    root.remove_dir(os("sub")).unwrap();
    let all = outcomes(&disk, |root| {
        let other = names(&*root.dir(os("other")).unwrap());
        let sub = root.dir(os("sub")).map(|sub| names(&*sub));
        other.len() + sub.map_or(0, |names| names.len())
    });
    assert_eq!(all, BTreeSet::from([1]));
}

/// Directories below `dir`.
fn count(dir: &dyn Dir) -> usize {
    let names = dir.list().unwrap();
    let below = names.iter().map(|l| 1 + count(&*dir.dir(&l.name).unwrap()));
    below.sum()
}

#[test]
fn directories_never_form_a_ring() {
    let (disk, root) = fresh();
    let dirs = ["p", "r"].map(|name| make_dir(&*root, name));
    let x = make_dir(&*dirs[0], "x");
    let q = make_dir(&*x, "q");
    let y = make_dir(&*q, "y");
    for dir in [&root, &dirs[0], &x, &q] {
        dir.sync().unwrap();
    }
    q.rename(os("y"), &*dirs[1], os("y"), Rename::Replace)
        .unwrap();
    dirs[0]
        .rename(os("x"), &*y, os("x"), Rename::Replace)
        .unwrap();
    assert_eq!(outcomes(&disk, count), BTreeSet::from([5]));
}

#[test]
fn attributes_are_as_at_some_moment_since_the_sync() {
    let (disk, root) = fresh();
    put_durably(&*root, "a", b"");
    root.set_mode(os("a"), 0o600).unwrap();
    root.set_xattr(os("a"), os("user.x"), b"", XattrMode::Any)
        .unwrap();
    let look = |root: &dyn Dir| {
        let mode = root.meta(os("a")).unwrap().mode;
        (mode, root.xattrs(os("a")).unwrap().len())
    };
    let all = outcomes(&disk, look);
    assert_eq!(all, BTreeSet::from([(0o644, 0), (0o600, 0), (0o600, 1)]));
    let file = root.open(os("a"), Access::Read).unwrap();
    file.sync(true).unwrap();
    assert_eq!(outcomes(&disk, look).len(), 3, "of the content only");
    file.sync(false).unwrap();
    assert_eq!(outcomes(&disk, look), BTreeSet::from([(0o600, 1)]));
}

#[test]
fn a_seed_gives_the_same_again_and_what_survived_is_durable() {
    let (disk, root) = fresh();
    for i in 0..20 {
        put(&*root, &format!("{i}"), &[i; 9000]);
    }
    let look = |disk: &Arc<CrashDisk>| {
        let root = disk.root();
        let names = names(&*root);
        let contents: Vec<_> = names.iter().map(|name| get(&*root, name)).collect();
        (names, contents)
    };
    for seed in 0..50 {
        let once = disk.crash(seed);
        assert_eq!(look(&once), look(&disk.crash(seed)));
        assert_eq!(look(&once), look(&once.crash(!seed)));
    }
}

#[test]
fn the_end_of_the_process_loses_nothing_that_was_written() {
    let (disk, root) = fresh();
    let file = put(&*root, "a", b"written");
    let writer_lives = root.open(os("a"), Access::Read).unwrap().lease();
    assert_eq!(kind(writer_lives), ErrorKind::WouldBlock);
    let after = disk.kill();
    assert_eq!(get(&*after.root(), "a"), b"written");
    let reader = after.root().open(os("a"), Access::Read).unwrap();
    assert!(reader.lease().is_ok(), "its files are closed");
    let later = outcomes(&after, |root| names(root).len());
    assert_eq!(later, BTreeSet::from([0, 1]), "nor made it durable");
    file.write_at(b"on", 0).unwrap();
}

#[test]
fn a_process_can_be_stopped_between_any_two_operations() {
    let run = |root: &dyn Dir| -> std::io::Result<()> {
        let file = root.create(os("tmp"), 0o644, 0)?;
        file.write_at(b"new", 0)?;
        file.sync(false)?;
        root.rename(os("tmp"), root, os("x"), Rename::Replace)?;
        root.sync()
    };
    let (disk, root) = fresh();
    run(&*root).unwrap();
    let all = disk.operations();
    assert_eq!(disk.history().len() as u64, all);
    for stop in 0..=all {
        let (disk, root) = fresh();
        disk.kill_after(stop);
        assert_eq!(run(&*root).is_ok(), stop == all);
        assert_eq!(disk.is_dead(), stop < all);
        assert_eq!(root.list().is_ok(), stop == all, "the dead do not read");
        assert_eq!(disk.operations(), stop);
        let found = disk.kill().root();
        let expected: &[&str] = match stop {
            0 => &[],
            1..=3 => &["tmp"],
            _ => &["x"],
        };
        assert_eq!(names(&*found), expected, "{:?}", disk.history());
    }
}

#[test]
fn operations_fail_on_demand() {
    let (disk, root) = fresh();
    let file = put(&*root, "a", b"12");
    disk.fail(Op::Write, 1, Errno::NOSPC);
    file.append(b"3").unwrap();
    assert_eq!(errno(file.append(b"4")), Some(Errno::NOSPC));
    file.append(b"5").unwrap();
    assert_eq!(get(&*root, "a"), b"1235");
    disk.fail_always(Op::Sync, 0, Errno::IO);
    for _ in 0..3 {
        assert_eq!(errno(file.sync(false)), Some(Errno::IO));
    }
    disk.heal();
    file.sync(false).unwrap();
}

#[test]
fn a_full_medium_stops_in_the_middle_of_a_write() {
    let (disk, root) = fresh();
    disk.limit(Some(4 * 4096));
    let file = put(&*root, "a", &[1; 4096]);
    let other = put(&*root, "b", b"");
    let full = other.write_at(&vec![2; 5 * 4096], 0);
    assert_eq!(kind(full), ErrorKind::StorageFull);
    assert_eq!(get(&*root, "b"), [2; 3 * 4096]);
    let space = root.space().unwrap();
    assert_eq!((space.blocks, space.bfree), (4, 0));
    file.write_at(b"in place", 0).unwrap();
    root.unlink(os("b")).unwrap();
    file.write_at(&[3; 4 * 4096], 0).unwrap();
    disk.limit(None);
    file.append(b"more").unwrap();
}
