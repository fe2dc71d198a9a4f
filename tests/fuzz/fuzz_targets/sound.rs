//! Sound: headers and samples of WAV, AIFF and FLAC, surveys and their pictures.

#![no_main]

use std::io;
use std::ops::Range;

use holofs::media::sound::flac::{Head, PieceReader};
use holofs::media::sound::survey::{Ranges, Survey, Worth};
use holofs::media::sound::{Pcm, waveform::Waveform};

struct Whole<'a>(&'a [u8]);

impl Ranges for Whole<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn segment(&self, _: u64) -> Option<Range<u64>> {
        None
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<Worth> {
        let start = usize::try_from(offset).expect("inside the file");
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        Ok(Worth::Exact)
    }
}

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let size = file.len() as u64;
    let mut source = |offset: u64, buf: &mut [u8]| Whole(file).read(offset, buf).map(|_| ());
    if let Ok(pcm) = Pcm::find(size, &mut source) {
        assert!(pcm.data.start <= pcm.data.end && pcm.data.end <= size);
        let samples = &file[pcm.data.start as usize..pcm.data.end as usize];
        let whole = samples.len() - samples.len() % pcm.format.frame_bytes();
        if let Ok(piece) = pcm.format.read(&samples[..whole]) {
            let again = pcm.format.write(&piece).expect("was read");
            assert!(again == samples[..whole], "other samples");
        }
    }
    if let Ok(head) = Head::parse(size, &mut source) {
        assert!(head.frames <= size);
        let mut rest = &file[head.frames as usize..];
        let before = rest;
        let mut reader = PieceReader::new(head.info);
        let mut used = 0;
        while let Ok(length) = reader.take(rest) {
            assert!(length > 0);
            used += length;
            rest = &rest[length..];
        }
        let (samples, recipe) = reader.finish();
        let again = head.info.write(&recipe, &samples).expect("was taken apart");
        assert!(again == before[..used], "other frames");
    }
    if let Ok(survey) = Survey::of(&mut Whole(file), 100, 16) {
        let drawn = Waveform {
            survey: &survey,
            width: 200,
            height: 100,
            centi_db: Some(1000),
        };
        let _ = drawn.marks();
        let _ = drawn.png();
    }
});
