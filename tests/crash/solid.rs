//! Directories that become solid, and native again.

use holofs::store::Result;

use super::{Files, Scenario, Steps, sample};

/// `d` with two names of a file and another below.
fn tree(files: &Files) -> Result<()> {
    files.make_dir("d")?;
    files.put("d/x", &sample(1))?;
    files.link("d/x", "d/y")?;
    files.make_dir("d/e")?;
    files.put("d/e/z", &sample(2))?;
    files.set_xattr("d/e/z", "user.note", b"kept")?;
    files.set_mode("d/e", 0o710)
}

fn solid(files: &Files) -> Result<()> {
    tree(files)?;
    files.freeze("d")
}

#[test]
fn freezing() {
    let change = |files: &Files, _: &Steps<'_>| files.freeze("d");
    Scenario::new(&tree, &change).check();
}

#[test]
fn thawing() {
    let change = |files: &Files, _: &Steps<'_>| files.set_mode("d/e/z", 0o640);
    Scenario::new(&solid, &change).check();
}

#[test]
fn thawing_to_remove_a_name() {
    let change = |files: &Files, _: &Steps<'_>| files.unlink("d/x");
    Scenario::new(&solid, &change).stops();
}

#[test]
fn moving_a_solid_directory() {
    let change = |files: &Files, _: &Steps<'_>| files.replace("d", "moved");
    Scenario::new(&solid, &change).stops();
}
