//! `settle`: encodes now whatever waits to be encoded.

use std::path::PathBuf;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::session::{Session, is_root};
use super::ui::{Ui, quoted};
use crate::store::ctl::{Reply, Request};
use crate::store::{Settled, State};

/// Runs the verb.
pub(super) fn run(args: &args::Settle, ui: &mut Ui) -> Outcome {
    let place = Place::of(&args.path)?;
    if !is_root(&place) {
        let what = "neither a store nor a mount point";
        return Err(Failure::new(Code::Error, &args.path, what));
    }
    if args.dry_run {
        return waiting(&place, ui);
    }
    let mut session = Session::writing(&place)?;
    let settled = settle(&mut session, &place, ui)?;
    session.close(&place)?;
    Ok(report(settled, ui))
}

/// Has a store settled.
pub(super) fn settle(
    session: &mut Session,
    place: &Place,
    ui: &mut Ui,
) -> Result<Settled, Failure> {
    let mut settled = Settled::default();
    session.ask(place, &Request::Settle, &mut |reply| match reply {
        Reply::At { path } => ui.at(&PathBuf::from(path)),
        Reply::Settled(done) => settled = done,
        _ => {}
    })?;
    Ok(settled)
}

/// Prints what was done.
pub(super) fn report(settled: Settled, ui: &mut Ui) -> Code {
    if ui.json() {
        ui.value(&settled);
    }
    let Settled {
        encoded,
        kept,
        failed,
    } = settled;
    ui.note(&format!("{encoded} files encoded, {kept} kept plain"));
    if failed > 0 {
        ui.note(&format!(
            "{failed} files could not be encoded and stay plain"
        ));
        return Code::Skipped;
    }
    Code::Ok
}

/// Names the files that a settle would encode.
fn waiting(place: &Place, ui: &mut Ui) -> Outcome {
    let mut session = Session::reading(place)?;
    let request = Request::Status {
        path: place.path.as_path().into(),
    };
    session.ask(place, &request, &mut |reply| {
        if let Reply::File { path, status } = reply
            && status.state == State::Pending
        {
            ui.line(&quoted(&place.shown(&PathBuf::from(path))));
        }
    })?;
    session.close(place)?;
    Ok(Code::Ok)
}
