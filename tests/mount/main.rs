//! What programs see of a mount: a real kernel, the library in this process. Needs root and /dev/fuse.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may panic, and say why they were skipped"
)]

mod attributes;
mod content;
mod contexts;
mod degraded;
mod encoded;
mod names;
mod solid;
mod sound;
mod text;
mod view;
mod views;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use holofs::fs::{MountOptions, Unmounter, mount};
use holofs::store::{self, Store};
use rustix::fs::{FallocateFlags, FlockOperation, RenameFlags, XattrFlags};

/// A store in a temporary directory and a mount of it, both gone with the value.
struct Mount {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    unmounter: Unmounter,
    served: Option<JoinHandle<Result<(), store::Error>>>,
}

impl Mount {
    /// A new store, mounted; `None`, with the reason printed, where one cannot mount.
    fn new(options: &str) -> Option<Self> {
        Self::with_policy("version = 1", options)
    }

    fn with_policy(policy: &str, options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["store", "mnt"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        store::init(&dir.path().join("store")).unwrap();
        fs::write(dir.path().join("store/.holofs/store.toml"), policy).unwrap();
        Self::of(dir, options)
    }

    fn of(dir: tempfile::TempDir, options: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
            eprintln!("skipped: needs root and /dev/fuse");
            return None;
        }
        let options = MountOptions::parse(&[options]).unwrap();
        let source = dir.path().join("store").canonicalize().unwrap();
        let store = Store::open(&source, options.store_options()).unwrap();
        let mounted = mount(
            Arc::clone(&store),
            &source,
            &dir.path().join("mnt"),
            &options,
        );
        let mounted = mounted.unwrap();
        let unmounter = mounted.unmounter();
        let served = Some(thread::spawn(move || mounted.run(|| {})));
        Some(Self {
            dir,
            store,
            unmounter,
            served,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("mnt").join(name)
    }

    /// Unmounts, and mounts the same store anew.
    fn again(mut self, options: &str) -> Self {
        self.end();
        let fresh = tempfile::tempdir().unwrap();
        let dir = std::mem::replace(&mut self.dir, fresh);
        drop(self);
        Self::of(dir, options).unwrap()
    }

    fn settle(&self) -> store::Settled {
        self.store.settle(&mut |_| true).unwrap()
    }

    fn end(&mut self) {
        if let Some(served) = self.served.take() {
            self.unmounter.unmount().unwrap();
            served.join().unwrap().unwrap();
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if thread::panicking() {
            self.unmounter.unmount().ok();
        } else {
            self.end();
        }
    }
}

/// Bytes that no codec makes small, different for each seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..length.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(length)
        .collect()
}

/// A picture that any codec for pictures takes: smooth, with a little noise, of three colours.
fn picture(seed: u64, width: usize, height: usize) -> Vec<u8> {
    let mut file = format!("P6\n{width} {height}\n255\n").into_bytes();
    let grain = noise(seed, width * height);
    for (at, grain) in grain.iter().enumerate() {
        let (x, y) = (at % width, at / width);
        let step = (x / 9 + y / 7) % 2 * 60; // edges, so that no level is enough for all
        let (across, down) = (x * 140 / width + step, y * 140 / height + step);
        for level in [across, down, across.midpoint(down) + x * y / 97 % 40] {
            file.push(u8::try_from(level).unwrap() + grain % 8);
        }
    }
    file
}

/// Mean squared difference of two contents of one length, as a signal-to-noise ratio in dB.
fn psnr(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let pairs = one.iter().zip(other);
    let error: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    let (error, count) = (u32::try_from(error), u32::try_from(one.len()));
    10.0 * (255.0 * 255.0 * f64::from(count.unwrap()) / f64::from(error.unwrap())).log10()
}

/// A computed attribute of a file, as text.
fn computed(path: &Path, name: &str) -> Result<String, rustix::io::Errno> {
    let mut value = [0; 256];
    let name = format!("user.holofs.{name}");
    let length = rustix::fs::getxattr(c_path(path), name, &mut value)?;
    Ok(String::from_utf8(value[..length].to_vec()).unwrap())
}

/// Runs a shell command as nobody.
fn as_nobody(command: &str, path: &Path) -> bool {
    Command::new("/bin/sh")
        .args(["-c", command, "sh"])
        .arg(path)
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .status()
        .unwrap()
        .success()
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}
