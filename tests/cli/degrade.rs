//! Pictures as few of their chunks show them: what comes out, and what is refused.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Bench, complaint, expect};

/// A picture that any codec for pictures takes: three smooth colours with a little noise.
fn picture(width: usize, height: usize) -> Vec<u8> {
    let mut file = format!("P6\n{width} {height}\n255\n").into_bytes();
    let mut state = 1_u32;
    for at in 0..width * height {
        let (x, y) = (at % width, at / width);
        let step = (x / 7 + y / 5) % 2 * 60;
        let (x, y) = (x * 140 / width + step, y * 140 / height + step);
        for level in [x, y, x.midpoint(y)] {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            file.push(u8::try_from(level).unwrap() + u8::try_from(state >> 29).unwrap());
        }
    }
    file
}

fn psnr(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let pairs = one.iter().zip(other);
    let error: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    let (error, count) = (u32::try_from(error), u32::try_from(one.len()));
    10.0 * (255.0 * 255.0 * f64::from(count.unwrap()) / f64::from(error.unwrap())).log10()
}

fn args<'a>(file: &'a Path, keep: &'a str, out: &'a Path, more: &[&'a str]) -> Vec<&'a OsStr> {
    let words = ["degrade", "--keep", keep, "-o"];
    let mut args: Vec<_> = words.iter().copied().map(OsStr::new).collect();
    args.extend([out.as_os_str(), file.as_os_str()]);
    args.extend(more.iter().copied().map(OsStr::new));
    args
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_picture_gets_sharper_with_every_level() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("in.ppm"), dir.path().join("out.ppm"));
    let content = picture(300, 200);
    fs::write(&file, &content).unwrap();
    let mut before = 0.0;
    for (keep, layers) in [("1", 1), ("4", 2), ("8", 3), ("13", 4)] {
        let more = ["--json", "--overwrite"];
        let said = json(&expect(0, &args(&file, keep, &out, &more)));
        let shown = fs::read(&out).unwrap();
        assert_eq!(shown[..15], content[..15]);
        let now = psnr(&shown, &content);
        assert!(now > before, "{now} dB after {before}");
        before = now;
        assert!(
            (said["quality_db"].as_f64().unwrap() - now).abs() < 0.5,
            "{said}"
        );
        assert_eq!(said["exact"], false);
        assert_eq!(said["layers"]["used"], layers);
        assert_eq!(said["chunks"]["used"].to_string(), keep);
        assert_eq!(said["chunks"]["total"], 16);
    }
    let said = expect(0, &args(&file, "14", &out, &["--force"]));
    assert_eq!(
        said,
        format!("{}: exact, 5 of 5 layers, 14 of 16 chunks\n", out.display())
    );
    assert!(fs::read(&out).unwrap() == content);
    // Half as many chunks: half of them for each level.
    for (keep, more, layers) in [
        ("2", ["--of", "8", "--force"].as_slice(), 2),
        ("6", &["--of", "8", "--force"], 4),
        ("7", &["--of", "8", "--force"], 5),
        ("12", &["--profile", "strong", "--force"], 5),
        ("5", &["--profile", "7/8", "--force"], 3),
    ] {
        let said = expect(0, &args(&file, keep, &out, more));
        assert!(
            said.contains(&format!(", {layers} of 5 layers, {keep} of ")),
            "{said}"
        );
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "nothing half-written"
    );
}

#[test]
fn a_picture_in_a_store_is_taken_as_it_lies_there() {
    let bench = Bench::with_policy("[defaults]\nmin_size = \"1B\"\nprofile = \"strong\"");
    let content = picture(200, 120);
    bench.put("photo.ppm", &content);
    let (file, out) = (bench.store().join("photo.ppm"), bench.path("out.ppm"));
    let status = json(&expect(
        0,
        &[OsStr::new("status"), OsStr::new("--json"), file.as_os_str()],
    ));
    assert_eq!(status[0]["state"], "exact");
    for (keep, layers) in [("1", 1), ("3", 2), ("11", 4), ("12", 5)] {
        let said = json(&expect(0, &args(&file, keep, &out, &["--json", "--force"])));
        assert_eq!(said["layers"]["used"], layers, "{said}");
        assert_eq!(said["exact"], layers == 5);
        assert_eq!(said["codec"], status[0]["codec"]);
        assert_eq!(fs::read(&out).unwrap() == content, layers == 5);
    }
    // Encoded otherwise where that is asked for.
    let said = expect(
        0,
        &args(&file, "13", &out, &["--profile", "standard", "--force"]),
    );
    assert!(
        said.contains(" dB, 4 of 5 layers, 13 of 16 chunks"),
        "{said}"
    );
    expect(2, &args(&file, "17", &out, &["--force"]));
    // Nothing changed in the store.
    let again = json(&expect(
        0,
        &[OsStr::new("status"), OsStr::new("--json"), file.as_os_str()],
    ));
    assert_eq!(status, again);
}

#[test]
fn what_cannot_be_shown_is_named() {
    let bench = Bench::with_policy("[defaults]\nmin_size = \"1B\"");
    bench.put("text", b"no picture at all");
    let (text, out) = (bench.path("plain/text"), bench.path("out"));
    fs::create_dir(bench.path("plain")).unwrap();
    fs::write(&text, "no picture at all").unwrap();
    let refused = |code: i32, args: &[&OsStr], words: &[&str]| {
        expect(code, args);
        let said = complaint(args);
        for word in words {
            assert!(said.contains(word), "{said:?} without {word:?}");
        }
        assert!(!out.exists());
    };
    for file in [&text, &bench.store().join("text")] {
        refused(
            1,
            &args(file, "4", &out, &[]),
            &["text: not a picture", "hint: only pictures"],
        );
        refused(
            2,
            &args(file, "17", &out, &["--of", "16"]),
            &["--keep 17", "16 chunks"],
        );
        refused(
            2,
            &args(file, "5", &out, &["--of", "4"]),
            &["--keep 5", "4 chunks"],
        );
        refused(2, &args(file, "0", &out, &[]), &["0"]);
        refused(2, &args(file, "256", &out, &[]), &["256"]);
        refused(
            2,
            &args(file, "4", &out, &["--profile", "17/16"]),
            &["17/16"],
        );
    }
    let dirs: [PathBuf; 2] = [bench.path("plain"), bench.store()];
    refused(
        1,
        &args(&dirs[0], "4", &out, &[]),
        &["plain: is a directory"],
    );
    refused(1, &args(&dirs[1], "4", &out, &[]), &["not a regular file"]);
    refused(
        10,
        &args(&bench.path("none"), "4", &out, &[]),
        &["none: no such file"],
    );
    refused(
        10,
        &args(&bench.store().join("none"), "4", &out, &[]),
        &["none: no such file"],
    );
    let inside = bench.store().join("out");
    expect(1, &args(&text, "4", &inside, &[]));
    assert!(complaint(&args(&text, "4", &inside, &[])).contains("lies in a store\nhint: mount"));
    fs::write(&out, "mine").unwrap();
    let said = complaint(&args(&text, "4", &out, &[]));
    assert!(
        said.ends_with("out: file exists\nhint: --overwrite replaces it\n"),
        "{said}"
    );
    assert_eq!(fs::read(&out).unwrap(), b"mine");
    let file = bench.path("in.ppm");
    fs::write(&file, picture(40, 30)).unwrap();
    fs::remove_file(&out).unwrap();
    let few = ["--profile", "none"];
    refused(
        2,
        &args(&file, "2", &out, &few),
        &["--keep 2, and there are 1 chunks"],
    );
}
