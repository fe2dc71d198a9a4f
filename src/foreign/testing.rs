//! What the tests of the readers share: parts in memory, zlib streams.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::{Choice, ForeignError, Form, HEAD, Kind, Parts, Reader, open, recognise};

/// Parts in memory.
#[derive(Debug, Clone)]
pub(super) struct Files(pub(super) Vec<Vec<u8>>);

impl Parts for Files {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, part: usize) -> String {
        format!("chunk_{part:04}.holo")
    }

    fn size(&self, part: usize) -> u64 {
        self.0[part].len() as u64
    }

    fn read_at(&self, part: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let range = self.0[part].get(start..start + buf.len());
        buf.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Files {
    /// What they are taken for.
    pub(super) fn kind(&self) -> Option<Kind> {
        let heads: Vec<_> = self.0.iter().map(|f| &f[..f.len().min(HEAD)]).collect();
        recognise(Form::Directory, &heads)
    }

    /// Opens them as `kind`.
    pub(super) fn open(&self, kind: Kind) -> Result<Box<dyn Reader>, ForeignError> {
        open(kind, Box::new(self.clone()), Choice::default())
    }

    /// The file that they hold.
    pub(super) fn read(&self, kind: Kind) -> Result<Vec<u8>, ForeignError> {
        let reader = self.open(kind)?;
        // A size that a header claims is believed only once it was decoded.
        reader.read_at(0, &mut [])?;
        let mut content = vec![0; usize::try_from(reader.size()).unwrap()];
        reader.read_at(0, &mut content)?;
        Ok(content)
    }

    /// What a program that reads the file is told.
    pub(super) fn error(&self, kind: Kind) -> String {
        self.read(kind).unwrap_err().to_string()
    }
}

/// A zlib stream.
pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
