//! The policy file `.holofs/store.toml`: how each file is kept, by rules over its path and size.
//!
//! Nothing in the file is needed. For one file the built-in values come first, then `[defaults]`, then the built-in
//! plain list (`builtin.rs`), then every matching `[[rule]]` in order; each sets the keys it names, so the last one
//! wins key by key. Globs match the logical path from the root of the store, ASCII letters in either case; one
//! without a slash matches names in any directory, one that ends in a slash all below that directory; `*` and `?`
//! stop at slashes, `**` does not.

mod builtin;
mod file;
mod values;

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use globset::GlobSet;

use super::disk::{Access, Dir, read_exact_at};
use super::{Degraded, Error, names};
use crate::codec::{Effort, Medium};
use crate::hologram::Profile;
pub use values::{duration, size};

/// The highest version of the file that this program reads.
pub const VERSION: u64 = 1;

/// Longest policy file that is read.
const MOST_TEXT: u64 = 1 << 20;

/// The codecs that a policy may name besides `auto` and `plain`.
pub const CODECS: &[&str] = &[
    "stored", "image", "jpeg", "video", "audio", "template", "noise", "neural",
];

/// Why a policy file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not a valid policy.
    #[error("line {line}: {what}")]
    Invalid {
        /// Line in the file, from 1.
        line: usize,
        /// The key and what is wrong with it.
        what: String,
    },
    /// Written for a newer program; the version it says.
    #[error("policy version {0} is newer than {VERSION}, the newest this program reads")]
    Newer(u64),
}

/// Which codec a file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CodecChoice {
    /// By content and measured size.
    #[default]
    Auto,
    /// None: the file is kept as itself.
    Plain,
    /// This one, a name of [`CODECS`].
    Named(&'static str),
}

/// How a file is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProfileChoice {
    /// Standard for pictures, sound, video and dictionaries, light for the rest.
    #[default]
    Auto,
    /// This one.
    Named(Profile),
}

/// How the chunks of a file lie on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LayoutChoice {
    /// By encoded size.
    #[default]
    Auto,
    /// All in one file.
    Packed,
    /// One file per chunk in a directory.
    Spread,
}

/// What degraded files give, by what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DegradedBy {
    /// Still pictures.
    pub image: Degraded,
    /// Sound.
    pub sound: Degraded,
    /// Moving pictures.
    pub video: Degraded,
    /// Anything else.
    pub other: Degraded,
}

impl DegradedBy {
    /// The same for everything.
    #[must_use]
    pub fn all(choice: Degraded) -> Self {
        Self {
            image: choice,
            sound: choice,
            video: choice,
            other: choice,
        }
    }

    /// What a degraded file that holds `medium` gives.
    #[must_use]
    pub fn of(&self, medium: Medium) -> Degraded {
        match medium {
            Medium::Image => self.image,
            Medium::Sound => self.sound,
            Medium::Video => self.video,
            Medium::Other => self.other,
        }
    }
}

impl Default for DegradedBy {
    fn default() -> Self {
        Self {
            other: Degraded::Refuse,
            ..Self::all(Degraded::Serve)
        }
    }
}

/// When and how the background encoder works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encode {
    /// How long a file must be closed before it is encoded.
    pub quiet: Duration,
    /// How long the decoded copy stays beside a fresh set.
    pub linger: Duration,
    /// Encoding threads, 1 to 256.
    pub threads: u16,
}

impl Default for Encode {
    fn default() -> Self {
        Self {
            quiet: Duration::from_mins(5),
            linger: Duration::from_hours(1),
            threads: 1,
        }
    }
}

/// What decided the codec of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `[defaults]`, or nothing at all.
    Defaults,
    /// A `[[rule]]`; its line in the policy file, from 1.
    Rule(usize),
    /// The built-in plain list; what the file is taken for.
    BuiltIn(&'static str),
    /// The file is smaller than `min_size` bytes.
    Small(u64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => write!(f, "defaults"),
            Self::Rule(line) => write!(f, "rule at line {line} of store.toml"),
            Self::BuiltIn(what) => write!(f, "{what}, plain unless a rule names a codec"),
            Self::Small(0) => write!(f, "empty"),
            Self::Small(min) => write!(f, "smaller than min_size ({min} bytes)"),
        }
    }
}

/// How one file is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Codec.
    pub codec: CodecChoice,
    /// Protection.
    pub profile: ProfileChoice,
    /// Layout of the chunks.
    pub layout: LayoutChoice,
    /// Work an encoder may spend.
    pub effort: Effort,
    /// Whether lossy codecs may be used.
    pub lossy: bool,
    /// What the file gives when degraded.
    pub degraded: DegradedBy,
    /// What decided `codec`.
    pub reason: Reason,
}

/// The keys that one `[defaults]` or `[[rule]]` names.
#[derive(Debug, Clone, Copy, Default)]
struct Keys {
    codec: Option<CodecChoice>,
    profile: Option<ProfileChoice>,
    layout: Option<LayoutChoice>,
    effort: Option<Effort>,
    lossy: Option<bool>,
    min_size: Option<u64>,
    degraded: Option<Degraded>,
}

/// A rule: its keys, and what to call it.
#[derive(Debug, Clone, Copy)]
struct Rule {
    reason: Reason,
    keys: Keys,
}

/// A policy file, read.
#[derive(Debug, Clone)]
pub struct Policy {
    /// When and how the background encoder works.
    pub encode: Encode,
    /// Budget of the decoded cache in bytes; by free space when absent.
    pub cache_size: Option<u64>,
    degraded: DegradedBy,
    defaults: Keys,
    /// All globs of all rules, the built-in ones first.
    globs: GlobSet,
    /// For each glob the index of its rule in `rules`.
    rule_of: Vec<usize>,
    rules: Vec<Rule>,
}

impl Default for Policy {
    fn default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the empty policy is valid, and a test reads it"
        )]
        Self::parse("").expect("the empty policy is valid")
    }
}

impl Policy {
    /// Reads the text of a policy file.
    ///
    /// # Errors
    /// [`PolicyError::Newer`] when the version says so, whatever else the file holds; [`PolicyError::Invalid`] for
    /// TOML errors, unknown keys and values out of range.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        file::parse(text)
    }

    /// Reads the policy file of a store; without one (a copy made without it) everything is at its default.
    ///
    /// # Errors
    /// [`Error::Policy`] and [`Error::Newer`] name the file and the line.
    pub(crate) fn load(own: &dyn Dir, shown: &Path) -> Result<Self, Error> {
        let file = match own.open(OsStr::new(names::POLICY), Access::Read) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened?,
        };
        let refused = |what: String| Error::Policy {
            path: shown.to_owned(),
            what,
        };
        let size = file.meta()?.size;
        if size > MOST_TEXT {
            return Err(refused(format!("{size} bytes, more than {MOST_TEXT}")));
        }
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        read_exact_at(file.as_ref(), &mut text, 0)?;
        let text = String::from_utf8(text).map_err(|e| refused(e.to_string()))?;
        Self::parse(&text).map_err(|e| match e {
            PolicyError::Invalid { .. } => refused(e.to_string()),
            PolicyError::Newer(_) => Error::Newer {
                path: shown.to_owned(),
                what: e.to_string(),
            },
        })
    }

    /// The file that a new store gets: the version, and everything else as comments.
    #[must_use]
    pub fn default_text() -> &'static str {
        include_str!("policy/default.toml")
    }

    /// How the file at `path` (logical, relative to the root of the store) of `size` bytes is to be kept.
    #[must_use]
    pub fn decide(&self, path: &Path, size: u64) -> Decision {
        let mut decision = Decision {
            codec: CodecChoice::Auto,
            profile: ProfileChoice::Auto,
            layout: LayoutChoice::Auto,
            effort: Effort::Normal,
            lossy: false,
            degraded: self.degraded,
            reason: Reason::Defaults,
        };
        let mut min_size = builtin::MIN_SIZE;
        let mut profile_named = false;
        let mut apply = |keys: &Keys, reason: Reason| {
            if let Some(codec) = keys.codec {
                decision.codec = codec;
                decision.reason = reason;
            }
            if let Some(profile) = keys.profile {
                decision.profile = profile;
                profile_named = matches!(reason, Reason::Rule(_)) && profile != ProfileChoice::Auto;
            }
            decision.layout = keys.layout.unwrap_or(decision.layout);
            decision.effort = keys.effort.unwrap_or(decision.effort);
            decision.lossy = keys.lossy.unwrap_or(decision.lossy);
            decision.degraded = keys.degraded.map_or(decision.degraded, DegradedBy::all);
            min_size = keys.min_size.unwrap_or(min_size);
        };

        apply(&self.defaults, Reason::Defaults);
        if size > builtin::MAX_SIZE {
            apply(&Keys::plain(), Reason::BuiltIn("more than 16 GiB"));
        }
        // Several globs of one rule may match; applying a rule twice in a row changes nothing.
        for glob in self.globs.matches(path) {
            let rule = self.rule_of.get(glob).and_then(|&at| self.rules.get(at));
            if let Some(rule) = rule {
                apply(&rule.keys, rule.reason);
            }
        }

        let small = size < min_size && !profile_named;
        if decision.codec != CodecChoice::Plain && (small || size == 0) {
            decision.codec = CodecChoice::Plain;
            decision.reason = Reason::Small(if size == 0 { 0 } else { min_size });
        }
        decision
    }
}

impl Keys {
    fn plain() -> Self {
        Self {
            codec: Some(CodecChoice::Plain),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
