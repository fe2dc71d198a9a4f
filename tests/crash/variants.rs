//! Changes of a file with variants: none of them is lost, and none is shown where another should be.

use holofs::store::{Context, Result};

use super::{Files, Scenario, Steps, UNSEEN, sample};

/// `x`, plain.
fn plain(files: &Files) -> Result<()> {
    files.put("x", &sample(1))
}

/// `x` with two variants, encoded.
fn folded(files: &Files) -> Result<()> {
    plain(files)?;
    files.settle()?;
    files.add_variant("x", "A", &sample(2))?;
    files.add_variant("x", "B", &sample(3))?;
    files.settle().map(drop)
}

#[test]
fn adding_the_first_variant() {
    let change = |files: &Files, steps: &Steps<'_>| {
        files.add_variant("x", "A", &sample(2))?;
        steps.durable();
        files.settle().map(drop)
    };
    Scenario::new(&plain, &change).stops();
    let encoded = |files: &Files| {
        plain(files)?;
        files.settle().map(drop)
    };
    Scenario::new(&encoded, &change).stops();
}

#[test]
fn adding_to_others_and_replacing() {
    let change = |files: &Files, steps: &Steps<'_>| {
        files.add_variant("x", "C", &sample(4))?;
        steps.durable();
        files.add_variant("x", "A", &sample(5))?;
        steps.durable();
        Ok(())
    };
    Scenario::new(&folded, &change).stops();
}

#[test]
fn adding_where_something_fails() {
    let change = |files: &Files, _: &Steps<'_>| files.add_variant("x", "A", &sample(2));
    Scenario::new(&plain, &change).never_fails(&UNSEEN).check();
}

#[test]
fn writing_the_default_variant() {
    let change = |files: &Files, steps: &Steps<'_>| {
        let file = files.writer("x")?;
        steps.done();
        file.write(10, b"changed")?;
        steps.done();
        drop(file);
        files.settle().map(drop)
    };
    Scenario::new(&folded, &change).in_place(&["x"]).stops();
}

#[test]
fn cutting_the_default_variant() {
    let change = |files: &Files, _: &Steps<'_>| files.truncate("x", 0);
    Scenario::new(&folded, &change).in_place(&["x"]).stops();
}

#[test]
fn renaming_and_removing() {
    let change = |files: &Files, steps: &Steps<'_>| {
        files.replace("x", "y")?;
        steps.done();
        files.unlink("y")?;
        Ok(())
    };
    Scenario::new(&folded, &change).stops();
}

#[test]
fn removing_what_was_just_written() {
    let change = |files: &Files, steps: &Steps<'_>| {
        let file = files.writer("x")?;
        steps.done();
        file.write(10, b"changed")?;
        steps.done();
        drop(file);
        files.unlink("x")
    };
    Scenario::new(&folded, &change).in_place(&["x"]).stops();
}

#[test]
fn removing_a_variant() {
    let change = |files: &Files, _: &Steps<'_>| {
        let held = files.at("x")?;
        let context = Context::new("A").expect("a name");
        files.store.remove_variant(held.attr.ino, &context)
    };
    Scenario::new(&folded, &change).stops();
}
