//! Encoded bytes, which depend on the content alone: not on processors, their number or their instructions.

use std::io;
use std::process::Command;
use std::thread;

use holofs::codec::{Codec, Content, Effort, LayerSink, Request, suited, template};
use holofs::coding::hash::Digest;
use image::{DynamicImage, ImageFormat};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::media::{file, photograph};
use crate::tunes::{self, Form, tune};

/// Content in memory.
struct Bytes(Vec<u8>);

impl Content for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.copy_from_slice(&self.0[usize::try_from(offset).unwrap()..][..buf.len()]);
        Ok(())
    }
}

/// Layers in memory.
#[derive(Default)]
struct Taken(Vec<Vec<u8>>);

impl LayerSink for Taken {
    fn write(&mut self, layer: usize, bytes: &[u8]) -> io::Result<()> {
        if self.0.len() <= layer {
            self.0.resize(layer + 1, Vec::new());
        }
        self.0[layer].extend_from_slice(bytes);
        Ok(())
    }
}

/// A few frames of a film in which something moves.
fn film() -> Vec<u8> {
    let mut file = b"YUV4MPEG2 W96 H64 F25:1 Cmono\n".to_vec();
    for frame in 0..5 {
        file.extend(b"FRAME\n");
        let picture = DynamicImage::from(photograph(120, 64)).to_luma8();
        for y in 0..64 {
            file.extend((0..96).map(|x| picture.get_pixel(x + 3 * frame, y).0[0]));
        }
    }
    file
}

/// A text that repeats words and, at a distance, itself.
fn text() -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0_usize..6000 {
        let word = i * i / 7 % 97;
        text.extend(format!("word{word} of line {} and {}\n", i / 3, word * 31).bytes());
    }
    text.extend_from_within(10_000..60_000);
    text
}

/// Contents of all media, and the hash of what each is encoded to.
fn encoded() -> Vec<String> {
    let picture = DynamicImage::from(photograph(200, 150));
    let wav = tunes::file(&tune(20_000, 2), 2, Form::Wav(2));
    let contents = [
        ("PNG", file(&picture, ImageFormat::Png)),
        ("JPEG", file(&picture, ImageFormat::Jpeg)),
        ("film", film()),
        ("FLAC", tunes::flac(&wav)),
        ("WAV", wav),
        (
            "WAV of 24 bits",
            tunes::file(&tune(9000, 3), 3, Form::Wav(3)),
        ),
        ("WAV of floats", tunes::file(&tune(9000, 1), 1, Form::Float)),
        ("AIFF", tunes::file(&tune(9000, 1), 1, Form::Aiff(2))),
        ("text", text()),
    ];
    let mut lines = Vec::new();
    for (name, content) in contents {
        let codec = suited(&content[..64]).unwrap_or(&template::Template as &dyn Codec);
        for previews in [0, 4] {
            let mut layers = Taken::default();
            let request = Request {
                dictionaries: &[],
                bases: &[],
                previous: None,
                effort: Effort::Normal,
                previews,
            };
            let encoded = codec.encode(&Bytes(content.clone()), request, &mut layers);
            let settings = encoded.unwrap_or_else(|e| panic!("{name}: {e}")).settings;
            let hash = Digest::of(&[vec![settings], layers.0].concat().concat());
            lines.push(format!(
                "{name}, {} with {previews} previews: {hash}",
                codec.name()
            ));
        }
    }
    lines
}

/// Invariant 8: "Decoding gives the same bytes on every machine, thread count and instruction set."
#[test]
fn one_processor_encodes_to_what_all_do() {
    let alone = thread::spawn(|| {
        let all = sched_getaffinity(None).unwrap();
        let mut one = CpuSet::new();
        let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu));
        one.set(first.unwrap());
        sched_setaffinity(None, &one).unwrap();
        assert_eq!(thread::available_parallelism().unwrap().get(), 1);
        encoded()
    });
    assert_eq!(encoded(), alone.join().unwrap());
}

/// What the emulated processor runs: prints the hashes.
#[test]
#[ignore = "half of another test"]
#[expect(clippy::print_stdout, reason = "the other half reads it")]
fn print_hashes() {
    for line in encoded() {
        println!("= {line}");
    }
}

/// The same program on a processor of 2008, without AVX.
#[cfg(target_arch = "x86_64")]
#[test]
fn an_old_processor_encodes_to_what_this_one_does() {
    let emulated = Command::new("qemu-x86_64")
        .args(["-cpu", "Nehalem"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "same::print_hashes"])
        .output()
        .unwrap_or_else(|e| panic!("qemu-x86_64: {e}; scripts/install.sh installs it"));
    let said = String::from_utf8_lossy(&emulated.stdout);
    let lines = said.lines().filter_map(|line| line.split_once("= "));
    let lines: Vec<&str> = lines.map(|(_, line)| line).collect();
    assert_eq!(
        lines,
        encoded(),
        "{}",
        String::from_utf8_lossy(&emulated.stderr)
    );
}
