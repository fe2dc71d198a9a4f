//! Solid directories through the mount: to programs they are directories.

use super::*;

/// All that `find` tells of a tree: kinds, modes, owners, sizes, times, links and their targets.
fn listing(dir: &Path) -> String {
    let format = "%P %y %m %U %G %s %T@ %n %l %i\n";
    let told = Command::new("find")
        .arg(dir)
        .args(["-printf", format])
        .output();
    let told = told.unwrap();
    assert!(told.status.success(), "{told:?}");
    let text = String::from_utf8(told.stdout).unwrap();
    // Sizes and links of directories are the medium's own.
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if words.get(1) == Some(&"d") {
                (words[5], words[7]) = ("", "");
            }
            words.join(" ")
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

fn same(a: &Path, b: &Path) -> bool {
    let mut diff = Command::new("diff");
    diff.args(["-r", "--no-dereference"]).arg(a).arg(b);
    diff.status().unwrap().success()
}

#[test]
fn programs_see_the_directory_that_it_was() {
    let Some(mount) = Mount::new("") else { return };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let dir = mount.path("src");
    let copied = Command::new("cp").arg("-a").arg(&source).arg(&dir).status();
    assert!(copied.unwrap().success());
    fs::hard_link(dir.join("lib.rs"), dir.join("store/again.rs")).unwrap();
    symlink("../lib.rs", dir.join("store/link")).unwrap();
    let before = listing(&dir);
    let freeze = |mount: &Mount| {
        let attr = mount.store.lookup_path(Path::new("src")).unwrap();
        let frozen = mount.store.freeze(attr.ino, &mut |_| true);
        mount.store.forget(attr.ino, 1);
        frozen
    };
    let reader = File::open(dir.join("lib.rs")).unwrap();
    assert!(freeze(&mount).unwrap_err().to_string().contains("in use"));
    drop(reader);
    // The kernel lets go of a closed file a moment after the close.
    while let Err(e) = freeze(&mount) {
        assert!(e.to_string().contains("in use"), "{e}");
        thread::yield_now();
    }
    let below = mount.dir.path().join("store");
    assert!(below.join("src.holo").exists() && !below.join("src").exists());
    assert_eq!(listing(&dir), before, "solid");
    let mount = mount.again("");
    let dir = mount.path("src");
    assert_eq!(listing(&dir), before, "solid, mounted again");
    let path = dir.join("store/switch.rs");
    assert_eq!(computed(&path, "status").unwrap(), "exact");
    assert_eq!(computed(&path, "codec").unwrap(), "template");
    assert_eq!(
        fs::read(&path).unwrap(),
        fs::read(source.join("store/switch.rs")).unwrap()
    );
    // A program that runs in it, and one that reads in it, go on when the first change thaws it.
    let mut inside = Command::new("sh")
        .args(["-c", "read go; cat switch.rs && echo done > made"])
        .current_dir(dir.join("store"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = File::open(&path).unwrap();
    fs::write(dir.join("new"), b"new").unwrap();
    assert!(!mount.dir.path().join("store/src.holo").exists());
    let mut content = Vec::new();
    reader.read_to_end(&mut content).unwrap();
    assert_eq!(content, fs::read(&path).unwrap());
    inside.stdin.take().unwrap().write_all(b"\n").unwrap();
    let told = inside.wait_with_output().unwrap();
    assert_eq!(told.stdout, content);
    assert_eq!(fs::read(dir.join("store/made")).unwrap(), b"done\n");
    drop(reader);
    for made in ["new", "store/made", "store/again.rs", "store/link"] {
        fs::remove_file(dir.join(made)).unwrap();
    }
    assert!(same(&source, &dir));
}
