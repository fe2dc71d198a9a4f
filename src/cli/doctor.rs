//! `doctor`: what holofs needs of this machine, and a store's general health, looked at cheaply.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use rustix::process::geteuid;
use serde::Serialize;

use super::args;
use super::exit::{Code, Outcome, plain};
use super::place::Place;
use super::session;
use super::ui::Ui;
use crate::store::disk::Dir;
use crate::store::outside;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    /// As it should be.
    Ok,
    /// Works, but not as well as it could.
    Note,
    /// Does not work.
    Bad,
}

/// One line.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    mark: Mark,
    what: String,
}

/// Runs the verb.
pub(super) fn run(args: &args::Doctor, ui: &mut Ui) -> Outcome {
    let mut findings = machine();
    if let Some(store) = &args.store {
        let place = Place::of(store)?;
        findings.extend(leftovers(&place.store));
        findings.push(opens(&place));
    }
    let mut code = Code::Ok;
    for finding in &findings {
        if finding.mark == Mark::Bad {
            code = Code::Error;
        }
        if ui.json() {
            ui.row(finding);
            continue;
        }
        let (word, good) = match finding.mark {
            Mark::Ok => ("ok  ", true),
            Mark::Note => ("note", true),
            Mark::Bad => ("BAD ", false),
        };
        let word = ui.tint(word, good);
        ui.line(&format!("{word} {:12} {}", finding.check, finding.what));
    }
    if ui.json() {
        ui.end_rows();
    }
    Ok(code)
}

fn finding(check: &'static str, mark: Mark, what: impl Into<String>) -> Finding {
    let what = what.into();
    Finding { check, mark, what }
}

/// What the machine has.
fn machine() -> Vec<Finding> {
    let root = geteuid().is_root();
    let mut findings = vec![match outside::try_device(Path::new("/dev/fuse")) {
        Ok(()) => finding("/dev/fuse", Mark::Ok, "opens"),
        Err(e) => {
            let remedy = match e.kind() {
                io::ErrorKind::PermissionDenied => "its mode keeps this user from mounting",
                _ => "`modprobe fuse`, or give the container the device",
            };
            let what = format!("{}; {remedy}", plain(&e));
            finding("/dev/fuse", Mark::Bad, what)
        }
    }];
    findings.push(match (root, outside::program("fusermount3")) {
        (_, Some(at)) => finding("fusermount3", Mark::Ok, at.display().to_string()),
        (true, None) => finding("fusermount3", Mark::Note, "not there; only root can mount"),
        (false, None) => {
            let what = "not there; the package fuse3 has it, and only root mounts without";
            finding("fusermount3", Mark::Bad, what)
        }
    });
    findings.push(if root {
        finding("privileges", Mark::Ok, "root")
    } else {
        let what = "not root: reads and writes go through the daemon, owners cannot be kept";
        finding("privileges", Mark::Note, what)
    });
    let kernel = outside::read_file(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    let kernel = String::from_utf8_lossy(&kernel).trim().to_owned();
    findings.push(if version(&kernel) >= (6, 9) {
        finding("passthrough", Mark::Ok, format!("Linux {kernel} has it"))
    } else {
        let what = format!("Linux {kernel} has none (6.9 and later do): reads are slower");
        finding("passthrough", Mark::Note, what)
    });
    let helper = ["/sbin/mount.fuse.holofs", "/usr/sbin/mount.fuse.holofs"]
        .iter()
        .any(|at| outside::what_is_there(Path::new(at)).is_ok_and(|t| t == outside::There::Other));
    findings.push(if helper || outside::program("mount.fuse3").is_some() {
        finding(
            "mount(8)",
            Mark::Ok,
            "`mount -t fuse.holofs` and fstab find holofs",
        )
    } else {
        let what = "for `mount -t fuse.holofs` and fstab link /sbin/mount.fuse.holofs to holofs";
        finding("mount(8)", Mark::Note, what)
    });
    findings
}

/// Major and minor number of a kernel release.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What lies in the directories of `.holofs` that are empty when all is well.
fn leftovers(store: &Path) -> Vec<Finding> {
    let Ok(ours) = outside::ours(store) else {
        return Vec::new();
    };
    let count = |name: &str| -> usize {
        let listed = ours
            .dir(OsStr::new(name))
            .and_then(|dir: std::sync::Arc<dyn Dir>| dir.list());
        listed.map_or(0, |names| names.len())
    };
    let mut findings = Vec::new();
    for (check, what) in [
        (
            "intent",
            "interrupted changes, finished at the next writable mount",
        ),
        (
            "staging",
            "unfinished objects, removed at the next writable mount",
        ),
        (
            "trash",
            "replaced files, removed at the next writable mount",
        ),
        (
            "lost+found",
            "files that stood beside a newer one of the same name: look at them",
        ),
    ] {
        findings.push(match count(check) {
            0 => finding(check, Mark::Ok, "empty"),
            n => finding(check, Mark::Note, format!("{n} {what}")),
        });
    }
    findings
}

/// Whether the store opens: format, policy.
fn opens(place: &Place) -> Finding {
    let opened = session::open_reading(place).and_then(|store| session::close(place, &store));
    match opened {
        Ok(()) => finding("store", Mark::Ok, "opens; format and policy are understood"),
        Err(failure) => finding("store", Mark::Bad, failure.what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases() {
        assert_eq!(version("6.18.44-fc-v657"), (6, 18));
        assert_eq!(version("6.9"), (6, 9));
        assert_eq!(version(""), (0, 0));
    }
}
