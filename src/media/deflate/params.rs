//! What a compressor of zlib's family can be told: its levels, window, hash and limits.

use crate::coding::binary::Coder;

/// Longest chain that a recipe may ask for; zlib's highest level uses it.
pub const MAX_CHAIN: u32 = 4096;
/// Bytes that zlib keeps ahead of a match: the longest match, a shortest one and one more.
pub(super) const AHEAD: u32 = 262;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Only stored blocks.
    Stored,
    /// Only literals.
    Huffman,
    /// Only matches with the byte before.
    Runs,
    /// The first good match (zlib's `deflate_fast`).
    Greedy,
    /// A match unless the next byte begins a longer one (zlib's `deflate_slow`).
    Lazy,
    /// The same, but a nearer match may win over a longer one: four times the bytes gained and the bits that the
    /// distance is shorter must be more than two (libdeflate's lazy levels).
    Weighed,
}

const METHODS: [Method; 6] = [
    Method::Stored,
    Method::Huffman,
    Method::Runs,
    Method::Greedy,
    Method::Lazy,
    Method::Weighed,
];

/// The settings of a compressor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Params {
    pub(super) method: Method,
    /// Farthest match, 1..=32768.
    pub(super) max_dist: u32,
    /// Bits of the hash of three bytes, 8..=16.
    pub(super) hash_bits: u32,
    /// A match this long quarters the search for a better one.
    pub(super) good: u32,
    /// Greedy: longest match whose strings all enter the chains; lazy: a match this long is taken at once.
    pub(super) lazy: u32,
    /// A match this long ends the search.
    pub(super) nice: u32,
    /// Longest search.
    pub(super) chain: u32,
    /// A match of three bytes is not taken from farther than this.
    pub(super) too_far: u32,
    /// Shortest match that is taken, 3..=10 (with zlib's `Z_FILTERED` 6).
    pub(super) shortest: u32,
    /// Tokens of a full block; of stored blocks, when there are no others, bytes.
    pub(super) block: u32,
}

/// zlib's `configuration_table`: good, lazy, nice, chain.
const LEVELS: [(u32, u32, u32, u32); 9] = [
    (4, 4, 8, 4),
    (4, 5, 16, 8),
    (4, 6, 32, 32),
    (4, 4, 16, 16),
    (8, 16, 32, 32),
    (8, 16, 128, 128),
    (8, 32, 128, 256),
    (32, 128, 258, 1024),
    (32, 258, 258, 4096),
];

impl Params {
    /// A level 1..=9 with everything else as usual.
    pub(super) fn level(level: usize) -> Self {
        let (good, lazy, nice, chain) = level
            .checked_sub(1)
            .and_then(|at| LEVELS.get(at))
            .copied()
            .unwrap_or((8, 16, 128, 128));
        Self {
            method: if level < 4 {
                Method::Greedy
            } else {
                Method::Lazy
            },
            max_dist: (1 << 15) - AHEAD,
            hash_bits: 15,
            good,
            lazy,
            nice,
            chain,
            too_far: 4096,
            shortest: 3,
            block: (1 << 14) - 1,
        }
    }

    /// Whether matches are searched for in chains.
    pub(super) fn searches(&self) -> bool {
        matches!(self.method, Method::Greedy | Method::Lazy | Method::Weighed)
    }

    /// Codes the settings: about 7 bytes.
    pub(super) fn code(&self, coder: &mut impl Coder) -> Self {
        let method = METHODS.iter().position(|m| *m == self.method).unwrap_or(0);
        let method = coder.raw(u32::try_from(method).unwrap_or(0), 3) as usize;
        let method = METHODS.get(method).copied().unwrap_or(Method::Stored);
        let block = coder.raw(self.block, 17);
        let mut coded = Self {
            method,
            block,
            ..Self::level(1)
        };
        if coded.searches() {
            coded.max_dist = coder.raw(self.max_dist - 1, 15) + 1;
            coded.hash_bits = coder.raw(self.hash_bits - 8, 4) + 8;
            let row = (self.good, self.lazy, self.nice, self.chain);
            let level = LEVELS.iter().position(|r| *r == row).unwrap_or(15);
            let level = coder.raw(u32::try_from(level).unwrap_or(15), 4);
            (coded.good, coded.lazy, coded.nice, coded.chain) =
                match LEVELS.get(level as usize).copied() {
                    Some(row) => row,
                    None => (
                        coder.raw(self.good, 9),
                        coder.raw(self.lazy, 9),
                        coder.raw(self.nice, 9),
                        coder.raw(self.chain, 13).clamp(1, MAX_CHAIN),
                    ),
                };
            if method != Method::Greedy {
                coded.too_far = coder.raw(self.too_far, 16);
                coded.shortest = coder.raw(self.shortest - 3, 3) + 3;
            }
        }
        coded.hash_bits = coded.hash_bits.min(16);
        coded
    }
}
