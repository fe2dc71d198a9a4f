//! BLAKE3 in the three lengths holofs uses: 32 bytes for content and set ids, 16 for units.

use std::fmt;

/// A 32-byte BLAKE3 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A 16-byte check of bytes in their place: what `key` and `place` are not the same for never agrees.
pub type Tag = [u8; 16];

/// The first 16 bytes of the BLAKE3, keyed with `key`, of `bytes` followed by `place`. Callers of one key use places
/// of one length.
#[must_use]
pub fn tag(key: &Digest, bytes: &[u8], place: &[u8]) -> Tag {
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    hasher.update(bytes).update(place);
    let digest = hasher.finalize();
    std::array::from_fn(|i| digest.as_bytes().get(i).copied().unwrap_or_default())
}

/// Digest of a byte sequence that arrives in pieces.
#[derive(Debug, Default, Clone)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes added so far.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}
