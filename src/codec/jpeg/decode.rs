//! Decoding: the whole file at once, exact or as good as the layers allow.

use std::fmt;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::codec::{CodecError, Decoder, Quality};
use crate::coding::bands;
use crate::format::{LayerError, Layers};
use crate::media::jpeg::{self, Frame, MAX_SPARSITY, Metadata, Plane, Recipe};

use super::bytes::{Take, bad};
use super::encode::strips;
use super::strip::Strip;
use super::ways::Dc;
use super::{MAX_SIZE, Settings, meta};

/// The most threads that decode strips of one file.
const THREADS: usize = 4;
/// What the length of a head takes at most.
const LENGTH: u64 = 5;

/// A file as good as it could be had.
type File = (Quality, Vec<u8>);

/// An object, open for reading.
pub(super) struct Reader<'a> {
    layers: Box<dyn Layers + 'a>,
    settings: Settings,
    size: usize,
}

/// What the heads of the layers say, of those that are there.
struct Heads {
    frame: Frame,
    orientation: Option<u8>,
    /// Segments to be shown, by layer.
    shown: Vec<Vec<Vec<u8>>>,
    recipe: Option<Recipe>,
    /// Rows of MCUs of each strip.
    strips: Vec<Range<usize>>,
    /// How DC of each component is in each strip.
    dc: Vec<Vec<Dc>>,
    /// For each layer where its strips are: offset and length.
    extents: Vec<Vec<(u64, usize)>>,
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
            recipe: None,
            strips,
            dc: Vec::new(),
            extents: Vec::new(),
        };
        if previews == 0 {
            heads.recipe = Some(self.recipe(&mut take, &heads)?);
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
                heads.recipe = Some(self.recipe(&mut take, &heads)?);
            }
            self.index(layer, &mut take, end, &mut heads)?;
        }
        Ok(heads)
    }

    fn recipe(&self, take: &mut Take<'_>, heads: &Heads) -> Result<Recipe, CodecError> {
        meta::read_recipe(take, &heads.frame, &heads.shown, self.size)
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
        let count = heads.strips.len();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return done;
                }
                let strip = self.strip(heads, index);
                if strip.is_err() {
                    // Nobody needs the others.
                    next.store(count, Ordering::Relaxed);
                }
                done.push((index, strip));
            }
        };
        let available = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = available.min(THREADS).min(count);
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for other in others {
                match other.join() {
                    Ok(more) => done.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        done.sort_unstable_by_key(|(index, _)| *index);
        let mut planes: Vec<Plane> = heads.frame.components.iter().map(|_| Vec::new()).collect();
        let mut used = usize::MAX;
        for (_, strip) in done {
            let (layers, blocks) = strip?;
            used = used.min(layers);
            for (plane, blocks) in planes.iter_mut().zip(blocks) {
                plane.extend_from_slice(&blocks);
            }
        }
        Ok((used, planes))
    }

    /// A small picture of what the layers show; of a file with few of them, what they show at best.
    pub(super) fn thumbnail(&self) -> Result<Option<Vec<u8>>, CodecError> {
        let heads = self.heads()?;
        let (_, planes) = self.planes(&heads)?;
        Ok(super::preview::thumbnail(&heads.frame, &planes))
    }

    /// The file, as good as it can be had.
    fn decode(&self) -> Result<File, CodecError> {
        let heads = self.heads()?;
        let (used, mut planes) = self.planes(&heads)?;
        let previews = self.settings.previews.len();
        if let Some(recipe) = heads.recipe.filter(|_| used > previews) {
            let mut file = Vec::with_capacity(self.size);
            jpeg::write(&planes, &recipe, &mut file, self.size).map_err(bad)?;
            if file.len() == self.size && super::proof(&file) == self.settings.proof {
                return Ok((Quality::Exact, file));
            }
            return Err(CodecError::Mismatch {
                offset: 0,
                length: self.size as u64,
            });
        }
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
        Ok((Quality::Degraded(used), file))
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
        let (quality, bytes) = self.decode()?;
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| bytes.get(start..start.checked_add(buf.len())?));
        let range = range.ok_or_else(|| bad("a range outside of the file"))?;
        buf.copy_from_slice(range);
        Ok(quality)
    }

    fn segment(&self, _offset: u64) -> Range<u64> {
        0..self.size as u64
    }
}
