//! Files with variants in a mount: which one is shown in which context.

use rustix::io::Errno;

use super::*;

/// The names of the three variants of `contexts.template`.
const ALL: [&str; 3] = ["DEFAULT", "TEXT", "VIDEO"];

fn vector(name: &str) -> Vec<u8> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealgate");
    fs::read(vectors.join(name)).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_template_of_another_program_is_shown_in_each_context() {
    let Some(mount) = Mount::new("") else { return };
    let template = mount.dir.path().join("store/a.txt.holo");
    fs::write(&template, vector("contexts.template")).unwrap();
    fs::write(mount.path("plain"), "plain").unwrap();
    let contexts = mount.path(".holofs/context");
    assert!(!fs::read(mount.path("a.txt")).unwrap().is_empty());
    assert_eq!(names(&contexts), ALL);

    let mut inodes = std::collections::HashSet::new();
    for context in ALL {
        let path = contexts.join(context).join("a.txt");
        let wanted = vector(&format!("contexts.{context}.txt"));
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.len(), wanted.len() as u64, "{context}");
        assert!(inodes.insert(meta.ino()), "{context}");
        assert!(fs::read(&path).unwrap() == wanted, "{context}");
        assert_eq!(computed(&path, "contexts").unwrap(), "DEFAULT,VIDEO,TEXT");
        assert_eq!(
            fs::read(contexts.join(context).join("plain")).unwrap(),
            b"plain"
        );
        let refused = fs::write(contexts.join(context).join("plain"), "x");
        let errno = refused.unwrap_err().raw_os_error().unwrap();
        assert_eq!(Errno::from_raw_os_error(errno), Errno::ROFS);
    }
    // A context that nobody knows shows the default one; what cannot be a name is none.
    let other = fs::read(contexts.join("other/a.txt")).unwrap();
    assert!(other == vector("contexts.DEFAULT.txt"));
    assert!(!contexts.join("n".repeat(65)).exists());
    // It changes behind our back, and is what it is now at once.
    fs::write(&template, vector("empty.template")).unwrap();
    for context in ALL {
        assert_eq!(fs::read(contexts.join(context).join("a.txt")).unwrap(), b"");
    }
    fs::write(&template, vector("contexts.template")).unwrap();

    let mount = mount.again("context=TEXT");
    assert!(fs::read(mount.path("a.txt")).unwrap() == vector("contexts.TEXT.txt"));
    let video = mount.path(".holofs/context/VIDEO/a.txt");
    assert!(fs::read(video).unwrap() == vector("contexts.VIDEO.txt"));
    let four = mount.path(".holofs/view/4/a.txt");
    assert!(fs::read(four).unwrap() == vector("contexts.TEXT.txt"));
}

const POLICY: &str = "version = 1\n[encode]\nlinger = \"0s\"\n";

/// A configuration of 200 KB: some lines say which one.
fn config(which: &str) -> Vec<u8> {
    let line = |n: usize| {
        let value = n.wrapping_mul(2_654_435_761) % 1_000_003;
        match n % 2000 {
            0 => format!("server_{n} = \"{which}.example.org\"\n"),
            _ => format!("option_{n}_of_{} = {value}\n", value % 97),
        }
    };
    (0..7000).flat_map(|n| line(n).into_bytes()).collect()
}

fn stored(mount: &Mount, name: &str) -> u64 {
    computed(&mount.path(name), "stored_bytes")
        .unwrap()
        .parse()
        .unwrap()
}

fn settled(mount: &Mount) {
    let settled = mount.settle();
    assert_eq!(settled.failed, 0);
}

fn overlays(mount: &Mount) -> usize {
    let room = mount.dir.path().join("store/.holofs/variants");
    fs::read_dir(room).map_or(0, Iterator::count)
}

#[test]
fn writing_in_a_context_changes_that_variant_only() {
    let Some(mount) = Mount::with_policy(POLICY, "") else {
        return;
    };
    let path = |mount: &Mount| mount.path("app.conf");
    fs::write(path(&mount), config("default")).unwrap();
    fs::write(mount.path("other"), "the same everywhere").unwrap();
    fs::set_permissions(path(&mount), fs::Permissions::from_mode(0o640)).unwrap();
    settled(&mount);
    let alone = stored(&mount, "app.conf");

    let mut mount = mount;
    let all = ["production", "staging"];
    for context in all {
        mount = mount.again(&format!("context={context}"));
        assert!(
            fs::read(path(&mount)).unwrap() == config("default"),
            "before"
        );
        let mut file = File::options()
            .write(true)
            .truncate(true)
            .open(path(&mount))
            .unwrap();
        file.write_all(&config(context)).unwrap();
        file.sync_all().unwrap();
        // Two handles, one of them from before the next write.
        let mut reader = File::open(path(&mount)).unwrap();
        file.write_all(b"# written last\n").unwrap();
        reader.seek(SeekFrom::End(-7)).unwrap();
        let mut end = String::new();
        reader.read_to_string(&mut end).unwrap();
        assert_eq!(end, "n last\n");
        assert_eq!(
            reader.metadata().unwrap().len(),
            file.metadata().unwrap().len()
        );
    }
    // A file that is made here is its default variant, for as long as it is open.
    let fresh = mount.path("fresh");
    let mut first = File::create(&fresh).unwrap();
    first.write_all(b"one").unwrap();
    let mut second = File::options().append(true).open(&fresh).unwrap();
    second.write_all(b" two").unwrap();
    drop((first, second));
    let default = mount.path(".holofs/context/DEFAULT/fresh");
    assert_eq!(fs::read_to_string(default).unwrap(), "one two");
    let wanted = |context: &str| match context {
        "production" | "staging" => [config(context), b"# written last\n".to_vec()].concat(),
        _ => config("default"),
    };
    let check = |mount: &Mount, when: &str| {
        let contexts = mount.path(".holofs/context");
        let mut inodes = std::collections::HashSet::new();
        for context in ["DEFAULT", "production", "staging", "testing"] {
            let path = contexts.join(context).join("app.conf");
            let wanted = wanted(context);
            assert!(fs::read(&path).unwrap() == wanted, "{context} {when}");
            let meta = fs::metadata(&path).unwrap();
            assert_eq!(meta.len(), wanted.len() as u64, "{context} {when}");
            assert_eq!(meta.mode() & 0o777, 0o640, "{context} {when}");
            assert!(inodes.insert(meta.ino()), "{context} {when}");
            assert_eq!(
                computed(&path, "contexts").unwrap(),
                "DEFAULT,production,staging"
            );
            let other = fs::read_to_string(contexts.join(context).join("other"));
            assert_eq!(other.unwrap(), "the same everywhere");
        }
    };
    check(&mount, "before they are encoded");
    settled(&mount);
    assert_eq!(overlays(&mount), 0);
    check(&mount, "encoded");
    let mut mount = mount.again("");
    check(&mount, "after a remount");
    assert_eq!(
        names(&mount.path(".holofs/context")),
        ["DEFAULT", "production", "staging"]
    );
    let hash = |context: &str| {
        let path = mount.path(".holofs/context").join(context).join("app.conf");
        computed(&path, "hash").unwrap()
    };
    assert!(hash("DEFAULT") != hash("staging") && hash("testing") == hash("DEFAULT"));
    // Three of them take hardly more than one.
    let together = stored(&mount, "app.conf");
    eprintln!("one variant: {alone} bytes stored, three: {together}");
    assert!(
        together < alone + alone / 10,
        "{together} instead of {alone}"
    );

    // Changing the default one leaves the others as they are, and so does all else that is done with the file.
    let modified = |context: &str| {
        let path = mount.path(".holofs/context").join(context).join("app.conf");
        fs::metadata(path).unwrap().modified().unwrap()
    };
    let before = modified("staging");
    let mut file = File::options().append(true).open(path(&mount)).unwrap();
    file.write_all(b"# default only\n").unwrap();
    drop(file);
    assert_eq!(modified("staging"), before);
    fs::rename(path(&mount), mount.path("moved")).unwrap();
    for when in ["written", "settled", "remounted"] {
        let default = fs::read(mount.path("moved")).unwrap();
        assert!(
            default == [config("default"), b"# default only\n".to_vec()].concat(),
            "{when}"
        );
        for context in all {
            let path = mount.path(".holofs/context").join(context).join("moved");
            assert!(
                fs::read(path).unwrap() == wanted(context),
                "{context} {when}"
            );
        }
        match when {
            "written" => settled(&mount),
            _ => mount = mount.again(""),
        }
    }
    assert_eq!(overlays(&mount), 0);
    // Which link a variant would belong to, nothing says; and what is removed is gone in every context.
    assert!(fs::hard_link(mount.path("moved"), mount.path("link")).is_err());
    fs::remove_file(mount.path("moved")).unwrap();
    assert!(!mount.path(".holofs/context/staging/moved").exists());
    assert_eq!(overlays(&mount), 0);
}
