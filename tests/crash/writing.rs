//! Files that are made, and written in place.

use super::{Files, Scenario, Steps, sample};

#[test]
fn creating() {
    let change = |files: &Files, steps: &Steps<'_>| {
        let file = files.create("x")?;
        steps.done();
        file.write(0, &sample(1))
    };
    Scenario::new(&|_| Ok(()), &change).in_place(&["x"]).check();
}

#[test]
fn synced_data_survive() {
    let change = |files: &Files, steps: &Steps<'_>| {
        let file = files.create("x")?;
        steps.done();
        file.write(0, &sample(1))?;
        file.sync()?;
        files.sync_dir("")?;
        steps.durable();
        drop(file);
        files.settle().map(drop)
    };
    let scenario = Scenario::new(&|_| Ok(()), &change);
    // Until it is synced it may be torn; what comes later must not tear it.
    scenario.in_place_until_durable(&["x"]).check();
}

#[test]
fn overwriting_in_place() {
    let change = |files: &Files, steps: &Steps<'_>| {
        let file = files.writer("x")?;
        file.write(100, b"changed")?;
        steps.done();
        file.write(8000, &sample(3))
    };
    let before = |files: &Files| files.put("x", &sample(1));
    Scenario::new(&before, &change).in_place(&["x"]).check();
}
