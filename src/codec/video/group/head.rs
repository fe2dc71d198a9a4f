//! The head of a group: scenes, cuts, gains and motion.

use super::schedule::{Order, Scenes, Turn};
use super::{MOST, Shape};
use crate::coding::binary::{Bit, Coder, Decoder, Encoder};
use crate::coding::motion::{Blocks, Field, Models, Size};

/// Cells along the side of a block of a coarse field.
const SIDE: usize = 4;
/// Unit of the vectors of a coarse field.
const UNIT: i16 = 1;
/// The gain of 1.
pub(super) const ONE: u8 = 16;

/// How a moved frame is predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Motion {
    /// For each plane what the prediction is multiplied by, in 16ths; of its distance from the middle of the range.
    pub(super) gains: [u8; 4],
    pub(super) field: Field,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) turn: Turn,
    /// Nothing for a still frame.
    pub(super) motion: Option<Motion>,
}

impl Step {
    /// The frames it is predicted from.
    pub(super) fn references(&self) -> [Option<usize>; 2] {
        match self.motion {
            Some(_) => self.turn.references,
            None => [None; 2],
        }
    }
}

/// What is known of a group before its bands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) scenes: Scenes,
    /// The cut of each preview.
    pub(super) cuts: Vec<i16>,
    /// The layer that the fine fields are in.
    pub(super) fine: usize,
    /// With coarse fields where the fine ones are not there.
    pub(super) steps: Vec<Step>,
}

/// A number of so many raw bits.
fn raw(coder: &mut impl Coder, value: usize, bits: u32) -> usize {
    let value = u32::try_from(value).unwrap_or(0);
    usize::try_from(coder.raw(value, bits) & ((1 << bits) - 1)).unwrap_or(0)
}

fn luma(shape: &Shape) -> Size {
    shape.planes.first().copied().unwrap_or(Size {
        width: 0,
        height: 0,
        columns: 1,
        rows: 1,
    })
}

impl Head {
    /// The bytes of the head; fine fields apart if they are not in layer 0.
    pub(super) fn to_bytes(&self, shape: &Shape) -> (Vec<u8>, Vec<u8>) {
        let mut coder = Encoder::new();
        let mut head = self.clone();
        let (count, previews) = (self.scenes.of.len(), self.cuts.len());
        head.code(&mut coder, shape, count, previews);
        let mut fine = Encoder::new();
        if self.fine > 0 {
            self.clone().fields(&mut fine, shape);
        }
        (coder.finish(), fine.finish())
    }

    /// Reads a head; any bytes give some head.
    pub(super) fn parse(bytes: &[u8], shape: &Shape, count: usize, previews: usize) -> Self {
        let mut head = Self::default();
        head.code(&mut Decoder::new(bytes), shape, count, previews);
        head
    }

    /// Takes the fine fields in.
    pub(super) fn refine(&mut self, bytes: &[u8], shape: &Shape) {
        self.fields(&mut Decoder::new(bytes), shape);
    }

    /// The fine fields of all steps.
    fn fields(&mut self, coder: &mut impl Coder, shape: &Shape) {
        let mut models = Models::default();
        for step in &mut self.steps {
            if let Some(motion) = &mut step.motion {
                let references = step.turn.references.iter().flatten().count();
                let planes = shape.planes.len();
                models.code(coder, &mut motion.field, Blocks::Fine, references, planes);
            }
        }
    }

    fn code(&mut self, coder: &mut impl Coder, shape: &Shape, count: usize, previews: usize) {
        self.scenes(coder, count.min(MOST));
        if previews > 0 {
            self.fine = raw(coder, self.fine, 4).min(previews);
        }
        self.cuts.resize(previews, 0);
        for cut in &mut self.cuts {
            let bits = coder.raw(u32::from(cut.cast_unsigned()), 16) & 0xffff;
            *cut = u16::try_from(bits).unwrap_or(0).cast_signed();
        }
        let mut steps = std::mem::take(&mut self.steps).into_iter();
        let mut models = Models::default();
        let mut moved = Bit::new();
        for turn in self.scenes.turns() {
            let given = steps.next().and_then(|step| step.motion);
            let may = turn.references.iter().any(Option::is_some);
            let mut motion = None;
            if may && coder.bit(&mut moved, given.is_some()) {
                let mut known = given.unwrap_or_else(|| Motion {
                    gains: [ONE; 4],
                    field: Field::still(luma(shape)),
                });
                for gain in known.gains.iter_mut().take(shape.planes.len()) {
                    let coded = raw(coder, usize::from(*gain), 5);
                    *gain = u8::try_from(coded).unwrap_or(0).min(ONE);
                }
                let references = turn.references.iter().flatten().count();
                let mut blocks = Blocks::Fine;
                if self.fine > 0 {
                    blocks = Blocks::Coarse(SIDE, UNIT);
                    known.field = known.field.coarse(SIDE, UNIT);
                }
                let planes = shape.planes.len();
                models.code(coder, &mut known.field, blocks, references, planes);
                motion = Some(known);
            }
            self.steps.push(Step { turn, motion });
        }
    }

    fn scenes(&mut self, coder: &mut impl Coder, count: usize) {
        let mut same = Bit::new();
        self.scenes.of.resize(count, 0);
        let mut before = 0;
        let mut scenes = 1;
        for (i, scene) in self.scenes.of.iter_mut().enumerate() {
            if i == 0 {
                *scene = 0;
            } else if coder.bit(&mut same, *scene == before) {
                *scene = before;
            } else {
                // A scene not met yet is the next one.
                *scene = raw(coder, *scene, 4).min(scenes);
                scenes = scenes.max(*scene + 1);
            }
            before = *scene;
        }
        self.scenes.orders.resize(scenes, Order::default());
        let mut chain = Bit::new();
        for order in &mut self.scenes.orders {
            *order = if coder.bit(&mut chain, *order == Order::Chain) {
                Order::Chain
            } else {
                Order::Between
            };
        }
    }

    /// The steps as they are known before the fine layer.
    pub(super) fn coarse(&self) -> Vec<Step> {
        let mut steps = self.steps.clone();
        for motion in steps.iter_mut().filter_map(|step| step.motion.as_mut()) {
            motion.field = motion.field.coarse(SIDE, UNIT);
        }
        steps
    }
}
