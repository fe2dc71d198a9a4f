//! A store with files from elsewhere in it: bytes as they are, and objects whose hashes hold, whatever they say.

#![no_main]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use holofs::codec::{CodecId, by_id};
use holofs::format::{
    Attributes, Descriptor, Digest, Extent, Frozen, LayerSpec, ObjectKind, manifest, tail,
};
use holofs::hologram::{ShareSink, protect};
use holofs::store::{Kind, OpenHow, Options, Store, walk::walk};
use holofs_fuzz::codec::large;
use holofs_fuzz::foreign::Files;
use holofs_fuzz::object::Object;

/// Where files go, in turn; what is at these places leaves with the input.
const PLACES: [&str; 7] = [
    "a.holo",
    "a",
    "b.holo/manifest",
    "b.holo/chunk_0000.00000001.holo",
    "b.holo/chunk_0001.00000001.holo",
    ".holofs/intent/i-1",
    "c.png.holo",
];
/// Most bytes of content that are read.
const MOST: u64 = 1 << 20;

/// A store of this process, below a folder that `scripts/fuzz.sh` removes.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let name = format!("holofs-fuzz-store.{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).expect("a folder for a store");
    holofs::store::init(&path).expect("a store");
    path
});

#[derive(Debug, Default)]
struct Bodies(Vec<Vec<u8>>);

impl ShareSink for Bodies {
    fn put(&mut self, chunk: usize, _: u64, bytes: &[u8]) -> io::Result<()> {
        self.0[chunk].extend_from_slice(bytes);
        Ok(())
    }
}

/// A packed object of two chunks with one more; `how` says its codec, what it is, and whether it begins with a hole.
fn packed(how: u8, object: &Object) -> Option<Vec<u8>> {
    let codec = by_id(CodecId(u16::from(how & 7)));
    if codec.is_some_and(|codec| large(codec.name(), &object.settings)) {
        return None;
    }
    let layers = object.layers.iter();
    let hole = Extent {
        offset: 0,
        length: u64::from(how) * 10 + 1,
    };
    let descriptor = Descriptor {
        size: object.size,
        hash: Digest::of(b""),
        holes: if how & 64 == 0 { vec![] } else { vec![hole] },
        kind: [ObjectKind::File, ObjectKind::Tree, ObjectKind::Variants][usize::from(how >> 4) % 3],
        codec: u16::from(how & 7),
        settings: object.settings.clone(),
        chunks: 3,
        layers: layers
            .map(|layer| LayerSpec {
                k: 2,
                length: layer.len() as u64,
            })
            .collect(),
        unit: 4096,
    };
    let mut bodies = Bodies(vec![Vec::new(); 3]);
    protect(&descriptor, object, &mut bodies).ok()?;
    let attributes = Attributes {
        mode: 0o644,
        ino: 7,
        generation: 1,
        ..Attributes::default()
    };
    let mut file = manifest::encode(&descriptor, &attributes).ok()?;
    file.extend(bodies.0.concat());
    let frozen = Frozen::new(b"a", &attributes).ok()?;
    file.extend(tail::encode(&descriptor, &frozen).ok()?);
    Some(file)
}

fn read_all(path: &Path) {
    let Ok(store) = Store::open(path, Options::default()) else {
        return;
    };
    let mut files = Vec::new();
    let walked = walk(&store, Path::new(""), &mut |path, attr| {
        if attr.is_ok_and(|attr| attr.kind == Kind::File) {
            files.push(path.to_owned());
        }
        true
    });
    walked.expect("a store that can be listed");
    for path in files {
        let Ok(attr) = store.lookup_path(&path) else {
            continue;
        };
        let _ = store.status(attr.ino);
        for name in ["status", "chunks", "health", "quality", "preview", "codec"] {
            let _ = store.xattr(attr.ino, format!("user.holofs.{name}").as_ref());
        }
        if attr.size <= MOST
            && let Ok(opened) = store.open_file(attr.ino, OpenHow::default())
        {
            let mut buffer = vec![0; attr.size as usize];
            if opened.file.is_none() {
                let _ = store.read(attr.ino, 0, &mut buffer);
                let middle = buffer.len() / 2;
                let _ = store.read(attr.ino, middle as u64, &mut buffer[middle..]);
            }
            drop(opened);
            store.release(attr.ino, false);
        }
        store.forget(attr.ino, 1);
    }
    let _ = store.close();
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else {
        return;
    };
    let files = if how & 128 == 0 {
        Files::parse(rest).map(|files| files.0)
    } else {
        Object::parse(rest).and_then(|object| Some(vec![packed(*how, &object)?]))
    };
    let path = &*PLACE;
    let lost = path.join(".holofs/lost+found");
    let places = PLACES.map(|place| path.join(place));
    for (place, file) in places.iter().zip(files.unwrap_or_default()) {
        if !file.is_empty() {
            let folder = place.parent().expect("places are below the store");
            fs::create_dir_all(folder).expect("a folder");
            fs::write(place, file).expect("a file");
        }
    }
    read_all(path);
    for place in ["a", "a.holo", "b.holo", "c.png.holo"] {
        let place = path.join(place);
        let _ = fs::remove_file(&place).or_else(|_| fs::remove_dir_all(&place));
    }
    let _ = fs::remove_file(&places[5]);
    let _ = fs::remove_dir_all(lost);
});
