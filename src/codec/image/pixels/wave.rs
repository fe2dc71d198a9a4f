//! One tile under the layered coder: colours, wavelet, bands, predictions between levels.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::coding::bands::{Band, Error, Hints, Known, Layout, Prior, Reference};
use crate::coding::colour::Transform;
use crate::coding::wavelet::{self, Kind, Part};

/// What the models begin with: classes luma, chroma, opacity. See `training.rs`.
static PHOTOGRAPHS: LazyLock<Prior> =
    LazyLock::new(|| Prior::new(include_bytes!("photographs.prior")));

/// Shape of a tile and how it is transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wave {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
    /// For three or four channels.
    pub(super) colour: Transform,
    /// What is taken off every sample first: half of the range.
    pub(super) middle: i32,
}

impl Wave {
    fn parts(&self) -> (usize, Vec<Part>) {
        let levels = wavelet::levels(self.width, self.height);
        (levels, wavelet::parts(self.width, self.height, levels))
    }

    /// The bands: parts from coarse to fine, of each part the channels in turn.
    pub(super) fn layout(&self) -> Result<Layout, Error> {
        let (_, parts) = self.parts();
        let channels = self.channels;
        let norms = self.colour.norms();
        let mut bands = Vec::with_capacity(parts.len() * channels);
        for (i, part) in parts.iter().enumerate() {
            for channel in 0..channels {
                let at = i * channels + channel;
                let opaque = is_opacity(channels, channel);
                let mut references = Vec::new();
                // The other orientations of this level around the place of a detail, as far as they are known: along
                // rows it lies right of its column's mean, along columns below its row's.
                let places: &[(usize, i8, i8)] = match part.kind {
                    Kind::Mean | Kind::Horizontal => &[],
                    Kind::Vertical => &[(1, 0, 0), (1, -1, 0), (1, 0, 1), (1, -1, 1)],
                    Kind::Diagonal => &[(1, 0, 0), (2, 0, 0), (1, 1, 0), (2, 0, 1)],
                };
                for (back, right, down) in places {
                    references.push(Reference::same(at - back * channels).moved(*right, *down));
                }
                if i > 3 {
                    references.push(Reference::parent(at - 3 * channels));
                }
                if opaque {
                    references.push(Reference::same(i * channels));
                } else {
                    references.extend((1..=channel).map(|back| Reference::same(at - back)));
                }
                let norm = match channel {
                    0..3 if channels >= 3 => norms.get(channel).copied().unwrap_or(0),
                    _ => 0,
                };
                // Bands of one weight would fall on one side of every cut together: finer steps come nearer the
                // quality wanted.
                let same = self.colour == Transform::None;
                let tie = i16::from(part.kind == Kind::Vertical)
                    + i16::try_from(channel).map_or(0, |c| 2 * c * i16::from(same));
                bands.push(Band {
                    width: part.size.0,
                    height: part.size.1,
                    class: if opaque { 2 } else { u8::from(channel > 0) },
                    weight: part.norm + norm + tie,
                    references,
                    tally: None,
                });
            }
        }
        Ok(Layout::new(bands)?.with_prior(&PHOTOGRAPHS))
    }

    /// The coefficients of a tile's channels.
    pub(super) fn forward(&self, mut planes: Vec<Vec<i32>>) -> Vec<Vec<i32>> {
        for sample in planes.iter_mut().flatten() {
            *sample -= self.middle;
        }
        if let [x, y, z, ..] = planes.as_mut_slice() {
            self.colour.forward_planes([x, y, z]);
        }
        let levels = wavelet::levels(self.width, self.height);
        let split = |plane| wavelet::forward(plane, self.width, self.height, levels);
        let mut channels: Vec<_> = planes.into_iter().map(|p| split(p).into_iter()).collect();
        let mut bands = Vec::new();
        while let Some(round) = channels
            .iter_mut()
            .map(Iterator::next)
            .collect::<Option<Vec<_>>>()
        {
            bands.extend(round);
            if channels.is_empty() {
                break;
            }
        }
        bands
    }

    /// The channels of a tile from its coefficients.
    pub(super) fn inverse(&self, bands: Vec<Vec<i32>>) -> Vec<Vec<i32>> {
        let mut channels = vec![Vec::new(); self.channels];
        for (i, band) in bands.into_iter().enumerate() {
            if let Some(channel) = channels.get_mut(i % self.channels.max(1)) {
                channel.push(band);
            }
        }
        let levels = wavelet::levels(self.width, self.height);
        let join = |bands| wavelet::inverse(bands, self.width, self.height, levels);
        let mut planes: Vec<Vec<i32>> = channels.into_iter().map(join).collect();
        if let [x, y, z, ..] = planes.as_mut_slice() {
            self.colour.inverse_planes([x, y, z]);
        }
        for sample in planes.iter_mut().flatten() {
            *sample = sample.wrapping_add(self.middle);
        }
        planes
    }
}

/// Whether a channel is opacity: the last one of two or four.
pub(super) fn is_opacity(channels: usize, channel: usize) -> bool {
    matches!((channels, channel), (2, 1) | (4, 3))
}

/// A plane of means: its layer, its level, its samples.
type Mean = (usize, usize, Vec<i32>);

/// Predicts details along rows and columns from the curvature of the means of their level.
///
/// The 5/3 wavelet takes the middle between two means for what lies between them. Where the means bend, a cubic
/// through four of them says in which direction that misses: by (a - b - c + d) / 16, with a to d in a row.
#[derive(Debug)]
pub(super) struct Curvature {
    width: usize,
    height: usize,
    channels: usize,
    levels: usize,
    means: RefCell<BTreeMap<usize, Mean>>,
}

impl Curvature {
    pub(super) fn new(wave: &Wave) -> Self {
        Self {
            width: wave.width,
            height: wave.height,
            channels: wave.channels.max(1),
            levels: wavelet::levels(wave.width, wave.height),
            means: RefCell::default(),
        }
    }

    fn size(&self, level: usize) -> (usize, usize) {
        (
            self.width.div_ceil(1 << level),
            self.height.div_ceil(1 << level),
        )
    }

    /// Takes out the means of a level, as known now, from those of a coarser level seen in the same layer.
    fn take_means(&self, known: &Known<'_>, channel: usize, level: usize) -> Vec<i32> {
        let band = |part: usize, (width, height): (usize, usize)| {
            let mut plane = Vec::with_capacity(width * height);
            for y in 0..height {
                let row = known.row(part * self.channels + channel, y);
                plane.extend(row.iter().map(|&value| i32::from(value)));
            }
            plane
        };
        let seen = self.means.borrow_mut().remove(&channel);
        let seen = seen.filter(|(layer, seen, _)| *layer == known.layer() && *seen >= level);
        let (mut now, mut means) = match seen {
            Some((_, level, means)) => (level, means),
            None => (self.levels, band(0, self.size(self.levels))),
        };
        while now > level {
            let first = 1 + 3 * (self.levels - now);
            let (whole, mean) = (self.size(now - 1), self.size(now));
            let detail = (whole.0 - mean.0, whole.1 - mean.1);
            let details = [
                band(first, (detail.0, mean.1)),
                band(first + 1, (mean.0, detail.1)),
                band(first + 2, detail),
            ];
            means = wavelet::join(&means, &details, whole);
            now -= 1;
        }
        means
    }
}

impl Hints for Curvature {
    fn predicts(&self, band: usize) -> bool {
        let part = band / self.channels;
        // Opacity is flat or sharp, never curved.
        part > 0 && !part.is_multiple_of(3) && !is_opacity(self.channels, band % self.channels)
    }

    fn predict(&self, known: &Known<'_>, band: usize, plane: &mut [i16]) {
        let (part, channel) = (band / self.channels, band % self.channels);
        let Some(level) = self.levels.checked_sub(part.saturating_sub(1) / 3) else {
            return;
        };
        let means = self.take_means(known, channel, level);
        let (width, height) = self.size(level);
        if part % 3 == 1 {
            let details = self.size(level.saturating_sub(1)).0 - width;
            let rows = plane.chunks_exact_mut(details.max(1));
            for (out, means) in rows.zip(means.chunks_exact(width.max(1))) {
                along_row(out, means);
            }
        } else {
            let row = |y: usize| {
                let start = y.min(height.saturating_sub(1)) * width;
                means.get(start..start + width).unwrap_or_default()
            };
            for (y, out) in plane.chunks_exact_mut(width.max(1)).enumerate() {
                let inner = out.iter_mut().zip(row(y)).zip(row(y + 1));
                let outer = row(y.saturating_sub(1)).iter().zip(row(y + 2));
                for (((out, b), c), (a, d)) in inner.zip(outer) {
                    *out = curvature([*a, *b, *c, *d]);
                }
            }
        }
        let seen = (known.layer(), level, means);
        self.means.borrow_mut().insert(channel, seen);
    }
}

/// Fills a row of predictions from a row of means; beyond the edges the last mean goes on.
fn along_row(out: &mut [i16], means: &[i32]) {
    let at = |x: usize| means.get(x).or(means.last()).copied().unwrap_or(0);
    let inner = means
        .len()
        .saturating_sub(3)
        .min(out.len().saturating_sub(1));
    if let Some(first) = out.first_mut() {
        *first = curvature([at(0), at(0), at(1), at(2)]);
    }
    let windows = means
        .iter()
        .zip(means.iter().skip(1))
        .zip(means.iter().skip(2).zip(means.iter().skip(3)));
    for (out, ((a, b), (c, d))) in out.iter_mut().skip(1).zip(windows) {
        *out = curvature([*a, *b, *c, *d]);
    }
    for (x, out) in out.iter_mut().enumerate().skip(inner + 1) {
        *out = curvature([at(x - 1), at(x), at(x + 1), at(x + 2)]);
    }
}

/// What lies between the middle two of four means in a row exceeds their mean by this, in 16ths.
#[inline]
fn curvature([a, b, c, d]: [i32; 4]) -> i16 {
    let curvature = b.wrapping_add(c).wrapping_sub(a.wrapping_add(d));
    i16::try_from(curvature.clamp(-32_767, 32_767)).unwrap_or(0)
}
