//! The one table of exit codes, and failures on their way to it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::format::FormatError;
use crate::fs;
use crate::integrity::scrub::Verdict;
use crate::store::Error;

/// Exit codes; scripts rely on them. 14 (authentication failed) is reserved for network commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Code {
    /// Done.
    Ok = 0,
    /// An error without a code of its own.
    Error = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// Done, but some files were skipped (and named).
    Skipped = 3,
    /// Damage was found that the protection covers.
    Recoverable = 4,
    /// Some files can be read at reduced quality only.
    Reduced = 5,
    /// Some content cannot be read at all.
    Lost = 6,
    /// No store here; also: nothing there.
    NoStore = 10,
    /// Another process has the store open for writing.
    Locked = 11,
    /// Made by a newer version.
    Newer = 12,
    /// SIGINT.
    Interrupted = 130,
}

impl Code {
    /// How bad it is; of two the worse becomes the exit code.
    fn rank(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Skipped => 1,
            Self::Recoverable => 2,
            Self::Reduced => 3,
            Self::Lost => 4,
            Self::Error => 5,
            Self::NoStore => 6,
            Self::Usage => 7,
            Self::Locked => 8,
            Self::Newer => 9,
            Self::Interrupted => 10,
        }
    }

    /// The worse of two.
    pub(super) fn and(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    /// The code of this number; `Error` for numbers that are none.
    pub(super) fn from_number(number: u8) -> Self {
        [
            Self::Ok,
            Self::Usage,
            Self::Skipped,
            Self::Recoverable,
            Self::Reduced,
            Self::Lost,
            Self::NoStore,
            Self::Locked,
            Self::Newer,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|code| *code as u8 == number)
        .unwrap_or(Self::Error)
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl From<Verdict> for Code {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Ok,
            Verdict::Recoverable => Self::Recoverable,
            Verdict::Reduced => Self::Reduced,
            Verdict::Lost => Self::Lost,
        }
    }
}

/// A command that ends with an error: code, what to print, what to try.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) file: Option<PathBuf>,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

/// How a verb ends.
pub(super) type Outcome = Result<Code, Failure>;

impl Failure {
    /// An error of code `code` about `file`.
    pub(super) fn new(code: Code, file: &Path, what: impl Into<String>) -> Self {
        Self {
            code,
            file: Some(file.to_owned()),
            what: what.into(),
            hint: None,
        }
    }

    /// An I/O error about `file`.
    pub(super) fn io(file: &Path, e: &io::Error) -> Self {
        let code = match e.kind() {
            io::ErrorKind::NotFound => Code::NoStore,
            _ => Code::Error,
        };
        Self::new(code, file, plain(e))
    }

    /// An error of the store about `file`, which is named unless the error names a file itself.
    pub(super) fn store(file: &Path, e: &Error) -> Self {
        let code = match e {
            Error::NoStore { .. } | Error::NotFound => Code::NoStore,
            Error::Locked { .. } => Code::Locked,
            Error::Newer { .. }
            | Error::Format {
                source: FormatError::Newer(_),
                ..
            } => Code::Newer,
            Error::Damaged { .. } | Error::Format { .. } => Code::Lost,
            Error::Io(e) => return Self::io(file, e),
            _ => Code::Error,
        };
        let named = matches!(
            e,
            Error::NoStore { .. }
                | Error::Locked { .. }
                | Error::Newer { .. }
                | Error::Policy { .. }
        );
        let what = match e {
            Error::Damaged { what, .. } => what.clone(),
            e => e.to_string(),
        };
        let hint = match e {
            Error::NoStore { .. } => Some("`holofs init DIR` makes a directory a store"),
            Error::Locked { .. } => {
                Some("`mount -o ro` works beside a writer; or use its mount point")
            }
            _ => None,
        };
        Self {
            code,
            file: (!named).then(|| file.to_owned()),
            what,
            hint: hint.map(str::to_owned),
        }
    }

    /// A store that cannot be mounted. Its text names the mount point, and what to try on a line of its own.
    pub(super) fn mount(e: &fs::Error) -> Self {
        let text = e.to_string();
        let (what, hint) = match text.split_once("\nhint: ") {
            Some((what, hint)) => (what, Some(hint.to_owned())),
            None => (text.as_str(), None),
        };
        Self {
            code: Code::Error,
            file: None,
            what: what.to_owned(),
            hint,
        }
    }

    /// Adds what to try.
    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// SIGINT.
    pub(super) fn interrupted() -> Self {
        Self {
            code: Code::Interrupted,
            file: None,
            what: "interrupted".to_owned(),
            hint: None,
        }
    }
}

/// An I/O error in words, without "(os error N)", beginning in lower case.
pub(super) fn plain(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    // "I/O error" and the like keep their capitals.
    if chars.clone().next().is_some_and(char::is_lowercase) {
        first.chain(chars).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_code_wins() {
        let all = [Code::Ok, Code::Skipped, Code::Lost, Code::Recoverable];
        let worst = all.into_iter().fold(Code::Ok, Code::and);
        assert_eq!(worst, Code::Lost);
        assert_eq!(Code::Lost.and(Code::Error), Code::Error);
        assert_eq!(Code::from_number(11), Code::Locked);
        assert_eq!(Code::from_number(99), Code::Error);
    }

    #[test]
    fn system_errors_read_like_ours() {
        let text = |number| plain(&io::Error::from_raw_os_error(number));
        assert_eq!(text(2), "no such file or directory");
        assert_eq!(text(28), "no space left on device");
    }
}
