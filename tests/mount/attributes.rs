//! Attributes through the mount: modes, owners, times, xattrs, ACLs, set-id bits.

use super::*;

#[test]
fn attributes_are_kept() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("file");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&path, Some(1000), Some(1001)).unwrap();
    for seconds in [1i64, -1, -86_400 * 365 * 50] {
        let times = rustix::fs::Timestamps {
            last_access: timespec(seconds, 5),
            last_modification: timespec(seconds, 750_000_000),
        };
        rustix::fs::utimensat(rustix::fs::CWD, &path, &times, rustix::fs::AtFlags::empty())
            .unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (seconds, 750_000_000));
        assert_eq!((meta.atime(), meta.atime_nsec()), (seconds, 5));
    }
    let mount = mount.again("");
    let meta = fs::metadata(mount.path("file")).unwrap();
    assert_eq!(
        (meta.mode() & 0o7777, meta.uid(), meta.gid()),
        (0o640, 1000, 1001)
    );
}

fn timespec(seconds: i64, nanos: i64) -> rustix::fs::Timespec {
    rustix::fs::Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    }
}

#[test]
fn extended_attributes_and_acls() {
    let Some(mount) = Mount::new("") else { return };
    let path = c_path(&mount.path("file"));
    fs::write(mount.path("file"), "x").unwrap();
    let set = |name: &str, value: &[u8], flags| rustix::fs::setxattr(&path, name, value, flags);
    set("user.a", b"one", XattrFlags::CREATE).unwrap();
    let twice = set("user.a", b"two", XattrFlags::CREATE);
    assert_eq!(twice, Err(rustix::io::Errno::EXIST));
    let absent = set("user.b", b"two", XattrFlags::REPLACE);
    assert_eq!(absent, Err(rustix::io::Errno::NODATA));
    let mut value = [0; 16];
    let length = rustix::fs::getxattr(&path, "user.a", &mut value).unwrap();
    assert_eq!(&value[..length], b"one");
    let small = rustix::fs::getxattr(&path, "user.a", &mut [0; 2][..]);
    assert_eq!(small, Err(rustix::io::Errno::RANGE));
    let mut names = [0; 256];
    let length = rustix::fs::listxattr(&path, &mut names).unwrap();
    assert_eq!(
        &names[..length],
        b"user.a\0",
        "computed ones are not listed"
    );
    rustix::fs::removexattr(&path, "user.a").unwrap();
    // user::rw-, user:65534:rw-, group::---, mask::rw-, other::---
    let acl: &[u8] = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x06\0\xfe\xff\0\0\
        \x04\0\0\0\xff\xff\xff\xff\x10\0\x06\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";
    fs::set_permissions(mount.path("file"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!as_nobody(
        "cat \"$1\" >/dev/null 2>&1",
        &mount.path("file")
    ));
    set("system.posix_acl_access", acl, XattrFlags::empty()).unwrap();
    assert!(as_nobody("cat \"$1\" >/dev/null", &mount.path("file")));
    assert_eq!(
        mode_of(&mount.path("file")),
        0o660,
        "the mask shows as group bits"
    );
}

/// `ls -l` asked for the label of every file each time, half of all requests of `ls -lR`: where no security module
/// runs it is told once that there are none. A label that a tool stored is still there.
#[test]
fn labels_are_kept_but_not_asked_for_in_vain() {
    let Some(mount) = Mount::new("") else { return };
    fs::write(mount.path("file"), "x").unwrap();
    let path = c_path(&mount.path("file"));
    let label = |buf: &mut [u8; 64]| rustix::fs::getxattr(&path, "security.selinux", &mut buf[..]);
    let mut value = [0; 64];
    if label(&mut value).is_ok() {
        return; // the kernel answers by itself
    }
    assert_eq!(label(&mut value), Err(rustix::io::Errno::OPNOTSUPP));
    let text = b"system_u:object_r:usr_t:s0\0";
    rustix::fs::setxattr(&path, "security.selinux", text, XattrFlags::empty()).unwrap();
    assert_eq!(label(&mut value), Ok(text.len()));
    assert_eq!(&value[..text.len()], text);
}

#[test]
fn files_belong_to_who_made_them() {
    let Some(mount) = Mount::new("") else { return };
    let dir = mount.path("open");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o2777)).unwrap();
    std::os::unix::fs::chown(&dir, None, Some(1234)).unwrap();
    assert!(as_nobody(
        "umask 027; cd \"$1\" && echo x >file && mkdir sub",
        &dir
    ));
    let file = fs::metadata(dir.join("file")).unwrap();
    assert_eq!(
        (file.uid(), file.gid(), file.mode() & 0o7777),
        (65534, 1234, 0o640)
    );
    let sub = fs::metadata(dir.join("sub")).unwrap();
    assert_eq!(
        (sub.uid(), sub.gid(), sub.mode() & 0o7777),
        (65534, 1234, 0o2750)
    );
    let secret = mount.path("secret");
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!as_nobody("cat \"$1\" 2>/dev/null", &secret));
}

/// Passthrough writes run as the daemon, and the kernel does not say which opens and truncations must clear set-id
/// bits: a file that kept them through another user's write was a hole that pjdfstest does not look for.
#[test]
fn set_id_bits_do_not_survive_a_write_by_somebody_else() {
    let Some(mount) = Mount::new("suid") else {
        return;
    };
    let path = mount.path("tool");
    for command in [
        "printf x >>\"$1\"",
        "printf x | dd of=\"$1\" conv=notrunc status=none",
        "truncate -s 1 \"$1\"",
        ": >\"$1\"",
        "printf longer >\"$1\"",
        "fallocate -l 100000 \"$1\"",
    ] {
        fs::write(&path, "original").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o6777)).unwrap();
        assert_eq!(mode_of(&path), 0o6777);
        assert!(as_nobody(command, &path), "{command}");
        assert_eq!(mode_of(&path), 0o777, "{command}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o6777)).unwrap();
    fs::write(&path, "by root").unwrap();
    assert_eq!(mode_of(&path), 0o6777, "root's writes clear nothing");
    let held = OpenOptions::new().write(true).open(&path).unwrap();
    assert!(as_nobody("printf x >>\"$1\"", &path));
    assert_eq!(mode_of(&path), 0o777, "also beside another handle");
    drop(held);
}
