//! Trained models: what the adaptive tables begin with, so that small pictures need not teach.
//!
//! A prior is a constant of a kind of content (photographs, JPEG coefficients, sound). Its bytes: for each class of
//! bands, for each table of [`Models`] in order, the number of visits it counts for (one byte; 0: untrained, nothing
//! follows), then for each of the 16 symbols the code length in 16ths of a bit (one byte; 255 and above: 255).
//! A layout refers to its prior; encoder and decoder must use the same. Changing a prior changes the format.

use super::context::Models;
use crate::coding::model::{SYMBOLS, Table};

/// Trained models of some classes.
#[derive(Debug, Clone, Default)]
pub struct Prior {
    classes: Vec<Models>,
}

impl Prior {
    /// Reads a prior; what does not follow from the bytes stays untrained.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut bytes = bytes;
        let mut classes = Vec::new();
        while !bytes.is_empty() {
            let mut models = Models::default();
            for table in models.tables() {
                let Some((&visits, rest)) = bytes.split_first() else {
                    break;
                };
                bytes = rest;
                if visits == 0 {
                    continue;
                }
                let Some((lengths, rest)) = bytes.split_first_chunk::<SYMBOLS>() else {
                    break;
                };
                bytes = rest;
                *table = Table::from_weights(&lengths.map(weight), u16::from(visits));
            }
            classes.push(models);
        }
        Self { classes }
    }

    /// The models of a class to begin with.
    pub(super) fn class(&self, class: usize) -> Models {
        self.classes.get(class).cloned().unwrap_or_default()
    }
}

/// The weight of a symbol with a code length in 16ths of a bit: 2^24 / 2^(length / 16).
fn weight(length: u8) -> u32 {
    // 2^24 / 2^(i / 16)
    const ROOTS: [u32; 16] = [
        16_777_216, 16_065_917, 15_384_775, 14_732_511, 14_107_901, 13_509_772, 12_937_002,
        12_388_516, 11_863_283, 11_360_319, 10_878_679, 10_417_458, 9_975_792, 9_552_851,
        9_147_842, 8_760_003,
    ];
    let root = ROOTS.get(usize::from(length % 16)).copied().unwrap_or(1);
    root >> (length / 16)
}
