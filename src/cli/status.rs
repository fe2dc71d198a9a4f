//! `status`: how files are kept and whether all of them is there.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::session::Session;
use super::ui::{JsonPath, Ui, quoted, size};
use crate::integrity::scrub::{Sum, Verdict};
use crate::store::ctl::{Reply, Request};
use crate::store::{FileStatus, State};

/// One element of the array.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(flatten)]
    status: &'a FileStatus,
}

/// Runs the verb.
pub(super) fn run(args: &args::Status, ui: &mut Ui) -> Code {
    let mut code = Code::Ok;
    let mut sum = Sum::default();
    for path in &args.paths {
        match of_path(path, ui, &mut sum) {
            Ok(more) => code = code.and(more),
            Err(failure) => {
                ui.failure(&failure);
                code = code.and(failure.code);
            }
        }
    }
    if ui.json() {
        ui.end_rows();
    }
    code.and(sum.verdict().into())
}

/// The state of a word and its colour.
pub(super) fn word(state: State) -> (&'static str, bool) {
    match state {
        State::Plain => ("plain", true),
        State::Pending => ("pending", true),
        State::Exact => ("exact", true),
        State::Degraded => ("degraded", false),
        State::Lost => ("lost", false),
    }
}

/// Prints all files at and below one path.
fn of_path(given: &Path, ui: &mut Ui, sum: &mut Sum) -> Outcome {
    let place = Place::of(given)?;
    let mut session = Session::reading(&place)?;
    let mut code = Code::Ok;
    let request = Request::Status {
        path: place.path.as_path().into(),
    };
    session.ask(&place, &request, &mut |reply| match reply {
        Reply::File { path, status } => {
            sum.add(&status);
            let path = place.shown(&PathBuf::from(path));
            print(ui, &path, &status);
        }
        Reply::Skipped { path, what } => {
            ui.warn(&place.shown(&PathBuf::from(path)), &what);
            code = Code::Skipped;
        }
        Reply::At { path } => ui.at(&PathBuf::from(path)),
        _ => {}
    })?;
    session.close(&place)?;
    Ok(code)
}

/// Prints one file.
pub(super) fn print(ui: &mut Ui, path: &Path, status: &FileStatus) {
    if ui.json() {
        let path = JsonPath::from(path);
        ui.row(&Row { path, status });
        return;
    }
    let (state, good) = word(status.state);
    let state = format!("{state:8}");
    let chunks = match status.chunks.total {
        0 => String::new(),
        total => format!("{}/{total}", status.chunks.have),
    };
    let line = format!(
        "{} {:8} {:>7} {:>9} {:>9}  {}",
        ui.tint(&state, good && Verdict::of(status) == Verdict::Clean),
        status.codec,
        chunks,
        size(status.size),
        size(status.stored),
        quoted(path)
    );
    ui.line(&line);
    for damage in &status.damage {
        ui.detail(&format!("    {damage}"));
    }
}

/// The state of exactly one regular file.
pub(super) fn of_file(place: &Place) -> Result<FileStatus, Failure> {
    let mut session = Session::reading(place)?;
    let mut found = None;
    let request = Request::Status {
        path: place.path.as_path().into(),
    };
    session.ask(place, &request, &mut |reply| {
        if let Reply::File { path, status } = reply
            && PathBuf::from(path) == place.path
        {
            found = Some(status);
        }
    })?;
    session.close(place)?;
    found.ok_or_else(|| Failure::new(Code::Error, &place.given, "not a regular file"))
}
