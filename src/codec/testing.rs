//! Help for the tests of codecs: contents and layers in memory, and bytes that look random.

use std::io;

use super::{Codec, CodecError, Content, Effort, LayerSink};
use crate::format::{LayerError, Layers};

/// Content in memory.
#[derive(Debug, Clone)]
pub(crate) struct Bytes(pub Vec<u8>);

impl Content for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let range = self.0.get(start..start + buf.len());
        buf.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Layers in memory: what an encoder writes and a decoder reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MemoryLayers {
    /// The layers that have ended.
    pub layers: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl LayerSink for MemoryLayers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.current.extend_from_slice(bytes);
        Ok(())
    }

    fn end_layer(&mut self) -> io::Result<()> {
        self.layers.push(std::mem::take(&mut self.current));
        Ok(())
    }
}

impl Layers for MemoryLayers {
    fn count(&self) -> usize {
        self.layers.len()
    }

    fn len(&self, layer: usize) -> u64 {
        self.layers.get(layer).map_or(0, |l| l.len() as u64)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let start = usize::try_from(offset).ok();
        let bytes = self.layers.get(layer);
        let range = bytes
            .zip(start)
            .and_then(|(bytes, start)| bytes.get(start..start.checked_add(buf.len())?));
        buf.copy_from_slice(range.ok_or(LayerError::Outside {
            layer,
            offset,
            length: buf.len(),
        })?);
        Ok(())
    }
}

/// Encodes content; what the encoder left open as a layer is an error.
pub(crate) fn encode(
    codec: &dyn Codec,
    content: &[u8],
    effort: Effort,
) -> Result<(Vec<u8>, MemoryLayers), CodecError> {
    let mut layers = MemoryLayers::default();
    let encoded = codec.encode(&Bytes(content.to_vec()), effort, &mut layers)?;
    assert!(layers.current.is_empty(), "the last layer was not ended");
    Ok((encoded.settings, layers))
}

/// Decodes all of an object.
pub(crate) fn decode(
    codec: &dyn Codec,
    settings: &[u8],
    size: usize,
    layers: &MemoryLayers,
) -> Result<Vec<u8>, CodecError> {
    let decoder = codec.open(settings, size as u64, Box::new(layers.clone()))?;
    let mut content = vec![0; size];
    decoder.read_at(0, &mut content)?;
    Ok(content)
}

/// `length` bytes that do not compress, others for each seed (splitmix64).
pub(crate) fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// `length` bytes of lines that compress well.
pub(crate) fn text(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 64);
    for (i, word) in (0..).zip(random(seed, length / 4 + 8).chunks(2).cycle()) {
        if bytes.len() >= length {
            break;
        }
        let number = word.iter().fold(0, |n, b| n * 256 + u32::from(*b));
        let line = format!("{i:06} GET /files/{number}/index.html 200\n");
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes.truncate(length);
    bytes
}
