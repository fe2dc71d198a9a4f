//! Random operations on a store, compared with a reference in memory that is obvious.
//!
//! `HOLOFS_SEED` replays one run, `HOLOFS_RUNS` says how many there are on each medium.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "tests may panic and say what they did, and `.holo` is lower case"
)]

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod operations;
mod reference;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use holofs::store::disk::{Dir, open_root};
use operations::World;
use support::Rng;
use support::crash_disk::CrashDisk;
use support::files::{EAGER, Files, make_store};

/// Operations of one run.
const STEPS: u64 = 300;
/// Operations between two looks at everything.
const LOOK_EVERY: u64 = 25;

/// Where the store lies.
enum Medium {
    Memory(Arc<CrashDisk>),
    Real(tempfile::TempDir),
}

impl Medium {
    fn root(&self) -> Arc<dyn Dir> {
        match self {
            Self::Memory(disk) => disk.root(),
            Self::Real(dir) => open_root(dir.path()).unwrap(),
        }
    }
}

fn run(medium: Medium, seed: u64) -> u64 {
    make_store(&medium.root(), EAGER);
    let files = Files::open(&medium.root()).unwrap();
    let mut world = World::new(medium, files, Rng::new(seed));
    for step in 1..=STEPS {
        world.step();
        if step % LOOK_EVERY == 0 {
            world.compare_everything();
        }
    }
    world.settle();
    world.compare_everything();
    world.encoded()
}

fn runs(on: &str, default: u64, medium: impl Fn() -> Medium) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seeds = match number("HOLOFS_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("HOLOFS_RUNS").unwrap_or(default),
    };
    let mut encoded = 0;
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(medium(), seed))) {
            Ok(files) => encoded += files,
            Err(failure) => {
                println!("on the {on} medium; HOLOFS_SEED={seed} replays it");
                resume_unwind(failure);
            }
        }
    }
    println!("{encoded} encodings on the {on} medium");
    assert_ne!(encoded, 0);
}

#[test]
fn simulated() {
    runs("simulated", 800, || Medium::Memory(CrashDisk::new()));
}

#[test]
fn real() {
    runs("real", 100, || Medium::Real(tempfile::tempdir().unwrap()));
}

/// Files encoded since the store was opened.
fn encoded(files: &Files) -> u64 {
    files.store.counters().encoded.load(Ordering::Relaxed)
}
