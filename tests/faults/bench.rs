//! A store and the daemon that serves it, which a test may kill.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const BIN: &str = env!("CARGO_BIN_EXE_holofs");
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything is encoded as soon as it is closed, and nothing lingers.
pub(crate) const EAGER: &str = "version = 1\n[defaults]\nmin_size = \"1B\"\n\
    [encode]\nquiet = \"0s\"\nlinger = \"0s\"\n\
    [[rule]]\nglob = [\"spread*\"]\nlayout = \"spread\"\n";
/// The same, but only when told to.
pub(crate) const WHEN_TOLD: &str = "version = 1\n[defaults]\nmin_size = \"1B\"\n\
    [encode]\nquiet = \"1h\"\nlinger = \"1h\"\n\
    [[rule]]\nglob = [\"spread*\"]\nlayout = \"spread\"\n";

/// Waits until `done`, and panics when that takes too long.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A store `s` and a mount point `m` in a temporary directory.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    /// A new store with this policy; `None`, with the reason printed, where nothing can be mounted.
    pub(crate) fn new(policy: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || fs::File::open("/dev/fuse").is_err() {
            eprintln!("skipped: needs root and /dev/fuse");
            return None;
        }
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(bench.path("m")).unwrap();
        assert!(bench.run(&["init", "s"]).status.success());
        fs::write(bench.path("s/.holofs/store.toml"), policy).unwrap();
        Some(bench)
    }

    /// Of another bench, the store as it is now (its daemon has ended).
    pub(crate) fn copy_of(other: &Self) -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(bench.path("m")).unwrap();
        let (from, to) = (other.path("s"), bench.path("s"));
        tool(Command::new("cp").arg("-a").args([from, to]));
        bench
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// Runs the program in the directory of the store and the mount point.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(BIN);
        command.args(args).current_dir(self.dir.path());
        command.env_remove("HOLOFS_LOG").stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Has everything encoded, which must succeed.
    pub(crate) fn settle(&self) {
        let output = self.run(&["settle", "m"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Mounts the store.
    pub(crate) fn mount(&self) -> Daemon<'_> {
        self.mount_through(Command::new(BIN)).unwrap()
    }

    /// Mounts the store under `strace -e EXPRESSION...`; `None` where the daemon died before it answered.
    pub(crate) fn mount_traced(&self, expressions: &[String]) -> Option<Daemon<'_>> {
        let mut strace = Command::new("strace");
        // The tracer is a grandchild: the child is the daemon. (No --seccomp-bpf: with it strace 6.1 injects at the
        // first call only, whatever `when` says.)
        strace.args(["-D", "-f", "-qq", "-o", "/dev/null"]);
        for expression in expressions {
            strace.args(["-e", expression]);
        }
        strace.arg(BIN);
        self.mount_through(strace)
    }

    fn mount_through(&self, mut command: Command) -> Option<Daemon<'_>> {
        command.args(["mount", "-f", "s", "m"]);
        command.current_dir(self.dir.path());
        command.env_remove("HOLOFS_LOG").stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut daemon = Daemon {
            bench: self,
            child: child.unwrap(),
        };
        let socket = self.path("s/.holofs/ctl");
        let mut alive = true;
        until("the mount answers", || {
            alive = daemon.is_alive();
            !alive || UnixStream::connect(&socket).is_ok() && self.is_mounted()
        });
        alive.then_some(daemon)
    }

    fn is_mounted(&self) -> bool {
        let point = self.path("m");
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut lines = table.lines();
        lines.any(|line| line.split(' ').nth(4) == point.to_str())
    }

    /// Entries of a directory of the store.
    pub(crate) fn entries(&self, dir: &str) -> BTreeSet<String> {
        names_in(&self.path("s").join(dir))
    }

    /// Nothing is half done in the store, and nothing had to be put aside.
    pub(crate) fn assert_tidy(&self, context: &str) {
        for dir in ["intent", "staging", "lost+found"] {
            let left = self.entries(&format!(".holofs/{dir}"));
            assert!(left.is_empty(), "{context}: {dir}: {left:?}");
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        while self.is_mounted() {
            let umount = Command::new("umount")
                .arg("-l")
                .arg(self.path("m"))
                .output();
            if !umount.is_ok_and(|output| output.status.success()) {
                break;
            }
        }
    }
}

/// A running daemon; killed with the value.
pub(crate) struct Daemon<'a> {
    bench: &'a Bench,
    child: Child,
}

impl Daemon<'_> {
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it without any warning, and waits until it has gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Unmounts, and waits until the daemon has ended.
    pub(crate) fn unmount(mut self) {
        let mut umount = Command::new(BIN);
        umount
            .args(["umount", "m"])
            .current_dir(self.bench.path(""));
        let mut umount = umount.spawn().unwrap();
        // It waits until the daemon is buried, which is for the parent to do.
        until("the daemon has ended", || {
            let failed = umount.try_wait().unwrap().is_some_and(|s| !s.success());
            assert!(!failed, "umount failed");
            !self.is_alive()
        });
        assert!(umount.wait().unwrap().success());
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Names in a directory.
pub(crate) fn names_in(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Runs another program, which must succeed; returns standard output.
pub(crate) fn tool(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a program is there and does its work; says so where not.
pub(crate) fn has(program: &str, args: &[&str]) -> bool {
    let works = Command::new(program).args(args).output();
    let works = works.is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: needs {program}");
    }
    works
}

/// Whether system calls can be tampered with.
pub(crate) fn can_trace() -> bool {
    has("strace", &["-f", "-qq", "-o", "/dev/null", "true"])
}
