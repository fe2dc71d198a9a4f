//! Recipes: settings and what differs from the prediction, one function for both directions.
//!
//! ```text
//! length    of the main stream where streams of parts follow it, else 0: seven bits a byte, the lowest first, the
//!           highest bit set but in the last byte
//! main      range coded: settings; with lazy evaluation the number of parts (0 for none), and of each the bytes of
//!           content and of its stream; then block by block the kind, whether it is full, its tokens if there are no
//!           parts, its code lengths, whether it is the last; what fills the last byte
//! parts     their streams, range coded: tokens
//! ```

use super::chains::LONGEST;
use super::header::{Counts, HeaderModels};
use super::params::{Method, Params};
use super::parts::{self, Parts};
use super::predict::Predictor;
use super::trees;
use super::write::Writer;
use super::{Block, Error, Kind, Stream, Token};
use crate::coding::binary::{Bit, Coder, Decoder, Encoder, Number, Symbol};

/// The recipe of a stream.
pub(super) fn write(stream: &Stream, params: &Params) -> Result<Vec<u8>, Error> {
    let mut coder = Encoder::new();
    let params = params.code(&mut coder);
    let parts = parts::write(&mut coder, stream, &params)?;
    let source = match parts {
        None => Source::inline(&stream.plain, &params),
        Some(_) => Source::Given,
    };
    let mut models = Models::new(&stream.plain, &params, source);
    for block in &stream.blocks {
        models.block(&mut coder, Some(block))?;
    }
    if models.at != stream.plain.len() {
        return Err(Error::Format("tokens that are not the content"));
    }
    let mut ending = models.ending;
    coder.bit(&mut ending, stream.pad != 0);
    if stream.pad != 0 {
        coder.raw(u32::from(stream.pad), 8);
    }
    let main = coder.finish();
    let parts = parts.unwrap_or_default();
    // The length of what comes before the parts, 0 where there are none: seven bits a byte, the lowest first.
    let mut length = if parts.is_empty() { 0 } else { main.len() };
    let mut recipe = Vec::new();
    while length > 0x7f {
        recipe.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    recipe.push(length.to_le_bytes()[0]);
    recipe.extend(main);
    recipe.extend(parts);
    Ok(recipe)
}

/// The main stream of a recipe, and those of its parts.
fn split(recipe: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let wrong = Error::Format("a recipe without its length");
    let end = recipe.iter().take(5).position(|byte| *byte < 0x80);
    let (digits, rest) = recipe
        .split_at_checked(end.ok_or(wrong)? + 1)
        .ok_or(wrong)?;
    let digits = digits.iter().rev();
    match digits.fold(0, |length, digit| length << 7 | usize::from(digit & 0x7f)) {
        0 => Ok((rest, &[])),
        length => rest.split_at_checked(length).ok_or(wrong),
    }
}

/// The stream of at most `limit` bytes that a recipe makes of its content.
pub(super) fn read(plain: &[u8], recipe: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let (main, parts) = split(recipe)?;
    let mut coder = Decoder::new(main);
    let params = Params::level(1).code(&mut coder);
    let source = match Parts::read(&mut coder, plain, &params, parts)? {
        None => Source::inline(plain, &params),
        Some(parts) => Source::Parts(parts),
    };
    let mut models = Models::new(plain, &params, source);
    let mut writer = Writer::default();
    loop {
        let block = models.block(&mut coder, None)?;
        writer.block(&block, plain, models.at)?;
        if writer.len() > limit {
            return Err(Error::Limit("output"));
        }
        if block.last {
            break;
        }
    }
    if models.at != plain.len() {
        return Err(Error::Format("a recipe for less content"));
    }
    let mut ending = models.ending;
    let pad = if coder.bit(&mut ending, false) {
        coder.raw(0, 8)
    } else {
        0
    };
    let bytes = writer.finish(u8::try_from(pad).unwrap_or(0));
    if bytes.len() > limit {
        return Err(Error::Limit("output"));
    }
    Ok(bytes)
}

/// Compresses content as these settings say.
pub(super) fn compress(plain: &[u8], params: &Params) -> Vec<u8> {
    let mut predictor = Predictor::new(plain, params, 0);
    let mut writer = Writer::default();
    loop {
        let start = predictor.at();
        let mut tokens = Vec::new();
        while predictor.at() < plain.len() && tokens.len() < params.block as usize {
            let token = predictor.predict();
            predictor.accept(token);
            tokens.push(token);
        }
        let last = predictor.at() >= plain.len();
        let length = predictor.at() - start;
        let kind = kind(&tokens, length);
        let block = Block { kind, last, tokens };
        // Nothing of what a written block is refused for can happen to these.
        let written = writer.block(&block, plain, predictor.at());
        debug_assert!(written.is_ok());
        if last {
            return writer.finish(0);
        }
    }
}

/// The kind of block that zlib chooses for these tokens, which stand for `length` bytes.
fn kind(tokens: &[Token], length: usize) -> Kind {
    let counts = Counts::of(tokens);
    let header = counts.header();
    let (litlens, dists) = header.lengths.split_at(header.litlens);
    let dynamic = header.bits() + counts.bits(litlens, dists);
    let (litlens, dists) = trees::fixed();
    let fixed = counts.bits(&litlens, &dists);
    let bytes = |bits: usize| (bits + 3).div_ceil(8);
    if length + 4 <= bytes(dynamic.min(fixed))
        && let Ok(length) = u16::try_from(length)
    {
        Kind::Stored { length, pad: 0 }
    } else if bytes(fixed) <= bytes(dynamic) {
        Kind::Fixed
    } else {
        Kind::Dynamic(Box::new(header))
    }
}

/// Where the tokens of blocks come from.
enum Source<'a> {
    /// The same stream as all else.
    Inline(Box<Inline<'a>>),
    /// The streams of parts.
    Parts(Parts<'a>),
    /// The blocks themselves, when they are written in parts.
    Given,
}

/// Tokens coded between the blocks' own fields.
struct Inline<'a> {
    predictor: Predictor<'a>,
    /// A second one that runs ahead through stored blocks, when encoding.
    ahead: Option<Predictor<'a>>,
    tokens: TokenModels,
}

impl<'a> Source<'a> {
    fn inline(plain: &'a [u8], params: &Params) -> Self {
        Self::Inline(Box::new(Inline {
            predictor: Predictor::new(plain, params, 0),
            ahead: None,
            tokens: TokenModels::new(),
        }))
    }
}

/// The models of everything that a recipe may say.
struct Models<'a> {
    plain: &'a [u8],
    source: Source<'a>,
    /// Where the next block begins.
    at: usize,
    block: u32,
    /// Kinds by the kind before.
    kinds: [Symbol<2>; 3],
    kind: usize,
    /// Whether a block ends where it should.
    full: Bit,
    count: Number,
    /// By whether the content is at its end.
    last: [Bit; 2],
    padded: Bit,
    ending: Bit,
    header: HeaderModels,
}

impl<'a> Models<'a> {
    fn new(plain: &'a [u8], params: &Params, source: Source<'a>) -> Self {
        Self {
            plain,
            source,
            at: 0,
            block: params.block,
            kinds: [Symbol::new(), Symbol::new(), Symbol::new()],
            kind: match params.method {
                Method::Stored => 0,
                _ => 2,
            },
            full: Bit::new(),
            count: Number::new(),
            last: [Bit::new(); 2],
            padded: Bit::new(),
            ending: Bit::new(),
            header: HeaderModels::new(),
        }
    }

    /// Codes one block.
    fn block(&mut self, coder: &mut impl Coder, given: Option<&Block>) -> Result<Block, Error> {
        let kind = given.map_or(0, |block| match block.kind {
            Kind::Stored { .. } => 0,
            Kind::Fixed => 1,
            Kind::Dynamic(_) => 2,
        });
        let mut spare = Symbol::new();
        let model = self.kinds.get_mut(self.kind).unwrap_or(&mut spare);
        let kind = model.code(coder, kind);
        self.kind = usize::from(kind).min(2);
        let (kind, tokens) = match kind {
            0 => (self.stored(coder, given)?, Vec::new()),
            1 => (Kind::Fixed, self.run(coder, given)?),
            2 => {
                let tokens = self.run(coder, given)?;
                let predicted = Counts::of(&tokens).header();
                let given = given.and_then(|block| match &block.kind {
                    Kind::Dynamic(header) => Some(&**header),
                    _ => None,
                });
                let header = self.header.code(coder, predicted, given)?;
                (Kind::Dynamic(Box::new(header)), tokens)
            }
            _ => return Err(Error::Format("a block of no kind")),
        };
        let [inside, end] = &mut self.last;
        let model = if self.at < self.plain.len() {
            inside
        } else {
            end
        };
        let last = coder.bit(model, given.is_some_and(|block| block.last));
        Ok(Block { kind, last, tokens })
    }

    /// A stored block: of the length that makes it full, or another one.
    fn stored(&mut self, coder: &mut impl Coder, given: Option<&Block>) -> Result<Kind, Error> {
        let (length, pad) = match given.map(|block| &block.kind) {
            Some(Kind::Stored { length, pad }) => (*length, *pad),
            _ => (0, 0),
        };
        let Source::Inline(source) = &mut self.source else {
            return Err(Error::Format("a stored block among parts"));
        };
        let predictor = &mut source.predictor;
        let rest = self.plain.len().saturating_sub(predictor.at());
        let as_expected = given.is_none_or(|_| {
            let ahead = source.ahead.get_or_insert_with(|| predictor.clone());
            ahead.copy(predictor);
            ahead.fill(self.block as usize) == usize::from(length)
        });
        let length = if coder.bit(&mut self.full, as_expected) {
            let expected = predictor.fill(self.block as usize);
            u16::try_from(expected).map_err(|_| Error::Format("a long stored block"))?
        } else {
            let length = u16::try_from(coder.raw(u32::from(length), 16)).unwrap_or(0);
            if usize::from(length) > rest {
                return Err(Error::Format("a stored block past the content"));
            }
            predictor.skip(usize::from(length));
            length
        };
        self.at = predictor.at();
        let mut value = 0;
        if coder.bit(&mut self.padded, pad != 0) {
            value = u8::try_from(coder.raw(u32::from(pad), 7)).unwrap_or(0);
        }
        Ok(Kind::Stored { length, pad: value })
    }

    /// The tokens of a block: as many as make it full, as many as there are, or another number.
    fn run(&mut self, coder: &mut impl Coder, given: Option<&Block>) -> Result<Vec<Token>, Error> {
        let full = given.is_none_or(|block| {
            let count = block.tokens.len();
            let bytes: usize = block
                .tokens
                .iter()
                .map(|token| usize::from(token.length()))
                .sum();
            let ends = self.at + bytes >= self.plain.len();
            count == self.block as usize || (ends && count < self.block as usize)
        });
        let limit = if coder.bit(&mut self.full, full) {
            self.block as usize
        } else {
            let count = given.map_or(0, |block| block.tokens.len());
            let count = self.count.code(coder, u32::try_from(count).unwrap_or(0)) as usize;
            if count > self.plain.len().saturating_sub(self.at) {
                return Err(Error::Format("more tokens than content"));
            }
            count
        };
        let tokens = match &mut self.source {
            Source::Inline(source) => {
                let mut tokens = Vec::new();
                let predictor = &mut source.predictor;
                while tokens.len() < limit && predictor.at() < self.plain.len() {
                    let given = given.and_then(|block| block.tokens.get(tokens.len()));
                    let models = &mut source.tokens;
                    tokens.push(models.code(coder, predictor, self.plain, given.copied())?);
                }
                tokens
            }
            Source::Parts(parts) => parts.take(limit)?,
            Source::Given => given.map_or_else(Vec::new, |block| block.tokens.clone()),
        };
        let bytes: usize = tokens.iter().map(|token| usize::from(token.length())).sum();
        self.at += bytes;
        Ok(tokens)
    }
}

/// The models of tokens.
pub(super) struct TokenModels {
    /// Whether the prediction is right, by what is predicted and the two outcomes before.
    hits: [Bit; 64],
    history: usize,
    /// Whether a wrongly predicted match is a literal, by its length.
    literals: [Bit; 8],
    /// Whether another match has the same length.
    same: Bit,
    /// Lengths less 3, by whether a match was predicted.
    lengths: [Symbol<8>; 2],
    /// Ranks above 0; 0 for a distance in full.
    ranks: Number,
    odd: Bit,
}

impl TokenModels {
    pub(super) fn new() -> Self {
        Self {
            hits: [Bit::new(); 64],
            history: 0,
            literals: [Bit::new(); 8],
            same: Bit::new(),
            lengths: [Symbol::new(), Symbol::new()],
            ranks: Number::new(),
            odd: Bit::new(),
        }
    }

    /// Codes one token.
    pub(super) fn code(
        &mut self,
        coder: &mut impl Coder,
        predictor: &mut Predictor<'_>,
        plain: &[u8],
        given: Option<Token>,
    ) -> Result<Token, Error> {
        let predicted = predictor.predict();
        let class = match predicted.length() {
            1 => usize::from(predictor.sees_longer()),
            length @ 3..=5 => usize::from(length) - 1,
            6..=8 => 5,
            9..=32 => 6,
            _ => 7,
        };
        let mut spare = Bit::new();
        let context = class * 8 + (self.history & 7);
        let hit = self.hits.get_mut(context).unwrap_or(&mut spare);
        let right = given.is_none_or(|token| token.is_like(predicted));
        let right = coder.bit(hit, right);
        self.history = self.history << 1 | usize::from(!right);
        let mut token = if right {
            predicted
        } else {
            self.other(coder, predictor, plain, predicted, class, given)?
        };
        if token.length() == 258 && coder.bit(&mut self.odd, given.is_some_and(Token::is_odd)) {
            token = Token::matching(token.length(), token.dist(), true);
        }
        predictor.accept(token);
        Ok(token)
    }

    /// A token other than the predicted one.
    fn other(
        &mut self,
        coder: &mut impl Coder,
        predictor: &Predictor<'_>,
        plain: &[u8],
        predicted: Token,
        class: usize,
        given: Option<Token>,
    ) -> Result<Token, Error> {
        let at = predictor.at();
        let mut spare = Bit::new();
        if predicted.is_match() {
            let model = self.literals.get_mut(class).unwrap_or(&mut spare);
            if coder.bit(model, given.is_some_and(|token| !token.is_match())) {
                let byte = plain.get(at).copied();
                return Ok(Token::literal(byte.ok_or(Error::Format("no content"))?));
            }
        }
        let (mut length, mut dist) = given.map_or((3, 1), |t| (t.length(), t.dist()));
        let same = predicted.is_match() && coder.bit(&mut self.same, length == predicted.length());
        if same {
            length = predicted.length();
        } else {
            let [after_literal, after_match] = &mut self.lengths;
            let model = if predicted.is_match() {
                after_match
            } else {
                after_literal
            };
            let above = model.code(coder, u8::try_from(length - 3).unwrap_or(0));
            length = u16::from(above) + 3;
        }
        let bytes = usize::from(length);
        let rank = given.and_then(|_| predictor.rank(bytes, dist));
        let rank = self.ranks.code(coder, rank.map_or(0, |rank| rank + 1));
        if let Some(rank) = rank.checked_sub(1) {
            let ranked = predictor.ranked(bytes, rank);
            dist = ranked.ok_or(Error::Format("no match of that rank"))?;
        } else {
            let coded = coder.raw(u32::from(dist) - 1, 15) + 1;
            dist = u16::try_from(coded).unwrap_or(1);
        }
        let from = at.checked_sub(usize::from(dist));
        let there = from.and_then(|from| plain.get(from..from + bytes));
        if bytes > LONGEST || there.is_none() || plain.get(at..at + bytes) != there {
            return Err(Error::Format("a match of unlike bytes"));
        }
        Ok(Token::matching(length, dist, false))
    }
}

impl Token {
    /// Whether two tokens are the same but for how a length of 258 is written.
    fn is_like(self, other: Self) -> bool {
        !(1 << 30) & (self.0 ^ other.0) == 0
    }
}
