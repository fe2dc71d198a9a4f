//! Looking at what is stored of a file, range by range: nothing is kept, counted or noted.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::disk::{self, File};
use super::foreign::Foreign;
use super::locate::{Found, open_plain};
use super::object::Object;
use super::{Error, Result, Store};
use crate::codec::{Decoder, Quality};
use crate::foreign;
use crate::format::Digest;

/// What is stored of a file.
#[derive(Debug)]
pub struct Look {
    size: u64,
    body: Body,
}

enum Body {
    Plain(Arc<dyn File>),
    Object(Arc<Object>),
    Coarse(Box<dyn Decoder>),
    Foreign(Arc<Foreign>),
}

impl Store {
    /// What is stored of a regular file. `coarse`: of an encoded one its first layer alone, which is had fastest.
    ///
    /// # Errors
    /// [`Error::Damaged`] where not even its size is known, [`Error::Invalid`] for anything that is no regular file.
    pub fn look(&self, ino: u64, coarse: bool) -> Result<Look> {
        let node = self.nodes.get(ino)?;
        if node.kind != super::Kind::File {
            return Err(Error::Invalid);
        }
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (_names, found) = self.found(&link.parent, &dir, &link.name)?;
        Ok(match found.ok_or(Error::NotFound)? {
            Found::Native { disk, .. } | Found::Pair { plain: disk, .. } => {
                let file = open_plain(dir.as_ref(), &disk, false)?;
                Look {
                    size: file.meta()?.size,
                    body: Body::Plain(file),
                }
            }
            Found::Encoded { object, .. } => Look {
                size: object.size(),
                body: if coarse && object.variants().is_empty() {
                    Body::Coarse(object.coarse()?)
                } else {
                    Body::Object(object)
                },
            },
            Found::Foreign { content, .. } => Look {
                size: content.size(),
                body: Body::Foreign(content),
            },
            Found::Solid { .. } => return Err(Error::IsDirectory),
            Found::Broken { what, .. } => {
                return Err(Error::Damaged {
                    name: String::new(),
                    what,
                });
            }
        })
    }
}

impl Look {
    /// Size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The range that is decoded together with byte `offset`, which lies in the file; `None` where any range is as good.
    #[must_use]
    pub fn segment(&self, offset: u64) -> Option<Range<u64>> {
        match &self.body {
            Body::Object(object) => object.segment_at(offset),
            Body::Coarse(decoder) => Some(decoder.segment(offset)),
            Body::Plain(_) | Body::Foreign(_) => None,
        }
    }

    /// Where the bytes from `offset` on, which lies in the file, already were earlier in it, and for how many bytes;
    /// `None` where nothing is known.
    ///
    /// # Errors
    /// [`Error::Damaged`] where that cannot be told any more.
    pub fn earlier(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        match &self.body {
            Body::Object(object) => object.earlier(offset),
            Body::Plain(_) | Body::Coarse(_) | Body::Foreign(_) => Ok(None),
        }
    }

    /// The BLAKE3 hash of the content, where it is known without reading: that of an encoded file.
    #[must_use]
    pub fn hash(&self) -> Option<Digest> {
        match &self.body {
            Body::Object(object) => Some(object.hash()),
            Body::Plain(_) | Body::Coarse(_) | Body::Foreign(_) => None,
        }
    }

    /// Fills `buf` from byte `offset`; the range lies in the file. Says whether the bytes are what was stored.
    ///
    /// # Errors
    /// [`Error::Damaged`] where nothing is left of them.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<bool> {
        let length = buf.len();
        let (read, exact) = match &self.body {
            Body::Plain(file) => {
                disk::read_exact_at(file.as_ref(), buf, offset)?;
                (length, true)
            }
            Body::Object(object) => {
                let (read, quality) = object.read_best(offset, buf)?;
                (read, quality == Quality::Exact)
            }
            Body::Coarse(decoder) => (length, decoder.read_at(offset, buf)? == Quality::Exact),
            Body::Foreign(content) => {
                let (read, quality) = content.read_at(offset, buf)?;
                (read, quality == foreign::Quality::Exact)
            }
        };
        if read < length {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(exact)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Object(_) => "Object",
            Self::Coarse(_) => "Coarse",
            Self::Foreign(_) => "Foreign",
        })
    }
}
