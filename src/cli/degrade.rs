//! `degrade`: what a picture is when only some of its chunks are left.

mod levels;

use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use super::args;
use super::content::OpenFile;
use super::exit::{Code, Failure, Outcome};
use super::interrupt;
use super::output::Target;
use super::place::Place;
use super::session;
use super::ui::{JsonPath, Ui, quoted};
use crate::codec::{self, CodecError, Medium};
use crate::hologram::Profile;
use crate::store::walk::{Held, find};
use crate::store::{Error, Kind, State, outside};
use levels::{Levels, NoLevels};

/// Largest file that is taken into memory.
const MOST: u64 = 1 << 30;

/// So many of so many.
#[derive(Debug, Clone, Copy, Serialize)]
struct Of {
    used: usize,
    total: usize,
}

/// What is left, and how good it is.
#[derive(Debug, Serialize)]
struct Left {
    codec: &'static str,
    exact: bool,
    quality_db: Option<f64>,
    layers: Of,
    chunks: Of,
    #[serde(skip)]
    content: Vec<u8>,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Degraded<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(flatten)]
    left: &'a Left,
}

/// Runs the verb.
pub(super) fn run(args: &args::Degrade, ui: &mut Ui) -> Outcome {
    let target = Target::of(&args.output, args.overwrite)?;
    let profile = profile(args)?;
    interrupt::tidy();
    ui.at(&args.file);
    let left = match Place::of(&args.file) {
        Ok(place) if !place.path.starts_with(".holofs") => stored(args, &place, profile)?,
        Err(failure) if failure.code != Code::NoStore => return Err(failure),
        // In no store, or what a mount shows of itself: a file like others.
        _ => encoded(args, &ordinary(&args.file)?, profile)?,
    };
    if interrupt::seen() {
        return Err(Failure::interrupted());
    }
    let out = &args.output;
    target.fill(|file| {
        let written = file.write_all(&left.content);
        written.map_err(|e| Failure::io(out, &e))
    })?;
    if ui.json() {
        ui.value(&Degraded {
            path: out.as_path().into(),
            left: &left,
        });
    } else {
        let quality = match left.quality_db {
            _ if left.exact => "exact".to_owned(),
            Some(db) => format!("{db:.1} dB"),
            None => "of unknown quality".to_owned(),
        };
        let Left { layers, chunks, .. } = &left;
        ui.line(&format!(
            "{}: {quality}, {} of {} layers, {} of {} chunks",
            quoted(out),
            layers.used,
            layers.total,
            chunks.used,
            chunks.total
        ));
    }
    Ok(Code::Ok)
}

/// The profile to encode with: the one asked for, with its protection spread over the number of chunks asked for.
fn profile(args: &args::Degrade) -> Result<Profile, Failure> {
    let parsed = args.profile.as_deref().map(str::parse::<Profile>);
    let profile = match parsed {
        None | Some(Err(_)) => Profile::default(), // `auto`: a picture gets this one
        Some(Ok(profile)) => profile,
    };
    let Some(chunks) = args.of else {
        return Ok(profile);
    };
    let share = u16::from(profile.need()) * u16::from(chunks);
    let need = share.div_ceil(profile.chunks().into()).max(1);
    let scaled = u8::try_from(need)
        .ok()
        .and_then(|need| Profile::of(need, chunks));
    scaled.ok_or_else(|| {
        let what = format!("{profile} cannot be had of {chunks} chunks");
        Failure::new(Code::Usage, &args.file, what)
    })
}

/// Refuses to keep more chunks than there are.
fn check(args: &args::Degrade, chunks: usize) -> Result<(), Failure> {
    if usize::from(args.keep) <= chunks {
        return Ok(());
    }
    let what = format!("--keep {}, and there are {chunks} chunks", args.keep);
    Err(Failure::new(Code::Usage, &args.file, what))
}

/// Nothing can be seen of it.
fn nothing(args: &args::Degrade, need: usize) -> Failure {
    let chunks = if args.keep == 1 { "chunk" } else { "chunks" };
    let what = format!("nothing is left of it with {} {chunks}", args.keep);
    let hint = format!("with {need} all of it is there");
    Failure::new(Code::Error, &args.file, what).hint(&hint)
}

/// A file in a store: its own layers where it is encoded as a picture, and neither profile nor number is asked for.
fn stored(args: &args::Degrade, place: &Place, profile: Profile) -> Result<Left, Failure> {
    let fail = |e: Error| Failure::store(&args.file, &e);
    let chosen = args.profile.is_some() || args.of.is_some();
    if !chosen && let Some(left) = own_layers(args, place)? {
        return Ok(left);
    }
    let store = session::open_taking(place, false)?;
    let held = find(&store, &place.path).map_err(fail)?;
    regular(args, &held)?;
    let content = content(&held).map_err(fail)?;
    drop(held);
    session::close(place, &store)?;
    encoded(args, &content, profile)
}

/// Refuses directories and the like.
fn regular(args: &args::Degrade, held: &Held<'_>) -> Result<(), Failure> {
    if held.attr.kind == Kind::File {
        return Ok(());
    }
    Err(Failure::new(Code::Error, &args.file, "not a regular file"))
}

/// What the chunks of an encoded picture give; `None` for a file that is not encoded as one.
fn own_layers(args: &args::Degrade, place: &Place) -> Result<Option<Left>, Failure> {
    let fail = |e: Error| Failure::store(&args.file, &e);
    let store = session::open_seen(place, args.keep.into())?;
    let held = find(&store, &place.path).map_err(fail)?;
    regular(args, &held)?;
    let status = store.status(held.ino()).map_err(fail)?;
    let codec = codec::by_name(&status.codec).filter(|codec| codec.medium() != Medium::Other);
    let described = store.describe(held.ino()).map_err(fail)?;
    let (Some(codec), Some(object)) = (codec, described) else {
        return Ok(None);
    };
    check(args, status.chunks.total.into())?;
    let lost = || nothing(args, status.chunks.need.into());
    if status.state == State::Lost {
        return Err(lost());
    }
    let content = match content(&held) {
        Err(Error::Damaged { .. }) => return Err(lost()),
        content => content.map_err(fail)?,
    };
    // Reading may have met more damage than was known.
    let status = store.status(held.ino()).map_err(fail)?;
    let have = status.chunks.have;
    let layers = object.layers.iter();
    let readable = layers.take_while(|layer| u16::from(layer.need) <= have);
    let left = Left {
        codec: codec.name(),
        exact: status.state == State::Exact,
        quality_db: status.quality_db,
        layers: Of {
            used: readable.count(),
            total: object.layers.len(),
        },
        chunks: Of {
            used: have.into(),
            total: status.chunks.total.into(),
        },
        content,
    };
    drop(held);
    session::close(place, &store)?;
    Ok(Some(left))
}

/// The content of a file in a store.
fn content(held: &Held<'_>) -> Result<Vec<u8>, Error> {
    if held.attr.size > MOST {
        return Err(too_large());
    }
    let mut content = Vec::new();
    OpenFile::reading(held.store(), held.ino())?.read(0, held.attr.size, &mut |_, piece| {
        content.extend_from_slice(piece);
        Ok::<_, Error>(!interrupt::seen())
    })?;
    Ok(content)
}

fn too_large() -> Error {
    std::io::Error::from(std::io::ErrorKind::FileTooLarge).into()
}

/// The content of an ordinary file.
fn ordinary(path: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |e: std::io::Error| Failure::io(path, &e);
    let mut content = Vec::new();
    let mut file = outside::reader(path).map_err(fail)?.take(MOST + 1);
    file.read_to_end(&mut content).map_err(fail)?;
    if content.len() as u64 > MOST {
        return Err(Failure::store(path, &too_large()));
    }
    Ok(content)
}

/// What the chunks give that a content would be kept in.
fn encoded(args: &args::Degrade, content: &[u8], profile: Profile) -> Result<Left, Failure> {
    check(args, profile.chunks().into())?;
    let fail = |e: &dyn std::fmt::Display| Failure::new(Code::Error, &args.file, e.to_string());
    let levels = Levels::of(content, profile, &interrupt::seen).map_err(|e| match e {
        NoLevels::NoMedium => fail(&"not a picture")
            .hint("only pictures get softer; other files are exact, or not there at all"),
        NoLevels::Codec(CodecError::Cancelled) => Failure::interrupted(),
        NoLevels::Codec(e) => fail(&e),
    })?;
    let (content, used) = match levels.with(args.keep) {
        Err(CodecError::Layer(_)) => return Err(nothing(args, profile.need().into())),
        shown => shown.map_err(|e| fail(&e))?,
    };
    let total = levels.specs.len();
    Ok(Left {
        codec: levels.codec.name(),
        exact: used == total,
        quality_db: levels.quality(used),
        layers: Of { used, total },
        chunks: Of {
            used: args.keep.into(),
            total: profile.chunks().into(),
        },
        content,
    })
}
