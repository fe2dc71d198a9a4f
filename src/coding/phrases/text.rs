//! Many short byte strings in one buffer, and reading of slices that never fails.

/// The element at `i`, or the type's default.
#[inline]
pub(super) fn at<T: Copy + Default>(slice: &[T], i: usize) -> T {
    slice.get(i).copied().unwrap_or_default()
}

/// `x` as a `u32`: what is counted here stays far below 2^32.
#[inline]
pub(super) fn small(x: usize) -> u32 {
    u32::try_from(x).unwrap_or(u32::MAX)
}

/// Byte strings, one behind the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Strings {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all of them.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of all of them.
    pub(super) fn all(&self) -> &[u8] {
        &self.bytes
    }

    /// String `i`; empty where there is none.
    #[inline]
    pub(super) fn get(&self, i: usize) -> &[u8] {
        let start = match i.checked_sub(1) {
            Some(before) => at(&self.ends, before) as usize,
            None => 0,
        };
        let end = at(&self.ends, i) as usize;
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Adds a string at the end.
    pub(super) fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(small(self.bytes.len()));
    }

    /// Adds a string that begins with the first `shared` bytes of the last one.
    pub(super) fn push_onto(&mut self, shared: usize, rest: &[u8]) {
        let last = self.len().saturating_sub(1);
        let start = self.bytes.len() - self.get(last).len();
        let shared = shared.min(self.bytes.len() - start);
        self.bytes.extend_from_within(start..start + shared);
        self.push(rest);
    }

    /// All strings.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }
}

/// How many bytes `a` and `b` have in common at their beginnings.
#[inline]
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    let (wide_a, _) = a.as_chunks::<8>();
    let (wide_b, _) = b.as_chunks::<8>();
    let mut n = 0;
    for (x, y) in wide_a.iter().zip(wide_b) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return n + differ.trailing_zeros() as usize / 8;
        }
        n += 8;
    }
    let rest_a = a.get(n..).unwrap_or_default();
    let rest_b = b.get(n..).unwrap_or_default();
    n + rest_a
        .iter()
        .zip(rest_b)
        .take_while(|(x, y)| x == y)
        .count()
}
