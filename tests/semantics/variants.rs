//! Variants: each context shows its own content of a file, whatever is done to the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use holofs::store::disk::Dir;
use holofs::store::{Context, Error, Options, Rename, Store};

use super::support::Rng;
use super::support::files::{EAGER, Files, disk_names, make_store};
use super::{CrashDisk, in_memory, sample};

const CONTEXTS: [&str; 4] = ["DEFAULT", "A", "B", "C"];
const NAMES: [&str; 4] = ["one", "two", "three", "four"];

/// What each file should show in each context; `DEFAULT` is always there.
type Model = BTreeMap<&'static str, BTreeMap<&'static str, Vec<u8>>>;

fn open(root: &Arc<dyn Dir>, context: &str) -> Files {
    let options = Options {
        context: Context::new(context).unwrap(),
        ..Options::default()
    };
    let store = Store::on_disk(Arc::clone(root), options).unwrap();
    Files { store }
}

fn check(files: &Files, model: &Model, what: &str) {
    for context in CONTEXTS {
        let view = files.seen_in(context).unwrap();
        let names: Vec<&str> = model.keys().copied().collect();
        let mut shown = view.names("").unwrap();
        shown.sort_by_key(|name| names.iter().position(|n| n == name));
        assert_eq!(shown, names, "{what}");
        for (name, variants) in model {
            let wanted = variants.get(context).unwrap_or(&variants["DEFAULT"]);
            let size = view.attr(name).unwrap().size;
            assert_eq!(size, wanted.len() as u64, "{what}: {name} in {context}");
            let seen = view.get(name).unwrap();
            assert!(seen == *wanted, "{what}: {name} in {context}");
        }
    }
}

/// Contents of all sizes, some of them alike.
fn content(rng: &mut Rng) -> Vec<u8> {
    let size = *rng.pick(&[0, 1, 700, 5000, 40_000, 150_000]);
    let mut content = sample(rng.below(2) as u8, size);
    if let Some(byte) = content.last_mut() {
        *byte = rng.next() as u8;
    }
    content
}

#[test]
fn what_is_done_in_one_context_shows_in_no_other() {
    for seed in 0..12 {
        let root = CrashDisk::new().root();
        make_store(&root, EAGER);
        let mut rng = Rng::new(seed);
        let mut model = Model::new();
        let mut here = "DEFAULT";
        let mut files = open(&root, here);
        for step in 0..60 {
            let name = *rng.pick(&NAMES);
            let there = model.contains_key(name);
            let kind = rng.below(10);
            let what = format!("seed {seed}, step {step}: {kind} of {name} in {here}");
            match kind {
                0..=2 => {
                    let content = content(&mut rng);
                    files.put(name, &content).unwrap();
                    let context = if there { here } else { "DEFAULT" };
                    model.entry(name).or_default().insert(context, content);
                }
                3 if there => {
                    let file = files.writer(name).unwrap();
                    file.write(3, b"changed").unwrap();
                    drop(file);
                    let variants = model.get_mut(name).unwrap();
                    let shown = variants.get(here).unwrap_or(&variants["DEFAULT"]);
                    let mut changed = shown.clone();
                    changed.resize(changed.len().max(10), 0);
                    changed[3..10].copy_from_slice(b"changed");
                    variants.insert(here, changed);
                }
                4 if there => {
                    let context = *rng.pick(&CONTEXTS[1..]);
                    let content = content(&mut rng);
                    files.add_variant(name, context, &content).unwrap();
                    model.get_mut(name).unwrap().insert(context, content);
                }
                5 if there => {
                    let context = *rng.pick(&CONTEXTS[1..]);
                    let held = files.at(name).unwrap();
                    let gone = model.get_mut(name).unwrap().remove(context).is_some();
                    let context = Context::new(context).unwrap();
                    let removed = files.store.remove_variant(held.attr.ino, &context);
                    assert_eq!(removed.is_ok(), gone, "{what}: {removed:?}");
                }
                6 => {
                    let to = *rng.pick(&NAMES);
                    if there && !model.contains_key(to) {
                        files.rename(name, to, Rename::NoReplace).unwrap();
                        let variants = model.remove(name).unwrap();
                        model.insert(to, variants);
                    }
                }
                7 if there && rng.below(3) == 0 => {
                    files.unlink(name).unwrap();
                    model.remove(name);
                }
                8 => {
                    assert_eq!(files.settle().unwrap().failed, 0, "{what}");
                }
                _ => {
                    here = *rng.pick(&CONTEXTS[..]);
                    files.store.close().unwrap();
                    files = open(&root, here);
                }
            }
            check(&files, &model, &what);
        }
        files.settle().unwrap();
        check(&files, &model, &format!("seed {seed}, settled"));
        let variants = model.values().map(|variants| variants.len() - 1);
        if variants.sum::<usize>() > 0 {
            let left = disk_names(&root, ".holofs/variants");
            assert!(left.is_empty(), "seed {seed}: {left:?}");
        }
    }
}

#[test]
fn what_variants_share_is_stored_once() {
    let (root, files) = in_memory();
    let line = |n: usize| format!("key {n} = {}\n", n * 7919 % 1009);
    let config: Vec<u8> = (0..12_000).flat_map(|n| line(n).into_bytes()).collect();
    files.put("x", &config).unwrap();
    files.settle().unwrap();
    let one = files.status("x").unwrap().stored;
    for context in ["A", "B"] {
        let mut variant = config.clone();
        variant.extend(format!("context = {context}\n").bytes());
        files.add_variant("x", context, &variant).unwrap();
    }
    files.settle().unwrap();
    let status = files.status("x").unwrap();
    assert_eq!(status.size, config.len() as u64);
    assert!(
        status.reason.contains("variants: DEFAULT, A, B"),
        "{}",
        status.reason
    );
    assert!(
        status.stored < one + one / 10,
        "{} instead of {one}",
        status.stored
    );
    assert!(disk_names(&root, ".holofs/variants").is_empty());
}

#[test]
fn a_file_of_several_names_has_no_variants() {
    let (_root, files) = in_memory();
    files.put("x", &sample(1, 5000)).unwrap();
    files.link("x", "y").unwrap();
    let refused = files.add_variant("x", "A", b"other");
    assert!(matches!(refused, Err(Error::Denied)), "{refused:?}");
    files.unlink("y").unwrap();
    files.add_variant("x", "A", b"other").unwrap();
    let refused = files.link("x", "y");
    assert!(matches!(refused, Err(Error::Denied)), "{refused:?}");
    assert_eq!(files.seen_in("A").unwrap().get("x").unwrap(), b"other");
}

/// A save by rename in one context would take the variants of all others with it.
#[test]
fn no_file_with_variants_is_replaced_from_within_a_context() {
    let (root, files) = in_memory();
    files.put("x", &sample(1, 5000)).unwrap();
    files.add_variant("x", "A", b"other").unwrap();
    files.store.close().unwrap();
    let files = open(&root, "B");
    files.put("new", b"new").unwrap();
    let refused = files.rename("new", "x", Rename::Replace);
    assert!(matches!(refused, Err(Error::Denied)), "{refused:?}");
    assert_eq!(files.get("x").unwrap(), sample(1, 5000));
    files.put("y", b"without").unwrap();
    files.rename("new", "y", Rename::Replace).unwrap();
    assert_eq!(files.get("y").unwrap(), b"new");
}

/// Editors save by writing another file and renaming it: what other contexts show was not what was edited.
#[test]
fn a_save_by_rename_keeps_the_variants() {
    let (root, files) = in_memory();
    files.put("x", &sample(1, 5000)).unwrap();
    files.add_variant("x", "A", &sample(2, 5000)).unwrap();
    files.settle().unwrap(); // one object of two variants
    files.put("x~", b"edited").unwrap();
    files.rename("x~", "x", Rename::Replace).unwrap();
    let shown = |files: &Files, context| files.seen_in(context).unwrap().get("x").unwrap();
    assert_eq!(files.get("x").unwrap(), b"edited");
    assert_eq!(shown(&files, "A"), sample(2, 5000));
    // And again, before the first one was encoded; what the new file has of its own counts.
    files.put("x~", &sample(3, 9000)).unwrap();
    files.add_variant("x~", "B", b"of the new one").unwrap();
    files.rename("x~", "x", Rename::Replace).unwrap();
    files.settle().unwrap();
    files.store.close().unwrap();
    let files = open(&root, "DEFAULT");
    assert_eq!(files.get("x").unwrap(), sample(3, 9000));
    assert_eq!(shown(&files, "A"), sample(2, 5000));
    assert_eq!(shown(&files, "B"), b"of the new one");
    assert!(
        disk_names(&root, ".holofs/variants").is_empty(),
        "nothing is left over"
    );
}
