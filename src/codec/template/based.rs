//! Encoding against bases: what they hold is shown from them, what is left becomes notes.

use std::sync::Arc;

use super::base::{self, Base};
use super::blocks::Match;
use super::chunks::Chunks;
use super::dedupe::Table;
use super::encode::{Run, Writer};
use super::extents::Extent;
use super::index::SHARED;
use crate::codec::{CodecError, Content};

/// A content in memory, and what it shows of bases.
pub(super) struct Based<'a> {
    content: Vec<u8>,
    /// Those that are shown.
    bases: Vec<&'a Arc<Base>>,
    /// With numbers of `bases`.
    shown: Vec<(usize, Match)>,
}

impl<'a> Based<'a> {
    /// `None` where the content is too long, or has too little in common with the bases.
    ///
    /// # Errors
    /// What the content says.
    pub(super) fn new(
        content: &dyn Content,
        bases: &'a [Arc<Base>],
    ) -> Result<Option<Self>, CodecError> {
        let bases = bases.get(..SHARED / 2).unwrap_or(bases);
        if bases.is_empty() || content.size() > Base::MOST {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(content.size()).unwrap_or(0)];
        content.read_at(0, &mut bytes)?;
        let Some(mut shown) = base::shown(bases, &bytes) else {
            return Ok(None);
        };
        let mut used = Vec::new();
        for (number, _) in &mut shown {
            let known = used.iter().position(|known| known == number);
            let new = known.unwrap_or(used.len());
            if known.is_none() {
                used.push(*number);
            }
            *number = new;
        }
        Ok(Some(Self {
            content: bytes,
            bases: used.into_iter().filter_map(|n| bases.get(n)).collect(),
            shown,
        }))
    }

    /// Writes the content.
    ///
    /// # Errors
    /// Those of [`crate::codec::Codec::encode`].
    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        let places: Vec<u64> = self
            .bases
            .iter()
            .map(|base| writer.begin_with(base))
            .collect();
        let mut left = Left {
            content: &self.content,
            table: Table::new(self.content.len() as u64),
            run: Run::default(),
        };
        let mut at = 0;
        for (number, there) in &self.shown {
            left.write(at, there.at, writer)?;
            let place = places.get(*number).copied().unwrap_or(0);
            writer.show(Extent {
                notes: place + there.place as u64,
                length: there.length as u64,
            })?;
            at = there.end();
        }
        left.write(at, self.content.len(), writer)?;
        writer.end_extents()
    }
}

/// What no base holds, which may still repeat.
struct Left<'a> {
    content: &'a [u8],
    table: Table,
    run: Run,
}

impl Left<'_> {
    /// Writes the content between two places.
    fn write(&mut self, from: usize, to: usize, writer: &mut Writer<'_>) -> Result<(), CodecError> {
        writer.go_on()?;
        let piece = self.content.get(from..to).unwrap_or_default();
        let mut chunks = Chunks::new(&piece);
        while let Some((offset, chunk)) = chunks.next()? {
            let same = |at| {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                let there = self.content.get(at..);
                Ok(there.is_some_and(|there| there.starts_with(chunk)))
            };
            let offset = from as u64 + offset;
            self.run.add(&mut self.table, offset, chunk, same, writer)?;
        }
        self.run.end(writer)
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]
mod tests {
    use super::*;
    use crate::codec::template::Template;
    use crate::codec::testing::{MemoryLayers, encode_for, random, text};
    use crate::codec::{Codec, Request};
    use crate::coding::hash::Digest;
    use crate::format::{LayerError, Layers};

    /// Layers beside bases.
    #[derive(Clone)]
    struct Beside {
        layers: MemoryLayers,
        bases: Vec<Arc<Base>>,
    }

    impl Layers for Beside {
        fn count(&self) -> usize {
            self.layers.count()
        }

        fn len(&self, layer: usize) -> u64 {
            self.layers.len(layer)
        }

        fn read_at(&self, layer: usize, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
            self.layers.read_at(layer, offset, buf)
        }

        fn base(&self, id: &Digest, offset: u64, buf: &mut [u8]) -> Result<(), LayerError> {
            let missing = LayerError::Dictionary { id: *id };
            let base = self.bases.iter().find(|base| base.id() == *id);
            let bytes = base.ok_or(missing)?.bytes();
            Ok((&bytes).read_at(offset, buf)?)
        }
    }

    fn base(bytes: &[u8]) -> Arc<Base> {
        Arc::new(Base::new(Digest::of(bytes), bytes.to_vec()).unwrap())
    }

    fn coded(content: &[u8], bases: &[Arc<Base>]) -> (Vec<u8>, Beside) {
        let request = Request {
            bases,
            ..Request::default()
        };
        let (settings, layers) = encode_for(&Template, content, request).unwrap();
        let bases = bases.to_vec();
        (settings, Beside { layers, bases })
    }

    fn read(settings: &[u8], beside: &Beside, content: &[u8], step: usize) {
        let size = content.len() as u64;
        let open = Template
            .open(settings, size, Box::new(beside.clone()))
            .unwrap();
        for at in (0..content.len()).step_by(step) {
            let mut back = vec![0; step.min(content.len() - at)];
            open.read_at(at as u64, &mut back).unwrap();
            assert!(back == content[at..at + back.len()], "at {at}");
            let segment = open.segment(at as u64);
            assert!(segment.contains(&(at as u64)) && segment.end <= size);
            open.earlier(at as u64).unwrap();
        }
    }

    /// A content made of pieces of others, with something of its own between them.
    fn patched(seed: u64, of: &[&[u8]], pieces: usize) -> Vec<u8> {
        let numbers = random(seed, 24 * pieces);
        let mut content = Vec::new();
        for n in numbers.as_chunks::<24>().0 {
            let [of_which, at, length] =
                [0, 8, 16].map(|i| usize::from(u16::from_le_bytes([n[i], n[i + 1]])));
            let from = of[of_which % of.len()];
            let at = at * 7 % from.len();
            let end = from.len().min(at + length % 5000);
            content.extend_from_slice(&from[at..end]);
            content.extend(random(seed + at as u64, length % 50));
        }
        content
    }

    #[test]
    fn a_content_is_read_back_with_the_bases_that_it_was_coded_against() {
        let (a, b) = (random(1, 777_777), text(2, 400_000));
        let bases = [base(&random(9, 70_000)), base(&a), base(&b)];
        for (seed, pieces) in [(3, 2), (4, 30), (5, 2000)] {
            let content = patched(seed, &[&a, &b], pieces);
            let (settings, beside) = coded(&content, &bases);
            let layer = beside.layers.layers[0].len();
            assert!(
                layer < content.len() / 20 + 300,
                "seed {seed}: {layer} of {}",
                content.len()
            );
            let needs = Template.dictionaries(&settings);
            assert!(!needs.contains(&bases[0].id()) && !needs.is_empty());
            for step in [content.len(), 4096, 333] {
                read(&settings, &beside, &content, step);
            }
            assert_eq!(coded(&content, &bases), (settings, beside));
        }
    }

    #[test]
    fn a_small_file_costs_little_more_than_its_changes() {
        let old = text(1, 500_000);
        let mut new = old[100_000..105_000].to_vec();
        new.splice(2000..2040, *b"a line that is new");
        let (settings, beside) = coded(&new, &[base(&old)]);
        assert!(
            beside.layers.layers[0].len() < 200,
            "{}",
            beside.layers.layers[0].len()
        );
        read(&settings, &beside, &new, 1000);
    }

    #[test]
    fn a_base_with_nothing_of_a_content_is_not_needed() {
        let content = text(1, 300_000);
        let (settings, beside) = coded(&content, &[base(&random(2, 300_000))]);
        assert_eq!((settings, beside.layers), {
            let (settings, beside) = coded(&content, &[]);
            (settings, beside.layers)
        });
    }

    #[test]
    fn without_its_base_a_content_says_what_is_missing() {
        let old = text(1, 300_000);
        let (settings, beside) = coded(
            &[&old, random(3, 50_000).as_slice()].concat(),
            &[base(&old)],
        );
        let alone = Beside {
            bases: Vec::new(),
            ..beside
        };
        let open = Template.open(&settings, 350_000, Box::new(alone)).unwrap();
        let lost = open.read_at(1000, &mut [0; 9]).unwrap_err();
        let id = Digest::of(&old);
        assert!(
            matches!(lost, CodecError::Layer(LayerError::Dictionary { id: lost }) if lost == id)
        );
        // What is its own is there.
        open.read_at(320_000, &mut [0; 9]).unwrap();
    }

    #[test]
    fn hostile_bytes_beside_a_base_are_errors() {
        let old = text(1, 200_000);
        let content = patched(7, &[&old], 200);
        let (settings, beside) = coded(&content, &[base(&old)]);
        let size = content.len() as u64;
        let layer = &beside.layers.layers[0];
        for (i, noise) in random(8, 2000).chunks(2).enumerate() {
            let mut broken = beside.clone();
            let at = layer.len() * i / 1000;
            broken.layers.layers[0][at] ^= noise[0].max(1);
            let Ok(open) = Template.open(&settings, size, Box::new(broken)) else {
                continue;
            };
            let mut back = vec![0; content.len()];
            if open.read_at(0, &mut back).is_ok() {
                assert!(back == content);
            }
        }
        // A base that is another one than it was: shorter, and not what its units say.
        let mut short = beside.clone();
        short.bases = vec![Arc::new(
            Base::new(Digest::of(&old), old[..9000].to_vec()).unwrap(),
        )];
        let open = Template.open(&settings, size, Box::new(short)).unwrap();
        assert!(open.read_at(0, &mut vec![0; content.len()]).is_err());
    }

    impl PartialEq for Beside {
        fn eq(&self, other: &Self) -> bool {
            self.layers == other.layers && self.bases == other.bases
        }
    }

    impl std::fmt::Debug for Beside {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.layers.fmt(f)
        }
    }
}
