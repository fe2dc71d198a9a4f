//! Tests of coded pixels: round trips, previews, tiles, damage.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

use super::header::Method;
use super::*;

/// A picture of soft shapes with some noise, another one for each seed.
fn picture(seed: usize, width: usize, height: usize, channels: usize, max: u16) -> Planes {
    let mut state = seed as u32 + 1;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as usize
    };
    let mut planes = Vec::new();
    for channel in 0..channels {
        let mut plane = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let wave = (x * (3 + seed % 4) + y * 2 + channel * 40) % 512;
                let edge = if (x / 13 + y / 29) % 5 == 0 { 60 } else { 0 };
                let value = wave.abs_diff(256) / 2 + edge + noise() / 32;
                plane.push((value * usize::from(max) / 255).min(usize::from(max)) as u16);
            }
        }
        planes.push(plane);
    }
    Planes {
        width,
        height,
        max,
        channels: planes,
    }
}

/// A picture of few colours in blocks.
fn drawing(width: usize, height: usize) -> Planes {
    let colour =
        |channel: usize, x: usize, y: usize| ((x / 7 * 5 + y / 9 * 3) % 11 * 20 + channel) as u16;
    let plane = |channel| {
        (0..width * height)
            .map(|i| colour(channel, i % width, i / width))
            .collect()
    };
    Planes {
        width,
        height,
        max: 255,
        channels: (0..3).map(plane).collect(),
    }
}

fn slices(layers: &[Vec<u8>]) -> Vec<&[u8]> {
    layers.iter().map(Vec::as_slice).collect()
}

fn psnr(a: &Planes, b: &Planes) -> f64 {
    let colours = if matches!(a.channels.len(), 2 | 4) {
        a.channels.len() - 1
    } else {
        a.channels.len()
    };
    let pairs = a.channels[..colours]
        .iter()
        .flatten()
        .zip(b.channels[..colours].iter().flatten());
    let error: f64 = pairs
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    let peak = f64::from(a.max).powi(2) * (a.width * a.height * colours) as f64;
    10.0 * (peak / error).log10()
}

#[test]
fn pictures_of_any_size_and_depth_come_back() {
    let sizes = [(1, 1), (1, 40), (57, 1), (2, 3), (64, 64), (131, 77)];
    let depths = [1, 7, 255, 1000, 4095, 65_535];
    for (i, (width, height)) in sizes.into_iter().enumerate() {
        for channels in 1..=4 {
            for max in depths {
                let planes = picture(i, width, height, channels, max);
                for previews in [0, 4] {
                    let coded = encode(&planes, previews, [usize::MAX, 0]).unwrap();
                    assert_eq!(coded.layers.len(), previews + 1);
                    let header = Header::parse(&coded.header.to_bytes()).unwrap();
                    assert_eq!(header, coded.header);
                    assert_eq!(decode(&header, &slices(&coded.layers)).unwrap(), planes);
                }
            }
        }
    }
}

#[test]
fn previews_have_the_quality_they_state() {
    for (channels, max) in [(3, 255), (1, 255), (4, 65_535), (2, 100)] {
        let planes = picture(5, 300, 200, channels, max);
        let coded = encode(&planes, 4, [usize::MAX, 0]).unwrap();
        let wanted = [22.0, 27.0, 33.0, 37.0];
        for (count, wanted) in (1..).zip(wanted) {
            let now = decode(&coded.header, &slices(&coded.layers)[..count]).unwrap();
            let real = psnr(&planes, &now);
            let stated = f64::from(coded.header.centi_db[count - 1]) / 100.0;
            assert!(
                (real - stated).abs() < 0.02 || now == planes,
                "{real} {stated}"
            );
            assert!(real >= wanted - 0.001, "{real} for {wanted}");
        }
    }
}

#[test]
fn drawings_are_drawn() {
    let planes = drawing(500, 400);
    let photo = encode(&picture(1, 500, 400, 3, 255), 0, [usize::MAX, 0]).unwrap();
    assert_eq!(photo.header.method, Method::Wave);
    for previews in [0, 4] {
        let coded = encode(&planes, previews, [usize::MAX, 0]).unwrap();
        assert_eq!(coded.header.method, Method::Drawn);
        let size: usize = coded.layers.iter().map(Vec::len).sum();
        assert!(size < 6000, "{size}");
        for count in 1..=previews + 1 {
            let now = decode(&coded.header, &slices(&coded.layers)[..count]).unwrap();
            assert_eq!(now == planes, count > previews);
        }
    }
}

#[test]
fn previews_stay_in_proportion() {
    // Letters: sharp everywhere, and repeated.
    let planes = Planes {
        width: 400,
        height: 300,
        max: 255,
        channels: vec![
            (0..120_000)
                .map(|i| {
                    let (x, y) = (i % 400, i / 400);
                    let letter = (x / 8 * 7 + y / 12 * 5) % 26;
                    let ink = (x % 8 * 3 + y % 12 * 5 + letter * letter) % 7 < 3;
                    if ink { 0 } else { 255 }
                })
                .collect(),
        ],
    };
    let coded = encode(&planes, 4, [usize::MAX, 0]).unwrap();
    assert_eq!(coded.header.method, Method::Drawn);
    let exact = coded.layers[4].len().max(1000);
    let costs = [16.0, 4.0, 2.0, 16.0 / 12.0];
    let coarse = coded.layers.iter().zip(costs);
    let coarse: f64 = coarse.map(|(layer, cost)| layer.len() as f64 * cost).sum();
    assert!(coarse < 1.5 * exact as f64, "{coarse} for {exact}");
    // A file that is small anyway has small previews too.
    let photo = picture(1, 300, 200, 3, 255);
    let free = encode(&photo, 4, [usize::MAX, 0]).unwrap().layers;
    let bound = encode(&photo, 4, [3000, 0]).unwrap().layers;
    for (bound, free) in bound.iter().zip(free).take(4) {
        assert!(bound.len() < free.len() && bound.len() < 400);
    }
}

#[test]
fn a_large_drawing_is_two_tiles() {
    let planes = drawing(4200, 30);
    let coded = encode(&planes, 4, [usize::MAX, 0]).unwrap();
    let header = &coded.header;
    let count = |layer| header.grid(layer).tiles();
    assert_eq!((count(0), count(4)), (4, 2));
    for layers in 1..=5 {
        let now = decode(header, &slices(&coded.layers)[..layers]).unwrap();
        assert_eq!(now == planes, layers == 5);
    }
}

#[test]
fn tiles_are_read_alone() {
    let planes = picture(3, 1500, 1200, 1, 255);
    let coded = encode(&planes, 4, [usize::MAX, 0]).unwrap();
    let header = &coded.header;
    let grid = header.grid(4);
    assert_eq!(grid.tiles(), 4);
    assert_eq!(decode(header, &slices(&coded.layers)).unwrap(), planes);
    for index in 0..4 {
        let pieces: Vec<&[u8]> = coded
            .layers
            .iter()
            .map(|layer| {
                let table = &layer[..grid.table_length()];
                let range = grid.ranges(table, layer.len() as u64).unwrap()[index].clone();
                &layer[range.start as usize..range.end as usize]
            })
            .collect();
        let tile = grid.tile(index);
        let decoded = header.decode_tile(index, &pieces).unwrap();
        for y in 0..tile.height {
            let start = (tile.y + y) * planes.width + tile.x;
            let row = &planes.channels[0][start..start + tile.width];
            assert_eq!(&decoded[0][y * tile.width..(y + 1) * tile.width], row);
        }
    }
}

#[test]
fn damage_never_panics() {
    for planes in [picture(2, 90, 70, 3, 255), drawing(90, 70)] {
        let coded = encode(&planes, 4, [usize::MAX, 0]).unwrap();
        let bytes = coded.header.to_bytes();
        for at in 0..bytes.len() {
            assert!(Header::parse(&bytes[..at]).is_err());
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            if let Ok(header) = Header::parse(&bytes)
                && header.samples() < 1 << 20
            {
                drop(decode(&header, &slices(&coded.layers)));
            }
        }
        for layer in 0..coded.layers.len() {
            for at in (0..coded.layers[layer].len()).step_by(37) {
                let mut layers = coded.layers.clone();
                layers[layer][at] ^= 0x10;
                drop(decode(&coded.header, &slices(&layers)));
                layers[layer].truncate(at);
                // Drawn tiles need no previews.
                if coded.header.method == Method::Wave || layer == 4 {
                    assert!(decode(&coded.header, &slices(&layers)).is_err());
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_coded_is_refused() {
    let mut planes = picture(1, 10, 10, 1, 255);
    planes.channels[0].pop();
    assert!(encode(&planes, 0, [usize::MAX, 0]).is_err());
    assert!(encode(&picture(1, 0, 10, 1, 255), 0, [usize::MAX, 0]).is_err());
    assert!(encode(&picture(1, 10, 10, 5, 255), 0, [usize::MAX, 0]).is_err());
    assert!(encode(&picture(1, 10, 10, 0, 255), 0, [usize::MAX, 0]).is_err());
    let mut planes = picture(1, 10, 10, 1, 255);
    planes.max = 20;
    assert!(encode(&planes, 0, [usize::MAX, 0]).is_err());
}
