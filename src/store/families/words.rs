//! Dictionaries of phrases for many small files that are alike without long stretches in common.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use super::Member;
use super::find::{LEAST_BASE, LEAST_FILE};
use super::share::{PARITY, SAVED, Shared, Usable};
use crate::codec::template::Template;
use crate::codec::{Codec, Dictionary, Effort, Request};
use crate::coding::hash::Digest;
use crate::format::Layers;
use crate::store::Result;
use crate::store::build::Spool;
use crate::store::dictionaries::Class;
use crate::store::encode::{Against, Of};
use crate::store::tree::Store;

/// Fewer files are no family.
const LEAST_FILES: usize = 32;
/// Files that take less together are not worth a dictionary.
const LEAST_STORED: u64 = 1 << 20;
/// Longer files learn enough by themselves.
const LONGEST: u64 = 256 << 10;
/// Bytes of samples.
const SAMPLES: usize = 16 << 20;
/// One file in so many is not learned from, and tells what learning is worth.
const HELD_OUT: usize = 8;

/// Files of one class and one ending that have not been tried together yet; empty where they are too few.
fn families(all: &[Member], class: Class) -> Vec<Vec<&Member>> {
    let mut by_ending: BTreeMap<Option<OsString>, Vec<&Member>> = BTreeMap::new();
    let small = |member: &&Member| {
        let fits = member.size <= LONGEST && member.stored > LEAST_FILE;
        member.class == class && fits && !member.based && !member.worded
    };
    for member in all.iter().filter(small) {
        let ending = member
            .path
            .extension()
            .map(std::ffi::OsStr::to_ascii_lowercase);
        by_ending.entry(ending).or_default().push(member);
    }
    let mut families: Vec<_> = by_ending.into_values().collect();
    families.retain(|family| {
        let stored: u64 = family.iter().map(|member| member.stored).sum();
        family.len() >= LEAST_FILES && stored >= LEAST_STORED
    });
    families
}

impl Store {
    /// Makes dictionaries for families of small files where that makes all of it smaller, and codes them with these.
    ///
    /// # Errors
    /// What the medium says.
    pub(super) fn share_words(
        &self,
        all: &[Member],
        class: Class,
        go_on: &mut dyn FnMut(&Path) -> bool,
    ) -> Result<Shared> {
        let own = self.own()?;
        let mut done = Shared::Nothing;
        for family in families(all, class) {
            let usable = family
                .into_iter()
                .filter_map(|member| self.usable(member.clone()));
            let usable: Vec<Usable<'_>> = usable.collect();
            let mut samples = Vec::new();
            for (i, file) in usable.iter().enumerate() {
                if !self.wanted(go_on, &file.member.path) {
                    return Ok(done);
                }
                if i % HELD_OUT != 0 && samples.len() < SAMPLES {
                    samples.extend(self.content(file).unwrap_or_default());
                }
            }
            let learned = Template.learn(&samples, Effort::Archive, &|| self.queue.is_stopped());
            let Some(bytes) = learned else {
                if !self.queue.is_stopped() {
                    self.worded(&usable);
                }
                continue;
            };
            let dictionary = Dictionary {
                id: Digest::of(&bytes),
                bytes: Arc::from(bytes),
            };
            let (mut before, mut after) = (0, 0);
            for file in usable.iter().step_by(HELD_OUT) {
                if !self.wanted(go_on, &file.member.path) {
                    return Ok(done);
                }
                let (was, is) = self.layers_with(file, &dictionary).unwrap_or((1, 1));
                before += was;
                after += is.min(was);
            }
            let stored: u64 = usable.iter().map(|file| file.member.stored).sum();
            let length = dictionary.bytes.len() as u64;
            let cost = length + length * PARITY / 12 + LEAST_BASE / 2;
            let scaled = u128::from(stored) * u128::from(after) / u128::from(before.max(1));
            let then = u64::try_from(scaled).unwrap_or(stored) + cost;
            log::debug!(
                "{} files take {stored} bytes, and {then} with a dictionary of {length} bytes",
                usable.len()
            );
            // Not before: what was interrupted is tried again.
            self.worded(&usable);
            if then > stored - stored / SAVED {
                continue;
            }
            self.dictionaries.put(own, &dictionary.bytes, class)?;
            for file in &usable {
                if !self.wanted(go_on, &file.member.path) {
                    break;
                }
                self.again(file, Against::Dictionary(&dictionary));
            }
            done = Shared::Some;
        }
        Ok(done)
    }

    /// Notes that it is known of files what a dictionary of phrases is worth.
    fn worded(&self, files: &[Usable<'_>]) {
        for file in files {
            self.families
                .change(file.member.ino, |member| member.worded = true);
        }
    }

    /// Bytes of layers of a file as it is, and with a dictionary.
    fn layers_with(&self, file: &Usable<'_>, dictionary: &Dictionary) -> Option<(u64, u64)> {
        let own = self.own().ok()?;
        let object = self.encoded(file.held.ino()).ok()??;
        let was = object
            .descriptor()
            .layers
            .iter()
            .map(|layer| layer.length)
            .sum();
        let request = Request {
            dictionaries: std::slice::from_ref(dictionary),
            ..Request::default()
        };
        let mut spool = Spool::new(Arc::clone(&own.staging));
        let encoded = Template.encode(&Of(&object), request, &mut spool).ok()?;
        spool.finish(encoded.layers).ok()?;
        Some((was, spool.len(0)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]

    use super::*;
    use crate::codec::template::sketch::Sketch;

    #[test]
    fn a_family_is_many_small_files_of_one_ending() {
        let class = Class {
            uid: 1,
            public: false,
        };
        let member = |i: u64, ending: &str| Member {
            ino: i,
            path: format!("logs/{i}.{ending}").into(),
            class,
            size: 40_000,
            stored: 30_000,
            based: false,
            tried: false,
            worded: false,
            sketch: Sketch::default(),
        };
        let mut all: Vec<Member> = (0..40)
            .map(|i| member(i, if i % 2 == 0 { "log" } else { "LOG" }))
            .collect();
        all.extend((100..120).map(|i| member(i, "txt")));
        assert_eq!(
            families(&all, class)
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>(),
            [40]
        );
        assert!(families(&all[..31], class).is_empty(), "too few");
        let public = Class {
            public: true,
            ..class
        };
        assert!(families(&all, public).is_empty(), "other people's");
        for member in &mut all[..10] {
            member.worded = true;
        }
        assert!(families(&all, class).is_empty(), "tried");
        for member in &mut all {
            (member.worded, member.size) = (false, LONGEST + 1);
        }
        assert!(families(&all, class).is_empty(), "long");
    }
}
