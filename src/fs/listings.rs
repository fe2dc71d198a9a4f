//! Listings of directories, read by inode and position: the kernel opens no directories.
//!
//! An open or a close of a directory would be a request that tells us nothing: names change only under the
//! directory's lock, so that one listing is one moment. What the kernel reads in several pieces, or two programs at a
//! time, is kept together by the positions: each belongs to a name, whatever else comes and goes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::store::Item;
use crate::store::disk::Kind;

/// Positions of `.` and `..`.
const DOTS: [(&str, u64); 2] = [(".", 1), ("..", 2)];
/// What is no directory has its position behind all directories.
const FILES: u64 = 1 << 62;
/// Listings that are kept for their next piece; one that was pushed out is made again.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// The names of a directory at one moment.
#[derive(Debug)]
pub(super) struct Listing {
    /// Name and position, in the order of positions: `.`, `..`, directories, everything else.
    items: Vec<(u64, Item)>,
}

impl Listing {
    /// A listing of the directory `ino` in `parent`.
    pub(super) fn new(ino: u64, parent: u64, names: Vec<Item>) -> Self {
        let dots = DOTS.into_iter().zip([ino, parent]);
        let dots = dots.map(|((name, at), ino)| {
            let (name, kind) = (name.into(), Kind::Dir);
            let ino = Some(ino);
            (at, Item { name, ino, kind })
        });
        let names = names.into_iter().map(|item| (position(&item), item));
        let mut items: Vec<_> = dots.chain(names).collect();
        items.sort_unstable_by(|(a, x), (b, y)| (a, &x.name).cmp(&(b, &y.name)));
        let mut last = 0;
        for (at, _) in &mut items {
            *at = (*at).max(last + 1);
            last = *at;
        }
        Self { items }
    }

    /// What follows a position.
    pub(super) fn after(&self, position: u64) -> &[(u64, Item)] {
        let begin = self.items.partition_point(|(at, _)| *at <= position);
        self.items.get(begin..).unwrap_or_default()
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

/// Where a name stands in any listing, between that of `..` and 2^63.
fn position(item: &Item) -> u64 {
    let mut hasher = DefaultHasher::new();
    item.name.hash(&mut hasher);
    let hash = hasher.finish() >> 2;
    if item.kind == Kind::Dir {
        hash
    } else {
        hash | FILES
    }
}

/// The listings that are being read.
#[derive(Debug)]
pub(super) struct Listings(Mutex<LruCache<u64, Arc<Listing>>>);

impl Default for Listings {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Listings {
    /// The listing of `ino` for reading on after `position`; a reader that begins gets a new one.
    pub(super) fn get<E>(
        &self,
        ino: u64,
        position: u64,
        list: impl FnOnce() -> Result<Listing, E>,
    ) -> Result<Arc<Listing>, E> {
        let kept = match position {
            0 => None,
            _ => self.0.lock().get(&ino).map(Arc::clone),
        };
        if let Some(listing) = kept {
            if listing.after(position).is_empty() {
                self.0.lock().pop(&ino);
            }
            return Ok(listing);
        }
        let listing = Arc::new(list()?);
        if !listing.after(position).is_empty() {
            self.0.lock().put(ino, Arc::clone(&listing));
        }
        Ok(listing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use std::collections::BTreeSet;

    use super::*;
    use crate::store::ROOT;

    fn item(name: &str) -> Item {
        let kind = if name.starts_with('d') {
            Kind::Dir
        } else {
            Kind::File
        };
        let (name, ino) = (name.into(), None);
        Item { name, ino, kind }
    }

    fn names(numbers: impl Iterator<Item = u32>) -> Vec<Item> {
        numbers
            .map(|n| item(&format!("{}{n}", if n % 3 == 0 { 'd' } else { 'f' })))
            .collect()
    }

    #[test]
    fn directories_come_first_and_positions_grow() {
        let listing = Listing::new(7, ROOT, names(0..1000));
        let items = listing.after(0);
        assert_eq!(listing.len(), 1002);
        let first: Vec<_> = items
            .iter()
            .take(2)
            .map(|(_, i)| (&i.name, i.ino))
            .collect();
        assert_eq!(first, [(&".".into(), Some(7)), (&"..".into(), Some(ROOT))]);
        let dirs = items.iter().take_while(|(_, i)| i.kind == Kind::Dir);
        assert_eq!(dirs.count(), 2 + 334);
        assert!(items.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(items.iter().all(|(at, _)| i64::try_from(*at).is_ok()));
    }

    /// Two programs read one directory in pieces while names come and go: each sees what stays there once.
    #[test]
    fn what_stays_is_read_once_by_everybody() {
        let listings = Listings::default();
        let mut now = 0..500;
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        let mut at = [0, 0];
        for step in 0.. {
            let reader = step % 2;
            now = now.start + 1..now.end + 1;
            let list = || Ok::<_, ()>(Listing::new(7, ROOT, names(now.clone())));
            let listing = listings.get(7, *at.get(reader).unwrap(), list).unwrap();
            let piece = listing.after(*at.get(reader).unwrap());
            for (position, item) in piece.iter().take(17) {
                assert!(seen.get_mut(reader).unwrap().insert(item.name.clone()));
                *at.get_mut(reader).unwrap() = *position;
            }
            if piece.is_empty() && reader == 1 {
                break;
            }
        }
        let stays = names(now.start..500);
        assert!(stays.len() > 300, "{now:?}");
        for seen in &seen {
            assert!(stays.iter().all(|item| seen.contains(&item.name)));
        }
        assert!(listings.0.lock().is_empty(), "nothing is kept for nobody");
    }
}
