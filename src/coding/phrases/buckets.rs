//! Lengths and distances of matches in buckets: small ones alone, two to a power of two from there.

/// Lengths of a match begin here.
pub(super) const SHORTEST: u32 = 3;
/// Buckets of lengths, up to [`super::UNIT`].
pub(super) const LENGTHS: usize = 36;
/// Buckets of distances, below [`super::UNIT`]; bucket 0 is "as far as the last one".
pub(super) const DISTANCES: usize = 28;

/// A number in its bucket: which one, and the raw bits that tell the place in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: u32,
    pub(super) bits: u32,
    pub(super) rest: u32,
}

/// Half powers of two: `x` has at least two bits.
fn half(x: u32) -> Place {
    let bits = x.ilog2() - 1;
    Place {
        bucket: 2 * (bits + 1) + (x >> bits & 1),
        bits,
        rest: x & ((1 << bits) - 1),
    }
}

/// The bucket of a length from [`SHORTEST`] on.
#[inline]
pub(super) fn length(length: u32) -> Place {
    let over = length.saturating_sub(SHORTEST);
    if over < 16 {
        return Place {
            bucket: over,
            ..Place::default()
        };
    }
    let place = half(over);
    Place {
        bucket: place.bucket + 8,
        ..place
    }
}

/// The bucket of a distance.
#[inline]
pub(super) fn distance(distance: u32) -> Place {
    if distance < 4 {
        return Place {
            bucket: distance,
            ..Place::default()
        };
    }
    half(distance)
}

/// The least length in a bucket, and its raw bits.
#[inline]
pub(super) fn length_of(bucket: u32) -> (u32, u32) {
    if bucket < 16 {
        return (SHORTEST + bucket, 0);
    }
    let (least, bits) = distance_of(bucket - 8);
    (SHORTEST + least, bits)
}

/// The least distance in a bucket, and its raw bits.
#[inline]
pub(super) fn distance_of(bucket: u32) -> (u32, u32) {
    if bucket < 4 {
        return (bucket, 0);
    }
    let bits = bucket / 2 - 1;
    ((2 | bucket & 1) << bits, bits)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "tests may panic"
    )]

    use super::super::UNIT;
    use super::*;

    #[test]
    fn every_number_has_a_place() {
        for n in 0..u32::try_from(UNIT).unwrap() {
            let place = distance(n);
            let (least, bits) = distance_of(place.bucket);
            assert_eq!((least + place.rest, bits), (n, place.bits));
            assert!((place.bucket as usize) < DISTANCES && place.rest < 1 << bits);
        }
        for n in SHORTEST..=u32::try_from(UNIT).unwrap() {
            let place = length(n);
            let (least, bits) = length_of(place.bucket);
            assert_eq!((least + place.rest, bits), (n, place.bits));
            assert!((place.bucket as usize) < LENGTHS && place.rest < 1 << bits);
        }
    }
}
