//! The commands as a user meets them, without a mount: output, exit codes, what they do to files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "tests may panic"
)]

mod bench;
mod copies;
mod degrade;
mod dict;
mod pictures;
mod show;
mod solid;
mod stack;
mod text;
mod variant;
mod versions;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use bench::{BIN, Bench, complaint, expect, words};

#[test]
fn what_is_no_store_is_refused_with_10_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let (bare, file) = (dir.path().join("bare"), dir.path().join("file"));
    let (mnt, none) = (dir.path().join("mnt"), dir.path().join("none"));
    fs::create_dir(&bare).unwrap();
    fs::create_dir(&mnt).unwrap();
    fs::write(&file, "x").unwrap();
    for store in [&bare, &file, &none] {
        expect(
            10,
            &[OsStr::new("mount"), store.as_os_str(), mnt.as_os_str()],
        );
        for verb in [
            "scrub", "settle", "status", "why", "ls", "show", "cat", "wc", "doctor",
        ] {
            expect(10, &[OsStr::new(verb), store.as_os_str()]);
        }
    }
    let text = complaint(&[OsStr::new("scrub"), bare.as_os_str()]);
    assert!(text.starts_with("holofs: "), "{text}");
    assert!(text.contains("bare"), "{text}");
    assert!(text.contains("\nhint: "), "{text}");
}

#[test]
fn wrong_arguments_are_usage_errors() {
    expect(2, &["mount"]);
    expect(2, &["no-such-verb"]);
    expect(2, &["ls", "--no-such-option", "/"]);
    expect(2, &["convert", "/x"]);
    expect(2, &["convert", "/x", "--profile", "17/16"]);
    expect(2, &["mount", "-o", "frobnicate", "/s", "/m"]);
    expect(2, &[] as &[&str]);
    expect(0, &["--help"]);
    expect(0, &["--version"]);
}

#[test]
fn help_man_pages_and_completions_have_the_same_verbs() {
    let help = expect(0, &["--help"]);
    let listed: BTreeSet<String> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split(' ')
                .next()
                .map(str::to_owned)
        })
        .filter(|verb| !verb.is_empty() && verb != "help")
        .collect();
    let wanted = [
        "init",
        "mount",
        "umount",
        "settle",
        "status",
        "why",
        "ls",
        "show",
        "cat",
        "grep",
        "wc",
        "diff",
        "import",
        "export",
        "convert",
        "dict",
        "variant",
        "scrub",
        "degrade",
        "stack",
        "doctor",
        "completions",
        "man",
    ];
    assert_eq!(listed, wanted.iter().map(ToString::to_string).collect());

    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    expect(0, &[OsStr::new("man"), pages.as_os_str()]);
    for verb in &listed {
        let page = fs::read_to_string(pages.join(format!("holofs-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{verb}");
        assert!(
            !page.contains("serve"),
            "a hidden option in the manual of {verb}"
        );
    }
    // One for the program, and for what `dict` and `variant` do.
    let more = [
        "",
        "-dict-build",
        "-dict-list",
        "-dict-gc",
        "-variant-add",
        "-variant-list",
        "-variant-remove",
    ];
    for page in more {
        assert!(pages.join(format!("holofs{page}.1")).exists(), "{page}");
    }
    let count = fs::read_dir(&pages).unwrap().count();
    assert_eq!(count, listed.len() + more.len());
    for shell in ["bash", "zsh", "fish"] {
        let script = expect(0, &["completions", shell]);
        for verb in &listed {
            assert!(script.contains(verb.as_str()), "{verb} in {shell}");
        }
    }
    if let Ok(readme) = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")) {
        for word in readme.split("holofs ").skip(1) {
            let verb: String = word.chars().take_while(char::is_ascii_lowercase).collect();
            let called = word.as_bytes().get(verb.len()) == Some(&b' ');
            let upper = word
                .split(' ')
                .nth(1)
                .is_some_and(|w| w.starts_with(char::is_uppercase));
            assert!(
                !called || !upper || listed.contains(&verb),
                "README has holofs {verb}"
            );
        }
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(BIN)
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut text = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text, "");
}

#[test]
fn init_adopts_a_directory_and_refuses_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s");
    fs::create_dir_all(store.join("d")).unwrap();
    fs::write(store.join("d/x.holo"), "ours only by name").unwrap();
    fs::write(store.join("plain"), "p").unwrap();
    let init = [OsStr::new("init"), store.as_os_str()];
    expect(0, &init);
    assert_eq!(
        expect(0, &[OsStr::new("ls"), store.as_os_str()]),
        "d\nplain\n"
    );
    let inner = store.join("d");
    assert_eq!(
        expect(0, &[OsStr::new("ls"), inner.as_os_str()]),
        "x.holo\n"
    );
    let file = store.join("d/x.holo");
    assert_eq!(
        expect(0, &[OsStr::new("cat"), file.as_os_str()]),
        "ours only by name"
    );
    expect(1, &init);
    expect(1, &[OsStr::new("init"), inner.as_os_str()]);
}

/// `init` refused to finish what an interrupted `init` had begun, and everything else took it for a store.
#[test]
fn an_interrupted_init_is_finished_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s");
    fs::create_dir_all(store.join(".holofs")).unwrap();
    fs::write(store.join("x.holo"), "ours only by name").unwrap();
    fs::write(store.join(".holofs/adoption"), "").unwrap(); // torn: nothing was renamed yet
    let ls = [OsStr::new("ls"), store.as_os_str()];
    expect(10, &ls);
    expect(0, &[OsStr::new("init"), store.as_os_str()]);
    assert_eq!(expect(0, &ls), "x.holo\n");
    // A store that only lost its policy file is no directory to be adopted: its sets would be escaped.
    fs::remove_file(store.join(".holofs/store.toml")).unwrap();
    expect(1, &[OsStr::new("init"), store.as_os_str()]);
    assert_eq!(expect(0, &ls), "x.holo\n");
}

#[test]
fn a_policy_error_is_named_with_its_line() {
    let bench = Bench::with_policy("[defaults]\nno_such_key_here = 1");
    let store = bench.store();
    let args = [OsStr::new("settle"), store.as_os_str()];
    expect(1, &args);
    let text = complaint(&args);
    assert!(
        text.contains("no_such_key_here") && text.contains('3'),
        "{text}"
    );
    assert!(text.contains("store.toml"), "{text}");
}

#[test]
fn one_writer_at_a_time_and_readers_beside_it() {
    let bench = Bench::new();
    bench.put("f", &words(9000));
    let lock = fs::File::options()
        .read(true)
        .write(true)
        .open(bench.store().join(".holofs/lock"))
        .unwrap();
    lock.lock().unwrap();
    fs::write(
        bench.store().join(".holofs/lock"),
        "`holofs mount /s /m` (pid 7)\n",
    )
    .unwrap();
    let store = bench.store();
    for args in [["settle", ""], ["import", "/etc/hostname"]] {
        let mut args: Vec<&OsStr> = args
            .iter()
            .filter(|a| !a.is_empty())
            .map(OsStr::new)
            .collect();
        args.push(store.as_os_str());
        expect(11, &args);
        let text = complaint(&args);
        assert!(text.contains("`holofs mount /s /m` (pid 7)"), "{text}");
        assert!(text.contains("hint: "), "{text}");
    }
    assert_eq!(bench.status(0, &store).len(), 1);
    drop(lock);
    expect(0, &[OsStr::new("settle"), store.as_os_str()]);
}

#[test]
fn status_gives_paths_as_they_were_given() {
    let bench = Bench::with_policy("[defaults]\nprofile = \"standard\"\nlayout = \"spread\"");
    bench.put("f", &words(300_000));
    bench.put("small", b"x");
    let rows = bench.status(0, &bench.store());
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["f", "small"]);
    let f = &rows[0].1;
    assert_eq!(f["state"], "exact");
    assert_eq!(f["size"], 300_000);
    assert_eq!(f["chunks"]["total"], 16);
    assert_eq!(f["chunks"]["have"], 16);
    assert!(f["stored"].as_u64().unwrap() > 0);
    assert!(f["quality_db"].is_null());
    assert_eq!(rows[1].1["state"], "plain");
    assert_eq!(bench.status(0, &bench.store().join("f"))[0].0, "f");
    let output = Command::new(BIN)
        .args(["status", "--json", "s/f", "s/none", "s/small"])
        .current_dir(bench.dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(10));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows[0]["path"], "s/f");
    assert_eq!(rows[1]["path"], "s/small");
}

#[test]
fn names_are_one_line_each_and_nothing_is_coloured_in_a_pipe() {
    let bench = Bench::new();
    bench.put("new\nline", b"x");
    let store = bench.store();
    assert_eq!(
        expect(0, &[OsStr::new("ls"), store.as_os_str()]),
        "\"new\\nline\"\n"
    );
    let listed = expect(0, &[OsStr::new("ls"), OsStr::new("-l"), store.as_os_str()]);
    assert!(listed.starts_with("-rw"), "{listed}");
    let status = expect(0, &[OsStr::new("status"), store.as_os_str()]);
    assert!(
        !status.contains('\x1b') && status.lines().count() == 1,
        "{status}"
    );
    // JSON has the bytes of a name that is no text.
    bench.put_as(OsStr::from_bytes(b"\xff"), b"x");
    let json = ["ls", "--json"].map(OsStr::new);
    let rows: Value =
        serde_json::from_str(&expect(0, &[json[0], json[1], store.as_os_str()])).unwrap();
    assert_eq!(rows[0]["path"], "new\nline");
    assert_eq!(rows[1]["path_hex"], "ff");
    let colour = ["status", "--color=always"].map(OsStr::new);
    assert!(expect(0, &[colour[0], colour[1], store.as_os_str()]).contains('\x1b'));
}

/// The chunk files of a spread set.
fn chunks(set: &Path) -> Vec<PathBuf> {
    let mut chunks: Vec<PathBuf> = fs::read_dir(set)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().as_bytes().starts_with(b"chunk_"))
        .collect();
    chunks.sort();
    chunks
}

#[test]
fn scrub_names_damage_and_the_exit_code_says_how_bad_it_is() {
    let bench = Bench::with_policy("[defaults]\nprofile = \"standard\"\nlayout = \"spread\"");
    bench.put("f", &words(300_000));
    bench.put("g", &words(200_000));
    let (store, out) = (bench.store(), bench.path("out"));
    let scrub = [OsStr::new("scrub"), store.as_os_str()];
    assert_eq!(expect(0, &scrub), "");
    let set = chunks(&store.join("f.holo"));
    let name = format!("{}\n", store.join("f").display());

    // One flipped bit in one chunk: found by reading all of it.
    let mut bytes = fs::read(&set[3]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&set[3], &bytes).unwrap();
    assert_eq!(expect(4, &scrub), name);
    fs::remove_file(&set[0]).unwrap();
    assert_eq!(expect(4, &scrub), name);
    bench.status(4, &store);
    let file = store.join("f");
    assert_eq!(
        expect(0, &[OsStr::new("cat"), file.as_os_str()]).len(),
        300_000
    );

    // Below what is needed: the file is lost, the other is not.
    for chunk in &set[1..3] {
        fs::remove_file(chunk).unwrap();
    }
    assert_eq!(expect(6, &scrub), name);
    bench.status(6, &store);
    expect(6, &[OsStr::new("cat"), file.as_os_str()]);
    let export = [OsStr::new("export"), store.as_os_str(), out.as_os_str()];
    expect(6, &export);
    assert_eq!(fs::read(out.join("g")).unwrap(), words(200_000));
    assert_eq!(
        fs::read_dir(&out).unwrap().count(),
        1,
        "something half-written is left"
    );
}

#[test]
fn convert_changes_layout_and_profile_and_keeps_the_content() {
    let bench = Bench::new();
    let body = words(100_000);
    bench.put("f", &body);
    let (store, file) = (bench.store(), bench.store().join("f"));
    assert!(store.join("f.holo").is_file());
    let convert = |options: &[&str]| {
        let mut args = vec![OsStr::new("convert"), file.as_os_str()];
        args.extend(options.iter().map(OsStr::new));
        expect(0, &args);
        assert_eq!(
            expect(0, &[OsStr::new("cat"), file.as_os_str()]).as_bytes(),
            body
        );
    };
    convert(&["--layout", "spread", "--profile", "strong"]);
    assert_eq!(chunks(&store.join("f.holo")).len(), 16);
    assert_eq!(bench.status(0, &file)[0].1["chunks"]["need"], 12);
    convert(&["--layout", "packed"]);
    assert!(store.join("f.holo").is_file());
    convert(&["--codec", "plain"]);
    assert_eq!(fs::read(&file).unwrap(), body);
    assert_eq!(bench.status(0, &file)[0].1["state"], "plain");
    expect(0, &[OsStr::new("settle"), store.as_os_str()]);
    assert_eq!(
        fs::read(&file).unwrap(),
        body,
        "settle undoes what was asked"
    );
}

#[test]
fn why_and_show_tell_about_one_file() {
    let bench = Bench::new();
    bench.put("f", &words(100_000));
    bench.put("tiny", b"x");
    let (file, tiny) = (bench.store().join("f"), bench.store().join("tiny"));
    let why = expect(0, &[OsStr::new("why"), file.as_os_str()]);
    assert!(why.contains("exact (template): "), "{why}");
    assert!(why.contains("policy: defaults"), "{why}");
    let why: Value = serde_json::from_str(&expect(
        0,
        &[OsStr::new("why"), OsStr::new("--json"), tiny.as_os_str()],
    ))
    .unwrap();
    assert_eq!(why["state"], "plain");
    assert!(!why["reason"].as_str().unwrap().is_empty());
    let show = expect(0, &[OsStr::new("show"), file.as_os_str()]);
    for word in [
        "100000 bytes",
        "stored",
        "chunks",
        "layer",
        "hash",
        "set",
        "exact",
    ] {
        assert!(show.contains(word), "{show}");
    }
    let store = bench.store();
    expect(1, &[OsStr::new("why"), store.as_os_str()]);
    expect(0, &[OsStr::new("doctor"), store.as_os_str()]);
}
