//! Arithmetic in GF(256) and the one loop of the erasure code: `out ^= factor * input`.
//!
//! The field is GF(2)\[x\] modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d), the one of most Reed-Solomon codes over bytes.
//! A product by a constant is the sum of two table look-ups, one per nibble, so that a byte shuffle does 32 of them
//! at once (Plank, Greenan, Miller, "Screaming Fast Galois Field Arithmetic Using Intel SIMD Instructions", FAST 2013).
//! The scalar twin uses the same tables and gives the same bytes.

/// Bytes that one pass works on, small enough to stay in the first-level cache beside its sources.
const BLOCK: usize = 8 << 10;

/// `2 * a`.
const fn double(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d }
}

/// `a * b`, by shift and add.
pub(super) const fn mul(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    let mut bit = 0;
    while bit < 8 {
        if (b >> bit) & 1 == 1 {
            product ^= a;
        }
        a = double(a);
        bit += 1;
    }
    product
}

/// `1 / a`, which is `a^254`; 0 for 0.
pub(super) const fn inverse(a: u8) -> u8 {
    let mut result = 1;
    let mut square = a;
    let mut step = 0;
    while step < 7 {
        square = mul(square, square);
        result = mul(result, square);
        step += 1;
    }
    result
}

/// Products of one factor with every low nibble and with every high nibble.
#[derive(Debug, Clone, Copy)]
struct Nibbles {
    low: [u8; 16],
    high: [u8; 16],
}

impl Nibbles {
    fn new(factor: u8) -> Self {
        Self {
            low: multiples(factor),
            high: multiples(mul(factor, 16)),
        }
    }
}

/// `factor * i` for i in 0..16.
#[expect(clippy::indexing_slicing, reason = "i / 2 < i < 16")]
fn multiples(factor: u8) -> [u8; 16] {
    let mut table = [0, factor, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for i in 2..16 {
        let odd = if i % 2 == 1 { factor } else { 0 };
        table[i] = double(table[i / 2]) ^ odd;
    }
    table
}

/// `out = sum of factor * input`, where all slices have the length of `out`.
pub(super) fn combine<'a>(out: &mut [u8], terms: &(impl Iterator<Item = (u8, &'a [u8])> + Clone)) {
    for (i, out) in out.chunks_mut(BLOCK).enumerate() {
        out.fill(0);
        for (factor, input) in terms.clone() {
            let input = input.get(i * BLOCK..).unwrap_or_default();
            add_multiple(out, input, factor);
        }
    }
}

/// `out ^= factor * input` over the length of the shorter one.
fn add_multiple(out: &mut [u8], input: &[u8], factor: u8) {
    match factor {
        0 => {}
        1 => out.iter_mut().zip(input).for_each(|(o, i)| *o ^= i),
        _ => {
            let table = Nibbles::new(factor);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: AVX2 is there, which is all that the function asks for.
                #[expect(unsafe_code, reason = "a function of an instruction set")]
                unsafe {
                    add_multiple_avx2(out, input, &table);
                }
                return;
            }
            add_multiple_scalar(out, input, &table);
        }
    }
}

fn add_multiple_scalar(out: &mut [u8], input: &[u8], table: &Nibbles) {
    for (out, input) in out.iter_mut().zip(input) {
        let (low, high) = (usize::from(input & 15), usize::from(input >> 4));
        if let (Some(low), Some(high)) = (table.low.get(low), table.high.get(high)) {
            *out ^= low ^ high;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[expect(
    clippy::cast_ptr_alignment,
    reason = "the loads and stores used need none"
)]
fn add_multiple_avx2(out: &mut [u8], input: &[u8], table: &Nibbles) {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
        _mm256_loadu_si256, _mm256_set1_epi8, _mm256_shuffle_epi8, _mm256_srli_epi16,
        _mm256_storeu_si256, _mm256_xor_si256,
    };
    let length = out.len().min(input.len());
    let whole = length - length % 32;
    let (out, out_rest) = out.split_at_mut(whole);
    let (input, input_rest) = input.split_at(whole);
    let nibble = _mm256_set1_epi8(15);
    // SAFETY: both tables are 16 bytes, and the load needs no alignment.
    #[expect(unsafe_code, reason = "loads through pointers")]
    let (low, high) = unsafe {
        (
            _mm_loadu_si128(table.low.as_ptr().cast::<__m128i>()),
            _mm_loadu_si128(table.high.as_ptr().cast::<__m128i>()),
        )
    };
    let (low, high) = (
        _mm256_broadcastsi128_si256(low),
        _mm256_broadcastsi128_si256(high),
    );
    for (out, input) in out.chunks_exact_mut(32).zip(input.chunks_exact(32)) {
        let out = out.as_mut_ptr().cast::<__m256i>();
        // SAFETY: both pieces are 32 bytes long, and loads and store need no alignment.
        #[expect(unsafe_code, reason = "loads and stores through pointers")]
        unsafe {
            let bytes = _mm256_loadu_si256(input.as_ptr().cast::<__m256i>());
            let from_low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble));
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble);
            let from_high = _mm256_shuffle_epi8(high, upper);
            let product = _mm256_xor_si256(from_low, from_high);
            _mm256_storeu_si256(out, _mm256_xor_si256(_mm256_loadu_si256(out), product));
        }
    }
    add_multiple_scalar(out_rest, input_rest, table);
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::*;

    #[test]
    fn the_field_is_a_field() {
        for a in 0..=255 {
            assert_eq!(mul(a, 1), a);
            assert_eq!(mul(a, inverse(a)), u8::from(a != 0));
            for b in 0..=255 {
                assert_eq!(mul(a, b), mul(b, a));
                assert_eq!(mul(a, b ^ 0x4d), mul(a, b) ^ mul(a, 0x4d));
            }
        }
        assert_eq!(mul(0x80, 2), 0x1d);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bytes() {
        let input: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for factor in 0..=255 {
            for length in [0, 1, 31, 32, 33, 300, 1000] {
                let expected: Vec<u8> = input[..length].iter().map(|&i| mul(i, factor)).collect();
                let mut out = vec![0; length];
                add_multiple(&mut out, &input[..length], factor);
                assert_eq!(out, expected);
                let mut out = vec![0; length];
                add_multiple_scalar(&mut out, &input[..length], &Nibbles::new(factor));
                assert_eq!(out, expected);
            }
        }
    }
}
