//! Dictionaries that files share: sets in `.holofs/dict/`, found by the hash of their content.
//!
//! There are two sorts: what the template codec has learned of samples, and *bases*, which hold what several files show.
//!
//! Each is kept as a spread set of the profile `strong`, so that it outlives most of what befalls the files that need it.
//! It is called `ID.UIDw.holo` if everybody could read its samples, else `ID.UIDp.holo`, with a `b` before the ending for a
//! base: `ID` is the BLAKE3 of its bytes in hexadecimal, `UID` the owner of the samples. Files are coded with dictionaries of their owner and kind alone; what a
//! private file holds never gets into what a public one is read with.

mod bases;
mod work;

pub(crate) use bases::Draft;
pub use work::DictionaryStatus;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::attrs::now;
use super::build::{self, Spool};
use super::disk::Dir;
use super::names;
use super::object::{self, Layout, Object, Recognised};
use super::own::Own;
use super::{Error, Result, switch};
use crate::codec::{Codec, Dictionary, Request, stored::Stored};
use crate::format::descriptor::DEFAULT_UNIT;
use crate::format::{Attributes, Descriptor, Digest, LayerError, Layers, Time};
use crate::hologram::Profile;

/// What the name of a dictionary ends in.
const SUFFIX: &str = ".holo";
/// Most bytes of a dictionary.
pub(crate) const MOST: u64 = 4 << 20;
/// Dictionaries that are kept in memory.
const KEPT: usize = 8;

/// Whose files a dictionary is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Class {
    pub(crate) uid: u32,
    /// Whether everybody may read them.
    pub(crate) public: bool,
}

impl Class {
    /// That of a file.
    pub(crate) fn of(uid: u32, mode: u32) -> Self {
        Self {
            uid,
            public: mode & 0o004 != 0,
        }
    }

    /// That of an encoded file: what its carrier says, whatever was said when it was encoded.
    pub(crate) fn of_object(object: &Object) -> Self {
        let carrier = object.carrier_meta();
        Self::of(carrier.uid, carrier.mode)
    }
}

/// A dictionary that is there, or was.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: Digest,
    pub(crate) class: Class,
    pub(crate) object: Arc<Object>,
    /// Whether it is a base.
    pub(crate) base: bool,
    /// Its name in `.holofs/dict/`.
    pub(crate) name: OsString,
}

/// The dictionaries of a store.
#[derive(Debug)]
pub(crate) struct Dictionaries {
    /// `.holofs/`; the room for dictionaries may come later.
    base: Arc<dyn Dir>,
    /// What was there when the room was last changed.
    listed: Mutex<Option<(Time, Vec<Known>)>>,
    /// Held for reading while a file is coded, so that none goes meanwhile that it may need.
    pub(crate) using: RwLock<()>,
    /// Read lately, the last first.
    kept: Mutex<VecDeque<Dictionary>>,
    /// The same of bases.
    bases: bases::Recent,
}

impl Dictionaries {
    pub(crate) fn new(base: Arc<dyn Dir>) -> Self {
        Self {
            base,
            listed: Mutex::default(),
            using: RwLock::default(),
            kept: Mutex::default(),
            bases: bases::Recent::default(),
        }
    }

    fn room(&self) -> io::Result<Arc<dyn Dir>> {
        self.base.dir(OsStr::new(names::DICT))
    }

    /// The bytes of a dictionary.
    pub(crate) fn get(&self, id: &Digest) -> std::result::Result<Arc<[u8]>, LayerError> {
        let found = {
            let mut kept = self.kept.lock();
            let at = kept.iter().position(|known| known.id == *id);
            let found = at.and_then(|at| kept.remove(at));
            if let Some(found) = &found {
                kept.push_front(found.clone());
            }
            found
        };
        if let Some(found) = found {
            return Ok(found.bytes);
        }
        let named = self.named(id, false)?;
        let mut intact = named.filter_map(|known| content(&known.object).ok());
        let bytes = intact.find(|bytes| Digest::of(bytes) == *id);
        let missing = LayerError::Dictionary { id: *id };
        let bytes: Arc<[u8]> = bytes.ok_or(missing)?.into();
        let mut kept = self.kept.lock();
        kept.push_front(Dictionary {
            id: *id,
            bytes: Arc::clone(&bytes),
        });
        kept.truncate(KEPT);
        Ok(bytes)
    }

    /// Whether a dictionary or a base can be read.
    pub(crate) fn has(&self, id: &Digest) -> bool {
        self.get(id).is_ok() || self.has_base(id)
    }

    /// The same, proved by reading all of it.
    pub(crate) fn proves(&self, id: &Digest) -> bool {
        self.get(id).is_ok() || self.proves_base(id)
    }

    /// Those with this id.
    fn named(
        &self,
        id: &Digest,
        base: bool,
    ) -> std::result::Result<impl Iterator<Item = Known>, LayerError> {
        let names = self.names().map_err(|e| match e {
            Error::Io(e) => LayerError::Io(e),
            _ => LayerError::Dictionary { id: *id },
        })?;
        let wanted = *id;
        let names = names.into_iter().filter(move |name| {
            let parsed = parsed(name);
            parsed.is_some_and(|(found, _, sort)| (found, sort) == (wanted, base))
        });
        Ok(names.filter_map(|name| self.look(&name).ok().flatten()))
    }

    /// Names in the room for dictionaries, in the order of their ids.
    fn names(&self) -> Result<Vec<OsString>> {
        let room = match self.room() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            room => room?,
        };
        let mut names: Vec<OsString> = room.list()?.into_iter().map(|entry| entry.name).collect();
        names.sort();
        Ok(names)
    }

    /// What lies under a name there.
    fn look(&self, name: &OsStr) -> Result<Option<Known>> {
        let room = self.room()?;
        let Some((id, class, base)) = parsed(name) else {
            return Ok(None);
        };
        Ok(
            match object::recognise(room.as_ref(), name, &room.meta(name)?, None)? {
                Recognised::Object(object) => Some(Known {
                    id,
                    class,
                    object,
                    base,
                    name: name.to_owned(),
                }),
                _ => None,
            },
        )
    }

    /// All that are there, in the order of their ids.
    pub(crate) fn all(&self) -> Result<Vec<Known>> {
        let room = match self.room() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            room => room?,
        };
        let changed = room.self_meta()?.ctime;
        let mut listed = self.listed.lock();
        if let Some((at, known)) = &*listed
            && *at == changed
        {
            return Ok(known.clone());
        }
        let names = self.names()?;
        let known = names.iter().filter_map(|name| match self.look(name) {
            Ok(known) => known,
            Err(e) => {
                log::warn!(".holofs/dict/{}: {e}", name.display());
                None
            }
        });
        let known: Vec<Known> = known.collect();
        *listed = Some((changed, known.clone()));
        Ok(known)
    }

    /// Those for files of a class, the one made last first.
    pub(crate) fn fitting(&self, class: Class) -> Vec<Dictionary> {
        let all = self.all().unwrap_or_default();
        let mut fitting: Vec<Known> = all
            .into_iter()
            .filter(|known| known.class == class && !known.base)
            .collect();
        fitting.sort_by_key(|known| std::cmp::Reverse(known.object.attributes().mtime));
        let read = fitting.into_iter().take(KEPT).filter_map(|known| {
            let bytes = self.get(&known.id).ok()?;
            Some(Dictionary {
                id: known.id,
                bytes,
            })
        });
        read.collect()
    }

    /// Keeps a dictionary; one that is there already stays.
    pub(crate) fn put(&self, own: &Own, bytes: &[u8], class: Class) -> Result<Digest> {
        let id = Digest::of(bytes);
        let name = name_of(&id, class, false);
        if let Ok(Some(known)) = self.look(&name)
            && content(&known.object).is_ok_and(|there| there == bytes)
        {
            return Ok(id);
        }
        let mut spool = Spool::new(Arc::clone(&own.staging));
        let encoded = Stored.encode(&bytes, Request::default(), &mut spool)?;
        spool.finish(encoded.layers)?;
        self.keep(
            own,
            (&id, bytes.len() as u64),
            class,
            &name,
            (&Stored, encoded.settings, &spool),
        )?;
        Ok(id)
    }

    /// Keeps content with this id and of this size, encoded.
    fn keep(
        &self,
        own: &Own,
        (id, size): (&Digest, u64),
        class: Class,
        name: &OsStr,
        (codec, settings, spool): (&dyn Codec, Vec<u8>, &Spool),
    ) -> Result<()> {
        let room = self.room()?;
        let lengths: Vec<u64> = (0..spool.count()).map(|layer| spool.len(layer)).collect();
        let descriptor = Descriptor {
            version: crate::format::VERSION,
            size,
            hash: *id,
            holes: Vec::new(),
            kind: crate::format::ObjectKind::File,
            codec: codec.id().0,
            settings,
            chunks: Profile::Strong.chunks(),
            layers: Profile::Strong.layers(&lengths),
            unit: DEFAULT_UNIT,
        };
        let attributes = Attributes {
            mode: 0o600,
            uid: class.uid,
            gid: 0,
            mtime: now(),
            ctime: now(),
            ino: 0,
            generation: 1 << 16,
        };
        let set = own.fresh(own.staging.as_ref(), "dictionary");
        build::build(
            own.staging.as_ref(),
            &set,
            spool,
            &descriptor,
            OsStr::new("dictionary"),
            &attributes,
            Layout::Spread,
        )?;
        // One of that name which cannot be read is of no use to anybody.
        if room.meta(name).is_ok() {
            switch::retire(own, room.as_ref(), name)?;
        }
        switch::encode(own.staging.as_ref(), &set, room.as_ref(), name)?;
        *self.listed.lock() = None;
        Ok(())
    }

    /// Removes a dictionary.
    pub(crate) fn remove(&self, own: &Own, known: &Known) -> Result<()> {
        self.kept.lock().retain(|kept| kept.id != known.id);
        self.bases.forget(&known.id);
        *self.listed.lock() = None;
        switch::retire(own, self.room()?.as_ref(), &known.name)?;
        Ok(())
    }
}

/// The bytes of a dictionary.
fn content(object: &Object) -> Result<Vec<u8>> {
    let size = object.descriptor().size;
    if size > MOST {
        return Err(Error::Invalid);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    object.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// The name of a dictionary.
fn name_of(id: &Digest, class: Class, base: bool) -> OsString {
    let kind = if class.public { 'w' } else { 'p' };
    let sort = if base { "b" } else { "" };
    format!("{id}.{}{kind}{sort}{SUFFIX}", class.uid).into()
}

/// What a name says; the last is whether it is that of a base.
fn parsed(name: &OsStr) -> Option<(Digest, Class, bool)> {
    let (id, class) = name.to_str()?.strip_suffix(SUFFIX)?.split_once('.')?;
    let mut digest = [0; 32];
    if id.len() != 2 * digest.len() || !id.is_ascii() {
        return None;
    }
    for (place, pair) in digest.iter_mut().zip(id.as_bytes().as_chunks::<2>().0) {
        *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    let (class, base) = match class.strip_suffix('b') {
        Some(class) => (class, true),
        None => (class, false),
    };
    let (uid, public) = match class.strip_suffix('w') {
        Some(uid) => (uid, true),
        None => (class.strip_suffix('p')?, false),
    };
    let uid = uid.parse().ok()?;
    Some((Digest(digest), Class { uid, public }, base))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::store::{Options, Store, init};

    const MINE: Class = Class {
        uid: 1000,
        public: false,
    };

    fn store(dir: &Path) -> Arc<Store> {
        init(dir).unwrap();
        Store::open(dir, Options::default()).unwrap()
    }

    fn chunks_of(dir: &Path) -> Vec<std::path::PathBuf> {
        let room = dir.join(".holofs/dict");
        let sets = fs::read_dir(room).unwrap().map(|set| set.unwrap().path());
        let files = sets.flat_map(|set| fs::read_dir(set).unwrap());
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn names_say_what_a_dictionary_is_for() {
        let id = Digest::of(b"words");
        for class in [
            MINE,
            Class {
                uid: 0,
                public: true,
            },
        ] {
            for base in [false, true] {
                assert_eq!(parsed(&name_of(&id, class, base)), Some((id, class, base)));
            }
        }
        let name = name_of(&id, MINE, false).into_string().unwrap();
        for other in [
            "",
            ".holo",
            "x",
            &name[1..],
            &name[..name.len() - 1],
            &name.replace('p', "x"),
        ] {
            assert_eq!(parsed(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_dictionary_outlives_four_chunks_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let id = store
            .dictionaries
            .put(store.own().unwrap(), &bytes, MINE)
            .unwrap();
        assert_eq!(
            store
                .dictionaries
                .put(store.own().unwrap(), &bytes, MINE)
                .unwrap(),
            id
        );
        assert_eq!(*store.dictionaries.get(&id).unwrap(), bytes);
        let fitting = store.dictionaries.fitting(MINE);
        assert_eq!(fitting.len(), 1);
        assert!(
            store
                .dictionaries
                .fitting(Class {
                    public: true,
                    ..MINE
                })
                .is_empty()
        );

        let files = chunks_of(dir.path());
        assert_eq!(files.len(), 17, "sixteen chunks and the manifest");
        for file in &files[..4] {
            fs::remove_file(file).unwrap();
        }
        let again = Dictionaries::new(Arc::clone(&store.dictionaries.base));
        assert_eq!(*again.get(&id).unwrap(), bytes);
        fs::remove_file(&files[4]).unwrap();
        let again = Dictionaries::new(Arc::clone(&store.dictionaries.base));
        assert!(matches!(again.get(&id), Err(LayerError::Dictionary { id: lost }) if lost == id));
        // It can be made again.
        assert_eq!(
            store
                .dictionaries
                .put(store.own().unwrap(), &bytes, MINE)
                .unwrap(),
            id
        );
        assert_eq!(*again.get(&id).unwrap(), bytes);
    }
}
