//! Small-file operations per second in a directory: what `scripts/bench.sh` compares bare and mounted.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints"
)]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Files in one directory; few enough that no directory index matters.
const PER_DIRECTORY: u32 = 100;
const SIZE: usize = 1024;

/// Prints `row operations-per-second` lines for the directory given; it must not exist yet and is removed.
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (Some(dir), Some(count)) = (
        words.first().map(PathBuf::from),
        words.get(1).and_then(|n| n.parse().ok()),
    ) else {
        eprintln!("usage: small_files NEW_DIRECTORY FILES");
        return ExitCode::from(2);
    };
    match measure(&dir, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("small_files: {}: {error}", dir.display());
            ExitCode::FAILURE
        }
    }
}

fn measure(dir: &Path, count: u32) -> io::Result<()> {
    fs::create_dir(dir)?;
    let mut files = Vec::new();
    for i in 0..count {
        let parent = dir.join((i / PER_DIRECTORY).to_string());
        if i % PER_DIRECTORY == 0 {
            fs::create_dir(&parent)?;
        }
        files.push(parent.join(format!("file-{i}")));
    }
    let body = [b'x'; SIZE];
    row("create", &files, |file| {
        File::create_new(file)?.write_all(&body)
    })?;
    row("stat", &files, |file| fs::symlink_metadata(file).map(drop))?;
    let mut read = Vec::with_capacity(SIZE);
    row("open", &files, |file| {
        read.clear();
        File::open(file)?
            .take(SIZE as u64)
            .read_to_end(&mut read)
            .map(drop)
    })?;
    row("unlink", &files, |file| fs::remove_file(file))?;
    fs::remove_dir_all(dir)
}

/// Times `operation` over all files and prints its rate.
fn row(
    name: &str,
    files: &[PathBuf],
    mut operation: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let began = Instant::now();
    for file in files {
        operation(file)?;
    }
    let took = began.elapsed().max(Duration::from_nanos(1));
    let count = u32::try_from(files.len()).unwrap_or(u32::MAX);
    println!("{name} {:.1}", f64::from(count) / took.as_secs_f64());
    Ok(())
}
