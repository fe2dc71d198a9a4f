//! The daemon is killed at a chosen system call, while one script of operations runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::bench::{Bench, WHEN_TOLD, can_trace, until};
use crate::model::Model;

/// Files that are encoded before the script begins.
const ENCODED: [&str; 8] = [
    "appended",
    "cut",
    "emptied",
    "gone",
    "saved",
    "spread-appended",
    "spread-gone",
    "spread-saved",
];

fn text(name: &str, length: usize) -> Vec<u8> {
    let line = format!("a line of {name}\n");
    line.bytes().cycle().take(length).collect()
}

/// A store in which all of [`ENCODED`] are.
fn prepared(model: &mut Model) -> Option<Bench> {
    let bench = Bench::new(WHEN_TOLD)?;
    let daemon = bench.mount();
    for name in ENCODED {
        let bytes = text(name, 20_000);
        let path = bench.path("m").join(name);
        let written = || fs::write(path, &bytes);
        model
            .change(&[(name, Some(bytes.clone()))], written)
            .unwrap();
    }
    bench.settle();
    daemon.unmount();
    for name in ENCODED {
        assert!(bench.path(format!("s/{name}.holo")).exists(), "{name}");
    }
    Some(bench)
}

/// What programs do, until something fails.
fn script(bench: &Bench, model: &mut Model) -> io::Result<()> {
    let dir = &bench.path("m");
    create(dir, model, "new")?;
    bench.run(&["settle", "m"]);
    for name in ["appended", "spread-appended"] {
        append(dir, model, name)?;
    }
    for (name, length) in [("cut", 1000), ("emptied", 0)] {
        let bytes = text(name, length);
        model.change(&[(name, Some(bytes))], || {
            let file = OpenOptions::new().write(true).open(dir.join(name))?;
            file.set_len(length as u64)
        })?;
    }
    for name in ["saved", "spread-saved"] {
        create(dir, model, "draft")?;
        model.rename(dir, "draft", name)?;
    }
    for name in ["gone", "spread-gone"] {
        model.change(&[(name, None)], || fs::remove_file(dir.join(name)))?;
    }
    bench.run(&["settle", "m"]);
    append(dir, model, "new")
}

/// A file that is written and synced. Before that it may have any content, but only under this name.
fn create(dir: &Path, model: &mut Model, name: &str) -> io::Result<()> {
    let bytes = text(name, 9000);
    model.forget(name);
    let mut file = File::create_new(dir.join(name))?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    drop(file);
    model.change(&[(name, Some(bytes))], || Ok(()))
}

fn append(dir: &Path, model: &mut Model, name: &str) -> io::Result<()> {
    let mut bytes = model.get(name).unwrap();
    bytes.extend_from_slice(b"appended");
    model.change(&[(name, Some(bytes))], || {
        let mut file = OpenOptions::new().append(true).open(dir.join(name))?;
        file.write_all(b"appended")
    })
}

/// Kills the daemon at the N-th call of each of its threads, for several N.
fn killed_at(call: &str) {
    if !can_trace() {
        return;
    }
    let mut killed = 0;
    for nth in [1, 2, 3, 5, 8] {
        let context = format!("killed at {call} {nth}");
        let mut model = Model::default();
        let Some(bench) = prepared(&mut model) else {
            return;
        };
        let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
        let answered = bench.mount_traced(&[format!("trace={call}"), inject]);
        let ended = answered.map(|mut daemon| {
            script(&bench, &mut model).inspect_err(|e| {
                until(&format!("{context}: {e}"), || !daemon.is_alive());
            })
        });
        killed += u32::from(!matches!(ended, Some(Ok(()))));
        let daemon = bench.mount();
        model.check(&bench.path("m"), &context);
        bench.settle();
        model.check(&bench.path("m"), &format!("{context}, settled"));
        daemon.unmount();
        bench.assert_tidy(&context);
        let left = bench.entries("");
        // Below `min_size`.
        for name in model.names().filter(|name| *name != "emptied") {
            assert!(
                left.contains(&format!("{name}.holo")),
                "{context}: {name} is not encoded"
            );
        }
    }
    assert!(killed > 1, "the daemon was hardly ever killed at {call}");
}

#[test]
fn killed_at_a_rename() {
    killed_at("renameat2");
}

#[test]
fn killed_at_an_fsync() {
    killed_at("fsync");
}

#[test]
fn killed_at_an_fdatasync() {
    killed_at("fdatasync");
}

#[test]
fn killed_at_an_unlink() {
    killed_at("unlinkat");
}

#[test]
fn killed_at_a_write() {
    killed_at("pwrite64");
}
