//! Pictures of any container in four parts: pixels, head, colour data, and the rest.

use super::error::Error;
use super::raster::Raster;
use super::{bmp, gif, layout, png, pnm, tiff};

/// A file taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The pixels.
    pub raster: Raster,
    /// What rendering needs besides them: geometry, palette, small colour fields. Usually under 100 bytes.
    pub head: Vec<u8>,
    /// Colour profile and Exif data, which a viewer would like but can do without; empty where there are none.
    pub colour: Vec<u8>,
    /// Everything else.
    pub recipe: Vec<u8>,
}

/// Containers whose files can be taken apart and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// PNG and APNG.
    Png,
    /// Windows and OS/2 bitmaps without compression.
    Bmp,
    /// PBM, PGM, PPM (raw) and PAM.
    Pnm,
    /// TIFF without compression.
    Tiff,
    /// GIF: never taken apart, only shown by its first picture.
    Gif,
}

/// How a container's files are taken apart.
enum Way {
    Png,
    Gif,
    /// Pixels that lie in the file as they are.
    Plain(layout::Parser),
}

impl Container {
    fn way(self) -> Way {
        match self {
            Self::Png => Way::Png,
            Self::Gif => Way::Gif,
            Self::Bmp => Way::Plain(bmp::layout),
            Self::Pnm => Way::Plain(pnm::layout),
            Self::Tiff => Way::Plain(tiff::layout),
        }
    }

    /// Takes a file apart.
    ///
    /// # Errors
    /// [`Error`] for what [`Container::write`] would not give back; whoever calls still compares.
    pub fn parse(self, file: &[u8]) -> Result<Parts, Error> {
        match self.way() {
            Way::Png => png::parse(file),
            Way::Gif => Err(Error::Unsupported("a GIF is not taken apart")),
            Way::Plain(parser) => layout::parse(file, parser),
        }
    }

    /// The picture that a file shows first, and its head, of a file that cannot be taken apart; the recipe is empty.
    ///
    /// # Errors
    /// [`Error`] when there is none.
    pub fn preview(self, file: &[u8]) -> Result<Parts, Error> {
        match self.way() {
            Way::Gif => gif::preview(file),
            _ => Err(Error::Unsupported(
                "a picture that is damaged or of a rare kind",
            )),
        }
    }

    /// An empty picture of the geometry that the head of a file of `size` bytes tells.
    ///
    /// # Errors
    /// [`Error`] when the head is not one.
    pub fn geometry(self, head: &[u8], size: usize) -> Result<Raster, Error> {
        match self.way() {
            Way::Png => png::geometry(head),
            Way::Gif => gif::geometry(head),
            Way::Plain(parser) => layout::geometry(head, size, parser),
        }
    }

    /// Writes the file of `size` bytes that was taken apart into these parts.
    ///
    /// # Errors
    /// [`Error`] when the parts do not belong together.
    pub fn write(self, parts: &Parts, size: usize) -> Result<Vec<u8>, Error> {
        match self.way() {
            Way::Png => png::write(parts, size),
            Way::Gif => Err(Error::Unsupported("a GIF is not taken apart")),
            Way::Plain(parser) => layout::write(parts, size, parser),
        }
    }

    /// A valid file of exactly `size` bytes that shows `raster`, a picture of the geometry of `head`, where a palette
    /// picture may come expanded ([`Raster::expanded`]) and is shown with the nearest colours of its palette. `colour`
    /// is used where it is there.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when nothing fits into that size, [`Error::Format`] for parts that do not belong together.
    pub fn render(
        self,
        raster: &Raster,
        head: &[u8],
        colour: Option<&[u8]>,
        size: usize,
    ) -> Result<Vec<u8>, Error> {
        match self.way() {
            Way::Png => png::render(raster, head, colour, size),
            Way::Gif => gif::render(raster, head, size),
            Way::Plain(parser) => layout::render(raster, head, size, parser),
        }
    }
}
