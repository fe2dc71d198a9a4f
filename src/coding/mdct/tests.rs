//! Tests of the transform: it comes back exactly, keeps energy, and gathers tones.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use super::*;

fn noise(seed: u32, count: usize, bits: u32) -> Vec<i32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.cast_signed() >> (31 - bits)
    };
    (0..count).map(|_| next()).collect()
}

fn every(log: std::ops::RangeInclusive<u32>) -> impl Iterator<Item = Mdct> {
    let windows = [Window::Sine, Window::Steep];
    log.flat_map(move |log| {
        windows.map(|window| Mdct {
            log,
            window,
            fraction: fraction(15, log),
        })
    })
}

#[test]
fn every_signal_comes_back() {
    for mdct in every(MIN_LOG..=MAX_LOG) {
        for (seed, count) in [(1, 0), (2, 1), (3, 1000), (4, 20_000)] {
            // At 30 bits everything wraps.
            for bits in [1, 8, 15, 30] {
                let signal = noise(seed, count, bits);
                let mut back = mdct.inverse(mdct.forward(signal.clone()));
                back.truncate(count);
                assert_eq!(back, signal, "{mdct:?} {bits}");
            }
        }
    }
}

#[test]
fn energy_stays() {
    for mdct in every(8..=12) {
        for bits in [6, 15] {
            let energy = |v: &[i32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            let signal = noise(5, 1 << 15, bits);
            let ratio = energy(&mdct.forward(signal.clone())) / energy(&signal);
            assert!((ratio - 1.0).abs() < 0.01, "{mdct:?} {bits}: {ratio}");
        }
    }
}

#[test]
fn rounding_adds_little_to_silence() {
    // One sample in 100 is 1: a transform that rounds in each stage buries it.
    let signal: Vec<i32> = (0..1 << 15).map(|i| i32::from(i % 100 == 0)).collect();
    for mdct in every(8..=12) {
        let energy: i32 = mdct.forward(signal.clone()).iter().map(|c| c * c).sum();
        assert!(energy < (1 << 15) / 4, "{mdct:?}: {energy}");
    }
}

#[test]
fn a_tone_is_gathered_in_few_coefficients() {
    let signal: Vec<i32> = (0..1 << 15)
        .map(|i| ((f64::from(i) * 0.137).sin() * 20_000.0) as i32)
        .collect();
    for mdct in every(9..=12) {
        let rows = mdct.forward(signal.clone());
        // But for both ends, where the signal breaks off.
        for block in rows.chunks(1 << mdct.log).skip(1).rev().skip(1) {
            let total: f64 = block.iter().map(|v| f64::from(*v).powi(2)).sum();
            // 0.137 radians a sample, of pi for the highest frequency.
            let peak = block.len() * 137 / 3142;
            let near: f64 = block[peak - 4..peak + 5]
                .iter()
                .map(|v| f64::from(*v).powi(2))
                .sum();
            assert!(near > 0.999 * total, "{mdct:?}");
        }
    }
}

#[test]
fn less_exact_coefficients_give_a_signal_nearby() {
    let signal = noise(7, 1 << 14, 12);
    for mdct in every(8..=12) {
        let mut rows = mdct.forward(signal.clone());
        for value in &mut rows {
            *value = (*value >> 4 << 4) + 8;
        }
        let back = mdct.inverse(rows);
        let error: f64 = back
            .iter()
            .zip(&signal)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum();
        let mean = error / signal.len() as f64;
        assert!((15.0..30.0).contains(&mean), "{mdct:?}: {mean}");
    }
}

#[test]
fn turns_come_back() {
    for steps in -QUARTER..=QUARTER {
        let (l, r) = (noise(8, 500, 24), noise(9, 500, 24));
        let (mut a, mut b) = (l.clone(), r.clone());
        rotate(steps, &mut a, &mut b);
        let angle = f64::from(steps) / 32.0 * std::f64::consts::FRAC_PI_2;
        let wanted = f64::from(l[7]) * angle.cos() - f64::from(r[7]) * angle.sin();
        assert!((f64::from(a[7]) - wanted).abs() < 2.0);
        rotate(-steps, &mut a, &mut b);
        assert_eq!((a, b), (l, r));
    }
}
