//! A file's bytes in memory, with every state that a power cut may bring back.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use holofs::store::disk::Seek;
use rustix::io::Errno;

use crate::support::Rng;

/// The unit in which space is allocated and written back.
pub(crate) const PAGE: u64 = 4096;
/// The unit that a power cut leaves whole.
const SECTOR: usize = 512;

type Page = Arc<[u8; PAGE as usize]>;

/// How a power cut treats one thing that was not synced: the pure cases must not be rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As it was when it was last made durable.
    Old,
    /// As programs saw it last.
    New,
    /// Each part for itself, any state since it was made durable.
    Mixed,
}

impl Fate {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        *rng.pick(&[Self::Old, Self::New, Self::Mixed])
    }

    /// Which of `states`, the oldest of which is durable.
    pub(crate) fn of<T: Clone>(self, states: &[T], rng: &mut Rng) -> T {
        match self {
            Self::Old => states[0].clone(),
            Self::New => states[states.len() - 1].clone(),
            Self::Mixed => rng.pick(states).clone(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    size: u64,
    /// Allocated pages; zero behind the end of the file.
    pages: BTreeMap<u64, Page>,
    /// Size when it was last synced.
    durable_size: u64,
    /// The sizes it had since then lie in between.
    sizes: (u64, u64),
    /// The states, the durable one first, that a page had before this one.
    past: BTreeMap<u64, Vec<Option<Page>>>,
}

/// The pages that `bytes` touch, each with the part of it that they touch.
fn parts(bytes: Range<u64>) -> impl Iterator<Item = (u64, Range<usize>)> {
    let indices = bytes.start / PAGE..bytes.end.div_ceil(PAGE);
    let indices = if bytes.is_empty() { 0..0 } else { indices };
    indices.map(move |index| {
        let first = index * PAGE;
        let start = bytes.start.max(first) - first;
        let end = bytes.end.min(first + PAGE) - first;
        (index, start as usize..end as usize)
    })
}

impl Data {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Allocated pages.
    pub(crate) fn allocated(&self) -> u64 {
        self.pages.len() as u64
    }

    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let left = self.size.saturating_sub(offset);
        let length = buf.len().min(usize::try_from(left).unwrap());
        let mut at = 0;
        for (index, part) in parts(offset..offset + length as u64) {
            let here = &mut buf[at..at + part.len()];
            at += part.len();
            match self.pages.get(&index) {
                Some(page) => here.copy_from_slice(&page[part]),
                None => here.fill(0),
            }
        }
        length
    }

    /// Writes; like a full disk, it stops in the middle when more than `room` pages are needed.
    pub(crate) fn write(&mut self, buf: &[u8], offset: u64, mut room: u64) -> io::Result<()> {
        let mut rest = buf;
        for (index, part) in parts(offset..offset + buf.len() as u64) {
            let (here, after) = rest.split_at(part.len());
            rest = after;
            self.take_room(index, &mut room)?;
            let end = index * PAGE + part.end as u64;
            self.change(index, |page| page[part].copy_from_slice(here));
            self.resize(self.size.max(end));
        }
        Ok(())
    }

    pub(crate) fn set_len(&mut self, size: u64) {
        if size < self.size {
            self.zero(size..self.size, true);
        }
        // Space reserved behind the end goes too.
        let behind = size.div_ceil(PAGE);
        for index in self
            .pages
            .range(behind..)
            .map(|(i, _)| *i)
            .collect::<Vec<_>>()
        {
            self.drop_page(index);
        }
        self.resize(size);
    }

    /// fallocate(2): allocation (as zeros, which count as data), holes and zeros.
    pub(crate) fn allocate(
        &mut self,
        mode: u32,
        range: Range<u64>,
        mut room: u64,
    ) -> io::Result<()> {
        const KEEP_SIZE: u32 = 1;
        const PUNCH_HOLE: u32 = 2;
        const ZERO_RANGE: u32 = 0x10;
        if range.is_empty() {
            return Err(Errno::INVAL.into());
        }
        match mode & !KEEP_SIZE {
            PUNCH_HOLE if mode & KEEP_SIZE != 0 => {
                self.zero(range, true);
                return Ok(());
            }
            ZERO_RANGE => self.zero(range.clone(), false),
            0 => {}
            _ => return Err(Errno::OPNOTSUPP.into()),
        }
        for (index, _) in parts(range.clone()) {
            self.take_room(index, &mut room)?;
            if !self.pages.contains_key(&index) {
                self.change(index, |_| ());
            }
        }
        if mode & KEEP_SIZE == 0 {
            self.resize(self.size.max(range.end));
        }
        Ok(())
    }

    pub(crate) fn seek(&self, offset: u64, whence: Seek) -> io::Result<u64> {
        let nothing = io::Error::from(Errno::NXIO);
        if offset >= self.size {
            return Err(nothing);
        }
        let first = offset / PAGE;
        let found = match whence {
            Seek::Data => match self.pages.range(first..).next() {
                Some((index, _)) => index * PAGE,
                None => return Err(nothing),
            },
            Seek::Hole => {
                let mut indices = first..self.size.div_ceil(PAGE);
                let hole = indices.find(|index| !self.pages.contains_key(index));
                hole.map_or(self.size, |index| index * PAGE)
            }
        };
        if found >= self.size && whence == Seek::Data {
            return Err(nothing);
        }
        Ok(found.max(offset))
    }

    /// Makes the bytes and the size durable.
    pub(crate) fn sync(&mut self) {
        self.past.clear();
        self.durable_size = self.size;
        self.sizes = (self.size, self.size);
    }

    /// What a power cut leaves.
    pub(crate) fn crash(&self, rng: &mut Rng) -> Self {
        let fate = Fate::draw(rng);
        let (least, greatest) = self.sizes;
        let between = least + rng.below(greatest - least + 1);
        let size = fate.of(&[self.durable_size, least, between, self.size], rng);
        let mut left = Self {
            size,
            pages: self.pages.clone(),
            ..Self::default()
        };
        for (&index, past) in &self.past {
            let now = self.pages.get(&index).cloned();
            let states: Vec<_> = past.iter().cloned().chain([now]).collect();
            let page = if fate == Fate::Mixed && rng.below(2) == 0 {
                Some(torn(&states, rng))
            } else {
                fate.of(&states, rng)
            };
            match page {
                Some(page) => left.pages.insert(index, page),
                None => left.pages.remove(&index),
            };
        }
        left.zero(size..size.next_multiple_of(PAGE), false);
        left.pages.retain(|index, _| index * PAGE < size);
        left.sync();
        left
    }

    fn resize(&mut self, size: u64) {
        self.size = size;
        self.sizes = (self.sizes.0.min(size), self.sizes.1.max(size));
    }

    fn take_room(&self, index: u64, room: &mut u64) -> io::Result<()> {
        if !self.pages.contains_key(&index) {
            *room = room.checked_sub(1).ok_or(Errno::NOSPC)?;
        }
        Ok(())
    }

    /// Zeroes the pages that are there; with `drop`, whole ones become holes.
    fn zero(&mut self, bytes: Range<u64>, drop: bool) {
        for (index, part) in parts(bytes) {
            if !self.pages.contains_key(&index) {
                continue;
            }
            if drop && part.len() as u64 == PAGE {
                self.drop_page(index);
            } else {
                self.change(index, |page| page[part].fill(0));
            }
        }
    }

    fn drop_page(&mut self, index: u64) {
        let old = self.pages.remove(&index);
        self.past.entry(index).or_default().push(old);
    }

    fn change(&mut self, index: u64, how: impl FnOnce(&mut [u8; PAGE as usize])) {
        let old = self.pages.get(&index).cloned();
        let mut page = old.as_deref().copied().unwrap_or([0; PAGE as usize]);
        how(&mut page);
        self.past.entry(index).or_default().push(old);
        self.pages.insert(index, Arc::new(page));
    }
}

/// A page of which each sector is from another time.
fn torn(states: &[Option<Page>], rng: &mut Rng) -> Page {
    let mut page = [0; PAGE as usize];
    for (index, sector) in page.chunks_mut(SECTOR).enumerate() {
        if let Some(from) = rng.pick(states) {
            sector.copy_from_slice(&from[index * SECTOR..][..SECTOR]);
        }
    }
    Arc::new(page)
}
