//! Judging files: what a status means for their owner, and the sum over many.

use crate::store::{FileStatus, State};

/// How much of a file, or of the worst of many, is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All of it, with all its redundancy; or it is plain and has none.
    Clean,
    /// All of it, but some of its redundancy is gone.
    Recoverable,
    /// It can be read at reduced quality only.
    Reduced,
    /// It cannot be read.
    Lost,
}

impl Verdict {
    /// Judges one file.
    #[must_use]
    pub fn of(file: &FileStatus) -> Self {
        match file.state {
            State::Lost => Self::Lost,
            State::Degraded => Self::Reduced,
            State::Exact if !file.damage.is_empty() || file.chunks.have < file.chunks.total => {
                Self::Recoverable
            }
            State::Exact | State::Plain | State::Pending => Self::Clean,
        }
    }
}

/// Counts over the files of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Sum {
    /// Files looked at.
    pub files: u64,
    /// Of these, plain: nothing protects them, and nothing tells whether they changed.
    pub unprotected: u64,
    /// Damaged within their protection.
    pub recoverable: u64,
    /// At reduced quality only.
    pub reduced: u64,
    /// Not readable.
    pub lost: u64,
}

impl Sum {
    /// Adds one file and judges it.
    pub fn add(&mut self, file: &FileStatus) -> Verdict {
        self.files += 1;
        if matches!(file.state, State::Plain | State::Pending) {
            self.unprotected += 1;
        }
        let verdict = Verdict::of(file);
        match verdict {
            Verdict::Clean => {}
            Verdict::Recoverable => self.recoverable += 1,
            Verdict::Reduced => self.reduced += 1,
            Verdict::Lost => self.lost += 1,
        }
        verdict
    }

    /// The worst of all files added.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self { lost: 1.., .. } => Verdict::Lost,
            Self { reduced: 1.., .. } => Verdict::Reduced,
            Self {
                recoverable: 1.., ..
            } => Verdict::Recoverable,
            _ => Verdict::Clean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ChunkCount;

    fn file(state: State, have: u16, damage: &[&str]) -> FileStatus {
        FileStatus {
            state,
            codec: "stored".into(),
            size: 1,
            stored: 1,
            chunks: ChunkCount {
                have,
                need: 14,
                total: 16,
            },
            quality_db: None,
            reason: String::new(),
            damage: damage.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_worst_file_decides() {
        let mut sum = Sum::default();
        assert_eq!(sum.add(&file(State::Exact, 16, &[])), Verdict::Clean);
        assert_eq!(sum.add(&file(State::Plain, 0, &[])), Verdict::Clean);
        assert_eq!(sum.verdict(), Verdict::Clean);
        assert_eq!(sum.add(&file(State::Exact, 15, &[])), Verdict::Recoverable);
        assert_eq!(
            sum.add(&file(State::Exact, 16, &["a bad unit"])),
            Verdict::Recoverable
        );
        assert_eq!(sum.add(&file(State::Lost, 3, &[])), Verdict::Lost);
        assert_eq!(sum.add(&file(State::Degraded, 9, &[])), Verdict::Reduced);
        assert_eq!(sum.verdict(), Verdict::Lost);
        assert_eq!((sum.files, sum.unprotected, sum.recoverable), (6, 1, 2));
    }
}
