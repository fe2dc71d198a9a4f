//! The notes of scans as bytes: one byte for a scan written the usual way.
//!
//! For each scan a byte of flags, then what the flags announce. Numbers are LEB128 (seven bits a byte, lowest first).
//!
//! | bit | meaning |
//! |---|---|
//! | 0 | restart markers are where they should be |
//! | 1 | bytes are filled up with ones |
//! | 2 | other padding follows: how many, then for each the intervals since the last one, and the bits |
//! | 3 | the block at which the scan stops follows |
//! | 4 | the most blocks ended together follow |
//! | 5 | runs stop after 937 correction bits |
//! | 6 | cuts of runs follow: how many, then for each the blocks since the last one |

use super::scan::{MAX_RUN, Notes};

/// The notes as bytes.
#[must_use]
pub fn notes_to_bytes(notes: &[Notes]) -> Vec<u8> {
    let mut out = Vec::new();
    for note in notes {
        let flags = [
            note.restarts,
            note.pad_ones,
            !note.pads.is_empty(),
            note.stop.is_some(),
            note.max_run != MAX_RUN,
            note.limit_bits,
            !note.cuts.is_empty(),
        ];
        out.push(
            flags
                .iter()
                .rev()
                .fold(0, |byte, flag| byte * 2 + u8::from(*flag)),
        );
        if !note.pads.is_empty() {
            number(&mut out, note.pads.len() as u64);
            let mut last = 0;
            for (index, bits) in &note.pads {
                number(&mut out, u64::from(index.wrapping_sub(last)));
                out.push(*bits);
                last = *index;
            }
        }
        if let Some(stop) = note.stop {
            number(&mut out, u64::from(stop));
        }
        if note.max_run != MAX_RUN {
            number(&mut out, u64::from(note.max_run));
        }
        if !note.cuts.is_empty() {
            number(&mut out, note.cuts.len() as u64);
            let mut last = 0;
            for cut in &note.cuts {
                number(&mut out, u64::from(cut.wrapping_sub(last)));
                last = *cut;
            }
        }
    }
    out
}

/// The notes of `count` scans that `bytes` begins with, and the bytes behind them; nothing where they are no notes.
#[must_use]
pub fn notes_from_bytes(mut bytes: &[u8], count: usize) -> Option<(Vec<Notes>, &[u8])> {
    let mut all = Vec::new();
    for _ in 0..count {
        let (flags, rest) = bytes.split_first()?;
        bytes = rest;
        let flag = |bit: u8| flags >> bit & 1 != 0;
        if flag(7) {
            return None;
        }
        let mut note = Notes {
            restarts: flag(0),
            pad_ones: flag(1),
            limit_bits: flag(5),
            ..Notes::default()
        };
        if flag(2) {
            let mut last = 0u32;
            // Nothing is allocated for a number that is only claimed.
            for _ in 0..take(&mut bytes)? {
                last = last.checked_add(take(&mut bytes)?)?;
                let (bits, rest) = bytes.split_first()?;
                bytes = rest;
                note.pads.push((last, *bits));
            }
        }
        if flag(3) {
            note.stop = Some(take(&mut bytes)?);
        }
        if flag(4) {
            let run = u16::try_from(take(&mut bytes)?).ok()?;
            note.max_run = Some(run).filter(|run| (1..=MAX_RUN).contains(run))?;
        }
        if flag(6) {
            let mut last = 0u32;
            for _ in 0..take(&mut bytes)? {
                last = last.checked_add(take(&mut bytes)?)?;
                note.cuts.push(last);
            }
        }
        all.push(note);
    }
    Some((all, bytes))
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u32::from(byte & 0x7f);
        if part << shift >> shift != part {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
