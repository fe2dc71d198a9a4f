//! Tests of files at reduced quality, with a medium made for them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::codec::testing::{FATAL, FATAL_LATER, ROW, ROWS, STEPS, random, rows, step};
use crate::store::{Aspect, Error, OpenHow, Options, ROOT, State, init};

/// A store with a file `row`, spread.
struct Bench {
    dir: tempfile::TempDir,
    content: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path()).unwrap();
        let policy = "version = 1\n[defaults]\nmin_size = \"1B\"\nlayout = \"spread\"\n\
            [encode]\nlinger = \"0s\"\n";
        fs::write(dir.path().join(".holofs/store.toml"), policy).unwrap();
        // Runs of one value: short in every layer.
        let row = random(7, 200);
        let row = row.iter().flat_map(|sample| [*sample; 500]);
        let content: Vec<u8> = STEPS.iter().copied().chain(row).collect();
        for name in ["row", "text"] {
            let skip = usize::from(name == "text");
            fs::write(dir.path().join(name), &content[skip..]).unwrap();
        }
        let bench = Self { dir, content };
        let store = bench.open(Options::default());
        assert_eq!(store.settle(&mut |_| true).unwrap().encoded, 2);
        store.close().unwrap();
        bench
    }

    fn open(&self, options: Options) -> Arc<Store> {
        Store::open(self.dir.path(), options).unwrap()
    }

    /// Takes chunk files away, or puts them back.
    fn hide(&self, chunks: std::ops::Range<usize>, away: bool) {
        let set = self.dir.path().join("row.holo");
        let files = |dir: &PathBuf| {
            let files = fs::read_dir(dir)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let mut files: Vec<PathBuf> = files.filter(|f| !f.ends_with("manifest")).collect();
            files.sort();
            files
        };
        let aside = self.dir.path().join(".holofs/aside");
        fs::create_dir_all(&aside).unwrap();
        let (from, to) = if away { (&set, &aside) } else { (&aside, &set) };
        for file in &files(from)[chunks] {
            fs::rename(file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
}

fn read(store: &Store, ino: u64, size: usize) -> Result<Vec<u8>> {
    store.open_file(ino, OpenHow::default())?;
    let mut content = vec![0; size];
    let read = store.read(ino, 0, &mut content);
    store.release(ino, false);
    assert_eq!(read?, size);
    Ok(content)
}

fn look(store: &Store, name: &str) -> u64 {
    store.lookup(ROOT, OsStr::new(name)).unwrap().ino
}

fn xattr(store: &Store, ino: u64, name: &str) -> Result<Vec<u8>> {
    store.xattr(ino, OsStr::new(&format!("user.holofs.{name}")))
}

#[test]
fn a_store_is_seen_as_any_number_of_chunks_shows_it() {
    let bench = Bench::new();
    let main = bench.open(Options::default());
    let size = bench.content.len();
    for (chunks, level) in [(1, 0), (3, 0), (4, 1), (8, 2), (13, 3), (14, 4), (255, 4)] {
        let view = main.seen_as(&Aspect::Chunks(chunks)).unwrap();
        let ino = look(&view, "row");
        let shown = read(&view, ino, size).unwrap();
        let status = view.status(ino).unwrap();
        if level == 4 {
            assert!(shown == bench.content);
            assert_eq!((status.state, status.quality_db), (State::Exact, None));
        } else {
            assert!(shown == step(&bench.content, level), "{chunks} chunks");
            let db = f64::from(u8::try_from(level + 1).unwrap()) * 10.0;
            assert_eq!(
                (status.state, status.quality_db),
                (State::Degraded, Some(db))
            );
            let health = xattr(&view, ino, "health").unwrap();
            assert_eq!(health, format!("{chunks} of 16 chunks").into_bytes());
            assert!(matches!(
                view.open_file(
                    ino,
                    OpenHow {
                        write: true,
                        ..OpenHow::default()
                    }
                ),
                Err(Error::ReadOnly)
            ));
        }
        let text = look(&view, "text");
        assert_eq!(read(&view, text, size - 1).is_ok(), chunks >= 15, "light");
        assert_eq!(
            main.counters()
                .degraded
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
    }
    let few = bench.open(Options {
        read_only: true,
        chunks: Some(4),
        ..Options::default()
    });
    let view = few.seen_as(&Aspect::Chunks(14)).unwrap();
    let shown = read(&view, look(&view, "row"), size).unwrap();
    assert!(
        shown == step(&bench.content, 1),
        "no more than the store has"
    );
}

#[test]
fn a_preview_is_made_from_the_first_layer() {
    let bench = Bench::new();
    let store = bench.open(Options::default());
    let ino = look(&store, "row");
    let whole = xattr(&store, ino, "preview").unwrap();
    assert!(whole.starts_with(b"\x89PNG") && whole.len() <= crate::codec::thumbnail::MOST);
    bench.hide(1..16, true);
    assert_eq!(xattr(&store, ino, "preview").unwrap(), whole);
    bench.hide(0..1, true);
    let lost = xattr(&store, ino, "preview");
    assert!(matches!(lost, Err(Error::Damaged { .. })), "{lost:?}");
    bench.hide(0..1, false);
    let text = look(&store, "text");
    assert!(matches!(xattr(&store, text, "preview"), Err(Error::NoData)));
    fs::write(bench.dir.path().join("plain"), STEPS).unwrap();
    let plain = look(&store, "plain");
    assert!(matches!(
        xattr(&store, plain, "preview"),
        Err(Error::NoData)
    ));
    let names = store.xattrs(ino).unwrap();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().contains("holofs"))
    );
}

#[test]
fn what_healed_has_no_damage_left() {
    let bench = Bench::new();
    let store = bench.open(Options {
        read_only: true,
        ..Options::default()
    });
    let (size, told) = (bench.content.len(), Arc::new(Mutex::new(Vec::new())));
    let tell = Arc::clone(&told);
    store.on_change(move |ino| tell.lock().push(ino));
    let ino = look(&store, "row");
    let before = store.attr(ino).unwrap().ctime;
    bench.hide(0..9, true);
    assert!(read(&store, ino, size).unwrap() == step(&bench.content, 1));
    let softer = store.attr(ino).unwrap().ctime;
    let health = xattr(&store, ino, "health").unwrap();
    assert!(health.starts_with(b"chunk 0 missing") && softer > before);
    bench.hide(0..8, false);
    assert!(read(&store, ino, size).unwrap() == bench.content);
    assert!(store.attr(ino).unwrap().ctime > softer);
    let health = xattr(&store, ino, "health").unwrap();
    assert_eq!(
        String::from_utf8_lossy(&health),
        "chunk 8 missing or damaged"
    );
    bench.hide(0..1, false);
    assert_eq!(xattr(&store, ino, "chunks").unwrap(), b"16/16");
    assert_eq!(*told.lock(), [ino, ino]);
}

/// A long sound or film that had lost too many chunks gave an error for every read, since only what is decoded whole
/// could be softer.
#[test]
fn a_long_medium_is_softer_range_by_range() {
    let dir = tempfile::tempdir().unwrap();
    let row = random(9, 1200);
    let row = row.iter().flat_map(|sample| [*sample; 500]);
    let bench = Bench {
        content: ROWS.iter().copied().chain(row).collect(),
        dir,
    };
    init(bench.dir.path()).unwrap();
    let policy = "version = 1\n[encode]\nlinger = \"0s\"\n[defaults]\nlayout = \"spread\"\n\
        profile = \"standard\"\n";
    fs::write(bench.dir.path().join(".holofs/store.toml"), policy).unwrap();
    fs::write(bench.dir.path().join("row"), &bench.content).unwrap();
    let store = bench.open(Options::default());
    assert_eq!(store.settle(&mut |_| true).unwrap().encoded, 1);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    store.on_change(move |ino| tell.lock().push(ino));
    let ino = look(&store, "row");
    let before = store.attr(ino).unwrap().ctime;
    let some = |store: &Store, at: usize| {
        let mut piece = vec![0; 5000];
        let read = store.read(ino, at as u64, &mut piece);
        read.map(|read| piece[..read].to_vec())
    };
    let ends = [0, ROW - 100, 3 * ROW + 17, bench.content.len() - 2000];

    bench.hide(0..9, true);
    let opened = store.open_file(ino, OpenHow::default()).unwrap();
    assert!(opened.file.is_none(), "nothing for the kernel to read from");
    let soft = rows(&bench.content, 1);
    for at in ends {
        let end = (at + 5000).min(soft.len());
        assert!(some(&store, at).unwrap() == soft[at..end], "{at}");
    }
    store.release(ino, false);
    let softer = store.attr(ino).unwrap().ctime;
    assert!(softer > before);
    assert_eq!(*told.lock(), [ino], "told once, not for each range");
    let status = store.status(ino).unwrap();
    assert_eq!(
        (status.state, status.quality_db),
        (State::Degraded, Some(20.0))
    );

    bench.hide(0..9, false);
    let opened = store.open_file(ino, OpenHow::default()).unwrap();
    assert!(!opened.keep_cache, "what the kernel has is not the content");
    for at in ends {
        let end = (at + 5000).min(soft.len());
        assert!(some(&store, at).unwrap() == bench.content[at..end], "{at}");
    }
    store.release(ino, false);
    assert!(store.attr(ino).unwrap().ctime > softer);
    assert_eq!(*told.lock(), [ino, ino]);
    assert_eq!(store.status(ino).unwrap().state, State::Exact);
    store.close().unwrap();

    bench.hide(0..9, true);
    let store = bench.open(Options {
        degraded: Some(Degraded::Refuse),
        ..Options::default()
    });
    let ino = look(&store, "row");
    store.open_file(ino, OpenHow::default()).unwrap();
    let refused = store.read(ino, 0, &mut [0; 10]);
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    store.release(ino, false);
}

/// Whoever asks for `image` everywhere still has the JPEGs kept by the codec made for them.
#[test]
fn a_codec_that_was_asked_for_and_declines_is_followed_by_the_one_made_for_the_content() {
    let bench = Bench::new();
    let policy = "version = 1\n[defaults]\ncodec = \"image\"\n[encode]\nlinger = \"0s\"\n";
    fs::write(bench.dir.path().join(".holofs/store.toml"), policy).unwrap();
    fs::write(bench.dir.path().join("steps"), &bench.content).unwrap();
    fs::write(bench.dir.path().join("bytes"), random(3, 50_000)).unwrap();
    let store = bench.open(Options::default());
    assert_eq!(store.settle(&mut |_| true).unwrap().encoded, 2);
    for (name, codec) in [("steps", "steps"), ("bytes", "stored")] {
        let status = store.status(look(&store, name)).unwrap();
        assert_eq!(status.codec, codec);
    }
}

/// A codec that panicked ended the worker without a word: nothing was encoded any more, and settle waited for ever.
/// The same in a decoder costs that file, not the thread that serves reads.
#[test]
fn a_codec_that_fails_is_followed_by_the_general_one() {
    let bench = Bench::new();
    let names = [("encoder", FATAL), ("decoder", FATAL_LATER)];
    let content = |end| [STEPS, &[7; 5000], end].concat();
    for (name, end) in names {
        fs::write(bench.dir.path().join(name), content(end)).unwrap();
    }
    let store = bench.open(Options::default());
    assert_eq!(store.settle(&mut |_| true).unwrap().encoded, 2);
    for (name, end) in names {
        let ino = look(&store, name);
        let status = store.status(ino).unwrap();
        assert_eq!((status.state, &*status.codec), (State::Exact, "stored"));
        let content = content(end);
        assert_eq!(read(&store, ino, content.len()).unwrap(), content);
    }
    let staging = bench.dir.path().join(".holofs/staging");
    assert_eq!(fs::read_dir(staging).unwrap().count(), 0);
    store.close().unwrap();
}
