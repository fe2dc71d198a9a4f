//! What was used last, as far as it fits.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

/// Values by number, those used longest ago dropped when all together weigh too much.
#[derive(Debug)]
pub(super) struct Recent<V> {
    kept: Mutex<Kept<V>>,
    most: usize,
}

#[derive(Debug)]
struct Kept<V> {
    /// With what they weigh.
    values: LruCache<u64, (Arc<V>, usize)>,
    total: usize,
}

impl<V> Recent<V> {
    /// Keeps values of at most this weight together, and one more.
    pub(super) fn new(most: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                values: LruCache::unbounded(),
                total: 0,
            }),
            most,
        }
    }

    /// A value, if it is kept.
    pub(super) fn get(&self, number: u64) -> Option<Arc<V>> {
        let mut kept = self.kept.lock();
        kept.values.get(&number).map(|(value, _)| Arc::clone(value))
    }

    /// Keeps a value for later.
    pub(super) fn keep(&self, number: u64, value: V, weight: usize) -> Arc<V> {
        let value = Arc::new(value);
        let mut kept = self.kept.lock();
        kept.total += weight;
        if let Some((_, before)) = kept.values.put(number, (Arc::clone(&value), weight)) {
            kept.total -= before;
        }
        while kept.total > self.most && kept.values.len() > 1 {
            if let Some((_, (_, weight))) = kept.values.pop_lru() {
                kept.total -= weight;
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes() {
        let recent = Recent::new(10);
        recent.keep(1, 'a', 4);
        recent.keep(2, 'b', 4);
        assert_eq!(recent.get(1).as_deref(), Some(&'a'));
        recent.keep(3, 'c', 4);
        assert_eq!(recent.get(2), None);
        assert_eq!(recent.get(1).as_deref(), Some(&'a'));
        // One that is too heavy is kept alone.
        recent.keep(4, 'd', 100);
        assert_eq!(recent.get(1), None);
        assert_eq!(recent.get(4).as_deref(), Some(&'d'));
        recent.keep(4, 'e', 1);
        recent.keep(5, 'f', 9);
        assert_eq!(recent.get(4).as_deref(), Some(&'e'));
    }
}
