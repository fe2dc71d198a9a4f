//! The master index at the end of the layer, and the settings that lead to it.

use super::{GROUP, PACK, Proof, UNIT, bad, extents};
use crate::codec::CodecError;
use crate::coding::hash::Digest;
use crate::format::Layers;

/// Bytes of settings before the ids of shared dictionaries.
const SETTINGS: usize = 24;
/// Most shared dictionaries of a file.
pub(super) const SHARED: usize = 8;
/// Bytes of the index before its entries.
const HEAD: usize = 16;
/// Bytes of a pack's entry.
const PACK_ENTRY: usize = 24;
/// Bytes of a group's entry.
const GROUP_ENTRY: usize = 20;
/// Bytes of the entry of a block of extents.
const BLOCK_ENTRY: usize = 36;
/// Content that a block of extents but the last one describes at least: no encoder uses shorter extents on average.
const LEAST_OF_BLOCK: u64 = extents::BLOCK as u64 * 256;
/// The same where there are bases.
const LEAST_OF_BASED: u64 = extents::BLOCK as u64 * 8;
/// Bytes of a dictionary at most.
pub(super) const LONGEST_DICTIONARY: u32 = 2 << 20;

/// How the units of a pack are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As they are.
    Raw,
    /// zstd frames without their magic number; the dictionary, if any, a zstd frame of bytes that come before each unit.
    Zstd,
    /// Phrases of a dictionary.
    Phrases,
    /// Phrases of a dictionary that files share.
    Shared,
    /// None: what files share, filled up to a whole unit.
    Base,
}

/// A pack of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pack {
    /// Where it begins in the notes.
    pub(super) notes: u64,
    /// Its length there.
    pub(super) length: u64,
    pub(super) kind: Kind,
    /// Where its dictionary begins in the layer; the number of a shared one or of a base.
    pub(super) dictionary: u64,
    pub(super) dictionary_length: u32,
    /// The number of its first group.
    pub(super) first_group: usize,
}

/// A group of units of one pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// Where its units begin in the layer; the table follows them.
    pub(super) start: u64,
    /// Bytes of its units there.
    pub(super) length: u32,
    /// Hash of the table.
    pub(super) proof: Proof,
}

/// A block of extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it begins in the content.
    pub(super) content: u64,
    /// The high water of the notes before it.
    pub(super) water: u64,
    /// Where it begins in the layer.
    pub(super) start: u64,
    pub(super) length: u32,
    pub(super) proof: Proof,
}

/// Where everything lies.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) packs: Vec<Pack>,
    pub(super) groups: Vec<Group>,
    /// Empty where the content is the notes.
    pub(super) blocks: Vec<Block>,
    /// Ids of shared dictionaries and bases.
    pub(super) shared: Vec<Digest>,
}

impl Index {
    /// Bytes of notes.
    pub(super) fn notes(&self) -> u64 {
        self.packs.last().map_or(0, |pack| pack.notes + pack.length)
    }

    /// Bytes of bases, with which the notes begin.
    pub(super) fn bases(&self) -> u64 {
        let bases = self.packs.iter().take_while(|pack| pack.kind == Kind::Base);
        bases.map(|pack| pack.length).sum()
    }

    /// Begins the notes with what a base of `size` bytes holds; bases come first.
    pub(super) fn add_base(&mut self, id: Digest, size: u64) {
        self.packs.push(Pack {
            notes: self.notes(),
            length: size.next_multiple_of(UNIT as u64),
            kind: Kind::Base,
            dictionary: self.shared.len() as u64,
            dictionary_length: 0,
            first_group: 0,
        });
        self.shared.push(id);
    }

    /// The index as it lies at byte `start` of the layer, and the settings.
    pub(super) fn to_bytes(&self, start: u64) -> (Vec<u8>, Vec<u8>) {
        let count = |length| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = Vec::new();
        bytes.extend(count(self.packs.len()));
        bytes.extend(count(self.groups.len()));
        bytes.extend(count(self.blocks.len()));
        bytes.extend([0; 4]);
        for pack in &self.packs {
            bytes.extend(pack.length.to_le_bytes());
            bytes.extend(pack.dictionary.to_le_bytes());
            bytes.extend(pack.dictionary_length.to_le_bytes());
            let kind = match pack.kind {
                Kind::Raw => 0,
                Kind::Zstd => 1,
                Kind::Phrases => 2,
                Kind::Shared => 3,
                Kind::Base => 4,
            };
            bytes.extend([kind, 0, 0, 0]);
        }
        for group in &self.groups {
            bytes.extend(group.start.to_le_bytes());
            bytes.extend(group.length.to_le_bytes());
            bytes.extend(group.proof);
        }
        for block in &self.blocks {
            bytes.extend(block.content.to_le_bytes());
            bytes.extend(block.water.to_le_bytes());
            bytes.extend(block.start.to_le_bytes());
            bytes.extend(block.length.to_le_bytes());
            bytes.extend(block.proof);
        }
        let mut settings = start.to_le_bytes().to_vec();
        settings.extend(hash(&bytes));
        settings.extend(self.shared.iter().flat_map(|id| id.0));
        (bytes, settings)
    }

    /// Reads the index of a content of `size` bytes.
    ///
    /// # Errors
    /// [`CodecError::Format`] for what no encoder writes, and what the layer says.
    pub(super) fn read(
        settings: &[u8],
        size: u64,
        layers: &dyn Layers,
    ) -> Result<Self, CodecError> {
        let shared = shared(settings).ok_or_else(|| bad(format_args!("settings")))?;
        let settings = settings.get(..SETTINGS).unwrap_or_default();
        let ([start], wanted) = settings.as_chunks::<8>().0.split_at(1) else {
            return Err(bad(format_args!("settings")));
        };
        let start = u64::from_le_bytes(*start);
        if layers.count() != 1 {
            return Err(bad(format_args!("{} layers instead of 1", layers.count())));
        }
        // Packs have 64 or 32 MiB, groups 4, and blocks of extents what they have at least: but for the last ones.
        let least = if shared.is_empty() {
            LEAST_OF_BLOCK
        } else {
            LEAST_OF_BASED
        };
        let blocks = size / least + 1;
        let packs = size / (32 << 20) + 1 + shared.len() as u64;
        let groups = size / (UNIT * GROUP) as u64 + packs;
        let most = HEAD as u64
            + packs.saturating_mul(PACK_ENTRY as u64)
            + groups.saturating_mul(GROUP_ENTRY as u64)
            + blocks.saturating_mul(BLOCK_ENTRY as u64);
        let length = layers.len(0).checked_sub(start).filter(|l| *l <= most);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or_else(|| bad(format_args!("no index at {start}")))?;
        let mut bytes = vec![0; length];
        layers.read_at(0, start, &mut bytes)?;
        if hash(&bytes).as_slice() != wanted.as_flattened() {
            return Err(bad(format_args!("the index does not match its hash")));
        }
        let mut index = Self::parse(&bytes).ok_or_else(|| bad(format_args!("index")))?;
        index.shared = shared;
        index.check(start, size)?;
        Ok(index)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mut count = || usize::try_from(fields.u32()?).ok();
        let [packs, groups, blocks] = [count()?, count()?, count()?];
        if fields.u32()? != 0 {
            return None;
        }
        let wanted = packs as u64 * PACK_ENTRY as u64
            + groups as u64 * GROUP_ENTRY as u64
            + blocks as u64 * BLOCK_ENTRY as u64;
        if fields.0.len() as u64 != wanted {
            return None;
        }
        let mut index = Self::default();
        let (mut notes, mut first_group) = (0_u64, 0);
        for _ in 0..packs {
            let length = fields.u64()?;
            let pack = Pack {
                notes,
                length,
                dictionary: fields.u64()?,
                dictionary_length: fields.u32()?,
                kind: match fields.u32()? {
                    0 => Kind::Raw,
                    1 => Kind::Zstd,
                    2 => Kind::Phrases,
                    3 => Kind::Shared,
                    4 => Kind::Base,
                    _ => return None,
                },
                first_group,
            };
            if length == 0 || length > PACK {
                return None;
            }
            notes = notes.checked_add(length)?;
            if pack.kind != Kind::Base {
                first_group += usize::try_from(length).ok()?.div_ceil(UNIT * GROUP);
            }
            index.packs.push(pack);
        }
        for _ in 0..groups {
            index.groups.push(Group {
                start: fields.u64()?,
                length: fields.u32()?,
                proof: fields.proof()?,
            });
        }
        for _ in 0..blocks {
            index.blocks.push(Block {
                content: fields.u64()?,
                water: fields.u64()?,
                start: fields.u64()?,
                length: fields.u32()?,
                proof: fields.proof()?,
            });
        }
        (first_group == groups).then_some(index)
    }

    /// Whether everything lies before the index and makes up the content.
    fn check(&self, start: u64, size: u64) -> Result<(), CodecError> {
        let inside = |from: u64, length: u64| {
            let end = from.checked_add(length);
            end.is_some_and(|end| end <= start)
        };
        let unit = UNIT as u64;
        let whole = self.packs.iter().rev().skip(1);
        let of_shared = |pack: &Pack| {
            let there = usize::try_from(pack.dictionary).is_ok_and(|n| n < self.shared.len());
            there && pack.dictionary_length == 0
        };
        let dictionary = |pack: &Pack| match (pack.kind, pack.dictionary_length) {
            (Kind::Base, _) => of_shared(pack) && pack.length.is_multiple_of(unit),
            (Kind::Shared, _) => of_shared(pack),
            (_, length) => length <= LONGEST_DICTIONARY && inside(pack.dictionary, length.into()),
        };
        let mut groups = self.groups.iter();
        let mut own = self.packs.iter().skip_while(|p| p.kind == Kind::Base);
        let good = own.all(|pack| pack.kind != Kind::Base)
            && whole.into_iter().all(|pack| pack.length % unit == 0)
            && self.packs.iter().all(dictionary)
            && groups.all(|g| {
                u64::from(g.length) <= unit * GROUP as u64 && inside(g.start, g.length.into())
            });
        if !good {
            return Err(bad(format_args!("a pack that no encoder writes")));
        }
        let notes = self.notes();
        let mut blocks = self.blocks.iter();
        let inside =
            blocks.all(|b| b.length as usize <= extents::FRAME && inside(b.start, b.length.into()));
        let order = self.blocks.iter().zip(self.blocks.iter().skip(1));
        let mut order = order.map(|(a, b)| a.content < b.content && a.water <= b.water);
        let made_up = match (self.blocks.first(), self.blocks.last()) {
            (Some(first), Some(last)) => {
                let begins = (first.content, first.water) == (0, self.bases());
                begins && last.content < size && last.water <= notes
            }
            _ => notes == size && self.bases() == 0,
        };
        if inside && order.all(|ordered| ordered) && made_up {
            Ok(())
        } else {
            Err(bad(format_args!("extents that no encoder writes")))
        }
    }

    /// The pack with byte `notes` of the notes.
    pub(super) fn pack(&self, notes: u64) -> Option<(usize, &Pack)> {
        let after = self.packs.partition_point(|pack| pack.notes <= notes);
        let number = after.checked_sub(1)?;
        Some((number, self.packs.get(number)?))
    }
}

/// The ids of shared dictionaries in settings.
pub(super) fn shared(settings: &[u8]) -> Option<Vec<Digest>> {
    let (ids, rest) = settings.get(SETTINGS..)?.as_chunks();
    let fits = rest.is_empty() && ids.len() <= SHARED;
    fits.then(|| ids.iter().copied().map(Digest).collect())
}

/// The first 16 bytes of the BLAKE3.
fn hash(bytes: &[u8]) -> [u8; 16] {
    let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = Digest::of(bytes).0;
    hash
}

/// Reads integers.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn proof(&mut self) -> Option<Proof> {
        self.array()
    }
}
