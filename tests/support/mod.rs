//! What the integration tests share.

#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod crash_disk;
pub(crate) mod files;
mod rng;

pub(crate) use rng::Rng;
