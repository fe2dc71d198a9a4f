//! Recognition: what a name that ends in `.holo` holds, told by its content.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::shares::{ChunkFile, FIRST_READ, Place, Shares, erasure, open_chunk, read_up_to};
use super::{Head, Layout, Object, Parts, open_even_if_closed_to_us};
use crate::format::manifest::Slots;
use crate::format::{
    Descriptor, FormatError, Frozen, Geometry, Manifest, SetId, chunk, manifest, tail,
};
use crate::hologram::ShareError;
use crate::store::disk::{Access, Dir, File, Kind, Listed, Meta, meta_if_there};
use crate::store::names::MANIFEST;
use crate::store::{Error, Result};

/// Most files of a directory that are looked into for chunks.
const MAX_FILES: usize = 4096;

/// What is behind a name that ends in `.holo`.
#[derive(Debug)]
pub(crate) enum Recognised {
    /// An encoded file, whether or not it can be read wholly.
    Object(Arc<Object>),
    /// Clearly ours, but nothing tells what it held.
    Broken {
        /// The inode that carries mode, owner and extended attributes.
        meta: Meta,
        /// What is wrong, in words.
        what: String,
    },
    /// Something from elsewhere.
    NotOurs,
}

/// Tells what `name` in `dir` holds. `meta` is its meta; of the chunks only those below `chunk_limit` are used.
///
/// # Errors
/// When the medium fails in a way that says nothing about the object, or the name is gone.
pub(crate) fn recognise(
    dir: &dyn Dir,
    name: &OsStr,
    meta: &Meta,
    chunk_limit: Option<u16>,
) -> Result<Recognised> {
    let limit = chunk_limit.map_or(usize::MAX, usize::from);
    match meta.kind {
        Kind::File => packed(
            open_even_if_closed_to_us(dir, name, Access::Read)?,
            meta,
            limit,
        ),
        Kind::Dir => spread(dir.dir(name)?, limit),
        _ => Ok(Recognised::NotOurs),
    }
}

/// Reads the manifest at the beginning of a file.
fn read_manifest(
    file: &dyn File,
) -> io::Result<(Vec<u8>, std::result::Result<Manifest, FormatError>)> {
    let mut head = read_up_to(file, 0, FIRST_READ)?;
    let length = match manifest::length(&head) {
        Ok(length) => length,
        Err(e) => return Ok((head, Err(e))),
    };
    if length > head.len() && head.len() == FIRST_READ {
        head = read_up_to(file, 0, length)?;
    }
    let decoded = manifest::decode(&head);
    Ok((head, decoded))
}

/// Reads the tail of a packed object.
pub(super) fn read_tail(
    file: &dyn File,
    size: u64,
) -> io::Result<std::result::Result<tail::Tail, FormatError>> {
    let last = |length: usize| {
        let length = length.min(usize::try_from(size).unwrap_or(usize::MAX));
        read_up_to(file, size - length as u64, length)
    };
    let mut end = last(FIRST_READ)?;
    Ok(match tail::length(&end) {
        Ok(length) => {
            if length > end.len() {
                end = last(length)?;
            }
            tail::decode(&end)
        }
        Err(e) => Err(e),
    })
}

fn packed(file: Arc<dyn File>, meta: &Meta, limit: usize) -> Result<Recognised> {
    let (head, decoded) = read_manifest(file.as_ref())?;
    let (descriptor, set, slots, frozen) = match decoded {
        Ok(found) if found.slots.attributes.is_some() => {
            (found.descriptor, found.set, Some(found.slots), None)
        }
        Ok(found) => {
            let tail = read_tail(file.as_ref(), meta.size)?.ok();
            let frozen = tail
                .filter(|tail| tail.set == found.set)
                .map(|tail| tail.frozen);
            (found.descriptor, found.set, Some(found.slots), frozen)
        }
        Err(wrong) => match read_tail(file.as_ref(), meta.size)? {
            Ok(tail) => (tail.descriptor, tail.set, None, Some(tail.frozen)),
            Err(_) if !head.starts_with(manifest::MAGIC) => return Ok(Recognised::NotOurs),
            Err(_) => {
                return Ok(Recognised::Broken {
                    meta: *meta,
                    what: wrong.to_string(),
                });
            }
        },
    };
    let place = Place::Packed {
        file,
        start: manifest::length_of(&descriptor) as u64,
        stride: Geometry::new(&descriptor).body,
    };
    object(Parts {
        layout: Layout::Packed,
        descriptor,
        head: Head::new(slots, &head, set, frozen.as_ref()),
        shares: Shares { limit, place },
        carrier: *meta,
        stored: meta.size,
    })
}

fn object(parts: Parts) -> Result<Recognised> {
    let carrier = parts.carrier;
    let mut object = Object::new(parts).map_err(io::Error::other)?;
    Ok(match object.open_variants() {
        Ok(()) => Recognised::Object(Arc::new(object)),
        Err(Error::Io(e)) => return Err(e.into()),
        Err(e) => Recognised::Broken {
            meta: carrier,
            what: e.to_string(),
        },
    })
}

/// Chunk files of one set in a directory.
#[derive(Debug)]
struct Candidate {
    descriptor: Descriptor,
    set: SetId,
    generation: u32,
    /// From the chunk with the highest index.
    frozen: Option<Frozen>,
    /// By index.
    files: BTreeMap<u8, ChunkEntry>,
}

/// A chunk file by its header.
#[derive(Debug)]
struct ChunkEntry {
    name: OsString,
    size: u64,
    /// Whether the file is as long as it must be.
    whole: bool,
}

impl Candidate {
    /// What makes one set better than another: of those that decode exactly the newest, else the best.
    fn merit(&self) -> (bool, u32, usize, usize, u32) {
        let whole = self.files.values().filter(|file| file.whole).count();
        let exact = whole >= usize::from(self.descriptor.need());
        let layers = &self.descriptor.layers;
        let layers = layers
            .iter()
            .take_while(|layer| usize::from(layer.k) <= whole)
            .count();
        let newest = if exact { self.generation } else { 0 };
        (exact, newest, layers, whole, self.generation)
    }
}

/// The file `manifest` of a directory, as far as it can be read.
struct ManifestFile {
    /// `None` for what is no regular file or not there.
    meta: Option<Meta>,
    bytes: Vec<u8>,
    decoded: Option<Manifest>,
    wrong: Option<FormatError>,
}

impl ManifestFile {
    fn read(dir: &dyn Dir) -> io::Result<Self> {
        let mut found = Self {
            meta: None,
            bytes: Vec::new(),
            decoded: None,
            wrong: None,
        };
        let opened = open_even_if_closed_to_us(dir, OsStr::new(MANIFEST), Access::Read);
        let read = opened.and_then(|file| {
            found.meta = Some(file.meta()?);
            read_manifest(file.as_ref())
        });
        match read {
            Ok((bytes, decoded)) => {
                found.bytes = bytes;
                match decoded {
                    Ok(manifest) => found.decoded = Some(manifest),
                    Err(wrong) => found.wrong = Some(wrong),
                }
            }
            Err(e) => passing(e)?,
        }
        Ok(found)
    }

    /// The meta of the carrier: the manifest, or in its place the directory in the guise of a frozen copy.
    fn carrier(&self, dir: &dyn Dir, frozen: Option<&Frozen>) -> io::Result<Meta> {
        match (self.meta, frozen) {
            (Some(meta), _) => Ok(meta),
            (None, None) => dir.self_meta(),
            (None, Some(Frozen { attributes, .. })) => Ok(Meta {
                mode: attributes.mode & 0o700,
                uid: attributes.uid,
                gid: attributes.gid,
                ..dir.self_meta()?
            }),
        }
    }
}

/// An error that means that a file is lost is let pass, others are not.
fn passing(e: io::Error) -> io::Result<()> {
    match erasure(e) {
        ShareError::Missing => Ok(()),
        ShareError::Io(e) => Err(e),
    }
}

fn spread(dir: Arc<dyn Dir>, limit: usize) -> Result<Recognised> {
    let listed = dir.list()?;
    let manifest = ManifestFile::read(dir.as_ref())?;
    let is_chunk = |entry: &Listed| chunk::parse_name(entry.name.as_bytes()).is_some();
    if !manifest.bytes.starts_with(manifest::MAGIC) && !listed.iter().any(is_chunk) {
        return Ok(Recognised::NotOurs);
    }
    if let Some(own) = &manifest.decoded
        && let Some(names) = undisputed(own, &listed)
    {
        let head = Head::new(Some(own.slots), &manifest.bytes, own.set, None);
        let carrier = manifest.carrier(dir.as_ref(), None)?;
        // The chunk files of a set have equal lengths: one stands for all.
        let chunk = match names.values().next() {
            Some(name) => meta_if_there(dir.as_ref(), name)?.map_or(0, |meta| meta.size),
            None => 0,
        };
        let stored = carrier.size + chunk * names.len() as u64;
        let descriptor = own.descriptor.clone();
        return spread_object(
            dir, descriptor, own.set, &names, head, carrier, stored, limit,
        );
    }
    let mut candidates = scan(dir.as_ref(), &listed)?;
    if let Some(own) = &manifest.decoded {
        // Even without a chunk it tells size and attributes.
        candidates.entry(own.set).or_insert_with(|| Candidate {
            descriptor: own.descriptor.clone(),
            set: own.set,
            generation: own
                .slots
                .attributes
                .map_or(0, |attributes| attributes.generation),
            frozen: None,
            files: BTreeMap::new(),
        });
    }
    let Some(best) = candidates.into_values().max_by_key(Candidate::merit) else {
        let nothing = || "no manifest and no usable chunk".to_owned();
        return Ok(Recognised::Broken {
            meta: manifest.carrier(dir.as_ref(), None)?,
            what: manifest
                .wrong
                .as_ref()
                .map_or_else(nothing, ToString::to_string),
        });
    };
    let own = manifest.decoded.as_ref().filter(|own| own.set == best.set);
    let slots = own.map(|own| own.slots);
    let head = Head::new(slots, &manifest.bytes, best.set, best.frozen.as_ref());
    let carrier = manifest.carrier(dir.as_ref(), best.frozen.as_ref())?;
    let chunks: u64 = best.files.values().map(|file| file.size).sum();
    let stored = manifest.meta.map_or(0, |meta| meta.size) + chunks;
    let names = best
        .files
        .into_iter()
        .map(|(index, file)| (index, file.name))
        .collect();
    spread_object(
        dir,
        best.descriptor,
        best.set,
        &names,
        head,
        carrier,
        stored,
        limit,
    )
}

/// The chunk files of the manifest's set by their names alone, where nothing speaks against it: attributes are there,
/// enough chunks have the manifest's generation, none a higher one, and none is missing while strangers lie about.
fn undisputed(own: &Manifest, listed: &[Listed]) -> Option<BTreeMap<u8, OsString>> {
    let generation = own.slots.attributes?.generation;
    let mut names = BTreeMap::new();
    let mut strangers = false;
    for entry in listed.iter().filter(|entry| entry.kind == Kind::File) {
        match chunk::parse_name(entry.name.as_bytes()) {
            Some((_, newer)) if newer > generation => return None,
            Some((index, same))
                if same == generation && index < u16::from(own.descriptor.chunks) =>
            {
                names.insert(u8::try_from(index).ok()?, entry.name.clone());
            }
            _ => strangers |= entry.name != MANIFEST,
        }
    }
    let all = names.len() == usize::from(own.descriptor.chunks);
    let enough = names.len() >= usize::from(own.descriptor.need());
    (all || (enough && !strangers)).then_some(names)
}

/// Looks into every file of the directory, whatever it is called.
fn scan(dir: &dyn Dir, listed: &[Listed]) -> Result<BTreeMap<SetId, Candidate>> {
    let mut candidates = BTreeMap::new();
    let files = listed
        .iter()
        .filter(|entry| entry.kind == Kind::File && entry.name != MANIFEST);
    for entry in files.take(MAX_FILES) {
        let opened =
            open_chunk(dir, &entry.name).and_then(|(file, header)| Ok((file.meta()?.size, header)));
        let (size, header) = match opened {
            Ok((size, Some(header))) => (size, header),
            Ok((_, None)) => continue,
            Err(e) => {
                passing(e)?;
                continue;
            }
        };
        let whole = size >= header.length as u64 + Geometry::new(&header.descriptor).body;
        let candidate = candidates.entry(header.set).or_insert_with(|| Candidate {
            descriptor: header.descriptor,
            set: header.set,
            generation: header.frozen.attributes.generation,
            frozen: None,
            files: BTreeMap::new(),
        });
        if candidate
            .files
            .last_key_value()
            .is_none_or(|(highest, _)| header.index >= *highest)
        {
            candidate.frozen = Some(header.frozen);
        }
        if candidate
            .files
            .get(&header.index)
            .is_none_or(|before| whole && !before.whole)
        {
            let name = entry.name.clone();
            candidate
                .files
                .insert(header.index, ChunkEntry { name, size, whole });
        }
    }
    Ok(candidates)
}

#[expect(
    clippy::too_many_arguments,
    reason = "parts of one thing, put together in one place"
)]
fn spread_object(
    dir: Arc<dyn Dir>,
    descriptor: Descriptor,
    set: SetId,
    names: &BTreeMap<u8, OsString>,
    head: Head,
    carrier: Meta,
    stored: u64,
    limit: usize,
) -> Result<Recognised> {
    // A chunk that is missing now may come back under the name it was made with.
    let generation = head.attributes.generation;
    let name = |index| match names.get(&index) {
        Some(name) => name.clone(),
        None => chunk::file_name(index, generation).into(),
    };
    let chunks = (0..descriptor.chunks)
        .map(|index| ChunkFile::new(name(index)))
        .collect();
    let shares = Shares {
        limit,
        place: Place::Spread { dir, set, chunks },
    };
    object(Parts {
        layout: Layout::Spread,
        descriptor,
        head,
        shares,
        carrier,
        stored,
    })
}

impl Head {
    /// What the head of an object tells: its slots, or those found in the bytes of a damaged one, else a frozen copy.
    fn new(slots: Option<Slots>, bytes: &[u8], set: SetId, frozen: Option<&Frozen>) -> Self {
        let attributes = slots
            .unwrap_or_else(|| Slots::decode(bytes, set))
            .attributes;
        let frozen = frozen.map(|frozen| frozen.attributes);
        Self {
            slots,
            attributes: attributes.or(frozen).unwrap_or_default(),
        }
    }
}
