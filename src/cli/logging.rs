//! Where the log goes: standard error, or for a daemon a file in the store that stays small.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::sync::Arc;

use env_logger::{Builder, Target};
use log::LevelFilter;

use crate::store::disk::{Access, Dir, File, Rename};

const NAME: &str = "log";
const OLDER: &str = "log.1";

/// Past so many bytes the file becomes the older one, whose predecessor goes.
const LIMIT: u64 = 1 << 20;

/// Levels as asked for by `verbose` or `HOLOFS_LOG`.
fn builder(verbose: u8, quietest: LevelFilter) -> Builder {
    let level = match verbose {
        0 | 1 => quietest,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let mut builder = Builder::new();
    builder.filter_level(level);
    if level < LevelFilter::Debug {
        // It calls every request that a signal interrupted an error, and every ioctl that we do not have a warning.
        builder.filter_module("fuser", LevelFilter::Off);
    }
    builder.parse_env("HOLOFS_LOG");
    builder
}

/// Logs to standard error.
pub(super) fn to_stderr(verbose: u8) {
    // A second logger in one process: the first stays.
    drop(builder(verbose, LevelFilter::Warn).try_init());
}

/// Logs a daemon in the foreground to standard error, in more detail than a command.
pub(super) fn foreground(verbose: u8) {
    drop(builder(verbose, LevelFilter::Info).try_init());
}

/// Logs to `.holofs/log`.
pub(super) fn to_store(ours: Arc<dyn Dir>, verbose: u8) -> io::Result<()> {
    let file = open(&*ours)?;
    let target = Target::Pipe(Box::new(LogFile { ours, file }));
    drop(
        builder(verbose, LevelFilter::Info)
            .target(target)
            .try_init(),
    );
    Ok(())
}

/// The file, made if it is not there.
fn open(ours: &dyn Dir) -> io::Result<Arc<dyn File>> {
    let name = OsStr::new(NAME);
    match ours.open(name, Access::Write) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => ours.create(name, 0o600, 0o077),
        other => other,
    }
}

/// Appends, and begins anew when the file is long.
struct LogFile {
    ours: Arc<dyn Dir>,
    file: Arc<dyn File>,
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.append(bytes)? > LIMIT {
            let (name, older) = (OsStr::new(NAME), OsStr::new(OLDER));
            self.ours
                .rename(name, &*self.ours, older, Rename::Replace)?;
            self.file = open(&*self.ours)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::store::disk::open_root;

    #[test]
    fn the_log_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let ours = open_root(dir.path()).unwrap();
        let file = open(&*ours).unwrap();
        let mut log = LogFile { ours, file };
        let line = vec![b'x'; 1 << 16];
        for _ in 0..100 {
            log.write_all(&line).unwrap();
        }
        let size = |name| std::fs::metadata(dir.path().join(name)).unwrap().len();
        assert!(size(NAME) + size(OLDER) <= 2 * (LIMIT + 2 * (1 << 16)));
    }
}
