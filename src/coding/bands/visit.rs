//! One visit of a band: the walk over its coefficients that encoder and decoder share.

use super::context::{
    Kind, Models, RATIOS, bucket, expected_class, ratio_class, symbol_of, tally_bucket,
};
use super::fit::{BIAS, Before, Codes, HINT, NEAR_TAPS, WEIGHTS, usual};
use super::grid::{Known, State, middle};
use super::layout::Layout;
use super::recon::{Centres, Survey};
use super::rows::{Rows, Visit, sum_row};
use super::{Hints, LIMIT, UNKNOWN};
use crate::coding::model::{Coder, Table};

/// Coefficients of a group that one flag may declare zero.
const GROUP: usize = 8;

/// What is remembered of a band between layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) shift: u8,
    /// Whether nothing of it is significant yet.
    pub(super) fresh: bool,
    pub(super) centres: Centres,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            shift: UNKNOWN,
            fresh: true,
            centres: Centres::default(),
        }
    }
}

/// All that coding works on, besides the stream.
pub(super) struct Walk<'a> {
    pub(super) layout: &'a Layout,
    pub(super) hints: Option<&'a dyn Hints>,
    /// The encoder's knowledge of the values.
    pub(super) survey: Option<Survey>,
    layer: usize,
    pub(super) state: State,
    pub(super) models: Vec<Models>,
    pub(super) progress: Vec<Progress>,
    pub(super) rows: Rows,
}

/// Why a visit stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// The stream ended.
    Short,
    /// A value beyond the limit.
    Range,
}

impl<'a> Walk<'a> {
    pub(super) fn new(layout: &'a Layout, hints: Option<&'a dyn Hints>) -> Self {
        Self {
            layout,
            hints,
            survey: None,
            layer: 0,
            state: State::new(layout),
            models: layout.models(),
            progress: vec![Progress::default(); layout.bands().len()],
            rows: Rows::default(),
        }
    }

    /// To be called before the visits of a layer.
    pub(super) fn begin_layer(&mut self, layer: usize) {
        self.layer = layer;
        self.models.iter_mut().for_each(Models::loosen);
    }

    /// Takes band `index` to shift `new`. `values` are those of all bands: the encoder's true ones, or what the
    /// decoder knows and adds to.
    pub(super) fn visit<C: Coder>(
        &mut self,
        coder: &mut C,
        index: usize,
        new: u8,
        values: &mut [Vec<i32>],
    ) -> Result<(), Stop> {
        let (Some(band), Some(progress)) =
            (self.layout.bands().get(index), self.progress.get_mut(index))
        else {
            return Ok(());
        };
        let old = progress.shift;
        if new >= old || band.width == 0 || band.height == 0 {
            return Ok(());
        }
        progress.shift = new;
        let Some(models) = self.models.get_mut(usize::from(band.class)) else {
            return Ok(());
        };
        let own: &[i32] = values.get(index).map(Vec::as_slice).unwrap_or_default();
        let tail = self.survey.as_ref().and_then(|survey| survey.tail(index));
        let was_fresh = progress.fresh;
        if was_fresh {
            let empty = tail.is_some_and(|t| t.greatest() >> new == 0);
            let [a, b] = &mut models.empty;
            if coder.symbol(a, b, 14 + u32::from(empty)) == 15 {
                return Ok(());
            }
        }
        progress.fresh = false;
        if new > 0 {
            let centres = tail.map(|t| t.centres(new)).unwrap_or_default();
            progress.centres = Centres {
                one: nibble(coder, centres.one),
                more: nibble(coder, centres.more),
            };
        }
        self.rows.hints.clear();
        if let Some(hints) = self.hints.filter(|hints| hints.predicts(index)) {
            let known = Known {
                layer: self.layer,
                grids: &self.state.grids,
            };
            self.rows.hints.resize(band.width * band.height, 0);
            hints.predict(&known, index, &mut self.rows.hints);
        }
        let before = Before {
            significant: tail.map_or(0, |t| t.significant(new)),
            hints: &self.rows.hints,
            grids: &self.state.grids,
            index,
            band,
            values: own,
            old,
            new,
            fresh: was_fresh,
        };
        let codes = code_weights(coder, &before, &mut models.weights);
        let sparse = C::ENCODES && is_sparse(own, band.width, new);
        let sparse = coder.raw(1, u32::from(sparse)) == 1;
        let visit = Visit {
            index,
            width: band.width,
            old: u32::from(old),
            new: u32::from(new),
            codes,
            sparse,
        };
        if band.tally.is_some() {
            self.walk::<C, true>(coder, &visit, was_fresh, values)
        } else {
            self.walk::<C, false>(coder, &visit, was_fresh, values)
        }
    }

    fn walk<C: Coder, const TALLY: bool>(
        &mut self,
        coder: &mut C,
        visit: &Visit,
        fresh: bool,
        values: &mut [Vec<i32>],
    ) -> Result<(), Stop> {
        let Some(band) = self.layout.bands().get(visit.index) else {
            return Ok(());
        };
        let Some(models) = self.models.get_mut(usize::from(band.class)) else {
            return Ok(());
        };
        let [first, later] = &mut models.values;
        let planes = visit.old - visit.new;
        let coded = planes.min(4);
        let Some(refine) = models.planes.get_mut(coded as usize - 1) else {
            return Ok(());
        };
        let serial = [visit.codes[0], visit.codes[1]];
        let mut cursor = Cursor {
            coder,
            values: if fresh { first } else { later },
            refine,
            groups: &mut models.groups,
            escape: &mut models.escape,
            old: visit.old,
            new: visit.new,
            coded,
            rest: planes - coded,
            most_raw: planes.saturating_sub(3),
            expect: serial.map(|code| u32::from(code.expect().unsigned_abs())),
            predict: serial.map(|code| i32::from(code.predict())),
            out_of_range: false,
        };
        self.rows.expected.resize(visit.width, 0);
        self.rows.predicted.resize(visit.width, 0);
        for y in 0..band.height {
            sum_row(
                &self.state.grids,
                visit,
                &band.references,
                y,
                &mut self.rows,
            );
            let Some((above, cells)) = self.state.grids.get_mut(visit.index).map(|g| g.two_rows(y))
            else {
                return Ok(());
            };
            let from = y * visit.width;
            let row = values
                .get_mut(visit.index)
                .and_then(|v| v.get_mut(from..from + visit.width));
            let tally = band.tally.and_then(|t| self.state.tallies.get_mut(t));
            let tally = tally.and_then(|t| t.get_mut(from..from + visit.width));
            let mut row = Row {
                expected: &self.rows.expected,
                predicted: &self.rows.predicted,
                above,
                cells,
                values: row.unwrap_or_default(),
                tally: tally.unwrap_or_default(),
            };
            if visit.sparse {
                cursor.sparse_row::<TALLY>(&mut row);
            } else {
                cursor.dense_row::<TALLY>(&mut row);
            }
            if cursor.coder.is_overrun() {
                return Err(Stop::Short);
            }
            if cursor.out_of_range {
                return Err(Stop::Range);
            }
        }
        Ok(())
    }
}

fn nibble(coder: &mut impl Coder, value: u8) -> u8 {
    u8::try_from(coder.raw(4, u32::from(value))).unwrap_or(0)
}

/// Fits weights and sends them, or takes the usual ones.
fn code_weights<C: Coder>(
    coder: &mut C,
    before: &Before<'_>,
    models: &mut [[Table; 2]; WEIGHTS],
) -> Codes {
    let fitted = if C::ENCODES { before.fit() } else { None };
    let mut codes = usual(before.band, before.fresh);
    if coder.raw(1, u32::from(fitted.is_some())) == 0 {
        return codes;
    }
    let used = NEAR_TAPS + before.band.references.len();
    let fitted = fitted.unwrap_or_default();
    let each = codes.iter_mut().zip(fitted).zip(models).enumerate();
    let hinted = !before.hints.is_empty();
    let is_used = |i: usize| i < used || i == BIAS || i == HINT && hinted;
    for (_, ((code, fitted), [a, b])) in each.filter(|(i, _)| is_used(*i)) {
        code.expect = code_weight(coder, a, fitted.expect);
        code.predict = code_weight(coder, b, fitted.predict);
    }
    codes
}

fn code_weight<C: Coder>(coder: &mut C, model: &mut Table, code: u8) -> u8 {
    let mut same = *model;
    let symbol = coder.symbol(model, &mut same, u32::from(15 - code.min(15)));
    u8::try_from(15 - symbol.min(15)).unwrap_or(0)
}

/// Whether most groups hold nothing significant.
fn is_sparse(values: &[i32], width: usize, shift: u8) -> bool {
    let (mut empty, mut groups) = (0_usize, 0_usize);
    for row in values.chunks(width.max(1)) {
        for group in row.chunks(GROUP) {
            let any = group
                .iter()
                .fold(0, |any, v| any | v.unsigned_abs() >> shift);
            empty += usize::from(any == 0);
            groups += 1;
        }
    }
    empty * 2 > groups
}

/// The pieces of the row at hand, all of one length but for the tally, which may be empty.
struct Row<'a> {
    expected: &'a [u32],
    predicted: &'a [i32],
    above: &'a [i16],
    cells: &'a mut [i16],
    values: &'a mut [i32],
    tally: &'a mut [u8],
}

/// The coder with the models of the visit.
struct Cursor<'a, C> {
    coder: &'a mut C,
    values: &'a mut Kind<RATIOS>,
    refine: &'a mut Kind,
    groups: &'a mut Kind,
    escape: &'a mut [Table; 2],
    old: u32,
    new: u32,
    /// Planes of a refinement that are modelled, and those that go raw.
    coded: u32,
    rest: u32,
    most_raw: u32,
    /// Weights of the two neighbours to the left.
    expect: [u32; 2],
    predict: [i32; 2],
    out_of_range: bool,
}

impl<C: Coder> Cursor<'_, C> {
    fn dense_row<const TALLY: bool>(&mut self, row: &mut Row<'_>) {
        let mut west = [0, 0];
        for x in 0..row.cells.len() {
            west = [self.cell::<TALLY>(row, x, west), west[0]];
        }
    }

    fn sparse_row<const TALLY: bool>(&mut self, row: &mut Row<'_>) {
        let width = row.cells.len();
        let mut west = [0, 0];
        let mut flag_before = 1;
        for start in (0..width).step_by(GROUP) {
            let end = (start + GROUP).min(width);
            let sums = row.expected.get(start..end).unwrap_or_default();
            let mean = sums.iter().sum::<u32>() / 8;
            let above = row.above.get(start..end).unwrap_or_default();
            let above = above
                .iter()
                .fold(0, |all, cell| all | u32::from(cell.unsigned_abs()));
            let near = flag_before << 3 | bucket(above >> self.new);
            let values = row.values.get(start..end).unwrap_or_default();
            let (mut all, mut known) = (0, 0);
            for value in values {
                let magnitude = value.unsigned_abs();
                known |= magnitude >> self.old;
                // What is significant already is no concern of the flag.
                all |= if magnitude >> self.old == 0 {
                    magnitude >> self.new
                } else {
                    0
                };
            }
            let (class, _) = expected_class(mean >> self.new);
            let (a, b) = self.groups.pair(0, class, near);
            let empty = self.coder.symbol(a, b, 14 + u32::from(all == 0)) == 15;
            flag_before = usize::from(empty);
            if !empty {
                for x in start..end {
                    west = [self.cell::<TALLY>(row, x, west), west[0]];
                }
            } else if known == 0 {
                west = [0, 0];
            } else {
                for x in start..end {
                    let known = row
                        .values
                        .get(x)
                        .is_some_and(|v| v.unsigned_abs() >> self.old != 0);
                    let here = if known {
                        self.cell::<TALLY>(row, x, west)
                    } else {
                        0
                    };
                    west = [here, west[0]];
                }
            }
        }
    }

    /// Codes one coefficient and returns its known magnitude, with its sign.
    #[expect(
        clippy::indexing_slicing,
        reason = "x is below the length of every row; the compiler drops the checks"
    )]
    #[inline]
    fn cell<const TALLY: bool>(&mut self, row: &mut Row<'_>, x: usize, west: [i32; 2]) -> i32 {
        let magnitudes = [west[0].unsigned_abs(), west[1].unsigned_abs()];
        let expected =
            row.expected[x] + magnitudes[0] * self.expect[0] + magnitudes[1] * self.expect[1];
        let above = u32::from(row.above[x].unsigned_abs());
        let value = row.values[x];
        let known = value.unsigned_abs() >> self.old;
        let (magnitude, negative) = if known == 0 {
            let predicted = row.predicted[x]
                .wrapping_add(west[0].wrapping_mul(self.predict[0]))
                .wrapping_add(west[1].wrapping_mul(self.predict[1]));
            let mean = bucket((magnitudes[0] + above) >> 1 >> self.new);
            let group = if TALLY {
                tally_bucket(row.tally[x])
            } else {
                bucket(predicted.unsigned_abs() >> 7 >> self.new)
            };
            let near = group << 3 | mean;
            let found = self.value(value, expected, predicted, near);
            if found.0 == 0 {
                return 0;
            }
            if TALLY && let Some(tally) = row.tally.get_mut(x) {
                *tally = tally.saturating_add(1);
            }
            found
        } else {
            let wanted = value.unsigned_abs() >> self.new;
            let around = bucket((magnitudes[0] + above) >> 1 >> self.old);
            let near = (known.min(7) << 3) as usize | around;
            (self.refine(known, wanted, expected, near), value < 0)
        };
        if !C::ENCODES {
            let exact = (magnitude << self.new).cast_signed();
            row.values[x] = if negative { -exact } else { exact };
        }
        let cell = middle(magnitude << self.new, negative, self.new);
        row.cells[x] = cell;
        i32::from(cell)
    }

    /// Codes a value that was insignificant: its magnitude in steps of the new shift, and whether it is negative.
    #[expect(clippy::inline_always, reason = "the innermost loop, a tenth faster")]
    #[inline(always)]
    fn value(&mut self, truth: i32, expected: u32, predicted: i32, near: usize) -> (u32, bool) {
        let ratio = ratio_class(predicted.unsigned_abs(), expected);
        let flip = predicted < 0;
        let (class, raw) = expected_class(expected >> self.new);
        let raw = raw.min(self.most_raw);
        let truth_negative = truth < 0;
        let truth = truth.unsigned_abs() >> self.new;
        let symbol = if C::ENCODES {
            symbol_of(truth >> raw, truth_negative ^ flip)
        } else {
            0
        };
        let (a, b) = self.values.pair(ratio, class, near);
        let up = 15 - self.coder.symbol(a, b, symbol) % 16;
        if raw == 0 && up < 15 {
            return ((up + 1) >> 1, (up & 1 == 0) ^ flip);
        }
        self.long_value(up, raw, truth, truth_negative, flip)
    }

    /// The rest of a value with raw bits or an escape.
    #[cold]
    #[inline(never)]
    fn long_value(
        &mut self,
        up: u32,
        raw: u32,
        truth: u32,
        truth_negative: bool,
        flip: bool,
    ) -> (u32, bool) {
        let mut high = (up + 1) >> 1;
        let mut negative = (up & 1 == 0) ^ flip;
        if up == 15 {
            let excess = (truth >> raw).wrapping_sub(7);
            let length = excess.checked_ilog2().unwrap_or(0);
            let [a, b] = self.escape;
            let mut coded = self.coder.symbol(a, b, length.min(15));
            if coded == 15 {
                coded += self.coder.raw(4, length.wrapping_sub(15));
            }
            let low = self.coder.raw(coded, excess) & ((1 << coded) - 1);
            high = (1 << coded | low) + 7;
            negative = self.coder.raw(1, u32::from(truth_negative)) == 1;
        }
        let low = self.coder.raw(raw, truth) & ((1 << raw) - 1);
        let limit = LIMIT.unsigned_abs() >> self.new;
        if high >= limit >> raw {
            self.out_of_range = true;
            return (0, false);
        }
        let magnitude = high << raw | low;
        if high == 0 && low != 0 {
            negative = self.coder.raw(1, u32::from(truth_negative)) == 1;
        }
        (magnitude, negative)
    }

    /// Codes further planes of a significant value and returns it in steps of the new shift.
    fn refine(&mut self, known: u32, wanted: u32, expected: u32, near: usize) -> u32 {
        let (class, _) = expected_class(expected >> self.old);
        let mask = (1 << self.coded) - 1;
        let symbol = 15 - ((wanted >> self.rest) & mask);
        let (a, b) = self.refine.pair(0, class, near);
        let coded = (15 - self.coder.symbol(a, b, symbol) % 16) & mask;
        let rest = self.coder.raw(self.rest, wanted) & ((1 << self.rest) - 1);
        (known << self.coded | coded) << self.rest | rest
    }
}
