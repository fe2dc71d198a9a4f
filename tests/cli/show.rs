//! What `show` draws: waveforms of sound in any state, small pictures, and what it refuses.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Bench, complaint, expect};

/// A WAVE file of two channels in 16 bits: a slow beat with a little noise, the second one quieter.
fn sound(frames: u32) -> Vec<u8> {
    let length = 4 * frames;
    let mut file = b"RIFF".to_vec();
    file.extend((length + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data");
    file.extend(length.to_le_bytes());
    let mut state = 1_u32;
    for i in 0..frames {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let beat = i32::try_from(i % 4000).unwrap() - 2000;
        let tone = i32::try_from(i % 40).unwrap() - 20;
        let level = tone * (2000 - beat.abs()) / 2 + i32::try_from(state >> 25).unwrap();
        for sample in [level, level / 4] {
            file.extend(i16::try_from(sample).unwrap().to_le_bytes());
        }
    }
    file
}

fn bench() -> Bench {
    Bench::with_policy("[defaults]\nmin_size = \"1B\"\nlayout = \"spread\"")
}

fn args<'a>(file: &'a Path, out: &'a Path, more: &[&'a str]) -> Vec<&'a OsStr> {
    let mut args = vec![OsStr::new("show"), file.as_os_str()];
    args.extend([OsStr::new("--png"), out.as_os_str()]);
    args.extend(more.iter().copied().map(OsStr::new));
    args
}

/// Takes chunks of a spread set away, from this one on.
fn lose(set: &Path, first: usize) {
    let mut chunks: Vec<PathBuf> = fs::read_dir(set)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("chunk")
        })
        .collect();
    chunks.sort();
    assert_eq!(chunks.len(), 16);
    for chunk in &chunks[first..] {
        fs::remove_file(chunk).unwrap();
    }
}

/// Pixels of each kind in a picture: blue, amber.
fn ink(png: &Path) -> (usize, usize) {
    let picture = image::open(png).unwrap().to_rgb8();
    let count = |wanted: &dyn Fn(u8, u8) -> bool| {
        let pixels = picture.pixels();
        pixels.filter(|p| wanted(p.0[0], p.0[2])).count()
    };
    (
        count(&|red, blue| blue > red.saturating_add(20)),
        count(&|red, blue| red > blue.saturating_add(20)),
    )
}

#[test]
fn a_sound_is_drawn_as_what_is_left_of_it() {
    let bench = bench();
    bench.put("beat.wav", &sound(40_000));
    let (file, out) = (bench.store().join("beat.wav"), bench.path("out.png"));
    let said = expect(0, &args(&file, &out, &[]));
    let line = format!(
        "picture    {}: waveform of 2 channels, 0:00:05.000, a mark every 1 s\n",
        out.display()
    );
    assert!(said.contains(&line), "{said}");
    let exact = fs::read(&out).unwrap();
    let (blue, amber) = ink(&out);
    assert!(blue > 1000 && amber == 0, "{blue} {amber}");
    assert_eq!(image::open(&out).unwrap().height(), 266);

    // Never over a file that is there, but where that is asked for; and the same bytes again.
    expect(1, &args(&file, &out, &[]));
    let said = expect(0, &args(&file, &out, &["--overwrite", "--json"]));
    assert!(fs::read(&out).unwrap() == exact);
    let said: Value = serde_json::from_str(&said).unwrap();
    let wanted = serde_json::json!({
        "path": out, "kind": "waveform", "channels": 2, "length_ms": 5000, "mark_ms": 1000,
        "coarse": false, "worst": "exact",
    });
    assert_eq!(said["picture"], wanted);
    assert_eq!(said["state"], "exact");

    // With few chunks it is softer.
    let set = bench.store().join("beat.wav.holo");
    lose(&set, 5);
    let said = expect(0, &args(&file, &out, &["--force"]));
    assert!(said.contains("\nquality    13."), "{said}");
    assert!(
        said.contains(", a mark every 1 s, softer where it is amber\n"),
        "{said}"
    );
    let (blue, amber) = ink(&out);
    assert!(blue == 0 && amber > 1000, "{blue} {amber}");

    // With none there is nothing to draw, and nothing is written.
    for entry in fs::read_dir(&set).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "manifest" {
            fs::remove_file(path).unwrap();
        }
    }
    let none = bench.path("none.png");
    expect(6, &args(&file, &none, &[]));
    assert!(!none.exists());
}

#[test]
fn sounds_of_every_container_are_drawn() {
    let bench = bench();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sound");
    for (name, channels) in [
        ("float.wav", None),
        ("extensible24.wav", None),
        ("plain.aiff", None),
        ("stereo8.flac", Some(2)),
        ("six.flac", Some(6)),
    ] {
        let bytes = fs::read(vectors.join(name)).unwrap();
        bench.put(name, &bytes);
        let out = bench.path(format!("{name}.png"));
        let said = expect(0, &args(&bench.store().join(name), &out, &["--json"]));
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["picture"]["kind"], "waveform", "{name}");
        if let Some(channels) = channels {
            assert_eq!(said["picture"]["channels"], channels, "{name}");
        }
        // The same as while it was kept plain.
        fs::write(bench.store().join(format!("plain-{name}")), &bytes).unwrap();
        let plain = bench.path(format!("plain-{name}.png"));
        let file = bench.store().join(format!("plain-{name}"));
        expect(0, &args(&file, &plain, &[]));
        assert!(fs::read(out).unwrap() == fs::read(plain).unwrap(), "{name}");
    }
}

#[test]
fn a_sound_of_another_program_is_drawn() {
    let bench = Bench::new();
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo/st.wav.holo");
    let there = bench.store().join("st.wav.holo");
    fs::create_dir(&there).unwrap();
    for chunk in ["chunk_0000.holo", "chunk_0002.holo"] {
        fs::copy(set.join(chunk), there.join(chunk)).unwrap();
    }
    let (file, out) = (bench.store().join("st.wav"), bench.path("out.png"));
    let said = expect(0, &args(&file, &out, &[]));
    assert!(said.contains(": waveform of 2 channels, "), "{said}");
    let (blue, amber) = ink(&out);
    assert!(blue == 0 && amber > 100, "{blue} {amber}");
}

#[test]
fn a_picture_is_drawn_small_and_other_files_not_at_all() {
    let bench = bench();
    let mut picture = b"P6\n300 150\n255\n".to_vec();
    for at in 0..300_u32 * 150 {
        let level = u8::try_from(at % 300 / 2).unwrap();
        picture.extend([level, 255 - level, 40]);
    }
    bench.put("photo.ppm", &picture);
    bench.put("text", b"nothing to see or to hear in here");
    fs::write(bench.store().join("plain.ppm"), &picture).unwrap();
    let out = bench.path("out.png");
    let said = expect(0, &args(&bench.store().join("photo.ppm"), &out, &[]));
    assert!(said.contains(": thumbnail\n"), "{said}");
    let shown = image::open(&out).unwrap();
    assert_eq!((shown.width(), shown.height()), (128, 64));
    let none = bench.path("none.png");
    for name in ["text", "plain.ppm"] {
        let file = bench.store().join(name);
        expect(1, &args(&file, &none, &[]));
        let said = complaint(&args(&file, &none, &[]));
        assert!(
            said.contains("no picture can be drawn of it\nhint: "),
            "{said}"
        );
    }
    assert!(!none.exists());
    let file = bench.store().join("text");
    expect(
        2,
        &[
            OsStr::new("show"),
            file.as_os_str(),
            OsStr::new("--overwrite"),
        ],
    );
}
