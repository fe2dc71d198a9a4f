//! Weights as torch writes them, made here byte by byte, and what else may call itself that.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "tests may panic"
)]

use super::*;
use crate::foreign::testing::Files;
use crate::foreign::{Form, Kind, recognise};

/// An archive of files that are stored.
fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, bytes) in files {
        let head = out.len() as u32;
        let sizes = [bytes.len() as u32; 2].map(u32::to_le_bytes).concat();
        let name_length = (name.len() as u16).to_le_bytes();
        // The sizes come after the bytes, as torch does it, and values begin at multiples of 64.
        out.extend(b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0");
        out.extend([0; 12]);
        out.extend(name_length);
        let pad = 64 - (out.len() + 2 + name.len()) % 64;
        out.extend((pad as u16).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(vec![b'Z'; pad]);
        out.extend(bytes);
        directory.extend(b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0");
        directory.extend(sizes);
        directory.extend(name_length);
        directory.extend([0; 12]);
        directory.extend(head.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (offset, count) = (out.len() as u32, files.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(); 2].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// Opcodes of text.
fn text(text: &str) -> Vec<u8> {
    let mut out = vec![b'X'];
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
    out
}

/// Opcodes of an integer.
fn int(value: i32) -> Vec<u8> {
    [&b"J"[..], &value.to_le_bytes()].concat()
}

/// Opcodes of a tensor.
fn tensor(key: usize, shape: &[i32]) -> Vec<u8> {
    let count = shape.iter().product();
    let mut out = b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    out.extend(text("storage"));
    out.extend(b"ctorch\nFloatStorage\n");
    out.extend(text(&key.to_string()));
    out.extend(text("cpu"));
    out.extend(int(count));
    out.extend(b"tQK\0");
    let strides = [shape.last().copied().unwrap_or(1), 1];
    for lengths in [shape, &strides[2 - shape.len()..]] {
        out.push(b'(');
        out.extend(lengths.iter().flat_map(|length| int(*length)));
        out.push(b't');
    }
    out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    out
}

/// Weights of a network with these widths, and what its pickle says of the film.
struct Made {
    widths: Vec<i32>,
    meta: Vec<(&'static str, i32)>,
    /// Put where a value stood.
    odd: Option<f32>,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            widths: vec![8, 8, 3],
            meta: vec![
                ("T", 5),
                ("H_orig", 37),
                ("W_orig", 41),
                ("fps", 25),
                ("T_fit", 1),
            ],
            odd: None,
        }
    }
}

impl Made {
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut pickle = b"\x80\x02}q\0(".to_vec();
        pickle.extend(text("state_dict"));
        pickle.extend(b"ccollections\nOrderedDict\nq\x01)R(");
        let mut values = Vec::new();
        let mut inputs = 3;
        for (i, outputs) in self.widths.iter().enumerate() {
            let last = i + 1 == self.widths.len();
            let name = if last {
                "final_linear".to_owned()
            } else {
                format!("net.{i}.linear")
            };
            for (what, shape) in [("weight", vec![*outputs, inputs]), ("bias", vec![*outputs])] {
                pickle.extend(text(&format!("{name}.{what}")));
                pickle.extend(tensor(values.len(), &shape));
                let count: i32 = shape.iter().product();
                let value = |n: i32| ((n * 37 + outputs * 11) % 19 - 9) as f32 / 90.0;
                values.push((0..count).map(value).collect::<Vec<f32>>());
            }
            inputs = *outputs;
        }
        pickle.extend(b"u}b");
        pickle.extend(text("meta"));
        pickle.extend(b"}(");
        for (key, value) in &self.meta {
            pickle.extend(text(key));
            pickle.extend(int(*value));
        }
        pickle.extend(b"uu.");
        if let Some(odd) = self.odd {
            values[2][3] = odd;
        }
        let mut files = vec![("film/data.pkl".to_owned(), pickle)];
        for (i, values) in values.iter().enumerate() {
            let bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            files.push((format!("film/data/{i}"), bytes));
        }
        files
    }

    fn bytes(&self) -> Vec<u8> {
        archive(&self.files())
    }
}

fn open(bytes: Vec<u8>) -> Result<Film, ForeignError> {
    Film::open(&Files(vec![bytes]))
}

fn refused(bytes: Vec<u8>) -> String {
    open(bytes).unwrap_err().to_string()
}

#[test]
fn weights_are_known_by_their_first_bytes() {
    let bytes = Made::default().bytes();
    let head = &bytes[..bytes.len().min(crate::foreign::HEAD)];
    assert_eq!(recognise(Form::File, &[head]), Some(Kind::Film));
    assert_eq!(recognise(Form::Directory, &[head]), None);
    let other = archive(&[("mimetype".to_owned(), b"other".to_vec())]);
    assert_eq!(recognise(Form::File, &[other]), None);
    for length in 0..100 {
        assert!(!is_weights(&bytes[..length.min(42)]));
    }
}

#[test]
fn a_film_has_its_geometry_and_reads_the_same_anywhere() {
    let film = open(Made::default().bytes()).unwrap();
    let header = b"YUV4MPEG2 W41 H37 F25:1 Ip A1:1 C420jpeg\n";
    let frame = 6 + 41 * 37 + 2 * 21 * 19;
    let size = header.len() + 5 * frame;
    assert_eq!(film.size(), size as u64);
    let mut whole = vec![0; size];
    film.read_at(0, &mut whole).unwrap();
    assert!(whole.starts_with(header));
    let (parsed, length) = crate::media::y4m::Header::parse(&whole).unwrap();
    assert_eq!((length, parsed.frame_bytes()), (header.len(), frame - 6));
    for number in 0..5 {
        assert_eq!(&whole[header.len() + number * frame..][..6], FRAME);
    }
    assert!(
        whole[header.len()..].iter().any(|byte| *byte > 60),
        "it is not black"
    );
    // Pieces in an odd order, each by a film that has rendered nothing else, and by one that goes on.
    let going = open(Made::default().bytes()).unwrap();
    for (from, length) in [
        (size - 7, 7),
        (header.len() + frame + 41 * 16, 50),
        (0, 3),
        (1000, 3000),
    ] {
        for film in [&going, &open(Made::default().bytes()).unwrap()] {
            let mut piece = vec![0; length];
            film.read_at(from as u64, &mut piece).unwrap();
            assert!(piece == whole[from..][..length], "{from}");
        }
    }
    assert!(film.read_at(size as u64 - 3, &mut [0; 4]).is_err());
    assert!(film.read_at(u64::MAX, &mut [0; 4]).is_err());
}

#[test]
fn colours_have_the_shades_of_studios() {
    assert_eq!([shade([0; 3]), shade([255; 3])], [16, 235]);
    assert_eq!(tint([[128; 3]; 2], [[128; 3]; 2]), [128, 128]);
    assert_eq!(tint([[0, 0, 255]; 2], [[0, 0, 255]; 2])[0], 240);
    assert_eq!(tint([[255, 0, 0]; 2], [[255, 0, 0]; 2])[1], 240);
}

#[test]
fn rates_are_fractions() {
    for (fps, wanted) in [
        (30.0, (30, 1)),
        (29.97, (30_000, 1001)),
        (23.976, (24_000, 1001)),
        (12.5, (12_500, 1000)),
        (1000.0, (1000, 1)),
    ] {
        assert_eq!(rate(fps), Some(wanted), "{fps}");
    }
    for fps in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert_eq!(rate(fps), None);
    }
}

/// A pickle is a program: one that calls what weights do not need is refused, and nothing is called.
#[test]
fn a_pickle_that_would_do_something_is_refused() {
    let mut files = Made::default().files();
    files[0].1 = b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.".to_vec();
    assert!(refused(archive(&files)).contains("would do something"));
    // Towers and loops of tuples end early.
    for pickle in [
        [&b"\x80\x02K\x01"[..], &[0x85; 10_000], b"."].concat(),
        [&b"\x80\x02K\x01q\0"[..], &b"h\0h\0\x86q\0".repeat(60), b"."].concat(),
        b"\x80\x02K\x01r\xff\xff\xff\x7f.".to_vec(),
        b"\x80\x02X\xff\xff\xff\xff".to_vec(),
        b"\x80\x04N.".to_vec(),
        vec![],
    ] {
        files[0].1 = pickle;
        refused(archive(&files));
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let with = |change: &dyn Fn(&mut Made)| {
        let mut made = Made::default();
        change(&mut made);
        refused(made.bytes())
    };
    assert!(with(&|made| made.meta[0].1 = 0).contains("'T'"));
    assert!(with(&|made| made.meta[1].1 = -3).contains("'H_orig'"));
    assert!(with(&|made| made.meta[3].1 = 0).contains("'fps'"));
    assert!(with(&|made| made.meta[2].1 = i32::MAX).contains("'W_orig'"));
    assert!(with(&|made| made.odd = Some(f32::NAN)).contains("no numbers"));
    assert!(with(&|made| made.widths[2] = 4).contains("no colour"));
    let square = with(&|made| (made.meta[1].1, made.meta[2].1) = (1 << 14, 1 << 14));
    assert!(square.contains("pixels"), "{square}");

    let mut files = Made::default().files();
    files[3].1.truncate(10);
    assert!(refused(archive(&files)).contains("instead of"));
    files.remove(3);
    assert!(refused(archive(&files)).contains("'film/data/2'"));
    // A film of so many frames is only long.
    let mut long = Made::default();
    long.meta[0].1 = i32::MAX;
    assert!(open(long.bytes()).unwrap().size() > 1 << 42);
}

#[test]
fn damage_is_an_error_and_nothing_worse() {
    let bytes = Made::default().bytes();
    for length in (0..bytes.len()).step_by(7) {
        refused(bytes[..length].to_vec());
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(film) = open(flipped) {
            let mut piece = [0; 300];
            film.read_at(0, &mut piece).ok();
        }
    }
}
