//! What the tests of the commands stand on: the program, a store in a temporary directory, content.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub const BIN: &str = env!("CARGO_BIN_EXE_holofs");

/// Runs the program; arguments are separated for the caller.
pub fn holofs<S: AsRef<OsStr>>(args: &[S]) -> Output {
    Command::new(BIN)
        .args(args)
        .env_remove("HOLOFS_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs the program and checks its exit code; returns standard output.
pub fn expect<S: AsRef<OsStr>>(code: i32, args: &[S]) -> String {
    let output = holofs(args);
    let words: Vec<_> = args
        .iter()
        .map(|a| a.as_ref().display().to_string())
        .collect();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the program complained about.
pub fn complaint<S: AsRef<OsStr>>(args: &[S]) -> String {
    String::from_utf8_lossy(&holofs(args).stderr).into_owned()
}

/// A directory with an empty store `s` in it.
pub struct Bench {
    pub dir: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = Self { dir };
        expect(0, &[OsStr::new("init"), bench.store().as_os_str()]);
        bench
    }

    /// With lines of store.toml after its version.
    pub fn with_policy(lines: &str) -> Self {
        let bench = Self::new();
        let toml = bench.store().join(".holofs/store.toml");
        fs::write(toml, format!("version = 1\n{lines}\n")).unwrap();
        bench
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn store(&self) -> PathBuf {
        self.path("s")
    }

    /// Imports one file under this name.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.put_as(OsStr::new(name), bytes);
    }

    /// Imports one file under a name that may be no text.
    pub fn put_as(&self, name: &OsStr, bytes: &[u8]) {
        let source = self.path("source");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join(name), bytes).unwrap();
        let (from, to) = (source.join(name), self.store());
        expect(0, &[OsStr::new("import"), from.as_os_str(), to.as_os_str()]);
        fs::remove_file(source.join(name)).unwrap();
    }

    /// `status --json` of a path: name below it and row.
    pub fn status(&self, code: i32, path: &Path) -> Vec<(String, Value)> {
        let args = [OsStr::new("status"), OsStr::new("--json"), path.as_os_str()];
        let rows: Value = serde_json::from_str(&expect(code, &args)).unwrap();
        let name = |row: &Value| {
            let path = Path::new(row["path"].as_str().unwrap()).to_owned();
            let rest = path.strip_prefix(self.store()).unwrap();
            rest.to_str().unwrap().to_owned()
        };
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| (name(row), row.clone())).collect()
    }
}

/// Text that compresses, of so many bytes.
pub fn words(size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size + 32);
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

/// Bytes that do not compress.
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..=size / 8).flat_map(|_| next()).collect();
    bytes.truncate(size);
    bytes
}
