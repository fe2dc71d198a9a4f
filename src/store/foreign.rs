//! Things from elsewhere in the tree: their files as parts for the readers of [`crate::foreign`].

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::sync::Arc;

use super::disk::{self, Access, Dir, File, Kind, Meta};
use super::{Error, Result};
use crate::foreign::{self, ForeignError, Form, HEAD, Parts, Reader};

/// Most files that a directory may have to be looked at: all are open while it is read, and descriptors are few.
const MOST_PARTS: usize = 4096;

/// A thing from elsewhere, readable as the file it holds.
#[derive(Debug)]
pub(crate) struct Foreign {
    kind: foreign::Kind,
    reader: Box<dyn Reader>,
}

/// What an entry turned out to be.
#[derive(Debug)]
pub(crate) enum Recognised {
    /// In a format that we read.
    Foreign(Foreign),
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

    /// What is missing, as far as the headers tell.
    pub(crate) fn damage(&self) -> Option<String> {
        self.reader.check().err().map(|e| e.to_string())
    }

    /// Fills `buf` from `offset` as far as the file reaches; returns the bytes read.
    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let left = self.size().saturating_sub(offset);
        let n = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(piece) = buf.get_mut(..n).filter(|piece| !piece.is_empty()) {
            self.reader.read_at(offset, piece).map_err(error)?;
        }
        Ok(n)
    }
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

/// What the entry `name` of `dir`, which is not ours, is.
pub(crate) fn recognise(dir: &dyn Dir, name: &OsStr, meta: &Meta) -> Result<Recognised> {
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
    match foreign::open(kind, Box::new(Files(parts))) {
        Ok(reader) => Ok(Recognised::Foreign(Foreign { kind, reader })),
        Err(ForeignError::Io(e)) => Err(e.into()),
        Err(e) => Ok(Recognised::Broken(e.to_string())),
    }
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
