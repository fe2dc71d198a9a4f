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

    /// Layers of these lengths under this profile.
    #[must_use]
    pub fn layers(self, lengths: &[u64]) -> Vec<LayerSpec> {
        let k = self.need();
        lengths
            .iter()
            .map(|&length| LayerSpec { k, length })
            .collect()
    }
}

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
