//! The settings of an object of the image codec; their layout is in the documentation of the codec.

use super::pixels::Header;
use crate::codec::CodecError;
use crate::media::picture::Container;

/// Containers by their numbers.
const CONTAINERS: [Container; 5] = [
    Container::Png,
    Container::Bmp,
    Container::Pnm,
    Container::Tiff,
    Container::Gif,
];

/// How the last layer holds the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exact {
    /// A recipe and exact pixels.
    Apart,
    /// The file itself.
    File,
}

/// What must be known to read the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) exact: Exact,
    pub(super) container: Container,
    /// Layer of the colour part.
    pub(super) colour_layer: usize,
    /// Bytes of the head in layer 0.
    pub(super) head: usize,
    /// Bytes of the colour part in its layer.
    pub(super) colour: usize,
    pub(super) pixels: Header,
}

impl Settings {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let container = CONTAINERS.iter().position(|c| *c == self.container);
        let small = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
        let long = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        let exact = u8::from(self.exact == Exact::File);
        let container = small(container.unwrap_or(0));
        let mut bytes = vec![exact, container, small(self.colour_layer), 0];
        bytes.extend(long(self.head));
        bytes.extend(long(self.colour));
        bytes.extend(self.pixels.to_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CodecError> {
        let wrong = || CodecError::Format("image: settings of a newer program".to_owned());
        let (fixed, rest) = bytes.split_first_chunk::<12>().ok_or_else(wrong)?;
        let [
            exact,
            container,
            colour_layer,
            0,
            h0,
            h1,
            h2,
            h3,
            c0,
            c1,
            c2,
            c3,
        ] = *fixed
        else {
            return Err(wrong());
        };
        let length = |bytes| usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| wrong());
        let settings = Self {
            exact: match exact {
                0 => Exact::Apart,
                1 => Exact::File,
                _ => return Err(wrong()),
            },
            container: CONTAINERS
                .get(usize::from(container))
                .copied()
                .ok_or_else(wrong)?,
            colour_layer: usize::from(colour_layer),
            head: length([h0, h1, h2, h3])?,
            colour: length([c0, c1, c2, c3])?,
            pixels: Header::parse(rest).map_err(|e| CodecError::Format(format!("image: {e}")))?,
        };
        let previews = settings.pixels.layers() - 1;
        if settings.colour_layer > previews {
            return Err(wrong());
        }
        Ok(settings)
    }

    /// Layers of the object.
    pub(super) fn layers(&self) -> usize {
        self.pixels.layers()
    }

    /// Bytes before the pixels in a layer, but for what the last one has of its own.
    pub(super) fn before(&self, layer: usize) -> usize {
        let head = if layer == 0 { self.head } else { 0 };
        let colour = if layer == self.colour_layer {
            self.colour
        } else {
            0
        };
        head.saturating_add(colour)
    }
}
