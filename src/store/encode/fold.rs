//! Folding: a file and the overlays of its variants become one object, a bundle of all of them.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::super::context::Context;
use super::super::disk::{Access, File, Meta, read_exact_at};
use super::super::locate::{self, Found};
use super::super::names;
use super::super::node::{Identity, Node};
use super::super::object::MOST_VARIANTS;
use super::super::pairs::hash_file;
use super::super::policy::CodecChoice;
use super::super::tree::Store;
use super::super::{Error, Result};
use super::{Candidate, Outcome, Plain, Plan, SetName, Subject, Wish};
use crate::codec::Content;
use crate::format::bundle::{Bundle, Entry, What};
use crate::format::{Digest, ObjectKind, Time};

/// One variant before it is encoded.
struct Part {
    context: Context,
    file: Arc<dyn File>,
    meta: Meta,
    hash: Digest,
}

/// A bundle as the content of an encoder: its table, then the variants.
struct Folded<'a> {
    table: Vec<u8>,
    parts: &'a [Part],
}

impl Content for Folded<'_> {
    fn size(&self) -> u64 {
        let sizes = self.parts.iter().map(|part| part.meta.size);
        self.table.len() as u64 + sizes.sum::<u64>()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut rest = buf;
        let mut at = offset;
        if let Some(table) = usize::try_from(at).ok().and_then(|at| self.table.get(at..)) {
            let (piece, after) = rest.split_at_mut(rest.len().min(table.len()));
            piece.copy_from_slice(table.get(..piece.len()).ok_or_else(end)?);
            at += piece.len() as u64;
            rest = after;
        }
        let mut start = self.table.len() as u64;
        for part in self.parts {
            let size = part.meta.size;
            if let Some(inside) = at.checked_sub(start).filter(|inside| *inside < size) {
                let here = usize::try_from(size - inside).map_or(rest.len(), |n| n.min(rest.len()));
                let (piece, after) = rest.split_at_mut(here);
                read_exact_at(part.file.as_ref(), piece, inside)?;
                at += here as u64;
                rest = after;
            }
            start += size;
        }
        if rest.is_empty() { Ok(()) } else { Err(end()) }
    }
}

impl Store {
    /// Encodes a file that has these overlays together with them, if the policy (or the wish) lets it and it is free.
    pub(super) fn fold(
        &self,
        node: &Arc<Node>,
        contexts: &BTreeSet<Context>,
        wish: Option<Wish<'_>>,
    ) -> Result<Outcome> {
        if self.is_folded(node, contexts)? {
            return Ok(Outcome::Already);
        }
        let path = node.path().ok_or(Error::NotFound)?;
        let name = node.link().ok_or(Error::NotFound)?.name;
        let size = self.size_with(node, contexts)?;
        let decision = self.policy.decide(&path, size);
        let wish = wish.unwrap_or_default();
        let by_policy = matches!(decision.codec, CodecChoice::Plain) && wish.codec.is_none();
        // Whoever makes variants wants them in one: how small they are does not matter.
        let wish = Wish {
            codec: Some(wish.codec.unwrap_or("template")),
            ..wish
        };
        let plan = Plan::of(&decision, wish);
        let (Some(disk_name), Plan::Encode(how), false) = (names::encoded(&name), &plan, by_policy)
        else {
            return Ok(Outcome::Kept);
        };
        if contexts.len() >= MOST_VARIANTS {
            return Ok(Outcome::Kept);
        }
        {
            let _turn = node.turn.lock();
            if node.is_open() {
                return Ok(Outcome::Busy); // one variant is shown to those who have it open
            }
            let link = node.link().ok_or(Error::NotFound)?;
            let dir = self.dir(&link.parent)?;
            if locate::is_taken(&dir, &link.name)? {
                return Ok(Outcome::Kept);
            }
            self.make_plain(node)?;
            self.drop_parked(node);
        }
        let Some(Plain { dir, disk, meta }) = self.plain_file(node)? else {
            return Ok(Outcome::Busy);
        };
        if meta.nlink > 1 {
            return Ok(Outcome::Kept);
        }
        let candidate = Candidate::open(dir.as_ref(), disk)?;
        // What was the object's other variants has become overlays too.
        let parts = self.parts(node, &candidate, &self.overlays_of(node.file())?)?;
        let bundle = bundle(node.file(), &parts).map_err(|source| Error::Format {
            name: name.display().to_string(),
            source,
        })?;
        let content = Folded {
            table: bundle,
            parts: &parts,
        };
        let subject = Subject {
            kind: ObjectKind::Variants,
            content: &content,
            holes: Vec::new(),
        };
        let names = SetName { name, disk_name };
        let outcome = self.encode_candidate(node, &candidate, &subject, how, &names)?;
        if outcome == Outcome::Encoded && !self.retire_overlays(node, &parts)? {
            return Ok(Outcome::Busy);
        }
        Ok(outcome)
    }

    /// Bytes of a file with its overlays.
    fn size_with(&self, node: &Arc<Node>, contexts: &BTreeSet<Context>) -> Result<u64> {
        let attr = self.attr_of_node(node)?;
        let mut size = attr.size;
        for context in contexts {
            if let Some(overlay) = self.overlay(node.file(), context)? {
                size = size.saturating_add(overlay.meta.size);
            }
        }
        Ok(size)
    }

    /// Whether all overlays are in the file's object already; they go then.
    fn is_folded(&self, node: &Arc<Node>, contexts: &BTreeSet<Context>) -> Result<bool> {
        let _turn = node.turn.lock();
        let link = node.link().ok_or(Error::NotFound)?;
        let dir = self.dir(&link.parent)?;
        let (names, found) = self.found(&link.parent, &dir, &link.name)?;
        drop(names);
        let Some(Found::Encoded { object, .. } | Found::Pair { object, .. }) = found else {
            return Ok(false);
        };
        if node.is_written() {
            return Ok(false);
        }
        for context in contexts {
            let entry = object.variants().iter().find(|v| v.context == *context);
            let (Some(entry), Some(overlay)) = (entry, self.overlay(node.file(), context)?) else {
                return Ok(false);
            };
            let times = entry.mtime == overlay.meta.mtime;
            if overlay.meta.size != entry.size || !times {
                return Ok(false);
            }
            let file = overlay.open(Access::Read)?;
            let hash = hash_file(file.as_ref(), entry.size, &|| self.may_go_on(node))?;
            if hash != entry.hash {
                return Ok(false);
            }
        }
        // The set was durable before it had its name, and so is its name before they go.
        dir.sync()?;
        for context in contexts {
            self.remove_overlay(node.file(), context)?;
        }
        Ok(true)
    }

    /// The variants of a file as they are now, the default one first.
    fn parts(
        &self,
        node: &Arc<Node>,
        candidate: &Candidate,
        contexts: &BTreeSet<Context>,
    ) -> Result<Vec<Part>> {
        let go_on = || self.may_go_on(node);
        let part = |context: Context, file: Arc<dyn File>, meta: Meta| -> Result<Part> {
            let hash = hash_file(file.as_ref(), meta.size, &go_on)?;
            Ok(Part {
                context,
                file,
                meta,
                hash,
            })
        };
        let file = Arc::clone(&candidate.file);
        let mut parts = vec![part(Context::default(), file, candidate.meta)?];
        for context in contexts {
            if let Some(overlay) = self.overlay(node.file(), context)? {
                let file = overlay.open(Access::Read)?;
                let meta = file.meta()?;
                parts.push(part(context.clone(), file, meta)?);
            }
        }
        Ok(parts)
    }

    /// Removes the overlays that were encoded as they still are; `false` if some were not.
    fn retire_overlays(&self, node: &Arc<Node>, parts: &[Part]) -> Result<bool> {
        let _turn = node.turn.lock();
        if node.is_written() {
            return Ok(false);
        }
        let mut all = true;
        for part in parts.iter().skip(1) {
            let now = self.overlay(node.file(), &part.context)?.map(|o| o.meta);
            let same = now.is_some_and(|now| {
                let was = &part.meta;
                (now.ino, now.size, now.mtime, now.ctime)
                    == (was.ino, was.size, was.mtime, was.ctime)
            });
            if same {
                self.remove_overlay(node.file(), &part.context)?;
            } else {
                all = false;
            }
        }
        Ok(all)
    }
}

/// The table of a bundle of these variants.
fn bundle(ino: u64, parts: &[Part]) -> std::result::Result<Vec<u8>, crate::format::FormatError> {
    let dir = Entry {
        parent: 0,
        name: Vec::new(),
        what: What::Dir,
        mode: 0o700,
        uid: 0,
        gid: 0,
        atime: Time::default(),
        mtime: Time::default(),
        ctime: Time::default(),
        ino: 0,
        xattrs: Vec::new(),
    };
    let file = |part: &Part| Entry {
        name: part.context.to_string().into_bytes(),
        what: What::File {
            size: part.meta.size,
            offset: 0,
            hash: Some(part.hash),
        },
        // Mode and owner are the set's, for all of them.
        mode: 0o600,
        atime: part.meta.atime,
        mtime: part.meta.mtime,
        ctime: part.meta.ctime,
        ino: match part.context.named() {
            None => ino,
            Some(_) => Identity::from(&part.meta).logical(),
        },
        ..dir.clone()
    };
    let mut entries = vec![dir.clone()];
    entries.extend(parts.iter().map(file));
    let files = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let order: Vec<u32> = (1..=files).collect();
    Bundle::new(ObjectKind::Variants, entries, &order)?.encode()
}
