//! Drawn pictures and linear prediction: coded numbers of whatever bytes, and whatever numbers back and forth.

#![no_main]

use arbitrary::Arbitrary;
use holofs::coding::{flat, linear};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    width: u8,
    height: u8,
    channels: u8,
    max: u16,
    samples: Vec<u16>,
    coded: &'a [u8],
}

libfuzzer_sys::fuzz_target!(|input: Input<'_>| {
    let shape = flat::Shape {
        width: usize::from(input.width).max(1),
        height: usize::from(input.height).max(1),
        channels: usize::from(input.channels % 4 + 1),
        max: input.max.max(1),
    };
    if let Ok(planes) = flat::decode(shape, input.coded) {
        assert_eq!(planes.len(), shape.channels);
        assert!(planes.iter().flatten().all(|sample| *sample <= shape.max));
    }
    let area = shape.width * shape.height;
    let samples: Vec<_> = input.samples.iter().map(|s| s % shape.max).collect();
    let planes: Vec<Vec<u16>> = (0..shape.channels)
        .map(|i| {
            samples
                .iter()
                .cycle()
                .skip(i * 7)
                .take(area)
                .copied()
                .collect()
        })
        .collect();
    if planes.iter().all(|plane| plane.len() == area) {
        let planes: Vec<_> = planes.iter().map(Vec::as_slice).collect();
        let coded = flat::encode(shape, &planes);
        assert!(flat::decode(shape, &coded).expect("decodes what it made") == planes);
    }

    let _ = linear::decode(shape.channels, area, input.coded);
    let numbers = |shift: usize| -> Vec<i32> {
        let pairs = input
            .samples
            .iter()
            .zip(input.samples.iter().cycle().skip(shift));
        pairs
            .map(|(a, b)| i32::from(*a) * 300 - i32::from(*b) * 270)
            .collect()
    };
    let channels: Vec<_> = (0..shape.channels).map(numbers).collect();
    let coded = linear::encode(&channels);
    let back = linear::decode(channels.len(), input.samples.len(), &coded);
    assert!(
        back.expect("decodes what it made") == channels,
        "other numbers"
    );
});
