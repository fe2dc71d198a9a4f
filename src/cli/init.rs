//! `init`: makes a directory a store.

use serde_json::json;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::session::is_root;
use super::ui::{Ui, quoted};
use crate::store;
use crate::store::outside::{self, There};

/// Runs the verb.
pub(super) fn run(args: &args::Init, ui: &mut Ui) -> Outcome {
    let io = |e| Failure::io(&args.store, &e);
    let whole = std::path::absolute(&args.store).map_err(io)?;
    let failure = |what: &str| Failure::new(Code::Error, &args.store, what);
    if let Ok(place) = Place::of(&whole)
        && !(is_root(&place) && store::is_interrupted(&whole))
    {
        let what = if place.mount.is_none() && is_root(&place) {
            "is a store already".to_owned()
        } else {
            format!("lies in the store {}", quoted(&place.store))
        };
        return Err(failure(&what));
    }
    match outside::what_is_there(&whole).map_err(io)? {
        There::Dir | There::Nothing => {}
        There::DeadMount => return Err(failure("is a mount whose daemon has ended")),
        There::Other => return Err(failure("not a directory")),
    }
    if args.dry_run {
        ui.note(&format!("would make {} a store", quoted(&args.store)));
        return Ok(Code::Ok);
    }
    outside::make_dirs(&whole).map_err(io)?;
    let adopted = store::init(&whole).map_err(|e| Failure::store(&args.store, &e))?;
    let escaped = adopted.escaped;
    if ui.json() {
        ui.value(&json!({ "escaped": escaped }));
    }
    if escaped > 0 {
        let what = "names end in .holo or .holo~ and were escaped";
        ui.note(&format!("{escaped} {what}"));
    }
    ui.detail(&format!("{} is a store now", quoted(&args.store)));
    Ok(Code::Ok)
}
