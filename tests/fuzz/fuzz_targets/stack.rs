//! Frames of `holofs stack`: pictures of any format that it reads.

#![no_main]

use std::io::Cursor;

use holofs::media::stack::{Frame, Stack};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let Ok(frame) = Frame::read(Cursor::new(file)) else {
        return;
    };
    let mut stack = Stack::new(&frame).expect("one frame");
    stack.add(&frame).expect("the same once more");
    let _ = stack.write_png(Vec::new(), frame.depth());
});
