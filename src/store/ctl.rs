//! The control socket `.holofs/ctl`: how commands reach the process that writes to the store.
//!
//! Both sides speak JSON, one value a line. A client sends a [`Request`]; the daemon answers with any number of
//! [`Reply`]s, the last of which is `done` or `failed`; then the next request may follow. Only root, the daemon's own
//! user and the owner of the store are served. The transport knows nothing of what is asked: the daemon gives a
//! [`Handler`], and commands without a daemon call the same function.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{Shutdown, shutdown};
use serde::{Deserialize, Serialize};

use super::disk::Dir;
use super::names::CONTROL;
use super::{DictionaryStatus, Error, FileStatus, Result, Settled};

/// Longest line either side accepts: paths are at most 4 KiB, four characters a byte at worst.
const LINE_LIMIT: u64 = 1 << 20;

/// Connections served at a time; more are told to come again.
const CLIENTS: usize = 16;

/// Pause before accepting again after an error.
const RETRY: Duration = Duration::from_millis(200);

/// A path or name on the wire: text where it is UTF-8, else its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// Valid UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_bytes().to_owned()),
        }
    }
}

impl From<Name> for PathBuf {
    fn from(name: Name) -> Self {
        match name {
            Name::Text(text) => text.into(),
            Name::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

/// What can be asked of an open store. Paths are logical and relative to its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do")]
pub enum Request {
    /// Encode everything now.
    Settle,
    /// State of the regular files at and below a path.
    Status {
        /// The path.
        path: Name,
    },
    /// Like `Status`, after every stored unit of each file was read and checked.
    Scrub {
        /// The path.
        path: Name,
    },
    /// Make dictionaries of the regular files at and below some paths.
    Learn {
        /// The paths.
        paths: Vec<Name>,
    },
    /// All dictionaries; without those that no file needs.
    Dictionaries {
        /// Whether these are removed, after a day.
        collect: bool,
        /// Whether they are only said to be.
        dry_run: bool,
    },
    /// Bytes of a file that is to become a variant, kept for `AddVariant`: pieces in order.
    Piece {
        /// BLAKE3 of the whole file, in hexadecimal.
        content: String,
        /// Where they belong.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Give a regular file a variant.
    AddVariant {
        /// The path.
        path: Name,
        /// In which context.
        context: String,
        /// BLAKE3 of what was sent in pieces, in hexadecimal.
        content: String,
        /// Its last change: seconds and nanoseconds.
        mtime: (i64, u32),
    },
    /// Take a variant from a regular file.
    RemoveVariant {
        /// The path.
        path: Name,
        /// In which context.
        context: String,
    },
    /// The variants of a regular file.
    Variants {
        /// The path.
        path: Name,
    },
    /// Encode the regular files at and below a path anew.
    Convert {
        /// The path.
        path: Name,
        /// Codec, as policy names it.
        codec: Option<String>,
        /// Profile.
        profile: Option<String>,
        /// Layout.
        layout: Option<String>,
    },
    /// Keep a directory with all that is in it as one object.
    Freeze {
        /// The path.
        path: Name,
    },
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Reply {
    /// Work has come to this path.
    At {
        /// The path.
        path: Name,
    },
    /// One regular file.
    File {
        /// Its path.
        path: Name,
        /// Its state.
        status: FileStatus,
    },
    /// One file or directory that could not be looked at or changed.
    Skipped {
        /// Its path.
        path: Name,
        /// Why.
        what: String,
    },
    /// One dictionary.
    Dictionary(DictionaryStatus),
    /// One variant of a file.
    Variant {
        /// In which context.
        context: String,
        /// Bytes of it.
        size: u64,
        /// BLAKE3 of it in hexadecimal, once it is encoded.
        hash: Option<String>,
    },
    /// To `Settle`.
    Settled(Settled),
    /// The request could not be carried out; nothing follows.
    Failed {
        /// Which error, where a command acts on it.
        kind: Fault,
        /// The error in words.
        what: String,
    },
    /// The request has been carried out; nothing follows.
    Done,
}

/// Errors that commands tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// [`Error::NotFound`].
    Missing,
    /// [`Error::Damaged`].
    Damaged,
    /// Any other.
    Other,
}

impl From<&Error> for Reply {
    fn from(e: &Error) -> Self {
        let kind = match e {
            Error::NotFound => Fault::Missing,
            Error::Damaged { .. } => Fault::Damaged,
            _ => Fault::Other,
        };
        Self::Failed {
            kind,
            what: e.to_string(),
        }
    }
}

impl Fault {
    /// The error again, at the client's end.
    fn error(self, what: String) -> Error {
        match self {
            Self::Missing => Error::NotFound,
            Self::Damaged => Error::Damaged {
                name: String::new(),
                what,
            },
            Self::Other => Error::Io(io::Error::other(what)),
        }
    }
}

/// Carries out a request; the second argument takes the replies before the last and says whether to go on.
pub type Handler = dyn Fn(&Request, &mut dyn FnMut(Reply) -> bool) -> Result<()> + Send + Sync;

/// Where the socket lies: a path that is short however deep the store, and leads through the handle.
fn address(ours: &dyn Dir) -> io::Result<PathBuf> {
    let fd = ours.as_fd().ok_or(io::ErrorKind::Unsupported)?;
    Ok(format!("/proc/self/fd/{}/{CONTROL}", fd.as_raw_fd()).into())
}

/// Reads one line; `None` at the end of the stream.
fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = from.take(LINE_LIMIT).read_line(&mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop() != Some('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(line))
}

/// Writes one value as a line.
fn write_line(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    to.write_all(line.as_bytes())
}

/// What the threads of a server share.
struct Shared {
    handler: Box<Handler>,
    owner: u32,
    stopping: AtomicBool,
    clients: Mutex<Vec<(UnixStream, JoinHandle<()>)>>,
}

/// The daemon's end: a thread that accepts, and one for each connection.
pub struct Server {
    shared: Arc<Shared>,
    listener: Arc<UnixListener>,
    accepting: Option<JoinHandle<()>>,
    ours: Arc<dyn Dir>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Listens at `ours`/ctl. The caller holds the store's lock, so a socket that is there is a dead daemon's.
    ///
    /// # Errors
    /// Those of binding, e.g. a filesystem without sockets.
    pub fn start(ours: Arc<dyn Dir>, handler: Box<Handler>) -> io::Result<Self> {
        let name = OsStr::new(CONTROL);
        if let Err(e) = ours.unlink(name)
            && e.kind() != io::ErrorKind::NotFound
        {
            return Err(e);
        }
        let listener = Arc::new(UnixListener::bind(address(&*ours)?)?);
        let owner = ours.self_meta()?;
        if rustix::process::geteuid().is_root() {
            // A store that root has mounted for its owner.
            ours.set_owner(name, Some(owner.uid), Some(owner.gid))?;
        }
        // Until this is done the check of who asks keeps others out, as it does afterwards.
        ours.set_mode(name, 0o600)?;
        let shared = Arc::new(Shared {
            handler,
            owner: owner.uid,
            stopping: AtomicBool::new(false),
            clients: Mutex::new(Vec::new()),
        });
        let accepting = {
            let (shared, listener) = (Arc::clone(&shared), Arc::clone(&listener));
            thread::Builder::new()
                .name("ctl".into())
                .spawn(move || accept(&shared, &listener))?
        };
        Ok(Self {
            shared,
            listener,
            accepting: Some(accepting),
            ours,
        })
    }
}

impl Drop for Server {
    /// Ends what is being carried out at its next reply, waits for it, and removes the socket.
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        let stopped = shutdown(&*self.listener, Shutdown::Both).is_ok();
        if let Some(thread) = self.accepting.take().filter(|_| stopped) {
            drop(thread.join());
        }
        let clients = std::mem::take(&mut *self.shared.clients.lock());
        for (stream, thread) in clients {
            drop(stream.shutdown(std::net::Shutdown::Both));
            drop(thread.join());
        }
        if let Err(e) = self.ours.unlink(OsStr::new(CONTROL)) {
            log::warn!("control socket not removed: {e}");
        }
    }
}

/// Accepts until the listener is shut down.
fn accept(shared: &Arc<Shared>, listener: &UnixListener) {
    while !shared.stopping.load(Ordering::Acquire) {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            // Out of descriptors or the like: those who hold them go on, the queue waits.
            Err(e) if !shared.stopping.load(Ordering::Acquire) => {
                log::warn!("control socket: {e}");
                thread::sleep(RETRY);
                continue;
            }
            Err(_) => return,
        };
        let mut clients = shared.clients.lock();
        clients.retain(|(_, thread)| !thread.is_finished());
        if clients.len() >= CLIENTS {
            let busy = Reply::Failed {
                kind: Fault::Other,
                what: format!("{CLIENTS} commands are at work on this store, try again later"),
            };
            drop(write_line(&mut &stream, &busy));
            continue;
        }
        let Ok(kept) = stream.try_clone() else {
            continue;
        };
        let own = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name("ctl client".into())
            .spawn(move || {
                let stream = HangUp(stream);
                if let Err(e) = serve(&own, &stream.0) {
                    log::debug!("control socket: {e}");
                }
            });
        if let Ok(thread) = thread {
            clients.push((kept, thread));
        }
    }
}

/// Hangs up when dropped, also by a panic: the server holds another handle on the connection.
struct HangUp(UnixStream);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.shutdown(std::net::Shutdown::Both).ok(); // the client may have done so
    }
}

/// Serves one connection until the client hangs up.
fn serve(shared: &Shared, stream: &UnixStream) -> io::Result<()> {
    let peer = socket_peercred(stream)?.uid.as_raw();
    let own = rustix::process::geteuid().as_raw();
    let mut out = BufWriter::new(stream);
    if ![0, own, shared.owner].contains(&peer) {
        let what = "only the owner of the store may do this".to_owned();
        let kind = Fault::Other;
        write_line(&mut out, &Reply::Failed { kind, what })?;
        return out.flush();
    }
    let mut lines = BufReader::new(stream);
    while let Some(line) = read_line(&mut lines)? {
        let last = match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                let mut emit = |reply: Reply| {
                    // Progress is for people who wait; rows may fill a buffer.
                    let flush = !matches!(reply, Reply::File { .. });
                    let sent = write_line(&mut out, &reply);
                    let sent = sent.and_then(|()| if flush { out.flush() } else { Ok(()) });
                    sent.is_ok() && !shared.stopping.load(Ordering::Acquire)
                };
                match (shared.handler)(&request, &mut emit) {
                    Ok(()) => Reply::Done,
                    Err(e) => Reply::from(&e),
                }
            }
            Err(e) => Reply::Failed {
                kind: Fault::Other,
                what: format!("not understood: {e}"),
            },
        };
        write_line(&mut out, &last)?;
        out.flush()?;
    }
    Ok(())
}

/// A command's end.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the process that has the store open for writing; `None` when there is none.
    ///
    /// # Errors
    /// Those of connect(2), e.g. when the store belongs to somebody else.
    pub fn connect(ours: &dyn Dir) -> io::Result<Option<Self>> {
        match UnixStream::connect(address(ours)?) {
            Ok(stream) => Ok(Some(Self {
                stream: BufReader::new(stream),
            })),
            Err(e) => match e.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(e),
            },
        }
    }

    /// Asks, and hands on the replies before the last. `each` says whether to go on; if not, the daemon is hung up
    /// on, which ends the work, and nothing more can be asked.
    ///
    /// # Errors
    /// What the daemon reports, or `ConnectionAborted` when it ended meanwhile.
    pub fn ask(&mut self, request: &Request, each: &mut dyn FnMut(Reply) -> bool) -> Result<()> {
        write_line(self.stream.get_mut(), request)?;
        while let Some(line) = read_line(&mut self.stream)? {
            match serde_json::from_str(&line).map_err(io::Error::from)? {
                Reply::Done => return Ok(()),
                Reply::Failed { kind, what } => return Err(kind.error(what)),
                reply => {
                    if !each(reply) {
                        return Ok(self.stream.get_mut().shutdown(std::net::Shutdown::Both)?);
                    }
                }
            }
        }
        Err(Error::Io(io::ErrorKind::ConnectionAborted.into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

    use super::*;
    use crate::store::disk::open_root;
    use std::os::unix::ffi::OsStrExt;

    fn scrub() -> Request {
        Request::Scrub {
            path: Name::Text(String::new()),
        }
    }

    fn echo(request: &Request, emit: &mut dyn FnMut(Reply) -> bool) -> Result<()> {
        match request {
            Request::Status { path } => {
                let path = path.clone();
                emit(Reply::At { path });
                Ok(())
            }
            Request::Settle => {
                while emit(Reply::Settled(Settled::default())) {}
                Ok(())
            }
            Request::Scrub { .. } => Err(Error::NotFound),
            Request::Convert { .. } | Request::Freeze { .. } => panic!("a bug"),
            _ => Err(Error::Unsupported),
        }
    }

    /// A directory whose path is longer than a socket address may be.
    fn deep() -> (tempfile::TempDir, Arc<dyn Dir>) {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("d".repeat(120));
        std::fs::create_dir(&at).unwrap();
        let ours = open_root(&at).unwrap();
        (dir, ours)
    }

    #[test]
    fn requests_errors_and_names_that_are_no_text_pass() {
        let (_dir, ours) = deep();
        assert!(Client::connect(&*ours).unwrap().is_none());
        let server = Server::start(Arc::clone(&ours), Box::new(echo)).unwrap();
        for path in [&b"a/b\nc"[..], b"\xff\xfe", b""] {
            let path = Name::from(Path::new(OsStr::from_bytes(path)));
            let mut seen = Vec::new();
            let request = Request::Status { path: path.clone() };
            let mut client = Client::connect(&*ours).unwrap().unwrap();
            client
                .ask(&request, &mut |reply| {
                    seen.push(reply);
                    true
                })
                .unwrap();
            assert_eq!(seen, [Reply::At { path }]);
        }
        let mut client = Client::connect(&*ours).unwrap().unwrap();
        let refused = client.ask(&scrub(), &mut |_| true);
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        let bug = Request::Convert {
            path: Name::Text(String::new()),
            codec: None,
            profile: None,
            layout: None,
        };
        let mut client = Client::connect(&*ours).unwrap().unwrap();
        assert!(client.ask(&bug, &mut |_| true).is_err(), "waits for ever");
        drop(server);
        assert!(Client::connect(&*ours).unwrap().is_none());
    }

    #[test]
    fn a_dead_daemons_socket_is_replaced_and_stopping_ends_endless_work() {
        let (dir, ours) = deep();
        // A listener that was dropped leaves its socket, as a killed daemon does.
        drop(UnixListener::bind(address(&*ours).unwrap()).unwrap());
        assert!(Client::connect(&*ours).unwrap().is_none());
        let server = Server::start(Arc::clone(&ours), Box::new(echo)).unwrap();
        let mut client = Client::connect(&*ours).unwrap().unwrap();
        let mut replies = 0;
        let mut server = Some(server);
        let ended = client.ask(&Request::Settle, &mut |_| {
            replies += 1;
            if replies == 3 {
                server = None; // waits for the work to end
            }
            true
        });
        assert!(server.is_none());
        drop((ended, dir));
    }

    #[test]
    fn garbage_is_answered_and_does_not_end_the_server() {
        let (_dir, ours) = deep();
        let _server = Server::start(Arc::clone(&ours), Box::new(echo)).unwrap();
        let stream = UnixStream::connect(address(&*ours).unwrap()).unwrap();
        (&stream).write_all(b"{\"do\":\"dance\"}\n").unwrap();
        let line = read_line(&mut BufReader::new(&stream)).unwrap().unwrap();
        assert!(line.contains("not understood"), "{line}");
        assert!(Client::connect(&*ours).unwrap().is_some());
    }
}
