//! Hash chains over a window, searched as zlib searches them but with fewer looks.

use super::params::Params;

/// Positions of the window: the largest that deflate has.
const RING: usize = 1 << 15;
/// Heads of each set of chains.
const HEADS: usize = 1 << 16;
/// Longest match.
pub(super) const LONGEST: usize = 258;
/// What no position is in reach of: contents are shorter than this.
const NONE: u32 = 1 << 31;
/// Bytes of the strings that each set of chains connects.
const SIZES: [usize; 4] = [3, 4, 6, 8];
/// Settings that search no further than this use the first set only.
const SHORT_CHAIN: u32 = 32;

/// A match found; length 0 stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Match {
    pub(super) length: usize,
    pub(super) dist: usize,
}

/// The chains of strings of one size.
#[derive(Clone)]
struct Set {
    /// Newest position of each hash.
    heads: Box<[u32; HEADS]>,
    /// How far back the position before each one in its chain is; 0 for none within the ring.
    links: Box<[u16; RING]>,
}

/// The positions of a content, up to some point, by the strings that begin there.
pub(super) struct Chains {
    sets: Vec<Set>,
    /// Newest position of each of zlib's hashes.
    heads: Box<[u32; HEADS]>,
    /// The number of each position among those of its hash, modulo 2^16.
    numbers: Box<[u16; RING]>,
    /// Bits and shift of zlib's hash of three bytes.
    bits: u32,
    shift: u32,
    /// First position that is not in the chains.
    next: usize,
}

/// An array of zeros or other numbers, on the heap from the beginning.
fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    let boxed: Result<Box<[T; N]>, _> = vec![value; N].into_boxed_slice().try_into();
    boxed.unwrap_or_else(|_| Box::new([value; N]))
}

impl Clone for Chains {
    fn clone(&self) -> Self {
        Self {
            sets: self.sets.clone(),
            heads: self.heads.clone(),
            numbers: self.numbers.clone(),
            ..*self
        }
    }

    // Into the same memory: this happens for each stored block.
    fn clone_from(&mut self, other: &Self) {
        for (own, other) in self.sets.iter_mut().zip(&other.sets) {
            own.heads.copy_from_slice(&*other.heads);
            own.links.copy_from_slice(&*other.links);
        }
        self.heads.copy_from_slice(&*other.heads);
        self.numbers.copy_from_slice(&*other.numbers);
        self.next = other.next;
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "positions modulo RING and hashes of 16 bits, in arrays of RING and 2^16 entries"
)]
impl Chains {
    /// Empty chains for these settings; `None` for settings that search nothing.
    pub(super) fn new(params: &Params) -> Self {
        let sets = match (params.searches(), params.chain) {
            (false, _) => 0,
            (true, ..=SHORT_CHAIN) => 1,
            (true, _) => SIZES.len(),
        };
        let set = || Set {
            heads: boxed(NONE),
            links: boxed(0),
        };
        Self {
            sets: (0..sets).map(|_| set()).collect(),
            heads: boxed(NONE),
            numbers: boxed(0),
            bits: params.hash_bits,
            shift: params.hash_bits.div_ceil(3),
            next: 0,
        }
    }

    /// zlib's hash of the first three bytes of a word.
    fn hash(&self, word: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "three bytes are looked at")]
        let word = word as usize;
        let (a, b, c) = (word & 255, word >> 8 & 255, word >> 16 & 255);
        (a << (2 * self.shift) ^ b << self.shift ^ c) & ((1 << self.bits) - 1) & (HEADS - 1)
    }

    /// Takes no position before `end` into the chains that is not in them.
    pub(super) fn pass(&mut self, end: usize) {
        self.next = self.next.max(end);
    }

    /// Takes all positions before `end` into the chains.
    pub(super) fn enter(&mut self, plain: &[u8], end: usize) {
        while self.next < end {
            let at = self.next;
            self.next += 1;
            let rest = plain.get(at..).unwrap_or_default();
            let (word, there) = if let Some(bytes) = rest.first_chunk::<8>() {
                (u64::from_le_bytes(*bytes), 8)
            } else {
                let shifted = rest.iter().zip((0..).step_by(8));
                let word = shifted.map(|(byte, shift)| u64::from(*byte) << shift).sum();
                (word, rest.len())
            };
            self.one(at, word, there);
        }
    }

    /// Takes one position into the chains, of whose `word` so many bytes are there.
    #[inline]
    fn one(&mut self, at: usize, word: u64, there: usize) {
        if there < SIZES[0] {
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "contents are under 2^31 bytes"
        )]
        let here = at as u32;
        let head = &mut self.heads[self.hash(word)];
        let within = here.wrapping_sub(*head) as usize <= RING;
        let before = self.numbers[*head as usize % RING];
        self.numbers[at % RING] = if within { before.wrapping_add(1) } else { 0 };
        *head = here;
        for (set, size) in self.sets.iter_mut().zip(SIZES) {
            if there < size {
                break;
            }
            let head = &mut set.heads[mixed(word, size)];
            let back = here.wrapping_sub(*head);
            #[expect(clippy::cast_possible_truncation, reason = "at most RING")]
            let link = if back as usize <= RING {
                back as u16
            } else {
                0
            };
            set.links[at % RING] = link;
            *head = here;
        }
    }

    /// The distances of all matches at `at` of `length` bytes or more, the nearest first; at most `looks` positions are
    /// looked at.
    pub(super) fn matches<'a>(
        &'a self,
        plain: &'a [u8],
        at: usize,
        length: usize,
        looks: u32,
    ) -> impl Iterator<Item = u16> + 'a {
        let rest = plain.get(at..).unwrap_or_default();
        let wanted = rest.get(..length);
        let word = match rest {
            [a, b, c, ..] => u64::from_le_bytes([*a, *b, *c, 0, 0, 0, 0, 0]),
            _ => 0,
        };
        let set = self.sets.first().filter(|_| wanted.is_some());
        let mut cursor = set.map_or(usize::MAX, |set| set.heads[mixed(word, 3)] as usize);
        let mut left = looks;
        std::iter::from_fn(move || {
            let set = set?;
            // This position itself may be in the chains already.
            while cursor <= at && at - cursor <= RING && left > 0 {
                let position = cursor;
                cursor = match usize::from(set.links[position % RING]) {
                    0 => usize::MAX,
                    back => position.wrapping_sub(back),
                };
                left -= 1;
                if position < at && plain.get(position..position + length) == wanted {
                    return u16::try_from(at - position).ok();
                }
            }
            None
        })
    }

    /// zlib's `longest_match` at a position: the nearest of the longest matches with more than `best` bytes, among so
    /// many (`chain`) of the chain of three bytes.
    ///
    /// zlib looks at the positions of the chain of three bytes one by one, as many as its limit allows. What only
    /// strings of more bytes can still better is found here in the chains of those, and the limit is kept by the
    /// positions' numbers in the chain of three bytes: the same match, found with far fewer looks.
    pub(super) fn search(
        &mut self,
        plain: &[u8],
        at: usize,
        best: usize,
        chain: u32,
        params: &Params,
    ) -> Match {
        self.enter(plain, at + 1);
        let none = Match::default();
        let rest = plain.get(at..).unwrap_or_default();
        let here = rest.get(..LONGEST).unwrap_or(rest);
        let most = here.len();
        let Some(start) = here.first_chunk::<4>() else {
            return self.search_end(plain, at, best, chain, params);
        };
        let start = u32::from_le_bytes(*start);
        let nice = (params.nice as usize).min(rest.len());
        let max_dist = params.max_dist as usize;
        let last = self.sets.len().saturating_sub(1);
        let set_for = |best: usize| match best {
            0..=2 => 0,
            3..=4 => 1,
            5..=6 => 2,
            _ => 3,
        };
        let own = self.numbers[at % RING];
        let (mut best, mut found) = (best, none);
        let mut set = set_for(best).min(last);
        let Some(mut links) = self.sets.get(set).map(|set| &set.links) else {
            return none;
        };
        let mut from = at;
        while best < most {
            let back = usize::from(links[from % RING]);
            // Position 0 is zlib's end of a chain.
            if back == 0 || back >= from {
                break;
            }
            from -= back;
            let dist = at - from;
            if dist > max_dist {
                break;
            }
            let Some(there) = plain.get(from..from + most) else {
                break;
            };
            // Another string with the same hash has its number in another chain.
            let word = there
                .first_chunk::<4>()
                .map_or(0, |w| u32::from_le_bytes(*w));
            if (word ^ start).trailing_zeros() >= 24 {
                let looks = u32::from(own.wrapping_sub(self.numbers[from % RING]));
                if looks > chain.max(1) || (dist == max_dist && looks > 1) {
                    break;
                }
                if there.get(best) == here.get(best) {
                    let length = common(here, there);
                    if length > best {
                        best = length;
                        found = Match { length, dist };
                        if length >= nice {
                            break;
                        }
                        set = set_for(best).min(last);
                        links = self.sets.get(set).map_or(links, |set| &set.links);
                        // This match is not in the chain of one byte more; what is in it and nearer only has its hash.
                        if SIZES.get(set).is_some_and(|size| *size > length) {
                            from = at;
                        }
                    }
                }
            }
            if dist >= RING {
                break;
            }
        }
        found
    }

    /// The same for the last three bytes of a content: matches of exactly these.
    fn search_end(
        &self,
        plain: &[u8],
        at: usize,
        best: usize,
        chain: u32,
        params: &Params,
    ) -> Match {
        let max_dist = params.max_dist as usize;
        if best > 2 || plain.len() - at.min(plain.len()) < 3 {
            return Match::default();
        }
        let own = self.numbers[at % RING];
        for dist in self.matches(plain, at, 3, u32::MAX) {
            let dist = usize::from(dist);
            let looks = u32::from(own.wrapping_sub(self.numbers[(at - dist) % RING]));
            if dist > max_dist || looks > chain.max(1) || (dist == max_dist && looks > 1) {
                break;
            }
            if dist < at {
                return Match { length: 3, dist };
            }
        }
        Match::default()
    }
}

/// A hash of the first `size` bytes of a word.
#[inline]
fn mixed(word: u64, size: usize) -> usize {
    // Only the bytes that count, spread over the highest bits.
    let mixed = (word << (64 - 8 * size)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (mixed >> 48) as usize;
    hash & (HEADS - 1)
}

/// Length of the common beginning of two equally long pieces.
#[inline]
fn common(a: &[u8], b: &[u8]) -> usize {
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    let mut length = 0;
    for (x, y) in a8.iter().zip(b8) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return length + differ.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + a1.iter().zip(b1).take_while(|(x, y)| x == y).count()
}
