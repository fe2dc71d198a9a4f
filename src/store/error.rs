//! The store's errors: what a caller can act on, and what the medium said.

use std::io;
use std::path::PathBuf;

use crate::codec::CodecError;
use crate::format::FormatError;

/// Result of store operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The medium refused; the code is passed on as it is.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No such name or inode.
    #[error("no such file or directory")]
    NotFound,
    /// The name is taken.
    #[error("file exists")]
    Exists,
    /// A directory is needed.
    #[error("not a directory")]
    NotDirectory,
    /// Not possible for a directory.
    #[error("is a directory")]
    IsDirectory,
    /// The directory has entries.
    #[error("directory not empty")]
    NotEmpty,
    /// The name, escaped for the store, is over 255 bytes.
    #[error("file name too long")]
    NameTooLong,
    /// The store or this view is read-only.
    #[error("read-only file system")]
    ReadOnly,
    /// Reserved for holofs, or shown read-only.
    #[error("operation not permitted")]
    Denied,
    /// The names are on different filesystems.
    #[error("another file system is mounted inside")]
    CrossDevice,
    /// An argument makes no sense.
    #[error("invalid argument")]
    Invalid,
    /// No such extended attribute.
    #[error("no such attribute")]
    NoData,
    /// Not supported for this file.
    #[error("operation not supported")]
    Unsupported,
    /// No data or hole past this offset (lseek).
    #[error("no such offset")]
    NoOffset,
    /// The content cannot be proved: too little of it is left.
    #[error("{}{what}", prefix(.name))]
    Damaged {
        /// The logical name, or empty where only the caller knows it.
        name: String,
        /// What is missing.
        what: String,
    },
    /// Bytes on disk that are not in our format.
    #[error("{name}: {source}")]
    Format {
        /// The file.
        name: String,
        /// What is wrong.
        source: FormatError,
    },
    /// The directory is no store (or is not there).
    #[error("{}: {what}", path.display())]
    NoStore {
        /// What was asked for.
        path: PathBuf,
        /// What is there instead.
        what: String,
    },
    /// Another process has the store open for writing.
    #[error("{}: in use by {holder}", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// The store was made by a newer program.
    #[error("{}: {what}", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its version.
        what: String,
    },
    /// store.toml has errors.
    #[error("{}: {what}", path.display())]
    Policy {
        /// The policy file.
        path: PathBuf,
        /// Line and reason.
        what: String,
    },
}

impl Error {
    /// Whether it says that a name or a file is not there (any more).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NotFound => true,
            Self::Io(e) => e.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// "name: ", or nothing.
fn prefix(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!("{name}: ")
    }
}

impl From<CodecError> for Error {
    fn from(e: CodecError) -> Self {
        match e {
            CodecError::Io(e) => Self::Io(e),
            other => Self::Damaged {
                name: String::new(),
                what: other.to_string(),
            },
        }
    }
}
