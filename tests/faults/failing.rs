//! The medium fails under the encoder, and no program notices.

use std::fs::{self, OpenOptions};

use crate::bench::{Bench, EAGER, can_trace};
use crate::model::Model;

/// "Work in the background never makes a foreground read or write fail": every call from the one of this number on
/// fails, in each thread. `code` is how `settle` then ends.
fn background_fails(call: &str, error: &str, from: u32, code: i32) {
    if !can_trace() {
        return;
    }
    let Some(bench) = Bench::new(EAGER) else {
        return;
    };
    let context = format!("{error} from {call} {from} on");
    let mut model = Model::default();
    let dir = bench.path("m");
    let inject = format!("inject={call}:error={error}:when={from}+");
    let mut daemon = bench
        .mount_traced(&[format!("trace={call}"), inject])
        .unwrap();
    for n in 0..12 {
        let name = format!("{}{n}", ["spread", "packed"][n % 2]);
        let bytes: Vec<u8> = name.bytes().cycle().take(20_000).collect();
        let written = || fs::write(dir.join(&name), &bytes);
        let new = (name.as_str(), Some(bytes.clone()));
        model.change(&[new], written).unwrap();
        model.check(&dir, &context);
    }
    // Files that cannot be encoded are skipped, which the exit code says.
    let settled = bench.run(&["settle", "m"]);
    assert_eq!(settled.status.code(), Some(code), "{context}: {settled:?}");
    model.check(&dir, &context);
    assert!(daemon.is_alive(), "{context}");
    daemon.kill();
    drop(daemon);
    let daemon = bench.mount();
    model.check(&dir, &format!("{context}, afterwards"));
    bench.settle();
    model.check(&dir, &format!("{context}, settled"));
    daemon.unmount();
    bench.assert_tidy(&context);
    for name in model.names() {
        assert!(bench.path(format!("s/{name}.holo")).exists(), "{name}");
    }
}

#[test]
fn no_space_for_what_the_encoder_writes() {
    background_fails("pwrite64", "ENOSPC", 2, 3);
    background_fails("pwrite64", "EIO", 7, 3);
}

/// Opening an encoded file for writing needs space for all of it; where there is none, the open says so.
#[test]
fn no_space_to_reserve() {
    if !can_trace() {
        return;
    }
    let Some(bench) = Bench::new(EAGER) else {
        return;
    };
    let (file, bytes) = (bench.path("m/f"), vec![b'f'; 20_000]);
    let daemon = bench.mount();
    fs::write(&file, &bytes).unwrap();
    bench.settle();
    daemon.unmount();
    let inject = "inject=fallocate:error=ENOSPC:when=1+".to_owned();
    let daemon = bench.mount_traced(&["trace=fallocate".to_owned(), inject]);
    let refused = OpenOptions::new().append(true).open(&file).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
    assert!(fs::read(&file).unwrap() == bytes);
    drop(daemon);
    let daemon = bench.mount();
    assert!(fs::read(&file).unwrap() == bytes);
    daemon.unmount();
    assert!(bench.path("s/f.holo").exists() && !bench.path("s/f").exists());
    bench.assert_tidy("no space for a promotion");
}

#[test]
fn no_sync() {
    background_fails("fsync", "EIO", 1, 3);
    background_fails("fdatasync", "EIO", 2, 3);
}
