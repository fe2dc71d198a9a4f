//! Sound through a mount: exact, softer with chunks missing, and played from any place by ffmpeg.

use rustix::io::Errno;

use super::degraded::{SPREAD, chunks, hide};
use super::*;

/// Frames a second.
const RATE: u32 = 8000;
/// Bytes before the samples.
const HEAD: usize = 44;

/// A WAV file of 16 bits: two tones that come and go and some noise in every channel.
fn wav(seconds: u32, channels: u16) -> Vec<u8> {
    let frames = seconds * RATE;
    let width = 2 * channels;
    let length = frames * u32::from(width);
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * u32::from(width)).to_le_bytes());
    file.extend(width.to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(length.to_le_bytes());
    let grain = noise(21, (frames * u32::from(channels)) as usize);
    let mut grain = grain.into_iter();
    for at in 0..frames {
        // Triangles of 10 and 23 samples, louder and softer by turns of a second.
        let triangle = |cycle: u32| i32::try_from((at % cycle).abs_diff(cycle / 2)).unwrap();
        let loud = 60 + i32::try_from((at % RATE).abs_diff(RATE / 2) / 8).unwrap();
        for channel in 0..i32::from(channels) {
            let tones = triangle(10) * (3 + channel) + triangle(23) * 2 - 38;
            let grain = i32::from(grain.next().unwrap()) - 128;
            let sample = i16::try_from(tones * loud / 2 + grain / 4).unwrap();
            file.extend(sample.to_le_bytes());
        }
    }
    file
}

/// What a program gives out; it must have no complaint.
fn tool(name: &str, args: &[&str], file: &Path) -> Vec<u8> {
    let args = args.iter().map(|arg| match *arg {
        "FILE" => file.as_os_str(),
        arg => arg.as_ref(),
    });
    let done = Command::new(name).args(args).output();
    let done = done.unwrap_or_else(|e| panic!("{name}: {e}; scripts/install.sh installs it"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.is_empty(), "{name}: {said}");
    done.stdout
}

/// Samples of 16 bits as ffmpeg decodes them, from a second on and so many, or all.
fn played(file: &Path, part: Option<(u32, u32)>) -> Vec<i16> {
    let mut args = vec!["-v", "error", "-nostdin"];
    let words = part.map(|(from, seconds)| [from.to_string(), seconds.to_string()]);
    if let Some([from, seconds]) = &words {
        args.extend(["-ss", from, "-t", seconds]);
    }
    args.extend(["-i", "FILE", "-f", "s16le", "-"]);
    let head = vec![0; HEAD];
    samples(&[head, tool("ffmpeg", &args, file)].concat())
}

/// The samples of such a file.
fn samples(wav: &[u8]) -> Vec<i16> {
    let pairs = wav[HEAD..].as_chunks().0.iter();
    pairs.map(|pair| i16::from_le_bytes(*pair)).collect()
}

/// SNR in dB.
fn snr(whole: &[i16], seen: &[i16]) -> f64 {
    assert_eq!(whole.len(), seen.len());
    let energy: f64 = whole.iter().map(|a| f64::from(*a).powi(2)).sum();
    let pairs = whole.iter().zip(seen);
    let noise: f64 = pairs
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    10.0 * (energy / noise).log10()
}

/// Names and contents.
type Sounds = [(&'static str, Vec<u8>); 2];

/// A mount with a WAV file and the FLAC file that flac makes of it, encoded and not yet decoded; their names and contents.
fn with_sounds(seconds: u32) -> Option<(Mount, Sounds)> {
    let mount = Mount::with_policy(SPREAD, "")?;
    let wav = wav(seconds, 2);
    let path = mount.path("a.wav");
    fs::write(&path, &wav).unwrap();
    tool("flac", &["-s", "-8", "FILE"], &path);
    let flac = fs::read(mount.path("a.flac")).unwrap();
    assert_eq!(mount.settle().encoded, 2);
    for name in ["a.wav", "a.flac"] {
        assert_eq!(computed(&mount.path(name), "codec").unwrap(), "audio");
        assert_eq!(chunks(&mount, name).len(), 16);
    }
    // Read without what was seen when it was written, and left without a decoded copy.
    let mount = mount.again("");
    assert!(fs::read(mount.path("a.wav")).unwrap() == wav);
    assert!(fs::read(mount.path("a.flac")).unwrap() == flac);
    Some((mount.again(""), [("a.wav", wav), ("a.flac", flac)]))
}

#[test]
fn a_sound_gets_softer_and_is_whole_again() {
    let Some((mount, files)) = with_sounds(5) else {
        return;
    };
    let whole = samples(&files[0].1);
    for (name, content) in files {
        let path = mount.path(name);
        let mut lost = chunks(&mount, name);
        let mut before = f64::INFINITY;
        for left in [12, 8, 4, 1] {
            hide(&mount, &lost[left..], true);
            lost.truncate(left);
            let shown = fs::read(&path).unwrap();
            assert_eq!(shown.len(), content.len());
            if name == "a.wav" {
                assert_eq!(shown[..HEAD], content[..HEAD]);
            }
            let now = snr(&whole, &played(&path, None));
            assert!(now < before, "{name}: {now} dB of {left} chunks");
            before = now;
            let told: f64 = computed(&path, "quality").unwrap().parse().unwrap();
            assert!((told - now).abs() < 1.0, "{name}: {told} dB told, {now} dB");
            assert_eq!(computed(&path, "status").unwrap(), "degraded");
            assert_eq!(computed(&path, "chunks").unwrap(), format!("{left}/16"));
            assert!(fs::read(&path).unwrap() == shown, "{name}: again the same");
        }
        let aside = mount.dir.path().join("aside");
        let hidden = fs::read_dir(aside).unwrap();
        let hidden = hidden.map(|entry| entry.unwrap().file_name());
        let set = lost[0].parent().unwrap().to_path_buf();
        let hidden: Vec<PathBuf> = hidden.map(|file| set.join(file)).collect();
        hide(&mount, &hidden, false);
        assert!(fs::read(&path).unwrap() == content, "{name}");
        assert_eq!(computed(&path, "quality"), Err(Errno::NODATA));
    }
}

/// Several segments, so that a player reads here and there of what is decoded range by range.
#[test]
fn a_long_sound_is_played_from_the_start_and_from_its_middle() {
    let Some((mount, files)) = with_sounds(180) else {
        return;
    };
    let (from, seconds) = (91, 2);
    let first = (from * RATE * 2) as usize;
    let middle = first..first + (seconds * RATE * 2) as usize;
    let whole = samples(&files[0].1);
    for (name, content) in &files {
        let path = mount.path(name);
        assert!(played(&path, Some((from, seconds))) == whole[middle.clone()]);
        assert!(played(&path, None) == whole);
        assert!(fs::read(&path).unwrap() == *content);
    }
    let mount = mount.again("");
    for (name, content) in files {
        let path = mount.path(name);
        // Those that are left hold the beginning of every layer, and those that hold its end.
        for left in [0..9, 7..16] {
            let mut lost = chunks(&mount, name);
            lost.drain(left.clone());
            hide(&mount, &lost, true);
            let part = played(&path, Some((from, seconds)));
            let now = snr(&whole[middle.clone()], &part);
            let all = played(&path, None);
            let entire = snr(&whole, &all);
            assert!(
                now > 15.0 && entire > 19.5,
                "{name}: {now}, {entire} dB of 9 chunks"
            );
            assert!(
                all[middle.clone()] == part,
                "{name}: another sound from its middle"
            );
            let told: f64 = computed(&path, "quality").unwrap().parse().unwrap();
            assert!(
                (told - entire).abs() < 1.0,
                "{name}: {told} dB told, {entire} dB"
            );
            assert_eq!(fs::metadata(&path).unwrap().len(), content.len() as u64);
            hide(&mount, &lost, false);
        }
        assert!(fs::read(&path).unwrap() == content, "{name}");
    }
}
