//! A dictionary for zstd: the pieces of a pack that most units have something in common with.

use std::collections::BinaryHeap;

use super::UNIT;

/// Bytes of a piece.
const PIECE: usize = 256;
/// Bytes that are taken for something in common.
const LIKE: usize = 12;
/// What one place of a piece adds to its worth at most, so that what is everywhere does not hide all else.
const MOST: u16 = 64;
/// What zstd takes for the beginning of a dictionary with tables.
const MAGIC: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];

/// In how many units bytes like these are, by a hash of [`LIKE`] of them.
struct Counts {
    units: Vec<u16>,
    shift: u32,
}

impl Counts {
    fn of(pack: &[u8]) -> Self {
        let bits = pack.len().max(1).ilog2().clamp(16, 22);
        let mut counts = Self {
            units: vec![0; 1 << bits],
            shift: 64 - bits,
        };
        let mut last = vec![0_u16; 1 << bits];
        for (at, bytes) in pack.windows(LIKE).enumerate() {
            let slot = counts.slot(bytes);
            // Packs have fewer units than that.
            let unit = u16::try_from(at / UNIT + 1).unwrap_or(u16::MAX);
            if let (Some(last), Some(count)) = (last.get_mut(slot), counts.units.get_mut(slot))
                && *last != unit
            {
                *last = unit;
                *count = count.saturating_add(1);
            }
        }
        counts
    }

    fn slot(&self, bytes: &[u8]) -> usize {
        let [a, b] = [bytes.first_chunk::<8>(), bytes.last_chunk::<8>()]
            .map(|word| word.map_or(0, |word| u64::from_le_bytes(*word)));
        let mixed = (a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.rotate_left(29))
            .wrapping_mul(0x9fb2_1c65_1e98_df25);
        usize::try_from(mixed >> self.shift).unwrap_or(0)
    }

    /// What a piece, with the bytes after it that begin in it, is worth.
    fn worth(&self, piece: &[u8]) -> u32 {
        let counts = piece.windows(LIKE).map(|bytes| {
            let count = self.units.get(self.slot(bytes)).copied().unwrap_or(0);
            u32::from(count.saturating_sub(1).min(MOST))
        });
        counts.sum()
    }

    fn forget(&mut self, piece: &[u8]) {
        for bytes in piece.windows(LIKE) {
            let slot = self.slot(bytes);
            if let Some(count) = self.units.get_mut(slot) {
                *count = 0;
            }
        }
    }
}

/// At most `most` bytes of the pack, the best ones last, where they are nearest.
pub(super) fn dictionary(pack: &[u8], most: usize) -> Vec<u8> {
    let mut counts = Counts::of(pack);
    let piece = |number: u32| {
        let start = usize::try_from(number).unwrap_or(0) * PIECE;
        let end = pack.len().min(start + PIECE + LIKE - 1);
        pack.get(start..end).unwrap_or_default()
    };
    let pieces = u32::try_from(pack.len() / PIECE).unwrap_or(0);
    let worths = (0..pieces).map(|number| (counts.worth(piece(number)), number));
    let mut heap: BinaryHeap<(u32, u32)> = worths.collect();
    let mut chosen = Vec::new();
    while (chosen.len() + 1) * PIECE <= most {
        let Some((before, number)) = heap.pop() else {
            break;
        };
        // What was chosen meanwhile took some of its worth.
        let worth = counts.worth(piece(number));
        if worth == 0 {
            continue;
        }
        if worth < before && heap.peek().is_some_and(|(next, _)| *next > worth) {
            heap.push((worth, number));
            continue;
        }
        counts.forget(piece(number));
        chosen.push(number);
    }
    let pieces = chosen.iter().rev().map(|number| piece(*number));
    let dictionary: Vec<u8> = pieces.flat_map(|p| p.iter().take(PIECE)).copied().collect();
    if dictionary.starts_with(&MAGIC) {
        return Vec::new();
    }
    dictionary
}
