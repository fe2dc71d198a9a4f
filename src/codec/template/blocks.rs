//! Finding in some bytes what others show too: by blocks of the one and all places of the other.

/// Bytes of a block. What is shared is found if it holds a whole one: always from twice as many bytes on.
const BLOCK: usize = 32;
/// Slots that are looked at for one place, so that no content makes looking slow.
const PROBES: usize = 4;
/// Slots for each block.
const ROOM: usize = 2;
/// Of 32 bits, those of a block's number, counted from 1; above them lie 11 bits of its hash.
const NUMBER: u32 = (1 << 21) - 1;
/// Most bytes that are looked into.
pub(super) const MOST: usize = (NUMBER as usize - 1) * BLOCK;
/// What the rolling hash multiplies by.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stretch that both show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    /// Where it begins in the bytes that were looked through.
    pub(super) at: usize,
    /// Where it begins in those that were looked into.
    pub(super) place: usize,
    pub(super) length: usize,
}

impl Match {
    /// Where it ends in the bytes that were looked through.
    pub(super) fn end(&self) -> usize {
        self.at + self.length
    }
}

/// Where blocks lie that begin at multiples of [`BLOCK`].
#[derive(Debug)]
pub(super) struct Blocks {
    slots: Vec<u32>,
    /// Bytes whose blocks are in there.
    covered: usize,
}

impl Blocks {
    /// With room for blocks of so many bytes.
    pub(super) fn new(most: usize) -> Self {
        let slots = most.min(MOST) / BLOCK * ROOM;
        Self {
            slots: vec![0; slots.max(64).next_power_of_two()],
            covered: 0,
        }
    }

    fn probes(&self, hash: u64) -> (impl Iterator<Item = usize> + use<>, u32) {
        let mixed = hash ^ hash >> 29;
        let mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mask = self.slots.len() - 1;
        // The highest bits are the best ones; a table has at most 2^22 slots.
        let first = usize::try_from(mixed >> 40).unwrap_or(0);
        let tag = u32::try_from(mixed >> 8 & 0x7ff).unwrap_or(0);
        ((0..PROBES).map(move |i| (first + i) & mask), tag)
    }

    /// Notes the blocks of `bytes` that are new since the last call. Of equal ones the first is noted.
    pub(super) fn cover(&mut self, bytes: &[u8]) {
        let fresh = bytes.get(self.covered..).unwrap_or_default();
        for block in fresh.as_chunks::<BLOCK>().0 {
            let number = u32::try_from(self.covered / BLOCK + 1).unwrap_or(NUMBER);
            self.covered += BLOCK;
            if number >= NUMBER {
                continue;
            }
            let (mut probes, tag) = self.probes(hash(block));
            let free = probes.find_map(|slot| {
                let there = self.slots.get(slot).copied()?;
                let same = there != 0 && there >> 21 == tag;
                (there == 0 || same && begins(bytes, there, block)).then_some((slot, there))
            });
            if let Some((slot, 0)) = free
                && let Some(slot) = self.slots.get_mut(slot)
            {
                *slot = tag << 21 | number;
            }
        }
    }

    /// The longest stretch that `content` shows around the [`BLOCK`] bytes from `at` on, not before `from`.
    fn around(
        &self,
        bytes: &[u8],
        content: &[u8],
        from: usize,
        at: usize,
        hash: u64,
    ) -> Option<Match> {
        let block = content.get(at..at + BLOCK)?;
        let (probes, tag) = self.probes(hash);
        let mut best: Option<Match> = None;
        for slot in probes {
            let there = self.slots.get(slot).copied().unwrap_or(0);
            if there == 0 {
                break;
            }
            if there >> 21 != tag || !begins(bytes, there, block) {
                continue;
            }
            let place = start(there);
            let ahead = common(
                bytes.get(place + BLOCK..).unwrap_or_default(),
                content.get(at + BLOCK..).unwrap_or_default(),
            );
            let before = bytes.get(..place).unwrap_or_default().iter().rev();
            let seen = content.get(from..at).unwrap_or_default().iter().rev();
            let back = before.zip(seen).take_while(|(a, b)| a == b).count();
            let length = back + BLOCK + ahead;
            if best.is_none_or(|best| length > best.length) {
                best = Some(Match {
                    at: at - back,
                    place: place - back,
                    length,
                });
            }
        }
        best
    }
}

/// Where a block lies by its entry.
fn start(entry: u32) -> usize {
    (entry & NUMBER).saturating_sub(1) as usize * BLOCK
}

fn begins(bytes: &[u8], entry: u32, block: &[u8]) -> bool {
    bytes
        .get(start(entry)..)
        .is_some_and(|rest| rest.starts_with(block))
}

/// How many bytes the two begin with in common.
fn common(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<32>().0.iter().zip(b.as_chunks::<32>().0);
    let same = words.take_while(|(a, b)| a == b).count() * 32;
    let rest = |bytes| <[u8]>::get(bytes, same..).unwrap_or_default();
    let bytes = rest(a).iter().zip(rest(b));
    same + bytes.take_while(|(a, b)| a == b).count()
}

fn hash(block: &[u8]) -> u64 {
    block.iter().fold(0, |hash, byte| push(hash, *byte))
}

fn push(hash: u64, byte: u8) -> u64 {
    hash.wrapping_mul(FACTOR).wrapping_add(u64::from(byte) + 1)
}

/// What [`push`] has made of a byte after so many more.
const fn power(mut n: usize) -> u64 {
    let mut power = 1_u64;
    while n > 0 {
        power = power.wrapping_mul(FACTOR);
        n -= 1;
    }
    power
}

/// What `content` shows of several bytes with their blocks, in order and apart; stretches of less than `least` bytes are
/// left out. Each with the number of the bytes.
pub(super) fn matches(
    known: &[(&[u8], &Blocks)],
    content: &[u8],
    least: usize,
) -> Vec<(usize, Match)> {
    const LAST: u64 = power(BLOCK);
    let mut found = Vec::new();
    let Some(first) = content.get(..BLOCK) else {
        return found;
    };
    let (mut from, mut at, mut rolling) = (0, 0, hash(first));
    loop {
        let around = known
            .iter()
            .enumerate()
            .filter_map(|(number, (bytes, blocks))| {
                let there = blocks.around(bytes, content, from, at, rolling)?;
                Some((number, there))
            });
        // Of equal ones that of the bytes named first.
        let longest = around.rev().max_by_key(|(_, there)| there.length);
        if let Some((number, there)) = longest.filter(|(_, there)| there.length >= least) {
            found.push((number, there));
            (from, at) = (there.end(), there.end());
            match content.get(at..at + BLOCK) {
                Some(next) => rolling = hash(next),
                None => return found,
            }
            continue;
        }
        let (Some(gone), Some(next)) = (content.get(at), content.get(at + BLOCK)) else {
            return found;
        };
        let gone = (u64::from(*gone) + 1).wrapping_mul(LAST);
        rolling = push(rolling, *next).wrapping_sub(gone);
        at += 1;
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;
    use crate::codec::testing::random;

    fn all(bytes: &[u8], content: &[u8]) -> Vec<Match> {
        let mut blocks = Blocks::new(bytes.len());
        blocks.cover(bytes);
        let found = matches(&[(bytes, &blocks)], content, 64);
        found.into_iter().map(|(_, there)| there).collect()
    }

    #[test]
    fn everything_but_what_was_changed_is_found() {
        let bytes = random(1, 100_000);
        let mut content = bytes.clone();
        for at in (1000..100_000).step_by(1000) {
            content[at] ^= 1;
        }
        content.splice(50_500..50_500, *b"put in between");
        let found = all(&bytes, &content);
        let mut end = 0;
        for there in &found {
            assert!(there.at >= end);
            end = there.end();
            assert_eq!(content[there.at..end], bytes[there.place..][..there.length]);
        }
        let total: usize = found.iter().map(|there| there.length).sum();
        assert_eq!(total, 100_000 - 99);
        assert!(all(&bytes, &random(2, 100_000)).is_empty());
        assert!(all(&bytes, &bytes[..31]).is_empty());
        assert_eq!(all(&bytes, &bytes[77..177]).len(), 1);
    }

    #[test]
    fn bytes_that_are_all_alike_are_no_trap() {
        let bytes = vec![7; 1 << 20];
        let found = all(&bytes, &vec![7; 1 << 20]);
        assert!(found.len() <= 2, "{}", found.len());
        assert!(all(&bytes, &vec![8; 1 << 20]).is_empty());
    }

    #[test]
    fn the_hash_of_a_place_does_not_depend_on_how_it_was_reached() {
        let bytes = random(3, 200);
        let mut rolling = hash(&bytes[..BLOCK]);
        for at in 0..bytes.len() - BLOCK {
            assert_eq!(rolling, hash(&bytes[at..at + BLOCK]));
            let gone = (u64::from(bytes[at]) + 1).wrapping_mul(power(BLOCK));
            rolling = push(rolling, bytes[at + BLOCK]).wrapping_sub(gone);
        }
    }
}
