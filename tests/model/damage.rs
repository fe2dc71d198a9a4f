//! What can be lost of an encoded file without losing any of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use holofs::store::disk::{Access, Dir, Kind};
use holofs::store::{FileStatus, State};

use super::support::Rng;
use super::support::files::{Files, os};

/// Bytes of the attribute slots in the head of a packed object: where both are intact, each protects the other from
/// a torn write, yet not its own last change from a flipped bit.
const SLOTS: std::ops::Range<u64> = 16..160;

/// The name on disk of something plain.
fn plain(name: &str) -> String {
    let stem = name.trim_end_matches('~');
    if stem.ends_with(".holo") {
        format!("{name}~")
    } else {
        name.to_owned()
    }
}

/// The directory on disk of a path, and its last name; `None` for what is in a solid directory.
fn place<'p>(root: &Arc<dyn Dir>, path: &'p str) -> Option<(Arc<dyn Dir>, &'p str)> {
    let mut dir = Arc::clone(root);
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap();
    for part in parts {
        dir = dir.dir(os(&plain(part))).ok()?;
    }
    Some((dir, name))
}

/// Whether a path lies there plain and encoded.
pub(crate) fn is_pair(files: &Files, path: &str) -> bool {
    let Some((dir, name)) = place(files.store.root(), path) else {
        return false;
    };
    let names = [plain(name), plain(name) + ".holo"];
    names.iter().all(|name| dir.meta(os(name)).is_ok())
}

/// Damages an encoded file as far as its protection goes, once in the life of its set; says what it did.
pub(crate) fn damage(
    files: &Files,
    path: &str,
    done: &mut BTreeSet<u64>,
    rng: &mut Rng,
) -> Option<String> {
    let FileStatus { state, chunks, .. } = files.status(path).unwrap();
    if state != State::Exact || chunks.need == chunks.total || is_pair(files, path) {
        return None;
    }
    let (dir, name) = place(files.store.root(), path)?;
    let disk = plain(name) + ".holo";
    let meta = dir.meta(os(&disk)).unwrap();
    if !done.insert(meta.ino) {
        return None;
    }
    if meta.kind == Kind::Dir {
        let set = dir.dir(os(&disk)).unwrap();
        let mut all = set.list().unwrap();
        all.retain(|entry| entry.name != "manifest");
        for _ in chunks.need..chunks.total {
            let lost = all.swap_remove(rng.below(all.len() as u64) as usize);
            set.unlink(&lost.name).unwrap();
        }
        return Some(format!("{} chunks lost", chunks.total - chunks.need));
    }
    let file = dir.open(os(&disk), Access::Write).unwrap();
    let at = rng.below(meta.size);
    if SLOTS.contains(&at) {
        return None;
    }
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ (1 << rng.below(8))], at).unwrap();
    Some(format!("a bit of byte {at} flipped"))
}
