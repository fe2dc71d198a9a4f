//! Any chunks of a set: whichever they are, their number alone says what is seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holofs::store::{OpenHow, Options, ROOT, Store, init};
use image::{DynamicImage, ImageFormat};

use crate::media::{Draw, colours, file, photograph, psnr};

/// A store with one spread file, whose chunks can be taken away.
pub(crate) struct Set {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    chunks: Vec<PathBuf>,
    size: usize,
}

impl Set {
    pub(crate) fn new(content: &[u8], profile: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path()).unwrap();
        let policy = format!(
            "version = 1\n[defaults]\nprofile = {profile}\nlayout = \"spread\"\n\
            min_size = \"1B\"\n[encode]\nlinger = \"0s\"\n"
        );
        fs::write(dir.path().join(".holofs/store.toml"), policy).unwrap();
        fs::write(dir.path().join("file"), content).unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        assert_eq!(store.settle(&mut |_| true).unwrap().encoded, 1);
        store.close().unwrap();
        let read_only = Options {
            read_only: true,
            ..Options::default()
        };
        let store = Store::open(dir.path(), read_only).unwrap();
        let entries = fs::read_dir(dir.path().join("file.holo")).unwrap();
        let mut chunks: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        chunks.retain(|path| !path.ends_with("manifest"));
        chunks.sort();
        fs::create_dir(dir.path().join("aside")).unwrap();
        Self {
            dir,
            store,
            chunks,
            size: content.len(),
        }
    }

    /// What is read with only the chunks of this set of bits.
    pub(crate) fn with(&self, kept: u32) -> Result<Vec<u8>, String> {
        let aside = |path: &Path| {
            self.dir
                .path()
                .join("aside")
                .join(path.file_name().unwrap())
        };
        let away = |index: &usize| kept >> index & 1 == 0;
        let away: Vec<&PathBuf> = (0..self.chunks.len())
            .filter(away)
            .map(|index| &self.chunks[index])
            .collect();
        for path in &away {
            fs::rename(path, aside(path)).unwrap();
        }
        let ino = self.store.lookup(ROOT, "file".as_ref()).unwrap().ino;
        self.store.open_file(ino, OpenHow::default()).unwrap();
        let mut content = vec![0; self.size];
        let read = self.store.read(ino, 0, &mut content);
        self.store.release(ino, false);
        for path in &away {
            fs::rename(aside(path), path).unwrap();
        }
        match read {
            Ok(read) if read == self.size => Ok(content),
            other => Err(format!("{other:?} of {} bytes", self.size)),
        }
    }
}

fn pictures() -> [(&'static str, Vec<u8>); 2] {
    let picture = DynamicImage::from(photograph(240, 180));
    [ImageFormat::Png, ImageFormat::Jpeg].map(|format| {
        let name = if format == ImageFormat::Png {
            "PNG"
        } else {
            "JPEG"
        };
        (name, file(&picture, format))
    })
}

/// Invariant 4: "Losing any N - K chunks loses nothing; losing more of media loses sharpness only; PSNR never falls
/// when a chunk is added."
#[test]
fn of_eight_chunks_every_choice_shows_what_its_number_does() {
    for (name, content) in pictures() {
        let set = Set::new(&content, "{ n = 8, k = 7 }");
        let whole = colours(&content);
        let mut seen: [Option<Vec<u8>>; 9] = Default::default();
        for kept in 1..256_u32 {
            let count = kept.count_ones() as usize;
            let shown = set.with(kept);
            let shown = shown.unwrap_or_else(|e| panic!("{name}, chunks {kept:08b}: {e}"));
            let same = seen[count].get_or_insert_with(|| shown.clone());
            assert!(*same == shown, "{name}: {kept:08b} is another picture");
        }
        let shown = seen
            .iter()
            .flatten()
            .map(|shown| psnr(&colours(shown), &whole));
        let shown: Vec<f64> = shown.collect();
        assert!(
            shown.is_sorted() && shown[0] < shown[5],
            "{name}: {shown:?}"
        );
        assert!(
            seen[7].as_ref() == Some(&content) && seen[8] == seen[7],
            "{name}"
        );
    }
}

#[test]
fn of_sixteen_chunks_any_few_show_what_was_promised() {
    let seed = std::process::id().into();
    let mut draw = Draw(seed);
    for (name, content) in pictures() {
        let set = Set::new(&content, "\"standard\"");
        let whole = colours(&content);
        for (count, least) in [(1, 22.0), (4, 27.0), (8, 33.0), (12, 37.0), (14, 99.0)] {
            let mut first: Option<Vec<u8>> = None;
            for _ in 0..12 {
                let mut kept = 0_u32;
                while kept.count_ones() < count {
                    kept |= 1 << draw.next(16);
                }
                let shown = set.with(kept).unwrap();
                let same = first.get_or_insert_with(|| shown.clone());
                assert!(
                    *same == shown,
                    "{name}: {kept:016b} is another picture, seed {seed}"
                );
            }
            let db = psnr(&colours(&first.unwrap()), &whole);
            assert!(db >= least - 0.1, "{name}: {db:.2} dB of {count} chunks");
        }
        let nothing = set.with(0);
        assert!(nothing.is_err(), "{name}: {nothing:?}");
    }
}
