//! Decoding: the segments asked for, exact, or the whole file as good as the layers allow.

use std::fmt;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use crate::codec::{CodecError, Decoder, Quality};
use crate::coding::bands;
use crate::format::{LayerError, Layers};
use crate::media::jpeg::{self, Block, Frame, MAX_SPARSITY, Metadata, Plane, Recipe, Rows};

use super::bytes::{Take, bad};
use super::encode::strips;
use super::segments::{Segments, find, proof};
use super::strip::Strip;
use super::ways::Dc;
use super::{MAX_SIZE, Settings, meta};

/// The most threads that decode strips of one file.
const THREADS: usize = 4;
/// What the length of a head takes at most.
const LENGTH: u64 = 5;

/// Layers used, and what they show.
type File = (usize, Vec<u8>);

/// An object, open for reading.
pub(super) struct Reader<'a> {
    layers: Box<dyn Layers + 'a>,
    settings: Settings,
    size: usize,
    /// The heads, once all could be read.
    heads: OnceLock<Heads>,
}

/// What the heads of the layers say, of those that are there.
struct Heads {
    frame: Frame,
    orientation: Option<u8>,
    /// Segments to be shown, by layer.
    shown: Vec<Vec<Vec<u8>>>,
    exact: Option<Exact>,
    /// Rows of MCUs of each strip.
    strips: Vec<Range<usize>>,
    /// How DC of each component is in each strip.
    dc: Vec<Vec<Dc>>,
    /// For each layer where its strips are: offset and length.
    extents: Vec<Vec<(u64, usize)>>,
}

/// What the head of the last layer says.
struct Exact {
    recipe: Recipe,
    /// Writes strips alone, where that is possible.
    rows: Option<Rows>,
    segments: Segments,
    /// Where the segments end in the file.
    ends: Vec<usize>,
}

/// A piece of a segment that is asked for.
struct Asked<'a> {
    index: usize,
    segment: Range<usize>,
    /// First byte of the piece in the segment.
    skip: usize,
    piece: &'a mut [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn open(
        settings: &[u8],
        size: u64,
        layers: Box<dyn Layers + 'a>,
    ) -> Result<Self, CodecError> {
        let settings = Settings::read(settings)?;
        let previews = settings.previews.len();
        if layers.count() != previews + 1 {
            let count = layers.count();
            return Err(bad(format_args!("{count} layers for {previews} previews")));
        }
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_SIZE);
        Ok(Self {
            layers,
            settings,
            size: size.ok_or_else(|| bad("too large"))?,
            heads: OnceLock::new(),
        })
    }

    /// The head of a layer without its length, and where it ends.
    fn head(&self, layer: usize) -> Result<(Vec<u8>, u64), CodecError> {
        let whole = self.layers.len(layer);
        let mut start = vec![0; usize::try_from(whole.min(LENGTH)).unwrap_or(0)];
        self.layers.read_at(layer, 0, &mut start)?;
        let mut take = Take(&start);
        let length = take.number()?;
        let begin = (start.len() - take.0.len()) as u64;
        let end = begin.checked_add(length as u64).filter(|end| *end <= whole);
        let end = end.ok_or_else(|| bad(format_args!("the head of layer {layer}")))?;
        let mut head = vec![0; length];
        self.layers.read_at(layer, begin, &mut head)?;
        Ok((head, end))
    }

    /// Reads the heads of the layers, up to the first that cannot be read.
    fn heads(&self) -> Result<Heads, CodecError> {
        let previews = self.settings.previews.len();
        let (head, end) = self.head(0)?;
        let mut take = Take(&head);
        let (frame, orientation, segments) = meta::read_first(take.piece()?, self.size)?;
        if frame.blocks() > self.size.saturating_mul(MAX_SPARSITY) {
            return Err(bad("more blocks than the file can hold"));
        }
        let strips = strips(&frame, self.settings.rows);
        let mut heads = Heads {
            frame,
            orientation,
            shown: vec![segments],
            exact: None,
            strips,
            dc: Vec::new(),
            extents: Vec::new(),
        };
        if previews == 0 {
            heads.exact = Some(self.exact(&mut take, &heads)?);
        }
        self.index(0, &mut take, end, &mut heads)?;
        for layer in 1..=previews {
            let (head, end) = match self.head(layer) {
                Err(CodecError::Layer(LayerError::Missing { .. })) => break,
                other => other?,
            };
            let mut take = Take(&head);
            if layer < previews {
                heads.shown.push(meta::read_note(take.piece()?, self.size)?);
            } else {
                heads.exact = Some(self.exact(&mut take, &heads)?);
            }
            self.index(layer, &mut take, end, &mut heads)?;
        }
        Ok(heads)
    }

    fn exact(&self, take: &mut Take<'_>, heads: &Heads) -> Result<Exact, CodecError> {
        let recipe = meta::read_recipe(take, &heads.frame, &heads.shown, self.size)?;
        let rows = Rows::new(&recipe).map_err(bad)?;
        let parts = rows.as_ref().map(Rows::parts);
        let head = recipe.pieces.first().map_or(0, Vec::len);
        let segments = Segments::read(take, self.size, head, heads.strips.len(), parts)?;
        Ok(Exact {
            ends: segments.ends(head),
            recipe,
            rows,
            segments,
        })
    }

    /// The heads of all layers; `None` where some are missing.
    fn all_heads(&self) -> Result<Option<&Heads>, CodecError> {
        if let Some(heads) = self.heads.get() {
            return Ok(Some(heads));
        }
        let heads = self.heads()?;
        if heads.exact.is_none() {
            return Ok(None);
        }
        Ok(Some(self.heads.get_or_init(|| heads)))
    }

    /// Reads the lengths of a layer's strips, the first of which begins at `at`.
    fn index(
        &self,
        layer: usize,
        take: &mut Take<'_>,
        mut at: u64,
        heads: &mut Heads,
    ) -> Result<(), CodecError> {
        let mut extents = Vec::new();
        for _ in &heads.strips {
            if layer == 0 {
                heads
                    .dc
                    .push(Dc::unpack(take.byte()?, heads.frame.components.len())?);
            }
            let length = take.number()?;
            extents.push((at, length));
            at = at.saturating_add(length as u64);
        }
        if at != self.layers.len(layer) || !take.0.is_empty() {
            return Err(bad(format_args!("the length of layer {layer}")));
        }
        heads.extents.push(extents);
        Ok(())
    }

    /// Decodes a strip: the layers used, and its blocks.
    fn strip(&self, heads: &Heads, index: usize) -> Result<(usize, Vec<Plane>), CodecError> {
        let (Some(mcus), Some(dc)) = (heads.strips.get(index), heads.dc.get(index)) else {
            return Err(bad("no such strip"));
        };
        let mut coded = Vec::new();
        for (layer, extents) in heads.extents.iter().enumerate() {
            let (at, length) = extents.get(index).copied().unwrap_or_default();
            let mut bytes = vec![0; length];
            match self.layers.read_at(layer, at, &mut bytes) {
                Ok(()) => coded.push(bytes),
                Err(LayerError::Missing { .. }) if layer > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        let strip = Strip::new(&heads.frame, mcus, dc).map_err(bad)?;
        let plan = strip.plan(&self.settings.cuts()).map_err(bad)?;
        let layers: Vec<&[u8]> = coded.iter().map(Vec::as_slice).collect();
        let bands = bands::decode(&strip.layout, &plan, &layers, Some(&strip.edges));
        let exact = layers.len() == plan.layers();
        Ok((layers.len(), strip.join(bands.map_err(bad)?, exact)))
    }

    /// Decodes all strips: the fewest layers used, and the coefficients.
    fn planes(&self, heads: &Heads) -> Result<(usize, Vec<Plane>), CodecError> {
        let strips = each(heads.strips.len(), |index| self.strip(heads, index))?;
        let mut planes: Vec<Plane> = heads.frame.components.iter().map(|_| Vec::new()).collect();
        let mut used = usize::MAX;
        for (layers, blocks) in strips {
            used = used.min(layers);
            for (plane, blocks) in planes.iter_mut().zip(blocks) {
                plane.extend_from_slice(&blocks);
            }
        }
        Ok((used, planes))
    }

    /// A segment, proved; `None` where layers are missing.
    fn exact_segment(
        &self,
        heads: &Heads,
        index: usize,
        range: &Range<usize>,
    ) -> Result<Option<Vec<u8>>, CodecError> {
        let Some(exact) = &heads.exact else {
            return Ok(None);
        };
        let pieces = exact.recipe.pieces.as_slice();
        let mut bytes = Vec::with_capacity(range.len());
        match (index.checked_sub(1), &exact.rows) {
            (None, _) => bytes.extend(pieces.iter().take(1).flatten()),
            (Some(strip), Some(rows)) => {
                let (layers, planes) = self.strip(heads, strip)?;
                if layers < heads.extents.len() {
                    return Ok(None);
                }
                let blocks: Vec<&[Block]> = planes.iter().map(Vec::as_slice).collect();
                let mcus = heads.strips.get(strip).cloned().unwrap_or_default();
                let start = exact.segments.strips.get(strip).copied();
                let start = start.unwrap_or_default().0;
                rows.write(&blocks, mcus, start, &mut bytes, range.len())
                    .map_err(bad)?;
                if strip + 1 == heads.strips.len() {
                    bytes.extend(pieces.last().into_iter().flatten());
                }
            }
            (Some(_), None) => {
                let (layers, planes) = self.planes(heads)?;
                if layers < heads.extents.len() {
                    return Ok(None);
                }
                let mut file = Vec::with_capacity(self.size);
                jpeg::write(&planes, &exact.recipe, &mut file, self.size).map_err(bad)?;
                bytes.extend(file.drain(range.start.min(file.len())..));
            }
        }
        let wanted = exact.segments.proofs.get(index);
        if bytes.len() == range.len() && wanted == Some(&proof(&bytes)) {
            return Ok(Some(bytes));
        }
        Err(CodecError::Mismatch {
            offset: range.start as u64,
            length: range.len() as u64,
        })
    }

    /// Fills `buf` with the bytes from `offset` on; false where layers are missing.
    fn read_exact(&self, offset: usize, buf: &mut [u8]) -> Result<bool, CodecError> {
        let Some(heads) = self.all_heads()? else {
            return Ok(false);
        };
        let ends = heads.exact.as_ref().map(|exact| exact.ends.as_slice());
        let ends = ends.unwrap_or_default();
        let mut asked = Vec::new();
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let outside = || bad("a range outside of the file");
            let (index, segment) = find(ends, at).ok_or_else(outside)?;
            let length = rest.len().min(segment.end - at);
            let (piece, after) = rest.split_at_mut(length);
            asked.push(Mutex::new(Asked {
                index,
                skip: at - segment.start,
                segment,
                piece,
            }));
            at += length;
            rest = after;
        }
        let done = each(asked.len(), |index| {
            let Some(asked) = asked.get(index) else {
                return Ok(false);
            };
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(bytes) = self.exact_segment(heads, asked.index, &asked.segment)? else {
                return Ok(false);
            };
            let range = asked.skip..asked.skip + asked.piece.len();
            let bytes = bytes.get(range).ok_or_else(|| bad("a short segment"))?;
            asked.piece.copy_from_slice(bytes);
            Ok(true)
        })?;
        Ok(done.into_iter().all(|done| done))
    }

    /// A small picture of what the layers show; of a file with few of them, what they show at best.
    pub(super) fn thumbnail(&self) -> Result<Option<Vec<u8>>, CodecError> {
        let heads = self.heads()?;
        let (_, planes) = self.planes(&heads)?;
        Ok(super::preview::thumbnail(&heads.frame, &planes))
    }

    /// What the layers show that are there, as a file of the same size; the layers used.
    fn shown(&self) -> Result<File, CodecError> {
        let heads = self.heads()?;
        let (used, mut planes) = self.planes(&heads)?;
        let previews = self.settings.previews.len();
        let used = used.min(previews);
        let metadata = Metadata {
            orientation: heads.orientation,
            segments: heads
                .shown
                .into_iter()
                .take(used)
                .flatten()
                .flatten()
                .collect(),
        };
        let file = jpeg::render(&heads.frame, &mut planes, &metadata, self.size).map_err(bad)?;
        Ok((used, file))
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("settings", &self.settings)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Decoder for Reader<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<Quality, CodecError> {
        let outside = || bad("a range outside of the file");
        let start = usize::try_from(offset).map_err(|_| outside())?;
        let end = start.checked_add(buf.len()).ok_or_else(outside)?;
        if end > self.size {
            return Err(outside());
        }
        if self.read_exact(start, buf)? {
            return Ok(Quality::Exact);
        }
        let (used, file) = self.shown()?;
        buf.copy_from_slice(file.get(start..end).ok_or_else(outside)?);
        Ok(Quality::Degraded(used))
    }

    fn segment(&self, offset: u64) -> Range<u64> {
        // Where layers are missing, reads say so.
        let exact = self
            .all_heads()
            .ok()
            .flatten()
            .and_then(|h| h.exact.as_ref());
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = exact.and_then(|exact| find(&exact.ends, at));
        found.map_or(0..self.size as u64, |(_, range)| {
            range.start as u64..range.end as u64
        })
    }
}

/// The results of `work` for each index below `count`, done by several threads.
fn each<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, CodecError> + Sync,
) -> Result<Vec<T>, CodecError> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            let result = work(index);
            if result.is_err() {
                // Nobody needs the others.
                next.store(count, Ordering::Relaxed);
            }
            done.push((index, result));
        }
    };
    let available = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = available.min(THREADS).min(count);
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
