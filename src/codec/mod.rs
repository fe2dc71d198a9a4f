//! The codec contract: a codec turns a file's content into layers and back, and knows nothing else.
//!
//! A codec is pure and deterministic: the same content, settings and effort give the same layer bytes on every
//! machine, thread count and instruction set; decoding gives the same content. It never sees names, disks or the
//! kernel. Layers are spooled: they may be written in turns, segment after segment of a content of any length.
//! A decoder verifies what it returns: bytes it cannot prove are an error or are declared degraded, never silent.

pub mod audio;
mod coarse;
mod first;
pub mod guard;
pub mod image;
pub mod jpeg;
mod psnr;
mod segments;
pub mod stored;
pub mod template;
pub mod thumbnail;
pub mod video;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::coding::hash::Digest;
use crate::format::{LayerError, Layers};
pub use first::First;

/// Number of a codec in descriptors; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodecId(pub u16);

/// How much work an encoder may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Effort {
    /// Fastest useful setting.
    Fast,
    /// The default.
    #[default]
    Normal,
    /// Slow codecs for what is rarely read.
    Archive,
}

/// A dictionary that files share. Never changed: another one has another id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dictionary {
    /// The BLAKE3 of its bytes.
    pub id: Digest,
    /// What the codec made of samples.
    pub bytes: Arc<[u8]>,
}

/// What a codec is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request<'a> {
    /// How much work may be spent.
    pub effort: Effort,
    /// Layers that show the content at lower quality, before the one that makes it exact. Media codecs write this
    /// many and one more, or one layer only where there is nothing to see; empty layers are allowed. Other codecs
    /// take no notice.
    pub previews: usize,
    /// Dictionaries that may be used, the likeliest first.
    pub dictionaries: &'a [Dictionary],
    /// What other files hold, the likeliest first; it can be read by [`Layers::base`] for ever after.
    pub bases: &'a [Arc<template::Base>],
    /// An earlier version of the content, whose parts may be taken over where they hold the same.
    pub previous: Option<&'a Previous>,
}

/// What a codec has made of an earlier version of a content.
pub struct Previous {
    /// Its settings.
    pub settings: Vec<u8>,
    /// The earlier version's size.
    pub size: u64,
    /// Its layers.
    pub layers: Arc<dyn Layers>,
}

impl PartialEq for Previous {
    fn eq(&self, other: &Self) -> bool {
        (&self.settings, self.size) == (&other.settings, other.size)
            && Arc::ptr_eq(&self.layers, &other.layers)
    }
}

impl Eq for Previous {}

impl fmt::Debug for Previous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Previous");
        out.field("size", &self.size).finish_non_exhaustive()
    }
}

/// What a file holds, as far as losing sharpness is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// A still picture.
    Image,
    /// Sound.
    Sound,
    /// Moving pictures.
    Video,
    /// Anything else: exact or nothing.
    Other,
}

/// First bytes of a file that [`suited`] wants; a shorter file is given whole.
pub const HEAD: usize = 64;

/// The content to encode, readable at any offset.
pub trait Content: Send + Sync {
    /// Size in bytes.
    fn size(&self) -> u64;
    /// Fills `buf` from byte `offset`; the range lies inside the content.
    ///
    /// # Errors
    /// Whatever the medium reports, also `UnexpectedEof` when the content shrank meanwhile.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl Content for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = at.checked_add(buf.len()).and_then(|end| self.get(at..end));
        buf.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Takes the layers of an object: each grows at its end, whichever is written to next.
pub trait LayerSink {
    /// Appends bytes to a layer.
    ///
    /// # Errors
    /// Whatever the medium reports; the encoder stops then.
    fn write(&mut self, layer: usize, bytes: &[u8]) -> io::Result<()>;
    /// Whether the work should be dropped (unmount, the file was opened for writing).
    fn cancelled(&self) -> bool {
        false
    }
}

/// Why a codec did not encode or decode.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not for this codec, or no gain; the text is recorded and shown by `why`.
    #[error("{0}")]
    Declined(String),
    /// [`LayerSink::cancelled`] was true.
    #[error("cancelled")]
    Cancelled,
    /// The settings or layers are not what this codec writes; the text says what and where.
    #[error("{0}")]
    Format(String),
    /// The bytes decode, but not to what was stored.
    #[error("decoded bytes {offset}..+{length} do not match their hash")]
    Mismatch {
        /// First byte of the piece, in the content.
        offset: u64,
        /// Its length.
        length: u64,
    },
    /// Layers are missing.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a read returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// Proved byte for byte.
    Exact,
    /// From fewer layers than exact needs; the number of layers used.
    Degraded(usize),
}

impl Quality {
    /// The worse of two.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exact, quality) | (quality, Self::Exact) => quality,
            (Self::Degraded(a), Self::Degraded(b)) => Self::Degraded(a.min(b)),
        }
    }
}

/// What `encode` leaves for the descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Codec settings, needed to decode; at most 64 KiB.
    pub settings: Vec<u8>,
    /// Layers that were written, empty ones at the end included.
    pub layers: usize,
}

/// A codec.
pub trait Codec: fmt::Debug + Send + Sync {
    /// Its number in descriptors.
    fn id(&self) -> CodecId;
    /// Its name in policy, status and `why`.
    fn name(&self) -> &'static str;
    /// Encodes `content` into `sink`, in memory that does not grow with the content.
    ///
    /// # Errors
    /// [`CodecError::Declined`] when the content is not for it; the caller falls back.
    fn encode(
        &self,
        content: &dyn Content,
        request: Request<'_>,
        sink: &mut dyn LayerSink,
    ) -> Result<Encoded, CodecError>;
    /// What it holds.
    fn medium(&self) -> Medium {
        Medium::Other
    }
    /// Whether a file that begins with these bytes ([`HEAD`] of them) is for it; what is not may still be declined.
    fn suits(&self, _head: &[u8]) -> bool {
        false
    }
    /// Quality with this many of the layers, in dB: PSNR of pictures, SNR of sound, estimated when they were encoded.
    /// `None` where that says nothing: all layers are there, or none is of use.
    fn quality(&self, _settings: &[u8], _layers: usize) -> Option<f64> {
        None
    }
    /// A dictionary for files like these samples, at most 4 MiB; `None` where they have nothing in common, this codec
    /// knows no dictionaries, or `cancelled` says so.
    fn learn(
        &self,
        _samples: &[u8],
        _effort: Effort,
        _cancelled: &dyn Fn() -> bool,
    ) -> Option<Vec<u8>> {
        None
    }

    /// The dictionaries and bases that content with these settings cannot be read without; each is read by
    /// [`Layers::dictionary`] or [`Layers::base`].
    fn dictionaries(&self, _settings: &[u8]) -> Vec<Digest> {
        Vec::new()
    }

    /// Opens layers for reading. `size` is the content's size from the descriptor.
    ///
    /// # Errors
    /// [`CodecError::Format`] when settings or layer lengths do not fit together.
    fn open<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Box<dyn Decoder + 'a>, CodecError>;
    /// A small picture of the content, of sound its waveform, as a PNG of at most [`thumbnail::MOST`] bytes, from the
    /// first layer alone: what file managers show. `size` is the content's size. `None` where there is nothing to see.
    ///
    /// # Errors
    /// Those of [`Codec::open`] and [`Decoder::read_at`].
    fn preview<'a>(
        &self,
        _settings: &[u8],
        _size: u64,
        _layers: Box<dyn Layers + 'a>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        Ok(None)
    }
}

/// Reads the content of one encoded object at any offset.
pub trait Decoder: Send + Sync {
    /// Fills `buf` from byte `offset`; the range lies inside the content. Work and memory are bounded by the
    /// range plus one segment at either end.
    ///
    /// # Errors
    /// [`CodecError::Layer`] when too little is left, [`CodecError::Mismatch`] when decoded bytes are not those stored.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, CodecError>;
    /// The range of content that is decoded together with byte `offset`, which lies in the content: reads of whole
    /// segments do no work twice.
    fn segment(&self, offset: u64) -> Range<u64>;

    /// Where the bytes from `offset` on already were earlier in the content, and for how many bytes: what was found out
    /// about those holds for these. `None` where nothing is known.
    ///
    /// # Errors
    /// Those of [`Decoder::read_at`].
    fn earlier(&self, _offset: u64) -> Result<Option<(u64, u64)>, CodecError> {
        Ok(None)
    }
}

/// The codec made for files that begin with these bytes; `None`: the general one.
#[must_use]
pub fn suited(head: &[u8]) -> Option<&'static dyn Codec> {
    all().find(|codec| codec.suits(head))
}

/// The codec with this number.
#[must_use]
pub fn by_id(id: CodecId) -> Option<&'static dyn Codec> {
    all().find(|codec| codec.id() == id)
}

/// The codec with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Codec> {
    all().find(|codec| codec.name() == name)
}

const ALL: &[&dyn Codec] = &[
    &stored::Stored,
    &image::Image,
    &jpeg::JpegCodec,
    &audio::Audio,
    &video::Video,
    &template::Template,
];

/// All codecs, and in tests those for them first, whose files would suit others as well.
fn all() -> impl Iterator<Item = &'static dyn Codec> {
    let more: &[&'static dyn Codec] = &[
        #[cfg(test)]
        &testing::Steps,
        #[cfg(test)]
        &testing::Rows,
    ];
    more.iter().chain(ALL).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
pub(crate) mod testing;
