//! Huffman codes of deflate: how zlib chooses their lengths, and their code words (RFC 1951, 3.2).

/// Symbols of the literal/length alphabet that a block may give a length.
pub(super) const LITLENS: usize = 286;
/// Symbols of the distance alphabet.
pub(super) const DISTS: usize = 30;
/// The order in which the lengths of the code length code are sent.
pub(super) const ORDER: [u8; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
/// First length of each length symbol from 257 on, and its extra bits.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// First length and extra bits of a length symbol.
pub(super) fn length_base(symbol: usize) -> Option<(u16, u8)> {
    LENGTHS.get(symbol.checked_sub(257)?).copied()
}

/// The symbol of a length 3..=258.
pub(super) fn length_symbol(length: u16) -> usize {
    if length >= 258 {
        return 285;
    }
    let above = usize::from(length.saturating_sub(3));
    if above < 8 {
        return 257 + above;
    }
    let extra = above.ilog2() as usize - 2;
    257 + 4 * extra + (above >> extra)
}

/// First distance and extra bits of a distance symbol.
pub(super) fn dist_base(symbol: usize) -> Option<(u16, u8)> {
    let extra = symbol.checked_sub(2).map_or(0, |s| s / 2);
    let first = match symbol {
        0..=3 => symbol + 1,
        4..=29 => ((2 + symbol % 2) << extra) + 1,
        _ => return None,
    };
    Some((u16::try_from(first).ok()?, u8::try_from(extra).ok()?))
}

/// The symbol of a distance 1..=32768.
pub(super) fn dist_symbol(dist: u16) -> usize {
    let above = usize::from(dist.saturating_sub(1));
    if above < 4 {
        return above;
    }
    let log = above.ilog2() as usize;
    2 * log + (above >> (log - 1) & 1)
}

/// Lengths of the fixed codes.
pub(super) fn fixed() -> (Vec<u8>, Vec<u8>) {
    let litlen = (0..288)
        .map(|symbol| match symbol {
            0..=143 | 280..=287 => 8,
            144..=255 => 9,
            _ => 7,
        })
        .collect();
    (litlen, vec![5; 30])
}

/// Code words with the first bit lowest, for lengths that make a prefix code; 0 where the length is 0.
pub(super) fn codes(lengths: &[u8]) -> Vec<u16> {
    let mut next = [0_u32; 17];
    let mut code = 0;
    for bits in 1..=15_u8 {
        let shorter = bits - 1;
        let before = lengths
            .iter()
            .filter(|l| **l == shorter && shorter > 0)
            .count();
        code = (code + u32::try_from(before).unwrap_or(0)) << 1;
        if let Some(slot) = next.get_mut(usize::from(bits)) {
            *slot = code;
        }
    }
    let word = |length: &u8| -> u16 {
        let Some(slot) = next.get_mut(usize::from(*length)).filter(|_| *length > 0) else {
            return 0;
        };
        let code = u16::try_from(*slot & 0xffff).unwrap_or(0);
        *slot += 1;
        code.reverse_bits() >> (16 - u32::from(*length)).min(15)
    };
    lengths.iter().map(word).collect()
}

/// Most symbols of a tree here, and twice that for the inner nodes.
const HEAP: usize = 2 * LITLENS + 1;

/// A tree under construction, node by node; leaves come first.
struct Nodes {
    weight: [u32; HEAP],
    depth: [u8; HEAP],
}

impl Nodes {
    /// The order of the heap: lighter first, at equal weight the shallower one.
    fn before(&self, a: usize, b: usize) -> bool {
        let key = |n: usize| (self.weight.get(n), self.depth.get(n));
        key(a) <= key(b)
    }

    /// Sifts the node at `at` of a binary heap that begins at index 1.
    fn sift(&self, heap: &mut [usize], mut at: usize) {
        let node = heap.get(at).copied().unwrap_or(0);
        loop {
            let mut child = 2 * at;
            let Some(mut low) = heap.get(child).copied() else {
                break;
            };
            if let Some(right) = heap.get(child + 1).copied()
                && self.before(right, low)
            {
                (child, low) = (child + 1, right);
            }
            if self.before(node, low) {
                break;
            }
            if let Some(slot) = heap.get_mut(at) {
                *slot = low;
            }
            at = child;
        }
        if let Some(slot) = heap.get_mut(at) {
            *slot = node;
        }
    }
}

/// Code lengths of at most `limit` bits as zlib's `build_tree` chooses them for these frequencies (at most
/// [`LITLENS`] of them), ties and cut lengths included. At least two symbols get a length.
pub(super) fn lengths(frequencies: &[u32], limit: u8) -> Vec<u8> {
    let count = frequencies.len().min(LITLENS);
    let mut nodes = Nodes {
        weight: [0; HEAP],
        depth: [0; HEAP],
    };
    // Index 0 is unused, as in the literature.
    let mut heap = vec![0_usize];
    for (symbol, (weight, frequency)) in nodes.weight.iter_mut().zip(frequencies).enumerate() {
        if *frequency > 0 && symbol < count {
            *weight = *frequency;
            heap.push(symbol);
        }
    }
    let mut largest = heap.last().copied().filter(|_| heap.len() > 1);
    while heap.len() < 3 {
        let symbol = match largest {
            Some(l) if l < 2 => l + 1,
            _ => 0,
        };
        if largest.is_none_or(|l| l < 2) {
            largest = Some(symbol);
        }
        if let Some(weight) = nodes.weight.get_mut(symbol) {
            *weight = 1;
        }
        heap.push(symbol);
    }
    for at in (1..=(heap.len() - 1) / 2).rev() {
        nodes.sift(&mut heap, at);
    }
    // Nodes in the order they were joined, children before parents.
    let mut joined = Vec::with_capacity(HEAP);
    let mut parent = [0_usize; HEAP];
    let mut node = count;
    while heap.len() > 2 {
        let first = heap.get(1).copied().unwrap_or(0);
        let last = heap.pop().unwrap_or(0);
        if let Some(top) = heap.get_mut(1) {
            *top = last;
        }
        nodes.sift(&mut heap, 1);
        let second = heap.get(1).copied().unwrap_or(0);
        joined.extend([first, second]);
        for child in [first, second] {
            if let Some(slot) = parent.get_mut(child) {
                *slot = node;
            }
        }
        let weight = |n: usize| nodes.weight.get(n).copied().unwrap_or(0);
        let depth = |n: usize| nodes.depth.get(n).copied().unwrap_or(0);
        let (sum, deep) = (
            weight(first).saturating_add(weight(second)),
            depth(first).max(depth(second)).wrapping_add(1),
        );
        if let (Some(w), Some(d), Some(top)) = (
            nodes.weight.get_mut(node),
            nodes.depth.get_mut(node),
            heap.get_mut(1),
        ) {
            (*w, *d, *top) = (sum, deep, node);
        }
        node += 1;
        nodes.sift(&mut heap, 1);
    }
    assign(&joined, &parent, count, node.saturating_sub(1), limit)
}

/// Lengths from the parents of all nodes, cut to `limit` the way zlib's `gen_bitlen` does.
fn assign(
    joined: &[usize],
    parent: &[usize; HEAP],
    count: usize,
    root: usize,
    limit: u8,
) -> Vec<u8> {
    let mut length = [0_u8; HEAP];
    let mut per_length = [0_i32; 17];
    let mut overflow = 0_i32;
    for node in joined.iter().rev().copied() {
        let above = parent.get(node).copied().unwrap_or(root);
        let mut bits = length.get(above).copied().unwrap_or(0) + 1;
        if bits > limit {
            bits = limit;
            overflow += 1;
        }
        if let Some(slot) = length.get_mut(node) {
            *slot = bits;
        }
        if node < count
            && let Some(slot) = per_length.get_mut(usize::from(bits))
        {
            *slot += 1;
        }
    }
    if overflow > 0 {
        while overflow > 0 {
            let mut bits = usize::from(limit) - 1;
            while bits > 0 && per_length.get(bits) == Some(&0) {
                bits -= 1;
            }
            for (at, change) in [(bits, -1), (bits + 1, 2), (usize::from(limit), -1)] {
                if let Some(slot) = per_length.get_mut(at) {
                    *slot += change;
                }
            }
            overflow -= 2;
        }
        let mut leaves = joined.iter().copied().filter(|node| *node < count);
        for bits in (1..=limit).rev() {
            for _ in 0..per_length
                .get(usize::from(bits))
                .copied()
                .unwrap_or(0)
                .max(0)
            {
                if let Some(slot) = leaves.next().and_then(|leaf| length.get_mut(leaf)) {
                    *slot = bits;
                }
            }
        }
    }
    length.iter().take(count).copied().collect()
}

/// One symbol of the code length code: 0..=15 a length, 16..=18 a repetition, with its extra bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) symbol: u8,
    pub(super) extra: u8,
}

impl Op {
    /// Extra bits of a symbol.
    pub(super) fn extra_bits(symbol: u8) -> u32 {
        match symbol {
            16 => 2,
            17 => 3,
            18 => 7,
            _ => 0,
        }
    }

    /// How many lengths it stands for.
    pub(super) fn covers(self) -> usize {
        match self.symbol {
            16 | 17 => usize::from(self.extra) + 3,
            18 => usize::from(self.extra) + 11,
            _ => 1,
        }
    }
}

/// How zlib's `scan_tree` writes these lengths as symbols of the code length code.
pub(super) fn scan(lengths: &[u8], ops: &mut Vec<Op>) {
    let mut previous = None;
    let mut rest = lengths;
    while let Some(&length) = rest.first() {
        let same = rest.iter().take_while(|l| **l == length).count();
        let (most, least) = match (length, previous == Some(length)) {
            (0, _) => (138, 3),
            (_, true) => (6, 3),
            (_, false) => (7, 4),
        };
        let run = same.min(most);
        let number = |n: usize| u8::try_from(n).unwrap_or(0);
        let single = Op {
            symbol: length,
            extra: 0,
        };
        if run < least {
            ops.extend(std::iter::repeat_n(single, run));
        } else if length != 0 {
            let mut run = run;
            if previous != Some(length) {
                ops.push(single);
                run -= 1;
            }
            ops.push(Op {
                symbol: 16,
                extra: number(run - 3),
            });
        } else if run <= 10 {
            ops.push(Op {
                symbol: 17,
                extra: number(run - 3),
            });
        } else {
            ops.push(Op {
                symbol: 18,
                extra: number(run - 11),
            });
        }
        previous = Some(length);
        rest = rest.get(run..).unwrap_or_default();
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

    #[test]
    fn symbols_are_the_inverse_of_their_bases() {
        for length in 3..=258 {
            let symbol = length_symbol(length);
            let (base, extra) = length_base(symbol).unwrap();
            assert!(base <= length && length < base + (1 << extra), "{length}");
        }
        for dist in 1..=32768 {
            let symbol = dist_symbol(dist);
            let (base, extra) = dist_base(symbol).unwrap();
            assert!(
                base <= dist && u32::from(dist) < u32::from(base) + (1 << extra),
                "{dist}"
            );
        }
        assert_eq!(length_base(286), None);
        assert_eq!(dist_base(30), None);
    }

    #[test]
    fn lengths_make_a_full_prefix_code() {
        // Fibonacci weights give the deepest tree; the limit then cuts it.
        let mut fibonacci = vec![1_u32, 1];
        while fibonacci.len() < 30 {
            let n = fibonacci.len();
            fibonacci.push(fibonacci[n - 1] + fibonacci[n - 2]);
        }
        let flat = vec![1_u32; 286];
        let one = vec![0, 0, 0, 9];
        for (weights, limit) in [(fibonacci, 15), (flat, 15), (one, 7), (vec![0, 5, 0], 15)] {
            let lengths = lengths(&weights, limit);
            let sum: u32 = lengths
                .iter()
                .filter(|l| **l > 0)
                .map(|l| 1 << (15 - l))
                .sum();
            assert_eq!(sum, 1 << 15, "{lengths:?}");
            assert!(lengths.iter().all(|l| *l <= limit));
        }
    }

    #[test]
    fn a_scan_stands_for_its_lengths() {
        let mut lengths = vec![0; 200];
        lengths.extend([5; 17]);
        lengths.extend([0, 0, 3, 3, 3, 0, 0, 0, 7, 1, 1, 1, 1, 1, 1, 1, 1]);
        let mut ops = Vec::new();
        scan(&lengths, &mut ops);
        let mut back: Vec<u8> = Vec::new();
        for op in ops {
            let value = match op.symbol {
                16 => *back.last().unwrap(),
                17 | 18 => 0,
                length => length,
            };
            back.extend(std::iter::repeat_n(value, op.covers()));
        }
        assert_eq!(back, lengths);
    }
}
