//! A net under decoders: one that panics costs its own file an error, not the daemon a thread.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Codec, CodecError, Decoder, Quality};
use crate::format::Layers;

/// Opens layers for reading as [`Codec::open`] does; a panic of the codec, then or later, is [`CodecError::Format`].
///
/// # Errors
/// Those of [`Codec::open`].
pub fn open<'a>(
    codec: &dyn Codec,
    settings: &[u8],
    size: u64,
    layers: Box<dyn Layers + 'a>,
) -> Result<Box<dyn Decoder + 'a>, CodecError> {
    let name = codec.name();
    let decoder = caught(name, || codec.open(settings, size, layers))?;
    Ok(Box::new(Guarded {
        name,
        decoder,
        size,
    }))
}

/// A preview as [`Codec::preview`] makes it; a panic of the codec is [`CodecError::Format`].
///
/// # Errors
/// Those of [`Codec::preview`].
pub fn preview<'a>(
    codec: &dyn Codec,
    settings: &[u8],
    size: u64,
    layers: Box<dyn Layers + 'a>,
) -> Result<Option<Vec<u8>>, CodecError> {
    caught(codec.name(), || codec.preview(settings, size, layers))
}

struct Guarded<'a> {
    name: &'static str,
    decoder: Box<dyn Decoder + 'a>,
    size: u64,
}

/// Whatever a decoder left half done is dropped with its error or read no more: nothing broken is looked at.
fn caught<T>(name: &str, work: impl FnOnce() -> Result<T, CodecError>) -> Result<T, CodecError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(CodecError::Format(format!("{name}: the decoder failed"))))
}

impl Decoder for Guarded<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, CodecError> {
        caught(self.name, || self.decoder.read_at(offset, buf))
    }

    fn segment(&self, offset: u64) -> Range<u64> {
        let found = caught(self.name, || Ok(self.decoder.segment(offset)));
        found.unwrap_or(offset..offset.saturating_add(1).min(self.size))
    }

    fn earlier(&self, offset: u64) -> Result<Option<(u64, u64)>, CodecError> {
        caught(self.name, || self.decoder.earlier(offset))
    }
}

impl fmt::Debug for Guarded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guarded").field(&self.name).finish()
    }
}
