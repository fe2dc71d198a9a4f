//! Pictures to tiles to layers, and back.

use std::collections::BTreeSet;

use super::cuts::{Cuts, Search};
use super::header::{Header, MAX_PREVIEWS, Method, Tile};
use super::wave::{Curvature, is_opacity};
use super::{Error, Planes};
use crate::codec::{coarse, psnr};
use crate::coding::bands::{self, Plan, Survey};
use crate::coding::colour::{self, Transform};
use crate::coding::flat;

/// A preview may take one part in so many of what makes the file exact. With 16 chunks, of which 1, 4, 8, 12 are enough
/// for a preview, that is 0.4 to 0.8 of it after protection: more than quality costs in photographs.
const SHARES: [usize; 4] = [20, 10, 5, 3];
/// Coarse layers of most drawings are dear and show little. They take a quarter of the exact one after protection, as
/// they do where the file itself is kept.
const SHARES_OF_DRAWN: [usize; 4] = [100, 80, 40, 32];
/// Bytes that a preview may take always.
const LEAST: usize = 96;

/// A coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// What a decoder must know first.
    pub header: Header,
    /// The layers: previews, then the one that makes it exact (or nothing, where an earlier one did).
    pub layers: Vec<Vec<u8>>,
}

/// Encodes a picture into `previews` (at most 4) preview layers and one that makes it exact. `file` and `recipe`:
/// bytes that its file takes as it is, and beside the pixels.
///
/// # Errors
/// [`Error::Format`] for a picture without pixels, with more than four channels, with planes of wrong size, with
/// samples above its maximum, larger than 2^24 along a side, or of more than
/// 2^32 pixels.
pub fn encode(
    planes: &Planes,
    previews: usize,
    [file, recipe]: [usize; 2],
) -> Result<Encoding, Error> {
    let mut header = checked(planes)?;
    let source = Source::new(planes);
    header.colour = choose_colour(planes);
    let previews = previews.min(SHARES.len()).min(MAX_PREVIEWS);
    let mut search = Search::new(&source, &header);
    let mut found = search.by_quality(previews);
    let drawn = is_drawn(planes).then(|| {
        let grid = header.clone().drawn().grid(0);
        let tiles = (0..grid.tiles()).map(|i| source.draw(&header, grid.tile(i)));
        join(&tiles.collect::<Vec<_>>())
    });
    // Waves never come down to a sixth of a bit per sample where many neighbours are equal.
    let samples = planes.width * planes.height * planes.channels.len();
    let surely = drawn
        .as_ref()
        .is_some_and(|drawn| drawn.len() < samples / 48);
    let coded = code(
        &source,
        &header,
        &found.cuts,
        previews + usize::from(!surely),
    )?;
    let sizes: Vec<usize> = coded.iter().map(Vec::len).collect();
    let waves: usize = if surely {
        usize::MAX
    } else {
        sizes.iter().sum()
    };
    let coarse: usize = sizes.iter().take(previews).sum();
    let recipe_and = |drawn: &Vec<u8>| drawn.len() + recipe;
    let dear = |drawn: &Vec<u8>| is_dear(&sizes, previews, recipe_and(drawn));
    // Previews of a drawing come on top of it.
    let drawn = drawn.filter(|drawn| {
        let least = if previews > 0 { drawn.len() / 12 } else { 0 };
        drawn.len() + if dear(drawn) { least } else { coarse } < waves
    });
    // Previews stay in proportion to what makes the file exact.
    let exact = drawn
        .as_ref()
        .map_or(waves.saturating_add(recipe), recipe_and);
    let shares = if file < exact || drawn.as_ref().is_some_and(dear) {
        SHARES_OF_DRAWN
    } else {
        SHARES
    };
    let most = shares.map(|share| (exact.min(file) / share).max(LEAST));
    let mut layers = coded;
    let mut over = sizes.iter().take(previews).zip(most);
    if over.any(|(size, most)| *size > most) {
        let cuts = search.within(&found.cuts, &sizes, &most)?;
        found = Cuts { cuts, errors: None };
        let wanted = previews + usize::from(drawn.is_none());
        layers = code(&source, &header, &found.cuts, wanted)?;
    }
    header.cuts = found.cuts;
    let errors = match found.errors {
        Some(errors) => errors,
        None => errors_at(&source, &header)?,
    };
    let samples = source.colour_samples();
    let decibels = errors
        .iter()
        .map(|&error| psnr::centi_db(f64::from(header.max), samples, error));
    header.centi_db = decibels.collect();
    if let Some(drawn) = drawn {
        header = header.drawn();
        layers.truncate(previews);
        layers.push(drawn);
    }
    Ok(Encoding { header, layers })
}

/// Whether previews of these sizes and the quality wanted would take more than half of what makes a file exact.
fn is_dear(sizes: &[usize], previews: usize, exact: usize) -> bool {
    let costs = sizes.iter().take(previews).zip([48, 12, 6, 4]);
    let thirds: usize = costs.map(|(size, cost)| size * cost).sum();
    thirds / 3 > exact / 2
}

/// The header of a picture without previews, if it can be coded.
fn checked(planes: &Planes) -> Result<Header, Error> {
    let header = Header {
        method: Method::Wave,
        channels: planes.channels.len(),
        max: planes.max,
        width: planes.width,
        height: planes.height,
        colour: Transform::None,
        cuts: Vec::new(),
        centi_db: Vec::new(),
    };
    Header::parse(&header.to_bytes()).map_err(|_| Error::Format("a size that cannot be coded"))?;
    let count = planes.width * planes.height;
    if planes.channels.iter().any(|plane| plane.len() != count) {
        return Err(Error::Format("a plane of wrong size"));
    }
    let mut samples = planes.channels.iter().flatten();
    if samples.any(|&sample| sample > planes.max) {
        return Err(Error::Format("a sample above the maximum"));
    }
    Ok(header)
}

/// The first layers of the wave method.
fn code(
    source: &Source<'_>,
    header: &Header,
    cuts: &[i16],
    wanted: usize,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut layers = vec![Vec::new(); wanted];
    for index in 0..header.grid(0).tiles() {
        let wave = header.wave(header.grid(0).tile(index));
        let layout = wave.layout()?;
        let mut coefficients = wave.forward(source.tile(header, index));
        let plan = Plan::from_cuts(&layout, cuts).first(wanted);
        let curvature = Curvature::new(&wave);
        let tile = bands::encode(&layout, &plan, &mut coefficients, Some(&curvature))?;
        for (layer, bytes) in layers.iter_mut().zip(tile) {
            layer.push(bytes);
        }
    }
    Ok(layers.into_iter().map(|tiles| join(&tiles)).collect())
}

/// The squared error of the picture at each cut of the header.
fn errors_at(source: &Source<'_>, header: &Header) -> Result<Vec<f64>, Error> {
    let mut errors = vec![0.0; header.cuts.len()];
    for index in 0..header.grid(0).tiles() {
        let wave = header.wave(header.grid(0).tile(index));
        let layout = wave.layout()?;
        let coefficients = wave.forward(source.tile(header, index));
        let survey = Survey::new(&coefficients);
        let plan = Plan::from_cuts(&layout, &header.cuts);
        for (layer, error) in (1..).zip(&mut errors) {
            let shifts = plan.shifts(layer).unwrap_or_default();
            let bands = survey.reconstruct(shifts, &coefficients);
            *error += source.error(header, index, &wave.inverse(bands));
        }
    }
    Ok(errors)
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
        let tile = header.grid(0).tile(index);
        let plane = |channel: &Vec<u16>| {
            let mut plane = Vec::with_capacity(tile.width * tile.height);
            for row in self.rows(channel, tile) {
                plane.extend(row.iter().map(|&sample| i32::from(sample)));
            }
            plane
        };
        self.planes.channels.iter().map(plane).collect()
    }

    /// The squared error of a coarse view over the colour samples; `None` for a picture that is no larger.
    pub(super) fn coarse_error(&self) -> Option<f64> {
        let planes = self.planes;
        let channels = planes.channels.iter().enumerate();
        let colours = channels.filter(|(i, _)| !is_opacity(planes.channels.len(), *i));
        let error =
            |(_, plane): (usize, &Vec<u16>)| coarse::error(plane, planes.width, planes.height);
        colours.map(error).sum()
    }

    /// The squared error of a decoded tile over its colour samples, after cutting off what no sample can be.
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 is more than any picture's"
    )]
    pub(super) fn error(&self, header: &Header, index: usize, decoded: &[Vec<i32>]) -> f64 {
        let tile = header.grid(0).tile(index);
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
    fn draw(&self, header: &Header, tile: Tile) -> Vec<u8> {
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

/// Whether there are few colours or many pixels equal their left neighbour, as they do where the drawn method may win.
fn is_drawn(planes: &Planes) -> bool {
    if has_few_colours(planes) {
        return true;
    }
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
    equal * 4 > all || planes.width * planes.height <= 1 << 15
}

/// Whether a palette could name the colours of every fourth row.
fn has_few_colours(planes: &Planes) -> bool {
    let mut colours = BTreeSet::new();
    for y in (0..planes.height).step_by(4) {
        for at in y * planes.width..(y + 1) * planes.width {
            let mut colour = [0; 4];
            for (sample, plane) in colour.iter_mut().zip(&planes.channels) {
                *sample = plane.get(at).copied().unwrap_or(0);
            }
            if colours.insert(colour) && colours.len() > 256 {
                return false;
            }
        }
    }
    true
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
    // The bands make up for small differences, least so for those of this one: it wins what is close.
    let sum = |transform: Transform, sum: u64| match transform {
        Transform::Green => sum - sum / 32,
        _ => sum,
    };
    let best = colour::ALL
        .into_iter()
        .zip(sums)
        .min_by_key(|(transform, cost)| sum(*transform, *cost));
    best.map_or(Transform::None, |(transform, _)| transform)
}

impl Header {
    /// Decodes a tile from its bytes in the first layers, at least one: its samples, by channels.
    ///
    /// # Errors
    /// [`Error`] for bytes that the encoder did not write.
    pub fn decode_tile(&self, index: usize, layers: &[&[u8]]) -> Result<Vec<Vec<u16>>, Error> {
        let last = layers.len().wrapping_sub(1);
        let grid = self.grid(last);
        if last >= self.layers() || index >= grid.tiles() {
            return Err(Error::Format("no such tile or layer"));
        }
        let tile = grid.tile(index);
        if let (Method::Drawn, Some(bytes)) = (self.method, layers.get(self.cuts.len())) {
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
    let grid = header.grid(layers.len().saturating_sub(1));
    let mut pieces: Vec<Vec<&[u8]>> = vec![Vec::new(); grid.tiles()];
    for (number, layer) in layers.iter().enumerate() {
        if header.grid(number) != grid {
            // Not needed for drawn tiles.
            for piece in &mut pieces {
                piece.push(&[]);
            }
            continue;
        }
        let length = u64::try_from(layer.len()).unwrap_or(u64::MAX);
        for (piece, range) in pieces.iter_mut().zip(grid.ranges(layer, length)?) {
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
            place(&mut planes, grid.tile(first + i), &decoded?);
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
