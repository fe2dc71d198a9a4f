//! Descriptors, manifests, chunk headers and tails.

#![no_main]

use holofs_fuzz::format::{decode, wrap};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    decode(input);
    decode(&wrap(input));
});
