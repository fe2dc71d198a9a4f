//! Tests of the mean of frames: exact sums, rounding, formats, noise, and files that are no frames.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use std::io::Cursor;

use image::{ExtendedColorType as Colours, ImageEncoder};
use proptest::prelude::*;

use super::*;

/// A frame of grey samples.
fn grey(width: u32, samples: Samples) -> Frame {
    let count = match &samples {
        Samples::Eight(s) => s.len(),
        Samples::Sixteen(s) => s.len(),
    };
    Frame {
        width,
        height: count as u32 / width,
        layout: Layout {
            colour: false,
            alpha: false,
        },
        samples,
        profile: None,
    }
}

fn eight(samples: &[u8]) -> Frame {
    grey(samples.len() as u32, Samples::Eight(samples.to_vec()))
}

fn sixteen(samples: &[u16]) -> Frame {
    grey(samples.len() as u32, Samples::Sixteen(samples.to_vec()))
}

fn stacked(frames: &[Frame]) -> Stack {
    let mut stack = Stack::new(&frames[0]).unwrap();
    for frame in &frames[1..] {
        stack.add(frame).unwrap();
    }
    stack
}

/// The mean as others read it.
fn mean(stack: &Stack, depth: Depth) -> Frame {
    let mut file = Vec::new();
    stack.write_png(&mut file, depth).unwrap();
    let frame = Frame::read(Cursor::new(file)).unwrap();
    assert_eq!(frame.depth(), depth);
    frame
}

#[test]
fn means_are_rounded_half_up_once() {
    let frames = [
        eight(&[0, 0, 1, 254, 255, 7]),
        eight(&[0, 1, 2, 255, 255, 8]),
    ];
    let stack = stacked(&frames);
    assert_eq!(
        (stack.frames(), stack.size(), stack.depth()),
        (2, (6, 1), Depth::Eight)
    );
    let wanted = Samples::Eight(vec![0, 1, 2, 255, 255, 8]);
    assert_eq!(mean(&stack, Depth::Eight).samples, wanted);
    // Half steps of 8 bits are steps of 16 bits: 257 / 2 is 128.5.
    let wanted = Samples::Sixteen(vec![0, 129, 386, 65_407, 65_535, 1928]);
    assert_eq!(mean(&stack, Depth::Sixteen).samples, wanted);
    // Thirds: nothing is rounded before the end.
    let frames = [eight(&[0, 0]), eight(&[0, 1]), eight(&[1, 1])];
    assert_eq!(
        mean(&stacked(&frames), Depth::Eight).samples,
        Samples::Eight(vec![0, 1])
    );
}

#[test]
fn depths_mix_at_the_deeper_one() {
    let frames = [eight(&[0, 1, 255]), sixteen(&[1, 257, 65_535])];
    let stack = stacked(&frames);
    assert_eq!(stack.depth(), Depth::Sixteen);
    let wanted = Samples::Sixteen(vec![1, 257, 65_535]);
    assert_eq!(mean(&stack, Depth::Sixteen).samples, wanted);
    assert_eq!(
        mean(&stack, Depth::Eight).samples,
        Samples::Eight(vec![0, 1, 255])
    );
}

/// A frame of two pixels with all samples that `layout` has: of the first 0, of the second 200, alpha 100.
fn of(layout: Layout) -> Frame {
    let pixel = |value: u8| {
        let mut pixel = vec![value; layout.channels()];
        if layout.alpha {
            pixel[layout.channels() - 1] = 100;
        }
        pixel
    };
    Frame {
        width: 2,
        height: 1,
        layout,
        samples: Samples::Eight([pixel(0), pixel(200)].concat()),
        profile: Some(vec![1]),
    }
}

#[test]
fn layouts_mix_at_the_fuller_one() {
    let layouts = [(false, false), (false, true), (true, false), (true, true)]
        .map(|(colour, alpha)| Layout { colour, alpha });
    for a in layouts {
        for b in layouts {
            let both = a.with(b);
            let read = mean(&stacked(&[of(a), of(b)]), Depth::Eight);
            assert_eq!(read.layout, both);
            let alpha = |l: Layout| if l.alpha { 100 } else { 255 };
            for (value, pixel) in [0, 200].into_iter().zip(read_pixels(&read)) {
                let colours = if both.colour { 3 } else { 1 };
                assert_eq!(pixel[..colours], vec![value; colours]);
                if both.alpha {
                    let mean = (alpha(a) + alpha(b) + 1) / 2;
                    assert_eq!(i32::from(pixel[colours]), mean, "{a:?} {b:?}");
                }
            }
        }
    }
}

fn read_pixels(frame: &Frame) -> Vec<Vec<u8>> {
    match &frame.samples {
        Samples::Eight(samples) => {
            let pixels = samples.chunks(frame.layout.channels());
            pixels.map(<[u8]>::to_vec).collect()
        }
        Samples::Sixteen(_) => Vec::new(),
    }
}

#[test]
fn a_frame_of_another_size_is_refused_and_changes_nothing() {
    let mut stack = stacked(&[eight(&[1, 2, 3, 4])]);
    let other = grey(2, Samples::Eight(vec![9; 4]));
    let refused = stack.add(&other).unwrap_err().to_string();
    assert_eq!(refused, "2x2 pixels, but those before it have 4x1");
    assert_eq!(
        mean(&stack, Depth::Eight).samples,
        Samples::Eight(vec![1, 2, 3, 4])
    );
    assert_eq!(stack.frames(), 1);
}

/// Independent noise of 16 frames: a quarter of it is left, 12 dB.
#[test]
fn noise_goes_with_the_square_root_of_the_frames() {
    let mut state = 20_261_120_u64;
    let mut noise = || {
        let mut sum = 0; // of four: nearly normal

        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            sum += i32::try_from((state >> 40) % 21).unwrap();
        }
        sum - 40
    };
    let scene: Vec<i32> = (0..20_000).map(|i| 60 + i % 130).collect();
    let mut frame = || {
        let samples = scene.iter().map(|s| u8::try_from(s + noise()).unwrap());
        grey(200, Samples::Eight(samples.collect()))
    };
    let power = |frame: &Frame| -> f64 {
        let Samples::Sixteen(samples) = &frame.samples else {
            return 0.0;
        };
        let errors = samples.iter().zip(&scene).map(|(sample, scene)| {
            let error = f64::from(*sample) / 257.0 - f64::from(*scene);
            error * error
        });
        errors.sum::<f64>() / 20_000.0
    };
    let frames: Vec<Frame> = (0..16).map(|_| frame()).collect();
    let one = power(&mean(&stacked(&frames[..1]), Depth::Sixteen));
    assert!(one > 100.0, "noise of one frame: {one}");
    for (n, expected) in [(2, 2.0), (4, 4.0), (16, 16.0)] {
        let left = power(&mean(&stacked(&frames[..n]), Depth::Sixteen));
        let gain = one / left;
        assert!(
            (gain / expected - 1.0).abs() < 0.05,
            "{n} frames gain {gain} in power"
        );
    }
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let samples: Vec<u8> = (0..3 * width * height).map(|i| (i % 200) as u8).collect();
    image::codecs::jpeg::JpegEncoder::new(&mut file)
        .write_image(&samples, width, height, Colours::Rgb8)
        .unwrap();
    file
}

fn png_file() -> Vec<u8> {
    let mut file = Vec::new();
    stacked(&[of(Layout {
        colour: true,
        alpha: false,
    })])
    .write_png(&mut file, Depth::Sixteen)
    .unwrap();
    file
}

fn read(file: &[u8]) -> Result<Frame, StackError> {
    Frame::read(Cursor::new(file))
}

#[test]
fn png_jpeg_and_pnm_are_read() {
    let frame = read(&jpeg(33, 20)).unwrap();
    assert_eq!(
        (frame.width, frame.height, frame.depth()),
        (33, 20, Depth::Eight)
    );
    assert!(frame.layout.colour);
    assert_eq!(read(&png_file()).unwrap().depth(), Depth::Sixteen);
    let frame = read(b"P5 2 1 255\n\x07\xff").unwrap();
    assert_eq!(frame.samples, Samples::Eight(vec![7, 255]));
    let frame = read(b"P5 2 1 65535\n\x01\x02\xff\xff").unwrap();
    assert_eq!(frame.samples, Samples::Sixteen(vec![258, 65_535]));
    let frame = read(b"P2 2 1 1023\n0 1023\n").unwrap();
    assert_eq!(frame.samples, Samples::Sixteen(vec![0, 65_535]));
    let frame = read(b"P3 1 1 255\n1 2 3\n").unwrap();
    assert_eq!(frame.samples, Samples::Eight(vec![1, 2, 3]));
    let frame = read(b"P4 3 1\n\x40").unwrap();
    assert_eq!(frame.samples, Samples::Eight(vec![255, 0, 255]));
}

#[test]
fn a_profile_stays_where_all_frames_have_it() {
    let with = |profile: Option<&[u8]>| Frame {
        profile: profile.map(<[u8]>::to_vec),
        ..eight(&[1, 2])
    };
    let (a, b) = (with(Some(b"profile a")), with(Some(b"profile b")));
    assert_eq!(
        mean(&stacked(&[a.clone(), a.clone()]), Depth::Eight).profile,
        a.profile
    );
    for other in [b, with(None)] {
        assert_eq!(
            mean(&stacked(&[a.clone(), other]), Depth::Eight).profile,
            None
        );
    }
}

#[test]
fn an_upright_frame_is_what_is_seen() {
    // Exif orientation 6: turned by 90 degrees.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut file = jpeg(33, 20);
    let length = (exif.len() + 2) as u8;
    let segment = [&[0xFF, 0xE1, 0, length][..], exif].concat();
    file.splice(2..2, segment);
    let frame = read(&file).unwrap();
    assert_eq!((frame.width, frame.height), (20, 33));
}

#[test]
fn what_is_no_whole_picture_is_an_error() {
    let unknown = "not a picture that can be read: PNG, JPEG or PNM";
    for file in [
        &b""[..],
        b"no picture",
        b"GIF89a\0\0\0\0\0\0\0\0",
        &[0xFF; 40],
    ] {
        assert_eq!(read(file).unwrap_err().to_string(), unknown);
    }
    for whole in [
        png_file(),
        jpeg(33, 20),
        b"P5 20 20 255\n".iter().copied().chain([9; 400]).collect(),
    ] {
        assert!(read(&whole).is_ok());
        for length in 12..whole.len() - 1 {
            // A PNG is whole without its last chunk.
            let cut = read(&whole[..length]);
            assert!(
                cut.is_err() || whole[0] == 0x89 && length > whole.len() - 13,
                "{length} of {}",
                whole.len()
            );
        }
    }
    let early = read(&jpeg(33, 20)[..600]).unwrap_err();
    assert_eq!(early.to_string(), "the picture ends too early");
    let large = read(b"P6 40000 40000 255\n").unwrap_err();
    assert!(matches!(large, StackError::Limit(4_800_000_000)), "{large}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Changed bytes anywhere in a file: an error or some picture.
    #[test]
    fn damaged_files_are_survived(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
    ) {
        let mut file = [png_file(), jpeg(33, 20), b"P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 12\n".to_vec()][which].clone();
        for (at, value) in changes {
            let at = at % file.len();
            file[at] = value;
        }
        drop(read(&file));
    }

    /// The mean is the exact quotient, rounded half up.
    #[test]
    fn means_are_exact(frames in prop::collection::vec(prop::collection::vec(any::<u16>(), 5), 1..20)) {
        let all: Vec<Frame> = frames.iter().map(|samples| sixteen(samples)).collect();
        let Samples::Sixteen(read) = mean(&stacked(&all), Depth::Sixteen).samples else { unreachable!() };
        let n = frames.len() as u64;
        for (i, sample) in read.into_iter().enumerate() {
            let sum: u64 = frames.iter().map(|f| u64::from(f[i])).sum();
            let whole = sum / n;
            let wanted = if 2 * (sum % n) >= n { whole + 1 } else { whole };
            prop_assert_eq!(u64::from(sample), wanted);
        }
    }
}
