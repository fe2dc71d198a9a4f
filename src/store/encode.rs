//! Encoding one file: plan, encode, protect, verify, and only then let the set take its name.

mod again;
mod content;
mod fold;
mod plan;

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::attrs::copy_native;
use super::build::{self, Spool};
use super::dictionaries::Class;
use super::disk::{Access, Dir, File, Kind, Meta, SetTimes};
use super::locate::Found;
use super::names;
use super::node::Node;
use super::object::{self, Layout, Object, Recognised};
use super::pairs::Linger;
use super::solid::{OpenDir, inside};
use super::state::{Kept, State};
use super::tree::{Counters, Store};
use super::{Error, Result, switch};
use crate::codec::template::sketch::Sketch;
use crate::codec::template::{Base, Template};
use crate::codec::{self, Codec, CodecError, Medium, Request};
use crate::format::descriptor::DEFAULT_UNIT;
use crate::format::{Attributes, Descriptor, Layers, ObjectKind};
use crate::hologram::Profile;
pub(crate) use again::{Again, Against, Of, next_generation};
pub(crate) use content::Plainly;
use content::{Cancelling, Subject, WhileWanted};
pub(crate) use plan::{Encoding, Plan, Wish};

/// Encoded bytes from which a set is spread over files when the policy leaves it open.
const SPREAD_FROM: u64 = 1 << 20;
/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is encoded now.
    Encoded,
    /// It stays plain, by choice.
    Kept,
    /// It was encoded before, or is nothing that is encoded.
    Already,
    /// It is in use; another time.
    Busy,
}

/// What became of a file with one codec.
enum Tried {
    /// The work is done.
    Done(Outcome),
    /// It is not for this codec.
    Declined(String),
}

/// What a set is to be called.
struct SetName {
    /// The file's logical name.
    name: OsString,
    /// The set's name on disk.
    disk_name: OsString,
}

/// A plain file where it lies.
struct Plain<'a> {
    dir: OpenDir<'a>,
    disk: OsString,
    meta: Meta,
}

/// A file that qualifies: where it is and what it was when the work began.
struct Candidate {
    plain: OsString,
    meta: Meta,
    file: Arc<dyn File>,
    state: State,
    /// What it has in common with others is found by this.
    sketch: OnceCell<Option<Sketch>>,
}

impl Candidate {
    fn open(dir: &dyn Dir, plain: OsString) -> Result<Self> {
        let file = dir.open(&plain, Access::Read)?;
        Ok(Self {
            meta: file.meta()?,
            state: State::of_file(file.as_ref()),
            plain,
            file,
            sketch: OnceCell::new(),
        })
    }

    fn content(&self) -> Plainly<'_> {
        Plainly {
            file: self.file.as_ref(),
            size: self.meta.size,
        }
    }

    /// `None` for what is too long to share anything.
    fn sketch(&self) -> Option<&Sketch> {
        let read = || {
            let fits = self.meta.size <= Base::MOST;
            fits.then(|| Sketch::of(&self.content()).ok()).flatten()
        };
        self.sketch.get_or_init(read).as_ref()
    }
}

impl Store {
    /// How often a file was promoted.
    pub(crate) fn promotions(&self, node: &Arc<Node>) -> u32 {
        let Some(link) = node.link() else { return 0 };
        let Ok(dir) = self.dir(&link.parent) else {
            return 0;
        };
        names::plain(&link.name).map_or(0, |disk| State::of(dir.as_ref(), &disk).promotions)
    }

    /// Whether work on a file is still wanted: the store is not closing, and nobody writes to the file.
    fn may_go_on(&self, node: &Node) -> bool {
        !self.queue.is_stopped() && !node.is_written()
    }

    /// What a plain file remembers when it comes from this object.
    pub(crate) fn state_of_object(object: &Object) -> State {
        State {
            ino: Some(object.attributes().ino),
            generation: object.attributes().generation,
            promotions: 0,
            kept: None,
        }
    }

    /// Encodes a file, if the policy (or the wish) says so and it is free.
    pub(crate) fn encode_node(&self, node: &Arc<Node>, wish: Option<Wish<'_>>) -> Result<Outcome> {
        let overlays = self.overlays_of(node.file())?;
        if !overlays.is_empty() {
            return self.fold(node, &overlays, wish);
        }
        let name = node.link().ok_or(Error::NotFound)?.name;
        let path = node.path().ok_or(Error::NotFound)?;
        let Some(Plain { dir, disk, meta }) = self.plain_file(node)? else {
            self.recall_member(node);
            return Ok(Outcome::Already);
        };
        if node.is_written() {
            return Ok(Outcome::Busy);
        }
        let disk_name = names::encoded(&name).filter(|_| meta.nlink == 1);
        let decision = self.policy.decide(&path, meta.size);
        let plan = Plan::of(&decision, wish.unwrap_or_default());
        let (Some(disk_name), Plan::Encode(how)) = (disk_name, &plan) else {
            if wish.is_some_and(|wish| wish.codec == Some("plain")) {
                // Until its content or the policy changes; else the next settle would undo what was asked.
                let settings = Plan::of(&decision, Wish::default()).settings();
                let candidate = Candidate::open(dir.as_ref(), disk)?;
                self.keep(&candidate, settings, "made plain by convert");
            }
            return Ok(Outcome::Kept);
        };
        if super::locate::is_taken(&dir, &name)? {
            return Ok(Outcome::Kept);
        }
        let candidate = Candidate::open(dir.as_ref(), disk)?;
        drop(dir); // this takes its time, and is looked at again before the switch
        let was = &candidate.meta;
        if (was.ino, was.size, was.ctime) != (meta.ino, meta.size, meta.ctime) {
            return Ok(Outcome::Busy);
        }
        let known = candidate.state.kept.as_ref();
        if wish.is_none() && known.is_some_and(|kept| kept.holds(was, &plan.settings())) {
            return Ok(Outcome::Kept);
        }
        let names = SetName { name, disk_name };
        let subject = Subject {
            kind: ObjectKind::File,
            content: &candidate.content(),
            holes: build::holes(candidate.file.as_ref(), was.size)?,
        };
        self.encode_candidate(node, &candidate, &subject, how, &names)
    }

    /// Encodes with the first codec that copes: what it made was decoded and compared, and is no larger.
    fn encode_candidate(
        &self,
        node: &Arc<Node>,
        candidate: &Candidate,
        subject: &Subject<'_>,
        how: &Encoding,
        names: &SetName,
    ) -> Result<Outcome> {
        let was = &candidate.meta;
        self.encode_subject(node, candidate, subject, how, names)
            .or_else(|e| match candidate.file.meta() {
                // What was changed under the encoder's eyes is neither the one nor the other; that is no failure.
                Ok(now) if (now.size, now.ctime) != (was.size, was.ctime) => Ok(Outcome::Busy),
                _ if !self.may_go_on(node) => Ok(Outcome::Busy),
                _ => Err(e),
            })
    }

    fn encode_subject(
        &self,
        node: &Arc<Node>,
        candidate: &Candidate,
        subject: &Subject<'_>,
        how: &Encoding,
        names: &SetName,
    ) -> Result<Outcome> {
        let size = subject.content.size();
        let length = codec::HEAD.min(usize::try_from(size).unwrap_or(codec::HEAD));
        let mut head = vec![0; length];
        subject.content.read_at(0, &mut head)?;
        let (codecs, profile) = how.resolve(&head);
        let mut rest = codecs.iter();
        while let Some(codec) = rest.next() {
            let attempt =
                || self.encode_with(*codec, profile, node, candidate, subject, how, names);
            // A panic must not end the worker, who has more files to see to.
            let tried = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| {
                Err(Error::Damaged {
                    name: names.name.display().to_string(),
                    what: format!("the codec {} failed", codec.name()),
                })
            });
            let declined = match tried {
                Ok(Tried::Done(outcome)) => return Ok(outcome),
                Ok(Tried::Declined(reason)) => reason,
                // A fault of the codec; what was written is kept by the general one.
                Err(Error::Damaged { what, .. }) if rest.len() > 0 => {
                    log::error!("{}: {}: {what}", names.name.display(), codec.name());
                    continue;
                }
                Err(e) => return Err(e),
            };
            log::debug!("{}: not {}: {declined}", names.name.display(), codec.name());
        }
        Err(Error::Unsupported)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what, of what, how, and where to"
    )]
    fn encode_with(
        &self,
        codec: &dyn Codec,
        profile: Profile,
        node: &Arc<Node>,
        candidate: &Candidate,
        subject: &Subject<'_>,
        how: &Encoding,
        names: &SetName,
    ) -> Result<Tried> {
        let own = self.own()?;
        let Candidate { meta, file, .. } = candidate;
        let (content, size) = (subject.content, subject.content.size());
        let _using = self.dictionaries.using.read();
        let class = Class::of(meta.uid, meta.mode);
        // The table of a bundle is read before anybody can supply dictionaries.
        let alone = subject.kind == ObjectKind::File;
        let dictionaries = alone.then(|| self.dictionaries.fitting(class));
        let dictionaries = dictionaries.unwrap_or_default();
        let shares = alone && codec.id() == Template.id();
        let sketch = candidate.sketch().filter(|_| shares);
        let previous = shares.then(|| self.predecessor(node.ino)).flatten();
        let bases = sketch.map(|sketch| self.dictionaries.fitting_bases(class, sketch));
        let request = Request {
            effort: how.effort,
            previews: profile.previews(),
            dictionaries: &dictionaries,
            bases: bases.as_deref().unwrap_or_default(),
            previous: previous.as_ref(),
        };
        let mut spool = Spool::new(Arc::clone(&own.staging));
        let encoded = {
            let mut sink = Cancelling {
                spool: &mut spool,
                store: self,
                node,
            };
            match codec.encode(content, request, &mut sink) {
                Err(CodecError::Cancelled) => return Ok(Tried::Done(Outcome::Busy)),
                Err(CodecError::Declined(reason)) => return Ok(Tried::Declined(reason)),
                encoded => encoded?,
            }
        };
        spool.finish(encoded.layers)?;
        let lengths: Vec<u64> = (0..spool.count()).map(|layer| spool.len(layer)).collect();
        let total: u64 = lengths.iter().sum();
        // Something to see of a file that cannot be recoded is worth an eighth of it.
        let previews = if request.previews > 0 { size / 8 } else { 0 };
        if codec.medium() != Medium::Other && total > size + previews {
            return Ok(Tried::Declined(format!("{total} bytes of layers")));
        }
        if profile == Profile::None && total >= size {
            self.keep(candidate, how.settings(), "encoded it is not smaller");
            return Ok(Tried::Done(Outcome::Kept));
        }
        let descriptor = Descriptor {
            version: crate::format::VERSION,
            size,
            hash: self.hash_content(node, content)?,
            holes: subject.holes.clone(),
            kind: subject.kind,
            codec: codec.id().0,
            settings: encoded.settings,
            chunks: profile.chunks(),
            layers: profile.layers(&lengths),
            unit: DEFAULT_UNIT,
        };
        let layout = layout_for(how.layout, total, profile.chunks());
        let set_id = descriptor.set_id().map_err(|source| Error::Format {
            name: names.name.display().to_string(),
            source,
        })?;
        let attributes = Attributes {
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime: meta.mtime,
            ctime: meta.ctime,
            ino: node.ino,
            generation: next_generation(candidate.state.generation, set_id),
        };
        let set = own.fresh(own.staging.as_ref(), "set");
        let made = (|| -> Result<Outcome> {
            build::build(
                own.staging.as_ref(),
                &set,
                &WhileWanted {
                    layers: &spool,
                    store: self,
                    node,
                },
                &descriptor,
                &names.name,
                &attributes,
                layout,
            )?;
            drop(spool);
            let object = self.dress(&set, candidate)?;
            if !self.same_content(node, &object.whole(), content)? {
                return Ok(Outcome::Busy);
            }
            // A pair is one file in two forms after a crash too, and either of them may be the one that stays.
            file.sync(false)?;
            self.commit_encoding(node, candidate, &set, &names.disk_name)
        })();
        if !matches!(made, Ok(Outcome::Encoded))
            && let Err(e) = super::own::remove_entry(own.staging.as_ref(), &set)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!(".holofs/staging/{}: {e}", set.display());
        }
        made.map(Tried::Done)
    }

    /// The plain file of a node, unless it is encoded or lingering already.
    fn plain_file(&self, node: &Arc<Node>) -> Result<Option<Plain<'_>>> {
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (names, found) = self.found(&link.parent, &dir, &link.name)?;
        drop(names);
        let plain = names::plain(&link.name);
        Ok(match found.ok_or(Error::NotFound)? {
            Found::Native { meta, disk }
                if meta.kind == Kind::File
                    && Some(&disk) == plain.as_ref()
                    && inside(dir.as_ref()).is_none() =>
            {
                Some(Plain { dir, disk, meta })
            }
            _ => None,
        })
    }

    /// Records why a file stays plain although the policy would have it encoded.
    fn keep(&self, candidate: &Candidate, settings: String, reason: &str) {
        Counters::add(&self.counters.kept);
        let Candidate {
            meta, file, state, ..
        } = candidate;
        State {
            kept: Some(Kept {
                reason: reason.to_owned(),
                size: meta.size,
                mtime: (meta.mtime.secs, meta.mtime.nanos),
                settings,
            }),
            ino: Some(state.ino(meta)).filter(|_| state.ino.is_some()),
            ..state.clone()
        }
        .save(file.as_ref());
    }

    /// Gives the carrier of a staged set the owner, mode and extended attributes of the file, durably.
    fn dress(&self, set: &OsStr, candidate: &Candidate) -> Result<Arc<Object>> {
        let object = self.staged(set)?;
        let carrier = object.carrier(Access::Write)?;
        copy_native(candidate.file.as_ref(), &candidate.meta, carrier.as_ref())?;
        carrier.set_times(SetTimes {
            atime: Some(candidate.meta.atime),
            mtime: None,
        })?;
        carrier.sync(false)?;
        self.staged(set)
    }

    /// Opens a set in staging, exactly as it will be opened later.
    pub(crate) fn staged(&self, set: &OsStr) -> Result<Arc<Object>> {
        let staging = self.own()?.staging.as_ref();
        match object::recognise(staging, set, &staging.meta(set)?, None)? {
            Recognised::Object(object) => {
                object.supply(&self.dictionaries);
                Ok(object)
            }
            _ => Err(Error::Damaged {
                name: set.display().to_string(),
                what: "a set just written cannot be read back".to_owned(),
            }),
        }
    }

    /// Puts a verified set beside its plain file, provided that nothing touched the file meanwhile.
    fn commit_encoding(
        &self,
        node: &Arc<Node>,
        candidate: &Candidate,
        set: &OsStr,
        disk_name: &OsStr,
    ) -> Result<Outcome> {
        let own = self.own()?;
        let _turn = node.turn.lock();
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let _names = link.parent.names.write();
        if !node.is_at(&link) || names::encoded(&link.name).as_deref() != Some(disk_name) {
            return Ok(Outcome::Busy); // renamed meanwhile
        }
        let Some(Found::Native { meta, disk }) = self.found_locked(&dir, &link.name)? else {
            return Ok(Outcome::Already);
        };
        let was = &candidate.meta;
        let same = disk == candidate.plain
            && (meta.dev, meta.ino, meta.size, meta.mtime, meta.ctime)
                == (was.dev, was.ino, was.size, was.mtime, was.ctime)
            && meta.nlink == 1;
        if !same || node.is_written() {
            return Ok(Outcome::Busy);
        }
        // Refused exactly while somebody can still write, also one that outlived a killed daemon.
        let lease = match candidate.file.lease() {
            Ok(lease) => Some(lease),
            Err(e) if e.kind() == std::io::ErrorKind::Unsupported => None,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(Outcome::Busy),
            Err(e) => return Err(e.into()),
        };
        if candidate.file.meta()?.ctime != was.ctime {
            return Ok(Outcome::Busy);
        }
        let object = self.staged(set)?;
        switch::encode(own.staging.as_ref(), set, dir.as_ref(), disk_name)?;
        drop(lease);
        self.lingering.insert(Linger {
            set: object.set().0,
            plain: meta,
            until: Instant::now() + self.policy.encode.linger,
            node: Some(Arc::clone(node)),
            tried: false,
        });
        self.note_member(node, &object, candidate.sketch().cloned());
        self.drop_predecessor(node.ino);
        self.counters.encoded.fetch_add(1, Ordering::Relaxed);
        self.queue.wake();
        Ok(Outcome::Encoded)
    }

    /// Re-encodes one regular file with this codec, profile and layout (policy names; `None`: as the policy says).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown name, [`Error::ReadOnly`], and what the medium says; the file stays as it is.
    pub fn convert(
        &self,
        ino: u64,
        codec: Option<&str>,
        profile: Option<&str>,
        layout: Option<&str>,
    ) -> Result<super::FileStatus> {
        self.own()?;
        let node = self.nodes.get(ino)?;
        drop(self.native(&[&node])?);
        let profile = match profile {
            None | Some("auto") => None,
            Some(text) => Some(text.parse::<Profile>().map_err(|_| Error::Invalid)?),
        };
        let layout = match layout {
            None | Some("auto") => None,
            Some("packed") => Some(Layout::Packed),
            Some("spread") => Some(Layout::Spread),
            Some(_) => return Err(Error::Invalid),
        };
        if codec.is_some_and(|c| !matches!(c, "auto" | "plain") && codec::by_name(c).is_none()) {
            return Err(Error::Invalid);
        }
        let codec = codec.filter(|c| *c != "auto");
        {
            let _turn = node.turn.lock();
            self.make_plain(&node)?;
            self.drop_parked(&node);
        }
        let wish = Wish {
            codec,
            profile,
            layout,
        };
        self.encode_node(&node, Some(wish))?;
        self.status(ino)
    }
}

/// The layout wished for, else the one for so many bytes of layers in so many chunks.
pub(crate) fn layout_for(wished: Option<Layout>, total: u64, chunks: u8) -> Layout {
    let spread = total >= SPREAD_FROM && chunks > 1;
    wished.unwrap_or(if spread {
        Layout::Spread
    } else {
        Layout::Packed
    })
}
