//! The same bytes on all processors, and close to what floating point gives.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

use super::tile::sine;
use super::*;

/// Layers with weights as they are initialised, from a seed.
struct Layers(Vec<(Vec<f32>, Vec<f32>)>);

impl Layers {
    fn new(widths: &[usize], seed: u64) -> Self {
        let mut state = seed;
        let mut random = |limit: f64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let unit = (state >> 33) as f64 / 2_f64.powi(30) - 1.0;
            (unit * limit) as f32
        };
        let mut inputs = 3;
        let mut layers = Vec::new();
        for (i, outputs) in widths.iter().copied().enumerate() {
            let limit = match i {
                0 => 1.0 / 3.0,
                _ => (6.0 / inputs as f64).sqrt() / 30.0,
            };
            let weights = (0..inputs * outputs).map(|_| random(limit)).collect();
            let bias = (0..outputs).map(|_| random(0.3)).collect();
            layers.push((weights, bias));
            inputs = outputs;
        }
        Self(layers)
    }

    fn weights(&self) -> Vec<Weights<'_>> {
        let layers = self.0.iter();
        layers
            .map(|(weights, bias)| Weights { weights, bias })
            .collect()
    }

    /// The network in 64-bit floats.
    fn colour(&self, place: [f64; 3]) -> [f64; 3] {
        let mut values = place.to_vec();
        for (i, (weights, bias)) in self.0.iter().enumerate() {
            let rows = weights.chunks(values.len()).zip(bias);
            let sums = rows.map(|(row, bias)| {
                let products = row.iter().zip(&values).map(|(w, v)| f64::from(*w) * v);
                products.sum::<f64>() + f64::from(*bias)
            });
            let last = i + 1 == self.0.len();
            values = sums
                .map(|sum| if last { sum } else { (30.0 * sum).sin() })
                .collect();
        }
        [0, 1, 2].map(|i| (255.0 * values[i]).clamp(0.0, 255.0).trunc())
    }
}

fn place(index: u32, count: u32) -> Place {
    Place { index, count }
}

fn row(siren: &Siren, time: Place, y: Place, width: usize) -> Vec<[u8; 3]> {
    let mut rgb = vec![[0; 3]; width];
    siren.row(time, y, &mut rgb);
    rgb
}

#[test]
fn sines_are_sines() {
    for phase in i16::MIN..=i16::MAX {
        let exact = 32768.0 * (f64::from(phase) * PI / 32768.0).sin();
        assert!((f64::from(sine(phase)) - exact).abs() <= 10.0, "{phase}");
    }
}

#[test]
fn all_processors_give_the_same() {
    for (seed, widths) in [
        (1, &[48, 48, 48, 3][..]),
        (2, &[5, 7, 3]),
        (3, &[1, 3]),
        (4, &[256, 3]),
    ] {
        let layers = Layers::new(widths, seed);
        let mut siren = Siren::new(&layers.weights(), 30.0).unwrap();
        for width in [1, 31, 32, 33, 100] {
            let wanted = row(&siren, place(3, 7), place(9, 10), width);
            for machine in Machine::all() {
                siren.machine = machine;
                let got = row(&siren, place(3, 7), place(9, 10), width);
                assert!(got == wanted, "{machine:?}, {widths:?}, {width} pixels");
            }
        }
    }
}

#[test]
fn colours_are_those_of_floating_point() {
    let layers = Layers::new(&[48, 48, 48, 48, 3], 5);
    let siren = Siren::new(&layers.weights(), 30.0).unwrap();
    let (mut error, mut count) = (0.0, 0.0);
    for t in [0, 17, 26_745] {
        for y in [0, 500, 1079] {
            let colours = row(&siren, place(t, 26_746), place(y, 1080), 1440);
            for (x, colour) in colours.iter().enumerate().step_by(11) {
                let coordinate = |i: f64, n: f64| 2.0 * i / (n - 1.0) - 1.0;
                let wanted = layers.colour([
                    coordinate(t.into(), 26_746.0),
                    coordinate(x as f64, 1440.0),
                    coordinate(y.into(), 1080.0),
                ]);
                for (a, b) in colour.iter().zip(wanted) {
                    error += (f64::from(*a) - b).powi(2);
                    count += 1.0;
                }
            }
        }
    }
    let psnr = 10.0 * (255.0 * 255.0 * count / error).log10();
    assert!(psnr > 60.0, "{psnr:.1} dB");
}

/// A film of one frame, and pictures of one row or column, begin where others do.
#[test]
fn an_axis_may_have_one_place() {
    let layers = Layers::new(&[16, 16, 3], 6);
    let siren = Siren::new(&layers.weights(), 30.0).unwrap();
    let many = row(&siren, place(0, 9), place(0, 9), 9);
    assert_eq!(row(&siren, place(0, 1), place(0, 1), 1)[0], many[0]);
}

#[test]
fn what_makes_no_network_is_refused() {
    let refused = |weights: &[Weights<'_>]| Siren::new(weights, 30.0).unwrap_err().0;
    let good = Layers::new(&[8, 8, 3], 7);
    assert!(refused(&good.weights()[..1]).contains("two layers"));
    assert!(refused(&good.weights()[..2]).contains("no colour"));
    assert!(refused(&good.weights()[1..]).contains("make no layer"));
    for value in [f32::NAN, f32::INFINITY, 1e30] {
        let mut bad = Layers::new(&[8, 8, 3], 7);
        bad.0[1].0[5] = value;
        assert!(refused(&bad.weights()).contains("no numbers"));
    }
    for (layer, value) in [(1, 9e5), (2, 200.0)] {
        let mut large = Layers::new(&[8, 8, 3], 7);
        large.0[layer].0[5] = value;
        assert!(refused(&large.weights()).contains("too large"));
    }
    // What is large and fits is only less exact, and no sum overflows.
    let mut large = Layers::new(&[8, 8, 3], 7);
    large.0[2].1[0] = 100.0;
    let siren = Siren::new(&large.weights(), 30.0).unwrap();
    assert!(
        row(&siren, place(0, 2), place(0, 2), 40)
            .iter()
            .all(|[red, ..]| *red == 255)
    );
}
