//! What the tests of containers share: kept files, the corpus, numbers drawn at random, pictures that lost detail.

use std::path::{Path, PathBuf};

use holofs::media::raster::Raster;

/// The files of a folder of kept vectors, by name.
pub(crate) fn vectors(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    files(&root.join(folder))
}

/// The files of a folder of the corpus; none where there is no corpus.
pub(crate) fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = std::env::var_os("HOLOFS_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
        PathBuf::from,
    );
    files(&root.join(folder))
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Numbers drawn at random (xorshift64); never begin with 0.
pub(crate) struct Draw(pub u64);

impl Draw {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }

    /// A copy with a few bytes changed, cut or put in.
    pub(crate) fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.next(4) {
            let at = self.next(bytes.len().max(1));
            match self.next(8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next(256) as u8),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 if at < bytes.len() => bytes[at] = [0, 0xff, 0x7f, 0x80][self.next(4)],
                _ if at < bytes.len() => bytes[at] ^= 1 << self.next(8),
                _ => {}
            }
        }
        bytes
    }
}

/// What a codec would show of a picture with little of it left: means of squares of 8 by 8.
pub(crate) fn degraded(raster: &Raster) -> Raster {
    let mut shown = raster.expanded();
    let (width, height) = (shown.width as usize, shown.height as usize);
    for plane in &mut shown.planes {
        for top in (0..height).step_by(8) {
            for left in (0..width).step_by(8) {
                let rows = top..(top + 8).min(height);
                let columns = left..(left + 8).min(width);
                let count = (rows.len() * columns.len()) as u64;
                let all = rows.flat_map(|y| columns.clone().map(move |x| y * width + x));
                let sum: u64 = all.clone().map(|at| u64::from(plane[at])).sum();
                for at in all {
                    plane[at] = (sum / count) as u16;
                }
            }
        }
    }
    shown
}
