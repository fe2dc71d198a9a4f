//! What only a real kernel has: default ACLs, mount points, descriptors.

use std::path::Path;

use holofs::store::disk::{Access, XattrMode, open_root};
use rustix::io::Errno;

use super::{errno, make_dir, names, os, put};

/// A POSIX ACL of version 2 without named entries, as `system.posix_acl_default` holds it.
fn acl(user: u16, group: u16, other: u16) -> Vec<u8> {
    const USER_OBJ: u16 = 1;
    const GROUP_OBJ: u16 = 4;
    const OTHER: u16 = 0x20;
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions) in [(USER_OBJ, user), (GROUP_OBJ, group), (OTHER, other)] {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(u32::MAX.to_le_bytes());
    }
    bytes
}

#[test]
fn a_default_acl_takes_the_place_of_the_umask() {
    let place = tempfile::tempdir().unwrap();
    let root = open_root(place.path()).unwrap();
    let dir = make_dir(&*root, "dir");
    let set = dir.set_xattr(
        os("."),
        os("system.posix_acl_default"),
        &acl(7, 7, 5),
        XattrMode::Any,
    );
    if matches!(&set, Err(e) if e.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error())) {
        return; // mounted without ACLs
    }
    set.unwrap();
    dir.create(os("file"), 0o666, 0o077).unwrap();
    assert_eq!(dir.meta(os("file")).unwrap().mode, 0o664);
    root.create(os("file"), 0o666, 0o077).unwrap();
    assert_eq!(root.meta(os("file")).unwrap().mode, 0o600);
}

#[test]
fn mount_points_are_not_entered() {
    let root = open_root(Path::new("/")).unwrap();
    assert_eq!(errno(root.meta(os("proc"))), Some(Errno::XDEV));
    assert!(names(&*root).iter().any(|name| name == "proc"));
    assert_eq!(errno(root.dir(os("proc"))), Some(Errno::XDEV));
    assert_eq!(errno(root.set_mode(os("proc"), 0o755)), Some(Errno::XDEV));
}

#[test]
fn descriptors_are_there_and_close_on_exec() {
    let place = tempfile::tempdir().unwrap();
    let root = open_root(place.path()).unwrap();
    let created = put(&*root, "a", b"1");
    let opened = root.open(os("a"), Access::Read).unwrap();
    let dir = make_dir(&*root, "dir");
    for fd in [root.as_fd(), dir.as_fd(), created.as_fd(), opened.as_fd()] {
        let flags = rustix::io::fcntl_getfd(fd.unwrap()).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
}
