//! Encoding: groups of frames, some of them at once, and what follows the last frame.

use std::ops::Range;

use super::group::{self, Coded, PREVIEWS, Planes, Shape};
use super::settings::{Settings, can_be_coded, frames, shape};
use super::{PIECE, PLAIN, decode::most};
use crate::codec::segments::{SETTINGS, Writer};
use crate::codec::{CodecError, Content, Encoded, LayerSink, Request, psnr};
use crate::media::y4m::{Header, MAX_LINE, frame_line};

/// Samples of all groups that are encoded at once, unless one has more.
const AT_ONCE: usize = 16_000_000;
/// Most groups that are encoded at once.
const THREADS: usize = 8;
/// Bytes after the frames that are kept even where they are more than the frames.
const MOST_AFTER: u64 = 16 << 20;
/// How hard lines are packed.
const LEVEL: i32 = 19;

pub(super) fn encode(
    content: &dyn Content,
    request: Request<'_>,
    sink: &mut dyn LayerSink,
) -> Result<Encoded, CodecError> {
    let (header, length) = Header::parse(&line(content, 0)?).map_err(refused)?;
    if !can_be_coded(&header) {
        return Err(declined("frames that are too large"));
    }
    let shape = shape(&header);
    let previews = request.previews.min(PREVIEWS);
    let mut file = File {
        content,
        header,
        line: length,
        at: 0,
    };
    let mut writer = Writer::new(previews + 1);
    let mut written = Total::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let group = shape.samples() * frames(&shape);
    let threads = threads.min(AT_ONCE / group).clamp(1, THREADS);
    loop {
        let mut groups = Vec::new();
        while groups.len() < threads
            && let Some(group) = file.group(frames(&shape))?
        {
            groups.push(group);
        }
        if groups.is_empty() {
            break;
        }
        for (group, coded) in groups.iter().zip(all(&shape, &groups, previews)) {
            let coded = coded.map_err(|e| declined(&e.to_string()))?;
            let parts = with_text(group, coded.parts)?;
            written.add(group, &parts, &coded.errors, previews)?;
            writer.segment(sink, &group.bytes, &parts)?;
        }
    }
    if written.frames == 0 {
        return Err(declined("no frames"));
    }
    if content.size().saturating_sub(file.at) > file.at + MOST_AFTER {
        return Err(declined("hardly any frames"));
    }
    while let Some(piece) = file.piece()? {
        let mut parts = vec![Vec::new(); previews + 1];
        if let Some(first) = parts.first_mut() {
            first.extend(beginning(0, &[])?);
        }
        if let Some(last) = parts.last_mut() {
            last.extend(&piece);
        }
        written.bytes += piece.len() as u64;
        writer.segment(sink, &piece, &parts)?;
    }
    if previews == 0 && written.bytes >= content.size() {
        return Err(declined("nothing gained by coding the frames"));
    }
    let mut settings = Settings {
        segments: [0; SETTINGS],
        header,
        centi_db: written.centi_db(&shape, previews),
    };
    settings.segments = writer.finish(sink)?;
    Ok(Encoded {
        settings: settings.to_bytes(),
        // Empty ones for previews beyond those there are.
        layers: request.previews + 1,
    })
}

/// The bytes at `offset`, as many as a line may have.
fn line(content: &dyn Content, offset: u64) -> Result<Vec<u8>, CodecError> {
    let rest = usize::try_from(content.size().saturating_sub(offset)).unwrap_or(usize::MAX);
    read(content, offset, rest.min(MAX_LINE))
}

fn read(content: &dyn Content, offset: u64, length: usize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![0; length];
    content.read_at(offset, &mut bytes)?;
    Ok(bytes)
}

/// A file that is read group by group.
struct File<'a> {
    content: &'a dyn Content,
    header: Header,
    /// Bytes of its line.
    line: usize,
    /// How far it was read.
    at: u64,
}

/// Frames with all that is around them.
struct Group {
    bytes: Vec<u8>,
    /// Lines in `bytes`: that of the file, if it is there, and those of the frames.
    lines: Vec<Range<usize>>,
    frames: Vec<Planes>,
}

impl File<'_> {
    /// The next group, if a whole frame follows.
    fn group(&mut self, most: usize) -> Result<Option<Group>, CodecError> {
        let mut group = Group {
            bytes: Vec::new(),
            lines: Vec::new(),
            frames: Vec::new(),
        };
        let mut at = self.at;
        if at == 0 {
            group.bytes = read(self.content, 0, self.line)?;
            group.lines.push(0..self.line);
            at = self.line as u64;
        }
        let frame = self.header.frame_bytes();
        while group.frames.len() < most {
            let Ok(length) = frame_line(&line(self.content, at)?) else {
                break;
            };
            let whole = length + frame;
            if at + whole as u64 > self.content.size() {
                break;
            }
            let bytes = read(self.content, at, whole)?;
            let samples = bytes.get(length..).unwrap_or_default();
            group
                .frames
                .push(self.header.read(samples).map_err(refused)?);
            let start = group.bytes.len();
            group.lines.push(start..start + length);
            group.bytes.extend(bytes);
            at += whole as u64;
        }
        if group.frames.is_empty() {
            return Ok(None);
        }
        self.at = at;
        Ok(Some(group))
    }

    /// The next piece of what follows the frames.
    fn piece(&mut self) -> Result<Option<Vec<u8>>, CodecError> {
        let rest = self.content.size().saturating_sub(self.at);
        let length = usize::try_from(rest).unwrap_or(PIECE).min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let piece = read(self.content, self.at, length)?;
        self.at += length as u64;
        Ok(Some(piece))
    }
}

/// Encodes groups at once.
fn all(shape: &Shape, groups: &[Group], previews: usize) -> Vec<Result<Coded, group::Error>> {
    let encode = |group: &Group| group::encode(shape, &group.frames, previews);
    std::thread::scope(|scope| {
        let others = groups.iter().skip(1);
        let others: Vec<_> = others
            .map(|group| scope.spawn(move || encode(group)))
            .collect();
        let own = groups.first().map(encode);
        let others = others.into_iter().map(|thread| {
            let failed = || Err(group::Error::Format("the encoder failed"));
            thread.join().unwrap_or_else(|_| failed())
        });
        own.into_iter().chain(others).collect()
    })
}

/// What the first part of a segment begins with.
fn beginning(frames: usize, text: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut packed = Vec::new();
    if !text.is_empty() {
        packed.push(1);
        packed.extend(zstd::bulk::compress(text, LEVEL)?);
        if packed.len() > text.len() {
            packed = vec![0];
            packed.extend(text);
        }
    }
    let mut bytes = vec![u8::try_from(frames).unwrap_or(0)];
    bytes.extend(u32::try_from(packed.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(packed);
    Ok(bytes)
}

/// The parts of a group's segment.
fn with_text(group: &Group, mut parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, CodecError> {
    let lines = group.lines.iter();
    let lines: Vec<&[u8]> = lines
        .filter_map(|line| group.bytes.get(line.clone()))
        .collect();
    let (file, frames) = lines.split_at(lines.len() - group.frames.len().min(lines.len()));
    let mut text = file.concat();
    if frames.iter().any(|line| *line != PLAIN) {
        text.extend(frames.concat());
    }
    let mut first = beginning(group.frames.len(), &text)?;
    if let Some(part) = parts.first_mut() {
        first.append(part);
        *part = first;
    }
    Ok(parts)
}

/// Sums over all groups.
#[derive(Debug, Default)]
struct Total {
    frames: usize,
    bytes: u64,
    errors: Vec<f64>,
}

impl Total {
    fn add(
        &mut self,
        group: &Group,
        parts: &[Vec<u8>],
        errors: &[f64],
        previews: usize,
    ) -> Result<(), CodecError> {
        let bytes: usize = parts.iter().map(Vec::len).sum();
        // One group tells what the others will be like.
        let gains = previews > 0 || self.frames > 0 || bytes < group.bytes.len();
        if !gains || bytes > most(group.bytes.len()) {
            return Err(declined("nothing gained by coding the frames"));
        }
        self.frames += group.frames.len();
        self.bytes += bytes as u64;
        self.errors.resize(previews, 0.0);
        for (sum, error) in self.errors.iter_mut().zip(errors) {
            *sum += error;
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 is more than any file's")]
    fn centi_db(&self, shape: &Shape, previews: usize) -> Vec<u16> {
        let count = (shape.counted() * self.frames) as f64;
        let peak = f64::from(shape.max);
        let errors = self.errors.iter().take(previews);
        errors
            .map(|error| psnr::centi_db(peak, count, *error))
            .collect()
    }
}

fn refused(why: crate::media::error::Error) -> CodecError {
    declined(&why.to_string())
}

fn declined(why: &str) -> CodecError {
    CodecError::Declined(format!("video: {why}"))
}
