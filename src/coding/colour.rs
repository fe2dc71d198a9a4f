//! Reversible colour transforms: three channels to luma and two of chroma, bit-exact.

/// A reversible transform of three channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transform {
    /// Channels as they are.
    None,
    /// `YCoCg`-R (H. Malvar, G. Sullivan, JVT-I014r3, 2003): luma, orange, green.
    Orange,
    /// G, R - G, B - G.
    Green,
    /// R, G - R, B - (G + R) / 2.
    Red,
}

/// All transforms, the numbers in files being their places here.
pub const ALL: [Transform; 4] = [
    Transform::None,
    Transform::Orange,
    Transform::Green,
    Transform::Red,
];

impl Transform {
    /// Its number in files.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Orange => 1,
            Self::Green => 2,
            Self::Red => 3,
        }
    }

    /// The transform with a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        ALL.get(usize::from(number)).copied()
    }

    /// 64 * log2 of the L2 norm of one unit of each transformed channel, in the channels.
    #[must_use]
    pub fn norms(self) -> [i16; 3] {
        match self {
            Self::None => [0, 0, 0],
            Self::Orange => [51, -32, -13],
            Self::Green => [51, 0, 0],
            Self::Red => [51, 10, 0],
        }
    }

    /// One pixel forwards. Channels must lie within +-2^24.
    #[inline]
    #[must_use]
    pub fn forward(self, [r, g, b]: [i32; 3]) -> [i32; 3] {
        match self {
            Self::None => [r, g, b],
            Self::Orange => {
                let orange = r - b;
                let t = b + (orange >> 1);
                let green = g - t;
                [t + (green >> 1), orange, green]
            }
            Self::Green => [g, r - g, b - g],
            Self::Red => [r, g - r, b - ((g + r) >> 1)],
        }
    }

    /// One pixel back; sums wrap.
    #[inline]
    #[must_use]
    pub fn inverse(self, [x, y, z]: [i32; 3]) -> [i32; 3] {
        match self {
            Self::None => [x, y, z],
            Self::Orange => {
                let mean = x.wrapping_sub(z >> 1);
                let blue = mean.wrapping_sub(y >> 1);
                [blue.wrapping_add(y), z.wrapping_add(mean), blue]
            }
            Self::Green => [y.wrapping_add(x), x, z.wrapping_add(x)],
            Self::Red => {
                let g = y.wrapping_add(x);
                [x, g, z.wrapping_add(g.wrapping_add(x) >> 1)]
            }
        }
    }

    /// Transforms planes of one length forwards.
    pub fn forward_planes(self, planes: [&mut [i32]; 3]) {
        match self {
            Self::None => {}
            Self::Orange => each(planes, |p| Self::Orange.forward(p)),
            Self::Green => each(planes, |p| Self::Green.forward(p)),
            Self::Red => each(planes, |p| Self::Red.forward(p)),
        }
    }

    /// Transforms planes of one length back.
    pub fn inverse_planes(self, planes: [&mut [i32]; 3]) {
        match self {
            Self::None => {}
            Self::Orange => each(planes, |p| Self::Orange.inverse(p)),
            Self::Green => each(planes, |p| Self::Green.inverse(p)),
            Self::Red => each(planes, |p| Self::Red.inverse(p)),
        }
    }
}

#[inline]
fn each([x, y, z]: [&mut [i32]; 3], change: impl Fn([i32; 3]) -> [i32; 3]) {
    for (x, (y, z)) in x.iter_mut().zip(y.iter_mut().zip(z)) {
        [*x, *y, *z] = change([*x, *y, *z]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]

    use super::*;

    #[test]
    fn every_transform_comes_back() {
        let steps = [0, 1, 2, 3, 127, 128, 200, 254, 255, 65_535];
        for transform in ALL {
            assert_eq!(Transform::from_number(transform.number()), Some(transform));
            for r in steps {
                for g in steps {
                    for b in steps {
                        let pixel = [r, g, b];
                        assert_eq!(transform.inverse(transform.forward(pixel)), pixel);
                    }
                }
            }
        }
        assert_eq!(Transform::from_number(4), None);
    }

    #[test]
    fn planes_are_pixels() {
        for transform in ALL {
            let (mut r, mut g, mut b) = (vec![1, 200, 30], vec![4, 5, 60], vec![255, 8, 9]);
            transform.forward_planes([&mut r, &mut g, &mut b]);
            assert_eq!([r[1], g[1], b[1]], transform.forward([200, 5, 8]));
            transform.inverse_planes([&mut r, &mut g, &mut b]);
            assert_eq!(
                (r, g, b),
                (vec![1, 200, 30], vec![4, 5, 60], vec![255, 8, 9])
            );
        }
    }
}
