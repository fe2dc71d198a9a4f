//! Help for the tests of codecs: contents and layers in memory, and bytes that look random.

use std::io;
use std::ops::Range;

use super::thumbnail::Picture;
use super::{
    Codec, CodecError, CodecId, Content, Decoder, Effort, Encoded, LayerSink, Medium, Quality,
    Request, segments,
};
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
    /// The layers, as far as something was written to them.
    pub layers: Vec<Vec<u8>>,
}

impl LayerSink for MemoryLayers {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> io::Result<()> {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, Vec::new());
        }
        self.layers.get_mut(layer).unwrap().extend_from_slice(bytes);
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

/// Encodes content as one layer; what the encoder left open as a layer is an error.
pub(crate) fn encode(
    codec: &dyn Codec,
    content: &[u8],
    effort: Effort,
) -> Result<(Vec<u8>, MemoryLayers), CodecError> {
    let previews = 0;
    encode_for(
        codec,
        content,
        Request {
            effort,
            previews,
            dictionaries: &[],
            bases: &[],
            previous: None,
        },
    )
}

/// Like [`encode`], with previews.
pub(crate) fn encode_for(
    codec: &dyn Codec,
    content: &[u8],
    request: Request<'_>,
) -> Result<(Vec<u8>, MemoryLayers), CodecError> {
    let mut layers = MemoryLayers::default();
    let encoded = codec.encode(&Bytes(content.to_vec()), request, &mut layers)?;
    layers.layers.resize(encoded.layers, Vec::new());
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

/// A medium whose levels are easily told: a grey row after [`STEPS`], with ever more bits of each sample.
#[derive(Debug)]
pub(crate) struct Steps;

/// How such a file begins.
pub(crate) const STEPS: &[u8] = b"a row of steps\n";

/// How a file ends on which its encoder panics.
pub(crate) const FATAL: &[u8] = b"a step too far";
/// How a file ends on which its decoder panics.
pub(crate) const FATAL_LATER: &[u8] = b"a step back";

/// A content as level `level` shows it.
pub(crate) fn step(content: &[u8], level: usize) -> Vec<u8> {
    let (head, row) = content.split_at(STEPS.len());
    let row = row.iter().map(|sample| sample & (0xf0_u8 << (3 - level)));
    head.iter().copied().chain(row).collect()
}

impl Codec for Steps {
    fn id(&self) -> CodecId {
        CodecId(u16::MAX)
    }

    fn name(&self) -> &'static str {
        "steps"
    }

    fn medium(&self) -> Medium {
        Medium::Image
    }

    fn suits(&self, head: &[u8]) -> bool {
        head.starts_with(STEPS)
    }

    fn quality(&self, settings: &[u8], layers: usize) -> Option<f64> {
        let last = usize::from(*settings.first()?);
        let level = u8::try_from(layers)
            .ok()
            .filter(|_| (1..=last).contains(&layers))?;
        Some(10.0 * f64::from(level))
    }

    fn encode(
        &self,
        content: &dyn Content,
        request: Request<'_>,
        sink: &mut dyn LayerSink,
    ) -> Result<Encoded, CodecError> {
        let mut bytes = vec![0; usize::try_from(content.size()).unwrap()];
        content.read_at(0, &mut bytes)?;
        assert!(!bytes.ends_with(FATAL), "the fault that a test asked for");
        if bytes.len() == STEPS.len() {
            return Err(CodecError::Declined("an empty row".to_owned()));
        }
        let row = |level: usize| zstd::bulk::compress(&step(&bytes, level), 19);
        for level in 0..request.previews {
            if sink.cancelled() {
                return Err(CodecError::Cancelled);
            }
            sink.write(level, &row(level)?)?;
        }
        sink.write(request.previews, &zstd::bulk::compress(&bytes, 19)?)?;
        Ok(Encoded {
            settings: vec![u8::try_from(request.previews).unwrap()],
            layers: request.previews + 1,
        })
    }

    fn open<'a>(
        &self,
        _settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Box<dyn Decoder + 'a>, CodecError> {
        Ok(Box::new(StepsReader(layers, size)))
    }

    fn preview<'a>(
        &self,
        _settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        let content = StepsReader(layers, size).level(0)?;
        let samples = content.get(STEPS.len()..).unwrap();
        let picture = Picture {
            width: u32::try_from(samples.len()).unwrap(),
            height: 1,
            channels: 1,
            samples,
        };
        Ok(picture.thumbnail())
    }
}

struct StepsReader<'a>(Box<dyn Layers + 'a>, u64);

impl StepsReader<'_> {
    fn level(&self, layer: usize) -> Result<Vec<u8>, CodecError> {
        let mut bytes = vec![0; usize::try_from(self.0.len(layer)).unwrap()];
        self.0.read_at(layer, 0, &mut bytes)?;
        Ok(zstd::bulk::decompress(
            &bytes,
            usize::try_from(self.1).unwrap(),
        )?)
    }
}

impl Decoder for StepsReader<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, CodecError> {
        let mut quality = Err(CodecError::Cancelled);
        for layer in 0..self.0.count() {
            match self.level(layer) {
                Ok(content) => {
                    assert!(!content.ends_with(FATAL_LATER), "as a test asked for");
                    let start = usize::try_from(offset).unwrap();
                    buf.copy_from_slice(content.get(start..start + buf.len()).unwrap());
                    quality = Ok(Quality::Degraded(layer + 1));
                }
                Err(e) if layer == 0 => return Err(e),
                Err(_) => return quality,
            }
        }
        Ok(Quality::Exact)
    }

    fn segment(&self, _offset: u64) -> Range<u64> {
        0..self.1
    }
}

/// A medium with a time axis: as [`Steps`], in segments of [`ROW`] bytes.
#[derive(Debug)]
pub(crate) struct Rows;

/// How such a file begins.
pub(crate) const ROWS: &[u8] = b"rows of steps\n";

/// Bytes of a segment.
pub(crate) const ROW: usize = 100_000;

/// A content as level `level` shows it.
pub(crate) fn rows(content: &[u8], level: usize) -> Vec<u8> {
    let coarse = |sample: &u8| sample & (0xf0_u8 << (3 - level));
    content.iter().map(coarse).collect()
}

impl Codec for Rows {
    fn id(&self) -> CodecId {
        CodecId(u16::MAX - 1)
    }

    fn name(&self) -> &'static str {
        "rows"
    }

    fn medium(&self) -> Medium {
        Medium::Sound
    }

    fn suits(&self, head: &[u8]) -> bool {
        head.starts_with(ROWS)
    }

    fn quality(&self, settings: &[u8], layers: usize) -> Option<f64> {
        Steps.quality(settings.get(segments::SETTINGS..)?, layers)
    }

    fn encode(
        &self,
        content: &dyn Content,
        request: Request<'_>,
        sink: &mut dyn LayerSink,
    ) -> Result<Encoded, CodecError> {
        let layers = request.previews + 1;
        let mut writer = segments::Writer::new(layers);
        let mut bytes = vec![0; usize::try_from(content.size()).unwrap()];
        content.read_at(0, &mut bytes)?;
        for row in bytes.chunks(ROW) {
            let coarse = (0..request.previews).map(|level| rows(row, level));
            let parts = coarse.chain([row.to_vec()]);
            let parts = parts.map(|part| zstd::bulk::compress(&part, 1));
            writer.segment(sink, row, &parts.collect::<io::Result<Vec<_>>>()?)?;
        }
        let mut settings = writer.finish(sink)?.to_vec();
        settings.push(u8::try_from(request.previews).unwrap());
        Ok(Encoded { settings, layers })
    }

    fn open<'a>(
        &self,
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Box<dyn Decoder + 'a>, CodecError> {
        let count = *settings.first_chunk().unwrap();
        let used = layers.count();
        let reader = segments::Reader::open(count, used, size, layers, RowsReader);
        Ok(Box::new(reader?))
    }
}

#[derive(Debug)]
struct RowsReader;

impl segments::Segment for RowsReader {
    fn decode(&self, _: usize, parts: &[Vec<u8>], out: &mut [u8]) -> Result<(), CodecError> {
        let row = zstd::bulk::decompress(parts.last().unwrap(), out.len())?;
        out.copy_from_slice(&row);
        Ok(())
    }

    fn most(&self, length: usize) -> usize {
        10 * length
    }
}

/// How far the preview of a picture is from the picture scaled down: mean difference of 8-bit samples, and its size.
pub(crate) fn preview_error(codec: &dyn Codec, file: &[u8]) -> (f64, (u32, u32)) {
    let request = Request {
        previews: 4,
        ..Request::default()
    };
    let (settings, mut layers) = encode_for(codec, file, request).unwrap();
    for layer in layers.layers.iter_mut().skip(1) {
        layer.fill(0); // it is not needed
    }
    let png = codec.preview(&settings, file.len() as u64, Box::new(layers));
    let small = image::load_from_memory(&png.unwrap().unwrap()).unwrap();
    let small = small.to_rgb8();
    let (width, height) = small.dimensions();
    let whole = image::load_from_memory(file).unwrap().to_rgb8();
    let wanted = image::imageops::thumbnail(&whole, width, height);
    let pairs = small.iter().zip(wanted.iter());
    let sum: f64 = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    (sum / f64::from(width * height * 3), (width, height))
}
