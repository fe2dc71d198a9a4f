//! Trains the prior of photographs: an ignored test that reads pictures and writes the constant.
//!
//! `HOLOFS_TRAINING="a.ppm b.ppm" cargo test --release -- --ignored train_the_prior_of_photographs`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool that may panic"
)]

// No part of the program: it reads and writes outside of the store.
#[cfg(test)]
use super::wave::Curvature;
use super::{Planes, tiles};
use crate::coding::bands::Plan;
use crate::coding::bands::training::Training;

/// The constant.
const PRIOR: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/codec/image/pixels/photographs.prior"
);

/// Reads an 8-bit P6 without comments.
fn read(path: &str) -> Planes {
    let bytes = std::fs::read(path).unwrap();
    let mut fields = bytes.splitn(4, u8::is_ascii_whitespace);
    let mut number = || {
        std::str::from_utf8(fields.next().unwrap())
            .unwrap()
            .to_owned()
    };
    assert_eq!(number(), "P6");
    let (width, height) = (number().parse().unwrap(), number().parse().unwrap());
    let samples = fields.next().unwrap().strip_prefix(b"255\n").unwrap();
    let channel = |i| {
        samples
            .iter()
            .skip(i)
            .step_by(3)
            .map(|&sample| u16::from(sample))
            .collect()
    };
    Planes {
        width,
        height,
        max: 255,
        channels: (0..3).map(channel).collect(),
    }
}

#[test]
#[ignore = "writes a constant of the format"]
fn train_the_prior_of_photographs() {
    let mut training = Training::default();
    for path in std::env::var("HOLOFS_TRAINING").unwrap().split_whitespace() {
        let planes = read(path);
        for previews in [0, 4] {
            let coded = tiles::encode(&planes, previews, [usize::MAX, 0]).unwrap();
            let header = coded.header;
            let source = tiles::Source::new(&planes);
            for index in 0..header.grid(0).tiles() {
                let wave = header.wave(header.grid(0).tile(index));
                let layout = wave.layout().unwrap();
                let mut coefficients = wave.forward(source.tile(&header, index));
                let plan = Plan::from_cuts(&layout, &header.cuts);
                let curvature = Curvature::new(&wave);
                training.add(&layout, &plan, &mut coefficients, Some(&curvature));
            }
        }
    }
    let most = std::env::var("HOLOFS_TRUST")
        .ok()
        .and_then(|s| s.parse().ok());
    std::fs::write(PRIOR, training.finish(most.unwrap_or(16))).unwrap();
}
