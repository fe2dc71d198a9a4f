//! Maximum-distance-separable erasure code over the units of one row.
//!
//! K data units and N - K parity units of equal length: any K of the N give back all of them (N <= 255). The code is
//! systematic (the data units are the data) and deterministic. Parity unit p is the sum over data units d of
//! `c(p, d) * data(d)` in GF(256), byte by byte, where c is the Cauchy matrix `1 / (x ^ y)` with `x = K + p`,
//! `y = d`, its columns and rows scaled so that the first row and the first column are all ones: with K = 1 each
//! parity unit is a copy, and the first parity unit is the exclusive or of the data. Every square submatrix of a
//! Cauchy matrix is invertible, and scaling keeps that (Bloemer et al., "An XOR-Based Erasure-Resilient Coding
//! Scheme", 1995).
//!
//! Why our own: measured for K = 14, N = 16 on one core (Xeon with AVX2, GB/s of data, encode / rebuild two units):
//!
//! | unit | this | reed-solomon-simd 3.1 | reed-solomon-erasure 6.0 |
//! |---|---|---|---|
//! | 64 KiB | 26 / 28 | 19 / 3.2 | 2.7 / 2.7 |
//! | 300 bytes | 11 / 4.1 (1.0 us) | 9.5 / 0.035 (119 us) | 2.6 / 2.3 (1.8 us) |
//!
//! The first library is slow where a small read meets damage; the second would do, but has had no release since 2022
//! and keeps the matrix, which is part of the format, to itself.

use super::gf256::{combine, inverse, mul};

/// The code that makes N units of K.
#[derive(Debug, Clone)]
pub struct Code {
    k: usize,
    n: usize,
    /// Row p, column d: the factor of data unit d in parity unit p.
    parity: Vec<Vec<u8>>,
}

impl Code {
    /// The code for any `k` of `n` units; `None` unless 1 <= k <= n <= 255.
    #[must_use]
    pub fn new(k: usize, n: usize) -> Option<Self> {
        let (data, all) = (u8::try_from(k).ok()?, u8::try_from(n).ok()?);
        if k == 0 || k > n {
            return None;
        }
        // 1 / c(p, d) = (x ^ y) scaled: c(p, d) * c(0, 0) / (c(0, d) * c(p, 0)).
        let difference = |x: u8, y: u8| x ^ y;
        let factor = |x: u8, y: u8| {
            let above = mul(difference(data, y), difference(x, 0));
            let below = mul(difference(x, y), difference(data, 0));
            mul(above, inverse(below))
        };
        let parity = (data..all)
            .map(|x| (0..data).map(|y| factor(x, y)).collect())
            .collect();
        Some(Self { k, n, parity })
    }

    /// Data units of a row.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// All units of a row.
    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Computes the parity units. All slices have one length; there are K of `data` and N - K of `parity`.
    pub fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) {
        debug_assert!(data.len() == self.k && parity.len() == self.n - self.k);
        for (factors, out) in self.parity.iter().zip(parity) {
            combine(out, &factors.iter().copied().zip(data.iter().copied()));
        }
    }

    /// Computes units from K others. `have` holds at least K different units as (index, bytes), of which the first K
    /// are used; `wanted` the indices to compute and where to put them. All slices have one length.
    ///
    /// Returns whether it could: false with fewer than K, twice the same or an index that does not exist.
    #[must_use]
    pub fn rebuild(&self, have: &[(usize, &[u8])], wanted: &mut [(usize, &mut [u8])]) -> bool {
        let Some(have) = have.get(..self.k) else {
            return false;
        };
        let indices: Vec<usize> = have.iter().map(|(index, _)| *index).collect();
        let Some(missing) = self.missing(&indices) else {
            return false;
        };
        for (index, out) in wanted {
            let Some(factors) = self.factors(*index, &indices, &missing) else {
                return false;
            };
            combine(
                out,
                &factors.into_iter().zip(have.iter().map(|(_, unit)| *unit)),
            );
        }
        true
    }

    /// The data units that are not among `have`, each with its factors of the units of `have`.
    fn missing(&self, have: &[usize]) -> Option<Vec<(usize, Vec<u8>)>> {
        let absent: Vec<usize> = (0..self.k).filter(|d| !have.contains(d)).collect();
        let parity: Vec<usize> = have.iter().copied().filter(|&h| h >= self.k).collect();
        if absent.len() != parity.len() {
            return None; // one unit twice
        }
        // For each parity unit p at hand: sum over absent d of c(p, d) * data(d) = p + sum over data at hand.
        // Left: the factors of the absent ones; right: those of `have`. Solved by elimination.
        let mut system: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(parity.len());
        for &p in &parity {
            let row = self.parity.get(p - self.k)?;
            let left = absent
                .iter()
                .map(|&d| row.get(d).copied())
                .collect::<Option<_>>()?;
            let right = have
                .iter()
                .map(|&h| match row.get(h) {
                    Some(&factor) => factor,
                    None => u8::from(h == p),
                })
                .collect();
            system.push((left, right));
        }
        for column in 0..system.len() {
            let pivot = (column..system.len()).find(|&row| at(&system, row, column) != 0)?;
            system.swap(column, pivot);
            let scale = inverse(at(&system, column, column));
            let (left, right) = system.get_mut(column)?;
            for factor in left.iter_mut().chain(right) {
                *factor = mul(*factor, scale);
            }
            let (left, right) = system.get(column)?.clone();
            for (row, (other_left, other_right)) in system.iter_mut().enumerate() {
                let factor = other_left.get(column).copied()?;
                if row != column && factor != 0 {
                    let pairs = left
                        .iter()
                        .zip(other_left)
                        .chain(right.iter().zip(other_right));
                    for (from, to) in pairs {
                        *to ^= mul(factor, *from);
                    }
                }
            }
        }
        Some(
            absent
                .into_iter()
                .zip(system.into_iter().map(|(_, right)| right))
                .collect(),
        )
    }

    /// Factors of the units of `have` in unit `index`.
    fn factors(
        &self,
        index: usize,
        have: &[usize],
        missing: &[(usize, Vec<u8>)],
    ) -> Option<Vec<u8>> {
        if index < self.k {
            let solved = missing.iter().find(|(absent, _)| *absent == index);
            return Some(match solved {
                Some((_, factors)) => factors.clone(),
                None => have.iter().map(|&h| u8::from(h == index)).collect(),
            });
        }
        let row = self.parity.get(index - self.k)?;
        let mut factors: Vec<u8> = have
            .iter()
            .map(|&h| row.get(h).copied().unwrap_or(0))
            .collect();
        for (absent, solution) in missing {
            let weight = row.get(*absent).copied()?;
            for (factor, part) in factors.iter_mut().zip(solution) {
                *factor ^= mul(weight, *part);
            }
        }
        Some(factors)
    }
}

/// Element of the left side of a system.
fn at(system: &[(Vec<u8>, Vec<u8>)], row: usize, column: usize) -> u8 {
    let left = system.get(row).map(|(left, _)| left);
    left.and_then(|left| left.get(column)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "tests may panic"
    )]

    use super::*;

    /// All N units of some data.
    fn units(code: &Code, length: usize) -> Vec<Vec<u8>> {
        let mut units: Vec<Vec<u8>> = (0..code.n())
            .map(|u| {
                (0..length)
                    .map(|i| (((i * 31 + 7) * (u * 57 + 13)) >> 3) as u8)
                    .collect()
            })
            .collect();
        let (data, parity) = units.split_at_mut(code.k());
        let data: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
        let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
        code.encode(&data, &mut parity);
        units
    }

    fn check(code: &Code, units: &[Vec<u8>], have: &[usize]) {
        let given: Vec<(usize, &[u8])> = have.iter().map(|&h| (h, units[h].as_slice())).collect();
        let mut out = vec![vec![0xaa; units[0].len()]; code.n()];
        let mut wanted: Vec<(usize, &mut [u8])> =
            out.iter_mut().map(Vec::as_mut_slice).enumerate().collect();
        assert!(code.rebuild(&given, &mut wanted));
        assert_eq!(out, units, "{}/{} from {have:?}", code.k(), code.n());
    }

    #[test]
    fn any_k_of_n_give_everything_back() {
        for n in 1..=9usize {
            for k in 1..=n {
                let code = Code::new(k, n).unwrap();
                let units = units(&code, 37);
                for subset in 0u32..1 << n {
                    if subset.count_ones() as usize == k {
                        let have: Vec<usize> = (0..n).filter(|i| subset >> i & 1 == 1).collect();
                        check(&code, &units, &have);
                    }
                }
            }
        }
    }

    #[test]
    fn large_codes_and_any_order_work() {
        for (k, n) in [
            (14, 16),
            (12, 16),
            (1, 255),
            (100, 255),
            (200, 255),
            (254, 255),
            (255, 255),
        ] {
            let code = Code::new(k, n).unwrap();
            let units = units(&code, 65);
            check(&code, &units, &(n - k..n).rev().collect::<Vec<_>>());
            check(
                &code,
                &units,
                &(0..n)
                    .step_by(2)
                    .chain((1..n).step_by(2))
                    .take(k)
                    .collect::<Vec<_>>(),
            );
        }
    }

    #[test]
    fn one_of_n_is_a_copy_and_the_first_parity_is_the_exclusive_or() {
        let copies = units(&Code::new(1, 5).unwrap(), 100);
        assert!(copies.iter().all(|unit| *unit == copies[0]));
        let units = units(&Code::new(3, 4).unwrap(), 100);
        assert!((0..100).all(|i| units[3][i] == units[0][i] ^ units[1][i] ^ units[2][i]));
    }

    #[test]
    fn impossible_codes_and_rebuilds_are_refused() {
        assert!(Code::new(0, 4).is_none());
        assert!(Code::new(5, 4).is_none());
        assert!(Code::new(4, 256).is_none());
        let code = Code::new(2, 4).unwrap();
        let unit = [1u8; 8];
        let mut out = [0u8; 8];
        for have in [
            vec![(0, &unit[..])],
            vec![(0, &unit[..]), (0, &unit[..])],
            vec![(3, &unit[..]), (3, &unit[..])],
            vec![(0, &unit[..]), (4, &unit[..])],
        ] {
            assert!(!code.rebuild(&have, &mut [(1, &mut out[..])]), "{have:?}");
        }
        let have = [(0, &unit[..]), (3, &unit[..])];
        assert!(!code.rebuild(&have, &mut [(4, &mut out[..])]));
    }
}
