//! Dictionaries that files share: read once for all files that are open.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::codec;
use crate::coding::hash::Digest;
use crate::coding::phrases::Dictionary;

/// Memory of those that are kept.
const MEMORY: usize = 16 << 20;

/// A dictionary and its id.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) id: Digest,
    pub(super) dictionary: Arc<Dictionary>,
}

/// Those used last. An id stands for the same bytes in whatever store.
static KEPT: Mutex<VecDeque<Shared>> = Mutex::new(VecDeque::new());

/// The dictionary with this id, whose bytes `bytes` gets.
///
/// # Errors
/// What `bytes` says, and `wrong` for what is no dictionary.
pub(super) fn get<E>(
    id: &Digest,
    bytes: impl FnOnce() -> Result<Arc<[u8]>, E>,
    wrong: impl FnOnce() -> E,
) -> Result<Arc<Dictionary>, E> {
    let mut kept = KEPT.lock();
    let at = kept.iter().position(|shared| shared.id == *id);
    if let Some(found) = at.and_then(|at| kept.remove(at)) {
        kept.push_front(found.clone());
        return Ok(found.dictionary);
    }
    drop(kept);
    let dictionary = Arc::new(Dictionary::parse(&bytes()?).map_err(|_| wrong())?);
    let mut kept = KEPT.lock();
    kept.push_front(Shared {
        id: *id,
        dictionary: Arc::clone(&dictionary),
    });
    let mut total = 0;
    kept.retain(|shared| {
        total += shared.dictionary.memory();
        total <= MEMORY
    });
    Ok(dictionary)
}

/// Those of a request that can be read.
pub(super) fn of(dictionaries: &[codec::Dictionary]) -> Vec<Shared> {
    let read = |known: &codec::Dictionary| {
        let dictionary = get(&known.id, || Ok(Arc::clone(&known.bytes)), || ());
        dictionary.ok().map(|dictionary| Shared {
            id: known.id,
            dictionary,
        })
    };
    dictionaries.iter().filter_map(read).collect()
}
