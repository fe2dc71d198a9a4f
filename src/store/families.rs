//! Families: files that share long stretches, found by sketches and kept against one base.
//!
//! What is known of files is advice: it lies in memory and, for the next process, in `.holofs/families`; it is looked up
//! again file by file where that is missing. Files are told apart by owner and by whether everybody may read them, as
//! dictionaries are.
//!
//! | bytes of `families` | field |
//! |---|---|
//! | `0 .. 8` | "holofam" and 1 |
//! | `8 .. 24` | first half of the BLAKE3 of what follows |
//! | for each file | |
//! | 8 each | u64: inode number, size, bytes stored |
//! | 4 | u32: owner |
//! | 1 | 1 everybody may read it, 2 it is coded against a base, 4 trying it again is no use, 8 the same for phrases |
//! | 1 | numbers of the sketch `n`, at most 8 |
//! | 2 | u16: bytes of the path `p` |
//! | 4 each, `n` of them | u32: the sketch |
//! | `p` | the path |

mod find;
mod share;
mod words;

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Instant;

use parking_lot::Mutex;

use super::Result;
use super::dictionaries::Class;
use super::disk::{self, Access, Dir, Rename};
use crate::codec::template::sketch::{NUMBERS, Sketch};
use crate::coding::hash::Digest;
pub(crate) use share::Shared;

/// Where this is kept, in `.holofs/`.
const PLACE: &str = "families";
/// The same while it is written.
const FRESH: &str = "families.new";
const MAGIC: &[u8; 8] = b"holofam\x01";
/// Files that are known at most; those known longest are forgotten first.
const MOST: usize = 1 << 15;
/// Longest file that is read back.
const LIMIT: u64 = 32 << 20;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) ino: u64,
    /// Where it was seen last.
    pub(crate) path: PathBuf,
    pub(crate) class: Class,
    pub(crate) size: u64,
    /// Bytes that it takes, with protection.
    pub(crate) stored: u64,
    /// Whether it is coded against a base.
    pub(crate) based: bool,
    /// Whether it has been tried in vain to share what it holds.
    pub(crate) tried: bool,
    /// Whether its family was tried with a dictionary of phrases.
    pub(crate) worded: bool,
    pub(crate) sketch: Sketch,
}

/// What is known of all files.
#[derive(Debug, Default)]
pub(crate) struct Families {
    state: Mutex<State>,
    /// Held by whoever makes files share.
    working: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// With numbers that grow.
    members: HashMap<u64, (u64, Member)>,
    serial: u64,
    /// Those that an earlier process knew, and this one has not seen.
    unchecked: HashSet<u64>,
    /// Whether what an earlier process knew is in here.
    loaded: bool,
    /// Whether something is not kept for the next process.
    unsaved: bool,
    /// Whether there is something new to look at.
    fresh: bool,
    /// When that is worth it, at the earliest.
    next: Option<Instant>,
}

impl Families {
    /// Notes a file, in place of what was known of it.
    pub(crate) fn note(&self, base: &dyn Dir, member: Member) {
        if member.sketch.0.is_empty() {
            return;
        }
        let mut state = self.loaded(base);
        state.unchecked.remove(&member.ino);
        state.put(member);
        (state.unsaved, state.fresh) = (true, true);
    }

    /// Whether a file is known to this process.
    fn knows(&self, base: &dyn Dir, ino: u64) -> bool {
        let state = self.loaded(base);
        state.members.contains_key(&ino) && !state.unchecked.contains(&ino)
    }

    /// Takes what an earlier process knew of a file for true, if it fits what the file is now.
    fn check(&self, now: &Member) -> bool {
        let mut state = self.state.lock();
        state.unchecked.remove(&now.ino);
        let Some((_, member)) = state.members.get_mut(&now.ino) else {
            return false;
        };
        let fits = (member.class, member.size, member.stored, member.based)
            == (now.class, now.size, now.stored, now.based);
        if fits && member.path != now.path {
            member.path.clone_from(&now.path);
            state.unsaved = true;
        }
        fits
    }

    /// Forgets a file, which is looked through when it is seen again.
    pub(crate) fn forget(&self, base: &dyn Dir, ino: u64) {
        let mut state = self.loaded(base);
        state.unsaved |= state.members.remove(&ino).is_some();
    }

    /// Changes what is known of a file.
    fn change(&self, ino: u64, change: impl FnOnce(&mut Member)) {
        let mut state = self.state.lock();
        state.unsaved = true;
        if let Some((_, member)) = state.members.get_mut(&ino) {
            change(member);
        }
    }

    fn loaded(&self, base: &dyn Dir) -> parking_lot::MutexGuard<'_, State> {
        let mut state = self.state.lock();
        if !state.loaded {
            state.loaded = true;
            for member in read(base).unwrap_or_default() {
                state.unchecked.insert(member.ino);
                state.put(member);
                state.fresh = true;
            }
        }
        state
    }

    /// Keeps what is known for the next process.
    pub(crate) fn save(&self, base: &dyn Dir) {
        let bytes = {
            let mut state = self.state.lock();
            if !std::mem::take(&mut state.unsaved) {
                return;
            }
            let mut all: Vec<&(u64, Member)> = state.members.values().collect();
            all.sort_by_key(|(serial, _)| *serial);
            let mut bytes = Vec::new();
            for (_, member) in all {
                write(&mut bytes, member);
            }
            bytes
        };
        if let Err(e) = save(base, &bytes) {
            log::debug!(".holofs/{PLACE}: not kept: {e}");
        }
    }
}

impl State {
    fn put(&mut self, member: Member) {
        self.serial += 1;
        self.members.insert(member.ino, (self.serial, member));
        if self.members.len() > MOST {
            let mut serials: Vec<u64> = self.members.values().map(|(serial, _)| *serial).collect();
            let middle = serials.len() / 4;
            let (_, bound, _) = serials.select_nth_unstable(middle);
            let bound = *bound;
            self.members.retain(|_, (serial, _)| *serial > bound);
        }
    }
}

fn save(base: &dyn Dir, bytes: &[u8]) -> Result<()> {
    let (name, fresh) = (OsStr::new(PLACE), OsStr::new(FRESH));
    match base.unlink(fresh) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    let file = base.create(fresh, 0o600, 0)?;
    let Digest(hash) = Digest::of(bytes);
    file.write_at(MAGIC, 0)?;
    file.write_at(hash.get(..16).unwrap_or_default(), 8)?;
    file.write_at(bytes, 24)?;
    Ok(base.rename(fresh, base, name, Rename::Replace)?)
}

fn write(bytes: &mut Vec<u8>, member: &Member) {
    let path = member.path.as_os_str().as_bytes();
    let (Ok(length), Ok(numbers)) = (
        u16::try_from(path.len()),
        u8::try_from(member.sketch.0.len()),
    ) else {
        return;
    };
    for field in [member.ino, member.size, member.stored] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(member.class.uid.to_le_bytes());
    let flags = [
        member.class.public,
        member.based,
        member.tried,
        member.worded,
    ];
    let flags = flags
        .iter()
        .rev()
        .fold(0, |all, flag| all << 1 | u8::from(*flag));
    bytes.extend([flags, numbers]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(
        member
            .sketch
            .0
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    bytes.extend_from_slice(path);
}

fn read(base: &dyn Dir) -> Option<Vec<Member>> {
    let file = base.open(OsStr::new(PLACE), Access::Read).ok()?;
    let size = file.meta().ok()?.size;
    let mut bytes = vec![0; usize::try_from(Some(size).filter(|size| *size <= LIMIT)?).ok()?];
    disk::read_exact_at(file.as_ref(), &mut bytes, 0).ok()?;
    let rest = bytes.strip_prefix(MAGIC)?;
    let (hash, mut rest) = rest.split_at_checked(16)?;
    if !Digest::of(rest).0.starts_with(hash) {
        return None;
    }
    let mut members = Vec::new();
    while !rest.is_empty() {
        members.push(next(&mut rest)?);
    }
    Some(members)
}

/// The file that is described next.
fn next(rest: &mut &[u8]) -> Option<Member> {
    fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
        let (array, after) = rest.split_first_chunk::<N>()?;
        *rest = after;
        Some(*array)
    }
    let mut long = || array(rest).map(u64::from_le_bytes);
    let [ino, size, stored] = [long()?, long()?, long()?];
    let uid = u32::from_le_bytes(array(rest)?);
    let [flags, numbers] = array(rest)?;
    let length = u16::from_le_bytes(array(rest)?);
    if flags > 15 || usize::from(numbers) > NUMBERS {
        return None;
    }
    let sketch: Option<Vec<u32>> = (0..numbers)
        .map(|_| array(rest).map(u32::from_le_bytes))
        .collect();
    let (path, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    Some(Member {
        ino,
        path: PathBuf::from(OsString::from_vec(path.to_vec())),
        class: Class {
            uid,
            public: flags & 1 != 0,
        },
        size,
        stored,
        based: flags & 2 != 0,
        tried: flags & 4 != 0,
        worded: flags & 8 != 0,
        sketch: Sketch(sketch?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::*;

    fn member(ino: u64) -> Member {
        let bit = |n: u64| ino & n != 0;
        Member {
            ino,
            path: PathBuf::from(format!("some/where/{ino}")),
            class: Class {
                uid: 7,
                public: bit(1),
            },
            size: ino * 1000,
            stored: ino * 300,
            based: bit(2),
            tried: bit(4),
            worded: bit(8),
            sketch: Sketch((0..u32::try_from(ino % 8 + 1).unwrap()).collect()),
        }
    }

    #[test]
    fn what_is_known_outlives_the_process_and_damage_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let base = disk::open_root(dir.path()).unwrap();
        let families = Families::default();
        for ino in 0..20 {
            families.note(base.as_ref(), member(ino));
        }
        families.save(base.as_ref());
        let again = read(base.as_ref()).unwrap();
        assert_eq!(again, (0..20).map(member).collect::<Vec<_>>());

        let place = dir.path().join(PLACE);
        let good = std::fs::read(&place).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&place, &bad).unwrap();
            assert_eq!(read(base.as_ref()), None, "byte {at}");
        }
        std::fs::write(&place, &good[..good.len() - 1]).unwrap();
        let families = Families::default();
        assert!(families.loaded(base.as_ref()).members.is_empty());
        // Of what is proved to be ours nothing is believed blindly either.
        for length in 0..60 {
            let mut rest = &good[24..24 + length];
            while !rest.is_empty() && next(&mut rest).is_some() {}
        }
    }

    #[test]
    fn those_known_longest_are_forgotten() {
        let mut state = State::default();
        for ino in 0..=MOST as u64 {
            state.put(member(ino));
        }
        assert!(state.members.len() <= MOST && state.members.len() > MOST / 2);
        assert!(!state.members.contains_key(&0) && state.members.contains_key(&(MOST as u64)));
    }
}
