//! `cat`: writes files of a store to standard output.

use std::path::Path;

use super::args;
use super::content::OpenFile;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::session;
use super::ui::Ui;
use crate::store::walk::find;
use crate::store::{Error, Kind, State, Store};

/// Runs the verb.
pub(super) fn run(args: &args::Cat, ui: &mut Ui) -> Code {
    let mut code = Code::Ok;
    for path in &args.paths {
        match of_path(args, path, ui) {
            Ok(more) => code = code.and(more),
            Err(failure) => {
                ui.flush();
                ui.failure(&failure);
                code = code.and(failure.code);
            }
        }
    }
    code
}

/// Writes one file.
fn of_path(args: &args::Cat, given: &Path, ui: &mut Ui) -> Outcome {
    let place = Place::of(given)?;
    let store = session::open_taking(&place, args.allow_degraded)?;
    let fail = |e: Error| Failure::store(given, &e);
    let held = find(&store, &place.path).map_err(fail)?;
    if held.attr.kind != Kind::File {
        return Err(Failure::new(Code::Error, given, "not a regular file"));
    }
    let copied = OpenFile::reading(&store, held.ino()).and_then(|file| {
        file.read(0, held.attr.size, &mut |_, piece| {
            ui.bytes(piece);
            Ok::<_, Error>(true)
        })
    });
    let code = judge(&store, held.ino(), copied).map_err(|(code, e)| {
        let mut failure = fail(e);
        failure.code = code;
        if code == Code::Reduced {
            failure = failure.hint("--allow-degraded writes it at reduced quality");
        }
        failure
    })?;
    if code == Code::Reduced {
        ui.warn(given, "at reduced quality");
    }
    drop(held);
    session::close(&place, &store)?;
    Ok(code)
}

/// What copying a file's content out means for the exit code: an error of damage is told by what is left.
pub(super) fn judge(
    store: &Store,
    ino: u64,
    copied: Result<(), Error>,
) -> Result<Code, (Code, Error)> {
    match copied {
        Ok(()) if is_degraded(store, ino) => Ok(Code::Reduced),
        Ok(()) => Ok(Code::Ok),
        Err(e) => Err((blame(store, ino, &e), e)),
    }
}

/// The exit code for a file that could not be read.
pub(super) fn blame(store: &Store, ino: u64, e: &Error) -> Code {
    match e {
        Error::Damaged { .. } if is_degraded(store, ino) => Code::Reduced,
        Error::Damaged { .. } | Error::Format { .. } => Code::Lost,
        _ => Code::Error,
    }
}

fn is_degraded(store: &Store, ino: u64) -> bool {
    store.status(ino).is_ok_and(|s| s.state == State::Degraded)
}
