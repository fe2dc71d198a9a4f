//! Bundles: what many files are inside one object: a table of entries, then their bytes.
//!
//! The content of an object of kind [`ObjectKind::Tree`] or [`ObjectKind::Variants`] is a bundle. Its bytes are proved
//! by the object's hashes; the table says what they mean.
//!
//! ```text
//! bundle
//! offset  bytes
//!      0      8  "HOLOBNDL"
//!      8      2  version
//!     10      2  reserved
//!     12      4  n, entries, 1..=1048576
//!     16      8  T, bytes of the table, these 24 included, at most 2^28
//!     24         n entries
//!      T         bytes of the files, in any order, end to end up to the end of the content
//!
//! entry, 96 + N + H + L bytes and its extended attributes
//!      0      4  parent, the index of a directory before it; 0 for entry 0
//!      4      1  kind: 0 directory, 1 file, 2 symbolic link, 3 fifo, 4 socket, 5 character device, 6 block device,
//!                7 hard link to an entry before it
//!      5      1  1 with a hash, 0 without; only files may have one
//!      6      2  N, length of the name; 0 for entry 0, else 1..=255
//!      8      4  mode, 0..=0o7777
//!     12      4  uid
//!     16      4  gid
//!     20     12  atime
//!     32     12  mtime
//!     44     12  ctime
//!     56      8  logical inode number
//!     64      8  a: size of a file, L of a symbolic link, device number, index of the entry linked to; else 0
//!     72      8  b: offset of a file's bytes in the content, 0 for an empty file; else 0
//!     80      8  reserved
//!     88      4  x, extended attributes (ACLs among them), at most 4096
//!     92      4  reserved
//!     96      N  name, neither "." nor "..", without "/" and NUL
//!          H=32  BLAKE3 of the file, where it has a hash
//!             L  target of a symbolic link, 1..=4095 bytes without NUL
//!          x *   length of the name (2, 1..=255), of the value (4, at most 65536), name without NUL, value
//! ```
//!
//! Entry 0 is the directory itself. The others are ordered by parent, then by name as bytes, so that what is in a
//! directory lies together and no name comes twice. A hard link has nothing but a parent, a name and `a`. Extended
//! attributes are ordered by name.
//!
//! *Variants*: every entry but the first is a file with a hash, and its name is that of a context. `DEFAULT` is there
//! and comes first, whatever order its name would have.
//!
//! A directory with one file of five bytes called `hello` has a bundle of 24 + 96 + 101 + 5 = 226 bytes.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use super::bytes::Reader;
use super::{Digest, FormatError, MAX_NAME, ObjectKind, Time};

const MAGIC: &[u8; 8] = b"HOLOBNDL";
/// Bytes before the first entry.
pub const HEAD: usize = 24;
/// Bytes of an entry without its name and what follows it.
const FIXED: usize = 96;
/// Most entries of a bundle.
pub const MAX_ENTRIES: usize = 1 << 20;
/// Most bytes of a table.
pub const MAX_TABLE: usize = 1 << 28;
const MAX_TARGET: usize = 4095;
const MAX_XATTRS: usize = 4096;
const MAX_VALUE: usize = 64 << 10;
/// The variant that is there where no other is asked for.
pub const DEFAULT: &[u8] = b"DEFAULT";

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Directory.
    Dir,
    /// Regular file.
    File {
        /// Its bytes.
        size: u64,
        /// Where they begin in the content; 0 when there are none.
        offset: u64,
        /// BLAKE3 of them, where it is kept.
        hash: Option<Digest>,
    },
    /// Symbolic link and its target.
    Symlink(Vec<u8>),
    /// Named pipe.
    Fifo,
    /// Unix socket.
    Socket,
    /// Character device and its number.
    Char(u64),
    /// Block device and its number.
    Block(u64),
    /// Another name of the entry with this lower index.
    Link(u32),
}

impl What {
    fn number(&self) -> u8 {
        match self {
            Self::Dir => 0,
            Self::File { .. } => 1,
            Self::Symlink(_) => 2,
            Self::Fifo => 3,
            Self::Socket => 4,
            Self::Char(_) => 5,
            Self::Block(_) => 6,
            Self::Link(_) => 7,
        }
    }
}

/// One name in a bundle. A hard link has zeros for attributes: those of the entry that it names count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Index of its directory.
    pub parent: u32,
    /// Its name, as programs see it; empty for entry 0.
    pub name: Vec<u8>,
    /// What it is.
    pub what: What,
    /// Permission bits, 0..=0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access.
    pub atime: Time,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Logical inode number.
    pub ino: u64,
    /// Extended attributes, ordered by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Bytes of its content.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.what {
            What::File { size, .. } => *size,
            _ => 0,
        }
    }

    fn encoded_length(&self) -> u64 {
        let more = match &self.what {
            What::Symlink(target) => target.len(),
            What::File { hash: Some(_), .. } => 32,
            _ => 0,
        };
        let xattrs = self.xattrs.iter();
        let xattrs: usize = xattrs
            .map(|(name, value)| 6 + name.len() + value.len())
            .sum();
        (FIXED + self.name.len() + more + xattrs) as u64
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let too_long = |what| FormatError::Malformed { what, offset: 0 };
        let (a, b, hash) = match &self.what {
            What::File { size, offset, hash } => (*size, *offset, *hash),
            What::Symlink(target) => (target.len() as u64, 0, None),
            What::Char(rdev) | What::Block(rdev) => (*rdev, 0, None),
            What::Link(to) => (u64::from(*to), 0, None),
            What::Dir | What::Fifo | What::Socket => (0, 0, None),
        };
        let name = u16::try_from(self.name.len()).map_err(|_| too_long("name"))?;
        let xattrs = u32::try_from(self.xattrs.len()).map_err(|_| too_long(XATTRS))?;
        out.extend(self.parent.to_le_bytes());
        out.extend([self.what.number(), u8::from(hash.is_some())]);
        out.extend(name.to_le_bytes());
        for number in [self.mode, self.uid, self.gid] {
            out.extend(number.to_le_bytes());
        }
        for time in [self.atime, self.mtime, self.ctime] {
            time.encode(out);
        }
        for number in [self.ino, a, b, 0] {
            out.extend(number.to_le_bytes());
        }
        out.extend(xattrs.to_le_bytes());
        out.extend([0; 4]);
        out.extend(&self.name);
        out.extend(hash.iter().flat_map(|hash| hash.0));
        if let What::Symlink(target) = &self.what {
            out.extend(target);
        }
        for (name, value) in &self.xattrs {
            let name_length = u16::try_from(name.len()).map_err(|_| too_long(XATTRS))?;
            let value_length = u32::try_from(value.len()).map_err(|_| too_long(XATTRS))?;
            out.extend(name_length.to_le_bytes());
            out.extend(value_length.to_le_bytes());
            out.extend(name);
            out.extend(value);
        }
        Ok(())
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, FormatError> {
        const WHAT: &str = "truncated entry";
        let parent = r.u32(WHAT)?;
        let kind = r.u8(WHAT)?;
        let hashed = r.u8(WHAT)?;
        let name = usize::from(r.u16(WHAT)?);
        let (mode, uid, gid) = (r.u32(WHAT)?, r.u32(WHAT)?, r.u32(WHAT)?);
        if mode > 0o7777 {
            return Err(r.wrong("mode bits"));
        }
        let (atime, mtime, ctime) = (Time::decode(r)?, Time::decode(r)?, Time::decode(r)?);
        let (ino, a, b) = (r.u64(WHAT)?, r.u64(WHAT)?, r.u64(WHAT)?);
        r.expect(&[0; 8], "reserved bytes of an entry")?;
        let xattrs = r.count(MAX_XATTRS, "number of extended attributes")?;
        r.expect(&[0; 4], "reserved bytes of an entry")?;
        let name = r.bytes(name, "name")?.to_vec();
        if hashed > u8::from(kind == 1) {
            return Err(r.wrong("hash of an entry"));
        }
        let hash = match hashed {
            0 => None,
            _ => Some(Digest(r.array("hash of an entry")?)),
        };
        let what = match kind {
            0 => What::Dir,
            1 => What::File {
                size: a,
                offset: b,
                hash,
            },
            2 => {
                let length = usize::try_from(a)
                    .ok()
                    .filter(|n| (1..=MAX_TARGET).contains(n));
                let length = length.ok_or_else(|| r.wrong("length of a link's target"))?;
                What::Symlink(r.bytes(length, "target of a link")?.to_vec())
            }
            3 => What::Fifo,
            4 => What::Socket,
            5 => What::Char(a),
            6 => What::Block(a),
            7 => What::Link(u32::try_from(a).map_err(|_| r.wrong("hard link"))?),
            _ => return Err(r.wrong("kind of an entry")),
        };
        let plain = matches!(what, What::Dir | What::Fifo | What::Socket);
        if plain && a != 0 || kind != 1 && b != 0 {
            return Err(r.wrong("numbers of an entry"));
        }
        let xattrs = (0..xattrs)
            .map(|_| {
                let name = usize::from(r.u16(XATTRS)?);
                let value = r.count(MAX_VALUE, "length of an extended attribute")?;
                let name = r.bytes(name, XATTRS)?.to_vec();
                Ok((name, r.bytes(value, XATTRS)?.to_vec()))
            })
            .collect::<Result<_, FormatError>>()?;
        Ok(Self {
            parent,
            name,
            what,
            mode,
            uid,
            gid,
            atime,
            mtime,
            ctime,
            ino,
            xattrs,
        })
    }
}

const XATTRS: &str = "extended attributes";

/// The table of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    entries: Vec<Entry>,
    /// For each entry the index of its first child: of those without any, where it would be.
    first: Vec<u32>,
}

impl Bundle {
    /// A bundle of these entries, whose files get their places in the content: in the order of `order`, which names
    /// each file once.
    ///
    /// # Errors
    /// [`FormatError`] where the entries are not as the format says; offsets of such errors say nothing.
    pub fn new(
        kind: ObjectKind,
        mut entries: Vec<Entry>,
        order: &[u32],
    ) -> Result<Self, FormatError> {
        let lengths: u64 = entries.iter().map(Entry::encoded_length).sum();
        let mut free = HEAD as u64 + lengths;
        for index in order {
            let entry = entries.get_mut(*index as usize);
            if let Some(What::File { size, offset, .. }) = entry.map(|entry| &mut entry.what) {
                *offset = if *size == 0 { 0 } else { free };
                free = free
                    .checked_add(*size)
                    .ok_or(malformed("files too large for a bundle", 0))?;
            }
        }
        Self::checked(kind, entries, HEAD as u64 + lengths, free)
    }

    /// Bytes of the table, which follow from the first [`HEAD`] bytes of the content.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn table_length(head: &[u8]) -> Result<usize, FormatError> {
        Ok(Head::decode(&mut Reader::new(head))?.table)
    }

    /// Reads the table of a content of `size` bytes; `table` is as long as [`Bundle::table_length`] says.
    ///
    /// # Errors
    /// [`FormatError`]; nothing is allocated beyond the limits.
    pub fn decode(kind: ObjectKind, table: &[u8], size: u64) -> Result<Self, FormatError> {
        let mut r = Reader::new(table);
        let head = Head::decode(&mut r)?;
        if head.table != table.len() {
            return Err(r.wrong("length of the table"));
        }
        let mut entries = Vec::with_capacity(head.entries);
        for _ in 0..head.entries {
            entries.push(Entry::decode(&mut r)?);
        }
        r.end()?;
        Self::checked(kind, entries, table.len() as u64, size)
    }

    /// The table's bytes.
    ///
    /// # Errors
    /// [`FormatError`] when it is longer than the limit.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let length = self.length();
        if length > MAX_TABLE as u64 {
            return Err(FormatError::Limit {
                what: "length of a table",
                value: length,
                limit: MAX_TABLE as u64,
            });
        }
        let count = u32::try_from(self.entries.len());
        let count = count.map_err(|_| malformed("number of entries", 12))?;
        let mut out = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        out.extend(MAGIC);
        out.extend(super::VERSION.to_le_bytes());
        out.extend([0; 2]);
        out.extend(count.to_le_bytes());
        out.extend(length.to_le_bytes());
        for entry in &self.entries {
            entry.encode(&mut out)?;
        }
        Ok(out)
    }

    /// Bytes of the table.
    #[must_use]
    pub fn length(&self) -> u64 {
        let entries = self.entries.iter();
        HEAD as u64 + entries.map(Entry::encoded_length).sum::<u64>()
    }

    /// Bytes of the whole content.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.length() + self.entries.iter().map(Entry::size).sum::<u64>()
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry with this index.
    #[must_use]
    pub fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    /// Indices of what is in a directory, in the order of names (of variants: `DEFAULT` first).
    #[must_use]
    pub fn children(&self, of: u32) -> std::ops::Range<u32> {
        let of = of as usize;
        let end = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let start = self.first.get(of).copied().unwrap_or(end);
        start..self.first.get(of + 1).copied().unwrap_or(end)
    }

    /// The index of a name in a directory of a tree.
    #[must_use]
    pub fn find(&self, dir: u32, name: &[u8]) -> Option<u32> {
        let range = self.children(dir);
        let children = self.entries.get(range.start as usize..range.end as usize)?;
        let at = children.binary_search_by(|entry| entry.name.as_slice().cmp(name));
        Some(range.start + u32::try_from(at.ok()?).ok()?)
    }

    /// The index of what an entry is, which is another one for hard links.
    #[must_use]
    pub fn target(&self, index: u32) -> u32 {
        match self.entry(index).map(|entry| &entry.what) {
            Some(What::Link(to)) => *to,
            _ => index,
        }
    }

    /// Checks everything that one entry does not say of itself.
    fn checked(
        kind: ObjectKind,
        entries: Vec<Entry>,
        table: u64,
        size: u64,
    ) -> Result<Self, FormatError> {
        let mut first = Vec::with_capacity(entries.len());
        let mut bodies: Vec<(u64, u64)> = Vec::new();
        let mut at = HEAD;
        for (index, entry) in entries.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|last| entries.get(last));
            check(kind, &entries, index, entry, before).map_err(|what| malformed(what, at))?;
            // Parents come in ascending order, so the children of all up to this one begin here or earlier.
            while index > 0 && first.len() <= entry.parent as usize {
                first.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
            match entry.what {
                What::File {
                    size: 0, offset, ..
                } if offset != 0 => {
                    return Err(malformed("place of an empty file", at));
                }
                What::File { size, offset, .. } if size > 0 => bodies.push((offset, size)),
                _ => {}
            }
            at += usize::try_from(entry.encoded_length()).unwrap_or_default();
        }
        let count = u32::try_from(entries.len()).ok();
        let count = count.filter(|&n| n > 0 && n as usize <= MAX_ENTRIES);
        let count = count.ok_or(malformed("number of entries", 12))?;
        first.resize(entries.len(), count);
        let variants = kind == ObjectKind::Variants;
        if variants && entries.get(1).is_none_or(|entry| entry.name != DEFAULT) {
            return Err(malformed("no default variant", HEAD));
        }
        // Bodies lie end to end from the end of the table to that of the content.
        bodies.sort_unstable();
        let mut free = table;
        for (offset, length) in bodies {
            let end = offset.checked_add(length).filter(|_| offset == free);
            free = end.ok_or(malformed("places of the files", HEAD))?;
        }
        if free != size {
            return Err(malformed("size of the content", HEAD));
        }
        Ok(Self { entries, first })
    }
}

/// What comes before the entries.
struct Head {
    entries: usize,
    table: usize,
}

impl Head {
    fn decode(r: &mut Reader<'_>) -> Result<Self, FormatError> {
        r.expect(MAGIC, "not a bundle")?;
        if r.version()? == 0 {
            return Err(r.wrong("a bundle of a version that had none"));
        }
        r.expect(&[0; 2], "reserved bytes of a bundle")?;
        let entries = r.count(MAX_ENTRIES, "number of entries")?;
        let table = r.u64("truncated bundle")?;
        let limit = FormatError::Limit {
            what: "length of a table",
            value: table,
            limit: MAX_TABLE as u64,
        };
        let table = usize::try_from(table).ok().filter(|&t| t <= MAX_TABLE);
        let table = table.ok_or(limit)?;
        if entries == 0 || table < HEAD + entries * FIXED {
            return Err(r.wrong("length of the table"));
        }
        Ok(Self { entries, table })
    }
}

fn malformed(what: &'static str, offset: usize) -> FormatError {
    FormatError::Malformed { what, offset }
}

/// What is wrong with an entry beside those before it.
fn check(
    kind: ObjectKind,
    entries: &[Entry],
    index: usize,
    entry: &Entry,
    before: Option<&Entry>,
) -> Result<(), &'static str> {
    if entry.mode > 0o7777 {
        return Err("mode bits");
    }
    let ordered = entry.xattrs.windows(2).all(|pair| match pair {
        [(a, _), (b, _)] => a < b,
        _ => true,
    });
    let named = |(name, value): &(Vec<u8>, Vec<u8>)| {
        (1..=MAX_NAME).contains(&name.len()) && !name.contains(&0) && value.len() <= MAX_VALUE
    };
    if !ordered || entry.xattrs.len() > MAX_XATTRS || !entry.xattrs.iter().all(named) {
        return Err(XATTRS);
    }
    let Some(before) = before else {
        let itself = entry.parent == 0 && entry.name.is_empty() && entry.what == What::Dir;
        return if itself { Ok(()) } else { Err("first entry") };
    };
    let reserved = matches!(entry.name.as_slice(), b"" | b"." | b"..");
    if reserved || entry.name.len() > MAX_NAME || entry.name.iter().any(|b| matches!(b, 0 | b'/')) {
        return Err("name");
    }
    let parent = entries.get(entry.parent as usize);
    let lower = (entry.parent as usize) < index;
    if !lower || parent.is_none_or(|parent| parent.what != What::Dir) {
        return Err("parent of an entry");
    }
    if index > 1 && order(kind, before, entry) != Ordering::Less {
        return Err("order of the entries");
    }
    match &entry.what {
        What::Symlink(target)
            if !(1..=MAX_TARGET).contains(&target.len()) || target.contains(&0) =>
        {
            return Err("target of a link");
        }
        What::Link(to) => {
            let there = entries.get(*to as usize);
            let there = there.filter(|_| (1..index).contains(&(*to as usize)));
            let fits = |to: &Entry| !matches!(to.what, What::Dir | What::Link(_));
            let bare = Entry {
                parent: entry.parent,
                name: entry.name.clone(),
                ..Entry::link(*to)
            };
            if !there.is_some_and(fits) || *entry != bare {
                return Err("hard link");
            }
        }
        _ => {}
    }
    if kind == ObjectKind::Variants && !matches!(entry.what, What::File { hash: Some(_), .. }) {
        return Err("variant");
    }
    Ok(())
}

/// How two entries are ordered.
fn order(kind: ObjectKind, a: &Entry, b: &Entry) -> Ordering {
    let key = |entry: &Entry| kind != ObjectKind::Variants || entry.name != DEFAULT;
    (a.parent, key(a), &a.name).cmp(&(b.parent, key(b), &b.name))
}

impl Entry {
    /// Another name, still to be given, of the entry with this index.
    #[must_use]
    pub fn link(to: u32) -> Self {
        Self {
            parent: 0,
            name: Vec::new(),
            what: What::Link(to),
            mode: 0,
            uid: 0,
            gid: 0,
            atime: Time::default(),
            mtime: Time::default(),
            ctime: Time::default(),
            ino: 0,
            xattrs: Vec::new(),
        }
    }
}
