//! What inlining left in the callers of an allocator's out-of-line part.
//!
//! The instructions of an inlined operation cannot be told from the caller's own. But they lie on a
//! way through the caller on which nothing is repeated and nobody else is called, if the operation
//! has no loop and calls nothing but its out-of-line parts. So the longest such way to the call, and
//! the longest from it on, limit what was inlined before and after it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use wasmparser::Operator;

use crate::cfg::{Cfg, Target};
use crate::cost::CostTable;
use crate::entries::Entry;
use crate::module::{Code, InputError, Module};

/// The caller's part of an operation, the caller's own instructions on the same ways included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inlined {
    /// Functions that call the out-of-line part.
    pub callers: usize,
    /// Caller with the longest way to the call.
    pub function: String,
    /// Byte offset of that call.
    pub offset: u64,
    /// Longest way to a call since the last call or the caller's start, this call included; `None`
    /// when an instruction on it has no cost.
    pub before: Option<u64>,
    /// Longest way from a call to the next call or the caller's end.
    pub after: Option<u64>,
}

/// What surrounds the calls of each out-of-line part; `None` for other entries.
///
/// # Errors
/// When a caller exceeds a limit of the analysis.
pub fn around(
    module: &Module<'_>,
    costs: &CostTable,
    entries: &[Entry],
) -> Result<Vec<Option<Inlined>>, InputError> {
    let mut found: Vec<Option<Inlined>> = vec![None; entries.len()];
    let parts: BTreeMap<u32, usize> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.callers.is_empty())
        .map(|(place, entry)| (entry.function, place))
        .collect();
    let callers: BTreeSet<u32> = entries
        .iter()
        .flat_map(|entry| entry.callers.iter().copied())
        .collect();
    for caller in callers {
        let Some(code) = module.code(caller)? else {
            continue;
        };
        let cfg = Cfg::build(&code)?;
        let ways = Ways::of(&code, &cfg, costs);
        for at in 0..code.operators.len() {
            let callee = called(&code.operators[at]);
            if let Some(place) = callee.and_then(|callee| parts.get(&callee)) {
                let way = ways.around(module, caller, &code, at, entries[*place].callers.len());
                found[*place] = Some(match found[*place].take() {
                    Some(other) => other.or(way),
                    None => way,
                });
            }
        }
    }
    Ok(found)
}

impl Inlined {
    /// The longer ways of both.
    fn or(mut self, other: Self) -> Self {
        let longer = match (self.before, other.before) {
            (Some(before), Some(than)) => than > before,
            (before, _) => before.is_some(),
        };
        let after = self.after.zip(other.after);
        if longer {
            self = other;
        }
        self.after = after.map(|(one, other)| one.max(other));
        self
    }
}

fn called(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            Some(*function_index)
        }
        _ => None,
    }
}

fn calls_any(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Call { .. }
            | Operator::ReturnCall { .. }
            | Operator::CallIndirect { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCallRef { .. }
    )
}

/// Longest ways without a call and without a turn of a loop; `None` without a cost.
struct Ways {
    weights: Vec<Option<u64>>,
    /// To an instruction, itself apart.
    before: Vec<Option<u64>>,
    /// From an instruction on, itself included.
    after: Vec<Option<u64>>,
}

impl Ways {
    /// The ways to a call and from it on.
    fn around(
        &self,
        module: &Module<'_>,
        caller: u32,
        code: &Code<'_>,
        at: usize,
        callers: usize,
    ) -> Inlined {
        let to_call = self.before[at].zip(self.weights[at]);
        Inlined {
            callers,
            function: module.display_name(caller),
            offset: code.offsets[at],
            before: to_call.and_then(|(before, call)| before.checked_add(call)),
            after: match code.operators[at] {
                Operator::ReturnCall { .. } => Some(0),
                _ => self.after[at + 1],
            },
        }
    }

    fn of(code: &Code<'_>, cfg: &Cfg, costs: &CostTable) -> Self {
        let count = code.operators.len();
        let longer = |one: Option<u64>, other: Option<u64>| Some(one?.max(other?));
        let sum = |one: Option<u64>, other: Option<u64>| one?.checked_add(other?);
        let ahead = |at: usize| -> Vec<usize> {
            let targets = cfg.successors(at).into_iter();
            let ahead = targets.filter_map(|target| match target {
                Target::Ahead(to) => Some(to as usize),
                Target::Again(_) | Target::Return => None,
            });
            ahead.collect()
        };
        let weights: Vec<Option<u64>> = code
            .operators
            .iter()
            .map(|operator| costs.operator(operator))
            .collect();
        let mut before = vec![Some(0); count + 1];
        for at in 0..count {
            if cfg.is_reachable(at) && !calls_any(&code.operators[at]) {
                let cost = sum(before[at], weights[at]);
                for to in ahead(at) {
                    before[to] = longer(before[to], cost);
                }
            }
        }
        let mut after = vec![Some(0); count + 1];
        for at in (0..count).rev() {
            if cfg.is_reachable(at) && !calls_any(&code.operators[at]) {
                let rest = ahead(at)
                    .into_iter()
                    .try_fold(0, |longest: u64, to| Some(longest.max(after[to]?)));
                after[at] = sum(weights[at], rest);
            }
        }
        Self {
            weights,
            before,
            after,
        }
    }
}
