//! Damage of every kind: what is within the protection costs nothing, what is beyond is an error.

use super::*;

/// Damages the file at a path.
type Harm = fn(&Path);

#[test]
fn lost_chunks_within_the_protection_cost_nothing_and_come_back() {
    let place = Place::new();
    let content = noise(2_000_000);
    place.make("x.holo", &content, Profile::Standard, Layout::Spread, 1);
    let files = chunk_files(&place.path("x.holo"));
    let away = |file: &Path| {
        fs::rename(
            file,
            place.path(file.file_name().unwrap().to_str().unwrap()),
        )
    };
    away(&files[0]).unwrap();
    away(&files[9]).unwrap();
    let object = place.open("x.holo");
    assert_eq!(read(&object).unwrap(), content);
    assert_eq!(object.chunk_count().unwrap().have, 14);
    assert_eq!(
        object.damage(),
        ["chunk 0 missing or damaged", "chunk 9 missing or damaged"]
    );

    // One more than the protection: an error, never other bytes; intact data units still read.
    away(&files[1]).unwrap();
    let object = place.open("x.holo");
    assert!(matches!(read(&object), Err(Error::Damaged { .. })));
    let mut last = [0; 100];
    object.read_at(1_999_900, &mut last).unwrap();
    assert_eq!(last, content[1_999_900..]);

    // A chunk comes back under the open reader.
    let home = &files[9];
    fs::rename(
        place.path(home.file_name().unwrap().to_str().unwrap()),
        home,
    )
    .unwrap();
    assert_eq!(read(&object).unwrap(), content);
}

#[test]
fn strangers_in_the_place_of_chunks_are_missing_chunks() {
    let place = Place::new();
    let content = noise(100_000);
    place.make(
        "x.holo",
        &content,
        Profile::Custom { n: 8, k: 3 },
        Layout::Spread,
        1,
    );
    let files = chunk_files(&place.path("x.holo"));
    for file in &files[..5] {
        fs::rename(
            file,
            place.path(file.file_name().unwrap().to_str().unwrap()),
        )
        .unwrap();
    }
    std::os::unix::fs::symlink(&files[5], &files[0]).unwrap();
    fs::create_dir(&files[1]).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &files[2],
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    fs::write(&files[3], b"").unwrap();
    fs::copy(&files[6], &files[4]).unwrap(); // a chunk under another's name
    let object = place.open("x.holo");
    assert_eq!(read(&object).unwrap(), content);
    assert_eq!(object.chunk_count().unwrap().have, 3);
    fs::remove_file(&files[7]).unwrap();
    assert!(read(&place.open("x.holo")).is_err());
}

#[test]
fn a_spread_set_does_without_its_manifest() {
    let place = Place::new();
    let content = noise(50_000);
    let manifest = |name: &str| place.path(name).join("manifest");
    let harms: [(&str, Harm); 4] = [
        ("gone.holo", |path| fs::remove_file(path).unwrap()),
        ("empty.holo", |path| fs::write(path, b"").unwrap()),
        ("junk.holo", |path| fs::write(path, noise(5000)).unwrap()),
        ("slots.holo", |path| {
            flip(path, 20);
            flip(path, 100);
        }),
    ];
    for (name, harm) in harms {
        place.make(name, &content, Profile::Standard, Layout::Spread, 3);
        harm(&manifest(name));
        fs::remove_file(&chunk_files(&place.path(name))[2]).unwrap();
        let object = place.open(name);
        assert_eq!(read(&object).unwrap(), content, "{name}");
        assert_eq!(
            object.attributes(),
            Attributes {
                mode: 0o600,
                ..attributes(7, 3)
            }
        );
        assert!(
            object
                .damage()
                .iter()
                .any(|word| word.contains("manifest") || word.contains("slot"))
        );
        object.restore_manifest().unwrap();
        object.set_attributes(&attributes(8, 3)).unwrap();
        let object = place.open(name);
        assert_eq!(
            (object.attributes().ino, read(&object).unwrap()),
            (8, content.clone())
        );
    }
    // With the descriptor damaged but not the slots, the live attributes are still known.
    place.make("live.holo", &content, Profile::Standard, Layout::Spread, 3);
    place
        .open("live.holo")
        .set_attributes(&attributes(9, 3))
        .unwrap();
    flip(&manifest("live.holo"), 170);
    assert_eq!(place.open("live.holo").attributes().ino, 9);
    place.open("live.holo").restore_manifest().unwrap();
    assert!(place.open("live.holo").damage().is_empty());
    assert_eq!(place.open("live.holo").attributes().ino, 9);
}

#[test]
fn a_packed_object_is_read_from_either_end() {
    let place = Place::new();
    let content = noise(300_000);
    let path = place.path("x.holo");
    place.make("x.holo", &content, Profile::Standard, Layout::Packed, 1);
    place
        .open("x.holo")
        .set_attributes(&attributes(9, 1))
        .unwrap();
    let whole = fs::read(&path).unwrap();

    // The head overwritten: frozen attributes. Its descriptor only: the live ones.
    let mut headless = whole.clone();
    headless[..300].fill(0);
    fs::write(&path, &headless).unwrap();
    let object = place.open("x.holo");
    assert_eq!(
        (read(&object).unwrap(), object.attributes().ino),
        (content.clone(), 7)
    );
    object.restore_manifest().unwrap();
    assert_eq!(place.open("x.holo").attributes().ino, 7);
    fs::write(&path, &whole).unwrap();
    flip(&path, 170);
    assert_eq!(place.open("x.holo").attributes().ino, 9);
    place.open("x.holo").restore_manifest().unwrap();
    assert_eq!(place.open("x.holo").attributes().ino, 9);

    // Cut anywhere in the last two chunks.
    for cut in [1, 50, 1000, 40_000] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let object = place.open("x.holo");
        assert_eq!(read(&object).unwrap(), content, "cut by {cut}");
        object.verify(&mut |_| true).unwrap();
        assert!(object.damage().contains(&"tail damaged".to_owned()));
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let object = place.open("x.holo");
    assert!(read(&object).is_err());
    assert_eq!(
        object.chunk_count().unwrap(),
        ChunkCount {
            have: 7,
            need: 14,
            total: 16
        }
    );
}

/// Invariant: no read returns bytes that were not proved.
#[test]
fn no_flipped_bit_gives_wrong_bytes() {
    let place = Place::new();
    let content = noise(300);
    for (profile, protected) in [
        (Profile::Custom { n: 4, k: 2 }, true),
        (Profile::None, false),
    ] {
        let name = format!("{}.holo", profile.chunks());
        place.make(&name, &content, profile, Layout::Packed, 1);
        let file = place.dir.open(OsStr::new(&name), Access::Write).unwrap();
        let mut whole = vec![0; file.meta().unwrap().size as usize];
        read_exact_at(file.as_ref(), &mut whole, 0).unwrap();
        for bit in 0..whole.len() * 8 {
            let (at, byte) = (bit / 8, whole[bit / 8]);
            file.write_at(&[byte ^ (1 << (bit % 8))], at as u64)
                .unwrap();
            let object = place.open(&name);
            match read(&object) {
                Ok(found) => assert_eq!(found, content, "bit {bit}"),
                Err(e) => assert!(
                    !protected && matches!(e, Error::Damaged { .. }),
                    "bit {bit}: {e}"
                ),
            }
            let attributes = object.attributes();
            assert_eq!(
                (attributes.ino, attributes.mode & 0o700),
                (7, 0o600),
                "bit {bit}"
            );
            file.write_at(&[byte], at as u64).unwrap();
        }
    }
}

#[test]
fn generations_in_one_directory_never_mix() {
    let place = Place::new();
    let (old, new) = (noise(30_000), noise(40_000));
    let profile = Profile::Custom { n: 4, k: 3 };
    place.make("old.holo", &old, profile, Layout::Spread, 1);
    place.make("new.holo", &new, profile, Layout::Spread, 2);
    let (old_files, new_files) = (
        chunk_files(&place.path("old.holo")),
        chunk_files(&place.path("new.holo")),
    );
    let content = |manifest: &Path, new_chunks: usize| {
        let x = place.path("x.holo");
        drop(fs::remove_dir_all(&x));
        fs::create_dir(&x).unwrap();
        let chunks = old_files[..4].iter().chain(&new_files[..new_chunks]);
        for file in chunks.map(PathBuf::as_path).chain([manifest]) {
            fs::copy(file, x.join(file.file_name().unwrap())).unwrap();
        }
        let object = place.open("x.holo");
        (read(&object).unwrap(), object.attributes().generation)
    };
    // As a copy of a newer set over an older one goes on: chunks, then the manifest.
    for manifest in [&old_files[4], &new_files[4]] {
        assert_eq!(content(manifest, 0), (old.clone(), 1));
        assert_eq!(content(manifest, 2), (old.clone(), 1));
        assert_eq!(content(manifest, 3), (new.clone(), 2));
        assert_eq!(content(manifest, 4), (new.clone(), 2));
    }
}

#[test]
fn chunks_are_known_by_their_headers_not_by_their_names() {
    let place = Place::new();
    let content = noise(30_000);
    place.make(
        "x.holo",
        &content,
        Profile::Custom { n: 4, k: 3 },
        Layout::Spread,
        1,
    );
    let files = chunk_files(&place.path("x.holo"));
    for (i, file) in files[..3].iter().enumerate() {
        fs::rename(file, place.path("x.holo").join(format!("saved ({i})"))).unwrap();
    }
    fs::remove_file(&files[3]).unwrap();
    assert_eq!(read(&place.open("x.holo")).unwrap(), content);
}

#[test]
fn verification_names_what_is_damaged() {
    let place = Place::new();
    place.make(
        "x.holo",
        &noise(1_000_000),
        Profile::Standard,
        Layout::Spread,
        1,
    );
    let files = chunk_files(&place.path("x.holo"));
    let object = place.open("x.holo");
    flip(&files[3], 5000);
    flip(&files[5], 30); // header
    let mut read = 0;
    let count = &mut |bytes| {
        read += bytes;
        true
    };
    let report = object.verify(count).unwrap().unwrap();
    assert!(!report.intact() && report.readable_layers() == 1);
    assert_eq!(report.chunks[3].bad, 1);
    assert_eq!(
        object.damage(),
        ["chunk 5 missing or damaged", "chunk 3: 1 bad unit"]
    );
    assert!(read > 1_000_000);
    // Repaired from outside, the open object notices.
    flip(&files[3], 5000);
    flip(&files[5], 30);
    assert!(object.verify(&mut |_| true).unwrap().unwrap().intact());
    assert!(object.damage().is_empty());
}
