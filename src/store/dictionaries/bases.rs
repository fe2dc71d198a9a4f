//! Bases: what several files show, kept once and read by range.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Class, Dictionaries, Known, name_of};
use crate::codec::template::{Base, Template, sketch};
use crate::codec::{Codec, CodecError, Effort, LayerSink, Request, stored::Stored};
use crate::format::{Digest, LayerError, Layers as _};
use crate::store::Result;
use crate::store::build::Spool;
use crate::store::object::Object;
use crate::store::own::Own;

/// Bases that are held open for reading.
const OPEN: usize = 4;
/// Bytes of bases that are held in memory for encoding, and the tables with them once more as much at most.
const PRIMED: usize = 64 << 20;
/// Bases that are looked through for what a file shows, the youngest of its class.
const KNOWN: usize = 32;

/// How long a base that was read through is taken for what it was then.
const PROVED: Duration = Duration::from_mins(10);

/// What was used last.
#[derive(Debug, Default)]
pub(super) struct Recent {
    open: Mutex<VecDeque<(Digest, Arc<Object>)>>,
    primed: Mutex<VecDeque<Arc<Base>>>,
    /// When each was read through, and whether all of it was there.
    proved: Mutex<HashMap<Digest, (Instant, bool)>>,
    /// What each is known by.
    known: Mutex<VecDeque<(Digest, Arc<[u32]>)>>,
}

impl Recent {
    pub(super) fn forget(&self, id: &Digest) {
        self.open.lock().retain(|(known, _)| known != id);
        self.primed.lock().retain(|base| base.id() != *id);
        self.known.lock().retain(|(known, _)| known != id);
        self.proved.lock().remove(id);
    }
}

/// Whether every unit that reading needs is there.
pub(super) fn is_whole(object: &Object) -> bool {
    let report = object.verify(&mut |_| true);
    let layers = object.descriptor().layers.len();
    report.is_ok_and(|report| report.is_some_and(|report| report.readable_layers() == layers))
}

/// A base that is made and not yet kept.
pub(crate) struct Draft {
    id: Digest,
    size: u64,
    codec: &'static dyn Codec,
    settings: Vec<u8>,
    spool: Spool,
    /// Bytes that it takes before it is protected.
    pub(crate) length: u64,
}

/// Takes what an encoder writes for as long as somebody wants it.
struct Wanted<'a> {
    spool: &'a mut Spool,
    wanted: &'a dyn Fn() -> bool,
}

impl LayerSink for Wanted<'_> {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> io::Result<()> {
        self.spool.write(layer, bytes)
    }

    fn cancelled(&self) -> bool {
        !(self.wanted)()
    }
}

impl Draft {
    /// Encodes a base; `None` once it is not wanted any more.
    pub(crate) fn of(own: &Own, base: &Base, wanted: &dyn Fn() -> bool) -> Result<Option<Self>> {
        // It is read with many files, and made once.
        let request = Request {
            effort: Effort::Archive,
            ..Request::default()
        };
        let codecs: [&'static dyn Codec; 2] = [&Template, &Stored];
        for codec in codecs {
            let mut spool = Spool::new(Arc::clone(&own.staging));
            let mut sink = Wanted {
                spool: &mut spool,
                wanted,
            };
            let encoded = match codec.encode(&base.bytes(), request, &mut sink) {
                Err(CodecError::Declined(_)) => continue,
                Err(CodecError::Cancelled) => return Ok(None),
                encoded => encoded?,
            };
            spool.finish(encoded.layers)?;
            let length = (0..encoded.layers).map(|layer| spool.len(layer)).sum();
            return Ok(Some(Self {
                id: base.id(),
                size: base.bytes().len() as u64,
                codec,
                settings: encoded.settings,
                length,
                spool,
            }));
        }
        Ok(None)
    }
}

impl Dictionaries {
    /// Keeps a base for files of a class.
    pub(crate) fn put_base(&self, own: &Own, draft: Draft, class: Class) -> Result<()> {
        let name = name_of(&draft.id, class, true);
        let content = (&draft.id, draft.size);
        let encoded = (draft.codec, draft.settings, &draft.spool);
        self.keep(own, content, class, &name, encoded)?;
        self.bases.forget(&draft.id);
        Ok(())
    }

    /// A base, open for reading.
    fn open_base(&self, id: &Digest) -> std::result::Result<Arc<Object>, LayerError> {
        let mut open = self.bases.open.lock();
        let at = open.iter().position(|(known, _)| known == id);
        if let Some(found) = at.and_then(|at| open.remove(at)) {
            let object = Arc::clone(&found.1);
            open.push_front(found);
            return Ok(object);
        }
        // What a base itself could need is none: nobody makes such a one, and reading would not come to an end.
        let intact = |known: &Known| {
            let object = &known.object;
            let whole = object
                .chunk_count()
                .is_ok_and(|count| count.have >= count.need);
            object.descriptor().hash == *id && object.needs().is_empty() && whole
        };
        let found = self.named(id, true)?.find(intact);
        let object = found.ok_or(LayerError::Dictionary { id: *id })?.object;
        open.push_front((*id, Arc::clone(&object)));
        open.truncate(OPEN);
        Ok(object)
    }

    /// Whether a base can be read, as far as anybody knows without reading it.
    pub(super) fn has_base(&self, id: &Digest) -> bool {
        self.open_base(id).is_ok()
    }

    /// The same, proved by reading all of it; of many files that need it one pays.
    pub(super) fn proves_base(&self, id: &Digest) -> bool {
        let mut proved = self.bases.proved.lock();
        let known = proved.get(id).filter(|(at, _)| at.elapsed() < PROVED);
        if let Some((_, whole)) = known {
            return *whole;
        }
        let whole = self.open_base(id).is_ok_and(|object| is_whole(&object));
        proved.insert(*id, (Instant::now(), whole));
        whole
    }

    /// Fills `buf` from byte `offset` of a base.
    pub(crate) fn read_base(
        &self,
        id: &Digest,
        offset: u64,
        buf: &mut [u8],
    ) -> std::result::Result<(), LayerError> {
        let object = self.open_base(id)?;
        match object.read_at(offset, buf) {
            Ok(read) if read == buf.len() => Ok(()),
            Ok(_) => Err(LayerError::Dictionary { id: *id }),
            Err(e) => {
                log::warn!("the base {id}: {e}");
                // It may be repaired, or come back, before it is asked for again.
                self.bases.open.lock().retain(|(known, _)| known != id);
                Err(LayerError::Dictionary { id: *id })
            }
        }
    }

    /// All bytes of a base.
    fn whole_base(&self, known: &Known) -> Option<Vec<u8>> {
        let size = usize::try_from(known.object.descriptor().size).ok()?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).ok()?;
        bytes.resize(size, 0);
        self.read_base(&known.id, 0, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Bases for files of a class that have most of this sketch, the likeliest first.
    pub(crate) fn fitting_bases(&self, class: Class, sketch: &sketch::Sketch) -> Vec<Arc<Base>> {
        let all = self.all().unwrap_or_default();
        let mut fitting: Vec<Known> = all
            .into_iter()
            .filter(|known| known.class == class && known.base)
            .filter(|known| known.object.descriptor().size <= Base::MOST)
            .collect();
        fitting.sort_by_key(|known| std::cmp::Reverse(known.object.attributes().mtime));
        fitting.truncate(KNOWN);
        let mut found: Vec<(usize, Known)> = fitting
            .into_iter()
            .map(|known| (sketch.found_in(&self.known_by(&known)), known))
            .filter(|(common, _)| *common > 0)
            .collect();
        found.sort_by_key(|(common, _)| std::cmp::Reverse(*common));
        found.truncate(OPEN);
        let primed = found
            .into_iter()
            .filter_map(|(_, known)| self.primed(&known));
        primed.collect()
    }

    /// What a base is known by; nothing for one that cannot be read.
    fn known_by(&self, known: &Known) -> Arc<[u32]> {
        let mut all = self.bases.known.lock();
        if let Some((_, numbers)) = all.iter().find(|(id, _)| *id == known.id) {
            return Arc::clone(numbers);
        }
        let bytes = self.whole_base(known).unwrap_or_default();
        let numbers: Arc<[u32]> = sketch::of_base(&bytes.as_slice())
            .unwrap_or_default()
            .into();
        all.push_front((known.id, Arc::clone(&numbers)));
        all.truncate(2 * KNOWN);
        numbers
    }

    /// A base for encoding.
    fn primed(&self, known: &Known) -> Option<Arc<Base>> {
        let mut primed = self.bases.primed.lock();
        let at = primed.iter().position(|base| base.id() == known.id);
        if let Some(found) = at.and_then(|at| primed.remove(at)) {
            primed.push_front(Arc::clone(&found));
            return Some(found);
        }
        let bytes = self.whole_base(known)?;
        let base = Arc::new(Base::new(known.id, bytes)?);
        primed.push_front(Arc::clone(&base));
        let mut total = 0;
        primed.retain(|base| {
            total += base.bytes().len();
            total <= PRIMED
        });
        Some(base)
    }

    /// Lets go of what only encoding needs.
    pub(crate) fn rest(&self) {
        self.bases.primed.lock().clear();
    }

    /// Whether this is a base that is there.
    pub(crate) fn is_base(&self, id: &Digest) -> bool {
        let all = self.all().unwrap_or_default();
        all.iter().any(|known| known.base && known.id == *id)
    }
}
