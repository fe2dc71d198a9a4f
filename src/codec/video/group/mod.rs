//! Groups of frames to layers and back: what the video codec does with the samples.
//!
//! **Terms.** A *group* is up to [`MOST`] frames that are coded together and decode without any others. Its frames are
//! told apart into *scenes*, in which each resembles the one before it. One frame of a scene is *still*: it is coded
//! like a picture, with the 5/3 wavelet. The others are *moved*: predicted from up to two frames of the scene
//! ([`crate::coding::motion`], times a gain), and what remains is coded as it is, a band for each plane. No wavelet:
//! what is left of a good prediction is mostly noise, and a wavelet makes it longer (by 3 %, previews too).
//!
//! **Orders.** *Between*: the still frame is in the middle, from there every second frame is predicted from the one
//! before it on the way outwards, then those between from both sides. *Chain*: each from the two before it. The first
//! is better for previews, since fewer errors add up; the second where frames are copies of the one before.
//!
//! **Prediction is open**: what remains is taken against exact references. With layers missing the references are
//! softer, and errors of a reference go on into the frames predicted from it; therefore the bands of a frame weigh as
//! much as its errors are long in all frames together. A *field* of motion costs much where it is readable from one
//! chunk: layers before the *fine* one use a field of 32x32 samples a block, made of the fine one.
//!
//! **A part** of the group for a layer:
//! ```text
//! layer 0      length of the head (u32), the head, bands
//! fine layer   length of the fine fields (u32), these, bands; where it is layer 0 they are in the head
//! others       bands
//! ```
//! The head is a stream of [`crate::coding::binary`]: for each frame whether it continues the scene of the one before,
//! and if not the number of its scene (4 raw bits); for each scene its order; the fine layer (4 bits) and a cut for
//! each preview (16 bits) if there are any; then for each step whether it is moved, where it may be, its gains in
//! 16ths (5 bits per plane), and its field. Bands are those of [`crate::coding::bands`], in the order of the steps.

mod cuts;
mod encode;
mod frames;
mod head;
mod layout;
mod schedule;

use crate::coding::bands;
use crate::coding::motion::Size;

pub use encode::{Coded, encode};

/// The most frames of a group.
pub const MOST: usize = 16;
/// The most previews.
pub const PREVIEWS: usize = 8;

/// Planes that errors are measured in.
const COLOURS: usize = 3;

/// The planes of a frame, row by row.
pub type Planes = Vec<Vec<u16>>;

/// Sizes and range of the planes of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The planes: luma, chroma, opacity; at most four.
    pub planes: Vec<Size>,
    /// The greatest sample.
    pub max: u16,
}

impl Shape {
    /// Samples of a frame.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.planes.iter().map(|p| p.width * p.height).sum()
    }

    /// Samples of a frame that errors are measured in: all but opacity.
    #[must_use]
    pub fn counted(&self) -> usize {
        let planes = self.planes.iter().take(COLOURS);
        planes.map(|p| p.width * p.height).sum()
    }

    /// Half of the range.
    fn middle(&self) -> i32 {
        i32::from(self.max / 2) + 1
    }
}

/// Why a group could not be coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The parts are not what the encoder writes.
    #[error("a group of frames: {0}")]
    Format(&'static str),
    /// Nor the bands.
    #[error("a group of frames: {0}")]
    Bands(#[from] bands::Error),
}

/// Decodes `count` frames from the group's parts of the first layers of `previews + 1`, at least one; exactly from all.
///
/// Memory is about 15 bytes per sample of the group.
///
/// # Errors
/// [`Error`] for parts that the encoder did not write.
pub fn decode(
    shape: &Shape,
    count: usize,
    previews: usize,
    parts: &[&[u8]],
) -> Result<Vec<Planes>, Error> {
    if count > MOST || previews > PREVIEWS || parts.len() > previews + 1 {
        return Err(Error::Format("too many frames or layers"));
    }
    let mut parts = parts.to_vec();
    let first = parts.first_mut().ok_or(Error::Format("no layers"))?;
    let head = counted(first)?;
    let mut head = head::Head::parse(head, shape, count, previews);
    if let Some(part) = parts.get_mut(head.fine).filter(|_| head.fine > 0) {
        head.refine(counted(part)?, shape);
    }
    let layout = layout::layout(shape, &head.steps)?;
    let plan = bands::Plan::from_cuts(&layout, &head.cuts);
    let values = bands::decode(&layout, &plan, &parts, None)?;
    Ok(frames::restore(shape, &head.steps, values))
}

/// Takes a piece off the front that begins with its length.
fn counted<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let split = bytes.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        rest.split_at_checked(length)
    });
    let (piece, rest) = split.ok_or(Error::Format("a part ends early"))?;
    *bytes = rest;
    Ok(piece)
}
