//! A scan: which coefficients of which components, in what order of blocks, and how it was written.

use super::JpegError;
use super::frame::Frame;

/// A component in a scan, with the numbers of its Huffman tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) component: usize,
    pub(super) dc: u8,
    pub(super) ac: u8,
}

/// The header of a scan (T.81 B.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    /// First coefficient, in zigzag order.
    pub(super) first: u8,
    /// Last coefficient.
    pub(super) last: u8,
    /// The bit that the scan before stopped at, 0 for the first scan of these coefficients.
    pub(super) high: u8,
    /// The lowest bit that is coded.
    pub(super) low: u8,
}

impl Scan {
    pub(super) fn read(payload: &[u8], frame: &Frame) -> Result<Self, JpegError> {
        let bad = |what| JpegError::Format { what, offset: 0 };
        let (count, rest) = payload.split_first().ok_or(bad("a short scan header"))?;
        let count = usize::from(*count);
        let (Some(parts), Some([first, last, bits, ..])) =
            (rest.get(..2 * count), rest.get(2 * count..))
        else {
            return Err(bad("a short scan header"));
        };
        let mut scan = Self {
            parts: Vec::with_capacity(count),
            first: *first,
            last: *last,
            high: bits >> 4,
            low: bits & 15,
        };
        for [id, tables] in parts.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|c| c.id == *id);
            let component = component.ok_or(bad("a scan of an unknown component"))?;
            if scan.parts.iter().any(|part| part.component == component) {
                return Err(bad("a scan with a component twice"));
            }
            scan.parts.push(Part {
                component,
                dc: tables >> 4,
                ac: tables & 15,
            });
        }
        if scan.parts.is_empty() {
            return Err(bad("a scan without components"));
        }
        if frame.progressive {
            let bits = scan.low <= 13 && (scan.high == 0 || scan.high == scan.low + 1);
            let band = match scan.first {
                0 => scan.last == 0,
                first => scan.last <= 63 && first <= scan.last && scan.parts.len() == 1,
            };
            if !bits || !band {
                return Err(bad("a progressive scan with wrong parameters"));
            }
        } else {
            // Sequential scans hold everything, whatever the header says.
            (scan.first, scan.last, scan.high, scan.low) = (0, 63, 0, 0);
        }
        Ok(scan)
    }
}

/// A block of an MCU: the component, and where in it the block is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) component: usize,
    /// Index of the component in the scan.
    pub(super) part: usize,
    /// Index of the block in the MCU at the top left.
    origin: usize,
    /// From an MCU to the next in a row.
    across: usize,
    /// From a row of MCUs to the next.
    down: usize,
}

impl Unit {
    /// Index of the block in MCU (`x`, `y`).
    #[inline]
    pub(super) fn block(&self, x: usize, y: usize) -> usize {
        self.origin + x * self.across + y * self.down
    }
}

/// The order of the blocks of a scan (T.81 A.2).
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) units: Vec<Unit>,
    pub(super) mcus_across: usize,
    pub(super) mcus_down: usize,
}

impl Layout {
    pub(super) fn new(scan: &Scan, frame: &Frame) -> Self {
        let of = |part: &Part| frame.components.get(part.component);
        if let [part] = scan.parts.as_slice()
            && let Some(component) = of(part)
        {
            return Self {
                units: vec![Unit {
                    component: part.component,
                    part: 0,
                    origin: 0,
                    across: 1,
                    down: component.stride,
                }],
                mcus_across: component.blocks_across,
                mcus_down: component.blocks_down,
            };
        }
        let mut layout = Self {
            units: Vec::new(),
            mcus_across: 0,
            mcus_down: 0,
        };
        for (index, part) in scan.parts.iter().enumerate() {
            let Some(component) = of(part) else { continue };
            let (h, v) = (usize::from(component.h), usize::from(component.v));
            layout.mcus_across = component.stride / h;
            layout.mcus_down = component.rows / v;
            for y in 0..v {
                for x in 0..h {
                    layout.units.push(Unit {
                        component: part.component,
                        part: index,
                        origin: y * component.stride + x,
                        across: h,
                        down: v * component.stride,
                    });
                }
            }
        }
        layout
    }
}

/// How the data of a scan was written where the standard leaves a choice, and where it ends too early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    /// Whether restart markers are where the restart interval asks for them; else there are none.
    pub restarts: bool,
    /// What bytes are filled up with before markers: ones or zeros.
    pub pad_ones: bool,
    /// Places (counted by interval) where they are filled up with these bits instead, in ascending order.
    pub pads: Vec<(u32, u8)>,
    /// The blocks that can be written again, where the scan is cut off or damaged.
    pub stop: Option<u32>,
    /// The most blocks that are ended together.
    pub max_run: u16,
    /// Whether a run of ended blocks stops once it has more than 937 correction bits, as in libjpeg.
    pub limit_bits: bool,
    /// Blocks (counted in the scan, ascending) before which a run of ended blocks stops for no reason.
    pub cuts: Vec<u32>,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            restarts: true,
            pad_ones: true,
            pads: Vec::new(),
            stop: None,
            max_run: MAX_RUN,
            limit_bits: true,
            cuts: Vec::new(),
        }
    }
}

/// The longest run of ended blocks that can be coded.
pub(super) const MAX_RUN: u16 = 0x7fff;
/// With more correction bits than this, libjpeg ends a run: its buffer of 1000 might not hold those of one more block.
pub(super) const MAX_BITS: u32 = 937;
