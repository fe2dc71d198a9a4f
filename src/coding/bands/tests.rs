//! Tests of the layered coder: round trips, prefixes, damage.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::panic,
    reason = "tests may panic"
)]

use super::*;

/// Numbers that look random (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    /// A value around 0, mostly below `1 << bits`.
    fn value(&mut self, bits: u32) -> i32 {
        let magnitude =
            (self.next() >> 20) as i32 & ((1 << (self.below(bits as usize + 1) as u32)) - 1);
        if self.next() & 64 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }
}

/// A layout of random sizes, references and tallies, with values for it.
fn case(seed: u64) -> (Layout, Vec<Vec<i32>>) {
    #[expect(clippy::print_stdout, reason = "seeds of failures")]
    {
        println!("seed {seed}");
    }
    let mut random = Random(seed * 2 + 0x9e37_79b9_7f4a_7c15);
    let count = 1 + random.below(9);
    let tallied = random.below(3) == 0;
    let side = if random.below(4) == 0 { 150 } else { 20 };
    let size = (random.below(side), random.below(side));
    let mut bands = Vec::new();
    for _ in 0..count {
        let (width, height) = if tallied {
            size
        } else {
            (random.below(side), random.below(side))
        };
        let references: Vec<Reference> = (0..random.below(9))
            .map(|_| Reference {
                band: random.below(count),
                shift_x: random.below(3) as i8 - 1,
                shift_y: random.below(3) as i8 - 1,
                right: random.below(17) as i8 - 8,
                down: random.below(4) as i8 - 2,
            })
            .collect();
        bands.push(Band {
            width,
            height,
            class: random.below(3) as u8,
            weight: random.below(300) as i16 - 100,
            references,
            tally: (tallied && random.below(2) == 0).then_some(0),
        });
    }
    let mut values = Vec::new();
    for band in &bands {
        let bits = [0, 2, 5, 8, 12, 27][random.below(6)];
        values.push(
            (0..band.width * band.height)
                .map(|_| random.value(bits))
                .collect(),
        );
    }
    (Layout::new(bands).unwrap(), values)
}

/// Cuts of a random number of layers.
fn cuts(random: &mut Random) -> Vec<i16> {
    let mut cuts: Vec<i16> = (0..random.below(6))
        .map(|_| random.below(1000) as i16 - 100)
        .collect();
    cuts.sort_unstable_by(|a, b| b.cmp(a));
    cuts
}

fn slices(layers: &[Vec<u8>]) -> Vec<&[u8]> {
    layers.iter().map(Vec::as_slice).collect()
}

/// Predicts every second band from the first row of another.
#[derive(Debug)]
struct Simple;

impl Hints for Simple {
    fn predicts(&self, band: usize) -> bool {
        band.is_multiple_of(2)
    }

    fn predict(&self, known: &Known<'_>, band: usize, plane: &mut [i16]) {
        let cells = known.row(band / 2, 0);
        assert_eq!(
            cells.first().copied().unwrap_or(0),
            known.value(band / 2, 0, 0)
        );
        for (value, cell) in plane.iter_mut().zip(cells.iter().cycle()) {
            *value = cell.saturating_mul(8);
        }
    }
}

#[test]
fn every_band_comes_back() {
    for seed in 0..150 {
        let (layout, mut values) = case(seed);
        let plan = Plan::from_cuts(&layout, &cuts(&mut Random(seed + 1)));
        let hints: Option<&dyn Hints> = if seed % 3 == 0 { Some(&Simple) } else { None };
        let original = values.clone();
        let layers = encode(&layout, &plan, &mut values, hints).unwrap();
        assert_eq!(values, original);
        assert_eq!(layers.len(), plan.layers());
        assert!(decode(&layout, &plan, &slices(&layers), hints).unwrap() == original);
    }
}

#[test]
fn every_layer_brings_values_closer() {
    for seed in 200..280 {
        let (layout, mut values) = case(seed);
        let plan = Plan::from_cuts(&layout, &cuts(&mut Random(seed + 1)));
        let layers = encode(&layout, &plan, &mut values, None).unwrap();
        let mut before = f64::MAX;
        for count in 1..=plan.layers() {
            let now = decode(&layout, &plan, &slices(&layers)[..count], None).unwrap();
            let shifts = plan.shifts(count).unwrap();
            assert!(now == Survey::new(&values).reconstruct(shifts, &values));
            let mut error = 0.0;
            for ((now, values), &shift) in now.iter().zip(&values).zip(shifts) {
                for (now, value) in now.iter().zip(values) {
                    // Inside the interval that is known.
                    assert_eq!(now.unsigned_abs() >> shift, value.unsigned_abs() >> shift);
                    assert!(now.signum() * value.signum() >= 0);
                    error += f64::from(now - value) * f64::from(now - value);
                }
            }
            // Centres are rounded to sixteenths: a hair of the error may come back.
            assert!(error <= before * 1.01, "{error} after {before}");
            before = error;
        }
        assert!(before == 0.0);
    }
}

#[test]
fn no_layers_are_all_zeros() {
    let (layout, values) = case(3);
    let plan = Plan::from_cuts(&layout, &[]);
    let zeros = decode(&layout, &plan, &[], None).unwrap();
    assert!(zeros.iter().map(Vec::len).eq(values.iter().map(Vec::len)));
    assert!(zeros.iter().flatten().all(|&v| v == 0));
}

#[test]
fn damage_is_an_error_or_other_values_never_a_panic() {
    let mut found = 0;
    for seed in 300..400 {
        let (layout, mut values) = case(seed);
        let mut random = Random(seed + 1);
        let plan = Plan::from_cuts(&layout, &cuts(&mut random));
        let layers = encode(&layout, &plan, &mut values, None).unwrap();
        for _ in 0..8 {
            let mut layers = layers.clone();
            let which = random.below(layers.len());
            let layer = &mut layers[which];
            match random.below(3) {
                0 => layer.truncate(random.below(layer.len() + 1)),
                1 => layer.extend((0..random.below(30)).map(|i| i as u8)),
                _ => {
                    let (at, bit) = (random.below(layer.len()), random.below(8));
                    if let Some(byte) = layer.get_mut(at) {
                        *byte ^= 1 << bit;
                    }
                }
            }
            match decode(&layout, &plan, &slices(&layers), None) {
                Ok(now) => assert!(now.iter().map(Vec::len).eq(values.iter().map(Vec::len))),
                Err(Error::Damaged { .. }) => found += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(found > 400);
}

#[test]
fn what_does_not_fit_is_refused() {
    let band = |references| Band {
        width: 4,
        height: 4,
        references,
        ..Band::default()
    };
    assert!(Layout::new(vec![band(vec![Reference::same(1)])]).is_err());
    assert!(Layout::new(vec![band(vec![Reference::same(0); 9])]).is_err());
    let mut high = band(vec![]);
    high.class = 64;
    assert!(Layout::new(vec![high]).is_err());
    let layout = Layout::new(vec![band(vec![])]).unwrap();
    assert!(Plan::new(&layout, vec![]).is_err());
    assert!(Plan::new(&layout, vec![vec![3], vec![4]]).is_err());
    assert!(Plan::new(&layout, vec![vec![28]]).is_err());
    let plan = Plan::new(&layout, vec![vec![UNKNOWN], vec![3], vec![0]]).unwrap();
    assert!(encode(&layout, &plan, &mut [vec![0; 15]], None).is_err());
    assert!(encode(&layout, &plan, &mut [vec![LIMIT; 16]], None).is_err());
    assert!(encode(&layout, &plan, &mut [vec![1 - LIMIT; 16]], None).is_ok());
    assert!(decode(&layout, &plan, &[&[], &[], &[], &[]], None).is_err());
}
