//! The frame header: dimensions, components, where their blocks are.

use super::{JpegError, MAX_COEFFICIENTS};

/// Step sizes of the 64 coefficients, in zigzag order.
pub type Quantiser = [u16; 64];

/// One component (a plane of samples, such as luma).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Identifier in the frame header.
    pub id: u8,
    /// Horizontal sampling factor, 1..=4.
    pub h: u8,
    /// Vertical sampling factor, 1..=4.
    pub v: u8,
    /// Number of the quantisation table in the frame header, 0..=3.
    pub table: u8,
    /// Step sizes, each at least 1.
    pub quantiser: Quantiser,
    /// Blocks in a row of the picture: what scans of this component alone hold.
    pub blocks_across: usize,
    /// Rows of blocks in the picture.
    pub blocks_down: usize,
    /// Blocks in a row of the grid, with those that fill up the last MCU of a row.
    pub stride: usize,
    /// Rows of blocks in the grid.
    pub rows: usize,
}

impl Component {
    /// Blocks in the grid.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.stride * self.rows
    }
}

/// How the components make colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// One component.
    Grey,
    /// Luma and two chroma components.
    YCbCr,
    /// Red, green, blue.
    Rgb,
    /// Luma, two chroma components and black.
    Ycck,
    /// Four inks.
    Cmyk,
    /// Two components, or anything else.
    Other,
}

/// What a decoder must know of the picture apart from coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Width in pixels, at least 1.
    pub width: u16,
    /// Height in pixels, at least 1.
    pub height: u16,
    /// Whether the scans refine the coefficients step by step (SOF2).
    pub progressive: bool,
    /// Whether there is a JFIF segment.
    pub jfif: bool,
    /// The colour transform that an Adobe segment names.
    pub adobe: Option<u8>,
    /// One to four components.
    pub components: Vec<Component>,
}

/// A component as the frame header describes it: identifier, sampling factors h and v, number of its table.
pub type Described = (u8, u8, u8, u8);

impl Frame {
    /// The frame of these dimensions. Step sizes are 1, and there is neither a JFIF nor an Adobe segment.
    ///
    /// # Errors
    /// [`JpegError`] for dimensions of 0, other than 1 to 4 components, sampling factors other than 1 to 4, and more
    /// than [`MAX_COEFFICIENTS`].
    pub fn new(
        width: u16,
        height: u16,
        progressive: bool,
        described: &[Described],
    ) -> Result<Self, JpegError> {
        let bad = |what| JpegError::Format { what, offset: 0 };
        if height == 0 {
            return Err(JpegError::Unsupported("a height that follows the scan"));
        }
        if width == 0 {
            return Err(bad("a width of 0"));
        }
        if described.is_empty() || described.len() > 4 {
            return Err(JpegError::Unsupported("this number of components"));
        }
        let valid = |factor: u8| (1..=4).contains(&factor);
        if !described
            .iter()
            .all(|c| valid(c.1) && valid(c.2) && c.3 < 4)
        {
            return Err(bad("a sampling factor or a table number out of range"));
        }
        let h_max = described.iter().map(|c| usize::from(c.1)).max();
        let v_max = described.iter().map(|c| usize::from(c.2)).max();
        let (h_max, v_max) = (h_max.unwrap_or(1), v_max.unwrap_or(1));
        let mcus_across = usize::from(width).div_ceil(8 * h_max);
        let mcus_down = usize::from(height).div_ceil(8 * v_max);
        let components: Vec<Component> = described
            .iter()
            .map(|(id, h, v, table)| {
                let (h_size, v_size) = (usize::from(*h), usize::from(*v));
                Component {
                    id: *id,
                    h: *h,
                    v: *v,
                    table: *table,
                    quantiser: [1; 64],
                    // T.81 A.1.1: the samples of a component are those of the picture times its share, rounded up.
                    blocks_across: (usize::from(width) * h_size).div_ceil(h_max).div_ceil(8),
                    blocks_down: (usize::from(height) * v_size).div_ceil(v_max).div_ceil(8),
                    stride: mcus_across * h_size,
                    rows: mcus_down * v_size,
                }
            })
            .collect();
        let coefficients = components.iter().map(Component::blocks).sum::<usize>() as u64 * 64;
        if coefficients > MAX_COEFFICIENTS {
            return Err(JpegError::Limit {
                what: "the number of coefficients",
                value: coefficients,
                limit: MAX_COEFFICIENTS,
            });
        }
        Ok(Self {
            width,
            height,
            progressive,
            jfif: false,
            adobe: None,
            components,
        })
    }

    /// Reads the payload of a SOF segment.
    pub(super) fn read(payload: &[u8], progressive: bool) -> Result<Self, JpegError> {
        let [precision, y1, y0, x1, x0, count, rest @ ..] = payload else {
            return Err(JpegError::Format {
                what: "a short frame header",
                offset: 0,
            });
        };
        if *precision != 8 {
            return Err(JpegError::Unsupported("a sample precision other than 8"));
        }
        let (described, []) = rest.as_chunks::<3>() else {
            return Err(JpegError::Format {
                what: "a frame header of this length",
                offset: 0,
            });
        };
        if described.len() != usize::from(*count) {
            return Err(JpegError::Format {
                what: "a frame header with another number of components",
                offset: 0,
            });
        }
        let described: Vec<Described> = described
            .iter()
            .map(|[id, factors, table]| (*id, factors >> 4, factors & 15, *table))
            .collect();
        let width = u16::from_be_bytes([*x1, *x0]);
        let height = u16::from_be_bytes([*y1, *y0]);
        Self::new(width, height, progressive, &described)
    }

    /// Blocks in the grids of all components.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.components.iter().map(Component::blocks).sum()
    }

    /// What the components are, as decoders guess it (libjpeg's rules): by their number, the JFIF and Adobe segments,
    /// and their identifiers.
    #[must_use]
    pub fn colour(&self) -> Colour {
        let ids: Vec<u8> = self.components.iter().map(|c| c.id).collect();
        match (ids.as_slice(), self.adobe) {
            ([_], _) => Colour::Grey,
            ([_, _, _], _) if self.jfif => Colour::YCbCr,
            ([_, _, _], Some(0)) | ([b'R', b'G', b'B'], None) => Colour::Rgb,
            ([_, _, _], _) => Colour::YCbCr,
            ([_, _, _, _], Some(2)) => Colour::Ycck,
            ([_, _, _, _], _) => Colour::Cmyk,
            _ => Colour::Other,
        }
    }
}
