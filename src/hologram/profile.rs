//! Protection profiles: how many chunks there are and how many of them are enough.

use std::fmt;
use std::str::FromStr;

use crate::format::LayerSpec;

/// How much loss a set withstands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// One chunk: hashes only.
    None,
    /// Exact from any 15 of 16 chunks, 7 % more bytes.
    Light,
    /// Exact from any 14 of 16 chunks, 14 % more bytes.
    #[default]
    Standard,
    /// Exact from any 12 of 16 chunks, 33 % more bytes.
    Strong,
    /// Exact from any `k` of `n` chunks, 1 <= k <= n.
    Custom {
        /// Chunks.
        n: u8,
        /// Enough of them.
        k: u8,
    },
}

impl Profile {
    /// The profile that is exact from any `k` of `n`; a named one where there is one.
    #[must_use]
    pub fn of(k: u8, n: u8) -> Option<Self> {
        let named = [Self::None, Self::Light, Self::Standard, Self::Strong];
        let found = named.into_iter().find(|p| (p.need(), p.chunks()) == (k, n));
        found.or((1 <= k && k <= n).then_some(Self::Custom { n, k }))
    }

    /// Chunks of a set.
    #[must_use]
    pub fn chunks(self) -> u8 {
        match self {
            Self::None => 1,
            Self::Light | Self::Standard | Self::Strong => 16,
            Self::Custom { n, .. } => n,
        }
    }

    /// Chunks that are enough for everything.
    #[must_use]
    pub fn need(self) -> u8 {
        match self {
            Self::None => 1,
            Self::Light => 15,
            Self::Standard => 14,
            Self::Strong => 12,
            Self::Custom { k, .. } => k,
        }
    }

    /// How many layers of lower quality a medium gets: none where there is but one chunk to lose.
    #[must_use]
    pub fn previews(self) -> usize {
        match self.chunks() {
            1 => 0,
            _ => PREVIEWS.len(),
        }
    }

    /// Layers of these lengths under this profile: the last one as the profile says, those before it readable from
    /// fewer chunks, with 14 enough for everything from 1, 4, 8, 12.
    #[must_use]
    pub fn layers(self, lengths: &[u64]) -> Vec<LayerSpec> {
        let need = self.need();
        let before = lengths.len().saturating_sub(1);
        let previews = PREVIEWS
            .iter()
            .map(|k| u16::from(*k) * u16::from(need) / 14);
        let previews = previews.map(|k| u8::try_from(k).unwrap_or(need).max(1));
        // A codec with more layers than there are levels has the rest where the exact one is.
        let needs = previews.chain(std::iter::repeat(need)).take(before);
        lengths
            .iter()
            .zip(needs.chain([need]))
            .map(|(&length, k)| LayerSpec { k, length })
            .collect()
    }
}

/// Chunks that are enough for each level of a medium, where 14 are enough for everything.
const PREVIEWS: [u8; 4] = [1, 4, 8, 12];

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Light => f.write_str("light"),
            Self::Standard => f.write_str("standard"),
            Self::Strong => f.write_str("strong"),
            Self::Custom { n, k } => write!(f, "{k}/{n}"),
        }
    }
}

/// What is wrong with the name of a profile.
#[derive(Debug, thiserror::Error)]
#[error("profile {0:?} is none of none, light, standard, strong, K/N with 1 <= K <= N <= 255")]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    /// The names, and "13/16" for exact from any 13 of 16.
    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let custom = || {
            let (k, n) = text.split_once('/')?;
            Self::of(k.parse().ok()?, n.parse().ok()?)
        };
        match text {
            "none" => Some(Self::None),
            "light" => Some(Self::Light),
            "standard" => Some(Self::Standard),
            "strong" => Some(Self::Strong),
            _ => custom(),
        }
        .ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn levels_come_from_ever_more_chunks() {
        let needs = |profile: Profile, layers: &[u64]| {
            let layers = profile.layers(layers);
            layers.iter().map(|layer| layer.k).collect::<Vec<_>>()
        };
        let five = [9, 8, 7, 6, 5];
        assert_eq!(needs(Profile::Standard, &five), [1, 4, 8, 12, 14]);
        assert_eq!(needs(Profile::Light, &five), [1, 4, 8, 12, 15]);
        assert_eq!(needs(Profile::Strong, &five), [1, 3, 6, 10, 12]);
        assert_eq!(needs(Profile::Strong, &[9]), [12]);
        for n in 1..=255 {
            for k in 1..=n {
                let profile = Profile::of(k, n).unwrap();
                let needs = needs(profile, &[1; 7]);
                assert!(needs.is_sorted() && needs.iter().all(|need| (1..=k).contains(need)));
                assert_eq!(needs.last(), Some(&k));
            }
        }
    }

    #[test]
    fn names_read_back_as_what_they_name() {
        for text in [
            "none", "light", "standard", "strong", "13/16", "1/255", "255/255",
        ] {
            let profile: Profile = text.parse().unwrap();
            assert_eq!(profile.to_string(), text);
            assert_eq!(Profile::of(profile.need(), profile.chunks()), Some(profile));
        }
        assert_eq!("14/16".parse::<Profile>().unwrap(), Profile::Standard);
        for text in ["", "None", "0/4", "5/4", "4/256", "4", "-1/4", "1/2/3"] {
            assert!(text.parse::<Profile>().is_err(), "{text}");
        }
    }
}
