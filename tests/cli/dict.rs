//! Dictionaries that files share: what they save, what their loss costs, and when they may go.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::bench::{Bench, complaint, expect};

/// A log of one family: what differs between its members is drawn from `seed`.
fn log(seed: u32) -> String {
    let mut state = seed * 2 + 1;
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut log = String::new();
    for _ in 0..120 {
        let (hour, minute, second) = (draw(24), draw(60), draw(60));
        let (host, module, user) = (draw(4), draw(60), draw(300));
        writeln!(
            log,
            "2026-11-20 {hour:02}:{minute:02}:{second:02} host{host} module{module}: connection accepted for user{user}"
        )
        .unwrap();
    }
    log
}

fn json(args: &[&OsStr]) -> Value {
    let mut all = vec![OsStr::new("--json")];
    all.extend(args);
    serde_json::from_str(&expect(0, &all)).unwrap()
}

fn stored(store: &Path) -> u64 {
    let files = json(&[OsStr::new("status"), store.as_os_str()]);
    let files = files.as_array().unwrap();
    files.iter().map(|f| f["stored"].as_u64().unwrap()).sum()
}

#[test]
fn a_dictionary_makes_a_family_of_small_files_smaller_and_is_missed_by_name() {
    let bench = Bench::with_policy("[defaults]\nmin_size = \"1B\"\nprofile = \"none\"");
    let store = bench.store();
    let logs = store.join("logs");
    fs::create_dir(&logs).unwrap();
    let name = |i: u32| logs.join(format!("{i}.log"));
    for i in 0..20 {
        fs::write(name(i), log(i)).unwrap();
    }
    let convert: Vec<&OsStr> = ["convert", "-q", "--codec", "auto"].map(OsStr::new).into();
    let convert: Vec<&OsStr> = convert.into_iter().chain([logs.as_os_str()]).collect();
    expect(0, &convert);
    let before = stored(&store);

    let made = json(&[OsStr::new("dict"), OsStr::new("build"), logs.as_os_str()]);
    assert_eq!(made.as_array().unwrap().len(), 1, "{made}");
    let id = made[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made[0]["public"], &made[0]["files"]),
        (&true.into(), &0.into())
    );
    expect(0, &convert);
    let after = stored(&store);
    assert!(after * 10 < before * 8, "{before} bytes, then {after}");
    let listed = json(&[OsStr::new("dict"), OsStr::new("list"), store.as_os_str()]);
    assert_eq!(
        (&listed[0]["files"], &listed[0]["intact"]),
        (&20.into(), &true.into())
    );
    let cat = [OsStr::new("cat"), name(3).as_os_str()].map(OsStr::to_owned);
    let cat: Vec<&OsStr> = cat.iter().map(AsRef::as_ref).collect();
    assert_eq!(expect(0, &cat), log(3));

    // Files of which everybody may not read all are not coded with what was learned from others.
    let private = logs.join("private.log");
    fs::write(&private, log(99).repeat(9)).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
    expect(0, &["settle".as_ref(), "-q".as_ref(), store.as_os_str()]);
    let listed = json(&[OsStr::new("dict"), OsStr::new("list"), store.as_os_str()]);
    assert_eq!(listed[0]["files"], 20);

    // It is needed, and would be too young to go.
    let gc = json(&[OsStr::new("dict"), OsStr::new("gc"), store.as_os_str()]);
    assert_eq!(
        (&gc[0]["removed"], &gc[0]["files"]),
        (&false.into(), &20.into())
    );
    for i in 0..20 {
        fs::remove_file(logs.join(format!("{i}.log.holo"))).unwrap();
    }
    let gc = json(&[OsStr::new("dict"), OsStr::new("gc"), store.as_os_str()]);
    assert_eq!(
        (&gc[0]["removed"], &gc[0]["files"]),
        (&false.into(), &0.into())
    );

    fs::write(name(3), log(3)).unwrap();
    expect(0, &convert);
    let room = store.join(".holofs/dict");
    let aside = bench.path("aside");
    fs::rename(&room, &aside).unwrap();
    expect(6, &cat);
    let said = complaint(&cat);
    assert!(said.contains(&id), "{said}");
    let file = name(3);
    let status = expect(6, &["--json".as_ref(), "status".as_ref(), file.as_os_str()]);
    assert!(
        status.contains(&format!("the dictionary {id} is missing")),
        "{status}"
    );
    // Its own units are all there; scrub must say so all the same.
    expect(6, &["scrub".as_ref(), store.as_os_str()]);
    let missing = expect(6, &["dict".as_ref(), "list".as_ref(), store.as_os_str()]);
    assert!(
        missing.contains(&id) && missing.contains("missing"),
        "{missing}"
    );
    fs::rename(&aside, &room).unwrap();
    assert_eq!(expect(0, &cat), log(3));
}

#[test]
fn samples_with_nothing_in_common_make_no_dictionary() {
    let bench = Bench::with_policy("[defaults]\nmin_size = \"1B\"");
    let store = bench.store();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(100_000)
    .collect();
    fs::write(store.join("noise"), noise).unwrap();
    let noise = store.join("noise");
    expect(1, &["dict".as_ref(), "build".as_ref(), noise.as_os_str()]);
    expect(10, &["dict", "list", "/"]);
}
