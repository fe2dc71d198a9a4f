//! From the text of a policy file to a [`Policy`]; every error names its line and key.

use globset::{Glob, GlobBuilder, GlobSetBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Spanned, Value};

use super::{
    DegradedBy, Encode, Keys, Policy, PolicyError, Reason, Rule, VERSION, builtin, values,
};

/// A value, and where it stands: read as text first so that errors can name line and key.
type Field = Option<Spanned<Value>>;

/// The only key that a file of a newer version must share with ours.
#[derive(Deserialize)]
struct Head {
    version: Field,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: Field,
    cache_size: Field,
    #[serde(default)]
    defaults: DefaultsTable,
    #[serde(default)]
    encode: EncodeTable,
    #[serde(default)]
    degraded: DegradedTable,
    #[serde(default)]
    rule: Vec<Spanned<RuleTable>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct DefaultsTable {
    codec: Field,
    profile: Field,
    layout: Field,
    effort: Field,
    lossy: Field,
    min_size: Field,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    glob: Field,
    codec: Field,
    profile: Field,
    layout: Field,
    effort: Field,
    lossy: Field,
    min_size: Field,
    degraded: Field,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct EncodeTable {
    quiet: Field,
    linger: Field,
    threads: Field,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct DegradedTable {
    image: Field,
    sound: Field,
    video: Field,
    other: Field,
}

/// Reads the text of a policy file.
pub(super) fn parse(text: &str) -> Result<Policy, PolicyError> {
    let source = Source { text };
    let head: Head = source.read()?;
    let version = source.field("version", head.version.as_ref(), |version| {
        let n = version.as_integer().and_then(|n| u64::try_from(n).ok());
        n.filter(|n| *n > 0)
            .ok_or_else(|| format!("must be {VERSION}"))
    })?;
    if let Some(newer) = version.filter(|n| *n > VERSION) {
        return Err(PolicyError::Newer(newer));
    }

    let file: File = source.read()?;
    let mut gathered = Gathered {
        globs: GlobSetBuilder::new(),
        rule_of: Vec::new(),
        rules: Vec::new(),
    };
    for (what, globs) in builtin::PLAIN {
        let rule = Rule {
            reason: Reason::BuiltIn(what),
            keys: Keys::plain(),
        };
        gathered.add(rule, globs).map_err(|e| source.error(0, e))?;
    }
    for table in file.rule {
        let at = table.span().start;
        let table = table.into_inner();
        let Some(globs) = source.field("glob", table.glob.as_ref(), values::globs)? else {
            return Err(source.error(at, "rule: glob is missing".to_owned()));
        };
        let rule = Rule {
            reason: Reason::Rule(source.line(at)),
            keys: source.keys(&table)?,
        };
        source.field("glob", table.glob.as_ref(), |_| gathered.add(rule, &globs))?;
    }
    Ok(Policy {
        encode: source.encode(&file.encode)?,
        cache_size: source.field("cache_size", file.cache_size.as_ref(), values::size_value)?,
        degraded: source.degraded(&file.degraded)?,
        defaults: source.keys(&file.defaults.into())?,
        globs: gathered
            .globs
            .build()
            .map_err(|e| source.error(0, e.to_string()))?,
        rule_of: gathered.rule_of,
        rules: gathered.rules,
    })
}

impl From<DefaultsTable> for RuleTable {
    fn from(table: DefaultsTable) -> Self {
        Self {
            glob: None,
            codec: table.codec,
            profile: table.profile,
            layout: table.layout,
            effort: table.effort,
            lossy: table.lossy,
            min_size: table.min_size,
            degraded: None,
        }
    }
}

/// The rules read so far, and all their globs.
struct Gathered {
    globs: GlobSetBuilder,
    rule_of: Vec<usize>,
    rules: Vec<Rule>,
}

impl Gathered {
    /// Adds a rule with its globs.
    fn add(&mut self, rule: Rule, globs: &[impl AsRef<str>]) -> Result<(), String> {
        for glob in globs {
            self.globs.add(compile(glob.as_ref())?);
            self.rule_of.push(self.rules.len());
        }
        self.rules.push(rule);
        Ok(())
    }
}

/// A glob over logical paths, by the rules of [`super`].
fn compile(glob: &str) -> Result<Glob, String> {
    let from_root = glob.strip_prefix('/').unwrap_or(glob);
    let mut pattern = if glob.contains('/') {
        from_root.to_owned()
    } else {
        format!("**/{glob}")
    };
    if pattern.ends_with('/') {
        pattern.push_str("**");
    }
    if glob.is_empty() || from_root.is_empty() {
        return Err(format!("{glob:?} matches nothing"));
    }
    GlobBuilder::new(&pattern)
        .case_insensitive(true)
        .literal_separator(true)
        .build()
        .map_err(|e| format!("{glob:?}: {}", e.kind()))
}

/// The text, for the lines of errors.
struct Source<'a> {
    text: &'a str,
}

impl Source<'_> {
    /// The line, from 1, of the byte at `at`.
    fn line(&self, at: usize) -> usize {
        let before = self.text.bytes().take(at);
        before.filter(|b| *b == b'\n').count() + 1
    }

    fn error(&self, at: usize, what: String) -> PolicyError {
        PolicyError::Invalid {
            line: self.line(at),
            what,
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, PolicyError> {
        toml::from_str(self.text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            self.error(at, e.message().trim().replace('\n', ", "))
        })
    }

    /// The value of a key; an error of `read` gets the key's name and line.
    fn field<T>(
        &self,
        key: &str,
        field: Option<&Spanned<Value>>,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, PolicyError> {
        let Some(field) = field else { return Ok(None) };
        read(field.get_ref())
            .map(Some)
            .map_err(|what| self.error(field.span().start, format!("{key}: {what}")))
    }

    fn keys(&self, table: &RuleTable) -> Result<Keys, PolicyError> {
        Ok(Keys {
            codec: self.field("codec", table.codec.as_ref(), values::codec)?,
            profile: self.field("profile", table.profile.as_ref(), values::profile)?,
            layout: self.field("layout", table.layout.as_ref(), values::layout)?,
            effort: self.field("effort", table.effort.as_ref(), values::effort)?,
            lossy: self.field("lossy", table.lossy.as_ref(), values::flag)?,
            min_size: self.field("min_size", table.min_size.as_ref(), values::size_value)?,
            degraded: self.field("degraded", table.degraded.as_ref(), values::degraded)?,
        })
    }

    fn encode(&self, table: &EncodeTable) -> Result<Encode, PolicyError> {
        let otherwise = Encode::default();
        let quiet = self.field("quiet", table.quiet.as_ref(), values::duration_value)?;
        let linger = self.field("linger", table.linger.as_ref(), values::duration_value)?;
        let threads = self.field("threads", table.threads.as_ref(), values::threads)?;
        Ok(Encode {
            quiet: quiet.unwrap_or(otherwise.quiet),
            linger: linger.unwrap_or(otherwise.linger),
            threads: threads.unwrap_or(otherwise.threads),
        })
    }

    fn degraded(&self, table: &DegradedTable) -> Result<DegradedBy, PolicyError> {
        let otherwise = DegradedBy::default();
        let image = self.field("image", table.image.as_ref(), values::degraded)?;
        let sound = self.field("sound", table.sound.as_ref(), values::degraded)?;
        let video = self.field("video", table.video.as_ref(), values::degraded)?;
        let other = self.field("other", table.other.as_ref(), values::degraded)?;
        Ok(DegradedBy {
            image: image.unwrap_or(otherwise.image),
            sound: sound.unwrap_or(otherwise.sound),
            video: video.unwrap_or(otherwise.video),
            other: other.unwrap_or(otherwise.other),
        })
    }
}
