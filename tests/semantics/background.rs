//! The background beside programs at work.

use std::sync::atomic::Ordering;

use holofs::store::{Options, Store};

use super::support::files::Files;
use super::{on_disk, sample};

/// Invariant 9: "Work in the background never makes a foreground read or write fail, and stops at once on unmount."
#[test]
fn work_in_the_background_disturbs_nobody() {
    let (_place, root) = on_disk();
    let options = Options {
        worker: true,
        ..Options::default()
    };
    let store = Store::on_disk(root, options).unwrap();
    let files = Files { store };
    std::thread::scope(|threads| {
        for thread in 0..4_u8 {
            let files = &files;
            threads.spawn(move || {
                let (a, b) = (format!("a{thread}"), format!("b{thread}"));
                for round in 0..60 {
                    let old = sample(round, 3000);
                    files.put(&a, &old).unwrap();
                    assert!(files.get(&a).unwrap() == old);
                    let writer = files.writer(&a).unwrap();
                    writer.append(b"more").unwrap();
                    drop(writer);
                    let new = [&old[..], b"more"].concat();
                    assert!(files.get(&a).unwrap() == new);
                    files.replace(&a, &b).unwrap();
                    assert!(files.get(&b).unwrap() == new);
                    if round % 7 == 0 {
                        files.truncate(&b, 100).unwrap();
                        assert!(files.get(&b).unwrap() == old[..100]);
                        files.link(&b, &a).unwrap();
                        files.unlink(&b).unwrap();
                    }
                }
            });
        }
    });
    files.settle().unwrap();
    for thread in 0..4 {
        let old = sample(59, 3000);
        let expected = [&old[..], b"more"].concat();
        assert!(files.get(&format!("b{thread}")).unwrap() == expected);
    }
    assert_ne!(files.store.counters().encoded.load(Ordering::Relaxed), 0);
    assert_eq!(files.store.counters().failed.load(Ordering::Relaxed), 0);
    files.store.close().unwrap();
}
