//! Encoding a segment of samples: what to code, where to cut, and the parts of its layers.

use super::choose::{bits, choose, ranks_pay};
use super::encode::declined;
use super::segment::{BITS, Exact, Header, MOST_LOW, layout, samples, shown, to_bands};
use super::settings::PREVIEWS;
use super::values::{Line, Values};
use super::{SHORTEST, WANTED, pack};
use crate::codec::{CodecError, psnr};
use crate::coding::bands::{self, Band, Layout, Measure, Plan, Survey, log2_64, shifts_at};
use crate::coding::linear::{self, cost};
use crate::coding::mdct::{Mdct, rotate};
use crate::media::sound::Piece;

/// Energy and noise of a preview.
#[derive(Debug, Clone, Default)]
pub(super) struct Noise {
    energy: f64,
    noise: f64,
}

impl Noise {
    /// SNR in 1/100 dB, rounded down; 65535 without noise.
    pub(super) fn centi_db(&self) -> u16 {
        psnr::centi_db(1.0, self.energy, self.noise)
    }
}

/// Codes the samples of a segment into parts of layers. `float`: the scale divides.
pub(super) fn encode(
    piece: &Piece,
    float: bool,
    previews: usize,
    stats: &mut [Noise],
) -> Result<Vec<Vec<u8>>, CodecError> {
    let ranked = Values::of(&piece.samples).and_then(|values| {
        let mut ranks = piece.samples.clone();
        values.to_ranks(&mut ranks);
        let mut table = Vec::new();
        values.put(&mut table).ok()?;
        let margin = 2 * table.len() + 4 * Line::BYTES;
        if !ranks_pay(&piece.samples, &ranks, margin) {
            return None;
        }
        let coded = coded(piece, Some((&values, ranks)), previews).ok()?;
        // Where values lie unevenly their ranks give poor previews: only a clear gain is worth that.
        let mut found = coded.noise.iter().zip(WANTED);
        let good = found.all(|((energy, noise), db)| *energy >= *noise * ratio(db - 0.5));
        let gains = || {
            let other = self::coded(piece, None, previews).ok();
            other.is_none_or(|other| 2 * coded.protected() < other.protected())
        };
        (good || gains()).then_some(coded)
    });
    let coded = match ranked {
        Some(coded) => coded,
        None => coded(piece, None, previews)?,
    };
    let scale = power(piece.scale, float);
    for (sum, (energy, noise)) in stats.iter_mut().zip(coded.noise) {
        sum.energy += energy * scale;
        sum.noise += noise * scale;
    }
    Ok(coded.parts)
}

/// A coded segment.
struct Coded {
    parts: Vec<Vec<u8>>,
    /// Energy and noise of each preview.
    noise: Vec<(f64, f64)>,
}

/// What protection makes of a byte of each preview, with 16 chunks.
const COPIES: [usize; PREVIEWS] = [16, 4, 2, 1];

impl Coded {
    /// About the bytes that are stored of it with protection.
    fn protected(&self) -> usize {
        let copies = COPIES.iter().copied().chain([1, 1]);
        let previews = copies.take(self.parts.len().saturating_sub(1)).chain([1]);
        let each = self.parts.iter().zip(previews);
        each.map(|(part, copies)| part.len() * copies).sum()
    }
}

/// Codes samples, or their ranks.
fn coded(
    piece: &Piece,
    ranked: Option<(&Values, Vec<Vec<i32>>)>,
    previews: usize,
) -> Result<Coded, CodecError> {
    let (values, channels) = match ranked {
        Some((values, ranks)) => (Some(values), ranks),
        None => (None, piece.samples.clone()),
    };
    let mut header = Header {
        transform: None,
        scale: piece.scale,
        low: 0,
        rests: !piece.rest.is_empty(),
        turns: vec![0; channels.len() / 2],
        cuts: vec![0; previews],
        exact: Exact::Bands,
        line: values.map(Values::knots),
    };
    let bits = bits(&channels);
    if bits == 0 {
        let layers = vec![Vec::new(); previews + 1];
        return Ok(Coded {
            parts: parts(&header, piece, &[], values, layers)?,
            noise: Vec::new(),
        });
    }
    // What does not fit at first does with shorter blocks, or fewer bits.
    let least = u8::try_from(bits.saturating_sub(BITS)).unwrap_or(0).min(8);
    for low in least..=MOST_LOW {
        header.low = low;
        let mut high = channels.clone();
        for sample in high.iter_mut().flatten() {
            *sample >>= low;
        }
        let choice = choose(&high);
        header.turns = choice.turns;
        let plain = choice.predictable.then(|| high.clone());
        turn(&header.turns, &mut high);
        for log in (SHORTEST..=choice.transform.log).rev() {
            let transform = Mdct {
                log,
                ..choice.transform
            };
            header.transform = Some(transform);
            let rows = high.iter().map(|signal| transform.forward(signal.clone()));
            let mut bands = to_bands(log, &rows.collect::<Vec<_>>());
            let layout = layout(&transform, channels.len(), piece.frames())?;
            let original = Original {
                piece,
                ranks: values,
            };
            let noise = cuts(&mut header, &layout, &bands, &original);
            let plan = Plan::from_cuts(&layout, &header.cuts);
            let Ok(mut layers) = bands::encode(&layout, &plan, &mut bands, None) else {
                continue;
            };
            if let Some(plain) = plain {
                predict(&mut header, &layout, &mut layers, plain)?;
            }
            let parts = parts(&header, piece, &channels, values, layers)?;
            return Ok(Coded { parts, noise });
        }
    }
    Err(declined("samples that are too loud"))
}

/// Puts prediction in time in the place of the last layer where that is shorter: of what previews miss, or of all.
fn predict(
    header: &mut Header,
    layout: &Layout,
    layers: &mut [Vec<u8>],
    mut samples: Vec<Vec<i32>>,
) -> Result<(), CodecError> {
    let (Some((last, previews)), Some(transform)) = (layers.split_last_mut(), header.transform)
    else {
        return Ok(());
    };
    let mut found = vec![(Exact::Alone, linear::encode(&samples))];
    if !previews.is_empty() {
        let previews: Vec<&[u8]> = previews.iter().map(Vec::as_slice).collect();
        let (channels, frames) = (samples.len(), samples.first().map_or(0, Vec::len));
        let seen = shown(header, &transform, layout, channels, frames, &previews)?;
        for (sample, seen) in samples.iter_mut().flatten().zip(seen.iter().flatten()) {
            *sample = sample.wrapping_sub(*seen);
        }
        found.push((Exact::Missed, linear::encode(&samples)));
    }
    let least = found.into_iter().min_by_key(|(_, bytes)| bytes.len());
    if let Some((exact, bytes)) = least.filter(|(_, bytes)| bytes.len() < last.len()) {
        *last = bytes;
        header.exact = exact;
        if previews.is_empty() {
            header.transform = None;
        }
    }
    Ok(())
}

fn turn(turns: &[i8], channels: &mut [Vec<i32>]) {
    for (pair, turn) in channels.chunks_exact_mut(2).zip(turns) {
        if let [a, b] = pair {
            rotate(*turn, a, b);
        }
    }
}

/// The square of 2^scale, or of 2^-scale for floats.
fn power(scale: u8, float: bool) -> f64 {
    (0..scale).fold(
        1.0,
        |power, _| if float { power / 4.0 } else { power * 4.0 },
    )
}

/// Puts the parts together.
fn parts(
    header: &Header,
    piece: &Piece,
    channels: &[Vec<i32>],
    values: Option<&Values>,
    layers: Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, CodecError> {
    let mut before = vec![Vec::new(); layers.len()];
    if let Some(first) = before.first_mut() {
        first.extend(header.to_bytes());
    }
    if let (Some(values), Some(part)) = (values, before.get_mut(header.values_part())) {
        values.put(part)?;
    }
    if let Some(last) = before.last_mut() {
        if header.low > 0 {
            let mask = (1_u32 << header.low) - 1;
            let low = |sample: &i32| u16::try_from(sample.cast_unsigned() & mask).unwrap_or(0);
            let low = channels.iter().flatten().map(low);
            let low: Vec<u8> = low.flat_map(u16::to_le_bytes).collect();
            pack::put(last, &low)?;
        }
        if header.rests {
            pack::put(last, &piece.rest)?;
        }
    }
    for (part, layer) in before.iter_mut().zip(layers) {
        part.extend(layer);
    }
    Ok(before)
}

/// What previews are compared with.
struct Original<'a> {
    piece: &'a Piece,
    ranks: Option<&'a Values>,
}

/// Tries for each cut that is measured by its samples.
const TRIES: usize = 6;
/// How much lower such a cut may come to lie: two planes.
const DEEPER: i16 = 128;
/// Bits of the greatest magnitude of samples that are so small that the transform's own rounding counts.
const SMALL: u32 = 6;

/// Finds the highest cut for each preview that has the SNR wanted; returns energy and noise of each.
///
/// The transform is orthonormal, so that the error of coefficients is that of samples; where rounding counts or samples
/// are ranks, they are reconstructed.
fn cuts(
    header: &mut Header,
    layout: &Layout,
    coefficients: &[Vec<i32>],
    original: &Original<'_>,
) -> Vec<(f64, f64)> {
    let surveys = coefficients
        .iter()
        .map(|band| Survey::new(std::slice::from_ref(band)));
    let flat = |band: &Band| {
        Layout::new(vec![Band {
            weight: 0,
            references: Vec::new(),
            ..band.clone()
        }])
    };
    let errors: Vec<Measure> = layout
        .bands()
        .iter()
        .zip(surveys)
        .map(|(band, survey)| {
            let mut measure = Measure::default();
            if let Ok(flat) = flat(band) {
                measure.add(&flat, &survey);
            }
            measure
        })
        .collect();
    let error = |cut: i16| -> f64 {
        let shifts = shifts_at(layout, cut);
        let each = shifts.iter().zip(&errors);
        each.map(|(shift, errors)| errors.error(i16::from(*shift) * 64))
            .sum()
    };
    let highest = |noise: f64| {
        let (mut low, mut high) = (-2048_i16, 4096_i16);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if error(middle) <= noise {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    };
    let lows = power(header.low, false);
    let energy: f64 = original
        .piece
        .samples
        .iter()
        .flatten()
        .map(|s| f64::from(*s) * f64::from(*s))
        .sum();
    let inside: f64 = coefficients
        .iter()
        .flatten()
        .map(|c| f64::from(*c) * f64::from(*c))
        .sum();
    let measured = original.ranks.is_some() || bits(&original.piece.samples) <= SMALL;
    let survey = measured.then(|| Survey::new(coefficients));
    let mut found = Vec::new();
    let mut cuts = Vec::new();
    let mut ceiling = i16::MAX;
    for (layer, wanted) in WANTED.iter().take(header.cuts.len()).enumerate() {
        let ratio = ratio(*wanted);
        let mut aim = inside / ratio;
        let mut cut = highest(aim).min(ceiling);
        let share = SHARES.get(layer);
        let within = |cut| share.map_or(cut, |share| affordable(layout, coefficients, cut, *share));
        let affords = |cut| within(cut) == cut;
        cut = within(cut);
        let mut noise = error(cut) * lows;
        if let (Some(survey), Some(transform)) = (&survey, header.transform) {
            let first = cut;
            // A line in place of the values is as good as it is.
            let better = original.ranks.is_none() || layer >= header.values_part();
            for _ in 0..TRIES {
                let bands = survey.reconstruct(&shifts_at(layout, cut), coefficients);
                noise = original.noise(header, &transform, layer, &bands);
                if noise <= energy / ratio || !better || first - cut >= DEEPER {
                    break;
                }
                aim *= (energy / ratio / noise).clamp(0.4, 0.9);
                let deeper = highest(aim).min(cut - 1).max(first - DEEPER);
                if !affords(deeper) {
                    break;
                }
                cut = deeper;
            }
        }
        found.push((energy, noise));
        cuts.push(cut);
        ceiling = cut;
    }
    header.cuts = cuts;
    found
}

/// What of a sample that costs next to nothing the first previews may take all the same, before the share, in 1/64 bit: of
/// quiet sounds they would be too little of little.
const LITTLE: u64 = 256;
/// The first previews, of whose bytes many copies are kept, together take at most one in so many bytes.
const SHARES: [u64; 3] = [64, 10, 3];

/// `cut`, or a higher one where the layer of that would be large, as it is for noise.
fn affordable(layout: &Layout, coefficients: &[Vec<i32>], cut: i16, share: u64) -> i16 {
    let count = coefficients.iter().map(Vec::len).sum::<usize>() as u64;
    let most = coefficients.iter().map(|band| cost(band)).sum::<u64>() / share;
    let most = most.max(count * LITTLE / share);
    let price = |cut: i16| -> u64 {
        let bands = coefficients.iter().zip(shifts_at(layout, cut));
        bands.map(|(band, shift)| price_at(band, shift)).sum()
    };
    let (mut low, mut high) = (cut, cut.saturating_add(1024));
    if price(low) <= most {
        return low;
    }
    while high - low > 8 {
        let middle = low + (high - low) / 2;
        if price(middle) <= most {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// About 64 times the bits that a band takes down to a shift: where its non-zeros are, and what.
fn price_at(band: &[i32], shift: u8) -> u64 {
    let shift = u32::from(shift).min(31);
    let (mut count, mut sizes) = (0_u32, 0);
    for magnitude in band.iter().map(|c| c.unsigned_abs() >> shift) {
        count += u32::from(magnitude != 0);
        sizes += u64::from(32 - magnitude.leading_zeros());
    }
    let all = u32::try_from(band.len()).unwrap_or(u32::MAX);
    let sparse = log2_64(all) - log2_64(count);
    // A place and a sign for each; log2(e) for the order that does not matter.
    u64::from(count) * u64::from(sparse.unsigned_abs() + 92) + sizes * 64
}

impl Original<'_> {
    /// The squared error of what bands give as a preview.
    fn noise(&self, header: &Header, transform: &Mdct, layer: usize, bands: &[Vec<i32>]) -> f64 {
        let channels = self.piece.samples.len();
        let mut seen = samples(header, transform, channels, self.piece.frames(), bands);
        match (self.ranks, &header.line) {
            (Some(values), _) if layer >= header.values_part() => values.to_values(&mut seen),
            (_, Some(line)) => Line::new(line).to_values(&mut seen),
            _ => {}
        }
        let pairs = seen
            .iter()
            .flatten()
            .zip(self.piece.samples.iter().flatten());
        let squares = pairs.map(|(a, b)| {
            let difference = f64::from(a.wrapping_sub(*b));
            difference * difference
        });
        squares.sum()
    }
}

/// The ratio of energies that so many dB are: their 20th part by the series of the exponential function, 20 times.
fn ratio(db: f64) -> f64 {
    // ln 10 / 200.
    let small = db * 0.011_512_925_464_970_23;
    let series = |sum: f64, n: i32| 1.0 + sum * small / f64::from(n);
    let root = (1..=12).rev().fold(1.0, series);
    (0..20).fold(1.0, |ratio, _| ratio * root)
}
