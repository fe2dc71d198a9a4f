//! Encoded files through the mount: ordinary files, whatever happens to them.

use super::*;

#[test]
fn encoded_files_are_ordinary_files() {
    let Some(mount) = Mount::new("") else { return };
    let (large, small) = (noise(7, 9_000_000), vec![b'z'; 50_000]);
    fs::write(mount.path("large"), &large).unwrap();
    fs::write(mount.path("small"), &small).unwrap();
    let before = fs::metadata(mount.path("large")).unwrap();
    assert_eq!(mount.settle().encoded, 2);
    let after = fs::metadata(mount.path("large")).unwrap();
    assert_eq!((before.ino(), before.len()), (after.ino(), after.len()));
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(fs::read(mount.path("large")).unwrap(), large);
    assert_eq!(fs::read(mount.path("small")).unwrap(), small);
    let mut status = [0; 64];
    let path = c_path(&mount.path("large"));
    let length = rustix::fs::getxattr(&path, "user.holofs.status", &mut status).unwrap();
    assert_eq!(&status[..length], b"exact");
    // A reader of the decoded content goes on while another program writes.
    let reader = File::open(mount.path("large")).unwrap();
    let mut page = [0; 4096];
    reader.read_exact_at(&mut page, 4_000_000).unwrap();
    assert_eq!(page[..], large[4_000_000..4_004_096]);
    let writer = OpenOptions::new()
        .write(true)
        .open(mount.path("large"))
        .unwrap();
    writer.write_all_at(b"changed", 4_000_000).unwrap();
    reader.read_exact_at(&mut page, 4_000_000).unwrap();
    assert_eq!(page[..7], *b"changed");
    drop((reader, writer));
    let mut expected = large;
    expected[4_000_000..4_000_007].copy_from_slice(b"changed");
    assert_eq!(fs::read(mount.path("large")).unwrap(), expected);
    let mut file = OpenOptions::new()
        .append(true)
        .open(mount.path("small"))
        .unwrap();
    file.write_all(b"more").unwrap();
    drop(file);
    assert_eq!(mount.settle().encoded, 2);
    let mount = mount.again("");
    assert_eq!(fs::read(mount.path("large")).unwrap(), expected);
    assert_eq!(fs::read(mount.path("small")).unwrap().len(), 50_004);
    fs::rename(mount.path("large"), mount.path("small")).unwrap();
    assert_eq!(fs::read(mount.path("small")).unwrap(), expected);
    fs::remove_file(mount.path("small")).unwrap();
    assert_eq!(fs::read_dir(mount.path("")).unwrap().count(), 0);
}

/// Random numbers that a seed replays.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit
    }
}

/// Files that one thread changes, and what they should hold.
struct History {
    prefix: String,
    random: Random,
    model: BTreeMap<String, Vec<u8>>,
}

impl History {
    fn name(&mut self) -> String {
        format!("{}{}", self.prefix, self.random.below(6))
    }

    /// Does `steps` random things to the files in `dir`; `settle` encodes everything closed.
    fn go_on(&mut self, dir: &Path, steps: u64, settle: &dyn Fn()) {
        let mut held: Option<(File, String)> = None;
        for step in 0..steps {
            let (name, other) = (self.name(), self.name());
            let random = &mut self.random;
            let (path, other_path) = (dir.join(&name), dir.join(&other));
            let magnitude = random.below(20);
            let data = noise(step, random.below(1 << magnitude));
            let mut content = self.model.remove(&name);
            match (random.below(11), &mut content) {
                (0 | 1, _) => {
                    fs::write(&path, &data).unwrap();
                    content = Some(data);
                }
                (2, Some(content)) => {
                    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
                    file.write_all(&data).unwrap();
                    content.extend_from_slice(&data);
                }
                (3 | 4, Some(content)) => {
                    let at = random.below(content.len() + 1000);
                    let file = OpenOptions::new().write(true).open(&path).unwrap();
                    file.write_all_at(&data, at as u64).unwrap();
                    if !data.is_empty() {
                        content.resize(content.len().max(at + data.len()), 0);
                        content[at..at + data.len()].copy_from_slice(&data);
                    }
                }
                (5, Some(content)) => {
                    content.resize(random.below(content.len() * 2 + 1), 0);
                    let file = OpenOptions::new().write(true).open(&path).unwrap();
                    file.set_len(content.len() as u64).unwrap();
                }
                (6, Some(_)) if name != other => {
                    fs::rename(&path, &other_path).unwrap();
                    self.model
                        .extend(content.take().map(|content| (other, content)));
                    held = None;
                }
                (7, Some(_)) => {
                    fs::remove_file(&path).unwrap();
                    content = None;
                    held = None;
                }
                (8, Some(_)) => held = Some((File::open(&path).unwrap(), name.clone())),
                (9, _) => settle(),
                (_, Some(content)) => {
                    assert_eq!(fs::read(&path).unwrap(), *content, "step {step}: {name}");
                }
                (_, None) => assert!(!path.exists(), "step {step}: {name}"),
            }
            self.model.extend(content.map(|content| (name, content)));
            if let Some((file, name)) = &held {
                let content = &self.model[name];
                let at = self.random.below(content.len() + 1);
                let mut part = vec![0; self.random.below(10_000).min(content.len() - at)];
                file.read_exact_at(&mut part, at as u64).unwrap();
                assert_eq!(
                    part,
                    content[at..at + part.len()],
                    "step {step}: {name} held open"
                );
            }
        }
    }
}

/// Whatever programs do at once, and whenever the encoder comes in between, files hold what lists in memory say. (A
/// file truncated while a reader held its decoded copy once lost what was written next: the kernel went on passing
/// writes through to the copy.)
#[test]
fn random_histories_leave_what_was_written() {
    const EAGER: &str = "version = 1\n[defaults]\nmin_size = \"1B\"\nprofile = \"standard\"\n\
        [encode]\nquiet = \"0s\"\nlinger = \"0s\"\n";
    let Some(mut mount) = Mount::with_policy(EAGER, "") else {
        return;
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = std::env::var("HOLOFS_SEED").map_or_else(
        |_| u64::from(now.unwrap().subsec_nanos()),
        |seed| seed.parse().unwrap(),
    );
    eprintln!("HOLOFS_SEED={seed}");
    let steps = std::env::var("HOLOFS_STEPS").map_or(60, |steps| steps.parse().unwrap());
    let mut histories: Vec<History> = ["a", "b", "c"]
        .into_iter()
        .zip(seed..)
        .map(|(prefix, seed)| History {
            prefix: prefix.to_owned(),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            model: BTreeMap::new(),
        })
        .collect();
    for _ in 0..3 {
        let (dir, settle) = (mount.path(""), || {
            mount.settle();
        });
        thread::scope(|scope| {
            for history in &mut histories {
                scope.spawn(|| history.go_on(&dir, steps, &settle));
            }
        });
        mount = mount.again("");
        let mut names: Vec<_> = fs::read_dir(mount.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let known = histories.iter().flat_map(|h| &h.model);
        assert_eq!(
            names,
            known
                .clone()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        );
        for (name, content) in known {
            assert_eq!(
                fs::read(mount.path(name)).unwrap(),
                *content,
                "{name} after a remount"
            );
        }
    }
}

#[test]
fn encoding_is_no_change_of_the_directory() {
    let Some(mount) = Mount::with_policy("version = 1\n[encode]\nlinger = \"0s\"", "") else {
        return;
    };
    let dir = mount.path("d");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("f"), noise(1, 100_000)).unwrap();
    let before = fs::metadata(mount.dir.path().join("store/d"))
        .unwrap()
        .mtime_nsec();
    assert_eq!(mount.settle().encoded, 1);
    let after = fs::metadata(mount.dir.path().join("store/d"))
        .unwrap()
        .mtime_nsec();
    assert_eq!(
        before, after,
        "rsync and make look at the times of directories"
    );
}
