//! Sounds made for these tests, in the formats that recorders and programs write; integers alone make them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::media::Draw;

/// Frames a second.
pub(crate) const RATE: usize = 48_000;

/// What samples are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// WAV with integers of so many bytes.
    Wav(u16),
    /// WAV with floats.
    Float,
    /// AIFF with integers of so many bytes.
    Aiff(u16),
}

/// Something like a sine (parabolas), in 16 bits, of a phase whose full turn is 2^32.
fn wave(phase: u32) -> i64 {
    let x = i64::from(phase.cast_signed() >> 16);
    (x * (32_768 - x.abs())) >> 13
}

/// Something like music: struck notes that fade over a bass, noise like consonants, and rests with next to nothing in
/// them. Frame after frame, samples of 24 bits.
pub(crate) fn tune(frames: usize, channels: usize) -> Vec<i32> {
    let mut draw = Draw(0x70_5eed);
    let beat = RATE / 5;
    let (mut phases, mut steps, mut level, mut hiss) = ([0_u32; 3], [0_u32; 3], 0_i64, 0_i64);
    let mut samples = Vec::with_capacity(frames * channels);
    for at in 0..frames {
        if at % beat == 0 {
            // Every sixth beat rests.
            let strike = draw.next(6) != 0;
            level = if strike {
                i64::try_from(30 + draw.next(80)).unwrap()
            } else {
                0
            };
            hiss = i64::try_from(draw.next(3)).unwrap() * level / 6;
            // Pitches of 150 to 1000 Hz and two of their overtones.
            let pitch = u32::try_from(89_478 * (150 + draw.next(850))).unwrap();
            steps = [
                pitch,
                pitch.wrapping_mul(2) + 9000,
                pitch.wrapping_mul(5) / 2,
            ];
        }
        let faded = i64::try_from(beat - at % beat).unwrap() * level * 256 / RATE as i64 * 5;
        for (phase, step) in phases.iter_mut().zip(steps) {
            *phase = phase.wrapping_add(step);
        }
        let tones = phases.iter().zip([4, 2, 1]);
        let tones: i64 = tones.map(|(phase, share)| wave(*phase) * share).sum();
        for channel in 0..channels {
            let grain = i64::try_from(draw.next(512)).unwrap() - 256;
            let share = 8 - i64::try_from(channel % 5).unwrap();
            let sample = ((tones * faded * share) >> 14) + grain * hiss * 8 + grain;
            samples.push(i32::try_from(sample.clamp(-(1 << 23), (1 << 23) - 1)).unwrap());
        }
    }
    samples
}

/// The samples as a file.
pub(crate) fn file(samples: &[i32], channels: u16, form: Form) -> Vec<u8> {
    let (bytes, tag) = match form {
        Form::Wav(bytes) | Form::Aiff(bytes) => (bytes, 1_u16),
        Form::Float => (4, 3),
    };
    let aiff = matches!(form, Form::Aiff(_));
    let mut body = Vec::new();
    for sample in samples {
        let mut word = match form {
            Form::Float => (*sample as f32 / 8_388_608.0).to_le_bytes(),
            _ => (sample >> (24 - 8 * i32::from(bytes.min(3)))).to_le_bytes(),
        };
        if bytes == 1 && !aiff {
            word[0] ^= 0x80;
        }
        let word = &mut word[..bytes.into()];
        if aiff {
            word.reverse();
        }
        body.extend_from_slice(word);
    }
    let length = u32::try_from(body.len()).unwrap();
    let frames = u32::try_from(samples.len() / usize::from(channels)).unwrap();
    let (rate, width) = (u32::try_from(RATE).unwrap(), channels * bytes);
    let mut file = Vec::new();
    if aiff {
        let put = |file: &mut Vec<u8>, value: u32| {
            let mut word = value.to_le_bytes();
            word.reverse();
            file.extend(word);
        };
        file.extend(b"FORM");
        put(&mut file, 46 + length);
        file.extend(b"AIFFCOMM");
        put(&mut file, 18);
        file.extend([0, u8::try_from(channels).unwrap()]);
        put(&mut file, frames);
        file.extend([0, u8::try_from(bytes * 8).unwrap()]);
        // 48000 with 80 bits: 2^15 * 0xbb80 / 2^15.
        file.extend([0x40, 0x0e, 0xbb, 0x80, 0, 0, 0, 0, 0, 0]);
        file.extend(b"SSND");
        put(&mut file, 8 + length);
        file.extend([0; 8]);
    } else {
        file.extend(b"RIFF");
        file.extend((36 + length).to_le_bytes());
        file.extend(b"WAVEfmt \x10\0\0\0");
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend((rate * u32::from(width)).to_le_bytes());
        file.extend(width.to_le_bytes());
        file.extend((bytes * 8).to_le_bytes());
        file.extend(b"data");
        file.extend(length.to_le_bytes());
    }
    file.extend(body);
    file
}

/// Where samples begin in such a file.
pub(crate) fn head(form: Form) -> usize {
    if matches!(form, Form::Aiff(_)) {
        54
    } else {
        44
    }
}

/// What a program says and gives out.
pub(crate) fn tool(name: &str, args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(name);
    let args = args.iter().map(|arg| match *arg {
        "FILE" => file.as_os_str(),
        arg => arg.as_ref(),
    });
    let done = command.args(args).stdin(Stdio::null()).output();
    done.unwrap_or_else(|e| panic!("{name}: {e}; scripts/install.sh installs it"))
}

/// A WAV file as `flac -8` codes it.
pub(crate) fn flac(wav: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sound.wav");
    fs::write(&path, wav).unwrap();
    let done = tool("flac", &["-s", "-8", "FILE"], &path);
    assert!(done.status.success(), "{done:?}");
    fs::read(path.with_extension("flac")).unwrap()
}

/// Samples of a file with 32 bits, as ffmpeg decodes it, which must have no complaint.
pub(crate) fn decoded(file: &[u8]) -> Vec<i32> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sound");
    fs::write(&path, file).unwrap();
    let args = [
        "-v", "warning", "-nostdin", "-i", "FILE", "-f", "s32le", "-",
    ];
    let done = tool("ffmpeg", &args, &path);
    let said = String::from_utf8_lossy(&done.stderr);
    // It names the loudspeakers that it takes two channels to be for.
    let said = said.lines().filter(|line| !line.contains("Guessed"));
    let said: Vec<&str> = said.collect();
    assert!(done.status.success() && said.is_empty(), "{said:?}");
    let words = done.stdout.as_chunks().0.iter();
    words.map(|word| i32::from_le_bytes(*word)).collect()
}

/// SNR in dB; 99 for the same samples.
pub(crate) fn snr(whole: &[i32], seen: &[i32]) -> f64 {
    assert_eq!(whole.len(), seen.len());
    let square = |value: f64| value * value;
    let pairs = whole.iter().zip(seen);
    let noise: f64 = pairs
        .map(|(a, b)| square(f64::from(*a) - f64::from(*b)))
        .sum();
    if noise == 0.0 {
        return 99.0;
    }
    let energy: f64 = whole.iter().map(|a| square(f64::from(*a))).sum();
    10.0 * (energy / noise).log10()
}
