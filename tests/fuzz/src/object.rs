//! An encoded object in memory, and its form as one input: bytes that a fuzzer can change anywhere.
//!
//! ```text
//! 0       layers that can be read, all others are missing
//! 1       layers, at most 15
//! 2..4    bytes of settings
//! 4..8    bytes of content
//! 8..12   bytes of a shared dictionary
//! 12..    bytes of each layer but the last, u32 each
//! ..      settings, dictionary, layers; the last one takes what is left
//! ```
//!
//! Every input is an object: lengths past the end stand for what is there.

use std::io;
use std::sync::Arc;

use holofs::codec::{Content, LayerSink};
use holofs::coding::hash::Digest;
use holofs::format::{LayerError, Layers};

/// Content in memory.
#[derive(Debug, Clone)]
pub struct Bytes(pub Vec<u8>);

impl Content for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let range = self.0.get(start..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(range.expect("codecs read inside the content"));
        Ok(())
    }
}

/// An object.
#[derive(Debug, Clone, Default)]
pub struct Object {
    /// Layers that can be read.
    pub present: usize,
    /// Settings.
    pub settings: Vec<u8>,
    /// Bytes of content.
    pub size: u64,
    /// A dictionary that files share.
    pub dictionary: Arc<[u8]>,
    /// The layers.
    pub layers: Vec<Vec<u8>>,
}

impl Object {
    /// The object that an input stands for.
    pub fn parse(input: &[u8]) -> Option<Self> {
        let (&[present, count, s0, s1], rest) = input.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (dictionary, mut rest) = rest.split_first_chunk()?;
        let count = usize::from(count & 15);
        let mut lengths = vec![usize::from(u16::from_le_bytes([s0, s1]))];
        lengths.push(length(*dictionary));
        for _ in 1..count {
            let (layer, after) = rest.split_first_chunk()?;
            lengths.push(length(*layer));
            rest = after;
        }
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for length in lengths {
            let (part, after) = rest.split_at(length.min(rest.len()));
            parts.push(part.to_vec());
            rest = after;
        }
        if count > 0 {
            parts.push(rest.to_vec());
        }
        let layers = parts.split_off(2);
        let dictionary = parts.pop()?.into();
        Some(Self {
            present: usize::from(present),
            settings: parts.pop()?,
            size: u32::from_le_bytes(*size).into(),
            dictionary,
            layers,
        })
    }

    /// The input that stands for the object.
    pub fn to_input(&self) -> Vec<u8> {
        let long = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let settings = u16::try_from(self.settings.len()).unwrap_or(u16::MAX);
        let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        let mut out = vec![small(self.present), small(self.layers.len())];
        out.extend(settings.to_le_bytes());
        out.extend(long(usize::try_from(self.size).unwrap_or(usize::MAX)));
        out.extend(long(self.dictionary.len()));
        for layer in self.layers.iter().rev().skip(1).rev() {
            out.extend(long(layer.len()));
        }
        out.extend(&self.settings);
        out.extend(&*self.dictionary);
        out.extend(self.layers.concat());
        out
    }
}

fn length(bytes: [u8; 4]) -> usize {
    u32::from_le_bytes(bytes) as usize
}

impl LayerSink for Object {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> io::Result<()> {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, Vec::new());
        }
        self.layers[layer].extend_from_slice(bytes);
        Ok(())
    }
}

impl Layers for Object {
    fn count(&self) -> usize {
        self.layers.len()
    }

    fn len(&self, layer: usize) -> u64 {
        self.layers.get(layer).map_or(0, |layer| layer.len() as u64)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let length = buf.len();
        let outside = LayerError::Outside {
            layer,
            offset,
            length,
        };
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| self.layers.get(layer)?.get(start..)?.get(..length));
        let Some(range) = range else {
            return Err(outside);
        };
        if layer >= self.present {
            let (have, need) = (0, 1);
            return Err(LayerError::Missing {
                layer,
                offset,
                have,
                need,
            });
        }
        buf.copy_from_slice(range);
        Ok(())
    }

    fn dictionary(&self, id: &Digest) -> Result<Arc<[u8]>, LayerError> {
        if *id == Digest::of(&self.dictionary) {
            return Ok(Arc::clone(&self.dictionary));
        }
        Err(LayerError::Dictionary { id: *id })
    }
}
