//! JPEG files: quantised coefficients and a recipe for the very same file (ITU-T T.81).
//!
//! # Terms
//! A *coefficient* is a quantised DCT coefficient as the file holds it; multiplied with its step size from the
//! *quantiser* it is a coefficient of the orthonormal 8x8 DCT of the samples less 128. A *block* holds 64 of them in
//! zigzag order, block\[0\] (DC) first. The blocks of a component fill a *grid* in raster order: its rows and columns
//! are whole MCUs, so it is up to three blocks wider and higher than the picture ([`Component`]). Blocks of the grid
//! that no scan holds are zero.
//!
//! The *recipe* is what else the file is made of:
//!
//! ```text
//! SOI APP0 DQT SOF DHT SOS | coded data | DHT SOS | coded data | ... | EOI whatever follows
//! '------- piece 0 -------'   scan 0    '-piece 1'    scan 1           '---- last piece ---'
//! ```
//!
//! *Pieces* are kept as they are and hold everything the writer needs (tables, scan headers, restart interval); the
//! [`Notes`] of a scan say what the coefficients and tables leave open: padding bits, runs of ended blocks, missing
//! restart markers, and where a damaged or cut scan stops. From there on the rest of the file is the last piece.
//!
//! # What is taken apart
//! Baseline, extended sequential and progressive files with Huffman coding and 8 bits per sample; 1 to 4 components,
//! any sampling factors, any order of scans. A file is suited only if [`write()`] gives its bytes again: encoders have
//! freedoms (two codes for one symbol, superfluous zero runs) that are not recorded, and then the bytes differ.
//!
//! # Limits
//! * At most [`MAX_COEFFICIENTS`] coefficients (1 GiB of memory), and at most [`MAX_SPARSITY`] blocks for each byte of
//!   the file: the sparsest scan that reaches a block takes a bit of it.
//! * At most [`MAX_SCANS`] scans, so that a small file with many scans of nothing takes no minutes.
//! * Memory: two bytes per coefficient, and the data of the longest stretch without a restart marker.

#![allow(clippy::big_endian_bytes, reason = "JPEG is big-endian")]

mod bits;
mod code;
mod encode;
mod error;
mod exif;
mod frame;
mod huffman;
mod notes;
mod progressive;
mod quality;
mod read;
mod render;
mod rows;
mod scan;
mod segments;
mod standard;
mod write;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use error::JpegError;
pub use exif::orientation;
pub use frame::{Colour, Component, Described, Frame, Quantiser};
pub use notes::{notes_from_bytes, notes_to_bytes};
pub use quality::colour_weights;
pub use read::parse;
pub use render::{Metadata, render, smallest};
pub use rows::{Rows, Start};
pub use scan::Notes;
pub use segments::{Segment, segments};
pub use standard::{standard_quantiser, usual_head};
pub use write::write;

/// Most coefficients of a picture, those of all components together.
pub const MAX_COEFFICIENTS: u64 = 1 << 29;
/// Most blocks for each byte of the file.
pub const MAX_SPARSITY: usize = 16;
/// Most scans.
pub const MAX_SCANS: usize = 128;

/// The coefficients of a block in zigzag order.
pub type Block = [i16; 64];
/// The blocks of a component's grid, row by row.
pub type Plane = Vec<Block>;

/// Row and column frequency of each coefficient in zigzag order: `8 * row + column`.
pub const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Everything of a file but its coefficients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipe {
    /// What lies before, between and after the scans: one more than there are scans.
    pub pieces: Vec<Vec<u8>>,
    /// How the scans were written.
    pub notes: Vec<Notes>,
}

/// A file taken apart.
#[derive(Debug, Clone)]
pub struct Jpeg {
    /// Dimensions, components, step sizes.
    pub frame: Frame,
    /// The coefficients of each component.
    pub planes: Vec<Plane>,
    /// The rest.
    pub recipe: Recipe,
}
