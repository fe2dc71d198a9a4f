//! Logical names and names on disk: the escape of `.holo` and the limits of lengths.
//!
//! ```text
//! logical      plain on disk   encoded on disk
//! cat.jpg      cat.jpg         cat.jpg.holo
//! b.holo       b.holo~         b.holo~.holo
//! b.holo~      b.holo~~        b.holo~~.holo
//! ```
//!
//! A logical name that ends in `.holo` and any number of `~` gets one `~` more, so a name on disk that ends in
//! `.holo` exactly is never plain. Names are bytes: anything but `/` and NUL.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Our directory in the root of a store.
pub(crate) const OWN: &str = ".holofs";
/// The policy file in [`OWN`].
pub(crate) const POLICY: &str = "store.toml";
/// The lock file in [`OWN`].
pub(crate) const LOCK: &str = "lock";
/// The control socket in [`OWN`].
pub(crate) const CONTROL: &str = "ctl";
/// Changes under way, in [`OWN`].
pub(crate) const INTENT: &str = "intent";
/// Sets being written, in [`OWN`].
pub(crate) const STAGING: &str = "staging";
/// What left the tree and is still open, in [`OWN`].
pub(crate) const TRASH: &str = "trash";
/// Decoded copies, in [`OWN`].
pub(crate) const CACHE: &str = "cache";
/// There when plain files may have remembered inode numbers, in [`OWN`].
pub(crate) const PROMOTED: &str = "promoted";
/// Shared dictionaries, in [`OWN`].
pub(crate) const DICT: &str = "dict";
/// Variants of files that are kept plain, in [`OWN`].
pub(crate) const VARIANTS: &str = "variants";
/// What recovery could not place, in [`OWN`].
pub(crate) const LOST_FOUND: &str = "lost+found";
/// The manifest inside the directory of a spread set.
pub(crate) const MANIFEST: &str = "manifest";

/// What the name of every encoded file ends in.
const SUFFIX: &[u8] = b".holo";
/// Bytes of the longest name that filesystems take.
const LONGEST: usize = 255;

/// What a name on disk stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DiskName {
    /// A file kept as itself, or anything that is no regular file; the logical name.
    Plain(OsString),
    /// The name ends in `.holo`: an encoded file, or something from elsewhere; the logical name.
    Encoded(OsString),
    /// Ends in `.holo`, yet no file encodes to it (`.holo`, `..holo`, `b.holo.holo`): put there by somebody else.
    Stranger,
}

/// The name on disk of `logical` kept plain; `None` where it would be over 255 bytes.
pub(crate) fn plain(logical: &OsStr) -> Option<OsString> {
    let name = escaped(logical.as_bytes());
    (name.len() <= LONGEST).then(|| OsString::from_vec(name))
}

/// The name on disk of `logical` encoded; `None` where it would be over 255 bytes: such files stay plain.
pub(crate) fn encoded(logical: &OsStr) -> Option<OsString> {
    let mut name = escaped(logical.as_bytes());
    name.extend_from_slice(SUFFIX);
    (name.len() <= LONGEST).then(|| OsString::from_vec(name))
}

/// What the name `disk` stands for: the inverse of [`plain`] and [`encoded`].
pub(crate) fn logical(disk: &OsStr) -> DiskName {
    let disk = disk.as_bytes();
    let Some(stem) = disk.strip_suffix(SUFFIX) else {
        let name = if is_holo(disk) { strip(disk) } else { disk };
        return DiskName::Plain(own(name));
    };
    match stem {
        b"" | b"." | b".." => DiskName::Stranger,
        _ if stem.ends_with(SUFFIX) => DiskName::Stranger,
        _ if is_holo(stem) => DiskName::Encoded(own(strip(stem))),
        _ => DiskName::Encoded(own(stem)),
    }
}

/// The name with one `~` more where it ends in `.holo` and any number of `~`.
fn escaped(name: &[u8]) -> Vec<u8> {
    let mut name = name.to_vec();
    if is_holo(&name) {
        name.push(b'~');
    }
    name
}

/// Whether a name ends in `.holo` and any number of `~`, none included.
fn is_holo(name: &[u8]) -> bool {
    let tildes = name.iter().rev().take_while(|&&b| b == b'~').count();
    name.get(..name.len() - tildes)
        .is_some_and(|stem| stem.ends_with(SUFFIX))
}

/// The name without its last `~`.
fn strip(name: &[u8]) -> &[u8] {
    name.strip_suffix(b"~").unwrap_or(name)
}

fn own(name: &[u8]) -> OsString {
    OsString::from_vec(name.to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use proptest::prelude::*;

    fn os(name: &str) -> OsString {
        OsString::from(name)
    }

    #[test]
    fn names_of_the_design() {
        for (name, on_disk, as_set) in [
            ("cat.jpg", "cat.jpg", "cat.jpg.holo"),
            ("b.holo", "b.holo~", "b.holo~.holo"),
            ("b.holo~", "b.holo~~", "b.holo~~.holo"),
            (".holo", ".holo~", ".holo~.holo"),
            (".holofs", ".holofs", ".holofs.holo"),
            ("b.holo~c", "b.holo~c", "b.holo~c.holo"),
            ("b~", "b~", "b~.holo"),
            ("b.HOLO", "b.HOLO", "b.HOLO.holo"),
        ] {
            assert_eq!(plain(&os(name)), Some(os(on_disk)));
            assert_eq!(encoded(&os(name)), Some(os(as_set)));
            assert_eq!(logical(&os(on_disk)), DiskName::Plain(os(name)));
            assert_eq!(logical(&os(as_set)), DiskName::Encoded(os(name)));
        }
    }

    #[test]
    fn what_nobody_encodes_is_a_stranger() {
        for name in [".holo", "..holo", "...holo", "b.holo.holo", ".holo.holo"] {
            assert_eq!(logical(&os(name)), DiskName::Stranger, "{name}");
        }
    }

    #[test]
    fn lengths_end_at_255_bytes() {
        let long = |n: usize| OsString::from("n".repeat(n));
        assert!(encoded(&long(250)).is_some());
        assert!(encoded(&long(251)).is_none());
        assert!(plain(&long(255)).is_some());
        assert!(plain(&long(256)).is_none());
        let holo = |n: usize| OsString::from("n".repeat(n - 5) + ".holo");
        assert!(encoded(&holo(249)).is_some());
        assert!(encoded(&holo(250)).is_none());
        assert!(plain(&holo(254)).is_some());
        assert!(plain(&holo(255)).is_none());
    }

    /// Names of 1 to 255 bytes; half of them made of the pieces that matter here.
    fn names() -> impl Strategy<Value = OsString> {
        let byte = (1..=255u8).prop_filter("no slash", |&b| b != b'/');
        let pieces = prop::sample::select(vec!["~", ".holo", ".", "x", "holo", ".HOLO", "\u{e9}"]);
        prop_oneof![
            prop::collection::vec(byte, 1..=255),
            prop::collection::vec(pieces, 1..50).prop_map(|p| p.concat().into_bytes()),
        ]
        .prop_filter("a name", |name| {
            name.len() <= 255 && name != b"." && name != b".."
        })
        .prop_map(OsString::from_vec)
    }

    proptest! {
        #[test]
        fn each_logical_name_has_its_own_names_on_disk(name in names()) {
            if let Some(disk) = plain(&name) {
                prop_assert!(!disk.as_bytes().ends_with(SUFFIX));
                prop_assert_eq!(logical(&disk), DiskName::Plain(name.clone()));
            }
            if let Some(disk) = encoded(&name) {
                prop_assert!(name.len() <= 250);
                prop_assert_eq!(logical(&disk), DiskName::Encoded(name));
            }
        }

        #[test]
        fn each_name_on_disk_comes_from_at_most_one_logical_name(disk in names()) {
            match logical(&disk) {
                DiskName::Plain(name) => prop_assert_eq!(plain(&name).unwrap(), disk),
                DiskName::Encoded(name) => {
                    prop_assert!(!matches!(name.as_bytes(), b"" | b"." | b".."));
                    prop_assert_eq!(encoded(&name).unwrap(), disk);
                }
                DiskName::Stranger => prop_assert!(disk.as_bytes().ends_with(SUFFIX)),
            }
        }
    }
}
