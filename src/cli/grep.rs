//! `grep`: finds lines of files in a store.

mod pattern;
mod search;

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::repeats::pass;
use super::session;
use super::source::{Stored, failure, is_binary};
use super::ui::{JsonPath, Ui, quoted};
use crate::store::walk::{find, walk};
use crate::store::{Kind, Result, Store};
use pattern::Pattern;
use search::{Line, Search, Wanted};

/// One element of the array.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(flatten)]
    found: Found<'a>,
}

/// What was found in a file.
#[derive(Serialize)]
#[serde(untagged)]
enum Found<'a> {
    /// A line.
    Line {
        line: u64,
        offset: u64,
        text: Cow<'a, str>,
        /// Bytes of the line that the text leaves out.
        #[serde(skip_serializing_if = "is_nothing")]
        more: u64,
    },
    /// So many lines.
    Count { count: u64 },
    /// Some line of what is no text.
    Binary { binary: bool },
    /// Some line.
    Any {},
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_nothing(n: &u64) -> bool {
    *n == 0
}

/// Runs the verb.
pub(super) fn run(args: &args::Grep, ui: &mut Ui) -> Outcome {
    let pattern = Pattern::new(&args.pattern, args.ignore_case);
    let mut grep = Grep {
        pattern: pattern.map_err(|what| Failure {
            code: Code::Usage,
            file: None,
            what,
            hint: None,
        })?,
        args,
        ui,
        named: args.paths.len() > 1,
        found: false,
        code: Code::Ok,
    };
    for path in &args.paths {
        if let Err(failure) = grep.path(path) {
            grep.failed(&failure);
        }
    }
    let (found, code) = (grep.found, grep.code);
    if ui.json() {
        ui.end_rows();
    }
    Ok(match (code, found) {
        (Code::Ok, false) => Code::Error,
        (code, _) => code,
    })
}

struct Grep<'a> {
    pattern: Pattern,
    args: &'a args::Grep,
    ui: &'a mut Ui,
    /// Whether lines are printed with the name of their file.
    named: bool,
    found: bool,
    code: Code,
}

impl Grep<'_> {
    /// Names what could not be searched; the rest goes on. 1 says that nothing was found, and nothing else.
    fn failed(&mut self, failure: &Failure) {
        self.ui.flush();
        self.ui.failure(failure);
        let code = match failure.code {
            Code::Error => Code::Skipped,
            code => code,
        };
        self.code = self.code.and(code);
    }

    /// All files at and below one path.
    fn path(&mut self, given: &Path) -> std::result::Result<(), Failure> {
        let place = Place::of(given)?;
        let store = session::open_reading(&place)?;
        let kind = find(&store, &place.path).map(|held| held.attr.kind);
        match kind.map_err(|e| Failure::store(given, &e))? {
            Kind::File => {}
            Kind::Dir => self.named = true,
            _ => return Err(Failure::new(Code::Error, given, "not a regular file")),
        }
        let walked = walk(&store, &place.path, &mut |path, attr| {
            let path = place.shown(path);
            match attr {
                Ok(attr) if attr.kind == Kind::File => {
                    self.ui.at(&path);
                    if let Err(e) = self.file(&store, attr.ino, &path) {
                        self.failed(&failure(&store, attr.ino, &path, &e));
                    }
                }
                Ok(_) => {}
                Err(e) => self.failed(&Failure::store(&path, &e)),
            }
            true
        });
        walked.map_err(|e| Failure::store(given, &e))?;
        session::close(&place, &store)
    }

    /// One file.
    fn file(&mut self, store: &Store, ino: u64, path: &Path) -> Result<()> {
        let source = Stored::open(store, ino)?;
        let (args, ui) = (self.args, &mut *self.ui);
        let wanted = match args {
            args if args.files_with_matches => Wanted::Any,
            args if args.count => Wanted::Count,
            _ => Wanted::Lines,
        };
        let named = self.named;
        let binary = wanted == Wanted::Lines && is_binary(&source)?;
        let mut show = |line: &Line<'_>| {
            if ui.json() {
                let found = if line.binary {
                    Found::Binary { binary: true }
                } else {
                    Found::Line {
                        line: line.number,
                        offset: line.offset,
                        text: String::from_utf8_lossy(line.text),
                        more: line.more,
                    }
                };
                let path = path.into();
                ui.row(&Row { path, found });
            } else if line.binary {
                ui.line(&format!("{}: binary file matches", quoted(path)));
            } else {
                ui.bytes(&printed(line, named.then_some(path), args.line_number));
            }
            !line.binary
        };
        let mut search = Search::new(&mut self.pattern, wanted, binary, &mut show);
        pass(&source, &mut search)?;
        search.finish()?;
        let matched = search.matched;
        self.found |= matched > 0;
        match wanted {
            Wanted::Lines => {}
            Wanted::Any if matched == 0 => {}
            _ if ui.json() => {
                let found = match wanted {
                    Wanted::Count => Found::Count { count: matched },
                    _ => Found::Any {},
                };
                let path = path.into();
                ui.row(&Row { path, found });
            }
            Wanted::Any => ui.line(&quoted(path)),
            Wanted::Count if named => ui.line(&format!("{}:{matched}", quoted(path))),
            Wanted::Count => ui.line(&matched.to_string()),
        }
        Ok(())
    }
}

/// A line as it is printed.
fn printed(line: &Line<'_>, path: Option<&Path>, number: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.text.len() + 64);
    if let Some(path) = path {
        out.extend_from_slice(quoted(path).as_bytes());
        out.push(b':');
    }
    if number {
        out.extend_from_slice(format!("{}:", line.number).as_bytes());
    }
    out.extend_from_slice(line.text);
    if line.more > 0 {
        out.extend_from_slice(format!(" [{} more bytes]", line.more).as_bytes());
    }
    out.push(b'\n');
    out
}
