//! Tests of the `HOCH` reader over sets made here: what is read, what is left, what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::big_endian_bytes,
    reason = "tests may panic; the format is big-endian"
)]

use ::png::{BitDepth, ColorType};
use flate2::Crc;
use proptest::prelude::*;

use super::*;
use crate::foreign::Kind;
use crate::foreign::holo::step;
use crate::foreign::testing::{Files, zlib};

const KIND: Kind = Kind::HoloImage;

/// Samples with edges and extremes.
fn pattern(width: u32, height: u32) -> Raster {
    let sample = |i: u32| match i {
        i if i.is_multiple_of(5) => 255,
        i if i.is_multiple_of(7) => 0,
        i => ((u64::from(i) * u64::from(i) / 7 + u64::from(i) * 31) % 251) as u8,
    };
    Raster {
        width,
        height,
        samples: (0..3 * width * height).map(sample).collect(),
    }
}

/// Checksums of what Pillow makes of the pattern, in more and in fewer pixels, along one side and along both.
#[test]
fn bicubic_is_that_of_pillow() {
    for (w, h, width, height, sum) in [
        (1, 1, 7, 5, 0xe453_de47),
        (2, 3, 61, 40, 0x3f2c_0f07),
        (16, 10, 61, 40, 0x2179_26ad),
        (16, 8, 33, 17, 0xaf3f_91aa),
        (64, 43, 1000, 666, 0x332a_204d),
        (3, 2, 3, 2, 0x8b32_f5f5),
        (5, 4, 5, 9, 0xe75c_3683),
        (5, 4, 9, 4, 0xc081_cf2f),
        (61, 40, 16, 10, 0xea15_8d71),
        (100, 3, 7, 50, 0x8c0c_32a0),
        (33, 17, 32, 16, 0x7972_cbcb),
        (7, 7, 1, 1, 0x52ee_fb02),
        (200, 1, 3, 1, 0x26c5_c618),
        (64, 64, 65, 65, 0x7d90_63ce),
        (64, 64, 63, 65, 0x7a3b_1489),
    ] {
        let made = bicubic::resize(pattern(w, h), width, height);
        assert_eq!(made.samples.len(), (3 * width * height) as usize);
        let mut crc = Crc::new();
        crc.update(&made.samples);
        assert_eq!(crc.sum(), sum, "{w}x{h} to {width}x{height}");
    }
}

/// What a decoder that is not ours makes of a PNG.
fn pixels(bytes: &[u8]) -> Raster {
    let mut decoder = ::png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.ignore_checksums(false);
    let mut reader = decoder.read_info().unwrap();
    let mut samples = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut samples).unwrap();
    assert_eq!(frame.color_type, ColorType::Rgb);
    reader.finish().unwrap();
    Raster {
        width: frame.width,
        height: frame.height,
        samples,
    }
}

#[test]
fn written_pictures_are_read_by_others_and_as_long_as_said() {
    // Rows of 3w + 1 bytes: one block, exactly one block, one byte more, rows longer than a block.
    for (width, height) in [
        (1, 1),
        (61, 40),
        (7281, 3),
        (1456, 15),
        (21_845, 1),
        (21_844, 1),
        (30_000, 5),
    ] {
        let picture = pattern(width, height);
        let file = png::write(width, height, &picture.samples);
        assert_eq!(
            file.len() as u64,
            png::size(width, height),
            "{width}x{height}"
        );
        assert!(pixels(&file) == picture, "{width}x{height}");
    }
    assert_eq!(png::size(61, 40), 7_428);
}

/// The bytes are those of every release: a file that was read once reads the same for ever.
#[test]
fn written_bytes_never_change() {
    let file = png::write(2, 1, &[1, 2, 3, 250, 251, 252]);
    let known = [
        "89504e470d0a1a0a",
        "0000000d49484452000000020000000108020000007b40e8dd",
        "0000001249444154",
        "7801",
        "010700f8ff",
        "00010203fafbfc",
        "060302f8",
        "0c82c049",
        "0000000049454e44ae426082",
    ];
    let hex: Vec<_> = file.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex.concat(), known.concat());
}

/// The file of a coarse picture.
fn coarse_file(picture: &Raster) -> Vec<u8> {
    png::write(picture.width, picture.height, &picture.samples)
}

/// A chunk whatever its fields say.
fn chunk(
    version: u8,
    size: (u32, u32, u8),
    numbers: (u32, u32),
    coarse: &[u8],
    slice: &[u8],
) -> Vec<u8> {
    let mut chunk = b"HOCH".to_vec();
    chunk.push(version);
    chunk.extend(size.1.to_be_bytes());
    chunk.extend(size.0.to_be_bytes());
    chunk.push(size.2);
    let words = [
        numbers.0,
        numbers.1,
        coarse.len() as u32,
        slice.len() as u32,
    ];
    chunk.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    chunk.extend_from_slice(coarse);
    chunk.extend_from_slice(slice);
    chunk
}

/// The chunks of a picture, written as the specification says.
fn chunks(version: u8, picture: &Raster, blocks: u32, coarse: (u32, u32)) -> Files {
    let small = pattern(coarse.0, coarse.1);
    let large = bicubic::resize(small.clone(), picture.width, picture.height);
    let n = picture.samples.len();
    let place = |i: usize| match (version, blocks) {
        (1, _) | (_, 1) => i,
        _ => i * step(n as u64) as usize % n,
    };
    let files = (0..blocks).map(|b| {
        let residual = (b as usize..n).step_by(blocks as usize).flat_map(|i| {
            let i = place(i);
            (i16::from(picture.samples[i]) - i16::from(large.samples[i])).to_le_bytes()
        });
        let slice = zlib(&residual.collect::<Vec<_>>());
        let size = (picture.width, picture.height, 3);
        chunk(version, size, (blocks, b), &coarse_file(&small), &slice)
    });
    Files(files.collect())
}

/// A picture that is not the pattern.
fn scene(width: u32, height: u32) -> Raster {
    let mut picture = pattern(width, height);
    picture.samples.reverse();
    picture
}

#[test]
fn both_versions_of_any_size_are_read() {
    for version in [1, 2] {
        for (width, height) in [(1, 1), (1, 9), (3, 2), (61, 40)] {
            for blocks in [1, 2, 3, 7, 16] {
                let picture = scene(width, height);
                let files = chunks(version, &picture, blocks, (4, 3));
                assert_eq!(files.kind(), Some(KIND));
                let reader = files.open(KIND).unwrap();
                assert_eq!(reader.check().unwrap(), Quality::Exact);
                assert_eq!(reader.verify().unwrap(), Quality::Exact);
                assert!(
                    pixels(&files.read(KIND).unwrap()) == picture,
                    "{version} {blocks}"
                );
            }
        }
    }
}

#[test]
fn any_chunk_gives_a_picture_of_the_same_size_and_says_what_is_missing() {
    let picture = scene(61, 40);
    for version in [1, 2] {
        let files = chunks(version, &picture, 4, (16, 10));
        let large = bicubic::resize(pattern(16, 10), 61, 40);
        let size = files.open(KIND).unwrap().size();
        for left in 1..16_u32 {
            let has = |b: &usize| left >> b & 1 == 1;
            let some = (0..4).filter(has).map(|b| files.0[b].clone()).collect();
            let some = Files(some);
            let reader = some.open(KIND).unwrap();
            assert_eq!((reader.size(), reader.suffix()), (size, ".png"));
            let count = reader.chunks().unwrap();
            assert_eq!(
                (count.have, count.need, count.total),
                (left.count_ones(), 4, 4)
            );
            let quality = reader.check().unwrap();
            let mut file = vec![0; size as usize];
            assert_eq!(reader.read_at(0, &mut file).unwrap(), quality);
            let read = pixels(&file);
            // A sample is exact where its chunk is there, else that of the enlarged coarse picture.
            let n = picture.samples.len();
            for i in 0..n {
                let at = if version == 1 {
                    i
                } else {
                    i * step(n as u64) as usize % n
                };
                let wanted = if has(&(i % 4)) { &picture } else { &large };
                assert_eq!(
                    read.samples[at], wanted.samples[at],
                    "{version} {left} {at}"
                );
            }
            match quality {
                Quality::Exact => assert_eq!(left, 15),
                Quality::Degraded(what) => {
                    assert!(
                        what.starts_with(&format!("{} of 4 chunks: without ", left.count_ones())),
                        "{what}"
                    );
                    for b in (0..4).filter(|b| !has(b)) {
                        assert!(what.contains(&b.to_string()), "{what} without {b}");
                    }
                }
            }
        }
        assert!(matches!(
            Files(Vec::new()).open(KIND),
            Err(ForeignError::Damaged(_))
        ));
    }
}

#[test]
fn a_damaged_chunk_counts_as_missing_once_it_was_read() {
    let picture = scene(61, 40);
    let mut files = chunks(2, &picture, 4, (16, 10));
    let last = files.0[2].len() - 1;
    files.0[2][last] ^= 1;
    let reader = files.open(KIND).unwrap();
    assert_eq!(
        reader.check().unwrap(),
        Quality::Exact,
        "headers do not tell"
    );
    let told = Quality::Degraded("chunk_0002.holo: damaged data of chunk 2".to_owned());
    assert_eq!(reader.verify().unwrap(), told);
    let mut file = vec![0; reader.size() as usize];
    assert_eq!(reader.read_at(0, &mut file).unwrap(), told);
    let mut without = files.clone();
    without.0.remove(2);
    assert!(without.read(KIND).unwrap() == file);
    // A good copy of it makes up for it, wherever it stands.
    files.0.push(chunks(2, &picture, 4, (16, 10)).0[2].clone());
    assert!(pixels(&files.read(KIND).unwrap()) == picture);
}

#[test]
fn a_damaged_coarse_picture_does_not_matter_but_two_good_ones_must_agree() {
    let picture = scene(61, 40);
    let files = chunks(2, &picture, 4, (16, 10));
    let mut some = files.clone();
    some.0[0][30 + 60] ^= 1;
    some.0[1][30] ^= 1;
    assert!(pixels(&some.read(KIND).unwrap()) == picture);
    for file in &mut some.0 {
        file[30] ^= 1;
    }
    some.0[1][30] ^= 2;
    assert_eq!(some.error(KIND), "no chunk has a good coarse picture");
    let mut other = files.clone();
    other.0[3] = chunks(2, &picture, 4, (8, 5)).0[3].clone();
    assert_eq!(
        other.error(KIND),
        "chunk_0000.holo and chunk_0003.holo are of different files"
    );
}

/// Coarse pictures in other colours become RGB; with 16 bits they are not read.
#[test]
fn coarse_pictures_of_other_kinds() {
    let encode = |colour: ColorType, depth: BitDepth, data: &[u8]| {
        let mut file = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut file, 2, 1);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![9, 8, 7, 6, 5, 4]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        coarse::decode(&file).map(|raster| raster.samples)
    };
    let eight = BitDepth::Eight;
    assert_eq!(
        encode(ColorType::Rgb, eight, &[1, 2, 3, 4, 5, 6]).unwrap(),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        encode(ColorType::Rgba, eight, &[1, 2, 3, 0, 4, 5, 6, 0]).unwrap(),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        encode(ColorType::Grayscale, eight, &[1, 2]).unwrap(),
        [1, 1, 1, 2, 2, 2]
    );
    assert_eq!(
        encode(ColorType::GrayscaleAlpha, eight, &[1, 0, 2, 0]).unwrap(),
        [1, 1, 1, 2, 2, 2]
    );
    assert_eq!(
        encode(ColorType::Grayscale, BitDepth::One, &[0x40]).unwrap(),
        [0, 0, 0, 255, 255, 255]
    );
    assert_eq!(
        encode(ColorType::Indexed, eight, &[1, 0]).unwrap(),
        [6, 5, 4, 9, 8, 7]
    );
    assert_eq!(
        encode(ColorType::Grayscale, BitDepth::Sixteen, &[0; 4]),
        None
    );
}

#[test]
fn stale_chunks_of_another_run_are_not_mixed_in() {
    let picture = scene(61, 40);
    let new = chunks(2, &picture, 3, (16, 10));
    let old = chunks(2, &scene(50, 50), 8, (16, 10));
    let mut files = new.clone();
    files.0.extend_from_slice(&old.0[3..]);
    assert!(pixels(&files.read(KIND).unwrap()) == picture);
    // Also where more of the old ones are left than of the new.
    files.0.remove(1);
    let reader = files.open(KIND).unwrap();
    let told = "2 of 3 chunks: without 1".to_owned();
    assert_eq!(reader.check().unwrap(), Quality::Degraded(told));
    // Not so where the old ones cannot be stale.
    files.0.push(old.0[2].clone());
    assert!(
        files
            .open(KIND)
            .unwrap_err()
            .to_string()
            .contains("of 3 and of 8 chunks")
    );
    let mut two = new;
    two.0.extend(old.0);
    assert!(matches!(two.open(KIND), Err(ForeignError::Mixed(_))));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let picture = scene(61, 40);
    let set = chunks(2, &picture, 4, (16, 10));
    for other in [
        chunks(1, &picture, 4, (16, 10)),
        chunks(2, &scene(40, 61), 4, (16, 10)),
        chunks(2, &scene(61, 41), 4, (16, 10)),
    ] {
        let mut mixed = set.clone();
        mixed.0[2] = other.0[2].clone();
        let said = mixed.error(KIND);
        assert_eq!(
            said,
            "chunk_0000.holo and chunk_0002.holo are of different files or versions"
        );
    }
    let mut copies = set.clone();
    let mut other = picture.clone();
    other.samples[0] ^= 1;
    copies.0.extend(chunks(2, &other, 4, (16, 10)).0);
    assert!(copies.error(KIND).starts_with("two different chunks "));
    for magic in [b"HOBI", b"HOAU"] {
        let mut kinds = set.clone();
        kinds.0[3][..4].copy_from_slice(magic);
        assert_eq!(
            kinds.error(KIND),
            "chunk_0003.holo: a chunk that holds something else"
        );
    }
    // Chunks of version 3 have taken the place of others: not a degraded picture, something else.
    let mut newer = set;
    newer.0[1][4] = 3;
    assert_eq!(newer.kind(), Some(KIND));
    assert!(
        newer.error(KIND).contains("version 3"),
        "{}",
        newer.error(KIND)
    );
}

#[test]
fn version_3_is_known_and_refused() {
    let name = "chunk_0001.holo: version 3 of Holo.Codec is not supported: it keeps";
    for (magic, what) in [
        (
            b"HOCH",
            " a picture's cosine transform (DCT), always with loss",
        ),
        (
            b"HOAU",
            " the Fourier transform (STFT) of sound, always with loss",
        ),
    ] {
        let mut chunk = magic.to_vec();
        chunk.extend([3, 0, 0, 0]);
        let files = Files(vec![b"readme".to_vec(), chunk]);
        assert_eq!(files.kind(), Some(Kind::HoloTransform));
        let refused = files.open(Kind::HoloTransform).unwrap_err();
        assert!(matches!(refused, ForeignError::Unsupported { .. }));
        assert_eq!(refused.to_string(), format!("{name}{what}"));
    }
    let sound = Files(vec![b"HOAU\x02".to_vec()]);
    assert_eq!(sound.kind(), Some(Kind::HoloSound));
}

#[test]
fn hostile_headers_are_errors_that_name_file_and_place() {
    let picture = scene(10, 10);
    let good = chunks(2, &picture, 1, (4, 3)).0.remove(0);
    assert!(Files(vec![good.clone()]).read(KIND).is_ok());
    for (at, value, words) in [
        (4, 0, "version 0 at byte 4"),
        (4, 9, "version 9 of Holo.Codec is not supported"),
        (8, 0, "a picture without rows at byte 5"),
        (12, 0, "a picture without columns at byte 9"),
        (13, 1, "1 samples a pixel, not 3 at byte 13"),
        (5, 255, "more than the limit 536870912"),
        (6, 255, "more than the limit 1048576"),
        (9, 255, "more than the limit 536870912"),
        (17, 0, "chunk number beyond the number of chunks at byte 18"),
        (22, 1, "the data end"),
        (26, 255, "the data end"),
        (30, 0, "no chunk has a good coarse picture"),
    ] {
        let mut bad = good.clone();
        bad[at] = value;
        let said = Files(vec![bad]).error(KIND);
        assert!(said.contains(words), "{said:?} without {words:?}");
    }
    for length in 4..good.len() {
        assert!(Files(vec![good[..length].to_vec()]).read(KIND).is_err());
    }
    let all = Files(vec![chunk(
        2,
        (u32::MAX, u32::MAX, 3),
        (u32::MAX, 0),
        b"",
        b"",
    )]);
    assert_eq!(all.open(KIND).unwrap().size(), u64::MAX);
    assert!(all.error(KIND).contains("more than the limit"));
}

/// Lengths that lie cost nothing: a slice of more or less than it must have is damage, a coarse picture that claims
/// more pixels than its bytes can hold is not read.
#[test]
fn bombs_are_damage() {
    let small = coarse_file(&pattern(4, 3));
    let bomb = zlib(&vec![0; 10 << 20]);
    let degraded = |slice: &[u8], size: (u32, u32, u8)| {
        let files = Files(vec![chunk(2, size, (1, 0), &small, slice)]);
        match files.open(KIND).unwrap().verify() {
            Ok(Quality::Degraded(what)) => what,
            other => panic!("{other:?}"),
        }
    };
    assert!(degraded(&bomb, (700, 700, 3)).contains("damaged data of chunk 0"));
    assert!(degraded(&bomb, (10, 10, 3)).contains("stored bytes for 600 at byte 26"));
    assert!(degraded(&zlib(&[0; 599]), (10, 10, 3)).contains("damaged data of chunk 0"));
    assert!(degraded(&zlib(&[]), (700, 700, 3)).contains("stored bytes for 2940000 at byte 26"));

    let mut huge = small.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0x20, 0, 0, 0, 0x20, 0]);
    let mut crc = Crc::new();
    crc.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    assert_eq!(coarse::decode(&huge), None);
    // One column as high as allowed, to be enlarged in width first.
    let tall = coarse_file(&pattern(1, 1 << 20));
    let files = Files(vec![chunk(2, (1 << 20, 1, 3), (1, 0), &tall, &zlib(&[]))]);
    assert!(files.error(KIND).contains("enlarged in width"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Bytes changed anywhere: an error, or a picture of the size that was said, exact only if it is.
    #[test]
    fn changed_bytes_are_never_taken_for_the_picture(
        changes in prop::collection::vec((0..3_usize, 30..2000_usize, 1..=255_u8), 1..4),
    ) {
        let picture = scene(20, 15);
        let mut files = chunks(2, &picture, 3, (4, 3));
        for (file, at, value) in changes {
            let at = at % (files.0[file].len() - 30) + 30;
            files.0[file][at] ^= value;
        }
        let reader = files.open(KIND).unwrap();
        if let Ok(quality) = reader.verify() {
            let mut file = vec![0; reader.size() as usize];
            prop_assert_eq!(&reader.read_at(0, &mut file).unwrap(), &quality);
            let read = pixels(&file);
            prop_assert!(quality != Quality::Exact || read == picture);
        }
    }

    /// Any bytes after the magic: no panic, nothing allocated that the bytes do not pay for.
    #[test]
    fn any_bytes_are_survived(tail in prop::collection::vec(any::<u8>(), 0..200), small in any::<bool>()) {
        let mut file = b"HOCH".to_vec();
        file.extend(tail);
        if small && file.len() > 18 {
            file[4] = 2;
            for at in [5, 6, 9, 10, 14, 15, 16] {
                file[at] = 0;
            }
            file[13] = 3;
        }
        if let Ok(reader) = Files(vec![file]).open(KIND) {
            drop(reader.verify());
        }
    }
}
