//! A path-compressed trie of sorted phrases: all phrases that a place begins with, shortest first.

use super::parse::Symbol;
use super::text::{Strings, at, common, small};

/// The phrases that share what leads here, in a slot of a table with open addressing: a step of a walk reads one slot.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The slot of the parent and the first byte, `slot << 8 | byte`; of a root its two bytes below [`ROOT`].
    key: u32,
    /// What all phrases go on with: `phrase 24 | bytes 8`, where the phrase is one more than the one that ends here; 0
    /// where none does.
    ends: u32,
    /// The bytes where they are four at most, lowest first; else where they are in the text.
    label: u32,
    /// Of the phrase that ends here.
    symbol: Symbol,
}

/// The key of a node of no parent, above its two bytes.
const ROOT: u32 = 1 << 31;
/// No key.
const EMPTY: u32 = u32::MAX;

impl Default for Node {
    fn default() -> Self {
        Self {
            key: EMPTY,
            ends: 0,
            label: 0,
            symbol: Symbol::default(),
        }
    }
}

/// See [`Node`].
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    shift: u32,
    text: Vec<u8>,
}

/// Nodes of a trie of sorted phrases: one for each, and one wherever two part that no phrase ends at and none before them
/// parted at.
fn count(phrases: &Strings) -> usize {
    let mut nodes = 0;
    let mut before: &[u8] = &[];
    // Depths of nodes on the way to the phrase before, deepest last.
    let mut depths: Vec<usize> = Vec::new();
    for phrase in phrases.iter() {
        let shared = common(before, phrase);
        while depths.pop_if(|depth| *depth > shared).is_some() {}
        if shared >= 2 && depths.last() != Some(&shared) {
            depths.push(shared);
            nodes += 1;
        }
        depths.push(phrase.len());
        nodes += 1;
        before = phrase;
    }
    nodes
}

/// The first four bytes, zeros behind the last one.
#[inline]
fn four(bytes: &[u8]) -> u32 {
    match bytes.first_chunk() {
        Some(four) => u32::from_le_bytes(*four),
        None => bytes
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u32::from(byte)),
    }
}

impl Trie {
    /// A trie of `phrases`: sorted, no two the same, each of two bytes or more. `symbols` are given back with them.
    pub(super) fn new(phrases: &Strings, symbols: &[Symbol]) -> Self {
        // At most two nodes for each phrase, of at most 2^17: slots take less than 20 bits.
        let slots = (count(phrases) * 3 / 2).next_power_of_two().max(1024);
        let mut trie = Self {
            nodes: vec![Node::default(); slots],
            shift: 64 - slots.ilog2(),
            text: Vec::new(),
        };
        let mut first = 0;
        while let &[a, b, ..] = phrases.get(first) {
            let mut end = first + 1;
            while phrases.get(end).starts_with(&[a, b]) {
                end += 1;
            }
            let key = ROOT | u32::from(a) << 8 | u32::from(b);
            trie.build(phrases, symbols, first..end, (key, 2));
            first = end;
        }
        trie
    }

    /// Bytes in memory.
    pub(super) fn memory(&self) -> usize {
        self.nodes.len() * size_of::<Node>() + self.text.len()
    }

    /// The node of a key, of phrases that share their first `depth` bytes. As deep as a phrase is long.
    fn build(
        &mut self,
        phrases: &Strings,
        symbols: &[Symbol],
        range: std::ops::Range<usize>,
        (key, depth): (u32, usize),
    ) {
        let shortest = phrases.get(range.start);
        let shared = common(shortest, phrases.get(range.end - 1));
        let ends_here = shortest.len() == shared;
        let label = shortest.get(depth..shared).unwrap_or_default();
        let mut node = Node {
            key,
            ends: small(label.len()),
            label: four(label),
            symbol: Symbol::default(),
        };
        if ends_here {
            node.ends |= (small(range.start) + 1) << 8;
            node.symbol = at(symbols, range.start);
        }
        if label.len() > 4 {
            node.label = small(self.text.len());
            self.text.extend_from_slice(label);
        }
        let slot = self.insert(node);
        let mut from = range.start + usize::from(ends_here);
        while from < range.end {
            let byte = phrases.get(from).get(shared).copied();
            let mut to = from + 1;
            while to < range.end && phrases.get(to).get(shared).copied() == byte {
                to += 1;
            }
            let key = small(slot) << 8 | u32::from(byte.unwrap_or_default());
            self.build(phrases, symbols, from..to, (key, shared + 1));
            from = to;
        }
    }

    #[inline]
    fn first_slot(&self, key: u32) -> usize {
        // The low bits of the product cluster.
        let high = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        usize::try_from(high).unwrap_or(0)
    }

    fn insert(&mut self, node: Node) -> usize {
        let mask = self.nodes.len() - 1;
        let mut i = self.first_slot(node.key);
        while at(&self.nodes, i & mask).key != EMPTY {
            i += 1;
        }
        if let Some(slot) = self.nodes.get_mut(i & mask) {
            *slot = node;
        }
        i & mask
    }

    #[inline]
    fn find(&self, key: u32) -> Option<(usize, &Node)> {
        let mask = self.nodes.len() - 1;
        let mut i = self.first_slot(key);
        loop {
            let node = self.nodes.get(i & mask)?;
            if node.key == key {
                return Some((i & mask, node));
            }
            if node.key == EMPTY {
                return None;
            }
            i += 1;
        }
    }

    /// Gives each phrase that `text` begins with, by its number, its length and its symbol.
    #[inline]
    pub(super) fn walk(&self, text: &[u8], mut found: impl FnMut(usize, usize, Symbol)) {
        let &[a, b, ..] = text else { return };
        let mut key = ROOT | u32::from(a) << 8 | u32::from(b);
        let mut depth = 2;
        while let Some((slot, node)) = self.find(key) {
            let length = (node.ends & 0xff) as usize;
            if length > 0 {
                let rest = text.get(depth..).unwrap_or_default();
                let differ = if length > 4 {
                    let label = node.label as usize;
                    rest.get(..length) != self.text.get(label..label + length)
                } else {
                    let differ = (four(rest) ^ node.label) << (32 - 8 * length);
                    differ != 0 || rest.len() < length
                };
                if differ {
                    return;
                }
                depth += length;
            }
            if let Some(phrase) = (node.ends >> 8).checked_sub(1) {
                found(phrase as usize, depth, node.symbol);
            }
            let Some(&byte) = text.get(depth) else {
                return;
            };
            key = small(slot) << 8 | u32::from(byte);
            depth += 1;
        }
    }
}
