//! Networks of sines that give a colour for each place of a film, in integers.
//!
//! A network (SIREN: Sitzmann and others, "Implicit Neural Representations with Periodic Activation Functions", 2020)
//! is a chain of layers. The first takes a place (t, x, y), each from -1 to 1; every layer but the last adds up its
//! inputs times weights and a bias, times a frequency, and gives the sines of the sums; the last gives red, green
//! and blue, without a sine.
//!
//! # Arithmetic
//! The sum of a layer with sines counts only modulo a turn, so that it is kept in 32 bits which a turn wraps:
//! * activations are sines times 2^15 in 16 bits;
//! * a weight in turns, times 2^s, is 16 bits; s <= 17 is the most at which all weights of the layer fit;
//! * sums of products and bias, which are in turns times 2^(15 + s), wrap; their lowest 15 + s bits, shifted left by
//!   17 - s, are a phase, whose upper 16 bits are looked at;
//! * of the first layer each neuron is a wave along a row: a phase of 32 bits and what a pixel adds to it;
//! * the sine is a polynomial of degree 7 with products cut to 16 bits (`tile`): every step is one instruction on all
//!   processors of interest, and exact, so that all of them give the same bytes;
//! * the last layer's weights, times 255 and 2^k, are 16 bits; k is the most below 8 with which no sum can overflow.
//!
//! Rounded like that, real weights (48 neurons, four layers of sines) give pictures with 72 dB of what 64-bit floats
//! give.

mod tile;

use std::f64::consts::PI;
use std::fmt;

use tile::{GROUP, Machine, Pair, TILE};

/// Most neurons of a layer.
pub const WIDEST: usize = 1024;
/// Most layers, the last one not counted.
pub const DEEPEST: usize = 64;

/// The weights of a layer as somebody has trained them.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// For each neuron those of its inputs.
    pub weights: &'a [f32],
    /// For each neuron.
    pub bias: &'a [f32],
}

/// Why weights make no network; the text says which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub &'static str);

/// A place on an axis: pixel, row or frame `index` of `count`, which lie from -1 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Less than `count`.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

impl Place {
    /// A weight times this place: the weight is turns times 2^32, the result is rounded and wrapped to a phase.
    fn times(self, weight: i64) -> u32 {
        let last = i128::from(self.count.saturating_sub(1));
        if last == 0 {
            return phase(-i128::from(weight)); // where a row of one begins
        }
        phase(divide(
            i128::from(weight) * (2 * i128::from(self.index) - last),
            last,
        ))
    }
}

/// A quotient, rounded; the divisor is positive.
fn divide(number: i128, by: i128) -> i128 {
    (2 * number + by).div_euclid(2 * by)
}

/// The lowest 32 bits.
fn phase(turns: i128) -> u32 {
    let [a, b, c, d, ..] = turns.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A neuron of the first layer, along a row: phases of which 2^32 are a turn.
#[derive(Debug, Clone, Copy, Default)]
struct Wave {
    start: u32,
    step: u32,
}

impl Wave {
    fn at(self, x: u32) -> u32 {
        self.start.wrapping_add(self.step.wrapping_mul(x))
    }
}

/// A neuron of the first layer; weights are turns times 2^32.
#[derive(Debug, Clone, Copy, Default)]
struct First {
    time: i64,
    x: i64,
    y: i64,
    bias: i64,
}

impl First {
    /// Its wave along a row of `width` pixels.
    fn wave(&self, time: Place, y: Place, width: u32) -> Wave {
        let left = Place {
            index: 0,
            count: width,
        };
        let sum = phase(self.bias.into())
            .wrapping_add(time.times(self.time))
            .wrapping_add(y.times(self.y));
        let last = i128::from(width.saturating_sub(1)).max(1);
        Wave {
            start: sum.wrapping_add(left.times(self.x)),
            step: phase(divide(2 * i128::from(self.x), last)),
        }
    }
}

/// Any other layer, in groups of [`GROUP`] neurons.
#[derive(Debug, Clone)]
struct Dense {
    /// Pairs of inputs.
    pairs: usize,
    /// For each group and pair of inputs those of its neurons.
    weights: Vec<[Pair; GROUP]>,
    bias: Vec<[i32; GROUP]>,
    /// Bits by which sums are shifted: left to a phase, or right to a colour.
    shift: u32,
}

impl Dense {
    /// For each group its weights and bias.
    fn groups(&self) -> impl Iterator<Item = (&[[Pair; GROUP]], [i32; GROUP])> {
        let weights = self.weights.chunks_exact(self.pairs.max(1));
        weights.zip(self.bias.iter().copied())
    }

    /// Lays out weights, which `weight` gives for a neuron and an input, and what `bias` gives.
    fn new(
        (inputs, outputs): (usize, usize),
        shift: u32,
        weight: impl Fn(usize, usize) -> i16,
        bias: impl Fn(usize) -> i32,
    ) -> Self {
        let pairs = inputs.next_multiple_of(GROUP) / 2;
        let mut layer = Self {
            pairs,
            weights: Vec::new(),
            bias: Vec::new(),
            shift,
        };
        for group in (0..outputs).step_by(GROUP) {
            for pair in 0..pairs {
                let mut weights = [[0; 2]; GROUP];
                for (neuron, pair_of) in (group..outputs).zip(&mut weights) {
                    for (input, slot) in (2 * pair..inputs).zip(pair_of) {
                        *slot = weight(neuron, input);
                    }
                }
                layer.weights.push(weights);
            }
            let mut biases = [0; GROUP];
            for (neuron, slot) in (group..outputs).zip(&mut biases) {
                *slot = bias(neuron);
            }
            layer.bias.push(biases);
        }
        layer
    }
}

/// A network, ready to be evaluated.
pub struct Siren {
    first: Vec<First>,
    hidden: Vec<Dense>,
    last: Dense,
    machine: Machine,
}

impl fmt::Debug for Siren {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.hidden.len() + 1;
        write!(f, "Siren({layers} layers of {})", self.first.len())
    }
}

/// `value` times 2^`bits`, rounded.
fn fixed(value: f64, bits: u32) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates; what is of use is much smaller"
    )]
    let rounded = (value * 2_f64.powi(bits.cast_signed())).round() as i64;
    rounded
}

/// The lowest 32 bits.
fn wrapped(value: i64) -> i32 {
    phase(value.into()).cast_signed()
}

fn short(value: i64) -> i16 {
    i16::try_from(value).unwrap_or(if value < 0 { i16::MIN } else { i16::MAX })
}

fn largest(weights: &[f32]) -> f64 {
    weights
        .iter()
        .fold(0.0, |most, w| f64::from(w.abs()).max(most))
}

impl Siren {
    /// A network of these layers, in their order; sines are of sums times `frequency` (30 in the paper).
    ///
    /// # Errors
    /// [`Unfit`] where numbers of weights do not fit each other, or they are too large or not finite.
    pub fn new(layers: &[Weights<'_>], frequency: f64) -> Result<Self, Unfit> {
        let [first, hidden @ .., last] = layers else {
            return Err(Unfit("fewer than two layers"));
        };
        if hidden.len() >= DEEPEST {
            return Err(Unfit("too many layers"));
        }
        let mut inputs = 3;
        for layer in layers {
            let outputs = layer.bias.len();
            if outputs == 0 || outputs > WIDEST || layer.weights.len() != inputs * outputs {
                return Err(Unfit("numbers of weights that make no layer"));
            }
            let mut all = layer.weights.iter().chain(layer.bias);
            if all.any(|weight| !weight.is_finite() || weight.abs() > 1e6) {
                return Err(Unfit("weights that are no numbers or too large"));
            }
            inputs = outputs;
        }
        if inputs != 3 {
            return Err(Unfit("a last layer that gives no colour"));
        }
        let turns = |weight: &f32| f64::from(*weight) * (frequency / (2.0 * PI));
        let neurons = first.weights.as_chunks::<3>().0.iter().zip(first.bias);
        let neuron = |(weights, bias): (&[f32; 3], &f32)| {
            let [time, x, y] = weights.each_ref().map(|weight| fixed(turns(weight), 32));
            First {
                time,
                x,
                y,
                bias: fixed(turns(bias), 32),
            }
        };
        let mut inputs = first.bias.len();
        let first = neurons.map(neuron).collect();
        let mut dense = Vec::with_capacity(hidden.len());
        for layer in hidden {
            let most = largest(layer.weights) * (frequency / (2.0 * PI));
            let bits = (0..=17)
                .rev()
                .find(|bits| fixed(most, *bits) <= i16::MAX.into());
            let bits = bits.ok_or(Unfit("weights that are too large"))?;
            let outputs = layer.bias.len();
            let weight = |neuron: usize, input: usize| {
                let weight = layer.weights.get(neuron * inputs + input);
                weight.map_or(0, |weight| short(fixed(turns(weight), bits)))
            };
            let bias = |neuron: usize| {
                let bias = layer.bias.get(neuron);
                bias.map_or(0, |bias| wrapped(fixed(turns(bias), 15 + bits)))
            };
            dense.push(Dense::new((inputs, outputs), 17 - bits, weight, bias));
            inputs = outputs;
        }
        Ok(Self {
            first,
            hidden: dense,
            last: colours(*last, inputs)?,
            machine: Machine::all().pop().unwrap_or(Machine::Scalar),
        })
    }

    /// Red, green and blue of the pixels of a row.
    pub fn row(&self, time: Place, y: Place, rgb: &mut [[u8; 3]]) {
        let width = u32::try_from(rgb.len()).unwrap_or(u32::MAX);
        let padded = self.first.len().next_multiple_of(GROUP);
        let mut waves = vec![[Wave::default(); 2]; padded / 2];
        for (wave, first) in waves.as_flattened_mut().iter_mut().zip(&self.first) {
            *wave = first.wave(time, y, width);
        }
        let widths = self.hidden.iter().map(|layer| layer.bias.len() * GROUP / 2);
        let widest = widths.fold(waves.len(), usize::max);
        let mut input = vec![[[0; 2]; TILE]; widest];
        let mut output = input.clone();
        for (x, rgb) in (0..).step_by(TILE).zip(rgb.chunks_mut(TILE)) {
            self.machine.waves(&waves, x, &mut input);
            let mut pairs = waves.len();
            for layer in &self.hidden {
                let from = input.get(..pairs).unwrap_or_default();
                self.machine.dense(layer, from, &mut output);
                pairs = layer.bias.len() * GROUP / 2;
                std::mem::swap(&mut input, &mut output);
            }
            let mut sums = [[0; TILE]; GROUP];
            let from = input.get(..pairs).unwrap_or_default();
            self.machine.sums(&self.last, from, &mut sums);
            let [red, green, blue, _] = sums.map(|sums| {
                sums.map(|sum| u8::try_from((sum >> self.last.shift).clamp(0, 255)).unwrap_or(0))
            });
            let colours = red.into_iter().zip(green).zip(blue);
            for (rgb, ((red, green), blue)) in rgb.iter_mut().zip(colours) {
                *rgb = [red, green, blue];
            }
        }
    }
}

/// The last layer.
fn colours(layer: Weights<'_>, inputs: usize) -> Result<Dense, Unfit> {
    let row = |neuron: usize| layer.weights.chunks(inputs).nth(neuron).unwrap_or_default();
    let sum = |neuron: usize| -> f64 {
        let bias = layer.bias.get(neuron).copied().unwrap_or(0.0);
        let weights = row(neuron).iter().map(|weight| f64::from(weight.abs()));
        255.0 * weights.fold(f64::from(bias.abs()), |sum, weight| sum + weight)
    };
    // Half a step more for each weight that may be rounded up.
    let most = (0..3).map(sum).fold(0.0, f64::max);
    let fits = |bits: &u32| (most * 2_f64.powi(bits.cast_signed())) + 1024.0 < 32768.0;
    let bits = (0..8)
        .rev()
        .find(fits)
        .ok_or(Unfit("weights that are too large"))?;
    let weight = |neuron: usize, input: usize| {
        let weight = row(neuron).get(input).copied().unwrap_or(0.0);
        short(fixed(255.0 * f64::from(weight), bits))
    };
    let bias = |neuron: usize| {
        let bias = layer.bias.get(neuron).copied().unwrap_or(0.0);
        wrapped(fixed(255.0 * f64::from(bias), bits + 15))
    };
    Ok(Dense::new((inputs, 3), 15 + bits, weight, bias))
}

#[cfg(test)]
mod tests;
