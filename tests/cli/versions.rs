//! Versions of a tree: what they have in common is kept once, without anybody asking for it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::bench::{Bench, complaint, expect};

/// Files of a version.
const FILES: u32 = 20;

/// Numbers that look random, others for each seed.
fn numbers(seed: u32) -> impl Iterator<Item = u32> {
    let mut state = u64::from(seed) * 2 + 1;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 40).unwrap()
    })
}

/// File `i` of a version, in lines; each version has changed some of those before it.
fn file(version: u32, i: u32) -> String {
    let mut lines: Vec<String> = numbers(i)
        .take(3000)
        .map(|n| format!("let value{} = state{};\n", n % 1000, n / 1000 % 1000))
        .collect();
    for version in 1..=version {
        for n in numbers(1000 * version + i).take(60) {
            let at = n as usize % lines.len();
            lines[at] = format!("// changed in {version}: {n}\n");
        }
    }
    lines.concat()
}

fn put(dir: &Path, version: u32) {
    fs::create_dir_all(dir).unwrap();
    for i in 0..FILES {
        let path = dir.join(format!("{i}.src"));
        fs::write(&path, file(version, i)).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + u64::from(i));
        let handle = fs::File::options().append(true).open(&path).unwrap();
        handle.set_modified(then).unwrap();
    }
}

fn json(code: i32, args: &[&OsStr]) -> Value {
    let mut all = vec![OsStr::new("--json")];
    all.extend(args);
    serde_json::from_str(&expect(code, &all)).unwrap()
}

fn settle(store: &Path) {
    expect(0, &["settle".as_ref(), "-q".as_ref(), store.as_os_str()]);
}

/// Bytes of all files below a directory.
fn bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            meta if meta.is_dir() => bytes(&entry.path()),
            meta => meta.len(),
        })
        .sum()
}

fn dictionaries(store: &Path) -> Vec<Value> {
    let listed = json(0, &["dict".as_ref(), "list".as_ref(), store.as_os_str()]);
    listed.as_array().unwrap().clone()
}

fn reads_back(store: &Path, name: &str, version: u32) {
    for i in 0..FILES {
        let path = store.join(name).join(format!("{i}.src"));
        let read = expect(0, &["cat".as_ref(), path.as_os_str()]);
        assert!(read == file(version, i), "{}", path.display());
    }
}

/// A store with two versions, settled.
fn two_versions() -> (Bench, PathBuf) {
    let bench = Bench::new();
    let store = bench.store();
    put(&store.join("1.0"), 0);
    put(&store.join("1.1"), 1);
    settle(&store);
    (bench, store)
}

#[test]
fn two_versions_take_little_more_than_one_and_a_third_finds_what_they_share() {
    let alone = Bench::new();
    put(&alone.store().join("1.0"), 0);
    settle(&alone.store());
    assert!(
        dictionaries(&alone.store()).is_empty(),
        "one version has nothing to share"
    );
    let one = bytes(&alone.store());

    let (bench, store) = two_versions();
    let both = bytes(&store);
    assert!(both * 10 < one * 15, "{one} bytes alone, {both} together");
    let made = dictionaries(&store);
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(
        (&made[0]["files"], &made[0]["intact"], &made[0]["public"]),
        (&(2 * FILES).into(), &true.into(), &true.into())
    );
    for entry in fs::read_dir(store.join(".holofs/dict")).unwrap() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap() {
            let mode = file.unwrap().metadata().unwrap().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    reads_back(&store, "1.0", 0);
    reads_back(&store, "1.1", 1);
    let some = store.join("1.1/3.src");
    let why = expect(0, &["why".as_ref(), some.as_os_str()]);
    assert!(why.contains("other files hold"), "{why}");

    // Nothing is left to do, and a third version uses what there is.
    settle(&store);
    assert_eq!(bytes(&store), both);
    put(&store.join("1.2"), 2);
    settle(&store);
    assert_eq!(dictionaries(&store).len(), 1);
    let three = bytes(&store);
    assert!((three - both) * 4 < one, "{both} bytes, then {three}");
    reads_back(&store, "1.2", 2);
    expect(0, &["scrub".as_ref(), store.as_os_str()]);

    // Times are those of the files.
    let out = bench.path("out");
    expect(0, &["export".as_ref(), store.as_os_str(), out.as_os_str()]);
    for i in 0..FILES {
        let meta = fs::metadata(out.join(format!("1.1/{i}.src")));
        let meta = meta.or_else(|_| fs::metadata(out.join(format!("s/1.1/{i}.src"))));
        assert_eq!(meta.unwrap().mtime(), 1_000_000_000 + i64::from(i));
    }
}

#[test]
fn what_only_some_may_read_is_not_shared_with_what_all_may() {
    let bench = Bench::new();
    let store = bench.store();
    put(&store.join("1.0"), 0);
    put(&store.join("1.1"), 1);
    for i in 0..FILES {
        let path = store.join(format!("1.1/{i}.src"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    settle(&store);
    assert!(dictionaries(&store).is_empty());
    put(&store.join("1.2"), 2);
    settle(&store);
    let made = dictionaries(&store);
    assert_eq!((made.len(), &made[0]["public"]), (1, &true.into()));
    assert_eq!(made[0]["files"], 2 * FILES, "{made:?}");
    reads_back(&store, "1.1", 1);
}

#[test]
fn a_file_whose_mode_changes_shares_with_others_from_then_on() {
    let bench = Bench::new();
    let store = bench.store();
    put(&store.join("1.0"), 0);
    put(&store.join("1.1"), 1);
    let mode = |name: &str, mode| {
        for i in 0..FILES {
            let path = store.join(format!("1.1/{i}.src{name}"));
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    mode("", 0o600);
    settle(&store);
    assert!(dictionaries(&store).is_empty());
    mode(".holo", 0o644);
    settle(&store);
    assert_eq!(dictionaries(&store)[0]["files"], 2 * FILES);
    reads_back(&store, "1.0", 0);
    reads_back(&store, "1.1", 1);
}

#[test]
fn a_lost_base_is_named_wherever_it_is_missed() {
    let (bench, store) = two_versions();
    let id = dictionaries(&store)[0]["id"].as_str().unwrap().to_owned();
    fs::write(
        store.join("other"),
        "has nothing to do with it\n".repeat(900),
    )
    .unwrap();
    settle(&store);
    let room = store.join(".holofs/dict");
    let set = fs::read_dir(&room).unwrap().next().unwrap().unwrap().path();
    let mut chunks: Vec<PathBuf> = fs::read_dir(&set)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("chunk")
        })
        .collect();
    chunks.sort();
    assert_eq!(chunks.len(), 16);
    // Four of sixteen may go, and scrub says that they are gone.
    let aside = bench.path("aside");
    fs::create_dir(&aside).unwrap();
    let moved = |path: &PathBuf| aside.join(path.file_name().unwrap());
    for chunk in &chunks[..4] {
        fs::rename(chunk, moved(chunk)).unwrap();
    }
    reads_back(&store, "1.1", 1);
    let scrubbed = expect(4, &["scrub".as_ref(), store.as_os_str()]);
    assert!(scrubbed.contains(&id), "{scrubbed}");
    fs::rename(&chunks[4], moved(&chunks[4])).unwrap();
    let file = store.join("1.0/7.src");
    let cat = ["cat".as_ref(), file.as_os_str()];
    expect(6, &cat);
    let said = complaint(&cat);
    assert!(said.contains(&id), "{said}");
    let status = expect(6, &["--json".as_ref(), "status".as_ref(), file.as_os_str()]);
    assert!(status.contains(&id), "{status}");
    let scrubbed = expect(6, &["scrub".as_ref(), store.as_os_str()]);
    assert!(
        scrubbed.contains("1.0/7.src") && scrubbed.contains(&id),
        "{scrubbed}"
    );
    let other = store.join("other");
    expect(0, &["cat".as_ref(), other.as_os_str()]);
    // Nothing is made of what cannot be read, and when it comes back everything is there.
    settle(&store);
    for chunk in &chunks[..5] {
        fs::rename(moved(chunk), chunk).unwrap();
    }
    expect(0, &["scrub".as_ref(), store.as_os_str()]);
    reads_back(&store, "1.0", 0);
    // Damage inside chunks that are all there is found by reading them.
    for chunk in &chunks[..5] {
        let mut bytes = fs::read(chunk).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(chunk, bytes).unwrap();
    }
    let scrubbed = expect(6, &["scrub".as_ref(), store.as_os_str()]);
    assert!(scrubbed.contains("1.0/7.src"), "{scrubbed}");
}

/// A log of one day: no line is like another, and all are alike.
fn log(day: u32) -> String {
    let mut lines = String::new();
    let mut numbers = numbers(7 * day + 3);
    let mut next = |below: u32| numbers.next().unwrap_or(0) % below;
    for second in 0..600 {
        let (minute, second) = (second / 60, second % 60);
        let what = ["accepted", "refused", "closed", "timed out"][next(4) as usize];
        writeln!(
            lines,
            "2026-{:02}-{:02}T11:{minute:02}:{second:02} gate{} relay[{}]: {what} connection from 10.{}.{}.{} port {}",
            day / 28 + 1,
            day % 28 + 1,
            next(9),
            1000 + next(9000),
            next(256),
            next(256),
            next(256),
            next(65536),
        )
        .unwrap();
    }
    lines
}

/// Logs have phrases in common and no long stretches: many of them get a dictionary, few do not.
#[test]
fn a_family_of_logs_gets_a_dictionary_by_itself() {
    let bench = Bench::new();
    let sizes = [20, 160].map(|days| {
        let store = bench.path(days.to_string());
        expect(0, &["init".as_ref(), store.as_os_str()]);
        for day in 0..days {
            fs::write(store.join(format!("{day}.log")), log(day)).unwrap();
        }
        settle(&store);
        let there = dictionaries(&store);
        assert_eq!(there.len(), usize::from(days > 100), "{there:?}");
        let policy = fs::metadata(store.join(".holofs/store.toml")).map_or(0, |meta| meta.len());
        (bytes(&store) - policy) / u64::from(days)
    });
    let [few, many] = sizes;
    assert!(many < few * 9 / 10, "{many} bytes a day instead of {few}");
    let store = bench.path("160");
    assert!(dictionaries(&store)[0]["files"].as_u64() > Some(100));
    // The next one is coded with it at once, and all of them read back.
    fs::write(store.join("next.log"), log(200)).unwrap();
    settle(&store);
    assert!(dictionaries(&store)[0]["files"].as_u64() > Some(100));
    assert_eq!(dictionaries(&store).len(), 1);
    for (name, day) in [("0.log", 0), ("159.log", 159), ("next.log", 200)] {
        let path = store.join(name);
        assert!(
            expect(0, &["cat".as_ref(), path.as_os_str()]) == log(day),
            "{name}"
        );
    }
}
