//! Answers that several requests share.

use std::time::Duration;

use fuser::{Errno, Generation, ReplyAttr, ReplyEmpty, ReplyEntry, ReplyXattr, Request};

use super::own;
use super::view::{Seen, View};
use crate::store::Caller;

/// Inode numbers are stable and never given to another file, so that one generation does.
pub(super) const GENERATION: Generation = Generation(0);

/// On whose behalf a request is.
pub(super) fn caller(req: &Request, umask: u32) -> Caller {
    Caller {
        uid: req.uid(),
        gid: req.gid(),
        umask,
    }
}

/// Attributes.
pub(super) fn reply_attr(reply: ReplyAttr, answer: Result<Seen, Errno>) {
    match answer {
        Ok(seen) => reply.attr(&seen.ttl, &seen.attr),
        Err(e) => reply.error(e),
    }
}

/// Done, or not.
pub(super) fn reply_empty(reply: ReplyEmpty, answer: Result<(), Errno>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(e),
    }
}

/// The size protocol of xattrs: with room for nothing the length is asked, with too little room there is an error.
pub(super) fn reply_xattr(reply: ReplyXattr, room: u32, answer: Result<Vec<u8>, Errno>) {
    match answer.map(|value| (u32::try_from(value.len()), value)) {
        Ok((Ok(length), _)) if room == 0 => reply.size(length),
        Ok((Ok(length), value)) if length <= room => reply.data(&value),
        Ok((Ok(_), _)) => reply.error(Errno::ERANGE),
        Ok((Err(_), _)) => reply.error(Errno::E2BIG),
        Err(e) => reply.error(e),
    }
}

impl View {
    /// A name and what it stands for.
    pub(super) fn reply_entry(&self, reply: ReplyEntry, answer: Result<Seen, Errno>) {
        match answer {
            Ok(seen) => {
                reply.entry_with_ttls(&seen.ttl, &self.entry_ttl(&seen), &seen.attr, GENERATION);
            }
            Err(e) => reply.error(e),
        }
    }

    /// Virtual names come without a lifetime: their attributes change all the time.
    fn entry_ttl(&self, seen: &Seen) -> Duration {
        if own::is_own(seen.attr.ino.0) {
            seen.ttl
        } else {
            self.ttl.entry
        }
    }
}
