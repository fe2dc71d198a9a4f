//! Files outside the store: arguments of commands, the mount table, processes, devices.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{self, Dir};
use super::names::OWN;

/// Longest file read whole: a mount table with ten thousand lines has about 2 MiB.
const READ_LIMIT: u64 = 64 << 20;

/// One line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Which directory of the mounted filesystem is seen there; `/` but for bind mounts.
    pub root: PathBuf,
    /// Filesystem type.
    pub kind: String,
    /// What is mounted: the store's directory for ours.
    pub source: PathBuf,
}

impl Mount {
    /// Whether holofs serves it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.kind == "fuse.holofs"
    }
}

/// Undoes the octal escapes (`\040`) of the kernel's tables.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = code {
            out.push(byte);
            rest = tail.get(3..).unwrap_or_default();
        } else {
            out.push(first);
            rest = tail;
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

/// Reads a mount table in the format of `proc_pid_mountinfo(5)`; lines that do not fit are left out.
fn parse_mounts(table: &[u8]) -> Vec<Mount> {
    let line = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let dash = fields.iter().position(|f| *f == b"-")?;
        Some(Mount {
            root: unescape(fields.get(3)?),
            point: unescape(fields.get(4)?),
            kind: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
            source: unescape(fields.get(dash + 2)?),
        })
    };
    table.split(|&b| b == b'\n').filter_map(line).collect()
}

/// The mount table of this process, in the order of mounting.
///
/// # Errors
/// When `/proc` is not there.
pub fn mounts() -> io::Result<Vec<Mount>> {
    Ok(parse_mounts(&read_file(Path::new("/proc/self/mountinfo"))?))
}

/// The mount seen at exactly this place (the last one, where several lie on each other).
///
/// # Errors
/// Those of [`mounts`].
pub fn mount_at(point: &Path) -> io::Result<Option<Mount>> {
    Ok(mounts()?.into_iter().rfind(|m| m.point == point))
}

/// The mount that a canonical path lies in.
///
/// # Errors
/// Those of [`mounts`].
pub fn mount_of(path: &Path) -> io::Result<Option<Mount>> {
    let inside = mounts()?.into_iter().filter(|m| path.starts_with(&m.point));
    // Of equally deep ones the later lies on top: `max_by_key` keeps the last.
    Ok(inside.max_by_key(|m| m.point.components().count()))
}

/// The path without symbolic links, `.` and `..`.
///
/// # Errors
/// Those of realpath(3).
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Like [`canonical`], but the last component may be absent or a dead mount.
///
/// # Errors
/// Those of realpath(3) on the parent.
pub fn canonical_but_last(path: &Path) -> io::Result<PathBuf> {
    canonical(path).or_else(|e| {
        let whole = std::path::absolute(path)?;
        match (whole.parent(), whole.file_name()) {
            (Some(parent), Some(name)) => Ok(canonical(parent)?.join(name)),
            _ => Err(e),
        }
    })
}

/// What there is at a path, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A directory.
    Dir,
    /// A mount whose daemon has ended.
    DeadMount,
    /// Anything else.
    Other,
}

/// Looks what there is at a path.
///
/// # Errors
/// Those of stat(2), but for "not there" and "not connected".
pub fn what_is_there(path: &Path) -> io::Result<There> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(There::Dir),
        Ok(_) => Ok(There::Other),
        Err(e) => match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(There::Nothing),
            io::ErrorKind::NotConnected => Ok(There::DeadMount),
            _ => Err(e),
        },
    }
}

/// Whether a directory has no entries.
///
/// # Errors
/// Those of opendir(3).
pub fn is_empty_dir(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.next().is_none())
}

/// Whether a directory is the root of a store.
#[must_use]
pub fn is_store(path: &Path) -> bool {
    fs::metadata(path.join(OWN)).is_ok_and(|meta| meta.is_dir())
}

/// The store that a path leads into, and the rest of the path: logical names that need not exist on disk.
///
/// The outermost one counts: whatever lies in a store belongs to it. `None` when there is none on the way.
#[must_use]
pub fn store_above(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let whole = std::path::absolute(path).ok()?;
    let mut above: Vec<&Path> = whole.ancestors().collect();
    above.reverse();
    let root = above.into_iter().find(|dir| is_store(dir))?;
    let rest = whole.strip_prefix(root).ok()?.to_owned();
    Some((canonical(root).ok()?, rest))
}

/// The handle on `.holofs` of a store.
///
/// # Errors
/// Those of opening the two directories.
pub fn ours(store: &Path) -> io::Result<Arc<dyn Dir>> {
    disk::open_root(store)?.dir(OsStr::new(OWN))
}

/// The processes that serve `store` at `point`, by their command line.
///
/// # Errors
/// When `/proc` is not there.
pub fn daemons(store: &Path, point: &Path) -> io::Result<Vec<i32>> {
    let serves = |pid: i32| {
        let args = arguments(pid).unwrap_or_default();
        [OsStr::new("--serve"), store.as_os_str(), point.as_os_str()]
            .iter()
            .all(|wanted| args.iter().any(|arg| arg == wanted))
    };
    let pids =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|&pid| serves(pid)).collect())
}

/// The command line of a process, empty when it has ended; `None` when there is no such process.
#[must_use]
pub fn arguments(pid: i32) -> Option<Vec<OsString>> {
    let line = read_file(Path::new(&format!("/proc/{pid}/cmdline"))).ok()?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let args = line.split(|&b| b == 0);
    Some(args.map(|arg| OsStr::from_bytes(arg).to_owned()).collect())
}

/// A whole small file.
///
/// # Errors
/// Those of reading, and `FileTooLarge` past 64 MiB.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path)?
        .take(READ_LIMIT + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > READ_LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Opens a file of any length for reading; symbolic links are followed.
///
/// # Errors
/// Those of open(2), and `IsADirectory`.
pub fn reader(path: &Path) -> io::Result<BufReader<fs::File>> {
    let file = fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// A file that takes its name only when all of it is there, as [`create`] makes it.
#[derive(Debug)]
pub struct NewFile {
    dir: Arc<dyn Dir>,
    name: OsString,
    temporary: OsString,
    file: Arc<dyn disk::File>,
    at: u64,
}

/// Begins a file that is to be `name` in `dir`, with the permissions that the umask leaves.
///
/// # Errors
/// Those of open(2).
pub fn create(dir: Arc<dyn Dir>, name: &OsStr) -> io::Result<NewFile> {
    let temporary = OsString::from(format!(".holofs-new-{}", std::process::id()));
    // There is no way to ask for it but to change it.
    let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    rustix::process::umask(umask);
    let file = dir.create(&temporary, 0o666, umask.as_raw_mode())?;
    Ok(NewFile {
        dir,
        name: name.to_owned(),
        temporary,
        file,
        at: 0,
    })
}

impl NewFile {
    /// Gives it its name, in place of another file only if `replace`. Durable on return.
    ///
    /// # Errors
    /// `AlreadyExists`, and those of fsync(2) and rename(2); then nothing of it is left.
    pub fn finish(self, replace: bool) -> io::Result<()> {
        self.file.sync(false)?;
        let how = if replace {
            disk::Rename::Replace
        } else {
            disk::Rename::NoReplace
        };
        self.dir
            .rename(&self.temporary, self.dir.as_ref(), &self.name, how)?;
        self.dir.sync()
    }
}

impl Write for NewFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write_at(buf, self.at)?;
        self.at += buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        self.dir.unlink(&self.temporary).ok(); // not there once it has its name
    }
}

/// Makes a directory and those above it.
///
/// # Errors
/// Those of mkdir(2).
pub fn make_dirs(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Whether a character device can be opened for reading and writing.
///
/// # Errors
/// Why not.
pub fn try_device(path: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.file_type().is_char_device() {
        return Err(io::Error::other("not a character device"));
    }
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map(drop)
}

/// The program of this name on `PATH`.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file()))
}

/// A file or directory named on a command line, as the seam sees it: the directory it lies in and its name there.
/// `None` as name: the path names a directory by `.`, `..` or a trailing `/.`, and the handle is that directory.
///
/// # Errors
/// Those of opening the directory.
pub fn argument(path: &Path) -> io::Result<(Arc<dyn Dir>, Option<OsString>)> {
    let dot = path.as_os_str().as_bytes().ends_with(b"/.");
    match path.file_name() {
        Some(name) if !dot => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            let dir = disk::open_root(parent.unwrap_or(Path::new(".")))?;
            Ok((dir, Some(name.to_owned())))
        }
        _ => Ok((disk::open_root(path)?, None)),
    }
}

/// Opens the subdirectory `name` of `dir`, which lies at `path`; unlike inside a store, it may be a mount point.
///
/// # Errors
/// Those of opening it.
pub fn subdir(dir: &dyn Dir, name: &OsStr, path: &Path) -> io::Result<Arc<dyn Dir>> {
    match dir.dir(name) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => disk::open_root(path),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::*;

    #[test]
    fn mount_table_lines_with_escapes_and_optional_fields() {
        let table = b"36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 master:2 - fuse.holofs /s\\134t\\012x rw,user_id=0\n\
            37 36 98:0 /sub /bind rw - ext4 /dev/root rw\nnonsense\n\n40 1 0:1 / /cut rw -\n";
        let mounts = parse_mounts(table);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].point, Path::new("/mnt/a b"));
        assert_eq!(mounts[0].source, Path::new("/s\\t\nx"));
        assert!(mounts[0].is_ours());
        assert_eq!(mounts[1].root, Path::new("/sub"));
        assert!(!mounts[1].is_ours());
    }

    #[test]
    fn the_outermost_store_on_the_way_counts_and_the_rest_need_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s");
        fs::create_dir_all(store.join(".holofs")).unwrap();
        fs::create_dir_all(store.join("inner/.holofs")).unwrap();
        let (root, rest) = store_above(&store.join("inner/gone/f")).unwrap();
        assert_eq!(root, canonical(&store).unwrap());
        assert_eq!(rest, Path::new("inner/gone/f"));
        assert!(store_above(dir.path()).is_none());
    }
}
