//! Names in a store: each stands for itself, whatever it ends in, and nothing on disk is hidden.

#![no_main]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use holofs::store::{Caller, OpenHow, Options, ROOT, Store};

/// A store of this process, below a folder that `scripts/fuzz.sh` removes.
static STORE: LazyLock<(PathBuf, Arc<Store>)> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("holofs-fuzz-names.{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a folder for a store");
    holofs::store::init(&path).expect("a store");
    let store = Store::open(&path, Options::default()).expect("an open store");
    (path, store)
});

fn names(store: &Store) -> Vec<OsString> {
    let items = store.read_dir(ROOT).expect("a listing");
    items.into_iter().map(|item| item.name).collect()
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (path, store) = &*STORE;
    let name = OsStr::from_bytes(input);
    let how = OpenHow {
        write: true,
        ..OpenHow::default()
    };
    let made = store.create(ROOT, name, 0o644, true, how, Caller::default());
    let Ok((attr, opened)) = made else {
        let no_name =
            input.is_empty() || input.len() > 250 || input.iter().any(|b| matches!(b, 0 | b'/'));
        let ours = matches!(input, b"." | b".." | b".holofs");
        assert!(no_name || ours, "{name:?}: {:?}", made.err());
        return;
    };
    drop(opened);
    assert_eq!(names(store), [name]);
    store.release(attr.ino, true);
    store.forget(attr.ino, 1);
    let found = store.lookup(ROOT, name).expect("was made");
    store.forget(found.ino, 1);
    store.unlink(ROOT, name).expect("was made");
    assert_eq!(names(store), [] as [OsString; 0]);

    // The same bytes as a name on disk that came from elsewhere.
    let disk = path.join(name);
    if std::fs::write(&disk, b"anything").is_ok() {
        let shown = names(store);
        assert_eq!(shown.len(), 1, "{name:?} is shown as {shown:?}");
        let found = store.lookup(ROOT, &shown[0]);
        let found = found.unwrap_or_else(|e| panic!("{name:?}, shown as {shown:?}: {e}"));
        store.forget(found.ino, 1);
        std::fs::remove_file(&disk).expect("was written");
    }
});
