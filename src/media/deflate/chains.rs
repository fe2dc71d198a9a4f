//! Hash chains over a window, searched as zlib searches them but with fewer looks.

use super::params::{Method, Params};

/// Farthest that deflate reaches back.
pub(super) const REACH: usize = 1 << 15;
/// Positions that are remembered, those entered ahead of the search among them; a `u16` is the place of a position.
const RING: usize = 1 << 16;
/// Heads of each set of chains.
const HEADS: usize = 1 << 16;
/// Positions entered at once where all are: one set of chains at a time, which keeps its heads near.
const BATCH: usize = 1 << 12;
/// How far back a head is put that leads nowhere, and how many positions later this is done again at the earliest: a
/// batch after that it must not have come around in 16 bits.
const NOWHERE: usize = 33 << 10;
const SWEEP: usize = 24 << 10;
/// Longest match.
pub(super) const LONGEST: usize = 258;
/// Bytes of the strings that each set of chains connects: the first one by zlib's hash, so that its chains are those of
/// zlib; the second one is left out where no match is that short.
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
    size: usize,
    /// Newest position of each hash, modulo 2^16.
    heads: Box<[u16; HEADS]>,
    /// How far back the position before each one in its chain is: beyond reach for none.
    links: Box<[u16; RING]>,
}

/// The positions of a content, up to some point, by the strings that begin there.
pub(super) struct Chains {
    sets: Vec<Set>,
    /// Memory of sets that other settings used.
    spare: Vec<Set>,
    /// The number of each position in its chain of the first set, modulo 2^16.
    numbers: Box<[u16; RING]>,
    /// By the longest match so far, up to 7: the set with the longest strings that any longer match is in.
    set_by_best: [u8; 8],
    limits: Limits,
    /// How many more positions than asked for are entered.
    ahead: usize,
    /// First position that is not in the chains.
    next: usize,
    /// Where heads out of reach were last put nowhere.
    swept: usize,
}

/// What the settings say about searches.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    /// Bits and shift of zlib's hash of three bytes.
    bits: u32,
    shift: u32,
    /// Farthest match.
    reach: usize,
    /// Farthest match of three bytes.
    near: usize,
    shortest: usize,
    nice: usize,
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
            spare: Vec::new(),
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
        self.numbers.copy_from_slice(&*other.numbers);
        self.next = other.next;
        self.swept = other.swept;
    }
}

/// Where a search looks, and how far.
struct Search<'a> {
    plain: &'a [u8],
    at: usize,
    /// Most positions of zlib's chain.
    chain: u32,
    /// The first position in reach; position 0 is zlib's end of a chain.
    floor: usize,
    /// Positions that may still be looked at, also those that only share a hash: these are few.
    left: u32,
}

#[expect(
    clippy::indexing_slicing,
    reason = "places and hashes of 16 bits, in arrays of 2^16 entries"
)]
impl Chains {
    /// Empty chains for these settings, of positions from `start` on.
    pub(super) fn new(params: &Params, start: usize) -> Self {
        let mut chains = Self {
            sets: Vec::new(),
            spare: Vec::new(),
            numbers: boxed(0),
            set_by_best: [0; 8],
            limits: Limits::default(),
            ahead: 0,
            next: 0,
            swept: 0,
        };
        chains.restart(params, start);
        chains
    }

    /// Becomes what [`Chains::new`] gives, in the same memory.
    pub(super) fn restart(&mut self, params: &Params, start: usize) {
        let greedy = params.method == Method::Greedy;
        let limits = Limits {
            bits: params.hash_bits,
            shift: params.hash_bits.div_ceil(3),
            reach: params.max_dist as usize,
            near: if greedy {
                REACH
            } else {
                params.too_far as usize
            },
            shortest: if greedy { 3 } else { params.shortest as usize },
            nice: params.nice as usize,
        };
        let nowhere = place(start.wrapping_sub(NOWHERE));
        let used = |size: &usize| match *size {
            3 => params.searches(),
            4 => params.chain > SHORT_CHAIN && limits.shortest < 6,
            _ => params.chain > SHORT_CHAIN,
        };
        self.spare.append(&mut self.sets);
        for size in SIZES.into_iter().filter(used) {
            let mut set = self.spare.pop().unwrap_or_else(|| Set {
                size,
                heads: boxed(0),
                links: boxed(0),
            });
            set.size = size;
            set.heads.fill(nowhere);
            self.sets.push(set);
        }
        let sets = &self.sets;
        self.set_by_best = std::array::from_fn(|best| {
            let set = sets.iter().rposition(|set| set.size <= best + 1);
            set.and_then(|set| u8::try_from(set).ok()).unwrap_or(0)
        });
        self.limits = limits;
        // With the greedy method it depends on the tokens what enters.
        self.ahead = if greedy { 0 } else { BATCH };
        (self.next, self.swept) = (start, start);
    }

    /// Takes no position before `end` into the chains that is not in them.
    pub(super) fn pass(&mut self, end: usize) {
        self.next = self.next.max(end);
    }

    /// Takes all positions before `end` into the chains, and perhaps some after them.
    #[inline]
    pub(super) fn enter(&mut self, plain: &[u8], end: usize) {
        if self.next < end {
            self.enter_batches(plain, end);
        }
    }

    #[inline(never)]
    fn enter_batches(&mut self, plain: &[u8], end: usize) {
        let end = end.saturating_add(self.ahead).min(plain.len());
        while self.next < end {
            if self.next - self.swept >= SWEEP {
                self.sweep();
            }
            let from = self.next;
            let to = end.min(from + BATCH);
            self.next = to;
            // What begins in the last seven bytes is not long enough for every set.
            let text = plain.get(from..plain.len().min(to + 7)).unwrap_or_default();
            for set in &mut self.sets {
                match set.size {
                    3 => set.link_as_zlib(text, from, to, self.limits, &mut self.numbers),
                    4 => set.link::<4>(text, from, to),
                    6 => set.link::<6>(text, from, to),
                    _ => set.link::<8>(text, from, to),
                }
            }
        }
    }

    /// Puts all heads nowhere that are out of reach.
    fn sweep(&mut self) {
        let here = place(self.next);
        let nowhere = place(self.next.wrapping_sub(NOWHERE));
        for set in &mut self.sets {
            for head in set.heads.iter_mut() {
                let near = usize::from(here.wrapping_sub(*head)) <= REACH;
                *head = if near { *head } else { nowhere };
            }
        }
        self.swept = self.next;
    }

    /// The distances of all matches at `at` of `length` bytes or more, the nearest first; at most `looks` positions are
    /// looked at. The position must be in the chains.
    pub(super) fn matches<'a>(
        &'a self,
        plain: &'a [u8],
        at: usize,
        length: usize,
        looks: u32,
    ) -> impl Iterator<Item = u16> + 'a {
        let wanted = plain.get(at..).and_then(|rest| rest.get(..length));
        let set = self.sets.first().filter(|_| wanted.is_some());
        let mut from = at;
        let mut left = looks;
        std::iter::from_fn(move || {
            let links = &set?.links;
            while left > 0 {
                let back = usize::from(links[from % RING]);
                from = from.checked_sub(back)?;
                if at - from > REACH {
                    return None;
                }
                left -= 1;
                if plain.get(from..from + length) == wanted {
                    return u16::try_from(at - from).ok();
                }
            }
            None
        })
    }

    /// zlib's `longest_match` at a position: the nearest of the longest matches with more than `best` bytes, among so
    /// many (`chain`) of the chain of three bytes; none where it is shorter or farther than the settings allow.
    ///
    /// zlib looks at the positions of the chain of three bytes one by one, as many as its limit allows. What only
    /// strings of more bytes can still better is found here in the chains of those, and the limit is kept by the
    /// positions' numbers in the chain of three bytes: the same match, found with far fewer looks.
    pub(super) fn search(&mut self, plain: &[u8], at: usize, best: usize, chain: u32) -> Match {
        self.enter(plain, at + 1);
        let Limits {
            reach,
            near,
            shortest,
            nice,
            ..
        } = self.limits;
        let chain = chain.max(1);
        let mut search = Search {
            plain,
            at,
            chain,
            floor: at.saturating_sub(reach).max(1),
            left: if self.sets.len() > 1 {
                2 * chain + 64
            } else {
                chain
            },
        };
        // What is too short to be taken is not looked for, unless it would end the search.
        let best = if nice >= shortest {
            best.max(shortest - 1)
        } else {
            best
        };
        let found = if at + 8 > plain.len() {
            self.search_end(&search, best)
        } else if best > 2 || nice <= 3 || self.sets.len() == 1 {
            self.longest(&mut search, best)
        } else {
            // Matches of three bytes are looked for where there are no longer ones: the nearest is as good as any.
            let found = self.longest(&mut search, 3);
            if found.length > 0 {
                return found;
            }
            search.floor = search.floor.max(at.saturating_sub(near));
            return self.nearest(&mut search);
        };
        if found.length < shortest || found.length == 3 && found.dist > near {
            return Match::default();
        }
        found
    }

    /// The set of chains to look for matches of more than `best` bytes in.
    #[inline]
    fn set(&self, best: usize) -> Option<&Set> {
        let set = self.set_by_best.get(best).unwrap_or(&self.set_by_best[7]);
        self.sets.get(usize::from(*set))
    }

    /// Whether a position with the same three bytes is too far along zlib's chain.
    #[inline]
    fn is_far(&self, search: &Search<'_>, from: usize) -> bool {
        let (own, number) = (self.numbers[search.at % RING], self.numbers[from % RING]);
        let looks = u32::from(own.wrapping_sub(number));
        looks > search.chain || (search.at - from == self.limits.reach && looks > 1)
    }

    /// The nearest of the longest matches with more than `best` bytes.
    #[inline]
    fn longest(&self, search: &mut Search<'_>, best: usize) -> Match {
        let end = End::new(search, best);
        let set = self.set(best);
        match set.and_then(|set| set.next(search, &end, search.at).zip(Some(set))) {
            Some((from, set)) => self.longest_from(search, best, end, set, from),
            None => Match::default(),
        }
    }

    /// The same from the first position on that has the bytes before `end`.
    #[inline(never)]
    fn longest_from<'a>(
        &'a self,
        search: &mut Search<'_>,
        mut best: usize,
        mut end: End,
        mut set: &'a Set,
        mut from: usize,
    ) -> Match {
        let rest = search.plain.get(search.at..).unwrap_or_default();
        let here = rest.get(..LONGEST).unwrap_or(rest);
        let enough = self.limits.nice.min(here.len());
        let mut found = Match::default();
        loop {
            let there = search.plain.get(from..from + here.len());
            let length = common(here, there.unwrap_or_default());
            if length > best {
                if self.is_far(search, from) {
                    break;
                }
                let dist = search.at - from;
                (best, found) = (length, Match { length, dist });
                if length >= enough {
                    break;
                }
                end = End::new(search, best);
                set = self.set(best).unwrap_or(set);
                // This match is not in the chain of one byte more; what is in it and nearer only has its hash.
                if set.size > length {
                    from = search.at;
                }
            }
            let Some(next) = set.next(search, &end, from) else {
                break;
            };
            from = next;
        }
        found
    }

    /// The nearest match of three bytes.
    #[inline]
    fn nearest(&self, search: &mut Search<'_>) -> Match {
        let end = End::new(search, 2);
        let from = self
            .sets
            .first()
            .and_then(|set| set.next(search, &end, search.at));
        match from {
            Some(from) if !self.is_far(search, from) => Match {
                length: 3,
                dist: search.at - from,
            },
            _ => Match::default(),
        }
    }

    /// The same as [`Chains::longest`] for the last seven bytes of a content, the way of zlib.
    fn search_end(&self, search: &Search<'_>, mut best: usize) -> Match {
        let here = search.plain.get(search.at..).unwrap_or_default();
        let mut found = Match::default();
        for dist in self.matches(search.plain, search.at, 3, u32::MAX) {
            let dist = usize::from(dist);
            let from = search.at - dist;
            if from < search.floor || self.is_far(search, from) {
                break;
            }
            let there = search.plain.get(from..from + here.len());
            let length = common(here, there.unwrap_or_default());
            if length > best {
                best = length;
                found = Match { length, dist };
                if length >= self.limits.nice.min(here.len()) {
                    break;
                }
            }
        }
        found
    }
}

/// The last of the bytes that a longer match must have, up to eight of them.
struct End {
    offset: usize,
    mask: u64,
    word: u64,
}

impl End {
    #[inline]
    fn new(search: &Search<'_>, best: usize) -> Self {
        let offset = best.saturating_sub(7);
        let mask = u64::MAX >> (56_usize.saturating_sub(8 * best));
        Self {
            offset,
            mask,
            word: word(search.plain, search.at + offset) & mask,
        }
    }

    /// Whether an earlier position has them too.
    #[inline]
    fn is_at(&self, plain: &[u8], from: usize) -> bool {
        word(plain, from + self.offset) & self.mask == self.word
    }
}

/// Eight bytes of a content; 0 where it ends before.
#[inline]
fn word(plain: &[u8], at: usize) -> u64 {
    let bytes = plain.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[expect(
    clippy::indexing_slicing,
    reason = "places and hashes of 16 bits, in arrays of 2^16 entries"
)]
impl Set {
    /// The position before `from` in its chain that has the bytes before `end`.
    #[inline]
    fn next(&self, search: &mut Search<'_>, end: &End, mut from: usize) -> Option<usize> {
        while search.left > 0 {
            search.left -= 1;
            from = from.saturating_sub(usize::from(self.links[from % RING]));
            if from < search.floor {
                return None;
            }
            if end.is_at(search.plain, from) {
                return Some(from);
            }
        }
        None
    }

    /// Takes the positions `from..to` into the chains; `text` begins there and ends seven bytes after, or earlier where
    /// the content does. Chains are those of zlib, and positions get their numbers in them.
    fn link_as_zlib(
        &mut self,
        text: &[u8],
        from: usize,
        to: usize,
        limits: Limits,
        numbers: &mut [u16; RING],
    ) {
        let (heads, links) = (&mut *self.heads, &mut *self.links);
        let (shift, mask) = (limits.shift, (1_u32 << limits.bits) - 1);
        for (at, string) in (from..to).zip(text.windows(3)) {
            let [a, b, c] = string else { continue };
            let hash = u32::from(*a) << (2 * shift) ^ u32::from(*b) << shift ^ u32::from(*c);
            let head = &mut heads[(hash & mask) as usize % HEADS];
            let here = place(at);
            links[usize::from(here)] = here.wrapping_sub(*head);
            // What is out of reach has some number: only differences count.
            numbers[usize::from(here)] = numbers[usize::from(*head)].wrapping_add(1);
            *head = here;
        }
    }

    /// The same with chains of strings of `SIZE` bytes.
    fn link<const SIZE: usize>(&mut self, text: &[u8], from: usize, to: usize) {
        let (heads, links) = (&mut *self.heads, &mut *self.links);
        let mut one = |at: usize, word: u64| {
            let head = &mut heads[mixed(word, SIZE)];
            let here = place(at);
            links[usize::from(here)] = here.wrapping_sub(*head);
            *head = here;
        };
        let mut at = from;
        for bytes in text.windows(8) {
            if let Some(bytes) = bytes.first_chunk() {
                one(at, u64::from_le_bytes(*bytes));
            }
            at += 1;
        }
        for at in at..to {
            let rest = text.get(at - from..).unwrap_or_default();
            if rest.len() >= SIZE {
                let mut word = [0; 8];
                for (to, byte) in word.iter_mut().zip(rest) {
                    *to = *byte;
                }
                one(at, u64::from_le_bytes(word));
            }
        }
    }
}

/// A position modulo 2^16.
#[inline]
fn place(at: usize) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let place = at as u16;
    place
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
