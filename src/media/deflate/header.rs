//! The code lengths of blocks: what zlib would send, and what a recipe says instead.

use super::trees::{self, DISTS, LITLENS, ORDER, Op};
use super::{Error, Header, Token};
use crate::coding::binary::{Bit, Coder, Symbol};

/// How often each symbol occurs in a block.
pub(super) struct Counts {
    litlens: [u32; LITLENS],
    dists: [u32; DISTS],
}

impl Counts {
    pub(super) fn of(tokens: &[Token]) -> Self {
        let mut counts = Self {
            litlens: [0; LITLENS],
            dists: [0; DISTS],
        };
        if let Some(end) = counts.litlens.get_mut(256) {
            *end = 1;
        }
        for token in tokens {
            let symbol = if token.is_match() {
                if let Some(slot) = counts.dists.get_mut(trees::dist_symbol(token.dist())) {
                    *slot += 1;
                }
                trees::length_symbol(token.length()) - usize::from(token.is_odd())
            } else {
                usize::from(token.byte())
            };
            if let Some(slot) = counts.litlens.get_mut(symbol) {
                *slot += 1;
            }
        }
        counts
    }

    /// The header that zlib would write.
    pub(super) fn header(&self) -> Header {
        let mut litlens = trees::lengths(&self.litlens, 15);
        let used = litlens.iter().rposition(|l| *l > 0).unwrap_or(0);
        litlens.truncate(used.max(256) + 1);
        let mut dists = trees::lengths(&self.dists, 15);
        let used = dists.iter().rposition(|l| *l > 0).unwrap_or(0);
        dists.truncate(used + 1);
        let mut ops = Vec::new();
        trees::scan(&litlens, &mut ops);
        trees::scan(&dists, &mut ops);
        let (code_lengths, sent) = code_lengths(&ops);
        let count = litlens.len();
        litlens.extend(dists);
        Header {
            litlens: count,
            lengths: litlens,
            code_lengths,
            sent,
            ops,
        }
    }

    /// Bits of the tokens in a code.
    pub(super) fn bits(&self, litlens: &[u8], dists: &[u8]) -> usize {
        let mut bits = 0;
        for (symbol, (count, length)) in self.litlens.iter().zip(litlens).enumerate() {
            let extra = trees::length_base(symbol).map_or(0, |(_, extra)| extra);
            bits += *count as usize * usize::from(length + extra);
        }
        for (symbol, (count, length)) in self.dists.iter().zip(dists).enumerate() {
            let extra = trees::dist_base(symbol).map_or(0, |(_, extra)| extra);
            bits += *count as usize * usize::from(length + extra);
        }
        bits
    }
}

impl Header {
    /// Bits that the header takes.
    pub(super) fn bits(&self) -> usize {
        let ops = self.ops.iter().map(|op| {
            let length = self.code_lengths.get(usize::from(op.symbol));
            u32::from(length.copied().unwrap_or(0)) + Op::extra_bits(op.symbol)
        });
        14 + 3 * self.sent + ops.map(|bits| bits as usize).sum::<usize>()
    }
}

/// The code length code that zlib would use for these symbols, and how many of its lengths are sent.
fn code_lengths(ops: &[Op]) -> ([u8; 19], usize) {
    let mut counts = [0; 19];
    for op in ops {
        if let Some(slot) = counts.get_mut(usize::from(op.symbol)) {
            *slot += 1;
        }
    }
    let mut code_lengths = [0; 19];
    for (slot, length) in code_lengths.iter_mut().zip(trees::lengths(&counts, 7)) {
        *slot = length;
    }
    let used = |symbol: &u8| code_lengths.get(usize::from(*symbol)) != Some(&0);
    let sent = ORDER.iter().rposition(used).unwrap_or(0).max(3) + 1;
    (code_lengths, sent)
}

/// The models of headers.
pub(super) struct HeaderModels {
    /// Whether the lengths, the symbols that send them, and the code of those are as predicted.
    same_lengths: Bit,
    same_ops: Bit,
    same_codes: Bit,
    /// Numbers of lengths.
    counts: [Symbol<5>; 2],
    /// Lengths by the predicted one.
    lengths: Vec<Symbol<4>>,
    /// Whether a symbol of the code length code is the expected one.
    expected: Bit,
    ops: Symbol<5>,
    code_lengths: Symbol<3>,
    sent: Symbol<4>,
}

impl HeaderModels {
    pub(super) fn new() -> Self {
        Self {
            same_lengths: Bit::new(),
            same_ops: Bit::new(),
            same_codes: Bit::new(),
            counts: [Symbol::new(), Symbol::new()],
            lengths: vec![Symbol::new(); 16],
            expected: Bit::new(),
            ops: Symbol::new(),
            code_lengths: Symbol::new(),
            sent: Symbol::new(),
        }
    }

    pub(super) fn code(
        &mut self,
        coder: &mut impl Coder,
        mut predicted: Header,
        given: Option<&Header>,
    ) -> Result<Header, Error> {
        let same = |g: &Header, p: &Header| g.litlens == p.litlens && g.lengths == p.lengths;
        if !coder.bit(
            &mut self.same_lengths,
            given.is_none_or(|g| same(g, &predicted)),
        ) {
            let dists = predicted.lengths.split_off(predicted.litlens);
            let (given_litlens, given_dists) = given.map_or((&[][..], &[][..]), |g| {
                g.lengths.split_at(g.litlens.min(g.lengths.len()))
            });
            let [litlen_count, dist_count] = &mut self.counts;
            let small = |n: usize, base: usize| u8::try_from(n.saturating_sub(base)).unwrap_or(0);
            let count = litlen_count.code(coder, small(given_litlens.len(), 257));
            let litlens = usize::from(count) + 257;
            let count = dist_count.code(coder, small(given_dists.len(), 1));
            let dist_count = usize::from(count) + 1;
            if litlens > LITLENS || dist_count > DISTS {
                return Err(Error::Format("a code with too many lengths"));
            }
            let mut all = Vec::with_capacity(litlens + dist_count);
            for (count, guess, given) in [
                (litlens, &predicted.lengths, given_litlens),
                (dist_count, &dists, given_dists),
            ] {
                for at in 0..count {
                    let guess = guess.get(at).copied().unwrap_or(0);
                    let value = given.get(at).copied().unwrap_or(0);
                    let mut spare = Symbol::new();
                    let model = self.lengths.get_mut(usize::from(guess));
                    all.push(model.unwrap_or(&mut spare).code(coder, value));
                }
            }
            predicted.litlens = litlens;
            predicted.lengths = all;
            predicted.ops.clear();
            let (litlens, dists) = predicted.lengths.split_at(litlens);
            trees::scan(litlens, &mut predicted.ops);
            trees::scan(dists, &mut predicted.ops);
        }
        if !coder.bit(
            &mut self.same_ops,
            given.is_none_or(|g| g.ops == predicted.ops),
        ) {
            predicted.ops = self.ops(coder, &predicted.lengths, given)?;
        }
        (predicted.code_lengths, predicted.sent) = code_lengths(&predicted.ops);
        let same = |g: &Header, p: &Header| g.code_lengths == p.code_lengths && g.sent == p.sent;
        if !coder.bit(
            &mut self.same_codes,
            given.is_none_or(|g| same(g, &predicted)),
        ) {
            let sent = given.map_or(0, |g| u8::try_from(g.sent - 4).unwrap_or(0));
            predicted.sent = usize::from(self.sent.code(coder, sent)) + 4;
            let mut coded = [0; 19];
            for symbol in ORDER.iter().take(predicted.sent) {
                let at = usize::from(*symbol);
                let value = given.and_then(|g| g.code_lengths.get(at)).copied();
                let value = self.code_lengths.code(coder, value.unwrap_or(0));
                if let Some(slot) = coded.get_mut(at) {
                    *slot = value;
                }
            }
            predicted.code_lengths = coded;
        }
        let sent = |op: &Op| predicted.code_lengths.get(usize::from(op.symbol)) != Some(&0);
        if predicted.ops.iter().all(sent) {
            Ok(predicted)
        } else {
            Err(Error::Format("a symbol without a code word"))
        }
    }

    /// Other symbols of the code length code that stand for these lengths.
    fn ops(
        &mut self,
        coder: &mut impl Coder,
        lengths: &[u8],
        given: Option<&Header>,
    ) -> Result<Vec<Op>, Error> {
        let mut ops: Vec<Op> = Vec::new();
        let mut at = 0;
        while at < lengths.len() {
            let rest = lengths.get(at..).unwrap_or_default();
            let previous = at.checked_sub(1).and_then(|p| lengths.get(p)).copied();
            let expected = greedy(rest, previous);
            let wanted = given.and_then(|g| g.ops.get(ops.len())).copied();
            let op = if coder.bit(&mut self.expected, wanted.is_none_or(|op| op == expected)) {
                expected
            } else {
                let wanted = wanted.unwrap_or(expected);
                let symbol = self.ops.code(coder, wanted.symbol).min(18);
                let bits = Op::extra_bits(symbol);
                let extra = coder.raw(u32::from(wanted.extra), bits);
                Op {
                    symbol,
                    extra: u8::try_from(extra).unwrap_or(0),
                }
            };
            let value = match op.symbol {
                16 => previous,
                17 | 18 => Some(0),
                length => Some(length),
            };
            let covered = rest.get(..op.covers());
            if covered.is_none_or(|c| c.iter().any(|length| Some(*length) != value)) {
                return Err(Error::Format("a symbol for other lengths"));
            }
            at += op.covers();
            ops.push(op);
        }
        Ok(ops)
    }
}

/// The symbol that stands for the most of these lengths.
fn greedy(lengths: &[u8], previous: Option<u8>) -> Op {
    let length = lengths.first().copied().unwrap_or(0);
    let same = lengths.iter().take_while(|l| **l == length).count();
    let number = |n: usize| u8::try_from(n).unwrap_or(0);
    let (symbol, extra) = match (length, same) {
        (0, 11..) => (18, number(same.min(138) - 11)),
        (0, 3..) => (17, number(same - 3)),
        (_, 3..) if previous == Some(length) => (16, number(same.min(6) - 3)),
        _ => (length, 0),
    };
    Op { symbol, extra }
}
