//! Samples and their bytes, of all encodings.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod containers;

use super::testing::{random, vector};
use super::*;

fn encodings() -> Vec<Encoding> {
    let mut all = Vec::new();
    for order in [Order::Little, Order::Big] {
        for bytes in 1..=4 {
            for number in [Number::Unsigned, Number::Signed] {
                all.push(Encoding {
                    number,
                    bytes,
                    order,
                });
            }
        }
        all.push(Encoding {
            number: Number::Float,
            bytes: 4,
            order,
        });
    }
    all
}

#[test]
fn any_bytes_are_read_and_written_again() {
    let mut next = random(11);
    for encoding in encodings() {
        for channels in [1, 2, 3, 8] {
            let format = Format {
                channels,
                rate: 1,
                encoding,
            };
            for frames in [0, 1, 5, 257] {
                let bytes = vec![0; frames * format.frame_bytes()];
                let bytes: Vec<u8> = bytes.iter().map(|_: &u8| next().to_le_bytes()[0]).collect();
                let piece = format.read(&bytes).unwrap();
                assert_eq!(piece.frames(), frames);
                assert_eq!(format.write(&piece).unwrap(), bytes, "{format:?}");
            }
        }
    }
}

#[test]
fn a_sample_is_the_number_that_its_bytes_say() {
    let cases: &[(Number, u8, Order, &[u8], i32)] = &[
        (Number::Unsigned, 1, Order::Little, &[0x81], 1),
        (Number::Signed, 1, Order::Big, &[0xff], -1),
        (Number::Signed, 2, Order::Little, &[0x01, 0x80], -32767),
        (Number::Signed, 2, Order::Big, &[0x80, 0x01], -32767),
        (
            Number::Signed,
            3,
            Order::Little,
            &[0x01, 0x02, 0x03],
            0x03_0201,
        ),
        (Number::Signed, 3, Order::Big, &[0xff, 0xff, 0xfd], -3),
        (
            Number::Signed,
            4,
            Order::Little,
            &[1, 0, 0, 0x80],
            -0x7fff_ffff,
        ),
    ];
    for (number, bytes, order, data, sample) in cases {
        let encoding = Encoding {
            number: *number,
            bytes: *bytes,
            order: *order,
        };
        let format = Format {
            channels: 1,
            rate: 8000,
            encoding,
        };
        assert_eq!(
            format.read(data).unwrap().samples,
            [[*sample]],
            "{format:?}"
        );
    }
}

const STEREO: Format = Format {
    channels: 2,
    rate: 48000,
    encoding: Encoding {
        number: Number::Signed,
        bytes: 3,
        order: Order::Little,
    },
};

#[test]
fn bits_below_all_samples_are_taken_off() {
    let bytes = [0, 0x10, 0, 0, 0x30, 0xff];
    let piece = STEREO.read(&bytes).unwrap();
    assert_eq!(
        (piece.scale, &piece.samples),
        (12, &vec![vec![1], vec![-13]])
    );
    assert_eq!(STEREO.write(&piece).unwrap(), bytes);
}

#[test]
fn overshooting_samples_are_cut_off_not_wrapped() {
    let piece = Piece {
        samples: vec![vec![i32::MAX, 9_000_000], vec![i32::MIN, 40_000]],
        scale: 0,
        rest: Vec::new(),
    };
    let bytes = STEREO.write(&piece).unwrap();
    let most = [
        0xff, 0xff, 0x7f, 0, 0, 0x80, 0xff, 0xff, 0x7f, 0x40, 0x9c, 0,
    ];
    assert_eq!(bytes, most);
    let piece = Piece { scale: 8, ..piece };
    let bytes = STEREO.write(&piece).unwrap();
    let most = [0, 0xff, 0x7f, 0, 0, 0x80, 0, 0xff, 0x7f, 0, 0xff, 0x7f];
    assert_eq!(bytes, most);
}

#[test]
fn impossible_pieces_are_errors() {
    let good = STEREO.read(&[0; 12]).unwrap();
    assert!(STEREO.read(&[0; 13]).is_err());
    let other = |scale, samples: &[Vec<i32>]| {
        STEREO.write(&Piece {
            samples: samples.to_vec(),
            scale,
            rest: Vec::new(),
        })
    };
    assert!(other(24, &good.samples).is_err());
    assert!(other(0, &good.samples[..1]).is_err());
    assert!(other(0, &[vec![1], vec![1, 2]]).is_err());
}

const FLOAT: Format = Format {
    channels: 1,
    rate: 48000,
    encoding: Encoding {
        number: Number::Float,
        bytes: 4,
        order: Order::Little,
    },
};

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn floats_that_were_integers_are_integers() {
    let bytes = floats([-1.0, 0.5, 3.0 / 32768.0, 0.0, 32767.0 / 32768.0]);
    let piece = FLOAT.read(&bytes).unwrap();
    assert_eq!(piece.samples, [[-32768, 16384, 3, 0, 32767]]);
    assert_eq!((piece.scale, piece.rest.len()), (15, 0));
    assert_eq!(FLOAT.write(&piece).unwrap(), bytes);
}

#[test]
fn floats_of_any_kind_are_exact() {
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        -0.0,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::from_bits(1),
        f32::from_bits(0xffc1_2345),
    ];
    let mut next = random(5);
    for scale in [0_i16, 8, 24, 100, 140] {
        let mut values: Vec<f32> = Vec::new();
        for _ in 0..500 {
            let unit = f64::from(next().cast_signed()) / f64::from(1_u32 << 31);
            let value = unit * f64::from(scale).exp2().recip() / f64::from(next() % 1000 + 1);
            #[expect(clippy::cast_possible_truncation, reason = "any single serves")]
            values.push(value as f32);
        }
        let bytes = floats(values.iter().copied());
        let piece = FLOAT.read(&bytes).unwrap();
        assert!(piece.samples[0].iter().all(|k| k.unsigned_abs() < 1 << 31));
        assert_eq!(FLOAT.write(&piece).unwrap(), bytes);
        // Without the rest they are what they were but for less than one unit of the scale.
        let shown = Piece {
            rest: Vec::new(),
            ..piece
        };
        let unit = f32::from(shown.scale).exp2().recip();
        let shown = FLOAT.write(&shown).unwrap();
        let shown = shown
            .as_chunks::<4>()
            .0
            .iter()
            .map(|w| f32::from_le_bytes(*w));
        assert!(shown.zip(&values).all(|(a, b)| (a - b).abs() <= unit));
        values.extend(odd);
        let bytes = floats(values);
        let piece = FLOAT.read(&bytes).unwrap();
        assert_eq!(FLOAT.write(&piece).unwrap(), bytes);
    }
}
