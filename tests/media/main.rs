//! Containers of pictures and video: kept files and generated ones, taken apart, written again, rendered and damaged.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::big_endian_bytes,
    reason = "tests may panic"
)]

mod gif;
mod plain;
mod png;
mod support;
mod y4m;
