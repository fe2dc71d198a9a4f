//! Finds the settings with which the predictor is most often right about a stream.

use super::params::{AHEAD, Method, Params};
use super::predict::Predictor;
use super::{Kind, Stream};

/// Tokens of the first round; each further round looks at four times as many.
const FIRST: usize = 4096;
/// Tokens of the last round; settings that are still alike then hardly ever differ.
const LAST: usize = 16 * FIRST;
/// Settings that stay in after the first round.
const KEPT: usize = 6;

/// The best settings for a stream; `window` is the size that its container announces.
pub(super) fn estimate(stream: &Stream, window: u32) -> Params {
    let lengths: Vec<u16> = stream
        .blocks
        .iter()
        .filter_map(|block| match block.kind {
            Kind::Stored { length, .. } => Some(length),
            _ => None,
        })
        .collect();
    if lengths.len() == stream.blocks.len() {
        let length = lengths.first().copied().unwrap_or(u16::MAX);
        return Params {
            method: Method::Stored,
            block: u32::from(length),
            ..Params::level(1)
        };
    }
    let mut kept = candidates(stream, window);
    let base = kept.last().copied().unwrap_or_else(|| Params::level(6));
    let total: usize = stream.blocks.iter().map(|b| b.tokens.len()).sum();
    let mut predictor = Predictor::new(&stream.plain, &base, 0);
    let mut sample = FIRST;
    while kept.len() > 1 {
        let mut best = usize::MAX;
        let mut scored = Vec::new();
        for params in kept {
            let limit = best.saturating_add(best / 8 + 4);
            let misses = misses(stream, &mut predictor, &params, sample, limit);
            best = best.min(misses);
            scored.push((misses, params));
        }
        if sample == FIRST && best * 64 > sample.min(total) {
            for params in weighed(&base) {
                let limit = best.saturating_add(best / 8 + 4);
                let misses = misses(stream, &mut predictor, &params, sample, limit);
                best = best.min(misses);
                scored.push((misses, params));
            }
        }
        scored.retain(|(misses, _)| *misses <= best + best / 8 + 4);
        // Stable, so that of equals the first stays first.
        scored.sort_by_key(|(misses, _)| *misses);
        scored.truncate(KEPT);
        kept = scored.into_iter().map(|(_, params)| params).collect();
        if sample >= total.min(LAST) {
            break;
        }
        sample *= 4;
    }
    kept.first().copied().unwrap_or_else(|| Params::level(6))
}

/// All settings worth a look, the most usual ones first.
fn candidates(stream: &Stream, window: u32) -> Vec<Params> {
    let tokens = || stream.blocks.iter().flat_map(|block| &block.tokens);
    let farthest = tokens()
        .filter(|token| token.is_match())
        .map(|token| u32::from(token.dist()))
        .max();
    let full = stream
        .blocks
        .iter()
        .filter(|block| !block.last && !matches!(block.kind, Kind::Stored { .. }))
        .map(|block| block.tokens.len())
        .find(|count| *count > 0);
    let most = stream
        .blocks
        .iter()
        .map(|block| block.tokens.len())
        .max()
        .unwrap_or(0);
    let block = full.unwrap_or(if most < 1 << 14 { 16383 } else { 32767 });
    let block = u32::try_from(block).unwrap_or(0x1_ffff).min(0x1_ffff);
    // zlib's memory level gives both the tokens of a block and the bits of the hash.
    let bits = if (block + 1).is_power_of_two() {
        (block + 1).ilog2() + 1
    } else {
        15
    };
    let mut hashes = vec![bits.clamp(8, 16)];
    if full.is_none() || bits != 15 {
        hashes.extend([15, 16].iter().filter(|b| **b != bits));
    }
    let Some(farthest) = farthest else {
        return vec![Params {
            method: Method::Huffman,
            block,
            ..Params::level(1)
        }];
    };
    let fits = |size: u32| size.saturating_sub(AHEAD) >= farthest;
    let max_dist = [
        window,
        1 << 9,
        1 << 10,
        1 << 11,
        1 << 12,
        1 << 13,
        1 << 14,
        1 << 15,
    ]
    .into_iter()
    .find(|size| fits(*size))
    .map_or(1 << 15, |size| size - AHEAD);
    let mut all = Vec::new();
    if farthest == 1 {
        all.push(Params {
            method: Method::Runs,
            block,
            ..Params::level(1)
        });
    }
    for hash_bits in hashes {
        for level in [6, 9, 1, 3, 2, 5, 4, 7, 8] {
            let plain = Params {
                max_dist: max_dist.min(1 << 15),
                hash_bits,
                block,
                ..Params::level(level)
            };
            all.push(plain);
            if plain.method == Method::Lazy {
                all.push(Params {
                    shortest: 6,
                    ..plain
                });
                all.push(Params {
                    too_far: 0xffff,
                    ..plain
                });
            }
        }
    }
    all
}

/// The settings of libdeflate's levels 5 to 9. Its chains are of four bytes, which are much shorter than ours.
fn weighed(base: &Params) -> Vec<Params> {
    let levels = [(16, 30), (35, 65), (100, 130), (512, 258)].into_iter();
    let all = levels.flat_map(|(chain, nice)| {
        (3..=6).map(move |shortest| Params {
            method: Method::Weighed,
            max_dist: 1 << 15,
            hash_bits: 15,
            nice,
            chain: chain * 8,
            too_far: 8192,
            shortest,
            ..*base
        })
    });
    all.collect()
}

/// How many of the first `sample` tokens are predicted wrongly; stops at `limit`.
fn misses(
    stream: &Stream,
    predictor: &mut Predictor<'_>,
    params: &Params,
    sample: usize,
    limit: usize,
) -> usize {
    predictor.restart(params);
    let (mut misses, mut left) = (0, sample);
    for block in &stream.blocks {
        if let Kind::Stored { length, .. } = block.kind {
            predictor.skip(usize::from(length));
        }
        for token in &block.tokens {
            if left == 0 || misses > limit {
                return misses;
            }
            left -= 1;
            misses += usize::from(predictor.predict() != *token);
            predictor.accept(*token);
        }
    }
    misses
}
