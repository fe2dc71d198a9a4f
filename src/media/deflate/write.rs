//! From blocks and tokens to a deflate stream.

use super::bits::BitWriter;
use super::trees::{self, ORDER, Op};
use super::{Block, Error, Header, Kind, Token};

/// Writes a stream block by block.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bits: BitWriter,
}

impl Writer {
    /// Bytes that are complete.
    pub(super) fn len(&self) -> usize {
        self.bits.bytes.len()
    }

    /// Appends a block whose content ends at byte `end` of `plain`.
    pub(super) fn block(&mut self, block: &Block, plain: &[u8], end: usize) -> Result<(), Error> {
        self.bits.write(u32::from(block.last), 1);
        match &block.kind {
            Kind::Stored { length, pad } => {
                self.bits.write(0, 2);
                self.bits.align(*pad);
                let start = end.checked_sub(usize::from(*length));
                let content = start.and_then(|start| plain.get(start..end));
                let content = content.ok_or(Error::Format("a stored block past the content"))?;
                self.bits.bytes.extend_from_slice(&length.to_le_bytes());
                self.bits.bytes.extend_from_slice(&(!length).to_le_bytes());
                self.bits.bytes.extend_from_slice(content);
                Ok(())
            }
            Kind::Fixed => {
                self.bits.write(1, 2);
                let (litlens, dists) = trees::fixed();
                self.tokens(&block.tokens, &litlens, &dists)
            }
            Kind::Dynamic(header) => {
                self.bits.write(2, 2);
                self.header(header)?;
                let (litlens, dists) = header.lengths.split_at(header.litlens);
                self.tokens(&block.tokens, litlens, dists)
            }
        }
    }

    /// Ends the stream with these bits in the rest of its last byte.
    pub(super) fn finish(mut self, pad: u8) -> Vec<u8> {
        self.bits.align(pad);
        self.bits.bytes
    }

    fn header(&mut self, header: &Header) -> Result<(), Error> {
        let number = |n: usize| u32::try_from(n).unwrap_or(0);
        self.bits.write(number(header.litlens - 257), 5);
        let dists = header.lengths.len() - header.litlens;
        self.bits.write(number(dists - 1), 5);
        self.bits.write(number(header.sent - 4), 4);
        for symbol in ORDER.iter().take(header.sent) {
            let length = header.code_lengths.get(usize::from(*symbol));
            self.bits.write(u32::from(length.copied().unwrap_or(0)), 3);
        }
        let codes = trees::codes(&header.code_lengths);
        for op in &header.ops {
            let at = usize::from(op.symbol);
            let code = codes.get(at).copied().unwrap_or(0);
            let length = header.code_lengths.get(at).copied().unwrap_or(0);
            if length == 0 {
                return Err(Error::Format("a symbol without a code word"));
            }
            self.bits.write(u32::from(code), u32::from(length));
            self.bits
                .write(u32::from(op.extra), Op::extra_bits(op.symbol));
        }
        Ok(())
    }

    fn tokens(&mut self, tokens: &[Token], litlens: &[u8], dists: &[u8]) -> Result<(), Error> {
        let words = |lengths: &[u8]| -> Vec<(u16, u8)> {
            let codes = trees::codes(lengths);
            codes.into_iter().zip(lengths.iter().copied()).collect()
        };
        let (litlens, dists) = (words(litlens), words(dists));
        let word = |words: &[(u16, u8)], symbol: usize| match words.get(symbol) {
            Some((code, length)) if *length > 0 => Ok((u32::from(*code), u32::from(*length))),
            _ => Err(Error::Format("a symbol without a code word")),
        };
        for token in tokens {
            if !token.is_match() {
                let (code, length) = word(&litlens, usize::from(token.byte()))?;
                self.bits.write(code, length);
                continue;
            }
            let symbol = trees::length_symbol(token.length()) - usize::from(token.is_odd());
            let (code, length) = word(&litlens, symbol)?;
            self.bits.write(code, length);
            let (base, extra) = trees::length_base(symbol).unwrap_or((3, 0));
            self.bits
                .write(u32::from(token.length() - base), u32::from(extra));
            let symbol = trees::dist_symbol(token.dist());
            let (code, length) = word(&dists, symbol)?;
            self.bits.write(code, length);
            let (base, extra) = trees::dist_base(symbol).unwrap_or((1, 0));
            self.bits
                .write(u32::from(token.dist() - base), u32::from(extra));
        }
        let (code, length) = word(&litlens, 256)?;
        self.bits.write(code, length);
        Ok(())
    }
}
