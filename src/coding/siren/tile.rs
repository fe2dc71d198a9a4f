//! The arithmetic of a network, tile by tile: scalar, and the same on SSE2, AVX2 and AVX-512.

use super::{Dense, Wave};

/// Pixels of a tile.
pub(super) const TILE: usize = 32;
/// Neurons whose weights lie together.
pub(super) const GROUP: usize = 4;

/// Two activations of a pixel, times 2^15: of a neuron with an even number and of the next.
pub(super) type Pair = [i16; 2];
/// Two neurons' activations of all pixels of a tile.
pub(super) type Pairs = [Pair; TILE];
/// A group's sums of all pixels of a tile.
pub(super) type Sums = [[i32; TILE]; GROUP];

/// Of sin(z pi / 2) = z (1 + C1 + C3 z^2 + C5 z^4 + C7 z^6), with 14, 15, 15 and 17 bits after the point.
const C1: i16 = 9352;
const C3: i16 = -21167;
const C5: i16 = 2611;
const C7: i16 = -612;
/// A quarter of a turn.
const QUARTER: i16 = 1 << 14;

/// The upper half of 32 bits.
fn upper(bits: i32) -> i16 {
    let [_, _, low, high] = bits.to_le_bytes();
    i16::from_le_bytes([low, high])
}

/// The upper half of a product.
fn high(a: i16, b: i16) -> i16 {
    upper(i32::from(a) * i32::from(b))
}

/// The sine of a phase, of which 2^16 are a turn, times 2^15; wrong by at most 10.
pub(super) fn sine(phase: i16) -> i16 {
    // As a cosine it is even, and folded to a quarter of a turn on either side of zero.
    let cosine = phase.wrapping_sub(QUARTER);
    let folded = QUARTER.wrapping_sub(cosine.max(0_i16.wrapping_sub(cosine)));
    let z = folded.saturating_add(folded);
    let square = high(z, z);
    let sum = C5.wrapping_add(high(square, C7));
    let sum = C3.wrapping_add(high(square, sum << 2));
    let sum = C1.wrapping_add(high(square.saturating_add(square), sum));
    z.saturating_add(high(z, sum << 1) << 1)
}

/// The code for one kind of processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Machine {
    /// All that can be used here, the fastest last.
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            all.push(Self::Sse2);
            if is_x86_feature_detected!("avx2") {
                all.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                all.push(Self::Avx512);
            }
        }
        all
    }

    /// The first layer: waves along a row from pixel `x` on.
    pub(super) fn waves(self, waves: &[[Wave; 2]], x: u32, output: &mut [Pairs]) {
        match self {
            Self::Scalar => scalar::waves(waves, x, output),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls what the processor was found to have")]
            // SAFETY: `all` has found these features.
            _ => unsafe {
                match self {
                    Self::Avx512 => avx512::waves(waves, x, output),
                    Self::Avx2 => avx2::waves(waves, x, output),
                    _ => sse2::waves(waves, x, output),
                }
            },
        }
    }

    /// A hidden layer.
    pub(super) fn dense(self, layer: &Dense, input: &[Pairs], output: &mut [Pairs]) {
        match self {
            Self::Scalar => scalar::dense(layer, input, output),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls what the processor was found to have")]
            // SAFETY: `all` has found these features.
            _ => unsafe {
                match self {
                    Self::Avx512 => avx512::dense(layer, input, output),
                    Self::Avx2 => avx2::dense(layer, input, output),
                    _ => sse2::dense(layer, input, output),
                }
            },
        }
    }

    /// The sums of the first group of a layer.
    pub(super) fn sums(self, layer: &Dense, input: &[Pairs], sums: &mut Sums) {
        match self {
            Self::Scalar => scalar::sums(layer, input, sums),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls what the processor was found to have")]
            // SAFETY: `all` has found these features.
            _ => unsafe {
                match self {
                    Self::Avx512 => avx512::sums(layer, input, sums),
                    Self::Avx2 => avx2::sums(layer, input, sums),
                    _ => sse2::sums(layer, input, sums),
                }
            },
        }
    }
}

/// What all others must agree with.
mod scalar {
    use super::{Dense, GROUP, Pair, Pairs, Sums, TILE, Wave, sine, upper};

    pub(super) fn waves(waves: &[[Wave; 2]], x: u32, output: &mut [Pairs]) {
        for (pair, output) in waves.iter().zip(output) {
            for (x, output) in (x..).zip(output) {
                *output = pair.map(|wave| sine(upper(wave.at(x).cast_signed())));
            }
        }
    }

    /// The sums of a group.
    fn group(weights: &[[Pair; GROUP]], bias: [i32; GROUP], input: &[Pairs]) -> Sums {
        let mut sums = bias.map(|bias| [bias; TILE]);
        for (weights, input) in weights.iter().zip(input) {
            for (sums, [a, b]) in sums.iter_mut().zip(weights) {
                for (sum, [x, y]) in sums.iter_mut().zip(input) {
                    let first = i32::from(*a) * i32::from(*x);
                    let two = first.wrapping_add(i32::from(*b) * i32::from(*y));
                    *sum = sum.wrapping_add(two);
                }
            }
        }
        sums
    }

    pub(super) fn dense(layer: &Dense, input: &[Pairs], output: &mut [Pairs]) {
        for ((weights, bias), output) in layer.groups().zip(output.as_chunks_mut::<2>().0) {
            let sums = group(weights, bias, input);
            let [a, b, c, d] =
                sums.map(|sums| sums.map(|sum| sine(upper(sum.wrapping_shl(layer.shift)))));
            let [first, second] = output;
            for (output, (a, b)) in first.iter_mut().zip(a.into_iter().zip(b)) {
                *output = [a, b];
            }
            for (output, (c, d)) in second.iter_mut().zip(c.into_iter().zip(d)) {
                *output = [c, d];
            }
        }
    }

    pub(super) fn sums(layer: &Dense, input: &[Pairs], sums: &mut Sums) {
        if let Some((weights, bias)) = layer.groups().next() {
            *sums = group(weights, bias, input);
        }
    }
}

/// The same with vectors of `$lanes` sums; names are those of the processor's instructions.
macro_rules! machine {
    ($name:ident, $feature:literal, $v:ident, $lanes:literal, $load:ident, $store:ident, $set32:ident, $set16:ident,
     $madd:ident, $add32:ident, $shl32:ident, $sar32:ident, $packs:ident, $low:ident, $high:ident, $mulhi:ident,
     $add16:ident, $sub16:ident, $adds16:ident, $max16:ident, $shl16:ident) => {
        #[cfg(target_arch = "x86_64")]
        mod $name {
            use super::{C1, C3, C5, C7, Dense, GROUP, Pair, Pairs, QUARTER, Sums, TILE, Wave};
            use std::arch::x86_64::{
                _mm_cvtsi32_si128, $add16, $add32, $adds16, $high, $load, $low, $madd, $max16,
                $mulhi, $packs, $sar32, $set16, $set32, $shl16, $shl32, $store, $sub16, $v,
            };

            /// Half of the pixels that are in hand, twice.
            type Two = [$v; 2];
            const HALF: usize = $lanes;

            #[target_feature(enable = $feature)]
            fn sine(phase: $v) -> $v {
                let cosine = $sub16(phase, $set16(QUARTER));
                let folded = $sub16($set16(QUARTER), $max16(cosine, $sub16($set16(0), cosine)));
                let z = $adds16(folded, folded);
                let square = $mulhi(z, z);
                let sum = $add16($set16(C5), $mulhi(square, $set16(C7)));
                let sum = $add16($set16(C3), $mulhi(square, $shl16::<2>(sum)));
                let sum = $add16($set16(C1), $mulhi($adds16(square, square), sum));
                $adds16(z, $shl16::<1>($mulhi(z, $shl16::<1>(sum))))
            }

            /// Sines of phases with 32 bits: packing and interleaving mix lanes, and one undoes the other.
            #[target_feature(enable = $feature)]
            fn activate([a, b]: Two) -> $v {
                sine($packs($sar32::<16>(a), $sar32::<16>(b)))
            }

            #[target_feature(enable = $feature)]
            fn put(even: $v, odd: $v, output: &mut [Pair]) {
                let (first, second) = output.split_at_mut(HALF.min(output.len()));
                assert!(first.len() == HALF && second.len() >= HALF);
                #[expect(unsafe_code, reason = "stores through pointers")]
                // SAFETY: both have room for a vector, and stores need no alignment.
                unsafe {
                    $store(first.as_mut_ptr().cast(), $low(even, odd));
                    $store(second.as_mut_ptr().cast(), $high(even, odd));
                }
            }

            #[target_feature(enable = $feature)]
            fn get<T>(from: &[T]) -> Two {
                const { assert!(size_of::<T>() == 4) };
                let (first, second) = from.split_at(HALF.min(from.len()));
                assert!(first.len() == HALF && second.len() >= HALF);
                #[expect(unsafe_code, reason = "loads through pointers")]
                // SAFETY: both hold a vector of elements of four bytes, and loads need no alignment.
                unsafe {
                    [$load(first.as_ptr().cast()), $load(second.as_ptr().cast())]
                }
            }

            #[target_feature(enable = $feature)]
            pub(super) fn waves(waves: &[[Wave; 2]], x: u32, output: &mut [Pairs]) {
                for (pair, output) in waves.iter().zip(output) {
                    let mut phases = [[0_u32; TILE]; 2];
                    for (wave, phases) in pair.iter().zip(&mut phases) {
                        for (x, phase) in (x..).zip(phases) {
                            *phase = wave.at(x);
                        }
                    }
                    let [even, odd] = &phases;
                    let phases = even.chunks(2 * HALF).zip(odd.chunks(2 * HALF));
                    for (output, (even, odd)) in output.chunks_mut(2 * HALF).zip(phases) {
                        put(activate(get(even)), activate(get(odd)), output);
                    }
                }
            }

            /// Sums of a group for the pixels from `at` on.
            #[target_feature(enable = $feature)]
            fn group(
                weights: &[[Pair; GROUP]],
                bias: [i32; GROUP],
                input: &[Pairs],
                at: usize,
            ) -> [Two; GROUP] {
                let [a, b, c, d] = bias;
                let mut sums = [
                    [$set32(a); 2],
                    [$set32(b); 2],
                    [$set32(c); 2],
                    [$set32(d); 2],
                ];
                for (weights, input) in weights.iter().zip(input) {
                    let [first, second] = get(input.get(at..).unwrap_or_default());
                    for (sums, [even, odd]) in sums.iter_mut().zip(weights) {
                        let [a, b] = even.to_le_bytes();
                        let [c, d] = odd.to_le_bytes();
                        let weights = $set32(i32::from_le_bytes([a, b, c, d]));
                        let [one, other] = *sums;
                        *sums = [
                            $add32(one, $madd(first, weights)),
                            $add32(other, $madd(second, weights)),
                        ];
                    }
                }
                sums
            }

            #[target_feature(enable = $feature)]
            pub(super) fn dense(layer: &Dense, input: &[Pairs], output: &mut [Pairs]) {
                let shift = _mm_cvtsi32_si128(layer.shift.cast_signed());
                for ((weights, bias), output) in layer.groups().zip(output.as_chunks_mut::<2>().0) {
                    for at in (0..TILE).step_by(2 * HALF) {
                        let sums = group(weights, bias, input, at);
                        for (output, sums) in output.iter_mut().zip(sums.as_chunks::<2>().0) {
                            let [[a, b], [c, d]] = *sums;
                            let even = activate([$shl32(a, shift), $shl32(b, shift)]);
                            let odd = activate([$shl32(c, shift), $shl32(d, shift)]);
                            put(even, odd, output.get_mut(at..).unwrap_or_default());
                        }
                    }
                }
            }

            #[target_feature(enable = $feature)]
            pub(super) fn sums(layer: &Dense, input: &[Pairs], sums: &mut Sums) {
                let Some((weights, bias)) = layer.groups().next() else {
                    return;
                };
                for at in (0..TILE).step_by(2 * HALF) {
                    let group = group(weights, bias, input, at);
                    for (sums, [a, b]) in sums.iter_mut().zip(group) {
                        let (_, rest) = sums.split_at_mut(at);
                        let (first, second) = rest.split_at_mut(HALF);
                        assert!(first.len() == HALF && second.len() >= HALF);
                        #[expect(unsafe_code, reason = "stores through pointers")]
                        // SAFETY: both have room for a vector, and stores need no alignment.
                        unsafe {
                            $store(first.as_mut_ptr().cast(), a);
                            $store(second.as_mut_ptr().cast(), b);
                        }
                    }
                }
            }
        }
    };
}

machine!(
    sse2,
    "sse2",
    __m128i,
    4,
    _mm_loadu_si128,
    _mm_storeu_si128,
    _mm_set1_epi32,
    _mm_set1_epi16,
    _mm_madd_epi16,
    _mm_add_epi32,
    _mm_sll_epi32,
    _mm_srai_epi32,
    _mm_packs_epi32,
    _mm_unpacklo_epi16,
    _mm_unpackhi_epi16,
    _mm_mulhi_epi16,
    _mm_add_epi16,
    _mm_sub_epi16,
    _mm_adds_epi16,
    _mm_max_epi16,
    _mm_slli_epi16
);
machine!(
    avx2,
    "avx2",
    __m256i,
    8,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_set1_epi32,
    _mm256_set1_epi16,
    _mm256_madd_epi16,
    _mm256_add_epi32,
    _mm256_sll_epi32,
    _mm256_srai_epi32,
    _mm256_packs_epi32,
    _mm256_unpacklo_epi16,
    _mm256_unpackhi_epi16,
    _mm256_mulhi_epi16,
    _mm256_add_epi16,
    _mm256_sub_epi16,
    _mm256_adds_epi16,
    _mm256_max_epi16,
    _mm256_slli_epi16
);
machine!(
    avx512,
    "avx512f,avx512bw",
    __m512i,
    16,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_set1_epi32,
    _mm512_set1_epi16,
    _mm512_madd_epi16,
    _mm512_add_epi32,
    _mm512_sll_epi32,
    _mm512_srai_epi32,
    _mm512_packs_epi32,
    _mm512_unpacklo_epi16,
    _mm512_unpackhi_epi16,
    _mm512_mulhi_epi16,
    _mm512_add_epi16,
    _mm512_sub_epi16,
    _mm512_adds_epi16,
    _mm512_max_epi16,
    _mm512_slli_epi16
);
