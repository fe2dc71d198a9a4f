//! Media: containers of pictures, video and sound, their pixels, a recipe for the rest.
//!
//! Everything here works on bytes in memory, of sound and video a piece at a time, and never trusts a length it has not
//! checked.

mod bmp;
mod bytes;
pub mod deflate;
pub mod error;
mod gif;
pub mod jpeg;
mod layout;
pub mod picture;
pub mod png;
mod pnm;
pub mod raster;
pub mod sniff;
pub mod sound;
pub mod stack;
mod tiff;
pub mod y4m;
