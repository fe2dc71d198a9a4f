//! One test per invariant of the store, quoting it, and the behaviour of handles that programs rely on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod background;
mod copies;
mod damage;
mod foreign;
mod handles;
mod representations;
mod solid;
mod variants;

use std::sync::Arc;

use holofs::store::disk::{Dir, open_root};
use support::crash_disk::CrashDisk;
use support::files::{EAGER, Files, make_store};

const LAYOUTS: [&str; 2] = ["packed", "spread"];

/// Content to tell from others.
fn sample(of: u8, size: usize) -> Vec<u8> {
    (0..size)
        .map(|i| ((i * i + i / 300) % 251) as u8 ^ of)
        .collect()
}

/// An empty store in memory.
fn in_memory() -> (Arc<dyn Dir>, Files) {
    let root = CrashDisk::new().root();
    make_store(&root, EAGER);
    let files = Files::open(&root).unwrap();
    (root, files)
}

/// An empty store on a real medium, which is removed with the first of these.
fn on_disk() -> (tempfile::TempDir, Arc<dyn Dir>) {
    let place = tempfile::tempdir().unwrap();
    let root = open_root(place.path()).unwrap();
    make_store(&root, EAGER);
    (place, root)
}
