//! Runs a change again and again, and stops it in every way after every operation.
//!
//! A scenario is a store to begin with and a change of it that goes through states which programs may see: before
//! it, after each call of [`Steps::done`], and at its end. Whatever happens, the next mount shows one of these states
//! as a whole, no older than the last [`Steps::durable`] and, where nothing but the process died, no older than the
//! last call; and a settle and one more power cut later the content is still the same.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use holofs::format::Time;
use holofs::store::disk::{Access, Dir};
use holofs::store::{Kind, Result, State};
use rustix::io::Errno;

use super::support::crash_disk::{CrashDisk, Op};
use super::support::files::{
    EAGER, Files, Shown, Snapshot, content, dir_at, disk_names, make_store, sync_all,
};

/// Power cuts tried at each stop.
const POWER_CUTS: u64 = 5;

/// What a change tells about its progress.
pub(crate) struct Steps<'a> {
    reached: Cell<usize>,
    durable: Cell<usize>,
    each: Option<&'a dyn Fn()>,
}

impl<'a> Steps<'a> {
    fn new(each: Option<&'a dyn Fn()>) -> Self {
        Self {
            reached: Cell::new(0),
            durable: Cell::new(0),
            each,
        }
    }

    /// What the store shows now is what programs may find after a crash from now on.
    pub(crate) fn done(&self) {
        self.reached.set(self.reached.get() + 1);
        if let Some(each) = self.each {
            each();
        }
    }

    /// As [`Steps::done`], and nothing older may come back.
    pub(crate) fn durable(&self) {
        self.done();
        self.durable.set(self.reached.get());
    }
}

type Change<'a> = &'a dyn Fn(&Files, &Steps<'_>) -> Result<()>;

/// What recovery sets aside.
enum Lost {
    Nothing,
    File(Vec<u8>),
    Set,
}

/// A store and a change of it.
pub(crate) struct Scenario<'a> {
    base: Arc<CrashDisk>,
    change: Change<'a>,
    /// Names whose bytes are written in place and not synced: after a power cut they are there, with any content.
    in_place: &'a [&'a str],
    /// Whether that ends with the first durable state.
    until_durable: bool,
    /// What goes to `lost+found`.
    lost: Lost,
    /// Operations that are not made to fail.
    never_fails: &'a [Op],
    /// What the store shows before, in between and afterwards.
    states: Vec<Snapshot>,
}

/// A copy of `base` with the store open on it.
fn opened(base: &CrashDisk) -> (Arc<CrashDisk>, Files) {
    let disk = base.kill();
    let files = Files::open(&disk.root()).unwrap();
    (disk, files)
}

/// What the next mount of a medium shows, which is left as it is.
fn look(disk: &CrashDisk) -> Snapshot {
    opened(disk).1.snapshot().unwrap()
}

/// Without what a change of representation moves: time and links of the directory.
fn comparable(all: &Snapshot) -> Snapshot {
    let mut all = all.clone();
    for shown in all.values_mut().filter(|shown| shown.kind == Kind::Dir) {
        (shown.mtime, shown.nlink) = (Time::default(), 0);
    }
    all
}

impl<'a> Scenario<'a> {
    /// `before` makes the files that it begins with, which are durable.
    pub(crate) fn new(before: &dyn Fn(&Files) -> Result<()>, change: Change<'a>) -> Self {
        let base = CrashDisk::new();
        make_store(&base.root(), EAGER);
        let files = Files::open(&base.root()).unwrap();
        before(&files).unwrap();
        sync_all(&*base.root());
        Self::on(base, change)
    }

    /// Begins with a medium as it is.
    pub(crate) fn on(base: Arc<CrashDisk>, change: Change<'a>) -> Self {
        let (disk, files) = opened(&base);
        let states = RefCell::new(vec![look(&disk)]);
        let each = || states.borrow_mut().push(look(&disk));
        change(&files, &Steps::new(Some(&each))).expect("the change, undisturbed");
        each();
        Self {
            base,
            change,
            in_place: &[],
            lost: Lost::Nothing,
            never_fails: &[],
            until_durable: false,
            states: states.into_inner(),
        }
    }

    pub(crate) fn in_place(mut self, names: &'a [&'a str]) -> Self {
        self.in_place = names;
        self
    }

    pub(crate) fn in_place_until_durable(mut self, names: &'a [&'a str]) -> Self {
        self.until_durable = true;
        self.in_place(names)
    }

    /// Expects a plain file of this content in `lost+found`.
    pub(crate) fn loses(mut self, content: &[u8]) -> Self {
        self.lost = Lost::File(content.to_owned());
        self
    }

    /// Expects a set in `lost+found`.
    pub(crate) fn loses_a_set(mut self) -> Self {
        self.lost = Lost::Set;
        self
    }

    pub(crate) fn never_fails(mut self, operations: &'a [Op]) -> Self {
        self.never_fails = operations;
        self
    }

    /// Everything there is to try.
    pub(crate) fn check(&self) {
        self.stops();
        self.failures();
    }

    /// The process dies, or power is lost, after every operation.
    pub(crate) fn stops(&self) {
        for stop in 0.. {
            let (disk, files) = opened(&self.base);
            let opening = disk.operations();
            disk.kill_after(opening + stop);
            let steps = Steps::new(None);
            let ended = (self.change)(&files, &steps);
            let finished = !disk.is_dead();
            assert!(ended.is_ok() || !finished, "undisturbed: {ended:?}");
            let last = self.states.len() - 1;
            let newest = last.min(steps.reached.get() + 1);
            let reached = if finished { last } else { steps.reached.get() };
            let allowed = Allowed {
                killed: &self.states[reached..=newest],
                power_cut: &self.states[steps.durable.get()..=newest],
                in_place: if self.until_durable && steps.durable.get() > 0 {
                    &[]
                } else {
                    self.in_place
                },
            };
            let history = disk.history().split_off(opening as usize);
            self.recovers(
                &disk.kill(),
                &allowed,
                None,
                &format!("killed after {history:?}"),
            );
            for seed in 0..POWER_CUTS {
                let what = format!("power cut {seed} after {history:?}");
                self.recovers(&disk.crash(seed), &allowed, Some(seed), &what);
            }
            self.dies_again(&disk.kill(), &allowed, &history);
            if finished {
                break;
            }
        }
    }

    /// The process dies after every operation of the next mount, too.
    fn dies_again(&self, disk: &CrashDisk, allowed: &Allowed<'_>, history: &[String]) {
        for stop in 0.. {
            let again = disk.kill();
            again.kill_after(stop);
            drop(Files::open(&again.root()).and_then(|files| files.snapshot()));
            let what = format!("{history:?}, mount killed after {:?}", again.history());
            self.recovers(&again.kill(), allowed, None, &what);
            self.recovers(&again.crash(stop), allowed, Some(stop), &what);
            if !again.is_dead() {
                break;
            }
        }
    }

    /// The next mount shows an allowed state, and goes on from there. `cut`: after this power cut.
    fn recovers(&self, disk: &Arc<CrashDisk>, allowed: &Allowed<'_>, cut: Option<u64>, what: &str) {
        let files = Files::open(&disk.root()).unwrap_or_else(|e| panic!("{what}: {e}"));
        let seen = files.snapshot().unwrap_or_else(|e| panic!("{what}: {e}"));
        let states = match cut {
            None => allowed.killed,
            Some(_) => allowed.power_cut,
        };
        let fits = |state: &Snapshot| allowed.fits(&seen, state, cut.is_none());
        assert!(
            states.iter().any(fits),
            "{what}\nshows {seen:#?}\ninstead of one of {states:#?}"
        );
        Self::settles(disk, &files, &seen, what);
        self.is_tidy(&disk.root(), what);
    }

    /// A settle changes nothing that is shown and leaves nothing undone, and what is encoded is durable.
    fn settles(disk: &Arc<CrashDisk>, files: &Files, seen: &Snapshot, what: &str) {
        let settled = files.settle().unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(settled.failed, 0, "{what}");
        let after = files.snapshot().unwrap();
        assert_eq!(comparable(&after), comparable(seen), "{what}: settled");
        let root = disk.root();
        let later = look(&disk.crash(7));
        for (path, shown) in after.iter().filter(|(_, shown)| shown.kind == Kind::File) {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            let solid = files
                .status(path)
                .unwrap()
                .reason
                .contains("solid directory");
            let names = if solid {
                Vec::new()
            } else {
                disk_names(&root, dir)
            };
            let plain = names.iter().any(|other| other == name);
            let encoded = files.status(path).unwrap().state == State::Exact;
            assert!(!(plain && encoded), "{what}: {path} is there twice");
            // Under this name or, where a rename was not synced, under the one before.
            let durable = later.values().any(|later| later.content == shown.content);
            assert!(
                !encoded || durable,
                "{what}: settled, then lost {path} to a power cut: {later:#?}\n{:?}",
                disk.history(),
            );
        }
    }

    /// Nothing is under way any more, and nothing was set aside but what should be.
    fn is_tidy(&self, root: &Arc<dyn Dir>, what: &str) {
        for room in ["intent", "staging"] {
            let left = disk_names(root, &format!(".holofs/{room}"));
            assert!(left.is_empty(), "{what}: {left:?} in {room}");
        }
        let room = dir_at(root, ".holofs/lost+found");
        let lost = room.list().unwrap();
        let names: Vec<_> = lost.iter().map(|entry| &entry.name).collect();
        match (&self.lost, &lost[..]) {
            (Lost::Nothing, []) => {}
            (Lost::File(expected), [entry]) => {
                let file = room.open(&entry.name, Access::Read).unwrap();
                assert!(content(&*file).unwrap() == *expected, "{what}");
            }
            (Lost::Set, [_]) => assert!(names[0].to_str().unwrap().ends_with(".holo")),
            _ => panic!("{what}: {names:?} in lost+found"),
        }
    }

    /// Operations of every sort fail once, or from then on.
    fn failures(&self) {
        let changes = [
            Op::Create,
            Op::Write,
            Op::SetLen,
            Op::Attributes,
            Op::MakeDir,
            Op::Link,
        ];
        let others = [
            Op::Rename,
            Op::Sync,
            Op::SyncDir,
            Op::Unlink,
            Op::RemoveDir,
            Op::Open,
            Op::Read,
            Op::Look,
            Op::Lease,
        ];
        let full = changes.iter().map(|op| (*op, Errno::NOSPC));
        for (op, error) in full.chain(others.iter().map(|op| (*op, Errno::IO))) {
            for skip in 0.. {
                if self.never_fails.contains(&op) || !self.fails(op, skip, error, false) {
                    break;
                }
                // Nothing goes on where nothing can be looked at.
                if !matches!(op, Op::Open | Op::Read | Op::Look) {
                    self.fails(op, skip, error, true);
                }
            }
        }
    }

    /// One failure, or all from one on; `false` if the change never came to it.
    fn fails(&self, op: Op, skip: u64, error: Errno, lasting: bool) -> bool {
        let (disk, files) = opened(&self.base);
        if lasting {
            disk.fail_always(op, skip, error);
        } else {
            disk.fail(op, skip, error);
        }
        let steps = Steps::new(None);
        let ended = (self.change)(&files, &steps);
        let hit = disk.failures_left() == 0;
        disk.heal();
        let what = format!("{op:?} {skip} failed ({error}, lasting: {lasting}), thus {ended:?}");
        let last = self.states.len() - 1;
        let reached = if ended.is_ok() {
            last
        } else {
            steps.reached.get()
        };
        let states = &self.states[reached..=last.min(reached + 1)];
        // With one sort of operations gone for good not every step can be taken back, and the next mount does it.
        let files = if lasting {
            Files::open(&disk.root()).unwrap()
        } else {
            files
        };
        let seen = files.snapshot().unwrap_or_else(|e| panic!("{what}: {e}"));
        let fits = |state: &Snapshot| {
            let contents = |all: &Snapshot| -> Vec<_> {
                let all = all.iter();
                all.map(|(path, shown)| {
                    (
                        path.clone(),
                        (shown.content.clone(), shown.variants.clone()),
                    )
                })
                .collect()
            };
            contents(&seen) == contents(state)
        };
        assert!(
            states.iter().any(fits),
            "{what}\nshows {seen:#?}\ninstead of one of {states:#?}"
        );
        let next = look(&disk);
        assert_eq!(
            comparable(&next),
            comparable(&seen),
            "{what}: the next mount"
        );
        Self::settles(&disk, &files, &seen, &what);
        let (disk, files) = opened(&disk);
        drop(files);
        self.is_tidy(&disk.root(), &what);
        hit
    }
}

/// The states that may be shown after the end of the process, and after a power cut.
struct Allowed<'s> {
    killed: &'s [Snapshot],
    power_cut: &'s [Snapshot],
    in_place: &'s [&'s str],
}

impl Allowed<'_> {
    /// Whether a state is shown; after a power cut (not `exact`) attributes and bytes written in place may differ.
    fn fits(&self, seen: &Snapshot, state: &Snapshot, exact: bool) -> bool {
        let mut pairs = seen.iter().zip(state);
        let alike = |((a, x), (b, y)): ((&String, &Shown), (&String, &Shown))| {
            let loose = x.content.is_ok() && self.in_place.contains(&a.as_str());
            a == b
                && x.kind == y.kind
                && x.variants == y.variants
                && (x.content == y.content || loose)
        };
        seen.len() == state.len()
            && if exact {
                comparable(seen) == comparable(state)
            } else {
                pairs.all(alike)
            }
    }
}
