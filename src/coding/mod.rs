//! Coding tools without knowledge of files or disks: hashes and the erasure code.

pub mod erasure;
mod gf256;
pub mod hash;
