//! The background: encodes quiet files, ends lingering, crawls the tree for work left over.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Result;
use super::crawl::{Crawl, Visit};
use super::disk::Kind;
use super::encode::Outcome;
use super::families::Shared;
use super::node::Node;
use super::policy::Encode;
use super::solid::Next;
use super::tree::{Counters, Store};
use crate::format::Time;

/// Longest quiet time, however often a file was promoted.
const LONGEST_QUIET: Duration = Duration::from_hours(30 * 24);
/// How long an idle worker sleeps at most.
const IDLE: Duration = Duration::from_mins(10);
/// How long a file that could not be encoded waits for another try.
const RETRY: Duration = Duration::from_mins(10);
/// How long a directory that is nothing for one object is not looked at again.
const UNSUITED: Duration = Duration::from_hours(1);
/// Directories remembered as such.
const MOST_UNSUITED: usize = 10_000;
/// How long a closed file that looked busy waits for its first other try: the kernel lets go of the last writer's
/// backing file a moment after the close was answered. Each further try waits four times as long, at most [`RETRY`].
const RETRY_BUSY: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Waiting {
    node: Arc<Node>,
    closed: Instant,
    due: Instant,
    /// How often it was found busy since it was closed.
    busy: u32,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    /// The same by when they are due.
    order: BTreeSet<(Instant, u64)>,
    /// When a sleeping worker wakes by itself.
    asleep_until: Option<Instant>,
    /// Files being encoded now.
    working: u32,
    /// Encoded files that were streamed more than once: a decoded copy pays.
    streamed: Vec<Arc<Node>>,
    crawl: Option<Crawl>,
    /// Directories that were found to be nothing for one object, and until when that counts.
    unsuited: HashMap<u64, (Instant, Time)>,
}

impl State {
    fn put(&mut self, waiting: Waiting) {
        let ino = waiting.node.ino;
        self.order.insert((waiting.due, ino));
        if let Some(before) = self.waiting.insert(ino, waiting) {
            let now = self.waiting.get(&ino).map(|w| w.due);
            if now != Some(before.due) {
                self.order.remove(&(before.due, ino));
            }
        }
    }

    /// Takes the file that has been due longest.
    fn take_due(&mut self, now: Instant) -> Option<Waiting> {
        let first = self.order.first().filter(|(due, _)| *due <= now).copied()?;
        self.order.remove(&first);
        self.waiting.remove(&first.1)
    }
}

/// Files that wait to be encoded.
#[derive(Debug)]
pub(crate) struct Queue {
    encode: Encode,
    state: Mutex<State>,
    /// There is work, or somebody finished some.
    changed: Condvar,
    /// A file was closed.
    closes: Condvar,
    stopped: AtomicBool,
    /// Whether a worker runs; without one nothing is queued.
    running: AtomicBool,
}

impl Queue {
    pub(crate) fn new(encode: Encode) -> Self {
        Self {
            encode,
            state: Mutex::default(),
            changed: Condvar::new(),
            closes: Condvar::new(),
            stopped: AtomicBool::new(false),
            running: AtomicBool::new(false),
        }
    }

    /// A file was closed after writing: it becomes due when it has been quiet.
    pub(crate) fn closed(&self, node: &Arc<Node>) {
        let now = Instant::now();
        self.put(node, now, now + self.encode.quiet, 0);
    }

    fn put(&self, node: &Arc<Node>, closed: Instant, due: Instant, busy: u32) {
        if matches!(node.kind, Kind::File | Kind::Dir) && self.running.load(Ordering::Relaxed) {
            let waiting = Waiting {
                node: Arc::clone(node),
                closed,
                due,
                busy,
            };
            let mut state = self.state.lock();
            // A close that came while the file was in hand counts, not the one before it.
            let earlier = state.waiting.get(&node.ino);
            if earlier.is_none_or(|w| w.closed <= closed) {
                state.put(waiting);
            }
            // Most closes are due later than what the worker waits for: they must not cost it a look each.
            if state.asleep_until.is_some_and(|until| due < until) {
                self.changed.notify_one();
            }
        }
        self.closes.notify_all();
    }

    /// A solid directory was thawed: it may become solid again when it has been quiet.
    pub(crate) fn thawed(&self, node: &Arc<Node>) {
        self.closed(node);
    }

    /// A directory is nothing for one object, for now, unless names come or go in it.
    pub(crate) fn unsuited(&self, node: &Node, mtime: Time) {
        let mut state = self.state.lock();
        if state.unsuited.len() >= MOST_UNSUITED {
            state.unsuited.clear();
        }
        let until = Instant::now() + UNSUITED;
        state.unsuited.insert(node.ino, (until, mtime));
    }

    /// The modification time that a directory had when that was said of it, not long ago.
    pub(crate) fn unsuited_at(&self, node: &Node) -> Option<Time> {
        let state = self.state.lock();
        let (until, mtime) = state.unsuited.get(&node.ino)?;
        (*until > Instant::now()).then_some(*mtime)
    }

    /// A file was opened for streaming that had been streamed before.
    pub(crate) fn streamed_again(&self, node: &Arc<Node>) {
        if self.running.load(Ordering::Relaxed) {
            self.state.lock().streamed.push(Arc::clone(node));
            self.changed.notify_all();
        }
    }

    /// Has the workers look again.
    pub(crate) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Whether this file waits to be encoded.
    pub(crate) fn has(&self, node: &Node) -> bool {
        self.state.lock().waiting.contains_key(&node.ino)
    }

    /// Ends the workers; encodings under way are dropped.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(self.state.lock()); // a worker between its look and its wait must see it
        self.changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits until something is closed, at most until `deadline`; `false` when that has come.
    pub(crate) fn wait_for_close(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        !self.closes.wait_until(&mut state, deadline).timed_out()
    }

    /// How long a file that was promoted so often must be quiet.
    fn quiet_after(&self, promotions: u32) -> Duration {
        let factor = 1_u32.checked_shl(promotions).unwrap_or(u32::MAX);
        self.encode.quiet.saturating_mul(factor).min(LONGEST_QUIET)
    }
}

/// Starts the workers of a store.
pub(crate) fn start(store: &Arc<Store>) -> Result<()> {
    let queue = &store.queue;
    queue.running.store(true, Ordering::Relaxed);
    queue.state.lock().crawl = Some(Crawl::new(store));
    let mut threads = store.worker.lock();
    for n in 0..queue.encode.threads.max(1) {
        let store = Arc::clone(store);
        let thread = std::thread::Builder::new()
            .name(format!("encoder-{n}"))
            .spawn(move || {
                lower_priority();
                work(&store);
            })?;
        threads.push(thread);
    }
    Ok(())
}

/// Background work gives way to everything else.
fn lower_priority() {
    // On Linux this acts on the calling thread only.
    if let Err(e) = rustix::process::setpriority_process(None, 19) {
        log::debug!("priority of the encoder not lowered: {e}");
    }
}

fn work(store: &Store) {
    if let Some(own) = &store.own {
        own.purge_stale();
    }
    while !store.queue.is_stopped() {
        store.lingering.shorten(store.cache.budget);
        let (due, next_linger) = store.lingering.due(Instant::now());
        for linger in due {
            if let Err(e) = store.end_linger(&linger) {
                log::warn!("a decoded copy stays beside its set: {e}");
            }
        }
        if let Some(waiting) = next_due(store) {
            one(store, &waiting);
            store.queue.state.lock().working -= 1;
            store.queue.changed.notify_all();
            continue;
        }
        let streamed = store.queue.state.lock().streamed.pop();
        if let Some(node) = streamed {
            if let Err(e) = store.fill_cache(&node) {
                log::debug!("inode {:#x}: no decoded copy: {e}", node.ino);
            }
            continue;
        }
        if crawl_on(store) || share_on(store) {
            continue;
        }
        let mut state = store.queue.state.lock();
        if store.queue.is_stopped() {
            return;
        }
        if !state.streamed.is_empty() {
            continue;
        }
        let idle = Instant::now() + IDLE;
        let next = state.order.first().map(|(due, _)| *due);
        let until = next.into_iter().chain(next_linger).fold(idle, Instant::min);
        if until > Instant::now() {
            state.asleep_until = Some(until);
            store.queue.changed.wait_until(&mut state, until);
            state.asleep_until = None;
        }
    }
}

/// Takes a file into the hands of this worker.
fn next_due(store: &Store) -> Option<Waiting> {
    let mut state = store.queue.state.lock();
    let waiting = state.take_due(Instant::now())?;
    state.working += 1;
    Some(waiting)
}

/// Encodes one file, or puts it off.
fn one(store: &Store, waiting: &Waiting) {
    let node = &waiting.node;
    let promotions = store.promotions(node);
    if node.kind == Kind::Dir {
        one_dir(store, waiting, store.queue.quiet_after(promotions));
        return;
    }
    if let Some(around) = store.archive_around(node) {
        if !store.queue.has(&around) {
            store.queue.closed(&around);
        }
        return;
    }
    let due = waiting.closed + store.queue.quiet_after(promotions);
    if due > Instant::now() {
        store.queue.put(node, waiting.closed, due, waiting.busy);
        return;
    }
    let path = node.path().unwrap_or_default();
    match store.encode_node(node, None) {
        Ok(Outcome::Encoded) => log::debug!("{}: encoded", path.display()),
        Ok(Outcome::Kept | Outcome::Already) => {}
        Err(e) if e.is_not_found() => {} // removed meanwhile
        // It is written, and queued again when it is closed; or somebody whom we do not see or ask is at it, so look again.
        Ok(Outcome::Busy) if node.is_written() => {}
        Ok(Outcome::Busy) => put_off(store, waiting),
        Err(e) => {
            Counters::add(&store.counters.failed);
            log::warn!("{}: stays plain for now: {e}", path.display());
            let now = Instant::now();
            store.queue.put(node, now, now + RETRY, 0);
        }
    }
}

/// Another try for what is busy, later each time.
fn put_off(store: &Store, waiting: &Waiting) {
    let busy = waiting.busy.saturating_add(1);
    let pause = RETRY_BUSY.saturating_mul(4_u32.saturating_pow(waiting.busy));
    let due = Instant::now() + pause.min(RETRY);
    store.queue.put(&waiting.node, waiting.closed, due, busy);
}

/// Makes one directory solid, or puts it off.
fn one_dir(store: &Store, waiting: &Waiting, quiet: Duration) {
    let node = &waiting.node;
    if !store.wants_solid(node) || !store.is_native(node) {
        return;
    }
    match store.freeze_due(node, quiet) {
        Next::Nothing => {}
        Next::After(wait) => {
            let now = Instant::now();
            store.queue.put(node, now, now + wait, 0);
        }
        Next::Busy => put_off(store, waiting),
        Next::OneByOne => store.queue_inside(node),
    }
}

/// Queues what a crawl comes upon.
struct Queueing<'a>(&'a Store);

impl Visit for Queueing<'_> {
    fn enter(&mut self, dir: &Arc<Node>) -> bool {
        if self.0.wants_solid(dir) && self.0.is_native(dir) {
            self.file(dir);
            return false; // what is in it waits for what becomes of it
        }
        self.0.is_native(dir)
    }

    fn file(&mut self, node: &Arc<Node>) {
        if !self.0.queue.has(node) {
            self.0.queue.closed(node);
        }
    }
}

/// Does everything at once that a crawl comes upon.
struct Settling<'a> {
    store: &'a Store,
    progress: &'a mut dyn FnMut(&std::path::Path) -> bool,
    done: super::Settled,
    busy: Vec<Arc<Node>>,
    on: bool,
}

impl Settling<'_> {
    fn may_go_on(&mut self, node: &Arc<Node>) -> bool {
        let path = node.path().unwrap_or_else(|| PathBuf::from("?"));
        self.on = self.on && (self.progress)(&path) && !self.store.queue.is_stopped();
        self.on
    }
}

impl Visit for Settling<'_> {
    fn enter(&mut self, dir: &Arc<Node>) -> bool {
        if !self.store.is_native(dir) {
            return false;
        }
        if !self.store.wants_solid(dir) || !self.may_go_on(dir) {
            return true;
        }
        let frozen = self.store.freeze_now(dir);
        self.done.encoded += frozen.unwrap_or(0);
        frozen.is_none()
    }

    fn file(&mut self, node: &Arc<Node>) {
        if self.may_go_on(node) && self.store.settle_one(node, &mut self.done) == Outcome::Busy {
            self.busy.push(Arc::clone(node));
        }
    }
}

/// Does one step of the background crawl; `false` when there is nothing left of it.
fn crawl_on(store: &Store) -> bool {
    let Some(mut crawl) = store.queue.state.lock().crawl.take() else {
        return false;
    };
    let more = crawl.step(store, &mut Queueing(store));
    if more {
        store.queue.state.lock().crawl = Some(crawl);
    }
    more
}

/// Has files share what they hold, while there is nothing else to do; `false` when there is nothing of it.
fn share_on(store: &Store) -> bool {
    let mut idle = |_: &Path| {
        let state = store.queue.state.lock();
        let due = state
            .order
            .first()
            .is_some_and(|(due, _)| *due <= Instant::now());
        !due && state.streamed.is_empty()
    };
    let shared = store.share(false, &mut idle).unwrap_or_else(|e| {
        log::warn!("files do not share what they hold: {e}");
        Shared::Nothing
    });
    store.dictionaries.rest();
    shared == Shared::Some
}

impl Store {
    /// Finishes the crawl, encodes every closed file now, ends lingering; returns when nothing is pending.
    /// `progress` is called now and then with the path at work and says whether to go on.
    ///
    /// # Errors
    /// [`super::Error::ReadOnly`], and what the medium says of directories; single files that fail are counted.
    pub fn settle(
        &self,
        progress: &mut dyn FnMut(&std::path::Path) -> bool,
    ) -> Result<super::Settled> {
        self.own()?;
        let mut settling = Settling {
            store: self,
            progress,
            done: super::Settled::default(),
            busy: Vec::new(),
            on: true,
        };
        let mut crawl = Crawl::from_start(self);
        while settling.on && crawl.step(self, &mut settling) {}
        let Settling {
            mut done,
            mut busy,
            mut on,
            ..
        } = settling;
        // The close of a file may still be on its way here when its writer has ended.
        let patience = Instant::now() + Duration::from_secs(1);
        while on && !busy.is_empty() {
            busy.retain(|node| self.settle_one(node, &mut done) == Outcome::Busy);
            if busy.is_empty() || !self.queue.wait_for_close(patience) {
                break;
            }
        }
        for linger in self.lingering.all() {
            self.end_linger(&linger)?;
        }
        self.wait_for_workers();
        while on
            && self.share(true, &mut |path| {
                on = on && progress(path);
                on
            })? == Shared::Some
        {}
        self.dictionaries.rest();
        Ok(done)
    }

    /// Waits until no worker has a file in hand.
    fn wait_for_workers(&self) {
        let mut state = self.queue.state.lock();
        while state.working > 0 && !self.queue.is_stopped() {
            self.queue.changed.wait(&mut state);
        }
    }

    fn settle_one(&self, node: &Arc<Node>, done: &mut super::Settled) -> Outcome {
        match self.encode_node(node, None) {
            Ok(outcome) => {
                match outcome {
                    Outcome::Encoded => done.encoded += 1,
                    Outcome::Kept => done.kept += 1,
                    Outcome::Already | Outcome::Busy => {}
                }
                outcome
            }
            Err(e) if e.is_not_found() => Outcome::Already,
            Err(e) => {
                done.failed += 1;
                Counters::add(&self.counters.failed);
                let path = node.path().unwrap_or_default();
                log::warn!("{}: stays plain: {e}", path.display());
                Outcome::Kept
            }
        }
    }
}
