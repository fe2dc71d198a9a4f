//! Tests: what comes back, what it costs, and what damage does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use super::*;

/// Numbers that look random: xorshift64 (Marsaglia, 2003).
fn random(seed: u64) -> impl FnMut(u32) -> i32 {
    let mut state = seed | 1;
    move |bits| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) as i32 >> (32 - bits)
    }
}

fn through(channels: &[Vec<i32>]) -> usize {
    let bytes = encode(channels);
    let frames = channels.first().map_or(0, Vec::len);
    assert!(decode(channels.len(), frames, &bytes).unwrap() == channels);
    bytes.len()
}

#[test]
fn samples_of_all_sizes_come_back() {
    let mut next = random(3);
    for channels in 0..=5 {
        for frames in [0, 1, 2, 33, 500, 4096, 4097, 9000] {
            for bits in [1, 3, 8, 16, 24, 31, 32] {
                let channel = |_| (0..frames).map(|_| next(bits)).collect();
                through(&(0..channels).map(channel).collect::<Vec<_>>());
            }
        }
    }
    let edges = [i32::MIN, i32::MAX, 0, -1, i32::MAX, i32::MIN, 1];
    let loud: Vec<i32> = edges.into_iter().cycle().take(5000).collect();
    let other = loud.iter().rev().copied().collect();
    through(&[loud, other]);
}

#[test]
fn noise_costs_its_entropy() {
    let mut next = random(5);
    // Three values, each as often: log2(3) bits.
    let steps: Vec<i32> = (0..200_000).map(|_| (next(16) + 32_768) % 3 - 1).collect();
    let entropy = 200_000.0 * 3_f64.log2() / 8.0;
    let bytes = through(&[steps]);
    assert!((bytes as f64) < entropy * 1.01, "{bytes} of {entropy}");
    let loud: Vec<i32> = (0..100_000).map(|_| next(16)).collect();
    let bytes = through(&[loud]);
    assert!(bytes < 200_000 * 101 / 100, "{bytes}");
}

#[test]
fn what_time_predicts_costs_little() {
    let ramp: Vec<i32> = (0..100_000).map(|i| i * 37 % 40_000 - 20_000).collect();
    let bytes = through(&[ramp]);
    assert!(bytes < 4000, "a saw tooth: {bytes}");
    let mut next = random(9);
    let mut clicks = vec![0; 100_000];
    for _ in 0..50 {
        let at = next(18).unsigned_abs() as usize % clicks.len();
        clicks[at] = next(16);
    }
    let bytes = through(&[clicks]);
    assert!(bytes < 600, "clicks: {bytes}");
    let wide: Vec<i32> = (0..100_000).map(|_| next(12)).collect();
    let alike = wide.iter().map(|s| s + next(2)).collect();
    let two = through(&[wide.clone(), alike]);
    let one = through(&[wide]);
    assert!(two * 10 < one * 13, "two channels {two}, one {one}");
}

#[test]
fn an_estimate_is_near() {
    let mut next = random(11);
    for bits in [6, 10, 16] {
        let noise: Vec<i32> = (0..50_000).map(|_| next(bits)).collect();
        let estimated = estimate(std::slice::from_ref(&noise)) / 512;
        let bytes = encode(&[noise]).len() as u64;
        assert!(
            estimated * 10 > bytes * 7 && estimated < bytes,
            "{estimated}, {bytes}"
        );
    }
}

#[test]
fn damage_is_an_error_or_other_samples() {
    let mut next = random(13);
    let music: Vec<i32> = (0..9000)
        .map(|i| {
            (f64::from(i) * 0.03)
                .sin()
                .mul_add(8000.0, f64::from(next(5))) as i32
        })
        .collect();
    let channels = [music.clone(), music];
    let bytes = encode(&channels);
    for cut in [0, 1, 7, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(decode(2, 9000, &bytes[..cut]), Err(Damaged));
    }
    assert_eq!(decode(2, 9001, &bytes), Err(Damaged));
    for _ in 0..300 {
        let mut damaged = bytes.clone();
        let at = next(24).unsigned_abs() as usize % damaged.len();
        damaged[at] ^= 1 << (next(16) & 7);
        if let Ok(other) = decode(2, 9000, &damaged) {
            assert_eq!(other.len(), 2);
        }
    }
}

#[test]
fn bytes_stay_what_they_are() {
    let mut next = random(17);
    let mut level = 0;
    let walk: Vec<i32> = (0..10_000)
        .map(|_| {
            level += next(8);
            level
        })
        .collect();
    let other = walk.iter().map(|s| s / 2 + next(4)).collect();
    let bytes = encode(&[walk, other]);
    let hash = crate::coding::hash::Digest::of(&bytes);
    assert_eq!(
        (bytes.len(), hash.to_string()[..16].to_owned()),
        (17_976, "1e2e7fbea3c2030f".to_owned())
    );
}
