//! Making files share: a base of what they hold alike, and each of them coded against it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Member;
use super::find::{LEAST_BASE, LEAST_FILE, worth_a_base};
use crate::codec::template::sketch::Sketch;
use crate::codec::template::{Base, Common, Template};
use crate::codec::{Codec, Medium, stored::Stored};
use crate::coding::hash::Digest;
use crate::format::ObjectKind;
use crate::store::Result;
use crate::store::dictionaries::{Class, Draft};
use crate::store::encode::{Again, Against, Of};
use crate::store::locate::Found;
use crate::store::node::Node;
use crate::store::object::Object;
use crate::store::tree::Store;
use crate::store::walk::{Held, find};

/// How long files that are in use, or linger, are left alone.
const LATER: Duration = Duration::from_mins(10);
/// Shorter bases are not made.
const LEAST_SHARED: usize = 16 << 10;
/// Bytes of parity in a base for 12 bytes of it.
pub(super) const PARITY: u64 = 4;
/// What must be saved in all, of what files take: one byte in so many.
pub(super) const SAVED: u64 = 10;

/// What became of the files looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// Nothing to do at present.
    Nothing,
    /// Something was done; there may be more.
    Some,
}

/// A file that can be coded again.
pub(super) struct Usable<'a> {
    pub(super) member: Member,
    pub(super) held: Held<'a>,
}

impl Store {
    /// Notes what a file has to share, now that it is encoded.
    pub(crate) fn note_member(&self, node: &Arc<Node>, object: &Object, sketch: Option<Sketch>) {
        let Ok(own) = self.own() else { return };
        let Some(mut member) = self.member(node, object) else {
            return;
        };
        let sketch = match sketch {
            None if self.families.check(&member) => return,
            None => Sketch::of(&Of(object)),
            Some(sketch) => Ok(sketch),
        };
        match sketch {
            Ok(sketch) => {
                member.sketch = sketch;
                self.families.note(own.base.as_ref(), member);
            }
            Err(e) => log::debug!("{}: not looked through: {e}", member.path.display()),
        }
    }

    /// A file, before it was looked through; `None` where it is nothing to share.
    fn member(&self, node: &Arc<Node>, object: &Object) -> Option<Member> {
        let size = object.descriptor().size;
        let codec = object.codec().map(Codec::id);
        let fits = codec == Some(Template.id()) || codec == Some(Stored.id());
        let file = object.descriptor().kind == ObjectKind::File;
        if !file || !fits || object.medium() != Medium::Other || size > Base::MOST {
            return None;
        }
        let needs = object.needs();
        Some(Member {
            ino: node.ino,
            path: node.path()?,
            class: Class::of_object(object),
            size,
            stored: object.stored_bytes(),
            based: needs.iter().any(|id| self.dictionaries.is_base(id)),
            tried: false,
            worded: needs.iter().any(|id| !self.dictionaries.is_base(id)),
            sketch: Sketch::default(),
        })
    }

    /// Looks through a file that was encoded before, unless it is known well.
    pub(crate) fn recall_member(&self, node: &Arc<Node>) {
        let Ok(own) = self.own() else { return };
        if !self.families.knows(own.base.as_ref(), node.ino)
            && let Ok(Some(object)) = self.encoded(node.ino)
        {
            self.note_member(node, &object, None);
        }
    }

    /// Looks once for files that share much, and has them do so. `go_on` is asked now and then, with a path at work.
    /// `now`: whatever was put off is looked at, too.
    ///
    /// # Errors
    /// What the medium says. Files that cannot be coded again stay as they are.
    pub(crate) fn share(&self, now: bool, go_on: &mut dyn FnMut(&Path) -> bool) -> Result<Shared> {
        let own = self.own()?;
        let _working = self.families.working.lock();
        let (mut all, mut classes) = (Vec::new(), Vec::new());
        {
            let mut state = self.families.loaded(own.base.as_ref());
            let due = now || state.next.is_none_or(|next| next <= Instant::now());
            if !state.fresh || !due {
                return Ok(Shared::Nothing);
            }
            (state.fresh, state.next) = (false, None);
            all.extend(state.members.values().map(|(_, member)| member.clone()));
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        for member in &all {
            if !classes.contains(&member.class) {
                classes.push(member.class);
            }
        }
        let mut done = Shared::Nothing;
        for class in classes {
            let mut shared = self.share_class(&all, class, go_on)?;
            // What shares long stretches comes first.
            if shared == Shared::Nothing {
                shared = self.share_words(&all, class, go_on)?;
            }
            if shared == Shared::Some {
                self.families.state.lock().fresh = true;
                done = Shared::Some;
            }
        }
        self.families.save(own.base.as_ref());
        Ok(done)
    }

    fn share_class(
        &self,
        all: &[Member],
        class: Class,
        go_on: &mut dyn FnMut(&Path) -> bool,
    ) -> Result<Shared> {
        let own = self.own()?;
        let done = self.adopt(all, class, go_on)?;
        let wanted = worth_a_base(all, class);
        let mut usable: Vec<Usable<'_>> = Vec::new();
        for member in wanted {
            if let Some(found) = self.usable(member) {
                usable.push(found);
            }
        }
        // Without those in use it may not be worth it.
        let members: Vec<Member> = usable.iter().map(|u| u.member.clone()).collect();
        if members.is_empty() || worth_a_base(&members, class).is_empty() || done == Shared::Some {
            return Ok(done);
        }
        let mut common = Common::default();
        let mut taken = 0;
        for file in &usable {
            if !self.wanted(go_on, &file.member.path) {
                return Ok(done);
            }
            let rest = self.content(file).map(|content| {
                let bases = self.dictionaries.fitting_bases(class, &file.member.sketch);
                Base::rest(&bases, &content)
            });
            if !common.add(&rest.unwrap_or_default()) {
                break;
            }
            taken += 1;
        }
        usable.truncate(taken);
        let bytes = common.finish();
        let id = Digest::of(&bytes);
        let base = Base::new(id, bytes).filter(|base| base.bytes().len() >= LEAST_SHARED);
        let Some(base) = base.map(Arc::new) else {
            self.in_vain(&usable);
            return Ok(Shared::Some);
        };
        if !self.wanted(go_on, Path::new("")) {
            return Ok(done);
        }
        let Some(draft) = Draft::of(own, &base, &|| !self.queue.is_stopped())? else {
            return Ok(done);
        };
        let cost = draft.length + draft.length * PARITY / 12 + LEAST_BASE / 2;
        let (mut before, mut after) = (0, cost);
        for file in &usable {
            if !self.wanted(go_on, &file.member.path) {
                return Ok(done);
            }
            let stored = file.member.stored;
            before += stored;
            after += self.content(file).map_or(stored, |content| {
                let own = content.len().saturating_sub(base.shares(&content)) as u64;
                let own = stored * own / file.member.size.max(1);
                (LEAST_FILE + own + own / 4).min(stored)
            });
        }
        log::debug!(
            "{} files take {before} bytes, and {after} with a base of {} bytes that takes {cost}",
            usable.len(),
            base.bytes().len()
        );
        if after > before - before / SAVED {
            self.in_vain(&usable);
            return Ok(Shared::Some);
        }
        self.dictionaries.put_base(own, draft, class)?;
        for file in &usable {
            if !self.wanted(go_on, &file.member.path) {
                break;
            }
            self.again(file, Against::Bases(&[Arc::clone(&base)]));
        }
        Ok(Shared::Some)
    }

    /// Codes files against bases that are there already and that they are not coded against.
    fn adopt(
        &self,
        all: &[Member],
        class: Class,
        go_on: &mut dyn FnMut(&Path) -> bool,
    ) -> Result<Shared> {
        let mut done = Shared::Nothing;
        let there = self.dictionaries.all()?;
        if !there.iter().any(|known| known.base && known.class == class) {
            return Ok(done);
        }
        let mine = all.iter().filter(|member| member.class == class);
        for member in mine.filter(|member| !member.based && !member.tried) {
            if !self.wanted(go_on, &member.path) {
                break;
            }
            let bases = self.dictionaries.fitting_bases(class, &member.sketch);
            if bases.is_empty() {
                continue;
            }
            if let Some(file) = self.usable(member.clone())
                && self.again(&file, Against::Bases(&bases))
            {
                done = Shared::Some;
            }
        }
        Ok(done)
    }

    pub(super) fn wanted(&self, go_on: &mut dyn FnMut(&Path) -> bool, at: &Path) -> bool {
        let wanted = !self.queue.is_stopped() && go_on(at);
        if !wanted {
            self.later();
        }
        wanted
    }

    /// The file of a member, unless it is in use; one that is not what it was is forgotten.
    pub(super) fn usable(&self, member: Member) -> Option<Usable<'_>> {
        let held = find(self, &member.path).ok();
        let held = held.filter(|held| held.ino() == member.ino);
        let found = held
            .as_ref()
            .and_then(|held| self.found_of(held.ino()).ok()?);
        let (Some(held), Some(found)) = (held, found) else {
            self.forget_member(&member);
            return None;
        };
        match found {
            Found::Encoded { object, .. } => {
                if Class::of_object(&object) != member.class {
                    self.forget_member(&member);
                    return None;
                }
                let open = self.nodes.get(held.ino()).is_ok_and(|node| node.is_open());
                let same = object.stored_bytes() == member.stored;
                if open {
                    self.later();
                }
                (same && !open).then_some(Usable { member, held })
            }
            // Its decoded copy is beside it.
            Found::Pair { .. } => {
                self.later();
                None
            }
            _ => {
                self.forget_member(&member);
                None
            }
        }
    }

    fn forget_member(&self, member: &Member) {
        if let Ok(own) = self.own() {
            self.families.forget(own.base.as_ref(), member.ino);
        }
    }

    fn later(&self) {
        let mut state = self.families.state.lock();
        state.fresh = true;
        state.next.get_or_insert_with(|| Instant::now() + LATER);
    }

    pub(super) fn content(&self, file: &Usable<'_>) -> Option<Vec<u8>> {
        let object = self.encoded(file.held.ino()).ok()??;
        let size = object.descriptor().size;
        let mut content = vec![0; usize::try_from(size).ok().filter(|_| size <= Base::MOST)?];
        let read = object.read_at(0, &mut content);
        (read.ok()? == content.len()).then_some(content)
    }

    /// Codes a file anew, if that makes it smaller; `false` where it is in use.
    pub(super) fn again(&self, file: &Usable<'_>, against: Against<'_>) -> bool {
        let Ok(node) = self.nodes.get(file.held.ino()) else {
            return false;
        };
        match self.encode_again(&node, against) {
            Ok(Again::Encoded(object)) => {
                self.note_member(&node, &object, Some(file.member.sketch.clone()));
            }
            Ok(Again::Busy) => {
                self.later();
                return false;
            }
            Ok(Again::NoSmaller) => self.in_vain(std::slice::from_ref(file)),
            Err(e) => {
                log::warn!("{}: stays as it is: {e}", file.member.path.display());
                self.in_vain(std::slice::from_ref(file));
            }
        }
        true
    }

    fn in_vain(&self, files: &[Usable<'_>]) {
        for file in files {
            self.families
                .change(file.member.ino, |member| member.tried = true);
        }
    }
}
