//! Tests of the pictures: where ink is, in which colour, and where marks are.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use super::*;

fn bin(worth: Worth, levels: &[(i16, i16, i16)]) -> Bin {
    let mut bin = Bin {
        frames: 4,
        worth,
        ..Bin::default()
    };
    for (level, (least, greatest, rms)) in bin.levels.iter_mut().zip(levels) {
        *level = Level {
            least: *least,
            greatest: *greatest,
            squares: 4 * u64::from(rms.unsigned_abs()).pow(2),
        };
    }
    bin
}

fn survey(channels: usize, bins: Vec<Bin>) -> Survey {
    let frames = 4 * bins.len() as u64;
    Survey {
        channels,
        rate: 1000,
        frames,
        seen: frames,
        span: 4,
        bins,
    }
}

fn drawing(survey: &Survey, width: usize, height: usize) -> Waveform<'_> {
    Waveform {
        survey,
        width,
        height,
        centi_db: Some(2000),
    }
}

/// Rows of colours.
fn drawn(waveform: Waveform<'_>) -> Vec<Vec<[u8; 3]>> {
    let png = waveform.png().unwrap();
    assert_eq!(png, waveform.png().unwrap());
    let picture = image::load_from_memory(&png).unwrap().to_rgb8();
    let rows = picture.rows();
    rows.map(|row| row.map(|pixel| pixel.0).collect()).collect()
}

fn colour(ink: Ink) -> [u8; 3] {
    PALETTE[ink as usize]
}

/// The rows of a column in these colours.
fn rows(picture: &[Vec<[u8; 3]>], x: usize, inks: &[Ink]) -> Vec<usize> {
    let colours: Vec<_> = inks.iter().map(|ink| colour(*ink)).collect();
    let rows = picture.iter().enumerate();
    let found = rows.filter(|(_, row)| colours.contains(&row[x]));
    found.map(|(y, _)| y).collect()
}

#[test]
fn a_column_reaches_from_the_least_to_the_greatest_sample() {
    let bins = vec![
        bin(Worth::Exact, &[(0, 0, 0)]),
        bin(Worth::Exact, &[(i16::MIN, i16::MAX, 16_384)]),
        bin(Worth::Exact, &[(0, 16_384, 4096)]),
        bin(Worth::Exact, &[(-16_384, -8192, 100)]),
    ];
    let survey = survey(1, bins);
    let picture = drawn(drawing(&survey, 4, 129));
    assert_eq!((picture.len(), picture[0].len()), (129 + AXIS, 4));
    let all = [Ink::Peak, Ink::Mean];
    assert_eq!(rows(&picture, 0, &all), [63]);
    assert_eq!(rows(&picture, 1, &all), (0..128).collect::<Vec<_>>());
    assert_eq!(
        rows(&picture, 1, &[Ink::Mean]),
        (31..=95).collect::<Vec<_>>()
    );
    assert_eq!(rows(&picture, 2, &all), (31..=63).collect::<Vec<_>>());
    assert_eq!(
        rows(&picture, 2, &[Ink::Mean]),
        (55..=63).collect::<Vec<_>>()
    );
    assert_eq!(rows(&picture, 3, &all), (79..=95).collect::<Vec<_>>());
    assert_eq!(rows(&picture, 0, &[Ink::Border]), [128]);
}

#[test]
fn what_is_softer_or_lost_is_seen() {
    let level = [(-8192, 8192, 8192)];
    let bins = vec![
        bin(Worth::Exact, &level),
        bin(Worth::Soft, &level),
        Bin {
            worth: Worth::Lost,
            ..Bin::default()
        },
        bin(Worth::Lost, &level),
    ];
    let survey = survey(1, bins);
    let picture = drawn(drawing(&survey, 4, 129));
    let soft = [Ink::SoftPeak, Ink::SoftMean];
    let lost = [Ink::Lost, Ink::LostHatch];
    assert!(rows(&picture, 0, &soft).is_empty() && rows(&picture, 0, &lost).is_empty());
    assert_eq!(rows(&picture, 1, &soft), (47..=79).collect::<Vec<_>>());
    // 20 dB less: a tenth.
    let error = rows(&picture, 1, &[Ink::SoftError]);
    assert_eq!(error, [46, 80, 81]);
    assert_eq!(rows(&picture, 2, &lost).len(), 129);
    assert_eq!(rows(&picture, 2, &soft), [] as [usize; 0]);
    assert_eq!(rows(&picture, 3, &soft), (47..=79).collect::<Vec<_>>());
    assert!(rows(&picture, 3, &lost).contains(&0));
}

#[test]
fn each_channel_has_its_band() {
    for channels in 1..=8 {
        let mut levels = vec![(0, 0, 0); channels];
        levels[channels - 1] = (i16::MIN, i16::MAX, i16::MAX);
        let survey = survey(channels, vec![bin(Worth::Exact, &levels); 3]);
        let picture = drawn(drawing(&survey, 10, 256));
        assert_eq!(picture[0].len(), 9, "each bin as often as it fits");
        let band = 256 / channels;
        assert_eq!(picture.len(), band * channels + AXIS);
        let ink = rows(&picture, 4, &[Ink::Peak, Ink::Mean]);
        let last = band * (channels - 1);
        assert_eq!(ink.len(), channels - 1 + band - 1);
        assert_eq!(ink[channels - 1], last);
    }
}

#[test]
fn marks_are_at_round_times() {
    // 4 ms a column.
    let survey = survey(1, vec![bin(Worth::Exact, &[(0, 0, 0)]); 1000]);
    let waveform = drawing(&survey, 1000, 64);
    assert_eq!(waveform.marks(), Some(1000));
    let picture = drawn(waveform);
    let marked = |y: usize| -> Vec<usize> {
        let row = picture[64 + y].iter().enumerate();
        let marks = row.filter(|(_, pixel)| **pixel == colour(Ink::Mark));
        marks.map(|(x, _)| x).collect()
    };
    assert_eq!(marked(AXIS - 1), [0, 250, 500, 750]);
    assert_eq!(marked(0), (0..1000).step_by(25).collect::<Vec<_>>());

    // The same picture of parts of a sound that is a hundred times as long.
    let parts = Survey {
        frames: 400_000,
        ..survey.clone()
    };
    assert_eq!(drawing(&parts, 1000, 64).marks(), Some(60_000));
    let unknown = Survey { rate: 0, ..survey };
    assert_eq!(drawing(&unknown, 1000, 64).marks(), None);
    drawn(drawing(&unknown, 1000, 64));
}

#[test]
fn no_sound_is_a_picture_and_a_wall_is_none() {
    let nothing = survey(2, Vec::new());
    let picture = drawn(drawing(&nothing, 50, 64));
    assert_eq!((picture[0].len(), picture.len()), (50, 64 + AXIS));
    assert!(drawing(&nothing, MOST + 1, 64).png().is_err());
    assert!(drawing(&nothing, 50, 2 * MOST).png().is_err());
}
