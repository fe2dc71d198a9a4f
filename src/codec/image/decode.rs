//! Decoding: the file itself where all layers are there, else a picture of it.

use std::fmt;
use std::ops::Range;

use super::pixels::{self, Planes};
use super::settings::{Exact, Settings};
use super::{MAX_FILE, PROOF, proof};
use crate::codec::thumbnail::Picture;
use crate::codec::{CodecError, Decoder, Quality};
use crate::format::{LayerError, Layers};
use crate::media::error::Error;
use crate::media::picture::Parts;
use crate::media::raster::MAX_SAMPLES;

/// Most bytes of a packed part: a head or a colour profile.
const MAX_PART: usize = 64 << 20;

/// An object, open for reading.
pub(super) struct Reader<'a> {
    layers: Box<dyn Layers + 'a>,
    settings: Settings,
    size: usize,
}

/// A decoded file and its quality.
struct Decoded {
    file: Vec<u8>,
    quality: Quality,
}

impl<'a> Reader<'a> {
    pub(super) fn open(
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Self, CodecError> {
        let settings = Settings::parse(settings)?;
        // An encoder asked for more previews than there are adds empty layers.
        if layers.count() < settings.layers() {
            return Err(bad(format_args!(
                "{} layers instead of {}",
                layers.count(),
                settings.layers()
            )));
        }
        let size = Some(size).filter(|size| *size <= MAX_FILE);
        let size = size.and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| bad(format_args!("a picture of more than 1 GiB")))?;
        if settings.pixels.samples() > MAX_SAMPLES {
            return Err(bad(format_args!("too many samples")));
        }
        Ok(Self {
            layers,
            settings,
            size,
        })
    }

    /// A small picture from the first layer; `None` where that shows nothing.
    pub(super) fn thumbnail(&self) -> Result<Option<Vec<u8>>, CodecError> {
        if self.settings.layers() == 1 {
            return Ok(None);
        }
        let planes = self.pixels(&[self.layer(0)?], None)?;
        let channels = planes.channels.len();
        let mut samples = vec![0; planes.width * planes.height * channels];
        for (channel, plane) in planes.channels.iter().enumerate() {
            for (to, from) in samples
                .iter_mut()
                .skip(channel)
                .step_by(channels)
                .zip(plane)
            {
                let scaled = u32::from(*from) * 255 / u32::from(planes.max.max(1));
                *to = u8::try_from(scaled).unwrap_or(u8::MAX);
            }
        }
        let side = |length: usize| u32::try_from(length).unwrap_or(0);
        let picture = Picture {
            width: side(planes.width),
            height: side(planes.height),
            channels,
            samples: &samples,
        };
        Ok(picture.thumbnail())
    }

    fn decode(&self) -> Result<Decoded, CodecError> {
        let count = self.settings.layers();
        let mut layers: Vec<Vec<u8>> = Vec::with_capacity(count);
        let mut missing = None;
        for number in 0..count {
            match self.layer(number) {
                Ok(layer) => layers.push(layer),
                Err(CodecError::Layer(e @ LayerError::Missing { .. })) => {
                    missing = Some(e);
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        let Some(missing) = missing else {
            return self.exact(&layers);
        };
        if layers.is_empty() {
            return Err(missing.into());
        }
        match self.degraded(&layers)? {
            Some(file) => Ok(Decoded {
                file,
                quality: Quality::Degraded(layers.len()),
            }),
            None => Err(missing.into()),
        }
    }

    /// All bytes of a layer. What an encoder writes is never much larger than the file and its samples.
    fn layer(&self, number: usize) -> Result<Vec<u8>, CodecError> {
        let length = self.layers.len(number);
        let most = MAX_FILE + 4 * self.settings.pixels.samples();
        let length = Some(length).filter(|length| *length <= most);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let mut layer = vec![0; length.ok_or_else(|| bad(format_args!("a layer too long")))?];
        self.layers.read_at(number, 0, &mut layer)?;
        Ok(layer)
    }

    /// The head, and the colour part if its layer is there.
    fn parts(&self, layers: &[Vec<u8>]) -> Result<(Vec<u8>, Option<Vec<u8>>), CodecError> {
        let first = layers
            .first()
            .and_then(|layer| layer.get(..self.settings.head));
        let head = unpack(first.unwrap_or_default(), MAX_PART)?;
        if self.settings.colour == 0 {
            return Ok((head, Some(Vec::new())));
        }
        let Some(layer) = layers.get(self.settings.colour_layer) else {
            return Ok((head, None));
        };
        let start = self.settings.before(self.settings.colour_layer) - self.settings.colour;
        let part = layer.get(start..start + self.settings.colour);
        Ok((head, Some(unpack(part.unwrap_or_default(), MAX_PART)?)))
    }

    /// The pixels in the first layers. `last`: those in the last one, if it is there.
    fn pixels(&self, layers: &[Vec<u8>], last: Option<&[u8]>) -> Result<Planes, CodecError> {
        let mut parts: Vec<&[u8]> = Vec::new();
        for (number, layer) in layers.iter().enumerate().take(self.settings.layers() - 1) {
            let part = layer.get(self.settings.before(number)..);
            parts.push(part.ok_or_else(|| bad(format_args!("layer {number} ends early")))?);
        }
        parts.extend(last);
        pixels::decode(&self.settings.pixels, &parts).map_err(|e| bad(format_args!("{e}")))
    }

    fn exact(&self, layers: &[Vec<u8>]) -> Result<Decoded, CodecError> {
        let early = || bad(format_args!("the last layer ends early"));
        let last = layers.last().map_or(&[][..], Vec::as_slice);
        let last = last.get(self.settings.before(layers.len() - 1)..);
        let (hash, rest) = last
            .and_then(<[u8]>::split_first_chunk::<PROOF>)
            .ok_or_else(early)?;
        let file = match self.settings.exact {
            Exact::File => unpack(rest, self.size)?,
            Exact::Apart => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(early)?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok();
                let (recipe, pixels) = length
                    .and_then(|length| rest.split_at_checked(length))
                    .ok_or_else(early)?;
                let planes = self.pixels(layers, Some(pixels))?;
                let (head, colour) = self.parts(layers)?;
                let geometry = self.settings.container.geometry(&head, self.size);
                let geometry = geometry.map_err(|e| bad(format_args!("{e}")))?;
                let shown = geometry.shown_with(planes.channels, planes.max);
                let raster = shown.and_then(|shown| shown.in_colours_of(&geometry));
                let parts = Parts {
                    raster: raster.map_err(|e| bad(format_args!("{e}")))?,
                    head,
                    colour: colour.unwrap_or_default(),
                    recipe: recipe.to_vec(),
                };
                let written = self.settings.container.write(&parts, self.size);
                written.map_err(|e| bad(format_args!("{e}")))?
            }
        };
        if file.len() != self.size || proof(&file) != *hash {
            return Err(CodecError::Mismatch {
                offset: 0,
                length: self.size as u64,
            });
        }
        Ok(Decoded {
            file,
            quality: Quality::Exact,
        })
    }

    /// A picture of the file from the first layers; `None` where no file of its size can show one.
    fn degraded(&self, layers: &[Vec<u8>]) -> Result<Option<Vec<u8>>, CodecError> {
        let planes = self.pixels(layers, None)?;
        let (head, colour) = self.parts(layers)?;
        let geometry = self.settings.container.geometry(&head, self.size);
        let shown = geometry.and_then(|g| g.shown_with(planes.channels, planes.max));
        let shown = shown.map_err(|e| bad(format_args!("{e}")))?;
        let container = self.settings.container;
        match container.render(&shown, &head, colour.as_deref(), self.size) {
            Ok(file) => Ok(Some(file)),
            Err(Error::NoRoom(_) | Error::Unsupported(_)) => Ok(None),
            Err(e) => Err(bad(format_args!("{e}"))),
        }
    }
}

impl Decoder for Reader<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, CodecError> {
        let outside = || {
            let (length, size) = (buf.len(), self.size);
            bad(format_args!(
                "no bytes {offset}..+{length} in {size} bytes of content"
            ))
        };
        let start = usize::try_from(offset).map_err(|_| outside())?;
        let end = start.checked_add(buf.len()).ok_or_else(outside)?;
        if end > self.size {
            return Err(outside());
        }
        if buf.is_empty() {
            return Ok(Quality::Exact);
        }
        let decoded = self.decode()?;
        buf.copy_from_slice(decoded.file.get(start..end).ok_or_else(outside)?);
        Ok(decoded.quality)
    }

    fn segment(&self, _offset: u64) -> Range<u64> {
        0..self.size as u64
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("size", &self.size)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A packed part, of at most `limit` bytes.
fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    match packed.split_first() {
        Some((0, bytes)) if bytes.len() <= limit => Ok(bytes.to_vec()),
        Some((1, frame)) => {
            // The frame says how long it becomes; what is longer is refused before memory is taken.
            let length = zstd::zstd_safe::get_frame_content_size(frame)
                .ok()
                .flatten();
            let length = length.and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| *length <= limit);
            let length = length.ok_or_else(|| bad(format_args!("a packed part too long")))?;
            zstd::bulk::decompress(frame, length).map_err(|e| bad(format_args!("{e}")))
        }
        _ => Err(bad(format_args!("a packed part of no kind"))),
    }
}

fn bad(what: fmt::Arguments<'_>) -> CodecError {
    CodecError::Format(format!("image: {what}"))
}
