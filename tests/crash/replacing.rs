//! Names that change what they hold: save by rename, exchange, unlink.

use holofs::store::{Rename, Result};

use super::{Files, Scenario, Steps, sample};

const FORMS: [&str; 3] = ["plain", "packed", "spread"];

/// A file in one of the forms.
fn put(files: &Files, path: &str, of: u8, form: &str) -> Result<()> {
    files.put(path, &sample(of))?;
    if form != "plain" {
        files.convert(path, form)?;
        let held = files.at(path)?;
        drop(held);
    }
    Ok(())
}

/// Files that linger no more, whatever their form.
fn put_all(files: &Files, all: &[(&str, u8, &str)]) -> Result<()> {
    for (path, of, form) in all.iter().filter(|(_, _, form)| *form != "plain") {
        put(files, path, *of, form)?;
    }
    files.settle()?;
    for (path, of, form) in all.iter().filter(|(_, _, form)| *form == "plain") {
        put(files, path, *of, form)?;
    }
    Ok(())
}

/// For every two forms.
fn of_any_two(check: impl Fn(&str, &str)) {
    for a in FORMS {
        for b in FORMS {
            check(a, b);
        }
    }
}

#[test]
fn saving_by_rename() {
    of_any_two(|new, old| {
        let before = |files: &Files| put_all(files, &[("x", 1, old), ("x.tmp", 2, new)]);
        let change = |files: &Files, _: &Steps<'_>| files.replace("x.tmp", "x");
        Scenario::new(&before, &change).check();
    });
}

#[test]
fn saving_by_rename_into_another_directory() {
    of_any_two(|new, old| {
        let before = |files: &Files| {
            files.make_dir("d")?;
            put_all(files, &[("d/x", 1, old), ("x.tmp", 2, new)])
        };
        let change = |files: &Files, _: &Steps<'_>| files.replace("x.tmp", "d/x");
        Scenario::new(&before, &change).check();
    });
}

#[test]
fn saving_what_was_just_written_without_a_sync() {
    for old in FORMS {
        let before = |files: &Files| put_all(files, &[("x", 1, old)]);
        let change = |files: &Files, steps: &Steps<'_>| {
            let file = files.create("x.tmp")?;
            steps.done();
            file.write(0, &sample(2))?;
            steps.done();
            drop(file);
            files.replace("x.tmp", "x")
        };
        let scenario = Scenario::new(&before, &change);
        scenario.in_place(&["x.tmp"]).check();
    }
}

#[test]
fn saving_over_what_is_being_read() {
    of_any_two(|new, old| {
        let before = |files: &Files| put_all(files, &[("x", 1, old), ("x.tmp", 2, new)]);
        let change = |files: &Files, _: &Steps<'_>| {
            let reader = files.reader("x")?;
            files.replace("x.tmp", "x")?;
            assert_eq!(reader.read()?, sample(1), "unlinked, not gone");
            Ok(())
        };
        Scenario::new(&before, &change).check();
    });
}

#[test]
fn moving_to_a_free_name() {
    for form in FORMS {
        let before = |files: &Files| {
            files.make_dir("d")?;
            put_all(files, &[("x", 1, form)])
        };
        let change = |files: &Files, steps: &Steps<'_>| {
            files.replace("x", "y.holo")?;
            steps.done();
            files.replace("y.holo", "d/z")
        };
        Scenario::new(&before, &change).check();
    }
}

#[test]
fn exchanging() {
    of_any_two(|a, b| {
        let before = |files: &Files| {
            files.make_dir("d")?;
            put_all(files, &[("x", 1, a), ("d/y", 2, b)])
        };
        let change = |files: &Files, _: &Steps<'_>| files.rename("x", "d/y", Rename::Exchange);
        Scenario::new(&before, &change).check();
    });
}

#[test]
fn unlinking() {
    for form in FORMS {
        let before = |files: &Files| put_all(files, &[("x", 1, form)]);
        Scenario::new(&before, &|files, _| files.unlink("x")).check();
        let open = |files: &Files, _: &Steps<'_>| {
            let reader = files.reader("x")?;
            files.unlink("x")?;
            assert_eq!(reader.read()?, sample(1), "unlinked, not gone");
            Ok(())
        };
        Scenario::new(&before, &open).check();
    }
}

#[test]
fn unlinking_and_renaming_what_lingers() {
    for form in ["packed", "spread"] {
        let before = |files: &Files| {
            put(files, "x", 1, form)?;
            put(files, "y", 2, form)
        };
        let check = |change: &dyn Fn(&Files, &Steps<'_>) -> Result<()>| {
            Scenario::new(&before, change).check();
        };
        check(&|files, _| files.unlink("x"));
        check(&|files, _| files.replace("x", "y"));
        check(&|files, _| files.rename("x", "y", Rename::Exchange));
    }
}

#[test]
fn a_name_that_changes_hands_twice() {
    of_any_two(|a, b| {
        let before = |files: &Files| put_all(files, &[("x", 1, a), ("y", 2, b)]);
        let change = |files: &Files, steps: &Steps<'_>| {
            files.replace("x", "y")?;
            steps.done();
            files.replace("y", "x")
        };
        Scenario::new(&before, &change).check();
    });
}

#[test]
fn special_files_take_and_give_names() {
    for form in ["packed", "spread"] {
        let before = |files: &Files| {
            files.symlink("l", "target")?;
            put_all(files, &[("x", 1, form)])
        };
        Scenario::new(&before, &|files, _| files.replace("l", "x")).check();
        Scenario::new(&before, &|files, _| files.replace("x", "l")).check();
        let exchange = |files: &Files, _: &Steps<'_>| files.rename("x", "l", Rename::Exchange);
        Scenario::new(&before, &exchange).check();
    }
}
