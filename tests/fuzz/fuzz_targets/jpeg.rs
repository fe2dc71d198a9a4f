//! JPEG files: what is taken apart is written back as it was, and rendered in the same size.

#![no_main]

use holofs::media::jpeg::{
    Metadata, notes_from_bytes, notes_to_bytes, orientation, parse, render, segments, smallest,
    write,
};

/// Pictures beyond this take the memory that the limits allow, and much time.
const PIXELS: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let _ = orientation(file);
    for segment in segments(file) {
        let _ = segment.marker;
    }
    if let Some((notes, rest)) = notes_from_bytes(file, 3) {
        let again = notes_to_bytes(&notes);
        let (notes_again, nothing) = notes_from_bytes(&again, 3).expect("reads what it wrote");
        assert!(notes == notes_again && nothing.is_empty() && rest.len() <= file.len());
    }
    // What begins each picture: FF C0..C2, length, precision, height, width.
    let large = |window: &[u8]| {
        let [0xff, 0xc0..=0xc2, _, _, _, h1, h0, w1, w0] = *window else {
            return false;
        };
        u64::from(u16::from_be_bytes([h1, h0])) * u64::from(u16::from_be_bytes([w1, w0])) > PIXELS
    };
    if file.windows(9).any(large) {
        return;
    }
    let Ok(mut jpeg) = parse(file) else {
        return;
    };
    // Whether these are the same bytes is for the codec to find out; what is more than the limit ends with its MCU.
    let mut again = Vec::new();
    let written = write(&jpeg.planes, &jpeg.recipe, &mut again, file.len());
    assert!(written.is_err() || again.len() <= 2 * file.len() + (64 << 10));
    let least = smallest(&jpeg.frame);
    match render(
        &jpeg.frame,
        &mut jpeg.planes,
        &Metadata::default(),
        file.len(),
    ) {
        Ok(shown) => assert_eq!(shown.len(), file.len()),
        Err(e) => assert!(file.len() < least, "{e}, though {least} bytes are enough"),
    }
});
