//! What `show --png` draws: the waveform of a sound, a small picture of other media.

use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::path::Path;

use serde::Serialize;

use crate::cli::exit::{Code, Failure};
use crate::cli::interrupt;
use crate::codec::{self, Medium};
use crate::media::sniff::{Kind, LOOK, sniff};
use crate::media::sound::ParseError;
use crate::media::sound::survey::{Ranges, Survey, Worth};
use crate::media::sound::waveform::Waveform;
use crate::store::{Error, FileStatus, Look, State, Store};

/// Most columns of a waveform.
const COLUMNS: usize = 1024;
/// Rows for each channel where there are many, and of all together where there are few.
const ROWS: (usize, usize) = (64, 256);
/// Sounds of more bytes are drawn from their first layer: they would take a minute and more, and look much the same.
const COARSE: u64 = 256 << 20;
/// Most segments that are decoded: an hour and a half of stereo, and of what is longer as many parts of it.
const SEGMENTS: u64 = 1024;

/// A picture, and what it shows.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    /// A PNG file.
    #[serde(skip)]
    pub(super) png: Vec<u8>,
    #[serde(flatten)]
    shows: Shows,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Shows {
    Waveform {
        channels: usize,
        length_ms: Option<u64>,
        mark_ms: Option<u64>,
        /// From the first layer alone.
        coarse: bool,
        /// The worst of its parts: `exact`, `degraded` or `lost`. A state of the file by its headers alone may not know.
        worst: &'static str,
    },
    Thumbnail,
}

impl Picture {
    /// What it shows, in words.
    pub(super) fn words(&self) -> String {
        let Shows::Waveform {
            channels,
            length_ms,
            mark_ms,
            coarse,
            worst,
        } = &self.shows
        else {
            return "thumbnail".to_owned();
        };
        let mut text = match channels {
            1 => "waveform of one channel".to_owned(),
            n => format!("waveform of {n} channels"),
        };
        if let Some(ms) = length_ms {
            text.extend([", ", &time(*ms)]);
        }
        if let Some(ms) = mark_ms {
            text.extend([", a mark every ", &unit(*ms)]);
        }
        if *coarse {
            text += ", from the first layer";
        }
        match *worst {
            "exact" => {}
            "lost" => text += ", with gaps",
            _ => text += ", softer where it is amber",
        }
        text
    }
}

/// A time as hours, minutes and seconds.
fn time(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours}:{minutes:02}:{seconds:02}.{ms:03}")
}

/// A round time.
fn unit(ms: u64) -> String {
    match ms {
        3_600_000.. => format!("{} h", ms / 3_600_000),
        60_000.. => format!("{} min", ms / 60_000),
        1000.. => format!("{} s", ms / 1000),
        _ => format!("{ms} ms"),
    }
}

/// Draws what is stored of a file.
pub(super) fn of(
    store: &Store,
    ino: u64,
    file: &Path,
    status: &FileStatus,
) -> Result<Picture, Failure> {
    let fail = |e: Error| Failure::store(file, &e);
    let medium = codec::by_name(&status.codec).map_or(Medium::Other, codec::Codec::medium);
    if !matches!(medium, Medium::Image | Medium::Video) {
        let look = store.look(ino, false).map_err(fail)?;
        let mut head = [0; LOOK];
        let there = usize::try_from(look.size()).map_or(LOOK, |size| size.min(LOOK));
        let head = head.get_mut(..there).unwrap_or_default();
        look.read(0, head).map_err(fail)?;
        if matches!(sniff(head), Some(Kind::Wav | Kind::Aiff | Kind::Flac)) {
            let coarse = medium == Medium::Sound && look.size() > COARSE;
            let look = if coarse {
                store.look(ino, true).map_err(fail)?
            } else {
                look
            };
            return waveform(look, coarse, file, status);
        }
    }
    match store.xattr(ino, OsStr::new("user.holofs.preview")) {
        Ok(png) => Ok(Picture {
            png,
            shows: Shows::Thumbnail,
        }),
        Err(Error::NoData) => {
            let failure = Failure::new(Code::Error, file, "no picture can be drawn of it");
            Err(failure.hint("--png draws sound, and encoded pictures and films"))
        }
        Err(e) => Err(fail(e)),
    }
}

fn waveform(
    look: Look,
    coarse: bool,
    file: &Path,
    status: &FileStatus,
) -> Result<Picture, Failure> {
    let whole = status.state != State::Degraded;
    let mut stored = Stored {
        look,
        coarse: coarse.then_some(if whole { Worth::Exact } else { Worth::Soft }),
    };
    let survey = Survey::of(&mut stored, COLUMNS, SEGMENTS).map_err(|e| match e {
        ParseError::Io(e) if e.kind() == io::ErrorKind::Interrupted => Failure::interrupted(),
        ParseError::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
            Failure::new(Code::Lost, file, e.to_string())
        }
        ParseError::Io(e) => Failure::io(file, &e),
        ParseError::Media(e) => Failure::new(Code::Error, file, e.to_string()),
    })?;
    let drawing = Waveform {
        survey: &survey,
        width: COLUMNS,
        height: (ROWS.0 * survey.channels).max(ROWS.1),
        centi_db: status.quality_db.and_then(centi),
    };
    let png = drawing.png();
    let length = u128::from(survey.frames) * 1000;
    Ok(Picture {
        png: png.map_err(|e| Failure::new(Code::Error, file, e.to_string()))?,
        shows: Shows::Waveform {
            channels: survey.channels,
            length_ms: length
                .checked_div(survey.rate.into())
                .and_then(|ms| u64::try_from(ms).ok()),
            mark_ms: drawing.marks(),
            coarse,
            worst: match survey.worth() {
                Worth::Exact => "exact",
                Worth::Soft => "degraded",
                Worth::Lost => "lost",
            },
        },
    })
}

/// Decibels in hundredths.
fn centi(db: f64) -> Option<u16> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range"
    )]
    let centi = (db * 100.0).round().clamp(0.0, f64::from(u16::MAX)) as u16;
    db.is_finite().then_some(centi)
}

/// A file in the store, for a survey.
struct Stored {
    look: Look,
    /// What its ranges count as where all are read from the first layer.
    coarse: Option<Worth>,
}

impl Ranges for Stored {
    fn size(&self) -> u64 {
        self.look.size()
    }

    fn segment(&self, offset: u64) -> Option<Range<u64>> {
        self.look.segment(offset)
    }

    fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<Worth> {
        if interrupt::seen() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match self.look.read(offset, buf) {
            Ok(exact) => Ok(self
                .coarse
                .unwrap_or(if exact { Worth::Exact } else { Worth::Soft })),
            Err(Error::Io(e)) => Err(e),
            Err(_) => Ok(Worth::Lost),
        }
    }
}
