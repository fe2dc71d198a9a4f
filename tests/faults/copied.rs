//! The store is listed, archived and copied by other programs.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::bench::{Bench, WHEN_TOLD, has, names_in, tool};

/// Files that are encoded while others list them.
const MANY: usize = 1000;

/// Copies of the store as it is in use: names that an archive of it has, in either form.
fn archived(store: &Path) -> BTreeSet<String> {
    // 1: a file changed while it was read, which the others of the archive do not suffer from.
    let output = Command::new("tar")
        .args(["-c", "--exclude=./.holofs", "-f", "-", "-C"])
        .arg(store)
        .arg(".")
        .output()
        .unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{:?}",
        output.status
    );
    let archive = store.with_extension("tar");
    fs::write(&archive, output.stdout).unwrap();
    tool(Command::new("tar").arg("-tf").arg(archive))
        .lines()
        .map(|line| line.trim_start_matches("./").trim_end_matches(".holo"))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Turning x into x.holo while others listed the directory once made 63 of 63 listings miss names.
#[test]
fn no_name_is_ever_missing_while_files_are_encoded() {
    if !has("tar", &["--version"]) {
        return;
    }
    let policy = "version = 1\n[defaults]\nmin_size = \"1B\"\n";
    let Some(bench) = Bench::new(policy) else {
        return;
    };
    let names: BTreeSet<String> = (0..MANY).map(|n| format!("file{n}")).collect();
    // Put there before the mount, as by a restore.
    for name in &names {
        fs::write(bench.path("s").join(name), name.repeat(20)).unwrap();
    }
    let daemon = bench.mount();
    let settled = AtomicBool::new(false);
    let all = |found: BTreeSet<String>, by: &str| {
        let missing: Vec<_> = names.difference(&found).collect();
        assert!(missing.is_empty(), "{by}: {missing:?}");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            bench.settle();
            settled.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !settled.load(Ordering::Relaxed) {
                let found = archived(&bench.path("s"));
                // Both forms stay for a while, unless `settle` takes the plain ones away: it is doing that now.
                if names
                    .iter()
                    .any(|name| !bench.path("s").join(name).exists())
                {
                    break;
                }
                all(found, "tar of the store");
            }
        });
        while !settled.load(Ordering::Relaxed) {
            all(names_in(&bench.path("m")), "ls of the mount");
        }
    });
    assert_eq!(names_in(&bench.path("m")), names);
    assert_eq!(archived(&bench.path("s")), names);
    daemon.unmount();
}

fn put(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text.repeat(1000)).unwrap();
}

fn add(dir: &Path, name: &str, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(dir.join(name))
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// "Copying the store with any tool that keeps names and bytes is a backup of everything", also onto an older backup
/// from which nothing is removed: there a name may have two contents.
#[test]
fn a_copy_over_an_older_copy_shows_the_newest_and_loses_nothing() {
    if !has("rsync", &["--version"]) {
        return;
    }
    let Some(bench) = Bench::new(WHEN_TOLD) else {
        return;
    };
    let dir = bench.path("m");
    let daemon = bench.mount();
    for name in ["to-plain", "packed", "spread", "spread-to-plain", "gone"] {
        put(&dir, name, "old ");
    }
    bench.settle();
    for name in ["to-set", "same", "spread-to-set"] {
        put(&dir, name, "old ");
    }
    daemon.unmount();
    let copy = Bench::copy_of(&bench);
    // The copy is a day old: rsync compares whole seconds.
    tool(Command::new("find").arg(copy.path("s")).args([
        "-exec",
        "touch",
        "-h",
        "-d",
        "yesterday",
        "{}",
        "+",
    ]));
    let daemon = bench.mount();
    for name in ["packed", "spread", "to-set", "spread-to-set"] {
        put(&dir, name, "new ");
    }
    fs::remove_file(dir.join("gone")).unwrap();
    bench.settle();
    put(&dir, "to-plain", "new ");
    add(&dir, "spread-to-plain", "new");
    let shown = |bench: &Bench| -> Vec<(String, Vec<u8>)> {
        let dir = bench.path("m");
        let names = names_in(&dir).into_iter();
        names
            .map(|name| (name.clone(), fs::read(dir.join(&name)).unwrap()))
            .collect()
    };
    let mut expected = shown(&bench);
    daemon.unmount();
    let from = format!("{}/", bench.path("s").display());
    tool(
        Command::new("rsync")
            .arg("-a")
            .arg(from)
            .arg(copy.path("s")),
    );

    let daemon = copy.mount();
    expected.push(("gone".to_owned(), b"old ".repeat(1000)));
    expected.sort();
    assert!(shown(&copy) == expected, "the newest of each name");
    copy.settle();
    assert!(shown(&copy) == expected, "settled");
    daemon.unmount();
    // Four names had two contents; of `same` both forms had one.
    let kept = copy.entries(".holofs/lost+found");
    assert_eq!(kept.len(), 4, "{kept:?}");
    for name in ["to-set", "spread-to-set"] {
        let entry = kept.iter().find(|entry| entry.contains(name)).unwrap();
        let old = fs::read(copy.path("s/.holofs/lost+found").join(entry));
        assert!(old.unwrap() == b"old ".repeat(1000), "{name}");
    }
}
