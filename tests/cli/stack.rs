//! Averaging pictures: what comes out, and what is refused.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Bench, complaint, expect, holofs};

/// A grey PNM file with these samples in one row.
fn frame(dir: &Path, name: &str, samples: &[u8]) -> PathBuf {
    let path = dir.join(name);
    let head = format!("P5 {} 1 255\n", samples.len());
    fs::write(&path, [head.as_bytes(), samples].concat()).unwrap();
    path
}

fn args<'a>(frames: &[&'a Path], out: &'a Path, more: &[&'a str]) -> Vec<&'a OsStr> {
    let mut args = vec![OsStr::new("stack"), OsStr::new("-o"), out.as_os_str()];
    args.extend(more.iter().copied().map(OsStr::new));
    args.extend(frames.iter().map(|path| path.as_os_str()));
    args
}

/// Samples of a PNG with 8 bits.
fn eight(path: &Path) -> Vec<u8> {
    image::open(path).unwrap().as_luma8().unwrap().to_vec()
}

/// Samples of a PNG with 16 bits.
fn sixteen(path: &Path) -> Vec<u16> {
    image::open(path).unwrap().as_luma16().unwrap().to_vec()
}

#[test]
fn frames_become_their_mean() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let a = frame(dir.path(), "a.pgm", &[0, 10, 255]);
    let b = frame(dir.path(), "b.pgm", &[1, 10, 255]);
    let c = at("c.pgm");
    fs::write(&c, b"P5 3 1 65535\n\x01\x01\x0a\x0a\xff\xff").unwrap();
    symlink("b.pgm", at("link.pgm")).unwrap();

    let out = at("out.png");
    assert_eq!(expect(0, &args(&[&a, &at("link.pgm")], &out, &[])), "");
    assert_eq!(eight(&out), [1, 10, 255]);
    let mode = fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
    let wide = at("wide.png");
    let said = expect(0, &args(&[&a, &b], &wide, &["--depth", "16", "--json"]));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(sixteen(&wide), [129, 2570, 65_535]);
    let wanted = serde_json::json!({
        "path": wide, "frames": 2, "width": 3, "height": 1, "depth": 16,
    });
    assert_eq!(said, wanted);
    // 16 bits in, 16 bits out, unless 8 are asked for.
    let deep = at("deep.png");
    expect(0, &args(&[&a, &c], &deep, &[]));
    assert_eq!(sixteen(&deep), [129, 2570, 65_535]);
    expect(0, &args(&[&a, &c], &deep, &["--depth", "8", "--overwrite"]));
    assert_eq!(eight(&deep), [1, 10, 255]);
    // A result is a frame again, also in its own place.
    expect(0, &args(&[&out, &a], &out, &["--force"]));
    assert_eq!(eight(&out), [1, 10, 255]);
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 7, "something half-written is left");
}

#[test]
fn what_cannot_be_averaged_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let a = frame(dir.path(), "a.pgm", &[0, 10, 255]);
    let b = frame(dir.path(), "b.pgm", &[0, 10]);
    let text = at("text");
    fs::write(&text, "no picture").unwrap();
    let out = at("out.png");
    let refused = |code: i32, args: &[&OsStr], words: &[&str]| {
        expect(code, args);
        let said = complaint(args);
        for word in words {
            assert!(said.contains(word), "{said:?} without {word:?}");
        }
        assert!(!out.exists());
    };
    expect(2, &args(&[], &out, &[]));
    expect(2, &[OsStr::new("stack"), a.as_os_str()]);
    expect(2, &args(&[&a], &out, &["--depth", "12"]));
    refused(
        1,
        &args(&[&a, &b], &out, &[]),
        &["b.pgm: 2x1 pixels", "3x1"],
    );
    refused(1, &args(&[&a, &text], &out, &[]), &["text: not a picture"]);
    refused(
        10,
        &args(&[&a, &at("none")], &out, &[]),
        &["none: no such file"],
    );
    refused(1, &args(&[&a, dir.path()], &out, &[]), &["is a directory"]);
    refused(
        10,
        &args(&[&a], &at("none/out.png"), &[]),
        &["none/out.png: no such file"],
    );
    refused(
        1,
        &args(&[&a], dir.path(), &["--overwrite"]),
        &["directory"],
    );

    fs::write(&out, "mine").unwrap();
    expect(1, &args(&[&a], &out, &[]));
    assert!(
        complaint(&args(&[&a], &out, &[]))
            .ends_with("out.png: file exists\nhint: --overwrite replaces it\n")
    );
    assert_eq!(fs::read(&out).unwrap(), b"mine");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

#[test]
fn nothing_is_written_into_a_store_behind_its_back() {
    let bench = Bench::new();
    let a = frame(bench.dir.path(), "a.pgm", &[1, 2]);
    let out = bench.store().join("out.png");
    expect(1, &args(&[&a], &out, &[]));
    let said = String::from_utf8(holofs(&args(&[&a], &out, &[])).stderr).unwrap();
    assert!(said.contains("lies in a store\nhint: mount"), "{said}");
    assert!(!out.exists());
}
