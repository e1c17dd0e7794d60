//! What inlining left in the callers of an allocator's out-of-line part.
//!
//! The instructions of an inlined operation cannot be told from the caller's own. But they lie on a
//! way through the caller on which nothing is repeated and nobody else is called, if the operation
//! has no loop and calls nothing but its out-of-line parts. So the longest such way to the call, and
//! the longest from it on, limit what was inlined before and after it.

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

/// What surrounds the calls of an out-of-line part; `None` for other entries.
///
/// # Errors
/// When a caller exceeds a limit of the analysis.
pub fn around(
    module: &Module<'_>,
    costs: &CostTable,
    entry: &Entry,
) -> Result<Option<Inlined>, InputError> {
    let mut longest: Option<Inlined> = None;
    for caller in &entry.callers {
        let Some(code) = module.code(*caller)? else {
            continue;
        };
        let cfg = Cfg::build(&code)?;
        let ways = Ways::of(&code, &cfg, costs);
        for at in (0..code.operators.len()).filter(|at| calls(&code.operators[*at], entry.function))
        {
            let before = ways.before[at].and_then(|cost| cost.checked_add(ways.weights[at]?));
            let after = match code.operators[at] {
                Operator::ReturnCall { .. } => Some(0),
                _ => ways.after[at + 1],
            };
            let found = longest.get_or_insert_with(|| Inlined {
                callers: entry.callers.len(),
                function: module.display_name(*caller),
                offset: code.offsets[at],
                before,
                after,
            });
            if found
                .before
                .is_some_and(|most| before.is_none_or(|before| before > most))
            {
                found.function = module.display_name(*caller);
                found.offset = code.offsets[at];
                found.before = before;
            }
            found.after = found.after.zip(after).map(|(one, other)| one.max(other));
        }
    }
    Ok(longest)
}

fn calls(operator: &Operator<'_>, function: u32) -> bool {
    matches!(operator,
        Operator::Call { function_index } | Operator::ReturnCall { function_index }
            if *function_index == function)
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
                    .fold(Some(0), |longest, to| longer(longest, after[to]));
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
