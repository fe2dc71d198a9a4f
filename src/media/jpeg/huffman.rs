//! Huffman tables: for decoding and coding, and the best ones for given counts.

use super::JpegError;

/// Bits that are looked up at once.
const FAST: u32 = 10;

/// A Huffman table, ready for decoding and coding (T.81 C, F.2.2.3).
#[derive(Debug, Clone)]
pub(super) struct Huffman {
    /// For each value of the next [`FAST`] bits: length of the code in the upper byte, symbol in the lower; 0 where
    /// the code is longer.
    fast: Box<[u16; 1 << FAST]>,
    /// For lengths `FAST + 1 ..= 16`: first 16-bit value that belongs to longer codes.
    limit: [u32; 6],
    /// For the same lengths: what to add to the code (modulo 2^16) for the index of its symbol.
    shift: [u32; 6],
    symbols: Vec<u8>,
    /// Code and, from bit 16 on, its length; 0 where a symbol has no code.
    codes: Box<[u32; 256]>,
}

impl Huffman {
    /// The table of `counts` codes of each length 1..=16 for `symbols` in the order of their codes.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, JpegError> {
        let bad = |what| JpegError::Format { what, offset: 0 };
        let mut table = Self {
            fast: Box::new([0; 1 << FAST]),
            limit: [0; 6],
            shift: [0; 6],
            symbols: symbols.to_vec(),
            codes: Box::new([0; 256]),
        };
        let mut code = 0u32;
        let mut index = 0usize;
        for (length, count) in (1u32..).zip(counts) {
            if let Some(long) = length.checked_sub(FAST + 1) {
                let first = u32::try_from(index).map_err(|_| bad("a Huffman table"))?;
                if let Some(shift) = table.shift.get_mut(long as usize) {
                    *shift = first.wrapping_sub(code);
                }
            }
            for _ in 0..*count {
                let symbol = *symbols
                    .get(index)
                    .ok_or(bad("a Huffman table without symbols"))?;
                if code >> length != 0 {
                    return Err(bad("a Huffman table with too many codes"));
                }
                if let Some(entry) = table.codes.get_mut(usize::from(symbol))
                    && *entry == 0
                {
                    *entry = (length << 16) | code;
                }
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let all = table.fast.iter_mut().skip(first);
                    for entry in all.take(1 << (FAST - length)) {
                        *entry = (u16::try_from(length).unwrap_or(0) << 8) | u16::from(symbol);
                    }
                }
                code += 1;
                index += 1;
            }
            if let Some(long) = length.checked_sub(FAST + 1)
                && let Some(limit) = table.limit.get_mut(long as usize)
            {
                *limit = code << (16 - length);
            }
            code <<= 1;
        }
        if index != symbols.len() {
            return Err(bad("a Huffman table with symbols without codes"));
        }
        Ok(table)
    }

    /// Length (0: no code begins like this) and symbol of the code that the bits of `window` begin with.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "an index below 2^FAST in a table of that size"
    )]
    pub(super) fn decode(&self, window: u64) -> (u32, u8) {
        let entry = self.fast[(window >> (64 - FAST)) as usize & ((1 << FAST) - 1)];
        let [symbol, length] = entry.to_le_bytes();
        if length != 0 {
            return (u32::from(length), symbol);
        }
        self.decode_long(window)
    }

    fn decode_long(&self, window: u64) -> (u32, u8) {
        let bits = (window >> 48) as u32;
        for ((length, limit), shift) in (FAST + 1..).zip(self.limit).zip(self.shift) {
            if bits < limit {
                let index = (bits >> (16 - length)).wrapping_add(shift);
                let symbol = self.symbols.get(index as usize);
                return symbol.map_or((0, 0), |symbol| (length, *symbol));
            }
        }
        (0, 0)
    }

    /// Code of a symbol and, from bit 16 on, its length; 0 where it has none.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "an index of 8 bits in a table of 256"
    )]
    pub(super) fn code(&self, symbol: u32) -> u32 {
        self.codes[symbol as usize & 255]
    }
}

/// Codes per length 1..=16, and the symbols in the order of their codes: what a DHT segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) counts: [u8; 16],
    pub(super) symbols: Vec<u8>,
}

/// The best table for symbols that occur `counts` times, with codes of at most 16 bits and no code of ones only
/// (T.81 K.2).
pub(super) fn optimal(counts: &[u32; 256]) -> Definition {
    // Symbol 256 takes the code of ones only.
    let mut nodes: Vec<(u64, Vec<usize>)> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(symbol, count)| (u64::from(*count), vec![symbol]))
        .collect();
    nodes.push((1, vec![256]));
    let mut lengths = [0usize; 257];
    while nodes.len() > 1 {
        // The two rarest; among equals the highest symbol first, so that the result does not depend on sorting.
        nodes.sort_by_key(|(count, symbols)| {
            let highest = symbols.iter().copied().max().unwrap_or(0);
            std::cmp::Reverse((*count, std::cmp::Reverse(highest)))
        });
        let (Some(a), Some(b)) = (nodes.pop(), nodes.pop()) else {
            break;
        };
        let joined: Vec<usize> = a.1.into_iter().chain(b.1).collect();
        for symbol in &joined {
            if let Some(length) = lengths.get_mut(*symbol) {
                *length += 1;
            }
        }
        nodes.push((a.0 + b.0, joined));
    }
    let mut per_length = [0i32; 258];
    for length in lengths.iter().filter(|length| **length > 0) {
        if let Some(n) = per_length.get_mut(*length) {
            *n += 1;
        }
    }
    limit_to_16(&mut per_length);
    // Symbol 256 has the longest code.
    if let Some(last) = per_length.iter_mut().rev().find(|n| **n > 0) {
        *last -= 1;
    }
    let mut order: Vec<(usize, u8)> = lengths
        .iter()
        .zip(0..=255u8)
        .filter(|(length, _)| **length > 0)
        .map(|(length, symbol)| (*length, symbol))
        .collect();
    order.sort_unstable();
    let mut definition = Definition {
        counts: [0; 16],
        symbols: order.into_iter().map(|(_, symbol)| symbol).collect(),
    };
    for (count, n) in definition.counts.iter_mut().zip(per_length.iter().skip(1)) {
        *count = u8::try_from(*n).unwrap_or(0);
    }
    definition
}

/// Moves codes of more than 16 bits up: two of the longest and one shorter become three others (T.81 figure K.3).
#[expect(
    clippy::indexing_slicing,
    reason = "17 <= length <= 257, and a shorter code exists since the code is complete"
)]
fn limit_to_16(per_length: &mut [i32; 258]) {
    for length in (17..258).rev() {
        while per_length[length] > 0 {
            let mut shorter = length - 2;
            while shorter > 1 && per_length[shorter] == 0 {
                shorter -= 1;
            }
            per_length[length] -= 2;
            per_length[length - 1] += 1;
            per_length[shorter + 1] += 2;
            per_length[shorter] -= 1;
        }
    }
}
