//! What a mount shows of itself.

use super::*;

#[test]
fn the_mount_shows_itself_as_what_it_is() {
    let Some(mount) = Mount::new("noexec") else {
        return;
    };
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mnt = mount.path("").canonicalize().unwrap();
    let line = mounts.lines().find(|l| l.contains(mnt.to_str().unwrap()));
    let fields: Vec<&str> = line.unwrap().split(' ').collect();
    assert!(fields[0].ends_with("/store"));
    assert_eq!(fields[2], "fuse.holofs");
    for option in ["nosuid", "nodev", "noexec", "default_permissions"] {
        assert!(fields[3].split(',').any(|o| o == option), "{option}");
    }
}

#[test]
fn the_stores_own_directory_is_not_part_of_the_tree() {
    let Some(mount) = Mount::new("") else { return };
    let listed = fs::read_dir(mount.path("")).unwrap().count();
    assert_eq!(listed, 0);
    let stats = fs::read_to_string(mount.path(".holofs/stats.json")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert!(stats["opens"].is_u64() && stats["encoded"].is_u64());
    assert_eq!(fs::read_dir(mount.path(".holofs")).unwrap().count(), 0);
    for hidden in ["lock", "store.toml", "staging"] {
        let path = mount.path(".holofs").join(hidden);
        assert_eq!(fs::metadata(&path).unwrap_err().kind(), ErrorKind::NotFound);
        let denied = fs::write(&path, "x").unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    }
    fs::write(mount.path("file"), "x").unwrap();
    for denied in [
        fs::rename(mount.path("file"), mount.path(".holofs/stats.json")),
        fs::rename(mount.path(".holofs"), mount.path("ours")),
        fs::remove_file(mount.path(".holofs/stats.json")),
        fs::remove_dir_all(mount.path(".holofs")),
        fs::hard_link(mount.path(".holofs/stats.json"), mount.path("link")),
    ] {
        assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
    fs::create_dir(mount.path("sub")).unwrap();
    fs::write(mount.path("sub/.holofs"), "an ordinary name elsewhere").unwrap();
}

#[test]
fn a_read_only_mount_changes_nothing() {
    let Some(mount) = Mount::new("") else { return };
    fs::write(mount.path("file"), "x").unwrap();
    let mount = mount.again("ro");
    assert_eq!(fs::read(mount.path("file")).unwrap(), b"x");
    for refused in [
        fs::write(mount.path("file"), "y"),
        fs::remove_file(mount.path("file")),
        fs::create_dir(mount.path("dir")),
        fs::rename(mount.path("file"), mount.path("other")),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    }
}
