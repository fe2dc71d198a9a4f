//! Bases: what several files hold alike, written down once for all of them.

use std::fmt;
use std::sync::Arc;

use super::blocks::{Blocks, Match, matches};
use crate::coding::hash::Digest;

/// Shorter stretches cost more to tell than to write down again.
const LEAST: usize = 64;
/// Bases are used where they hold one byte of the content in so many.
const WORTH: usize = 16;
/// What lies between two shared stretches is taken along if it is no longer.
const BRIDGE: usize = 32;

/// What files share, with where everything lies in it.
pub struct Base {
    id: Digest,
    bytes: Vec<u8>,
    blocks: Blocks,
}

impl Base {
    /// Most bytes of a base, and of a content that is coded against bases: both are held in memory then.
    pub const MOST: u64 = 32 << 20;

    /// The base with this content, whose BLAKE3 is `id`; `None` for one that is too long.
    #[must_use]
    pub fn new(id: Digest, bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() as u64 > Self::MOST {
            return None;
        }
        let mut blocks = Blocks::new(bytes.len());
        blocks.cover(&bytes);
        Some(Self { id, bytes, blocks })
    }

    /// The BLAKE3 of its content.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }

    /// Its content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a content holds that none of these does.
    #[must_use]
    pub fn rest(bases: &[Arc<Self>], content: &[u8]) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut at = 0;
        for (_, there) in found(bases, content) {
            rest.extend_from_slice(content.get(at..there.at).unwrap_or_default());
            at = there.end();
        }
        rest.extend_from_slice(content.get(at..).unwrap_or_default());
        rest
    }

    /// Bytes of a content that this holds, too.
    #[must_use]
    pub fn shares(&self, content: &[u8]) -> usize {
        let found = matches(&[(&self.bytes, &self.blocks)], content, LEAST);
        found.iter().map(|(_, there)| there.length).sum()
    }
}

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Base {}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Base").field(&self.id).finish()
    }
}

/// What a content shows of bases: in order and apart, each with the number of the base. `None` where that is not worth it.
pub(super) fn shown(bases: &[Arc<Base>], content: &[u8]) -> Option<Vec<(usize, Match)>> {
    let found = found(bases, content);
    let total: usize = found.iter().map(|(_, there)| there.length).sum();
    (total >= (content.len() / WORTH).max(LEAST)).then_some(found)
}

fn found(bases: &[Arc<Base>], content: &[u8]) -> Vec<(usize, Match)> {
    let known: Vec<_> = bases
        .iter()
        .map(|base| (base.bytes.as_slice(), &base.blocks))
        .collect();
    matches(&known, content, LEAST)
}

/// Collects what contents have in common.
#[derive(Debug)]
pub struct Common {
    /// What no content before had.
    seen: Vec<u8>,
    blocks: Blocks,
    /// Stretches of it that a later content had, too.
    shared: Vec<(usize, usize)>,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            seen: Vec::new(),
            blocks: Blocks::new(super::blocks::MOST),
            shared: Vec::new(),
        }
    }
}

impl Common {
    /// Takes a content; `false`, and nothing is taken, where there is no room for what is new in it.
    pub fn add(&mut self, content: &[u8]) -> bool {
        let found = matches(&[(&self.seen, &self.blocks)], content, LEAST);
        let known: usize = found.iter().map(|(_, there)| there.length).sum();
        if self.seen.len() + content.len() - known > super::blocks::MOST {
            return false;
        }
        let mut at = 0;
        for (_, there) in &found {
            self.shared.push((there.place, there.place + there.length));
            let fresh = content.get(at..there.at).unwrap_or_default();
            self.seen.extend_from_slice(fresh);
            at = there.end();
        }
        let fresh = content.get(at..).unwrap_or_default();
        self.seen.extend_from_slice(fresh);
        self.blocks.cover(&self.seen);
        true
    }

    /// What at least two contents had, in the order in which it came first; at most as much as a base holds.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.shared.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in self.shared {
            match merged.last_mut() {
                Some((_, last)) if start <= *last + BRIDGE => *last = end.max(*last),
                _ => merged.push((start, end)),
            }
        }
        let stretches = merged
            .iter()
            .filter_map(|(start, end)| self.seen.get(*start..*end));
        let mut base = Vec::new();
        for stretch in stretches {
            if (base.len() + stretch.len()) as u64 > Base::MOST {
                break;
            }
            base.extend_from_slice(stretch);
        }
        base
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

    #[test]
    fn what_one_content_has_alone_is_not_common() {
        let (old, mut new) = (random(1, 50_000), random(1, 50_000));
        new.splice(20_000..21_000, random(2, 3_000));
        let mut common = Common::default();
        for content in [&old, &random(3, 10_000), &new, &random(4, 10_000)] {
            assert!(common.add(content));
        }
        let wanted = [&old[..20_000], &old[21_000..]].concat();
        assert!(common.finish() == wanted);
        // What repeats within one content only is its own affair.
        let mut common = Common::default();
        assert!(common.add(&old.repeat(2)));
        assert!(common.finish().is_empty());
    }
}
