//! Windows: which part of an object is the file, where its content is a bundle of variants.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, OnceLock};

use lru::LruCache;
use parking_lot::Mutex;

use super::{Head, Object};
use crate::format::bundle::{self, Bundle, Entry, What};
use crate::format::{Digest, Extent, FormatError, ObjectKind, Time};
use crate::store::context::Context;
use crate::store::{Error, Result};

/// Most variants of a file.
pub(crate) const MOST_VARIANTS: usize = 256;
/// Most bytes of their table: 24 and 96 for the directory, and 96 + 64 + 32 for each.
const MOST_TABLE: usize = 120 + 192 * MOST_VARIANTS;
/// Tables kept, at most 16 KiB each: a lookup needs that of its file.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Tables by set id. The id is a hash of what proves the content, so that one is right wherever the set lies.
static TABLES: LazyLock<Mutex<LruCache<Digest, Arc<[Variant]>>>> =
    LazyLock::new(|| Mutex::new(LruCache::new(KEPT)));

/// One variant of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Where it is shown.
    pub(crate) context: Context,
    /// Bytes of it.
    pub(crate) size: u64,
    /// BLAKE3 of them.
    pub(crate) hash: Digest,
    /// Its last access.
    pub(crate) atime: Time,
    /// Its last change of content.
    pub(crate) mtime: Time,
    /// Where it begins in the content of the object.
    start: u64,
}

/// What an object shows of its content.
#[derive(Debug, Clone)]
pub(super) struct Window {
    variants: Arc<[Variant]>,
    /// The number of the one that is shown.
    shown: usize,
}

impl Object {
    /// Reads which variants the content has, where it is a bundle of such: from then on the default one is shown.
    pub(super) fn open_variants(&mut self) -> Result<()> {
        if self.descriptor.kind != ObjectKind::Variants {
            return Ok(());
        }
        let set = self.set().0;
        let known = TABLES.lock().get(&set).cloned();
        let variants = if let Some(variants) = known {
            variants
        } else {
            let read = self.read_variants()?;
            TABLES.lock().put(set, Arc::clone(&read));
            read
        };
        self.window = Some(Window { variants, shown: 0 });
        Ok(())
    }

    fn read_variants(&self) -> Result<Arc<[Variant]>> {
        let mut head = [0; bundle::HEAD];
        let wrong = |source| Error::Format {
            name: self.set().to_string(),
            source,
        };
        self.read_all(&mut head)?;
        let length = Bundle::table_length(&head).map_err(wrong)?;
        if length > MOST_TABLE {
            return Err(wrong(FormatError::Limit {
                what: "length of a table of variants",
                value: length as u64,
                limit: MOST_TABLE as u64,
            }));
        }
        let mut table = vec![0; length];
        self.read_all(&mut table)?;
        let (kind, size) = (self.descriptor.kind, self.descriptor.size);
        let bundle = Bundle::decode(kind, &table, size).map_err(wrong)?;
        let variants = bundle.entries().iter().skip(1).map(Variant::of);
        let variants: Option<Arc<[Variant]>> = variants.collect();
        variants.ok_or_else(|| {
            wrong(FormatError::Malformed {
                what: "name of a variant",
                offset: bundle::HEAD,
            })
        })
    }

    /// The first bytes of the content.
    fn read_all(&self, buf: &mut [u8]) -> Result<()> {
        if self.read_at(0, buf)? == buf.len() {
            return Ok(());
        }
        Err(Error::Damaged {
            name: self.set().to_string(),
            what: "the table of variants is cut off".to_owned(),
        })
    }

    fn variant(&self) -> Option<&Variant> {
        let window = self.window.as_ref()?;
        window.variants.get(window.shown)
    }

    /// All variants, the default one first; none of a file that has no others.
    pub(crate) fn variants(&self) -> &[Variant] {
        let variants = self.window.as_ref().map(|window| &window.variants);
        variants.map_or(&[], |variants| variants)
    }

    /// The same set as it is shown in a context that has an entry of its own.
    pub(crate) fn in_context(&self, context: &Context) -> Option<Self> {
        context.named()?;
        let at = |variant: &Variant| variant.context == *context;
        let shown = self.variants().iter().position(at)?;
        let variants = Arc::clone(&self.window.as_ref()?.variants);
        Some(self.with_window(Some(Window { variants, shown })))
    }

    /// The same set with all of its content shown: a bundle where there are variants.
    pub(crate) fn whole(&self) -> Self {
        self.with_window(None)
    }

    fn with_window(&self, window: Option<Window>) -> Self {
        let head = self.head.lock();
        Self {
            layout: self.layout,
            descriptor: self.descriptor.clone(),
            gather: Arc::clone(&self.gather),
            decoder: OnceLock::new(),
            dictionaries: self.dictionaries.clone(),
            segments: Mutex::default(),
            head: Mutex::new(Head {
                slots: head.slots,
                attributes: head.attributes,
            }),
            carrier: self.carrier,
            stored: self.stored,
            tail_damaged: AtomicBool::new(false),
            window,
        }
    }

    /// Where the file begins in the content.
    pub(super) fn start(&self) -> u64 {
        self.variant().map_or(0, |variant| variant.start)
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        let variant = self.variant();
        variant.map_or(self.descriptor.size, |variant| variant.size)
    }

    /// BLAKE3 of the file, holes as zeros.
    pub(crate) fn hash(&self) -> Digest {
        let variant = self.variant();
        variant.map_or(self.descriptor.hash, |variant| variant.hash)
    }

    /// Holes of the file.
    pub(crate) fn holes(&self) -> &[Extent] {
        match self.window {
            None => &self.descriptor.holes,
            Some(_) => &[],
        }
    }

    /// Whether a variant other than the default one is shown.
    pub(crate) fn is_variant(&self) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| window.shown > 0)
    }

    /// The file's last change of content. That of the default variant is an attribute of the set.
    pub(crate) fn mtime(&self) -> Time {
        let variant = self.variant().filter(|_| self.is_variant());
        variant.map_or_else(|| self.attributes().mtime, |variant| variant.mtime)
    }

    /// The file's last access.
    pub(crate) fn atime(&self) -> Time {
        let variant = self.variant().filter(|_| self.is_variant());
        variant.map_or(self.carrier.atime, |variant| variant.atime)
    }

    /// The context in which it is shown so.
    pub(crate) fn shown_in(&self) -> Context {
        let variant = self.variant();
        variant.map_or_else(Context::default, |variant| variant.context.clone())
    }

    /// What the content that is shown is the same as.
    pub(crate) fn shows(&self) -> Digest {
        let variant = self.variant();
        variant.map_or(self.set().0, |variant| variant.hash)
    }
}

impl Variant {
    fn of(entry: &Entry) -> Option<Self> {
        let What::File {
            size,
            offset,
            hash: Some(hash),
        } = entry.what
        else {
            return None;
        };
        Some(Self {
            context: Context::new(std::str::from_utf8(&entry.name).ok()?)?,
            size,
            hash,
            atime: entry.atime,
            mtime: entry.mtime,
            start: offset,
        })
    }
}
