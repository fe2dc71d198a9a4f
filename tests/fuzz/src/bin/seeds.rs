//! Makes the first inputs of all targets: `seeds VECTORS OUT` fills `OUT/TARGET/` from the vectors of the tests.

use std::fs;
use std::path::{Path, PathBuf};

use holofs::codec::{by_name, suited};
use holofs::coding::hash::Digest;
use holofs::format::{
    Attributes, Descriptor, Frozen, LayerSpec, ObjectKind, chunk, manifest, tail,
};
use holofs_fuzz::codec::encode;
use holofs_fuzz::foreign::Files;
use holofs_fuzz::format::unwrapped;
use holofs_fuzz::object::Object;
// Its runtime is what the coverage of this program counts into.
use libfuzzer_sys as _;

/// Most bytes of a file that seeds are made of: small inputs are changed at more places a second.
const MOST: usize = 24 << 10;

struct Seeds(PathBuf);

impl Seeds {
    fn put(&self, target: &str, seed: &[u8]) {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder).expect("a folder for seeds");
        let name = Digest::of(seed).to_string();
        fs::write(folder.join(&name[..16]), seed).expect("a seed");
    }

    /// A file for all targets that take files of its kind.
    fn file(&self, file: &[u8]) {
        for target in ["pictures", "jpeg", "sound", "y4m", "stack"] {
            let fits = match file {
                [0xff, 0xd8, ..] => matches!(target, "jpeg" | "stack"),
                [b'R' | b'F', ..] => target == "sound",
                [b'Y', ..] => target == "y4m",
                _ => matches!(target, "pictures" | "stack"),
            };
            if fits {
                self.put(target, file);
            }
        }
        let general = ["stored", "template"].into_iter().filter_map(by_name);
        for codec in suited(file).into_iter().chain(general) {
            for how in [0, 4, 12, 16 | 8] {
                self.put(
                    &format!("encode_{}", codec.name()),
                    &[&[how], file].concat(),
                );
                let Some((object, _)) = encode(codec, how, file) else {
                    continue;
                };
                let target = format!("decode_{}", codec.name());
                let id = u8::try_from(codec.id().0).unwrap_or(0);
                self.put("store", &[&[128 | id][..], &object.to_input()].concat());
                self.put(&target, &object.to_input());
                if object.layers.len() > 1 {
                    let fewer = Object {
                        present: 2,
                        ..object
                    };
                    self.put(&target, &fewer.to_input());
                }
            }
        }
    }

    fn format(&self) {
        let attributes = Attributes {
            mode: 0o644,
            ino: 1,
            ..Attributes::default()
        };
        let frozen = Frozen::new(b"photo.jpg", &attributes).expect("a name");
        for (chunks, layers) in [(1, 1), (16, 5)] {
            let spec = |k| LayerSpec {
                k: k * chunks / 16 + u8::from(chunks == 1),
                length: 1000,
            };
            let descriptor = Descriptor {
                size: 5000,
                hash: Digest::of(b""),
                holes: Vec::new(),
                kind: ObjectKind::File,
                codec: 1,
                settings: vec![1, 2, 3],
                chunks,
                layers: [1, 4, 8, 12, 14].map(spec)[..layers].to_vec(),
                unit: 64 << 10,
            };
            let bytes = descriptor.encode().expect("a descriptor");
            self.put("format", &bytes);
            self.put(
                "format",
                &manifest::encode(&descriptor, &attributes).expect("a manifest"),
            );
            let head = chunk::encode(0, &descriptor, &frozen).expect("a header");
            self.put(
                "format",
                &tail::encode(&descriptor, &frozen).expect("a tail"),
            );
            let copy = &head[20 + bytes.len()..head.len() - 16];
            self.put("format", &unwrapped(0, &bytes, &[0; 112]));
            self.put("format", &unwrapped(1, &bytes, &[&[0], copy].concat()));
            self.put("format", &unwrapped(2, &bytes, copy));
            self.put("format", &head);
        }
    }

    fn phrases(&self, text: &[u8]) {
        use holofs::coding::phrases::{Effort, learn};
        let Some(learned) = learn(text, Effort::Fast, &|| false) else {
            return;
        };
        let bytes = learned.dictionary.to_bytes();
        let length = u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes();
        let coded = learned.dictionary.encode(&text[..text.len().min(2000)]);
        self.put("phrases", &[&length[..], &bytes, &coded].concat());
    }
}

/// All files below a folder, those of each folder together.
fn folders(path: &Path, found: &mut Vec<Vec<Vec<u8>>>) {
    let mut here = Vec::new();
    let entries = fs::read_dir(path).expect("a folder");
    let mut entries: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            folders(&entry, found);
        } else {
            here.push(fs::read(entry).expect("a file"));
        }
    }
    found.push(here);
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(vectors), Some(out)) = (arguments.next(), arguments.next()) else {
        panic!("seeds VECTORS OUT");
    };
    let seeds = Seeds(out.into());
    let mut found = Vec::new();
    folders(Path::new(&vectors), &mut found);
    for folder in found {
        for file in folder.iter().filter(|file| file.len() <= MOST) {
            seeds.file(file);
            seeds.put("foreign", &Files(vec![file.clone()]).to_input());
            seeds.put("sealgate", file);
            seeds.put(
                "store",
                &[&[0][..], &Files(vec![file.clone()]).to_input()].concat(),
            );
        }
        // Chunk directories: what begins with the same magic, a few of them.
        let few: Vec<_> = folder
            .into_iter()
            .filter(|f| f.starts_with(b"HO"))
            .take(8)
            .collect();
        if !few.is_empty() && few.concat().len() < 8 * MOST {
            seeds.put("foreign", &Files(few).to_input());
        }
    }
    seeds.format();
    let text: Vec<String> = (0..400)
        .map(|i| {
            format!(
                "{{\"id\": {i}, \"name\": \"item {}\", \"state\": \"open\"}}\n",
                i * i % 97
            )
        })
        .collect();
    let text = text.concat();
    seeds.file(text.as_bytes());
    seeds.phrases(text.as_bytes());
    let template = holofs::foreign::sealgate::encode("a.json", &text.as_bytes()[..1000]);
    seeds.put(
        "foreign",
        &Files(vec![template.expect("a template")]).to_input(),
    );
    let y4m = [
        &b"YUV4MPEG2 W16 H8 F25:1 C420jpeg\n"[..],
        &[&b"FRAME\n"[..], &[77; 192]].concat().repeat(3),
    ];
    seeds.file(&y4m.concat());
    for text in [
        holofs::store::policy::Policy::default_text(),
        include_str!("../../policy.toml"),
    ] {
        seeds.put("policy", text.as_bytes());
    }
    let options =
        "ro,noatime,chunks=4,degraded=eio,cache_size=4GiB\ncache_dir=/a\\,b,x-systemd.automount";
    seeds.put("options", options.as_bytes());
    for name in [
        "b.holo~~",
        "b.holo",
        ".holo",
        "..holo",
        "b.holo.holo",
        "cat.jpg",
    ] {
        seeds.put("names", name.as_bytes());
    }
    seeds.put(
        "deflate",
        &[
            &[0xe0],
            &holofs::media::deflate::compress(text.as_bytes(), 6)[..],
        ]
        .concat(),
    );
}
