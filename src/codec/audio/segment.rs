//! A segment of samples: its header, its bands, and how layers become samples again.

use super::values::{Line, Values};
use super::{EDGES, LONGEST, SHORTEST, bad, pack};
use crate::codec::CodecError;
use crate::coding::bands::{self, Band, Layout, Plan, Reference};
use crate::coding::linear;
use crate::coding::mdct::{Mdct, QUARTER, Window, rotate};
use crate::media::sound::Piece;

/// Bits of samples, without their sign, that go through the transform; what is below is kept raw.
pub(super) const BITS: u32 = 23;
/// The most bits that are kept raw.
pub(super) const MOST_LOW: u8 = 12;

const STEEP: u8 = 1;
const RANKS: u8 = 2;
const RESTS: u8 = 4;
const MISSED: u8 = 8;
const ALONE: u8 = 16;

/// What makes a segment exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exact {
    /// The bands' last layer.
    Bands,
    /// What previews miss, predicted in time.
    Missed,
    /// All samples anew, predicted in time.
    Alone,
}

/// What must be known of a segment of samples first.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// The transform; `None` for silence.
    pub(super) transform: Option<Mdct>,
    /// As [`Piece::scale`].
    pub(super) scale: u8,
    /// Bits of each sample that are kept raw.
    pub(super) low: u8,
    /// Whether there are rests of floats, or a recipe.
    pub(super) rests: bool,
    /// Turn of each pair of channels.
    pub(super) turns: Vec<i8>,
    /// One per preview.
    pub(super) cuts: Vec<i16>,
    pub(super) exact: Exact,
    /// The knots of the values that samples are ranks of.
    pub(super) line: Option<[u8; Line::BYTES]>,
}

impl Header {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let steep = |t: Mdct| t.window == Window::Steep;
        let flag = |flag: u8, on: bool| if on { flag } else { 0 };
        let flags = flag(STEEP, self.transform.is_some_and(steep))
            | flag(RANKS, self.line.is_some())
            | flag(RESTS, self.rests)
            | flag(MISSED, self.exact == Exact::Missed)
            | flag(ALONE, self.exact == Exact::Alone);
        let byte = |number: Option<u32>| number.and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
        let log = byte(self.transform.map(|t| t.log));
        let fraction = byte(self.transform.map(|t| t.fraction));
        let mut bytes = vec![flags, log, self.scale, self.low, fraction];
        bytes.extend(self.turns.iter().map(|turn| turn.cast_unsigned()));
        bytes.extend(self.cuts.iter().flat_map(|cut| cut.to_le_bytes()));
        bytes.extend(self.line.iter().flatten());
        bytes
    }

    /// Takes a header off `bytes`.
    ///
    /// # Errors
    /// [`CodecError::Format`] for what [`Header::to_bytes`] does not write.
    pub(super) fn take(
        bytes: &mut &[u8],
        channels: usize,
        previews: usize,
    ) -> Result<Self, CodecError> {
        let short = || bad("a header that ends");
        let (fixed, rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let [flags, log, scale, low, fraction] = *fixed;
        let (turns, rest) = rest.split_at_checked(channels / 2).ok_or_else(short)?;
        let (cuts, mut rest) = rest.split_at_checked(2 * previews).ok_or_else(short)?;
        let mut line = None;
        if flags & RANKS != 0 {
            let (first, after) = rest.split_first_chunk().ok_or_else(short)?;
            (line, rest) = (Some(*first), after);
        }
        *bytes = rest;
        let transform = (log > 0).then_some(Mdct {
            log: u32::from(log),
            window: if flags & STEEP == 0 {
                Window::Sine
            } else {
                Window::Steep
            },
            fraction: u32::from(fraction),
        });
        let turns: Vec<i8> = turns.iter().map(|turn| turn.cast_signed()).collect();
        if flags & !(STEEP | RANKS | RESTS | MISSED | ALONE) != 0
            || flags & (MISSED | ALONE) == MISSED | ALONE
            || transform.is_some_and(|t| !(SHORTEST..=LONGEST).contains(&t.log) || t.fraction > 8)
            || low > MOST_LOW
            || turns
                .iter()
                .any(|turn| turn.unsigned_abs() > QUARTER.unsigned_abs())
        {
            return Err(bad("a header out of range"));
        }
        let cuts = cuts
            .as_chunks()
            .0
            .iter()
            .map(|cut| i16::from_le_bytes(*cut));
        Ok(Self {
            transform,
            scale,
            low,
            rests: flags & RESTS != 0,
            turns,
            cuts: cuts.collect(),
            exact: match (flags & MISSED, flags & ALONE) {
                (0, 0) => Exact::Bands,
                (0, _) => Exact::Alone,
                _ => Exact::Missed,
            },
            line,
        })
    }

    /// The part in which the values lie that samples are ranks of.
    pub(super) fn values_part(&self) -> usize {
        self.cuts.len().saturating_sub(1)
    }
}

/// The bands of a segment of `frames` frames.
///
/// # Errors
/// [`CodecError::Format`] for sizes that no segment has.
pub(super) fn layout(
    transform: &Mdct,
    channels: usize,
    frames: usize,
) -> Result<Layout, CodecError> {
    let height = transform.padded(frames) >> transform.log;
    let mut layout: Vec<Band> = Vec::new();
    for (index, (from, to)) in (0_i16..).zip(ranges(transform.log)) {
        for channel in 0..channels {
            // The channel before is the other one of a pair, or at least sounds at the same time.
            let other = layout.len().checked_sub(1).filter(|_| channel > 0);
            layout.push(Band {
                width: to - from,
                height,
                weight: -(index * 64 / 6),
                references: other.map(Reference::same).into_iter().collect(),
                ..Band::default()
            });
        }
    }
    Layout::new(layout).map_err(|_| bad("a segment too long"))
}

/// The ranges of frequencies of a block.
fn ranges(log: u32) -> impl Iterator<Item = (usize, usize)> {
    let edges = EDGES.map(|edge| edge << log >> LONGEST);
    let pairs = edges.into_iter().zip(edges.into_iter().skip(1));
    pairs.collect::<Vec<_>>().into_iter()
}

/// Coefficients of channels, block by block, as bands in the order of the layout.
pub(super) fn to_bands(log: u32, channels: &[Vec<i32>]) -> Vec<Vec<i32>> {
    let mut bands = Vec::new();
    for (from, to) in ranges(log) {
        for rows in channels {
            let rows = rows.chunks_exact(1 << log);
            let pieces = rows.filter_map(|row| row.get(from..to));
            bands.push(pieces.collect::<Vec<_>>().concat());
        }
    }
    bands
}

/// Bands as coefficients of channels.
pub(super) fn from_bands(log: u32, channels: usize, bands: &[Vec<i32>]) -> Vec<Vec<i32>> {
    let mut bands = bands.iter();
    let mut all = vec![Vec::new(); channels];
    for (from, to) in ranges(log) {
        for (rows, band) in all.iter_mut().zip(&mut bands) {
            let pieces = band.chunks_exact((to - from).max(1));
            rows.resize(pieces.len() << log, 0);
            for (row, piece) in rows.chunks_exact_mut(1 << log).zip(pieces) {
                if let Some(place) = row.get_mut(from..to) {
                    place.copy_from_slice(piece);
                }
            }
        }
    }
    all
}

/// Channels from bands: the transform and the turns undone.
pub(super) fn samples(
    header: &Header,
    transform: &Mdct,
    channels: usize,
    frames: usize,
    bands: &[Vec<i32>],
) -> Vec<Vec<i32>> {
    let rows = from_bands(transform.log, channels, bands);
    let mut signals: Vec<Vec<i32>> = rows
        .into_iter()
        .map(|rows| transform.inverse(rows))
        .collect();
    for signal in &mut signals {
        signal.truncate(frames);
    }
    for (pair, turn) in signals.chunks_exact_mut(2).zip(&header.turns) {
        if let [a, b] = pair {
            rotate(-turn, a, b);
        }
    }
    signals
}

/// What bands show of samples with the first layers.
///
/// # Errors
/// [`CodecError::Format`] for layers that no encoder writes.
pub(super) fn shown(
    header: &Header,
    transform: &Mdct,
    layout: &Layout,
    channels: usize,
    frames: usize,
    layers: &[&[u8]],
) -> Result<Vec<Vec<i32>>, CodecError> {
    let plan = Plan::from_cuts(layout, &header.cuts);
    let bands = bands::decode(layout, &plan, layers, None).map_err(|e| bad(&e.to_string()))?;
    Ok(samples(header, transform, channels, frames, &bands))
}

/// The samples of a segment of `frames` frames from the first parts, of `all` there are.
///
/// # Errors
/// [`CodecError::Format`] for parts that no encoder writes.
pub(super) fn decode(
    parts: &[Vec<u8>],
    previews: usize,
    channels: usize,
    frames: usize,
) -> Result<Piece, CodecError> {
    let mut parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let exact = parts.len() > previews;
    let first = parts.first_mut().ok_or_else(|| bad("no layers"))?;
    let header = Header::take(first, channels, previews)?;
    let values = match (&header.line, parts.get_mut(header.values_part())) {
        (Some(_), Some(part)) => Some(Values::take(part)?),
        _ => None,
    };
    let (mut low, mut rest) = (None, Vec::new());
    if let Some(last) = parts.last_mut().filter(|_| exact) {
        let most = frames * channels;
        if header.low > 0 {
            low = Some(pack::take(last, 2 * most)?);
        }
        if header.rests {
            rest = pack::take(last, most * 5 + (1 << 16))?;
        }
    }
    let predicted = match header.exact {
        Exact::Missed | Exact::Alone if exact => parts.pop(),
        _ => None,
    };
    let predicted = predicted.map(|bytes| linear::decode(channels, frames, bytes));
    let predicted = predicted.transpose().map_err(|e| bad(&e.to_string()))?;
    let mut samples = match (header.transform, predicted) {
        (_, Some(samples)) if header.exact == Exact::Alone => samples,
        (None, _) if parts.iter().any(|part| !part.is_empty()) => {
            return Err(bad("a silence with samples"));
        }
        (None, predicted) => predicted.unwrap_or_else(|| vec![vec![0; frames]; channels]),
        (Some(transform), missed) => {
            let layout = layout(&transform, channels, frames)?;
            let mut samples = shown(&header, &transform, &layout, channels, frames, &parts)?;
            for (samples, missed) in samples.iter_mut().zip(missed.iter().flatten()) {
                for (sample, missed) in samples.iter_mut().zip(missed) {
                    *sample = sample.wrapping_add(*missed);
                }
            }
            samples
        }
    };
    match (&values, &header.line) {
        (Some(values), _) => values.to_values(&mut samples),
        (None, Some(line)) => Line::new(line).to_values(&mut samples),
        (None, None) => {}
    }
    if header.low > 0 {
        let middle = 1_i32 << (header.low - 1);
        let low = low.unwrap_or_default();
        let mut low = low.as_chunks().0.iter();
        for sample in samples.iter_mut().flatten() {
            let bits = low
                .next()
                .map_or(middle, |bits| i32::from(u16::from_le_bytes(*bits)));
            *sample = (*sample << header.low) | (bits & ((1 << header.low) - 1));
        }
    }
    Ok(Piece {
        samples,
        scale: header.scale,
        rest,
    })
}
