//! `dict`: makes, lists and removes dictionaries that files share.

use std::path::PathBuf;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::session::Session;
use super::ui::{Ui, size};
use crate::store::DictionaryStatus;
use crate::store::ctl::{Reply, Request};

/// Runs the verb.
pub(super) fn run(args: &args::Dict, ui: &mut Ui) -> Outcome {
    let (place, request, writes) = match &args.what {
        args::DictVerb::Build { samples } => {
            let places: Result<Vec<Place>, Failure> =
                samples.iter().map(|s| Place::of(s)).collect();
            let places = places?;
            let paths = places.iter().map(|place| place.path.as_path().into());
            let paths = paths.collect();
            let mut rest = places.into_iter();
            let Some(first) = rest.next() else {
                return Ok(Code::Ok);
            };
            if let Some(other) = rest.find(|place| place.store != first.store) {
                let what = "samples of one dictionary lie in one store";
                return Err(Failure::new(Code::Usage, &other.given, what));
            }
            (first, Request::Learn { paths }, true)
        }
        args::DictVerb::List { store } => {
            let (collect, dry_run) = (false, false);
            let request = Request::Dictionaries { collect, dry_run };
            (Place::of(store)?, request, false)
        }
        args::DictVerb::Gc { store, dry_run } => {
            let (collect, dry_run) = (true, *dry_run);
            let request = Request::Dictionaries { collect, dry_run };
            (Place::of(store)?, request, true)
        }
    };
    let mut session = if writes {
        Session::writing(&place)?
    } else {
        Session::reading(&place)?
    };
    let mut code = Code::Ok;
    let asked = session.ask(&place, &request, &mut |reply| match reply {
        Reply::Dictionary(status) => {
            if !status.intact {
                code = Code::Lost;
            }
            print(ui, &status);
        }
        Reply::At { path } => ui.at(&PathBuf::from(path)),
        _ => {}
    });
    if ui.json() {
        ui.end_rows();
    }
    asked?;
    session.close(&place)?;
    Ok(code)
}

fn print(ui: &mut Ui, status: &DictionaryStatus) {
    if ui.json() {
        ui.row(status);
        return;
    }
    let state = match (status.removed, status.intact) {
        (true, _) => "unused",
        (false, true) => "intact",
        (false, false) => "missing",
    };
    let readers = if status.public { "public" } else { "private" };
    let DictionaryStatus {
        id,
        uid,
        files,
        sort,
        ..
    } = status;
    ui.line(&format!(
        "{state:8} {id}  {:>9} {:>9}  {sort} of {files} files, {readers} ones of user {uid}",
        size(status.size),
        size(status.stored),
    ));
}
