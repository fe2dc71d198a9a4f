//! Pixels to layers and back: what the image codec does with the samples of any container.
//!
//! **Terms.** A picture is cut into *tiles* of about 1024x1024 (a small one is one tile), each coded by itself; drawn
//! ones are up to 4096x4096. With the *wave* method a tile goes through a reversible colour transform and the 5/3
//! wavelet, and its bands through [`crate::coding::bands`]: all layers but the last are cut where the whole picture
//! reaches a wanted PSNR, the last one makes it exact. With the *drawn* method the last layer holds the exact tiles of
//! [`crate::coding::flat`]; layers before it are wave previews. The method with fewer bytes wins. Previews that would
//! be out of proportion to what makes the file exact, as those of text are, have less than the wanted PSNR.
//!
//! **A layer** is, with one tile, its bytes; with more, a table of `u32` lengths, one per tile, row by row, followed by
//! the tiles. A layer that no tile has bytes in is empty. So a tile can be read alone, and tiles in parallel.
//!
//! **The header** (little-endian; 16 + 4 bytes per preview):
//! ```text
//! 0      method: 0 wave, 1 drawn        12  colour transform: 0 to 3
//! 1      channels: 1 to 4               13  reserved: 0
//! 2..4   greatest sample, at least 1    14  number of layers: previews + 1
//! 4..8   width, 1 to 2^24               15  reserved: 0
//! 8..12  height, likewise; 2^32 pixels  16  per preview: cut (i16), measured PSNR in 1/100 dB (u16)
//! ```
//! PSNR is over all colour samples of the picture, opacity left out, with the greatest sample as peak.

mod cuts;
mod header;
mod tiles;
mod wave;

use crate::coding::{bands, flat};

pub use header::{Grid, Header};
pub use tiles::{Encoding, encode};

/// A picture: one plane of `width * height` samples per channel, row-major.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Planes {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The greatest sample: 255 for 8 bits, 1 for bilevel, any other for PNM.
    pub max: u16,
    /// Grey; grey and opacity; red, green, blue; or these and opacity.
    pub channels: Vec<Vec<u16>>,
}

/// Why pixels could not be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The picture is not one that can be coded, or a header is not what the encoder writes.
    #[error("pixels: {0}")]
    Format(&'static str),
    /// Layers are not what the encoder wrote.
    #[error("pixels: {0}")]
    Bands(#[from] bands::Error),
    /// The exact layer is not what the encoder wrote.
    #[error("pixels: {0}")]
    Drawn(#[from] flat::Damaged),
}

/// Decodes the first layers of a picture: exactly when the layer that makes it exact is among them. Needs at least
/// one layer. Tiles are decoded in parallel.
///
/// Memory is 2 bytes per sample of the picture and, per thread, about 8 per sample of a tile (32 MB for three channels):
/// compare [`Header::samples`] with what the container's size allows before.
///
/// # Errors
/// [`Error`] for layers that the encoder did not write.
pub fn decode(header: &Header, layers: &[&[u8]]) -> Result<Planes, Error> {
    tiles::decode(header, layers)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod training;
