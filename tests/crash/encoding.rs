//! Changes of representation: encode, end of linger, promote, take back, convert.

use holofs::store::Result;

use super::{Files, Scenario, Steps, sample};

const LAYOUTS: [&str; 2] = ["packed", "spread"];

/// `x`, encoded.
fn encoded(files: &Files, layout: &str) -> Result<()> {
    files.put("x", &sample(1))?;
    files.set_mode("x", 0o751)?;
    files.set_xattr("x", "user.note", b"kept")?;
    files.convert("x", layout)?;
    files.settle().map(drop)
}

/// Makes a plain `x` step by step.
fn put(files: &Files, steps: &Steps<'_>) -> Result<()> {
    let file = files.create("x")?;
    steps.done();
    file.write(0, &sample(1))?;
    steps.done();
    Ok(())
}

/// A change of an encoded `x`, in both layouts.
fn of_encoded(in_place: &[&str], change: &dyn Fn(&Files, &Steps<'_>) -> Result<()>) {
    for layout in LAYOUTS {
        let before = |files: &Files| encoded(files, layout);
        Scenario::new(&before, change).in_place(in_place).check();
    }
}

#[test]
fn encoding() {
    for layout in LAYOUTS {
        let before = |files: &Files| files.put("x", &sample(1));
        let change = |files: &Files, _: &Steps<'_>| files.convert("x", layout).map(drop);
        Scenario::new(&before, &change).check();
    }
}

#[test]
fn encoding_what_was_never_synced() {
    for layout in LAYOUTS {
        let change = |files: &Files, steps: &Steps<'_>| {
            put(files, steps)?;
            files.convert("x", layout)?;
            steps.durable();
            files.settle().map(drop)
        };
        let scenario = Scenario::new(&|_| Ok(()), &change);
        scenario.in_place_until_durable(&["x"]).stops();
    }
}

#[test]
fn end_of_linger() {
    for layout in LAYOUTS {
        let before = |files: &Files| {
            files.put("x", &sample(1))?;
            files.convert("x", layout).map(drop)
        };
        let change = |files: &Files, _: &Steps<'_>| files.settle().map(drop);
        Scenario::new(&before, &change).check();
    }
}

#[test]
fn promoting_and_writing() {
    of_encoded(&["x"], &|files, steps| {
        let file = files.writer("x")?;
        steps.done();
        file.write(10, b"changed")
    });
}

#[test]
fn promoting_alone_keeps_every_byte() {
    of_encoded(&[], &|files, _| files.writer("x").map(drop));
}

#[test]
fn promoting_under_a_reader() {
    of_encoded(&["x"], &|files, steps| {
        let reader = files.reader("x")?;
        let file = files.writer("x")?;
        steps.done();
        file.write(10, b"changed")?;
        steps.done();
        drop((reader, file));
        Ok(())
    });
}

#[test]
fn truncating_to_nothing() {
    of_encoded(&[], &|files, _| files.truncate("x", 0));
}

#[test]
fn truncating_to_something() {
    of_encoded(&["x"], &|files, _| files.truncate("x", 100));
}

#[test]
fn rewriting() {
    of_encoded(&["x"], &|files, steps| {
        let file = files.create("x")?;
        steps.done();
        file.write(0, &sample(2))
    });
}

#[test]
fn taking_back_what_was_not_changed() {
    for layout in LAYOUTS {
        let before = |files: &Files| {
            files.put("x", &sample(1))?;
            files.set_mtime("x", 1_000_000_000)?;
            files.convert("x", layout)?;
            files.settle().map(drop)
        };
        let change = |files: &Files, _: &Steps<'_>| {
            drop(files.writer("x")?);
            files.settle().map(drop)
        };
        Scenario::new(&before, &change).check();
    }
}

#[test]
fn converting() {
    for (layout, other) in [("packed", "spread"), ("spread", "packed")] {
        let before = |files: &Files| encoded(files, layout);
        let change = |files: &Files, _: &Steps<'_>| {
            files.convert("x", other)?;
            files.settle().map(drop)
        };
        Scenario::new(&before, &change).check();
    }
}

#[test]
fn linking() {
    of_encoded(&[], &|files, _| files.link("x", "y"));
}

#[test]
fn changing_attributes() {
    of_encoded(&[], &|files, steps| {
        files.set_mode("x", 0o600)?;
        steps.done();
        files.set_mtime("x", 1_200_000_000)?;
        steps.done();
        files.set_xattr("x", "user.other", b"value")
    });
}

#[test]
fn changing_a_file_that_lingers() {
    for layout in LAYOUTS {
        let before = |files: &Files| files.put("x", &sample(1));
        let change = |files: &Files, steps: &Steps<'_>| {
            files.convert("x", layout)?;
            steps.done();
            files.set_mode("x", 0o600)
        };
        Scenario::new(&before, &change).check();
    }
}

#[test]
fn a_lingering_file_that_was_never_synced_is_not_lost_to_its_change() {
    type Change = fn(&Files) -> Result<()>;
    let changes: [Change; 5] = [
        |files| files.set_mode("x", 0o600),
        |files| files.writer("x").map(drop),
        |files| files.link("x", "y"),
        |files| files.replace("x", "y"),
        |files| files.unlink("x"),
    ];
    for layout in LAYOUTS {
        for last in changes {
            let change = |files: &Files, steps: &Steps<'_>| {
                put(files, steps)?;
                files.convert("x", layout)?;
                steps.durable();
                last(files)
            };
            let scenario = Scenario::new(&|_| Ok(()), &change);
            scenario.in_place_until_durable(&["x"]).stops();
        }
    }
}

/// Lines of a file: of each version, some are its own.
fn lines(file: u32, version: u32) -> Vec<u8> {
    let mut state = u64::from(file) + 7;
    let line = |i: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if i % 150 == version {
            format!("changed in {version}: {i}\n")
        } else {
            format!("{:x}\n", state >> 8)
        }
    };
    (0..2500).map(line).collect::<String>().into_bytes()
}

/// A file becomes one that all may read, and shares what others of them hold from then on.
#[test]
fn sharing() {
    for layout in LAYOUTS {
        let before = |files: &Files| {
            for (version, file) in [0, 1, 2].iter().flat_map(|v| [1, 2, 3].map(|f| (*v, f))) {
                files.put(&format!("{version}.{file}"), &lines(file, version))?;
            }
            files.put("x", &lines(2, 3))?;
            files.set_mode("x", 0o600)?;
            files.convert("x", layout)?;
            files.settle()?;
            assert!(files.status("0.1")?.reason.contains("other files hold"));
            assert!(!files.status("x")?.reason.contains("other files hold"));
            files.set_mode("x", 0o644)
        };
        let change = |files: &Files, _: &Steps<'_>| {
            let before = files.status("x")?.stored;
            files.settle()?;
            let after = files.status("x")?;
            assert!(after.stored < before / 2 && after.reason.contains("other files hold"));
            Ok(())
        };
        Scenario::new(&before, &change).stops();
    }
}
