//! What other programs made, in the tree: names, degraded pictures, templates, what is left alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use holofs::store::disk::{Access, Dir};
use holofs::store::{Degraded, Error, Options, Rename, State, Store};

use super::support::files::{Files, disk_names, os};
use super::{in_memory, sample};

/// Puts the chunks with these numbers of a set of the originals into the directory `name` of the medium.
fn put_set(root: &Arc<dyn Dir>, name: &str, set: &str, keep: &[usize]) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    root.make_dir(os(name), 0o755, 0).unwrap();
    let dir = root.dir(os(name)).unwrap();
    for i in keep {
        let chunk = format!("chunk_{i:04}.holo");
        let bytes = fs::read(vectors.join(set).join(&chunk)).unwrap();
        let file = dir.create(os(&chunk), 0o644, 0).unwrap();
        file.write_at(&bytes, 0).unwrap();
    }
}

/// Changes a byte from the end of a chunk.
fn spoil(root: &Arc<dyn Dir>, name: &str, chunk: usize) {
    let dir = root.dir(os(name)).unwrap();
    let chunk = format!("chunk_{chunk:04}.holo");
    let file = dir.open(os(&chunk), Access::Write).unwrap();
    let at = file.meta().unwrap().size - 1;
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 1], at).unwrap();
}

const ALL: &[usize] = &[0, 1, 2, 3];

#[test]
fn a_picture_is_shown_as_the_png_it_is() {
    let (root, files) = in_memory();
    put_set(&root, "a.png.holo", "a.png.holo", ALL);
    put_set(&root, "B.PNG.holo", "a.png.holo", ALL);
    put_set(&root, "photo.jpg.holo", "a.png.holo", ALL);
    put_set(&root, "bare.holo", "a.png.holo", ALL);
    let shown = ["B.PNG", "a.png", "bare.png", "photo.jpg.png"];
    assert_eq!(files.names("").unwrap(), shown);
    let whole = files.get("a.png").unwrap();
    assert_eq!(whole.len(), 7428);
    for name in shown {
        assert!(files.get(name).unwrap() == whole, "{name}");
        let status = files.status(name).unwrap();
        assert_eq!(status.state, State::Exact, "{name}");
        assert_eq!(
            (status.chunks.have, status.chunks.need, status.chunks.total),
            (4, 4, 4)
        );
        assert_eq!(status.stored, 2443 + 2427 + 2456 + 2439);
        assert!(matches!(files.writer(name), Err(Error::ReadOnly)), "{name}");
    }
    for name in [
        "photo.jpg",
        "bare",
        "photo.jpg.holo",
        "a.png.png",
        "a.png.holo",
        "bare.png.png",
    ] {
        assert!(matches!(files.attr(name), Err(Error::NotFound)), "{name}");
    }
    // Beside it the name without the ending is free.
    files.put("photo.jpg", b"the original").unwrap();
    files.make_dir("bare").unwrap();
    let shown = [
        "B.PNG",
        "a.png",
        "bare",
        "bare.png",
        "photo.jpg",
        "photo.jpg.png",
    ];
    assert_eq!(files.names("").unwrap(), shown);
    assert_eq!(files.get("photo.jpg").unwrap(), b"the original");
    assert!(files.get("photo.jpg.png").unwrap() == whole);
    files.snapshot().unwrap();
    // It is not encoded over the set of another program, and that is no failure.
    let settled = files.settle().unwrap();
    assert_eq!((settled.encoded, settled.failed), (0, 0));
    let status = files.status("photo.jpg").unwrap();
    assert_eq!(status.state, State::Plain);
    assert!(status.reason.contains("did not make"), "{}", status.reason);
    // A file that is there hides it.
    files.put("bare.png", b"mine").unwrap_err();
    files.unlink("bare.png").unwrap();
    assert_eq!(
        files.names("").unwrap(),
        ["B.PNG", "a.png", "bare", "photo.jpg", "photo.jpg.png"]
    );
    put_set(&root, "x.holo", "a.png.holo", ALL);
    files.put("y", b"mine").unwrap();
    files.rename("y", "x.png", Rename::Replace).unwrap();
    assert_eq!(files.get("x.png").unwrap(), b"mine");
    assert!(!disk_names(&root, "").contains(&"x.holo".to_owned()));
}

#[test]
fn sound_is_shown_as_the_wave_file_it_is() {
    let (root, files) = in_memory();
    put_set(&root, "loud.wav.holo", "loud.wav.holo", ALL);
    put_set(&root, "song.mp3.holo", "loud.wav.holo", &[2]);
    assert_eq!(files.names("").unwrap(), ["loud.wav", "song.mp3.wav"]);
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    let original = fs::read(vectors.join("loud.wav")).unwrap();
    assert!(files.get("loud.wav").unwrap() == original);
    assert_eq!(files.status("loud.wav").unwrap().state, State::Exact);
    assert_eq!(files.get("song.mp3.wav").unwrap().len(), original.len());
    assert_eq!(files.status("song.mp3.wav").unwrap().state, State::Degraded);
    assert!(matches!(files.attr("song.mp3.png"), Err(Error::NotFound)));
}

#[test]
fn a_picture_is_renamed_where_its_new_name_can_be_shown() {
    let (root, files) = in_memory();
    put_set(&root, "photo.jpg.holo", "a.png.holo", ALL);
    put_set(&root, "tiny.png.holo", "tiny.png.holo", &[0]);
    files.put("file", &sample(1, 3000)).unwrap();
    let (photo, tiny) = (
        files.get("photo.jpg.png").unwrap(),
        files.get("tiny.png").unwrap(),
    );
    for wrong in ["photo.jpg", "photo.gif"] {
        let refused = files.replace("photo.jpg.png", wrong);
        assert!(
            matches!(refused, Err(Error::ReadOnly)),
            "{wrong}: {refused:?}"
        );
    }
    // Neither of two names that swap may lose its ending.
    for (a, b) in [
        ("photo.jpg.png", "tiny.png"),
        ("tiny.png", "file"),
        ("file", "photo.jpg.png"),
    ] {
        let refused = files.rename(a, b, Rename::Exchange);
        assert!(
            matches!(refused, Err(Error::ReadOnly)),
            "{a} {b}: {refused:?}"
        );
    }
    files.replace("photo.jpg.png", "b.png").unwrap();
    assert_eq!(files.names("").unwrap(), ["b.png", "file", "tiny.png"]);
    assert_eq!(
        disk_names(&root, ""),
        [".holofs", "b.png.holo", "file", "tiny.png.holo"]
    );
    files.rename("b.png", "tiny.png", Rename::Exchange).unwrap();
    assert!(files.get("tiny.png").unwrap() == photo);
    assert!(files.get("b.png").unwrap() == tiny);
    files.replace("tiny.png", "b.png").unwrap();
    assert_eq!(files.names("").unwrap(), ["b.png", "file"]);
    assert!(files.get("b.png").unwrap() == photo);
    files.snapshot().unwrap();
}

/// Invariant 2: "No read of an encoded file returns bytes that were neither proved exact nor declared degraded."
#[test]
fn a_degraded_picture_is_served_or_refused_as_asked_and_always_declared() {
    let (root, files) = in_memory();
    put_set(&root, "a.png.holo", "a.png.holo", ALL);
    let whole = files.get("a.png").unwrap();
    let dir = root.dir(os("a.png.holo")).unwrap();
    for (gone, left) in [(2, 3), (0, 2), (3, 1)] {
        dir.unlink(os(&format!("chunk_{gone:04}.holo"))).unwrap();
        let degraded = files.get("a.png").unwrap();
        assert_eq!(degraded.len(), whole.len());
        assert!(degraded != whole);
        let status = files.status("a.png").unwrap();
        assert_eq!(status.state, State::Degraded);
        assert_eq!(
            (status.chunks.have, status.chunks.need, status.chunks.total),
            (left, 4, 4)
        );
        assert!(
            status.damage[0].contains(&gone.to_string()),
            "{:?}",
            status.damage
        );
        let ino = files.at("a.png").unwrap().attr.ino;
        let held = files.at("a.png").unwrap();
        assert_eq!(held.attr.ino, ino);
        let xattr = |name: &str| files.store.xattr(ino, os(name)).unwrap();
        assert_eq!(xattr("user.holofs.status"), b"degraded");
        assert_eq!(xattr("user.holofs.chunks"), format!("{left}/4").as_bytes());

        let refusing = Options {
            degraded: Some(Degraded::Refuse),
            read_only: true,
            ..Options::default()
        };
        let store = Store::on_disk(Arc::clone(&root), refusing).unwrap();
        let refusing = Files { store };
        match refusing.get("a.png") {
            Err(Error::Damaged { name, what }) => {
                assert_eq!(name, "a.png");
                assert!(what.starts_with(&format!("{left} of 4 chunks")), "{what}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(refusing.status("a.png").unwrap().state, State::Degraded);
    }
    dir.unlink(os("chunk_0001.holo")).unwrap();
    assert!(matches!(files.attr("a.png"), Err(Error::NotFound)));
    assert_eq!(
        files.names("").unwrap(),
        ["a.png.holo"],
        "an empty directory is one"
    );
}

#[test]
fn a_damaged_chunk_is_found_by_status_and_by_reading() {
    let (root, files) = in_memory();
    put_set(&root, "a.png.holo", "a.png.holo", ALL);
    spoil(&root, "a.png.holo", 2);
    let status = files.status("a.png").unwrap();
    assert_eq!(status.state, State::Degraded);
    assert_eq!(status.damage, ["chunk_0002.holo: damaged data of chunk 2"]);
    let held = files.at("a.png").unwrap();
    assert_eq!(
        files.store.verify(held.attr.ino, &mut || true).unwrap(),
        status
    );
    assert_eq!(files.get("a.png").unwrap().len(), 7428);
    // Made good again.
    spoil(&root, "a.png.holo", 2);
    assert_eq!(files.status("a.png").unwrap().state, State::Exact);
}

#[test]
fn what_cannot_be_shown_says_why_and_is_left_alone() {
    let (root, files) = in_memory();
    put_set(&root, "new.png.holo", "a.png.holo", &[]);
    let dir = root.dir(os("new.png.holo")).unwrap();
    let chunk = dir.create(os("chunk_0000.holo"), 0o644, 0).unwrap();
    chunk.write_at(b"HOCH\x03 and so on", 0).unwrap();
    let status = files.status("new.png").unwrap();
    assert_eq!(status.state, State::Lost);
    let said = "chunk_0000.holo: version 3 of Holo.Codec is not supported: it keeps a picture's cosine transform";
    assert!(status.reason.starts_with(said), "{}", status.reason);
    assert!(files.get("new.png").is_err());
    assert!(matches!(files.truncate("new.png", 0), Err(Error::ReadOnly)));
    // Beside a plain file it is hidden, and stays where it is.
    let file = root.create(os("new.png"), 0o644, 0).unwrap();
    file.write_at(b"plain", 0).unwrap();
    assert_eq!(files.get("new.png").unwrap(), b"plain");
    files.put("new.png", b"changed").unwrap();
    files.settle().unwrap();
    assert_eq!(
        disk_names(&root, ""),
        [".holofs", "new.png", "new.png.holo"]
    );
    files.unlink("new.png").unwrap();
    assert_eq!(files.status("new.png").unwrap().state, State::Lost);
}

/// Puts a template of the original under this name into the root.
fn put_template(root: &Arc<dyn Dir>, name: &str, template: &str) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealgate");
    let bytes = fs::read(vectors.join(template)).unwrap();
    let file = root.create(os(name), 0o644, 0).unwrap();
    file.write_at(&bytes, 0).unwrap();
}

#[test]
fn a_template_is_shown_as_the_file_that_it_stands_for() {
    let (root, files) = in_memory();
    put_template(&root, "log.txt.holo", "log.template");
    put_template(&root, "none.holo", "empty.template");
    put_template(&root, "lost.holo", "missing.template");
    put_template(&root, "round.holo", "cycle.template");
    assert_eq!(
        files.names("").unwrap(),
        ["log.txt", "lost", "none", "round"]
    );
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealgate");
    let original = fs::read(vectors.join("log.txt")).unwrap();
    assert!(files.get("log.txt").unwrap() == original);
    assert_eq!(files.get("none").unwrap(), b"");
    let status = files.status("log.txt").unwrap();
    assert_eq!(status.state, State::Exact);
    assert_eq!((status.size, status.stored), (120_000, 20_474));
    assert_eq!(status.codec, "SealGate template");
    let xattr = |name: &str| {
        let held = files.at(name).unwrap();
        files.store.xattr(held.attr.ino, os("user.holofs.contexts"))
    };
    assert_eq!(xattr("log.txt").unwrap(), b"VIDEO,TEXT");
    assert!(matches!(xattr("none"), Err(Error::NoData)));
    files.put("plain", b"plain").unwrap();
    assert!(matches!(xattr("plain"), Err(Error::NoData)));
    for (name, what) in [
        ("lost", "symbol \"Ldddddddddddd\" is not defined"),
        ("round", "symbol \"R2\" is a rule that contains itself"),
    ] {
        let status = files.status(name).unwrap();
        assert_eq!(status.state, State::Lost, "{name}");
        assert!(status.reason.contains(what), "{}", status.reason);
        assert!(files.get(name).is_err(), "{name}");
    }
    for name in ["log.txt", "lost"] {
        assert!(
            matches!(files.truncate(name, 0), Err(Error::ReadOnly)),
            "{name}"
        );
    }
    assert_eq!(files.settle().unwrap().failed, 0);
    files.replace("log.txt", "moved").unwrap();
    assert!(files.get("moved").unwrap() == original);
}
