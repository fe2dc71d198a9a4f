//! What a plain file remembers of its life as an encoded one, in one extended attribute.
//!
//! Nothing here is essential: without it (a copy made without extended attributes) a file that was encoded once
//! shows another inode number, and one that did not shrink is tried once more.

use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use super::disk::{Dir, File, Meta, XattrMode};
use super::node::Identity;
use crate::format::Time;

/// Name of the attribute; `user.holofs.*` is never listed.
pub(crate) const XATTR: &str = "user.holofs.state";

/// Prefix of all attributes that are ours.
pub(crate) const OURS: &[u8] = b"user.holofs.";

/// The attribute's content, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Logical inode number, where it is not that of the native inode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ino: Option<u64>,
    /// Generation of the last set made of this file.
    #[serde(default)]
    pub(crate) generation: u32,
    /// How often it was opened for writing after it had been encoded; each doubles the quiet time.
    #[serde(default)]
    pub(crate) promotions: u32,
    /// Why encoding was tried and dropped, and of which content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Kept>,
}

/// A reason that holds for one content under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The reason, for `why`.
    pub(crate) reason: String,
    /// Size of the content it was found for.
    pub(crate) size: u64,
    /// Its modification time.
    pub(crate) mtime: (i64, u32),
    /// The settings it was found under.
    pub(crate) settings: String,
}

impl Kept {
    /// Whether it is about this content and these settings.
    pub(crate) fn holds(&self, meta: &Meta, settings: &str) -> bool {
        let mtime = Time {
            secs: self.mtime.0,
            nanos: self.mtime.1,
        };
        self.size == meta.size && mtime == meta.mtime && self.settings == settings
    }
}

impl State {
    /// Of the plain file `name`; the default where there is none or it cannot be read.
    pub(crate) fn of(dir: &dyn Dir, name: &OsStr) -> Self {
        dir.xattr(name, OsStr::new(XATTR))
            .map_or_else(|_| Self::default(), |raw| Self::parse(&raw))
    }

    /// Of an open plain file.
    pub(crate) fn of_file(file: &dyn File) -> Self {
        file.xattr(OsStr::new(XATTR))
            .map_or_else(|_| Self::default(), |raw| Self::parse(&raw))
    }

    pub(crate) fn parse(raw: &[u8]) -> Self {
        serde_json::from_slice(raw).unwrap_or_default()
    }

    /// Writes it to a plain file, as far as the medium keeps attributes.
    pub(crate) fn save(&self, file: &dyn File) {
        let Ok(text) = serde_json::to_vec(self) else {
            return;
        };
        if let Err(e) = file.set_xattr(OsStr::new(XATTR), &text, XattrMode::Any) {
            log::debug!("state of a plain file not kept: {e}");
        }
    }

    /// The logical inode number of a plain file.
    pub(crate) fn ino(&self, meta: &Meta) -> u64 {
        self.ino.unwrap_or_else(|| Identity::from(meta).logical())
    }
}
