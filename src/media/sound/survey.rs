//! A whole sound at a glance: the extremes and the energy of a bounded number of stretches of it.
//!
//! A survey reads a file of any length once, a piece at a time, and keeps *bins* of equal length, each a power of two of
//! frames: when there are too many, every two become one. What cannot be read takes its place in time all the same.

use std::io;
use std::ops::Range;

use super::flac::{Head, Info, MAX_FRAME, PieceReader};
use super::{Format, MAX_CHANNELS, Number, ParseError, Pcm};
use crate::media::error::Error;
use crate::media::sniff::{Kind, LOOK, sniff};

/// Bytes read at a time where a file has no segments.
const PIECE: u64 = 1 << 20;
/// Longest segment that is read at once.
const LONGEST: u64 = 64 << 20;
/// Most segments: a terabyte of the least that codecs make.
const MOST_SEGMENTS: u64 = 1 << 24;
/// Samples of all channels that are taken from FLAC frames before they are counted.
const BATCH: usize = 1 << 18;

/// What a range of a file is worth; the greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Worth {
    /// What was stored.
    #[default]
    Exact,
    /// Something like it.
    Soft,
    /// Nothing.
    Lost,
}

/// A file that is read range by range, whatever is left of it.
pub trait Ranges {
    /// Size in bytes.
    fn size(&self) -> u64;
    /// The range that is read together with byte `offset`, which lies in the file; `None` where ranges do not matter.
    fn segment(&self, offset: u64) -> Option<Range<u64>>;
    /// Fills `buf` from byte `offset` and says what that is worth; the range lies in the file.
    ///
    /// # Errors
    /// What says nothing about the range: the medium failed, or the work is to end.
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<Worth>;
}

/// A channel in a bin; full scale is that of 16 bits, whatever the file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Least sample.
    pub least: i16,
    /// Greatest sample.
    pub greatest: i16,
    /// Sum of the squares.
    pub squares: u64,
}

impl Default for Level {
    fn default() -> Self {
        Self {
            least: i16::MAX,
            greatest: i16::MIN,
            squares: 0,
        }
    }
}

/// Some frames on end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bin {
    /// Frames that could be read; with none there are no levels.
    pub frames: u64,
    /// The worst of them, also of those that could not be read.
    pub worth: Worth,
    /// Channels; those that the sound does not have stay empty.
    pub levels: [Level; MAX_CHANNELS as usize],
}

impl Bin {
    fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.worth = self.worth.max(other.worth);
        for (level, other) in self.levels.iter_mut().zip(&other.levels) {
            level.least = level.least.min(other.least);
            level.greatest = level.greatest.max(other.greatest);
            level.squares = level.squares.saturating_add(other.squares);
        }
    }
}

/// What was seen of a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Channels, 1..=8.
    pub channels: usize,
    /// Frames a second; 0 where nobody knows.
    pub rate: u32,
    /// Frames of the sound.
    pub frames: u64,
    /// Frames that were looked at, or could not be: fewer where the sound is so long that only parts of it, equally far
    /// from each other, stand for the whole.
    pub seen: u64,
    /// Frames of a bin: a power of two.
    pub span: u64,
    /// Bins of those seen, one after the other.
    pub bins: Vec<Bin>,
}

impl Survey {
    /// Looks over a file in up to `bins` bins, at least two. Of a file in segments at most `segments` are read.
    ///
    /// # Errors
    /// [`ParseError::Media`] for what is not sound, or whose headers cannot be read; [`ParseError::Io`] from the file.
    pub fn of(file: &mut dyn Ranges, bins: usize, segments: u64) -> Result<Self, ParseError> {
        let size = file.size();
        let mut head = Window {
            file: &mut *file,
            start: 0,
            bytes: Vec::new(),
        };
        let mut source = |offset: u64, buf: &mut [u8]| head.read(offset, buf);
        let mut first = [0; LOOK];
        let there = usize::try_from(size).map_or(LOOK, |size| size.min(LOOK));
        let first = first.get_mut(..there).unwrap_or_default();
        source(0, first)?;
        if sniff(first) == Some(Kind::Flac) {
            let head = Head::parse(size, &mut source)?;
            return flac(file, head, bins, segments);
        }
        let pcm = Pcm::find(size, &mut source)?;
        plain(file, &pcm, bins, segments)
    }

    fn new(channels: u16, rate: u32) -> Self {
        Self {
            channels: usize::from(channels),
            rate,
            frames: 0,
            seen: 0,
            span: 1,
            bins: Vec::new(),
        }
    }

    /// The worst of all that was seen.
    #[must_use]
    pub fn worth(&self) -> Worth {
        let all = self.bins.iter().map(|bin| bin.worth);
        all.max().unwrap_or_default()
    }

    /// The bin that the next frame goes to, and how many frames fit; there are at most `most` bins.
    fn next(&mut self, most: usize) -> (Option<&mut Bin>, u64) {
        let most = most.max(2);
        if self.seen == self.span.saturating_mul(most as u64) {
            let pairs = self.bins.chunks(2).map(|pair| {
                let mut sum = Bin::default();
                for bin in pair {
                    sum.add(bin);
                }
                sum
            });
            self.bins = pairs.collect();
            self.span = self.span.saturating_mul(2);
        }
        let room = self.span - self.seen % self.span;
        if room == self.span {
            self.bins.push(Bin::default());
        }
        (self.bins.last_mut(), room)
    }

    /// Adds frames of samples, `scale` of which make full scale in 16 bits.
    fn add(&mut self, samples: &[Vec<i32>], scale: Scale, worth: Worth, most: usize) {
        let frames = samples.iter().map(Vec::len).min().unwrap_or(0);
        let mut at = 0;
        while at < frames {
            let (bin, room) = self.next(most);
            let here = usize::try_from(room).map_or(frames - at, |room| room.min(frames - at));
            let mut sum = Bin {
                frames: here as u64,
                worth,
                ..Bin::default()
            };
            for (level, channel) in sum.levels.iter_mut().zip(samples) {
                for sample in channel.get(at..at + here).unwrap_or_default() {
                    let sample = scale.level(*sample);
                    level.least = level.least.min(sample);
                    level.greatest = level.greatest.max(sample);
                    level.squares += u64::from(sample.unsigned_abs()).pow(2);
                }
            }
            if let Some(bin) = bin {
                bin.add(&sum);
            }
            self.seen = self.seen.saturating_add(here as u64);
            at += here;
        }
    }

    /// Adds frames that cannot be read.
    fn lose(&mut self, frames: u64, most: usize) {
        let end = self.seen.saturating_add(frames);
        while self.seen < end {
            let (bin, room) = self.next(most);
            if let Some(bin) = bin {
                bin.worth = Worth::Lost;
            }
            self.seen += room.min(end - self.seen);
        }
    }
}

/// How samples become those of 16 bits.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// Integers of so many bits, after they have been moved up.
    Bits { up: u8, bits: u8 },
    /// Parts of 1, so many binary places down.
    Binary(u8),
}

impl Scale {
    fn level(self, sample: i32) -> i16 {
        let sample = i64::from(sample);
        let level = match self {
            Self::Bits { up, bits } => {
                let whole = sample << up.min(31);
                if bits > 16 {
                    whole >> (bits - 16).min(16)
                } else {
                    // What has few bits is small, but in a file that lies.
                    whole.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) << (16 - bits)
                }
            }
            Self::Binary(down) => (sample << 15) >> down.min(63),
        };
        let level = level.clamp(i64::from(i16::MIN), i64::from(i16::MAX));
        i16::try_from(level).unwrap_or(0)
    }
}

/// Headers of a file: many small reads of the same segment.
struct Window<'a> {
    file: &'a mut dyn Ranges,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    fn read(&mut self, offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        while !buf.is_empty() {
            let skip = at.checked_sub(self.start).map(usize::try_from);
            let skip = skip.and_then(Result::ok).unwrap_or(usize::MAX);
            let here = self.bytes.get(skip..).unwrap_or_default();
            if here.is_empty() {
                self.fill(at)?;
                continue;
            }
            let length = here.len().min(buf.len());
            let (piece, rest) = buf.split_at_mut(length);
            piece.copy_from_slice(here.get(..length).unwrap_or_default());
            at += length as u64;
            buf = rest;
        }
        Ok(())
    }

    /// Reads what lies around byte `at`.
    fn fill(&mut self, at: u64) -> io::Result<()> {
        let size = self.file.size();
        if at >= size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let near = at..at.saturating_add(PIECE >> 4).min(size);
        let segment = self.file.segment(at);
        let whole = segment.filter(|s| s.contains(&at) && s.end - s.start <= LONGEST);
        let range = whole.unwrap_or(near);
        self.start = range.start;
        self.bytes = vec![0; usize::try_from(range.end.min(size) - range.start).unwrap_or(0)];
        match self.file.read(range.start, &mut self.bytes)? {
            Worth::Lost => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the beginning cannot be read",
            )),
            Worth::Exact | Worth::Soft => Ok(()),
        }
    }
}

/// Takes a range of a file.
type Take<'t> = &'t mut dyn FnMut(&mut dyn Ranges, Range<u64>) -> Result<(), ParseError>;

/// Calls `each` with ranges of `data`, in order: with segments, or at most so many of them, and how many those are of all,
/// else with pieces of whole units of `unit` bytes.
fn walk(
    file: &mut dyn Ranges,
    data: &Range<u64>,
    unit: u64,
    most: u64,
    each: Take<'_>,
) -> Result<bool, ParseError> {
    let piece = (PIECE / unit.max(1)).max(1) * unit.max(1);
    let next = |file: &dyn Ranges, at: u64| {
        let end = match file.segment(at) {
            Some(segment) => segment.end.min(at.saturating_add(LONGEST)),
            None => at.saturating_add(piece),
        };
        end.max(at + 1).min(data.end)
    };
    let segments = data.start < data.end && file.segment(data.start).is_some();
    let (mut count, mut at) = (0_u64, data.start);
    while segments && at < data.end {
        at = next(file, at);
        count += 1;
        if count > MOST_SEGMENTS {
            return Err(Error::Limit("segments").into());
        }
    }
    // Of `count` the middle one of each of `most` equal parts.
    let middle = |part: u64| {
        let twice = u128::from(2 * part + 1) * u128::from(count);
        twice.checked_div(2 * u128::from(most))
    };
    let (mut index, mut part, mut at) = (0_u64, 0_u64, data.start);
    while at < data.end {
        let end = next(file, at);
        if count <= most || middle(part) == Some(index.into()) {
            each(file, at..end)?;
            part += 1;
        }
        index += 1;
        at = end;
    }
    Ok(count > most)
}

/// A file of samples as they are.
fn plain(
    file: &mut dyn Ranges,
    pcm: &Pcm,
    bins: usize,
    segments: u64,
) -> Result<Survey, ParseError> {
    let (format, data) = (pcm.format, &pcm.data);
    let unit = format.frame_bytes().max(1) as u64;
    let mut survey = Survey::new(format.channels, format.rate);
    let mut buffer = Vec::new();
    let sampled = walk(file, data, unit, segments, &mut |file, range| {
        // A frame on the border of two segments is in neither.
        let start = (range.start - data.start).div_ceil(unit);
        let frames = ((range.end - data.start) / unit).saturating_sub(start);
        buffer.resize(usize::try_from(frames * unit).unwrap_or(0), 0);
        let worth = file.read(data.start + start * unit, &mut buffer)?;
        if worth == Worth::Lost {
            survey.lose(frames, bins);
            return Ok(());
        }
        let piece = format.read(&buffer)?;
        survey.add(&piece.samples, scale(format, piece.scale), worth, bins);
        Ok(())
    })?;
    survey.frames = if sampled {
        (data.end - data.start) / unit
    } else {
        survey.seen
    };
    Ok(survey)
}

fn scale(format: Format, scale: u8) -> Scale {
    match format.encoding.number {
        Number::Float => Scale::Binary(scale),
        Number::Signed | Number::Unsigned => Scale::Bits {
            up: scale,
            bits: format.bits(),
        },
    }
}

/// A FLAC file. Where no frame can be read, segments count as many as those that can.
fn flac(
    file: &mut dyn Ranges,
    head: Head,
    bins: usize,
    segments: u64,
) -> Result<Survey, ParseError> {
    let info = head.info;
    let scale = Scale::Bits {
        up: 0,
        bits: info.bits,
    };
    let mut survey = Survey::new(info.channels, info.rate);
    let mut window = Vec::new();
    // Segments that are lost, of a length to be found out, and the length of one.
    let (mut lost, mut usual) = (0_u64, 0_u64);
    let mut end = head.frames;
    let mut worst = Worth::Exact;
    let data = head.frames..file.size();
    let sampled = walk(file, &data, 1, segments, &mut |file, range| {
        if range.start != end {
            window.clear();
            worst = Worth::Exact;
        }
        end = range.end;
        let have = window.len();
        window.resize(
            have + usize::try_from(range.end - range.start).unwrap_or(0),
            0,
        );
        let worth = file.read(range.start, window.get_mut(have..).unwrap_or_default())?;
        if worth == Worth::Lost {
            window.clear();
            worst = Worth::Exact;
            lost += 1;
            return Ok(());
        }
        worst = worst.max(worth);
        if lost > 0 {
            if usual == 0 {
                usual = batches(info, &window, &mut |_| {}).1;
            }
            survey.lose(lost.saturating_mul(usual), bins);
            lost = 0;
        }
        let (taken, frames) = batches(info, &window, &mut |samples| {
            survey.add(samples, scale, worst, bins);
        });
        usual = usual.max(frames);
        window.drain(..taken);
        if taken > 0 {
            worst = worth;
        }
        // A frame that goes on in the next segment, or no frame.
        if window.len() > MAX_FRAME {
            window.clear();
        }
        Ok(())
    })?;
    let claimed = (info.total > 0).then_some(info.total);
    if sampled {
        survey.lose(lost.saturating_mul(usual), bins);
        survey.frames = claimed.unwrap_or(survey.seen).max(survey.seen);
    } else {
        let left = claimed.map(|total| total.saturating_sub(survey.seen));
        survey.lose(left.unwrap_or(lost.saturating_mul(usual)), bins);
        survey.frames = survey.seen;
    }
    Ok(survey)
}

/// Decodes the FLAC frames that `bytes` begin with, a limited number at a time; returns their bytes, and the samples of
/// each channel.
fn batches(info: Info, bytes: &[u8], each: &mut dyn FnMut(&[Vec<i32>])) -> (usize, u64) {
    let channels = usize::from(info.channels.max(1));
    let (mut taken, mut frames) = (0, 0);
    loop {
        let mut reader = PieceReader::new(info);
        let start = taken;
        while reader.frames() * channels < BATCH
            && let Ok(length) = reader.take(bytes.get(taken..).unwrap_or_default())
        {
            taken += length;
        }
        if taken == start {
            return (taken, frames);
        }
        frames += reader.frames() as u64;
        each(&reader.finish().0);
    }
}

#[cfg(test)]
mod tests;
