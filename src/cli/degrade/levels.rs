//! A content in layers in memory, and what it is when only some of its chunks are left.

use std::io;

use crate::codec::{self, Codec, CodecError, Content, LayerSink, Medium, Quality, Request};
use crate::format::{LayerError, LayerSpec, Layers};
use crate::hologram::Profile;

/// Content in memory.
struct Bytes<'a>(&'a [u8]);

impl Content for Bytes<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.copy_from_slice(part(self.0, offset, buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// `length` bytes from `offset`.
fn part(bytes: &[u8], offset: u64, length: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(length)?)
}

/// Takes what an encoder writes.
struct Taking<'a> {
    layers: Vec<Vec<u8>>,
    cancelled: &'a dyn Fn() -> bool,
}

impl LayerSink for Taking<'_> {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> io::Result<()> {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, Vec::new());
        }
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn cancelled(&self) -> bool {
        (self.cancelled)()
    }
}

/// Why there are no levels.
#[derive(Debug)]
pub(super) enum NoLevels {
    /// The content is not of a kind that gets softer.
    NoMedium,
    /// The codec made for it does not take it, or failed.
    Codec(CodecError),
}

/// A content in layers.
#[derive(Debug)]
pub(super) struct Levels {
    pub(super) codec: &'static dyn Codec,
    settings: Vec<u8>,
    size: u64,
    /// Chunks that each layer needs.
    pub(super) specs: Vec<LayerSpec>,
    layers: Vec<Vec<u8>>,
}

impl Levels {
    /// Encodes a content as a store with this profile would.
    pub(super) fn of(
        content: &[u8],
        profile: Profile,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, NoLevels> {
        let head = content.get(..codec::HEAD).unwrap_or(content);
        let codec = codec::suited(head).filter(|codec| codec.medium() != Medium::Other);
        let codec = codec.ok_or(NoLevels::NoMedium)?;
        let mut sink = Taking {
            layers: Vec::new(),
            cancelled,
        };
        let request = Request {
            previews: profile.previews(),
            ..Request::default()
        };
        let encoded = codec.encode(&Bytes(content), request, &mut sink);
        let encoded = encoded.map_err(NoLevels::Codec)?;
        sink.layers.resize(encoded.layers, Vec::new());
        let lengths: Vec<u64> = sink.layers.iter().map(|layer| layer.len() as u64).collect();
        Ok(Self {
            codec,
            settings: encoded.settings,
            size: content.len() as u64,
            specs: profile.layers(&lengths),
            layers: sink.layers,
        })
    }

    /// The content as so many chunks give it, and the number of layers it is made from.
    pub(super) fn with(&self, chunks: u8) -> Result<(Vec<u8>, usize), CodecError> {
        let left = First {
            levels: self,
            chunks,
        };
        let size = usize::try_from(self.size).map_err(|_| io::ErrorKind::OutOfMemory);
        let mut content = vec![0; size.map_err(io::Error::from)?];
        let decoder = self.codec.open(&self.settings, self.size, Box::new(left))?;
        let used = match decoder.read_at(0, &mut content)? {
            Quality::Exact => self.layers.len(),
            Quality::Degraded(layers) => layers,
        };
        Ok((content, used))
    }

    /// Quality of so many layers in dB.
    pub(super) fn quality(&self, layers: usize) -> Option<f64> {
        self.codec.quality(&self.settings, layers)
    }
}

/// The layers that a number of chunks is enough for.
struct First<'a> {
    levels: &'a Levels,
    chunks: u8,
}

impl Layers for First<'_> {
    fn count(&self) -> usize {
        self.levels.layers.len()
    }

    fn len(&self, layer: usize) -> u64 {
        let layer = self.levels.layers.get(layer);
        layer.map_or(0, |layer| layer.len() as u64)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let bytes = self.levels.layers.get(layer);
        let bytes = bytes.and_then(|bytes| part(bytes, offset, buf.len()));
        let bytes = bytes.ok_or(LayerError::Outside {
            layer,
            offset,
            length: buf.len(),
        })?;
        let need = self.levels.specs.get(layer).map_or(u8::MAX, |spec| spec.k);
        if need > self.chunks && !bytes.is_empty() {
            return Err(LayerError::Missing {
                layer,
                offset,
                have: self.chunks.into(),
                need: need.into(),
            });
        }
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::codec::testing::{STEPS, random, step};

    fn levels(profile: Profile) -> (Vec<u8>, Levels) {
        let content = [STEPS, &random(1, 500)].concat();
        let levels = Levels::of(&content, profile, &|| false).unwrap();
        (content, levels)
    }

    #[test]
    fn more_chunks_give_more_of_it() {
        for (profile, firsts) in [
            (Profile::Standard, [1, 4, 8, 12, 14]),
            (Profile::Strong, [1, 3, 6, 10, 12]),
            (Profile::of(1, 2).unwrap(), [1, 1, 1, 1, 1]),
        ] {
            let (content, levels) = levels(profile);
            for chunks in 1..=profile.chunks() {
                let used = firsts.iter().filter(|first| **first <= chunks).count();
                let shown = if used == 5 {
                    content.clone()
                } else {
                    step(&content, used - 1)
                };
                assert_eq!(levels.with(chunks).unwrap(), (shown, used), "{chunks}");
            }
        }
        let (_, levels) = levels(Profile::Standard);
        assert_eq!(levels.quality(3), Some(30.0));
        assert_eq!(levels.quality(5), None);
    }

    #[test]
    fn what_has_one_level_is_there_or_not() {
        let profile = Profile::of(1, 1).unwrap();
        let (content, levels) = levels(profile);
        assert_eq!(levels.with(1).unwrap(), (content, 1));
        assert!(matches!(levels.with(0), Err(CodecError::Layer(_))));
    }

    #[test]
    fn what_cannot_be_encoded_says_why() {
        let refused = |content: &[u8], stop| Levels::of(content, Profile::Standard, &|| stop);
        for content in [&b"text"[..], b"", &[0; 5000]] {
            let refused = refused(content, false);
            assert!(matches!(refused, Err(NoLevels::NoMedium)));
        }
        let codec = |refused: Result<Levels, NoLevels>| match refused.unwrap_err() {
            NoLevels::Codec(e) => e.to_string(),
            NoLevels::NoMedium => String::new(),
        };
        assert_eq!(codec(refused(STEPS, false)), "an empty row");
        let row = [STEPS, b"row"].concat();
        assert_eq!(codec(refused(&row, true)), "cancelled");
    }
}
