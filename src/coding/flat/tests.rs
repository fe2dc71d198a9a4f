//! Tests of the coder for drawn pictures.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use super::*;

fn noise(seed: u32, count: usize, max: u16, colours: u32) -> Vec<u16> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let value = (state >> 8) % colours * 0x9e37 % (u32::from(max) + 1);
        u16::try_from(value).unwrap()
    };
    let mut out = Vec::new();
    while out.len() < count {
        let value = next();
        out.extend(std::iter::repeat_n(value, 1 + usize::from(next() % 5)));
    }
    out.truncate(count);
    out
}

fn shapes() -> impl Iterator<Item = (Shape, u32)> {
    let sides = [0, 1, 2, 3, 17, 40];
    let sizes = sides.into_iter().flat_map(move |w| sides.map(|h| (w, h)));
    sizes.flat_map(|(width, height)| {
        [
            (1, 1, 2),
            (1, 255, 9),
            (2, 255, 60),
            (3, 255, 5000),
            (4, 65_535, 70_000),
            (3, 1000, 300),
        ]
        .map(|(channels, max, colours)| {
            let shape = Shape {
                width,
                height,
                channels,
                max,
            };
            (shape, colours)
        })
    })
}

#[test]
fn pictures_come_back() {
    for (shape, colours) in shapes() {
        let count = shape.width * shape.height;
        let channels: Vec<Vec<u16>> = (0..shape.channels)
            .map(|i| noise(u32::try_from(i).unwrap() + 5, count, shape.max, colours))
            .collect();
        let slices: Vec<&[u16]> = channels.iter().map(Vec::as_slice).collect();
        let bytes = encode(shape, &slices);
        assert_eq!(decode(shape, &bytes).unwrap(), channels, "{shape:?}");
    }
}

#[test]
fn flat_pictures_are_tiny() {
    let shape = Shape {
        width: 1000,
        height: 1000,
        channels: 1,
        max: 255,
    };
    let bytes = encode(shape, &[&vec![200; 1_000_000]]);
    assert!(bytes.len() < 200, "{}", bytes.len());
}

#[test]
fn damage_never_panics() {
    let shape = Shape {
        width: 40,
        height: 30,
        channels: 3,
        max: 255,
    };
    for colours in [30, 5000] {
        let channels: Vec<Vec<u16>> = (0..3).map(|i| noise(i, 1200, 255, colours)).collect();
        let slices: Vec<&[u16]> = channels.iter().map(Vec::as_slice).collect();
        let bytes = encode(shape, &slices);
        for at in 0..bytes.len() {
            assert!(decode(shape, bytes.get(..at).unwrap()).is_err());
            let mut bytes = bytes.clone();
            *bytes.get_mut(at).unwrap() ^= 0x41;
            if let Ok(channels) = decode(shape, &bytes) {
                assert_eq!(channels.len(), 3);
            }
        }
    }
}
