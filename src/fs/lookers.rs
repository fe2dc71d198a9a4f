//! Who looks at what they list: `ls -l` does, `find` does not, the kernel asks for both alike.
//!
//! Attributes with the names (readdirplus) spare a program like `ls -l` one request per name; to one that only wants
//! names they are work for nothing. The kernel asks for attributes at the start of every listing, so that we must
//! tell the two apart: a process that listed names without attributes and then looks a file up gets attributes with
//! its next listings. Directories do not count: a walk must look them up to go into them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Processes remembered at a time; they share slots by their number, and the last one wins.
const SLOTS: usize = 256;
/// A listing of so few names comes with attributes for everybody: that costs less than a second request.
const FEW: usize = 8;

/// What processes did lately.
#[derive(Debug)]
pub(super) struct Lookers {
    /// Process and directory of its last listing without attributes, mixed into one number.
    listed: [AtomicU64; SLOTS],
    /// Processes that then looked at a file there.
    looking: [AtomicU32; SLOTS],
}

impl Default for Lookers {
    fn default() -> Self {
        Self {
            listed: [const { AtomicU64::new(0) }; SLOTS],
            looking: [const { AtomicU32::new(0) }; SLOTS],
        }
    }
}

/// The slot of a process; any one does for a table that is only a guess.
fn slot<T>(table: &[T; SLOTS], pid: u32) -> &T {
    let [first, ..] = table;
    let index = usize::try_from(pid).unwrap_or(0) % SLOTS;
    table.get(index).unwrap_or(first)
}

fn key(pid: u32, dir: u64) -> u64 {
    dir.rotate_left(32) ^ u64::from(pid)
}

impl Lookers {
    /// Whether a listing of `names` names for this process should come with attributes.
    pub(super) fn wants_attributes(&self, pid: u32, names: usize) -> bool {
        names <= FEW || slot(&self.looking, pid).load(Ordering::Relaxed) == pid
    }

    /// A process got names without attributes.
    pub(super) fn listed(&self, pid: u32, dir: u64) {
        slot(&self.listed, pid).store(key(pid, dir), Ordering::Relaxed);
    }

    /// A process looked up something that is not a directory.
    pub(super) fn looked_up(&self, pid: u32, dir: u64) {
        if slot(&self.listed, pid).load(Ordering::Relaxed) == key(pid, dir) {
            slot(&self.looking, pid).store(pid, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_go_to_those_who_looked() {
        let lookers = Lookers::default();
        assert!(!lookers.wants_attributes(42, 100));
        assert!(lookers.wants_attributes(42, 3), "a few cost nothing");
        lookers.looked_up(42, 7);
        assert!(!lookers.wants_attributes(42, 100), "it listed nothing");
        lookers.listed(42, 7);
        lookers.looked_up(42, 8);
        assert!(!lookers.wants_attributes(42, 100), "it looked elsewhere");
        lookers.looked_up(42, 7);
        assert!(lookers.wants_attributes(42, 100));
        assert!(!lookers.wants_attributes(43, 100), "another process");
    }
}
