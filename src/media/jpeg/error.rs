//! Why a file is not taken apart, or not written.

/// What can be wrong with bytes that claim to be a JPEG.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JpegError {
    /// The bytes are not a JPEG, or are damaged where nothing can be saved.
    #[error("{what} at byte {offset}")]
    Format {
        /// What is wrong.
        what: &'static str,
        /// Where, from the beginning of the file or of the recipe's piece.
        offset: usize,
    },
    /// A JPEG of a kind that is not taken apart; the text names the feature.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// A number exceeds a limit of this program.
    #[error("{what} is {value}, more than the limit {limit}")]
    Limit {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// The coefficients cannot be written with the recipe's tables: they are not those the recipe was made with.
    #[error("the coefficients do not fit the recipe: {0}")]
    Mismatch(&'static str),
}
