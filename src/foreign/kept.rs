//! What decoding gave, so that it is done once for all reads.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{ForeignError, Quality};

/// The file that a thing from elsewhere holds, and what it is worth.
pub(super) type File = (Arc<Vec<u8>>, Quality);

/// A file, or why there is none, once that is known.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<Result<File, String>>>);

impl Kept {
    /// The file, made by the first that asks.
    pub(super) fn file(
        &self,
        make: impl FnOnce() -> Result<(Vec<u8>, Quality), ForeignError>,
    ) -> Result<File, ForeignError> {
        let mut kept = self.0.lock();
        match &*kept {
            Some(Ok(file)) => return Ok(file.clone()),
            Some(Err(what)) => return Err(ForeignError::Damaged(what.clone())),
            None => {}
        }
        let made = make().map(|(content, quality)| (Arc::new(content), quality));
        *kept = match &made {
            Ok(file) => Some(Ok(file.clone())),
            // The medium may recover, and there may be memory later.
            Err(ForeignError::Io(_)) => None,
            Err(e) => Some(Err(e.to_string())),
        };
        made
    }

    /// Fills `buf` from byte `offset` of the file.
    pub(super) fn read_at(
        &self,
        offset: u64,
        buf: &mut [u8],
        make: impl FnOnce() -> Result<(Vec<u8>, Quality), ForeignError>,
    ) -> Result<Quality, ForeignError> {
        let (content, quality) = self.file(make)?;
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| content.get(start..start.checked_add(buf.len())?));
        buf.copy_from_slice(range.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(quality)
    }
}
