//! The store over a medium that dies, loses power, runs full and fails, after every operation of every change.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "tests may panic, and `.holo` is lower case"
)]

#[path = "../support/mod.rs"]
mod support;

mod driver;
mod encoding;
mod recovery;
mod replacing;
mod solid;
mod variants;
mod writing;

use driver::{Scenario, Steps};
use support::crash_disk::Op;
use support::files::Files;

/// Operations that do not fail where a plain file and a set share a name: a set that cannot be looked at is not told
/// from one that is broken, which the plain file hides, whatever happens to that.
const UNSEEN: [Op; 3] = [Op::Open, Op::Read, Op::Look];

/// Content to tell from others: pages of it, so that a power cut can tear it.
fn sample(of: u8) -> Vec<u8> {
    (0..9000_u32).map(|i| (i % 251) as u8 ^ of).collect()
}
