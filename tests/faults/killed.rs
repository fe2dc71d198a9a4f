//! The daemon is killed at random moments while programs write and files are being encoded.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::bench::{Bench, EAGER, until};
use crate::model::Model;
use crate::support::Rng;

/// How often the daemon is killed.
const ROUNDS: u64 = 20;
/// Operations of a round, about.
const OPERATIONS: u64 = 60;

/// A program that saves files in two ways.
struct Writer {
    random: Rng,
    model: Model,
    created: u64,
}

impl Writer {
    fn content(&mut self) -> Vec<u8> {
        let (word, length) = (self.random.next(), self.random.below(30_000));
        let text = format!("{word:x} of {length}\n");
        text.bytes().cycle().take(length as usize).collect()
    }

    /// Writes until that fails, counting what was answered.
    fn write(&mut self, dir: &Path, answered: &AtomicU64) {
        while self.step(dir).is_ok() {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn step(&mut self, dir: &Path) -> io::Result<()> {
        let bytes = self.content();
        if self.random.below(3) == 0 {
            // In place and not synced yet: nothing is promised of it.
            let name = format!("new{}", self.created);
            self.created += 1;
            let mut file = File::create_new(dir.join(&name))?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            return self.model.change(&[(&name, Some(bytes))], || Ok(()));
        }
        let layout = ["spread", "packed"][self.random.below(2) as usize];
        let name = format!("{layout}{}", self.random.below(4));
        // As by most editors: no fsync.
        self.model.forget("draft");
        fs::write(dir.join("draft"), &bytes)?;
        self.model.change(&[("draft", Some(bytes))], || Ok(()))?;
        self.model.rename(dir, "draft", &name)
    }
}

/// "After create, rename, unlink or a change of representation every name shows its old or its new content, whatever
/// crashed and without any fsync by the application; fsync'ed data survive."
#[test]
fn whatever_moment_the_daemon_is_killed_at_nothing_is_lost() {
    let Some(bench) = Bench::new(EAGER) else {
        return;
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = std::env::var("HOLOFS_SEED").map_or_else(
        |_| u64::from(now.unwrap().subsec_nanos()),
        |seed| seed.parse().unwrap(),
    );
    eprintln!("HOLOFS_SEED={seed}");
    let mut random = Rng::new(seed);
    let mut writer = Writer {
        random: Rng::new(seed ^ 1),
        model: Model::default(),
        created: 0,
    };
    let dir = bench.path("m");
    for round in 0..ROUNDS {
        let context = format!("seed {seed}, round {round}");
        let mut daemon = bench.mount();
        writer.model.check(&dir, &context);
        let (answered, ended) = (AtomicU64::new(0), AtomicBool::new(false));
        let last = 1 + random.below(OPERATIONS);
        let moment = Duration::from_micros(random.below(3_000));
        let settling = random.below(2) == 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                writer.write(&dir, &answered);
                ended.store(true, Ordering::Relaxed);
            });
            if settling {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        bench.run(&["settle", "m"]);
                    }
                });
            }
            until("the writer has written", || {
                answered.load(Ordering::Relaxed) >= last || ended.load(Ordering::Relaxed)
            });
            let early = ended.load(Ordering::Relaxed);
            // Nothing waits for this: it is to be no particular moment.
            thread::sleep(moment);
            daemon.kill();
            assert!(!early, "{context}: an operation failed before the kill");
        });
    }
    let daemon = bench.mount();
    writer
        .model
        .check(&dir, &format!("seed {seed}, in the end"));
    bench.settle();
    writer.model.check(&dir, &format!("seed {seed}, settled"));
    daemon.unmount();
    bench.assert_tidy(&format!("seed {seed}"));
}
