//! Subframes: the samples of a channel, predicted, and what prediction missed (RFC 9639, 9.2).

use super::MAX_FRAME;
use crate::media::error::Error;
use crate::media::sound::bits::{BitReader, BitWriter};

/// Highest order of a prediction.
pub(super) const MAX_ORDER: usize = 32;
/// Coefficients of the fixed predictions by their order.
const FIXED: [&[i32]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
/// A parameter at or above this one means so many bits more for each number, in the clear.
pub(super) const RAW: u8 = 32;

/// How the samples of a channel are coded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Subframe {
    /// Zero bits below each sample that are left off.
    pub(super) wasted: u8,
    pub(super) kind: Kind,
}

/// Kinds of subframes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// One sample for all.
    #[default]
    Constant,
    /// Samples in the clear.
    Verbatim,
    /// A polynomial of this order, 0..=4.
    Fixed(u8, Residual),
    /// A linear prediction.
    Linear(Linear, Residual),
}

/// A linear prediction: the sum of coefficients times samples before, the nearest first, without its lower bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Linear {
    /// Bits of a coefficient, 1..=15.
    pub(super) precision: u8,
    /// Bits left off, 0..=15.
    pub(super) shift: u8,
    /// 1..=32 of them.
    pub(super) coefficients: Vec<i32>,
}

/// How the residual of a prediction is coded: in 2^order partitions of one length, of which the first lacks as many
/// numbers as samples precede the prediction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Residual {
    /// Whether parameters have five bits, not four.
    pub(super) wide: bool,
    pub(super) order: u8,
    /// For each partition its Rice parameter, or [`RAW`] and the bits of its numbers.
    pub(super) parameters: Vec<u8>,
}

impl Kind {
    /// Coefficients and shift of the prediction; none where samples are not predicted.
    pub(super) fn prediction(&self) -> Option<(&[i32], u32)> {
        match self {
            Self::Constant | Self::Verbatim => None,
            Self::Fixed(order, _) => FIXED.get(usize::from(*order)).map(|c| (*c, 0)),
            Self::Linear(linear, _) => Some((&linear.coefficients, u32::from(linear.shift))),
        }
    }
}

/// What a prediction says after the samples before it, the nearest last.
fn predict(before: &[i64], coefficients: &[i32], shift: u32) -> i64 {
    let terms = before.iter().rev().zip(coefficients);
    // 32 products of 33 and 15 bits.
    let sum: i64 = terms.map(|(sample, c)| sample * i64::from(*c)).sum();
    sum >> shift
}

/// What a prediction misses, of the samples after the first ones.
pub(super) fn residual(samples: &[i64], coefficients: &[i32], shift: u32) -> Vec<i64> {
    let order = coefficients.len();
    let windows = samples.windows(order + 1);
    let missed = windows.map(|window| match window.split_last() {
        Some((sample, before)) => sample - predict(before, coefficients, shift),
        None => 0,
    });
    missed.collect()
}

/// Partitions of `count` numbers: how many numbers each has.
pub(super) fn partitions(
    block: usize,
    order: u8,
    predictor: usize,
) -> Result<impl Iterator<Item = usize>, Error> {
    let count = 1_usize << order;
    let length = block >> order;
    if order > 15 || !block.is_multiple_of(count) || length < predictor {
        return Err(Error::Format("partitions that do not fit a block"));
    }
    Ok((0..count).map(move |i| if i == 0 { length - predictor } else { length }))
}

impl Subframe {
    pub(super) fn read(
        bits: &mut BitReader<'_>,
        block: usize,
        depth: u32,
    ) -> Result<(Self, Vec<i64>), Error> {
        if bits.bits(1)? != 0 {
            return Err(Error::Format("a subframe with a reserved bit"));
        }
        let code = bits.bits(6)?;
        let wasted = if bits.bits(1)? == 1 {
            bits.unary()? + 1
        } else {
            0
        };
        let depth = depth.checked_sub(wasted).filter(|depth| *depth > 0);
        let depth = depth.ok_or(Error::Format("a subframe without bits"))?;
        let mut samples = Vec::with_capacity(block);
        let (kind, order) = match code {
            0 => {
                samples.resize(block, bits.signed(depth)?);
                (Kind::Constant, block)
            }
            1 => (Kind::Verbatim, block),
            8..=12 => {
                let order = code - 8;
                let fixed = Kind::Fixed(order.to_le_bytes()[0], Residual::default());
                (fixed, order as usize)
            }
            32..=63 => {
                let linear = Kind::Linear(Linear::default(), Residual::default());
                (linear, code as usize - 31)
            }
            _ => return Err(Error::Format("a subframe of a reserved kind")),
        };
        if order > block {
            return Err(Error::Format("a prediction longer than its block"));
        }
        for _ in samples.len()..order {
            samples.push(bits.signed(depth)?);
        }
        let kind = match kind {
            Kind::Linear(..) => {
                let linear = Linear::read(bits, order)?;
                let (c, shift) = (&linear.coefficients, u32::from(linear.shift));
                let residual = Residual::read(bits, block, depth, c, shift, &mut samples)?;
                Kind::Linear(linear, residual)
            }
            Kind::Fixed(order, _) => {
                let c = FIXED.get(usize::from(order)).copied().unwrap_or_default();
                let residual = Residual::read(bits, block, depth, c, 0, &mut samples)?;
                Kind::Fixed(order, residual)
            }
            other => other,
        };
        if wasted > 0 {
            for sample in &mut samples {
                *sample <<= wasted;
            }
        }
        let wasted = u8::try_from(wasted).unwrap_or(0);
        Ok((Self { wasted, kind }, samples))
    }

    /// Writes samples without their wasted bits. The residual must be what the prediction misses of them.
    pub(super) fn write(
        &self,
        bits: &mut BitWriter,
        samples: &[i64],
        residual: &[i64],
        depth: u32,
    ) -> Result<(), Error> {
        let (code, order) = match &self.kind {
            Kind::Constant => (0, 1),
            Kind::Verbatim => (1, samples.len()),
            Kind::Fixed(order, _) => (8 + u64::from(*order), usize::from(*order)),
            Kind::Linear(linear, _) => {
                let order = linear.coefficients.len();
                (31 + order as u64, order)
            }
        };
        bits.bits(code, 7);
        bits.bits(u64::from(self.wasted > 0), 1);
        if let Some(zeros) = self.wasted.checked_sub(1) {
            bits.unary(u32::from(zeros));
        }
        let depth = depth.saturating_sub(u32::from(self.wasted));
        for sample in samples.iter().take(order) {
            bits.signed(*sample, depth);
        }
        match &self.kind {
            Kind::Constant | Kind::Verbatim => Ok(()),
            Kind::Fixed(_, how) => how.write(bits, samples.len(), residual),
            Kind::Linear(linear, how) => {
                linear.write(bits);
                how.write(bits, samples.len(), residual)
            }
        }
    }
}

impl Linear {
    fn read(bits: &mut BitReader<'_>, order: usize) -> Result<Self, Error> {
        let precision = bits.bits(4)? + 1;
        let shift = bits.bits(5)?;
        if precision == 16 || shift > 15 {
            return Err(Error::Unsupported("a prediction with a reserved precision"));
        }
        let mut coefficients = Vec::with_capacity(order);
        for _ in 0..order {
            coefficients.push(i32::try_from(bits.signed(precision)?).unwrap_or(0));
        }
        Ok(Self {
            precision: precision.to_le_bytes()[0],
            shift: shift.to_le_bytes()[0],
            coefficients,
        })
    }

    fn write(&self, bits: &mut BitWriter) {
        bits.bits(u64::from(self.precision) - 1, 4);
        bits.bits(u64::from(self.shift), 5);
        for coefficient in &self.coefficients {
            bits.signed(i64::from(*coefficient), u32::from(self.precision));
        }
    }
}

impl Residual {
    /// Bits of a parameter.
    pub(super) fn width(&self) -> u32 {
        if self.wide { 5 } else { 4 }
    }

    /// Reads a residual and with it the samples after the first ones.
    fn read(
        bits: &mut BitReader<'_>,
        block: usize,
        depth: u32,
        coefficients: &[i32],
        shift: u32,
        samples: &mut Vec<i64>,
    ) -> Result<Self, Error> {
        let method = bits.bits(2)?;
        if method > 1 {
            return Err(Error::Format("a residual of a reserved kind"));
        }
        let mut how = Self {
            wide: method == 1,
            order: bits.bits(4)?.to_le_bytes()[0],
            parameters: Vec::new(),
        };
        let (width, order) = (how.width(), coefficients.len());
        let range = i64::MIN >> (64 - depth)..=i64::MAX >> (64 - depth);
        for count in partitions(block, how.order, order)? {
            let parameter = bits.bits(width)?;
            let raw = (parameter + 1 == 1 << width)
                .then(|| bits.bits(5))
                .transpose()?;
            for _ in 0..count {
                let missed = match raw {
                    Some(count) => bits.signed(count)?,
                    None => unfold(bits, parameter)?,
                };
                let before = samples.get(samples.len() - order..).unwrap_or_default();
                let sample = predict(before, coefficients, shift) + missed;
                if !range.contains(&sample) {
                    return Err(Error::Format("a sample beyond its range"));
                }
                samples.push(sample);
            }
            let raw = raw.map(|bits| u32::from(RAW) + bits);
            how.parameters
                .push(raw.unwrap_or(parameter).to_le_bytes()[0]);
        }
        Ok(how)
    }

    fn write(&self, bits: &mut BitWriter, block: usize, residual: &[i64]) -> Result<(), Error> {
        bits.bits(u64::from(self.wide), 2);
        bits.bits(u64::from(self.order), 4);
        let predictor = block - residual.len();
        let mut rest = residual;
        for (count, parameter) in partitions(block, self.order, predictor)?.zip(&self.parameters) {
            let (here, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = after;
            if let Some(raw) = parameter.checked_sub(RAW) {
                let raw = u32::from(raw);
                bits.bits(u64::MAX, self.width());
                bits.bits(u64::from(raw), 5);
                for missed in here {
                    bits.signed(*missed, raw);
                }
            } else {
                bits.bits(u64::from(*parameter), self.width());
                let parameter = u32::from(*parameter);
                for missed in here {
                    let folded = fold(*missed);
                    let high = u32::try_from(folded >> parameter).unwrap_or(u32::MAX);
                    // A recipe for other samples must not make a file without end.
                    if high > MAX_UNARY || bits.bytes().len() > MAX_FRAME {
                        return Err(Error::Format("a recipe for other samples"));
                    }
                    if high + 1 + parameter <= 32 {
                        let low = folded & ((1 << parameter) - 1);
                        bits.bits(1 << parameter | low, high + 1 + parameter);
                    } else {
                        bits.unary(high);
                        bits.bits(folded, parameter);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Most zeros before a number's lower bits.
const MAX_UNARY: u32 = 1 << 20;

/// Signed numbers in the order 0, -1, 1, -2, ...
pub(super) fn fold(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn unfold(bits: &mut BitReader<'_>, parameter: u32) -> Result<i64, Error> {
    let high = bits.unary()?;
    if high > MAX_UNARY {
        return Err(Error::Unsupported("a residual beyond its range"));
    }
    let folded = u64::from(high) << parameter | u64::from(bits.bits(parameter)?);
    Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
}
