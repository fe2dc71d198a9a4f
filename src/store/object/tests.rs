//! Tests of objects on a real directory: what was written reads back from what is left.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may panic"
)]

mod damage;
mod variants;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::codec::{Codec, Content, Request, stored::Stored};
use crate::format::{Digest, ObjectKind, chunk, descriptor::DEFAULT_UNIT, tail};
use crate::hologram::Profile;
use crate::store::build::{Spool, build};
use crate::store::disk::{open_root, read_exact_at};

struct Bytes<'a>(&'a [u8]);

impl Content for Bytes<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.copy_from_slice(&self.0[offset as usize..][..buf.len()]);
        Ok(())
    }
}

/// A directory with objects in it.
struct Place {
    temp: TempDir,
    dir: Arc<dyn Dir>,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = open_root(temp.path()).unwrap();
        Self { temp, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn recognise_limited(&self, name: &str, limit: Option<u16>) -> Recognised {
        let name = OsStr::new(name);
        recognise(
            self.dir.as_ref(),
            name,
            &self.dir.meta(name).unwrap(),
            limit,
        )
        .unwrap()
    }

    fn recognise(&self, name: &str) -> Recognised {
        self.recognise_limited(name, None)
    }

    fn open(&self, name: &str) -> Arc<Object> {
        match self.recognise(name) {
            Recognised::Object(object) => object,
            other => panic!("{other:?}"),
        }
    }

    /// Encodes `content` as the object `name`.
    fn make(&self, name: &str, content: &[u8], profile: Profile, layout: Layout, generation: u32) {
        self.make_of(ObjectKind::File, name, content, profile, layout, generation);
    }

    fn make_of(
        &self,
        kind: ObjectKind,
        name: &str,
        content: &[u8],
        profile: Profile,
        layout: Layout,
        generation: u32,
    ) {
        let mut spool = Spool::new(Arc::clone(&self.dir));
        let encoded = Stored
            .encode(&Bytes(content), Request::default(), &mut spool)
            .unwrap();
        let lengths: Vec<u64> = (0..spool.count()).map(|layer| spool.len(layer)).collect();
        let descriptor = Descriptor {
            version: crate::format::VERSION,
            size: content.len() as u64,
            hash: Digest::of(content),
            holes: Vec::new(),
            kind,
            codec: Stored.id().0,
            settings: encoded.settings,
            chunks: profile.chunks(),
            layers: profile.layers(&lengths),
            unit: DEFAULT_UNIT,
        };
        let (dir, logical) = (self.dir.as_ref(), OsStr::new("logical"));
        let attributes = attributes(7, generation);
        build(
            dir,
            OsStr::new(name),
            &spool,
            &descriptor,
            logical,
            &attributes,
            layout,
        )
        .unwrap();
    }
}

fn attributes(ino: u64, generation: u32) -> Attributes {
    let time = crate::format::Time {
        secs: 1_000_000_000,
        nanos: 5,
    };
    Attributes {
        mode: 0o644,
        uid: 1,
        gid: 2,
        mtime: time,
        ctime: time,
        ino,
        generation,
    }
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn read(object: &Object) -> Result<Vec<u8>> {
    let mut bytes = vec![0; object.descriptor().size as usize];
    let length = object.read_at(0, &mut bytes)?;
    assert_eq!(length, bytes.len());
    Ok(bytes)
}

/// The files of a spread set, the manifest last.
fn chunk_files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_was_encoded_reads_back_from_any_offset() {
    let place = Place::new();
    let text = b"all work and no play makes jack a dull boy\n".repeat(9000);
    let contents = [
        Vec::new(),
        vec![1],
        noise(1000),
        noise(200_000),
        text,
        vec![0; 300_000],
    ];
    let custom = Profile::Custom { n: 5, k: 3 };
    for (i, content) in contents.iter().enumerate() {
        for profile in [Profile::None, Profile::Standard, custom] {
            for layout in [Layout::Packed, Layout::Spread] {
                let name = format!("{i}.{profile}.{layout:?}.holo").replace('/', "_");
                place.make(&name, content, profile, layout, 1);
                let object = place.open(&name);
                assert_eq!(read(&object).unwrap(), *content);
                assert_eq!(
                    (object.layout(), object.attributes()),
                    (layout, attributes(7, 1))
                );
                let (need, total) = (profile.need().into(), profile.chunks().into());
                let count = object.chunk_count().unwrap();
                assert_eq!(
                    count,
                    ChunkCount {
                        have: total,
                        need,
                        total
                    }
                );
                for (offset, length) in [(0, 10), (130_000, 5000), (131_072, 131_072), (7, 190_000)]
                {
                    let mut buf = vec![9; length];
                    let got = object.read_at(offset, &mut buf).unwrap();
                    let rest = content.get(offset as usize..).unwrap_or_default();
                    assert_eq!(got, length.min(rest.len()));
                    assert_eq!(buf[..got], rest[..got]);
                }
                let meta = fs::metadata(place.path(&name)).unwrap();
                let files = if meta.is_dir() {
                    chunk_files(&place.path(&name))
                } else {
                    vec![place.path(&name)]
                };
                let sizes: u64 = files
                    .iter()
                    .map(|file| file.metadata().unwrap().len())
                    .sum();
                assert_eq!(object.stored_bytes(), sizes);
                assert!(object.damage().is_empty());
                assert!(object.verify(&mut |_| true).unwrap().unwrap().intact());
            }
        }
    }
}

#[test]
fn attributes_change_without_the_rest() {
    let place = Place::new();
    for (name, layout) in [("p.holo", Layout::Packed), ("s.holo", Layout::Spread)] {
        place.make(name, &noise(5000), Profile::Light, layout, 1);
        let before = place.open(name).stored_bytes();
        let object = place.open(name);
        for ino in 10..20 {
            object.set_attributes(&attributes(ino, 1)).unwrap();
            assert_eq!(place.open(name).attributes().ino, ino);
        }
        assert_eq!(place.open(name).stored_bytes(), before);
        // Damage in the slot in force brings the one before back, not nonsense.
        object.set_attributes(&attributes(20, 1)).unwrap();
        let file = if layout == Layout::Packed {
            place.path(name)
        } else {
            place.path(name).join("manifest")
        };
        let bytes = fs::read(&file).unwrap();
        let found: Vec<u64> = [16, 88]
            .map(|slot| {
                fs::write(&file, &bytes).unwrap();
                flip(&file, slot + 30);
                place.open(name).attributes().ino
            })
            .into();
        assert!(found == [19, 20] || found == [20, 19], "{found:?}");
    }
}

#[test]
fn what_is_not_ours_is_left_alone_and_what_is_broken_says_so() {
    let place = Place::new();
    fs::write(place.path("empty.holo"), b"").unwrap();
    fs::write(place.path("text.holo"), noise(9000)).unwrap();
    fs::create_dir(place.path("dir.holo")).unwrap();
    fs::create_dir(place.path("web.holo")).unwrap();
    fs::write(place.path("web.holo/manifest"), b"{}").unwrap();
    place.make("s.holo", &noise(1000), Profile::Light, Layout::Spread, 1);
    let files = chunk_files(&place.path("s.holo"));
    fs::copy(&files[0], place.path("chunk.holo")).unwrap();
    for name in [
        "empty.holo",
        "text.holo",
        "dir.holo",
        "web.holo",
        "chunk.holo",
    ] {
        assert!(
            matches!(place.recognise(name), Recognised::NotOurs),
            "{name}"
        );
    }

    let what = |name: &str| match place.recognise(name) {
        Recognised::Broken { what, .. } => what,
        other => panic!("{other:?}"),
    };
    // Chunks without one usable header, and no manifest.
    for file in &files {
        fs::write(file, noise(100)).unwrap();
    }
    assert_eq!(what("s.holo"), "not a manifest at byte 0");
    fs::remove_file(&files[16]).unwrap();
    assert_eq!(what("s.holo"), "no manifest and no usable chunk");
    // From the future, at both ends.
    place.make(
        "future.holo",
        &noise(1000),
        Profile::None,
        Layout::Packed,
        1,
    );
    flip(&place.path("future.holo"), 8);
    assert!(
        matches!(place.recognise("future.holo"), Recognised::Object(_)),
        "the tail serves"
    );
    let length = fs::metadata(place.path("future.holo")).unwrap().len() as usize;
    flip(&place.path("future.holo"), length - 10);
    assert_eq!(
        what("future.holo"),
        "format version 5 is newer than this program reads"
    );
    // A manifest alone tells what the file was, and gives none of it.
    place.make("m.holo", &noise(1000), Profile::Light, Layout::Spread, 1);
    for file in &chunk_files(&place.path("m.holo"))[..16] {
        fs::remove_file(file).unwrap();
    }
    let object = place.open("m.holo");
    assert_eq!(
        (object.descriptor().size, object.attributes()),
        (1000, attributes(7, 1))
    );
    assert!(matches!(read(&object), Err(Error::Damaged { .. })));
}

#[test]
fn a_view_of_few_chunks_shows_what_they_would() {
    let place = Place::new();
    let content = noise(20_000);
    for (name, layout) in [("p.holo", Layout::Packed), ("s.holo", Layout::Spread)] {
        place.make(name, &content, Profile::Standard, layout, 1);
        for limit in [0, 1, 13, 14, 15, 16, 99] {
            let Recognised::Object(object) = place.recognise_limited(name, Some(limit)) else {
                panic!("{name}");
            };
            assert_eq!(
                read(&object).ok(),
                (limit >= 14).then(|| content.clone()),
                "{limit}"
            );
            assert_eq!(object.chunk_count().unwrap().have, limit.min(16));
            assert!(object.damage().is_empty());
        }
    }
}

#[test]
fn layers_can_be_protected_anew_from_what_is_left() {
    let place = Place::new();
    let content = noise(500_000);
    place.make("x.holo", &content, Profile::Standard, Layout::Spread, 1);
    for file in &chunk_files(&place.path("x.holo"))[4..6] {
        fs::remove_file(file).unwrap();
    }
    let object = place.open("x.holo");
    let lengths: Vec<u64> = object
        .descriptor()
        .layers
        .iter()
        .map(|layer| layer.length)
        .collect();
    let strong = Profile::Strong;
    let descriptor = Descriptor {
        chunks: strong.chunks(),
        layers: strong.layers(&lengths),
        ..object.descriptor().clone()
    };
    let (dir, name) = (place.dir.as_ref(), OsStr::new("y.holo"));
    let logical = OsStr::new("logical");
    build(
        dir,
        name,
        &object.layers(),
        &descriptor,
        logical,
        &attributes(7, 2),
        Layout::Packed,
    )
    .unwrap();
    let again = place.open("y.holo");
    assert_eq!(read(&again).unwrap(), content);
    assert_eq!(
        again.chunk_count().unwrap(),
        ChunkCount {
            have: 16,
            need: 12,
            total: 16
        }
    );
}

#[test]
fn holes_read_as_zeros_and_are_found() {
    let place = Place::new();
    let mut content = noise(400_000);
    content[100_000..300_000].fill(0);
    content[399_000..].fill(0);
    place.make("whole.holo", &content, Profile::None, Layout::Packed, 1);
    let whole = place.open("whole.holo");
    let holes = [
        Extent {
            offset: 100_000,
            length: 200_000,
        },
        Extent {
            offset: 399_000,
            length: 1000,
        },
    ];
    let descriptor = Descriptor {
        holes: holes.to_vec(),
        ..whole.descriptor().clone()
    };
    let (dir, name) = (place.dir.as_ref(), OsStr::new("x.holo"));
    let logical = OsStr::new("x");
    build(
        dir,
        name,
        &whole.layers(),
        &descriptor,
        logical,
        &attributes(7, 1),
        Layout::Packed,
    )
    .unwrap();
    let object = place.open("x.holo");
    assert_eq!(read(&object).unwrap(), content);
    let seeks =
        |whence| [0, 100_000, 299_999, 300_000, 399_500, 400_000].map(|at| object.seek(at, whence));
    assert_eq!(
        seeks(Seek::Data),
        [
            Some(0),
            Some(300_000),
            Some(300_000),
            Some(300_000),
            None,
            None
        ]
    );
    assert_eq!(
        seeks(Seek::Hole),
        [
            Some(100_000),
            Some(100_000),
            Some(299_999),
            Some(399_000),
            Some(399_500),
            None
        ]
    );
    assert_eq!(whole.seek(5, Seek::Hole), Some(400_000));
}

/// The names in the format's documentation are those on disk.
#[test]
fn a_spread_set_has_the_documented_files() {
    let place = Place::new();
    place.make(
        "x.holo",
        &noise(100),
        Profile::Custom { n: 2, k: 1 },
        Layout::Spread,
        0x9f2c_41aa,
    );
    let files = chunk_files(&place.path("x.holo"));
    let names: Vec<_> = files
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "chunk_0000.9f2c41aa.holo",
            "chunk_0001.9f2c41aa.holo",
            "manifest"
        ]
    );
    let bytes = fs::read(&files[1]).unwrap();
    let header = chunk::decode(&bytes).unwrap();
    assert_eq!(
        (header.index, header.frozen.name.as_slice()),
        (1, &b"logical"[..])
    );
    place.make("p.holo", &noise(100), Profile::None, Layout::Packed, 1);
    let packed = fs::read(place.path("p.holo")).unwrap();
    assert_eq!(tail::decode(&packed).unwrap().frozen.name, b"logical");
}
