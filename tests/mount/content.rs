//! Content through the mount: reading, writing, maps, holes, locks, direct I/O.

use super::*;

#[test]
fn what_is_written_is_read() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("file");
    let data = noise(1, 3_000_001);
    fs::write(&path, &data).unwrap();
    assert_eq!(fs::read(&path).unwrap(), data);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"tail").unwrap();
    file.set_len(3_000_003).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 3_000_003);
    drop(file);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    file.write_all_at(b"middle", 1_000_000).unwrap();
    file.sync_all().unwrap();
    drop(file);
    let mut expected = data;
    expected.extend_from_slice(b"ta");
    expected[1_000_000..1_000_006].copy_from_slice(b"middle");
    assert_eq!(fs::read(&path).unwrap(), expected);
    fs::write(&path, "short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    let mount = mount.again("");
    assert_eq!(fs::read(mount.path("file")).unwrap(), b"short");
}

#[test]
fn readers_and_writers_of_one_file_see_each_other() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("shared");
    fs::write(&path, vec![0; 8 * 4096]).unwrap();
    let reader = File::open(&path).unwrap();
    let writers: Vec<_> = (0..8u8)
        .map(|i| {
            let path = path.clone();
            thread::spawn(move || {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                for _ in 0..50 {
                    file.write_all_at(&[i + 1; 4096], u64::from(i) * 4096)
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let mut page = [0; 4096];
    for i in 0..8u8 {
        reader
            .read_exact_at(&mut page, u64::from(i) * 4096)
            .unwrap();
        assert!(page.iter().all(|b| *b == i + 1));
    }
}

#[test]
fn maps_and_writes_agree_and_move_the_times() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("map");
    fs::write(&path, vec![b'a'; 4096]).unwrap();
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(past)
        .unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), past);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    map_and_set(&file, b'b');
    file.sync_all().unwrap();
    assert_eq!(fs::read(&path).unwrap()[0], b'b');
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    assert!(modified > past, "a store through a map moves mtime");
}

/// Writes the first byte of a file through a shared map.
#[expect(unsafe_code, reason = "mmap")]
fn map_and_set(file: &File, byte: u8) {
    use std::os::fd::AsRawFd;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let fd = file.as_raw_fd();
    // SAFETY: the map is one page of a file of one page, used and removed here only.
    unsafe {
        let map = libc::mmap(
            std::ptr::null_mut(),
            4096,
            protection,
            libc::MAP_SHARED,
            fd,
            0,
        );
        assert_ne!(map, libc::MAP_FAILED);
        map.cast::<u8>().write(byte);
        assert_eq!(libc::munmap(map, 4096), 0);
    }
}

#[test]
fn an_unlinked_file_lives_until_it_is_closed() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("gone");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    file.write_all(b"before").unwrap();
    fs::remove_file(&path).unwrap();
    assert!(!path.exists());
    file.write_all(b" and after").unwrap();
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "before and after");
    fs::write(&path, "another").unwrap();
    assert_eq!(file.metadata().unwrap().len(), 16);
}

#[test]
fn holes_are_holes() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("sparse");
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_all_at(&[1; 4096], 32 << 20).unwrap();
    assert!(file.metadata().unwrap().blocks() < 1000);
    let seek = |whence| rustix::fs::seek(&file, whence);
    assert_eq!(seek(rustix::fs::SeekFrom::Data(0)).unwrap(), 32 << 20);
    assert_eq!(
        seek(rustix::fs::SeekFrom::Hole(32 << 20)).unwrap(),
        (32 << 20) + 4096
    );
    let past = seek(rustix::fs::SeekFrom::Data(40 << 20));
    assert_eq!(past, Err(rustix::io::Errno::NXIO));
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, punch, 32 << 20, 4096).unwrap();
    let mut page = [9; 4096];
    file.read_exact_at(&mut page, 32 << 20).unwrap();
    assert_eq!(page, [0; 4096]);
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 64 << 20, 4096).unwrap();
    assert_eq!(file.metadata().unwrap().len(), (64 << 20) + 4096);
}

#[test]
fn direct_io() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("direct");
    let data = noise(3, 1 << 20);
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .custom_flags(libc::O_DIRECT);
    let Ok(file) = options.open(&path) else {
        eprintln!("skipped: the medium below knows no O_DIRECT");
        return;
    };
    // An aligned part of a larger buffer.
    let mut buffer = vec![0u8; (1 << 20) + 4096];
    let start = buffer.as_ptr().align_offset(4096);
    let aligned = &mut buffer[start..start + (1 << 20)];
    aligned.copy_from_slice(&data);
    file.write_all_at(aligned, 0).unwrap();
    aligned.fill(0);
    file.read_exact_at(aligned, 0).unwrap();
    assert_eq!(*aligned, data);
    assert_eq!(fs::read(&path).unwrap(), data);
}

#[test]
fn locks_exclude() {
    let Some(mount) = Mount::new("") else { return };
    let path = mount.path("lock");
    let (a, b) = (File::create(&path).unwrap(), File::open(&path).unwrap());
    rustix::fs::flock(&a, FlockOperation::LockExclusive).unwrap();
    let second = rustix::fs::flock(&b, FlockOperation::NonBlockingLockShared);
    assert_eq!(second, Err(rustix::io::Errno::WOULDBLOCK));
    rustix::fs::flock(&a, FlockOperation::Unlock).unwrap();
    rustix::fs::flock(&b, FlockOperation::NonBlockingLockShared).unwrap();
}

#[test]
fn ranges_are_copied() {
    let Some(mount) = Mount::new("") else { return };
    let data = noise(5, 2_500_000);
    fs::write(mount.path("from"), &data).unwrap();
    let (from, to) = (mount.path("from"), mount.path("to"));
    assert_eq!(fs::copy(&from, &to).unwrap(), 2_500_000);
    assert_eq!(fs::read(&to).unwrap(), data);
    let (from, to) = (
        File::open(&from).unwrap(),
        OpenOptions::new().write(true).open(&to).unwrap(),
    );
    let (mut at, mut to_at) = (100, 2_499_000);
    while to_at < 2_599_000 {
        let rest = 2_599_000 - usize::try_from(to_at).unwrap();
        let copied =
            rustix::fs::copy_file_range(&from, Some(&mut at), &to, Some(&mut to_at), rest).unwrap();
        assert!(copied > 0);
    }
    let copied = fs::read(mount.path("to")).unwrap();
    assert_eq!(copied[2_499_000..], data[100..100_100]);
}

/// A program that ran from the mount was cut to nothing by `open(O_TRUNC)` and died: the kernel asks whether the file
/// is busy only after the filesystem has truncated it.
#[test]
fn a_running_program_cannot_be_truncated() {
    let Some(mount) = Mount::new("") else { return };
    let program = mount.path("sleep");
    fs::copy("/bin/sleep", &program).unwrap();
    for encoded in [false, true] {
        if encoded {
            assert_eq!(mount.settle().encoded, 1);
        }
        let mut running = Command::new(&program).arg("100").spawn().unwrap();
        for how in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC] {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(how & libc::O_ACCMODE != libc::O_RDONLY);
            let refused = options.custom_flags(how & libc::O_TRUNC).open(&program);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ExecutableFileBusy);
        }
        assert!(running.try_wait().unwrap().is_none(), "it goes on running");
        running.kill().unwrap();
        running.wait().unwrap();
        assert_eq!(fs::read(&program).unwrap(), fs::read("/bin/sleep").unwrap());
    }
}
