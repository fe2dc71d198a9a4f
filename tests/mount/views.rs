//! The views of a mount: the tree as fewer chunks of each set would show it.

use rustix::io::Errno;

use super::*;

const PROTECTED: &str = "version = 1\n[defaults]\nmin_size = \"1B\"\nprofile = \"standard\"\n";

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn errno<T>(result: std::io::Result<T>) -> Option<Errno> {
    let code = result.err()?.raw_os_error()?;
    Some(Errno::from_raw_os_error(code))
}

#[test]
fn a_view_is_the_tree_read_only() {
    let Some(mount) = Mount::new("") else { return };
    fs::create_dir(mount.path("dir")).unwrap();
    fs::write(mount.path("dir/plain"), noise(1, 300_000)).unwrap();
    symlink("plain", mount.path("dir/link")).unwrap();
    fs::set_permissions(mount.path("dir/plain"), fs::Permissions::from_mode(0o640)).unwrap();
    let name = c_path(&mount.path("dir/plain"));
    rustix::fs::setxattr(&name, "user.mine", b"value", XattrFlags::empty()).unwrap();

    let views = mount.path(".holofs/view");
    let mut listed: Vec<u8> = names(&views).iter().map(|n| n.parse().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, (1..=16).collect::<Vec<_>>());
    for name in ["0", "256", "04", "stats.json", "dir"] {
        assert_eq!(errno(fs::metadata(views.join(name))), Some(Errno::NOENT));
    }
    let mut seen = std::collections::HashSet::new();
    for chunks in ["1", "4", "16", "255"] {
        let view = views.join(chunks);
        assert_eq!(names(&view), ["dir"]);
        assert_eq!(names(&view.join("dir")), ["link", "plain"]);
        assert_eq!(names(&view.join("dir/..")), ["dir"]);
        assert_eq!(fs::read(view.join("dir/link")).unwrap(), noise(1, 300_000));
        for name in ["", "dir", "dir/plain"] {
            let there = fs::symlink_metadata(view.join(name)).unwrap();
            let main = fs::symlink_metadata(mount.path(name)).unwrap();
            assert_eq!(there.mode(), main.mode(), "{name}");
            assert_eq!(there.len(), main.len(), "{name}");
            let rooms = (main.ino(), there.ino());
            assert!(rooms.0 != rooms.1 && seen.insert(rooms.1), "{rooms:?}");
        }
        let path = c_path(&view.join("dir/plain"));
        let mut value = [0; 64];
        let length = rustix::fs::getxattr(&path, "user.mine", &mut value).unwrap();
        assert_eq!(&value[..length], b"value");
        let length = rustix::fs::listxattr(&path, &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"user.mine\0");
        assert!(!as_nobody("cat \"$1\"", &view.join("dir/plain")));

        let refused = [
            errno(fs::write(view.join("dir/plain"), "x")),
            errno(fs::write(view.join("dir/new"), "x")),
            errno(fs::create_dir(view.join("new"))),
            errno(fs::remove_file(view.join("dir/plain"))),
            errno(fs::rename(view.join("dir"), view.join("other"))),
            errno(fs::rename(view.join("dir"), mount.path("other"))),
            errno(fs::rename(mount.path("dir"), view.join("other"))),
            errno(fs::hard_link(view.join("dir/plain"), mount.path("other"))),
            errno(symlink("x", view.join("new"))),
            rustix::fs::setxattr(&path, "user.mine", b"x", XattrFlags::empty()).err(),
        ];
        assert_eq!(refused, [Some(Errno::ROFS); 10]);
    }
    let outside = [
        errno(fs::create_dir(views.join("4x"))),
        errno(fs::remove_dir(views.join("4"))),
        errno(fs::write(mount.path(".holofs/x"), "x")),
    ];
    assert_eq!(outside, [Some(Errno::ACCESS); 3]);
}

/// The writer's changes are there with the next look, however fast they follow each other.
#[test]
fn a_view_is_never_behind() {
    let Some(mount) = Mount::with_policy(PROTECTED, "") else {
        return;
    };
    let (main, view) = (mount.path("dir"), mount.path(".holofs/view/15/dir"));
    fs::create_dir(&main).unwrap();
    for round in 0..200 {
        let name = format!("{round}");
        fs::write(main.join(&name), &name).unwrap();
        let all = names(&view);
        assert!(all.len() == round + 1 && all.contains(&name), "{round}");
        assert_eq!(fs::read_to_string(view.join(&name)).unwrap(), name);
    }
    for round in 0..200 {
        let name = format!("{round}");
        if round % 2 == 0 {
            fs::rename(main.join(&name), main.join(format!("new{round}"))).unwrap();
            assert!(names(&view).contains(&format!("new{round}")));
            let moved = fs::read_to_string(view.join(format!("new{round}")));
            assert_eq!(moved.unwrap(), name);
        } else {
            fs::remove_file(main.join(&name)).unwrap();
        }
        let gone = fs::metadata(view.join(&name));
        assert_eq!(errno(gone), Some(Errno::NOENT), "{name}");
        assert!(!names(&view).contains(&name));
    }
    // Content, sizes and directories that move, with a reader in between.
    let held = File::open(view.join("new0")).unwrap();
    for round in 1..50_usize {
        let content = noise(3, round * 100);
        fs::write(main.join("new0"), &content).unwrap();
        assert_eq!(
            fs::metadata(view.join("new0")).unwrap().len(),
            round as u64 * 100
        );
        assert!(fs::read(view.join("new0")).unwrap() == content);
        let mut through = vec![0; content.len()];
        held.read_exact_at(&mut through, 0).unwrap();
        assert!(through == content, "through an open file");
    }
    fs::create_dir(main.join("sub")).unwrap();
    fs::write(main.join("sub/file"), "x").unwrap();
    assert_eq!(names(&view.join("sub")), ["file"]);
    let inside = File::open(view.join("sub")).unwrap();
    fs::rename(main.join("sub"), main.join("moved")).unwrap();
    assert_eq!(names(&view.join("moved")), ["file"]);
    assert_eq!(fs::read(view.join("moved/file")).unwrap(), b"x");
    let flags = rustix::fs::OFlags::RDONLY;
    let file = rustix::fs::openat(&inside, "file", flags, rustix::fs::Mode::empty());
    assert!(file.is_ok(), "a directory that is held, by whatever name");
    // Encoded under its reader: the reader goes on, and the next one sees the set.
    drop(held);
    let content = noise(4, 100_000);
    fs::write(main.join("new0"), &content).unwrap();
    let held = File::open(view.join("new0")).unwrap();
    mount.settle();
    assert_eq!(computed(&view.join("new0"), "status").unwrap(), "exact");
    let mut through = vec![0; content.len()];
    held.read_exact_at(&mut through, 0).unwrap();
    assert!(through == content && fs::read(view.join("new0")).unwrap() == content);
}

/// An open directory, too, is read as it is now.
#[test]
fn a_directory_that_is_held_open_is_listed_anew() {
    let Some(mount) = Mount::new("") else { return };
    let (main, view) = (mount.path("dir"), mount.path(".holofs/view/3/dir"));
    fs::create_dir(&main).unwrap();
    let mut dir = rustix::fs::Dir::new(File::open(&view).unwrap()).unwrap();
    for round in 0..100 {
        fs::write(main.join(format!("{round}")), "").unwrap();
        dir.rewind();
        let listed = (&mut dir).map(Result::unwrap).count();
        assert_eq!(listed, 2 + round + 1);
    }
}

#[test]
fn what_is_no_medium_is_exact_or_an_error() {
    let Some(mount) = Mount::with_policy(PROTECTED, "") else {
        return;
    };
    let content = noise(5, 50_000);
    fs::write(mount.path("file"), &content).unwrap();
    assert_eq!(mount.settle().encoded, 1);
    let view = |chunks: u8| mount.path(&format!(".holofs/view/{chunks}/file"));
    for chunks in [1, 4, 8, 13] {
        assert_eq!(errno(fs::read(view(chunks))), Some(Errno::IO));
        assert_eq!(fs::metadata(view(chunks)).unwrap().len(), 50_000);
        assert_eq!(computed(&view(chunks), "status").unwrap(), "lost");
        assert_eq!(
            computed(&view(chunks), "chunks").unwrap(),
            format!("{chunks}/16")
        );
        let preview = computed(&view(chunks), "preview");
        assert_eq!(preview.err(), Some(Errno::NODATA));
    }
    for chunks in [14, 16, 200] {
        assert!(fs::read(view(chunks)).unwrap() == content);
    }
    assert!(fs::read(mount.path("file")).unwrap() == content);
}

/// Each view has its own quality of one picture, and the main tree all of it, at the same time.
#[test]
fn a_picture_is_as_sharp_as_its_view_has_chunks() {
    let Some(mount) = Mount::with_policy(PROTECTED, "") else {
        return;
    };
    let content = picture(9, 320, 200);
    fs::write(mount.path("photo.ppm"), &content).unwrap();
    assert_eq!(mount.settle().encoded, 1);
    let main = File::open(mount.path("photo.ppm")).unwrap();
    let mut held = Vec::new();
    let mut before = 0.0;
    for (chunks, rising) in [(1, true), (3, false), (4, true), (8, true), (12, true)] {
        let path = mount.path(&format!(".holofs/view/{chunks}/photo.ppm"));
        let shown = fs::read(&path).unwrap();
        assert_eq!(shown[..15], content[..15], "the header");
        let now = psnr(&shown, &content);
        assert!(
            if rising {
                now > before
            } else {
                (now - before).abs() < 1e-9
            },
            "{now} dB"
        );
        let told: f64 = computed(&path, "quality").unwrap().parse().unwrap();
        assert!((told - now).abs() < 0.5, "{told} dB told, {now} dB");
        assert_eq!(computed(&path, "status").unwrap(), "degraded");
        assert_eq!(
            computed(&path, "health").unwrap(),
            format!("{chunks} of 16 chunks")
        );
        before = now;
        held.push((File::open(&path).unwrap(), shown));
    }
    let exact = mount.path(".holofs/view/14/photo.ppm");
    assert!(fs::read(&exact).unwrap() == content);
    assert_eq!(computed(&exact, "quality"), Err(Errno::NODATA));
    let mut read = vec![0; content.len()];
    for (file, shown) in &held {
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(&read == shown);
        main.read_exact_at(&mut read, 0).unwrap();
        assert!(read == content);
    }
    assert_eq!(
        computed(&mount.path("photo.ppm"), "status").unwrap(),
        "exact"
    );
    let stats = fs::read_to_string(mount.path(".holofs/stats.json")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["degraded"], 0, "a view is no damage");
}

/// A film of more than fits into memory at once is read by ranges: any frame at once, at the quality that is left.
#[test]
fn any_frame_of_a_film_is_as_sharp_as_its_view_has_chunks() {
    let Some(mount) = Mount::with_policy(PROTECTED, "") else {
        return;
    };
    let (width, height, frames) = (160, 120, 40);
    let mut content = format!("YUV4MPEG2 W{width} H{height} F25:1 Cmono\n").into_bytes();
    let head = content.len();
    for frame in 0..frames {
        content.extend(b"FRAME\n");
        let grain = noise(frame + 1, width * height);
        content.extend(grain.iter().enumerate().map(|(at, grain)| {
            let (x, y) = (at % width + 2 * usize::try_from(frame).unwrap(), at / width);
            u8::try_from((x / 9 + y / 7) % 2 * 90 + (x + y) % 100).unwrap() + grain % 8
        }));
    }
    fs::write(mount.path("film.y4m"), &content).unwrap();
    assert_eq!(mount.settle().encoded, 1);
    assert_eq!(computed(&mount.path("film.y4m"), "codec").unwrap(), "video");
    let frame = 6 + width * height;
    let mut before = 0.0;
    for chunks in [1, 4, 8, 12] {
        let path = mount.path(&format!(".holofs/view/{chunks}/film.y4m"));
        let film = File::open(&path).unwrap();
        let mut shown = vec![0; frame];
        let at = head + 29 * frame;
        film.read_exact_at(&mut shown, at as u64).unwrap();
        assert_eq!(&shown[..6], b"FRAME\n");
        let now = psnr(&shown, &content[at..at + frame]);
        assert!(now > before, "{now} dB of {chunks} chunks");
        before = now;
        let told: f64 = computed(&path, "quality").unwrap().parse().unwrap();
        assert!((told - now).abs() < 2.0, "{told} dB told, {now} dB");
        assert_eq!(film.metadata().unwrap().len(), content.len() as u64);
        assert_eq!(fs::read(&path).unwrap()[..head], content[..head]);
    }
    assert!(fs::read(mount.path("film.y4m")).unwrap() == content);
}
