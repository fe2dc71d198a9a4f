//! Encoding: segment after segment, in the memory of one.

use super::decode::{Start, pieces};
use super::outline::outline;
use super::settings::{Container, PIECE, PREVIEWS, Settings};
use super::sound::{self, Noise};
use super::{LONGEST, SEGMENT, pack};
use crate::codec::segments::Writer;
use crate::codec::{CodecError, Content, Encoded, LayerSink, Request};
use crate::media::sniff::{Kind, LOOK, sniff};
use crate::media::sound::flac::{Head, Info, MAX_FRAME, PieceReader};
use crate::media::sound::{Format, Number, ParseError, Pcm, Piece};

/// Most bytes before or after the samples.
const MOST_AROUND: u64 = 64 << 20;
/// Bytes that an outline must save to take the place of the bytes in the first layer.
const OUTLINED: usize = 256;

pub(super) fn encode(
    content: &dyn Content,
    request: Request<'_>,
    sink: &mut dyn LayerSink,
) -> Result<Encoded, CodecError> {
    let previews = request.previews.min(PREVIEWS);
    let mut encoder = Encoder {
        content,
        sink,
        writer: Writer::new(previews + 1),
        previews,
        noise: vec![Noise::default(); previews],
        stored: 0,
    };
    let size = content.size();
    let mut head = [0; LOOK];
    let there = usize::try_from(size).map_or(LOOK, |size| size.min(LOOK));
    let head = head.get_mut(..there).unwrap_or_default();
    content.read_at(0, head)?;
    let (container, start, end) = if sniff(head) == Some(Kind::Flac) {
        encoder.flac(size)?
    } else {
        encoder.plain(size)?
    };
    if previews == 0 && encoder.stored >= end - start {
        return Err(declined("nothing gained by coding the samples"));
    }
    let tail = size.saturating_sub(end);
    encoder.around(end, tail, |bytes| Ok(outline(bytes, false)), OUTLINED)?;
    let settings = Settings {
        segments: encoder.writer.finish(encoder.sink)?,
        container,
        head: start,
        tail,
        centi_db: encoder.noise.iter().map(Noise::centi_db).collect(),
    };
    Ok(Encoded {
        settings: settings.to_bytes(),
        // Previews asked for beyond those there are come last and are empty.
        layers: settings.layers() + request.previews.saturating_sub(PREVIEWS),
    })
}

/// Frames of a segment: whole pairs of the longest blocks.
fn segment_frames(format: Format) -> usize {
    let pair = 2 << LONGEST;
    (SEGMENT / usize::from(format.channels.max(1)) / pair).max(1) * pair
}

/// A file on its way into layers.
struct Encoder<'a> {
    content: &'a dyn Content,
    sink: &'a mut dyn LayerSink,
    writer: Writer,
    previews: usize,
    noise: Vec<Noise>,
    /// Bytes of all parts of segments of samples.
    stored: u64,
}

impl Encoder<'_> {
    /// Codes the head and the samples of a file that has them as they are; returns where these are.
    fn plain(&mut self, size: u64) -> Result<(Container, u64, u64), CodecError> {
        let content = self.content;
        let mut source = |offset: u64, buf: &mut [u8]| content.read_at(offset, buf);
        let pcm = Pcm::find(size, &mut source).map_err(refused)?;
        self.around(
            0,
            pcm.data.start,
            |bytes| Ok(outline(bytes, true)),
            OUTLINED,
        )?;
        let format = pcm.format;
        let bytes = (segment_frames(format) * format.frame_bytes()) as u64;
        let mut buffer = Vec::new();
        let mut at = pcm.data.start;
        while at < pcm.data.end {
            let length = usize::try_from(bytes.min(pcm.data.end - at)).unwrap_or(0);
            buffer.resize(length, 0);
            self.content.read_at(at, &mut buffer)?;
            let piece = format.read(&buffer).map_err(|e| declined(&e.to_string()))?;
            let float = format.encoding.number == Number::Float;
            let parts = sound::encode(&piece, float, self.previews, &mut self.noise)?;
            self.segment(&buffer, &parts)?;
            at += length as u64;
        }
        Ok((Container::Plain(format), pcm.data.start, at))
    }

    /// Codes the head and the frames of a FLAC file; returns where these are.
    fn flac(&mut self, size: u64) -> Result<(Container, u64, u64), CodecError> {
        let content = self.content;
        let mut source = |offset: u64, buf: &mut [u8]| content.read_at(offset, buf);
        let Head { info, frames } = Head::parse(size, &mut source).map_err(refused)?;
        // The hash of the samples would belie degraded ones: the head of these is another in any case.
        let head = |bytes: &[u8]| {
            let head = info.render_head(bytes.len());
            head.map_err(|e| declined(&e.to_string()))
        };
        self.around(0, frames, head, 0)?;
        let channels = usize::from(info.channels);
        let (mut at, mut first) = (frames, 0);
        let mut window = Vec::new();
        loop {
            let start = at;
            let mut reader = PieceReader::new(info);
            let mut taken = 0;
            window.clear();
            while reader.frames() * channels < SEGMENT {
                if self.sink.cancelled() {
                    return Err(CodecError::Cancelled);
                }
                // A whole frame ahead, as far as there is one.
                let have = window.len();
                let left = usize::try_from(size - start).unwrap_or(usize::MAX);
                if have - taken < MAX_FRAME && have < left {
                    window.resize(left.min(taken + 2 * MAX_FRAME), 0);
                    let more = window.get_mut(have..).unwrap_or_default();
                    self.content.read_at(start + have as u64, more)?;
                }
                match reader.take(window.get(taken..).unwrap_or_default()) {
                    Ok(length) if length > 0 => taken += length,
                    _ => break,
                }
            }
            let count = reader.frames();
            if count == 0 {
                break;
            }
            window.truncate(taken);
            at += taken as u64;
            let parts = self.flac_segment(&info, reader, first)?;
            self.segment(&window, &parts)?;
            first += count as u64;
        }
        Ok((Container::Flac(info), frames, at))
    }

    fn flac_segment(
        &mut self,
        info: &Info,
        reader: PieceReader,
        first: u64,
    ) -> Result<Vec<Vec<u8>>, CodecError> {
        let (mut samples, rest) = reader.finish();
        debug_assert_eq!(samples.len(), usize::from(info.channels));
        let frames = samples.first().map_or(0, Vec::len);
        let set = samples.iter().flatten().fold(0, |set, sample| set | sample);
        let scale = set.trailing_zeros() % 32;
        for sample in samples.iter_mut().flatten() {
            *sample >>= scale;
        }
        let piece = Piece {
            samples,
            scale: u8::try_from(scale).unwrap_or(0),
            rest,
        };
        let mut parts = sound::encode(&piece, false, self.previews, &mut self.noise)?;
        let start = Start {
            frames: u32::try_from(frames).map_err(|_| declined("a frame too long"))?,
            first,
        };
        if let Some(part) = parts.first_mut() {
            part.splice(..0, start.to_bytes());
        }
        Ok(parts)
    }

    fn segment(&mut self, bytes: &[u8], parts: &[Vec<u8>]) -> Result<(), CodecError> {
        self.stored += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.writer.segment(self.sink, bytes, parts)
    }

    /// Writes the bytes before or after the samples. What `outline` makes of them, the same number of bytes, stands for
    /// them in previews if it saves more than `margin`.
    fn around(
        &mut self,
        start: u64,
        length: u64,
        outline: impl Fn(&[u8]) -> Result<Vec<u8>, CodecError>,
        margin: usize,
    ) -> Result<(), CodecError> {
        if length > MOST_AROUND {
            return Err(declined("more than 64 MiB that are not samples"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.content.read_at(start, &mut bytes)?;
        let shown = outline(&bytes)?;
        let piece = usize::try_from(PIECE).unwrap_or(0);
        debug_assert_eq!(pieces(length), bytes.chunks(piece).count());
        for (bytes, shown) in bytes.chunks(piece).zip(shown.chunks(piece)) {
            let mut parts = vec![Vec::new(); self.previews + 1];
            let whole = pack::pack(bytes)?;
            let shown = pack::pack(shown)?;
            let outlined = self.previews > 0 && (margin == 0 || shown.len() + margin < whole.len());
            let (first, last) = if outlined {
                (shown, Some(whole))
            } else {
                (whole, None)
            };
            if let Some(part) = parts.first_mut() {
                *part = first;
            }
            if let (Some(part), Some(last)) = (parts.last_mut(), last) {
                *part = last;
            }
            self.writer.segment(self.sink, bytes, &parts)?;
        }
        Ok(())
    }
}

fn refused(error: ParseError) -> CodecError {
    match error {
        ParseError::Io(e) => CodecError::Io(e),
        ParseError::Media(e) => declined(&e.to_string()),
    }
}

pub(super) fn declined(why: &str) -> CodecError {
    CodecError::Declined(format!("audio: {why}"))
}
