//! Carries out requests: for a command that opened the store, and for one that asks the daemon.

use std::path::{Path, PathBuf};

use crate::format::Time;
use crate::store::ctl::{Name, Reply, Request};
use crate::store::walk::{find, walk};
use crate::store::{Attr, Context, Error, FileStatus, Kind, Result, Store};

/// Looks at or changes one file; the second argument says whether to go on.
type Each<'a> = &'a mut dyn FnMut(Attr, &mut dyn FnMut() -> bool) -> Result<FileStatus>;

/// Takes replies and says whether to go on.
type Emit<'a> = &'a mut dyn FnMut(Reply) -> bool;

/// Carries out `request`; `emit` takes the replies.
pub(super) fn perform(store: &Store, request: &Request, emit: Emit<'_>) -> Result<()> {
    match request {
        Request::Settle => {
            let settled = store.settle(&mut |path| emit(Reply::At { path: path.into() }))?;
            emit(Reply::Settled(settled));
            Ok(())
        }
        Request::Status { path } => {
            each_file(store, path, emit, &mut |attr, _| store.status(attr.ino))
        }
        Request::Scrub { path } => {
            each_file(store, path, emit, &mut |attr, go_on| {
                store.verify(attr.ino, go_on)
            })?;
            if !PathBuf::from(path.clone()).as_os_str().is_empty() {
                return Ok(());
            }
            store.verify_dictionaries(&mut |path, status| {
                let path = path.into();
                emit(Reply::File { path, status })
            })
        }
        Request::Learn { paths } => {
            let paths: Vec<PathBuf> = paths.iter().cloned().map(PathBuf::from).collect();
            let mut at = |path: &Path| emit(Reply::At { path: path.into() });
            let made = store.build_dictionaries(&paths, &mut at)?;
            made.into_iter().all(|made| emit(Reply::Dictionary(made)));
            Ok(())
        }
        Request::Dictionaries { collect, dry_run } => {
            let all = if *collect {
                store.collect_dictionaries(*dry_run)?
            } else {
                store.list_dictionaries()?
            };
            all.into_iter().all(|one| emit(Reply::Dictionary(one)));
            Ok(())
        }
        Request::Piece {
            content,
            offset,
            bytes,
        } => store.receive(content, *offset, bytes),
        Request::AddVariant {
            path,
            context,
            content,
            mtime,
        } => {
            let held = find(store, &PathBuf::from(path.clone()))?;
            let context = Context::new(context).ok_or(Error::Invalid)?;
            let (secs, nanos) = *mtime;
            store.add_variant(held.ino(), &context, content, Time { secs, nanos })?;
            variants(store, path, emit)
        }
        Request::RemoveVariant { path, context } => {
            let held = find(store, &PathBuf::from(path.clone()))?;
            let context = Context::new(context).ok_or(Error::Invalid)?;
            store.remove_variant(held.ino(), &context)?;
            variants(store, path, emit)
        }
        Request::Variants { path } => variants(store, path, emit),
        Request::Convert {
            path,
            codec,
            profile,
            layout,
        } => each_file(store, path, emit, &mut |attr, go_on| {
            go_on(); // says where the work is; a no shows after this file
            let layout = layout.as_deref();
            store.convert(attr.ino, codec.as_deref(), profile.as_deref(), layout)
        }),
        Request::Freeze { path } => {
            let dir = find(store, &PathBuf::from(path.clone()))?;
            store.freeze(dir.ino(), &mut |path| emit(Reply::At { path: path.into() }))?;
            drop(dir);
            each_file(store, path, emit, &mut |attr, _| store.status(attr.ino))
        }
    }
}

/// Names the variants of a file.
fn variants(store: &Store, path: &Name, emit: Emit<'_>) -> Result<()> {
    let held = find(store, &PathBuf::from(path.clone()))?;
    store.variants(held.ino())?.into_iter().all(|variant| {
        emit(Reply::Variant {
            context: variant.context.to_string(),
            size: variant.size,
            hash: variant.hash,
        })
    });
    Ok(())
}

/// Does `each` to the regular files at and below a path. An error is the result where the path is that file, else the
/// file is reported as skipped.
fn each_file(store: &Store, path: &Name, emit: Emit<'_>, each: Each<'_>) -> Result<()> {
    let top = PathBuf::from(path.clone());
    let mut failed = Ok(());
    walk(store, &top, &mut |path: &Path, found: Result<Attr>| {
        let name = || Name::from(path);
        let done = match found {
            Ok(attr) if attr.kind == Kind::File => {
                each(attr, &mut || emit(Reply::At { path: name() }))
            }
            Ok(attr) if attr.kind == Kind::Dir => match store.lost_directory(attr.ino) {
                Ok(Some(status)) => Ok(status),
                _ => return true,
            },
            Ok(_) => return true,
            Err(e) => Err(e),
        };
        match done {
            Ok(status) => emit(Reply::File {
                path: name(),
                status,
            }),
            Err(Error::NotFound) if path != top => true, // gone meanwhile
            Err(e) if path == top => {
                failed = Err(e);
                false
            }
            Err(e) => emit(Reply::Skipped {
                path: name(),
                what: e.to_string(),
            }),
        }
    })?;
    failed
}
