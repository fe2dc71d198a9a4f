//! Modes, owners, times, extended attributes, leases and sizes, on every medium.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;

use holofs::format::Time;
use holofs::store::disk::{Access, Dir, Kind, SetTimes, XattrMode};
use rustix::io::Errno;

use super::{errno, kind, make_dir, os, put};

pub(crate) fn the_umask_takes_bits_away(root: &dyn Dir) {
    root.create(os("a"), 0o666, 0o027).unwrap();
    root.create(os("b"), 0o4755, 0).unwrap();
    root.make_dir(os("c"), 0o777, 0o077).unwrap();
    let mode = |name| root.meta(os(name)).unwrap().mode;
    assert_eq!((mode("a"), mode("b"), mode("c")), (0o640, 0o4755, 0o700));
}

pub(crate) fn each_thread_has_its_own_umask(root: &dyn Dir) {
    std::thread::scope(|scope| {
        for umask in [0, 0o022, 0o077, 0o777] {
            scope.spawn(move || {
                for i in 0..100 {
                    let name = OsString::from(format!("{umask:o}-{i}"));
                    root.create(&name, 0o777, umask).unwrap();
                    assert_eq!(root.meta(&name).unwrap().mode, 0o777 & !umask);
                }
            });
        }
    });
}

pub(crate) fn modes_are_set_but_not_through_links(root: &dyn Dir) {
    let file = put(root, "file", b"");
    make_dir(root, "dir");
    root.make_symlink(os("link"), os("file")).unwrap();
    root.make_node(os("fifo"), Kind::Fifo, 0o600, 0, 0).unwrap();
    for name in ["file", "dir", "fifo"] {
        root.set_mode(os(name), 0o1711).unwrap();
        assert_eq!(root.meta(os(name)).unwrap().mode, 0o1711, "{name}");
    }
    file.set_mode(0o604).unwrap();
    let link = root.set_mode(os("link"), 0o777);
    assert_eq!(errno(link), Some(Errno::OPNOTSUPP));
    assert_eq!(root.meta(os("file")).unwrap().mode, 0o604);
    assert_eq!(kind(root.set_mode(os("none"), 0)), ErrorKind::NotFound);
    root.set_mode(os("."), 0o750).unwrap();
    assert_eq!(root.self_meta().unwrap().mode, 0o750);
}

pub(crate) fn owners_are_set_on_links_themselves(root: &dyn Dir) {
    let file = put(root, "file", b"");
    root.make_symlink(os("link"), os("file")).unwrap();
    let nobody = root.set_owner(os("file"), Some(u32::MAX), None);
    assert_eq!(errno(nobody), Some(Errno::INVAL));
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let owner = |name| {
        let meta = root.meta(os(name)).unwrap();
        (meta.uid, meta.gid)
    };
    let gid = owner("file").1;
    root.set_owner(os("file"), Some(12), None).unwrap();
    root.set_owner(os("link"), Some(34), Some(56)).unwrap();
    assert_eq!((owner("file"), owner("link")), ((12, gid), (34, 56)));
    file.set_owner(None, Some(78)).unwrap();
    assert_eq!(owner("file"), (12, 78));
}

pub(crate) fn times_are_set_on_links_themselves(root: &dyn Dir) {
    let file = put(root, "file", b"");
    root.make_symlink(os("link"), os("file")).unwrap();
    let before = root.meta(os("file")).unwrap();
    let (early, late) = (
        Time {
            secs: -5,
            nanos: 999_999_999,
        },
        Time {
            secs: 2_000_000_000,
            nanos: 1,
        },
    );
    let both = SetTimes {
        atime: Some(early),
        mtime: Some(late),
    };
    root.set_times(os("link"), both).unwrap();
    let link = root.meta(os("link")).unwrap();
    assert_eq!((link.atime, link.mtime), (early, late));
    let after = root.meta(os("file")).unwrap();
    assert_eq!((after.atime, after.mtime), (before.atime, before.mtime));

    let one = SetTimes {
        atime: None,
        mtime: Some(early),
    };
    file.set_times(one).unwrap();
    let after = file.meta().unwrap();
    assert_eq!((after.atime, after.mtime), (before.atime, early));
    assert!(after.ctime >= before.ctime);

    let now_in_disguise = Time {
        secs: 0,
        nanos: (1 << 30) - 1,
    };
    let wrong = SetTimes {
        atime: Some(now_in_disguise),
        mtime: None,
    };
    assert_eq!(errno(file.set_times(wrong)), Some(Errno::INVAL));
}

pub(crate) fn changes_move_the_change_time(root: &dyn Dir) {
    let file = put(root, "a", b"1");
    let past = Time {
        secs: 1_000,
        nanos: 0,
    };
    file.set_times(SetTimes {
        atime: Some(past),
        mtime: Some(past),
    })
    .unwrap();
    let start = file.meta().unwrap();
    assert!(start.ctime > past);
    assert!(start.btime <= start.ctime);
    file.set_mode(0o600).unwrap();
    assert_eq!(file.meta().unwrap().mtime, past, "no change of content");
    file.write_at(b"2", 0).unwrap();
    let written = file.meta().unwrap();
    assert!(written.mtime > past && written.ctime >= start.ctime);
    assert_eq!((written.btime, written.ino), (start.btime, start.ino));
}

pub(crate) fn reading_leaves_the_access_time(root: &dyn Dir) {
    let file = put(root, "a", b"1");
    let past = Time {
        secs: 1_000,
        nanos: 0,
    };
    file.set_times(SetTimes {
        atime: Some(past),
        mtime: None,
    })
    .unwrap();
    super::get(root, "a");
    assert_eq!(file.meta().unwrap().atime, past);
}

pub(crate) fn extended_attributes_are_kept(root: &dyn Dir) {
    let file = put(root, "file", b"");
    make_dir(root, "dir");
    let (a, b) = (os("user.a"), os("user.b"));
    assert_eq!(errno(file.xattr(a)), Some(Errno::NODATA));
    assert!(file.xattrs().unwrap().is_empty());

    file.set_xattr(a, b"one", XattrMode::Any).unwrap();
    root.set_xattr(os("file"), b, b"", XattrMode::Create)
        .unwrap();
    assert_eq!(root.xattr(os("file"), a).unwrap(), b"one");
    assert_eq!(file.xattr(b).unwrap(), b"");
    let expected = BTreeSet::from([a.to_owned(), b.to_owned()]);
    let all: BTreeSet<_> = file.xattrs().unwrap().into_iter().collect();
    assert_eq!(all, expected);
    let all: BTreeSet<_> = root.xattrs(os("file")).unwrap().into_iter().collect();
    assert_eq!(all, expected);

    let again = file.set_xattr(a, b"", XattrMode::Create);
    assert_eq!(kind(again), ErrorKind::AlreadyExists);
    file.set_xattr(a, b"two", XattrMode::Replace).unwrap();
    let absent = root.set_xattr(os("file"), os("user.c"), b"", XattrMode::Replace);
    assert_eq!(errno(absent), Some(Errno::NODATA));
    root.remove_xattr(os("file"), b).unwrap();
    file.remove_xattr(a).unwrap();
    assert_eq!(errno(file.remove_xattr(a)), Some(Errno::NODATA));
    assert_eq!(errno(root.remove_xattr(os("file"), a)), Some(Errno::NODATA));
    assert!(root.xattrs(os("file")).unwrap().is_empty());

    for name in ["dir", "."] {
        root.set_xattr(os(name), a, name.as_bytes(), XattrMode::Any)
            .unwrap();
        assert_eq!(root.xattr(os(name), a).unwrap(), name.as_bytes());
    }
    let dir = root.dir(os("dir")).unwrap();
    assert_eq!(dir.xattr(os("."), a).unwrap(), b"dir");
}

pub(crate) fn long_attributes_are_read_whole(root: &dyn Dir) {
    let file = put(root, "file", b"");
    let value: Vec<u8> = (0..3000_u32).map(|i| i as u8).collect();
    file.set_xattr(os("user.long"), &value, XattrMode::Any)
        .unwrap();
    assert_eq!(file.xattr(os("user.long")).unwrap(), value);
    for i in 0..9 {
        let name = OsString::from(format!("user.{i}{}", "n".repeat(80)));
        root.set_xattr(os("file"), &name, b"", XattrMode::Any)
            .unwrap();
    }
    assert_eq!(file.xattrs().unwrap().len(), 10);
}

pub(crate) fn attributes_are_never_reached_through_links(root: &dyn Dir) {
    let file = put(root, "file", b"");
    let a = os("user.a");
    file.set_xattr(a, b"file", XattrMode::Any).unwrap();
    root.make_symlink(os("link"), os("file")).unwrap();
    assert!(root.xattr(os("link"), a).is_err());
    assert!(root.set_xattr(os("link"), a, b"x", XattrMode::Any).is_err());
    assert!(root.remove_xattr(os("link"), a).is_err());
    assert_eq!(root.xattrs(os("link")).unwrap(), Vec::<OsString>::new());
    assert_eq!(file.xattr(a).unwrap(), b"file");
    assert_eq!(kind(root.xattr(os("none"), a)), ErrorKind::NotFound);
}

pub(crate) fn leases_and_writers_exclude_each_other(root: &dyn Dir) {
    let writer = put(root, "a", b"1");
    let reader = root.open(os("a"), Access::Read).unwrap();
    assert_eq!(kind(reader.lease()), ErrorKind::WouldBlock);
    drop(writer);
    let lease = reader.lease().unwrap();
    let second = root.open(os("a"), Access::Read).unwrap();
    assert_eq!(super::content(&*second), b"1", "readers are welcome");
    drop(second);
    let write = root.open(os("a"), Access::Write);
    assert_eq!(kind(write), ErrorKind::WouldBlock);
    drop(lease);
    let writer = root.open(os("a"), Access::Write).unwrap();
    assert_eq!(kind(reader.lease()), ErrorKind::WouldBlock);
    drop(writer);
    let lease = reader.lease().unwrap();
    drop(reader);
    assert!(
        root.open(os("a"), Access::Write).is_err(),
        "it outlives the file"
    );
    drop(lease);
    assert!(root.open(os("a"), Access::Write).is_ok());
}

pub(crate) fn space_is_told(root: &dyn Dir) {
    let space = root.space().unwrap();
    assert!(space.bsize > 0 && space.frsize > 0 && space.namelen == 255);
    assert!(space.bavail <= space.bfree && space.bfree <= space.blocks);
    assert!(space.ffree <= space.files);
}
