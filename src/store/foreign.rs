//! Things from elsewhere in the tree: their files as parts for the readers of [`crate::foreign`].

mod kept;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use super::disk::{self, Access, Dir, File, Kind, Meta};
use super::names;
use super::{ChunkCount, Error, Result};
use crate::codec::Medium;
use crate::foreign::{self, Choice, ForeignError, Form, HEAD, Parts, Quality, Reader};
use kept::Key;
pub(crate) use kept::Templates;

/// Most files that a directory may have to be looked at: all are open while it is read, and descriptors are few.
const MOST_PARTS: usize = 4096;

/// A thing from elsewhere, readable as the file it holds.
#[derive(Debug)]
pub(crate) struct Foreign {
    kind: foreign::Kind,
    reader: Box<dyn Reader>,
    stored: u64,
}

/// What an entry turned out to be.
#[derive(Debug, Clone)]
pub(crate) enum Recognised {
    /// In a format that we read.
    Foreign(Arc<Foreign>),
    /// In such a format, but not even its size can be told; why.
    Broken(String),
    /// Nothing that we know.
    Unknown,
}

#[derive(Debug)]
struct Part {
    name: OsString,
    size: u64,
    file: Arc<dyn File>,
}

/// The regular files of an entry, open.
#[derive(Debug)]
struct Files(Vec<Part>);

impl Parts for Files {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, part: usize) -> String {
        let part = self.0.get(part);
        part.map_or_else(String::new, |p| p.name.display().to_string())
    }

    fn size(&self, part: usize) -> u64 {
        self.0.get(part).map_or(0, |p| p.size)
    }

    fn read_at(&self, part: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let part = self.0.get(part).ok_or(io::ErrorKind::NotFound)?;
        disk::read_exact_at(part.file.as_ref(), buf, offset)
    }
}

impl Foreign {
    pub(crate) fn size(&self) -> u64 {
        self.reader.size()
    }

    /// The format's name.
    pub(crate) fn format(&self) -> String {
        self.kind.to_string()
    }

    /// Bytes on disk.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// What it holds.
    pub(crate) fn medium(&self) -> Medium {
        match self.kind {
            foreign::Kind::HoloImage | foreign::Kind::HoloTransform => Medium::Image,
            foreign::Kind::HoloSound => Medium::Sound,
            foreign::Kind::Film => Medium::Video,
            foreign::Kind::HoloBinary | foreign::Kind::Template => Medium::Other,
        }
    }

    /// The logical name it is shown under, where its own stands for `name`: what it holds may need another ending.
    pub(crate) fn shown(&self, name: &OsStr) -> OsString {
        let suffix = self.reader.suffix().as_bytes();
        let bytes = name.as_bytes();
        let end = bytes.len().checked_sub(suffix.len());
        let ending = end.and_then(|end| bytes.get(end..)).unwrap_or_default();
        if ending.eq_ignore_ascii_case(suffix) {
            return name.to_owned();
        }
        OsString::from_vec([bytes, suffix].concat())
    }

    /// Its chunks; zeros where the format has none.
    pub(crate) fn chunks(&self) -> ChunkCount {
        let count = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        let chunks = self.reader.chunks();
        chunks.map_or_else(ChunkCount::default, |c| ChunkCount {
            have: count(c.have),
            need: count(c.need),
            total: count(c.total),
        })
    }

    /// Names of the contexts that there are variants for.
    pub(crate) fn contexts(&self) -> &[String] {
        self.reader.contexts()
    }

    /// What reads give: as far as the headers tell, or after reading `everything`.
    ///
    /// # Errors
    /// [`Error::Damaged`] where they give nothing.
    pub(crate) fn quality(&self, everything: bool) -> Result<Quality> {
        let quality = if everything {
            self.reader.verify()
        } else {
            self.reader.check()
        };
        quality.map_err(error)
    }

    /// Fills `buf` from `offset` as far as the file reaches; returns the bytes read and what they are worth.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(usize, Quality)> {
        let left = self.size().saturating_sub(offset);
        let n = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match buf.get_mut(..n).filter(|piece| !piece.is_empty()) {
            Some(piece) => Ok((n, self.reader.read_at(offset, piece).map_err(error)?)),
            None => Ok((0, Quality::Exact)),
        }
    }
}

/// The names that something from elsewhere may stand for which is shown as `name`, without the ending that is
/// appended to it.
pub(crate) fn stems(name: &OsStr) -> impl Iterator<Item = &OsStr> {
    let stem = |suffix: &&str| name.as_bytes().strip_suffix(suffix.as_bytes());
    let stems = foreign::SUFFIXES.iter().filter_map(stem);
    let stems = stems.map(OsStr::from_bytes);
    stems.filter(|stem| {
        names::encoded(stem).is_some_and(|disk| {
            names::logical(&disk) == names::DiskName::Encoded((*stem).to_owned())
        })
    })
}

fn error(e: ForeignError) -> Error {
    match e {
        ForeignError::Io(e) => Error::Io(e),
        other => damaged(&other),
    }
}

fn damaged(what: &dyn fmt::Display) -> Error {
    Error::Damaged {
        name: String::new(),
        what: what.to_string(),
    }
}

/// What the entry `name` of `dir`, which is not ours, is; `templates`: where those that were read are kept.
pub(crate) fn recognise(
    dir: &dyn Dir,
    name: &OsStr,
    meta: &Meta,
    choice: Choice<'_>,
    templates: Option<&Templates>,
) -> Result<Recognised> {
    let key = Key::new(meta, choice.context);
    if let Some(known) = templates.and_then(|kept| kept.get(&key)) {
        return Ok(known);
    }
    let (form, parts) = if meta.kind == Kind::Dir {
        (Form::Directory, parts_of_dir(dir.dir(name)?.as_ref())?)
    } else {
        (Form::File, part(dir, name)?.into_iter().collect())
    };
    let mut heads = Vec::with_capacity(parts.len());
    for part in &parts {
        let mut head = vec![0; usize::try_from(part.size).unwrap_or(HEAD).min(HEAD)];
        match disk::read_exact_at(part.file.as_ref(), &mut head, 0) {
            Ok(()) => heads.push(head),
            Err(_) => heads.push(Vec::new()),
        }
    }
    let Some(kind) = foreign::recognise(form, &heads) else {
        return Ok(Recognised::Unknown);
    };
    let stored = parts
        .iter()
        .fold(0, |sum: u64, part| sum.saturating_add(part.size));
    let (found, memory) = match foreign::open(kind, Box::new(Files(parts)), choice) {
        Ok(reader) => {
            let memory = reader.worth_keeping();
            let content = Foreign {
                kind,
                reader,
                stored,
            };
            (Recognised::Foreign(Arc::new(content)), memory)
        }
        Err(ForeignError::Io(e)) => return Err(e.into()),
        Err(e) => {
            let what = e.to_string();
            // To find out what is wrong with a template all of it may have been read.
            let memory = (kind == foreign::Kind::Template).then_some(what.len());
            (Recognised::Broken(what), memory)
        }
    };
    if let (Some(kept), Some(memory)) = (templates, memory) {
        kept.put(key, &found, memory);
    }
    Ok(found)
}

fn parts_of_dir(dir: &dyn Dir) -> Result<Vec<Part>> {
    let mut names = dir.list()?;
    names.retain(|entry| entry.kind == Kind::File);
    if names.len() > MOST_PARTS {
        return Ok(Vec::new());
    }
    names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut parts = Vec::with_capacity(names.len());
    for entry in names {
        parts.extend(part(dir, &entry.name)?);
    }
    Ok(parts)
}

/// One file, open; `None` when it is gone or is no regular file after all.
fn part(dir: &dyn Dir, name: &OsStr) -> Result<Option<Part>> {
    let Ok(file) = dir.open(name, Access::Read) else {
        return Ok(None);
    };
    Ok(Some(Part {
        name: name.to_owned(),
        size: file.meta()?.size,
        file,
    }))
}
