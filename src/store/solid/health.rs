//! How much of a solid directory can be read: the object is checked once for all files in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::disk::Meta;
use super::super::locate::{self, Found};
use super::super::node::Node;
use super::super::object::{Layout, Object};
use super::super::status::VERIFY_WHOLE;
use super::super::tree::Store;
use super::super::{ChunkCount, Error, FileStatus, Result, State};
use super::{Member, Solids, key};
use crate::codec::Codec;

/// How long what a check of everything found counts for the next file of the same object, where nothing was written.
const FRESH: Duration = Duration::from_mins(5);

/// What a check of an object found.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    stamp: Vec<Meta>,
    at: Instant,
    /// Every stored unit was read.
    everything: bool,
    chunks: ChunkCount,
    /// All of the content can be read.
    whole: bool,
    damage: Vec<String>,
}

impl Solids {
    /// Checks an object; `everything`: reads every stored unit, unless that was done a moment ago. `go_on` is asked
    /// now and then; after a no only what needs no reading is known.
    fn check(
        &self,
        object: &Object,
        everything: bool,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Checked> {
        let stamp = object.stamp()?;
        let key = key(object);
        if let Some(known) = self.checked.lock().get(&key)
            && known.stamp == stamp
            && known.everything >= everything
            && known.at.elapsed() < FRESH
        {
            return Ok(known.clone());
        }
        let small = object.layout() == Layout::Packed && object.stored_bytes() <= VERIFY_WHOLE;
        let mut layers = object.descriptor().layers.len();
        let mut verified = false;
        if (everything || small)
            && let Some(report) = object.verify(&mut |_| go_on())?
        {
            layers = report.readable_layers();
            verified = true;
        }
        let chunks = object.chunk_count()?;
        layers = layers.min(object.layers_of(chunks.have));
        let checked = Checked {
            stamp,
            at: Instant::now(),
            everything: verified,
            chunks,
            whole: layers >= object.descriptor().layers.len(),
            damage: object.damage(),
        };
        self.checked.lock().put(key, checked.clone());
        Ok(checked)
    }
}

impl Store {
    /// State of a file of a solid directory. What is left of its object decides, and where that is not everything,
    /// whether the file itself can still be read. `parent`: the directory that it is in.
    pub(crate) fn status_of_member(
        &self,
        parent: &Arc<Node>,
        member: &Member,
        everything: bool,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<FileStatus> {
        let (object, path) = self.object_around(parent)?;
        let object = object.unwrap_or_else(|| Arc::clone(member.solid().object()));
        let checked = self.nodes.solids.check(&object, everything, go_on)?;
        if everything {
            self.note_damage(&object);
        }
        let codec = object.codec().map_or("unknown", Codec::name);
        let layout = match object.layout() {
            Layout::Packed => "packed",
            Layout::Spread => "spread",
        };
        let ChunkCount { need, total, .. } = checked.chunks;
        Ok(FileStatus {
            state: if checked.whole || is_readable(member) {
                State::Exact
            } else {
                State::Lost
            },
            codec: codec.to_owned(),
            size: member.size(),
            stored: member.stored(),
            chunks: checked.chunks,
            quality_db: None,
            reason: format!(
                "in the solid directory {}: {codec}, {layout}, exact from any {need} of {total} chunks",
                path.display(),
            ),
            damage: checked.damage,
        })
    }

    /// State of a solid directory whose table cannot be read: of what is in it nothing is known. `None` for every other
    /// directory.
    ///
    /// # Errors
    /// As [`Store::status`].
    pub fn lost_directory(&self, ino: u64) -> Result<Option<FileStatus>> {
        let node = self.nodes.get(ino)?;
        let Some(link) = node.link() else {
            return Ok(None);
        };
        let what = match self.dir(&node) {
            Err(Error::Damaged { what, .. }) => what,
            Err(Error::Format { source, .. }) => source.to_string(),
            _ => return Ok(None),
        };
        let dir = self.dir(&link.parent)?;
        let found = locate::encoded(&dir, &link.name, self.seen())?;
        let Some(Found::Solid { object, .. }) = found else {
            return Ok(None);
        };
        let mut damage = object.damage();
        damage.push(what);
        Ok(Some(FileStatus {
            state: State::Lost,
            codec: object.codec().map_or("unknown", Codec::name).to_owned(),
            size: object.descriptor().size,
            stored: object.stored_bytes(),
            chunks: object.chunk_count()?,
            quality_db: None,
            reason: "a solid directory, of which nothing can be read".to_owned(),
            damage,
        }))
    }

    /// The object that the directory `node` lies in, as it is on disk now, and the path of what it is shown as.
    fn object_around(&self, node: &Arc<Node>) -> Result<(Option<Arc<Object>>, std::path::PathBuf)> {
        let Some((top, _)) = self.top_of(node)? else {
            return Ok((None, std::path::PathBuf::new()));
        };
        let link = top.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let found = locate::encoded(&dir, &link.name, self.seen())?;
        let object = match found {
            Some(Found::Solid { object, .. }) => Some(object),
            _ => None,
        };
        Ok((object, top.path().unwrap_or_default()))
    }
}

/// Whether every byte of a file can be read.
fn is_readable(member: &Member) -> bool {
    let mut buf = vec![0; 256 << 10];
    let mut at = 0;
    while at < member.size() {
        match member.read(at, &mut buf) {
            Ok(read) if read > 0 => at += read as u64,
            _ => return false,
        }
    }
    true
}
