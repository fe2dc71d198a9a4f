//! Names through the mount: renames, links, special files, long names, big directories.

use super::*;

#[test]
fn save_by_rename_replaces_the_file_at_once() {
    let Some(mount) = Mount::new("") else { return };
    let (path, temporary) = (mount.path("config"), mount.path(".config.tmp"));
    fs::write(&path, "old").unwrap();
    let held = fs::read(&path).unwrap();
    let mut open = File::open(&path).unwrap();
    let mut new = File::create_new(&temporary).unwrap();
    new.write_all(b"new content").unwrap();
    new.sync_all().unwrap();
    drop(new);
    fs::rename(&temporary, &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new content");
    assert_eq!(
        fs::metadata(&temporary).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let mut old = Vec::new();
    open.read_to_end(&mut old).unwrap();
    assert_eq!(old, held, "who had it open goes on with the old file");
}

#[test]
fn renames_in_all_their_forms() {
    let Some(mount) = Mount::new("") else { return };
    let [a, b, dir] = ["a", "b", "dir"].map(|name| mount.path(name));
    fs::write(&a, "a").unwrap();
    fs::write(&b, "b").unwrap();
    fs::create_dir(&dir).unwrap();
    let cwd = rustix::fs::CWD;
    let renamed = rustix::fs::renameat_with(cwd, &a, cwd, &b, RenameFlags::NOREPLACE);
    assert_eq!(renamed, Err(rustix::io::Errno::EXIST));
    rustix::fs::renameat_with(cwd, &a, cwd, &b, RenameFlags::EXCHANGE).unwrap();
    assert_eq!(fs::read(&a).unwrap(), b"b");
    rustix::fs::renameat_with(cwd, &a, cwd, &dir, RenameFlags::EXCHANGE).unwrap();
    assert!(a.is_dir() && dir.is_file());
    let whiteout = rustix::fs::renameat_with(cwd, &b, cwd, mount.path("c"), RenameFlags::WHITEOUT);
    assert_eq!(whiteout, Err(rustix::io::Errno::INVAL));
    fs::rename(&b, a.join("inside")).unwrap();
    assert_eq!(
        fs::rename(&dir, &a).unwrap_err().kind(),
        ErrorKind::IsADirectory
    );
    assert_eq!(fs::read(a.join("inside")).unwrap(), b"a");
    fs::create_dir(mount.path("empty")).unwrap();
    let over = fs::rename(mount.path("empty"), &a).unwrap_err();
    assert_eq!(over.kind(), ErrorKind::DirectoryNotEmpty);
}

#[test]
fn links_share_one_inode_and_symlinks_name_a_path() {
    let Some(mount) = Mount::new("") else { return };
    let [file, hard, soft] = ["file", "hard", "soft"].map(|name| mount.path(name));
    fs::write(&file, "one").unwrap();
    fs::hard_link(&file, &hard).unwrap();
    symlink("file", &soft).unwrap();
    let (a, b) = (fs::metadata(&file).unwrap(), fs::metadata(&hard).unwrap());
    assert_eq!((a.ino(), a.nlink()), (b.ino(), 2));
    fs::write(&hard, "other").unwrap();
    assert_eq!(fs::read(&soft).unwrap(), b"other");
    assert_eq!(fs::read_link(&soft).unwrap(), Path::new("file"));
    fs::remove_file(&file).unwrap();
    assert_eq!(fs::metadata(&hard).unwrap().nlink(), 1);
    assert!(fs::metadata(&soft).is_err() && fs::symlink_metadata(&soft).is_ok());
}

#[test]
fn special_files_are_what_they_are() {
    let Some(mount) = Mount::new("dev") else {
        return;
    };
    let (fifo, null) = (mount.path("fifo"), mount.path("null"));
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    assert_eq!(
        fs::metadata(&fifo).unwrap().mode() & libc::S_IFMT,
        libc::S_IFIFO
    );
    let made = Command::new("mknod")
        .arg(&null)
        .args(["c", "1", "3"])
        .status();
    if made.unwrap().success() {
        assert_eq!(fs::metadata(&null).unwrap().rdev(), libc::makedev(1, 3));
        fs::write(&null, "swallowed").unwrap();
        assert!(fs::read(&null).unwrap().is_empty());
    }
    std::os::unix::net::UnixListener::bind(mount.path("socket")).unwrap();
    assert!(fs::remove_file(mount.path("socket")).is_ok());
}

#[test]
fn names_up_to_255_bytes() {
    let Some(mount) = Mount::new("") else { return };
    let longest = "n".repeat(255);
    fs::write(mount.path(&longest), "x").unwrap();
    assert_eq!(fs::read(mount.path(&longest)).unwrap(), b"x");
    let too_long = fs::write(mount.path(&"n".repeat(256)), "x").unwrap_err();
    assert_eq!(too_long.kind(), ErrorKind::InvalidFilename);
    for odd in [
        "a.holo",
        "b.holo~",
        " space ",
        "new\nline",
        "ü€",
        ".hidden",
        "-r",
    ] {
        fs::write(mount.path(odd), odd).unwrap();
        assert_eq!(fs::read(mount.path(odd)).unwrap(), odd.as_bytes());
    }
    let listed = fs::read_dir(mount.path("")).unwrap().count();
    assert_eq!(listed, 8);
}

#[test]
fn a_big_directory_is_listed_whole_and_anew_after_rewind() {
    let Some(mount) = Mount::new("") else { return };
    let dir = mount.path("big");
    fs::create_dir(&dir).unwrap();
    for i in 0..3000 {
        File::create(dir.join(format!("file-{i:05}"))).unwrap();
    }
    let open = rustix::fs::open(
        &dir,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    );
    let mut listing = rustix::fs::Dir::new(open.unwrap()).unwrap();
    let names = |listing: &mut rustix::fs::Dir| {
        let mut names: Vec<Vec<u8>> = Vec::new();
        while let Some(entry) = listing.read() {
            names.push(entry.unwrap().file_name().to_bytes().to_vec());
        }
        names.sort();
        names
    };
    let first = names(&mut listing);
    assert_eq!(first.len(), 3002);
    assert!(first.windows(2).all(|w| w[0] != w[1]), "no name twice");
    assert!(first.contains(&b".".to_vec()) && first.contains(&b"..".to_vec()));
    fs::remove_file(dir.join("file-00007")).unwrap();
    File::create(dir.join("one more")).unwrap();
    listing.rewind();
    let second = names(&mut listing);
    assert!(second.contains(&b"one more".to_vec()));
    assert!(!second.contains(&b"file-00007".to_vec()));
    // Every listed name can be looked at, and removing while reading leaves nothing behind.
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert!(entry.metadata().unwrap().is_file());
        fs::remove_file(entry.path()).unwrap();
    }
    fs::remove_dir(&dir).unwrap();
}

/// Two programs read one directory in pieces, while names come and go: what stays is seen once by each.
#[test]
fn a_directory_is_read_by_two_at_a_time() {
    let Some(mount) = Mount::new("") else { return };
    let dir = mount.path("big");
    fs::create_dir(&dir).unwrap();
    for i in 0..1000 {
        File::create(dir.join(format!("file-{i:04}"))).unwrap();
        if i % 4 == 0 {
            fs::create_dir(dir.join(format!("dir-{i:04}"))).unwrap();
        }
    }
    let mut seen = [const { Vec::new() }; 2];
    let mut listings = [&dir, &dir].map(|dir| fs::read_dir(dir).unwrap());
    for step in 0.. {
        let mut ended = 0;
        for (listing, seen) in listings.iter_mut().zip(&mut seen) {
            let piece: Vec<_> = listing.by_ref().take(150).collect();
            ended += usize::from(piece.is_empty());
            for entry in piece.into_iter().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                let name = entry.file_name().into_string().unwrap();
                assert_eq!(kind.is_dir(), name.starts_with("dir"), "{name}");
                seen.push(name);
            }
        }
        if ended == 2 {
            break;
        }
        File::create(dir.join(format!("new-{step}"))).unwrap();
        fs::remove_file(dir.join(format!("file-{:04}", 990 + step % 10))).ok();
    }
    for mut seen in seen {
        seen.retain(|name| !name.starts_with("new") && name.as_str() < "file-0990");
        seen.sort();
        let before = seen.len();
        seen.dedup();
        assert_eq!((before, seen.len()), (1240, 1240));
    }
}

/// A directory of the store on which something else was mounted cannot be looked into, but vanished from listings too.
#[test]
fn what_cannot_be_looked_up_is_listed() {
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).ok();
        }
    }
    let Some(mount) = Mount::new("") else { return };
    for name in ["a", "b", "c"] {
        fs::create_dir(mount.dir.path().join("store").join(name)).unwrap();
    }
    let below = mount.dir.path().join("store/b");
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("none", &below, "tmpfs", flags, None).unwrap();
    let _mounted = Mounted(below);
    let listed = fs::read_dir(mount.path("")).unwrap();
    let mut names: Vec<_> = listed.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(fs::read_dir(mount.path("b")).is_err());
}
