//! What the fuzz targets share: objects in memory, a limit of memory, and what must hold of every codec.
//!
//! Targets are in `fuzz_targets/`, one program each; `scripts/fuzz.sh` builds and runs them. A target fails by a panic,
//! by more than [`memory::LIMIT`] bytes in use at a time, or by taking too long: hostile input gives errors, never these.

pub mod codec;
pub mod foreign;
pub mod format;
pub mod memory;
pub mod object;

#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;
