//! `variant`: gives files another content in some context, lists and removes such variants.

use std::io::{self, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::session::Session;
use super::ui::{JsonPath, Ui, quoted, size};
use crate::coding::hash::Hasher;
use crate::store::ctl::{Reply, Request};
use crate::store::{Context, RULE, outside};

/// Bytes sent at a time: as numbers of JSON they take four times as many at the worst, and lines are limited.
const PIECE: usize = 128 << 10;

/// One variant.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    context: &'a str,
    size: u64,
    hash: Option<&'a str>,
}

/// Runs the verb.
pub(super) fn run(args: &args::Variant, ui: &mut Ui) -> Outcome {
    let listing = |place: &Place| Request::Variants {
        path: place.path.as_path().into(),
    };
    let (file, request) = match &args.what {
        args::VariantVerb::List { file } => (file, None),
        args::VariantVerb::Add {
            file,
            context,
            other,
            dry_run,
        } => {
            let context = context_of(context, file)?;
            let sent = Sent::of(other)?;
            (file, (!dry_run).then_some((context, Some((other, sent)))))
        }
        args::VariantVerb::Remove {
            file,
            context,
            dry_run,
        } => {
            let context = context_of(context, file)?;
            (file, (!dry_run).then_some((context, None)))
        }
    };
    let place = Place::of(file)?;
    let (mut session, request) = match request {
        None => (Session::reading(&place)?, listing(&place)),
        Some((context, other)) => {
            let mut session = Session::writing(&place)?;
            let path = place.path.as_path().into();
            let request = if let Some((other, sent)) = other {
                sent.send(other, &place, &mut session)?;
                Request::AddVariant {
                    path,
                    context,
                    content: sent.content,
                    mtime: sent.mtime,
                }
            } else {
                Request::RemoveVariant { path, context }
            };
            (session, request)
        }
    };
    let asked = session.ask(&place, &request, &mut |reply| {
        if let Reply::Variant {
            context,
            size,
            hash,
        } = reply
        {
            print(ui, file, &context, size, hash.as_deref());
        }
    });
    if ui.json() {
        ui.end_rows();
    }
    asked?;
    session.close(&place)?;
    Ok(Code::Ok)
}

/// The name of a context that can have variants.
fn context_of(name: &str, file: &Path) -> Result<String, Failure> {
    match Context::new(name) {
        Some(context) if context.named().is_some() => Ok(name.to_owned()),
        Some(_) => {
            let failure = Failure::new(Code::Usage, file, "the default variant is the file itself");
            Err(failure.hint("write the file to change it, or name another context"))
        }
        None => {
            let what = format!("the context \"{}\" {RULE}", name.escape_debug());
            Err(Failure::new(Code::Usage, file, what))
        }
    }
}

/// What is known of a file before it is sent.
struct Sent {
    content: String,
    mtime: (i64, u32),
}

impl Sent {
    fn of(path: &Path) -> Result<Self, Failure> {
        let failed = |e: io::Error| Failure::io(path, &e);
        let mut file = outside::reader(path).map_err(failed)?;
        let meta = file.get_ref().metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(Failure::new(Code::Error, path, "no regular file"));
        }
        let since = meta.modified().map_err(failed)?.duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        let mut hasher = Hasher::default();
        pieces(&mut file, &mut |_, piece| {
            hasher.update(piece);
            Ok(())
        })
        .map_err(|e| e.of(path))?;
        Ok(Self {
            content: hasher.finish().to_string(),
            mtime: (
                i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                since.subsec_nanos(),
            ),
        })
    }

    fn send(&self, path: &Path, place: &Place, session: &mut Session) -> Result<(), Failure> {
        let mut file = outside::reader(path).map_err(|e| Failure::io(path, &e))?;
        pieces(&mut file, &mut |offset, piece| {
            let request = Request::Piece {
                content: self.content.clone(),
                offset,
                bytes: piece.to_vec(),
            };
            session.ask(place, &request, &mut |_| {})
        })
        .map_err(|e| e.of(path))
    }
}

/// Why a file was not read to its end.
enum Ended {
    Read(io::Error),
    Other(Failure),
}

impl Ended {
    fn of(self, path: &Path) -> Failure {
        match self {
            Self::Read(e) => Failure::io(path, &e),
            Self::Other(failure) => failure,
        }
    }
}

/// Takes a piece of a file and its place.
type Each<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), Failure>;

/// Calls `each` with all pieces of a file and their places, at least once.
fn pieces(file: &mut impl Read, each: Each<'_>) -> Result<(), Ended> {
    let mut piece = Vec::with_capacity(PIECE);
    let mut offset = 0;
    loop {
        piece.clear();
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let read = read.map_err(Ended::Read)? as u64;
        if read > 0 || offset == 0 {
            each(offset, &piece).map_err(Ended::Other)?;
        }
        offset += read;
        if read == 0 {
            return Ok(());
        }
    }
}

fn print(ui: &mut Ui, file: &Path, context: &str, bytes: u64, hash: Option<&str>) {
    if ui.json() {
        ui.row(&Row {
            path: JsonPath::from(file),
            context,
            size: bytes,
            hash,
        });
        return;
    }
    let hash = hash.unwrap_or("not encoded yet");
    let name = quoted(file);
    ui.line(&format!("{name}: {context:16} {:>9}  {hash}", size(bytes)));
}
