//! Commands around a mount: how it begins and ends, who is refused, and what goes through the control socket.
//!
//! Needs root and /dev/fuse; without them the tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may panic and talk"
)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const BIN: &str = env!("CARGO_BIN_EXE_holofs");

/// A store `s`, mount points `m` and `n`, all unmounted in the end.
struct Bench {
    dir: TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        for point in ["m", "n"] {
            if self.mounted(point) {
                let point = self.dir.path().join(point);
                drop(Command::new("umount").arg("-l").arg(point).output());
            }
        }
    }
}

impl Bench {
    /// `None` where nothing can be mounted.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() || fs::File::open("/dev/fuse").is_err() {
            eprintln!("skipped: needs root and /dev/fuse");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        for name in ["m", "n"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let bench = Self { dir };
        bench.expect(0, &["init", "s"]);
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// Runs the program in the directory of store and mount points.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(BIN);
        command.args(args).current_dir(self.dir.path());
        command.env_remove("HOLOFS_LOG").stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Runs it and checks the exit code; returns standard output and standard error.
    fn expect(&self, code: i32, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
        (out, err)
    }

    fn mounted(&self, point: &str) -> bool {
        let point = self.path(point);
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table
            .lines()
            .any(|line| line.split(' ').nth(4) == point.to_str())
    }

    /// The processes that name the store and a mount point as arguments of their own.
    fn daemons(&self, point: &str) -> Vec<u32> {
        let wanted = [self.path("s"), self.path(point)];
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let entry = entry.unwrap();
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let args: Vec<&[u8]> = line.split(|&b| b == 0).collect();
            let names = |path: &PathBuf| args.contains(&path.as_os_str().as_encoded_bytes());
            if wanted.iter().all(names) {
                found.extend(
                    entry
                        .file_name()
                        .to_str()
                        .and_then(|n| n.parse::<u32>().ok()),
                );
            }
        }
        found
    }

    /// Ends the daemon as a power cut does, and waits until it has gone.
    fn kill(&self, point: &str) {
        for pid in self.daemons(point) {
            let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
            let handle =
                rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
            rustix::process::pidfd_send_signal(&handle, rustix::process::Signal::KILL).unwrap();
            let mut ended = [rustix::event::PollFd::new(
                &handle,
                rustix::event::PollFlags::IN,
            )];
            rustix::event::poll(&mut ended, None).unwrap();
        }
    }
}

/// Text that compresses, of so many bytes.
fn words(size: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut state = 1_u64;
    while text.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        write!(text, "word{} ", state >> 54).unwrap();
    }
    text.truncate(size);
    text
}

#[test]
fn a_mount_answers_when_mount_returns_and_its_daemon_has_ended_when_umount_does() {
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    assert!(bench.mounted("m"));
    let pids = bench.daemons("m");
    assert_eq!(pids.len(), 1, "the daemon names store and mount point");
    fs::write(bench.path("m/f"), "content").unwrap();
    bench.expect(0, &["umount", "m"]);
    assert!(!bench.mounted("m"));
    let left = fs::read(format!("/proc/{}/cmdline", pids[0])).unwrap_or_default();
    assert!(left.is_empty(), "the daemon outlives umount");
    assert_eq!(fs::read(bench.path("s/f")).unwrap(), b"content");
    assert!(!bench.path("s/.holofs/ctl").exists());
    let (_, err) = bench.expect(1, &["umount", "m"]);
    assert!(err.contains("no store is mounted here"), "{err}");
}

#[test]
fn a_second_writer_is_refused_by_name_and_readers_are_not() {
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    let (_, err) = bench.expect(11, &["mount", "s", "n"]);
    let point = bench.path("m");
    assert!(err.contains(point.to_str().unwrap()), "{err}");
    assert!(!bench.mounted("n"));
    let (_, err) = bench.expect(11, &["import", "/etc/hostname", "s"]);
    assert!(err.contains("cp -a"), "{err}");
    bench.expect(11, &["import", "/etc/hostname", "m"]);
    fs::write(bench.path("m/f"), "content").unwrap();
    bench.expect(0, &["mount", "-o", "ro", "s", "n"]);
    assert_eq!(fs::read(bench.path("n/f")).unwrap(), b"content");
    assert!(fs::write(bench.path("n/g"), "x").is_err());
    bench.expect(0, &["umount", "n"]);
    assert!(bench.mounted("m"));
    bench.expect(0, &["umount", "m"]);
}

/// The daemon needs no right to read what is sent to it.
#[test]
fn a_variant_is_added_through_the_socket_and_shown_in_its_context() {
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    let base = words(400_000);
    fs::write(bench.path("m/app.conf"), &base).unwrap();
    let other = [base.as_slice(), b"mode = test\n"].concat();
    fs::write(bench.path("test.conf"), &other).unwrap();
    let add = [
        "variant",
        "add",
        "m/app.conf",
        "--context",
        "TEST",
        "test.conf",
    ];
    let (said, _) = bench.expect(0, &add);
    assert!(said.contains("TEST"), "{said}");
    assert!(fs::read(bench.path("m/app.conf")).unwrap() == base);
    let seen = |name: &str| fs::read(bench.path(name)).unwrap();
    assert!(seen("m/.holofs/context/TEST/app.conf") == other);
    assert!(seen("m/.holofs/context/ELSE/app.conf") == base);
    bench.expect(0, &["settle", "m"]);
    let (listed, _) = bench.expect(0, &["variant", "list", "m/app.conf"]);
    assert!(!listed.contains("not encoded"), "{listed}");
    bench.expect(0, &["umount", "m"]);
    bench.expect(0, &["mount", "-o", "context=TEST", "s", "m"]);
    assert!(seen("m/app.conf") == other);
    let (removed, _) = bench.expect(0, &["variant", "remove", "m/app.conf", "--context", "TEST"]);
    assert!(!removed.contains("TEST"), "{removed}");
    assert!(seen("m/app.conf") == base);
    bench.expect(0, &["umount", "m"]);
}

#[test]
fn bad_mount_points_and_options_are_refused_and_leave_nothing() {
    let Some(bench) = Bench::new() else { return };
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/x"), "x").unwrap();
    for point in ["none", "full", "full/x", "s/.holofs", "s"] {
        let (_, err) = bench.expect(1, &["mount", "s", point]);
        assert!(err.starts_with("holofs: "), "{err}");
        assert!(err.contains(point), "{err}");
    }
    bench.expect(2, &["mount", "-o", "frobnicate", "s", "m"]);
    bench.expect(2, &["mount", "-o", "cache_dir=relative", "s", "m"]);
    fs::write(
        bench.path("s/.holofs/store.toml"),
        "version = 1\nspeed = 9\n",
    )
    .unwrap();
    let (_, err) = bench.expect(1, &["mount", "s", "m"]);
    assert!(err.contains("speed") && err.contains('2'), "{err}");
    assert!(!bench.mounted("m") && bench.daemons("m").is_empty());
}

#[test]
fn a_busy_mount_stays_and_lazy_takes_it_away() {
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    fs::write(bench.path("m/f"), "content").unwrap();
    let open = fs::File::open(bench.path("m/f")).unwrap();
    let (_, err) = bench.expect(1, &["umount", "m"]);
    assert!(err.contains("in use") && err.contains("\nhint: "), "{err}");
    assert!(bench.mounted("m"));
    bench.expect(0, &["umount", "--lazy", "m"]);
    assert!(!bench.mounted("m"));
    drop(open);
}

#[test]
fn a_killed_daemon_leaves_a_mount_that_umount_and_mount_clear() {
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    fs::write(bench.path("m/f"), "content").unwrap();
    bench.kill("m");
    assert!(fs::read_dir(bench.path("m")).is_err());
    bench.expect(0, &["umount", "m"]);
    assert!(!bench.mounted("m"));
    bench.expect(0, &["mount", "s", "m"]);
    bench.kill("m");
    // The socket of the dead daemon is there, and nobody answers.
    assert!(bench.path("s/.holofs/ctl").exists());
    bench.expect(0, &["status", "s"]);
    bench.expect(0, &["mount", "s", "m"]);
    assert_eq!(fs::read(bench.path("m/f")).unwrap(), b"content");
    bench.expect(0, &["settle", "m"]);
    bench.expect(0, &["umount", "m"]);
}

#[test]
fn commands_reach_the_daemon_by_mount_point_and_by_store() {
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    let body = words(200_000);
    fs::write(bench.path("m/f"), &body).unwrap();
    let state = |path: &str| -> Value {
        let (out, _) = bench.expect(0, &["status", "--json", path]);
        let rows: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(rows[0]["path"], path);
        rows[0].clone()
    };
    assert_eq!(state("m/f")["state"], "pending");
    assert_eq!(state("s/f")["state"], "pending");
    let (out, _) = bench.expect(0, &["settle", "--dry-run", "m"]);
    assert_eq!(out, "m/f\n");
    let (out, _) = bench.expect(0, &["settle", "--json", "m"]);
    let settled: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(settled["encoded"], 1);
    assert_eq!(state("m/f")["state"], "exact");
    assert!(bench.path("s/f.holo").exists());
    bench.expect(0, &["convert", "--layout", "spread", "s/f"]);
    assert!(bench.path("s/f.holo/manifest").exists());
    assert_eq!(fs::read(bench.path("m/f")).unwrap(), body);
    bench.expect(0, &["scrub", "m"]);
    bench.expect(0, &["why", "m/f"]);
    bench.expect(10, &["why", "m/none"]);
    let (out, _) = bench.expect(0, &["cat", "m/f"]);
    assert_eq!(out.as_bytes(), body);
    bench.expect(0, &["umount", "m"]);
}

#[test]
fn the_owner_of_a_store_commands_the_daemon_that_root_started() {
    let Some(bench) = Bench::new() else { return };
    let store = bench.path("s");
    for path in [
        store.join(".holofs/store.toml"),
        store.join(".holofs"),
        store,
    ] {
        std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
    }
    bench.expect(0, &["mount", "s", "m"]);
    let socket = fs::metadata(bench.path("s/.holofs/ctl")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&socket), 65_534);
    bench.expect(0, &["umount", "m"]);
}

#[test]
fn the_socket_is_the_owners_and_survives_strange_clients() {
    use std::os::unix::fs::PermissionsExt;
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    let socket = bench.path("s/.holofs/ctl");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&socket).unwrap();
    (&stream).write_all(b"\xff\0nonsense\n").unwrap();
    drop(stream);
    let silent = UnixStream::connect(&socket).unwrap();
    let stream = UnixStream::connect(&socket).unwrap();
    (&stream)
        .write_all(b"{\"do\":\"status\",\"path\":\"../..\"}\n")
        .unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    assert!(line.contains("failed"), "{line}");
    // One who connects and says nothing does not hold up the end.
    bench.expect(0, &["umount", "m"]);
    drop(silent);
}

#[test]
fn mount_helpers_mount_too() {
    let Some(bench) = Bench::new() else { return };
    let helper = bench.path("mount.fuse.holofs");
    std::os::unix::fs::symlink(BIN, &helper).unwrap();
    let mount = |program: &Path, args: &[&OsStr]| {
        let status = Command::new(program).args(args).status().unwrap();
        assert!(status.success(), "{args:?}");
    };
    let (store, point) = (
        bench.path("s").into_os_string(),
        bench.path("m").into_os_string(),
    );
    let options = OsString::from("rw,noauto,nofail,_netdev,x-systemd.automount");
    mount(
        &helper,
        &[&store, &point, OsStr::new("-n"), OsStr::new("-o"), &options],
    );
    assert!(bench.mounted("m"));
    bench.expect(0, &["umount", "m"]);
    let options = OsString::from("ro,dev,suid");
    mount(
        Path::new(BIN),
        &[&store, &point, OsStr::new("-o"), &options],
    );
    assert!(fs::write(bench.path("m/f"), "x").is_err());
    bench.expect(0, &["umount", "m"]);
    mount(&helper, &[&store, &point, OsStr::new("-f")]);
    assert!(!bench.mounted("m"), "-f of mount(8) only pretends");
}

/// A picture of another program that lacks chunks: soft in one mount, an error in the other, never silent.
#[test]
fn a_degraded_picture_is_served_declared_and_refused_as_mounted() {
    let Some(bench) = Bench::new() else { return };
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    let set = bench.path("s/photo.jpg.holo");
    fs::create_dir(&set).unwrap();
    for chunk in ["chunk_0000.holo", "chunk_0002.holo"] {
        fs::copy(vectors.join("a.png.holo").join(chunk), set.join(chunk)).unwrap();
    }
    bench.expect(0, &["mount", "s", "m"]);
    bench.expect(0, &["mount", "-o", "ro,degraded=eio", "s", "n"]);
    let (soft, strict) = (bench.path("m/photo.jpg.png"), bench.path("n/photo.jpg.png"));
    let listed = fs::read_dir(bench.path("m")).unwrap();
    let listed: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(listed, std::slice::from_ref(&soft));
    let wanted = image::open(vectors.join("a.png.k0_2.png")).unwrap();
    assert_eq!(image::open(&soft).unwrap(), wanted);
    assert_eq!(fs::metadata(&soft).unwrap().len(), 7428);
    for (path, verb, code) in [("m/photo.jpg.png", "status", 5), ("m", "scrub", 5)] {
        bench.expect(code, &[verb, path]);
    }
    let xattr = |path: &Path, name: &str| {
        let mut value = [0; 64];
        let length = rustix::fs::getxattr(path, name, &mut value).unwrap();
        String::from_utf8(value[..length].to_vec()).unwrap()
    };
    for path in [&soft, &strict] {
        assert_eq!(xattr(path, "user.holofs.status"), "degraded");
        assert_eq!(xattr(path, "user.holofs.chunks"), "2/4");
        assert_eq!(
            xattr(path, "user.holofs.health"),
            "2 of 4 chunks: without 1, 3"
        );
    }
    let refused = fs::read(&strict).unwrap_err();
    assert_eq!(
        refused.raw_os_error(),
        Some(rustix::io::Errno::IO.raw_os_error())
    );
    // The others come back: exact, in files of the same size.
    for chunk in ["chunk_0001.holo", "chunk_0003.holo"] {
        fs::copy(vectors.join("a.png.holo").join(chunk), set.join(chunk)).unwrap();
    }
    let exact = image::open(vectors.join("a.png.k0_1_2_3.png")).unwrap();
    for path in [&soft, &strict] {
        assert_eq!(image::open(path).unwrap(), exact);
        assert_eq!(xattr(path, "user.holofs.status"), "exact");
    }
}

/// A template of `SealGate`, and one that stands for more than any disk holds.
#[test]
fn a_template_is_read_as_the_file_that_it_stands_for() {
    let Some(bench) = Bench::new() else { return };
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealgate");
    fs::copy(
        vectors.join("blocks.template"),
        bench.path("s/blocks.bin.holo"),
    )
    .unwrap();
    fs::copy(vectors.join("bomb.template"), bench.path("s/bomb.holo")).unwrap();
    fs::copy(vectors.join("cycle.template"), bench.path("s/cycle.holo")).unwrap();
    bench.expect(0, &["mount", "s", "m"]);
    let blocks = bench.path("m/blocks.bin");
    let original = fs::read(vectors.join("blocks.bin")).unwrap();
    assert_eq!(fs::metadata(&blocks).unwrap().len(), original.len() as u64);
    assert!(fs::read(&blocks).unwrap() == original);
    assert!(fs::OpenOptions::new().write(true).open(&blocks).is_err());
    let mut contexts = [0; 64];
    let length = rustix::fs::getxattr(&blocks, "user.holofs.contexts", &mut contexts).unwrap();
    assert_eq!(&contexts[..length], b"DEFAULT");
    bench.expect(0, &["scrub", "m/blocks.bin"]);

    let bomb = fs::File::open(bench.path("m/bomb")).unwrap();
    assert_eq!(bomb.metadata().unwrap().len(), 1 << 40);
    let mut piece = [0; 5000];
    bomb.read_exact_at(&mut piece, (1 << 40) - 5000).unwrap();
    assert!(piece.iter().all(|byte| *byte == b'b'));
    bench.expect(0, &["status", "m/bomb"]);

    let refused = fs::read(bench.path("m/cycle")).unwrap_err();
    let io = rustix::io::Errno::IO.raw_os_error();
    assert_eq!(refused.raw_os_error(), Some(io));
    bench.expect(6, &["status", "m/cycle"]);
}

#[test]
fn a_mean_is_written_into_a_mount_like_any_file() {
    let Some(bench) = Bench::new() else { return };
    bench.expect(0, &["mount", "s", "m"]);
    fs::write(bench.path("m/a.pgm"), b"P5 2 1 255\n\x01\x05").unwrap();
    fs::write(bench.path("m/b.pgm"), b"P5 2 1 255\n\x02\x09").unwrap();
    let stack = ["stack", "m/a.pgm", "m/b.pgm", "-o", "m/out.png"];
    bench.expect(0, &stack);
    let mean = image::open(bench.path("m/out.png")).unwrap();
    assert_eq!(mean.as_luma8().unwrap().as_raw(), &[2, 7]);
    bench.expect(1, &stack);
    assert_eq!(fs::read_dir(bench.path("m")).unwrap().count(), 3);
}
