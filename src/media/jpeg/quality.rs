//! What errors in the components do to the colours that are shown.

use super::{Colour, Frame};

/// How much an error in each component counts in the colours that are shown, in 1/1024: the mean squared error of all
/// colour samples is the sum over the components of weight times mean squared error (ITU-T T.871 clause 7 inverted).
#[must_use]
pub fn colour_weights(frame: &Frame) -> [u32; 4] {
    // (0.344^2 + 1.772^2) / 3 and (1.402^2 + 0.714^2) / 3.
    const CB: u32 = 1112;
    const CR: u32 = 845;
    match frame.colour() {
        Colour::Grey => [1024, 1, 1, 1],
        Colour::YCbCr => [1024, CB, CR, 1],
        Colour::Rgb => [341, 341, 341, 1],
        Colour::Ycck => [768, CB * 3 / 4, CR * 3 / 4, 256],
        Colour::Cmyk => [256; 4],
        Colour::Other => [512; 4],
    }
}
