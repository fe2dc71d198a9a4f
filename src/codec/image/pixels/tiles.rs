//! Pictures to tiles to layers, and back.

use super::cuts;
use super::header::{Header, MAX_PREVIEWS, Method, Tile};
use super::wave::{Curvature, is_opacity};
use super::{Error, Planes};
use crate::coding::bands::{self, Plan, Survey};
use crate::coding::colour::{self, Transform};
use crate::coding::flat;

/// What protection makes of a byte of each preview layer and of the exact one, with 16 chunks: layers that are
/// readable from 1, 4, 8, 12 and 14 of them.
const COSTS: [f64; 5] = [16.0, 4.0, 2.0, 16.0 / 12.0, 16.0 / 14.0];

/// A coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// What a decoder must know first.
    pub header: Header,
    /// The layers: previews, then the one that makes it exact (or nothing, where an earlier one did).
    pub layers: Vec<Vec<u8>>,
}

/// Encodes a picture into `previews` (at most 4) preview layers and one that makes it exact.
///
/// # Errors
/// [`Error::Format`] for a picture without pixels, with more than four channels, with planes of wrong size, with
/// samples above its maximum, larger than 2^24 along a side, or of more than
/// 2^32 pixels.
pub fn encode(planes: &Planes, previews: usize) -> Result<Encoding, Error> {
    let channels = planes.channels.len();
    let mut header = Header {
        method: Method::Wave,
        channels,
        max: planes.max,
        width: planes.width,
        height: planes.height,
        colour: Transform::None,
        exact_layer: 0,
        cuts: Vec::new(),
        centi_db: Vec::new(),
    };
    Header::parse(&header.to_bytes()).map_err(|_| Error::Format("a size that cannot be coded"))?;
    let count = planes.width * planes.height;
    if planes.channels.iter().any(|plane| plane.len() != count) {
        return Err(Error::Format("a plane of wrong size"));
    }
    if planes
        .channels
        .iter()
        .flatten()
        .any(|&sample| sample > planes.max)
    {
        return Err(Error::Format("a sample above the maximum"));
    }
    let source = Source::new(planes);
    header.colour = choose_colour(planes);
    let previews = previews.min(COSTS.len() - 1).min(MAX_PREVIEWS);
    let found = cuts::find(&source, &header, previews);
    header.cuts = found.cuts;
    header.exact_layer = previews;
    let mut errors = vec![0.0; previews];
    let mut layers = vec![Vec::new(); previews + 1];
    for index in 0..header.tiles() {
        let wave = header.wave(header.tile(index));
        let layout = wave.layout()?;
        let mut coefficients = wave.forward(source.tile(&header, index));
        let plan = Plan::from_cuts(&layout, &header.cuts);
        if found.errors.is_none() {
            let survey = Survey::new(&coefficients);
            for (layer, error) in (1..).zip(&mut errors) {
                let shifts = plan.shifts(layer).unwrap_or_default();
                let bands = survey.reconstruct(shifts, &coefficients);
                *error += source.error(&header, index, &wave.inverse(bands));
            }
        }
        let curvature = Curvature::new(&wave);
        let tile = bands::encode(&layout, &plan, &mut coefficients, Some(&curvature))?;
        for (layer, bytes) in layers.iter_mut().zip(tile) {
            layer.push(bytes);
        }
    }
    let errors = found.errors.unwrap_or(errors);
    let samples = source.colour_samples();
    let decibels = errors
        .iter()
        .map(|&error| cuts::centi_db(&header, samples, error));
    header.centi_db = decibels.collect();
    let mut layers: Vec<Vec<u8>> = layers.into_iter().map(|tiles| join(&tiles)).collect();
    if is_drawn(planes) {
        let tiles: Vec<Vec<u8>> = (0..header.tiles())
            .map(|i| source.draw(&header, i))
            .collect();
        prefer_drawn(&mut header, &mut layers, join(&tiles));
    }
    Ok(Encoding { header, layers })
}

/// Takes the drawn layer in the place where the layers cost least after protection, if that is less than without it.
fn prefer_drawn(header: &mut Header, layers: &mut [Vec<u8>], drawn: Vec<u8>) {
    let previews = layers.len() - 1;
    let last = |place: usize| {
        if place == previews {
            COSTS[4]
        } else {
            COSTS.get(place).copied().unwrap_or(1.0)
        }
    };
    let size = |bytes: &Vec<u8>| u32::try_from(bytes.len()).map_or(f64::MAX, f64::from);
    let before = |place: usize| -> f64 {
        let each = layers.iter().zip(COSTS).take(place);
        each.map(|(bytes, cost)| size(bytes) * cost).sum()
    };
    let wave = before(previews) + layers.last().map_or(0.0, size) * last(previews);
    let mut best = (wave, None);
    for place in 0..=previews {
        let cost = before(place) + size(&drawn) * last(place);
        if cost < best.0 {
            best = (cost, Some(place));
        }
    }
    let (_, Some(place)) = best else {
        return;
    };
    header.method = Method::Drawn;
    header.exact_layer = place;
    for (at, layer) in layers.iter_mut().enumerate().skip(place) {
        *layer = Vec::new();
        if let Some(db) = header.centi_db.get_mut(at) {
            *db = u16::MAX;
        }
    }
    if let Some(layer) = layers.get_mut(place) {
        *layer = drawn;
    }
}

/// A picture that is read tile by tile.
pub(super) struct Source<'a> {
    planes: &'a Planes,
}

impl<'p> Source<'p> {
    pub(super) fn new(planes: &'p Planes) -> Self {
        Self { planes }
    }

    fn rows<'a>(&'a self, channel: &'a [u16], tile: Tile) -> impl Iterator<Item = &'a [u16]> {
        let width = self.planes.width.max(1);
        let rows = channel.chunks(width).skip(tile.y).take(tile.height);
        rows.map(move |row| row.get(tile.x..tile.x + tile.width).unwrap_or_default())
    }

    /// The samples of a tile, by channels.
    pub(super) fn tile(&self, header: &Header, index: usize) -> Vec<Vec<i32>> {
        let tile = header.tile(index);
        let plane = |channel: &Vec<u16>| {
            let mut plane = Vec::with_capacity(tile.width * tile.height);
            for row in self.rows(channel, tile) {
                plane.extend(row.iter().map(|&sample| i32::from(sample)));
            }
            plane
        };
        self.planes.channels.iter().map(plane).collect()
    }

    /// The squared error of a decoded tile over its colour samples, after cutting off what no sample can be.
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 is more than any picture's"
    )]
    pub(super) fn error(&self, header: &Header, index: usize, decoded: &[Vec<i32>]) -> f64 {
        let tile = header.tile(index);
        let max = i32::from(header.max);
        let mut error = 0_u64;
        for (i, (channel, decoded)) in self.planes.channels.iter().zip(decoded).enumerate() {
            if is_opacity(header.channels, i) {
                continue;
            }
            let rows = self
                .rows(channel, tile)
                .zip(decoded.chunks(tile.width.max(1)));
            for (row, decoded) in rows {
                let squares = row.iter().zip(decoded).map(|(&sample, &decoded)| {
                    let difference = decoded.clamp(0, max).abs_diff(i32::from(sample));
                    u64::from(difference) * u64::from(difference)
                });
                error += squares.sum::<u64>();
            }
        }
        error as f64
    }

    /// Samples that count for the error.
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 is more than any picture's"
    )]
    pub(super) fn colour_samples(&self) -> f64 {
        let channels = self.planes.channels.len();
        let colours = (0..channels).filter(|&i| !is_opacity(channels, i)).count();
        (self.planes.width * self.planes.height * colours) as f64
    }

    /// A tile by the drawn method.
    fn draw(&self, header: &Header, index: usize) -> Vec<u8> {
        let tile = header.tile(index);
        let plane = |channel: &Vec<u16>| self.rows(channel, tile).flatten().copied().collect();
        let planes: Vec<Vec<u16>> = self.planes.channels.iter().map(plane).collect();
        let planes: Vec<&[u16]> = planes.iter().map(Vec::as_slice).collect();
        flat::encode(shape(header, tile), &planes)
    }
}

fn shape(header: &Header, tile: Tile) -> flat::Shape {
    flat::Shape {
        width: tile.width,
        height: tile.height,
        channels: header.channels,
        max: header.max,
    }
}

/// A layer from the bytes of its tiles.
fn join(tiles: &[Vec<u8>]) -> Vec<u8> {
    if let [tile] = tiles {
        return tile.clone();
    }
    if tiles.iter().all(Vec::is_empty) {
        return Vec::new();
    }
    let lengths = tiles
        .iter()
        .map(|tile| u32::try_from(tile.len()).unwrap_or(0));
    let mut layer: Vec<u8> = lengths.flat_map(u32::to_le_bytes).collect();
    layer.extend(tiles.iter().flatten());
    layer
}

/// Pixels that a choice looks at, at most.
const LOOKED_AT: usize = 1 << 16;

/// Rows to look at: every `n`-th with the one above.
fn row_step(planes: &Planes) -> usize {
    (planes.width * planes.height).div_ceil(LOOKED_AT).max(1)
}

/// Whether many pixels equal their left neighbour, as they do where the drawn method may win.
fn is_drawn(planes: &Planes) -> bool {
    let (mut equal, mut all) = (0_usize, 0_usize);
    for y in (0..planes.height).step_by(row_step(planes)) {
        let row = |plane: &'_ Vec<u16>, x: usize| plane.get(y * planes.width + x).copied();
        for x in 1..planes.width {
            let same = planes
                .channels
                .iter()
                .all(|plane| row(plane, x) == row(plane, x - 1));
            equal += usize::from(same);
            all += 1;
        }
    }
    // Small pictures are cheap to try.
    equal * 4 > all || planes.width * planes.height <= 4096
}

/// The colour transform with the shortest details: the sum of log2(1 + 2 |x - mean of its upper and left neighbours|).
fn choose_colour(planes: &Planes) -> Transform {
    let [r, g, b, ..] = planes.channels.as_slice() else {
        return Transform::None;
    };
    let costs: Vec<u32> = (0..4096)
        .map(|i| u32::from(bands::log2_64(1 + 2 * i).unsigned_abs()))
        .collect();
    let cost = |difference: u32| {
        let known = costs.get(difference as usize);
        known.copied().unwrap_or(64 * 17)
    };
    let mut sums = [0_u64; colour::ALL.len()];
    for y in (1..planes.height).step_by(row_step(planes)) {
        let row = |plane: &'_ [u16], y: usize| -> Vec<i32> {
            let row = plane.iter().skip(y * planes.width).take(planes.width);
            row.map(|&sample| i32::from(sample)).collect()
        };
        let rows = [r, g, b].map(|plane| (row(plane, y), row(plane, y - 1)));
        let pixel = |x: usize, above: bool| {
            let [r, g, b] = rows.each_ref().map(|(row, upper)| {
                let row = if above { upper } else { row };
                row.get(x).copied().unwrap_or(0)
            });
            [r, g, b]
        };
        for x in 1..planes.width {
            for (transform, sum) in colour::ALL.into_iter().zip(&mut sums) {
                let here = transform.forward(pixel(x, false));
                let left = transform.forward(pixel(x - 1, false));
                let above = transform.forward(pixel(x, true));
                for ((here, left), above) in here.into_iter().zip(left).zip(above) {
                    *sum += u64::from(cost((here - ((left + above) >> 1)).unsigned_abs()));
                }
            }
        }
    }
    let best = colour::ALL
        .into_iter()
        .zip(sums)
        .min_by_key(|(_, sum)| *sum);
    best.map_or(Transform::None, |(transform, _)| transform)
}

impl Header {
    /// Decodes a tile from its bytes in the first layers, at least one: its samples, by channels.
    ///
    /// # Errors
    /// [`Error`] for bytes that the encoder did not write.
    pub fn decode_tile(&self, index: usize, layers: &[&[u8]]) -> Result<Vec<Vec<u16>>, Error> {
        if index >= self.tiles() || layers.is_empty() || layers.len() > self.layers() {
            return Err(Error::Format("no such tile or layer"));
        }
        let tile = self.tile(index);
        if let (Method::Drawn, Some(bytes)) = (self.method, layers.get(self.exact_layer)) {
            return Ok(flat::decode(shape(self, tile), bytes)?);
        }
        let wave = self.wave(tile);
        let layout = wave.layout()?;
        let plan = Plan::from_cuts(&layout, &self.cuts);
        let curvature = Curvature::new(&wave);
        let bands = bands::decode(&layout, &plan, layers, Some(&curvature))?;
        let max = i32::from(self.max);
        let sample = |value: i32| u16::try_from(value.clamp(0, max)).unwrap_or(0);
        let channel = |plane: Vec<i32>| plane.into_iter().map(sample).collect();
        Ok(wave.inverse(bands).into_iter().map(channel).collect())
    }
}

/// Decodes all tiles, in parallel.
pub(super) fn decode(header: &Header, layers: &[&[u8]]) -> Result<Planes, Error> {
    let mut pieces: Vec<Vec<&[u8]>> = vec![Vec::new(); header.tiles()];
    for layer in layers {
        let length = u64::try_from(layer.len()).unwrap_or(u64::MAX);
        for (piece, range) in pieces.iter_mut().zip(header.tile_ranges(layer, length)?) {
            let range = usize::try_from(range.start)
                .ok()
                .zip(usize::try_from(range.end).ok());
            let bytes = range.and_then(|(start, end)| layer.get(start..end));
            piece.push(bytes.ok_or(Error::Format("a tile beyond its layer"))?);
        }
    }
    let count = header.width * header.height;
    let mut planes = Planes {
        width: header.width,
        height: header.height,
        max: header.max,
        channels: vec![vec![0; count]; header.channels],
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (first, round) in pieces
        .chunks(threads)
        .enumerate()
        .map(|(i, p)| (i * threads, p))
    {
        let decoded: Vec<Result<Vec<Vec<u16>>, Error>> = std::thread::scope(|scope| {
            let others = round.iter().enumerate().skip(1);
            let others: Vec<_> = others
                .map(|(i, piece)| scope.spawn(move || header.decode_tile(first + i, piece)))
                .collect();
            let own = round.first().map(|piece| header.decode_tile(first, piece));
            let others = others.into_iter().map(|thread| {
                let panicked = || Err(Error::Format("a decoder failed"));
                thread.join().unwrap_or_else(|_| panicked())
            });
            own.into_iter().chain(others).collect()
        });
        for (i, decoded) in decoded.into_iter().enumerate() {
            place(&mut planes, header.tile(first + i), &decoded?);
        }
    }
    Ok(planes)
}

/// Puts a tile into the picture.
fn place(planes: &mut Planes, tile: Tile, decoded: &[Vec<u16>]) {
    for (channel, decoded) in planes.channels.iter_mut().zip(decoded) {
        let rows = channel.chunks_mut(planes.width.max(1)).skip(tile.y);
        for (row, decoded) in rows.zip(decoded.chunks(tile.width.max(1))) {
            if let Some(row) = row.get_mut(tile.x..tile.x + decoded.len()) {
                row.copy_from_slice(decoded);
            }
        }
    }
}
