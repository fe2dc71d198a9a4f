//! A regular expression as an automaton that goes through lines byte by byte, in bounded memory.

use memchr::memrchr;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind, Span};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

/// Most bytes of the states that were made so far; when there are more, they are made anew.
const STATES: usize = 8 << 20;
/// Most bytes of the expression's automaton before it is made deterministic.
const MOST: usize = 8 << 20;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Pattern {
    dfa: DFA,
    cache: Cache,
    /// Finds where a match may begin, faster than the automaton does.
    candidates: Option<Prefilter>,
}

/// Where the automaton is in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// In this state.
    State(LazyStateID),
    /// Past a match.
    Matched,
    /// Where no match can come any more.
    Dead,
}

impl Pattern {
    /// Compiles an expression in the syntax of the `regex` crate. Case matters unless it is said that it does not.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn new(text: &str, any_case: bool) -> Result<Self, String> {
        let hir = ParserBuilder::new()
            .utf8(false)
            .case_insensitive(any_case)
            .build()
            .parse(text)
            .map_err(|e| e.to_string())?;
        let hir = ascii_boundaries(hir);
        let config = thompson::Config::new()
            .utf8(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(MOST));
        let nfa = thompson::Compiler::new()
            .configure(config)
            .build_from_hir(&hir);
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(STATES)
            .skip_cache_capacity_check(true);
        let dfa = DFA::builder()
            .configure(config)
            .build_from_nfa(nfa.map_err(|e| e.to_string())?)
            .map_err(|e| e.to_string())?;
        let candidates = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &hir);
        Ok(Self {
            cache: dfa.create_cache(),
            dfa,
            candidates: candidates.filter(Prefilter::is_fast),
        })
    }

    /// At a line's start.
    pub(super) fn start(&mut self) -> Result<At, String> {
        let config = start::Config::new().anchored(Anchored::No);
        let state = self.dfa.start_state(&mut self.cache, &config);
        Ok(at(state.map_err(|e| e.to_string())?))
    }

    /// After more bytes of the line, which are not its end.
    pub(super) fn on(&mut self, from: At, bytes: &[u8]) -> Result<At, String> {
        let At::State(mut state) = from else {
            return Ok(from);
        };
        for &byte in bytes {
            let next = self.dfa.next_state(&mut self.cache, state, byte);
            state = next.map_err(|e| e.to_string())?;
            if state.is_tagged() {
                match at(state) {
                    At::State(_) => {}
                    ended => return Ok(ended),
                }
            }
        }
        Ok(At::State(state))
    }

    /// Whether the line matches that ends here.
    pub(super) fn ends(&mut self, from: At) -> Result<bool, String> {
        match from {
            At::State(state) => {
                let last = self.dfa.next_eoi_state(&mut self.cache, state);
                Ok(last.map_err(|e| e.to_string())?.is_match())
            }
            At::Matched => Ok(true),
            At::Dead => Ok(false),
        }
    }

    /// Bytes at the beginning of `bytes`, which begin with a line, that are whole lines without a match.
    pub(super) fn hopeless(&self, bytes: &[u8]) -> usize {
        let Some(candidates) = &self.candidates else {
            return 0;
        };
        let whole = Span::from(0..bytes.len());
        let before = match candidates.find(bytes, whole) {
            Some(found) => bytes.get(..found.start),
            None => Some(bytes),
        };
        let last = before.and_then(|before| memrchr(b'\n', before));
        last.map_or(0, |end| end + 1)
    }
}

fn at(state: LazyStateID) -> At {
    if state.is_match() {
        At::Matched
    } else if state.is_dead() || state.is_quit() {
        At::Dead
    } else {
        At::State(state)
    }
}

/// The expression with boundaries of words between letters of ASCII: an automaton does not know whether the letter
/// before was another one without having looked back. Groups are left out.
fn ascii_boundaries(hir: Hir) -> Hir {
    let all = |subs: Vec<Hir>| subs.into_iter().map(ascii_boundaries).collect();
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => other,
        }),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(ascii_boundaries(*repetition.sub)),
            ..repetition
        }),
        HirKind::Capture(capture) => ascii_boundaries(*capture.sub),
        HirKind::Concat(subs) => Hir::concat(all(subs)),
        HirKind::Alternation(subs) => Hir::alternation(all(subs)),
    }
}
