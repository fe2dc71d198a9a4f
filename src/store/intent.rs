//! Intents: what must leave the tree once its successor is in place, written down first.
//!
//! An intent says "in directory D the entry L, which is the inode I, is to leave, provided that the entry W is the
//! inode J". It is replayed at the next mount and applied only where every identity matches exactly, so a copy of
//! the store, in which all inodes are others, is never changed by it. Identities are (device, inode, birth time):
//! unlike the change time these survive the rename that the intent is about.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::disk::{self, Dir, Meta};
use super::locate::{Seen, open_subdir};
use super::node::Identity;
use super::own::Own;
use super::solid::Solids;
use super::{Error, Result};

/// Longest intent file that is read.
const LIMIT: u64 = 1 << 20;

/// An entry of a directory and what it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    name: Vec<u8>,
    dev: u64,
    ino: u64,
    born: (i64, u32),
}

impl Entry {
    /// The entry `name`, being what `meta` says.
    pub(crate) fn new(name: &OsStr, meta: &Meta) -> Self {
        let Identity { dev, ino, born } = meta.into();
        Self {
            name: name.as_bytes().to_vec(),
            dev,
            ino,
            born,
        }
    }

    fn name(&self) -> OsString {
        OsString::from_vec(self.name.clone())
    }

    /// Whether `dir` has exactly this entry.
    fn matches(&self, dir: &dyn Dir) -> Result<bool> {
        let meta = disk::meta_if_there(dir, &self.name())?;
        Ok(meta.is_some_and(|meta| {
            Identity::from(&meta)
                == Identity {
                    dev: self.dev,
                    ino: self.ino,
                    born: self.born,
                }
        }))
    }
}

/// One change under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// Logical names from the root of the store to the directory.
    dir: Vec<Vec<u8>>,
    /// What must be there for the loser to leave.
    winner: Option<Entry>,
    /// What is to leave.
    loser: Entry,
}

impl Intent {
    /// In the directory at `path`, `loser` is to leave once `winner` is there.
    pub(crate) fn new(path: &[OsString], winner: Option<Entry>, loser: Entry) -> Self {
        Self {
            dir: path.iter().map(|n| n.as_bytes().to_vec()).collect(),
            winner,
            loser,
        }
    }

    /// Writes it down durably; returns its name for [`done`].
    pub(crate) fn write(&self, own: &Own) -> Result<OsString> {
        let name = own.fresh(own.intent.as_ref(), "i");
        let text = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        let file = own.intent.create(&name, 0o600, 0)?;
        let written = file
            .write_at(&text, 0)
            .and_then(|()| file.sync(true))
            .and_then(|()| own.intent.sync());
        if let Err(e) = written {
            withdraw(own, &name);
            return Err(e.into());
        }
        Ok(name)
    }

    /// Applies it if all identities match.
    fn replay(&self, root: &Arc<dyn Dir>, own: &Own) -> Result<bool> {
        let mut dir = Arc::clone(root);
        for part in &self.dir {
            let name = OsStr::from_bytes(part);
            match open_subdir(&dir, name, Seen::default(), &Solids::default()) {
                Ok(inner) => dir = inner,
                Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        let won = match &self.winner {
            Some(winner) => winner.matches(dir.as_ref())?,
            None => true,
        };
        // Where the loser has left already, that must be as durable as the end of the intent.
        dir.sync()?;
        if !(won && self.loser.matches(dir.as_ref())?) {
            return Ok(false);
        }
        own.discard(dir.as_ref(), &self.loser.name())?;
        dir.sync()?;
        Ok(true)
    }
}

/// Removes an intent whose change is complete and durable.
pub(crate) fn done(own: &Own, name: &OsStr) {
    if let Err(e) = own.intent.unlink(name) {
        log::warn!(
            ".holofs/intent/{}: {e}; it no longer applies",
            name.display()
        );
    }
}

/// Removes an intent whose change did not happen, durably: what it names stays where it is, and may yet come to the
/// place from which it was to leave.
pub(crate) fn withdraw(own: &Own, name: &OsStr) {
    done(own, name);
    if let Err(e) = own.intent.sync() {
        log::warn!(".holofs/intent/{}: {e}", name.display());
    }
}

/// Replays and removes all intents.
pub(crate) fn replay_all(root: &Arc<dyn Dir>, own: &Own) -> Result<()> {
    let entries = own.intent.list()?;
    for entry in &entries {
        let shown = Path::new(".holofs/intent").join(&entry.name);
        match read(own, &entry.name) {
            Ok(intent) => {
                let applied = intent.replay(root, own)?;
                log::info!("{}: applied: {applied}", shown.display());
            }
            // Torn by the crash before it was synced: then nothing that it announces had begun.
            Err(e) => log::info!("{}: {e}; incomplete, nothing to do", shown.display()),
        }
        done(own, &entry.name);
    }
    if !entries.is_empty() {
        own.intent.sync()?; // for the reason that `withdraw` gives
    }
    Ok(())
}

fn read(own: &Own, name: &OsStr) -> Result<Intent> {
    let file = own.intent.open(name, disk::Access::Read)?;
    let size = file.meta()?.size.min(LIMIT);
    let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
    disk::read_exact_at(file.as_ref(), &mut text, 0)?;
    Ok(serde_json::from_slice(&text).map_err(std::io::Error::from)?)
}
