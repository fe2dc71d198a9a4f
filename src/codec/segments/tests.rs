//! Tests of segments with a codec of three layers: high halves of bytes, low halves, nothing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use super::*;
use crate::codec::testing::MemoryLayers;
use crate::format::LayerError;

/// Layer 0: the high half of each byte. Layer 1: the low halves. Layer 2: nothing.
#[derive(Debug)]
struct Halves;

fn parts(content: &[u8]) -> Vec<Vec<u8>> {
    let high = content.iter().map(|byte| byte & 0xf0).collect();
    let low = content.iter().map(|byte| byte & 0x0f).collect();
    vec![high, low, Vec::new()]
}

impl Segment for Halves {
    fn decode(&self, _: usize, parts: &[Vec<u8>], out: &mut [u8]) -> Result<(), CodecError> {
        out.fill(0);
        for part in parts.iter().filter(|part| !part.is_empty()) {
            if part.len() != out.len() {
                return Err(bad(format_args!("a part of another length")));
            }
            for (out, half) in out.iter_mut().zip(part) {
                *out |= half;
            }
        }
        Ok(())
    }

    fn most(&self, length: usize) -> usize {
        2 * length
    }
}

/// Layers of which some bytes are missing.
struct Without {
    layers: MemoryLayers,
    gone: Vec<(usize, Range<u64>)>,
}

impl Layers for Without {
    fn count(&self) -> usize {
        self.layers.count()
    }

    fn len(&self, layer: usize) -> u64 {
        self.layers.len(layer)
    }

    fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
        let end = offset + buf.len() as u64;
        let hit = |(gone, range): &&(usize, Range<u64>)| {
            *gone == layer && range.start < end && offset < range.end
        };
        if self.gone.iter().any(|gone| hit(&gone)) {
            return Err(LayerError::Missing {
                layer,
                offset,
                have: 0,
                need: 1,
            });
        }
        self.layers.read_at(layer, offset, buf)
    }
}

/// 200 segments of 1 to 50 bytes.
fn written() -> (Vec<u8>, MemoryLayers, [u8; SETTINGS]) {
    let mut content = Vec::new();
    let mut layers = MemoryLayers::default();
    let mut writer = Writer::new(3);
    for number in 0..200_usize {
        let segment: Vec<u8> = (0..=number * 7 % 50)
            .map(|i| (number * 31 + i * 17).to_le_bytes()[0])
            .collect();
        let parts = parts(&segment);
        writer.segment(&mut layers, &segment, &parts).unwrap();
        content.extend(segment);
    }
    let settings = writer.finish(&mut layers).unwrap();
    (content, layers, settings)
}

fn open(
    layers: &MemoryLayers,
    settings: [u8; SETTINGS],
    size: usize,
    gone: Vec<(usize, Range<u64>)>,
) -> Result<Reader<'static, Halves>, CodecError> {
    let layers = layers.clone();
    Reader::open(
        settings,
        3,
        size as u64,
        Box::new(Without { layers, gone }),
        Halves,
    )
}

#[test]
fn any_range_is_read_alone() {
    let (content, layers, settings) = written();
    let reader = open(&layers, settings, content.len(), Vec::new()).unwrap();
    for start in (0..content.len()).step_by(13) {
        for length in [1, 30, 400] {
            let end = (start + length).min(content.len());
            let mut out = vec![0; end - start];
            let quality = reader.read_at(start as u64, &mut out).unwrap();
            assert_eq!((quality, &out[..]), (Quality::Exact, &content[start..end]));
        }
        let range = reader.segment(start as u64);
        assert!(range.contains(&(start as u64)));
    }
    assert!(reader.read_at(content.len() as u64, &mut [0]).is_err());
}

#[test]
fn damage_costs_the_segments_it_hits() {
    let (content, layers, settings) = written();
    // 20 bytes of the second layer, from the middle of it.
    let reader = open(&layers, settings, content.len(), vec![(1, 1000..1020)]).unwrap();
    let (mut exact, mut coarse) = (0, 0);
    let mut at = 0;
    while at < content.len() {
        let range = reader.segment(at as u64);
        let end = usize::try_from(range.end).unwrap();
        let mut out = vec![0; end - at];
        match reader.read_at(at as u64, &mut out).unwrap() {
            Quality::Exact => {
                assert_eq!(out, content[at..end]);
                exact += 1;
            }
            Quality::Degraded(layers) => {
                let wanted: Vec<u8> = content[at..end].iter().map(|byte| byte & 0xf0).collect();
                assert_eq!((layers, out), (1, wanted));
                coarse += 1;
            }
        }
        at = end;
    }
    assert!(
        (1..=4).contains(&coarse) && exact + coarse == 200,
        "{coarse}"
    );
    let mut all = vec![0; content.len()];
    assert_eq!(reader.read_at(0, &mut all).unwrap(), Quality::Degraded(1));
}

#[test]
fn without_a_proof_nothing_is_exact_and_without_a_table_nothing_is_read() {
    let (content, layers, settings) = written();
    let proofs = layers.len(2) - 16;
    let reader = open(
        &layers,
        settings,
        content.len(),
        vec![(2, proofs..u64::MAX)],
    )
    .unwrap();
    let last = content.len() as u64 - 1;
    assert_eq!(
        reader.read_at(last, &mut [0]).unwrap(),
        Quality::Degraded(2)
    );
    assert_eq!(reader.read_at(0, &mut [0]).unwrap(), Quality::Exact);
    let table = layers.len(0) - 1;
    let reader = open(&layers, settings, content.len(), vec![(0, table..u64::MAX)]).unwrap();
    assert_eq!(
        reader.segment(5),
        5..6,
        "room for a file of any size is asked for"
    );
    assert!(matches!(
        reader.read_at(0, &mut [0]),
        Err(CodecError::Layer(_))
    ));
}

/// Layers that are said to be enormous and of which nothing is there: a table of 100 GB was asked for at once.
#[test]
fn memory_follows_what_is_there() {
    struct Said;
    impl Layers for Said {
        fn count(&self) -> usize {
            3
        }
        fn len(&self, _: usize) -> u64 {
            1 << 60
        }
        fn read_at(&self, layer: usize, offset: u64, _: &mut [u8]) -> Result<(), LayerError> {
            let (have, need) = (0, 1);
            Err(LayerError::Missing {
                layer,
                offset,
                have,
                need,
            })
        }
    }
    let count = u32::MAX.to_le_bytes();
    let reader = Reader::open(count, 3, 1 << 60, Box::new(Said), Halves).unwrap();
    let read = reader.read_at(0, &mut [0]);
    assert!(matches!(read, Err(CodecError::Layer(_))), "{read:?}");
}

#[test]
fn what_no_encoder_writes_is_refused() {
    let (content, layers, settings) = written();
    let read = |layers: &MemoryLayers, settings, size| {
        let reader = open(layers, settings, size, Vec::new())?;
        reader.read_at(0, &mut vec![0; content.len().min(size)])
    };
    assert!(read(&layers, u32::MAX.to_le_bytes(), content.len()).is_err());
    assert!(read(&layers, 199_u32.to_le_bytes(), content.len()).is_err());
    assert!(read(&layers, settings, content.len() + 1).is_err());
    for layer in 0..3 {
        let length = layers.layers[layer].len();
        for at in (0..length).step_by(7) {
            let mut changed = layers.clone();
            changed.layers[layer][at] ^= 0x81;
            let read = read(&changed, settings, content.len());
            assert!(read.is_err(), "layer {layer} byte {at}: {read:?}");
        }
    }
}
