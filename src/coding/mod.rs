//! Coding without knowledge of files: hashes, the erasure code, and the coder of media.

pub mod bands;
pub mod binary;
pub mod colour;
pub mod erasure;
pub mod flat;
mod gf256;
pub mod hash;
pub mod linear;
pub mod mdct;
mod model;
pub mod motion;
pub mod phrases;
mod rans;
pub mod siren;
pub mod wavelet;
