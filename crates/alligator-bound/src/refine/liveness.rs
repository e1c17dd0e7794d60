//! Which locals may still be read, by instruction.

use wasmparser::Operator;

use crate::path::Plan;

/// Largest table built, in 64-bit words; a function above it keeps all its locals.
const WORDS_MAX: usize = 1 << 22;

/// Scans after which a function keeps all its locals. Each level of nested loops needs one.
const SCANS_MAX: usize = 16;

/// Live locals of one function.
#[derive(Debug)]
pub(super) struct Liveness {
    words: usize,
    live: Vec<u64>,
}

impl Liveness {
    /// Computes the live locals at every instruction of a function.
    pub(super) fn of(plan: &Plan<'_>) -> Self {
        let count = plan.code.operators.len();
        let words = plan.code.locals.len().div_ceil(64);
        if words == 0 || (count + 1).saturating_mul(words) > WORDS_MAX {
            return Self {
                words: 0,
                live: Vec::new(),
            };
        }
        let mut liveness = Self {
            words,
            live: vec![0; (count + 1) * words],
        };
        // Grows until nothing changes.
        for _ in 0..SCANS_MAX {
            if !liveness.scan(plan) {
                return liveness;
            }
        }
        liveness.words = 0;
        liveness
    }

    fn scan(&mut self, plan: &Plan<'_>) -> bool {
        let mut changed = false;
        for at in (0..plan.code.operators.len()).rev() {
            if !plan.cfg.is_reachable(at) {
                continue;
            }
            let mut row = vec![0; self.words];
            let targets = plan
                .cfg
                .successors(at)
                .into_iter()
                .chain(plan.cfg.handlers(at));
            for position in targets.filter_map(|target| plan.cfg.position(target)) {
                for (word, other) in row.iter_mut().zip(self.row(position)) {
                    *word |= other;
                }
            }
            match plan.code.operators[at] {
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    row[local_index as usize / 64] &= !(1 << (local_index % 64));
                }
                Operator::LocalGet { local_index } => {
                    row[local_index as usize / 64] |= 1 << (local_index % 64);
                }
                _ => {}
            }
            let place = at * self.words..(at + 1) * self.words;
            if self.live[place.clone()] != row[..] {
                self.live[place].copy_from_slice(&row);
                changed = true;
            }
        }
        changed
    }

    fn row(&self, at: usize) -> &[u64] {
        &self.live[at * self.words..(at + 1) * self.words]
    }

    /// Whether a local's value at an instruction may still be read.
    pub(super) fn is_live(&self, at: usize, local: usize) -> bool {
        self.words == 0 || self.row(at)[local / 64] >> (local % 64) & 1 == 1
    }
}
