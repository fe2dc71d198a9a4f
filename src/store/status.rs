//! What is known of a file: rows of `status`, the reason for `why`, computed attributes.

use std::sync::Arc;

use super::encode::{Plan, Wish};
use super::locate::Found;
use super::names;
use super::node::Node;
use super::object::{Layout, Object};
use super::state::State as Remembered;
use super::tree::Store;
use super::{ChunkCount, Error, FileStatus, Result, State};
use crate::codec::{self, CodecId};

/// Sets whose damage is remembered.
const MOST_REMEMBERED: usize = 10_000;
/// Packed objects up to this size are verified whole whenever their state is asked for: reading them takes no longer
/// than finding them on a disk.
const VERIFY_WHOLE: u64 = 1 << 20;

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
        Ok(match &found.ok_or(Error::NotFound)? {
            Found::Native { meta, disk } => {
                let path = node.path().ok_or(Error::NotFound)?;
                let remembered = Remembered::of(dir.as_ref(), disk);
                let (pending, reason) = self.why_plain(&path, meta, &remembered);
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
            Found::Encoded { object, .. } => self.status_of_object(object, "")?,
            Found::Pair { meta, object, .. } => {
                let mut status = self.status_of_object(object, "; the decoded copy lingers")?;
                status.stored += meta.size;
                status
            }
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
            Found::Foreign { meta, content, .. } => FileStatus {
                state: match content.damage() {
                    None => State::Exact,
                    Some(_) => State::Lost,
                },
                codec: content.format(),
                size: content.size(),
                stored: meta.size,
                chunks: ChunkCount::default(),
                quality_db: None,
                reason: format!(
                    "made by another program, shown read-only ({})",
                    content.format()
                ),
                damage: content.damage().into_iter().collect(),
            },
        })
    }

    fn status_of_object(&self, object: &Object, more: &str) -> Result<FileStatus> {
        let descriptor = object.descriptor();
        let mut lost = false;
        if object.layout() == Layout::Packed && object.stored_bytes() <= VERIFY_WHOLE {
            let report = object.verify(&mut |_| true)?;
            lost = report.is_some_and(|r| r.readable_layers() < descriptor.layers.len());
            self.damaged.lock().remove(&object.set().0);
        }
        let chunks = object.chunk_count()?;
        lost |= chunks.have < chunks.need;
        let mut damage = object.damage();
        if damage.is_empty() {
            damage = self
                .damaged
                .lock()
                .get(&object.set().0)
                .cloned()
                .unwrap_or_default();
        }
        let codec = codec::by_id(CodecId(descriptor.codec)).map_or("unknown", |c| c.name());
        let layout = match object.layout() {
            Layout::Packed => "packed",
            Layout::Spread => "spread",
        };
        Ok(FileStatus {
            state: if lost { State::Lost } else { State::Exact },
            codec: codec.to_owned(),
            size: descriptor.size,
            stored: object.stored_bytes(),
            chunks,
            quality_db: None,
            reason: format!(
                "{codec}, {layout}, exact from any {} of {} chunks{more}",
                chunks.need, chunks.total
            ),
            damage,
        })
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
            b"hash" => self.known_hash(node)?.ok_or(Error::NoData)?,
            _ => return Err(Error::NoData),
        };
        Ok(text.into_bytes())
    }

    /// The content hash, where the content is encoded: hashing a plain file is the reader's own work.
    fn known_hash(&self, node: &Arc<Node>) -> Result<Option<String>> {
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        Ok(match found {
            Some(Found::Encoded { object, .. } | Found::Pair { object, .. }) => {
                Some(object.descriptor().hash.to_string())
            }
            _ => None,
        })
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
        State::Exact | State::Degraded => status.damage.join("; "),
    }
}
