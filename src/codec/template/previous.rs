//! What an earlier version was encoded to: full packs of it that hold the same are taken over.

use super::index::{Index, Kind};
use super::notes::Notes;
use super::{GROUP, Proof, TABLE_ENTRY, UNIT};
use crate::codec::{self, CodecError};
use crate::format::Layers;

/// Bytes that are compared at a time.
const PIECE: usize = 1 << 20;

/// An earlier version, open for reading.
pub(super) struct Previous<'a> {
    notes: Notes<'static>,
    layers: &'a dyn Layers,
}

/// A pack as it lies in the layer of an earlier version.
pub(super) struct Copied {
    pub(super) kind: Kind,
    pub(super) dictionary: Vec<u8>,
    pub(super) groups: Vec<Coded>,
}

/// A group of units and its table.
pub(super) struct Coded {
    pub(super) units: Vec<u8>,
    pub(super) table: Vec<u8>,
    pub(super) proof: Proof,
}

impl<'a> Previous<'a> {
    /// `None` for what cannot be read: it is of no use then.
    pub(super) fn open(previous: &'a codec::Previous) -> Option<Self> {
        let layers = &previous.layers;
        let index = Index::read(&previous.settings, previous.size, layers.as_ref()).ok()?;
        let notes = Notes::new(index, Box::new(std::sync::Arc::clone(layers)));
        let layers = layers.as_ref();
        (notes.index.bases() == 0).then_some(Self { notes, layers })
    }

    /// The pack at byte `start` of the notes, if it holds these; whatever cannot be read of it makes it another one.
    ///
    /// # Errors
    /// Those of `go_on`.
    pub(super) fn pack(
        &self,
        start: u64,
        bytes: &[u8],
        go_on: &dyn Fn() -> Result<(), CodecError>,
    ) -> Result<Option<Copied>, CodecError> {
        let there = self.notes.index.pack(start).map(|(_, pack)| *pack);
        let there = there.filter(|pack| (pack.notes, pack.length) == (start, bytes.len() as u64));
        let there = there.filter(|pack| !matches!(pack.kind, Kind::Shared | Kind::Base));
        let Some(pack) = there else {
            return Ok(None);
        };
        let mut buffer = vec![0; PIECE];
        let mut at = start;
        for piece in bytes.chunks(PIECE) {
            go_on()?;
            let buffer = buffer.get_mut(..piece.len()).unwrap_or_default();
            if self.notes.read(at, at, buffer).is_err() || buffer != piece {
                return Ok(None);
            }
            at += piece.len() as u64;
        }
        let read = |from, length| {
            let mut bytes = vec![0; length];
            let read = self.layers.read_at(0, from, &mut bytes);
            read.is_ok().then_some(bytes)
        };
        let groups = bytes.len().div_ceil(UNIT * GROUP);
        let groups = self
            .notes
            .index
            .groups
            .iter()
            .skip(pack.first_group)
            .take(groups);
        let units = bytes
            .chunks(UNIT * GROUP)
            .map(|group| group.len().div_ceil(UNIT));
        let groups = groups.zip(units).map(|(group, units)| {
            let end = group.start + u64::from(group.length);
            Some(Coded {
                units: read(group.start, group.length as usize)?,
                table: read(end, units * TABLE_ENTRY)?,
                proof: group.proof,
            })
        });
        let groups: Option<Vec<Coded>> = groups.collect();
        let dictionary = read(pack.dictionary, pack.dictionary_length as usize);
        let kind = pack.kind;
        Ok(dictionary.zip(groups).map(|(dictionary, groups)| Copied {
            kind,
            dictionary,
            groups,
        }))
    }
}
