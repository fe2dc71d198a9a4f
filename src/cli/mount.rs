//! `mount`: shows a store as a filesystem, from a daemon of its own.
//!
//! The command runs itself again as the daemon, with canonical paths as arguments, so that its command line names
//! store and mount point. The daemon says on its standard output, a pipe, how mounting went; the command prints that
//! and ends with it.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};
use serde::{Deserialize, Serialize};

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::logging;
use super::ui::Ui;
use super::work::perform;
use crate::fs::{self, MountOptions, OptionError, Signals};
use crate::store::ctl::{Name, Server};
use crate::store::outside::{self, There};
use crate::store::{self, Options, Store};

/// What the daemon tells the command.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    code: u8,
    file: Option<Name>,
    what: String,
    hint: Option<String>,
}

/// Runs the verb.
pub(super) fn run(args: &args::Mount, verbose: u8, ui: &mut Ui) -> Outcome {
    let options = options(args)?;
    if args.serve {
        return if args.foreground {
            logging::foreground(verbose);
            serve(args, &options, &mut || {})
        } else {
            daemon(args, &options, verbose)
        };
    }
    let store = outside::canonical(&args.store).map_err(|e| Failure::io(&args.store, &e))?;
    if !outside::is_store(&store) {
        let failure = Failure::new(Code::NoStore, &args.store, "not a store");
        return Err(failure.hint("`holofs init DIR` makes a directory a store"));
    }
    // The last component may be a dead mount, which the daemon takes away.
    let point = outside::canonical_but_last(&args.mnt).map_err(|e| Failure::io(&args.mnt, &e))?;
    if args.fake {
        return Ok(Code::Ok);
    }
    let mut command = Command::new(myself());
    command.arg0("holofs").args(["mount", "--serve"]);
    if args.sloppy {
        command.arg("--sloppy");
    }
    for list in &args.options {
        command.arg("-o").arg(list);
    }
    command.args(std::iter::repeat_n("-v", verbose.into()));
    if args.foreground {
        let e = command.arg("-f").args([&store, &point]).exec();
        return Err(Failure::io(&args.store, &e)); // exec returns only to say why it failed
    }
    command.args([&store, &point]).current_dir("/");
    start(command, &point, ui)
}

/// The program's own file; where it was replaced, what this process runs.
fn myself() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    match outside::what_is_there(&own) {
        Ok(There::Other) => own,
        _ => "/proc/self/exe".into(),
    }
}

/// Starts the daemon and waits until the mount answers or has failed.
fn start(mut command: Command, point: &Path, ui: &mut Ui) -> Outcome {
    let io = |e: io::Error| Failure::io(point, &e);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(io)?;
    let mut line = String::new();
    if let Some(pipe) = child.stdout.take() {
        BufReader::new(pipe).read_line(&mut line).map_err(io)?;
    }
    let told = serde_json::from_str::<Told>(&line);
    if told.as_ref().is_ok_and(|told| told.code == Code::Ok as u8) {
        // The first request that the kernel sends on; it returns when the daemon has answered.
        rustix::fs::statfs(point).map_err(|e| io(e.into()))?;
        ui.detail(&format!("mounted by process {}", child.id()));
        return Ok(Code::Ok);
    }
    let status = child.wait().map_err(io)?;
    if let Ok(told) = told {
        return Err(Failure {
            code: Code::from_number(told.code),
            file: told.file.map(PathBuf::from),
            what: told.what,
            hint: told.hint,
        });
    }
    let what = format!("the daemon ended before the mount answered ({status})");
    Err(Failure::new(Code::Error, point, what))
}

/// The mount options of a command line.
fn options(args: &args::Mount) -> Result<MountOptions, Failure> {
    let usage = |what: &dyn ToString| Failure {
        code: Code::Usage,
        file: None,
        what: what.to_string(),
        hint: None,
    };
    let mut lists = Vec::new();
    for list in &args.options {
        let list = list.to_str();
        lists.push(list.ok_or_else(|| usage(&"mount options must be UTF-8"))?);
    }
    let mut items: Vec<&str> = lists.clone();
    if args.sloppy {
        items = lists.iter().flat_map(|list| list.split(',')).collect();
        let known = |item: &&str| {
            let parsed = MountOptions::parse(std::slice::from_ref(item));
            !matches!(parsed, Err(OptionError::Unknown(_)))
        };
        items.retain(known);
    }
    let options = MountOptions::parse(&items).map_err(|e| usage(&e))?;
    if options
        .cache_dir
        .as_ref()
        .is_some_and(|dir| dir.is_relative())
    {
        return Err(usage(&"mount option 'cache_dir': must be an absolute path"));
    }
    Ok(options)
}

/// How a running daemon with these arguments shows its store.
pub(super) fn options_of(words: &[OsString]) -> Options {
    let after = |(i, word): (usize, &OsString)| (word == "-o").then(|| words.get(i + 1)).flatten();
    let lists: Vec<&str> = words
        .iter()
        .enumerate()
        .filter_map(after)
        .filter_map(|list| list.to_str())
        .collect();
    let parsed = MountOptions::parse(&lists).unwrap_or_default();
    Options {
        worker: false,
        cache_dir: None, // the daemon's
        ..parsed.store_options()
    }
}

/// The daemon in the background: own session, log in the store, one line on the pipe.
fn daemon(args: &args::Mount, options: &MountOptions, verbose: u8) -> Outcome {
    // It is no group leader, having been started by the command; and if it were, nothing would be wrong.
    setsid().ok();
    if !options.read_only
        && let Ok(ours) = outside::ours(&args.store)
    {
        drop(logging::to_store(ours, verbose));
    }
    let mut told = false;
    let outcome = serve(args, options, &mut || {
        told = true;
        tell(&Told {
            code: Code::Ok as u8,
            file: None,
            what: String::new(),
            hint: None,
        });
    });
    match outcome {
        Err(failure) if !told => {
            let code = failure.code;
            tell(&Told {
                code: code as u8,
                file: failure.file.as_deref().map(Name::from),
                what: failure.what,
                hint: failure.hint,
            });
            Ok(code)
        }
        Err(failure) => {
            log::error!("{}", failure.what);
            Ok(failure.code)
        }
        ok => ok,
    }
}

/// Says how it went; a command that does not listen any more was killed, and the mount stays.
fn tell(told: &Told) {
    let line = serde_json::to_string(told).unwrap_or_default();
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Opens the store, mounts it, and serves it until it is unmounted. `ready` is called when it is mounted.
fn serve(args: &args::Mount, options: &MountOptions, ready: &mut dyn FnMut()) -> Outcome {
    let io = |e: io::Error| Failure::io(&args.mnt, &e);
    // Before any thread is started: each inherits what is blocked.
    let signals = Signals::block().map_err(io)?;
    raise_descriptors();
    let failed = |e: store::Error| Failure::store(&args.store, &e);
    let store = Store::open(&args.store, options.store_options()).map_err(failed)?;
    let mounted = match fs::mount(Arc::clone(&store), &args.store, &args.mnt, options) {
        Ok(mounted) => mounted,
        Err(e) => {
            drop(store.close());
            return Err(Failure::mount(&e));
        }
    };
    let control = if options.read_only {
        None
    } else {
        serve_commands(&args.store, &store)
    };
    let unmounter = mounted.unmounter();
    signals
        .each(move || {
            if let Err(e) = unmounter.unmount() {
                log::error!("not unmounted: {e}");
            }
        })
        .map_err(io)?;
    ready();
    // The socket goes before the lock does: after that another daemon's may be there.
    mounted.run(|| drop(control)).map_err(failed)?;
    Ok(Code::Ok)
}

/// Allows as many open files as the administrator lets us have: each file that is open in the mount is one here.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(e) = setrlimit(Resource::Nofile, raised) {
        log::debug!("limit of open files not raised: {e}");
    }
}

/// Lets commands reach this daemon. Where the filesystem has no sockets, the mount works without.
fn serve_commands(path: &Path, store: &Arc<Store>) -> Option<Server> {
    let store = Arc::clone(store);
    let handler = Box::new(move |request: &_, emit: &mut dyn FnMut(_) -> bool| {
        perform(&store, request, emit)
    });
    outside::ours(path)
        .and_then(|ours| Server::start(ours, handler))
        .inspect_err(|e| log::warn!("no control socket: {e}"))
        .ok()
}
