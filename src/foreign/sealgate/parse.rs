//! The JSON text of a template, read while it is expanded: symbols become numbers, values bytes.

use std::collections::HashMap;
use std::fmt;
use std::io;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::expand::{Expanding, Progress};
use super::{CONTEXTS, DEFAULT, DEPTH, Node, Nodes, SEQUENCE, SYMBOLS, TEXT, sum};
use crate::foreign::{ForeignError, Parts};

/// Characters of a symbol or context that an error names.
const NAMED: usize = 64;

/// What the text says of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Nothing so far.
    Unknown,
    /// It is in the dictionary without a value that could be used.
    Valueless,
    /// So many bytes from there on.
    Value(u32, u32),
    /// A rule.
    Pair(u32, u32),
}

/// The text, with numbers for symbols.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// All values, one after the other.
    pub(super) values: Vec<u8>,
    /// The sequence.
    pub(super) sequence: Vec<u32>,
    /// Names of the contexts, as they appear.
    pub(super) contexts: Vec<String>,
    symbols: HashMap<Box<str>, u32>,
    /// By number, with the place in the text where the symbol appears first.
    meanings: Vec<(Meaning, u32)>,
}

/// Reads the template that is the first part: its values in `context`.
pub(super) fn read(parts: &dyn Parts, context: &str) -> Result<Text, ForeignError> {
    let (name, size) = (parts.name(0), parts.size(0));
    // Without this, blocks that hold nothing could go on for as long as the file does.
    if size > TEXT {
        return Err(ForeignError::Limit {
            what: "the size in bytes of the template",
            value: size,
            limit: TEXT,
        });
    }
    let progress = Progress::default();
    let mut building = Building {
        text: Text::default(),
        context,
        progress: &progress,
    };
    let mut json = serde_json::Deserializer::from_reader(Expanding::new(parts, &progress));
    let read = Top(&mut building).deserialize(&mut json);
    let read = read.and_then(|()| json.end());
    let error = match read {
        Ok(()) => return Ok(building.text),
        Err(error) => error,
    };
    if progress.over.get() {
        return Err(ForeignError::Limit {
            what: "the length in bytes of the template's text",
            value: TEXT + 1,
            limit: TEXT,
        });
    }
    match error.io_error_kind() {
        Some(io::ErrorKind::InvalidData) => Err(ForeignError::Format {
            name,
            offset: progress.stored.get(),
            what: "a zlib stream that is damaged or cut off".to_owned(),
        }),
        Some(_) => Err(ForeignError::Io(error.into())),
        None => {
            // The place in bytes is ours to tell.
            let what = error.to_string();
            let what = what
                .rsplit_once(" at line ")
                .map_or(&*what, |(what, _)| what);
            Err(ForeignError::Format {
                name,
                offset: progress.taken.get(),
                what: format!("{what}, in the text"),
            })
        }
    }
}

impl Text {
    /// The number of a symbol that appears at this place.
    fn symbol(&mut self, symbol: &str, at: u64) -> Option<u32> {
        if let Some(number) = self.symbols.get(symbol) {
            return Some(*number);
        }
        let number = u32::try_from(self.meanings.len()).ok()?;
        if self.meanings.len() >= SYMBOLS {
            return None;
        }
        self.symbols.insert(symbol.into(), number);
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.meanings.push((Meaning::Unknown, at));
        Some(number)
    }

    fn meaning(&self, symbol: u32) -> Meaning {
        let meaning = self.meanings.get(symbol as usize);
        meaning.map_or(Meaning::Unknown, |(meaning, _)| *meaning)
    }

    /// Sets what a symbol means; `false` where that was known.
    fn define(&mut self, symbol: u32, meaning: Meaning) -> bool {
        match self.meanings.get_mut(symbol as usize) {
            Some((unknown @ Meaning::Unknown, _)) => {
                *unknown = meaning;
                true
            }
            _ => false,
        }
    }

    /// What is wrong with a symbol, and where it appears first.
    fn wrong(&self, name: &str, symbol: u32, what: &str) -> ForeignError {
        let found = self.symbols.iter().find(|(_, number)| **number == symbol);
        let (_, at) = self.meanings.get(symbol as usize).copied().unzip();
        ForeignError::Format {
            name: name.to_owned(),
            offset: at.map_or(0, u64::from),
            what: format!(
                "symbol {} {what}, in the text",
                shown(found.map_or("", |(symbol, _)| symbol))
            ),
        }
    }

    /// What the symbols of the sequence, and those that they are made of, stand for: rules without recursion.
    pub(super) fn nodes(&self, name: &str) -> Result<Nodes, ForeignError> {
        let wrong = |symbol, what: &str| Err(self.wrong(name, symbol, what));
        let mut nodes = Nodes(vec![(Node::Value(0), 0); self.meanings.len()]);
        // How many levels of rules are below a symbol and one more; 0 while that is not known.
        let mut heights = vec![0_u16; self.meanings.len()];
        let mut open = vec![false; self.meanings.len()];
        let height = |heights: &[u16], symbol: u32| heights.get(symbol as usize).copied();
        let mut stack = Vec::new();
        for first in &self.sequence {
            if height(&heights, *first) == Some(0) {
                stack.push(*first);
            }
            while let Some(symbol) = stack.last().copied() {
                let (node, length, above) = match self.meaning(symbol) {
                    Meaning::Unknown => return wrong(symbol, "is not defined"),
                    Meaning::Valueless => return wrong(symbol, "has no value in hexadecimal"),
                    Meaning::Value(start, length) => (Node::Value(start), u64::from(length), 0),
                    Meaning::Pair(left, right) => {
                        let below = [left, right].map(|below| height(&heights, below));
                        let next = match below {
                            [Some(0), _] => Some(left),
                            [_, Some(0)] => Some(right),
                            _ => None,
                        };
                        if let Some(next) = next {
                            if let Some(open) = open.get_mut(symbol as usize) {
                                *open = true;
                            }
                            if open.get(next as usize) == Some(&true) {
                                return wrong(next, "is a rule that contains itself");
                            }
                            if stack.len() > DEPTH {
                                return wrong(next, "is nested too deep in rules");
                            }
                            stack.push(next);
                            continue;
                        }
                        let [(a, left_length), (b, right_length)] =
                            [left, right].map(|below| nodes.get(below));
                        // What stands for nothing is left out, so that reads never walk through it.
                        let node = match (left_length, right_length) {
                            (0, _) => b,
                            (_, 0) => a,
                            _ => Node::Pair(left, right),
                        };
                        let above = below.into_iter().flatten().max().unwrap_or_default();
                        (node, sum(left_length, right_length)?, above)
                    }
                };
                if usize::from(above) > DEPTH {
                    return wrong(symbol, "is nested too deep in rules");
                }
                stack.pop();
                if let (Some(to), Some(height)) = (
                    nodes.0.get_mut(symbol as usize),
                    heights.get_mut(symbol as usize),
                ) {
                    (*to, *height) = ((node, length), above + 1);
                }
            }
        }
        Ok(nodes)
    }
}

/// A name from the text, for an error.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(NAMED).collect();
    format!("{short:?}")
}

/// Bytes of hexadecimal digits in pairs, with white space between the pairs as Python takes it.
fn unhex(text: &str, out: &mut Vec<u8>) -> bool {
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut bytes = text.bytes();
    while let Some(c) = bytes.next() {
        if matches!(c, b' ' | b'\t'..=b'\r') {
            continue;
        }
        let (Some(high), Some(low)) = (digit(c), bytes.next().and_then(digit)) else {
            return false;
        };
        out.push(high << 4 | low);
    }
    true
}

/// The text as far as it was read.
struct Building<'a> {
    text: Text,
    /// The context that is asked for.
    context: &'a str,
    progress: &'a Progress,
}

impl Building<'_> {
    fn symbol<E: serde::de::Error>(&mut self, symbol: &str, at: u64) -> Result<u32, E> {
        let number = self.text.symbol(symbol, at);
        number.ok_or_else(|| E::custom(format!("more than {SYMBOLS} symbols")))
    }

    /// The number of a symbol that the text says now what it means.
    fn defined<E: serde::de::Error>(&mut self, symbol: &str) -> Result<u32, E> {
        let number = self.symbol(symbol, self.progress.taken.get())?;
        if self.text.meaning(number) == Meaning::Unknown {
            Ok(number)
        } else {
            let what = format!("symbol {} is defined twice", shown(symbol));
            Err(E::custom(what))
        }
    }

    /// Notes the name of a context, and which of all of them one symbol has.
    fn context<E: serde::de::Error>(&mut self, name: &str, own: &mut u64) -> Result<(), E> {
        let contexts = &mut self.text.contexts;
        let known = contexts.iter().position(|known| known == name);
        let number = known.unwrap_or(contexts.len());
        if number >= CONTEXTS {
            return Err(E::custom(format!("more than {CONTEXTS} contexts")));
        }
        if known.is_none() {
            contexts.push(name.to_owned());
        }
        if *own >> number & 1 == 1 {
            let what = format!("context {} of a symbol twice", shown(name));
            return Err(E::custom(what));
        }
        *own |= 1 << number;
        Ok(())
    }
}

/// Reads one thing of the text with a visitor.
macro_rules! seed {
    ($name:ident, $how:ident, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $name<'_, '_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.$how(self)
            }
        }
    };
}

/// The whole text.
struct Top<'b, 'a>(&'b mut Building<'a>);
seed!(Top, deserialize_map, ());

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a template")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut read = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "dictionary" => map.next_value_seed(Dictionary(self.0))?,
                "rules" => map.next_value_seed(Rules(self.0))?,
                "sequence" => map.next_value_seed(Sequence(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            }
            if read.contains(&key) {
                return Err(A::Error::custom(format!("a second {key}")));
            }
            read.push(key);
        }
        for key in ["dictionary", "sequence"] {
            if !read.iter().any(|read| read == key) {
                return Err(A::Error::missing_field(key));
            }
        }
        Ok(())
    }
}

/// All chunks.
struct Dictionary<'b, 'a>(&'b mut Building<'a>);
seed!(Dictionary, deserialize_map, ());

impl<'de> Visitor<'de> for Dictionary<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a dictionary of symbols")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(symbol) = map.next_key::<String>()? {
            let symbol = self.0.defined(&symbol)?;
            let meaning = map.next_value_seed(Entry(self.0))?;
            self.0.text.define(symbol, meaning);
        }
        Ok(())
    }
}

/// The values of a chunk.
struct Entry<'b, 'a>(&'b mut Building<'a>);
seed!(Entry, deserialize_map, Meaning);

impl<'de> Visitor<'de> for Entry<'_, '_> {
    type Value = Meaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the values of a symbol")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Meaning, A::Error> {
        let start = self.0.text.values.len();
        // The best value so far: its rank, and whether it is hexadecimal.
        let mut best = (usize::MAX, false);
        let mut own = 0;
        while let Some(context) = map.next_key::<String>()? {
            let ranks = [self.0.context, DEFAULT, &context];
            let rank = ranks.iter().position(|name| *name == context);
            let rank = rank.unwrap_or_default();
            let wanted = rank < best.0;
            let building = &mut *self.0;
            let Some(good) = map.next_value_seed(Value {
                building,
                start,
                wanted,
            })?
            else {
                continue; // no string, no context
            };
            self.0.context(&context, &mut own)?;
            // A value that is asked for counts whatever it is; of the others the first good one.
            if wanted && (good || rank < 2) {
                best = (rank, good);
            }
        }
        if best.1 {
            let length = self.0.text.values.len().saturating_sub(start);
            let place = (u32::try_from(start), u32::try_from(length));
            if let (Ok(start), Ok(length)) = place {
                return Ok(Meaning::Value(start, length));
            }
        }
        self.0.text.values.truncate(start);
        Ok(Meaning::Valueless)
    }
}

/// A value, which takes the place of the one before where it is wanted. It tells whether it is hexadecimal, unless it
/// is no string.
struct Value<'b, 'a> {
    building: &'b mut Building<'a>,
    /// Where the values of this symbol begin.
    start: usize,
    wanted: bool,
}
seed!(Value, deserialize_any, Option<bool>);

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Option<bool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<bool>, E> {
        if !self.wanted {
            return Ok(Some(true));
        }
        let values = &mut self.building.text.values;
        values.truncate(self.start);
        Ok(Some(unhex(text, values)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<bool>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<bool>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<bool>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<bool>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<bool>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<bool>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<bool>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// All rules.
struct Rules<'b, 'a>(&'b mut Building<'a>);
seed!(Rules, deserialize_map, ());

impl<'de> Visitor<'de> for Rules<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of rules")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(symbol) = map.next_key::<String>()? {
            let symbol = self.0.defined(&symbol)?;
            let meaning = map.next_value_seed(Rule(self.0))?;
            self.0.text.define(symbol, meaning);
        }
        Ok(())
    }
}

/// The two symbols of a rule.
struct Rule<'b, 'a>(&'b mut Building<'a>);
seed!(Rule, deserialize_seq, Meaning);

impl<'de> Visitor<'de> for Rule<'_, '_> {
    type Value = Meaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two symbols")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Meaning, A::Error> {
        let mut pair = [0; 2];
        for (i, member) in pair.iter_mut().enumerate() {
            let symbol = seq.next_element::<String>()?;
            let symbol = symbol.ok_or_else(|| A::Error::invalid_length(i, &"two symbols"))?;
            *member = self.0.symbol(&symbol, self.0.progress.taken.get())?;
        }
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::invalid_length(3, &"two symbols"));
        }
        let [left, right] = pair;
        Ok(Meaning::Pair(left, right))
    }
}

/// The sequence.
struct Sequence<'b, 'a>(&'b mut Building<'a>);
seed!(Sequence, deserialize_str, ());

impl Visitor<'_> for Sequence<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "symbols with commas between them")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text.is_empty() {
            return Ok(());
        }
        let count = text.bytes().filter(|c| *c == b',').count() + 1;
        if count > SEQUENCE {
            return Err(E::custom(format!(
                "more than {SEQUENCE} symbols in sequence"
            )));
        }
        self.0.text.sequence = Vec::with_capacity(count);
        // The text was read up to the quotation mark behind it.
        let mut at = self
            .0
            .progress
            .taken
            .get()
            .saturating_sub(text.len() as u64 + 1);
        for symbol in text.split(',') {
            let number = self.0.symbol(symbol, at)?;
            self.0.text.sequence.push(number);
            at += symbol.len() as u64 + 1;
        }
        Ok(())
    }
}
