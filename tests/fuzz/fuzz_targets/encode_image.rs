//! Whatever bytes through the codec `image` and back.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holofs_fuzz::codec::round_trip("image", input));
