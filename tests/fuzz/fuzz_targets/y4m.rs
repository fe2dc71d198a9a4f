//! Raw video: the line of the file, and frames.

#![no_main]

use holofs::media::sniff::sniff;
use holofs::media::y4m::{Header, frame_line};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let _ = sniff(file);
    let _ = frame_line(file);
    let Ok((header, length)) = Header::parse(file) else {
        return;
    };
    let rest = &file[length..];
    let bytes = header.frame_bytes();
    if let Ok(line) = frame_line(rest)
        && let Some(frame) = rest[line..].get(..bytes)
        && let Ok(planes) = header.read(frame)
    {
        assert!(
            header.write(&planes).expect("was read") == frame,
            "another frame"
        );
    }
});
