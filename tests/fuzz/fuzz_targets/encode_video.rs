//! Whatever bytes through the codec `video` and back.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holofs_fuzz::codec::round_trip("video", input));
