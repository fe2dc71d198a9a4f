//! Files that come out of a store as they went in: import and export.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, complaint, expect, noise, words};

/// Name, kind and what makes a file what it is, of everything below a directory.
fn snapshot(root: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let body = if meta.is_file() {
                blake3::hash(&fs::read(&path).unwrap()).to_string()
            } else if meta.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else {
                String::new()
            };
            let links = if meta.is_dir() { 0 } else { meta.nlink() };
            let size = if meta.is_dir() { 0 } else { meta.size() };
            // Encoding what is in a directory moves the directory's times.
            let time = if meta.is_dir() {
                (0, 0)
            } else {
                (meta.mtime(), meta.mtime_nsec())
            };
            let name = path.strip_prefix(root).unwrap();
            rows.push(format!(
                "{} {:o} {}:{} {links} {size} {time:?} {body}",
                name.as_os_str().as_bytes().escape_ascii(),
                meta.mode(),
                meta.uid(),
                meta.gid(),
            ));
            if meta.is_dir() {
                dirs.push(path);
            }
        }
    }
    rows.sort();
    rows
}

/// Files of every kind that an unprivileged user can make.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("deep/er")).unwrap();
    let names: [&[u8]; 5] = [
        b"new\nline",
        b"\xff\xfe no text",
        "größe 漢".as_bytes(),
        b"-dash",
        b"b.holo~",
    ];
    for (i, name) in names.into_iter().enumerate() {
        fs::write(root.join(OsStr::from_bytes(name)), words(5000 + i)).unwrap();
    }
    fs::write(root.join("deep/er/big"), noise(1_500_000)).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    let mut sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(5 << 20)).unwrap();
    sparse.write_all(b"end").unwrap();
    sparse.set_len(8 << 20).unwrap();
    fs::write(root.join("hard1"), words(50_000)).unwrap();
    fs::hard_link(root.join("hard1"), root.join("deep/hard2")).unwrap();
    symlink("deep/er/big", root.join("link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(root.join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(root.join("deep"), fs::Permissions::from_mode(0o750)).unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    let file = fs::File::open(root.join("hard1")).unwrap();
    file.set_modified(then).unwrap();
    fs::File::open(root.join("deep"))
        .unwrap()
        .set_modified(then)
        .unwrap();
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let bench = Bench::new();
    let (tree, store) = (bench.path("tree"), bench.store());
    fs::create_dir(&tree).unwrap();
    make_tree(&tree);
    let wanted = snapshot(&tree);
    let to = store.join("in/side");
    expect(0, &[OsStr::new("import"), tree.as_os_str(), to.as_os_str()]);
    let out = bench.path("out");
    let from = store.join("in/side/tree");
    expect(
        0,
        &[OsStr::new("export"), from.as_os_str(), out.as_os_str()],
    );
    assert_eq!(snapshot(&out), wanted);
    let blocks = fs::metadata(out.join("sparse")).unwrap().blocks();
    assert!(blocks < 2048, "holes were filled: {blocks} blocks");
    assert!(
        fs::symlink_metadata(out.join("fifo"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    // What is there is not replaced unless asked.
    fs::write(out.join("hard1"), "mine").unwrap();
    expect(
        3,
        &[OsStr::new("export"), from.as_os_str(), out.as_os_str()],
    );
    assert_eq!(fs::read(out.join("hard1")).unwrap(), b"mine");
    let args = ["export", "--overwrite"].map(OsStr::new);
    expect(0, &[args[0], args[1], from.as_os_str(), out.as_os_str()]);
    assert_eq!(snapshot(&out), wanted);
    // One file, under a name of its own.
    let (from, single) = (from.join("hard1"), bench.path("single"));
    expect(
        0,
        &[OsStr::new("export"), from.as_os_str(), single.as_os_str()],
    );
    assert_eq!(fs::read(single).unwrap(), words(50_000));
}

#[test]
fn import_skips_what_is_there_and_dot_means_what_is_inside() {
    let bench = Bench::new();
    let (tree, store) = (bench.path("tree"), bench.store());
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("f"), "first").unwrap();
    let inside = tree.join(".");
    let args = [OsStr::new("import"), inside.as_os_str(), store.as_os_str()];
    expect(0, &args);
    fs::write(tree.join("f"), "second").unwrap();
    fs::write(tree.join("g"), "g").unwrap();
    expect(3, &args);
    let file = store.join("f");
    let cat = [OsStr::new("cat"), file.as_os_str()];
    assert_eq!(expect(0, &cat), "first");
    assert_eq!(expect(0, &[OsStr::new("ls"), store.as_os_str()]), "f\ng\n");
    let overwrite = OsStr::new("--overwrite");
    expect(0, &[args[0], overwrite, args[1], args[2]]);
    assert_eq!(expect(0, &cat), "second");
    let none = bench.path("none");
    expect(
        3,
        &[OsStr::new("import"), none.as_os_str(), store.as_os_str()],
    );
}

#[test]
fn cat_writes_long_files_piece_by_piece() {
    let bench = Bench::new();
    let store = bench.store();
    let file = store.join("f");
    let cat = [OsStr::new("cat"), file.as_os_str()];
    // As long as a piece, and some pieces with a part of one.
    for length in [1 << 20, 3_500_000] {
        let long = words(length);
        fs::write(&file, &long).unwrap();
        assert!(expect(0, &cat).as_bytes() == long);
        expect(0, &[OsStr::new("settle"), store.as_os_str()]);
        assert!(store.join("f.holo").exists());
        assert!(expect(0, &cat).as_bytes() == long);
        fs::remove_file(store.join("f.holo")).unwrap();
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let bench = Bench::new();
    let (tree, store) = (bench.path("tree"), bench.store());
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("f"), words(9000)).unwrap();
    let dry = OsStr::new("--dry-run");
    let import = [
        OsStr::new("import"),
        dry,
        tree.as_os_str(),
        store.as_os_str(),
    ];
    assert!(expect(0, &import).ends_with("tree/f\n"));
    assert_eq!(expect(0, &[OsStr::new("ls"), store.as_os_str()]), "");
    expect(0, &[import[0], import[2], import[3]]);
    let out = bench.path("out");
    let export = [
        OsStr::new("export"),
        dry,
        store.as_os_str(),
        out.as_os_str(),
    ];
    assert!(expect(0, &export).ends_with("out/tree/f\n"));
    assert!(!out.exists());
    let other = bench.path("other");
    expect(0, &[OsStr::new("init"), dry, other.as_os_str()]);
    assert!(!other.exists());
}

#[test]
fn a_foreign_chunk_directory_becomes_the_file_it_holds() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    let bench = Bench::new();
    let (set, store) = (vectors.join("b.bin.holo"), bench.store());
    let wanted = fs::read(vectors.join("b.bin.k0_1_2_3.bin")).unwrap();
    let import = |set: &Path, code: i32| {
        expect(
            code,
            &[OsStr::new("import"), set.as_os_str(), store.as_os_str()],
        );
    };
    import(&set, 0);
    assert_eq!(expect(0, &[OsStr::new("ls"), store.as_os_str()]), "b.bin\n");
    let out = bench.path("out");
    let export = [OsStr::new("export"), store.as_os_str(), out.as_os_str()];
    expect(0, &export);
    assert_eq!(fs::read(out.join("b.bin")).unwrap(), wanted);
    let mode = fs::metadata(out.join("b.bin"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0, "nobody executes it");

    // With a chunk missing it is refused, and no part of it is left behind.
    let cut = bench.path("cut.bin.holo");
    fs::create_dir(&cut).unwrap();
    for chunk in ["chunk_0000.holo", "chunk_0001.holo", "chunk_0002.holo"] {
        fs::copy(set.join(chunk), cut.join(chunk)).unwrap();
    }
    import(&cut, 3);
    assert_eq!(expect(0, &[OsStr::new("ls"), store.as_os_str()]), "b.bin\n");

    // What only has such a name is imported as it is.
    let other = bench.path("x.holo");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("f"), "f").unwrap();
    import(&other, 0);
    assert_eq!(
        expect(0, &[OsStr::new("ls"), store.as_os_str()]),
        "b.bin\nx.holo\n"
    );
}

/// Holo.Codec clips loud samples that it has wrapped; here they are what they were, unless its way is asked for.
#[test]
fn loud_samples_of_a_foreign_sound_are_clipped_where_that_is_asked_for() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/holo");
    let set = vectors.join("loud.wav.holo");
    for (flag, wanted) in [
        (None, "loud.wav"),
        (Some("--compat-clip"), "loud.wav.k0_1_2_3.wav"),
    ] {
        let bench = Bench::new();
        let store = bench.store();
        let mut args = vec![OsStr::new("import"), set.as_os_str(), store.as_os_str()];
        args.extend(flag.map(OsStr::new));
        expect(0, &args);
        let out = bench.path("out");
        expect(
            0,
            &[OsStr::new("export"), store.as_os_str(), out.as_os_str()],
        );
        let wanted = fs::read(vectors.join(wanted)).unwrap();
        assert!(
            fs::read(out.join("loud.wav")).unwrap() == wanted,
            "{flag:?}"
        );
    }
}

#[test]
fn files_are_exported_as_templates_and_imported_from_them() {
    let bench = Bench::new();
    let (tree, store) = (bench.path("tree"), bench.store());
    fs::create_dir_all(tree.join("deep")).unwrap();
    let contents = [
        ("text", words(90_000)),
        ("noise", noise(70_001)),
        ("empty", Vec::new()),
        ("one", b"1".to_vec()),
        ("deep/same", vec![b'='; 300_000]),
    ];
    for (name, content) in &contents {
        fs::write(tree.join(name), content).unwrap();
    }
    symlink("text", tree.join("link")).unwrap();
    fs::set_permissions(tree.join("one"), fs::Permissions::from_mode(0o755)).unwrap();
    let inner = tree.join(".");
    expect(
        0,
        &[OsStr::new("import"), inner.as_os_str(), store.as_os_str()],
    );
    let out = bench.path("out");
    let export = |more: &str, from: &Path, to: &Path, code: i32| {
        let args = [
            OsStr::new("export"),
            OsStr::new(more),
            OsStr::new("--format=sealgate"),
        ];
        expect(
            code,
            &[&args[..], &[from.as_os_str(), to.as_os_str()]].concat(),
        )
    };
    let named = export("--dry-run", &store, &out, 0);
    assert!(
        named.contains("out/deep/same.holo\n") && named.contains("out/link\n"),
        "{named}"
    );
    export("--quiet", &store, &out, 0);
    assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("text"));
    assert!(fs::metadata(out.join("deep/same.holo")).unwrap().len() < 500);
    // They are there already.
    export("--quiet", &store, &out, 3);
    export("--overwrite", &store, &out, 0);

    // One file: into a directory under its name, else under the name that is given.
    let template = bench.path("template.bin");
    export("--quiet", &store.join("one"), &tree, 0);
    export("--quiet", &store.join("one"), &template, 0);
    for name in [tree.join("one.holo"), template] {
        assert_eq!(fs::read(name).unwrap()[0], 0x78, "a zlib stream");
    }

    let (again, inner) = (bench.path("again"), out.join("."));
    expect(0, &[OsStr::new("init"), again.as_os_str()]);
    expect(
        0,
        &[OsStr::new("import"), inner.as_os_str(), again.as_os_str()],
    );
    let back = bench.path("back");
    expect(
        0,
        &[OsStr::new("export"), again.as_os_str(), back.as_os_str()],
    );
    for (name, content) in &contents {
        assert!(fs::read(back.join(name)).unwrap() == *content, "{name}");
        let mode = |root: &Path| fs::metadata(root.join(name)).unwrap().permissions().mode();
        assert_eq!(mode(&back), mode(&tree), "{name}");
    }

    // What is too large for a template is named and skipped.
    let large = fs::File::create(tree.join("large")).unwrap();
    large.set_len((256 << 20) + 1).unwrap();
    let toml = again.join(".holofs/store.toml");
    fs::write(toml, "version = 1\n[defaults]\ncodec = \"plain\"\n").unwrap();
    expect(
        0,
        &[
            OsStr::new("import"),
            tree.join("large").as_os_str(),
            again.as_os_str(),
        ],
    );
    let skipped = complaint(&[
        OsStr::new("export"),
        OsStr::new("--format=sealgate"),
        again.join("large").as_os_str(),
        back.as_os_str(),
    ]);
    assert!(
        skipped.contains("is 268435457, more than the limit 268435456"),
        "{skipped}"
    );
    assert!(!back.join("large.holo").exists());

    // Imported with what is wrong told.
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealgate");
    let missing = bench.path("missing.holo");
    fs::copy(vectors.join("missing.template"), &missing).unwrap();
    let import = [OsStr::new("import"), missing.as_os_str(), again.as_os_str()];
    let skipped = complaint(&import);
    assert!(
        skipped.contains("symbol \"Ldddddddddddd\" is not defined"),
        "{skipped}"
    );
    expect(3, &import);
    expect(2, &["export", "--format=tar", "/s", "/d"]);
}
