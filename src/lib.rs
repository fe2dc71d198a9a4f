//! holofs: a filesystem that keeps files as chunk sets on disks and links that lose things.
//!
//! The rooms, from top to bottom; each uses only those below it (`tests/architecture.rs`):
//! [`cli`] · [`fs`], [`integrity`] · [`store`] · [`codec`], [`foreign`], [`hologram`] · [`media`], [`mod@format`] ·
//! [`coding`].

pub mod cli;
pub mod codec;
pub mod coding;
pub mod foreign;
pub mod format;
pub mod fs;
pub mod hologram;
pub mod integrity;
pub mod media;
pub mod store;
