//! Recipes of frames: everything but the samples, coded with models that expect what encoders do.
//!
//! The residual of a frame follows from its samples and its predictions, and good parameters follow from the residual:
//! they cost next to nothing where an encoder chose as libFLAC does, or by any other rule that the sizes of the residual
//! tell. What remains are the coefficients of linear predictions.

use super::Info;
use super::frame::Header;
use super::subframe::residual;
use super::subframe::{Kind, Linear, MAX_ORDER, RAW, Residual, Subframe, partitions};
use crate::coding::binary::{Bit, Coder, Number, Symbol};
use crate::media::error::Error;

/// Highest order of partitions that parameters are estimated for.
const MAX_ESTIMATED: u8 = 8;

/// Models of the frames of a piece.
#[derive(Debug, Clone)]
pub(super) struct Models {
    last: Option<Header>,
    more: Bit,
    same: Bit,
    following: Bit,
    assignment: Vec<Symbol<4>>,
    channels: Vec<Channel>,
}

/// Models of the subframes of a channel.
#[derive(Debug, Clone)]
struct Channel {
    /// The kind of the last subframe, and the order of its prediction.
    kind: u8,
    order: u8,
    /// The highest order of partitions seen.
    partitions: u8,
    wasted: Bit,
    kinds: Vec<Symbol<2>>,
    orders: Vec<Symbol<5>>,
    precision: Symbol<4>,
    shift: Symbol<4>,
    signs: Vec<Bit>,
    sizes: Vec<Number>,
    wide: [Bit; 2],
    partition: Vec<Symbol<4>>,
    parameter: Vec<Symbol<2>>,
    other: Symbol<6>,
}

impl Channel {
    fn new() -> Self {
        Self {
            kind: 0,
            order: 0,
            partitions: 0,
            wasted: Bit::new(),
            kinds: vec![Symbol::new(); 8],
            orders: vec![Symbol::new(); MAX_ORDER + 1],
            precision: Symbol::new(),
            shift: Symbol::new(),
            signs: vec![Bit::new(); MAX_ORDER],
            sizes: vec![Number::new(); MAX_ORDER],
            wide: [Bit::new(); 2],
            partition: vec![Symbol::new(); 16],
            parameter: vec![Symbol::new(); 32],
            other: Symbol::new(),
        }
    }
}

/// A symbol with the model of a context; contexts are in range by construction.
fn coded<const BITS: u32>(
    models: &mut [Symbol<BITS>],
    context: usize,
    coder: &mut impl Coder,
    value: u8,
) -> u8 {
    match models.get_mut(context) {
        Some(model) => model.code(coder, value),
        None => Symbol::<BITS>::new().code(coder, value),
    }
}

fn small(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

impl Models {
    pub(super) fn new(channels: u16) -> Self {
        Self {
            last: None,
            more: Bit::new(),
            same: Bit::new(),
            following: Bit::new(),
            assignment: vec![Symbol::new(); 16],
            channels: vec![Channel::new(); usize::from(channels)],
        }
    }

    /// Codes whether there is another frame.
    pub(super) fn more(&mut self, coder: &mut impl Coder, more: bool) -> bool {
        coder.bit(&mut self.more, more)
    }

    /// Codes a header.
    pub(super) fn header(
        &mut self,
        coder: &mut impl Coder,
        header: &Header,
        info: &Info,
    ) -> Result<Header, Error> {
        let last = self.last;
        let same = last.is_some_and(|last| {
            let like = Header {
                number: header.number,
                assignment: header.assignment,
                ..last
            };
            *header == like
        });
        let mut out = *header;
        match last {
            Some(last) if coder.bit(&mut self.same, same) => out = last,
            _ => {
                out.variable = coder.raw(u32::from(header.variable), 1) == 1;
                out.size_code = small(coder.raw(u32::from(header.size_code), 4));
                out.block = coder.raw(header.block.wrapping_sub(1), 16) + 1;
                out.rate_code = small(coder.raw(u32::from(header.rate_code), 4));
                let rate = coder.raw(u32::from(header.rate), 16);
                out.rate = u16::try_from(rate).unwrap_or(0);
                out.bits_code = small(coder.raw(u32::from(header.bits_code), 3));
            }
        }
        let next = last.map(|last| last.next()).filter(|next| next >> 36 == 0);
        match next {
            Some(next) if coder.bit(&mut self.following, header.number == next) => {
                out.number = next;
            }
            _ => {
                let part =
                    |shift: u32| u32::try_from(header.number >> shift & 0x3_ffff).unwrap_or(0);
                let high = coder.raw(part(18), 18);
                out.number = u64::from(high) << 18 | u64::from(coder.raw(part(0), 18));
            }
        }
        let context = last.map_or(0, |last| usize::from(last.assignment));
        out.assignment = coded(&mut self.assignment, context, coder, header.assignment);
        out.check(info)?;
        self.last = Some(out);
        Ok(out)
    }

    /// Codes how a channel is coded; returns that, its samples without wasted bits, and its residual.
    pub(super) fn subframe(
        &mut self,
        coder: &mut impl Coder,
        channel: usize,
        value: &Subframe,
        samples: &[i64],
    ) -> Result<(Subframe, Vec<i64>, Vec<i64>), Error> {
        let models = self.channels.get_mut(channel);
        let models = models.ok_or(Error::Format("a recipe for other channels"))?;
        let set = samples.iter().fold(0, |set, sample| set | sample);
        let zeros = if set == 0 {
            0
        } else {
            small(set.trailing_zeros())
        };
        let wasted = if coder.bit(&mut models.wasted, value.wasted == zeros) {
            zeros
        } else {
            small(coder.raw(u32::from(value.wasted), 6))
        };
        if wasted > 31 {
            return Err(Error::Format("a recipe for other samples"));
        }
        let samples: Vec<i64> = samples.iter().map(|sample| sample >> wasted).collect();
        let kind = models.kind(coder, &value.kind, &samples)?;
        let missed = match kind.prediction() {
            Some((c, shift)) => residual(&samples, c, shift),
            None => Vec::new(),
        };
        let kind = match (kind, &value.kind) {
            (Kind::Fixed(order, _), Kind::Fixed(_, how)) => {
                Kind::Fixed(order, models.residual(coder, how, samples.len(), &missed)?)
            }
            (Kind::Linear(linear, _), Kind::Linear(_, how)) => {
                Kind::Linear(linear, models.residual(coder, how, samples.len(), &missed)?)
            }
            (Kind::Fixed(order, how), _) => {
                Kind::Fixed(order, models.residual(coder, &how, samples.len(), &missed)?)
            }
            (Kind::Linear(linear, how), _) => Kind::Linear(
                linear,
                models.residual(coder, &how, samples.len(), &missed)?,
            ),
            (other, _) => other,
        };
        Ok((Subframe { wasted, kind }, samples, missed))
    }
}

impl Channel {
    /// The kind with its prediction, and a residual without parameters.
    fn kind(
        &mut self,
        coder: &mut impl Coder,
        value: &Kind,
        samples: &[i64],
    ) -> Result<Kind, Error> {
        let even = samples
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a == b));
        let context = usize::from(self.kind) + if even { 4 } else { 0 };
        let number = match value {
            Kind::Constant => 0,
            Kind::Verbatim => 1,
            Kind::Fixed(..) => 2,
            Kind::Linear(..) => 3,
        };
        self.kind = coded(&mut self.kinds, context, coder, number);
        let empty = Linear::default();
        let (order, linear) = match value {
            Kind::Fixed(order, _) => (*order, &empty),
            Kind::Linear(linear, _) => (small_order(linear), linear),
            _ => (0, &empty),
        };
        Ok(match self.kind {
            0 => Kind::Constant,
            1 => Kind::Verbatim,
            2 => {
                let order = coded(&mut self.orders, usize::from(self.order), coder, order);
                if order > 4 || usize::from(order) > samples.len() {
                    return Err(Error::Format("a prediction longer than its block"));
                }
                self.order = order;
                Kind::Fixed(order, Residual::default())
            }
            _ => {
                // 32 has no symbol, 0 is no order.
                let order = coded(&mut self.orders, usize::from(self.order), coder, order & 31);
                let order = if order == 0 { 32 } else { order };
                if usize::from(order) > samples.len() {
                    return Err(Error::Format("a prediction longer than its block"));
                }
                self.order = order;
                Kind::Linear(self.linear(coder, linear, order), Residual::default())
            }
        })
    }

    fn linear(&mut self, coder: &mut impl Coder, value: &Linear, order: u8) -> Linear {
        let precision = self.precision.code(coder, value.precision).max(1);
        let shift = self.shift.code(coder, value.shift);
        let models = self.signs.iter_mut().zip(&mut self.sizes);
        let mut coefficients = Vec::with_capacity(usize::from(order));
        for (i, (sign, size)) in models.enumerate().take(usize::from(order)) {
            let value = value.coefficients.get(i).copied().unwrap_or(0);
            let magnitude = size
                .code(coder, value.unsigned_abs())
                .min(1 << (precision - 1));
            let negative = magnitude != 0 && coder.bit(sign, value < 0);
            let magnitude = magnitude.cast_signed();
            coefficients.push(if negative { -magnitude } else { magnitude });
        }
        Linear {
            precision,
            shift,
            coefficients,
        }
    }

    fn residual(
        &mut self,
        coder: &mut impl Coder,
        value: &Residual,
        block: usize,
        missed: &[i64],
    ) -> Result<Residual, Error> {
        let predictor = block - missed.len();
        let (expected, estimates) = self.estimate(block, predictor, missed);
        let context = usize::from(expected);
        let order = coded(&mut self.partition, context, coder, value.order);
        self.partitions = self.partitions.max(order.min(MAX_ESTIMATED));
        let estimates = match estimates.into_iter().nth(usize::from(order)) {
            Some(estimates) => estimates,
            None => estimate(block, order, predictor, missed)?,
        };
        let great = estimates.iter().any(|e| e.parameter > 14);
        let [few, many] = &mut self.wide;
        let wide = coder.bit(if great { many } else { few }, value.wide);
        let most = if wide { 30 } else { 14 };
        let mut parameters = Vec::with_capacity(estimates.len());
        for (i, estimate) in estimates.iter().enumerate() {
            let expected = estimate.parameter.min(most);
            let value = value.parameters.get(i).copied().unwrap_or(0);
            let near = match i16::from(value) - i16::from(expected) {
                0 => 0,
                1 => 1,
                -1 => 2,
                _ => 3,
            };
            let context = usize::from(estimate.fraction);
            parameters.push(match coded(&mut self.parameter, context, coder, near) {
                0 => expected,
                1 => expected + 1,
                2 => expected.saturating_sub(1),
                _ => self.other.code(coder, value),
            });
        }
        // The highest parameter stands for bits in the clear.
        if parameters.iter().any(|p| *p > most && *p < RAW) {
            return Err(Error::Format("a recipe with a reserved parameter"));
        }
        Ok(Residual {
            wide,
            order,
            parameters,
        })
    }

    /// The order of partitions that takes the fewest bits, and parameters for all orders up to the highest seen.
    fn estimate(&self, block: usize, predictor: usize, missed: &[i64]) -> (u8, Vec<Vec<Estimate>>) {
        let mut all: Vec<Vec<Estimate>> = Vec::new();
        let mut highest = self.partitions;
        while highest > 0 && (!block.is_multiple_of(1 << highest) || block >> highest <= predictor)
        {
            highest -= 1;
        }
        let Ok(finest) = estimate(block, highest, predictor, missed) else {
            return (0, all);
        };
        all.push(finest);
        for _ in 0..highest {
            let finer = all.last().map(Vec::as_slice).unwrap_or_default();
            let pairs = finer.as_chunks::<2>().0.iter();
            all.push(
                pairs
                    .map(|[a, b]| Estimate::new(a.sum + b.sum, a.count + b.count))
                    .collect(),
            );
        }
        all.reverse();
        let costs = all
            .iter()
            .map(|order| order.iter().map(Estimate::cost).sum::<u64>());
        // Of equals the highest, as libFLAC begins there.
        let best = costs
            .enumerate()
            .min_by_key(|(i, cost)| (*cost, usize::MAX - i));
        let best = best.map_or(0, |(order, _)| order);
        (u8::try_from(best).unwrap_or(0), all)
    }
}

fn small_order(linear: &Linear) -> u8 {
    u8::try_from(linear.coefficients.len()).unwrap_or(0)
}

/// What is known of a partition, and the parameter that libFLAC would choose.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    /// Sum of magnitudes.
    sum: u64,
    count: u64,
    parameter: u8,
    /// Where between two parameters the mean is: a context.
    fraction: u8,
}

impl Estimate {
    fn new(sum: u64, count: u64) -> Self {
        let mean = sum.saturating_sub(1).checked_div(count).unwrap_or(0);
        let parameter = u64::BITS - mean.leading_zeros();
        // The mean in eighths of its highest bit, and whether there is any.
        let eighths = (sum << 4 >> parameter).checked_div(count).unwrap_or(0);
        let fraction = eighths.min(31);
        Self {
            sum,
            count,
            parameter: small(parameter).min(30),
            fraction: u8::try_from(fraction).unwrap_or(0),
        }
    }

    /// About how many bits the partition takes, as libFLAC counts.
    fn cost(&self) -> u64 {
        let parameter = u64::from(self.parameter);
        let beyond = match self.parameter.checked_sub(1) {
            Some(shift) => self.sum >> shift,
            None => self.sum << 1,
        };
        (4 + (1 + parameter) * self.count + beyond).saturating_sub(self.count >> 1)
    }
}

/// The partitions of an order.
fn estimate(
    block: usize,
    order: u8,
    predictor: usize,
    missed: &[i64],
) -> Result<Vec<Estimate>, Error> {
    let mut rest = missed;
    let mut estimates = Vec::new();
    for count in partitions(block, order, predictor)? {
        let (here, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        rest = after;
        let sum = here.iter().map(|missed| missed.unsigned_abs()).sum();
        estimates.push(Estimate::new(sum, count as u64));
    }
    Ok(estimates)
}
