//! Chunk directories of Holo.Codec and templates of `SealGate`.

#![no_main]

use holofs::foreign::Form;
use holofs_fuzz::foreign::{Files, read};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(files) = Files::parse(input) else {
        return;
    };
    if let [file] = &*files.0 {
        read(&Files(vec![file.clone()]), Form::File);
    }
    read(&files, Form::Directory);
});
