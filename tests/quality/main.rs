//! Media with chunks missing: which ones never matters, more are never worse, and other programs open what is shown.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

mod decoders;
mod kept;
mod media;
mod subsets;
