//! `ls`: lists the logical names in a store.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args;
use super::exit::{Code, Failure, Outcome};
use super::place::Place;
use super::session;
use super::ui::{JsonPath, Ui, quoted};
use crate::format::Time;
use crate::store::walk::{Held, find};
use crate::store::{Attr, Error, Kind, Store};

/// One name in JSON.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    path: JsonPath<'a>,
    kind: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: f64,
}

/// Runs the verb.
pub(super) fn run(args: &args::Ls, ui: &mut Ui) -> Outcome {
    let place = Place::of(&args.path)?;
    let store = session::open_reading(&place)?;
    let fail = |e: Error| Failure::store(&args.path, &e);
    let held = find(&store, &place.path).map_err(fail)?;
    let mut code = Code::Ok;
    if held.attr.kind == Kind::Dir {
        let mut items = store.read_dir(held.ino()).map_err(fail)?;
        items.sort_by(|a, b| a.name.cmp(&b.name));
        for item in items {
            let name = Path::new(&item.name);
            if !args.long && !ui.json() {
                ui.line(&quoted(name));
                continue;
            }
            match Held::lookup(&store, held.ino(), &item.name) {
                Ok(child) => print(&store, name, &child.attr, ui),
                Err(Error::NotFound) => {} // gone meanwhile
                Err(e) => {
                    ui.warn(&args.path.join(name), &e.to_string());
                    code = Code::Skipped;
                }
            }
        }
    } else {
        let name = place.path.file_name().map(PathBuf::from);
        print_short_or_long(args, &store, &name.unwrap_or_default(), &held.attr, ui);
    }
    if ui.json() {
        ui.end_rows();
    }
    drop(held);
    session::close(&place, &store)?;
    Ok(code)
}

/// Prints one file that was named itself.
fn print_short_or_long(args: &args::Ls, store: &Store, name: &Path, attr: &Attr, ui: &mut Ui) {
    if args.long || ui.json() {
        print(store, name, attr, ui);
    } else {
        ui.line(&quoted(name));
    }
}

/// Prints one name with its attributes.
fn print(store: &Store, name: &Path, attr: &Attr, ui: &mut Ui) {
    if ui.json() {
        #[expect(clippy::cast_precision_loss, reason = "JSON has no other numbers")]
        let mtime = attr.mtime.secs as f64 + f64::from(attr.mtime.nanos) / 1e9;
        ui.row(&Row {
            path: name.into(),
            kind: kind(attr.kind).1,
            mode: format!("{:04o}", attr.mode),
            uid: attr.uid,
            gid: attr.gid,
            size: attr.size,
            mtime,
        });
        return;
    }
    let mut line = format!(
        "{} {:>3} {:>5} {:>5} {:>12} {} {}",
        mode(attr),
        attr.nlink,
        attr.uid,
        attr.gid,
        attr.size,
        date(attr.mtime),
        quoted(name)
    );
    if attr.kind == Kind::Symlink
        && let Ok(target) = store.read_link(attr.ino)
    {
        line.push_str(" -> ");
        line.push_str(&quoted(Path::new(&target)));
    }
    ui.line(&line);
}

/// Letter and word of a kind.
pub(super) fn kind(kind: Kind) -> (char, &'static str) {
    match kind {
        Kind::File => ('-', "file"),
        Kind::Dir => ('d', "directory"),
        Kind::Symlink => ('l', "symlink"),
        Kind::Fifo => ('p', "fifo"),
        Kind::Socket => ('s', "socket"),
        Kind::Char => ('c', "character device"),
        Kind::Block => ('b', "block device"),
    }
}

/// Kind and permissions as ls(1) shows them.
fn mode(attr: &Attr) -> String {
    let mut text = String::from(kind(attr.kind).0);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = attr.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (attr.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// Date and time in UTC. The calendar is Howard Hinnant's `civil_from_days`: years begin in March, so that the leap
/// day is a year's last, and repeat every 400 years of 146,097 days.
pub(super) fn date(time: Time) -> String {
    let days = time.secs.div_euclid(86_400) + 719_468;
    let seconds = time.secs.rem_euclid(86_400);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + era * 400 + next;
    let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_leap_years_and_before_1970() {
        let show = |secs| date(Time { secs, nanos: 0 });
        assert_eq!(show(0), "1970-01-01 00:00");
        assert_eq!(show(1_000_000_000), "2001-09-09 01:46");
        assert_eq!(show(951_782_400), "2000-02-29 00:00");
        assert_eq!(show(-1), "1969-12-31 23:59");
        assert_eq!(show(4_107_542_400), "2100-03-01 00:00");
    }
}
