//! Chunks that go and come back under an open reader.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::bench::{Bench, WHEN_TOLD, names_in};
use crate::support::Rng;

#[test]
fn an_open_reader_fails_while_chunks_are_away_and_goes_on_when_they_are_back() {
    let Some(bench) = Bench::new(WHEN_TOLD) else {
        return;
    };
    let mut random = Rng::new(1);
    let content: Vec<u8> = (0..1_500_000)
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    let daemon = bench.mount();
    fs::write(bench.path("m/spread"), &content).unwrap();
    bench.settle();
    daemon.unmount();

    let daemon = bench.mount();
    let reader = File::open(bench.path("m/spread")).unwrap();
    let read = |at: usize| -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; 4096];
        reader.read_exact_at(&mut bytes, at as u64)?;
        Ok(bytes)
    };
    assert!(read(0).unwrap() == content[..4096]);
    let (set, away) = (bench.path("s/spread.holo"), bench.path("away"));
    fs::create_dir(&away).unwrap();
    let mut chunks = names_in(&set);
    chunks.retain(|name| name.starts_with("chunk_"));
    for name in chunks.iter().take(3) {
        fs::copy(set.join(name), away.join(name)).unwrap();
        // The daemon may have it open: the bytes go too.
        fs::write(set.join(name), "").unwrap();
        fs::remove_file(set.join(name)).unwrap();
    }
    for at in [6_000_000, 9_000_000] {
        let failed = read(at).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(libc::EIO), "{at}");
    }
    for name in chunks.iter().take(3) {
        fs::rename(away.join(name), set.join(name)).unwrap();
    }
    for at in [6_000_000, 9_000_000, 11_000_000] {
        assert!(read(at).unwrap() == content[at..at + 4096], "{at}");
    }
    drop(reader);
    assert!(fs::read(bench.path("m/spread")).unwrap() == content);
    daemon.unmount();
}
