//! `scrub`: checks every stored unit and names damaged files on standard output.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::args;
use super::exit::{Code, Outcome};
use super::place::Place;
use super::session::Session;
use super::status;
use super::ui::{Ui, quoted};
use crate::integrity::scrub::{Sum, Verdict};
use crate::store::ctl::{Reply, Request};

/// Runs the verb.
pub(super) fn run(args: &args::Scrub, ui: &mut Ui) -> Outcome {
    let place = Place::of(&args.path)?;
    let mut session = Session::reading(&place)?;
    let (mut sum, mut skipped) = (Sum::default(), Code::Ok);
    let request = Request::Scrub {
        path: place.path.as_path().into(),
    };
    let asked = session.ask(&place, &request, &mut |reply| match reply {
        Reply::File { path, status } => {
            let path = place.shown(&PathBuf::from(path));
            let verdict = sum.add(&status);
            if verdict != Verdict::Clean && ui.json() {
                status::print(ui, &path, &status);
            } else if verdict != Verdict::Clean {
                ui.line(&quoted(&path));
                let found = status.damage.join("; ");
                let word = match verdict {
                    Verdict::Clean | Verdict::Recoverable => "recoverable",
                    Verdict::Reduced => "reduced quality",
                    Verdict::Lost => "lost",
                };
                ui.detail(&format!("    {word}: {found}"));
            }
        }
        Reply::Skipped { path, what } => {
            ui.warn(&place.shown(&PathBuf::from(path)), &what);
            skipped = Code::Skipped;
        }
        Reply::At { path } => ui.at(&PathBuf::from(path)),
        _ => {}
    });
    if ui.json() {
        ui.end_rows();
    }
    asked?;
    session.close(&place)?;
    ui.note(&summary(&sum));
    Ok(skipped.and(sum.verdict().into()))
}

/// The counts in words.
fn summary(sum: &Sum) -> String {
    let mut text = format!("{} files checked", sum.files - sum.unprotected);
    for (count, what) in [
        (sum.recoverable, "damaged but recoverable"),
        (sum.reduced, "at reduced quality only"),
        (sum.lost, "lost"),
        (sum.unprotected, "plain, which nothing protects"),
    ] {
        if count > 0 {
            _ = write!(text, ", {count} {what}"); // a String takes everything
        }
    }
    text
}
