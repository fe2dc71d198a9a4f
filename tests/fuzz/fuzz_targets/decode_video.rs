//! Objects of the codec `video` of whatever bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holofs_fuzz::codec::decode("video", input));
