//! Coding a pack: the way that gives the fewest bytes, where a slower reading must pay for itself.

use std::io;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::index::Kind;
use super::shared::Shared;
use super::{Proof, UNIT, proof, reuse};
use crate::codec::{CodecError, Effort};
use crate::coding::hash::Digest;
use crate::coding::phrases::{self, Learned};

/// Bytes that every zstd frame begins with, and units do not.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes of a zstd dictionary at most.
pub(super) const DICTIONARY: usize = 112 << 10;
/// A zstd dictionary has one byte for so many of its pack, or fewer.
const SHARE: usize = 32;
/// Shorter dictionaries are not worth trying.
const LEAST_DICTIONARY: usize = 2 << 10;
/// Coded units must save one byte in so many.
const GAIN: usize = 64;
/// Phrases must save one byte in so many of what zstd takes, which is read faster.
const FASTER: usize = 50;
/// Where they save one byte in so many of what zstd takes without a dictionary, one for zstd is not looked for.
const CLEARLY: usize = 6;
/// Packs from this size on learn for themselves, too.
const LARGE: usize = 4 << 20;
/// Smaller ones do not where a shared dictionary saves one byte in so many of what zstd takes.
const SUITS: usize = 10;
/// One unit in so many is tried before all are coded.
const SAMPLED: usize = 8;
/// A unit with a call for so many of its bytes is taken for code.
const CALLS: usize = 512;
/// Units that are tried at least.
const TRIED: usize = 32;

/// A pack, coded.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) kind: Kind,
    pub(super) dictionary: Vec<u8>,
    /// The dictionary in its place that files share.
    pub(super) shared: Option<Digest>,
    pub(super) units: Vec<Unit>,
}

/// A unit, coded.
#[derive(Debug)]
pub(super) struct Unit {
    /// Nothing for zeros; the unit itself where nothing is shorter.
    pub(super) coded: Vec<u8>,
    /// Whether it was coded with targets of branches instead of distances.
    pub(super) filtered: bool,
    /// The hash of the unit.
    pub(super) proof: Proof,
}

/// The zstd level. Whole files in % of the original at MB/s of one core of a busy machine, with phrases but for `fast`;
/// in brackets what zstd alone makes of them:
///
/// | effort | level | text | logs | source |
/// |---|---|---|---|---|
/// | fast | 6 | 37.6 % at 23 | 8.1 % at 35 | 15.0 % at 40 |
/// | normal | 12 | 24.1 % at 3.8 (35.6 %) | 7.0 % at 4.8 (7.6 %) | 11.4 % at 3.6 (14.4 %) |
/// | archive | 19 | 23.3 % at 1.6 (34.3 %) | 6.7 % at 2.1 (6.9 %) | 10.7 % at 1.6 (13.7 %) |
fn level(effort: Effort) -> i32 {
    match effort {
        Effort::Fast => 6,
        Effort::Normal => 12,
        Effort::Archive => 19,
    }
}

/// Codes the notes of a pack, which are changed; `shared` dictionaries are tried.
///
/// # Errors
/// [`CodecError::Cancelled`], and what zstd says.
pub(super) fn pack(
    notes: &mut [u8],
    effort: Effort,
    shared: &[Shared],
    cancelled: &dyn Fn() -> bool,
) -> Result<Packed, CodecError> {
    let go_on = || {
        if cancelled() {
            Err(CodecError::Cancelled)
        } else {
            Ok(())
        }
    };
    let proofs: Vec<Proof> = notes.chunks(UNIT).map(proof).collect();
    let mut filtered = Vec::with_capacity(proofs.len());
    for (i, unit) in notes.chunks_mut(UNIT).enumerate() {
        let code = is_code(unit);
        if code {
            phrases::x86(unit, (i * UNIT) as u64, true);
        }
        filtered.push(code);
    }
    go_on()?;
    let mut frames = Frames::new(notes, level(effort), &[])?;
    go_on()?;
    let most = notes.len() - notes.len() / GAIN;
    // What phrases save is known last of all, but mostly it is so much that this may wait for it.
    let at_once = effort == Effort::Fast || notes.len() < LARGE || frames.estimate >= most;
    if at_once {
        frames.learn(notes, effort)?;
        go_on()?;
    }
    let mut kind = Kind::Raw;
    let mut dictionary = Vec::new();
    let mut units = Vec::new();
    let known = likeliest(shared, notes);
    let (known, promised) = known.map_or((None, usize::MAX), |(known, n)| (Some(known), n));
    if frames.estimate < most {
        let learn = |how| phrases::learn(notes, how, cancelled).map(worded);
        let estimate = frames.estimate;
        let suits = notes.len() < LARGE && promised < estimate - estimate / SUITS;
        let learned = match effort {
            // What others have learned is as good, or better.
            _ if suits => None,
            Effort::Fast => None,
            Effort::Normal => learn(phrases::Effort::Fast),
            Effort::Archive => learn(phrases::Effort::Full),
        };
        go_on()?;
        let total = learned.as_ref().map_or(usize::MAX, |(dictionary, units)| {
            dictionary.len() + units.iter().map(Vec::len).sum::<usize>()
        });
        if !at_once && total.min(promised) >= estimate - estimate / CLEARLY {
            frames.learn(notes, effort)?;
            go_on()?;
        }
        let estimate = frames.estimate;
        let known = known.filter(|_| promised < total.min(estimate - estimate / FASTER));
        match learned {
            _ if known.is_some() => {
                kind = Kind::Shared;
                let all = notes.chunks(UNIT).enumerate().map(|(i, unit)| {
                    if i.is_multiple_of(64) {
                        go_on()?;
                    }
                    Ok(known.map_or(Vec::new(), |known| known.dictionary.encode(unit)))
                });
                units = all.collect::<Result<_, CodecError>>()?;
            }
            Some(phrases) if total < estimate - estimate / FASTER => {
                (kind, (dictionary, units)) = (Kind::Phrases, phrases);
            }
            _ => {
                for (i, unit) in notes.chunks(UNIT).enumerate() {
                    if i.is_multiple_of(64) {
                        go_on()?;
                    }
                    units.push(frames.code(unit)?);
                }
                let frame_bytes = units.iter().map(Vec::len).sum::<usize>();
                let total = frame_bytes + frames.dictionary.len();
                if total < most {
                    (kind, dictionary) = (Kind::Zstd, frames.dictionary);
                }
            }
        }
    }
    if kind == Kind::Raw {
        for (i, (unit, filtered)) in notes.chunks_mut(UNIT).zip(&mut filtered).enumerate() {
            if std::mem::take(filtered) {
                phrases::x86(unit, (i * UNIT) as u64, false);
            }
        }
        units = notes.chunks(UNIT).map(<[u8]>::to_vec).collect();
    }
    let plain = notes.chunks(UNIT).zip(units).map(|(unit, coded)| {
        if is_zero(unit) {
            Vec::new()
        } else if coded.is_empty() || coded.len() >= unit.len() {
            unit.to_vec()
        } else {
            coded
        }
    });
    let units = plain.zip(filtered).zip(proofs);
    let units = units.map(|((coded, filtered), proof)| Unit {
        // Zeros are zeros without a filter.
        filtered: filtered && !coded.is_empty(),
        coded,
        proof,
    });
    Ok(Packed {
        kind,
        dictionary,
        shared: known.filter(|_| kind == Kind::Shared).map(|known| known.id),
        units: units.collect(),
    })
}

/// The shared dictionary that promises the fewest bytes, and how many, by a sample.
fn likeliest<'a>(shared: &'a [Shared], notes: &[u8]) -> Option<(&'a Shared, usize)> {
    let units = notes.len().div_ceil(UNIT);
    let step = (units / TRIED).max(1);
    let sample = || notes.chunks(UNIT).step_by(step);
    let plain: usize = sample().map(<[u8]>::len).sum();
    let tried = shared.iter().map(|known| {
        let coded = sample().map(|unit| known.dictionary.encode(unit).len());
        (known, coded.sum::<usize>())
    });
    let (known, coded) = tried.min_by_key(|(_, coded)| *coded)?;
    // A pack has at most 2^26 bytes.
    let all = coded as u64 * notes.len() as u64 / plain.max(1) as u64;
    Some((known, usize::try_from(all).unwrap_or(usize::MAX)))
}

fn worded(learned: Learned) -> (Vec<u8>, Vec<Vec<u8>>) {
    (learned.dictionary.to_bytes(), learned.units)
}

/// Codes units as zstd frames.
struct Frames {
    compressor: Compressor<'static>,
    /// As it is stored; empty for none.
    dictionary: Vec<u8>,
    /// Bytes of all units and the dictionary, by a sample.
    estimate: usize,
}

impl Frames {
    fn new(notes: &[u8], level: i32, plain: &[u8]) -> io::Result<Self> {
        let mut compressor = Compressor::with_dictionary(level, plain)?;
        compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
        compressor.set_parameter(CParameter::ChecksumFlag(false))?;
        let dictionary = if plain.is_empty() {
            Vec::new()
        } else {
            zstd::bulk::compress(plain, 19)?
        };
        let mut frames = Self {
            compressor,
            dictionary,
            estimate: 0,
        };
        frames.estimate = frames.estimate(notes)?;
        Ok(frames)
    }

    /// Takes a dictionary from the notes where that promises fewer bytes.
    fn learn(&mut self, notes: &[u8], effort: Effort) -> io::Result<()> {
        let length = DICTIONARY.min(notes.len() / SHARE);
        if length < LEAST_DICTIONARY {
            return Ok(());
        }
        let plain = reuse::dictionary(notes, length);
        if !plain.is_empty() {
            let learned = Self::new(notes, level(effort), &plain)?;
            if learned.estimate < self.estimate {
                *self = learned;
            }
        }
        Ok(())
    }

    fn code(&mut self, unit: &[u8]) -> io::Result<Vec<u8>> {
        let frame = self.compressor.compress(unit)?;
        Ok(frame.strip_prefix(&MAGIC).unwrap_or_default().to_vec())
    }

    fn estimate(&mut self, notes: &[u8]) -> io::Result<usize> {
        let units = notes.len().div_ceil(UNIT);
        let step = (units / TRIED).clamp(1, SAMPLED);
        let (mut plain, mut coded) = (0, 0);
        for unit in notes.chunks(UNIT).step_by(step) {
            plain += unit.len();
            coded += self.code(unit)?.len().min(unit.len());
        }
        // A pack has at most 2^26 bytes.
        let all = coded as u64 * notes.len() as u64 / plain.max(1) as u64;
        Ok(usize::try_from(all).unwrap_or(usize::MAX) + self.dictionary.len())
    }
}

/// Whether the unit looks like x86 machine code: enough calls over distances as they occur.
fn is_code(unit: &[u8]) -> bool {
    let calls = unit.windows(5).filter(|window| {
        matches!(
            window,
            [0xe8, _, _, 0..0x80, 0] | [0xe8, _, _, 0x80..=0xff, 0xff]
        )
    });
    calls.count() >= (unit.len() / CALLS).max(1)
}

fn is_zero(unit: &[u8]) -> bool {
    // In blocks, because the compiler does not vectorise a loop that can stop at any byte.
    unit.chunks(1024)
        .all(|block| block.iter().fold(0, |or, byte| or | byte) == 0)
}
