//! Parsed templates of other programs: a lookup parses all of one, a listing looks all of them up.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::Recognised;
use crate::format::Time;
use crate::store::attrs::now;
use crate::store::disk::Meta;

/// Most bytes of all that is kept.
const BUDGET: usize = 64 << 20;
/// What an entry takes beside its value.
const ENTRY: usize = 256;
/// Nanoseconds after a change in which another one could have the same time.
const TICK: i64 = 1_000_000_000;

/// What a template was parsed from, and for which context.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    file: (u64, u64, u64),
    changed: (i64, u32),
    context: Option<Arc<str>>,
}

impl Key {
    /// That of a file, as it was before it was read.
    pub(super) fn new(meta: &Meta, context: Option<&str>) -> Self {
        Self {
            file: (meta.dev, meta.ino, meta.size),
            changed: (meta.ctime.secs, meta.ctime.nanos),
            context: context.map(Arc::from),
        }
    }

    /// Whether any change from `now` on gives the file another key: its last one was not just now.
    fn lasts(&self, now: Time) -> bool {
        let age = |a: i64, b: i64| b.saturating_sub(a).saturating_mul(TICK);
        let nanos = i64::from(now.nanos) - i64::from(self.changed.1);
        age(self.changed.0, now.secs).saturating_add(nanos) > TICK
    }
}

#[derive(Debug)]
struct Entries {
    used: LruCache<Key, (Recognised, usize)>,
    /// Bytes of all of them.
    bytes: usize,
}

/// Templates kept, those used longest ago leaving first.
#[derive(Debug)]
pub(crate) struct Templates(Mutex<Entries>);

impl Default for Templates {
    fn default() -> Self {
        Self(Mutex::new(Entries {
            used: LruCache::unbounded(),
            bytes: 0,
        }))
    }
}

impl Templates {
    pub(super) fn get(&self, key: &Key) -> Option<Recognised> {
        let mut entries = self.0.lock();
        entries.used.get(key).map(|(found, _)| found.clone())
    }

    /// Keeps what was found, which takes so many bytes, where that is sure to be found again.
    pub(super) fn put(&self, key: Key, found: &Recognised, bytes: usize) {
        self.put_at(key, found, bytes, now());
    }

    fn put_at(&self, key: Key, found: &Recognised, bytes: usize, now: Time) {
        let bytes = bytes.saturating_add(ENTRY);
        if bytes > BUDGET || !key.lasts(now) {
            return;
        }
        let mut entries = self.0.lock();
        entries.bytes += bytes;
        if let Some((_, (_, before))) = entries.used.push(key, (found.clone(), bytes)) {
            entries.bytes -= before;
        }
        while entries.bytes > BUDGET {
            let Some((_, (_, gone))) = entries.used.pop_lru() else {
                return;
            };
            entries.bytes -= gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ino: u64, secs: i64, context: Option<&str>) -> Key {
        Key {
            file: (1, ino, 100),
            changed: (secs, 500),
            context: context.map(Arc::from),
        }
    }

    const NOW: Time = Time {
        secs: 1000,
        nanos: 0,
    };

    fn kept(templates: &Templates, key: &Key) -> Option<String> {
        match templates.get(key)? {
            Recognised::Broken(what) => Some(what),
            _ => None,
        }
    }

    fn broken(what: &str) -> Recognised {
        Recognised::Broken(what.to_owned())
    }

    #[test]
    fn each_context_and_each_state_of_a_file_has_its_own() {
        let templates = Templates::default();
        templates.put_at(key(7, 10, None), &broken("a"), 1, NOW);
        templates.put_at(key(7, 10, Some("C")), &broken("b"), 1, NOW);
        let what = |key| kept(&templates, &key);
        assert_eq!(what(key(7, 10, None)).as_deref(), Some("a"));
        assert_eq!(what(key(7, 10, Some("C"))).as_deref(), Some("b"));
        assert_eq!(what(key(7, 11, None)), None);
        assert_eq!(what(key(8, 10, None)), None);
        templates.put_at(key(7, 10, None), &broken("c"), 1, NOW);
        let what = |key| kept(&templates, &key);
        assert_eq!(what(key(7, 10, None)).as_deref(), Some("c"));
        assert_eq!(templates.0.lock().bytes, 2 * (1 + ENTRY));
    }

    /// A file that changed twice in one tick of the clock has one key for two contents.
    #[test]
    fn what_changed_just_now_is_not_kept() {
        let templates = Templates::default();
        for secs in [999, 1000, 2000, i64::MAX] {
            templates.put_at(key(7, secs, None), &broken("a"), 1, NOW);
            assert_eq!(kept(&templates, &key(7, secs, None)), None, "{secs}");
        }
        for secs in [i64::MIN, 0, 998] {
            templates.put_at(key(7, secs, None), &broken("a"), 1, NOW);
            assert!(kept(&templates, &key(7, secs, None)).is_some(), "{secs}");
        }
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let templates = Templates::default();
        let third = BUDGET / 3 - ENTRY;
        templates.put_at(key(0, 0, None), &broken("large"), BUDGET, NOW);
        assert_eq!(kept(&templates, &key(0, 0, None)), None);
        for ino in 1..=3 {
            templates.put_at(key(ino, 0, None), &broken("a"), third, NOW);
        }
        assert!(kept(&templates, &key(1, 0, None)).is_some());
        templates.put_at(key(4, 0, None), &broken("a"), third, NOW);
        assert!(kept(&templates, &key(1, 0, None)).is_some());
        assert_eq!(kept(&templates, &key(2, 0, None)), None);
        assert!(templates.0.lock().bytes <= BUDGET);
    }
}
