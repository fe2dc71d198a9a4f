//! Mount options: what `-o`, mount(8) and fstab may say.

use std::path::PathBuf;

use crate::foreign::Sums;
use crate::store;

/// How access times move, as far as mount(2) is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Atime {
    /// The kernel's default.
    #[default]
    Relative,
    /// Never.
    Never,
    /// At every read.
    Strict,
}

/// What was asked of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, as mount(8) has them"
)]
pub struct MountOptions {
    /// `ro`: nothing can be changed.
    pub read_only: bool,
    /// `suid`: set-id bits are honoured on execution.
    pub suid: bool,
    /// `dev`: device nodes work.
    pub dev: bool,
    /// `noexec`: nothing can be executed.
    pub noexec: bool,
    /// `noatime`, `strictatime`.
    pub atime: Atime,
    /// `nodiratime`: access times of directories do not move.
    pub nodiratime: bool,
    /// `sync`: every write is durable when it returns.
    pub sync: bool,
    /// `dirsync`: every change of a directory is durable when it returns.
    pub dirsync: bool,
    /// `allow_other`: other users may look (always so when root mounts).
    pub allow_other: bool,
    /// `nonempty`: mount over a directory that has entries.
    pub nonempty: bool,
    /// `degraded=serve|eio`: what reading a degraded file gives, whatever the policy says.
    pub degraded: Option<store::Degraded>,
    /// `chunks=N`: use at most N chunks of each set.
    pub chunks: Option<u16>,
    /// `cache_size=BYTES`: budget of the decoded cache.
    pub cache_size: Option<u64>,
    /// `cache_dir=PATH`: where a read-only mount keeps decoded files.
    pub cache_dir: Option<PathBuf>,
    /// `context=NAME`: which variant of files that have several is shown.
    pub context: store::Context,
    /// `compat-clip`: loud samples of Holo.Codec's sounds are clipped as Holo.Codec does.
    pub compat_clip: bool,
}

/// Why options cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No such option.
    #[error("unknown mount option '{0}'")]
    Unknown(String),
    /// The value is missing, superfluous or makes no sense.
    #[error("mount option '{option}': {what}")]
    Value {
        /// The option as given.
        option: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A view that this version cannot give.
    #[error("mount option '{0}' is not supported by this version")]
    NotYet(String),
}

impl MountOptions {
    /// Reads option lists, each as after one `-o`: names and `name=value` between commas; `\,` is a comma in a
    /// value. Of options that contradict each other the last one wins.
    ///
    /// # Errors
    /// [`OptionError`] for the first option that cannot be used.
    pub fn parse<S: AsRef<str>>(lists: &[S]) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for list in lists {
            for item in split(list.as_ref()) {
                options.set(&item)?;
            }
        }
        Ok(options)
    }

    /// How the store is opened for this mount.
    #[must_use]
    pub fn store_options(&self) -> store::Options {
        store::Options {
            read_only: self.read_only,
            degraded: self.degraded,
            chunks: self.chunks,
            cache_size: self.cache_size,
            cache_dir: self.cache_dir.clone(),
            worker: !self.read_only,
            context: self.context.clone(),
            sums: if self.compat_clip {
                Sums::Clipped
            } else {
                Sums::Wrapped
            },
        }
    }

    fn set(&mut self, item: &str) -> Result<(), OptionError> {
        match item.split_once('=') {
            None => self.set_flag(item),
            Some((name, value)) => self.set_value(item, name, value),
        }
    }

    fn set_flag(&mut self, name: &str) -> Result<(), OptionError> {
        match name {
            "ro" => self.read_only = true,
            "rw" => self.read_only = false,
            "suid" => self.suid = true,
            "nosuid" => self.suid = false,
            "dev" => self.dev = true,
            "nodev" => self.dev = false,
            "exec" => self.noexec = false,
            "noexec" => self.noexec = true,
            "noatime" => self.atime = Atime::Never,
            "strictatime" => self.atime = Atime::Strict,
            "atime" | "relatime" | "nostrictatime" => self.atime = Atime::Relative,
            "nodiratime" => self.nodiratime = true,
            "diratime" => self.nodiratime = false,
            "sync" => self.sync = true,
            "async" => self.sync = false,
            "dirsync" => self.dirsync = true,
            "allow_other" => self.allow_other = true,
            "nonempty" => self.nonempty = true,
            "compat-clip" => self.compat_clip = true,
            // What fstab and mount(8) pass for themselves, and what a mount of ours does anyway.
            "defaults"
            | "auto"
            | "noauto"
            | "user"
            | "nouser"
            | "users"
            | "group"
            | "owner"
            | "_netdev"
            | "nofail"
            | "silent"
            | "loud"
            | "default_permissions"
            | "lazytime"
            | "norelatime"
            | "nolazytime" => {}
            "degraded" | "chunks" | "cache_size" | "cache_dir" | "context" => {
                return Err(OptionError::Value {
                    option: name.to_owned(),
                    what: "needs a value",
                });
            }
            "scale" | "fps" => return Err(OptionError::NotYet(name.to_owned())),
            _ if name.starts_with("x-") || name.starts_with("X-") => {}
            _ => return Err(OptionError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    fn set_value(&mut self, item: &str, name: &str, value: &str) -> Result<(), OptionError> {
        let wrong = |what| {
            Err(OptionError::Value {
                option: item.to_owned(),
                what,
            })
        };
        match name {
            "degraded" => {
                self.degraded = Some(match value {
                    "serve" => store::Degraded::Serve,
                    "eio" => store::Degraded::Refuse,
                    _ => return wrong("must be 'serve' or 'eio'"),
                });
            }
            "chunks" => match value.parse() {
                Ok(n) if (1..=255).contains(&n) => self.chunks = Some(n),
                _ => return wrong("must be a number from 1 to 255"),
            },
            "cache_size" => match size(value) {
                Some(bytes) => self.cache_size = Some(bytes),
                None => return wrong("must be a size like 512MiB or 4GiB"),
            },
            "cache_dir" if value.is_empty() => return wrong("needs a directory"),
            "cache_dir" => self.cache_dir = Some(PathBuf::from(value)),
            // Names that mount(8), fstab and file managers give a mount.
            "comment" | "fsname" | "subtype" | "uhelper" | "helper" => {}
            "context" => match store::Context::new(value) {
                Some(context) => self.context = context,
                None => return wrong(store::RULE),
            },
            "scale" | "fps" => return Err(OptionError::NotYet(item.to_owned())),
            _ if name.starts_with("x-") || name.starts_with("X-") => {}
            _ => return Err(OptionError::Unknown(item.to_owned())),
        }
        Ok(())
    }
}

/// The items of an option list; `\,` and `\\` stand for a comma and a backslash.
fn split(list: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut chars = list.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => item.push(chars.next().unwrap_or('\\')),
            ',' => items.push(std::mem::take(&mut item)),
            _ => item.push(c),
        }
    }
    items.push(item);
    items.retain(|item| !item.is_empty());
    items
}

/// A number of bytes: digits and an optional unit, where K, M, G, T are powers of 1024 with or without "iB".
fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use proptest::prelude::*;

    use super::*;

    fn parse(list: &str) -> Result<MountOptions, OptionError> {
        MountOptions::parse(&[list])
    }

    #[test]
    fn a_mount_is_writable_without_set_id_bits_and_devices() {
        let options = parse("").unwrap();
        assert!(!options.read_only && !options.suid && !options.dev && !options.noexec);
        assert_eq!(options, parse("defaults").unwrap());
    }

    #[test]
    fn what_fstab_passes_is_accepted() {
        let options =
            parse("rw,noauto,user,_netdev,nofail,x-systemd.automount,comment=a b,noatime");
        assert_eq!(options.unwrap().atime, Atime::Never);
        let options = parse("ro,nodev,nosuid,noexec,relatime,dev,suid").unwrap();
        assert!(options.read_only && options.dev && options.suid && options.noexec);
    }

    #[test]
    fn the_last_of_two_that_contradict_wins() {
        assert!(!parse("ro,rw").unwrap().read_only);
        let lists = ["rw", "ro,degraded=serve", "degraded=eio"];
        let options = MountOptions::parse(&lists).unwrap();
        assert!(options.read_only);
        assert_eq!(options.degraded, Some(store::Degraded::Refuse));
    }

    #[test]
    fn values() {
        let options = parse(r"chunks=4,cache_size=2GiB,cache_dir=/var/a\,b,allow_other").unwrap();
        assert_eq!(options.chunks, Some(4));
        assert_eq!(options.cache_size, Some(2 << 30));
        assert_eq!(options.cache_dir, Some(PathBuf::from("/var/a,b")));
        assert!(options.allow_other);
        assert_eq!(options.store_options().sums, Sums::Wrapped);
        for (list, context) in [
            ("", None),
            ("context=TEXT", Some("TEXT")),
            ("context=DEFAULT", None),
        ] {
            let options = parse(list).unwrap().store_options();
            assert_eq!(options.context.named(), context, "{list}");
        }
        let clipped = parse("compat-clip").unwrap().store_options();
        assert_eq!(clipped.sums, Sums::Clipped);
        assert_eq!(
            parse("cache_size=512k").unwrap().cache_size,
            Some(512 << 10)
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (list, message) in [
            ("ro,frobnicate", "unknown mount option 'frobnicate'"),
            ("speed=9", "unknown mount option 'speed=9'"),
            (
                "degraded=maybe",
                "mount option 'degraded=maybe': must be 'serve' or 'eio'",
            ),
            (
                "chunks=0",
                "mount option 'chunks=0': must be a number from 1 to 255",
            ),
            ("chunks", "mount option 'chunks': needs a value"),
            (
                "cache_size=-1",
                "mount option 'cache_size=-1': must be a size like 512MiB or 4GiB",
            ),
            ("context", "mount option 'context': needs a value"),
            (
                "context=a/b",
                "mount option 'context=a/b': must be a name of 1 to 64 bytes without '/' and control characters",
            ),
            (
                "scale=2",
                "mount option 'scale=2' is not supported by this version",
            ),
        ] {
            assert_eq!(parse(list).unwrap_err().to_string(), message);
        }
        assert!(parse("cache_size=99999999999999999999").is_err());
        assert!(parse("cache_size=99999999999T").is_err());
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in "\\PC*") {
            parse(&list).ok();
        }
    }
}
