//! Training of priors: counts the symbols of each table, for ignored tests that write constants.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a tool that may panic"
)]

use std::collections::HashMap;

use super::visit::Walk;
use super::{Hints, Layout, Plan, Survey};
use crate::coding::model::{Coder, SYMBOLS, Table};
use crate::coding::rans;

type Counts = [u32; SYMBOLS];

/// Counts by the address of the table.
#[derive(Debug, Default)]
struct Counter {
    counts: HashMap<usize, Counts>,
    inner: rans::Encoder,
}

fn address(table: &Table) -> usize {
    std::ptr::from_ref(table).addr()
}

impl Coder for Counter {
    const ENCODES: bool = true;

    fn symbol(&mut self, a: &mut Table, b: &mut Table, symbol: u32) -> u32 {
        for table in [&*a, &*b] {
            let counts = self.counts.entry(address(table)).or_default();
            *counts.get_mut(symbol as usize).unwrap() += 1;
        }
        self.inner.symbol(a, b, symbol)
    }

    fn raw(&mut self, _: u32, value: u32) -> u32 {
        value
    }

    fn is_overrun(&self) -> bool {
        false
    }
}

/// Sums over a training set.
#[derive(Debug, Default)]
pub(crate) struct Training {
    classes: Vec<Vec<Counts>>,
}

impl Training {
    /// Adds the symbols that coding these bands takes.
    pub(crate) fn add(
        &mut self,
        layout: &Layout,
        plan: &Plan,
        values: &mut [Vec<i32>],
        hints: Option<&dyn Hints>,
    ) {
        let mut walk = Walk::new(layout, hints);
        walk.survey = Some(Survey::new(values));
        let mut counter = Counter::default();
        for layer in 0..plan.layers() {
            walk.begin_layer(layer);
            for (index, shift) in plan.shifts(layer + 1).unwrap().iter().enumerate() {
                walk.visit(&mut counter, index, *shift, values).unwrap();
            }
        }
        for (class, models) in walk.models.iter_mut().enumerate() {
            let tables = models.tables().map(|table| address(table));
            let counts = tables.map(|at| counter.counts.get(&at).copied().unwrap_or_default());
            let counts: Vec<Counts> = counts.collect();
            if self.classes.len() <= class {
                self.classes.push(vec![[0; SYMBOLS]; counts.len()]);
            }
            for (sum, counts) in self.classes.get_mut(class).unwrap().iter_mut().zip(counts) {
                for (sum, count) in sum.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
    }

    /// The prior. Tables count for at most `most` visits, and are left out below 64.
    pub(crate) fn finish(&self, most: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        for counts in self.classes.iter().flatten() {
            let sum: f64 = counts.iter().map(|&count| f64::from(count)).sum();
            if sum < 64.0 {
                bytes.push(0);
                continue;
            }
            bytes.push(most.min((sum / 16.0) as u8));
            let length = |count: u32| {
                let share = (f64::from(count) + 0.05) / (sum + 0.8);
                (share.log2() * -16.0).round().clamp(0.0, 255.0) as u8
            };
            bytes.extend(counts.map(length));
        }
        bytes
    }
}
