//! Ranges of open files: space for them, holes, copies.

use rustix::io::Errno;

use super::disk::Seek;
use super::node::Body;
use super::tree::Store;
use super::{Error, Result};

impl Store {
    /// fallocate(2) on an open file.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not open for writing, and what the medium says.
    pub fn allocate(&self, ino: u64, mode: u32, offset: u64, length: u64) -> Result<()> {
        Ok(self.written(ino)?.1.allocate(mode, offset, length)?)
    }

    /// lseek(2) for data and holes on an open file.
    ///
    /// # Errors
    /// [`Error::NoOffset`] past the end or the last data.
    pub fn seek(&self, ino: u64, offset: u64, whence: Seek) -> Result<u64> {
        match self.body(ino)?.1 {
            Body::Plain { file, .. } | Body::Overlay { file, .. } => {
                file.seek(offset, whence).map_err(|e| {
                    if Errno::from_io_error(&e) == Some(Errno::NXIO) {
                        Error::NoOffset
                    } else {
                        Error::Io(e)
                    }
                })
            }
            Body::Cached(_, object) | Body::Stream(object) | Body::Reduced(_, object) => {
                object.seek(offset, whence).ok_or(Error::NoOffset)
            }
            Body::Member(member) => member.find(offset, whence).ok_or(Error::NoOffset),
            Body::Foreign(content) => match whence {
                _ if offset >= content.size() => Err(Error::NoOffset),
                Seek::Data => Ok(offset),
                Seek::Hole => Ok(content.size()),
            },
        }
    }

    /// `copy_file_range(2)` between open files; returns the bytes copied.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the bytes must be read and written instead.
    pub fn copy_range(
        &self,
        from: u64,
        offset: u64,
        to: u64,
        to_offset: u64,
        length: u64,
    ) -> Result<u64> {
        let (Body::Plain { file, .. } | Body::Overlay { file, .. } | Body::Cached(file, _)) =
            self.body(from)?.1
        else {
            return Err(Error::Unsupported);
        };
        let (_, target) = self.written(to)?;
        Ok(file.copy_range(offset, target.as_ref(), to_offset, length)?)
    }
}
