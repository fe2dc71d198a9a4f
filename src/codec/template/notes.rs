//! Reading notes: units, found by tables of their groups, decoded with their pack's dictionary.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use zstd::zstd_safe::{DCtx, DDict};

use super::index::{Group, Index, Kind, Pack};
use super::pack::{DICTIONARY, MAGIC};
use super::recent::Recent;
use super::shared;
use super::{FILTERED, GROUP, Proof, TABLE_ENTRY, UNIT, bad, proof};
use crate::codec::CodecError;
use crate::coding::phrases;
use crate::format::Layers;

/// Memory of the dictionaries that are kept for later reads.
const DICTIONARIES: usize = 16 << 20;
/// Memory of the tables that are kept: 64 of them, which describe 256 MiB.
const TABLES: usize = 64 * GROUP * size_of::<Entry>();
/// Memory of the units that are kept.
const UNITS: usize = 16 * UNIT;
/// Units that are read from the layer at a time.
const BATCH: usize = 16;
/// Scratches kept for later reads; more threads than this at a time allocate anew.
const SPARE: usize = 4;

/// The notes of an object.
pub(super) struct Notes<'a> {
    layers: Box<dyn Layers + 'a>,
    pub(super) index: Index,
    dictionaries: Recent<Dictionary>,
    /// Held while a dictionary is read, so that one is not read twice at a time.
    learning: Mutex<()>,
    tables: Recent<Vec<Entry>>,
    units: Recent<Vec<u8>>,
    spare: Mutex<Vec<Scratch>>,
}

/// What one thread needs for decoding.
struct Scratch {
    zstd: DCtx<'static>,
    /// Coded units as they lie in the layer.
    coded: Vec<u8>,
    /// One zstd frame.
    frame: Vec<u8>,
}

/// What units of a pack are decoded with.
enum Dictionary {
    None,
    Zstd(DDict<'static>),
    Phrases(Arc<phrases::Dictionary>),
}

/// Where a unit lies and what it must decode to.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where it begins after the first unit of its group.
    start: u32,
    length: u32,
    filtered: bool,
    proof: Proof,
}

/// Some units on end, of one group.
#[derive(Debug, Clone, Copy)]
struct Span<'i> {
    pack_number: usize,
    pack: &'i Pack,
    group_number: usize,
    group: &'i Group,
    /// The first of them, counted from the beginning of the group.
    first: usize,
    /// Where that begins in the pack.
    place: usize,
    /// Bytes of the pack from there on.
    left: u64,
}

impl<'a> Notes<'a> {
    pub(super) fn new(index: Index, layers: Box<dyn Layers + 'a>) -> Self {
        Self {
            layers,
            index,
            dictionaries: Recent::new(DICTIONARIES),
            learning: Mutex::new(()),
            tables: Recent::new(TABLES),
            units: Recent::new(UNITS),
            spare: Mutex::new(Vec::new()),
        }
    }

    /// The part of the layer from `start` on, of so many bytes.
    ///
    /// # Errors
    /// What the layer says.
    pub(super) fn layer(&self, start: u64, length: usize) -> Result<Vec<u8>, CodecError> {
        let mut bytes = vec![0; length];
        self.layers.read_at(0, start, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `out` with the notes from byte `notes` on, which the content shows at `content`.
    ///
    /// # Errors
    /// Those of [`crate::codec::Decoder::read_at`].
    pub(super) fn read(
        &self,
        mut notes: u64,
        mut content: u64,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let mut scratch = match self.spare.lock().pop() {
            Some(scratch) => scratch,
            None => Scratch::new()?,
        };
        let mut rest = out;
        while !rest.is_empty() {
            if let Some(done) = self.based(notes, rest)? {
                notes += done as u64;
                content += done as u64;
                rest = rest.get_mut(done..).unwrap_or_default();
                continue;
            }
            let skip = usize::try_from(notes % UNIT as u64).unwrap_or(0);
            let span = self.span(notes - skip as u64)?;
            let unit = UNIT.min(usize::try_from(span.left).unwrap_or(UNIT));
            let done = if skip == 0 && rest.len() >= unit {
                self.whole(&span, content, rest, &mut scratch)?
            } else {
                let length = rest.len().min(unit.saturating_sub(skip));
                let (piece, _) = rest.split_at_mut(length);
                self.part(&span, skip, unit, content, piece, &mut scratch)?;
                length
            };
            if done == 0 {
                return Err(bad(format_args!("no notes {notes}")));
            }
            notes += done as u64;
            content += done as u64;
            rest = rest.get_mut(done..).unwrap_or_default();
        }
        let mut spare = self.spare.lock();
        if spare.len() < SPARE {
            spare.push(scratch);
        }
        Ok(())
    }

    /// Fills `out` as far as the notes from `notes` on lie in one base; returns the bytes, `None` where they lie in none.
    fn based(&self, notes: u64, out: &mut [u8]) -> Result<Option<usize>, CodecError> {
        let Some((_, pack)) = self.index.pack(notes).filter(|(_, p)| p.kind == Kind::Base) else {
            return Ok(None);
        };
        let place = notes - pack.notes;
        let left = usize::try_from(pack.length - place.min(pack.length)).unwrap_or(0);
        let id = self.index.shared.get(number_of(pack.dictionary));
        let id = id
            .filter(|_| left > 0)
            .ok_or_else(|| bad(format_args!("no notes {notes}")))?;
        let (out, _) = out.split_at_mut(left.min(out.len()));
        self.layers.base(id, place, out)?;
        Ok(Some(out.len()))
    }

    /// The group with the unit that begins at `notes`.
    fn span(&self, notes: u64) -> Result<Span<'_>, CodecError> {
        let missing = || bad(format_args!("no notes {notes}"));
        let (pack_number, pack) = self.index.pack(notes).ok_or_else(missing)?;
        let place = notes - pack.notes;
        let left = pack.length.checked_sub(place).filter(|left| *left > 0);
        let left = left.ok_or_else(missing)?;
        let place = usize::try_from(place).map_err(|_| missing())?;
        let unit = place / UNIT;
        let group_number = pack.first_group + unit / GROUP;
        let group = self.index.groups.get(group_number).ok_or_else(missing)?;
        Ok(Span {
            pack_number,
            pack,
            group_number,
            group,
            first: unit % GROUP,
            place,
            left,
        })
    }

    /// Decodes the units that `out` takes whole, as many as are read at a time; returns their bytes.
    fn whole(
        &self,
        span: &Span<'_>,
        content: u64,
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<usize, CodecError> {
        let left = usize::try_from(span.left).unwrap_or(usize::MAX);
        let room = out.len().min(BATCH.min(GROUP - span.first) * UNIT);
        let length = if left <= room {
            left
        } else {
            room - room % UNIT
        };
        let table = self.table(span)?;
        let entries = table.iter().skip(span.first).take(length.div_ceil(UNIT));
        let start = entries.clone().next().map_or(0, |entry| entry.start);
        let end = entries
            .clone()
            .next_back()
            .map_or(0, |e| e.start + e.length);
        let mut coded = std::mem::take(&mut scratch.coded);
        coded.resize(end.saturating_sub(start) as usize, 0);
        self.layers
            .read_at(0, span.group.start + u64::from(start), &mut coded)?;
        let dictionary = self.dictionary(span)?;
        let (out, _) = out.split_at_mut(length);
        let mut rest = coded.as_slice();
        let mut units: Vec<_> = entries
            .clone()
            .zip(out.chunks_mut(UNIT))
            .map(|(entry, unit)| {
                let (bytes, after) = rest.split_at(rest.len().min(entry.length as usize));
                rest = after;
                (bytes, unit)
            })
            .collect();
        dictionary.decode(&mut units, content, scratch)?;
        let mut done = 0;
        for (entry, (_, unit)) in entries.zip(units) {
            if entry.filtered {
                phrases::x86(unit, (span.place + done) as u64, false);
            }
            if proof(unit) != entry.proof {
                return Err(CodecError::Mismatch {
                    offset: content + done as u64,
                    length: unit.len() as u64,
                });
            }
            done += unit.len();
        }
        scratch.coded = coded;
        Ok(done)
    }

    /// Fills `out` with a unit of `unit` bytes from byte `skip` on.
    fn part(
        &self,
        span: &Span<'_>,
        skip: usize,
        unit: usize,
        content: u64,
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), CodecError> {
        let number = (span.group_number * GROUP + span.first) as u64;
        let kept = if let Some(kept) = self.units.get(number) {
            kept
        } else {
            let mut plain = vec![0; unit];
            self.whole(span, content, &mut plain, scratch)?;
            self.units.keep(number, plain, unit)
        };
        let part = kept.get(skip..).and_then(|bytes| bytes.get(..out.len()));
        out.copy_from_slice(part.ok_or_else(|| bad(format_args!("range past its unit")))?);
        Ok(())
    }

    /// The table of a group.
    fn table(&self, span: &Span<'_>) -> Result<Arc<Vec<Entry>>, CodecError> {
        let number = span.group_number as u64;
        if let Some(table) = self.tables.get(number) {
            return Ok(table);
        }
        let wrong = || bad(format_args!("table of group {number}"));
        let before = (span.group_number - span.pack.first_group) * GROUP * UNIT;
        let length = span.pack.length.saturating_sub(before as u64);
        let length = usize::try_from(length).map_or(GROUP * UNIT, |l| l.min(GROUP * UNIT));
        let units = length.div_ceil(UNIT);
        let start = span.group.start + u64::from(span.group.length);
        let bytes = self.layer(start, units * TABLE_ENTRY)?;
        if proof(&bytes) != span.group.proof {
            return Err(wrong());
        }
        let mut table = Vec::with_capacity(units);
        let mut start = 0;
        for (i, entry) in bytes.as_chunks::<TABLE_ENTRY>().0.iter().enumerate() {
            let [low, high, proof @ ..] = *entry;
            let field = u16::from_le_bytes([low, high]);
            let coded = u32::from(field & !FILTERED);
            // Units that do not become shorter are stored as they are.
            if coded as usize > UNIT.min(length - i * UNIT) {
                return Err(wrong());
            }
            table.push(Entry {
                start,
                length: coded,
                filtered: field & FILTERED != 0,
                proof,
            });
            start += coded;
        }
        if start != span.group.length {
            return Err(wrong());
        }
        let weight = units * size_of::<Entry>();
        Ok(self.tables.keep(number, table, weight))
    }

    /// The dictionary of a pack.
    fn dictionary(&self, span: &Span<'_>) -> Result<Arc<Dictionary>, CodecError> {
        let number = span.pack_number as u64;
        if let Some(dictionary) = self.dictionaries.get(number) {
            return Ok(dictionary);
        }
        let _turn = self.learning.lock();
        if let Some(dictionary) = self.dictionaries.get(number) {
            return Ok(dictionary);
        }
        let wrong = || bad(format_args!("dictionary of pack {number}"));
        let length = span.pack.dictionary_length as usize;
        let bytes = self.layer(span.pack.dictionary, length)?;
        let (dictionary, weight) = match span.pack.kind {
            Kind::Zstd if length > 0 => {
                let plain = zstd::bulk::decompress(&bytes, DICTIONARY).map_err(|_| wrong())?;
                let prepared = DDict::try_create(&plain).ok_or_else(wrong)?;
                let weight = prepared.sizeof();
                (Dictionary::Zstd(prepared), weight)
            }
            Kind::Phrases => {
                let parsed = phrases::Dictionary::parse(&bytes).map_err(|_| wrong())?;
                let weight = parsed.memory();
                (Dictionary::Phrases(Arc::new(parsed)), weight)
            }
            Kind::Shared => {
                let id = self.index.shared.get(number_of(span.pack.dictionary));
                let id = id.ok_or_else(wrong)?;
                let bytes = || Ok(self.layers.dictionary(id)?);
                (Dictionary::Phrases(shared::get(id, bytes, wrong)?), 0)
            }
            Kind::Raw | Kind::Zstd | Kind::Base => (Dictionary::None, 0),
        };
        Ok(self.dictionaries.keep(number, dictionary, weight))
    }
}

fn number_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Dictionary {
    /// Decodes units, which the content shows from `content` on.
    fn decode(
        &self,
        units: &mut [(&[u8], &mut [u8])],
        content: u64,
        scratch: &mut Scratch,
    ) -> Result<(), CodecError> {
        let wrong = || bad(format_args!("units from {content} on"));
        let mut phrased = Vec::new();
        for (coded, unit) in units {
            if coded.is_empty() {
                unit.fill(0);
                continue;
            }
            if coded.len() == unit.len() {
                unit.copy_from_slice(coded);
                continue;
            }
            let prepared = match self {
                Self::Phrases(_) => {
                    phrased.push((*coded, &mut **unit));
                    continue;
                }
                Self::Zstd(prepared) => Some(prepared),
                Self::None => None,
            };
            scratch.frame.clear();
            scratch.frame.extend_from_slice(&MAGIC);
            scratch.frame.extend_from_slice(coded);
            let (zstd, frame) = (&mut scratch.zstd, &scratch.frame);
            // The slice bounds what zstd writes, whatever the frame says.
            let written = match prepared {
                Some(prepared) => zstd.decompress_using_ddict(*unit, frame, prepared),
                None => zstd.decompress(*unit, frame),
            };
            if written.map_err(|_| wrong())? != unit.len() {
                return Err(wrong());
            }
        }
        match self {
            Self::Phrases(phrases) => phrases.decode_all(&mut phrased).map_err(|_| wrong()),
            Self::None | Self::Zstd(_) => Ok(()),
        }
    }
}

impl Scratch {
    fn new() -> Result<Self, CodecError> {
        let zstd = DCtx::try_create();
        Ok(Self {
            zstd: zstd.ok_or(std::io::Error::from(std::io::ErrorKind::OutOfMemory))?,
            coded: Vec::new(),
            frame: Vec::new(),
        })
    }
}

impl fmt::Debug for Notes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes")
            .field("packs", &self.index.packs.len())
            .field("groups", &self.index.groups.len())
            .finish_non_exhaustive()
    }
}
