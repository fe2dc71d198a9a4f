//! The real program under faults: killed, short of space, copied, damaged. Needs root and /dev/fuse.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    reason = "tests may panic, and say why they were skipped"
)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod copied;
mod failing;
mod healing;
mod killed;
mod model;
mod outlived;
mod traced;
