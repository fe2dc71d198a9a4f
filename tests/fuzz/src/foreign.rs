//! Things from elsewhere: files in memory, and the input that stands for some of them.

use std::io;

use holofs::foreign::{Form, HEAD, Parts, Quality, Sums, open, recognise};

/// Most bytes that are read of a file that its headers call long.
const MOST: u64 = 1 << 20;
/// Most bytes of a file that chunks make: these are decoded whole by design, up to limits far above this.
const WHOLE: u64 = 8 << 20;

/// Files in memory.
#[derive(Debug, Clone)]
pub struct Files(pub Vec<Vec<u8>>);

impl Files {
    /// The files of an input: their number (at most 15), u32 lengths of all but the last, and their bytes.
    pub fn parse(input: &[u8]) -> Option<Self> {
        let (count, mut rest) = input.split_first()?;
        let mut lengths = Vec::new();
        for _ in 1..count & 15 {
            let (length, after) = rest.split_first_chunk()?;
            lengths.push(u32::from_le_bytes(*length) as usize);
            rest = after;
        }
        let mut files = Vec::new();
        for length in lengths {
            let (file, after) = rest.split_at(length.min(rest.len()));
            files.push(file.to_vec());
            rest = after;
        }
        files.push(rest.to_vec());
        Some(Self(files))
    }

    /// The input that stands for the files.
    pub fn to_input(&self) -> Vec<u8> {
        let mut out = vec![u8::try_from(self.0.len()).unwrap_or(u8::MAX)];
        for file in self.0.iter().rev().skip(1).rev() {
            out.extend(u32::try_from(file.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend(self.0.concat());
        out
    }
}

impl Parts for Files {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, part: usize) -> String {
        format!("part {part}")
    }

    fn size(&self, part: usize) -> u64 {
        self.0[part].len() as u64
    }

    fn read_at(&self, part: usize, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let range = self.0[part]
            .get(start..)
            .and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Opens and reads files as a directory or, if there is one only, as a file.
pub fn read(files: &Files, form: Form) {
    let heads: Vec<_> = files
        .0
        .iter()
        .map(|file| &file[..file.len().min(HEAD)])
        .collect();
    let Some(kind) = recognise(form, &heads) else {
        return;
    };
    for sums in [Sums::Wrapped, Sums::Clipped] {
        let Ok(reader) = open(kind, Box::new(files.clone()), sums) else {
            continue;
        };
        let size = reader.size();
        if let Some(chunks) = reader.chunks() {
            assert!(chunks.need <= chunks.total, "{chunks:?}");
        }
        let checked = reader.check();
        if reader.chunks().is_some() && size > WHOLE {
            continue;
        }
        let verified = reader.verify();
        if let (Err(_), Ok(Quality::Exact)) = (&checked, &verified) {
            panic!("{checked:?}, but all is well");
        }
        let mut start = vec![0; size.min(MOST) as usize];
        let Ok(quality) = reader.read_at(0, &mut start) else {
            continue;
        };
        let middle = start.len() / 2;
        let mut part = vec![0; (start.len() - middle).min(1000)];
        let again = reader.read_at(middle as u64, &mut part);
        assert_eq!(again.expect("was read before"), quality);
        assert!(
            start[middle..].starts_with(&part),
            "other bytes at {middle}"
        );
        let mut end = vec![0; size.min(1000) as usize];
        let _ = reader.read_at(size - end.len() as u64, &mut end);
    }
}
