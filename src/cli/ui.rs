//! The one place that prints: results to standard output, everything else to standard error.
//!
//! Names are printed raw, but in double quotes with octal escapes, as git prints them, when they hold control
//! characters, quotes, backslashes or invalid UTF-8: one line is one name. JSON is for programs that need more.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::args::{Colour, Speech};
use super::exit::{Code, Failure};

/// A name that fits on one line.
pub(super) fn quoted(path: &Path) -> Cow<'_, str> {
    match path.to_str() {
        Some(text) if !text.contains(|c: char| c.is_control() || c == '"' || c == '\\') => {
            Cow::Borrowed(text)
        }
        _ => {
            let mut out = String::from("\"");
            for chunk in path.as_os_str().as_bytes().utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '"' | '\\' => out.extend(['\\', c]),
                        '\n' => out.push_str("\\n"),
                        '\t' => out.push_str("\\t"),
                        c if c.is_control() => {
                            let mut bytes = [0; 4];
                            octal(&mut out, c.encode_utf8(&mut bytes).as_bytes());
                        }
                        c => out.push(c),
                    }
                }
                octal(&mut out, chunk.invalid());
            }
            out.push('"');
            Cow::Owned(out)
        }
    }
}

/// Appends bytes as octal escapes.
fn octal(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        _ = write!(out, "\\{byte:03o}"); // a String takes everything
    }
}

/// A path in JSON: text, and the bytes in hexadecimal where the text is not all of it.
#[derive(Debug, Serialize)]
pub(super) struct JsonPath<'a> {
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
}

impl<'a> From<&'a Path> for JsonPath<'a> {
    fn from(path: &'a Path) -> Self {
        let hex = || {
            let mut text = String::new();
            for byte in path.as_os_str().as_bytes() {
                _ = write!(text, "{byte:02x}"); // a String takes everything
            }
            text
        };
        Self {
            path: path.to_string_lossy(),
            path_hex: path.to_str().is_none().then(hex),
        }
    }
}

/// Bytes for people: three digits and a binary unit.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit below, so that integers do.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 {
        tenths /= 1024;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or("EiB");
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// How this run speaks.
#[derive(Debug)]
pub(super) struct Ui {
    speech: Speech,
    colour_out: bool,
    colour_err: bool,
    bar: ProgressBar,
    out: BufWriter<StdoutLock<'static>>,
    rows: usize,
}

impl Ui {
    /// As the options say.
    pub(super) fn new(speech: Speech) -> Self {
        let terminal = io::stderr().is_terminal();
        let colour = |terminal: bool| match speech.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        let show = terminal && !speech.quiet && !speech.json;
        let bar = if show {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
            ProgressBar::new_spinner().with_style(style.unwrap_or(ProgressStyle::default_spinner()))
        } else {
            ProgressBar::hidden()
        };
        Self {
            speech,
            colour_out: colour(io::stdout().is_terminal()),
            colour_err: colour(terminal),
            bar,
            out: BufWriter::new(io::stdout().lock()),
            rows: 0,
        }
    }

    /// Whether results are to be JSON.
    pub(super) fn json(&self) -> bool {
        self.speech.json
    }

    /// Whether more is wanted than a line about each file.
    pub(super) fn says_more(&self) -> bool {
        self.speech.json || self.speech.verbose > 0
    }

    /// Ends the program where nobody reads its output any more, as other tools do.
    fn printed(result: io::Result<()>) {
        match result {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(e) => {
                complain(&format!(
                    "holofs: standard output: {}",
                    super::exit::plain(&e)
                ));
                std::process::exit(Code::Error as i32);
            }
            Ok(()) => {}
        }
    }

    /// A line of results.
    pub(super) fn line(&mut self, text: &str) {
        self.bytes(format!("{text}\n").as_bytes());
    }

    /// Bytes of results.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let written = self.bar.suspend(|| self.out.write_all(bytes));
        Self::printed(written);
    }

    /// A result as one JSON value.
    pub(super) fn value(&mut self, value: &impl Serialize) {
        let text = serde_json::to_string(value).map_err(io::Error::from);
        match text {
            Ok(text) => self.line(&text),
            Err(e) => Self::printed(Err(e)),
        }
    }

    /// One element of the JSON array that [`Ui::end_rows`] ends.
    pub(super) fn row(&mut self, value: &impl Serialize) {
        let before: &[u8] = if self.rows == 0 { b"[" } else { b",\n " };
        self.bytes(before);
        self.rows += 1;
        let written = serde_json::to_writer(&mut self.out, value);
        Self::printed(written.map_err(io::Error::from));
    }

    /// Ends the array, also an empty one.
    pub(super) fn end_rows(&mut self) {
        self.bytes(if self.rows == 0 { b"[]\n" } else { b"]\n" });
        self.rows = 0;
    }

    /// A remark for people.
    pub(super) fn note(&mut self, text: &str) {
        if !self.speech.quiet && !self.speech.json {
            self.bar.suspend(|| complain(text));
        }
    }

    /// A remark for people who asked for more.
    pub(super) fn detail(&mut self, text: &str) {
        if self.speech.verbose > 0 {
            self.bar.suspend(|| complain(text));
        }
    }

    /// A file that was skipped or is not whole, on standard error.
    pub(super) fn warn(&mut self, file: &Path, what: &str) {
        let name = quoted(file);
        let text = format!("holofs: {name}: {what}");
        self.bar.suspend(|| complain(&text));
    }

    /// Work has come to `file`.
    pub(super) fn at(&self, file: &Path) {
        self.bar.set_message(quoted(file).into_owned());
        self.bar.tick();
    }

    /// A word in the colour of its meaning: `good` green, else red.
    pub(super) fn tint(&self, word: &str, good: bool) -> String {
        match (self.colour_out, good) {
            (false, _) => word.to_owned(),
            (true, true) => format!("\x1b[32m{word}\x1b[0m"),
            (true, false) => format!("\x1b[31m{word}\x1b[0m"),
        }
    }

    /// The error that ends this run, with its hint on a line of its own.
    pub(super) fn failure(&mut self, failure: &Failure) {
        let (red, plain) = if self.colour_err {
            ("\x1b[1;31m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut text = format!("{red}holofs:{plain} ");
        if let Some(file) = &failure.file {
            text.extend([&*quoted(file), ": "]);
        }
        text.push_str(&failure.what);
        if let Some(hint) = &failure.hint {
            text.extend(["\nhint: ", hint]);
        }
        self.bar.suspend(|| complain(&text));
    }

    /// Ends progress and gives out what is buffered.
    pub(super) fn finish(&mut self) {
        self.bar.finish_and_clear();
        Self::printed(self.out.flush());
    }

    /// Gives out what is buffered.
    pub(super) fn flush(&mut self) {
        Self::printed(self.out.flush());
    }
}

/// A line on standard error; where even that fails there is nobody to tell.
fn complain(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_name_is_one_line_and_can_be_read_back() {
        let show = |bytes| quoted(Path::new(OsStr::from_bytes(bytes))).into_owned();
        assert_eq!(show("größe 漢.txt".as_bytes()), "größe 漢.txt");
        assert_eq!(show(b"new\nline"), r#""new\nline""#);
        assert_eq!(show(b"\xff\x01a\"\\"), r#""\377\001a\"\\""#);
        let json = JsonPath::from(Path::new(OsStr::from_bytes(b"a\xff")));
        let json = serde_json::to_string(&json).unwrap();
        assert!(json.contains(r#""path_hex":"61ff""#), "{json}");
    }

    #[test]
    fn sizes_have_three_digits() {
        let shown: Vec<_> = [0, 1023, 1024, 123_456, 1 << 20, 5 << 30, u64::MAX]
            .into_iter()
            .map(size)
            .collect();
        let wanted = [
            "0 B", "1023 B", "1.0 KiB", "120 KiB", "1.0 MiB", "5.0 GiB", "15.9 EiB",
        ];
        assert_eq!(shown, wanted);
    }
}
