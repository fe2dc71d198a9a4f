//! How a file is to be kept: what the policy or a command says, and what its first bytes say.

use super::super::object::Layout;
use super::super::policy::{CodecChoice, Decision, LayoutChoice, ProfileChoice, Reason};
use crate::codec::{self, Codec, Effort, Medium};
use crate::hologram::Profile;

/// How a file is to be kept.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// As itself, and why.
    Plain(String),
    /// Encoded.
    Encode(Encoding),
}

/// How a file is to be encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    /// `None`: by content.
    pub(super) codec: Option<&'static dyn Codec>,
    /// `None`: by content.
    profile: Option<Profile>,
    /// `None`: by encoded size.
    pub(crate) layout: Option<Layout>,
    pub(crate) effort: Effort,
}

impl Encoding {
    /// In words, for [`Kept`].
    pub(super) fn settings(&self) -> String {
        let codec = self.codec.map_or("auto", Codec::name);
        let profile = self.profile.map(|profile| profile.to_string());
        let profile = profile.as_deref().unwrap_or("auto");
        format!("{codec} {profile} {:?}", self.effort)
    }

    /// The codecs to try for a file that begins with `head`, and its profile. The last one takes anything.
    pub(crate) fn resolve(&self, head: &[u8]) -> (Vec<&'static dyn Codec>, Profile) {
        const REPEATING: &dyn Codec = &codec::template::Template;
        const GENERAL: &dyn Codec = &codec::stored::Stored;
        let suited = codec::suited(head);
        // One that was asked for and does not cope is followed by the one made for such content.
        let wanted = [self.codec, suited, Some(REPEATING), Some(GENERAL)];
        let mut codecs: Vec<&'static dyn Codec> = Vec::new();
        for codec in wanted.into_iter().flatten() {
            if codecs.iter().all(|before| before.id() != codec.id()) {
                codecs.push(codec);
            }
            if codec.id() == GENERAL.id() {
                break;
            }
        }
        // A photo whose codec could not cope is still a photo to whoever took it.
        let profile = self.profile.unwrap_or(match suited.map(Codec::medium) {
            Some(Medium::Image | Medium::Sound | Medium::Video) => Profile::Standard,
            Some(Medium::Other) | None => Profile::Light,
        });
        (codecs, profile)
    }
}

/// What a command asks for instead of the policy.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    pub(crate) codec: Option<&'a str>,
    pub(crate) profile: Option<Profile>,
    pub(crate) layout: Option<Layout>,
}

impl Plan {
    /// By policy, for a file that is regular and has one name.
    pub(crate) fn of(decision: &Decision, wish: Wish<'_>) -> Self {
        let by_policy = matches!(decision.codec, CodecChoice::Plain)
            || matches!(decision.reason, Reason::Small(_));
        if wish.codec == Some("plain") || wish.codec.is_none() && by_policy {
            return Self::Plain(decision.reason.to_string());
        }
        let asked = match (wish.codec, decision.codec) {
            (Some(name), _) | (None, CodecChoice::Named(name)) => Some(name),
            (None, _) => None,
        };
        // A codec that this program does not have yet is `auto`: what an application wrote is kept whatever the
        // policy hoped for.
        let codec = asked.and_then(codec::by_name);
        let profile = wish.profile.or(match decision.profile {
            ProfileChoice::Auto => None,
            ProfileChoice::Named(profile) => Some(profile),
        });
        let layout = wish.layout.or(match decision.layout {
            LayoutChoice::Auto => None,
            LayoutChoice::Packed => Some(Layout::Packed),
            LayoutChoice::Spread => Some(Layout::Spread),
        });
        Self::Encode(Encoding {
            codec,
            profile,
            layout,
            effort: decision.effort,
        })
    }

    /// The settings under which a result was found, for [`Kept`].
    pub(crate) fn settings(&self) -> String {
        match self {
            Self::Plain(_) => String::new(),
            Self::Encode(how) => how.settings(),
        }
    }
}
