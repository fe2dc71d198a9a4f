//! Which files are worth a base, by what their sketches have in common.

use std::collections::HashMap;

use super::Member;
use crate::store::dictionaries::Class;

/// Numbers that the sketches of two files of one family have in common.
const ALIKE: usize = 2;
/// Files with one number that are all compared with each other; of more, neighbours are.
const COMPARED: usize = 16;
/// What a file costs at least that shows nothing but a base.
pub(super) const LEAST_FILE: u64 = 900;
/// What a base costs, as small as it may be: files of a set, and their last blocks.
pub(super) const LEAST_BASE: u64 = 64 << 10;
/// Of a file that is coded against a base, at most one byte in so many is stored; else it has more to share.
const SHARED_WELL: u64 = 8;

/// Whether what a file holds may be shared, as far as it is not yet.
fn is_open(member: &Member) -> bool {
    let stored_well = member.based && member.stored < member.size / SHARED_WELL;
    !stored_well && member.stored > LEAST_FILE
}

/// Files of one class, in the order of their paths, that are likely to take less against a base that is not there yet.
/// Empty where none are, or too few of them have not been tried before.
pub(super) fn worth_a_base(all: &[Member], class: Class) -> Vec<Member> {
    let mut open: Vec<&Member> = all
        .iter()
        .filter(|member| member.class == class && is_open(member))
        .collect();
    open.sort_by(|a, b| a.path.cmp(&b.path));
    let mut by_number: HashMap<u32, Vec<usize>> = HashMap::new();
    for (i, member) in open.iter().enumerate() {
        for number in &member.sketch.0 {
            by_number.entry(*number).or_default().push(i);
        }
    }
    let mut families = Sets::new(open.len());
    // The most that each has in common with another.
    let mut alike = vec![0; open.len()];
    for files in by_number.values() {
        for (n, a) in files.iter().enumerate() {
            let window = if files.len() > COMPARED { 1 } else { COMPARED };
            for b in files.iter().skip(n + 1).take(window) {
                let (Some(first), Some(second)) = (open.get(*a), open.get(*b)) else {
                    continue;
                };
                let common = first.sketch.common(&second.sketch);
                if common < ALIKE.min(first.sketch.0.len()) {
                    continue;
                }
                families.join(*a, *b);
                for i in [a, b] {
                    if let Some(most) = alike.get_mut(*i) {
                        *most = common.max(*most);
                    }
                }
            }
        }
    }
    // For each family: what is shared of all, and of the one with the most of it.
    let mut shared: HashMap<usize, (u64, u64)> = HashMap::new();
    let mut chosen = Vec::new();
    let (mut stored, mut untried) = (0, 0);
    for (i, (member, common)) in open.iter().zip(&alike).enumerate() {
        if *common == 0 {
            continue;
        }
        let part = member.stored * *common as u64 / member.sketch.0.len().max(1) as u64;
        let (total, most) = shared.entry(families.of(i)).or_default();
        *total += part;
        *most = part.max(*most);
        stored += member.stored;
        untried += if member.tried { 0 } else { member.stored };
        chosen.push(*member);
    }
    let saved: u64 = shared.values().map(|(total, _)| *total).sum();
    // A base is protected better than files are, and coded better, all at once.
    let bases: u64 = shared.values().map(|(_, most)| *most).sum();
    let cost = bases + LEAST_BASE + chosen.len() as u64 * LEAST_FILE;
    if saved < cost + stored / 10 || untried < stored / 4 {
        return Vec::new();
    }
    chosen.into_iter().cloned().collect()
}

/// Numbers put together in sets.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// What stands for the set of a number.
    fn of(&mut self, mut number: usize) -> usize {
        loop {
            let above = self.0.get(number).copied().unwrap_or(number);
            if above == number {
                return number;
            }
            // The way is shorter next time.
            let next = self.0.get(above).copied().unwrap_or(above);
            if let Some(slot) = self.0.get_mut(number) {
                *slot = next;
            }
            number = next;
        }
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;
    use crate::codec::template::sketch::Sketch;

    const MINE: Class = Class {
        uid: 1000,
        public: true,
    };

    /// File `i` of a version: two versions of it have six of eight numbers in common.
    fn member(version: u32, i: u32) -> Member {
        let numbers = (0..8).map(|n| i * 100 + n + if n < 6 { 0 } else { 10 * (version + 1) });
        Member {
            ino: u64::from(version * 1000 + i),
            path: format!("{version}/{i}").into(),
            class: MINE,
            size: 40_000,
            stored: 10_000,
            based: false,
            tried: false,
            worded: false,
            sketch: Sketch(numbers.collect()),
        }
    }

    fn versions(count: u32, files: u32) -> Vec<Member> {
        let all = (0..count).flat_map(|version| (0..files).map(move |i| member(version, i)));
        all.collect()
    }

    #[test]
    fn two_versions_of_many_files_are_worth_a_base_and_few_files_are_not() {
        let two = versions(2, 100);
        assert_eq!(worth_a_base(&two, MINE).len(), 200);
        assert!(
            worth_a_base(
                &two,
                Class {
                    public: false,
                    ..MINE
                }
            )
            .is_empty()
        );
        assert!(worth_a_base(&versions(1, 200), MINE).is_empty());
        assert!(worth_a_base(&versions(2, 5), MINE).is_empty());
        // The more versions, the fewer files it takes.
        assert_eq!(worth_a_base(&versions(20, 2), MINE).len(), 40);
    }

    #[test]
    fn what_was_tried_or_shares_already_is_left_alone() {
        let mut two = versions(2, 100);
        for member in &mut two {
            member.tried = true;
        }
        assert!(worth_a_base(&two, MINE).is_empty());
        // A third version is a reason to look again.
        two.extend((0..100).map(|i| member(3, i)));
        assert_eq!(worth_a_base(&two, MINE).len(), 300);
        for member in &mut two {
            (member.based, member.stored) = (true, 1000);
        }
        assert!(worth_a_base(&two, MINE).is_empty());
    }
}
