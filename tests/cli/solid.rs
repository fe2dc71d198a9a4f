//! Directories kept as one object: made by `convert --solid`, shown by every verb, undone by `convert --codec plain`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;

use crate::bench::{Bench, expect};

#[test]
fn a_directory_is_kept_as_one_and_shown_as_it_was() {
    let bench = Bench::with_policy("[defaults]\nprofile = { n = 3, k = 2 }");
    let store = bench.store();
    let dir = store.join("notes");
    fs::create_dir_all(dir.join("inner")).unwrap();
    let text = |n: u32| format!("note {n}: buy bread, milk and {} apples\n", n * 7).repeat(40);
    for n in 0..50 {
        fs::write(dir.join(format!("inner/{n:02}.txt")), text(n)).unwrap();
    }
    fs::write(store.join("file"), "x").unwrap();
    let run = |code, words: &[&str], path: &std::path::Path| {
        let words = words.iter().map(OsStr::new);
        let all: Vec<&OsStr> = words.chain([path.as_os_str()]).collect();
        expect(code, &all)
    };
    let listed = run(0, &["ls", "-l"], &dir.join("inner"));
    run(1, &["convert", "-q", "--solid"], &store.join("file"));
    run(1, &["convert", "-q", "--solid"], &store);
    run(2, &["convert", "--solid", "--codec", "template"], &dir);
    run(0, &["convert", "-q", "--solid"], &dir);
    assert!(!dir.exists());
    let object = store.join("notes.holo");
    let stored = fs::metadata(&object).unwrap().len();
    assert!(stored < 20_000, "{stored} bytes");
    assert_eq!(run(0, &["ls", "-l"], &dir.join("inner")), listed);
    assert_eq!(run(0, &["cat"], &dir.join("inner/07.txt")), text(7));
    let rows: Value = serde_json::from_str(&run(0, &["--json", "status"], &dir)).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 50);
    assert!(
        rows.iter()
            .all(|row| row["state"] == "exact" && row["codec"] == "template")
    );
    let sum: u64 = rows.iter().map(|row| row["stored"].as_u64().unwrap()).sum();
    assert!(
        sum <= stored && sum + 50 >= stored,
        "{sum} of {stored} bytes"
    );
    assert!(run(0, &["why"], &dir.join("inner/07.txt")).contains("solid directory notes"));
    run(0, &["scrub"], &store);
    // Without all that is left beyond its head nothing of it can be read; with two of three chunks everything can.
    let whole = fs::read(&object).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&object).unwrap();
    let third = whole.len() / 3;
    file.write_all_at(&vec![0; third - 800], 2 * third as u64 + 400)
        .unwrap();
    assert!(run(4, &["scrub"], &store).contains("inner/07.txt"));
    assert_eq!(run(0, &["cat"], &dir.join("inner/07.txt")), text(7));
    file.write_all_at(&vec![0; third - 800], third as u64 + 400)
        .unwrap();
    assert!(run(6, &["scrub"], &store).contains("notes"));
    file.write_all_at(&whole, 0).unwrap();
    run(0, &["scrub"], &store);
    run(0, &["convert", "-q", "--codec", "plain"], &dir);
    assert!(!object.exists());
    assert_eq!(
        fs::read_to_string(dir.join("inner/07.txt")).unwrap(),
        text(7)
    );
    assert_eq!(fs::read_dir(dir.join("inner")).unwrap().count(), 50);
}
