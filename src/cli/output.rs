//! Files that verbs write for the user: where they may go, and that they are whole or not there.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::{Code, Failure};
use super::interrupt;
use super::place::Place;
use crate::store::Kind;
use crate::store::disk::{Dir, meta_if_there};
use crate::store::outside;

/// A place for a result that was found free.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    dir: Arc<dyn Dir>,
    name: OsString,
    overwrite: bool,
}

impl Target {
    /// Where the result goes: an ordinary file, in a mount or anywhere but in the store's own directory.
    pub(super) fn of(out: &Path, overwrite: bool) -> Result<Self, Failure> {
        let fail = |e: io::Error| Failure::io(out, &e);
        let (dir, name) = outside::argument(out).map_err(fail)?;
        let name = name.ok_or_else(|| Failure::new(Code::Error, out, "names no file"))?;
        if Place::of(out).is_ok_and(|place| place.mount.is_none()) {
            let failure = Failure::new(Code::Error, out, "lies in a store");
            return Err(failure.hint("mount the store and write into the mount point"));
        }
        match meta_if_there(&*dir, &name).map_err(fail)? {
            Some(meta) if meta.kind == Kind::Dir => {
                Err(Failure::new(Code::Error, out, "is a directory"))
            }
            Some(_) if !overwrite => {
                let failure = Failure::new(Code::Error, out, "file exists");
                Err(failure.hint("--overwrite replaces it"))
            }
            _ => Ok(Self {
                path: out.to_owned(),
                dir,
                name,
                overwrite,
            }),
        }
    }

    /// Writes what `write` writes; nothing of it is left after an error or an interruption.
    pub(super) fn fill(
        self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let fail = |e: io::Error| Failure::io(&self.path, &e);
        let file = outside::create(self.dir, &self.name).map_err(fail)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        let file = file.into_inner().map_err(|e| fail(e.into_error()))?;
        if interrupt::seen() {
            return Err(Failure::interrupted());
        }
        file.finish(self.overwrite).map_err(fail)
    }
}
