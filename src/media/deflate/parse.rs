//! From a deflate stream to its blocks and tokens (RFC 1951, section 3.2.3).

use super::bits::BitReader;
use super::trees::{self, DISTS, LITLENS, ORDER, Op};
use super::{Block, Error, Header, Kind, Stream, Token};

/// Most blocks of a stream; more means that somebody plays with empty ones.
const MAX_BLOCKS: usize = 1 << 20;
/// Bits that the first look-up of a code word takes.
const FAST: u32 = 11;

/// A decoding table: the low bits of the stream give a symbol and the length of its code word.
struct Table {
    /// By the next `FAST` bits: length (0 = longer or none) and symbol.
    fast: Vec<(u8, u16)>,
    /// For each length the first code word of that length, the number of them, and the first symbol's index.
    rows: [(u32, u32, usize); 16],
    /// Symbols by length and number.
    symbols: Vec<u16>,
}

impl Table {
    fn new(lengths: &[u8]) -> Result<Self, Error> {
        let mut counts = [0_u32; 16];
        for length in lengths.iter().filter(|l| **l > 0) {
            if let Some(count) = counts.get_mut(usize::from(*length)) {
                *count += 1;
            }
        }
        let mut rows = [(0, 0, 0); 16];
        let (mut code, mut index) = (0_u32, 0_usize);
        for (row, count) in rows.iter_mut().zip(counts) {
            *row = (code, count, index);
            code = (code + count) << 1;
            index += count as usize;
        }
        let space: u64 = (1_u32..16)
            .zip(counts.iter().skip(1))
            .map(|(bits, count)| u64::from(*count) << (15 - bits))
            .sum();
        if space > 1 << 15 {
            return Err(Error::Format("a code with too many words"));
        }
        let mut ordered: Vec<(u8, u16)> = lengths
            .iter()
            .zip(0..)
            .filter(|(length, _)| **length > 0)
            .map(|(length, symbol)| (*length, symbol))
            .collect();
        ordered.sort_unstable();
        let mut fast = vec![(0, 0); 1 << FAST];
        let words = trees::codes(lengths);
        for ((length, word), symbol) in lengths.iter().zip(&words).zip(0..) {
            if (1..=FAST).contains(&u32::from(*length)) {
                for slot in fast
                    .iter_mut()
                    .skip(usize::from(*word))
                    .step_by(1 << *length)
                {
                    *slot = (*length, symbol);
                }
            }
        }
        Ok(Self {
            fast,
            rows,
            symbols: ordered.into_iter().map(|(_, symbol)| symbol).collect(),
        })
    }

    /// The next symbol; 16 bits or more are held.
    fn read(&self, bits: &mut BitReader<'_>) -> Result<u16, Error> {
        let (length, symbol) = self
            .fast
            .get(bits.peek(FAST) as usize)
            .copied()
            .unwrap_or((0, 0));
        if length > 0 {
            bits.skip(u32::from(length));
            return Ok(symbol);
        }
        let word = bits.peek(15);
        for length in 1..16_u32 {
            let code = (word & ((1 << length) - 1)).reverse_bits() >> (32 - length);
            let Some((first, count, index)) = self.rows.get(length as usize).copied() else {
                break;
            };
            if code >= first && code - first < count {
                bits.skip(length);
                let symbol = self.symbols.get(index + (code - first) as usize);
                return symbol.copied().ok_or(Error::Format("a code word"));
            }
        }
        Err(Error::Format("a code word that the code does not have"))
    }
}

/// Parses a stream whose content has at most `limit` bytes.
pub(super) fn parse(bytes: &[u8], limit: usize) -> Result<Stream, Error> {
    let mut bits = BitReader::new(bytes);
    let mut plain = Vec::new();
    let mut blocks = Vec::new();
    loop {
        if blocks.len() >= MAX_BLOCKS {
            return Err(Error::Limit("blocks"));
        }
        let last = bits.read(1).ok_or(Error::End)? == 1;
        let kind = bits.read(2).ok_or(Error::End)?;
        let (kind, tokens) = match kind {
            0 => (stored(&mut bits, bytes, &mut plain, limit)?, Vec::new()),
            1 => {
                let (litlens, dists) = trees::fixed();
                let tokens = tokens(&mut bits, &litlens, &dists, &mut plain, limit)?;
                (Kind::Fixed, tokens)
            }
            2 => {
                let header = header(&mut bits)?;
                let (litlens, dists) = header.lengths.split_at(header.litlens);
                let tokens = tokens(&mut bits, litlens, dists, &mut plain, limit)?;
                (Kind::Dynamic(Box::new(header)), tokens)
            }
            _ => return Err(Error::Format("a block of type 3")),
        };
        blocks.push(Block { kind, last, tokens });
        if last {
            break;
        }
    }
    let (pad, used) = bits.align().ok_or(Error::End)?;
    Ok(Stream {
        plain,
        blocks,
        pad,
        used,
    })
}

fn stored(
    bits: &mut BitReader<'_>,
    bytes: &[u8],
    plain: &mut Vec<u8>,
    limit: usize,
) -> Result<Kind, Error> {
    let (pad, at) = bits.align().ok_or(Error::End)?;
    let rest = bytes.get(at..).ok_or(Error::End)?;
    let (head, rest) = rest.split_first_chunk::<4>().ok_or(Error::End)?;
    let [a, b, c, d] = *head;
    let length = u16::from_le_bytes([a, b]);
    if length != !u16::from_le_bytes([c, d]) {
        return Err(Error::Format("a stored block with two lengths"));
    }
    let content = rest.get(..usize::from(length)).ok_or(Error::End)?;
    if plain.len() + content.len() > limit {
        return Err(Error::Limit("content"));
    }
    plain.extend_from_slice(content);
    bits.seek(at + 4 + usize::from(length));
    Ok(Kind::Stored { length, pad })
}

fn header(bits: &mut BitReader<'_>) -> Result<Header, Error> {
    let mut field = |n| bits.read(n).ok_or(Error::End).map(|v| v as usize);
    let litlens = field(5)? + 257;
    let dists = field(5)? + 1;
    let sent = field(4)? + 4;
    if litlens > LITLENS || dists > DISTS {
        return Err(Error::Format("a code with too many lengths"));
    }
    let mut code_lengths = [0_u8; 19];
    for symbol in ORDER.iter().take(sent) {
        let length = u8::try_from(field(3)?).unwrap_or(0);
        if let Some(slot) = code_lengths.get_mut(usize::from(*symbol)) {
            *slot = length;
        }
    }
    let table = Table::new(&code_lengths)?;
    let mut lengths: Vec<u8> = Vec::with_capacity(LITLENS + DISTS);
    let mut ops = Vec::new();
    while lengths.len() < litlens + dists {
        bits.refill();
        let symbol = u8::try_from(table.read(bits)?).unwrap_or(0);
        let extra = bits.read(Op::extra_bits(symbol)).ok_or(Error::End)?;
        let op = Op {
            symbol,
            extra: u8::try_from(extra).unwrap_or(0),
        };
        let value = match symbol {
            16 => *lengths
                .last()
                .ok_or(Error::Format("a repetition of nothing"))?,
            17 | 18 => 0,
            length => length,
        };
        lengths.extend(std::iter::repeat_n(value, op.covers()));
        ops.push(op);
    }
    if lengths.len() > litlens + dists {
        return Err(Error::Format("a repetition past the last length"));
    }
    Ok(Header {
        litlens,
        lengths,
        code_lengths,
        sent,
        ops,
    })
}

fn tokens(
    bits: &mut BitReader<'_>,
    litlens: &[u8],
    dists: &[u8],
    plain: &mut Vec<u8>,
    limit: usize,
) -> Result<Vec<Token>, Error> {
    let litlens = Table::new(litlens)?;
    let dists = Table::new(dists)?;
    let mut tokens = Vec::new();
    loop {
        bits.refill();
        if bits.is_past_end() {
            return Err(Error::End);
        }
        let symbol = litlens.read(bits)?;
        if let Ok(byte) = u8::try_from(symbol) {
            if plain.len() >= limit {
                return Err(Error::Limit("content"));
            }
            plain.push(byte);
            tokens.push(Token::literal(byte));
            continue;
        }
        if symbol == 256 {
            return Ok(tokens);
        }
        // 15 + 5 bits are gone of 57; 15 + 13 follow.
        let (base, extra) =
            trees::length_base(usize::from(symbol)).ok_or(Error::Format("length"))?;
        let length = base + low16(bits, u32::from(extra));
        let (base, extra) = trees::dist_base(usize::from(dists.read(bits)?))
            .ok_or(Error::Format("distance symbol"))?;
        let dist = base + low16(bits, u32::from(extra));
        let from = plain
            .len()
            .checked_sub(usize::from(dist))
            .ok_or(Error::Format("a distance past the beginning"))?;
        if plain.len() + usize::from(length) > limit {
            return Err(Error::Limit("content"));
        }
        if dist >= length {
            plain.extend_from_within(from..from + usize::from(length));
        } else {
            for at in from..from + usize::from(length) {
                let byte = plain.get(at).copied().unwrap_or(0);
                plain.push(byte);
            }
        }
        let odd = length == 258 && symbol == 284;
        tokens.push(Token::matching(length, dist, odd));
    }
}

/// Takes `count` (0..=13) bits that are held.
fn low16(bits: &mut BitReader<'_>, count: u32) -> u16 {
    let value = u16::try_from(bits.peek(count)).unwrap_or(0);
    bits.skip(count);
    value
}
