//! Programs that go on writing into a file after the daemon that opened it for them was killed.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::bench::{Bench, EAGER};

/// A shared writable map of a whole file, which goes on when the file is closed.
struct Map {
    start: *mut libc::c_void,
    length: usize,
}

impl Map {
    #[expect(unsafe_code, reason = "no safe call makes a map")]
    fn of(path: &Path) -> Self {
        use std::os::fd::AsRawFd;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let length = file.metadata().unwrap().len() as usize;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let descriptor = file.as_raw_fd();
        // SAFETY: a new map at an address of the kernel's choice touches no memory of this program.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                protection,
                libc::MAP_SHARED,
                descriptor,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Self { start, length }
    }

    #[expect(unsafe_code, reason = "see `of`")]
    fn put(&self, at: usize, byte: u8) {
        assert!(at < self.length);
        // SAFETY: within the map, to which nothing else in this program refers.
        unsafe { self.start.cast::<u8>().add(at).write_volatile(byte) };
    }
}

impl Drop for Map {
    #[expect(unsafe_code, reason = "see `of`")]
    fn drop(&mut self) {
        // SAFETY: exactly the map that `of` made, which ends here.
        unsafe { libc::munmap(self.start, self.length) };
    }
}

/// What `with` goes on to write into the file `f` after a kill is there, however often a new daemon settles.
fn goes_on<W>(open: impl FnOnce(&Path) -> W, write: impl Fn(&W, u8, usize)) {
    let Some(bench) = Bench::new(EAGER) else {
        return;
    };
    let (file, length) = (bench.path("m/f"), 50_000);
    let mut expected = vec![b'a'; length];
    let mut first = bench.mount();
    fs::write(&file, &expected).unwrap();
    let writer = open(&file);
    let mut put = |byte, at: usize| {
        write(&writer, byte, at);
        expected[at] = byte;
    };
    put(b'b', 10);
    first.kill();
    put(b'c', 20);
    let second = bench.mount();
    bench.settle();
    put(b'd', 30);
    bench.settle();
    put(b'e', length - 1);
    assert!(bench.path("s/f").exists(), "removed under its writer");
    assert!(fs::read(&file).unwrap() == expected, "while it is written");
    drop(writer);
    bench.settle();
    assert!(bench.path("s/f.holo").exists(), "encoded after the close");
    assert!(!bench.path("s/f").exists());
    assert!(fs::read(&file).unwrap() == expected, "encoded");
    second.unmount();
    bench.assert_tidy("a writer that outlived the daemon");
}

#[test]
fn a_descriptor_outlives_the_daemon() {
    goes_on(
        |path| OpenOptions::new().write(true).open(path).unwrap(),
        |file, byte, at| file.write_all_at(&[byte], at as u64).unwrap(),
    );
}

#[test]
fn a_shared_map_outlives_the_daemon() {
    goes_on(Map::of, |map, byte, at| map.put(at, byte));
}
