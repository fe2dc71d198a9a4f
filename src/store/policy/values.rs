//! Values of the policy file as people write them: sizes, durations, choices.

use std::time::Duration;

use toml::Value;

use super::{CODECS, CodecChoice, LayoutChoice, ProfileChoice};
use crate::codec::Effort;
use crate::hologram::Profile;
use crate::store::Degraded;

/// Reads a size in bytes: a whole number, with or without a unit (`B`, `KiB`, `MiB`, `GiB`, `TiB`; `KB` and so on
/// are powers of 1000).
///
/// # Errors
/// What is wrong, as text for the user.
pub fn size(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[
        ("", 1),
        ("b", 1),
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
    ];
    quantity(text, UNITS)
        .ok_or_else(|| format!("{text:?} is no size (a whole number and B, KiB, MiB, GiB or TiB)"))
}

/// Reads a duration: a whole number, with or without a unit (`s`, `m`, `h`, `d`; seconds without).
///
/// # Errors
/// What is wrong, as text for the user.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: &[(&str, u64)] = &[
        ("", 1),
        ("s", 1),
        ("m", 60),
        ("h", 60 * 60),
        ("d", 24 * 60 * 60),
    ];
    quantity(text, UNITS)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is no duration (a whole number and s, m, h or d)"))
}

/// A whole number times the unit behind it.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start();
    let (_, factor) = units.iter().find(|(u, _)| unit.eq_ignore_ascii_case(u))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

pub(super) fn size_value(value: &Value) -> Result<u64, String> {
    match value {
        Value::Integer(n) => u64::try_from(*n).map_err(|_| format!("{n} is no size")),
        other => size(string(other)?),
    }
}

pub(super) fn duration_value(value: &Value) -> Result<Duration, String> {
    match value {
        Value::Integer(n) => u64::try_from(*n)
            .map(Duration::from_secs)
            .map_err(|_| format!("{n} is no duration")),
        other => duration(string(other)?),
    }
}

pub(super) fn threads(value: &Value) -> Result<u16, String> {
    value
        .as_integer()
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| (1..=256).contains(n))
        .ok_or_else(|| "must be 1 to 256".to_owned())
}

pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| "must be true or false".to_owned())
}

pub(super) fn codec(value: &Value) -> Result<CodecChoice, String> {
    match string(value)? {
        "auto" => Ok(CodecChoice::Auto),
        "plain" => Ok(CodecChoice::Plain),
        name => CODECS
            .iter()
            .find(|known| **known == name)
            .map(|known| CodecChoice::Named(known))
            .ok_or_else(|| format!("{name:?} must be auto, plain, {}", CODECS.join(", "))),
    }
}

pub(super) fn profile(value: &Value) -> Result<ProfileChoice, String> {
    if let Value::Table(table) = value {
        let part = |key: &str| {
            let n = table.get(key).and_then(Value::as_integer);
            n.and_then(|n| u8::try_from(n).ok())
        };
        return match (part("n"), part("k")) {
            (Some(n), Some(k)) if table.len() == 2 => Profile::of(k, n).map(ProfileChoice::Named),
            _ => None,
        }
        .ok_or_else(|| "must be { n = N, k = K } with 1 <= K <= N <= 255".to_owned());
    }
    choice(
        value,
        &[
            ("auto", ProfileChoice::Auto),
            ("none", ProfileChoice::Named(Profile::None)),
            ("light", ProfileChoice::Named(Profile::Light)),
            ("standard", ProfileChoice::Named(Profile::Standard)),
            ("strong", ProfileChoice::Named(Profile::Strong)),
        ],
    )
}

pub(super) fn layout(value: &Value) -> Result<LayoutChoice, String> {
    choice(
        value,
        &[
            ("auto", LayoutChoice::Auto),
            ("packed", LayoutChoice::Packed),
            ("spread", LayoutChoice::Spread),
        ],
    )
}

pub(super) fn effort(value: &Value) -> Result<Effort, String> {
    choice(
        value,
        &[
            ("fast", Effort::Fast),
            ("normal", Effort::Normal),
            ("archive", Effort::Archive),
        ],
    )
}

pub(super) fn degraded(value: &Value) -> Result<Degraded, String> {
    choice(
        value,
        &[("serve", Degraded::Serve), ("eio", Degraded::Refuse)],
    )
}

/// One string, or a list of them, at least one.
pub(super) fn globs(value: &Value) -> Result<Vec<String>, String> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if list.is_empty() {
        return Err("must hold at least one glob".to_owned());
    }
    list.iter()
        .map(|glob| Ok(string(glob)?.to_owned()))
        .collect()
}

/// The choice with the name that `value` holds.
fn choice<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Result<T, String> {
    let name = string(value)?;
    let found = choices.iter().find(|(known, _)| *known == name);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(known, _)| *known).collect();
        format!("{name:?} must be {}", names.join(" or "))
    })
}

fn string(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("must be a string, not {} {value}", value.type_str()))
}
