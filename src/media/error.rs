//! What can be wrong with a picture or a recipe.

/// Why a container cannot be taken apart, written or rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not what they claim to be; the text says what was met.
    #[error("{0}")]
    Format(&'static str),
    /// A form of the format that is not taken apart.
    #[error("{0}")]
    Unsupported(&'static str),
    /// More than [`super::raster::MAX_SAMPLES`] or another documented limit.
    #[error("too large: {0}")]
    Limit(&'static str),
    /// No valid file of that size shows the picture.
    #[error("no room for a picture in {0} bytes")]
    NoRoom(usize),
}

impl From<super::deflate::Error> for Error {
    fn from(error: super::deflate::Error) -> Self {
        use super::deflate::Error as Deflate;
        match error {
            Deflate::End => Self::Format("the deflate stream ends early"),
            Deflate::Format(what) => Self::Format(what),
            Deflate::Limit(what) => Self::Limit(what),
        }
    }
}
