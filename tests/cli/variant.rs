//! Variants: what is added, listed and removed, and who is told why not.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bench::{Bench, complaint, expect, words};

fn variant<'a>(rest: &'a [&'a str], path: &'a Path) -> Vec<&'a OsStr> {
    let mut args = vec![OsStr::new("variant"), OsStr::new(rest[0]), path.as_os_str()];
    args.extend(rest[1..].iter().map(OsStr::new));
    args
}

fn listed(path: &Path) -> Vec<(String, u64)> {
    let mut args = variant(&["list"], path);
    args.push(OsStr::new("--json"));
    let rows: Value = serde_json::from_str(&expect(0, &args)).unwrap();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| {
        assert!(row["path"] == path.to_str().unwrap());
        let context = row["context"].as_str().unwrap().to_owned();
        (context, row["size"].as_u64().unwrap())
    })
    .collect()
}

#[test]
fn variants_are_added_listed_and_removed() {
    let bench = Bench::new();
    let base = words(300_000);
    bench.put("app.conf", &base);
    let file = bench.store().join("app.conf");
    assert_eq!(listed(&file), [("DEFAULT".to_owned(), 300_000)]);
    let other = bench.path("production.conf");
    let production = [base.as_slice(), b"mode = production\n"].concat();
    fs::write(&other, &production).unwrap();
    let (empty, other) = (bench.path("empty"), other.to_str().unwrap());
    fs::write(&empty, "").unwrap();
    let add = ["add", "--context", "production", other];

    let mut dry = variant(&add, &file);
    dry.push(OsStr::new("--dry-run"));
    expect(0, &dry);
    assert_eq!(listed(&file).len(), 1);
    let said = expect(0, &variant(&add, &file));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[1].contains("production"), "{said}");
    assert!(!said.contains("not encoded"), "{said}");
    let none = ["add", "--context", "none", empty.to_str().unwrap()];
    expect(0, &variant(&none, &file));
    let all = [("DEFAULT", 300_000), ("none", 0), ("production", 300_018)];
    let all = all.map(|(name, size)| (name.to_owned(), size));
    assert_eq!(listed(&file), all);

    // Everything else shows the default one, and says that there are others.
    let shown = expect(0, &[OsStr::new("cat"), file.as_os_str()]);
    assert!(shown.as_bytes() == base);
    let why = expect(0, &[OsStr::new("why"), file.as_os_str()]);
    assert!(why.contains("variants: DEFAULT, none, production"), "{why}");
    expect(0, &[OsStr::new("scrub"), bench.store().as_os_str()]);

    let remove = ["remove", "--context", "production"];
    expect(0, &variant(&remove, &file));
    assert_eq!(listed(&file), all[..2]);
    expect(10, &variant(&remove, &file));
}

#[test]
fn what_cannot_be_a_variant_is_refused() {
    let bench = Bench::new();
    bench.put("x", &words(9000));
    let file = bench.store().join("x");
    let other = bench.path("other");
    fs::write(&other, "other").unwrap();
    let other = other.to_str().unwrap();
    for context in ["", "a/b", "..", "DEFAULT"] {
        expect(2, &variant(&["add", "--context", context, other], &file));
    }
    let said = complaint(&variant(&["add", "--context", "a/b", other], &file));
    assert!(said.contains("1 to 64 bytes"), "{said}");
    let said = complaint(&variant(&["add", "--context", "DEFAULT", other], &file));
    assert!(said.contains("\nhint: "), "{said}");
    expect(
        1,
        &variant(&["add", "--context", "A", other], &bench.store()),
    );
    let there = variant(&["add", "--context", "A", "/nowhere/at/all"], &file);
    assert_ne!(crate::bench::holofs(&there).status.code(), Some(0));
    assert_eq!(listed(&file).len(), 1);
}
