//! Contexts: the names under which a file with variants shows one of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// The context that counts where no other is asked for.
pub const DEFAULT: &str = "DEFAULT";
/// Bytes of the longest name.
const LONGEST: usize = 64;

/// Names remembered.
const MOST_MET: usize = 1024;

/// What the name of a context may be, in words.
pub const RULE: &str = "must be a name of 1 to 64 bytes without '/' and control characters";

/// A context: [`DEFAULT`], or one with a name that can be that of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Context(Option<Arc<str>>);

impl Context {
    /// The context of this name; `None` for what is no name of one (see [`RULE`]).
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=LONGEST).contains(&name.len())
            && !name.contains(|c: char| c == '/' || c.is_control())
            && !matches!(name, "." | "..");
        let named = (name != DEFAULT).then(|| name.into());
        fits.then_some(Self(named))
    }

    /// The same for the name of a directory.
    #[must_use]
    pub fn of_dir(name: &OsStr) -> Option<Self> {
        Self::new(name.to_str()?)
    }

    /// Its name, where it is not [`DEFAULT`].
    #[must_use]
    pub fn named(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.named().unwrap_or(DEFAULT))
    }
}

/// Names of contexts met since the store was opened: what a listing of them can show without looking for more.
#[derive(Debug, Default)]
pub(crate) struct Met(Mutex<BTreeSet<Context>>);

impl Met {
    /// Notes those that can be looked into.
    pub(crate) fn note<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut met = self.0.lock();
        for context in names.into_iter().filter_map(Context::new) {
            if met.len() < MOST_MET && context.named().is_some() {
                met.insert(context);
            }
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeSet<Context> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_those_of_directories() {
        let longest = "n".repeat(64);
        for name in ["TEXT", "a", "de\u{300}v", "a,b", " ", "...", &longest] {
            let context = Context::new(name);
            assert_eq!(context.as_ref().and_then(Context::named), Some(name));
            assert_eq!(context.map(|c| c.to_string()).as_deref(), Some(name));
        }
        assert_eq!(Context::new(DEFAULT), Some(Context::default()));
        assert_eq!(Context::default().to_string(), DEFAULT);
        let long = "n".repeat(65);
        for name in [
            "", ".", "..", "a/b", "a\0", "a\n", "\u{7f}", "\u{85}", &long,
        ] {
            assert_eq!(Context::new(name), None, "{name:?}");
        }
    }
}
