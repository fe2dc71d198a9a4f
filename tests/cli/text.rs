//! Text in a store: grep, wc and diff beside the tools whose names they have, on the same files.

#![allow(clippy::print_stdout, reason = "seeds of random tests")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench::{Bench, complaint, expect, holofs, noise, words};

/// Random numbers, from a seed that is printed.
struct Rng(u64);

impl Rng {
    fn printed() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = u64::from(now.unwrap().subsec_nanos()) | 1;
        println!("seed {seed}");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[usize::try_from(self.below(some.len() as u64)).unwrap()]
    }
}

/// What a tool of the system prints, run in a directory; its exit code.
fn tool(dir: &Path, name: &str, args: &[&str]) -> (Vec<u8>, i32) {
    let output = Command::new(name)
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    (output.stdout, output.status.code().unwrap())
}

/// What a verb prints, run in a directory; its exit code.
fn ours(dir: &Path, args: &[&str]) -> (Vec<u8>, i32) {
    let output = Command::new(crate::bench::BIN)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaint, "", "{args:?}");
    (output.stdout, output.status.code().unwrap())
}

/// A log of so many lines, some of them without an end of their own kind.
fn log(rng: &mut Rng, lines: u64) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..lines {
        let what = rng.of(&[
            "error",
            "Warning",
            "ok",
            "",
            "caf\u{e9} \u{2014}",
            "x86 0x7f\t tab",
            "  indented  ",
        ]);
        let line = match rng.below(50) {
            0 => String::new(),
            1 => "long ".repeat(3000),
            _ => format!("{number} {what} {}", rng.below(1000)),
        };
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    if rng.below(2) == 0 {
        text.pop();
    }
    text
}

/// The same files encoded in the store `s` and as themselves in the directory `p`.
fn twins(bench: &Bench, files: &[(&str, Vec<u8>)]) -> PathBuf {
    let plain = bench.path("p");
    for (name, bytes) in files {
        let path = plain.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let all = plain.join(".");
    expect(
        0,
        &[
            OsStr::new("import"),
            all.as_os_str(),
            bench.store().as_os_str(),
        ],
    );
    plain
}

fn some_files(rng: &mut Rng) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("big", log(rng, 30_000)),
        ("small", b"1 error\n2 ok\n\n3 Warning".to_vec()),
        ("empty", Vec::new()),
        ("d/one", log(rng, 3000)),
        ("d/deep/two", log(rng, 1000)),
    ]
}

#[test]
fn grep_finds_what_grep_finds() {
    let mut rng = Rng::printed();
    let bench = Bench::new();
    let plain = twins(&bench, &some_files(&mut rng));
    let store = bench.store();
    assert!(store.join("big.holo").exists() && store.join("small").exists());
    let patterns = [
        "error",
        "ok 9",
        "^$",
        "^[0-9]+ (ok|error) 1",
        "7$",
        "(ab)+",
        r"\bok\b",
        "long long",
        ".",
        "tab|x8",
        "warning",
        "[[:upper:]]",
        "nowhere at all",
    ];
    for pattern in patterns {
        for options in [
            &[][..],
            &["-n"],
            &["-c"],
            &["-l"],
            &["-i"],
            &["-i", "-n"],
            &["-i", "-c"],
        ] {
            for paths in [&["."][..], &["big"], &["small", "d/one"], &["d", "empty"]] {
                let mut args = vec!["-aE"];
                if paths.iter().any(|path| [".", "d"].contains(path)) {
                    args.push("-r");
                }
                args.extend(options);
                args.push(pattern);
                args.extend(paths);
                let (wanted, code) = tool(&plain, "grep", &args);
                let mut args = vec!["grep"];
                args.extend(options);
                args.push(pattern);
                args.extend(paths);
                let (found, our_code) = ours(&store, &args);
                // A directory's files come in another order.
                let sorted = |text: &[u8]| {
                    let mut lines: Vec<Vec<u8>> =
                        text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                    lines.sort();
                    lines
                };
                assert_eq!(code, our_code, "{args:?}");
                assert!(sorted(&found) == sorted(&wanted), "{args:?}");
            }
        }
    }
}

#[test]
fn grep_says_what_is_no_text_and_cuts_long_lines() {
    let bench = Bench::new();
    let mut late = words(400_000);
    late.extend_from_slice(b"\nlast\nnul\0nul last\nlast\n");
    let long = [words(200_000), b"end".to_vec()].concat();
    let mut nul = noise(300_000);
    nul.extend_from_slice(b"\nlast\n");
    twins(&bench, &[("late", late), ("long", long), ("nul", nul)]);
    let store = bench.store();
    assert_eq!(
        ours(&store, &["grep", "-n", "^last", "late"]).0,
        b"2:last\nlate: binary file matches\n"
    );
    assert_eq!(
        ours(&store, &["grep", "^last$", "nul"]),
        (b"nul: binary file matches\n".to_vec(), 0)
    );
    assert_eq!(ours(&store, &["grep", "-c", "^last$", "nul"]).0, b"1\n");
    let (text, code) = ours(&store, &["grep", "end$", "long"]);
    assert_eq!(code, 0);
    assert!(
        text.starts_with(&words(64 << 10)) && text.ends_with(b" [134467 more bytes]\n"),
        "{}",
        text.len()
    );
    let rows = ours(&store, &["grep", "--json", "^last", "late"]).0;
    let rows: Value = serde_json::from_slice(&rows).unwrap();
    assert_eq!(rows[0]["path"], "late");
    assert_eq!(rows[0]["line"], 2);
    assert_eq!(rows[0]["offset"], 400_001);
    assert_eq!(rows[0]["text"], "last");
    assert_eq!(rows[1]["binary"], true);
    let nothing = ours(&store, &["grep", "--json", "nowhere", "."]);
    assert_eq!(nothing, (b"[]\n".to_vec(), 1));
    expect(2, &[OsStr::new("grep"), OsStr::new("("), store.as_os_str()]);
    expect(
        10,
        &[
            OsStr::new("grep"),
            OsStr::new("x"),
            store.join("none").as_os_str(),
        ],
    );
}

#[test]
fn a_lost_file_is_named_and_the_others_are_searched_counted_and_compared() {
    let bench = Bench::with_policy("[defaults]\nprofile = \"standard\"\nlayout = \"spread\"");
    bench.put("f", &words(300_000));
    bench.put("g", &words(200_000));
    let store = bench.store();
    for chunk in fs::read_dir(store.join("f.holo")).unwrap().take(9) {
        fs::remove_file(chunk.unwrap().path()).unwrap();
    }
    let path = |name: &str| store.join(name).into_os_string();
    let grep: Vec<OsString> = vec![
        "grep".into(),
        "-c".into(),
        "word".into(),
        store.clone().into(),
    ];
    assert_eq!(
        expect(6, &grep),
        format!("{}:1\n", store.join("g").display())
    );
    assert!(complaint(&grep).contains(&store.join("f").display().to_string()));
    let wc: Vec<OsString> = vec!["wc".into(), "-l".into(), path("f"), path("g")];
    let counted = expect(6, &wc);
    assert!(
        counted.contains("0 total") && counted.lines().count() == 2,
        "{counted}"
    );
    let diff: Vec<OsString> = vec!["diff".into(), path("g"), path("f")];
    expect(6, &diff);
    assert!(complaint(&diff).contains(&store.join("f").display().to_string()));
}

#[test]
fn wc_counts_what_wc_counts() {
    let mut rng = Rng::printed();
    let bench = Bench::new();
    let mut files = some_files(&mut rng);
    // Bytes of any kind. Before coreutils 9.5 runs of what cannot be printed were no words.
    let (probe, _) = tool(Path::new("/"), "sh", &["-c", r"printf '\200' | wc -w"]);
    let all = String::from_utf8_lossy(&probe).trim() == "1";
    let spaces = [b' ', b'\t', b'\n', 11, 12, b'\r'];
    let mut bytes = Vec::new();
    while bytes.len() < 500_000 {
        bytes.push(if all { 200 } else { b'a' });
        for _ in 0..rng.below(20) {
            match u8::try_from(rng.below(256)).unwrap() {
                byte if spaces.contains(&byte) => {}
                byte => bytes.push(byte),
            }
        }
        for _ in 0..=rng.below(3) {
            bytes.push(*rng.of(&spaces));
        }
    }
    files.push(("any", bytes));
    let replaced = "caf\u{e9} \u{2014}";
    for (_, bytes) in &mut files {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let text = text.replace(replaced, if all { replaced } else { "caf\u{e9} a\u{2014}" });
            *bytes = text.into_bytes();
        }
    }
    let plain = twins(&bench, &files);
    let store = bench.store();
    assert!(store.join("any.holo").exists());
    for options in [
        &[][..],
        &["-l"],
        &["-w"],
        &["-c"],
        &["-l", "-c"],
        &["-w", "-l"],
    ] {
        for paths in [
            &["big"][..],
            &["empty"],
            &["any", "big", "small", "empty", "d/one"],
            &["any"],
        ] {
            let args: Vec<&str> = options.iter().chain(paths).copied().collect();
            let (wanted, _) = tool(&plain, "wc", &args);
            let mut args = args;
            args.insert(0, "wc");
            let (found, code) = ours(&store, &args);
            assert_eq!(code, 0);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(text(&found), text(&wanted), "{args:?}");
        }
    }
    let (found, _) = ours(&store, &["wc", "--json", "-m", "-c", "big"]);
    let rows: Value = serde_json::from_slice(&found).unwrap();
    let big = fs::read(plain.join("big")).unwrap();
    assert_eq!(rows[0]["bytes"], big.len());
    assert_eq!(
        rows[0]["chars"],
        String::from_utf8(big).unwrap().chars().count()
    );
    assert!(rows[0]["lines"].is_null());
    expect(1, &[OsStr::new("wc"), store.as_os_str()]);
}

#[test]
fn patch_takes_what_diff_prints() {
    let mut rng = Rng::printed();
    let bench = Bench::new();
    let first = log(&mut rng, 20_000);
    let mut lines: Vec<Vec<u8>> = first
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for _ in 0..25 {
        let at = usize::try_from(rng.below(lines.len() as u64)).unwrap();
        match rng.below(3) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, b"inserted\n".to_vec()),
            _ => lines[at] = b"changed\n".to_vec(),
        }
    }
    let second = lines.concat();
    let files = [
        ("a", first.clone()),
        ("b", second.clone()),
        ("c", first),
        ("none", Vec::new()),
        ("bare", b"no end of line".to_vec()),
        ("ended", b"first\nno end of line\n".to_vec()),
    ];
    let plain = twins(&bench, &files);
    let store = bench.store();
    assert_eq!(ours(&store, &["diff", "a", "c"]), (Vec::new(), 0));
    for (from, to) in [
        ("a", "b"),
        ("b", "a"),
        ("none", "a"),
        ("a", "none"),
        ("bare", "ended"),
        ("ended", "bare"),
    ] {
        let (text, code) = ours(&store, &["diff", from, to]);
        assert_eq!(code, 1);
        let (patch, made) = (bench.path("patch"), bench.path("made"));
        fs::write(&patch, &text).unwrap();
        fs::copy(plain.join(from), &made).unwrap();
        let patch = ["--silent", "--force", "made", "patch"];
        let (said, code) = tool(bench.dir.path(), "patch", &patch);
        assert_eq!(code, 0, "{}", String::from_utf8_lossy(&said));
        let wanted = fs::read(plain.join(to)).unwrap();
        // patch(1) removes what becomes empty.
        assert!(fs::read(&made).unwrap_or_default() == wanted, "{from} {to}");
        // As few lines as diff changes, or not many more.
        let (theirs, _) = tool(&plain, "diff", &["-u", from, to]);
        let changed = |text: &[u8]| {
            let lines = text.split(|b| *b == b'\n').skip(2);
            lines
                .filter(|line| line.starts_with(b"+") || line.starts_with(b"-"))
                .count()
        };
        assert!(changed(&text) <= changed(&theirs) + 4, "{from} {to}");
    }
}

#[test]
fn diff_names_what_differs_in_directories() {
    let bench = Bench::new();
    let big = words(100_000);
    let mut other = big.clone();
    other[70_000] ^= 1;
    let mut binary = noise(50_000);
    let files = [
        ("a/same", big.clone()),
        ("b/same", big.clone()),
        ("a/differs", big.clone()),
        ("b/differs", other),
        ("a/only", b"x".to_vec()),
        ("b/d/only", b"x".to_vec()),
        ("a/d/x", b"x".to_vec()),
        ("b/d/x", b"y".to_vec()),
        ("a/left/f", b"x".to_vec()),
        ("a/bin", binary.clone()),
        ("b/bin", {
            binary[40_000] ^= 1;
            binary
        }),
    ];
    let plain = twins(&bench, &files);
    let store = bench.store();
    assert!(store.join("a/differs.holo").exists());
    let (wanted, code) = tool(&plain, "diff", &["-rq", "a", "b"]);
    let (found, our_code) = ours(&store, &["diff", "a", "b"]);
    assert_eq!(
        String::from_utf8_lossy(&found),
        String::from_utf8_lossy(&wanted)
    );
    assert_eq!(code, our_code);
    assert_eq!(ours(&store, &["diff", "a", "a"]), (Vec::new(), 0));
    let differ = b"Binary files a/bin and b/bin differ\n".to_vec();
    assert_eq!(ours(&store, &["diff", "a/bin", "b/bin"]), (differ, 1));
    let rows: Value =
        serde_json::from_slice(&ours(&store, &["diff", "--json", "a", "b"]).0).unwrap();
    let row = |name: &str| {
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["a"]["path"] == name).unwrap()
    };
    assert_eq!(row("a/bin")["first_difference"], 40_000);
    assert_eq!(row("a/differs")["first_difference"], 70_000);
    assert!(row("a/left")["b"].is_null());
    let verbose = holofs(&[
        OsStr::new("diff"),
        OsStr::new("-v"),
        store.join("a/bin").as_os_str(),
        store.join("b/bin").as_os_str(),
    ]);
    let text = String::from_utf8_lossy(&verbose.stderr).into_owned();
    assert!(text.contains("40000"), "{text}");
    let (text, code) = ours(&store, &["diff", "a/d", "a/only"]);
    assert_eq!(
        (text.as_slice(), code),
        (
            &b"File a/d is a directory while file a/only is a file\n"[..],
            1
        )
    );
}
