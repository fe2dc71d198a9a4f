//! Trains the prior of JPEGs: an ignored test that reads files and writes the constant.
//!
//! `HOLOFS_TRAINING="a.jpg b.jpg" cargo test --release -- --ignored train_the_prior_of_jpegs`

#![allow(clippy::unwrap_used, reason = "a tool that may panic")]

// No part of the program: it reads files outside of the store.
#[cfg(test)]
use super::encode::{Ready, mcu_rows, plan};
use crate::codec::testing::MemoryLayers;
use crate::coding::bands::training::Training;
use crate::media::jpeg::parse;

/// The constant.
const PRIOR: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/codec/jpeg/photographs.prior"
);

#[test]
#[ignore = "writes a constant of the format"]
fn train_the_prior_of_jpegs() {
    let mut training = Training::default();
    for path in std::env::var("HOLOFS_TRAINING").unwrap().split_whitespace() {
        let jpeg = parse(&std::fs::read(path).unwrap()).unwrap();
        let mcus = 0..mcu_rows(&jpeg.frame);
        for previews in [0, 4] {
            let strips = std::slice::from_ref(&mcus);
            let mut cuts = Vec::new();
            if previews > 0 {
                let planned = plan(&jpeg, strips, previews, &mut MemoryLayers::default());
                cuts = planned.unwrap().0.iter().map(|(cut, _)| *cut).collect();
            }
            let ready = Ready::new(&jpeg, &mcus, &cuts, None).unwrap();
            let (layout, mut bands) = (&ready.strip.layout, ready.bands);
            training.add(layout, &ready.plan, &mut bands, Some(&ready.strip.edges));
        }
    }
    let most = std::env::var("HOLOFS_TRUST").ok();
    let most = most.and_then(|most| most.parse().ok());
    std::fs::write(PRIOR, training.finish(most.unwrap_or(16))).unwrap();
}
