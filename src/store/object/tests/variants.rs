//! Tests of windows: a set whose content is a bundle shows one variant of its file.

use super::*;
use crate::format::Time;
use crate::format::bundle::{Bundle, Entry, What};
use crate::store::context::Context;

fn entry(name: &str, content: &[u8]) -> Entry {
    let time = Time {
        secs: i64::try_from(content.len()).unwrap(),
        nanos: 1,
    };
    Entry {
        parent: 0,
        name: name.into(),
        what: What::File {
            size: content.len() as u64,
            offset: 0,
            hash: Some(Digest::of(content)),
        },
        mode: 0o600,
        uid: 0,
        gid: 0,
        atime: time,
        mtime: time,
        ctime: time,
        ino: 7,
        xattrs: Vec::new(),
    }
}

/// A bundle of these variants, the default one first.
fn bundle(variants: &[(&str, &[u8])]) -> Vec<u8> {
    let mut entries = vec![Entry {
        what: What::Dir,
        ..entry("", b"")
    }];
    entries.extend(variants.iter().map(|(name, content)| entry(name, content)));
    let order: Vec<u32> = (1..entries.len() as u32).collect();
    let bundle = Bundle::new(ObjectKind::Variants, entries, &order).unwrap();
    let mut bytes = bundle.encode().unwrap();
    bytes.extend(variants.iter().flat_map(|(_, content)| *content));
    bytes
}

fn make(place: &Place, name: &str, content: &[u8]) {
    let kind = ObjectKind::Variants;
    place.make_of(kind, name, content, Profile::None, Layout::Packed, 1);
}

#[test]
fn each_variant_reads_as_a_file_of_its_own() {
    let place = Place::new();
    let contents = [noise(300_000), noise(200_001), Vec::new(), noise(70_000)];
    let names = ["DEFAULT", "A", "B", "C"];
    let variants = || names.into_iter().zip(&contents);
    let all: Vec<_> = variants().map(|(name, c)| (name, c.as_slice())).collect();
    make(&place, "x", &bundle(&all));
    let object = place.open("x");
    assert_eq!(object.variants().len(), 4);
    assert!(object.in_context(&Context::default()).is_none());
    assert!(object.in_context(&Context::new("D").unwrap()).is_none());
    for (name, content) in variants() {
        let shown = object.in_context(&Context::new(name).unwrap());
        let shown = shown.map_or_else(|| Arc::clone(&object), Arc::new);
        assert_eq!(shown.shown_in().to_string(), name);
        assert_eq!(shown.is_variant(), name != "DEFAULT");
        assert_eq!(shown.size(), content.len() as u64);
        assert_eq!(shown.hash(), Digest::of(content));
        let secs = if name == "DEFAULT" {
            1_000_000_000 // an attribute of the set
        } else {
            i64::try_from(content.len()).unwrap()
        };
        assert_eq!(shown.mtime().secs, secs);
        let mut at = 0;
        for length in [1, 4096, 65_537, 131_072, 1_000_000] {
            let mut piece = vec![0; length];
            let read = shown.read_at(at as u64, &mut piece).unwrap();
            assert_eq!(read, length.min(content.len() - at), "{name} at {at}");
            assert!(piece[..read] == content[at..at + read], "{name} at {at}");
            let segment = shown.segment_at(at as u64).unwrap();
            let inside = segment.contains(&(at as u64)) || read == 0;
            assert!(inside && segment.end <= shown.size(), "{name}: {segment:?}");
            at += read;
        }
        assert_eq!(shown.read_at(u64::MAX, &mut [0]).unwrap(), 0);
        let data = shown.seek(0, Seek::Data);
        assert_eq!(data, (!content.is_empty()).then_some(0));
    }
    let whole = object.whole();
    assert_eq!(whole.size(), object.descriptor().size);
    assert!(whole.variants().is_empty());
}

#[test]
fn what_is_no_bundle_of_variants_is_broken() {
    let place = Place::new();
    let good = bundle(&[("DEFAULT", b"default"), ("A", b"other")]);
    let mut renamed = good.clone();
    let at = 24 + 96 + 96 + 7 + 32 + 96;
    assert_eq!(renamed[at], b'A');
    renamed[at] = b'\n'; // no name of a context
    let many: Vec<String> = (0..MOST_VARIANTS).map(|n| format!("{n:060}")).collect();
    let mut all = vec![("DEFAULT", b"".as_slice())];
    all.extend(many.iter().map(|name| (name.as_str(), b"x".as_slice())));
    for (name, content) in [
        ("noise", noise(5000)),
        ("empty", Vec::new()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("long", [good.as_slice(), b"x"].concat()),
        ("head", good[..20].to_vec()),
        ("renamed", renamed),
        ("single", bundle(&[("DEFAULT", b"default")])),
        ("many", bundle(&all)),
    ] {
        make(&place, name, &content);
        let found = place.recognise(name);
        let fine = matches!(found, Recognised::Object(_));
        assert_eq!(fine, matches!(name, "single" | "many"), "{name}: {found:?}");
    }
    // The table is limited before anything is allocated for it.
    let mut huge = good;
    huge[16..24].copy_from_slice(&(200_u64 << 20).to_le_bytes());
    make(&place, "huge", &huge);
    assert!(matches!(place.recognise("huge"), Recognised::Broken { .. }));
}
