//! What is known of a file: rows of `status`, the reason for `why`, computed attributes.

use std::sync::Arc;

use super::disk::Dir;
use super::encode::{Plan, Wish};
use super::foreign::Foreign;
use super::locate::{self, Found};
use super::names;
use super::node::{Link, Node};
use super::object::{Layout, Object};
use super::solid::inside;
use super::state::State as Remembered;
use super::tree::Store;
use super::{ChunkCount, Error, FileStatus, Result, State};
use crate::codec::thumbnail::MOST;
use crate::codec::{self, CodecId};
use crate::foreign::Quality;

/// Sets whose damage is remembered.
const MOST_REMEMBERED: usize = 10_000;
/// Packed objects and sets of other programs up to this size are verified whole whenever their state is asked for:
/// reading them takes no longer than finding them on a disk.
pub(crate) const VERIFY_WHOLE: u64 = 1 << 20;

impl Store {
    /// State of a regular file.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything that is no regular file, and what the medium says.
    pub fn status(&self, ino: u64) -> Result<FileStatus> {
        self.status_of(&self.nodes.get(ino)?)
    }

    pub(crate) fn status_of(&self, node: &Arc<Node>) -> Result<FileStatus> {
        if node.kind != super::Kind::File {
            return Err(Error::Invalid);
        }
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (names, found) = self.found(&link.parent, &dir, &link.name)?;
        drop(names); // what was found holds open what it reads
        let found = found.ok_or(Error::NotFound)?;
        if let (Found::Native { disk, .. }, Some(solid)) = (&found, inside(dir.as_ref())) {
            let member = solid.member(disk)?;
            return self.status_of_member(&link.parent, &member, false, &mut || true);
        }
        if let Some(overlay) = self.overlay(node.file(), &self.options.context)? {
            return Ok(FileStatus {
                state: State::Pending,
                codec: "plain".to_owned(),
                size: overlay.meta.size,
                stored: overlay.meta.size,
                chunks: ChunkCount::default(),
                quality_db: None,
                reason: format!(
                    "the variant of {}, to be encoded with the others when it has been quiet",
                    self.options.context
                ),
                damage: Vec::new(),
            });
        }
        let mut status = self.status_of_found(node, &link, &dir, &found)?;
        let contexts = self.contexts_in(node.file(), &found)?;
        if !contexts.is_empty() {
            let names: Vec<String> = contexts.iter().map(ToString::to_string).collect();
            status.reason = format!("{}; variants: {}", status.reason, names.join(", "));
        }
        Ok(status)
    }

    fn status_of_found(
        &self,
        node: &Arc<Node>,
        link: &Link,
        dir: &Arc<dyn Dir>,
        found: &Found,
    ) -> Result<FileStatus> {
        Ok(match found {
            Found::Native { meta, disk } => {
                let path = node.path().ok_or(Error::NotFound)?;
                let remembered = Remembered::of(dir.as_ref(), disk);
                let (mut pending, mut reason) = self.why_plain(&path, meta, &remembered);
                if pending && locate::is_taken(dir, &link.name)? {
                    pending = false;
                    "something that holofs did not make has the name of its set"
                        .clone_into(&mut reason);
                }
                FileStatus {
                    state: if pending {
                        State::Pending
                    } else {
                        State::Plain
                    },
                    codec: "plain".to_owned(),
                    size: meta.size,
                    stored: meta.size,
                    chunks: ChunkCount::default(),
                    quality_db: None,
                    reason,
                    damage: Vec::new(),
                }
            }
            Found::Encoded { object, .. } => self.status_of_object(node, object, "")?,
            Found::Pair { meta, object, .. } => {
                let mut status =
                    self.status_of_object(node, object, "; the decoded copy lingers")?;
                status.stored += meta.size;
                status
            }
            Found::Solid { .. } => return Err(Error::IsDirectory),
            Found::Broken { meta, what, .. } => FileStatus {
                state: State::Lost,
                codec: String::new(),
                size: 0,
                stored: meta.size,
                chunks: ChunkCount::default(),
                quality_db: None,
                reason: what.clone(),
                damage: vec![what.clone()],
            },
            Found::Foreign { content, .. } => {
                status_of_foreign(node, content, content.stored() <= VERIFY_WHOLE)
            }
        })
    }

    fn status_of_object(
        &self,
        node: &Arc<Node>,
        object: &Object,
        more: &str,
    ) -> Result<FileStatus> {
        let descriptor = object.descriptor();
        // As far as anybody knows without reading everything.
        let mut layers = self
            .reduced
            .layers(object.set())
            .unwrap_or(descriptor.layers.len());
        if object.layout() == Layout::Packed && object.stored_bytes() <= VERIFY_WHOLE {
            let report = object.verify(&mut |_| true)?;
            layers = report.map_or(layers, |report| report.readable_layers());
            self.damaged.lock().remove(&object.set().0);
        }
        let chunks = object.chunk_count()?;
        layers = layers.min(object.layers_of(chunks.have));
        let mut damage = object.damage();
        let missing = self.missing_dictionaries(object, false);
        if !missing.is_empty() {
            layers = 0;
        }
        damage.extend(missing);
        let (state, quality_db) = state_with(object, layers);
        if damage.is_empty() {
            damage = self
                .damaged
                .lock()
                .get(&object.set().0)
                .cloned()
                .unwrap_or_default();
        }
        let codec = codec::by_id(CodecId(descriptor.codec)).map_or("unknown", |c| c.name());
        let path = node.path().ok_or(Error::NotFound)?;
        let shown = object.in_context(&self.options.context);
        let size = shown.as_ref().unwrap_or(object).size();
        let decision = self.policy.decide(&path, size);
        let layout = match object.layout() {
            Layout::Packed => "packed",
            Layout::Spread => "spread",
        };
        Ok(FileStatus {
            state,
            codec: codec.to_owned(),
            size,
            stored: object.stored_bytes(),
            chunks,
            quality_db,
            reason: format!(
                "{codec}, {layout}{}, exact from any {} of {} chunks{more}; policy: {}",
                self.sharing(object),
                chunks.need,
                chunks.total,
                decision.reason
            ),
            damage,
        })
    }

    /// In words, what an object shares with others.
    fn sharing(&self, object: &Object) -> &'static str {
        let needs = object.needs();
        if needs.is_empty() {
            ""
        } else if needs.iter().any(|id| self.dictionaries.is_base(id)) {
            ", what other files hold too kept with them"
        } else {
            ", with a dictionary for files like it"
        }
    }

    /// In words, which dictionaries an object needs that cannot be read; `proved`: by reading all of them.
    pub(crate) fn missing_dictionaries(&self, object: &Object, proved: bool) -> Vec<String> {
        let needs = object.needs().into_iter();
        let missing = needs.filter(|id| {
            let there = if proved {
                self.dictionaries.proves(id)
            } else {
                self.dictionaries.has(id)
            };
            !there
        });
        missing
            .map(|id| format!("the dictionary {id} is missing"))
            .collect()
    }

    /// Remembers damage that reads of an object met: the object is gone before somebody asks.
    pub(crate) fn note_damage(&self, object: &Object) {
        let words = object.damage();
        if words.is_empty() {
            return;
        }
        let mut damaged = self.damaged.lock();
        if damaged.len() < MOST_REMEMBERED || damaged.contains_key(&object.set().0) {
            damaged.insert(object.set().0, words);
        }
    }

    /// Whether a plain file waits to be encoded, and why it is as it is.
    fn why_plain(
        &self,
        path: &std::path::Path,
        meta: &super::disk::Meta,
        remembered: &Remembered,
    ) -> (bool, String) {
        if meta.nlink > 1 {
            return (false, "it has several links".to_owned());
        }
        if path.file_name().and_then(names::encoded).is_none() {
            return (false, "its name is too long to be encoded".to_owned());
        }
        let decision = self.policy.decide(path, meta.size);
        match Plan::of(&decision, Wish::default()) {
            Plan::Plain(reason) => (false, reason),
            plan @ Plan::Encode(_) => match &remembered.kept {
                Some(kept) if kept.holds(meta, &plan.settings()) => (false, kept.reason.clone()),
                _ => (true, "to be encoded when it has been quiet".to_owned()),
            },
        }
    }

    /// The value of `user.holofs.<name>`.
    pub(crate) fn computed_xattr(&self, node: &Arc<Node>, name: &[u8]) -> Result<Vec<u8>> {
        if node.kind != super::Kind::File {
            return Err(Error::NoData);
        }
        if name == b"preview" {
            return self.preview(node);
        }
        if name == b"contexts" {
            return self.contexts_of(node);
        }
        let status = self.status_of(node)?;
        let text = match name {
            b"status" => serde_json::to_value(status.state)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
            b"codec" => status.codec,
            b"ratio" => ratio(status.stored, status.size),
            b"stored_bytes" => status.stored.to_string(),
            b"chunks" => format!("{}/{}", status.chunks.have, status.chunks.total),
            b"health" => health(&status),
            b"quality" => format!("{:.2}", status.quality_db.ok_or(Error::NoData)?),
            // Hashing a plain file is the reader's own work.
            b"hash" => {
                let object = self.encoded(node.ino)?.ok_or(Error::NoData)?;
                let overlay = self.overlay(node.file(), &self.options.context)?;
                if overlay.is_some() {
                    return Err(Error::NoData);
                }
                self.shown(&object).hash().to_string()
            }
            _ => return Err(Error::NoData),
        };
        Ok(text.into_bytes())
    }

    /// Names of the contexts that a file has variants for, with commas between them.
    fn contexts_of(&self, node: &Arc<Node>) -> Result<Vec<u8>> {
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (names, found) = self.found(&link.parent, &dir, &link.name)?;
        drop(names);
        let names: Vec<String> = match found.ok_or(Error::NotFound)? {
            Found::Foreign { content, .. } => content.contexts().to_vec(),
            found => {
                let contexts = self.contexts_in(node.file(), &found)?;
                contexts.iter().map(ToString::to_string).collect()
            }
        };
        if names.is_empty() {
            return Err(Error::NoData);
        }
        Ok(names.join(",").into_bytes())
    }

    /// A small picture of an encoded one, as a PNG.
    fn preview(&self, node: &Arc<Node>) -> Result<Vec<u8>> {
        let object = self.encoded(node.ino)?.ok_or(Error::NoData)?;
        let png = object.preview()?.ok_or(Error::NoData)?;
        if png.len() > MOST {
            log::warn!("{}: a preview of {} bytes", object.set(), png.len());
            return Err(Error::NoData);
        }
        Ok(png)
    }
}

/// State of an object of which so many layers can be read, and its quality in dB where that is reduced.
pub(crate) fn state_with(object: &Object, layers: usize) -> (State, Option<f64>) {
    if layers >= object.descriptor().layers.len() {
        return (State::Exact, None);
    }
    match object.quality(layers) {
        None => (State::Lost, None),
        quality => (State::Degraded, quality),
    }
}

/// State of what another program made; `everything`: after reading all of it.
pub(crate) fn status_of_foreign(node: &Node, content: &Foreign, everything: bool) -> FileStatus {
    let quality = content.quality(everything);
    let met = {
        let mut inner = node.inner.lock();
        if everything {
            inner.reduced = None;
        }
        inner.reduced.clone()
    };
    let (state, damage) = match quality {
        Ok(Quality::Degraded(what)) => (State::Degraded, Some(what)),
        Ok(Quality::Exact) => match met {
            // Only headers were read now: what the last read of the content met still counts.
            Some(what) => (State::Degraded, Some(what)),
            None => (State::Exact, None),
        },
        Err(Error::Damaged { what, .. }) => (State::Lost, Some(what)),
        Err(e) => (State::Lost, Some(e.to_string())),
    };
    FileStatus {
        state,
        codec: content.format(),
        size: content.size(),
        stored: content.stored(),
        chunks: content.chunks(),
        quality_db: None,
        reason: format!(
            "made by another program, shown read-only ({})",
            content.format()
        ),
        damage: damage.into_iter().collect(),
    }
}

/// Stored bytes per byte of content, three decimals.
fn ratio(stored: u64, size: u64) -> String {
    let thousandths = stored
        .saturating_mul(1000)
        .checked_div(size)
        .unwrap_or(1000);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// One word, and what is damaged.
fn health(status: &FileStatus) -> String {
    match status.state {
        State::Plain | State::Pending => "unprotected".to_owned(),
        State::Lost => format!("lost: {}", status.damage.join("; ")),
        State::Exact if status.damage.is_empty() => "ok".to_owned(),
        State::Degraded if status.damage.is_empty() => {
            let ChunkCount { have, total, .. } = status.chunks;
            format!("{have} of {total} chunks")
        }
        State::Exact | State::Degraded => status.damage.join("; "),
    }
}
