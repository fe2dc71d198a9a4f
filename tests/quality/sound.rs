//! Sound with chunks missing: softer as a whole, without clicks or holes, in files that other programs play.

use std::fs;

use crate::media::Draw;
use crate::subsets::Set;
use crate::tunes::{Form, RATE, decoded, file, flac, head, snr, tool, tune};

/// A second and a bit of stereo, as a WAV and a FLAC file.
fn sounds() -> [(&'static str, Vec<u8>); 2] {
    let wav = file(&tune(60_000, 2), 2, Form::Wav(2));
    let flac = flac(&wav);
    [("WAV", wav), ("FLAC", flac)]
}

/// Invariant 4: "Losing any N - K chunks loses nothing; losing more of media loses sharpness only; PSNR never falls
/// when a chunk is added."
#[test]
fn of_eight_chunks_every_choice_sounds_as_its_number_does() {
    for (name, content) in sounds() {
        let set = Set::new(&content, "{ n = 8, k = 7 }");
        let whole = decoded(&content);
        let mut seen: [Option<Vec<u8>>; 9] = Default::default();
        for kept in 1..256_u32 {
            let count = kept.count_ones() as usize;
            let shown = set.with(kept);
            let shown = shown.unwrap_or_else(|e| panic!("{name}, chunks {kept:08b}: {e}"));
            let same = seen[count].get_or_insert_with(|| shown.clone());
            assert!(*same == shown, "{name}: {kept:08b} is another sound");
        }
        let heard = seen.iter().flatten();
        let heard: Vec<f64> = heard.map(|shown| snr(&whole, &decoded(shown))).collect();
        assert!(
            heard.is_sorted() && heard[0] < heard[5],
            "{name}: {heard:?}"
        );
        assert!(
            seen[7].as_ref() == Some(&content) && seen[8] == seen[7],
            "{name}"
        );
    }
}

#[test]
fn of_sixteen_chunks_any_few_sound_as_was_promised() {
    let seed = std::process::id().into();
    let mut draw = Draw(seed);
    for (name, content) in sounds() {
        let set = Set::new(&content, "\"standard\"");
        let whole = decoded(&content);
        for (count, least) in [(1, 8.0), (4, 13.0), (8, 20.0), (12, 28.0), (14, 99.0)] {
            let mut first: Option<Vec<u8>> = None;
            for _ in 0..12 {
                let mut kept = 0_u32;
                while kept.count_ones() < count {
                    kept |= 1 << draw.next(16);
                }
                let shown = set.with(kept).unwrap();
                let same = first.get_or_insert_with(|| shown.clone());
                assert!(
                    *same == shown,
                    "{name}: {kept:016b} is another sound, seed {seed}"
                );
            }
            let db = snr(&whole, &decoded(&first.unwrap()));
            assert!(db >= least - 0.1, "{name}: {db:.2} dB of {count} chunks");
        }
        let nothing = set.with(0);
        assert!(nothing.is_err(), "{name}: {nothing:?}");
    }
}

#[test]
fn other_programs_play_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sound.flac");
    for (form, channels) in [
        (Form::Wav(1), 1),
        (Form::Wav(2), 2),
        (Form::Wav(3), 2),
        (Form::Float, 1),
        (Form::Aiff(2), 2),
        (Form::Aiff(3), 1),
    ] {
        let wav = file(
            &tune(30_000, channels),
            u16::try_from(channels).unwrap(),
            form,
        );
        let mut kinds = vec![("as it is", wav.clone())];
        if matches!(form, Form::Wav(_)) {
            kinds.push(("FLAC", flac(&wav)));
        }
        for (kind, content) in kinds {
            let what = format!("{form:?}, {channels} channels, {kind}");
            let set = Set::new(&content, "\"standard\"");
            let whole = decoded(&content);
            let mut before = 0.0;
            for count in [1, 4, 8, 12] {
                let shown = set.with((1 << count) - 1).unwrap();
                assert_eq!(shown.len(), content.len(), "{what}");
                let db = snr(&whole, &decoded(&shown));
                assert!(db > before, "{what}: {db} after {before}");
                before = db;
                if kind == "FLAC" {
                    fs::write(&path, &shown).unwrap();
                    let done = tool("flac", &["-s", "-t", "FILE"], &path);
                    let said = String::from_utf8_lossy(&done.stderr);
                    // The hash of samples that are not there would be wrong.
                    let said = said.replace(
                        "WARNING, cannot check MD5 signature since it was unset in the STREAMINFO",
                        "",
                    );
                    assert!(
                        done.status.success()
                            && !said.contains("ERROR")
                            && !said.contains("WARNING"),
                        "{what}: {said}"
                    );
                    let facts = |bytes: &[u8]| {
                        fs::write(&path, bytes).unwrap();
                        let args = [
                            "--show-sample-rate",
                            "--show-channels",
                            "--show-bps",
                            "--show-total-samples",
                            "FILE",
                        ];
                        tool("metaflac", &args, &path).stdout
                    };
                    assert_eq!(facts(&shown), facts(&content), "{what}");
                } else {
                    let head = head(form);
                    assert!(shown[..head] == content[..head], "{what}: another header");
                }
            }
        }
    }
}

/// The loudest error of any 10 ms, over the energy of the sound itself: over that of the loudest 10 ms within 0.1 s
/// around, so that a click is loud; and over its own in passages that are not quiet, so that a hole is 1.
fn errors(whole: &[i32], seen: &[i32], channels: usize) -> (f64, f64) {
    let (window, around) = (RATE / 100, 10);
    let square = |value: f64| value * value;
    let (mut click, mut hole) = (0.0_f64, 0.0_f64);
    for channel in 0..channels {
        let of = |samples: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let frames = whole.len() / channels;
            let windows = 0..frames / window;
            windows
                .map(|w| {
                    (w * window..(w + 1) * window)
                        .map(|i| square(samples(i * channels + channel)))
                        .sum()
                })
                .collect()
        };
        let sound = of(&|at| f64::from(whole[at]));
        let noise = of(&|at| f64::from(whole[at]) - f64::from(seen[at]));
        let mean = sound.iter().sum::<f64>() / sound.len() as f64;
        for (at, noise) in noise.iter().enumerate() {
            let near = &sound[at.saturating_sub(around)..sound.len().min(at + around + 1)];
            let loudest = near.iter().copied().fold(mean / 1000.0, f64::max);
            click = click.max(noise / loudest);
            if sound[at] > mean {
                hole = hole.max(noise / sound[at]);
            }
        }
    }
    (click, hole)
}

/// What the test below asks of so many chunks: the most of both measures.
const BOUNDS: [(u32, f64, f64); 4] = [
    (1, 1.0, 0.6),
    (4, 0.5, 0.3),
    (8, 0.12, 0.08),
    (12, 0.02, 0.02),
];

/// Two segments and a bit, so that there are ends of segments to be heard.
#[test]
fn what_is_missing_is_neither_a_click_nor_a_hole() {
    for channels in [1_u16, 6] {
        let frames = 1_150_000 / usize::from(channels);
        let wav = file(&tune(frames, channels.into()), channels, Form::Wav(2));
        let mut kinds = vec![("WAV", wav)];
        if channels == 1 {
            kinds.push(("FLAC", flac(&kinds[0].1)));
        }
        for (kind, content) in kinds {
            let set = Set::new(&content, "\"standard\"");
            let whole = decoded(&content);
            for (count, clicks, holes) in BOUNDS {
                let mut seen = decoded(&set.with((1 << count) - 1).unwrap());
                let (click, hole) = errors(&whole, &seen, channels.into());
                assert!(
                    click < clicks && hole < holes,
                    "{kind}, {channels} channels, {count} chunks: {click} {hole}"
                );
                // Both would be found: 10 ms of nothing in a loud place, and 1 ms at the end of the range.
                let window = RATE / 100 * usize::from(channels);
                let energy = |w: &&[i32]| w.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                let mut loud = whole.chunks_exact(window).map(|w| energy(&w));
                let most = loud.clone().fold(0.0, f64::max);
                let at = loud.position(|energy| energy >= most).unwrap() * window;
                let kept = seen[at..at + window].to_vec();
                seen[at..at + window].fill(0);
                let (_, hole) = errors(&whole, &seen, channels.into());
                assert!(hole >= holes, "a hole in {count} chunks: {hole}");
                seen[at..at + window].copy_from_slice(&kept);
                seen[window..window + window / 10].fill(i32::MAX);
                let (click, _) = errors(&whole, &seen, channels.into());
                assert!(
                    click >= clicks.min(0.5),
                    "a click in {count} chunks: {click}"
                );
            }
        }
    }
}
