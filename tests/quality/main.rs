//! Media with chunks missing: which ones never matters, more are never worse, and other programs open what is shown.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "tests may panic"
)]

mod decoders;
mod kept;
mod media;
mod same;
mod sound;
mod subsets;
mod tunes;
