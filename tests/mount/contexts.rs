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
    assert_eq!(names(&contexts), ["DEFAULT"], "none is known yet");
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
