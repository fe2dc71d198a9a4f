//! Tests of the policy file: what it decides, and what it says of mistakes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use super::*;

fn decide(policy: &str, path: &str, size: u64) -> Decision {
    let policy = Policy::parse(policy).unwrap_or_else(|e| panic!("{e}\n{policy}"));
    policy.decide(Path::new(path), size)
}

fn error(policy: &str) -> (usize, String) {
    match Policy::parse(policy) {
        Err(PolicyError::Invalid { line, what }) => (line, what),
        other => panic!("{other:?} for\n{policy}"),
    }
}

const MB: u64 = 1 << 20;

#[test]
fn nothing_of_the_file_is_needed() {
    for text in ["", "version = 1\n", Policy::default_text()] {
        let policy = Policy::parse(text).unwrap();
        assert_eq!(policy.encode, Encode::default());
        assert_eq!(policy.encode.quiet, Duration::from_mins(5));
        assert_eq!(policy.encode.linger, Duration::from_hours(1));
        assert_eq!(policy.cache_size, None);
        let decision = policy.decide(Path::new("notes/today.log"), MB);
        assert_eq!(
            decision,
            Decision {
                codec: CodecChoice::Auto,
                profile: ProfileChoice::Auto,
                layout: LayoutChoice::Auto,
                effort: Effort::Normal,
                lossy: false,
                degraded: DegradedBy::default(),
                reason: Reason::Defaults,
            }
        );
        assert_eq!(decision.degraded.of(Medium::Image), Degraded::Serve);
        assert_eq!(decision.degraded.of(Medium::Sound), Degraded::Serve);
        assert_eq!(decision.degraded.of(Medium::Video), Degraded::Serve);
        assert_eq!(decision.degraded.of(Medium::Other), Degraded::Refuse);
    }
}

/// Every commented line of the default file that is a setting says what holds without it.
#[test]
fn the_comments_of_the_default_file_are_a_valid_policy() {
    let settings: Vec<_> = Policy::default_text()
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(|line| line.starts_with('[') || line.contains(" = ") && !line.contains("keys of"))
        .collect();
    let settings = settings.join("\n");
    let policy = Policy::parse(&settings).unwrap_or_else(|e| panic!("{e}\n{settings}"));
    let none = Policy::default();
    assert_eq!(policy.encode, none.encode);
    assert_eq!(policy.degraded, none.degraded);
    for size in [1, 4095, 4096, MB] {
        let path = Path::new("a/b");
        assert_eq!(policy.decide(path, size), none.decide(path, size));
    }
    let photo = policy.decide(Path::new("photos/2024/a.jpg"), MB);
    assert_eq!(photo.layout, LayoutChoice::Spread);
    assert_eq!(photo.profile, ProfileChoice::Named(Profile::Strong));
}

#[test]
fn the_policy_of_the_design() {
    let text = r#"version = 1
[defaults]
codec = "auto"
profile = { n = 16, k = 13 }
layout = "packed"
effort = "archive"
lossy = true
min_size = "1B"
[encode]
quiet = "0s"
linger = "30d"
threads = 2
[degraded]
image = "eio"
other = "serve"
[[rule]]
glob = ["*.sqlite*", "*.qcow2"]
codec = "plain"
[[rule]]
glob = ["photos/**"]
layout = "spread"
profile = "strong"
"#;
    let policy = Policy::parse(text).unwrap();
    assert_eq!(policy.encode.quiet, Duration::ZERO);
    assert_eq!(policy.encode.linger, Duration::from_hours(30 * 24));
    assert_eq!(policy.encode.threads, 2);

    let other = policy.decide(Path::new("x"), 1);
    assert_eq!(other.codec, CodecChoice::Auto);
    assert_eq!(
        other.profile,
        ProfileChoice::Named(Profile::Custom { n: 16, k: 13 })
    );
    assert_eq!(other.layout, LayoutChoice::Packed);
    assert_eq!(other.effort, Effort::Archive);
    assert!(other.lossy);
    assert_eq!(other.degraded.image, Degraded::Refuse);
    assert_eq!(other.degraded.sound, Degraded::Serve);
    assert_eq!(other.degraded.other, Degraded::Serve);

    let base = policy.decide(Path::new("a/b/Base.SQLite-old"), MB);
    assert_eq!(base.codec, CodecChoice::Plain);
    assert_eq!(base.reason, Reason::Rule(16));
    assert_eq!(base.reason.to_string(), "rule at line 16 of store.toml");

    let photo = policy.decide(Path::new("photos/a.jpg"), MB);
    assert_eq!(photo.layout, LayoutChoice::Spread);
    assert_eq!(photo.profile, ProfileChoice::Named(Profile::Strong));
    assert_eq!(photo.codec, CodecChoice::Auto);
    let below = policy.decide(Path::new("old/photos/a.jpg"), MB);
    assert_eq!(below.layout, LayoutChoice::Packed);
}

#[test]
fn the_last_matching_rule_wins_key_by_key() {
    let text = r#"
[[rule]]
glob = "*"
codec = "template"
profile = "strong"
[[rule]]
glob = ["*.log", "*.l*"]
codec = "stored"
[[rule]]
glob = "keep.log"
profile = "none"
degraded = "serve"
"#;
    let keep = decide(text, "a/keep.log", MB);
    assert_eq!(keep.codec, CodecChoice::Named("stored"));
    assert_eq!(keep.reason, Reason::Rule(6));
    assert_eq!(keep.profile, ProfileChoice::Named(Profile::None));
    assert_eq!(keep.degraded, DegradedBy::all(Degraded::Serve));
    let log = decide(text, "a/b.log", MB);
    assert_eq!(log.profile, ProfileChoice::Named(Profile::Strong));
    assert_eq!(log.degraded, DegradedBy::default());
    assert_eq!(decide(text, "a", MB).codec, CodecChoice::Named("template"));
}

#[test]
fn globs_match_as_the_design_says() {
    let matches = |glob: &str, path: &str| {
        let text = format!("[[rule]]\nglob = [{glob:?}]\ncodec = \"noise\"\n");
        decide(&text, path, MB).codec == CodecChoice::Named("noise")
    };
    for (glob, path) in [
        ("*.txt", "a.txt"),
        ("*.txt", "a/b/c.TXT"),
        ("A.TXT", "d/a.txt"),
        ("/a.txt", "a.txt"),
        ("photos/**", "photos/a/b.jpg"),
        ("photos/", "photos/a/b.jpg"),
        ("/photos/*.jpg", "Photos/b.jpg"),
        ("**/tmp/**", "a/tmp/b"),
        ("**/tmp/**", "tmp/b"),
        ("*.{a,b}", "x.b"),
        ("a?c", "abc"),
        (".*", "d/.hidden"),
    ] {
        assert!(matches(glob, path), "{glob} {path}");
    }
    for (glob, path) in [
        ("*.txt", "a.txt/b"),
        ("/a.txt", "d/a.txt"),
        ("photos/**", "old/photos/a"),
        ("photos/*.jpg", "photos/a/b.jpg"),
        ("photos/", "photos"),
        ("a?c", "a/c"),
    ] {
        assert!(!matches(glob, path), "{glob} {path}");
    }
}

#[test]
fn names_that_are_not_utf8_match_too() {
    use std::os::unix::ffi::OsStrExt;
    let policy = Policy::parse("[[rule]]\nglob = \"*.log\"\ncodec = \"stored\"\n").unwrap();
    let path = Path::new(std::ffi::OsStr::from_bytes(b"d\xff\n/\xfe.log"));
    let decision = policy.decide(path, MB);
    assert_eq!(decision.codec, CodecChoice::Named("stored"));
}

#[test]
fn what_programs_write_in_place_stays_plain_unless_a_rule_names_a_codec() {
    for path in [
        "firefox/places.sqlite",
        "places.sqlite-wal",
        "a/b.DB",
        "b.db-journal",
        "mysql/ibdata1",
        "vm/disk.qcow2",
        "disk.VMDK",
        ".git/index",
        "src/project/.git/index",
    ] {
        let decision = decide("[defaults]\ncodec = \"stored\"\n", path, MB);
        assert_eq!(decision.codec, CodecChoice::Plain, "{path}");
        assert!(matches!(decision.reason, Reason::BuiltIn(_)), "{path}");

        let profile_only = "[[rule]]\nglob = \"*\"\nprofile = \"strong\"\n";
        assert_eq!(decide(profile_only, path, MB).codec, CodecChoice::Plain);
        let named = "[[rule]]\nglob = \"*\"\ncodec = \"auto\"\n";
        assert_eq!(decide(named, path, MB).codec, CodecChoice::Auto);
    }
    for path in ["index", "git/index", ".git/config", "a.sqlite.txt", "db"] {
        assert_eq!(decide("", path, MB).codec, CodecChoice::Auto, "{path}");
    }
    let limit = 16 << 30;
    assert_eq!(decide("", "film.y4m", limit).codec, CodecChoice::Auto);
    let over = decide("", "film.y4m", limit + 1);
    assert_eq!(over.codec, CodecChoice::Plain);
    assert_eq!(
        over.reason.to_string(),
        "more than 16 GiB, plain unless a rule names a codec"
    );
}

#[test]
fn small_files_stay_plain_unless_a_rule_names_a_profile() {
    assert_eq!(decide("", "a", 4096).codec, CodecChoice::Auto);
    let small = decide("", "a", 4095);
    assert_eq!(small.codec, CodecChoice::Plain);
    assert_eq!(
        small.reason.to_string(),
        "smaller than min_size (4096 bytes)"
    );

    let profile = "[[rule]]\nglob = \"*.key\"\nprofile = \"strong\"\n";
    assert_eq!(decide(profile, "a.key", 1).codec, CodecChoice::Auto);
    assert_eq!(decide(profile, "a.txt", 1).codec, CodecChoice::Plain);
    let by_default = "[defaults]\nprofile = \"strong\"\n";
    assert_eq!(decide(by_default, "a.key", 1).codec, CodecChoice::Plain);
    let min_size = "[[rule]]\nglob = \"*.key\"\nmin_size = 100\n";
    assert_eq!(decide(min_size, "a.key", 100).codec, CodecChoice::Auto);
    assert_eq!(decide(min_size, "a.key", 99).codec, CodecChoice::Plain);

    let empty = decide(profile, "a.key", 0);
    assert_eq!(empty.codec, CodecChoice::Plain);
    assert_eq!(empty.reason.to_string(), "empty");
}

#[test]
fn mistakes_are_told_with_line_and_key() {
    for (text, line, words) in [
        ("version = 1\nquite = 3\n", 2, "quite"),
        ("version = 1\n[encode]\nquite = \"5m\"\n", 3, "quite"),
        ("[encode]\nquiet = \"5 minutes\"\n", 2, "quiet: "),
        ("[encode]\n\n\nthreads = 0\n", 4, "threads: "),
        ("[defaults]\ncodec = \"jpg\"\n", 2, "codec: \"jpg\""),
        ("[defaults]\ncodec = 3\n", 2, "codec: must be a string"),
        ("[defaults]\nmin_size = \"4XB\"\n", 2, "min_size: "),
        ("[defaults]\nmin_size = -1\n", 2, "min_size: -1"),
        ("[defaults]\nlossy = \"no\"\n", 2, "lossy: "),
        ("[defaults]\nglob = \"*\"\n", 2, "glob"),
        ("[defaults]\nprofile = { n = 4, k = 5 }\n", 2, "profile: "),
        ("[defaults]\nprofile = { n = 256, k = 5 }\n", 2, "profile: "),
        ("[defaults]\nprofile = { n = 4, k = 0 }\n", 2, "profile: "),
        ("[defaults]\nprofile = { n = 4 }\n", 2, "profile: "),
        (
            "[defaults]\nprofile = { n = 4, k = 2, j = 1 }\n",
            2,
            "profile: ",
        ),
        ("[degraded]\nimage = \"maybe\"\n", 2, "image: \"maybe\""),
        ("\n[[rule]]\ncodec = \"plain\"\n", 2, "glob is missing"),
        ("[[rule]]\nglob = \"a[\"\n", 2, "glob: \"a[\""),
        ("[[rule]]\nglob = []\n", 2, "glob: "),
        ("[[rule]]\nglob = \"\"\n", 2, "glob: "),
        ("[[rule]]\nglob = \"/\"\n", 2, "glob: "),
        ("[[rule]]\nglob = [\"a\", 3]\n", 2, "glob: "),
        ("[[rule]]\nglob = \"a\"\nlayuot = 1\n", 3, "layuot"),
        ("version = \"1\"\n", 1, "version: "),
        ("\nversion = 0\n", 2, "version: "),
        ("version = 1\nversion = 1\n", 2, "duplicate key"),
        ("version = 1\nnonsense\n", 2, ""),
        ("cache_size = \"lots\"\n", 1, "cache_size: "),
    ] {
        let (at, what) = error(text);
        assert_eq!(at, line, "{what}\n{text}");
        assert!(what.contains(words), "{what:?} without {words:?}\n{text}");
        assert!(!what.contains('\n') && !what.ends_with('.'), "{what:?}");
    }
}

#[test]
fn a_newer_version_is_refused_as_such_whatever_else_is_there() {
    assert_eq!(
        Policy::parse("version = 2\nholographic = true\n").unwrap_err(),
        PolicyError::Newer(2)
    );
}

#[test]
fn sizes_and_durations_are_read_as_people_write_them() {
    for (text, bytes) in [
        ("0", 0),
        ("1B", 1),
        ("4096", 4096),
        ("4KiB", 4096),
        ("4 kib", 4096),
        ("2GiB", 2 << 30),
        ("1MB", 1_000_000),
        ("16TiB", 16 << 40),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for text in ["", "B", "-1", "1.5GiB", "1K", "1QiB", "99999999TiB", "1 2"] {
        assert!(size(text).is_err(), "{text}");
    }
    for (text, secs) in [
        ("0s", 0),
        ("90", 90),
        ("5m", 300),
        ("1h", 3600),
        ("30d", 2_592_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
    }
    for text in ["", "m", "5 min", "-1s", "1h30m", "1.5h"] {
        assert!(duration(text).is_err(), "{text}");
    }
    let policy = Policy::parse("cache_size = \"2GiB\"\n[encode]\nquiet = 7\n").unwrap();
    assert_eq!(policy.cache_size, Some(2 << 30));
    assert_eq!(policy.encode.quiet, Duration::from_secs(7));
}
