//! Files for degraded samples: metadata and frames that take as many bytes as the true ones.
//!
//! Frames are coded anew, with fixed predictions. Where they take too many bytes, samples lose lower bits; where they take
//! too few, Rice parameters grow beyond what is good, up to numbers in the clear. The last frame of a piece is a short one
//! with many partitions, whose parameters are chosen so that not a byte is left.

use super::fit::{Plan, TAIL};
use super::{Info, LEAST};
use crate::media::error::Error;
use crate::media::sound::bits::BitWriter;

/// Samples of a frame, in the order in which they are tried: the usual one, then what silence may want.
const BLOCKS: [usize; 5] = [4096, 32768, 16384, 8192, 2048];
/// How often samples that fit lose a bit more because no parameters take just the bytes that are left.
const MAX_TRIES: u32 = 3;
/// Most bytes of a block of metadata, with its header.
const MAX_BLOCK: usize = 4 + 0xff_ffff;

/// Lengths of the frames of a piece.
fn blocks(samples: usize, size: usize) -> Vec<usize> {
    let tail = match samples {
        0..32 => return vec![samples],
        32..512 => 1 << (samples / 2).ilog2(),
        _ => TAIL,
    };
    let body = samples - tail;
    let mut blocks = vec![size; body / size];
    // None but the last frame of all may have less than 16: what is left over shares with a whole one.
    match (blocks.pop(), body % size) {
        (None, rest) => blocks.push(rest),
        (Some(whole), 0) => blocks.push(whole),
        (Some(whole), rest) => {
            let half = (whole + rest).div_ceil(2);
            blocks.extend([whole + rest - half, half]);
        }
    }
    blocks.push(tail);
    blocks
}

/// Samples without their lower bits, rounded, within so many bits.
fn coarse(samples: &[Vec<i32>], bits: u8, lost: u32) -> Vec<Vec<i32>> {
    let most = i64::from(i32::MAX >> (32 - u32::from(bits)));
    let half = (1_i64 << lost) >> 1;
    let one = |sample: &i32| {
        let sample = i64::from(*sample).clamp(-most - 1, most);
        let rounded = (sample + half) >> lost << lost;
        let rounded = rounded.min(most >> lost << lost);
        i32::try_from(rounded).unwrap_or(0)
    };
    samples
        .iter()
        .map(|channel| channel.iter().map(one).collect())
        .collect()
}

impl Info {
    /// Metadata of a degraded file, `length` bytes: what this says, without a hash, and padding.
    ///
    /// # Errors
    /// [`Error::NoRoom`] for lengths that no metadata have.
    pub fn render_head(&self, length: usize) -> Result<Vec<u8>, Error> {
        let mut left = length.checked_sub(LEAST).ok_or(Error::NoRoom(length))?;
        let mut bits = BitWriter::default();
        bits.bits(0x664c_6143, 32);
        bits.bits(u64::from(left == 0), 1);
        bits.bits(34, 31);
        // Frames of any size, with numbers of samples.
        bits.bits(16, 16);
        bits.bits(0xffff, 16);
        bits.bits(0, 24);
        bits.bits(0, 24);
        bits.bits(u64::from(self.rate), 20);
        bits.bits(u64::from(self.channels.saturating_sub(1)), 3);
        bits.bits(u64::from(self.bits.saturating_sub(1)), 5);
        bits.bits(self.total >> 32, 4);
        bits.bits(self.total, 32);
        for _ in 0..4 {
            bits.bits(0, 32);
        }
        let mut head = bits.finish();
        while left > 0 {
            let mut block = left.min(MAX_BLOCK);
            // What follows has a header, too.
            if (1..4).contains(&(left - block)) {
                block -= 4;
            }
            let content = block.checked_sub(4).ok_or(Error::NoRoom(length))?;
            left -= block;
            let mut bits = BitWriter::default();
            bits.bits(u64::from(left == 0), 1);
            bits.bits(1, 7);
            bits.bits(content as u64, 24);
            head.extend(bits.finish());
            head.resize(head.len() + content, 0);
        }
        Ok(head)
    }

    /// Frames of `length` bytes that show degraded samples, the first of them sample `first` of the file. Samples beyond
    /// their range are cut off.
    ///
    /// Players stumble over zeros behind the last frame: where a file has bytes there, its last piece takes them, too.
    ///
    /// # Errors
    /// [`Error::Format`] for other channels, [`Error::NoRoom`] where no frames of these samples have the length.
    pub fn render(
        &self,
        first: u64,
        samples: &[Vec<i32>],
        length: usize,
    ) -> Result<Vec<u8>, Error> {
        let count = samples.first().map_or(0, Vec::len);
        if samples.len() != usize::from(self.channels)
            || samples.iter().any(|channel| channel.len() != count)
        {
            return Err(Error::Format("samples of other channels"));
        }
        if count == 0 && length == 0 {
            return Ok(Vec::new());
        }
        // Not even numbers in the clear take four bytes each.
        if length / 4 > count * samples.len() + TAIL {
            return Err(Error::NoRoom(length));
        }
        // A head that is left as it was says how long frames are, and players drop longer ones.
        let longest = match usize::from(self.longest) {
            0 => usize::MAX,
            longest => longest.max(TAIL),
        };
        let within = BLOCKS.iter().map(|size| *size.min(&longest));
        let beyond = BLOCKS.into_iter().filter(|size| *size > longest);
        let mut sizes: Vec<usize> = within.chain(beyond).collect();
        sizes.dedup();
        for size in sizes {
            let mut tries = 0;
            // All 32 bits would be too many for a residual.
            let mut lost = u32::from(self.bits == 32);
            loop {
                let samples = coarse(samples, self.bits, lost);
                let plans = self.plans(first, &samples, size);
                let mut plans = plans.ok_or(Error::NoRoom(length))?;
                let bytes: u64 = plans.iter().map(Plan::bytes).sum();
                let excess = bytes.saturating_sub(length as u64) * 8;
                if excess == 0 && spread(&mut plans, length as u64 - bytes, length as u64).is_some()
                {
                    let frames: Result<Vec<_>, _> = plans.iter().map(Plan::write).collect();
                    return frames.map(|frames| frames.concat());
                }
                tries += u32::from(excess == 0);
                if lost >= u32::from(self.bits) || tries > MAX_TRIES {
                    break;
                }
                let each = excess / (count.max(1) * samples.len()) as u64;
                let more = u32::try_from(each).unwrap_or(1).max(1);
                lost = (lost + more).min(u32::from(self.bits));
            }
        }
        Err(Error::NoRoom(length))
    }

    fn plans(&self, first: u64, samples: &[Vec<i32>], size: usize) -> Option<Vec<Plan>> {
        let count = samples.first().map_or(0, Vec::len);
        let mut at = 0;
        let mut plans = Vec::new();
        for block in blocks(count, size) {
            let end = at + block;
            let here: Option<Vec<&[i32]>> = samples.iter().map(|c| c.get(at..end)).collect();
            let number = first
                .checked_add(at as u64)
                .filter(|number| number >> 36 == 0)?;
            plans.push(Plan::new(self, number, &here?, end == count)?);
            at = end;
        }
        Some(plans)
    }
}

/// Makes frames take `slack` bytes more, `length` in all.
fn spread(plans: &mut [Plan], slack: u64, length: u64) -> Option<()> {
    let (last, others) = plans.split_last_mut()?;
    let (mut left, mut taken) = (slack, 0);
    let count = others.len() as u64;
    for (i, plan) in (0..).zip(others) {
        let before = plan.bytes();
        // What the last frame takes easily is left for it.
        if let Some(spare) = left.checked_sub(TAIL as u64) {
            plan.open(spare);
            let more = plan.bytes().saturating_sub(before);
            plan.absorb((spare / (count - i)).saturating_sub(more));
        }
        left = (left + before).checked_sub(plan.bytes())?;
        taken += plan.bytes();
    }
    last.fill(length.checked_sub(taken)?)
}
