//! Random trees in every form, and changes of form beside programs at work.

use super::*;

/// One random change of a tree, the same for the same state of `rng` where the trees are the same.
fn change(files: &Files, rng: &mut Rng) -> String {
    let all: Vec<_> = files.snapshot().unwrap().into_iter().collect();
    let dirs: Vec<_> = all
        .iter()
        .filter(|(_, shown)| shown.kind == Kind::Dir)
        .collect();
    let dir = rng.pick(&dirs).0.clone();
    let some = rng.pick(&all).clone();
    let new = format!("{dir}/{}", rng.below(1000));
    let what = rng.below(9);
    let done = match what {
        0..=2 => files.put(
            &new,
            &sample(rng.below(256) as u8, rng.below(20_000) as usize),
        ),
        3 => files.make_dir(&new),
        4 => files.symlink(&new, "target"),
        5 if some.1.kind == Kind::File => files.link(&some.0, &new),
        6 if some.1.kind != Kind::Dir => files.unlink(&some.0),
        7 if some.0 != "d" => files.rename(&some.0, &new, Rename::Replace),
        8 => files.set_mtime(&some.0, rng.below(1_000_000_000).cast_signed()),
        _ => files.set_xattr(&dir, "user.random", &[rng.below(256) as u8; 9]),
    };
    format!(
        "{what} {} {new}: {:?}",
        some.0,
        done.map_err(|e| e.to_string())
    )
}

#[test]
fn random_trees_come_back_in_every_form() {
    let seed = seed();
    for round in 0..4 {
        let mut rng = Rng::new(seed + round);
        let (root, files) = in_memory();
        files.make_dir("d").unwrap();
        let mut files = files;
        for _ in 0..12 {
            let mut log = Vec::new();
            for _ in 0..rng.below(12) {
                log.push(change(&files, &mut rng));
            }
            if rng.below(3) == 0 {
                files.settle().unwrap();
            }
            let before = comparable(&files.snapshot().unwrap());
            files.freeze("d").unwrap_or_else(|e| panic!("{e} {log:#?}"));
            assert_eq!(comparable(&files.snapshot().unwrap()), before, "{log:#?}");
            if rng.below(2) == 0 {
                drop(files);
                files = Files::open(&root).unwrap();
                assert_eq!(comparable(&files.snapshot().unwrap()), before, "{log:#?}");
            }
            files.set_mode("d", 0o750).unwrap();
            files.set_mode("d", 0o755).unwrap();
            assert_eq!(comparable(&files.snapshot().unwrap()), before, "{log:#?}");
        }
    }
}

/// Tells others that it is over, also by a panic.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Invariant 9: "Work in the background never makes a foreground read or write fail".
#[test]
fn changes_of_form_disturb_nobody() {
    let (root, files) = in_memory();
    files.make_dir("d").unwrap();
    files.make_dir("d/e").unwrap();
    for n in 0..4 {
        files.put(&format!("d/e/{n}"), &sample(n, 9000)).unwrap();
    }
    let (writing, reading) = (AtomicBool::new(true), AtomicBool::new(true));
    let (on, solid) = (|| writing.load(Ordering::Relaxed), AtomicU32::new(0));
    let mut reads = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while on() {
                let done = files.freeze("d").is_ok();
                solid.fetch_add(u32::from(done), Ordering::Relaxed);
            }
        });
        let reader = scope.spawn(|| {
            let mut done = 0;
            while on() {
                for n in 0..4 {
                    if reading.load(Ordering::Relaxed) {
                        assert_eq!(files.get(&format!("d/e/{n}")).unwrap(), sample(n, 9000));
                        done += 1;
                    }
                    assert_eq!(files.attr(&format!("d/e/{n}")).unwrap().size, 9000);
                }
                assert!(files.names("d/e").unwrap().len() >= 4);
            }
            done
        });
        let over = Over(&writing);
        for round in 0..60_u8 {
            let name = format!("d/e/new{}", round % 3);
            files.put(&name, &sample(round, 100)).unwrap();
            assert_eq!(files.get(&name).unwrap(), sample(round, 100));
            files.replace(&name, "d/moved").unwrap();
            assert_eq!(files.get("d/moved").unwrap(), sample(round, 100));
            if round % 5 == 0 {
                // With nobody reading nothing is open, and it becomes solid sooner or later.
                let before = solid.load(Ordering::Relaxed);
                reading.store(false, Ordering::Relaxed);
                let patience = Instant::now() + Duration::from_mins(2);
                while solid.load(Ordering::Relaxed) == before {
                    assert!(Instant::now() < patience, "never solid");
                    std::thread::yield_now();
                }
                reading.store(true, Ordering::Relaxed);
            }
        }
        drop(over);
        reads = reader.join().unwrap();
    });
    assert!(reads > 0);
    drop(files);
    let files = Files::open(&root).unwrap();
    assert_eq!(files.get("d/moved").unwrap(), sample(59, 100));
    assert_eq!(files.names("d/e").unwrap(), ["0", "1", "2", "3"]);
}
