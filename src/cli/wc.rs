//! `wc`: counts lines, words and bytes of files in a store.

mod count;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure};
use super::place::Place;
use super::repeats::pass;
use super::session;
use super::source::{Source as _, Stored, failure};
use super::ui::{JsonPath, Ui, quoted};
use crate::store::Kind;
use crate::store::walk::find;
use count::Counting;

/// What is counted of one file, or of all.
#[derive(Debug, Clone, Copy, Serialize)]
struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chars: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// One element of the array.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    #[serde(flatten)]
    counts: Counts,
}

impl Counts {
    /// Those that are asked for.
    fn chosen(args: &args::Wc, all: [u64; 4]) -> Self {
        let usual = !(args.lines || args.words || args.chars || args.bytes);
        let [lines, words, chars, bytes] = all;
        Self {
            lines: (args.lines || usual).then_some(lines),
            words: (args.words || usual).then_some(words),
            chars: args.chars.then_some(chars),
            bytes: (args.bytes || usual).then_some(bytes),
        }
    }

    fn columns(&self) -> impl Iterator<Item = u64> {
        [self.lines, self.words, self.chars, self.bytes]
            .into_iter()
            .flatten()
    }

    fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            lines: sum(self.lines, other.lines),
            words: sum(self.words, other.words),
            chars: sum(self.chars, other.chars),
            bytes: sum(self.bytes, other.bytes),
        }
    }

    fn line(&self, width: usize, name: Option<&Path>) -> String {
        let numbers: Vec<String> = self.columns().map(|n| format!("{n:>width$}")).collect();
        let mut line = numbers.join(" ");
        if let Some(name) = name {
            line.push(' ');
            line.push_str(&quoted(name));
        }
        line
    }
}

/// Runs the verb.
pub(super) fn run(args: &args::Wc, ui: &mut Ui) -> Code {
    let mut code = Code::Ok;
    let mut counted: Vec<(PathBuf, Counts)> = Vec::new();
    let mut bytes = 0_u64;
    for path in &args.paths {
        ui.at(path);
        match of_path(args, path) {
            Ok((counts, size)) => {
                counted.push((path.clone(), counts));
                bytes = bytes.saturating_add(size);
            }
            Err(failure) => {
                ui.failure(&failure);
                code = code.and(failure.code);
            }
        }
    }
    if ui.json() {
        for (path, counts) in &counted {
            let path = path.as_path().into();
            let counts = *counts;
            ui.row(&Row { path, counts });
        }
        ui.end_rows();
        return code;
    }
    let none = Counts::chosen(args, [0; 4]);
    let all = counted.iter().map(|(_, counts)| *counts);
    let total = all.fold(none, Counts::and);
    // Columns as wide as the most that can be in them, but for a single number.
    let alone = args.paths.len() == 1 && total.columns().count() == 1;
    let width = if alone { 1 } else { bytes.to_string().len() };
    for (path, counts) in &counted {
        ui.line(&counts.line(width, Some(path)));
    }
    if args.paths.len() > 1 {
        ui.line(&total.line(width, Some(Path::new("total"))));
    }
    code
}

/// Counts one file; also its size.
fn of_path(args: &args::Wc, given: &Path) -> Result<(Counts, u64), Failure> {
    let place = Place::of(given)?;
    let store = session::open_reading(&place)?;
    let held = find(&store, &place.path).map_err(|e| Failure::store(given, &e))?;
    if held.attr.kind != Kind::File {
        return Err(Failure::new(Code::Error, given, "not a regular file"));
    }
    let Counts {
        lines,
        words,
        chars,
        bytes: _,
    } = Counts::chosen(args, [0; 4]);
    let (words, chars) = (words.is_some(), chars.is_some());
    let mut counting = Counting {
        words,
        chars,
        ..Counting::default()
    };
    let counted = Stored::open(&store, held.ino()).and_then(|source| {
        if lines.is_some() || words || chars {
            pass(&source, &mut counting)?;
        }
        Ok(source.size())
    });
    let size = counted.map_err(|e| failure(&store, held.ino(), given, &e))?;
    drop(held);
    session::close(&place, &store)?;
    let count = counting.counter;
    let all = [count.lines, count.words, count.chars, size];
    Ok((Counts::chosen(args, all), size))
}
