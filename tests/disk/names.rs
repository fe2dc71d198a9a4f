//! What directories do with names, on every medium.

use std::io::ErrorKind;

use holofs::format::Time;
use holofs::store::disk::{Access, Dir, Kind, Rename, SetTimes, meta_if_there};
use rustix::io::Errno;

use super::support::crash_disk::CrashDisk;
use super::{content, errno, get, kind, make_dir, names, os, put};

pub(crate) fn only_regular_files_are_opened(root: &dyn Dir) {
    put(root, "file", b"");
    root.make_dir(os("dir"), 0o755, 0).unwrap();
    root.make_symlink(os("link"), os("file")).unwrap();
    root.make_node(os("fifo"), Kind::Fifo, 0o600, 0, 0).unwrap();
    root.make_node(os("socket"), Kind::Socket, 0o600, 0, 0)
        .unwrap();
    for access in [Access::Read, Access::Write] {
        assert!(root.open(os("file"), access).is_ok());
        assert_eq!(kind(root.open(os("none"), access)), ErrorKind::NotFound);
        assert_eq!(kind(root.open(os("dir"), access)), ErrorKind::IsADirectory);
        let link = root.open(os("link"), access);
        assert_eq!(errno(link), Some(Errno::LOOP));
        // Returning at all is the point: nobody has the other end of the fifo.
        assert_eq!(errno(root.open(os("fifo"), access)), Some(Errno::NXIO));
        assert_eq!(errno(root.open(os("socket"), access)), Some(Errno::NXIO));
    }
    let read_only = root.open(os("file"), Access::Read).unwrap();
    assert_eq!(errno(read_only.write_at(b"x", 0)), Some(Errno::BADF));
    assert_eq!(errno(read_only.append(b"x")), Some(Errno::BADF));
    assert_eq!(errno(read_only.set_len(1)), Some(Errno::INVAL));
}

pub(crate) fn creating_never_replaces(root: &dyn Dir) {
    put(root, "file", b"keep");
    root.make_symlink(os("link"), os("nowhere")).unwrap();
    root.make_dir(os("dir"), 0o755, 0).unwrap();
    for name in ["file", "link", "dir"] {
        let name = os(name);
        assert_eq!(kind(root.create(name, 0o644, 0)), ErrorKind::AlreadyExists);
        assert_eq!(
            kind(root.make_dir(name, 0o755, 0)),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            kind(root.make_node(name, Kind::Fifo, 0o644, 0, 0)),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            kind(root.make_symlink(name, os("x"))),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            kind(root.link(os("file"), root, name)),
            ErrorKind::AlreadyExists
        );
    }
    assert_eq!(get(root, "file"), b"keep");
    assert_eq!(names(root), ["dir", "file", "link"]);
}

pub(crate) fn nodes_have_their_kind(root: &dyn Dir) {
    root.make_node(os("empty"), Kind::File, 0o640, 0o022, 0)
        .unwrap();
    root.make_node(os("fifo"), Kind::Fifo, 0o666, 0o022, 0)
        .unwrap();
    root.make_node(os("socket"), Kind::Socket, 0o777, 0o077, 0)
        .unwrap();
    root.make_dir(os("dir"), 0o1777, 0o002).unwrap();
    root.make_symlink(os("link"), os("/some/where")).unwrap();
    let expected = [
        ("dir", Kind::Dir, 0o1775),
        ("empty", Kind::File, 0o640),
        ("fifo", Kind::Fifo, 0o644),
        ("link", Kind::Symlink, 0o777),
        ("socket", Kind::Socket, 0o700),
    ];
    let mut list = root.list().unwrap();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    for (listed, (name, kind, mode)) in list.iter().zip(expected) {
        assert_eq!((listed.name.as_os_str(), listed.kind), (os(name), kind));
        let meta = root.meta(os(name)).unwrap();
        assert_eq!((meta.kind, meta.mode), (kind, mode), "{name}");
    }
    assert_eq!(root.read_link(os("link")).unwrap(), "/some/where");
    assert_eq!(errno(root.read_link(os("empty"))), Some(Errno::INVAL));
    let dir = root.make_node(os("x"), Kind::Dir, 0o755, 0, 0);
    assert_eq!(errno(dir), Some(Errno::INVAL));
    if rustix::process::geteuid().is_root() {
        let null = rustix::fs::makedev(1, 3);
        root.make_node(os("null"), Kind::Char, 0o666, 0, null)
            .unwrap();
        let meta = root.meta(os("null")).unwrap();
        assert_eq!((meta.kind, meta.rdev), (Kind::Char, null));
    }
}

pub(crate) fn names_are_single_components(root: &dyn Dir) {
    make_dir(root, "sub");
    put(root, "file", b"");
    for bad in ["", ".", "..", "sub/x", "/", "a\0b"] {
        let bad = os(bad);
        let invalid = Some(Errno::INVAL);
        assert_eq!(errno(root.dir(bad)), invalid);
        assert_eq!(errno(root.open(bad, Access::Read)), invalid);
        assert_eq!(errno(root.create(bad, 0o644, 0)), invalid);
        assert_eq!(errno(root.make_dir(bad, 0o755, 0)), invalid);
        assert_eq!(errno(root.unlink(bad)), invalid);
        assert_eq!(errno(root.remove_dir(bad)), invalid);
        assert_eq!(errno(root.make_symlink(bad, os("x"))), invalid);
        assert_eq!(errno(root.link(os("file"), root, bad)), invalid);
        let rename = |from, to| root.rename(from, root, to, Rename::Replace);
        assert_eq!(errno(rename(os("file"), bad)), invalid);
        assert_eq!(errno(rename(bad, os("file"))), invalid);
        if bad != "." {
            assert_eq!(errno(root.meta(bad)), invalid);
            assert_eq!(errno(root.set_mode(bad, 0)), invalid);
            assert_eq!(errno(root.xattr(bad, os("user.a"))), invalid);
        }
    }
    let longest = "n".repeat(255);
    root.create(os(&longest), 0o644, 0).unwrap();
    let longer = root.create(os(&(longest + "n")), 0o644, 0);
    assert_eq!(errno(longer), Some(Errno::NAMETOOLONG));
}

pub(crate) fn directories_are_opened_and_never_through_links(root: &dyn Dir) {
    let sub = make_dir(root, "sub");
    put(&*sub, "x", b"inside");
    put(root, "file", b"");
    root.make_symlink(os("link"), os("sub")).unwrap();
    root.make_symlink(os("up"), os("..")).unwrap();
    assert_eq!(get(&*root.dir(os("sub")).unwrap(), "x"), b"inside");
    for name in ["link", "up", "file"] {
        let dir = root.dir(os(name));
        assert_eq!(kind(dir), ErrorKind::NotADirectory, "{name}");
    }
    assert_eq!(kind(root.dir(os("none"))), ErrorKind::NotFound);
    assert_eq!(
        sub.self_meta().unwrap(),
        root.meta(os("sub")).unwrap(),
        "by handle and by name"
    );
    assert_eq!(root.meta(os(".")).unwrap(), root.self_meta().unwrap());
}

pub(crate) fn links_share_one_inode(root: &dyn Dir) {
    let sub = make_dir(root, "sub");
    let file = put(root, "a", b"1");
    root.link(os("a"), &*sub, os("b")).unwrap();
    let meta = file.meta().unwrap();
    assert_eq!(meta.nlink, 2);
    assert_eq!(sub.meta(os("b")).unwrap().ino, meta.ino);
    root.unlink(os("a")).unwrap();
    assert_eq!(sub.meta(os("b")).unwrap().nlink, 1);
    file.write_at(b"2", 0).unwrap();
    assert_eq!(get(&*sub, "b"), b"2");

    assert_eq!(
        errno(root.link(os("sub"), root, os("c"))),
        Some(Errno::PERM)
    );
    let gone = root.link(os("a"), root, os("c"));
    assert_eq!(kind(gone), ErrorKind::NotFound);
    root.make_symlink(os("s"), os("sub")).unwrap();
    root.link(os("s"), root, os("t")).unwrap();
    assert_eq!(root.meta(os("t")).unwrap().kind, Kind::Symlink);
}

pub(crate) fn unlinked_files_live_while_open(root: &dyn Dir) {
    let file = put(root, "a", b"alive");
    root.unlink(os("a")).unwrap();
    assert_eq!(kind(root.unlink(os("a"))), ErrorKind::NotFound);
    assert!(meta_if_there(root, os("a")).unwrap().is_none());
    assert_eq!(file.meta().unwrap().nlink, 0);
    file.append(b" still").unwrap();
    file.sync(false).unwrap();
    assert_eq!(content(&*file), b"alive still");
    put(root, "a", b"other");
    assert_eq!(content(&*file), b"alive still");
}

pub(crate) fn removing_tells_files_from_directories(root: &dyn Dir) {
    put(root, "file", b"");
    let sub = make_dir(root, "sub");
    put(&*sub, "x", b"");
    let unlinked = root.unlink(os("sub"));
    assert_eq!(kind(unlinked), ErrorKind::IsADirectory);
    assert_eq!(kind(root.remove_dir(os("file"))), ErrorKind::NotADirectory);
    assert_eq!(
        kind(root.remove_dir(os("sub"))),
        ErrorKind::DirectoryNotEmpty
    );
    sub.unlink(os("x")).unwrap();
    root.remove_dir(os("sub")).unwrap();
    assert_eq!(kind(root.remove_dir(os("sub"))), ErrorKind::NotFound);
    assert_eq!(kind(sub.create(os("y"), 0o644, 0)), ErrorKind::NotFound);
    assert_eq!(names(root), ["file"]);
}

pub(crate) fn renames_replace_files_of_the_same_sort(root: &dyn Dir) {
    let sub = make_dir(root, "sub");
    put(root, "a", b"a");
    let old = put(&*sub, "b", b"b");
    let ino = root.meta(os("a")).unwrap().ino;
    root.rename(os("a"), &*sub, os("b"), Rename::Replace)
        .unwrap();
    assert_eq!(names(root), ["sub"]);
    assert_eq!(get(&*sub, "b"), b"a");
    assert_eq!(sub.meta(os("b")).unwrap().ino, ino);
    assert_eq!(content(&*old), b"b", "replaced while open");
    assert_eq!(old.meta().unwrap().nlink, 0);

    let missing = root.rename(os("a"), root, os("c"), Rename::Replace);
    assert_eq!(kind(missing), ErrorKind::NotFound);

    sub.link(os("b"), root, os("same")).unwrap();
    root.rename(os("same"), &*sub, os("b"), Rename::Replace)
        .unwrap();
    assert_eq!(
        names(root),
        ["same", "sub"],
        "two names of one inode both stay"
    );
}

pub(crate) fn renames_keep_files_and_directories_apart(root: &dyn Dir) {
    put(root, "file", b"");
    make_dir(root, "empty");
    let full = make_dir(root, "full");
    put(&*full, "x", b"");
    let inner = make_dir(&*full, "inner");
    let replace = |from, to| root.rename(os(from), root, os(to), Rename::Replace);
    assert_eq!(kind(replace("full", "file")), ErrorKind::NotADirectory);
    assert_eq!(kind(replace("file", "full")), ErrorKind::IsADirectory);
    assert_eq!(kind(replace("empty", "full")), ErrorKind::DirectoryNotEmpty);
    for how in [Rename::Replace, Rename::NoReplace] {
        let below = root.rename(os("full"), &*inner, os("y"), how);
        assert_eq!(errno(below), Some(Errno::INVAL), "below itself");
    }
    let nlink = root.self_meta().unwrap().nlink;
    replace("full", "empty").unwrap();
    assert_eq!(names(root), ["empty", "file"]);
    assert_eq!(names(&*root.dir(os("empty")).unwrap()), ["inner", "x"]);
    assert_eq!(names(&*full), ["inner", "x"], "the handle follows");
    assert_eq!(root.self_meta().unwrap().nlink, nlink - 1);
    put(root, "b", b"");
    let loud = |from, to| root.rename(os(from), root, os(to), Rename::NoReplace);
    assert_eq!(kind(loud("file", "b")), ErrorKind::AlreadyExists);
    loud("file", "c").unwrap();
    assert_eq!(names(root), ["b", "c", "empty"]);
}

pub(crate) fn exchanges_swap_any_two_names(root: &dyn Dir) {
    let sub = make_dir(root, "sub");
    put(root, "x", b"file");
    let dir = make_dir(&*sub, "x");
    put(&*dir, "inside", b"");
    let swap = |to_name| root.rename(os("x"), &*sub, os(to_name), Rename::Exchange);
    swap("x").unwrap();
    assert_eq!(get(&*sub, "x"), b"file");
    assert_eq!(names(&*root.dir(os("x")).unwrap()), ["inside"]);
    assert_eq!(sub.self_meta().unwrap().nlink, 2);
    assert_eq!(root.self_meta().unwrap().nlink, 4);
    swap("x").unwrap();
    assert_eq!(get(root, "x"), b"file");
    assert_eq!(kind(swap("none")), ErrorKind::NotFound);
    let below = root.rename(os("sub"), &*sub, os("x"), Rename::Exchange);
    assert_eq!(errno(below), Some(Errno::INVAL));
}

pub(crate) fn only_directories_of_the_same_medium_meet(root: &dyn Dir) {
    put(root, "a", b"");
    let other = CrashDisk::new().root();
    let renamed = root.rename(os("a"), &*other, os("a"), Rename::Replace);
    assert_eq!(errno(renamed), Some(Errno::XDEV));
    assert_eq!(
        errno(root.link(os("a"), &*other, os("a"))),
        Some(Errno::XDEV)
    );
}

pub(crate) fn changes_of_names_move_the_directory_times(root: &dyn Dir) {
    let sub = make_dir(root, "sub");
    let past = Time {
        secs: 1_000,
        nanos: 7,
    };
    let changes: [&dyn Fn(); 4] = [
        &|| drop(put(&*sub, "a", b"")),
        &|| sub.rename(os("a"), root, os("b"), Rename::Replace).unwrap(),
        &|| root.link(os("b"), &*sub, os("c")).unwrap(),
        &|| sub.unlink(os("c")).unwrap(),
    ];
    for change in changes {
        let both = SetTimes {
            atime: Some(past),
            mtime: Some(past),
        };
        root.set_times(os("sub"), both).unwrap();
        assert_eq!(sub.self_meta().unwrap().mtime, past);
        change();
        assert!(sub.self_meta().unwrap().mtime > past);
    }
}
