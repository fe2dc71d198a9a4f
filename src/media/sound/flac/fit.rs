//! Frames that take as many bytes as they are to take.

use super::Info;
use super::frame::{Header, MID_SIDE, SIZE_16, finish, split};
use super::subframe::{Kind, RAW, Residual, Subframe, fold, partitions, residual};
use crate::media::error::Error;
use crate::media::sound::bits::BitWriter;

/// Samples of the last frame of a piece.
pub(super) const TAIL: usize = 256;
/// Highest order of partitions (RFC 9639, section 7, for streams that any player takes).
const MAX_PARTITIONS: u8 = 8;
/// Most bits of a number in the clear.
const MAX_RAW: u8 = 31;
/// Partitions of the last frame whose parameters are chosen together.
const CHOSEN: usize = 16;

/// A partition of a residual: its numbers' sum for each parameter is what it costs.
fn cost(missed: &[i64], parameter: u8) -> u64 {
    let count = missed.len() as u64;
    if let Some(bits) = parameter.checked_sub(RAW) {
        return 5 + u64::from(bits) * count;
    }
    let beyond: u64 = missed.iter().map(|m| fold(*m) >> parameter).sum();
    (1 + u64::from(parameter)) * count + beyond
}

/// How large the numbers of a partition are.
#[derive(Debug, Clone, Copy)]
struct Sum {
    magnitudes: u64,
    count: u64,
}

impl Sum {
    fn with(&self, other: &Self) -> Self {
        Self {
            magnitudes: self.magnitudes + other.magnitudes,
            count: self.count + other.count,
        }
    }

    /// The parameter that takes about the fewest bits.
    fn parameter(&self) -> u8 {
        if self.magnitudes == 0 {
            return RAW;
        }
        let mean = self.magnitudes.saturating_sub(1).checked_div(self.count);
        let bits = u64::BITS - mean.unwrap_or(0).leading_zeros();
        bits.to_le_bytes()[0].min(30)
    }

    /// About what it takes then, in bits.
    fn cost(&self) -> u64 {
        let parameter = self.parameter();
        if parameter == RAW {
            return 9;
        }
        4 + (1 + u64::from(parameter)) * self.count + (self.magnitudes << 1 >> parameter)
    }
}

/// The sums of 2^`partition` partitions.
fn sums(missed: &[i64], block: usize, partition: u8, order: u8) -> Option<Vec<Sum>> {
    let mut rest = missed;
    let mut sums = Vec::new();
    for count in partitions(block, partition, usize::from(order)).ok()? {
        let (here, after) = rest.split_at_checked(count)?;
        rest = after;
        sums.push(Sum {
            magnitudes: here.iter().map(|m| m.unsigned_abs()).sum(),
            count: count as u64,
        });
    }
    Some(sums)
}

/// Bits that numbers take in the clear; none where they take too many.
fn clear(missed: &[i64]) -> Option<u8> {
    let set = missed.iter().fold(0, |set, m| set | fold(*m));
    let bits = (u64::BITS - set.leading_zeros()).to_le_bytes()[0];
    (bits <= MAX_RAW).then_some(bits)
}

/// A channel of a frame, ready to be written.
#[derive(Debug, Clone)]
struct Channel {
    how: Subframe,
    /// Samples without wasted bits.
    samples: Vec<i64>,
    missed: Vec<i64>,
    depth: u32,
    /// What it takes, in bits.
    bits: u64,
}

impl Channel {
    /// Some good way to code samples of so many bits.
    fn new(coded: &[i64], depth: u32) -> Self {
        let first = coded.first().copied().unwrap_or(0);
        if coded.iter().all(|sample| *sample == first) {
            return Self {
                how: Subframe::default(),
                samples: coded.to_vec(),
                missed: Vec::new(),
                depth,
                bits: 8 + u64::from(depth),
            };
        }
        Self::fixed(coded, depth, None).unwrap_or_else(|| Self::verbatim(coded, depth))
    }

    fn verbatim(coded: &[i64], depth: u32) -> Self {
        Self {
            how: Subframe {
                wasted: 0,
                kind: Kind::Verbatim,
            },
            samples: coded.to_vec(),
            missed: Vec::new(),
            depth,
            bits: 8 + u64::from(depth) * coded.len() as u64,
        }
    }

    /// A fixed prediction with about `chosen` partitions or as many as are good, if the residual allows for any.
    fn fixed(coded: &[i64], depth: u32, chosen: Option<usize>) -> Option<Self> {
        let set = coded.iter().fold(0, |set, sample| set | sample);
        let wasted = if set == 0 { 0 } else { set.trailing_zeros() };
        let samples: Vec<i64> = coded.iter().map(|sample| sample >> wasted).collect();
        let mut found: Option<(u64, u8, Vec<i64>)> = None;
        for order in 0..=4 {
            let kind = Kind::Fixed(order, Residual::default());
            let (c, shift) = kind.prediction()?;
            if samples.len() < 16 && order > 0 {
                break;
            }
            let missed = residual(&samples, c, shift);
            // Decoders have 32 bits for them.
            if missed
                .iter()
                .any(|m| i32::try_from(*m).is_err() || *m == i64::from(i32::MIN))
            {
                continue;
            }
            let sum: u64 = missed.iter().map(|m| m.unsigned_abs()).sum();
            let sum = sum + u64::from(order) * u64::from(depth);
            if found.as_ref().is_none_or(|(least, _, _)| sum < *least) {
                found = Some((sum, order, missed));
            }
        }
        let (_, order, missed) = found?;
        let most = match chosen {
            Some(chosen) => chosen.ilog2().to_le_bytes()[0].min(MAX_PARTITIONS),
            None => MAX_PARTITIONS,
        };
        // Partitions longer than the prediction, so that the first one is not empty.
        let fits =
            |partition: &u8| partitions(samples.len(), *partition, usize::from(order) + 1).is_ok();
        let mut orders = (0..=most).rev().filter(fits);
        let finest = orders.next()?;
        let mut least: Option<(u64, u8)> = None;
        let mut sums = sums(&missed, samples.len(), finest, order)?;
        for partition in (0..=finest).rev() {
            let cost: u64 = sums.iter().map(Sum::cost).sum();
            if least.is_none_or(|(least, _)| cost < least) {
                least = Some((cost, partition));
            }
            if chosen.is_some() {
                break;
            }
            sums = sums
                .as_chunks::<2>()
                .0
                .iter()
                .map(|[a, b]| a.with(b))
                .collect();
        }
        let (_, partition) = least?;
        let sums = self::sums(&missed, samples.len(), partition, order)?;
        let parameters: Vec<u8> = sums.iter().map(Sum::parameter).collect();
        let how = Residual {
            wide: chosen.is_some() || parameters.iter().any(|p| (15..RAW).contains(p)),
            order: partition,
            parameters,
        };
        let mut channel = Self {
            how: Subframe {
                wasted: wasted.to_le_bytes()[0],
                kind: Kind::Fixed(order, how),
            },
            samples,
            missed,
            depth,
            bits: 0,
        };
        channel.bits = channel.count();
        Some(channel)
    }

    /// Its residual: how it is coded, and the numbers of each partition.
    fn residual(&self) -> Option<(&Residual, Vec<&[i64]>)> {
        let Kind::Fixed(order, how) = &self.how.kind else {
            return None;
        };
        let counts = partitions(self.samples.len(), how.order, usize::from(*order)).ok()?;
        let mut rest = self.missed.as_slice();
        let parts = counts.map(|count| {
            let (here, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = after;
            here
        });
        Some((how, parts.collect()))
    }

    /// Bits that it takes with a fixed prediction.
    fn count(&self) -> u64 {
        let Some((how, parts)) = self.residual() else {
            return self.bits;
        };
        let order = self.samples.len() - self.missed.len();
        let wasted = u64::from(self.how.wasted);
        let fixed = 8 + wasted + order as u64 * (u64::from(self.depth) - wasted) + 6;
        let parts = parts.into_iter().zip(&how.parameters);
        let parts = parts.map(|(part, p)| u64::from(how.width()) + cost(part, *p));
        fixed + parts.sum::<u64>()
    }

    fn parameters_mut(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.how.kind {
            Kind::Fixed(_, how) => Some(&mut how.parameters),
            _ => None,
        }
    }

    /// Takes up to `slack` bits more, and says how many.
    fn absorb(&mut self, slack: u64) -> u64 {
        let Some((how, parts)) = self.residual() else {
            return 0;
        };
        let most = if how.wide { 30 } else { 14 };
        let mut left = slack;
        let mut parameters = how.parameters.clone();
        let count = parts.len();
        for (i, (part, parameter)) in parts.into_iter().zip(&mut parameters).enumerate() {
            let share = left / (count - i) as u64;
            let now = cost(part, *parameter);
            let mut taken = now;
            for next in *parameter + 1..=most {
                let bits = cost(part, next);
                if bits > now + share {
                    break;
                }
                if bits > taken {
                    (taken, *parameter) = (bits, next);
                }
            }
            if let Some(needed) = clear(part) {
                let room = (now + share)
                    .saturating_sub(5)
                    .checked_div(part.len() as u64);
                let bits = room.map_or(0, |room| room.min(u64::from(MAX_RAW)).to_le_bytes()[0]);
                let bits = (bits >= needed).then(|| (cost(part, RAW + bits), RAW + bits));
                if let Some((bits, raw)) = bits.filter(|(bits, _)| *bits > taken) {
                    (taken, *parameter) = (bits, raw);
                }
            }
            left -= taken - now;
        }
        if let Some(slot) = self.parameters_mut() {
            *slot = parameters;
        }
        self.bits += slack - left;
        slack - left
    }
}

/// A frame, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    header: Header,
    channels: Vec<Channel>,
}

impl Plan {
    pub(super) fn new(info: &Info, number: u64, samples: &[&[i32]], tail: bool) -> Option<Self> {
        let block = samples.first().map_or(0, |channel| channel.len());
        let size = (8..16).find(|code| 256 << (code - 8) == block);
        let mut header = Header {
            variable: true,
            size_code: size.unwrap_or(SIZE_16),
            block: u32::try_from(block).ok()?,
            assignment: u8::try_from(info.channels.checked_sub(1)?).ok()?,
            number,
            ..Header::default()
        };
        let channel = |coded: &[i64], second: bool, side: bool| {
            let depth = u32::from(info.bits) + u32::from(side);
            if tail && !second {
                Channel::fixed(coded, depth, Some((coded.len() / CHOSEN).max(1)))
            } else {
                Some(Channel::new(coded, depth))
            }
        };
        let mut channels = Vec::new();
        for (i, coded) in split(header.assignment, samples).iter().enumerate() {
            channels.push(channel(coded, i > 0, false)?);
        }
        if let ([left, right], [mid, side]) = (&channels[..], &split(MID_SIDE, samples)[..])
            && !tail
            // Not all players take sides of 33 bits.
            && info.bits < 32
            && let (Some(mid), Some(side)) =
                (channel(mid, false, false), channel(side, false, true))
        {
            // In the order of their codes: left and side, side and right, middle and side.
            let pairs = [(left, &side), (&side, right), (&mid, &side)];
            let pairs = (8..)
                .zip(pairs)
                .map(|(code, (a, b))| (a.bits + b.bits, code, a, b));
            let least = pairs.min_by_key(|(bits, ..)| *bits);
            if let Some((_, code, a, b)) = least.filter(|least| least.0 < left.bits + right.bits) {
                header.assignment = code;
                channels = vec![a.clone(), b.clone()];
            }
        }
        Some(Self { header, channels })
    }

    /// Bytes that it takes besides its channels.
    fn around(&self) -> u64 {
        let mut bits = BitWriter::default();
        self.header.write(&mut bits);
        bits.bytes().len() as u64 + 2
    }

    fn bits(&self) -> u64 {
        self.channels.iter().map(|channel| channel.bits).sum()
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.around() + self.bits().div_ceil(8)
    }

    /// Takes up to so many bytes more.
    pub(super) fn absorb(&mut self, slack: u64) {
        let mut left = slack * 8;
        let count = self.channels.len() as u64;
        for (i, channel) in (0..).zip(&mut self.channels) {
            left -= channel.absorb(left / (count - i));
        }
    }

    /// Silence takes no bytes at all: gives its channels partitions that can take some, as long as there are enough.
    pub(super) fn open(&mut self, mut slack: u64) {
        for channel in &mut self.channels {
            if channel.how.kind == Kind::Constant
                && let Some(open) = Channel::fixed(&channel.samples, channel.depth, Some(CHOSEN))
                && let Some(left) = slack.checked_sub(open.bits / 8)
            {
                slack = left;
                *channel = open;
            }
        }
    }

    /// Takes exactly so many bytes, if that is possible.
    pub(super) fn fill(&mut self, bytes: u64) -> Option<()> {
        let room = bytes.checked_sub(self.around())? * 8;
        let slack = room.checked_sub(self.bits())?;
        // Most goes where it fits; what the last partitions of the first channel can take is left for them.
        let (first, others) = self.channels.split_first_mut()?;
        let mut left = slack;
        for channel in others {
            left -= channel.absorb(left.saturating_sub(1024));
        }
        let (how, parts) = first.residual()?;
        let most = if how.wide { 30 } else { 14 };
        let fixed = parts.len().saturating_sub(CHOSEN);
        let free = parts.get(fixed..)?;
        let now: u64 = free
            .iter()
            .zip(how.parameters.get(fixed..)?)
            .map(|(part, p)| cost(part, *p))
            .sum();
        let target = usize::try_from(now + left).ok()?;
        if target > CHOSEN * TAIL * 64 {
            return None;
        }
        // For each number of bits the last parameter that leads there, partition after partition.
        let mut steps: Vec<Vec<u8>> = Vec::new();
        let mut reached = vec![false; target + 1];
        *reached.first_mut()? = true;
        let none = u8::MAX;
        for part in free {
            let least = clear(part).map(|bits| RAW + bits);
            let raws = least.into_iter().flat_map(|least| least..=RAW + MAX_RAW);
            let mut step = vec![none; target + 1];
            for parameter in (0..=most).chain(raws) {
                let bits = usize::try_from(cost(part, parameter)).ok()?;
                let to = step.get_mut(bits..).unwrap_or_default();
                for (to, from) in to.iter_mut().zip(&reached) {
                    if *from {
                        *to = parameter;
                    }
                }
            }
            reached = step.iter().map(|parameter| *parameter != none).collect();
            steps.push(step);
        }
        // The last byte may have up to seven bits of padding.
        let mut at = (target.saturating_sub(7)..=target)
            .rev()
            .find(|at| reached.get(*at) == Some(&true))?;
        let mut chosen = Vec::new();
        for (step, part) in steps.iter().zip(free).rev() {
            let parameter = *step.get(at)?;
            chosen.push(parameter);
            at = at.checked_sub(usize::try_from(cost(part, parameter)).ok()?)?;
        }
        let parameters = first.parameters_mut()?;
        parameters.truncate(fixed);
        parameters.extend(chosen.into_iter().rev());
        first.bits = first.count();
        (self.bytes() == bytes).then_some(())
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, Error> {
        let mut bits = BitWriter::default();
        self.header.write(&mut bits);
        for channel in &self.channels {
            channel
                .how
                .write(&mut bits, &channel.samples, &channel.missed, channel.depth)?;
        }
        Ok(finish(bits))
    }
}
