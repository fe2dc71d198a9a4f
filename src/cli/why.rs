//! `why`: the recorded reason for the way a file is kept.

use serde::Serialize;

use super::args;
use super::exit::{Code, Outcome};
use super::place::Place;
use super::status::{of_file, word};
use super::ui::{JsonPath, Ui, quoted};
use crate::store::State;

/// The answer.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    state: State,
    codec: &'a str,
    reason: &'a str,
}

/// Runs the verb.
pub(super) fn run(args: &args::Why, ui: &mut Ui) -> Outcome {
    let place = Place::of(&args.file)?;
    let status = of_file(&place)?;
    if ui.json() {
        let path = JsonPath::from(args.file.as_path());
        let (state, codec, reason) = (status.state, &*status.codec, &*status.reason);
        ui.value(&Answer {
            path,
            state,
            codec,
            reason,
        });
    } else {
        let name = quoted(&args.file);
        let (state, _) = word(status.state);
        ui.line(&format!(
            "{name}: {state} ({}): {}",
            status.codec, status.reason
        ));
    }
    Ok(Code::Ok)
}
