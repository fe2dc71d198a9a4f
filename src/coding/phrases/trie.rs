//! A path-compressed trie of sorted phrases: all phrases that a place begins with, shortest first.

use super::text::{Strings, at, common, small};

/// The phrases that share what leads here; their `id`s count from the first phrase.
#[derive(Debug, Clone, Copy, Default)]
struct Node {
    /// What all of them go on with, in the text of the trie.
    label: u32,
    length: u32,
    /// One more than the phrase that ends here; 0 where none does.
    phrase: u32,
}

/// A node is found by its parent and its first byte, the first two levels by their two bytes.
#[derive(Debug)]
pub(super) struct Trie {
    /// Nodes by two bytes; 0 where there is none.
    roots: Vec<u32>,
    /// `(parent << 8 | byte) << 32 | node`, open addressing, 0 where empty.
    children: Vec<u64>,
    shift: u32,
    nodes: Vec<Node>,
    text: Vec<u8>,
}

impl Trie {
    /// A trie of `phrases`: sorted, no two the same, each of two bytes or more.
    pub(super) fn new(phrases: &Strings) -> Self {
        let slots = (phrases.len() * 4).next_power_of_two().max(1024);
        let mut trie = Self {
            roots: vec![0; 1 << 16],
            children: vec![0; slots],
            shift: 64 - slots.ilog2(),
            nodes: vec![Node::default()],
            text: Vec::new(),
        };
        let mut first = 0;
        while let &[a, b, ..] = phrases.get(first) {
            let mut end = first + 1;
            while phrases.get(end).starts_with(&[a, b]) {
                end += 1;
            }
            let node = trie.build(phrases, first, end, 2);
            let two = usize::from(a) << 8 | usize::from(b);
            if let Some(root) = trie.roots.get_mut(two) {
                *root = node;
            }
            first = end;
        }
        trie
    }

    /// Bytes in memory.
    pub(super) fn memory(&self) -> usize {
        self.roots.len() * 4 + self.children.len() * 8 + self.nodes.len() * 12 + self.text.len()
    }

    /// The node of phrases `first..end`, which share their first `depth` bytes. As deep as a phrase is long.
    fn build(&mut self, phrases: &Strings, first: usize, end: usize, depth: usize) -> u32 {
        let shortest = phrases.get(first);
        let shared = common(shortest, phrases.get(end - 1));
        let node = small(self.nodes.len());
        let ends_here = shortest.len() == shared;
        self.nodes.push(Node {
            label: small(self.text.len()),
            length: small(shared - depth),
            phrase: if ends_here { small(first) + 1 } else { 0 },
        });
        self.text
            .extend_from_slice(shortest.get(depth..shared).unwrap_or_default());
        let mut from = first + usize::from(ends_here);
        while from < end {
            let byte = phrases.get(from).get(shared).copied();
            let mut to = from + 1;
            while to < end && phrases.get(to).get(shared).copied() == byte {
                to += 1;
            }
            let child = self.build(phrases, from, to, shared + 1);
            self.insert(node << 8 | u32::from(byte.unwrap_or_default()), child);
            from = to;
        }
        node
    }

    #[inline]
    fn first_slot(&self, key: u32) -> usize {
        // The low bits of the product cluster.
        let high = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        usize::try_from(high).unwrap_or(0)
    }

    fn insert(&mut self, key: u32, node: u32) {
        let mask = self.children.len() - 1;
        let mut i = self.first_slot(key);
        while at(&self.children, i & mask) != 0 {
            i += 1;
        }
        if let Some(slot) = self.children.get_mut(i & mask) {
            *slot = u64::from(key) << 32 | u64::from(node);
        }
    }

    #[inline]
    fn child(&self, node: u32, byte: u8) -> u32 {
        let key = node << 8 | u32::from(byte);
        let mask = self.children.len() - 1;
        let mut i = self.first_slot(key);
        loop {
            let slot = at(&self.children, i & mask);
            if slot == 0 {
                return 0;
            }
            if slot >> 32 == u64::from(key) {
                return u32::try_from(slot & 0xffff_ffff).unwrap_or(0);
            }
            i += 1;
        }
    }

    /// Gives each phrase that `text` begins with, by its number and its length.
    #[inline]
    pub(super) fn walk(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        let &[a, b, ..] = text else { return };
        let mut node = at(&self.roots, usize::from(a) << 8 | usize::from(b));
        let mut depth = 2;
        while node != 0 {
            let here = at(&self.nodes, node as usize);
            if here.length > 0 {
                let start = here.label as usize;
                let end = depth + here.length as usize;
                let label = self.text.get(start..start + here.length as usize);
                if text.get(depth..end) != label {
                    return;
                }
                depth = end;
            }
            if let Some(phrase) = here.phrase.checked_sub(1) {
                found(phrase as usize, depth);
            }
            let Some(&byte) = text.get(depth) else {
                return;
            };
            node = self.child(node, byte);
            depth += 1;
        }
    }
}
