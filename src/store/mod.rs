//! The store: names, representations and what changes them; a filesystem without a kernel.
//!
//! [`Store`] is what the mounted view, the commands and the tests call. Inode numbers are the caller's only
//! handles on things: each successful [`Store::lookup`] or creation takes one reference, [`Store::forget`] gives
//! references back, [`Store::open`] takes an open count, [`Store::release`] gives it back.

mod attrs;
mod build;
mod cache;
mod context;
mod crawl;
pub mod ctl;
mod describe;
mod dictionaries;
pub mod disk;
mod encode;
mod error;
mod families;
pub(crate) mod foreign;
mod handles;
mod init;
mod intent;
mod locate;
mod lock;
mod look;
mod names;
mod node;
mod object;
mod ops;
pub mod outside;
mod overlays;
mod own;
mod pairs;
pub mod policy;
mod predecessors;
mod promote;
mod quality;
mod ranges;
mod rename;
mod solid;
mod state;
mod status;
mod switch;
mod tree;
mod variants;
mod verify;
pub mod walk;
mod worker;

use std::ffi::OsString;
use std::sync::Arc;

use crate::format::Time;
pub use context::{Context, DEFAULT, RULE};
pub use describe::{Described, DescribedLayer};
pub use dictionaries::DictionaryStatus;
pub use disk::{Kind, Seek, SetTimes, Space, XattrMode};
pub use error::{Error, Result};
pub use init::{Adopted, init, init_on, is_interrupted};
pub use look::Look;
pub use tree::{Counters, Store};
pub use variants::VariantStatus;

/// Inode number of the root directory.
pub const ROOT: u64 = 1;

/// A logical inode as programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// Logical inode number: survives encoding, promotion and remounting.
    pub ino: u64,
    /// Kind.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Hard links.
    pub nlink: u32,
    /// Logical size in bytes, whatever is stored.
    pub size: u64,
    /// Stored 512-byte blocks.
    pub blocks: u64,
    /// Last access.
    pub atime: Time,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Device number of a device node.
    pub rdev: u64,
    /// Whether the file is open for writing now: its size and times may change under any cache.
    pub writing: bool,
}

/// One name of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Logical name.
    pub name: OsString,
    /// Logical inode number, where listing had to find it out; else [`Store::item_ino`] does.
    pub ino: Option<u64>,
    /// Kind.
    pub kind: Kind,
}

/// On whose behalf something is created or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caller {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The process's umask.
    pub umask: u32,
}

/// Changes of attributes; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetAttr {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size.
    pub size: Option<u64>,
    /// Times.
    pub times: SetTimes,
    /// Clear set-id bits as a write by an unprivileged user does.
    pub kill_privileges: bool,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenHow {
    /// For writing (reading is always possible).
    pub write: bool,
    /// Cut to length 0.
    pub truncate: bool,
    /// Clear set-id bits when `truncate` changes the file.
    pub kill_privileges: bool,
}

/// What [`Store::open`] returns.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The file that holds the bytes now, where there is one: plain, lingering or cached. It stays the right file
    /// to pass reads (and, opened for writing, writes) to for as long as the inode is open. `None`: the content is
    /// decoded by [`Store::read`].
    pub file: Option<Arc<dyn disk::File>>,
    /// Whether cached pages of an earlier open still hold.
    pub keep_cache: bool,
    /// Whether the kernel may pass reads and writes through to `file`: not where a write by somebody unprivileged
    /// must clear set-id bits or a security.capability first.
    pub through: bool,
}

/// How [`Store::rename`] treats an existing target.
pub use disk::Rename;

/// What a degraded file gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Degraded {
    /// The best that can be decoded, declared as such.
    Serve,
    /// An I/O error.
    Refuse,
}

/// How a store is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Change nothing, take no lock.
    pub read_only: bool,
    /// Overrides the policy's `degraded` for every kind of file.
    pub degraded: Option<Degraded>,
    /// Use at most so many chunks of each set, as a partial copy of the store would.
    pub chunks: Option<u16>,
    /// Budget of the decoded cache in bytes.
    pub cache_size: Option<u64>,
    /// Where decoded files of a read-only mount are kept; memory when absent.
    pub cache_dir: Option<std::path::PathBuf>,
    /// Start the background worker (a mount does; offline commands do not).
    pub worker: bool,
    /// What becomes of samples of another program's sound that lie beyond their range.
    pub sums: crate::foreign::Sums,
    /// Which variant of files that have several is shown.
    pub context: Context,
}

/// What a view of a store does not have in common with the store itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Aspect {
    /// At most so many chunks of each set are used.
    Chunks(u8),
    /// Files are shown in this context.
    Context(Context),
}

/// State of a file in `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Kept as itself.
    Plain,
    /// Plain, and going to be encoded.
    Pending,
    /// Encoded, everything there for an exact read.
    Exact,
    /// Encoded, readable at reduced quality only.
    Degraded,
    /// Encoded, not readable.
    Lost,
}

/// Chunks of a set: usable, needed for an exact read, made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ChunkCount {
    /// Usable now.
    pub have: u16,
    /// Needed for an exact read.
    pub need: u16,
    /// Made.
    pub total: u16,
}

/// One regular file in `status`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FileStatus {
    /// State.
    pub state: State,
    /// Codec name, "plain" for plain files.
    pub codec: String,
    /// Logical size in bytes.
    pub size: u64,
    /// Bytes on disk, parity included.
    pub stored: u64,
    /// Chunks; zeros for plain files.
    pub chunks: ChunkCount,
    /// Estimated PSNR in dB when degraded.
    pub quality_db: Option<f64>,
    /// Why the file is kept as it is, in words.
    pub reason: String,
    /// Damage seen so far that the protection covers, in words; empty when none.
    pub damage: Vec<String>,
}

/// What `settle` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Settled {
    /// Files encoded.
    pub encoded: u64,
    /// Files kept plain by choice.
    pub kept: u64,
    /// Files that could not be encoded (disk full, read errors); they stay plain.
    pub failed: u64,
}
