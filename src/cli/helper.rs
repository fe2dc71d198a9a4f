//! The other ways to be called: by mount(8), and by mount.fuse3 as `holofs SRC DST -o ...`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::CommandFactory as _;

use super::args::Cli;

/// The arguments as `holofs mount ...` where they come from a mount helper, else as they are.
pub(super) fn as_verb(words: Vec<OsString>) -> Vec<OsString> {
    if is_helper(&words) {
        translate(&words)
    } else {
        words
    }
}

/// Whether the program was called under a mount helper's name, or with two paths where a verb should be.
fn is_helper(words: &[OsString]) -> bool {
    let named = |word: &OsString| {
        let name = Path::new(word).file_name().unwrap_or_default();
        name.as_bytes().starts_with(b"mount.")
    };
    if words.first().is_some_and(named) {
        return true;
    }
    let (Some(source), Some(point)) = (words.get(1), words.get(2)) else {
        return false;
    };
    let is_option = |word: &OsString| word.as_bytes().starts_with(b"-");
    let is_verb = || {
        let top = Cli::command();
        source == "help" || top.get_subcommands().any(|v| source == v.get_name())
    };
    let is_path = source.as_bytes().contains(&b'/') || words.iter().any(|word| word == "-o");
    !is_option(source) && !is_option(point) && is_path && !is_verb()
}

/// Turns `NAME SRC DST [-sfnvrw] [-N NS] [-t TYPE] [-o OPTIONS]` into our own arguments.
fn translate(words: &[OsString]) -> Vec<OsString> {
    let mut out: Vec<OsString> = vec!["holofs".into(), "mount".into()];
    let mut rest = words.iter().skip(1);
    let mut paths = Vec::new();
    while let Some(word) = rest.next() {
        match word.to_str() {
            // Values of their own: the type is ours, and mount(8) has entered the namespace.
            Some("-t" | "-N") => drop(rest.next()),
            Some("-o") => out.extend(std::iter::once("-o".into()).chain(rest.next().cloned())),
            Some(text) if text.len() > 1 && text.starts_with('-') && !text.starts_with("--") => {
                for flag in text.chars().skip(1) {
                    out.extend(
                        match flag {
                            'n' => continue, // there is no mtab to write
                            's' => ["--sloppy"].as_slice(),
                            'f' => &["--fake"],
                            'v' => &["-v"],
                            'r' => &["-o", "ro"],
                            'w' => &["-o", "rw"],
                            _ => &["--unknown-flag"],
                        }
                        .iter()
                        .map(Into::into),
                    );
                }
            }
            _ => paths.push(word.clone()),
        }
    }
    out.push("--".into());
    out.extend(paths);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    fn same(line: &str, wanted: &str) {
        assert_eq!(as_verb(words(line)), words(wanted), "{line}");
    }

    #[test]
    fn mount_helpers_are_understood() {
        same(
            "/sbin/mount.fuse.holofs /s /m -o rw,noatime",
            "holofs mount -o rw,noatime -- /s /m",
        );
        same(
            "mount.fuse.holofs s m -nsr -t fuse.holofs -o x",
            "holofs mount --sloppy -o ro -o x -- s m",
        );
        same(
            "holofs /s /m -o rw,dev,suid",
            "holofs mount -o rw,dev,suid -- /s /m",
        );
        same(
            "mount.holofs -f -v /s /m",
            "holofs mount --fake -v -- /s /m",
        );
    }

    #[test]
    fn verbs_stay_verbs() {
        for line in [
            "holofs",
            "holofs mount a b",
            "holofs no-such-verb",
            "holofs no-such-verb x",
            "holofs status a/b c/d -o",
            "holofs --json status /a",
            "holofs help mount -o",
        ] {
            same(line, line);
        }
    }
}
