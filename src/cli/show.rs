//! `show`: describes what is stored of a file, and draws it.

mod picture;

use std::path::Path;

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::interrupt;
use super::ls;
use super::output::Target;
use super::place::Place;
use super::session;
use super::status::word;
use super::ui::{JsonPath, Ui, quoted, size};
use crate::integrity::scrub::Verdict;
use crate::store::walk::find;
use crate::store::{Described, Error, FileStatus, Kind};
use picture::Picture;

/// The answer as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    ino: u64,
    #[serde(flatten)]
    status: &'a FileStatus,
    object: Option<&'a Described>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<Drawn<'a>>,
}

/// A picture that was written.
#[derive(Serialize)]
struct Drawn<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(flatten)]
    picture: &'a Picture,
}

/// Runs the verb.
pub(super) fn run(args: &args::Show, ui: &mut Ui) -> Outcome {
    let place = Place::of(&args.file)?;
    let out = args.png.as_deref();
    let target = out.map(|out| Target::of(out, args.overwrite)).transpose()?;
    let store = session::open_reading(&place)?;
    let fail = |e: Error| Failure::store(&args.file, &e);
    let held = find(&store, &place.path).map_err(fail)?;
    if held.attr.kind != Kind::File {
        let (_, kind) = ls::kind(held.attr.kind);
        let what = format!("a {kind}: kept as itself");
        return Err(Failure::new(Code::Error, &args.file, what));
    }
    let status = store.status(held.ino()).map_err(fail)?;
    let described = store.describe(held.ino()).map_err(fail)?;
    let mut drawn: Option<(&Path, Picture)> = None;
    if let (Some(out), Some(target)) = (out, target) {
        interrupt::tidy();
        ui.at(&args.file);
        let picture = picture::of(&store, held.ino(), &args.file, &status)?;
        target.fill(|file| {
            let written = file.write_all(&picture.png);
            written.map_err(|e| Failure::io(out, &e))
        })?;
        drawn = Some((out, picture));
    }
    if ui.json() {
        ui.value(&Shown {
            path: args.file.as_path().into(),
            ino: held.attr.ino,
            status: &status,
            object: described.as_ref(),
            picture: drawn.as_ref().map(|(out, picture)| Drawn {
                path: (*out).into(),
                picture,
            }),
        });
        return Ok(Code::Ok);
    }
    let (state, good) = word(status.state);
    let whole = Verdict::of(&status) == Verdict::Clean;
    let mut field = |name: &str, value: &str| ui.line(&format!("{name:10} {value}"));
    field("file", &quoted(&args.file));
    field(
        "size",
        &format!("{} ({} bytes)", size(status.size), status.size),
    );
    field(
        "stored",
        &format!("{} ({} bytes)", size(status.stored), status.stored),
    );
    field("modified", &format!("{} UTC", ls::date(held.attr.mtime)));
    field("inode", &held.attr.ino.to_string());
    field("codec", &status.codec);
    if status.chunks.total > 0 {
        let c = status.chunks;
        let text = format!(
            "{} of {}, any {} are enough for every byte",
            c.have, c.total, c.need
        );
        field("chunks", &text);
    }
    if let Some(db) = status.quality_db {
        field("quality", &format!("{db:.1} dB"));
    }
    if let Some(object) = &described {
        for (i, layer) in object.layers.iter().enumerate() {
            let text = format!("{i}: {}, from any {} chunks", size(layer.bytes), layer.need);
            field("layer", &text);
        }
        field("layout", object.layout);
        field("unit", &size(object.unit.into()));
        if object.holes > 0 {
            field("holes", &object.holes.to_string());
        }
        field("hash", &object.hash);
        field("set", &object.set);
    }
    for damage in &status.damage {
        field("damage", damage);
    }
    field("reason", &status.reason);
    if let Some((out, picture)) = &drawn {
        field("picture", &format!("{}: {}", quoted(out), picture.words()));
    }
    let state = ui.tint(state, good && whole);
    ui.line(&format!("{:10} {state}", "state"));
    drop(held);
    session::close(&place, &store)?;
    Ok(Code::Ok)
}
