//! The policy file.

#![no_main]

use std::path::Path;

use holofs::store::policy::{Policy, duration, size};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = (size(text), duration(text));
    let Ok(policy) = Policy::parse(text) else {
        return;
    };
    for path in [
        "a",
        "photos/cat.jpg",
        "x/y/z.sqlite-wal",
        ".git/index",
        text,
    ] {
        for bytes in [0, 1, 5000, 1 << 40] {
            let _ = policy.decide(Path::new(path), bytes);
        }
    }
});
