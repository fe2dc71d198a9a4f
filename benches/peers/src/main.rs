//! `peers FILE...`: for each JPEG its bytes as lepton keeps it, for each PNG as preflate and zstd -19 keep it.
//!
//! Prints one line per file: bytes, seconds to encode and to decode on one thread. `-` where the library refuses.

use std::io::{Cursor, Read};
use std::time::Instant;

use lepton_jpeg::{EnabledFeatures, SingleThreadPool, decode_lepton, encode_lepton};
use preflate_rs::{
    PreflateConfig, preflate_whole_deflate_stream, recreate_whole_deflate_stream,
};

/// Bytes, seconds to encode, seconds to decode.
type Row = (usize, f64, f64);

fn lepton(file: &[u8]) -> Option<Row> {
    let features = EnabledFeatures::compat_lepton_vector_write();
    let pool = SingleThreadPool::default();
    let mut packed = Cursor::new(Vec::new());
    let began = Instant::now();
    encode_lepton(&mut Cursor::new(file), &mut packed, &features, &pool).ok()?;
    let encoding = began.elapsed().as_secs_f64();
    let packed = packed.into_inner();
    let (mut again, began) = (Vec::new(), Instant::now());
    let features = EnabledFeatures::compat_lepton_vector_read();
    decode_lepton(&mut Cursor::new(&packed), &mut again, &features, &pool).ok()?;
    let row = (packed.len(), encoding, began.elapsed().as_secs_f64());
    (again == file).then_some(row)
}

/// The deflate stream in the IDAT chunks of a PNG, and the bytes of everything else.
fn deflated(file: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut stream, mut rest) = (8, Vec::new(), 8);
    while let Some(head) = file.get(at..at + 8) {
        let length = u32::from_be_bytes(head[..4].try_into().ok()?) as usize;
        let body = file.get(at + 8..at + 8 + length)?;
        if &head[4..] == b"IDAT" {
            stream.extend_from_slice(body);
        } else {
            rest += 12 + length;
        }
        at += 12 + length;
    }
    // Without the two bytes before and the four after it that make it zlib's.
    let inner = stream.get(2..stream.len().checked_sub(4)?)?;
    Some((inner.to_vec(), rest))
}

fn preflate(file: &[u8]) -> Option<Row> {
    let (stream, rest) = deflated(file)?;
    let began = Instant::now();
    let config = PreflateConfig::default();
    let (result, plain) = preflate_whole_deflate_stream(&stream, &config).ok()?;
    let packed = zstd::bulk::compress(plain.text(), 19).ok()?;
    let encoding = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let mut again = Vec::new();
    let mut plain = zstd::Decoder::new(packed.as_slice()).ok()?;
    plain.read_to_end(&mut again).ok()?;
    let again = recreate_whole_deflate_stream(&again, &result.corrections).ok()?;
    let row = (
        packed.len() + result.corrections.len() + rest,
        encoding,
        began.elapsed().as_secs_f64(),
    );
    (again == stream).then_some(row)
}

fn main() {
    for path in std::env::args().skip(1) {
        let row = std::fs::read(&path).ok().and_then(|file| {
            let jpeg = file.starts_with(&[0xff, 0xd8]);
            if jpeg { lepton(&file) } else { preflate(&file) }
        });
        match row {
            Some((bytes, encoding, decoding)) => println!("{bytes} {encoding:.4} {decoding:.4}"),
            None => println!("- - -"),
        }
    }
}
