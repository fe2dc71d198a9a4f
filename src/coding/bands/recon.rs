//! Reconstruction: where in its interval a coefficient of unknown low planes is put.

/// Magnitudes up to it are counted one by one.
const COUNTED: usize = 1024;

/// Where the values of a band are put: 16ths of the interval, for magnitudes of one step and for greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Centres {
    pub(super) one: u8,
    pub(super) more: u8,
}

impl Centres {
    /// Puts values, of which all below `shift` is unknown (and may be anything), where they are expected.
    pub(super) fn place_all(self, values: &mut [i32], shift: u8) {
        if shift >= 31 {
            values.fill(0);
            return;
        }
        let [one, more] = [self.one, self.more].map(|c| (i32::from(c) << shift) >> 4);
        let mask = -1_i32 << shift;
        for value in values {
            let sign = *value >> 31;
            let known = ((*value ^ sign) - sign) & mask;
            let rest = if known == 0 {
                0
            } else if known >> shift == 1 {
                one
            } else {
                more
            };
            *value = ((known | rest) ^ sign) - sign;
        }
    }
}

/// Sums over the unknown rests of one group of magnitudes.
#[derive(Debug, Clone, Copy, Default)]
struct Rests {
    count: u64,
    sum: u64,
    squares: u64,
}

impl Rests {
    fn add(&mut self, rest: u64, count: u64) {
        self.count += count;
        self.sum += rest * count;
        self.squares = self
            .squares
            .saturating_add((rest * rest).saturating_mul(count));
    }

    /// The best centre, in 16ths of `1 << shift`.
    fn centre(self, shift: u8) -> u8 {
        let width = self.count << shift;
        let centre = (self.sum * 16 + width / 2).checked_div(width).unwrap_or(8);
        u8::try_from(centre.min(15)).unwrap_or(8)
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn error(self, shift: u8) -> f64 {
        let rest = (u64::from(self.centre(shift)) << shift) >> 4;
        let twice = 2.0 * rest as f64 * self.sum as f64;
        self.squares as f64 - twice + self.count as f64 * (rest * rest) as f64
    }
}

/// What is known of the coefficients of all bands without looking at each again: for measuring and reconstructing.
#[derive(Debug, Clone)]
pub struct Survey {
    tails: Vec<Tail>,
}

impl Survey {
    /// Looks at all coefficients once.
    #[must_use]
    pub fn new(coefficients: &[Vec<i32>]) -> Self {
        let tails = coefficients.iter().map(|values| Tail::new(values));
        Self {
            tails: tails.collect(),
        }
    }

    /// What [`super::decode`] returns for layers that end at these shifts, without coding. The coefficients are those
    /// surveyed.
    #[must_use]
    pub fn reconstruct(&self, shifts: &[u8], coefficients: &[Vec<i32>]) -> Vec<Vec<i32>> {
        let bands = coefficients.iter().zip(shifts).zip(&self.tails);
        let band = |((values, &shift), tail): ((&Vec<i32>, &u8), &Tail)| {
            let mut values = values.clone();
            if shift > 0 {
                tail.centres(shift).place_all(&mut values, shift);
            }
            values
        };
        bands.map(band).collect()
    }

    pub(super) fn tail(&self, band: usize) -> Option<&Tail> {
        self.tails.get(band)
    }

    pub(super) fn tails(&self) -> &[Tail] {
        &self.tails
    }
}

/// How often each magnitude occurs in a band.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    counts: Vec<u32>,
    large: Vec<u32>,
    greatest: u32,
}

impl Tail {
    pub(super) fn new(values: &[i32]) -> Self {
        let mut counts = vec![0; COUNTED];
        let mut large = Vec::new();
        let mut greatest = 0;
        let mut zeros = 0;
        for values in values.chunks(8) {
            // Most are zeros.
            if values.iter().fold(0, |any, value| any | value) == 0 {
                zeros += values.len();
                continue;
            }
            for value in values {
                let magnitude = value.unsigned_abs();
                greatest = greatest.max(magnitude);
                match counts.get_mut(magnitude as usize) {
                    Some(count) => *count += 1,
                    None => large.push(magnitude),
                }
            }
        }
        if let Some(count) = counts.first_mut() {
            *count += u32::try_from(zeros).unwrap_or(0);
        }
        let used = (greatest as usize + 1).min(COUNTED);
        counts.truncate(used);
        Self {
            counts,
            large,
            greatest,
        }
    }

    /// The greatest magnitude.
    pub(super) fn greatest(&self) -> u32 {
        self.greatest
    }

    /// How many magnitudes are not zero at a shift.
    pub(super) fn significant(&self, shift: u8) -> u64 {
        let each = self.each().filter(|(magnitude, _)| magnitude >> shift != 0);
        each.map(|(_, count)| count).sum()
    }

    fn each(&self) -> impl Iterator<Item = (u32, u64)> {
        let small = (0..).zip(self.counts.iter().map(|&count| u64::from(count)));
        small.chain(self.large.iter().map(|&magnitude| (magnitude, 1)))
    }

    /// Rests of magnitudes of no step, of one, and of more.
    fn rests(&self, shift: u8) -> [Rests; 3] {
        let [mut zero, mut one, mut more] = [Rests::default(); 3];
        for (magnitude, count) in self.each() {
            let steps = magnitude >> shift;
            let rest = u64::from(magnitude - (steps << shift));
            match steps {
                0 => zero.add(rest, count),
                1 => one.add(rest, count),
                _ => more.add(rest, count),
            }
        }
        [zero, one, more]
    }

    /// The best centres at a shift.
    pub(super) fn centres(&self, shift: u8) -> Centres {
        let [_, one, more] = self.rests(shift);
        Centres {
            one: one.centre(shift),
            more: more.centre(shift),
        }
    }

    /// The squared error at a shift with the best centres; `None` beyond the shift that leaves only zeros.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn error(&self, shift: u8) -> Option<f64> {
        if shift > 28 || (shift > 0 && self.greatest >> (shift - 1) == 0) {
            return None;
        }
        let [zero, one, more] = self.rests(shift);
        Some(zero.squares as f64 + one.error(shift) + more.error(shift))
    }
}
