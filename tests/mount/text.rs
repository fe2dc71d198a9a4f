//! Verbs that read without a mount, given paths inside one.

use super::*;

#[test]
fn grep_wc_and_diff_take_paths_in_a_mount() {
    let Some(mount) = Mount::new("") else { return };
    fs::create_dir(mount.path("d")).unwrap();
    fs::write(mount.path("d/a"), "one\ntwo words\n").unwrap();
    fs::write(mount.path("d/b"), "one\nthree words\n").unwrap();
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_holofs"))
            .args(args)
            .current_dir(mount.path("d"))
            .output()
            .unwrap();
        let code = output.status.code().unwrap();
        (String::from_utf8(output.stdout).unwrap(), code)
    };
    let found = run(&["grep", "-n", "t.*words", "."]);
    let wanted = "./a:2:two words\n./b:2:three words\n";
    assert_eq!(found, (wanted.to_owned(), 0));
    assert_eq!(run(&["wc", "a"]), (" 2  3 14 a\n".to_owned(), 0));
    let (diff, code) = run(&["diff", "a", "b"]);
    assert_eq!(code, 1);
    assert!(diff.ends_with("-two words\n+three words\n"), "{diff}");
}
