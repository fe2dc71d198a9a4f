//! Objects of the codec `template` of whatever bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holofs_fuzz::codec::decode("template", input));
