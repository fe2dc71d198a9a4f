//! Encoding: a file becomes strips of coefficients in layers, and notes.

use std::ops::Range;

use crate::codec::{CodecError, Content, Effort, Encoded, LayerSink, Request};
use crate::coding::bands::{self, Hints, Plan};
use crate::media::jpeg::{self, Block, Frame, Jpeg, Rows, Start};

use super::bytes::{number, piece};
use super::levels::Estimate;
use super::sample::Sample;
use super::segments::{Segments, proof};
use super::strip::Strip;
use super::ways::{Cut, Dc};
use super::{MAX_PREVIEWS, MAX_SIZE, STRIP_BYTES, STRIP_COEFFICIENTS, Settings, levels, meta};

/// MCUs that are looked at for measuring, about.
const SAMPLE: usize = 384;

pub(super) fn encode(
    content: &dyn Content,
    request: Request<'_>,
    sink: &mut dyn LayerSink,
) -> Result<Encoded, CodecError> {
    let size = usize::try_from(content.size()).unwrap_or(usize::MAX);
    if size > MAX_SIZE {
        return Err(declined("too large"));
    }
    let mut file = vec![0; size];
    content.read_at(0, &mut file)?;
    let jpeg = jpeg::parse(&file).map_err(declined)?;
    let previews = request.previews.min(MAX_PREVIEWS);
    let rows = strip_rows(&jpeg, size, previews);
    let strips = strips(&jpeg.frame, rows);
    let segments = proved(&file, &jpeg, &strips)?;
    if previews > 0 && jpeg::smallest(&jpeg.frame) > size {
        return Err(declined("a picture of these dimensions takes more bytes"));
    }
    if sink.cancelled() {
        return Err(CodecError::Cancelled);
    }
    let mut settings = Settings {
        rows,
        previews: Vec::new(),
    };
    drop(file);
    let mut split = None;
    if previews > 0 {
        (settings.previews, split) = plan(&jpeg, &strips, previews, sink)?;
    }
    let mut layers: Vec<Layer> = (0..=previews).map(|_| Layer::default()).collect();
    for mcus in &strips {
        if sink.cancelled() {
            return Err(CodecError::Cancelled);
        }
        let ready = Ready::new(&jpeg, mcus, &settings.cuts(), split.take())?;
        let dc = Dc::pack(&ready.dc);
        for (index, (layer, bytes)) in layers.iter_mut().zip(ready.encode()?).enumerate() {
            if index == 0 {
                layer.lengths.push(dc);
            }
            number(&mut layer.lengths, bytes.len());
            layer.strips.push(bytes);
        }
    }
    write(&jpeg, layers, &segments, request.effort, size, sink)?;
    Ok(Encoded {
        settings: settings.write(),
        layers: previews + 1,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn declined(why: impl ToString) -> CodecError {
    CodecError::Declined(why.to_string())
}

/// The segments of the file, if it is written again as it was.
fn proved(file: &[u8], jpeg: &Jpeg, strips: &[Range<usize>]) -> Result<Segments, CodecError> {
    let pieces = jpeg.recipe.pieces.as_slice();
    let (head, tail) = (pieces.first(), pieces.last());
    let (head, tail) = (head.map_or(0, Vec::len), tail.map_or(0, Vec::len));
    let different = || declined("its encoder made choices that are not recorded");
    let mut segments = Segments {
        size: file.len(),
        ..Segments::default()
    };
    let (begin, mut rest) = file.split_at_checked(head).ok_or_else(different)?;
    segments.proofs.push(proof(begin));
    let mut again = Vec::new();
    let Some(rows) = Rows::new(&jpeg.recipe).map_err(declined)? else {
        jpeg::write(&jpeg.planes, &jpeg.recipe, &mut again, file.len()).map_err(declined)?;
        if again != file {
            return Err(different());
        }
        segments.proofs.push(proof(rest));
        return Ok(segments);
    };
    segments.parts = rows.parts();
    let mut start = Start::default();
    for (index, mcus) in strips.iter().enumerate() {
        let blocks = jpeg.planes.iter().zip(&jpeg.frame.components);
        let blocks = blocks.map(|(plane, component)| {
            let row = |mcu: usize| (mcu * usize::from(component.v)).min(component.rows);
            let range = row(mcus.start) * component.stride..row(mcus.end) * component.stride;
            plane.get(range).unwrap_or_default()
        });
        let blocks: Vec<&[Block]> = blocks.collect();
        again.clear();
        let next = rows.write(&blocks, mcus.clone(), start, &mut again, rest.len());
        let next = next.map_err(declined)?;
        let last = index + 1 == strips.len();
        let (own, after) = if last {
            (rest, &[][..])
        } else {
            rest.split_at_checked(again.len()).ok_or_else(different)?
        };
        let coded = own.len().checked_sub(if last { tail } else { 0 });
        if coded.and_then(|length| own.get(..length)) != Some(&again) {
            return Err(different());
        }
        segments.proofs.push(proof(own));
        segments.strips.push((start, own.len()));
        (start, rest) = (next, after);
    }
    Ok(segments)
}

/// Rows of MCUs in a strip: as many as make about [`STRIP_BYTES`] of the file.
fn strip_rows(jpeg: &Jpeg, size: usize, previews: usize) -> usize {
    let [alone, layered] = STRIP_BYTES;
    let wanted = if previews > 0 { layered } else { alone };
    let rows = mcu_rows(&jpeg.frame);
    let besides: usize = jpeg.recipe.pieces.iter().map(Vec::len).sum();
    let by_bytes = (size.saturating_sub(besides) + wanted / 2) / wanted;
    let by_coefficients = (jpeg.frame.blocks() * 64).div_ceil(STRIP_COEFFICIENTS);
    rows.div_ceil(by_bytes.max(by_coefficients).max(1)).max(1)
}

/// Rows of MCUs of a frame.
pub(super) fn mcu_rows(frame: &Frame) -> usize {
    let rows = frame
        .components
        .iter()
        .map(|c| c.rows / usize::from(c.v).max(1));
    rows.max().unwrap_or(0)
}

/// The strips of a frame, with `rows` rows of MCUs each.
pub(super) fn strips(frame: &Frame, rows: usize) -> Vec<Range<usize>> {
    let all = mcu_rows(frame);
    let starts = (0..all).step_by(rows.max(1));
    starts.map(|start| start..(start + rows).min(all)).collect()
}

/// The bands of a strip.
pub(super) type Bands = Vec<Vec<i32>>;
/// For each preview its cut and its PSNR in 1/100 dB; bands that need not be split again.
type Planned = (Vec<(Cut, u16)>, Option<Bands>);

/// Finds the cuts for the wanted qualities. If there is only one strip, its bands are not thrown away.
pub(super) fn plan(
    jpeg: &Jpeg,
    strips: &[Range<usize>],
    previews: usize,
    sink: &mut dyn LayerSink,
) -> Result<Planned, CodecError> {
    let mut estimate = Estimate::default();
    let mut samples = Vec::with_capacity(strips.len());
    let components = jpeg.frame.components.iter();
    let mcus = components.map(|c| c.blocks() / (usize::from(c.h) * usize::from(c.v)).max(1));
    let step = mcus.max().unwrap_or(0) / SAMPLE + 1;
    let mut last = None;
    for mcus in strips {
        if sink.cancelled() {
            return Err(CodecError::Cancelled);
        }
        let strip = Strip::new(&jpeg.frame, mcus, &[Dc::Both; 4]).map_err(declined)?;
        let bands = strip.split(&jpeg.planes);
        let surveys = estimate.add(&strip, &bands).map_err(declined)?;
        let sample = Sample::new(&jpeg.frame, mcus, strip, &bands, surveys, step);
        samples.push(sample);
        last = Some(bands);
    }
    let pixels = f64::from(jpeg.frame.width) * f64::from(jpeg.frame.height);
    let coarse = levels::coarse(jpeg, &estimate, pixels);
    let cuts = levels::cuts(&estimate, &samples, pixels, previews, coarse);
    Ok((cuts, last.filter(|_| strips.len() == 1)))
}

/// A strip, ready to be coded.
#[derive(Debug)]
pub(super) struct Ready {
    /// How DC of each component is coded.
    dc: Vec<Dc>,
    pub(super) strip: Strip,
    pub(super) plan: Plan,
    pub(super) bands: Bands,
}

impl Ready {
    /// Makes up the mind about DC. `split`: the bands, if they are there already.
    pub(super) fn new(
        jpeg: &Jpeg,
        mcus: &Range<usize>,
        cuts: &[Cut],
        split: Option<Bands>,
    ) -> Result<Self, CodecError> {
        let way = if cuts.is_empty() { Dc::Rest } else { Dc::Both };
        let mut dc = vec![way; jpeg.frame.components.len()];
        let mut strip = Strip::new(&jpeg.frame, mcus, &dc).map_err(declined)?;
        let mut plan = strip.plan(cuts).map_err(declined)?;
        let mut bands = split.unwrap_or_else(|| strip.split(&jpeg.planes));
        strip.rests(&jpeg.planes, &plan, &mut bands);
        if !cuts.is_empty() {
            dc = strip.choose(&plan, &bands);
            strip.without_rests(&mut bands, &dc);
            strip = Strip::new(&jpeg.frame, mcus, &dc).map_err(declined)?;
            plan = strip.plan(cuts).map_err(declined)?;
        }
        Ok(Self {
            dc,
            strip,
            plan,
            bands,
        })
    }

    /// The layers of the strip.
    fn encode(mut self) -> Result<Vec<Vec<u8>>, CodecError> {
        let edges = Some(&self.strip.edges as &dyn Hints);
        let coded = bands::encode(&self.strip.layout, &self.plan, &mut self.bands, edges);
        coded.map_err(declined)
    }
}

/// A layer to be written.
#[derive(Debug, Default)]
struct Layer {
    /// Lengths of the strips; in the first layer each after a byte for DC.
    lengths: Vec<u8>,
    strips: Vec<Vec<u8>>,
}

fn write(
    jpeg: &Jpeg,
    layers: Vec<Layer>,
    segments: &Segments,
    effort: Effort,
    size: usize,
    sink: &mut dyn LayerSink,
) -> Result<(), CodecError> {
    let previews = layers.len() - 1;
    let first = jpeg.recipe.pieces.first().map_or(&[][..], Vec::as_slice);
    let shown = meta::shown(first, previews, size)?;
    for (index, layer) in layers.into_iter().enumerate() {
        let mut head = Vec::new();
        if index < previews || index == 0 {
            piece(
                &mut head,
                &meta::write_note(index, &jpeg.frame, first, &shown)?,
            );
        }
        if index == previews {
            let recipe = meta::write_recipe(&jpeg.recipe, &jpeg.frame, &shown, effort)?;
            head.extend_from_slice(&recipe);
            segments.write(&mut head);
        }
        head.extend_from_slice(&layer.lengths);
        let mut length = Vec::new();
        number(&mut length, head.len());
        sink.write(index, &length)?;
        sink.write(index, &head)?;
        for strip in layer.strips {
            if sink.cancelled() {
                return Err(CodecError::Cancelled);
            }
            sink.write(index, &strip)?;
        }
    }
    Ok(())
}
