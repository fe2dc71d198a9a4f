//! Weights of NFR v4: a film as a network of sines, rendered as raw video while it is read.
//!
//! The file is what `torch.save` writes: an archive (`zip`) with a pickle of two dictionaries (`pickle`) and the values of
//! each tensor as little-endian 32-bit floats in a file of its own.
//!
//! | key | what |
//! |---|---|
//! | `state_dict` | tensors `net.I.linear.weight` (outputs x inputs) and `.bias` for layers I = 0, 1, ... with sines, and `final_linear.weight` and `.bias` for the last |
//! | `meta` | numbers `T` frames, `H_orig` and `W_orig` in pixels, `fps`; others say on what it was trained |
//!
//! The network ([`crate::coding::siren`]) takes (t, x, y), each 2 i / (n - 1) - 1 for place i of n, with a frequency of 30.
//! The original renders frames upside down and ten times too fast; here they are upright, `T` of them at `fps`.
//!
//! It is shown as YUV4MPEG2 with 4:2:0 samples, BT.601 in the range of studios: Y of each pixel, U and V of the mean
//! colour of four.

mod pickle;
#[cfg(test)]
mod tests;
mod zip;

use std::num::NonZero;
use std::thread;

use parking_lot::Mutex;

use super::{Chunks, ForeignError, Parts, Quality, Reader};
use crate::coding::siren::{DEEPEST, Place as On, Siren, WIDEST, Weights};
use pickle::{LONGEST, Tensor, Value};
use zip::Zip;

/// Most pixels of a frame.
const PIXELS: u64 = 1 << 25;
/// Largest width and height.
const SIDE: i64 = 1 << 14;
/// Rows that are rendered together.
const BAND: usize = 16;
/// The line before each frame.
const FRAME: &[u8] = b"FRAME\n";
/// Bytes of the widest layer's weights.
const TENSOR: u64 = (WIDEST * WIDEST * 4) as u64;
/// Frames per second that are taken for real.
const FASTEST: f64 = 1000.0;

/// Whether a file that begins like this is an archive of torch: its first file is the pickle.
pub(super) fn is_weights(head: &[u8]) -> bool {
    let name = head.get(30..).unwrap_or_default();
    let length = head.get(26..28).and_then(|length| length.first_chunk());
    let length = length.map_or(0, |length| usize::from(u16::from_le_bytes(*length)));
    head.starts_with(b"PK\x03\x04")
        && name
            .get(..length)
            .is_some_and(|n| n.ends_with(b"/data.pkl"))
}

/// The only part, in errors.
struct Place<'a>(&'a dyn Parts);

impl Place<'_> {
    fn name(&self) -> String {
        self.0.name(0)
    }

    fn wrong(&self, offset: u64, what: impl Into<String>) -> ForeignError {
        ForeignError::Format {
            name: self.name(),
            offset,
            what: what.into(),
        }
    }

    fn unfit(&self, what: impl Into<String>) -> ForeignError {
        ForeignError::Unsupported {
            name: self.name(),
            what: what.into(),
        }
    }
}

/// Bytes of the only part; who asks has seen to it that they are not too many.
fn part(parts: &dyn Parts, offset: u64, length: u64) -> Result<Vec<u8>, ForeignError> {
    let end = offset.checked_add(length);
    if end.is_none_or(|end| end > parts.size(0)) {
        return Err(Place(parts).wrong(offset, format!("{length} bytes that are not there")));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    parts.read_at(0, offset, &mut bytes)?;
    Ok(bytes)
}

/// A film, open for reading.
#[derive(Debug)]
pub struct Film {
    network: Siren,
    frames: u32,
    width: u32,
    height: u32,
    header: Vec<u8>,
    shown: Mutex<Frame>,
}

/// The frame that was read last, as far as it was rendered.
#[derive(Debug, Default)]
struct Frame {
    number: Option<u32>,
    /// Planes Y, U and V.
    planes: Vec<u8>,
    /// Which bands of rows are there.
    bands: Vec<bool>,
}

impl Film {
    /// Reads weights; renders nothing.
    ///
    /// # Errors
    /// [`ForeignError`] for archives of other things, too.
    pub fn open(parts: &dyn Parts) -> Result<Self, ForeignError> {
        let place = Place(parts);
        let archive = Zip::read(parts)?;
        let name = archive.ending("/data.pkl").map(str::to_owned);
        let name = name.ok_or_else(|| place.unfit("no single pickle in the archive"))?;
        let values = pickle::read(&archive.entry(&name, LONGEST)?);
        let values =
            values.map_err(|e| place.unfit(format!("'{name}', byte {}: {}", e.at, e.what)))?;
        let stem = name.trim_end_matches("data.pkl");
        let (Some(state), Some(meta)) = (values.get("state_dict"), values.get("meta")) else {
            return Err(place.unfit("a pickle without the weights of a film"));
        };
        let int = |key: &str, most: i64| {
            let int = meta.get(key).and_then(Value::int);
            let int = int.filter(|int| (1..=most).contains(int));
            let int = int.and_then(|int| u32::try_from(int).ok());
            int.ok_or_else(|| place.unfit(format!("no '{key}' from 1 to {most} in the pickle")))
        };
        let (width, height) = (int("W_orig", SIDE)?, int("H_orig", SIDE)?);
        let frames = int("T", u32::MAX.into())?;
        if u64::from(width) * u64::from(height) > PIXELS {
            return Err(ForeignError::Limit {
                what: "the number of pixels of a frame",
                value: u64::from(width) * u64::from(height),
                limit: PIXELS,
            });
        }
        let rate = meta.get("fps").and_then(Value::number).and_then(rate);
        let (rate, per) = rate.ok_or_else(|| place.unfit("no 'fps' up to 1000 in the pickle"))?;
        let tensor = |key: String| {
            let tensor = match state.get(&key) {
                Some(Value::Tensor(tensor)) => floats(&archive, stem, tensor),
                _ => Err("it is missing".to_owned()),
            };
            tensor.map_err(|what| place.unfit(format!("tensor '{key}': {what}")))
        };
        let mut layers = Vec::new();
        while state
            .get(&format!("net.{}.linear.weight", layers.len()))
            .is_some()
        {
            if layers.len() > DEEPEST {
                return Err(place.unfit("too many layers"));
            }
            let [weights, bias] = ["weight", "bias"]
                .map(|what| tensor(format!("net.{}.linear.{what}", layers.len())));
            layers.push((weights?, bias?));
        }
        let [weights, bias] = ["weight", "bias"].map(|what| tensor(format!("final_linear.{what}")));
        layers.push((weights?, bias?));
        let layers: Vec<Weights<'_>> = layers
            .iter()
            .map(|(weights, bias)| Weights { weights, bias })
            .collect();
        let network = Siren::new(&layers, 30.0).map_err(|e| place.unfit(e.0))?;
        let header = format!("YUV4MPEG2 W{width} H{height} F{rate}:{per} Ip A1:1 C420jpeg\n");
        Ok(Self {
            network,
            frames,
            width,
            height,
            header: header.into_bytes(),
            shown: Mutex::default(),
        })
    }

    /// Samples of the first plane.
    fn luma(&self) -> usize {
        side(self.width) * side(self.height)
    }

    /// Samples of one of the other planes.
    fn chroma(&self) -> usize {
        side(self.width.div_ceil(2)) * side(self.height.div_ceil(2))
    }

    /// Bytes of a frame with its line.
    fn frame(&self) -> u64 {
        (FRAME.len() + self.luma() + 2 * self.chroma()) as u64
    }

    /// The bands that are needed for bytes `from..to` of the planes.
    fn bands(&self, from: usize, to: usize) -> Vec<usize> {
        let (luma, chroma) = (self.luma(), self.chroma());
        let planes = [
            (0, luma, side(self.width) * BAND),
            (luma, chroma, side(self.width.div_ceil(2)) * BAND / 2),
            (
                luma + chroma,
                chroma,
                side(self.width.div_ceil(2)) * BAND / 2,
            ),
        ];
        let mut bands = Vec::new();
        for (start, length, band) in planes {
            let (first, end) = (from.max(start), to.min(start + length));
            if first < end {
                bands.extend((first - start) / band..=(end - 1 - start) / band);
            }
        }
        bands.sort_unstable();
        bands.dedup();
        bands
    }

    /// Renders a band of rows: Y, U and V.
    fn band(&self, number: u32, band: usize) -> [Vec<u8>; 3] {
        let width = side(self.width);
        let time = On {
            index: number,
            count: self.frames,
        };
        let first = band * BAND;
        let rows = first..side(self.height).min(first + BAND);
        let mut planes = [Vec::new(), Vec::new(), Vec::new()];
        let [luma, blue, red] = &mut planes;
        let mut colours = vec![[[0_u8; 3]; 2]; width];
        let mut row = vec![[0_u8; 3]; width];
        for y in rows.clone() {
            let place = On {
                index: u32::try_from(y).unwrap_or(u32::MAX),
                count: self.height,
            };
            self.network.row(time, place, &mut row);
            luma.extend(row.iter().map(|rgb| shade(*rgb)));
            let last = y + 1 == rows.end;
            for (two, rgb) in colours.iter_mut().zip(&row) {
                let [upper, lower] = two;
                if y % 2 == 0 {
                    *upper = *rgb;
                }
                if y % 2 == 1 || last {
                    *lower = *rgb;
                }
            }
            if y % 2 == 1 || last {
                for four in colours.chunks(2) {
                    // The last column of an odd number stands for two.
                    let [left, right] = [four.first(), four.last()];
                    let [b, r] = tint(
                        left.copied().unwrap_or_default(),
                        right.copied().unwrap_or_default(),
                    );
                    blue.push(b);
                    red.push(r);
                }
            }
        }
        planes
    }

    /// Fills `buf` from byte `from` of a frame's planes.
    fn planes(&self, number: u32, from: usize, buf: &mut [u8]) -> Result<(), ForeignError> {
        let mut frame = self.shown.lock();
        if frame.number != Some(number) {
            frame.number = Some(number);
            frame.planes.resize(self.luma() + 2 * self.chroma(), 0);
            frame.bands = vec![false; side(self.height).div_ceil(BAND)];
        }
        let mut wanted = self.bands(from, from + buf.len());
        wanted.retain(|band| frame.bands.get(*band) == Some(&false));
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let each = wanted.len().div_ceil(threads).max(1);
        let rendered = thread::scope(|scope| {
            let parts: Vec<_> = wanted
                .chunks(each)
                .map(|bands| {
                    scope.spawn(|| -> Vec<_> {
                        let bands = bands.iter();
                        bands
                            .map(|band| (*band, self.band(number, *band)))
                            .collect()
                    })
                })
                .collect();
            let parts = parts.into_iter().map(thread::ScopedJoinHandle::join);
            parts.collect::<Result<Vec<_>, _>>()
        });
        let rendered = rendered
            .map_err(|_| ForeignError::Damaged("a frame could not be rendered".to_owned()))?;
        let (luma, chroma) = (self.luma(), self.chroma());
        let half = side(self.width.div_ceil(2)) * BAND / 2;
        for (band, planes) in rendered.into_iter().flatten() {
            let starts = [
                band * BAND * side(self.width),
                luma + band * half,
                luma + chroma + band * half,
            ];
            for (start, plane) in starts.into_iter().zip(planes) {
                if let Some(to) = frame.planes.get_mut(start..start + plane.len()) {
                    to.copy_from_slice(&plane);
                }
            }
            if let Some(there) = frame.bands.get_mut(band) {
                *there = true;
            }
        }
        let range = frame.planes.get(from..from + buf.len());
        buf.copy_from_slice(range.unwrap_or_default());
        Ok(())
    }
}

/// A length in pixels.
fn side(pixels: u32) -> usize {
    usize::try_from(pixels).unwrap_or(0)
}

/// Y of a colour.
fn shade(rgb: [u8; 3]) -> u8 {
    let [red, green, blue] = rgb.map(i32::from);
    byte(16 + ((66 * red + 129 * green + 25 * blue + 128) >> 8))
}

/// U and V of the mean of four colours.
fn tint(left: [[u8; 3]; 2], right: [[u8; 3]; 2]) -> [u8; 2] {
    let mut sums = [0; 3];
    for rgb in left.into_iter().chain(right) {
        for (sum, value) in sums.iter_mut().zip(rgb) {
            *sum += i32::from(value);
        }
    }
    let [red, green, blue] = sums;
    [
        byte(128 + ((-38 * red - 74 * green + 112 * blue + 512) >> 10)),
        byte(128 + ((112 * red - 94 * green - 18 * blue + 512) >> 10)),
    ]
}

fn byte(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 255)).unwrap_or(0)
}

/// Frames per second as a fraction; television's are those of 1001 parts.
fn rate(fps: f64) -> Option<(u32, u32)> {
    if !(0.001..=FASTEST).contains(&fps) {
        return None;
    }
    for per in [1_u32, 1001, 1000] {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive and at most a million"
        )]
        let number = (fps * f64::from(per)).round() as u32;
        // Of rates with 1001 parts the whole thousands are real.
        let real = per != 1001 || number.is_multiple_of(1000);
        if real && (f64::from(number) / f64::from(per) - fps).abs() < 0.000_5 * fps.min(1.0) {
            return Some((number.max(1), per));
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and at most a million"
    )]
    let number = (fps * 1000.0).round() as u32;
    Some((number.max(1), 1000))
}

/// The values of a tensor.
fn floats(archive: &Zip<'_>, stem: &str, tensor: &Tensor) -> Result<Vec<f32>, String> {
    let mut count: i64 = 1;
    for (length, stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if *stride != count && *length != 1 {
            return Err("its values are not in the order of rows".to_owned());
        }
        count = count.saturating_mul(*length);
    }
    let whole = tensor.shape.len() == tensor.strides.len() && tensor.offset == 0;
    if !whole || count < 1 || count > tensor.stored {
        return Err("its shape does not fit its values".to_owned());
    }
    let bytes = archive.entry(&format!("{stem}data/{}", tensor.storage), TENSOR);
    let bytes = bytes.map_err(|e| e.to_string())?;
    let (values, rest) = bytes.as_chunks();
    if !rest.is_empty() || i64::try_from(values.len()) != Ok(tensor.stored) {
        return Err(format!(
            "{} bytes instead of {} values",
            bytes.len(),
            tensor.stored
        ));
    }
    let values = values.iter().copied().map(f32::from_le_bytes);
    Ok(values.take(usize::try_from(count).unwrap_or(0)).collect())
}

impl Reader for Film {
    fn size(&self) -> u64 {
        self.header.len() as u64 + u64::from(self.frames) * self.frame()
    }

    fn suffix(&self) -> &'static str {
        ".y4m"
    }

    fn chunks(&self) -> Option<Chunks> {
        None
    }

    fn check(&self) -> Result<Quality, ForeignError> {
        Ok(Quality::Exact)
    }

    fn verify(&self) -> Result<Quality, ForeignError> {
        // All that is stored was read when it was opened; nothing in it tells whether it is what was written.
        Ok(Quality::Exact)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, ForeignError> {
        let end = offset.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let header = self.header.len() as u64;
            let text = if at < header {
                self.header.get(place(at)..).unwrap_or_default()
            } else {
                let inside = place((at - header) % self.frame());
                FRAME.get(inside..).unwrap_or_default()
            };
            let length = if text.is_empty() {
                let inside = place((at - header) % self.frame());
                let number = (at - header) / self.frame();
                let left = place(self.frame()) - inside;
                let length = left.min(rest.len());
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                let (to, _) = rest.split_at_mut(length);
                self.planes(number, inside - FRAME.len(), to)?;
                length
            } else {
                let length = text.len().min(rest.len());
                let (to, _) = rest.split_at_mut(length);
                to.copy_from_slice(text.get(..length).unwrap_or_default());
                length
            };
            at += length as u64;
            rest = rest.split_at_mut(length).1;
        }
        Ok(Quality::Exact)
    }
}
