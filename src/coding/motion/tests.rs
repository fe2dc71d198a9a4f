//! Tests of motion: fields through bits, shifts that are found, what lies beyond the edges.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests may panic"
)]

use super::*;
use crate::coding::binary::{Decoder, Encoder};

/// Numbers that look random (xorshift).
fn draws(mut state: u32) -> impl FnMut() -> u32 {
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    }
}

fn luma(width: usize, height: usize) -> Size {
    Size {
        width,
        height,
        columns: 1,
        rows: 1,
    }
}

fn field(size: Size, references: usize, planes: usize, seed: u32) -> Field {
    let mut draw = draws(seed);
    let mut field = Field::still(size);
    for cell in &mut field.cells {
        let modes = [Mode::First, Mode::Flat, Mode::Second, Mode::Both];
        cell.mode = modes[draw() as usize % (references * 2)];
        for (vector, used) in cell.vectors.iter_mut().zip(cell.mode.uses()) {
            if used {
                let mut part = || (draw() % (1 << (1 + draw() % 13))) as i16 - 100;
                *vector = Vector {
                    x: part(),
                    y: part(),
                };
            }
        }
        if cell.mode == Mode::Flat {
            cell.levels
                .iter_mut()
                .take(planes)
                .for_each(|level| *level = draw() as u8);
        }
    }
    field
}

#[test]
fn fields_come_back() {
    for (i, (width, height)) in [(1, 1), (8, 8), (9, 17), (64, 40), (200, 120)]
        .into_iter()
        .enumerate()
    {
        for references in [1, 2] {
            for planes in 1..=4 {
                let size = luma(width, height);
                let fine = field(size, references, planes, 77 + i as u32);
                for (blocks, field) in [
                    (Blocks::Fine, fine.clone()),
                    (Blocks::Coarse(2, 2), fine.coarse(2, 2)),
                    (Blocks::Coarse(4, 1), fine.coarse(4, 1)),
                ] {
                    let mut encoder = Encoder::new();
                    let mut models = Models::default();
                    models.code(&mut encoder, &mut field.clone(), blocks, references, planes);
                    models.code(&mut encoder, &mut field.clone(), blocks, references, planes);
                    let bytes = encoder.finish();
                    let mut decoder = Decoder::new(&bytes);
                    let mut models = Models::default();
                    for _ in 0..2 {
                        let mut read = Field::still(size);
                        models.code(&mut decoder, &mut read, blocks, references, planes);
                        assert!(
                            read == field,
                            "{width}x{height} {references} {planes} {blocks:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn any_bits_are_some_field_and_predict_something() {
    let sizes = [
        luma(50, 30),
        Size {
            width: 25,
            height: 15,
            columns: 2,
            rows: 2,
        },
    ];
    let planes = [vec![100; 50 * 30], vec![50; 25 * 15]];
    let reference = Reference::new(&planes, &sizes, 255);
    let mut draw = draws(5);
    for _ in 0..50 {
        let bytes: Vec<u8> = (0..draw() % 400).map(|_| draw() as u8).collect();
        let mut field = Field::still(sizes[0]);
        Models::default().code(&mut Decoder::new(&bytes), &mut field, Blocks::Fine, 2, 2);
        for cell in &mut field.cells {
            // Wherever it leads, all samples of the reference are alike.
            assert!(
                cell.vectors
                    .iter()
                    .all(|v| v.x.abs().max(v.y.abs()) <= FARTHEST)
            );
            if cell.mode == Mode::Flat {
                cell.mode = Mode::Both;
            }
        }
        for (number, size) in sizes.into_iter().enumerate() {
            let predicted = predict(&field, [Some(&reference); 2], number, size, 255);
            assert!(predicted == planes[number]);
        }
    }
}

/// A smooth pattern, moved.
fn pattern(width: usize, height: usize, (right, down): (f64, f64), scale: f64) -> Vec<u16> {
    let sample = |i: usize| {
        let (x, y) = (
            f64::from((i % width) as u32) * scale - right,
            f64::from((i / width) as u32) * scale - down,
        );
        let value =
            (x * 0.31 + (y * 0.05).sin() * 4.0).sin() + (y * 0.23 + (x * 0.07).cos() * 3.0).cos();
        (value * 55.0 + 128.0) as u16
    };
    (0..width * height).map(sample).collect()
}

#[test]
fn shifts_are_found_to_a_quarter() {
    let sizes = [
        luma(96, 80),
        Size {
            width: 48,
            height: 40,
            columns: 2,
            rows: 2,
        },
    ];
    let picture = |shift| {
        let planes = [pattern(96, 80, shift, 1.0), pattern(48, 40, shift, 2.0)];
        (Sight::new(&planes, &sizes, 255), planes)
    };
    let (still, _) = picture((0.0, 0.0));
    for shift in [
        (0.0, 0.0),
        (3.0, -2.0),
        (0.5, 0.25),
        (-1.75, 2.5),
        (12.25, 7.0),
    ] {
        let (moved, planes) = picture(shift);
        let field = search(&moved, [Some(&still), None], 2, 255);
        let wanted = Vector {
            x: (shift.0 * -4.0) as i16,
            y: (shift.1 * -4.0) as i16,
        };
        // Cells at the edge may see what was outside.
        let found = field
            .cells
            .iter()
            .filter(|cell| cell.mode == Mode::First && cell.vectors[0] == wanted);
        let found = found.count();
        assert!(
            found * 10 > field.cells.len() * 6,
            "{shift:?}: {found} of {}",
            field.cells.len()
        );
        for (number, size) in sizes.into_iter().enumerate() {
            let predicted = predict(&field, [Some(still.reference()), None], number, size, 255);
            let far: u32 = predicted
                .iter()
                .zip(&planes[number])
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum();
            // Chroma at the edge sees little of what it needs.
            assert!(far < 6 * predicted.len() as u32, "{shift:?}: {far}");
        }
    }
}

#[test]
fn halves_are_those_of_the_standard() {
    // A step from 0 to 64: (20 * 64 - 5 * 64 + 64 + 16) >> 5 right in the middle, and ringing around.
    let row = [0, 0, 0, 0, 64, 64, 64, 64].map(|s: u16| s + 50);
    let planes = [row.repeat(8)];
    let reference = Reference::new(&planes, &[luma(8, 8)], 255);
    let [plain, right, down, both] = reference.luma().unwrap();
    assert_eq!(
        plain.row(-2, -2, 12),
        [50, 50, 50, 50, 50, 50, 114, 114, 114, 114, 114, 114]
    );
    assert_eq!(right.row(0, 3, 7), [50, 52, 42, 82, 122, 112, 114]);
    assert_eq!(down.row(0, 3, 8), row);
    assert_eq!(both.row(0, 3, 7), right.row(0, 3, 7));
}
