//! What open files do, on every medium.

use holofs::store::disk::{Access, Dir, Seek, read_exact_at};
use rustix::io::Errno;
use std::io::ErrorKind;

use super::{content, errno, get, kind, os, put};

pub(crate) fn reads_and_writes_at_any_offset(root: &dyn Dir) {
    let file = root.create(os("a"), 0o644, 0).unwrap();
    assert_eq!(file.meta().unwrap().size, 0);
    file.write_at(b"hello", 0).unwrap();
    file.write_at(b"J", 0).unwrap();
    file.write_at(b"!", 10_000).unwrap();
    let mut expected = b"Jello".to_vec();
    expected.resize(10_000, 0);
    expected.push(b'!');
    assert_eq!(content(&*file), expected);
    assert_eq!(get(root, "a"), expected);

    let mut buf = [7; 4];
    assert_eq!(file.read_at(&mut buf, 10_001).unwrap(), 0, "at the end");
    assert_eq!(file.read_at(&mut buf, 99_999).unwrap(), 0, "past the end");
    assert_eq!(file.read_at(&mut buf, 9_999).unwrap(), 2, "over the end");
    assert_eq!(buf, [0, b'!', 7, 7]);
    assert_eq!(
        kind(read_exact_at(&*file, &mut buf, 9_999)),
        ErrorKind::UnexpectedEof
    );
}

pub(crate) fn appends_at_the_end_of_the_moment(root: &dyn Dir) {
    let file = put(root, "a", b"12345");
    let other = root.open(os("a"), Access::Write).unwrap();
    assert_eq!(other.append(b"67").unwrap(), 5);
    assert_eq!(file.append(b"8").unwrap(), 7);
    assert_eq!(file.append(b"").unwrap(), 8);
    file.set_len(2).unwrap();
    assert_eq!(other.append(b"x").unwrap(), 2);
    assert_eq!(get(root, "a"), b"12x");
}

pub(crate) fn threads_append_without_losing_anything(root: &dyn Dir) {
    let file = put(root, "a", b"");
    std::thread::scope(|scope| {
        for byte in 0..4_u8 {
            let file = &file;
            scope.spawn(move || {
                for round in 0..50_u8 {
                    let start = file.append(&[byte, round]).unwrap();
                    let mut back = [0; 2];
                    read_exact_at(&**file, &mut back, start).unwrap();
                    assert_eq!(back, [byte, round]);
                    file.seek(0, Seek::Data).unwrap();
                }
            });
        }
    });
    assert_eq!(file.meta().unwrap().size, 400);
}

pub(crate) fn sizes_grow_with_zeros_and_shrink(root: &dyn Dir) {
    let file = put(root, "a", &[1; 5000]);
    file.set_len(3).unwrap();
    file.set_len(9000).unwrap();
    let mut expected = vec![1; 3];
    expected.resize(9000, 0);
    assert_eq!(get(root, "a"), expected);
    file.sync(true).unwrap();
    file.sync(false).unwrap();
    root.sync().unwrap();
}

pub(crate) fn holes_are_found(root: &dyn Dir) {
    let file = put(root, "a", b"");
    assert_eq!(errno(file.seek(0, Seek::Data)), Some(Errno::NXIO));
    let mib = 1 << 20;
    file.set_len(4 * mib).unwrap();
    assert_eq!(errno(file.seek(0, Seek::Data)), Some(Errno::NXIO));
    assert_eq!(file.seek(5, Seek::Hole).unwrap(), 5);
    assert_eq!(file.meta().unwrap().blocks, 0);
    file.write_at(&[1; 8192], 2 * mib).unwrap();
    file.sync(false).unwrap();
    assert_eq!(file.seek(0, Seek::Data).unwrap(), 2 * mib);
    assert_eq!(file.seek(2 * mib + 1, Seek::Data).unwrap(), 2 * mib + 1);
    assert_eq!(file.seek(2 * mib, Seek::Hole).unwrap(), 2 * mib + 8192);
    assert_eq!(errno(file.seek(3 * mib, Seek::Data)), Some(Errno::NXIO));
    assert_eq!(errno(file.seek(4 * mib, Seek::Hole)), Some(Errno::NXIO));
    assert_eq!(file.meta().unwrap().blocks, 16);

    let full = put(root, "b", &[1; 100]);
    assert_eq!(full.seek(7, Seek::Hole).unwrap(), 100);
}

pub(crate) fn allocation_reserves_punches_and_zeroes(root: &dyn Dir) {
    const KEEP_SIZE: u32 = 1;
    const PUNCH_HOLE: u32 = 2;
    let file = put(root, "a", &[9; 16384]);
    file.allocate(0, 0, 20_000).unwrap();
    assert_eq!(file.meta().unwrap().size, 20_000);
    file.allocate(KEEP_SIZE, 0, 30_000).unwrap();
    assert_eq!(file.meta().unwrap().size, 20_000);
    file.allocate(PUNCH_HOLE | KEEP_SIZE, 4096, 4100).unwrap();
    file.sync(false).unwrap();
    let mut expected = vec![9; 16384];
    expected[4096..8196].fill(0);
    expected.resize(20_000, 0);
    assert_eq!(content(&*file), expected);
    assert_eq!(file.seek(0, Seek::Hole).unwrap(), 4096);
    assert_eq!(file.seek(4096, Seek::Data).unwrap(), 8192);
    assert_eq!(
        errno(file.allocate(PUNCH_HOLE, 0, 1)),
        Some(Errno::OPNOTSUPP)
    );
    assert_eq!(errno(file.allocate(0, 0, 0)), Some(Errno::INVAL));
}

pub(crate) fn ranges_are_copied(root: &dyn Dir) {
    let from = put(root, "a", b"0123456789");
    let to = put(root, "b", b"abcdefghij");
    assert_eq!(from.copy_range(2, &*to, 8, 4).unwrap(), 4);
    assert_eq!(get(root, "b"), b"abcdefgh2345");
    assert_eq!(
        from.copy_range(8, &*to, 0, 100).unwrap(),
        2,
        "to the end only"
    );
    assert_eq!(from.copy_range(10, &*to, 0, 1).unwrap(), 0);
    assert_eq!(get(root, "b"), b"89cdefgh2345");
}

pub(crate) fn files_are_opened_again_without_their_name(root: &dyn Dir) {
    let reader = put(root, "a", b"1").reopen(Access::Read).unwrap();
    root.unlink(os("a")).unwrap();
    put(root, "a", b"other");
    let lease = reader.lease().unwrap();
    let held = reader.reopen(Access::Write);
    assert_eq!(kind(held), ErrorKind::WouldBlock);
    drop(lease);
    let writer = reader.reopen(Access::Write).unwrap();
    writer.append(b"2").unwrap();
    assert_eq!(content(&*reader), b"12");
    assert_eq!(errno(reader.append(b"3")), Some(Errno::BADF));
    assert_eq!(kind(reader.lease()), ErrorKind::WouldBlock);
}
