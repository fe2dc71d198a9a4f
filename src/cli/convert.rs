//! `convert`: encodes files anew with another codec, profile or layout, or directories as one.

use std::path::{Path, PathBuf};

use super::args;
use super::exit::{Code, Outcome};
use super::place::Place;
use super::session::Session;
use super::status;
use super::ui::Ui;
use crate::store::ctl::{Reply, Request};

/// Runs the verb.
pub(super) fn run(args: &args::Convert, ui: &mut Ui) -> Code {
    let mut code = Code::Ok;
    for path in &args.paths {
        match of_path(args, path, ui) {
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
    code
}

/// Converts all files at and below one path, and prints how they are kept now.
fn of_path(args: &args::Convert, given: &Path, ui: &mut Ui) -> Outcome {
    let place = Place::of(given)?;
    let path = place.path.as_path().into();
    let (mut session, request) = if args.dry_run {
        (Session::reading(&place)?, Request::Status { path })
    } else if args.solid {
        (Session::writing(&place)?, Request::Freeze { path })
    } else {
        let request = Request::Convert {
            path,
            codec: args.codec.clone(),
            profile: args.profile.clone(),
            layout: args.layout.clone(),
        };
        (Session::writing(&place)?, request)
    };
    let mut code = Code::Ok;
    session.ask(&place, &request, &mut |reply| match reply {
        Reply::File { path, status } => {
            status::print(ui, &place.shown(&PathBuf::from(path)), &status);
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
