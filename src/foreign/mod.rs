//! Other programs' formats, recognised by content and shown read-only; templates are also written.
//!
//! A thing from elsewhere is one file or one directory of files; the store reads its first bytes, asks
//! [`recognise`] what it is and [`open`]s it. Names decide nothing: chunks keep their numbers in their headers.
//! All input is hostile: lengths are checked before anything is allocated, errors name file and offset.

pub mod hoau;
pub mod hobi;
pub mod hoch;
pub mod holo;
mod kept;
pub mod nfr;
pub mod sealgate;
#[cfg(test)]
mod testing;

use std::fmt;
use std::io;

/// How many first bytes of each file [`recognise`] wants; shorter files are given whole. The tables of codes that a
/// compressed file may begin with have up to 600.
pub const HEAD: usize = 1024;

/// What lies on the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// One file: a single part.
    File,
    /// A directory: its regular files are the parts, in the order of their names.
    Directory,
}

/// The files that a thing from elsewhere consists of.
pub trait Parts: fmt::Debug + Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;
    /// The name of a part, for errors.
    fn name(&self, part: usize) -> String;
    /// Size of a part in bytes.
    fn size(&self, part: usize) -> u64;
    /// Fills `buf` from byte `offset` of a part.
    ///
    /// # Errors
    /// Whatever the medium reports, `UnexpectedEof` past the end.
    fn read_at(&self, part: usize, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A chunk directory of Holo.Codec that holds any file ([`hobi`]).
    HoloBinary,
    /// A chunk directory of Holo.Codec that holds a picture ([`hoch`]).
    HoloImage,
    /// A chunk directory of Holo.Codec that holds sound ([`hoau`]).
    HoloSound,
    /// A chunk directory of Holo.Codec version 3: known, so that it can be said why it is not shown.
    HoloTransform,
    /// A template of `SealGate` ([`sealgate`]).
    Template,
    /// Weights of a film of NFR v4 ([`nfr`]).
    Film,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HoloBinary => write!(f, "Holo.Codec binary"),
            Self::HoloImage => write!(f, "Holo.Codec picture"),
            Self::HoloSound => write!(f, "Holo.Codec sound"),
            Self::HoloTransform => write!(f, "Holo.Codec version 3"),
            Self::Template => write!(f, "SealGate template"),
            Self::Film => write!(f, "NFR weights"),
        }
    }
}

/// What becomes of samples that lie beyond their range once chunks are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sums {
    /// They are wrapped, as the encoder has wrapped them: what comes out is what was encoded.
    #[default]
    Wrapped,
    /// They are clipped, as the original program does: loud samples of such a sound are lost.
    Clipped,
}

/// How things are read whose formats leave a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Choice<'a> {
    /// For sound.
    pub sums: Sums,
    /// For what has variants: the name of the context; the default one when absent.
    pub context: Option<&'a str>,
}

/// Why something from elsewhere cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The bytes are not what the format says.
    #[error("{name}: {what} at byte {offset}")]
    Format {
        /// The file.
        name: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A version or feature that this reader does not know.
    #[error("{name}: {what}")]
    Unsupported {
        /// The file.
        name: String,
        /// Which one.
        what: String,
    },
    /// The files do not belong together.
    #[error("{0}")]
    Mixed(String),
    /// Too little is left; the text says what is missing.
    #[error("{0}")]
    Damaged(String),
    /// A number in the headers exceeds a limit of this program.
    #[error("{what} is {value}, more than the limit {limit}")]
    Limit {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a reader gives is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quality {
    /// The content as it was encoded, as far as the format can tell.
    Exact,
    /// A whole and valid file of the same size, made of what is left; the text says what is missing.
    Degraded(String),
}

/// Chunks of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Usable now, as far as the headers tell.
    pub have: u32,
    /// Needed for exact content.
    pub need: u32,
    /// Made.
    pub total: u32,
}

/// A thing from elsewhere, open for reading as the file it holds.
pub trait Reader: fmt::Debug + Send + Sync {
    /// Size in bytes of the file it holds; known from the headers, also where the content is damaged: the same
    /// whatever is left of it.
    fn size(&self) -> u64;
    /// What the name that it is shown under ends in, `.png` for instance: appended where the name does not. Empty
    /// where the name is complete.
    fn suffix(&self) -> &'static str;
    /// How many chunks there are, where the format has such.
    fn chunks(&self) -> Option<Chunks>;
    /// Names of the contexts that there are variants of the file for; none where the format has no such thing.
    fn contexts(&self) -> &[String] {
        &[]
    }
    /// Bytes of memory that it takes to keep it open, where opening it is so expensive that this is worth while: it holds
    /// nothing else then.
    fn worth_keeping(&self) -> Option<usize> {
        None
    }
    /// What reads will give, as far as the headers tell.
    ///
    /// # Errors
    /// What reads will fail with.
    fn check(&self) -> Result<Quality, ForeignError>;
    /// Reads and checks all that is stored; as a read it may decode the whole file and keep it.
    ///
    /// # Errors
    /// What reads fail with.
    fn verify(&self) -> Result<Quality, ForeignError>;
    /// Fills `buf` from byte `offset`, and says what the bytes are worth; the range lies inside the file. The first
    /// read may decode the whole file and keep it for as long as the reader lives.
    ///
    /// # Errors
    /// [`ForeignError::Damaged`] where what is left gives no file at all.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, ForeignError>;
}

/// Suffixes of all formats ([`Reader::suffix`]).
pub const SUFFIXES: &[&str] = &[".png", ".wav", ".y4m"];

/// What the files with these first [`HEAD`] bytes are, if it is something that can be read. Strangers among the
/// files of a directory do not matter.
#[must_use]
pub fn recognise(form: Form, heads: &[impl AsRef<[u8]>]) -> Option<Kind> {
    let any = |magic: &[u8]| heads.iter().any(|head| head.as_ref().starts_with(magic));
    let either = |magic: &[u8]| {
        let mut heads = heads.iter().map(AsRef::as_ref);
        heads.any(|head| head.starts_with(magic) && !holo::is_transform(head))
    };
    match form {
        Form::Directory if any(hobi::MAGIC) => Some(Kind::HoloBinary),
        Form::Directory if either(hoch::MAGIC) => Some(Kind::HoloImage),
        Form::Directory if either(hoau::MAGIC) => Some(Kind::HoloSound),
        Form::Directory if heads.iter().any(|head| holo::is_transform(head.as_ref())) => {
            Some(Kind::HoloTransform)
        }
        Form::File if matches!(heads, [head] if sealgate::is_template(head.as_ref())) => {
            Some(Kind::Template)
        }
        Form::File if matches!(heads, [head] if nfr::is_weights(head.as_ref())) => Some(Kind::Film),
        Form::Directory | Form::File => None,
    }
}

/// Opens a recognised thing; reads headers only, of a template all but what it expands to.
///
/// # Errors
/// [`ForeignError`] where not even the size of the file it holds can be told.
pub fn open(
    kind: Kind,
    parts: Box<dyn Parts>,
    choice: Choice<'_>,
) -> Result<Box<dyn Reader>, ForeignError> {
    match kind {
        Kind::HoloBinary => Ok(Box::new(hobi::Binary::open(parts)?)),
        Kind::HoloImage => Ok(Box::new(hoch::Image::open(parts)?)),
        Kind::HoloSound => Ok(Box::new(hoau::Sound::open(parts, choice.sums)?)),
        Kind::HoloTransform => Err(holo::refuse_transform(&*parts)),
        Kind::Template => {
            let context = choice.context.unwrap_or(sealgate::DEFAULT);
            Ok(Box::new(sealgate::Template::open_in(&*parts, context)?))
        }
        Kind::Film => Ok(Box::new(nfr::Film::open(&*parts)?)),
    }
}
