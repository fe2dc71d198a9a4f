//! Making dictionaries of samples, listing them with their files, removing what none needs.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::walk::walk;
use super::super::{Error, Kind, OpenHow, Result, Store};
use super::{Class, Object};
use crate::codec::{self, Effort};
use crate::format::Digest;

/// Bytes of samples that one dictionary is made of.
const SAMPLES: usize = 32 << 20;
/// Bytes of one sample that count; what is beyond is like it.
const SAMPLE: u64 = 4 << 20;
/// Age in seconds from which a dictionary that no file needs may go: whoever made it may be about to use it.
const GRACE: i64 = 24 * 3600;

/// A dictionary, for `holofs dict`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DictionaryStatus {
    /// Its id: the BLAKE3 of its bytes, in hexadecimal.
    pub id: String,
    /// "base": it holds what several files show; "dictionary": what was learned of samples.
    pub sort: String,
    /// Whose files it is for.
    pub uid: u32,
    /// Whether these are files that everybody may read.
    pub public: bool,
    /// Bytes of it; 0 where it is missing.
    pub size: u64,
    /// Bytes that are stored of it, with protection.
    pub stored: u64,
    /// Files that cannot be read without it.
    pub files: u64,
    /// Whether it can be read.
    pub intact: bool,
    /// Whether it was removed, or would be.
    pub removed: bool,
}

impl Store {
    /// Makes dictionaries of the regular files at and below `paths`: one for each owner, and one each for files that
    /// everybody may read and for others. `at` is told what is read, and says whether to go on.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], those of [`walk`], [`Error::Io`] where samples have too little in common, and what the
    /// medium says.
    pub fn build_dictionaries(
        &self,
        paths: &[PathBuf],
        at: &mut dyn FnMut(&Path) -> bool,
    ) -> Result<Vec<DictionaryStatus>> {
        let own = self.own()?;
        let mut samples: HashMap<Class, Vec<u8>> = HashMap::new();
        let mut going = true;
        for path in paths {
            let mut failed = Ok(());
            walk(self, path, &mut |found, attr| {
                let attr = match attr {
                    Ok(attr) if attr.kind == Kind::File => attr,
                    Ok(_) => return true,
                    Err(e) if found == path.as_path() => {
                        failed = Err(e);
                        return false;
                    }
                    Err(e) => {
                        log::warn!("{}: no sample: {e}", found.display());
                        return true;
                    }
                };
                going = at(found);
                let class = samples.entry(Class::of(attr.uid, attr.mode)).or_default();
                let room = SAMPLES.saturating_sub(class.len()) as u64;
                let length = attr.size.min(SAMPLE).min(room);
                match self.sample(attr.ino, length) {
                    Ok(sample) => class.extend(sample),
                    Err(e) => log::warn!("{}: no sample: {e}", found.display()),
                }
                going
            })?;
            failed?;
        }
        let mut made = Vec::new();
        for (class, samples) in samples {
            let cancelled = || self.queue.is_stopped();
            let codec = codec::by_name("template").filter(|_| going);
            let learned =
                codec.and_then(|codec| codec.learn(&samples, Effort::Archive, &cancelled));
            if let Some(bytes) = learned {
                let id = self.dictionaries.put(own, &bytes, class)?;
                made.push(id);
            }
        }
        if made.is_empty() {
            let what = "the samples have too little in common for a dictionary";
            return Err(Error::Io(std::io::Error::other(what)));
        }
        let all = self.list_dictionaries()?;
        let made = |status: &DictionaryStatus| made.iter().any(|id| id.to_string() == status.id);
        Ok(all.into_iter().filter(made).collect())
    }

    /// The first `length` bytes of a file.
    fn sample(&self, ino: u64, length: u64) -> Result<Vec<u8>> {
        self.open_file(ino, OpenHow::default())?;
        let mut sample = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = self.read(ino, 0, &mut sample);
        self.release(ino, false);
        sample.truncate(read?);
        Ok(sample)
    }

    /// All dictionaries that there are or that files need, in the order of their ids.
    ///
    /// # Errors
    /// What the medium says; where a part of the tree cannot be looked at, nobody knows what is needed.
    pub fn list_dictionaries(&self) -> Result<Vec<DictionaryStatus>> {
        let needed = self.needed_dictionaries(&mut |_, _| true)?;
        let mut all: Vec<DictionaryStatus> = Vec::new();
        for known in self.dictionaries.all()? {
            let files = needed.get(&known.id).copied().unwrap_or(0);
            all.push(DictionaryStatus {
                id: known.id.to_string(),
                sort: if known.base { "base" } else { "dictionary" }.to_owned(),
                uid: known.class.uid,
                public: known.class.public,
                size: known.object.descriptor().size,
                stored: known.object.stored_bytes(),
                files,
                intact: self.dictionaries.has(&known.id),
                removed: false,
            });
        }
        for (id, files) in needed {
            if all.iter().all(|status| status.id != id.to_string()) {
                all.push(DictionaryStatus {
                    id: id.to_string(),
                    sort: "dictionary".to_owned(),
                    uid: 0,
                    public: false,
                    size: 0,
                    stored: 0,
                    files,
                    intact: false,
                    removed: false,
                });
            }
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// Removes dictionaries that no file needs and that are older than a day, or with `dry_run` says which those are.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Damaged`] for a file of a newer program, and those of
    /// [`Store::list_dictionaries`]; nothing is removed then.
    pub fn collect_dictionaries(&self, dry_run: bool) -> Result<Vec<DictionaryStatus>> {
        let own = self.own()?;
        // Nobody begins to use one while it is decided what is used.
        let _still = self.dictionaries.using.write();
        // What a newer program has kept may need any of them.
        let mut newer = None;
        self.needed_dictionaries(&mut |path, object| {
            let known = object.codec().is_some();
            if !known {
                newer = Some(path.display().to_string());
            }
            known
        })?;
        if let Some(name) = newer {
            let what =
                "kept by a newer program: nobody here knows which dictionaries it needs".to_owned();
            return Err(Error::Damaged { name, what });
        }
        let mut all = self.list_dictionaries()?;
        let now = super::super::attrs::now().secs;
        for known in self.dictionaries.all()? {
            let age = now - known.object.attributes().mtime.secs;
            let id = known.id.to_string();
            let Some(status) = all.iter_mut().find(|status| status.id == id) else {
                continue;
            };
            if status.files == 0 && age > GRACE {
                if !dry_run {
                    self.dictionaries.remove(own, &known)?;
                }
                status.removed = true;
            }
        }
        Ok(all)
    }

    /// How many files need each dictionary, in the tree and in what was set aside. `each` is shown every set and says
    /// whether to go on.
    fn needed_dictionaries(
        &self,
        each: &mut dyn FnMut(&Path, &Object) -> bool,
    ) -> Result<HashMap<Digest, u64>> {
        let mut needed: HashMap<Digest, u64> = HashMap::new();
        let mut failed = None;
        walk(self, Path::new(""), &mut |path, attr| {
            let objects = attr.and_then(|attr| match attr.kind {
                Kind::File => self.encoded(attr.ino),
                _ => Ok(None),
            });
            match objects {
                Ok(Some(object)) => {
                    for id in object.needs() {
                        *needed.entry(id).or_default() += 1;
                    }
                    each(path, &object)
                }
                Ok(None) | Err(Error::NotFound) => true,
                Err(e) => {
                    failed = Some(e);
                    false
                }
            }
        })?;
        if let Some(e) = failed {
            return Err(e);
        }
        self.sets_aside(&mut |name, object| {
            for id in object.needs() {
                *needed.entry(id).or_default() += 1;
            }
            each(Path::new(name), object);
        })?;
        Ok(needed)
    }

    /// Shows the sets that are in `.holofs/` and may come back.
    fn sets_aside(&self, each: &mut dyn FnMut(&OsStr, &Object)) -> Result<()> {
        let Some(own) = &self.own else {
            return Ok(());
        };
        for room in [&own.lost, &own.trash, &own.staging] {
            for entry in room.list()? {
                let meta = match room.meta(&entry.name) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                    meta => meta?,
                };
                if let super::Recognised::Object(object) =
                    super::object::recognise(room.as_ref(), &entry.name, &meta, None)?
                {
                    each(&entry.name, &object);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use crate::format::descriptor::DEFAULT_UNIT;
    use crate::format::{Attributes, Descriptor, Digest};
    use crate::hologram::Profile;
    use crate::store::build::{Spool, build};
    use crate::store::disk::Rename;
    use crate::store::object::Layout;
    use crate::store::{Error, Options, Store, init};

    #[test]
    fn nothing_is_removed_beside_files_of_a_newer_program() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path()).unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let own = store.own().unwrap();
        let mut spool = Spool::new(std::sync::Arc::clone(&own.staging));
        spool.finish(1).unwrap();
        let descriptor = Descriptor {
            version: crate::format::VERSION,
            size: 5,
            hash: Digest::of(b"later"),
            holes: Vec::new(),
            kind: crate::format::ObjectKind::File,
            codec: 60_000,
            settings: Vec::new(),
            chunks: 1,
            layers: Profile::None.layers(&[0]),
            unit: DEFAULT_UNIT,
        };
        let (staging, attributes) = (own.staging.as_ref(), Attributes::default());
        let name = "later.holo".as_ref();
        let (set, logical) = ("set".as_ref(), "later".as_ref());
        build(
            staging,
            set,
            &spool,
            &descriptor,
            logical,
            &attributes,
            Layout::Packed,
        )
        .unwrap();
        staging
            .rename(set, store.root.as_ref(), name, Rename::NoReplace)
            .unwrap();
        assert!(store.list_dictionaries().unwrap().is_empty());
        let refused = store.collect_dictionaries(true).unwrap_err();
        assert!(
            matches!(&refused, Error::Damaged { name, .. } if name == "later"),
            "{refused}"
        );
    }

    #[test]
    fn nothing_is_known_of_an_empty_store() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path()).unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        assert!(store.list_dictionaries().unwrap().is_empty());
        assert!(store.collect_dictionaries(false).unwrap().is_empty());
    }
}
