//! What is found at a mount: intents of yesterday, two contents under one name, an adoption under way.

use std::sync::Arc;

use holofs::store::disk::{Access, Dir, Kind};
use holofs::store::{Error, Rename, Result, init_on};

use super::support::crash_disk::CrashDisk;
use super::support::files::{
    EAGER, content, copy_tree, dir_at, disk_names, make_store, os, sync_all,
};
use super::{Files, Scenario, Steps, UNSEEN, sample};

/// A durable store with these files.
fn store(make: impl Fn(&Files) -> Result<()>) -> Arc<CrashDisk> {
    let disk = CrashDisk::new();
    make_store(&disk.root(), EAGER);
    let files = Files::open(&disk.root()).unwrap();
    make(&files).unwrap();
    sync_all(&*disk.root());
    disk.kill()
}

/// A change of it that is durable.
fn changed(disk: &CrashDisk, change: impl Fn(&Files) -> Result<()>) -> Arc<CrashDisk> {
    let disk = disk.kill();
    let files = Files::open(&disk.root()).unwrap();
    change(&files).unwrap();
    sync_all(&*disk.root());
    disk.kill()
}

/// `rsync -a` of a store to an older copy of it leaves what the older one has: both forms of a file that was plain
/// then and is encoded now. The newest content is shown, and nothing is deleted.
#[test]
fn a_store_copied_over_an_older_copy_shows_what_is_newest() {
    for layout in ["packed", "spread"] {
        let older = store(|files| {
            files.put("x", &sample(1))?;
            files.put("same", &sample(3))
        });
        let newer = changed(&older, |files| {
            files.put("x", &sample(2))?;
            files.convert("x", layout)?;
            files.convert("same", layout)?;
            files.settle().map(drop)
        });
        copy_tree(&*newer.root(), &*older.root());
        sync_all(&*older.root());
        assert_eq!(
            disk_names(&older.root(), ""),
            [".holofs", "same", "same.holo", "x", "x.holo"]
        );
        let look = |files: &Files, _: &Steps<'_>| {
            assert_eq!(files.get("x")?, sample(2));
            assert_eq!(files.get("same")?, sample(3));
            Ok(())
        };
        let scenario = Scenario::on(older, &look).loses(&sample(1));
        scenario.never_fails(&UNSEEN).check();
    }
}

/// The same the other way round: a file that was encoded in the older copy and is plain and changed now.
#[test]
fn a_store_copied_over_a_copy_that_was_encoded_shows_what_is_newest() {
    for layout in ["packed", "spread"] {
        let older = store(|files| {
            files.put("x", &sample(1))?;
            files.convert("x", layout)?;
            files.settle().map(drop)
        });
        let newer = changed(&older, |files| files.put("x", &sample(2)));
        copy_tree(&*newer.root(), &*older.root());
        sync_all(&*older.root());
        assert_eq!(disk_names(&older.root(), ""), [".holofs", "x", "x.holo"]);
        let look = |files: &Files, _: &Steps<'_>| files.get("x").map(|x| assert_eq!(x, sample(2)));
        let scenario = Scenario::on(older, &look).loses_a_set();
        scenario.never_fails(&UNSEEN).check();
    }
}

/// A plain file whose set was damaged while both were there was removed at the end of lingering, by the size and
/// hash that the set still declared: nothing was left of it.
#[test]
fn a_plain_file_stays_where_its_set_cannot_be_read() {
    let disk = store(|files| {
        files.put("x", &sample(1))?;
        files.convert("x", "spread").map(drop)
    });
    let set = dir_at(&disk.root(), "x.holo");
    for chunk in set
        .list()
        .unwrap()
        .iter()
        .filter(|e| e.name != "manifest")
        .skip(1)
    {
        set.unlink(&chunk.name).unwrap();
    }
    sync_all(&*disk.root());
    Scenario::on(disk, &|files, _| files.settle().map(drop)).check();
}

/// Of two contents of one age a plain file that a power cut had torn was shown, and the whole set set aside.
#[test]
fn of_one_age_the_set_is_shown_which_is_proved() {
    let disk = store(|files| {
        files.put("x", &sample(1))?;
        files.convert("x", "packed").map(drop)
    });
    let root = disk.root();
    let mtime = root.meta(os("x")).unwrap().mtime;
    let file = root.open(os("x"), Access::Write).unwrap();
    file.write_at(&[0; 4096], 4096).unwrap();
    let times = holofs::store::SetTimes {
        mtime: Some(mtime),
        ..Default::default()
    };
    file.set_times(times).unwrap();
    let torn = content(&*file).unwrap();
    sync_all(&*root);
    let look = |files: &Files, _: &Steps<'_>| files.get("x").map(|x| assert_eq!(x, sample(1)));
    Scenario::on(disk, &look).loses(&torn).check();
}

/// An intent whose end was not durable came back after a power cut, matched names that had been exchanged since,
/// and took one of the two files with it.
#[test]
fn intents_of_changes_that_did_not_happen_never_come_back() {
    let base = store(|files| {
        files.put("x", &sample(1))?;
        files.put("y", &sample(2))?;
        files.convert("x", "spread")?;
        files.convert("y", "spread")?;
        files.settle().map(drop)
    });
    for stop in 0.. {
        let disk = base.kill();
        let files = Files::open(&disk.root()).unwrap();
        disk.kill_after(disk.operations() + stop);
        drop(files.replace("x", "y"));
        if !disk.is_dead() {
            break;
        }
        let next = disk.kill();
        let files = Files::open(&next.root()).unwrap();
        if files.rename("x", "y", Rename::Exchange).is_err() {
            continue; // it was done
        }
        files.sync_dir("").unwrap();
        for seed in 0..20 {
            let files = Files::open(&next.crash(seed).root()).unwrap();
            let found = (files.get("x").unwrap(), files.get("y").unwrap());
            assert!(found == (sample(2), sample(1)), "{:?}", disk.history());
        }
    }
}

/// A copy of a store has other inodes: intents that were copied with it change nothing.
#[test]
fn intents_do_not_apply_to_a_copy() {
    let base = store(|files| {
        files.put("x", &sample(1))?;
        files.put("y", &sample(2))?;
        files.convert("y", "packed")?;
        files.settle()?;
        files.put("x", &sample(1))
    });
    for stop in 0.. {
        let disk = base.kill();
        let files = Files::open(&disk.root()).unwrap();
        disk.kill_after(disk.operations() + stop);
        drop(files.replace("x", "y"));
        if !disk.is_dead() {
            break;
        }
        let copy = CrashDisk::new();
        copy_tree(&*disk.kill().root(), &*copy.root());
        let files = Files::open(&copy.root()).unwrap();
        let lost = |root: &Arc<dyn Dir>| disk_names(root, ".holofs/lost+found").len();
        let shown: Vec<_> = files.snapshot().unwrap().into_values().collect();
        let contents: Vec<_> = shown
            .into_iter()
            .map(|shown| shown.content.unwrap())
            .collect();
        assert!(contents.iter().all(|c| *c == sample(1) || *c == sample(2)));
        assert!(contents.contains(&sample(1)), "{:?}", disk.history());
        let old_is_somewhere = contents.contains(&sample(2)) || lost(&copy.root()) == 1;
        let was_retired = disk.history().iter().any(|op| op == "Rename y.holo");
        assert!(old_is_somewhere || was_retired, "{:?}", disk.history());
    }
}

#[test]
fn adopting_a_tree_can_be_interrupted() {
    let base = CrashDisk::new();
    let names = [
        "a",
        "b.holo",
        "b.holo~",
        "b.holo~~",
        "d.holo/c.holo",
        "d.holo/c.holo~",
        "d.holo/e",
    ];
    base.root().make_dir(os("d.holo"), 0o755, 0).unwrap();
    for (path, of) in names.iter().zip(1..) {
        let (dir, name) = super::support::files::split(path);
        let file = dir_at(&base.root(), dir).create(name, 0o644, 0).unwrap();
        file.write_at(&sample(of), 0).unwrap();
    }
    sync_all(&*base.root());
    let adopted = |disk: &CrashDisk, what: &str| {
        let disk = disk.kill();
        match init_on(&disk.root()) {
            Ok(_) | Err(Error::Exists) => {}
            Err(e) => panic!("{what}: {e}"),
        }
        let files = Files::open(&disk.root()).unwrap();
        let mut shown = files.snapshot().unwrap();
        shown.retain(|_, shown| shown.kind != Kind::Dir);
        assert!(shown.keys().eq(names.iter()), "{what}: {:?}", shown.keys());
        for ((path, shown), of) in shown.iter().zip(1..) {
            assert!(shown.content == Ok(sample(of)), "{what}: {path}");
        }
    };
    for stop in 0.. {
        let disk = base.kill();
        disk.kill_after(stop);
        drop(init_on(&disk.root()));
        let what = format!("{:?}", disk.history());
        adopted(&disk.kill(), &what);
        for seed in 0..10 {
            adopted(&disk.crash(seed), &format!("power cut {seed} after {what}"));
        }
        if !disk.is_dead() {
            break;
        }
    }
}

/// Every amount of space that is too little.
#[test]
fn a_full_disk_loses_nothing() {
    type Change = fn(&Files) -> Result<()>;
    let changes: [Change; 5] = [
        |files| files.writer("x").map(drop),
        |files| files.truncate("x", 50_000),
        |files| files.link("x", "z"),
        |files| files.convert("x", "spread").map(drop),
        |files| files.replace("y", "x"),
    ];
    for change in changes {
        for pages in 0..12 {
            let disk = store(|files| {
                files.put("x", &sample(1))?;
                files.convert("x", "packed")?;
                files.settle()?;
                files.put("y", &sample(2))
            });
            let files = Files::open(&disk.root()).unwrap();
            let space = disk.root().space().unwrap();
            disk.limit(Some((space.blocks - space.bfree + pages) * 4096));
            let done = change(&files);
            disk.limit(None);
            let mut x = files.get("x").unwrap();
            x.truncate(9000);
            let y = files.get("y");
            assert!(x == sample(1) || x == sample(2) && done.is_ok());
            assert!(y.is_ok_and(|y| y == sample(2)) || done.is_ok(), "{done:?}");
            assert_eq!(files.settle().unwrap().failed, 0);
        }
    }
}
